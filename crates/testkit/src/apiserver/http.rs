//! Requests in, answers out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::faults::{Verb, What};
use super::rights::Wish;
use super::store::{Kind, Part, Recorded, Refusal, Youth};
use super::{Shared, patch};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

const APPLY: &str = "application/apply-patch";

/// A path below `/api` or `/apis`.
struct Target {
    group: String,
    version: String,
    plural: String,
    namespace: String,
    name: String,
    is_status: bool,
}

fn target(path: &str) -> Option<Target> {
    let mut parts: Vec<String> = path.trim_matches('/').split('/').map(unescape).collect();
    let rest = match parts.first()?.as_str() {
        "api" | "apis" => parts.split_off(1),
        _ => return None,
    };
    let is_core = parts.first()? == "api";
    let mut rest = rest.into_iter();
    let group = if is_core { String::new() } else { rest.next()? };
    let version = rest.next()?;
    let mut plural = rest.next()?;
    let mut namespace = String::new();
    let mut rest: Vec<String> = rest.collect();
    if plural == "namespaces" && rest.len() >= 2 && rest.get(1).is_some_and(|part| part != "status") {
        namespace = rest.remove(0);
        plural = rest.remove(0);
    }
    let name = if rest.is_empty() { String::new() } else { rest.remove(0) };
    let is_status = rest.first().is_some_and(|part| part == "status");
    Some(Target { group, version, plural, namespace, name, is_status })
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| unescape(value)).next()
}

/// The name that a field selector asks for.
fn selected(query: &str) -> Option<String> {
    parameter(query, "fieldSelector")?.strip_prefix("metadata.name=").map(str::to_owned)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let head = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (content_type, accept) = (head(header::CONTENT_TYPE), head(header::ACCEPT));
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    shared.store().recorded.push(Recorded {
        method: parts.method.to_string(),
        path: path.clone(),
        query: query.clone(),
        content_type: content_type.clone(),
        body: body.clone(),
    });
    let target = target(&path);
    let is_watch = parameter(&query, "watch").is_some_and(|value| value == "true" || value == "1");
    let verb = match &target {
        None => Verb::Discover,
        Some(_) if parts.method != Method::GET => Verb::Write,
        Some(_) if is_watch => Verb::Watch,
        Some(target) if target.name.is_empty() => Verb::List,
        Some(_) => Verb::Get,
    };
    // Whoever ends all watches ends those as well that were let in before and are not open yet.
    let epoch = shared.store().watch_epoch;
    // Everybody may discover.
    if let Some(target) = target.as_ref() {
        let is_apply = content_type.starts_with(APPLY);
        let named = selected(&query);
        let allowed = authorize(&shared, &parts.method, verb, target, is_apply, named.as_deref());
        if let Err(message) = allowed.and_then(|()| authorize_owners(&shared, &body)) {
            return refuse(403, "Forbidden", &message, None, None);
        }
    }
    let plural = target.as_ref().map(|target| target.plural.clone()).unwrap_or_default();
    if matches!(verb, Verb::List | Verb::Watch | Verb::Get) && shared.store().denied.contains(&plural) {
        let message = format!("{plural} is forbidden: User \"me\" cannot list resource \"{plural}\"");
        return refuse(403, "Forbidden", &message, None, None);
    }
    match shared.store().youth(&plural) {
        Some(Youth::Absent) => {
            return refuse(404, "NotFound", "the server could not find the requested resource", None, None);
        }
        Some(Youth::Initializing) => {
            let message = "storage is (re)initializing";
            return refuse(429, "TooManyRequests", message, Some(1), None);
        }
        None => {}
    }
    let fault = shared.store().take_fault(verb, &plural);
    let mut breaks = None;
    match fault {
        Some(What::Status { code, reason, retry_after, continues }) => {
            let token = parameter(&query, "continue");
            let token = shared.store().renewed_token(token.as_deref()).filter(|_| continues);
            return refuse(code, reason, "a scripted fault", retry_after, token);
        }
        Some(What::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(What::Text(text)) => {
            return ([(header::CONTENT_TYPE, "application/json")], text).into_response();
        }
        Some(What::ErrorEvent { code, reason }) => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "code": code, "reason": reason, "message": "a scripted fault"});
            return format!("{}\n", json!({"type": "ERROR", "object": status})).into_response();
        }
        Some(What::Disconnect { events }) => breaks = Some(events),
        None => {}
    }
    let Some(target) = target else { return discover(&shared, &path, &accept) };
    if (&*target.group, &*target.plural) == ("authorization.k8s.io", "subjectaccessreviews") {
        let body = shared.store().access_review(body);
        return (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body.to_string())
            .into_response();
    }
    let kind = shared.store().kind(&target.group, &target.version, &target.plural).without_objects();
    let Some(kind) = kind else {
        return refuse(404, "NotFound", "the server could not find the requested resource", None, None);
    };
    let method = parts.method;
    let result = match (verb, method.as_str()) {
        (Verb::Watch, _) => return watch(shared, &target, &query, breaks, epoch),
        (Verb::List, _) => {
            let response = list(&shared, &kind, &target, &query);
            return match (response, breaks) {
                (Ok(body), Some(_)) => broken(&body),
                (Ok(body), None) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
                (Err((code, reason, message)), _) => refuse(code, reason, &message, None, None),
            };
        }
        (Verb::Get, _) => shared
            .store()
            .get(&target.plural, &target.namespace, &target.name)
            .ok_or_else(|| (404, "NotFound", format!("{} \"{}\" not found", target.plural, target.name))),
        (_, method) => write(&shared, method, &content_type, &target, body),
    };
    shared.wake();
    match result {
        Ok(object) => {
            let code = if method == Method::POST { StatusCode::CREATED } else { StatusCode::OK };
            (code, [(header::CONTENT_TYPE, "application/json")], object.to_string()).into_response()
        }
        Err((code, reason, message)) => refuse(code, reason, &message, None, None),
    }
}

/// Whether the sender may do what it asks for.
fn authorize(
    shared: &Shared,
    method: &Method,
    verb: Verb,
    target: &Target,
    is_apply: bool,
    named: Option<&str>,
) -> Result<(), String> {
    let mut store = shared.store();
    let is_new = is_apply && store.get(&target.plural, &target.namespace, &target.name).is_none();
    let Some(rights) = &mut store.rights else { return Ok(()) };
    let verb = match (verb, method.as_str()) {
        (Verb::Watch, _) => "watch",
        (Verb::List, _) => "list",
        (Verb::Get, _) => "get",
        (_, "POST") => "create",
        (_, "PUT") => "update",
        (_, "PATCH") => "patch",
        (_, "DELETE") => "delete",
        (_, other) => other,
    };
    let part = if target.is_status { "/status" } else { "" };
    let resource = format!("{}{part}", target.plural);
    // A list of one object by its name is a list of that object.
    let name = named.unwrap_or(&target.name);
    let (group, namespace) = (&*target.group, &*target.namespace);
    rights.allow(&Wish { verb, group, resource: &resource, namespace, name })?;
    if is_new {
        // To apply what there is not is to create it, which cannot be allowed for one name.
        rights.allow(&Wish { verb: "create", group, resource: &resource, namespace, name: "" })?;
    }
    Ok(())
}

/// Whether the sender may keep the owners of an object from being deleted: what changes their finalizers may.
fn authorize_owners(shared: &Shared, object: &Value) -> Result<(), String> {
    let mut store = shared.store();
    let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for owner in owners.iter().filter(|owner| owner["blockOwnerDeletion"] == true) {
        let kind = store.kinds().find(|kind| owner["kind"] == *kind.name);
        let kind = kind.ok_or("there is no such owner")?;
        let (group, resource) = (kind.group.clone(), format!("{}/finalizers", kind.plural));
        let Some(rights) = &mut store.rights else { return Ok(()) };
        let name = owner["name"].as_str().unwrap_or_default();
        rights.allow(&Wish { verb: "update", group: &group, resource: &resource, namespace: "", name })?;
    }
    Ok(())
}

/// A kind without its objects.
trait WithoutObjects {
    fn without_objects(self) -> Option<BareKind>;
}

struct BareKind {
    api_version: String,
    kind: String,
    built_in: bool,
}

impl WithoutObjects for Option<&Kind> {
    fn without_objects(self) -> Option<BareKind> {
        let kind = self?;
        Some(BareKind {
            api_version: kind.api_version(),
            kind: kind.name.clone(),
            built_in: kind.is_built_in(),
        })
    }
}

fn refuse(
    code: u16,
    reason: &str,
    message: &str,
    retry_after: Option<u64>,
    token: Option<String>,
) -> Response {
    let mut metadata = json!({});
    if let Some(token) = token {
        metadata["continue"] = json!(token);
    }
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
        "code": code, "reason": reason, "message": message});
    let code = StatusCode::from_u16(code).expect("a status code");
    let mut response = (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Half of a body, and a connection that ends.
fn broken(body: &str) -> Response {
    let half = body.get(..body.len() / 2).unwrap_or_default().to_owned();
    let (sender, receiver) = mpsc::unbounded_channel();
    let _ = sender.send(Ok(half.into()));
    let _ = sender.send(Err(std::io::Error::other("a scripted fault")));
    Body::new(Stream(receiver)).into_response()
}

fn list(shared: &Shared, kind: &BareKind, target: &Target, query: &str) -> Result<String, Refusal> {
    let limit = parameter(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(0);
    let token = parameter(query, "continue");
    let Part { objects, version, next, left } =
        shared.store().list(&target.plural, &target.namespace, limit, token.as_deref())?;
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(next) = next {
        metadata["continue"] = json!(next);
        metadata["remainingItemCount"] = json!(left);
    }
    let named = selected(query);
    let items: Vec<String> = objects
        .iter()
        .filter(|object| named.as_deref().is_none_or(|name| object["metadata"]["name"] == *name))
        .map(|object| {
            if !kind.built_in {
                return object.to_string();
            }
            let mut object = (**object).clone();
            if let Some(fields) = object.as_object_mut() {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            object.to_string()
        })
        .collect();
    Ok(format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[{}]}}\n",
        kind.kind,
        kind.api_version,
        items.join(",")
    ))
}

fn write(
    shared: &Shared,
    method: &str,
    content_type: &str,
    target: &Target,
    body: Value,
) -> Result<Value, Refusal> {
    let mut store = shared.store();
    let id = (&*target.namespace, &*target.name);
    match method {
        "POST" => store.create(&target.plural, &target.namespace, body),
        "PUT" => store.update(&target.plural, id, target.is_status, |object| {
            *object = body;
            Ok(())
        }),
        "PATCH" => {
            let is_apply = content_type.starts_with(APPLY);
            if is_apply && store.get(&target.plural, id.0, id.1).is_none() {
                return store.create(&target.plural, &target.namespace, body);
            }
            store.update(&target.plural, id, target.is_status, |object| match content_type {
                "application/json-patch+json" => {
                    patch::json_patch(object, &body).map_err(|message| (422, "Invalid", message))
                }
                kind if kind.contains("merge-patch") || is_apply => {
                    patch::merge(object, &body);
                    Ok(())
                }
                other => Err((415, "UnsupportedMediaType", format!("cannot read {other}"))),
            })
        }
        "DELETE" => match store.delete(&target.plural, id.0, id.1) {
            Some(object) => Ok((*object).clone()),
            None => Err((404, "NotFound", format!("{} \"{}\" not found", target.plural, target.name))),
        },
        other => Err((405, "MethodNotAllowed", format!("cannot {other}"))),
    }
}

/// A body that is written bit by bit, and may break off.
struct Stream(mpsc::UnboundedReceiver<std::io::Result<Bytes>>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Events from a version on, as they happen.
fn watch(shared: Arc<Shared>, target: &Target, query: &str, breaks: Option<usize>, epoch: u64) -> Response {
    let from = parameter(query, "resourceVersion").and_then(|version| version.parse::<u64>().ok());
    let wants_bookmarks = parameter(query, "allowWatchBookmarks").is_some_and(|value| value == "true");
    let named = selected(query);
    let seconds = parameter(query, "timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
    let (mut at, oldest) = {
        let store = shared.store();
        (from.unwrap_or_else(|| store.version()), store.oldest)
    };
    if at < oldest {
        let message = "too old resource version";
        return refuse(410, "Expired", message, None, None);
    }
    let (plural, namespace) = (target.plural.clone(), target.namespace.clone());
    let (group, version) = (target.group.clone(), target.version.clone());
    let (sender, receiver) = mpsc::unbounded_channel::<std::io::Result<Bytes>>();
    tokio::spawn(async move {
        let mut changed = shared.changed.subscribe();
        let mut bookmarks = shared.store().bookmarks;
        let mut left = breaks;
        let end = tokio::time::sleep(Duration::from_secs(seconds));
        tokio::pin!(end);
        loop {
            let mut lines = Vec::new();
            {
                let store = shared.store();
                if store.watch_epoch != epoch {
                    return;
                }
                let Some(kind) = store.kind(&group, &version, &plural) else { return };
                for happening in kind.log.iter().filter(|happening| happening.version > at) {
                    let inside =
                        namespace.is_empty() || happening.object["metadata"]["namespace"] == *namespace;
                    let is_meant = |name: &str| happening.object["metadata"]["name"] == *name;
                    if inside && named.as_deref().is_none_or(is_meant) {
                        lines.push(json!({"type": happening.what, "object": *happening.object}));
                    }
                }
                at = at.max(kind.log.last().map_or(0, |happening| happening.version));
                if store.bookmarks != bookmarks {
                    bookmarks = store.bookmarks;
                    at = at.max(store.version());
                    if wants_bookmarks {
                        lines.push(json!({"type": "BOOKMARK", "object": {"kind": kind.name, "apiVersion": kind.api_version(),
                            "metadata": {"resourceVersion": store.version().to_string()}}}));
                    }
                }
            }
            for line in lines {
                if left == Some(0) {
                    break;
                }
                if sender.send(Ok(format!("{line}\n").into())).is_err() {
                    return;
                }
                left = left.map(|left| left - 1);
            }
            if left == Some(0) {
                let _ = sender.send(Ok("{\"type\":\"ADD".into()));
                let _ = sender.send(Err(std::io::Error::other("a scripted fault")));
                return;
            }
            tokio::select! {
                () = &mut end => return,
                () = sender.closed() => return,
                changed = changed.changed() => if changed.is_err() { return },
            }
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::new(Stream(receiver))).into_response()
}

fn discover(shared: &Shared, path: &str, accept: &str) -> Response {
    let store = shared.store();
    let groups: Vec<String> = {
        let mut groups: Vec<String> = store.kinds().map(|kind| kind.group.clone()).collect();
        let broken = store.broken_groups.iter().filter_map(|group| Some(group.split_once('/')?.0.to_owned()));
        groups.extend(broken);
        groups.sort();
        groups.dedup();
        groups
    };
    let versions = |group: &str| -> Vec<String> {
        let own = store.kinds().filter(|kind| kind.group == group).map(|kind| kind.version.clone());
        let broken = store.broken_groups.iter().filter_map(|name| {
            name.split_once('/').filter(|(name, _)| *name == group).map(|(_, version)| version.to_owned())
        });
        let mut versions: Vec<String> = own.chain(broken).collect();
        versions.sort();
        versions.dedup();
        versions
    };
    let verbs = json!(["create", "delete", "get", "list", "patch", "update", "watch"]);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let aggregated = store.aggregated && accept.contains("APIGroupDiscoveryList");
    let body = match parts.as_slice() {
        ["api" | "apis"] if aggregated => {
            let core = parts == ["api"];
            let items: Vec<Value> = groups
                .iter()
                .filter(|group| group.is_empty() == core)
                .map(|group| {
                    let versions: Vec<Value> = versions(group)
                        .into_iter()
                        .map(|version| {
                            let stale = store.broken_groups.contains(&format!("{group}/{version}"));
                            let resources: Vec<Value> = store
                                .kinds()
                                .filter(|kind| kind.group == *group && kind.version == version)
                                .map(|kind| {
                                    let scope = if kind.namespaced { "Namespaced" } else { "Cluster" };
                                    json!({"resource": kind.plural, "scope": scope, "verbs": verbs,
                                        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.name}})
                                })
                                .collect();
                            json!({"version": version, "freshness": if stale { "Stale" } else { "Current" }, "resources": resources})
                        })
                        .collect();
                    json!({"metadata": {"name": group}, "versions": versions})
                })
                .collect();
            json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
        }
        ["api"] => json!({"kind": "APIVersions", "versions": versions("")}),
        ["apis"] => {
            let groups: Vec<Value> = groups
                .iter()
                .filter(|group| !group.is_empty())
                .map(|group| {
                    let versions: Vec<Value> = versions(group)
                        .into_iter()
                        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
                        .collect();
                    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
                })
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", version] | ["apis", _, version] => {
            let group = if parts.len() == 2 { "" } else { parts.get(1).copied().unwrap_or_default() };
            if store.broken_groups.contains(&format!("{group}/{version}")) {
                drop(store);
                return refuse(
                    503,
                    "ServiceUnavailable",
                    "the server is currently unable to handle the request",
                    None,
                    None,
                );
            }
            let kinds = store.kinds().filter(|kind| kind.group == group && kind.version == *version);
            let mut resources: Vec<Value> = Vec::new();
            for kind in kinds {
                resources.push(json!({"name": kind.plural, "kind": kind.name, "namespaced": kind.namespaced, "verbs": verbs}));
                let status = format!("{}/status", kind.plural);
                resources.push(json!({"name": status, "kind": kind.name, "namespaced": kind.namespaced, "verbs": ["get", "patch"]}));
            }
            json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources})
        }
        ["version"] => json!({"major": "1", "minor": "37", "gitVersion": "v1.37.0"}),
        _ => {
            drop(store);
            return refuse(404, "NotFound", "the server could not find the requested resource", None, None);
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
