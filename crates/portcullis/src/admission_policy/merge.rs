//! Merges what a mutating policy applies into an object, as the API server does it: by the types of their fields.

use std::sync::Arc;

use super::types::{Inner, Merge, Type, Types, envelope, field};
use crate::value::{self, Value, View};

/// Deepest nesting of what is merged.
const DEEPEST: usize = 100;

/// Why a patch does not fit.
struct Wrong {
    path: String,
    what: String,
}

/// An object of a type with a patch merged into it.
pub(super) fn apply(types: &Types, ty: Inner<'_>, object: &Value, patch: &Value) -> Result<Value, String> {
    let mut checked = Checked { types, wrong: Vec::new(), replaced: Vec::new() };
    checked.check(ty, patch, "", 0);
    if !checked.wrong.is_empty() {
        let lines: Vec<String> =
            checked.wrong.iter().map(|wrong| format!("{}: {}", wrong.path, wrong.what)).collect();
        let all = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("errors:\n  {}", many.join("\n  ")),
        };
        return Err(format!("failed to convert patch object to typed object: {all}"));
    }
    if !checked.replaced.is_empty() {
        return Err(format!(
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}",
            checked.replaced.join(", ")
        ));
    }
    Ok(merged(types, ty, Some(object), patch, 0))
}

/// Whether an object that was patched is one of its kind.
pub(super) fn fits(types: &Types, ty: Inner<'_>, object: &Value, kind: &str) -> Result<(), String> {
    let mut checked = Checked { types, wrong: Vec::new(), replaced: Vec::new() };
    checked.check(ty, object, "", 0);
    let Some(wrong) = checked.wrong.first() else { return Ok(()) };
    let Wrong { path, what } = wrong;
    // In the words of Go's decoder, as far as they are known.
    if let (Some(wanted), Some(given)) = (what.strip_prefix("expected "), found(object, path)) {
        let wanted = wanted.split(',').next().unwrap_or_default();
        let given = match given.view() {
            View::Number(_) => "number",
            View::String(_) => "string",
            View::Bool(_) => "bool",
            View::Array(_) => "array",
            _ => "object",
        };
        if let "string" | "boolean" = wanted {
            let ty = if wanted == "string" { "string" } else { "bool" };
            let field = field_of(path);
            return Err(format!(
                "json: cannot unmarshal {given} into Go struct field {kind}{field} of type {ty}"
            ));
        }
    }
    Err(format!("the patched object is no `{kind}`: {path}: {what}"))
}

/// What a path of a report leads to.
fn found<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (place, behind) = inner.split_once(']')?;
            value = value::items(value).nth(place.parse().ok()?)?;
            rest = behind;
            continue;
        }
        // Keys may have dots: the longest that there is.
        let inner = rest.strip_prefix('.')?;
        let (key, behind) = value::entries(value)
            .filter_map(|(key, _)| Some((key, inner.strip_prefix(key)?)))
            .filter(|(_, behind)| behind.is_empty() || behind.starts_with(['.', '[']))
            .max_by_key(|(key, _)| key.len())?;
        value = value::get(value, key)?;
        rest = behind;
    }
    Some(value)
}

/// The field of Go's struct: what is in a map has no field of its own.
fn field_of(path: &str) -> String {
    const MAPS: [&str; 5] =
        [".data", ".binaryData", ".stringData", ".metadata.labels", ".metadata.annotations"];
    MAPS.iter().find(|map| path.starts_with(**map)).map_or_else(|| path.to_owned(), |map| (*map).to_owned())
}

struct Checked<'t> {
    types: &'t Types,
    wrong: Vec<Wrong>,
    /// What would be replaced as a whole.
    replaced: Vec<String>,
}

impl Checked<'_> {
    fn wrong(&mut self, path: &str, what: impl Into<String>) {
        self.wrong.push(Wrong { path: path.to_owned(), what: what.into() });
    }

    fn check(&mut self, ty: Inner<'_>, patch: &Value, path: &str, depth: usize) {
        if depth > DEEPEST {
            return self.wrong(path, format!("it is nested more than {DEEPEST} deep"));
        }
        let expected = |what: &str| format!("expected {what}, got {}", shown(patch));
        match (self.types.open(ty), patch.view()) {
            (_, View::Null)
            | (Type::Text, View::String(_))
            | (Type::Number, View::Number(_))
            | (Type::Bool, View::Bool(_))
            | (Type::TextOrNumber, View::String(_) | View::Number(_)) => {}
            (Type::Text | Type::TextOrNumber, _) => self.wrong(path, expected("string")),
            (Type::Number, _) => self.wrong(path, expected("numeric (int or float)")),
            (Type::Bool, _) => self.wrong(path, expected("boolean")),
            (Type::Any, View::Object(_)) => {
                for (key, part) in value::entries(patch) {
                    self.check(Inner::Any, part, &format!("{path}.{key}"), depth + 1);
                }
            }
            (Type::Any, View::Array(_)) => self.replaced.push(path.to_owned()),
            (Type::Any, _) => {}
            (Type::Fields { fields, is_replaced }, View::Object(_)) => {
                if is_replaced {
                    self.replaced.push(path.to_owned());
                }
                for (key, part) in value::entries(patch) {
                    let below = format!("{path}.{key}");
                    let known = field(fields, key);
                    match if path.is_empty() { envelope(key).or(known) } else { known } {
                        Some(ty) => self.check(ty, part, &below, depth + 1),
                        None => self.wrong(&below, "field not declared in schema"),
                    }
                }
            }
            (Type::Map { of, is_replaced }, View::Object(_)) => {
                if is_replaced {
                    self.replaced.push(path.to_owned());
                }
                for (key, part) in value::entries(patch) {
                    self.check(of, part, &format!("{path}.{key}"), depth + 1);
                }
            }
            (Type::Fields { .. } | Type::Map { .. }, _) => self.wrong(path, expected("map")),
            (Type::List { of, merge }, View::Array(items)) => {
                if let Merge::Replaced = merge {
                    self.replaced.push(path.to_owned());
                }
                let mut seen: Vec<Vec<Value>> = Vec::new();
                for (place, item) in items.iter().enumerate() {
                    if let Merge::ByKeys(keys) = merge {
                        let mut found = Vec::new();
                        for (name, usual) in keys.names() {
                            let given = value::get(item, name).filter(|given| !given.is_null()).cloned();
                            match given.or_else(|| usual.map(Value::from)) {
                                Some(given) => found.push(given),
                                None => self.wrong(
                                    path,
                                    format!("element {place}: associative list with keys has an element that omits key field \"{name}\" (and doesn't have default value)"),
                                ),
                            }
                        }
                        if seen.contains(&found) {
                            self.wrong(path, "duplicate entries for a key");
                        }
                        seen.push(found);
                    }
                    self.check(of, item, &format!("{path}[{place}]"), depth + 1);
                }
            }
            (Type::List { .. }, _) => self.wrong(path, expected("list")),
        }
    }
}

/// A value as Go prints it in such errors.
fn shown(value: &Value) -> String {
    match value.view() {
        View::String(text) => format!("&value.valueUnstructured{{Value:{}}}", serde_json::Value::from(text)),
        View::Bool(_) | View::Number(_) => format!("&value.valueUnstructured{{Value:{value}}}"),
        _ => value::describe(value),
    }
}

/// The patch was checked: what does not fit is replaced.
fn merged(types: &Types, ty: Inner<'_>, live: Option<&Value>, patch: &Value, depth: usize) -> Value {
    let Some(live) = live.filter(|live| !live.is_null() && !patch.is_null() && depth <= DEEPEST) else {
        return patch.clone();
    };
    match (types.open(ty), live.view(), patch.view()) {
        (Type::Fields { is_replaced: true, .. } | Type::Map { is_replaced: true, .. }, ..) => patch.clone(),
        (open @ (Type::Fields { .. } | Type::Map { .. } | Type::Any), View::Object(_), View::Object(_)) => {
            let of = |key: &str| match open {
                Type::Fields { fields, .. } => {
                    let known = field(fields, key);
                    if depth == 0 { envelope(key).or(known) } else { known }.unwrap_or(Inner::Any)
                }
                Type::Map { of, .. } => of,
                _ => Inner::Any,
            };
            let kept = value::entries(live).map(|(key, part)| {
                let part = match value::get(patch, key) {
                    Some(new) => merged(types, of(key), Some(part), new, depth + 1),
                    None => part.clone(),
                };
                (Arc::<str>::from(key), part)
            });
            let added = value::entries(patch)
                .filter(|(key, _)| value::get(live, key).is_none())
                .map(|(key, part)| (Arc::from(key), part.clone()));
            value::object(kept.chain(added))
        }
        (Type::List { of, merge }, View::Array(before), View::Array(new)) => match merge {
            Merge::Replaced => patch.clone(),
            Merge::Set => {
                let mut all: Vec<Value> = before.to_vec();
                all.extend(new.iter().filter(|item| !before.contains(item)).cloned());
                all.into_iter().collect()
            }
            Merge::ByKeys(keys) => {
                let names = keys.names();
                let key = |item: &Value| -> Vec<Option<Value>> {
                    let one = |(name, usual): &(&str, Option<&str>)| {
                        let given = value::get(item, name).filter(|given| !given.is_null()).cloned();
                        given.or_else(|| usual.map(Value::from))
                    };
                    names.iter().map(one).collect()
                };
                let mut all = Vec::new();
                for item in before {
                    let other = new.iter().find(|other| key(other) == key(item));
                    all.push(match other {
                        Some(other) => merged(types, of, Some(item), other, depth + 1),
                        None => item.clone(),
                    });
                }
                let is_new = |item: &&Value| !before.iter().any(|known| key(known) == key(item));
                all.extend(new.iter().filter(is_new).cloned());
                all.into_iter().collect()
            }
        },
        _ => patch.clone(),
    }
}
