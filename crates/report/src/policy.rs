//! A policy, as reports show it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portcullis::{
    ConstraintInfo, ConstraintKey, Document, EnforcementPoint, Engine, Limits, ModuleRule, Object, Source,
};
use serde::{Deserialize, Serialize};

use crate::{Action, Finding, Place};

/// A constraint, with what its template says about it, or a rule of a file of Rego.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Kind and name of the constraint.
    #[serde(serialize_with = "display")]
    pub key: ConstraintKey,
    /// The template's title, if it has one.
    pub title: Option<String>,
    /// The template's description, if it has one.
    pub description: Option<String>,
    /// From the annotation of the constraint, or else of the template.
    pub severity: Option<PolicySeverity>,
    /// What it is about, from the annotation [`Policy::CATEGORY`] of the constraint, or else of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Where there is more to read, from [`Policy::LINK`] of the constraint, or else of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What its violations lead to in an audit, the gravest first.
    pub actions: Vec<Action>,
    /// `spec.enforcementAction`: a word, or `scoped`.
    pub declared: &'static str,
    /// The annotations of the constraint, without what `kubectl apply` keeps there.
    pub annotations: BTreeMap<String, String>,
    /// Where the constraint stands.
    pub place: Place,
    /// What judges.
    pub template: Template,
    /// What it is in the files it was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// What a policy is.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A constraint, and what evaluates its template.
    Constraint(Object, Engine),
    /// A rule of a file of Rego, which is asked for as `data.main.deny`.
    Rule(String),
}

impl Policy {
    /// The annotation that says what a policy is about.
    pub const CATEGORY: &'static str = "policy.portcullis.dev/category";
    /// The annotation that says where there is more to read: an address of the web.
    pub const LINK: &'static str = "policy.portcullis.dev/link";

    /// Whether its actions are those of enforcement points.
    pub fn is_scoped_for(&self, finding: &Finding) -> bool {
        self.is_scoped() && !finding.is_overridden()
    }

    /// The word for what a finding leads to: the constraint's, or that of the template which implies what it is
    /// found in.
    pub fn declared_for(&self, finding: &Finding) -> &'static str {
        if finding.is_overridden() { finding.action().as_str() } else { self.declared }
    }

    /// Whether it has actions for each enforcement point.
    pub fn is_scoped(&self) -> bool {
        self.declared == "scoped"
    }

    /// Of a constraint, as it counts at an enforcement point.
    pub fn of(constraint: &ConstraintInfo, point: EnforcementPoint) -> Self {
        /// What `kubectl apply` keeps: the constraint once more.
        const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
        let template = constraint.template();
        let of_template = Object::from_document(template.document().clone()).ok();
        let annotated = [Some(constraint.object()), of_template.as_ref()];
        let severity = annotated.into_iter().flatten().find_map(|object| {
            let word = |name: &&str| object.annotation(name)?.text();
            PolicySeverity::from_word(PolicySeverity::ANNOTATIONS.iter().find_map(word)?)
        });
        let annotation = |name: &str| {
            let mut all = annotated.into_iter().flatten();
            all.find_map(|object| object.annotation(name)?.text()).map(str::to_owned)
        };
        // Anything else would be a link that does something.
        let is_address = |link: &String| link.starts_with("https://") || link.starts_with("http://");
        let (category, link) = (annotation(Self::CATEGORY), annotation(Self::LINK).filter(is_address));
        let (rego, place) = template.text();
        let annotations = constraint.object().annotations().filter(|(key, _)| *key != LAST_APPLIED);
        let annotations =
            annotations.filter_map(|(key, value)| Some((key.to_owned(), value.text()?.to_owned())));
        Self {
            key: constraint.key().clone(),
            title: template.title().map(str::to_owned),
            description: template
                .description()
                .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
            severity,
            category,
            link,
            actions: Action::list(constraint.enforcement().actions(point)),
            declared: constraint.enforcement().declared(),
            annotations: annotations.collect(),
            place: Place::of(constraint.location()),
            template: Template {
                name: template.name().as_str().to_owned(),
                rego: rego.clone(),
                place: Place::of(&place),
            },
            origin: Origin::Constraint(constraint.object().clone(), template.engine()),
        }
    }

    /// Of a rule of a file of Rego.
    pub fn of_rule(rule: &ModuleRule) -> Self {
        let action = rule.kind().action();
        // Of several definitions it is not known which one finds something.
        let (title, description) = match rule.definitions() {
            1 => metadata(rule.source().text(), rule.location().line()),
            _ => (None, None),
        };
        Self {
            key: rule.key(),
            title,
            description,
            severity: None,
            category: None,
            link: None,
            actions: vec![Action(action)],
            declared: action.as_str(),
            annotations: BTreeMap::new(),
            place: Place::of(rule.location()),
            template: Template {
                name: rule.package().to_string(),
                rego: rule.source().text().clone(),
                place: Place::of(rule.location()),
            },
            origin: Origin::Rule(rule.to_string()),
        }
    }
}

/// A template, as reports show it.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// Its name: the kind of the constraint, in lower case.
    pub name: String,
    /// Its Rego, without libraries.
    pub rego: Arc<str>,
    /// Where the Rego starts.
    pub place: Place,
}

/// How grave the authors of a policy think it is, the gravest first: the annotation
/// `metadata.gatekeeper.sh/severity`, or `policies.kyverno.io/severity`, in the words of policy reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicySeverity {
    /// `critical`.
    Critical,
    /// `high`.
    High,
    /// `medium`.
    Medium,
    /// `low`.
    Low,
    /// `info`.
    Info,
}

impl PolicySeverity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The annotations that hold it, in the order in which they count.
    pub const ANNOTATIONS: [&'static str; 2] =
        ["metadata.gatekeeper.sh/severity", "policies.kyverno.io/severity"];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }

    /// From the word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(word.trim()))
    }
}

fn display<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Title and description of a rule, as OPA's METADATA says them in the comment directly above a line, or else of its package,
/// above that.
fn metadata(text: &str, line: u32) -> (Option<String>, Option<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let own = usize::try_from(line).unwrap_or_default().saturating_sub(1);
    let package = lines.iter().position(|line| line.starts_with("package "));
    let above = |line: usize| {
        let before = lines.get(..line).unwrap_or_default();
        let comment = before.iter().rev().take_while(|line| line.starts_with('#')).count();
        let comment = before.get(before.len() - comment..).unwrap_or_default();
        let start = comment.iter().rposition(|line| line.trim_start_matches('#').trim() == "METADATA")?;
        // A space stands between the sign and the text, in all lines or in none.
        let texts = comment.get(start + 1..).unwrap_or_default().iter().map(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.strip_prefix(' ').unwrap_or(line)
        });
        let source = Source::new("METADATA", texts.collect::<Vec<_>>().join("\n"));
        // What is wrong with it is for who checks policies, not for who reads findings.
        let (documents, _) = Document::read_source(&source, &Limits::default());
        let json = documents.first()?.to_json();
        let said = |key: &str| {
            let text = json.get(key)?.as_str()?;
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            (!text.is_empty()).then_some(text)
        };
        Some((said("title"), said("description")))
    };
    let (title, description) = above(own).unwrap_or_default();
    if title.is_some() || description.is_some() {
        return (title, description);
    }
    package.and_then(above).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_the_title_of_their_metadata_or_of_their_package() {
        let text = "# Licence\n# METADATA\n# title: All of it\npackage main\n\n# METADATA\n# title: No root\n# description: >\n#   says\n#   no\n# custom: {a: 1}\ndeny contains 1\n\n# METADATA\n# title: [\nwarn contains 1\n\n# just a comment\nviolation contains 1\n";
        let of = |line| metadata(text, line);
        assert_eq!(of(12), (Some("No root".to_owned()), Some("says no".to_owned())));
        for line in [16, 19, 1, 0, 99] {
            assert_eq!(of(line), (Some("All of it".to_owned()), None), "{line}");
        }
        assert_eq!(metadata("package main\ndeny contains 1\n", 2), (None, None));
    }
}
