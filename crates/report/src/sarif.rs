//! SARIF 2.1.0, the exchange form of code scanners: GitHub code scanning, Azure DevOps, editors.
//!
//! Rules are templates, results are findings. What is wrong with the input is a notification of the run, and, where it has a
//! position, a result as well, because most viewers show no notifications. Fingerprints are made of what a finding is
//! about, not of where it stands, so that moving lines makes no new alert.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::{EnforcementAction, Error, ErrorKind, Location, Severity};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::audit::{self, AuditReport, Completion, Policy};
use crate::json::write_indented;
use crate::lint::LintReport;
use crate::{Finding, Region, Reviewed, TestReport, in_checkout};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Version 1 of how fingerprints are made; a change of it needs a new number.
const FINGERPRINT: &str = "portcullis/v1";

#[derive(Serialize)]
struct Log<'a, R> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a, R>; 1],
}

/// `results` is a list of [`ResultItem`]s, or something that is written as one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a, R> {
    tool: Tool<'a>,
    invocations: [Invocation<'a>; 1],
    column_kind: &'static str,
    results: R,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: String,
    name: String,
    short_description: Message<'a>,
    full_description: Message<'a>,
    help: Message<'a>,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Message<'a>,
    descriptor: Descriptor,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Place>,
}

#[derive(Serialize)]
struct Descriptor {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultItem<'a> {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Message<'a>,
    locations: Vec<Place>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Properties<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    constraint: &'a str,
    enforcement_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    details: &'a serde_json::Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<RegionItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionItem {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
    kind: &'static str,
}

/// Writes what is wrong with the input and all findings.
pub fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::default();
    for constraint in report.kinds() {
        let template = constraint.template();
        rules.add(template.kind(), template.title(), template.description());
    }
    let mut fingerprints = Fingerprints::default();
    let mut results: Vec<_> = report
        .findings()
        .map(|(reviewed, finding)| finding_result(reviewed, finding, &mut rules, &mut fingerprints))
        .collect();
    for problem in &report.problems {
        if let Some(location) = problem.location() {
            let id = problem_id(problem.kind());
            let rule = rules.add(&id, None, Some("A document that cannot be used, or not as it was meant."));
            results.push(problem_result(problem, location, id, rule, &mut fingerprints));
        }
    }
    let invocation = Invocation {
        execution_successful: !report.problems.iter().any(|problem| problem.severity() == Severity::Error),
        tool_execution_notifications: report.problems.iter().map(notification).collect(),
    };
    write_run(rules, invocation, results, out)
}

/// Writes findings about policies. Rules are the kinds of findings; what has no place in a file is a notification.
pub fn write_lint(report: &LintReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::default();
    let mut fingerprints = Fingerprints::default();
    let mut results = Vec::new();
    for problem in report.problems {
        if let Some(location) = problem.location() {
            let id = problem.kind().code();
            let rule = rules.add(id, None, Some(problem.kind().description()));
            results.push(problem_result(problem, location, id.to_owned(), rule, &mut fingerprints));
        }
    }
    let unplaced = report.problems.iter().filter(|problem| problem.location().is_none());
    let invocation = Invocation {
        execution_successful: report.is_complete,
        tool_execution_notifications: unplaced.map(notification).collect(),
    };
    write_run(rules, invocation, results, out)
}

fn write_run<'a>(
    rules: Rules<'a>,
    invocation: Invocation<'a>,
    results: impl Serialize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let driver =
        Driver { name: "Portcullis", semantic_version: env!("CARGO_PKG_VERSION"), rules: rules.list };
    let run =
        Run { tool: Tool { driver }, invocations: [invocation], column_kind: "unicodeCodePoints", results };
    write_indented(&Log { schema: SCHEMA, version: "2.1.0", runs: [run] }, out)
}

/// Writes an audit. Rules are templates; findings are written one by one, however many there are.
pub fn write_audit(report: &AuditReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::default();
    for policy in &report.policies {
        rules.add(&policy.key.kind, policy.title.as_deref(), policy.description.as_deref());
    }
    let notifications: Vec<_> = report.problems.listed().map(audit_notification).collect();
    let (errors, warnings) = report.problems.unlisted();
    let unlisted = [("error", errors), ("warning", warnings)].into_iter().filter(|(_, more)| *more > 0);
    let unlisted = unlisted.map(|(level, more)| {
        unplaced(level, "input-more", format!("{more} more of this level are not listed here"))
    });
    let reason = match &report.completion {
        Completion::Unfinished { reason } => {
            Some(unplaced("error", "unfinished", format!("the audit is unfinished: {reason}")))
        }
        Completion::Complete | Completion::Partial => report
            .unjudged()
            .map(|why| unplaced("error", "unjudged", format!("nothing was judged: {why}; {}", why.help()))),
    };
    let invocation = Invocation {
        execution_successful: report.completion == Completion::Complete && report.unjudged().is_none(),
        tool_execution_notifications: reason.into_iter().chain(notifications).chain(unlisted).collect(),
    };
    let indices = report.policies.iter().map(|policy| rules.add(&policy.key.kind, None, None)).collect();
    let failed = RefCell::new(None);
    let results = AuditResults { report, indices, failed: &failed };
    let written = write_run(rules, invocation, results, out);
    match failed.take() {
        Some(error) => Err(error),
        None => written,
    }
}

struct AuditResults<'a> {
    report: &'a AuditReport<'a>,
    /// The rule of each policy.
    indices: Vec<usize>,
    /// Serializers have errors of their own.
    failed: &'a RefCell<Option<io::Error>>,
}

impl Serialize for AuditResults<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fail = |error: io::Error| {
            let text = error.to_string();
            self.failed.replace(Some(error));
            S::Error::custom(text)
        };
        let mut fingerprints = Fingerprints::default();
        let mut list = serializer.serialize_seq(None)?;
        for finding in self.report.findings.read().map_err(fail)? {
            let finding = finding.map_err(fail)?;
            let policy = self.report.policies.get(finding.policy).zip(self.indices.get(finding.policy));
            if let Some((policy, rule)) = policy {
                list.serialize_element(&audit_result(&finding, policy, *rule, &mut fingerprints))?;
            }
        }
        list.end()
    }
}

fn audit_result<'a>(
    finding: &'a audit::Finding,
    policy: &'a Policy,
    rule_index: usize,
    fingerprints: &mut Fingerprints,
) -> ResultItem<'a> {
    let key = &policy.key;
    let object = finding.object.to_string();
    let unknown = match finding.verdict {
        audit::Verdict::Unknown => "could not be evaluated: ",
        audit::Verdict::Violation => "",
    };
    let logical = match &*finding.field {
        "" => object.clone(),
        field => format!("{object}: {field}"),
    };
    let gvk = format!("{}/{}", finding.object.group, finding.object.version);
    let file = match &finding.place {
        audit::Place::File { file, .. } => in_checkout(file),
        audit::Place::Cluster => "",
    };
    ResultItem {
        rule_id: key.kind.to_string(),
        rule_index,
        level: match finding.action().0 {
            EnforcementAction::Deny => "error",
            EnforcementAction::Warn => "warning",
            EnforcementAction::Dryrun => "note",
        },
        message: Message { text: format!("{object}: {unknown}{} [{}]", finding.message, key.name).into() },
        partial_fingerprints: fingerprints.of(&[
            file,
            &key.kind,
            &key.name,
            &gvk,
            &object,
            &finding.field,
            &finding.message,
        ]),
        locations: vec![Place {
            physical_location: audit_place(&finding.place),
            logical_locations: vec![Logical { fully_qualified_name: logical, kind: "object" }],
        }],
        properties: Some(Properties {
            constraint: &key.name,
            enforcement_action: policy.declared,
            precision: None,
            details: &finding.details,
        }),
    }
}

fn audit_place(place: &audit::Place) -> Option<Physical> {
    match place {
        audit::Place::File { file, line: 0, .. } => Some(in_file(file, None)),
        audit::Place::File { file, line, column, end_column } => {
            let region = Region { line: *line, column: *column, end_column: *end_column };
            Some(in_file(file, Some(region)))
        }
        audit::Place::Cluster => None,
    }
}

fn audit_notification(problem: &audit::Problem) -> Notification<'_> {
    let place = problem.place.as_ref().and_then(audit_place);
    let place = place.map(|place| Place { physical_location: Some(place), logical_locations: Vec::new() });
    // The place stands beside it.
    let text = audit::Problem { place: None, ..problem.clone() }.to_string();
    Notification {
        level: if problem.is_error { "error" } else { "warning" },
        message: Message { text: text.into() },
        descriptor: Descriptor { id: format!("input-{}", problem.code) },
        locations: place.into_iter().collect(),
    }
}

fn unplaced(level: &'static str, id: &str, text: String) -> Notification<'static> {
    Notification {
        level,
        message: Message { text: text.into() },
        descriptor: Descriptor { id: id.to_owned() },
        locations: Vec::new(),
    }
}

/// The rules so far, and where each is.
#[derive(Default)]
struct Rules<'a> {
    list: Vec<Rule<'a>>,
    index: BTreeMap<String, usize>,
}

impl<'a> Rules<'a> {
    fn add(&mut self, id: &str, title: Option<&'a str>, description: Option<&'a str>) -> usize {
        if let Some(index) = self.index.get(id) {
            return *index;
        }
        let short = title.unwrap_or(id).to_owned();
        let full = description.map_or_else(
            || short.clone(),
            |description| description.split_whitespace().collect::<Vec<_>>().join(" "),
        );
        let index = self.list.len();
        self.index.insert(id.to_owned(), index);
        self.list.push(Rule {
            id: id.to_owned(),
            // Viewers want a name without spaces.
            name: id.split(|c: char| !c.is_alphanumeric()).collect(),
            short_description: Message { text: short.into() },
            full_description: Message { text: full.clone().into() },
            help: Message { text: full.into() },
            default_configuration: Configuration { level: "error" },
        });
        index
    }
}

fn finding_result<'a>(
    reviewed: &'a Reviewed,
    finding: &'a Finding,
    rules: &mut Rules<'a>,
    fingerprints: &mut Fingerprints,
) -> ResultItem<'a> {
    let key = finding.constraint.key();
    let object = reviewed.object.to_string();
    let path = finding.position.path.to_string();
    let file = in_checkout(finding.position.location.file());
    let logical = if path.is_empty() { object.clone() } else { format!("{object}: {path}") };
    ResultItem {
        rule_id: key.kind.to_string(),
        rule_index: rules.add(&key.kind, None, None),
        level: match finding.action {
            EnforcementAction::Deny => "error",
            EnforcementAction::Warn => "warning",
            EnforcementAction::Dryrun => "note",
        },
        message: Message { text: format!("{object}: {} [{}]", finding.text(), key.name).into() },
        partial_fingerprints: fingerprints.of(&[
            file,
            &key.kind,
            &key.name,
            &reviewed.object.gvk().to_string(),
            &object,
            &path,
            &finding.message,
        ]),
        locations: vec![Place {
            physical_location: Some(physical(&finding.position.location)),
            logical_locations: vec![Logical { fully_qualified_name: logical, kind: "object" }],
        }],
        properties: Some(Properties {
            constraint: &key.name,
            enforcement_action: finding.constraint.enforcement().declared(),
            precision: Some(finding.position.precision.to_string()),
            details: &finding.details,
        }),
    }
}

fn problem_result<'a>(
    problem: &'a Error,
    location: &Location,
    id: String,
    rule_index: usize,
    fingerprints: &mut Fingerprints,
) -> ResultItem<'a> {
    let path = problem.path().map(ToString::to_string).unwrap_or_default();
    ResultItem {
        rule_index,
        level: level(problem.severity()),
        message: problem_message(problem),
        partial_fingerprints: fingerprints.of(&[in_checkout(location.file()), &id, &path, problem.message()]),
        locations: vec![Place { physical_location: Some(physical(location)), logical_locations: Vec::new() }],
        properties: None,
        rule_id: id,
    }
}

fn notification(problem: &Error) -> Notification<'_> {
    let place =
        |location| Place { physical_location: Some(physical(location)), logical_locations: Vec::new() };
    Notification {
        level: level(problem.severity()),
        message: problem_message(problem),
        descriptor: Descriptor { id: problem_id(problem.kind()) },
        locations: problem.location().map(place).into_iter().collect(),
    }
}

fn problem_id(kind: ErrorKind) -> String {
    format!("input-{}", kind.code())
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn problem_message(problem: &Error) -> Message<'_> {
    let mut text = problem.subject().map(|subject| format!("{subject}: ")).unwrap_or_default();
    text.push_str(problem.message());
    if let Some(help) = problem.help() {
        text.push_str("; ");
        text.push_str(help);
    }
    Message { text: text.into() }
}

fn physical(location: &Location) -> Physical {
    let region = (!location.source().text().is_empty()).then(|| Region::of(location));
    in_file(location.file(), region)
}

fn in_file(file: &str, region: Option<Region>) -> Physical {
    let file = in_checkout(file);
    let absolute = file.starts_with('/');
    let region = region.map(|region| RegionItem {
        start_line: region.line,
        start_column: region.column,
        end_line: region.line,
        end_column: region.end_column,
    });
    let uri = if absolute { format!("file://{}", uri(file)) } else { uri(file) };
    Physical { artifact_location: Artifact { uri, uri_base_id: (!absolute).then_some("%SRCROOT%") }, region }
}

/// A path as a URI reference: everything but the characters that need no escape is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Makes fingerprints. Equal findings are told apart by their order.
#[derive(Default)]
struct Fingerprints(BTreeMap<u64, u32>);

impl Fingerprints {
    fn of(&mut self, parts: &[&str]) -> BTreeMap<&'static str, String> {
        let mut hash = Fnv::default();
        for part in parts {
            hash.write(part.as_bytes());
            // No text has this byte, so that no two lists of parts are the same bytes.
            hash.write(&[0xff]);
        }
        let times = self.0.entry(hash.0).or_insert(0);
        *times += 1;
        BTreeMap::from([(FINGERPRINT, format!("{:016x}:{times}", hash.0))])
    }
}

/// FNV-1a: fixed for all time, unlike the hash of the standard library.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_do_not_change_between_versions() {
        let mut fingerprints = Fingerprints::default();
        // The published value of FNV-1a for "a".
        let mut hash = Fnv::default();
        hash.write(b"a");
        assert_eq!(hash.0, 0xaf63_dc4c_8601_ec8c);
        let first = fingerprints.of(&["pod.yaml", "K", "c"]);
        let again = fingerprints.of(&["pod.yaml", "K", "c"]);
        assert_ne!(first, again, "the same finding twice in a file is two alerts");
        assert_ne!(fingerprints.of(&["ab", "c"]), fingerprints.of(&["a", "bc"]));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("a b/ü#.yaml"), "a%20b/%C3%BC%23.yaml");
    }
}
