//! What may be changed, as far as Kubernetes and good sense are known here: an object has to stay one that an API
//! server takes, and has to stay the same thing. What runs, what it is called and what selects it is not for a policy
//! to say.

use crate::admission_policy::{Shape, is_known, is_of_its_kind, shape};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

use super::edit::{Class, Edit};
use super::place::{self, is_scalar};

/// Fields that say what a thing is, or that others refer to: no value is put there.
const IDENTITY: &[&str] = &[
    "apiGroup",
    "apiVersion",
    "args",
    "claimName",
    "clusterIP",
    "command",
    "containerPort",
    "generateName",
    "host",
    "hosts",
    "image",
    "key",
    "kind",
    "loadBalancerClass",
    "matchExpressions",
    "matchLabels",
    "mountPath",
    "name",
    "namespace",
    "nodeName",
    "path",
    "port",
    "provisioner",
    "roleRef",
    "secretName",
    "selector",
    "serviceAccount",
    "serviceAccountName",
    "serviceName",
    "status",
    "subPath",
    "targetPort",
    "uid",
];

/// Fields without which an API server refuses the object, or takes something else that nobody wrote.
const NEEDED: &[&str] = &[
    "accessModes",
    "backend",
    "containers",
    "data",
    "effect",
    "ingressClassName",
    "maxReplicas",
    "maxUnavailable",
    "minAvailable",
    "operator",
    "resources",
    "rules",
    "runtimeClassName",
    "scaleTargetRef",
    "schedule",
    "schedulerName",
    "spec",
    "storageClassName",
    "subjects",
    "template",
    "topologyKey",
    "value",
    "verbs",
    "volumes",
];

/// Objects that may go as a whole: what is then is what Kubernetes takes by itself.
const OPTIONAL: &[&str] = &[
    "appArmorProfile",
    "lifecycle",
    "postStart",
    "preStop",
    "seLinuxOptions",
    "seccompProfile",
    "windowsOptions",
];

/// Lists of objects whose elements nothing else refers to.
const LISTS: &[&str] = &["subjects", "sysctls", "tolerations"];

/// Fields of services that are open to the outside.
const OPEN: &[&str] =
    &["allocateLoadBalancerNodePorts", "externalTrafficPolicy", "healthCheckNodePort", "loadBalancerClass"];

/// Numbers without which nothing is asked for.
const GOING: &[&str] = &["fsGroup", "hostPort", "nodePort", "runAsGroup", "runAsUser"];

/// Lists that mean nothing if they are empty; others mean everything then, or are refused.
const MAY_BE_EMPTY: &[&str] =
    &["add", "drop", "externalIPs", "subjects", "supplementalGroups", "sysctls", "tolerations"];

/// Lists of texts whose order counts, or of which fewer are more.
const KEPT: &[&str] = &["accessModes", "finalizers", "resourceNames"];

/// Words in the names of labels and annotations that turn policies off.
const BYPASS: &[&str] = &["allow-", "bypass", "disable", "exclude", "exempt", "ignore", "skip"];

fn keys(path: &FieldPath) -> impl Iterator<Item = &str> {
    path.segments().iter().filter_map(|segment| match segment {
        Segment::Key(key) => Some(&**key),
        Segment::Index(_) => None,
    })
}

/// Whether a path is a label or an annotation, and its name.
pub(super) fn metadata_key(path: &FieldPath) -> Option<&str> {
    let keys: Vec<&str> = keys(path).collect();
    let at = keys.iter().position(|key| ["annotations", "labels"].contains(key))?;
    let is_metadata = at.checked_sub(1).and_then(|before| keys.get(before)) == Some(&"metadata");
    keys.get(at + 1).copied().filter(|_| is_metadata)
}

/// Whether something may be changed or added there at all.
pub(super) fn may_change(path: &FieldPath, object: &Value) -> bool {
    let all: Vec<&str> = keys(path).collect();
    if let Some(at) = all.iter().position(|key| *key == "metadata") {
        // Of metadata only labels and annotations.
        let is_open = all.get(at + 1).is_some_and(|key| ["annotations", "labels"].contains(key));
        if !is_open {
            return false;
        }
        let name = all.get(at + 2).copied().unwrap_or_default();
        let is_of_template = all.iter().take(at).any(|key| *key == "template");
        let is_there = place::at(object, path.segments()).is_some();
        // Selectors find what a template makes by its labels.
        let is_selected = is_of_template && all.get(at + 1) == Some(&"labels") && is_there;
        let lower = name.to_ascii_lowercase();
        let is_bypass = BYPASS.iter().any(|word| lower.contains(word)) && !lower.contains("allow-http");
        return !is_selected && !is_bypass && all.iter().take(at).all(|key| !IDENTITY.contains(key));
    }
    // Another version of the same kind is the same thing.
    all == ["apiVersion"] || !all.iter().any(|key| IDENTITY.contains(key))
}

/// What Kubernetes takes in a field of which it knows all values: the one that gives nothing away.
pub(super) fn usual(gvk: &Gvk, path: &FieldPath) -> Option<&'static str> {
    let all: Vec<&str> = keys(path).collect();
    Some(match all.as_slice() {
        [.., "seccompProfile" | "appArmorProfile", "type"] => "RuntimeDefault",
        [.., "securityContext", "procMount"] => "Default",
        [.., "imagePullPolicy"] => "Always",
        ["spec", "type"] if gvk.group.is_empty() && &*gvk.kind == "Service" => "ClusterIP",
        _ => return None,
    })
}

/// Whether what is there may go.
pub(super) fn may_go(gvk: &Gvk, path: &FieldPath, object: &Value) -> bool {
    let Some(there) = place::at(object, path.segments()) else { return false };
    // What is no object where there should be one was meant for something.
    let shape = shape(gvk, path);
    if is_scalar(there) && matches!(shape, None | Some(Shape::Fields | Shape::Map | Shape::List)) {
        return false;
    }
    let all: Vec<&str> = keys(path).collect();
    let last = all.last().copied().unwrap_or_default();
    if let Some(Segment::Index(_)) = path.segments().last() {
        let is_in = |lists: &[&str]| lists.contains(&last);
        let list = path.parent().and_then(|list| place::at(object, list.segments()).and_then(Value::count));
        if list == Some(1) && !is_in(MAY_BE_EMPTY) {
            return false;
        }
        return match there.view() {
            View::Object(_) => {
                is_in(LISTS) || is_in(&["rules"]) && &*gvk.group == "rbac.authorization.k8s.io"
            }
            // Commands and arguments are no sets.
            View::String(_) | View::Number(_) => !IDENTITY.contains(&last) && !is_in(KEPT),
            _ => false,
        };
    }
    // The host of a probe is the Pod by itself.
    let is_probe = all.iter().any(|key| ["httpGet", "tcpSocket"].contains(key)) && last == "host";
    // Without it the scheduler picks a node, as it does for all others.
    if is_probe || last == "nodeName" {
        return true;
    }
    if is_default_backend(gvk, &all) {
        return value::get_path(object, &["spec", "rules"]).is_some_and(|rules| rules.count() > Some(0));
    }
    if !may_change(path, object) || NEEDED.contains(&last) {
        return false;
    }
    if metadata_key(path).is_some() {
        // Labels say what an object belongs to.
        return !all.contains(&"labels") && last != "annotations";
    }
    let parent = all.len().checked_sub(2).and_then(|at| all.get(at)).copied().unwrap_or_default();
    match there.view() {
        View::Object(_) => OPTIONAL.contains(&last),
        View::Array(_) => false,
        // Without most numbers something else counts, which a policy that looks for them does not see.
        View::Number(_) => GOING.contains(&last),
        // What tells which of several forms something has is needed but in two places.
        _ if last == "type" => ["hostPath", "spec"].contains(&parent),
        _ => ["limits", "requests", "nodeSelector"].iter().all(|map| parent != *map),
    }
}

/// What answers for the hosts that no rule of an Ingress names.
fn is_default_backend(gvk: &Gvk, keys: &[&str]) -> bool {
    &*gvk.kind == "Ingress" && matches!(keys, ["spec", "backend" | "defaultBackend"])
}

/// What has to go with an edit: fields that only services have that are open, and the other one of two that exclude each
/// other.
pub(super) fn companions(gvk: &Gvk, edit: &Edit, object: &Value) -> Vec<Edit> {
    if &*gvk.kind == "PodDisruptionBudget" && edit.new.is_some() {
        let fields = ["minAvailable", "maxUnavailable"]
            .map(|field| ["spec", field].map(Segment::from).into_iter().collect::<FieldPath>());
        let others = fields.iter().filter(|path| fields.contains(&edit.path) && **path != edit.path);
        let others = others.filter(|path| place::at(object, path.segments()).is_some());
        return others.map(|path| Edit::gone(path.clone(), Class::Removal)).collect();
    }
    let is_service = gvk.group.is_empty() && &*gvk.kind == "Service";
    let is_type = edit.path.segments() == ["spec", "type"].map(Segment::from);
    let is_open = |text: &str| ["LoadBalancer", "NodePort"].contains(&text);
    if !is_service || !is_type || edit.new.as_ref().and_then(value::as_str).is_some_and(is_open) {
        return Vec::new();
    }
    let ports = value::get_path(object, &["spec", "ports"]).map_or(0, |ports| value::items(ports).count());
    let spec: FieldPath = [Segment::from("spec")].into_iter().collect();
    let of_ports = (0..ports).map(|port| spec.child("ports").child(port).child("nodePort"));
    let paths = of_ports.chain(OPEN.iter().map(|field| spec.child(*field)));
    let is_there = |path: &FieldPath| place::at(object, path.segments()).is_some();
    paths.filter(is_there).map(|path| Edit::gone(path, Class::Removal)).collect()
}

/// Whether an edit that a policy asks for is one that only its author should do: one by which something cannot be reached
/// any more, or nobody has a role.
pub(super) fn is_for_author(edit: &Edit, object: &Value) -> bool {
    let of = |key: &str| value::str_at(object, &[key]);
    let is_service = of("apiVersion") == Some("v1") && of("kind") == Some("Service");
    let all: Vec<&str> = keys(&edit.path).collect();
    match all.as_slice() {
        ["spec", "type"] => is_service,
        // What answers for all other hosts, what a role allows, and where a Pod may run.
        ["spec", "backend" | "defaultBackend"] | ["rules"] => edit.new.is_none(),
        [.., "tolerations"] => true,
        ["spec", field] => is_service && OPEN.contains(field),
        ["subjects"] => value::get(object, "subjects").is_some_and(|all| all.count() == Some(1)),
        _ => false,
    }
}

/// Whether an API server that takes an object may still take what was made of it.
pub(super) fn is_sound(gvk: &Gvk, before: &Value, after: &Value) -> bool {
    let of = |object: &Value| {
        let text = |key: &str| value::str_at(object, &[key]).unwrap_or_default();
        Gvk::new(text("apiVersion"), text("kind"))
    };
    let (old, new) = (of(before), of(after));
    if old == new {
        if is_of_its_kind(gvk, before) && !is_of_its_kind(gvk, after) {
            return false;
        }
    } else if old.group_kind() != new.group_kind() || !is_known(&new) || !is_of_its_kind(&new, after) {
        // Another version has to be known, and to have all fields that are there.
        return false;
    }
    let (before, after) = (faults(before), faults(after));
    after.iter().all(|fault| before.contains(fault))
}

/// What an API server refuses, or what cannot run, by its name and place.
fn faults(object: &Value) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    let spec = value::get(object, "spec").unwrap_or(&Value::NULL);
    let pod = [&["template", "spec"][..], &["jobTemplate", "spec", "template", "spec"]]
        .into_iter()
        .find_map(|path| value::get_path(spec, path))
        .unwrap_or(spec);
    let shared = value::get(pod, "securityContext").unwrap_or(&Value::NULL);
    security_faults(shared, &Value::NULL, usize::MAX, &mut found);
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.iter().filter_map(|list| value::get(pod, list)).flat_map(value::items);
    for (position, container) in containers.enumerate() {
        let own = value::get(container, "securityContext").unwrap_or(&Value::NULL);
        security_faults(own, shared, position, &mut found);
        if let Some(resources) = value::get(container, "resources") {
            resource_faults(resources, position, &mut found);
        }
        let ports = value::get(container, "ports").into_iter().flat_map(value::items);
        let is_hidden =
            is(pod, "hostNetwork", true) && ports.clone().any(|port| value::get(port, "hostPort").is_none());
        if is_hidden {
            found.push(("host ports of the host's network", position));
        }
    }
    if is(pod, "shareProcessNamespace", true) && is(pod, "hostPID", true) {
        found.push(("shareProcessNamespace beside hostPID", 0));
    }
    service_faults(spec, &mut found);
    let api = value::str_at(object, &["apiVersion"]).unwrap_or_default();
    let has_selector = value::get(spec, "selector").is_some_and(|selector| !selector.is_null());
    if api == "apps/v1" && value::get(spec, "template").is_some() && !has_selector {
        found.push(("no selector", 0));
    }
    let has = |key: &str| value::get(spec, key).is_some_and(|value| !value.is_null());
    let is_budget = value::str_at(object, &["kind"]) == Some("PodDisruptionBudget");
    if is_budget && !has("minAvailable") && !has("maxUnavailable") {
        found.push(("no budget", 0));
    }
    if has("minAvailable") && has("maxUnavailable") {
        found.push(("minAvailable beside maxUnavailable", 0));
    }
    let number =
        |key: &str| value::get(spec, key).and_then(Value::as_number).map(portcullis_value::Number::to_f64);
    if number("minReplicas").zip(number("maxReplicas")).is_some_and(|(least, most)| least > most) {
        found.push(("minReplicas over maxReplicas", 0));
    }
    found
}

fn is(value: &Value, key: &str, wanted: bool) -> bool {
    matches!(value::get(value, key).map(Value::view), Some(View::Bool(found)) if found == wanted)
}

fn security_faults(own: &Value, shared: &Value, position: usize, found: &mut Vec<(&'static str, usize)>) {
    let text = |keys: &[&str]| value::str_at(own, keys);
    let adds = value::get_path(own, &["capabilities", "add"]).into_iter().flat_map(value::items);
    let is_admin =
        adds.filter_map(value::as_str).any(|name| ["CAP_SYS_ADMIN", "SYS_ADMIN", "ALL"].contains(&name));
    if is(own, "allowPrivilegeEscalation", false) && (is(own, "privileged", true) || is_admin) {
        found.push(("allowPrivilegeEscalation beside privileges", position));
    }
    for (field, name) in [("seccompProfile", "seccompProfile"), ("appArmorProfile", "appArmorProfile")] {
        let Some(profile) = value::get(own, field).filter(|profile| !profile.is_null()) else { continue };
        let is_local = value::str_at(profile, &["type"]) == Some("Localhost");
        let kind = value::str_at(profile, &["type"]);
        let is_kind = kind.is_some_and(|kind| ["Localhost", "RuntimeDefault", "Unconfined"].contains(&kind));
        if !is_kind || is_local != value::get(profile, "localhostProfile").is_some() {
            found.push((name, position));
        }
    }
    let user = value::get(own, "runAsUser").or_else(|| value::get(shared, "runAsUser"));
    let is_root = user.and_then(Value::as_number).is_some_and(|user| user.to_f64() == 0.0);
    let non_root = if value::get(own, "runAsNonRoot").is_some() { own } else { shared };
    if is_root && is(non_root, "runAsNonRoot", true) {
        found.push(("runAsNonRoot beside runAsUser 0", position));
    }
    if text(&["procMount"]).is_some_and(|mount| !["Default", "Unmasked"].contains(&mount)) {
        found.push(("procMount", position));
    }
}

fn resource_faults(resources: &Value, position: usize, found: &mut Vec<(&'static str, usize)>) {
    let part = |name: &str| value::get(resources, name).unwrap_or(&Value::NULL);
    for (name, request) in value::entries(part("requests")) {
        let limit = value::get(part("limits"), name).and_then(quantity);
        if quantity(request).zip(limit).is_some_and(|(request, limit)| request > limit) {
            found.push(("requests over limits", position));
        }
    }
    for part in [part("requests"), part("limits")] {
        for (name, amount) in value::entries(part) {
            // Less than a page, and fractions of a byte, are what was meant for something else.
            let least = if ["memory", "ephemeral-storage"].contains(&name) { 4096.0 } else { 0.0 };
            if quantity(amount).is_none_or(|amount| amount < least) {
                found.push(("a quantity", position));
            }
        }
    }
}

fn service_faults(spec: &Value, found: &mut Vec<(&'static str, usize)>) {
    let kind = value::str_at(spec, &["type"]);
    let is_open = kind.is_some_and(|kind| ["LoadBalancer", "NodePort"].contains(&kind));
    let ports = value::get(spec, "ports").into_iter().flat_map(value::items);
    let mut node_ports = ports.filter(|port| value::get(port, "nodePort").is_some());
    let has_open = OPEN.iter().any(|key| value::get(spec, key).is_some());
    if !is_open && (node_ports.next().is_some() || has_open) {
        found.push(("fields of services that are open", 0));
    }
}

/// A quantity of Kubernetes, for comparisons.
pub(super) fn quantity(value: &Value) -> Option<f64> {
    const UNITS: &[(&str, f64)] = &[
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    match value.view() {
        View::Number(number) => Some(number.to_f64()),
        View::String(text) => {
            let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let digits = text.strip_suffix(unit)?;
            let is_number =
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let number: f64 = digits.parse().ok().filter(|_| is_number)?;
            Some(number * factor)
        }
        _ => None,
    }
}

/// How far two numbers or quantities are from each other.
pub(super) fn distance(a: &Value, b: &Value) -> Option<f64> {
    Some((quantity(a)? - quantity(b)?).abs())
}
