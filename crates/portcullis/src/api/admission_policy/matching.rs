//! `matchConstraints`, `matchResources` and `paramRef`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checks::{
    duplicate, forbidden, invalid, invalid_list, label_value, missing, path_segment, qualified_name,
    required, unsupported,
};
use super::{MatchPolicy, MatchResources, NotFound, ParamRef, ParamSelection, Rule, RuleScope};
use crate::api::matching::{LabelSelector, Operator, Requirement};
use crate::error::Error;
use crate::node::Node;
use crate::value;

/// The operations of requests, in the order of the API server's list.
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// A text, which may be empty.
pub(super) fn string(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Arc<str>> {
    let text = value::as_str(node.value());
    if text.is_none() {
        errors.push(node.expected("a string"));
    }
    text.map(Into::into)
}

/// One of some words; what is not there is what is usual.
pub(super) fn word<T: Copy + Default>(
    parent: &Node<'_>,
    key: &str,
    words: &[(&str, T)],
    errors: &mut Vec<Error>,
) -> T {
    let Some(node) = parent.field(key) else { return T::default() };
    let Some(text) = string(&node, errors) else { return T::default() };
    let found = words.iter().find(|(word, _)| *word == &*text);
    if found.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        errors.push(unsupported(&node, &text, &words));
    }
    found.map(|(_, meaning)| *meaning).unwrap_or_default()
}

impl MatchResources {
    pub(super) fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        const FIELDS: &[&str] =
            &["resourceRules", "excludeResourceRules", "namespaceSelector", "objectSelector", "matchPolicy"];
        const POLICIES: &[(&str, MatchPolicy)] =
            &[("Equivalent", MatchPolicy::Equivalent), ("Exact", MatchPolicy::Exact)];
        node.check_fields(FIELDS, errors);
        let selector = |key: &str, errors: &mut Vec<Error>| {
            node.field(key).map(|node| selector(&node, errors)).unwrap_or_default()
        };
        let rules = |key: &str, errors: &mut Vec<Error>| {
            node.list(key, errors).iter().map(|node| Rule::read(node, errors)).collect()
        };
        Self {
            policy: word(node, "matchPolicy", POLICIES, errors),
            namespace_selector: selector("namespaceSelector", errors),
            object_selector: selector("objectSelector", errors),
            rules: rules("resourceRules", errors),
            excluded: rules("excludeResourceRules", errors),
        }
    }
}

impl Rule {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        const FIELDS: &[&str] =
            &["apiGroups", "apiVersions", "resources", "operations", "scope", "resourceNames"];
        const SCOPES: &[(&str, RuleScope)] =
            &[("*", RuleScope::Any), ("Cluster", RuleScope::Cluster), ("Namespaced", RuleScope::Namespaced)];
        node.check_fields(FIELDS, errors);
        let names = node.texts("resourceNames", errors);
        let mut seen = BTreeSet::new();
        for item in node.list("resourceNames", &mut Vec::new()) {
            let Some(name) = value::as_str(item.value()) else { continue };
            errors.extend(path_segment(name).iter().map(|why| invalid(&item, name, why)));
            if !seen.insert(name.to_owned()) {
                errors.push(duplicate(&item, name));
            }
        }
        let operations = node.texts("operations", errors);
        let listed = |key: &str| node.field(key).unwrap_or_else(|| node.clone());
        let has_all = |texts: &[Arc<str>]| texts.len() > 1 && texts.iter().any(|text| &**text == "*");
        if operations.is_empty() {
            errors.push(missing(node, "operations", ""));
        }
        if has_all(&operations) {
            let why = "if '*' is present, must not specify other operations";
            errors.push(invalid_list(&listed("operations"), &operations, why));
        }
        for item in node.list("operations", &mut Vec::new()) {
            let operation = value::as_str(item.value());
            errors.extend(
                operation
                    .filter(|operation| !OPERATIONS.contains(operation))
                    .map(|operation| unsupported(&item, operation, OPERATIONS)),
            );
        }
        let groups = node.texts("apiGroups", errors);
        if groups.is_empty() {
            errors.push(missing(node, "apiGroups", ""));
        }
        if has_all(&groups) {
            let why = "if '*' is present, must not specify other API groups";
            errors.push(invalid_list(&listed("apiGroups"), &groups, why));
        }
        let versions = node.texts("apiVersions", errors);
        if versions.is_empty() {
            errors.push(missing(node, "apiVersions", ""));
        }
        if has_all(&versions) {
            let why = "if '*' is present, must not specify other API versions";
            errors.push(invalid_list(&listed("apiVersions"), &versions, why));
        }
        let empty = node.list("apiVersions", &mut Vec::new());
        let empty = empty.iter().filter(|item| value::as_str(item.value()) == Some(""));
        errors.extend(empty.map(|item| required(item, "")));
        let resources = node.texts("resources", errors);
        check_resources(node, &resources, errors);
        let scope = word(node, "scope", SCOPES, errors);
        Self { groups, versions, resources, operations, scope, names }
    }
}

fn check_resources(rule: &Node<'_>, resources: &[Arc<str>], errors: &mut Vec<Error>) {
    let (mut all_parts, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    let mut last_is_whole = false;
    for item in rule.list("resources", &mut Vec::new()) {
        let Some(text) = value::as_str(item.value()) else { continue };
        if text.is_empty() {
            errors.push(required(&item, ""));
            continue;
        }
        let Some((resource, part)) = text.split_once('/') else {
            // As the API server has it: the last one counts.
            last_is_whole = text != "*";
            continue;
        };
        if all_parts.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {text}");
            errors.push(invalid(&item, text, &why));
        }
        if of_all.contains(part) {
            let why = format!("if '*/{part}' is present, must not specify {text}");
            errors.push(invalid(&item, text, &why));
        }
        if part == "*" {
            all_parts.insert(resource.to_owned());
        }
        if resource == "*" {
            of_all.insert(part.to_owned());
        }
    }
    let has = |name: &str| resources.iter().any(|resource| &**resource == name);
    let list = rule.field("resources");
    match list {
        None => errors.push(missing(rule, "resources", "")),
        Some(list) if resources.is_empty() => errors.push(required(&list, "")),
        Some(list) => {
            if resources.len() > 1 && has("*/*") {
                let why = "if '*/*' is present, must not specify other resources";
                errors.push(invalid_list(&list, resources, why));
            }
            if has("*") && last_is_whole {
                let why = "if '*' is present, must not specify other resources without subresources";
                errors.push(invalid_list(&list, resources, why));
            }
        }
    }
}

/// A selector of labels, as API servers check new ones.
fn selector(node: &Node<'_>, errors: &mut Vec<Error>) -> LabelSelector {
    node.check_fields(&["matchLabels", "matchExpressions"], errors);
    let mut made = LabelSelector::default();
    if let Some(labels) = node.field("matchLabels") {
        if !matches!(labels.value().view(), value::View::Object(_)) {
            errors.push(labels.expected("an object"));
        }
        for (key, value) in value::entries(labels.value()) {
            errors.extend(qualified_name(key).iter().map(|why| invalid(&labels, key, why)));
            // A null is the empty text, as the API server reads it.
            let Some(text) = (if value.is_null() { Some("") } else { value.as_str() }) else {
                errors.extend(labels.field(key).map(|node| node.expected("a string")));
                continue;
            };
            errors.extend(label_value(text).iter().map(|why| invalid(&labels, text, why)));
            made.match_labels.push((key.into(), text.into()));
        }
    }
    for item in node.list("matchExpressions", errors) {
        made.match_expressions.extend(requirement(&item, errors));
    }
    made
}

fn requirement(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Requirement> {
    node.check_fields(&["key", "operator", "values"], errors);
    let values = node.texts("values", errors);
    let operator = node.field("operator").and_then(|node| string(&node, errors)).unwrap_or_default();
    let operator = match &*operator {
        "In" => Some(Operator::In),
        "NotIn" => Some(Operator::NotIn),
        "Exists" => Some(Operator::Exists),
        "DoesNotExist" => Some(Operator::DoesNotExist),
        _ => {
            let at = node.field("operator").unwrap_or_else(|| node.clone());
            let path = node.path().child("operator");
            errors.push(invalid(&at, &operator, "not a valid selector operator").in_field(path));
            None
        }
    };
    match operator {
        Some(Operator::In | Operator::NotIn) if values.is_empty() => {
            errors.push(missing(node, "values", "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        Some(Operator::Exists | Operator::DoesNotExist) if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.extend(node.field("values").map(|node| forbidden(&node, why)));
        }
        _ => {}
    }
    let key = node.field("key").and_then(|node| string(&node, errors)).unwrap_or_default();
    let at = node.field("key").unwrap_or_else(|| node.clone());
    let path = node.path().child("key");
    let wrong = qualified_name(&key);
    errors.extend(wrong.iter().map(|why| invalid(&at, &key, why).in_field(path.clone())));
    for item in node.list("values", &mut Vec::new()) {
        let Some(text) = value::as_str(item.value()) else { continue };
        errors.extend(label_value(text).iter().map(|why| invalid(&item, text, why)));
    }
    Some(Requirement { key, operator: operator?, values })
}

impl ParamRef {
    /// With mistakes it is none, and they are reported.
    pub(super) fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        const EXCLUSIVE: &str = "name and selector are mutually exclusive";
        node.check_fields(&["name", "namespace", "selector", "parameterNotFoundAction"], errors);
        let text = |key: &str, errors: &mut Vec<Error>| {
            node.field(key).and_then(|node| string(&node, errors)).filter(|text| !text.is_empty())
        };
        let name = text("name", errors);
        let namespace = text("namespace", errors);
        let labels = node.field("selector");
        if let (Some(name), Some(at)) = (&name, node.field("name")) {
            errors.extend(path_segment(name).iter().map(|why| invalid(&at, name, why)));
            if labels.is_some() {
                errors.push(forbidden(&at, EXCLUSIVE));
            }
        }
        let selected = labels.as_ref().map(|node| selector(node, errors));
        if let (Some(_), Some(at)) = (&name, &labels) {
            errors.push(forbidden(at, EXCLUSIVE));
        }
        let selection = match (name, selected) {
            (Some(name), _) => Some(ParamSelection::Name(name)),
            (None, Some(labels)) => Some(ParamSelection::Labels(labels)),
            (None, None) => {
                errors.push(required(node, "one of name or selector must be specified"));
                None
            }
        };
        let action = text("parameterNotFoundAction", errors);
        let not_found = match action.as_deref() {
            Some("Allow") => Some(NotFound::Allow),
            Some("Deny") => Some(NotFound::Deny),
            None => {
                errors.push(missing(node, "parameterNotFoundAction", ""));
                None
            }
            Some(other) => {
                let at = node.field("parameterNotFoundAction");
                errors.extend(at.map(|node| unsupported(&node, other, &["Deny", "Allow"])));
                None
            }
        };
        Some(Self { selection: selection?, namespace, not_found: not_found? })
    }
}
