//! What is said when something is wrong: never yes.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use portcullis_webhook::pool::Pool;
use serde_json::{Value, json};

use crate::support::{POLICIES, Webhook, pod, review};

/// The request would be let in.
fn good() -> String {
    review(&pod(&json!({})), "CREATE").to_string()
}

#[test]
fn what_cannot_be_read_is_refused() {
    let webhook = Webhook::new(POLICIES);
    let good = good();
    assert_eq!(webhook.post("/v1/admit", good.clone()).response()["allowed"], true);
    let mut bodies: Vec<Vec<u8>> =
        (0..good.len()).step_by(7).map(|end| good.as_bytes()[..end].to_vec()).collect();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    bodies.extend([
        good.replace(':', ": !!str ").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        b"\xff\xfe{\0".to_vec(),
        b"null".to_vec(),
        b"apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\n".to_vec(),
        with("admission.k8s.io/v1", "admission.k8s.io/v9"),
        with("AdmissionReview", "AdmissionResponse"),
        with("\"request\":", "\"response\":"),
        with("\"uid\":", "\"uid\":\"u-0\",\"uid\":"),
        with("\"CREATE\"", "\"CRAETE\""),
        with("\"CREATE\"", "\"DELETE\""),
        with("\"object\":{", "\"object\":null,\"objekt\":{"),
        with("\"kind\":\"Pod\",\"metadata\"", "\"metadata\""),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
    ]);
    for body in bodies {
        let text = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        let response = webhook.post("/v1/admit", body).response();
        assert_eq!(response["allowed"], false, "{text}");
        assert_eq!(response["status"]["code"], 400, "{text}: {response}");
        assert!(!response["status"]["message"].as_str().unwrap().is_empty(), "{text}");
    }
}

#[test]
fn what_the_core_refuses_is_answered_under_its_own_uid() {
    let webhook = Webhook::new(POLICIES);
    let response = webhook.post("/v1/admit", good().replace("CREATE", "CRAETE")).response();
    assert_eq!(response["uid"], "u-1");
    assert!(response["status"]["message"].as_str().unwrap().contains("CRAETE"), "{response}");
}

#[test]
fn another_content_type_is_refused() {
    let webhook = Webhook::new(POLICIES);
    for content_type in
        [None, Some("text/plain"), Some("application/yaml"), Some("application/json; charset=utf-8")]
    {
        let mut request = Request::post("/v1/admit");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = webhook.send(request.body(Body::from(good())).unwrap()).response();
        assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(400)));
    }
}

#[test]
fn a_body_of_ten_megabytes_is_refused() {
    let webhook = Webhook::new(POLICIES);
    let body = review(&pod(&json!({"text": "x".repeat(10 << 20)})), "CREATE");
    // As API servers write it: first the uid, which the refusal needs.
    let body = body.to_string().replacen("\"request\":{", "\"request\":{\"uid\":\"u-first\",", 1);
    let body = format!("{{\"request\":{}", body.split_once("\"request\":").unwrap().1);
    // With its length announced, and without.
    for announced in [true, false] {
        let mut request = Request::post("/v1/admit").header("content-type", "application/json");
        if announced {
            request = request.header("content-length", body.len());
        }
        let response = webhook.send(request.body(Body::from(body.clone())).unwrap()).response();
        assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(413)));
        assert_eq!(response["uid"], "u-first");
    }
}

#[test]
fn other_paths_and_methods_are_not_there() {
    let webhook = Webhook::new(POLICIES);
    assert_eq!(webhook.get("/v1/admit").http, 405);
    assert_eq!(webhook.post("/v1/mutate", good()).http, 404);
    for probe in ["/healthz", "/livez", "/readyz"] {
        let reply = webhook.get(probe);
        assert_eq!((reply.http, &*reply.text), (200, "ok"), "{probe}");
    }
}

const HOG: &str = r#"
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: hog}
spec:
  crd: {spec: {names: {kind: Hog}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package hog
      violation[{"msg": "never"}] {
        a := numbers.range(1, 3000)
        x := a[_]; y := a[_]; z := a[_]
        x + y + z < 0
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Hog
metadata: {name: hog}
spec: {enforcementAction: ACTION}
"#;

/// A webhook whose steps do not end before its time does.
fn with_hog(action: &str) -> Webhook {
    let mut webhook = Webhook::new(&format!("{POLICIES}{}", HOG.replace("ACTION", action)));
    let state = std::sync::Arc::get_mut(&mut webhook.state).unwrap();
    state.settings.limits.steps = u64::MAX;
    webhook
}

#[test]
fn a_hog_is_an_error_of_its_own_before_the_deadline() {
    let webhook = with_hog("deny");
    let start = Instant::now();
    let response = webhook.post("/v1/admit?timeout=1s", good()).response();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(500)),
        "{response}"
    );
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("[hog] ") && message.contains("`time`"), "{message}");

    // What others found still counts, and is the user's to mend.
    let request = review(&pod(&json!({"hostPID": true})), "CREATE").to_string();
    let response = webhook.post("/v1/admit?timeout=1s", request).response();
    assert_eq!(response["status"]["code"], 403);
    assert!(response["status"]["message"].as_str().unwrap().contains("[no-host-pid]"), "{response}");

    // With an action that lets in, it lets in, and says so.
    let response = with_hog("warn").post("/v1/admit?timeout=1s", good()).response();
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(true), &json!(299)),
        "{response}"
    );
}

#[test]
fn too_many_requests_are_refused_at_once() {
    let pool = Pool::start(1, 1).unwrap();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let webhook = Webhook::with_pool(POLICIES, pool.clone());
    // One that is worked on, and one that waits.
    let (began, begun) = std::sync::mpsc::channel::<()>();
    let _first = pool
        .run(move || {
            began.send(()).unwrap();
            wait.recv().unwrap();
        })
        .unwrap();
    begun.recv().unwrap();
    let _second = pool.run(|| ()).unwrap();
    let start = Instant::now();
    let response = webhook.post("/v1/admit", good()).response();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
    assert_eq!(response["status"]["code"], 500);
    assert!(webhook.get("/metrics").text.contains("portcullis_requests_shed_total 1\n"));
    release.send(()).unwrap();
}

#[test]
fn a_thread_that_does_not_come_back_does_not_hold_up_the_answer() {
    let pool = Pool::start(1, 4).unwrap();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let webhook = Webhook::with_pool(POLICIES, pool.clone());
    let _first = pool.run(move || wait.recv().unwrap()).unwrap();
    let start = Instant::now();
    let response = webhook.post("/v1/admit?timeout=300ms", good()).response();
    // It never comes back; how long exactly is waited is tested beside `Times`.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
    release.send(()).unwrap();
}

#[test]
fn a_broken_edit_keeps_the_last_good_set() {
    let webhook = Webhook::new(POLICIES);
    let denied = |webhook: &Webhook| webhook.create(&pod(&json!({"hostPID": true})))["allowed"] == false;
    assert!(denied(&webhook));
    for broken in [
        POLICIES.replace("{field: hostPID}", "{field: [}"),
        POLICIES.replace("sprintf", "sprintff"),
        String::new(),
    ] {
        webhook.edit(&broken);
        assert!(denied(&webhook));
        let ready = webhook.get("/readyz?verbose");
        assert_eq!(ready.http, 200);
        assert!(ready.text.contains("[!]policies stale: 1 templates, 4 constraints"), "{}", ready.text);
        assert!(webhook.get("/metrics").text.contains("portcullis_policies_stale 1\n"));
    }
    assert!(webhook.get("/metrics").text.contains("portcullis_reloads_total{result=\"error\"} 3\n"));
    let is_error = |line: &&Value| line["level"] == "error" && !line["errors"].as_array().unwrap().is_empty();
    assert_eq!(webhook.log.read().iter().filter(is_error).count(), 3);
    std::fs::remove_file(webhook.paths.policies[0].join("policies.yaml")).unwrap();
    webhook.state.replace(portcullis_webhook::load::load(&webhook.paths));
    assert!(denied(&webhook));
    webhook.edit(&POLICIES.replace("field: hostPID", "field: hostPid"));
    assert!(!denied(&webhook));
    assert!(webhook.get("/readyz?verbose").text.contains("[+]policies ok"));
    assert!(webhook.get("/metrics").text.contains("portcullis_policies_stale 0\n"));
}

#[test]
fn a_stopping_webhook_is_not_ready_and_answers_all_the_same() {
    let webhook = Webhook::new(POLICIES);
    webhook.state.stop();
    assert_eq!(webhook.get("/readyz").http, 503);
    assert_eq!(webhook.get("/healthz").http, 200);
    assert_eq!(webhook.post("/v1/admit", good()).response()["allowed"], true);
}
