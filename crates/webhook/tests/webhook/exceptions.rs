//! The program with `--kube` and the PolicyExceptions of a cluster: what they let pass, and what is said where they do not.

use portcullis_testkit::apiserver::ApiServer;
use serde_json::{Value, json};

use crate::kube::{ask, cluster, constraint, namespace, start_in, template, until};
use crate::program::line;

const NAMESPACE: &str = "portcullis-system";
const PLURAL: &str = "policyexceptions";

fn exception(more: &Value) -> Value {
    let mut spec = json!({"constraints": ["NoHostPid/nohostpid"], "match": {"namespaces": ["shop"], "name": "agent-*"},
        "reason": "reads the kernel's counters"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "policy.portcullis.dev/v1alpha1", "kind": "PolicyException",
        "metadata": {"name": "agents"}, "spec": spec})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": name},
        "spec": {"hostPID": true}})
}

fn fill(server: &ApiServer) {
    server.register_kubernetes();
    server.put(namespace("shop", "prod"));
    server.register("constraints.gatekeeper.sh/v1beta1", "NoHostPid", "nohostpid", false);
    let rego = "package p\nviolation[{\"msg\": \"hostPID\"}] { input.review.object.spec.hostPID }";
    server.put(template("NoHostPid", rego));
    server
        .put(constraint("NoHostPid", &json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}})));
}

fn denied() -> (u64, String) {
    (403, "[nohostpid] hostPID".to_owned())
}

fn allowed() -> (u64, String) {
    (200, String::new())
}

#[test]
fn exceptions_of_the_cluster_let_pass_until_they_end_or_go() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let mut program = start_in(server, NAMESPACE, &[]);
    until(200, || program.get("/readyz").0);
    // Their kind is not installed, which is nothing to be said.
    assert_eq!(ask(&mut program, &pod("agent-a")), denied());
    assert!(program.get("/metrics").1.contains("portcullis_exceptions_unknown 0\n"));
    server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "policyexceptions.policy.portcullis.dev"},
        "spec": {"group": "policy.portcullis.dev", "scope": "Cluster",
            "names": {"kind": "PolicyException", "plural": PLURAL},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true}]}}));
    server.put(exception(&json!({})));
    until(allowed(), || ask(&mut program, &pod("agent-a")));
    assert_eq!(ask(&mut program, &pod("web")), denied());
    let metrics = program.get("/metrics").1;
    let counted = metrics.lines().find(|line| line.contains("outcome=\"excepted\"")).unwrap();
    assert!(counted.contains("constraint_name=\"nohostpid\"") && !counted.ends_with(" 0"), "{counted}");

    server.put(exception(&json!({"expiresAt": "2020-01-01T00:00:00Z"})));
    until(denied(), || ask(&mut program, &pod("agent-a")));
    let told = line(&program.log, "PolicyException agents:1:");
    assert!(told["msg"].as_str().unwrap().contains("ended at 2020-01-01"), "{told}");
    server.put(exception(&json!({"templates": ["NoSuchKind"]})));
    until(allowed(), || ask(&mut program, &pod("agent-a")));
    let told = line(&program.log, "PolicyException agents:1:");
    assert!(told["msg"].as_str().unwrap().contains("no constraint of kind `NoSuchKind`"), "{told}");

    // Broken by somebody whom the webhook was not asked about.
    server.put(exception(&json!({"expiresAt": "some day"})));
    until(denied(), || ask(&mut program, &pod("agent-a")));
    let told = program.get("/readyz?verbose");
    assert!(told.0 == 200 && told.1.contains("PolicyException/agents: spec.expiresAt"), "{told:?}");
    server.put(exception(&json!({})));
    until(allowed(), || ask(&mut program, &pod("agent-a")));
    server.delete(PLURAL, "", "agents");
    until(denied(), || ask(&mut program, &pod("agent-a")));
    program.stop();
}

#[test]
fn without_the_right_to_list_them_none_is_in_force() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.register("policy.portcullis.dev/v1alpha1", "PolicyException", PLURAL, false);
    server.put(exception(&json!({})));
    server.deny(PLURAL);
    let mut program = start_in(server, NAMESPACE, &[]);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &pod("agent-a")), denied());
    let told = program.get("/readyz?verbose").1;
    assert!(told.contains("policyexceptions.policy.portcullis.dev/v1alpha1: cannot be listed, so that no exception is in force"), "{told}");
    let told =
        line(&program.log, "policyexceptions.policy.portcullis.dev/v1alpha1: cannot be listed, so that");
    assert_eq!(told["level"], "warn", "{told}");
    assert!(program.get("/metrics").1.contains("portcullis_exceptions_unknown 1\n"));
    server.grant(PLURAL);
    until(allowed(), || ask(&mut program, &pod("agent-a")));
    until(true, || program.get("/metrics").1.contains("portcullis_exceptions_unknown 0\n"));
    program.stop();
}

#[test]
fn an_exception_that_cannot_be_read_is_refused_when_it_is_applied() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let mut program = start_in(server, NAMESPACE, &[]);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &exception(&json!({"expiresAt": "2999-01-01"}))), allowed());
    for (broken, what) in [
        (json!({"reason": " "}), "`reason` is empty"),
        (json!({"expiresAt": "some day"}), "spec.expiresAt"),
        (json!({"expires": "2027-01-01"}), "spec.expires"),
        (json!({"match": {"namespace": ["shop"]}}), "spec.match.namespace"),
        (json!({"constraints": ["nohostpid"]}), "spec.constraints"),
    ] {
        let (code, message) = ask(&mut program, &exception(&broken));
        assert!(code == 422 || code == 403, "{code}");
        assert!(message.contains(what), "{what} in {message}");
    }
    program.stop();
}
