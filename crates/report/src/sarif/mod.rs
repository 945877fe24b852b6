//! SARIF 2.1.0, the exchange form of code scanners: GitHub code scanning, Azure DevOps, editors.
//!
//! Rules are templates, results are findings. What is wrong with the input is a notification of the run, and,
//! where it has a position, a result as well, because most viewers show no notifications.

mod log;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::{ErrorKind, FixDecision, Location};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::fingerprint::{self, Fingerprints};
use crate::fixes;
use crate::form::{Spec, Writer};
use crate::json::write_indented;
use crate::lint::LintReport;
use crate::{
    AuditReport, Completion, Finding, Origin, Place, Policy, PolicySeverity, Problem, Suppression,
    TestReport, in_checkout,
};
use log::{
    About, Artifact, ArtifactChange, At, Configuration, Descriptor, Driver, FixItem, Invocation, Log,
    Logical, Message, Notification, Physical, Properties, RegionItem, ReplacementItem, ResultItem, Rule, Run,
    Suppressing, Tool,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

const ABOUT: &str = "SARIF 2.1.0, for code scanning";

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: ABOUT, write: write_test }),
    lint: Some(Writer { about: ABOUT, write: write_lint }),
    audit: Some(Writer { about: ABOUT, write: write_audit }),
    ..Spec::new("sarif")
};

/// Writes what is wrong with the input and all findings.
fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::of(&report.policies);
    let mut fingerprints = Fingerprints::default();
    let mut results = Vec::new();
    for (reviewed, policy, finding) in report.each() {
        let rule = rules.add(&rule_id(policy), None, None);
        let gvk = reviewed.subject.gvk();
        let result = result(finding, policy, rule, &gvk, &mut fingerprints);
        results.push(ResultItem { fixes: fix(report, finding).into_iter().collect(), ..result });
    }
    for one in &report.suppressed {
        let Some(policy) = report.policies.get(one.finding.policy) else { continue };
        let rule = rules.add(&rule_id(policy), None, None);
        let object = &one.finding.object;
        let gvk = format!("{}/{}", object.api_version(), object.kind);
        let kind = if matches!(one.why, Suppression::Inline { .. }) { "inSource" } else { "external" };
        let suppressions = vec![Suppressing { kind, justification: one.why.says() }];
        let result = result(&one.finding, policy, rule, &gvk, &mut fingerprints);
        results.push(ResultItem { suppressions, ..result });
    }
    for problem in &report.problems {
        if let Some(place) = &problem.place {
            let id = problem_id(problem.kind);
            let rule = rules.add(&id, None, Some("A document that cannot be used, or not as it was meant."));
            results.push(problem_result(problem, place, id, rule, &mut fingerprints));
        }
    }
    let invocation = Invocation {
        execution_successful: !report.problems.iter().any(Problem::is_error),
        tool_execution_notifications: report.problems.iter().map(notification).collect(),
    };
    write_run(rules, invocation, results, out)
}

/// Writes findings about policies. Rules are the kinds of findings; what has no place in a file is a
/// notification.
fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::default();
    let mut fingerprints = Fingerprints::default();
    let mut results = Vec::new();
    for problem in &report.problems {
        if let Some(place) = &problem.place {
            let id = problem.kind.code();
            let rule = rules.add(id, None, Some(problem.kind.description()));
            results.push(problem_result(problem, place, id.to_owned(), rule, &mut fingerprints));
        }
    }
    let unplaced = report.problems.iter().filter(|problem| problem.place.is_none());
    let invocation = Invocation {
        execution_successful: report.is_complete,
        tool_execution_notifications: unplaced.map(notification).collect(),
    };
    write_run(rules, invocation, results, out)
}

/// Writes an audit. Rules are templates; findings are written one by one, however many there are.
fn write_audit(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = Rules::of(&report.policies);
    let notifications: Vec<_> = report.problems.listed().map(notification).collect();
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
    let indices = report.policies.iter().map(|policy| rules.add(&rule_id(policy), None, None)).collect();
    let failed = RefCell::new(None);
    let results = AuditResults { report, indices, failed: &failed };
    let written = write_run(rules, invocation, results, out);
    match failed.take() {
        Some(error) => Err(error),
        None => written,
    }
}

struct AuditResults<'a> {
    report: &'a AuditReport,
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
                let gvk = format!("{}/{}", finding.object.group, finding.object.version);
                list.serialize_element(&result(&finding, policy, *rule, &gvk, &mut fingerprints))?;
            }
        }
        list.end()
    }
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

/// The rules so far, and where each is.
#[derive(Default)]
struct Rules<'a> {
    list: Vec<Rule<'a>>,
    index: BTreeMap<String, usize>,
}

impl<'a> Rules<'a> {
    /// A rule for each template.
    fn of(policies: &'a [Policy]) -> Self {
        let mut rules = Self::default();
        for policy in policies {
            let index = rules.add(&rule_id(policy), policy.title.as_deref(), policy.description.as_deref());
            if let Some(rule) = rules.list.get_mut(index) {
                rule.tell(policy);
            }
        }
        rules
    }

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
            help_uri: None,
            default_configuration: Configuration { level: "error" },
            properties: None,
        });
        index
    }
}

impl Rule<'_> {
    /// What a policy says of itself. Of several constraints of a template the gravest counts.
    fn tell(&mut self, policy: &Policy) {
        if self.help_uri.is_none() {
            self.help_uri.clone_from(&policy.link);
        }
        let score = policy.severity.map(|severity| match severity {
            PolicySeverity::Critical => "9.5",
            PolicySeverity::High => "8.0",
            PolicySeverity::Medium => "5.5",
            PolicySeverity::Low => "3.0",
            PolicySeverity::Info => "0.0",
        });
        if policy.category.is_none() && score.is_none() {
            return;
        }
        let about = self.properties.get_or_insert(About { tags: Vec::new(), security_severity: None });
        about.tags.extend(
            policy
                .category
                .iter()
                .filter(|category| !about.tags.contains(category))
                .cloned()
                .collect::<Vec<_>>(),
        );
        // All have the same number of digits, so that the order of texts is that of numbers.
        about.security_severity = about.security_severity.max(score);
    }
}

/// As SARIF has it: by the version of how they are made.
fn partial(fingerprint: String) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(fingerprint::VERSION, fingerprint)])
}

/// What a policy is called: the kind of a template, or package and name of a rule.
fn rule_id(policy: &Policy) -> Cow<'_, str> {
    match policy.origin {
        Origin::Constraint(..) => Cow::Borrowed(&*policy.key.kind),
        Origin::Rule(_) => Cow::Owned(policy.key.to_string()),
    }
}

/// A finding. `gvk` is what its fingerprint calls the kind of the object.
fn result<'a>(
    finding: &'a Finding,
    policy: &'a Policy,
    rule_index: usize,
    gvk: &str,
    fingerprints: &mut Fingerprints,
) -> ResultItem<'a> {
    let key = &policy.key;
    let object = finding.object.to_string();
    let logical = match &*finding.field {
        "" => object.clone(),
        field => format!("{object}: {field}"),
    };
    ResultItem {
        rule_id: rule_id(policy).into_owned(),
        rule_index,
        level: finding.action().level("note"),
        message: Message { text: format!("{object}: {} [{}]", finding.says(), key.name).into() },
        partial_fingerprints: partial(fingerprints.of(&[
            in_checkout(finding.place.file()),
            &key.kind,
            &key.name,
            gvk,
            &object,
            &finding.field,
            &finding.message,
        ])),
        suppressions: Vec::new(),
        fixes: Vec::new(),
        locations: vec![At {
            physical_location: physical(&finding.place),
            logical_locations: vec![Logical { fully_qualified_name: logical, kind: "object" }],
        }],
        properties: Some(Properties {
            constraint: &key.name,
            enforcement_action: policy.declared_for(finding),
            precision: finding.text.as_ref().map(|text| text.precision.to_string()),
            details: &finding.details,
        }),
    }
}

fn problem_result<'a>(
    problem: &'a Problem,
    place: &Place,
    id: String,
    rule_index: usize,
    fingerprints: &mut Fingerprints,
) -> ResultItem<'a> {
    let (file, field) = (in_checkout(place.file()), problem.field.as_deref().unwrap_or_default());
    ResultItem {
        rule_index,
        level: level(problem),
        message: Message { text: problem.text().into() },
        partial_fingerprints: partial(fingerprints.of(&[file, &id, field, &problem.message])),
        suppressions: Vec::new(),
        fixes: Vec::new(),
        locations: vec![At { physical_location: physical(place), logical_locations: Vec::new() }],
        properties: None,
        rule_id: id,
    }
}

/// A problem, without a result.
fn notification(problem: &Problem) -> Notification<'_> {
    let place = problem.place.as_ref().and_then(physical);
    let at = place.map(|place| At { physical_location: Some(place), logical_locations: Vec::new() });
    Notification {
        level: level(problem),
        message: Message { text: problem.text().into() },
        descriptor: Descriptor { id: problem_id(problem.kind) },
        locations: at.into_iter().collect(),
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

fn problem_id(kind: ErrorKind) -> String {
    format!("input-{}", kind.code())
}

fn level(problem: &Problem) -> &'static str {
    if problem.is_error() { "error" } else { "warning" }
}

/// What a fix that the policy decides replaces in the text; none if that is not known to be right.
fn fix(report: &TestReport, finding: &Finding) -> Option<FixItem> {
    let (of, fix) = report.fix_of(finding).filter(|(_, fix)| fix.decision == FixDecision::Policy)?;
    let source = of.object.document()?.source();
    let fixes::Replacement { range, new } = fixes::replacement(&of.object, fix)?;
    let byte = |at: usize| u32::try_from(at).ok();
    let location = Location::new(source.clone(), byte(range.start)?..byte(range.end)?);
    let (end_line, end_column) = location.end();
    let deleted_region =
        RegionItem { start_line: location.line(), start_column: location.column(), end_line, end_column };
    let artifact_location = physical(&Place::of(&location))?.artifact_location;
    Some(FixItem {
        description: Message { text: fixes::lines(fix).join("; ").into() },
        artifact_changes: [ArtifactChange {
            artifact_location,
            replacements: [ReplacementItem {
                deleted_region,
                inserted_content: Message { text: new.into() },
            }],
        }],
    })
}

fn physical(place: &Place) -> Option<Physical> {
    let Place::File { file, line, column, end_column } = place else { return None };
    let region = (*line > 0).then_some(RegionItem {
        start_line: *line,
        start_column: *column,
        end_line: *line,
        end_column: *end_column,
    });
    let file = in_checkout(file);
    let absolute = file.starts_with('/');
    let uri = if absolute { format!("file://{}", uri(file)) } else { uri(file) };
    let artifact_location = Artifact { uri, uri_base_id: (!absolute).then_some("%SRCROOT%") };
    Some(Physical { artifact_location, region })
}

/// A path as a URI reference: everything but the characters that need no escape is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("a b/ü#.yaml"), "a%20b/%C3%BC%23.yaml");
    }
}
