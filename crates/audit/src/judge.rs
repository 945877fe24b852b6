//! A batch of items against the policies. Pure: what comes out depends on the items, the policies and the world only.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis::{
    ConstraintKey, Decision, EnforcementPoint, EvaluationLimits, FieldPath, Gvk, Inventory, LimitKind,
    Limits, Object, Place as Placement, Places, PolicySet, Precision, Process, Review, Verdict as Said,
    Watch, World,
};
use portcullis_report::audit::{
    Action, Finding, ObjectName, Objects, Place, Problem, Tally, Totals, Verdict,
};

use crate::memory::Ceiling;
use crate::pipeline::{Item, Weighed};
use crate::source::{Text, documents, size};

/// What every review of an audit sees.
#[derive(Debug)]
pub struct Judge<'a> {
    /// By what is judged.
    pub policies: &'a PolicySet,
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
}

/// How evaluations on many threads keep within the ceiling: what needs more than a little is evaluated once more, one at a time. What
/// comes out is the same as with one set of limits for all.
#[derive(Debug)]
pub struct Evaluations {
    few: EvaluationLimits,
    all: EvaluationLimits,
    alone: Mutex<()>,
    /// Most bytes of the findings of one object.
    findings: u64,
}

impl Evaluations {
    /// With what one evaluation may use at most, which is no more than a quarter of the ceiling.
    pub fn new(limits: EvaluationLimits, ceiling: Ceiling) -> Self {
        let all = EvaluationLimits { memory: limits.memory.min(ceiling.bytes() / 4), ..limits };
        let few = EvaluationLimits { memory: all.memory.min(ceiling.evaluation()), ..limits };
        Self { few, all, alone: Mutex::new(()), findings: ceiling.findings() }
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Judged {
    /// How many of each.
    pub totals: Totals,
    /// What became of the objects, by kind.
    pub kinds: BTreeMap<Gvk, Objects>,
    /// Kinds that could not be listed to their end, and why.
    pub failed_kinds: BTreeMap<Gvk, String>,
    /// In order. Ordinals count from the first object of the batch.
    pub findings: Vec<Finding>,
    /// The objects that were read, in order.
    pub names: Vec<(ObjectName, Place)>,
    /// In order.
    pub problems: Vec<Problem>,
    /// Objects that could not be read.
    pub unread: u64,
    cut: bool,
    bytes: u64,
}

impl Weighed for Judged {
    fn weight(&self) -> u64 {
        self.bytes
    }

    fn is_cut(&self) -> bool {
        self.cut
    }
}

struct Deadline(Option<Instant>);

impl Watch for Deadline {
    fn is_over(&self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }
}

impl Judge<'_> {
    /// Judges the objects of a batch, to its end or until it is told to stop.
    pub fn batch(&self, items: Vec<Item>) -> Judged {
        let mut judged = Judged::default();
        judged.totals.by_policy = vec![Tally::default(); self.index.len()];
        for item in items {
            if self.stop.load(Ordering::Relaxed) {
                judged.cut = true;
                break;
            }
            match item {
                Item::Unread(problem) => judged.unread(problem),
                Item::FailedKind(gvk, why) => {
                    judged.kinds.entry(gvk.clone()).or_default();
                    judged.failed_kinds.insert(gvk, why);
                }
                #[cfg(feature = "kube")]
                Item::Listed { page, index } => match page.object(index) {
                    Some(Ok(object)) => self.object(object, &mut judged),
                    Some(Err(error)) => judged.unread(Problem::of(&error)),
                    None => {}
                },
                Item::Text { file, text } => {
                    let (objects, problems) = read(&file, text, &self.reading);
                    for problem in problems {
                        judged.problem(problem);
                    }
                    for object in objects {
                        self.object(object, &mut judged);
                    }
                }
            }
        }
        judged
    }

    fn object(&self, object: Object, judged: &mut Judged) {
        // A defect of ours in one object must not take the others with it, nor pass.
        let name = name_of(&object);
        let place = self.place_of(&object);
        let before = (judged.names.len(), judged.findings.len(), judged.totals.clone());
        let done = catch_unwind(AssertUnwindSafe(|| self.review(object, judged)));
        if done.is_err() {
            let (names, findings, totals) = before;
            judged.names.truncate(names);
            judged.findings.truncate(findings);
            judged.totals = totals;
            judged.unread(Problem {
                is_error: true,
                code: "defect",
                object: Some(name),
                place: Some(place),
                message: "judging this object broke off".to_owned(),
                help: Some("please report this: it is a defect of portcullis".to_owned()),
            });
        }
    }

    fn review(&self, object: Object, judged: &mut Judged) {
        let written = object;
        let settled = self.places.settle(written.clone());
        let (object, how) = (settled.object.clone(), settled.place);
        let name = name_of(&object);
        let place = self.place_of(&object);
        if &*name.kind == "AdmissionReview" && &*name.group == "admission.k8s.io" {
            return judged.unread(Problem {
                is_error: true,
                code: "not-an-object",
                object: Some(name),
                place: Some(place),
                message: "this is an admission request, not an object of a cluster".to_owned(),
                help: Some("judge requests with `portcullis test`".to_owned()),
            });
        }
        if name_bytes(&name) > MOST_NAME {
            let object = ObjectName { kind: name.kind.clone(), ..ObjectName::default() };
            return judged.unread(Problem {
                is_error: true,
                code: "limit",
                object: Some(object).filter(|object| object.kind.len() <= MOST_NAME),
                place: Some(place),
                message: format!(
                    "group, version, kind, namespace and name have {} together, which no object of a cluster has",
                    size(name_bytes(&name) as u64)
                ),
                help: Some("it is not audited".to_owned()),
            });
        }
        let ordinal = judged.names.len() as u64;
        judged.bytes += 256 + 2 * name_bytes(&name) as u64;
        judged.names.push((name.clone(), place.clone()));
        if matches!(how, Placement::Assumed | Placement::Given) {
            judged.problem(self.unplaced(name_of(&written), place.clone()));
        }
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        counted.seen += 1;
        let mut review = Review::settled(settled);
        if let Some(default) =
            self.default.as_ref().filter(|default| **default.name() == *review.namespace_name())
        {
            review = review.with_namespace(default.clone());
        }
        let (point, process) = (EnforcementPoint::Audit, Process::Audit);
        let ask = |world: &World<'_>| self.policies.review_elsewhere(&review, world, point, process);
        for elsewhere in self.with_memory(ask, |found| found.iter().map(|found| found.limit).collect()) {
            let problem = Problem::of(&elsewhere.to_warning());
            judged.problem(Problem {
                object: Some(name_of(&written)),
                place: Some(place.clone()),
                ..problem
            });
        }
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        if self.policies.excludes(process, &review) {
            counted.excluded += 1;
            return;
        }
        let ask = |world: &World<'_>| self.policies.review(&review, world, point);
        let outcome = self.with_memory(ask, |outcome| {
            let limit = |said: &Said| if let Said::Error(error) = said { error.limit } else { None };
            outcome.results.iter().map(|result| limit(&result.verdict)).collect()
        });
        if outcome.results.is_empty() {
            counted.unmatched += 1;
            return;
        }
        counted.judged += 1;
        let namespace = name.home().clone();
        let mut listed = self.findings(&Decision::from(&outcome), &object, &name, ordinal);
        for result in &outcome.results {
            let policy = self.index.get(result.key()).copied();
            let cut = policy.is_some_and(|policy| listed.cut.contains(&policy));
            let tally = match &result.verdict {
                Said::Pass => Tally { passes: 1, ..Tally::default() },
                Said::Violations(found) if !cut => {
                    Tally { violating: 1, violations: found.len() as u64, ..Tally::default() }
                }
                Said::Violations(_) | Said::Error(_) => Tally { unknown: 1, ..Tally::default() },
            };
            let totals = &mut judged.totals;
            totals.all.add(tally);
            if let Some(policy) = policy.and_then(|policy| totals.by_policy.get_mut(policy)) {
                policy.add(tally);
            }
            totals.by_namespace.entry(namespace.clone()).or_default().add(tally);
            for action in result.actions.iter() {
                totals.by_action.entry(Action(action)).or_default().add(tally);
            }
        }
        judged.bytes += listed.bytes;
        judged.findings.append(&mut listed.findings);
    }

    /// Evaluates with few memory, and only if one of the limits that were met says so once more with all, alone.
    fn with_memory<T>(&self, ask: impl Fn(&World<'_>) -> T, met: impl Fn(&T) -> Vec<Option<LimitKind>>) -> T {
        let asked = |limits: EvaluationLimits| {
            let deadline = Deadline(Instant::now().checked_add(self.timeout));
            ask(&World::new(self.inventory).with_limits(limits).with_now(self.now_ns).with_watch(&deadline))
        };
        let answer = asked(self.limits.few);
        let has_more = self.limits.few.memory < self.limits.all.memory;
        if !has_more || !met(&answer).contains(&Some(LimitKind::Memory)) {
            return answer;
        }
        drop(answer);
        let _alone = self.limits.alone.lock().unwrap_or_else(PoisonError::into_inner);
        asked(self.limits.all)
    }

    /// What reports list of an object. A constraint that has more than there is room for has one finding, which says so: what is not
    /// listed was not seen.
    fn findings(&self, decision: &Decision<'_>, object: &Object, name: &ObjectName, ordinal: u64) -> Listed {
        let mut listed = Listed::default();
        if decision.findings.is_empty() {
            return listed;
        }
        let labels = Arc::new(labels_of(object));
        let of_each =
            name_bytes(name) + labels.iter().map(|(key, value)| key.len() + value.len() + 64).sum::<usize>();
        let mut whole = None;
        for finding in &decision.findings {
            // Everything in an outcome of the audit's point is in the index.
            let Some(policy) = self.index.get(finding.result.key()) else { continue };
            if listed.cut.contains(policy) {
                continue;
            }
            let precise = finding.position().filter(|position| position.precision != Precision::Object);
            let details = finding.details();
            let found = Finding {
                object: name.clone(),
                labels: Arc::clone(&labels),
                ordinal,
                place: precise.as_ref().filter(|_| !self.in_cluster).map_or_else(
                    || whole.get_or_insert_with(|| self.place_of(object)).clone(),
                    |position| Place::of(&position.location),
                ),
                field: precise.map(|position| position.path.to_string()).unwrap_or_default(),
                policy: *policy,
                actions: Action::list(finding.actions()),
                verdict: if finding.is_error() { Verdict::Unknown } else { Verdict::Violation },
                message: finding.message.to_owned(),
                details,
            };
            let bytes = 512 + of_each + found.message.len() + found.field.len() + json_bytes(&found.details);
            if listed.bytes + bytes as u64 <= self.limits.findings {
                listed.bytes += bytes as u64;
                listed.findings.push(found);
                continue;
            }
            listed.findings.retain(|finding| finding.policy != *policy);
            listed.cut.insert(*policy);
            listed.findings.push(Finding {
                labels: Arc::default(),
                place: self.place_of(object),
                field: String::new(),
                verdict: Verdict::Unknown,
                message: format!(
                    "what is found in this object takes more than {} (raise `--max-memory`)",
                    size(self.limits.findings)
                ),
                details: serde_json::json!({}),
                ..found
            });
        }
        listed
    }
}

/// What reports list of one object.
#[derive(Debug, Default)]
struct Listed {
    findings: Vec<Finding>,
    bytes: u64,
    /// Constraints whose violations are not listed.
    cut: BTreeSet<usize>,
}

/// About how many bytes a value takes.
fn json_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(json_bytes).sum::<usize>(),
        Value::Object(entries) => {
            32 + entries.iter().map(|(key, value)| 64 + key.len() + json_bytes(value)).sum::<usize>()
        }
    }
}

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
        Problem {
            is_error: false,
            code: "missing-namespace",
            object: Some(object),
            place: Some(place),
            message: format!(
                "no namespace is named, but objects of this kind live in one: taken to be in `{namespace}`{by}"
            ),
            help,
        }
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
    fn problem(&mut self, problem: Problem) {
        self.unread += u64::from(problem.is_error);
        let help = problem.help.as_ref().map_or(0, String::len);
        self.bytes += 512 + (problem.message.len() + help) as u64;
        self.problems.push(problem);
    }

    fn unread(&mut self, problem: Problem) {
        self.problem(Problem { is_error: true, ..problem });
    }
}

/// The objects of a text, and what is wrong with it.
pub fn read(file: &Arc<str>, text: Text, limits: &Limits) -> (Vec<Object>, Vec<Problem>) {
    let (documents, mut problems) = documents(file, text, limits);
    let mut objects = Vec::with_capacity(documents.len());
    for document in documents {
        match Object::from_document(document) {
            Ok(object) => objects.push(object),
            Err(error) => problems.push(Problem::of(&error)),
        }
    }
    (objects, problems)
}

/// Most bytes of all that names an object: each part of it may have 253 at most in a cluster.
const MOST_NAME: usize = 1024;

/// How reports call an object.
pub fn name_of(object: &Object) -> ObjectName {
    let gvk = object.gvk();
    let name = match (&**object.name(), object.generate_name()) {
        ("", generated) if !generated.is_empty() => format!("{generated}*").into(),
        _ => object.name().clone(),
    };
    ObjectName {
        group: gvk.group.clone(),
        version: gvk.version.clone(),
        kind: gvk.kind.clone(),
        namespace: object.namespace().clone(),
        name,
    }
}

/// The labels that each finding has: more bytes of them than any object of a cluster needs are counted instead.
fn labels_of(object: &Object) -> BTreeMap<String, String> {
    const MOST: usize = 8 << 10;
    let (mut room, mut left_out) = (MOST, 0_usize);
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
