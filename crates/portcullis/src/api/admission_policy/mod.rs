//! The API server's own admission policies and their bindings (`admissionregistration.k8s.io`), as they are
//! written.
//!
//! What an API server refuses when such an object is created is refused here, in its words, so that what is
//! said of a file is what `kubectl apply` would say of it.

mod checks;
mod matching;
mod read;

use std::sync::Arc;

use super::cel::{FailurePolicy, Named};
use super::matching::LabelSelector;
use super::text::Text;
use crate::document::Document;
use crate::names::{AdmissionPolicyKey, Gvk};
use crate::object::Object;

/// A `ValidatingAdmissionPolicy` or `MutatingAdmissionPolicy`: what has to hold, or what is changed. Which
/// objects it applies to is also said by its bindings; without one it applies to nothing.
#[derive(Clone, Debug)]
pub struct AdmissionPolicy {
    pub(crate) key: AdmissionPolicyKey,
    pub(crate) failure_policy: FailurePolicy,
    /// The kind of its parameters, if it has any.
    pub(crate) param_kind: Option<Gvk>,
    pub(crate) matching: MatchResources,
    pub(crate) match_conditions: Vec<Named>,
    /// In the order in which they may use each other.
    pub(crate) variables: Vec<Named>,
    pub(crate) effect: Effect,
    pub(crate) object: Object,
    pub(crate) document: Document,
}

/// A binding: where a policy applies, with which parameters, and what a violation leads to.
#[derive(Clone, Debug)]
pub struct AdmissionPolicyBinding {
    pub(crate) name: Arc<str>,
    /// The policy that it binds.
    pub(crate) policy: AdmissionPolicyKey,
    pub(crate) param_ref: Option<ParamRef>,
    /// All that the policy applies to, if it has none.
    pub(crate) matching: Option<MatchResources>,
    /// As they are written. Those of mutating policies have none.
    pub(crate) actions: Vec<ValidationAction>,
    pub(crate) object: Object,
    pub(crate) document: Document,
}

/// What a policy does.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Validate { validations: Vec<Validation>, audit_annotations: Vec<AuditAnnotation> },
    Mutate { mutations: Vec<Mutation>, reinvocation: Reinvocation },
}

/// What has to hold, and what is said if it does not.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    pub(crate) expression: Text,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) message_expression: Option<Text>,
    pub(crate) reason: DenialReason,
}

/// Something for the API server's audit log.
#[derive(Clone, Debug)]
pub(crate) struct AuditAnnotation {
    pub(crate) key: Arc<str>,
    pub(crate) value: Text,
}

/// One change, and how the expression says it.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// An object of which all fields are merged into the one that is changed.
    ApplyConfiguration(Text),
    /// A list of operations.
    JsonPatch(Text),
}

impl Mutation {
    pub(crate) fn expression(&self) -> &Text {
        match self {
            Self::ApplyConfiguration(text) | Self::JsonPatch(text) => text,
        }
    }
}

/// Whether a policy is asked again after later ones changed the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reinvocation {
    Never,
    IfNeeded,
}

/// What a violation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValidationAction {
    Deny,
    Warn,
    Audit,
}

impl ValidationAction {
    /// The word of bindings.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        }
    }
}

/// The reason that the API server gives with a denial, which also is its code of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DenialReason {
    Forbidden,
    #[default]
    Invalid,
    RequestEntityTooLarge,
}

impl DenialReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        }
    }

    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::RequestEntityTooLarge => 413,
        }
    }
}

/// Which requests, as policies and bindings say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MatchResources {
    pub(crate) namespace_selector: LabelSelector,
    pub(crate) object_selector: LabelSelector,
    /// Any, if there are none.
    pub(crate) rules: Vec<Rule>,
    pub(crate) excluded: Vec<Rule>,
    pub(crate) policy: MatchPolicy,
}

/// Whether a rule for one version of a resource is about the others as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MatchPolicy {
    Exact,
    #[default]
    Equivalent,
}

/// One of the rules.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) versions: Vec<Arc<str>>,
    /// `pods`, `pods/exec`, `pods/*`, `*`, `*/scale`, `*/*`.
    pub(crate) resources: Vec<Arc<str>>,
    /// In words, as requests have them; `*` for all.
    pub(crate) operations: Vec<Arc<str>>,
    pub(crate) scope: RuleScope,
    /// Any, if there are none.
    pub(crate) names: Vec<Arc<str>>,
}

/// Where what a rule is about lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RuleScope {
    #[default]
    Any,
    Cluster,
    Namespaced,
}

/// Which objects are the parameters.
#[derive(Clone, Debug)]
pub(crate) struct ParamRef {
    pub(crate) selection: ParamSelection,
    /// That of the request, if it is none.
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) not_found: NotFound,
}

/// How they are chosen.
#[derive(Clone, Debug)]
pub(crate) enum ParamSelection {
    Name(Arc<str>),
    Labels(LabelSelector),
}

/// What happens if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    Allow,
    Deny,
}

impl AdmissionPolicy {
    /// Its kind and name.
    #[must_use]
    pub fn key(&self) -> &AdmissionPolicyKey {
        &self.key
    }

    /// The document that it was read from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// As errors about it call it.
    pub(crate) fn subject(&self) -> String {
        self.key.to_string()
    }

    /// Its expressions, in the order of evaluation.
    pub(crate) fn expressions(&self) -> Vec<&Text> {
        let mut all: Vec<&Text> =
            self.match_conditions.iter().chain(&self.variables).map(|named| &named.expression).collect();
        match &self.effect {
            Effect::Validate { validations, audit_annotations } => {
                all.extend(validations.iter().flat_map(|validation| {
                    std::iter::once(&validation.expression).chain(&validation.message_expression)
                }));
                all.extend(audit_annotations.iter().map(|annotation| &annotation.value));
            }
            Effect::Mutate { mutations, .. } => all.extend(mutations.iter().map(Mutation::expression)),
        }
        all
    }
}

impl AdmissionPolicyBinding {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The policy that it binds.
    #[must_use]
    pub fn policy(&self) -> &AdmissionPolicyKey {
        &self.policy
    }

    /// The document that it was read from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// As errors about it call it.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}", self.policy.effect.binding_kind(), self.name)
    }
}
