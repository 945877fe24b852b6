//! The command line as types.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Parser, ValueHint};

use crate::kube::KubeArgs;
use crate::redact::Pattern;
use crate::tls::TlsVersion;

const AFTER: &str = "\
Example:
  portcullis-webhook --policies policies/ --self-signed --ca-file /tmp/ca.pem

Policies, resources and certificates are read again when their files change, and on SIGHUP; if they are broken then, the last good ones
stay in force. SIGHUP opens the record of
decisions again as well. SIGTERM ends the program when the requests that have come are answered.

Exit codes: 0 it was told to end, 2 the policies, the certificate or the address cannot be used.";

/// Judge admission requests of an API server by Gatekeeper policies.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is a list of switches")]
#[command(name = "portcullis-webhook", version, after_help = AFTER, max_term_width = 100)]
#[command(group(ArgGroup::new("certificate").required(true).args(["tls_cert", "self_signed"])))]
pub struct Args {
    /// Files and directories with templates, constraints, Configs and SyncSets; may be repeated.
    #[arg(short, long, required_unless_present = "kube", value_name = "PATH", value_hint = ValueHint::AnyPath, value_parser = path)]
    pub policies: Vec<PathBuf>,
    /// Files and directories with the objects that policies may compare with, and the Namespaces; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, value_parser = path)]
    pub resources: Vec<PathBuf>,
    /// Instead of files, a cluster.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// Where to listen, with TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// The certificate and its chain, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,
    /// Make a CA and a certificate, and renew both in time; they end with the program.
    #[arg(long)]
    pub self_signed: bool,
    /// Where to write what clients have to trust with `--self-signed`; around a change of the CA, the old one and the new one.
    #[arg(long, value_name = "FILE", requires = "self_signed", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// A name or address that the certificate of `--self-signed` is for, besides localhost; may be repeated.
    #[arg(long, value_name = "NAME", requires = "self_signed")]
    pub self_signed_name: Vec<String>,
    /// Let only clients connect that show a certificate of these CAs, in PEM form. Probes need `--health-listen` then.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub client_ca_file: Option<PathBuf>,
    /// A name that clients' certificates may have, as common name or alternative name; may be repeated.
    #[arg(long, value_name = "NAME", requires = "client_ca_file", default_value = "kube-apiserver")]
    pub client_name: Vec<String>,
    /// The oldest version of TLS that clients may speak.
    #[arg(long, value_name = "VERSION", default_value = "1.3")]
    pub tls_min_version: TlsVersion,
    /// Where to answer probes and requests for metrics without TLS, besides the address for requests.
    #[arg(long, value_name = "ADDRESS")]
    pub health_listen: Option<SocketAddr>,
    /// Most connections at once; further ones are closed.
    #[arg(long, value_name = "N", default_value = "2048")]
    pub max_connections: std::num::NonZeroUsize,
    /// Most steps that one constraint may take for one request; the same on every machine.
    #[arg(long, value_name = "N", default_value_t = portcullis::EvaluationLimits::default().steps)]
    pub max_steps: u64,
    /// Most bytes that the values may take which one constraint makes for one request.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20)]
    pub max_memory: u64,
    /// Most seconds that a request may take, also if the API server would wait longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Largest body of a request, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 3 << 20)]
    pub max_body: usize,
    /// Most bytes of bodies in memory at once; further requests wait, until their deadline.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 20)]
    pub max_body_memory: usize,
    /// Threads that judge; all cores if not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// Most requests that wait for a thread; further ones are refused at once.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_queue: usize,
    /// Write a line to the log for everything that a constraint finds.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub log_denies: bool,
    /// Let templates in whose Rego is wrong, as Gatekeeper does, with a warning; without this, they are refused.
    #[arg(long)]
    pub admit_bad_rego: bool,
    /// Record every decision here, a JSON object per line; `-` is standard output. SIGHUP opens the file again.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub decision_log: Option<PathBuf>,
    /// Record the requests as well, without what is secret.
    #[arg(long, requires = "decision_log")]
    pub decision_log_requests: bool,
    /// A field of objects that is secret besides the data of Secrets, such as `spec.template.spec.containers[*].env[*].value`; may be
    /// repeated. What is recorded has neither these values nor texts that repeat them.
    #[arg(long, value_name = "PATH", requires = "decision_log")]
    pub redact: Vec<Pattern>,
    /// The OpenTelemetry collector that spans are sent to, as `http://HOST:PORT`.
    #[cfg(feature = "otel")]
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<crate::traces::Endpoint>,
    /// The webhook's own namespace: what is in it is not judged, nor are requests of the webhook itself.
    #[arg(long, alias = "namespace", value_name = "NAME")]
    pub own_namespace: Option<String>,
    /// Who the webhook itself is, if not the service account `portcullis-webhook` of its own namespace; may be repeated.
    #[arg(long, value_name = "USER")]
    pub own_identity: Vec<String>,
    /// Seconds from SIGTERM to the last new connection, in which the endpoint is known to be going away.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub shutdown_delay: u64,
    /// A namespace that may have the label `admission.gatekeeper.sh/ignore`; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub exempt_namespace: Vec<String>,
    /// The same, by how the name begins.
    #[arg(long, value_name = "PREFIX")]
    pub exempt_namespace_prefix: Vec<String>,
    /// The same, by how the name ends.
    #[arg(long, value_name = "SUFFIX")]
    pub exempt_namespace_suffix: Vec<String>,
}

/// Standard input cannot be read a second time.
fn path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("expected a file or a directory".to_owned()),
        "-" => Err("expected a file or a directory, which can be read again when it changes".to_owned()),
        text => Ok(PathBuf::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn a_certificate_is_needed_and_only_one() {
        let parse = |rest: &[&str]| {
            let start = ["portcullis-webhook", "--policies", "p"];
            Args::try_parse_from(start.iter().chain(rest))
        };
        assert!(parse(&["--self-signed"]).is_ok());
        assert!(parse(&["--tls-cert", "c", "--tls-key", "k"]).is_ok());
        assert!(parse(&[]).is_err());
        assert!(parse(&["--tls-cert", "c"]).is_err());
        assert!(parse(&["--self-signed", "--tls-cert", "c", "--tls-key", "k"]).is_err());
        assert!(parse(&["--self-signed", "--resources", "-"]).is_err());
    }
}
