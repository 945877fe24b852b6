//! What the tests share.

use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_testkit::program::Run;
use serde_json::{Value, json};

/// Denies Pods with `hostPID`, warns of Ingresses with a host that another has too, and cannot judge Services without ports.
pub const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostpid, annotations: {metadata.gatekeeper.sh/title: No host PID}}
spec:
  crd: {spec: {names: {kind: NoHostPid}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostpid
      violation[{"msg": msg, "details": {"path": ["spec", "hostPID"]}}] {
        input.review.object.spec.hostPID
        msg := sprintf("pod %v shares the node's processes", [input.review.object.metadata.name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoHostPid
metadata: {name: no-host-pid, annotations: {metadata.gatekeeper.sh/severity: high}}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package uniquehost
      violation[{"msg": msg}] {
        host := input.review.object.spec.rules[_].host
        other := data.inventory.namespace[ns][_].Ingress[name]
        other.spec.rules[_].host == host
        [ns, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
        msg := sprintf("host %v is that of %v/%v too", [host, ns, name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: unique-host}
spec: {enforcementAction: warn, match: {kinds: [{apiGroups: [networking.k8s.io], kinds: [Ingress]}]}}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: twoanswers}
spec:
  crd: {spec: {names: {kind: TwoAnswers}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package twoanswers
      port = p { p := input.review.object.spec.ports[_].port }
      violation[{"msg": msg}] { port > 1024; msg := "the port is high" }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: TwoAnswers
metadata: {name: two-answers}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Service]}]}}
"#;

/// A directory with the policies in `policies.yaml`.
pub fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policies.yaml"), POLICIES).unwrap();
    directory
}

/// The program with these policies, in a directory.
pub fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
    command.current_dir(directory).args(["-p", "policies.yaml"]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn run(directory: &Path, args: &[&str], stdin: Option<&[u8]>) -> Run {
    Run::of(command(directory, args), stdin)
}

pub fn pod(namespace: &str, name: &str, host_pid: bool) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
           "spec": {"hostPID": host_pid, "containers": [{"name": "c", "image": "web:1"}]}})
}

pub fn ingress(namespace: &str, name: &str, host: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": namespace, "name": name},
           "spec": {"rules": [{"host": host}]}})
}

pub fn service(name: &str, ports: &[u32]) -> Value {
    let ports: Vec<_> = ports.iter().map(|port| json!({"port": port})).collect();
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": name}, "spec": {"ports": ports}})
}

/// One object per line.
pub fn lines(objects: &[Value]) -> String {
    objects.iter().flat_map(|object| [object.to_string(), "\n".to_owned()]).collect()
}

/// A report without what is different in every run.
pub fn without_times(text: &str) -> String {
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    time.replace_all(text, "TIME").into_owned()
}
