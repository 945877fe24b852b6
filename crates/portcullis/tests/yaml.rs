//! YAML is what `kubectl` reads. `testdata/documents/readings.jsonl` holds texts with what the readers of
//! Kubernetes made of them; with a program that reads as they do, in `PORTCULLIS_YAML_ORACLE`, generated
//! texts are compared as well.
//!
//! A line is an object: `text`; `stream`, the documents that `kubectl` sends for it, up to the first that it
//! refuses (`refused`); `value`, what `yaml.unmarshal` makes of it, unless it fails (`value_refused`);
//! `here`, why both are refused here although they read the text there. The program answers lines
//! `{"mode": "stream" or "value", "text": …}` with lines `{"docs": […], "error": …}`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

#[path = "yaml/generate.rs"]
mod generate;
#[rustfmt::skip] // Lists of words are read better in lines.
#[path = "yaml/shapes.rs"]
mod shapes;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use generate::{Random, fragment, stream};
use portcullis::{Document, Severity};
use portcullis_rego::{Environment, Program, Query, Unit};
use portcullis_rego_syntax::{Version, parse, resolve};
use portcullis_testkit::named;
use serde_json::Value;
use shapes::{document, manifests};

/// Whether two values are the same; numbers by value, as one has `1e3` where the other has `1000`.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => all_same(left, right),
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn all_same(left: &[Value], right: &[Value]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}

/// What we make of a stream; `None` if any of it is refused.
fn documents(text: &str) -> Option<Vec<Value>> {
    let (documents, problems) = Document::read_all("in.yaml", text);
    let refused = problems.iter().any(|problem| problem.severity() == Severity::Error);
    (!refused).then(|| documents.iter().map(Document::to_json).collect())
}

/// `yaml.unmarshal` as a program.
struct Unmarshal(Program);

impl Unmarshal {
    fn new() -> Self {
        let parsed = parse("package t\nr := yaml.unmarshal(input)", Version::V1);
        let names = resolve(&parsed.module);
        let unit = Unit { module: &parsed.module, names: &names };
        Self(Program::compile(&[unit], &Query::Path(&["t", "r"])).ok().unwrap())
    }

    fn value(&self, text: &str) -> Option<Value> {
        let environment =
            Environment { input: portcullis_value::Value::from(text).into(), ..Environment::default() };
        match self.0.evaluate(&environment).result {
            Ok(value) if !value.is_undefined() => Some(serde_json::to_value(&value).unwrap()),
            Ok(_) | Err(_) => None,
        }
    }
}

/// How a text was read there and here.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    BothRefuse,
    /// We refuse what they read: safe.
    RefusedHere,
    /// We read what they refuse.
    ReadHere,
    /// Other keys or values without an error.
    Wrong,
}

fn compare(theirs: Option<&[Value]>, ours: Option<&[Value]>) -> Verdict {
    match (theirs, ours) {
        (None, None) => Verdict::BothRefuse,
        (None, Some(_)) => Verdict::ReadHere,
        (Some(_), None) => Verdict::RefusedHere,
        (Some(theirs), Some(ours)) if all_same(theirs, ours) => Verdict::Same,
        (Some(_), Some(_)) => Verdict::Wrong,
    }
}

/// A document that is not an object is refused here, where `kubectl` looks at it later.
fn objects(documents: &Value, refused: bool) -> Option<&[Value]> {
    let documents = documents.as_array()?;
    (!refused && documents.iter().all(Value::is_object)).then_some(documents)
}

#[test]
fn recorded_readings_are_ours() {
    let recorded = include_str!("../../../testdata/documents/readings.jsonl");
    let unmarshal = Unmarshal::new();
    let (mut count, mut failures) = (0, Vec::new());
    for line in recorded.split('\n').filter(|line| !line.is_empty()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = row["text"].as_str().unwrap();
        let may_refuse = row.get("here").is_some();
        let theirs = objects(&row["stream"], row.get("refused").is_some());
        let ours = documents(text);
        let verdict = compare(theirs, ours.as_deref());
        let value = row.get("value").map(std::slice::from_ref);
        let our_value = unmarshal.value(text);
        let value_verdict = compare(value, our_value.as_ref().map(std::slice::from_ref));
        for (way, verdict) in [("stream", verdict), ("value", value_verdict)] {
            let fits = matches!(verdict, Verdict::Same | Verdict::BothRefuse)
                || may_refuse && verdict == Verdict::RefusedHere;
            if !fits {
                failures.push(format!("{way}: {verdict:?}: {line}\n  here: {ours:?} {our_value:?}"));
            }
        }
        count += 1;
    }
    assert!(count >= 400, "{count} texts");
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn generated_texts_read_as_the_oracle_reads_them() {
    let Some(program) = named("PORTCULLIS_YAML_ORACLE", "a program that reads as kubectl does") else {
        return;
    };
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (first, count): (u64, u64) =
        (number("PORTCULLIS_YAML_SEED", 1), number("PORTCULLIS_YAML_COUNT", 5_000));
    let mut oracle = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut questions, answers) = (oracle.stdin.take().unwrap(), oracle.stdout.take().unwrap());
    let mut answers = BufReader::new(answers);
    let mut ask = |mode: &str, text: &str| -> Value {
        writeln!(questions, "{}", serde_json::json!({"mode": mode, "text": text})).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let unmarshal = Unmarshal::new();
    let mut counts = std::collections::BTreeMap::<(&str, String), usize>::new();
    let mut wrong = Vec::new();
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let (stream, value) = if seed % 3 == 0 {
            (stream(&mut random), fragment(&mut random))
        } else {
            (manifests(&mut random), document(&mut random))
        };
        let theirs = ask("stream", &stream);
        let ours = documents(&stream);
        let refused = theirs.get("error").is_some();
        let streams = compare(objects(&theirs["docs"], refused), ours.as_deref());
        let theirs_value = ask("value", &value);
        let our_value = unmarshal.value(&value);
        let read =
            theirs_value.get("error").is_none().then(|| theirs_value["docs"].as_array().unwrap().as_slice());
        let values = compare(read, our_value.as_ref().map(std::slice::from_ref));
        let shown = std::env::var_os("PORTCULLIS_YAML_SHOW").is_some();
        for (way, verdict, text, theirs, ours) in [
            ("stream", streams, &stream, &theirs, format!("{ours:?}")),
            ("value", values, &value, &theirs_value, format!("{our_value:?}")),
        ] {
            let listed = matches!(verdict, Verdict::RefusedHere | Verdict::ReadHere) && shown;
            if listed || verdict == Verdict::Wrong {
                let (_, problems) = Document::read_all("in.yaml", text);
                wrong.push(format!(
                    "{way} {seed} {verdict:?}: {text:?}\n  there: {theirs}\n  here: {ours} {problems:?}"
                ));
            }
            *counts.entry((way, format!("{verdict:?}"))).or_default() += 1;
        }
    }
    drop(questions);
    oracle.wait().unwrap();
    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}
