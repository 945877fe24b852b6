//! Admission policies of the API server's: judged by `test`, applied by `mutate`, looked at by `lint`, and refused where
//! nothing is done for them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run_in;

const VALIDATING: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: replica-limit
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  variables:
  - {name: most, expression: int(params.data.maxReplicas)}
  validations:
  - expression: object.spec.replicas <= variables.most
    messageExpression: "'at most ' + string(variables.most) + ' replicas'"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: replica-limit
spec:
  policyName: replica-limit
  paramRef: {name: replica-limit, namespace: default, parameterNotFoundAction: Deny}
  validationActions: [Deny]
"#;

const MUTATING: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata:
  name: few
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: "object.spec.replicas > 3 ? Object{spec: Object.spec{replicas: 3}} : Object{}"
  reinvocationPolicy: Never
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: few}
spec: {policyName: few}
"#;

const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: replica-limit, namespace: default}
data: {maxReplicas: \"3\"}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 5 # for now
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: small, namespace: shop}
spec: {replicas: 2}
";

fn files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "validating.yaml", VALIDATING);
    write(directory.path(), "mutating.yaml", MUTATING);
    write(directory.path(), "objects.yaml", OBJECTS);
    directory
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

#[test]
fn objects_are_judged_with_their_parameters() {
    let directory = files();
    let args = ["test", "-f", "validating.yaml", "-f", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(1);
    assert!(
        run.stdout.contains("error[ValidatingAdmissionPolicyBinding/replica-limit]: at most 3 replicas"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("--> objects.yaml:12:3"), "{}", run.stdout);
    assert!(run.stdout.contains("1 denied in 1 of 3 objects"), "{}", run.stdout);
}

#[test]
fn what_is_mutated_first_passes() {
    let directory = files();
    let args = ["test", "--mutate", "-f", "validating.yaml", "-f", "mutating.yaml", "-f", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn objects_are_written_as_policies_leave_them() {
    let directory = files();
    let args = ["mutate", "-m", "mutating.yaml", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(0);
    assert_eq!(run.stderr, "");
    assert_eq!(run.stdout, OBJECTS.replace("replicas: 5 #", "replicas: 3 #"));
    let run = run_in(directory.path(), &[&args[..], &["-o", "json"]].concat()).exits_with(0);
    let all: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(all[1]["policies"], serde_json::json!(["few/few"]));
    assert!(all[2].get("policies").is_none());
}

#[test]
fn a_denied_mutation_is_an_error() {
    let directory = files();
    write(directory.path(), "mutating.yaml", &MUTATING.replace("replicas: 3}", "replica: 3}"));
    let run = run_in(directory.path(), &["mutate", "-m", "mutating.yaml", "objects.yaml"]).exits_with(2);
    let expected = "policy 'few' with binding 'few' denied request: error applying patch: failed to convert patch object to typed object: .spec.replica: field not declared in schema";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert!(!run.stdout.contains("name: web"), "{}", run.stdout);
}

#[test]
fn where_nothing_is_mutated_that_is_said() {
    let directory = files();
    let args = ["test", "-f", "validating.yaml", "-f", "mutating.yaml", "-f", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(2);
    let expected = "`MutatingAdmissionPolicy` is not supported here: objects are not mutated";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
fn lint_tells_the_mistakes_of_both() {
    let directory = files();
    write(directory.path(), "validating.yaml", &VALIDATING.replace("variables.most\n", "variables.mots\n"));
    write(directory.path(), "mutating.yaml", &MUTATING.replace("Object{}", "1"));
    let run = run_in(directory.path(), &["lint", "validating.yaml", "mutating.yaml"]).exits_with(1);
    let all = run.stdout + &run.stderr;
    assert!(all.contains("undefined field 'mots'"), "{all}");
    assert!(all.contains("found no matching overload for '_?_:_' applied to '(bool, Object, int)'"), "{all}");
}

#[test]
fn rules_of_a_webhook_ask_for_what_policies_are_about() {
    let directory = files();
    let run =
        run_in(directory.path(), &["generate", "manifests", "--policies", "validating.yaml"]).exits_with(0);
    let all = run.stdout + &run.stderr;
    assert!(all.contains("deployments"), "{all}");
}

#[test]
fn a_policy_of_which_nothing_can_be_read_is_not_left_out() {
    let directory = files();
    let nothing =
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: a}\n";
    write(directory.path(), "nothing.yaml", nothing);
    let args = ["test", "-p", "nothing.yaml", "-p", "validating.yaml", "-f", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(2);
    assert!(run.stderr.contains("required field `spec` is missing"), "{}", run.shown());
}

#[test]
fn suites_name_a_policy_and_its_binding() {
    let directory = files();
    let (policy, binding) = VALIDATING.split_once("---\n").unwrap();
    let (params, objects) = OBJECTS.split_once("---\n").unwrap();
    let (large, small) = objects.split_once("---\n").unwrap();
    for (name, text) in [
        ("policy.yaml", policy),
        ("binding.yaml", binding),
        ("params.yaml", params),
        ("large.yaml", large),
        ("small.yaml", small),
    ] {
        write(directory.path(), name, text);
    }
    let suite = "kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
tests:
- name: replicas
  template: policy.yaml
  constraint: binding.yaml
  cases:
  - name: too many
    object: large.yaml
    inventory: [params.yaml]
    assertions: [{violations: 1, message: at most 3 replicas}]
  - name: few
    object: small.yaml
    inventory: [params.yaml]
    assertions: [{violations: no}]
  - name: nobody says how many
    object: small.yaml
    assertions: [{violations: yes, message: no params found}]
";
    write(directory.path(), "suite.yaml", suite);
    let run = run_in(directory.path(), &["verify", "suite.yaml"]);
    assert_eq!(run.code, Some(0), "{}", run.shown());
}
