//! What constraints say of an object, in a form that can be compared.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::enforcement::EnforcementPoint;
use crate::expansion::Expansion;
use crate::names::ConstraintKey;
use crate::policy::PolicySet;
use crate::review::{Outcome, Review, Verdict};
use crate::world::World;

/// What an object is judged by.
pub(super) struct Judge<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) expansion: &'a Expansion<'a>,
    pub(super) world: &'a World<'a>,
    pub(super) point: EnforcementPoint,
    /// How many steps all of it may take yet.
    pub(super) steps: Cell<u64>,
}

/// Steps that all that is tried for an object may take, about: the evaluation that takes the last ones ends by itself.
pub(super) const MOST_STEPS: u64 = 50_000_000;
/// What an evaluation that is followed counts for.
pub(super) const FOLLOWED: u64 = 100_000;

impl Judge<'_> {
    /// What all constraints say; none if it is not known what the object implies.
    pub(super) fn standing(&self, review: &Review) -> Option<Standing> {
        let implied = review.implied(self.expansion, self.world).ok()?;
        let outcome = self.set.review_with(review, &implied, self.world, self.point);
        for result in &outcome.results {
            self.spend(result.steps.unwrap_or(0));
        }
        Some(Standing::of(&outcome))
    }

    /// Each evaluation is at least a step.
    pub(super) fn spend(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_sub(steps.max(1)));
    }

    pub(super) fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }

    /// What one constraint says of the object itself.
    pub(super) fn said(&self, review: &Review, key: &ConstraintKey) -> Standing {
        let mut standing = Standing::default();
        self.set.review_some(review, self.world, self.point, &|one| one == key, |ask| {
            let result = ask(self.world);
            self.spend(result.steps.unwrap_or(0));
            standing.add(result.key(), "", &result.verdict);
        });
        standing
    }
}

/// What constraints say: of each, and of what the object implies by a template, how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing(BTreeMap<(ConstraintKey, String), BTreeMap<Said, usize>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    Violation(String),
    Excepted(String),
    Error(String),
}

impl Standing {
    fn of(outcome: &Outcome) -> Self {
        let mut standing = Self::default();
        for result in &outcome.results {
            let by = result.implied_by.as_ref().map_or("", |by| by.template());
            standing.add(result.key(), by, &result.verdict);
        }
        standing
    }

    fn add(&mut self, key: &ConstraintKey, by: &str, verdict: &Verdict) {
        let said = self.0.entry((key.clone(), by.to_owned())).or_default();
        let mut count = |one: Said| *said.entry(one).or_default() += 1;
        match verdict {
            Verdict::Pass => {}
            Verdict::Violations(all) => {
                for one in all {
                    count(Said::Violation(one.message.clone()));
                }
            }
            Verdict::Excepted { violations, .. } => {
                for one in violations {
                    count(Said::Excepted(one.message.clone()));
                }
            }
            Verdict::Error(error) => count(Said::Error(error.message.clone())),
        }
    }

    pub(super) fn own<'a>(&'a self, key: &ConstraintKey) -> Option<&'a BTreeMap<Said, usize>> {
        self.0.get(&(key.clone(), String::new()))
    }

    pub(super) fn has(&self, key: &ConstraintKey, message: &str) -> bool {
        self.own(key).is_some_and(|said| said.contains_key(&Said::Violation(message.to_owned())))
    }

    /// The violations of the object itself.
    pub(super) fn violations(&self) -> impl Iterator<Item = (ConstraintKey, String)> {
        let own = self.0.iter().filter(|((_, by), _)| by.is_empty());
        own.flat_map(|((key, _), said)| {
            said.keys().filter_map(|one| match one {
                Said::Violation(message) => Some((key.clone(), message.clone())),
                Said::Excepted(_) | Said::Error(_) => None,
            })
        })
    }

    /// Whether another one has nothing that this one does not have, and the same constraints apply.
    pub(super) fn lets(&self, after: &Self) -> bool {
        let is_less = |(before, after): (&BTreeMap<Said, usize>, &BTreeMap<Said, usize>)| {
            after.iter().all(|(said, count)| before.get(said).is_some_and(|known| count <= known))
        };
        self.0.keys().eq(after.0.keys()) && self.0.values().zip(after.0.values()).all(is_less)
    }
}
