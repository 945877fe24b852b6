//! What is said to requests that ask for a mutation: the whole object as mutators leave it, or no.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::{Answers, Document, Mutable, MutationLimits, MutatorSet, Object, Operation, Unsupported};
use portcullis_testkit::json_patch::patched;
use portcullis_webhook::admission::{Envelope, Mutating, Own, mutate};
use portcullis_webhook::head::BodyHead;
use portcullis_webhook::load::{Paths, load};
use portcullis_webhook::state::MutationSettings;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::program::Program;
use crate::support::{POLICIES, Webhook, occupy, pod, review};

/// A label for everything, a default for Pods, and where the namespace is said to be.
const MUTATORS: &str = r#"
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: not-root}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: spec.securityContext.runAsNonRoot
  parameters: {assign: {value: true}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: pull}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod], operations: [CREATE]}]
  location: "spec.containers[name: *].imagePullPolicy"
  parameters: {assign: {value: Always}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: home}
spec:
  match: {scope: Namespaced}
  location: metadata.labels.home
  parameters: {assign: {fromMetadata: {field: namespace}}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: ModifySet
metadata: {name: no-debug}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: "spec.containers[name: *].args"
  parameters:
    operation: prune
    values: {fromList: [--debug]}
    pathTests: [{subPath: "spec.containers[name: *].args", condition: MustExist}]
---
apiVersion: config.gatekeeper.sh/v1alpha1
kind: Config
metadata: {name: config, namespace: gatekeeper-system}
spec: {match: [{excludedNamespaces: ["kube-*"], processes: [mutation-webhook]}]}
"#;

/// Only applied where the Namespace says so.
const BY_NAMESPACE: &str = "
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: team}
spec:
  match: {namespaceSelector: {matchLabels: {team: shop}}}
  location: metadata.labels.team
  parameters: {assign: {value: shop}}
";

/// Each pass makes the object one of another kind, for ever.
fn restless() -> String {
    let turn = |name: &str, from: &str, to: &str| {
        format!(
            "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: {name}}}\nspec:\n  \
             applyTo: [{{groups: [\"\"], versions: [v1], kinds: [{from}]}}]\n  location: kind\n  \
             parameters: {{assign: {{value: {to}}}}}\n"
        )
    };
    turn("c", "Pod", "A") + &turn("b", "A", "B") + &turn("a", "B", "Pod")
}

fn policies(mutators: &str) -> String {
    // Its Config excludes namespaces from validation; here that of the mutators counts.
    let (policies, _) = POLICIES.rsplit_once("---").unwrap();
    format!("{policies}{mutators}")
}

fn webhook(mutators: &str) -> Webhook {
    Webhook::mutating(&policies(mutators), "", MutationSettings::default())
}

fn ask(webhook: &Webhook, request: &Value) -> Value {
    webhook.post("/v1/mutate", request.to_string()).response()
}

fn patch_of(response: &Value) -> Option<Value> {
    let text = response.get("patch")?.as_str().unwrap();
    assert_eq!((&response["patchType"], &response["allowed"]), (&json!("JSONPatch"), &json!(true)));
    Some(serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap())
}

/// Nothing passes, and nothing of a patch is there.
fn refused(response: &Value, code: u16) -> String {
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(code)),
        "{response}"
    );
    assert_eq!((response.get("patch"), response.get("patchType")), (None, None), "{response}");
    response["status"]["message"].as_str().unwrap().to_owned()
}

fn web() -> Value {
    pod(&json!({"containers": [{"name": "web", "image": "web:1", "args": ["--debug", "--port=80"]}]}))
}

#[test]
fn what_is_changed_is_a_patch() {
    let webhook = webhook(MUTATORS);
    let reply = webhook.post("/v1/mutate", review(&web(), "CREATE").to_string());
    let patch = json!([
        {"op": "add", "path": "/metadata/labels", "value": {"home": "shop"}},
        {"op": "add", "path": "/spec/containers/0/imagePullPolicy", "value": "Always"},
        {"op": "remove", "path": "/spec/containers/0/args/0"},
        {"op": "add", "path": "/spec/securityContext", "value": {"runAsNonRoot": true}},
    ]);
    let answered = patch_of(&reply.response()).unwrap();
    let sorted = |patch: &Value| {
        let mut all: Vec<String> = patch.as_array().unwrap().iter().map(Value::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&answered), sorted(&patch));
    let mut response = reply.json();
    response["response"].as_object_mut().unwrap().remove("patch");
    assert_eq!(
        response,
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": "u-1", "allowed": true, "status": {"code": 200}, "patchType": "JSONPatch"},
        })
    );
    // Always the same bytes.
    let again = webhook.post("/v1/mutate", review(&web(), "CREATE").to_string());
    assert_eq!(again.text, reply.text);

    // Once more, nothing is left to do.
    let mutated = patched(&web(), &answered);
    let response = ask(&webhook, &review(&mutated, "CREATE"));
    let unchanged = json!({"code": 200, "message": "Resource was not mutated"});
    assert_eq!(response, json!({"uid": "u-1", "allowed": true, "status": unchanged}));

    // What is only for new objects stays away from others.
    let mut update = review(&web(), "UPDATE");
    update["request"]["oldObject"] = web();
    update["apiVersion"] = "admission.k8s.io/v1beta1".into();
    let reply = webhook.post("/v1/mutate", update.to_string());
    assert_eq!(reply.json()["apiVersion"], "admission.k8s.io/v1beta1");
    assert!(!patch_of(&reply.response()).unwrap().to_string().contains("imagePullPolicy"));
}

/// A policy of the API server's: it notes who asks and which image there is, and is asked again if anything changes.
const POLICY: &str = r#"
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: notes}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
  - {name: not-left-alone, expression: "object.metadata.name != 'alone'"}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{metadata: Object.metadata{annotations: {
          'who': request.userInfo.username, 'root': string(has(object.spec.securityContext))}}}
  reinvocationPolicy: IfNeeded
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: notes}
spec: {policyName: notes}
"#;

#[test]
fn admission_policies_of_files_are_asked_around_the_mutators() {
    let request = |pod: &Value| {
        let mut request = review(pod, "CREATE");
        request["request"]["resource"]["resource"] = "pods".into();
        request
    };
    let patch = |webhook: &Webhook, pod: &Value| {
        let response = ask(webhook, &request(pod));
        patch_of(&response).map(|patch| patched(pod, &patch)).ok_or(response)
    };
    let alone = webhook(POLICY);
    let mutated = patch(&alone, &web()).unwrap();
    assert_eq!(mutated["metadata"]["annotations"]["root"], "false");
    assert!(mutated["metadata"]["annotations"]["who"].is_string(), "{mutated}");
    let both = webhook(&format!("{MUTATORS}{POLICY}"));
    let mutated = patch(&both, &web()).unwrap();
    // Asked again after the mutators, which made it.
    assert_eq!(mutated["metadata"]["annotations"]["root"], "true", "{mutated}");
    assert_eq!(mutated["metadata"]["labels"]["home"], "shop");
    assert_eq!(mutated["metadata"]["namespace"], web()["metadata"]["namespace"], "{mutated}");
    let mut other = web();
    other["metadata"]["name"] = "alone".into();
    assert_eq!(patch(&alone, &other).unwrap_err()["status"]["message"], "Resource was not mutated");

    // What they deny is refused with their reason, and without a patch.
    let denying = webhook(&format!("{MUTATORS}{}", POLICY.replace("Object.metadata{", "Object.spec{")));
    let response = ask(&denying, &request(&web()));
    let message = refused(&response, 403);
    assert!(message.contains("policy 'notes' with binding 'notes' denied request"), "{message}");
    assert_eq!(response["status"]["reason"], "Invalid");
}

#[test]
fn without_the_flag_there_is_no_such_path_and_mutators_are_refused() {
    assert_eq!(Webhook::new(POLICIES).post("/v1/mutate", review(&web(), "CREATE").to_string()).http, 404);
    let webhook = webhook(MUTATORS);
    let paths = Paths { mutates: false, ..webhook.paths.clone() };
    let errors = load(&paths).unwrap_err();
    assert!(errors.iter().any(|error| error.to_string().contains("objects are not mutated")), "{errors:?}");
    let paths = Paths { unsupported: Unsupported::Allowed, ..paths };
    assert!(load(&paths).unwrap().serving.mutators.unwrap().is_empty());
    // A mutator that somebody applies to the cluster is not read, whatever the files have.
    let mutator = json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": "x"},
        "spec": {"location": "metadata.labels.x", "parameters": {"assign": {"value": "y"}}}});
    refused(&webhook.create(&mutator), 422);
}

#[test]
fn what_is_not_for_mutators_passes_as_it_is() {
    let own = Own {
        namespace: Some("portcullis-system".to_owned()),
        identities: vec!["system:serviceaccount:portcullis-system:portcullis-webhook".to_owned()],
        ..Own::default()
    };
    let webhook = webhook(MUTATORS).with_own(own);
    let passes = |request: &Value, message: &str| {
        let response = ask(&webhook, request);
        let status = json!({"code": 200, "message": message});
        assert_eq!(response, json!({"uid": "u-1", "allowed": true, "status": status}));
    };
    let mut connect = review(&web(), "CONNECT");
    connect["request"]["subResource"] = "exec".into();
    passes(&review(&web(), "DELETE"), "Mutating only on create or update");
    passes(&connect, "Mutating only on create or update");
    let within = |namespace: &str| {
        let mut pod = web();
        pod["metadata"]["namespace"] = namespace.into();
        review(&pod, "CREATE")
    };
    passes(&within("kube-system"), "Namespace is set to be ignored by Gatekeeper config");
    passes(&within("portcullis-system"), "Namespace is the webhook's own");
    let excluded = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-public"}});
    passes(&review(&excluded, "CREATE"), "Namespace is set to be ignored by Gatekeeper config");
    let mut itself = review(&web(), "CREATE");
    itself["request"]["userInfo"]["username"] =
        "system:serviceaccount:portcullis-system:portcullis-webhook".into();
    passes(&itself, "Gatekeeper does not self-manage");
    for (api_version, kind) in [
        ("templates.gatekeeper.sh/v1", "ConstraintTemplate"),
        ("constraints.gatekeeper.sh/v1beta1", "NoSpec"),
        ("mutations.gatekeeper.sh/v1", "Assign"),
        ("status.gatekeeper.sh/v1beta1", "MutatorPodStatus"),
    ] {
        let object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}});
        passes(&review(&object, "CREATE"), "Not mutating gatekeeper resources");
    }
    let metrics = webhook.get("/metrics").text;
    assert!(
        metrics.contains("gatekeeper_mutation_request_count_total{mutation_status=\"skip\"} 10\n"),
        "{metrics}"
    );
}

#[test]
fn an_object_is_where_the_request_says_and_its_patch_does_not_say_so() {
    let webhook = webhook(MUTATORS);
    for metadata in [
        json!({"name": "web"}),
        json!({"name": "web", "namespace": ""}),
        json!({"name": "web", "namespace": null}),
        json!({"name": "web", "namespace": "elsewhere"}),
        json!({"name": "web", "namespace": "shop"}),
        json!({"generateName": "web-"}),
        json!({}),
        Value::Null,
    ] {
        let mut object = pod(&json!({}));
        object["metadata"] = metadata.clone();
        let mut request = review(&object, "CREATE");
        request["request"]["namespace"] = "shop".into();
        let response = ask(&webhook, &request);
        let patch = patch_of(&response).unwrap_or_else(|| panic!("{metadata}: {response}"));
        let mutated = patched(&object, &patch);
        assert_eq!(mutated["metadata"]["labels"]["home"], "shop", "{metadata}: {patch}");
        assert_eq!(mutated["metadata"].get("namespace"), metadata.get("namespace"), "{metadata}: {patch}");
    }
    // What is in no namespace has none to be named by.
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    assert_eq!(ask(&webhook, &review(&object, "CREATE"))["status"]["message"], "Resource was not mutated");
}

#[test]
fn namespaces_are_looked_up_and_one_that_is_not_known_is_a_refusal() {
    let namespaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: shop}}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: bank}\n";
    let webhook = Webhook::mutating(&policies(BY_NAMESPACE), namespaces, MutationSettings::default());
    let within = |namespace: &str| {
        let mut pod = web();
        pod["metadata"]["namespace"] = namespace.into();
        ask(&webhook, &review(&pod, "CREATE"))
    };
    assert!(patch_of(&within("shop")).is_some());
    assert!(patch_of(&within("bank")).is_none());
    assert_eq!(within("default")["allowed"], true, "it is always there");
    let message = refused(&within("unknown"), 500);
    assert!(message.contains("AssignMetadata/team"), "{message}");
    // A Namespace is asked about its own labels.
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new", "labels": {"team": "shop"}}});
    assert!(ask(&webhook, &review(&object, "CREATE")).get("patch").is_none(), "the label is there");
}

#[test]
fn what_cannot_be_mutated_is_refused_as_a_whole() {
    let webhook = webhook(MUTATORS);
    let mut object = web();
    object["spec"]["securityContext"] = "none".into();
    let message = refused(&ask(&webhook, &review(&object, "CREATE")), 500);
    assert!(message.contains("Assign/not-root") && message.contains("spec.securityContext"), "{message}");
    let restless = self::webhook(&restless());
    let message = refused(&ask(&restless, &review(&web(), "CREATE")), 500);
    assert!(message.contains("still change it"), "{message}");
    let metrics = restless.get("/metrics").text;
    assert!(
        metrics.contains("gatekeeper_mutation_request_count_total{mutation_status=\"error\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("gatekeeper_mutators{status=\"active\"} 3\n"), "{metrics}");
    let log = restless.log.text();
    assert!(log.contains("could not be mutated") && log.contains("\"process\":\"mutation\""), "{log}");

    // More than it may take.
    let many =
        json!((0..20_000).map(|number| json!({"name": number.to_string(), "args": []})).collect::<Vec<_>>());
    let wide = (0..40).map(|number| {
        format!(
            "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: m{number}}}\nspec:\n  \
             applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n  \
             location: \"spec.containers[name: *].f{number}\"\n  parameters: {{assign: {{value: 1}}}}\n"
        )
    });
    let wide = self::webhook(&wide.collect::<String>());
    let message = refused(&ask(&wide, &review(&pod(&json!({"containers": many})), "CREATE")), 500);
    assert!(message.contains("limit") || message.contains("more than"), "{message}");
    assert_eq!(wide.state.memory.used(), 0);
}

#[test]
fn hostile_bodies_are_refused_as_for_a_verdict() {
    let webhook = webhook(MUTATORS);
    let good = review(&web(), "CREATE").to_string();
    assert!(patch_of(&webhook.post("/v1/mutate", good.clone()).response()).is_some());
    let mut bodies: Vec<Vec<u8>> =
        (0..good.len()).step_by(11).map(|end| good.as_bytes()[..end].to_vec()).collect();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    bodies.extend([
        format!("{good}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        b"\xff\xfe{\0".to_vec(),
        b"null".to_vec(),
        with("admission.k8s.io/v1", "admission.k8s.io/v9"),
        with("\"uid\":", "\"uid\":\"u-0\",\"uid\":"),
        with("\"CREATE\"", "\"CRAETE\""),
        with("\"CREATE\"", "\"DELETE\""),
        with("\"CREATE\"", "\"UPDATE\""),
        with("\"object\":{", "\"object\":null,\"objekt\":{"),
        with("\"kind\":\"Pod\",\"metadata\"", "\"metadata\""),
        with("\"kind\":\"Pod\",\"metadata\"", "\"kind\":\"Node\",\"metadata\""),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(),
    ]);
    for body in bodies {
        let text = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        let response = webhook.post("/v1/mutate", body).response();
        assert!(!refused(&response, 400).is_empty(), "{text}");
    }
    refused(&webhook.post("/v1/mutate", vec![b' '; 4 << 20]).response(), 413);
    assert_eq!(webhook.get("/v1/mutate").http, 405);
    assert_eq!(webhook.state.memory.used(), 0);
    // Nothing of this is a verdict of a constraint.
    assert!(!webhook.get("/metrics").text.contains("gatekeeper_validation_request_count_total{"));
}

#[test]
fn a_deadline_is_a_refusal_in_time() {
    let webhook = webhook(MUTATORS);
    let busy = occupy(&webhook.state.pool);
    let start = Instant::now();
    let body = review(&web(), "CREATE").to_string();
    let response = webhook.post("/v1/mutate?timeout=200ms", body.clone()).response();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(refused(&response, 500).contains("200 ms"), "{response}");
    assert_eq!(response["uid"], "u-1");
    drop(busy);
    assert!(patch_of(&webhook.post("/v1/mutate", body.clone()).response()).is_some());

    // While mutators are at work.
    let containers: Vec<Value> = (0..5000).map(|number| json!({"name": format!("c{number}")})).collect();
    let body = review(&pod(&json!({"containers": containers})), "CREATE").to_string();
    let (envelope, refusal) = Envelope::read(body.as_bytes(), &BodyHead::of(body.as_bytes()));
    assert!(refusal.is_none());
    let nothing = Answers::new();
    let mutating = Mutating {
        answers: &nothing,
        limits: MutationLimits::default(),
        deadline: Instant::now(),
        max_patch: 1 << 20,
        id: "",
        annotates: false,
        tells: false,
    };
    let serving = webhook.state.serving();
    let ask =
        |mutating| mutate(body.as_bytes(), &envelope, &serving, &Own::default(), Ok(None), &mutating).answer;
    let answer = ask(mutating);
    assert!(!answer.is_allowed() && answer.patch.is_none(), "{answer:?}");
    let later = Mutating { deadline: Instant::now() + Duration::from_mins(1), ..mutating };
    assert!(ask(later).patch.is_some());
    let answer = ask(Mutating { max_patch: 100, ..later });
    assert!(!answer.is_allowed() && answer.patch.is_none() && answer.code() == 500, "{answer:?}");
    assert!(answer.message().contains("more than the 100"), "{answer:?}");
}

#[test]
fn a_patch_that_there_is_no_room_for_is_a_refusal_and_not_a_pass() {
    let webhook = webhook(MUTATORS);
    let containers: Vec<Value> = (0..200).map(|number| json!({"name": format!("c{number}")})).collect();
    let request = review(&pod(&json!({"containers": containers})), "CREATE");
    let all = webhook.state.answers.take(16 << 20).unwrap();
    let message = refused(&ask(&webhook, &request), 500);
    assert!(message.contains("wait for their readers"), "{message}");
    drop(all);
    assert!(webhook.get("/metrics").text.contains("portcullis_requests_shed_total 1\n"));
    assert!(patch_of(&ask(&webhook, &request)).is_some());
}

#[test]
fn changed_mutators_are_served_and_broken_ones_are_not() {
    let webhook = webhook(MUTATORS);
    let label = |value: &str| {
        format!(
            "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: AssignMetadata\nmetadata: {{name: one}}\nspec:\n  \
             location: metadata.labels.one\n  parameters: {{assign: {{value: {value}}}}}\n"
        )
    };
    let value = || {
        let patch = patch_of(&ask(&webhook, &review(&pod(&json!({})), "CREATE"))).unwrap();
        patched(&pod(&json!({})), &patch)["metadata"]["labels"]["one"].clone()
    };
    webhook.edit(&policies(&label("a")));
    assert_eq!(value(), "a");
    let conflict = |name: &str, location: &str| {
        format!(
            "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: {name}}}\nspec:\n  \
             applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n  location: \"{location}\"\n  \
             parameters: {{assign: {{value: 1}}}}\n"
        )
    };
    for broken in [
        label("b").replace("metadata.labels.one", "spec.one"),
        label("b") + &conflict("one", "spec.a.b") + &conflict("two", "spec.a[name: z].b"),
        // An emptied directory looks like one that is not mounted.
        String::new(),
    ] {
        webhook.edit(&policies(&broken));
        assert_eq!(value(), "a", "{broken}");
        let state = webhook.get("/readyz?verbose").text;
        assert!(state.contains("[!]mutators stale: 1"), "{state}");
    }
    assert!(webhook.log.text().contains("contradicts"), "{}", webhook.log.text());
    webhook.edit(&policies(&label("c")));
    assert_eq!(value(), "c");
    assert!(webhook.get("/readyz?verbose").text.contains("[+]mutators ok: 1\n"));
}

#[test]
fn mutations_are_annotated_and_logged_if_that_is_asked_for() {
    let settings = MutationSettings { annotates: true, logs: true };
    let webhook = Webhook::mutating(&policies(MUTATORS), "", settings);
    let annotations = || {
        let patch = patch_of(&ask(&webhook, &review(&web(), "CREATE"))).unwrap();
        patched(&web(), &patch)["metadata"]["annotations"].clone()
    };
    let (first, second) = (annotations(), annotations());
    let names = first["gatekeeper.sh/mutations"].as_str().unwrap();
    assert!(names.contains("Assign//not-root:") && names.contains("ModifySet//no-debug:"), "{names}");
    let id = |annotations: &Value| annotations["gatekeeper.sh/mutation-id"].as_str().unwrap().to_owned();
    let is_uuid = |id: &str| {
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        let bytes = id.as_bytes();
        lengths == [8, 4, 4, 4, 12] && bytes[14] == b'4' && b"89ab".contains(&bytes[19])
    };
    assert!(is_uuid(&id(&first)) && is_uuid(&id(&second)) && id(&first) != id(&second), "{first} {second}");
    let lines = webhook.log.read();
    let line = lines.iter().find(|line| line["mutation_id"] == id(&first)).unwrap();
    assert_eq!(line["event_type"], "mutation_applied");
    assert_eq!((&line["resource_kind"], &line["resource_namespace"]), (&json!("Pod"), &json!("shop")));
    let changes = line["changes"].as_array().unwrap();
    assert!(
        changes.contains(&json!({"mutator": "Assign/not-root", "path": "spec.securityContext"}))
            || changes.contains(
                &json!({"mutator": "Assign/not-root", "path": "spec.securityContext.runAsNonRoot"})
            ),
        "{line}"
    );
    // What nothing is done to has no annotation.
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    assert!(ask(&webhook, &review(&node, "CREATE")).get("patch").is_none());
}

#[test]
fn no_line_repeats_a_secret() {
    let mutators = "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {name: a}\nspec:\n  \
        applyTo: [{groups: [\"\"], versions: [v1], kinds: [Secret]}]\n  location: data.hunter2.x\n  \
        parameters: {assign: {value: y}}\n";
    let settings = MutationSettings { annotates: false, logs: true };
    let webhook = Webhook::mutating(&policies(mutators), "", settings);
    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}, "data": data});
    refused(&ask(&webhook, &review(&secret(json!({"hunter2": "c3dvcmRmaXNo"})), "CREATE")), 500);
    let log = webhook.log.text();
    assert!(log.contains("could not be mutated") && !log.contains("c3dvcmRmaXNo"), "{log}");
    assert!(patch_of(&ask(&webhook, &review(&secret(json!({"k": "c3dvcmRmaXNo"})), "CREATE"))).is_some());
    assert!(!webhook.log.text().contains("c3dvcmRmaXNo"));
}

#[test]
fn the_record_of_decisions_has_verdicts_only() {
    let (webhook, record) =
        webhook(MUTATORS).with_decisions(portcullis_webhook::decisions::Content::default());
    ask(&webhook, &review(&web(), "CREATE"));
    webhook.create(&web());
    webhook.state.decisions.as_ref().unwrap().flush();
    assert_eq!(record.read().len(), 1);
}

#[test]
fn the_program_mutates_if_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policies.yaml"), policies(MUTATORS)).unwrap();
    let mut program =
        Program::start(directory.path(), &["--mutate", "--mutation-annotations", "--log-mutations"]);
    let (http, body) = program.post("/v1/mutate?timeout=5s", review(&web(), "CREATE").to_string().as_bytes());
    assert_eq!(http, 200);
    let response = serde_json::from_slice::<Value>(&body).unwrap()["response"].clone();
    assert!(patch_of(&response).unwrap().to_string().contains("mutation-id"));
    program.stop();
}

fn spec() -> impl Strategy<Value = Value> {
    let context = prop_oneof![
        Just(json!({})),
        Just(json!({"runAsNonRoot": true})),
        Just(json!({"runAsNonRoot": false, "a/b~c": 1})),
        Just(json!("none")),
        Just(json!([])),
        Just(Value::Null),
    ];
    let args = proptest::collection::vec(proptest::sample::select(&["--debug", "--port=80", "x"][..]), 0..4);
    let container = (proptest::sample::select(&["a", "b"][..]), proptest::option::of(args), any::<bool>());
    let container = container.prop_map(|(name, args, pulls)| {
        let mut container = json!({"name": name});
        if let Some(args) = args {
            container["args"] = json!(args);
        }
        if pulls {
            container["imagePullPolicy"] = "Never".into();
        }
        container
    });
    let containers = proptest::collection::vec(container, 0..4);
    (proptest::option::of(context), proptest::option::of(containers)).prop_map(|(context, containers)| {
        let mut spec = json!({"hostPID": false});
        if let Some(context) = context {
            spec["securityContext"] = context;
        }
        if let Some(containers) = containers {
            spec["containers"] = json!(containers);
        }
        spec
    })
}

#[test]
fn the_patch_makes_of_the_requests_object_what_the_core_makes_of_it() {
    let webhook = webhook(MUTATORS);
    let documents = Document::read_all("m.yaml", MUTATORS).0;
    let mutators = documents.into_iter().filter(|document| document.to_json()["kind"] != "Config");
    let (set, errors) = MutatorSet::compile(mutators);
    assert!(errors.is_empty(), "{errors:?}");
    let is_named = any::<bool>();
    let update = any::<bool>();
    proptest!(ProptestConfig::with_cases(300), |(spec in spec(), is_named in is_named, update in update)| {
        let (settled, mut written) = (pod(&spec), pod(&spec));
        if !is_named {
            written["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        let mut request = review(&written, if update { "UPDATE" } else { "CREATE" });
        request["request"]["namespace"] = "shop".into();
        if update {
            request["request"]["oldObject"] = written.clone();
        }
        let response = ask(&webhook, &request);
        let operation = if update { Operation::Update } else { Operation::Create };
        let object = Object::from_yaml(&settled.to_string()).unwrap();
        let mutable = Mutable::new(object).with_operation(operation);
        match set.mutate(&mutable, MutationLimits::default(), None) {
            Ok(mutation) => {
                let mut expected = mutation.object().to_json();
                if !is_named {
                    expected["metadata"].as_object_mut().unwrap().remove("namespace");
                }
                let patch = patch_of(&response).unwrap_or_else(|| json!([]));
                prop_assert_eq!(response["allowed"].clone(), json!(true));
                prop_assert_eq!(patched(&written, &patch), expected);
            }
            Err(error) => {
                let message = refused(&response, 500);
                prop_assert!(message.contains("cannot be mutated"), "{} {}", message, error);
            }
        }
    });
}
