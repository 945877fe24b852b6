//! Explanations as reports keep and write them: what is told of rules, without the texts that positions point into.
//!
//! ```text
//! WhyRule, of the core ── Rule ──┬─ text and HTML of tests and audits
//!                                └─ Explanation, of a finding of an audit: bounded, and kept on disk ── Rule again
//! ```

use std::fmt;
use std::io;
use std::sync::Arc;

use portcullis::{Location, RuleKind, WhyCondition, WhyFact, WhyFound, WhyRule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Why a policy found something, as far as that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Explanation {
    /// How it came about.
    Told(Told),
    /// It is not told, and why.
    Untold(Untold),
}

/// How a finding came about: the rules that made it. Kept as a text, which takes a tenth of what its parts would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Told {
    /// Rules, as JSON. It was read once when it was made.
    ways: Box<str>,
    /// How many further ways there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    more: u64,
}

/// Why something is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Untold {
    /// What the policy looked at may be secret.
    Secret,
    /// It takes more than one explanation may.
    TooLarge,
    /// The second evaluation did not come to it: it met a limit.
    NotFollowed,
}

/// The sentence in reports.
impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "what the policy looked at may be secret",
            Self::TooLarge => "the explanation is too large",
            Self::NotFollowed => "following the policy met a limit before it came to this",
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Explanation {
    /// The ways in which something was found, the first ones of them, of at most so many bytes.
    #[must_use]
    pub fn of(found: &WhyFound, most: usize) -> Self {
        Self::of_rules(found.ways.iter().map(Rule::from), most)
    }

    /// The same of an object that lies in a cluster: where its fields were read nobody can look up.
    #[must_use]
    pub fn of_unplaced(found: &WhyFound, most: usize) -> Self {
        let ways = found.ways.iter().map(|way| {
            let mut rule = Rule::from(way);
            rule.forget_places();
            rule
        });
        Self::of_rules(ways, most)
    }

    fn of_rules(ways: impl Iterator<Item = Rule>, most: usize) -> Self {
        let (mut text, mut more) = (String::from("["), 0);
        for way in ways {
            let comma = if text.len() > 1 { "," } else { "" };
            let fits = serde_json::to_string(&way).ok().filter(|one| {
                // What is nested too deep for a reader is too much as well.
                more == 0
                    && text.len() + comma.len() + one.len() < most
                    && serde_json::from_str::<[Rule; 1]>(&format!("[{one}]")).is_ok()
            });
            match fits {
                Some(one) => {
                    text.push_str(comma);
                    text.push_str(&one);
                }
                None => more += 1,
            }
        }
        text.push(']');
        match (text.len(), more) {
            (2, 0) => Self::Untold(Untold::NotFollowed),
            (2, _) => Self::Untold(Untold::TooLarge),
            _ => Self::Told(Told { ways: text.into(), more }),
        }
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Told(told) => told.ways.len(),
            Self::Untold(_) => 0,
        }
    }

    /// As JSON: a list of the ways, if they are told, and a sentence on what is not.
    ///
    /// # Errors
    ///
    /// If it is not what was written.
    pub(crate) fn to_json(&self) -> io::Result<(Option<Value>, Option<String>)> {
        match self {
            Self::Told(told) => {
                let ways = told.rules()?.iter().map(Rule::to_json).collect();
                Ok((Some(ways), told.left_out()))
            }
            Self::Untold(why) => Ok((None, Some(why.to_string()))),
        }
    }
}

impl Told {
    /// The rules that made it, one for each way.
    ///
    /// # Errors
    ///
    /// If the text is not what was written.
    pub(crate) fn rules(&self) -> io::Result<Vec<Rule>> {
        serde_json::from_str(&self.ways).map_err(io::Error::other)
    }

    /// That there are more ways, if there are.
    pub(crate) fn left_out(&self) -> Option<String> {
        let ways = match self.more {
            0 => return None,
            1 => "1 more way is".to_owned(),
            more => format!("{more} more ways are"),
        };
        Some(format!("{ways} left out: the explanation is too large"))
    }
}

/// A body of a rule; in CEL an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Rule {
    #[serde(with = "kind")]
    pub kind: RuleKind,
    pub name: String,
    pub at: Option<At>,
    pub holds: bool,
    pub conditions: Vec<Condition>,
}

/// A condition of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Condition {
    pub at: Option<At>,
    pub text: String,
    pub holds: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// What a condition looked at: values as the core words them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) enum Fact {
    Field { path: String, value: Option<String>, at: Option<At> },
    Parameter { path: String, value: Option<String>, at: Option<At> },
    Input { path: String, value: Option<String> },
    Compared { operator: String, left: String, right: String, holds: bool },
    Called { name: String, args: Vec<String>, answer: Option<String> },
    Known { name: String, value: Option<String> },
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct At {
    file: Arc<str>,
    pub line: u32,
    column: u32,
    /// There is no text that line and column could be looked up in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
}

impl From<&Location> for At {
    fn from(at: &Location) -> Self {
        Self {
            file: at.file().clone(),
            line: at.line(),
            column: at.column(),
            whole: at.source().text().is_empty(),
        }
    }
}

/// `file:line:column`.
impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.whole { Ok(()) } else { write!(f, ":{}:{}", self.line, self.column) }
    }
}

impl From<&WhyRule> for Rule {
    fn from(rule: &WhyRule) -> Self {
        Self {
            kind: rule.kind,
            name: rule.name.clone(),
            at: rule.location.as_ref().map(At::from),
            holds: rule.holds,
            conditions: rule.conditions.iter().map(Condition::from).collect(),
        }
    }
}

impl From<&WhyCondition> for Condition {
    fn from(condition: &WhyCondition) -> Self {
        Self {
            at: condition.location.as_ref().map(At::from),
            text: condition.text.clone(),
            holds: condition.holds,
            facts: condition.facts.iter().map(Fact::from).collect(),
            rules: condition.rules.iter().map(Rule::from).collect(),
        }
    }
}

impl From<&WhyFact> for Fact {
    fn from(fact: &WhyFact) -> Self {
        let at = |location: &Option<Location>| location.as_ref().map(At::from);
        match fact {
            WhyFact::Field { path, value, location } => {
                Self::Field { path: path.to_string(), value: value.clone(), at: at(location) }
            }
            WhyFact::Parameter { path, value, location } => {
                Self::Parameter { path: path.to_string(), value: value.clone(), at: at(location) }
            }
            WhyFact::Input { path, value } => Self::Input { path: path.to_string(), value: value.clone() },
            WhyFact::Compared { operator, left, right, holds } => Self::Compared {
                operator: (*operator).to_owned(),
                left: left.clone(),
                right: right.clone(),
                holds: *holds,
            },
            WhyFact::Called { name, args, answer } => {
                Self::Called { name: (*name).to_owned(), args: args.clone(), answer: answer.clone() }
            }
            WhyFact::Known { name, value } => Self::Known { name: name.clone(), value: value.clone() },
        }
    }
}

impl Rule {
    /// Forgets where fields of the object are.
    fn forget_places(&mut self) {
        for condition in &mut self.conditions {
            for fact in &mut condition.facts {
                if let Fact::Field { at, .. } = fact {
                    *at = None;
                }
            }
            condition.rules.iter_mut().for_each(Self::forget_places);
        }
    }

    /// As the core writes it ([`WhyRule::to_json`]), for what was kept.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "rule": self.name,
            "kind": self.kind.as_str(),
            "location": place(self.at.as_ref()),
            "holds": self.holds,
            "conditions": self.conditions.iter().map(Condition::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Condition {
    fn to_json(&self) -> Value {
        json!({
            "condition": self.text,
            "location": place(self.at.as_ref()),
            "holds": self.holds,
            "facts": self.facts.iter().map(Fact::to_json).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(Rule::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Fact {
    fn to_json(&self) -> Value {
        let of = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        let some = |text: &Option<String>| text.as_ref().map(of);
        match self {
            Self::Field { path, value, at } => {
                json!({ "field": path, "value": some(value), "exists": value.is_some(), "location": place(at.as_ref()) })
            }
            Self::Parameter { path, value, at } => {
                json!({ "parameter": path, "value": some(value), "exists": value.is_some(), "location": place(at.as_ref()) })
            }
            Self::Input { path, value } => {
                json!({ "input": path, "value": some(value), "exists": value.is_some() })
            }
            Self::Compared { operator, left, right, holds } => {
                json!({ "operator": operator, "left": of(left), "right": of(right), "holds": holds })
            }
            Self::Called { name, args, answer } => {
                json!({ "builtin": name, "args": args.iter().map(of).collect::<Vec<_>>(), "answer": some(answer) })
            }
            Self::Known { name, value } => {
                json!({ "name": name, "value": some(value), "exists": value.is_some() })
            }
        }
    }
}

fn place(at: Option<&At>) -> Value {
    at.map_or(Value::Null, |at| json!({ "file": &*at.file, "line": at.line, "column": at.column }))
}

/// What a rule is, by its word.
mod kind {
    use portcullis::RuleKind;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    const ALL: [RuleKind; 4] =
        [RuleKind::Rule, RuleKind::MatchCondition, RuleKind::Validation, RuleKind::Variable];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub fn serialize<S: Serializer>(kind: &RuleKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RuleKind, D::Error> {
        let word = String::deserialize(deserializer)?;
        let kind = ALL.into_iter().find(|kind| kind.as_str() == word);
        kind.ok_or_else(|| D::Error::custom(format!("there is no kind of rule `{word}`")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

    use portcullis::{Document, EnforcementPoint, Inventory, Object, PolicySet, Process, Review, Why, World};

    use super::*;

    const POLICY: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: images}
spec:
  crd: {spec: {names: {kind: Images}, validation: {openAPIV3Schema: {type: object, properties: {tag: {type: string}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package images
      import future.keywords
      violation[{"msg": msg}] {
        some container in input.review.object.spec.containers
        is_bad(container.image)
        not input.review.object.metadata.labels.exempt
        count(input.review.object.spec.containers) < 900
        msg := sprintf("%v is bad", [container.image])
      }
      is_bad(image) { endswith(image, input.parameters.tag) }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Images
metadata: {name: images}
spec: {parameters: {tag: ":latest"}}
"#;

    fn why(containers: usize) -> Why {
        let (set, errors) = PolicySet::compile(Document::read_all("policy.yaml", POLICY).0);
        assert!(errors.is_empty(), "{errors:?}");
        let containers = (0..containers).map(|number| format!("{{name: c{number}, image: 'web:latest'}}"));
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{containers: [{}]}}\n",
            containers.collect::<Vec<_>>().join(", ")
        );
        let document = Document::read_all("pod.yaml", &pod).0.remove(0);
        let review = Review::from_object(Object::from_document(document).unwrap());
        let inventory = Inventory::empty();
        let world = World::new(&inventory);
        let key = set.constraints().next().unwrap().key().clone();
        set.explain(&key, &review, &world, EnforcementPoint::Audit, Process::Audit).unwrap()
    }

    #[test]
    fn what_was_kept_is_told_as_the_core_tells_it() {
        let why = why(2);
        let found = why.found.first().unwrap();
        let kept = serde_json::to_string(&Explanation::of(found, 1 << 20)).unwrap();
        let read: Explanation = serde_json::from_str(&kept).unwrap();
        let (ways, rest) = read.to_json().unwrap();
        assert_eq!((ways, rest), (Some(found.ways_to_json()), None));
        // Each kind of rule has a word that is read again.
        for word in ["rule", "match condition", "validation", "variable"] {
            let rule = json!({"kind": word, "name": "x", "at": null, "holds": true, "conditions": []});
            let rule: Rule = serde_json::from_value(rule).unwrap();
            assert_eq!(rule.kind.as_str(), word);
        }
    }

    #[test]
    fn explanations_are_bounded_and_say_so() {
        let why = why(40);
        let found = why.found.first().unwrap();
        let all = Explanation::of(found, 1 << 20);
        let ways = found.ways.len();
        assert!(ways > 10 && matches!(&all, Explanation::Told(told) if told.more == 0), "{ways}");
        let half = Explanation::of(found, all.weight() / 2);
        assert!(half.weight() <= all.weight() / 2);
        let Explanation::Told(told) = &half else { panic!("{half:?}") };
        assert_eq!(told.rules().unwrap().len() as u64 + told.more, ways as u64);
        assert!(told.left_out().unwrap().contains("more ways are left out"), "{:?}", told.left_out());
        assert_eq!(Explanation::of(found, 100), Explanation::Untold(Untold::TooLarge));
        let mut nothing = found.clone();
        nothing.ways.clear();
        assert_eq!(Explanation::of(&nothing, 1 << 20), Explanation::Untold(Untold::NotFollowed));
    }

    #[test]
    fn places_of_what_nobody_can_open_are_not_told() {
        let why = why(1);
        let found = why.found.first().unwrap();
        let text = |explanation: &Explanation| explanation.to_json().unwrap().0.unwrap().to_string();
        assert!(text(&Explanation::of(found, 1 << 20)).contains("pod.yaml"));
        let unplaced = text(&Explanation::of_unplaced(found, 1 << 20));
        assert!(!unplaced.contains("pod.yaml") && unplaced.contains("policy.yaml"), "{unplaced}");
    }
}
