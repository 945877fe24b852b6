//! The two configurations by which API servers ask.

use portcullis_cluster::{ApiResource, mutating_webhook_configurations, webhook_configurations};

/// What API servers ask for by a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Verdicts: a ValidatingWebhookConfiguration.
    Verdicts,
    /// Patches: a MutatingWebhookConfiguration.
    Patches,
}

impl Asks {
    /// The kind of the configuration.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Verdicts => webhook_configurations(),
            Self::Patches => mutating_webhook_configurations(),
        }
    }
}
