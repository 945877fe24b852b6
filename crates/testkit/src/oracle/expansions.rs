//! What Gatekeeper's own code generates of objects, and what gator says.
//!
//! Compared is:
//!
//! - `system` cases, with the core: which templates are refused, and why; which are in circles; the resultants
//!   in their order (as a set, where the recording says that it is one), each with its template, its action and
//!   the object; or the text of the error, of which what mutators say is left to the recording of mutations. An object or a template that cannot be decoded there has to be
//!   refused here, in whatever words.
//! - `gator expand`: standard output byte for byte, whether it failed, and then the first line of standard
//!   error. What follows in ours are positions. gator fails with 1, this with 2.
//! - `gator test`: whether it failed, because of a violation (1 in both) or because something is broken (1
//!   without findings in gator, 2 here), and all findings: the object, the constraint and the message, in JSON
//!   the action and the details as well. What else is in the reports differs.
//! - `gator verify`: how each suite, test and case came out, and whether it failed (1 in both; here 2 where a
//!   file is broken).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::{
    Document, EnforcementAction, ErrorKind, Expansion, ExpansionChange, ExpansionSet, ExpansionStore, Form,
    Limits, MutatorSet, MutatorStore, Object, Resource, Severity, Source, Uses,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Judgement;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Case {
    System(System),
    Cli(Cli),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct System {
    name: String,
    templates: Vec<Value>,
    #[serde(default)]
    mutators: Vec<Value>,
    object: Value,
    namespace: Option<Value>,
    #[serde(default)]
    template_errors: Vec<TemplateError>,
    #[serde(default)]
    mutator_errors: Vec<MutatorError>,
    #[serde(default)]
    conflicts: Vec<String>,
    #[serde(default)]
    unordered: bool,
    #[serde(default)]
    annotations: bool,
    result: Answer,
}

#[derive(Deserialize, PartialEq, Eq)]
struct TemplateError {
    index: usize,
    error: String,
}

#[derive(Deserialize)]
struct MutatorError {
    index: usize,
    phase: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Resultants(Vec<Generated>),
    Error(String),
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Generated {
    template: String,
    enforcement_action: String,
    object: Value,
}

#[derive(Deserialize)]
struct Cli {
    name: String,
    command: Vec<String>,
    #[serde(default)]
    resources: Vec<Value>,
    #[serde(default)]
    files: BTreeMap<String, Value>,
    output: Output,
}

#[derive(Debug, Deserialize)]
struct Output {
    exit: i32,
    stdout: String,
    stderr: String,
}

/// The id of all recorded mutations.
const ID: &str = "11111111-2222-3333-4444-555555555555";

pub(super) fn judge(case: &Value, program: &Path) -> Result<Judgement, String> {
    let read = Case::deserialize(case).map_err(|error| error.to_string())?;
    let (name, difference) = match &read {
        Case::System(system) => (&system.name, of_system(system).err()),
        Case::Cli(cli) => (&cli.name, of_cli(cli, program)?.err()),
    };
    let difference = difference.map(|difference| format!("{name}: {difference}"));
    // Lists name cases by what is in them, so that they hold for any recording.
    let text = format!("{name} {case}");
    Ok(Judgement { text, difference, notes: Vec::new() })
}

/// What is read of a text of JSON.
fn resource(value: &Value) -> (Option<Resource>, bool, bool) {
    let source = Source::new("resource", value.to_string());
    let (documents, _) = Document::read_form(&source, Form::Json, &Limits::default());
    let Some(document) = documents.first() else { return (None, true, false) };
    let (resource, errors) =
        Resource::read_for(document, Uses::POLICIES.with_expansions(true).with_mutators(true));
    let is_error = errors.iter().any(|error| error.severity() == Severity::Error);
    (resource, is_error, errors.iter().any(|error| error.kind() == ErrorKind::UnknownKind))
}

fn of_system(case: &System) -> Result<(), String> {
    let mut store = ExpansionStore::new();
    let mut refused = Vec::new();
    for (index, template) in case.templates.iter().enumerate() {
        let (resource, is_error, is_undecoded) = resource(template);
        if is_undecoded {
            refused.push(TemplateError { index, error: "DECODE".to_owned() });
            continue;
        }
        let Some(resource) = resource.filter(|resource| !is_error && resource.is_expansion()) else {
            return Err(format!("template {index} cannot be read"));
        };
        if let Some((_, error)) = ExpansionStore::refused_by_gatekeeper([&resource]) {
            refused.push(TemplateError { index, error });
            continue;
        }
        let name = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        store.apply(ExpansionChange::Upsert(resource));
        if store.snapshot().in_cycles().any(|member| member == name) {
            refused.push(TemplateError { index, error: "template forms expansion cycle".to_owned() });
        }
    }
    let shown = |errors: &[TemplateError]| {
        let line = |error: &TemplateError| {
            let text = if error.error.starts_with("DECODE") { "DECODE" } else { &error.error };
            format!("{}: {text}", error.index)
        };
        errors.iter().map(line).collect::<Vec<_>>()
    };
    same("refused templates", &shown(&refused), &shown(&case.template_errors))?;
    let set = store.snapshot();
    let mut cycles: Vec<String> = set.in_cycles().map(str::to_owned).collect();
    let mut conflicts = case.conflicts.clone();
    cycles.sort();
    conflicts.sort();
    same("templates in circles", &cycles, &conflicts)?;
    let mut store = MutatorStore::new();
    let mut refused = Vec::new();
    for (index, mutator) in case.mutators.iter().enumerate() {
        let (resource, is_error, _) = resource(mutator);
        let errors = resource.map(|resource| store.upsert(&resource)).unwrap_or_default();
        if is_error || errors.iter().any(|error| error.severity() == Severity::Error) {
            refused.push(index);
        }
    }
    let theirs = case.mutator_errors.iter().filter(|error| error.phase == "validate");
    same("refused mutators", &refused, &theirs.map(|error| error.index).collect())?;
    expanded(case, &set, &store.snapshot())
}

fn expanded(case: &System, set: &ExpansionSet, mutators: &MutatorSet) -> Result<(), String> {
    let namespace = case.namespace.as_ref().filter(|namespace| !namespace.is_null());
    let known = namespace.map(Object::from_json).transpose().map_err(|error| error.to_string())?;
    let namespace = namespace
        .map(|namespace| namespace.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default());
    let object = Object::from_json(&case.object);
    let expansion = Expansion::new(set).with_mutators(mutators);
    let expansion = if case.annotations { expansion.annotated(ID) } else { expansion };
    let answer = match &object {
        Ok(object) => expansion.expand(object, namespace, known.as_ref()).map_err(|error| error.to_string()),
        Err(error) => {
            return match &case.result {
                Answer::Error(_) => Ok(()),
                Answer::Resultants(_) => Err(format!("the object is refused: {error}")),
            };
        }
    };
    match (answer, &case.result) {
        (Err(ours), Answer::Error(theirs)) => same("the error", &comparable(&ours), &comparable(theirs)),
        (Ok(_), Answer::Error(theirs)) => Err(format!("expanded, though Gatekeeper says: {theirs}")),
        (Err(ours), Answer::Resultants(_)) => Err(format!("not expanded, though it is there: {ours}")),
        (Ok(resultants), Answer::Resultants(theirs)) => {
            let ours = resultants.iter().map(|resultant| Generated {
                template: resultant.template().to_owned(),
                enforcement_action: resultant
                    .enforcement_action()
                    .map(EnforcementAction::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                object: plain(&resultant.to_json()),
            });
            let mut ours: Vec<Generated> = ours.collect();
            let mut theirs = theirs.clone();
            for one in &mut theirs {
                one.object = plain(&one.object);
            }
            if case.unordered {
                let key = |one: &Generated| (one.template.clone(), one.object.to_string());
                ours.sort_by_key(key);
                theirs.sort_by_key(key);
            }
            same("what is generated", &ours, &theirs)
        }
    }
}

/// An error without what mutators say, which is compared by the recording of mutations.
fn comparable(text: &str) -> String {
    const REFUSED: &str = "error parsing resources: ";
    const MUTATION: &str = "failed to mutate resultant resource ";
    if let Some((before, _)) = text.split_once(REFUSED) {
        return format!("{before}{REFUSED}");
    }
    let Some((before, after)) = text.split_once(MUTATION) else { return text.to_owned() };
    let name = after.split(':').next().unwrap_or_default();
    format!("{before}{MUTATION}{name}")
}

/// With integers that were written as floats as integers.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "only what is whole and small is converted")]
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => json!(float as i64),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, item)| (key.clone(), plain(item))).collect())
        }
        _ => value.clone(),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?}, not {theirs:?}")) }
}

/// A folder for one case, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("portcullis-oracle-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), String> {
        let documents = value.as_array().map_or_else(|| vec![value.clone()], Clone::clone);
        self.write_all(name, &documents)
    }

    fn write_all(&self, name: &str, documents: &[Value]) -> Result<(), String> {
        let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
        let path = self.0.join(name);
        fs::write(&path, texts.join("\n---\n")).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a folder for what may be lost harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command of ours in place of gator's. The outer error says why it could not be run.
fn of_cli(case: &Cli, program: &Path) -> Result<Result<(), String>, String> {
    let folder = Folder::new()?;
    if !case.resources.is_empty() {
        folder.write_all("in.yaml", &case.resources)?;
    }
    for (name, value) in &case.files {
        folder.write(name, value)?;
    }
    let [_, command, args @ ..] = case.command.as_slice() else {
        return Err(format!("{}: there is no command", case.name));
    };
    let mut ours: Vec<String> = vec![command.clone()];
    ours.extend(args.iter().cloned());
    if matches!(&**command, "test" | "verify") {
        // What is compared is in the JSON, whatever form was asked for.
        if !args.iter().any(|arg| arg == "-o") {
            ours.extend(["-o".to_owned(), "json".to_owned()]);
        }
    }
    let ran = Command::new(program)
        .args(&ours)
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ours = Output {
        exit: ran.status.code().unwrap_or(-1),
        stdout: text(&ran.stdout),
        stderr: text(&ran.stderr),
    };
    Ok(match &**command {
        "expand" => of_expand(&ours, &case.output),
        "test" => of_test(&ours, &case.output),
        "verify" => of_verify(&ours, &case.output),
        other => Err(format!("there is no command `{other}`")),
    })
}

fn of_expand(ours: &Output, theirs: &Output) -> Result<(), String> {
    if (ours.exit == 0) != (theirs.exit == 0) {
        return Err(format!("{ours:?}, not {theirs:?}"));
    }
    let line = |text: &str| comparable(text.lines().next().unwrap_or_default());
    if theirs.exit != 0 {
        same("standard error", &line(&ours.stderr), &line(&theirs.stderr))?;
    }
    same("standard output", &ours.stdout, &theirs.stdout)
}

/// A finding, of which `None` is not said in every form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    object: String,
    constraint: String,
    message: String,
    action: Option<String>,
    details: Option<String>,
}

fn of_test(ours: &Output, theirs: &Output) -> Result<(), String> {
    let is_json = theirs.stdout.trim_start().starts_with(['[', '{']) || theirs.stdout == "null";
    let is_yaml = theirs.stdout.starts_with("- result:");
    let mut theirs_found = if is_json {
        findings(&theirs.stdout)?
    } else if is_yaml {
        findings(&as_json(&theirs.stdout)?)?
    } else {
        theirs.stdout.lines().filter(|line| !line.is_empty()).map(finding).collect::<Result<_, _>>()?
    };
    let is_broken = theirs.exit != 0 && theirs_found.is_empty();
    let expected = if is_broken { 2 } else { theirs.exit };
    if is_broken {
        return same("the exit code", &ours.exit, &expected);
    }
    let ours_text = if is_yaml { ours_of_yaml(&ours.stdout)? } else { ours.stdout.clone() };
    let mut ours_found = findings(&ours_text)
        .map_err(|error| format!("{error}: {}", ours.stderr.lines().next().unwrap_or_default()))?;
    if !is_json && !is_yaml {
        for found in &mut ours_found {
            (found.action, found.details) = (None, None);
        }
    }
    ours_found.sort();
    theirs_found.sort();
    same("the findings", &ours_found, &theirs_found)?;
    same("the exit code", &ours.exit, &expected)
}

/// gator's YAML, which has other names and one level more, in the form of its JSON. Its `metadata` is there also where
/// there is none.
fn as_json(text: &str) -> Result<String, String> {
    let items: Vec<Value> = serde_yaml::from_str(text).map_err(|error| format!("no findings ({error})"))?;
    let item = |item: &Value| {
        let result = &item["result"];
        json!({
            "msg": result["msg"],
            "metadata": result["metadata"],
            "constraint": result["constraint"]["object"],
            "enforcementAction": result["enforcementaction"],
            "violatingObject": item["violatingObject"],
        })
    };
    Ok(Value::from(items.iter().map(item).collect::<Vec<_>>()).to_string())
}

/// Ours has the names of JSON.
fn ours_of_yaml(text: &str) -> Result<String, String> {
    let items: Value = serde_yaml::from_str(text).map_err(|error| format!("no findings ({error})"))?;
    Ok(items.to_string())
}

/// `apiVersion/Kind [namespace/]name: ["constraint"] Message: "…"`
fn finding(line: &str) -> Result<Found, String> {
    let parts = line.split_once(": [\"").and_then(|(object, rest)| {
        let (constraint, message) = rest.split_once("\"] Message: ")?;
        Some((object, constraint, message))
    });
    let (object, constraint, message) = parts.ok_or_else(|| format!("no finding: {line}"))?;
    Ok(Found {
        object: object.to_owned(),
        constraint: constraint.to_owned(),
        message: serde_json::from_str(message).map_err(|error| format!("{message}: {error}"))?,
        action: None,
        details: None,
    })
}

fn findings(text: &str) -> Result<Vec<Found>, String> {
    let items: Option<Vec<Value>> =
        serde_json::from_str(text).map_err(|error| format!("no findings ({error})"))?;
    let text = |item: &Value, pointer: &str| {
        item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let items = items.unwrap_or_default();
    let found = items.iter().map(|item| {
        let object = |field: &str| text(item, &format!("/violatingObject/{field}"));
        let namespace = match object("metadata/namespace") {
            namespace if namespace.is_empty() => namespace,
            namespace => format!("{namespace}/"),
        };
        let name = object("metadata/name");
        Found {
            object: format!("{}/{} {namespace}{name}", object("apiVersion"), object("kind")),
            constraint: text(item, "/constraint/metadata/name"),
            message: text(item, "/msg"),
            action: Some(text(item, "/enforcementAction")),
            details: Some(item.pointer("/metadata/details").map(plain).unwrap_or_default().to_string()),
        }
    });
    Ok(found.collect())
}

fn of_verify(ours: &Output, theirs: &Output) -> Result<(), String> {
    let mut expected: Vec<(String, bool)> = Vec::new();
    for line in theirs.stdout.lines() {
        let indent = line.len() - line.trim_start().len();
        let prefix = if indent == 0 { "test" } else { "case" };
        let line = line.trim_start();
        for (word, passed) in [("--- PASS: ", true), ("--- FAIL: ", false)] {
            if let Some(rest) = line.strip_prefix(word) {
                let name = rest.split('\t').next().unwrap_or_default();
                expected.push((format!("{prefix} {name}"), passed));
            }
        }
        for (word, passed) in [("ok\t", true), ("FAIL\t", false)] {
            if line.starts_with(word) {
                expected.push(("suite".to_owned(), passed));
            }
        }
    }
    let report: Value = serde_json::from_str(&ours.stdout).map_err(|error| format!("no report: {error}"))?;
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let passed = |value: &Value| matches!(value["status"].as_str(), Some("passed" | "skipped"));
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, bool)> = Vec::new();
    for suite in list(&report, "suites") {
        for test in list(&suite, "tests") {
            for case in list(&test, "cases") {
                found.push((format!("case {}", name(&case)), passed(&case)));
            }
            found.push((format!("test {}", name(&test)), passed(&test)));
        }
        found.push(("suite".to_owned(), passed(&suite)));
    }
    expected.sort();
    found.sort();
    same("how it came out", &found, &expected)?;
    same("whether it failed", &(ours.exit != 0), &(theirs.exit != 0))
}
