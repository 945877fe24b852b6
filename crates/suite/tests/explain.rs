//! Explanations of all violations of our own suites, checked by other means than they were found: the conditions
//! that hold can be taken out of the policy's text and the violation stays, and one that is made false takes it
//! away, unless it came about in another way as well.
//!
//! `PORTCULLIS_SUITES=FOLDER` takes the suites of another folder, and `PORTCULLIS_EXPLAIN_ALL=1` all of them instead of a part.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{
    Document, EnforcementPoint, EngineChoice, Inventory, Location, Object, PolicySet, PolicySettings,
    Process, Resource, Review, Verdict, Why, WhyRule, World,
};
use portcullis_suite::{Case, Suite};

const POINT: EnforcementPoint = EnforcementPoint::CommandLine;

fn documents(path: &Path) -> Vec<Document> {
    Document::read_all(path.to_str().unwrap(), &fs::read_to_string(path).unwrap()).0
}

fn suites(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            suites(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if text.contains("kind: Suite") {
                found.push(path);
            }
        }
    }
}

fn compile(template: &Document, constraint: &Document) -> Option<PolicySet> {
    let settings = PolicySettings { engines: EngineChoice::RegoOnly, ..PolicySettings::default() };
    let resources: Vec<Resource> =
        [template, constraint].into_iter().filter_map(|one| Resource::read(one).0).collect();
    let (set, _) = PolicySet::from_resources_in(resources, &settings);
    (set.constraints().count() == 1).then_some(set)
}

struct Reviewed {
    review: Review,
    inventory: Inventory,
}

fn reviewed(folder: &Path, case: &Case) -> Option<Reviewed> {
    let inventory = case.inventory.iter().flat_map(|path| documents(&folder.join(&**path)));
    let inventory: Inventory =
        inventory.filter_map(|document| Object::from_document(document).ok()).collect();
    let document = documents(&folder.join(&*case.object)).into_iter().next()?;
    let review = match Resource::read(&document).0 {
        Some(Resource::AdmissionReview(request)) => Review::from_admission_as_written(&request).ok()?,
        _ => Review::as_written(Object::under_test(document).ok()?),
    };
    Some(Reviewed { review, inventory })
}

/// The messages, or none if it could not be evaluated.
fn messages(set: &PolicySet, of: &Reviewed) -> Option<BTreeSet<String>> {
    let world = World::new(&of.inventory).with_now(1_750_000_000_000_000_000);
    let outcome = set.review(&of.review, &world, POINT);
    let mut messages = BTreeSet::new();
    for result in outcome.results {
        match result.verdict {
            Verdict::Violations(violations) => messages.extend(violations.into_iter().map(|one| one.message)),
            Verdict::Error(_) => return None,
            _ => {}
        }
    }
    Some(messages)
}

fn explain(set: &PolicySet, of: &Reviewed) -> Option<Why> {
    let world = World::new(&of.inventory).with_now(1_750_000_000_000_000_000);
    let key = set.constraints().next()?.key().clone();
    set.explain(&key, &of.review, &world, POINT, Process::Audit)
}

/// The conditions that hold of a rule that holds, and of those that it asked.
fn conditions(rule: &WhyRule, found: &mut Vec<Location>) {
    assert!(rule.holds);
    for condition in &rule.conditions {
        assert!(condition.holds, "{} does not hold in a rule that does", condition.text);
        found.extend(condition.location.clone());
        for asked in condition.rules.iter().filter(|asked| asked.holds && !asked.is_inside) {
            conditions(asked, found);
        }
    }
}

/// The template with something else at a place.
fn edited(template: &Document, at: &Location, by: &str, is_before: bool) -> Option<Document> {
    let text = template.source().text();
    let range = at.range();
    let end = if is_before { range.start } else { range.end };
    let text = format!("{}{by}{}", text.get(..range.start as usize)?, text.get(end as usize..)?);
    Document::read_all("template.yaml", &text).0.into_iter().next()
}

#[derive(Debug, Default)]
struct Counts {
    violations: usize,
    conditions: usize,
    taken_out: usize,
    made_false: usize,
    also_otherwise: usize,
    uncompiled: usize,
}

#[test]
fn the_conditions_of_explanations_hold_and_are_needed() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let folder = std::env::var_os("PORTCULLIS_SUITES").map_or(own, PathBuf::from);
    let each = if std::env::var_os("PORTCULLIS_EXPLAIN_ALL").is_some() { 1 } else { 29 };
    let mut paths = Vec::new();
    suites(&folder, &mut paths);
    assert!(paths.len() > 20);
    let (mut counts, mut number, mut wrong) = (Counts::default(), 0_usize, Vec::new());
    for path in paths {
        let folder = path.parent().unwrap();
        for test in documents(&path)
            .iter()
            .filter_map(|document| Suite::read(document).0)
            .flat_map(|suite| suite.tests)
        {
            let Some(policy) =
                test.policy.as_ref().filter(|_| test.mutators.is_empty() && test.expansion.is_none())
            else {
                continue;
            };
            let template = documents(&folder.join(&*policy.template)).into_iter().next().unwrap();
            let constraint = documents(&folder.join(&*policy.constraint)).into_iter().next().unwrap();
            let Some(set) = compile(&template, &constraint) else { continue };
            let mut otherwise: BTreeMap<(u32, u32, bool), Option<PolicySet>> = BTreeMap::new();
            for case in &test.cases {
                let Some(of) = reviewed(folder, case) else { continue };
                let Some(before) = messages(&set, &of).filter(|before| !before.is_empty()) else { continue };
                number += 1;
                let why = explain(&set, &of).unwrap();
                assert!(!why.is_cut && why.error.is_none(), "{}: {why:?}", case.location);
                let explained: BTreeSet<String> = why.found.iter().map(|one| one.message.clone()).collect();
                assert_eq!(explained, before, "{}", case.location);
                counts.violations += before.len();
                if number % each != 0 {
                    continue;
                }
                for one in &why.found {
                    let ways: Vec<Vec<Location>> = one
                        .ways
                        .iter()
                        .map(|way| {
                            let mut found = Vec::new();
                            conditions(way, &mut found);
                            found
                        })
                        .collect();
                    assert!(ways.iter().all(|way| !way.is_empty()), "{}: {}", case.location, one.message);
                    let mut seen = BTreeSet::new();
                    for at in ways.iter().flatten() {
                        let (start, end) = (at.range().start, at.range().end);
                        if !seen.insert((start, end)) {
                            continue;
                        }
                        counts.conditions += 1;
                        let with = |by: &str, is_before: bool| {
                            compile(&edited(&template, at, by, is_before)?, &constraint)
                        };
                        // Without it, since it holds.
                        let without =
                            otherwise.entry((start, end, false)).or_insert_with(|| with("true", false));
                        if let Some(after) = without.as_ref().map(|set| messages(set, &of)) {
                            counts.taken_out += 1;
                            // A message may tell what a condition leaves out.
                            let is_there = |after: &BTreeSet<String>| {
                                after.contains(&one.message) || after.len() >= before.len()
                            };
                            if after.is_some_and(|after| !is_there(&after)) {
                                wrong.push(format!("{}: {at} does not hold: {}", case.location, one.message));
                            }
                        }
                        // Where it does not hold.
                        let never =
                            otherwise.entry((start, end, true)).or_insert_with(|| with("false; ", true));
                        match never.as_ref().map(|set| (set, messages(set, &of))) {
                            None => counts.uncompiled += 1,
                            Some((_, after)) if after.as_ref() != Some(&before) => counts.made_false += 1,
                            // Another body of a rule holds as well: then that explains it.
                            Some((set, _)) => {
                                let why = explain(set, &of).unwrap();
                                let mut found = Vec::new();
                                for way in why
                                    .found
                                    .iter()
                                    .filter(|found| found.message == one.message)
                                    .flat_map(|found| &found.ways)
                                {
                                    conditions(way, &mut found);
                                }
                                counts.also_otherwise += 1;
                                // What stands behind the place is seven bytes further.
                                if found.is_empty()
                                    || found.iter().any(|other| other.range().start == start + 7)
                                {
                                    wrong.push(format!(
                                        "{}: {at} is not needed: {}",
                                        case.location, one.message
                                    ));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.violations > 200 && counts.made_false > 100, "{counts:?}");
}
