//! `test --trace` and `--stats`: how policies came to their verdicts, and what that cost.
//!
//! A trace is an account of each evaluation: with which parameters, in how many steps, what was printed, found or broke. It is
//! bounded, each and all together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portcullis::{ConstraintResult, Engine, Verdict, Violation};
use portcullis_report::bench::{ConstraintCost, StatsEntry, stats};
use portcullis_report::{Origin, Policy, clip};

/// Most bytes of one trace.
const TRACE_BYTES: usize = 8 << 10;

/// Most bytes of all.
const ALL_BYTES: usize = 32 << 20;

/// Most bytes of a value or a message in one.
const PART_BYTES: usize = 1 << 10;

/// What one constraint or rule did with an object: its index, how it came to its verdict, and what that cost.
#[derive(Clone, Debug)]
pub struct Done {
    pub policy: usize,
    /// Empty unless traces are asked for.
    pub trace: String,
    pub steps: u64,
    pub took_ns: u64,
    pub violations: u64,
}

impl Done {
    /// Of the result of a constraint.
    pub fn of(policy: usize, result: &ConstraintResult, traces: bool) -> Self {
        let parameters = || {
            let object = result.constraint.object().to_json();
            object.pointer("/spec/parameters").cloned().unwrap_or_else(|| serde_json::json!({}))
        };
        let steps = result.steps.unwrap_or(0);
        let mut done = Self::new(policy, &result.verdict, steps);
        done.took_ns = result.took_ns.unwrap_or_default();
        if traces {
            let implied = result.implied_by.as_ref().map(|by| format!("implied by {}", by.template()));
            let begin = implied.into_iter().chain([format!("parameters: {}", parameters())]);
            done.trace = account(begin, &result.prints, &result.verdict, steps);
        }
        done
    }

    /// Of anything that has a verdict.
    pub fn new(policy: usize, verdict: &Verdict, steps: u64) -> Self {
        let violations = match verdict {
            Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => violations.len() as u64,
            Verdict::Pass | Verdict::Error(_) => 0,
        };
        Self { policy, trace: String::new(), steps, took_ns: 0, violations }
    }
}

/// The lines of a trace.
pub fn account(
    begin: impl IntoIterator<Item = String>,
    prints: &[String],
    verdict: &Verdict,
    steps: u64,
) -> String {
    let mut lines = Lines::default();
    for line in begin {
        lines.add(&line);
    }
    for print in prints {
        lines.add(&format!("printed: {print}"));
    }
    let violation = |one: &Violation| {
        let details = one.details_json(PART_BYTES).unwrap_or_else(|| "…".to_owned());
        format!("violation: {}; details: {details}", clip::text(&one.message, PART_BYTES))
    };
    match verdict {
        Verdict::Pass => lines.add("no violation"),
        Verdict::Violations(violations) => {
            for one in violations {
                lines.add(&violation(one));
            }
        }
        Verdict::Excepted { violations, .. } => {
            for one in violations {
                lines.add(&violation(one));
            }
            lines.add("excepted");
        }
        Verdict::Error(error) => lines.add(&format!("could not be evaluated: {error}")),
    }
    lines.add(&format!("{steps} steps"));
    lines.text
}

#[derive(Default)]
struct Lines {
    text: String,
    is_full: bool,
}

impl Lines {
    fn add(&mut self, line: &str) {
        if self.is_full {
            return;
        }
        let line = clip::text(line, PART_BYTES).replace(['\n', '\r'], " ");
        if self.text.len() + line.len() > TRACE_BYTES {
            self.is_full = true;
            self.text.push_str("… and more\n");
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// Leaves of what was done with an object the traces for which there is room: an equal part for each object, so that it does
/// not depend on who comes first.
pub fn fit(done: &mut [Done], objects: usize) {
    let mut left = ALL_BYTES / objects.max(1);
    for one in done {
        match left.checked_sub(one.trace.len()) {
            Some(rest) => left = rest,
            None => LEFT_OUT.clone_into(&mut one.trace),
        }
    }
}

/// A trace that is not there.
const LEFT_OUT: &str = "left out: there are too many traces\n";

/// Traces by object and policy. Of what an object implies, each is behind the other.
pub fn traces(objects: impl IntoIterator<Item = (u64, Vec<Done>)>) -> BTreeMap<(u64, usize), String> {
    let mut traces: BTreeMap<(u64, usize), String> = BTreeMap::new();
    for (ordinal, done) in objects {
        for one in done {
            traces.entry((ordinal, one.policy)).or_default().push_str(&one.trace);
        }
    }
    traces
}

/// What each template cost, in gator's form.
pub fn costs<'a>(policies: &[Policy], done: impl IntoIterator<Item = &'a Done>) -> Vec<StatsEntry> {
    let mut costs: Vec<ConstraintCost> =
        policies.iter().map(|policy| ConstraintCost::none(&policy.key.kind, &policy.key.name)).collect();
    for one in done {
        let Some(cost) = costs.get_mut(one.policy) else { continue };
        cost.reviews += 1;
        cost.steps += one.steps;
        cost.duration.0 += one.took_ns;
        cost.violations += one.violations;
    }
    // Rules of files of Rego have no template.
    let is_constraint = |policy: &Policy| matches!(policy.origin, Origin::Constraint(..));
    let mut of = policies.iter().map(is_constraint);
    costs.retain(|_| of.next().unwrap_or_default());
    let engine_of = |kind: &str| {
        let of_kind = policies.iter().filter(|policy| *policy.key.kind == *kind);
        let mut engines = of_kind.filter_map(|policy| match &policy.origin {
            Origin::Constraint(_, engine) => Some(*engine),
            Origin::Rule(_) => None,
        });
        engines.next().unwrap_or(Engine::Rego)
    };
    stats(&costs, engine_of)
}
