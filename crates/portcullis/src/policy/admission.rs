//! Admission policies of the API server's and their bindings, as the store keeps them. A policy applies by its
//! bindings, so that each binding is what a constraint is to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CompiledConstraint, Template};
use crate::admission_policy::CompiledPolicy;
use crate::api::{AdmissionPolicy, AdmissionPolicyBinding};
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::names::{AdmissionEffect, AdmissionPolicyKey};
use crate::path::FieldPath;

/// Those that validate; the others are mutators.
#[derive(Debug, Default)]
pub(super) struct AdmissionEntries {
    policies: BTreeMap<Arc<str>, PolicyEntry>,
    bindings: BTreeMap<Arc<str>, BindingEntry>,
    /// The policies of bindings that were rejected, by the name of the binding: such a policy has one, even if it is
    /// not in force.
    rejected: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Debug)]
struct PolicyEntry {
    api: AdmissionPolicy,
    /// The last version that compiled.
    good: Option<(Arc<CompiledPolicy>, Arc<Template>)>,
}

#[derive(Debug)]
struct BindingEntry {
    api: AdmissionPolicyBinding,
    /// It with its policy, if that is there.
    bound: Option<Arc<CompiledConstraint>>,
}

impl BindingEntry {
    fn bind(&mut self, policies: &BTreeMap<Arc<str>, PolicyEntry>) {
        let policy = policies.get(&self.api.policy.name).and_then(|entry| entry.good.as_ref());
        self.bound = policy
            .map(|(policy, template)| Arc::new(CompiledConstraint::of_binding(&self.api, template, policy)));
    }
}

impl AdmissionEntries {
    /// One that was rejected is compiled for what else is wrong with it; the version before stays in force.
    pub(super) fn upsert_policy(&mut self, api: AdmissionPolicy, is_sound: bool) -> Vec<Error> {
        if api.key.effect != AdmissionEffect::Validating {
            return Vec::new();
        }
        let (compiled, errors) = CompiledPolicy::compile(&api);
        let name = api.key.name.clone();
        let good = match compiled.filter(|_| is_sound) {
            Some(compiled) => {
                let template = Template::of_policy(&api, compiled.program());
                Some((Arc::new(compiled), Arc::new(template)))
            }
            None => self.policies.get(&name).and_then(|entry| entry.good.clone()),
        };
        self.policies.insert(name.clone(), PolicyEntry { api, good });
        self.bind(&name);
        errors
    }

    /// Of one that was rejected the version before stays in force.
    pub(super) fn upsert_binding(&mut self, api: AdmissionPolicyBinding, is_sound: bool) {
        if api.policy.effect != AdmissionEffect::Validating {
            return;
        }
        let name = api.name.clone();
        if !is_sound {
            self.rejected.insert(name, api.policy.name);
            return;
        }
        self.rejected.remove(&name);
        let mut entry = BindingEntry { api, bound: None };
        entry.bind(&self.policies);
        self.bindings.insert(name, entry);
    }

    pub(super) fn remove_policy(&mut self, key: &AdmissionPolicyKey) {
        if key.effect == AdmissionEffect::Validating {
            self.policies.remove(&key.name);
            self.bind(&key.name);
        }
    }

    pub(super) fn remove_binding(&mut self, name: &str) {
        self.rejected.remove(name);
        self.bindings.remove(name);
    }

    fn bind(&mut self, policy: &str) {
        for entry in self.bindings.values_mut().filter(|entry| *entry.api.policy.name == *policy) {
            entry.bind(&self.policies);
        }
    }

    pub(super) fn policy(&self, key: &AdmissionPolicyKey) -> Option<&AdmissionPolicy> {
        let entry = self.policies.get(&key.name)?;
        (entry.api.key == *key).then_some(&entry.api)
    }

    pub(super) fn binding(&self, like: &AdmissionPolicyBinding) -> Option<&AdmissionPolicyBinding> {
        let entry = self.bindings.get(&like.name)?;
        (entry.api.policy.effect == like.policy.effect).then_some(&entry.api)
    }

    /// The bindings that have their policy, by name.
    pub(super) fn bound(&self) -> impl Iterator<Item = Arc<CompiledConstraint>> {
        self.bindings.values().filter_map(|entry| entry.bound.clone())
    }

    /// An error for each binding whose policy is not there.
    pub(super) fn pending(&self) -> impl Iterator<Item = Error> {
        self.bindings.values().filter(|entry| entry.bound.is_none()).map(|entry| {
            let name = &entry.api.policy.name;
            let error = if self.policies.contains_key(name) {
                let message = format!("the binding applies to nothing: its policy `{name}` was rejected");
                Error::new(ErrorKind::MissingPolicy, message).hint("fix the policy first")
            } else {
                let message = format!("there is no {}", entry.api.policy);
                let known = self.policies.keys().map(|name| &**name);
                let hint = match did_you_mean(name, known) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "give the policy beside its bindings, in any order".to_owned(),
                };
                Error::new(ErrorKind::MissingPolicy, message).hint(hint)
            };
            let path = FieldPath::root().child("spec").child("policyName");
            let (location, _) = entry.api.document.locate_nearest(&path);
            error.at(location).in_field(path).about(entry.api.subject())
        })
    }

    pub(super) fn unbound(&self) -> Vec<Error> {
        let is_bound = |name: &Arc<str>| {
            let mut bound = self.bindings.values().map(|entry| &entry.api.policy.name);
            bound.any(|bound| bound == name) || self.rejected.values().any(|bound| bound == name)
        };
        let unbound = self.policies.iter().filter(|(name, _)| !is_bound(name));
        let warning = |(_, entry): (_, &PolicyEntry)| {
            let message = "the policy has no binding, so that it applies to nothing";
            Error::warning(ErrorKind::UnboundPolicy, message)
                .hint(format!("bind it by a {}", entry.api.key.effect.binding_kind()))
                .at(entry.api.document.location())
                .about(entry.api.subject())
        };
        unbound.map(warning).collect()
    }
}
