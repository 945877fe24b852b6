//! The configuration by which API servers ask for mutation: that of `deploy/`, with the rules that mutators need.
//!
//! A request that is not sent is not mutated, so rules are never too few: of a kind that is not known all resources of its group are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::{Kinds, MutatorInfo, MutatorSet};
use serde_json::{Value, json};

use crate::{Broken, Options, documents};

pub(crate) const FILE: &str = "mutating-webhook-configuration.yaml";
const TEXT: &str = include_str!("../deploy/mutating-webhook-configuration.yaml");

const ANY: &str = "*";
/// The operations that are mutated.
const OPERATIONS: [&str; 2] = ["CREATE", "UPDATE"];

/// The resources of groups that are sent, by operation and group.
type Wanted = BTreeMap<&'static str, BTreeMap<Arc<str>, Names>>;
type Names = BTreeSet<Arc<str>>;
type Operations = BTreeSet<&'static str>;

pub(crate) fn webhook(mutators: &MutatorSet, kinds: &Kinds, options: &Options) -> Result<Vec<Value>, Broken> {
    let mut documents = documents(FILE, TEXT, options)?;
    let webhooks = documents.iter_mut().filter_map(|document| document.get_mut("webhooks")?.as_array_mut());
    let Some(webhook) = webhooks.flatten().find_map(Value::as_object_mut) else {
        return Err(Broken { file: FILE, reason: "it has no webhook".to_owned() });
    };
    webhook.insert("rules".to_owned(), rules(mutators, kinds));
    Ok(documents)
}

fn rules(mutators: &MutatorSet, kinds: &Kinds) -> Value {
    let mut wanted = Wanted::new();
    for mutator in mutators.mutators() {
        want(mutator, kinds, &mut wanted);
    }
    let mut operations: BTreeMap<(Arc<str>, Names), Operations> = BTreeMap::new();
    for (operation, groups) in wanted {
        let has_all = groups.get(ANY).is_some_and(|resources| resources.contains(ANY));
        for (group, mut resources) in groups {
            if has_all && &*group != ANY {
                continue;
            }
            if resources.contains(ANY) {
                resources = BTreeSet::from([ANY.into()]);
            }
            operations.entry((group, resources)).or_default().insert(operation);
        }
    }
    let mut groups: BTreeMap<(Operations, Names), Names> = BTreeMap::new();
    for ((group, resources), operations) in operations {
        groups.entry((operations, resources)).or_default().insert(group);
    }
    let rule = |((operations, resources), groups): ((Operations, Names), Names)| {
        let texts = |all: Names| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "operations": operations,
            "apiGroups": texts(groups),
            "apiVersions": [ANY],
            "resources": texts(resources),
        })
    };
    groups.into_iter().map(rule).collect()
}

/// What one mutator applies to, as its own fields say: `applyTo`, or where it has none `match.kinds`.
fn want(mutator: &MutatorInfo, kinds: &Kinds, wanted: &mut Wanted) {
    let object = mutator.object().to_json();
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).cloned();
    if let Some(entries) = list("/spec/applyTo") {
        for entry in &entries {
            let said = names(entry, "operations");
            let takes = |operation: &&str| {
                said.is_empty() || said.iter().any(|said| [*operation, ANY].contains(&said.as_str()))
            };
            for operation in OPERATIONS.into_iter().filter(takes) {
                let all = wanted.entry(operation).or_default();
                // Names are exact here; `*` is none.
                for group in names(entry, "groups") {
                    for kind in names(entry, "kinds") {
                        let resource = resource(kinds, &group, &kind);
                        all.entry(group.as_str().into()).or_default().insert(resource);
                    }
                }
            }
        }
        return;
    }
    let entries = list("/spec/match/kinds").filter(|entries| !entries.is_empty());
    let entries = entries.unwrap_or_else(|| vec![json!({})]);
    for operation in OPERATIONS {
        let all = wanted.entry(operation).or_default();
        for entry in &entries {
            for (group, resource) in matched(kinds, &names(entry, "apiGroups"), &names(entry, "kinds")) {
                all.entry(group).or_default().insert(resource);
            }
        }
    }
}

/// The resources that criteria on kinds are about; an empty list is any, and so is `*`.
fn matched(kinds: &Kinds, groups: &[String], names: &[String]) -> Vec<(Arc<str>, Arc<str>)> {
    let is_any = |list: &[String]| list.is_empty() || list.iter().any(|name| name == ANY);
    let any: Arc<str> = ANY.into();
    let groups_of = |name: &str| -> Vec<Arc<str>> {
        if !is_any(groups) {
            return groups.iter().map(|group| group.as_str().into()).collect();
        }
        kinds.groups_of(name)
    };
    if is_any(names) {
        if is_any(groups) {
            return vec![(any.clone(), any)];
        }
        return groups.iter().map(|group| (group.as_str().into(), any.clone())).collect();
    }
    let mut all = Vec::new();
    for name in names {
        let groups = groups_of(name);
        if groups.is_empty() {
            all.push((any.clone(), any.clone()));
        }
        all.extend(groups.into_iter().map(|group| (group.clone(), resource(kinds, &group, name))));
    }
    all
}

fn resource(kinds: &Kinds, group: &str, kind: &str) -> Arc<str> {
    kinds.get(group, kind).map_or_else(|| ANY.into(), |known| known.resource)
}

fn names(entry: &Value, field: &str) -> Vec<String> {
    let list = entry.get(field).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(text: &str) -> Value {
        let (mutators, errors) = MutatorSet::compile(portcullis::Document::read_all("m.yaml", text).0);
        assert!(errors.is_empty(), "{errors:?}");
        rules(&mutators, &Kinds::default())
    }

    const SOME: &str = r#"
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: a}
spec:
  applyTo: [{groups: ["", apps], versions: [v1], kinds: [Pod, Deployment]}]
  location: spec.a
  parameters: {assign: {value: x}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: b}
spec:
  applyTo: [{groups: [batch], versions: [v1], kinds: [Job], operations: [CREATE]}, {groups: [example.com], versions: [v1], kinds: [Widget]}]
  location: spec.b
  parameters: {assign: {value: x}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: c}
spec:
  match: {kinds: [{kinds: [Ingress]}, {apiGroups: [policy]}]}
  location: metadata.labels.c
  parameters: {assign: {value: x}}
"#;

    #[test]
    fn what_mutators_apply_to_is_sent_and_nothing_else_that_is_known() {
        let sent = |rules: &Value, operation: &str, group: &str, resource: &str| {
            let has = |rule: &Value, key: &str, name: &str| {
                rule[key].as_array().is_some_and(|all| all.iter().any(|one| one == name || one == ANY))
            };
            rules.as_array().is_some_and(|rules| {
                rules.iter().any(|rule| {
                    has(rule, "operations", operation)
                        && has(rule, "apiGroups", group)
                        && has(rule, "resources", resource)
                })
            })
        };
        let some = rules_of(SOME);
        for (operation, group, resource, is_sent) in [
            ("CREATE", "", "pods", true),
            ("UPDATE", "", "pods", true),
            ("CREATE", "apps", "deployments", true),
            ("CREATE", "batch", "jobs", true),
            ("UPDATE", "batch", "jobs", false),
            ("CREATE", "batch", "cronjobs", false),
            // Not known what it is called.
            ("UPDATE", "example.com", "widgets", true),
            ("CREATE", "networking.k8s.io", "ingresses", true),
            ("CREATE", "networking.k8s.io", "networkpolicies", false),
            ("UPDATE", "policy", "poddisruptionbudgets", true),
            ("DELETE", "", "pods", false),
            ("CREATE", "rbac.authorization.k8s.io", "roles", false),
        ] {
            assert_eq!(
                sent(&some, operation, group, resource),
                is_sent,
                "{operation} {resource}.{group} {some}"
            );
        }
        let everything = SOME.replace("  match: {kinds: [{kinds: [Ingress]}, {apiGroups: [policy]}]}\n", "");
        let all =
            json!([{"operations": OPERATIONS, "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]);
        assert_eq!(rules_of(&everything), all);
    }
}
