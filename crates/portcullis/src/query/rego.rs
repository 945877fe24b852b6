//! Queries in Rego.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use portcullis_rego::{
    CompileError, Coverage, Environment, EvalErrorKind, Input, Made, Program, Query, Unit, Workspace,
};
use portcullis_rego_syntax::ast::{BinaryOp, ExprKind, StatementKind};
use portcullis_rego_syntax::{
    Diagnostic, Environment as Seen, Module, Names, Span, Version, parse, resolve_in,
};

use super::{QueryAnswer, QueryInput, QuerySolution, ReachedStatement, Tracing};
use crate::analysis::{self, CallGraph, ParsedModule};
use crate::api::ConstraintTemplate;
use crate::api::template::{EngineSource, Text};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::modules::{ModuleData, RegoFile};
use crate::program::EvaluationError;
use crate::source::{Location, Source};
use crate::value::{self, Value};
use crate::world::World;

/// The rule that a query is the body of, which no policy has; and its package, if it sees none.
const RULE: &str = "portcullis_query__";
/// The variable that the value of a query that is one expression is given to.
const VALUE: &str = "portcullis_value__";
/// Longest query.
const MOST_BYTES: usize = 64 << 10;

/// A query, compiled with the modules that it is about.
///
/// ```
/// use portcullis::{ModuleData, QueryInput, RegoFile, RegoQuery, Source, Tracing, World};
///
/// let file = RegoFile::new(Source::new("p.rego", "package p\nanswer := 42\n"), None);
/// let data = ModuleData::default();
/// let query = RegoQuery::of_files(&[file], &data, Some("p"), "answer + 1", Tracing::Off).unwrap();
/// let answer = query.evaluate(&QueryInput::default(), &World::default());
/// assert_eq!(answer.result.unwrap()[0].value, Some(43.into()));
/// ```
pub struct RegoQuery {
    program: Program,
    texts: Vec<Text>,
    document: Document,
    query: Arc<Source>,
    /// How much of the module stands before the query.
    before: u32,
    data: Value,
    tracing: Tracing,
}

/// Modules that are asked about, and what is wrong with them.
struct Asked<'t> {
    modules: Vec<ParsedModule<'t>>,
    errors: Vec<Error>,
    document: Document,
    /// The package that the query sees.
    package: Option<String>,
}

impl RegoQuery {
    /// A query of the package of a template, which sees its rules and its libraries.
    ///
    /// # Errors
    ///
    /// What is wrong with the template's Rego, or with the query. A template without Rego has no modules.
    pub fn of_template(
        template: &ConstraintTemplate,
        query: &str,
        tracing: Tracing,
    ) -> Result<Self, Vec<Error>> {
        let rego = template.engines.iter().find_map(|engine| match engine {
            EngineSource::Rego(rego) => Some(rego),
            EngineSource::Cel(_) => None,
        });
        let Some(rego) = rego else {
            let message = format!("the template `{}` has no Rego", template.kind());
            return Err(vec![
                Error::new(ErrorKind::TemplateRule, message).at(template.document().location()),
            ]);
        };
        let texts: Vec<Text> = [&rego.module].into_iter().chain(&rego.libs).cloned().collect();
        let document = template.document().clone();
        let modules = analysis::parsed(&texts);
        let errors = analysis::check(&CallGraph::of(&modules), None, &document);
        let package = modules.first().map(|parsed| written(&parsed.module));
        Self::build(Asked { modules, errors, document, package }, &texts, Value::new_object(), query, tracing)
    }

    /// A query of files, in a package whose rules it sees by their names; without one, of the package that all files
    /// have in common, if they do.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or with the query.
    pub fn of_files(
        files: &[RegoFile],
        data: &ModuleData,
        package: Option<&str>,
        query: &str,
        tracing: Tracing,
    ) -> Result<Self, Vec<Error>> {
        let texts: Vec<Text> = files.iter().map(|file| file.text.clone()).collect();
        let own = Source::new("query", query);
        let document = Document::empty(files.first().map_or(&own, |file| &file.source));
        let modules = analysis::parsed(&texts);
        let mut errors = analysis::check_modules(&CallGraph::of(&modules), &document);
        let mut packages: Vec<String> = modules.iter().map(|parsed| written(&parsed.module)).collect();
        packages.sort();
        packages.dedup();
        let package = match (package, packages.as_slice()) {
            (Some(package), known) => {
                if !known.iter().any(|known| known == package) {
                    let message = format!("there is no package `{package}`");
                    let hint = format!("the packages are {}", quoted(known));
                    errors.push(Error::new(ErrorKind::Rego, message).hint(hint));
                }
                Some(package.to_owned())
            }
            (None, [one]) => Some(one.clone()),
            (None, _) => None,
        };
        Self::build(Asked { modules, errors, document, package }, &texts, data.to_value(), query, tracing)
    }

    fn build(
        asked: Asked<'_>,
        texts: &[Text],
        data: Value,
        text: &str,
        tracing: Tracing,
    ) -> Result<Self, Vec<Error>> {
        let Asked { modules, mut errors, document, package } = asked;
        errors.retain(|error| error.severity() == Severity::Error);
        if !errors.is_empty() {
            return Err(errors);
        }
        let package = package.as_deref().unwrap_or(RULE);
        let source = Source::new("query", text);
        let refuse = |message: String| {
            let error = Error::new(ErrorKind::Rego, message);
            Err(vec![error.at(Location::new(source.clone(), 0..0))])
        };
        if text.len() > MOST_BYTES {
            return refuse(format!("a query has at most {MOST_BYTES} bytes"));
        }
        if text.trim().is_empty() {
            return refuse("expected a query, such as `violation` or `x := input.review.object`".to_owned());
        }
        let mut head = format!("package {package}\n\n{RULE} if {{\n");
        let mut parsed = parsed_query(&head, text, &modules);
        // As one expression it has a value.
        if parsed.2.is_empty() && is_expression(&parsed.0) {
            let valued_head = format!("{head}{VALUE} := ");
            let valued = parsed_query(&valued_head, text, &modules);
            if valued.2.is_empty() {
                (head, parsed) = (valued_head, valued);
            }
        }
        let (module, names, diagnostics) = parsed;
        let before = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let at = |span: Span| Location::new(source.clone(), within(span, before, text));
        if !diagnostics.is_empty() {
            let errors = diagnostics.into_iter();
            return Err(errors
                .map(|(message, span)| Error::new(ErrorKind::Rego, message).at(at(span)))
                .collect());
        }
        // A `}` of its own would end the body before its time.
        let is_whole = matches!(module.rules.as_slice(), [rule] if rule.name() == RULE && rule.clauses.len() == 1 && rule.elses.is_empty());
        if !is_whole || !module.imports.is_empty() {
            return refuse("expected one query, and neither rules nor imports".to_owned());
        }
        let units: Vec<Unit<'_>> =
            modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
        let body = Query::Body(Unit { module: &module, names: &names });
        let made = match tracing {
            Tracing::Off => Made::Indexed,
            Tracing::On => Made::Covered,
        };
        let compiled = Program::compile_for(&units, &body, made);
        let program = compiled.map_err(|found| {
            let told = |error: &CompileError| {
                if error.module < modules.len() {
                    analysis::compile_error(error, &modules, &document)
                } else {
                    Error::new(ErrorKind::Rego, error.message.clone()).at(at(error.span))
                }
            };
            found.iter().map(told).collect::<Vec<_>>()
        })?;
        Ok(Self { program, texts: texts.to_vec(), document, query: source, before, data, tracing })
    }

    /// Asks it. Never panics, and ends within the limits of the world.
    #[must_use]
    pub fn evaluate(&self, input: &QueryInput, world: &World<'_>) -> QueryAnswer {
        let own = value::entries(&self.data).map(|(key, value)| (key, value.clone()));
        let data = match self.data.count() {
            Some(0) | None => input.data.clone(),
            _ => value::object(own),
        };
        let environment = Environment {
            input: if input.input.is_undefined() {
                Input::Undefined
            } else {
                Input::Value(input.input.clone())
            },
            data,
            limits: world.limits(),
            watch: world.watch(),
            now_ns: world.now_ns(),
            seed: world.seed(),
            answers: world.answers(),
            strict_builtin_errors: false,
            indexes: None,
            special: None,
        };
        let coverage = (self.tracing == Tracing::On).then(|| Coverage::of(&self.program));
        let caught = catch_unwind(AssertUnwindSafe(|| match &coverage {
            Some(coverage) => {
                self.program.evaluate_covered(&mut Workspace::default(), &environment, coverage)
            }
            None => self.program.evaluate(&environment),
        }));
        let Ok(evaluation) = caught else {
            let error = EvaluationError::new("the evaluation panicked: please report this");
            return QueryAnswer { result: Err(error), prints: Vec::new(), cost: 0, reached: Vec::new() };
        };
        let result = match evaluation.result {
            Ok(value) => Ok(value.as_array().unwrap_or_default().iter().map(solution).collect()),
            Err(error) => Err(EvaluationError {
                message: error.message.clone(),
                location: error.at.and_then(|(module, span)| self.locate(module, span)),
                limit: match error.kind {
                    EvalErrorKind::Limit(limit) => Some(limit),
                    _ => None,
                },
            }),
        };
        let reached = coverage.map(|coverage| self.reached(&coverage)).unwrap_or_default();
        QueryAnswer { result, prints: evaluation.prints, cost: evaluation.steps, reached }
    }

    fn reached(&self, coverage: &Coverage) -> Vec<ReachedStatement> {
        let statements = coverage.statements(&self.program).into_iter().filter(|one| one.is_reached);
        let told = statements.filter_map(|one| {
            let location = self.locate(one.module, one.span)?;
            Some(ReachedStatement {
                location,
                is_head: one.is_head,
                has_held: one.has_held,
                has_failed: one.has_failed,
            })
        });
        told.collect()
    }

    fn locate(&self, module: usize, span: Span) -> Option<Location> {
        if let Some(text) = self.texts.get(module) {
            return analysis::locate(&self.document, text, span);
        }
        Some(Location::new(self.query.clone(), within(span, self.before, self.query.text())))
    }
}

/// A module whose only rule is a query, what its names mean, and what is wrong with it.
fn parsed_query(
    head: &str,
    text: &str,
    modules: &[ParsedModule<'_>],
) -> (Module, Names, Vec<(String, Span)>) {
    // The last line may be a comment.
    let parsed = parse(&format!("{head}{text}\n}}\n"), Version::V1);
    let beside = modules.iter().filter(|other| other.module.package_path() == parsed.module.package_path());
    let package_rules = beside.flat_map(|other| &other.module.rules).map(|rule| rule.name().to_owned());
    let seen = Seen { package_rules: package_rules.collect(), functions: Vec::new() };
    let names = resolve_in(&parsed.module, &seen);
    let told = |one: &Diagnostic| (one.message.clone(), one.span);
    let mut found: Vec<(String, Span)> = parsed.diagnostics.iter().map(told).collect();
    if found.is_empty() {
        found.extend(names.diagnostics.iter().map(told));
    }
    (parsed.module, names, found)
}

/// Whether the only rule has one statement, and that is an expression with a value to show.
fn is_expression(module: &Module) -> bool {
    let [rule] = module.rules.as_slice() else { return false };
    let [clause] = rule.clauses.as_slice() else { return false };
    let [statement] = clause.body.statements.as_slice() else { return false };
    match &statement.kind {
        StatementKind::Expr(expr) if statement.with.is_empty() => !matches!(
            &expr.kind,
            ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Assign | BinaryOp::Unify)
        ),
        _ => false,
    }
}

/// The part of the query that a span of its module is.
fn within(span: Span, before: u32, text: &str) -> std::ops::Range<u32> {
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let of = |at: u32| at.saturating_sub(before).min(end);
    of(span.start)..of(span.end).max(of(span.start))
}

fn solution(bindings: &Value) -> QuerySolution {
    let json = |value: &Value| serde_json::to_value(value).unwrap_or_default();
    let mut found: BTreeMap<String, serde_json::Value> =
        value::entries(bindings).map(|(name, value)| (name.to_owned(), json(value))).collect();
    let value = found.remove(VALUE);
    QuerySolution { value, bindings: found }
}

/// A package as it is written: `a.b["c-d"]`.
fn written(module: &Module) -> String {
    let mut text = String::new();
    for (place, step) in module.package_path().into_iter().enumerate() {
        let is_word = step.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
            && !step.starts_with(|char: char| char.is_ascii_digit());
        match (place, is_word) {
            (0, _) => text.push_str(step),
            (_, true) => {
                text.push('.');
                text.push_str(step);
            }
            (_, false) => {
                text.push('[');
                text.push_str(&serde_json::Value::from(step).to_string());
                text.push(']');
            }
        }
    }
    text
}

fn quoted(names: &[String]) -> String {
    let named: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}
