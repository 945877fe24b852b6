//! What is said when something is wrong: never yes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{POLICIES, Webhook, occupy, pod, pool, review};

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
    // As API servers write it: first the uid.
    let body = body.to_string().replacen("\"uid\":\"u-1\",", "", 1).replacen("\"uid\":\"u-1\"", "\"x\":1", 1);
    let body = body.replacen("\"request\":{", "\"request\":{\"uid\":\"u-first\",", 1);
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

/// A body that comes in pieces, and then ends, breaks off or stays away.
struct Pieces(VecDeque<Vec<u8>>, Then);

enum Then {
    End,
    Break,
    Wait,
}

impl Pieces {
    fn of(text: &str, size: usize, then: Then) -> Body {
        Body::new(Self(text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect(), then))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match (self.0.pop_front(), &self.1) {
            (Some(piece), _) => Poll::Ready(Some(Ok(http_body::Frame::data(piece.into())))),
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Break) => Poll::Ready(Some(Err(std::io::Error::other("gone")))),
            // The request's own clock wakes it.
            (None, Then::Wait) => Poll::Pending,
        }
    }
}

fn post_pieces(webhook: &Webhook, uri: &str, content_type: &str, body: Body) -> Value {
    webhook.send(Request::post(uri).header("content-type", content_type).body(body).unwrap()).response()
}

#[test]
fn every_refusal_has_the_uid_that_was_sent() {
    let webhook = Webhook::new(POLICIES);
    // The uid stands behind everything else, and escaped.
    let behind = |object: &str| {
        format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"object":{object},"\u0075id":"late\u002d1"}}}}"#
        )
    };
    let large = behind(&format!("\"{}\"", "x".repeat(4 << 20)));
    let json = "application/json";
    for (name, code, response) in [
        ("too large", 413, post_pieces(&webhook, "/v1/admit", json, Pieces::of(&large, 16_384, Then::End))),
        (
            "too large, and it breaks off",
            413,
            post_pieces(&webhook, "/v1/admit", json, Pieces::of(&large, 1_000_003, Then::Break)),
        ),
        (
            "it breaks off",
            400,
            post_pieces(&webhook, "/v1/admit", json, Pieces::of(&behind("{}"), 7, Then::Break)),
        ),
        (
            "it does not end",
            500,
            post_pieces(&webhook, "/v1/admit?timeout=200ms", json, Pieces::of(&behind("{}"), 1, Then::Wait)),
        ),
        (
            "the label",
            500,
            post_pieces(
                &webhook,
                "/v1/admitlabel?timeout=200ms",
                json,
                Pieces::of(&behind("{}"), 1, Then::Wait),
            ),
        ),
        (
            "another type",
            400,
            post_pieces(&webhook, "/v1/admit", "text/plain", Pieces::of(&behind("{}"), 5, Then::End)),
        ),
        (
            "no JSON",
            400,
            post_pieces(&webhook, "/v1/admit", json, Pieces::of(&(behind("{}") + "}"), 5, Then::End)),
        ),
        (
            "deep",
            400,
            post_pieces(
                &webhook,
                "/v1/admit",
                json,
                Pieces::of(
                    &behind(&"[".repeat(200_000)).replace("[,", &format!("{},", "]".repeat(200_000 - 1))),
                    4096,
                    Then::End,
                ),
            ),
        ),
        (
            "twice",
            400,
            post_pieces(
                &webhook,
                "/v1/admit",
                json,
                Pieces::of(&behind("{}").replace("\"object\"", "\"uid\":\"first\",\"object\""), 5, Then::End),
            ),
        ),
        (
            "nothing to judge",
            400,
            post_pieces(&webhook, "/v1/admit", json, Pieces::of(&behind("null"), 5, Then::End)),
        ),
    ] {
        if name != "deep" {
            assert_eq!(response["uid"], "late-1", "{name}: {response}");
        }
        assert_eq!(
            (&response["allowed"], &response["status"]["code"]),
            (&json!(false), &json!(code)),
            "{name}: {response}"
        );
        assert_eq!(webhook.state.memory.used(), 0, "{name}");
    }
}

#[test]
fn a_uid_that_cannot_be_repeated_is_refused() {
    let webhook = Webhook::new(POLICIES);
    let with = |length| good().replace("\"u-1\"", &format!("\"{}\"", "u".repeat(length)));
    assert_eq!(webhook.post("/v1/admit", with(256)).response()["allowed"], true);
    let response = webhook.post("/v1/admit", with(257)).response();
    assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(400)));
}

#[test]
fn who_is_refused_for_memory_is_told_so_under_its_uid_and_small_ones_are_judged() {
    let mut webhook = Webhook::new(POLICIES);
    // Room for one of the largest bodies.
    let state = std::sync::Arc::get_mut(&mut webhook.state).unwrap();
    state.memory = portcullis_webhook::memory::Memory::new(3 << 20, 100);
    let others = webhook.state.memory.enter(portcullis_webhook::memory::ConnectionId(7));
    others.push(&vec![0; 2 << 20], 3 << 20).unwrap();
    others.complete().unwrap();
    let large = review(&pod(&json!({"text": "x".repeat(2 << 20)})), "CREATE").to_string();
    let response = webhook.post("/v1/admit", large).response();
    assert_eq!((&response["uid"], &response["status"]["code"]), (&json!("u-1"), &json!(500)), "{response}");
    assert!(response["status"]["message"].as_str().unwrap().contains("--max-body-memory"), "{response}");
    assert_eq!(webhook.post("/v1/admit", good()).response()["allowed"], true);
    assert!(others.peek().is_some());
}

#[test]
fn an_object_of_very_many_parts_is_refused_before_it_is_read() {
    let webhook = Webhook::new(POLICIES);
    let state = &webhook.state;
    let parts =
        |number: usize| review(&pod(&json!({"x": vec![json!({"a": 0}); number]})), "CREATE").to_string();
    assert_eq!(webhook.post("/v1/admit", parts(1000)).response()["allowed"], true);
    // A pool with as much memory as a small request takes.
    let terms = portcullis_webhook::pool::Terms { threads: 1, queue: 4, memory: 8 << 20, each: 1 << 20 };
    let small = Webhook::with_pool(POLICIES, portcullis_webhook::pool::Pool::start(terms).unwrap());
    let response = small.post("/v1/admit", parts(100_000)).response();
    assert_eq!((&response["uid"], &response["status"]["code"]), (&json!("u-1"), &json!(413)), "{response}");
    assert_eq!(small.post("/v1/admit", parts(10)).response()["allowed"], true);
    assert_eq!(state.memory.used(), 0);
}

#[test]
fn a_request_without_its_objects_is_refused() {
    let webhook = Webhook::new(POLICIES);
    let (object, old) = (pod(&json!({})), pod(&json!({"x": 1})));
    let ask = |operation: &str, object: Value, old: Value| {
        let mut request = review(&pod(&json!({})), "CREATE");
        request["request"]["operation"] = operation.into();
        request["request"]["object"] = object;
        request["request"]["oldObject"] = old;
        webhook.post("/v1/admit", request.to_string()).response()
    };
    for (operation, object, old, code) in [
        ("CREATE", object.clone(), Value::Null, 200),
        ("UPDATE", object.clone(), old.clone(), 200),
        ("DELETE", Value::Null, old.clone(), 200),
        ("CONNECT", object.clone(), Value::Null, 200),
        ("CREATE", Value::Null, old.clone(), 400),
        ("UPDATE", Value::Null, old.clone(), 400),
        ("UPDATE", object.clone(), Value::Null, 400),
        ("CONNECT", Value::Null, old.clone(), 400),
        ("DELETE", object.clone(), Value::Null, 400),
        ("", object.clone(), Value::Null, 400),
        ("create", object.clone(), Value::Null, 400),
        ("CREATE", json!([object.clone()]), Value::Null, 400),
        ("CREATE", json!({}), Value::Null, 400),
        ("CREATE", json!("x"), Value::Null, 400),
        ("CREATE", object.clone(), json!([]), 400),
        ("CREATE", json!({"apiVersion": "v1", "kind": "List", "items": [object.clone()]}), Value::Null, 400),
        ("CREATE", json!({"apiVersion": "v1", "kind": "pod", "metadata": {"name": "x"}}), Value::Null, 400),
        (
            "CREATE",
            json!({"apiVersion": "core/v1", "kind": "Pod", "metadata": {"name": "x"}}),
            Value::Null,
            400,
        ),
    ] {
        let response = ask(operation, object.clone(), old.clone());
        assert_eq!(response["status"]["code"], code, "{operation} {object} {old}: {response}");
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(code == 200)));
    }
    // What the object is has to be said apart from it.
    for kind in [Value::Null, json!({}), json!([]), json!({"group": "", "version": "", "kind": ""})] {
        let core = json!({"apiVersion": "core/v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"hostPID": true}});
        let mut request = review(&pod(&json!({})), "CREATE");
        (request["request"]["kind"], request["request"]["object"]) = (kind, core);
        let response = webhook.post("/v1/admit", request.to_string()).response();
        assert_eq!(response["status"]["code"], 400, "{response}");
    }
    for (from, to) in [
        ("\"request\":", "\"Request\":"),
        ("\"object\":", "\"Object\":"),
        ("\"operation\":", "\"Operation\":"),
    ] {
        let response = webhook.post("/v1/admit", good().replacen(from, to, 1)).response();
        assert_eq!(response["allowed"], false, "{to}");
    }
}

#[test]
fn long_answers_are_cut_and_those_that_nobody_reads_are_short() {
    let policies =
        POLICIES.replace("field: hostPID", "field: LONG").replace("%v is not allowed", "%v is not\\nallowed");
    let webhook = Webhook::new(&policies.replace("LONG", &"x".repeat(300_000)));
    let request = review(&pod(&json!({"x".repeat(300_000): true, "hostIPC": true})), "CREATE").to_string();
    let response = webhook.post("/v1/admit", request.clone()).response();
    let message = response["status"]["message"].as_str().unwrap();
    assert_eq!(response["status"]["code"], 403);
    assert!(message.len() <= (256 << 10) + 32, "{}", message.len());
    assert!(
        message.starts_with("[no-host-ipc] hostIPC is not\nallowed\n… and 1 more violations"),
        "{message:.100}"
    );
    // As many as may wait for their readers.
    let long = "/readyz?verbose";
    let part = webhook.state.answers.take(16 << 20).unwrap();
    let response =
        webhook.post("/v1/admit", review(&pod(&json!({"hostIPC": true})), "CREATE").to_string()).response();
    assert_eq!(response["status"]["message"], "[no-host-ipc] hostIPC is not\nallowed");
    let many = POLICIES.replace("field: hostPID", &format!("field: {}", "y".repeat(5000)));
    webhook.edit(&many);
    let request = review(&pod(&json!({"y".repeat(5000): true})), "CREATE").to_string();
    let response = webhook.post("/v1/admit", request.clone()).response();
    assert_eq!(
        (&response["uid"], &response["allowed"], &response["status"]["code"]),
        (&json!("u-1"), &json!(false), &json!(403))
    );
    assert!(response["status"]["message"].as_str().unwrap().contains("left out"), "{response}");
    assert_eq!((webhook.get("/metrics").http, webhook.get(long).http), (503, 200));
    drop(part);
    assert!(webhook.post("/v1/admit", request).text.len() > 5000);
    assert_eq!(webhook.get("/metrics").http, 200);
    assert!(webhook.state.answers.take(16 << 20).is_some(), "what was sent is given back");
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
        z < 0
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
    let response = webhook.post("/v1/admit?timeout=1s", good()).response();
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(500)),
        "{response}"
    );
    // At the deadline the answer would name no constraint.
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("[hog] ") && message.contains("`time`"), "{message}");

    // What others found still counts, and the user has to fix it.
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
    let pool = pool(1, 2);
    let webhook = Webhook::with_pool(POLICIES, pool.clone());
    let busy = occupy(&pool);
    let _waiting = [pool.run(0, || ()).unwrap(), pool.run(0, || ()).unwrap()];
    // Nobody comes back before `busy` is dropped: who waited for a turn would end at the deadline, and not be counted.
    let response = webhook.post("/v1/admit", good()).response();
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
    assert_eq!(response["status"]["code"], 500);
    assert!(webhook.get("/metrics").text.contains("portcullis_requests_shed_total 1\n"));
    drop(busy);
}

#[test]
fn a_thread_that_does_not_come_back_does_not_hold_up_the_answer() {
    let pool = pool(1, 4);
    let webhook = Webhook::with_pool(POLICIES, pool.clone());
    let busy = occupy(&pool);
    // It comes back when `busy` is dropped, after the answer; how long is waited is tested beside `Times`.
    let response = webhook.post("/v1/admit?timeout=300ms", good()).response();
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
    // Nobody waits for it any more, so that it holds nothing.
    assert_eq!(webhook.state.memory.used(), 0);
    drop(busy);
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
