//! Small builders for tests in code: each gives a document that is complete, with as little in it as can be.

use portcullis::{Document, Object, PolicySet, Resource, Review};
use serde_json::{Value, json};

/// A template of a kind, with the Rego (v0) after its package line and any parameters.
pub fn template(kind: &str, rego: &str) -> Value {
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {
            "crd": {"spec": {
                "names": {"kind": kind},
                "validation": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "rego": format!("package {}\n\n{rego}\n", kind.to_lowercase()),
            }],
        },
    })
}

/// The Rego of a template whose constraints are violated by whatever they apply to.
pub const ALWAYS: &str = r#"violation[{"msg": "matched"}] { true }"#;

/// A constraint with a `spec`.
pub fn constraint(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// A Pod with one container.
pub fn pod(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })
}

/// A Namespace with labels.
pub fn namespace(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A document of a value, named after its kind and name.
pub fn document(value: &Value) -> Document {
    let name = format!("{}-{}.json", value["kind"], value["metadata"]["name"]).replace('"', "");
    let (documents, errors) = Document::read_all(&name, &value.to_string());
    assert!(errors.is_empty(), "{errors:?}");
    documents.into_iter().next().unwrap_or_else(|| panic!("{name} has no document"))
}

/// A policy resource that is read without problems.
pub fn resource(value: &Value) -> Resource {
    let (resource, errors) = Resource::read(&document(value));
    assert!(errors.is_empty(), "{errors:?}");
    resource.unwrap_or_else(|| panic!("{value} is no resource"))
}

/// An object without a document.
pub fn object(value: &Value) -> Object {
    Object::from_json(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// A review of an object without a document.
pub fn review(value: &Value) -> Review {
    Review::from_object(object(value))
}

/// Policies that compile without problems.
pub fn policies(values: &[Value]) -> PolicySet {
    let (policies, errors) = PolicySet::compile(values.iter().map(document));
    assert!(errors.is_empty(), "{errors:?}");
    policies
}
