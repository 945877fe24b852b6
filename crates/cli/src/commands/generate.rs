//! `portcullis generate`: what a cluster needs for some policies.
//!
//! ```text
//! paths ── read ──> policies, kinds of CRDs ── portcullis-manifests ──> documents ──> standard output, files
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis::{
    Document, Error, ErrorKind, ExpansionSet, Kinds, Limits, MutatorStore, Object, PolicySet, PolicySettings,
    Resource, Severity, Unsupported, Uses,
};
use portcullis_manifests::admission_policies::{AdmissionPolicies, Selected};
use portcullis_manifests::{Manifests, Options, own_crds, to_yaml};
use portcullis_report::{self as report, ExitStatus, Problem};
use portcullis_sources::{Choice, Input, documents, is_policy, prepared};
use serde_json::Value;

use crate::commands::mutating::is_admission;
use crate::generate_args::{CrdsArgs, Generate, ManifestsArgs, Program, VapArgs};

/// Makes the manifests and writes them.
pub fn run(what: &Generate) -> anyhow::Result<ExitStatus> {
    match what {
        Generate::Crds(args) => crds(args),
        Generate::Manifests(args) => manifests(args),
        Generate::Vap(args) => vap(args),
    }
}

fn crds(args: &CrdsArgs) -> anyhow::Result<ExitStatus> {
    let mut all = own_crds();
    if !args.policies.is_empty() {
        let (resources, _, problems) = read(&args.policies, Uses::POLICIES);
        let problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
        if !tell(problems)? {
            return Ok(ExitStatus::Error);
        }
        let templates = resources.iter().filter_map(|resource| match resource {
            Resource::Template(template) => Some(template),
            _ => None,
        });
        let mut definitions: Vec<Value> = templates.map(|template| template.crd()).collect();
        definitions.sort_by(|a, b| name(a).cmp(name(b)));
        all.extend(definitions);
    }
    let files: Vec<(String, Vec<Value>)> =
        all.into_iter().map(|crd| (format!("{}.yaml", name(&crd)), vec![crd])).collect();
    write("crds", &files, args.output.as_deref())
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn manifests(args: &ManifestsArgs) -> anyhow::Result<ExitStatus> {
    if args.expand.is_some() && args.r#for == Program::Webhook {
        anyhow::bail!("`--expand` is about the audit; leave it out, or leave out `--for webhook`");
    }
    if args.mutate && args.r#for == Program::Audit {
        anyhow::bail!("`--mutate` is about the webhook; leave it out, or leave out `--for audit`");
    }
    let uses = Uses::POLICIES.with_expansions(true).with_mutators(args.mutate);
    let (resources, kinds, mut problems) = read(&args.policies, uses);
    let mut mutators = MutatorStore::new();
    for resource in &resources {
        if is_admission(resource) {
            let message = "a mutating admission policy needs no webhook: the API server of a cluster applies it itself, and no webhook of a cluster does";
            let document = match resource {
                Resource::AdmissionPolicy(policy) => Some(policy.document()),
                Resource::AdmissionPolicyBinding(binding) => Some(binding.document()),
                _ => None,
            };
            let location = document.map(portcullis::Document::location);
            problems.push(Error::warning(ErrorKind::Unsupported, message).at(location));
            continue;
        }
        problems.extend(mutators.duplicate(resource));
        problems.extend(mutators.upsert(resource));
    }
    let mutators = mutators.snapshot();
    problems.extend(mutators.conflicts());
    let (expansions, resources): (Vec<_>, Vec<_>) = resources.into_iter().partition(Resource::is_expansion);
    let (expansions, found) = ExpansionSet::from_resources(expansions);
    problems.extend(found);
    let settings =
        PolicySettings { homes: args.config.homes(Some(&args.namespace)), engines: args.engine.choice() };
    let (policies, found) = PolicySet::from_resources_in(prepared(resources), &settings);
    problems.extend(found);
    if policies.constraints().next().is_none() && !problems.iter().any(is_error) {
        let error = Error::new(ErrorKind::NoInput, "no constraints were found");
        problems.push(error.hint("name files or directories with ConstraintTemplates and constraints"));
    }
    if args.mutate && mutators.is_empty() && !problems.iter().any(is_error) {
        let error = Error::new(ErrorKind::NoInput, "no mutators were found");
        problems.push(error.hint("name files or directories with mutators, or leave out `--mutate`"));
    }
    let problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    if !tell(problems)? {
        return Ok(ExitStatus::Error);
    }
    let options = Options {
        namespace: args.namespace.clone(),
        beside_gatekeeper: args.beside_gatekeeper,
        apply_crds: args.apply_crds,
        mutates: args.mutate,
    };
    let mut made = Manifests::default();
    if matches!(args.r#for, Program::Webhook | Program::All) {
        made.extend(Manifests::webhook(&policies, &expansions, &kinds, &options)?);
        made.extend(Manifests::mutation(&mutators, &kinds, &options)?);
    }
    if matches!(args.r#for, Program::Audit | Program::All) {
        let expansions = if args.expand.is_some() { expansions.with_workloads() } else { expansions };
        made.extend(Manifests::audit(&policies, &expansions, &kinds, &options)?);
    }
    tell(made.notes.clone())?;
    let files: Vec<(String, Vec<Value>)> =
        made.files.into_iter().map(|(name, documents)| (name.to_owned(), documents)).collect();
    write("manifests", &files, args.output.as_deref())
}

fn vap(args: &VapArgs) -> anyhow::Result<ExitStatus> {
    let (resources, _, mut problems) = read(&args.policies, Uses::POLICIES);
    let settings = PolicySettings { homes: args.config.homes(None), ..PolicySettings::default() };
    let (policies, found) = PolicySet::from_resources_in(prepared(resources), &settings);
    problems.extend(found);
    let selected = if args.all { Selected::Unmarked } else { Selected::Marked };
    let made = AdmissionPolicies::of(&policies, selected);
    if made.files.is_empty() && !problems.iter().any(is_error) {
        let error = Error::new(ErrorKind::NoInput, "there is no template that is to become a policy");
        let hint = match selected {
            Selected::Marked => "those in CEL with `generateVAP: true` are; with `--all`, all in CEL",
            Selected::Unmarked => "those in CEL are, but for those that say `generateVAP: false`",
        };
        problems.push(error.hint(hint));
    }
    let mut problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    problems.extend(made.notes);
    if !tell(problems)? {
        return Ok(ExitStatus::Error);
    }
    write("vap", &made.files, args.output.as_deref())
}

/// The policies of some paths, and what CustomResourceDefinitions there say of kinds.
fn read(paths: &[PathBuf], uses: Uses) -> (Vec<Resource>, Kinds, Vec<Error>) {
    let Input { documents, mut problems, .. } = documents(paths, Choice::Policies, &Limits::default());
    let mut kinds = Kinds::default();
    let mut resources = Vec::new();
    for document in &documents {
        let (resource, found) = Resource::read_for(document, uses);
        let object = Object::from_document(Document::clone(document)).ok();
        if let Some(object) = &object {
            kinds.learn(object);
        }
        if is_policy(resource.as_ref(), document) {
            problems.extend(found);
            resources.extend(resource);
        }
    }
    (resources, kinds, problems)
}

fn is_error(problem: &Error) -> bool {
    problem.severity() == Severity::Error
}

/// Says what is wrong, on standard error. False if nothing may be made of it: a policy that is left out would
/// lack what it needs.
fn tell(mut problems: Vec<Error>) -> anyhow::Result<bool> {
    // How policies are written is what `lint` is for.
    problems.retain(|problem| !problem.kind().is_style());
    problems.sort();
    problems.dedup();
    let mut err = anstream::stderr().lock();
    report::human::write_problems(&Problem::all(&problems), &mut err)?;
    Ok(!problems.iter().any(is_error))
}

fn write(what: &str, files: &[(String, Vec<Value>)], output: Option<&Path>) -> anyhow::Result<ExitStatus> {
    let header = format!("# Made by `portcullis generate {what}`.\n");
    let Some(directory) = output else {
        let mut out = report::stdout(false);
        let all = files.iter().flat_map(|(_, documents)| documents);
        write!(out, "{header}{}", to_yaml(all)?)?;
        out.flush()?;
        return Ok(ExitStatus::Success);
    };
    fs::create_dir_all(directory).with_context(|| format!("creating `{}`", directory.display()))?;
    for (name, documents) in files {
        let path = directory.join(name);
        let text = format!("{header}{}", to_yaml(documents)?);
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(ExitStatus::Success)
}
