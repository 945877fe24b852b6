//! What does a change of the inventory cost, in a small cache and in a large one?

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::InventoryStore;

fn inventory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inventory/upsert-and-snapshot");
    for count in [100, 10_000, 100_000] {
        let objects = portcullis_benches::objects(count, 7);
        let mut store = InventoryStore::new();
        objects.iter().cloned().for_each(|object| store.upsert(object));
        let mut next = objects.iter().cycle();
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
