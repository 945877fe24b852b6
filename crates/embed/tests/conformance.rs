//! The cases of `testdata/embed`, and what every binding runs of them.
//!
//! The YAML files have the calls and what they show. `conformance.json` has the same calls with the whole answers, byte
//! for byte: that is what bindings compare with, in any language. `UPDATE_EMBED=1` writes it anew; look at the difference.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jsonschema::Validator;
use portcullis_embed::{Answer, Engine, Host};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "for readers")]
    about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    call: Call,
    /// A text as it is, or a mapping that is written as JSON.
    request: Value,
    #[serde(default)]
    options: Value,
    expect: Value,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Compile,
    Inventory,
    Review,
    Admit,
}

#[derive(Serialize)]
struct Recorded {
    name: String,
    steps: Vec<RecordedStep>,
}

#[derive(Serialize)]
struct RecordedStep {
    answer: String,
    call: Call,
    options: String,
    request: String,
}

struct Clock(Instant);

impl Host for Clock {
    fn elapsed_ms(&self) -> Option<u64> {
        u64::try_from(self.0.elapsed().as_millis()).ok()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(request: &Value) -> String {
    match request {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        mapping => mapping.to_string(),
    }
}

/// Whether all that is expected is in the answer. Lists are compared as a whole, their elements as parts.
fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(value, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| holds(a, b))
        }
        _ => expected == found,
    }
}

/// The schema, or one part of it.
fn validator(part: &str) -> Validator {
    let text = fs::read_to_string(root().join("docs/embed.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema.as_object_mut().unwrap().remove("oneOf");
    schema["$ref"] = json!(format!("#/$defs/{part}"));
    jsonschema::validator_for(&schema).unwrap()
}

fn check(part: &str, text: &str, place: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let problems: Vec<String> = validator(part)
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{place}: not a `{part}`: {problems:#?}\n{text}");
}

/// The text of an answer, which comes to what its field says.
fn checked(answer: Answer, field: &str) -> String {
    let found: Value = serde_json::from_str(&answer.json).unwrap();
    assert_eq!(found.pointer(field), Some(&json!(answer.is_good)), "{}", answer.json);
    answer.json
}

/// Runs all cases, checks what they expect, and gives what was answered.
fn run() -> Vec<Recorded> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("testdata/embed")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(paths.len() >= 3, "{paths:?}");
    let mut recorded = Vec::new();
    for path in paths {
        let file: File = serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in file.cases {
            recorded.push(Recorded { steps: run_case(&case), name: case.name });
        }
    }
    recorded
}

fn run_case(case: &Case) -> Vec<RecordedStep> {
    let mut engine: Option<Engine> = None;
    let mut steps = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let place = format!("{}, step {index}", case.name);
        let (request, options) = (text(&step.request), text(&step.options));
        let host = Clock(Instant::now());
        let with = || engine.as_ref().unwrap_or_else(|| panic!("{place}: there is no engine"));
        let answer = match step.call {
            Call::Compile => {
                let compiled = Engine::compile(request.as_bytes());
                assert!(compiled.answer.contains(r#""ok":true"#) == compiled.engine.is_some(), "{place}");
                engine = compiled.engine;
                compiled.answer
            }
            Call::Inventory => checked(with().answer_inventory(request.as_bytes()), "/ok"),
            Call::Review => {
                checked(with().answer_review(request.as_bytes(), options.as_bytes(), &host), "/allowed")
            }
            Call::Admit => {
                let answer = with().answer_admission(request.as_bytes(), options.as_bytes(), &host);
                checked(answer, "/response/allowed")
            }
        };
        let found: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(found.to_string(), answer, "{place}: keys are not in order");
        assert!(holds(&step.expect, &found), "{place}: expected {}\nfound {found:#}", step.expect);
        let (request_part, answer_part) = match step.call {
            Call::Compile => (Some("compileRequest"), "compileAnswer"),
            Call::Inventory => (Some("inventoryRequest"), "inventoryAnswer"),
            Call::Review => (None, "reviewAnswer"),
            Call::Admit => (None, "admitAnswer"),
        };
        check(answer_part, &answer, &place);
        let was_taken = found["ok"] == json!(true);
        if let (Some(part), true) = (request_part, was_taken) {
            check(part, &request, &place);
        }
        if was_taken && !options.is_empty() {
            check("options", &options, &place);
        }
        steps.push(RecordedStep { answer, call: step.call, options, request });
    }
    steps
}

#[test]
fn every_call_is_answered_as_recorded() {
    let found = serde_json::to_string_pretty(&run()).unwrap() + "\n";
    let path = root().join("testdata/embed/conformance.json");
    if std::env::var_os("UPDATE_EMBED").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == known, "conformance.json is not what is answered now; UPDATE_EMBED=1 writes it anew");
}

/// The fields that a request of a kind may have, as the reader itself lists them when it finds another one.
fn known_fields(answer: &str) -> Vec<String> {
    let list =
        answer.split("expected one of ").nth(1).unwrap_or_else(|| panic!("no list of fields: {answer}"));
    let list = list.split(" at line").next().unwrap();
    let mut fields: Vec<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    fields.sort();
    fields
}

fn properties(schema: &Value) -> Vec<String> {
    let mut names: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn the_schema_has_every_field_of_requests_and_no_other() {
    let text = fs::read_to_string(root().join("docs/embed.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let policy = r#"{"version": 1, "partial": true, "documents": []}"#;
    let engine = Engine::compile(policy.as_bytes()).engine.unwrap();
    let clock = Clock(Instant::now());
    let review = |options: &str| engine.review(b"", options.as_bytes(), &clock);

    let found = Engine::compile(br#"{"?": 1}"#).answer;
    assert_eq!(known_fields(&found), properties(&schema["$defs"]["compileRequest"]));
    assert_eq!(known_fields(&review(r#"{"?": 1}"#)), properties(&schema["$defs"]["options"]));
    let limits = &schema["$defs"]["options"]["properties"]["limits"];
    assert_eq!(known_fields(&review(r#"{"limits": {"?": 1}}"#)), properties(limits));

    let changes = schema["$defs"]["change"]["oneOf"].as_array().unwrap();
    let mut fields: Vec<String> = changes.iter().flat_map(properties).collect();
    fields.sort();
    fields.dedup();
    let found = engine.apply_inventory(br#"{"version": 1, "changes": [{"?": 1}]}"#);
    assert_eq!(known_fields(&found), fields);
    let mut ops: Vec<String> = changes
        .iter()
        .map(|change| change["properties"]["op"]["const"].as_str().unwrap().to_owned())
        .collect();
    ops.sort();
    ops.dedup();
    let found = engine.apply_inventory(br#"{"version": 1, "changes": [{"op": "?"}]}"#);
    assert_eq!(known_fields(&found), ops);
    let point = &schema["$defs"]["options"]["properties"]["point"]["enum"];
    let mut points: Vec<String> =
        point.as_array().unwrap().iter().map(|point| point.as_str().unwrap().to_owned()).collect();
    points.sort();
    assert_eq!(known_fields(&review(r#"{"point": "?"}"#)), points);
}

/// All keys that stand anywhere in objects of a schema, below `part`.
fn keys(schema: &Value, at: &Value, found: &mut std::collections::BTreeSet<String>) {
    if let Some(reference) = at["$ref"].as_str() {
        keys(schema, &schema["$defs"][reference.trim_start_matches("#/$defs/")], found);
    }
    if let Some(properties) = at["properties"].as_object() {
        for (key, below) in properties {
            // Rules ask rules.
            if found.insert(key.clone()) || key != "rules" {
                keys(schema, below, found);
            }
        }
    }
    if !at["items"].is_null() {
        keys(schema, &at["items"], found);
    }
}

#[test]
fn every_field_of_answers_in_the_schema_is_in_some_answer() {
    let text = fs::read_to_string(root().join("docs/embed.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut known = std::collections::BTreeSet::new();
    for part in ["compileAnswer", "inventoryAnswer", "reviewAnswer", "admitAnswer"] {
        keys(&schema, &schema["$defs"][part], &mut known);
    }
    let answers: String = run().into_iter().flat_map(|case| case.steps).map(|step| step.answer).collect();
    let unseen: Vec<_> = known.iter().filter(|key| !answers.contains(&format!("\"{key}\":"))).collect();
    assert!(unseen.is_empty(), "no case has these: {unseen:?}");
}

#[test]
fn what_needs_a_clock_is_refused_without_one() {
    let engine = Engine::compile(br#"{"version": 1, "partial": true, "documents": []}"#).engine.unwrap();
    let answer =
        engine.review(b"{apiVersion: v1, kind: Pod}", br#"{"timeoutMs": 5}"#, &portcullis_embed::NoHost);
    assert!(answer.contains(r#""allowed":false"#) && answer.contains("needs a clock"), "{answer}");
}

/// A caller that never wants an answer.
struct Gone;

impl Host for Gone {
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_caller_that_is_gone_ends_what_is_under_way() {
    let case = fs::read_to_string(root().join("testdata/embed/reviews.yaml")).unwrap();
    let file: File = serde_yaml::from_str(&case).unwrap();
    let case = file.cases.iter().find(|case| case.name == "an evaluation that breaks denies").unwrap();
    let engine = Engine::compile(text(&case.steps[0].request).as_bytes()).engine.unwrap();
    let answer = engine.review(text(&case.steps[1].request).as_bytes(), br#"{"nowMs": 0}"#, &Gone);
    assert!(answer.contains(r#""allowed":false"#) && answer.contains(r#""limit":"time""#), "{answer}");
}

/// Changes and reviews from many threads: each review sees the inventory before a change, or after it.
#[test]
fn all_threads_may_call_at_once() {
    let file: File =
        serde_yaml::from_str(&fs::read_to_string(root().join("testdata/embed/inventory.yaml")).unwrap())
            .unwrap();
    let case = &file.cases[0];
    let engine = Engine::compile(text(&case.steps[0].request).as_bytes()).engine.unwrap();
    let (object, change) = (text(&case.steps[1].request), text(&case.steps[2].request));
    let gone = r#"{"version": 1, "changes": [{"op": "remove", "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "namespace": "a", "name": "old"}]}"#;
    let [free, taken] = [1, 3].map(|step| {
        if step == 3 {
            _ = engine.apply_inventory(change.as_bytes());
        }
        engine.review(object.as_bytes(), b"", &Gone)
    });
    assert_ne!(free, taken);
    std::thread::scope(|scope| {
        let review = || {
            for _ in 0..200 {
                let answer = engine.review(object.as_bytes(), b"", &Gone);
                assert!(answer == free || answer == taken, "{answer}");
            }
        };
        let reviews = [scope.spawn(review), scope.spawn(review)];
        for _ in 0..50 {
            assert!(engine.apply_inventory(gone.as_bytes()).contains(r#""ok":true"#));
            assert!(engine.apply_inventory(change.as_bytes()).contains(r#""ok":true"#));
        }
        for review in reviews {
            review.join().unwrap();
        }
    });
    assert_eq!(engine.review(object.as_bytes(), b"", &Gone), taken);
}

/// A caller whose clock, or will, is broken.
struct Broken {
    clock: bool,
}

impl Host for Broken {
    fn elapsed_ms(&self) -> Option<u64> {
        assert!(!self.clock, "the clock is broken");
        Some(0)
    }

    fn is_cancelled(&self) -> bool {
        panic!("nobody knows")
    }
}

#[test]
fn a_panic_is_an_answer_that_allows_nothing() {
    let case = fs::read_to_string(root().join("testdata/embed/reviews.yaml")).unwrap();
    let file: File = serde_yaml::from_str(&case).unwrap();
    let case = file.cases.iter().find(|case| case.name == "an evaluation that breaks denies").unwrap();
    let engine = Engine::compile(text(&case.steps[0].request).as_bytes()).engine.unwrap();
    let object = text(&case.steps[1].request);
    let options = br#"{"nowMs": 0, "timeoutMs": 600000}"#;
    let (before, inside) = (Broken { clock: true }, Broken { clock: false });
    let answer = engine.answer_review(object.as_bytes(), options, &before);
    assert!(!answer.is_good && answer.json.contains(r#""code":"defect""#), "{}", answer.json);
    check("reviewAnswer", &answer.json, "broken");
    let answer = engine.answer_admission(object.as_bytes(), options, &before);
    assert!(!answer.is_good && answer.json.contains(r#""code":500"#), "{}", answer.json);
    check("admitAnswer", &answer.json, "broken");
    let answer = engine.answer_review(object.as_bytes(), options, &inside);
    assert!(!answer.is_good && answer.json.contains(r#""allowed":false"#), "{}", answer.json);
    // And the next one is judged as if nothing had been.
    let answer = engine.review(object.as_bytes(), br#"{"nowMs": 0}"#, &Clock(Instant::now()));
    assert!(answer.contains(r#""denials":["[it] 60 at 0"]"#), "{answer}");
}

#[test]
fn what_is_cut_off_is_answered_all_the_same() {
    let clock = Clock(Instant::now());
    for case in run() {
        let mut engine = None;
        for step in &case.steps {
            let place = format!("{}: {}", case.name, step.request);
            let cuts = (1..8_usize).map(|part| step.request.len() * part / 8);
            for cut in cuts {
                // Also in the middle of characters.
                let request = &step.request.as_bytes()[..cut];
                let with = || -> &Engine { engine.as_ref().unwrap() };
                let (part, answer) = match step.call {
                    Call::Compile => ("compileAnswer", Engine::compile(request).answer),
                    // It would change what the next ones are answered.
                    Call::Inventory => {
                        ("inventoryAnswer", with().apply_inventory(&[request, b"\xff"].concat()))
                    }
                    Call::Review => ("reviewAnswer", with().review(request, step.options.as_bytes(), &clock)),
                    Call::Admit => ("admitAnswer", with().admit(request, step.options.as_bytes(), &clock)),
                };
                check(part, &answer, &place);
                if matches!(step.call, Call::Admit | Call::Inventory | Call::Compile) {
                    let good = [r#""ok":true"#, r#""allowed":true"#].iter().any(|good| answer.contains(good));
                    assert!(!good, "{place}, cut at {cut}: {answer}");
                }
            }
            match step.call {
                Call::Compile => engine = Engine::compile(step.request.as_bytes()).engine.or(engine),
                Call::Inventory => _ = engine.as_ref().unwrap().apply_inventory(step.request.as_bytes()),
                Call::Review | Call::Admit => {}
            }
        }
    }
}
