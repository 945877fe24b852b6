//! Files of Rego as policies, for `test`: which they are, what they find, and where.
//!
//! ```text
//! files, data ── ModuleSet::compile ──> rules ──┐
//! documents ── ModuleInput, each or together ───┴── review ──> findings, as those of constraints
//! ```

use std::path::{Path, PathBuf};

use portcullis::{
    Document, Error, FieldPath, Inventory, Limits, Location, ModuleInput, ModuleRuleKind, ModuleSet, Object,
    Packages, Position, Precision, RuleResult, Verdict, Violation,
};
use portcullis_report::{
    self as report, Action, Details, Finding, InText, Policy, Reviewed, RuleFiles, Subject, Suppressed,
    Suppression,
};
use portcullis_sources::{InputFile, elsewhere};
use rayon::prelude::*;

use crate::commands::evaluation::Evaluating;
use crate::commands::input::{Given, has_errors};
use crate::commands::rego_files::{data, modules};
use crate::commands::trace::{Done, account};
use crate::test_args::TestArgs;

/// Rules, and what they are asked about.
pub struct Rules {
    set: ModuleSet,
    /// How many files there are, also if they could not be used.
    files: usize,
    together: bool,
    /// Of the first rule among the policies of a report.
    first: usize,
    /// Whether traces are asked for.
    traces: bool,
}

/// What came of one document, or of all together.
pub struct Asked {
    pub reviewed: Reviewed,
    pub findings: Vec<Finding>,
    pub suppressed: Vec<Suppressed>,
    pub done: Vec<Done>,
}

impl Rules {
    /// Reads and compiles. `packages` are those that the command line names.
    pub fn load(
        files: &[InputFile],
        args: &TestArgs,
        packages: Vec<String>,
        first: usize,
    ) -> (Self, Vec<Error>) {
        let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
        let (modules, mut problems) = modules(files, args.rego.rego_version, &limits);
        let (data, found) = data(&args.rego.data, &limits, &args.files.in_force.ignores);
        problems.extend(found);
        let packages = match (args.rego.all_namespaces, packages.is_empty()) {
            (true, _) => Packages::All,
            (false, true) => Packages::default(),
            (false, false) => Packages::Named(packages),
        };
        let set = if has_errors(&problems) {
            // What is missing would be undefined, and rules would find too little.
            ModuleSet::empty()
        } else {
            let (set, found) = ModuleSet::compile(&modules, &data, &packages);
            problems.extend(found);
            set.with_strict_builtins(args.rego.show_builtin_errors)
        };
        let (together, traces) = (args.rego.combine, args.trace);
        (Self { set, files: files.len(), together, first, traces }, problems)
    }

    /// As reports show them.
    pub fn policies(&self) -> impl Iterator<Item = Policy> {
        self.set.rules().map(|rule| Policy::of_rule(rule))
    }

    /// What was asked of what.
    pub fn summary(&self, documents: usize) -> RuleFiles {
        let asked = || self.set.rules().filter(|rule| rule.kind() != ModuleRuleKind::Exception);
        let mut packages: Vec<String> = asked().map(|rule| rule.package().to_string()).collect();
        packages.dedup();
        RuleFiles { files: self.files, packages, rules: asked().count(), documents, together: self.together }
    }

    /// Judges documents. `is_done` hears of each.
    pub fn judge(
        &self,
        documents: Vec<Given>,
        evaluating: &Evaluating,
        is_done: impl Fn() + Sync,
    ) -> Vec<Asked> {
        if self.set.rules().next().is_none() || documents.is_empty() {
            return Vec::new();
        }
        if self.together {
            let number = documents.len();
            let documents: Vec<Document> = documents.into_iter().map(|given| given.document).collect();
            let first = documents.iter().map(Document::location).min();
            let input = in_file(ModuleInput::together(documents), Some(Path::new("Combined")));
            let Some(first) = first else { return Vec::new() };
            let subject = Subject::Together { documents: number, first };
            return vec![self.ask(&input, subject, evaluating)];
        }
        documents
            .into_par_iter()
            .map(|given| {
                let Given { document, number, path } = given;
                let subject = match Object::from_document(document.clone()) {
                    Ok(object) => Subject::Object(object),
                    Err(_) => Subject::Document { document: document.clone(), number },
                };
                let input = in_file(ModuleInput::of(document), path.as_deref());
                let asked = self.ask(&input, subject, evaluating);
                is_done();
                asked
            })
            .collect()
    }

    fn ask(&self, input: &ModuleInput, subject: Subject, evaluating: &Evaluating) -> Asked {
        let deadline = evaluating.deadline();
        let inventory = Inventory::empty();
        let world = evaluating.world(&inventory, &deadline);
        let results = self.set.review(input, &world);
        let mut asked = Asked {
            reviewed: Reviewed { subject, is_policy: false, passed: Vec::new(), prints: Vec::new() },
            findings: Vec::new(),
            suppressed: Vec::new(),
            done: Vec::new(),
        };
        for result in results {
            let policy = self.first + result.index;
            if self.traces {
                let trace = account([], &result.prints, &result.verdict, result.steps);
                asked.done.push(Done { trace, ..Done::new(policy, &result.verdict, result.steps) });
            }
            asked.reviewed.prints.extend(result.prints.iter().map(|print| (policy, print.clone())));
            match &result.verdict {
                Verdict::Pass => asked.reviewed.passed.push(policy),
                Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
                    let found = violations
                        .iter()
                        .map(|violation| finding(&asked.reviewed.subject, policy, &result, Some(violation)));
                    if result.is_excepted {
                        let name = format!("data.{}.exception", result.rule.package());
                        let why = || Suppression::Rule { name: name.clone() };
                        asked.suppressed.extend(found.map(|finding| Suppressed { finding, why: why() }));
                    } else {
                        asked.findings.extend(found);
                    }
                }
                Verdict::Error(_) => {
                    asked.findings.push(finding(&asked.reviewed.subject, policy, &result, None));
                }
            }
        }
        asked
    }
}

/// As conftest says it: the name and the directory of the file; of standard input, `-` in the directory that
/// the program runs in.
fn in_file(input: ModuleInput, path: Option<&Path>) -> ModuleInput {
    let path = match path.and_then(elsewhere::name_of) {
        Some(name) => PathBuf::from(name),
        None => std::path::absolute(path.unwrap_or(Path::new("-"))).unwrap_or_default(),
    };
    let text = |part: Option<&Path>| part.unwrap_or(Path::new("")).display().to_string();
    input.in_file(&text(path.file_name().map(Path::new)), &text(path.parent()))
}

fn finding(subject: &Subject, policy: usize, result: &RuleResult, violation: Option<&Violation>) -> Finding {
    let whole = || Position {
        location: subject.location().unwrap_or_else(|| result.rule.location().clone()),
        path: FieldPath::root(),
        precision: Precision::Object,
    };
    let place = violation.and_then(Violation::position).unwrap_or_else(whole);
    let details = violation.map(Violation::details);
    let place = details.as_ref().and_then(|details| stated(details, &place)).unwrap_or(place);
    let Position { location, path, precision } = place;
    let (verdict, message, broke_at) = match (&result.verdict, violation) {
        (Verdict::Error(error), _) => {
            (report::Verdict::Unknown, error.message.clone(), error.location.clone())
        }
        (_, Some(violation)) => (report::Verdict::Violation, violation.message.clone(), None),
        (_, None) => (report::Verdict::Unknown, "nothing is known of it".to_owned(), None),
    };
    let details = details.as_ref().map(Details::from).unwrap_or_default();
    Finding {
        object: subject.name(),
        labels: std::sync::Arc::default(),
        ordinal: 0,
        place: report::Place::of(&location),
        field: path.to_string(),
        policy,
        actions: Action::list(result.actions),
        verdict,
        message,
        details,
        implied: None,
        explanation: None,
        text: Some(Box::new(InText { location, precision, broke_at })),
    }
}

/// Where a policy says itself that it is, as conftest has it: `_loc: {file, line}`, in the file that is judged.
fn stated(details: &serde_json::Value, place: &Position) -> Option<Position> {
    let said = details.get("_loc")?;
    let source = place.location.source();
    if said.get("file").is_some_and(|file| file.as_str() != Some(&**source.name())) {
        return None;
    }
    let line = said.get("line").and_then(serde_json::Value::as_u64)?;
    let start = source.line_start(u32::try_from(line).ok()?)?;
    let rest = source.text().get(start as usize..)?.lines().next().unwrap_or_default().trim_end();
    let end = start.saturating_add(u32::try_from(rest.len()).ok()?);
    let location = Location::new(source.clone(), start..end);
    Some(Position { location, path: FieldPath::root(), precision: Precision::Details })
}
