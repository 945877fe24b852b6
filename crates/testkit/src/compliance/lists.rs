//! The two lists of cases that are not expected to pass.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Failure, Report};
use crate::testdata;

/// Cases that are not run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfScope {
    /// How the names of the cases begin; a whole name is the beginning of itself.
    pub notes: Vec<String>,
    /// Why no policy for Kubernetes needs them.
    pub reason: String,
}

/// A case that is known to fail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// Its name.
    pub note: String,
    /// How it fails.
    pub class: Failure,
    /// Why.
    pub reason: String,
}

/// Both lists.
#[derive(Clone, Debug)]
pub struct Lists {
    /// What is not run.
    pub out_of_scope: Vec<OutOfScope>,
    /// What fails.
    pub known_failures: Vec<KnownFailure>,
}

const KNOWN_FAILURES_HEAD: &str = "\
# Cases of OPA's compliance suite that fail, each with how and why. `class` is `load` (refused), `evaluation` (an error where
# there should be a value), `silent` (a wrong value: not to be released with), `panic` or `time`.
# `opa-compliance FILE --update` adds what fails and removes what passes.
";

impl Lists {
    /// Reads the lists of this project.
    ///
    /// # Errors
    ///
    /// If one cannot be read.
    pub fn read() -> Result<Self, String> {
        Ok(Self {
            out_of_scope: read(&folder().join("out-of-scope.yaml"))?,
            known_failures: read(&known_failures_path())?,
        })
    }

    pub(super) fn out_of_scope(&self, name: &str) -> Option<&OutOfScope> {
        let covers = |entry: &&OutOfScope| entry.notes.iter().any(|note| name.starts_with(note.as_str()));
        self.out_of_scope.iter().find(covers)
    }

    pub(super) fn known_failure(&self, name: &str) -> Option<&KnownFailure> {
        self.known_failures.iter().find(|known| known.note == name)
    }

    /// Entries that no case fits, and known failures that are not run.
    pub(super) fn stale(&self, names: &[String]) -> Vec<String> {
        let mut stale = Vec::new();
        for note in self.out_of_scope.iter().flat_map(|entry| &entry.notes) {
            if !names.iter().any(|name| name.starts_with(note.as_str())) {
                stale.push(format!("out-of-scope.yaml: no case begins with `{note}`"));
            }
        }
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        for known in &self.known_failures {
            if !names.contains(known.note.as_str()) {
                stale.push(format!("known-failures.yaml: there is no case `{}`", known.note));
            } else if self.out_of_scope(&known.note).is_some() {
                stale.push(format!("known-failures.yaml: `{}` is out of scope", known.note));
            }
        }
        stale
    }

    /// Writes the failures of a complete run down as known. Reasons that are there stay.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn update(&self, report: &Report) -> Result<(), String> {
        let mut text = KNOWN_FAILURES_HEAD.to_owned();
        if report.failures.is_empty() {
            text.push_str("[]\n");
        }
        for (name, failure) in &report.failures {
            let known = self.known_failure(name).filter(|known| known.class == failure.class);
            let reason =
                known.map_or_else(|| format!("not looked at: {}", failure.why), |known| known.reason.clone());
            let short: String = reason.chars().take(200).collect();
            let class = format!("{:?}", failure.class).to_lowercase();
            let _ =
                writeln!(text, "- note: {}\n  class: {class}\n  reason: {}", quoted(name), quoted(&short));
        }
        fs::write(known_failures_path(), text).map_err(|error| error.to_string())
    }
}

fn folder() -> PathBuf {
    testdata().join("opa-compliance")
}

fn known_failures_path() -> PathBuf {
    folder().join("known-failures.yaml")
}

fn read<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_yaml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A text in quotes that both YAML and JSON read.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
