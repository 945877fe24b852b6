//! Which Config counts, as command lines say it.

use portcullis::ConfigHomes;

/// The flags about Configs, of every program that reads policies from files or a cluster.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// The namespace whose Config `config` counts; all others are ignored, with a warning
    /// [default: portcullis-system, in a pod its own].
    #[arg(long, value_name = "NAME", help_heading = "Config")]
    pub own_namespace: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub gatekeeper: GatekeeperArgs,
}

/// Where Gatekeeper's Config is.
#[derive(Clone, Debug, clap::Args)]
pub struct GatekeeperArgs {
    /// Gatekeeper's namespace, whose Config `config` counts where there is none in our own; empty to leave it
    /// out.
    #[arg(long, value_name = "NAME", default_value = ConfigHomes::GATEKEEPER, help_heading = "Config")]
    pub gatekeeper_namespace: String,
}

impl Default for GatekeeperArgs {
    fn default() -> Self {
        Self { gatekeeper_namespace: ConfigHomes::GATEKEEPER.to_owned() }
    }
}

impl GatekeeperArgs {
    /// Where the Config may be that counts, beside our own namespace.
    #[must_use]
    pub fn homes(&self, own: Option<&str>) -> ConfigHomes {
        ConfigHomes::new(own.unwrap_or(ConfigHomes::OWN), Some(&self.gatekeeper_namespace))
    }
}

impl ConfigArgs {
    /// Where the Config may be that counts, if our own namespace is what the command line says, or `own`.
    #[must_use]
    pub fn homes(&self, own: Option<&str>) -> ConfigHomes {
        self.gatekeeper.homes(self.own_namespace.as_deref().or(own))
    }
}

/// The name that the memory of one constraint had, where it now is that of audits for all of their memory:
/// the one meaning it has.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FormerArgs {
    #[arg(long = "max-memory", hide = true, value_name = "SIZE", value_parser = former_max_memory)]
    max_memory: Option<u64>,
}

/// Reads nothing: what was meant has another name.
fn former_max_memory(_: &str) -> Result<u64, &'static str> {
    Err(
        "the memory of one constraint is `--max-policy-memory`; `--max-memory` is of audits, and is all that they take",
    )
}
