//! What an API server says of fields that are wrong, in its words.

use crate::error::{Error, ErrorKind};
use crate::node::Node;

/// A field that has to be there, or has to have something in it.
pub(super) fn missing(parent: &Node<'_>, key: &str, why: &str) -> Error {
    let path = parent.path().child(key);
    match parent.field(key) {
        Some(node) => required(&node, why),
        None => parent.error(ErrorKind::MissingField, with("Required value", why)).in_field(path),
    }
}

/// The same of a field that is there and empty.
pub(super) fn required(node: &Node<'_>, why: &str) -> Error {
    node.error(ErrorKind::MissingField, with("Required value", why))
}

pub(super) fn invalid(node: &Node<'_>, value: &str, why: &str) -> Error {
    node.error(ErrorKind::InvalidValue, with(&format!("Invalid value: {}", quoted(value)), why))
}

/// The same of a list of texts.
pub(super) fn invalid_list<T: AsRef<str>>(node: &Node<'_>, values: &[T], why: &str) -> Error {
    let list: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
    node.error(ErrorKind::InvalidValue, with(&format!("Invalid value: [{}]", list.join(",")), why))
}

pub(super) fn unsupported(node: &Node<'_>, value: &str, words: &[&str]) -> Error {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let message = format!("Unsupported value: {}: supported values: {}", quoted(value), words.join(", "));
    node.error(ErrorKind::InvalidValue, message)
}

pub(super) fn duplicate(node: &Node<'_>, value: &str) -> Error {
    node.error(ErrorKind::InvalidValue, format!("Duplicate value: {}", quoted(value)))
}

pub(super) fn forbidden(node: &Node<'_>, why: &str) -> Error {
    node.error(ErrorKind::InvalidValue, with("Forbidden", why))
}

pub(super) fn too_many(node: &Node<'_>, number: usize, most: usize) -> Error {
    let message = format!("Too many: {number}: must have at most {most} items");
    node.error(ErrorKind::InvalidValue, message)
}

fn with(what: &str, why: &str) -> String {
    if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") }
}

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Longest name of a label, and longest value of one.
const LONGEST_LABEL: usize = 63;
const LONGEST_SUBDOMAIN: usize = 253;

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

/// What is wrong with the key of a label, or another name with an optional domain before it.
pub(super) fn qualified_name(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut parts = value.split('/');
    let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let name = match (second, third) {
        (None, _) => first,
        (Some(name), None) => {
            if first.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(subdomain(first).into_iter().map(|why| format!("prefix part {why}")));
            }
            name
        }
        _ => {
            let why = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {NAME} {why}")];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LONGEST_LABEL {
        wrong.push(format!("name part {}", too_long(LONGEST_LABEL)));
    }
    if name.is_empty() || !is_label(name) {
        wrong.push(format!("name part {NAME}"));
    }
    wrong
}

/// What is wrong with the value of a label.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    if !is_label(value) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

/// What is wrong with the name of an object, or a domain.
pub(super) fn subdomain(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > LONGEST_SUBDOMAIN {
        wrong.push(too_long(LONGEST_SUBDOMAIN));
    }
    let is_part = |part: &str| {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    if !value.split('.').all(is_part) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// What is wrong with a version, or a kind in lower case.
pub(super) fn label_1035(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_one = value.starts_with(|c: char| c.is_ascii_lowercase())
        && value.chars().all(is_inner)
        && !value.ends_with('-');
    if !is_one {
        wrong.push(LABEL_1035.to_owned());
    }
    wrong
}

/// What is wrong with a name that has to fit into a path of HTTP.
pub(super) fn path_segment(name: &str) -> Vec<String> {
    if [".", ".."].contains(&name) {
        return vec![format!("may not be '{name}'")];
    }
    let not = ["/", "%"].into_iter().filter(|part| name.contains(part));
    not.map(|part| format!("may not contain '{part}'")).collect()
}

/// Whether it may be a part of a label; the empty text may be a value.
fn is_label(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.chars().all(is_inner) && is_edge(text.chars().next()) && is_edge(text.chars().next_back())
}
