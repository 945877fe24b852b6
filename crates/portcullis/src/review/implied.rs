//! What is said of an object that another implies.

use std::sync::Arc;

use crate::enforcement::{Actions, EnforcementAction};
use crate::expansion::Resultant;

/// By what an object is implied: the expansion template, and what it says of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpliedBy {
    template: Arc<str>,
    action: Option<EnforcementAction>,
    ignored: Arc<[String]>,
}

impl ImpliedBy {
    pub(super) fn of(resultant: &Resultant) -> Self {
        Self {
            template: resultant.template_name().clone(),
            action: resultant.enforcement_action(),
            ignored: resultant.shared_ignored().clone(),
        }
    }

    /// The name of the template.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// What violations lead to instead of what their constraint says, if the template says so.
    #[must_use]
    pub fn enforcement_action(&self) -> Option<EnforcementAction> {
        self.action
    }

    /// What did not work when the object was changed as a cluster would change it, and does not count, as `failurePolicy` of
    /// mutators and of the API server's own policies says: each once.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        self.ignored.iter().map(|what| &**what)
    }

    /// What the violations of a constraint lead to that has these actions.
    pub(super) fn actions(&self, own: Actions) -> Actions {
        self.action.map_or(own, |action| Actions::from_iter([action]))
    }

    /// What messages begin with, as Gatekeeper writes it.
    pub(super) fn prefix(&self) -> String {
        format!("[Implied by {}] ", self.template)
    }
}
