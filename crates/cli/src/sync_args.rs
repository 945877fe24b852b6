//! `portcullis sync`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use crate::file_args::size;

const SYNC_EXAMPLES: &str = "\
Examples:
  portcullis sync test -n templates/ -n syncsets/ -n gvkmanifest.yaml
  portcullis sync test -n policies/ --force-omit-gvk-manifest

Exit codes: 0 all requirements are met, 1 one is not, 2 the input is broken, or there is nothing to compare.";

/// `portcullis sync`.
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Test whether SyncSets and the Config have the kinds that templates say they compare objects with.
    ///
    /// Templates say it in the annotation `metadata.gatekeeper.sh/requires-sync-data`. What kinds the cluster knows says a
    /// GVKManifest.
    #[command(after_help = SYNC_EXAMPLES)]
    Test(SyncTestArgs),
}

#[derive(Debug, clap::Args)]
pub struct SyncTestArgs {
    /// Files and directories with templates, SyncSets, a Config and a GVKManifest; may be repeated. Standard input is read as
    /// well whenever it is not a terminal.
    #[arg(short = 'n', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    #[command(flatten)]
    pub refused: crate::gator_args::ImageArgs,
    /// Without a GVKManifest, take all kinds for known to the cluster.
    #[arg(short = 'f', long = "force-omit-gvk-manifest", visible_alias = "omit-gvk-manifest")]
    pub omit_gvk_manifest: bool,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
}
