//! What `portcullis test` found: a small audit, whose objects and texts are in memory.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::{EnforcementAction, Error, ErrorKind, Fix, Why};

use crate::bench::StatsEntry;
use crate::fixes::FixedObject;
use crate::{Finding, Place, Policy, Problem, ReportTemplate, Subject, Verdict, count};

/// What `portcullis test` found.
#[derive(Debug)]
pub struct TestReport {
    /// By position. Findings and passes name them by their index.
    pub reviewed: Vec<Reviewed>,
    /// The constraints that could be used, by key, then the rules of files of Rego. Findings and passes name them by their index.
    pub policies: Vec<Policy>,
    /// In the order of the objects, then as the library orders them. Each has its text.
    pub findings: Vec<Finding>,
    /// Findings that do not count, in the same order. They are not among the others.
    pub suppressed: Vec<Suppressed>,
    /// The exceptions that there are, by name.
    pub exceptions: Vec<Exception>,
    /// Lines that say of each object what constraints that somebody asks about have to do with it.
    pub why: Vec<String>,
    /// What is wrong with the input, by position.
    pub problems: Vec<Problem>,
    /// How many templates could be used.
    pub templates: usize,
    /// The files of Rego, if they were taken for policies.
    pub rules: Option<RuleFiles>,
    /// What became of objects that name no namespace.
    pub placed: Placed,
    /// How many objects were not judged, because a Config keeps the webhook away from their namespace.
    pub excluded: usize,
    /// What people want of it.
    pub wanted: Wanted,
    /// What `-o template` renders.
    pub template: Option<ReportTemplate>,
    /// What each template cost, if that was asked for.
    pub stats: Option<Vec<StatsEntry>>,
    /// How policies came to their verdicts, if that was asked for: by the ordinal of the object and the index of the policy.
    pub traces: BTreeMap<(u64, usize), String>,
    /// Why policies say what they say, if that was asked for: by object, then by policy.
    pub explanations: Vec<Explained>,
    /// How to make findings go, if that was asked for: by object.
    pub fixes: Vec<FixedObject>,
}

/// Why a policy says what it says of an object.
#[derive(Debug)]
pub struct Explained {
    /// The object, by its position in the report.
    pub ordinal: u64,
    /// The policy, likewise.
    pub policy: usize,
    /// Why.
    pub why: Why,
}

/// An exception that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its name.
    pub name: String,
    /// Its reason.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it ends, as written.
    pub expires_at: Option<String>,
    /// Whether it ended.
    pub is_expired: bool,
    /// Where it stands.
    pub place: Place,
}

/// A finding that does not count.
#[derive(Clone, Debug)]
pub struct Suppressed {
    /// As it would have counted. Never one that could not be evaluated.
    pub finding: Finding,
    /// Why it does not.
    pub why: Suppression,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// An exception says so.
    Exception {
        /// Its name.
        name: String,
        /// Its reason.
        reason: String,
        /// Who answers for it.
        owner: Option<String>,
        /// When it ends, as written.
        expires_at: Option<String>,
    },
    /// A rule `exception` of files of Rego says so.
    Rule {
        /// Its name: `data.main.exception`.
        name: String,
    },
    /// A comment in the manifest says so.
    Inline {
        /// Its reason.
        reason: String,
    },
    /// It was known when the baseline was written.
    Baseline,
}

impl Suppression {
    /// `excepted by NAME: reason`, `known from the baseline`.
    pub fn says(&self) -> String {
        match self {
            Self::Exception { name, reason, owner, expires_at } => {
                let owner = owner.iter().map(|owner| format!("owner {owner}"));
                let more: Vec<String> =
                    owner.chain(expires_at.iter().map(|until| format!("until {until}"))).collect();
                let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
                format!("excepted by {name}{more}: {reason}")
            }
            Self::Rule { name } => format!("excepted by {name}"),
            Self::Inline { reason } => format!("ignored by a comment: {reason}"),
            Self::Baseline => "known from the baseline".to_owned(),
        }
    }
}

/// Files of Rego that were taken for policies.
#[derive(Clone, Debug)]
pub struct RuleFiles {
    /// How many.
    pub files: usize,
    /// The packages that were asked, in order.
    pub packages: Vec<String>,
    /// How many rules were asked.
    pub rules: usize,
    /// How many documents they were asked about.
    pub documents: usize,
    /// Whether all at once.
    pub together: bool,
}

impl RuleFiles {
    /// `conftest's convention: 7 rules of package main in 3 files of Rego, 20 documents`.
    pub fn line(&self) -> String {
        const SHOWN: usize = 5;
        let packages: Vec<_> = self.packages.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.packages.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if self.rules == 0 {
            let files = count(self.files, "file of Rego", "files of Rego");
            return format!("conftest's convention: {files}, of which no rule was asked");
        }
        let of = if self.packages.len() == 1 { "package" } else { "packages" };
        format!(
            "conftest's convention: {} of {of} {}{more} in {}, {}{}",
            count(self.rules, "rule", "rules"),
            packages.join(", "),
            count(self.files, "file of Rego", "files of Rego"),
            count(self.documents, "document", "documents"),
            if self.together { " together" } else { "" },
        )
    }
}

/// What the form for people leaves out and adds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Without the summary.
    pub quiet: bool,
    /// With what policies print.
    pub verbose: bool,
    /// Bytes that the form for comments may have.
    pub max_bytes: usize,
}

/// Objects that name no namespace, though their kind lives in one.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// Where they are taken to be.
    pub namespace: String,
    /// Whether somebody said so.
    pub is_given: bool,
    /// How many there are.
    pub objects: usize,
}

impl Placed {
    /// `3 objects name no namespace: taken to be in `default``; `None` if there are none.
    pub fn line(&self) -> Option<String> {
        let objects = match self.objects {
            0 => return None,
            1 => "1 object names no namespace".to_owned(),
            objects => format!("{objects} objects name no namespace"),
        };
        let by = if self.is_given { ", as `--namespace` says" } else { "" };
        Some(format!("{objects}: taken to be in `{}`{by}", self.namespace))
    }

    /// The same as a warning, for reports without a summary; nothing to warn of, if somebody said where they
    /// are.
    pub fn to_warning(&self) -> Option<Error> {
        let line = self.line().filter(|_| !self.is_given)?;
        Some(Error::warning(ErrorKind::MissingNamespace, line).hint("name another one with `--namespace`"))
    }
}

/// An object that was looked at.
#[derive(Debug)]
pub struct Reviewed {
    /// What was judged.
    pub subject: Subject,
    /// True for templates, constraints and other policy documents, which are reviewed like all objects.
    pub is_policy: bool,
    /// The constraints that apply and found nothing, by their index.
    pub passed: Vec<usize>,
    /// What policies printed, with the index of the constraint that was evaluated.
    pub prints: Vec<(usize, String)>,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Findings that deny.
    pub denied: usize,
    /// Findings that warn.
    pub warned: usize,
    /// Findings that are only noted.
    pub noted: usize,
    /// How many of these could not be evaluated.
    pub failures: usize,
    /// Objects that were judged, without policies that nothing was found in.
    pub objects: usize,
    /// Objects in which something was found.
    pub bad_objects: usize,
    /// Findings that an exception lets pass.
    pub excepted: usize,
    /// Findings that are in the baseline.
    pub known: usize,
    /// Objects that no constraint applies to, without policies.
    pub untouched: usize,
    /// Errors in the input.
    pub errors: usize,
    /// Warnings about the input.
    pub warnings: usize,
}

impl TestReport {
    /// Every object with its findings.
    pub fn by_object(&self) -> impl Iterator<Item = (&Reviewed, &[Finding])> {
        self.findings_by_object(&self.findings)
    }

    fn findings_by_object<'a>(
        &'a self,
        findings: &'a [Finding],
    ) -> impl Iterator<Item = (&'a Reviewed, &'a [Finding])> {
        let mut rest = findings;
        self.reviewed.iter().zip(0_u64..).map(move |(reviewed, ordinal)| {
            let own = rest.iter().take_while(|finding| finding.ordinal == ordinal).count();
            let (findings, others) = rest.split_at_checked(own).unwrap_or_default();
            rest = others;
            (reviewed, findings)
        })
    }

    /// Every finding with its object and its policy.
    pub fn each(&self) -> impl Iterator<Item = (&Reviewed, &Policy, &Finding)> {
        self.each_of(&self.findings)
    }

    fn each_of<'a>(
        &'a self,
        findings: &'a [Finding],
    ) -> impl Iterator<Item = (&'a Reviewed, &'a Policy, &'a Finding)> {
        self.findings_by_object(findings).flat_map(|(reviewed, findings)| {
            let with_policy = findings.iter().map(|finding| (self.policies.get(finding.policy), finding));
            with_policy.filter_map(move |(policy, finding)| Some((reviewed, policy?, finding)))
        })
    }

    /// How to make a finding go, with its object.
    pub(crate) fn fix_of(&self, finding: &Finding) -> Option<(&FixedObject, &Fix)> {
        let object = self.fixes.iter().find(|one| one.ordinal == finding.ordinal)?;
        Some((object, object.of(finding.policy, &finding.message)?))
    }

    /// Counts what there is.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (reviewed, findings) in self.by_object() {
            let bad = !findings.is_empty();
            counts.objects += usize::from(bad || !reviewed.is_policy);
            counts.bad_objects += usize::from(bad);
            let is_touched = bad || reviewed.is_policy || !reviewed.passed.is_empty();
            counts.untouched += usize::from(!is_touched);
            for finding in findings {
                let counter = match finding.action().0 {
                    EnforcementAction::Deny => &mut counts.denied,
                    EnforcementAction::Warn => &mut counts.warned,
                    EnforcementAction::Dryrun => &mut counts.noted,
                };
                *counter += 1;
                counts.failures += usize::from(finding.verdict == Verdict::Unknown);
            }
        }
        // What is hidden is touched.
        let hidden: BTreeSet<u64> = self.suppressed.iter().map(|one| one.finding.ordinal).collect();
        let is_clean = |ordinal: &u64| {
            let index = usize::try_from(*ordinal).unwrap_or(usize::MAX);
            let reviewed =
                self.reviewed.get(index).filter(|reviewed| !reviewed.is_policy && reviewed.passed.is_empty());
            reviewed.is_some() && !self.findings.iter().any(|finding| finding.ordinal == *ordinal)
        };
        counts.untouched -= hidden.iter().filter(|ordinal| is_clean(ordinal)).count().min(counts.untouched);
        let is_known = |one: &&Suppressed| one.why == Suppression::Baseline;
        counts.known = self.suppressed.iter().filter(is_known).count();
        counts.excepted = self.suppressed.len() - counts.known;
        counts.errors = self.problems.iter().filter(|problem| problem.is_error()).count();
        counts.warnings = self.problems.len() - counts.errors;
        counts
    }
}
