//! What variables came to, kept for evaluations that would come to the same: of the validations for their
//! messages, of one constraint for others that are asked about the same review, and of one review for the next.
//!
//! Whoever takes a value over is charged as if it had been made: what it cost, its steps, its memory, and the
//! variables that were read for it. Where that is more than is left, it is made again, and so fails as it would have.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use portcullis_cel::{BYTES_OF_UNIT, CelValue, List, Map, Room, Sight};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first)));
    }
}

/// A digest is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What is made into a digest, part by part.
#[derive(Default)]
struct Digesting(Sha256);

impl Digesting {
    fn write(&mut self, part: &[u8]) {
        self.number(part.len());
        self.0.update(part);
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// A value with all that an expression may tell of it. None, if it is one of those that are not compared by what
    /// they say.
    fn value(&mut self, value: &CelValue) -> Option<()> {
        match value {
            CelValue::Null => self.write(b"null"),
            CelValue::Bool(value) => self.write(if *value { b"true" } else { b"false" }),
            CelValue::Int(value) => self.scalar(b"int", value.to_le_bytes()),
            CelValue::Uint(value) => self.scalar(b"uint", value.to_le_bytes()),
            CelValue::Double(value) => self.scalar(b"double", value.to_bits().to_le_bytes()),
            CelValue::String(text) => {
                self.write(b"string");
                self.write(text.as_str().as_bytes());
            }
            CelValue::Bytes(bytes) => {
                self.write(b"bytes");
                self.write(bytes);
            }
            CelValue::List(list) => {
                self.write(if matches!(list, List::Input(_)) { b"list of the input" } else { b"list" });
                self.number(list.len());
                for item in list.iter() {
                    self.value(&item)?;
                }
            }
            CelValue::Map(map) => {
                self.write(if matches!(map, Map::Input(_)) { b"map of the input" } else { b"map" });
                self.number(map.len());
                for (key, value) in map.entries() {
                    self.value(&key)?;
                    self.value(&value)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn scalar(&mut self, ty: &[u8], bytes: [u8; 8]) {
        self.write(ty);
        self.write(&bytes);
    }
}

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
    /// For all constraints that are asked about one review and in which it reads the same: it depends on the review, and
    /// on variables that depend on nothing but the constraint.
    Values(Digest),
}

impl Lasts {
    /// How long a new variable lasts, which is the last one of its name.
    pub(super) fn of(text: &str, reads: &Reads<'_>, variables: &[Variable], known: &Numbers) -> Self {
        let mut digest = Digesting::default();
        digest.write(text.as_bytes());
        let (mut is_known, mut by_values) = (true, !reads.is_of_constraint);
        for name in &reads.variables {
            let number = name.as_ref().and_then(|name| known.get(&**name).copied().flatten());
            let Some(variable) = number.and_then(|number| variables.get(number)) else {
                // Any of them, or one that there is not.
                is_known = false;
                continue;
            };
            digest.write(name.as_deref().unwrap_or_default().as_bytes());
            match variable.lasts {
                Self::Never => return Self::Never,
                Self::Review(of) | Self::Values(of) => digest.write(&of.0),
                Self::Constraint => digest.write(b"constraint"),
                Self::Evaluation => by_values = false,
            }
        }
        let is_all = |of: &[&str]| reads.bases.iter().all(|base| of.contains(base));
        if !is_all(&["object", "oldObject", "request", "namespaceObject", PARAMS]) {
            Self::Never
        } else if !is_known {
            Self::Evaluation
        } else if is_all(&["object", "oldObject", "request"]) {
            Self::Review(digest.finish())
        } else if is_all(&[PARAMS]) {
            Self::Constraint
        } else if by_values && is_all(&["object", "oldObject", "request", PARAMS]) {
            Self::Values(digest.finish())
        } else {
            Self::Evaluation
        }
    }
}

/// What a variable reads.
pub(super) struct Reads<'r> {
    /// The variables of its template, by name; `None` is any of them.
    pub(super) variables: Vec<Option<String>>,
    /// Whether it reads something of the constraint by itself.
    pub(super) is_of_constraint: bool,
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
    pub(super) needs: Needs,
}

/// Variables that were read for another: each by its place among those that this may read. These are the same wherever a
/// variable has the same digest.
pub(super) type Needs = SmallVec<[u8; 16]>;

impl Made {
    const fn bytes(&self) -> u64 {
        self.memory.saturating_add(EACH)
    }
}

/// What evaluating a variable without counting came to, and the units that it took, with those of all that was read for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Briefly<T> {
    pub(super) value: T,
    pub(super) units: u64,
}

/// What reviews are evaluated on, one for each.
#[derive(Default)]
pub(crate) struct Desk<'r> {
    cel: portcullis_cel::Desk<'r>,
    /// What expressions see, but for the constraint, and of which review.
    seen: OnceCell<(Value, Seen)>,
}

type ByDigest = HashMap<Digest, Arc<Made>, BuildHasherDefault<OfDigest>>;

/// What evaluations about one review hand on to each other.
pub(crate) struct OfReview<'r> {
    desk: &'r Desk<'r>,
    counted: Counted,
    brief: RefCell<HashMap<Digest, Briefly<Sight<'r>>, BuildHasherDefault<OfDigest>>>,
}

impl<'r> OfReview<'r> {
    /// For a review.
    pub(in crate::program) fn on(desk: &'r Desk<'r>) -> Self {
        Self { desk, counted: Counted::default(), brief: RefCell::default() }
    }

    /// What expressions see of the review; none of another review than the first one, with which these have nothing in
    /// common.
    pub(super) fn see(&self, review: &Value) -> Option<&'r Seen> {
        let seen = || (review.clone(), Seen::of(review, &Value::NULL));
        let (known, seen) = self.desk.seen.get_or_init(seen);
        known.is_same(review).then_some(seen)
    }

    /// Where what is made briefly is kept: as much as [`portcullis_cel::Desk`] takes.
    pub(super) const fn desk(&self) -> &'r portcullis_cel::Desk<'r> {
        &self.desk.cel
    }

    pub(super) fn brief(&self, digest: &Digest) -> Option<Briefly<Sight<'r>>> {
        self.brief.borrow().get(digest).copied()
    }

    pub(super) fn keep_brief(&self, digest: Digest, made: Briefly<Sight<'r>>) {
        if self.desk.cel.take(size_of::<(Digest, Briefly<Sight<'r>>)>() * 2) {
            self.brief.borrow_mut().insert(digest, made);
        }
    }

    /// What evaluations hand on that count.
    pub(super) const fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// What evaluations about one review hand on to each other that count.
#[derive(Default)]
pub(super) struct Counted {
    room: Room,
    made: RefCell<(ByDigest, u64)>,
}

impl Counted {
    fn get(&self, digest: &Digest) -> Option<Arc<Made>> {
        self.made.borrow().0.get(digest).cloned()
    }

    fn keep(&self, digest: Digest, made: Arc<Made>) {
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
    made: Box<[OnceLock<Arc<Made>>]>,
    /// By what variables are known that last by values: what they are, with the values that the constraint gives to what they
    /// read; of those that depend on nothing but the constraint, by their values. None, if there is no such.
    keys: Box<[OnceLock<Option<Digest>>]>,
    brief: Box<[OnceLock<Briefly<CelValue>>]>,
    brief_keys: Box<[OnceLock<Option<Digest>>]>,
    bytes: AtomicU64,
}

impl OfConstraint {
    /// For a program; none if no variable lasts so long.
    pub(super) fn new(program: &CelProgram) -> Option<Self> {
        let lasts = program.variables.iter().any(|variable| variable.lasts == Lasts::Constraint);
        lasts.then(|| Self::of(program.variables.len()))
    }

    fn of(variables: usize) -> Self {
        let made = (0..variables).map(|_| OnceLock::new()).collect();
        let keys = (0..variables).map(|_| OnceLock::new()).collect();
        let brief = (0..variables).map(|_| OnceLock::new()).collect();
        let brief_keys = (0..variables).map(|_| OnceLock::new()).collect();
        Self { made, keys, brief, brief_keys, bytes: AtomicU64::new(0) }
    }

    fn get(&self, number: usize) -> Option<&Arc<Made>> {
        self.made.get(number)?.get()
    }

    /// By what a variable is known that lasts by values; none, as long as not all of these were made.
    fn key(&self, program: &CelProgram, number: usize) -> Option<Digest> {
        key(program, &self.keys, number, &|number| self.get(number).map(|made| &made.value))
    }

    pub(super) fn brief(&self, number: usize) -> Option<&Briefly<CelValue>> {
        self.brief.get(number)?.get()
    }

    pub(super) fn brief_key(&self, program: &CelProgram, number: usize) -> Option<Digest> {
        key(program, &self.brief_keys, number, &|number| self.brief(number).map(|made| &made.value))
    }

    pub(super) fn keep_brief(&self, number: usize, made: Briefly<CelValue>) {
        let bytes = made.units.saturating_mul(BYTES_OF_UNIT).saturating_add(EACH);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_OF_CONSTRAINT {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        } else if let Some(place) = self.brief.get(number) {
            let _ = place.set(made);
        }
    }

    fn keep(&self, number: usize, made: Arc<Made>) {
        let bytes = made.bytes();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_OF_CONSTRAINT {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        } else if let Some(place) = self.made.get(number) {
            // Another thread may have been first, with the same.
            let _ = place.set(made);
        }
    }
}

fn key<'a>(
    program: &CelProgram,
    keys: &[OnceLock<Option<Digest>>],
    number: usize,
    value_of: &dyn Fn(usize) -> Option<&'a CelValue>,
) -> Option<Digest> {
    let place = keys.get(number)?;
    if let Some(known) = place.get() {
        return *known;
    }
    let variable = program.variables.get(number)?;
    let made = match variable.lasts {
        Lasts::Constraint => {
            let value = value_of(number)?;
            let mut digest = Digesting::default();
            digest.value(value).map(|()| digest.finish())
        }
        Lasts::Values(of) => {
            let mut parts = Vec::with_capacity(variable.needs.len());
            for need in &variable.needs {
                match program.variables.get(*need)?.lasts {
                    Lasts::Constraint | Lasts::Values(_) => parts.push(key(program, keys, *need, value_of)?),
                    // It is part of the digest already.
                    Lasts::Review(_) | Lasts::Evaluation | Lasts::Never => {}
                }
            }
            let mut digest = Digesting::default();
            digest.write(b"by values");
            digest.write(&of.0);
            for part in parts {
                digest.write(&part.0);
            }
            Some(digest.finish())
        }
        Lasts::Review(_) | Lasts::Evaluation | Lasts::Never => None,
    };
    *place.get_or_init(|| made)
}

/// Where an evaluation finds what was made before, and keeps what it makes.
#[derive(Default)]
pub(super) struct Kept<'a> {
    /// Where it runs that has nothing in common with others.
    own: Room,
    review: Option<&'a Counted>,
    constraint: Option<&'a OfConstraint>,
    /// By the numbers of the variables, within the memory of the evaluation.
    evaluation: RefCell<Vec<Option<Arc<Made>>>>,
}

impl<'a> Kept<'a> {
    /// For an evaluation about a review.
    pub(super) fn of(review: &'a Counted, constraint: Option<&'a OfConstraint>) -> Self {
        Self { review: Some(review), constraint, ..Self::default() }
    }

    pub(super) fn room(&self) -> &Room {
        self.review.map_or(&self.own, |review| &review.room)
    }

    /// Whether it has nothing in common with others.
    pub(super) const fn is_alone(&self) -> bool {
        self.review.is_none()
    }

    /// What a variable of a program came to, which lasts so long.
    pub(super) fn get(&self, program: &CelProgram, number: usize, lasts: Lasts) -> Option<Arc<Made>> {
        if lasts == Lasts::Never {
            return None;
        }
        if let Some(Some(made)) = self.evaluation.borrow().get(number) {
            return Some(made.clone());
        }
        let made = match lasts {
            Lasts::Never | Lasts::Evaluation => None,
            Lasts::Review(digest) => self.review.and_then(|review| review.get(&digest)),
            Lasts::Constraint => self.constraint.and_then(|constraint| constraint.get(number).cloned()),
            Lasts::Values(_) => {
                let key = self.constraint.and_then(|constraint| constraint.key(program, number));
                key.zip(self.review).and_then(|(key, review)| review.get(&key))
            }
        }?;
        self.note(program, number, &made);
        Some(made)
    }

    /// Keeps what a variable of a program came to, as long as it lasts.
    pub(super) fn keep(&self, program: &CelProgram, number: usize, lasts: Lasts, made: &Arc<Made>) {
        if lasts == Lasts::Never {
            return;
        }
        self.note(program, number, made);
        let made = made.clone();
        match (lasts, self.review, self.constraint) {
            (Lasts::Review(digest), Some(review), _) => review.keep(digest, made),
            (Lasts::Constraint, _, Some(constraint)) => constraint.keep(number, made),
            (Lasts::Values(_), Some(review), Some(constraint)) => {
                if let Some(key) = constraint.key(program, number) {
                    review.keep(key, made);
                }
            }
            _ => {}
        }
    }

    fn note(&self, program: &CelProgram, number: usize, made: &Arc<Made>) {
        let mut all = self.evaluation.borrow_mut();
        if all.is_empty() {
            all.resize(program.variables.len(), None);
        }
        if let Some(place) = all.get_mut(number) {
            *place = Some(made.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use super::*;

    fn made(memory: u64) -> Arc<Made> {
        let value = CelValue::Bool(true);
        Arc::new(Made { value, cost: 1, steps: 1, memory, looks: 0, needs: Needs::default() })
    }

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    #[test]
    fn no_more_is_kept_of_a_review_than_its_bound() {
        let review = Counted::default();
        let half = MOST_OF_REVIEW / 2;
        for number in 0..4 {
            review.keep(digest(number), made(half));
        }
        review.keep(digest(4), made(0));
        let is_kept = |number| review.get(&digest(number)).is_some();
        assert_eq!([0, 1, 2, 3, 4].map(is_kept), [true, false, false, false, true]);
    }

    #[test]
    fn values_are_told_apart_by_what_expressions_may_tell_of_them() {
        let digest = |value: &CelValue| {
            let mut digest = Digesting::default();
            digest.value(value).map(|()| digest.finish())
        };
        let read = |json: &str| CelValue::from(Value::from_json(json).unwrap());
        let one = || CelValue::Int(1);
        let values = [
            read("1"),
            CelValue::Uint(1),
            CelValue::Double(1.0),
            read("\"1\""),
            read("[]"),
            CelValue::list(Vec::new()),
            read("[1]"),
            CelValue::list(vec![one()]),
            read("[[1], [2]]"),
            read("[[1, 2], []]"),
            read("{}"),
            read(r#"{"a": 1}"#),
            read(r#"{"a": "1"}"#),
            read(r#"["a", 1]"#),
            read("null"),
            read("false"),
        ];
        let digests: Vec<_> = values.iter().map(digest).collect();
        for (place, one) in digests.iter().enumerate() {
            assert!(one.is_some());
            assert_eq!(digests.iter().position(|other| other == one), Some(place));
        }
        assert_eq!(digest(&read("[1]")), digest(&CelValue::from(Value::from_json("[1]").unwrap())));
        assert_eq!(digest(&CelValue::list(vec![CelValue::Optional(None)])), None);
    }

    #[test]
    fn no_more_is_kept_of_a_constraint_than_its_bound() {
        let constraint = OfConstraint::of(4);
        for number in 0..4 {
            constraint.keep(number, made(MOST_OF_CONSTRAINT / 2));
        }
        let kept = constraint.made.iter().filter(|made| made.get().is_some()).count();
        assert_eq!(kept, 1);
        assert!(constraint.bytes.load(Ordering::Relaxed) <= MOST_OF_CONSTRAINT);
    }
}
