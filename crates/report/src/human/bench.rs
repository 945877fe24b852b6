//! `portcullis bench` as tables: gator's, then what every policy cost, the dearest first.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::HEAD;
use crate::bench::{BenchReport, Compared, ConstraintCost, Span};
use crate::escape;

/// So many constraints are shown; the JSON has all.
const SHOWN: usize = 20;

pub(super) fn write(report: &BenchReport, out: &mut dyn Write) -> io::Result<()> {
    let title = |text: &str, out: &mut dyn Write| writeln!(out, "{HEAD}{text}{HEAD:#}");
    title(&format!("=== Benchmark Results: {} Engine ===", report.engine.to_uppercase()), out)?;
    let reviews = report.iterations.saturating_mul(report.object_count as u64);
    let mut rows = vec![
        ("Templates", report.template_count.to_string()),
        ("Constraints", report.constraint_count.to_string()),
        ("Objects", report.object_count.to_string()),
        ("Iterations", report.iterations.to_string()),
        ("Concurrency", report.concurrency.to_string()),
        ("Total Reviews", reviews.to_string()),
    ];
    section("Configuration", &rows, out)?;
    let skipped = [
        ("Skipped Templates", &report.skipped_templates),
        ("Skipped Constraints", &report.skipped_constraints),
    ];
    let skipped = skipped.into_iter().filter(|(_, names)| !names.is_empty());
    rows = skipped
        .map(|(what, names)| (what, format!("{} ({})", names.len(), escape::line(&names.join(", ")))))
        .collect();
    if !rows.is_empty() {
        section("Warnings", &rows, out)?;
    }
    let setup = &report.setup_breakdown;
    rows = vec![
        ("Setup Duration", report.setup_duration.to_string()),
        ("  Template Compilation", setup.template_compilation.to_string()),
        ("  Constraint Loading", setup.constraint_loading.to_string()),
        ("  Data Loading", setup.data_loading.to_string()),
        ("Total Duration", report.total_duration.to_string()),
        ("Throughput", format!("{:.2} reviews/sec", report.reviews_per_second)),
    ];
    section("Timing", &rows, out)?;
    let latencies = &report.latencies;
    rows = [
        ("Min", latencies.min),
        ("Max", latencies.max),
        ("Mean", latencies.mean),
        ("P50", latencies.p50),
        ("P95", latencies.p95),
        ("P99", latencies.p99),
    ]
    .map(|(name, span)| (name, span.to_string()))
    .to_vec();
    section("Latency (per review)", &rows, out)?;
    rows = vec![("Violations Found", report.violation_count.to_string())];
    rows.extend(report.steps.map(|steps| ("Steps (one iteration)", steps.to_string())));
    section("Results", &rows, out)?;
    if let Some(memory) = report.memory_stats {
        rows = vec![
            ("Allocs/Review", memory.allocs_per_review.to_string()),
            ("Bytes/Review", memory.bytes_per_review.to_string()),
            ("Total Allocs", memory.total_allocs.to_string()),
            ("Total Bytes", memory.total_bytes.to_string()),
        ];
        section("Memory", &rows, out)?;
    }
    constraints(&report.constraints, out)
}

fn section(title: &str, rows: &[(&str, String)], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEAD}{title}:{HEAD:#}")?;
    rows.iter().try_for_each(|(name, value)| writeln!(out, "  {:24} {value}", format!("{name}:")))
}

fn constraints(all: &[ConstraintCost], out: &mut dyn Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let time: u64 = all.iter().map(|one| one.duration.0).sum();
    let counted = all.iter().any(|one| one.allocs.is_some());
    let mut dearest: Vec<_> = all.iter().collect();
    dearest.sort_by_key(|one| (Reverse(one.duration), &one.kind, &one.name));
    let heading = "Constraints (one iteration, the dearest first):";
    writeln!(out, "\n{HEAD}{heading}{HEAD:#}")?;
    write!(out, "  {:>6} {:>10} {:>12} {:>8} {:>10}", "Share", "Time", "Steps", "Reviews", "Violations")?;
    if counted {
        write!(out, " {:>10}", "Allocs")?;
    }
    writeln!(out, "  Constraint")?;
    for one in dearest.iter().take(SHOWN) {
        let share = one.duration.0.saturating_mul(1000).checked_div(time).unwrap_or_default();
        let share = format!("{}.{}%", share / 10, share % 10);
        let span = one.duration.to_string();
        write!(out, "  {share:>6} {span:>10} {:>12} {:>8} {:>10}", one.steps, one.reviews, one.violations)?;
        if counted {
            write!(out, " {:>10}", one.allocs.map(|allocs| allocs.to_string()).unwrap_or_default())?;
        }
        writeln!(out, "  {}/{}", escape::line(&one.kind), escape::line(&one.name))?;
    }
    match dearest.get(SHOWN..) {
        Some(rest @ [_, ..]) => {
            let rest_time = Span(rest.iter().map(|one| one.duration.0).sum());
            writeln!(out, "  and {} more, {rest_time} together; `-o json` has all", rest.len())
        }
        _ => Ok(()),
    }
}

/// What two runs have in common, and whether that is within the thresholds.
pub fn write_comparison(compared: &[Compared], percent: f64, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEAD}=== Baseline Comparison ==={HEAD:#}\n")?;
    let width = compared.iter().map(|one| one.name.chars().count()).max().unwrap_or_default().clamp(12, 80);
    writeln!(out, "  {:width$} {:>14} {:>14} {:>9}", "Metric", "Baseline", "Current", "Delta")?;
    for one in compared {
        let (old, new) = one.shown();
        let delta = format!("{:+.1}%", one.delta);
        let status = if one.passed { "" } else { "  REGRESSION" };
        writeln!(out, "  {:width$} {old:>14} {new:>14} {delta:>9}{status}", escape::line(&one.name))?;
    }
    let bad = compared.iter().filter(|one| !one.passed).count();
    match bad {
        0 => writeln!(out, "\nno regression (threshold: {percent}%)"),
        bad => writeln!(out, "\n{bad} of {} measures regressed (threshold: {percent}%)", compared.len()),
    }
}
