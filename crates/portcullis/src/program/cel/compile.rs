//! Compiling: from the expressions of a template to programs, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis_cel::{CelValue, Environment, Type};
use portcullis_rego_syntax::Span;

use super::kept::{Lasts, Reads};
use super::names::environment;
use super::reads::{bounded, object_reads, read_variables, reads_of};
use super::{CelProgram, Expression, Numbers, VARIABLES, Validation, Variable};
use crate::analysis::{self, CelUse, InventoryRead, ObjectRead, Told};
use crate::api::cel::{ANY_OBJECT, CelSource, PARAMS};
use crate::api::template::{Text, TextPlace};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};

/// Deepest nesting of an expression with the variables that it reads: they are evaluated inside of it.
const MAX_NESTING: u32 = 500;
/// What coming to a variable takes of that.
const NESTING_OF_VARIABLE: u32 = 4;
/// Most expressions of a template.
const MAX_EXPRESSIONS: usize = 1000;
/// Most bytes of all of its expressions together: what they are compiled to takes up to some two hundred times as much.
const MAX_TEXT: usize = 256 << 10;
/// So many mistakes of one expression are listed, the others are counted.
const MISTAKES: usize = 10;

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
        let mut compiler = match prepared(source, document) {
            Ok(compiler) => compiler,
            Err(error) => return (None, vec![error]),
        };
        let environment = compiler.environment.clone();
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
                let Compiled::Sound(expression) = compiler.compile(text) else { return None };
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
        let errors = std::mem::take(&mut compiler.errors);
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        (Some(compiler.finish(source, match_conditions, validations)), errors)
    }
}

/// What compiles the expressions of a template: with its variables, of which mistakes are noted.
pub(super) fn prepared<'d>(source: &CelSource, document: &'d Document) -> Result<Compiler<'d>, Error> {
    // Variables may also name the constraint.
    let mut compiler = Compiler::new(document, environment().with_variable(PARAMS, Type::Dyn));
    if let Some(error) = compiler.is_too_large("template", source.expressions()) {
        return Err(error);
    }
    for (name, text) in GIVEN {
        let compiled = portcullis_cel::Program::compile(text, &compiler.environment);
        if let Ok(program) = compiled {
            let result = program.result().clone();
            compiler.add(name.into(), text, result, Some(program));
        } else {
            // It would be a defect; without them no template can be evaluated.
            let message = format!("the variable `{name}` could not be made: please report this");
            compiler.errors.push(Error::new(ErrorKind::Cel, message).at(document.location()));
        }
    }
    for variable in &source.variables {
        let name = variable.name.clone();
        match compiler.compile(&variable.expression) {
            Compiled::Sound(expression) => {
                let result = expression.program.result().clone();
                compiler.add(name, &expression.text.text, result, Some(expression.program));
            }
            // What reads it is not wrong for that.
            Compiled::Tainted(result) => compiler.add(name, "", result, None),
            Compiled::Wrong => compiler.add(name, "", Type::Dyn, None),
        }
    }
    compiler.environment.remove_variable(PARAMS);
    Ok(compiler)
}

/// Compiles expressions that have variables in common.
pub(super) struct Compiler<'d> {
    document: &'d Document,
    /// With the variables so far.
    pub(super) environment: Environment,
    /// The types of these, for other environments.
    fields: Vec<(Arc<str>, Type)>,
    /// The same by their names: the number of each that is sound. Of two of one name, the last one.
    pub(super) known: Numbers,
    pub(super) variables: Vec<Variable>,
    pub(super) errors: Vec<Error>,
}

/// What came of compiling an expression.
pub(super) enum Compiled {
    Sound(Expression),
    /// Nothing is wrong with it but with a variable that it reads, which was reported; of what type it would be.
    Tainted(Type),
    /// What is wrong with it was reported.
    Wrong,
}

impl<'d> Compiler<'d> {
    /// Without variables.
    pub(super) fn new(document: &'d Document, environment: Environment) -> Self {
        Self {
            document,
            environment: environment.with_object(VARIABLES, []),
            fields: Vec::new(),
            known: BTreeMap::new(),
            variables: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The program of a template, when all of its expressions are compiled.
    pub(super) fn finish(
        mut self,
        source: &CelSource,
        match_conditions: Vec<Expression>,
        validations: Vec<Validation>,
    ) -> CelProgram {
        let document = self.document;
        let (variables, known) = (self.all_variables(), self.known);
        let mut reads: BTreeSet<(String, ObjectRead)> = BTreeSet::new();
        let messages = validations.iter().filter_map(|validation| validation.message_expression.as_ref());
        let all = match_conditions.iter().chain(validations.iter().map(|validation| &validation.expression));
        for expression in all.chain(messages) {
            reads.extend(reads_of(&variables, &known, &expression.program));
        }
        let reads = bounded(reads);
        let used = used(&reads, Vec::new());
        let told = Told::of_cel(used, source.expressions().map(|text| &*text.text));
        CelProgram {
            document: document.clone(),
            levels: 1 + variables.iter().map(|variable| variable.levels).max().unwrap_or(0),
            operations: source.expressions().count(),
            is_placed: are_placed(&variables, &known),
            numbers: sound(known),
            variables,
            variables_object: CelValue::Object(VARIABLES.into()),
            match_conditions,
            validations,
            failure_policy: source.failure_policy,
            told: Arc::new(told),
            reads: reads.into_iter().collect(),
        }
    }

    /// Another environment with the variables so far.
    pub(super) fn with_variables(&self, environment: Environment) -> Environment {
        let fields = self.fields.iter().map(|(name, ty)| (&**name, ty.clone()));
        environment.with_object(VARIABLES, fields)
    }

    /// That there are more expressions than a template, or another policy, may have. None of them is compiled then.
    pub(super) fn is_too_large<'t>(
        &self,
        what: &str,
        expressions: impl IntoIterator<Item = &'t Text>,
    ) -> Option<Error> {
        let (mut count, mut bytes) = (0_usize, 0_usize);
        for text in expressions {
            count += 1;
            bytes = bytes.saturating_add(text.text.len());
            let message = if count > MAX_EXPRESSIONS {
                format!("the {what} has more than {MAX_EXPRESSIONS} expressions")
            } else if bytes > MAX_TEXT {
                format!("the expressions of the {what} have more than {} KiB together", MAX_TEXT >> 10)
            } else {
                continue;
            };
            return Some(self.error(text, 0, message));
        }
        None
    }

    /// Adds a variable; without a program it is one of which something is wrong.
    pub(super) fn add(
        &mut self,
        name: Arc<str>,
        text: &str,
        result: Type,
        program: Option<portcullis_cel::Program>,
    ) {
        self.environment.add_field(VARIABLES, &name, result.clone());
        self.fields.push((name.clone(), result));
        let number = program.is_some().then_some(self.variables.len());
        self.known.insert(name.clone(), number);
        if let Some(program) = program {
            let reads = self.reads_of(&program);
            let (nesting, levels) = self.depth(&program);
            let bases = reads.iter().map(|(base, _)| base.as_str()).collect();
            let is_of_constraint = program.reads().iter().any(|read| read.variable == PARAMS);
            let variables: Vec<Option<String>> = read_variables(&program).collect();
            let number = |name: &Option<String>| self.known.get(name.as_deref()?).copied().flatten();
            let needs = if variables.contains(&None) {
                (0..self.variables.len()).collect()
            } else {
                variables.iter().filter_map(number).collect()
            };
            let read = Reads { variables, is_of_constraint, bases };
            let lasts = Lasts::of(text, &read, &self.variables, &self.known);
            self.variables.push(Variable { name, program, nesting, levels, reads, lasts, needs });
        }
    }

    /// The variables, when there will be no others. Where two have one name, what a text says of it rests on where it stands.
    pub(super) fn all_variables(&mut self) -> Vec<Variable> {
        let mut variables = std::mem::take(&mut self.variables);
        if self.known.len() < variables.len() {
            for variable in &mut variables {
                variable.lasts = Lasts::Never;
            }
        }
        variables
    }

    pub(super) fn reads_of(&self, program: &portcullis_cel::Program) -> BTreeSet<(String, ObjectRead)> {
        bounded(reads_of(&self.variables, &self.known, program))
    }

    /// Compiles an expression that sees the variables so far.
    pub(super) fn compile(&mut self, text: &Text) -> Compiled {
        let compiled = portcullis_cel::Program::compile(&text.text, &self.environment);
        self.compiled(text, compiled)
    }

    /// Compiles an expression in an environment of its own that has to be of one of some types. Of what is no certain type it is none.
    pub(super) fn compile_to(
        &mut self,
        text: &Text,
        environment: &Environment,
        types: &[Type],
    ) -> Option<Expression> {
        let compiled = portcullis_cel::Program::compile(&text.text, environment);
        let Compiled::Sound(expression) = self.compiled(text, compiled) else { return None };
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

    fn compiled(
        &mut self,
        text: &Text,
        compiled: Result<portcullis_cel::Program, Vec<portcullis_cel::Diagnostic>>,
    ) -> Compiled {
        match compiled {
            Ok(program) if self.is_tainted(&program) => Compiled::Tainted(program.result().clone()),
            Ok(program) if self.depth(&program).0 <= MAX_NESTING => {
                Compiled::Sound(Expression { text: text.clone(), program })
            }
            Ok(_) => {
                let message =
                    format!("with the variables that it reads, it is nested more than {MAX_NESTING} deep");
                self.errors.push(self.error(text, 0, message));
                Compiled::Wrong
            }
            Err(wrong) => {
                let more = wrong.len().saturating_sub(MISTAKES);
                for diagnostic in wrong.into_iter().take(MISTAKES) {
                    let error = self.error(text, diagnostic.at, diagnostic.message);
                    self.errors.push(error);
                }
                if more > 0 {
                    let error = self.error(text, 0, format!("the expression has {more} more mistakes"));
                    self.errors.push(error);
                }
                Compiled::Wrong
            }
        }
    }

    /// Whether something is wrong with a variable that a program reads.
    fn is_tainted(&self, program: &portcullis_cel::Program) -> bool {
        read_variables(program).any(|name| match name {
            Some(name) => matches!(self.known.get(&*name), Some(None)),
            None => self.known.values().any(Option::is_none),
        })
    }

    /// How deep an evaluation may be nested, and how many evaluations are inside of each other.
    fn depth(&self, program: &portcullis_cel::Program) -> (u32, u64) {
        let (mut nesting, mut levels) = (0, 0);
        let mut meets = |variable: &Variable| {
            nesting = nesting.max(variable.nesting.saturating_add(NESTING_OF_VARIABLE));
            levels = levels.max(variable.levels);
        };
        for name in read_variables(program) {
            match name {
                Some(name) => {
                    let number = self.known.get(&*name).copied().flatten();
                    number.and_then(|number| self.variables.get(number)).into_iter().for_each(&mut meets);
                }
                None => self.variables.iter().for_each(&mut meets),
            }
        }
        (program.nesting().saturating_add(nesting), levels + 1)
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

/// The variables of which nothing is wrong.
pub(super) fn sound(known: Numbers) -> BTreeMap<Arc<str>, usize> {
    known.into_iter().filter_map(|(name, number)| Some((name, number?))).collect()
}

/// Whether each variable has a name of its own and its number as its place among the fields of `variables`: they were added
/// in this order, and no other.
pub(super) fn are_placed(variables: &[Variable], known: &Numbers) -> bool {
    let is_there = |(number, variable): (usize, &Variable)| known.get(&variable.name) == Some(&Some(number));
    variables.len() == known.len() && variables.iter().enumerate().all(is_there)
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
