//! `portcullis test`: judges objects by policies.
//!
//! ```text
//! paths ── read ──> documents ── Resource::read ──> policies ── PolicySet ──────────┐
//!                                              └──> objects ─── Inventory ──────────┤
//!                                              └──> subjects (objects, requests) ───┴── review ──> report
//! ```

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use portcullis::{
    Answers, ConstraintKey, Document, EnforcementAction, Error, ErrorKind, ExceptionInfo, Expansion,
    ExpansionSet, InventoryStore, Location, MutatorSet, Object, ObjectKey, Parent, Places, PolicySet,
    PolicySettings, Resource, Unsupported, custom_type_warnings,
};
use portcullis_audit::implying::Expand;
use portcullis_report::Explained;
use portcullis_report::fixes::FixedObject;
use portcullis_report::{
    self as report, Action, ExitStatus, Finding, Form, Origin, Placed, Policy, Problem, Reviewed,
    Subject as Judgeable, Suppressed, Suppression, TestReport, Wanted,
};
use portcullis_sources::{Ignores, prepared};
use rayon::prelude::*;

use crate::commands::asking;
use crate::commands::baseline::Baseline;
use crate::commands::cluster::{self, Cluster};
use crate::commands::evaluation::Evaluating;
use crate::commands::excluded;
use crate::commands::fixing;
use crate::commands::idle::{Idle, is_asked};
use crate::commands::input::{Given, Loaded, Purpose, Sources, Subject, SubjectKind, has_errors, load};
use crate::commands::judging::{Explains, FixesOf, Judged, Judging, POINT};
use crate::commands::mutating::{Admission, Mutating, Outside, compile, expanding, is_admission};
use crate::commands::progress::Progress;
use crate::commands::rules::{Asked, Rules};
use crate::commands::second::{Second, Tally, not_compared};
use crate::commands::templates;
use crate::commands::trace;
use crate::test_args::{FailOn, TestArgs};

/// Most bytes of all explanations of a run; each object has an equal part.
const EXPLAINED_BYTES: usize = 256 << 20;

/// Judges and reports.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitStatus> {
    report::destination::check(&args.output).map_err(anyhow::Error::msg)?;
    let template = templates::read(args.template.as_deref(), &args.output)?;
    let has = |forms: &[Form]| args.output.iter().any(|one| forms.contains(&one.form));
    if args.stats && !has(&[Form::Json, Form::Yaml]) {
        anyhow::bail!("`--stats` is in `-o json` and `-o yaml`, which are not asked for");
    }
    if args.trace && !has(&[Form::Human, Form::Json, Form::Yaml, Form::Template]) {
        anyhow::bail!("`--trace` is in `-o human`, `-o json` and `-o yaml`, which are not asked for");
    }
    let (mut report, files) = match fixing::asked(args)? {
        None => (report_of(args)?, Vec::new()),
        Some(how) => fixing::run(args, how, &report_of)?,
    };
    report.template = template;
    if args.fix_dry_run {
        report::human::write_problems(&report.problems, &mut anstream::stderr().lock())?;
        let mut out = report::stdout(false);
        report::fixes::write_diff(&files, &mut out)?;
        out.flush()?;
    } else {
        report::destination::write_all(&args.output, &report, &report.problems)?;
    }
    tell_rules(&report, args);
    if args.quiet || !report::destination::is_for_people(&args.output) {
        excluded::tell(&report, &args.files.in_force.exclusions);
    }
    // A rule that breaks judges nothing, whatever it is called.
    let is_unjudged = |finding: &Finding| {
        let policy = report.policies.get(finding.policy);
        let is_rule = policy.is_some_and(|policy| matches!(policy.origin, Origin::Rule(_)));
        is_rule && finding.verdict == report::Verdict::Unknown
    };
    let is_error = report.problems.iter().any(Problem::is_error) || report.findings.iter().any(is_unjudged);
    let on = if args.rego.fail_on_warn { FailOn::Warn } else { args.fail_on };
    let fails = |finding: &Finding| fails(&report, finding, on);
    Ok(match (is_error, report.findings.iter().any(fails) && !args.rego.no_fail) {
        (true, _) => ExitStatus::Error,
        (false, true) => ExitStatus::Violations,
        (false, false) => ExitStatus::Success,
    })
}

/// Lists exceptions, and what does not count because of them.
pub fn list_exceptions(args: &TestArgs) -> anyhow::Result<ExitStatus> {
    let write = match args.output.as_slice() {
        [report::Destination { form: Form::Human, target }] => {
            (report::exceptions::write_human as Write, target)
        }
        [report::Destination { form: Form::Json, target }] => {
            (report::exceptions::write_json as Write, target)
        }
        _ => anyhow::bail!("`exceptions` writes one list, with `-o human` or `-o json`"),
    };
    if args.trace || args.stats || args.template.is_some() {
        anyhow::bail!("`--trace`, `--stats` and `--template` are of `test`");
    }
    fixing::refuse(args)?;
    let report = report_of(args)?;
    report::human::write_problems(&report.problems, &mut anstream::stderr().lock())?;
    let mut out = write.1.open(false)?;
    write.0(&report, &mut out)?;
    out.finish()?;
    let is_incomplete = report.problems.iter().any(Problem::is_error);
    Ok(if is_incomplete { ExitStatus::Error } else { ExitStatus::Success })
}

type Write = fn(&TestReport, &mut dyn std::io::Write) -> std::io::Result<()>;

/// What comes of judging.
pub fn report_of(args: &TestArgs) -> anyhow::Result<TestReport> {
    let cluster = open_cluster(args)?;
    let mut loaded = load(Sources {
        paths: args.filenames.iter().chain(&args.paths).cloned().collect(),
        policies: &args.policies,
        inventory: &args.inventory,
        max_size: args.max_size,
        render: &args.render,
        purpose: if args.mutate { Purpose::MutateAndJudge } else { Purpose::Judge },
        rego: Some(&args.rego),
        ignores: args.files.in_force.ignores.clone(),
    });
    let names = Names::of(&loaded, args)?;
    if let Some(cluster) = &cluster {
        add_policies(&mut loaded, cluster, args)?;
    }
    let mut report = judge(loaded, args, names, cluster.as_ref())?;
    excluded::apply(&mut report, &args.files.in_force.exclusions);
    if let Some(path) = &args.baseline {
        known(&mut report, path, args.write_baseline)?;
    }
    let denies = |finding: &Finding| finding.actions.contains(&Action(EnforcementAction::Deny));
    if args.deny_only {
        report.findings.retain(denies);
    }
    // How policies are written is what `lint` is for.
    if !args.verbose {
        report.problems.retain(|problem| !problem.kind.is_style());
    }
    if args.quiet {
        report.problems.retain(Problem::is_error);
    }
    Ok(report)
}

/// Takes out of a report what its baseline knows, or writes what it finds into it.
fn known(report: &mut TestReport, path: &Path, is_written: bool) -> anyhow::Result<()> {
    let baseline = if is_written {
        if report.problems.iter().any(Problem::is_error) {
            let message = "the baseline was not written, because not everything could be judged";
            report.problems.push(Problem::error(ErrorKind::Baseline, message));
            return Ok(());
        }
        let baseline = Baseline::of(report);
        baseline.write(path)?;
        Ok(baseline)
    } else {
        Baseline::read(path)
    };
    match baseline {
        Ok(baseline) => baseline.apply(report, path),
        Err(errors) => {
            report.problems.extend(Problem::all(&errors));
            report.problems.sort();
        }
    }
    Ok(())
}

/// Whether a finding makes the run fail. What could not be evaluated does if it could deny, whatever is asked.
fn fails(report: &TestReport, finding: &Finding, on: FailOn) -> bool {
    let has = |action| finding.actions.contains(&Action(action));
    let denies = has(EnforcementAction::Deny);
    if denies && finding.verdict == report::Verdict::Unknown {
        return true;
    }
    match on {
        FailOn::None => false,
        FailOn::Deny => denies,
        FailOn::Warn => denies || has(EnforcementAction::Warn),
        _ => {
            let severity = report.policies.get(finding.policy).and_then(|policy| policy.severity);
            // The gravest is the least.
            denies && severity.zip(on.severity()).is_none_or(|(severity, least)| severity <= least)
        }
    }
}

/// Which convention was taken. People read it in the summary.
fn tell_rules(report: &TestReport, args: &TestArgs) {
    let is_told = args.quiet || report::destination::is_for_people(&args.output);
    if let Some(rules) = report.rules.as_ref().filter(|_| !is_told) {
        let excepted = match report.counts().excepted {
            0 => String::new(),
            excepted => format!("; {excepted} excepted"),
        };
        // Only a courtesy: the report is what counts.
        let _ = writeln!(anstream::stderr(), "note: {}{excepted}", rules.line());
    }
}

/// What `--namespace` means: where there are no templates, packages of Rego, as conftest has it.
struct Names {
    of_objects: Option<String>,
    packages: Vec<String>,
}

impl Names {
    fn of(loaded: &Loaded, args: &TestArgs) -> anyhow::Result<Self> {
        let mut packages = args.rego.rego_namespace.clone();
        if !loaded.rego.is_empty() && loaded.policies.is_empty() {
            packages.extend(args.namespace.iter().cloned());
            return Ok(Self { of_objects: None, packages });
        }
        let of_objects = match args.namespace.as_slice() {
            [] => None,
            [name] => Some(portcullis_sources::namespace(name).map_err(|why| {
                let hint = if loaded.rego.is_empty() {
                    ""
                } else {
                    "; packages of Rego are named with `--rego-namespace` where there are templates, too"
                };
                anyhow::anyhow!("`--namespace {name}`: {why}{hint}")
            })?),
            [_, _, ..] => {
                anyhow::bail!("`--namespace` is given more than once, but there are no files of Rego alone")
            }
        };
        Ok(Self { of_objects, packages })
    }
}

#[cfg(feature = "kube")]
fn open_cluster(args: &TestArgs) -> anyhow::Result<Option<Cluster>> {
    Cluster::of(&args.cluster)
}

#[cfg(not(feature = "kube"))]
fn open_cluster(args: &TestArgs) -> anyhow::Result<Option<Cluster>> {
    anyhow::ensure!(!args.kube, super::NO_CLUSTER);
    Ok(None)
}

/// Adds the policies of a cluster, without those that files have as well.
fn add_policies(loaded: &mut Loaded, cluster: &Cluster, args: &TestArgs) -> anyhow::Result<()> {
    let (listed, found) = cluster.policies(args.mutate)?;
    let written: Vec<&Resource> = loaded.policies.iter().chain(&loaded.mutators).collect();
    let (listed, replaced) = cluster::without_those_of_files(listed, &written);
    if !replaced.is_empty() && !args.quiet {
        // Only a courtesy: the findings name the files.
        let _ = writeln!(
            anstream::stderr(),
            "note: as in the files, not as in the cluster: {}",
            replaced.join(", ")
        );
    }
    loaded.problems.extend(found);
    let (mutators, policies): (Vec<_>, Vec<_>) = listed.into_iter().partition(Resource::is_mutator);
    loaded.policies.extend(policies);
    loaded.mutators.extend(mutators);
    Ok(())
}

fn judge(
    loaded: Loaded,
    args: &TestArgs,
    names: Names,
    cluster: Option<&Cluster>,
) -> anyhow::Result<TestReport> {
    let Loaded {
        policies,
        mutators,
        mut subjects,
        mut inventory,
        mut scopes,
        mut is_unread,
        mut problems,
        rego,
        documents,
        ignores,
        ..
    } = loaded;
    let (expansions, policies): (Vec<_>, Vec<_>) = policies.into_iter().partition(Resource::is_expansion);
    let (expansions, found) = ExpansionSet::from_resources(expansions);
    problems.extend(found);
    let expansions = match args.expand {
        Some(Expand::Workloads) => expansions.with_workloads(),
        None => expansions,
    };
    let settings = PolicySettings { homes: args.config.homes(None), engines: args.engine.choice() };
    problems.extend(custom_type_warnings(&policies, &inventory));
    let (policies, found) = PolicySet::from_resources_in(prepared(policies), &settings);
    problems.extend(found);
    problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    let mut of_cluster = Vec::new();
    if let Some(cluster) = cluster {
        let (objects, known, found) = cluster.inventory(&policies)?;
        of_cluster = objects;
        scopes.extend(&known);
        is_unread |= !found.is_empty();
        problems.extend(found);
    }
    let places = Places::new(scopes).with_namespace(names.of_objects.as_deref());
    problems.extend(duplicates(&subjects, &places));
    // Of two of the same name the last one counts.
    let known = || -> Vec<Object> { of_cluster.iter().chain(&inventory).cloned().collect() };
    let (answering, found) = args.providers.open(policies.providers());
    problems.extend(found);
    let mut answers = Answers::new();
    let (mutators, admission, parents) = if args.mutate {
        let (mutating, found) = Mutating::new(&mutators, args.operation, &policies, &known(), &places);
        problems.extend(Unsupported::allowed(args.allow_unsupported).judge(found));
        if mutators.is_empty() && !has_errors(&problems) {
            let warning = Error::warning(ErrorKind::NoInput, "no mutators were given: nothing is mutated");
            problems.push(warning.hint("give them with `-f` or `--policies`, or leave out `--mutate`"));
        }
        // What cannot be mutated is not let into a cluster, and so not judged.
        let username = answering.username().cloned();
        let mut mutating = mutating.with_outside(Outside { answers: Answers::new(), username });
        let found = mutating.mutate_all(&mut subjects, &mut inventory, &places, &answering);
        answers = mutating.outside().answers.clone();
        is_unread |= has_errors(&found);
        problems.extend(found);
        (mutating.set, mutating.admission, Parent::Mutated)
    } else {
        let (set, admission, found) = mutators_of(&mutators, &expansions, known, &places);
        problems.extend(Unsupported::allowed(args.allow_unsupported).judge(found));
        (set, admission, Parent::AsWritten)
    };
    let mut store = InventoryStore::new();
    for object in of_cluster {
        store.sync(object, &policies);
    }
    // What files say counts more.
    for object in inventory {
        store.sync(places.settle(object).object, &policies);
    }
    let inventory = store.snapshot();
    // What could not be read may be what is missing: then that is said, and not what follows from it.
    if !is_unread {
        problems.extend(policies.missing_inventory(&inventory));
    }
    let is_alone =
        !rego.is_empty() && policies.templates().next().is_none() && policies.constraints().next().is_none();
    let mut described: Vec<Policy> = policies.constraints().map(|one| Policy::of(one, POINT)).collect();
    let mut rules = None;
    if !rego.is_empty() {
        let (loaded, found) = Rules::load(&rego, args, names.packages, described.len());
        problems.extend(found);
        described.extend(loaded.policies());
        problems.extend(args.second.cross_check.then(|| not_compared("rules of files of Rego")));
        rules = Some(loaded);
    }
    if is_alone {
        problems.extend(no_documents(&documents, &problems).map(|error| but_for(error, &ignores)));
    } else {
        let error = nothing_to_do(&policies, &subjects, &problems);
        problems.extend(error.map(|error| but_for(error, &ignores)));
    }
    subjects.sort_by_cached_key(|subject| subject.object.location());
    let number = documents.len();
    let progress = Progress::new(subjects.len() + if rules.is_some() { number } else { 0 }, args.quiet);
    let evaluating = Evaluating::new(&args.evaluation);
    let now_ns = evaluating.now_ns();
    problems.extend(policies.idle_exceptions(Some(now_ns)));
    // `lint` calls some of them errors; what can be judged is judged all the same.
    problems.extend(policies.impossible_kinds(places.scopes()).into_iter().map(Error::into_warning));
    let default = inventory.missing_default_namespace();
    let index = described.iter().enumerate().map(|(index, policy)| (policy.key.clone(), index)).collect();
    let (policies, inventory, places) = (&policies, &inventory, &places);
    let tally = args.second.cross_check.then(Tally::default);
    let second =
        tally.as_ref().map(|tally| Second::new(policies, evaluating.timeout(), tally).with(inventory));
    let expansion = Expansion::new(&expansions).with_mutators(&mutators).of_parents(parents);
    let expansion = expanding(expansion, admission.as_ref());
    let expansion = match answering.username() {
        Some(username) => expansion.with_username(username),
        None => expansion,
    };
    let asked: Vec<ConstraintKey> = policies
        .constraints()
        .map(|info| info.key().clone())
        .filter(|key| is_asked(key, &args.why))
        .collect();
    for name in &args.why {
        if !asked.iter().any(|key| is_asked(key, std::slice::from_ref(name))) {
            let message = format!("`--why {name}`: there is no such constraint among those that can be used");
            problems.push(Error::warning(ErrorKind::NoInput, message));
        }
    }
    let has_inline_ignores = args.allow_inline_ignores;
    let mut judging = Judging {
        policies,
        expansion,
        index,
        inventory,
        places,
        default,
        evaluating,
        answers,
        has_inline_ignores,
        asked,
        idle: args.verbose.then(Idle::default),
        second,
        traces: args.trace,
        stats: args.stats,
        fixes: (args.fixes || args.fix || args.fix_dry_run)
            .then_some(FixesOf { exclusions: &args.files.in_force.exclusions, deny_only: args.deny_only }),
        explains: match (args.explain_all, args.explain) {
            (true, _) => Explains::All,
            (false, true) => Explains::Findings,
            (false, false) => Explains::Nothing,
        },
        explained_bytes: EXPLAINED_BYTES / subjects.len().max(1),
    };
    if judging.policies.may_ask() || judging.expansion.may_ask() {
        let mut answers = std::mem::take(&mut judging.answers);
        asking::gather(&answering, &mut answers, &subjects, |subject, known| {
            judging.questions(subject, known)
        });
        judging.answers = answers;
    }
    problems.extend(answering.problems());
    if let Err(error) = args.providers.finish(&answering) {
        problems.push(Error::new(ErrorKind::Unreadable, error));
    }
    let judged: Vec<Judged> = subjects
        .into_par_iter()
        .map(|subject| {
            let judged = judging.judge(subject);
            progress.advance();
            judged
        })
        .collect();
    let asked = rules.as_ref().map(|rules| rules.judge(documents, &evaluating, || progress.advance()));
    let mut judged = with_rules(judged, asked.unwrap_or_default());
    let objects = judged.len();
    for one in &mut judged {
        trace::fit(&mut one.done, objects);
    }
    let stats = args.stats.then(|| trace::costs(&described, judged.iter().flat_map(|one| &one.done)));
    let done = judged.iter_mut().zip(0..).map(|(one, ordinal)| (ordinal, std::mem::take(&mut one.done)));
    let traces = if args.trace { trace::traces(done) } else { BTreeMap::new() };
    let rules = rules.map(|rules| rules.summary(number));
    progress.finish();
    if let Some(tally) = tally.as_ref().filter(|_| !args.quiet) {
        tally.write();
    }
    let placed = Placed {
        namespace: places.namespace().to_owned(),
        is_given: places.is_given(),
        objects: judged.iter().filter(|judged| judged.is_placed).count(),
    };
    let excluded = judged.iter().filter(|judged| judged.is_excluded).count();
    let mut reviewed = Vec::with_capacity(judged.len());
    let (mut findings, mut suppressed, mut why) = (Vec::new(), Vec::new(), Vec::new());
    let (mut explanations, mut unexplained, mut fixes) = (Vec::new(), 0, Vec::new());
    // Of each the first object, and how many there are.
    let mut fights: BTreeMap<_, (Error, String, usize)> = BTreeMap::new();
    for (judged, ordinal) in judged.into_iter().zip(0..) {
        reviewed.push(judged.reviewed);
        if let (Some(found), Some(Judgeable::Object(object))) =
            (judged.fixes, reviewed.last().map(|one: &Reviewed| &one.subject))
        {
            let index: BTreeMap<&ConstraintKey, usize> =
                described.iter().enumerate().map(|(index, policy)| (&policy.key, index)).collect();
            let each = found.each.into_iter().filter_map(|one| Some((*index.get(&one.constraint)?, one)));
            let (each, object, together) = (each.collect(), object.clone(), found.together);
            fixes.push(FixedObject { ordinal, object, each, together });
        }
        unexplained += judged.unexplained;
        let told = judged.explained.into_iter();
        explanations.extend(told.map(|(policy, why)| Explained { ordinal, policy, why }));
        findings.extend(judged.findings.into_iter().map(|finding| Finding { ordinal, ..finding }));
        let is_told = |one: &Suppressed| {
            !(args.rego.suppress_exceptions && matches!(one.why, Suppression::Rule { .. }))
        };
        let numbered = |one: Suppressed| Suppressed { finding: Finding { ordinal, ..one.finding }, ..one };
        suppressed.extend(judged.suppressed.into_iter().filter(is_told).map(numbered));
        problems.extend(judged.elsewhere);
        problems.extend(judged.comments);
        why.extend(judged.why);
        problems.extend(judged.unexpanded);
        problems.extend(judged.otherwise);
        for fight in judged.fights {
            let Some(last) = reviewed.last() else { continue };
            let entry = fights.entry((fight.constraint, fight.mutators));
            entry.or_insert_with(|| (fight.warning, last.subject.to_string(), 0)).2 += 1;
        }
    }
    if unexplained > 0 {
        let mebibytes = EXPLAINED_BYTES >> 20;
        let message = format!(
            "{unexplained} results are not explained: together the explanations would take more than {mebibytes} MiB"
        );
        let hint = "judge fewer objects at once, or ask about constraints with `explain --why`";
        problems.push(Error::warning(ErrorKind::Limit, message).hint(hint));
    }
    why.extend(judging.idle.iter().flat_map(Idle::sentences));
    problems.extend(fights.into_values().map(|(warning, first, objects)| {
        let more = match objects {
            1 => String::new(),
            more => format!(", and {} more", more - 1),
        };
        warning.hint(format!("it is so with {first}{more}"))
    }));
    // People read it in the summary.
    if !report::destination::is_for_people(&args.output) {
        problems.extend(placed.to_warning());
    }
    problems.sort();
    problems.dedup();
    Ok(TestReport {
        reviewed,
        policies: described,
        findings,
        suppressed,
        exceptions: policies.exceptions().map(|info| exception(info, now_ns)).collect(),
        rules,
        why,
        problems: Problem::all(&problems),
        templates: templates(policies),
        placed,
        excluded,
        wanted: Wanted { quiet: args.quiet, verbose: args.verbose, max_bytes: args.max_bytes },
        template: None,
        stats,
        traces,
        explanations,
        fixes,
    })
}

/// How many policies there are: templates, and admission policies that are bound.
fn templates(policies: &PolicySet) -> usize {
    let mut bound: Vec<&Location> = policies
        .constraints()
        .filter(|constraint| constraint.key().kind.ends_with("AdmissionPolicyBinding"))
        .map(|constraint| constraint.template().location())
        .collect();
    bound.sort();
    bound.dedup();
    policies.templates().count() + bound.len()
}

fn exception(info: &ExceptionInfo, now_ns: i64) -> report::Exception {
    report::Exception {
        name: info.name().to_owned(),
        reason: info.reason().to_owned(),
        owner: info.owner().map(str::to_owned),
        expires_at: info.expires_at().map(str::to_owned),
        is_expired: info.is_expired(Some(now_ns)),
        place: report::Place::of(info.location()),
    }
}

/// The mutators of what objects imply, and what is wrong with them. If nothing implies anything, they have no
/// effect, and must not look as if they had.
fn mutators_of(
    resources: &[Resource],
    expansions: &ExpansionSet,
    known: impl FnOnce() -> Vec<Object>,
    places: &Places,
) -> (MutatorSet, Option<Admission>, Vec<Error>) {
    let mut errors = Vec::new();
    if expansions.is_empty() {
        errors.extend(resources.iter().filter_map(written).flat_map(|text| Resource::read(text).1));
        return (MutatorSet::empty(), None, errors);
    }
    let (of_server, resources): (Vec<Resource>, Vec<Resource>) =
        resources.iter().cloned().partition(is_admission);
    let (set, found) = compile(&resources);
    errors.extend(found);
    let known = if of_server.is_empty() { Vec::new() } else { known() };
    let first = of_server.iter().find_map(written).map(|text| (text.location(), None));
    let (admission, found) = Admission::new(of_server, &known, places);
    errors.extend(found);
    let of_set = set.mutators().next().map(|one| (one.location().clone(), Some(one.key().to_string())));
    if let Some((location, subject)) = of_set.or(first.filter(|_| admission.is_some())) {
        let message = "mutators change what objects imply, and not the objects: these are judged as they are";
        let warning = Error::warning(ErrorKind::Unsupported, message).hint("`--mutate` changes both");
        let warning = warning.at(location);
        errors.push(match subject {
            Some(subject) => warning.about(subject),
            None => warning,
        });
    }
    (set, admission, errors)
}

/// The text of a mutator.
fn written(resource: &Resource) -> Option<&Document> {
    match resource {
        Resource::Mutator(mutator) => mutator.object().document(),
        Resource::AdmissionPolicy(policy) => Some(policy.document()),
        Resource::AdmissionPolicyBinding(binding) => Some(binding.document()),
        _ => None,
    }
}

/// Objects of the same name cannot both be meant; both are judged.
fn duplicates(subjects: &[Subject], places: &Places) -> Vec<Error> {
    let mut seen: BTreeMap<ObjectKey, Option<Location>> = BTreeMap::new();
    let mut warnings = Vec::new();
    for subject in subjects {
        let object = &subject.object;
        // Policies are looked after by the library, and names that are still to be generated cannot clash.
        if subject.kind != SubjectKind::Object || object.name().is_empty() {
            continue;
        }
        let location = object.location();
        let key = ObjectKey::of(&places.settle(object.clone()).object);
        if let Some(first) = seen.get(&key) {
            let at = first.as_ref().map(|first| format!("; the first is at {first}")).unwrap_or_default();
            let warning = Error::warning(ErrorKind::DuplicateResource, format!("defined a second time{at}"));
            let warning = warning.hint("both are judged; policies that compare objects see the last one");
            warnings.push(warning.at(location).about(object.to_string()));
        } else {
            seen.insert(key, location);
        }
    }
    warnings
}

/// The reason why nothing is there may be that it was left out.
fn but_for(error: Error, ignores: &Ignores) -> Error {
    match ignores.line() {
        Some(line) => error.hint(format!("{line}: `ignore` of the configuration file, or `--ignore-files`")),
        None => error,
    }
}

/// A run that compares nothing with anything must not look like success.
fn nothing_to_do(policies: &PolicySet, subjects: &[Subject], problems: &[Error]) -> Option<Error> {
    // Then the reason has been reported.
    if has_errors(problems) {
        return None;
    }
    let no_templates = policies.templates().next().is_none();
    let no_constraints = policies.constraints().next().is_none();
    if no_templates && no_constraints {
        let error = Error::new(ErrorKind::NoInput, "no policies were given");
        return Some(
            error.hint("give the ConstraintTemplates and their constraints with `-f` or `--policies`"),
        );
    }
    if no_constraints {
        let error = Error::new(ErrorKind::NoInput, "templates were given, but no constraint that uses one");
        return Some(error.hint("a template judges nothing by itself; give constraints of its kind"));
    }
    if subjects.iter().all(|subject| subject.kind == SubjectKind::Policy) {
        let error = Error::new(ErrorKind::NoInput, "no objects were given to judge");
        return Some(
            error.hint("give manifests with `-f`; to test the policies themselves, use `portcullis verify`"),
        );
    }
    None
}

/// Rules that are asked about nothing must not look like success.
fn no_documents(documents: &[Given], problems: &[Error]) -> Option<Error> {
    if !documents.is_empty() || has_errors(problems) {
        return None;
    }
    let error = Error::new(ErrorKind::NoInput, "there is nothing to judge by the files of Rego");
    Some(error.hint("name files of YAML, JSON or TOML; a list without items has none, either"))
}

/// Objects with what templates and rules say of them. What only rules are asked about comes behind.
fn with_rules(mut judged: Vec<Judged>, asked: Vec<Asked>) -> Vec<Judged> {
    let place = |reviewed: &Reviewed| {
        let location = reviewed.subject.location()?;
        Some((location.file().clone(), location.range().start))
    };
    let places: BTreeMap<(Arc<str>, u32), usize> = judged
        .iter()
        .enumerate()
        .filter_map(|(number, judged)| Some((place(&judged.reviewed)?, number)))
        .collect();
    for Asked { reviewed, findings, suppressed, done } in asked {
        let known = place(&reviewed).and_then(|place| places.get(&place));
        let is_together = matches!(reviewed.subject, Judgeable::Together { .. });
        match known.filter(|_| !is_together).and_then(|number| judged.get_mut(*number)) {
            Some(known) => {
                known.reviewed.passed.extend(reviewed.passed);
                known.reviewed.prints.extend(reviewed.prints);
                known.findings.extend(findings);
                known.suppressed.extend(suppressed);
                known.done.extend(done);
            }
            None => judged.push(Judged { findings, suppressed, done, ..Judged::of(reviewed) }),
        }
    }
    judged
}
