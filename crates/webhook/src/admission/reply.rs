//! The bytes of an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::AdmissionReview;
use serde::Serialize;

use super::answer::Answer;
use super::envelope::{Envelope, api_version};

impl Answer {
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
                patch_type: self.patch.as_ref().map(|_| "JSONPatch"),
                patch: self.patch.as_ref().map(|patch| STANDARD.encode(patch.json())),
            },
        };
        // Texts and numbers always have a JSON form; a body without one would fail the call, which is not a pass either.
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
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    status: Detail<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}
