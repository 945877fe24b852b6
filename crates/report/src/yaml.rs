//! The JSON reports as YAML. gator's YAML has other names than its JSON; ours has the same.
//!
//! Texts that other YAML readers would take for something else (`yes`, `0644`) are quoted.

use std::io::{self, Write};

use serde::Serialize;

use crate::bench::BenchReport;
use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::{TestReport, json};

pub(crate) const FORM: Spec = Spec {
    test: Some(Writer { about: "the same in YAML", write: write_test }),
    lint: Some(Writer { about: "the same in YAML", write: write_lint }),
    bench: Some(Writer { about: "the same in YAML", write: write_bench }),
    audit: Some(Writer { about: "the same in YAML", write: json::write_audit_yaml }),
    ..Spec::new("yaml")
};

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let items = json::test_items(report);
    if let Some(stats) = &report.stats {
        return write(&json::WithStats { results: items, stats }, out);
    }
    if items.is_empty() { writeln!(out, "[]") } else { write(&items, out) }
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write(&json::lint_content(report), out)
}

fn write_bench(report: &BenchReport, out: &mut dyn Write) -> io::Result<()> {
    write(&json::bench_content(report)?, out)
}

/// Writes a document.
pub(crate) fn write(value: &impl Serialize, mut out: &mut dyn Write) -> io::Result<()> {
    serde_saphyr::to_io_writer(&mut out, value).map_err(io::Error::other)
}
