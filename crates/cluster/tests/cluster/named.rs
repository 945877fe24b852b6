//! One object, watched by its name, through everything that can go wrong; and what is written to it.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_cluster::{
    Found, Known, NamedWatch, Secret, apply_webhook_configuration, create_secret,
    patch_webhook_configuration, replace_secret, secrets, webhook_configurations,
};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::connect;

const PLURAL: &str = "validatingwebhookconfigurations";

fn configuration(name: &str, mark: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "labels": {"mark": mark}}, "webhooks": [
            {"name": "a", "clientConfig": {"caBundle": "Cg=="}}, {"name": "b", "clientConfig": {}}]})
}

/// Waits until what is known is this.
async fn until(known: &mut Receiver<Known>, holds: impl FnMut(&Known) -> bool) -> Known {
    let found = timeout(Duration::from_mins(1), known.wait_for(holds)).await;
    found.expect("in time").expect("a watch").clone()
}

fn mark(known: &Known) -> Option<&str> {
    match &known.found {
        Found::Unknown => None,
        Found::Absent => Some("absent"),
        Found::Present(object) => object["metadata"]["labels"]["mark"].as_str(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_followed_through_everything_that_goes_wrong() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    server.put(configuration("other", "other"));
    server.fault(Fault::on(Verb::List, PLURAL).times(3).forbidden());
    let watch = NamedWatch::start(&cluster, &webhook_configurations(), None, "gate");
    let mut known = watch.follow();
    let failing = until(&mut known, |known| known.problem.is_some()).await;
    assert!(matches!(failing.found, Found::Unknown));
    assert!(failing.problem.expect("why").contains("answered 403"));
    until(&mut known, |known| mark(known) == Some("absent") && known.problem.is_none()).await;
    server.put(configuration("gate", "1"));
    until(&mut known, |known| mark(known) == Some("1")).await;
    server.put(configuration("other", "2"));
    server.put(configuration("gate", "2"));
    until(&mut known, |known| mark(known) == Some("2")).await;
    // A watch that ends, breaks off, is too old, or is not allowed; an API server that is gone for a while.
    server.end_watches();
    server.put(configuration("gate", "3"));
    until(&mut known, |known| mark(known) == Some("3")).await;
    server.fault(Fault::on(Verb::Watch, PLURAL).times(2).disconnect_after(0));
    server.end_watches();
    server.put(configuration("gate", "4"));
    until(&mut known, |known| mark(known) == Some("4")).await;
    server.fault(Fault::on(Verb::Watch, PLURAL).times(2).error_event(410, "Expired"));
    server.compact();
    server.end_watches();
    server.put(configuration("gate", "5"));
    until(&mut known, |known| mark(known) == Some("5") && known.problem.is_none()).await;
    server.fault(Fault::on(Verb::Watch, PLURAL).always().forbidden());
    server.end_watches();
    let failing = until(&mut known, |known| known.problem.is_some()).await;
    assert_eq!(mark(&failing), Some("5"), "what was known stays");
    // Then lists have to do.
    server.put(configuration("gate", "6"));
    until(&mut known, |known| mark(known) == Some("6")).await;
    server.heal();
    server.fault(Fault::on(Verb::Any, PLURAL).times(20).status(500, "InternalError"));
    server.end_watches();
    server.delete(PLURAL, "", "gate");
    until(&mut known, |known| mark(known) == Some("absent") && known.problem.is_none()).await;
    // Nothing else is ever asked for.
    let asked = server.requests();
    assert!(asked.iter().all(|request| request.query.contains("fieldSelector=metadata.name%3Dgate")));
}

#[tokio::test]
async fn bundles_are_written_to_what_was_seen_and_nothing_else_is_changed() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    server.put(configuration("gate", "1"));
    let seen = server.get(PLURAL, "", "gate").expect("the configuration");
    let bundles = [0, 1].map(|index| (format!("/webhooks/{index}/clientConfig/caBundle"), json!("QQ==")));
    patch_webhook_configuration(&cluster, &webhook_configurations(), &seen, &bundles).await.expect("a write");
    let mut expected = configuration("gate", "1");
    for index in [0, 1] {
        expected["webhooks"][index]["clientConfig"]["caBundle"] = json!("QQ==");
    }
    let written = server.get(PLURAL, "", "gate").expect("the configuration");
    assert_eq!(written["webhooks"], expected["webhooks"]);
    let outdated = patch_webhook_configuration(&cluster, &webhook_configurations(), &seen, &bundles)
        .await
        .expect_err("it was changed");
    assert!(outdated.is_conflict(), "{outdated}");
    let mut wanted = configuration("gate", "2");
    wanted["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"].clone();
    let outdated = apply_webhook_configuration(&cluster, &webhook_configurations(), &wanted)
        .await
        .expect_err("it was changed");
    assert!(outdated.is_conflict(), "{outdated}");
    wanted["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"].clone();
    apply_webhook_configuration(&cluster, &webhook_configurations(), &wanted).await.expect("a write");
    assert_eq!(server.get(PLURAL, "", "gate").expect("it")["metadata"]["labels"]["mark"], "2");
}

#[tokio::test]
async fn of_two_who_write_a_secret_one_is_told_and_nothing_shows_what_is_in_it() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    let texts = BTreeMap::from([("key", "very secret".to_owned())]);
    let (place, labels) = (("default", "ca"), json!({"a": "b"}));
    let create = || create_secret(&cluster, place, "example.com/ca", &labels, &texts);
    create().await.expect("a write");
    let second = create().await.expect_err("it is there");
    assert!(second.is_conflict(), "{second}");
    let watch = NamedWatch::start(&cluster, &secrets(), Some("default"), "ca");
    let known = until(&mut watch.follow(), |known| matches!(known.found, Found::Present(_))).await;
    let Found::Present(object) = known.found else { panic!("it is there") };
    let secret = Secret::of(&object);
    assert_eq!((secret.type_name(), secret.text("key").as_deref()), ("example.com/ca", Some("very secret")));
    assert_eq!((secret.text("other"), format!("{secret:?}")), (None, "Secret(\"ca\")".to_owned()));
    let new = BTreeMap::from([("other", "x".to_owned())]);
    replace_secret(&cluster, &secret, &new).await.expect("a write");
    let written = Secret::of(&server.get("secrets", "default", "ca").expect("it"));
    assert_eq!((written.text("key"), written.text("other").as_deref()), (None, Some("x")));
    let outdated = replace_secret(&cluster, &secret, &new).await.expect_err("it was changed");
    assert!(outdated.is_conflict() && !outdated.to_string().contains("secret\""), "{outdated}");
}
