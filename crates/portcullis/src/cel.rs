//! CEL for who does not evaluate it: the crate of the language, or in a build without the feature `cel` what stands for it.
//! Whatever has an expression is refused then where it is loaded, so that nothing of the latter decides anything.
//!
//! Expressions are compiled and evaluated in two places, each with a file beside it that refuses all of them:
//! `program/cel/` and `program/without_cel.rs`, `schema/rules.rs` and `schema/without_rules.rs`. Nothing else asks which
//! build it is.

#[cfg(feature = "cel")]
pub(crate) use portcullis_cel::{Program, changes, is_reserved};
#[cfg(not(feature = "cel"))]
pub(crate) use without::{LEFT_OUT, Program, WHAT_TO_DO, changes, is_reserved};

/// Whether this build has it.
pub(crate) const IS_BUILT: bool = cfg!(feature = "cel");

#[cfg(not(feature = "cel"))]
mod without {
    use std::ops::Range;

    /// What is said of all that needs it.
    pub(crate) const LEFT_OUT: &str = "this build cannot evaluate CEL: it was made without the feature `cel`";
    /// What to do about it.
    pub(crate) const WHAT_TO_DO: &str =
        "build with the feature `cel`, which is one of the defaults, or say it in Rego";

    /// There is none.
    #[derive(Clone, Debug)]
    pub(crate) enum Program {}

    /// A change of an expression.
    pub(crate) struct Change {
        pub(crate) range: Range<usize>,
        pub(crate) by: String,
        pub(crate) is_constant: bool,
    }

    /// Of an expression that is not read no change is known.
    pub(crate) fn changes(_text: &str) -> Vec<Change> {
        Vec::new()
    }

    /// No word is kept for a language that there is not.
    pub(crate) fn is_reserved(_word: &str) -> bool {
        false
    }
}
