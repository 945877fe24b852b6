//! `portcullis push`: folders of policies as an artifact of a registry.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use portcullis::{Error, ErrorKind, Limits, Severity};
use portcullis_remote::{Bundle, Options, SigningKey};
use portcullis_report::{self as report, ExitStatus, Problem, count};
use portcullis_sources::{self as read, Choice};

use crate::commands::failed;
use crate::remote_args::PushArgs;

/// Pushes, or only tells the digest. With anything that cannot be read, nothing is pushed.
pub fn run(args: &PushArgs) -> anyhow::Result<ExitStatus> {
    let options = args.connect.options(None);
    let key = args.sign_key.as_deref().map(SigningKey::read).transpose().map_err(failed)?;
    let mut bundle = Bundle::default();
    let mut problems = Vec::new();
    for folder in &args.folders {
        problems.extend(add(&mut bundle, folder, &options));
    }
    report::human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    if problems.iter().any(|problem| problem.severity() == Severity::Error) {
        anyhow::bail!("nothing is pushed");
    }
    if bundle.is_empty() {
        anyhow::bail!(
            "there are no files to push: what is pushed of a directory is what `portcullis test` reads of it"
        );
    }
    let digest =
        if args.dry_run { bundle.digest() } else { bundle.push(&args.reference, key.as_ref(), &options) };
    let digest = digest.map_err(failed)?;
    let done = if args.dry_run { "would be pushed" } else { "pushed" };
    writeln!(anstream::stderr(), "{}: {} {done}", args.reference, count(bundle.len(), "file", "files"))?;
    let mut out = report::stdout(false);
    writeln!(out, "{digest}")?;
    out.flush()?;
    Ok(ExitStatus::Success)
}

/// Adds the files of a folder, or a file.
fn add(bundle: &mut Bundle, folder: &Path, options: &Options) -> Vec<Error> {
    let (sorted, mut problems) =
        read::list_sorted(std::slice::from_ref(&folder.to_owned()), Choice::Manifests);
    let limits = Limits {
        source_bytes: usize::try_from(options.bounds.packed).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let mut files: Vec<_> = sorted.manifests.into_iter().chain(sorted.rego).chain(sorted.toml).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let root = fs::canonicalize(folder).ok();
    let mut paths = BTreeSet::new();
    for file in files {
        let at = || portcullis::Location::new(portcullis::Source::new(file.name.as_str(), ""), 0..0);
        let error = |message: &str| Error::new(ErrorKind::Unreadable, message).at(at());
        // Somebody else's link must not publish what lies elsewhere.
        let is_inside = fs::canonicalize(&file.path)
            .ok()
            .zip(root.as_ref())
            .is_some_and(|(real, root)| real.starts_with(root));
        if !is_inside {
            problems.push(
                error("this link leads out of the directory that is pushed")
                    .hint("put the file there, or name its directory as well"),
            );
            continue;
        }
        let below = match file.path.strip_prefix(folder) {
            Ok(below) if !below.as_os_str().is_empty() => below,
            _ => file.path.file_name().map_or(&*file.path, Path::new),
        };
        let Some(below) = below.to_str().filter(|_| paths.insert(below.to_owned())) else {
            problems.push(error("the path of this file is no UTF-8"));
            continue;
        };
        let below = below.replace(std::path::MAIN_SEPARATOR, "/");
        match read::read_bytes(&file, &limits) {
            Ok(bytes) => {
                if let Err(refused) = bundle.add(&below, bytes, options) {
                    let problem = error(refused.message());
                    problems.push(match refused.what_to_do() {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    });
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}
