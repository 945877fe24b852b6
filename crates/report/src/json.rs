//! gator's JSON, with positions.
//!
//! An array, `[]` if nothing was found, of `{target, msg, metadata, constraint, enforcementAction, scopedActions?,
//! violatingObject, trace, location}`. Additions to gator: `location`, and `evaluationError: true` where the message is
//! not the policy's because it could not be evaluated.
//!
//! `violatingObject` and `constraint` are repeated in each finding, as in gator, up to 2 MiB of each: from there on they are what
//! identifies them, with `leftOutBytes`.

use std::io::{self, Write};

use portcullis::{EnforcementAction, Location};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::clip::{Copies, Copy};
use crate::{Finding, Reviewed, TestReport};

/// The only target there is.
const TARGET: &str = "admission.k8s.gatekeeper.sh";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    target: &'static str,
    msg: &'a str,
    metadata: Metadata<'a>,
    constraint: Copy<'a>,
    enforcement_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scoped_actions: Option<Vec<&'static str>>,
    violating_object: Copy<'a>,
    /// Always there in gator, and `null` unless asked for.
    trace: Option<String>,
    location: Place<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    evaluation_error: bool,
}

#[derive(Serialize)]
struct Metadata<'a> {
    details: &'a serde_json::Value,
}

#[derive(Serialize)]
struct Place<'a> {
    #[serde(flatten)]
    position: Position<'a>,
    path: String,
    precision: String,
}

/// A place in a file.
#[derive(Debug, Serialize)]
pub struct Position<'a> {
    /// The file, as it was named.
    pub file: &'a str,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl<'a> Position<'a> {
    /// Of a location.
    pub fn of(location: &'a Location) -> Self {
        Self { file: location.file(), line: location.line(), column: location.column() }
    }
}

/// Writes all findings.
pub fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_indented(&items(report), out)
}

/// What the JSON and the YAML report have in them.
pub(super) fn items(report: &TestReport) -> Vec<impl Serialize + '_> {
    let mut copies = Copies::default();
    report.findings().map(|(reviewed, finding)| item(reviewed, finding, &mut copies)).collect()
}

fn item<'a>(reviewed: &'a Reviewed, finding: &'a Finding, copies: &mut Copies) -> Item<'a> {
    let declared = finding.constraint.enforcement().declared();
    let scoped = matches!(finding.constraint.enforcement(), portcullis::Enforcement::Scoped(_));
    Item {
        target: TARGET,
        msg: &finding.message,
        metadata: Metadata { details: &finding.details },
        constraint: copies.of(finding.constraint.object()),
        enforcement_action: declared,
        scoped_actions: scoped.then(|| finding.actions.iter().map(EnforcementAction::as_str).collect()),
        violating_object: copies.of(&reviewed.object),
        trace: None,
        location: Place {
            position: Position::of(&finding.position.location),
            path: finding.position.path.to_string(),
            precision: finding.position.precision.to_string(),
        },
        evaluation_error: finding.failure.is_some(),
    }
}

/// Writes JSON with an indentation of four, as gator does, and a line break at the end.
pub fn write_indented(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut *out, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer)?;
    writeln!(out)
}
