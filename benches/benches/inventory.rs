//! What does a change of the inventory cost, in a small cache and in a large one?

#![expect(clippy::expect_used, reason = "a measurement of nothing would be worse")]

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use portcullis::{Document, InventoryStore, Object, PolicySet};

/// Piece by piece: a document that is one file has a limit of nodes.
fn objects(text: &str) -> Vec<Object> {
    let read = |text| {
        let (documents, problems) = Document::read_all("generated.yaml", text);
        assert!(problems.is_empty(), "{problems:?}");
        documents.into_iter().filter_map(|document| Object::from_document(document).ok())
    };
    text.split_inclusive("\n---\n").flat_map(read).collect()
}

fn inventory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inventory/upsert-and-snapshot");
    for count in [100, 10_000, 100_000] {
        let text = portcullis_benches::manifests(count, 7);
        // Each of them once more, and different: what is reported again unchanged changes nothing.
        let changed = text.replace("\n  namespace: ", "\n  annotations: {revision: next}\n  namespace: ");
        let (before, after) = (objects(&text), objects(&changed));
        let mut store = InventoryStore::new();
        before.iter().cloned().for_each(|object| store.upsert(object));
        let mut next = after.iter().chain(&before).cycle();
        group.bench_function(format!("{count}-objects"), |bencher| {
            bencher.iter(|| {
                next.next().cloned().into_iter().for_each(|object| store.upsert(object));
                store.snapshot()
            });
        });
    }
    group.finish();
}

/// What does it cost to have ready what a policy looks up that compares an Ingress with all others: at first,
/// after a change of one of them, and after a change of something else?
fn prepare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inventory/prepare");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    let folder = portcullis_benches::policies_dir().join("general/unique-ingress-hosts");
    let template = std::fs::read_to_string(folder.join("template.yaml")).expect("a template");
    let constraint =
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: UniqueIngressHosts\nmetadata: {name: unique}";
    let text = format!("{template}\n---\n{constraint}\n");
    let (policies, errors) = PolicySet::compile(Document::read_all("policies.yaml", &text).0);
    assert!(policies.constraints().count() == 1, "{errors:?}");
    for count in [1_000, 12_000, 100_000] {
        let text = portcullis_benches::ingresses(count, 7);
        let changed = text.replace("\n  namespace: ", "\n  annotations: {revision: next}\n  namespace: ");
        let (before, after) = (objects(&text), objects(&changed));
        let store = || {
            let mut store = InventoryStore::new();
            before.iter().cloned().for_each(|object| store.upsert(object));
            store
        };
        group.bench_function(format!("{count}-ingresses/first"), |bencher| {
            bencher.iter_batched(
                || store().snapshot(),
                |inventory| inventory.prepare(&policies),
                BatchSize::PerIteration,
            );
        });
        let mut store = store();
        store.snapshot().prepare(&policies);
        let mut next = after.iter().chain(&before).cycle();
        group.bench_function(format!("{count}-ingresses/one-changed"), |bencher| {
            bencher.iter(|| {
                next.next().cloned().into_iter().for_each(|object| store.upsert(object));
                store.snapshot().prepare(&policies);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, inventory, prepare);
criterion_main!(benches);
