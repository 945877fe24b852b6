//! The flags of `portcullis policy`: gator's, for a catalog that is a file and a folder that policies are put into.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

const EXAMPLES: &str = "\
Examples:
  portcullis policy search labels --catalog library/catalog.yaml
  portcullis policy install k8srequiredlabels --catalog library/catalog.yaml --into policies/
  portcullis policy install --bundle pod-security-baseline --enforcement-action warn --dry-run
  portcullis policy list
  portcullis policy upgrade --all

Exit codes: 0 all was done, 2 a policy, the catalog or a file is broken (all others are done).";

/// `portcullis policy`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PolicyArgs {
    /// The catalog, as `gator policy generate-catalog` makes it. Its policies are files beside it.
    #[arg(long, global = true, value_name = "FILE", default_value = "catalog.yaml", value_hint = ValueHint::FilePath)]
    pub catalog: PathBuf,
    /// The folder that policies are put into, each in one of its own.
    #[arg(long, global = true, value_name = "DIR", default_value = "policies", value_hint = ValueHint::DirPath)]
    pub into: PathBuf,
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Search the catalog for policies whose name or description has a text in it.
    Search {
        /// The text.
        query: String,
        /// Only policies of this category.
        #[arg(long, value_name = "NAME")]
        category: Option<String>,
        /// Only policies of this bundle.
        #[arg(long, value_name = "NAME")]
        bundle: Option<String>,
        /// Form of what is printed.
        #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
        output: PolicyForm,
    },
    /// List the policies of the folder that came from a catalog.
    List {
        /// Form of what is printed.
        #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
        output: PolicyForm,
    },
    /// Put policies into the folder: the template of each, and of a bundle the constraints, too.
    Install(ChangeArgs),
    /// Replace policies of the folder by those that the catalog has, if their versions differ.
    Upgrade {
        /// All that are there.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// gator's, of the cluster.
    #[command(hide = true)]
    Uninstall(Any),
    /// gator's, of the web.
    #[command(hide = true)]
    Update(Any),
    /// gator's.
    #[command(hide = true)]
    GenerateCatalog(Any),
}

/// What is put into the folder.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// Names of policies.
    #[arg(value_name = "POLICY")]
    pub policies: Vec<String>,
    /// All policies of a bundle, with their constraints; may be repeated.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub bundle: Vec<String>,
    /// What violations of the constraints lead to, instead of what the constraints say.
    #[arg(long, value_enum, value_name = "ACTION")]
    pub enforcement_action: Option<ActionArg>,
    /// Write nothing, and say what would be written.
    #[arg(long)]
    pub dry_run: bool,
    /// Form of what is printed.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: PolicyForm,
}

/// Anything, for commands that say what to use.
#[derive(Debug, clap::Args)]
pub struct Any {
    /// What it is asked.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<std::ffi::OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyForm {
    /// For people.
    Table,
    /// For scripts, as gator has it.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActionArg {
    /// They are denied.
    Deny,
    /// They are warned about.
    Warn,
    /// They are noted.
    Dryrun,
}

impl ActionArg {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Dryrun => "dryrun",
        }
    }
}
