//! Results in, text out: one file per form. None of them decides anything.

pub mod escape;
pub mod frame;
pub mod human;
pub mod json;
pub mod verify;

/// `1 object`, `2 objects`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}
