//! Everything an evaluation may look at besides the review.

use std::fmt;

use portcullis_value::{Answers, Limits, Watch};

use crate::inventory::Inventory;
use crate::program::{Counting, PolicyCoverage};

/// Measures how long something took. The core reads no clock; a caller that wants to know hands one in.
pub trait Stopwatch {
    /// Nanoseconds since some moment, the same for all calls. Called twice per constraint that is evaluated.
    fn read_ns(&self) -> u64;
}

/// The surroundings of a review, borrowed: the cached cluster objects, the time, and what each evaluation may
/// use.
///
/// ```
/// use portcullis::{EvaluationLimits, Inventory, World};
///
/// let inventory = Inventory::empty();
/// let limits = EvaluationLimits { steps: 100_000, ..EvaluationLimits::default() };
/// let world = World::new(&inventory).with_limits(limits).with_now(1_700_000_000_000_000_000);
/// assert_eq!(world.limits().steps, 100_000);
/// ```
#[derive(Clone, Copy)]
pub struct World<'a> {
    inventory: Option<&'a Inventory>,
    limits: Limits,
    watch: Option<&'a (dyn Watch + Sync)>,
    stopwatch: Option<&'a (dyn Stopwatch + Sync)>,
    now_ns: Option<i64>,
    seed: u64,
    findings: Option<usize>,
    answers: Option<&'a Answers>,
    coverage: Option<&'a PolicyCoverage>,
    counting: Counting,
}

impl<'a> World<'a> {
    /// A world with an inventory, in which no time is known.
    #[must_use]
    pub fn new(inventory: &'a Inventory) -> Self {
        Self { inventory: Some(inventory), ..Self::default() }
    }

    /// What each evaluation may use.
    #[must_use]
    pub const fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What stops evaluations, such as the deadline of a request.
    #[must_use]
    pub const fn with_watch(self, watch: &'a (dyn Watch + Sync)) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// What measures each constraint, for [`crate::ConstraintResult::took_ns`].
    #[must_use]
    pub const fn with_stopwatch(self, stopwatch: &'a (dyn Stopwatch + Sync)) -> Self {
        Self { stopwatch: Some(stopwatch), ..self }
    }

    /// What `time.now_ns` is for every constraint of a review: nanoseconds since 1970. A policy that asks for
    /// the time where there is none is an error.
    #[must_use]
    pub const fn with_now(self, now_ns: i64) -> Self {
        Self { now_ns: Some(now_ns), ..self }
    }

    /// What `rand.intn` and `uuid.rfc4122` are derived from, for every constraint of a review.
    #[must_use]
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How many bytes all findings of a review may hold together, about: constraints may be many, and each
    /// may repeat the object. Of what is beyond that, messages are cut, details left out and violations
    /// counted; verdicts stay.
    #[must_use]
    pub const fn with_findings(self, bytes: usize) -> Self {
        Self { findings: Some(bytes), ..self }
    }

    /// What is known of the world outside, such as what providers of external data say. A policy that asks for more
    /// is an error whose [`crate::ConstraintResult::questions`] say what it asks; [`crate::PolicySet::resume`] goes on
    /// when these are answered.
    #[must_use]
    pub const fn with_answers(self, answers: &'a Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// What collects which parts of templates are reached. They are evaluated by programs that tell, which takes
    /// longer; the verdicts are the same.
    #[must_use]
    pub const fn with_coverage(self, coverage: &'a PolicyCoverage) -> Self {
        Self { coverage: Some(coverage), ..self }
    }

    /// Whether results tell what they took: [`crate::ConstraintResult::steps`].
    #[must_use]
    pub const fn with_counting(self, counting: Counting) -> Self {
        Self { counting, ..self }
    }

    /// The cached objects; none if nobody gave any.
    #[must_use]
    pub const fn inventory(&self) -> Option<&'a Inventory> {
        self.inventory
    }

    /// What each evaluation may use.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn watch(&self) -> Option<&'a dyn Watch> {
        self.watch.map(|watch| -> &dyn Watch { watch })
    }

    pub(crate) fn read_stopwatch(&self) -> Option<u64> {
        self.stopwatch.map(Stopwatch::read_ns)
    }

    pub(crate) const fn now_ns(&self) -> Option<i64> {
        self.now_ns
    }

    pub(crate) const fn answers(&self) -> Option<&'a Answers> {
        self.answers
    }

    pub(crate) const fn findings(&self) -> Option<usize> {
        self.findings
    }

    pub(crate) const fn coverage(&self) -> Option<&'a PolicyCoverage> {
        self.coverage
    }

    pub(crate) const fn counting(&self) -> Counting {
        self.counting
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }
}

/// A world without other objects, time and deadline, with the usual limits: for policies that look at the
/// reviewed object only. Those that compare it with others compare it with nothing;
/// [`PolicySet::missing_inventory`] says which.
///
/// [`PolicySet::missing_inventory`]: crate::PolicySet::missing_inventory
impl Default for World<'_> {
    fn default() -> Self {
        Self {
            inventory: None,
            limits: Limits::default(),
            watch: None,
            stopwatch: None,
            now_ns: None,
            seed: 0,
            findings: None,
            answers: None,
            coverage: None,
            counting: Counting::Always,
        }
    }
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("inventory", &self.inventory)
            .field("limits", &self.limits)
            .field("now_ns", &self.now_ns)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
