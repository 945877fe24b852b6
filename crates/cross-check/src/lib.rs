//! Asks [regorus], an evaluator of Rego that shares no code with ours, what ours was asked, and
//! compares the answers.
//!
//! ```text
//! PolicySet ── Engines::new ──> Engines ── with(Inventory) ──> CrossCheck ── compare(Review, Outcome) ──> Comparison per constraint
//! ```
//!
//! Verdicts are never taken from regorus. It is for people who want a second opinion on their policies, and
//! for finding faults of either evaluator. What is compared is what an evaluation says: messages and details.
//! Matching, actions and positions are ours alone.
//!
//! regorus bounds the time of an evaluation and not its memory: do not cross-check policies that you do not
//! trust.

#![forbid(unsafe_code)]

mod answers;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use portcullis::{
    ConstraintResult, Inventory, PolicySet, RegoVersion, Review, TemplateInfo, TemplateName, World,
};
use portcullis_rego_syntax::builtins::{self, Effects};
use regorus::Engine;
use regorus::utils::limits::ExecutionTimerConfig;

use answers::Answer;

/// What came of asking a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Both say the same.
    Same,
    /// They do not. A fault of one of them.
    Different {
        /// What ours says.
        ours: String,
        /// What regorus says.
        theirs: String,
    },
    /// There was nothing to compare, and why: the same for every evaluation of the template, or of this one.
    NotCompared(String),
}

/// The programs of a policy set, compiled by regorus.
pub struct Engines {
    templates: BTreeMap<TemplateName, Compiled>,
}

/// An engine and the rule to ask for, or why there is none.
type Compiled = Result<(Engine, String), String>;

impl Engines {
    /// Compiles every template of a set that has constraints; what regorus does not take is not compared, and
    /// says so when it is asked.
    ///
    /// `timeout` bounds each of its evaluations.
    #[must_use]
    pub fn new(policies: &PolicySet, timeout: Duration) -> Self {
        let mut templates = BTreeMap::new();
        for constraint in policies.constraints() {
            let template = constraint.template();
            templates.entry(template.name().clone()).or_insert_with(|| compile(template, timeout));
        }
        Self { templates }
    }

    /// Gives every engine the objects that policies may compare with. Cost: a copy of all of them for each
    /// template that reads them.
    #[must_use]
    pub fn with(&self, inventory: &Inventory) -> CrossCheck {
        let data = inventory.to_regorus();
        let ready = |compiled: &Compiled| {
            let (mut engine, rule) = compiled.clone()?;
            guarded(|| {
                engine.add_data(data.clone())?;
                engine.compile_with_entrypoint(&rule.as_str().into()).map(drop)
            })
            .map_err(|error| format!("regorus does not take the policy: {error}"))?;
            Ok((engine, rule))
        };
        CrossCheck {
            templates: self.templates.iter().map(|(name, one)| (name.clone(), ready(one))).collect(),
        }
    }
}

/// Engines with an inventory, ready to be asked by any number of threads.
pub struct CrossCheck {
    templates: BTreeMap<TemplateName, Compiled>,
}

impl CrossCheck {
    /// Asks again what led to a result, which has to be of this set, review and world.
    #[must_use]
    pub fn compare(
        &self,
        policies: &PolicySet,
        review: &Review,
        world: &World<'_>,
        result: &ConstraintResult,
    ) -> Comparison {
        let ours = match Answer::of(result) {
            Ok(ours) => ours,
            Err(why) => return Comparison::NotCompared(why),
        };
        let compiled = match self.templates.get(result.constraint.template().name()) {
            Some(Ok(compiled)) => compiled,
            Some(Err(why)) => return Comparison::NotCompared(why.clone()),
            None => return Comparison::NotCompared("its template is not of this set".to_owned()),
        };
        let Some(input) = policies.regorus_input(result.key(), review, world) else {
            return Comparison::NotCompared("its constraint is not of this set".to_owned());
        };
        let (mut engine, rule) = compiled.clone();
        let theirs = guarded(|| {
            engine.set_input(input);
            engine.eval_rule(rule)
        });
        let theirs = match theirs {
            Ok(value) => Answer::read(&value),
            Err(error) => match missing(&error) {
                Some(name) => return Comparison::NotCompared(format!("regorus has no builtin `{name}`")),
                None => Answer::Error(error),
            },
        };
        if ours.is_same(&theirs) {
            return Comparison::Same;
        }
        Comparison::Different { ours: ours.to_string(), theirs: theirs.to_string() }
    }
}

fn compile(template: &TemplateInfo, timeout: Duration) -> Compiled {
    let Some((version, texts)) = template.rego() else { return Err("it is not Rego".to_owned()) };
    if let Some(name) = asks_outside(&texts) {
        return Err(format!("it may call `{name}`, whose answer is another each time"));
    }
    let mut engine = Engine::new();
    engine.set_rego_v0(version == RegoVersion::V0);
    engine.set_strict_builtin_errors(false);
    engine.set_gather_prints(true);
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: timeout,
        check_interval: NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN),
    });
    let mut package = None;
    for (number, text) in texts.into_iter().enumerate() {
        let name = guarded(|| engine.add_policy(format!("{} {number}", template.name()), text.to_owned()))
            .map_err(|error| format!("regorus does not take the policy: {error}"))?;
        package.get_or_insert(name);
    }
    Ok((engine, format!("{}.violation", package.unwrap_or_default())))
}

/// A builtin that the texts may call and whose answers do not rest on its arguments alone. `trace` has the
/// same answer always.
fn asks_outside(texts: &[&str]) -> Option<&'static str> {
    let asks = builtins::all().filter(|row| row.effects == Effects::Asks && row.name != "trace");
    asks.map(|row| row.name).find(|name| texts.iter().any(|text| text.contains(name)))
}

/// A builtin of OPA that regorus says it does not know: newer ones, for instance. Anything else that it does not find is a difference.
fn missing(error: &str) -> Option<&str> {
    let name = error.strip_prefix("could not find function ")?.trim();
    builtins::is_builtin(name).then_some(name)
}

/// Work of regorus, which may panic; the last line of its errors says what is wrong.
fn guarded<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let text = error.to_string();
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
            Err(last.trim().trim_start_matches("error: ").to_owned())
        }
        Err(_) => Err("it panicked".to_owned()),
    }
}
