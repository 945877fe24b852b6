//! How fast are manifests read, with the position of every node?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis::Document;

fn documents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("documents");
    for count in [10, 1000] {
        let text = portcullis_benches::manifests(count, 7);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("yaml/{count}"), |bencher| {
            bencher.iter(|| Document::read_all("generated.yaml", &text));
        });
    }
    group.finish();
}

criterion_group!(benches, documents);
criterion_main!(benches);
