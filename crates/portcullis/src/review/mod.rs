//! Reviews: one object or request and a world, against a policy set.
//!
//! [`PolicySet::review`] reads from top to bottom as the drawing in ARCHITECTURE.md: candidates from the
//! index, their matchers, one evaluation per constraint that applies. It cannot fail: a matcher that cannot
//! decide and a program that breaks are error results of their constraint, with that constraint's own action.

mod elsewhere;
mod explain;
mod implied;
mod keep;
mod locate;
mod mutating;
mod outcome;
mod policies;
mod quotes;
mod request;
mod resume;
mod told;
mod why;

pub use crate::program::RuleKind;
pub use elsewhere::Elsewhere;
pub use explain::{Why, WhyCondition, WhyFact, WhyFound, WhyRule};
pub(crate) use explain::{field_path, followed};
pub use implied::ImpliedBy;
pub use mutating::AdmissionMutation;
pub use outcome::{ConstraintResult, Outcome, Position, Precision, Verdict, Violation};
pub use policies::{AdmissionAnswer, AdmissionDenial};
pub use request::Review;
pub use why::Applicability;

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use keep::Room;
pub(crate) use locate::{Judged, Places, Reader, Thing};
use portcullis_value::Questions;

use crate::admission_policy::BoundPolicy;
use crate::api::Process;
use crate::enforcement::{Actions, EnforcementAction, EnforcementPoint};
use crate::inventory::Inventory;
use crate::matcher::{MatchError, Subject};
use crate::names::ConstraintKey;
use crate::object::Object;
use crate::policy::{CompiledConstraint, CompiledException, PolicySet, REVIEW};
use crate::program::{Desk, EvaluationError, RawViolation, Surroundings, Workspace};
use crate::value::Value;
use crate::world::World;

impl PolicySet {
    /// Judges a review at an enforcement point.
    ///
    /// Cost: one look-up in the match index, one matcher per candidate, one evaluation per constraint that
    /// applies. The input document is built once and shared by all of them.
    #[must_use]
    pub fn review(&self, review: &Review, world: &World<'_>, point: EnforcementPoint) -> Outcome {
        self.review_with(review, &[], world, point)
    }

    /// As [`PolicySet::review`], with what the object implies: [`Review::implied`] makes these reviews. All
    /// results are about the object of the first one.
    #[must_use]
    pub fn review_with(
        &self,
        review: &Review,
        implied: &[Review],
        world: &World<'_>,
        point: EnforcementPoint,
    ) -> Outcome {
        let mut results = Vec::new();
        let mut room = world.findings().map(Room::new);
        for (number, one) in std::iter::once(review).chain(implied).enumerate() {
            self.review_each(one, world, point, |ask| {
                let mut result = ask(world);
                if let Some(room) = &mut room {
                    room.keep(&mut result.verdict, &mut result.prints);
                }
                result.review = number;
                results.push(result);
            });
        }
        if !implied.is_empty() {
            // Stable: of one constraint, the object itself comes first.
            results.sort_by(|a, b| a.key().cmp(b.key()));
        }
        Outcome { point, results, is_cut: room.is_some_and(|room| room.is_cut()) }
    }

    /// As [`PolicySet::review`], one constraint after the other: `each` gets what evaluates the next one that
    /// applies, and may give up one result before it asks for another, or ask again with other limits. The
    /// worlds it asks with have the inventory of `world`.
    pub fn review_each(
        &self,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        each: impl FnMut(&dyn Fn(&World<'_>) -> ConstraintResult),
    ) {
        self.review_some(review, world, point, &|_| true, each);
    }

    /// As [`PolicySet::review_each`], of some constraints only.
    pub(crate) fn review_some(
        &self,
        review: &Review,
        world: &World<'_>,
        point: EnforcementPoint,
        is_wanted: &dyn Fn(&ConstraintKey) -> bool,
        mut each: impl FnMut(&dyn Fn(&World<'_>) -> ConstraintResult),
    ) {
        let namespace = review.known_namespace(world);
        let desk = Desk::default();
        let (seen, judged) = (OnceCell::new(), OnceCell::new());
        for constraint in candidates(self, review) {
            let actions = constraint.info.enforcement().actions(point);
            let is_asked = constraint.template.reviews(review.operation(), point);
            if actions.is_empty() || !is_asked || !is_wanted(constraint.info.key()) {
                continue;
            }
            let implied_by = review.implied_by();
            let actions = implied_by.map_or(actions, |implied_by| implied_by.actions(actions));
            if let Some(bound) = &constraint.policy {
                self.review_policy(bound, constraint, review, world, actions, &judged, &mut each);
                continue;
            }
            let matched = matches(constraint, review, namespace);
            if matched == Ok(false) {
                continue;
            }
            let unknown = matched.err().or_else(|| self.unknown(constraint, review, world));
            each(&|world| {
                let start = world.read_stopwatch();
                let (verdict, prints, steps, questions) = if let Some(why) = &unknown {
                    let error = EvaluationError::new(why.clone());
                    (Verdict::Error(error), Vec::new(), Some(0), Questions::default())
                } else {
                    let seen = seen.get_or_init(|| Seen::of(review, namespace, world, &desk));
                    evaluate(self, constraint, review, seen, &judged, *world)
                };
                let verdict = self.excepting(constraint.info.key(), review, namespace, world, verdict);
                let end = world.read_stopwatch();
                let took_ns = start.zip(end).map(|(start, end)| end.saturating_sub(start));
                let constraint = constraint.info.clone();
                let verdict = match implied_by {
                    Some(implied_by) => verdict.after(&implied_by.prefix()),
                    None => verdict,
                };
                let implied_by = implied_by.cloned();
                ConstraintResult {
                    constraint,
                    implied_by,
                    actions,
                    verdict,
                    prints,
                    steps,
                    took_ns,
                    questions,
                    review: 0,
                }
            });
        }
    }
}

impl PolicySet {
    /// The results of the binding of an admission policy: none if it is not about the request; and a second one, if
    /// something denies it whatever the actions of the binding are.
    #[expect(clippy::too_many_arguments, reason = "all of a review that is under way")]
    fn review_policy(
        &self,
        bound: &BoundPolicy,
        constraint: &CompiledConstraint,
        review: &Review,
        world: &World<'_>,
        actions: Actions,
        judged: &OnceCell<Option<Arc<Judged>>>,
        each: &mut impl FnMut(&dyn Fn(&World<'_>) -> ConstraintResult),
    ) {
        let namespace = review.known_namespace(world);
        let start = world.read_stopwatch();
        let said = match self.unknown(constraint, review, world) {
            Some(why) if policies::applies(constraint, review, namespace, world) != Some(Ok(false)) => {
                let error = EvaluationError::new(why);
                policies::Said { denial: Some(error), ..policies::Said::pass() }
            }
            Some(_) => return,
            None => policies::say(bound, review, namespace, world, judged),
        };
        let took_ns = start.zip(world.read_stopwatch()).map(|(start, end)| end.saturating_sub(start));
        let Some(verdict) = said.verdict else { return };
        let implied_by = review.implied_by();
        let result = |verdict: Verdict, actions: Actions, prints: Vec<String>, questions: Questions| {
            let verdict = self.excepting(constraint.info.key(), review, namespace, world, verdict);
            let verdict = match implied_by {
                Some(implied_by) => verdict.after(&implied_by.prefix()),
                None => verdict,
            };
            let (constraint, implied_by) = (constraint.info.clone(), implied_by.cloned());
            ConstraintResult {
                constraint,
                implied_by,
                actions,
                verdict,
                prints,
                steps: said.steps,
                took_ns,
                questions,
                review: 0,
            }
        };
        let nothing = Questions::default;
        let prints: Vec<String> =
            said.ignored.iter().map(|what| format!("failurePolicy is Ignore: {what}")).collect();
        let has_denial = said.denial.is_some();
        if !has_denial || verdict != Verdict::Pass {
            each(&|_| result(verdict.clone(), actions, prints.clone(), nothing()));
        }
        if let Some(denial) = &said.denial {
            let deny = Actions::from_iter([EnforcementAction::Deny]);
            let questions = &said.questions;
            each(&|_| result(Verdict::Error(denial.clone()), deny, Vec::new(), questions.clone()));
        }
    }

    /// Whether a Config excludes the object of a review from a process. Callers that stand for a process ask
    /// before they review. A Namespace is tested by its own name; what is in no namespace is excluded only by
    /// `*`.
    #[must_use]
    pub fn excludes(&self, process: Process, review: &Review) -> bool {
        match review.object() {
            Some(object) if object.is_namespace() => self.excludes_name(process, object.name()),
            _ => self.excludes_name(process, review.namespace_name()),
        }
    }

    /// A verdict, after the first exception that names the constraint, covers the object, or the one that implies it,
    /// and has not ended.
    fn excepting(
        &self,
        key: &ConstraintKey,
        review: &Review,
        namespace: Option<&Object>,
        world: &World<'_>,
        verdict: Verdict,
    ) -> Verdict {
        let exceptions = self.compiled_exceptions();
        let (Verdict::Violations(violations), false) = (&verdict, exceptions.is_empty()) else {
            return verdict;
        };
        if violations.iter().any(|violation| violation.is_undetermined) {
            return verdict;
        }
        // What is excepted for an object is so for what it implies.
        let of_parent = review.parent().map(|parent| (parent, parent.known_namespace(world)));
        let reviews: Vec<_> = [(review, namespace)].into_iter().chain(of_parent).collect();
        let covers = |exception: &&CompiledException| {
            let is_about = |(review, namespace): &(&Review, Option<&Object>)| {
                let Some(object) = review.object() else { return false };
                exception.covers(&Subject { object, home: review.home(*namespace), source: review.source() })
            };
            exception.info.names(key)
                && !exception.info.is_expired(world.now_ns())
                && reviews.iter().any(is_about)
        };
        match exceptions.iter().find(covers) {
            Some(exception) => {
                Verdict::Excepted { violations: violations.clone(), by: exception.info.clone() }
            }
            None => verdict,
        }
    }

    /// Why a constraint that applies cannot be judged: its policy looks at something that should be known and
    /// is not.
    fn unknown(&self, constraint: &CompiledConstraint, review: &Review, world: &World<'_>) -> Option<String> {
        match review.missing_namespace() {
            Some(reason) if constraint.template.program.told().reads().namespace => {
                Some(format!("the policy reads `namespaceObject`: {reason}"))
            }
            _ => {
                let unreadable = world.inventory()?.unreadable();
                Some(self.blindness(&constraint.template.info, unreadable)?.to_string())
            }
        }
    }
}

impl Review {
    /// `input.review`, as programs see it in a world.
    pub(crate) fn input_in(&self, world: &World<'_>) -> Value {
        self.input(self.known_namespace(world))
    }
}

/// The constraints that may apply to the objects of a review.
fn candidates<'a>(set: &'a PolicySet, review: &Review) -> impl Iterator<Item = &'a Arc<CompiledConstraint>> {
    let mut kinds = review.candidates().map(|object| &*object.gvk().kind);
    let kind = kinds.next().unwrap_or_default();
    // An old object of another kind comes from no API server: every constraint is asked.
    set.candidates(kinds.all(|other| other == kind).then_some(kind))
}

/// Whether the constraint applies to the object or to the old one. An error on the first is not saved by the
/// second.
fn matches(
    constraint: &CompiledConstraint,
    review: &Review,
    namespace: Option<&Object>,
) -> Result<bool, String> {
    for object in review.candidates() {
        let subject = Subject { object, home: review.home(namespace), source: review.source() };
        match constraint.matcher.matches(&subject) {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(error) => return Err(match_error(object, &error, review.missing_namespace())),
        }
    }
    Ok(false)
}

/// In Gatekeeper's words, which users may have in their alerts.
fn match_error(object: &Object, error: &MatchError, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!(
        "unable to match constraints: error matching the requested object: {} :failed to run Match criteria: {error}{reason}",
        object.name()
    )
}

/// What all evaluations of a review see.
struct Seen<'r> {
    /// `input.review`.
    review: Value,
    /// The `data` document.
    data: Value,
    /// Where they run, one after the other.
    workspace: RefCell<Workspace<'r>>,
}

impl<'r> Seen<'r> {
    fn of(review: &Review, namespace: Option<&Object>, world: &World<'_>, desk: &'r Desk<'r>) -> Self {
        let data = world.inventory().map_or_else(Inventory::no_data, |inventory| inventory.data().clone());
        let review = review.input(namespace);
        let workspace = RefCell::new(Workspace::of_input(REVIEW, review.clone(), desk));
        Self { review, data, workspace }
    }
}

fn evaluate<'r>(
    set: &PolicySet,
    constraint: &'r CompiledConstraint,
    review: &Review,
    seen: &Seen<'r>,
    judged: &OnceCell<Option<Arc<Judged>>>,
    world: World<'_>,
) -> (Verdict, Vec<String>, Option<u64>, Questions) {
    let template = &constraint.template;
    let input = constraint.input(&seen.review);
    let indexes = world.inventory().and_then(|inventory| inventory.indexes(&template.program, set));
    let surroundings = Surroundings {
        data: &seen.data,
        indexes: indexes.as_deref(),
        constraint: constraint.info.object().value(),
        limits: world.limits(),
        watch: world.watch(),
        now_ns: world.now_ns(),
        seed: world.seed(),
        answers: world.answers(),
        coverage: world.coverage(),
        counting: world.counting(),
    };
    let mut workspace = seen.workspace.borrow_mut();
    let evaluation = template.program.evaluate(&mut workspace, &input, constraint.special(), &surroundings);
    drop(workspace);
    let verdict = match evaluation.result {
        Err(error) => Verdict::Error(error),
        Ok(raw) if raw.is_empty() => Verdict::Pass,
        Ok(raw) => {
            let judged = judged.get_or_init(|| review.object().cloned().map(Thing::Object).map(Judged::new));
            let reader = || Reader::Template(template.program.told().clone());
            let places = judged.as_ref().map(|judged| Places::new(judged.clone(), reader()));
            let violation = |raw: RawViolation| {
                let own = raw.reads.clone().zip(judged.as_ref());
                let own = own.map(|(reads, judged)| Places::new(judged.clone(), Reader::Part(reads)));
                Violation::new(raw, own.or_else(|| places.clone()))
            };
            Verdict::Violations(raw.into_iter().map(violation).collect())
        }
    };
    (verdict, evaluation.prints, evaluation.steps, evaluation.questions)
}
