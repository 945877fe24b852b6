//! One request: the bytes of an AdmissionReview in, the bytes of the answer out. Pure; it decides nothing that the core decides.
//!
//! What cannot be read, judged or finished is answered `allowed: false`. It is an *answer*, with HTTP 200, also when the webhook is at
//! fault: a failed call would leave the decision to the webhook configuration's `failurePolicy`, which may be to let everything in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use portcullis::{
    ConstraintKey, Decision, Document, EnforcementAction, EnforcementPoint, Error, EvaluationLimits, Finding,
    Inventory, Limits, Object, Operation, PolicySet, Process, Resource, Review, Severity, TemplateName,
    Watch, World,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most bytes of warnings that an API server passes on.
const WARNING_BYTES: usize = 4096;
/// Longest name of a template or constraint: it becomes the value of a label.
const NAME_CHARS: usize = 63;
const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";
const V1: &str = "admission.k8s.io/v1";
const V1BETA1: &str = "admission.k8s.io/v1beta1";

/// What requests are judged by: immutable, swapped as a whole.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The compiled policies.
    pub policies: PolicySet,
    /// The objects that policies may compare with, and the Namespaces.
    pub inventory: Inventory,
    /// The templates as resources, to check constraints by when they are applied.
    pub templates: BTreeMap<TemplateName, Resource>,
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

/// The parts of a request that the answer repeats and that logs name. Read apart from the core, so that also what the core refuses
/// is answered under its own uid.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Envelope {
    api_version: Option<String>,
    kind: Option<String>,
    request: Option<Head>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    uid: Option<String>,
    kind: Option<HeadKind>,
    name: Option<String>,
    namespace: Option<String>,
    sub_resource: Option<String>,
    dry_run: Option<bool>,
    user_info: Option<HeadUser>,
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
    /// so also a refusal needs the right one. They write it first, before anything that a user may choose.
    #[must_use]
    pub fn read_lossy(body: &[u8]) -> Self {
        /// Whatever comes before the object is within this.
        const HEAD_BYTES: usize = 512;
        if let Ok(envelope) = serde_json::from_slice(body) {
            return envelope;
        }
        let head = String::from_utf8_lossy(body.get(..HEAD_BYTES).unwrap_or(body)).into_owned();
        let api_version = head.contains(V1BETA1).then(|| V1BETA1.to_owned());
        let uid = head.split_once("\"uid\":").map(|(_, rest)| rest.trim_start());
        let uid = uid.and_then(|rest| Some(rest.strip_prefix('"')?.split_once('"')?.0));
        let is_plain = |uid: &&str| uid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let request = Head { uid: uid.filter(is_plain).map(str::to_owned), ..Head::default() };
        Self { api_version, kind: None, request: Some(request) }
    }

    /// Whether the request is only tried.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.request.as_ref().and_then(|request| request.dry_run).unwrap_or(false)
    }

    fn uid(&self) -> &str {
        self.request.as_ref().and_then(|request| request.uid.as_deref()).unwrap_or_default()
    }

    fn api_version(&self) -> &'static str {
        // What came as no version that is known is answered in the one that all API servers read.
        if self.api_version.as_deref() == Some(V1BETA1) { V1BETA1 } else { V1 }
    }
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
    /// A log record for each finding, in Gatekeeper's keys.
    pub records: Vec<Record>,
    /// The constraints that found something or could not be evaluated.
    pub findings: Vec<(ConstraintKey, &'static str)>,
}

impl Answer {
    fn new(status: Status, code: u16, message: impl Into<String>) -> Self {
        Self {
            allowed: matches!(status, Status::Allow),
            code,
            reason: None,
            message: message.into(),
            warnings: Vec::new(),
            status,
            records: Vec::new(),
            findings: Vec::new(),
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

    /// What the user is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The bytes of the AdmissionReview that answers a request.
    #[must_use]
    pub fn to_body(&self, envelope: &Envelope) -> Vec<u8> {
        let body = Body {
            api_version: envelope.api_version(),
            kind: "AdmissionReview",
            response: Response {
                uid: envelope.uid(),
                allowed: self.allowed,
                status: Detail { code: self.code, reason: self.reason, message: &self.message },
                warnings: limit_warnings(&self.warnings),
            },
        };
        // Texts and numbers always have a JSON form; a body without one would fail the call, which is no pass either.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    status: Detail<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

/// The warnings that fit, whole, and a last one that says how many do not. Only a first one that is too long by itself is cut.
fn limit_warnings(warnings: &[String]) -> Vec<Cow<'_, str>> {
    // Longer than the note about what is left out can become.
    const NOTE_BYTES: usize = 64;
    const CUT: &str = "… (cut)";
    if warnings.iter().map(String::len).sum::<usize>() <= WARNING_BYTES {
        return warnings.iter().map(|warning| Cow::Borrowed(warning.as_str())).collect();
    }
    let room = WARNING_BYTES - NOTE_BYTES;
    let mut kept = Vec::new();
    let mut used = 0;
    for warning in warnings {
        if used + warning.len() > room {
            break;
        }
        used += warning.len();
        kept.push(Cow::Borrowed(warning.as_str()));
    }
    if let (true, Some(first)) = (kept.is_empty(), warnings.first()) {
        let end = (0..=room - CUT.len()).rev().find(|&end| first.is_char_boundary(end)).unwrap_or(0);
        kept.push(Cow::Owned(format!("{}{CUT}", first.get(..end).unwrap_or_default())));
    }
    let left = warnings.len() - kept.len();
    if left > 0 {
        kept.push(Cow::Owned(format!("… and {left} more warnings")));
    }
    kept
}

/// A finding as Gatekeeper logs it.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// `denied admission: ` and the message.
    pub msg: String,
    /// The other keys.
    #[serde(flatten)]
    pub fields: Value,
}

/// Judges the body of a request.
#[must_use]
pub fn admit(body: &[u8], serving: &Serving, budget: &Budget) -> (Envelope, Answer) {
    let envelope = match read_envelope(body) {
        Ok(envelope) => envelope,
        Err(answer) => return (Envelope::read_lossy(body), answer),
    };
    let answer = match read_review(body) {
        Ok(review) => judge(&review, &envelope, serving, budget),
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
    let answer = match read_review(body) {
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
    let known = matches!(envelope.api_version.as_deref(), Some(V1 | V1BETA1))
        && envelope.kind.as_deref() == Some("AdmissionReview");
    if !known {
        let found = format!(
            "`{}` `{}`",
            envelope.api_version.as_deref().unwrap_or_default(),
            envelope.kind.as_deref().unwrap_or_default()
        );
        let message = format!("expected an AdmissionReview of {V1} or {V1BETA1}, found {found}");
        let answer = Answer::malformed(400, message);
        return Err(answer);
    }
    Ok(envelope)
}

fn read_review(body: &[u8]) -> Result<Review, Answer> {
    let limits = Limits { source_bytes: body.len(), ..Limits::default() };
    let (documents, mut errors) = Document::read_bytes("request.json", body.to_vec(), &limits);
    let [document] = documents.as_slice() else {
        errors.retain(|error| error.severity() == Severity::Error);
        let why = errors.first().map_or_else(|| "it holds none".to_owned(), Error::to_string);
        return Err(Answer::malformed(400, format!("expected one AdmissionReview: {why}")));
    };
    let (resource, problems) = Resource::read(document);
    errors.extend(problems);
    errors.retain(|error| error.severity() == Severity::Error);
    match (resource, errors.as_slice()) {
        (Some(Resource::AdmissionReview(request)), []) => Review::from_admission(&request)
            .map_err(|error| Answer::malformed(400, format!("the request cannot be judged: {error}"))),
        (_, errors) => {
            let lines: Vec<String> = errors.iter().map(explain).collect();
            Err(Answer::malformed(400, format!("the request cannot be judged: {}", lines.join("; "))))
        }
    }
}

fn judge(review: &Review, envelope: &Envelope, serving: &Serving, budget: &Budget) -> Answer {
    let is_subresource = envelope
        .request
        .as_ref()
        .and_then(|request| request.sub_resource.as_deref())
        .is_some_and(|name| !name.is_empty());
    // A subresource of a policy is its status, which changes nothing that it does.
    if !is_subresource && let Err(problems) = check_own(review, serving) {
        let message = problems.join("\n");
        return Answer { reason: Some("Invalid"), ..Answer::new(Status::Unjudged, 422, message) };
    }
    if serving.policies.excludes(Process::Webhook, review) {
        let message = "Namespace is set to be ignored by Gatekeeper config";
        return Answer {
            allowed: true,
            status: Status::Unjudged,
            ..Answer::new(Status::Allow, 200, message)
        };
    }
    let deadline = Deadline(budget.deadline);
    let world = World::new(&serving.inventory)
        .with_limits(budget.limits)
        .with_now(budget.now_ns)
        .with_watch(&deadline);
    let outcome = serving.policies.review(review, &world, EnforcementPoint::Webhook);
    let decision = Decision::from(&outcome);
    let mut answer = answer(&decision);
    answer.records = decision.findings.iter().map(|finding| record(finding, review, envelope)).collect();
    answer.findings = decision
        .findings
        .iter()
        .map(|finding| (finding.result.key().clone(), if finding.is_error() { "error" } else { "violation" }))
        .collect();
    answer
}

fn answer(decision: &Decision<'_>) -> Answer {
    let warnings = decision.warnings();
    let mut answer = if decision.allowed() {
        Answer::new(Status::Allow, if warnings.is_empty() { 200 } else { 299 }, "")
    } else {
        let message = decision.denials().join("\n");
        // The user can mend a violation; where there is none, only errors, it is the policies that have to be looked at.
        let violated = decision
            .findings
            .iter()
            .any(|finding| finding.actions().contains(EnforcementAction::Deny) && !finding.is_error());
        if violated {
            Answer { reason: Some("Forbidden"), ..Answer::new(Status::Deny, 403, message) }
        } else {
            Answer::failed(message)
        }
    };
    answer.warnings = warnings;
    answer
}

fn record(finding: &Finding<'_>, review: &Review, envelope: &Envelope) -> Record {
    let constraint = &finding.result.constraint;
    let gvk = constraint.object().gvk();
    let actions: Vec<&str> = finding.actions().iter().map(EnforcementAction::as_str).collect();
    let head = envelope.request.clone().unwrap_or_default();
    let kind = head.kind.unwrap_or_default();
    let name = head.name.filter(|name| !name.is_empty());
    let name = name.or_else(|| review.object().map(|object| object.name().to_string()));
    let details = finding.violation.map_or_else(|| json!({}), |violation| violation.details.clone());
    Record {
        msg: format!("denied admission: {}", finding.message),
        fields: json!({
            "semantic": true,
            "process": "admission",
            "event_type": "violation",
            "details": details,
            "constraint_name": &*finding.result.key().name,
            "constraint_group": &*gvk.group,
            "constraint_api_version": &*gvk.version,
            "constraint_kind": &*gvk.kind,
            "constraint_action": constraint.enforcement().declared(),
            "constraint_enforcement_actions": actions,
            "resource_group": kind.group.unwrap_or_default(),
            "resource_api_version": kind.version.unwrap_or_default(),
            "resource_kind": kind.kind.unwrap_or_default(),
            "resource_namespace": head.namespace.unwrap_or_default(),
            "resource_name": name.unwrap_or_default(),
            "request_username": head.user_info.and_then(|user| user.username).unwrap_or_default(),
        }),
    }
}

/// What is wrong with a template, a constraint or another policy that is being applied.
fn check_own(review: &Review, serving: &Serving) -> Result<(), Vec<String>> {
    if review.operation() == Operation::Delete {
        return Ok(());
    }
    let is_ours = |object: &&Object| {
        portcullis_sources::is_policy(None, Some(object)) && &*object.gvk().group != "status.gatekeeper.sh"
    };
    let Some(object) = review.object().filter(is_ours) else { return Ok(()) };
    let length = object.name().chars().count();
    if length > NAME_CHARS {
        return Err(vec![format!(
            "resource cannot have metadata.name larger than {NAME_CHARS} char; length: {length}"
        )]);
    }
    let mut errors = read_own(object, serving);
    errors.retain(|error| error.severity() == Severity::Error);
    if errors.is_empty() { Ok(()) } else { Err(errors.iter().map(explain).collect()) }
}

fn read_own(object: &Object, serving: &Serving) -> Vec<Error> {
    // An object of a request has a document: the request.
    let Some(document) = object.document() else { return Vec::new() };
    let (resource, mut errors) = Resource::read(document);
    let resource = match resource {
        Some(resource @ Resource::Template(_)) => vec![resource],
        Some(Resource::Constraint(constraint)) => {
            let template = serving.templates.get(&TemplateName::of_kind(&constraint.key().kind)).cloned();
            template.into_iter().chain([Resource::Constraint(constraint)]).collect()
        }
        _ => Vec::new(),
    };
    errors.extend(PolicySet::from_resources(resource).1);
    errors
}

/// An error for somebody who has not the text that it has a position in.
fn explain(error: &Error) -> String {
    let mut text = String::new();
    if let Some(path) = error.path().filter(|path| !path.is_root()) {
        text = format!("{path}: ");
    }
    text.push_str(error.message());
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
    fn the_uid_is_found_in_the_beginning_of_a_body_and_nowhere_else() {
        let head =
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"0b-1f","#;
        let envelope = Envelope::read_lossy(head.as_bytes());
        assert_eq!((envelope.uid(), envelope.api_version()), ("0b-1f", V1BETA1));
        let far = format!("{{\"x\":\"{}\",\"uid\":\"u\"", "x".repeat(600));
        let odd = r#"{"request":{"uid":"a\"b","#;
        for body in ["", "{", "{\"uid\":", "{\"uid\":\"open", &far, odd] {
            assert_eq!(Envelope::read_lossy(body.as_bytes()).uid(), "", "{body}");
        }
    }
}
