//! Expansion is what a naive reading of its rules gives, whatever the order of the templates and however they
//! came.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test says that it fails")]

use std::collections::BTreeMap;

use portcullis::{
    Change, Document, Expansion, ExpansionChange, ExpansionSet, ExpansionStore, Object, PolicyStore,
    Resource, Uses,
};
use portcullis_testkit::builders::document;
use portcullis_testkit::harness::shuffle;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

const KINDS: &[&str] = &["A", "B", "C", "D", "E"];

/// A template of the group `g`, which may be one that is refused.
fn template() -> impl Strategy<Value = Value> {
    let name = select(&["t0", "t1", "t2", "t3", "t4", "t5", "t6"][..]);
    let kinds = subsequence(KINDS.to_vec(), 0..=2);
    let source = select(&["spec.next", "spec.next", "spec.next", "spec", "spec.other", ""][..]);
    let action = select(&["", "deny", "warn", "dryrun"][..]);
    (name, kinds, select(KINDS), source, action).prop_map(|(name, kinds, generated, source, action)| {
        let apply_to: Vec<Value> =
            kinds.iter().map(|kind| json!({"groups": ["g"], "versions": ["v1"], "kinds": [kind]})).collect();
        json!({
            "apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate",
            "metadata": {"name": name},
            "spec": {
                "applyTo": apply_to, "templateSource": source, "enforcementAction": action,
                "generatedGVK": {"group": "g", "version": "v1", "kind": generated},
            },
        })
    })
}

/// What stands in a `spec`: another object, or something else.
fn spec() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => Just(json!({"leaf": true})),
        1 => Just(Value::Null),
        1 => Just(json!("text")),
        1 => Just(json!([1, {"a": null}])),
    ];
    leaf.prop_recursive(6, 12, 1, |inner| {
        let metadata = prop_oneof![
            Just(None),
            Just(Some(json!({"labels": {"a": "b"}}))),
            Just(Some(json!({"name": "own", "namespace": "other"}))),
            Just(Some(
                json!({"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "extra": 1}]})
            )),
            Just(Some(Value::Null)),
        ];
        (metadata, inner).prop_map(|(metadata, spec)| {
            let mut next = json!({"spec": spec});
            if let Some(metadata) = metadata {
                next["metadata"] = metadata;
            }
            json!({"next": next})
        })
    })
}

fn object() -> impl Strategy<Value = Value> {
    let namespace = prop_oneof![Just(None), Just(Some("shop"))];
    (select(KINDS), namespace, spec()).prop_map(|(kind, namespace, spec)| {
        let mut object =
            json!({"apiVersion": "g/v1", "kind": kind, "metadata": {"name": "Web"}, "spec": spec});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        object
    })
}

// The model: as the rules read, without any index, bound or sharing.

fn kinds_of(template: &Value) -> Vec<&str> {
    template["spec"]["applyTo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kinds"][0].as_str().unwrap())
        .collect()
}

fn generated(template: &Value) -> &str {
    template["spec"]["generatedGVK"]["kind"].as_str().unwrap()
}

fn is_sound(template: &Value) -> bool {
    template["spec"]["templateSource"] != ""
        && !kinds_of(template).is_empty()
        && !kinds_of(template).contains(&generated(template))
}

/// Whether a kind comes of another in some steps.
fn leads_to(templates: &[&Value], from: &str, to: &str, steps: usize) -> bool {
    from == to
        || (steps > 0
            && templates.iter().any(|template| {
                kinds_of(template).contains(&from) && leads_to(templates, generated(template), to, steps - 1)
            }))
}

fn applied(templates: &[Value]) -> Vec<Value> {
    // Of one name the last sound one counts.
    let mut by_name: BTreeMap<&str, &Value> = BTreeMap::new();
    for template in templates.iter().filter(|template| is_sound(template)) {
        by_name.insert(template["metadata"]["name"].as_str().unwrap(), template);
    }
    let all: Vec<&Value> = by_name.into_values().collect();
    let is_free = |template: &&&Value| {
        !kinds_of(template).iter().any(|kind| leads_to(&all, generated(template), kind, KINDS.len()))
    };
    all.iter().filter(is_free).map(|template| (**template).clone()).collect()
}

fn expand(templates: &[Value], parent: &Value, depth: usize) -> Result<Vec<(String, Value)>, ()> {
    if depth == 30 {
        return Err(());
    }
    let mut children = Vec::new();
    for template in
        templates.iter().filter(|template| kinds_of(template).contains(&parent["kind"].as_str().unwrap()))
    {
        let mut part = parent;
        for step in template["spec"]["templateSource"].as_str().unwrap().split('.') {
            part = part.get(step).ok_or(())?;
        }
        let mut child = part.as_object().ok_or(())?.clone();
        child.insert("apiVersion".to_owned(), json!("g/v1"));
        child.insert("kind".to_owned(), json!(generated(template)));
        let metadata = child.entry("metadata").or_insert_with(|| json!({}));
        let name = parent["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(metadata) = metadata.as_object_mut() {
            match parent["metadata"].get("namespace") {
                Some(Value::String(namespace)) => {
                    metadata.insert("namespace".to_owned(), json!(namespace));
                }
                Some(_) => return Err(()),
                None => {}
            }
            metadata
                .insert("name".to_owned(), json!(format!("{name}-{}", generated(template)).to_lowercase()));
            if !name.is_empty() {
                let mut owners = Vec::new();
                for owner in metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten() {
                    owners.push(json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["name"], "uid": ""}));
                }
                owners.push(json!({"apiVersion": "g/v1", "kind": parent["kind"], "name": name, "uid": ""}));
                metadata.insert("ownerReferences".to_owned(), json!(owners));
            }
        } else if matches!(parent["metadata"].get("namespace"), Some(namespace) if !namespace.is_string()) {
            return Err(());
        }
        children.push((template["metadata"]["name"].as_str().unwrap().to_owned(), Value::Object(child)));
    }
    let mut found = Vec::new();
    for (_, child) in &children {
        found.extend(expand(templates, child, depth + 1)?);
    }
    found.extend(children);
    Ok(found)
}

fn resource(template: &Value) -> Option<Resource> {
    Resource::read_for(&document(template), Uses::POLICIES.with_expansions(true)).0
}

fn ours(set: &ExpansionSet, object: &Value) -> Result<Vec<(String, Value)>, ()> {
    let object = Object::from_json(object).unwrap();
    let resultants = Expansion::new(set).expand(&object, None, None).map_err(|_| ())?;
    Ok(resultants.iter().map(|one| (one.template().to_owned(), one.to_json())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn it_is_what_the_model_says(templates in prop::collection::vec(template(), 0..8), object in object()) {
        let (set, _) = ExpansionSet::from_resources(templates.iter().filter_map(resource));
        prop_assert_eq!(ours(&set, &object), expand(&applied(&templates), &object, 0));
    }

    #[test]
    fn the_order_of_templates_changes_nothing(
        templates in prop::collection::vec(template(), 0..8), object in object(), seed in any::<u64>(),
    ) {
        let mut by_name: BTreeMap<String, Value> = BTreeMap::new();
        for template in templates {
            by_name.insert(template["metadata"]["name"].to_string(), template);
        }
        let templates: Vec<Value> = by_name.into_values().collect();
        let documents: Vec<Document> = templates.iter().map(document).collect();
        let mut shuffled = documents.clone();
        shuffle(&mut shuffled, seed);
        let ((one, errors), (other, other_errors)) =
            (ExpansionSet::compile(documents), ExpansionSet::compile(shuffled));
        prop_assert_eq!(errors.len(), other_errors.len());
        prop_assert_eq!(ours(&one, &object), ours(&other, &object));
    }

    #[test]
    fn incremental_equals_batch(
        templates in prop::collection::vec(template(), 0..12), object in object(),
        removed in subsequence(vec!["t0", "t1", "t2", "t3"], 0..=4),
    ) {
        // Only sound ones: of one that is broken the last good version stays in force.
        let templates: Vec<Value> = templates.into_iter().filter(is_sound).collect();
        let mut store = ExpansionStore::new();
        for template in &templates {
            prop_assert!(store.apply(ExpansionChange::Upsert(resource(template).unwrap())).is_empty());
            let _ = store.snapshot();
        }
        for name in &removed {
            store.apply(ExpansionChange::Remove((*name).into()));
        }
        let left = templates.iter().filter(|template| !removed.contains(&template["metadata"]["name"].as_str().unwrap()));
        let (batch, _) = ExpansionSet::from_resources(left.filter_map(resource));
        let snapshot = store.snapshot();
        prop_assert_eq!(snapshot.in_cycles().collect::<Vec<_>>(), batch.in_cycles().collect::<Vec<_>>());
        prop_assert_eq!(ours(&snapshot, &object), ours(&batch, &object));
        prop_assert_eq!(store.cycles().len(), batch.in_cycles().count());
    }
}

#[test]
fn the_last_good_version_stays_in_force() {
    let good = json!({
        "apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": "t"},
        "spec": {"applyTo": [{"groups": ["g"], "versions": ["v1"], "kinds": ["A"]}], "templateSource": "spec",
                 "generatedGVK": {"group": "g", "version": "v1", "kind": "B"}},
    });
    let mut store = ExpansionStore::new();
    assert!(store.apply(ExpansionChange::Upsert(resource(&good).unwrap())).is_empty());
    for (field, value) in
        [("templateSource", json!("")), ("templateSource", json!(3)), ("enforcementAction", json!("no"))]
    {
        let mut bad = good.clone();
        bad["spec"][field] = value;
        store.apply(ExpansionChange::Upsert(resource(&bad).unwrap()));
        let object = json!({"apiVersion": "g/v1", "kind": "A", "metadata": {"name": "a"}, "spec": {}});
        assert_eq!(ours(&store.snapshot(), &object).unwrap().len(), 1, "{field}");
    }
}

/// Who reads policies only is told of expansion templates, and never gets one.
#[test]
fn who_does_not_expand_is_told() {
    let text = document(
        &json!({"apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": "t"}}),
    );
    let (resource, errors) = Resource::read(&text);
    assert!(matches!(resource, Some(Resource::Unsupported(_))));
    assert!(errors[0].message().contains("what workloads generate is not judged"));
    assert!(PolicyStore::new().apply(Change::Upsert(resource.unwrap())).is_empty());
    assert!(
        portcullis::unsupported_kinds(portcullis::Uses::POLICIES)
            .any(|gvk| &*gvk.kind == "ExpansionTemplate")
    );
}
