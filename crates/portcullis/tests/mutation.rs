//! What mutators make of objects: always the same, whatever the order in which they came; what a naive model
//! makes of them; and within limits, whatever they are.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test says that it fails")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portcullis::{
    Document, Error, ErrorKind, Mutable, MutationError, MutationFailure, MutationLimits, MutatorKey,
    MutatorKind, MutatorSet, MutatorStore, Object, PolicySet, Resource, Severity, Uses,
};
use portcullis_testkit::builders::document;
use portcullis_testkit::json_patch::patched;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

fn set(mutators: &[Value]) -> MutatorSet {
    let (set, errors) = MutatorSet::compile(mutators.iter().map(document));
    let bad =
        |error: &Error| error.severity() == Severity::Error && error.kind() != ErrorKind::MutatorConflict;
    let bad: Vec<_> = errors.iter().filter(|error| bad(error)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    set
}

fn object(value: &Value) -> Object {
    Object::from_document(document(value)).unwrap()
}

fn mutate(set: &MutatorSet, value: &Value) -> Result<Value, MutationError> {
    let mutation = set.mutate(&Mutable::new(object(value)), MutationLimits::default(), None)?;
    Ok(mutation.object().to_json())
}

fn gizmo(spec: Value) -> Value {
    json!({"apiVersion": "shop.example/v1", "kind": "Gizmo", "metadata": {"name": "g"}, "spec": spec})
}

fn mutator(kind: &str, name: &str, location: &str, parameters: Value) -> Value {
    let version = if kind == "AssignImage" { "v1alpha1" } else { "v1" };
    let mut mutator = json!({
        "apiVersion": format!("mutations.gatekeeper.sh/{version}"),
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"location": location, "parameters": parameters},
    });
    if kind != "AssignMetadata" {
        mutator["spec"]["applyTo"] =
            json!([{"groups": ["shop.example"], "versions": ["v1"], "kinds": ["Gizmo"]}]);
    }
    mutator
}

// A step of a location in the model.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(&'static str),
    /// Elements of a list by their name; none for all.
    Element(Option<&'static str>),
}

#[derive(Clone, Debug)]
struct Model {
    kind: &'static str,
    name: String,
    steps: Vec<Step>,
    /// How long the path of a test is, and whether there has to be something.
    tests: Vec<(usize, bool)>,
    value: Value,
    prunes: bool,
}

impl Model {
    fn location(steps: &[Step]) -> String {
        steps.iter().enumerate().fold(String::new(), |text, (position, step)| match step {
            Step::Field(name) if position == 0 => (*name).to_owned(),
            Step::Field(name) => format!("{text}.{name}"),
            Step::Element(None) => format!("{text}[name: *]"),
            Step::Element(Some(name)) => format!("{text}[name: {name}]"),
        })
    }

    fn document(&self) -> Value {
        let mut parameters = match self.kind {
            "Assign" => json!({"assign": {"value": self.value}}),
            "ModifySet" => json!({
                "operation": if self.prunes { "prune" } else { "merge" },
                "values": {"fromList": [self.value, "s"]},
            }),
            _ => json!({"assignTag": ":v2"}),
        };
        // In the order that Gatekeeper takes.
        let mut tests = self.tests.clone();
        tests.sort_by_key(|(_, exists)| !exists);
        parameters["pathTests"] = tests
            .iter()
            .map(|(length, exists)| {
                json!({
                    "subPath": Self::location(&self.steps[..*length]),
                    "condition": if *exists { "MustExist" } else { "MustNotExist" },
                })
            })
            .collect();
        mutator(self.kind, &self.name, &Self::location(&self.steps), parameters)
    }

    fn allows(&self, depth: usize, exists: bool) -> bool {
        self.tests.iter().all(|(length, wanted)| *length != depth + 1 || *wanted == exists)
    }

    /// Changes a value in place; whether the mutator did its work.
    fn apply(&self, current: &mut Value, depth: usize) -> Result<bool, ()> {
        let is_last = depth + 1 == self.steps.len();
        match &self.steps[depth] {
            Step::Field(name) => {
                let fields = current.as_object_mut().ok_or(())?;
                if !self.allows(depth, fields.contains_key(*name)) {
                    return Ok(false);
                }
                if is_last {
                    self.set(fields, name)?;
                    return Ok(true);
                }
                let empty = match self.steps[depth + 1] {
                    Step::Field(_) => json!({}),
                    Step::Element(_) => json!([]),
                };
                let mut next = fields.get(*name).cloned().unwrap_or(empty);
                let worked = self.apply(&mut next, depth + 1)?;
                if worked {
                    fields.insert((*name).to_owned(), next);
                }
                Ok(worked)
            }
            Step::Element(wanted) => {
                let items = current.as_array_mut().ok_or(())?;
                let is_it =
                    |item: &Value| wanted.is_none_or(|wanted| item.get("name") == Some(&json!(wanted)));
                if is_last {
                    if let Some(position) = items.iter().position(|item| !item.is_object() || is_it(item)) {
                        if !items[position].is_object() {
                            return Err(());
                        }
                        if self.allows(depth, true) {
                            items[position] = self.value.clone();
                            return Ok(true);
                        }
                        return Ok(false);
                    }
                    if self.allows(depth, false) {
                        items.push(self.value.clone());
                        return Ok(true);
                    }
                    return Ok(false);
                }
                if wanted.is_none() && !self.allows(depth, true) {
                    return Ok(false);
                }
                let (mut worked, mut found) = (false, wanted.is_none());
                for item in items.iter_mut().filter(|item| is_it(item)) {
                    if !self.allows(depth, true) {
                        return Ok(false);
                    }
                    worked |= self.apply(item, depth + 1)?;
                    found = true;
                }
                if found || !self.allows(depth, false) {
                    return Ok(worked);
                }
                let mut made = json!({"name": wanted});
                if self.apply(&mut made, depth + 1)? {
                    items.push(made);
                    return Ok(true);
                }
                Ok(false)
            }
        }
    }

    fn set(&self, fields: &mut Map<String, Value>, name: &str) -> Result<(), ()> {
        let before = fields.get(name).cloned();
        let after = match (self.kind, before) {
            ("Assign", _) => self.value.clone(),
            ("AssignImage", None) => json!(":v2"),
            ("AssignImage", Some(Value::String(image))) => {
                json!(format!("{}:v2", image.split(':').next().unwrap_or_default()))
            }
            ("ModifySet", Some(Value::Array(mut items))) => {
                for value in [&self.value, &json!("s")] {
                    if self.prunes {
                        items.retain(|item| item != value);
                    } else if !items.contains(value) {
                        items.push(value.clone());
                    }
                }
                json!(items)
            }
            ("ModifySet", None) if self.prunes => return Ok(()),
            ("ModifySet", None) => json!([self.value, "s"]),
            _ => return Err(()),
        };
        fields.insert(name.to_owned(), after);
        Ok(())
    }
}

/// All mutators that are applied, in their order, until nothing changes.
fn naive(models: &[Model], set: &MutatorSet, value: &Value) -> Result<Value, ()> {
    let mut ordered: Vec<&Model> = models.iter().collect();
    ordered.sort_by_key(|model| (model.kind, &model.name));
    let mut current = value.clone();
    for _ in 0..=models.len() {
        let before = current.clone();
        for model in &ordered {
            let kind = MutatorKind::named(model.kind).unwrap();
            if !set.is_disabled(&MutatorKey { kind, name: model.name.as_str().into() }) {
                model.apply(&mut current, 0)?;
            }
        }
        if current == before {
            return Ok(current);
        }
    }
    Err(())
}

fn step() -> impl Strategy<Value = Vec<Step>> {
    let element = prop_oneof![Just(None), Just(Some("x")), Just(Some("y"))];
    prop_oneof![
        3 => select(&["a", "b", "t"][..]).prop_map(|name| vec![Step::Field(name)]),
        2 => element.prop_map(|element| vec![Step::Field("l"), Step::Element(element)]),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let steps = proptest::collection::vec(step(), 1..4).prop_map(|steps| {
        let mut all = vec![Step::Field("spec")];
        all.extend(steps.concat());
        all
    });
    let value = prop_oneof![Just(json!("v")), Just(json!(1)), Just(json!(["s"])), Just(json!({"t": "v"}))];
    let tests = proptest::collection::vec((1..8_usize, any::<bool>()), 0..2);
    let kind = select(&["Assign", "Assign", "ModifySet", "AssignImage"][..]);
    (kind, 0..6_u8, steps, value, tests, any::<bool>()).prop_map(
        |(kind, name, mut steps, value, tests, prunes)| {
            let mut value = value;
            if let Some(Step::Element(wanted)) = steps.last() {
                match (kind, wanted) {
                    ("Assign", Some(name)) => value = json!({"name": name, "t": "v"}),
                    _ => steps.push(Step::Field("t")),
                }
            }
            let tests = tests.into_iter().filter(|(length, _)| *length <= steps.len()).collect();
            // Sets of numbers depend on how these are written.
            let value = if kind == "ModifySet" && value.is_number() { json!("v") } else { value };
            Model { kind, name: format!("m{name}"), steps, tests, value, prunes }
        },
    )
}

fn models() -> impl Strategy<Value = Vec<Model>> {
    proptest::collection::vec(model(), 0..6).prop_map(|models| {
        let named: BTreeMap<_, _> =
            models.into_iter().map(|model| ((model.kind, model.name.clone()), model)).collect();
        named.into_values().collect()
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!("i:1")),
        Just(json!(1)),
        Just(json!(["s", "v"])),
        Just(Value::Null),
        Just(json!({})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let field = prop_oneof![select(&["a", "b", "t"][..]).prop_map(str::to_owned)];
        let fields = proptest::collection::btree_map(field, inner.clone(), 0..3);
        let item = (select(&["x", "y", "z"][..]), proptest::option::of(inner)).prop_map(|(name, value)| {
            let mut item = json!({"name": name});
            if let Some(value) = value {
                item["t"] = value;
            }
            item
        });
        let list = proptest::option::of(proptest::collection::vec(item, 0..4));
        (fields, list).prop_map(|(fields, list)| {
            let mut object = json!(fields);
            if let Some(list) = list {
                object["l"] = json!(list);
            }
            object
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn objects_become_what_a_naive_model_makes_of_them(models in models(), spec in spec()) {
        let set = set(&models.iter().map(Model::document).collect::<Vec<_>>());
        let value = gizmo(spec);
        let (here, there) = (mutate(&set, &value), naive(&models, &set, &value));
        prop_assert_eq!(here.map_err(|_| ()), there);
    }

    #[test]
    fn mutating_twice_changes_nothing(models in models(), spec in spec()) {
        let set = set(&models.iter().map(Model::document).collect::<Vec<_>>());
        if let Ok(once) = mutate(&set, &gizmo(spec)) {
            prop_assert_eq!(mutate(&set, &once).ok(), Some(once));
        }
    }

    #[test]
    fn the_patch_of_a_mutation_makes_the_object(models in models(), spec in spec()) {
        let set = set(&models.iter().map(Model::document).collect::<Vec<_>>());
        let value = gizmo(spec);
        if let Ok(mutation) = set.mutate(&Mutable::new(object(&value)), MutationLimits::default(), None) {
            let patch = serde_json::to_value(mutation.json_patch()).unwrap();
            prop_assert_eq!(patched(&value, &patch), mutation.object().to_json());
            prop_assert_eq!(mutation.json_patch().is_empty(), !mutation.is_changed());
            // Who changed what is known of all that is different.
            prop_assert_eq!(mutation.changes().is_empty(), !mutation.is_changed());
            for operation in mutation.json_patch() {
                let path = operation.path().segments();
                let told = mutation.changes().iter().any(|change| {
                    let changed = change.path().segments();
                    changed.starts_with(path) || path.starts_with(changed)
                });
                prop_assert!(told, "{:?} in {:?}", operation, mutation.changes());
            }
        }
    }

    /// In any order, and with others before them that are gone.
    #[test]
    fn the_order_of_changes_changes_nothing(
        (models, order) in models().prop_flat_map(|models| {
            let order = Just((0..models.len()).collect::<Vec<_>>()).prop_shuffle();
            (Just(models), order)
        }),
        others in models(),
        spec in spec(),
    ) {
        let documents: Vec<Value> = models.iter().map(Model::document).collect();
        let batch = set(&documents);
        let mut store = MutatorStore::new();
        let mut upsert = |value: &Value| {
            let (resource, _) = Resource::read_for(&document(value), Uses::POLICIES.with_mutators(true));
            let resource = resource.unwrap();
            store.upsert(&resource);
            let Resource::Mutator(mutator) = resource else { panic!("a mutator") };
            mutator.key().clone()
        };
        let keys: Vec<MutatorKey> = others.iter().map(|other| upsert(&other.document())).collect();
        for key in keys {
            store.remove(&key);
        }
        for position in order {
            let (resource, _) = Resource::read_for(&document(&documents[position]), Uses::POLICIES.with_mutators(true));
            store.upsert(&resource.unwrap());
        }
        let incremental = store.snapshot();
        let value = gizmo(spec);
        prop_assert_eq!(mutate(&batch, &value), mutate(&incremental, &value));
        prop_assert_eq!(batch.conflicts().map(|error| error.message().to_owned()).collect::<Vec<_>>(),
            incremental.conflicts().map(|error| error.message().to_owned()).collect::<Vec<_>>());
    }
}

/// Far more than anything here takes without optimisation: only what does not end would fail.
const GUARD: Duration = Duration::from_secs(20);

/// What mutators that nobody writes by hand come to, and soon.
fn hostile(name: &str, set: &MutatorSet, value: &Value) -> Result<Value, MutationFailure> {
    let mutable = Mutable::new(object(value));
    let started = Instant::now();
    let result = set.mutate(&mutable, MutationLimits::default(), None);
    let time = started.elapsed();
    println!("{name}: {time:?}");
    assert!(time < GUARD, "{name}: {time:?}");
    result.map(|mutation| mutation.object().to_json()).map_err(|error| error.kind())
}

fn many(count: usize, one: impl Fn(usize) -> Value) -> MutatorSet {
    set(&(0..count).map(one).collect::<Vec<_>>())
}

#[test]
fn mutators_that_never_come_to_an_end_are_an_error() {
    // Each pass makes the image another one's.
    let turn = |kind: &str, next: &str, name: &str| {
        let mut mutator = mutator("Assign", name, "kind", json!({"assign": {"value": next}}));
        mutator["spec"]["applyTo"][0]["kinds"] = json!([kind]);
        mutator
    };
    let few = set(&[turn("Gizmo", "A", "c"), turn("A", "B", "b"), turn("B", "Gizmo", "a")]);
    assert_eq!(hostile("a cycle of three", &few, &gizmo(json!({}))), Err(MutationFailure::NotConverging));
    let fights = few.fights(&PolicySet::empty());
    assert_eq!(fights.len(), 3, "{fights:?}");
    assert!(fights.iter().all(|error| error.kind() == ErrorKind::NeverConverges));
    // Trying them has an end, which is said.
    let turns = many(1000, |number| {
        turn(&format!("K{number}"), &format!("K{}", (number + 1) % 1000), &format!("m{number}"))
    });
    let started = Instant::now();
    let fights = turns.fights(&PolicySet::empty());
    assert!(started.elapsed() < GUARD);
    assert_eq!(fights.iter().filter(|error| error.message().contains("only the first 256")).count(), 1);
    let label = |number: usize| {
        // One more label with each pass, which the next one asks for.
        let location = format!("metadata.labels.l{number:04}");
        let mut mutator =
            mutator("AssignMetadata", &format!("m{number:04}"), &location, json!({"assign": {"value": "x"}}));
        if number + 1 < 1000 {
            let key = format!("l{:04}", number + 1);
            mutator["spec"]["match"] = json!({"labelSelector": {"matchLabels": {(key): "x"}}});
        }
        mutator
    };
    let slow = many(1000, label);
    assert_eq!(hostile("a thousand passes", &slow, &gizmo(json!({}))), Err(MutationFailure::Limit));
}

#[test]
fn asking_many_mutators_with_long_lists_again_and_again_ends() {
    let names: Vec<String> = (0..1000).map(|number| format!("ns-{number:04}*")).collect();
    // All of them are asked in each pass, and the last one that applies brings the next one to.
    let asked = |number: usize| {
        let location = format!("metadata.labels.l{number:04}");
        let mut mutator =
            mutator("AssignMetadata", &format!("m{number:04}"), &location, json!({"assign": {"value": "x"}}));
        mutator["spec"]["match"] = json!({"excludedNamespaces": names});
        if number + 1 < 200 {
            let key = format!("l{:04}", number + 1);
            mutator["spec"]["match"]["labelSelector"] = json!({"matchLabels": {(key): "x"}});
        }
        mutator
    };
    let mut object = gizmo(json!({}));
    object["metadata"]["namespace"] = json!("shop");
    assert_eq!(hostile("long lists of namespaces", &many(200, asked), &object), Err(MutationFailure::Limit));
    let mutable = Mutable::new(self::object(&object));
    let error = many(200, asked).mutate(&mutable, MutationLimits::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Gizmo shop/g cannot be mutated: mutating it takes more than 1000000 steps (limit `steps`)"
    );
}

#[test]
fn globs_over_many_elements_end() {
    let items: Vec<Value> = (0..10_000).map(|number| json!({"name": format!("n{number}")})).collect();
    let object = gizmo(json!({"l": items}));
    let one = |number: usize| {
        mutator(
            "Assign",
            &format!("m{number}"),
            &format!("spec.l[name: *].f{number}"),
            json!({"assign": {"value": "v"}}),
        )
    };
    let mutated = hostile("one glob over 10,000 elements", &many(1, one), &object).unwrap();
    assert_eq!(mutated["spec"]["l"][9_999]["f0"], "v");
    assert_eq!(
        hostile("100 globs over 10,000 elements", &many(100, one), &object),
        Err(MutationFailure::Limit)
    );
    let nested: Vec<Value> = (0..100).map(|_| json!({"name": "x", "l": items[..100].to_vec()})).collect();
    let deep =
        mutator("Assign", "deep", "spec.l[name: *].l[name: *].p.q.r", json!({"assign": {"value": "v"}}));
    assert!(hostile("a glob in a glob", &set(&[deep]), &gizmo(json!({"l": nested}))).is_ok());
}

#[test]
fn values_that_grow_are_bounded() {
    let text = "x".repeat(1 << 20);
    let large = |number: usize| {
        mutator(
            "Assign",
            &format!("m{number}"),
            &format!("spec.f{number}"),
            json!({"assign": {"value": text}}),
        )
    };
    // One text for all places: it is shared.
    let items: Vec<Value> = (0..1_000).map(|number| json!({"name": format!("n{number}")})).collect();
    let object = gizmo(json!({"l": items}));
    let spread = mutator("Assign", "spread", "spec.l[name: *].v", json!({"assign": {"value": {"k": text}}}));
    let mutable = Mutable::new(self::object(&object));
    let started = Instant::now();
    let spread = set(&[spread]).mutate(&mutable, MutationLimits::default(), None);
    assert_eq!(spread.map(drop).map_err(|error| error.kind()), Err(MutationFailure::Limit));
    assert!(started.elapsed() < GUARD);
    assert!(hostile("ten large texts", &many(10, large), &gizmo(json!({}))).is_ok());
    let long: Vec<Value> = (0..5_000).map(|number| json!(format!("value number {number}"))).collect();
    let merge = mutator("ModifySet", "set", "spec.s", json!({"values": {"fromList": long}}));
    let other: Vec<Value> = (0..5_000).map(|number| json!(format!("other number {number}"))).collect();
    assert_eq!(
        hostile("sets of 5,000", &set(&[merge]), &gizmo(json!({"s": other}))),
        Err(MutationFailure::Limit)
    );
}

#[test]
fn deep_locations_end() {
    let deep = |length: usize| {
        mutator("Assign", "deep", &format!("spec{}", ".a".repeat(length)), json!({"assign": {"value": 1}}))
    };
    assert!(hostile("a location of 128 steps", &set(&[deep(127)]), &gizmo(json!({}))).is_ok());
    let (none, errors) = MutatorSet::compile([document(&deep(10_000))]);
    assert!(none.is_empty());
    assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::InvalidLocation]);
    let mut wide = deep(3);
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    wide["spec"]["applyTo"] = json!([{"groups": names, "versions": names, "kinds": names}]);
    let (none, errors) = MutatorSet::compile([document(&wide)]);
    assert!(none.is_empty());
    assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::Limit]);
}

/// The objects of a text, as files have them.
fn documents(text: &str) -> Vec<Document> {
    let (documents, errors) = Document::read_all("t.yaml", text);
    assert!(errors.is_empty(), "{errors:?}");
    documents
}

#[test]
fn changes_know_their_mutator_their_place_and_what_was_there() {
    let mutators = documents(
        r#"
apiVersion: mutations.gatekeeper.sh/v1alpha1
kind: AssignImage
metadata: {name: registry}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: "spec.containers[name: *].image"
  parameters: {assignDomain: r.example}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: sidecar}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: "spec.containers[name: proxy].image"
  parameters: {assign: {value: proxy:1}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: owner}
spec:
  location: metadata.labels.owner
  parameters: {assign: {fromMetadata: {field: name}}}
"#,
    );
    let (set, errors) = MutatorSet::compile(mutators);
    // Both say that the image is there; only one says that nothing is below it.
    assert_eq!(errors, []);
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: a\n    image: nginx:1\n";
    let pod = Object::from_document(documents(pod).remove(0)).unwrap();
    let mutation = set.mutate(&Mutable::new(pod), MutationLimits::default(), None).unwrap();
    let told: Vec<String> =
        mutation.changes().iter().map(|change| format!("{} {change}", change.location().unwrap())).collect();
    assert_eq!(
        told,
        [
            "t.yaml:3:1 metadata.labels.owner: nothing -> \"web\" (AssignMetadata/owner)",
            "t.yaml:8:12 spec.containers[0].image: \"nginx:1\" -> \"r.example/nginx:1\" (AssignImage/registry)",
            "t.yaml:6:3 spec.containers[1]: nothing -> {\"image\":\"proxy:1\",\"name\":\"proxy\"} (Assign/sidecar)",
            "t.yaml:6:3 spec.containers[1].image: nothing -> \"r.example/proxy:1\" (AssignImage/registry)",
        ]
    );
    assert_eq!(
        serde_json::to_value(mutation.json_patch()).unwrap(),
        json!([
            {"op": "add", "path": "/metadata/labels", "value": {"owner": "web"}},
            {"op": "replace", "path": "/spec/containers/0/image", "value": "r.example/nginx:1"},
            {"op": "add", "path": "/spec/containers/1", "value": {"image": "r.example/proxy:1", "name": "proxy"}},
        ])
    );
    assert_eq!(mutation.object().location().unwrap().to_string(), "t.yaml:1:1");
}

#[test]
fn what_cannot_be_mutated_says_where_and_why() {
    let set = set(&[mutator("Assign", "m", "spec.l[name: x].v", json!({"assign": {"value": 1}}))]);
    let text =
        "apiVersion: shop.example/v1\nkind: Gizmo\nmetadata: {name: g, namespace: shop}\nspec:\n  l: none\n";
    let object = Object::from_document(documents(text).remove(0)).unwrap();
    let error = set.mutate(&Mutable::new(object), MutationLimits::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Gizmo shop/g cannot be mutated by Assign/m: expected a list, found string `none` (at `spec.l`)"
    );
    assert_eq!(
        Error::from(error).to_string(),
        "t.yaml:5:6: Gizmo shop/g: the object cannot be mutated by Assign/m: expected a list, found string `none` (at `spec.l`)"
    );
}

#[test]
fn all_mistakes_of_a_mutator_are_told_at_their_places() {
    let text = r#"
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: wrong}
spec:
  applyTo:
  - {groups: [""], kinds: [Pod], operations: [CREATE, DELETE]}
  match: {scope: cluster}
  location: "spec.containers[name: *"
  parameters:
    assign: {value: 9007199254740993, fromMetadata: {field: name}}
    pathTests:
    - {subPath: spec, condition: MustBe}
"#;
    let (set, errors) = MutatorSet::compile(documents(text));
    assert!(set.is_empty());
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "t.yaml:7:5: Assign/wrong: `versions` must name at least one (at `spec.applyTo[0]`); an entry needs `groups`, `versions` and `kinds`; the group of Pods is \"\"",
            "t.yaml:7:55: Assign/wrong: expected one of `CREATE`, `UPDATE`, `*`, found string `DELETE` (at `spec.applyTo[0].operations[1]`)",
            "t.yaml:8:18: Assign/wrong: expected one of `*`, ``, `Cluster`, `Namespaced`, found string `cluster` (at `spec.match.scope`); did you mean `Cluster`?",
            "t.yaml:9:37: Assign/wrong: `spec.containers[name: *` is no location: expected `]`, found its end (at `spec.location`)",
            "t.yaml:11:13: Assign/wrong: only one of `value`, `fromMetadata` and `externalData` can be assigned (at `spec.parameters.assign`)",
            "t.yaml:13:34: Assign/wrong: expected one of `MustExist`, `MustNotExist`, found string `MustBe` (at `spec.parameters.pathTests[0].condition`)",
        ]
    );
}

#[test]
fn who_does_not_use_mutators_is_told_that_they_are_not_supported() {
    let text = "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {name: m}\nspec: {location: 'spec['}\n";
    let (resource, errors) = Resource::read(&documents(text)[0]);
    assert!(matches!(resource, Some(Resource::Unsupported(_))));
    assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::Unsupported]);
}

#[test]
fn what_was_good_stays_in_force_when_its_update_fails() {
    let good = mutator("Assign", "m", "spec.x", json!({"assign": {"value": "v"}}));
    let bad = mutator("Assign", "m", "spec.x[", json!({"assign": {"value": "v"}}));
    let unread = mutator("Assign", "m", "spec.x", json!({"assign": {"vaule": "v"}}));
    let mut store = MutatorStore::new();
    for (value, is_good) in [(&good, true), (&bad, false), (&unread, false)] {
        let (resource, mut errors) = Resource::read_for(&document(value), Uses::POLICIES.with_mutators(true));
        errors.extend(resource.map(|resource| store.upsert(&resource)).unwrap_or_default());
        assert_eq!(errors.is_empty(), is_good, "{errors:?}");
    }
    assert_eq!(mutate(&store.snapshot(), &gizmo(json!({}))).unwrap()["spec"]["x"], "v");
}

/// A file of cases: `testdata/README.md` says what is in one.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[expect(dead_code, reason = "for readers")]
    about: String,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    mutators: String,
    object: Option<String>,
    #[serde(default)]
    changes: Vec<String>,
    error: Option<String>,
    #[serde(default)]
    problems: Vec<String>,
}

#[test]
fn cases_of_mutation_come_out_as_they_say() {
    let folder = portcullis_testkit::testdata().join("mutation");
    let mut failures = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let cases: Cases = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for case in cases.cases {
            let (set, problems) = MutatorSet::compile(Document::read_all("mutators.yaml", &case.mutators).0);
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let object = case.object.map(|text| Object::from_document(documents(&text).remove(0)).unwrap());
            let mutated =
                object.map(|object| set.mutate(&Mutable::new(object), MutationLimits::default(), None));
            let (changes, error) = match &mutated {
                None => (Vec::new(), None),
                Some(Err(error)) => (Vec::new(), Some(error.to_string())),
                Some(Ok(mutation)) => {
                    let place =
                        |location: portcullis::Location| format!("{}:{}", location.line(), location.column());
                    let told = mutation.changes().iter();
                    (
                        told.map(|change| format!("{} {change}", place(change.location().unwrap())))
                            .collect(),
                        None,
                    )
                }
            };
            if (&changes, &error, &problems) != (&case.changes, &case.error, &case.problems) {
                failures.push(format!("{}: {changes:#?} {error:?} {problems:#?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Found by fuzzing: a tag that is no key of the text, but one of the object.
#[test]
fn a_field_whose_key_stands_nowhere_is_told_of_at_its_object() {
    let text = "apiVersion: mutations.gatekeeper.sh/v1\nkind: ModifySet\nmetadata: {name: s}\nspec:\n  applyTo: [{!!V &groups: [\"\"], versions: [v1], kinds: [Pod]}]\n  location: spec.a\n  parameters: {values: {fromList: [x]}}\n";
    let (_, problems) = MutatorSet::compile(Document::read_all("m.yaml", text).0);
    let unknown = problems.iter().find(|problem| problem.kind() == ErrorKind::UnknownField);
    let line = unknown.and_then(Error::location).map(portcullis::Location::line);
    assert_eq!(line, Some(5), "{problems:?}");
}
