//! The JSON report as YAML. gator's YAML has other names than its JSON; ours has the same.
//!
//! Texts that other YAML readers would take for something else (`yes`, `0644`) are quoted.

use std::io::{self, Write};

use crate::{TestReport, json};

/// Writes all findings.
pub fn write(report: &TestReport, mut out: &mut dyn Write) -> io::Result<()> {
    let items = json::items(report);
    if items.is_empty() {
        return writeln!(out, "[]");
    }
    serde_saphyr::to_io_writer(&mut out, &items).map_err(io::Error::other)
}
