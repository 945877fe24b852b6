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

use std::sync::Arc;

use portcullis::{Document, Error, ErrorKind, Location, Node, Resource, Severity};
use regex::Regex;
use serde_json::Value;

/// A suite file. Paths in it are relative to the file.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Skips all tests.
    pub skip: bool,
    /// The tests, in file order.
    pub tests: Vec<Test>,
}

/// A template and a constraint, and cases that show what they do.
#[derive(Clone, Debug)]
pub struct Test {
    /// Shown in reports and selected by `--run`.
    pub name: Arc<str>,
    /// Path of the template.
    pub template: Arc<str>,
    /// Path of the constraint.
    pub constraint: Arc<str>,
    /// Path of expansion templates.
    pub expansion: Option<Arc<str>>,
    /// Expects that the constraint does not fit the template's parameter schema.
    pub invalid: bool,
    /// Leaves the test out.
    pub skip: bool,
    /// The cases, in file order.
    pub cases: Vec<Case>,
    /// Where the test stands.
    pub location: Location,
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
    /// What should hold; never empty.
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
        root.check_fields(&["apiVersion", "kind", "metadata", "skip", "tests"], &mut errors);
        let skip = root.optional_bool("skip", &mut errors).unwrap_or(false);
        let tests = root.list("tests", &mut errors);
        let tests = tests.iter().filter_map(|test| Test::read(test, &mut errors)).collect();
        let is_broken = errors.iter().any(|error| error.severity() == Severity::Error);
        ((!is_broken).then_some(Self { skip, tests }), errors)
    }
}

impl Test {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(
            &["name", "template", "constraint", "expansion", "invalid", "skip", "cases"],
            errors,
        );
        let template = node.required_text("template", errors);
        let constraint = node.required_text("constraint", errors);
        let cases: Vec<_> =
            node.list("cases", errors).iter().filter_map(|case| Case::read(case, errors)).collect();
        let invalid = node.optional_bool("invalid", errors).unwrap_or(false);
        if let Some(cases_node) = node.field("cases").filter(|_| invalid && !cases.is_empty()) {
            let message = "a test with `invalid: true` has no cases: its constraint is never used";
            errors.push(cases_node.error(ErrorKind::Suite, message));
        }
        Some(Self {
            name: node.optional_text("name", errors).unwrap_or_default(),
            template: template?,
            constraint: constraint?,
            expansion: node.optional_text("expansion", errors),
            invalid,
            skip: node.optional_bool("skip", errors).unwrap_or(false),
            cases,
            location: node.location(),
        })
    }
}

impl Case {
    fn read(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        node.check_fields(&["name", "object", "inventory", "assertions", "skip"], errors);
        let object = node.required_text("object", errors);
        let assertions: Vec<_> = node
            .list("assertions", errors)
            .iter()
            .filter_map(|assertion| Assertion::read(assertion, errors))
            .collect();
        let skip = node.optional_bool("skip", errors).unwrap_or(false);
        if !skip && node.list("assertions", &mut Vec::new()).is_empty() {
            let message = "a case needs at least one assertion: it could not fail otherwise";
            errors.push(node.error(ErrorKind::Suite, message).hint("add `assertions: [{violations: yes}]`"));
        }
        Some(Self {
            name: node.optional_text("name", errors).unwrap_or_default(),
            object: object?,
            inventory: node.texts("inventory", errors),
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
