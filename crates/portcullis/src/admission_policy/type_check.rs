//! Expressions of a policy against the types of the kinds that its rules name: a field that there is not can be in no
//! object, which an API server writes into the status of the policy.

use std::collections::BTreeSet;

use super::types::Types;
use crate::api::AdmissionPolicy;
use crate::error::Error;
use crate::names::Gvk;
use crate::program::PolicyProgram;
use crate::scope::{plural, resources};

/// How many kinds of a rule are looked at.
const MOST: usize = 10;

/// A warning for each mistake, by kind. Rules with wildcards, subresources and kinds that are not Kubernetes' own are
/// not looked at.
pub(super) fn check(policy: &AdmissionPolicy) -> Vec<Error> {
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
                    let kind = resources()
                        .find(|(known, kind, _)| *known == &**group && plural(known, kind) == **resource);
                    found.extend(kind.map(|(_, kind, _)| Gvk {
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
    let params = policy.param_kind.as_ref().and_then(|kind| types.cel_type_of(kind));
    let checked = kinds.iter().filter_map(|kind| Some((kind, types.cel_type_of(kind)?)));
    checked.flat_map(|(kind, of)| PolicyProgram::check_types(policy, kind, of, params.clone())).collect()
}
