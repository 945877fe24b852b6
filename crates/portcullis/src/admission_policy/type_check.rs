//! Expressions of a policy against the types of the kinds that its rules name: a field that there is not can be in no
//! object, which an API server writes into the status of the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::resources::Kinds;
use super::types::Types;
use crate::api::{AdmissionPolicy, Resource};
use crate::error::Error;
use crate::names::Gvk;
use crate::object::Object;
use crate::program::PolicyProgram;
use crate::scope::{Scopes, plural, resources};
use crate::value::{self, Value};

/// How many kinds of a rule are looked at.
const MOST: usize = 10;

/// A warning for each mistake, by kind. Rules with wildcards, subresources and kinds that are not Kubernetes' own are
/// not looked at.
pub(super) fn check(policy: &AdmissionPolicy) -> Vec<Error> {
    check_with(policy, None)
}

/// What objects and parameters of custom kinds are not, as expressions of validating policies take them: a warning for each
/// mistake, as an API server writes it into the status of the policy. That of all else comes from compiling the policies.
///
/// The CustomResourceDefinitions of these kinds are among the definitions; of a kind that has none nothing is said.
#[must_use]
pub fn custom_type_warnings(policies: &[Resource], definitions: &[Object]) -> Vec<Error> {
    let inventory = definitions_of(definitions);
    let kinds = Kinds::new(&inventory);
    let of_policy = |resource: &Resource| {
        let Resource::AdmissionPolicy(policy) = resource else { return Vec::new() };
        let mut found = check_with(policy, Some(&kinds));
        if !found.is_empty() {
            let known = check(policy);
            found.retain(|warning| !known.contains(warning));
        }
        found
    };
    policies.iter().flat_map(of_policy).collect()
}

/// Definitions as objects at hand; of two of the same name the last one counts.
fn definitions_of(definitions: &[Object]) -> Value {
    let named = definitions.iter().filter(|object| {
        let gvk = object.gvk();
        &*gvk.kind == Scopes::DEFINITION && &*gvk.group == "apiextensions.k8s.io"
    });
    let named = named.map(|object| (object.name().clone(), object.value().clone()));
    let named: BTreeMap<Arc<str>, Value> = named.collect();
    let of_kind = value::object([(Scopes::DEFINITION, value::object(named))]);
    value::object([("cluster", value::object([("apiextensions.k8s.io/v1", of_kind)]))])
}

fn check_with(policy: &AdmissionPolicy, custom: Option<&Kinds<'_>>) -> Vec<Error> {
    let mut kinds = BTreeSet::new();
    for rule in &policy.matching.rules {
        let has_wildcard = rule.groups.iter().chain(&rule.versions).any(|text| text.contains('*'));
        if has_wildcard {
            continue;
        }
        let mut found = Vec::new();
        for group in &rule.groups {
            for version in &rule.versions {
                let named = rule.resources.iter().filter(|resource| !resource.contains(['*', '/']));
                for resource in named {
                    let built_in = resources()
                        .find(|(known, kind, _)| *known == &**group && plural(known, kind) == **resource);
                    let built_in = built_in.map(|(_, kind, _)| kind);
                    let kind = built_in
                        .or_else(|| custom.and_then(|custom| custom.kind_of(group, version, resource)));
                    found.extend(kind.map(|kind| Gvk {
                        group: group.clone(),
                        version: version.clone(),
                        kind: kind.into(),
                    }));
                }
            }
        }
        found.sort();
        kinds.extend(found.into_iter().take(MOST));
    }
    if kinds.is_empty() {
        return Vec::new();
    }
    let types = Types::new();
    let described = |kind: &Gvk| match custom.and_then(|custom| custom.schema(kind)) {
        Some(schema) => types.described_by(kind, schema),
        None => types.described(kind),
    };
    let params = policy.param_kind.as_ref().and_then(described);
    let checked = kinds.iter().filter_map(|kind| Some((kind, described(kind)?)));
    checked.flat_map(|(kind, of)| PolicyProgram::check_types(policy, kind, &of, params.as_ref())).collect()
}
