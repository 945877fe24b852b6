//! The record of decisions: what replays need, and nothing that is secret.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use portcullis::Verdict;
use portcullis_webhook::decisions::Content;
use portcullis_webhook::redact::{REDACTED, WITHHELD};
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
fn decisions_are_explained_where_that_is_asked_for() {
    let request = review(&pod(&json!({"hostPID": true, "nodeName": "n1"})), "CREATE").to_string();
    let plain = |content: Content| {
        let (webhook, lines) = Webhook::new(POLICIES).with_decisions(content);
        webhook.post("/v1/admit", request.clone());
        read(&webhook, &lines).remove(0)
    };
    let explained = plain(Content { explanations: true, ..Content::default() });
    let violation = &explained["results"][2]["violations"][0];
    assert_eq!(violation["message"], "hostPID is not allowed");
    let way = &violation["why"][0];
    assert_eq!(
        (&way["rule"], &way["kind"], &way["holds"]),
        (&json!("violation"), &json!("rule"), &json!(true))
    );
    assert!(way["location"]["line"].as_u64().is_some_and(|line| line > 0), "{way:#}");
    let conditions = way["conditions"].as_array().unwrap();
    let facts = || conditions.iter().flat_map(|condition| condition["facts"].as_array().unwrap());
    let field = facts().find(|fact| fact["field"] == "spec.hostPID").unwrap();
    assert_eq!((&field["value"], &field["exists"]), (&json!(true), &json!(true)));
    // The rest of the record is what it is without.
    let mut rest = explained.clone();
    for result in rest["results"].as_array_mut().unwrap() {
        for violation in result.get_mut("violations").and_then(Value::as_array_mut).into_iter().flatten() {
            assert!(violation.as_object_mut().unwrap().remove("why").is_some());
        }
    }
    assert_eq!(rest["results"], plain(Content::default())["results"]);
}

#[test]
fn what_is_secret_is_not_explained() {
    let webhook = Webhook::new(LEAKY).with_redact(&["spec.containers[*].env[*].value"]);
    let content = Content { explanations: true, ..Content::default() };
    let (webhook, lines) = webhook.with_decisions(content);
    let env = json!([{"name": "TOKEN", "value": "s3cr3t"}]);
    let container = json!({"name": "web", "image": "web:1", "env": env});
    let request = review(&pod(&json!({"containers": [container]})), "CREATE").to_string();
    webhook.post("/v1/admit", request);
    let record = read(&webhook, &lines).remove(0);
    assert_eq!(record["results"][0]["violations"][0]["why"], REDACTED);
    assert!(!record.to_string().contains("s3cr3t"), "{record:#}");
}

#[test]
fn explanations_are_bounded() {
    let rule = |number: u32| {
        format!(
            "violation[{{\"msg\": \"{number}\"}}] {{ value := input.review.object.metadata.annotations[_]; \
             count(value) > {number} }}"
        )
    };
    let many = (0..60).map(rule).collect::<Vec<_>>().join("\n");
    let policies = policy("many", &many);
    let content = Content { explanations: true, ..Content::default() };
    let (webhook, lines) = Webhook::new(&policies).with_decisions(content);
    let mut object = pod(&json!({}));
    let mut with = |count: usize| {
        let annotations = (0..count).map(|number| (format!("a{number}"), json!("x".repeat(900))));
        object["metadata"]["annotations"] = Value::Object(annotations.collect());
        webhook.post("/v1/admit", review(&object, "CREATE").to_string());
        let record = read(&webhook, &lines).pop().unwrap();
        let violations = record["results"][0]["violations"].as_array().unwrap();
        assert_eq!(violations.len(), 60);
        violations.iter().filter_map(|one| one.get("why")).map(Value::to_string).collect::<Vec<_>>()
    };
    let some = with(2);
    let bytes: usize = some.iter().map(String::len).sum();
    assert!(!some.is_empty() && some.len() < 60 && bytes <= 64 << 10, "{} of {bytes} bytes", some.len());
    // Each by itself has too many ways.
    let cut = with(50);
    assert_eq!(cut.len(), 60);
    assert!(cut.iter().all(|why| why.contains("(cut: the conditions have more than 16384 bytes)")));
}

/// Tells everything that it sees.
const LEAKY: &str = r#"
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

#[test]
fn nothing_secret_is_recorded() {
    let webhook = Webhook::new(LEAKY).with_redact(&["spec.containers[*].env[*].value"]);
    let (webhook, lines) = webhook.with_decisions(Content { requests: true, ..Content::default() });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"},
        "data": {"password": "b3BlbnNlc2FtZQ=="},
    });
    let mut update = review(&secret, "UPDATE");
    update["request"]["oldObject"] = secret.clone();
    update["request"]["oldObject"]["data"]["password"] = "YmVmb3JlLWl0LXdhcw==".into();
    // What the user sees is the policy's to say.
    let said = webhook.post("/v1/admit", update.to_string()).text;
    assert!(said.contains("opensesame"), "{said}");
    let env = json!({"containers": [{"name": "a", "env": [{"name": "TOKEN", "value": "t0psecret"}]}]});
    webhook.create(&pod(&env));
    // What cannot be judged may hold secrets as well.
    webhook.post("/v1/admit", update.to_string().replace("\"UPDATE\"", "\"UPDAET\""));
    let records = read(&webhook, &lines);
    let text = json!(records).to_string() + &webhook.log.text();
    for leak in ["opensesame", "b3BlbnNlc2FtZQ", "YmVmb3JlLWl0", "t0psecret"] {
        assert!(!text.contains(leak), "{leak} in {text}");
    }
    assert_eq!(records.len(), 3);
    let violation = json!({"message": WITHHELD, "details": REDACTED});
    assert_eq!(records[0]["results"][0]["violations"][0], violation);
    assert_eq!(records[0]["message"], format!("[leaky] {WITHHELD}"));
    assert_eq!(records[0]["request"]["object"]["data"]["password"], REDACTED);
    assert_eq!(records[0]["requestDigest"], Value::Null);
    assert_eq!(records[1]["results"][0]["violations"][0], violation);
    assert_eq!(records[1]["request"]["object"]["spec"]["containers"][0]["env"][0]["name"], "TOKEN");
    assert_eq!((&records[2]["code"], &records[2]["results"]), (&json!(400), &Value::Null));
    // Nor is what quotes a request that has something secret, wherever that came from.
    let quoting = update.to_string().replace("\"dryRun\":false", "\"dryRun\":\"opensesame\"");
    assert!(webhook.post("/v1/admit", quoting).text.contains("opensesame"));
    let record = read(&webhook, &lines).pop().unwrap();
    assert!(record["message"].as_str().unwrap().starts_with(REDACTED), "{record}");
    assert!(!webhook.log.text().contains("opensesame"), "{}", webhook.log.text());
}

/// What the core can read and some readers of JSON cannot.
#[test]
fn what_is_nearly_too_deep_is_no_exception() {
    let (webhook, lines) =
        Webhook::new(LEAKY).with_decisions(Content { requests: true, ..Content::default() });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"},
        "data": {"password": "b3BlbnNlc2FtZQ=="},
    });
    let request = review(&secret, "CREATE").to_string();
    for depth in 110..130 {
        let deep = format!("\"data\":{{\"deep\":{}1{},", "[".repeat(depth), "]".repeat(depth));
        webhook.post("/v1/admit", request.replacen("\"data\":{", &deep, 1));
    }
    webhook.state.decisions.as_ref().unwrap().flush();
    let text = lines.text();
    assert_eq!(text.lines().count(), 20);
    assert!(text.contains(&format!("\"message\":\"{WITHHELD}\"")), "{text}");
    assert!(!text.contains("opensesame") && !text.contains("b3BlbnNlc2FtZQ"));
}

/// A template and its constraint.
fn policy(name: &str, rego: &str) -> String {
    let rego = format!("package {name}\n{rego}").replace('\n', "\n      ");
    let (first, rest) = name.split_at(1);
    let kind = first.to_uppercase() + rest;
    format!(
        r"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: {name}}}
spec:
  crd: {{spec: {{names: {{kind: {kind}}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      {rego}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: {kind}
metadata: {{name: {name}}}
---
"
    )
}

/// Repeats a secret in many forms.
const EVERY_FORM: &str = r#"
violation[{"msg": msg, "details": {d: [lower(d), upper(d)]}}] {
  raw := input.review.object.data[k]
  d := base64.decode(raw)
  msg := sprintf("%v %v %v %q %v %v %v %v %v %v", [trim_space(d), upper(d), split(d, ":"), d, hex.encode(d), urlquery.encode(d), json.marshal({"p": d}), base64.encode(d), strings.reverse(d), [c | c := split(d, "")[_]]])
}
violation[{"msg": msg}] {
  guess := base64.decode(input.review.object.data[_])
  letters := split("abcdefghijklmnopqrstuvwxyz0123456789", "")
  found := [letter | letter := letters[_]; contains(guess, letter)]
  msg := concat("", found)
}
violation[{"msg": "x"}] { print(input.review.object) }
"#;
/// Fails, with what it has read at hand.
const FAILS: &str = r#"
violation[{"msg": msg}] { msg := input.review.object.data }
"#;
/// Reads nothing that is secret.
const HARMLESS: &str = r#"
violation[{"msg": msg, "details": {"labels": input.review.object.metadata.labels}}] {
  msg := sprintf("%v %v of type %v", [input.review.kind.kind, input.review.object.metadata.name, input.review.object.type])
}
"#;

#[test]
fn a_secret_is_in_no_record_in_any_form() {
    let policies = policy("everyform", EVERY_FORM) + &policy("fails", FAILS) + &policy("harmless", HARMLESS);
    let (webhook, lines) =
        Webhook::new(&policies).with_decisions(Content { requests: true, ..Content::default() });
    let mut secrets: Vec<String> = [
        "hunter2\n",
        "hunter2-long-secret",
        "user:pa55word",
        "abc\"def\\x",
        "12345\n",
        "pässwörd-ü1",
        "zq9",
        "{\"a\":\"zz-inner\"}",
    ]
    .map(str::to_owned)
    .into();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in 4..24 {
        let letters = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b"kqzxwvj!#7409 :\n"[(state >> 20) as usize % 16])
        });
        secrets.push(format!("q{}z", letters.collect::<String>()));
    }
    for secret in &secrets {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "shop"}},
            "data": {"k": BASE64.encode(secret)},
        });
        webhook.create(&object);
    }
    let records = read(&webhook, &lines);
    assert_eq!(records.len(), secrets.len());
    let log = webhook.log.text();
    for (record, secret) in records.iter().zip(&secrets) {
        // Times and the like hold many short texts.
        let told = json!([record["message"], record["results"], record["request"]["object"]]).to_string();
        let reversed: String = secret.trim().chars().rev().collect();
        let hex: String = secret
            .trim()
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|digit| char::from_digit(digit.into(), 16).unwrap())
            .collect();
        let parts = secret.split([':', '\n', ' ']).filter(|part| part.len() > 3).map(str::to_owned);
        for form in parts.chain([secret.trim().to_owned(), reversed, hex, BASE64.encode(secret)]) {
            let form = form.to_lowercase();
            assert!(!told.to_lowercase().contains(&form), "{form:?} in {told}");
            assert!(form.len() < 6 || !log.to_lowercase().contains(&form), "{form:?} in {log}");
        }
        let results = record["results"].as_array().unwrap();
        let found = results[0]["violations"].as_array().unwrap();
        assert!(!found.is_empty() && found.iter().all(|found| found["message"] == WITHHELD), "{record}");
        assert_eq!(results[1]["error"], WITHHELD);
        assert_eq!(results[2]["violations"][0]["message"], "Secret db of type Opaque");
        assert_eq!(results[2]["violations"][0]["details"], json!({"labels": {"app": "shop"}}));
    }
    assert!(log.contains("denied admission: Secret db of type Opaque"), "{log}");
    assert!(log.contains(&format!("denied admission: {WITHHELD}")), "{log}");
}

#[test]
fn other_objects_with_the_same_fields_are_told_about() {
    let webhook = Webhook::new(&policy("everyform", EVERY_FORM));
    let (webhook, lines) = webhook.with_decisions(Content { requests: true, ..Content::default() });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"a": "YWJj"}});
    webhook.create(&map);
    let records = read(&webhook, &lines);
    assert_eq!(records[0]["request"]["object"]["data"]["a"], "YWJj");
    assert!(records[0]["requestDigest"].is_string());
    assert_ne!(records[0]["results"][0]["violations"][0]["message"], WITHHELD);
    // A limit is no secret.
    let hungry = "violation[{\"msg\": \"x\"}] { count([1 | numbers.range(1, 3000)[_]; numbers.range(1, 3000)[_]; input.review.object.data]) > 0 }";
    let (webhook, lines) = Webhook::new(&policy("hungry", hungry)).with_decisions(Content::default());
    webhook.create(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c", "namespace": "shop"}, "data": {"a": "YWJj"}}));
    let error = read(&webhook, &lines)[0]["results"][0]["error"].clone();
    assert!(error.as_str().unwrap().contains("limit `"), "{error}");
}

#[test]
fn secrets_that_policies_compare_with_are_not_recorded_either() {
    const SECRETS: &str = r#"
violation[{"msg": msg}] {
  other := data.inventory.namespace[_]["v1"]["Secret"][_]
  msg := sprintf("%v", [strings.reverse(other.data.k)])
}"#;
    const NAMES: &str = r#"
violation[{"msg": msg}] {
  other := data.inventory.namespace[_]["v1"]["Secret"][_]
  msg := sprintf("named as %v", [other.metadata.name])
}"#;
    const MAPS: &str = r#"
violation[{"msg": msg}] {
  other := data.inventory.namespace[_]["v1"]["ConfigMap"][_]
  msg := sprintf("as %v", [other.data.k])
}"#;
    const ANY: &str = r#"
violation[{"msg": msg}] {
  other := data.inventory.namespace[_][_][kind][_]
  msg := sprintf("%v", [other])
}"#;
    let policies =
        policy("secrets", SECRETS) + &policy("names", NAMES) + &policy("maps", MAPS) + &policy("every", ANY);
    let resources = r"
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
data: {k: b3BlbnNlc2FtZQ==}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: shop}
data: {k: plain}
";
    let (webhook, lines) = Webhook::with_resources(&policies, resources)
        .with_decisions(Content { requests: true, ..Content::default() });
    webhook.create(&pod(&json!({})));
    let records = read(&webhook, &lines);
    let messages = |name: &str| {
        let mut results = records[0]["results"].as_array().unwrap().iter();
        let result = results.find(|result| result["name"] == name).unwrap();
        result["violations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| found["message"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(messages("secrets"), [WITHHELD]);
    assert_eq!(messages("every"), [WITHHELD, WITHHELD]);
    assert_eq!(messages("names"), ["named as db"]);
    assert_eq!(messages("maps"), ["as plain"]);
    let text = json!(records).to_string() + &webhook.log.text();
    assert!(!text.contains("b3BlbnNlc2FtZQ") && !text.contains("==QZtF2cl5WZw9Wb"), "{text}");
}

#[test]
fn what_is_recorded_of_one_request_is_bounded_and_says_so() {
    const ECHO: &str = r#"
violation[{"msg": msg, "details": {"value": value}}] { value := input.review.object.data[k]; msg := sprintf("%v: %v", [k, value]) }"#;
    const MANY: &str = r#"
violation[{"msg": msg}] { n := numbers.range(1, 8000)[_]; msg := sprintf("%v: a message that is one of many", [n]) }"#;
    let policies = policy("echo", ECHO) + &policy("many", MANY);
    let (webhook, lines) = Webhook::new(&policies).with_decisions(Content::default());
    let large = "y".repeat(1 << 20);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n".repeat(100_000), "namespace": "shop"}, "data": {"a": large}});
    let answer = webhook.post("/v1/admit", review(&map, "CREATE").to_string()).text;
    assert!(answer.len() > 256 << 10, "users see more than is recorded");
    webhook.state.decisions.as_ref().unwrap().flush();
    assert!(lines.text().len() < 400 << 10 && webhook.log.text().len() < 400 << 10);
    let record = &lines.read()[0];
    let echo = &record["results"][0]["violations"][0];
    assert!(echo["message"].as_str().unwrap().ends_with("… (cut: 1048579 bytes in all)"));
    assert_eq!(echo["details"], "(cut: the details have more than 16384 bytes)");
    let many = &record["results"][1];
    let listed = many["violations"].as_array().unwrap().len() as u64;
    assert_eq!(many["violationsLeftOut"].as_u64().unwrap() + listed, 8000);
    let log = webhook.log.read();
    let last = log.last().unwrap();
    assert_eq!(last["msg"], "more was found than is logged of one request");
    let logged = log.iter().filter(|line| line["event_type"] == "violation").count() as u64;
    assert_eq!(last["findings"].as_u64().unwrap() + logged, 8001);
}

#[test]
fn what_many_constraints_say_together_is_bounded_and_each_of_them_counts() {
    const ECHO: &str = r#"
violation[{"msg": msg, "details": {"value": value}}] { value := input.review.object.data[k]; msg := sprintf("%v: %v", [k, value]) }"#;
    let constraint = |number| {
        format!(
            "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Echo\nmetadata: {{name: echo{number:02}}}\n---\n"
        )
    };
    let policies = policy("echo", ECHO) + &(0..20).map(constraint).collect::<String>();
    let (webhook, lines) = Webhook::new(&policies).with_decisions(Content::default());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "namespace": "shop"}, "data": {"a": "y".repeat(1 << 20)}});
    let request = review(&map, "CREATE").to_string();
    assert_eq!(webhook.post("/v1/admit", request.clone()).response()["status"]["code"], 403);
    let records = read(&webhook, &lines);
    let results = records[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 21);
    for result in results {
        let message = result["violations"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("… (cut: 1048579 bytes in all)"), "{result}");
    }
    // What is held of them until the answer is made.
    let outcome = webhook.judge(request.as_bytes());
    let held = outcome.results.iter().map(|result| match &result.verdict {
        Verdict::Violations(violations) => violations.iter().map(|found| found.message.len()).sum::<usize>(),
        _ => 0,
    });
    assert!(held.sum::<usize>() < 5 << 20);
}
