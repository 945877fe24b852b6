//! What variables of CEL came to is taken over by other evaluations: none of them says or costs anything else for
//! it, wherever its limits are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use portcullis::{Counting, EnforcementPoint, EvaluationLimits, Inventory, Outcome, PolicySet, World};
use portcullis_testkit::builders::{constraint, pod, policies, review};
use portcullis_testkit::harness::render;
use proptest::prelude::*;
use serde_json::{Value, json};

fn template(kind: &str, variables: &[(&str, &str)], validation: &str, message: &str) -> Value {
    let variables: Vec<Value> =
        variables.iter().map(|(name, text)| json!({"name": name, "expression": text})).collect();
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}, "validation": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "code": [{"engine": "K8sNativeValidation", "source": {
                "variables": variables,
                "validations": [{"expression": validation, "messageExpression": message}],
            }}]}],
        },
    })
}

/// Variables of every kind: of the object, of the constraint, of both, of each other, some that are read in one
/// branch only, some that fail.
const VARIABLES: &[(&str, &str)] = &[
    ("containers", "has(variables.anyObject.spec.containers) ? variables.anyObject.spec.containers : []"),
    ("images", "variables.containers.map(c, c.image)"),
    ("allowed", "has(variables.params.allowed) ? variables.params.allowed.map(a, a + '/') : []"),
    ("many", "variables.images + variables.images + variables.images"),
    ("failing", "variables.anyObject.spec.missing.field"),
    ("wide", "variables.allowed.map(a, variables.allowed.map(b, a + b))"),
    ("bad", "variables.images.filter(i, !variables.allowed.exists(a, i.startsWith(a)))"),
    ("branch", "size(variables.images) > 1 ? size(variables.many) : size(variables.wide)"),
    ("either", "variables.failing == 1 || size(variables.bad) >= 0"),
    ("namespace", "namespaceObject == null ? 'none' : namespaceObject.metadata.name"),
];

const VALIDATION: &str = "variables.either && variables.branch < 0 || size(variables.bad) == 0";
const MESSAGE: &str =
    "variables.bad.join(', ') + ' of ' + string(size(variables.many)) + ' in ' + variables.namespace";

fn documents() -> Vec<Value> {
    // The second has the same variables in another order, with one of another text that has a known name.
    let mut others: Vec<(&str, &str)> = VARIABLES.to_vec();
    others.swap(1, 2);
    if let Some(many) = others.iter_mut().find(|(name, _)| *name == "many") {
        many.1 = "variables.images + variables.images";
    }
    let spec = |allowed: &Value| json!({"parameters": {"allowed": allowed}});
    vec![
        template("First", VARIABLES, VALIDATION, MESSAGE),
        template("Second", &others, VALIDATION, MESSAGE),
        constraint("First", "one", &spec(&json!(["a"]))),
        constraint("First", "two", &spec(&json!(["b", "c", "d"]))),
        constraint("Second", "one", &spec(&json!(["a", "b"]))),
        // What they say of what is allowed is the same, whoever says it.
        constraint("First", "same", &json!({"parameters": {"allowed": ["a"], "other": 1}})),
        constraint("Second", "same", &spec(&json!(["a"]))),
    ]
}

/// What one constraint says, and what that cost.
fn said(mut outcome: Outcome, key: &str) -> String {
    outcome.results.retain(|result| result.key().to_string() == key);
    assert_eq!(outcome.results.len(), 1, "{key}");
    let steps: Vec<u64> = outcome.results.iter().filter_map(|result| result.steps).collect();
    format!("{steps:?} {}", render(&outcome))
}

fn alone(kind: &str, name: &str) -> PolicySet {
    let wanted = documents().into_iter().filter(|document| {
        let of_kind = document["spec"]["crd"]["spec"]["names"]["kind"] == kind;
        of_kind || document["kind"] == kind && document["metadata"]["name"] == name
    });
    policies(&wanted.collect::<Vec<_>>())
}

fn pods() -> Vec<Value> {
    let mut two = pod("shop", "two", "a/x:1");
    two["spec"]["containers"] = json!([{"name": "x", "image": "a/x:1"}, {"name": "y", "image": "b/y:2"}]);
    vec![
        pod("shop", "one", "a/x:1"),
        two,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "none"}}),
    ]
}

/// The limits of the property are of some use: they are met.
#[test]
fn few_steps_and_little_memory_are_not_enough() {
    let inventory = Inventory::default();
    let all = policies(&documents());
    for (limits, limit) in [
        (EvaluationLimits { steps: 20, ..EvaluationLimits::default() }, "(limit `steps`)"),
        (EvaluationLimits { memory: 1000, ..EvaluationLimits::default() }, "(limit `memory`)"),
    ] {
        let world = World::new(&inventory).with_limits(limits);
        let outcome = all.review(&review(&pods()[1]), &world, EnforcementPoint::Webhook);
        assert!(said(outcome, "First/two").contains(limit), "{limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_evaluation_says_and_costs_the_same_whatever_was_evaluated_before(
        steps in prop_oneof![0_u64..400, Just(1_000_000)],
        memory in prop_oneof![0_u64..20_000, Just(32 << 20)],
    ) {
        let inventory = Inventory::default();
        let limits = EvaluationLimits { steps, memory, ..EvaluationLimits::default() };
        let world = World::new(&inventory).with_limits(limits);
        let ample = World::new(&inventory);
        let all = policies(&documents());
        for pod in pods() {
            let review = review(&pod);
            // So that everything is there that can be taken over from one review for the next.
            for _ in 0..3 {
                let _ = all.review(&review, &ample, EnforcementPoint::Webhook);
            }
            let together = all.review(&review, &world, EnforcementPoint::Webhook);
            let constraints =
                [("First", "one"), ("First", "two"), ("First", "same"), ("Second", "one"), ("Second", "same")];
            for (kind, name) in constraints {
                let key = format!("{kind}/{name}");
                let by_itself = alone(kind, name).review(&review, &world, EnforcementPoint::Webhook);
                prop_assert_eq!(said(together.clone(), &key), said(by_itself, &key));
            }
            // Where nobody counts, limits are what they are.
            let uncounted = world.with_counting(Counting::NearLimits);
            for _ in 0..2 {
                let uncounted = all.review(&review, &uncounted, EnforcementPoint::Webhook);
                prop_assert_eq!(render(&together), render(&uncounted));
            }
        }
    }
}
