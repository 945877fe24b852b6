//! As `go test` prints it, which gator's users know: a line per suite, the failures above it, `PASS` or
//! `FAIL` at the end.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis::Location;

use super::{BAD, DIM};
use crate::verify::{Counts, Failure, MutationResult, Ran, Status, SuiteResult, TestCoverage, VerifyReport};
use crate::{Problem, count, escape};

const GOOD: Style = AnsiColor::Green.on_default();

/// Writes all suites; what passed only if that is wanted.
pub(super) fn write(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let VerifyReport { suites, passed, verbose, coverage, mutation, .. } = report;
    for suite in suites {
        write_suite(suite, *verbose, out)?;
    }
    let counts = Counts::of(suites);
    let mut parts = vec![
        count(counts.suites, "suite", "suites"),
        count(counts.tests, "test", "tests"),
        count(counts.cases, "case", "cases"),
    ];
    if counts.skipped > 0 {
        parts.push(format!("{} skipped", counts.skipped));
    }
    if counts.bad > 0 {
        parts.push(format!("{} failed", counts.bad));
    }
    if let Some(coverage) = coverage {
        write_coverage(coverage, out)?;
    }
    if let Some(mutation) = mutation {
        write_mutation(mutation, out)?;
    }
    writeln!(out, "{DIM}{}{DIM:#}", parts.join(", "))?;
    if *passed { writeln!(out, "{GOOD}PASS{GOOD:#}") } else { writeln!(out, "{BAD}FAIL{BAD:#}") }
}

/// A line for each file, with what was not reached, and one for all of them.
fn write_coverage(coverage: &TestCoverage, out: &mut dyn Write) -> io::Result<()> {
    for file in &coverage.files {
        let missing = match lines(&file.uncovered) {
            text if text.is_empty() => text,
            text => format!("\tnot reached: {text}"),
        };
        writeln!(out, "cover\t{}\t{:.1} %{missing}", escape::line(&file.file), file.percent())?;
        for condition in file.one_sided() {
            let never = if condition.has_held { "false" } else { "true" };
            let (place, text) = (condition.location.to_string(), first_line(&condition.location));
            writeln!(out, "\t{DIM}{}: never {never}: {text}{DIM:#}", escape::line(&place))?;
        }
    }
    let style = if coverage.is_too_little() { BAD } else { DIM };
    writeln!(out, "{style}{}{style:#}", coverage.line())
}

/// A line for each mutant that no case notices, and one for all of them.
fn write_mutation(mutation: &MutationResult, out: &mut dyn Write) -> io::Result<()> {
    for survivor in &mutation.survivors {
        let copies = match survivor.copies {
            0 => String::new(),
            copies => format!(" (also in {})", count(copies, "other test", "other tests")),
        };
        let place = survivor.location.to_string();
        writeln!(
            out,
            "mutant\t{}: {} in `{}`: no case notices{copies}",
            escape::line(&place),
            escape::line(&survivor.what),
            escape::line(&survivor.rule)
        )?;
        if let Some(nearly) = &survivor.nearly {
            writeln!(out, "\t{DIM}{}{DIM:#}", escape::line(nearly))?;
        }
    }
    let style = if mutation.is_too_little() { BAD } else { DIM };
    writeln!(out, "{style}{}{style:#}", mutation.line())
}

/// The beginning of what stands at a place.
fn first_line(location: &Location) -> String {
    const SHOWN: usize = 100;
    let range = location.range();
    let text = location.source().text().get(range.start as usize..range.end as usize).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { " …" } else { "" };
    format!("{}{more}", escape::line(&shown))
}

/// `3, 7-9`.
fn lines(numbers: &[u32]) -> String {
    const SHOWN: usize = 50;
    let follow = |a: &u32, b: &u32| a.saturating_add(1) == *b;
    let runs: Vec<&[u32]> = numbers.chunk_by(follow).collect();
    let run = |run: &&[u32]| match run {
        [first, .., last] => format!("{first}-{last}"),
        [first] => first.to_string(),
        [] => String::new(),
    };
    let shown: Vec<String> = runs.iter().take(SHOWN).map(run).collect();
    let more = runs.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn write_suite(suite: &SuiteResult, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for problem in &suite.problems {
        writeln!(out, "    {}: {}", problem.severity, indented(&problem.to_string(), 8))?;
    }
    for test in &suite.parts {
        write_ran(test, 0, verbose, out, |out| {
            test.parts.iter().try_for_each(|case| {
                write_ran(case, 4, verbose, out, |out| write_prints(&case.name, &case.parts, verbose, out))
            })
        })?;
    }
    let file = escape::line(&suite.name);
    match suite.status {
        status if status.is_bad() => write!(out, "{BAD}FAIL{BAD:#}")?,
        Status::Skipped => write!(out, "skip")?,
        _ => write!(out, "{GOOD}ok{GOOD:#}")?,
    }
    writeln!(out, "\t{file}\t{:.3}s", suite.elapsed.as_secs_f64())
}

/// A test or a case, with what stands in it; only if it is bad, unless everything is wanted.
fn write_ran<Parts>(
    ran: &Ran<Parts>,
    indent: usize,
    verbose: bool,
    out: &mut dyn Write,
    write_parts: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if !verbose && !ran.status.is_bad() {
        return Ok(());
    }
    let name = named(&ran.name);
    if verbose {
        writeln!(out, "{:indent$}=== RUN   {name}", "")?;
        write_warnings(&ran.problems, indent + 4, out)?;
    }
    write_parts(out)?;
    let (style, word) = match ran.status {
        Status::Failed | Status::Broken => (BAD, "FAIL"),
        Status::Passed => (GOOD, "PASS"),
        Status::Skipped => (DIM, "SKIP"),
    };
    let seconds = ran.elapsed.as_secs_f64();
    writeln!(out, "{:indent$}--- {style}{word}{style:#}: {name}\t({seconds:.3}s)", "")?;
    write_failures(&ran.failures, indent + 4, out)
}

fn write_prints(name: &str, prints: &[String], verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    if !verbose || prints.is_empty() {
        return Ok(());
    }
    writeln!(out, "    === PRINT {}", named(name))?;
    prints.iter().try_for_each(|print| writeln!(out, "        {}", indented(print, 8)))
}

fn write_failures(failures: &[Failure], indent: usize, out: &mut dyn Write) -> io::Result<()> {
    for failure in failures {
        let message = indented(&failure.message, indent + 4);
        writeln!(out, "{:indent$}{}: {message}", "", escape::line(&failure.location.to_string()))?;
        for detail in &failure.details {
            writeln!(out, "{:indent$}    {}", "", indented(detail, indent + 6))?;
        }
    }
    Ok(())
}

fn write_warnings(warnings: &[Problem], indent: usize, out: &mut dyn Write) -> io::Result<()> {
    for warning in warnings {
        writeln!(out, "{:indent$}warning: {}", "", indented(&warning.to_string(), indent + 4))?;
    }
    Ok(())
}

fn named(name: &str) -> std::borrow::Cow<'_, str> {
    if name.is_empty() { "(without a name)".into() } else { escape::line(name) }
}

/// A text whose further lines stand below its first.
fn indented(text: &str, indent: usize) -> String {
    let safe = escape::lines(text.trim_end());
    safe.replace('\n', &format!("\n{:indent$}", ""))
}
