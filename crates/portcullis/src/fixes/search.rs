//! The search for edits that make one violation go: the edits of one place first, then those of two, and so on.

use std::collections::BTreeSet;

use crate::names::ConstraintKey;
use crate::object::Object;
use crate::policy::CompiledConstraint;
use crate::program::FollowedRule;
use crate::review::{Review, followed};
use crate::value::Value;

use super::candidates::Candidates;
use super::choice::{Tried, choose};
use super::edit::{Class, Edit};
use super::evidence::Evidence;
use super::fix::Fix;
use super::judge::{FOLLOWED, Judge, Said, Standing};
use super::{place, plausible};

/// Most places that a fix edits.
const DEEPEST: usize = 4;
/// Most objects that are tried for a violation.
const MOST_TRIES: usize = 600;
/// Most objects that are gone on from at each step.
const WIDEST: usize = 6;

pub(super) struct Search<'a> {
    pub(super) judge: &'a Judge<'a>,
    pub(super) review: &'a Review,
    pub(super) before: &'a Standing,
}

/// An object on the way.
#[derive(Clone)]
struct State {
    value: Value,
    edits: Vec<Edit>,
}

/// What came of trying an object.
enum Came {
    /// The violation is gone, and nothing else has come.
    Fixed,
    /// It is there, or another one of its constraint; whether these are others than before.
    Left { is_different: bool },
    /// It is worse, or no object at all.
    Worse,
}

/// Edits with one more: what is put into something that an edit wrote anew is part of that edit.
fn joined(mut edits: Vec<Edit>, edit: Edit) -> Vec<Edit> {
    let is_around = |earlier: &Edit| {
        earlier.class == Class::Form && edit.path.segments().starts_with(earlier.path.segments())
    };
    if let Some(earlier) = edits.pop_if(|earlier| is_around(earlier)) {
        let below = edit.path.segments().get(earlier.path.segments().len()..).unwrap_or_default();
        let into = earlier.new.as_ref();
        let new = into.and_then(|into| match &edit.new {
            Some(new) => place::with(into, below, new),
            None => place::without(into, below),
        });
        if new.is_some() {
            let is_placeholder = earlier.is_placeholder || edit.is_placeholder;
            edits.push(Edit { path: earlier.path, new, class: edit.class, is_placeholder });
            return edits;
        }
        edits.push(earlier);
    }
    edits.push(edit);
    edits
}

impl Search<'_> {
    pub(super) fn fix(&self, key: &ConstraintKey, message: &str) -> Option<Fix> {
        if self.judge.is_spent() {
            return None;
        }
        let constraint = self.judge.set.candidates(None).find(|one| one.info.key() == key)?;
        let object = self.review.object()?;
        let start = State { value: object.value().clone(), edits: Vec::new() };
        let mut tries = MOST_TRIES;
        let mut seen: BTreeSet<Value> = BTreeSet::from([start.value.clone()]);
        let mut states = vec![start];
        for _ in 0..DEEPEST {
            let (mut fixed, mut next): (Vec<Tried>, Vec<(bool, Class, State)>) = (Vec::new(), Vec::new());
            for state in &states {
                let evidence = self.evidence(constraint, key, message, state)?;
                for edit in Candidates::of(object.gvk(), &state.value, &evidence) {
                    let mut added = vec![edit.clone()];
                    added.extend(plausible::companions(object.gvk(), &edit, &state.value));
                    let value = added.iter().try_fold(state.value.clone(), |value, edit| edit.apply(&value));
                    let Some(value) = value.filter(|value| seen.insert(value.clone())) else { continue };
                    if tries == 0 || self.judge.is_spent() {
                        break;
                    }
                    tries -= 1;
                    let edits = added.into_iter().fold(state.edits.clone(), joined);
                    // An empty object is filled by what comes next.
                    let may_be_unsound = edit.class == Class::Step;
                    match self.came(key, message, &value, may_be_unsound) {
                        Came::Fixed if edit.class != Class::Step => {
                            fixed.push(Tried { edits: self.needed(key, message, edits) });
                        }
                        Came::Left { is_different } => {
                            next.push((!is_different, edit.class, State { value, edits }));
                        }
                        Came::Fixed | Came::Worse => {}
                    }
                }
            }
            let is_free = |edits: &[Edit]| self.is_fixed(key, message, edits);
            if let Some((edits, decision)) =
                choose(&fixed, object.value(), message, &key.kind, &is_free).filter(|_| !fixed.is_empty())
            {
                return Some(Fix::of(&edits, object.value(), decision));
            }
            // What shows more of what is wrong comes first: what was said changed, or something came to be looked at.
            let is_step = |class: Class| !matches!(class, Class::Removal | Class::Choice);
            next.retain(|(is_same, class, _)| !*is_same || is_step(*class));
            next.sort_by_key(|(is_same, class, _)| (*is_same, *class != Class::Step, *class));
            states = next.into_iter().take(WIDEST).map(|(_, _, state)| state).collect();
            if states.is_empty() || tries == 0 {
                break;
            }
        }
        None
    }

    fn object(&self, value: &Value) -> Option<Object> {
        self.review.object()?.with_value(value.clone()).ok()
    }

    /// What the policy looks at where it finds the violation, or one that is there instead.
    fn evidence(
        &self,
        constraint: &CompiledConstraint,
        key: &ConstraintKey,
        message: &str,
        state: &State,
    ) -> Option<Evidence> {
        let review = self.review.with_object(self.object(&state.value)?);
        self.judge.spend(FOLLOWED);
        let followed = followed(self.judge.set, constraint, &review, self.judge.world)?;
        let is_it = |(found, _): &&(String, FollowedRule)| found == message || !self.before.has(key, found);
        let ways = followed.found.iter().filter(is_it).map(|(_, rule)| rule);
        Some(Evidence::of(ways, &constraint.parameters, &state.value))
    }

    fn came(&self, key: &ConstraintKey, message: &str, value: &Value, may_be_unsound: bool) -> Came {
        let (Some(before), Some(object)) = (self.review.object(), self.object(value)) else {
            return Came::Worse;
        };
        if !may_be_unsound && !plausible::is_sound(object.gvk(), before.value(), value) {
            return Came::Worse;
        }
        let review = self.review.with_object(object);
        let said = self.judge.said(&review, key);
        let (Some(known), Some(said)) = (self.before.own(key), said.own(key)) else { return Came::Worse };
        let is_error = |one: &&Said| !matches!(one, Said::Violation(_)) && !known.contains_key(one);
        if said.keys().find(is_error).is_some() {
            return Came::Worse;
        }
        let target = Said::Violation(message.to_owned());
        let is_left = |one: &Said| *one == target || !known.contains_key(one);
        if said.keys().any(is_left) {
            return Came::Left { is_different: !said.keys().eq(known.keys()) };
        }
        match self.judge.standing(&review) {
            Some(after) if self.before.lets(&after) && !after.has(key, message) => Came::Fixed,
            _ => Came::Worse,
        }
    }

    /// Whether an object with some edits is without the violation.
    fn is_fixed(&self, key: &ConstraintKey, message: &str, edits: &[Edit]) -> bool {
        let start = self.review.object().map(|object| object.value().clone());
        let value = edits.iter().try_fold(start, |value, edit| Some(edit.apply(&value?))).flatten();
        value.is_some_and(|value| matches!(self.came(key, message, &value, false), Came::Fixed))
    }

    /// The edits without those that are not needed, and without what others put in its place.
    fn needed(&self, key: &ConstraintKey, message: &str, mut edits: Vec<Edit>) -> Vec<Edit> {
        let mut position = 0;
        while position < edits.len() && edits.len() > 1 {
            let mut fewer = edits.clone();
            fewer.remove(position);
            if self.is_fixed(key, message, &fewer) {
                edits = fewer;
            } else {
                position += 1;
            }
        }
        edits
    }
}
