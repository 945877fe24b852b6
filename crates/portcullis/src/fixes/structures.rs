//! Parts of objects that people add where a policy asks for them: what Kubernetes wants in them is known here, and their
//! values come from the object and the policy. Whether they are meant is for the author to say, but for profiles of the
//! runtime, which stand for themselves.

use std::sync::Arc;

use crate::admission_policy::shape;
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

use super::edit::{Class, Edit};
use super::evidence::Evidence;
use super::place;

/// Most names that are tried as the keys and the values of tolerations.
const MOST_NAMES: usize = 12;
/// Volumes that nothing is lost with when they are empty instead: what is of the node, and what nobody should use.
const OF_THE_NODE: &[&str] = &["gitRepo", "hostPath"];

/// Edits that add such parts near what was read.
pub(super) fn edits(gvk: &Gvk, object: &Value, evidence: &Evidence) -> Vec<Edit> {
    let mut found: Vec<Edit> = Vec::new();
    for path in &evidence.reads {
        let segments = path.segments();
        let key = |at: usize| segments.get(at).and_then(as_key);
        for at in 0..segments.len() {
            let to = |end: usize| -> FieldPath { segments.iter().take(end).cloned().collect() };
            match key(at) {
                Some("volumes") if matches!(segments.get(at + 1), Some(Segment::Index(_))) => {
                    found.extend(empty_volume(object, &to(at + 2)));
                }
                Some("livenessProbe" | "readinessProbe" | "startupProbe") if at + 1 == segments.len() => {
                    found.extend(probe(object, path));
                }
                key if is_profile(key) && at + 1 == segments.len() && !is_annotated(object, path) => {
                    let profile = made([("type", Value::from("RuntimeDefault"))]);
                    found.push(Edit::set(path.clone(), &profile, Class::Part));
                }
                Some("tolerations") if at + 1 == segments.len() => {
                    found.extend(tolerations(object, path, evidence));
                }
                Some("tls") if at == 1 && &*gvk.kind == "Ingress" => {
                    found.extend(listed_hosts(object, &to(2), evidence));
                }
                Some("maxUnavailable" | "minAvailable") if at == 1 && &*gvk.kind == "PodDisruptionBudget" => {
                    let one = Value::from(1_i64);
                    let other = to(1).child("maxUnavailable");
                    found.push(Edit::set(other, &one, Class::Bound));
                    if place::at(object, path.segments()).is_some() {
                        found.push(Edit::set(path.clone(), &one, Class::Bound));
                    }
                }
                _ => {}
            }
        }
    }
    let mut seen: Vec<Edit> = Vec::new();
    for edit in found {
        let is_placeholder = !is_profile(place::last_key(&edit.path));
        let edit = Edit { is_placeholder, ..edit };
        if !seen.contains(&edit) {
            seen.push(edit);
        }
    }
    seen
}

/// What confines a container: the runtime has a profile of each kind by itself.
fn is_profile(key: Option<&str>) -> bool {
    key.is_some_and(|key| ["appArmorProfile", "seccompProfile"].contains(&key))
}

/// Whether the Pod of a profile has annotations about profiles, from when there were no fields for them: API servers
/// refuse fields that say something else.
fn is_annotated(object: &Value, path: &FieldPath) -> bool {
    let segments = path.segments();
    let specs = (0..segments.len()).filter(|at| segments.get(*at).and_then(as_key) == Some("spec"));
    specs.filter_map(|at| place::at(object, segments.get(..at)?)).any(|pod| {
        let annotations = value::get_path(pod, &["metadata", "annotations"]);
        let mut names = annotations.into_iter().flat_map(value::entries).map(|(name, _)| name);
        names.any(|name| ["apparmor.security.", "seccomp.security."].iter().any(|part| name.contains(part)))
    })
}

fn as_key(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Key(key) => Some(key),
        Segment::Index(_) => None,
    }
}

fn made<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    value::object(entries.into_iter().map(|(key, value)| (Arc::<str>::from(key), value)))
}

fn list(of: impl IntoIterator<Item = Value>) -> Value {
    of.into_iter().collect()
}

/// A volume that is empty, instead of a part of the node or of what Kubernetes does not know.
fn empty_volume(object: &Value, path: &FieldPath) -> Option<Edit> {
    let volume = place::at(object, path.segments())?;
    let name = value::get(volume, "name").filter(|name| name.as_str().is_some())?;
    let of: Vec<&str> = value::entries(volume).map(|(key, _)| key).filter(|key| *key != "name").collect();
    let pod = Gvk::new("v1", "Pod");
    let is_known = |key: &str| {
        let in_pod: FieldPath = ["spec", "volumes"].map(Segment::from).into_iter().collect();
        shape(&pod, &in_pod.child(0).child(key)).is_some()
    };
    let may_be_empty = |key: &&str| OF_THE_NODE.contains(key) || !is_known(key);
    (!of.is_empty() && of.iter().all(may_be_empty)).then(|| {
        let empty = made([("name", name.clone()), ("emptyDir", Value::new_object())]);
        Edit::set(path.clone(), &empty, Class::Whole)
    })
}

/// A probe that connects to the first port of its container.
fn probe(object: &Value, path: &FieldPath) -> Option<Edit> {
    let container = place::at(object, path.parent()?.segments())?;
    let ports = value::get(container, "ports")?;
    let port = value::items(ports).find_map(|port| value::get(port, "containerPort"))?;
    let connects = made([("tcpSocket", made([("port", port.clone())]))]);
    Some(Edit::set(path.clone(), &connects, Class::Part))
}

/// Tolerations of names that the policy compares with, behind those that are there.
fn tolerations(object: &Value, path: &FieldPath, evidence: &Evidence) -> Vec<Edit> {
    let there = match place::at(object, path.segments()) {
        Some(there) if !there.is_null() => match there.as_array() {
            Some(items) => items,
            None => return Vec::new(),
        },
        _ => &[],
    };
    let names = evidence.known.iter().filter_map(|known| known.value.as_str()).filter(|text| is_name(text));
    let names: Vec<&str> = names.take(MOST_NAMES).collect();
    let pairs =
        names.iter().flat_map(|key| names.iter().filter(move |value| *value != key).map(move |v| (key, v)));
    let toleration = |(key, value): (&&str, &&str)| {
        made([("key", Value::from(*key)), ("operator", Value::from("Equal")), ("value", Value::from(*value))])
    };
    pairs
        .map(|pair| {
            let new = toleration(pair);
            if there.is_empty() {
                Edit::set(path.clone(), &list([new]), Class::Key)
            } else {
                Edit::set(path.child(there.len()), &new, Class::Key)
            }
        })
        .collect()
}

/// What labels, taints and their values may be called.
fn is_name(text: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_of_name)
}

/// Hosts of an Ingress that its first entry for TLS lists as well.
fn listed_hosts(object: &Value, tls: &FieldPath, evidence: &Evidence) -> Vec<Edit> {
    let rules: FieldPath = ["spec", "rules"].map(Segment::from).into_iter().collect();
    let hosts = evidence.reads.iter().filter(|path| {
        path.segments().starts_with(rules.segments())
            && path.segments().last().and_then(as_key) == Some("host")
    });
    let mut hosts: Vec<Value> =
        hosts.filter_map(|path| place::at(object, path.segments())).cloned().collect();
    if hosts.is_empty() {
        let all = place::at(object, rules.segments()).into_iter().flat_map(value::items);
        hosts = all.filter_map(|rule| value::get(rule, "host")).cloned().collect();
    }
    hosts.retain(|host| host.as_str().is_some_and(|host| !host.is_empty()));
    let entries = place::at(object, tls.segments()).map_or(&[][..], |tls| tls.as_array().unwrap_or_default());
    let into = |hosts: &[Value]| -> Option<Edit> {
        let Some(first) = entries.first() else {
            let entry = made([("hosts", list(hosts.iter().cloned()))]);
            return Some(Edit::set(tls.clone(), &list([entry]), Class::Key));
        };
        let View::Object(_) = first.view() else { return None };
        let path = tls.child(0).child("hosts");
        let known = match value::get(first, "hosts") {
            Some(known) if !known.is_null() => known.as_array()?,
            _ => &[],
        };
        let mut new = hosts.iter().filter(|host| !known.contains(host)).cloned();
        match (known, hosts) {
            ([_, ..], [_]) => Some(Edit::set(path.child(known.len()), &new.next()?, Class::Key)),
            _ => Some(Edit::set(path, &list(known.iter().cloned().chain(new)), Class::Key)),
        }
    };
    let each = hosts.iter().filter_map(|host| into(std::slice::from_ref(host)));
    let all = into(&hosts).filter(|_| hosts.len() > 1);
    each.chain(all).collect()
}
