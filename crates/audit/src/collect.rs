//! What came of batches, put together in their order: totals, coverage, problems, and each finding on to who wants it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::Arc;

use portcullis::{ErrorKind, Gvk};
use portcullis_report::{
    Coverage, Finding, KindCoverage, ObjectName, Objects, Place, Problem, Problems, Tally, Totals,
};

use crate::events::{At, Event, Step, Sums};
use crate::explained::Kept;
use crate::inventory::Unread;
use crate::judge::Judged;
use crate::memory::Ceiling;
use crate::shard::{End, Part};
use crate::source::size;
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
    at: At,
    /// The item, and the object in it.
    number: (u64, u64),
    /// Where it is written down for others, if this is a shard.
    part: Option<Part>,
    /// Bytes that are counted by namespace and kind, and how many they may be.
    counted: (u64, u64),
    /// Which explanations are kept, if any are made.
    kept: Option<Kept>,
}

/// What an entry of a map takes beside its texts: itself, its share of a node, and what an allocation costs.
const ENTRY: u64 = 160;

/// Where findings go: on disk, and to the sinks.
pub struct Report<'s, 'p> {
    /// What is known since the beginning.
    pub start: Start<'p>,
    /// Keeps them.
    pub spool: Spool,
    /// Take them as they come.
    pub sinks: &'s mut [Box<dyn Sink>],
}

impl Report<'_, '_> {
    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.spool.push(finding)?;
        self.sinks.iter_mut().try_for_each(|sink| sink.finding(&self.start, finding))
    }
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
            at: At::Begin,
            number: (0, 0),
            part: None,
            counted: (0, ceiling.totals()),
            kept: None,
        }
    }

    /// The same, with explanations of so many violations of each constraint, if they are asked for.
    pub fn explaining(self, number: Option<u64>) -> Self {
        let constraints = self.totals.by_policy.len();
        Self { kept: number.map(|number| Kept::new(number, constraints)), ..self }
    }

    /// Which explanations are kept, if any are made.
    pub const fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    /// The same, for a shard: all that is said is written down.
    pub fn into_part(self, part: Part) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Whether there are more namespaces, kinds or findings than there is room to count. What was added until then is whole.
    pub fn is_full(&self, spool: &Spool) -> bool {
        self.counted.0 + spool.memory() > self.counted.1
    }

    /// Takes what came of the next batch. Its findings go to the report, or into the part of a shard.
    ///
    /// # Errors
    ///
    /// Of the sinks, and if the disk is full.
    pub fn add(&mut self, judged: Judged, report: &mut Report<'_, '_>) -> io::Result<()> {
        let Judged { totals, kinds, steps, .. } = judged;
        let Totals { all, by_policy, by_namespace, by_action, overridden } = totals;
        let overridden = overridden.into_iter().map(|((policy, action), count)| (policy, action, count));
        self.sum(Sums {
            all,
            by_policy,
            by_action: by_action.into_iter().collect(),
            overridden: overridden.collect(),
        });
        for (namespace, tally) in by_namespace {
            self.namespace(namespace, tally);
        }
        for (gvk, objects) in kinds {
            self.kind(gvk, objects);
        }
        for step in steps {
            match step {
                Step::Item(listed) => {
                    self.number = (self.number.0 + 1, 0);
                    self.at = listed.map_or(At::Item(self.number.0, 0), At::Listed);
                }
                Step::Object => {
                    self.number.1 += 1;
                    if let At::Item(..) = self.at {
                        self.at = At::Item(self.number.0, self.number.1);
                    }
                }
                Step::Name(name, place) => {
                    self.objects += 1;
                    self.name(&name, place);
                }
                Step::Event(event) => self.apply(*event, report)?,
            }
        }
        self.part.as_mut().map_or(Ok(()), Part::check)
    }

    /// Takes one thing that is said.
    ///
    /// # Errors
    ///
    /// Of the sinks, and if the disk is full.
    pub fn apply(&mut self, event: Event, report: &mut Report<'_, '_>) -> io::Result<()> {
        match event {
            Event::Expected(problem) => _ = self.expected.problems.insert(problem),
            Event::ExpectedKind(gvk, why) => _ = self.expected.kinds.insert(gvk.into(), why),
            Event::Unread(problem) => {
                self.unread += 1;
                self.write(|| Event::Unread(problem.clone()));
                self.keep(problem);
            }
            Event::Unlisted(more) => {
                self.unread += more;
                self.write(|| Event::Unlisted(more));
            }
            Event::Problem(problem) => self.problem(problem),
            Event::FailedKind(gvk, why) => {
                self.write(|| Event::FailedKind(gvk.clone(), why.clone()));
                let gvk = gvk.into();
                self.expected.kinds.remove(&gvk);
                self.kinds.entry(gvk).or_default().failure = Some(why);
                self.unread += 1;
            }
            Event::Finding(mut finding) => {
                finding.ordinal = self.objects.saturating_sub(1);
                match &mut self.kept {
                    Some(kept) => kept.take(&mut finding),
                    None => finding.explanation = None,
                }
                if self.part.is_some() {
                    self.write(|| Event::Finding(finding));
                } else {
                    report.finding(&finding)?;
                }
            }
            Event::Kind(gvk, objects) => self.kind(gvk.into(), objects),
            Event::Namespace(namespace, tally) => self.namespace(namespace, tally),
            Event::Totals(sums) => self.sum(sums),
        }
        Ok(())
    }

    fn write(&mut self, event: impl FnOnce() -> Event) {
        if let Some(part) = &mut self.part {
            part.event(&self.at, &event());
        }
    }

    fn sum(&mut self, sums: Sums) {
        self.totals.all.add(sums.all);
        for (sum, tally) in self.totals.by_policy.iter_mut().zip(sums.by_policy) {
            sum.add(tally);
        }
        for (action, tally) in sums.by_action {
            self.totals.by_action.entry(action).or_default().add(tally);
        }
        for (policy, action, count) in sums.overridden {
            *self.totals.overridden.entry((policy, action)).or_default() += count;
        }
    }

    fn namespace(&mut self, namespace: Arc<str>, tally: Tally) {
        let bytes = ENTRY + namespace.len() as u64;
        let entry = self.totals.by_namespace.entry(namespace);
        if matches!(entry, Entry::Vacant(_)) {
            self.counted.0 += bytes;
        }
        entry.or_default().add(tally);
    }

    fn kind(&mut self, gvk: Gvk, objects: Objects) {
        let bytes = 3 * ENTRY + (gvk.group.len() + gvk.version.len() + gvk.kind.len()) as u64;
        let entry = self.kinds.entry(gvk);
        if matches!(entry, Entry::Vacant(_)) {
            self.counted.0 += bytes;
        }
        entry.or_default().objects.add(objects);
    }

    /// All that comes now is of the next object.
    pub fn next_object(&mut self) {
        self.objects += 1;
    }

    /// What comes now comes behind all items.
    pub fn end(&mut self) {
        self.at = At::End;
    }

    /// One more problem.
    pub fn problem(&mut self, problem: Problem) {
        let problem = problem.kept();
        self.write(|| Event::Problem(problem.clone()));
        self.keep(problem);
    }

    fn keep(&mut self, problem: Problem) {
        self.expected.problems.remove(&problem);
        self.problems.push(problem);
    }

    /// Says what the first pass could not read. Most of it the second meets as well; the rest is reported at the end.
    pub fn expect(&mut self, unread: Unread) {
        for problem in &unread.problems {
            self.write(|| Event::Expected(problem.clone()));
        }
        for (gvk, why) in &unread.kinds {
            self.write(|| Event::ExpectedKind(gvk.into(), why.clone()));
        }
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

    /// Notices an object that came before. It is told by who judges it, and has its place.
    fn name(&mut self, name: &ObjectName, place: Option<Place>) {
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
            if self.names.seen.len() == self.names.most && place.is_some() {
                let most = self.names.most;
                let message =
                    format!("from here on, objects that come twice go unnoticed: {most} names were kept");
                self.problem(Problem {
                    place,
                    help: Some("raise `--max-memory` to keep more".to_owned()),
                    ..Problem::warning(ErrorKind::Limit, message)
                });
            }
            return;
        }
        let Some(place) = place else { return };
        let gvk = Gvk { group: name.group.clone(), version: name.version.clone(), kind: name.kind.clone() };
        self.kinds.entry(gvk).or_default().objects.duplicates += 1;
        self.problem(Problem {
            object: Some(name.clone()),
            place: Some(place),
            help: Some("both are judged; policies that compare objects see the last one".to_owned()),
            ..Problem::warning(ErrorKind::DuplicateResource, "defined a second time")
        });
    }

    /// Ends the part of a shard: with what all of it comes to.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish_part(self, end: End) -> io::Result<()> {
        let Some(mut part) = self.part else { return Ok(()) };
        let Totals { all, by_policy, by_namespace, by_action, overridden } = self.totals;
        let overridden = overridden.into_iter().map(|((policy, action), count)| (policy, action, count));
        let sums = Sums {
            all,
            by_policy,
            by_action: by_action.into_iter().collect(),
            overridden: overridden.collect(),
        };
        part.event(&At::Sums, &Event::Totals(sums));
        for (namespace, tally) in by_namespace {
            part.event(&At::Sums, &Event::Namespace(namespace, tally));
        }
        for (gvk, state) in &self.kinds {
            part.event(&At::Sums, &Event::Kind(gvk.into(), state.objects));
        }
        part.finish(end)
    }

    /// How many objects were judged.
    pub fn judged(&self) -> u64 {
        self.kinds.values().map(|state| state.objects.judged).sum()
    }

    /// That [`Collected::is_full`], for people.
    pub fn too_many(&self) -> String {
        let room = size(self.counted.1);
        format!(
            "there are more namespaces and kinds than the {room} have room for that `--max-memory` leaves for counting them; raise it"
        )
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
