//! What does a change of the inventory cost, in a small cache and in a large one?

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::{Document, InventoryStore, Object};

fn objects(text: &str) -> Vec<Object> {
    let (documents, _) = Document::read_all("generated.yaml", text);
    documents.into_iter().filter_map(|document| Object::from_document(document).ok()).collect()
}

fn inventory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inventory/upsert-and-snapshot");
    for count in [100, 10_000, 100_000] {
        let text = portcullis_benches::manifests(count, 7);
        // Each of them once more, and different: what is told of again as it was changes nothing.
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

criterion_group!(benches, inventory);
criterion_main!(benches);
