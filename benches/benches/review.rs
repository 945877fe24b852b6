//! What does one review cost, and how does it grow with the inventory?

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use portcullis::{Decision, EnforcementPoint, Inventory, Review, World};

fn review(criterion: &mut Criterion) {
    let policies = portcullis_benches::compiled_library();
    let mut group = criterion.benchmark_group("review/library");
    for count in [100, 400] {
        let objects = portcullis_benches::objects(count, 7);
        let inventory: Inventory = objects.iter().cloned().collect();
        let world = World::new(&inventory);
        let reviews: Vec<Review> = objects.into_iter().map(Review::from_object).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.sample_size(10);
        group.bench_function(format!("{count}-objects"), |bencher| {
            bencher.iter_batched(
                || &reviews,
                |reviews| {
                    let denied = reviews.iter().filter(|review| {
                        let outcome = policies.review(review, &world, EnforcementPoint::Audit);
                        !Decision::from(&outcome).allowed()
                    });
                    denied.count()
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, review);
criterion_main!(benches);
