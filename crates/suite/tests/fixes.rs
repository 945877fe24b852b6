//! Fixes of all violations of suites, checked by other means than they were found: each is put into the object, and
//! that is judged again.
//!
//! Of our own policies and of gatekeeper-library, which `PORTCULLIS_GATEKEEPER_LIBRARY` names: the folder with its
//! suites. Without it the second test says so and ends. It is counted by policy how many violations have a fix, and
//! that must not become fewer. `PORTCULLIS_SUITES=FOLDER` takes the suites of another folder instead of our own,
//! `PORTCULLIS_FIX_SHOW=1` shows each fix, and each violation without one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use portcullis::{
    EngineChoice, Expansion, ExpansionSet, FixDecision, Fixes, Object, PolicySet, Process, Resource, Review,
};

use common::{POINT, Reviewed, each_case_by, folder, messages, world};

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

/// Of how many violations in a hundred a fix has to be known, of our own policies and of gatekeeper-library: so many
/// were asked for, and more are known. The others are about other objects, or about names that only somebody knows.
const LEAST: usize = 65;

#[test]
fn fixes_make_their_violation_go_and_no_other_come() {
    try_all(&folder(), EngineChoice::RegoOnly, LEAST);
}

#[test]
fn fixes_of_the_gatekeeper_library_are_as_many_and_as_right() {
    let Some(library) = std::env::var_os("PORTCULLIS_GATEKEEPER_LIBRARY") else {
        eprintln!("SKIPPED: `PORTCULLIS_GATEKEEPER_LIBRARY` does not name the folder of its suites");
        return;
    };
    try_all(Path::new(&library), EngineChoice::RegoOnly, LEAST);
    // Those of its templates that have CEL as well; the others were looked at.
    try_all(Path::new(&library), EngineChoice::CelFirst, LEAST);
}

fn try_all(folder: &Path, engines: EngineChoice, least: usize) {
    let is_shown = std::env::var_os("PORTCULLIS_FIX_SHOW").is_some();
    let (mut counts, mut wrong): (BTreeMap<String, Count>, Vec<String>) = Default::default();
    let suites = each_case_by(folder, engines, |_, constraint, set, case, of| {
        let Some(before) = messages(set, of).filter(|before| !before.is_empty()) else { return };
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
            if is_shown {
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
    for (kind, count) in counts.iter().filter(|_| is_shown) {
        for message in &count.without {
            eprintln!("none: {kind}: {message}");
        }
    }
    eprintln!("{fixed} of {violations} violations, {} of them decided", sum(|count| count.decided));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(suites > 20 && violations > 30);
    assert!(fixed * 100 >= violations * least, "{fixed} of {violations}");
}
