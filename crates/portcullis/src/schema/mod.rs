//! Parameter schemas: what a template says about `spec.parameters` of its constraints.
//!
//! ```text
//! openAPIV3Schema --structural--> Schema { Node tree } --default---> value with defaults
//!                    (keyword,      |                  --validate--> problems of type and keyword
//!                     structure)    |                  --unknown---> fields that pruning would drop
//!                                   +--constraint--> ConstraintSchema: the same for a whole constraint
//! ```
//!
//! The rules are those of Kubernetes structural schemas, because a template becomes a custom resource
//! definition: what the API server accepts, defaults and rejects, we do too, in our own words and with paths.
//!
//! Keywords are evaluated here rather than by the `jsonschema` crate: they are few, our values need no
//! conversion, numbers of any size stay exact, messages name the field, and an embedded library is spared a
//! large dependency. The crate is the reference in a differential test instead.
//!
//! CEL rules (`x-kubernetes-validations`) are compiled with the schema, and say their word on values that fit
//! the schema otherwise: see `rules`. A build without CEL refuses them: see `without_rules`.

mod constraint;
mod default;
mod describe;
mod format;
mod keyword;
mod kind;
mod lookup;
mod node;
#[cfg(feature = "cel")]
mod rules;
#[cfg(not(feature = "cel"))]
#[path = "without_rules.rs"]
mod rules;
mod structural;
mod structure;
mod unknown;
mod validate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use constraint::{ConstraintSchema, match_problems, spec_schema};
pub(crate) use lookup::PathCheck;
use node::{At, Node};

use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::path::FieldPath;
use crate::value::{self, Value};

/// Deepest nesting of schemas in a schema. Walks recurse as deep as the schema does, so this bounds them as
/// well.
const MAX_DEPTH: usize = 128;

/// A problem in a schema or in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where, from the root of the schema or of the value.
    pub path: FieldPath,
    pub kind: ErrorKind,
    pub severity: Severity,
    pub message: String,
    pub hint: Option<String>,
    pub place: PointsAt,
}

/// What of a field a problem points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PointsAt {
    #[default]
    Value,
    /// The field should not be there at all.
    Key,
}

impl Problem {
    /// As an error in a document, where the schema or value that was looked at stands at `base`.
    pub(crate) fn into_error(self, document: &Document, base: &FieldPath) -> Error {
        let path: FieldPath = base.segments().iter().chain(self.path.segments()).cloned().collect();
        let (nearest, _) = document.locate_nearest(&path);
        let location = match self.place {
            PointsAt::Key => document.locate_key(&path).unwrap_or(nearest),
            PointsAt::Value => nearest,
        };
        let error = match self.severity {
            Severity::Error => Error::new(self.kind, self.message),
            Severity::Warning => Error::warning(self.kind, self.message),
        };
        error.maybe_hint(self.hint).at(location).in_field(path)
    }

    fn error(kind: ErrorKind, at: &At<'_>, message: impl Into<String>) -> Self {
        let place = PointsAt::Value;
        Self { path: at.path(), kind, severity: Severity::Error, message: message.into(), hint: None, place }
    }

    /// Points at the key.
    fn at_key(mut self) -> Self {
        self.place = PointsAt::Key;
        self
    }

    fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// What is wrong with the rules in CEL (`x-kubernetes-validations`) of a CustomResourceDefinition; nothing of any
/// other document. All else in its schemas is left to who knows more of these. A warning, if they are more than are looked at.
///
/// ```
/// use portcullis::{Document, definition_rules};
///
/// let text = r#"
/// apiVersion: apiextensions.k8s.io/v1
/// kind: CustomResourceDefinition
/// metadata: {name: shops.example.com}
/// spec:
///   versions:
///   - name: v1
///     schema:
///       openAPIV3Schema:
///         type: object
///         x-kubernetes-validations: [{rule: self.spec.maxx > 0}]
///         properties: {spec: {type: object, properties: {max: {type: integer}}}}
/// "#;
/// let (documents, _) = Document::read_all("crd.yaml", text);
/// let errors = definition_rules(&documents[0]);
/// assert_eq!(errors[0].message(), "undefined field 'maxx'");
/// ```
#[must_use]
pub fn definition_rules(document: &Document) -> Vec<Error> {
    let root = document.value();
    let is = |field, text| value::str_at(root, &[field]) == Some(text);
    if !is("kind", "CustomResourceDefinition") || !is("apiVersion", "apiextensions.k8s.io/v1") {
        return Vec::new();
    }
    let versions =
        value::get_path(root, &["spec", "versions"]).into_iter().flat_map(value::items).enumerate();
    let mut errors = Vec::new();
    for (index, version) in versions {
        let Some(schema) = value::get_path(version, &["schema", "openAPIV3Schema"]) else { continue };
        let base = FieldPath::root().child("spec").child("versions").child(index);
        let base = base.child("schema").child("openAPIV3Schema");
        let (_, mut problems) = structural::compile_resource(schema);
        problems.retain(|problem| matches!(problem.kind, ErrorKind::Cel | ErrorKind::Limit));
        // An API server has other limits for these: what is beyond ours was not looked at.
        for problem in problems.iter_mut().filter(|problem| problem.kind == ErrorKind::Limit) {
            problem.severity = Severity::Warning;
        }
        errors.extend(problems.into_iter().map(|problem| problem.into_error(document, &base)));
    }
    errors
}

/// A compiled parameter schema: immutable, cheap to clone, shared between threads.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    root: Arc<Node>,
    /// False if the template has no schema and must have one: then constraints have no parameters.
    declared: bool,
}

impl Schema {
    /// Compiles `openAPIV3Schema` of a template. With `legacy`, unknown fields are kept everywhere and types
    /// may be left out, as `legacySchema: true` asks for.
    ///
    /// Without a schema, legacy templates take any parameters and others take none. The schema is `None` if
    /// one of the problems is an error.
    pub(crate) fn compile(schema: Option<&Value>, legacy: bool) -> (Option<Self>, Vec<Problem>) {
        let Some(schema) = schema.filter(|schema| **schema != Value::NULL) else {
            let root = if legacy { Node::permissive() } else { Node::default() };
            return (Some(Self { root: Arc::new(root), declared: legacy }), Vec::new());
        };
        let (root, problems) = structural::compile(schema, legacy);
        let usable = problems.iter().all(|problem| problem.severity != Severity::Error);
        (usable.then(|| Self { root: Arc::new(root), declared: true }), problems)
    }

    /// The value with defaults filled in where their parent object exists. Shares what it does not change.
    #[cfg(test)]
    pub(crate) fn apply_defaults(&self, value: &Value) -> Value {
        default::fill(&self.root, value)
    }

    /// All problems of a value: [`ErrorKind::SchemaValidation`] for wrong types and broken keywords,
    /// [`ErrorKind::UnknownField`] for fields that the schema does not have.
    #[cfg(test)]
    pub(crate) fn validate(&self, value: &Value) -> Vec<Problem> {
        if !self.declared {
            return vec![
                Problem::error(ErrorKind::UnknownField, &At::Root, "the template declares no parameters")
                    .hint(constraint::DECLARE_PARAMETERS.to_owned()),
            ];
        }
        let mut problems = validate::problems(&self.root, value, &At::Root);
        unknown::find(Some(&self.root), value, &At::Root, &mut problems);
        if problems.is_empty() {
            rules::check(&self.root, value, &At::Root, &mut rules::Work::default(), &mut problems);
        }
        problems
    }

    /// Whether a valid value can have something at `path`, for checks of `input.parameters.a.b` in a policy.
    /// `None` stands for any key or index.
    pub(crate) fn allows(&self, path: &[Option<&str>]) -> PathCheck {
        if !self.declared && !path.is_empty() {
            return PathCheck::Unknown { at: 0, suggestion: None };
        }
        lookup::check(&self.root, path)
    }

    /// Why no valid value has `value` at `path`, in words that follow "it is"; `None` if one may. For checks
    /// of comparisons with `input.parameters.a.b` in a policy.
    #[cfg(feature = "lint")]
    pub(crate) fn rules_out(&self, path: &[Option<&str>], value: &Value) -> Option<String> {
        if self.declared { lookup::rules_out(&self.root, path, value) } else { None }
    }
}
