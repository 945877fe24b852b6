//! The examples do what they say.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what only `main` needs is not called here; a test panics when it fails"
)]

#[path = "../axum.rs"]
mod axum_webhook;
#[path = "../kube.rs"]
mod kube_guard;
#[path = "../tower.rs"]
mod tower_gate;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kube::{Client, Config};
use portcullis::{Inventory, PolicySet};
use portcullis_testkit::apiserver::ApiServer;
use portcullis_testkit::builders;
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};

/// Denies Pods of the node's network.
fn policies() -> PolicySet {
    let rego =
        "violation[{\"msg\": \"it uses the node's network\"}] { input.review.object.spec.hostNetwork }";
    let template = builders::template("OwnNetwork", rego).to_string();
    let constraint = builders::constraint("OwnNetwork", "own-network", &json!({})).to_string();
    PolicySet::load([("template.json", template.as_str()), ("constraint.json", constraint.as_str())]).unwrap()
}

fn pod(host_network: bool) -> Value {
    let mut pod = builders::pod("default", "web", "nginx:1.27");
    pod["spec"]["hostNetwork"] = json!(host_network);
    pod
}

async fn validated(body: String) -> (StatusCode, Value) {
    let gate = axum_webhook::Gate { policies: policies(), inventory: Inventory::empty() };
    let request = Request::post("/validate").body(Body::from(body)).unwrap();
    let response = axum_webhook::routes(Arc::new(gate)).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn axum_answers_api_servers() {
    let review = |object: Value| {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
            "name": "web", "namespace": "default", "userInfo": {}, "object": object}})
        .to_string()
    };
    let (_, answer) = validated(review(pod(true))).await;
    assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u-1"), &json!(false)));
    assert_eq!(answer["response"]["status"]["message"], "[own-network] it uses the node's network");
    let (_, answer) = validated(review(pod(false))).await;
    assert_eq!(answer["response"]["allowed"], true);
    let (_, answer) = validated("no review".to_owned()).await;
    assert_eq!(answer["response"]["allowed"], false);
    let (status, _) = validated("a".repeat(9 << 20)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn tower_lets_nothing_through_that_is_denied() {
    let taken = tower::service_fn(async |request: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = tower_gate::PolicyLayer(Arc::new(policies())).layer(taken);
    let ask = async |body: String| {
        let response = service.clone().oneshot(Request::new(Full::new(Bytes::from(body)))).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    let good = pod(false).to_string();
    assert_eq!(ask(good.clone()).await, (StatusCode::OK, Bytes::from(good)));
    assert_eq!(ask(pod(true).to_string()).await.0, StatusCode::FORBIDDEN);
    for (body, expected) in [
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
        (String::new(), StatusCode::BAD_REQUEST),
        ("a".repeat(4 << 20), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(ask(body).await.0, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kube_creates_nothing_that_is_denied() {
    let server = ApiServer::start().await;
    let client = Client::try_from(Config::new(server.url().parse().unwrap())).unwrap();
    let guard = kube_guard::Guard { client, policies: policies() };
    match guard.create(&pod(true)).await {
        Err(kube_guard::NotCreated::Denied(reasons)) => {
            assert_eq!(reasons, ["it uses the node's network (spec.hostNetwork)"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(server.writes().is_empty());
    guard.create(&pod(false)).await.unwrap();
    assert_eq!(server.get("pods", "default", "web").unwrap()["spec"]["hostNetwork"], false);
    assert!(matches!(guard.create(&json!({"kind": 1})).await, Err(kube_guard::NotCreated::Failed(_))));
}
