//! What is said to requests that can be judged.

use serde_json::{Value, json};

use portcullis::Unsupported;
use portcullis_webhook::admission::{BadRego, Budget, Own, admit};
use portcullis_webhook::load::{Paths, load};

use crate::support::{POLICIES, Webhook, pod, review};

#[test]
fn a_denial_has_gatekeepers_form() {
    let webhook = Webhook::new(POLICIES);
    let reply = webhook
        .post("/v1/admit", review(&pod(&json!({"hostPID": true, "hostIPC": true})), "CREATE").to_string());
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "u-1",
            "allowed": false,
            "status": {
                "code": 403,
                "reason": "Forbidden",
                "message": "[no-host-ipc] hostIPC is not allowed\n[no-host-pid] hostPID is not allowed",
            },
        },
    });
    assert_eq!(reply.json(), expected);
}

#[test]
fn a_warning_passes_with_299_and_a_dry_run_without_a_word() {
    let webhook = Webhook::new(POLICIES);
    let response = webhook.create(&pod(&json!({"nodeName": "n1"})));
    assert_eq!(response["allowed"], true);
    assert_eq!(response["status"]["code"], 299);
    assert_eq!(response["warnings"], json!(["[no-node] nodeName is not allowed"]));
    let response = webhook.create(&pod(&json!({"hostNetwork": true})));
    assert_eq!(response, json!({"uid": "u-1", "allowed": true, "status": {"code": 200}}));
    // Both: denied, and warned.
    let response = webhook.create(&pod(&json!({"nodeName": "n1", "hostPID": true})));
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["warnings"], json!(["[no-node] nodeName is not allowed"]));
}

#[test]
fn v1beta1_is_answered_in_v1beta1() {
    let webhook = Webhook::new(POLICIES);
    let mut request = review(&pod(&json!({"hostPID": true})), "CREATE");
    request["apiVersion"] = "admission.k8s.io/v1beta1".into();
    let reply = webhook.post("/v1/admit", request.to_string());
    assert_eq!(reply.json()["apiVersion"], "admission.k8s.io/v1beta1");
    assert_eq!(reply.response()["allowed"], false);
}

#[test]
fn a_deletion_is_judged_by_the_old_object() {
    let webhook = Webhook::new(POLICIES);
    let request = review(&pod(&json!({"hostPID": true})), "DELETE");
    let response = webhook.post("/v1/admit", request.to_string()).response();
    // The core's templates review what they say they review; the verdict is the core's, and here it is that of gator's webhook.
    assert_eq!(response["uid"], "u-1");
    assert_eq!(response["allowed"], false);
}

#[test]
fn excluded_namespaces_are_let_in_and_not_counted() {
    let webhook = Webhook::new(POLICIES);
    let mut object = pod(&json!({"hostPID": true}));
    object["metadata"]["namespace"] = "kube-system".into();
    let response = webhook.create(&object);
    assert_eq!(response["allowed"], true);
    assert_eq!(response["status"]["message"], "Namespace is set to be ignored by Gatekeeper config");
    assert!(!webhook.get("/metrics").text.contains("request_count_total{"));
}

#[test]
fn many_warnings_stay_within_what_an_api_server_passes_on() {
    let constraint = |number| {
        let field = "f".repeat(100);
        format!(
            "---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoSpec\nmetadata: {{name: c{number:02}}}\n\
             spec: {{enforcementAction: warn, parameters: {{field: {field}}}}}\n"
        )
    };
    let policies: String = (0..60).map(constraint).collect();
    let webhook = Webhook::new(&format!("{POLICIES}{policies}"));
    let response = webhook.create(&pod(&json!({"f".repeat(100): true})));
    let warnings: Vec<&str> =
        response["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(warnings.iter().map(|warning| warning.len()).sum::<usize>() <= 4096);
    assert!(warnings.len() > 20, "{warnings:?}");
    let left = 60 - (warnings.len() - 1);
    assert_eq!(*warnings.last().unwrap(), format!("… and {left} more warnings"));

    let long = "é".repeat(5000);
    let policies = format!(
        "{POLICIES}---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoSpec\nmetadata: {{name: long}}\n\
         spec: {{enforcementAction: warn, parameters: {{field: {long}}}}}\n"
    );
    let response = Webhook::new(&policies).create(&pod(&json!({long: true})));
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("é… (cut: 10022 bytes in all)") && warning.len() <= 4096, "{}", warning.len());
}

#[test]
fn a_broken_policy_is_refused_when_it_is_applied() {
    let webhook = Webhook::new(POLICIES);
    let template = |rego: &str| {
        json!({
            "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "bad"},
            "spec": {
                "crd": {"spec": {"names": {"kind": "Bad"}}},
                "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}],
            },
        })
    };
    let response = webhook.create(&template("package bad\nviolation[{\"msg\": msg}] { msg := }\n"));
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(422)),
        "{response}"
    );
    let message = response["status"]["message"].as_str().unwrap();
    assert_eq!(
        message,
        "line 2, column 34: rego_parse_error: unexpected } token, in `violation[{\"msg\": msg}] { msg := }`"
    );
    let response = webhook
        .create(&template("package bad\nviolation[{\"msg\": \"x\"}] { input.review.object.spec.y }\n"));
    assert_eq!(response["allowed"], true, "{response}");

    let unknown: Vec<String> = (0..50).map(|number| format!("unknown{number}")).collect();
    let response = webhook.create(&template(&format!(
        "package bad\nviolation[{{\"msg\": \"x\"}}] {{\n{}\n}}\n",
        unknown.join("\n")
    )));
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("line 3, column 1: ") && message.ends_with("\n… and 30 more problems"),
        "{message}"
    );

    let constraint = |kind: &str, spec: Value| json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": "c"}, "spec": spec});
    let cases = [
        ("NoSpec", json!({"parameters": {"field": "x"}}), None),
        ("NoSpec", json!({"parameters": {"field": 3}}), Some("spec.parameters.field")),
        ("NoSpec", json!({"enforcementAction": "refuse"}), Some("spec.enforcementAction")),
        ("Unknown", json!({}), Some("Unknown")),
    ];
    for (kind, spec, problem) in cases {
        let response = webhook.create(&constraint(kind, spec));
        assert_eq!(response["allowed"], problem.is_none(), "{response}");
        if let Some(problem) = problem {
            assert_eq!(response["status"]["code"], 422, "{response}");
            assert!(response["status"]["message"].as_str().unwrap().contains(problem), "{response}");
        }
    }
    // What is wrong may always be removed.
    let broken = constraint("NoSpec", json!({"parameters": {"field": 3}}));
    let response = webhook.post("/v1/admit", review(&broken, "DELETE").to_string()).response();
    assert_eq!(response["allowed"], true, "{response}");
}

#[test]
fn bad_rego_is_admitted_with_a_warning_if_asked_for_and_nothing_else_is() {
    let own = Own { bad_rego: BadRego::Admit, ..Own::default() };
    let webhook = Webhook::new(POLICIES).with_own(own);
    let template = |rego: &str, schema: Value| {
        json!({
            "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "bad"},
            "spec": {
                "crd": {"spec": {"names": {"kind": "Bad"}, "validation": {"openAPIV3Schema": schema}}},
                "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}],
            },
        })
    };
    let bad = "package bad\nviolation[{\"msg\": msg}] { msg := }\n";
    let response = webhook.create(&template(bad, json!({"type": "object"})));
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(true), &json!(299)),
        "{response}"
    );
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("this template enforces nothing: line 2, column 34: "), "{warning}");
    let response = webhook.create(&template(bad, json!({"type": "objekt"})));
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(422)),
        "{response}"
    );
}

fn of_kind(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "one"}, "spec": {}})
}

#[test]
fn policies_that_are_not_supported_are_refused_or_let_in_with_a_warning_and_others_are_ordinary() {
    let unsupported = [
        of_kind("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate"),
        of_kind("mutations.gatekeeper.sh/v1", "Assign"),
        of_kind("externaldata.gatekeeper.sh/v1beta1", "Provider"),
        of_kind("connection.gatekeeper.sh/v1alpha1", "Connection"),
    ];
    let refusing = Webhook::new(POLICIES);
    let allowing =
        Webhook::new(POLICIES).with_own(Own { unsupported: Unsupported::Allowed, ..Own::default() });
    for object in &unsupported {
        let response = refusing.create(object);
        assert_eq!(response["status"]["code"], 422, "{response}");
        assert!(response["status"]["message"].as_str().unwrap().contains("not supported"), "{response}");
        let response = allowing.create(object);
        assert_eq!(response["status"]["code"], 299, "{response}");
        assert!(response["warnings"][0].as_str().unwrap().contains("not supported"), "{response}");
        let deletion = refusing.post("/v1/admit", review(object, "DELETE").to_string()).response();
        assert_eq!(deletion["allowed"], true, "{deletion}");
    }
    for object in [
        of_kind("operator.gatekeeper.sh/v1alpha1", "Gatekeeper"),
        of_kind("gatekeeper.acme.io/v1", "Rule"),
        of_kind("status.gatekeeper.sh/v1beta1", "ConfigPodStatus"),
    ] {
        assert_eq!(refusing.create(&object)["status"]["code"], 200, "{object}");
    }
    let near = refusing.create(&of_kind("template.gatekeeper.sh/v1", "ConstraintTemplate"));
    assert_eq!(near["status"]["code"], 422, "{near}");
}

#[test]
fn files_with_what_is_not_supported_are_not_served_unless_that_is_allowed() {
    let connection = of_kind("connection.gatekeeper.sh/v1alpha1", "Connection");
    let webhook = Webhook::new(POLICIES);
    webhook.edit(&format!("{POLICIES}---\n{connection}\n"));
    let ready = webhook.get("/readyz?verbose").text;
    assert!(ready.contains("[!]policies stale") && ready.contains("not supported"), "{ready}");
    let paths = Paths { unsupported: Unsupported::Allowed, ..webhook.paths.clone() };
    let loaded = load(&paths).unwrap();
    assert!(loaded.warnings.iter().any(|warning| warning.to_string().contains("not supported")));
}

/// `n` is a boolean in YAML, and so no name. What was meant for a policy must not be missing unseen.
#[test]
fn policies_of_which_no_object_can_be_made_are_not_left_out_unseen() {
    for metadata in
        ["metadata: {name: n}", "metadata: [one]", "metadata: {name: one, labels: {on: 1}}", "name: x"]
    {
        for kind in [
            "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoSpec\n",
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\n",
            "apiVersion: templates.gatekeeper.sh/v1\n",
            "apiVersion: expansion.gatekeeper.sh/v1beta1\nkind: ExpansionTemplate\n",
        ] {
            let webhook = Webhook::new(POLICIES);
            webhook.edit(&format!("{POLICIES}---\n{kind}{metadata}\n"));
            let ready = webhook.get("/readyz?verbose").text;
            assert!(ready.contains("[!]policies stale"), "{kind}{metadata}: {ready}");
        }
    }
}

/// Denies by a selector, by a policy that reads the Namespace, and whatever comes.
const NAMESPACE_READERS: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: teamed}
spec:
  crd: {spec: {names: {kind: Teamed}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package teamed
      violation[{"msg": "wrong team"}] { input.review.namespaceObject.metadata.labels.team == "x" }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Teamed, metadata: {name: reads}, spec: {enforcementAction: warn}}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: noexec}
spec:
  crd: {spec: {names: {kind: NoExec}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package noexec
      violation[{"msg": "no exec"}] { true }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoExec
metadata: {name: no-exec}
spec: {match: {scope: Namespaced, kinds: [{apiGroups: [""], kinds: [PodExecOptions]}]}}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoExec
metadata: {name: selects}
spec: {enforcementAction: warn, match: {namespaceSelector: {matchLabels: {a: b}}}}
"#;

fn exec(object: &Value) -> Value {
    let mut request = review(object, "CONNECT");
    request["request"]["namespace"] = json!("other");
    request["request"]["subResource"] = json!("exec");
    request
}

#[test]
fn the_request_says_where_an_object_without_metadata_lives() {
    let webhook = Webhook::new(NAMESPACE_READERS);
    let ask = |request: &Value| webhook.post("/v1/admit", request.to_string()).response();
    let bare = json!({"apiVersion": "v1", "kind": "PodExecOptions", "command": ["sh"]});
    let named = json!({"apiVersion": "v1", "kind": "PodExecOptions", "metadata": {"namespace": "prod"}, "command": ["sh"]});
    for object in [bare, named] {
        let response = ask(&exec(&object));
        assert_eq!(response["status"]["message"], "[no-exec] no exec", "{response}");
        // Nobody has the Namespace `other`: what needs it is an error of its own.
        let warnings = response["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{response}");
        assert!(
            warnings[0].as_str().unwrap().starts_with("[selects] unable to match constraints"),
            "{response}"
        );
    }
}

#[test]
fn a_namespace_that_cannot_be_told_is_an_error_of_the_constraints_that_need_it() {
    let webhook = Webhook::new(NAMESPACE_READERS);
    let budget = Budget {
        limits: portcullis::EvaluationLimits::default(),
        deadline: std::time::Instant::now() + std::time::Duration::from_mins(1),
        now_ns: 0,
    };
    let ask = |namespace: Result<Option<portcullis::Object>, String>| {
        let request = review(&pod(&json!({})), "CREATE").to_string();
        let serving = webhook.state.serving();
        let (envelope, answer) = admit(request.as_bytes(), &serving, &Own::default(), namespace, &budget);
        let body: Value = serde_json::from_slice(&answer.to_body(&envelope)).unwrap();
        body["response"].clone()
    };
    let response = ask(Err("the namespace `shop` did not come in time".to_owned()));
    assert_eq!(response["allowed"], true, "no constraint that denies needs it: {response}");
    let warnings: Vec<&str> =
        response["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(
        warnings,
        [
            "[reads] the policy reads `namespaceObject`: the namespace `shop` did not come in time",
            "[selects] unable to match constraints: error matching the requested object: web :failed to run Match criteria: \
             namespace selector for namespace-scoped object but missing Namespace: the namespace `shop` did not come in time",
        ]
    );
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "x"}}});
    let response = ask(Ok(Some(portcullis::Object::from_json(&shop).unwrap())));
    assert_eq!(response["warnings"], json!(["[reads] wrong team"]));
}

#[test]
fn the_webhook_itself_and_its_namespace_are_let_in() {
    let own = Own {
        namespace: Some("gate".to_owned()),
        identities: vec!["system:serviceaccount:gate:portcullis-webhook".to_owned()],
        ..Own::default()
    };
    let webhook = Webhook::new(POLICIES).with_own(own);
    let bad = |namespace: &str| {
        let mut pod = pod(&json!({"hostPID": true}));
        pod["metadata"]["namespace"] = namespace.into();
        review(&pod, "CREATE")
    };
    let ask = |request: &Value| webhook.post("/v1/admit", request.to_string()).response();
    assert_eq!(ask(&bad("shop"))["allowed"], false);
    let own = ask(&bad("gate"));
    assert_eq!(
        (&own["allowed"], &own["status"]["message"]),
        (&json!(true), &json!("Namespace is the webhook's own"))
    );
    let mut request = bad("shop");
    request["request"]["userInfo"]["username"] = "system:serviceaccount:gate:portcullis-webhook".into();
    let itself = ask(&request);
    assert_eq!(
        (&itself["allowed"], &itself["status"]["message"]),
        (&json!(true), &json!("Gatekeeper does not self-manage"))
    );
    request["request"]["userInfo"]["username"] = "system:serviceaccount:gate:other".into();
    assert_eq!(ask(&request)["allowed"], false);
    // Policies are checked everywhere, also in its own namespace.
    let config = json!({
        "apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
        "metadata": {"name": "config", "namespace": "gate"}, "spec": {"match": [{"processes": ["webhok"]}]},
    });
    assert_eq!(webhook.create(&config)["status"]["code"], 422);
}

#[test]
fn what_is_random_depends_on_the_request_and_on_nothing_else() {
    let policies = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: dice}
spec:
  crd: {spec: {names: {kind: Dice}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package dice
      violation[{"msg": msg}] { msg := sprintf("%d %v", [rand.intn("x", 1000000), uuid.rfc4122("y")]) }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Dice
metadata: {name: dice}
"#;
    let ask = |webhook: &Webhook, uid: &str| {
        let mut request = review(&pod(&json!({})), "CREATE");
        request["request"]["uid"] = uid.into();
        webhook.post("/v1/admit", request.to_string()).response()["status"]["message"].clone()
    };
    let (one, other) = (Webhook::new(policies), Webhook::new(policies));
    assert_eq!(ask(&one, "u-1"), ask(&other, "u-1"));
    assert_ne!(ask(&one, "u-1"), ask(&one, "u-2"));
}

#[test]
fn only_exempt_namespaces_may_have_the_ignore_label() {
    let webhook = Webhook::new(POLICIES);
    let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let ask = |object: &Value, operation: &str| {
        webhook.post("/v1/admitlabel", review(object, operation).to_string()).response()
    };
    let label = json!({"admission.gatekeeper.sh/ignore": "yes"});
    let denied = ask(&namespace("shop", label.clone()), "CREATE");
    assert_eq!(denied["allowed"], false);
    let message = "Only exempt namespace can have the admission.gatekeeper.sh/ignore label";
    assert_eq!(denied["status"]["message"], message);
    assert_eq!(ask(&namespace("infra", label.clone()), "CREATE")["allowed"], true);
    assert_eq!(ask(&namespace("shop", json!({"a": "b"})), "CREATE")["allowed"], true);
    assert_eq!(ask(&namespace("shop", label), "DELETE")["allowed"], true);
    assert_eq!(ask(&pod(&json!({})), "CREATE")["allowed"], true);
    assert_eq!(webhook.post("/v1/admitlabel", "{").response()["allowed"], false);
}

#[test]
fn every_finding_is_logged_in_gatekeepers_keys_and_counted() {
    let webhook = Webhook::new(POLICIES);
    webhook.create(&pod(&json!({"hostPID": true, "hostNetwork": true})));
    webhook.create(&pod(&json!({})));
    let log = webhook.log.read();
    let lines: Vec<&Value> = log.iter().filter(|line| line["event_type"] == "violation").collect();
    assert_eq!(lines.len(), 2);
    let line = lines[0];
    let expected = json!({
        "msg": "denied admission: hostPID is not allowed", "semantic": true, "process": "admission", "event_type": "violation",
        "details": {"field": "hostPID"}, "constraint_name": "no-host-pid", "constraint_group": "constraints.gatekeeper.sh",
        "constraint_api_version": "v1beta1", "constraint_kind": "NoSpec", "constraint_action": "deny",
        "constraint_enforcement_actions": ["deny"], "resource_group": "", "resource_api_version": "v1", "resource_kind": "Pod",
        "resource_namespace": "shop", "resource_name": "web", "request_username": "dana",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key}");
    }
    assert_eq!(lines[1]["constraint_action"], "dryrun");
    let metrics = webhook.get("/metrics").text;
    for sample in [
        "gatekeeper_constraints{enforcement_action=\"deny\",status=\"active\"} 2\n",
        "gatekeeper_constraint_templates{status=\"active\"} 1\n",
        "gatekeeper_validation_request_count_total{admission_dryrun=\"false\",admission_status=\"allow\"} 1\n",
        "gatekeeper_validation_request_count_total{admission_dryrun=\"false\",admission_status=\"deny\"} 1\n",
        "gatekeeper_validation_request_duration_seconds_count{admission_status=\"deny\"} 1\n",
        "gatekeeper_validation_request_duration_seconds_bucket{admission_status=\"deny\",le=\"+Inf\"} 1\n",
        "portcullis_constraint_evaluations_total{constraint_kind=\"NoSpec\",constraint_name=\"no-host-pid\",outcome=\"violation\"} 1\n",
        "portcullis_policies_stale 0\n",
        "portcullis_constraint_evaluations_total{constraint_kind=\"NoSpec\",constraint_name=\"no-host-pid\",outcome=\"pass\"} 1\n",
        "portcullis_constraint_evaluation_duration_seconds_count{constraint_kind=\"NoSpec\",constraint_name=\"no-host-pid\"} 2\n",
        "gatekeeper_constraint_template_ingestion_count_total{status=\"active\"} 1\n",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    for measured in ["duration_seconds_sum", "steps_total"] {
        let name = format!(
            "portcullis_constraint_evaluation_{measured}{{constraint_kind=\"NoSpec\",constraint_name=\"no-host-pid\"}} "
        );
        let value: f64 = metrics.split_once(&name).unwrap().1.lines().next().unwrap().parse().unwrap();
        assert!(value > 0.0, "{measured}");
    }
}
