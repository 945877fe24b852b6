//! Any lines as the expressions of a template in CEL: compiling and evaluating end without a panic and soon, within
//! small limits, and the second time, and where nobody counts, with the same result. Every problem has its place in the text; what has an
//! error is never a pass.
//!
//! The first letter of a line says what the rest of it is: `v` a variable (`v0`, `v1`, …), `c` a match condition,
//! `m` the message of the validation before, anything else a validation.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis::{
    Counting, Decision, Document, EnforcementPoint, EvaluationLimits, Inventory, Object, PolicySet, Review, Severity, World,
};
use serde_json::{Value, json};

const LIMITS: EvaluationLimits =
    EvaluationLimits { steps: 100_000, memory: 4 << 20, depth: 64, output: 64 << 10 };

fuzz_target!(|text: &str| {
    let (mut variables, mut conditions, mut validations) = (Vec::new(), Vec::new(), Vec::<Value>::new());
    for line in text.lines() {
        let rest = line.get(1..).unwrap_or_default();
        match line.as_bytes().first() {
            Some(b'v') => variables.push(json!({"name": format!("v{}", variables.len()), "expression": rest})),
            Some(b'c') => conditions.push(json!({"name": format!("c{}", conditions.len()), "expression": rest})),
            Some(b'm') => {
                if let Some(last) = validations.last_mut() {
                    last["messageExpression"] = rest.into();
                }
            }
            _ => validations.push(json!({"expression": line})),
        }
    }
    let source = json!({"variables": variables, "matchCondition": conditions, "validations": validations});
    let template = json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "p"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "P"}}},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "code": [{"engine": "K8sNativeValidation", "source": source}]
            }]
        }
    });
    let constraint =
        json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "P", "metadata": {"name": "it"}});
    let texts = [template.to_string(), constraint.to_string()];
    let started = Instant::now();
    let documents = texts.iter().flat_map(|text| Document::read_all("p.json", text).0);
    let (policies, problems) = PolicySet::compile(documents);
    for problem in &problems {
        let location = problem.location().expect("a problem of a policy has a position");
        let range = location.range();
        assert!(location.source().text().get(range.start as usize..range.end as usize).is_some(), "{problem}");
    }
    let is_wrong = problems.iter().any(|problem| problem.severity() == Severity::Error);
    assert_eq!(policies.constraints().count(), usize::from(!is_wrong), "{problems:?}");
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "a", "image": "b"}], "n": 3, "f": 2.0},
    });
    let review = Review::from_object(Object::from_json(&object).expect("a constant pod"));
    let inventory = Inventory::empty();
    let judge = |counting| {
        let world = World::new(&inventory).with_limits(LIMITS).with_counting(counting);
        let outcome = policies.review(&review, &world, EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        (decision.allowed(), decision.denials(), decision.warnings())
    };
    let first = judge(Counting::Always);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(first.0, first.1.is_empty());
    assert_eq!(first, judge(Counting::Always));
    assert_eq!(first, judge(Counting::NearLimits));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
});
