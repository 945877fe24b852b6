//! Types as OPA writes them in its messages, and references as they are written in policies. Long ones are
//! cut.

use std::fmt::Write;

use super::lattice::{Function, Key, Type};

/// Longest text of one type: a longer one helps nobody.
const LONGEST: usize = 400;

/// `array<string>`, `object<a: number>`, `any<null, string>`, and `???` for what is unknown.
pub(super) fn type_text(of: &Type) -> String {
    let mut text = Text(String::new());
    text.of_type(of);
    text.0
}

/// The types of arguments: `(string, number)`.
pub(super) fn arguments(types: &[Type]) -> String {
    let mut text = Text("(".to_owned());
    text.list(types.iter(), Text::of_type);
    text.add(")");
    text.0
}

/// The parameters of a function, with their names, and its result if `has_result`.
pub(super) fn parameters(function: &Function, has_result: bool) -> String {
    let mut text = Text("(".to_owned());
    let result = Some(&function.result).filter(|result| has_result && !result.is_unknown());
    let types = function.params.iter().chain(result).enumerate();
    text.list(types, |text, (position, of)| {
        if let Some(name) = function.names.get(position).filter(|name| !name.is_empty()) {
            text.add(name);
            text.add(": ");
        }
        text.of_type(of);
    });
    text.add(")");
    text.0
}

/// `["a", "b"]`.
pub(super) fn keys(keys: &[Key]) -> String {
    let mut text = Text("[".to_owned());
    text.list(keys.iter(), |text, key| text.key(key, true));
    text.add("]");
    text.0
}

/// A key as it is written in a policy.
pub(super) fn key(key: &Key) -> String {
    let mut text = Text(String::new());
    text.key(key, true);
    text.0
}

struct Text(String);

impl Text {
    fn is_full(&self) -> bool {
        self.0.len() > LONGEST
    }

    fn add(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        for (number, item) in items.enumerate() {
            if number > 0 {
                self.add(", ");
            }
            if self.is_full() {
                self.add("…");
                return;
            }
            each(self, item);
        }
    }

    fn of_type(&mut self, of: &Type) {
        if self.is_full() {
            return self.add("…");
        }
        match of {
            Type::Unknown => self.add("???"),
            Type::Null => self.add("null"),
            Type::Boolean => self.add("boolean"),
            Type::Number => self.add("number"),
            Type::String => self.add("string"),
            Type::Any => self.add("any"),
            Type::Array(array) => {
                self.add("array");
                if !array.fixed.is_empty() {
                    self.add("<");
                    self.list(array.fixed.iter(), Self::of_type);
                    self.add(">");
                }
                if !array.dynamic.is_unknown() {
                    self.add("[");
                    self.of_type(&array.dynamic);
                    self.add("]");
                }
            }
            Type::Object(object) => {
                self.add("object");
                if !object.fixed.is_empty() {
                    self.add("<");
                    self.list(object.fixed.iter(), |text, (key, value)| {
                        text.key(key, false);
                        text.add(": ");
                        text.of_type(value);
                    });
                    self.add(">");
                }
                if let Some((key, value)) = &object.dynamic {
                    self.add("[");
                    self.of_type(key);
                    self.add(": ");
                    self.of_type(value);
                    self.add("]");
                }
            }
            Type::Set(set) => {
                self.add("set[");
                self.of_type(&set.of);
                self.add("]");
            }
            Type::Union(union) => {
                self.add("any<");
                self.list(union.of.iter(), Self::of_type);
                self.add(">");
            }
            Type::Function(function) => {
                self.add("(");
                self.list(function.params.iter(), Self::of_type);
                self.add(") => ");
                self.of_type(&function.result);
            }
        }
    }

    fn key(&mut self, key: &Key, is_quoted: bool) {
        match key {
            Key::Null => self.add("null"),
            Key::Bool(value) => self.add(if *value { "true" } else { "false" }),
            Key::Number(digits) => self.add(&digits.0),
            Key::String(text) if is_quoted => drop(write!(self.0, "{text:?}")),
            Key::String(text) => self.add(text),
            Key::Array(items) => {
                self.add("[");
                self.list(items.iter(), |text, item| text.key(item, is_quoted));
                self.add("]");
            }
            Key::Object(entries) => {
                self.add("{");
                self.list(entries.iter(), |text, (key, value)| {
                    text.key(key, is_quoted);
                    text.add(": ");
                    text.key(value, is_quoted);
                });
                self.add("}");
            }
        }
    }
}
