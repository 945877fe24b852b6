//! What to do about the configuration, given what it is: pure, so that every fault can be a case.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::bundle;
use super::wanted::{KEPT_BY, MANAGED, differences, digest, narrowed, webhook};

/// How long what a replica that started later has written is left alone: replicas of different versions or flags are there together only
/// while one of them goes.
const YIELD: Duration = Duration::from_mins(5);
/// How long what a replica that started earlier has written is left alone: it may know something a moment before us.
const GRACE: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Goal<'a> {
    /// The CAs that have to be in every bundle; none if bundles are somebody else's.
    pub authorities: Option<&'a [CertificateDer<'static>]>,
    /// The whole configuration without bundles, if it is to be kept.
    pub wanted: Option<&'a Value>,
    /// Since when this process runs, in milliseconds since 1970.
    pub started: u64,
    /// The time of day.
    pub now: SystemTime,
}

/// A path in the configuration, and what has to be there.
pub type Change = (String, Value);

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Nothing.
    Rest {
        /// What somebody should know all the same.
        notes: Vec<String>,
    },
    /// Look again after a time; bundles are as they should be.
    Later(Duration, Vec<String>),
    /// Write bundles, and nothing else: where, and what.
    Bundles(Vec<Change>),
    /// Replace these, which cannot be applied over what is there, and why.
    Replace(Vec<Change>, Vec<String>),
    /// Apply this, and why.
    Apply(Value, Vec<String>),
}

/// Of a configuration that is there. `seen_for` is how long its annotation [`KEPT_BY`] has been what it is.
#[must_use]
pub fn plan(live: &Value, goal: &Goal<'_>, seen_for: Duration) -> Plan {
    let bundles = bundles(live, goal);
    let mend = |bundles: Vec<Change>, otherwise: Plan| {
        if bundles.is_empty() { otherwise } else { Plan::Bundles(bundles) }
    };
    let Some(wanted) = goal.wanted else { return mend(bundles, Plan::Rest { notes: Vec::new() }) };
    if annotation(live, MANAGED) == Some("false") {
        let note = format!("it is not kept as the flags say, since its annotation `{MANAGED}` is \"false\"");
        return mend(bundles, Plan::Rest { notes: vec![note] });
    }
    let differences = differences(live, wanted);
    if differences.is_empty() {
        return mend(bundles, Plan::Rest { notes: narrowed(live) });
    }
    let ours = digest(wanted);
    let patience = match annotation(live, KEPT_BY).and_then(read_kept_by) {
        Some((theirs, started)) if theirs != ours && started > goal.started => YIELD,
        Some((theirs, started)) if theirs != ours && started < goal.started => GRACE,
        _ => Duration::ZERO,
    };
    let left = patience.saturating_sub(seen_for);
    if !left.is_zero() {
        let note = "another replica, of another version or with other flags, keeps it".to_owned();
        return mend(bundles, Plan::Later(left, vec![note]));
    }
    let object = applied(wanted, Some(live), goal);
    let clients = other_clients(live, &object);
    if clients.is_empty() { Plan::Apply(object, differences) } else { Plan::Replace(clients, differences) }
}

/// What to apply where there is none.
#[must_use]
pub fn creation(wanted: &Value, goal: &Goal<'_>) -> Value {
    applied(wanted, None, goal)
}

fn applied(wanted: &Value, live: Option<&Value>, goal: &Goal<'_>) -> Value {
    let mut object = wanted.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let kept_by = format!("{}/{}", digest(wanted), goal.started);
        metadata.insert("annotations".to_owned(), json!({KEPT_BY: kept_by}));
        // Bundles are made from what was seen, so it has to be that still.
        if let Some(version) = live.and_then(|live| live.pointer("/metadata/resourceVersion")) {
            metadata.insert("resourceVersion".to_owned(), version.clone());
        }
    }
    let webhooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
    for wanted in webhooks.into_iter().flatten() {
        let found = wanted.get("name").and_then(|name| webhook(live?, name));
        let old = found.map_or("", |(_, webhook)| bundle_of(webhook));
        let Some(authorities) = goal.authorities else { continue };
        let new = bundle::mended(old, authorities, goal.now).unwrap_or_else(|| old.to_owned());
        if let Some(client) = wanted.get_mut("clientConfig").and_then(Value::as_object_mut) {
            client.insert("caBundle".to_owned(), json!(new));
        }
    }
    object
}

/// A URL where a Service is wanted, or the other way round: applying the one does not take away the other, and no API server takes
/// both.
fn other_clients(live: &Value, wanted: &Value) -> Vec<Change> {
    let has = |webhook: &Value, key: &str| webhook.pointer(&format!("/clientConfig/{key}")).is_some();
    let all = wanted.get("webhooks").and_then(Value::as_array).into_iter().flatten();
    let other = |wanted: &Value| {
        let (index, live) = webhook(live, wanted.get("name")?)?;
        let is_other = ["url", "service"].iter().any(|key| has(live, key) && !has(wanted, key));
        is_other.then(|| (format!("/webhooks/{index}/clientConfig"), wanted.get("clientConfig").cloned()))
    };
    all.filter_map(other).filter_map(|(path, client)| Some((path, client?))).collect()
}

fn bundles(live: &Value, goal: &Goal<'_>) -> Vec<Change> {
    let Some(authorities) = goal.authorities else { return Vec::new() };
    let webhooks = live.get("webhooks").and_then(Value::as_array).into_iter().flatten().enumerate();
    let mend = |(index, webhook): (usize, &Value)| {
        let new = bundle::mended(bundle_of(webhook), authorities, goal.now)?;
        Some((format!("/webhooks/{index}/clientConfig/caBundle"), json!(new)))
    };
    webhooks.filter_map(mend).collect()
}

fn bundle_of(webhook: &Value) -> &str {
    webhook.pointer("/clientConfig/caBundle").and_then(Value::as_str).unwrap_or_default()
}

/// An annotation.
#[must_use]
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

fn read_kept_by(text: &str) -> Option<(&str, u64)> {
    let (digest, started) = text.split_once('/')?;
    Some((digest, started.parse().ok()?))
}
