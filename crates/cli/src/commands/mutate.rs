//! `portcullis mutate`: objects as mutators leave them.
//!
//! ```text
//! paths ── read ──> documents ──┬──> mutators ── MutatorSet ──┐
//!                               └──> objects ─────────────────┴── mutate ──> YAML, a diff, JSON
//! ```

use std::io::Write as _;

use portcullis::{
    Answers, Error, ErrorKind, Places, PolicySet, PolicySettings, Resource, Settled, Unsupported,
};
use portcullis_report::mutate::{self, Mutated};
use portcullis_report::{self as report, ExitStatus, Problem};
use portcullis_sources::Ignores;
use rayon::prelude::*;

use crate::commands::input::{Loaded, Purpose, Sources, SubjectKind, has_errors, load};
use crate::commands::mutating::{Mutating, Outside, as_written, ignored};
use crate::mutate_args::{MutateArgs, MutateForm};

/// Mutates, and writes what comes of it.
pub fn run(args: &MutateArgs) -> anyhow::Result<ExitStatus> {
    let Loaded { policies, mutators, mut subjects, inventory, scopes, mut problems, .. } = load(Sources {
        paths: args.filenames.iter().chain(&args.paths).cloned().collect(),
        policies: &args.mutators,
        inventory: &args.inventory,
        max_size: args.max_size,
        render: &args.render,
        purpose: Purpose::Mutate,
        rego: None,
        ignores: Ignores::default(),
    });
    let places = Places::new(scopes).with_namespace(args.namespace.as_deref());
    let is_used = |policy: &Resource| matches!(policy, Resource::Config(_) | Resource::Provider(_));
    let configs = policies.into_iter().filter(is_used);
    let settings = PolicySettings { homes: args.config.homes(None), ..PolicySettings::default() };
    let (configs, found) = PolicySet::from_resources_in(configs, &settings);
    problems.extend(found);
    let (mutating, found) = Mutating::new(&mutators, args.operation, &configs, &inventory, &places);
    problems.extend(found);
    let (answering, found) = args.providers.open(configs.providers());
    problems.extend(found);
    let username = answering.username().cloned();
    let mut mutating = mutating.with_outside(Outside { answers: Answers::new(), username });
    let mut problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    if mutators.is_empty() && !has_errors(&problems) {
        let error = Error::new(ErrorKind::NoInput, "no mutators were given");
        problems.push(error.hint("give them with `-f` or `--mutators`, beside the objects"));
    }
    for subject in subjects.iter().filter(|subject| subject.kind == SubjectKind::Request) {
        let message = "a request is not mutated here: its object was before it was recorded";
        let warning = Error::warning(ErrorKind::Mutation, message).about(subject.object.to_string());
        problems.push(match subject.object.location() {
            Some(location) => warning.at(location),
            None => warning,
        });
    }
    subjects.retain(|subject| subject.kind == SubjectKind::Object);
    if subjects.is_empty() && !has_errors(&problems) {
        let error = Error::new(ErrorKind::NoInput, "no objects were given to mutate");
        problems.push(error.hint("give manifests with `-f`"));
    }
    subjects.sort_by_cached_key(|subject| subject.object.location());
    let settled: Vec<Settled> =
        subjects.iter().map(|subject| places.settle(subject.object.clone())).collect();
    mutating.ask(&answering, &settled);
    problems.extend(answering.problems());
    if let Err(error) = args.providers.finish(&answering) {
        problems.push(Error::new(ErrorKind::Unreadable, error));
    }
    let results: Vec<Result<Mutated, Error>> = subjects
        .par_iter()
        .zip(&settled)
        .map(|(subject, settled)| {
            let mutation = mutating.mutate(settled)?;
            Ok(as_written(settled, mutation, &subject.object))
        })
        .collect();
    let mut all = Vec::new();
    for result in results {
        match result {
            Ok(mutated) => {
                problems.extend(ignored(&mutated.mutation));
                all.push(mutated);
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.sort();
    problems.dedup();
    let problems = Problem::all(&problems);
    report::human::write_problems(&problems, &mut anstream::stderr().lock())?;
    let mut out = report::stdout(false);
    match if args.diff { MutateForm::Diff } else { args.output } {
        MutateForm::Yaml => mutate::write_yaml(&all, &mut out)?,
        MutateForm::Json => mutate::write_json(&all, &mut out)?,
        MutateForm::Patch => mutate::write_patch(&all, &mut out)?,
        MutateForm::Diff => mutate::write_diff(&all, &mut out)?,
    }
    out.flush()?;
    Ok(if problems.iter().any(Problem::is_error) { ExitStatus::Error } else { ExitStatus::Success })
}
