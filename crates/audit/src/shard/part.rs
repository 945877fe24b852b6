//! What a shard writes: lines of JSON. A head that says of which audit it is, its policies, what was said in order, and an end that says how
//! many lines there are and what they hash to. What has no such end is not whole.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

use portcullis::{ConstraintKey, EnforcementAction, Engine, Object};
use portcullis_report::sink::{Output, Target};
use portcullis_report::{Action, Origin, Place, Policy, PolicySeverity, Template};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::events::{At, Event};

/// The version of parts. What is put together has to be of one.
pub const VERSION: u32 = 1;

/// What the first line calls a part.
pub const FORMAT: &str = "portcullis-audit-part";

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The version of the program.
    pub program: String,
    /// Which one, from 0.
    pub shard: u32,
    /// Of how many.
    pub of: u32,
    /// `files` or `cluster`.
    pub subject: String,
    /// Seconds since 1970.
    pub started: u64,
    /// As in reports.
    pub policy_digest: String,
    /// What results depend on beside input and policies, by the names of flags.
    pub settings: Value,
    /// How many policies the next lines have, one each.
    pub policies: usize,
}

/// How a shard ended, in the last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct End {
    /// Seconds since 1970.
    pub ended: u64,
    /// Objects that it judged, and findings among them.
    pub judged: u64,
    /// Bytes that it read.
    pub bytes: u64,
    /// SHA-256 of all that both passes read; empty for a cluster, which is never twice the same.
    pub input: String,
    /// Why it was ended before it had seen everything, if it was.
    pub unfinished: Option<String>,
}

/// The last line: what comes before it, and how the shard ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    pub end: End,
    /// How many lines come before this one.
    pub lines: u64,
    /// Their SHA-256.
    pub sha256: String,
}

/// A line of what was said.
#[derive(Serialize)]
struct Said<'a> {
    at: &'a At,
    said: &'a Event,
}

/// A part that is being written. An error is kept until it is asked for.
pub struct Part {
    out: Output,
    hash: Sha256,
    lines: u64,
    failed: Option<io::Error>,
}

impl Part {
    /// Begins to write one.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub fn create(target: &Target, header: &Header, policies: &[Policy]) -> io::Result<Self> {
        let mut part = Self { out: target.open(false)?, hash: Sha256::new(), lines: 0, failed: None };
        part.line(header);
        for policy in policies {
            part.line(&Written::of(policy));
        }
        part.check().map(|()| part)
    }

    /// Writes down what was said.
    pub fn event(&mut self, at: &At, said: &Event) {
        self.line(&Said { at, said });
    }

    fn line(&mut self, line: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_vec(line).map_err(io::Error::other).and_then(|mut bytes| {
            bytes.push(b'\n');
            self.hash.update(&bytes);
            self.lines += 1;
            self.out.write_all(&bytes)
        });
        self.failed = written.err();
    }

    /// Whether all could be written so far.
    ///
    /// # Errors
    ///
    /// If it could not.
    pub fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Writes the end, and gives the file its name.
    ///
    /// # Errors
    ///
    /// If something could not be written.
    pub fn finish(mut self, end: End) -> io::Result<()> {
        let sha256 = hex(self.hash.clone());
        let lines = self.lines;
        self.line(&Last { end, lines, sha256 });
        self.check()?;
        self.out.finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// A digest, as it is written.
pub fn hex(hash: Sha256) -> String {
    use std::fmt::Write as _;
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A policy, with all that reports may want of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Written {
    kind: Arc<str>,
    name: Arc<str>,
    title: Option<String>,
    description: Option<String>,
    severity: Option<PolicySeverity>,
    category: Option<String>,
    link: Option<String>,
    actions: Vec<Action>,
    declared: String,
    annotations: std::collections::BTreeMap<String, String>,
    place: Place,
    template: String,
    rego: Arc<str>,
    template_place: Place,
    constraint: Option<Value>,
    rule: Option<String>,
    engine: Option<String>,
}

impl Written {
    fn of(policy: &Policy) -> Self {
        let (constraint, rule, engine) = match &policy.origin {
            Origin::Constraint(object, engine) => {
                (Some(object.to_json()), None, Some(engine.as_str().to_owned()))
            }
            Origin::Rule(rule) => (None, Some(rule.clone()), None),
        };
        let policy = policy.clone();
        Self {
            kind: policy.key.kind,
            name: policy.key.name,
            title: policy.title,
            description: policy.description,
            severity: policy.severity,
            category: policy.category,
            link: policy.link,
            actions: policy.actions,
            declared: policy.declared.to_owned(),
            annotations: policy.annotations,
            place: policy.place,
            template: policy.template.name,
            rego: policy.template.rego,
            template_place: policy.template.place,
            constraint,
            rule,
            engine,
        }
    }

    /// What was written; an error says what is wrong with it.
    pub fn read(self) -> Result<Policy, String> {
        let mut words = [EnforcementAction::Deny, EnforcementAction::Warn, EnforcementAction::Dryrun]
            .map(EnforcementAction::as_str)
            .into_iter()
            .chain(["scoped"]);
        let declared = words.find(|word| *word == self.declared);
        let declared = declared.ok_or_else(|| format!("there is no action `{}`", self.declared))?;
        let engine =
            |word: &str| [Engine::Rego, Engine::Cel].into_iter().find(|engine| engine.as_str() == word);
        let origin = match (self.constraint, self.engine.as_deref().and_then(engine), self.rule) {
            (Some(constraint), Some(engine), None) => {
                let object = Object::from_json(&constraint).map_err(|error| error.to_string())?;
                Origin::Constraint(object, engine)
            }
            (None, None, Some(rule)) => Origin::Rule(rule),
            _ => return Err("a policy is a constraint or a rule".to_owned()),
        };
        Ok(Policy {
            key: ConstraintKey { kind: self.kind, name: self.name },
            title: self.title,
            description: self.description,
            severity: self.severity,
            category: self.category,
            link: self.link,
            actions: self.actions,
            declared,
            annotations: self.annotations,
            place: self.place,
            template: Template { name: self.template, rego: self.rego, place: self.template_place },
            origin,
        })
    }
}
