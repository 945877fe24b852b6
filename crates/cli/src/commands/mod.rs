//! One command per file: read, ask the library, report. What several of them do stands in files beside.

mod asking;
mod baseline;
mod bench;
mod build;
mod cluster;
mod docs;
mod eval;
mod evaluation;
mod excluded;
mod expand;
mod explain;
mod fates;
mod fixing;
mod fmt;
mod generate;
mod idle;
mod in_place;
mod init;
mod inline;
mod input;
mod judging;
mod lint;
#[cfg(feature = "lsp")]
mod lsp;
mod mutants;
mod mutate;
mod mutated;
mod mutating;
mod policy;
mod progress;
mod pull;
mod push;
mod rego_files;
mod rego_tests;
mod remedies;
mod remote;
mod rules;
mod second;
mod sync;
mod templates;
mod test;
mod trace;
mod upgrade;
mod verify;

use std::io::{self, Write as _};
use std::num::NonZeroUsize;

use anyhow::Context as _;
use clap::CommandFactory as _;
use portcullis_audit::args::AuditAction;
use portcullis_remote::RemoteError;
use portcullis_report::ExitStatus;

use crate::args::{Args, AuditCommand, Command, ConfigCommand};
use crate::authoring_args::InitCommand;
use crate::config_file;
use crate::sync_args::SyncCommand;
use crate::test_args::TestArgs;

/// Calls the command.
pub fn dispatch(args: &mut Args) -> anyhow::Result<ExitStatus> {
    if let Some(files) = args.files_mut() {
        files.in_force.tell();
    }
    let status = run(&mut args.command);
    if let Some(files) = args.files_mut() {
        files.in_force.tell_ignored();
    }
    status
}

fn run(command: &mut Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Test(test) => {
            let _fetched = fetched_for_test(test)?;
            let jobs = test.jobs;
            in_pool(jobs, || test::run(test))
        }
        Command::Exceptions(test) => {
            let _fetched = fetched_for_test(test)?;
            let jobs = test.jobs;
            in_pool(jobs, || test::list_exceptions(test))
        }
        Command::Explain(test) => {
            let _fetched = fetched_for_test(test)?;
            let jobs = test.jobs;
            test.explain_all = true;
            in_pool(jobs, || explain::run(test))
        }
        Command::Verify(verify) => {
            verify.policies.extend(remote::images(&verify.remote));
            let lists = &mut [&mut verify.paths, &mut verify.policies];
            let _suites = remote::fetch(&verify.remote, lists, true)?;
            let jobs = verify.jobs;
            in_pool(jobs, || verify::run(verify))
        }
        Command::Mutate(mutate) => {
            mutate.filenames.extend(remote::images(&mutate.remote));
            let lists = &mut [&mut mutate.paths, &mut mutate.filenames, &mut mutate.mutators];
            let _fetched = remote::fetch(&mutate.remote, lists, false)?;
            let jobs = mutate.jobs;
            in_pool(jobs, || mutate::run(mutate))
        }
        Command::Expand(expand) => {
            expand.filenames.extend(remote::images(&expand.remote));
            let _fetched = remote::fetch(&expand.remote, &mut [&mut expand.filenames], false)?;
            in_pool(None, || expand::run(expand))
        }
        Command::Bench(bench) => {
            bench.filenames.extend(remote::images(&bench.remote));
            let lists = &mut [&mut bench.paths, &mut bench.filenames, &mut bench.policies];
            let _fetched = remote::fetch(&bench.remote, lists, false)?;
            in_pool(None, || bench::run(bench))
        }
        // It has threads of its own: what is read and what is judged are bounded together.
        Command::Audit(args) => {
            if let Some(AuditAction::Merge(merge)) = &args.action {
                return Ok(portcullis_audit::merge::merge(merge)?);
            }
            args.audit.policies.extend(remote::images(&args.remote));
            let _fetched = remote::fetch(&args.remote, &mut [&mut args.audit.policies], false)?;
            audit(args)
        }
        #[cfg(feature = "webhook")]
        Command::Webhook(args) => Ok(match portcullis_webhook::run::run((**args).clone()) {
            Ok(()) => ExitStatus::Success,
            Err(error) => {
                portcullis_webhook::run::report(&error);
                ExitStatus::Error
            }
        }),
        #[cfg(not(feature = "webhook"))]
        Command::Webhook(_) => anyhow::bail!(
            "this build of portcullis has no webhook: run `portcullis-webhook`, or build it with `--features webhook`"
        ),
        Command::Push(args) => push::run(args),
        Command::Pull(args) => pull::run(args),
        Command::Lint(lint) => {
            lint.paths.extend(remote::images(&lint.remote));
            let _fetched = remote::fetch(&lint.remote, &mut [&mut lint.paths], false)?;
            let jobs = lint.jobs;
            in_pool(jobs, || lint::run(lint))
        }
        Command::Docs(args) => in_pool(None, || docs::run(args)),
        Command::Eval(args) => in_pool(None, || eval::run(args)),
        Command::Init(InitCommand::Policy(args)) => init::run(args),
        #[cfg(feature = "lsp")]
        Command::Lsp(args) => lsp::run(args),
        #[cfg(not(feature = "lsp"))]
        Command::Lsp(_) => {
            anyhow::bail!("this build of portcullis has no language server: build it with `--features lsp`")
        }
        Command::Fmt(args) => in_pool(args.jobs, || fmt::run(args)),
        Command::Build(args) => in_pool(None, || build::run(args)),
        Command::Sync(SyncCommand::Test(args)) => in_pool(None, || sync::run(args)),
        Command::Policy(args) => policy::run(args),
        Command::Config(what) => match what {
            ConfigCommand::Schema => print(|out| {
                serde_json::to_writer_pretty(&mut *out, &config_file::schema())?;
                writeln!(out)
            }),
            ConfigCommand::Show { config } => match config_file::show(config.as_deref()) {
                Ok(text) => print(|out| out.write_all(text.as_bytes())),
                Err(errors) => Ok(config_file::refuse(&errors)),
            },
        },
        Command::Generate(what) => in_pool(None, || generate::run(what)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "portcullis", &mut script);
            print(|out| out.write_all(&script))
        }
        Command::Man => print(man),
        Command::Version => print(|out| writeln!(out, "portcullis {}", env!("CARGO_PKG_VERSION"))),
    }
}

#[cfg(feature = "kube")]
fn audit(args: &AuditCommand) -> anyhow::Result<ExitStatus> {
    Ok(if args.kube.kube {
        portcullis_audit::kube::run(&args.audit, &args.kube)?
    } else {
        portcullis_audit::run::files(&args.audit, &args.files.in_force.ignores)?
    })
}

#[cfg(not(feature = "kube"))]
fn audit(args: &AuditCommand) -> anyhow::Result<ExitStatus> {
    anyhow::ensure!(!args.kube, NO_CLUSTER);
    Ok(portcullis_audit::run::files(&args.audit, &args.files.in_force.ignores)?)
}

#[cfg(not(feature = "kube"))]
const NO_CLUSTER: &str =
    "this build of portcullis knows no clusters: `--kube` needs the feature `kube`, or `portcullis-audit`";

/// What `test` and `exceptions` name.
fn fetched_for_test(test: &mut TestArgs) -> anyhow::Result<remote::Remote> {
    // As for gator, all of an image is taken, policies and objects.
    test.filenames.extend(remote::images(&test.remote));
    let TestArgs { remote, paths, filenames, policies, inventory, rego, .. } = test;
    remote::fetch(remote, &mut [paths, filenames, policies, inventory, &mut rego.data], false)
}

/// A problem of something elsewhere that ends the command, with what can be done about it.
fn failed(error: RemoteError) -> anyhow::Error {
    match error.what_to_do() {
        Some(hint) => anyhow::anyhow!("{error}\n  = help: {hint}"),
        None => anyhow::Error::new(error),
    }
}

/// Writes to standard output, to the end.
fn print(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> anyhow::Result<ExitStatus> {
    let mut out = portcullis_report::stdout(false);
    write(&mut *out)?;
    out.flush()?;
    Ok(ExitStatus::Success)
}

/// Deep documents and policies are worked on recursively, within limits that fit into a quarter of this.
const STACK_BYTES: usize = 8 << 20;

/// Runs something with a number of threads.
fn in_pool<T: Send>(
    jobs: Option<NonZeroUsize>,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let threads = jobs.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .build()
        .context("the threads to work with could not be started; try fewer with `--jobs`")?;
    pool.install(work)
}

/// The main page, then one section per command: one text for the whole program.
fn man(mut out: &mut dyn io::Write) -> io::Result<()> {
    let out = &mut out;
    let command = Args::command();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for subcommand in
        command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
    {
        let name = format!("portcullis {}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone().bin_name(name));
        writeln!(out, ".SH \"PORTCULLIS {}\"", subcommand.get_name().to_uppercase())?;
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        page.render_extra_section(out)?;
    }
    Ok(())
}
