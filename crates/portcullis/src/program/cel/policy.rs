//! The API server's own admission policies: which decisions, audit annotations and patches their expressions come
//! to.
//!
//! What differs from templates: budgets are larger, decisions keep the order of the validations, a mistake in a
//! messageExpression is an error, and parameters are objects.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_cel::{CelValue, Environment, Type, escaped};
use portcullis_rego_syntax::Span;

use super::super::admission::{
    AnnotationAnswer, FieldType, KindType, MutationForm, Naming, ObjectType, PolicyAnswer, PolicyDecision,
    PolicyView,
};
use super::super::follow::Followed;
use super::compile::{Compiled, Compiler, are_placed, sound, used};
use super::evaluate::{Answer, OUT_OF_BUDGET, Phase, Tank, aggregated};
use super::explain::Whose;
use super::kept::Kept;
use super::names::{
    AUTHORIZER, AUTHORIZER_TYPE, REQUEST_RESOURCE, RESOURCE_CHECK_TYPE, Seen, environment_without_variables,
    with_variables,
};
use super::patch::Patch;
use super::reads::{bounded, object_reads, read_variables, reads_of};
use super::{CelProgram, EvaluationError, Expression, Validation};
use crate::analysis::{self, InventoryRead, ObjectRead, Told};
use crate::api::admission_policy::{AdmissionPolicy, DenialReason, Effect, Mutation};
use crate::api::cel::{FailurePolicy, PARAMS};
use crate::error::{Error, ErrorKind, Severity};
use crate::names::Gvk;
use crate::value::Value;

/// What all validations of a policy may cost together, with their messages; and its audit annotations.
const BUDGET: u64 = 10_000_000;
/// How many steps a policy may take of what a template in Rego may: the costs are what is meant to end an
/// evaluation, and those of match conditions, validations and annotations are ten times those of templates.
const STEPS: u64 = 50;

/// A policy's compiled expressions. Immutable and shared by threads.
#[derive(Debug)]
pub(crate) struct PolicyProgram {
    /// Variables, match conditions and validations.
    common: CelProgram,
    /// One for each validation.
    pub(super) reasons: Vec<DenialReason>,
    pub(super) annotations: Vec<Annotation>,
    /// In their order.
    mutations: Vec<(MutationForm, Expression)>,
}

#[derive(Debug)]
pub(super) struct Annotation {
    pub(super) key: Arc<str>,
    pub(super) expression: Expression,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expression").field("text", &self.text.text).finish_non_exhaustive()
    }
}

impl PolicyProgram {
    /// Compiles a policy's expressions. All that is wrong with them comes back, with positions in its document.
    pub(crate) fn compile(policy: &AdmissionPolicy) -> (Option<Self>, Vec<Error>) {
        let document = &policy.document;
        let mut of_messages = environment_without_variables();
        if policy.param_kind.is_some() {
            of_messages = of_messages.with_variable(PARAMS, Type::Dyn);
        }
        let conditions = of_messages
            .clone()
            .with_variable(AUTHORIZER, Type::object(AUTHORIZER_TYPE))
            .with_variable(REQUEST_RESOURCE, Type::object(RESOURCE_CHECK_TYPE));
        let composed = |environment: &Environment| {
            let environment = environment.clone();
            if policy.variables.is_empty() { environment } else { with_variables(environment) }
        };
        let mut compiler = Compiler::new(document, composed(&conditions));
        let texts = policy.expressions();
        if let Some(error) = compiler.is_too_large("policy", texts.iter().copied()) {
            return (None, vec![error.about(policy.subject())]);
        }
        let mut match_conditions = Vec::new();
        for condition in &policy.match_conditions {
            let compiled = compiler.compile_to(&condition.expression, &conditions, &[Type::Bool]);
            match_conditions.extend(compiled);
        }
        compile_variables(policy, &mut compiler);
        let all = compiler.environment.clone();
        let of_messages = compiler.with_variables(composed(&of_messages));
        let (mut validations, mut reasons, mut annotations) = (Vec::new(), Vec::new(), Vec::new());
        if let Effect::Validate { validations: written, audit_annotations } = &policy.effect {
            for validation in written {
                let expression = compiler.compile_to(&validation.expression, &all, &[Type::Bool]);
                let message_expression = validation.message_expression.as_ref();
                let message_expression = message_expression
                    .and_then(|text| compiler.compile_to(text, &of_messages, &[Type::String]));
                let Some(expression) = expression else { continue };
                let reads = compiler.reads_of(&expression.program);
                validations.push(Validation {
                    reads: object_reads(&reads).into(),
                    message: validation.message.clone(),
                    expression,
                    message_expression,
                });
                reasons.push(validation.reason);
            }
            for annotation in audit_annotations {
                let types = [Type::String, Type::Null];
                let expression = compiler.compile_to(&annotation.value, &all, &types);
                if let Some(expression) = &expression
                    && asks_for_rights(&compiler.reads_of(&expression.program))
                {
                    let at = analysis::locate(document, &annotation.value, Span::default());
                    let message =
                        "an API server gives audit annotations no `authorizer`: what reads it has no value";
                    let hint =
                        "let a validation ask, and tell of it with a binding that has the action `Audit`";
                    let warning = Error::warning(ErrorKind::UnknownInput, message).at(at).hint(hint);
                    compiler.errors.push(warning);
                }
                let key = annotation.key.clone();
                annotations.extend(expression.map(|expression| Annotation { key, expression }));
            }
        }
        let mut mutations = Vec::new();
        if let Effect::Mutate { mutations: written, .. } = &policy.effect {
            let patches = all.clone().with_patches();
            for mutation in written {
                let (form, ty) = match mutation {
                    Mutation::ApplyConfiguration(_) => {
                        (MutationForm::ApplyConfiguration, Type::object("Object"))
                    }
                    Mutation::JsonPatch(_) => {
                        (MutationForm::JsonPatch, Type::list(Type::object("JSONPatch")))
                    }
                };
                let expression = compiler.compile_to(mutation.expression(), &patches, &[ty]);
                mutations.extend(expression.map(|expression| (form, expression)));
            }
        }
        let errors: Vec<Error> =
            compiler.errors.iter().map(|error| error.clone().about(policy.subject())).collect();
        if errors.iter().any(|error| error.severity() == Severity::Error) {
            return (None, errors);
        }
        let (variables, known) = (compiler.all_variables(), compiler.known);
        let mut reads: BTreeSet<(String, ObjectRead)> = BTreeSet::new();
        let messages = validations.iter().filter_map(|validation| validation.message_expression.as_ref());
        let expressions = match_conditions
            .iter()
            .chain(validations.iter().map(|validation| &validation.expression))
            .chain(annotations.iter().map(|annotation| &annotation.expression))
            .chain(mutations.iter().map(|(_, expression)| expression));
        for expression in expressions.chain(messages) {
            reads.extend(reads_of(&variables, &known, &expression.program));
        }
        let reads = bounded(reads);
        let parameters = policy.param_kind.iter().map(|kind| InventoryRead {
            api_version: Some(kind.api_version().into()),
            kind: Some(kind.kind.clone()),
            fields: None,
        });
        let used = used(&reads, parameters.collect());
        let told = Told::of_cel(used, texts.iter().map(|text| &*text.text));
        let common = CelProgram {
            document: document.clone(),
            levels: 1 + variables.iter().map(|variable| variable.levels).max().unwrap_or(0),
            operations: texts.len(),
            is_placed: are_placed(&variables, &known),
            numbers: sound(known),
            variables,
            variables_object: CelValue::Object(super::VARIABLES.into()),
            match_conditions,
            validations,
            failure_policy: policy.failure_policy,
            told: Arc::new(told),
            reads: reads.into_iter().collect(),
        };
        (Some(Self { common, reasons, annotations, mutations }), errors)
    }

    /// What is wrong with the expressions of a policy, if its objects are of a kind: warnings, as evaluating does not
    /// go by types.
    pub(crate) fn check_types(
        policy: &AdmissionPolicy,
        kind: &Gvk,
        objects: &KindType,
        params: Option<&KindType>,
    ) -> Vec<Error> {
        let Effect::Validate { validations, .. } = &policy.effect else { return Vec::new() };
        let mut environment = with_variables(environment_without_variables());
        for object in objects.objects.iter().chain(params.into_iter().flat_map(|params| &params.objects)) {
            environment = with_fields(environment, object);
        }
        let object = type_of(&objects.whole);
        let of_params = params.map_or(Type::Dyn, |params| type_of(&params.whole));
        environment = environment
            .with_variable("object", object.clone())
            .with_variable("oldObject", object)
            // An API server that checks types does not know `authorizer.requestResource`.
            .with_variable(AUTHORIZER, Type::object(AUTHORIZER_TYPE));
        if policy.param_kind.is_some() {
            environment = environment.with_variable(PARAMS, of_params);
        }
        let mut compiler = Compiler::new(&policy.document, environment);
        for variable in &policy.variables {
            // What is wrong with one is said where it is used.
            let ty = portcullis_cel::Program::compile(&variable.expression.text, &compiler.environment)
                .map_or(Type::Dyn, |program| shown(program.result()));
            compiler.add(variable.name.clone(), "", ty, None);
        }
        let environment = compiler.environment.clone();
        let mut warnings = Vec::new();
        for text in validations
            .iter()
            .flat_map(|validation| [Some(&validation.expression), validation.message_expression.as_ref()])
            .flatten()
        {
            let Err(wrong) = portcullis_cel::Program::compile(&text.text, &environment) else { continue };
            warnings.extend(wrong.into_iter().map(|diagnostic| {
                let message = format!("of a `{kind}`: {}", diagnostic.message);
                compiler.error(text, diagnostic.at, message).into_warning().about(policy.subject())
            }));
        }
        warnings
    }

    /// The forms of its mutations, in their order.
    pub(crate) fn mutations(&self) -> impl Iterator<Item = MutationForm> {
        self.mutations.iter().map(|(form, _)| *form)
    }

    /// Whether its match conditions hold. The inner error is one of theirs, the outer one of the engine.
    pub(crate) fn holds(
        &self,
        view: &PolicyView<'_>,
    ) -> Result<Result<bool, EvaluationError>, EvaluationError> {
        let held =
            self.within(view, |tank, cost| self.matches(&view.seen(view.condition_request), tank, cost));
        held.0
    }

    /// What the expression of a mutation comes to. The inner error is its own, the outer one of the engine.
    pub(crate) fn patch(
        &self,
        number: usize,
        view: &PolicyView<'_>,
    ) -> Result<Result<Patch, EvaluationError>, EvaluationError> {
        let made = self.within(view, |tank, cost| {
            let seen = view.seen(view.request);
            let mut phase = Phase::new(&self.common, &seen, tank, BUDGET);
            let Some((_, expression)) = self.mutations.get(number) else {
                return Ok(Err(EvaluationError::new("there is no such mutation: please report this")));
            };
            Ok(match phase.evaluate(expression, cost)? {
                Answer::Value(value) => Ok(Patch::new(value)),
                Answer::Error(error) => Err(error),
                Answer::Unknown(error) => return Err(error),
                Answer::OutOfBudget => Err(EvaluationError::new(OUT_OF_BUDGET)),
            })
        });
        made.0
    }

    fn within<T>(
        &self,
        view: &PolicyView<'_>,
        run: impl FnOnce(&Tank<'_>, &Cell<u64>) -> Result<T, EvaluationError>,
    ) -> (Result<T, EvaluationError>, u64) {
        self.common.within(view.limits, STEPS, view.watch, &Kept::default(), view.asking, run)
    }

    /// Whether it may ask about rights.
    pub(crate) fn may_ask(&self) -> bool {
        asks_for_rights(&self.common.reads)
    }

    pub(crate) fn common(&self) -> &CelProgram {
        &self.common
    }

    /// What it says of a request, and what that cost, if it was counted. Never panics.
    ///
    /// # Errors
    ///
    /// If a limit of the engine ends an evaluation, or only a cluster could answer: that is never a pass,
    /// whatever the policy says of failures.
    pub(crate) fn evaluate(
        &self,
        view: &PolicyView<'_>,
    ) -> (Result<PolicyAnswer, EvaluationError>, Option<u64>) {
        if let Some(answer) = self.say_briefly(view) {
            return (Ok(answer), None);
        }
        let (answer, cost) = self.within(view, |tank, cost| {
            match self.matches(&view.seen(view.condition_request), tank, cost)? {
                Ok(true) => self.judge(&view.seen(view.request), tank, cost),
                Ok(false) => Ok(PolicyAnswer::default()),
                Err(error) => Ok(PolicyAnswer::of_error(error)),
            }
        });
        (answer, Some(cost))
    }

    /// Why it says what it says of a request, by evaluating the parts of its expressions. Never panics.
    pub(crate) fn follow(&self, view: &PolicyView<'_>) -> Followed {
        let (followed, _) = self.within(view, |tank, cost| {
            let (conditions, seen) = (view.seen(view.condition_request), view.seen(view.request));
            Ok(self.common.explained(&conditions, &seen, tank, cost, BUDGET, Whose::Policy))
        });
        followed.unwrap_or_else(Followed::of_error)
    }

    /// Whether all match conditions hold. The inner error is one of theirs.
    fn matches(
        &self,
        seen: &Seen,
        tank: &Tank<'_>,
        cost: &Cell<u64>,
    ) -> Result<Result<bool, EvaluationError>, EvaluationError> {
        // They see no Namespace.
        let mut phase = Phase::of_conditions(&self.common, seen, tank);
        let (mut failed, mut passes) = (Vec::new(), true);
        let mut unknown = None;
        for condition in &self.common.match_conditions {
            match phase.evaluate(condition, cost)? {
                Answer::Value(value) => passes &= value.as_bool() == Some(true),
                Answer::Error(error) => failed.push(error),
                // The others may ask as well: all that is asked at once.
                Answer::Unknown(error) => unknown = unknown.or(Some(error)),
                Answer::OutOfBudget => return Ok(Err(EvaluationError::new(OUT_OF_BUDGET))),
            }
        }
        // One that does not hold decides, whatever the others come to.
        if let (true, Some(error)) = (passes, unknown) {
            return Err(error);
        }
        Ok(if passes && !failed.is_empty() { Err(aggregated(failed)) } else { Ok(passes) })
    }

    fn judge(&self, seen: &Seen, tank: &Tank<'_>, cost: &Cell<u64>) -> Result<PolicyAnswer, EvaluationError> {
        let out_of_budget = || PolicyAnswer::of_error(EvaluationError::new(OUT_OF_BUDGET));
        let mut phase = Phase::new(&self.common, seen, tank, BUDGET);
        let mut answers = Vec::new();
        let mut unknown = None;
        for validation in &self.common.validations {
            match phase.evaluate(&validation.expression, cost)? {
                Answer::OutOfBudget => return unknown.map_or_else(|| Ok(out_of_budget()), Err),
                Answer::Unknown(error) => unknown = unknown.or(Some(error)),
                answer => answers.push(answer),
            }
        }
        if let Some(error) = unknown {
            return Err(error);
        }
        let mut phase = Phase::of_texts(&self.common, seen, tank, phase.left);
        let messages = self.messages(&mut phase, cost);
        let mut decisions = Vec::new();
        let rows = self.common.validations.iter().zip(&self.reasons).zip(answers).enumerate();
        for (number, ((validation, reason), answer)) in rows {
            decisions.push(match (answer, &messages) {
                (Answer::Error(error) | Answer::Unknown(error), _) => PolicyDecision::Error(error),
                (_, None) => {
                    let message = format!("failed messageExpression: {OUT_OF_BUDGET}");
                    PolicyDecision::Error(EvaluationError::new(message))
                }
                (Answer::Value(value), _) if value.as_bool() == Some(true) => PolicyDecision::Admit,
                (Answer::Value(_) | Answer::OutOfBudget, Some(messages)) => PolicyDecision::Deny {
                    message: validation.said(messages.get(number).cloned().flatten()),
                    reason: *reason,
                    reads: validation.reads.clone(),
                },
            });
        }
        let mut phase = Phase::of_texts(&self.common, seen, tank, BUDGET);
        let mut annotations = Vec::new();
        for annotation in &self.annotations {
            let answer = match phase.evaluate(&annotation.expression, cost)? {
                Answer::OutOfBudget => return Ok(out_of_budget()),
                Answer::Unknown(error) => return Err(error),
                Answer::Error(error) => AnnotationAnswer::Error(error),
                Answer::Value(CelValue::String(text)) if !text.as_str().trim().is_empty() => {
                    AnnotationAnswer::Value(text.as_str().trim().to_owned())
                }
                Answer::Value(_) => AnnotationAnswer::Nothing,
            };
            annotations.push((annotation.key.clone(), answer));
        }
        Ok(PolicyAnswer { decisions, annotations })
    }

    /// What the messageExpressions say; none of all, if they cost too much together. One that fails says nothing.
    fn messages(&self, phase: &mut Phase<'_>, cost: &Cell<u64>) -> Option<Vec<Option<String>>> {
        let mut messages = Vec::new();
        for validation in &self.common.validations {
            let expression = validation.message_expression.as_ref();
            messages.push(match expression.map(|expression| phase.evaluate(expression, cost)) {
                Some(Ok(Answer::Value(value))) => value.as_str().map(str::to_owned),
                Some(Ok(Answer::OutOfBudget)) => return None,
                None | Some(Err(_) | Ok(Answer::Error(_) | Answer::Unknown(_))) => None,
            });
        }
        Some(messages)
    }

    pub(crate) fn failure_policy(&self) -> FailurePolicy {
        self.common.failure_policy
    }
}

/// Whether what is read has to do with rights.
fn asks_for_rights<'r>(reads: impl IntoIterator<Item = &'r (String, ObjectRead)>) -> bool {
    reads.into_iter().any(|(variable, _)| [AUTHORIZER, REQUEST_RESOURCE].contains(&&**variable))
}

/// Compiles the variables, each with those before it. Of those with the same name the last one counts, as in an
/// API server: also for what was compiled before it, so that one must never come back to itself.
fn compile_variables(policy: &AdmissionPolicy, compiler: &mut Compiler<'_>) {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (number, variable) in policy.variables.iter().enumerate() {
        last.insert(&variable.name, number);
    }
    for (number, variable) in policy.variables.iter().enumerate() {
        let name = variable.name.clone();
        let expression = match compiler.compile(&variable.expression) {
            Compiled::Sound(expression) => expression,
            // What reads it is not wrong for that.
            Compiled::Tainted(result) => {
                compiler.add(name, "", result, None);
                continue;
            }
            Compiled::Wrong => {
                compiler.add(name, "", Type::Dyn, None);
                continue;
            }
        };
        let is_later = |name: &String| last.get(name.as_str()).is_some_and(|other| *other >= number);
        if let Some(name) = read_variables(&expression.program).flatten().find(is_later) {
            let message = format!(
                "the variable `{name}` is there twice, and the last one counts: this one would need itself"
            );
            let error = compiler.error(&variable.expression, 0, message);
            compiler.errors.push(error);
        }
        let result = expression.program.result().clone();
        compiler.add(name, &expression.text.text, result, Some(expression.program));
    }
}

/// A type of CEL for what a field may be.
fn type_of(ty: &FieldType) -> Type {
    match ty {
        FieldType::Any => Type::Dyn,
        FieldType::Bool => Type::Bool,
        FieldType::Integer => Type::Int,
        FieldType::Float => Type::Double,
        FieldType::Text => Type::String,
        FieldType::Bytes => Type::Bytes,
        FieldType::Moment => Type::Timestamp,
        FieldType::Duration => Type::Duration,
        FieldType::List(of) => Type::list(type_of(of)),
        FieldType::Map(of) => Type::map(Type::String, type_of(of)),
        FieldType::Object(name) => Type::object(name),
    }
}

/// An environment with the type of an object.
fn with_fields(environment: Environment, object: &ObjectType) -> Environment {
    let named = object.fields.iter().filter_map(|(field, ty)| {
        let name = match object.naming {
            Naming::AsWritten => field.clone(),
            Naming::Escaped => escaped(field)?,
        };
        Some((name, type_of(ty)))
    });
    let fields: Vec<(String, Type)> = named.collect();
    environment.with_object(&object.name, fields.iter().map(|(field, ty)| (field.as_str(), ty.clone())))
}

/// The type that a variable has for others: of objects nothing is known.
fn shown(ty: &Type) -> Type {
    match ty {
        Type::List(of) => Type::list(shown(of)),
        Type::Map(of) => Type::map(shown(&of.0), shown(&of.1)),
        Type::Object(_) => Type::Dyn,
        other => other.clone(),
    }
}

impl PolicyView<'_> {
    pub(super) fn seen(&self, request: &Value) -> Seen {
        Seen::of_policy(request, self.object.clone(), self.old_object.clone(), self.params.clone())
    }
}
