//! What evaluations see of the world besides objects: the time, and their limits.

use std::time::{Duration, Instant, SystemTime};

use portcullis::{EvaluationLimits, Inventory, Stopwatch, World};
use portcullis_sources::Deadline;

use crate::evaluation_args::EvaluationArgs;

/// The same for all reviews of a run.
#[derive(Clone, Copy, Debug)]
pub struct Evaluating {
    limits: EvaluationLimits,
    timeout: Duration,
    now_ns: i64,
}

impl Evaluating {
    /// As the command line has it, at this moment.
    pub fn new(args: &EvaluationArgs) -> Self {
        let limits = EvaluationLimits {
            steps: args.max_steps,
            memory: args.max_policy_memory as u64,
            ..EvaluationLimits::default()
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Self { limits, timeout: Duration::from_secs(args.timeout), now_ns }
    }

    /// As the command line has it where it has no flags for it, at this moment.
    pub fn usual() -> Self {
        /// Seconds.
        const TIMEOUT: u64 = 10;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Self { limits: EvaluationLimits::default(), timeout: Duration::from_secs(TIMEOUT), now_ns }
    }

    /// What a review may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What time it is for policies and exceptions, in nanoseconds since 1970.
    pub const fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// The end of a review that begins now.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// The world of reviews that nobody ends: bounded by steps and memory alone.
    pub fn untimed<'a>(&self, inventory: &'a Inventory) -> World<'a> {
        World::new(inventory).with_limits(self.limits).with_now(self.now_ns)
    }

    /// The world of a review.
    pub fn world<'a>(&self, inventory: &'a Inventory, deadline: &'a Deadline) -> World<'a> {
        World::new(inventory).with_limits(self.limits).with_now(self.now_ns).with_watch(deadline)
    }
}

/// Time since it was made.
pub struct Watch(Instant);

impl Watch {
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Stopwatch for Watch {
    fn read_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
