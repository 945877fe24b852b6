//! The command line as types.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Parser, ValueHint};
use portcullis_sources::{EngineArgs, GatekeeperArgs};
use rustls::pki_types::ServerName;

use crate::configuration::args::ConfigurationArgs;
use crate::kube::args::KubeArgs;
use crate::redact::Pattern;
use crate::tls::TlsVersion;

// A paragraph is a line: it is broken where the terminal ends.
const AFTER: &str = "\
Example:
  portcullis-webhook --policies policies/ --self-signed --ca-file /tmp/ca.pem

Policies, resources and certificates are read again when their files change, and on SIGHUP; if they are broken then, the last good \
ones stay in force. SIGHUP opens the record of decisions again as well. SIGTERM ends the program when the requests that have come are \
answered.

Exit codes: 0 it was asked to end, 2 the policies, the certificate, the address or the record of decisions cannot be used.";

/// Judge admission requests of an API server by Gatekeeper policies.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is a list of switches")]
#[command(name = "portcullis-webhook", version, after_help = AFTER, max_term_width = 100)]
#[command(group(ArgGroup::new("certificate").required(true).args(["tls_cert", "self_signed"])))]
#[command(group(ArgGroup::new("source").required(true).multiple(true).args(["policies", "kube"])))]
pub struct Args {
    /// Files and directories with templates, constraints, Configs and SyncSets; may be repeated.
    #[arg(
        short,
        long,
        value_name = "PATH",
        value_hint = ValueHint::AnyPath,
        value_parser = path,
        conflicts_with_all = ["kubeconfig", "context", "kube_server", "kube_qps", "kube_burst"]
    )]
    pub policies: Vec<PathBuf>,
    /// Files and directories with the objects that policies may compare with, and the Namespaces; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, value_parser = path)]
    pub resources: Vec<PathBuf>,
    /// Let templates in whose Rego is wrong, as Gatekeeper does, with a warning; without this, they are refused.
    #[arg(long)]
    pub admit_bad_rego: bool,
    /// Go on without what is not supported: mutators without `--mutate`, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Mutate as well, at `/v1/mutate`, by the mutators among the policies, or those of the cluster.
    #[arg(long)]
    pub mutate: bool,
    /// Note in annotations of a mutated object which mutators there were, and a random id of the mutation.
    #[arg(long, requires = "mutate")]
    pub mutation_annotations: bool,
    /// Write a line to the log for every object that is mutated: which mutators changed which fields, without values.
    #[arg(long, requires = "mutate")]
    pub log_mutations: bool,
    /// Ask the API server, by SubjectAccessReviews, what users may do: for admission policies among the policies that use
    /// `authorizer`. Where it is, is said by `KUBECONFIG`, or by the pod. Without this, such policies deny.
    #[arg(long, requires = "policies", conflicts_with = "kube")]
    pub ask_rights: bool,
    // Its heading would be that of every flag behind it that has none.
    /// Instead of files, a cluster.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// How API servers reach it.
    #[command(flatten)]
    pub configuration: ConfigurationArgs,
    /// Where to listen, with TLS.
    #[arg(long, help_heading = "Connections", value_name = "ADDRESS", default_value = "127.0.0.1:8443", value_parser = address)]
    pub listen: SocketAddr,
    /// The certificate and its chain, in PEM form.
    #[arg(long, help_heading = "Connections", value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM form.
    #[arg(long, help_heading = "Connections", value_name = "FILE", requires = "tls_cert", value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,
    /// Make a CA and a certificate, and renew both in time; they end with the program.
    #[arg(long, help_heading = "Connections")]
    pub self_signed: bool,
    /// Where to write what clients have to trust with `--self-signed`; around a change of the CA, the old one and the new one.
    #[arg(long, help_heading = "Connections", value_name = "FILE", requires = "self_signed", conflicts_with = "tls_cert", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// A name or address that the certificate of `--self-signed` is for, besides localhost; may be repeated.
    #[arg(long, help_heading = "Connections", value_name = "NAME", requires = "self_signed", conflicts_with = "tls_cert", value_parser = server_name)]
    pub self_signed_name: Vec<String>,
    /// Let only clients connect that show a certificate of these CAs, in PEM form. Probes need `--health-listen` then.
    #[arg(long, help_heading = "Connections", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub client_ca_file: Option<PathBuf>,
    /// A name that clients' certificates may have, as common name or alternative name; may be repeated.
    #[arg(
        long,
        help_heading = "Connections",
        value_name = "NAME",
        requires = "client_ca_file",
        default_value = "kube-apiserver"
    )]
    pub client_name: Vec<String>,
    /// The oldest version of TLS that clients may speak.
    #[arg(long, help_heading = "Connections", value_name = "VERSION", default_value = "1.3")]
    pub tls_min_version: TlsVersion,
    /// Where to answer probes and requests for metrics without TLS, besides the address for requests.
    #[arg(long, help_heading = "Connections", value_name = "ADDRESS", value_parser = address)]
    pub health_listen: Option<SocketAddr>,
    /// Most connections at once; further ones are closed.
    #[arg(long, help_heading = "Connections", value_name = "N", default_value = "2048", value_parser = count)]
    pub max_connections: NonZeroUsize,
    /// The certificate that is shown to providers of external data, with its chain, in PEM form.
    #[arg(long, help_heading = "External data", value_name = "FILE", requires = "provider_key", value_hint = ValueHint::FilePath)]
    pub provider_cert: Option<PathBuf>,
    /// The key of this certificate, in PEM form.
    #[arg(long, help_heading = "External data", value_name = "FILE", requires = "provider_cert", value_hint = ValueHint::FilePath)]
    pub provider_key: Option<PathBuf>,
    /// How many seconds what providers say is kept; 0 keeps nothing.
    #[arg(long, help_heading = "External data", value_name = "SECONDS", default_value_t = 180)]
    pub provider_cache_ttl: u64,
    /// Most steps that one constraint may take for one request; the same on every machine.
    #[arg(long, help_heading = "Limits", value_name = "N", default_value_t = portcullis::EvaluationLimits::default().steps)]
    pub max_steps: u64,
    /// Most memory that the values may take which one constraint makes for one request.
    #[arg(long, help_heading = "Limits", value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub max_policy_memory: u64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub former: portcullis_sources::FormerArgs,
    /// Most seconds that a request may take, also if the API server would wait longer.
    #[arg(long, help_heading = "Limits", value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Largest body of a request.
    #[arg(long, help_heading = "Limits", value_name = "SIZE", default_value = "3MiB", value_parser = size_here)]
    pub max_body: usize,
    /// Most memory of bodies at once, as they have come; who holds most for longest is refused when somebody else needs it.
    #[arg(long, help_heading = "Limits", value_name = "SIZE", default_value = "96MiB", value_parser = size_here)]
    pub max_body_memory: usize,
    /// Most memory of what is judged at once: values of requests, and for each `--max-policy-memory`; further requests wait, small ones least.
    #[arg(long, help_heading = "Limits", value_name = "SIZE", default_value = "256MiB", value_parser = size_here)]
    pub max_review_memory: usize,
    /// Threads that judge; all cores if not given.
    #[arg(long, help_heading = "Limits", value_name = "N", value_parser = count)]
    pub threads: Option<NonZeroUsize>,
    /// Most requests that wait for a thread; further ones are refused at once.
    #[arg(long, help_heading = "Limits", value_name = "N", default_value_t = 1024)]
    pub max_queue: usize,
    /// Write a line to the log for everything that a constraint finds.
    #[arg(long, help_heading = "Records", value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub log_denies: bool,
    /// Record every decision here, a JSON object per line; `-` is standard output. It is a file of ours that only we can read, or a FIFO
    /// that somebody reads. SIGHUP opens it again.
    #[arg(long, help_heading = "Records", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub decision_log: Option<PathBuf>,
    /// Record also into a file that others can read, of another owner, behind a link, or into a device.
    #[arg(long, help_heading = "Records", requires = "decision_log")]
    pub decision_log_shared: bool,
    /// Record the requests as well, without what is secret.
    #[arg(long, help_heading = "Records", requires = "decision_log")]
    pub decision_log_requests: bool,
    /// Record also why constraints deny: their conditions with what these read, by a second evaluation of those that found something.
    #[arg(long, help_heading = "Records", requires = "decision_log")]
    pub decision_log_explain: bool,
    /// A field of objects that is secret besides the data of Secrets and tokens, such as `spec.template.spec.containers[*].env[*].value`; may be
    /// repeated. What is recorded, logged or written as an Event has neither these values nor what policies that read them say.
    #[arg(long, help_heading = "Records", value_name = "PATH")]
    pub redact: Vec<Pattern>,
    /// The OpenTelemetry collector that spans are sent to, as `http://HOST:PORT`.
    #[cfg(feature = "otel")]
    #[arg(long, help_heading = "Records", value_name = "URL")]
    pub otlp_endpoint: Option<crate::traces::Endpoint>,
    /// The webhook's own namespace: what is in it is not judged, nor are requests of the webhook itself.
    #[arg(long, help_heading = "What is not judged", alias = "namespace", value_name = "NAME")]
    pub own_namespace: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub gatekeeper: GatekeeperArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub engine: EngineArgs,
    /// Who the webhook itself is, if not the service account `portcullis-webhook` of its own namespace; may be repeated.
    #[arg(long, help_heading = "What is not judged", value_name = "USER")]
    pub own_identity: Vec<String>,
    /// Seconds from SIGTERM to the last new connection, in which the endpoint is known to be going away; without it, 10 in a pod, and 0
    /// elsewhere.
    #[arg(long, help_heading = "Connections", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3600))]
    pub shutdown_delay: Option<u64>,
    /// A namespace that may have the label `admission.gatekeeper.sh/ignore`; may be repeated.
    #[arg(long, help_heading = "What is not judged", value_name = "NAME")]
    pub exempt_namespace: Vec<String>,
    /// The same, by how the name begins.
    #[arg(long, help_heading = "What is not judged", value_name = "PREFIX")]
    pub exempt_namespace_prefix: Vec<String>,
    /// The same, by how the name ends.
    #[arg(long, help_heading = "What is not judged", value_name = "SUFFIX")]
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

/// Names are not looked up: what they stand for could change, and which of several addresses is meant is not said.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as `127.0.0.1:8443`, or `0.0.0.0:8443` for all of this machine".to_owned()
    })
}

fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let size = portcullis_sources::size(text).filter(|size| *size > 0);
    size.ok_or_else(|| "expected a size such as `3MiB`, `1GiB` or a number of bytes".to_owned())
}

fn size_here(text: &str) -> Result<usize, String> {
    usize::try_from(size(text)?).map_err(|_| "expected a size that fits into memory".to_owned())
}

/// What certificates may be for. A name that is none would be in the certificate, and no client would ever compare with it.
fn server_name(text: &str) -> Result<String, String> {
    match ServerName::try_from(text.strip_prefix("*.").unwrap_or(text)) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a DNS name, such as `webhook.example.com`, or an IP address".to_owned()),
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
    fn the_help_has_its_flags_in_groups() {
        use clap::CommandFactory as _;
        let command = Args::command();
        let alone = command.get_arguments().filter(|flag| flag.get_help_heading().is_none());
        let alone: Vec<_> = alone.map(clap::Arg::get_id).collect();
        let expected = ["policies", "resources", "admit_bad_rego", "allow_unsupported"];
        let of_more = ["mutate", "mutation_annotations", "log_mutations", "ask_rights"];
        assert_eq!(alone, expected.into_iter().chain(of_more).collect::<Vec<_>>());
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

    /// Clap drops what a flag requires if that is at odds with another flag that is there: the flag would be taken, and do nothing.
    #[test]
    fn flags_that_would_do_nothing_are_refused() {
        let parse = |line: &str| {
            Args::try_parse_from(std::iter::once("portcullis-webhook").chain(line.split_whitespace()))
        };
        let files = "--policies p --tls-cert c --tls-key k";
        assert!(parse(files).is_ok());
        for flag in ["--ca-file f", "--self-signed-name webhook.example.com"] {
            assert!(parse(&format!("{files} {flag}")).is_err(), "{flag}");
            assert!(parse(&format!("--policies p --self-signed {flag}")).is_ok(), "{flag}");
        }
        for flag in [
            "--kubeconfig f",
            "--context c",
            "--kube-server u",
            "--pod-name p",
            "--write-status true",
            "--apply-crds",
            "--emit-admission-events",
            "--emit-admission-events --admission-events-involved-namespace",
            "--webhook-configuration w",
            "--ca-secret s",
            "--manage-webhook-configuration",
            "--manage-webhook-configuration --webhook-failure-policy Fail",
            "--manage-webhook-configuration --webhook-timeout 3",
            "--manage-webhook-configuration --webhook-namespace-selector env=prod",
            "--manage-webhook-configuration --webhook-url https://10.0.0.7:8443",
            "--webhook-service other/webhook:8443",
            "--unreadable-inventory ignore",
            "--kube-qps 5",
            "--kube-burst 5",
        ] {
            assert!(parse(&format!("{files} {flag}")).is_err(), "{flag}");
            assert!(parse(&format!("--kube --self-signed {flag}")).is_ok(), "{flag}");
        }
        assert!(parse(&format!("{files} --kube")).is_err());
        for flag in ["--mutate", "--mutate --mutation-annotations", "--mutate --log-mutations"] {
            assert!(parse(&format!("{files} {flag}")).is_ok(), "{flag}");
            assert!(parse(&format!("--kube --self-signed {flag}")).is_ok(), "{flag}");
        }
        assert!(parse(&format!("{files} --mutation-annotations")).is_err());
        assert!(parse("--kube --self-signed --mutation-annotations").is_err());
        let flag = "--mutating-webhook-configuration w";
        assert!(parse(&format!("{files} --mutate {flag}")).is_err());
        assert!(parse(&format!("--kube --self-signed {flag}")).is_err());
        assert!(parse(&format!("--kube --self-signed --mutate {flag}")).is_ok());
        assert!(parse(&format!("{files} --log-mutations")).is_err());
        assert!(parse("--kube --resources r --self-signed").is_err());
        assert!(parse("--kube --self-signed --admission-events-involved-namespace").is_err());
        assert!(parse("--self-signed").is_err());
    }

    #[test]
    fn values_that_are_none_are_refused_with_what_was_expected() {
        let refusal = |flag: &str, value: &str| {
            let line = ["portcullis-webhook", "--policies", "p", "--self-signed", flag, value];
            Args::try_parse_from(line).err().map(|error| error.to_string()).unwrap_or_default()
        };
        for (flag, value, expected) in [
            ("--listen", "localhost:8443", "expected an IP address and a port, such as `127.0.0.1:8443`"),
            ("--health-listen", "8080", "expected an IP address and a port"),
            ("--self-signed-name", "bad name", "expected a DNS name, such as `webhook.example.com`"),
            ("--threads", "0", "expected a whole number from 1"),
            ("--max-connections", "-1", "unexpected argument"),
            ("--max-body", "three", "expected a size such as `3MiB`"),
            ("--max-policy-memory", "0", "expected a size such as `3MiB`"),
            ("--max-memory", "32MiB", "is `--max-policy-memory`"),
        ] {
            let said = refusal(flag, value);
            assert!(said.contains(expected), "{said}");
        }
        for (flag, value) in [
            ("--listen", "[::1]:0"),
            ("--self-signed-name", "*.example.com"),
            ("--self-signed-name", "127.0.0.1"),
            ("--max-body", "3145728"),
        ] {
            assert_eq!(refusal(flag, value), "", "{flag}");
        }
        let args = Args::try_parse_from(["portcullis-webhook", "--policies", "p", "--self-signed"]).unwrap();
        assert_eq!(
            (args.max_policy_memory, args.max_body, args.max_body_memory),
            (32 << 20, 3 << 20, 96 << 20)
        );
    }
}
