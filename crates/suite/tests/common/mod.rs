//! The violations of suites, for tests that go through all of them.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{
    Document, EnforcementPoint, EngineChoice, Inventory, Object, PolicySet, PolicySettings, Resource, Review,
    Verdict, World,
};
use portcullis_suite::{Case, Suite};

pub const POINT: EnforcementPoint = EnforcementPoint::CommandLine;

pub fn documents(path: &Path) -> Vec<Document> {
    Document::read_all(path.to_str().unwrap(), &fs::read_to_string(path).unwrap()).0
}

pub fn suites(folder: &Path, found: &mut Vec<PathBuf>) {
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

#[allow(dead_code, reason = "not all tests edit policies")]
pub fn compile(template: &Document, constraint: &Document) -> Option<PolicySet> {
    compile_by(EngineChoice::RegoOnly, template, constraint)
}

pub fn compile_by(engines: EngineChoice, template: &Document, constraint: &Document) -> Option<PolicySet> {
    let settings = PolicySettings { engines, ..PolicySettings::default() };
    let resources: Vec<Resource> =
        [template, constraint].into_iter().filter_map(|one| Resource::read(one).0).collect();
    let (set, _) = PolicySet::from_resources_in(resources, &settings);
    (set.constraints().count() == 1).then_some(set)
}

pub struct Reviewed {
    pub review: Review,
    pub inventory: Inventory,
    /// Of a request, its text.
    #[allow(dead_code, reason = "not all tests look at it")]
    pub request: Option<Document>,
}

pub fn reviewed(folder: &Path, case: &Case) -> Option<Reviewed> {
    let inventory = case.inventory.iter().flat_map(|path| documents(&folder.join(&**path)));
    let inventory: Inventory =
        inventory.filter_map(|document| Object::from_document(document).ok()).collect();
    let document = documents(&folder.join(&*case.object)).into_iter().next()?;
    let (review, request) = match Resource::read(&document).0 {
        Some(Resource::AdmissionReview(request)) => {
            (Review::from_admission_as_written(&request).ok()?, Some(document))
        }
        _ => (Review::as_written(Object::under_test(document).ok()?), None),
    };
    Some(Reviewed { review, inventory, request })
}

/// The world of a case, at a moment that is always the same.
pub fn world(of: &Reviewed) -> World<'_> {
    World::new(&of.inventory).with_now(1_750_000_000_000_000_000)
}

/// The messages, or none if it could not be evaluated.
pub fn messages(set: &PolicySet, of: &Reviewed) -> Option<BTreeSet<String>> {
    let world = world(of);
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

/// Goes through the cases of all suites of a folder that judge, each with its policy: the template and constraint, what
/// is compiled of them, the case and what is reviewed. Says how many suites there are.
#[allow(dead_code, reason = "not all tests take the Rego of all")]
pub fn each_case(
    folder: &Path,
    each: impl FnMut(&Document, &Document, &PolicySet, &Case, &Reviewed),
) -> usize {
    each_case_by(folder, EngineChoice::RegoOnly, each)
}

/// The same by the engines that are chosen: those of CEL only, if it comes first.
pub fn each_case_by(
    folder: &Path,
    engines: EngineChoice,
    mut each: impl FnMut(&Document, &Document, &PolicySet, &Case, &Reviewed),
) -> usize {
    let mut paths = Vec::new();
    suites(folder, &mut paths);
    for path in &paths {
        let folder = path.parent().unwrap();
        let tests = documents(path);
        let tests = tests.iter().filter_map(|document| Suite::read(document).0).flat_map(|suite| suite.tests);
        for test in tests {
            let is_plain = test.mutators.is_empty() && test.expansion.is_none();
            let Some(policy) = test.policy.as_ref().filter(|_| is_plain) else { continue };
            let template = documents(&folder.join(&*policy.template)).into_iter().next().unwrap();
            let constraint = documents(&folder.join(&*policy.constraint)).into_iter().next().unwrap();
            let is_cel = template.source().text().contains("K8sNativeValidation");
            if engines == EngineChoice::CelFirst && !is_cel {
                continue;
            }
            let Some(set) = compile_by(engines, &template, &constraint) else { continue };
            for case in &test.cases {
                let Some(of) = reviewed(folder, case) else { continue };
                each(&template, &constraint, &set, case, &of);
            }
        }
    }
    paths.len()
}

#[allow(dead_code, reason = "not all tests look at all policies")]
/// The folder of the suites: our own policies, or what `PORTCULLIS_SUITES` names.
pub fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    std::env::var_os("PORTCULLIS_SUITES").map_or(own, PathBuf::from)
}
