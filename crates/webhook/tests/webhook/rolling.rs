//! Replicas that are replaced under load: nobody is let through, and nobody is turned away. `benches` has the same for a minute.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::apiserver::ApiServer;
use portcullis_testkit::rolling::{Balancer, Load, Protocol, Running, restart, send};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::runtime::Builder;

use crate::kube::{constraint, namespace, service, template};
use crate::support::review;

#[test]
fn requests_go_on_while_replicas_are_replaced() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Arc::new(ApiServer::start().await);
        server.put(namespace("portcullis-system", "own"));
        server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
        server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
        server.put(constraint("Never", &json!({})));
        server.put(
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "portcullis"}, "webhooks": [{"name": "a", "clientConfig": {}}]}),
        );
        let start = {
            let url = server.url().to_owned();
            move || {
                let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
                command.args(["--kube", "--kube-server", &url, "--self-signed", "--listen", "127.0.0.1:0"]);
                command.args([
                    "--health-listen",
                    "127.0.0.1:0",
                    "--shutdown-delay",
                    "1",
                    "--log-denies=false",
                ]);
                command.args(["--own-namespace", "portcullis-system"]);
                Running::start(command)
            }
        };
        let balancer = Balancer::start(Duration::from_millis(100)).await;
        let running = vec![start(), start()];
        for replica in &running {
            balancer.admit(replica).await;
        }
        let trust = move || {
            let configuration = server.get("validatingwebhookconfigurations", "", "portcullis").unwrap();
            let bundle =
                configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default();
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(&STANDARD.decode(bundle).unwrap()) {
                roots.add(certificate.unwrap()).unwrap();
            }
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            client.unwrap().with_root_certificates(roots).with_no_client_auth()
        };
        let trust = Arc::new(trust);
        let load = |protocol| Load {
            address: balancer.address,
            name: "portcullis-webhook.portcullis-system.svc".to_owned(),
            protocol,
            rate: 100,
            time: Duration::from_secs(4),
            body: review(&service("default", "a"), "CREATE").to_string().into(),
        };
        let (http1, http2) = (load(Protocol::Http1), load(Protocol::Http2));
        let done = AtomicBool::new(false);
        let (sent, restarts) = tokio::join!(
            async {
                let trusts = [Arc::clone(&trust), Arc::clone(&trust)];
                let [one, two] = trusts.map(|trust| move || trust());
                let sent = tokio::join!(send(&http1, one), send(&http2, two));
                done.store(true, Ordering::SeqCst);
                [sent.0, sent.1]
            },
            restart(&balancer, running, start, || done.load(Ordering::SeqCst)),
        );
        assert!(restarts >= 2, "{restarts}");
        for figures in sent {
            assert_eq!((figures.let_through, figures.unjudged, &figures.errors), (0, 0, &Vec::new()));
            assert!(figures.denied == figures.requests && figures.requests > 100, "{figures:?}");
            assert!(figures.connections > 1, "it stayed with one that went");
        }
    });
}
