//! A batch of items against the policies. Pure: what comes out depends on the items, the policies and the world only.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis::{
    ConstraintKey, Decision, Document, EnforcementPoint, Error, ErrorKind, EvaluationLimits, FieldPath, Gvk,
    Inventory, Limits, Location, Object, PolicySet, Precision, Process, Review, Source, Verdict as Said,
    Watch, World,
};
use portcullis_report::audit::{
    Action, Finding, ObjectName, Objects, Place, Problem, Tally, Totals, Verdict,
};

use crate::pipeline::{Item, Weighed};
use crate::source::{Identity, Text};

/// What every review of an audit sees.
#[derive(Debug)]
pub struct Judge<'a> {
    /// By what is judged.
    pub policies: &'a PolicySet,
    /// With what objects are compared.
    pub inventory: &'a Inventory,
    /// The Namespace `default`, which is in every cluster, if the inventory does not have it.
    pub default: Option<Object>,
    /// The index of each constraint in the report.
    pub index: &'a BTreeMap<ConstraintKey, usize>,
    /// What one evaluation may use.
    pub limits: EvaluationLimits,
    /// How long the constraints together may take for one object.
    pub timeout: Duration,
    /// What policies see as the present: nanoseconds since 1970.
    pub now_ns: i64,
    /// Set from outside to end early.
    pub stop: &'a AtomicBool,
    /// Objects come from the cluster: their text is that of a list, which nobody can open.
    pub in_cluster: bool,
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
                    let (objects, problems) = read(&file, text);
                    for problem in problems {
                        judged.problem(problem);
                    }
                    for object in objects {
                        self.object(object, &mut judged);
                    }
                }
            }
        }
        judged.bytes += judged.names.len() as u64 * 256;
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
        let ordinal = judged.names.len() as u64;
        judged.names.push((name.clone(), place.clone()));
        if name.namespace.is_empty() && is_namespaced(&name) {
            judged.problem(Problem {
                is_error: false,
                code: "missing-namespace",
                object: Some(name.clone()),
                place: Some(place),
                message: "no namespace is named, but objects of this kind live in one".to_owned(),
                help: Some(
                    "judged as an object of the cluster, whose namespace constraints cannot tell".to_owned(),
                ),
            });
        }
        let counted = judged.kinds.entry(object.gvk().clone()).or_default();
        counted.seen += 1;
        let mut review = Review::from_object(object.clone());
        if self.policies.excludes(Process::Audit, &review) {
            counted.excluded += 1;
            return;
        }
        if let Some(default) =
            self.default.as_ref().filter(|default| **default.name() == *review.namespace_name())
        {
            review = review.with_namespace(default.clone());
        }
        let deadline = Deadline(Instant::now().checked_add(self.timeout));
        let world =
            World::new(self.inventory).with_limits(self.limits).with_now(self.now_ns).with_watch(&deadline);
        let outcome = self.policies.review(&review, &world, EnforcementPoint::Audit);
        if outcome.results.is_empty() {
            counted.unmatched += 1;
            return;
        }
        counted.judged += 1;
        let namespace = name.home().clone();
        for result in &outcome.results {
            let tally = match &result.verdict {
                Said::Pass => Tally { passes: 1, ..Tally::default() },
                Said::Violations(found) => {
                    Tally { violating: 1, violations: found.len() as u64, ..Tally::default() }
                }
                Said::Error(_) => Tally { unknown: 1, ..Tally::default() },
            };
            let totals = &mut judged.totals;
            totals.all.add(tally);
            if let Some(policy) =
                self.index.get(result.key()).and_then(|index| totals.by_policy.get_mut(*index))
            {
                policy.add(tally);
            }
            totals.by_namespace.entry(namespace.clone()).or_default().add(tally);
            for action in result.actions.iter() {
                totals.by_action.entry(Action(action)).or_default().add(tally);
            }
        }
        self.findings(&Decision::from(&outcome), &object, &name, ordinal, judged);
    }

    fn findings(
        &self,
        decision: &Decision<'_>,
        object: &Object,
        name: &ObjectName,
        ordinal: u64,
        judged: &mut Judged,
    ) {
        if decision.findings.is_empty() {
            return;
        }
        let labels = Arc::new(labels_of(object));
        let mut whole = None;
        for finding in &decision.findings {
            // Everything in an outcome of the audit's point is in the index.
            let Some(policy) = self.index.get(finding.result.key()) else { continue };
            let precise = finding.position().filter(|position| position.precision != Precision::Object);
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
                details: finding.details(),
            };
            judged.bytes += 1024 + found.message.len() as u64 * 2 + weight(&found.details);
            judged.findings.push(found);
        }
    }
}

impl Judge<'_> {
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
        self.bytes += 512 + problem.message.len() as u64;
        self.problems.push(problem);
    }

    fn unread(&mut self, problem: Problem) {
        self.problem(Problem { is_error: true, ..problem });
    }
}

/// The objects of a text, and what is wrong with it. Of one that was cut off nothing is wrong but that: it is reported with its source.
pub fn read(file: &Arc<str>, text: Text) -> (Vec<Object>, Vec<Problem>) {
    let is_cut = text.is_cut;
    // JSON shows its end; half of a YAML document is another document.
    let shows_its_end = text.bytes.trim_ascii_start().starts_with(b"{");
    if is_cut && !shows_its_end {
        return (Vec::new(), Vec::new());
    }
    let (documents, errors) = documents(file, text);
    if is_cut && !errors.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut problems: Vec<Problem> = errors.iter().map(Problem::of).collect();
    let mut objects = Vec::with_capacity(documents.len());
    for document in documents {
        match Object::from_document(document) {
            Ok(object) => objects.push(object),
            Err(error) => problems.push(Problem::of(&error)),
        }
    }
    (objects, problems)
}

fn documents(file: &Arc<str>, text: Text) -> (Vec<Document>, Vec<Error>) {
    let Text { bytes, start, identity, .. } = text;
    let source = |text: &str| Source::part(file.clone(), text, start.line, start.column);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let good = error.as_bytes().get(..at).unwrap_or_default();
            let good = source(&String::from_utf8_lossy(good));
            let end = u32::try_from(at).unwrap_or(u32::MAX);
            let error = Error::new(ErrorKind::Encoding, "this is no text: a byte is not UTF-8");
            return (Vec::new(), vec![error.at(Location::new(good, end..end))]);
        }
    };
    let limits = Limits { source_bytes: usize::MAX, ..Limits::default() };
    let (documents, errors) = Document::read_source(&source(&text), &limits);
    (documents.into_iter().map(|document| identified(document, identity.as_ref())).collect(), errors)
}

fn identified(document: Document, identity: Option<&Identity>) -> Document {
    match identity {
        Some(identity) => document.with_identity(&identity.0, &identity.1),
        None => document,
    }
}

/// How reports call an object. No name of Kubernetes is as long as what is cut here; each finding has it.
pub fn name_of(object: &Object) -> ObjectName {
    let gvk = object.gvk();
    let name = match (&**object.name(), object.generate_name()) {
        ("", generated) if !generated.is_empty() => format!("{generated}*").into(),
        _ => object.name().clone(),
    };
    ObjectName {
        group: part_of_name(&gvk.group),
        version: part_of_name(&gvk.version),
        kind: part_of_name(&gvk.kind),
        namespace: part_of_name(object.namespace()),
        name: part_of_name(&name),
    }
}

/// A part of a name; a long one is cut, with a number of its own behind it, so that different ones stay different.
fn part_of_name(part: &Arc<str>) -> Arc<str> {
    const LONGEST: usize = 512;
    if part.len() <= LONGEST {
        return part.clone();
    }
    let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(part);
    let shown = part.get(..part.floor_char_boundary(LONGEST)).unwrap_or_default();
    format!("{shown}… ({} bytes, {number:016x})", part.len()).into()
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

/// About how many bytes of memory details take.
fn weight(details: &serde_json::Value) -> u64 {
    const NODE: u64 = 80;
    NODE + match details {
        serde_json::Value::String(text) => text.len() as u64,
        serde_json::Value::Array(items) => items.iter().map(weight).sum(),
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len() as u64 + NODE + weight(value)).sum()
        }
        _ => 0,
    }
}

/// Kinds of Kubernetes itself that live in a namespace. Of others, only the cluster knows.
fn is_namespaced(name: &ObjectName) -> bool {
    let kinds: &[&str] = match &*name.group {
        "" => &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
        "apps" => &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
        "autoscaling" => &["HorizontalPodAutoscaler"],
        "batch" => &["CronJob", "Job"],
        "coordination.k8s.io" => &["Lease"],
        "discovery.k8s.io" => &["EndpointSlice"],
        "events.k8s.io" => &["Event"],
        "networking.k8s.io" => &["Ingress", "NetworkPolicy"],
        "policy" => &["PodDisruptionBudget"],
        "rbac.authorization.k8s.io" => &["Role", "RoleBinding"],
        _ => &[],
    };
    kinds.contains(&&*name.kind)
}
