//! Compiles `openAPIV3Schema` into nodes, one keyword at a time. Rules between keywords are in `structure`.
//!
//! A keyword that is null counts as absent, as it does when Kubernetes decodes a schema.

use std::sync::Arc;

use portcullis_value::pattern::Pattern;

use super::describe::{list, quoted, with_type};
use super::format::Format;
use super::keyword::{self, Keyword};
use super::kind::{Kind, Type};
use super::node::{Additional, At, Bound, List, Node, Range, Spoken};
use super::rules::{self, Allowance};
use super::structure::{self, Role};
use super::validate::suggest;
use super::{MAX_DEPTH, Problem};
use crate::error::{ErrorKind, Severity, did_you_mean};
use crate::value::{self, Value, View};

/// The schema as nodes, as far as it could be understood, and everything wrong with it.
pub(super) fn compile(schema: &Value, legacy: bool) -> (Node, Vec<Problem>) {
    let mut compiler = Compiler {
        legacy,
        depth: 0,
        is_resource: false,
        allowance: Allowance::default(),
        problems: Vec::new(),
    };
    let node = compiler.node(schema, &At::Root, Role::Field);
    (node, compiler.problems)
}

/// The same of a schema that describes whole objects.
pub(super) fn compile_resource(schema: &Value) -> (Node, Vec<Problem>) {
    let mut compiler = Compiler {
        legacy: false,
        depth: 0,
        is_resource: true,
        allowance: Allowance::default(),
        problems: Vec::new(),
    };
    let node = compiler.node(schema, &At::Root, Role::Field);
    (node, compiler.problems)
}

pub(super) struct Compiler {
    pub(super) legacy: bool,
    depth: usize,
    /// Whether it is the schema of whole objects.
    is_resource: bool,
    /// What rules of CEL may still take.
    allowance: Allowance,
    problems: Vec<Problem>,
}

impl Compiler {
    fn node(&mut self, schema: &Value, at: &At<'_>, place: Role) -> Node {
        let mut node = Node::default();
        if self.depth >= MAX_DEPTH {
            let message = format!("schema is nested deeper than {MAX_DEPTH} levels");
            self.problems.push(Problem::error(ErrorKind::Limit, at, message));
            return node;
        }
        if !matches!(schema.view(), View::Object(_) | View::Null) {
            self.error(at, format!("expected a schema, found {}", with_type(schema)));
            return node;
        }
        self.depth += 1;
        let mut source = Source::default();
        for (name, argument) in value::entries(schema).filter(|(_, argument)| **argument != Value::NULL) {
            let at = at.key(name);
            match keyword::find(name) {
                Ok(keyword) => self.keyword(keyword, argument, &at, place, &mut node, &mut source),
                Err(problem) => self.unknown_keyword(name, &at, problem),
            }
        }
        self.settle(&mut node, &source, at);
        if let Some(rules) = value::get(schema, "x-kubernetes-validations").filter(|_| source.has_validations)
        {
            let is_resource = self.is_resource && self.depth == 1;
            let at = at.key("x-kubernetes-validations");
            let (allowance, problems) = (&mut self.allowance, &mut self.problems);
            node.validations.own = rules::compile(&node, rules, is_resource, &at, allowance, problems);
        }
        node.validations.anywhere =
            !node.validations.own.is_empty() || node.parts().any(|part| part.validations.anywhere);
        self.check_items(&node, value::get(schema, "items"), at);
        if self.legacy && !place.is_nested() {
            structure::relax(&mut node);
        }
        structure::check(self, &node, &source, at, place);
        self.depth -= 1;
        node
    }

    fn keyword(
        &mut self,
        keyword: Keyword,
        argument: &Value,
        at: &At<'_>,
        place: Role,
        node: &mut Node,
        source: &mut Source,
    ) {
        let rules = &mut node.rules;
        match keyword {
            Keyword::Type => {
                source.has_type = true;
                self.set_type(argument, at, node);
            }
            Keyword::Nullable => node.nullable = self.flag(argument, at),
            Keyword::Default => node.default = Some(argument.clone()),
            Keyword::Enum => {
                if matches!(argument.view(), View::Array(_)) {
                    rules.allowed = value::items(argument).cloned().collect();
                } else {
                    self.expected("a list of values", argument, at);
                }
            }
            Keyword::Minimum => rules.minimum = self.bound(argument, at),
            Keyword::Maximum => rules.maximum = self.bound(argument, at),
            Keyword::ExclusiveMinimum => source.exclusive_minimum = self.exclusive(argument, at, "minimum"),
            Keyword::ExclusiveMaximum => source.exclusive_maximum = self.exclusive(argument, at, "maximum"),
            Keyword::MultipleOf => {
                rules.multiple_of = self.number(argument, at);
                if rules.multiple_of.as_ref().is_some_and(|factor| *factor <= Value::from(0_u64)) {
                    self.error(at, format!("expected a number above 0, found {}", quoted(argument)));
                }
            }
            Keyword::MinLength => self.limit(argument, at, &mut rules.length.min),
            Keyword::MaxLength => self.limit(argument, at, &mut rules.length.max),
            Keyword::MinItems => self.limit(argument, at, &mut rules.item_count.min),
            Keyword::MaxItems => self.limit(argument, at, &mut rules.item_count.max),
            Keyword::MinProperties => self.limit(argument, at, &mut rules.property_count.min),
            Keyword::MaxProperties => self.limit(argument, at, &mut rules.property_count.max),
            Keyword::Pattern => {
                if let Some(text) = self.text(argument, at).filter(|text| !text.is_empty()) {
                    match Pattern::compile(text) {
                        Ok(pattern) => rules.pattern = Some(pattern),
                        Err(reason) => self.error(at, format!("pattern {}: {reason}", quoted(argument))),
                    }
                }
            }
            Keyword::Format => source.format = self.text(argument, at).map(str::to_owned),
            Keyword::UniqueItems => {
                if self.flag(argument, at) {
                    let hint = "use `x-kubernetes-list-type: set`";
                    self.error_with_hint(at, "`uniqueItems: true` is not supported", hint);
                }
            }
            Keyword::Required => rules.required = self.names(argument, at),
            Keyword::Properties => self.properties(argument, at, place, node),
            Keyword::AdditionalProperties => self.additional(argument, at, place, node),
            Keyword::Items => {
                source.has_items = true;
                self.items(argument, at, place, node);
            }
            Keyword::AllOf => {
                let first = structure::is_int_or_string_all_of(argument);
                let place = |index| Role::Nested { int_or_string: index == 0 && first && !place.is_nested() };
                rules.all_of = self.schemas(argument, at, place);
            }
            Keyword::AnyOf => {
                let is_pattern = place.takes_int_or_string() && structure::is_int_or_string(argument);
                let place = |_| if is_pattern { Role::IntOrString } else { Role::NESTED };
                rules.any_of = self.schemas(argument, at, place);
            }
            Keyword::OneOf => rules.one_of = self.schemas(argument, at, |_| Role::NESTED),
            Keyword::Not => rules.not = Some(Arc::new(self.node(argument, at, Role::NESTED))),
            Keyword::Title | Keyword::Description => {
                source.documented |= self.text(argument, at).is_some_and(|text| !text.is_empty());
            }
            Keyword::ExternalDocs => source.documented = true,
            Keyword::Example => {}
            Keyword::PreserveUnknownFields => {
                node.preserve_unknown = self.flag(argument, at);
                if *argument == Value::from(false) {
                    self.error_with_hint(
                        at,
                        "expected true, found `false`",
                        "remove it: false is the default",
                    );
                }
            }
            Keyword::IntOrString => source.int_or_string = self.flag(argument, at),
            Keyword::EmbeddedResource => node.embedded_resource = self.flag(argument, at),
            Keyword::ListType => source.list_type = self.choice(argument, at, &["atomic", "set", "map"]),
            Keyword::ListMapKeys => source.list_map_keys = self.names(argument, at),
            Keyword::MapType => source.map_type = self.choice(argument, at, &["atomic", "granular"]),
            Keyword::Validations => self.validations(argument, at, source),
        }
    }

    fn set_type(&mut self, argument: &Value, at: &At<'_>, node: &mut Node) {
        let expected = || list(Type::ALL.map(Type::name));
        match argument.view() {
            View::String("") => {}
            View::String(name) => match Type::ALL.into_iter().find(|kind| kind.name() == name) {
                Some(kind) => node.kind = Kind::One(kind),
                None if name == "null" => {
                    self.error_with_hint(
                        at,
                        "type `null` is not supported",
                        "use `nullable: true` beside the other type",
                    );
                }
                None => {
                    let message = format!("expected one of {}, found {}", expected(), quoted(argument));
                    let suggestion = did_you_mean(name, Type::ALL.map(Type::name)).map(suggest);
                    self.problems
                        .push(Problem::error(ErrorKind::InvalidSchema, at, message).hint(suggestion));
                }
            },
            View::Array(_) => {
                let hint =
                    "use one type, with `nullable: true` for null or `x-kubernetes-int-or-string: true`";
                self.error_with_hint(at, format!("expected one type, found {}", with_type(argument)), hint);
            }
            _ => self.expected(&format!("one of {}", expected()), argument, at),
        }
    }

    fn properties(&mut self, argument: &Value, at: &At<'_>, place: Role, node: &mut Node) {
        if !matches!(argument.view(), View::Object(_)) {
            return self.expected("an object of schemas", argument, at);
        }
        for (name, schema) in value::entries(argument) {
            let property = self.node(schema, &at.key(name), place.field());
            node.properties.insert(name.into(), Arc::new(property));
        }
    }

    fn additional(&mut self, argument: &Value, at: &At<'_>, place: Role, node: &mut Node) {
        node.additional = match argument.view() {
            View::Bool(true) => Some(Additional::Open),
            View::Bool(false) => Some(Additional::Closed),
            View::Object(_) => Some(Additional::Each(Arc::new(self.node(argument, at, place.field())))),
            _ => return self.expected("a schema or a boolean", argument, at),
        };
    }

    fn items(&mut self, argument: &Value, at: &At<'_>, place: Role, node: &mut Node) {
        if let View::Array(_) = argument.view() {
            let hint = "one schema for all elements: write it without the list";
            return self.error_with_hint(at, "expected one schema, found a list of schemas", hint);
        }
        // Kubernetes decodes as none whatever is neither a schema nor a list.
        if matches!(argument.view(), View::Object(_)) {
            node.items = Some(Arc::new(self.node(argument, at, place.item())));
        }
    }

    fn schemas(&mut self, argument: &Value, at: &At<'_>, place: impl Fn(usize) -> Role) -> Vec<Node> {
        if !matches!(argument.view(), View::Array(_)) {
            self.expected("a list of schemas", argument, at);
        }
        let schemas = value::items(argument).enumerate();
        schemas.map(|(index, schema)| self.node(schema, &at.index(index), place(index))).collect()
    }

    fn validations(&mut self, argument: &Value, at: &At<'_>, source: &mut Source) {
        if !matches!(argument.view(), View::Array(_)) {
            return self.expected("a list of CEL rules", argument, at);
        }
        for (index, rule) in value::items(argument).enumerate() {
            source.has_validations = true;
            if value::str_at(rule, &["rule"]).is_none_or(|text| text.trim().is_empty()) {
                self.error(&at.index(index), "a CEL rule needs a `rule`");
            }
        }
    }

    /// Settles what depends on several keywords: the kind, the list type and the format for that kind.
    fn settle(&mut self, node: &mut Node, source: &Source, at: &At<'_>) {
        if source.int_or_string {
            node.kind = Kind::IntOrString;
        }
        node.list = match source.list_type.as_deref() {
            Some("set") => List::Set,
            Some("map") => List::Map(source.list_map_keys.clone()),
            _ => List::Atomic,
        };
        if let Some(name) = source.format.as_deref().filter(|name| !name.is_empty()) {
            node.rules.format = Format::find(name, node.kind);
            if node.kind == Kind::One(Type::String) {
                node.spoken = match name {
                    "date" => Spoken::Date,
                    "date-time" => Spoken::Time,
                    "duration" => Spoken::Duration,
                    "byte" => Spoken::Bytes,
                    _ => Spoken::Text,
                };
            }
            if node.rules.format.is_none() && !Format::is_free(name, node.kind) {
                self.warning(&at.key("format"), format!("format `{name}` is not checked"));
            }
        }
        let rules = &mut node.rules;
        if let Some(bound) = &mut rules.minimum {
            bound.exclusive = source.exclusive_minimum;
        }
        if let Some(bound) = &mut rules.maximum {
            bound.exclusive = source.exclusive_maximum;
        }
        for (range, keyword) in
            [(rules.length, "Length"), (rules.item_count, "Items"), (rules.property_count, "Properties")]
        {
            if let Range { min: Some(min), max: Some(max) } = range
                && min > max
            {
                let message =
                    format!("`min{keyword}` {min} is more than `max{keyword}` {max}: nothing is valid");
                self.warning(at, message);
            }
        }
    }

    /// `items` that are not a schema: an API server ignores them. In a legacy schema, elements may then be
    /// anything; in another, lists need some.
    fn check_items(&mut self, node: &Node, items: Option<&Value>, at: &At<'_>) {
        let Some(items) =
            items.filter(|items| !matches!(items.view(), View::Object(_) | View::Array(_) | View::Null))
        else {
            return;
        };
        let at = at.key("items");
        let message = format!("expected a schema, found {}", with_type(items));
        if node.kind == Kind::One(Type::Array) && !self.legacy {
            return self.error(&at, message);
        }
        self.warning(&at, format!("{message}, which is ignored")).hint =
            Some("write `items: {type: …}`; as it is, elements may be anything".to_owned());
    }

    fn unknown_keyword(&mut self, name: &str, at: &At<'_>, problem: keyword::Unknown) {
        let wrong = |message: String, hint: String| {
            Problem::error(ErrorKind::InvalidSchema, at, message).hint(hint).at_key()
        };
        let ignored = |message: String| Problem {
            severity: Severity::Warning,
            ..Problem::error(ErrorKind::InvalidSchema, at, message).at_key()
        };
        let problem = match problem {
            keyword::Unknown::Ignored => return,
            keyword::Unknown::Forbidden(hint) => {
                wrong(format!("`{name}` is not supported in structural schemas"), hint.to_owned())
            }
            keyword::Unknown::Elsewhere(hint) => {
                ignored(format!("keyword `{name}` is ignored")).hint(hint.to_owned())
            }
            keyword::Unknown::Misspelt(meant) => wrong(format!("unknown keyword `{name}`"), suggest(meant)),
            keyword::Unknown::Other => ignored(format!("unknown keyword `{name}` is ignored")),
        };
        self.push(problem);
    }

    fn flag(&mut self, argument: &Value, at: &At<'_>) -> bool {
        let View::Bool(flag) = argument.view() else {
            self.expected("a boolean", argument, at);
            return false;
        };
        flag
    }

    fn number(&mut self, argument: &Value, at: &At<'_>) -> Option<Value> {
        if !matches!(argument.view(), View::Number(_)) {
            self.expected("a number", argument, at);
            return None;
        }
        Some(argument.clone())
    }

    fn bound(&mut self, argument: &Value, at: &At<'_>) -> Option<Bound> {
        self.number(argument, at).map(|value| Bound { value, exclusive: false })
    }

    fn exclusive(&mut self, argument: &Value, at: &At<'_>, bound: &str) -> bool {
        if let View::Number(_) = argument.view() {
            let hint = format!("write `{bound}: {argument}` and make this `true`");
            self.error_with_hint(at, format!("expected a boolean, found {}", with_type(argument)), hint);
            return false;
        }
        self.flag(argument, at)
    }

    fn limit(&mut self, argument: &Value, at: &At<'_>, target: &mut Option<u64>) {
        *target = match argument.view() {
            View::Number(number) => number.as_u64(),
            _ => None,
        };
        if target.is_none() {
            self.expected("an integer from 0", argument, at);
        }
    }

    fn text<'v>(&mut self, argument: &'v Value, at: &At<'_>) -> Option<&'v str> {
        let text = value::as_str(argument);
        if text.is_none() {
            self.expected("a string", argument, at);
        }
        text
    }

    fn choice(&mut self, argument: &Value, at: &At<'_>, choices: &[&str]) -> Option<String> {
        let text = self.text(argument, at)?;
        if !choices.contains(&text) {
            let message = format!("expected one of {}, found {}", list(choices), quoted(argument));
            self.error(at, message);
        }
        Some(text.to_owned())
    }

    fn names(&mut self, argument: &Value, at: &At<'_>) -> Vec<Arc<str>> {
        if !matches!(argument.view(), View::Array(_)) {
            let hint = matches!(argument.view(), View::Bool(_)).then(|| {
                "`required` is a list of field names beside `properties`, not a flag of the field".to_owned()
            });
            let message = format!("expected a list of strings, found {}", with_type(argument));
            self.problems.push(Problem::error(ErrorKind::InvalidSchema, at, message).hint(hint));
        }
        let mut names = Vec::new();
        for (index, name) in value::items(argument).enumerate() {
            names.extend(self.text(name, &at.index(index)).map(Arc::from));
        }
        names
    }

    fn expected(&mut self, expected: &str, found: &Value, at: &At<'_>) {
        self.error(at, format!("expected {expected}, found {}", with_type(found)));
    }

    pub(super) fn error(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.problems.push(Problem::error(ErrorKind::InvalidSchema, at, message));
    }

    pub(super) fn error_with_hint(
        &mut self,
        at: &At<'_>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.problems.push(Problem::error(ErrorKind::InvalidSchema, at, message).hint(hint.into()));
    }

    pub(super) fn warning(&mut self, at: &At<'_>, message: impl Into<String>) -> &mut Problem {
        let problem = Problem::error(ErrorKind::InvalidSchema, at, message);
        self.problems.push_mut(Problem { severity: Severity::Warning, ..problem })
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

/// What the rules between keywords need to know and a node does not keep.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per keyword, as in the schema")]
pub(super) struct Source {
    /// Whether there is a `type`, valid or not.
    pub(super) has_type: bool,
    /// Whether there are `items`, valid or not.
    pub(super) has_items: bool,
    pub(super) int_or_string: bool,
    pub(super) documented: bool,
    pub(super) has_validations: bool,
    exclusive_minimum: bool,
    exclusive_maximum: bool,
    pub(super) format: Option<String>,
    pub(super) list_type: Option<String>,
    pub(super) list_map_keys: Vec<Arc<str>>,
    pub(super) map_type: Option<String>,
}
