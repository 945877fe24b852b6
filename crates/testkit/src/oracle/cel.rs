//! CEL expressions, and what an API server says of them: the type, then the value or the error, and the cost.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_cel::{
    Allowance, COST_OF_UNIT, CelValue, Desk, Diagnostic, DiagnosticKind, Entries, Environment, EvalErrorKind,
    Evaluation, Map, Program, Stop, Timestamp, Type, Variables,
};
use portcullis_value::{Budget, Limits, Number};
use serde_json::Value;

use super::Judgement;

/// Sets of variables by name.
pub(super) type VariableSets = BTreeMap<String, BTreeMap<String, CelValue>>;

/// What is not bounded by costs must not get in the way of what is compared.
const LIMITS: Limits = Limits { steps: 100_000_000, memory: 1 << 30, depth: 160, output: 4 << 20 };

/// A case of `cel-expressions`, or a set of variables for those that follow.
pub(super) fn judge_expression(case: &Value, sets: &mut VariableSets) -> Result<Option<Judgement>, String> {
    if let Some(name) = case["vars"].as_str() {
        let values = case["value"].as_object().ok_or("variables are an object")?;
        let set = values.iter().map(|(name, value)| (name.clone(), CelValue::from(json(value)))).collect();
        sets.insert(name.to_owned(), set);
        return Ok(None);
    }
    let none = BTreeMap::new();
    let set = match case["varsRef"].as_str() {
        Some(name) => sets.get(name).ok_or_else(|| format!("there are no variables `{name}`"))?,
        None => &none,
    };
    let variables = set.iter().map(|(name, value)| (name.clone(), Type::Dyn, Some(value.clone())));
    judge(case, case, variables.collect()).map(Some)
}

/// A case of `cel-spec`.
pub(super) fn judge_example(case: &Value) -> Result<Judgement, String> {
    let mut variables = Vec::new();
    for (name, declared) in case["vars"].as_object().into_iter().flatten() {
        let ty = ty(declared["type"].as_str().ok_or("a variable has a type")?)?;
        let value = declared.get("value").map(tagged).transpose()?;
        variables.push((name.clone(), ty, value));
    }
    judge(case, &case["k8s"], variables)
}

fn judge(
    case: &Value,
    answer: &Value,
    variables: Vec<(String, Type, Option<CelValue>)>,
) -> Result<Judgement, String> {
    let text = case["expr"].as_str().ok_or("a case has an expression")?;
    let (mut environment, mut values) = (Environment::default(), Variables::default());
    for (name, ty, value) in variables {
        environment = environment.with_variable(&name, ty);
        if let Some(value) = value {
            values = values.with(&name, value);
        }
    }
    let mut notes = Vec::new();
    let difference = match Program::compile(text, &environment) {
        Err(wrong) => refused(text, &wrong, answer, &mut notes),
        Ok(program) => {
            let mut budget = Budget::new(LIMITS, None);
            let evaluation = program.evaluate(&values, &mut budget);
            differs(&program, &evaluation, answer, &mut notes)
                .or_else(|| differs_briefly(&program, &values, &evaluation, &mut notes))
        }
    };
    let shown: String = text.chars().take(160).collect();
    let difference = difference.map(|difference| format!("{difference} | {}", shown.replace('\n', "\\n")));
    Ok(Judgement { text: text.to_owned(), difference, notes })
}

/// How a refusal differs from the recorded answer.
fn refused(
    text: &str,
    wrong: &[Diagnostic],
    answer: &Value,
    notes: &mut Vec<(&'static str, bool)>,
) -> Option<String> {
    let Some(first) = wrong.first() else { return Some("refused for no reason".to_owned()) };
    if let Some(error) = answer["programError"].as_str() {
        let is = first.kind == DiagnosticKind::Constant && class(&first.message) == class(error);
        notes.push(("texts of errors", first.message == error));
        return (!is).then(|| format!("refused otherwise: {}, not {error}", first.message));
    }
    let Some(error) = answer["compileError"].as_str() else {
        return Some(format!("refused, though an API server takes it: {}", first.message));
    };
    let wanted: Vec<(String, String)> = error.split("ERROR: <input>:").filter_map(reported).collect();
    let is_text = |message: &str| message.starts_with("Syntax error") || message.contains("recursion");
    let given: Vec<(String, String)> =
        wrong.iter().map(|wrong| (position(text, wrong.at), wrong.message.clone())).collect();
    if wanted.iter().any(|(_, message)| is_text(message)) {
        // Where the text is no CEL, the words for it are those of a parser that is not ours.
        let is =
            wrong.iter().any(|wrong| matches!(wrong.kind, DiagnosticKind::Syntax | DiagnosticKind::Limit));
        let places = (wanted.first().map(|(place, _)| place), given.first().map(|(place, _)| place));
        notes.push(("places of syntax errors", places.0 == places.1));
        return (!is).then(|| format!("refused otherwise: {}, not {error}", first.message));
    }
    // How types that are not found out are numbered is by chance in Go.
    let unnumbered = |reports: &[(String, String)]| {
        let reports = reports.iter().map(|(place, message)| (place.clone(), without_numbers(message)));
        reports.collect::<Vec<_>>()
    };
    let (mut one, mut other) = (unnumbered(&given), unnumbered(&wanted));
    one.sort();
    other.sort();
    (one != other).then(|| format!("refused otherwise: {given:?}, not {wanted:?}"))
}

/// How an evaluation that does not count differs from the one that does.
fn differs_briefly(
    program: &Program,
    values: &Variables,
    evaluation: &Evaluation,
    notes: &mut Vec<(&'static str, bool)>,
) -> Option<String> {
    let desk = Desk::default();
    let allowance = Allowance::within(&desk, u64::MAX, u64::MAX, u64::MAX);
    let all = allowance.left();
    let brief = program.evaluate_briefly(&values, &allowance);
    notes.push(("evaluated without counting as well", !matches!(brief, Err(Stop::Unsure))));
    let cost = (all - allowance.left()).saturating_mul(COST_OF_UNIT);
    match (&brief, &evaluation.result) {
        (Err(Stop::Unsure), _) => None,
        _ if evaluation.cost > cost => Some(format!("costs {}, briefly {cost} at most", evaluation.cost)),
        (Err(Stop::NoValue), Err(error)) if error.kind == EvalErrorKind::Evaluation => None,
        (Ok(brief), Ok(value)) if plain(&brief.to_value()) == plain(value) => None,
        (brief, result) => Some(format!("{result:?}, and briefly {brief:?}")),
    }
}

/// A value by what it says: a list is the same wherever it lies.
fn plain(value: &CelValue) -> String {
    match value {
        CelValue::List(list) => {
            format!("[{}]", list.iter().map(|item| plain(&item)).collect::<Vec<_>>().join(", "))
        }
        CelValue::Map(map) => {
            let entries = map.entries().into_iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", plain(&key), plain(&value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn without_numbers(message: &str) -> String {
    let mut parts = message.split("_var");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |so_far, part| so_far + "_var" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A place and a message of a report.
fn reported(report: &str) -> Option<(String, String)> {
    let mut parts = report.splitn(3, ':');
    let (line, column, message) = (parts.next()?, parts.next()?, parts.next()?);
    let message = message.split("\n | ").next()?.trim();
    Some((format!("{line}:{column}"), message.to_owned()))
}

/// Line and column, in characters from one on.
fn position(text: &str, at: u32) -> String {
    let before = text.get(..at as usize).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}")
}

/// How an evaluation differs from the recorded answer.
fn differs(
    program: &Program,
    evaluation: &Evaluation,
    answer: &Value,
    notes: &mut Vec<(&'static str, bool)>,
) -> Option<String> {
    for refusal in ["compileError", "programError"] {
        if let Some(error) = answer[refusal].as_str() {
            return Some(format!("taken, though an API server refuses it: {}", error.replace('\n', " ")));
        }
    }
    let ty = program.result().to_string();
    if let Some(wanted) = answer["checkedType"].as_str().filter(|wanted| *wanted != ty) {
        return Some(format!("type {ty}, not {wanted}"));
    }
    let difference = match (&evaluation.result, answer["error"].as_str()) {
        (Ok(value), None) => {
            let one_of = answer["nondeterministic"].as_array().into_iter().flatten();
            let mut wanted = one_of.map(|answer| &answer["value"]).chain([&answer["value"]]);
            let is = wanted.any(|wanted| is_value(value, wanted));
            let is_reordered = is_reordered(&tags(value), &answer["value"]);
            // Where the recording saw several orders, it did not see all that there are.
            let is = is || is_reordered && answer["nondeterministic"].is_array();
            let order = if is_reordered { " in another order" } else { "" };
            (!is).then(|| format!("value{order} {}, not {}", tags(value), answer["value"]))
        }
        (Ok(value), Some(error)) => Some(format!("value {}, not the error {error}", tags(value))),
        (Err(error), None) => Some(format!("error {error}, not {}", answer["value"])),
        (Err(error), Some(wanted)) => {
            notes.push(("texts of errors", error.message == wanted));
            let is_limit = matches!(error.kind, EvalErrorKind::Limit(_));
            let is = !is_limit && class(&error.message) == class(wanted);
            (!is).then(|| format!("error {error}, not {wanted}"))
        }
    };
    if difference.is_some() {
        return difference;
    }
    let cost = evaluation.cost;
    let wanted = answer["cost"].as_u64();
    wanted.filter(|wanted| *wanted != cost).map(|wanted| format!("cost {cost}, not {wanted}"))
}

/// What kind of error a message is about: what it quotes and counts is no part of it.
fn class(message: &str) -> String {
    let parsing = "error parsing regexp";
    if message.contains(parsing) {
        return parsing.to_owned();
    }
    let mut out = String::new();
    let mut rest = message.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                while let Some(inside) = rest.next() {
                    if inside == '\\' {
                        rest.next();
                    } else if inside == '"' {
                        break;
                    }
                }
                out.push('"');
            }
            '0'..='9' => {
                while rest.next_if(|next| next.is_ascii_digit() || *next == '.').is_some() {}
                out.push('#');
            }
            c => out.push(c),
        }
    }
    // What follows this is a value as Go prints it.
    for prefix in [
        "no such key: ",
        "join: invalid input: ",
        "internal error: ",
        "insert failed: key ",
        "cannot initialize optional ",
    ] {
        if out.starts_with(prefix) {
            return prefix.to_owned();
        }
    }
    out
}

/// JSON as API servers read it: what is written as a float stays one.
fn json(value: &Value) -> portcullis_value::Value {
    use portcullis_value::Value as V;
    match value {
        Value::Null => V::NULL,
        Value::Bool(value) => V::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => V::from(number),
            (None, number) => V::from(Number::kept_as_float(number.unwrap_or(f64::NAN))),
        },
        Value::String(text) => V::from(text.as_str()),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Object(entries) => V::object(entries.iter().map(|(key, value)| (key.as_str(), json(value)))),
    }
}

/// The type of a text as the examples write it.
fn ty(text: &str) -> Result<Type, String> {
    if let Some(of) = text.strip_prefix("list(").and_then(|text| text.strip_suffix(')')) {
        return Ok(Type::list(ty(of)?));
    }
    if let Some(of) = text.strip_prefix("map(").and_then(|text| text.strip_suffix(')')) {
        let (key, value) = of.split_once(", ").ok_or("a map has two types")?;
        return Ok(Type::map(ty(key)?, ty(value)?));
    }
    if let Some(of) = text.strip_prefix("optional_type(").and_then(|text| text.strip_suffix(')')) {
        return Ok(Type::optional(ty(of)?));
    }
    Ok(match text {
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "null_type" => Type::Null,
        "timestamp" | "google.protobuf.Timestamp" => Type::Timestamp,
        "duration" | "google.protobuf.Duration" => Type::Duration,
        _ => return Err(format!("no type is called `{text}`")),
    })
}

/// A value with its tag.
fn tagged(value: &Value) -> Result<CelValue, String> {
    let wrong = || format!("no value: {value}");
    let (tag, inside) = value.as_object().and_then(|object| object.iter().next()).ok_or_else(wrong)?;
    let text = inside.as_str();
    Ok(match tag.as_str() {
        "null" => CelValue::Null,
        "bool" => CelValue::Bool(inside.as_bool().ok_or_else(wrong)?),
        "int" => CelValue::Int(text.and_then(|text| text.parse().ok()).ok_or_else(wrong)?),
        "uint" => CelValue::Uint(text.and_then(|text| text.parse().ok()).ok_or_else(wrong)?),
        "double" => CelValue::Double(text.and_then(|text| text.parse().ok()).ok_or_else(wrong)?),
        "string" => CelValue::from(text.ok_or_else(wrong)?),
        "bytes" => {
            CelValue::Bytes(text.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(wrong)?.into())
        }
        "list" => {
            let items = inside.as_array().ok_or_else(wrong)?.iter().map(tagged);
            CelValue::List(items.collect::<Result<Vec<_>, _>>()?.into())
        }
        "map" => {
            let mut entries = Entries::default();
            for entry in inside.as_array().ok_or_else(wrong)? {
                entries.insert(tagged(&entry[0])?, tagged(&entry[1])?).ok_or_else(wrong)?;
            }
            CelValue::Map(Map::from(entries))
        }
        _ => return Err(wrong()),
    })
}

/// A value with its tag, as it is recorded.
fn tags(value: &CelValue) -> Value {
    let one = |tag: &str, value: Value| Value::Object([(tag.to_owned(), value)].into_iter().collect());
    let text = |tag: &str, text: String| one(tag, Value::String(text));
    match value {
        CelValue::Null => one("null", Value::Bool(true)),
        CelValue::Bool(value) => one("bool", Value::Bool(*value)),
        CelValue::Int(value) => text("int", value.to_string()),
        CelValue::Uint(value) => text("uint", value.to_string()),
        CelValue::Double(value) if value.is_nan() => text("double", "NaN".to_owned()),
        CelValue::Double(value) if value.is_infinite() => {
            text("double", if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        }
        CelValue::Double(value) => text("double", value.to_string()),
        CelValue::String(value) => text("string", value.as_str().to_owned()),
        CelValue::Bytes(bytes) => text("bytes", STANDARD.encode(bytes)),
        CelValue::Timestamp(moment) => text("timestamp", Timestamp::utc(*moment).to_string()),
        CelValue::Duration(span) => text("duration_ns", span.to_string()),
        CelValue::List(list) => one("list", list.iter().map(|item| tags(&item)).collect()),
        CelValue::Map(map) => {
            let mut entries: Vec<(String, Value)> = map
                .entries()
                .iter()
                .map(|(key, value)| {
                    let key = tags(key);
                    (key.to_string(), Value::Array(vec![key, tags(value)]))
                })
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            one("map", entries.into_iter().map(|(_, entry)| entry).collect())
        }
        CelValue::Optional(None) => one("optional", Value::Null),
        CelValue::Optional(Some(value)) => one("optional", tags(value)),
        CelValue::Type(name) => text("type", name.to_string()),
        CelValue::Ip(_) => text("ip", value.to_string()),
        CelValue::Cidr(_) => text("cidr", value.to_string()),
        CelValue::Url(_) => text("url", value.to_string()),
        CelValue::Quantity(_) => text("quantity", value.to_string()),
        CelValue::Semver(_) => text("semver", value.to_string()),
        CelValue::Format(_) => text("format", value.to_string()),
        CelValue::Object(name) => text("object", name.to_string()),
        CelValue::Rights(rights) => text("object", rights.type_name().to_owned()),
        CelValue::Typed(typed) => text("object", typed.name.to_string()),
        CelValue::Unreadable(message) => text("unreadable", message.to_string()),
    }
}

/// Whether two lists have the same elements.
fn is_reordered(a: &Value, b: &Value) -> bool {
    let sorted = |value: &Value| {
        let mut items: Vec<String> = value["list"].as_array()?.iter().map(ToString::to_string).collect();
        items.sort();
        Some(items)
    };
    sorted(a).is_some() && sorted(a) == sorted(b)
}

/// Whether a value is the recorded one. Floats are compared by what they are worth.
fn is_value(value: &CelValue, recorded: &Value) -> bool {
    same(&tags(value), recorded)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(one), Value::Object(other)) => {
            if let (Some(Value::String(a)), Some(Value::String(b))) = (one.get("double"), other.get("double"))
            {
                let (a, b) = (a.parse::<f64>(), b.parse::<f64>());
                return matches!((a, b), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
            }
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}
