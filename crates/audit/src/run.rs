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

use portcullis::{Error, ErrorKind, Location, PolicySettings, Unsupported};
use portcullis_report::sink::{Sink, Start};
use portcullis_report::{ExitStatus, Problem, Standing, Timestamp};
use portcullis_sources::{
    Choice, Ignores, InputFile, is_stdin, list_without, stdin_is_stream, stdin_path, with_patience,
};

use crate::args::AuditArgs;
use crate::collect::{Collected, Report};
use crate::compare::Compare;
use crate::error::{RunError, system};
use crate::examine::{Conclusion, Examined, conclude, examine};
pub use crate::examine::{Settings, Subject};
use crate::memory::Ceiling;
use crate::pipeline::Feed;
use crate::policies::Policies;
pub use crate::progress::Aside;
use crate::sharding;
use crate::source::{Files, Source};
use crate::spool::Spool;

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
    let mut collected =
        Collected::new(policies.described.len(), settings.ceiling).explaining(settings.explain);
    let mut report = Report { start, spool, sinks };
    let Examined { bytes, unfinished } =
        examine(policies, subject, settings, began, None, &mut collected, &mut report, stop)?;
    let Report { spool, sinks, .. } = report;
    let Settings { status, aside, .. } = *settings;
    let of = Conclusion { started, ended: None, bytes, unfinished, digest: &policies.digest, status, aside };
    conclude(collected, of, &policies.described, spool, sinks)
}

/// Audits files as the command line says, once, or again and again until it is asked to end.
///
/// # Errors
///
/// If arguments do not fit together, an output cannot be written, or the system fails.
pub fn files(args: &AuditArgs, ignores: &Ignores) -> Result<ExitStatus, RunError> {
    let stop = stop_on_signals()?;
    let settings = Settings::of(args);
    args.refuse_unread()?;
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
            return sharding::shard(of, args, &policies, &mut subject, &settings, &stop);
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
