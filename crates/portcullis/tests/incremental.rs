//! A store after any sequence of changes is a set compiled of the documents that are left, and an update that
//! fails leaves what was good in force.

#![expect(clippy::indexing_slicing, reason = "a panic is how a test says that it fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portcullis::{
    Change, ConstraintKey, Document, EnforcementPoint, Error, ErrorKind, Inventory, InventoryStore,
    ObjectKey, PolicySet, PolicyStore, Resource, Review, TemplateName, World,
};
use portcullis_testkit::builders::{
    constraint, document, namespace, object, pod, resource, review, template,
};
use portcullis_testkit::harness::render;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const KINDS: &[&str] = &["Images", "Labels", "Peers"];
const NAMES: &[&str] = &["a", "b"];

/// Versions of a template that differ in what they say, in their parameters and in what they read.
fn template_version(kind: &str, version: usize) -> Value {
    let rego = match version {
        0 => r#"violation[{"msg": msg}] { msg := sprintf("first %v", [input.parameters]) }"#,
        1 => {
            r#"violation[{"msg": msg, "details": {"image": image}}] {
                  image := input.review.object.spec.containers[_].image
                  msg := concat(" ", ["second", image]) }"#
        }
        _ => {
            r#"violation[{"msg": msg}] {
                  count([1 | data.inventory.cluster["v1"].Namespace[_]]) == 2
                  msg := "third" }"#
        }
    };
    let mut template = template(kind, rego);
    if version == 2 {
        // Defaults show in the parameters, and in the constraint as results repeat it.
        template["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"] = json!({
            "type": "object",
            "properties": {"level": {"type": "integer", "default": 3}, "repos": {"type": "array", "items": {"type": "string"}}},
        });
    }
    template
}

fn constraint_version(kind: &str, name: &str, version: usize) -> Value {
    let spec = match version {
        0 => json!({}),
        1 => {
            json!({"enforcementAction": "warn", "parameters": {"repos": ["x"]}, "match": {"namespaces": ["shop"]}})
        }
        2 => json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}, "parameters": {}}),
        _ => {
            json!({"enforcementAction": "dryrun", "match": {"namespaceSelector": {"matchLabels": {"team": "a"}}}})
        }
    };
    constraint(kind, name, &spec)
}

#[derive(Clone, Debug)]
enum Step {
    Template(&'static str, usize),
    Constraint(&'static str, &'static str, usize),
    RemoveTemplate(&'static str),
    RemoveConstraint(&'static str, &'static str),
    Snapshot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = || select(KINDS);
    let name = || select(NAMES);
    let step = prop_oneof![
        4 => (kind(), 0..3_usize).prop_map(|(kind, version)| Step::Template(kind, version)),
        6 => (kind(), name(), 0..4_usize).prop_map(|(kind, name, version)| Step::Constraint(kind, name, version)),
        1 => kind().prop_map(Step::RemoveTemplate),
        2 => (kind(), name()).prop_map(|(kind, name)| Step::RemoveConstraint(kind, name)),
        1 => Just(Step::Snapshot),
    ];
    proptest::collection::vec(step, 0..24)
}

fn upsert(store: &mut PolicyStore, value: &Value) -> Vec<Error> {
    let (resource, mut errors) = Resource::read(&document(value));
    errors.extend(resource.map(|resource| store.apply(Change::Upsert(resource))).unwrap_or_default());
    errors
}

/// Applies the steps to a store, and to the documents that are left.
fn run(steps: &[Step]) -> (PolicyStore, BTreeMap<String, Value>) {
    let mut store = PolicyStore::new();
    let mut left = BTreeMap::new();
    for step in steps {
        match step {
            Step::Template(kind, version) => {
                let value = template_version(kind, *version);
                assert_eq!(upsert(&mut store, &value), []);
                left.insert((*kind).to_owned(), value);
            }
            Step::Constraint(kind, name, version) => {
                let value = constraint_version(kind, name, *version);
                assert_eq!(upsert(&mut store, &value), []);
                left.insert(format!("{kind}/{name}"), value);
            }
            Step::RemoveTemplate(kind) => {
                store.apply(Change::RemoveTemplate(TemplateName::of_kind(kind)));
                left.remove(*kind);
            }
            Step::RemoveConstraint(kind, name) => {
                store.apply(Change::RemoveConstraint(ConstraintKey {
                    kind: (*kind).into(),
                    name: (*name).into(),
                }));
                left.remove(&format!("{kind}/{name}"));
            }
            Step::Snapshot => drop(store.snapshot()),
        }
    }
    (store, left)
}

fn reviews() -> Vec<Review> {
    let cluster_scoped = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    vec![
        review(&pod("shop", "web", "x/app:1")),
        review(&pod("bank", "web", "y/app:1")),
        review(&pod("unknown", "web", "y/app:1")),
        review(&namespace("shop", &json!({"team": "a"}))),
        review(&cluster_scoped),
    ]
}

/// All that can be seen of a set.
fn shown(policies: &PolicySet) -> String {
    let inventory: Inventory = [namespace("shop", &json!({"team": "a"})), namespace("bank", &json!({}))]
        .iter()
        .map(object)
        .collect();
    let world = World::new(&inventory);
    let mut text = String::new();
    for template in policies.templates() {
        let _ = writeln!(text, "{} {} {:?}", template.name(), template.kind(), template.inventory_reads());
    }
    for constraint in policies.constraints() {
        let object = constraint.object().to_json();
        let _ = writeln!(text, "{} {object} {:?}", constraint.key(), constraint.enforcement());
    }
    for review in reviews() {
        for point in EnforcementPoint::ALL {
            text += &render(&policies.review(&review, &world, point));
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_changes_equal_compiling_the_documents_that_are_left(steps in steps()) {
        let (store, left) = run(&steps);
        let documents: Vec<Document> = left.values().map(document).collect();
        let (batch, errors) = PolicySet::compile(documents);
        prop_assert_eq!(shown(&store.snapshot()), shown(&batch));
        let mut pending = store.pending();
        pending.sort();
        prop_assert_eq!(pending, errors);
    }

    #[test]
    fn a_failed_update_leaves_what_was_good_in_force(steps in steps(), broken in select(broken())) {
        let (mut store, left) = run(&steps);
        let before = shown(&store.snapshot());
        let errors = upsert(&mut store, &broken);
        let waits = errors.is_empty();
        // A constraint without its template is not looked into yet, unless it was refused when it was read.
        prop_assert!(!waits || !left.contains_key(broken["kind"].as_str().unwrap_or_default()));
        prop_assert_eq!(shown(&store.snapshot()), before);
    }
}

/// Updates that are wrong in different stages, of a template and of a constraint that may be there.
fn broken() -> Vec<Value> {
    let mut misspelt_schema = template_version("Images", 2);
    misspelt_schema["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"] = json!({"type": "objekt"});
    let mut two_targets = template_version("Images", 0);
    let target = two_targets["spec"]["targets"][0].clone();
    two_targets["spec"]["targets"] = json!([target, target]);
    vec![
        template("Images", "violation[{\"msg\": msg}] { msg := nothere }"),
        template("Images", "violation[{\"msg\": "),
        template("Images", "deny[{\"msg\": \"m\"}] { true }"),
        misspelt_schema,
        two_targets,
        constraint("Images", "a", &json!({"match": {"scope": "cluster"}})),
        constraint("Images", "a", &json!({"enforcementAction": "denny"})),
        constraint("Images", "a", &json!({"match": {"namespaces": "shop"}})),
    ]
}

#[test]
fn a_parameter_that_no_longer_fits_keeps_the_constraint_in_force_as_it_was() {
    let mut store = PolicyStore::new();
    assert_eq!(upsert(&mut store, &template_version("Images", 0)), []);
    let odd = constraint("Images", "a", &json!({"parameters": {"repos": "text"}}));
    assert_eq!(upsert(&mut store, &odd), []);
    let before = shown(&store.snapshot());
    assert!(before.contains("first"), "{before}");

    let errors = upsert(&mut store, &template_version("Images", 2));
    assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::SchemaValidation]);
    let after = shown(&store.snapshot());
    assert!(after.contains("[a] first"), "{after}");
}

#[test]
fn a_constraint_whose_update_was_refused_follows_its_template() {
    let mut store = PolicyStore::new();
    upsert(&mut store, &template_version("Images", 0));
    upsert(&mut store, &constraint_version("Images", "a", 0));
    assert_eq!(
        upsert(&mut store, &constraint("Images", "a", &json!({"match": {"scope": "cluster"}}))).len(),
        1
    );
    upsert(&mut store, &template_version("Images", 1));
    let after = shown(&store.snapshot());
    assert!(after.contains("[a] second") && !after.contains("first"), "{after}");
}

#[test]
fn a_refused_constraint_is_not_enforced_when_its_template_comes_later() {
    let mut store = PolicyStore::new();
    let refused = constraint("Images", "a", &json!({"match": {"scope": "cluster"}}));
    assert_eq!(upsert(&mut store, &refused).len(), 1);
    assert_eq!(upsert(&mut store, &template_version("Images", 0)), []);
    assert_eq!(store.snapshot().constraints().count(), 0);
}

#[test]
fn a_template_that_comes_back_brings_its_constraints_back() {
    let mut store = PolicyStore::new();
    upsert(&mut store, &constraint_version("Images", "a", 0));
    upsert(&mut store, &template_version("Images", 0));
    let before = shown(&store.snapshot());
    store.apply(Change::RemoveTemplate(TemplateName::of_kind("IMAGES")));
    assert_eq!(store.snapshot().constraints().count(), 0);
    assert_eq!(store.pending().len(), 1);
    upsert(&mut store, &template_version("Images", 0));
    assert_eq!(shown(&store.snapshot()), before);
}

#[test]
fn a_snapshot_does_not_change_with_its_store() {
    let mut store = PolicyStore::new();
    upsert(&mut store, &template_version("Images", 0));
    upsert(&mut store, &constraint_version("Images", "a", 0));
    let snapshot = store.snapshot();
    let before = shown(&snapshot);
    upsert(&mut store, &template_version("Images", 1));
    store.apply(Change::RemoveConstraint(ConstraintKey { kind: "Images".into(), name: "a".into() }));
    assert_eq!(shown(&snapshot), before);
    assert_ne!(shown(&store.snapshot()), before);
}

/// A policy that an index answers, and one that compares in a rule that is made once for all reviews.
const SAME_IMAGE: &str = r#"
violation[{"msg": msg}] {
  image := input.review.object.spec.containers[_].image
  other := data.inventory.namespace[_]["v1"].Pod[name]
  other.spec.containers[_].image == image
  msg := sprintf("image <%v> is that of <%v>", [image, name])
}

violation[{"msg": msg}] {
  images[input.review.object.spec.containers[_].image]
  msg := sprintf("one of %v", [count(images)])
}

images[image] {
  image := data.inventory.namespace[_]["v1"].Pod[_].spec.containers[_].image
}"#;

proptest! {
    /// What is looked up is what the snapshot has, whatever was looked up in those before.
    #[test]
    fn any_changes_of_the_inventory_equal_an_inventory_of_what_is_left(
        changes in proptest::collection::vec(("[ab]", "[xyz]", proptest::option::of("[pq]"), any::<bool>()), 1..12),
    ) {
        let mut store = PolicyStore::new();
        store.apply(Change::Upsert(resource(&template("Images", SAME_IMAGE))));
        store.apply(Change::Upsert(resource(&constraint("Images", "one", &json!({})))));
        let policies = store.snapshot();
        let reviews = ["p", "q", "r"].map(|image| review(&pod("c", "new", image)));
        let shown = |inventory: &Inventory| -> String {
            let world = World::new(inventory);
            reviews.iter().map(|review| render(&policies.review(review, &world, EnforcementPoint::Webhook))).collect()
        };
        let mut inventory = InventoryStore::new();
        let mut left = BTreeMap::new();
        for (namespace, name, image, is_looked_up) in changes {
            let pod = object(&pod(&namespace, &name, image.as_deref().unwrap_or_default()));
            let key = ObjectKey::of(&pod);
            if image.is_some() {
                inventory.upsert(pod.clone());
                left.insert(key, pod);
            } else {
                inventory.remove(&key);
                left.remove(&key);
            }
            if is_looked_up {
                let fresh: Inventory = left.values().cloned().collect();
                prop_assert_eq!(shown(&inventory.snapshot()), shown(&fresh));
            }
        }
        let fresh: Inventory = left.into_values().collect();
        prop_assert_eq!(shown(&inventory.snapshot()), shown(&fresh));
    }
}
