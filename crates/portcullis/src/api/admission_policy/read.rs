//! Policies and bindings, read with all that an API server would refuse of them but their expressions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checks::{
    duplicate, invalid, invalid_list, label_1035, missing, qualified_name, required, subdomain, too_many,
    unsupported,
};
use super::matching::{string, word};
use super::{
    AdmissionPolicy, AdmissionPolicyBinding, AuditAnnotation, DenialReason, Effect, MatchResources, Mutation,
    ParamRef, Reinvocation, Validation, ValidationAction,
};
use crate::api::cel::{FailurePolicy, Named};
use crate::api::text::{RegoVersion, Text, TextPlace};
use crate::cel::is_reserved;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::{AdmissionEffect, AdmissionPolicyKey, Gvk};
use crate::node::Node;
use crate::object::Object;
use crate::value;

const MOST_MATCH_CONDITIONS: usize = 64;
const MOST_AUDIT_ANNOTATIONS: usize = 20;
const LONGEST_AUDIT_ANNOTATION: usize = 5 << 10;

impl AdmissionPolicy {
    /// All that is wrong with it is reported. With mistakes it is never used, but compiled for what else is
    /// wrong with it.
    pub(in crate::api) fn read(
        document: &Document,
        object: &Object,
        effect: AdmissionEffect,
        errors: &mut Vec<Error>,
    ) -> Option<Self> {
        let key = AdmissionPolicyKey { effect, name: object.name().clone() };
        let mut wrong = Vec::new();
        let root = root(document, &mut wrong);
        let policy = root.required("spec", &mut wrong).map(|spec| {
            let mut known = vec!["paramKind", "matchConstraints", "matchConditions", "variables"];
            known.extend(["failurePolicy"]);
            known.extend(match effect {
                AdmissionEffect::Validating => ["validations", "auditAnnotations"],
                AdmissionEffect::Mutating => ["mutations", "reinvocationPolicy"],
            });
            spec.check_fields(&known, &mut wrong);
            Self {
                failure_policy: failure_policy(&spec, &mut wrong),
                param_kind: spec.field("paramKind").and_then(|node| param_kind(&node, &mut wrong)),
                matching: match_constraints(&spec, &mut wrong),
                match_conditions: match_conditions(&spec, &mut wrong),
                variables: variables(&spec, &mut wrong),
                effect: match effect {
                    AdmissionEffect::Validating => validating(&spec, &key.name, &mut wrong),
                    AdmissionEffect::Mutating => mutating(&spec, &mut wrong),
                },
                key: key.clone(),
                object: object.clone(),
                document: document.clone(),
            }
        });
        errors.extend(wrong.into_iter().map(|error| error.about(key.to_string())));
        policy
    }
}

impl AdmissionPolicyBinding {
    pub(in crate::api) fn read(
        document: &Document,
        object: &Object,
        effect: AdmissionEffect,
        errors: &mut Vec<Error>,
    ) -> Option<Self> {
        let mut wrong = Vec::new();
        let root = root(document, &mut wrong);
        let binding = root.required("spec", &mut wrong).and_then(|spec| {
            let mut known = vec!["policyName", "paramRef", "matchResources"];
            known.extend((effect == AdmissionEffect::Validating).then_some("validationActions"));
            spec.check_fields(&known, &mut wrong);
            let policy = spec.field("policyName").and_then(|node| string(&node, &mut wrong));
            let policy = policy.filter(|name| !name.is_empty());
            match (&policy, spec.field("policyName")) {
                (Some(name), Some(node)) => {
                    wrong.extend(subdomain(name).iter().map(|why| invalid(&node, name, why)));
                }
                _ => wrong.push(missing(&spec, "policyName", "")),
            }
            let param_ref = spec.field("paramRef").and_then(|node| ParamRef::read(&node, &mut wrong));
            let matching = spec.field("matchResources").map(|node| MatchResources::read(&node, &mut wrong));
            let actions = match effect {
                AdmissionEffect::Validating => validation_actions(&spec, &mut wrong),
                AdmissionEffect::Mutating => Vec::new(),
            };
            Some(Self {
                name: object.name().clone(),
                policy: AdmissionPolicyKey { effect, name: policy? },
                param_ref,
                matching,
                actions,
                object: object.clone(),
                document: document.clone(),
            })
        });
        let subject = format!("{}/{}", effect.binding_kind(), object.name());
        errors.extend(wrong.into_iter().map(|error| error.about(subject.clone())));
        binding
    }
}

fn root<'d>(document: &'d Document, errors: &mut Vec<Error>) -> Node<'d> {
    let root = Node::root(document);
    root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
    let metadata = root.field("metadata");
    let name = metadata.as_ref().and_then(|metadata| metadata.field("name"));
    let text = name.as_ref().and_then(|name| value::as_str(name.value())).unwrap_or_default();
    if let Some(name) = name.filter(|_| !text.is_empty()) {
        errors.extend(subdomain(text).iter().map(|why| invalid(&name, text, why)));
    } else {
        let why = "name or generateName is required";
        errors.push(missing(metadata.as_ref().unwrap_or(&root), "name", why));
    }
    root
}

fn failure_policy(spec: &Node<'_>, errors: &mut Vec<Error>) -> FailurePolicy {
    /// `Default` is what is usual.
    #[derive(Clone, Copy, Default)]
    enum Word {
        #[default]
        Fail,
        Ignore,
    }
    match word(spec, "failurePolicy", &[("Fail", Word::Fail), ("Ignore", Word::Ignore)], errors) {
        Word::Fail => FailurePolicy::Fail,
        Word::Ignore => FailurePolicy::Ignore,
    }
}

fn param_kind(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Gvk> {
    node.check_fields(&["apiVersion", "kind"], errors);
    let text = |key: &str, errors: &mut Vec<Error>| {
        node.field(key).and_then(|node| string(&node, errors)).filter(|text| !text.is_empty())
    };
    let before = errors.len();
    let api_version = text("apiVersion", errors);
    match (&api_version, node.field("apiVersion")) {
        (Some(api_version), Some(at)) => {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            if version.contains('/') {
                let why = format!("unexpected GroupVersion string: {api_version}");
                errors.push(invalid(&at, api_version, &why));
            } else {
                let wrong = if group.is_empty() { Vec::new() } else { subdomain(group) };
                errors.extend((!wrong.is_empty()).then(|| invalid(&at, group, &wrong.join(","))));
                let wrong = label_1035(version);
                if version.is_empty() {
                    errors.push(invalid(&at, api_version, "version must be specified"));
                } else if !wrong.is_empty() {
                    errors.push(invalid(&at, version, &wrong.join(",")));
                }
            }
        }
        _ => errors.push(missing(node, "apiVersion", "")),
    }
    let kind = text("kind", errors);
    match (&kind, node.field("kind")) {
        (Some(kind), Some(at)) => {
            let wrong = label_1035(&kind.to_lowercase());
            if !wrong.is_empty() {
                let why = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
                errors.push(invalid(&at, kind, &why));
            }
        }
        _ => errors.push(missing(node, "kind", "")),
    }
    if errors.len() > before {
        // What names the parameters is not wrong for that.
        return Some(Gvk { group: "".into(), version: "".into(), kind: "".into() });
    }
    Some(Gvk::new(&api_version?, &kind?))
}

fn match_constraints(spec: &Node<'_>, errors: &mut Vec<Error>) -> MatchResources {
    let Some(node) = spec.field("matchConstraints") else {
        errors.push(missing(spec, "matchConstraints", ""));
        return MatchResources::default();
    };
    let matching = MatchResources::read(&node, errors);
    if matching.rules.is_empty() {
        errors.push(missing(&node, "resourceRules", ""));
    }
    matching
}

/// An expression and where it stands.
fn expression(node: &Node<'_>, text: &str) -> Text {
    // The version is that of another language, and says nothing here.
    Text { text: text.into(), version: RegoVersion::V0, place: TextPlace::Within(node.path().clone()) }
}

/// A text that has something in it, and where it stands.
fn filled<'n>(
    parent: &Node<'n>,
    key: &str,
    why: &str,
    errors: &mut Vec<Error>,
) -> Option<(Node<'n>, Arc<str>)> {
    let node = parent.field(key);
    let text = node.as_ref().and_then(|node| string(node, errors));
    // What is there and is no text has been told.
    let is_told = node.is_some() && text.is_none();
    let found = node.zip(text).filter(|(_, text)| !text.trim().is_empty());
    if found.is_none() && !is_told {
        errors.push(missing(parent, key, why));
    }
    found
}

fn match_conditions(spec: &Node<'_>, errors: &mut Vec<Error>) -> Vec<Named> {
    let items = spec.list("matchConditions", errors);
    if let Some(list) = spec.field("matchConditions").filter(|_| items.len() > MOST_MATCH_CONDITIONS) {
        errors.push(too_many(&list, items.len(), MOST_MATCH_CONDITIONS));
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for node in items {
        node.check_fields(&["name", "expression"], errors);
        let text = filled(&node, "expression", "", errors);
        let name = node.field("name").and_then(|node| string(&node, errors)).unwrap_or_default();
        match node.field("name").filter(|_| !name.is_empty()) {
            None => errors.push(missing(&node, "name", "")),
            Some(at) => {
                errors.extend(qualified_name(&name).iter().map(|why| invalid(&at, &name, why)));
                if !seen.insert(name.clone()) {
                    errors.push(duplicate(&at, &name));
                }
            }
        }
        all.extend(text.map(|(at, text)| Named { name, expression: expression(&at, &text) }));
    }
    all
}

fn variables(spec: &Node<'_>, errors: &mut Vec<Error>) -> Vec<Named> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut all = Vec::new();
    for node in spec.list("variables", errors) {
        node.check_fields(&["name", "expression"], errors);
        let name = filled(&node, "name", "name is not specified", errors);
        if let Some((at, name)) = &name {
            let is_name = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_inner);
            if !is_name || is_reserved(name) {
                errors.push(invalid(at, name, "must be a valid CEL identifier"));
            }
        }
        let text = filled(&node, "expression", "expression is not specified", errors);
        let both = name.zip(text);
        all.extend(both.map(|((_, name), (at, text))| Named { name, expression: expression(&at, &text) }));
    }
    all
}

fn validating(spec: &Node<'_>, policy: &str, errors: &mut Vec<Error>) -> Effect {
    const NONE: &str = "validations or auditAnnotations must contain at least one item";
    let validations = spec.list("validations", errors);
    let annotations = spec.list("auditAnnotations", errors);
    if validations.is_empty() && annotations.is_empty() {
        errors.push(missing(spec, "validations", NONE));
        errors.push(missing(spec, "auditAnnotations", NONE));
    }
    let validations = validations.iter().filter_map(|node| validation(node, errors)).collect();
    if let Some(list) = spec.field("auditAnnotations").filter(|_| annotations.len() > MOST_AUDIT_ANNOTATIONS)
    {
        let why = format!("must not have more than {MOST_AUDIT_ANNOTATIONS} auditAnnotations");
        errors.push(list.error(ErrorKind::InvalidValue, why));
    }
    let mut seen = BTreeSet::new();
    let mut audit_annotations = Vec::new();
    for node in annotations {
        node.check_fields(&["key", "valueExpression"], errors);
        let key = node.field("key").and_then(|node| string(&node, errors)).unwrap_or_default();
        let at = node.field("key").unwrap_or_else(|| node.clone());
        let path = node.path().child("key");
        let whole = format!("{policy}/{key}");
        if policy.is_empty() {
            let error = invalid(&at, &key, "requires metadata.name be non-empty");
            errors.push(error.in_field(path.clone()));
        } else {
            let wrong = qualified_name(&whole);
            errors.extend(wrong.iter().map(|why| invalid(&at, &whole, why).in_field(path.clone())));
        }
        let text = filled(&node, "valueExpression", "valueExpression is not specified", errors);
        if let Some((at, text)) = &text
            && text.trim().len() > LONGEST_AUDIT_ANNOTATION
        {
            let why = format!("must not exceed {LONGEST_AUDIT_ANNOTATION} bytes in length");
            errors.push(required(at, &why));
        }
        if !seen.insert(key.clone()) {
            errors.push(duplicate(&at, &key).in_field(path));
        }
        audit_annotations
            .extend(text.map(|(at, text)| AuditAnnotation { key, value: expression(&at, &text) }));
    }
    Effect::Validate { validations, audit_annotations }
}

fn validation(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Validation> {
    const EMPTY: &str = "must be non-empty if specified";
    const REASONS: &[(&str, DenialReason)] = &[
        ("Forbidden", DenialReason::Forbidden),
        ("Invalid", DenialReason::Invalid),
        ("RequestEntityTooLarge", DenialReason::RequestEntityTooLarge),
    ];
    node.check_fields(&["expression", "message", "messageExpression", "reason"], errors);
    let text = filled(node, "expression", "expression is not specified", errors);
    let given = |key: &str, errors: &mut Vec<Error>| {
        let node = node.field(key)?;
        let text = string(&node, errors).filter(|text| !text.is_empty())?;
        Some((node, text))
    };
    let message_expression = given("messageExpression", errors).and_then(|(at, text)| {
        if text.trim().is_empty() {
            errors.push(invalid(&at, &text, EMPTY));
            return None;
        }
        Some(expression(&at, &text))
    });
    let message = given("message", errors).map(|(at, text)| {
        if text.trim().is_empty() {
            errors.push(invalid(&at, &text, EMPTY));
        } else if text.trim().contains(['\n', '\r']) {
            errors.push(invalid(&at, &text, "must not contain line breaks"));
        }
        text
    });
    let reason = word(node, "reason", REASONS, errors);
    let expression = text.map(|(at, text)| expression(&at, &text))?;
    Some(Validation { expression, message, message_expression, reason })
}

fn mutating(spec: &Node<'_>, errors: &mut Vec<Error>) -> Effect {
    const INVOCATIONS: &[(&str, Reinvocation)] =
        &[("IfNeeded", Reinvocation::IfNeeded), ("Never", Reinvocation::Never)];
    let items = spec.list("mutations", errors);
    if items.is_empty() {
        errors.push(missing(spec, "mutations", "mutations must contain at least one item"));
    }
    let mutations = items.iter().filter_map(|node| mutation(node, errors)).collect();
    let given = spec.field("reinvocationPolicy").and_then(|node| string(&node, errors));
    let given = given.filter(|text| !text.is_empty());
    let found = given.as_deref().and_then(|given| INVOCATIONS.iter().find(|(word, _)| *word == given));
    match (given.as_deref(), found, spec.field("reinvocationPolicy")) {
        (_, Some(_), _) => {}
        (Some(given), None, Some(at)) => errors.push(unsupported(&at, given, &["IfNeeded", "Never"])),
        _ => errors.push(missing(spec, "reinvocationPolicy", "")),
    }
    let reinvocation = found.map_or(Reinvocation::Never, |(_, reinvocation)| *reinvocation);
    Effect::Mutate { mutations, reinvocation }
}

fn mutation(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Mutation> {
    const KINDS: [(&str, &str); 2] =
        [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")];
    node.check_fields(&["patchType", "applyConfiguration", "jsonPatch"], errors);
    let given = node.field("patchType").and_then(|node| string(&node, errors)).unwrap_or_default();
    if given.is_empty() {
        errors.push(missing(node, "patchType", ""));
        return None;
    }
    let Some((kind, key)) = KINDS.into_iter().find(|(kind, _)| *kind == &*given) else {
        let words = KINDS.map(|(kind, _)| kind);
        errors.extend(node.field("patchType").map(|at| unsupported(&at, &given, &words)));
        return None;
    };
    for (_, other) in KINDS.into_iter().filter(|(_, other)| *other != key) {
        let why = format!("must not be specified when patchType is {kind}");
        errors.extend(node.field(other).map(|at| invalid(&at, &format!("{{{other}}}"), &why)));
    }
    let Some(inner) = node.field(key) else {
        errors.push(missing(node, key, &format!("must be specified when patchType is {kind}")));
        return None;
    };
    inner.check_fields(&["expression"], errors);
    let (at, text) = filled(&inner, "expression", "", errors)?;
    let text = expression(&at, &text);
    Some(if key == "jsonPatch" { Mutation::JsonPatch(text) } else { Mutation::ApplyConfiguration(text) })
}

fn validation_actions(spec: &Node<'_>, errors: &mut Vec<Error>) -> Vec<ValidationAction> {
    const WORDS: [ValidationAction; 3] =
        [ValidationAction::Audit, ValidationAction::Deny, ValidationAction::Warn];
    let items = spec.list("validationActions", errors);
    let mut actions = Vec::new();
    let mut seen = Vec::new();
    for item in &items {
        let Some(text) = string(item, errors) else { continue };
        let found = WORDS.into_iter().find(|action| action.as_str() == &*text);
        if found.is_none() {
            errors.push(unsupported(item, &text, &WORDS.map(ValidationAction::as_str)));
        }
        if seen.contains(&text) {
            errors.push(duplicate(item, &text));
        }
        seen.push(text);
        actions.extend(found);
    }
    let has = |action| actions.contains(&action);
    match spec.field("validationActions") {
        Some(list) if has(ValidationAction::Deny) && has(ValidationAction::Warn) => {
            let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
            errors.push(invalid_list(&list, &seen, why));
        }
        _ if items.is_empty() => {
            errors.push(missing(spec, "validationActions", "at least one validation action is required"));
        }
        _ => {}
    }
    actions
}
