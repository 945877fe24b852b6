//! Fixes of all violations of suites, checked by other means than they were found: each is put into the object, and
//! that is judged again.
//!
//! `PORTCULLIS_SUITES=FOLDER` takes the suites of another folder, and `PORTCULLIS_FIX_ALL=1` all violations instead of
//! a part. It is counted by policy how many have a fix.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

mod common;

use std::collections::BTreeMap;

use portcullis::{Expansion, ExpansionSet, FixDecision, Fixes, Object, PolicySet, Process, Resource, Review};

use common::{POINT, Reviewed, each_case, folder, messages, world};

/// How many violations of a policy have a fix.
#[derive(Debug, Default)]
struct Count {
    violations: usize,
    /// Of which the policy decides the values.
    decided: usize,
    /// Of which the author does.
    proposed: usize,
    without: Vec<String>,
}

fn fixes(set: &PolicySet, of: &Reviewed) -> Fixes {
    let expansions = ExpansionSet::empty();
    set.fixes(&of.review, &Expansion::new(&expansions), &world(of), POINT, Process::Audit, &|_, _| true)
}

/// The case with another object: alone, or in its request.
fn with(of: &Reviewed, object: Object) -> Reviewed {
    let review = match of.request.as_ref() {
        Some(request) => {
            let mut json = request.to_json();
            json["request"]["object"] = object.to_json();
            let text = serde_json::to_string(&json).unwrap();
            let document = portcullis::Document::read_all("request.json", &text).0.remove(0);
            let Some(Resource::AdmissionReview(request)) = Resource::read(&document).0 else {
                unreachable!()
            };
            Review::from_admission_as_written(&request).unwrap()
        }
        None => Review::as_written(object),
    };
    Reviewed { review, inventory: of.inventory.clone(), request: of.request.clone() }
}

#[test]
fn fixes_make_their_violation_go_and_no_other_come() {
    let each = if std::env::var_os("PORTCULLIS_FIX_ALL").is_some() { 1 } else { 7 };
    let (mut counts, mut wrong, mut number): (BTreeMap<String, Count>, Vec<String>, usize) =
        Default::default();
    let suites = each_case(&folder(), |_, constraint, set, case, of| {
        let Some(before) = messages(set, of).filter(|before| !before.is_empty()) else { return };
        number += 1;
        if number % each != 0 {
            return;
        }
        let kind = constraint.to_json()["kind"].as_str().unwrap_or_default().to_owned();
        let count = counts.entry(kind).or_default();
        count.violations += before.len();
        let fixes = fixes(set, of);
        let object = of.review.object().unwrap();
        for one in &fixes.each {
            let Some(fix) = &one.fix else {
                count.without.push(format!("{}: {}", case.location, one.message));
                continue;
            };
            match fix.decision {
                FixDecision::Policy => count.decided += 1,
                FixDecision::Author => count.proposed += 1,
            }
            let edits: Vec<String> = fix.edits.iter().map(ToString::to_string).collect();
            if std::env::var_os("PORTCULLIS_FIX_SHOW").is_some() {
                println!(
                    "{:?} {}\n    {}\n    => {}",
                    fix.decision,
                    case.location,
                    one.message,
                    edits.join("; ")
                );
            }
            let edited = with(of, fix.apply(object).unwrap());
            let after = messages(set, &edited);
            let is_good =
                after.is_some_and(|after| !after.contains(&one.message) && after.is_subset(&before));
            if !is_good {
                wrong.push(format!("{}: {}: {}", case.location, one.message, edits.join("; ")));
            }
        }
        if let Some(together) = &fixes.together {
            let after = messages(set, &with(of, together.apply(object).unwrap()));
            let is_good = after.is_some_and(|after| after.is_subset(&before) && after.len() < before.len());
            if !is_good {
                wrong.push(format!("{}: together: {:?}", case.location, together.edits));
            }
        }
    });
    let sum = |of: fn(&Count) -> usize| counts.values().map(of).sum::<usize>();
    let (violations, fixed) = (sum(|count| count.violations), sum(|count| count.decided + count.proposed));
    for (kind, count) in &counts {
        let Count { violations, decided, proposed, .. } = count;
        eprintln!("{kind}: {violations} violations, {decided} fixed, {proposed} proposed");
    }
    for (kind, count) in counts.iter().filter(|_| each == 1) {
        for message in &count.without {
            eprintln!("none: {kind}: {message}");
        }
    }
    eprintln!("{fixed} of {violations} violations, {} of them decided", sum(|count| count.decided));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(suites > 20 && violations > 30);
    // Our own suites have many objects that no API server takes, on purpose.
    let least = if std::env::var_os("PORTCULLIS_SUITES").is_some() { 60 } else { 45 };
    assert!(fixed * 100 >= violations * least, "{fixed} of {violations}");
}
