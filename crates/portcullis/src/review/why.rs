//! Why a constraint says nothing about an object.

use std::fmt;

use super::Review;
use crate::api::Process;
use crate::enforcement::EnforcementPoint;
use crate::matcher::Subject;
use crate::names::ConstraintKey;
use crate::policy::{CompiledConstraint, PolicySet};
use crate::world::World;

/// What a constraint has to do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applicability {
    /// It applies; what it says is in the outcome.
    Applies,
    /// It does not: these criteria of its `match` do not hold, as they were written, each in backticks.
    Criteria(Vec<String>),
    /// It has no action at this enforcement point.
    NotHere,
    /// It is not asked about this operation, such as a deletion.
    Operation,
    /// A Config excludes the object's namespace.
    Excluded,
    /// It is not known whether it applies, and why: an error result.
    Unknown(String),
}

/// `does not apply: `match.kinds` does not hold`, as the end of a sentence about the constraint.
impl fmt::Display for Applicability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applies => f.write_str("applies"),
            Self::Criteria(criteria) => {
                let does = if criteria.len() == 1 { "does" } else { "do" };
                write!(f, "does not apply: {} {does} not hold", criteria.join(", "))
            }
            Self::NotHere => f.write_str("has no action here (`scopedEnforcementActions`)"),
            Self::Operation => f.write_str("is not asked about this operation"),
            Self::Excluded => f.write_str("is not asked, because a Config excludes the namespace"),
            Self::Unknown(why) => write!(f, "is an error, since it is not known whether it applies: {why}"),
        }
    }
}

impl PolicySet {
    /// What a constraint has to do with the object of a review; `None` if there is no such constraint.
    ///
    /// Cost: a look at each constraint and one matcher.
    #[must_use]
    pub fn applicability(
        &self,
        key: &ConstraintKey,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> Option<Applicability> {
        let constraint = self.candidates(None).find(|constraint| constraint.info.key() == key)?;
        Some(self.applicability_of(constraint, review, world, point, process))
    }

    /// What every constraint has to do with the object of a review. Cost: a matcher for each.
    pub fn applicabilities<'a>(
        &'a self,
        review: &'a Review,
        world: &'a World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> impl Iterator<Item = (&'a ConstraintKey, Applicability)> + 'a {
        let of = move |constraint| self.applicability_of(constraint, review, world, point, process);
        self.candidates(None).map(move |constraint| (constraint.info.key(), of(constraint)))
    }

    fn applicability_of(
        &self,
        constraint: &CompiledConstraint,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> Applicability {
        if constraint.info.enforcement().actions(point).is_empty() {
            return Applicability::NotHere;
        }
        if !constraint.template.reviews(review.operation(), point) {
            return Applicability::Operation;
        }
        if self.excludes(process, review) {
            return Applicability::Excluded;
        }
        let namespace = review.known_namespace(world);
        if let Some(applies) = super::policies::applies(constraint, review, namespace, world) {
            return match applies {
                Ok(true) => Applicability::Applies,
                Ok(false) => Applicability::Criteria(vec!["`matchConstraints`, `matchResources`".to_owned()]),
                Err(why) => Applicability::Unknown(why),
            };
        }
        match super::matches(constraint, review, namespace) {
            Ok(true) => Applicability::Applies,
            Err(why) => Applicability::Unknown(why),
            Ok(false) => {
                let unmet = review.candidates().next().map(|object| {
                    let subject = Subject { object, home: review.home(namespace), source: review.source() };
                    constraint.matcher.unmet(&subject)
                });
                Applicability::Criteria(unmet.unwrap_or_default())
            }
        }
    }
}
