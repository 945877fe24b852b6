//! Explanations of all violations of our own suites, checked by other means than they were found: the conditions
//! that hold can be taken out of the policy's text and the violation stays, and one that is made false takes it
//! away, unless it came about in another way as well.
//!
//! `PORTCULLIS_SUITES=FOLDER` takes the suites of another folder, and `PORTCULLIS_EXPLAIN_ALL=1` all of them instead of a part.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{Document, Location, PolicySet, Process, Why, WhyRule};

use common::{POINT, Reviewed, compile, each_case, folder, messages, world};

fn explain(set: &PolicySet, of: &Reviewed) -> Option<Why> {
    let key = set.constraints().next()?.key().clone();
    set.explain(&key, &of.review, &world(of), POINT, Process::Audit)
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

/// The places that were also asked inside of something else, such as a `not`: what is changed there may be seen there as
/// well, so that the violation goes for another reason.
fn asked_inside(rule: &WhyRule, is_inside: bool, found: &mut BTreeSet<u32>) {
    for condition in &rule.conditions {
        if is_inside {
            found.extend(condition.location.as_ref().map(|at| at.range().start));
        }
        for asked in &condition.rules {
            asked_inside(asked, is_inside || asked.is_inside, found);
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
    /// Also inside of something else: with what is left out there, the violation may go.
    asked_twice: usize,
}

#[test]
fn the_conditions_of_explanations_hold_and_are_needed() {
    let each = if std::env::var_os("PORTCULLIS_EXPLAIN_ALL").is_some() { 1 } else { 29 };
    let (mut counts, mut number, mut wrong) = (Counts::default(), 0_usize, Vec::new());
    // Of the policy that is looked at.
    let (mut current, mut otherwise) = (String::new(), BTreeMap::<_, Option<PolicySet>>::new());
    let suites = each_case(&folder(), |template, constraint, set, case, of| {
        let Some(before) = messages(set, of).filter(|before| !before.is_empty()) else { return };
        let policy = format!("{} {}", template.location(), constraint.location());
        if policy != current {
            current = policy;
            otherwise.clear();
        }
        number += 1;
        let why = explain(set, of).unwrap();
        assert!(!why.is_cut && why.error.is_none(), "{}: {why:?}", case.location);
        let explained: BTreeSet<String> = why.found.iter().map(|one| one.message.clone()).collect();
        assert_eq!(explained, before, "{}", case.location);
        counts.violations += before.len();
        if number % each != 0 {
            return;
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
            let mut inside = BTreeSet::new();
            one.ways.iter().for_each(|way| asked_inside(way, false, &mut inside));
            let mut seen = BTreeSet::new();
            for at in ways.iter().flatten() {
                let (start, end) = (at.range().start, at.range().end);
                if !seen.insert((start, end)) {
                    continue;
                }
                counts.conditions += 1;
                let with =
                    |by: &str, is_before: bool| compile(&edited(template, at, by, is_before)?, constraint);
                // Without it, since it holds.
                let is_alone = !inside.contains(&start);
                counts.asked_twice += usize::from(!is_alone);
                let without = otherwise.entry((start, end, false)).or_insert_with(|| with("true", false));
                if let Some(after) = without.as_ref().map(|set| messages(set, of)) {
                    counts.taken_out += 1;
                    // A message may tell what a condition leaves out.
                    let is_there = |after: &BTreeSet<String>| {
                        after.contains(&one.message) || after.len() >= before.len()
                    };
                    if after.is_some_and(|after| !is_there(&after)) && is_alone {
                        wrong.push(format!("{}: {at} does not hold: {}", case.location, one.message));
                    }
                }
                // Where it does not hold.
                let never = otherwise.entry((start, end, true)).or_insert_with(|| with("false; ", true));
                match never.as_ref().map(|set| (set, messages(set, of))) {
                    None => counts.uncompiled += 1,
                    Some((_, after)) if after.as_ref() != Some(&before) => counts.made_false += 1,
                    // Another body of a rule holds as well: then that explains it.
                    Some((set, _)) => {
                        let why = explain(set, of).unwrap();
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
                        if found.is_empty() || found.iter().any(|other| other.range().start == start + 7) {
                            wrong.push(format!("{}: {at} is not needed: {}", case.location, one.message));
                        }
                    }
                }
            }
        }
    });
    assert!(suites > 20);
    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.violations > 150 && counts.made_false > 100, "{counts:?}");
}
