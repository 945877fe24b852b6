//! Replicas of the webhook that are replaced one after the other under load:
//! `rolling_restart [SECONDS [RATE [PROGRAM]]]`.
//!
//! ```text
//! simulated API server <── --kube, --self-signed ── replicas, two and the one that comes
//!        └── caBundle ──> client, HTTP/1.1 and HTTP/2 ──> balancer ──> replicas that are ready
//! ```
//!
//! Each request has to be denied. Anything else (let through, not judged, no answer) ends with exit code 1.
//! `PROGRAM` is the webhook, by default the one beside this program.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs};

use portcullis_testkit::apiserver::ApiServer;
use portcullis_testkit::rolling::{Balancer, Figures, Load, Protocol, Running, restart, send};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::runtime::Builder;

/// From the moment at which a replica is or is not ready until the balancer knows.
const LAG: Duration = Duration::from_secs(1);
/// Of each replica, in seconds.
const SHUTDOWN_DELAY: &str = "4";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let seconds: f64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(60.0);
    let rate: u32 = args.next().and_then(|text| text.parse().ok()).unwrap_or(500);
    let beside = || env::current_exe().unwrap().with_file_name("portcullis-webhook");
    let program = args.next().map_or_else(beside, PathBuf::from);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut is_good = true;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (figures, restarts) =
            runtime.block_on(measure(&program, protocol, rate, Duration::from_secs_f64(seconds)));
        println!("{protocol:?}: {restarts} replicas replaced in {seconds} s at {rate} requests a second");
        is_good &= tell(&figures);
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(figures: &Figures) -> bool {
    let millis = |part: f64| figures.latency(part).as_secs_f64() * 1e3;
    println!(
        "  {} requests over {} connections: {} denied, {} let through, {} not judged, {} without an answer",
        figures.requests,
        figures.connections,
        figures.denied,
        figures.let_through,
        figures.unjudged,
        figures.errors.len()
    );
    println!("  latency: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", millis(0.5), millis(0.99), millis(1.0));
    for error in figures.errors.iter().take(10) {
        println!("  {error}");
    }
    figures.denied == figures.requests
}

async fn measure(program: &PathBuf, protocol: Protocol, rate: u32, time: Duration) -> (Figures, usize) {
    let server = Arc::new(ApiServer::start().await);
    fill(&server);
    // What API servers trust is in the configuration; this is the same, written where it is easy to read.
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let start = || {
        let mut command = Command::new(program);
        command.args(["--kube", "--kube-server", server.url(), "--self-signed", "--listen", "127.0.0.1:0"]);
        command.args(["--health-listen", "127.0.0.1:0", "--log-denies=false", "--own-namespace"]);
        command.args(["portcullis-system", "--shutdown-delay", SHUTDOWN_DELAY, "--ca-file"]).arg(&ca_file);
        Running::start(command)
    };
    let balancer = Balancer::start(LAG).await;
    let running = vec![start(), start()];
    for replica in &running {
        balancer.admit(replica).await;
    }
    let trusted = ca_file.clone();
    let trust = move || {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&fs::read(&trusted).unwrap()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        client.unwrap().with_root_certificates(roots).with_no_client_auth()
    };
    let name = "portcullis-webhook.portcullis-system.svc".to_owned();
    let load = Load { address: balancer.address, name, protocol, rate, time, body: body().into() };
    let done = AtomicBool::new(false);
    tokio::join!(
        async {
            let figures = send(&load, trust).await;
            done.store(true, Ordering::SeqCst);
            figures
        },
        restart(&balancer, running, start, || done.load(Ordering::SeqCst)),
    )
}

fn fill(server: &ApiServer) {
    server.register("constraints.gatekeeper.sh/v1beta1", "NoHostPid", "nohostpid", false);
    let rego = "package p\nviolation[{\"msg\": \"hostPID\"}] { input.review.object.spec.hostPID }";
    server.put(json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": "nohostpid"},
        "spec": {"crd": {"spec": {"names": {"kind": "NoHostPid"}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}}));
    server.put(json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "NoHostPid",
        "metadata": {"name": "no-host-pid"}, "spec": {}}));
    server.put(
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis"}, "webhooks": [{"name": "a", "clientConfig": {}}]}),
    );
}

fn body() -> String {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"hostPID": true, "containers": [{"name": "web", "image": "registry.example.com/web:1"}]}});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web", "namespace": "default", "operation": "CREATE", "userInfo": {"username": "dana"},
        "object": pod, "oldObject": null, "dryRun": false}})
    .to_string()
}
