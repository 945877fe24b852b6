//! Which API server, on a command line: the flags of every program that has `--kube`.

use std::path::PathBuf;

use clap::ValueHint;

use crate::connect::{Access, ConnectOptions};

/// How to connect. Programs say the defaults of the rate: `mut_arg("kube_qps", …)` and `mut_arg("kube_burst", …)`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectArgs {
    /// The kubeconfig; if not given, the service account of the pod, or the usual kubeconfig outside of one.
    #[arg(long, value_name = "FILE", requires = "kube", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; if not given, the current one.
    #[arg(long, value_name = "NAME", requires = "kube")]
    pub context: Option<String>,
    /// The address of an API server that asks for no credentials, such as that of `kubectl proxy`.
    #[arg(long, alias = "server", value_name = "URL", requires = "kube", conflicts_with_all = ["kubeconfig", "context"])]
    pub kube_server: Option<String>,
    /// Requests to the API server a second, in the long run.
    #[arg(long, alias = "qps", value_name = "N", requires = "kube", value_parser = clap::value_parser!(u32).range(1..))]
    pub kube_qps: Option<u32>,
    /// Requests to the API server that may go out at once after a pause.
    #[arg(long, alias = "burst", value_name = "N", requires = "kube", value_parser = clap::value_parser!(u32).range(1..))]
    pub kube_burst: Option<u32>,
}

impl ConnectArgs {
    /// The same as options. `user_agent` is who we are: `program/version`.
    #[must_use]
    pub fn options(&self, user_agent: &str) -> ConnectOptions {
        let access = match (&self.kube_server, &self.kubeconfig, &self.context) {
            (Some(url), ..) => Access::Url(url.clone()),
            (None, None, None) => Access::Inferred,
            (None, file, context) => Access::Kubeconfig { file: file.clone(), context: context.clone() },
        };
        let usual = ConnectOptions::default();
        ConnectOptions {
            access,
            user_agent: user_agent.to_owned(),
            requests_per_second: self.kube_qps.unwrap_or(usual.requests_per_second),
            burst: self.kube_burst.unwrap_or(usual.burst),
            ..usual
        }
    }
}
