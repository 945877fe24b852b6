//! Values and lists of names as messages show them.

use crate::value::{self, Value, View};

/// Longest value that a message quotes, in characters.
const QUOTED: usize = 60;
/// Most names that a message lists.
const LISTED: usize = 8;

/// Type and value: "string `nginx`", "null".
pub(super) fn with_type(value: &Value) -> String {
    match value.view() {
        View::Null => "null".to_owned(),
        _ => format!("{} {}", value::type_name(value), quoted(value)),
    }
}

/// The value in backticks, shortened; strings without quotes unless they are empty.
pub(super) fn quoted(value: &Value) -> String {
    match value.view() {
        View::String(text) if !text.is_empty() => format!("`{}`", shortened(text)),
        _ => format!("`{}`", shortened(&value.to_string())),
    }
}

/// "`a`, `b`, `c`"; the first few if there are many.
pub(super) fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> =
        names.into_iter().map(|name| format!("`{}`", shortened(name.as_ref()))).collect();
    match names.get(..LISTED) {
        Some(first) if names.len() > LISTED => {
            format!("{} and {} more", first.join(", "), names.len() - LISTED)
        }
        _ => names.join(", "),
    }
}

/// "1 item", "2 items".
pub(super) fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String =
        chars.by_ref().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
