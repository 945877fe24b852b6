//! What must not be recorded: the data of Secrets, tokens that are reviewed or requested, the fields that the command line names, and whatever rests on one of them.
//!
//! ```text
//! body ──hide──> request without secrets, the fields that had some ──may_rest_on──> constraints whose texts are withheld
//!                                         \── search ──> what all other texts repeat of them all the same
//! ```
//!
//! A policy can write a secret in any form: trimmed, turned round, as a number of letters. So its texts are not searched but withheld
//! whole if it may have read one, which its program says. The search is a second line: it finds what a defect of the first lets by.

mod hide;
mod search;

use std::collections::BTreeSet;
use std::str::FromStr;

use portcullis::{ConstraintKey, ConstraintResult, FieldPath, Finding, Gvk, Segment, Verdict};
use serde_json::Value;

use crate::admission::answer::Answer;
use crate::bounds::{self, cut};
use crate::serving::Serving;
use hide::Hidden;
use search::Search;

/// What stands where something secret was.
pub const REDACTED: &str = "<redacted>";
/// What stands for a message of a policy that reads secrets.
pub const WITHHELD: &str = "<redacted>: the policy may repeat what is secret in this request";
/// The same of a request that cannot be read, or that is refused for what is in it.
const UNREAD: &str = "<redacted>: the reason may repeat what is secret in this request";

/// Fields of objects: `spec.containers[*].env[*].value`. `*` is any key or position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(FieldPath);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = FieldPath::parse(&text.replace("[*]", ".*"));
        path.filter(|path| !path.is_root()).map(Self).ok_or_else(|| {
            "expected the path of a field, such as `spec.containers[*].env[*].value`".to_owned()
        })
    }
}

/// What may be recorded of one request.
#[derive(Debug)]
pub struct Redaction {
    /// `None` if the request cannot be read: then nobody knows what is secret in it.
    hidden: Option<Hidden>,
    /// Constraints that may repeat a secret.
    withheld: BTreeSet<ConstraintKey>,
    /// Constraints that compare with objects which may have secrets: of these nothing is told but what they say.
    unexplained: BTreeSet<ConstraintKey>,
    search: Search,
}

impl Redaction {
    /// Of a body and what was answered, by the policies that judged it. With `keeps_request` the request is kept, without what is
    /// secret. Cost: a pass over the body, and a look at the program of each constraint that found something.
    #[must_use]
    pub fn of(
        body: &[u8],
        answer: &Answer,
        serving: &Serving,
        patterns: &[Pattern],
        keeps_request: bool,
    ) -> Self {
        let hidden = Hidden::of(body, patterns, keeps_request);
        let fields = hidden.as_ref().map(|hidden| &hidden.fields);
        let inventory = secrets_of_inventory(serving, patterns);
        let may_repeat = |key: &ConstraintKey| {
            fields.is_none_or(|fields| fields.iter().any(|field| serving.policies.may_rest_on(key, field)))
                || inventory
                    .iter()
                    .any(|(kind, field)| serving.policies.may_rest_on_inventory(key, kind.as_ref(), field))
        };
        let results = answer.outcome.iter().flat_map(|outcome| &outcome.results);
        let found = results.filter(|result| !matches!(result.verdict, Verdict::Pass));
        let found: Vec<&ConstraintKey> = found.map(ConstraintResult::key).collect();
        let withheld = found.iter().filter(|key| may_repeat(key)).map(|key| (*key).clone()).collect();
        let compares =
            |key: &ConstraintKey| serving.policies.may_rest_on_inventory(key, None, &FieldPath::root());
        let is_unexplained = |key: &ConstraintKey| !inventory.is_empty() && compares(key);
        let explained = found.iter().filter(|_| answer.explanations.is_some());
        let unexplained = explained.filter(|key| is_unexplained(key)).map(|key| (*key).clone()).collect();
        let search = hidden.as_ref().map_or_else(Search::default, |hidden| Search::of(&hidden.texts));
        Self { hidden, withheld, unexplained, search }
    }

    /// The request without what is secret, if it was to be kept and can be read: one line of JSON.
    #[must_use]
    pub fn request(&self) -> Option<&[u8]> {
        self.hidden.as_ref()?.request.as_deref()
    }

    /// Whether anything of the request is secret, or may be.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.hidden.as_ref().is_none_or(|hidden| !hidden.fields.is_empty())
    }

    /// The message of a finding, as it may be recorded.
    #[must_use]
    pub fn message(&self, finding: &Finding<'_>) -> String {
        // That a limit was exceeded is worded without any value.
        let is_limit = match &finding.result.verdict {
            Verdict::Error(error) => error.limit.is_some(),
            _ => false,
        };
        if !is_limit && self.withheld.contains(finding.result.key()) {
            return WITHHELD.to_owned();
        }
        // Masked before it is cut: a secret must not be cut into something that is not found.
        cut(&self.search.mask(finding.message), bounds::MESSAGE).into_owned()
    }

    /// The details of a finding, as they may be recorded.
    #[must_use]
    pub fn details(&self, finding: &Finding<'_>) -> Value {
        if self.withheld.contains(finding.result.key()) {
            return REDACTED.into();
        }
        let text = finding.details_json(bounds::DETAILS);
        // What is nested too deep for a reader of JSON is too much as well.
        let details = text.and_then(|text| serde_json::from_str(&text).ok());
        details.map_or_else(
            || bounds::left_out("details", bounds::DETAILS).into(),
            |details| self.search.mask_value(&details),
        )
    }

    /// Why a constraint says something, as it may be recorded. Conditions may look at more than what they rest on, as at a whole object
    /// of which they take a name: so nothing is told of requests that have anything secret.
    #[must_use]
    pub fn why(&self, key: &ConstraintKey, ways: &Value) -> Value {
        if self.has_secrets() || self.withheld.contains(key) || self.unexplained.contains(key) {
            return REDACTED.into();
        }
        self.search.mask_value(ways)
    }

    /// What the user saw of a request that was not judged, as it may be recorded.
    #[must_use]
    pub fn refusal(&self, answer: &Answer) -> String {
        // What is quoted stands in quotes.
        let quotes = answer.repeats_request() && answer.message().contains(['`', '"', '\'']);
        if (quotes || answer.quotes_object()) && self.has_secrets() {
            return UNREAD.to_owned();
        }
        cut(answer.message(), bounds::MESSAGE).into_owned()
    }
}

/// Fields of objects that policies may compare with, by kind; `None` is any.
fn secrets_of_inventory(serving: &Serving, patterns: &[Pattern]) -> Vec<(Option<Gvk>, FieldPath)> {
    let named = patterns.iter().map(|Pattern(path)| (None, path.clone()));
    let secret = Gvk::new("v1", "Secret");
    let holds_secrets = serving.inventory.kinds().any(|(kind, _)| *kind == secret);
    let of_secrets = hide::secret_fields().into_iter().filter(|_| holds_secrets);
    let of_secrets = of_secrets.map(|field| (Some(secret.clone()), field));
    of_secrets.chain(named).collect()
}

fn path(keys: &[&str]) -> FieldPath {
    keys.iter().fold(FieldPath::root(), |path, key| path.child(*key))
}

impl Pattern {
    fn segments(&self) -> &[Segment] {
        self.0.segments()
    }
}
