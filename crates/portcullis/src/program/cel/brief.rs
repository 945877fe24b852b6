//! Evaluating without counting, where nobody asks what it costs. Whatever is not sure is evaluated by `evaluate.rs` from the
//! beginning: it is the one that says what is right.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use portcullis_cel::{Allowance, CelValue, Names, Sight, Stop, Text};
use portcullis_value::{Limits, Watch};

use super::evaluate::{BUDGET, STEPS};
use super::kept::{Briefly, Digest, Lasts, OfConstraint, OfReview};
use super::names::Seen;
use super::policy::PolicyProgram;
use super::{CelProgram, Expression, RawViolation, Surroundings, Validation};
use crate::api::cel::PARAMS;
use crate::program::Counting;
use crate::program::admission::{AnnotationAnswer, PolicyAnswer, PolicyDecision, PolicyView};
use crate::value::Value;

/// Longest name of a variable of which it is known that it has no value: its error has the name.
const LONGEST_NAME: usize = 100;

impl CelProgram {
    /// What it says of a review, if that is known without counting. Never panics.
    pub(super) fn judge_briefly<'r>(
        &'r self,
        seen: &'r Seen,
        review: &OfReview<'r>,
        of_constraint: Option<&'r OfConstraint>,
        surroundings: &Surroundings<'_>,
    ) -> Option<Vec<RawViolation>> {
        let is_counted = surroundings.counting == Counting::Always || surroundings.coverage.is_some();
        if is_counted || surroundings.watch.is_some_and(Watch::is_over) {
            return None;
        }
        let constraint = review.desk().keep(CelValue::from(surroundings.constraint.clone()), 0)?;
        let at = At { program: self, seen, constraint, review: Some(review), of_constraint };
        let allowance = self.allowance(review.desk(), surroundings.limits);
        catch_unwind(AssertUnwindSafe(|| self.judged(at, &allowance))).ok().flatten()
    }

    fn judged<'r>(&'r self, at: At<'r, '_>, allowance: &Allowance<'r>) -> Option<Vec<RawViolation>> {
        // They have variables of their own, and see no Namespace.
        let conditions = Scope::of(at, &CelValue::Null, allowance, self.match_conditions.is_empty());
        let names = Scope::of(at, &at.seen.namespace, allowance, self.validations.is_empty());
        if !conditions.all_hold()? {
            return Some(Vec::new());
        }
        let mut violations = Vec::new();
        for validation in &self.validations {
            if let Said::Fails(message) = names.said(validation)? {
                violations.push(RawViolation {
                    reads: Some(validation.reads.clone()),
                    ..RawViolation::new(message, Value::new_object())
                });
            }
        }
        violations.sort_by(|a, b| a.message.cmp(&b.message));
        Some(violations)
    }

    /// What all of it may take. Where it is counted, messages and annotations are evaluated with variables of their own, and
    /// so take as much again each. All that may be inside of each other have no more memory together.
    fn allowance<'r>(&self, desk: &'r portcullis_cel::Desk<'r>, limits: Limits) -> Allowance<'r> {
        let steps = limits.steps.saturating_mul(STEPS) / 3;
        Allowance::within(desk, BUDGET / 2, steps, limits.memory / self.levels.max(1))
    }
}

impl PolicyProgram {
    /// What it says of a request, if that is known without counting. Never panics.
    pub(super) fn say_briefly(&self, view: &PolicyView<'_>) -> Option<PolicyAnswer> {
        if view.counting == Counting::Always || view.watch.is_some_and(Watch::is_over) {
            return None;
        }
        catch_unwind(AssertUnwindSafe(|| self.said_briefly(view))).ok().flatten()
    }

    fn said_briefly(&self, view: &PolicyView<'_>) -> Option<PolicyAnswer> {
        let program = self.common();
        let (of_conditions, seen) = (view.seen(view.condition_request), view.seen(view.request));
        let desk = portcullis_cel::Desk::default();
        let allowance = program.allowance(&desk, view.limits);
        let at = |seen| At { program, seen, constraint: &seen.constraint, review: None, of_constraint: None };
        let conditions =
            Scope::of(at(&of_conditions), &CelValue::Null, &allowance, program.match_conditions.is_empty());
        let names = Scope::of(at(&seen), &seen.namespace, &allowance, false);
        if !conditions.all_hold()? {
            return Some(PolicyAnswer::default());
        }
        let mut decisions = Vec::with_capacity(program.validations.len());
        for (validation, reason) in program.validations.iter().zip(&self.reasons) {
            decisions.push(match names.said(validation)? {
                Said::Holds => PolicyDecision::Admit,
                Said::Fails(message) => {
                    PolicyDecision::Deny { message, reason: *reason, reads: validation.reads.clone() }
                }
            });
        }
        let mut annotations = Vec::new();
        for annotation in &self.annotations {
            let text = annotation.expression.program.evaluate_briefly(&names, &allowance).ok()?;
            let text = text.as_str().map(str::trim).filter(|text| !text.is_empty());
            let answer =
                text.map_or(AnnotationAnswer::Nothing, |text| AnnotationAnswer::Value(text.to_owned()));
            annotations.push((annotation.key.clone(), answer));
        }
        Some(PolicyAnswer { decisions, annotations })
    }
}

/// What is evaluated, and of what.
#[derive(Clone, Copy)]
struct At<'r, 's> {
    program: &'r CelProgram,
    seen: &'r Seen,
    constraint: &'r CelValue,
    review: Option<&'s OfReview<'r>>,
    of_constraint: Option<&'r OfConstraint>,
}

/// The names of expressions, and what they are worth.
struct Scope<'r, 's> {
    at: At<'r, 's>,
    namespace: &'r CelValue,
    allowance: &'s Allowance<'r>,
    /// What variables came to.
    values: Vec<Cell<Known<'r>>>,
    /// Whether one without a value was read for the variable that is made.
    misses: Cell<bool>,
    /// How many of the variables may be read: none needs itself.
    known: Cell<usize>,
}

/// What a validation says, with the message if it does not hold.
enum Said {
    Holds,
    Fails(String),
}

/// What a variable came to.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// It was not read.
    Nothing,
    Value(Sight<'a>),
    NoValue,
    Unsure,
}

/// Where a variable is kept.
enum Place<'a> {
    Review(Digest),
    Constraint(&'a OfConstraint),
    Nowhere,
}

impl<'r, 's> Scope<'r, 's> {
    fn of(at: At<'r, 's>, namespace: &'r CelValue, allowance: &'s Allowance<'r>, is_unused: bool) -> Self {
        let variables = if is_unused { 0 } else { at.program.variables.len() };
        Self {
            at,
            namespace,
            allowance,
            values: vec![Cell::new(Known::Nothing); variables],
            misses: Cell::new(false),
            known: Cell::new(variables),
        }
    }

    /// Whether all match conditions hold.
    fn all_hold(&self) -> Option<bool> {
        let mut all = true;
        for condition in &self.at.program.match_conditions {
            all &= self.truth(condition)?;
        }
        Some(all)
    }

    /// What a validation says. The message of one that holds is evaluated as well: whoever counts charges it.
    fn said(&self, validation: &'r Validation) -> Option<Said> {
        let holds = self.truth(&validation.expression)?;
        let message = match &validation.message_expression {
            None => None,
            Some(expression) => match expression.program.evaluate_briefly(self, self.allowance) {
                Ok(made) if !holds => made.as_str().map(str::to_owned),
                Ok(_) | Err(Stop::NoValue) => None,
                Err(Stop::Unsure) => return None,
            },
        };
        Some(if holds { Said::Holds } else { Said::Fails(validation.said(message)) })
    }

    fn truth(&self, expression: &'r Expression) -> Option<bool> {
        let found = expression.program.evaluate_briefly(self, self.allowance).ok()?;
        Some(found.as_bool() == Some(true))
    }

    fn read(&self, number: usize) -> Result<Sight<'r>, Stop> {
        let place = self.values.get(number).ok_or(Stop::Unsure)?;
        let known = match place.get() {
            Known::Nothing => {
                let made = self.make(number);
                place.set(made);
                made
            }
            known => known,
        };
        match known {
            Known::Value(value) => Ok(value),
            Known::NoValue => {
                self.misses.set(true);
                Err(Stop::NoValue)
            }
            Known::Nothing | Known::Unsure => Err(Stop::Unsure),
        }
    }

    /// The value of a variable that is read for the first time.
    #[inline(never)]
    fn make(&self, number: usize) -> Known<'r> {
        let program = self.at.program;
        let Some(variable) = program.variables.get(number).filter(|_| number < self.known.get()) else {
            return Known::Unsure;
        };
        let place = match (variable.lasts, self.at.of_constraint) {
            (Lasts::Review(digest), _) => Place::Review(digest),
            (Lasts::Constraint, Some(constraint)) => Place::Constraint(constraint),
            (Lasts::Values(_), Some(constraint)) => {
                constraint.brief_key(program, number).map_or(Place::Nowhere, Place::Review)
            }
            _ => Place::Nowhere,
        };
        let known = match place {
            Place::Review(digest) => self.at.review.and_then(|review| review.brief(&digest)),
            Place::Constraint(constraint) => constraint
                .brief(number)
                .map(|known| Briefly { value: Sight::of(&known.value), units: known.units }),
            Place::Nowhere => None,
        };
        if let Some(known) = known {
            let is_enough = self.allowance.take(known.units);
            return if is_enough { Known::Value(known.value) } else { Known::Unsure };
        }
        let before = self.allowance.left();
        let known = self.known.replace(number);
        let misses = self.misses.replace(false);
        let made = variable.program.evaluate_briefly(self, self.allowance);
        self.known.set(known);
        // What says why there is no value grows with each variable that has none.
        let grows = self.misses.replace(misses) || variable.name.len() > LONGEST_NAME;
        let value = match made {
            Ok(value) => value,
            Err(Stop::NoValue) if !grows => return Known::NoValue,
            Err(_) => return Known::Unsure,
        };
        let units = before.saturating_sub(self.allowance.left());
        match place {
            Place::Review(digest) => {
                if let Some(review) = self.at.review {
                    review.keep_brief(digest, Briefly { value, units });
                }
            }
            Place::Constraint(constraint) => {
                constraint.keep_brief(number, Briefly { value: value.to_value(), units });
            }
            Place::Nowhere => {}
        }
        Known::Value(value)
    }
}

impl<'r> Names<'r> for Scope<'r, '_> {
    fn variable(&self, name: &str) -> Option<Sight<'r>> {
        let value = match name {
            "variables" => &self.at.program.variables_object,
            "object" => &self.at.seen.object,
            "oldObject" => &self.at.seen.old_object,
            "request" => &self.at.seen.request,
            "namespaceObject" => self.namespace,
            PARAMS => self.at.constraint,
            _ => return None,
        };
        Some(Sight::of(value))
    }

    fn field(&self, object: &str, field: &Text, place: Option<u32>) -> Result<Sight<'r>, Stop> {
        // Of all that has a name here only the variables are no values.
        let program = self.at.program;
        let number = if program.is_variables(object) {
            program.number_at(place).or_else(|| program.number_of(field.as_str(), None))
        } else {
            None
        };
        self.read(number.ok_or(Stop::Unsure)?)
    }
}
