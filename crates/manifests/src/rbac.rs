//! Roles: those of `deploy/` for what every installation does, and for each kind that policies need the right
//! to list it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{ListedKinds, PolicySet};
use serde_json::{Value, json};

use crate::{Broken, Options, documents};

const WEBHOOK: &str = include_str!("../deploy/webhook-rbac.yaml");
const CRDS: &str = include_str!("../deploy/apply-crds.yaml");
const MUTATION: &str = include_str!("../deploy/mutation-rbac.yaml");
const AUDIT: &str = include_str!("../deploy/audit-rbac.yaml");

/// The label by which roles are added to what the webhook keeps.
const AGGREGATED: &str = "portcullis.example.com/aggregate-to-synced";
/// The role of what is audited.
const AUDITED: &str = "portcullis-audit-kinds";

/// `Namespace`, which every role of `deploy/` has already.
const NAMESPACES: (&str, &str) = ("", "namespaces");

pub(crate) fn webhook(
    policies: &PolicySet,
    compared: &ListedKinds,
    options: &Options,
) -> Result<Vec<Value>, Broken> {
    let mut all = documents("rbac.yaml", WEBHOOK, options)?;
    // What it has for an example.
    let labels = |role: &Value| role.pointer("/metadata/labels").and_then(Value::as_object).cloned();
    let is_example = |role: &Value| labels(role).is_some_and(|labels| labels.contains_key(AGGREGATED));
    all.retain(|role| !is_example(role));
    let rules = rules(compared, &["list", "watch"]);
    if !rules.is_empty() {
        all.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": "portcullis-webhook-synced-policies",
                "labels": {
                    "app.kubernetes.io/name": "portcullis",
                    "app.kubernetes.io/component": "webhook",
                    AGGREGATED: "true",
                },
            },
            "rules": rules,
        }));
    }
    if options.mutates {
        all.extend(documents("mutation/rbac.yaml", MUTATION, options)?);
    }
    if options.apply_crds {
        all.extend(applying_crds(policies, options)?);
    }
    Ok(all)
}

/// The right to make and change the CRDs of these templates, and no other.
fn applying_crds(policies: &PolicySet, options: &Options) -> Result<Vec<Value>, Broken> {
    const FILE: &str = "optional/apply-crds.yaml";
    let mut all = documents(FILE, CRDS, options)?;
    let names: BTreeSet<String> = policies
        .templates()
        .map(|template| format!("{}.constraints.gatekeeper.sh", template.name().as_str()))
        .collect();
    let rules = all.iter_mut().filter_map(|role| role.get_mut("rules")?.as_array_mut()).flatten();
    let mut named = rules.filter_map(|rule| rule.as_object_mut()?.get_mut("resourceNames"));
    match named.next() {
        Some(list) => *list = json!(names),
        None => return Err(Broken { file: FILE, reason: "no rule names CRDs".to_owned() }),
    }
    Ok(all)
}

pub(crate) fn audit(
    audited: &ListedKinds,
    compared: &ListedKinds,
    options: &Options,
) -> Result<Vec<Value>, Broken> {
    const FILE: &str = "audit/rbac.yaml";
    let mut all = documents(FILE, AUDIT, options)?;
    let resources = audited.resources.union(&compared.resources).cloned();
    let mut listed = ListedKinds { resources: resources.collect(), ..ListedKinds::default() };
    // For their labels, and for what is in them.
    listed.resources.insert((NAMESPACES.0.into(), NAMESPACES.1.into()));
    let role = all.iter_mut().filter_map(Value::as_object_mut).find(|role| {
        role.get("kind").is_some_and(|kind| kind == "ClusterRole")
            && role
                .get("metadata")
                .and_then(|metadata| metadata.get("name"))
                .is_some_and(|name| name == AUDITED)
    });
    let Some(role) = role else {
        return Err(Broken { file: FILE, reason: format!("there is no ClusterRole `{AUDITED}`") });
    };
    role.insert("rules".to_owned(), Value::Array(audit_rules(&listed)));
    Ok(all)
}

fn audit_rules(listed: &ListedKinds) -> Vec<Value> {
    let is_all = listed.resources.iter().any(|(group, resource)| &**group == "*" && &**resource == "*");
    let listed = if is_all {
        let everything =
            listed.resources.iter().filter(|(group, resource)| &**group == "*" && &**resource == "*");
        ListedKinds { resources: everything.cloned().collect(), ..ListedKinds::default() }
    } else {
        listed.clone()
    };
    rules_of(listed.resources.iter().map(|(group, resource)| (&**group, &**resource)), &["list"])
}

/// Of what the webhook keeps; Namespaces it may list anyway.
fn rules(listed: &ListedKinds, verbs: &[&str]) -> Vec<Value> {
    let resources = listed.resources.iter().map(|(group, resource)| (&**group, &**resource));
    rules_of(resources.filter(|resource| *resource != NAMESPACES), verbs)
}

/// One rule for each group.
fn rules_of<'a>(resources: impl Iterator<Item = (&'a str, &'a str)>, verbs: &[&str]) -> Vec<Value> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (group, resource) in resources {
        groups.entry(group).or_default().insert(resource);
    }
    for resources in groups.values_mut().filter(|resources| resources.contains("*")) {
        *resources = BTreeSet::from(["*"]);
    }
    let rule = |(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    groups.into_iter().map(rule).collect()
}
