//! Which findings are explained, and how: of each constraint the first violations in the order of the objects, up to a number and to bytes.
//!
//! ```text
//! judges, in any order:  those that may be among the first ──> Explanation, one at a time
//! Collected, in order:   the first ones keep theirs; Counts says how many there are, so that judges make no more than may be kept
//! ```
//!
//! Who judges knows no more than how many came before it at least, so it makes too many rather than too few. Which are kept is decided in
//! order, and what follows is the same on all numbers of threads. For a shard the order is that of its objects: the first of an audit are
//! among the first of each shard, and both bounds are of one constraint alone, so that what a merge keeps every shard has kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis::{
    ConstraintKey, EnforcementPoint, ErrorKind, FieldPath, Gvk, Inventory, Object, PolicySet, Process,
    Review, Why, World,
};
use portcullis_report::{Explanation, Explanations, Finding, Policy, Problem, Untold, Verdict};

use crate::source::size;

/// Most bytes of all explanations of an audit. Each constraint has an equal part of it.
const ALL: usize = 8 << 20;
/// Most bytes of one explanation.
const ONE: usize = 32 << 10;

/// How much of each constraint is explained. It depends on nothing but the flag and the number of constraints, so that all shards and
/// the merge have the same.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Most violations of a constraint.
    number: u64,
    /// Most bytes of their explanations.
    bytes: usize,
}

impl Bounds {
    fn new(number: u64, constraints: usize) -> Self {
        Self { number, bytes: ALL / constraints.max(1) }
    }

    /// Most bytes of one explanation.
    fn one(self) -> usize {
        ONE.min(self.bytes)
    }
}

/// How many violations of each constraint were explained so far; as many as may be where no further one is kept. Never more than there
/// are.
type Counts = Arc<[AtomicU64]>;

/// Which explanations are kept, decided in the order of the findings.
#[derive(Debug)]
pub struct Kept {
    bounds: Bounds,
    of: Vec<Of>,
    counts: Counts,
}

/// What was kept of a constraint.
#[derive(Clone, Copy, Debug, Default)]
struct Of {
    told: u64,
    untold: u64,
    bytes: usize,
    /// Violations beyond those. Since there is one, none has an explanation.
    left_out: u64,
    /// How many of them because of their bytes.
    too_large: u64,
}

impl Kept {
    /// Nothing yet, of so many constraints.
    pub fn new(number: u64, constraints: usize) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(constraints).collect();
        Self { bounds: Bounds::new(number, constraints), of: vec![Of::default(); constraints], counts }
    }

    /// Takes the next finding, and its explanation from it if it is not among the first.
    pub fn take(&mut self, finding: &mut Finding) {
        let Some(of) = self.of.get_mut(finding.policy).filter(|_| finding.verdict == Verdict::Violation)
        else {
            finding.explanation = None;
            return;
        };
        let weight = finding.explanation.as_deref().map_or(0, Explanation::weight);
        let has_room = of.told + of.untold + of.too_large < self.bounds.number;
        let fits = of.bytes.saturating_add(weight) <= self.bounds.bytes;
        match &finding.explanation {
            Some(explanation) if of.left_out == 0 && has_room && fits => {
                of.bytes += weight;
                match **explanation {
                    Explanation::Told(_) => of.told += 1,
                    Explanation::Untold(_) => of.untold += 1,
                }
            }
            _ => {
                finding.explanation = None;
                of.left_out += 1;
                of.too_large += u64::from(has_room);
            }
        }
        let count = if of.left_out > 0 { self.bounds.number } else { of.told + of.untold };
        if let Some(known) = self.counts.get(finding.policy) {
            known.store(count, Ordering::Relaxed);
        }
    }

    /// What judges have to know.
    pub fn explaining(&self, policies: &[Policy], set: &PolicySet, inventory: &Inventory) -> Explaining {
        let secret = Gvk::new("v1", "Secret");
        let holds_secrets = inventory.kinds().any(|(kind, _)| *kind == secret);
        // Conditions may look at more than what verdicts rest on: so whatever compares objects may have seen Secrets.
        let compares =
            |key: &ConstraintKey| holds_secrets && set.may_rest_on_inventory(key, None, &FieldPath::root());
        let compares_secrets = policies.iter().map(|policy| compares(&policy.key)).collect();
        let keys = policies.iter().map(|policy| policy.key.clone()).collect();
        Explaining { bounds: self.bounds, counts: Arc::clone(&self.counts), keys, compares_secrets }
    }

    /// How many there are.
    pub fn sums(&self) -> Explanations {
        let sum = |number: fn(&Of) -> u64| self.of.iter().map(number).sum();
        Explanations {
            of_each: self.bounds.number,
            told: sum(|of| of.told),
            untold: sum(|of| of.untold),
            left_out: sum(|of| of.left_out),
        }
    }

    /// That bytes and not the number that was asked for kept something from being explained, if so.
    pub fn too_large(&self) -> Option<Problem> {
        let (constraints, violations) = self.of.iter().fold((0, 0), |(constraints, violations), of| {
            (constraints + u64::from(of.too_large > 0), violations + of.too_large)
        });
        let few = self.bounds.number;
        let message = format!(
            "{} of the first {few} violations of {} not explained: the explanations of one may take {} together",
            if violations == 1 { "1 is".to_owned() } else { format!("{violations} are") },
            if constraints == 1 { "1 constraint".to_owned() } else { format!("{constraints} constraints") },
            size(self.bounds.bytes as u64),
        );
        (violations > 0).then(|| Problem {
            help: Some(
                "audit by fewer constraints at once, or judge the objects with `test --explain`".to_owned(),
            ),
            ..Problem::warning(ErrorKind::Limit, message)
        })
    }
}

/// What judges know of what is explained.
#[derive(Debug)]
pub struct Explaining {
    bounds: Bounds,
    counts: Counts,
    /// The constraints, as reports count them.
    keys: Vec<ConstraintKey>,
    /// Whether each compares objects with others, of which some are Secrets.
    compares_secrets: Vec<bool>,
}

/// How many violations of a constraint come before the next one at least, and the bytes of those that were explained in a batch.
pub type Before = Vec<(u64, usize)>;

impl Explaining {
    /// What is known when a batch begins. It must not be asked again in the batch: what came of its beginning may be counted already.
    pub fn before(&self) -> Before {
        self.counts.iter().map(|count| (count.load(Ordering::Relaxed), 0)).collect()
    }

    /// Whether anything of a constraint that comes next may be kept.
    fn may_be_kept(&self, (number, bytes): (u64, usize)) -> bool {
        number < self.bounds.number && bytes <= self.bounds.bytes
    }
}

/// A finding, and in which review it was found: that of the object, or of something that it implies.
#[derive(Debug)]
pub struct Found {
    /// The action that its constraint or the template declares.
    pub declared: &'static str,
    /// The position of the review.
    pub review: usize,
    /// What is found.
    pub finding: Finding,
}

/// How constraints are evaluated once more.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    /// By what is judged.
    pub policies: &'a PolicySet,
    /// What evaluations see.
    pub world: &'a World<'a>,
    /// Where fields of objects were read nobody can look up.
    pub in_cluster: bool,
    /// Set from outside to end early.
    pub stop: &'a AtomicBool,
}

/// The findings of an object that may be among the first of their constraints, by constraint.
pub type Wanted<'f> = BTreeMap<usize, Vec<&'f mut Found>>;

impl Explaining {
    /// Which findings of an object are explained. They are in the order in which they are handed on.
    pub fn wanted<'f>(&self, found: &'f mut [Found], before: &Before) -> Wanted<'f> {
        let mut wanted: Wanted<'f> = BTreeMap::new();
        for one in found {
            let policy = one.finding.policy;
            let taken = wanted.get(&policy).map_or(0, Vec::len) as u64;
            let (number, bytes) = before.get(policy).copied().unwrap_or((u64::MAX, 0));
            let is_next = self.may_be_kept((number.saturating_add(taken), bytes));
            if one.finding.verdict == Verdict::Violation && is_next {
                wanted.entry(policy).or_default().push(one);
            }
        }
        wanted
    }

    /// Explains them, and says how many bytes that takes.
    ///
    /// Cost: for each constraint and review an evaluation that is followed. What one writes down is gone before the next begins.
    pub fn explain(
        &self,
        wanted: Wanted<'_>,
        reviews: &[&Review],
        again: Again<'_>,
        before: &mut Before,
    ) -> u64 {
        let mut all = 0;
        for (policy, found) in wanted {
            let Some((key, so_far)) = self.keys.get(policy).zip(before.get_mut(policy)) else { continue };
            let compares_secrets = self.compares_secrets.get(policy).copied().unwrap_or(true);
            let mut followed: Option<(usize, Option<Why>)> = None;
            for one in found {
                if !self.may_be_kept(*so_far) || again.stop.load(Ordering::Relaxed) {
                    break;
                }
                let review = reviews.get(one.review).copied();
                let mut of_object = reviews.first().copied().into_iter().chain(review);
                let explanation = if compares_secrets || of_object.any(is_secret) {
                    Explanation::Untold(Untold::Secret)
                } else {
                    if followed.as_ref().is_none_or(|(of, _)| *of != one.review) {
                        drop(followed.take());
                        let (point, process) = (EnforcementPoint::Audit, Process::Audit);
                        let why = review.and_then(|review| {
                            again.policies.explain(key, review, again.world, point, process)
                        });
                        followed = Some((one.review, why));
                    }
                    let why = followed.as_ref().and_then(|(_, why)| why.as_ref());
                    explanation(why, &one.finding, self.bounds.one(), again.in_cluster)
                };
                so_far.0 += 1;
                so_far.1 += explanation.weight();
                all += explanation.weight() as u64;
                one.finding.explanation = Some(Box::new(explanation));
            }
        }
        all
    }
}

fn explanation(why: Option<&Why>, finding: &Finding, most: usize, in_cluster: bool) -> Explanation {
    let by = finding.implied.as_ref().map(|implied| format!("[Implied by {}] ", implied.by));
    let said = by.and_then(|prefix| finding.message.strip_prefix(&*prefix)).unwrap_or(&finding.message);
    match why.and_then(|why| why.found.iter().find(|found| found.message == said)) {
        Some(found) if in_cluster => Explanation::of_unplaced(found, most),
        Some(found) => Explanation::of(found, most),
        None => Explanation::Untold(Untold::NotFollowed),
    }
}

/// Whether the object of a review may hold what is secret: a Secret, or a token that is reviewed or requested, of whatever group.
fn is_secret(review: &Review) -> bool {
    let kind = |object: &Object| {
        let gvk = object.gvk();
        let is_core = gvk.group.is_empty();
        matches!(&*gvk.kind, "TokenReview" | "TokenRequest")
            || (is_core && matches!(&*gvk.kind, "Secret" | "SecretList"))
    };
    review.object().is_none_or(kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use portcullis_report::{Details, ObjectName, Place};

    use super::*;

    fn finding(policy: usize, weight: Option<usize>) -> Finding {
        let explanation = weight.map(|weight| {
            let text = format!(r#"{{"told":{{"ways":"{}"}}}}"#, "x".repeat(weight));
            Box::new(serde_json::from_str::<Explanation>(&text).unwrap())
        });
        Finding {
            object: ObjectName::default(),
            labels: Arc::default(),
            ordinal: 0,
            place: Place::Cluster,
            field: String::new(),
            policy,
            actions: Vec::new(),
            verdict: Verdict::Violation,
            message: String::new(),
            details: Details::default(),
            implied: None,
            explanation,
            text: None,
        }
    }

    /// Which of some findings keep their explanation.
    fn kept(number: u64, constraints: usize, findings: &[(usize, Option<usize>)]) -> (Vec<bool>, Kept) {
        let mut kept = Kept::new(number, constraints);
        let taken = findings.iter().map(|(policy, weight)| {
            let mut finding = finding(*policy, *weight);
            kept.take(&mut finding);
            finding.explanation.is_some()
        });
        (taken.collect(), kept)
    }

    #[test]
    fn the_first_of_each_constraint_are_kept_without_gaps() {
        let (taken, kept) =
            kept(2, 2, &[(0, Some(9)), (1, Some(9)), (0, Some(9)), (0, Some(9)), (1, None), (1, Some(9))]);
        assert_eq!(taken, [true, true, true, false, false, false]);
        assert_eq!(kept.sums(), Explanations { of_each: 2, told: 3, untold: 0, left_out: 3 });
        // Nobody makes one that is not kept.
        assert_eq!(kept.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn bytes_of_a_constraint_end_and_that_is_said() {
        let part = ALL / 4;
        let half = Some(part / 2);
        let (taken, kept) =
            kept(100, 4, &[(0, half), (1, half), (0, half), (0, Some(1)), (0, None), (1, half)]);
        assert_eq!(taken, [true, true, true, false, false, true]);
        let said = kept.too_large().unwrap();
        assert!(
            said.message.starts_with("2 are of the first 100 violations of 1 constraint not explained"),
            "{said}"
        );
    }

    proptest::proptest! {
        /// What an audit keeps is what a merge keeps of what its shards kept, whoever has which finding.
        #[test]
        fn shards_keep_what_the_merge_wants(
            findings in proptest::collection::vec((0_usize..3, proptest::option::weighted(0.95, 0_usize..ALL / 9), 0_usize..4), 0..60),
            number in 1_u64..12,
        ) {
            let all: Vec<_> = findings.iter().map(|(policy, weight, _)| (*policy, *weight)).collect();
            let (expected, _) = kept(number, 3, &all);
            let mut shards: Vec<Kept> = (0..4).map(|_| Kept::new(number, 3)).collect();
            let mut merged = Kept::new(number, 3);
            let taken: Vec<bool> = findings.iter().map(|(policy, weight, shard)| {
                let mut finding = finding(*policy, *weight);
                shards[*shard].take(&mut finding);
                merged.take(&mut finding);
                finding.explanation.is_some()
            }).collect();
            proptest::prop_assert_eq!(taken, expected);
        }
    }
}
