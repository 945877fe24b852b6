//! What does loading policies cost, all of them and one more?

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use portcullis::{Change, PolicySet, PolicyStore, Resource};

fn compile(criterion: &mut Criterion) {
    let documents = portcullis_benches::library();
    let templates = documents.len();
    criterion.bench_function(&format!("compile/batch/{templates}-documents"), |bencher| {
        bencher.iter_batched(|| documents.clone(), PolicySet::compile, BatchSize::LargeInput);
    });

    let resources: Vec<Resource> =
        documents.iter().filter_map(|document| Resource::read(document).0).collect();
    let constraint = resources.iter().find(|resource| matches!(resource, Resource::Constraint(_))).cloned();
    let Some(constraint) = constraint else { return };
    let mut store = PolicyStore::new();
    for resource in resources {
        store.apply(Change::Upsert(resource));
    }
    criterion.bench_function("compile/one-constraint-changes", |bencher| {
        bencher.iter(|| {
            store.apply(Change::Upsert(constraint.clone()));
            store.snapshot()
        });
    });
}

criterion_group!(benches, compile);
criterion_main!(benches);
