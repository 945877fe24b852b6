//! What an answer, a record and a span repeat of a request, and whether it has what its operation is about. Read apart from the core, so
//! that also what the core refuses is answered under its own uid; and read once, where the review runs.

use portcullis::{AdmissionReview, Gvk};
use serde::Deserialize;

use super::answer::Answer;
use super::shape::{Part, Shape};
use crate::head::BodyHead;

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
    /// Of a whole body, and why it cannot be judged, if it cannot: it is no JSON, no AdmissionReview, or lacks what its operation is about.
    /// `head` is what was found while the body came. Of what is no JSON nothing else is known.
    #[must_use]
    pub fn read(body: &[u8], head: &BodyHead) -> (Self, Option<Answer>) {
        if body.is_empty() {
            let message = "expected an AdmissionReview, the body is empty";
            return (Self::of_head(head), Some(Answer::malformed(400, message)));
        }
        // Strict: one JSON value, no key of ours twice, so that nobody can be answered for another request than the one judged.
        match serde_json::from_slice::<Self>(body) {
            Ok(envelope) => {
                let refusal = envelope.check().err();
                (envelope, refusal)
            }
            Err(error) => {
                let message = format!("expected an AdmissionReview as JSON, the body is not: {error}");
                (Self::of_head(head), Some(Answer::malformed(400, message)))
            }
        }
    }

    /// What an answer needs.
    #[must_use]
    pub fn of_head(head: &BodyHead) -> Self {
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

    fn check(&self) -> Result<(), Answer> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (sent, kind) = (text(&self.api_version), text(&self.kind));
        let gvk = Gvk::new(&sent, &kind);
        if !is_review(&gvk) || !AdmissionReview::VERSIONS.contains(&&*gvk.version) {
            let known: Vec<String> =
                AdmissionReview::VERSIONS.iter().map(|version| api_version(version)).collect();
            let known = known.join(" or ");
            let message = format!("expected an AdmissionReview of {known}, found `{sent}` `{kind}`");
            return Err(Answer::malformed(400, message));
        }
        // That there is no request at all is reported by the core.
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
    pub(super) fn version(&self) -> &'static str {
        let sent = Gvk::new(self.api_version.as_deref().unwrap_or_default(), AdmissionReview::KIND);
        let mut known = AdmissionReview::VERSIONS.iter().copied();
        let newest = known.clone().next().unwrap_or_default();
        known.find(|version| *version == &*sent.version && is_review(&sent)).unwrap_or(newest)
    }
}

fn is_review(gvk: &Gvk) -> bool {
    &*gvk.group == AdmissionReview::GROUP && &*gvk.kind == AdmissionReview::KIND
}

pub(super) fn api_version(version: &str) -> String {
    format!("{}/{version}", AdmissionReview::GROUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_found_in_what_is_no_json() {
        let read = |body: &str| Envelope::read(body.as_bytes(), &BodyHead::of(body.as_bytes())).0;
        let head =
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"0b-1f","#;
        let envelope = read(head);
        assert_eq!((envelope.uid(), envelope.version()), ("0b-1f", "v1beta1"));
        for body in ["", "{", "{\"uid\":", "{\"uid\":\"open", "{\"uid\":\"u\"}"] {
            assert_eq!(read(body).uid(), "", "{body}");
        }
    }
}
