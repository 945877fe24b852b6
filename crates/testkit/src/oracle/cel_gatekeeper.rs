//! Templates in CEL, and what Gatekeeper's driver says of objects and requests.
//!
//! Mistakes in expressions are violations of every object there, and errors of the template here:
//! that is the one thing that counts as agreeing without being the same.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis::{
    Counting, Document, EnforcementPoint, Error, ErrorKind, Inventory, Object, PolicySet, Resource, Review,
    Severity, Verdict, World,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Judgement, expansions};
use crate::harness::render;

/// Objects by name.
pub(super) type Fixtures = BTreeMap<String, Value>;

#[derive(Deserialize)]
struct Case {
    name: String,
    template: Option<Value>,
    #[serde(rename = "templateFile")]
    template_file: Option<String>,
    constraint: Option<Value>,
    #[serde(rename = "constraintFile")]
    constraint_file: Option<String>,
    object: Option<Value>,
    #[serde(rename = "objectRef")]
    object_ref: Option<String>,
    #[serde(rename = "objectFile")]
    object_file: Option<String>,
    request: Option<Value>,
    namespace: Option<Value>,
    point: Option<String>,
    result: Value,
}

/// `None` for what is no case: an object that others refer to, or one whose files are not at hand.
pub(super) fn judge(
    case: &Value,
    fixtures: &mut Fixtures,
    program: &Path,
) -> Result<Option<Judgement>, String> {
    if let Some(name) = case["fixture"].as_str() {
        fixtures.insert(name.to_owned(), case["object"].clone());
        return Ok(None);
    }
    if case["type"] == "cli" {
        let has_program = !program.as_os_str().is_empty();
        return if has_program { expansions::judge(case, program).map(Some) } else { Ok(None) };
    }
    let read = Case::deserialize(case).map_err(|error| error.to_string())?;
    let Some(difference) = difference(&read, fixtures)? else { return Ok(None) };
    let difference = difference.err().map(|difference| format!("{}: {difference}", read.name));
    Ok(Some(Judgement { text: format!("{} {case}", read.name), difference, notes: Vec::new() }))
}

/// Why the answer is another; none if the files of the case are not at hand.
fn difference(case: &Case, fixtures: &Fixtures) -> Result<Option<Result<(), String>>, String> {
    let value_of = |inline: &Option<Value>, file: &Option<String>| match (inline, file) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Some(file)) => library_file(file),
        (None, None) => Err("a case has a template, and a constraint".to_owned()),
    };
    let Some(template) = value_of(&case.template, &case.template_file)? else { return Ok(None) };
    let Some(constraint) = value_of(&case.constraint, &case.constraint_file)? else { return Ok(None) };
    let template_text = template.to_string();
    let (template, template_errors) = read("template.yaml", &template)?;
    let (constraint, constraint_errors) = read("constraint.yaml", &constraint)?;
    let (policies, errors) = PolicySet::compile([template, constraint]);
    let mut refused: BTreeMap<&str, Vec<Error>> = BTreeMap::new();
    for error in template_errors.into_iter().chain(constraint_errors).chain(errors) {
        if error.severity() == Severity::Error {
            let is_of_template =
                error.location().is_some_and(|location| location.file().to_string() == "template.yaml");
            refused.entry(if is_of_template { "template" } else { "constraint" }).or_default().push(error);
        }
    }
    let said = |errors: &[Error]| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let answer = &case.result;
    let is_refused_there = |of: &str| !answer[of].is_null();
    if let Some(errors) = refused.get("template") {
        if is_refused_there("templateError") || is_refused_there("panic") {
            return Ok(Some(Ok(())));
        }
        let mistakes = ["compilation error", "fails to compile", "program instantiation failed"];
        let is_mistake =
            lines(answer).iter().any(|(line, _)| mistakes.iter().any(|part| line.contains(part)));
        if is_mistake {
            return Ok(Some(Ok(())));
        }
        if errors.iter().all(|error| error.kind() == ErrorKind::Cel) {
            let fields = errors.iter().filter_map(|error| error.path());
            let fields = fields.map(|path| {
                let path = path.to_string();
                let is_of = |name: &str| path.contains(name);
                if is_of("messageExpression") {
                    "a messageExpression"
                } else if is_of(".variables[") {
                    "a variable"
                } else if is_of(".matchCondition[") {
                    "a matchCondition"
                } else {
                    "a validation"
                }
            });
            let fields: std::collections::BTreeSet<&str> = fields.collect();
            let fields = fields.into_iter().collect::<Vec<_>>().join(" and ");
            let is_ignored = template_text.contains("\"failurePolicy\":\"Ignore\"");
            let how = if is_ignored { "is ignored there" } else { "is not met there" };
            let difference =
                format!("refused at load for {fields}, which {how}: {}, not {answer}", said(errors));
            return Ok(Some(Err(difference)));
        }
        return Ok(Some(Err(format!("the template is refused: {}, not {answer}", said(errors)))));
    }
    if let Some(errors) = refused.get("constraint") {
        if is_refused_there("constraintError") {
            return Ok(Some(Ok(())));
        }
        return Ok(Some(Err(format!("the constraint is refused: {}, not {answer}", said(errors)))));
    }
    if answer["violations"].is_null() {
        return Ok(Some(Err(format!("taken, not {answer}"))));
    }
    let Some(review) = review(case, fixtures)? else { return Ok(None) };
    let point = match case.point.as_deref() {
        None => EnforcementPoint::CommandLine,
        Some(name) => *[EnforcementPoint::CommandLine, EnforcementPoint::Audit, EnforcementPoint::Webhook]
            .iter()
            .find(|point| point.as_str() == name)
            .ok_or_else(|| format!("no point is called `{name}`"))?,
    };
    let inventory = Inventory::empty();
    let world = World::new(&inventory);
    let outcome = policies.review(&review, &world, point);
    let uncounted = policies.review(&review, &world.with_counting(Counting::NearLimits), point);
    if render(&outcome) != render(&uncounted) {
        return Ok(Some(Err(format!(
            "{}, and where nobody counts {}",
            render(&outcome),
            render(&uncounted)
        ))));
    }
    let mut given = Vec::new();
    for result in &outcome.results {
        let action = result.declared().to_owned();
        match &result.verdict {
            Verdict::Pass => {}
            Verdict::Violations(found) | Verdict::Excepted { violations: found, .. } => {
                given.extend(found.iter().map(|found| (found.message.clone(), action.clone())));
            }
            // Several expressions that have no value are one error, with a line for each.
            Verdict::Error(error) => given.push((error.message.clone(), action)),
        }
    }
    let mut wanted = lines(answer);
    let joined = |lines: &[(String, String)]| {
        let mut lines: Vec<String> = lines.iter().map(|(line, action)| format!("{action}: {line}")).collect();
        lines.sort();
        lines
    };
    if joined(&given) == joined(&wanted) {
        return Ok(Some(Ok(())));
    }
    wanted.sort();
    let all: Vec<&str> = wanted.iter().map(|(line, _)| line.as_str()).collect();
    let is_all_in_one = matches!(
        (given.as_slice(), outcome.results.as_slice()),
        ([(message, action)], [result])
            if matches!(result.verdict, Verdict::Error(_))
                && *message == all.join("\n")
                && wanted.iter().all(|(_, other)| other == action)
    );
    Ok(Some(if is_all_in_one { Ok(()) } else { Err(format!("{given:?}, not {wanted:?}")) }))
}

/// The lines of an answer, with what they lead to.
fn lines(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let violations = answer["violations"].as_array().into_iter().flatten();
    violations.map(|violation| (text(&violation["msg"]), text(&violation["enforcementAction"]))).collect()
}

fn review(case: &Case, fixtures: &Fixtures) -> Result<Option<Review>, String> {
    let review = if let Some(request) = &case.request {
        let review =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        let (document, errors) = read("request.json", &review)?;
        match Resource::read(&document).0 {
            Some(Resource::AdmissionReview(request)) => {
                Review::from_admission(&request).map_err(|error| error.to_string())?
            }
            _ => return Err(format!("no request: {errors:?}")),
        }
    } else {
        let object = match (&case.object, &case.object_ref, &case.object_file) {
            (Some(object), ..) => object.clone(),
            (None, Some(name), _) => {
                fixtures.get(name).cloned().ok_or_else(|| format!("there is no object `{name}`"))?
            }
            (None, None, Some(file)) => match library_file(file)? {
                Some(object) => object,
                None => return Ok(None),
            },
            (None, None, None) => return Err("a case has an object or a request".to_owned()),
        };
        Review::from_object(Object::from_json(&object).map_err(|error| error.to_string())?)
    };
    Ok(Some(match &case.namespace {
        Some(namespace) if !namespace.is_null() => {
            let namespace = Object::from_json(namespace).map_err(|error| error.to_string())?;
            review.with_namespace(namespace)
        }
        _ => review,
    }))
}

/// A file of gatekeeper-library, if that is at hand; its `library` folder is part of the recorded paths.
fn library_file(path: &str) -> Result<Option<Value>, String> {
    let Some(folder) = std::env::var_os("PORTCULLIS_GATEKEEPER_LIBRARY") else { return Ok(None) };
    let path = Path::new(&folder).join("..").join(path);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_yaml::from_str(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(name: &str, value: &Value) -> Result<(Document, Vec<Error>), String> {
    let (documents, errors) = Document::read_all(name, &value.to_string());
    documents.into_iter().next().map(|document| (document, errors)).ok_or_else(|| "no document".to_owned())
}
