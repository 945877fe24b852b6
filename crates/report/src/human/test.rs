//! A test: each finding with the line of the manifest, and which policy says it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use portcullis::{EnforcementAction, Fix, Precision};

use super::frame::{Frame, Gravity};
use super::{BAD, DOUBTFUL, GOOD};
use crate::{
    Counts, Finding, Origin, Policy, Reviewed, RuleFiles, Subject, TestReport, Verdict, clip, count, escape,
    fixes,
};

/// Writes all findings and the summary.
pub(super) fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut described = BTreeSet::new();
    for (reviewed, findings) in report.by_object() {
        let mut findings: Vec<_> = findings.iter().collect();
        // As somebody reads who goes through the file.
        findings.sort_by_key(|finding| (finding.text.as_ref().map(|text| &text.location), finding.action()));
        for finding in findings {
            let Some(policy) = report.policies.get(finding.policy) else { continue };
            let first = described.insert(&policy.key.kind);
            let fix = report.fix_of(finding).map(|(_, fix)| fix);
            writeln!(out, "{}", render(reviewed, policy, finding, first, fix))?;
        }
        if report.wanted.verbose {
            write_prints(report, reviewed, out)?;
        }
    }
    write_why(report, out)?;
    write_traces(report, out)?;
    crate::why::write_human(report, out)?;
    if report.wanted.verbose {
        write_suppressed(report, out)?;
    }
    if report.wanted.quiet { Ok(()) } else { write_summary(report, out) }
}

/// What somebody asked about.
pub(crate) fn write_why(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    for line in &report.why {
        writeln!(out, "why: {}", escape::line(&clip::text(line, MAX_SHOWN)))?;
    }
    if report.why.is_empty() { Ok(()) } else { writeln!(out) }
}

/// How policies came to their verdicts.
fn write_traces(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    for ((ordinal, policy), trace) in &report.traces {
        let index = usize::try_from(*ordinal).unwrap_or(usize::MAX);
        let (Some(reviewed), Some(policy)) = (report.reviewed.get(index), report.policies.get(*policy))
        else {
            continue;
        };
        let asked = format!("trace: {} asked about {}", policy.key, reviewed.subject);
        writeln!(out, "{}", escape::line(&clip::text(&asked, MAX_SHOWN)))?;
        for line in trace.lines() {
            writeln!(out, "  {}", escape::line(line))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A line for each finding that does not count, and why.
fn write_suppressed(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    for one in &report.suppressed {
        let Some(policy) = report.policies.get(one.finding.policy) else { continue };
        let (place, object) = (&one.finding.place, &one.finding.object);
        let text = format!("{}: {place}: {object}: {}: {}", policy.key, one.finding.message, one.why.says());
        writeln!(out, "suppressed: {}", escape::line(&clip::text(&text, MAX_SHOWN)))?;
    }
    if !report.suppressed.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// Bytes of a message, and of a note, that are shown: the other forms have the rest.
const MAX_SHOWN: usize = 8 << 10;

fn render(
    reviewed: &Reviewed,
    policy: &Policy,
    finding: &Finding,
    describe: bool,
    fix: Option<&Fix>,
) -> String {
    let mut notes = vec![(reviewed.subject.word(), reviewed.subject.title())];
    if !finding.field.is_empty() {
        notes.push(("field", finding.field.clone()));
    }
    // The kind stands in the brackets already.
    match (&policy.title, policy.description.as_ref().filter(|_| describe)) {
        (Some(title), Some(description)) => notes.push(("policy", format!("{title}: {description}"))),
        (Some(text), None) | (None, Some(text)) => notes.push(("policy", text.clone())),
        (None, None) => {}
    }
    let others: Vec<_> = finding.actions.iter().skip(1).map(|action| action.as_str()).collect();
    if !others.is_empty() {
        notes.push(("note", format!("it also has the action {}", others.join(" and "))));
    }
    notes.extend(fix.into_iter().flat_map(fixes::lines).map(|line| ("fix", line)));
    for (_, text) in &mut notes {
        *text = clip::text(text, MAX_SHOWN).into_owned();
    }
    let says = finding.says();
    let text = finding.text.as_ref();
    let is_vague =
        finding.verdict == Verdict::Violation && text.is_some_and(|text| text.precision == Precision::Object);
    let frame = Frame {
        gravity: match finding.action().0 {
            EnforcementAction::Deny => Gravity::Error,
            EnforcementAction::Warn => Gravity::Warning,
            EnforcementAction::Dryrun => Gravity::Note,
        },
        code: &policy.key.to_string(),
        title: &clip::text(&says, MAX_SHOWN),
        location: text.map(|text| &text.location),
        label: is_vague.then_some(match reviewed.subject {
            Subject::Object(_) => "in this object; the policy does not say which field",
            Subject::Document { .. } => "in this document; the policy does not say where",
            Subject::Together { .. } => "in one of the documents; the policy does not say in which",
        }),
        notes,
        related: text.and_then(|text| Some(("the policy broke here", text.broke_at.as_ref()?))),
    };
    frame.render()
}

fn write_prints(report: &TestReport, reviewed: &Reviewed, out: &mut dyn Write) -> io::Result<()> {
    for (policy, print) in &reviewed.prints {
        let Some(policy) = report.policies.get(*policy) else { continue };
        let text = format!("{} on {}: {print}", policy.key, reviewed.subject);
        writeln!(out, "print: {}", escape::line(&text))?;
    }
    if !reviewed.prints.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

pub(crate) fn write_summary(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let style = match counts {
        Counts { denied: 0, errors: 0, warned: 0, warnings: 0, .. } => GOOD,
        Counts { denied: 0, errors: 0, .. } => DOUBTFUL,
        _ => BAD,
    };
    writeln!(out, "{style}{}{style:#}", summary(report, counts))
}

/// What there is, in one line.
pub(crate) fn summary_of(report: &TestReport) -> String {
    summary(report, report.counts())
}

/// `3 denied, 1 warning in 2 of 14 objects; 6 policies, 64 constraints; 2 errors`.
fn summary(report: &TestReport, counts: Counts) -> String {
    let mut found = Vec::new();
    if counts.denied > 0 {
        found.push(format!("{} denied", counts.denied));
    }
    if counts.warned > 0 {
        found.push(count(counts.warned, "warning", "warnings"));
    }
    if counts.noted > 0 {
        found.push(format!("{} in dry run", counts.noted));
    }
    let objects = match &report.rules {
        // Of what kind they are is not asked.
        Some(_) => count(counts.objects, "document", "documents"),
        None => count(counts.objects, "object", "objects"),
    };
    let found = match found.as_slice() {
        [] if report.policies.is_empty() && report.rules.is_none() => {
            format!("nothing was judged, since no constraint can be used: {objects}")
        }
        [] if counts.objects == 0 => "no object was judged".to_owned(),
        [] if counts.untouched == counts.objects => {
            format!("nothing found in {objects}: no constraint applies to any")
        }
        [] if counts.untouched > 0 => {
            format!("nothing found in {objects}, of which no constraint applies to {}", counts.untouched)
        }
        [] => format!("nothing found in {objects}"),
        found => format!("{} in {} of {objects}", found.join(", "), counts.bad_objects),
    };
    let mut parts = vec![match counts.failures {
        0 => found,
        failures => format!("{found} ({failures} could not be evaluated)"),
    }];
    if counts.excepted > 0 {
        parts.push(format!("{} excepted", counts.excepted));
    }
    if counts.known > 0 {
        parts.push(format!("{} known from the baseline", counts.known));
    }
    let is_constraint = |policy: &&Policy| matches!(policy.origin, Origin::Constraint(..));
    let constraints = report.policies.iter().filter(is_constraint).count();
    if report.rules.is_none() || constraints > 0 || report.templates > 0 {
        let policies = count(report.templates, "policy", "policies");
        parts.push(format!("{policies}, {}", count(constraints, "constraint", "constraints")));
    }
    parts.extend(report.rules.as_ref().map(RuleFiles::line));
    parts.extend(report.placed.line());
    if report.excluded > 0 {
        let objects = count(report.excluded, "object is", "objects are");
        parts.push(format!("{objects} not judged, because a Config excludes their namespace"));
    }
    let mut input = Vec::new();
    if counts.errors > 0 {
        input.push(count(counts.errors, "error", "errors"));
    }
    if counts.warnings > 0 {
        input.push(count(counts.warnings, "warning", "warnings"));
    }
    if !input.is_empty() {
        parts.push(format!("{} about the input", input.join(" and ")));
    }
    parts.join("; ")
}
