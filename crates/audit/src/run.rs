//! One audit from the start to the end, and one after the other.
//!
//! ```text
//! policies ── read, compile ──> PolicySet
//! sources ── first pass ──> Inventory ── second pass ──> judged batches ──> Collected ──> sinks
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use portcullis::{Error, ErrorKind, EvaluationLimits, Location, Places, PolicySettings, Scopes, Unsupported};
use portcullis_providers::ProviderArgs;
use portcullis_report::sink::{Sink, Start};
use portcullis_report::{
    AuditReport, Completion, ExitStatus, Policy, Problem, Standing, StatusLimits, Timestamp, human,
};
use portcullis_sources::{
    Choice, Ignores, InputFile, is_stdin, list_without, stdin_is_stream, stdin_path, with_patience,
};

use crate::args::AuditArgs;
use crate::collect::{Collected, Report};
use crate::compare::Compare;
use crate::error::{RunError, system};
use crate::inventory::{Gathered, InventoryError, gather};
use crate::judge::{Evaluations, Judge};
use crate::memory::{Budget, Ceiling, resident};
use crate::pipeline::{self, Feed, Work};
use crate::policies::Policies;
pub use crate::progress::Aside;
use crate::progress::Progress;
use crate::shard::{self, Shard};
use crate::source::{Files, Source, size};
use crate::spool::Spool;

/// How audits are done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that judge.
    pub threads: usize,
    /// How much memory there is.
    pub ceiling: Ceiling,
    /// What one evaluation may use.
    pub limits: EvaluationLimits,
    /// How long the constraints together may take for one object.
    pub timeout: Duration,
    /// What is said on standard error.
    pub aside: Aside,
    /// Where objects are that name no namespace.
    pub places: Places,
    /// How much of what is found goes into the status of a constraint.
    pub status: StatusLimits,
    /// Who says what providers of external data answer.
    pub providers: ProviderArgs,
    /// What policies see as the present, if it is not that.
    pub now: Option<Timestamp>,
}

impl Settings {
    /// What policies see as the present.
    fn present(&self, began: SystemTime) -> SystemTime {
        let given = |now: Timestamp| SystemTime::UNIX_EPOCH + Duration::from_secs(now.seconds());
        self.now.map_or(began, given)
    }

    /// As the command line has it.
    pub fn of(args: &AuditArgs) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            threads: args.jobs.map_or(cores, std::num::NonZeroUsize::get),
            ceiling: Ceiling::new(args.max_memory),
            limits: EvaluationLimits {
                steps: args.max_steps,
                memory: args.max_policy_memory,
                ..EvaluationLimits::default()
            },
            timeout: Duration::from_secs(args.timeout),
            aside: if args.quiet { Aside::Doubts } else { Aside::Progress },
            places: Places::default().with_namespace(args.namespace.as_deref()),
            status: StatusLimits {
                violations: args.constraint_violations_limit,
                message: args.message_limit,
            },
            providers: args.providers.clone(),
            now: args.now,
        }
    }
}

/// What is audited: asked for its objects as often as there are passes.
pub trait Subject {
    /// The objects that policies may compare with, and the Namespaces, among others.
    fn inventory(&mut self) -> Box<dyn Feed + '_>;

    /// The objects to audit.
    fn objects(&mut self) -> Box<dyn Feed + '_>;

    /// What is wrong with it altogether.
    fn problems(&mut self) -> Vec<Problem>;

    /// Why it may not be audited any longer, if that is so and nobody asked the program to end.
    fn forbidden(&self) -> Option<String> {
        None
    }

    /// What it knows of its kinds, beside the CRDs among its objects.
    fn scopes(&self) -> Scopes {
        Scopes::default()
    }

    /// Whether the objects come from a cluster instead of files.
    fn is_cluster(&self) -> bool {
        false
    }
}

/// Sources that were listed.
pub struct FileSubject {
    sources: Vec<Arc<Source>>,
    further: Vec<Arc<Source>>,
    problems: Vec<Error>,
    ceiling: Ceiling,
}

impl FileSubject {
    /// Looks for the files.
    pub fn new(
        paths: &[PathBuf],
        inventory: &[PathBuf],
        stdin: Option<&Arc<Source>>,
        ceiling: Ceiling,
        ignores: &Ignores,
    ) -> Self {
        let (files, mut problems) = list_without(paths, Choice::Dumps, ignores);
        let (further, more) = list_without(inventory, Choice::Dumps, ignores);
        problems.extend(more);
        let mut opened = |files: Vec<InputFile>| {
            let mut sources = Vec::new();
            for file in files {
                let name = file.name.clone();
                match Source::file(file) {
                    Ok(source) => sources.push(Arc::new(source)),
                    Err(error) => problems.push(unreadable(&name, &error)),
                }
            }
            sources
        };
        let mut sources = opened(files);
        let further = opened(further);
        sources.extend(stdin.cloned());
        Self { sources, further, problems, ceiling }
    }
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    let place = Location::new(portcullis::Source::new(name, ""), 0..0);
    Error::new(ErrorKind::Unreadable, format!("cannot be read: {error}")).at(place)
}

impl Subject for FileSubject {
    fn inventory(&mut self) -> Box<dyn Feed + '_> {
        let sources = self.further.iter().chain(&self.sources).cloned().collect();
        Box::new(Files::new(sources, self.ceiling))
    }

    fn objects(&mut self) -> Box<dyn Feed + '_> {
        Box::new(Files::new(self.sources.clone(), self.ceiling))
    }

    fn problems(&mut self) -> Vec<Problem> {
        self.problems.iter().map(Problem::of).collect()
    }
}

/// One audit: reads, judges, and hands the results to the sinks.
///
/// # Errors
///
/// Of the sinks, and of the system. What is wrong with the input or the policies is part of the results.
pub fn audit(
    policies: &Policies,
    subject: &mut dyn Subject,
    settings: &Settings,
    sinks: &mut [Box<dyn Sink>],
    stop: &AtomicBool,
) -> Result<Standing, RunError> {
    let began = SystemTime::now();
    let started = Timestamp::from_system(began);
    let start = Start { started, policies: &policies.described };
    for sink in &mut *sinks {
        sink.begin(&start).map_err(system("beginning an output"))?;
    }
    let spool = Spool::new(None).map_err(system("creating a temporary file"))?;
    let mut collected = Collected::new(policies.described.len(), settings.ceiling);
    let mut report = Report { start, spool, sinks };
    let Examined { bytes, unfinished } =
        examine(policies, subject, settings, began, None, &mut collected, &mut report, stop)?;
    let Report { spool, sinks, .. } = report;
    let Settings { status, aside, .. } = *settings;
    let of = Conclusion { started, ended: None, bytes, unfinished, digest: &policies.digest, status, aside };
    conclude(collected, of, &policies.described, spool, sinks)
}

/// How far the second pass came.
#[derive(Debug)]
pub(crate) struct Examined {
    /// How many bytes it read.
    pub bytes: u64,
    /// Why it did not come to the end, if it did not.
    pub unfinished: Option<String>,
}

/// Both passes over a subject.
#[expect(clippy::too_many_arguments, reason = "all that an audit needs to know")]
pub(crate) fn examine(
    policies: &Policies,
    subject: &mut dyn Subject,
    settings: &Settings,
    began: SystemTime,
    shard: Option<Shard>,
    collected: &mut Collected,
    report: &mut Report<'_, '_>,
    stop: &AtomicBool,
) -> Result<Examined, RunError> {
    let of_subject = subject.problems();
    let is_listed = !of_subject.iter().any(Problem::is_error);
    for problem in policies.problems.iter().map(Problem::of).chain(of_subject) {
        collected.problem(problem);
    }
    let progress = Progress::new(settings.aside);
    let mut unfinished = None;
    let mut bytes = 0;
    let places = settings.places.clone().knowing(subject.scopes());
    let (threads, ceiling) = (settings.threads, settings.ceiling);
    let gathered = gather(
        &policies.set,
        policies.implying.admission(),
        places,
        &mut *subject.inventory(),
        threads,
        ceiling,
        stop,
        |bytes| {
            progress.gathering(bytes);
        },
    );
    match gathered {
        Err(InventoryError::System(error)) => {
            return Err(system("reading what policies compare with")(error));
        }
        Err(error @ InventoryError::TooLarge { .. }) => {
            collected.problem(Problem::error(ErrorKind::Limit, error.to_string()));
            unfinished = Some("what policies compare objects with does not fit into memory".to_owned());
        }
        Err(InventoryError::Stopped) => unfinished = Some(told(subject)),
        Ok(Gathered { inventory, places, unread }) => {
            // What could not be read may be what is missing: then that is said, and not what follows from it.
            if is_listed && unread.is_empty() {
                for warning in policies.set.missing_inventory(&inventory) {
                    collected.problem(Problem::of(&warning));
                }
            }
            collected.expect(unread);
            let now = settings.present(began).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let (answering, found) = settings.providers.open(policies.set.providers());
            for error in &found {
                collected.problem(Problem::of(error));
            }
            let judge = Judge {
                answering: &answering,
                policies: &policies.set,
                expansion: policies.implying.expansion(&inventory),
                inventory: &inventory,
                places: &places,
                default: inventory.missing_default_namespace(),
                index: &policies.index,
                limits: Evaluations::new(settings.limits, settings.ceiling),
                reading: settings.ceiling.reading(),
                timeout: settings.timeout,
                now_ns: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
                stop,
                in_cluster: subject.is_cluster(),
                shard,
            };
            let budget = Budget::new(settings.ceiling.work());
            let work = Work { threads: settings.threads, budget: &budget, stop };
            let (mut too_much, mut full) = (false, false);
            let merge = |judged, read| {
                collected.add(judged, report)?;
                progress.judging(collected.objects, collected.totals.all, read);
                // The last resort: everything above is meant to keep it from coming to this.
                too_much |= resident().is_some_and(|resident| resident > settings.ceiling.bytes());
                full = collected.is_full(&report.spool);
                if too_much || full { Err(io::Error::other("the ceiling is reached")) } else { Ok(()) }
            };
            let done =
                pipeline::run(&mut *subject.objects(), work, &|items, out| judge.batch(items, out), merge);
            match done {
                Ok(read) => bytes = read,
                Err(_) if full => unfinished = Some(collected.too_many()),
                Err(_) if too_much => {
                    let ceiling = size(settings.ceiling.bytes());
                    unfinished = Some(format!("the {ceiling} of `--max-memory` are used up; raise it"));
                }
                Err(error) => return Err(system("auditing")(error)),
            }
            if stop.load(Ordering::Relaxed) {
                unfinished = Some(told(subject));
            }
            collected.end();
            for error in answering.problems() {
                collected.problem(Problem::of(&error));
            }
            if let Err(error) = settings.providers.finish(&answering) {
                collected.problem(Problem::error(ErrorKind::Unreadable, error));
            }
        }
    }
    progress.finish();
    Ok(Examined { bytes, unfinished })
}

/// What is known of an audit beside what was collected.
pub(crate) struct Conclusion<'a> {
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if that is not now.
    pub ended: Option<Timestamp>,
    /// How many bytes were read.
    pub bytes: u64,
    /// Why it did not come to its end, if it did not.
    pub unfinished: Option<String>,
    /// Of the policies.
    pub digest: &'a str,
    /// How much goes into the status of a constraint.
    pub status: StatusLimits,
    /// What is said on standard error.
    pub aside: Aside,
}

/// Ends an audit: the report goes to the sinks.
pub(crate) fn conclude(
    mut collected: Collected,
    of: Conclusion<'_>,
    policies: &[Policy],
    spool: Spool,
    sinks: &mut [Box<dyn Sink>],
) -> Result<Standing, RunError> {
    collected.missed();
    let completion = match of.unfinished {
        Some(reason) => Completion::Unfinished { reason },
        None if collected.saw_everything() => Completion::Complete,
        None => Completion::Partial,
    };
    let (totals, coverage, problems) = collected.finish(of.bytes);
    let report = AuditReport {
        started: of.started,
        ended: of.ended.unwrap_or_else(|| Timestamp::from_system(SystemTime::now())),
        policy_digest: of.digest.to_owned(),
        completion,
        policies: policies.to_vec(),
        findings: Box::new(spool),
        coverage,
        totals,
        problems,
        status_limits: of.status,
    };
    for sink in sinks {
        sink.end(&report).map_err(system("writing an output"))?;
    }
    if of.aside == Aside::Doubts {
        human::write_doubts(&report, &mut anstream::stderr().lock())
            .map_err(system("writing to standard error"))?;
    }
    Ok(report.standing())
}

/// Why it was stopped.
fn told(subject: &dyn Subject) -> String {
    subject.forbidden().unwrap_or_else(|| "it was asked to end".to_owned())
}

/// Audits files as the command line says, once, or again and again until it is asked to end.
///
/// # Errors
///
/// If arguments do not fit together, an output cannot be written, or the system fails.
pub fn files(args: &AuditArgs, ignores: &Ignores) -> Result<ExitStatus, RunError> {
    let stop = stop_on_signals()?;
    let settings = Settings::of(args);
    let mut paths = args.paths.clone();
    if paths.is_empty() && stdin_is_stream() {
        paths.push(stdin_path());
    }
    if args.policies.is_empty() {
        let text = "there are no policies to audit by: name them with `--policies`";
        return Err(RunError::Usage(text.to_owned()));
    }
    if paths.is_empty() {
        return Err(RunError::Usage(
            "there is nothing to audit: name files or directories, or pipe objects in".to_owned(),
        ));
    }
    let stdin = if paths.iter().any(|path| is_stdin(path)) {
        if args.interval.is_some() {
            let text = "standard input does not change, so that it cannot be audited every interval";
            return Err(RunError::Usage(text.to_owned()));
        }
        let source = with_patience("<stdin>", || Source::spool("<stdin>", io::stdin().lock(), None));
        Some(Arc::new(source.map_err(system("keeping standard input in a temporary file"))?))
    } else {
        None
    };
    repeat(args.interval, &stop, |_| {
        let policies = read_policies(args, ignores)?;
        let stdin = stdin.as_ref();
        let mut subject = FileSubject::new(&paths, &args.inventory, stdin, settings.ceiling, ignores);
        if let Some(of) = args.shard.of() {
            return shard::shard(of, args, &policies, &mut subject, &settings, &stop);
        }
        let mut sinks: Vec<_> = args.outputs().into_iter().map(|(form, target)| form.sink(target)).collect();
        let comparison = args.comparison(&policies)?;
        let outcome = comparison.as_ref().map(Compare::outcome);
        sinks.extend(comparison.map(|comparison| Box::new(comparison) as Box<dyn Sink>));
        let standing = audit(&policies, &mut subject, &settings, &mut sinks, &stop)?;
        Ok(outcome.map_or_else(|| standing.into(), |outcome| outcome.status(standing)))
    })
}

/// Policies are read anew for every audit.
pub(crate) fn read_policies(args: &AuditArgs, ignores: &Ignores) -> Result<Policies, RunError> {
    /// Deep documents and policies are worked on recursively.
    const STACK_BYTES: usize = 8 << 20;
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build();
    let pool =
        pool.map_err(|error| system("starting the threads that read policies")(io::Error::other(error)))?;
    let unsupported = Unsupported::allowed(args.allow_unsupported);
    let settings = PolicySettings { homes: args.config.homes(None), engines: args.engine.choice() };
    Ok(pool.install(|| Policies::read(&args.policies, args.expand, unsupported, &settings, ignores)))
}

/// Does it once, or again and again; one never begins before the last has ended. The worst that came of any is what comes of all.
pub(crate) fn repeat(
    interval: Option<u64>,
    stop: &AtomicBool,
    mut once: impl FnMut(u64) -> Result<ExitStatus, RunError>,
) -> Result<ExitStatus, RunError> {
    let mut number = 0;
    loop {
        let began = Instant::now();
        let status = once(number)?;
        number += 1;
        let Some(interval) = interval else { return Ok(status) };
        let next = began + Duration::from_secs(interval);
        while !stop.load(Ordering::Relaxed) && Instant::now() < next {
            const LOOK: Duration = Duration::from_millis(100);
            std::thread::sleep(LOOK.min(next.saturating_duration_since(Instant::now())));
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(status);
        }
    }
}

/// SIGTERM and SIGINT end the audit after the object at hand; a second one ends the program.
pub(crate) fn stop_on_signals() -> Result<Arc<AtomicBool>, RunError> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        registered.map_err(system("listening for signals"))?;
    }
    Ok(stop)
}
