//! The mutating admission policies of some input: which of them are in force, and what is wrong with the others.

use std::collections::BTreeMap;

use super::matching::Attributes;
use super::resources::Kinds;
use super::{MutatingPolicies, Surroundings};
use crate::api::{AdmissionPolicy, AdmissionPolicyBinding, Resource};
use crate::error::{Error, ErrorKind, Severity, did_you_mean};
use crate::names::{AdmissionEffect, AdmissionPolicyKey, Gvk};
use crate::object::Object;
use crate::path::FieldPath;
use crate::scope::Scopes;
use crate::value::Value;

/// The mutating admission policies of some input with their bindings: immutable, cheap to clone.
///
/// ```
/// use portcullis::{AdmissionMutators, Document, Inventory, Object, Resource, Review, Uses, World};
///
/// let (documents, _) = Document::read_all("policy.yaml", r#"
/// apiVersion: admissionregistration.k8s.io/v1
/// kind: MutatingAdmissionPolicy
/// metadata: {name: owner}
/// spec:
///   matchConstraints:
///     resourceRules:
///     - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
///   mutations:
///   - patchType: ApplyConfiguration
///     applyConfiguration:
///       expression: "Object{metadata: Object.metadata{labels: {'owner': 'shop'}}}"
///   reinvocationPolicy: Never
/// ---
/// apiVersion: admissionregistration.k8s.io/v1
/// kind: MutatingAdmissionPolicyBinding
/// metadata: {name: owner}
/// spec: {policyName: owner}
/// "#);
/// let uses = Uses::POLICIES.with_mutators(true);
/// let resources = documents.iter().filter_map(|document| Resource::read_for(document, uses).0);
/// let (mutators, errors) = AdmissionMutators::from_resources(resources);
/// assert!(errors.is_empty(), "{errors:?}");
///
/// let pod = Object::from_yaml("{apiVersion: v1, kind: Pod, metadata: {name: web}}").unwrap();
/// let inventory = Inventory::empty();
/// let mutation = mutators.mutate(&Review::from_object(pod), &World::new(&inventory));
/// assert!(mutation.denials.is_empty());
/// assert_eq!(mutation.object.unwrap().to_json()["metadata"]["labels"]["owner"], "shop");
/// ```
#[derive(Clone, Debug)]
pub struct AdmissionMutators {
    policies: MutatingPolicies,
    /// The kinds of their parameters.
    params: Vec<Gvk>,
}

impl AdmissionMutators {
    /// Those among some resources, with all that is wrong with them. Others are left alone.
    #[must_use]
    pub fn from_resources(resources: impl IntoIterator<Item = Resource>) -> (Self, Vec<Error>) {
        let mut errors = Vec::new();
        let mut policies: BTreeMap<AdmissionPolicyKey, (AdmissionPolicy, bool)> = BTreeMap::new();
        let mut bindings: BTreeMap<_, AdmissionPolicyBinding> = BTreeMap::new();
        // A policy of one has a binding, even if that is not in force.
        let mut rejected_bindings: Vec<AdmissionPolicyKey> = Vec::new();
        for resource in resources {
            let (resource, is_sound) = match resource {
                Resource::Rejected(resource) => (*resource, false),
                resource => (resource, true),
            };
            match resource {
                Resource::AdmissionPolicy(policy) if policy.key.effect == AdmissionEffect::Mutating => {
                    if let Some((earlier, _)) = policies.get(&policy.key) {
                        errors.push(twice(&policy.document, &earlier.document, policy.subject()));
                    }
                    policies.insert(policy.key.clone(), (*policy, is_sound));
                }
                Resource::AdmissionPolicyBinding(binding)
                    if binding.policy.effect == AdmissionEffect::Mutating && !is_sound =>
                {
                    rejected_bindings.push(binding.policy.clone());
                }
                Resource::AdmissionPolicyBinding(binding)
                    if binding.policy.effect == AdmissionEffect::Mutating =>
                {
                    if let Some(earlier) = bindings.get(&binding.name) {
                        errors.push(twice(&binding.document, &earlier.document, binding.subject()));
                    }
                    bindings.insert(binding.name.clone(), *binding);
                }
                _ => {}
            }
        }
        let rejected: Vec<AdmissionPolicy> =
            policies.values().filter(|(_, is_sound)| !is_sound).map(|(policy, _)| policy.clone()).collect();
        errors.extend(MutatingPolicies::compile(&rejected, &[]).1);
        let sound: Vec<AdmissionPolicy> =
            policies.values().filter(|(_, is_sound)| *is_sound).map(|(policy, _)| policy.clone()).collect();
        let all: Vec<AdmissionPolicyBinding> = bindings.into_values().collect();
        let (compiled, wrong) = MutatingPolicies::compile(&sound, &all);
        let is_broken = |key: &AdmissionPolicyKey| {
            let is_it = |error: &Error| {
                error.severity() == Severity::Error && error.subject() == Some(key.to_string().as_str())
            };
            policies.get(key).is_some_and(|(_, is_sound)| !is_sound) || wrong.iter().any(is_it)
        };
        for binding in &all {
            let error = match policies.get(&binding.policy) {
                Some(_) if !is_broken(&binding.policy) => continue,
                Some(_) => {
                    let message = "the binding applies to nothing: its policy was rejected";
                    Error::new(ErrorKind::MissingPolicy, message).hint("fix the policy first")
                }
                None => {
                    let known = policies.keys().map(|key| &*key.name);
                    let hint = match did_you_mean(&binding.policy.name, known) {
                        Some(name) => format!("did you mean `{name}`?"),
                        None => "give the policy beside its bindings, in any order".to_owned(),
                    };
                    Error::new(ErrorKind::MissingPolicy, format!("there is no {}", binding.policy)).hint(hint)
                }
            };
            let path = FieldPath::root().child("spec").child("policyName");
            let (location, _) = binding.document.locate_nearest(&path);
            errors.push(error.at(location).in_field(path).about(binding.subject()));
        }
        for policy in &sound {
            let is_bound = all.iter().any(|binding| binding.policy == policy.key)
                || rejected_bindings.contains(&policy.key);
            if !is_bound {
                let message = "the policy has no binding, so that it applies to nothing";
                errors.push(
                    Error::warning(ErrorKind::UnboundPolicy, message)
                        .hint(format!("bind it by a {}", policy.key.effect.binding_kind()))
                        .at(policy.document.location())
                        .about(policy.subject()),
                );
            }
        }
        errors.extend(wrong);
        errors.sort();
        let params = sound.iter().filter_map(|policy| policy.param_kind.clone()).collect();
        (Self { policies: compiled, params }, errors)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What of the objects at hand they need to know: Namespaces, definitions of kinds, and their parameters.
    #[must_use]
    pub fn keeps(&self, object: &Object) -> bool {
        let gvk = object.gvk();
        object.is_namespace() || &*gvk.kind == Scopes::DEFINITION || self.params.contains(gvk)
    }

    /// The kinds of which [`AdmissionMutators::keeps`] may hold.
    pub fn kept_kinds(&self) -> impl Iterator<Item = &str> {
        ["Namespace", Scopes::DEFINITION].into_iter().chain(self.params.iter().map(|gvk| &*gvk.kind))
    }

    /// What they make of an object that is created in a namespace, or in none, without anybody who asks for it;
    /// `between` stands for the webhooks that are called after them. With it comes what did not work and does not count.
    ///
    /// # Errors
    ///
    /// That of `between`, or what `denied` makes of the reasons why the request is denied.
    pub(crate) fn mutate_created<E>(
        &self,
        object: &Object,
        namespace: &str,
        around: &Surroundings<'_>,
        between: impl FnOnce(&Object) -> Result<Object, E>,
        denied: impl FnOnce(String) -> E,
    ) -> Result<(Object, Vec<String>), E> {
        let kinds = Kinds::new(around.inventory);
        let request = Value::new_object();
        let mutated = self.policies.mutate(
            &Attributes::created(object, namespace, &kinds, &request),
            around,
            between,
        )?;
        if mutated.denied.is_empty() {
            return Ok((mutated.object.unwrap_or_else(|| object.clone()), mutated.ignored));
        }
        let messages: Vec<&str> = mutated.denied.iter().map(|denied| denied.message.as_str()).collect();
        Err(denied(messages.join("; ")))
    }

    /// Whether some of them may ask the world outside, such as about rights.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.policies.may_ask()
    }

    pub(crate) fn compiled(&self) -> &MutatingPolicies {
        &self.policies
    }
}

fn twice(
    document: &crate::document::Document,
    earlier: &crate::document::Document,
    subject: String,
) -> Error {
    let message = format!("defined a second time; the first is at {}", earlier.location());
    let warning = Error::warning(ErrorKind::DuplicateResource, message);
    warning.hint("only the last one counts").at(document.location()).about(subject)
}
