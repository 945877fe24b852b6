//! The custom resource definition that a template stands for: what constraints of its kind are for an API
//! server.

use serde_json::{Map, Value, json};

use super::{CONSTRAINT_GROUP, ConstraintTemplate};
use crate::schema::spec_schema;
use crate::value;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The definition, without owner. The template's schema is in it as it is written; whether it is structural
/// is for the compiler of schemas to say.
pub(super) fn crd(template: &ConstraintTemplate) -> Value {
    let document = template.document.value();
    let plural = template.kind.to_lowercase();
    let mut labels = Map::new();
    for (key, label) in
        value::entries(value::get_path(document, &["metadata", "labels"]).unwrap_or(&value::Value::NULL))
    {
        labels.insert(key.to_owned(), value::to_json(label));
    }
    labels.insert("gatekeeper.sh/constraint".to_owned(), json!("yes"));
    let mut names = json!({
        "kind": &*template.kind,
        "listKind": format!("{}List", template.kind),
        "plural": plural,
        "singular": plural,
        "categories": ["constraint", "constraints"],
    });
    let short =
        value::get_path(document, &["spec", "crd", "spec", "names", "shortNames"]).map(value::to_json);
    if let (Some(short @ Value::Array(_)), Some(names)) = (short, names.as_object_mut()) {
        names.insert("shortNames".to_owned(), short);
    }
    let version = |name: &str, storage: bool| {
        json!({
            "name": name,
            "served": true,
            "storage": storage,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [
                {"name": "enforcement-action", "type": "string", "jsonPath": ".spec.enforcementAction"},
                {"name": "total-violations", "type": "integer", "jsonPath": ".status.totalViolations"},
            ],
            "schema": {"openAPIV3Schema": schema(template)},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{CONSTRAINT_GROUP}"), "labels": labels},
        "spec": {
            "group": CONSTRAINT_GROUP,
            "names": names,
            "scope": "Cluster",
            "versions": [version("v1beta1", true), version("v1alpha1", false)],
        },
    })
}

fn schema(template: &ConstraintTemplate) -> Value {
    // A test reads it.
    let mut spec: Value = serde_json::from_str(&spec_schema()).unwrap_or_default();
    let parameters = match (&template.schema, template.legacy_schema) {
        (Some(text), legacy) if text.value != value::Value::NULL => {
            let mut schema = value::to_json(&text.value);
            if legacy {
                preserve(&mut schema);
            }
            Some(schema)
        }
        (_, true) => Some(json!({PRESERVE: true})),
        (_, false) => None,
    };
    let properties = spec.get_mut("properties").and_then(Value::as_object_mut);
    if let (Some(parameters), Some(properties)) = (parameters, properties) {
        properties.insert("parameters".to_owned(), parameters);
    }
    json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}},
            "spec": spec,
            "status": {"type": "object", PRESERVE: true},
        },
    })
}

/// What `legacySchema` asks for: objects and what has no type keep unknown fields, lists may hold anything.
/// Recursion is as deep as the document is nested, which its reader bounds.
fn preserve(schema: &mut Value) {
    // As it is decoded: a schema that says nothing.
    if schema.is_null() {
        *schema = json!({});
    }
    let Some(fields) = schema.as_object_mut() else { return };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if matches!(&*kind, "object" | "") {
        fields.insert(PRESERVE.to_owned(), json!(true));
    }
    if kind == "array" {
        let items = fields.entry("items").or_insert_with(|| json!({}));
        // What is not a schema is ignored.
        if !items.is_object() && !items.is_array() {
            *items = json!({});
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(key).filter(|inner| !inner.is_null()) {
            preserve(inner);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        for inner in properties.values_mut() {
            preserve(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::Resource;
    use crate::document::Document;

    fn crd(version: &str, validation: &Value) -> Value {
        let template = json!({
            "apiVersion": format!("templates.gatekeeper.sh/{version}"), "kind": "ConstraintTemplate",
            "metadata": {"name": "noroot", "labels": {"team": "a"}},
            "spec": {
                "crd": {"spec": {"names": {"kind": "NoRoot", "shortNames": ["nr"]}, "validation": validation}},
                "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": "package p\nviolation[{\"msg\": \"no\"}] { true }"}],
            },
        });
        let (documents, _) = Document::read_all("t.json", &template.to_string());
        match Resource::read(&documents[0]) {
            (Some(Resource::Template(template)), _) => template.crd(),
            other => panic!("expected a template, found {other:?}"),
        }
    }

    fn parameters(crd: &Value) -> Option<&Value> {
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/parameters")
    }

    #[test]
    fn a_template_stands_for_a_cluster_scoped_kind() {
        let schema = json!({"type": "object", "properties": {"max": {"type": "integer"}}});
        let crd = crd("v1", &json!({"openAPIV3Schema": schema}));
        assert_eq!(crd["metadata"]["name"], "noroot.constraints.gatekeeper.sh");
        assert_eq!(crd["metadata"]["labels"], json!({"team": "a", "gatekeeper.sh/constraint": "yes"}));
        assert_eq!(crd["spec"]["names"]["listKind"], "NoRootList");
        assert_eq!(crd["spec"]["names"]["shortNames"], json!(["nr"]));
        let versions: Vec<_> =
            crd["spec"]["versions"].as_array().unwrap().iter().map(|v| (&v["name"], &v["storage"])).collect();
        assert_eq!(versions, [(&json!("v1beta1"), &json!(true)), (&json!("v1alpha1"), &json!(false))]);
        assert_eq!(parameters(&crd), Some(&schema));
        let of_match = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/match/properties");
        assert!(of_match.unwrap().as_object().unwrap().contains_key("namespaceSelector"));
    }

    #[test]
    fn parameters_without_a_schema_are_none_or_any() {
        assert_eq!(parameters(&crd("v1", &Value::Null)), None);
        let any = json!({"x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(parameters(&crd("v1beta1", &Value::Null)), Some(&any));
        let legacy = json!({"legacySchema": true, "openAPIV3Schema": {"properties": {
            "list": {"type": "array"}, "name": {"type": "string"}, "map": {"type": "object", "additionalProperties": {"type": "object"}},
        }}});
        let expected = json!({"x-kubernetes-preserve-unknown-fields": true, "properties": {
            "list": {"type": "array", "items": any}, "name": {"type": "string"},
            "map": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        }});
        assert_eq!(parameters(&crd("v1", &legacy)), Some(&expected));
    }
}
