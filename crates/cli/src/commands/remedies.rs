//! `portcullis lint --fix` and `--fix-dry-run`: what is certain to be done about findings, put into the files.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::{Error, ErrorKind, Limits, Location, Remedied, Source};
use portcullis_report::{self as report, count, escape};
use portcullis_sources as read;

use crate::commands::in_place;
use crate::lint_args::LintArgs;

/// What is done with remedies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are shown.
    Show,
    /// They are put into the files.
    Write,
}

/// What is asked for, if files are to be edited at all.
pub fn asked(args: &LintArgs) -> anyhow::Result<Option<How>> {
    let how = match (args.fix, args.fix_dry_run) {
        (true, _) => How::Write,
        (false, true) => How::Show,
        (false, false) => return Ok(None),
    };
    let is_stdin = args.all_paths().iter().any(|path| read::is_stdin(path));
    anyhow::ensure!(!(how == How::Write && is_stdin), "`--fix` edits files, and `-` is none: name files");
    Ok(Some(how))
}

/// Puts remedies into files, or shows them as a diff. A file that could not be written is a problem.
pub fn run(args: &LintArgs, how: How, problems: &[Error]) -> anyhow::Result<Vec<Error>> {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let given = args.all_paths();
    let mut files: BTreeMap<String, (Arc<Source>, Vec<Error>)> = BTreeMap::new();
    for problem in problems.iter().filter(|problem| problem.remedy().is_some()) {
        let Some(location) = problem.location() else { continue };
        let entry = files.entry(location.file().to_string());
        entry.or_insert_with(|| (location.source().clone(), Vec::new())).1.push(problem.clone());
    }
    let mut left: Vec<Error> = Vec::new();
    let mut out = report::stdout(how == How::Show);
    let mut stderr = anstream::stderr().lock();
    for (name, (source, problems)) in files {
        let remedied = Remedied::new(&source, &problems, &limits);
        for (problem, why) in remedied.left() {
            let at = problem.location().map(|at| format!("{at}: ")).unwrap_or_default();
            let line = format!("{at}not fixed: {why} ({})", problem.message());
            // Only a courtesy: the finding stays in the report.
            let _ = writeln!(stderr, "fix: {}", escape::line(&line));
        }
        let Some(new) = remedied.text() else { continue };
        if how == How::Show {
            report::mutate::write_text_diff(&name, source.text(), new, &mut *out)?;
            continue;
        }
        match write(&read::elsewhere::path_of(&name), &given, source.text(), new) {
            Ok(()) => {
                let edits = count(remedied.done().len(), "finding", "findings");
                // Only a courtesy: the report is what counts.
                let _ = writeln!(stderr, "fix: {}: {edits} fixed", escape::line(&name));
            }
            Err(why) => {
                let message = format!("the file is not fixed: {why}");
                let at = Location::new(source.clone(), 0..0);
                left.push(Error::warning(ErrorKind::Unsupported, message).at(at));
            }
        }
    }
    out.flush()?;
    Ok(left)
}

fn write(path: &std::path::Path, given: &[PathBuf], old: &str, new: &str) -> Result<(), String> {
    in_place::may_be_written(path, given.iter())?;
    in_place::is_unchanged(path, old)?;
    in_place::write(path, old, new).map_err(|error| read::reason(&error))
}
