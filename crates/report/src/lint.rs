//! Findings about policies, and what the policies are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis::{ComparingCost, Error, InventoryComparison, Location, Severity, TemplateInfo};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::json::write_indented;
use crate::{Region, count, escape, human, problem_line};

/// What `portcullis lint` found.
#[derive(Debug)]
pub struct LintReport<'a> {
    /// By position.
    pub problems: &'a [Error],
    /// The files that hold policies, good ones too.
    pub files: &'a BTreeSet<String>,
    /// Those that can be used.
    pub templates: &'a [&'a TemplateInfo],
    /// How many constraints can be used.
    pub constraints: usize,
    /// Whether everything that was named could be read.
    pub is_complete: bool,
    /// Whether warnings make the run fail.
    pub deny_warnings: bool,
    /// With what the templates are made of.
    pub verbose: bool,
}

impl LintReport<'_> {
    /// Whether a problem makes the run fail.
    pub fn is_bad(&self, problem: &Error) -> bool {
        self.deny_warnings || problem.severity() == Severity::Error
    }

    fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity() == Severity::Error).count()
    }

    fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}

/// Writes the findings with the lines that they are about, and a summary.
pub fn write_human(report: &LintReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    const BAD: Style = AnsiColor::Red.on_default().bold();
    const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
    const GOOD: Style = AnsiColor::Green.on_default().bold();
    human::write_problems(report.problems, out)?;
    if report.verbose {
        for template in report.templates {
            write_template(template, out)?;
        }
    }
    let (errors, warnings) = (report.errors(), report.warnings());
    let style = match (errors, warnings) {
        (0, 0) => GOOD,
        (0, _) => DOUBTFUL,
        _ => BAD,
    };
    let mut found = Vec::new();
    if errors > 0 {
        found.push(count(errors, "error", "errors"));
    }
    if warnings > 0 {
        found.push(count(warnings, "warning", "warnings"));
    }
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let files = count(report.files.len(), "file", "files");
    let templates = count(report.templates.len(), "usable template", "usable templates");
    let constraints = count(report.constraints, "constraint", "constraints");
    writeln!(out, "{style}{found} in {files}; {templates}, {constraints}{style:#}")
}

fn write_template(template: &TemplateInfo, out: &mut dyn Write) -> io::Result<()> {
    const BOLD: Style = Style::new().bold();
    let facts = Template::of(template);
    let place = escape::line(&template.location().to_string()).into_owned();
    writeln!(out, "{BOLD}{}{BOLD:#} ({place})", escape::line(facts.kind))?;
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

#[derive(Serialize)]
struct Content<'a> {
    errors: usize,
    warnings: usize,
    findings: Vec<Finding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    templates: Option<Vec<Template<'a>>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    severity: String,
    rule: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// `Kind/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct Template<'a> {
    kind: &'a str,
    file: String,
    line: u32,
    package: String,
    version: String,
    rules: usize,
    libraries: Vec<String>,
    input: Vec<String>,
    inventory: Vec<String>,
    comparisons: Vec<Comparison>,
    builtins: Vec<String>,
    operations: usize,
    documents: usize,
}

/// How objects of the inventory are compared with.
#[derive(Serialize)]
struct Comparison {
    objects: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// How many of them are looked at.
    cost: &'static str,
    #[serde(skip)]
    sentence: String,
}

impl Comparison {
    fn of(comparison: &InventoryComparison) -> Self {
        let objects = comparison.objects.to_string();
        let line = comparison.location.as_ref().map(Location::line);
        let (cost, what) = match comparison.cost {
            ComparingCost::Index => ("index", format!("looks {objects} up in an index")),
            ComparingCost::Once => ("once", format!("goes through all {objects}, once for all reviews")),
            ComparingCost::All => ("all", format!("goes through all {objects}")),
            ComparingCost::Part => {
                ("part", format!("goes through those {objects} that are where the review says"))
            }
        };
        let sentence = line.map_or_else(|| what.clone(), |line| format!("line {line}: {what}"));
        Self { objects, line, cost, sentence }
    }
}

impl<'a> Template<'a> {
    fn of(template: &'a TemplateInfo) -> Self {
        let explanation = template.explain();
        Self {
            kind: template.kind(),
            file: template.location().file().to_string(),
            line: template.location().line(),
            package: explanation.package().to_owned(),
            version: explanation.version().to_string(),
            rules: explanation.rules(),
            libraries: explanation.libraries().to_vec(),
            input: explanation.input_reads().to_vec(),
            inventory: template.inventory_reads().iter().map(ToString::to_string).collect(),
            comparisons: template.comparisons().iter().map(Comparison::of).collect(),
            builtins: explanation.builtins().to_vec(),
            operations: template.operations(),
            documents: template.documents(),
        }
    }
}

fn content<'a>(report: &LintReport<'a>) -> Content<'a> {
    let finding = |problem: &'a Error| Finding {
        severity: problem.severity().to_string(),
        rule: problem.kind().code(),
        message: problem.message(),
        hint: problem.help(),
        resource: problem.subject(),
        field: problem.path().filter(|path| !path.is_root()).map(ToString::to_string),
        location: problem.location().map(|location| {
            let Region { line, column, end_column } = Region::of(location);
            Place { file: location.file(), line, column, end_column }
        }),
    };
    Content {
        errors: report.errors(),
        warnings: report.warnings(),
        findings: report.problems.iter().map(finding).collect(),
        templates: report
            .verbose
            .then(|| report.templates.iter().map(|template| Template::of(template)).collect()),
    }
}

/// Writes the findings as JSON.
pub fn write_json(report: &LintReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_indented(&content(report), out)
}

/// Writes the same as YAML.
pub fn write_yaml(report: &LintReport<'_>, mut out: &mut dyn Write) -> io::Result<()> {
    serde_saphyr::to_io_writer(&mut out, &content(report)).map_err(io::Error::other)
}

/// Writes JUnit XML: a suite per file, a test case per finding, and one that passed for a file without any. A warning is a case that
/// passed, with the message as its output, unless warnings are denied.
pub fn write_junit(report: &LintReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<&str, Vec<TestCase>> =
        report.files.iter().map(|file| (file.as_str(), Vec::new())).collect();
    for problem in report.problems {
        let file = problem.location().map_or("input", |location| &**location.file());
        suites.entry(file).or_default().push(test_case(report, problem));
    }
    let mut junit = Report::new("portcullis lint");
    for (file, mut cases) in suites {
        if cases.is_empty() {
            cases.push(TestCase::new("nothing found", TestCaseStatus::success()));
        }
        let mut suite = TestSuite::new(file);
        suite.add_test_cases(cases.into_iter().map(|mut case| {
            case.set_classname(file);
            case
        }));
        junit.add_test_suite(suite);
    }
    crate::junit::serialize(&junit, out)
}

fn test_case(report: &LintReport<'_>, problem: &Error) -> TestCase {
    let code = problem.kind().code();
    let name = match problem.location().filter(|location| !location.source().text().is_empty()) {
        Some(location) => format!("{code} at {}:{}", location.line(), location.column()),
        None => code.to_owned(),
    };
    if report.is_bad(problem) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(code).set_message(problem.message()).set_description(problem_line(problem));
        return TestCase::new(name, status);
    }
    let mut case = TestCase::new(name, TestCaseStatus::success());
    case.set_system_out(format!("{}: {}", problem.severity(), problem_line(problem)));
    case
}
