//! Which Config counts, as command lines say it.

use portcullis::{ConfigHomes, EngineChoice};

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

/// Which program of a template is run, in the words of Gatekeeper and gator.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct EngineArgs {
    /// Whether templates run their CEL where they have any; with `false` their Rego, and those in CEL only are an error.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub enable_k8s_native_validation: bool,
}

impl Default for EngineArgs {
    fn default() -> Self {
        Self { enable_k8s_native_validation: true }
    }
}

impl EngineArgs {
    /// What that is to the engine.
    #[must_use]
    pub const fn choice(self) -> EngineChoice {
        if self.enable_k8s_native_validation { EngineChoice::CelFirst } else { EngineChoice::RegoOnly }
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
