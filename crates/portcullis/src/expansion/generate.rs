//! One object out of a part of another, as Gatekeeper makes it of what may have any shape: a `metadata` that
//! is no object stays what it is, and gets neither name nor owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Reason;
use super::template::Template;
use crate::names::Gvk;
use crate::value::{self, Value, View};

/// What is expanded.
pub(super) struct Parent<'a> {
    pub(super) value: &'a Value,
    /// The namespace that what is generated lives in, if the caller knows it.
    pub(super) namespace: Option<&'a str>,
}

/// Fields of an object that is being made.
type Fields = BTreeMap<Arc<str>, Value>;

/// Group, version and kind as they are written; empty where they are not texts.
pub(super) fn gvk_of(value: &Value) -> Gvk {
    let text = |key: &str| value::str_at(value, &[key]).unwrap_or_default();
    Gvk::new(text("apiVersion"), text("kind"))
}

/// `metadata.name`, empty if there is none.
pub(super) fn name_of(value: &Value) -> &str {
    value::str_at(value, &["metadata", "name"]).unwrap_or_default()
}

pub(super) fn generate(parent: &Parent<'_>, template: &Template) -> Result<Value, Reason> {
    let mut fields = source(parent, template)?;
    let gvk = &template.generated;
    fields.insert("apiVersion".into(), Value::from(gvk.api_version()));
    fields.insert("kind".into(), Value::from(gvk.kind.clone()));
    let mut metadata = match fields.get("metadata").map(|metadata| (metadata, metadata.view())) {
        None => Some(Fields::new()),
        Some((metadata, View::Object(_))) => Some(copied(metadata)),
        Some(_) => None,
    };
    let namespace = namespace(parent, template)?;
    if let Some(metadata) = &mut metadata {
        if let Some(namespace) = namespace {
            put(metadata, "namespace", namespace);
        }
        put(metadata, "name", &generated_name(name_of(parent.value), &gvk.kind));
        own(metadata, parent.value);
    }
    if let Some(metadata) =
        metadata.filter(|metadata| !metadata.is_empty() || fields.contains_key("metadata"))
    {
        fields.insert("metadata".into(), value::object(metadata));
    }
    Ok(value::object(fields))
}

fn copied(value: &Value) -> Fields {
    value::entries(value).map(|(key, value)| (key.into(), value.clone())).collect()
}

/// An empty text is the same as none.
fn put(fields: &mut Fields, key: &str, text: &str) {
    if text.is_empty() {
        fields.remove(key);
    } else {
        fields.insert(key.into(), Value::from(text));
    }
}

/// The part that the template names, which has to be an object.
fn source(parent: &Parent<'_>, template: &Template) -> Result<Fields, Reason> {
    let missing = || Reason::NoSource {
        source_field: template.source.clone(),
        parent: name_of(parent.value).to_owned(),
    };
    match nested(parent.value, &template.steps) {
        Ok(Some(found)) if found.as_object().is_some() => Ok(copied(found)),
        Ok(Some(found)) => {
            let found = no_object(&template.steps, found);
            Err(Reason::SourceIsNoObject { found })
        }
        Ok(None) => Err(missing()),
        Err(found) => Err(Reason::SourceIsNoObject { found }),
    }
}

/// The value below some keys; `None` if it is not there, an error if one of them is asked of what is no
/// object. Null has nothing.
fn nested<'a>(value: &'a Value, steps: &[Arc<str>]) -> Result<Option<&'a Value>, String> {
    let mut found = value;
    for (position, step) in steps.iter().enumerate() {
        if found.is_null() {
            return Ok(None);
        }
        if found.as_object().is_none() {
            return Err(no_object(steps.get(..=position).unwrap_or(steps), found));
        }
        match value::get(found, step) {
            Some(value) => found = value,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// Where the generated object lives: where the caller says, else where the parent says, if it does.
fn namespace<'a>(parent: &Parent<'a>, template: &Template) -> Result<Option<&'a str>, Reason> {
    if parent.namespace.is_some() {
        return Ok(parent.namespace);
    }
    let unfit = || Reason::NoNamespace {
        source_field: template.source.clone(),
        parent: name_of(parent.value).to_owned(),
    };
    let steps: [Arc<str>; 2] = ["metadata".into(), "namespace".into()];
    match nested(parent.value, &steps) {
        Ok(None) => Ok(None),
        Ok(Some(namespace)) => Ok(Some(namespace.as_str().ok_or_else(unfit)?)),
        Err(_) => Err(unfit()),
    }
}

/// `PARENT-KIND` in lower case, each letter by itself, as Go does it.
fn generated_name(parent: &str, kind: &str) -> String {
    let dash = if kind.is_empty() { "" } else { "-" };
    let whole = parent.chars().chain(dash.chars()).chain(kind.chars());
    whole.map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// Adds the parent to the owners, unless it is among them or has no name. Owners are written as a cluster
/// writes them: what else they have is dropped.
fn own(metadata: &mut Fields, parent: &Value) {
    const KEY: &str = "ownerReferences";
    let text = |key: &str| value::str_at(parent, &[key]).unwrap_or_default();
    let (version, kind, name) = (text("apiVersion"), text("kind"), name_of(parent));
    if version.is_empty() || kind.is_empty() || name.is_empty() {
        return;
    }
    let owners = metadata.get(KEY).map(|owners| value::items(owners).filter_map(owner).collect::<Vec<_>>());
    let mut owners = owners.unwrap_or_default();
    let is = |owner: &Value, key: &str, text: &str| value::str_at(owner, &[key]) == Some(text);
    let is_parent = |owner: &Value| {
        is(owner, "apiVersion", version) && is(owner, "kind", kind) && is(owner, "name", name)
    };
    if owners.iter().any(is_parent) {
        return;
    }
    owners.push(value::object([
        ("apiVersion", Value::from(version)),
        ("kind", Value::from(kind)),
        ("name", Value::from(name)),
        ("uid", Value::from("")),
    ]));
    metadata.insert(KEY.into(), owners.into_iter().collect());
}

fn owner(written: &Value) -> Option<Value> {
    written.as_object()?;
    let text = |key: &'static str| (key, Value::from(value::str_at(written, &[key]).unwrap_or_default()));
    let flag = |key: &'static str| {
        let flag = value::get(written, key).filter(|flag| matches!(flag.view(), View::Bool(_)))?;
        Some((key, flag.clone()))
    };
    let texts = ["apiVersion", "kind", "name", "uid"].map(text);
    Some(value::object(
        texts.into_iter().chain(["controller", "blockOwnerDeletion"].into_iter().filter_map(flag)),
    ))
}

/// That something else stands where an object should, in Go's words.
fn no_object(steps: &[Arc<str>], found: &Value) -> String {
    let path: Vec<&str> = steps.iter().map(|step| &**step).collect();
    let mut shown = String::new();
    print(found, &mut shown);
    let ty = match found.view() {
        View::Null | View::Undefined => "<nil>",
        View::Bool(_) => "bool",
        View::Number(number) if number.is_integer() && number.as_float().is_none() => "int64",
        View::Number(_) => "float64",
        View::String(_) => "string",
        View::Array(_) | View::Set(_) => "[]interface {}",
        View::Object(_) => "map[string]interface {}",
    };
    format!(
        ".{} accessor error: {shown} is of the type {ty}, expected map[string]interface{{}}",
        path.join(".")
    )
}

/// The most that an error shows of a value.
const SHOWN: usize = 1 << 10;

/// A value as Go prints it, the beginning of it if it is long.
fn print(value: &Value, text: &mut String) {
    if text.len() > SHOWN {
        if !text.ends_with('…') {
            text.push('…');
        }
        return;
    }
    match value.view() {
        View::Null | View::Undefined => text.push_str("<nil>"),
        View::String(string) => {
            text.push_str(string);
            text.truncate(text.floor_char_boundary(2 * SHOWN));
        }
        View::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { " " });
                print(item, text);
                if text.len() > SHOWN {
                    break;
                }
            }
            text.push(']');
        }
        View::Object(_) => {
            text.push_str("map[");
            for (position, (key, item)) in value::entries(value).enumerate() {
                text.push_str(if position == 0 { "" } else { " " });
                text.push_str(key);
                text.push(':');
                print(item, text);
                if text.len() > SHOWN {
                    break;
                }
            }
            text.push(']');
        }
        View::Bool(_) | View::Number(_) | View::Set(_) => text.push_str(&value.to_string()),
    }
}
