//! What Gatekeeper's own policy library does, here and there.
//!
//! | given | where it is looked for |
//! |---|---|
//! | the library: a folder with `general/` and `pod-security-policy/` | `PORTCULLIS_GATEKEEPER_LIBRARY` |
//! | messages that gator gave for the library's suites, requests of an API server | `PORTCULLIS_SHARED`, or `../shared` beside the project |
//!
//! Neither is part of the project; what is not there is skipped, and says so; recordings have to be there where `CI` is
//! set. Differences are listed with their reasons in
//! `testdata/parity/known-differences.yaml`: one that is not listed fails, and one that is listed and not there fails too.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test says that it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{
    Decision, Document, EnforcementPoint, EngineChoice, Inventory, Limits, Object, PolicySet, PolicySettings,
    Resource, Review, Severity, Verdict, World,
};
use portcullis_suite::{Case, Expected, PolicyFiles, Suite, Test};
use portcullis_testkit::{named, shared, testdata};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownDifferences {
    /// Of the messages for the library's suites.
    suites: Vec<SuiteDifference>,
    /// Of the reviews of recorded requests.
    recordings: Vec<RecordingDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteDifference {
    suite: String,
    /// All tests, if absent.
    test: Option<String>,
    /// All cases, if absent.
    case: Option<String>,
    /// Why. Not used by the test.
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingDifference {
    /// The kind of constraint that cannot be evaluated, or the template that is rejected.
    kind: String,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
struct Recorded {
    suite: String,
    test: String,
    case: String,
    messages: Vec<String>,
}

#[test]
fn library_cases_give_the_messages_that_gator_gives() {
    let recording = shared("oracle/gatekeeper-library-messages.jsonl");
    let (Some(library), Some(recording)) = (library(), recording) else { return };
    let mut recorded: BTreeMap<(String, String, String), Vec<Vec<String>>> = BTreeMap::new();
    for line in lines(&recording) {
        let Recorded { suite, test, case, messages } = serde_json::from_str(&line).expect("a recorded case");
        recorded.entry((suite, test, case)).or_default().push(messages);
    }
    let mut differences = BTreeMap::new();
    let (mut compared, mut with_recording, mut contradicted) = (0, 0, 0);
    for path in suites(&library) {
        let suite_name = path.strip_prefix(&library).expect("below the library").display().to_string();
        for test in &read_suite(&path).tests {
            let policies = compile(test, path.parent().expect("a folder"));
            for case in &test.cases {
                let key = (suite_name.clone(), test.name.to_string(), case.name.to_string());
                let folder = path.parent().expect("a folder");
                let found = policies.clone().and_then(|policies| messages(&policies, case, folder));
                let gator = recorded.get_mut(&key).filter(|list| !list.is_empty()).map(|list| list.remove(0));
                // The recordings are of `gator test`, which takes an object without a namespace for one in
                // the namespace of no name, so that `namespaces: [default]` leaves it out; suites have such
                // objects judged.
                let recorded = gator.is_some();
                let gator = gator.filter(|messages| asserted(case, messages).is_ok());
                assert!(
                    !recorded || gator.is_some() || is_left_out_by_gator_test(test, case, folder),
                    "{key:?}: the suite contradicts the recording, and nothing explains it"
                );
                compared += 1;
                with_recording += usize::from(gator.is_some());
                contradicted += usize::from(recorded && gator.is_none());
                let verdict = match (&found, &gator) {
                    (Err(error), _) => Err(error.clone()),
                    (Ok(found), Some(gator)) if found == gator => Ok(()),
                    (Ok(found), Some(gator)) => Err(format!("{found:?} instead of {gator:?}")),
                    (Ok(found), None) => asserted(case, found),
                };
                if let Err(difference) = verdict {
                    differences.insert(key, difference);
                }
            }
        }
    }
    println!(
        "{compared} cases of the library compared: {with_recording} with gator's messages, {contradicted} with their suite because \
         `gator test` leaves objects without a namespace out, the others with their suite because there is none"
    );
    assert!(compared > 200, "only {compared} cases: is this the library?");

    let known = known_differences().suites;
    let covers = |known: &SuiteDifference, (suite, test, case): &(String, String, String)| {
        known.suite == *suite
            && known.test.as_ref().is_none_or(|name| name == test)
            && known.case.as_ref().is_none_or(|name| name == case)
    };
    let unknown: Vec<_> = differences
        .iter()
        .filter(|(key, _)| !known.iter().any(|known| covers(known, key)))
        .map(|((suite, test, case), difference)| format!("{suite} {test} {case}: {difference}"))
        .collect();
    assert!(unknown.is_empty(), "differences nobody knows of:\n{}", unknown.join("\n"));
    for known in &known {
        assert!(
            differences.keys().any(|key| covers(known, key)),
            "{} {:?} {:?} is no difference any more: take it off the list",
            known.suite,
            known.test,
            known.case,
        );
    }
}

#[test]
fn recorded_requests_are_judged_by_every_library_policy() {
    let requests = shared("recordings/admission-reviews.jsonl");
    let (Some(library), Some(requests)) = (library(), requests) else { return };
    let mut documents = Vec::new();
    let mut kinds = BTreeSet::new();
    for path in suites(&library) {
        let folder = path.parent().expect("a folder");
        let Some(test) = read_suite(&path).tests.into_iter().find(|test| !test.invalid) else { continue };
        let (constraint, kind) = first_constraint(&folder.join(&*files(&test).constraint));
        // Some templates are in the library twice; one is enough.
        if kinds.insert(kind) {
            documents.extend(read(&folder.join(&*files(&test).template)));
            documents.push(constraint);
        }
    }
    let (policies, errors) = PolicySet::compile(documents);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for error in errors.iter().filter(|error| error.severity() == Severity::Error) {
        let subject = error.subject().unwrap_or_default();
        let rejected = kinds.iter().find(|kind| {
            subject == format!("ConstraintTemplate/{}", kind.to_lowercase())
                || subject.starts_with(&format!("{kind}/"))
        });
        found.insert(rejected.cloned().unwrap_or_default(), error.to_string());
    }
    let inventory = Inventory::empty();
    let mut reviewed = 0;
    for line in lines(&requests) {
        let (documents, errors) = Document::read_all("recorded.json", &line);
        assert!(errors.is_empty(), "{errors:?}");
        let (resource, errors) = Resource::read(&documents[0]);
        let Some(Resource::AdmissionReview(admission)) = resource else { panic!("{errors:?}") };
        let review = Review::from_admission(&admission).expect("a request as API servers send them");
        // A Namespace is known at the webhook.
        let review = match review.namespace_name() {
            "" => review,
            name => review.clone().with_namespace(namespace(name)),
        };
        reviewed += 1;
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook);
        for result in &outcome.results {
            if let Verdict::Error(error) = &result.verdict {
                found.insert(result.key().kind.to_string(), error.to_string());
            }
        }
    }
    println!("{reviewed} requests reviewed by {} policies", policies.constraints().count());
    assert!(reviewed > 0);
    let known: BTreeSet<_> =
        known_differences().recordings.into_iter().map(|difference| difference.kind).collect();
    let kinds: BTreeSet<_> = found.keys().cloned().collect();
    assert_eq!(kinds, known, "kinds that cannot be evaluated, and those known not to be: {found:#?}");
}

fn library() -> Option<PathBuf> {
    named("PORTCULLIS_GATEKEEPER_LIBRARY", "the `library` folder of gatekeeper-library")
}

fn known_differences() -> KnownDifferences {
    let path = testdata().join("parity/known-differences.yaml");
    serde_yaml::from_str(&text(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(path: &Path) -> Vec<String> {
    text(path).lines().map(str::to_owned).collect()
}

fn read(path: &Path) -> Vec<Document> {
    let source = portcullis::Source::new(path.display().to_string(), text(path));
    let (documents, errors) = Document::read_source(&source, &Limits::default());
    assert!(errors.iter().all(|error| error.severity() == Severity::Warning), "{errors:?}");
    documents
}

/// Whether the constraint is for some namespaces, and the object in none.
fn is_left_out_by_gator_test(test: &Test, case: &Case, folder: &Path) -> bool {
    let constraint = read(&folder.join(&*files(test).constraint)).remove(0).to_json();
    let object = read(&folder.join(&*case.object)).remove(0).to_json();
    constraint["spec"]["match"]["namespaces"].is_array() && object["metadata"]["namespace"].is_null()
}

/// What a test of the library judges by.
fn files(test: &Test) -> &PolicyFiles {
    test.policy.as_ref().expect("a template and a constraint")
}

/// The suites below the library, in order of their paths.
fn suites(library: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for area in ["general", "pod-security-policy"] {
        for entry in fs::read_dir(library.join(area)).expect("an area of the library") {
            let path = entry.expect("a policy").path().join("suite.yaml");
            if path.is_file() {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

fn read_suite(path: &Path) -> Suite {
    match Suite::read(&read(path)[0]) {
        (Some(suite), _) => suite,
        (_, errors) => panic!("{}: {errors:?}", path.display()),
    }
}

/// The policies of a test, or why they do not compile.
fn compile(test: &Test, folder: &Path) -> Result<PolicySet, String> {
    let PolicyFiles { template, constraint } = files(test);
    let paths = [template, constraint];
    let documents = paths.iter().flat_map(|path| read(&folder.join(&***path)));
    let resources = documents.filter_map(|document| Resource::read(&document).0);
    // The recordings are of gator without its driver for CEL.
    let settings = PolicySettings { engines: EngineChoice::RegoOnly, ..PolicySettings::default() };
    let (policies, errors) = PolicySet::from_resources_in(resources, &settings);
    match errors.iter().find(|error| error.severity() == Severity::Error) {
        None => Ok(policies),
        Some(error) => Err(error.to_string()),
    }
}

/// The messages of a case, sorted.
fn messages(policies: &PolicySet, case: &Case, folder: &Path) -> Result<Vec<String>, String> {
    let inventory: Inventory = case
        .inventory
        .iter()
        .flat_map(|path| read(&folder.join(&**path)))
        .map(|document| Object::from_document(document).expect("an object"))
        .collect();
    let document = read(&folder.join(&*case.object)).remove(0);
    let review = match Resource::read(&document) {
        (Some(Resource::AdmissionReview(admission)), _) => Review::from_admission_as_written(&admission),
        (_, errors) if !errors.is_empty() => return Err(format!("{errors:?}")),
        _ => Object::from_document(document).map(Review::as_written),
    };
    let review = review.map_err(|error| error.to_string())?;
    let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::CommandLine);
    let decision = Decision::from(&outcome);
    let mut messages: Vec<_> = decision.findings.iter().map(|finding| finding.message.to_owned()).collect();
    messages.sort();
    Ok(messages)
}

/// Whether messages are what the case itself asserts.
fn asserted(case: &Case, messages: &[String]) -> Result<(), String> {
    for assertion in &case.assertions {
        let fits = |message: &&String| assertion.message.as_ref().is_none_or(|regex| regex.is_match(message));
        let count = messages.iter().filter(fits).count() as u64;
        let holds = match assertion.violations {
            Expected::Yes => count > 0,
            Expected::No => count == 0,
            Expected::Exactly(expected) => count == expected,
        };
        if !holds {
            return Err(format!("{count} violations, not {:?}, in {messages:?}", assertion.violations));
        }
    }
    Ok(())
}

/// The constraint of a file, with its kind.
fn first_constraint(path: &Path) -> (Document, String) {
    let document = read(path).remove(0);
    let kind = document.to_json()["kind"].as_str().expect("a kind").to_owned();
    (document, kind)
}

fn namespace(name: &str) -> Object {
    portcullis_testkit::builders::object(&portcullis_testkit::builders::namespace(
        name,
        &serde_json::json!({}),
    ))
}
