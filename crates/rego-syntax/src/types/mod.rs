//! What can be said of a program from the types of its values alone: calls with arguments that do not fit,
//! equations of values that are never equal, references that lead nowhere. OPA refuses such programs, and so
//! does this.
//!
//! ```text
//! modules --normal--> rules in a simple form --graph--> in order of need --check--> types of rules, findings
//!                                                                         |-- env: what is known of variables and documents
//!                                                                         \-- lattice, operations: types, and questions to them
//! ```
//!
//! It is OPA's algorithm with its order of things, because which type a variable has depends on what meets it
//! first. `input` and what is below `data` without a rule may be anything.
//!
//! All work is charged (`operations.rs`), and types that grow too heavy are anything (`lattice.rs`).

mod calls;
mod check;
mod declared;
mod env;
mod graph;
mod lattice;
mod messages;
mod normal;
mod operations;
mod refs;
mod show;
mod unify;

use crate::ast::{Module, Rule, RuleKind};
use crate::diagnostic::Diagnostic;
use crate::resolve::Names;

use check::Checker;
use lattice::Key;
use normal::{Arities, Unit, Variables};
use operations::Work;

/// What came of checking a program.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What is wrong, each with the position of its module, in text order.
    pub findings: Vec<(usize, Diagnostic)>,
    /// Whether the whole program was looked at. If not, it takes more work than this spends on any.
    pub is_complete: bool,
}

/// Checks the modules of one program together. Only for those without other findings: what a name means that
/// nothing binds is not known.
pub fn check(modules: &[(&Module, &Names)]) -> Checked {
    let units: Vec<Unit<'_>> = modules.iter().map(|(module, names)| Unit { module, names }).collect();
    let work = Work::new();
    let arities = arities(modules.iter().map(|(module, _)| *module));
    let mut vars = Variables::default();
    let rules = normal::rules(&units, &mut vars, &arities, &work);
    let mut checker = Checker::new(&vars, &arities, &work);
    let mut findings = Vec::new();
    for rule in &rules {
        findings.extend(checker.calls_of(rule).into_iter().map(|finding| (rule.module, finding)));
    }
    if findings.is_empty() {
        for number in graph::sorted(&rules, &work) {
            let Some(rule) = rules.get(number) else { continue };
            findings.extend(checker.rule(rule).into_iter().map(|finding| (rule.module, finding)));
        }
    }
    findings
        .sort_by(|(module, a), (other, b)| (module, a.span, &a.message).cmp(&(other, b.span, &b.message)));
    findings.dedup();
    Checked { findings, is_complete: !work.is_over() }
}

/// How many arguments each function takes, by its path below `data`; none for other rules.
fn arities<'m>(modules: impl Iterator<Item = &'m Module>) -> Arities {
    let mut arities = Arities::new();
    for module in modules {
        let package: Vec<Key> = module.package_path().into_iter().map(Key::string).collect();
        for rule in &module.rules {
            let arity = rule.head.params.as_ref().map_or(0, Vec::len);
            arities.entry(path(&package, rule)).or_insert(arity);
        }
    }
    arities
}

/// The constant beginning of a rule's path.
fn path(package: &[Key], rule: &Rule) -> Vec<Key> {
    let mut path = package.to_vec();
    path.push(Key::string(rule.name()));
    if rule.kind() != RuleKind::Function {
        path.extend(rule.head.path.iter().map_while(|step| step.as_str().map(Key::string)));
    }
    path
}
