//! `portcullis eval`: what a query is worth, of a template or of files of Rego, or an expression in CEL.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::{
    CelQuery, ConstraintKey, ConstraintTemplate, Document, Error, Inventory, Limits, ModuleData, Object,
    PolicySet, QueryInput, RegoFile, RegoQuery, Resource, Review, Severity, Tracing, World,
};
use portcullis_report::{self as report, ExitStatus, Problem, eval, human};
use portcullis_sources::{self as read, Choice, Ignores};

use crate::commands::rego_files;
use crate::eval_args::{EvalArgs, EvalForm};

/// Longest line of a prompt.
const LONGEST_LINE: u64 = 64 << 10;

/// Answers one query, or line by line.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitStatus> {
    let (asking, problems) = Asking::load(args)?;
    human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    let Some(asking) = asking else { return Ok(ExitStatus::Error) };
    let mut out = report::stdout(args.output == EvalForm::Human);
    let status = match &args.query {
        Some(query) => asking.ask(query, args, &mut out)?,
        None => prompt(&asking, args, &mut out)?,
    };
    out.flush()?;
    Ok(status)
}

/// Asks each line. One that is wrong ends nothing.
fn prompt(asking: &Asking, args: &EvalArgs, out: &mut impl Write) -> anyhow::Result<ExitStatus> {
    if args.input.as_deref().is_some_and(read::is_stdin) {
        anyhow::bail!("standard input is either the queries or, with `--input -`, what they are about");
    }
    let is_terminal = io::stdin().is_terminal();
    if is_terminal {
        writeln!(io::stderr(), "a query a line; `:quit` ends")?;
    }
    let mut lines = io::stdin().lock();
    let mut worst = ExitStatus::Success;
    loop {
        if is_terminal {
            write!(io::stderr(), "> ")?;
            io::stderr().flush()?;
        }
        let mut line = Vec::new();
        lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.len() as u64 >= LONGEST_LINE && !line.ends_with(b"\n") {
            anyhow::bail!("a query has at most {LONGEST_LINE} bytes");
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim() {
            "" => {}
            ":quit" | ":q" | ":exit" => break,
            query => {
                let status = asking.ask(query, args, out)?;
                out.flush()?;
                if status == ExitStatus::Error || worst == ExitStatus::Success {
                    worst = status;
                }
            }
        }
    }
    // Whoever types sees what was wrong.
    Ok(if is_terminal { ExitStatus::Success } else { worst })
}

/// What is asked about.
struct Asking {
    template: Option<ConstraintTemplate>,
    files: Vec<RegoFile>,
    data: ModuleData,
    input: QueryInput,
    now_ns: i64,
}

impl Asking {
    fn load(args: &EvalArgs) -> anyhow::Result<(Option<Self>, Vec<Error>)> {
        let limits = Limits::default();
        let (sorted, mut problems) = read::list_sorted(&args.policies, Choice::Policies);
        let (files, found) = rego_files::modules(&sorted.rego, args.rego_version, &limits);
        problems.extend(found);
        let mut resources: Vec<Resource> = Vec::new();
        for file in &sorted.manifests {
            let (documents, found) = read::read_file(file, &limits);
            problems.extend(found);
            for document in &documents {
                let (resource, found) = Resource::read(document);
                problems.extend(found);
                resources.extend(resource);
            }
        }
        let template = match chosen(args, &resources) {
            Ok(template) => template,
            Err(message) => anyhow::bail!("{message}"),
        };
        let constraint = match &template {
            Some(template) => named(args, template, &resources).map_err(anyhow::Error::msg)?,
            None => None,
        };
        let (policies, found) = PolicySet::from_resources(resources);
        problems.extend(found);
        let (data, found) = rego_files::data(&args.data, &limits, &Ignores::default());
        problems.extend(found);
        let inventory = read::documents(&args.inventory, Choice::Manifests, &limits);
        problems.extend(inventory.problems);
        let mut objects = Vec::new();
        for document in inventory.documents {
            match Object::from_document(document) {
                Ok(object) => objects.push(object),
                Err(error) => problems.push(error),
            }
        }
        let inventory: Inventory = objects.into_iter().collect();
        let document = match &args.input {
            None => None,
            Some(path) => {
                let read = read::documents(std::slice::from_ref(path), Choice::Manifests, &limits);
                problems.extend(read.problems);
                let [document] = read.documents.as_slice() else {
                    problems.retain(|problem| problem.severity() == Severity::Error);
                    if !problems.is_empty() {
                        return Ok((None, problems));
                    }
                    let count = read.documents.len();
                    anyhow::bail!("`--input` has to name one document, and {} has {count}", path.display());
                };
                Some(document.clone())
            }
        };
        let world = World::new(&inventory);
        let is_review = template.is_some() || args.cel;
        let input = match document {
            None => QueryInput::default(),
            Some(document) if is_review => match review(&document) {
                Ok(review) => QueryInput::of_review(&review, &world, &policies, constraint.as_ref()),
                Err(error) => {
                    problems.push(error);
                    QueryInput::default()
                }
            },
            Some(document) => QueryInput::of_document(&document),
        };
        // What is wrong with the policies is an error of the query, if it needs them.
        let is_broken = |problem: &Error| problem.severity() == Severity::Error;
        if problems.iter().any(is_broken) {
            problems.retain(is_broken);
            return Ok((None, problems));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Ok((Some(Self { template, files, data, input, now_ns }), Vec::new()))
    }

    fn ask(&self, query: &str, args: &EvalArgs, out: &mut impl Write) -> anyhow::Result<ExitStatus> {
        let world = World::default().with_now(self.now_ns);
        let tracing = if args.trace { Tracing::On } else { Tracing::Off };
        let answer = if args.cel {
            CelQuery::new(self.template.as_ref(), query).map(|query| query.evaluate(&self.input, &world))
        } else {
            let compiled = match &self.template {
                Some(template) => RegoQuery::of_template(template, query, tracing),
                None => RegoQuery::of_files(&self.files, &self.data, args.package.as_deref(), query, tracing),
            };
            compiled.map(|query| query.evaluate(&self.input, &world))
        };
        match args.output {
            EvalForm::Human => eval::write_human(&answer, args.trace, out, &mut anstream::stderr())?,
            EvalForm::Json => eval::write_json(&answer, args.trace, out)?,
        }
        Ok(match answer.as_ref().map(|answer| &answer.result) {
            Err(_) | Ok(Err(_)) => ExitStatus::Error,
            Ok(Ok(solutions)) if solutions.is_empty() && args.fail => ExitStatus::Violations,
            Ok(Ok(_)) => ExitStatus::Success,
        })
    }
}

/// The template that is asked about, if there is one.
fn chosen(args: &EvalArgs, resources: &[Resource]) -> Result<Option<ConstraintTemplate>, String> {
    let templates: Vec<&ConstraintTemplate> = resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Template(template) => Some(&**template),
            _ => None,
        })
        .collect();
    let kinds = || {
        let mut kinds: Vec<String> =
            templates.iter().map(|template| format!("`{}`", template.kind())).collect();
        kinds.sort();
        kinds.join(", ")
    };
    match (&args.template, templates.as_slice()) {
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some((*one).clone())),
        (None, _) => Err(format!("there are several templates: say which with `--template`: {}", kinds())),
        (Some(kind), all) => match all.iter().find(|template| template.kind() == kind) {
            Some(template) => Ok(Some((*template).clone())),
            None if all.is_empty() => Err(format!("there is no template `{kind}`, and no other")),
            None => Err(format!("there is no template `{kind}`; there are {}", kinds())),
        },
    }
}

/// The constraint whose parameters are those of the input.
fn named(
    args: &EvalArgs,
    template: &ConstraintTemplate,
    resources: &[Resource],
) -> Result<Option<ConstraintKey>, String> {
    let mut keys: Vec<ConstraintKey> = resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Constraint(constraint) => Some(constraint.key().clone()),
            _ => None,
        })
        .filter(|key| *key.kind == *template.kind())
        .collect();
    keys.sort();
    let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
    match (&args.constraint, keys.as_slice()) {
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some(one.clone())),
        (None, _) => {
            Err(format!("there are several constraints: say which with `--constraint`: {}", names.join(", ")))
        }
        (Some(name), all) => match all.iter().find(|key| *key.name == **name) {
            Some(key) => Ok(Some(key.clone())),
            None => Err(format!("there is no constraint `{name}` of `{}`", template.kind())),
        },
    }
}

/// A review of an object, or of an admission request.
fn review(document: &Document) -> Result<Review, Error> {
    match Resource::read(document).0 {
        Some(Resource::AdmissionReview(admission)) => Review::from_admission(&admission),
        _ => Object::from_document(document.clone()).map(Review::from_object),
    }
}
