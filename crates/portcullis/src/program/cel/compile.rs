//! Compiling: from the expressions of a template to programs, and what is wrong with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_cel::{Environment, Type};
use portcullis_rego_syntax::Span;

use super::names::environment;
use super::reads::{is_all_variables, object_reads, read_variables, reads_of};
use super::{CelProgram, Expression, VARIABLES, Validation, Variable};
use crate::analysis::{self, CelUse, InventoryRead, ObjectRead, Told};
use crate::api::cel::{ANY_OBJECT, CelSource, PARAMS};
use crate::api::template::{Text, TextPlace};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};

/// Deepest nesting of an expression with the variables that it reads: they are evaluated inside of it.
const MAX_NESTING: u32 = 500;
/// What coming to a variable takes of that.
const NESTING_OF_VARIABLE: u32 = 4;

/// The variables that every template has, before its own, as Gatekeeper defines them.
const GIVEN: [(&str, &str); 2] = [
    (
        ANY_OBJECT,
        r#"has(request.operation) && request.operation == "DELETE" && object == null ? oldObject : object"#,
    ),
    (PARAMS, "!has(params.spec) ? null : !has(params.spec.parameters) ? null: params.spec.parameters"),
];

impl CelProgram {
    /// Compiles a template's CEL. All that is wrong with it comes back, with positions in the template's
    /// document.
    pub(in crate::program) fn compile(source: &CelSource, document: &Document) -> (Option<Self>, Vec<Error>) {
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
        let bool_of =
            |compiler: &mut Compiler<'_>, text: &Text| compiler.compile_to(text, &environment, &[Type::Bool]);
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
        let used = used(&reads, Vec::new());
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
}

/// Compiles expressions that have variables in common.
pub(super) struct Compiler<'d> {
    pub(super) document: &'d Document,
    pub(super) environment: Environment,
    /// The variables so far.
    pub(super) fields: Vec<(Arc<str>, Type)>,
    /// Those of them that are sound.
    pub(super) variables: Vec<Variable>,
    pub(super) errors: Vec<Error>,
}

impl Compiler<'_> {
    pub(super) fn environment_with_variables(&self) -> Environment {
        self.with_fields(self.environment.clone())
    }

    /// An environment with the variables so far.
    pub(super) fn with_fields(&self, environment: Environment) -> Environment {
        let fields = self.fields.iter().map(|(name, ty)| (&**name, ty.clone()));
        environment.with_object(VARIABLES, fields)
    }

    /// Variables may also name the constraint.
    fn environment_of_variables(&self) -> Environment {
        self.environment_with_variables().with_variable(PARAMS, Type::Dyn)
    }

    pub(super) fn add(&mut self, name: Arc<str>, program: portcullis_cel::Program) {
        let reads = self.reads_of(&program);
        let (nesting, levels) = depth(&self.variables, &program);
        self.fields.push((name.clone(), program.result().clone()));
        self.variables.push(Variable { name, program, nesting, levels, reads });
    }

    pub(super) fn reads_of(&self, program: &portcullis_cel::Program) -> BTreeSet<(String, ObjectRead)> {
        reads_of(&self.variables, program)
    }

    pub(super) fn compile(&mut self, text: &Text, environment: &Environment) -> Option<Expression> {
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

    /// The same of an expression that has to be of one of some types. Of what is no certain type it is none.
    pub(super) fn compile_to(
        &mut self,
        text: &Text,
        environment: &Environment,
        types: &[Type],
    ) -> Option<Expression> {
        let expression = self.compile(text, environment)?;
        let given = expression.program.result();
        if types.contains(given) {
            return Some(expression);
        }
        let given = declared(given);
        let message = match types {
            [one] => format!("must evaluate to {} but got {given}", declared(one)),
            types => {
                let types: Vec<String> = types.iter().map(declared).collect();
                format!("must evaluate to one of [{}] but got {given}", types.join(" "))
            }
        };
        let error = self.error(text, 0, message);
        self.errors.push(error);
        None
    }

    pub(super) fn error(&self, text: &Text, at: u32, message: String) -> Error {
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

/// A type by the names of its declaration, as the API server writes it here.
fn declared(ty: &Type) -> String {
    match ty {
        Type::Null => "null_type".to_owned(),
        Type::Timestamp => "google.protobuf.Timestamp".to_owned(),
        Type::Duration => "google.protobuf.Duration".to_owned(),
        Type::List(of) => format!("list({})", declared(of)),
        Type::Map(of) => format!("map({}, {})", declared(&of.0), declared(&of.1)),
        Type::Optional(of) => format!("optional_type({})", declared(of)),
        other => other.to_string(),
    }
}

/// What is told of an expression that reads all this, and these objects besides.
pub(super) fn used(reads: &BTreeSet<(String, ObjectRead)>, inventory: Vec<InventoryRead>) -> CelUse {
    CelUse {
        object: object_reads(reads),
        namespace: reads.iter().any(|(variable, _)| variable == "namespaceObject"),
        operation: reads.iter().any(|(variable, path)| {
            let step = path.first().map(Option::as_deref);
            variable == "request" && matches!(step, None | Some(None | Some("operation")))
        }),
        inventory,
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
