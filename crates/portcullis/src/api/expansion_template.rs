//! `ExpansionTemplate`: which objects stand for others that a controller will make of them. v1beta1 and
//! v1alpha1 in one type.

use std::sync::Arc;

use crate::document::Document;
use crate::enforcement::EnforcementAction;
use crate::error::{Error, ErrorKind};
use crate::names::Gvk;
use crate::node::Node;
use crate::object::Object;
use crate::value::{self, View};

/// An expansion template as written, checked for the types of its fields. Whether it can be used is decided
/// by [`ExpansionStore`].
///
/// [`ExpansionStore`]: crate::ExpansionStore
#[derive(Clone, Debug)]
pub struct ExpansionTemplate {
    pub(crate) name: Arc<str>,
    pub(crate) apply_to: Vec<ApplyTo>,
    /// `spec.templateSource`, empty if it is missing.
    pub(crate) source: Arc<str>,
    /// `spec.generatedGVK`, of which any part may be empty.
    pub(crate) generated: Gvk,
    /// What results about generated objects lead to instead of what their constraints say.
    pub(crate) action: Option<EnforcementAction>,
    pub(crate) object: Object,
    pub(crate) document: Document,
}

/// One entry of `spec.applyTo`: each word of it exactly, without wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApplyTo {
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) versions: Vec<Arc<str>>,
    pub(crate) kinds: Vec<Arc<str>>,
}

impl ApplyTo {
    pub(crate) fn covers(&self, gvk: &Gvk) -> bool {
        self.groups.contains(&gvk.group)
            && self.versions.contains(&gvk.version)
            && self.kinds.contains(&gvk.kind)
    }
}

impl ExpansionTemplate {
    /// `metadata.name`, which messages about generated objects begin with; empty if there is none.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The template as an object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// As errors about it call it.
    pub(crate) fn subject(&self) -> String {
        format!("ExpansionTemplate/{}", self.name)
    }

    pub(super) fn read(document: &Document, object: Object, errors: &mut Vec<Error>) -> Self {
        const ACTIONS: &[(&str, EnforcementAction)] = &[
            ("deny", EnforcementAction::Deny),
            ("warn", EnforcementAction::Warn),
            ("dryrun", EnforcementAction::Dryrun),
        ];
        let before = errors.len();
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let spec = root.field("spec");
        if let Some(spec) = &spec {
            let known = ["applyTo", "templateSource", "generatedGVK", "enforcementAction"];
            spec.check_fields(&known, errors);
        }
        let entries = spec.as_ref().map(|spec| spec.list("applyTo", errors)).unwrap_or_default();
        let apply_to = entries.iter().map(|entry| read_apply_to(entry, errors)).collect();
        let source = spec.as_ref().map(|spec| text(spec, "templateSource", errors)).unwrap_or_default();
        let generated = spec.as_ref().and_then(|spec| spec.field("generatedGVK"));
        let generated = generated.map(|node| read_generated(&node, errors));
        let generated =
            generated.unwrap_or_else(|| Gvk { group: "".into(), version: "".into(), kind: "".into() });
        let action = spec
            .as_ref()
            .and_then(|spec| spec.field("enforcementAction"))
            // Empty is the same as not there, as for Gatekeeper.
            .filter(|field| value::as_str(field.value()) != Some(""))
            .and_then(|field| field.one_of(ACTIONS, errors));
        let name = object.name().clone();
        let template = Self { name, apply_to, source, generated, action, object, document: document.clone() };
        for error in errors.iter_mut().skip(before) {
            *error = error.clone().about(template.subject());
        }
        template
    }
}

fn read_apply_to(entry: &Node<'_>, errors: &mut Vec<Error>) -> ApplyTo {
    const FIELDS: [&str; 3] = ["groups", "versions", "kinds"];
    entry.check_fields(&FIELDS, errors);
    let [groups, versions, kinds] = FIELDS.map(|field| {
        let texts = entry.texts(field, errors);
        if entry.field(field).is_none_or(|list| matches!(list.value().view(), View::Array([]))) {
            let message = format!("this entry has no `{field}`, so that it applies to nothing");
            errors.push(entry.warning(ErrorKind::MissingField, message));
        } else if texts.iter().any(|text| &**text == "*") {
            let message = format!("`*` in `{field}` is no wildcard: it applies to what is called `*`");
            let warning = entry.warning(ErrorKind::InvalidValue, message);
            errors.push(warning.hint("name each group, version and kind"));
        }
        texts
    });
    ApplyTo { groups, versions, kinds }
}

fn read_generated(node: &Node<'_>, errors: &mut Vec<Error>) -> Gvk {
    node.check_fields(&["group", "version", "kind"], errors);
    let gvk = Gvk {
        group: text(node, "group", errors),
        version: text(node, "version", errors),
        kind: text(node, "kind", errors),
    };
    let is_empty = gvk.group.is_empty() && gvk.version.is_empty() && gvk.kind.is_empty();
    for (field, part) in [("version", &gvk.version), ("kind", &gvk.kind)] {
        if part.is_empty() && !is_empty {
            let message = format!("what is generated has no {field}, so that it cannot be judged");
            errors.push(node.warning(ErrorKind::MissingField, message));
        }
    }
    gvk
}

/// A text that may be empty or missing.
fn text(node: &Node<'_>, key: &str, errors: &mut Vec<Error>) -> Arc<str> {
    let Some(field) = node.field(key) else { return "".into() };
    let Some(text) = value::as_str(field.value()) else {
        errors.push(field.expected("a string"));
        return "".into();
    };
    text.into()
}
