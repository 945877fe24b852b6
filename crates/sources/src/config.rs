//! Which Config counts, as command lines say it.

use portcullis::ConfigHomes;

/// The flags about Configs, of every program that reads policies from files or a cluster.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// The namespace whose Config `config` counts; all others are ignored, with a warning [default: portcullis-system, in a pod its own].
    #[arg(long, value_name = "NAME", help_heading = "Config")]
    pub own_namespace: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub gatekeeper: GatekeeperArgs,
}

/// Where Gatekeeper's Config is.
#[derive(Clone, Debug, clap::Args)]
pub struct GatekeeperArgs {
    /// Gatekeeper's namespace, whose Config `config` counts where there is none in our own; empty to leave it out.
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
