//! The YAML case format: a file of cases, each with its inputs and what should come of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What the file is about. Not used by the harness.
    #[serde(default)]
    pub about: String,
    /// Policies that every case has beside its own.
    #[serde(default)]
    pub shared: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One review, or one load that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The behaviour it shows, as a sentence.
    pub name: String,
    /// Templates, constraints and Configs: a YAML stream.
    #[serde(default)]
    pub policies: String,
    /// `spec.match` of a constraint `Always/it`, whose template the file shares.
    pub r#match: Option<serde_json::Value>,
    /// ExpansionTemplates: a YAML stream.
    #[serde(default)]
    pub expansion: String,
    /// Objects of the cluster: a YAML stream.
    #[serde(default)]
    pub inventory: String,
    /// The Namespace that the caller knows the object to live in.
    pub namespace: Option<serde_json::Value>,
    /// The object or the `AdmissionReview`: a YAML text, or the mapping itself where numbers and positions do
    /// not matter.
    pub review: Option<serde_json::Value>,
    /// Where it is reviewed.
    #[serde(default)]
    pub point: Point,
    /// How the object came to be.
    #[serde(default)]
    pub source: ObjectSource,
    /// Documents of the same resource are among the policies, so that their order matters.
    #[serde(default)]
    pub ordered: bool,
    /// What should come of it.
    pub expect: Expect,
}

/// An enforcement point.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// `validation.gatekeeper.sh`
    #[default]
    Webhook,
    /// `audit.gatekeeper.sh`
    Audit,
    /// `gator.gatekeeper.sh`
    Gator,
    /// `vap.k8s.io`
    Vap,
}

/// How the object under review came to be.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectSource {
    /// Somebody wrote it.
    #[default]
    Original,
    /// It was generated from another.
    Generated,
}

/// What should come of a case. What is left out should be empty, unless a field says otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether `Always/it` applies. If given, denials and warnings are not looked at.
    pub applies: Option<Applies>,
    /// The lines of what denies the request, in order.
    #[serde(default)]
    pub denials: Vec<String>,
    /// The lines of what it is warned about, in order.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether it may pass; looked at if given, for cases without lines.
    pub allowed: Option<bool>,
    /// Everything that is not a pass, in order; looked at if given.
    pub findings: Option<Vec<ExpectedFinding>>,
    /// What an exception lets pass, as `EXCEPTION: [constraint] message`, in order; looked at if given.
    pub excepted: Option<Vec<String>>,
    /// Constraints that apply and hold; looked at if given.
    pub passes: Option<Vec<String>>,
    /// Lines the policies printed, in order of constraints; looked at if given.
    pub prints: Option<Vec<String>>,
    /// Processes that a Config keeps away from the object; looked at if given.
    pub excluded: Option<Vec<String>>,
    /// Why the request cannot be reviewed.
    pub refused: Option<String>,
    /// Why the object cannot be expanded.
    pub unexpanded: Option<String>,
    /// What is wrong with the policies, in the order of the text; then with the expansion templates.
    #[serde(default)]
    pub errors: Vec<Problem>,
}

/// Whether a constraint applies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// That is not known.
    Unknown,
}

/// An expected finding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFinding {
    /// `Kind/name` of the constraint.
    pub constraint: Option<String>,
    /// The whole message.
    pub message: String,
    /// The policy's details; looked at if given.
    pub details: Option<serde_json::Value>,
    /// The finding is an evaluation that failed.
    #[serde(default)]
    pub error: bool,
    /// `line:column` in the object's document; for an evaluation that failed, in the template. Looked at if
    /// given.
    pub at: Option<String>,
    /// The field at that place; looked at if given.
    pub path: Option<String>,
    /// How the place was found; looked at if given.
    pub precision: Option<String>,
    /// The actions, the gravest first; looked at if given.
    pub actions: Option<Vec<String>>,
}

/// An expected problem of a policy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The code of its kind.
    pub kind: String,
    /// `line:column` in the case's policies, `shared:line:column` in those of the file.
    pub at: Option<String>,
    /// The whole sentence.
    pub message: String,
    /// The hint; looked at if given, `""` for none.
    pub hint: Option<String>,
    /// The problem is only a warning.
    #[serde(default)]
    pub warning: bool,
}

/// Reads a file of cases.
pub fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of cases in a folder, in order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    paths
}
