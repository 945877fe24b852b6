//! The CEL of a template, as it is written: `engine: K8sNativeValidation`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::text::{RegoVersion, Text, TextPlace};
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::value::{self, View};

/// What Gatekeeper keeps for itself.
const RESERVED_PREFIX: &str = "gatekeeper_internal_";
/// Variables that every template has.
pub(crate) const PARAMS: &str = "params";
pub(crate) const ANY_OBJECT: &str = "anyObject";

/// CEL as written in a template.
#[derive(Clone, Debug)]
pub(crate) struct CelSource {
    /// In the order in which they may use each other.
    pub(crate) variables: Vec<Named>,
    pub(crate) match_conditions: Vec<Named>,
    pub(crate) validations: Vec<Validation>,
    pub(crate) failure_policy: FailurePolicy,
}

/// An expression with a name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) expression: Text,
}

/// What has to hold, and what is said if it does not.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    pub(crate) expression: Text,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) message_expression: Option<Text>,
}

/// What an expression that has no value leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailurePolicy {
    /// The constraint could not be evaluated.
    Fail,
    /// It is as if the expression were not there: the author of the policy says so.
    Ignore,
}

impl CelSource {
    /// All that is wrong with it is reported.
    pub(super) fn read(source: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        const FIELDS: &[&str] =
            &["validations", "variables", "matchCondition", "failurePolicy", "generateVAP"];
        let before = errors.len();
        source.check_fields(FIELDS, errors);
        source.optional_bool("generateVAP", errors);
        let failure_policy = match source.field("failurePolicy") {
            None => Some(FailurePolicy::Fail),
            Some(node) => {
                node.one_of(&[("Fail", FailurePolicy::Fail), ("Ignore", FailurePolicy::Ignore)], errors)
            }
        };
        let variables = named(source, "variables", errors);
        let match_conditions = named(source, "matchCondition", errors);
        let mut validations = Vec::new();
        let given = source.required("validations", errors);
        let items = given.as_ref().map(|node| node.items(errors)).unwrap_or_default();
        for node in &items {
            node.check_fields(&["expression", "message", "messageExpression"], errors);
            let expression = node.required("expression", errors).and_then(|node| text(&node, errors));
            let message = node.field("message").and_then(|node| match node.value().view() {
                View::String(text) => Some(text.into()),
                _ => node.text(errors),
            });
            let message_expression = node
                .field("messageExpression")
                .filter(|node| value::as_str(node.value()) != Some(""))
                .and_then(|node| text(&node, errors));
            validations.extend(expression.map(|expression| Validation {
                expression,
                message,
                message_expression,
            }));
        }
        if validations.is_empty() && errors.len() == before {
            let message = "there is no validation: no object can violate this";
            errors.push(given.as_ref().unwrap_or(source).error(ErrorKind::MissingField, message));
        }
        // With errors it is compiled all the same, for what else is wrong with it, and never used.
        let failure_policy = failure_policy.unwrap_or(FailurePolicy::Fail);
        Self { variables, match_conditions, validations, failure_policy }
    }

    /// Its expressions, in the order of evaluation.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Text> {
        let named = self.variables.iter().chain(&self.match_conditions).map(|named| &named.expression);
        let validations = self.validations.iter();
        named.chain(validations.flat_map(|validation| {
            std::iter::once(&validation.expression).chain(&validation.message_expression)
        }))
    }
}

fn named(source: &Node<'_>, key: &str, errors: &mut Vec<Error>) -> Vec<Named> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for node in source.list(key, errors) {
        node.check_fields(&["name", "expression"], errors);
        let name = node.required("name", errors).and_then(|name| {
            let text = name.text(errors)?;
            let error = |message: String| name.error(ErrorKind::InvalidValue, message);
            let is_variable = key == "variables";
            if text.starts_with(RESERVED_PREFIX) || (is_variable && [PARAMS, ANY_OBJECT].contains(&&*text)) {
                errors.push(error(format!("the name `{text}` is kept for Gatekeeper")));
            } else if is_variable && !is_identifier(&text) {
                errors.push(error(format!("`{text}` is no identifier: no expression could name it")));
            } else if !seen.insert(text.clone()) {
                errors.push(error(format!("the name `{text}` is there twice")));
            }
            Some(text)
        });
        let expression = node.required("expression", errors).and_then(|node| text(&node, errors));
        all.extend(name.zip(expression).map(|(name, expression)| Named { name, expression }));
    }
    all
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// An expression and where it stands. The version is that of another language, and says nothing here.
fn text(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Text> {
    let place = TextPlace::Within(node.path().clone());
    Some(Text { text: node.text(errors)?, version: RegoVersion::V0, place })
}
