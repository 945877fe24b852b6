//! The program with `--kube --mutate`: requests are mutated by the mutators of a cluster, and judged by what its ExpansionTemplates make of
//! them; statuses say what became of each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::apiserver::ApiServer;
use serde_json::{Value, json};

use crate::kube::{ask, cluster, constraint, namespace, start_in, template, until, until_quiet};
use crate::program::Program;
use crate::support::review;

const NAMESPACE: &str = "portcullis-system";

pub fn label(name: &str, value: &str) -> Value {
    json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": name},
        "spec": {"location": format!("metadata.labels.{name}"), "parameters": {"assign": {"value": value}}}})
}

fn assign(name: &str, location: &str, value: &Value) -> Value {
    json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": name},
        "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": location, "parameters": {"assign": {"value": value}}}})
}

pub fn expansion(name: &str) -> Value {
    json!({"apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": name},
        "spec": {"applyTo": [{"groups": ["apps"], "versions": ["v1"], "kinds": ["Deployment"]}],
            "templateSource": "spec.template", "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"}}})
}

fn pod(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web"}, "spec": spec})
}

fn deployment(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"template": {"metadata": {}, "spec": spec}}})
}

/// A cluster with Gatekeeper's kinds and a policy on Pods.
fn fill(server: &ApiServer) {
    server.register_kubernetes();
    server.put(namespace("shop", "prod"));
    server.put(namespace("lab", "dev"));
    server.register("constraints.gatekeeper.sh/v1beta1", "NoHostPid", "nohostpid", false);
    let rego = "package p\nviolation[{\"msg\": \"hostPID\"}] { input.review.object.spec.hostPID }";
    server.put(template("NoHostPid", rego));
    server
        .put(constraint("NoHostPid", &json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}})));
}

/// The operations of the patch, or the code and the message.
fn mutate(program: &mut Program, object: &Value) -> Result<Value, (u64, String)> {
    let (http, body) = program.post("/v1/mutate", review(object, "CREATE").to_string().as_bytes());
    assert_eq!(http, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let response = &answer["response"];
    if response["allowed"] != true {
        let message = response["status"]["message"].as_str().unwrap_or_default().to_owned();
        return Err((response["status"]["code"].as_u64().unwrap(), message));
    }
    let patch = response["patch"].as_str().map(|patch| STANDARD.decode(patch).unwrap());
    Ok(patch.map_or(json!([]), |patch| serde_json::from_slice(&patch).unwrap()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what `mutate` returns")]
fn added(labels: &Value) -> Result<Value, (u64, String)> {
    Ok(json!([{"op": "add", "path": "/metadata/labels", "value": labels}]))
}

/// Our entry in the status.
fn entry(server: &ApiServer, plural: &str, name: &str) -> Value {
    server.get(plural, "", name).unwrap()["status"]["byPod"][0].clone()
}

#[test]
fn mutators_of_the_cluster_are_followed_and_their_statuses_written() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(assign("list", "spec.x[name: y].z", &json!("x")));
    let mut program = start_in(server, NAMESPACE, &["--mutate"]);
    until(200, || program.get("/readyz").0);
    assert_eq!(mutate(&mut program, &pod(&json!({"x": [{"name": "y"}]}))).unwrap()[0]["op"], "add");
    // One that comes late, one that is broken from the start, one that contradicts another.
    server.put(label("late", "1"));
    let mut broken = label("broken", "1");
    broken["spec"]["location"] = json!("metadata.labels");
    server.put(broken);
    server.put(assign("object", "spec.x.z", &json!("x")));
    until(added(&json!({"late": "1"})), || mutate(&mut program, &pod(&json!({"x": [{"name": "y"}]}))));
    let operations = json!(["mutation-webhook", "webhook"]);
    let uid = |plural: &str, name: &str| server.get(plural, "", name).unwrap()["metadata"]["uid"].clone();
    until(
        json!({"id": "pod-a", "mutatorUID": uid("assignmetadata", "late"), "operations": operations,
            "observedGeneration": 1, "enforced": true}),
        || entry(server, "assignmetadata", "late"),
    );
    for (name, other) in [("list", "object"), ("object", "list")] {
        until(json!("ErrConflictingSchema"), || entry(server, "assign", name)["errors"][0]["type"].clone());
        let entry = entry(server, "assign", name);
        assert_eq!((&entry["enforced"], &entry["mutatorUID"]), (&json!(false), &uid("assign", name)));
        let error = entry["errors"][0].as_object().unwrap();
        // CRDs know no other fields.
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type"]);
        assert!(error["message"].as_str().unwrap().contains(&format!("Assign/{other}")), "{entry}");
    }
    until(json!(false), || entry(server, "assignmetadata", "broken")["enforced"].clone());
    assert!(
        entry(server, "assignmetadata", "broken")["errors"][0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("spec.location"))
    );
    let metrics = program.get("/metrics").1;
    for sample in [
        "gatekeeper_mutators{status=\"active\"} 1\n",
        "gatekeeper_mutators{status=\"error\"} 3\n",
        "gatekeeper_mutator_conflicting_count 2\n",
        "gatekeeper_mutator_ingestion_count_total{status=\"active\"} 3\n",
        "gatekeeper_mutator_ingestion_count_total{status=\"error\"} 1\n",
        "gatekeeper_mutation_system_iterations_count{success=\"true\"} ",
        "portcullis_unsupported_policies 0\n",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    let told = program.get("/readyz?verbose").1;
    assert!(told.contains("Assign/list: ") && told.contains("3 policies are rejected"), "{told}");
    // An update that is bad: the last good version stays, and the status says both.
    let mut bad = label("late", "2");
    bad["spec"]["location"] = json!("spec.x");
    server.put(bad);
    until(json!(2), || entry(server, "assignmetadata", "late")["observedGeneration"].clone());
    let told = entry(server, "assignmetadata", "late");
    assert!(told["enforced"] == true && told["errors"].is_array(), "{told}");
    assert_eq!(mutate(&mut program, &pod(&json!({}))), added(&json!({"late": "1"})));
    server.put(label("late", "3"));
    server.delete("assign", "", "object");
    until(json!(null), || entry(server, "assign", "list")["errors"].clone());
    until(json!(null), || entry(server, "assignmetadata", "late")["errors"].clone());
    let pod = pod(&json!({"x": [{"name": "y", "z": "x"}]}));
    assert_eq!(mutate(&mut program, &pod), added(&json!({"late": "3"})));
    // Nothing is written that is so already.
    until_quiet(server);
    program.stop();
}

#[test]
fn what_comes_of_an_object_is_judged_as_the_mutators_of_the_cluster_leave_it() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(expansion("pods"));
    let mut program = start_in(server, NAMESPACE, &["--mutate"]);
    until(200, || program.get("/readyz").0);
    let denied = (403, "[nohostpid] [Implied by pods] hostPID".to_owned());
    assert_eq!(ask(&mut program, &deployment(&json!({"hostPID": true}))), denied);
    assert_eq!(ask(&mut program, &deployment(&json!({}))).0, 200);
    let mut generated = assign("no-host-pid", "spec.hostPID", &json!(false));
    generated["spec"]["match"] =
        json!({"source": "Generated", "namespaceSelector": {"matchLabels": {"env": "prod"}}});
    server.put(generated);
    until(200, || ask(&mut program, &deployment(&json!({"hostPID": true}))).0);
    assert_eq!(ask(&mut program, &pod(&json!({"hostPID": true}))).0, 403);
    let mut elsewhere = deployment(&json!({"hostPID": true}));
    elsewhere["metadata"]["namespace"] = json!("lab");
    assert_eq!(ask(&mut program, &elsewhere), denied);
    assert_eq!(mutate(&mut program, &pod(&json!({"hostPID": true}))), Ok(json!([])));
    let uid = server.get("expansiontemplate", "", "pods").unwrap()["metadata"]["uid"].clone();
    until(
        json!({"id": "pod-a", "templateUID": uid, "operations": ["mutation-webhook", "webhook"], "observedGeneration": 1}),
        || entry(server, "expansiontemplate", "pods"),
    );
    // One that is bad says so, and the last good one stays.
    let mut bad = expansion("pods");
    bad["spec"]["templateSource"] = json!("");
    server.put(bad);
    until(true, || entry(server, "expansiontemplate", "pods")["errors"][0]["message"].is_string());
    assert_eq!(ask(&mut program, &elsewhere), denied);
    server.delete("expansiontemplate", "", "pods");
    until(200, || ask(&mut program, &elsewhere).0);
    program.stop();
}

#[test]
fn mutators_that_may_not_be_listed_are_refusals_and_all_else_is_judged() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(label("a", "1"));
    server.put(expansion("pods"));
    server.deny("modifyset");
    let mut program = start_in(server, NAMESPACE, &["--mutate"]);
    until(200, || program.get("/readyz").0);
    let (code, message) = mutate(&mut program, &pod(&json!({}))).unwrap_err();
    assert!(code == 500 && message.contains("mutators of the kind ModifySet"), "{code} {message}");
    assert_eq!(ask(&mut program, &pod(&json!({"hostPID": true}))).0, 403);
    assert_eq!(ask(&mut program, &pod(&json!({}))).0, 200);
    // What comes of it would be mutated, who knows how.
    let (code, message) = ask(&mut program, &deployment(&json!({})));
    assert!(code == 500 && message.contains("mutators would change it"), "{code} {message}");
    let told = program.get("/readyz?verbose").1;
    assert!(told.contains("[!]mutators: nothing can be mutated: "), "{told}");
    until(json!(false), || entry(server, "assignmetadata", "a")["enforced"].clone());
    server.grant("modifyset");
    until(added(&json!({"a": "1"})), || mutate(&mut program, &pod(&json!({}))));
    assert_eq!(ask(&mut program, &deployment(&json!({}))).0, 200);
    until(json!(true), || entry(server, "assignmetadata", "a")["enforced"].clone());
    program.stop();
}

#[test]
fn mutators_and_expansion_templates_are_checked_when_they_are_applied() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let mut program = start_in(server, NAMESPACE, &["--mutate"]);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &label("a", "1")).0, 200);
    assert_eq!(ask(&mut program, &expansion("e")).0, 200);
    // What contradicts others is let in, with a warning.
    server.put(assign("list", "spec.x[name: y].z", &json!("x")));
    let warnings = |program: &mut Program, object: &Value| {
        let (_, body) = program.post("/v1/admit", review(object, "CREATE").to_string().as_bytes());
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        answer["response"]["warnings"].to_string()
    };
    until(true, || {
        let told = warnings(&mut program, &assign("object", "spec.x.z", &json!("x")));
        told.contains("will not be applied") && told.contains("`Assign/list`")
    });
    assert_eq!(
        warnings(&mut program, &assign("list", "spec.x.z", &json!("x"))),
        "null",
        "it takes its place"
    );
    let mut back = expansion("back");
    back["spec"]["applyTo"] = json!([{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}]);
    back["spec"]["generatedGVK"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!(warnings(&mut program, &back), "null");
    server.put(expansion("pods"));
    until(true, || {
        let told = warnings(&mut program, &back);
        told.contains("in a circle are `back`, `pods`")
    });
    server.delete("assign", "", "list");
    let mut bad = label("a", "1");
    bad["spec"]["location"] = json!("spec.x");
    let (code, message) = ask(&mut program, &bad);
    assert!(code == 422 && message.contains("spec.location"), "{code} {message}");
    let mut bad = expansion("e");
    bad["spec"]["generatedGVK"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    let (code, message) = ask(&mut program, &bad);
    assert!(code == 422 && message.contains("spec.generatedGVK"), "{code} {message}");
    program.stop();
    // Without the flag, mutators are what nothing is done for.
    server.put(label("a", "1"));
    let mut program = start_in(server, NAMESPACE, &[]);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &label("a", "1")).0, 422);
    assert_eq!(ask(&mut program, &expansion("e")).0, 200);
    until(true, || program.get("/metrics").1.contains("portcullis_unsupported_policies 1\n"));
    program.stop();
}
