//! Does a review stay as cheap when more constraints do not concern the object?

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::{Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};

const TEMPLATE: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: always}
spec:
  crd: {spec: {names: {kind: Always}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package always
      violation[{"msg": "always"}] { true }
"#;

fn policies(others: usize) -> PolicySet {
    use std::fmt::Write as _;
    let mut text = TEMPLATE.to_owned();
    for index in 0..=others {
        let kind = if index == 0 { "Pod".to_owned() } else { format!("Kind{index}") };
        let _ = write!(
            text,
            "---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Always\nmetadata: {{name: c{index}}}\nspec: {{match: {{kinds: [{{apiGroups: ['*'], kinds: [{kind}]}}]}}}}\n"
        );
    }
    let (documents, _) = Document::read_all("policies.yaml", &text);
    let (policies, errors) = PolicySet::compile(documents);
    assert!(errors.is_empty(), "{errors:?}");
    policies
}

fn match_index(criterion: &mut Criterion) {
    let pod = serde_pod();
    let inventory = Inventory::empty();
    let mut group = criterion.benchmark_group("match_index/one-applies");
    for others in [0, 100, 10_000] {
        let policies = policies(others);
        let review = Review::from_object(pod.clone());
        group.bench_function(format!("{others}-others"), |bencher| {
            bencher.iter(|| policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook));
        });
    }
    group.finish();
}

fn serde_pod() -> Object {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: []}}";
    let (documents, _) = Document::read_all("pod.yaml", text);
    let mut objects = documents.into_iter().filter_map(|document| Object::from_document(document).ok());
    match objects.next() {
        Some(object) => object,
        None => unreachable!("a constant pod is an object"),
    }
}

criterion_group!(benches, match_index);
criterion_main!(benches);
