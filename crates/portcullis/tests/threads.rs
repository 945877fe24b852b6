//! Snapshots are shared by threads while the store goes on changing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portcullis::{
    Change, ConstraintKey, Decision, Document, EnforcementPoint, Error, Inventory, InventoryStore, Object,
    Outcome, PolicySet, PolicyStore, Resource, Review, TemplateName, World,
};
use portcullis_testkit::builders::{constraint, namespace, object, pod, resource, review, template};
use portcullis_testkit::harness::render;
use serde_json::json;

const fn is_shareable<T: Send + Sync>() {}

/// Fails to compile if one of them stops being so.
const _: () = {
    is_shareable::<PolicySet>();
    is_shareable::<PolicyStore>();
    is_shareable::<Inventory>();
    is_shareable::<InventoryStore>();
    is_shareable::<World<'_>>();
    is_shareable::<Review>();
    is_shareable::<Outcome>();
    is_shareable::<Decision<'_>>();
    is_shareable::<Document>();
    is_shareable::<Object>();
    is_shareable::<Resource>();
    is_shareable::<Error>();
};

/// Says the image of each container, how many Pods the inventory has, and which of them has that image, by an
/// index.
const IMAGES: &str = r#"
violation[{"msg": msg}] {
  image := input.review.object.spec.containers[_].image
  other := data.inventory.namespace[_]["v1"].Pod[name]
  other.spec.containers[_].image == image
  msg := sprintf("image <%v> is that of <%v>", [image, name])
}

violation[{"msg": msg, "details": {"peers": peers}}] {
  image := input.review.object.spec.containers[_].image
  not startswith(image, input.parameters.prefix)
  peers := count([1 | data.inventory.namespace[_]["v1"].Pod[_]])
  msg := sprintf("image <%v> does not begin with <%v>", [image, input.parameters.prefix])
}"#;

fn store() -> PolicyStore {
    let mut store = PolicyStore::new();
    store.apply(Change::Upsert(resource(&template("Images", IMAGES))));
    for name in ["a", "b", "c"] {
        let spec = json!({"parameters": {"prefix": name}, "match": {"namespaceSelector": {"matchLabels": {"team": name}}}});
        store.apply(Change::Upsert(resource(&constraint("Images", name, &spec))));
    }
    store
}

fn inventory(pods: usize) -> Inventory {
    let pods = (0..pods).map(|number| object(&pod("shop", &format!("pod-{number}"), "x")));
    pods.chain(["a", "b", "c"].map(|team| object(&namespace(&format!("ns-{team}"), &json!({"team": team})))))
        .collect()
}

fn reviews() -> Vec<Review> {
    let namespaces = ["ns-a", "ns-b", "ns-c", "ns-unknown", ""];
    let images = ["a/x:1", "b/x:1", "nginx", "x", ""];
    namespaces
        .iter()
        .flat_map(|namespace| images.iter().map(move |image| review(&pod(namespace, "web", image))))
        .collect()
}

fn outcomes(policies: &PolicySet, reviews: &[Review], inventory: &Inventory) -> String {
    let world = World::new(inventory);
    reviews.iter().map(|review| render(&policies.review(review, &world, EnforcementPoint::Webhook))).collect()
}

#[test]
fn a_snapshot_gives_the_same_bytes_in_all_threads_while_the_store_changes() {
    let mut store = store();
    let policies = store.snapshot();
    let inventory = inventory(3);
    let reviews = reviews();
    let expected = outcomes(&policies, &reviews, &inventory);
    assert!(expected.contains("image <nginx> does not begin with <b>"), "{expected}");
    assert!(expected.contains("image <x> is that of <pod-1>"), "{expected}");
    assert!(expected.contains("missing Namespace"), "{expected}");

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (policies, reviews, inventory, expected) =
                    (policies.clone(), &reviews, &inventory, &expected);
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert_eq!(&outcomes(&policies, reviews, inventory), expected);
                    }
                })
            })
            .collect();
        let (done, reviews, inventory) = (&done, &reviews, &inventory);
        let writer = scope.spawn(move || {
            let name = TemplateName::of_kind("Images");
            let key = ConstraintKey { kind: "Images".into(), name: "b".into() };
            while !done.load(Ordering::Relaxed) {
                store.apply(Change::RemoveConstraint(key.clone()));
                drop(outcomes(&store.snapshot(), reviews, inventory));
                store.apply(Change::RemoveTemplate(name.clone()));
                drop(store.snapshot());
                store.apply(Change::Upsert(resource(&template("Images", IMAGES))));
            }
        });
        for reader in readers {
            reader.join().expect("a reader without a panic");
        }
        done.store(true, Ordering::Relaxed);
        writer.join().expect("a writer without a panic");
    });
}

#[test]
fn threads_with_different_inventories_do_not_see_each_others() {
    let policies = store().snapshot();
    let reviews = reviews();
    thread::scope(|scope| {
        for pods in 0..4 {
            let (policies, reviews) = (policies.clone(), &reviews);
            scope.spawn(move || {
                let inventory = inventory(pods);
                for _ in 0..20 {
                    let outcomes = outcomes(&policies, reviews, &inventory);
                    assert!(outcomes.contains(&format!("{{\"peers\":{pods}}}")), "{outcomes}");
                    assert_eq!(
                        outcomes.matches("peers").count(),
                        outcomes.matches(&format!("\"peers\":{pods}")).count()
                    );
                }
            });
        }
    });
}
