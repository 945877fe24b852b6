//! A batch of items against the policies. Pure: what comes out depends on the items, the policies and the world only.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis::{
    Answers, ConstraintKey, ConstraintResult, Counting, Elsewhere, EnforcementPoint, Error, ErrorKind,
    EvaluationLimits, Expansion, ExpansionSet, FieldPath, Finding as FoundIn, Gvk, ImpliedBy, Inventory,
    LimitKind, Limits, Object, Place as Placement, Places, PolicySet, Position, Precision, Process,
    Questions, Review, Settled, Severity, Verdict as Said, World,
};
use portcullis_providers::Answering;
use portcullis_report::{
    Action, Details, Finding, Implied, ObjectName, Objects, Place, Problem, Tally, Totals, Verdict,
};
use portcullis_sources::Deadline;

use crate::events::{Event, Listed as ListedAt, Step};
use crate::explained::{Again, Before, Explaining, Found};
use crate::memory::Ceiling;
use crate::pipeline::{Item, Weighed};
use crate::shard::{Shard, identity};
use crate::source::{Read, Text, read, size};

/// What every review of an audit sees.
#[derive(Debug)]
pub struct Judge<'a> {
    /// Who says what providers of external data answer.
    pub answering: &'a Answering,
    /// By what is judged.
    pub policies: &'a PolicySet,
    /// By what objects are expanded, if they are: what they imply is judged as well.
    pub expansion: Option<Expansion<'a>>,
    /// With what objects are compared.
    pub inventory: &'a Inventory,
    /// Where objects live.
    pub places: &'a Places,
    /// The Namespace `default`, which is in every cluster, if the inventory does not have it.
    pub default: Option<Object>,
    /// The index of each constraint in the report.
    pub index: &'a BTreeMap<ConstraintKey, usize>,
    /// What one evaluation may use.
    pub limits: Evaluations,
    /// How long the constraints together may take for one object.
    pub timeout: Duration,
    /// What policies see as the present: nanoseconds since 1970.
    pub now_ns: i64,
    /// What a text may have.
    pub reading: Limits,
    /// Set from outside to end early.
    pub stop: &'a AtomicBool,
    /// Objects come from the cluster: their text is that of a list, which nobody can open.
    pub in_cluster: bool,
    /// Which objects are judged, if it is not all of them.
    pub shard: Option<Shard>,
    /// Which findings are explained, if that is asked for.
    pub explaining: Option<Explaining>,
}

/// How evaluations on many threads keep within the ceiling: what needs more than a little is evaluated once more, one at a time. What
/// comes out is the same as with one set of limits for all.
#[derive(Debug)]
pub struct Evaluations {
    few: EvaluationLimits,
    /// What the largest may use.
    all: EvaluationLimits,
    /// Held for those that may use as much.
    alone: Mutex<()>,
    /// Held for a large object with what it implies.
    large: Mutex<()>,
    /// Most bytes of the findings of one object.
    findings: u64,
    /// So much of what came of objects is handed on.
    part: u64,
}

impl Evaluations {
    /// With what one evaluation may use at most, which is no more than a quarter of the ceiling.
    pub fn new(limits: EvaluationLimits, ceiling: Ceiling) -> Self {
        let all = EvaluationLimits { memory: limits.memory.min(ceiling.bytes() / 4), ..limits };
        let few = EvaluationLimits { memory: all.memory.min(ceiling.evaluation()), ..limits };
        Self {
            few,
            all,
            alone: Mutex::new(()),
            large: Mutex::new(()),
            findings: ceiling.findings(),
            part: ceiling.part(),
        }
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Judged {
    /// How many of each.
    pub totals: Totals,
    /// What became of the objects, by kind.
    pub kinds: BTreeMap<Gvk, Objects>,
    /// What came of it, one after the other.
    pub steps: Vec<Step>,
    cut: bool,
    bytes: u64,
    /// What comes before the next finding of each constraint, as far as it matters for explanations.
    before: Before,
}

impl Weighed for Judged {
    fn weight(&self) -> u64 {
        self.bytes
    }

    fn is_cut(&self) -> bool {
        self.cut
    }
}

/// An item, as it was read, and where in a cluster it is.
struct Unpacked {
    listed: Option<ListedAt>,
    what: What,
}

enum What {
    Unread(Problem),
    FailedKind(Gvk, String),
    Read(Read),
    /// An object that another shard judges. Nothing but its name was looked at.
    Elsewhere(ObjectName),
}

impl Judge<'_> {
    /// Judges the objects of a batch, to its end or until it is asked to stop. What came of them is handed out in parts, each as if it
    /// were a batch, before there is much of it.
    pub fn batch(&self, items: Vec<Item>, out: &mut dyn FnMut(Judged)) {
        let mut judged = Judged { before: self.before(), ..self.nothing() };
        let mut answers = Answers::new();
        let mut unpacked: Box<dyn Iterator<Item = Unpacked>> =
            Box::new(items.into_iter().map(|item| self.unpack(item)));
        if self.policies.may_ask() || self.expansion.as_ref().is_some_and(Expansion::may_ask) {
            // All of them at once, so that each provider is asked once.
            let all: Vec<Unpacked> = unpacked.collect();
            answers = self.gather(&all);
            unpacked = Box::new(all.into_iter());
        }
        for item in unpacked {
            self.hand_out(&mut judged, out);
            if self.stop.load(Ordering::Relaxed) {
                judged.cut = true;
                break;
            }
            judged.steps.push(Step::Item(item.listed));
            match item.what {
                What::Unread(problem) => judged.unread(problem),
                What::FailedKind(gvk, why) => {
                    judged.kinds.entry(gvk.clone()).or_default();
                    judged.event(Event::FailedKind((&gvk).into(), why));
                }
                What::Elsewhere(name) => {
                    judged.steps.push(Step::Object);
                    judged.name(name, None);
                }
                What::Read(Read { objects, problems, unlisted }) => {
                    for problem in problems {
                        judged.problem(problem);
                    }
                    if unlisted > 0 {
                        judged.event(Event::Unlisted(unlisted));
                    }
                    for object in objects {
                        judged.steps.push(Step::Object);
                        match self.shard.filter(|shard| !self.is_of(*shard, &object)) {
                            None => self.object(object, &answers, &mut judged),
                            Some(_) => {
                                judged.name(ObjectName::of(&self.places.settle(object).object), None);
                            }
                        }
                        self.hand_out(&mut judged, out);
                    }
                }
            }
        }
        out(judged);
    }

    /// Whether a shard judges an object.
    fn is_of(&self, shard: Shard, object: &Object) -> bool {
        // Most are where they are written to be.
        let namespace = identity::namespace(self.places, object.gvk(), object.namespace());
        shard.judges(&ObjectName { namespace, ..ObjectName::of(object) })
    }

    fn unpack(&self, item: Item) -> Unpacked {
        let files = |what| Unpacked { listed: None, what };
        match item {
            Item::Unread(problem) => files(What::Unread(problem)),
            Item::FailedKind(gvk, why) => {
                Unpacked { listed: Some(ListedAt::end(&gvk)), what: What::FailedKind(gvk, why) }
            }
            #[cfg(feature = "kube")]
            Item::Listed { page, index } => self.unpack_listed(&page, index),
            Item::Text { file, text } => files(match self.name_elsewhere(&text) {
                Some(name) => What::Elsewhere(name),
                None => What::Read(read(&file, text, &self.reading)),
            }),
        }
    }

    /// The name of the object that is a text, if another shard judges it: so that it is not read.
    fn name_elsewhere(&self, text: &Text) -> Option<ObjectName> {
        let shard = self.shard?;
        identity::of_text(text, self.places).filter(|name| !shard.judges(name))
    }

    #[cfg(feature = "kube")]
    fn unpack_listed(&self, page: &portcullis_cluster::Page, index: usize) -> Unpacked {
        let gvk = page.gvk();
        let elsewhere = || {
            let (shard, text) = (self.shard?, page.object_json(index)?);
            identity::of_listed(text, gvk, self.places).filter(|name| !shard.judges(name))
        };
        if let Some(name) = elsewhere() {
            return Unpacked { listed: Some(ListedAt::object(gvk, &name)), what: What::Elsewhere(name) };
        }
        match page.object(index) {
            Some(Ok(object)) => {
                let listed = Some(ListedAt::object(gvk, &ObjectName::of(&object)));
                Unpacked { listed, what: What::Read(Read { objects: vec![object], ..Read::default() }) }
            }
            Some(Err(error)) => {
                Unpacked { listed: Some(ListedAt::begin(gvk)), what: What::Unread(Problem::of(&error)) }
            }
            None => Unpacked { listed: Some(ListedAt::begin(gvk)), what: What::Read(Read::default()) },
        }
    }

    /// What is answered of all that policies ask about the objects of a batch.
    fn gather(&self, items: &[Unpacked]) -> Answers {
        let objects = || {
            items.iter().flat_map(|item| match &item.what {
                What::Read(read) => read.objects.as_slice(),
                What::Unread(_) | What::FailedKind(..) | What::Elsewhere(_) => &[],
            })
        };
        self.answering.gather(None, |answers| {
            let mut questions = Questions::default();
            for object in objects() {
                // A defect is told when the object is judged.
                let asked = catch_unwind(AssertUnwindSafe(|| self.questions(object, answers)));
                let asked = asked.unwrap_or_default();
                // Those that there is no room for are asked next time.
                if asked.iter().any(|question| questions.ask(question.clone()).is_err()) {
                    break;
                }
            }
            questions
        })
    }

    fn questions(&self, object: &Object, answers: &Answers) -> Questions {
        if self.stop.load(Ordering::Relaxed) || self.shard.is_some_and(|shard| !self.is_of(shard, object)) {
            return Questions::default();
        }
        let review = self.reviewed(self.places.settle(object.clone()));
        if self.policies.excludes(Process::Audit, &review) {
            return Questions::default();
        }
        let _only = self.only_large(object);
        let deadline = self.deadline();
        let world = self.world(self.limits.few, &deadline, answers);
        let point = EnforcementPoint::Audit;
        match &self.expansion {
            Some(expansion) => self.policies.questions_expanding(&review, expansion, &world, point),
            None => self.policies.questions(&review, &[], &world, point),
        }
    }

    /// The review of an object, with the Namespace `default` if it lives there.
    fn reviewed(&self, settled: Settled) -> Review {
        let review = Review::settled(settled);
        match self.default.as_ref().filter(|default| **default.name() == *review.namespace_name()) {
            Some(default) => review.with_namespace(default.clone()),
            None => review,
        }
    }

    fn nothing(&self) -> Judged {
        let by_policy = vec![Tally::default(); self.index.len()];
        Judged { totals: Totals { by_policy, ..Totals::default() }, ..Judged::default() }
    }

    fn before(&self) -> Before {
        self.explaining.as_ref().map(Explaining::before).unwrap_or_default()
    }

    /// Hands out what there is, if it is much.
    fn hand_out(&self, judged: &mut Judged, out: &mut dyn FnMut(Judged)) {
        if judged.bytes >= self.limits.part {
            let before = std::mem::take(&mut judged.before);
            out(std::mem::replace(judged, Judged { before, ..self.nothing() }));
        }
    }

    fn object(&self, object: Object, answers: &Answers, judged: &mut Judged) {
        // A defect of ours in one object must not take the others with it, nor pass.
        let name = ObjectName::of(&object);
        let place = self.place_of(&object);
        let before = (judged.steps.len(), judged.totals.clone());
        let done = catch_unwind(AssertUnwindSafe(|| self.review(object, answers, judged)));
        if done.is_err() {
            let (steps, totals) = before;
            judged.steps.truncate(steps);
            judged.totals = totals;
            judged.before = self.before();
            judged.unread(Problem {
                object: Some(name),
                place: Some(place),
                help: Some("please report this: it is a defect of portcullis".to_owned()),
                ..Problem::error(ErrorKind::Defect, "judging this object broke off")
            });
        }
    }

    fn review(&self, object: Object, answers: &Answers, judged: &mut Judged) {
        let written = object;
        let settled = self.places.settle(written.clone());
        let (object, how) = (settled.object.clone(), settled.place);
        let name = ObjectName::of(&object);
        let place = self.place_of(&object);
        if &*name.kind == "AdmissionReview" && &*name.group == "admission.k8s.io" {
            return judged.unread(Problem {
                object: Some(name),
                place: Some(place),
                help: Some("judge requests with `portcullis test`".to_owned()),
                ..Problem::error(
                    ErrorKind::NotAnObject,
                    "this is an admission request, not an object of a cluster",
                )
            });
        }
        if name_bytes(&name) > MAX_NAME {
            let object = ObjectName { kind: name.kind.clone(), ..ObjectName::default() };
            let message = format!(
                "group, version, kind, namespace and name have {} together, which no object of a cluster has",
                size(name_bytes(&name) as u64)
            );
            return judged.unread(Problem {
                object: Some(object),
                place: Some(place),
                help: Some("it is not audited".to_owned()),
                ..Problem::error(ErrorKind::Limit, message)
            });
        }
        judged.name(name.clone(), Some(place.clone()));
        if matches!(how, Placement::Assumed | Placement::Given) {
            judged.problem(self.unplaced(ObjectName::of(&written), place.clone()));
        }
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        counted.seen += 1;
        let review = self.reviewed(settled);
        let (point, process) = (EnforcementPoint::Audit, Process::Audit);
        let said_elsewhere = |review: &Review, judged: &mut Judged| {
            for elsewhere in self.elsewhere(review, answers, point, process) {
                let problem = Problem::of(&elsewhere.to_warning());
                judged.problem(Problem {
                    object: Some(ObjectName::of(&written)),
                    place: Some(place.clone()),
                    ..problem
                });
            }
        };
        said_elsewhere(&review, judged);
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        if self.policies.excludes(process, &review) {
            counted.excluded += 1;
            return;
        }
        let _only = self.only_large(&object);
        let (few, again) = (self.deadline(), OnceCell::new());
        let implied = self.implied(&review, &few, answers).unwrap_or_else(|error| {
            let error = Problem::of(&error);
            let known = error.place.clone().filter(|_| !self.in_cluster);
            judged.problem(Problem {
                object: Some(name.clone()),
                place: Some(known.unwrap_or_else(|| place.clone())),
                ..error
            });
            Vec::new()
        });
        // However many things an object implies: what does not work with them is mostly the same.
        let by = implied.iter().filter_map(Review::implied_by);
        let ignored: BTreeSet<&str> = by.flat_map(ImpliedBy::ignored).collect();
        for what in ignored {
            judged.problem(Problem {
                object: Some(name.clone()),
                place: Some(place.clone()),
                ..Problem::warning(ErrorKind::Mutation, format!("{IGNORED}: {what}"))
            });
        }
        for review in &implied {
            said_elsewhere(review, judged);
        }
        let mut listed = Listed::new(self, &object, &name);
        let mut is_judged = false;
        let reviews: Vec<&Review> = std::iter::once(&review).chain(&implied).collect();
        for (number, review) in reviews.iter().enumerate() {
            self.policies.review_each(review, &self.world(self.limits.few, &few, answers), point, |ask| {
                is_judged = true;
                let result = ask(&self.world(self.limits.few, &few, answers));
                let needs_more =
                    matches!(&result.verdict, Said::Error(error) if self.is_worth_more(error.limit));
                if !needs_more {
                    return listed.take(&result, number);
                }
                drop(result);
                // Alone until it is given up.
                let _alone = self.limits.alone.lock().unwrap_or_else(PoisonError::into_inner);
                let deadline = again.get_or_init(|| self.deadline());
                listed.take(&ask(&self.world(self.limits.all, deadline, answers)), number);
            });
        }
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        if !is_judged {
            counted.unmatched += 1;
            return;
        }
        counted.judged += 1;
        listed.finish(&reviews, answers, judged);
    }

    /// Keeps what large objects imply from being there on every thread at once, since mutators copy what they change. Whoever has it may wait
    /// to be [`Evaluations::alone`], and not the other way round.
    fn only_large(&self, object: &Object) -> Option<MutexGuard<'_, ()>> {
        const COPIES: u64 = 16;
        self.expansion.as_ref()?;
        let is_large = object.weight() as u64 * COPIES > self.limits.few.memory;
        is_large.then(|| self.limits.large.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reviews of what the object implies: within the time that there is for the object.
    fn implied(&self, review: &Review, deadline: &Deadline, answers: &Answers) -> Result<Vec<Review>, Error> {
        let Some(expansion) = &self.expansion else { return Ok(Vec::new()) };
        let world = self.world(self.limits.few, deadline, answers);
        review.implied(expansion, &world).map_err(|error| error.to_error())
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    fn world<'w>(
        &'w self,
        limits: EvaluationLimits,
        deadline: &'w Deadline,
        answers: &'w Answers,
    ) -> World<'w> {
        let world = World::new(self.inventory).with_limits(limits).with_now(self.now_ns);
        // Nobody is told what it takes.
        world.with_watch(deadline).with_answers(answers).with_counting(Counting::NearLimits)
    }

    /// Explains those findings of an object that may be among the first of their constraints, one at a time in the whole program and with
    /// all that one evaluation may use. Says how many bytes that takes.
    fn explain(
        &self,
        found: &mut [Found],
        reviews: &[&Review],
        answers: &Answers,
        before: &mut Before,
    ) -> u64 {
        let Some(explaining) = &self.explaining else { return 0 };
        let wanted = explaining.wanted(found, before);
        if wanted.is_empty() {
            return 0;
        }
        let _alone = self.limits.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = self.deadline();
        let world = &self.world(self.limits.all, &deadline, answers);
        let Self { policies, in_cluster, stop, .. } = *self;
        explaining.explain(wanted, reviews, Again { policies, world, in_cluster, stop }, before)
    }

    /// Whether an evaluation that met a limit may get further with more memory.
    fn is_worth_more(&self, limit: Option<LimitKind>) -> bool {
        limit == Some(LimitKind::Memory) && self.limits.few.memory < self.limits.all.memory
    }

    /// What would be found elsewhere: with little memory, and only if there was too little of it once more with all, alone.
    fn elsewhere(
        &self,
        review: &Review,
        answers: &Answers,
        point: EnforcementPoint,
        process: Process,
    ) -> Vec<Elsewhere> {
        let ask = |limits| {
            let deadline = self.deadline();
            let world = self.world(limits, &deadline, answers);
            self.policies.review_elsewhere(review, &world, point, process)
        };
        let found = ask(self.limits.few);
        if !found.iter().any(|found| self.is_worth_more(found.limit)) {
            return found;
        }
        drop(found);
        let _alone = self.limits.alone.lock().unwrap_or_else(PoisonError::into_inner);
        ask(self.limits.all)
    }
}

/// What reports list of one object and of what it implies, constraint by constraint: of each only the findings are kept.
struct Listed<'a> {
    judge: &'a Judge<'a>,
    object: &'a Object,
    name: &'a ObjectName,
    labels: Option<Arc<BTreeMap<String, String>>>,
    whole: Option<Place>,
    findings: Vec<Found>,
    bytes: u64,
    /// What each constraint says: of all, and by action.
    tallies: BTreeMap<Option<usize>, (Tally, BTreeMap<Action, Tally>)>,
    overridden: BTreeMap<(usize, Action), u64>,
    /// Constraints that have more findings than there is room for.
    overfull: BTreeSet<Option<usize>>,
    /// Where the findings are that are in the object itself, in order of what they say; since it is asked for.
    own: Option<Vec<usize>>,
}

impl<'a> Listed<'a> {
    fn new(judge: &'a Judge<'a>, object: &'a Object, name: &'a ObjectName) -> Self {
        Self {
            judge,
            object,
            name,
            labels: None,
            whole: None,
            findings: Vec::new(),
            bytes: 0,
            tallies: BTreeMap::new(),
            overridden: BTreeMap::new(),
            overfull: BTreeSet::new(),
            own: None,
        }
    }

    /// Counts a result and lists its findings. A constraint that has more than there is room for has one finding, which says so: what
    /// is not listed was not seen.
    fn take(&mut self, result: &ConstraintResult, review: usize) {
        let policy = self.judge.index.get(result.key()).copied();
        if self.overfull.contains(&policy) {
            return;
        }
        // Everything in an outcome of the audit's point is in the index.
        let listed = match policy {
            Some(policy) => self.list(result, policy, review),
            None => Some(FoundIn::of(result).len() as u64),
        };
        let tally = match (&result.verdict, listed) {
            (Said::Excepted { .. }, _) => Tally { excepted: 1, ..Tally::default() },
            (Said::Pass, _) | (_, Some(0)) => Tally { passes: 1, ..Tally::default() },
            (Said::Violations(_), Some(violations)) => Tally { violating: 1, violations, ..Tally::default() },
            (Said::Violations(_) | Said::Error(_), _) => Tally { unknown: 1, ..Tally::default() },
        };
        if listed.is_none() {
            self.overfull.insert(policy);
        }
        let (all, by_action) = self.tallies.entry(policy).or_default();
        all.add(tally);
        for action in result.actions.iter() {
            by_action.entry(Action(action)).or_default().add(tally);
        }
        let by = result.implied_by.as_ref().and_then(ImpliedBy::enforcement_action);
        let found = tally.violations + tally.unknown;
        if let (Some(policy), Some(action), 1..) = (policy, by, found) {
            *self.overridden.entry((policy, Action(action))).or_default() += found;
        }
    }

    /// Lists the findings of a result, and says how many are new; `None` if they do not fit.
    fn list(&mut self, result: &ConstraintResult, policy: usize, review: usize) -> Option<u64> {
        let before = (self.findings.len(), self.bytes);
        let declared = result.declared();
        let implied = result.implied_by.as_ref().map(|by| {
            let overrides = by.enforcement_action().is_some();
            Box::new(Implied { by: by.template().to_owned(), overrides })
        });
        let is_of_workload = implied.as_ref().is_some_and(|implied| implied.by == ExpansionSet::WORKLOADS);
        for finding in FoundIn::of(result) {
            let labels = self.labels.get_or_insert_with(|| Arc::new(labels_of(self.object)));
            let of_each = name_bytes(self.name)
                + labels.iter().map(|(key, value)| key.len() + value.len() + 64).sum::<usize>();
            // Of what is implied, the part that it is made of is known at least.
            let is_precise = |place: &Position| place.precision != Precision::Object || !place.path.is_root();
            let precise = finding.position().filter(is_precise);
            let found = Finding {
                object: self.name.clone(),
                labels: Arc::clone(labels),
                ordinal: 0,
                place: precise.as_ref().filter(|_| !self.judge.in_cluster).map_or_else(
                    || self.whole.get_or_insert_with(|| self.judge.place_of(self.object)).clone(),
                    |position| Place::of(&position.location),
                ),
                field: precise.map(|position| position.path.to_string()).unwrap_or_default(),
                policy,
                actions: Action::list(finding.actions()),
                verdict: if finding.is_error() { Verdict::Unknown } else { Verdict::Violation },
                message: String::new(),
                details: Details::default(),
                implied: implied.clone(),
                explanation: None,
                text: None,
            };
            if is_of_workload && self.is_own(&found, finding.message) {
                continue;
            }
            let by = implied.as_ref().map_or(0, |implied| implied.by.len() + 64);
            let most = self.judge.limits.findings;
            let room = most.saturating_sub(self.bytes);
            let bytes = 512 + of_each + by + found.field.len() + finding.message.len();
            let left = usize::try_from(room).unwrap_or(usize::MAX).checked_sub(bytes);
            if let Some(details) = left.and_then(|left| finding.details_json(left)) {
                self.bytes += (bytes + details.len()) as u64;
                let (message, details) = (finding.message.to_owned(), Details::of_json(details));
                let finding = Finding { message, details, ..found };
                self.findings.push(Found { declared, review, finding });
                continue;
            }
            self.findings.truncate(before.0);
            self.bytes = before.1;
            let said = Finding {
                labels: Arc::default(),
                place: self.judge.place_of(self.object),
                field: String::new(),
                verdict: Verdict::Unknown,
                message: format!(
                    "what is found in this object takes more than {} (raise `--max-memory`)",
                    size(most)
                ),
                details: Details::default(),
                ..found
            };
            self.findings.push(Found { declared, review, finding: said });
            return None;
        }
        Some((self.findings.len() - before.0) as u64)
    }

    /// Whether what is found in something that is implied without a template is found in the object itself, at the same place: a policy
    /// that knows workloads says it of both.
    fn is_own(&mut self, found: &Finding, message: &str) -> bool {
        fn key<'f>(finding: &'f Finding, message: &'f str) -> (usize, &'f str, &'f str, &'f Place) {
            (finding.policy, &finding.field, message, &finding.place)
        }
        let prefix = format!("[Implied by {}] ", ExpansionSet::WORKLOADS);
        let Some(said) = message.strip_prefix(&*prefix) else { return false };
        let findings = &self.findings;
        // The object itself is judged before what it implies, and what is listed of it stays.
        let own = self.own.get_or_insert_with(|| {
            let is_own = |(_, found): &(usize, &Found)| found.finding.implied.is_none();
            let mut own: Vec<usize> =
                findings.iter().enumerate().filter(is_own).map(|(number, _)| number).collect();
            own.sort_by_key(|&number| {
                findings.get(number).map(|one| key(&one.finding, &one.finding.message))
            });
            own
        });
        let of = |number: usize| findings.get(number).map(|one| key(&one.finding, &one.finding.message));
        own.binary_search_by(|&number| of(number).cmp(&Some(key(found, said)))).is_ok()
    }

    /// Hands on the findings, in the order of decisions, and what they come to. An object and what it implies are one judgement of a
    /// constraint.
    fn finish(mut self, reviews: &[&Review], answers: &Answers, judged: &mut Judged) {
        let totals = &mut judged.totals;
        let namespace = totals.by_namespace.entry(self.name.home().clone()).or_default();
        for (policy, (tally, by_action)) in self.tallies {
            let tally = one(tally);
            totals.all.add(tally);
            namespace.add(tally);
            if let Some(policy) = policy.and_then(|policy| totals.by_policy.get_mut(policy)) {
                policy.add(tally);
            }
            for (action, tally) in by_action {
                totals.by_action.entry(action).or_default().add(one(tally));
            }
        }
        for (key, count) in self.overridden {
            *totals.overridden.entry(key).or_default() += count;
        }
        self.findings.sort_by(|one, other| {
            (one.declared, &one.finding.message).cmp(&(other.declared, &other.finding.message))
        });
        let explained = self.judge.explain(&mut self.findings, reviews, answers, &mut judged.before);
        judged.bytes += self.bytes + explained;
        let finding = |one: Found| Step::Event(Box::new(Event::Finding(one.finding)));
        judged.steps.extend(self.findings.into_iter().map(finding));
    }
}

/// What a constraint says of an object and of what that implies, as one judgement: it passes if all of it passes.
fn one(tally: Tally) -> Tally {
    let Tally { passes, violating, violations, unknown, excepted } = tally;
    let holds = violating == 0 && unknown == 0;
    Tally {
        passes: if holds && excepted == 0 { passes.min(1) } else { 0 },
        violating: violating.min(1),
        violations,
        unknown,
        excepted: if holds { excepted.min(1) } else { 0 },
    }
}

/// About how many bytes a value takes.
fn name_bytes(name: &ObjectName) -> usize {
    let ObjectName { group, version, kind, namespace, name } = name;
    group.len() + version.len() + kind.len() + namespace.len() + name.len()
}

impl Judge<'_> {
    /// That an object names no namespace, and where it is taken to be.
    fn unplaced(&self, object: ObjectName, place: Place) -> Problem {
        let namespace = self.places.namespace();
        let (by, help) = if self.places.is_given() {
            (", as `--namespace` says", None)
        } else {
            ("", Some("name another one with `--namespace`".to_owned()))
        };
        let message = format!(
            "no namespace is named, but objects of this kind live in one: taken to be in `{namespace}`{by}"
        );
        let (object, place) = (Some(object), Some(place));
        Problem { object, place, help, ..Problem::warning(ErrorKind::MissingNamespace, message) }
    }

    /// The line that says which object it is.
    fn place_of(&self, object: &Object) -> Place {
        if self.in_cluster {
            return Place::Cluster;
        }
        let field = |path: &str| FieldPath::parse(path).and_then(|path| object.document()?.locate(&path));
        field("metadata.name")
            .or_else(|| field("metadata.generateName"))
            .or_else(|| field("kind"))
            .or_else(|| object.location())
            .map_or(Place::Cluster, |location| Place::of(&location))
    }
}

impl Judged {
    fn event(&mut self, event: Event) {
        self.steps.push(Step::Event(Box::new(event)));
    }

    /// One more object, with its place if it is judged here.
    fn name(&mut self, name: ObjectName, place: Option<Place>) {
        self.bytes += 256 + 2 * name_bytes(&name) as u64;
        self.steps.push(Step::Name(name, place));
    }

    fn problem(&mut self, problem: Problem) {
        let problem = problem.kept();
        let help = problem.help.as_ref().map_or(0, String::len);
        self.bytes += 512 + (problem.message.len() + help) as u64;
        self.event(if problem.is_error() { Event::Unread(problem) } else { Event::Problem(problem) });
    }

    fn unread(&mut self, problem: Problem) {
        self.problem(Problem { severity: Severity::Error, ..problem });
    }
}

/// What is said of what mutators and admission policies could not do with something that is implied.
const IGNORED: &str = "what does not work with what this implies does not count, as `failurePolicy` says";

/// Most bytes of all that names an object: each part of it may have 253 at most in a cluster.
const MAX_NAME: usize = 1024;

/// The labels that each finding has: more bytes of them than any object of a cluster needs are counted instead.
fn labels_of(object: &Object) -> BTreeMap<String, String> {
    const MAX: usize = 8 << 10;
    let (mut room, mut left_out) = (MAX, 0_usize);
    let mut labels = BTreeMap::new();
    for (key, value) in object.labels() {
        match room.checked_sub(key.len() + value.len()) {
            Some(rest) => {
                room = rest;
                labels.insert(key.to_owned(), value.to_owned());
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        labels.insert("portcullis/labels-left-out".to_owned(), left_out.to_string());
    }
    labels
}
