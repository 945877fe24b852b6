//! The part of the command line about the webhook configuration.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, ValueEnum, ValueHint};

use super::asks::Asks;
use super::selector::Selector;

impl ConfigurationArgs {
    /// The name of a configuration, empty for none.
    #[must_use]
    pub fn name(&self, asks: Asks) -> &str {
        match asks {
            Asks::Verdicts => &self.webhook_configuration,
            Asks::Patches => &self.mutating_webhook_configuration,
        }
    }
}

/// The configurations by which API servers ask, and the CA that is in them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Webhook configuration")]
pub struct ConfigurationArgs {
    /// The ValidatingWebhookConfiguration that gets the CA bundle of `--self-signed`; an empty name for none: then somebody else has to.
    #[arg(long, value_name = "NAME", default_value = "portcullis", conflicts_with = "policies", value_parser = name)]
    pub webhook_configuration: String,
    /// The MutatingWebhookConfiguration of `--mutate`, which is looked after in the same way; an empty name for none.
    #[arg(long, value_name = "NAME", default_value = "portcullis", requires = "mutate", conflicts_with = "policies", value_parser = name)]
    pub mutating_webhook_configuration: String,
    /// The Secret in the own namespace through which replicas with `--self-signed` share their CA; it is made if it is missing. An empty name
    /// for a CA of its own in each of them.
    #[arg(long, value_name = "NAME", default_value = "portcullis-webhook-ca", conflicts_with_all = ["policies", "tls_cert"], value_parser = name)]
    pub ca_secret: String,
    /// Make the webhook configurations when there is something to serve, and keep them as the flags below say.
    #[arg(long, requires = "kube", conflicts_with = "policies")]
    pub manage_webhook_configuration: bool,
    /// What API servers do when no webhook answers.
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "Ignore",
        requires = "manage_webhook_configuration",
        conflicts_with = "policies",
        ignore_case = true
    )]
    pub webhook_failure_policy: FailurePolicy,
    /// Most seconds that API servers wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "manage_webhook_configuration", conflicts_with = "policies", value_parser = clap::value_parser!(u8).range(1..=30))]
    pub webhook_timeout: u8,
    /// The namespaces of which requests are sent, besides those that are left out anyway: a label selector as `kubectl` takes it.
    #[arg(
        long,
        value_name = "SELECTOR",
        requires = "manage_webhook_configuration",
        conflicts_with = "policies"
    )]
    pub webhook_namespace_selector: Option<Selector>,
    /// The Service that API servers reach the webhook through, by default in the own namespace.
    #[arg(
        long,
        value_name = "[NAMESPACE/]NAME[:PORT]",
        default_value = "portcullis-webhook",
        conflicts_with = "policies"
    )]
    pub webhook_service: Service,
    /// Where API servers reach it instead, without its path, such as `https://10.0.0.7:8443`.
    #[arg(long, value_name = "URL", requires = "manage_webhook_configuration", conflicts_with = "policies", value_parser = url)]
    pub webhook_url: Option<String>,
    /// The CA of `--tls-cert`, in PEM form, to put into the webhook configuration; without it, somebody else has to.
    #[arg(long, value_name = "FILE", requires = "manage_webhook_configuration", conflicts_with_all = ["policies", "self_signed"], value_hint = ValueHint::FilePath, action = ArgAction::Set)]
    pub webhook_ca_file: Option<PathBuf>,
}

/// What API servers do when no webhook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailurePolicy {
    /// They let everything in.
    #[value(name = "Ignore")]
    Ignore,
    /// They let nothing in.
    #[value(name = "Fail")]
    Fail,
}

impl FailurePolicy {
    /// As the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore",
            Self::Fail => "Fail",
        }
    }
}

/// A Service and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace, if not the own one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HTTPS: u16 = 443;
        let wrong = || {
            format!(
                "`{text}`: expected the name of a Service, such as `webhook`, `security/webhook` or `webhook:8443`"
            )
        };
        let (rest, port) = match text.rsplit_once(':') {
            Some((rest, port)) => (rest, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
            None => (text, HTTPS),
        };
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, rest),
        };
        if !is_label(name) || !namespace.is_none_or(is_label) {
            return Err(wrong());
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned(), port })
    }
}

/// A label of DNS, as Services and namespaces are named.
fn is_label(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The name of an object, or nothing.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || (text.len() <= 253 && text.split('.').all(is_label)) {
        return Ok(text.to_owned());
    }
    Err("expected the name of an object, such as `portcullis`, or an empty one for none".to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
    let is_good = host.is_some_and(|host| {
        !host.is_empty() && !host.contains(['/', '?', '#', '@']) && !host.contains(char::is_whitespace)
    });
    if !is_good {
        return Err(
            "expected `https://`, a host and a port, such as `https://10.0.0.7:8443`; the path is added"
                .to_owned(),
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_a_namespace_and_a_port_or_the_usual_ones() {
        let service = |text: &str| text.parse::<Service>().ok().map(|s| (s.namespace, s.name, s.port));
        assert_eq!(service("a"), Some((None, "a".to_owned(), 443)));
        assert_eq!(service("x/a:8443"), Some((Some("x".to_owned()), "a".to_owned(), 8443)));
        for wrong in ["", "/a", "x/", "a:", "a:0", "a:70000", "A", "x/y/z", "a.b", "-a"] {
            assert_eq!(service(wrong), None, "{wrong}");
        }
        assert!(url("https://h:1/").is_ok_and(|url| url == "https://h:1"));
        for wrong in ["http://h", "https://", "https://h/v1", "h", "https://u@h"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
        assert!(name("").is_ok() && name("a.b").is_ok() && name("a/b").is_err() && name("..").is_err());
    }
}
