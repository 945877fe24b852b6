//! Answers, as they are written. Fields stand in the order of their names, so that the text is canonical.

use portcullis::{
    ConstraintResult, Decision, EnforcementAction, Engine, Error, FieldPath, Finding, FixOf, Fixes,
    InventoryRead, Object, Outcome, PolicySet, Review, Severity, TemplateInfo, Verdict, Why,
};
use serde::Serialize;
use serde_json::Value;

use crate::explanation::{Explanation, Repair};
use crate::parts::{Key, Place};

/// The version of requests and answers.
pub const VERSION: u32 = 1;

/// A text of JSON.
pub(crate) fn json(answer: &impl Serialize) -> String {
    // Neither a map with keys that are no texts nor a writer that fails is in it.
    serde_json::to_string(answer).unwrap_or_else(|_| {
        r#"{"allowed":false,"ok":false,"problems":[{"code":"defect","message":"the answer cannot be written","severity":"error"}],"version":1}"#.to_owned()
    })
}

/// What policies came to.
#[derive(Debug, Serialize)]
pub(crate) struct CompileAnswer {
    constraints: Vec<Constraint>,
    /// Whether there is an engine.
    ok: bool,
    problems: Vec<Problem>,
    /// The kinds that policies compare with, which the inventory should have.
    reads: Vec<Read>,
    templates: Vec<Template>,
    version: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Constraint {
    enforcement_action: &'static str,
    kind: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct Template {
    engine: &'static str,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

/// What is missing may be anything.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

impl CompileAnswer {
    pub(crate) fn refusal(problems: &[Error]) -> Self {
        let problems = problems.iter().map(Problem::of).collect();
        let (constraints, reads, templates) = (Vec::new(), Vec::new(), Vec::new());
        Self { constraints, ok: false, problems, reads, templates, version: VERSION }
    }

    pub(crate) fn of(policies: &PolicySet, problems: &[Error]) -> Self {
        let constraints = policies.constraints().map(|constraint| Constraint {
            enforcement_action: constraint.enforcement().declared(),
            kind: constraint.key().kind.to_string(),
            name: constraint.key().name.to_string(),
        });
        let templates = policies.templates().map(|template| Template {
            engine: match template.engine() {
                Engine::Rego => "rego",
                Engine::Cel => "cel",
            },
            kind: template.kind().to_owned(),
            title: template.title().map(str::to_owned),
        });
        let read = |read: &InventoryRead| Read {
            api_version: read.api_version.as_deref().map(str::to_owned),
            kind: read.kind.as_deref().map(str::to_owned),
        };
        let mut reads: Vec<Read> =
            policies.templates().flat_map(TemplateInfo::inventory_reads).map(read).collect();
        reads.sort();
        reads.dedup();
        Self {
            constraints: constraints.collect(),
            ok: true,
            problems: problems.iter().map(Problem::of).collect(),
            reads,
            templates: templates.collect(),
            version: VERSION,
        }
    }
}

/// What came of changes of the inventory.
#[derive(Debug, Serialize)]
pub(crate) struct InventoryAnswer {
    /// How many objects there are now.
    objects: usize,
    /// Whether all changes were done.
    pub(crate) ok: bool,
    problems: Vec<Problem>,
    version: u32,
}

impl InventoryAnswer {
    pub(crate) fn of(objects: usize, problems: &[Error]) -> Self {
        let ok = problems.iter().all(|problem| problem.severity() == Severity::Warning);
        Self { objects, ok, problems: problems.iter().map(Problem::of).collect(), version: VERSION }
    }
}

/// What was found in one object or request.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReviewAnswer {
    allowed: bool,
    denials: Vec<String>,
    excepted: Vec<Found>,
    /// Whether a Config keeps the object from being judged at all.
    excluded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanations: Option<Vec<Explanation>>,
    findings: Vec<Found>,
    /// Whether fixes were not looked for as far as there might be some.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes_cut: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Identity>,
    /// Whether it was judged.
    ok: bool,
    problems: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<ResultOf>>,
    uid: String,
    /// Of how many constraints the explanation is left out, because there is no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<usize>,
    version: u32,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

/// A violation, or a constraint that could not be evaluated.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// All that it leads to here.
    actions: Vec<&'static str>,
    constraint: Key,
    details: Value,
    /// Whether it could not be determined whether the constraint holds.
    error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<Exception>,
    /// What would make it go.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Repair>,
    /// The expansion template that implies what it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    implied_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    /// Where in the policy an evaluation broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Place>,
}

#[derive(Debug, Serialize)]
struct Exception {
    name: String,
    reason: String,
}

/// What one constraint came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOf {
    constraint: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    implied_by: Option<String>,
    prints: Vec<String>,
    steps: u64,
    verdict: &'static str,
}

/// Something that is wrong with an input.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    message: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

/// As [`Place`], and the field there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    column: u32,
    end_column: u32,
    end_line: u32,
    field: String,
    file: String,
    line: u32,
    precision: String,
}

impl ReviewAnswer {
    /// What could not be judged is not allowed.
    pub(crate) fn refusal(problems: &[Error]) -> Self {
        Self { problems: problems.iter().map(Problem::of).collect(), version: VERSION, ..Self::default() }
    }

    /// Of what a Config keeps from being judged.
    fn excluded(uid: &str, object: Option<&Object>, problems: &[Error]) -> Self {
        Self { allowed: true, excluded: true, ..Self::about(uid, object, problems) }
    }

    fn of(
        outcome: &Outcome,
        decision: &Decision<'_>,
        uid: &str,
        object: Option<&Object>,
        problems: &[Error],
        shows: Shows,
        fixes: Option<&Fixes>,
    ) -> Self {
        let found = |finding: &Finding<'_>| Found::of(finding, shows, fixes);
        Self {
            allowed: decision.allowed(),
            denials: decision.denials(),
            warnings: decision.warnings(),
            findings: decision.findings.iter().map(found).collect(),
            excepted: decision.excepted.iter().map(found).collect(),
            fixes_cut: fixes.map(|fixes| fixes.is_cut),
            results: shows.results.then(|| outcome.results.iter().map(ResultOf::of).collect()),
            ..Self::about(uid, object, problems)
        }
    }

    fn about(uid: &str, object: Option<&Object>, problems: &[Error]) -> Self {
        Self {
            object: object.map(Identity::of),
            ok: true,
            problems: problems.iter().map(Problem::of).collect(),
            uid: uid.to_owned(),
            version: VERSION,
            ..Self::default()
        }
    }
}

/// What came of a review.
pub(crate) struct Judged<'a> {
    pub(crate) review: &'a Review,
    /// Of the object, or the request.
    pub(crate) version: &'a str,
    /// What is odd about the text.
    pub(crate) problems: &'a [Error],
    pub(crate) shows: Shows,
    /// `None` if a Config keeps it from being judged.
    pub(crate) outcome: Option<(&'a Outcome, &'a Decision<'a>)>,
    /// If it was asked for.
    pub(crate) explained: Option<Explained>,
    /// If it was asked for.
    pub(crate) fixes: Option<Fixes>,
}

/// Why constraints say what they say, as far as there is room.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    pub(crate) each: Vec<Why>,
    /// Of how many it is left out.
    pub(crate) left: usize,
}

impl Judged<'_> {
    pub(crate) fn answer(self) -> ReviewAnswer {
        let (uid, object) = (self.review.uid(), self.review.object());
        let answer = match self.outcome {
            Some((outcome, decision)) => {
                let fixes = self.fixes.as_ref();
                ReviewAnswer::of(outcome, decision, uid, object, self.problems, self.shows, fixes)
            }
            None => ReviewAnswer::excluded(uid, object, self.problems),
        };
        let Some(Explained { each, left }) = self.explained else { return answer };
        let explanations = each.into_iter().map(Explanation::of).collect();
        ReviewAnswer { explanations: Some(explanations), unexplained: Some(left), ..answer }
    }
}

/// What an answer has beside what it always has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shows {
    pub(crate) positions: bool,
    pub(crate) results: bool,
}

impl Identity {
    fn of(object: &Object) -> Self {
        Self {
            api_version: object.gvk().api_version(),
            kind: object.gvk().kind.to_string(),
            name: object.name().to_string(),
            namespace: object.namespace().to_string(),
        }
    }
}

fn implied_by(result: &ConstraintResult) -> Option<String> {
    result.implied_by.as_ref().map(|implied_by| implied_by.template().to_owned())
}

impl Found {
    fn of(finding: &Finding<'_>, shows: Shows, fixes: Option<&Fixes>) -> Self {
        let broken = match &finding.result.verdict {
            Verdict::Error(error) => Some(error),
            Verdict::Pass | Verdict::Violations(_) | Verdict::Excepted { .. } => None,
        };
        let position = if shows.positions { finding.position() } else { None };
        // Fixes are of what the object itself has, and not of what it implies.
        let own = fixes.filter(|_| finding.result.implied_by.is_none());
        let is_of = |one: &&FixOf| one.constraint == *finding.result.key() && one.message == finding.message;
        let fix = own.and_then(|fixes| fixes.each.iter().find(is_of)).and_then(|one| one.fix.as_ref());
        Self {
            actions: finding.actions().iter().map(EnforcementAction::as_str).collect(),
            constraint: Key::of(finding.result.key()),
            details: finding.details(),
            error: finding.is_error(),
            exception: finding.exception().map(|exception| Exception {
                name: exception.name().to_owned(),
                reason: exception.reason().to_owned(),
            }),
            fix: fix.map(Repair::of),
            implied_by: implied_by(finding.result),
            limit: broken.and_then(|error| error.limit).map(|limit| limit.to_string()),
            message: finding.message.to_owned(),
            position: position.map(|position| Position::of(&position)),
            source: broken.and_then(|error| error.location.as_ref()).map(Place::of),
        }
    }
}

impl ResultOf {
    fn of(result: &ConstraintResult) -> Self {
        Self {
            constraint: Key::of(result.key()),
            implied_by: implied_by(result),
            prints: result.prints.clone(),
            steps: result.steps.unwrap_or(0),
            verdict: match &result.verdict {
                Verdict::Pass => "pass",
                Verdict::Violations(_) => "violations",
                Verdict::Excepted { .. } => "excepted",
                Verdict::Error(_) => "error",
            },
        }
    }
}

impl Problem {
    pub(crate) fn of(error: &Error) -> Self {
        Self {
            code: error.kind().code(),
            field: error.path().filter(|path| !path.is_root()).map(FieldPath::to_string),
            hint: error.help().map(str::to_owned),
            location: error.location().map(Place::of),
            message: error.message().to_owned(),
            severity: match error.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            subject: error.subject().map(str::to_owned),
        }
    }
}

impl Position {
    fn of(position: &portcullis::Position) -> Self {
        let Place { column, end_column, end_line, file, line } = Place::of(&position.location);
        Self {
            column,
            end_column,
            end_line,
            field: position.path.to_string(),
            file,
            line,
            precision: position.precision.to_string(),
        }
    }
}
