//! What came of batches, put together in their order: totals, coverage, problems, and each finding on to the sinks.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;

use portcullis::Gvk;
use portcullis_report::audit::{
    Coverage, KindCoverage, MOST_PROBLEMS, ObjectName, Objects, Place, Problem, Tally, Totals,
};

use crate::judge::Judged;
use crate::memory::Ceiling;
use crate::sink::{Sink, Start};
use crate::spool::Spool;

/// The results so far.
#[derive(Debug)]
pub struct Collected {
    /// How many of each.
    pub totals: Totals,
    kinds: BTreeMap<Gvk, KindState>,
    problems: Problems,
    /// Objects that could not be read.
    pub unread: u64,
    /// Objects that were read.
    pub objects: u64,
    names: Names,
}

#[derive(Debug, Default)]
struct KindState {
    objects: Objects,
    failure: Option<String>,
}

/// Problems, as many of each severity as a report lists.
#[derive(Debug, Default)]
struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// The objects that came, as numbers: that two names have the same does not happen.
#[derive(Debug)]
struct Names {
    seen: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
    most: usize,
}

impl Collected {
    /// Nothing yet, of so many policies.
    pub fn new(policies: usize, ceiling: Ceiling) -> Self {
        /// What an entry takes, with the empty places beside it.
        const ENTRY: u64 = 24;
        Self {
            totals: Totals { by_policy: vec![Tally::default(); policies], ..Totals::default() },
            kinds: BTreeMap::new(),
            problems: Problems::default(),
            unread: 0,
            objects: 0,
            names: Names {
                seen: HashSet::default(),
                most: usize::try_from(ceiling.names() / ENTRY).unwrap_or(usize::MAX),
            },
        }
    }

    /// Takes what came of the next batch.
    ///
    /// # Errors
    ///
    /// Of the sinks, and if the disk is full.
    pub fn add(
        &mut self,
        judged: Judged,
        start: &Start<'_>,
        spool: &mut Spool,
        sinks: &mut [Box<dyn Sink>],
    ) -> io::Result<()> {
        let Judged { totals, kinds, failed_kinds, findings, names, problems, unread, .. } = judged;
        let before = self.objects;
        self.totals.all.add(totals.all);
        for (sum, tally) in self.totals.by_policy.iter_mut().zip(totals.by_policy) {
            sum.add(tally);
        }
        for (namespace, tally) in totals.by_namespace {
            self.totals.by_namespace.entry(namespace).or_default().add(tally);
        }
        for (action, tally) in totals.by_action {
            self.totals.by_action.entry(action).or_default().add(tally);
        }
        for (gvk, objects) in kinds {
            self.kinds.entry(gvk).or_default().objects.add(objects);
        }
        for (gvk, why) in failed_kinds {
            self.kinds.entry(gvk).or_default().failure = Some(why);
            self.unread += 1;
        }
        self.unread += unread;
        for problem in problems {
            self.problem(problem);
        }
        for (name, place) in names {
            self.objects += 1;
            self.name(&name, place);
        }
        for mut finding in findings {
            finding.ordinal += before;
            spool.push(&finding)?;
            for sink in &mut *sinks {
                sink.finding(start, &finding)?;
            }
        }
        Ok(())
    }

    /// One more problem.
    pub fn problem(&mut self, problem: Problem) {
        let list = if problem.is_error { &mut self.problems.errors } else { &mut self.problems.warnings };
        if list.len() < MOST_PROBLEMS {
            list.push(problem);
        }
    }

    fn name(&mut self, name: &ObjectName, place: Place) {
        // Names that are still to be generated cannot clash.
        if name.name.is_empty() || name.name.ends_with('*') {
            return;
        }
        let number = self.names.seen.hasher().hash_one(name);
        if self.names.seen.len() >= self.names.most {
            // What is remembered has to end somewhere; a second object is judged in any case.
            return;
        }
        if self.names.seen.insert(number) {
            if self.names.seen.len() == self.names.most {
                self.problem(Problem {
                    is_error: false,
                    code: "limit",
                    place: Some(place),
                    message: format!(
                        "from here on, objects that come twice go unnoticed: {} names were kept",
                        self.names.most
                    ),
                    help: Some("raise `--max-memory` to keep more".to_owned()),
                });
            }
            return;
        }
        let gvk = Gvk { group: name.group.clone(), version: name.version.clone(), kind: name.kind.clone() };
        self.kinds.entry(gvk).or_default().objects.duplicates += 1;
        self.problem(Problem {
            is_error: false,
            code: "duplicate-resource",
            place: Some(place),
            message: format!("{name}: defined a second time"),
            help: Some("both are judged; policies that compare objects see the last one".to_owned()),
        });
    }

    /// Whether everything could be read.
    pub fn saw_everything(&self) -> bool {
        self.unread == 0 && self.problems.errors.is_empty()
    }

    /// The parts of a report.
    pub fn finish(self, bytes: u64) -> (Totals, Coverage, Vec<Problem>) {
        let kinds = self.kinds.into_iter().map(|(gvk, state)| KindCoverage {
            group: gvk.group,
            version: gvk.version,
            kind: gvk.kind,
            objects: state.objects,
            failure: state.failure,
        });
        let coverage = Coverage { kinds: kinds.collect(), unread_objects: self.unread, bytes };
        let Problems { mut errors, warnings } = self.problems;
        errors.extend(warnings);
        (self.totals, coverage, errors)
    }
}
