//! One audit of something that gives its objects twice: both passes, and what comes of them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::{ErrorKind, EvaluationLimits, Places, Scopes};
use portcullis_providers::ProviderArgs;
use portcullis_report::sink::Sink;
use portcullis_report::{AuditReport, Completion, Policy, Problem, Standing, StatusLimits, Timestamp, human};

use crate::args::AuditArgs;
use crate::collect::{Collected, Report};
use crate::error::{RunError, system};
use crate::explained::Kept;
use crate::inventory::{Gathered, InventoryError, gather};
use crate::judge::{Evaluations, Judge};
use crate::memory::{Budget, Ceiling, resident};
use crate::pipeline::{self, Feed, Work};
use crate::policies::Policies;
use crate::progress::{Aside, Progress};
use crate::shard::Shard;
use crate::source::size;
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
    /// How many violations of each constraint are explained, if any.
    pub explain: Option<u64>,
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
            explain: args.explain.map(u64::from),
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
            let expansion = policies.implying.expansion(&inventory);
            let expansion = expansion.map(|expansion| match answering.username() {
                Some(username) => expansion.with_username(username),
                None => expansion,
            });
            let explaining =
                collected.kept().map(|kept| kept.explaining(&policies.described, &policies.set, &inventory));
            let judge = Judge {
                answering: &answering,
                policies: &policies.set,
                expansion,
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
                explaining,
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
    let explanations = collected.kept().map(Kept::sums);
    if let Some(problem) = collected.kept().and_then(Kept::too_large) {
        collected.problem(problem);
    }
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
        explanations,
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
