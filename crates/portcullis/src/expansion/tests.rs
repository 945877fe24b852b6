//! Bounds, what is said in Gatekeeper's words, and workloads without templates.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bounds::MAX_RESULTANTS;
use super::{Expansion, ExpansionChange, ExpansionSet, ExpansionStore};
use crate::api::{Resource, Uses};
use crate::document::Document;
use crate::error::ErrorKind;
use crate::mutation::MutatorStore;
use crate::object::Object;

fn template(name: &str, from: &str, to: &str, source: &str) -> Resource {
    let (group, kind) = from.split_once('/').unwrap();
    let (to_group, to_kind) = to.split_once('/').unwrap();
    let text = json!({
        "apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": name},
        "spec": {
            "applyTo": [{"groups": [group], "versions": ["v1"], "kinds": [kind]}], "templateSource": source,
            "generatedGVK": {"group": to_group, "version": "v1", "kind": to_kind},
        },
    });
    let (documents, _) = Document::read_all("t.json", &text.to_string());
    Resource::read_for(&documents[0], Uses::POLICIES.with_expansions(true)).0.unwrap()
}

fn set(templates: Vec<Resource>) -> ExpansionSet {
    let (set, errors) = ExpansionSet::from_resources(templates);
    assert_eq!(errors, []);
    set
}

/// `spec.next` in `spec.next`, so many times.
fn nested(depth: usize, leaf: &Value) -> Value {
    (0..depth).fold(leaf.clone(), |inner, _| json!({"next": {"spec": inner}}))
}

fn object(kind: &str, spec: Value) -> Object {
    Object::from_json(&json!({"apiVersion": "g/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}))
        .unwrap()
}

/// Far more than it takes without optimisation, and far less than what has no bound.
const GUARD: Duration = Duration::from_secs(10);

#[test]
fn a_tree_of_templates_ends_at_the_number_that_is_allowed() {
    let levels = 29;
    let both = |level: usize| {
        ["a", "b"].map(|branch| {
            let (from, to) = (format!("g/K{level}"), format!("g/K{}", level + 1));
            template(&format!("{branch}-{level:02}"), &from, &to, "spec.next")
        })
    };
    let set = set((0..levels).flat_map(both).collect());
    let started = Instant::now();
    let error = set.expand(&object("K0", nested(levels, &json!({}))), None, None).unwrap_err();
    assert_eq!(error.to_string(), format!("more than {MAX_RESULTANTS} resources are generated of one"));
    assert_eq!(error.to_error().kind(), ErrorKind::Limit);
    assert!(started.elapsed() < GUARD, "{:?}", started.elapsed());
}

#[test]
fn what_is_generated_is_bounded_in_bytes() {
    let many = (0..900).map(|number| template(&format!("t{number:03}"), "g/A", "g/B", "spec")).collect();
    let set = set(many);
    let started = Instant::now();
    let error = set.expand(&object("A", json!({"text": "x".repeat(100_000)})), None, None).unwrap_err();
    assert_eq!(error.to_string(), "more than 32 MiB are generated of one resource");
    let parts: Vec<Value> = (0..100_000).map(|number| json!(number)).collect();
    let error = set.expand(&object("A", json!({"parts": parts})), None, None).unwrap_err();
    assert_eq!(error.to_string(), "more than 32 MiB are generated of one resource");
    assert!(started.elapsed() < GUARD, "{:?}", started.elapsed());
}

#[test]
fn what_mutators_make_of_it_counts() {
    let text = json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": "long"},
        "spec": {
            "applyTo": [{"groups": ["g"], "versions": ["v1"], "kinds": ["Out"]}], "location": "spec.long",
            "parameters": {"assign": {"value": "x".repeat(1 << 20)}},
        },
    });
    let (documents, _) = Document::read_all("m.json", &text.to_string());
    let mut store = MutatorStore::new();
    let mutator = Resource::read_for(&documents[0], Uses::POLICIES.with_mutators(true)).0.unwrap();
    assert_eq!(store.upsert(&mutator), []);
    let mutators = store.snapshot();
    let expand = |number: usize| {
        let all =
            (0..number).map(|number| template(&format!("t{number}"), "g/In", "g/Out", "spec")).collect();
        let set = set(all);
        Expansion::new(&set).with_mutators(&mutators).expand(&object("In", json!({})), None, None)
    };
    assert_eq!(expand(31).unwrap().len(), 31);
    let error = expand(32).unwrap_err();
    assert_eq!(error.to_string(), "more than 32 MiB are generated of one resource");
}

#[test]
fn a_chain_may_have_twenty_nine_links() {
    for (links, ends) in [(29, true), (30, false)] {
        let links = (0..links).map(|level| {
            template(
                &format!("t{level:02}"),
                &format!("g/K{level}"),
                &format!("g/K{}", level + 1),
                "spec.next",
            )
        });
        let result = set(links.collect()).expand(&object("K0", nested(40, &json!({}))), None, None);
        match result {
            Ok(resultants) => assert_eq!((resultants.len(), ends), (29, true)),
            Err(error) => {
                assert_eq!((&*error.to_string(), ends), ("maximum recursion depth of 30 reached", false));
            }
        }
    }
}

#[test]
fn circles_of_thousands_of_templates_are_found_without_recursion() {
    let number = 5_000;
    let mut store = ExpansionStore::new();
    for position in 0..number {
        let next = (position + 1) % number;
        let link =
            template(&format!("t{position}"), &format!("g/K{position}"), &format!("g/K{next}"), "spec");
        store.apply(ExpansionChange::Upsert(link));
    }
    let started = Instant::now();
    assert_eq!(store.snapshot().in_cycles().count(), number);
    assert!(store.snapshot().is_empty());
    store.apply(ExpansionChange::Remove("t17".into()));
    assert_eq!(store.snapshot().in_cycles().count(), 0);
    assert!(started.elapsed() < GUARD, "{:?}", started.elapsed());
}

#[test]
fn gatekeeper_refuses_the_template_that_closes_a_circle() {
    let templates = [
        template("one", "g/A", "g/B", "spec"),
        template("two", "g/B", "g/C", "spec"),
        template("three", "g/C", "g/A", "spec"),
    ];
    let refused = ExpansionStore::refused_by_gatekeeper(&templates).unwrap();
    assert_eq!((&*refused.0, &*refused.1), ("three", "template forms expansion cycle"));
    assert_eq!(ExpansionStore::refused_by_gatekeeper(&templates[..2]), None);
}

fn implied(set: &ExpansionSet, text: &str) -> Vec<(String, String, String)> {
    let object = Object::from_yaml(text).unwrap();
    let resultants = set.expand(&object, None, None).unwrap();
    let shown = |one: &super::Resultant| {
        (one.template().to_owned(), one.object().unwrap().to_string(), one.path().to_string())
    };
    resultants.iter().map(shown).collect()
}

#[test]
fn workloads_become_pods_without_templates() {
    let set = ExpansionSet::empty().with_workloads();
    for (version, kind) in [
        ("v1", "ReplicationController"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
    ] {
        let text = format!(
            "{{apiVersion: {version}, kind: {kind}, metadata: {{name: web}}, spec: {{template: {{}}}}}}"
        );
        let expected =
            ("--expand workloads".to_owned(), "Pod web-pod".to_owned(), "spec.template".to_owned());
        assert_eq!(implied(&set, &text), [expected], "{kind}");
    }
    let cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {jobTemplate: {spec: {template: {}}}}}";
    let [(_, pod, path)] = &*implied(&set, cron) else { panic!("one Pod") };
    assert_eq!((&**pod, &**path), ("Pod web-pod", "spec.jobTemplate.spec.template"));
    assert_eq!(implied(&set, "{apiVersion: v1, kind: Pod, metadata: {name: web}}"), []);
}

#[test]
fn a_kind_of_which_templates_make_pods_is_left_to_them() {
    let cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {jobTemplate: {spec: {template: {}}}}}";
    let pods = |set: &ExpansionSet, text: &str| {
        let implied = implied(&set.with_workloads(), text);
        let pods = implied.iter().filter(|(_, object, _)| object.starts_with("Pod "));
        pods.map(|(by, ..)| by.clone()).collect::<Vec<_>>()
    };
    let own = set(vec![template("own", "apps/Deployment", "/Pod", "spec.template")]);
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {}}}";
    assert_eq!(pods(&own, deployment), ["own"]);
    assert_eq!(pods(&own, cron), ["--expand workloads"]);
    // A template to Jobs, of which Pods are made anyway.
    let to_jobs = set(vec![template("jobs", "batch/CronJob", "batch/Job", "spec.jobTemplate")]);
    assert_eq!(pods(&to_jobs, cron), ["--expand workloads"]);
    let both = set(vec![
        template("jobs", "batch/CronJob", "batch/Job", "spec.jobTemplate"),
        template("pods", "batch/Job", "/Pod", "spec.template"),
    ]);
    assert_eq!(pods(&both, cron), ["pods"]);
}
