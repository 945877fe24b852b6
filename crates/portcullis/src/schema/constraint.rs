//! The schema of a whole constraint: what Gatekeeper makes of a template's custom resource definition.
//!
//! ```text
//! metadata.name                    at most 63 characters, a DNS subdomain
//! spec.match                       the match criteria, the same for every template
//! spec.enforcementAction           default "deny"
//! spec.scopedEnforcementActions
//! spec.parameters                  the template's schema, if it has one
//! status                           anything
//! ```
//!
//! What selectors and actions mean is checked where they are used; this is only their shape.

use std::sync::{Arc, LazyLock};

use super::kind::{Kind, Type};
use super::node::{Additional, At, Node, Validations};
use super::{Problem, Schema, default, format, rules, structural, unknown, validate};
use crate::error::ErrorKind;
use crate::value::{self, Value, View};

/// The hint for parameters of a template without a schema.
pub(super) const DECLARE_PARAMETERS: &str =
    "declare them in `spec.crd.spec.validation.openAPIV3Schema` of the template";

/// Most characters in the name of a constraint.
const NAME_LENGTH: usize = 63;

/// `spec` without `parameters`.
const SPEC: &str = r#"{
  "type": "object",
  "properties": {
    "enforcementAction": {"type": "string", "default": "deny"},
    "scopedEnforcementActions": {"type": "array", "items": {
      "type": "object",
      "properties": {
        "action": {"type": "string"},
        "enforcementPoints": {"type": "array", "items": {
          "type": "object", "properties": {"name": {"type": "string"}}
        }}
      }
    }},
    "match": {
      "type": "object",
      "properties": {
        "kinds": {"type": "array", "items": {
          "type": "object",
          "properties": {
            "apiGroups": {"type": "array", "items": {"type": "string"}},
            "kinds": {"type": "array", "items": {"type": "string"}}
          }
        }},
        "scope": {"type": "string"},
        "namespaces": {"type": "array", "items": {"type": "string", "pattern": "^\\*?[-:a-z0-9]*\\*?$"}},
        "excludedNamespaces": {"type": "array", "items": {"type": "string", "pattern": "^\\*?[-:a-z0-9]*\\*?$"}},
        "name": {"type": "string", "pattern": "^\\*?[-:a-z0-9]*\\*?$"},
        "source": {"type": "string", "enum": ["All", "Generated", "Original"]},
        "labelSelector": SELECTOR,
        "namespaceSelector": SELECTOR
      }
    }
  }
}"#;

const SELECTOR: &str = r#"{
  "type": "object",
  "properties": {
    "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
    "matchExpressions": {"type": "array", "items": {
      "type": "object",
      "required": ["key", "operator"],
      "properties": {
        "key": {"type": "string"},
        "operator": {"type": "string"},
        "values": {"type": "array", "items": {"type": "string"}}
      }
    }}
  }
}"#;

/// The schema of `spec` without `parameters`, as JSON.
pub(crate) fn spec_schema() -> String {
    SPEC.replace("SELECTOR", SELECTOR)
}

/// Compiled once; every template shares its nodes.
static SPEC_NODE: LazyLock<Node> = LazyLock::new(|| {
    let compiled = Value::from_json(&spec_schema())
        .map(|schema| structural::compile(&schema, false))
        .ok()
        .filter(|(_, problems)| problems.is_empty());
    // A test keeps this from happening; if it did, a schema that nothing fits fails closed.
    compiled.map_or_else(
        || Node { additional: Some(Additional::Closed), kind: Kind::One(Type::Object), ..Node::default() },
        |(node, _)| node,
    )
});

/// What is wrong with the form of a `match` block, with paths from its root. It is the same for all kinds that
/// have one.
pub(crate) fn match_problems(block: &Value) -> Vec<Problem> {
    let Some(node) = SPEC_NODE.properties.get("match") else { return Vec::new() };
    let mut problems = validate::problems(node, block, &At::Root);
    unknown::find(Some(node), block, &At::Root, &mut problems);
    problems
}

/// What a constraint of one template may look like. Built once per template.
#[derive(Clone, Debug)]
pub(crate) struct ConstraintSchema {
    root: Arc<Node>,
    /// Whether the template has a schema for `spec.parameters`.
    has_parameters: bool,
}

/// As far as a constraint can be judged without its template.
static ANY_PARAMETERS: LazyLock<ConstraintSchema> =
    LazyLock::new(|| ConstraintSchema::with(Some(Arc::new(Node::permissive()))));

impl ConstraintSchema {
    /// The schema of constraints whose template is not there: any parameters will do.
    pub(crate) fn of_any_template() -> &'static Self {
        &ANY_PARAMETERS
    }

    /// The schema of constraints whose `spec.parameters` are `parameters`.
    pub(crate) fn new(parameters: &Schema) -> Self {
        Self::with(parameters.declared.then(|| parameters.root.clone()))
    }

    fn with(parameters: Option<Arc<Node>>) -> Self {
        let mut spec = SPEC_NODE.clone();
        let has_parameters = parameters.is_some();
        if let Some(parameters) = parameters {
            spec.validations.anywhere = parameters.validations.anywhere;
            spec.properties.insert("parameters".into(), parameters);
        }
        let validations = Validations { anywhere: spec.validations.anywhere, ..Validations::default() };
        let typed = |kind| Node { kind: Kind::One(kind), ..Node::default() };
        let metadata = Node { preserve_unknown: true, ..typed(Type::Object) };
        let properties = [
            ("apiVersion", typed(Type::String)),
            ("kind", typed(Type::String)),
            ("metadata", metadata),
            ("spec", spec),
            ("status", Node::permissive()),
        ];
        let properties = properties.map(|(name, node)| (Arc::from(name), Arc::new(node)));
        let root = Node {
            validations,
            embedded_resource: true,
            properties: properties.into_iter().collect(),
            ..typed(Type::Object)
        };
        Self { root: Arc::new(root), has_parameters }
    }

    /// The constraint with defaults filled in, `spec.enforcementAction: deny` among them if there is a
    /// `spec`.
    pub(crate) fn apply_defaults(&self, constraint: &Value) -> Value {
        default::fill(&self.root, constraint)
    }

    /// The parameters whose default says something, which is not filled in where a constraint has no `parameters` at all.
    /// An empty list, `false` and the like are as good as nothing to most policies.
    pub(crate) fn telling_defaults(&self) -> Vec<Arc<str>> {
        let child = |node: &Arc<Node>, name: &str| node.properties.get(name).cloned();
        let parameters = child(&self.root, "spec").and_then(|spec| child(&spec, "parameters"));
        let Some(parameters) = parameters.filter(|parameters| parameters.default.is_none()) else {
            return Vec::new();
        };
        let says = |value: &Value| match value.view() {
            View::Null | View::Bool(false) => false,
            View::String(text) => !text.is_empty(),
            View::Array(items) => !items.is_empty(),
            View::Object(_) => value::entries(value).next().is_some(),
            _ => true,
        };
        let telling =
            parameters.properties.iter().filter(|(_, node)| node.default.as_ref().is_some_and(says));
        telling.map(|(name, _)| name.clone()).collect()
    }

    /// All problems of a constraint, with paths from its root. As in Gatekeeper, only
    /// [`ErrorKind::SchemaValidation`] means that it does not fit the schema; unknown fields and a bad name
    /// are errors of their own.
    pub(crate) fn validate(&self, constraint: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        check_name(constraint, &mut problems);
        problems.extend(validate::problems(&self.root, constraint, &At::Root));
        // Rules of CEL may rest on what the schema says.
        if !problems.iter().any(|problem| problem.kind == ErrorKind::SchemaValidation) {
            let mut work = rules::Work::default();
            rules::check(&self.root, constraint, &At::Root, &mut work, &mut problems);
        }
        let first_unknown = problems.len();
        unknown::find(Some(&self.root), constraint, &At::Root, &mut problems);
        if !self.has_parameters {
            let spec = At::Key(&At::Root, "spec");
            let parameters = spec.key("parameters").path();
            for problem in
                problems.iter_mut().skip(first_unknown).filter(|problem| problem.path == parameters)
            {
                problem.hint = Some(DECLARE_PARAMETERS.to_owned());
            }
        }
        problems
    }
}

fn check_name(constraint: &Value, problems: &mut Vec<Problem>) {
    let at = At::Key(&At::Root, "metadata");
    let at = at.key("name");
    let Some(name) = value::get_path(constraint, &["metadata", "name"]) else {
        problems.push(Problem::error(ErrorKind::MissingField, &at, "a constraint needs a name"));
        return;
    };
    let Some(text) = value::as_str(name) else {
        let found = super::describe::with_type(name);
        problems.push(Problem::error(
            ErrorKind::SchemaValidation,
            &at,
            format!("expected string, found {found}"),
        ));
        return;
    };
    if !format::is_long_name(text) {
        let shown = super::describe::quoted(name);
        problems.push(
            Problem::error(
                ErrorKind::InvalidValue,
                &at,
                format!("expected a DNS subdomain name, found {shown}"),
            )
            .hint("use lower-case letters, digits, `-` and `.`".to_owned()),
        );
    }
    let length = text.chars().count();
    if length > NAME_LENGTH {
        let message = format!("expected at most {NAME_LENGTH} characters, found {length} characters");
        problems.push(Problem::error(ErrorKind::SchemaValidation, &at, message));
    }
}
