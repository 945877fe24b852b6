//! Several auditors of one simulated cluster: one works at a time, and who may not be the one any longer stops.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::{Value, json};

use crate::kube::server;
use crate::support::pod;

/// An auditor of its own process; it is gone when this is.
struct Auditor {
    child: Child,
    lines: PathBuf,
}

impl Auditor {
    /// Audits every second while it holds the Lease.
    fn start(server: &ApiServer, directory: &Path, name: &str, seconds: u64, more: &[&str]) -> Self {
        let lines = directory.join(format!("{name}.ndjson"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
        command.args(["--kube", "--kube-server", server.url(), "--lease", "gatekeeper-system/audit"]);
        command.args(["--identity", name, "--lease-duration", &seconds.to_string()]);
        command.args(["--interval", "1", "--quiet", "--kube-qps", "1000", "--ndjson"]).arg(&lines).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), lines }
    }

    fn kill(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// The last line of its last audit that came to an end.
    fn last(&self) -> Option<Value> {
        let text = std::fs::read_to_string(&self.lines).ok()?;
        serde_json::from_str(text.lines().last()?).ok()
    }

    fn has_audited(&self) -> bool {
        self.last().is_some()
    }

    /// Whether it has as much as begun.
    fn has_begun(&self) -> bool {
        self.has_audited() || self.lines.with_extension("ndjson.unfinished").exists()
    }

    /// Waits for its end.
    fn ended(&mut self, most: Duration) -> Output {
        until("it ends", most, || self.child.try_wait().unwrap().is_some());
        let mut stderr = Vec::new();
        std::io::Read::read_to_end(&mut self.child.stderr.take().unwrap(), &mut stderr).unwrap();
        Output { status: self.child.wait().unwrap(), stdout: Vec::new(), stderr }
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + most;
    while !is_so() {
        assert!(Instant::now() < end, "waited {most:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn holder(server: &ApiServer) -> Value {
    server.get("leases", "gatekeeper-system", "audit").unwrap()["spec"]["holderIdentity"].clone()
}

fn total(server: &ApiServer) -> Value {
    server.get("nohostpid", "", "no-host-pid").unwrap()["status"]["totalViolations"].clone()
}

/// What was written, but for the Lease.
fn written(server: &ApiServer) -> Vec<String> {
    let writes = server.writes().into_iter().map(|write| write.path);
    writes.filter(|path| !path.contains("/leases")).collect()
}

/// Far longer than anything takes: here only what never comes would fail.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_audits_and_the_next_follows_when_it_ends() {
    const HELD: u64 = 30;
    let server = server().await;
    server.put(pod("shop", "bad", true));
    let directory = tempfile::tempdir().unwrap();
    let writes = ["--update-status"];
    let mut first = Auditor::start(&server, directory.path(), "first", HELD, &writes);
    until("the first audits", SOON, || total(&server) == json!(1) && first.has_audited());
    // It is waiting for the Lease when it has asked for it.
    let asked = |server: &ApiServer| {
        let requests = server.requests();
        requests.iter().filter(|request| request.method == "GET" && request.path.contains("/leases/")).count()
    };
    let before = asked(&server);
    let second = Auditor::start(&server, directory.path(), "second", HELD, &writes);
    until("the second asks for the Lease", SOON, || asked(&server) > before);
    // The first audits again and again meanwhile.
    let id = first.last().unwrap()["id"].clone();
    until("the first audits again", SOON, || first.last().is_some_and(|last| last["id"] != id));
    assert!(!second.has_begun(), "both audit");
    assert_eq!(holder(&server), "first");

    // Told to end, it gives the Lease back: the second need not wait until it is over.
    first.kill("-TERM");
    assert_eq!(first.ended(SOON).status.code(), Some(1));
    until("the second audits", SOON, || second.has_audited());
    let mut holders: Vec<Value> = server
        .writes()
        .into_iter()
        .filter(|write| write.path.contains("/leases"))
        .map(|write| write.body["spec"]["holderIdentity"].clone())
        .collect();
    holders.dedup();
    assert_eq!(holders, ["first", "", "second"]);
    server.put(pod("shop", "worse", true));
    until("the second writes", SOON, || total(&server) == json!(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_takes_over_from_one_that_is_gone_without_a_word() {
    let server = server().await;
    server.put(pod("shop", "bad", true));
    let directory = tempfile::tempdir().unwrap();
    let first = Auditor::start(&server, directory.path(), "first", 3, &["--update-status"]);
    until("the first audits", SOON, || first.has_audited());
    let second = Auditor::start(&server, directory.path(), "second", 3, &["--update-status"]);
    std::thread::sleep(Duration::from_secs(4));
    assert!(!second.has_begun(), "a Lease that is renewed was taken");
    first.kill("-KILL");
    server.put(pod("shop", "worse", true));
    until("the second writes", SOON, || total(&server) == json!(2));
    assert!(second.has_audited() && holder(&server) == "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_renew_the_lease_stops_and_writes_nothing_more() {
    const HELD: Duration = Duration::from_secs(4);
    // Also one that writes nothing into the cluster.
    for more in [&["--update-status"][..], &[]] {
        let server = server().await;
        server.put(pod("shop", "bad", true));
        let directory = tempfile::tempdir().unwrap();
        let mut auditor = Auditor::start(&server, directory.path(), "first", HELD.as_secs(), more);
        until("it audits", SOON, || auditor.has_audited());
        // The audit at hand takes longer than it may hold the Lease; what it finds would have to be written.
        server.put(pod("shop", "worse", true));
        server.fault(Fault::on(Verb::List, "pods").always().slow(HELD + Duration::from_secs(1)));
        server.fault(Fault::on(Verb::Any, "leases").always().status(503, "ServiceUnavailable"));
        std::thread::sleep(HELD);
        // From now on another might audit.
        server.forget_requests();
        let ended = auditor.ended(SOON);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("error: the Lease `gatekeeper-system/audit` was lost"), "{said}");
        assert_eq!(written(&server), Vec::<String>::new());
        let last = auditor.last().unwrap();
        assert_eq!(
            (&last["completion"], &last["message"]),
            (&json!("unfinished"), &json!("audit is unfinished: the Lease was lost"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_lease_can_be_told_to_end() {
    let server = server().await;
    server.put(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "gatekeeper-system", "name": "audit"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 3600}}));
    let directory = tempfile::tempdir().unwrap();
    let mut auditor = Auditor::start(&server, directory.path(), "first", 2, &[]);
    until("it asks for the Lease", SOON, || !server.requests().is_empty());
    auditor.kill("-TERM");
    assert_eq!(auditor.ended(SOON).status.code(), Some(0));
    assert!(!auditor.has_begun() && holder(&server) == "other");
}
