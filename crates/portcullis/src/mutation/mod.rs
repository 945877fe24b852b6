//! Mutation: an object in, the object as mutators leave it out, with who changed what.
//!
//! ```text
//! Resource::Mutator --compiled.rs--> compiled --store.rs--> MutatorSet --index.rs--> candidates of an object
//!                     location.rs                conflicts.rs                           |
//!                     path_tests.rs, image.rs                                  run.rs: passes until nothing changes
//!                                                                                       |  walk.rs: one mutator
//!                                                                            Mutation { object, changes }
//! ```
//!
//! Mutators are applied in the order of kind and name, all of them, again and again until a pass changes
//! nothing. What providers of external data are to say is asked when that is done, once for all of it (`placeholders.rs`), and given
//! with [`MutatorSet::mutate_answered`]. What cannot be mutated is an error, and its object stays what it was. All work is counted
//! ([`MutationLimits`]): steps, and bytes of what is made.
//!
//! Numbers that mutators assign are floats while they are applied, as in Gatekeeper, where `[port: 80]` finds
//! no element that was assigned with the port 80. In what comes out they are numbers like all others.

mod compiled;
mod conflicts;
mod image;
mod index;
mod location;
mod outcome;
mod patch;
mod path_tests;
mod placeholders;
mod run;
mod store;
mod walk;
mod witness;

pub use compiled::MutatorInfo;
pub use outcome::{Change as MutationChange, Mutation, MutationError, MutationFailure, MutationLimits};
pub use patch::PatchOperation;
pub use run::Mutable;
pub use store::{MutatorSet, MutatorStore};
pub(crate) use witness::Witness;
