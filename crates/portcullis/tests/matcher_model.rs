//! What `spec.match` means, written down a second time as plainly as can be, and compared with the engine on
//! random objects and random criteria. Since the engine asks its index first, this also shows that the index
//! drops nothing.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "a panic is how a test says that it fails")]

use portcullis::{
    Document, EnforcementPoint, Inventory, Object, ObjectSource, PolicySet, Resource, Review, Verdict, World,
};
use portcullis_testkit::builders::{ALWAYS, constraint, document, object, template};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// Whether a constraint applies; none if that is not known.
type Applies = Option<bool>;

struct Subject<'a> {
    object: &'a Value,
    home: Home<'a>,
    generated: bool,
}

/// Where an object lives, and its Namespace if that is known. A Namespace of the core group lives in none.
#[derive(Clone, Copy)]
enum Home<'a> {
    Cluster,
    Named(&'a str, Option<&'a Value>),
    Unnamed,
}

/// Which kinds of these tests live in a namespace; of those of example.com nobody says.
fn is_namespaced(object: &Value) -> Option<bool> {
    match group_kind(object) {
        ("", "Pod") | ("apps", "Deployment") => Some(true),
        ("", "Node" | "Namespace") => Some(false),
        _ => None,
    }
}

/// Where an object lives that is in a file: as an API server would have it, with kubectl's `default`.
fn home_in_file<'a>(object: &'a Value, namespaces: &'a [Value]) -> Home<'a> {
    let own = text(&object["metadata"]["namespace"]);
    match is_namespaced(object) {
        Some(false) => Home::Cluster,
        Some(true) if own.is_empty() => Home::Named("default", known(namespaces, "default")),
        None if own.is_empty() => Home::Cluster,
        _ => Home::Named(own, known(namespaces, own)),
    }
}

/// Where the objects of a request live: as the request says, of which the kind of the first may know better.
fn home_in_request<'a>(object: &'a Value, requested: &'a str, namespaces: &'a [Value]) -> Home<'a> {
    let own = text(&object["metadata"]["namespace"]);
    match is_namespaced(object) {
        Some(false) => Home::Cluster,
        _ if !requested.is_empty() => Home::Named(requested, known(namespaces, requested)),
        None => Home::Cluster,
        Some(true) if own.is_empty() => Home::Unnamed,
        Some(true) => Home::Named(own, known(namespaces, own)),
    }
}

/// The model: criteria in their order, the first that does not hold ends it.
fn applies(wanted: &Value, subject: &Subject<'_>) -> Applies {
    let object = subject.object;
    let (group, kind) = group_kind(object);
    let is_namespace = group.is_empty() && kind == "Namespace";

    let kinds = list(&wanted["kinds"]);
    let lists = |names: &Value, name: &str| {
        let names = list(names);
        names.is_empty() || names.iter().any(|listed| *listed == "*" || *listed == name)
    };
    if !kinds.is_empty()
        && !kinds.iter().any(|entry| lists(&entry["kinds"], kind) && lists(&entry["apiGroups"], group))
    {
        return Some(false);
    }

    let in_namespace = !is_namespace && !matches!(subject.home, Home::Cluster);
    match text(&wanted["scope"]) {
        "Cluster" if in_namespace => return Some(false),
        "Namespaced" if !in_namespace => return Some(false),
        _ => {}
    }

    let candidate = match subject.home {
        _ if is_namespace => Some(text(&object["metadata"]["name"])),
        Home::Named(name, _) => Some(name),
        Home::Cluster | Home::Unnamed => None,
    };
    let (included, excluded) = (list(&wanted["namespaces"]), list(&wanted["excludedNamespaces"]));
    let any = |globs: &[Value], name: &str| globs.iter().any(|pattern| glob(text(pattern), name));
    let all = |globs: &[Value]| globs.iter().any(|pattern| matches!(text(pattern), "*" | "**"));
    match (candidate, subject.home) {
        (Some(name), _) => {
            if (!included.is_empty() && !any(included, name)) || any(excluded, name) {
                return Some(false);
            }
        }
        (None, Home::Unnamed) if !is_namespace => {
            if all(excluded) {
                return Some(false);
            }
            if !excluded.is_empty() || !(included.is_empty() || all(included)) {
                return None;
            }
        }
        (None, _) => {}
    }

    if !selects(&wanted["labelSelector"], object) {
        return Some(false);
    }
    if !wanted["namespaceSelector"].is_null() {
        let labelled = match subject.home {
            _ if is_namespace => Some(object),
            Home::Cluster => None,
            Home::Named(_, Some(namespace)) => Some(namespace),
            Home::Named(_, None) | Home::Unnamed => return None,
        };
        if labelled.is_some_and(|labelled| !selects(&wanted["namespaceSelector"], labelled)) {
            return Some(false);
        }
    }

    let pattern = text(&wanted["name"]);
    let generate_name = text(&object["metadata"]["generateName"]);
    let named = pattern.is_empty()
        || glob(pattern, text(&object["metadata"]["name"]))
        || (pattern.ends_with('*') && !generate_name.is_empty() && glob(pattern, generate_name));
    if !named {
        return Some(false);
    }
    Some(match text(&wanted["source"]) {
        "Original" => !subject.generated,
        "Generated" => subject.generated,
        _ => true,
    })
}

/// Either object is enough; what is not known of the first is not saved by the second.
fn either_applies(wanted: &Value, subjects: &[Subject<'_>]) -> Applies {
    for subject in subjects {
        match applies(wanted, subject) {
            Some(false) => {}
            decided => return decided,
        }
    }
    Some(false)
}

fn group_kind(object: &Value) -> (&str, &str) {
    let api_version = text(&object["apiVersion"]);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    (group, text(&object["kind"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn glob(pattern: &str, name: &str) -> bool {
    let front = pattern.starts_with('*');
    let back = pattern.ends_with('*');
    let bare = pattern.trim_matches('*');
    match (front, back) {
        (true, true) => name.contains(bare),
        (true, false) => name.ends_with(bare),
        (false, true) => name.starts_with(bare),
        (false, false) => name == pattern,
    }
}

fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let no_labels = Map::new();
    let equal = selector["matchLabels"].as_object().unwrap_or(&no_labels);
    equal.iter().all(|(key, value)| labels[key] == *value)
        && list(&selector["matchExpressions"]).iter().all(|expression| {
            let label = &labels[text(&expression["key"])];
            let listed = list(&expression["values"]).contains(label);
            match text(&expression["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => !label.is_null(),
                "DoesNotExist" => label.is_null(),
                other => panic!("no operator {other}"),
            }
        })
}

const NAMES: &[&str] = &["a", "ab", "b", "kube-a"];
const GLOBS: &[&str] = &["a", "a*", "*b", "*", "**", "*a*", "kube-*", "ab"];

fn labels() -> impl Strategy<Value = Value> {
    let label = |key: &'static str| (Just(key), proptest::option::of(select(vec!["x", "y", ""])));
    (label("k"), label("l")).prop_map(|labels| {
        let present =
            [labels.0, labels.1].into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?))));
        Value::Object(present.collect())
    })
}

fn objects() -> impl Strategy<Value = Value> {
    let kinds = vec![
        ("v1", "Pod"),
        ("v1", "Node"),
        ("v1", "Namespace"),
        ("apps/v1", "Deployment"),
        ("example.com/v1", "Pod"),
        ("example.com/v1", "Namespace"),
    ];
    let name = || select(NAMES.to_vec());
    (select(kinds), name(), proptest::option::of(name()), any::<bool>(), labels()).prop_map(
        |((api_version, kind), name, namespace, generate, labels)| {
            let mut metadata = json!({"labels": labels});
            metadata[if generate { "generateName" } else { "name" }] = json!(name);
            if let Some(namespace) = namespace {
                metadata["namespace"] = json!(namespace);
            }
            json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
        },
    )
}

fn selectors() -> impl Strategy<Value = Value> {
    let values = || subsequence(vec!["x", "y", ""], 1..=2);
    let expression =
        (select(vec!["k", "l"]), select(vec!["In", "NotIn", "Exists", "DoesNotExist"]), values()).prop_map(
            |(key, operator, values)| match operator {
                "In" | "NotIn" => json!({"key": key, "operator": operator, "values": values}),
                _ => json!({"key": key, "operator": operator}),
            },
        );
    (proptest::option::of(select(vec!["x", "y", ""])), proptest::collection::vec(expression, 0..2)).prop_map(
        |(label, expressions)| {
            let mut selector = json!({});
            if let Some(value) = label {
                selector["matchLabels"] = json!({"k": value});
            }
            if !expressions.is_empty() {
                selector["matchExpressions"] = json!(expressions);
            }
            selector
        },
    )
}

fn criteria() -> impl Strategy<Value = Value> {
    let groups = || subsequence(vec!["", "apps", "example.com", "*"], 0..=2);
    let kinds = || subsequence(vec!["Pod", "Node", "Namespace", "Deployment", "*"], 0..=2);
    let entry =
        (proptest::option::of(groups()), proptest::option::of(kinds())).prop_map(|(groups, kinds)| {
            let mut entry = json!({});
            if let Some(groups) = groups {
                entry["apiGroups"] = json!(groups);
            }
            if let Some(kinds) = kinds {
                entry["kinds"] = json!(kinds);
            }
            entry
        });
    let globs = || proptest::option::weighted(0.3, subsequence(GLOBS.to_vec(), 0..=2));
    (
        proptest::option::of(proptest::collection::vec(entry, 0..3)),
        proptest::option::weighted(0.3, select(vec!["*", "", "Cluster", "Namespaced"])),
        globs(),
        globs(),
        proptest::option::weighted(0.3, selectors()),
        proptest::option::weighted(0.3, selectors()),
        proptest::option::weighted(0.3, select([GLOBS, &[""]].concat())),
        proptest::option::weighted(0.3, select(vec!["All", "Original", "Generated"])),
    )
        .prop_map(|(kinds, scope, namespaces, excluded, labels, namespace_labels, name, source)| {
            let fields = [
                ("kinds", kinds.map(|kinds| json!(kinds))),
                ("scope", scope.map(|scope| json!(scope))),
                ("namespaces", namespaces.map(|globs| json!(globs))),
                ("excludedNamespaces", excluded.map(|globs| json!(globs))),
                ("labelSelector", labels),
                ("namespaceSelector", namespace_labels),
                ("name", name.map(|name| json!(name))),
                ("source", source.map(|source| json!(source))),
            ];
            let given = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            Value::Object(given.collect())
        })
}

fn policies(criteria: &[Value]) -> PolicySet {
    let constraints = criteria
        .iter()
        .enumerate()
        .map(|(number, wanted)| constraint("Always", &format!("c{number}"), &json!({"match": wanted})));
    let documents: Vec<Document> =
        [template("Always", ALWAYS)].into_iter().chain(constraints).map(|it| document(&it)).collect();
    let (policies, errors) = PolicySet::compile(documents);
    assert!(errors.is_empty(), "{errors:?}");
    policies
}

/// What the engine says of each constraint, in the order of the criteria.
fn engine(policies: &PolicySet, number: usize, review: &Review, inventory: &Inventory) -> Vec<Applies> {
    let outcome = policies.review(review, &World::new(inventory), EnforcementPoint::Webhook);
    let verdict = |number: usize| {
        let name = format!("c{number}");
        outcome.results.iter().find(|result| *result.key().name == *name).map(|result| &result.verdict)
    };
    (0..number)
        .map(|number| match verdict(number) {
            None => Some(false),
            Some(Verdict::Violations(_) | Verdict::Excepted { .. }) => Some(true),
            Some(Verdict::Error(_)) => None,
            Some(Verdict::Pass) => panic!("a violation that always holds does not hold"),
        })
        .collect()
}

/// The Namespaces `a` and `ab` of a small cluster, with labels; `b` and `kube-a` are not known.
fn cluster(labels: &[Value; 2]) -> Vec<Value> {
    ["a", "ab"]
        .iter()
        .zip(labels)
        .map(|(name, labels)| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
        .collect()
}

/// A Namespace by name, looked up as the engine should.
fn known<'a>(namespaces: &'a [Value], name: &str) -> Option<&'a Value> {
    namespaces.iter().find(|namespace| namespace["metadata"]["name"] == name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn objects_are_matched_as_the_model_says(
        criteria in proptest::collection::vec(criteria(), 1..8),
        object_value in objects(),
        labels in [labels(), labels()],
        generated in any::<bool>(),
    ) {
        let namespaces = cluster(&labels);
        let inventory: Inventory = namespaces.iter().map(object).collect();
        let source = if generated { ObjectSource::Generated } else { ObjectSource::Original };
        let review = Review::from_object(object(&object_value)).with_source(source);
        let subject = Subject { object: &object_value, home: home_in_file(&object_value, &namespaces), generated };
        let expected: Vec<_> = criteria.iter().map(|wanted| applies(wanted, &subject)).collect();
        let found = engine(&policies(&criteria), criteria.len(), &review, &inventory);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn updates_are_matched_by_either_object(
        criteria in proptest::collection::vec(criteria(), 1..8),
        new in objects(),
        old in objects(),
        requested in proptest::option::of(select(NAMES.to_vec())),
        labels in [labels(), labels()],
    ) {
        let namespaces = cluster(&labels);
        let inventory: Inventory = namespaces.iter().map(object).collect();
        // The request says which namespace it is in; both objects share it.
        let request = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {"operation": "UPDATE", "namespace": requested, "object": new, "oldObject": old},
        });
        let (Some(Resource::AdmissionReview(admission)), _) = Resource::read(&document(&request)) else {
            panic!("{request} is no request");
        };
        let review = Review::from_admission(&admission).unwrap();
        let home = home_in_request(&new, requested.unwrap_or_default(), &namespaces);
        let subjects = [&new, &old].map(|object| Subject { object, home, generated: false });
        let expected: Vec<_> = criteria.iter().map(|wanted| either_applies(wanted, &subjects)).collect();
        let found = engine(&policies(&criteria), criteria.len(), &review, &inventory);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn the_model_is_not_trivial() {
    let object_value =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}});
    let subject = Subject { object: &object_value, home: Home::Named("b", None), generated: false };
    assert_eq!(applies(&json!({}), &subject), Some(true));
    assert_eq!(applies(&json!({"kinds": [{"kinds": ["Node"]}]}), &subject), Some(false));
    assert_eq!(applies(&json!({"namespaceSelector": {}}), &subject), None);
    let unnamed = Subject { object: &object_value, home: Home::Unnamed, generated: false };
    assert_eq!(applies(&json!({"namespaces": ["a"]}), &unnamed), None);
    assert_eq!(applies(&json!({"scope": "Namespaced"}), &unnamed), Some(true));
    let _: Object = object(&object_value);
}
