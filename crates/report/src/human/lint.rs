//! Findings about policies, and what the policies are made of.

use std::io::{self, Write};

use portcullis::TemplateInfo;

use super::{BAD, DOUBTFUL, GOOD, HEAD};
use crate::explained::Template;
use crate::lint::LintReport;
use crate::{count, escape};

/// Writes the findings with the lines that they are about, and a summary.
pub(super) fn write(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    super::write_problems(&report.problems, out)?;
    if report.verbose {
        for template in report.policies.templates() {
            write_template(template, out)?;
        }
    }
    write_summary(report, out)
}

pub(crate) fn write_summary(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    let style = match (report.errors(), report.warnings()) {
        (0, 0) => GOOD,
        (0, _) => DOUBTFUL,
        _ => BAD,
    };
    writeln!(out, "{style}{}{style:#}", summary(report))
}

/// `2 errors, 1 warning in 3 files; 4 usable templates, 2 constraints`.
pub(crate) fn summary(report: &LintReport) -> String {
    let (errors, warnings) = (report.errors(), report.warnings());
    let mut found = Vec::new();
    if errors > 0 {
        found.push(count(errors, "error", "errors"));
    }
    if warnings > 0 {
        found.push(count(warnings, "warning", "warnings"));
    }
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let files = count(report.files.len(), "file", "files");
    let templates = count(report.policies.templates().count(), "usable template", "usable templates");
    let constraints = count(report.policies.constraints().count(), "constraint", "constraints");
    format!("{found} in {files}; {templates}, {constraints}")
}

fn write_template(template: &TemplateInfo, out: &mut dyn Write) -> io::Result<()> {
    let facts = Template::of(template);
    let place = escape::line(&template.location().to_string()).into_owned();
    writeln!(out, "{HEAD}{}{HEAD:#} ({place})", escape::line(facts.kind))?;
    let rules = count(facts.rules, "rule", "rules");
    let package = format!("{}, Rego {}, {rules}", facts.package, facts.version);
    write_row("package", &[package], out)?;
    write_row("libraries", &facts.libraries, out)?;
    write_row("input", &facts.input, out)?;
    write_row("inventory", &facts.inventory, out)?;
    let comparisons: Vec<String> =
        facts.comparisons.iter().map(|comparison| comparison.sentence.clone()).collect();
    write_row("compares", &comparisons, out)?;
    write_row("builtins", &[facts.builtins.join(", ")], out)?;
    let evaluated = format!(
        "as a normal form of {}, {}",
        count(facts.operations, "operation", "operations"),
        count(facts.documents, "document or function", "documents and functions"),
    );
    write_row("evaluated", &[evaluated], out)?;
    writeln!(out)
}

/// A name and its lines; nothing if there are none.
fn write_row(name: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    let lines = lines.iter().filter(|line| !line.is_empty());
    for (number, line) in lines.enumerate() {
        let name = if number == 0 { name } else { "" };
        writeln!(out, "  {name:<10} {}", escape::line(line))?;
    }
    Ok(())
}
