//! What makes a schema structural: the rules between its keywords. A schema that breaks one cannot become a
//! custom resource definition.

use std::sync::Arc;

use super::describe::quoted;
use super::kind::{Kind, Type};
use super::node::{Additional, At, List, Node};
use super::structural::{Compiler, Source};
use super::validate::suggest;
use super::{Problem, unknown, validate};
use crate::error::{ErrorKind, did_you_mean};
use crate::value::{self, Value};

/// Where in a schema a schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Describes a field: a property, an additional property, the parameters themselves.
    Field,
    /// Describes the elements of a list.
    Item,
    /// Below `allOf`, `anyOf`, `oneOf` or `not`, where a schema may only restrict.
    Nested {
        /// First in an `allOf` that starts with the pattern for "integer or string".
        int_or_string: bool,
    },
    /// One half of `anyOf: [{type: integer}, {type: string}]`, the one place where a nested schema has a
    /// type.
    IntOrString,
}

impl Role {
    pub(super) const NESTED: Self = Self::Nested { int_or_string: false };

    pub(super) fn is_nested(self) -> bool {
        matches!(self, Self::Nested { .. } | Self::IntOrString)
    }

    /// Whether an `anyOf` here may be the pattern for "integer or string".
    pub(super) fn takes_int_or_string(self) -> bool {
        matches!(self, Self::Field | Self::Item | Self::Nested { int_or_string: true })
    }

    /// The place of a property of a schema here.
    pub(super) fn field(self) -> Self {
        if self.is_nested() { Self::NESTED } else { Self::Field }
    }

    /// The place of the items of a schema here.
    pub(super) fn item(self) -> Self {
        if self.is_nested() { Self::NESTED } else { Self::Item }
    }
}

/// `[{type: integer}, {type: string}]`.
pub(super) fn is_int_or_string(any_of: &Value) -> bool {
    let mut types = value::items(any_of).map(|schema| {
        let mut keywords = value::entries(schema).filter(|(_, argument)| **argument != Value::NULL);
        match (keywords.next(), keywords.next()) {
            (Some(("type", kind)), None) => value::as_str(kind),
            _ => None,
        }
    });
    (types.next(), types.next(), types.next()) == (Some(Some("integer")), Some(Some("string")), None)
}

/// An `allOf` whose first schema has the pattern for "integer or string".
pub(super) fn is_int_or_string_all_of(all_of: &Value) -> bool {
    value::items(all_of).next().and_then(|first| value::get(first, "anyOf")).is_some_and(is_int_or_string)
}

/// What `legacySchema: true` does to a schema: fields are kept where objects may be, and lists take anything.
pub(super) fn relax(node: &mut Node) {
    match node.kind {
        Kind::Any | Kind::One(Type::Object) => node.preserve_unknown = true,
        Kind::One(Type::Array) if node.items.is_none() => node.items = Some(Arc::new(Node::permissive())),
        _ => {}
    }
}

/// Reports every rule that the schema at `at` breaks; the schemas below it were checked before.
pub(super) fn check(compiler: &mut Compiler, node: &Node, source: &Source, at: &At<'_>, place: Role) {
    if place.is_nested() {
        check_nested(compiler, node, source, at, place);
        return;
    }
    check_type(compiler, node, source, at, place);
    check_extensions(compiler, node, source, at);
    check_list(compiler, node, source, at);
    check_fields(compiler, node, at);
    check_default(compiler, node, at);
}

fn check_type(compiler: &mut Compiler, node: &Node, source: &Source, at: &At<'_>, place: Role) {
    if node.kind == Kind::One(Type::Array) && !source.has_items && node.items.is_none() {
        compiler.error_with_hint(at, "a schema of type `array` needs `items`", "say what the elements are");
    }
    if node.kind != Kind::Any || source.has_type || node.preserve_unknown || node.embedded_resource {
        return;
    }
    let what = if place == Role::Item { "list elements" } else { "a field" };
    let likely = match node {
        _ if node.items.is_some() => Some("array"),
        _ if !node.properties.is_empty() || node.additional.is_some() => Some("object"),
        _ => None,
    };
    let hint = match likely {
        Some(kind) => format!("add `type: {kind}`"),
        None => "add a `type`, or `x-kubernetes-preserve-unknown-fields: true` to take anything".to_owned(),
    };
    compiler.error_with_hint(at, format!("the schema of {what} needs a `type`"), hint);
}

fn check_extensions(compiler: &mut Compiler, node: &Node, source: &Source, at: &At<'_>) {
    const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
    const EMBEDDED: &str = "x-kubernetes-embedded-resource";
    if source.int_or_string && node.preserve_unknown {
        compiler.error(&at.key(PRESERVE), format!("`{PRESERVE}` excludes `x-kubernetes-int-or-string`"));
    }
    if node.embedded_resource {
        if source.int_or_string {
            compiler.error(&at.key(EMBEDDED), format!("`{EMBEDDED}` excludes `x-kubernetes-int-or-string`"));
        } else if !node.is_object() {
            compiler.error(at, format!("`{EMBEDDED}` needs `type: object`"));
        }
        if node.additional.is_some() {
            let at = at.key("additionalProperties");
            compiler.error(&at, format!("`additionalProperties` excludes `{EMBEDDED}`"));
        }
        if !node.preserve_unknown && node.properties.is_empty() {
            compiler.error(at, format!("`{EMBEDDED}` needs `properties` or `{PRESERVE}: true`"));
        }
    }
    if source.map_type.is_some() && !node.is_object() {
        compiler.error(&at.key("x-kubernetes-map-type"), "`x-kubernetes-map-type` needs `type: object`");
    }
}

fn check_list(compiler: &mut Compiler, node: &Node, source: &Source, at: &At<'_>) {
    let list_type = at.key("x-kubernetes-list-type");
    let map_keys = at.key("x-kubernetes-list-map-keys");
    if source.list_type.is_some() && node.kind != Kind::One(Type::Array) {
        compiler.error(&list_type, "`x-kubernetes-list-type` needs `type: array`");
    }
    if !source.list_map_keys.is_empty() && source.list_type.as_deref() != Some("map") {
        compiler.error(&map_keys, "`x-kubernetes-list-map-keys` needs `x-kubernetes-list-type: map`");
    }
    let Some(items) = &node.items else { return };
    let at_items = at.key("items");
    if node.list != List::Atomic && items.nullable {
        compiler.error(&at_items.key("nullable"), "elements of a set or map list cannot be nullable");
    }
    let List::Map(keys) = &node.list else { return };
    if keys.is_empty() {
        compiler.error(&list_type, "`x-kubernetes-list-type: map` needs `x-kubernetes-list-map-keys`");
    }
    if !items.is_object() {
        compiler.error(&at_items, "`x-kubernetes-list-type: map` needs elements of `type: object`");
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        let at_key = map_keys.index(index);
        if keys.iter().take(index).any(|earlier| earlier == key) {
            compiler.error(&at_key, format!("key `{key}` is listed twice"));
        }
        let Some(property) = items.properties.get(key) else {
            let known = items.properties.keys().map(|key| &**key);
            let hint = did_you_mean(key, known).map(suggest);
            let message = format!("key `{key}` is not a property of the elements");
            compiler.push(Problem::error(ErrorKind::InvalidSchema, &at_key, message).hint(hint));
            continue;
        };
        if matches!(property.kind, Kind::One(Type::Array | Type::Object)) {
            compiler.error(&at_key, format!("key `{key}` must be a scalar"));
        }
        if property.nullable {
            compiler.error(&at_key, format!("key `{key}` cannot be nullable"));
        }
        if property.default.is_none() && !items.rules.required.contains(key) {
            compiler.error(&at_key, format!("key `{key}` must be required or have a default"));
        }
    }
}

fn check_fields(compiler: &mut Compiler, node: &Node, at: &At<'_>) {
    let known = || node.properties.keys().map(|key| &**key);
    let open = matches!(node.additional, Some(Additional::Open));
    if node.additional.is_some() && !open && !node.properties.is_empty() {
        let at = at.key("additionalProperties");
        compiler.error_with_hint(
            &at,
            "`additionalProperties` and `properties` exclude each other",
            "unknown fields are rejected without it",
        );
    }
    if node.preserve_unknown || node.additional.is_some() || node.kind == Kind::Any {
        return;
    }
    for (index, required) in node.rules.required.iter().enumerate() {
        if node.properties.contains_key(required)
            || (node.embedded_resource && unknown::is_object_field(required))
        {
            continue;
        }
        let message = format!("required field `{required}` is not in `properties`, so nothing is valid");
        compiler.warning(&at.key("required").index(index), message).hint =
            did_you_mean(required, known()).map(suggest);
    }
    for (keyword, nested) in node.rules.nested() {
        for name in nested.properties.keys().filter(|name| !node.properties.contains_key(*name)) {
            let message = format!("field `{name}` is only described in `{keyword}`, so it stays unknown");
            compiler.warning(&at.key(keyword), message).hint = Some(
                did_you_mean(name, known()).map_or_else(|| "add it to `properties`".to_owned(), suggest),
            );
        }
    }
}

fn check_default(compiler: &mut Compiler, node: &Node, at: &At<'_>) {
    let Some(default) = &node.default else { return };
    let at = at.key("default");
    let mut problems = validate::problems(node, default, &at);
    unknown::find(Some(node), default, &at, &mut problems);
    for problem in problems {
        let message = format!("the default is not valid: {}", problem.message);
        compiler.push(Problem { kind: ErrorKind::InvalidSchema, message, ..problem });
    }
}

fn check_nested(compiler: &mut Compiler, node: &Node, source: &Source, at: &At<'_>, place: Role) {
    let typed = matches!(node.kind, Kind::One(_)) && place != Role::IntOrString;
    let misplaced = [
        (typed, "type"),
        (node.default.is_some(), "default"),
        (node.nullable, "nullable"),
        (node.additional.is_some(), "additionalProperties"),
        (source.documented, "a title, description or external documentation"),
        (node.preserve_unknown, "x-kubernetes-preserve-unknown-fields"),
        (node.embedded_resource, "x-kubernetes-embedded-resource"),
        (source.int_or_string, "x-kubernetes-int-or-string"),
        (source.list_type.is_some(), "x-kubernetes-list-type"),
        (!source.list_map_keys.is_empty(), "x-kubernetes-list-map-keys"),
        (source.map_type.is_some(), "x-kubernetes-map-type"),
        (source.has_validations, "x-kubernetes-validations"),
    ];
    for (_, keyword) in misplaced.iter().filter(|(misplaced, _)| *misplaced) {
        let (place, what) = if keyword.contains(' ') {
            (*at, (*keyword).to_owned())
        } else {
            (at.key(keyword), quoted(&Value::from(*keyword)))
        };
        let message = format!("{what} is not allowed inside `allOf`, `anyOf`, `oneOf` and `not`");
        compiler.error_with_hint(&place, message, "move it to the schema around them");
    }
    if node.properties.contains_key("metadata") {
        let at = at.key("properties");
        let message = "`metadata` cannot be described inside `allOf`, `anyOf`, `oneOf` and `not`";
        compiler.error(&at.key("metadata"), message);
    }
}
