//! Explanations of what CEL denies, checked by other means than they were found: the parts of a validation that are said
//! to decide are put into the policy's text as what they are said to be worth, and the violation stays; as the contrary,
//! and it goes.
//!
//! Of `testdata/explain`, and of the templates of gatekeeper-library that have CEL, if `PORTCULLIS_GATEKEEPER_LIBRARY`
//! names the folder with its suites.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portcullis::{Document, EngineChoice, Location, PolicySet, Process, RuleKind, Verdict, Why, WhyRule};

use common::{POINT, Reviewed, compile_by, each_case_by, messages, world};

fn explain(set: &PolicySet, of: &Reviewed) -> Why {
    let key = set.constraints().next().unwrap().key().clone();
    set.explain(&key, &of.review, &world(of), POINT, Process::Audit).unwrap()
}

/// Where the parts of an expression stand that decide, and what they are worth: what is inside of another is left out. None
/// if one stands for several elements that differ, or is not written as it is evaluated.
fn parts(rule: &WhyRule) -> Option<BTreeMap<(u32, u32), bool>> {
    let mut found: BTreeMap<(u32, u32), bool> = BTreeMap::new();
    for condition in &rule.conditions {
        let location = condition.location.as_ref()?;
        if text(location)? != condition.text {
            return None;
        }
        let range = (location.range().start, location.range().end);
        if *found.entry(range).or_insert(condition.holds) != condition.holds {
            return None;
        }
    }
    let all: Vec<(u32, u32)> = found.keys().copied().collect();
    let is_inside =
        |one: &(u32, u32)| all.iter().any(|other| other != one && other.0 <= one.0 && one.1 <= other.1);
    found.retain(|range, _| !is_inside(range));
    Some(found)
}

fn text(location: &Location) -> Option<&str> {
    location.source().text().get(location.range().start as usize..location.range().end as usize)
}

/// The template with truth values in the place of parts.
fn edited(template: &Document, parts: &BTreeMap<(u32, u32), bool>, is_contrary: bool) -> Document {
    let mut text = template.source().text().to_string();
    for ((start, end), worth) in parts.iter().rev() {
        text.replace_range(
            *start as usize..*end as usize,
            if *worth == is_contrary { "false" } else { "true" },
        );
    }
    Document::read_all("template.yaml", &text).0.remove(0)
}

/// How many validations are false. One that has no value is not: without a guard that is false there may be nothing to look
/// at.
fn violations(set: &PolicySet, of: &Reviewed) -> usize {
    let outcome = set.review(&of.review, &world(of), POINT);
    let is_false = |message: &str| !message.starts_with("expression '");
    let counts = outcome.results.iter().map(|result| match &result.verdict {
        Verdict::Violations(all) => all.iter().filter(|one| is_false(&one.message)).count(),
        _ => 0,
    });
    counts.sum()
}

#[derive(Debug, Default)]
struct Counts {
    violations: usize,
    passes: usize,
    parts: usize,
    unlike_written: usize,
}

fn check(folder: &Path) -> Counts {
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    each_case_by(folder, EngineChoice::CelFirst, |template, constraint, set, case, of| {
        let Some(before) = messages(set, of) else { return };
        let why = explain(set, of);
        assert!(!why.is_cut && why.error.is_none(), "{}: {why:?}", case.location);
        let found: BTreeSet<String> = why.found.iter().map(|found| found.message.clone()).collect();
        assert_eq!(found, before, "{}", case.location);
        if before.is_empty() {
            counts.passes += 1;
            // Either all that is asked holds, or it is not asked.
            let unasked = why.missed.iter().any(|rule| rule.kind == RuleKind::MatchCondition && !rule.holds);
            let validations = why.held.iter().filter(|rule| rule.kind == RuleKind::Validation && rule.holds);
            assert!(unasked || validations.count() > 0, "{}: {why:?}", case.location);
        }
        for (message, way) in why.found.iter().flat_map(|one| one.ways.iter().map(|way| (&one.message, way)))
        {
            counts.violations += 1;
            assert!(way.kind == RuleKind::Validation && !way.holds && !way.conditions.is_empty());
            let Some(parts) = parts(way) else {
                counts.unlike_written += 1;
                continue;
            };
            counts.parts += parts.len();
            let judged = |is_contrary: bool| {
                let template = edited(template, &parts, is_contrary);
                let set = compile_by(EngineChoice::CelFirst, &template, constraint)?;
                Some(violations(&set, of))
            };
            // Several validations may say the same, and one without a message says its text.
            let all = violations(set, of);
            if judged(false) != Some(all) {
                wrong.push(format!("{}: `{message}` goes with {parts:?} as they are", case.location));
            }
            if judged(true) != Some(all - 1) {
                wrong.push(format!("{}: `{message}` stays with the contrary of {parts:?}", case.location));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{counts:?}");
    counts
}

#[test]
fn parts_of_expressions_that_are_said_to_decide_do() {
    let counts = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/explain"));
    assert!(counts.violations == 8 && counts.passes == 2 && counts.unlike_written == 0, "{counts:?}");
}

/// Long expressions over many elements: what is told is cut, and it says so.
#[test]
fn explanations_of_much_are_bounded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/explain");
    let read = |name: &str| common::documents(&folder.join(name)).remove(0);
    let many: Vec<String> =
        (0..600).map(|number| format!("size(c.name) > {} || c.name == 'n{number}'", 1000 + number)).collect();
    let nested = format!("object.spec.items.all(c, object.spec.items.all(d, {}))", many.join(" || "));
    let template = read("template.yaml")
        .source()
        .text()
        .replace("\"object.spec.replicas <= variables.params.mostReplicas\"", &format!("\"{nested}\""));
    let template = Document::read_all("template.yaml", &template).0.remove(0);
    let set = compile_by(EngineChoice::CelFirst, &template, &read("constraint.yaml")).unwrap();
    let items: Vec<serde_json::Value> =
        (0..300).map(|number| serde_json::json!({"name": format!("x{number}")})).collect();
    let object = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"items": items, "template": {"spec": {"containers": []}}},
    });
    let document = Document::read_all("web.yaml", &object.to_string()).0.remove(0);
    let object = portcullis::Object::from_document(document).unwrap();
    let of = Reviewed {
        review: portcullis::Review::as_written(object),
        inventory: portcullis::Inventory::default(),
        request: None,
    };
    let why = explain(&set, &of);
    assert!(why.is_cut || why.error.is_some(), "{}", why.weight());
    assert!(why.weight() < 8 << 20, "{}", why.weight());
}

#[test]
fn parts_of_expressions_of_the_gatekeeper_library_do_as_well() {
    let Some(library) = std::env::var_os("PORTCULLIS_GATEKEEPER_LIBRARY") else {
        eprintln!("SKIPPED: `PORTCULLIS_GATEKEEPER_LIBRARY` does not name the folder of its suites");
        return;
    };
    let counts = check(Path::new(&library));
    assert!(counts.violations > 50 && counts.unlike_written * 10 < counts.violations, "{counts:?}");
}
