//! Providers of external data that are slow, down, mistaken or hostile: a verdict in time, and never a pass by error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body as HttpBody;
use axum::http::Request;
use portcullis_testkit::builders;
use portcullis_testkit::provider::{Body, Reply, TestProvider, TlsKind};
use portcullis_webhook::server::router;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Webhook, pod, pool, review};

/// Looks at all that an answer may say.
const CAREFUL: &str = r#"package signed
violation contains {"msg": msg} if {
	images := [c.image | some c in input.review.object.spec.containers]
	answer := external_data({"provider": "cosign", "keys": images})
	some msg in problems(answer)
}
problems(answer) := {sprintf("%v: %v", [key, why]) | some [key, why] in answer.errors} if answer.system_error == ""
else := {sprintf("the provider: %v", [answer.system_error])}
"#;

/// Looks at what is well, and at nothing else.
const CARELESS: &str = r#"package signed
violation contains {"msg": msg} if {
	images := [c.image | some c in input.review.object.spec.containers]
	answer := external_data({"provider": "cosign", "keys": images})
	some [key, "bad"] in answer.responses
	msg := sprintf("%v is bad", [key])
}
"#;

const OTHERS: &str = r#"package others
violation contains {"msg": "privileged"} if input.review.object.spec.hostPID
"#;

fn template(kind: &str, rego: &str) -> String {
    let mut template = builders::template(kind, "");
    template["spec"]["targets"] = json!([{
        "target": "admission.k8s.gatekeeper.sh",
        "code": [{"engine": "Rego", "source": {"version": "v1", "rego": rego}}],
    }]);
    format!("---\n{template}\n")
}

fn policies(rego: &str, provider: &Value) -> String {
    // Only what runs a service account asks.
    let asks = json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}], "namespaces": ["shop"]}});
    format!(
        "{}---\n{}\n{}---\n{}\n---\n{provider}\n",
        template("Signed", rego),
        builders::constraint("Signed", "signed", &asks),
        template("Others", OTHERS),
        builders::constraint("Others", "others", &json!({})),
    )
}

fn request(namespace: &str, image: &str) -> String {
    let mut review = review(&pod(&json!({"containers": [{"name": "a", "image": image}]})), "CREATE");
    review["request"]["namespace"] = json!(namespace);
    review["request"]["object"]["metadata"]["namespace"] = json!(namespace);
    review.to_string()
}

#[test]
fn a_provider_that_is_well_is_asked_once() {
    let provider = TestProvider::always(Reply {
        body: Body::Each(
            |key| if key == "bad" { Err("not signed".to_owned()) } else { Ok("good".to_owned()) },
        ),
        ..Reply::echo()
    });
    let webhook = Webhook::new(&policies(CAREFUL, &provider.manifest("cosign", 3)));
    let response = webhook.post("/v1/admit", request("shop", "good")).response();
    assert_eq!(response["allowed"], true, "{response}");
    let response = webhook.post("/v1/admit", request("shop", "bad")).response();
    assert_eq!(response["status"]["message"], "[signed] bad: not signed", "{response}");
    for _ in 0..5 {
        webhook.post("/v1/admit", request("shop", "bad")).response();
        webhook.post("/v1/admit", request("elsewhere", "never-asked")).response();
    }
    let asked = provider.take_asked();
    let keys: Vec<Vec<String>> = asked.iter().map(portcullis_testkit::provider::Asked::keys).collect();
    assert_eq!(keys, [["good"], ["bad"]]);
    assert_eq!((asked[0].tls, provider.connections()), ("TLS 1.3", 1));
    let metrics = webhook.state.metrics();
    assert!(metrics.contains("portcullis_provider_requests_total 2\n"), "{metrics}");
    assert!(metrics.contains("portcullis_provider_cached_keys_total 5\n"), "{metrics}");
}

#[test]
fn nothing_that_a_provider_does_is_a_pass() {
    let items =
        |items: Value| Reply::raw(json!({"response": {"idempotent": true, "items": items}}).to_string());
    let down = |ended: bool| TlsKind { has_ended: ended, ..TlsKind::default() };
    let well = TlsKind::default();
    let modes: Vec<(&str, TlsKind, Reply)> = vec![
        ("slow", well, Reply::echo().after(Duration::from_secs(20))),
        ("hangs up", well, Reply { body: Body::Close, ..Reply::echo() }),
        ("another key", well, items(json!([{"key": "other", "value": "good"}]))),
        ("no key", well, items(json!([]))),
        ("is no JSON", well, Reply::raw("oops")),
        ("a page of an error", well, Reply { status: 500, ..Reply::raw("<html>") }),
        (
            "a status of failure",
            well,
            Reply { status: 500, ..items(json!([{"key": "image", "value": "good"}])) },
        ),
        ("100 MB", well, Reply { body: Body::Endless(100 << 20), ..Reply::echo() }),
        ("a byte at a time", well, Reply { body: Body::Drip, ..Reply::echo() }),
        ("an expired certificate", down(true), Reply::echo()),
        (
            "redirects",
            well,
            Reply { status: 307, redirect: Some("https://example.org/".to_owned()), ..Reply::echo() },
        ),
        (
            "a system error",
            well,
            Reply::raw(json!({"response": {"items": [], "systemError": "is down"}}).to_string()),
        ),
        ("an error of the key", well, items(json!([{"key": "image", "error": "no"}]))),
        ("deep", well, Reply::raw("[".repeat(1 << 19))),
    ];
    let mut longest = Duration::ZERO;
    for (mode, kind, reply) in modes {
        let provider = TestProvider::new(kind, BTreeMap::from([("/".to_owned(), vec![reply])]));
        for rego in [CAREFUL, CARELESS] {
            let is_its_own = match mode {
                // It looks whether there is an error of all, and there is none.
                "a status of failure" => rego == CAREFUL,
                // What a provider says of a key is an answer.
                "an error of the key" => rego == CARELESS,
                _ => false,
            };
            if is_its_own {
                continue;
            }
            let webhook = Webhook::new(&policies(rego, &provider.manifest("cosign", 30)));
            let start = Instant::now();
            let response = webhook.post("/v1/admit?timeout=2s", request("shop", "image")).response();
            let took = start.elapsed();
            longest = longest.max(took);
            assert_eq!(response["allowed"], false, "{mode}: {response}");
            assert!(took < Duration::from_secs(2), "{mode}: {took:?}");
        }
    }
    println!("the longest took {longest:?} of 2 s");
    // Nobody listens, and nobody is known.
    let mut closed = TestProvider::echo().manifest("cosign", 30);
    closed["spec"]["url"] = json!("https://localhost:1/");
    let unknown = TestProvider::echo().manifest("another", 30);
    for provider in [closed, unknown] {
        for rego in [CAREFUL, CARELESS] {
            let webhook = Webhook::new(&policies(rego, &provider));
            let response = webhook.post("/v1/admit?timeout=2s", request("shop", "image")).response();
            assert_eq!(response["allowed"], false, "{response}");
        }
    }
}

/// 99 of 100 take no longer than this.
fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() * 99 / 100]
}

#[test]
fn who_asks_nothing_does_not_wait_for_a_provider_that_hangs() {
    let provider = TestProvider::always(Reply::echo().after(Duration::from_mins(1)));
    let webhook = Webhook::with_pool(&policies(CAREFUL, &provider.manifest("cosign", 30)), pool(2, 1024));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let state = Arc::clone(&webhook.state);
    let send = move |namespace: &'static str, image: String| {
        let request = Request::post("/v1/admit?timeout=3s")
            .header("content-type", "application/json")
            .body(HttpBody::from(request(namespace, &image)))
            .unwrap();
        let router = router(Arc::clone(&state));
        async move {
            let start = Instant::now();
            let response = router.oneshot(request).await.unwrap();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            (start.elapsed(), answer["response"]["allowed"].clone())
        }
    };
    runtime.block_on(async {
        let others = || async {
            let mut took = Vec::new();
            for _ in 0..300 {
                let (time, allowed) = send("elsewhere", "image".to_owned()).await;
                assert_eq!(allowed, true);
                took.push(time);
            }
            p99(took)
        };
        let before = others().await;
        let waiting: Vec<_> =
            (0..100).map(|number| tokio::spawn(send("shop", format!("image-{number}")))).collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let beside = others().await;
        println!("p99 of requests that ask nothing: {before:?} alone, {beside:?} beside 100 that wait for a provider");
        for one in waiting {
            let (time, allowed) = one.await.unwrap();
            assert_eq!(allowed, false);
            assert!(time < Duration::from_secs(3), "{time:?}");
        }
        assert!(beside < before * 5 + Duration::from_millis(100), "{before:?}, {beside:?}");
    });
}

fn asking_mutator(policy: &str) -> String {
    let mutator = json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": "digests"},
        "spec": {
            "applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": "spec.containers[name: *].image",
            "parameters": {"assign": {"externalData": {"provider": "cosign", "failurePolicy": policy, "default": "safe"}}},
        },
    });
    format!("---\n{mutator}\n")
}

/// The image after the patch of an answer, if there is one.
fn patched_image(response: &Value) -> Option<String> {
    use base64::Engine as _;
    let patch = base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str()?).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    Some(patch[0]["value"].as_str().unwrap().to_owned())
}

#[test]
fn mutators_ask_anew_and_nothing_that_a_provider_does_is_written() {
    let webhook = |policy: &str, provider: &Value| {
        // Without a constraint nothing is enforced, and a webhook does not start.
        let enforced = r#"{"apiVersion":"templates.gatekeeper.sh/v1","kind":"ConstraintTemplate","metadata":{"name":"never"},"spec":{"crd":{"spec":{"names":{"kind":"Never"}}},"targets":[{"target":"admission.k8s.gatekeeper.sh","rego":"package never\nviolation[{\"msg\": \"never\"}] { input.review.object.spec.never }"}]}}
---
{"apiVersion":"constraints.gatekeeper.sh/v1beta1","kind":"Never","metadata":{"name":"it"}}"#;
        let all = format!("{}---\n{provider}\n---\n{enforced}\n", asking_mutator(policy));
        Webhook::mutating(&all, "", portcullis_webhook::state::MutationSettings::default())
    };
    let provider = TestProvider::echo();
    let well = webhook("Fail", &provider.manifest("cosign", 5));
    for _ in 0..2 {
        let response = well.post("/v1/mutate", request("shop", "one")).response();
        assert_eq!(patched_image(&response).as_deref(), Some("v:one"), "{response}");
    }
    assert_eq!(provider.take_asked().len(), 2, "nothing that is kept is written");
    let items =
        |items: Value| Reply::raw(json!({"response": {"idempotent": true, "items": items}}).to_string());
    let modes = [
        ("slow", Reply::echo().after(Duration::from_secs(20))),
        ("hangs up", Reply { body: Body::Close, ..Reply::echo() }),
        ("another key", items(json!([{"key": "other", "value": "good"}]))),
        ("a number", items(json!([{"key": "one", "value": 5}]))),
        ("100 MB", Reply { body: Body::Endless(100 << 20), ..Reply::echo() }),
        (
            "not idempotent",
            Reply::raw(json!({"response": {"items": [{"key": "one", "value": "x"}]}}).to_string()),
        ),
    ];
    for (mode, reply) in modes {
        let provider = TestProvider::always(reply);
        let ask = |policy: &str| {
            let start = Instant::now();
            let webhook = webhook(policy, &provider.manifest("cosign", 30));
            let response = webhook.post("/v1/mutate?timeout=2s", request("shop", "one")).response();
            assert!(start.elapsed() < Duration::from_secs(3), "{mode}");
            response
        };
        let response = ask("Fail");
        assert_eq!(
            (&response["allowed"], &response["patch"]),
            (&json!(false), &Value::Null),
            "{mode}: {response}"
        );
        let response = ask("UseDefault");
        assert_eq!(patched_image(&response).as_deref(), Some("safe"), "{mode}: {response}");
        let response = ask("Ignore");
        assert_eq!(
            (&response["allowed"], &response["patch"]),
            (&json!(true), &Value::Null),
            "{mode}: {response}"
        );
    }
}
