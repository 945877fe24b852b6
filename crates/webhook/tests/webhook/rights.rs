//! The manifests in `deploy/` against the program: what it does with `--kube` they allow, and what they allow it does.

use portcullis_testkit::apiserver::{ApiServer, Fault, Rights, Verb};
use serde_json::json;

use crate::cluster_mutation::{expansion, label};
use crate::kube::{ask, cluster, constraint, namespace, service, start_in, template, until};
use crate::program::{Program, line};
use crate::support::workspace;

pub const NAMESPACE: &str = "portcullis-system";

pub fn manifest(file: &str) -> String {
    std::fs::read_to_string(workspace().join("deploy").join(file)).unwrap()
}

pub fn rights(manifests: &[String]) -> Rights {
    Rights::of(manifests, NAMESPACE, "portcullis-webhook")
}

/// Refuses Services whose name is the host of an Ingress.
pub const UNLIKE_HOSTS: &str = "package p
violation[{\"msg\": \"it is a host\"}] {
  data.inventory.namespace[_][_].Ingress[_].spec.rules[_].host == input.review.object.metadata.labels.app
}
";

/// A cluster with all that the webhook reads, and the policy.
pub fn fill(server: &ApiServer) {
    server.register_kubernetes();
    server.put(namespace("shop", "prod"));
    server.put(template("UnlikeHosts", UNLIKE_HOSTS));
    server.register("constraints.gatekeeper.sh/v1beta1", "UnlikeHosts", "unlikehosts", false);
    server.put(constraint("UnlikeHosts", &json!({})));
    server.put(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "shop", "name": "a"}, "spec": {"rules": [{"host": "x.example.com"}]}}));
    server.put(
        json!({"apiVersion": "syncset.gatekeeper.sh/v1alpha1", "kind": "SyncSet", "metadata": {"name": "a"},
        "spec": {"gvks": [{"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}]}}),
    );
    server.register("policy.portcullis.dev/v1alpha1", "PolicyException", "policyexceptions", false);
    server.put(expansion("pods"));
    server.put(json!({"apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
        "metadata": {"namespace": NAMESPACE, "name": "config"}, "spec": {}}));
    server.put(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": NAMESPACE, "name": "pod-a"}}),
    );
    server.put(
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis"}, "webhooks": [{"name": "a", "clientConfig": {}}]}),
    );
}

/// Waits for `status.byPod` of the template and the constraint, and the CA bundle.
pub fn until_written(server: &ApiServer) {
    for (plural, name) in [
        ("constrainttemplates", "unlikehosts"),
        ("unlikehosts", "unlikehosts"),
        ("expansiontemplate", "pods"),
    ] {
        until(json!("pod-a"), || server.get(plural, "", name).unwrap()["status"]["byPod"][0]["id"].clone());
    }
    until(true, || {
        let configuration = server.get("validatingwebhookconfigurations", "", "portcullis").unwrap();
        configuration["webhooks"][0]["clientConfig"]["caBundle"].is_string()
    });
}

pub fn events(server: &ApiServer, method: &str) -> usize {
    let is_one = |path: &str| path.contains("/events");
    server.writes().iter().filter(|write| write.method == method && is_one(&write.path)).count()
}

/// All that the webhook does.
pub fn exercise(server: &ApiServer, program: &mut Program) {
    let denied = (403, "[unlikehosts] it is a host".to_owned());
    assert_eq!(ask(program, &service("shop", "x.example.com")), denied);
    until(true, || events(server, "POST") > 0);
    // The same again is counted.
    assert_eq!(ask(program, &service("shop", "x.example.com")), denied);
    until(true, || events(server, "PATCH") > 0);
    until_written(server);
    // A Namespace that is newer than what is known is asked for.
    server.fault(Fault::on(Verb::Watch, "namespaces").always().status(500, "InternalError"));
    server.end_watches();
    server.put(namespace("fresh", "prod"));
    assert_eq!(ask(program, &service("fresh", "x.example.com")), denied);
    server.heal();
    // The Secret with the CA is put right when somebody breaks it.
    let secret = || server.get("secrets", NAMESPACE, "portcullis-webhook-ca").unwrap();
    let good = secret();
    let mut broken = good.clone();
    broken["data"]["current.key"] = json!("");
    server.put(broken);
    until(good["data"].clone(), || secret()["data"].clone());
}

#[test]
fn the_roles_allow_what_the_webhook_does_and_nothing_else() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.authorize(rights(&[manifest("webhook/rbac.yaml")]));
    let mut program = start_in(server, NAMESPACE, &["--emit-admission-events"]);
    until(200, || program.get("/readyz").0);
    exercise(server, &mut program);
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    until(Vec::<String>::new(), || server.unused_rights());
    program.stop();
}

/// One mutator of each kind.
fn mutators() -> [serde_json::Value; 4] {
    let of = |kind: &str, version: &str, location: &str, parameters: serde_json::Value| {
        json!({"apiVersion": format!("mutations.gatekeeper.sh/{version}"), "kind": kind, "metadata": {"name": "a"},
            "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
                "location": location, "parameters": parameters}})
    };
    [
        label("a", "1"),
        of("Assign", "v1", "spec.a", json!({"assign": {"value": "x"}})),
        of("ModifySet", "v1", "spec.b", json!({"operation": "merge", "values": {"fromList": ["x"]}})),
        of("AssignImage", "v1alpha1", "spec.c", json!({"assignTag": ":1"})),
    ]
}

const MUTATING: &str = "mutatingwebhookconfigurations";
const MUTATE: [&str; 3] = ["--mutate", "--manage-webhook-configuration", "--emit-admission-events"];

/// Also with mutators, and a configuration to fill in.
fn fill_mutation(server: &ApiServer) {
    fill(server);
    for mutator in mutators() {
        server.put(mutator);
    }
    server.put(json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration", "metadata": {"name": "portcullis"}}));
}

#[test]
fn without_the_rights_for_mutation_that_is_said() {
    let cluster = cluster();
    let server = &cluster.server;
    fill_mutation(server);
    // Without them, that is said, and all else goes on.
    server.authorize(rights(&[manifest("webhook/rbac.yaml")]));
    let mut program = start_in(server, NAMESPACE, &MUTATE);
    until(true, || {
        let text = program.get("/readyz?verbose").1;
        text.contains("mutating webhook configuration `portcullis`: ") && text.contains("[+]mutators ok: 4")
    });
    let told = line(&program.log, "the status of Assign/a was not written: ");
    assert!(told["msg"].as_str().unwrap().contains("forbidden"), "{told}");
    program.stop();
}

#[test]
fn mutation_needs_rights_of_its_own_and_no_more() {
    let cluster = cluster();
    let server = &cluster.server;
    fill_mutation(server);
    server.authorize(rights(&["webhook/rbac.yaml", "mutation/rbac.yaml"].map(manifest)));
    let mut program = start_in(server, NAMESPACE, &MUTATE);
    until(200, || program.get("/readyz").0);
    for kind in ["assign", "assignmetadata", "modifyset", "assignimage"] {
        until(json!("pod-a"), || server.get(kind, "", "a").unwrap()["status"]["byPod"][0]["id"].clone());
    }
    until(true, || {
        let configuration = server.get(MUTATING, "", "portcullis").unwrap();
        configuration["webhooks"][0]["clientConfig"]["caBundle"].is_string()
    });
    exercise(server, &mut program);
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    until(Vec::<String>::new(), || server.unused_rights());
    program.stop();
}

#[test]
fn the_configuration_is_made_with_a_right_of_its_own() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let plural = "validatingwebhookconfigurations";
    server.delete(plural, "", "portcullis");
    server.put(label("a", "1"));
    server.authorize(rights(&["webhook/rbac.yaml", "mutation/rbac.yaml"].map(manifest)));
    let mut program = start_in(server, NAMESPACE, &["--manage-webhook-configuration", "--mutate"]);
    until(200, || program.get("/readyz").0);
    // Without it, that is said, and all else goes on.
    until(2, || program.get("/readyz?verbose").1.matches("cannot create resource").count());
    assert_eq!((program.get("/readyz").0, server.count(plural), server.count(MUTATING)), (200, 0, 0));
    server.authorize(rights(
        &["webhook/rbac.yaml", "mutation/rbac.yaml", "optional/manage-webhook-configuration.yaml"]
            .map(manifest),
    ));
    until((1, 1), || (server.count(plural), server.count(MUTATING)));
    let mut edited = server.get(plural, "", "portcullis").unwrap();
    edited["webhooks"][0]["failurePolicy"] = json!("Fail");
    server.put(edited);
    until(json!("Ignore"), || {
        server.get(plural, "", "portcullis").unwrap()["webhooks"][0]["failurePolicy"].clone()
    });
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    let ours = |right: &String| right.contains("-configuration: ");
    until(None, || server.unused_rights().into_iter().find(ours));
    program.stop();
}

/// As `deploy/kube` and the chart have it: what is there may be filled in by its name, and nothing has to be made.
#[test]
fn an_empty_configuration_is_filled_in_with_the_usual_rights() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let plural = "validatingwebhookconfigurations";
    server.put(json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "portcullis"}}));
    server.authorize(rights(&[manifest("webhook/rbac.yaml")]));
    let mut program = start_in(server, NAMESPACE, &["--manage-webhook-configuration"]);
    until(200, || program.get("/readyz").0);
    until(true, || {
        let configuration = server.get(plural, "", "portcullis").unwrap();
        configuration["webhooks"].as_array().is_some_and(|webhooks| {
            webhooks.len() == 2
                && webhooks.iter().all(|webhook| webhook["clientConfig"]["caBundle"].is_string())
        })
    });
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    program.stop();
}

#[test]
fn what_needs_more_has_a_manifest_of_its_own() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let flags = ["--apply-crds", "--emit-admission-events", "--admission-events-involved-namespace"];
    let crd = "unlikehosts.constraints.gatekeeper.sh";
    let denied = (403, "[unlikehosts] it is a host".to_owned());
    server.authorize(rights(&[manifest("webhook/rbac.yaml")]));
    let mut program = start_in(server, NAMESPACE, &flags);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &service("shop", "x.example.com")), denied);
    // Without it, what is not allowed is said, and all else goes on.
    let told = line(&program.log, "the CRD of unlikehosts was not applied: ");
    let told = told["msg"].as_str().unwrap();
    assert!(told.contains("cannot get resource \"customresourcedefinitions\""), "{told}");
    until_written(server);
    until(1, || events(server, "POST"));
    assert_eq!((server.get("customresourcedefinitions", "", crd), server.count("events")), (None, 0));
    program.stop();

    server.forget_requests();
    let all =
        ["webhook/rbac.yaml", "optional/apply-crds.yaml", "optional/admission-events.yaml"].map(manifest);
    let example = "k8srequiredlabels.constraints.gatekeeper.sh";
    assert!(all[1].contains(example), "{}", all[1]);
    server.authorize(rights(&all.map(|text| text.replace(example, crd))));
    let mut program = start_in(server, NAMESPACE, &flags);
    until(200, || program.get("/readyz").0);
    for method in ["POST", "PATCH"] {
        assert_eq!(ask(&mut program, &service("shop", "x.example.com")), denied);
        until(1, || events(server, method));
    }
    until(true, || server.get("customresourcedefinitions", "", crd).is_some());
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    // The others are those of the test above.
    let ours = |right: &String| right.contains("-crds: ") || right.contains("-events: ");
    until(None, || server.unused_rights().into_iter().find(ours));
    program.stop();
}
