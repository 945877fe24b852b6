//! The smallest objects that mutators are about: what nobody wrote can be tried on them.
//!
//! Such an object fulfils the `applyTo` and, as far as that is possible with one value for each criterion, the
//! `match` of its mutator. It has what the location needs to be walked, and nothing at its end: an element in
//! each list of which all elements are meant. It is a witness and no proof: what is true of it is true of an
//! object, but what is not says nothing about others.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::compiled::{Compiled, MutatorInfo, Setter};
use super::location::{Step, Wanted};
use super::run::Mutable;
use super::store::MutatorSet;
use crate::api::Operation;
use crate::api::matching::{LabelSelector, Operator, Scope, SourceFilter};
use crate::matcher::Source;
use crate::names::Gvk;
use crate::object::Object;

/// What something is called that needs a name.
const NAME: &str = "example";

/// An object that a mutator is about.
pub(crate) struct Witness<'s> {
    pub(crate) mutator: &'s MutatorInfo,
    pub(crate) mutable: Mutable,
    /// The Namespace that it lives in, if it lives in one.
    pub(crate) namespace: Option<Object>,
}

impl MutatorSet {
    /// An object for each mutator, in their order, of the first kind that it applies to.
    pub(crate) fn witnesses(&self) -> impl Iterator<Item = Witness<'_>> {
        let inner = self.inner();
        let applied = inner.mutators.iter().filter(|mutator| !self.is_disabled(&mutator.info.key));
        applied.filter_map(|mutator| witness(mutator))
    }
}

fn witness(mutator: &Compiled) -> Option<Witness<'_>> {
    let (gvk, operation) = mutator.bindings().next().or_else(|| {
        // Of an AssignMetadata, which has no `applyTo`.
        let entry = mutator.wanted.kinds.first();
        let named = |names: Option<&Vec<Arc<str>>>| {
            names.and_then(|names| names.first()).filter(|name| &***name != "*").cloned()
        };
        let kind = named(entry.map(|entry| &entry.kinds)).unwrap_or_else(|| "Pod".into());
        let group = named(entry.map(|entry| &entry.api_groups)).unwrap_or_default();
        Some((Gvk { group, version: "v1".into(), kind }, Operation::Create))
    })?;
    let wanted = &mutator.wanted;
    let labels = wanted.label_selector.as_ref().map(labels).unwrap_or_default();
    let namespace = match wanted.scope {
        Scope::Cluster => None,
        Scope::Any | Scope::Namespaced => {
            let name = wanted.namespaces.first().map_or_else(|| "default".to_owned(), |name| plain(name));
            let labels = wanted.namespace_selector.as_ref().map(self::labels).unwrap_or_default();
            let metadata = json!({"name": name, "labels": labels});
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            Some(Object::from_json(&namespace).ok()?)
        }
    };
    let mut metadata = Map::new();
    metadata.insert(
        "name".to_owned(),
        wanted.name.as_ref().map_or_else(|| NAME.to_owned(), |name| plain(name)).into(),
    );
    if let Some(namespace) = &namespace {
        metadata.insert("namespace".to_owned(), Value::from(&**namespace.name()));
    }
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), labels.into());
    }
    let version = match &*gvk.group {
        "" => gvk.version.to_string(),
        group => format!("{group}/{}", gvk.version),
    };
    let mut root = json!({"apiVersion": version, "kind": &*gvk.kind, "metadata": metadata});
    fill(&mut root, mutator.location().steps(), &mutator.setter);
    let object = Object::from_json(&root).ok()?;
    let source = match wanted.source {
        SourceFilter::Generated => Source::Generated,
        SourceFilter::All | SourceFilter::Original => Source::Original,
    };
    let mut mutable = Mutable::new(object).with_operation(operation).with_source(source);
    if let Some(namespace) = &namespace {
        mutable = mutable.with_namespace(namespace.clone());
    }
    Some(Witness { mutator: &mutator.info, mutable, namespace })
}

/// Labels that a selector takes, as far as one value for each key can be said.
fn labels(selector: &LabelSelector) -> Map<String, Value> {
    let exact = selector.match_labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value)));
    let asked = selector.match_expressions.iter().filter_map(|asked| {
        let value = match asked.operator {
            Operator::In => asked.values.first().map(|value| &**value)?,
            Operator::Exists => NAME,
            Operator::NotIn | Operator::DoesNotExist => return None,
        };
        Some((asked.key.to_string(), Value::from(value)))
    });
    asked.chain(exact).collect()
}

/// A name that a pattern takes: its wildcards stand for nothing.
fn plain(pattern: &str) -> String {
    let name = pattern.replace('*', "");
    match name.trim_matches(['-', '.']) {
        "" => NAME.to_owned(),
        _ if name.starts_with(['-', '.']) => format!("{NAME}{name}"),
        _ if name.ends_with(['-', '.']) => format!("{name}{NAME}"),
        _ => name,
    }
}

/// Gives an object what a location has to find: elements where all of a list are meant, and an image or the
/// elements that are taken away at its end.
fn fill(root: &mut Value, steps: &[Step], setter: &Setter) {
    let is_glob = |step: &Step| matches!(step, Step::Elements { wanted: Wanted::All, .. });
    let end = match setter {
        Setter::Image { .. } => Some(Value::from(NAME)),
        Setter::Set { values, change: crate::api::mutator::SetChange::Prune } => {
            Some(values.iter().map(crate::value::to_json).collect())
        }
        Setter::Set { .. } | Setter::Value(_) | Setter::Metadata(_) | Setter::External(_) => None,
    };
    // What comes behind the last list is made by the mutator, or has nothing to change.
    let needed = match &end {
        Some(_) => steps.len(),
        None => steps.iter().rposition(is_glob).map_or(0, |last| last + 1),
    };
    let mut at = root;
    for (position, step) in steps.iter().take(needed).enumerate() {
        match step {
            Step::Field(name) => {
                let next = match steps.get(position + 1) {
                    Some(Step::Elements { .. }) => Value::Array(Vec::new()),
                    _ => Value::Object(Map::new()),
                };
                let Some(fields) = at.as_object_mut() else { return };
                at = fields.entry(&**name).or_insert(next);
            }
            Step::Elements { key, wanted } => {
                let value = match wanted {
                    Wanted::All => Value::from(NAME),
                    Wanted::Text(text) => Value::from(&**text),
                    Wanted::Integer(number) => Value::from(*number),
                };
                let Some(elements) = at.as_array_mut() else { return };
                if elements.is_empty() {
                    elements.push(json!({&**key: value}));
                }
                let Some(first) = elements.first_mut() else { return };
                at = first;
            }
        }
    }
    if let Some(end) = end {
        *at = end;
    }
}
