//! Recordings of what other programs answered, run against this one: `oracle NAME FILE`.
//!
//! A recording is a file of JSON lines, each an input and the answer to it. It is not a part of this project;
//! what is known to differ from it is, with the reasons: `testdata/oracle/NAME.yaml`. A case that is listed
//! and agrees is a failure, too.

mod cel;
mod cel_gatekeeper;
mod expansions;
mod external_data;
mod formats;
mod mutations;
mod report;
mod type_checks;
mod vap;

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

pub use report::Report;

use crate::testdata;

/// A kind of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// Which modules OPA's compiler refuses, and with which error.
    TypeChecks,
    /// What Gatekeeper's mutators make of objects.
    Mutations,
    /// What Gatekeeper generates of objects, and what gator says of them.
    Expansions,
    /// Types, values, errors and costs of CEL expressions in an API server.
    CelExpressions,
    /// The language's own examples, as an API server takes them.
    CelSpec,
    /// What Gatekeeper's driver of CEL says of objects.
    CelGatekeeper,
    /// What an API server answers by its own admission policies.
    Vap,
    /// What Gatekeeper asks providers, and what it makes of their answers.
    ExternalData,
    /// What `opa fmt` makes of modules.
    Formats,
}

impl Recording {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::TypeChecks,
        Self::Mutations,
        Self::Expansions,
        Self::CelExpressions,
        Self::CelSpec,
        Self::CelGatekeeper,
        Self::Vap,
        Self::ExternalData,
        Self::Formats,
    ];

    /// Its name on the command line, and that of its list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TypeChecks => "type-checks",
            Self::Mutations => "mutations",
            Self::Expansions => "expansions",
            Self::CelExpressions => "cel-expressions",
            Self::CelSpec => "cel-spec",
            Self::CelGatekeeper => "cel-gatekeeper",
            Self::Vap => "vap",
            Self::ExternalData => "external-data",
            Self::Formats => "fmt",
        }
    }

    /// What its cases ask.
    pub const fn about(self) -> &'static str {
        match self {
            Self::TypeChecks => "which Rego modules are refused, with which class of error and at which line",
            Self::Mutations => {
                "which mutators are refused or contradict each other, and what they make of an object"
            }
            Self::Expansions => "what is generated of objects, and what the commands say of it",
            Self::CelExpressions => "the type, value, error and cost of CEL expressions",
            Self::CelSpec => "the same of the language's own examples",
            Self::CelGatekeeper => "what templates in CEL say of objects and requests",
            Self::Vap => "what an API server answers to requests by its own admission policies",
            Self::ExternalData => "what providers are asked, and what their answers lead to",
            Self::Formats => "how modules of Rego are formatted",
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    ///
    /// If there is none; says which there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let all: Vec<&str> = Self::ALL.iter().map(|recording| recording.name()).collect();
        let found = Self::ALL.iter().find(|recording| recording.name() == name);
        found.copied().ok_or_else(|| format!("there is no recording `{name}`, only: {}", all.join(", ")))
    }

    /// Whether the answer to a case is the recorded one.
    ///
    /// # Errors
    ///
    /// If the case has not the form of this recording.
    fn judge(self, case: &Value, session: &mut Session<'_>) -> Result<Option<Judgement>, String> {
        match self {
            Self::TypeChecks => type_checks::judge(case).map(Some),
            Self::Mutations => mutations::judge(case).map(Some),
            Self::Expansions => expansions::judge(case, session.program).map(Some),
            Self::CelExpressions => cel::judge_expression(case, &mut session.variables),
            Self::CelSpec => cel::judge_example(case).map(Some),
            Self::CelGatekeeper => cel_gatekeeper::judge(case, &mut session.fixtures, session.program),
            Self::Vap => vap::judge(case).map(Some),
            Self::ExternalData => external_data::judge(case).map(Some),
            Self::Formats => formats::judge(case),
        }
    }

    /// Whether some of its cases run the command line.
    pub const fn needs_program(self) -> bool {
        match self {
            Self::TypeChecks
            | Self::Mutations
            | Self::CelExpressions
            | Self::CelSpec
            | Self::Vap
            | Self::ExternalData
            | Self::Formats => false,
            Self::Expansions | Self::CelGatekeeper => true,
        }
    }
}

/// What cases of a recording share.
struct Session<'p> {
    program: &'p Path,
    /// Sets of variables by name.
    variables: cel::VariableSets,
    /// Objects by name.
    fixtures: cel_gatekeeper::Fixtures,
}

/// What came of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Judgement {
    /// The text of the input: by it the list names cases.
    text: String,
    /// How the answer differs, if it does.
    difference: Option<String>,
    /// What also agrees or not, but does not count: a name, and whether it agrees.
    notes: Vec<(&'static str, bool)>,
}

/// An entry of a list of known differences.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// A part of the text of the cases: those that contain it. All, if it is left out.
    #[serde(default)]
    text: String,
    /// A part of the difference, if not all cases with that text differ: those that agree are no failure
    /// then, and those that differ otherwise are.
    difference: Option<String>,
    /// Why the answer differs.
    reason: String,
}

impl Known {
    fn is_about(&self, judgement: &Judgement) -> bool {
        let is_it = match (&self.difference, &judgement.difference) {
            (None, _) => true,
            (Some(part), Some(difference)) => difference.contains(part),
            (Some(_), None) => false,
        };
        is_it && judgement.text.contains(&self.text)
    }
}

/// Runs the cases of a file; those of the command line with the program `portcullis` at a path.
///
/// # Errors
///
/// If the file or the list cannot be read, or a line is no case of the recording.
pub fn run(recording: Recording, file: &Path, program: &Path) -> Result<Report, String> {
    let list = testdata().join("oracle").join(format!("{}.yaml", recording.name()));
    let known = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let known: Vec<Known> =
        serde_yaml::from_str(&known).map_err(|error| format!("{}: {error}", list.display()))?;
    let is_vague = |entry: &&Known| entry.text.is_empty() && entry.difference.is_none();
    if let Some(entry) = known.iter().find(|entry| is_vague(entry) || entry.reason.is_empty()) {
        return Err(format!(
            "{}: an entry needs a text or a difference, and a reason: {entry:?}",
            list.display()
        ));
    }
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut report = Report::default();
    let mut session = Session {
        program,
        variables: cel::VariableSets::default(),
        fixtures: cel_gatekeeper::Fixtures::default(),
    };
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", file.display(), number + 1);
        let case = read(line).map_err(|error| format!("{place}: {error}"))?;
        let judgement = recording.judge(&case, &mut session).map_err(|error| format!("{place}: {error}"))?;
        let Some(judgement) = judgement else { continue };
        let entry = known.iter().find(|entry| entry.is_about(&judgement));
        report.add(&place, judgement, entry.map(|entry| entry.reason.as_str()));
    }
    if report.is_empty() {
        return Err(format!("{}: there is no case in it", file.display()));
    }
    Ok(report)
}

/// A line as JSON. What is nested deeper than `serde_json` reads is read by our own reader, which keeps no float
/// without a fraction.
fn read(line: &str) -> Result<Value, String> {
    serde_json::from_str(line).or_else(|error| match portcullis_value::Value::from_json(line) {
        Ok(value) => Ok(plain(&value)),
        Err(_) => Err(error.to_string()),
    })
}

fn plain(value: &portcullis_value::Value) -> Value {
    use portcullis_value::View;
    match value.view() {
        View::Undefined | View::Null => Value::Null,
        View::Bool(value) => Value::Bool(value),
        View::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.to_f64().into(),
        },
        View::String(text) => text.into(),
        View::Array(items) => items.iter().map(plain).collect(),
        View::Set(items) => items.as_slice().iter().map(plain).collect(),
        View::Object(object) => {
            let entries =
                object.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), plain(value))));
            Value::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_recording_is_told_of_those_there_are() {
        assert_eq!(Recording::named("type-checks"), Ok(Recording::TypeChecks));
        assert_eq!(
            Recording::named("type"),
            Err("there is no recording `type`, only: type-checks, mutations, expansions, cel-expressions, cel-spec, cel-gatekeeper, vap, external-data, fmt".to_owned())
        );
    }
}
