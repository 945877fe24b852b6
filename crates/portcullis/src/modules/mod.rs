//! Files of Rego as policies, by conftest's convention: `deny`, `violation` and `warn` of some packages say what
//! is wrong with a document of any kind.
//!
//! ```text
//! files --analysis--> modules --portcullis_rego::Program::compile, a program a rule--> ModuleSet
//! documents --ModuleInput, each or all together--> review --> a RuleResult for each rule, verdicts as those of constraints
//! ```
//!
//! The modules are one program, as for OPA: what is wrong with one of them is wrong with all, since nobody can
//! say what the others would find without it. Rules are evaluated one by one, so that one that breaks is an
//! error of itself.

mod data;
mod file;
mod found;
mod input;
mod packages;
mod rule;
mod set;
mod testing;

pub use data::ModuleData;
pub use file::RegoFile;
pub use input::ModuleInput;
pub use packages::Packages;
pub use rule::{ModuleRule, ModuleRuleKind};
pub use set::{ModuleSet, RuleResult};
pub use testing::{ModuleTest, ModuleTestResult, ModuleTests, TestVerdict};
