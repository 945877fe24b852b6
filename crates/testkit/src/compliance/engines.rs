//! Who is asked: ours, or one of the two engines of regorus, whose numbers are what ours is measured by.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis_rego::{CompileError, Environment, EvalError, EvalErrorKind, Program, Query, Unit};
use portcullis_rego_syntax::ast::{Expr, ExprKind, StatementKind};
use portcullis_rego_syntax::{
    Diagnostic, Environment as Surroundings, Module, Names, Version, line_col, parse, resolve_in,
};
use portcullis_value::{Value, Watch};
use regorus::Value as Theirs;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;

use super::{Answer, Case, ErrorClass};
use crate::specialised;

/// An evaluator of Rego.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluator {
    /// `portcullis-rego`.
    Portcullis,
    /// The interpreter of regorus.
    Interpreter,
    /// The register machine of regorus, which only answers queries for one path.
    Machine,
}

impl Evaluator {
    pub(super) fn answer(self, case: &Case) -> Answer {
        match self {
            Self::Portcullis => ours(case),
            Self::Interpreter => interpreter(case).unwrap_or_else(|error| regorus_error(&error)),
            Self::Machine => machine(case).unwrap_or_else(|error| regorus_error(&error)),
        }
    }
}

/// When an evaluation is stopped.
struct Deadline(Instant);

impl Watch for Deadline {
    fn is_over(&self) -> bool {
        Instant::now() > self.0
    }
}

/// A text, parsed and resolved.
struct Source {
    module: Module,
    names: Names,
}

fn ours(case: &Case) -> Answer {
    let texts: Vec<&str> = case.modules.iter().flatten().map(String::as_str).collect();
    let sources = match read(&texts) {
        Ok(sources) => sources,
        Err(why) => return Answer::Refused(why),
    };
    let query_text = format!("package portcullis.query\nanswer if {{\n{}\n}}", case.query);
    let query = match read(&[&query_text]).map(|mut sources| sources.pop()) {
        Ok(Some(query)) => query,
        Ok(None) => return Answer::Refused("there is no query".to_owned()),
        Err(why) => return Answer::Refused(format!("query: {why}")),
    };
    let input = match (&case.input, &case.input_term) {
        (None, Some(term)) => match read_term(term) {
            Some(value) => Some(value),
            None => return Answer::Refused(format!("`{term}` is no constant")),
        },
        (input, _) => input.clone(),
    };
    let units: Vec<Unit<'_>> =
        sources.iter().map(|source| Unit { module: &source.module, names: &source.names }).collect();
    let deadline = Deadline(Instant::now() + Duration::from_secs(5));
    let environment = Environment {
        input: input.into(),
        data: case.data.clone().unwrap_or_else(Value::new_object),
        watch: Some(&deadline),
        // Any time will do, as long as it is past: some cases compare with it.
        now_ns: Some(1_750_000_000_000_000_000),
        seed: 7,
        strict_builtin_errors: case.is_strict(),
        ..Environment::default()
    };
    let body = Query::Body(Unit { module: &query.module, names: &query.names });
    let answer = match Program::compile(&units, &body) {
        Ok(program) => {
            // As the core does it: with what is kept for all evaluations with the same document.
            let indexes = program.indexes(&environment.data);
            let environment = Environment { indexes: indexes.as_ref(), ..environment.clone() };
            match specialised::evaluate(&program, &environment) {
                Ok(evaluation) => bindings(evaluation.result),
                Err(differs) => Answer::Disagrees(differs),
            }
        }
        Err(errors) => Answer::Refused(refusal(&errors)),
    };
    match path_query(&query.module) {
        Some((path, variable)) => compare_path(answer, &units, &path, &variable, &environment),
        None => answer,
    }
}

fn bindings(result: Result<Value, EvalError>) -> Answer {
    match result {
        Ok(value) if value.is_undefined() => Answer::Bindings(Vec::new()),
        Ok(value) => match value.as_array() {
            Some(solutions) => Answer::Bindings(solutions.to_vec()),
            None => Answer::Disagrees(format!("the solutions are no array: {value}")),
        },
        Err(error) => eval_error(&error),
    }
}

fn eval_error(error: &EvalError) -> Answer {
    match error.kind {
        EvalErrorKind::Conflict => Answer::Error(ErrorClass::Conflict, error.message.clone()),
        EvalErrorKind::Builtin => Answer::Error(ErrorClass::Builtin, error.message.clone()),
        EvalErrorKind::Unanswered | EvalErrorKind::Unavailable | EvalErrorKind::Limit(_) => {
            Answer::Limit(error.message.clone())
        }
    }
}

fn refusal(errors: &[CompileError]) -> String {
    errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>().join("; ")
}

/// The path and the variable of a query `data.a.b = x`.
fn path_query(query: &Module) -> Option<(Vec<String>, String)> {
    let [clause] = query.rules.first()?.clauses.as_slice() else { return None };
    let [statement] = clause.body.statements.as_slice() else { return None };
    let StatementKind::Expr(expr) = &statement.kind else { return None };
    let ExprKind::Binary(binary) = &expr.kind else { return None };
    // `data.a = input` compares, and binds nothing.
    let variable = binary.rhs.as_var().filter(|name| *name != "input")?.to_owned();
    let prefix = binary.lhs.static_prefix();
    let length = binary.lhs.as_ref().map_or(1, |reference| reference.args.len() + 1);
    let is_path = prefix.len() == length
        && prefix.first().is_some_and(|(root, _)| *root == "data")
        && variable != "_"
        && binary.op.symbol() == "="
        && statement.with.is_empty();
    is_path.then(|| (prefix.iter().skip(1).map(|(name, _)| (*name).to_owned()).collect(), variable))
}

/// Asks for the path as well: the two ways to ask must agree.
fn compare_path(
    answer: Answer,
    units: &[Unit<'_>],
    path: &[String],
    variable: &str,
    environment: &Environment<'_>,
) -> Answer {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (found, text) = match Program::compile(units, &Query::Path(&path)) {
        Err(errors) => (None, refusal(&errors)),
        Ok(program) => match specialised::evaluate(&program, environment) {
            Err(differs) => return Answer::Disagrees(differs),
            Ok(evaluation) => match evaluation.result {
                Ok(value) if value.is_undefined() => (Some(Vec::new()), "undefined".to_owned()),
                Ok(value) => {
                    let text = value.to_string();
                    (Some(vec![Value::object([(variable, value)])]), text)
                }
                Err(error) => (None, error.message),
            },
        },
    };
    match &answer {
        Answer::Bindings(bindings) if found.as_ref() == Some(bindings) => answer,
        Answer::Bindings(bindings) => {
            Answer::Disagrees(format!("asked for the path: {text}; as a body: {}", super::shown(bindings)))
        }
        _ if found.is_some() => Answer::Disagrees(format!("asked for the path: {text}; as a body an error")),
        _ => answer,
    }
}

/// Parses and resolves modules among each other.
fn read(texts: &[&str]) -> Result<Vec<Source>, String> {
    let parsed: Vec<_> = texts.iter().map(|text| parse(text, Version::V1)).collect();
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    for (number, (text, this)) in texts.iter().zip(&parsed).enumerate() {
        let package = this.module.package_path();
        let others = parsed
            .iter()
            .enumerate()
            .filter(|(other, parsed)| *other != number && parsed.module.package_path() == package);
        let rules: BTreeSet<String> = others
            .flat_map(|(_, other)| other.module.rules.iter().map(|rule| rule.name().to_owned()))
            .collect();
        let surroundings =
            Surroundings { package_rules: rules.into_iter().collect(), ..Surroundings::default() };
        let names = resolve_in(&this.module, &surroundings);
        let found = this.diagnostics.iter().chain(&names.diagnostics);
        findings.extend(found.map(|diagnostic| finding(number, text, diagnostic)));
        sources.push(Source { module: this.module.clone(), names });
    }
    if findings.is_empty() { Ok(sources) } else { Err(findings.join("; ")) }
}

fn finding(number: usize, text: &str, diagnostic: &Diagnostic) -> String {
    let (line, column) = line_col(text, diagnostic.span.start);
    format!("module {number}:{line}:{column}: {diagnostic}")
}

/// A term without variables.
fn read_term(text: &str) -> Option<Value> {
    let parsed = parse(&format!("package term\nterm := {text}\n"), Version::V1);
    if !parsed.diagnostics.is_empty() {
        return None;
    }
    constant(&parsed.module.rules.first()?.head.value.as_ref()?.expr)
}

fn constant(expr: &Expr) -> Option<Value> {
    Some(match &expr.kind {
        ExprKind::Null => Value::NULL,
        ExprKind::Bool(value) => Value::from(*value),
        ExprKind::Number(text) => Value::from_json(text).ok()?,
        ExprKind::String(text) => Value::from(text.as_str()),
        ExprKind::Array(items) => Value::from(items.iter().map(constant).collect::<Option<Vec<_>>>()?),
        ExprKind::Set(items) => Value::from(items.iter().map(constant).collect::<Option<BTreeSet<_>>>()?),
        ExprKind::Object(entries) => {
            let pair = |entry: &portcullis_rego_syntax::ast::Entry| {
                Some((constant(&entry.key)?, constant(&entry.value)?))
            };
            Value::from(entries.iter().map(pair).collect::<Option<portcullis_value::Object>>()?)
        }
        ExprKind::Paren(inner) => constant(inner)?,
        _ => return None,
    })
}

fn engine(case: &Case) -> anyhow::Result<regorus::Engine> {
    let mut engine = regorus::Engine::new();
    engine.set_strict_builtin_errors(case.is_strict());
    engine.set_gather_prints(true);
    for (number, text) in case.modules.iter().flatten().enumerate() {
        engine.add_policy(number.to_string(), text.clone())?;
    }
    if let Some(data) = &case.data {
        engine.add_data(Theirs::from(data))?;
    }
    let term = case.input_term.as_deref().and_then(read_term);
    if let Some(input) = case.input.clone().or(term) {
        engine.set_input(Theirs::from(&input));
    }
    Ok(engine)
}

fn interpreter(case: &Case) -> anyhow::Result<Answer> {
    let results = engine(case)?.eval_query(case.query.clone(), false)?;
    Ok(Answer::Bindings(results.result.iter().map(|result| Value::from(&result.bindings)).collect()))
}

fn machine(case: &Case) -> anyhow::Result<Answer> {
    let query = read(&[&format!("package portcullis.query\nanswer if {{\n{}\n}}", case.query)]).ok();
    let path = query.as_deref().and_then(<[Source]>::first).and_then(|source| path_query(&source.module));
    let Some((path, variable)) = path.filter(|(path, _)| path.len() > 1) else { return Ok(Answer::NotTried) };
    let entrypoint = format!("data.{}", path.join("."));
    let mut engine = engine(case)?;
    let policy = engine.compile_with_entrypoint(&entrypoint.as_str().into())?;
    let program = Compiler::compile_from_policy(&policy, &[entrypoint.as_str()])?;
    let mut machine = RegoVM::new_with_policy(policy);
    machine.load_program(program);
    machine.set_strict_builtin_errors(case.is_strict());
    machine.set_data(Theirs::from(&case.data.clone().unwrap_or_else(Value::new_object)))?;
    let term = case.input_term.as_deref().and_then(read_term);
    if let Some(input) = case.input.clone().or(term) {
        machine.set_input(Theirs::from(&input));
    }
    Ok(Answer::Bindings(match machine.execute()? {
        Theirs::Undefined => Vec::new(),
        value => vec![Value::object([(variable, Value::from(&value))])],
    }))
}

/// What regorus calls an error does not say of which class it is, nor whether it is one of loading.
fn regorus_error(error: &anyhow::Error) -> Answer {
    Answer::Error(ErrorClass::Any, error.to_string().lines().last().unwrap_or_default().to_owned())
}
