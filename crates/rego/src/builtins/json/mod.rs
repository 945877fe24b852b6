//! JSON as texts, and what is addressed by paths.
//!
//! ```text
//! text <--portcullis_value::json--> value       value --paths.rs (filter, remove), patch.rs--> value
//! ```

mod patch;
mod paths;

use portcullis_value::json::{self, JsonError, Layout};
use portcullis_value::{Budget, Output, Value, View, quote};

use super::operand::{text, value, wrong_type};
use super::{Context, Failure, Outcome, undefined};

table![
    "json.filter" => paths::filter,
    "json.is_valid" => is_valid,
    "json.marshal" => marshal,
    "json.marshal_with_options" => marshal_with_options,
    "json.patch" => patch::patch,
    "json.remove" => paths::remove,
    "json.unmarshal" => unmarshal,
];

fn marshal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    portcullis_value::weigh(context.budget, value(args, 1)?)?;
    let value = value(args, 1)?;
    context.write(|out| json::write(out, value, None))
}

/// `indent` and `prefix` ask for lines, unless `pretty` says otherwise.
fn marshal_with_options(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    portcullis_value::weigh(context.budget, value(args, 1)?)?;
    let View::Object(options) = value(args, 2)?.view() else {
        return Err(wrong_type(2, value(args, 2)?, &["object"]));
    };
    let (mut indent, mut prefix) = ("\t", "");
    let (mut is_asked, mut is_pretty) = (false, None);
    for (key, option) in options.iter() {
        let View::String(key) = key.view() else {
            return Err(undefined("operand 2 failed to stringify a key"));
        };
        match (key, option.view()) {
            ("indent", View::String(text)) => (indent, is_asked) = (text, true),
            ("prefix", View::String(text)) => (prefix, is_asked) = (text, true),
            ("pretty", View::Bool(value)) => is_pretty = Some(value),
            ("indent" | "prefix", _) => {
                return Err(undefined(format!("operand 2 key {} failed cast to string", quote(key))));
            }
            ("pretty", _) => {
                return Err(undefined(format!("operand 2 key {} failed cast to bool", quote(key))));
            }
            _ => {
                let shown: String = key.chars().take(60).collect();
                return Err(undefined(format!("operand 2 object contained unknown key {}", quote(&shown))));
            }
        }
    }
    let value = value(args, 1)?;
    let layout = is_pretty.unwrap_or(is_asked).then_some(Layout { prefix, indent });
    context.write(|out| {
        // The writer begins lines, of which the first is none.
        layout.map_or(Ok(()), |layout| out.push_str(layout.prefix))?;
        json::write(out, value, layout)
    })
}

/// The value of a text.
pub(super) fn parse(budget: &mut Budget<'_>, text: &str) -> Outcome {
    json::parse(budget, text).map_err(|error| match error {
        JsonError::Invalid(sentence) => undefined(sentence),
        JsonError::Limit(limit) => limit.into(),
    })
}

fn unmarshal(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    parse(context.budget, text(args, 1)?)
}

fn is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::String(text) = value(args, 1)?.view() else { return Ok(Value::FALSE) };
    Ok(Value::from(json::is_valid(context.budget, text)?))
}

/// A key of an object as JSON has it: what is not a text becomes one.
pub(super) fn key(budget: &mut Budget<'_>, key: &Value) -> Result<String, Failure> {
    if let View::String(text) = key.view() {
        budget.make_text(text.len())?;
        return Ok(text.to_owned());
    }
    let mut out = Output::within(budget);
    let written = json::write(&mut out, key, None);
    Ok(out.finish(budget, written)?)
}
