//! `portcullis test --fix` and `--fix-dry-run`: fixes put into the files that were judged.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use portcullis::{ErrorKind, FixDecision};
use portcullis_report::fixes::{FixedFile, files};
use portcullis_report::{Place, Problem, TestReport, count};
use portcullis_sources::{self as read, Choice, InputFile};

use crate::commands::in_place;
use crate::test_args::TestArgs;

/// What is done with fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are shown.
    Show,
    /// They are put into the files.
    Write,
}

/// Other commands that judge as `test` does have no fixes.
pub fn refuse(args: &TestArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        !(args.fixes || args.fix || args.fix_dry_run),
        "`--fixes`, `--fix` and `--fix-dry-run` are of `test`"
    );
    Ok(())
}

/// What is asked for, if files are to be edited at all.
pub fn asked(args: &TestArgs) -> anyhow::Result<Option<How>> {
    let how = match (args.fix, args.fix_dry_run) {
        (true, _) => How::Write,
        (false, true) => How::Show,
        (false, false) => return Ok(None),
    };
    let all = args.paths.iter().chain(&args.filenames).chain(&args.policies).chain(&args.inventory);
    let is_named = all.clone().any(|path| read::is_stdin(path));
    if how == How::Write && (is_named || read::stdin_is_stream()) {
        anyhow::bail!(
            "`--fix` edits files, and standard input is read as well: name files, and give it nothing (`< /dev/null`)"
        );
    }
    Ok(Some(how))
}

/// What makes a report of all that is judged.
pub type Judge = dyn Fn(&TestArgs) -> anyhow::Result<TestReport>;

/// Judges, and edits. The report is about what there is then: what could not be edited is among its problems.
pub fn run(args: &TestArgs, how: How, judge: &Judge) -> anyhow::Result<(TestReport, Vec<FixedFile>)> {
    let mut report = judge(args)?;
    let mut files = files(&report.fixes);
    let paths = paths(args);
    let mut refused: Vec<Problem> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for file in &mut files {
        for (object, place, why) in &file.refused {
            refused.push(not_fixed(place, &object.to_string(), why));
        }
        let Some(new) = &file.new else { continue };
        let written = target(&paths, args, file).and_then(|path| {
            in_place::is_unchanged(&path, file.source.text())?;
            if how == How::Write {
                in_place::write(&path, file.source.text(), new).map_err(|error| error.to_string())
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) if how == How::Write => {
                let edits: usize = file.fixed.iter().map(|(_, fix)| fix.edits.len()).sum();
                notes.push(format!("{}: {} written", file.name, count(edits, "edit", "edits")));
            }
            Ok(()) => {}
            Err(why) => {
                let place =
                    Place::File { file: file.name.as_str().into(), line: 0, column: 0, end_column: 0 };
                refused.push(not_fixed(&place, &file.name, &why));
                file.new = None;
            }
        }
    }
    let proposed = report.fixes.iter().flat_map(|one| &one.each).filter_map(|(_, one)| one.fix.as_ref());
    let proposed = proposed.filter(|fix| fix.decision == FixDecision::Author).count();
    if proposed > 0 && !args.quiet {
        let fixes = count(proposed, "fix is", "fixes are");
        notes.push(format!("{fixes} yours to decide, and not put in: see them with `--fixes`"));
    }
    let fixed = report.fixes.iter().flat_map(|one| &one.each).filter(|(_, one)| one.fix.is_some()).count();
    let without = report.findings.len().saturating_sub(fixed);
    if without > 0 && !args.quiet {
        let findings = count(without, "finding has", "findings have");
        notes.push(format!(
            "{findings} no fix that was found and held; rules of Rego files and what an object implies are not followed"
        ));
    }
    if how == How::Write {
        report = judge(args)?;
    }
    let mut stderr = anstream::stderr().lock();
    for note in &notes {
        // Only a courtesy: the report is what counts.
        let _ = writeln!(stderr, "fix: {}", portcullis_report::escape::line(note));
    }
    report.problems.extend(refused);
    report.problems.sort();
    Ok((report, files))
}

fn not_fixed(place: &Place, object: &str, why: &str) -> Problem {
    let message = format!("{object} is not fixed in its file: {why}");
    Problem { place: Some(place.clone()), ..Problem::warning(ErrorKind::Unsupported, message) }
}

/// The files that were judged, by what reports call them.
fn paths(args: &TestArgs) -> BTreeMap<String, PathBuf> {
    let given: Vec<PathBuf> = args.filenames.iter().chain(&args.paths).cloned().collect();
    let (found, _) = read::list_sorted_without(&given, Choice::Manifests, &args.files.in_force.ignores);
    found.manifests.into_iter().map(|InputFile { path, name, .. }| (name, path)).collect()
}

/// The file to write.
fn target(paths: &BTreeMap<String, PathBuf>, args: &TestArgs, file: &FixedFile) -> Result<PathBuf, String> {
    let path =
        paths.get(&file.name).ok_or("it is not a file that was named, or found in a folder that was")?;
    in_place::may_be_written(path, args.filenames.iter().chain(&args.paths))?;
    Ok(path.clone())
}
