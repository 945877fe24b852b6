//! Which Config counts: one, by its name and namespace, for webhook, audit and files alike.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::api::Config;
use crate::error::{Error, ErrorKind};

/// The namespaces whose Config `config` may count, the first that has one before the others.
///
/// Gatekeeper takes only `config` in its own namespace. People come from there, so that theirs counts as long
/// as there is none of ours. A Config anywhere else is ignored, because anybody who may write one in some
/// namespace could take namespaces out of all policies.
///
/// ```
/// use portcullis::ConfigHomes;
///
/// assert_eq!(ConfigHomes::default().to_string(), "`portcullis-system` or `gatekeeper-system`");
/// assert_eq!(ConfigHomes::new("policies", None).to_string(), "`policies`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigHomes(Vec<Arc<str>>);

impl ConfigHomes {
    /// The only name that counts.
    pub const NAME: &'static str = "config";
    /// Our own namespace, as our manifests name it.
    pub const OWN: &'static str = "portcullis-system";
    /// Gatekeeper's, as its manifests name it.
    pub const GATEKEEPER: &'static str = "gatekeeper-system";

    /// Our own namespace, and that of Gatekeeper if its Config counts where we have none.
    #[must_use]
    pub fn new(own: &str, gatekeeper: Option<&str>) -> Self {
        let gatekeeper = gatekeeper.filter(|&gatekeeper| gatekeeper != own && !gatekeeper.is_empty());
        Self([own].into_iter().chain(gatekeeper).map(Into::into).collect())
    }

    /// Where a Config stands among those that may count; `None` if it does not.
    fn rank(&self, config: &Config) -> Option<usize> {
        let (namespace, name) = config.name.split_once('/')?;
        self.0.iter().position(|home| **home == *namespace).filter(|_| name == Self::NAME)
    }

    /// The one of some Configs that counts.
    pub(super) fn choose<'a>(&self, configs: &'a BTreeMap<Arc<str>, Config>) -> Option<&'a Config> {
        let ranked = configs.values().filter_map(|config| Some((self.rank(config)?, config)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, config)| config)
    }

    /// Why a Config does not count, where another does or none; `None` if it does.
    pub(super) fn ignored(&self, config: &Config, counted: Option<&str>) -> Option<Error> {
        if counted == Some(&*config.name) {
            return None;
        }
        let namespace = config.name.split_once('/').map_or("", |(namespace, _)| namespace);
        let message = match counted.filter(|_| self.rank(config).is_some()) {
            Some(counted) => {
                format!("this Config is ignored: `{counted}` counts, which is in our own namespace")
            }
            None => format!("this Config is ignored: only `{}` in {self} counts", Self::NAME),
        };
        let hint = if namespace.is_empty() {
            "it names no namespace; write the one it is meant for into `metadata.namespace`"
        } else {
            "nothing is excluded or synced by it; move what it says"
        };
        let mut error = Error::warning(ErrorKind::IgnoredConfig, message).hint(hint);
        if let Some(location) = &config.location {
            error = error.at(location.clone());
        }
        Some(error.about(format!("Config/{}", config.name)))
    }
}

impl Default for ConfigHomes {
    fn default() -> Self {
        Self::new(Self::OWN, Some(Self::GATEKEEPER))
    }
}

impl fmt::Display for ConfigHomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, home) in self.0.iter().enumerate() {
            let before = if number == 0 { "" } else { " or " };
            write!(f, "{before}`{home}`")?;
        }
        Ok(())
    }
}
