//! The custom resource definitions of Gatekeeper's kinds that are read: what an API server has to have before
//! policies can be applied.
//!
//! Their schemas say what is read and keep what is free: parameter schemas, programs of other engines,
//! status. They refuse only what no list can hold twice; what is wrong with a policy is said by the webhook,
//! which knows better hints.

use portcullis::{MutatorKind, PolicyException};
use serde_json::{Value, json};

/// Those of ConstraintTemplate, Config, SyncSet, ExpansionTemplate, Provider and the kinds of mutators, which Gatekeeper
/// brings where it is installed, and of our own PolicyException, which it does not know.
#[must_use]
pub fn own_crds() -> Vec<Value> {
    let mutators = MutatorKind::ALL.iter().copied().map(mutators);
    let others = [templates(), configs(), sync_sets(), expansion_templates(), providers(), exceptions()];
    others.into_iter().chain(mutators).collect()
}

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

fn free(description: &str) -> Value {
    json!({"type": "object", "description": description, PRESERVE: true})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn texts(description: &str) -> Value {
    json!({"type": "array", "description": description, "items": {"type": "string"}})
}

fn object(description: &str, properties: Value) -> Value {
    json!({"type": "object", "description": description, "properties": properties})
}

fn list(description: &str, items: Value) -> Value {
    json!({"type": "array", "description": description, "items": items})
}

/// What every object has, and its `spec` and `status`.
fn root(description: &str, spec: Value) -> Value {
    object(
        description,
        json!({
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": free("What the programs that serve it made of it."),
        }),
    )
}

struct Version {
    name: &'static str,
    schema: Value,
}

fn definition(group: &str, kind: &str, plural: &str, scope: &str, versions: Vec<Version>) -> Value {
    let versions: Vec<Value> = versions
        .into_iter()
        .enumerate()
        .map(|(number, version)| {
            json!({
                "name": version.name,
                "served": true,
                // The first is the newest.
                "storage": number == 0,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": version.schema},
            })
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}"), "labels": {"app.kubernetes.io/name": "portcullis"}},
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
            },
            "scope": scope,
            "versions": versions,
        },
    })
}

fn templates() -> Value {
    // The versions differ in what a template means that does not say `legacySchema`. It is written down when
    // one is created, so that it means the same when it is read in another version.
    let version = |name: &'static str, legacy: bool| Version { name, schema: template(legacy) };
    definition(
        "templates.gatekeeper.sh",
        "ConstraintTemplate",
        "constrainttemplates",
        "Cluster",
        vec![version("v1", false), version("v1beta1", true), version("v1alpha1", true)],
    )
}

fn template(legacy: bool) -> Value {
    let names = object(
        "How the kind of the constraints is called.",
        json!({
            "kind": text("The kind. The template has the same name, in lower case."),
            "shortNames": texts("Shorter names for kubectl."),
            "listKind": text("Not read: it follows from the kind."),
            "plural": text("Not read: it follows from the kind."),
            "singular": text("Not read: it follows from the kind."),
            "categories": texts("Not read: all constraints are in the same ones."),
        }),
    );
    let mut validation = object(
        "What the parameters of constraints may be.",
        json!({
            "openAPIV3Schema": free("The schema of `spec.parameters`."),
            "legacySchema": {
                "type": "boolean",
                "description": "Whether the schema may leave types out; then what it does not name is kept.",
                "default": legacy,
            },
        }),
    );
    if legacy && let Some(validation) = validation.as_object_mut() {
        validation.insert("default".to_owned(), json!({}));
    }
    let crd = object(
        "The kind that the template defines.",
        json!({"spec": object("As in a CustomResourceDefinition.", json!({"names": names, "validation": validation}))}),
    );
    let mut code = list(
        "Programs for several engines, one for each.",
        object(
            "A program.",
            json!({
                "engine": text("The engine. `Rego` is evaluated here."),
                "source": free("The program, as the engine has it: for Rego `rego`, `libs` and `version`."),
            }),
        ),
    );
    if let Some(code) = code.as_object_mut() {
        code.insert("x-kubernetes-list-type".to_owned(), json!("map"));
        code.insert("x-kubernetes-list-map-keys".to_owned(), json!(["engine"]));
        if let Some(items) = code.get_mut("items").and_then(Value::as_object_mut) {
            items.insert("required".to_owned(), json!(["engine"]));
        }
    }
    let mut operations = texts("The operations for which the webhook asks it; all if there are none.");
    if let Some(items) = operations.pointer_mut("/items").and_then(Value::as_object_mut) {
        items.insert("enum".to_owned(), json!(["*", "CREATE", "UPDATE", "DELETE", "CONNECT"]));
    }
    let target = object(
        "Where it is evaluated, and by what.",
        json!({
            "target": text("The only one there is: `admission.k8s.gatekeeper.sh`."),
            "rego": text("A program in Rego of before 1.0. It counts more than `code`."),
            "libs": texts("Libraries of that program."),
            "code": code,
            "operations": operations,
        }),
    );
    let spec = object(
        "The kind of the constraints, and the program behind it.",
        json!({"crd": crd, "targets": list("Exactly one.", target)}),
    );
    root("Defines a kind of constraint and the program that judges objects by it.", spec)
}

/// A kind that is kept to compare objects with.
fn kept() -> Value {
    object(
        "A kind.",
        json!({
            "group": text("Its API group; none for the core group."),
            "version": text("A version of it."),
            "kind": text("Its name."),
        }),
    )
}

fn configs() -> Value {
    let namespaces = json!({
        "type": "array",
        "description": "Names of namespaces; `*` at either end stands for any text.",
        "items": {"type": "string", "pattern": r"^\*?[-:a-z0-9]*\*?$"},
    });
    let rule = object(
        "Namespaces that some processes leave alone.",
        json!({
            "excludedNamespaces": namespaces,
            "processes": texts("`audit`, `webhook`, `sync`, `mutation-webhook`, or `*` for all."),
        }),
    );
    let spec = object(
        "Which namespaces are left alone, and which kinds are kept.",
        json!({
            "match": list("Namespaces to leave alone.", rule),
            "sync": object(
                "What is kept.",
                json!({"syncOnly": list("Kinds that policies may compare objects with.", kept())}),
            ),
            "validation": free("Gatekeeper's tracing; not read."),
            "readiness": free("Gatekeeper's statistics; not read."),
        }),
    );
    let schema =
        root("Settings for all policies. One counts: `config`, in the namespace of the programs.", spec);
    definition(
        "config.gatekeeper.sh",
        "Config",
        "configs",
        "Namespaced",
        vec![Version { name: "v1alpha1", schema }],
    )
}

fn sync_sets() -> Value {
    let spec = object(
        "What is kept.",
        json!({"gvks": list("Kinds that policies may compare objects with.", kept())}),
    );
    let schema = root("Kinds that are kept, so that policies may compare objects with them.", spec);
    definition(
        "syncset.gatekeeper.sh",
        "SyncSet",
        "syncsets",
        "Cluster",
        vec![Version { name: "v1alpha1", schema }],
    )
}

fn providers() -> Value {
    let spec = object(
        "Whom policies and mutators ask, and how.",
        json!({
            "url": text("Where it is: `https://…`."),
            "timeout": {"type": "integer", "description": "How many seconds an answer may take; without it, none comes in time."},
            "caBundle": text("Who signed its certificate: PEM, in base64."),
        }),
    );
    let schema = root("Somebody outside of the cluster who is asked for external data.", spec);
    let version = |name| Version { name, schema: schema.clone() };
    definition(
        "externaldata.gatekeeper.sh",
        "Provider",
        "providers",
        "Cluster",
        vec![version("v1beta1"), version("v1alpha1")],
    )
}

/// Has objects keep the fields that they do not name, to the bottom. An API server drops others before any webhook sees them: without a
/// field that is misspelt, an exception would be about more objects, or for longer, than somebody wrote.
fn keep_unknown(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(keep_unknown);
        fields.insert(PRESERVE.to_owned(), json!(true));
    }
    if let Some(items) = fields.get_mut("items") {
        keep_unknown(items);
    }
}

/// Of our own kind, of which nobody but us says what is wrong.
fn exceptions() -> Value {
    let mut matching = PolicyException::match_schema();
    if let Some(matching) = matching.as_object_mut() {
        let description = "Which objects are excepted, as in constraints; `{}` means all.";
        matching.insert("description".to_owned(), json!(description));
    }
    let mut spec = object(
        "What does not count, of which objects, why, and until when.",
        json!({
            "constraints": {
                "type": "array",
                "description": "Constraints, as `Kind/name`.",
                "items": {"type": "string", "pattern": "^[^/]+/.+$"},
            },
            "templates": texts("Kinds of constraints, of which all are meant."),
            "match": matching,
            "reason": {
                "type": "string",
                "description": "Why this is let pass.",
                "minLength": 1,
                "pattern": r"\S",
            },
            "owner": text("Who answers for it."),
            "expiresAt": {
                "type": "string",
                "description": "When it ends: a moment such as `2027-03-31T00:00:00Z`, or a date, which means its beginning in UTC.",
                "pattern": r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].+)?$",
            },
        }),
    );
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("required".to_owned(), json!(["match", "reason"]));
        spec.insert("anyOf".to_owned(), json!([{"required": ["constraints"]}, {"required": ["templates"]}]));
    }
    keep_unknown(&mut spec);
    let mut schema = root("Lets what constraints find in some objects pass, for a reason.", spec);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("required".to_owned(), json!(["spec"]));
    }
    let mut definition = definition(
        PolicyException::GROUP,
        PolicyException::KIND,
        "policyexceptions",
        "Cluster",
        vec![Version { name: "v1alpha1", schema }],
    );
    let column = |name: &str| json!({"name": name, "type": "string", "jsonPath": format!(".spec.{name}")});
    let columns = ["owner", "expiresAt", "reason"].map(column);
    if let Some(Value::Object(version)) = definition.pointer_mut("/spec/versions/0") {
        version.insert("additionalPrinterColumns".to_owned(), json!(columns));
    }
    definition
}

/// What something applies to: each name exactly.
fn applies_to(more: Option<(&str, Value)>) -> Value {
    let mut entry = object(
        "Kinds, of which each has one of the groups, versions and names.",
        json!({
            "groups": texts("API groups, empty for the core group."),
            "versions": texts("Versions."),
            "kinds": texts("Kinds."),
        }),
    );
    if let (Some((name, schema)), Some(properties)) =
        (more, entry.get_mut("properties").and_then(Value::as_object_mut))
    {
        properties.insert(name.to_owned(), schema);
    }
    list("What it applies to. Names are exact; `*` is none.", entry)
}

fn expansion_templates() -> Value {
    let generated = object(
        "What is generated.",
        json!({
            "group": text("Its API group; none for the core group."),
            "version": text("Its version."),
            "kind": text("Its kind."),
        }),
    );
    let spec = object(
        "Which part of an object becomes another one.",
        json!({
            "applyTo": applies_to(None),
            "templateSource": text("The part that becomes an object: keys with dots between."),
            "generatedGVK": generated,
            "enforcementAction": text("Instead of what constraints say: `deny`, `warn` or `dryrun`."),
        }),
    );
    let schema = root("What controllers will make of objects, which are judged by it as well.", spec);
    let version = |name: &'static str| Version { name, schema: schema.clone() };
    definition(
        "expansion.gatekeeper.sh",
        "ExpansionTemplate",
        "expansiontemplate",
        "Cluster",
        vec![version("v1beta1"), version("v1alpha1")],
    )
}

fn mutators(kind: MutatorKind) -> Value {
    let (does, versions): (_, &[&'static str]) = match kind {
        MutatorKind::Assign => ("Sets a field of objects.", &["v1", "v1beta1", "v1alpha1"]),
        MutatorKind::AssignImage => ("Sets parts of the name of an image.", &["v1alpha1"]),
        MutatorKind::AssignMetadata => {
            ("Adds a label or an annotation to objects.", &["v1", "v1beta1", "v1alpha1"])
        }
        MutatorKind::ModifySet => {
            ("Adds elements to a list of objects, or takes some away.", &["v1", "v1beta1", "v1alpha1"])
        }
    };
    let mut spec = object(
        "What is changed, and how.",
        json!({
            "match": free("Which objects it applies to, as of constraints."),
            "location": text("The field, such as `spec.containers[name: *].image`."),
            "parameters": free("What it becomes."),
        }),
    );
    let operations = texts("`CREATE`, `UPDATE`, or `*` for both, as if nothing is said.");
    if let Some(properties) = spec.get_mut("properties").and_then(Value::as_object_mut)
        && kind != MutatorKind::AssignMetadata
    {
        properties.insert("applyTo".to_owned(), applies_to(Some(("operations", operations))));
    }
    let schema = root(does, spec);
    let version = |name: &&'static str| Version { name, schema: schema.clone() };
    let plural = kind.as_str().to_lowercase();
    let versions = versions.iter().map(version).collect();
    definition("mutations.gatekeeper.sh", kind.as_str(), &plural, "Cluster", versions)
}
