//! Fights: mutators and constraints that want different things of the same object, and mutators that never come
//! to an end with each other.
//!
//! Found by trying, so that each is real: the message has an object that shows it. What is not found may be
//! there all the same. See [`MutatorSet::fights`] for objects that are made for it, and [`Mutation::fights`]
//! for an object that somebody wrote.

use std::collections::BTreeMap;

use crate::enforcement::EnforcementPoint;
use crate::error::{Error, ErrorKind};
use crate::inventory::Inventory;
use crate::matcher::Source;
use crate::mutation::{Mutation, MutationChange, MutationFailure, MutationLimits, MutatorSet, Witness};
use crate::names::{ConstraintKey, MutatorKey};
use crate::object::Object;
use crate::policy::PolicySet;
use crate::review::{ConstraintResult, Outcome, Review, Verdict};
use crate::world::World;

/// Most mutators that are tried. Each may take all of its limits, and two evaluations of each constraint.
const MOST: usize = 256;

/// What mutating an object may take that is made for it: it has a handful of fields.
const LIMITS: MutationLimits = MutationLimits { steps: 20_000, memory: 1 << 20 };

/// How much of an object is shown, in bytes.
const SHOWN: usize = 400;

/// Most mutators that a message names.
const NAMED: usize = 3;

/// A constraint that finds a violation in what mutators make of an object, and none in the object as it was.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fight {
    /// The constraint.
    pub constraint: ConstraintKey,
    /// The mutators that changed something, in their order.
    pub mutators: Vec<MutatorKey>,
    /// The same as a sentence, at the first of these mutators.
    pub warning: Error,
}

impl MutatorSet {
    /// Tries the mutators on the smallest objects that they are about: an error for each that never comes to an
    /// end, and a warning for each constraint that lets such an object pass as it is, and finds a violation in
    /// what the mutators make of it. At most 256 mutators are tried; that there are more is a warning, too.
    ///
    /// Cost: one mutation and two reviews for each mutator.
    #[must_use]
    pub fn fights(&self, policies: &PolicySet) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut fights: BTreeMap<(ConstraintKey, Vec<MutatorKey>), Error> = BTreeMap::new();
        let mut witnesses = self.witnesses();
        for witness in witnesses.by_ref().take(MOST) {
            let shown = || format!("try it on {}", shown(witness.mutable.object()));
            match self.mutate(&witness.mutable, LIMITS, None) {
                Ok(mutation) if mutation.is_changed() => {
                    let [before, after] = [mutation.original(), mutation.object()]
                        .map(|object| judge(policies, object, &witness));
                    for fight in mutation.fights(&before, &after) {
                        let Fight { constraint, mutators, warning } = fight;
                        fights.entry((constraint, mutators)).or_insert_with(|| warning.hint(shown()));
                    }
                }
                Err(error) if error.kind() == MutationFailure::NotConverging => {
                    let message = "the mutators never come to an end with an object that this one is about";
                    let error = Error::new(ErrorKind::NeverConverges, message);
                    errors.push(witness.mutator.blame(error).hint(shown()));
                }
                // Either nothing happens to it, or it is not an object that this mutator can have.
                Ok(_) | Err(_) => {}
            }
        }
        errors.extend(fights.into_values());
        if let Some(witness) = witnesses.next() {
            let message = format!(
                "only the first {MOST} mutators were tried together with the constraints, this and those behind it were not"
            );
            errors.push(witness.mutator.blame(Error::warning(ErrorKind::MutatorFight, message)));
        }
        errors.sort();
        errors
    }
}

fn judge(policies: &PolicySet, object: &Object, witness: &Witness<'_>) -> Outcome {
    let source = match &witness.namespace {
        Some(namespace) => Review::as_written(object.clone()).with_namespace(namespace.clone()),
        None => Review::as_written(object.clone()),
    };
    let inventory = Inventory::empty();
    policies.review(&source.with_source(Source::Original), &World::new(&inventory), EnforcementPoint::Webhook)
}

impl Mutation {
    /// The constraints that find nothing in the object as it was (`before`), and a violation in what the mutators
    /// made of it (`after`).
    #[must_use]
    pub fn fights(&self, before: &Outcome, after: &Outcome) -> Vec<Fight> {
        let mut mutators: Vec<&MutatorKey> =
            self.changes().iter().map(|change| change.mutator().key()).collect();
        mutators.sort();
        mutators.dedup();
        let Some(first) = self.changes().iter().map(MutationChange::mutator).min_by_key(|info| info.key())
        else {
            return Vec::new();
        };
        let names: Vec<String> = mutators.iter().take(NAMED).map(|key| format!("`{key}`")).collect();
        let more = match mutators.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let fight = |result: &ConstraintResult| {
            let Verdict::Violations(violations) = &result.verdict else { return None };
            let violation = violations.first()?;
            if !passes(before, result.key()) {
                return None;
            }
            let message = format!(
                "constraint `{}` finds a violation in what {}{more} makes of an object that passes it as it is: {}",
                result.key(),
                names.join(", "),
                violation.message,
            );
            Some(Fight {
                constraint: result.key().clone(),
                mutators: mutators.iter().map(|key| (*key).clone()).collect(),
                warning: first.blame(Error::warning(ErrorKind::MutatorFight, message)),
            })
        };
        after.results.iter().filter_map(fight).collect()
    }
}

/// Whether a constraint was asked and holds.
fn passes(outcome: &Outcome, key: &ConstraintKey) -> bool {
    let mut results = outcome.results.iter().filter(|result| result.key() == key).peekable();
    results.peek().is_some() && results.all(|result| result.verdict == Verdict::Pass)
}

/// An object in one line, shortened.
fn shown(object: &Object) -> String {
    let mut text = object.to_json().to_string();
    if text.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}
