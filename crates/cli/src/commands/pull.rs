//! `portcullis pull`: an artifact of a registry as a folder.

use std::io::Write as _;
use std::path::PathBuf;

use portcullis_remote::Artifact;
use portcullis_report::{self as report, ExitStatus, count};

use crate::commands::failed;
use crate::remote_args::{PullArgs, keys};

/// Makes the folder.
pub fn run(args: &PullArgs) -> anyhow::Result<ExitStatus> {
    let reference = &args.reference;
    let keys = keys(&args.verify_key).map_err(failed)?;
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => PathBuf::from(reference.repository().rsplit('/').next().unwrap_or_default()),
    };
    // The room to unpack is beside the folder, and so is that for layers.
    let beside = folder.parent().filter(|parent| parent.is_dir()).map(PathBuf::from);
    let artifact = Artifact::find(reference, &args.connect.options(beside)).map_err(failed)?;
    if !keys.is_empty() {
        artifact.verify(&keys).map_err(failed)?;
    }
    let pulled = artifact.pull_to(&folder).map_err(failed)?;
    let files = count(pulled.files, "file", "files");
    writeln!(anstream::stderr(), "{reference}: {files} pulled into {}", folder.display())?;
    let mut out = report::stdout(false);
    writeln!(out, "{}", artifact.digest())?;
    out.flush()?;
    Ok(ExitStatus::Success)
}
