//! Templates in CEL: from the expressions of a template to violations with messages.
//!
//! Everything that knows both CEL and Kubernetes' templates is here: which names expressions have, in which
//! order they are evaluated, at what cost, and what comes of one that has no value. The rules are those of
//! Gatekeeper's driver, which are those of the API server for its admission policies.
//!
//! ```text
//! match conditions --all true--> validations --not true--> messages --> violations
//!        \---------------\--------- variables, evaluated when they are read
//! ```

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use portcullis_cel::{Activation, CelValue, Environment, EvalError, EvalErrorKind, Map, ReadStep, Type};
use portcullis_rego::Base;
use portcullis_rego_syntax::Span;
use portcullis_value::{Budget, LimitKind, Limits, Watch};

use super::{Evaluation, EvaluationError, RawViolation, Surroundings};
use crate::analysis::{self, CelUse, ObjectRead, Told};
use crate::api::cel::{ANY_OBJECT, CelSource, FailurePolicy, PARAMS};
use crate::api::template::{Text, TextPlace};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::value::{self, Value};

/// What all validations of a constraint may cost together, and then all their messages.
const BUDGET: u64 = 1_000_000;
/// What its match conditions may cost.
const MATCH_BUDGET: u64 = 2_500_000;
/// Longest message that an expression may make.
const LONGEST_MESSAGE: usize = 5 << 10;
/// How many steps a constraint may take of what one in Rego may: the costs are what is meant to end an
/// evaluation, and a step costs about 1.
const STEPS: u64 = 5;
/// Deepest nesting of an expression with the variables that it reads: they are evaluated inside of it.
const MAX_NESTING: u32 = 500;
/// What coming to a variable takes of that.
const NESTING_OF_VARIABLE: u32 = 4;

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// The type whose fields are the variables of the template.
const VARIABLES: &str = "kubernetes.variables";

/// The variables that every template has, before its own, as Gatekeeper defines them.
const GIVEN: [(&str, &str); 2] = [
    (
        ANY_OBJECT,
        r#"has(request.operation) && request.operation == "DELETE" && object == null ? oldObject : object"#,
    ),
    (PARAMS, "!has(params.spec) ? null : !has(params.spec.parameters) ? null: params.spec.parameters"),
];

/// A template's compiled program. Immutable and shared by threads.
pub(crate) struct CelProgram {
    document: Document,
    variables: Vec<Variable>,
    match_conditions: Vec<Expression>,
    validations: Vec<Validation>,
    failure_policy: FailurePolicy,
    /// How many evaluations may be inside of each other.
    levels: u64,
    operations: usize,
    told: Arc<Told>,
    /// All that it may read: a variable, and a path in it.
    reads: Vec<(String, ObjectRead)>,
}

struct Variable {
    name: Arc<str>,
    program: portcullis_cel::Program,
    nesting: u32,
    levels: u64,
    /// What is read to make it.
    reads: BTreeSet<(String, ObjectRead)>,
}

struct Expression {
    text: Text,
    program: portcullis_cel::Program,
}

struct Validation {
    expression: Expression,
    message: Option<Arc<str>>,
    message_expression: Option<Expression>,
    /// Which parts of the object it reads.
    reads: Arc<[ObjectRead]>,
}

impl CelProgram {
    /// Compiles a template's CEL. All that is wrong with it comes back, with positions in the template's
    /// document.
    pub(super) fn compile(source: &CelSource, document: &Document) -> (Option<Self>, Vec<Error>) {
        let mut compiler = Compiler {
            document,
            environment: environment(),
            fields: Vec::new(),
            variables: Vec::new(),
            errors: Vec::new(),
        };
        for (name, text) in GIVEN {
            let compiled = portcullis_cel::Program::compile(text, &compiler.environment_of_variables());
            if let Ok(program) = compiled {
                compiler.add(name.into(), program);
            } else {
                // It would be a defect; without them no template can be evaluated.
                let message = format!("the variable `{name}` could not be made: please report this");
                compiler.errors.push(Error::new(ErrorKind::Cel, message).at(document.location()));
            }
        }
        for variable in &source.variables {
            let environment = compiler.environment_of_variables();
            match compiler.compile(&variable.expression, &environment) {
                Some(expression) => compiler.add(variable.name.clone(), expression.program),
                // What reads it is not wrong for that.
                None => compiler.fields.push((variable.name.clone(), Type::Dyn)),
            }
        }
        let environment = compiler.environment_with_variables();
        let bool_of = |compiler: &mut Compiler<'_>, text: &Text| {
            let expression = compiler.compile(text, &environment)?;
            if *expression.program.result() == Type::Bool {
                return Some(expression);
            }
            let message = format!("must evaluate to bool but got {}", expression.program.result());
            let error = compiler.error(text, 0, message);
            compiler.errors.push(error);
            None
        };
        let mut match_conditions = Vec::new();
        for condition in &source.match_conditions {
            match_conditions.extend(bool_of(&mut compiler, &condition.expression));
        }
        let mut validations = Vec::new();
        for validation in &source.validations {
            let expression = bool_of(&mut compiler, &validation.expression);
            let message_expression = validation.message_expression.as_ref().and_then(|text| {
                let expression = compiler.compile(text, &environment)?;
                if *expression.program.result() == Type::String {
                    return Some(expression);
                }
                let message = format!(
                    "a messageExpression must evaluate to string but got {}: it is ignored, as Gatekeeper does",
                    expression.program.result()
                );
                let at = analysis::locate(document, text, Span::default());
                compiler.errors.push(Error::warning(ErrorKind::Cel, message).at(at));
                None
            });
            let Some(expression) = expression else { continue };
            let reads = compiler.reads_of(&expression.program);
            validations.push(Validation {
                reads: object_reads(&reads).into(),
                message: validation.message.clone(),
                expression,
                message_expression,
            });
        }
        let errors = compiler.errors;
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let variables = compiler.variables;
        let mut reads: BTreeSet<(String, ObjectRead)> = BTreeSet::new();
        let messages = validations.iter().filter_map(|validation| validation.message_expression.as_ref());
        let all = match_conditions.iter().chain(validations.iter().map(|validation| &validation.expression));
        for expression in all.chain(messages) {
            reads.extend(reads_of(&variables, &expression.program));
        }
        let used = CelUse {
            object: object_reads(&reads),
            namespace: reads.iter().any(|(variable, _)| variable == "namespaceObject"),
            operation: reads.iter().any(|(variable, path)| {
                let step = path.first().map(Option::as_deref);
                variable == "request" && matches!(step, None | Some(None | Some("operation")))
            }),
        };
        let told = Told::of_cel(used, source.expressions().map(|text| &*text.text));
        let program = Self {
            document: document.clone(),
            levels: 1 + variables.iter().map(|variable| variable.levels).max().unwrap_or(0),
            operations: source.expressions().count(),
            variables,
            match_conditions,
            validations,
            failure_policy: source.failure_policy,
            told: Arc::new(told),
            reads: reads.into_iter().collect(),
        };
        (Some(program), errors)
    }

    /// How many expressions it has.
    pub(super) fn operations(&self) -> usize {
        self.operations
    }

    /// How many variables it has.
    pub(super) fn documents(&self) -> usize {
        self.variables.len()
    }

    pub(super) fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// Whether its answers may rest on what is at a place of `input`, or below it. Never too few: whichever
    /// object is read, a field of either is taken for read.
    pub(super) fn may_rest_on(&self, base: Base, place: &[Option<&str>]) -> bool {
        // There is no `data`.
        if base != Base::Input {
            return false;
        }
        let [Some("review"), Some(field), below @ ..] = place else { return true };
        let meets = |variables: &[&str], below: &[Option<&str>]| {
            self.reads.iter().filter(|(variable, _)| variables.contains(&variable.as_str())).any(
                |(_, path)| {
                    let mut steps = path.iter().zip(below);
                    steps.all(|(read, step)| match (read.as_deref(), step) {
                        (Some(read), Some(step)) => read == *step,
                        _ => true,
                    })
                },
            )
        };
        match *field {
            // On DELETE, either may be the other.
            "object" | "oldObject" => meets(&["object", "oldObject"], below),
            "namespaceObject" => meets(&["namespaceObject"], below),
            // What a review is made of is taken from these as well.
            "kind" | "requestKind" => {
                meets(&["request"], &[Some("kind")]) || meets(&["request"], &[Some("requestKind")])
            }
            "resource" | "requestResource" => {
                meets(&["request"], &[Some("resource")]) || meets(&["request"], &[Some("requestResource")])
            }
            "subResource" | "requestSubResource" => {
                meets(&["request"], &[Some("subResource")])
                    || meets(&["request"], &[Some("requestSubResource")])
            }
            // Whether it is a DELETE decides which object is seen.
            "operation" => true,
            "uid" => false,
            field => {
                let place: Vec<Option<&str>> =
                    std::iter::once(Some(field)).chain(below.iter().copied()).collect();
                meets(&["request"], &place)
            }
        }
    }

    /// What it says of one review. Never panics: a panic would be an error of this evaluation.
    pub(super) fn evaluate(&self, input: &[(Value, Value)], surroundings: &Surroundings<'_>) -> Evaluation {
        let run = || {
            let steps = surroundings.limits.steps.saturating_mul(STEPS);
            let limits = Limits { steps, ..surroundings.limits };
            let meter = Meter {
                watch: surroundings.watch,
                looks: Cell::new(0),
                most: limits.steps / LOOK,
                is_out: Cell::new(false),
            };
            let seen = Seen::of(input, surroundings.constraint);
            let tank = Tank {
                limits,
                levels: self.levels,
                meter: &meter,
                steps: Cell::new(0),
                memory: Cell::new(0),
            };
            let cost = Cell::new(0);
            let result = self.judge(&seen, &tank, &cost);
            (result, cost.get())
        };
        let (result, steps) = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            (Err(EvaluationError::new("the evaluation panicked: please report this")), 0)
        });
        Evaluation { result, prints: Vec::new(), steps }
    }

    fn judge(
        &self,
        seen: &Seen,
        tank: &Tank<'_>,
        cost: &Cell<u64>,
    ) -> Result<Vec<RawViolation>, EvaluationError> {
        // A match condition sees no Namespace.
        let mut phase = Phase::new(self, seen, tank, None, MATCH_BUDGET);
        let mut failed = Vec::new();
        let mut passes = true;
        for condition in &self.match_conditions {
            match phase.evaluate(condition, cost)? {
                Answer::Value(value) => passes &= value.as_bool() == Some(true),
                Answer::Error(error) => failed.push(error),
                Answer::OutOfBudget => return self.unknown(vec![EvaluationError::new(OUT_OF_BUDGET)]),
            }
        }
        if !passes {
            return Ok(Vec::new());
        }
        if !failed.is_empty() {
            return self.unknown(vec![aggregated(failed)]);
        }
        let mut phase = Phase::new(self, seen, tank, Some(&seen.namespace), BUDGET);
        let mut answers = Vec::new();
        for validation in &self.validations {
            match phase.evaluate(&validation.expression, cost)? {
                Answer::OutOfBudget => return self.unknown(vec![EvaluationError::new(OUT_OF_BUDGET)]),
                answer => answers.push(answer),
            }
        }
        let left = phase.left;
        let mut phase = Phase::new(self, seen, tank, Some(&seen.namespace), left);
        let mut messages = Vec::new();
        let mut has_messages = true;
        for validation in &self.validations {
            let message = match &validation.message_expression {
                None => None,
                Some(expression) => match phase.evaluate(expression, cost)? {
                    Answer::Value(value) => value.as_str().map(str::to_owned),
                    Answer::Error(_) => None,
                    Answer::OutOfBudget => {
                        has_messages = false;
                        break;
                    }
                },
            };
            messages.push(message);
        }
        let mut messages = messages.into_iter();
        let (mut violations, mut unknown) = (Vec::new(), Vec::new());
        for (validation, answer) in self.validations.iter().zip(answers) {
            let message = messages.next().flatten();
            match answer {
                Answer::Error(error) => unknown.push(error),
                _ if !has_messages => {
                    unknown.push(EvaluationError::new(format!("failed messageExpression: {OUT_OF_BUDGET}")));
                }
                Answer::Value(value) if value.as_bool() == Some(true) => {}
                Answer::Value(_) | Answer::OutOfBudget => violations.push(RawViolation {
                    reads: Some(validation.reads.clone()),
                    ..RawViolation::new(validation.said(message), Value::new_object())
                }),
            }
        }
        if violations.is_empty() {
            return self.unknown(unknown);
        }
        if self.failure_policy == FailurePolicy::Fail {
            violations.extend(unknown.into_iter().map(|error| RawViolation {
                is_undetermined: true,
                ..RawViolation::new(error.message, Value::new_object())
            }));
        }
        violations.sort_by(|a, b| a.message.cmp(&b.message));
        Ok(violations)
    }

    /// What comes of expressions that have no value.
    fn unknown(&self, mut errors: Vec<EvaluationError>) -> Result<Vec<RawViolation>, EvaluationError> {
        if self.failure_policy == FailurePolicy::Ignore || errors.is_empty() {
            return Ok(Vec::new());
        }
        errors.sort_by(|a, b| a.message.cmp(&b.message));
        let message = errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("\n");
        let first = errors.into_iter().next();
        Err(EvaluationError { message, location: first.and_then(|error| error.location), limit: None })
    }
}

impl Validation {
    /// The message: that of the expression if it has one that can be shown, or else the one that is written.
    fn said(&self, made: Option<String>) -> String {
        let made = made
            .as_deref()
            .map(str::trim)
            .filter(|made| !made.is_empty() && made.len() <= LONGEST_MESSAGE && !made.contains(['\n', '\r']));
        match (made, &self.message) {
            (Some(made), _) => made.to_owned(),
            (None, Some(message)) if !message.trim().is_empty() => message.trim().to_owned(),
            (None, _) => format!("failed expression: {}", self.expression.text.text.trim()),
        }
    }
}

/// Several errors in one text, as Go's list of errors writes them.
fn aggregated(errors: Vec<EvaluationError>) -> EvaluationError {
    let mut messages: Vec<&str> = Vec::new();
    for error in &errors {
        if !messages.contains(&error.message.as_str()) {
            messages.push(&error.message);
        }
    }
    let message = match messages.as_slice() {
        [one] => (*one).to_owned(),
        all => format!("[{}]", all.join(", ")),
    };
    let location = errors.into_iter().next().and_then(|error| error.location);
    EvaluationError { message, location, limit: None }
}

/// What expressions may name but for the variables of the template.
fn environment() -> Environment {
    let texts = || Type::map(Type::String, Type::String);
    let group = |kind| [("group", Type::String), ("version", Type::String), (kind, Type::String)];
    Environment::default()
        .with_object("kubernetes.GroupVersionKind", group("kind"))
        .with_object("kubernetes.GroupVersionResource", group("resource"))
        .with_object(
            "kubernetes.UserInfo",
            [
                ("username", Type::String),
                ("uid", Type::String),
                ("groups", Type::list(Type::String)),
                ("extra", Type::map(Type::String, Type::list(Type::String))),
            ],
        )
        .with_object(
            "kubernetes.AdmissionRequest",
            [
                ("kind", Type::object("kubernetes.GroupVersionKind")),
                ("resource", Type::object("kubernetes.GroupVersionResource")),
                ("subResource", Type::String),
                ("requestKind", Type::object("kubernetes.GroupVersionKind")),
                ("requestResource", Type::object("kubernetes.GroupVersionResource")),
                ("requestSubResource", Type::String),
                ("name", Type::String),
                ("namespace", Type::String),
                ("operation", Type::String),
                ("userInfo", Type::object("kubernetes.UserInfo")),
                ("dryRun", Type::Bool),
                ("options", Type::Dyn),
            ],
        )
        .with_object(
            "kubernetes.NamespaceMetadata",
            [
                ("name", Type::String),
                ("generateName", Type::String),
                ("namespace", Type::String),
                ("labels", texts()),
                ("annotations", texts()),
                ("UID", Type::String),
                ("creationTimestamp", Type::Timestamp),
                ("deletionGracePeriodSeconds", Type::Int),
                ("deletionTimestamp", Type::Timestamp),
                ("generation", Type::Int),
                ("resourceVersion", Type::String),
                ("finalizers", Type::list(Type::String)),
            ],
        )
        .with_object("kubernetes.NamespaceSpec", [("finalizers", Type::list(Type::String))])
        .with_object(
            "kubernetes.NamespaceCondition",
            [
                ("status", Type::String),
                ("type", Type::String),
                ("lastTransitionTime", Type::Timestamp),
                ("message", Type::String),
                ("reason", Type::String),
            ],
        )
        .with_object(
            "kubernetes.NamespaceStatus",
            [
                ("conditions", Type::list(Type::object("kubernetes.NamespaceCondition"))),
                ("phase", Type::String),
            ],
        )
        .with_object(
            "kubernetes.Namespace",
            [
                ("metadata", Type::object("kubernetes.NamespaceMetadata")),
                ("status", Type::object("kubernetes.NamespaceStatus")),
                ("spec", Type::object("kubernetes.NamespaceSpec")),
            ],
        )
        .with_variable("object", Type::Dyn)
        .with_variable("oldObject", Type::Dyn)
        .with_variable("request", Type::object("kubernetes.AdmissionRequest"))
        .with_variable("namespaceObject", Type::object("kubernetes.Namespace"))
        .with_variable("variables", Type::object(VARIABLES))
}

struct Compiler<'d> {
    document: &'d Document,
    environment: Environment,
    /// The variables so far.
    fields: Vec<(Arc<str>, Type)>,
    /// Those of them that are sound.
    variables: Vec<Variable>,
    errors: Vec<Error>,
}

impl Compiler<'_> {
    fn environment_with_variables(&self) -> Environment {
        let fields = self.fields.iter().map(|(name, ty)| (&**name, ty.clone()));
        self.environment.clone().with_object(VARIABLES, fields)
    }

    /// Variables may also name the constraint.
    fn environment_of_variables(&self) -> Environment {
        self.environment_with_variables().with_variable(PARAMS, Type::Dyn)
    }

    fn add(&mut self, name: Arc<str>, program: portcullis_cel::Program) {
        let reads = self.reads_of(&program);
        let (nesting, levels) = depth(&self.variables, &program);
        self.fields.push((name.clone(), program.result().clone()));
        self.variables.push(Variable { name, program, nesting, levels, reads });
    }

    fn reads_of(&self, program: &portcullis_cel::Program) -> BTreeSet<(String, ObjectRead)> {
        reads_of(&self.variables, program)
    }

    fn compile(&mut self, text: &Text, environment: &Environment) -> Option<Expression> {
        match portcullis_cel::Program::compile(&text.text, environment) {
            Ok(program) if depth(&self.variables, &program).0 <= MAX_NESTING => {
                Some(Expression { text: text.clone(), program })
            }
            Ok(_) => {
                let message =
                    format!("with the variables that it reads, it is nested more than {MAX_NESTING} deep");
                self.errors.push(self.error(text, 0, message));
                None
            }
            Err(wrong) => {
                for diagnostic in wrong {
                    let error = self.error(text, diagnostic.at, diagnostic.message);
                    self.errors.push(error);
                }
                None
            }
        }
    }

    fn error(&self, text: &Text, at: u32, message: String) -> Error {
        let location = analysis::locate(self.document, text, Span { start: at, end: at });
        let is_about_cluster = message.contains("'authorizer'");
        let hint = "what only a cluster can answer is not supported in templates";
        let error = Error::new(ErrorKind::Cel, message).at(location);
        let error = match &text.place {
            TextPlace::Within(path) => error.in_field(path.clone()),
            TextPlace::File(_) => error,
        };
        error.maybe_hint(is_about_cluster.then(|| hint.to_owned()))
    }
}

/// How deep an evaluation may be nested, and how many evaluations are inside of each other.
fn depth(variables: &[Variable], program: &portcullis_cel::Program) -> (u32, u64) {
    let reads_all = program.reads().iter().any(is_all_variables);
    let names: BTreeSet<String> = read_variables(program).collect();
    let read = variables.iter().filter(|variable| reads_all || names.contains(&*variable.name));
    let inner = read.map(|variable| (variable.nesting.saturating_add(NESTING_OF_VARIABLE), variable.levels));
    let (nesting, levels) = inner.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
    (program.nesting().saturating_add(nesting), levels + 1)
}

/// Whether any variable may be read.
fn is_all_variables(read: &portcullis_cel::Read) -> bool {
    read.variable == "variables" && !matches!(read.path.first(), Some(ReadStep::Field(_)))
}

fn read_variables(program: &portcullis_cel::Program) -> impl Iterator<Item = String> {
    program.reads().into_iter().filter(|read| read.variable == "variables").filter_map(|read| {
        match read.path.into_iter().next() {
            Some(ReadStep::Field(name)) => Some(name),
            _ => None,
        }
    })
}

/// What an expression may read, through the variables that it reads.
fn reads_of(variables: &[Variable], program: &portcullis_cel::Program) -> BTreeSet<(String, ObjectRead)> {
    let mut found = BTreeSet::new();
    for read in program.reads() {
        let path = |steps: &[ReadStep]| -> ObjectRead {
            let step = |step: &ReadStep| match step {
                ReadStep::Field(name) => Some(name.as_str().into()),
                ReadStep::Index(_) => None,
            };
            steps.iter().map(step).collect()
        };
        if is_all_variables(&read) {
            found.extend(variables.iter().flat_map(|variable| variable.reads.iter().cloned()));
            continue;
        }
        match read.path.split_first() {
            Some((ReadStep::Field(name), rest)) if read.variable == "variables" => {
                if name == ANY_OBJECT {
                    // Which of them it is rests on the operation.
                    found.insert(("object".to_owned(), path(rest)));
                    found.insert(("oldObject".to_owned(), path(rest)));
                    found.insert(("request".to_owned(), vec![Some("operation".into())]));
                    continue;
                }
                let variable = variables.iter().rev().find(|variable| *variable.name == **name);
                found.extend(variable.into_iter().flat_map(|variable| variable.reads.iter().cloned()));
            }
            _ => {
                found.insert((read.variable.clone(), path(&read.path)));
            }
        }
    }
    found
}

fn object_reads(reads: &BTreeSet<(String, ObjectRead)>) -> Vec<ObjectRead> {
    let of_object = reads.iter().filter(|(variable, path)| variable == "object" && !path.is_empty());
    of_object.map(|(_, path)| path.clone()).collect()
}

/// What expressions see.
struct Seen {
    object: CelValue,
    old_object: CelValue,
    request: CelValue,
    namespace: CelValue,
    constraint: CelValue,
}

impl Seen {
    fn of(input: &[(Value, Value)], constraint: &Value) -> Self {
        let review = input.iter().find(|(key, _)| key.as_str() == Some("review")).map(|(_, value)| value);
        let get = |key: &str| review.and_then(|review| value::get(review, key)).cloned();
        let is_delete = get("operation").as_ref().and_then(value::as_str) == Some("DELETE");
        let object = if is_delete { None } else { get("object") };
        let or_null = |value: Option<Value>| CelValue::from(value.unwrap_or(Value::NULL));
        Self {
            object: or_null(object),
            old_object: or_null(get("oldObject")),
            request: CelValue::Map(Map::Input(request(get))),
            namespace: or_null(get("namespaceObject").map(|namespace| shown_of_namespace(&namespace))),
            constraint: CelValue::from(constraint.clone()),
        }
    }
}

/// The request as the API server gives it to expressions: texts that are empty are not there.
fn request(get: impl Fn(&str) -> Option<Value>) -> Value {
    let given = |key: &str| get(key).filter(|value| !value.is_null());
    let is_text = |value: &Value| value::as_str(value) != Some("");
    let all_of = |key: &str, names: [&str; 3]| {
        let whole = given(key);
        value::object(names.map(|name| {
            let part = whole.as_ref().and_then(|whole| value::get(whole, name)).cloned();
            (name, part.filter(|part| !part.is_null()).unwrap_or_else(|| Value::from("")))
        }))
    };
    let kind = all_of("kind", ["group", "version", "kind"]);
    let resource = all_of("resource", ["group", "version", "resource"]);
    let user = given("userInfo").unwrap_or_else(Value::new_object);
    let user = value::object(value::entries(&user).filter_map(|(key, part)| {
        let is_known = ["username", "uid", "groups", "extra"].contains(&key);
        let is_there = is_text(part) && !part.is_null() && part.count() != Some(0);
        (is_known && is_there).then(|| (key, part.clone()))
    }));
    let sub_resource = given("subResource").filter(is_text);
    let mut entries = vec![
        ("kind", kind.clone()),
        ("requestKind", kind),
        ("resource", resource.clone()),
        ("requestResource", resource),
        ("operation", given("operation").unwrap_or_else(|| Value::from(""))),
        ("userInfo", user),
        ("dryRun", given("dryRun").unwrap_or_else(|| Value::from(false))),
        ("options", given("options").unwrap_or(Value::NULL)),
    ];
    entries.extend(sub_resource.iter().map(|name| ("subResource", name.clone())));
    entries.extend(sub_resource.iter().map(|name| ("requestSubResource", name.clone())));
    for key in ["name", "namespace"] {
        entries.extend(given(key).filter(is_text).map(|value| (key, value)));
    }
    value::object(entries)
}

/// The parts of a Namespace that expressions see.
fn shown_of_namespace(namespace: &Value) -> Value {
    const METADATA: &[&str] = &[
        "name",
        "generateName",
        "labels",
        "annotations",
        "uid",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "resourceVersion",
        "finalizers",
    ];
    if namespace.is_null() {
        return Value::NULL;
    }
    let parts = value::entries(namespace).filter_map(|(key, part)| match key {
        "metadata" => {
            let fields = value::entries(part).filter(|(key, _)| METADATA.contains(key));
            Some((key, value::object(fields.map(|(key, field)| (key, field.clone())))))
        }
        "spec" | "status" => Some((key, part.clone())),
        _ => None,
    });
    let parts: Vec<(&str, Value)> = parts.collect();
    // These are always there.
    let empty =
        ["metadata", "spec", "status"].into_iter().filter(|key| !parts.iter().any(|(has, _)| has == key));
    let empty: Vec<(&str, Value)> = empty.map(|key| (key, Value::new_object())).collect();
    value::object(parts.into_iter().chain(empty))
}

/// Steps between two looks of a budget at its watch.
const LOOK: u64 = 1024;

/// Counts the steps of all budgets that are in use: of evaluations inside of each other, none knows what the
/// others use.
struct Meter<'w> {
    watch: Option<&'w dyn Watch>,
    looks: Cell<u64>,
    most: u64,
    is_out: Cell<bool>,
}

impl Watch for Meter<'_> {
    fn is_over(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        if self.looks.get() > self.most {
            self.is_out.set(true);
        }
        self.is_out.get() || self.watch.is_some_and(Watch::is_over)
    }
}

/// What all evaluations of a constraint use together.
struct Tank<'w> {
    limits: Limits,
    levels: u64,
    meter: &'w Meter<'w>,
    steps: Cell<u64>,
    memory: Cell<u64>,
}

impl Tank<'_> {
    fn evaluate(
        &self,
        program: &portcullis_cel::Program,
        activation: &dyn Activation,
        kept: Kept,
    ) -> portcullis_cel::Evaluation {
        let memory = self.limits.memory.saturating_sub(self.memory.get());
        let limits = Limits {
            steps: self.limits.steps.saturating_sub(self.steps.get()),
            // So that all that may be inside of each other have no more together.
            memory: memory / self.levels.max(1),
            ..self.limits
        };
        let mut budget = Budget::new(limits, Some(self.meter));
        let mut evaluation = program.evaluate(activation, &mut budget);
        self.steps.set(self.steps.get().saturating_add(budget.steps()));
        if kept == Kept::Yes {
            self.memory.set(self.memory.get().saturating_add(budget.memory()));
        }
        if let Err(error) = &mut evaluation.result
            && (error.kind == EvalErrorKind::Limit(LimitKind::Steps)
                || error.kind == EvalErrorKind::Limit(LimitKind::Time) && self.meter.is_out.get())
        {
            let exceeded = Budget::new(self.limits, None).exceeded(LimitKind::Steps);
            *error = EvalError {
                kind: EvalErrorKind::Limit(LimitKind::Steps),
                message: exceeded.message,
                at: error.at,
            };
        }
        evaluation
    }
}

/// Whether the value of an evaluation is kept until the end of the phase, as those of variables are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

/// What an expression came to.
enum Answer {
    Value(CelValue),
    Error(EvaluationError),
    /// The expressions of this phase cost too much together.
    OutOfBudget,
}

/// Expressions that have a budget and the values of variables in common.
struct Phase<'a> {
    scope: Scope<'a>,
    left: u64,
}

impl<'a> Phase<'a> {
    fn new(
        program: &'a CelProgram,
        seen: &'a Seen,
        tank: &'a Tank<'a>,
        namespace: Option<&'a CelValue>,
        left: u64,
    ) -> Self {
        let values = program.variables.iter().map(|_| None).collect();
        // Those of the phase before are gone.
        tank.memory.set(0);
        let scope =
            Scope { program, seen, tank, namespace, values: RefCell::new(values), cost: Cell::new(0) };
        Self { scope, left }
    }

    /// # Errors
    /// If a limit of the engine ends the evaluation: no policy can ignore that.
    fn evaluate(&mut self, expression: &Expression, spent: &Cell<u64>) -> Result<Answer, EvaluationError> {
        let evaluation = self.scope.tank.evaluate(&expression.program, &self.scope, Kept::No);
        let cost = evaluation.cost.saturating_add(self.scope.cost.take());
        spent.set(spent.get().saturating_add(cost));
        let location = |at| {
            let document = &self.scope.program.document;
            analysis::locate(document, &expression.text, Span { start: at, end: at })
        };
        if let Err(error) = &evaluation.result
            && let EvalErrorKind::Limit(limit) = error.kind
        {
            let (message, location) = (error.message.clone(), location(error.at));
            return Err(EvaluationError { message, location, limit: Some(limit) });
        }
        let Some(left) = self.left.checked_sub(cost) else { return Ok(Answer::OutOfBudget) };
        self.left = left;
        Ok(match evaluation.result {
            Ok(value) => Answer::Value(value),
            Err(error) => {
                let message =
                    format!("expression '{}' resulted in error: {}", expression.text.text, error.message);
                Answer::Error(EvaluationError { message, location: location(error.at), limit: None })
            }
        })
    }
}

/// The names of expressions, and what they are worth.
struct Scope<'a> {
    program: &'a CelProgram,
    seen: &'a Seen,
    tank: &'a Tank<'a>,
    namespace: Option<&'a CelValue>,
    /// Those of the variables that were read.
    values: RefCell<Vec<Option<Result<CelValue, EvalError>>>>,
    /// What they cost, since somebody last asked.
    cost: Cell<u64>,
}

impl Activation for Scope<'_> {
    fn variable(&self, name: &str) -> Option<CelValue> {
        Some(match name {
            "object" => self.seen.object.clone(),
            "oldObject" => self.seen.old_object.clone(),
            "request" => self.seen.request.clone(),
            "namespaceObject" => self.namespace.cloned().unwrap_or(CelValue::Null),
            "variables" => CelValue::Object(VARIABLES.into()),
            // Only variables were compiled with this name.
            PARAMS => self.seen.constraint.clone(),
            _ => return None,
        })
    }

    fn field(&self, object: &str, field: &str) -> Result<Option<CelValue>, EvalError> {
        if object != VARIABLES {
            return Ok(None);
        }
        let variables = &self.program.variables;
        // Names are not there twice.
        let Some(number) = variables.iter().position(|variable| *variable.name == *field) else {
            return Ok(None);
        };
        if let Some(known) = self.values.borrow().get(number).and_then(Option::as_ref) {
            return known.clone().map(Some);
        }
        let Some(variable) = variables.get(number) else { return Ok(None) };
        // It names earlier ones only: this ends.
        let evaluation = self.tank.evaluate(&variable.program, self, Kept::Yes);
        self.cost.set(self.cost.get().saturating_add(evaluation.cost));
        let result = evaluation.result.map_err(|error| EvalError {
            message: match error.kind {
                EvalErrorKind::Limit(_) => error.message,
                _ => format!("composited variable \"{field}\" fails to evaluate: {}", error.message),
            },
            ..error
        });
        if let Some(place) = self.values.borrow_mut().get_mut(number) {
            *place = Some(result.clone());
        }
        result.map(Some)
    }
}

impl fmt::Debug for CelProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cel({} expressions)", self.operations)
    }
}
