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
mod edit;
mod evidence;
mod fix;
mod judge;
mod misfits;
mod place;
mod plausible;
mod sample;
mod search;
mod structures;

use std::cell::Cell;

use crate::api::{Operation, Process};
use crate::enforcement::EnforcementPoint;
use crate::expansion::Expansion;
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::program::Counting;
use crate::review::Review;
use crate::world::World;

pub use fix::{Fix, FixDecision, FixEdit};
use judge::{Judge, MOST_STEPS, Standing};
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
    /// Whether there were more violations than are looked at, or trying took too many steps.
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

impl PolicySet {
    /// Fixes of what constraints find in the object of a review, by its outcome: none in requests that delete, and none
    /// where a policy's language cannot be followed.
    ///
    /// Each fix was tried: judged with it, by all constraints and with what it implies, the object has all violations
    /// that it had but this one, and no constraint stops to apply.
    ///
    /// `is_wanted` says by constraint and message which violations are meant; of the others none is touched.
    ///
    /// Cost: for each violation up to some hundred evaluations of its constraint, and a review of each candidate that
    /// makes it go. At most 64 violations are looked at, and all of it takes at most 50 million steps.
    #[must_use]
    pub fn fixes(
        &self,
        review: &Review,
        expansion: &Expansion<'_>,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
        is_wanted: &dyn Fn(&ConstraintKey, &str) -> bool,
    ) -> Fixes {
        let mut fixes = Fixes::default();
        // Steps are what bounds all of it.
        let world = &world.with_counting(Counting::Always);
        let judge = Judge { set: self, expansion, world, point, steps: Cell::new(MOST_STEPS) };
        let is_open = review.operation() != Operation::Delete && !self.excludes(process, review);
        let Some(object) = review.object.as_ref().filter(|_| is_open) else { return fixes };
        let Some(standing) = judge.standing(review) else { return fixes };
        let violations = standing.violations().filter(|(key, message)| is_wanted(key, message));
        let violations: Vec<(ConstraintKey, String)> = violations.collect();
        fixes.is_cut = violations.len() > MOST_VIOLATIONS;
        let search = Search { judge: &judge, review, before: &standing };
        for (constraint, message) in violations.into_iter().take(MOST_VIOLATIONS) {
            fixes.is_cut |= judge.is_spent();
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
        if judge.is_spent() {
            break;
        }
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
