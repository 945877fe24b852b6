//! The names of expressions: their types when they are compiled, and their values when they are evaluated.

use std::sync::Arc;

use portcullis_cel::{AccessResource, AccessUser, CelValue, Environment, Map, Rights, Type};

use super::VARIABLES;
use crate::value::{self, Value};

/// What expressions may name; the fields of `variables` are still to come.
pub(super) fn environment() -> Environment {
    with_variables(environment_without_variables())
}

/// The same with variables.
pub(super) fn with_variables(environment: Environment) -> Environment {
    environment.with_variable("variables", Type::object(VARIABLES))
}

/// What expressions may name of which there are no variables.
pub(super) fn environment_without_variables() -> Environment {
    let texts = || Type::map(Type::String, Type::String);
    let group = |kind| [("group", Type::String), ("version", Type::String), (kind, Type::String)];
    Environment::default()
        .with_object("kubernetes.GroupVersionKind", group("kind"))
        .with_object("kubernetes.GroupVersionResource", group("resource"))
        .with_object(
            "kubernetes.UserInfo",
            [
                ("username", Type::String),
                ("uid", Type::String),
                ("groups", Type::list(Type::String)),
                ("extra", Type::map(Type::String, Type::list(Type::String))),
            ],
        )
        .with_object(
            "kubernetes.AdmissionRequest",
            [
                ("kind", Type::object("kubernetes.GroupVersionKind")),
                ("resource", Type::object("kubernetes.GroupVersionResource")),
                ("subResource", Type::String),
                ("requestKind", Type::object("kubernetes.GroupVersionKind")),
                ("requestResource", Type::object("kubernetes.GroupVersionResource")),
                ("requestSubResource", Type::String),
                ("name", Type::String),
                ("namespace", Type::String),
                ("operation", Type::String),
                ("userInfo", Type::object("kubernetes.UserInfo")),
                ("dryRun", Type::Bool),
                ("options", Type::Dyn),
            ],
        )
        .with_object(
            "kubernetes.NamespaceMetadata",
            [
                ("name", Type::String),
                ("generateName", Type::String),
                ("namespace", Type::String),
                ("labels", texts()),
                ("annotations", texts()),
                ("UID", Type::String),
                ("creationTimestamp", Type::Timestamp),
                ("deletionGracePeriodSeconds", Type::Int),
                ("deletionTimestamp", Type::Timestamp),
                ("generation", Type::Int),
                ("resourceVersion", Type::String),
                ("finalizers", Type::list(Type::String)),
            ],
        )
        .with_object("kubernetes.NamespaceSpec", [("finalizers", Type::list(Type::String))])
        .with_object(
            "kubernetes.NamespaceCondition",
            [
                ("status", Type::String),
                ("type", Type::String),
                ("lastTransitionTime", Type::Timestamp),
                ("message", Type::String),
                ("reason", Type::String),
            ],
        )
        .with_object(
            "kubernetes.NamespaceStatus",
            [
                ("conditions", Type::list(Type::object("kubernetes.NamespaceCondition"))),
                ("phase", Type::String),
            ],
        )
        .with_object(
            "kubernetes.Namespace",
            [
                ("metadata", Type::object("kubernetes.NamespaceMetadata")),
                ("status", Type::object("kubernetes.NamespaceStatus")),
                ("spec", Type::object("kubernetes.NamespaceSpec")),
            ],
        )
        .with_variable("object", Type::Dyn)
        .with_variable("oldObject", Type::Dyn)
        .with_variable("request", Type::object("kubernetes.AdmissionRequest"))
        .with_variable("namespaceObject", Type::object("kubernetes.Namespace"))
}

/// What an admission policy may ask about rights, and about those on what is requested.
pub(super) const AUTHORIZER: &str = "authorizer";
pub(super) const REQUEST_RESOURCE: &str = "authorizer.requestResource";
pub(super) const AUTHORIZER_TYPE: &str = "kubernetes.authorization.Authorizer";
pub(super) const RESOURCE_CHECK_TYPE: &str = "kubernetes.authorization.ResourceCheck";

/// What expressions see.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) object: CelValue,
    pub(super) old_object: CelValue,
    pub(super) request: CelValue,
    pub(super) namespace: CelValue,
    pub(super) constraint: CelValue,
}

impl Seen {
    pub(super) fn of(review: &Value, constraint: &Value) -> Self {
        let get = |key: &str| value::get(review, key).cloned();
        let is_delete = get("operation").as_ref().and_then(value::as_str) == Some("DELETE");
        let object = if is_delete { None } else { get("object") };
        let or_null = |value: Option<Value>| CelValue::from(value.unwrap_or(Value::NULL));
        Self {
            object: or_null(object),
            old_object: or_null(get("oldObject")),
            request: CelValue::Map(Map::Input(request(get))),
            namespace: or_null(get("namespaceObject").map(|namespace| shown_of_namespace(&namespace))),
            constraint: CelValue::from(constraint.clone()),
        }
    }
}

impl Seen {
    /// What expressions of an admission policy see, whose request says by itself what it is of.
    pub(super) fn of_policy(review: &Value, object: Value, old_object: Value, params: Value) -> Self {
        let namespace = value::get(review, "namespaceObject");
        Self {
            object: CelValue::from(object),
            old_object: CelValue::from(old_object),
            request: CelValue::Map(Map::Input(review.clone())),
            namespace: CelValue::from(namespace.map_or(Value::NULL, shown_of_namespace)),
            constraint: CelValue::from(params),
        }
    }
}

impl Seen {
    /// What the user of the request may do.
    pub(super) fn authorizer(&self) -> Rights {
        Rights::Authorizer(Arc::new(self.user()))
    }

    /// What that user may do with what is requested.
    pub(super) fn request_resource(&self) -> Rights {
        let text = |path: &[&str]| Arc::from(self.request_text(path));
        let resource = AccessResource {
            group: text(&["resource", "group"]),
            resource: text(&["resource", "resource"]),
            subresource: text(&["subResource"]),
            namespace: text(&["namespace"]),
            name: text(&["name"]),
            ..AccessResource::default()
        };
        Rights::Resource(Arc::new(self.user()), Arc::new(resource))
    }

    fn request(&self) -> &Value {
        match &self.request {
            CelValue::Map(Map::Input(request)) => request,
            _ => &Value::NULL,
        }
    }

    fn request_text(&self, path: &[&str]) -> &str {
        value::str_at(self.request(), path).unwrap_or_default()
    }

    fn user(&self) -> AccessUser {
        let text = |key: &str| Arc::from(self.request_text(&["userInfo", key]));
        let texts = |list: &Value| -> Vec<Arc<str>> {
            value::items(list).filter_map(|item| item.as_str().map(Arc::from)).collect()
        };
        let part = |key: &str| value::get_path(self.request(), &["userInfo", key]);
        let extra = part("extra").into_iter().flat_map(value::entries);
        AccessUser {
            name: text("username"),
            uid: text("uid"),
            groups: part("groups").map(texts).unwrap_or_default(),
            extra: extra.map(|(key, values)| (key.into(), texts(values))).collect(),
        }
    }
}

/// The request as the API server gives it to expressions: texts that are empty are not there.
fn request(get: impl Fn(&str) -> Option<Value>) -> Value {
    let given = |key: &str| get(key).filter(|value| !value.is_null());
    let is_text = |value: &Value| value::as_str(value) != Some("");
    let all_of = |key: &str, names: [&str; 3]| {
        let whole = given(key);
        value::object(names.map(|name| {
            let part = whole.as_ref().and_then(|whole| value::get(whole, name)).cloned();
            (name, part.filter(|part| !part.is_null()).unwrap_or_else(|| Value::from("")))
        }))
    };
    let kind = all_of("kind", ["group", "version", "kind"]);
    let resource = all_of("resource", ["group", "version", "resource"]);
    let user = given("userInfo").unwrap_or_else(Value::new_object);
    let user = value::object(value::entries(&user).filter_map(|(key, part)| {
        let is_known = ["username", "uid", "groups", "extra"].contains(&key);
        let is_there = is_text(part) && !part.is_null() && part.count() != Some(0);
        (is_known && is_there).then(|| (key, part.clone()))
    }));
    let sub_resource = given("subResource").filter(is_text);
    let mut entries = vec![
        ("kind", kind.clone()),
        ("requestKind", kind),
        ("resource", resource.clone()),
        ("requestResource", resource),
        ("operation", given("operation").unwrap_or_else(|| Value::from(""))),
        ("userInfo", user),
        ("dryRun", given("dryRun").unwrap_or_else(|| Value::from(false))),
        ("options", given("options").unwrap_or(Value::NULL)),
    ];
    entries.extend(sub_resource.iter().map(|name| ("subResource", name.clone())));
    entries.extend(sub_resource.iter().map(|name| ("requestSubResource", name.clone())));
    for key in ["name", "namespace"] {
        entries.extend(given(key).filter(is_text).map(|value| (key, value)));
    }
    value::object(entries)
}

/// The parts of a Namespace that expressions see.
fn shown_of_namespace(namespace: &Value) -> Value {
    const METADATA: &[&str] = &[
        "name",
        "generateName",
        "labels",
        "annotations",
        "uid",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "resourceVersion",
        "finalizers",
    ];
    if namespace.is_null() {
        return Value::NULL;
    }
    let parts = value::entries(namespace).filter_map(|(key, part)| match key {
        "metadata" => {
            let fields = value::entries(part).filter(|(key, _)| METADATA.contains(key));
            Some((key, value::object(fields.map(|(key, field)| (key, field.clone())))))
        }
        "spec" | "status" => Some((key, part.clone())),
        _ => None,
    });
    let parts: Vec<(&str, Value)> = parts.collect();
    // These are always there.
    let empty =
        ["metadata", "spec", "status"].into_iter().filter(|key| !parts.iter().any(|(has, _)| has == key));
    let empty: Vec<(&str, Value)> = empty.map(|key| (key, Value::new_object())).collect();
    value::object(parts.into_iter().chain(empty))
}
