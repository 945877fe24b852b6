//! What the row of a builtin says of it is so, and each is shown by an example and pays for what it reads:
//! programs are compiled by what rows say, and nobody looks again.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::builtins::{Answers, Effects, Nesting, Shape, all};
use portcullis_value::{Budget, Limits, Value, View};

use super::super::{BY_NAME, Builtin, Caches, Context, Failure, Outcome, Outside};
use super::{NOW, read, show};

/// Values of all shapes that builtins tell apart, and one text at least that each can read.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "2",
    "-3.5",
    "7000000000000000000",
    "12345678901234567890123456789",
    r#""""#,
    r#""a""#,
    r#""b.a/é""#,
    r#""10.0.0.0/30""#,
    r#""1.2.3""#,
    r#""[{\"op\": \"add\"}]""#,
    r#""(a|b)+""#,
    r#""1Ki""#,
    r#""1h""#,
    r#""2006-01-02T15:04:05Z""#,
    r#""eyJhbGciOiJub25lIn0.e30.""#,
    "[]",
    r#"["a", "a/b"]"#,
    "[2, 1]",
    "[[1], {\"a\": [true]}]",
    r#"[{"op": "add", "path": "a", "value": [1]}]"#,
    r#"{"a", "b"}"#,
    "{1, [2]}",
    "{{1}, {1, 2}}",
    "{}",
    r#"{"a": "b"}"#,
    r#"{"a": ["b", "c"], "b": {"a": [[1]]}}"#,
    r#"{"keys": [], "provider": "a"}"#,
];

/// Levels of what is called flat: a scalar, a list of them, a table.
const FLAT: u32 = 2;

fn builtins() -> Vec<&'static Builtin> {
    all().filter_map(|row| BY_NAME.get(row.name)).collect()
}

fn call_within(
    builtin: &Builtin,
    args: &[Value],
    budget: &mut Budget<'_>,
    now_ns: i64,
    seed: u64,
) -> Outcome {
    let caches = Caches::default();
    let args: Vec<&Value> = args.iter().collect();
    let mut text = String::new();
    let mut outside = Outside::default();
    let mut context = Context {
        budget,
        now_ns: Some(now_ns),
        seed,
        caches: &caches,
        outside: &mut outside,
        text: &mut text,
    };
    builtin.ask(&mut context, &args)
}

fn call_at(builtin: &Builtin, args: &[Value], now_ns: i64, seed: u64) -> Outcome {
    call_within(builtin, args, &mut Budget::new(Limits::default(), None), now_ns, seed)
}

/// All lists of so many values.
fn lists(values: &[Value], length: usize) -> Vec<Vec<Value>> {
    (0..length).fold(vec![Vec::new()], |lists, _| {
        let longer = |list: &Vec<Value>| {
            let list = list.clone();
            values.iter().map(move |value| list.iter().cloned().chain([value.clone()]).collect())
        };
        lists.iter().flat_map(longer).collect()
    })
}

/// All lists of arguments that are tried: fewer of each shape, the more there are.
fn arguments(builtin: &Builtin) -> Vec<Vec<Value>> {
    let most = match builtin.row.arity {
        0..=2 => usize::MAX,
        3 => 3,
        _ => 2,
    };
    let mut counts = BTreeMap::new();
    let values = VALUES.iter().map(|text| read(text).unwrap()).filter(|value| {
        let count = counts.entry(format!("{:?}", shape(value))).or_insert(0);
        *count += 1;
        *count <= most
    });
    lists(&values.collect::<Vec<_>>(), builtin.row.arity)
}

fn depth(value: &Value) -> u32 {
    let deepest = match value.view() {
        View::Array(items) => items.iter().map(depth).max(),
        View::Set(items) => items.iter().map(depth).max(),
        View::Object(object) => object.iter().map(|(key, value)| depth(key).max(depth(value))).max(),
        _ => return 0,
    };
    deepest.unwrap_or(0) + 1
}

fn shape(value: &Value) -> Option<Shape> {
    Some(match value.view() {
        View::Undefined => return None,
        View::Null => Shape::Null,
        View::Bool(_) => Shape::Boolean,
        View::Number(_) => Shape::Number,
        View::String(_) => Shape::String,
        View::Array(_) => Shape::Array,
        View::Object(_) => Shape::Object,
        View::Set(_) => Shape::Set,
    })
}

/// What the row says that is not so; none if all of it is.
fn contradiction(builtin: &Builtin, args: &[Value], outcome: &Outcome) -> Option<String> {
    let row = builtin.row;
    match outcome {
        Err(Failure::Limit(_) | Failure::Unavailable(_) | Failure::Wrong(_) | Failure::Unanswered)
            if row.effects == Effects::Infallible =>
        {
            return Some("it fails, and is said not to".to_owned());
        }
        Err(_) => return None,
        Ok(value) if value.is_undefined() => return None,
        Ok(value) => {
            let most = match row.nesting {
                Nesting::Flat => FLAT,
                Nesting::Arguments(more) => args.iter().map(depth).max().unwrap_or(0) + more,
                Nesting::Bounded | Nesting::Unknown => u32::MAX,
            };
            let levels = depth(value) - u32::from(row.answers == Answers::Each);
            if levels > most {
                return Some(format!("a result of {levels} levels, not {most}"));
            }
            if row.result().is_some_and(|said| shape(value) != Some(said)) {
                return Some(format!("a result that is {:?}, not {:?}", shape(value), row.result()));
            }
            if row.answers == Answers::Each && shape(value) != Some(Shape::Array) {
                return Some("its answers are no list".to_owned());
            }
        }
    }
    let is_closed = matches!(row.effects, Effects::Closed | Effects::Infallible);
    let other = is_closed.then(|| call_at(builtin, args, NOW + 1_000_000_007, 2));
    other.is_some_and(|other| other != *outcome).then(|| "it asks for more than its arguments".to_owned())
}

#[test]
fn what_rows_say_is_so() {
    let mut failures = BTreeMap::new();
    for builtin in builtins() {
        let mut answers = 0;
        for args in arguments(builtin) {
            let outcome = call_at(builtin, &args, NOW, 1);
            answers += u32::from(outcome.is_ok());
            if let Some(found) = contradiction(builtin, &args, &outcome) {
                let args: Vec<String> = args.iter().map(show).collect();
                failures.entry(builtin.row.name).or_insert(format!("{found}: {}", args.join(", ")));
            }
        }
        if answers == 0 {
            failures.insert(builtin.row.name, "none of the arguments has an answer".to_owned());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Those that answer by the outermost form of an argument, or by a part of it of a given size.
const LOOK_AT_LITTLE: &[&str] = &[
    "array.slice",
    "cast_array",
    "cast_object",
    "cast_set",
    "cast_string",
    "count of a collection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "object.get",
    "semver.is_valid of a collection",
    "trace",
    "type_name",
    "walk",
];

/// A large value of each shape that a parameter may have by its row.
fn large(types: &str) -> Vec<Value> {
    let texts = |count: u32| (0..count).map(|number| Value::from(format!("k{number}")));
    let mut all = Vec::new();
    let may_be = |word: &str| types.split(['<', '[', ',', ' ', ']', '>']).any(|found| found == word);
    let is_any = types.trim_end().ends_with("any");
    if may_be("string") || is_any {
        all.push(Value::from("a".repeat(1 << 19)));
    }
    if may_be("array") || is_any {
        all.push(Value::from(texts(20_000).collect::<Vec<_>>()));
    }
    if may_be("set") || is_any {
        all.push(Value::from(texts(20_000).collect::<BTreeSet<_>>()));
    }
    if may_be("object") || is_any {
        all.push(Value::from(texts(20_000).map(|key| (key.clone(), key)).collect::<BTreeMap<_, _>>()));
    }
    all
}

/// A text like this is 8192 steps to read, and a collection one for each element.
const LEAST: u64 = 8_000;

#[test]
fn large_arguments_are_paid_for() {
    let mut free = BTreeSet::new();
    for builtin in builtins() {
        let types = builtin.row.signature.split("->").next().unwrap_or_default();
        let mut parts = vec![String::new()];
        let mut open = 0;
        for c in types.chars() {
            open += i32::from(matches!(c, '<' | '[')) - i32::from(matches!(c, '>' | ']'));
            if c == ',' && open == 0 {
                parts.push(String::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(c);
            }
        }
        let choices: Vec<Vec<Value>> = parts.iter().map(|part| large(part)).collect();
        let Some(most) = choices.iter().map(Vec::len).max().filter(|_| builtin.row.arity > 0) else {
            continue;
        };
        for turn in 0..most {
            let args: Vec<Value> = choices
                .iter()
                .map(|values| {
                    values.get(turn % values.len().max(1)).cloned().unwrap_or_else(|| Value::from(2))
                })
                .collect();
            let mut budget = Budget::new(Limits::default(), None);
            let outcome = call_within(builtin, &args, &mut budget, NOW, 1);
            let used = budget.steps().saturating_add(budget.memory() / 64);
            if outcome.is_ok_and(|value| !value.is_undefined()) && used < LEAST {
                let is_text = args.first().is_some_and(|first| matches!(first.view(), View::String(_)));
                let name = builtin.row.name;
                // These read texts.
                let reads_texts = matches!(name, "count" | "semver.is_valid") && !is_text;
                free.insert(if reads_texts { format!("{name} of a collection") } else { name.to_owned() });
            }
        }
    }
    let free: Vec<&str> = free.iter().map(String::as_str).collect();
    assert_eq!(free, LOOK_AT_LITTLE, "who reads an argument asks the budget before");
}

#[test]
fn every_builtin_has_an_example() {
    let mut examples: Vec<String> =
        ["aggregates", "collections", "encodings", "numbers", "patterns", "texts", "times"]
            .map(|family| std::fs::read_to_string(format!("src/builtins/tests/{family}.txt")).unwrap())
            .into();
    let cases = std::fs::read_dir("../../testdata/builtins").unwrap();
    examples.extend(cases.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()));
    let is_shown = |name: &str| {
        let call = format!("{name}(");
        examples.iter().any(|text| {
            text.match_indices(&call).any(|(at, _)| {
                let before = text.get(..at).and_then(|before| before.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
            })
        })
    };
    let missing: Vec<&str> =
        builtins().iter().map(|builtin| builtin.row.name).filter(|name| !is_shown(name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "these are in no example");
}
