//! What variables came to, kept for evaluations that would come to the same: of the validations for their
//! messages, of one constraint for others that are asked about the same review, and of one review for the next.
//!
//! Whoever takes a value over is charged as if it had been made: what it cost, its steps, its memory, and the
//! variables that were read for it. Where that is more than is left, it is made again, and so fails as it would have.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use portcullis_cel::{CelValue, Room};
use sha2::{Digest as _, Sha256};

use super::names::Seen;
use super::{CelProgram, Numbers, Variable};
use crate::api::cel::PARAMS;
use crate::value::Value;

/// Most bytes that are kept of a review, and of a constraint, as budgets count them.
const MOST_OF_REVIEW: u64 = 8 << 20;
const MOST_OF_CONSTRAINT: u64 = 256 << 10;
/// What is counted for a value beside what it was charged.
const EACH: u64 = 256;

/// What a variable is, whatever the template that has it: its text, and what the variables are that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest([u8; 32]);

/// How long a variable stays what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It is made whenever it is read for the first time.
    Never,
    /// For the phases of an evaluation that see the same.
    Evaluation,
    /// For all constraints that are asked about one review, also those of other templates.
    Review(Digest),
    /// For all reviews of one constraint.
    Constraint,
}

impl Lasts {
    /// How long a new variable lasts, which is the last one of its name.
    pub(super) fn of(text: &str, reads: &Reads<'_>, variables: &[Variable], known: &Numbers) -> Self {
        let mut hash = Sha256::new();
        let mut write = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        write(text.as_bytes());
        let mut is_known = true;
        for name in &reads.variables {
            let number = name.as_ref().and_then(|name| known.get(&**name).copied().flatten());
            let Some(variable) = number.and_then(|number| variables.get(number)) else {
                // Any of them, or one that there is not.
                is_known = false;
                continue;
            };
            match variable.lasts {
                Self::Never => return Self::Never,
                Self::Review(digest) => {
                    write(name.as_deref().unwrap_or_default().as_bytes());
                    write(&digest.0);
                }
                Self::Constraint | Self::Evaluation => {}
            }
        }
        let is_all = |of: &[&str]| reads.bases.iter().all(|base| of.contains(base));
        if !is_all(&["object", "oldObject", "request", "namespaceObject", PARAMS]) {
            Self::Never
        } else if !is_known || !is_all(&["object", "oldObject", "request"]) && !is_all(&[PARAMS]) {
            Self::Evaluation
        } else if reads.bases.is_empty() || !is_all(&[PARAMS]) {
            Self::Review(Digest(hash.finalize().into()))
        } else {
            Self::Constraint
        }
    }
}

/// What a variable reads.
pub(super) struct Reads<'r> {
    /// The variables of its template, by name; `None` is any of them.
    pub(super) variables: Vec<Option<String>>,
    /// What all that comes from in the end.
    pub(super) bases: Vec<&'r str>,
}

/// What evaluating a variable came to, and what it took by itself.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) value: CelValue,
    pub(super) cost: u64,
    pub(super) steps: u64,
    pub(super) memory: u64,
    /// How often a watch was looked at.
    pub(super) looks: u64,
    /// The variables that were read for it, each once, in this order.
    pub(super) needs: Arc<[Arc<str>]>,
}

impl Made {
    const fn bytes(&self) -> u64 {
        self.memory.saturating_add(EACH)
    }
}

/// What evaluations about one review hand on to each other.
#[derive(Default)]
pub(crate) struct OfReview {
    room: Room,
    /// What expressions see, but for the constraint, and of which review.
    seen: Option<(Value, Seen)>,
    made: RefCell<(BTreeMap<Digest, Made>, u64)>,
}

impl OfReview {
    /// What expressions see of a review and a constraint.
    pub(super) fn see(&mut self, input: &[(Value, Value)], constraint: &Value) -> Seen {
        let review = input.iter().find(|(key, _)| key.as_str() == Some("review")).map(|(_, review)| review);
        let Some(review) = review else { return Seen::of(&Value::NULL, constraint) };
        if let Some((known, seen)) = &self.seen
            && known.is_same(review)
        {
            return Seen { constraint: CelValue::from(constraint.clone()), ..seen.clone() };
        }
        let seen = Seen::of(review, constraint);
        self.seen = Some((review.clone(), seen.clone()));
        self.made = RefCell::default();
        seen
    }

    fn get(&self, digest: &Digest) -> Option<Made> {
        self.made.borrow().0.get(digest).cloned()
    }

    fn keep(&self, digest: Digest, made: Made) {
        let mut all = self.made.borrow_mut();
        let bytes = all.1.saturating_add(made.bytes());
        if bytes <= MOST_OF_REVIEW {
            all.0.insert(digest, made);
            all.1 = bytes;
        }
    }
}

/// What the variables of a template came to that depend on nothing but the constraint.
#[derive(Debug)]
pub(crate) struct OfConstraint {
    made: Box<[OnceLock<Made>]>,
    bytes: AtomicU64,
}

impl OfConstraint {
    /// For a program; none if no variable lasts so long.
    pub(super) fn new(program: &CelProgram) -> Option<Self> {
        let lasts = program.variables.iter().any(|variable| variable.lasts == Lasts::Constraint);
        let made = || program.variables.iter().map(|_| OnceLock::new()).collect();
        lasts.then(|| Self { made: made(), bytes: AtomicU64::new(0) })
    }

    fn keep(&self, number: usize, made: Made) {
        let bytes = made.bytes();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_OF_CONSTRAINT {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        } else if let Some(place) = self.made.get(number) {
            // Another thread may have been first, with the same.
            let _ = place.set(made);
        }
    }
}

/// Where an evaluation finds what was made before, and keeps what it makes.
#[derive(Default)]
pub(super) struct Kept<'a> {
    /// Where it runs that has nothing in common with others.
    own: Room,
    review: Option<&'a OfReview>,
    constraint: Option<&'a OfConstraint>,
    evaluation: RefCell<BTreeMap<usize, Made>>,
}

impl<'a> Kept<'a> {
    /// For an evaluation about a review.
    pub(super) fn of(review: &'a OfReview, constraint: Option<&'a OfConstraint>) -> Self {
        Self { review: Some(review), constraint, ..Self::default() }
    }

    pub(super) fn room(&self) -> &Room {
        self.review.map_or(&self.own, |review| &review.room)
    }

    /// Whether it has nothing in common with others.
    pub(super) const fn is_alone(&self) -> bool {
        self.review.is_none()
    }

    pub(super) fn get(&self, number: usize, lasts: Lasts) -> Option<Made> {
        let longer = match lasts {
            Lasts::Never => return None,
            Lasts::Evaluation => None,
            Lasts::Review(digest) => self.review.and_then(|review| review.get(&digest)),
            Lasts::Constraint => {
                self.constraint.and_then(|constraint| constraint.made.get(number)?.get().cloned())
            }
        };
        longer.or_else(|| self.evaluation.borrow().get(&number).cloned())
    }

    pub(super) fn keep(&self, number: usize, lasts: Lasts, made: Made) {
        match (lasts, self.review, self.constraint) {
            (Lasts::Never, ..) => {}
            (Lasts::Review(digest), Some(review), _) => review.keep(digest, made),
            (Lasts::Constraint, _, Some(constraint)) => constraint.keep(number, made),
            // Within the memory of the evaluation.
            _ => {
                self.evaluation.borrow_mut().insert(number, made);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(memory: u64) -> Made {
        Made { value: CelValue::Bool(true), cost: 1, steps: 1, memory, looks: 0, needs: Arc::default() }
    }

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    #[test]
    fn no_more_is_kept_of_a_review_than_its_bound() {
        let review = OfReview::default();
        let half = MOST_OF_REVIEW / 2;
        for number in 0..4 {
            review.keep(digest(number), made(half));
        }
        review.keep(digest(4), made(0));
        let is_kept = |number| review.get(&digest(number)).is_some();
        assert_eq!([0, 1, 2, 3, 4].map(is_kept), [true, false, false, false, true]);
    }

    #[test]
    fn no_more_is_kept_of_a_constraint_than_its_bound() {
        let constraint =
            OfConstraint { made: (0..4).map(|_| OnceLock::new()).collect(), bytes: AtomicU64::new(0) };
        for number in 0..4 {
            constraint.keep(number, made(MOST_OF_CONSTRAINT / 2));
        }
        let kept = constraint.made.iter().filter(|made| made.get().is_some()).count();
        assert_eq!(kept, 1);
        assert!(constraint.bytes.load(Ordering::Relaxed) <= MOST_OF_CONSTRAINT);
    }
}
