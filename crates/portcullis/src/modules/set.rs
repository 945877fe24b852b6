//! Modules compiled, and what they say of an input.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use portcullis_rego::{Environment, EvalError, EvalErrorKind, Input, Made, Program, Unit, Workspace};
use portcullis_rego_syntax::analysis::refs;

use super::data::ModuleData;
use super::file::RegoFile;
use super::found::{exceptions, findings};
use super::input::ModuleInput;
use super::packages::{Packages, matches};
use super::rule::{ModuleRule, ModuleRuleKind};
use crate::analysis::{self, CallGraph, ParsedModule, RulesTold};
use crate::api::template::Text;
use crate::document::Document;
use crate::enforcement::Actions;
use crate::error::{Error, ErrorKind, Severity, did_you_mean};
use crate::program::EvaluationError;
use crate::review::{Places, Reader, Verdict, Violation};
use crate::source::{Location, Source};
use crate::value::{self, Value};
use crate::world::World;

/// Files of Rego, compiled: the rules of some packages that say what is wrong. Immutable, and cheap to clone.
///
/// ```
/// use portcullis::{DataForm, Document, Limits, Source};
/// use portcullis::{ModuleData, ModuleInput, ModuleSet, Packages, RegoFile, Verdict, World};
///
/// let policy = "package main\ndeny contains \"no owner\" if not input.owner\n";
/// let file = RegoFile::new(Source::new("owner.rego", policy), None);
/// let (set, errors) = ModuleSet::compile(&[file], &ModuleData::default(), &Packages::default());
/// assert!(errors.is_empty());
///
/// let source = Source::new("app.yaml", "name: web\n");
/// let (documents, _) = Document::read_data(&source, DataForm::Yaml, &Limits::default());
/// let input = ModuleInput::of(documents[0].clone());
/// let results = set.review(&input, &World::default());
/// assert!(matches!(&results[0].verdict, Verdict::Violations(found) if found[0].message == "no owner"));
/// ```
#[derive(Clone)]
pub struct ModuleSet {
    inner: Arc<Inner>,
    /// Whether a builtin that is not defined for its arguments is an error.
    strict: bool,
}

struct Inner {
    /// In the order of packages and names.
    rules: Vec<Arc<ModuleRule>>,
    /// In the same order.
    programs: Vec<Program>,
    told: Arc<RulesTold>,
    data: Value,
    /// Whether a policy asks which file it is about.
    reads_file: bool,
    files: usize,
}

/// What one rule said of an input.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleResult {
    /// The rule.
    pub rule: Arc<ModuleRule>,
    /// Its number among [`ModuleSet::rules`].
    pub index: usize,
    /// What its findings lead to; never empty.
    pub actions: Actions,
    /// The verdict: of a rule that is excepted, what it would have been.
    pub verdict: Verdict,
    /// Whether an exception names the rule, so that what it found does not count. That it broke does.
    pub is_excepted: bool,
    /// What was printed with `print`.
    pub prints: Vec<String>,
    /// Steps that the evaluation took; the same on every machine.
    pub steps: u64,
}

impl ModuleSet {
    /// No rules at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Inner {
            rules: Vec::new(),
            programs: Vec::new(),
            told: RulesTold::new(Vec::new(), Vec::new()),
            data: Value::new_object(),
            reads_file: false,
            files: 0,
        })
    }

    fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), strict: false }
    }

    /// Compiles files. If anything is wrong with one of them, the set has no rules. A package that is asked for
    /// and has no rule to ask is an error, too.
    ///
    #[must_use]
    pub fn compile(files: &[RegoFile], data: &ModuleData, packages: &Packages) -> (Self, Vec<Error>) {
        let Some(first) = files.first() else { return (Self::empty(), Vec::new()) };
        // Where nothing else is known.
        let document = Document::empty(&first.source);
        let texts: Vec<Text> = files.iter().map(|file| file.text.clone()).collect();
        let modules = analysis::parsed(&texts);
        let graph = CallGraph::of(&modules);
        let mut errors = analysis::check_modules(&graph, &document);
        let rules = rules(&modules, packages);
        // Which rules there are is not known before all texts are modules.
        if modules.iter().all(|parsed| parsed.diagnostics.is_empty()) {
            errors.extend(without_rules(&modules, &rules, packages));
            errors.extend(replaced(&modules, data));
        }
        let mut programs = Vec::new();
        if !has_errors(&errors) {
            let units: Vec<Unit<'_>> =
                modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
            let paths: Vec<Vec<&str>> =
                rules.iter().map(|(path, _)| path.iter().map(|step| &**step).collect()).collect();
            let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
            match Program::compile_each(&units, &paths, Made::Indexed) {
                Ok(compiled) => programs = compiled,
                Err(found) => {
                    let found = found.iter();
                    errors.extend(found.map(|error| analysis::compile_error(error, &modules, &document)));
                }
            }
        }
        if has_errors(&errors) {
            return (Self::empty(), errors);
        }
        let reads_file = modules.iter().any(reads_file);
        let (paths, rules) = rules.into_iter().unzip();
        let told = RulesTold::new(texts, paths);
        let data = data.to_value();
        (Self::of(Inner { rules, programs, told, data, reads_file, files: files.len() }), errors)
    }

    /// With builtins that end the evaluation of a rule as an error where they are not defined for their
    /// arguments, such as a conversion of what is no number. Otherwise these are undefined, as in OPA.
    #[must_use]
    pub fn with_strict_builtins(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// The rules, by package and name.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<ModuleRule>> {
        self.inner.rules.iter()
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> usize {
        self.inner.files
    }

    /// Judges an input: a result for each rule, in their order. An `exception` has a result only if it breaks.
    ///
    /// Cost: one evaluation for each rule. Inputs share nothing.
    #[must_use]
    pub fn review(&self, input: &ModuleInput, world: &World<'_>) -> Vec<RuleResult> {
        let inner = &*self.inner;
        let data = self.data(input);
        let mut workspace = Workspace::default();
        let mut evaluate = |index: usize| self.evaluate(index, input, &data, &mut workspace, world);
        let mut excepted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut results = Vec::with_capacity(inner.rules.len());
        for (index, rule) in inner.rules.iter().enumerate() {
            if rule.kind != ModuleRuleKind::Exception {
                continue;
            }
            let Evaluated { value, prints, steps } = evaluate(index);
            match value {
                Ok(value) => {
                    excepted.entry(&rule.package).or_default().extend(exceptions(&value));
                }
                Err(error) => results.push(RuleResult {
                    rule: rule.clone(),
                    index,
                    actions: Actions::from_iter([rule.kind.action()]),
                    verdict: Verdict::Error(error),
                    is_excepted: false,
                    prints,
                    steps,
                }),
            }
        }
        for (index, rule) in inner.rules.iter().enumerate() {
            if rule.kind == ModuleRuleKind::Exception {
                continue;
            }
            let Evaluated { value, prints, steps } = evaluate(index);
            let found = value.and_then(|value| {
                findings(&rule.name, &value).map_err(|message| EvaluationError {
                    location: Some(rule.location.clone()),
                    ..EvaluationError::new(message)
                })
            });
            let verdict = match found {
                Err(error) => Verdict::Error(error),
                Ok(raw) if raw.is_empty() => Verdict::Pass,
                Ok(raw) => {
                    let reader = Reader::Rule(inner.told.clone(), index);
                    let places = Places::new(input.judged.clone(), reader);
                    let violation = |raw| Violation::new(raw, Some(places.clone()));
                    Verdict::Violations(raw.into_iter().map(violation).collect())
                }
            };
            let is_excepted = excepted.get(&*rule.package).is_some_and(|names| names.contains(rule.suffix()));
            results.push(RuleResult {
                rule: rule.clone(),
                index,
                actions: Actions::from_iter([rule.kind.action()]),
                verdict,
                is_excepted,
                prints,
                steps,
            });
        }
        results.sort_by_key(|result| result.index);
        results
    }

    /// `data`, with what there is to say of the file.
    fn data(&self, input: &ModuleInput) -> Value {
        let data = &self.inner.data;
        let Some((name, directory)) = input.file.as_ref().filter(|_| self.inner.reads_file) else {
            return data.clone();
        };
        let text = |text: &Arc<str>| Value::from(&**text);
        let file = value::object([("name", text(name)), ("dir", text(directory))]);
        let conftest = value::object([("file", file)]);
        let own = value::entries(data).map(|(key, value)| (key, value.clone()));
        value::object(own.chain([("conftest", conftest)]))
    }

    /// Evaluates a rule. Never panics: a panic would be an error of this evaluation.
    fn evaluate(
        &self,
        index: usize,
        input: &ModuleInput,
        data: &Value,
        workspace: &mut Workspace,
        world: &World<'_>,
    ) -> Evaluated {
        let environment = Environment {
            input: Input::Value(input.value.clone()),
            data: data.clone(),
            limits: world.limits(),
            watch: world.watch(),
            now_ns: world.now_ns(),
            seed: world.seed(),
            answers: world.answers(),
            strict_builtin_errors: self.strict,
            indexes: None,
            special: None,
        };
        let program = self.inner.programs.get(index);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            program.map(|program| program.evaluate_in(workspace, &environment))
        }));
        let Ok(Some(evaluation)) = caught else {
            let error = EvaluationError::new("the evaluation panicked: please report this");
            return Evaluated { value: Err(error), prints: Vec::new(), steps: 0 };
        };
        let value = evaluation
            .result
            .map_err(|error| evaluation_error(&error, |module| self.inner.told.source(module)));
        Evaluated { value, prints: evaluation.prints, steps: evaluation.steps }
    }
}

/// What came of one evaluation.
struct Evaluated {
    value: Result<Value, EvaluationError>,
    prints: Vec<String>,
    steps: u64,
}

/// An error with its place in the files.
pub(super) fn evaluation_error<'s>(
    error: &EvalError,
    source: impl Fn(usize) -> Option<&'s Arc<Source>>,
) -> EvaluationError {
    let limit = match error.kind {
        EvalErrorKind::Limit(limit) => Some(limit),
        _ => None,
    };
    let location = error
        .at
        .and_then(|(module, span)| Some(Location::new(source(module)?.clone(), span.start..span.end)));
    EvaluationError { message: error.message.clone(), location, limit }
}

pub(super) fn has_errors(errors: &[Error]) -> bool {
    errors.iter().any(|error| error.severity() == Severity::Error)
}

/// The path of a rule below `data`.
type RulePath = Vec<Box<str>>;

/// The rules that are asked, in order.
fn rules(modules: &[ParsedModule<'_>], packages: &Packages) -> Vec<(RulePath, Arc<ModuleRule>)> {
    let mut rules: BTreeMap<(String, &str), (RulePath, ModuleRule)> = BTreeMap::new();
    for parsed in modules {
        let path = parsed.module.package_path();
        let package = path.join(".");
        if path.is_empty() || !packages.contain(&package) {
            continue;
        }
        for rule in parsed.module.rules.iter().filter(|rule| !rule.is_default) {
            let Some(kind) = ModuleRuleKind::of_rule(rule.name()) else { continue };
            let steps = || path.iter().copied().chain([rule.name()]).map(Box::from).collect();
            let Some(location) = analysis::location(parsed.text, rule.name_span()) else { continue };
            let known = rules.entry((package.clone(), rule.name())).or_insert_with(|| {
                let name = rule.name().into();
                let package = package.as_str().into();
                (steps(), ModuleRule { package, name, kind, location, definitions: 0 })
            });
            known.1.definitions += 1;
        }
    }
    rules.into_values().map(|(path, rule)| (path, Arc::new(rule))).collect()
}

/// A package that is asked for and has no rule to ask judges nothing, which must not look like success.
fn without_rules(
    modules: &[ParsedModule<'_>],
    rules: &[(RulePath, Arc<ModuleRule>)],
    packages: &Packages,
) -> Vec<Error> {
    const WHAT: &str = "no rule `deny`, `violation` or `warn`";
    let asks = |rule: &ModuleRule| rule.kind != ModuleRuleKind::Exception;
    let has = |pattern: Option<&str>| {
        rules
            .iter()
            .any(|(_, rule)| asks(rule) && pattern.is_none_or(|pattern| matches(pattern, &rule.package)))
    };
    let all: BTreeSet<String> = modules.iter().map(|parsed| parsed.module.package_path().join(".")).collect();
    let with_rules: BTreeSet<String> = modules
        .iter()
        .filter(|parsed| {
            let kinds = parsed.module.rules.iter().filter_map(|rule| ModuleRuleKind::of_rule(rule.name()));
            kinds.into_iter().any(|kind| kind != ModuleRuleKind::Exception)
        })
        .map(|parsed| parsed.module.package_path().join("."))
        .collect();
    let hint = |name: &str| {
        let listed = |names: &BTreeSet<String>| {
            let shown: Vec<_> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(shown.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        };
        match (did_you_mean(name, with_rules.iter().map(String::as_str)), with_rules.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, false) => {
                format!("packages that have one: {}; name them, or ask all packages", listed(&with_rules))
            }
            (None, true) => format!("the files have the packages {}, none with such a rule", listed(&all)),
        }
    };
    let error = |message: String, name: &str| Error::new(ErrorKind::NoInput, message).hint(hint(name));
    match packages {
        Packages::All if has(None) => Vec::new(),
        Packages::All => vec![error(format!("the files of Rego have {WHAT} to ask"), "")],
        Packages::Named(names) => names
            .iter()
            .filter(|name| !has(Some(name)))
            .map(|name| error(format!("package `{name}` has {WHAT} to ask"), name))
            .collect(),
    }
}

/// Rules in the place of which the data has something: OPA refuses both together.
pub(super) fn replaced(modules: &[ParsedModule<'_>], data: &ModuleData) -> Vec<Error> {
    let mut errors = BTreeMap::new();
    for parsed in modules {
        for rule in &parsed.module.rules {
            let mut path = parsed.module.package_path();
            path.push(rule.name());
            if let Some(there) = data.at(&path) {
                let shown = path.join(".");
                let message = format!("`data.{shown}` is a rule, and comes from {there} as well");
                let location = analysis::location(parsed.text, rule.name_span());
                let error = Error::new(ErrorKind::DuplicateResource, message).at(location);
                errors.entry(shown).or_insert(error.hint("rename one of them"));
            }
        }
    }
    errors.into_values().collect()
}

/// Whether a module may ask which file is judged.
fn reads_file(parsed: &ParsedModule<'_>) -> bool {
    let wanted = ["data", "conftest"];
    refs(&parsed.module, &parsed.names).any(|reference| {
        reference.path.iter().zip(wanted).all(|(step, wanted)| step.is_none_or(|step| step == wanted))
            && reference.path.first() == Some(&Some("data"))
    })
}

impl fmt::Debug for ModuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleSet({} files, {} rules)", self.inner.files, self.inner.rules.len())
    }
}
