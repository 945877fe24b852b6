//! What a query costs over gatekeeper-library, by each way to evaluate it: `library [ROUNDS]`.
//!
//! The library is looked for where `PORTCULLIS_GATEKEEPER_LIBRARY` says; it is no part of the project. Every
//! case of every suite is a query for `violation` with the input that Gatekeeper gives it. Ways: the
//! interpreter of regorus with a prepared engine cloned for each query, its register machine, our own
//! program, and a review of the whole core, which does more: it matches, builds the input and makes messages.
//! Templates that have CEL as well are reviewed in both languages, and in CEL also so that each result tells what it cost.
//!
//! Microseconds of one run compare with each other, not with those of another machine or day.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis::{
    Counting, Document, EnforcementPoint, EngineChoice, Inventory, Object, PolicySet, PolicySettings,
    Resource, Review, Severity, World,
};
use portcullis_rego::{Environment, Program, Query, Unit};
use portcullis_rego_syntax::{Environment as Surroundings, Version, parse, resolve_in};
use portcullis_suite::{Case, Suite, Test};
use portcullis_value::{Set, Value};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine, Value as Theirs};
use serde_json::{Value as Json, json};

/// A template with the queries that its suite makes of it.
struct Template {
    name: String,
    document: Document,
    version: Version,
    /// The module, then its libraries.
    texts: Vec<String>,
    has_cel: bool,
    queries: Vec<Question>,
}

/// One case of a suite.
struct Question {
    input: Value,
    /// `data`, with the inventory of the case.
    data: Value,
    /// Both once more, for regorus.
    their_input: Theirs,
    their_data: Theirs,
    constraint: Document,
    review: Review,
    inventory: Inventory,
}

/// What one way takes.
#[derive(Default)]
struct Row {
    times: Vec<Duration>,
    compile: Vec<Duration>,
    /// Templates and queries without an answer, each with the reason.
    refused: BTreeMap<String, String>,
    /// The answers, by template and query.
    answers: BTreeMap<(String, usize), Value>,
}

/// An answer as an evaluator gives it, so that nothing but its work is timed.
enum Answer {
    Ours(Value),
    Theirs(Theirs),
}

impl Answer {
    fn value(&self) -> Value {
        match self {
            Self::Ours(value) => value.clone(),
            Self::Theirs(value) => value.into(),
        }
    }
}

/// An evaluator, ready for queries.
type Ask<'a> = Box<dyn FnMut(&Question) -> Result<Answer, String> + 'a>;

fn main() {
    let library = "the `library` folder of gatekeeper-library";
    let Some(library) = portcullis_testkit::named("PORTCULLIS_GATEKEEPER_LIBRARY", library) else { return };
    let rounds = env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(50);
    let templates = read_library(&library);
    let queries: usize = templates.iter().map(|template| template.queries.len()).sum();
    println!("{} templates, {queries} queries, {rounds} rounds", templates.len());
    println!(
        "{:12} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>20}",
        "path", "queries", "mean µs", "p50 µs", "p99 µs", "refused", "differs", "compile µs/template"
    );
    let interpreter = measure(&templates, rounds, |template| interpreter(template));
    show("interpreter", &interpreter, &interpreter);
    show("vm", &measure(&templates, rounds, |template| machine(template)), &interpreter);
    show("portcullis", &measure(&templates, rounds, |template| ours(template)), &interpreter);
    let rego = EngineChoice::RegoOnly;
    let counted = Counting::Always;
    show(
        "core review",
        &measure(&templates, rounds, |template| core(template, rego, counted)),
        &Row::default(),
    );
    // The same questions to both languages of the templates that have them.
    let (both, _): (Vec<_>, Vec<_>) = templates.into_iter().partition(|template| template.has_cel);
    let queries: usize = both.iter().map(|template| template.queries.len()).sum();
    println!("{} of them with CEL as well, {queries} queries", both.len());
    let cel = EngineChoice::CelFirst;
    for (name, choice, counting) in [
        ("review Rego", rego, counted),
        ("review CEL", cel, Counting::NearLimits),
        ("CEL, counted", cel, counted),
    ] {
        show(name, &measure(&both, rounds, |template| core(template, choice, counting)), &Row::default());
    }
}

fn measure<'t>(
    templates: &'t [Template],
    rounds: usize,
    prepare: impl Fn(&'t Template) -> Result<Ask<'t>, String>,
) -> Row {
    let mut row = Row::default();
    for template in templates {
        let mut ready = None;
        for _ in 0..rounds.min(20) {
            let started = Instant::now();
            let prepared = black_box(prepare(template));
            row.compile.push(started.elapsed());
            ready = Some(prepared);
        }
        let mut ask = match ready {
            Some(Ok(ask)) => ask,
            Some(Err(error)) => {
                row.refused.insert(template.name.clone(), error);
                continue;
            }
            None => continue,
        };
        for (number, question) in template.queries.iter().enumerate() {
            // The first is not timed: it fills memos and caches.
            match ask(question) {
                Ok(answer) => row.answers.insert((template.name.clone(), number), answer.value()),
                Err(error) => {
                    row.refused.insert(format!("{} {number}", template.name), error);
                    continue;
                }
            };
            for _ in 0..rounds {
                let started = Instant::now();
                let answer = black_box(ask(question));
                row.times.push(started.elapsed());
                drop(answer);
            }
        }
    }
    row.times.sort();
    row
}

fn show(path: &str, row: &Row, reference: &Row) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let mean = |times: &[Duration]| {
        let sum: Duration = times.iter().sum();
        micros(sum.checked_div(u32::try_from(times.len()).unwrap_or(u32::MAX)).unwrap_or_default())
    };
    let quantile =
        |percent: usize| micros(row.times.get(row.times.len() * percent / 100).copied().unwrap_or_default());
    let differ = row
        .answers
        .iter()
        .filter(|(key, answer)| reference.answers.get(*key).is_some_and(|other| !same(answer, other)));
    println!(
        "{path:12} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>8} {:>8} {:>20.0}",
        row.answers.len(),
        mean(&row.times),
        quantile(50),
        quantile(99),
        row.refused.len(),
        differ.count(),
        mean(&row.compile),
    );
    for (what, why) in &row.refused {
        println!("    refused: {what}: {}", why.lines().last().unwrap_or_default());
    }
}

/// Whether two answers are the same set; no answer is none.
fn same(one: &Value, other: &Value) -> bool {
    let is_empty = |value: &Value| value.is_undefined() || value.as_set().is_some_and(Set::is_empty);
    one == other || (is_empty(one) && is_empty(other))
}

fn engine(template: &Template) -> Result<(Engine, String), String> {
    let mut engine = Engine::new();
    engine.set_rego_v0(template.version == Version::V0);
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
    let mut package = None;
    for (number, text) in template.texts.iter().enumerate() {
        let name = engine.add_policy(number.to_string(), text.clone()).map_err(|error| error.to_string())?;
        package.get_or_insert(name);
    }
    Ok((engine, format!("{}.violation", package.unwrap_or_default())))
}

fn interpreter(template: &Template) -> Result<Ask<'_>, String> {
    let (mut engine, rule) = engine(template)?;
    engine.compile_with_entrypoint(&rule.as_str().into()).map_err(|error| error.to_string())?;
    // As the core does: prepared with an inventory once, for as long as it stays the same.
    let mut prepared: Option<(Theirs, Engine)> = None;
    Ok(Box::new(move |question| {
        let is_ready = prepared.as_ref().is_some_and(|(data, _)| *data == question.their_data);
        if !is_ready {
            let mut with_data = engine.clone();
            with_data.clear_data();
            with_data.add_data(question.their_data.clone()).map_err(|error| error.to_string())?;
            with_data.compile_with_entrypoint(&rule.as_str().into()).map_err(|error| error.to_string())?;
            prepared = Some((question.their_data.clone(), with_data));
        }
        let (_, ready) = prepared.as_ref().ok_or("not prepared")?;
        let mut engine = ready.clone();
        engine.set_input(question.their_input.clone());
        engine.eval_rule(rule.clone()).map(Answer::Theirs).map_err(|error| error.to_string())
    }))
}

fn machine(template: &Template) -> Result<Ask<'_>, String> {
    let (mut engine, rule) = engine(template)?;
    let policy = engine.compile_with_entrypoint(&rule.as_str().into()).map_err(|error| error.to_string())?;
    let program =
        Compiler::compile_from_policy(&policy, &[rule.as_str()]).map_err(|error| error.to_string())?;
    let mut machine = RegoVM::new_with_policy(policy);
    machine.load_program(program);
    machine.set_strict_builtin_errors(false);
    Ok(Box::new(move |question| {
        machine.set_data(question.their_data.clone()).map_err(|error| error.to_string())?;
        machine.set_input(question.their_input.clone());
        machine.execute().map(Answer::Theirs).map_err(|error| error.to_string())
    }))
}

fn ours(template: &Template) -> Result<Ask<'_>, String> {
    let parsed: Vec<_> = template.texts.iter().map(|text| parse(text, template.version)).collect();
    let mut names = Vec::new();
    for this in &parsed {
        let others = parsed.iter().filter(|other| {
            !std::ptr::eq(*other, this) && other.module.package_path() == this.module.package_path()
        });
        let rules = others.flat_map(|other| &other.module.rules).map(|rule| rule.name().to_owned());
        let surroundings =
            Surroundings { package_rules: rules.collect(), functions: vec![("external_data".to_owned(), 1)] };
        names.push(resolve_in(&this.module, &surroundings));
    }
    let findings = parsed.iter().zip(&names).flat_map(|(parsed, names)| {
        parsed.diagnostics.iter().chain(&names.diagnostics).map(ToString::to_string)
    });
    if let Some(finding) = findings.into_iter().next() {
        return Err(finding);
    }
    let units: Vec<_> =
        parsed.iter().zip(&names).map(|(parsed, names)| Unit { module: &parsed.module, names }).collect();
    let mut path = parsed.first().map(|parsed| parsed.module.package_path()).unwrap_or_default();
    path.push("violation");
    let program = Program::compile(&units, &Query::Path(&path))
        .map_err(|errors| errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))?;
    Ok(Box::new(move |question| {
        let environment = Environment {
            input: question.input.clone().into(),
            data: question.data.clone(),
            ..Environment::default()
        };
        program.evaluate(&environment).result.map(Answer::Ours).map_err(|error| error.message)
    }))
}

/// A review by the core. Its answer is not compared: it has messages, not a set.
fn core(template: &Template, engines: EngineChoice, counting: Counting) -> Result<Ask<'_>, String> {
    let settings = PolicySettings { engines, ..PolicySettings::default() };
    let compile = move |constraint: Option<&Document>| {
        let documents = [Some(&template.document), constraint].into_iter().flatten().cloned();
        let resources = documents.filter_map(|document| Resource::read(&document).0);
        let (policies, errors) = PolicySet::from_resources_in(resources, &settings);
        match errors.iter().find(|error| error.severity() == Severity::Error) {
            Some(error) => Err(error.to_string()),
            None => Ok(policies),
        }
    };
    compile(None)?;
    let mut sets: BTreeMap<String, PolicySet> = BTreeMap::new();
    Ok(Box::new(move |question| {
        let key = question.constraint.to_json().to_string();
        if !sets.contains_key(&key) {
            sets.insert(key.clone(), compile(Some(&question.constraint))?);
        }
        let policies = sets.get(&key).ok_or("not compiled")?;
        black_box(policies.review(
            &question.review,
            &World::new(&question.inventory).with_counting(counting),
            EnforcementPoint::CommandLine,
        ));
        Ok(Answer::Ours(Value::UNDEFINED))
    }))
}

fn read_library(library: &Path) -> Vec<Template> {
    let mut templates: BTreeMap<String, Template> = BTreeMap::new();
    for area in ["general", "pod-security-policy"] {
        let entries = fs::read_dir(library.join(area)).into_iter().flatten().filter_map(Result::ok);
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        folders.sort();
        for folder in folders {
            let suite = read(&folder.join("suite.yaml")).into_iter().next();
            let Some(suite) = suite.and_then(|suite| Suite::read(&suite).0) else { continue };
            for test in suite.tests.iter().filter(|test| !test.invalid) {
                add_test(&mut templates, &folder, test);
            }
        }
    }
    templates.into_values().collect()
}

fn add_test(templates: &mut BTreeMap<String, Template>, folder: &Path, test: &Test) {
    let Some(files) = &test.policy else { return };
    let path = folder.join(&*files.template);
    let Some(document) = read(&path).into_iter().next() else { return };
    let Some(constraint) = read(&folder.join(&*files.constraint)).into_iter().next() else { return };
    let name = path.display().to_string();
    if !templates.contains_key(&name) {
        let Some((version, texts)) = rego_of(&document.to_json()) else { return };
        let targets = document.to_json().pointer("/spec/targets/0/code").cloned().unwrap_or_default();
        let has_cel = targets.as_array().is_some_and(|codes| {
            codes.iter().any(|code| code.get("engine").and_then(Json::as_str) == Some("K8sNativeValidation"))
        });
        let template =
            Template { name: name.clone(), document, version, texts, has_cel, queries: Vec::new() };
        templates.insert(name.clone(), template);
    }
    let Some(template) = templates.get_mut(&name) else { return };
    template.queries.extend(test.cases.iter().filter_map(|case| question(folder, case, &constraint)));
}

/// The version and the texts of a template's Rego.
fn rego_of(template: &Json) -> Option<(Version, Vec<String>)> {
    let target = template.pointer("/spec/targets/0")?;
    let code = target.get("code").and_then(Json::as_array).into_iter().flatten();
    let source = code
        .filter(|code| code.get("engine").and_then(Json::as_str) == Some("Rego"))
        .find_map(|code| code.get("source"))
        .or(Some(target))?;
    let version = match source.get("version").and_then(Json::as_str) {
        Some("v1") => Version::V1,
        _ => Version::V0,
    };
    let libs = source.get("libs").and_then(Json::as_array).into_iter().flatten();
    let texts = source.get("rego").into_iter().chain(libs).filter_map(Json::as_str).map(str::to_owned);
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then_some((version, texts))
}

fn question(folder: &Path, case: &Case, constraint: &Document) -> Option<Question> {
    let document = read(&folder.join(&*case.object)).into_iter().next()?;
    let inventory: Vec<Document> =
        case.inventory.iter().flat_map(|path| read(&folder.join(&**path))).collect();
    let json = document.to_json();
    let review = match Resource::read(&document) {
        (Some(Resource::AdmissionReview(admission)), _) => Review::from_admission(&admission).ok()?,
        _ => Review::from_object(Object::from_document(document).ok()?),
    };
    let parameters = constraint.to_json().pointer("/spec/parameters").cloned();
    let input = json!({"review": request(&json), "parameters": parameters.unwrap_or_else(|| json!({}))});
    let data = json!({"inventory": inventory_data(&inventory)});
    let (input, data) =
        (Value::from_json(&input.to_string()).ok()?, Value::from_json(&data.to_string()).ok()?);
    Some(Question {
        their_input: Theirs::from(&input),
        their_data: Theirs::from(&data),
        input,
        data,
        constraint: constraint.clone(),
        review,
        inventory: inventory
            .into_iter()
            .filter_map(|document| Object::from_document(document).ok())
            .collect(),
    })
}

/// The request of an AdmissionReview, or one for a plain object.
fn request(document: &Json) -> Json {
    if let Some(request) = document.get("request").filter(|_| document["kind"] == "AdmissionReview") {
        return request.clone();
    }
    let (group, version) = group_version(document);
    let mut request = json!({
        "uid": "",
        "kind": {"group": group, "version": version, "kind": document["kind"]},
        "name": document.pointer("/metadata/name"),
        "operation": "",
        "userInfo": {},
        "object": document,
        "oldObject": null,
    });
    if let (Some(request), Some(namespace)) =
        (request.as_object_mut(), document.pointer("/metadata/namespace"))
    {
        request.insert("namespace".to_owned(), namespace.clone());
    }
    request
}

fn group_version(document: &Json) -> (&str, &str) {
    let text = document.get("apiVersion").and_then(Json::as_str).unwrap_or_default();
    text.split_once('/').unwrap_or(("", text))
}

/// `data.inventory`.
fn inventory_data(documents: &[Document]) -> Json {
    let mut inventory = json!({"cluster": {}, "namespace": {}});
    for document in documents {
        let json = document.to_json();
        let text =
            |pointer: &str| json.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        let mut path = match json.pointer("/metadata/namespace").and_then(Json::as_str) {
            Some(namespace) => vec!["namespace".to_owned(), namespace.to_owned()],
            None => vec!["cluster".to_owned()],
        };
        path.extend([text("/apiVersion"), text("/kind"), text("/metadata/name")]);
        let mut place = &mut inventory;
        for segment in path {
            place = &mut place[segment];
        }
        *place = json;
    }
    inventory
}

fn read(path: &Path) -> Vec<Document> {
    match fs::read_to_string(path) {
        Ok(text) => Document::read_all(&path.display().to_string(), &text).0,
        Err(_) => Vec::new(),
    }
}
