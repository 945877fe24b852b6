//! What is generated of an object.

use std::sync::Arc;

use portcullis_value::Questions;

use super::error::{ExpansionError, Reason};
use super::generate;
use super::template::Template;
use crate::enforcement::EnforcementAction;
use crate::error::Error;
use crate::object::Object;
use crate::path::FieldPath;
use crate::value::{self, Value};

/// An object that another implies.
///
/// It remembers where in the document of the object that was written it came from, whatever the number of
/// levels between: what is found in it is shown there.
#[derive(Clone, Debug)]
pub struct Resultant {
    template: Arc<str>,
    action: Option<EnforcementAction>,
    /// Templates may generate what is no Kubernetes object: without a kind, or with a text as `metadata`.
    value: Value,
    object: Result<Object, Error>,
    within: FieldPath,
    /// Of mutators and admission policies that changed it: what did not work and does not count.
    ignored: Arc<[String]>,
}

impl Resultant {
    pub(super) fn new(
        template: &Template,
        value: Value,
        object: Result<Object, Error>,
        within: FieldPath,
    ) -> Self {
        let ignored = Arc::default();
        Self { template: template.name.clone(), action: template.action, value, object, within, ignored }
    }

    /// The same, with what did not work and does not count.
    pub(super) fn ignoring(self, mut ignored: Vec<String>) -> Self {
        ignored.sort();
        ignored.dedup();
        Self { ignored: ignored.into(), ..self }
    }

    /// What did not work with it and does not count, as `failurePolicy` of mutators and of the API server's own policies
    /// says: each once.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        self.ignored.iter().map(|what| &**what)
    }

    pub(crate) fn shared_ignored(&self) -> &Arc<[String]> {
        &self.ignored
    }

    /// The name of the template that generated it.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    pub(crate) fn template_name(&self) -> &Arc<str> {
        &self.template
    }

    /// What violations of it lead to instead of what their constraints say, if the template says so.
    #[must_use]
    pub fn enforcement_action(&self) -> Option<EnforcementAction> {
        self.action
    }

    /// The object.
    ///
    /// # Errors
    ///
    /// If what was generated is no Kubernetes object, and so cannot be judged.
    pub fn object(&self) -> Result<&Object, ExpansionError> {
        self.object.as_ref().map_err(|error| ExpansionError {
            reason: Reason::NotJudged {
                name: generate::name_of(&self.value).to_owned(),
                reason: error.message().to_owned(),
            },
            template: self.template.clone(),
            location: error.location().cloned(),
            path: error.path().cloned().unwrap_or_default(),
            questions: Questions::default(),
        })
    }

    /// The part of the document that was written that it came from.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.within
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn within(&self) -> &FieldPath {
        &self.within
    }

    /// What was generated, as JSON. Cost: a full copy.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        value::to_json(&self.value)
    }
}
