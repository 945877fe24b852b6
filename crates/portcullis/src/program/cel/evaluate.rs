//! Evaluating: match conditions, validations and messages, each within a budget.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use portcullis_cel::{Activation, CelValue, EvalError, EvalErrorKind};
use portcullis_rego_syntax::Span;
use portcullis_value::{Budget, LimitKind, Limits, Watch};

use super::super::coverage::{CoveredKind, CoveredPlace, PolicyCoverage};
use super::names::{AUTHORIZER, AUTHORIZER_TYPE, REQUEST_RESOURCE, RESOURCE_CHECK_TYPE, Seen};
use super::{
    CelProgram, Evaluation, EvaluationError, Expression, RawViolation, Surroundings, VARIABLES, Validation,
};
use crate::analysis;
use crate::api::cel::{FailurePolicy, PARAMS};
use crate::value::Value;

/// What all validations of a constraint may cost together, and then all their messages.
const BUDGET: u64 = 1_000_000;
/// What its match conditions may cost.
pub(super) const MATCH_BUDGET: u64 = 2_500_000;
/// Longest message that an expression may make.
const LONGEST_MESSAGE: usize = 5 << 10;
/// How many steps a constraint may take of what one in Rego may: the costs are what is meant to end an
/// evaluation, and a step costs about 1.
const STEPS: u64 = 5;

pub(super) const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl CelProgram {
    /// What it says of one review. Never panics: a panic would be an error of this evaluation.
    pub(in crate::program) fn evaluate(
        &self,
        input: &[(Value, Value)],
        surroundings: &Surroundings<'_>,
    ) -> Evaluation {
        let (limits, watch) = (surroundings.limits, surroundings.watch);
        let said = |expression: &Expression, answer: &Answer| {
            if let Some(coverage) = surroundings.coverage {
                coverage.note(self.place(expression, Some(answer)));
            }
        };
        let (result, steps) = self.within(limits, STEPS, watch, |tank, cost| {
            let seen = Seen::of(input, surroundings.constraint);
            self.judge(&seen, tank, cost, &said)
        });
        Evaluation { result, prints: Vec::new(), steps }
    }

    /// Runs what evaluates expressions within limits that they have in common, with so many times the steps. The
    /// second result is what they cost together.
    pub(super) fn within<T>(
        &self,
        limits: Limits,
        times: u64,
        watch: Option<&dyn Watch>,
        run: impl FnOnce(&Tank<'_>, &Cell<u64>) -> Result<T, EvaluationError>,
    ) -> (Result<T, EvaluationError>, u64) {
        let run = || {
            let limits = Limits { steps: limits.steps.saturating_mul(times), ..limits };
            let meter =
                Meter { watch, looks: Cell::new(0), most: limits.steps / LOOK, is_out: Cell::new(false) };
            let tank = Tank {
                limits,
                levels: self.levels,
                meter: &meter,
                steps: Cell::new(0),
                memory: Cell::new(0),
            };
            let cost = Cell::new(0);
            let result = run(&tank, &cost);
            (result, cost.get())
        };
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| (Err(EvaluationError::new("the evaluation panicked: please report this")), 0))
    }

    /// Tells what there is to be reached.
    pub(in crate::program) fn expect_in(&self, coverage: &PolicyCoverage) {
        let validations = self.validations.iter().map(|validation| &validation.expression);
        let all = self.match_conditions.iter().chain(validations);
        coverage.note(all.filter_map(|expression| self.place(expression, None)));
    }

    /// Where an expression stands, and what came of it.
    fn place(&self, expression: &Expression, answer: Option<&Answer>) -> Option<CoveredPlace> {
        let end = u32::try_from(expression.text.text.len()).ok()?;
        let value = match answer {
            Some(Answer::Value(value)) => value.as_bool(),
            Some(Answer::Error(_) | Answer::OutOfBudget) | None => None,
        };
        Some(CoveredPlace {
            location: analysis::locate(&self.document, &expression.text, Span { start: 0, end })?,
            kind: CoveredKind::Condition,
            is_reached: answer.is_some(),
            has_held: value == Some(true),
            has_failed: value == Some(false),
        })
    }

    fn judge(
        &self,
        seen: &Seen,
        tank: &Tank<'_>,
        cost: &Cell<u64>,
        said: &dyn Fn(&Expression, &Answer),
    ) -> Result<Vec<RawViolation>, EvaluationError> {
        // A match condition sees no Namespace.
        let mut phase = Phase::new(self, seen, tank, None, MATCH_BUDGET);
        let mut failed = Vec::new();
        let mut passes = true;
        for condition in &self.match_conditions {
            let answer = phase.evaluate(condition, cost)?;
            said(condition, &answer);
            match answer {
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
            let answer = phase.evaluate(&validation.expression, cost)?;
            said(&validation.expression, &answer);
            match answer {
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
    pub(super) fn said(&self, made: Option<String>) -> String {
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
pub(super) fn aggregated(errors: Vec<EvaluationError>) -> EvaluationError {
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
pub(super) struct Tank<'w> {
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
pub(super) enum Answer {
    Value(CelValue),
    Error(EvaluationError),
    /// The expressions of this phase cost too much together.
    OutOfBudget,
}

/// Expressions that have a budget and the values of variables in common.
pub(super) struct Phase<'a> {
    scope: Scope<'a>,
    /// What is left of its budget.
    pub(super) left: u64,
}

impl<'a> Phase<'a> {
    pub(super) fn new(
        program: &'a CelProgram,
        seen: &'a Seen,
        tank: &'a Tank<'a>,
        namespace: Option<&'a CelValue>,
        left: u64,
    ) -> Self {
        let values = program.variables.iter().map(|_| None).collect();
        // Those of the phase before are gone.
        tank.memory.set(0);
        let scope = Scope {
            program,
            seen,
            tank,
            namespace,
            values: RefCell::new(values),
            known: Cell::new(program.variables.len()),
            cost: Cell::new(0),
        };
        Self { scope, left }
    }

    /// # Errors
    /// If a limit of the engine ends the evaluation, or only a cluster could answer: no policy can ignore that.
    pub(super) fn evaluate(
        &mut self,
        expression: &Expression,
        spent: &Cell<u64>,
    ) -> Result<Answer, EvaluationError> {
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
        if let Err(error) = &evaluation.result
            && error.kind == EvalErrorKind::NeedsCluster
        {
            let (message, location) = (error.message.clone(), location(error.at));
            return Err(EvaluationError { message, location, limit: None });
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
    /// How many of the variables may be read: while one is evaluated, those before it, so that it never needs
    /// itself, and no more are inside of each other than was reckoned with.
    known: Cell<usize>,
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
            // In templates, only variables were compiled with this name.
            PARAMS => self.seen.constraint.clone(),
            // What is asked of these is answered by nobody here.
            AUTHORIZER => CelValue::Object(AUTHORIZER_TYPE.into()),
            REQUEST_RESOURCE => CelValue::Object(RESOURCE_CHECK_TYPE.into()),
            _ => return None,
        })
    }

    fn field(&self, object: &str, field: &str) -> Result<Option<CelValue>, EvalError> {
        if object != VARIABLES {
            return Ok(None);
        }
        let variables = &self.program.variables;
        let Some(&number) = self.program.numbers.get(field) else { return Ok(None) };
        if let Some(known) = self.values.borrow().get(number).and_then(Option::as_ref) {
            return known.clone().map(Some);
        }
        let Some(variable) = variables.get(number).filter(|_| number < self.known.get()) else {
            return Ok(None);
        };
        let known = self.known.replace(number);
        let evaluation = self.tank.evaluate(&variable.program, self, Kept::Yes);
        self.known.set(known);
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
