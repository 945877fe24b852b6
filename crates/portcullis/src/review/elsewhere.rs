//! What would be found in an object that names no namespace, if it lived in another one than it is taken to
//! live in.

use std::cell::OnceCell;
use std::sync::Arc;

use portcullis_value::LimitKind;

use super::{Review, Seen, Verdict, candidates, evaluate, matches};
use crate::api::Process;
use crate::enforcement::{EnforcementAction, EnforcementPoint};
use crate::error::{Error, ErrorKind};
use crate::inventory::Inventory;
use crate::matcher::{Elsewhere as Match, Subject};
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::program::Desk;
use crate::scope::{Place, Places, Settled};
use crate::world::World;

/// A constraint that does not apply where an object is taken to be, and would not pass in another namespace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Elsewhere {
    /// The constraint.
    pub constraint: ConstraintKey,
    /// The gravest of what its violations lead to.
    pub action: EnforcementAction,
    /// Why it does not apply where the object is taken to be: criteria as they are written, such as
    /// `namespaces: [prod]`.
    pub criteria: Vec<String>,
    /// The first violation, or why it could not be evaluated; at most [`Elsewhere::MAX_MESSAGE`] bytes of it.
    pub message: String,
    /// The limit that ended its evaluation, if one did.
    pub limit: Option<LimitKind>,
    /// How the object was placed.
    place: Place,
}

impl Elsewhere {
    /// How much of a message is kept.
    pub const MAX_MESSAGE: usize = 512;

    /// The warning that it is; it names no object.
    #[must_use]
    pub fn to_warning(&self) -> Error {
        let would = match self.action {
            EnforcementAction::Deny => "deny this",
            EnforcementAction::Warn => "warn of this",
            EnforcementAction::Dryrun => "note this",
        };
        let (where_, hint) = match self.place {
            Place::Unknown => (
                "if it lives in a namespace".to_owned(),
                "give its CustomResourceDefinition, or name its namespace",
            ),
            _ => (
                format!("in a namespace other than `{}`", Places::DEFAULT),
                "name its namespace in `metadata.namespace` or with `--namespace`",
            ),
        };
        let topic = format!("{where_}, `{}` would {would}", self.constraint);
        let message = format!("{topic} by its {}: {}", self.criteria.join(" and "), self.message);
        Error::warning(ErrorKind::OtherNamespace, message).on(topic).hint(hint)
    }
}

impl PolicySet {
    /// What constraints would find in the object of a review, if it lived in a namespace in which they apply:
    /// those that apply where it is taken to live are not asked. Empty if it is known where the object lives.
    /// `process` is the one that a Config may keep away.
    ///
    /// Cost: at most that of the review once more.
    #[must_use]
    pub fn review_elsewhere(
        &self,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        process: Process,
    ) -> Vec<Elsewhere> {
        let Some(object) = review.object().filter(|_| is_open(review)) else { return Vec::new() };
        let namespace = review.known_namespace(world);
        let is_excluded = self.excludes(process, review);
        let missing_default = world.inventory().and_then(Inventory::missing_default_namespace);
        let known = |name: &str| {
            let made = missing_default.as_ref().filter(|made| **made.name() == *name);
            world.inventory().and_then(|inventory| inventory.namespace(name)).or(made).cloned()
        };
        let mut found = Vec::new();
        for constraint in candidates(self, review) {
            let actions = constraint.info.enforcement().actions(point);
            let actions = match review.implied_by().filter(|_| !actions.is_empty()) {
                Some(implied_by) => implied_by.actions(actions),
                None => actions,
            };
            let Some(action) = actions.gravest() else { continue };
            // An API server knows in which namespace it is, and nothing is said of others here.
            if constraint.policy.is_some() {
                continue;
            }
            if !constraint.template.reviews(review.operation(), point)
                || (!is_excluded && matches(constraint, review, namespace) != Ok(false))
            {
                continue;
            }
            let subject = Subject { object, home: review.home(namespace), source: review.source() };
            let is_judged = |name: &str| !self.excludes_name(process, name);
            let Some(Match { name, mut criteria }) = constraint.matcher.elsewhere(&subject, is_judged, known)
            else {
                continue;
            };
            if is_excluded {
                criteria.push("Config, which excludes it".to_owned());
            }
            let (moved, there) = placed(review, object, name, known);
            let desk = Desk::default();
            let seen = Seen::of(&moved, there.as_ref(), world, &desk);
            let (verdict, ..) = evaluate(self, constraint, &moved, &seen, &OnceCell::new(), *world);
            let verdict = self.excepting(constraint.info.key(), &moved, there.as_ref(), world, verdict);
            let verdict = match review.implied_by() {
                Some(implied_by) => verdict.after(&implied_by.prefix()),
                None => verdict,
            };
            let (message, limit) = match verdict {
                Verdict::Pass | Verdict::Excepted { .. } => continue,
                Verdict::Violations(violations) => {
                    (violations.first().map(|violation| short(&violation.message)).unwrap_or_default(), None)
                }
                Verdict::Error(error) => {
                    (format!("could not be evaluated: {}", short(&error.message)), error.limit)
                }
            };
            let constraint = constraint.info.key().clone();
            found.push(Elsewhere { constraint, action, criteria, message, limit, place: review.place() });
        }
        found
    }
}

/// The beginning of a message that is long.
fn short(message: &str) -> String {
    let kept = message.get(..message.floor_char_boundary(Elsewhere::MAX_MESSAGE)).unwrap_or_default();
    if kept.len() == message.len() { kept.to_owned() } else { format!("{kept}…") }
}

/// Whether the namespace of the object is only assumed.
fn is_open(review: &Review) -> bool {
    matches!(review.place(), Place::Assumed | Place::Unknown)
        && review.object().is_some_and(|object| !object.is_namespace())
}

/// The review as it would be in another namespace, with that Namespace. Where it may be any, policies see the
/// one that the object is taken to be in: a name that nobody gave would be no better.
fn placed(
    review: &Review,
    object: &Object,
    name: Option<Arc<str>>,
    known: impl Fn(&str) -> Option<Object>,
) -> (Review, Option<Object>) {
    let Some(name) = name else { return (review.clone(), None) };
    let object = object.in_namespace(Some(&name));
    let moved = Review::settled(Settled { object, place: Place::Given }).with_source(review.source());
    (moved, known(&name))
}
