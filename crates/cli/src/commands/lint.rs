//! `portcullis lint`: everything that is wrong with policies, without evaluating one.
//!
//! ```text
//! paths ── read ──> documents ── Resource::read ──> policies ── PolicySet ──> templates
//!                                       ├────> mutators ── MutatorStore ──> conflicts
//!                                       \───────────────────────────┴─ problems ──> report
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portcullis::{
    AdmissionMutators, AdmissionRules, CustomKind, Document, Error, ErrorKind, ExpansionSet, Kinds, Limits,
    Object, PolicySet, PolicySettings, Resource, Scopes, Severity, Unsupported, Uses, WebhookConfiguration,
    custom_type_warnings, definition_rules,
};
use portcullis_report::lint::LintReport;
use portcullis_report::{self as report, ExitStatus, Problem};
use portcullis_sources::{self as read, Choice, Input, RenderArgs, is_policy, is_suite};
use portcullis_suite::Suite;
use rayon::prelude::*;

use crate::commands::evaluation::Evaluating;
use crate::commands::remedies::How;
use crate::commands::{mutating, remedies, templates, upgrade, verify};
use crate::lint_args::LintArgs;

/// Reads the policies and reports; with `--fix`, on what is left.
pub fn run(args: &LintArgs) -> anyhow::Result<ExitStatus> {
    report::destination::check(&args.output).map_err(anyhow::Error::msg)?;
    let template = templates::read(args.template.as_deref(), &args.output)?;
    let mut found = find(args);
    if args.upgrade.is_some() {
        let left = upgrade::run(args, &found.suites)?;
        if !args.fix_dry_run {
            found = find(args);
        }
        found.problems.extend(left);
    } else if let Some(how) = remedies::asked(args)? {
        let left = remedies::run(args, how, &found.problems)?;
        if how == How::Write {
            found = find(args);
        }
        found.problems.extend(left);
    }
    found.problems.sort();
    found.problems.dedup();
    let Found { problems, files, policies, is_unread, .. } = found;
    let report = LintReport {
        problems: Problem::all(&problems),
        files,
        policies,
        is_complete: !is_unread,
        deny_warnings: args.deny_warnings,
        verbose: args.verbose,
        max_bytes: args.max_bytes,
        template,
    };
    if args.fix_dry_run {
        report::human::write_problems(&report.problems, &mut anstream::stderr().lock())?;
    } else {
        // Problems are what it reports.
        report::destination::write_all(&args.output, &report, &[])?;
    }
    Ok(match report.problems.iter().any(|problem| report.is_bad(problem)) {
        _ if is_unread => ExitStatus::Error,
        true => ExitStatus::Violations,
        false => ExitStatus::Success,
    })
}

/// All that is wrong, in order.
struct Found {
    problems: Vec<Error>,
    files: BTreeSet<String>,
    policies: PolicySet,
    /// Whether something is missing that should have been read.
    is_unread: bool,
    /// The files that hold suites.
    suites: Vec<PathBuf>,
}

fn find(args: &LintArgs) -> Found {
    let loaded = load(args);
    let (mut is_unread, suites) = (loaded.is_unread, loaded.suites.clone());
    let Judged { policies, expansions, files, kinds, mut problems } = judge(loaded, args, Breadth::All);
    if !args.webhook_configuration.is_empty() {
        let configured = configurations(args);
        is_unread |= configured.is_unread;
        problems.extend(configured.problems);
        if let Some(configuration) = configured.configuration {
            let rules = AdmissionRules::of_webhook(&policies, &expansions, Uses::POLICIES, &kinds);
            problems.extend(rules.notes().iter().cloned());
            problems.extend(rules.lint(&configuration));
        }
    }
    problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    if files.is_empty() && !problems.iter().any(|problem| problem.severity() == Severity::Error) {
        let error = Error::new(ErrorKind::NoInput, "no policies were found");
        problems.push(error.hint("name files or directories with ConstraintTemplates and constraints"));
        is_unread = true;
    }
    problems.sort();
    problems.dedup();
    Found { problems, files, policies, is_unread, suites }
}

/// How far a look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// All that there is, and the samples of suites in both languages of a template.
    All,
    /// What takes no evaluation.
    #[cfg(feature = "lsp")]
    Quick,
}

/// What is wrong with what was read, and what was made of it.
pub struct Judged {
    pub policies: PolicySet,
    pub expansions: ExpansionSet,
    /// The files that hold policies.
    pub files: BTreeSet<String>,
    pub kinds: Kinds,
    /// Not sorted.
    pub problems: Vec<Error>,
}

/// Looks for mistakes in what was read.
pub fn judge(loaded: Loaded, args: &LintArgs, breadth: Breadth) -> Judged {
    let Loaded { policies, files, mut problems, kinds, scopes, definitions, custom_kinds, suites, .. } =
        loaded;
    problems.extend(custom_type_warnings(&policies, &definitions));
    let (expansions, policies): (Vec<_>, Vec<_>) = policies.into_iter().partition(Resource::is_expansion);
    let (expansions, found) = ExpansionSet::from_resources(expansions);
    problems.extend(found);
    let (admission, policies): (Vec<_>, Vec<_>) = policies.into_iter().partition(mutating::is_admission);
    problems.extend(AdmissionMutators::from_resources(admission).1);
    let (mutators, found) = mutating::compile(&policies);
    problems.extend(found);
    let settings = PolicySettings { homes: args.config.homes(None), engines: args.engine.choice() };
    let (policies, found) = PolicySet::from_resources_in(read::prepared(policies), &settings);
    problems.extend(found);
    if breadth == Breadth::All && policies.templates().any(|template| template.other_engine().is_some()) {
        let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
        let (evaluating, engines) = (Evaluating::usual(), args.engine.choice());
        problems.extend(verify::language_differences(&suites, limits, evaluating, engines));
    }
    problems.extend(mutators.fights(&policies));
    problems.extend(policies.impossible_kinds(&scopes));
    problems.extend(policies.unknown_object_fields(&custom_kinds));
    problems.extend(policies.missing_providers());
    problems.extend(mutators.missing_providers(policies.providers()));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    problems.extend(policies.idle_exceptions(Some(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))));
    Judged { policies, expansions, files, kinds, problems }
}

/// What was read.
#[derive(Default)]
pub struct Loaded {
    policies: Vec<Resource>,
    /// The files that hold policies.
    files: BTreeSet<String>,
    problems: Vec<Error>,
    /// Whether something is missing that should have been read.
    is_unread: bool,
    /// What CustomResourceDefinitions say.
    kinds: Kinds,
    /// The same, of where objects live.
    scopes: Scopes,
    /// These definitions.
    definitions: Vec<Object>,
    /// The same, of the fields that objects may have, and what is known of it from elsewhere.
    pub custom_kinds: Vec<CustomKind>,
    /// The files that hold suites.
    suites: Vec<PathBuf>,
    /// All of them.
    #[cfg(feature = "lsp")]
    pub documents: Vec<Document>,
}

/// What is to be compared with what policies need.
struct Configured {
    configuration: Option<WebhookConfiguration>,
    problems: Vec<Error>,
    is_unread: bool,
}

/// Reads the webhook configurations. A file that has none is not what was meant.
fn configurations(args: &LintArgs) -> Configured {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let Input { documents, mut problems, .. } =
        read::documents(&args.webhook_configuration, Choice::Policies, &limits);
    let mut is_unread = problems.iter().any(|problem| problem.severity() == Severity::Error);
    let mut configuration: Option<WebhookConfiguration> = None;
    for document in &documents {
        let (found, errors) = WebhookConfiguration::read(document);
        is_unread |= errors.iter().any(|problem| problem.severity() == Severity::Error);
        problems.extend(errors);
        if let Some(found) = found {
            configuration.get_or_insert_default().extend(found);
        }
    }
    if configuration.is_none() && !is_unread {
        let error = Error::new(ErrorKind::NoInput, "no ValidatingWebhookConfiguration was found");
        problems.push(error.hint("name a file that has one with `--webhook-configuration`"));
        is_unread = true;
    }
    Configured { configuration, problems, is_unread }
}

/// Reads what arguments name, and the templates that suites among it name.
pub fn load(args: &LintArgs) -> Loaded {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let mut loaded = Loaded::default();
    let (paths, ignores) = (args.all_paths(), &args.files.in_force.ignores);
    let render = RenderArgs::default();
    let suites = loaded.add(read::documents_without(&paths, Choice::Policies, &limits, &render, ignores));
    let named = loaded.templates_of(&suites);
    if !named.is_empty() {
        // Listed together, so that no file is read twice.
        let (known, _) = read::list_without(&paths, Choice::Policies, ignores);
        let known: BTreeSet<_> = known.into_iter().map(|file| file.path).collect();
        let all: Vec<PathBuf> = paths.iter().cloned().chain(named).collect();
        let (files, _) = read::list_without(&all, Choice::Policies, ignores);
        for file in files.into_iter().filter(|file| !known.contains(&file.path)) {
            let (documents, problems) = read::read_file(&file, &limits);
            loaded.add(Input { documents, problems, ..Input::default() });
        }
    }
    loaded
}

impl Loaded {
    /// Takes the policies, and gives back the suites, each with the directory that its paths start from.
    pub fn add(&mut self, input: Input) -> Vec<(PathBuf, Suite)> {
        self.is_unread |= input.problems.iter().any(is_unread);
        self.problems.extend(input.problems);
        let classified: Vec<_> = input
            .documents
            .par_iter()
            .map(|document| {
                let uses = Uses::POLICIES.with_expansions(true).with_mutators(true).with_providers(true);
                let (resource, problems) = Resource::read_for(document, uses);
                (document, resource, Object::from_document(document.clone()).ok(), problems)
            })
            .collect();
        let mut suites = Vec::new();
        for (document, resource, object, problems) in classified {
            let errors = definition_rules(document);
            if !errors.is_empty() {
                self.files.insert(document.location().file().to_string());
                self.problems.extend(errors);
            }
            if let Some(object) = &object {
                self.kinds.learn(object);
                self.scopes.learn(object);
                self.custom_kinds.extend(CustomKind::of(object));
                self.definitions
                    .extend(Some(object.clone()).filter(|object| &*object.gvk().kind == Scopes::DEFINITION));
            }
            if object.as_ref().is_some_and(is_suite) {
                let (suite, problems) = Suite::read(document);
                self.problems.extend(problems);
                let path = read::elsewhere::path_of(document.location().file());
                self.suites.extend(Some(path).filter(|path| path.is_file() && !self.suites.contains(path)));
                suites.extend(suite.map(|suite| (directory(document), suite)));
            } else if is_policy(resource.as_ref(), document) {
                self.files.insert(document.location().file().to_string());
                self.problems.extend(problems);
                self.policies.extend(resource);
            }
        }
        #[cfg(feature = "lsp")]
        self.documents.extend(input.documents);
        suites
    }

    /// The files of the templates that suites name.
    fn templates_of(&mut self, suites: &[(PathBuf, Suite)]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (directory, suite) in suites {
            for test in &suite.tests {
                let template = test.policy.iter().map(|policy| (&policy.template, "the template"));
                let mutators = test.mutators.iter().map(|mutators| (mutators, "mutators"));
                for (named, what) in template.chain(mutators) {
                    let path = directory.join(&**named);
                    let is_outside = read::elsewhere::leads_out(directory, &path);
                    if !is_outside && path.is_file() {
                        paths.push(path);
                        continue;
                    }
                    self.is_unread = true;
                    let message = if is_outside {
                        format!("{what} `{named}` is not read: it lies outside of what was fetched")
                    } else {
                        format!("there is no file `{named}`, which should be {what}")
                    };
                    self.problems.push(Error::new(ErrorKind::Suite, message).at(test.location.clone()));
                }
            }
        }
        paths
    }
}

fn directory(document: &Document) -> PathBuf {
    read::elsewhere::path_of(document.location().file()).parent().map(Path::to_owned).unwrap_or_default()
}

/// Whether a problem of reading a file means that some of it was not looked at for another reason than its
/// text.
fn is_unread(problem: &Error) -> bool {
    let is_error = problem.severity() == Severity::Error;
    is_error
        && matches!(
            problem.kind(),
            ErrorKind::Unreadable | ErrorKind::NoInput | ErrorKind::Encoding | ErrorKind::Limit
        )
}
