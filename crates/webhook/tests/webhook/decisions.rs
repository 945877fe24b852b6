//! The record of decisions: what replays need, and nothing that is secret.

use portcullis_webhook::decisions::Content;
use serde_json::{Value, json};

use crate::support::{Lines, POLICIES, Webhook, pod, review};

fn read(webhook: &Webhook, lines: &Lines) -> Vec<Value> {
    webhook.state.decisions.as_ref().unwrap().flush();
    lines.read()
}

#[test]
fn every_decision_is_a_line() {
    let (webhook, lines) = Webhook::new(POLICIES).with_decisions(Content::default());
    let request = review(&pod(&json!({"hostPID": true, "nodeName": "n1"})), "CREATE").to_string();
    webhook.post("/v1/admit", request.clone());
    webhook.post("/v1/admit", "{\"request\":{\"uid\":\"broken\"");
    webhook.edit(&POLICIES.replace("hostIPC", "hostOther"));
    webhook.post("/v1/admit", request.clone());
    let records = read(&webhook, &lines);
    let [denied, broken, later] = records.as_slice() else { panic!("{records:#?}") };
    let result = |name: &str, outcome: &str, actions: &str| json!({"kind": "NoSpec", "name": name, "outcome": outcome, "actions": [actions]});
    let mut found = denied["results"].clone();
    for result in found.as_array_mut().unwrap() {
        let fields = result.as_object_mut().unwrap();
        assert!(fields.remove("steps").unwrap().as_u64().unwrap() > 0);
        let violations = fields.remove("violations");
        assert_eq!(violations.is_some(), fields["outcome"] == "violation");
    }
    let expected = [
        result("no-host-ipc", "pass", "deny"),
        result("no-host-network", "pass", "dryrun"),
        result("no-host-pid", "violation", "deny"),
        result("no-node", "violation", "warn"),
    ];
    assert_eq!(found, json!(expected));
    let violations = json!([{"message": "hostPID is not allowed", "details": {"field": "hostPID"}}]);
    assert_eq!(denied["results"][2]["violations"], violations);
    for (key, value) in [
        ("version", json!(1)),
        ("uid", json!("u-1")),
        ("user", json!("dana")),
        ("operation", json!("CREATE")),
        ("kind", json!({"group": "", "version": "v1", "kind": "Pod"})),
        ("namespace", json!("shop")),
        ("name", json!("web")),
        ("dryRun", json!(false)),
        ("allowed", json!(false)),
        ("code", json!(403)),
        ("message", json!("[no-host-pid] hostPID is not allowed")),
    ] {
        assert_eq!(denied[key], value, "{key}");
    }
    assert_eq!(denied["requestDigest"], portcullis_webhook::digest::of_bytes(request.as_bytes()));
    assert!(denied["seconds"].as_f64().unwrap() > 0.0 && denied["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(denied.get("request"), None);
    assert_eq!(
        (&broken["uid"], &broken["code"], &broken["results"]),
        (&json!("broken"), &json!(400), &Value::Null)
    );
    // Other policies have another digest, the same objects the same.
    assert_eq!(later["inventory"], denied["inventory"]);
    assert_ne!(later["policies"], denied["policies"]);
    assert_eq!(later["requestDigest"], denied["requestDigest"]);
}

#[test]
fn nothing_secret_is_recorded() {
    let leaky = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: leaky}
spec:
  crd: {spec: {names: {kind: Leaky}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package leaky
      violation[{"msg": msg, "details": {"all": input.review.object}}] {
        password := base64.decode(input.review.object.data.password)
        msg := sprintf("%v is in %v", [password, input.review.object])
      }
      violation[{"msg": msg, "details": {"env": env}}] {
        env := input.review.object.spec.containers[_].env[_]
        msg := sprintf("do not set %v to %v", [env.name, env.value])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Leaky
metadata: {name: leaky}
"#;
    let redact = vec!["spec.containers[*].env[*].value".parse().unwrap()];
    let (webhook, lines) = Webhook::new(leaky).with_decisions(Content { requests: true, redact });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"},
        "data": {"password": "b3BlbnNlc2FtZQ=="},
    });
    let mut update = review(&secret, "UPDATE");
    update["request"]["oldObject"] = secret.clone();
    update["request"]["oldObject"]["data"]["password"] = "YmVmb3JlLWl0LXdhcw==".into();
    // What the user is told is the policy's to say.
    let said = webhook.post("/v1/admit", update.to_string()).text;
    assert!(said.contains("opensesame"), "{said}");
    let env = json!({"containers": [{"name": "a", "env": [{"name": "TOKEN", "value": "t0psecret"}]}]});
    webhook.create(&pod(&env));
    // What cannot be judged may hold secrets as well.
    webhook.post("/v1/admit", update.to_string().replace("\"UPDATE\"", "\"UPDAET\""));
    let records = read(&webhook, &lines);
    let text = json!(records).to_string();
    for leak in ["opensesame", "b3BlbnNlc2FtZQ", "YmVmb3JlLWl0", "t0psecret"] {
        assert!(!text.contains(leak), "{leak} in {text}");
    }
    assert_eq!(records.len(), 3);
    let message = records[0]["results"][0]["violations"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("<redacted> is in {"), "{message}");
    assert_eq!(records[0]["request"]["object"]["data"]["password"], "<redacted>");
    assert_eq!(records[1]["results"][0]["violations"][0]["message"], "do not set TOKEN to <redacted>");
    assert_eq!(records[1]["request"]["object"]["spec"]["containers"][0]["env"][0]["name"], "TOKEN");
}
