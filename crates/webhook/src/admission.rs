//! One request: the bytes of an AdmissionReview in, the bytes of the answer out. Pure; it decides nothing that the core decides.
//!
//! What cannot be read, judged or finished is answered `allowed: false`. It is an *answer*, with HTTP 200, also when the webhook is at
//! fault: a failed call would leave the decision to the webhook configuration's `failurePolicy`, which may be to let everything in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use portcullis::{
    Actions, AdmissionReview, Decision, Document, EnforcementAction, EnforcementPoint, Error, ErrorKind,
    EvaluationLimits, Finding, Gvk, Inventory, Limits, Object, Operation, Outcome, PolicySet, Process,
    Resource, Review, Severity, Source, Stopwatch, TemplateName, Unsupported, Watch, World,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounds::{self, cut, fit, json_bytes};
use crate::digest::seed;
use crate::head::Head;
use crate::redact::Redaction;
use crate::shape::{Part, Shape};

/// Longest name of a template or constraint: it becomes the value of a label.
const NAME_CHARS: usize = 63;
/// Problems of one policy that are told; who mends these sees the others.
const MOST_PROBLEMS: usize = 20;
const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";

/// What requests are judged by: immutable, swapped as a whole.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The compiled policies.
    pub policies: PolicySet,
    /// The objects that policies may compare with, and the Namespaces.
    pub inventory: Inventory,
    /// The templates as resources, to check constraints by when they are applied.
    pub templates: BTreeMap<TemplateName, Resource>,
    /// Tells this set of policies from any other. Worked out when it is loaded.
    pub policies_digest: Arc<str>,
    /// The same of the objects, or the number of a state of them.
    pub inventory_digest: Arc<str>,
}

/// What becomes of a template whose Rego is wrong when it is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRego {
    /// It is refused: a policy that cannot run must not look as if it did.
    #[default]
    Refuse,
    /// It is let in with a warning, as Gatekeeper does.
    Admit,
}

/// What the webhook is to itself, and how it treats its own kinds.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Its namespace: what is in it is not judged by constraints.
    pub namespace: Option<String>,
    /// The users that are the webhook itself: what they do is let in.
    pub identities: Vec<String>,
    /// Templates that are applied.
    pub bad_rego: BadRego,
    /// Policies that are applied and not supported.
    pub unsupported: Unsupported,
}

/// What one review may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Steps and memory of each constraint.
    pub limits: EvaluationLimits,
    /// The end of the whole review.
    pub deadline: Instant,
    /// The time that policies see, in nanoseconds since 1970.
    pub now_ns: i64,
}

/// The end of a review. What has not been evaluated then is an error of its constraint.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Watch for Deadline {
    fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// Measures constraints.
#[derive(Clone, Copy, Debug)]
struct Since(Instant);

impl Stopwatch for Since {
    fn read_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The parts of a request that the answer repeats and that logs name. Read apart from the core, so that also what the core refuses
/// is answered under its own uid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Envelope {
    api_version: Option<String>,
    kind: Option<String>,
    request: Option<RequestHead>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestHead {
    uid: Option<String>,
    kind: Option<HeadKind>,
    name: Option<String>,
    namespace: Option<String>,
    operation: Option<String>,
    sub_resource: Option<String>,
    dry_run: Option<bool>,
    user_info: Option<HeadUser>,
    object: Part,
    old_object: Part,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HeadKind {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HeadUser {
    username: Option<String>,
}

impl Envelope {
    /// Of a body, or of the beginning of one: as much as can be told. API servers take an answer under another uid for a failed call,
    /// so also a refusal needs the right one.
    #[must_use]
    pub fn read_lossy(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self::of_head(&Head::of(body)))
    }

    /// What an answer needs.
    #[must_use]
    pub fn of_head(head: &Head) -> Self {
        let request = RequestHead { uid: head.uid().map(str::to_owned), ..RequestHead::default() };
        Self { api_version: head.version().map(api_version), kind: None, request: Some(request) }
    }

    /// Whether the request is only tried.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.request.as_ref().and_then(|request| request.dry_run).unwrap_or(false)
    }

    /// The uid; empty if there is none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.head(|head| head.uid.as_deref())
    }

    /// Who asks; empty if nobody is named.
    #[must_use]
    pub fn user(&self) -> &str {
        self.head(|head| head.user_info.as_ref()?.username.as_deref())
    }

    /// What is being done; empty if nothing is.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.head(|head| head.operation.as_deref())
    }

    /// Group, version and kind, each empty if it is not there.
    #[must_use]
    pub fn kind(&self) -> [&str; 3] {
        [
            self.head(|head| head.kind.as_ref()?.group.as_deref()),
            self.head(|head| head.kind.as_ref()?.version.as_deref()),
            self.head(|head| head.kind.as_ref()?.kind.as_deref()),
        ]
    }

    /// The subresource; empty if it is the object itself.
    #[must_use]
    pub fn sub_resource(&self) -> &str {
        self.head(|head| head.sub_resource.as_deref())
    }

    /// The namespace; empty if it is in none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.head(|head| head.namespace.as_deref())
    }

    /// The name; empty if it is not known yet.
    #[must_use]
    pub fn name(&self) -> &str {
        self.head(|head| head.name.as_deref())
    }

    /// Whether what has to be there is there.
    fn check(&self) -> Result<(), Answer> {
        // That there is no request at all is said by who reads it.
        let Some(request) = &self.request else { return Ok(()) };
        let (object, old_object) = (&request.object, &request.old_object);
        let shape = Shape { operation: self.operation(), kind: self.kind(), object, old_object };
        shape
            .check()
            .map_err(|error| Answer::malformed(400, format!("the request cannot be judged: {error}")))
    }

    fn head<'a>(&'a self, field: impl Fn(&'a RequestHead) -> Option<&'a str>) -> &'a str {
        self.request.as_ref().and_then(field).unwrap_or_default()
    }

    /// What came as no version that is known is answered in the one that all API servers read.
    fn version(&self) -> &'static str {
        let sent = Gvk::new(self.api_version.as_deref().unwrap_or_default(), AdmissionReview::KIND);
        let mut known = AdmissionReview::VERSIONS.iter().copied();
        let newest = known.clone().next().unwrap_or_default();
        known.find(|version| *version == &*sent.version && is_review(&sent)).unwrap_or(newest)
    }
}

fn is_review(gvk: &Gvk) -> bool {
    &*gvk.group == AdmissionReview::GROUP && &*gvk.kind == AdmissionReview::KIND
}

fn api_version(version: &str) -> String {
    format!("{}/{version}", AdmissionReview::GROUP)
}

/// How a request ended, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Let in.
    Allow,
    /// Denied by a violation.
    Deny,
    /// Refused because it could not be judged.
    Error,
    /// Answered before anything was judged: excluded by a Config, or a policy that is itself wrong. Not counted, as in Gatekeeper.
    Unjudged,
}

impl Status {
    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Unjudged => "unknown",
        }
    }
}

/// What the API server is told.
#[derive(Clone, Debug)]
pub struct Answer {
    allowed: bool,
    code: u16,
    reason: Option<&'static str>,
    message: String,
    warnings: Vec<String>,
    /// How it ended.
    pub status: Status,
    /// What the constraints said; `None` if they were not asked.
    pub outcome: Option<Box<Outcome>>,
    /// The name in the object, which the request may not have.
    object_name: Arc<str>,
}

impl Answer {
    fn new(status: Status, code: u16, message: impl Into<String>) -> Self {
        Self::of_lines(status, code, [message.into()], "lines")
    }

    /// With as many lines as are told.
    fn of_lines(status: Status, code: u16, lines: impl IntoIterator<Item = String>, what: &str) -> Self {
        Self {
            allowed: matches!(status, Status::Allow),
            code,
            reason: None,
            message: fit(lines, what, bounds::ANSWER).join("\n"),
            warnings: Vec::new(),
            status,
            outcome: None,
            object_name: "".into(),
        }
    }

    /// A refusal of a request that is not what it should be.
    #[must_use]
    pub fn malformed(code: u16, message: impl Into<String>) -> Self {
        Self { reason: Some("BadRequest"), ..Self::new(Status::Error, code, message) }
    }

    /// A refusal because the webhook could not judge.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { reason: Some("InternalError"), ..Self::new(Status::Error, 500, message) }
    }

    /// Whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The code of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// What the user is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same verdict without what may be long.
    #[must_use]
    pub fn without_reasons(&self) -> Self {
        const LEFT_OUT: &str = "the reasons are left out: too many answers wait for their readers";
        Self { allowed: self.allowed, code: self.code, ..Self::new(self.status, self.code, LEFT_OUT) }
    }

    /// Whether the message may repeat parts of a request that was not judged.
    #[must_use]
    pub fn repeats_request(&self) -> bool {
        self.outcome.is_none() && matches!(self.code, 400..500)
    }

    /// A record for each finding, in the order of the decision, without what is secret; and how many are left out because they are too
    /// much for one request.
    #[must_use]
    pub fn records<'a>(&'a self, envelope: &'a Envelope, redaction: &Redaction) -> (Vec<Record<'a>>, usize) {
        let Some(outcome) = &self.outcome else { return (Vec::new(), 0) };
        let findings = Decision::from(&**outcome).findings;
        let (mut records, mut bytes) = (Vec::new(), 0);
        for finding in &findings {
            let record = Record::new(finding, &self.object_name, envelope, redaction);
            bytes += json_bytes(&record.message) + json_bytes(&record);
            if bytes > bounds::FINDINGS {
                break;
            }
            records.push(record);
        }
        let left = findings.len() - records.len();
        (records, left)
    }

    /// The bytes of the AdmissionReview that answers a request.
    #[must_use]
    pub fn to_body(&self, envelope: &Envelope) -> Vec<u8> {
        let body = Body {
            api_version: api_version(envelope.version()),
            kind: AdmissionReview::KIND,
            response: Response {
                uid: envelope.uid(),
                allowed: self.allowed,
                status: Detail { code: self.code, reason: self.reason, message: &self.message },
                warnings: &self.warnings,
            },
        };
        // Texts and numbers always have a JSON form; a body without one would fail the call, which is no pass either.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: String,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    status: Detail<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Detail<'a> {
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

/// A finding in the keys that Gatekeeper logs.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// What was found. Gatekeeper's key is `msg`, with `denied admission: ` before it.
    #[serde(skip)]
    pub message: String,
    semantic: bool,
    /// Always `admission`.
    pub process: &'static str,
    /// Always `violation`.
    pub event_type: &'static str,
    details: Value,
    /// The constraint.
    pub constraint_name: &'a str,
    /// Its API group.
    pub constraint_group: &'a str,
    /// Its API version.
    pub constraint_api_version: &'a str,
    /// Its kind.
    pub constraint_kind: &'a str,
    /// Its `enforcementAction`, as written.
    pub constraint_action: &'a str,
    /// What it comes to at the webhook.
    #[serde(skip)]
    pub actions: Actions,
    constraint_enforcement_actions: Vec<&'static str>,
    /// The API group of what was asked for.
    pub resource_group: Cow<'a, str>,
    /// Its version.
    pub resource_api_version: Cow<'a, str>,
    /// Its kind.
    pub resource_kind: Cow<'a, str>,
    /// Its namespace; empty if it is in none.
    pub resource_namespace: Cow<'a, str>,
    /// Its name; empty if it is not known yet.
    pub resource_name: Cow<'a, str>,
    /// Who asked.
    pub request_username: Cow<'a, str>,
}

impl<'a> Record<'a> {
    fn new(
        finding: &Finding<'a>,
        object_name: &'a str,
        envelope: &'a Envelope,
        redaction: &Redaction,
    ) -> Self {
        let constraint = &finding.result.constraint;
        let gvk = constraint.object().gvk();
        let name = |text| cut(text, bounds::NAME);
        let [group, version, kind] = envelope.kind().map(name);
        Self {
            message: redaction.message(finding),
            semantic: true,
            process: "admission",
            event_type: "violation",
            details: redaction.details(finding),
            constraint_name: &finding.result.key().name,
            constraint_group: &gvk.group,
            constraint_api_version: &gvk.version,
            constraint_kind: &gvk.kind,
            constraint_action: constraint.enforcement().declared(),
            actions: finding.actions(),
            constraint_enforcement_actions: finding.actions().iter().map(EnforcementAction::as_str).collect(),
            resource_group: group,
            resource_api_version: version,
            resource_kind: kind,
            resource_namespace: name(envelope.namespace()),
            resource_name: name(if envelope.name().is_empty() { object_name } else { envelope.name() }),
            request_username: name(envelope.user()),
        }
    }

    /// The line of the log, as Gatekeeper words it.
    #[must_use]
    pub fn msg(&self) -> String {
        format!("denied admission: {}", self.message)
    }
}

/// Judges the body of a request.
///
/// `namespace` is the Namespace that the request is in, if it is known beside the inventory; or why it is not known though it should
/// be, and then constraints that need it cannot be evaluated.
#[must_use]
pub fn admit(
    body: &[u8],
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    budget: &Budget,
) -> (Envelope, Answer) {
    let envelope = match read_envelope(body) {
        Ok(envelope) => envelope,
        Err(answer) => return (Envelope::read_lossy(body), answer),
    };
    let answer = match envelope.check().and_then(|()| read_review(body)) {
        Ok(review) => judge(review, &envelope, serving, own, namespace, budget),
        Err(answer) => answer,
    };
    (envelope, answer)
}

/// Judges whether a Namespace may carry the label that takes it out of the webhook's sight.
#[must_use]
pub fn admit_label(body: &[u8], exempt: &Exempt) -> (Envelope, Answer) {
    let envelope = match read_envelope(body) {
        Ok(envelope) => envelope,
        Err(answer) => return (Envelope::read_lossy(body), answer),
    };
    let answer = match envelope.check().and_then(|()| read_review(body)) {
        Ok(review) => judge_label(&review, exempt),
        Err(answer) => answer,
    };
    (envelope, answer)
}

/// The namespaces that may have the label.
#[derive(Clone, Debug, Default)]
pub struct Exempt {
    /// By name.
    pub names: Vec<String>,
    /// By the start of the name.
    pub prefixes: Vec<String>,
    /// By the end of the name.
    pub suffixes: Vec<String>,
}

impl Exempt {
    fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|exempt| exempt == name)
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
    }
}

fn judge_label(review: &Review, exempt: &Exempt) -> Answer {
    let Some(object) = review.object() else {
        return Answer::failed("expected a request with an object");
    };
    let free = review.operation() == Operation::Delete
        || !object.is_namespace()
        || exempt.contains(object.name())
        || object.label(IGNORE_LABEL).is_none();
    if free {
        return Answer::new(Status::Allow, 200, "");
    }
    let message = format!("Only exempt namespace can have the {IGNORE_LABEL} label");
    Answer { reason: Some("Forbidden"), ..Answer::new(Status::Deny, 403, message) }
}

fn read_envelope(body: &[u8]) -> Result<Envelope, Answer> {
    if body.is_empty() {
        return Err(Answer::malformed(400, "expected an AdmissionReview, the body is empty"));
    }
    // Strict: one JSON value, no key of ours twice, so that nobody can be answered for another request than the one judged.
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| {
        Answer::malformed(400, format!("expected an AdmissionReview as JSON, the body is not: {error}"))
    })?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let gvk = Gvk::new(&text(&envelope.api_version), &text(&envelope.kind));
    if !is_review(&gvk) || !AdmissionReview::VERSIONS.contains(&&*gvk.version) {
        let found = format!(
            "`{}` `{}`",
            envelope.api_version.as_deref().unwrap_or_default(),
            envelope.kind.as_deref().unwrap_or_default()
        );
        let known: Vec<String> =
            AdmissionReview::VERSIONS.iter().map(|version| api_version(version)).collect();
        let message = format!("expected an AdmissionReview of {}, found {found}", known.join(" or "));
        let answer = Answer::malformed(400, message);
        return Err(answer);
    }
    Ok(envelope)
}

fn read_review(body: &[u8]) -> Result<Review, Answer> {
    let limits = Limits { source_bytes: body.len(), ..Limits::default() };
    let unread = |why: String| Answer::malformed(400, format!("expected one AdmissionReview: {why}"));
    let text = str::from_utf8(body).map_err(|error| unread(error.to_string()))?;
    let document = Document::read_object(&Source::new("request.json", text), &limits)
        .map_err(|error| unread(error.to_string()))?;
    let (resource, mut errors) = Resource::read(&document);
    errors.retain(|error| error.severity() == Severity::Error);
    match (resource, errors.as_slice()) {
        (Some(Resource::AdmissionReview(request)), []) => Review::from_admission(&request)
            .map_err(|error| Answer::malformed(400, format!("the request cannot be judged: {error}"))),
        (_, errors) => {
            let lines: Vec<String> = errors.iter().map(|error| explain(error, None)).collect();
            Err(Answer::malformed(400, format!("the request cannot be judged: {}", lines.join("; "))))
        }
    }
}

fn judge(
    review: Review,
    envelope: &Envelope,
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    budget: &Budget,
) -> Answer {
    let unjudged =
        |message: &str| Answer { status: Status::Unjudged, ..Answer::new(Status::Allow, 200, message) };
    // Before everything else: a policy that locks out the webhook could not be mended by it.
    if own.identities.iter().any(|identity| identity == envelope.user()) {
        return unjudged("Gatekeeper does not self-manage");
    }
    // A subresource of a policy is its status, which changes nothing that it does.
    let checked =
        if envelope.sub_resource().is_empty() { check_own(&review, serving, own) } else { Ok(Vec::new()) };
    let warnings = match checked {
        Ok(warnings) => warnings,
        Err(problems) => {
            let answer = Answer::of_lines(Status::Unjudged, 422, problems, "problems");
            return Answer { reason: Some("Invalid"), ..answer };
        }
    };
    if own.namespace.as_deref().is_some_and(|own| is_in(&review, own)) {
        return unjudged("Namespace is the webhook's own");
    }
    if serving.policies.excludes(Process::Webhook, &review) {
        return unjudged("Namespace is set to be ignored by Gatekeeper config");
    }
    let review = match namespace {
        Ok(Some(namespace)) => review.with_namespace(namespace),
        Ok(None) => review,
        // What needs it is an error of that constraint.
        Err(message) => review.without_namespace(&message),
    };
    let deadline = Deadline(budget.deadline);
    let stopwatch = Since(Instant::now());
    let world = World::new(&serving.inventory)
        .with_limits(budget.limits)
        .with_now(budget.now_ns)
        .with_seed(seed(envelope.uid()))
        .with_findings(bounds::HELD)
        .with_watch(&deadline)
        .with_stopwatch(&stopwatch);
    let outcome = serving.policies.review(&review, &world, EnforcementPoint::Webhook);
    let decision = Decision::from(&outcome);
    let mut answer = answer(&decision, warnings);
    answer.object_name = review.object().map(|object| object.name().clone()).unwrap_or_default();
    answer.outcome = Some(Box::new(outcome));
    answer
}

/// Whether the object is in a namespace, or is that Namespace.
fn is_in(review: &Review, namespace: &str) -> bool {
    review.namespace_name() == namespace
        || review.object().is_some_and(|object| object.is_namespace() && &**object.name() == namespace)
}

fn answer(decision: &Decision<'_>, warnings: Vec<String>) -> Answer {
    let warnings = warnings.into_iter().chain(decision.warnings());
    let warnings = fit(warnings, "warnings", bounds::WARNINGS);
    let mut answer = if decision.allowed() {
        Answer::new(Status::Allow, if warnings.is_empty() { 200 } else { 299 }, "")
    } else {
        // The user can mend a violation; where there is none, only errors, it is the policies that have to be looked at.
        let violated = decision
            .findings
            .iter()
            .any(|finding| finding.actions().contains(EnforcementAction::Deny) && !finding.is_error());
        let (status, code, reason) =
            if violated { (Status::Deny, 403, "Forbidden") } else { (Status::Error, 500, "InternalError") };
        let answer = Answer::of_lines(status, code, decision.denials(), "violations");
        Answer { reason: Some(reason), ..answer }
    };
    answer.warnings = warnings;
    answer
}

/// What is wrong with a template, a constraint or another policy that is being applied; or, if it may be applied, what to warn of.
fn check_own(review: &Review, serving: &Serving, own: &Own) -> Result<Vec<String>, Vec<String>> {
    if review.operation() == Operation::Delete {
        return Ok(Vec::new());
    }
    let Some(object) = review.object().filter(|object| object.gvk().is_policy()) else {
        return Ok(Vec::new());
    };
    let length = object.name().chars().count();
    if length > NAME_CHARS {
        return Err(vec![format!(
            "resource cannot have metadata.name larger than {NAME_CHARS} char; length: {length}"
        )]);
    }
    let mut errors = read_own(object, serving);
    errors.retain(|error| error.severity() == Severity::Error || error.kind() == ErrorKind::IgnoredConfig);
    let is_forgiven = |error: &Error| match error.kind() {
        _ if error.severity() == Severity::Warning => true,
        ErrorKind::Unsupported => own.unsupported == Unsupported::Allowed,
        kind => own.bad_rego == BadRego::Admit && kind.is_rego(),
    };
    let lines = |errors: &[Error]| {
        let first = errors.iter().take(MOST_PROBLEMS).map(|error| explain(error, object.document()));
        let more = errors.len().saturating_sub(MOST_PROBLEMS);
        let rest = (more > 0).then(|| format!("… and {more} more problems"));
        first.chain(rest).collect()
    };
    if errors.iter().all(is_forgiven) {
        let warnings: Vec<String> = lines(&errors);
        let what =
            if &*object.gvk().kind == "ConstraintTemplate" { "this template enforces nothing: " } else { "" };
        Ok(warnings.into_iter().map(|line| format!("{what}{line}")).collect())
    } else {
        Err(lines(&errors))
    }
}

fn read_own(object: &Object, serving: &Serving) -> Vec<Error> {
    // An object of a request has a document: the request.
    let Some(document) = object.document() else { return Vec::new() };
    let (resource, mut errors) = Resource::read(document);
    // What is rejected is compiled for what else is wrong with it.
    let template = match &resource {
        Some(Resource::Rejected(rejected)) => template_of(rejected, serving),
        Some(resource) => template_of(resource, serving),
        None => None,
    };
    let ignored = match &resource {
        Some(Resource::Config(config)) => serving.policies.ignores(config),
        _ => None,
    };
    errors.extend(PolicySet::from_resources(template.into_iter().chain(resource)).1);
    // Which Config counts depends on those that there are.
    errors.retain(|error| error.kind() != ErrorKind::IgnoredConfig);
    errors.extend(ignored);
    errors.sort();
    errors.dedup();
    errors
}

fn template_of(resource: &Resource, serving: &Serving) -> Option<Resource> {
    let Resource::Constraint(constraint) = resource else { return None };
    serving.templates.get(&TemplateName::of_kind(&constraint.key().kind)).cloned()
}

/// An error for somebody who has not the text that it has a position in: a request is one line of JSON, so that the place is told in
/// the text of the string that it is about, as templates hold Rego.
fn explain(error: &Error, document: Option<&Document>) -> String {
    let mut text = String::new();
    if let Some(path) = error.path().filter(|path| !path.is_root()) {
        text = format!("{path}: ");
    }
    let place =
        error.location().zip(document).and_then(|(location, document)| document.line_in_text(location));
    if let Some((line, column, _)) = &place {
        text = format!("{text}line {line}, column {column}: ");
    }
    text.push_str(error.message());
    if let Some((_, _, line)) = &place {
        text = format!("{text}, in `{}`", line.trim());
    }
    if let Some(hint) = error.help() {
        text = format!("{text} ({hint})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_exempt_by_name_start_and_end() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let exempt =
            Exempt { names: texts(&["infra"]), prefixes: texts(&["kube-"]), suffixes: texts(&["-system"]) };
        for name in ["infra", "kube-public", "cert-system"] {
            assert!(exempt.contains(name), "{name}");
        }
        for name in ["", "infra2", "my-kube-", "system", "-systems"] {
            assert!(!exempt.contains(name), "{name}");
        }
        assert!(!Exempt::default().contains("infra"));
    }

    #[test]
    fn the_uid_is_found_in_the_beginning_of_a_body() {
        let head =
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"0b-1f","#;
        let envelope = Envelope::read_lossy(head.as_bytes());
        assert_eq!((envelope.uid(), envelope.version()), ("0b-1f", "v1beta1"));
        for body in ["", "{", "{\"uid\":", "{\"uid\":\"open", "{\"uid\":\"u\"}"] {
            assert_eq!(Envelope::read_lossy(body.as_bytes()).uid(), "", "{body}");
        }
    }
}
