//! Texts of metrics, as a scraper reads them.

use std::collections::BTreeSet;

/// The names of samples that a text of metrics announces.
pub fn announced(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let parts: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["_sum", "_count"],
            _ => &[""],
        };
        names.extend(parts.iter().map(|part| format!("{name}{part}")));
    }
    names
}
