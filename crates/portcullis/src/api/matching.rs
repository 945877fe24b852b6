//! The `match` block as users write it, shared by everything that selects objects.

use std::sync::Arc;

use crate::error::Error;
use crate::node::Node;

/// `spec.match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) kinds: Vec<Kinds>,
    pub(crate) scope: Scope,
    pub(crate) namespaces: Vec<Arc<str>>,
    pub(crate) excluded_namespaces: Vec<Arc<str>>,
    pub(crate) label_selector: Option<LabelSelector>,
    pub(crate) namespace_selector: Option<LabelSelector>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) source: SourceFilter,
}

/// One entry of `match.kinds`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) api_groups: Vec<Arc<str>>,
    pub(crate) kinds: Vec<Arc<str>>,
}

/// `match.scope`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    #[default]
    Any,
    Cluster,
    Namespaced,
}

/// `match.source`: which objects, by how they came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SourceFilter {
    #[default]
    All,
    Original,
    Generated,
}

/// A Kubernetes label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    pub(crate) match_labels: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) match_expressions: Vec<Requirement>,
}

/// One `matchExpressions` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) key: Arc<str>,
    pub(crate) operator: Operator,
    pub(crate) values: Vec<Arc<str>>,
}

/// The operator of a [`Requirement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Match {
    /// Reads `spec.match`: the closed sets of words, and selectors as Kubernetes checks them.
    ///
    /// Types, required and unknown fields, patterns and enumerations are the business of the constraint
    /// schema, which knows better hints: what has the wrong type is left out here, and no constraint is used
    /// that its schema refuses.
    pub(crate) fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        let unfit = &mut Vec::new();
        Self {
            kinds: node
                .list("kinds", unfit)
                .iter()
                .map(|entry| Kinds {
                    api_groups: entry.texts("apiGroups", unfit),
                    kinds: entry.texts("kinds", unfit),
                })
                .collect(),
            scope: node
                .field("scope")
                .filter(is_text)
                .and_then(|scope| read_scope(&scope, errors))
                .unwrap_or_default(),
            namespaces: node.texts("namespaces", unfit),
            excluded_namespaces: node.texts("excludedNamespaces", unfit),
            label_selector: node
                .field("labelSelector")
                .map(|selector| LabelSelector::read(&selector, errors)),
            namespace_selector: node
                .field("namespaceSelector")
                .map(|selector| LabelSelector::read(&selector, errors)),
            name: node.field("name").filter(|name| !is_empty_text(name)).and_then(|name| name.text(unfit)),
            source: node.field("source").and_then(|source| source.one_of(SOURCES, unfit)).unwrap_or_default(),
        }
    }
}

const SOURCES: &[(&str, SourceFilter)] = &[
    ("All", SourceFilter::All),
    ("Original", SourceFilter::Original),
    ("Generated", SourceFilter::Generated),
];

fn is_text(node: &Node<'_>) -> bool {
    crate::value::as_str(node.value()).is_some()
}

fn is_empty_text(node: &Node<'_>) -> bool {
    crate::value::as_str(node.value()) == Some("")
}

/// Gatekeeper takes every word but `Cluster` and `Namespaced` for "any", so that a typo (`cluster`) widens
/// the match in silence. Widening is the safe side, but it is not what was meant: `*` and the empty word are
/// accepted, others are errors.
fn read_scope(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Scope> {
    const SCOPES: &[(&str, Scope)] = &[
        ("*", Scope::Any),
        ("", Scope::Any),
        ("Cluster", Scope::Cluster),
        ("Namespaced", Scope::Namespaced),
    ];
    node.one_of(SCOPES, errors)
}

impl LabelSelector {
    pub(crate) fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Self {
        let mut selector = Self::default();
        if let Some(labels) = node.field("matchLabels") {
            for (key, value) in crate::value::entries(labels.value()) {
                let Some(item) = labels.field(key) else {
                    // A null value selects the empty label value, as the API server reads it.
                    selector.match_labels.push((key.into(), "".into()));
                    continue;
                };
                if let Some(text) = value.as_str() {
                    check_label(&item, key, text, errors);
                    selector.match_labels.push((key.into(), text.into()));
                }
            }
        }
        for item in node.list("matchExpressions", &mut Vec::new()) {
            let Some(requirement) = read_requirement(&item, errors) else { continue };
            selector.match_expressions.push(requirement);
        }
        selector
    }
}

fn read_requirement(item: &Node<'_>, errors: &mut Vec<Error>) -> Option<Requirement> {
    const OPERATORS: &[(&str, Operator)] = &[
        ("In", Operator::In),
        ("NotIn", Operator::NotIn),
        ("Exists", Operator::Exists),
        ("DoesNotExist", Operator::DoesNotExist),
    ];
    let mut unfit = Vec::new();
    let key = item.field("key").filter(|key| is_text(key)).and_then(|key| key.text(errors));
    let operator = item.field("operator").filter(is_text).and_then(|node| node.one_of(OPERATORS, errors));
    let values = item.texts("values", &mut unfit);
    let (key, operator) = (key?, operator?);
    if !unfit.is_empty() {
        return None;
    }
    check_label_key(item, &key, errors);
    for value in &values {
        check_label_value(item, value, errors);
    }
    let wants_values = matches!(operator, Operator::In | Operator::NotIn);
    if wants_values == values.is_empty() {
        let message = if wants_values {
            format!("`{operator:?}` needs at least one of `values`")
        } else {
            format!("`{operator:?}` must have no `values`")
        };
        errors.push(item.error(crate::error::ErrorKind::InvalidValue, message));
        return None;
    }
    Some(Requirement { key, operator, values })
}

fn check_label(node: &Node<'_>, key: &str, value: &str, errors: &mut Vec<Error>) {
    check_label_key(node, key, errors);
    check_label_value(node, value, errors);
}

fn check_label_key(node: &Node<'_>, key: &str, errors: &mut Vec<Error>) {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is_fine = prefix.is_none_or(|prefix| {
        !prefix.is_empty() && prefix.len() <= 253 && prefix.split('.').all(is_dns_label)
    });
    if !prefix_is_fine || name.is_empty() || !is_label_text(name) {
        let message = format!("`{key}` cannot be a label key");
        errors.push(node.error(crate::error::ErrorKind::InvalidValue, message));
    }
}

fn check_label_value(node: &Node<'_>, value: &str, errors: &mut Vec<Error>) {
    if !is_label_text(value) {
        let message = format!("`{value}` cannot be a label value");
        let hint = "label values have at most 63 letters, digits, `-`, `_`, `.`, and begin and end with a letter or digit";
        errors.push(node.error(crate::error::ErrorKind::InvalidValue, message).hint(hint));
    }
}

fn is_dns_label(text: &str) -> bool {
    is_bounded(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && !text.is_empty()
}

fn is_label_text(text: &str) -> bool {
    is_bounded(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_bounded(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && text.chars().all(allowed) && edge(text.chars().next()) && edge(text.chars().last())
}
