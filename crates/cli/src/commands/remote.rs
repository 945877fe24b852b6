//! What was named as a path and is fetched, before a command reads it.
//!
//! ```text
//! paths ── Source::parse ──> sources ── Fetcher ──> folders in the place of what was written, called by where they come from
//!                                           └─────> what could not be fetched: an error of whoever reads it
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};

use portcullis_remote::{Fetcher, RemoteError, Source};
use portcullis_sources::elsewhere;

use crate::commands::failed;
use crate::remote_args::{RemoteArgs, keys};

/// What was fetched, as long as this is there.
pub struct Remote(#[expect(dead_code, reason = "what it has is there until it goes")] Option<Fetcher>);

/// How a path says that all below it is meant.
const BELOW: &str = "...";

/// Fetches what is named in some lists of paths, and puts folders into its place. What cannot be fetched stays as it was
/// written, and is an error where it is read: all else is still judged.
pub fn fetch(
    args: &RemoteArgs,
    lists: &mut [&mut Vec<PathBuf>],
    wants_below: bool,
) -> anyhow::Result<Remote> {
    let is_remote = |path: &Path| !matches!(path.to_str().map(Source::parse), None | Some(Ok(None)));
    if !lists.iter().any(|list| list.iter().any(|path| is_remote(path))) {
        if args.update_lock {
            anyhow::bail!(
                "`--update-lock` writes what sources are now, and there is none: name one, such as `oci://ghcr.io/acme/policies:v1`"
            );
        }
        // A configuration file may ask for it wherever anything is fetched, so that it is no mistake.
        if !args.verify_key.is_empty() {
            note(
                "nothing is fetched, and so `--verify-key` verifies nothing: files on this machine have no signatures",
            );
        }
        return Ok(Remote(None));
    }
    let lock = args.read_lock().map_err(failed)?;
    let keys = keys(&args.verify_key).map_err(failed)?;
    let mut fetcher = Fetcher::new(args.connect.options(args.tempdir.clone()), keys, lock);
    for list in lists {
        for path in list.iter_mut() {
            if let Some(text) = path.to_str().map(str::to_owned) {
                replace(path, &text, &mut fetcher, wants_below);
            }
        }
    }
    for source in fetcher.unlisted() {
        note(&format!(
            "`{source}` is not in the lock file, and may be another one next time; `--update-lock` adds it"
        ));
    }
    fetcher.finish().map_err(failed)?;
    Ok(Remote(Some(fetcher)))
}

/// Only a courtesy.
fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "note: {text}");
}

fn replace(path: &mut PathBuf, text: &str, fetcher: &mut Fetcher, wants_below: bool) {
    let refuse =
        |error: &RemoteError| elsewhere::refuse(Path::new(text), error.message(), error.what_to_do());
    match Source::parse(text) {
        Ok(None) => {}
        Err(error) => refuse(&error),
        Ok(Some(source)) => match fetcher.fetch(&source) {
            Err(error) => refuse(&error),
            Ok(fetched) => {
                elsewhere::call(&fetched.path, &fetched.name);
                let is_folder = fetched.path.is_dir();
                *path = if wants_below && is_folder { fetched.path.join(BELOW) } else { fetched.path };
            }
        },
    }
}

/// What `--image` names, as paths.
pub fn images(args: &RemoteArgs) -> impl Iterator<Item = PathBuf> {
    const OCI: &str = "oci://";
    args.images.iter().map(|image| {
        PathBuf::from(if image.starts_with(OCI) { image.clone() } else { format!("{OCI}{image}") })
    })
}
