//! The cases of `testdata/semantics`: what the rule `r` of a module is, as OPA has it.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fmt::Write as _;
use std::path::Path;

use portcullis_rego::{Coverage, Environment, Made, Program, Query, Unit, Workspace};
use portcullis_rego_syntax::{Environment as Surroundings, Version, parse, resolve_in};
use portcullis_testkit::specialised;
use portcullis_value::Value;
use serde::Deserialize;

const INPUT: &str = r#"{
    "xs": [10, 20, 30], "ys": {"a": 1, "b": 2}, "m": {"p": "q", "q": "r"}, "f": false, "n": null,
    "i": {"k": "a", "one": 1}, "cs": [{"n": "c0", "l": [0, 1]}, {"n": "c1", "l": [1]}],
    "pairs": [["a", 1], ["b", 2]]
}"#;
const DATA: &str = r#"{
    "inv": {"ns": {"d": {"v1": {"Pod": {"a": 1}}}}}, "arr": [1, 2], "t": {"base": 7}, "lib": {"base": 8},
    "objs": {
        "n1": {"a": {"host": "x", "size": 1, "tags": ["s", "t"]}, "b": {"host": "y", "size": 1.0, "tags": []}},
        "n2": {"a": {"host": "x", "size": "1"}, "c": {"size": {"k": [1]}, "tags": ["t", "t"]}, "d": {"host": null}}
    }
}"#;

/// One of `is`, `undefined` and `error`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The value, as a term of Rego.
    is: Option<String>,
    #[serde(default)]
    undefined: bool,
    /// A part of the message.
    error: Option<String>,
    #[serde(default)]
    version: Dialect,
    /// Of the package `t`.
    module: String,
    /// Another module, with its package.
    beside: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Dialect {
    V0,
    #[default]
    V1,
}

impl Case {
    fn answer(&self) -> Result<Value, String> {
        let version = match self.version {
            Dialect::V0 => Version::V0,
            Dialect::V1 => Version::V1,
        };
        let own = format!("package t\n{}", self.module);
        answer(&[Some(own.as_str()), self.beside.as_deref()], version)
    }

    fn holds(&self, found: &Result<Value, String>) -> bool {
        match (found, &self.is, &self.error) {
            (Ok(value), None, None) => self.undefined && value.is_undefined(),
            (Ok(value), Some(wanted), None) => {
                answer(&[Some(&format!("package t\nr := {wanted}"))], Version::V1).as_ref() == Ok(value)
            }
            (Err(message), None, Some(wanted)) => message.contains(wanted),
            _ => false,
        }
    }
}

/// `data.t.r`.
fn answer(texts: &[Option<&str>], version: Version) -> Result<Value, String> {
    let parsed: Vec<_> = texts.iter().flatten().map(|text| parse(text, version)).collect();
    let mut names = Vec::new();
    for own in &parsed {
        let package_rules = parsed
            .iter()
            .filter(|other| other.module.package_path() == own.module.package_path())
            .flat_map(|other| other.module.rules.iter().map(|rule| rule.name().to_owned()))
            .collect();
        let resolved = resolve_in(&own.module, &Surroundings { package_rules, ..Surroundings::default() });
        if let Some(diagnostic) = own.diagnostics.iter().chain(&resolved.diagnostics).next() {
            return Err(diagnostic.message.clone());
        }
        names.push(resolved);
    }
    let units: Vec<Unit<'_>> =
        parsed.iter().zip(&names).map(|(own, names)| Unit { module: &own.module, names }).collect();
    let program = Program::compile(&units, &Query::Path(&["t", "r"]))
        .map_err(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))?;
    let environment = Environment {
        input: Value::from_json(INPUT).unwrap().into(),
        data: Value::from_json(DATA).unwrap(),
        ..Environment::default()
    };
    let alone = specialised::evaluate(&program, &environment)?;
    let indexes = program.indexes(&environment.data);
    let kept = program.evaluate(&Environment { indexes: indexes.as_ref(), ..environment.clone() });
    assert_eq!((&alone.result, &alone.prints), (&kept.result, &kept.prints), "{texts:?}");
    // Marks change nothing, and a rule that has an answer is reached.
    let covered = Program::compile_each(&units, &[&["t", "r"], &["t"]], Made::Covered);
    let [covered, _] = covered.unwrap().try_into().unwrap();
    let coverage = Coverage::of(&covered);
    let marked = covered.evaluate_covered(&mut Workspace::default(), &environment, &coverage);
    assert_eq!((&alone.result, &alone.prints), (&marked.result, &marked.prints), "{texts:?}");
    let statements = coverage.statements(&covered);
    let reached = statements.iter().filter(|statement| statement.is_reached).count();
    if alone.result.as_ref().is_ok_and(|value| !value.is_undefined()) && !statements.is_empty() {
        assert!(reached > 0, "{texts:?}");
    }
    alone.result.map_err(|error| error.message)
}

#[test]
fn rules_are_what_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/semantics");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for file in files {
        let cases: Vec<Case> = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for case in &cases {
            let found = case.answer();
            if !case.holds(&found) {
                failures.push(format!("{}: {found:?}\n{}", file.display(), case.module));
            }
        }
        count += cases.len();
    }
    assert!(count > 100, "{count} cases");
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

/// `r` and others of which each needs the next, `length` in all, their names in the order of the row or against
/// it. With a `step` each name has two documents, of which one needs the next.
fn row(length: usize, is_ascending: bool, step: &str) -> String {
    let last = length - 2;
    let name = |number: usize| format!("a{:03}{step}", if is_ascending { number } else { last - number });
    let mut text = format!("package t\nr := {}\n{} := 1\n", name(0), name(last));
    for number in 0..last {
        writeln!(text, "{} := {}", name(number), name(number + 1)).unwrap();
        if !step.is_empty() {
            writeln!(text, "a{number:03}.other := 2").unwrap();
        }
    }
    text
}

#[test]
fn a_row_of_rules_has_the_same_limit_in_whatever_order_they_are() {
    for is_ascending in [true, false] {
        for step in ["", ".value"] {
            let found = |length| answer(&[Some(&row(length, is_ascending, step))], Version::V1);
            assert_eq!(found(128), Ok(Value::from(1)), "{is_ascending} {step}");
            let too_deep = "rules need each other more than 128 deep, beginning with data.t.r";
            assert_eq!(found(129), Err(too_deep.to_owned()), "{is_ascending} {step}");
            // The first of those that begin a row that is too long.
            let first = if is_ascending { "data.t.a000" } else { "data.t.a128" };
            let longer = format!("rules need each other more than 128 deep, beginning with {first}{step}");
            assert_eq!(found(130), Err(longer), "{is_ascending} {step}");
        }
    }
}
