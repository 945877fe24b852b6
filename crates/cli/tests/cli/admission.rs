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

/// Policies that note what they see: how many replicas there were when they were asked.
fn noting(name: &str, reinvocation: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules:
    - {{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{{metadata: Object.metadata{{annotations: {{'{name}': string(object.spec.replicas)}}}}}}
  reinvocationPolicy: {reinvocation}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}}}
---
"
    )
}

const ASSIGN: &str = "apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: seven}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  location: spec.replicas
  parameters: {assign: {value: 7}}
";

#[test]
fn policies_are_asked_before_mutators_and_some_of_them_again() {
    let directory = files();
    let both = noting("before", "Never") + &noting("again", "IfNeeded") + ASSIGN;
    write(directory.path(), "mutators.yaml", &both);
    let run = run_in(directory.path(), &["mutate", "-m", "mutators.yaml", "objects.yaml", "-o", "json"]);
    let run = run.exits_with(0);
    let all: Value = serde_json::from_str(&run.stdout).unwrap();
    let annotations = &all[1]["object"]["metadata"]["annotations"];
    assert_eq!(*annotations, serde_json::json!({"before": "5", "again": "7"}), "{}", run.stdout);
    assert_eq!(all[1]["policies"], serde_json::json!(["again/again", "before/before"]));
    // What a policy overwrites is no change of a mutator.
    write(directory.path(), "few.yaml", &MUTATING.replace("Never", "IfNeeded"));
    let args = ["mutate", "-m", "mutators.yaml", "-m", "few.yaml", "objects.yaml", "-o", "json"];
    let run = run_in(directory.path(), &args).exits_with(0);
    let all: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(all[1]["object"]["spec"]["replicas"], 3, "{}", run.stdout);
    assert_eq!(all[1]["changes"], serde_json::json!([]), "{}", run.stdout);
}

/// A policy of Pods that takes its value from a ConfigMap.
const OF_PODS: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: host}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: "Object{spec: Object.spec{hostname: params.data.host}}"
  reinvocationPolicy: Never
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: host}
spec:
  policyName: host
  paramRef: {name: host, namespace: default, parameterNotFoundAction: Deny}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: pods}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: host, namespace: default}
data: {host: web}
"#;

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec: {replicas: 1, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}}
";

/// No Pod may have a hostname.
const NO_HOST: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-host}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  validations:
  - {expression: "!has(object.spec.hostname)", messageExpression: "'is called ' + object.spec.hostname"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-host}
spec: {policyName: no-host, validationActions: [Deny]}
"#;

#[test]
fn what_objects_imply_is_changed_by_policies() {
    let directory = files();
    write(directory.path(), "pods.yaml", OF_PODS);
    write(directory.path(), "workload.yaml", WORKLOAD);
    write(directory.path(), "no-host.yaml", NO_HOST);
    let files = ["-f", "pods.yaml", "-f", "workload.yaml"];
    let run = run_in(directory.path(), &["expand", "-n", "pods.yaml", "-n", "workload.yaml"]).exits_with(0);
    assert!(run.stdout.contains("hostname: web"), "{}\n{}", run.stdout, run.stderr);
    for flags in [&["test", "-f", "no-host.yaml"][..], &["test", "--mutate", "-f", "no-host.yaml"]] {
        let run = run_in(directory.path(), &[flags, &files].concat()).exits_with(1);
        assert!(run.stdout.contains("[Implied by pods] is called web"), "{}\n{}", run.stdout, run.stderr);
    }
    // What does not work is told where it does not count, once for all Pods of an object.
    let ignored = OF_PODS
        .replace("params.data.host}", "params.data.missing}")
        .replace("  reinvocation", "  failurePolicy: Ignore\n  reinvocation");
    write(directory.path(), "pods.yaml", &ignored);
    let run = run_in(directory.path(), &[&["test", "-f", "no-host.yaml"][..], &files].concat()).exits_with(0);
    let says = "does not count, as `failurePolicy` says: MutatingAdmissionPolicy/host/host: ";
    assert_eq!(run.stderr.matches(says).count(), 1, "{}", run.stderr);
    let run = run_in(directory.path(), &["expand", "-n", "pods.yaml", "-n", "workload.yaml"]).exits_with(0);
    assert_eq!(run.stderr.matches(says).count(), 1, "{}", run.stderr);
    // A denied Pod is one that nobody knows.
    let without = OF_PODS.replace("{name: host, namespace: default}\ndata", "{name: other}\ndata");
    write(directory.path(), "pods.yaml", &without);
    let run =
        run_in(directory.path(), &["test", "-f", "no-host.yaml", files[0], files[1], files[2], files[3]]);
    let run = run.exits_with(2);
    assert!(run.stderr.contains("no params found for policy binding"), "{}", run.stderr);
    let run = run_in(directory.path(), &["expand", "-n", "pods.yaml", "-n", "workload.yaml"]).exits_with(2);
    assert!(run.stderr.contains("failed to mutate resultant resource"), "{}", run.stderr);
}

const SUITE: &str = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
tests:
- name: as a policy
  template: policy.yaml
  constraint: binding.yaml
  cases:
  - {name: changed, object: web.yaml, mutated: three.yaml}
  - {name: not denied, object: web.yaml, assertions: [{violations: no}]}
- name: as a mutator
  mutators: [policy.yaml, binding.yaml]
  cases:
  - {name: changed, object: web.yaml, mutated: three.yaml}
";

#[test]
fn suites_name_mutating_policies() {
    let directory = files();
    let (policy, binding) = MUTATING.split_once("---\n").unwrap();
    write(directory.path(), "policy.yaml", policy);
    write(directory.path(), "binding.yaml", binding);
    let web = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 5}}";
    write(directory.path(), "web.yaml", web);
    write(directory.path(), "three.yaml", &web.replace('5', "3"));
    write(directory.path(), "suite.yaml", SUITE);
    run_in(directory.path(), &["verify", "suite.yaml"]).exits_with(0);
    // Each of them can fail.
    write(directory.path(), "three.yaml", &web.replace('5', "4"));
    let run = run_in(directory.path(), &["verify", "suite.yaml"]).exits_with(1);
    assert!(run.stdout.contains("spec.replicas: expected 4, got 3"), "{}", run.stdout);
    assert!(run.stdout.contains("mutated by the admission policy few/few"), "{}", run.stdout);
    write(directory.path(), "policy.yaml", &policy.replace("replicas: 3}", "replica: 3}"));
    let run = run_in(directory.path(), &["verify", "suite.yaml"]).exits_with(2);
    assert!(run.stdout.contains("expected no violation, got 1"), "{}", run.stdout);
    assert!(run.stdout.contains("field not declared in schema"), "{}", run.stdout);
    let denied = SUITE.replace("violations: no", "violations: 1, message: not declared");
    write(directory.path(), "suite.yaml", &denied);
    let run = run_in(directory.path(), &["verify", "suite.yaml", "--run", "not denied"]).exits_with(0);
    assert!(!run.stdout.contains("expected"), "{}", run.stdout);
    let request = SUITE.replace("name: not denied, object: web.yaml", "name: request, object: request.yaml");
    write(directory.path(), "suite.yaml", &request);
    let review = "{apiVersion: admission.k8s.io/v1, kind: AdmissionReview, request: {uid: a, operation: CREATE, object: OBJECT}}";
    write(directory.path(), "request.yaml", &review.replace("OBJECT", web));
    let run = run_in(directory.path(), &["verify", "suite.yaml", "--run", "request"]).exits_with(2);
    assert!(run.stdout.contains("a request is not mutated"), "{}", run.stdout);
}

#[test]
fn where_nothing_is_mutated_that_is_said() {
    let directory = files();
    let args = ["test", "-f", "validating.yaml", "-f", "mutating.yaml", "-f", "objects.yaml"];
    let run = run_in(directory.path(), &args).exits_with(2);
    let expected = "`MutatingAdmissionPolicy` is not supported here: objects are not mutated";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: limits.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {kind: Limit, plural: limits}
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          data: {type: object, properties: {maxReplicas: {type: string}, sizes: {type: array, items: {type: integer}}}}
";

#[test]
fn parameters_of_custom_kinds_have_types_by_their_definitions() {
    let directory = files();
    let custom =
        VALIDATING.replace("apiVersion: v1, kind: ConfigMap", "apiVersion: shop.example/v1, kind: Limit");
    write(directory.path(), "validating.yaml", &custom);
    write(directory.path(), "definition.yaml", DEFINITION);
    run_in(directory.path(), &["lint", "--deny-warnings", "validating.yaml", "definition.yaml"])
        .exits_with(0);
    let wrong = custom.replace("<= variables.most", "<= params.data.mots + params.data.sizes[0].n");
    write(directory.path(), "validating.yaml", &wrong);
    // Without the definition nobody knows.
    run_in(directory.path(), &["lint", "--deny-warnings", "validating.yaml"]).exits_with(0);
    let run = run_in(directory.path(), &["lint", "validating.yaml", "definition.yaml"]).exits_with(0);
    let all = run.stdout + &run.stderr;
    assert!(all.contains("of a `apps/v1/Deployment`: undefined field 'mots'"), "{all}");
    assert!(all.contains("type 'int' does not support field selection"), "{all}");
    assert!(all.contains("validating.yaml:13:"), "{all}");
    let run = run_in(
        directory.path(),
        &["test", "-f", "validating.yaml", "-f", "definition.yaml", "-f", "objects.yaml"],
    );
    assert!(run.stderr.contains("undefined field 'mots'"), "{}", run.stderr);
}

#[test]
fn objects_of_custom_kinds_have_types_by_their_definitions() {
    let directory = files();
    write(directory.path(), "definition.yaml", DEFINITION);
    let policy = |expression: &str| {
        format!(
            "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: limits}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [shop.example], apiVersions: [v1], operations: [CREATE], resources: [limits]}}]
  validations:
  - expression: {expression}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: limits}}
spec: {{policyName: limits, validationActions: [Deny]}}
"
        )
    };
    write(directory.path(), "policy.yaml", &policy("object.data.sizes.all(size, size > 0)"));
    run_in(directory.path(), &["lint", "--deny-warnings", "policy.yaml", "definition.yaml"]).exits_with(0);
    write(directory.path(), "policy.yaml", &policy("object.data.sizs.all(size, size > 0)"));
    run_in(directory.path(), &["lint", "--deny-warnings", "policy.yaml"]).exits_with(0);
    let run = run_in(directory.path(), &["lint", "policy.yaml", "definition.yaml"]).exits_with(0);
    let all = run.stdout + &run.stderr;
    assert!(all.contains("of a `shop.example/v1/Limit`: undefined field 'sizs'"), "{all}");
    assert!(all.contains("policy.yaml:8:"), "{all}");
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
