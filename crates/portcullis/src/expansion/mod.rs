//! Expansion: from an object, the objects that controllers will make of it, so that a Deployment is judged by
//! the Pods that it will have.
//!
//! ```text
//! ExpansionTemplate --template.rs--> compiled --store.rs, cycles.rs--> ExpansionSet
//! object --mutating.rs, set.rs--> templates that apply --generate.rs--> Resultant: mutated, and expanded again
//! ```
//!
//! The rules are Gatekeeper's: what is generated has the parent's name and its kind, lives where the parent
//! lives, is mutated, and may itself be expanded, thirty levels deep. What is generated is bounded in number
//! and bytes. An object that cannot be expanded is an [`ExpansionError`], never an object that implies nothing.

mod bounds;
mod cycles;
mod error;
mod generate;
mod mutating;
mod resultant;
mod set;
mod store;
mod template;
mod workloads;

pub use error::ExpansionError;
pub use mutating::{Expansion, Parent};
pub use resultant::Resultant;
pub use set::ExpansionSet;
pub use store::{ExpansionChange, ExpansionStore};

#[cfg(test)]
mod tests;
