//! What the system says.

use std::io;

/// What the system says of an error, in small letters and without its number for it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
