//! Edits of objects that make violations go: each was tried, and judged again by all constraints.
//!
//! ```text
//! violation --follow--> Evidence --candidates--> edits --plausible--> objects --review--> those without it
//!                (fields read, values known)                            \--> one more step, if none is
//! ```
//!
//! A fix is offered only if its violation is gone, no other has come, all constraints apply that did, and the object is
//! still one of its kind. What is tried is bounded, and so is what a fix may change: see `plausible.rs`.

mod candidates;
mod choice;
mod evidence;
mod place;
mod plausible;
mod sample;
mod search;

use std::collections::BTreeMap;
use std::fmt;

use crate::api::{Operation, Process};
use crate::enforcement::EnforcementPoint;
use crate::expansion::Expansion;
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::path::FieldPath;
use crate::policy::PolicySet;
use crate::review::{Outcome, Review, Verdict};
use crate::value::{self, Value};
use crate::world::World;

use candidates::Edit;
use search::Search;

/// Most violations of an object for which fixes are looked for.
const MOST_VIOLATIONS: usize = 64;

/// The fixes of what constraints find in an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Fixes {
    /// Of each violation of the object itself, in the order of the outcome.
    pub each: Vec<FixOf>,
    /// All that the policies decide, one after the other: what is left of the violations is judged with them.
    pub together: Option<Fix>,
    /// Whether there were more violations than are looked at.
    pub is_cut: bool,
}

/// A violation, and how to make it go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FixOf {
    /// The constraint.
    pub constraint: ConstraintKey,
    /// The violation's message.
    pub message: String,
    /// The fix, if one was found.
    pub fix: Option<Fix>,
}

/// Edits that make a violation go, and no other come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fix {
    /// What is edited, in the order of the paths. None of them can be left out.
    pub edits: Vec<FixEdit>,
    /// Who decides the values.
    pub decision: FixDecision,
}

/// Who decides what a fix puts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixDecision {
    /// The policy lets pass this value only, or the nearest one was taken.
    Policy,
    /// The author of the object: others pass as well, and which one is meant is not for a tool to say.
    Author,
}

/// One edit of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct FixEdit {
    path: FieldPath,
    old: Option<Value>,
    new: Option<Value>,
}

impl FixEdit {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What was there, as JSON; none if nothing was.
    #[must_use]
    pub fn old(&self) -> Option<serde_json::Value> {
        self.old.as_ref().map(value::to_json)
    }

    /// What is put there, as JSON; none if what is there goes.
    #[must_use]
    pub fn new(&self) -> Option<serde_json::Value> {
        self.new.as_ref().map(value::to_json)
    }
}

/// `set spec.hostPID to false (it is true)`, `add metadata.labels.owner: "web"`, `remove spec.hostIPC (it is true)`.
impl fmt::Display for FixEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| value::to_json_text(value, 256).unwrap_or_else(|| value::describe(value));
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "set {} to {} (it is {})", self.path, shown(new), shown(old)),
            (None, Some(new)) => write!(f, "add {}: {}", self.path, shown(new)),
            (Some(old), None) => write!(f, "remove {} (it is {})", self.path, shown(old)),
            (None, None) => write!(f, "leave {}", self.path),
        }
    }
}

impl Fix {
    fn of(edits: &[Edit], before: &Value, decision: FixDecision) -> Self {
        let edits = edits.iter().map(|edit| FixEdit {
            path: edit.path.clone(),
            old: place::at(before, edit.path.segments()).cloned(),
            new: edit.new.clone(),
        });
        Self { edits: edits.collect(), decision }
    }

    /// An object with the edits; none if it is not one that they were made for. Its document stays what was written.
    ///
    /// Cost: what is on the way to the edits is copied.
    #[must_use]
    pub fn apply(&self, object: &Object) -> Option<Object> {
        let edited = self.edits.iter().try_fold(object.value().clone(), |value, edit| match &edit.new {
            Some(new) => place::with(&value, edit.path.segments(), new),
            None => place::without(&value, edit.path.segments()),
        })?;
        object.with_value(edited).ok()
    }
}

impl PolicySet {
    /// Fixes of what constraints find in the object of a review, by its outcome: none in requests that delete, and none
    /// where a policy's language cannot be followed.
    ///
    /// Each fix was tried: judged with it, by all constraints and with what it implies, the object has all violations
    /// that it had but this one, and no constraint stops to apply.
    ///
    /// Cost: for each violation up to some hundred evaluations of its constraint, and a review of each candidate that
    /// makes it go. At most 64 violations are looked at.
    #[must_use]
    pub fn fixes(
        &self,
        review: &Review,
        expansion: &Expansion<'_>,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> Fixes {
        let mut fixes = Fixes::default();
        let judge = Judge { set: self, expansion, world, point };
        let is_open = review.operation() != Operation::Delete && !self.excludes(process, review);
        let Some(object) = review.object.as_ref().filter(|_| is_open) else { return fixes };
        let Some(standing) = judge.standing(review) else { return fixes };
        let violations: Vec<(ConstraintKey, String)> = standing.violations().collect();
        fixes.is_cut = violations.len() > MOST_VIOLATIONS;
        let search = Search { judge: &judge, review, before: &standing };
        for (constraint, message) in violations.into_iter().take(MOST_VIOLATIONS) {
            let fix = search.fix(&constraint, &message);
            fixes.each.push(FixOf { constraint, message, fix });
        }
        fixes.together = together(&judge, review, object, standing, &fixes.each);
        fixes
    }
}

/// One fix after the other, each tried on what the ones before it left.
fn together(
    judge: &Judge<'_>,
    review: &Review,
    object: &Object,
    standing: Standing,
    each: &[FixOf],
) -> Option<Fix> {
    let (mut review, mut before) = (review.clone(), standing);
    let mut edits: Vec<FixEdit> = Vec::new();
    for one in each {
        let is_decided = |fix: &&Fix| fix.decision == FixDecision::Policy;
        let Some(fix) = one.fix.as_ref().filter(is_decided) else { continue };
        if !before.has(&one.constraint, &one.message) {
            continue;
        }
        let current = review.object()?.clone();
        let is_good = |fix: &Fix| {
            let after = review.with_object(fix.apply(&current)?);
            let is_sound = plausible::is_sound(current.gvk(), current.value(), after.object()?.value());
            let standing = judge.standing(&after).filter(|_| is_sound)?;
            let is_gone = before.lets(&standing) && !standing.has(&one.constraint, &one.message);
            is_gone.then_some((after, standing))
        };
        let good = is_good(fix).map(|good| (fix.clone(), good)).or_else(|| {
            // Positions in lists may be others now.
            let search = Search { judge, review: &review, before: &before };
            let fix = search.fix(&one.constraint, &one.message).filter(|fix| is_decided(&fix))?;
            let good = is_good(&fix)?;
            Some((fix, good))
        });
        if let Some((fix, (after, standing))) = good {
            edits.extend(fix.edits);
            (review, before) = (after, standing);
        }
    }
    let fix = Fix { edits, decision: FixDecision::Policy };
    let is_something = !fix.edits.is_empty() && fix.apply(object).is_some();
    is_something.then_some(fix)
}

/// What an object is judged by.
struct Judge<'a> {
    set: &'a PolicySet,
    expansion: &'a Expansion<'a>,
    world: &'a World<'a>,
    point: EnforcementPoint,
}

impl Judge<'_> {
    /// What all constraints say; none if it is not known what the object implies.
    fn standing(&self, review: &Review) -> Option<Standing> {
        let implied = review.implied(self.expansion, self.world).ok()?;
        let outcome = self.set.review_with(review, &implied, self.world, self.point);
        Some(Standing::of(&outcome))
    }

    /// What one constraint says of the object itself.
    fn said(&self, review: &Review, key: &ConstraintKey) -> Standing {
        let mut standing = Standing::default();
        self.set.review_some(review, self.world, self.point, &|one| one == key, |ask| {
            let result = ask(self.world);
            standing.add(result.key(), "", &result.verdict);
        });
        standing
    }
}

/// What constraints say: of each, and of what the object implies by a template, how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Standing(BTreeMap<(ConstraintKey, String), BTreeMap<Said, usize>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
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
            Verdict::Violations(all) => all.iter().for_each(|one| count(Said::Violation(one.message.clone()))),
            Verdict::Excepted { violations, .. } => {
                violations.iter().for_each(|one| count(Said::Excepted(one.message.clone())));
            }
            Verdict::Error(error) => count(Said::Error(error.message.clone())),
        }
    }

    fn own<'a>(&'a self, key: &ConstraintKey) -> Option<&'a BTreeMap<Said, usize>> {
        self.0.get(&(key.clone(), String::new()))
    }

    fn has(&self, key: &ConstraintKey, message: &str) -> bool {
        self.own(key).is_some_and(|said| said.contains_key(&Said::Violation(message.to_owned())))
    }

    /// The violations of the object itself.
    fn violations(&self) -> impl Iterator<Item = (ConstraintKey, String)> {
        let own = self.0.iter().filter(|((_, by), _)| by.is_empty());
        own.flat_map(|((key, _), said)| {
            said.keys().filter_map(|one| match one {
                Said::Violation(message) => Some((key.clone(), message.clone())),
                Said::Excepted(_) | Said::Error(_) => None,
            })
        })
    }

    /// Whether another one has nothing that this one does not have, and the same constraints apply.
    fn lets(&self, after: &Self) -> bool {
        let is_less = |(before, after): (&BTreeMap<Said, usize>, &BTreeMap<Said, usize>)| {
            after.iter().all(|(said, count)| before.get(said).is_some_and(|known| count <= known))
        };
        self.0.keys().eq(after.0.keys()) && self.0.values().zip(after.0.values()).all(is_less)
    }
}
