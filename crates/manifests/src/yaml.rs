//! Documents as YAML, as kubectl reads it.

use std::io;

use serde_json::Value;

/// A stream of documents.
///
/// # Errors
///
/// If a value has no form in YAML; JSON always has one.
pub fn to_yaml<'a>(documents: impl IntoIterator<Item = &'a Value>) -> io::Result<String> {
    let mut all = String::new();
    for (number, document) in documents.into_iter().enumerate() {
        if number > 0 {
            all.push_str("---\n");
        }
        let mut text = String::new();
        serde_saphyr::to_fmt_writer(&mut text, document).map_err(io::Error::other)?;
        all.push_str(text.trim_end());
        all.push('\n');
    }
    Ok(all)
}
