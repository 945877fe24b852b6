//! What `portcullis lint` found.

use std::collections::BTreeSet;

use portcullis::PolicySet;

use crate::{Problem, ReportTemplate};

/// What `portcullis lint` found.
#[derive(Debug)]
pub struct LintReport {
    /// By position.
    pub problems: Vec<Problem>,
    /// The files that hold policies, good ones too.
    pub files: BTreeSet<String>,
    /// Those that can be used.
    pub policies: PolicySet,
    /// Whether everything that was named could be read.
    pub is_complete: bool,
    /// Whether warnings make the run fail.
    pub deny_warnings: bool,
    /// With what the templates are made of.
    pub verbose: bool,
    /// Bytes that the form for comments may have.
    pub max_bytes: usize,
    /// What `-o template` renders.
    pub template: Option<ReportTemplate>,
}

impl LintReport {
    /// Whether a problem makes the run fail.
    pub fn is_bad(&self, problem: &Problem) -> bool {
        self.deny_warnings || problem.is_error()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error()).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}
