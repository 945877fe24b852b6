//! The program against a real API server: `PORTCULLIS_APISERVER` is the kubeconfig of an administrator of a cluster that may be thrown away,
//! and `kubectl` is on the path. Without it nothing is tested, loudly.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kube::{ask, constraint, service, template};
use crate::program::Program;
use crate::support::workspace;

const NAMESPACE: &str = "portcullis-system";
const ACCOUNT: &str = "portcullis-webhook";

struct Real {
    kubeconfig: PathBuf,
}

impl Real {
    fn find() -> Option<Self> {
        let Some(kubeconfig) = std::env::var_os("PORTCULLIS_APISERVER") else {
            portcullis_testkit::skipped(
                "PORTCULLIS_APISERVER names no kubeconfig of a cluster to try this on",
            );
            return None;
        };
        Some(Self { kubeconfig: kubeconfig.into() })
    }

    fn run(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.run(args, "").unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    fn apply_text(&self, text: &str) -> Result<String, String> {
        self.run(&["apply", "--server-side", "--force-conflicts", "-f", "-"], text)
    }

    fn apply(&self, object: &Value) {
        self.apply_text(&object.to_string()).unwrap_or_else(|error| panic!("{object}: {error}"));
    }

    /// Applies what may not be served yet, again and again, and says how long that took.
    fn apply_when_served(&self, object: &Value) -> Duration {
        let start = Instant::now();
        while let Err(error) = self.apply_text(&object.to_string()) {
            assert!(start.elapsed() < Duration::from_mins(1), "{error}");
        }
        start.elapsed()
    }

    fn get(&self, what: &str, name: &str) -> Value {
        let text = self.run(&["get", what, name, "-o", "json"], "").unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// What `deploy/` grants, without the kinds to compare with; and a kubeconfig of the account.
    fn account(&self, directory: &Path) -> PathBuf {
        let manifest = |file: &str| fs::read_to_string(workspace().join("deploy").join(file)).unwrap();
        self.kubectl(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            &workspace().join("deploy/crds").display().to_string(),
        ]);
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        self.apply_text(&manifest(RBAC)).unwrap();
        let crds = manifest("optional/apply-crds.yaml");
        let ours = "realnever.constraints.gatekeeper.sh, realvolume.constraints.gatekeeper.sh";
        self.apply_text(&crds.replace("k8srequiredlabels.constraints.gatekeeper.sh", ours)).unwrap();
        let token = self.kubectl(&["-n", NAMESPACE, "create", "token", ACCOUNT]);
        let view = self.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]);
        let mut config: Value = serde_json::from_str(&view).unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        let file = directory.join("kubeconfig");
        fs::write(&file, config.to_string()).unwrap();
        file
    }
}

/// The roles of the webhook.
const RBAC: &str = "webhook/rbac.yaml";

fn start(kubeconfig: &Path) -> Program {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.args(["--kube", "--apply-crds", "--listen", "127.0.0.1:0", "--self-signed", "--kubeconfig"]);
    command.arg(kubeconfig).arg("--ca-file").arg(&ca).args([
        "--own-namespace",
        NAMESPACE,
        "--pod-name",
        "real",
    ]);
    Program::run(command, &ca, directory)
}

/// Waits until something is so, and returns how long that took.
fn until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < most, "not within {} s: {what}", most.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("{what}: {:.2} s", start.elapsed().as_secs_f64());
}

/// What is asked is that it comes; how long it took is shown.
const SOON: Duration = Duration::from_mins(1);

#[test]
fn a_policy_that_reads_what_may_not_be_listed_holds_up_nothing_in_a_real_cluster() {
    let Some(real) = Real::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = real.account(directory.path());
    let volume = "package p
violation[{\"msg\": \"a volume has the name\"}] {
  data.inventory.cluster[\"v1\"][\"PersistentVolume\"][input.review.object.metadata.name]
}
";
    let never = "package p\nviolation[{\"msg\": \"never\"}] { true }";
    let mut program = start(&kubeconfig);
    until("ready", SOON, || program.get("/readyz").0 == 200);
    real.apply(&template("RealVolume", volume));
    real.apply(&template("RealNever", never));
    let waited = real.apply_when_served(&constraint("RealVolume", &json!({})));
    eprintln!("the kind of a new template is served after {:.2} s", waited.as_secs_f64());
    real.apply_when_served(&constraint("RealNever", &json!({})));
    let service = service("default", "a");
    until("both are in force", SOON, || {
        let (code, message) = ask(&mut program, &service);
        let lines: Vec<&str> = message.lines().collect();
        code == 403
            && lines.len() == 2
            && lines[0] == "[realnever] never"
            && lines[1].starts_with("[realvolume] the policy reads `v1/PersistentVolume` objects")
    });
    until("the statuses say so", SOON, || {
        let entry = real.get("realvolume", "realvolume")["status"]["byPod"][0].clone();
        let created = real.get("constrainttemplate", "realvolume")["status"]["created"].clone();
        entry["errors"][0]["code"] == "unreadable_inventory" && created == true
    });
    real.apply(&template("RealNever", &never.replace("never", "second")));
    until("another policy changes", SOON, || {
        ask(&mut program, &service).1.starts_with("[realnever] second\n")
    });
    program.stop();

    let mut program = start(&kubeconfig);
    until("ready after a restart", SOON, || program.get("/readyz").0 == 200);
    let part = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "portcullis-webhook-synced-volumes", "labels": {"portcullis.example.com/aggregate-to-synced": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["list", "watch"]}]});
    real.apply(&part);
    // The rights come when a controller has gathered them, and the list is tried again every five seconds.
    until("judged once there are rights", SOON, || {
        ask(&mut program, &service) == (403, "[realnever] second".to_owned())
    });
    real.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "new"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}}));
    until("a volume is seen", SOON, || {
        ask(&mut program, &service).1.contains("[realvolume] a volume has the name")
    });
    // A CRD that goes and comes again, with its constraint.
    real.kubectl(&["delete", "crd", "realnever.constraints.gatekeeper.sh"]);
    until("its constraint is gone", SOON, || !ask(&mut program, &service).1.contains("[realnever]"));
    until("its CRD is made again", SOON, || {
        real.get("crd", "realnever.constraints.gatekeeper.sh")["metadata"]["deletionTimestamp"].is_null()
            && !real.get("crd", "realnever.constraints.gatekeeper.sh").is_null()
    });
    real.apply_when_served(&constraint("RealNever", &json!({})));
    until("enforced after it was applied", SOON, || {
        ask(&mut program, &service).1.contains("[realnever] second")
    });
    program.stop();
    real.kubectl(&["delete", "constrainttemplate", "realnever", "realvolume"]);
    real.kubectl(&["delete", "pv", "new"]);
    real.kubectl(&["delete", "clusterrole", "portcullis-webhook-synced-volumes"]);
}
