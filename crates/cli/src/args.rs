//! The command line as types: the commands, and the flags of all of them. No behaviour beyond parsing. A command with many flags has a file
//! of its own beside this one.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};

use crate::authoring_args::{DocsArgs, InitCommand};
use crate::bench_args::BenchArgs;
use crate::build_args::BuildArgs;
use crate::eval_args::EvalArgs;
use crate::file_args::FileArgs;
#[cfg(feature = "lsp")]
use crate::file_args::size;
use crate::fmt_args::FmtArgs;
use crate::generate_args::Generate;
use crate::lint_args::LintArgs;
use crate::mutate_args::{ExpandArgs, MutateArgs};
use crate::policy_args::PolicyArgs;
use crate::remote_args::{PullArgs, PushArgs, RemoteArgs};
use crate::sync_args::SyncCommand;
use crate::test_args::{EXCEPTIONS_EXAMPLES, EXPLAIN_EXAMPLES, TestArgs};
use crate::verify_args::VerifyArgs;

const AFTER: &str = "\
Examples:
  portcullis test -f policies/ -f manifests/      judge manifests by policies
  portcullis audit -p policies/ dump.json.gz      judge all objects of a cluster's dump
  portcullis mutate -f mutators/ -f manifests/    show what mutators make of manifests
  portcullis verify policies/...                  run the policies' own tests
  portcullis lint policies/                       look for mistakes in the policies
  portcullis fmt policies/                        format their Rego
  portcullis generate manifests -p policies/      write the roles and rules that they need in a cluster

Exit codes: 0 nothing is denied, no test failed, no policy is wrong, 1 something is, 2 the input (for `test` and `verify` also the
policies) is broken.";

#[cfg(feature = "webhook")]
const WEBHOOK_EXAMPLES: &str = "\
Example:
  portcullis webhook --policies policies/ --self-signed --ca-file /tmp/ca.pem

It is the same program as `portcullis-webhook`, whose manual is docs/webhook.md.

Exit codes: 0 it was asked to end, 2 the policies, the certificate, the address or the record of decisions cannot be used.";

const DOCS_EXAMPLES: &str = "\
Examples:
  portcullis docs policies/ > POLICIES.md
  portcullis docs policies/ -o html --output site/policies.html --title 'Our policies'
  portcullis docs policies/ --output POLICIES.md --check          in CI: fails if the file is not what the policies say

Exit codes: 0 it was written, or is as it should be, 1 `--check` found a difference, 2 a policy or a suite is broken; nothing is written then.";

const EVAL_EXAMPLES: &str = "\
Examples:
  portcullis eval violation -p template.yaml -p constraint.yaml -i pod.yaml
  portcullis eval 'c := input.review.object.spec.containers[_]; not c.resources' -p template.yaml -i pod.yaml
  portcullis eval --cel 'object.spec.containers.map(c, c.image)' -i pod.yaml
  portcullis eval 'data.main.deny' -p policy/ -i deployment.yaml --trace
  portcullis eval -p template.yaml -i pod.yaml                              a prompt

Exit codes: 0 it was answered, 1 with `--fail` it is undefined, 2 the query, its input or a policy is broken.";

/// Judge Kubernetes manifests by Gatekeeper policies, and test the policies.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = AFTER, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    /// Colour the output: on a terminal, always, or never.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 100)]
    pub color: Color,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge manifests by policies.
    Test(Box<TestArgs>),
    /// List what does not count: exceptions, used, unused and expired, comments, the baseline, and what each hides.
    ///
    /// Judges as `test` does, with the same flags, and reports what that leaves out.
    #[command(after_help = EXCEPTIONS_EXAMPLES)]
    Exceptions(Box<TestArgs>),
    /// Tell why policies deny objects, or do not: rules and conditions with their places, and what they read.
    ///
    /// Judges as `test` does, with the same flags, and tells of each object and constraint how every violation came
    /// about, or which conditions came nearest to one, or which criteria of its `match` do not hold. `--why CONSTRAINT`
    /// asks about these only.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Box<TestArgs>),
    /// Show what mutators make of manifests.
    Mutate(MutateArgs),
    /// Run the tests that policies bring: gator's suites, and unit tests of Rego.
    Verify(Box<VerifyArgs>),
    /// Print what controllers will make of objects, by ExpansionTemplates.
    Expand(ExpandArgs),
    /// Audit the objects that exist, as a stream of any size.
    Audit(Box<AuditCommand>),
    /// Judge the admission requests of an API server; the same program as `portcullis-webhook`.
    #[cfg(feature = "webhook")]
    #[command(after_help = WEBHOOK_EXAMPLES)]
    Webhook(Box<portcullis_webhook::args::Args>),
    /// Not in this build.
    #[cfg(not(feature = "webhook"))]
    #[command(hide = true)]
    Webhook(Absent),
    /// Measure what policies cost: time, steps and memory, in all and of each constraint.
    Bench(Box<BenchArgs>),
    /// Look for mistakes in policies, without evaluating them.
    Lint(LintArgs),
    /// Write a reference of policies: what each refuses, its parameters, an example, and what its suite shows.
    #[command(after_help = DOCS_EXAMPLES)]
    Docs(DocsArgs),
    /// Ask what a query in Rego, or an expression in CEL, is worth.
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Begin something new.
    #[command(subcommand)]
    Init(InitCommand),
    /// Serve an editor: what is wrong as you type, completion, navigation, fixes (Language Server Protocol).
    ///
    /// Speaks on standard input and output, to the editor that starts it. How editors are told to: docs/editors.md.
    #[cfg(feature = "lsp")]
    Lsp(LspArgs),
    /// Not in this build.
    #[cfg(not(feature = "lsp"))]
    #[command(hide = true)]
    Lsp(Absent),
    /// Format Rego as `opa fmt` does: in its own files, and inside of the YAML of ConstraintTemplates.
    ///
    /// Files are written in place. What the Rego says never changes: the result is parsed and compared with what there was,
    /// comments included, before anything is written. The YAML around stays as it is.
    Fmt(FmtArgs),
    /// Make ConstraintTemplates and constraints from files of Rego.
    Build(BuildArgs),
    /// Write the manifests that a cluster needs for some policies.
    #[command(subcommand)]
    Generate(Generate),
    /// Test whether what templates compare objects with is synced.
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Put policies of a catalog into a folder, and keep them up to date.
    Policy(PolicyArgs),
    /// Print what may be in a configuration file, and what is in force.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring policies into a registry, as an artifact.
    Push(Box<PushArgs>),
    /// Make a directory of an artifact of a registry.
    Pull(Box<PullArgs>),
    /// Print the completion script of a shell.
    ///
    /// For bash: `portcullis completions bash > /etc/bash_completion.d/portcullis`.
    #[command(visible_alias = "completion")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    ///
    /// To read it: `portcullis man | man -l -`.
    Man,
    /// Print the version.
    Version,
}

impl Args {
    /// The flags about files, of commands that have a configuration file.
    pub fn files_mut(&mut self) -> Option<&mut FileArgs> {
        match &mut self.command {
            Command::Test(test) | Command::Exceptions(test) | Command::Explain(test) => Some(&mut test.files),
            Command::Verify(verify) => Some(&mut verify.files),
            Command::Lint(lint) => Some(&mut lint.files),
            Command::Audit(audit) => Some(&mut audit.files),
            _ => None,
        }
    }
}

/// `portcullis config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of configuration files.
    Schema,
    /// Print what is in force for each command, and where it is said.
    Show {
        /// Read this file, instead of the next `portcullis.yaml`.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
}

/// `portcullis lsp`.
#[cfg(feature = "lsp")]
#[derive(Debug, clap::Args)]
pub struct LspArgs {
    /// Standard input and output, which there is nothing else than: some editors say so.
    #[arg(long)]
    pub stdio: bool,
    /// Most files of manifests that are read of a folder; of one that holds more, only what is open is looked at.
    #[arg(long, value_name = "N", default_value = "10000")]
    pub max_files: usize,
    /// Most bytes of manifests that are read of a folder, such as `256MiB`.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = size)]
    pub max_total: usize,
}

/// The flags of a command that a build lacks: whatever they are, the answer is that it does.
#[cfg(not(all(feature = "lsp", feature = "webhook")))]
#[derive(Debug, clap::Args)]
pub struct Absent {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub flags: Vec<std::ffi::OsString>,
}

/// `portcullis audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = portcullis_audit::args::EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct AuditCommand {
    #[command(subcommand)]
    pub action: Option<portcullis_audit::args::AuditAction>,
    #[command(flatten)]
    pub audit: portcullis_audit::args::AuditArgs,
    #[cfg(feature = "kube")]
    #[command(flatten)]
    pub kube: portcullis_audit::kube::KubeArgs,
    /// Not in this build.
    #[cfg(not(feature = "kube"))]
    #[arg(long, hide = true)]
    pub kube: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// If the output is a terminal that can.
    Auto,
    /// Also in pipes.
    Always,
    /// No.
    Never,
}

impl Color {
    /// Makes it the choice of all streams of the program.
    pub fn write_global(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn a_flag_that_means_something_else_now_says_so() {
        for command in ["test", "verify"] {
            let refused =
                Args::try_parse_from(["portcullis", command, "x", "--max-memory", "32MiB"]).unwrap_err();
            assert!(refused.to_string().contains("is `--max-policy-memory`"), "{refused}");
        }
        Args::try_parse_from(["portcullis", "test", "x", "--max-policy-memory", "32MiB"]).unwrap();
    }
}
