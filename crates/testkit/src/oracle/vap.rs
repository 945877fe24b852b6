//! Admission policies of the API server's, and what it answers to requests.
//!
//! An API server does things with a request before and after it asks policies: it fills in fields, makes patches to
//! objects, and words denials. What of that is seen in a recording is done here.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{
    AccessAnswer, AccessTo, AdmissionAnswer, AdmissionMutation, AdmissionMutators, Answers, Change, Counting,
    Document, Error, ErrorKind, Inventory, InventoryStore, Object, PolicySet, PolicyStore, Questions,
    Resource, Review, Severity, Uses, World, custom_type_warnings,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Judgement;

/// The namespace of a case. Some expect it to begin with this letter.
const NAMESPACE: &str = "c1";

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    namespace: Value,
    #[serde(rename = "policiesAndBindings")]
    policies: Vec<Value>,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(rename = "createErrors", default)]
    create_errors: Vec<CreateError>,
    #[serde(rename = "typeCheckingWarnings", default)]
    type_checking: Value,
    #[serde(rename = "orderUndefined", default)]
    order_undefined: bool,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct CreateError {
    kind: String,
    name: String,
    message: String,
}

#[derive(Deserialize)]
struct Request {
    operation: String,
    object: Option<Value>,
    #[serde(rename = "oldObject")]
    old_object: Option<Value>,
    patch: Option<Value>,
    #[serde(rename = "patchType")]
    patch_type: Option<String>,
    name: Option<String>,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    query: String,
    user: String,
    result: Answer,
}

#[derive(Deserialize)]
struct Answer {
    code: u16,
    allowed: bool,
    reason: Option<String>,
    message: Option<String>,
    #[serde(default)]
    details: Value,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(rename = "objectAfter", default)]
    object_after: Value,
    #[serde(rename = "auditAnnotations", default)]
    audit_annotations: BTreeMap<String, String>,
}

pub(super) fn judge(case: &Value) -> Result<Judgement, String> {
    let text = case.to_string();
    let read: Case =
        serde_json::from_str(&text.replace("$NS", NAMESPACE)).map_err(|error| error.to_string())?;
    let difference = difference(&read)?.err().map(|difference| format!("{}: {difference}", read.name));
    Ok(Judgement { text: format!("{} {text}", read.name), difference, notes: Vec::new() })
}

/// Why the answers are others.
fn difference(case: &Case) -> Result<Result<(), String>, String> {
    let mut store = PolicyStore::new();
    let mut mutating = Vec::new();
    let mut type_warnings = BTreeSet::new();
    for policy in &case.policies {
        let (resource, mut errors) = read(policy)?;
        let is_read = resource.is_some();
        if let Some(resource) = resource {
            if resource.is_mutator() {
                let (_, found) = AdmissionMutators::from_resources([resource.clone()]);
                errors.extend(found.into_iter().filter(|error| error.kind() != ErrorKind::MissingPolicy));
                mutating.push(resource);
            } else {
                errors.extend(custom_type_warnings(std::slice::from_ref(&resource), &[definition()?]));
                errors.extend(store.apply(Change::Upsert(resource)));
            }
        }
        for error in &errors {
            if error.severity() == Severity::Warning && error.kind() == ErrorKind::Cel {
                let path = error.path().map(ToString::to_string).unwrap_or_default();
                // `of a KIND: …`
                let message = error.message().split_once("`: ").map_or(error.message(), |(_, rest)| rest);
                type_warnings.insert((path, message.to_owned()));
            }
        }
        errors.retain(|error| error.severity() == Severity::Error);
        if let Err(difference) = refused(case, policy, &errors, is_read) {
            return Ok(Err(difference));
        }
    }
    let policies = store.snapshot();
    let (mutators, _) = AdmissionMutators::from_resources(mutating);
    let inventory = inventory(case, &policies, &mutators)?;
    for (number, request) in case.requests.iter().enumerate() {
        if let Err(difference) = answered(case, request, (&policies, &mutators), &inventory)? {
            return Ok(Err(format!("request {}: {difference}", number + 1)));
        }
    }
    let wanted = recorded_warnings(&case.type_checking);
    if type_warnings != wanted {
        return Ok(Err(format!("typeCheckingWarnings {type_warnings:?}, not {wanted:?}")));
    }
    Ok(Ok(()))
}

/// The warnings of types that were recorded: fields and messages.
fn recorded_warnings(recorded: &Value) -> BTreeSet<(String, String)> {
    let of_policies = recorded.as_object().into_iter().flat_map(serde_json::Map::values);
    let warnings = of_policies.flat_map(|list| list.as_array().into_iter().flatten());
    let mut all = BTreeSet::new();
    for warning in warnings {
        let field = warning["fieldRef"].as_str().unwrap_or_default();
        for report in warning["warning"].as_str().unwrap_or_default().split("ERROR: <input>:").skip(1) {
            let message = report.split("\n | ").next().unwrap_or_default();
            let message = message.splitn(3, ':').nth(2).unwrap_or_default().trim();
            all.insert((field.to_owned(), without_numbers(message)));
        }
    }
    all
}

/// The names of types have a number that is another one each time: `ConfigMap263946660`.
fn without_numbers(message: &str) -> String {
    /// Nanoseconds have rarely fewer digits.
    const LEAST: usize = 6;
    let mut out = String::new();
    let mut digits = String::new();
    for c in message.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() < LEAST {
            out.push_str(&digits);
        }
        digits.clear();
        out.extend(Some(c).filter(|c| *c != '\0'));
    }
    out
}

fn read(value: &Value) -> Result<(Option<Resource>, Vec<Error>), String> {
    let (documents, errors) = Document::read_all("policy.yaml", &value.to_string());
    let document = documents.into_iter().next().ok_or("no document")?;
    let (resource, more) = Resource::read_for(&document, Uses::POLICIES.with_mutators(true));
    Ok((resource, errors.into_iter().chain(more).collect()))
}

/// Whether a policy or binding is refused as it was: in the same words but for those of the compiler.
fn refused(case: &Case, policy: &Value, errors: &[Error], is_read: bool) -> Result<(), String> {
    let text = |path: &str| policy.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let recorded = case.create_errors.iter().find(|error| error.kind == kind && error.name == name);
    let said = || errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let Some(recorded) = recorded else {
        return match errors {
            [] if is_read => Ok(()),
            _ => Err(format!("{kind} is refused, though an API server takes it: {}", said())),
        };
    };
    if errors.is_empty() {
        return Err(format!("{kind} is taken, though an API server says: {}", recorded.message));
    }
    let prefix = format!("{kind}.admissionregistration.k8s.io \"{name}\" is invalid: ");
    let message = recorded.message.strip_prefix(&prefix).unwrap_or(&recorded.message);
    let mut of_compiler: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut plain = BTreeSet::new();
    for error in errors {
        let path = error.path().map(ToString::to_string).unwrap_or_default();
        if error.kind() == ErrorKind::Cel {
            of_compiler.entry(path).or_default().insert(error.message().to_owned());
        } else {
            plain.insert(format!("{path}: {}", error.message()));
        }
    }
    // Of the compiler it is enough that the mistakes are said of the same field: its words are compared elsewhere.
    let is_said = |path: &str, messages: &BTreeSet<String>| {
        let is_syntax = message.contains("Syntax error");
        message.contains(&format!("{path}: "))
            && (is_syntax || messages.iter().all(|part| message.contains(part.as_str())))
    };
    let is_same = plain.iter().all(|part| message.contains(part.as_str()))
        && of_compiler.iter().all(|(path, messages)| is_said(path, messages))
        && (message.starts_with('[') || plain.len() + of_compiler.len() == 1);
    if is_same { Ok(()) } else { Err(format!("{kind} is refused otherwise: {}; not {message}", said())) }
}

/// The definition of the custom kind that the cluster had.
fn definition() -> Result<Object, String> {
    let schema = json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"n": {"type": "integer"}, "f": {"type": "number"}},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gizmos.shop.example"},
        "spec": {
            "group": "shop.example",
            "scope": "Namespaced",
            "names": {"kind": "Gizmo", "plural": "gizmos"},
            "versions": [
                {"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema}},
                {"name": "v1beta1", "served": true, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    });
    Object::from_json(&crd).map_err(|error| error.to_string())
}

/// The objects of the cluster.
fn inventory(case: &Case, policies: &PolicySet, mutators: &AdmissionMutators) -> Result<Inventory, String> {
    let view = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "view"},
    });
    let mut namespace = case.namespace.clone();
    let name = namespace["name"].clone();
    namespace["labels"]["kubernetes.io/metadata.name"] = name;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace});
    let params = case.params.iter().map(|param| {
        let mut param = param.clone();
        param["metadata"]["namespace"] = NAMESPACE.into();
        param
    });
    let mut store = InventoryStore::new();
    let others = [view, namespace].into_iter().chain(params);
    let others = others.map(|object| Object::from_json(&object).map_err(|error| error.to_string()));
    for object in std::iter::once(definition()).chain(others) {
        let object = object?;
        if mutators.keeps(&object) {
            store.upsert(object);
        } else if let Some(kept) = policies.for_inventory(&object) {
            store.upsert(kept);
        }
    }
    Ok(store.snapshot())
}

/// A request as an API server asks its policies.
struct Sent {
    review: Review,
    resource: String,
    name: String,
    is_create: bool,
}

fn answered(
    case: &Case,
    request: &Request,
    (policies, mutators): (&PolicySet, &AdmissionMutators),
    inventory: &Inventory,
) -> Result<Result<(), String>, String> {
    let sent = sent(request)?;
    let mut answers = Answers::new();
    if case.kind == "MAP" {
        loop {
            let mutation = mutators.mutate(&sent.review, &World::new(inventory).with_answers(&answers));
            if mutation.questions.is_empty() {
                return Ok(compare_mutation(case, request, &sent, &mutation));
            }
            answer_access(&mutation.questions, &mut answers);
        }
    }
    loop {
        let world = World::new(inventory).with_answers(&answers);
        let answer = policies.admission_answer(&sent.review, &world);
        if answer.questions.is_empty() {
            let uncounted =
                policies.admission_answer(&sent.review, &world.with_counting(Counting::NearLimits));
            return Ok(compare(case, request, &sent, &answer)
                .and_then(|()| compare(case, request, &sent, &uncounted))
                .map_err(|error| format!("{error} (where nobody counts: {uncounted:?})")));
        }
        answer_access(&answer.questions, &mut answers);
    }
}

/// What the cluster of the recording said of rights: masters may do everything, others what the cases let them do with the kinds that
/// these are about.
fn answer_access(questions: &Questions, answers: &mut Answers) {
    const OF_CASES: &[&str] = &["configmaps", "pods", "deployments", "gizmos", "namespaces"];
    for question in questions.access() {
        let is_master = question.user.groups.iter().any(|group| &**group == "system:masters");
        let is_of_cases = matches!(
            &question.to,
            AccessTo::Resource(resource) if OF_CASES.contains(&&*resource.resource)
        );
        let allowed = is_master || is_of_cases;
        let answer = AccessAnswer::Decided { allowed, reason: "".into(), error: "".into() };
        answers.set_access(question.clone(), answer);
    }
}

fn compare(case: &Case, request: &Request, sent: &Sent, answer: &AdmissionAnswer) -> Result<(), String> {
    let wanted = &request.result;
    let said: Vec<&str> = answer.denials.iter().map(|denial| denial.message.as_str()).collect();
    if answer.allowed() != wanted.allowed {
        let message = wanted.message.as_deref().unwrap_or_default();
        return Err(format!("allowed {}, not {}: {said:?}, not {message}", answer.allowed(), wanted.allowed));
    }
    if wanted.allowed {
        let code = if sent.is_create { 201 } else { 200 };
        if code != wanted.code {
            return Err(format!("code {code}, not {}", wanted.code));
        }
    } else {
        let message = wanted.message.clone().unwrap_or_default();
        let plain = without_prefix(&message);
        let is_it = |denial: &portcullis::AdmissionDenial| {
            let whole = format!("{} \"{}\" is forbidden: {}", sent.resource, sent.name, denial.message);
            whole == plain && Some(denial.reason) == wanted.reason.as_deref() && denial.code == wanted.code
        };
        let among = if case.order_undefined { answer.denials.len() } else { 1 };
        if !answer.denials.iter().take(among).any(is_it) {
            let denial = &answer.denials;
            let (code, reason) = (wanted.code, wanted.reason.as_deref().unwrap_or_default());
            return Err(format!("denied otherwise: {denial:?}, not {code} {reason} {message}"));
        }
    }
    let sorted = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    if sorted(&answer.warnings) != sorted(&wanted.warnings)
        || (!case.order_undefined && answer.warnings != wanted.warnings)
    {
        return Err(format!("warnings {:?}, not {:?}", answer.warnings, wanted.warnings));
    }
    if answer.audit_annotations != wanted.audit_annotations {
        let (given, wanted) = (&answer.audit_annotations, &wanted.audit_annotations);
        return Err(format!("audit annotations {given:?}, not {wanted:?}"));
    }
    Ok(())
}

fn compare_mutation(
    case: &Case,
    request: &Request,
    sent: &Sent,
    mutation: &AdmissionMutation,
) -> Result<(), String> {
    let wanted = &request.result;
    let said: Vec<&str> = mutation.denials.iter().map(|denial| denial.message.as_str()).collect();
    let message = wanted.message.as_deref().unwrap_or_default();
    // What is made may be refused by the API server for what it is, and not by the policy.
    let is_refused_later = !wanted.allowed && wanted.code == 422;
    if (said.is_empty() && !is_refused_later) != wanted.allowed && !is_refused_later {
        return Err(format!("allowed {}, not {}: {said:?}, not {message}", said.is_empty(), wanted.allowed));
    }
    if is_refused_later {
        return if said.is_empty() { Ok(()) } else { Err(format!("denied by the policy: {said:?}")) };
    }
    if !wanted.allowed {
        let is_it = |denial: &portcullis::AdmissionDenial| {
            let whole = message == denial.message
                // What is wrong with the object as a whole is no denial of the policy's.
                || denial.code == 500 && denial.message.ends_with(message);
            whole && Some(denial.reason) == wanted.reason.as_deref() && denial.code == wanted.code
        };
        let among = if case.order_undefined { mutation.denials.len() } else { 1 };
        if !mutation.denials.iter().take(among).any(is_it) {
            let (code, reason) = (wanted.code, wanted.reason.as_deref().unwrap_or_default());
            return Err(format!("denied otherwise: {:?}, not {code} {reason} {message}", mutation.denials));
        }
        return Ok(());
    }
    let after = mutation.object.as_ref().or(sent.review.object()).map(Object::to_json);
    let mut after = after.ok_or("there is no object")?;
    if let Some(metadata) = after["metadata"].as_object_mut() {
        for key in ["namespace", "uid", "creationTimestamp", "managedFields", "resourceVersion"] {
            metadata.remove(key);
        }
        metadata.retain(|_, value| !value.as_object().is_some_and(serde_json::Map::is_empty));
    }
    if let Some(fields) = after.as_object_mut() {
        fields.retain(|_, value| !value.as_object().is_some_and(serde_json::Map::is_empty));
    }
    // An API server fills in what is usual for a Pod.
    let is_same = if after["kind"] == "Pod" {
        is_part(&after, &wanted.object_after)
    } else {
        after == wanted.object_after
    };
    if is_same { Ok(()) } else { Err(format!("the object is {after}, not {}", wanted.object_after)) }
}

/// Whether a value is another one from which something was left out, but no element of a list that was given.
fn is_part(value: &Value, whole: &Value) -> bool {
    match (value, whole) {
        (Value::Object(fields), Value::Object(all)) => {
            fields.iter().all(|(key, value)| all.get(key).is_some_and(|other| is_part(value, other)))
        }
        (Value::Array(items), Value::Array(all)) => {
            items.len() <= all.len() && items.iter().zip(all).all(|(item, other)| is_part(item, other))
        }
        _ => value == whole,
    }
}

/// Policies that live in no namespace were given names of their own in some cases: `'c131-p'` is `'p'`.
fn without_prefix(message: &str) -> String {
    let mut parts = message.split('\'');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.strip_prefix('c').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let name = rest.and_then(|rest| rest.strip_prefix('-')).filter(|name| ["p", "b"].contains(name));
        out.push('\'');
        out.push_str(name.unwrap_or(part));
    }
    out
}

fn sent(request: &Request) -> Result<Sent, String> {
    let is_connect = request.operation == "CONNECT";
    let (mut object, mut old_object) = (request.object.clone(), request.old_object.clone());
    if let Some(patch) = &request.patch {
        object = Some(patched(request, old_object.as_ref(), patch));
    }
    let operation = match request.operation.as_str() {
        "DELETECOLLECTION" => "DELETE",
        "PATCH" if old_object.is_none() => "CREATE",
        "PATCH" => "UPDATE",
        other => other,
    };
    let is_create = operation == "CREATE";
    let subresource = match request.subresource.as_str() {
        "svcproxy" => "proxy",
        other => other,
    };
    if is_connect {
        let kind = if request.subresource == "svcproxy" { "ServiceProxyOptions" } else { "PodExecOptions" };
        object = Some(json!({"apiVersion": "v1", "kind": kind}));
    }
    let shown = object.as_ref().or(old_object.as_ref()).ok_or("a request has an object")?.clone();
    let text = |path: &str| shown.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let (group, version) = match api_version.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api_version),
    };
    let resource = match (kind.as_str(), request.subresource.as_str()) {
        ("PodExecOptions", _) => "pods".to_owned(),
        ("ServiceProxyOptions", _) => "services".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let is_cluster = ["Namespace", "ClusterRole"].contains(&kind.as_str());
    let name = match text("/metadata/name") {
        _ if request.operation == "DELETECOLLECTION" => String::new(),
        // Its random part is a part of what is recorded.
        name if name.is_empty() && request.name.is_none() => {
            request.result.details["name"].as_str().unwrap_or_default().to_owned()
        }
        name if name.is_empty() => request.name.clone().unwrap_or_default(),
        name => name,
    };
    if !is_connect {
        for object in [&mut object, &mut old_object].into_iter().flatten() {
            fill_in(object, &name, is_cluster);
        }
    }
    if let Some(object) = old_object.as_mut() {
        object["metadata"]["resourceVersion"] = "7".into();
    }
    if let (Some(object), Some(_)) = (object.as_mut(), &old_object) {
        object["metadata"]["resourceVersion"] = "7".into();
    }
    let groups = match request.user.as_str() {
        "alice" => json!(["devs", "system:authenticated"]),
        "admin" => json!(["system:masters", "system:authenticated"]),
        _ => json!(["system:authenticated"]),
    };
    let query = |key: &str| {
        let mut pairs =
            request.query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    };
    let options = match (request.operation.as_str(), operation) {
        (_, "CONNECT") => Value::Null,
        ("PATCH", _) => json!({"kind": "PatchOptions", "apiVersion": "meta.k8s.io/v1"}),
        (_, "CREATE") => json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}),
        (_, "UPDATE") => json!({"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}),
        _ => json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}),
    };
    let mut options = options;
    if let (Some(manager), Value::Object(fields)) = (query("fieldManager"), &mut options) {
        fields.insert("fieldManager".to_owned(), manager.into());
    }
    let gvk = json!({"group": group, "version": version, "kind": kind});
    let gvr = json!({"group": group, "version": version, "resource": resource});
    let mut body = json!({
        "uid": "11111111-2222-3333-4444-555555555555",
        "kind": gvk,
        "resource": gvr,
        "requestKind": gvk,
        "requestResource": gvr,
        "operation": operation,
        "userInfo": {
            "username": request.user,
            "groups": groups,
            "extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=0"]},
        },
        "object": object,
        "oldObject": old_object,
        "dryRun": query("dryRun").is_some(),
        "options": options,
    });
    if operation == "DELETE" {
        body["object"] = Value::Null;
    }
    for (key, value) in
        [("name", name.as_str()), ("subResource", subresource), ("requestSubResource", subresource)]
    {
        if !value.is_empty() {
            body[key] = value.into();
        }
    }
    if !is_cluster {
        body["namespace"] = NAMESPACE.into();
    } else if kind == "Namespace" {
        body["namespace"] = name.as_str().into();
    }
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body});
    let (documents, errors) = Document::read_all("request.json", &review.to_string());
    let document = documents.into_iter().next().ok_or_else(|| format!("no request: {errors:?}"))?;
    let review = match Resource::read(&document) {
        (Some(Resource::AdmissionReview(request)), _) => {
            Review::from_admission(&request).map_err(|error| error.to_string())?
        }
        (_, errors) => return Err(format!("no request: {errors:?}")),
    };
    let resource = if group.is_empty() { resource } else { format!("{resource}.{group}") };
    let name = if name.is_empty() { "Unknown".to_owned() } else { name };
    Ok(Sent { review, resource, name, is_create })
}

/// What an API server fills in before it asks policies.
fn fill_in(object: &mut Value, name: &str, is_cluster: bool) {
    let metadata = &mut object["metadata"];
    metadata["name"] = name.into();
    if !is_cluster {
        metadata["namespace"] = NAMESPACE.into();
    }
    metadata["uid"] = "22222222-2222-3333-4444-555555555555".into();
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    metadata["managedFields"] = json!([{"manager": "test", "operation": "Update"}]);
    if object["kind"] == "ConfigMap" && object["data"].as_object().is_some_and(serde_json::Map::is_empty) {
        object.as_object_mut().map(|fields| fields.remove("data"));
    }
}

/// An object with a patch of a request applied.
fn patched(request: &Request, old: Option<&Value>, patch: &Value) -> Value {
    let Some(old) = old else { return patch.clone() };
    let mut object = old.clone();
    match request.patch_type.as_deref() {
        Some("application/json-patch+json") => object = crate::json_patch::patched(&object, patch),
        _ => merge(&mut object, patch),
    }
    object
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            object.as_object_mut().map(|object| object.remove(key));
        } else {
            merge(&mut object[key.as_str()], value);
        }
    }
}
