//! One object, judged by all that it is judged with: what `test` reports of it.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::{
    Answers, ConstraintKey, Counting, Decision, Elsewhere, EnforcementAction, EnforcementPoint, Error,
    Expansion, ExpansionSet, FieldPath, Fight, Fixes, ImpliedBy, Inventory, Location, Object, Outcome, Place,
    Places, PolicySet, Position, Precision, Process, Questions, Review, Verdict, Why, World,
};
use portcullis_report::{
    self as report, Action, Details, Finding, Implied, InText, ObjectName, Reviewed, Subject as Judgeable,
    Suppressed, Suppression,
};

use crate::commands::evaluation::{Evaluating, Watch};
use crate::commands::excluded;
use crate::commands::idle::{Idle, sentence};
use crate::commands::inline::{self, Ignore};
use crate::commands::input::{Changed, Subject, SubjectKind};
use crate::commands::mutating::left_undone;
use crate::commands::second::Opinion;
use crate::commands::trace::Done;
use crate::file_args::Exclusion;

/// Whose actions count.
pub const POINT: EnforcementPoint = EnforcementPoint::CommandLine;

/// What all objects are judged with.
pub struct Judging<'a> {
    pub policies: &'a PolicySet,
    pub expansion: Expansion<'a>,
    /// Where each constraint is in the report.
    pub index: BTreeMap<ConstraintKey, usize>,
    pub inventory: &'a Inventory,
    pub places: &'a Places,
    /// The Namespace `default`, which is in every cluster, if the inventory does not have it.
    pub default: Option<Object>,
    pub evaluating: Evaluating,
    /// What is known of the world outside.
    pub answers: Answers,
    /// Whether comments of manifests count.
    pub has_inline_ignores: bool,
    /// The constraints of which somebody asks what they have to do with each object.
    pub asked: Vec<ConstraintKey>,
    /// What keeps constraints from all objects, if somebody wants to know.
    pub idle: Option<Idle>,
    /// Who is asked as well, if somebody is.
    pub second: Option<Opinion<'a>>,
    /// Whether it is told how policies came to their verdicts, and what that cost.
    pub traces: bool,
    pub stats: bool,
    /// Of what it is told why.
    pub explains: Explains,
    /// Most bytes of what is told why, for each object: the same whatever threads do.
    pub explained_bytes: usize,
    /// Of what it is told how to make it go, if of anything.
    pub fixes: Option<FixesOf<'a>>,
}

/// Of which findings fixes are looked for.
#[derive(Clone, Copy)]
pub struct FixesOf<'a> {
    /// Not of those that are excluded.
    pub exclusions: &'a [Exclusion],
    /// Only of those that are denied.
    pub deny_only: bool,
}

/// Of what it is told why policies say what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explains {
    /// Of nothing.
    #[default]
    Nothing,
    /// Of what is found.
    Findings,
    /// Of everything that is asked about.
    All,
}

/// What came of one object.
pub struct Judged {
    pub reviewed: Reviewed,
    /// Of this object; numbered when all have come.
    pub findings: Vec<Finding>,
    /// Those that do not count.
    pub suppressed: Vec<Suppressed>,
    /// What is wrong with comments that ignore findings.
    pub comments: Vec<Error>,
    /// It names no namespace, though its kind lives in one.
    pub is_placed: bool,
    /// A Config keeps the webhook away from it.
    pub is_excluded: bool,
    /// What would be found in other namespaces only, and what does not count of what it implies.
    pub elsewhere: Vec<Error>,
    /// Why it is not known what it implies.
    pub unexpanded: Option<Error>,
    /// What constraints that somebody asks about have to do with it.
    pub why: Vec<String>,
    /// What mutators made worse.
    pub fights: Vec<Fight>,
    /// What a second evaluator says otherwise.
    pub otherwise: Vec<Error>,
    /// What policies did with it, if traces or costs are asked for.
    pub done: Vec<Done>,
    /// Why policies say what they say, by policy, if that is asked for.
    pub explained: Vec<(usize, Why)>,
    /// How many of these there was no room for.
    pub unexplained: usize,
    /// How to make findings go, if that is asked for.
    pub fixes: Option<Fixes>,
}

impl Judged {
    pub fn of(reviewed: Reviewed) -> Self {
        Self {
            reviewed,
            findings: Vec::new(),
            suppressed: Vec::new(),
            comments: Vec::new(),
            is_placed: false,
            is_excluded: false,
            elsewhere: Vec::new(),
            unexpanded: None,
            fights: Vec::new(),
            why: Vec::new(),
            otherwise: Vec::new(),
            done: Vec::new(),
            explained: Vec::new(),
            unexplained: 0,
            fixes: None,
        }
    }
}

impl Judging<'_> {
    /// What policies ask of the world outside for an object, beyond some answers.
    pub fn questions(&self, subject: &Subject, answers: &Answers) -> Questions {
        let Subject { object, request, mutated, .. } = subject;
        let settled = || mutated.as_ref().map_or_else(|| self.places.settle(object.clone()), Changed::after);
        let review = self.known(request.clone().unwrap_or_else(|| Review::settled(settled())));
        let deadline = self.evaluating.deadline();
        let world = self.evaluating.world(self.inventory, &deadline).with_answers(answers);
        if self.policies.excludes(Process::Webhook, &review) {
            return Questions::default();
        }
        self.policies.questions_expanding(&review, &self.expansion, &world, POINT)
    }

    pub fn judge(&self, subject: Subject) -> Judged {
        let Subject { object, kind, request, mutated } = subject;
        let settled = || mutated.as_ref().map_or_else(|| self.places.settle(object.clone()), Changed::after);
        let review = self.known(request.unwrap_or_else(|| Review::settled(settled())));
        let is_placed = matches!(review.place(), Place::Assumed | Place::Given);
        let deadline = self.evaluating.deadline();
        let watch = Watch::start();
        let world = self.evaluating.world(self.inventory, &deadline).with_answers(&self.answers);
        let world = if self.stats { world.with_stopwatch(&watch) } else { world };
        let is_told = self.traces || self.stats;
        let world = world.with_counting(if is_told { Counting::Always } else { Counting::NearLimits });
        let (point, process) = (POINT, Process::Webhook);
        let elsewhere_of = |review: &Review, object: &Object| -> Vec<Error> {
            let found = self.policies.review_elsewhere(review, &world, point, process);
            let warning =
                |one: &Elsewhere| one.to_warning().about(object.to_string()).at(whole(object).location);
            found.iter().map(warning).collect()
        };
        let mut elsewhere = elsewhere_of(&review, &object);
        // As in a cluster: what is excluded there is let in.
        let is_excluded = self.policies.excludes(process, &review);
        let is_policy = kind == SubjectKind::Policy;
        let name = ObjectName::of(&object);
        let why = |key: &ConstraintKey| {
            let found = self.policies.applicability(key, &review, &world, point, process)?;
            Some(format!("{name}: {key}: {}", sentence(&found)))
        };
        let why = if is_policy { Vec::new() } else { self.asked.iter().filter_map(why).collect() };
        if let Some(idle) = self.idle.as_ref().filter(|_| !is_policy) {
            idle.note(self.policies.applicabilities(&review, &world, point, process));
        }
        let mut unexpanded = None;
        let (mut passed, mut prints) = (Vec::new(), Vec::new());
        let (mut findings, mut suppressed, mut comments) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fights, mut otherwise, mut done) = (Vec::new(), Vec::new(), Vec::new());
        let ((mut explained, mut unexplained), mut fixes) = ((Vec::new(), 0), None);
        let is_changed = mutated.as_ref().is_some_and(|changed| changed.mutation.is_changed());
        if !is_excluded {
            let implied = review.implied(&self.expansion, &world).unwrap_or_else(|error| {
                let error = error.to_error().about(object.to_string());
                let place = whole(&object).location;
                unexpanded = Some(if error.location().is_none() { error.at(place) } else { error });
                Vec::new()
            });
            elsewhere.extend(implied.iter().flat_map(|one| elsewhere_of(one, &object)));
            let ignored = implied.iter().filter_map(Review::implied_by).flat_map(ImpliedBy::ignored);
            elsewhere.extend(left_undone(&object, Some(whole(&object).location), ignored));
            let outcome = self.policies.review_with(&review, &implied, &world, point);
            if let Some(second) = &self.second {
                let place = whole(&object).location;
                let mut own = outcome.clone();
                own.results.retain(|result| result.implied_by.is_none());
                otherwise = second.problems(self.policies, &review, &world, &own, Some(&place));
            }
            if let Some(changed) = mutated.filter(|changed| changed.mutation.is_changed()) {
                fights = self.fights(&changed, &outcome, &world);
            }
            let decision = Decision::from(&outcome);
            findings = once(self.findings(&object, &decision.findings));
            suppressed = self.suppressed(&object, &decision.excepted);
            if let Some(document) = object.document().filter(|_| self.has_inline_ignores) {
                let ignores;
                (ignores, comments) = inline::ignores(document);
                suppressed.extend(self.ignored(&mut findings, &ignores));
            }
            if kind == SubjectKind::Object && !is_changed && !findings.is_empty() {
                fixes = self.fixes.map(|of| self.fixes(of, &review, &world, &findings));
            }
            passed = self.passed(&outcome);
            (explained, unexplained) = self.explained(&review, &world, Some(&outcome));
            for result in &outcome.results {
                let Some(policy) = self.index.get(result.key()).copied() else { continue };
                prints.extend(result.prints.iter().map(|print| (policy, print.clone())));
                if self.traces || self.stats {
                    done.push(Done::of(policy, result, self.traces));
                }
            }
        }
        if is_excluded && self.explains == Explains::All {
            (explained, unexplained) = self.explained(&review, &world, None);
        }
        let reviewed = Reviewed { subject: Judgeable::Object(object), is_policy, passed, prints };
        Judged {
            reviewed,
            findings,
            suppressed,
            comments,
            is_placed,
            is_excluded,
            elsewhere,
            unexpanded,
            why,
            fights,
            otherwise,
            done,
            explained,
            unexplained,
            fixes,
        }
    }

    /// How to make findings go.
    fn fixes(&self, of: FixesOf<'_>, review: &Review, world: &World<'_>, findings: &[Finding]) -> Fixes {
        let is_wanted = |key: &ConstraintKey, message: &str| {
            let policy = self.index.get(key).copied();
            let is_it = |finding: &&Finding| {
                Some(finding.policy) == policy && finding.message == message && finding.implied.is_none()
            };
            findings.iter().find(is_it).is_some_and(|finding| {
                let denies = finding.actions.contains(&Action(EnforcementAction::Deny));
                excluded::covering(of.exclusions, key, finding).is_none() && (denies || !of.deny_only)
            })
        };
        self.policies.fixes(review, &self.expansion, world, POINT, Process::Webhook, &is_wanted)
    }

    /// Why constraints say what they say of an object itself, as much as there is room for, and of how many it is left out.
    fn explained(
        &self,
        review: &Review,
        world: &World<'_>,
        outcome: Option<&Outcome>,
    ) -> (Vec<(usize, Why)>, usize) {
        let is_found = |key: &ConstraintKey| {
            let results = outcome.into_iter().flat_map(|outcome| &outcome.results);
            let mut own = results.filter(|result| result.implied_by.is_none());
            own.any(|result| result.key() == key && result.verdict != Verdict::Pass)
        };
        let is_wanted = |key: &ConstraintKey| match self.explains {
            Explains::Nothing => false,
            Explains::Findings => is_found(key),
            Explains::All => self.asked.is_empty() || self.asked.contains(key),
        };
        let wanted = self.index.iter().filter(|(key, _)| is_wanted(key));
        let explain =
            |key: &ConstraintKey| self.policies.explain(key, review, world, POINT, Process::Webhook);
        let each = wanted.map(|(key, policy)| move || Some((*policy, explain(key)?)));
        within(each, self.explained_bytes, |(_, why)| why.weight())
    }

    /// The review with the Namespace `default`, if it lives there.
    fn known(&self, review: Review) -> Review {
        match self.default.as_ref().filter(|default| **default.name() == *review.namespace_name()) {
            Some(default) => review.with_namespace(default.clone()),
            None => review,
        }
    }

    /// What constraints find in what mutators made of an object, and not in the object. Judged once more only if
    /// something is found at all.
    fn fights(&self, changed: &Changed, outcome: &Outcome, world: &World<'_>) -> Vec<Fight> {
        if outcome.results.iter().all(|result| !matches!(result.verdict, Verdict::Violations(_))) {
            return Vec::new();
        }
        let mut own = outcome.clone();
        own.results.retain(|result| result.implied_by.is_none());
        let before = self.policies.review(&self.known(Review::settled(changed.before())), world, POINT);
        changed.mutation.fights(&before, &own)
    }

    /// The constraints that hold for the object, and for all that it implies.
    fn passed(&self, outcome: &Outcome) -> Vec<usize> {
        let of_one = outcome.results.chunk_by(|a, b| a.key() == b.key());
        let hold = of_one.filter(|results| results.iter().all(|result| result.verdict == Verdict::Pass));
        hold.filter_map(|results| self.index.get(results.first()?.key()).copied()).collect()
    }

    /// What exceptions let pass.
    fn suppressed(&self, object: &Object, excepted: &[portcullis::Finding<'_>]) -> Vec<Suppressed> {
        let found = self.findings(object, excepted).into_iter().zip(excepted);
        let with_reason = |(finding, of): (Finding, &portcullis::Finding<'_>)| {
            let by = of.exception()?;
            let why = Suppression::Exception {
                name: by.name().to_owned(),
                reason: by.reason().to_owned(),
                owner: by.owner().map(str::to_owned),
                expires_at: by.expires_at().map(str::to_owned),
            };
            Some(Suppressed { finding, why })
        };
        found.filter_map(with_reason).collect()
    }

    /// Takes out what comments ignore.
    fn ignored(&self, findings: &mut Vec<Finding>, ignores: &[Ignore]) -> Vec<Suppressed> {
        let keys: BTreeMap<usize, &ConstraintKey> =
            self.index.iter().map(|(key, index)| (*index, key)).collect();
        let (mut left, mut suppressed) = (Vec::new(), Vec::new());
        for finding in std::mem::take(findings) {
            let ignore = keys
                .get(&finding.policy)
                .zip(finding.text.as_ref())
                .and_then(|(key, text)| ignores.iter().find(|ignore| ignore.covers(key, &text.location)));
            match ignore.filter(|_| finding.verdict == report::Verdict::Violation) {
                Some(ignore) => {
                    let why = Suppression::Inline { reason: ignore.reason.clone() };
                    suppressed.push(Suppressed { finding, why });
                }
                None => left.push(finding),
            }
        }
        *findings = left;
        suppressed
    }

    fn findings(&self, object: &Object, found: &[portcullis::Finding<'_>]) -> Vec<Finding> {
        let whole = LazyCell::new(|| whole(object));
        let name = LazyCell::new(|| ObjectName::of(object));
        let found = found.iter().map(|finding| {
            // Of what is implied, the part that it is made of is known at least.
            let is_precise = |place: &Position| place.precision != Precision::Object || !place.path.is_root();
            let precise = finding.position().filter(is_precise);
            let Position { location, path, precision } = precise.unwrap_or_else(|| whole.clone());
            let broke_at = match &finding.result.verdict {
                Verdict::Error(error) => error.location.clone(),
                _ => None,
            };
            Finding {
                object: name.clone(),
                labels: Arc::default(),
                ordinal: 0,
                place: report::Place::of(&location),
                field: path.to_string(),
                // Everything in an outcome is a constraint of the set; if it were not, it would count all the
                // same.
                policy: self.index.get(finding.result.key()).copied().unwrap_or(usize::MAX),
                actions: Action::list(finding.actions()),
                verdict: if finding.is_error() {
                    report::Verdict::Unknown
                } else {
                    report::Verdict::Violation
                },
                message: finding.message.to_owned(),
                details: Details::from(&finding.details()),
                implied: finding.result.implied_by.as_ref().map(|by| Box::new(implied(by))),
                explanation: None,
                text: Some(Box::new(InText { location, precision, broke_at })),
            }
        });
        found.collect()
    }
}

/// Without what a policy that knows workloads finds in the Pods of one as well: of what is implied without a
/// template, only what is not found in the object itself, at the same place by the same constraint.
fn once(findings: Vec<Finding>) -> Vec<Finding> {
    let key = |finding: &Finding, message: &str| {
        (finding.policy, finding.place.clone(), finding.field.clone(), message.to_owned())
    };
    let prefix = format!("[Implied by {}] ", ExpansionSet::WORKLOADS);
    let own: BTreeSet<_> = findings
        .iter()
        .filter(|finding| finding.implied.is_none())
        .map(|finding| key(finding, &finding.message))
        .collect();
    let is_new = |finding: &Finding| match (&finding.implied, finding.message.strip_prefix(&*prefix)) {
        (Some(implied), Some(said)) if implied.by == ExpansionSet::WORKLOADS => {
            !own.contains(&key(finding, said))
        }
        _ => true,
    };
    findings.into_iter().filter(is_new).collect()
}

/// What a finding is found in that is not in the object.
fn implied(by: &ImpliedBy) -> Implied {
    let overrides = by.enforcement_action().is_some();
    Implied { by: by.template().to_owned(), overrides }
}

/// The position of a finding that is about the object as a whole: the line that says which object it is.
fn whole(object: &Object) -> Position {
    let field = |path: &str| FieldPath::parse(path).and_then(|path| object.document()?.locate(&path));
    let location = field("metadata.name")
        .or_else(|| field("metadata.generateName"))
        .or_else(|| field("kind"))
        .or_else(|| object.location())
        // Whatever was read from a file has a document.
        .unwrap_or_else(|| Location::new(portcullis::Source::new("<unknown>", ""), 0..0));
    Position { location, path: FieldPath::root(), precision: Precision::Object }
}

/// Makes one after the other until they take more than there is room for; the first is always kept. How many were left out,
/// as far as that is known without making them.
fn within<T>(
    each: impl Iterator<Item = impl FnOnce() -> Option<T>>,
    room: usize,
    weight: impl Fn(&T) -> usize,
) -> (Vec<T>, usize) {
    let (mut kept, mut left, mut bytes) = (Vec::new(), 0, 0_usize);
    for make in each {
        if bytes > room {
            left += 1;
            continue;
        }
        let Some(made) = make() else { continue };
        bytes = bytes.saturating_add(weight(&made));
        if bytes > room && !kept.is_empty() {
            left += 1;
        } else {
            kept.push(made);
        }
    }
    (kept, left)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn what_there_is_no_room_for_is_counted_and_the_first_kept() {
        let fit = |weights: &[usize], room| {
            let each = weights.iter().map(|weight| move || Some(*weight));
            within(each, room, |weight| *weight)
        };
        assert_eq!(fit(&[], 10), (vec![], 0));
        assert_eq!(fit(&[4, 4, 2, 1, 1], 10), (vec![4, 4, 2], 2));
        assert_eq!(fit(&[50, 1, 1], 10), (vec![50], 2));
        assert_eq!(fit(&[1, 50, 1], 10), (vec![1], 2));
    }
}
