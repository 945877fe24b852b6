//! Suites: tests for policies, as gator defines them, plus what it lacks. This crate reads them; the command
//! line runs them.
//!
//! ```
//! use portcullis::Document;
//! use portcullis_suite::{Expected, Suite};
//!
//! # let text = "
//! # apiVersion: test.gatekeeper.sh/v1alpha1
//! # kind: Suite
//! # tests:
//! # - name: privileged
//! #   template: template.yaml
//! #   constraint: constraint.yaml
//! #   cases:
//! #   - name: a pod that is
//! #     object: pod.yaml
//! #     assertions: [{violations: yes}]
//! # ";
//! let (documents, _) = Document::read_all("suite.yaml", text);
//! let (suite, errors) = Suite::read(&documents[0]);
//!
//! assert!(errors.is_empty());
//! assert_eq!(suite.unwrap().tests[0].cases[0].assertions[0].violations, Expected::Yes);
//! ```

#![forbid(unsafe_code)]

mod equivalent;

use std::sync::Arc;

use portcullis::{Document, Error, ErrorKind, Location, Node, Resource, Severity};
use regex::Regex;
use serde_json::Value;

pub use equivalent::{EquivalentMutant, Wanted};

/// A suite file. Paths in it are relative to the file.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Skips all tests.
    pub skip: bool,
    /// The tests, in file order.
    pub tests: Vec<Test>,
    /// Changes of its templates that its cases need not notice, in file order. gator does not know them.
    pub equivalent_mutants: Vec<EquivalentMutant>,
}

/// A template and a constraint, or mutators, or both, and cases that show what they do.
#[derive(Clone, Debug)]
pub struct Test {
    /// Shown in reports and selected by `--run`.
    pub name: Arc<str>,
    /// What objects are judged by; only a test of mutators may be without.
    pub policy: Option<PolicyFiles>,
    /// Paths of mutators and of mutating admission policies with their bindings, which change objects before they are
    /// judged. gator does not know them.
    pub mutators: Vec<Arc<str>>,
    /// Path of expansion templates.
    pub expansion: Option<Arc<str>>,
    /// Paths of answers of providers of external data. gator does not know them.
    pub provider_answers: Vec<Arc<str>>,
    /// Expects that the constraint does not fit the template's parameter schema.
    pub invalid: bool,
    /// Leaves the test out.
    pub skip: bool,
    /// The cases, in file order.
    pub cases: Vec<Case>,
    /// Where the test stands.
    pub location: Location,
}

/// A template and the constraint that uses it.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    /// Path of the template.
    pub template: Arc<str>,
    /// Path of the constraint.
    pub constraint: Arc<str>,
}

/// One object or admission request, and what should come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Shown in reports and selected by `--run`.
    pub name: Arc<str>,
    /// Path of the object under test.
    pub object: Arc<str>,
    /// Paths of objects that the policy finds in the inventory.
    pub inventory: Vec<Arc<str>>,
    /// Path of the object that mutators should make of it. gator does not know it.
    pub mutated: Option<Arc<str>>,
    /// What should hold; never empty, unless there is `mutated`.
    pub assertions: Vec<Assertion>,
    /// Leaves the case out.
    pub skip: bool,
    /// Where the case stands.
    pub location: Location,
}

/// How many violations there should be, of those whose message matches.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// How many.
    pub violations: Expected,
    /// Which count; all, if absent.
    pub message: Option<Regex>,
    /// Where the assertion stands.
    pub location: Location,
}

/// An expected number of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// At least one.
    Yes,
    /// None.
    No,
    /// Exactly this many.
    Exactly(u64),
}

impl Suite {
    /// Reads a document of kind Suite; any other is `None`, without errors of this crate. So is one that is
    /// wrong in any place: reading goes on after the first mistake, so that all are reported.
    #[must_use]
    pub fn read(document: &Document) -> (Option<Self>, Vec<Error>) {
        let (resource, mut errors) = Resource::read(document);
        if !matches!(resource, Some(Resource::Suite)) {
            return (None, errors);
        }
        let root = Node::root(document);
        root.check_fields(
            &["apiVersion", "kind", "metadata", "skip", "tests", "equivalentMutants"],
            &mut errors,
        );
        let skip = root.optional_bool("skip", &mut errors).unwrap_or(false);
        let tests = root.list("tests", &mut errors);
        let tests = tests.iter().filter_map(|test| Test::read(test, &mut errors)).collect();
        let equivalent_mutants = EquivalentMutant::read_all(&root, &mut errors);
        let is_broken = errors.iter().any(|error| error.severity() == Severity::Error);
        ((!is_broken).then_some(Self { skip, tests, equivalent_mutants }), errors)
    }
}

impl Test {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(
            &[
                "name",
                "template",
                "constraint",
                "mutators",
                "expansion",
                "providerAnswers",
                "invalid",
                "skip",
                "cases",
            ],
            errors,
        );
        let has = |field: &str| node.field(field).is_some();
        let mutators = read_paths(node, "mutators", "the path of a file with mutators", errors);
        let answers = "the path of a file with answers of providers";
        let provider_answers = read_paths(node, "providerAnswers", answers, errors);
        let policy = if has("mutators") && !has("template") && !has("constraint") {
            None
        } else {
            let template = node.required_text("template", errors);
            let constraint = node.required_text("constraint", errors);
            Some(template.zip(constraint).map(|(template, constraint)| PolicyFiles { template, constraint }))
        };
        let judges = Judges { policy: policy.is_some(), mutators: has("mutators") };
        let cases: Vec<_> =
            node.list("cases", errors).iter().filter_map(|case| Case::read(case, judges, errors)).collect();
        let invalid = node.optional_bool("invalid", errors).unwrap_or(false);
        if let Some(cases_node) = node.field("cases").filter(|_| invalid && !cases.is_empty()) {
            let message = "a test with `invalid: true` has no cases: its constraint is never used";
            errors.push(cases_node.error(ErrorKind::Suite, message));
        }
        if let Some(field) = node.field("invalid").filter(|_| invalid && !judges.policy) {
            let message = "`invalid` is about a constraint, and this test has none";
            errors.push(field.error(ErrorKind::Suite, message));
        }
        Some(Self {
            name: node.optional_text("name", errors).unwrap_or_default(),
            policy: match policy {
                None => None,
                // One of both is missing, which has been said.
                Some(files) => Some(files?),
            },
            mutators,
            expansion: node.optional_text("expansion", errors),
            provider_answers,
            invalid,
            skip: node.optional_bool("skip", errors).unwrap_or(false),
            cases,
            location: node.location(),
        })
    }
}

/// The paths in a field: one as a text, or several as a list.
fn read_paths(node: &Node<'_>, key: &str, what: &str, errors: &mut Vec<Error>) -> Vec<Arc<str>> {
    let Some(field) = node.field(key) else { return Vec::new() };
    let paths = match field.to_json() {
        Value::String(path) => vec![Arc::from(path)],
        Value::Array(_) => node.texts(key, errors),
        _ => {
            errors.push(field.expected(&format!("{what}, or a list of such paths")));
            return Vec::new();
        }
    };
    if paths.is_empty() {
        errors.push(field.error(ErrorKind::Suite, format!("`{key}` names no file")));
    }
    paths
}

/// What a test has that its cases can be about.
#[derive(Clone, Copy)]
struct Judges {
    policy: bool,
    mutators: bool,
}

impl Case {
    fn read(node: &Node<'_>, judges: Judges, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(&["name", "object", "inventory", "mutated", "assertions", "skip"], errors);
        let object = node.required_text("object", errors);
        let mutated = node.optional_text("mutated", errors);
        // What is named as the template may be a policy that mutates.
        if let Some(field) = node.field("mutated").filter(|_| !judges.mutators && !judges.policy) {
            let message = "nothing mutates the object of this case: its test names no `mutators`";
            errors.push(field.error(ErrorKind::Suite, message).hint("add `mutators: FILE` to the test"));
        }
        let assertions: Vec<_> = node
            .list("assertions", errors)
            .iter()
            .filter_map(|assertion| Assertion::read(assertion, errors))
            .collect();
        let skip = node.optional_bool("skip", errors).unwrap_or(false);
        let asserts = !node.list("assertions", &mut Vec::new()).is_empty();
        if let Some(field) = node.field("assertions").filter(|_| asserts && !judges.policy) {
            let message =
                "nothing judges the object of this case: its test has no template and no constraint";
            let hint = "add both to the test, or assert the mutated object with `mutated: FILE`";
            errors.push(field.error(ErrorKind::Suite, message).hint(hint));
        }
        if !skip && !asserts && node.field("mutated").is_none() {
            let message = "a case needs at least one assertion: it could not fail otherwise";
            let hint = match judges {
                Judges { policy: false, .. } => "name the object that should come with `mutated: FILE`",
                Judges { mutators: true, .. } => "add `assertions: [{violations: yes}]` or `mutated: FILE`",
                Judges { .. } => "add `assertions: [{violations: yes}]`",
            };
            errors.push(node.error(ErrorKind::Suite, message).hint(hint));
        }
        Some(Self {
            name: node.optional_text("name", errors).unwrap_or_default(),
            object: object?,
            inventory: node.texts("inventory", errors),
            mutated,
            assertions,
            skip,
            location: node.location(),
        })
    }
}

impl Assertion {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(&["violations", "message"], errors);
        let violations = match node.field("violations") {
            None => Some(Expected::Yes),
            Some(field) => read_expected(&field, errors),
        };
        let message = match node.field("message").filter(|field| field.to_json() != "") {
            None => None,
            Some(field) => Some(read_pattern(&field, errors)?),
        };
        Some(Self { violations: violations?, message, location: node.location() })
    }

    /// What it wants and what there is instead, of violations with these messages; `None` if it holds.
    ///
    /// ```
    /// # use portcullis::Location;
    /// use portcullis_suite::{Assertion, Expected};
    ///
    /// # let location = Location::new(portcullis::Source::new("suite.yaml", ""), 0..0);
    /// let assertion = Assertion { violations: Expected::Exactly(1), message: None, location };
    /// assert_eq!(assertion.unmet(["privileged"]), None);
    /// assert_eq!(assertion.unmet([]).unwrap(), "expected exactly 1 violation, got 0");
    /// ```
    #[must_use]
    pub fn unmet<'m>(&self, messages: impl IntoIterator<Item = &'m str>) -> Option<String> {
        let (mut all, mut matching) = (0_usize, 0_usize);
        for message in messages {
            all += 1;
            matching += usize::from(self.message.as_ref().is_none_or(|pattern| pattern.is_match(message)));
        }
        let holds = match self.violations {
            Expected::Yes => matching > 0,
            Expected::No => matching == 0,
            Expected::Exactly(wanted) => u64::try_from(matching) == Ok(wanted),
        };
        if holds {
            return None;
        }
        let wanted = match self.violations {
            Expected::Yes => "expected at least one violation".to_owned(),
            Expected::No => "expected no violation".to_owned(),
            Expected::Exactly(1) => "expected exactly 1 violation".to_owned(),
            Expected::Exactly(wanted) => format!("expected exactly {wanted} violations"),
        };
        let got = match &self.message {
            None => format!(", got {all}"),
            Some(pattern) if all > matching => {
                let others = all - matching;
                format!(
                    " with a message that matches `{pattern}`, got {matching} (and {others} with other messages)"
                )
            }
            Some(pattern) => format!(" with a message that matches `{pattern}`, got {matching}"),
        };
        Some(format!("{wanted}{got}"))
    }
}

fn read_expected(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Expected> {
    let count = match node.to_json() {
        // Plain `yes` and `no` are booleans in YAML 1.1, texts when quoted.
        Value::Bool(true) => return Some(Expected::Yes),
        Value::Bool(false) => return Some(Expected::No),
        Value::String(word) if word == "yes" => return Some(Expected::Yes),
        Value::String(word) if word == "no" => return Some(Expected::No),
        Value::String(word) => word.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    if count.is_none() {
        errors.push(node.expected("`yes`, `no` or a number"));
    }
    count.map(Expected::Exactly)
}

fn read_pattern(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Regex> {
    let text = node.text(errors)?;
    match Regex::new(&text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            errors.push(
                node.error(
                    ErrorKind::InvalidValue,
                    format!("`message` is not a regular expression: {reason}"),
                ),
            );
            None
        }
    }
}
