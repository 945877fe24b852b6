//! `--ask-rights`: admission policies in files that ask what users may do, against a simulated API server. What cannot be asked
//! denies, in time.

use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::Value;

use crate::kube::{ask_as, cluster, service};
use crate::program::Program;
use crate::rights::{manifest, rights};

/// Nobody makes a Service who may not read secrets where it is.
const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: readers}
spec:
  failurePolicy: Ignore
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [services]}
  validations:
  - expression: "authorizer.group('').resource('secrets').namespace(object.metadata.namespace).check('get').allowed()"
    message: reads no secrets
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: readers}
spec: {policyName: readers, validationActions: [Deny]}
"#;

fn start(server: &ApiServer) -> Program {
    let directory = tempfile::tempdir().unwrap();
    let (policies, config) = (directory.path().join("policies.yaml"), directory.path().join("config"));
    std::fs::write(&policies, POLICY).unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: it\nclusters:\n- {{name: it, cluster: {{server: \"{}\"}}}}\n\
         contexts:\n- {{name: it, context: {{cluster: it, user: it}}}}\nusers:\n- {{name: it, user: {{}}}}\n",
        server.url()
    );
    std::fs::write(&config, text).unwrap();
    let ca = directory.path().join("ca.pem");
    let mut command: Command = Program::command(&policies);
    command.env("KUBECONFIG", &config).args(["--ask-rights", "--self-signed", "--ca-file"]).arg(&ca);
    Program::run(command, &ca, directory)
}

#[test]
fn users_are_judged_by_what_they_may_do_now() {
    let cluster = cluster();
    let server = &cluster.server;
    // Nothing but what the manifest grants.
    server.authorize(rights(&[manifest("optional/ask-rights.yaml")]));
    server.permit("alice", "get", "secrets");
    let mut program = start(server);
    let object = service("shop", "web");
    assert_eq!(ask_as(&mut program, &object, "alice").0, 200);
    let (code, message) = ask_as(&mut program, &object, "bob");
    assert!(code != 200 && message.contains("reads no secrets"), "{code} {message}");
    // Nothing is kept.
    server.permit("bob", "get", "secrets");
    assert_eq!(ask_as(&mut program, &object, "bob").0, 200);
    let reviews: Vec<Value> = server.writes().into_iter().map(|write| write.body["spec"].clone()).collect();
    assert_eq!(reviews.len(), 3);
    assert_eq!(reviews[0]["resourceAttributes"]["namespace"], "shop");
    assert_eq!((server.refused(), server.unused_rights()), (Vec::new(), Vec::new()));
    program.stop();
}

#[test]
fn what_cannot_be_asked_denies() {
    let cluster = cluster();
    let server = &cluster.server;
    server.permit("alice", "get", "secrets");
    let mut program = start(server);
    let object = service("shop", "web");
    assert_eq!(ask_as(&mut program, &object, "alice").0, 200);
    let on = || Fault::on(Verb::Write, "subjectaccessreviews").always();
    let long = format!(r#"{{"status": {{"allowed": true}}, "padding": "{}"}}"#, "a".repeat(16 << 20));
    let faults = [
        (on().forbidden(), "Forbidden"),
        (on(), "scripted fault"),
        (on().slow(Duration::from_mins(1)), "in time"),
        (on().answers("{}"), "status.allowed"),
        (on().answers(r#"{"status": {"allowed": "true"}}"#), "status.allowed"),
        (on().answers("nothing"), "expected an object"),
        (on().answers(&long), "bytes"),
    ];
    for (fault, why) in faults {
        server.fault(fault);
        let begun = Instant::now();
        let (code, message) = ask_as(&mut program, &object, "alice");
        // The policy says `Ignore`, which is about its own mistakes.
        assert!(code != 200 && message.contains(why), "{why}: {code} {message}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{why}: {:?}", begun.elapsed());
        server.heal();
    }
    assert_eq!(ask_as(&mut program, &object, "alice").0, 200);
    program.stop();
}
