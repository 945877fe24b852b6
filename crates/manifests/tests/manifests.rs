//! What is made is what an API server takes, and keeps what policies mean.

use std::path::{Path, PathBuf};

use portcullis::{Document, ExpansionSet, Kinds, MutatorSet, PolicySet, Resource};
use portcullis_manifests::{Manifests, Options, own_crds, to_yaml};
use serde_json::{Value, json};

fn read(text: &str) -> Vec<Value> {
    let (documents, errors) = Document::read_all("made.yaml", text);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    documents.iter().map(Document::to_json).collect()
}

/// Texts that YAML readers take for something else are quoted.
#[test]
fn yaml_means_what_it_was_made_of() {
    let texts = [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "null",
        "~",
        "",
        "true",
        "0644",
        "1e3",
        "1_000",
        "12:30:45",
        "0x1f",
        "*",
        "&a",
        "!x",
        "- a",
        "a: b",
        "a #b",
        "#",
        "---",
        "...",
        "? a",
        "| a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "a\nb",
        "a\n",
        " a",
        "a ",
        "\t",
        "é",
        "2001-01-01",
        ".inf",
        "=",
        "<<",
        "'",
        "\"",
        "\\",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
    ];
    let map: serde_json::Map<String, Value> = texts
        .iter()
        .map(|text| ((*text).to_owned(), json!(text)))
        .filter(|(key, _)| !key.is_empty())
        .collect();
    let value = json!({"texts": texts.to_vec(), "map": map, "number": 1, "flag": true, "none": null, "empty": {}, "list": []});
    assert_eq!(read(&to_yaml([&value, &value]).unwrap()), [value.clone(), value]);
}

#[test]
fn schemas_are_structural() {
    fn check(schema: &Value, path: &str) {
        let fields = schema.as_object().unwrap();
        let preserves = fields.contains_key("x-kubernetes-preserve-unknown-fields");
        assert!(fields.get("type").is_some_and(Value::is_string), "{path} has no type");
        match fields["type"].as_str().unwrap() {
            "object" => assert!(
                ["properties", "additionalProperties"].iter().any(|key| fields.contains_key(*key))
                    || preserves
                    || path.ends_with(".metadata"),
                "{path} would lose all that is in it"
            ),
            "array" => check(&fields["items"], &format!("{path}[]")),
            _ => {}
        }
        for (name, inner) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
            check(inner, &format!("{path}.{name}"));
        }
    }
    for crd in own_crds() {
        let versions = crd["spec"]["versions"].as_array().unwrap();
        assert_eq!(versions.iter().filter(|version| version["storage"] == true).count(), 1);
        for version in versions {
            assert_eq!(version["subresources"], json!({"status": {}}));
            let schema = &version["schema"]["openAPIV3Schema"];
            check(schema, crd["metadata"]["name"].as_str().unwrap());
            assert_eq!(schema["properties"]["status"]["x-kubernetes-preserve-unknown-fields"], true);
        }
    }
}

/// What an API server keeps of a value: what its schema names.
fn pruned(value: &Value, schema: &Value) -> Value {
    match value {
        Value::Object(fields) if schema["x-kubernetes-preserve-unknown-fields"] != true => {
            let known = schema["properties"].as_object();
            let kept = fields.iter().filter_map(|(key, value)| {
                let inner = known?.get(key)?;
                Some((key.clone(), pruned(value, inner)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.iter().map(|item| pruned(item, &schema["items"])).collect(),
        other => other.clone(),
    }
}

fn manifests_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            manifests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

/// Everything in the project's test data and policies that is a policy keeps its meaning, in the version that
/// it is written in.
#[test]
fn nothing_that_policies_mean_is_pruned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for directory in ["policies", "testdata"] {
        manifests_below(&root.join(directory), &mut files);
    }
    if let Some(library) = std::env::var_os("PORTCULLIS_GATEKEEPER_LIBRARY") {
        manifests_below(Path::new(&library), &mut files);
    }
    let crds = own_crds();
    let schema = |document: &Value| -> Option<&Value> {
        let (group, version) = document["apiVersion"].as_str()?.split_once('/')?;
        let crd = crds
            .iter()
            .find(|crd| crd["spec"]["group"] == group && crd["spec"]["names"]["kind"] == document["kind"])?;
        let mut versions = crd["spec"]["versions"].as_array()?.iter();
        Some(&versions.find(|found| found["name"] == version)?["schema"]["openAPIV3Schema"])
    };
    let mut checked = 0;
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for document in Document::read_all(&file.display().to_string(), &text).0 {
            let (resource, errors) = Resource::read(&document);
            // Unknown fields are reported, and dropped.
            let is_used = matches!(
                resource,
                Some(
                    Resource::Template(_)
                        | Resource::Config(_)
                        | Resource::SyncSet(_)
                        | Resource::Exception(_)
                )
            );
            let is_lossy = errors.iter().any(|error| error.kind() == portcullis::ErrorKind::UnknownField);
            if !is_used || is_lossy {
                continue;
            }
            let whole = document.to_json();
            let Some(schema) = schema(&whole) else { panic!("{whole} has no schema") };
            assert_eq!(
                pruned(&whole["spec"], &schema["properties"]["spec"]),
                whole["spec"],
                "{}",
                file.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} were found");
}

/// A field that is misspelt makes an exception wider, or lets it last for longer. It has to come as far as the webhook, which refuses it.
#[test]
fn what_is_misspelt_in_an_exception_is_not_pruned() {
    let crds = own_crds();
    let crd = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == "PolicyException").unwrap();
    assert_eq!(crd["metadata"]["name"], "policyexceptions.policy.portcullis.dev");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let spec = json!({
        "constraints": ["A/a"], "templates": ["B"], "reason": "r", "owner": "o", "expiresAt": "2027-03-31",
        "expires": "2027-03-31",
        "match": {"namespace": ["shop"], "name": "a-*", "kinds": [{"apiGroups": [""], "kinds": ["Pod"], "kind": "Pod"}],
            "labelSelector": {"matchLabels": {"a": "b"}, "matchLabel": {"a": "b"}}},
    });
    assert_eq!(pruned(&spec, schema), spec);
    assert_eq!(schema["required"], json!(["match", "reason"]));
    let of_match = schema["properties"]["match"]["properties"].as_object().unwrap();
    for field in
        ["kinds", "namespaces", "excludedNamespaces", "labelSelector", "namespaceSelector", "name", "scope"]
    {
        assert!(of_match.contains_key(field), "{field}");
    }
}

#[test]
fn roles_name_only_what_policies_need() {
    let text = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package p
      violation[{"msg": "taken"}] {
        data.inventory.namespace[_][_].Ingress[_].spec.host == input.review.object.spec.host
        data.inventory.cluster["v1"].Namespace[_]
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: unique-host}
spec: {match: {kinds: [{apiGroups: [networking.k8s.io, extensions], kinds: [Ingress]}, {kinds: [PodExecOptions, TokenReview]}]}}
"#;
    let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", text).0);
    assert!(errors.is_empty(), "{errors:?}");
    let rules = |made: &Manifests, name: &str| -> Value {
        let role =
            made.documents().find(|role| role["kind"] == "ClusterRole" && role["metadata"]["name"] == name);
        role.map_or(Value::Null, |role| role["rules"].clone())
    };
    let options = Options { apply_crds: true, ..Options::default() };
    let webhook = Manifests::webhook(&policies, &ExpansionSet::empty(), &Kinds::default(), &options).unwrap();
    assert_eq!(
        rules(&webhook, "portcullis-webhook-synced-policies"),
        json!([{"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["list", "watch"]}])
    );
    assert_eq!(
        rules(&webhook, "portcullis-webhook-crds")[1]["resourceNames"],
        json!(["uniquehost.constraints.gatekeeper.sh"])
    );
    let audit = Manifests::audit(&policies, &ExpansionSet::empty(), &Kinds::default(), &options).unwrap();
    assert_eq!(
        rules(&audit, "portcullis-audit-kinds"),
        json!([
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["list"]},
        ])
    );
    // A constraint about everything needs everything.
    let everything = text.replace("spec: {match: {kinds", "spec: {match: {}, x: {kinds").replace(", x: {kinds: [{apiGroups: [networking.k8s.io, extensions], kinds: [Ingress]}, {kinds: [PodExecOptions, TokenReview]}]}", "");
    let (open, errors) = PolicySet::compile(Document::read_all("p.yaml", &everything).0);
    assert!(errors.is_empty(), "{errors:?}");
    let audit = Manifests::audit(&open, &ExpansionSet::empty(), &Kinds::default(), &options).unwrap();
    assert_eq!(
        rules(&audit, "portcullis-audit-kinds"),
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]}])
    );
    // Beside Gatekeeper, what only it supports is left to it.
    let groups = |beside_gatekeeper: bool| {
        let options = Options { beside_gatekeeper, ..Options::default() };
        let made =
            Manifests::webhook(&policies, &ExpansionSet::empty(), &Kinds::default(), &options).unwrap();
        made.documents().any(|document| {
            document.to_string().contains("mutations.gatekeeper.sh\",") && document["kind"] != "ClusterRole"
        })
    };
    assert_eq!((groups(true), groups(false)), (false, true));
}

/// Nobody is asked about a Deployment by a policy on Pods, and everybody is where it stands for its Pods.
#[test]
fn what_implies_something_is_sent_and_listed() {
    let policy = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostpid}
spec:
  crd: {spec: {names: {kind: NoHostPid}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostpid
      violation[{"msg": "no"}] { input.review.object.spec.hostPID }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoHostPid
metadata: {name: pods}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
"#;
    let expansion = r#"
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: deployments}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
"#;
    let mutator = r#"
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: a}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: spec.a
  parameters: {assign: {value: x}}
"#;
    let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", policy).0);
    assert!(errors.is_empty(), "{errors:?}");
    let (expansions, errors) = ExpansionSet::compile(Document::read_all("e.yaml", expansion).0);
    assert!(errors.is_empty(), "{errors:?}");
    let (mutators, errors) = MutatorSet::compile(Document::read_all("m.yaml", mutator).0);
    assert!(errors.is_empty(), "{errors:?}");
    let (kinds, options) = (Kinds::default(), Options { mutates: true, ..Options::default() });
    let has = |made: &Manifests, kind: &str, text: &str| {
        made.documents().any(|document| document["kind"] == kind && document.to_string().contains(text))
    };
    let sent = "\"resources\":[\"deployments\"]";
    for (expansions, expected) in [(&ExpansionSet::empty(), false), (&expansions, true)] {
        let webhook = Manifests::webhook(&policies, expansions, &kinds, &options).unwrap();
        assert_eq!(has(&webhook, "ValidatingWebhookConfiguration", sent), expected);
        let audit = Manifests::audit(&policies, expansions, &kinds, &options).unwrap();
        assert_eq!(has(&audit, "ClusterRole", sent), expected);
        // What mutators need is a right of those that mutate.
        assert!(has(&webhook, "ClusterRole", "assign/status"));
        let webhook = Manifests::webhook(&policies, expansions, &kinds, &Options::default()).unwrap();
        assert!(!has(&webhook, "ClusterRole", "assign/status"));
    }
    let mutation = Manifests::mutation(&mutators, &kinds, &options).unwrap();
    assert!(has(&mutation, "MutatingWebhookConfiguration", "\"resources\":[\"pods\"]"));
    assert!(!has(&mutation, "MutatingWebhookConfiguration", "deployments"));
}
