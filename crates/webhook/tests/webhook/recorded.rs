//! Every recorded request of an API server, judged by the policies of this project: the answer is the core's own verdict.

use std::fs;

use portcullis::{Decision, Document, EnforcementPoint, Resource, Review, World};
use serde_json::Value;

use crate::program::Program;
use crate::support::{Webhook, workspace};

/// What the core says, and the uid.
fn core_says(webhook: &Webhook, line: &str) -> (String, bool, String, Vec<String>) {
    let (documents, errors) = Document::read_all("request.json", line);
    assert!(errors.is_empty(), "{errors:?}");
    let (Some(Resource::AdmissionReview(request)), _) = Resource::read(&documents[0]) else {
        panic!("{line}")
    };
    let serving = webhook.state.serving();
    let world = World::new(&serving.inventory).with_now(0);
    let review = Review::from_admission(&request).unwrap();
    let outcome = serving.policies.review(&review, &world, EnforcementPoint::Webhook);
    let decision = Decision::from(&outcome);
    (request.uid().to_owned(), decision.allowed(), decision.denials().join("\n"), decision.warnings())
}

fn check(webhook: &Webhook, line: &str, response: &Value) -> bool {
    let (uid, allowed, message, warnings) = core_says(webhook, line);
    assert_eq!(response["uid"], uid);
    assert_eq!(response["allowed"], allowed, "{line}");
    assert_eq!(response["status"]["message"].as_str().unwrap_or_default(), message, "{line}");
    let said: Vec<&str> =
        response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(said, warnings);
    allowed
}

#[test]
fn the_verdicts_are_the_cores() {
    let Some(path) = portcullis_testkit::shared("recordings/admission-reviews.jsonl") else { return };
    let text = fs::read_to_string(path).unwrap();
    let webhook = Webhook::of_library();
    let mut program = Program::start(&workspace().join("policies"), &[]);
    let (mut requests, mut denied) = (0, 0);
    for line in text.lines() {
        let in_process = webhook.post("/v1/admit", line).response();
        let (http, body) = program.post("/v1/admit", line.as_bytes());
        assert_eq!(http, 200);
        let over_tls: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(over_tls["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(over_tls["response"], in_process);
        requests += 1;
        denied += usize::from(!check(&webhook, line, &in_process));
    }
    println!("{requests} requests, {denied} denied");
    assert_eq!(requests, 84);
    assert!(denied > 0 && denied < requests, "{denied}");
    program.stop();
}
