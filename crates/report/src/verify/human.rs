//! As `go test` prints it, which gator's users know: a line per suite, the failures above it, `PASS` or `FAIL` at the end.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use portcullis::Error;

use super::{CaseResult, Counts, Failure, Status, SuiteResult, TestResult};
use crate::{count, escape, problem_line};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Writes all suites. With `verbose`, also what passed. `passed` is about the run as a whole.
pub fn write(suites: &[SuiteResult], passed: bool, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for suite in suites {
        write_suite(suite, verbose, out)?;
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
    writeln!(out, "{DIM}{}{DIM:#}", parts.join(", "))?;
    if passed { writeln!(out, "{GOOD}PASS{GOOD:#}") } else { writeln!(out, "{BAD}FAIL{BAD:#}") }
}

fn write_suite(suite: &SuiteResult, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for problem in &suite.problems {
        writeln!(out, "    {}: {}", problem.severity(), indented(&problem_line(problem), 8))?;
    }
    for test in &suite.tests {
        write_test(test, verbose, out)?;
    }
    let file = escape::line(&suite.file);
    match suite.status {
        status if status.is_bad() => write!(out, "{BAD}FAIL{BAD:#}")?,
        Status::Skipped => write!(out, "skip")?,
        _ => write!(out, "{GOOD}ok{GOOD:#}")?,
    }
    writeln!(out, "\t{file}\t{:.3}s", suite.elapsed.as_secs_f64())
}

fn write_test(test: &TestResult, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    if !verbose && !test.status.is_bad() {
        return Ok(());
    }
    let name = named(&test.name);
    if verbose {
        writeln!(out, "=== RUN   {name}")?;
        write_warnings(&test.warnings, 4, out)?;
    }
    for case in &test.cases {
        write_case(case, verbose, out)?;
    }
    write_result("", &name, test.status, test.elapsed, out)?;
    write_failures(&test.failures, 4, out)
}

fn write_case(case: &CaseResult, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    if !verbose && !case.status.is_bad() {
        return Ok(());
    }
    let name = named(&case.name);
    if verbose {
        writeln!(out, "    === RUN   {name}")?;
        write_warnings(&case.warnings, 8, out)?;
        if !case.prints.is_empty() {
            writeln!(out, "    === PRINT {name}")?;
            for print in &case.prints {
                writeln!(out, "        {}", indented(print, 8))?;
            }
        }
    }
    write_result("    ", &name, case.status, case.elapsed, out)?;
    write_failures(&case.failures, 8, out)
}

fn write_result(
    indent: &str,
    name: &str,
    status: Status,
    elapsed: Duration,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (style, word) = match status {
        Status::Failed | Status::Broken => (BAD, "FAIL"),
        Status::Passed => (GOOD, "PASS"),
        Status::Skipped => (DIM, "SKIP"),
    };
    writeln!(out, "{indent}--- {style}{word}{style:#}: {name}\t({:.3}s)", elapsed.as_secs_f64())
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

fn write_warnings(warnings: &[Error], indent: usize, out: &mut dyn Write) -> io::Result<()> {
    for warning in warnings {
        writeln!(out, "{:indent$}warning: {}", "", indented(&problem_line(warning), indent + 4))?;
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
