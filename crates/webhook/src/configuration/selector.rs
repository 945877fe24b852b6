//! Label selectors, as `kubectl` takes them after `-l`: `env=prod`, `env!=dev`, `tier in (a, b)`, `tier notin (a)`, `team`, `!team`.

use std::str::FromStr;

use serde_json::{Value, json};

/// What a namespace's labels have to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: &'static str,
    values: Vec<String>,
}

impl Selector {
    /// As the expressions of a `LabelSelector`.
    #[must_use]
    pub fn expressions(&self) -> Vec<Value> {
        let requirements = self.0.iter();
        let expression = |requirement: &Requirement| {
            let (key, operator) = (&requirement.key, requirement.operator);
            if requirement.values.is_empty() {
                json!({"key": key, "operator": operator})
            } else {
                json!({"key": key, "operator": operator, "values": requirement.values})
            }
        };
        requirements.map(expression).collect()
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split(text)?;
        parts.into_iter().map(requirement).collect::<Result<_, _>>().map(Self)
    }
}

/// At commas that are in no parentheses.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (position, character) in text.char_indices() {
        match character {
            '(' if inside => return Err(wrong(text)),
            '(' => inside = true,
            ')' if !inside => return Err(wrong(text)),
            ')' => inside = false,
            ',' if !inside => {
                parts.push(text.get(start..position).unwrap_or_default().trim());
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    if inside { Err(wrong(text)) } else { Ok(parts) }
}

fn wrong(text: &str) -> String {
    format!("`{text}`: expected a label selector, such as `env=prod`, `env in (prod, test)` or `!legacy`")
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let made = |key: &str, operator, values: Vec<&str>| {
        let key = key.trim();
        let is_good = is_key(key) && values.iter().all(|value| is_value(value));
        let values = values.into_iter().map(str::to_owned).collect();
        is_good.then(|| Requirement { key: key.to_owned(), operator, values }).ok_or_else(|| wrong(text))
    };
    if let Some(rest) = text.strip_suffix(')') {
        let (head, list) = rest.split_once('(').ok_or_else(|| wrong(text))?;
        let values: Vec<&str> = list.split(',').map(str::trim).collect();
        return match head.trim().rsplit_once(char::is_whitespace) {
            Some((key, "in")) => made(key, "In", values),
            Some((key, "notin")) => made(key, "NotIn", values),
            _ => Err(wrong(text)),
        };
    }
    if let Some(key) = text.strip_prefix('!') {
        return made(key, "DoesNotExist", Vec::new());
    }
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, "NotIn", vec![value.trim()]);
    }
    match text.split_once('=') {
        Some((key, value)) => made(key, "In", vec![value.strip_prefix('=').unwrap_or(value).trim()]),
        None => made(text, "Exists", Vec::new()),
    }
}

fn is_key(key: &str) -> bool {
    let is_prefix = |prefix: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        (1..=253).contains(&prefix.len()) && prefix.chars().all(plain)
    };
    match key.split_once('/') {
        Some((prefix, name)) => is_prefix(prefix) && is_name(name),
        None => is_name(key),
    }
}

fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= 63 && name.chars().all(plain) && edge(name.chars().next()) && edge(name.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_kubectl_writes_them() {
        let selector: Selector =
            "env=prod, env!=dev,tier in (a, b),kubernetes.io/metadata.name notin (x),team,!legacy,a==b,c="
                .parse()
                .unwrap();
        let expected = json!([
            {"key": "env", "operator": "In", "values": ["prod"]},
            {"key": "env", "operator": "NotIn", "values": ["dev"]},
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["x"]},
            {"key": "team", "operator": "Exists"},
            {"key": "legacy", "operator": "DoesNotExist"},
            {"key": "a", "operator": "In", "values": ["b"]},
            {"key": "c", "operator": "In", "values": [""]},
        ]);
        assert_eq!(Value::from(selector.expressions()), expected);
        for text in [
            "",
            ",",
            "a=",
            "a in ()",
            "a in b",
            "a in (b",
            "a (b)",
            "(a)",
            "a)b(",
            "a in ((b))",
            "-a",
            "a=b c",
            "!",
            "a/b/c",
            "a>1",
        ] {
            let parsed = text.parse::<Selector>();
            let is_fine = ["a=", "a in ()"].contains(&text);
            assert_eq!(parsed.is_ok(), is_fine, "{text}");
        }
    }
}
