//! What an API server is answered.

use portcullis::{AdmissionReview, EnforcementAction, Error, ErrorKind, Severity};
use serde::{Deserialize, Serialize};

use crate::answer::{Judged, json};

/// The body of an answer. Fields stand in the order of their names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: String,
    kind: &'static str,
    response: Response,
}

#[derive(Serialize)]
struct Response {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Status {
    code: u16,
    message: String,
    reason: &'static str,
}

/// What an answer repeats of its request, as far as that can be read.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    request: Request,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    uid: String,
}

/// Longest uid that is repeated, in bytes; those of Kubernetes have 36.
const LONGEST_UID: usize = 256;

/// The body that a judged request is answered with.
pub(crate) fn answer(judged: Judged<'_>) -> String {
    let uid = judged.review.uid().to_owned();
    let response = match judged.outcome {
        // What a Config keeps from being judged is let in.
        None => Response { allowed: true, status: None, uid, warnings: Vec::new() },
        Some((_, decision)) if decision.allowed() => {
            Response { allowed: true, status: None, uid, warnings: decision.warnings() }
        }
        Some((_, decision)) => {
            // The user can repair a violation; where there is none, only errors, it is the policies that have to
            // be looked at.
            let violated = decision
                .findings
                .iter()
                .any(|finding| finding.actions().contains(EnforcementAction::Deny) && !finding.is_error());
            let (code, reason) = if violated { (403, "Forbidden") } else { (500, "InternalError") };
            let status = Status { code, message: decision.denials().join("\n"), reason };
            Response { allowed: false, status: Some(status), uid, warnings: decision.warnings() }
        }
    };
    write(judged.version, response)
}

/// The body that a request is answered with which could not be judged.
pub(crate) fn refusal(body: &[u8], errors: &[Error]) -> String {
    let envelope: Envelope = serde_json::from_slice(body).unwrap_or_default();
    let version = envelope.api_version.strip_prefix("admission.k8s.io/").unwrap_or_default();
    let uid = envelope.request.uid;
    let uid = if uid.len() > LONGEST_UID { String::new() } else { uid };
    let lines = errors.iter().filter(|error| error.severity() == Severity::Error).map(Error::to_string);
    let message = format!("the request cannot be judged: {}", lines.collect::<Vec<_>>().join("; "));
    let is_ours = errors.iter().any(|error| error.kind() == ErrorKind::Defect);
    let (code, reason) = if is_ours { (500, "InternalError") } else { (400, "BadRequest") };
    let status = Some(Status { code, message, reason });
    write(version, Response { allowed: false, status, uid, warnings: Vec::new() })
}

fn write(version: &str, response: Response) -> String {
    // A version that there is not cannot be answered in: who sent it reads the newest or nothing.
    let known = AdmissionReview::VERSIONS.iter().find(|known| **known == version);
    let version = known.or(AdmissionReview::VERSIONS.first()).copied().unwrap_or_default();
    let api_version = format!("{}/{version}", AdmissionReview::GROUP);
    json(&Answer { api_version, kind: AdmissionReview::KIND, response })
}
