//! Runs a case every way there is, and compares each with the first and that with what the case expects.
//!
//! | way | what it shows |
//! |---|---|
//! | documents compiled at once | the behaviour itself |
//! | … in reverse and shuffled | order does not matter, neither for outcomes nor for errors |
//! | one change at a time, in both directions and shuffled | incremental equals batch |
//! | … with every resource removed and added again in between | removal leaves nothing behind |
//! | the same set again, and clones of it in threads | a review leaves nothing behind |
//! | only what policies read kept of the inventory | an audit of a dump that does not fit into memory |
//! | the inventory in reverse, with objects removed and added again | the same for the inventory |

use std::fmt::Write as _;
use std::thread;

use portcullis::{
    Change, Counting, Decision, Document, EnforcementAction, EnforcementPoint, Error, Expansion,
    ExpansionChange, ExpansionSet, ExpansionStore, Inventory, InventoryStore, Object, ObjectKey,
    ObjectSource as Source, Outcome, PolicySet, PolicyStore, Process, Resource, Review, Severity,
    TemplateName, Uses, Verdict, World,
};

use crate::case::{Applies, Case, Expect, ExpectedFinding, File, ObjectSource, Point, Problem};

/// Runs one case of a file.
///
/// # Errors
///
/// What differs from the expectation, or between two ways.
pub fn run(file: &File, case: &Case) -> Result<(), String> {
    let documents = policy_documents(file, case)?;
    let (policies, mut errors) = PolicySet::compile(documents.clone());
    let templates = read("expansion", &case.expansion)?;
    let (expansions, problems) = ExpansionSet::compile(templates.clone());
    let expansion_errors = problems.clone();
    let of_policies = errors.clone();
    errors.extend(problems);
    check_errors(&case.expect.errors, &errors)?;
    let orders = orders(&documents, case.ordered);
    for (way, documents) in &orders {
        let (_, shuffled) = PolicySet::compile(documents.clone());
        if shuffled != of_policies {
            return Err(format!("{way}: other errors: {shuffled:#?} instead of {of_policies:#?}"));
        }
    }
    let expansions = expansion_ways(&templates, expansions, &expansion_errors)?;
    let Some(review) = review(case)? else { return Ok(()) };
    let review = match review {
        Ok(review) => review,
        Err(refusal) if case.expect.refused.as_deref() == Some(&*refusal) => return Ok(()),
        Err(refusal) => return Err(format!("the request cannot be reviewed: {refusal}")),
    };
    if case.expect.refused.is_some() {
        return Err("the request can be reviewed, but should not".to_owned());
    }
    let point = point(case.point);
    let objects = objects(&case.inventory)?;
    let inventory: Inventory = objects.iter().cloned().collect();
    let judge = |policies: &PolicySet, inventory: &Inventory| -> Outcome {
        judged(policies, &expansions[0].1, &review, inventory, point)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    match judged(&policies, &expansions[0].1, &review, &inventory, point) {
        Err(error) if case.expect.unexpanded.as_deref() == Some(&*error) => return Ok(()),
        Err(error) => return Err(format!("the object cannot be expanded: {error}")),
        Ok(_) if case.expect.unexpanded.is_some() => {
            return Err("the object can be expanded, but should not".to_owned());
        }
        Ok(_) => {}
    }
    let outcome = judge(&policies, &inventory);
    check(&case.expect, &outcome)?;
    check_exclusions(&case.expect, &policies, &review)?;

    let expected = render(&outcome);
    for (way, expansions) in &expansions {
        let other = judged(&policies, expansions, &review, &inventory, point)?;
        if render(&other) != expected {
            return Err(format!("expansion {way} gives another outcome:\n{}", render(&other)));
        }
    }
    let same = |way: &str, outcome: &Outcome| -> Result<(), String> {
        let rendered = render(outcome);
        if rendered == expected {
            return Ok(());
        }
        Err(format!("{way} gives another outcome:\n{rendered}\ninstead of\n{expected}"))
    };
    for (way, documents) in &orders {
        let (policies, _) = PolicySet::compile(documents.clone());
        same(&format!("compiled {way}"), &judge(&policies, &inventory))?;
        let policies = incremental(documents);
        same(&format!("incremental {way}"), &judge(&policies, &inventory))?;
        if !case.ordered {
            let policies = with_removals(documents);
            same(&format!("incremental {way}, with removals"), &judge(&policies, &inventory))?;
        }
    }
    same("the same set again", &judge(&policies, &inventory))?;
    let other = rebuilt(&objects);
    same("a rebuilt inventory", &judge(&policies, &other))?;
    let kept: Inventory = objects.iter().filter_map(|object| policies.for_inventory(object)).collect();
    same("what is kept of the inventory", &judge(&policies, &kept))?;
    let in_threads: Vec<Outcome> = thread::scope(|scope| {
        let start = |_| {
            let (policies, judge, inventory) = (policies.clone(), &judge, &inventory);
            scope.spawn(move || judge(&policies, inventory))
        };
        let handles: Vec<_> = (0..4).map(start).collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or_else(|_| panic!("a panic"))).collect()
    });
    in_threads.iter().try_for_each(|outcome| same("a clone in a thread", outcome))
}

/// Reviews an object with what it implies.
fn judged(
    policies: &PolicySet,
    expansions: &ExpansionSet,
    review: &Review,
    inventory: &Inventory,
    point: EnforcementPoint,
) -> Result<Outcome, String> {
    let world = World::new(inventory);
    let implied = review.implied(&Expansion::new(expansions), &world).map_err(|error| error.to_string())?;
    let outcome = policies.review_with(review, &implied, &world, point);
    let uncounted = world.with_counting(Counting::NearLimits);
    let uncounted = render(&policies.review_with(review, &implied, &uncounted, point));
    let counted = render(&outcome);
    if counted == uncounted {
        Ok(outcome)
    } else {
        Err(format!("where nobody counts: {uncounted}instead of: {counted}"))
    }
}

/// Expansion templates compiled in every order, and one change at a time.
fn expansion_ways(
    documents: &[Document],
    batch: ExpansionSet,
    errors: &[Error],
) -> Result<Vec<(&'static str, ExpansionSet)>, String> {
    let mut ways = vec![("at once", batch)];
    for (way, documents) in orders(documents, false) {
        let (set, others) = ExpansionSet::compile(documents.clone());
        if others != errors {
            return Err(format!("expansion {way}: other errors: {others:#?} instead of {errors:#?}"));
        }
        ways.push((way, set));
        let uses = Uses::POLICIES.with_expansions(true);
        let resources: Vec<Resource> =
            documents.iter().filter_map(|document| Resource::read_for(document, uses).0).collect();
        let mut store = ExpansionStore::new();
        for resource in &resources {
            store.apply(ExpansionChange::Upsert(resource.clone()));
            let _ = store.snapshot();
        }
        for resource in &resources {
            let Resource::ExpansionTemplate(template) = resource else { continue };
            store.apply(ExpansionChange::Remove(template.name().clone()));
            let _ = store.snapshot();
            store.apply(ExpansionChange::Upsert(resource.clone()));
        }
        ways.push(("one change at a time", store.snapshot()));
    }
    Ok(ways)
}

/// An outcome as text, complete: equal texts are equal outcomes.
pub fn render(outcome: &Outcome) -> String {
    let mut text = format!("at {}\n", outcome.point);
    for result in &outcome.results {
        let actions: Vec<_> = result.actions.iter().map(EnforcementAction::as_str).collect();
        let implied = result.implied_by.as_ref().map(|by| format!(" implied by {}", by.template()));
        let implied = implied.unwrap_or_default();
        let _ = writeln!(text, "{}{implied} [{}]", result.key(), actions.join(","));
        match &result.verdict {
            Verdict::Pass => text.push_str("  pass\n"),
            Verdict::Error(error) => {
                let _ = writeln!(text, "  error {} at {:?}", error.message, error.location);
            }
            Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
                if let Verdict::Excepted { by, .. } = &result.verdict {
                    let _ = writeln!(text, "  excepted by {}", by.name());
                }
                for violation in violations {
                    let _ = writeln!(text, "  {} {}", violation.message, violation.details());
                    if let Some(position) = violation.position() {
                        let (location, path, precision) =
                            (&position.location, &position.path, position.precision);
                        let _ = writeln!(text, "    at {location} {path} ({precision})");
                    }
                }
            }
        }
        for line in &result.prints {
            let _ = writeln!(text, "  prints {line}");
        }
    }
    let decision = Decision::from(outcome);
    let _ = writeln!(text, "allowed {} {:?}", decision.allowed(), decision.denials());
    let _ = writeln!(text, "warnings {:?}", decision.warnings());
    text
}

fn policy_documents(file: &File, case: &Case) -> Result<Vec<Document>, String> {
    let mut documents = read("shared", &file.shared)?;
    if let Some(wanted) = &case.r#match {
        let spec = serde_json::json!({"match": wanted});
        documents.push(crate::builders::document(&crate::builders::constraint("Always", "it", &spec)));
    }
    documents.extend(read("policies", &case.policies)?);
    Ok(documents)
}

fn read(name: &str, text: &str) -> Result<Vec<Document>, String> {
    let (documents, errors) = Document::read_all(name, text);
    if errors.is_empty() { Ok(documents) } else { Err(format!("{name} cannot be read: {errors:#?}")) }
}

fn objects(text: &str) -> Result<Vec<Object>, String> {
    let documents = read("inventory", text)?;
    documents
        .into_iter()
        .map(Object::from_document)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// The review of a case, or why it is refused.
fn review(case: &Case) -> Result<Option<Result<Review, String>>, String> {
    let Some(given) = &case.review else { return Ok(None) };
    let text = match given {
        serde_json::Value::String(text) => text.clone(),
        mapping => mapping.to_string(),
    };
    let documents = read("review", &text)?;
    let [document] = documents.as_slice() else {
        return Err(format!("a review is one document, not {}", documents.len()));
    };
    let (resource, errors) = Resource::read(document);
    let review = match resource {
        Some(Resource::AdmissionReview(admission)) => Review::from_admission(&admission),
        Some(_) => Object::from_document(document.clone()).map(Review::from_object),
        None => {
            let lines: Vec<_> = errors.iter().map(Error::to_string).collect();
            return Ok(Some(Err(lines.join("\n"))));
        }
    };
    let mut review = match review {
        Ok(review) => review,
        Err(error) => return Ok(Some(Err(error.to_string()))),
    };
    if let Some(namespace) = &case.namespace {
        review = review.with_namespace(crate::builders::object(namespace));
    }
    Ok(Some(Ok(review.with_source(match case.source {
        ObjectSource::Original => Source::Original,
        ObjectSource::Generated => Source::Generated,
    }))))
}

const fn point(point: Point) -> EnforcementPoint {
    match point {
        Point::Webhook => EnforcementPoint::Webhook,
        Point::Audit => EnforcementPoint::Audit,
        Point::Gator => EnforcementPoint::CommandLine,
        Point::Vap => EnforcementPoint::AdmissionPolicy,
    }
}

/// The documents in other orders.
fn orders(documents: &[Document], ordered: bool) -> Vec<(&'static str, Vec<Document>)> {
    let mut orders = vec![("in order", documents.to_vec())];
    if !ordered {
        orders.push(("in reverse", documents.iter().rev().cloned().collect()));
        for seed in [3, 7] {
            let mut shuffled = documents.to_vec();
            shuffle(&mut shuffled, seed);
            orders.push(("shuffled", shuffled));
        }
    }
    orders
}

/// Fisher and Yates, with a generator that is good enough and the same everywhere.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (last + 1);
        items.swap(last, other);
    }
}

fn resources(documents: &[Document]) -> Vec<Resource> {
    documents.iter().filter_map(|document| Resource::read(document).0).collect()
}

fn incremental(documents: &[Document]) -> PolicySet {
    let mut store = PolicyStore::new();
    for resource in resources(documents) {
        store.apply(Change::Upsert(resource));
    }
    store.snapshot()
}

fn with_removals(documents: &[Document]) -> PolicySet {
    let mut store = PolicyStore::new();
    let resources = resources(documents);
    for resource in &resources {
        store.apply(Change::Upsert(resource.clone()));
        // What came before goes, and comes back.
        let _ = store.snapshot();
    }
    for resource in &resources {
        let Some(removal) = removal(resource) else { continue };
        store.apply(removal);
        let _ = store.snapshot();
        store.apply(Change::Upsert(resource.clone()));
    }
    store.snapshot()
}

/// The change that takes a template or constraint away.
fn removal(resource: &Resource) -> Option<Change> {
    match resource {
        Resource::Template(template) => Some(Change::RemoveTemplate(TemplateName::of_kind(template.kind()))),
        Resource::Constraint(constraint) => Some(Change::RemoveConstraint(constraint.key().clone())),
        Resource::Rejected(resource) => removal(resource),
        _ => None,
    }
}

fn rebuilt(objects: &[Object]) -> Inventory {
    let mut store = InventoryStore::new();
    for object in objects {
        store.upsert(object.clone());
    }
    let _ = store.snapshot();
    for object in objects {
        store.remove(&ObjectKey::of(object));
        let _ = store.snapshot();
        store.upsert(object.clone());
    }
    store.snapshot()
}

fn check_errors(expected: &[Problem], found: &[Error]) -> Result<(), String> {
    let fits = |problem: &Problem, error: &Error| {
        let warning = error.severity() == Severity::Warning;
        problem.kind == error.kind().code()
            && problem.message == error.message()
            && problem.warning == warning
            && problem.at.as_ref().is_none_or(|at| Some(at) == place(error).as_ref())
            && problem.hint.as_ref().is_none_or(|hint| hint == error.help().unwrap_or_default())
    };
    if expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| fits(a, b)) {
        return Ok(());
    }
    // In the format of the cases, so that a report can be compared with them line by line.
    let mut text = "the errors are\n".to_owned();
    for error in found {
        let _ = writeln!(text, "  - kind: {}", error.kind().code());
        if let Some(place) = place(error) {
            let _ = writeln!(text, "    at: {place:?}");
        }
        let _ = writeln!(text, "    message: {}", quoted(error.message()));
        if let Some(hint) = error.help() {
            let _ = writeln!(text, "    hint: {}", quoted(hint));
        }
        if error.severity() == Severity::Warning {
            text.push_str("    warning: true\n");
        }
    }
    let _ = write!(text, "instead of {expected:#?}");
    Err(text)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn place(error: &Error) -> Option<String> {
    let location = error.location()?;
    let place = format!("{}:{}", location.line(), location.column());
    Some(if &**location.file() == "policies" { place } else { format!("{}:{place}", location.file()) })
}

fn check(expect: &Expect, outcome: &Outcome) -> Result<(), String> {
    let decision = Decision::from(outcome);
    let complain = |what: &str, found: &str| Err(format!("{what} is {found}\n{}", render(outcome)));
    if let Some(expected) = expect.applies {
        let result = outcome.results.iter().find(|result| result.key().to_string() == "Always/it");
        let found = match result.map(|result| &result.verdict) {
            None => Applies::No,
            Some(Verdict::Error(_)) => Applies::Unknown,
            Some(_) => Applies::Yes,
        };
        if found != expected {
            return complain("whether it applies", &format!("{found:?}"));
        }
    } else {
        if decision.denials() != expect.denials {
            return complain("what denies", &format!("{:#?}", decision.denials()));
        }
        if decision.warnings() != expect.warnings {
            return complain("what warns", &format!("{:#?}", decision.warnings()));
        }
    }
    if expect.allowed.is_some_and(|allowed| allowed != decision.allowed()) {
        return complain("`allowed`", &decision.allowed().to_string());
    }
    if let Some(findings) = &expect.findings {
        if findings.len() != decision.findings.len() {
            return complain("the number of findings", &decision.findings.len().to_string());
        }
        for (expected, found) in findings.iter().zip(&decision.findings) {
            check_finding(expected, found).or_else(|what| complain("a finding", &what))?;
        }
    }
    let excepted = || {
        let line = |finding: &portcullis::Finding<'_>| {
            format!(
                "{}: {}",
                finding.exception().map_or("?", portcullis::ExceptionInfo::name),
                finding.line()
            )
        };
        decision.excepted.iter().map(line).collect::<Vec<_>>()
    };
    if expect.excepted.as_ref().is_some_and(|expected| *expected != excepted()) {
        return complain("what is excepted", &format!("{:#?}", excepted()));
    }
    let keys_of_passes = || {
        let passes = outcome.results.iter().filter(|result| result.verdict == Verdict::Pass);
        passes.map(|result| result.key().to_string()).collect::<Vec<_>>()
    };
    if expect.passes.as_ref().is_some_and(|passes| *passes != keys_of_passes()) {
        return complain("what passes", &format!("{:?}", keys_of_passes()));
    }
    let prints: Vec<_> = outcome.results.iter().flat_map(|result| result.prints.clone()).collect();
    if expect.prints.as_ref().is_some_and(|expected| *expected != prints) {
        return complain("what is printed", &format!("{prints:?}"));
    }
    Ok(())
}

fn check_finding(expected: &ExpectedFinding, found: &portcullis::Finding<'_>) -> Result<(), String> {
    let mut differences = String::new();
    let mut compare = |what: &str, expected: Option<&str>, found: &str| {
        if expected.is_some_and(|expected| expected != found) {
            let _ = writeln!(differences, "{what}: {found:?}");
        }
    };
    let key = found.result.key().to_string();
    compare("constraint", expected.constraint.as_deref(), &key);
    compare("message", Some(&expected.message), found.message);
    let actions: Vec<_> = found.actions().iter().map(EnforcementAction::as_str).collect();
    compare("actions", expected.actions.as_ref().map(|list| list.join(",")).as_deref(), &actions.join(","));
    compare("error", Some(if expected.error { "true" } else { "false" }), &found.is_error().to_string());
    let details = found.violation.map(|violation| violation.details().to_string()).unwrap_or_default();
    compare("details", expected.details.as_ref().map(ToString::to_string).as_deref(), &details);
    let position = found.position();
    let location = match &found.result.verdict {
        Verdict::Error(error) => error.location.as_ref(),
        _ => position.as_ref().map(|position| &position.location),
    };
    let at = location.map(|at| format!("{}:{}", at.line(), at.column())).unwrap_or_default();
    compare("at", expected.at.as_deref(), &at);
    let path = position.as_ref().map(|position| position.path.to_string()).unwrap_or_default();
    compare("path", expected.path.as_deref(), &path);
    let precision = position.map(|position| position.precision.to_string()).unwrap_or_default();
    compare("precision", expected.precision.as_deref(), &precision);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn check_exclusions(expect: &Expect, policies: &PolicySet, review: &Review) -> Result<(), String> {
    const PROCESSES: &[(&str, Process)] = &[
        ("audit", Process::Audit),
        ("webhook", Process::Webhook),
        ("sync", Process::Sync),
        ("mutation-webhook", Process::MutationWebhook),
    ];
    let excluded = PROCESSES.iter().filter(|(_, process)| policies.excludes(*process, review));
    let excluded: Vec<_> = excluded.map(|(name, _)| (*name).to_owned()).collect();
    match &expect.excluded {
        Some(expected) if *expected != excluded => Err(format!("excluded from {excluded:?}")),
        _ => Ok(()),
    }
}
