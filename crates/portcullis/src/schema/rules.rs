//! Rules in CEL: `x-kubernetes-validations`, compiled with the type that the schema gives `self`, and evaluated
//! on values that fit the schema otherwise.
//!
//! As in an API server, a value has the types of its schema in a rule: a `number` is a double whatever its
//! digits, a text of format `date-time` is a moment, one of format `byte` is bytes, sets and lists by keys are compared and
//! added as such, names of fields that CEL cannot say are escaped, and of what the schema does not describe nothing can be said.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_cel::{
    Associative, CelValue, Entries, Environment, EvalErrorKind, List, Map, Program, Type as CelType,
    Variables, escaped,
};
use portcullis_value::{Budget, Limits, go_duration};

use super::Problem;
use super::describe::quoted;
use super::kind::{Kind, Type};
use super::node::{self, Additional, At, Node, Old, Rule, Spoken};
use crate::error::ErrorKind;
use crate::value::{self, Value, View};

/// What all rules of a schema may cost for one value, in the units of an API server.
const BUDGET: u64 = 10_000_000;
/// Steps that they may take together, and memory that one may.
const STEPS: u64 = 20_000_000;
const MEMORY: u64 = 16 << 20;
/// Most rules of a schema, and most bytes of all of them.
const MAX_RULES: usize = 500;
const MAX_TEXT: usize = 128 << 10;
/// So many mistakes of one rule are listed.
const MISTAKES: usize = 10;
/// Most parts of a schema that are described for its rules: each rule is given the types of all that is below it.
const MAX_TYPES: usize = 100_000;

/// What is left for the rules of a schema while they are compiled.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    rules: usize,
    bytes: usize,
    types: usize,
    is_over: bool,
}

/// Compiles the rules of a node whose parts are compiled already. `is_resource` gives `self` the fields that
/// every object has.
pub(super) fn compile(
    node: &Node,
    rules: &Value,
    is_resource: bool,
    at: &At<'_>,
    allowance: &mut Allowance,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let mut compiled = Vec::new();
    let texts: Vec<&Value> = value::items(rules).collect();
    if texts.is_empty() || allowance.is_over {
        return compiled;
    }
    let mut types = Types {
        environment: Environment::default(),
        count: 0,
        most: MAX_TYPES.saturating_sub(allowance.types),
    };
    // Of a value that may be anything nothing is known.
    let own = types.of(node, is_resource).unwrap_or(CelType::Dyn);
    allowance.types += types.count;
    allowance.rules += texts.len();
    let all = |field| texts.iter().filter_map(move |rule| value::str_at(rule, &[field]));
    allowance.bytes += all("rule").chain(all("messageExpression")).map(str::len).sum::<usize>();
    if allowance.rules > MAX_RULES || allowance.bytes > MAX_TEXT || types.count >= types.most {
        allowance.is_over = true;
        let message = format!(
            "a schema may have {MAX_RULES} rules of {} KiB together, over {MAX_TYPES} parts of it",
            MAX_TEXT >> 10
        );
        problems.push(Problem::error(ErrorKind::Limit, at, message));
        return compiled;
    }
    for (index, rule) in texts.into_iter().enumerate() {
        let at = at.index(index);
        let is_optional = value::get(rule, "optionalOldSelf") == Some(&Value::from(true));
        let old = if is_optional { CelType::optional(own.clone()) } else { own.clone() };
        let environment =
            types.environment.clone().with_variable("self", own.clone()).with_variable("oldSelf", old);
        let mut program = |field: &str, to: CelType| {
            let text = value::str_at(rule, &[field]).filter(|text| !text.trim().is_empty())?;
            match Program::compile_to(text, &environment, &[to]) {
                Ok(program) => Some(program),
                Err(wrong) => {
                    let more = wrong.len().saturating_sub(MISTAKES);
                    let at = at.key(field);
                    let texts = wrong.into_iter().take(MISTAKES).map(|mistake| mistake.message);
                    let rest = (more > 0).then(|| format!("the expression has {more} more mistakes"));
                    let texts = texts.chain(rest);
                    problems.extend(texts.map(|message| Problem::error(ErrorKind::Cel, &at, message)));
                    None
                }
            }
        };
        let message_expression = program("messageExpression", CelType::String);
        let program = program("rule", CelType::Bool);
        let place = match value::str_at(rule, &["fieldPath"]).filter(|path| !path.is_empty()) {
            None => Some(Box::default()),
            Some(path) => place_in(node, path).or_else(|| {
                let shown = quoted(&Value::from(path));
                let message =
                    format!("{shown} is no field of this schema: write it as `.spec.name` or `['a key']`");
                problems.push(Problem::error(ErrorKind::Cel, &at.key("fieldPath"), message));
                None
            }),
        };
        let (Some(program), Some(place)) = (program, place) else { continue };
        let reads_old = program.reads().iter().any(|read| read.variable == "oldSelf");
        compiled.push(Rule {
            text: value::str_at(rule, &["rule"]).unwrap_or_default().trim().into(),
            message: value::str_at(rule, &["message"]).map(Into::into),
            program,
            message_expression,
            place,
            old: match (reads_old, is_optional) {
                (false, _) => Old::Unread,
                (true, false) => Old::Needed,
                (true, true) => Old::Optional,
            },
        });
    }
    compiled
}

/// Types of the parts of a schema.
struct Types {
    environment: Environment,
    count: usize,
    most: usize,
}

impl Types {
    /// The type of a part; none of what rules cannot speak of, as the schema does not say what it is.
    fn of(&mut self, node: &Node, is_resource: bool) -> Option<CelType> {
        self.count += 1;
        if self.count >= self.most {
            // Past the limit, the rules are refused.
            return Some(CelType::Dyn);
        }
        Some(match node.kind {
            Kind::Any => return None,
            Kind::IntOrString => CelType::Dyn,
            Kind::One(Type::Boolean) => CelType::Bool,
            Kind::One(Type::Integer) => CelType::Int,
            Kind::One(Type::Number) => CelType::Double,
            Kind::One(Type::String) => match node.spoken {
                Spoken::Text => CelType::String,
                Spoken::Date | Spoken::Time => CelType::Timestamp,
                Spoken::Duration => CelType::Duration,
                Spoken::Bytes => CelType::Bytes,
            },
            Kind::One(Type::Array) => CelType::list(self.of(node.items.as_ref()?, false)?),
            Kind::One(Type::Object) => return self.of_object(node, is_resource),
        })
    }

    fn of_object(&mut self, node: &Node, is_resource: bool) -> Option<CelType> {
        if let (Some(Additional::Each(each)), false) = (&node.additional, is_resource) {
            return Some(CelType::map(CelType::String, self.of(each, false)?));
        }
        let name = format!("schema.{}", self.count);
        let mut fields: Vec<(String, CelType)> = Vec::new();
        for (field, property) in &node.properties {
            let Some(ty) = self.of(property, false) else { continue };
            fields.extend(escaped(field).map(|field| (field, ty)));
        }
        if is_resource || node.embedded_resource {
            let metadata = format!("{name}.metadata");
            let parts = [("name", CelType::String), ("generateName", CelType::String)];
            self.environment = std::mem::take(&mut self.environment).with_object(&metadata, parts);
            fields.retain(|(field, _)| !["apiVersion", "kind", "metadata"].contains(&field.as_str()));
            fields.push(("apiVersion".to_owned(), CelType::String));
            fields.push(("kind".to_owned(), CelType::String));
            fields.push(("metadata".to_owned(), CelType::object(&metadata)));
        }
        let given = fields.iter().map(|(field, ty)| (field.as_str(), ty.clone()));
        self.environment = std::mem::take(&mut self.environment).with_object(&name, given);
        Some(CelType::object(&name))
    }
}

/// The names and keys that a `fieldPath` goes by: `.spec.name`, `['a key']`. None, if the schema has no such field. API servers
/// take no other form of paths, such as [`crate::FieldPath::parse`] reads, and quotes in keys after a backslash.
fn place_in(node: &Node, path: &str) -> Option<Box<[Arc<str>]>> {
    let (mut node, mut rest) = (node, path);
    let mut place: Vec<Arc<str>> = Vec::new();
    while !rest.is_empty() {
        let name: String;
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (field, behind) = named.split_at_checked(end)?;
            (name, rest) = (field.to_owned(), behind);
        } else {
            let mut chars = rest.strip_prefix("['")?.char_indices();
            let quoted = rest.strip_prefix("['")?;
            let mut text = String::new();
            let end = loop {
                match chars.next()? {
                    (_, '\\') => text.push(chars.next()?.1),
                    (end, '\'') => break end,
                    (_, c) => text.push(c),
                }
            };
            (name, rest) = (text, quoted.get(end..)?.strip_prefix("']")?);
        }
        node = match (node.properties.get(name.as_str()), &node.additional) {
            (Some(property), _) => property,
            (None, Some(Additional::Each(each))) => each,
            (None, _) => return None,
        };
        place.push(name.into());
    }
    Some(place.into())
}

/// What rules may still take for a value.
pub(super) struct Work {
    cost: u64,
    steps: u64,
    is_over: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self { cost: BUDGET, steps: STEPS, is_over: false }
    }
}

/// What the rules of a schema say of a value that fits it otherwise.
pub(super) fn check(node: &Node, value: &Value, at: &At<'_>, work: &mut Work, problems: &mut Vec<Problem>) {
    if !node.validations.anywhere || value.is_null() || work.is_over {
        return;
    }
    if !node.validations.own.is_empty() {
        own(node, value, at, work, problems);
    }
    match value.view() {
        View::Array(items) => {
            let Some(schema) = &node.items else { return };
            for (index, item) in items.iter().enumerate() {
                check(schema, item, &at.index(index), work, problems);
            }
        }
        View::Object(_) => {
            for (name, field) in value::entries(value) {
                let each = match &node.additional {
                    Some(Additional::Each(each)) => Some(each),
                    _ => None,
                };
                let Some(schema) = node.properties.get(name).or(each) else { continue };
                check(schema, field, &at.key(name), work, problems);
            }
        }
        _ => {}
    }
}

fn own(node: &Node, value: &Value, at: &At<'_>, work: &mut Work, problems: &mut Vec<Problem>) {
    let failure = |message: String| Problem::error(ErrorKind::SchemaValidation, at, message);
    let failure_at = |place: &[Arc<str>], message: String| {
        within(at, place, &|at| Problem::error(ErrorKind::SchemaValidation, at, message.clone()))
    };
    let Some(this) = typed(node, value, &mut work.steps) else {
        work.is_over = true;
        return problems.push(failure("the value is too large for the rules of its schema".to_owned()));
    };
    for rule in node.validations.own.iter().filter(|rule| rule.old != Old::Needed) {
        let variables =
            Variables::default().with("self", this.clone()).with("oldSelf", CelValue::Optional(None));
        let mut run = |program: &Program| {
            let limits = Limits { steps: work.steps, memory: MEMORY, ..Limits::default() };
            let mut budget = Budget::new(limits, None);
            let evaluation = program.evaluate(&variables, &mut budget);
            work.steps = work.steps.saturating_sub(budget.steps());
            let left = work.cost.checked_sub(evaluation.cost);
            work.cost = left.unwrap_or(0);
            work.is_over |= left.is_none();
            evaluation.result
        };
        let mut place: &[Arc<str>] = &[];
        let said = match run(&rule.program) {
            Ok(value) if value.as_bool() == Some(true) => None,
            Ok(value) if value.as_bool() == Some(false) => {
                let made = rule.message_expression.as_ref().and_then(|program| run(program).ok());
                let made = made.and_then(|made| made.as_str().map(|text| text.trim().to_owned()));
                let written = rule.message.as_ref().map(|text| text.trim().to_owned());
                let is_sound = |text: &String| !text.is_empty() && !text.contains(['\n', '\r']);
                let said = made.filter(is_sound).or(written.filter(is_sound));
                place = &rule.place;
                Some(said.unwrap_or_else(|| format!("failed rule: {}", one_line(&rule.text))))
            }
            Ok(_) => Some(format!("the rule `{}` is neither true nor false", one_line(&rule.text))),
            Err(error) => {
                work.is_over |= matches!(error.kind, EvalErrorKind::Limit(_));
                Some(format!("the rule `{}` has no value: {}", one_line(&rule.text), error.message))
            }
        };
        problems.extend(said.map(|message| failure_at(place, message)));
        if work.is_over {
            let message =
                "the rules of the schema cost too much for this value: they are not evaluated further";
            return problems.push(failure(message.to_owned()));
        }
    }
}

/// A text as one line of a message.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shows a place below another one.
fn within(at: &At<'_>, place: &[Arc<str>], show: &dyn Fn(&At<'_>) -> Problem) -> Problem {
    match place.split_first() {
        None => show(at),
        Some((first, rest)) => within(&at.key(first), rest, show),
    }
}

/// A value with the types of its schema; none if it is too large.
fn typed(node: &Node, value: &Value, steps: &mut u64) -> Option<CelValue> {
    *steps = steps.checked_sub(1)?;
    if matches!(node.kind, Kind::Any | Kind::IntOrString) {
        return Some(value.clone().into());
    }
    Some(match value.view() {
        View::Number(number) if node.kind == Kind::One(Type::Number) => CelValue::Double(number.to_f64()),
        View::Number(number) => number.as_i64().map_or_else(|| value.clone().into(), CelValue::Int),
        View::String(text) => {
            let (made, what) = match node.spoken {
                Spoken::Text => return Some(value.clone().into()),
                Spoken::Date => (CelValue::timestamp(&format!("{text}T00:00:00Z")), "date"),
                Spoken::Time => (CelValue::timestamp(text), "date-time"),
                Spoken::Duration => (go_duration(text).map(CelValue::Duration), "duration"),
                Spoken::Bytes => {
                    let bytes = STANDARD.decode(text).ok();
                    (bytes.map(|bytes| CelValue::Bytes(bytes.into())), "byte")
                }
            };
            let invalid = || CelValue::Unreadable(format!("Invalid {what} formatted string {text}").into());
            made.unwrap_or_else(invalid)
        }
        View::Array(items) => {
            let Some(schema) = &node.items else { return Some(value.clone().into()) };
            let items = items.iter().map(|item| typed(schema, item, steps)).collect::<Option<Vec<_>>>()?;
            match &node.list {
                node::List::Atomic => CelValue::list(items),
                node::List::Set => CelValue::List(List::Associative(Arc::new(Associative::set(items)))),
                node::List::Map(keys) => {
                    let keys = keys.iter().map(|key| escaped(key).map_or_else(|| key.clone(), Into::into));
                    CelValue::List(List::Associative(Arc::new(Associative::keyed(items, keys.collect()))))
                }
            }
        }
        View::Object(_) => {
            let mut entries = Entries::default();
            // Where fields are named, one that is null is as good as none.
            let is_named = !node.properties.is_empty() || node.embedded_resource;
            for (name, field) in value::entries(value).filter(|(_, field)| !is_named || !field.is_null()) {
                let (key, made) = match (node.properties.get(name), &node.additional) {
                    (Some(schema), _) => match escaped(name) {
                        Some(key) => (key, typed(schema, field, steps)?),
                        None => continue,
                    },
                    (None, Some(Additional::Each(schema))) => (name.to_owned(), typed(schema, field, steps)?),
                    (None, _) => (name.to_owned(), field.clone().into()),
                };
                entries.insert(key.into(), made);
            }
            CelValue::Map(Map::from(entries))
        }
        _ => value.clone().into(),
    })
}
