//! What a test is about, compiled: its template with its constraint, mutators, expansion templates and answers of
//! providers.

use std::sync::Arc;

use portcullis::{
    AdmissionMutators, Answers, Document, Engine, EngineChoice, Error, ErrorKind, ExpansionSet, Location,
    MutatorSet, PolicySet, PolicySettings, Questions, Resource, Severity, TemplateInfo, Unsupported, Uses,
};
use portcullis_providers::{Answering, Recorded};
use portcullis_report::verify::{Failure, Status};
use portcullis_suite::Test;

use super::files::{Files, broken, not_one, separate};
use crate::commands::mutating;

/// By which rules tests are compiled.
#[derive(Clone, Copy)]
pub(super) struct Compiling {
    pub(super) unsupported: Unsupported,
    /// Which program of templates is run.
    pub(super) engines: EngineChoice,
    /// Whether the other program of templates that have two is run as well.
    pub(super) is_in_both: bool,
}

/// What the cases of a test are judged by.
pub(in crate::commands) struct Compiled {
    pub(in crate::commands) policies: PolicySet,
    /// The same where the other program of its template is run, if there is one and it is to be asked.
    pub(in crate::commands) other: Option<PolicySet>,
    pub(in crate::commands) expansions: ExpansionSet,
    /// None if the test does not mutate.
    pub(in crate::commands) mutators: Option<Changing>,
    /// Whether what is asserted is that mutating admission policies deny: they are what the test is about.
    pub(in crate::commands) is_about_admission: bool,
    /// What providers of external data answer.
    pub(in crate::commands) answers: Recorded,
    /// What the policies are compiled of: the template, and the constraint.
    pub(in crate::commands) resources: Vec<Resource>,
}

/// What changes the objects of a test.
pub(in crate::commands) struct Changing {
    pub(super) mutators: MutatorSet,
    /// The API server's own policies.
    pub(super) admission: Vec<Resource>,
}

impl Compiled {
    fn empty(expansions: ExpansionSet, mutators: Option<Changing>) -> Self {
        Self {
            policies: PolicySet::empty(),
            other: None,
            expansions,
            mutators,
            is_about_admission: false,
            answers: Recorded::default(),
            resources: Vec::new(),
        }
    }

    /// What is known of some questions: what the test says itself counts more.
    pub(in crate::commands) fn answer(&self, questions: &Questions, answering: &Answering) -> Answers {
        let mut known = self.answers.answer(questions);
        let mut open = Questions::default();
        for question in questions.iter().filter(|question| !known.answers(question)) {
            // As many as there were before.
            let _ = open.ask(question.clone());
        }
        known.extend(answering.answer(&open, None));
        known
    }

    /// The policies as they are in Rego, if that is what is run or could be.
    pub(super) fn in_rego(&self) -> &PolicySet {
        self.other.as_ref().filter(|other| engine_of(other) == Some(Engine::Rego)).unwrap_or(&self.policies)
    }
}

/// What evaluates the one template of a test.
pub(in crate::commands) fn engine_of(policies: &PolicySet) -> Option<Engine> {
    policies.templates().next().map(TemplateInfo::engine)
}

/// The policies of a test, or why there are none; `None` if its template is in an engine that there is not,
/// and that is allowed. A test with `invalid: true` gets an empty set if its constraint is refused as it
/// should.
pub(super) fn compile(
    test: &Test,
    files: &Files<'_>,
    compiling: Compiling,
    warnings: &mut Vec<Error>,
) -> Result<Option<Compiled>, Failure> {
    let (at, unsupported) = (&test.location, compiling.unsupported);
    let expansions = match &test.expansion {
        Some(path) => expansions(path, files, at, warnings)?,
        None => ExpansionSet::empty(),
    };
    let mut of_mutators: Vec<Arc<str>> = test.mutators.clone();
    let template = match &test.policy {
        Some(named) => files.read(&named.template, "template", at, warnings)?,
        None => Vec::new(),
    };
    let is_mutating = |document: &Document| {
        let (resource, _) = Resource::read_for(document, Uses::POLICIES.with_mutators(true));
        resource.is_some_and(|resource| mutating::is_admission(&resource))
    };
    let is_about_admission = template.first().is_some_and(is_mutating);
    if let Some(named) = test.policy.as_ref().filter(|_| is_about_admission) {
        of_mutators.extend([named.template.clone(), named.constraint.clone()]);
        of_mutators.dedup();
    }
    let mutators = match of_mutators.as_slice() {
        [] => None,
        paths => Some(mutators(paths, files, at, warnings)?),
    };
    let mut answers = Recorded::default();
    for path in &test.provider_answers {
        answers.extend(files.answers(path, at)?);
    }
    if is_about_admission && test.invalid {
        let message =
            "`invalid` is about the parameters of a constraint, and a mutating admission policy has none";
        return Err(broken(at, message, &[]));
    }
    let Some(named) = test.policy.as_ref().filter(|_| !is_about_admission) else {
        return Ok(Some(Compiled { is_about_admission, ..Compiled::empty(expansions, mutators) }));
    };
    let constraint = files.read(&named.constraint, "constraint", at, warnings)?;
    if let ([document], Unsupported::Allowed) = (template.as_slice(), unsupported) {
        let problems = unsupported.judge(Resource::read(document).1);
        let is_unsupported = problems.iter().any(|problem| problem.kind() == ErrorKind::Unsupported);
        if is_unsupported && problems.iter().all(|problem| problem.severity() == Severity::Warning) {
            warnings.extend(problems);
            return Ok(None);
        }
    }
    let template = only(&template, "ConstraintTemplate", &named.template, at, warnings, |resource| {
        matches!(resource, Resource::Template(_) | Resource::AdmissionPolicy(_))
    })?;
    let mut problems = Vec::new();
    let constraint = match read_constraint(&constraint, &named.constraint, at, warnings)? {
        Ok(constraint) => Some(constraint),
        Err(errors) => {
            problems = errors;
            None
        }
    };
    let all: Vec<Resource> = [template].into_iter().chain(constraint).collect();
    let settings = |engines| PolicySettings { engines, ..PolicySettings::default() };
    let (policies, found) = PolicySet::from_resources_in(all.iter().cloned(), &settings(compiling.engines));
    let resources = all.clone();
    let has_other = policies.templates().any(|template| template.other_engine().is_some());
    let other = (compiling.is_in_both && has_other).then(|| {
        let engines = match compiling.engines {
            EngineChoice::CelFirst => EngineChoice::RegoOnly,
            EngineChoice::RegoOnly => EngineChoice::CelFirst,
        };
        // What is wrong with it is so in either language.
        PolicySet::from_resources_in(all, &settings(engines)).0
    });
    let (errors, found) = separate(found);
    warnings.extend(found);
    problems.extend(errors);
    // That a constraint lacks its template is no news if the template is what is broken.
    if problems.iter().any(|problem| problem.kind() != ErrorKind::MissingTemplate) {
        problems.retain(|problem| problem.kind() != ErrorKind::MissingTemplate);
    }
    match (test.invalid, problems.is_empty()) {
        (false, true) => Ok(Some(Compiled {
            policies,
            other,
            answers,
            resources,
            ..Compiled::empty(expansions, mutators)
        })),
        (false, false) => Err(broken(at, "the policy cannot be used", &problems)),
        (true, _) if problems.iter().any(|error| error.kind() == ErrorKind::SchemaValidation) => {
            Ok(Some(Compiled::empty(expansions, mutators)))
        }
        (true, true) => {
            let message = "expected that the constraint does not fit the template's schema, but it does";
            Err(Failure { status: Status::Failed, ..broken(at, message, &[]) })
        }
        (true, false) => {
            let message = "expected that the constraint does not fit the template's schema, but something else is wrong";
            Err(Failure { status: Status::Failed, ..broken(at, message, &problems) })
        }
    }
}

/// The expansion templates of a file. Each of its documents has to be one.
fn expansions(
    path: &str,
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<ExpansionSet, Failure> {
    let uses = Uses::POLICIES.with_expansions(true);
    let is_one = Resource::is_expansion;
    let (resources, errors) = all_of(path, "ExpansionTemplate", uses, is_one, files, at, warnings)?;
    let (expansions, problems) = ExpansionSet::from_resources(resources);
    sound(expansions, "expansion", errors, problems, at, warnings)
}

/// The mutators of some files. Each of their documents has to be one.
fn mutators(
    paths: &[Arc<str>],
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<Changing, Failure> {
    let uses = Uses::POLICIES.with_mutators(true);
    let is_one = |resource: &Resource| resource.is_mutator() || matches!(resource, Resource::Rejected(_));
    let (mut resources, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let (found, problems) = all_of(path, "mutator", uses, is_one, files, at, warnings)?;
        resources.extend(found);
        errors.extend(problems);
    }
    let (admission, resources): (Vec<Resource>, Vec<Resource>) =
        resources.into_iter().partition(mutating::is_admission);
    let (mutators, mut problems) = mutating::compile(&resources);
    problems.extend(AdmissionMutators::from_resources(admission.iter().cloned()).1);
    sound(Changing { mutators, admission }, "mutators", errors, problems, at, warnings)
}

/// The resources of one sort in a file, with the errors of those that are broken or of another sort.
fn all_of(
    path: &str,
    what: &str,
    uses: Uses,
    is_one: impl Fn(&Resource) -> bool,
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<(Vec<Resource>, Vec<Error>), Failure> {
    let documents = files.read(path, what, at, warnings)?;
    if documents.is_empty() {
        return Err(broken(at, format!("expected at least one {what} in `{path}`, found none"), &[]));
    }
    let (mut resources, mut errors) = (Vec::new(), Vec::new());
    for document in &documents {
        let (resource, problems) = Resource::read_for(document, uses);
        let (found, others) = separate(problems);
        warnings.extend(others);
        match resource {
            Some(resource) if is_one(&resource) => resources.push(resource),
            Some(_) if found.is_empty() => {
                let message = format!("this is no {what}");
                errors.push(Error::new(ErrorKind::Suite, message).at(document.location()));
            }
            _ => {}
        }
        errors.extend(found);
    }
    Ok((resources, errors))
}

/// A set, if nothing of what it was compiled of is wrong.
fn sound<T>(
    set: T,
    what: &str,
    mut errors: Vec<Error>,
    problems: Vec<Error>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<T, Failure> {
    let (found, others) = separate(problems);
    warnings.extend(others);
    errors.extend(found);
    if errors.is_empty() {
        return Ok(set);
    }
    Err(broken(at, format!("the {what} cannot be used"), &errors))
}

/// The constraint of a file; the inner error is that of a constraint that is broken.
fn read_constraint(
    documents: &[Document],
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<Result<Resource, Vec<Error>>, Failure> {
    let document = first(documents, "constraint", path, at, warnings)?;
    let (resource, problems) = Resource::read(document);
    let (errors, found) = separate(problems);
    match resource {
        Some(constraint @ (Resource::Constraint(_) | Resource::AdmissionPolicyBinding(_))) => {
            warnings.extend(found);
            Ok(Ok(constraint))
        }
        // A constraint of which something is wrong, and what is none.
        Some(Resource::Rejected(_)) | None => Ok(Err(errors)),
        Some(_) => {
            let message =
                format!("expected a constraint in `{path}`, of the group constraints.gatekeeper.sh");
            Err(broken(at, message, &[]))
        }
    }
}

/// The resource of a kind that a file is named for.
fn only(
    documents: &[Document],
    what: &str,
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
    wanted: impl Fn(&Resource) -> bool,
) -> Result<Resource, Failure> {
    let document = first(documents, what, path, at, warnings)?;
    let (resource, problems) = Resource::read(document);
    let (errors, found) = separate(problems);
    match resource {
        Some(resource) if wanted(&resource) => {
            warnings.extend(found);
            Ok(resource)
        }
        Some(resource) if !matches!(resource, Resource::Rejected(_)) => {
            Err(broken(at, format!("expected a {what} in `{path}`"), &[]))
        }
        _ => Err(broken(at, format!("the {what} cannot be used"), &errors)),
    }
}

/// The first document of a file, as gator takes it. The others do nothing, which they may not have been
/// written for.
fn first<'d>(
    documents: &'d [Document],
    what: &str,
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<&'d Document, Failure> {
    let [first, others @ ..] = documents else { return Err(not_one(0, what, path, at)) };
    warnings.extend(others.iter().map(|unused| {
        let message = format!("this document is not used: of a file, a test takes the first as its {what}");
        Error::warning(ErrorKind::Suite, message)
            .hint("put it into a file of its own, or take it out")
            .at(unused.location())
    }));
    Ok(first)
}
