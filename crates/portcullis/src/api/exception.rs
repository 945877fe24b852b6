//! `PolicyException`: what a constraint finds in some objects, for a reason and perhaps for some time, does not
//! count. The kind is our own.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime};

use super::matching::Match;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::ConstraintKey;
use crate::node::Node;
use crate::object::Object;
use crate::schema::{match_problems, spec_schema};

/// An exception as written.
///
/// ```yaml
/// apiVersion: policy.portcullis.dev/v1alpha1
/// kind: PolicyException
/// metadata: {name: node-agent}
/// spec:
///   constraints: [PrivilegedContainers/no-privileged-containers]
///   match: {namespaces: [monitoring], name: node-agent-*}
///   reason: reads the kernel's counters; to be replaced by the collector
///   owner: team-observability
///   expiresAt: 2027-03-31T00:00:00Z
/// ```
#[derive(Clone, Debug)]
pub struct PolicyException {
    pub(crate) name: Arc<str>,
    /// `Kind/name` of constraints.
    pub(crate) constraints: Vec<ConstraintKey>,
    /// Kinds of constraints, of which all are meant.
    pub(crate) templates: Vec<Arc<str>>,
    pub(crate) matching: Match,
    pub(crate) reason: Arc<str>,
    pub(crate) owner: Option<Arc<str>>,
    /// Nanoseconds since 1970.
    pub(crate) expires: Option<Expiry>,
    pub(crate) document: Document,
}

/// When an exception ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// As written.
    pub(crate) text: Arc<str>,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: i64,
}

impl PolicyException {
    /// The group of our own kinds.
    pub const GROUP: &'static str = "policy.portcullis.dev";
    /// The kind.
    pub const KIND: &'static str = "PolicyException";
    pub(super) const VERSIONS: &'static [&'static str] = &["v1alpha1"];

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What `spec.match` may be, as the schema of a CRD: the same as of constraints.
    #[must_use]
    pub fn match_schema() -> serde_json::Value {
        // A test reads it.
        let spec: serde_json::Value = serde_json::from_str(&spec_schema()).unwrap_or_default();
        spec.pointer("/properties/match").cloned().unwrap_or_default()
    }

    /// As errors about it call it.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}", Self::KIND, self.name)
    }

    pub(super) fn read(document: &Document, object: &Object, errors: &mut Vec<Error>) -> Option<Self> {
        let before = errors.len();
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        if object.name().is_empty() {
            errors.push(root.error(ErrorKind::MissingField, "the exception has no `metadata.name`"));
        }
        let exception =
            root.required("spec", errors).and_then(|spec| read_spec(&spec, document, object, errors));
        let subject = format!("{}/{}", Self::KIND, object.name());
        for error in errors.iter_mut().skip(before) {
            *error = error.clone().about(subject.clone());
        }
        exception
    }
}

fn read_spec(
    spec: &Node<'_>,
    document: &Document,
    object: &Object,
    errors: &mut Vec<Error>,
) -> Option<PolicyException> {
    spec.check_fields(&["constraints", "templates", "match", "reason", "owner", "expiresAt"], errors);
    let constraints = spec.list("constraints", errors);
    let constraints: Vec<_> = constraints.iter().filter_map(|entry| read_key(entry, errors)).collect();
    let templates = spec.texts("templates", errors);
    let is_listed = |field: &str| spec.field(field).is_some();
    if constraints.is_empty() && templates.is_empty() && !is_listed("constraints") {
        let message = "the exception names no constraint: it needs `constraints` or `templates`";
        let hint = "list constraints as `Kind/name`, or kinds of constraints in `templates`";
        errors.push(spec.error(ErrorKind::MissingField, message).hint(hint));
    }
    let matching = if let Some(matching) = spec.field("match") {
        let problems = match_problems(matching.value()).into_iter();
        errors.extend(problems.map(|problem| problem.into_error(document, matching.path())));
        Match::read(&matching, errors)
    } else {
        let message = "required field `match` is missing: which objects are excepted";
        errors.push(spec.error(ErrorKind::MissingField, message).hint("`match: {}` means all of them"));
        Match::default()
    };
    let reason = spec.required_text("reason", errors);
    let is_blank = reason.as_ref().is_some_and(|reason| reason.trim().is_empty());
    if let Some(field) = spec.field("reason").filter(|_| is_blank) {
        errors.push(field.error(ErrorKind::InvalidValue, "`reason` is empty: say why this is let pass"));
    }
    let expires = match spec.field("expiresAt") {
        Some(field) => Some(read_expiry(&field, errors)?),
        None => None,
    };
    Some(PolicyException {
        name: object.name().clone(),
        constraints,
        templates,
        matching,
        reason: reason?,
        owner: spec.optional_text("owner", errors),
        expires,
        document: document.clone(),
    })
}

fn read_key(entry: &Node<'_>, errors: &mut Vec<Error>) -> Option<ConstraintKey> {
    let text = entry.text(errors)?;
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Some(ConstraintKey { kind: kind.into(), name: name.into() })
        }
        _ => {
            errors.push(entry.expected("a constraint as `Kind/name`"));
            None
        }
    }
}

/// A moment, or a date, which means its beginning in UTC. An exception that nobody understands excepts nothing.
fn read_expiry(field: &Node<'_>, errors: &mut Vec<Error>) -> Option<Expiry> {
    let text = field.text(errors)?;
    let moment = DateTime::parse_from_rfc3339(&text).map(|moment| moment.to_utc());
    let moment = moment.or_else(|_| {
        NaiveDate::parse_from_str(&text, "%Y-%m-%d").map(|date| date.and_time(NaiveTime::MIN).and_utc())
    });
    let Ok(moment) = moment else {
        let hint = "such as `2027-03-31T00:00:00Z`, or `2027-03-31` for its beginning in UTC";
        errors.push(field.expected("a moment of RFC 3339, or a date").hint(hint));
        return None;
    };
    // Nanoseconds end with the year 2262.
    let far = if moment.timestamp() > 0 { i64::MAX } else { i64::MIN };
    Some(Expiry { text, at_ns: moment.timestamp_nanos_opt().unwrap_or(far) })
}
