//! What came of batches, put together in their order: totals, coverage, problems, and each finding on to the sinks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;

use portcullis::{ErrorKind, Gvk};
use portcullis_report::{
    Coverage, KindCoverage, ObjectName, Objects, Place, Problem, Problems, Tally, Totals,
};

use crate::inventory::Unread;
use crate::judge::Judged;
use crate::memory::Ceiling;
use crate::spool::Spool;
use portcullis_report::sink::{Sink, Start};

/// The results so far.
#[derive(Debug)]
pub struct Collected {
    /// How many of each.
    pub totals: Totals,
    kinds: BTreeMap<Gvk, KindState>,
    problems: Problems,
    /// What the first pass could not read and the second has not met yet.
    expected: Unread,
    /// Objects that could not be read.
    pub unread: u64,
    /// Objects that were read.
    pub objects: u64,
    names: Names,
    /// Bytes that are counted by namespace and kind, and how many they may be.
    counted: (u64, u64),
}

#[derive(Debug, Default)]
struct KindState {
    objects: Objects,
    failure: Option<String>,
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
            expected: Unread::default(),
            unread: 0,
            objects: 0,
            names: Names {
                seen: HashSet::default(),
                most: usize::try_from(ceiling.names() / ENTRY).unwrap_or(usize::MAX),
            },
            counted: (0, ceiling.totals()),
        }
    }

    /// Whether there are more namespaces, kinds or findings than there is room to count. What was added until then is whole.
    pub fn is_full(&self, spool: &Spool) -> bool {
        self.counted.0 + spool.memory() > self.counted.1
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
        /// What an entry of a map takes beside its texts: itself, its share of a node, and what an allocation costs.
        const ENTRY: u64 = 160;
        for (namespace, tally) in totals.by_namespace {
            let bytes = ENTRY + namespace.len() as u64;
            let entry = self.totals.by_namespace.entry(namespace);
            if matches!(entry, Entry::Vacant(_)) {
                self.counted.0 += bytes;
            }
            entry.or_default().add(tally);
        }
        for (action, tally) in totals.by_action {
            self.totals.by_action.entry(action).or_default().add(tally);
        }
        for (key, count) in totals.overridden {
            *self.totals.overridden.entry(key).or_default() += count;
        }
        for (gvk, objects) in kinds {
            let bytes = 3 * ENTRY + (gvk.group.len() + gvk.version.len() + gvk.kind.len()) as u64;
            let entry = self.kinds.entry(gvk);
            if matches!(entry, Entry::Vacant(_)) {
                self.counted.0 += bytes;
            }
            entry.or_default().objects.add(objects);
        }
        for (gvk, why) in failed_kinds {
            self.expected.kinds.remove(&gvk);
            self.kinds.entry(gvk).or_default().failure = Some(why);
            self.unread += 1;
        }
        self.unread += unread;
        for problem in problems {
            self.expected.problems.remove(&problem);
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
        self.problems.push(problem);
    }

    /// Says what the first pass could not read. Most of it the second meets as well; the rest is reported at the end.
    pub fn expect(&mut self, unread: Unread) {
        self.expected = unread;
    }

    /// Reports what only the first pass could not read: what policies compare with was not whole.
    pub fn missed(&mut self) {
        /// The same for files and kinds, so that it is one cause of theirs.
        const HELP: &str = "policies that compare objects with it may have judged wrongly";
        let Unread { problems, kinds } = std::mem::take(&mut self.expected);
        for problem in problems {
            self.unread += 1;
            self.problem(Problem { help: Some(HELP.to_owned()), ..problem });
        }
        for (gvk, why) in kinds {
            self.unread += 1;
            let message = format!("`{gvk}` could not be listed for the inventory: {why}");
            self.problem(Problem {
                help: Some(HELP.to_owned()),
                ..Problem::error(ErrorKind::Unreadable, message)
            });
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
                let most = self.names.most;
                let message =
                    format!("from here on, objects that come twice go unnoticed: {most} names were kept");
                self.problem(Problem {
                    place: Some(place),
                    help: Some("raise `--max-memory` to keep more".to_owned()),
                    ..Problem::warning(ErrorKind::Limit, message)
                });
            }
            return;
        }
        let gvk = Gvk { group: name.group.clone(), version: name.version.clone(), kind: name.kind.clone() };
        self.kinds.entry(gvk).or_default().objects.duplicates += 1;
        self.problem(Problem {
            object: Some(name.clone()),
            place: Some(place),
            help: Some("both are judged; policies that compare objects see the last one".to_owned()),
            ..Problem::warning(ErrorKind::DuplicateResource, "defined a second time")
        });
    }

    /// Whether everything could be read.
    pub fn saw_everything(&self) -> bool {
        self.unread == 0 && self.problems.errors() == 0
    }

    /// The parts of a report.
    pub fn finish(self, bytes: u64) -> (Totals, Coverage, Problems) {
        let kinds = self.kinds.into_iter().map(|(gvk, state)| KindCoverage {
            group: gvk.group,
            version: gvk.version,
            kind: gvk.kind,
            objects: state.objects,
            failure: state.failure,
        });
        let coverage = Coverage { kinds: kinds.collect(), unread_objects: self.unread, bytes };
        (self.totals, coverage, self.problems)
    }
}
