//! Evaluating: match conditions, validations and messages, each within a budget.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use portcullis_cel::{Activation, CelValue, EvalError, EvalErrorKind, PER_CALL_LIMIT};
use portcullis_rego_syntax::Span;
use portcullis_value::{AccessAnswer, AccessQuestion, Budget, LimitKind, Limits, Questions, Watch};

use super::super::admission::Asking;
use super::super::coverage::{CoveredKind, CoveredPlace, PolicyCoverage};
use super::kept::{Kept, Lasts, Made, Needs, OfReview};
use super::names::{AUTHORIZER, REQUEST_RESOURCE, Seen};
use super::{
    CelProgram, Evaluation, EvaluationError, Expression, RawViolation, Special, Surroundings, VARIABLES,
    Validation, Variable,
};
use crate::analysis;
use crate::api::cel::{FailurePolicy, PARAMS};
use crate::value::Value;

/// What all validations of a constraint may cost together, and then all their messages.
pub(super) const BUDGET: u64 = 1_000_000;
/// What its match conditions may cost.
const MATCH_BUDGET: u64 = 2_500_000;
/// Longest message that an expression may make.
const LONGEST_MESSAGE: usize = 5 << 10;
/// How many steps a constraint may take of what one in Rego may: the costs are what is meant to end an
/// evaluation, and a step costs about 1.
pub(super) const STEPS: u64 = 5;

pub(super) const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl CelProgram {
    /// What it says of one review. Never panics: a panic would be an error of this evaluation.
    pub(in crate::program) fn evaluate<'r>(
        &'r self,
        of_review: &OfReview<'r>,
        input: &[(Value, Value)],
        special: Option<&'r Special>,
        surroundings: &Surroundings<'_>,
    ) -> Evaluation {
        let review = input.iter().find(|(key, _)| key.as_str() == Some("review")).map(|(_, review)| review);
        let review = review.unwrap_or(&Value::NULL);
        let constraint = match special {
            Some(Special::Cel(constraint)) => Some(&**constraint),
            Some(Special::Rego(_)) | None => None,
        };
        let seen = of_review.see(review);
        let brief = seen.and_then(|seen| self.judge_briefly(seen, of_review, constraint, surroundings));
        if let Some(violations) = brief {
            let questions = Questions::default();
            return Evaluation { result: Ok(violations), prints: Vec::new(), steps: None, questions };
        }
        let (limits, watch) = (surroundings.limits, surroundings.watch);
        let said = |expression: &Expression, answer: &Answer| {
            if let Some(coverage) = surroundings.coverage {
                coverage.note(self.place(expression, Some(answer)));
            }
        };
        let kept = if seen.is_some() { Kept::of(of_review.counted(), constraint) } else { Kept::default() };
        let seen = match seen {
            Some(seen) => {
                Seen { constraint: CelValue::from(surroundings.constraint.clone()), ..seen.clone() }
            }
            None => Seen::of(review, surroundings.constraint),
        };
        let (result, steps) = self.within(limits, STEPS, watch, &kept, &Asking::nobody(), |tank, cost| {
            self.judge(&seen, tank, cost, &said)
        });
        Evaluation { result, prints: Vec::new(), steps: Some(steps), questions: Questions::default() }
    }

    /// Runs what evaluates expressions within limits that they have in common, with so many times the steps. The
    /// second result is what they cost together.
    pub(super) fn within<T>(
        &self,
        limits: Limits,
        times: u64,
        watch: Option<&dyn Watch>,
        kept: &Kept<'_>,
        asking: &Asking<'_>,
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
                kept,
                asking,
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
            Some(Answer::Error(_) | Answer::Unknown(_) | Answer::OutOfBudget) | None => None,
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
        let mut failed = Vec::new();
        let mut passes = true;
        if !self.match_conditions.is_empty() {
            let mut phase = Phase::of_conditions(self, seen, tank);
            for condition in &self.match_conditions {
                let answer = phase.evaluate(condition, cost)?;
                said(condition, &answer);
                match answer {
                    Answer::Value(value) => passes &= value.as_bool() == Some(true),
                    Answer::Error(error) => failed.push(error),
                    Answer::Unknown(error) => return Err(error),
                    Answer::OutOfBudget => return self.unknown(vec![EvaluationError::new(OUT_OF_BUDGET)]),
                }
            }
        }
        if !passes {
            return Ok(Vec::new());
        }
        if !failed.is_empty() {
            return self.unknown(vec![aggregated(failed)]);
        }
        let mut phase = Phase::new(self, seen, tank, BUDGET);
        let mut answers = Vec::with_capacity(self.validations.len());
        for validation in &self.validations {
            let answer = phase.evaluate(&validation.expression, cost)?;
            said(&validation.expression, &answer);
            match answer {
                Answer::OutOfBudget => return self.unknown(vec![EvaluationError::new(OUT_OF_BUDGET)]),
                Answer::Unknown(error) => return Err(error),
                answer => answers.push(answer),
            }
        }
        let left = phase.left;
        let mut phase = Phase::of_texts(self, seen, tank, left);
        let mut messages = Vec::with_capacity(self.validations.len());
        let mut has_messages = true;
        for validation in &self.validations {
            let message = match &validation.message_expression {
                None => None,
                Some(expression) => match phase.evaluate(expression, cost)? {
                    Answer::Value(value) => value.as_str().map(str::to_owned),
                    Answer::Error(_) => None,
                    Answer::Unknown(error) => return Err(error),
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
                Answer::Error(error) | Answer::Unknown(error) => unknown.push(error),
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
        let made = made.as_deref().map(str::trim).filter(|made| {
            !made.is_empty()
                && made.len() <= LONGEST_MESSAGE
                && !made.as_bytes().contains(&b'\n')
                && !made.as_bytes().contains(&b'\r')
        });
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
    /// What was made before.
    kept: &'w Kept<'w>,
    /// What a cluster says of rights.
    asking: &'w Asking<'w>,
    steps: Cell<u64>,
    memory: Cell<u64>,
}

impl Tank<'_> {
    /// What one evaluation may use now.
    fn limits(&self) -> Limits {
        let memory = self.limits.memory.saturating_sub(self.memory.get());
        Limits {
            steps: self.limits.steps.saturating_sub(self.steps.get()),
            // So that all that may be inside of each other have no more together.
            memory: memory / self.levels.max(1),
            ..self.limits
        }
    }

    /// Uses what the evaluation of a variable takes, whose value stays until the end of the phase.
    fn charge(&self, steps: u64, memory: u64) {
        self.steps.set(self.steps.get().saturating_add(steps));
        self.memory.set(self.memory.get().saturating_add(memory));
    }

    /// Evaluates an expression. The others of the result are the steps and the bytes that it took.
    pub(super) fn evaluate(
        &self,
        program: &portcullis_cel::Program,
        activation: &dyn Activation,
    ) -> (portcullis_cel::Evaluation, u64, u64) {
        let mut budget = Budget::new(self.limits(), Some(self.meter));
        let room = self.kept.room();
        let mut evaluation = program.evaluate_in(room, activation, &mut budget, PER_CALL_LIMIT);
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
        (evaluation, budget.steps(), budget.memory())
    }
}

/// What an expression came to.
pub(super) enum Answer {
    Value(CelValue),
    Error(EvaluationError),
    /// Only a cluster could answer. That is never a pass, whatever the policy says of failures.
    Unknown(EvaluationError),
    /// The expressions of this phase cost too much together.
    OutOfBudget,
}

/// Expressions that have a budget and the values of variables in common.
pub(super) struct Phase<'a> {
    scope: Scope<'a>,
    /// What is left of its budget.
    pub(super) left: u64,
}

/// Which expressions are evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Match conditions, which see no Namespace.
    Conditions,
    /// Validations and mutations.
    Validations,
    /// Messages and audit annotations, to which an API server gives no `authorizer`, though it compiles annotations as if it did.
    Texts,
}

impl<'a> Phase<'a> {
    /// That of the match conditions.
    pub(super) fn of_conditions(program: &'a CelProgram, seen: &'a Seen, tank: &'a Tank<'a>) -> Self {
        Self::of(program, seen, tank, Which::Conditions, MATCH_BUDGET)
    }

    /// That of the validations, or of the mutations.
    pub(super) fn new(program: &'a CelProgram, seen: &'a Seen, tank: &'a Tank<'a>, left: u64) -> Self {
        Self::of(program, seen, tank, Which::Validations, left)
    }

    /// That of what is told of them: messages, or audit annotations.
    pub(super) fn of_texts(program: &'a CelProgram, seen: &'a Seen, tank: &'a Tank<'a>, left: u64) -> Self {
        Self::of(program, seen, tank, Which::Texts, left)
    }

    fn of(program: &'a CelProgram, seen: &'a Seen, tank: &'a Tank<'a>, which: Which, left: u64) -> Self {
        let values = program.variables.iter().map(|_| OnceCell::new()).collect();
        // Those of the phase before are gone.
        tank.memory.set(0);
        let scope = Scope {
            program,
            seen,
            tank,
            which,
            values,
            known: Cell::new(program.variables.len()),
            cost: Cell::new(0),
            making: Cell::new(None),
            needs: RefCell::new(None),
            looks: Cell::new(0),
            authorizer: OnceCell::new(),
            request_resource: OnceCell::new(),
        };
        Self { scope, left }
    }

    /// What expressions of this phase may name.
    pub(super) fn names(&self) -> &(dyn Activation + 'a) {
        &self.scope
    }

    /// # Errors
    /// If a limit of the engine ends the evaluation: no policy can ignore that.
    pub(super) fn evaluate(
        &mut self,
        expression: &Expression,
        spent: &Cell<u64>,
    ) -> Result<Answer, EvaluationError> {
        let tank = self.scope.tank;
        let (evaluation, steps, _) = tank.evaluate(&expression.program, &self.scope);
        // What it made is gone when it was looked at.
        tank.charge(steps, 0);
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
            return Ok(Answer::Unknown(EvaluationError { message, location, limit: None }));
        }
        // Where an answer is missing, more is evaluated than with it: what that costs is not what it will have cost.
        let costs_too_much =
            |message: &str| format!("what `authorizer` asks is not known, and without it: {message}");
        let is_open = tank.asking.is_open();
        if let Err(error) = &evaluation.result
            && error.kind == EvalErrorKind::Cost
            && is_open
        {
            let (message, location) = (costs_too_much(&error.message), location(error.at));
            return Ok(Answer::Unknown(EvaluationError { message, location, limit: None }));
        }
        let Some(left) = self.left.checked_sub(cost) else {
            let unknown = || Answer::Unknown(EvaluationError::new(costs_too_much(OUT_OF_BUDGET)));
            return Ok(if is_open { unknown() } else { Answer::OutOfBudget });
        };
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

/// What a variable is worth, once it was read.
type Known = OnceCell<Result<Arc<Made>, EvalError>>;

/// The names of expressions, and what they are worth.
struct Scope<'a> {
    program: &'a CelProgram,
    seen: &'a Seen,
    tank: &'a Tank<'a>,
    which: Which,
    /// Those of the variables that were read.
    values: Box<[Known]>,
    /// How many of the variables may be read: while one is evaluated, those before it, so that it never needs
    /// itself, and no more are inside of each other than was reckoned with.
    known: Cell<usize>,
    /// What they cost, since somebody last asked.
    cost: Cell<u64>,
    /// The variable that is made now.
    making: Cell<Option<usize>>,
    /// What was read for it; none if that cannot be told, so that it is not kept.
    needs: RefCell<Option<Needs>>,
    /// How often a watch was looked at for these.
    looks: Cell<u64>,
    authorizer: OnceCell<CelValue>,
    request_resource: OnceCell<CelValue>,
}

impl Scope<'_> {
    /// The value of a variable; none, if it may not be read yet.
    fn read(&self, number: usize) -> Result<Option<&CelValue>, EvalError> {
        self.note(number);
        let Some(place) = self.values.get(number) else { return Ok(None) };
        if place.get().is_none() {
            let Some(variable) = self.program.variables.get(number).filter(|_| number < self.known.get())
            else {
                return Ok(None);
            };
            let result = self.make(number, variable);
            // Nobody else was asked for it: none needs itself.
            let _ = place.set(result);
        }
        place.get().map(|known| known.as_ref().map(|made| &made.value).map_err(Clone::clone)).transpose()
    }

    /// Notes that a variable was read for the one that is made.
    fn note(&self, number: usize) {
        let Some(making) = self.making.get() else { return };
        let mut needs = self.needs.borrow_mut();
        let Some(known) = needs.as_mut() else { return };
        let of = self.program.variables.get(making).map_or(&[][..], |variable| &variable.needs);
        let place = of.iter().position(|need| *need == number).and_then(|place| u8::try_from(place).ok());
        match place {
            Some(place) if known.contains(&place) => {}
            Some(place) => known.push(place),
            None => *needs = None,
        }
    }

    /// The value of a variable that is read for the first time.
    #[inline(never)]
    fn make(&self, number: usize, variable: &Variable) -> Result<Arc<Made>, EvalError> {
        let known = self.known.replace(number);
        let making = self.making.replace(Some(number));
        let needs = self.needs.replace(Some(Needs::new()));
        let (below, start) = (self.looks.replace(0), self.tank.meter.looks.get());
        let kept = self.tank.kept;
        // What match conditions see may be something else than what is seen after them.
        let is_other = self.which == Which::Conditions;
        let lasts = match variable.lasts {
            _ if is_other && kept.is_alone() => Lasts::Never,
            Lasts::Evaluation if is_other => Lasts::Never,
            lasts => lasts,
        };
        let is_taken_over = |made: &Arc<Made>| self.is_taken_over(variable, made);
        let result = match kept.get(self.program, number, lasts).filter(is_taken_over) {
            Some(made) => Ok(made),
            None => self.make_anew(number, variable, start, lasts),
        };
        self.known.set(known);
        self.making.set(making);
        self.needs.replace(needs);
        let taken = self.tank.meter.looks.get().saturating_sub(start);
        self.looks.set(below.saturating_add(taken));
        result
    }

    fn make_anew(
        &self,
        number: usize,
        variable: &Variable,
        start: u64,
        lasts: Lasts,
    ) -> Result<Arc<Made>, EvalError> {
        let (evaluation, steps, memory) = self.tank.evaluate(&variable.program, self);
        self.tank.charge(steps, memory);
        self.cost.set(self.cost.get().saturating_add(evaluation.cost));
        let value = evaluation.result.map_err(|error| EvalError {
            message: match error.kind {
                EvalErrorKind::Limit(_) => error.message,
                _ => {
                    format!("composited variable \"{}\" fails to evaluate: {}", variable.name, error.message)
                }
            },
            ..error
        })?;
        let taken = self.tank.meter.looks.get().saturating_sub(start);
        let needs = self.needs.take();
        let lasts = if needs.is_some() { lasts } else { Lasts::Never };
        let made = Arc::new(Made {
            value,
            cost: evaluation.cost,
            steps,
            memory,
            looks: taken.saturating_sub(self.looks.get()),
            needs: needs.unwrap_or_default(),
        });
        self.tank.kept.keep(self.program, number, lasts, &made);
        Ok(made)
    }

    /// Takes over what was made before, for the same charge. It is not, if there is not so much left.
    fn is_taken_over(&self, variable: &Variable, made: &Made) -> bool {
        let (limits, meter) = (self.tank.limits(), self.tank.meter);
        let looks = meter.looks.get().saturating_add(made.looks);
        if made.steps > limits.steps
            || made.memory > limits.memory
            || looks > meter.most
            || meter.is_out.get()
        {
            return false;
        }
        for place in &made.needs {
            let number = variable.needs.get(usize::from(*place));
            let read = number.map_or(Ok(None), |number| self.read(*number));
            if matches!(read, Err(EvalError { kind: EvalErrorKind::Limit(_) | EvalErrorKind::Cost, .. })) {
                return false;
            }
        }
        let looks = meter.looks.get().saturating_add(made.looks);
        if looks > meter.most || meter.is_out.get() {
            return false;
        }
        meter.looks.set(looks);
        self.tank.charge(made.steps, made.memory);
        self.cost.set(self.cost.get().saturating_add(made.cost));
        true
    }
}

impl Activation for Scope<'_> {
    fn variable(&self, name: &str) -> Option<&CelValue> {
        Some(match name {
            "object" => &self.seen.object,
            "oldObject" => &self.seen.old_object,
            "request" => &self.seen.request,
            "namespaceObject" if self.which == Which::Conditions => &CelValue::Null,
            "namespaceObject" => &self.seen.namespace,
            "variables" => &self.program.variables_object,
            // In templates, only variables were compiled with this name.
            PARAMS => &self.seen.constraint,
            AUTHORIZER | REQUEST_RESOURCE if self.which == Which::Texts => return None,
            AUTHORIZER => self.authorizer.get_or_init(|| CelValue::Rights(Arc::new(self.seen.authorizer()))),
            REQUEST_RESOURCE => {
                let rights = || CelValue::Rights(Arc::new(self.seen.request_resource()));
                self.request_resource.get_or_init(rights)
            }
            _ => return None,
        })
    }

    fn field(&self, object: &str, field: &str, place: Option<u32>) -> Result<Option<&CelValue>, EvalError> {
        if object != VARIABLES {
            return Ok(None);
        }
        let Some(number) = self.program.number_of(field, place) else { return Ok(None) };
        self.read(number)
    }

    fn access(&self, question: &AccessQuestion) -> Option<AccessAnswer> {
        self.tank.asking.access(question)
    }
}
