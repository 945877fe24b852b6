//! `portcullis fmt`: Rego laid out as `opa fmt` does it, in its own files and in the YAML of templates.
//!
//! ```text
//! files ── RegoLayout, one by one ──> new texts ── written in place, or shown, or only counted
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::{Error, ErrorKind, Limits, Location, RegoLayout, RegoVersion, Severity, Source};
use portcullis_report::{self as report, ExitStatus, Problem, count, escape};
use portcullis_sources::{self as read, Choice, Globs, Ignores, InputFile};
use rayon::prelude::*;

use crate::commands::in_place;
use crate::file_args::note;
use crate::fmt_args::FmtArgs;

/// What is done with files that are not formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Write,
    List,
    Diff,
}

/// What a file is, to who formats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rego,
    Manifests,
}

/// What came of a file. Texts are kept only where they are different.
#[derive(Default)]
struct Formatted {
    texts: Option<(Arc<Source>, String)>,
    modules: usize,
    changed: usize,
    problems: Vec<Error>,
}

/// Formats files, or standard input.
pub fn run(args: &FmtArgs) -> anyhow::Result<ExitStatus> {
    if args.paths.iter().any(|path| read::is_stdin(path)) {
        anyhow::ensure!(
            args.paths.len() == 1,
            "`-` is standard input, which is formatted to standard output: name it alone"
        );
        return stdin(args);
    }
    anyhow::ensure!(
        args.stdin_filename.is_none(),
        "`--stdin-filename` is about standard input: name that as `-`"
    );
    let how = match (args.diff, args.check || args.list) {
        (true, _) => How::Diff,
        (false, true) => How::List,
        (false, false) => How::Write,
    };
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let ignores = ignores(&args.ignore_files)?;
    let (sorted, mut problems) = read::list_sorted_without(&args.paths, Choice::Manifests, &ignores);
    let rego = sorted.rego.into_iter().map(|file| (Kind::Rego, file));
    let manifests = sorted.manifests.into_iter().map(|file| (Kind::Manifests, file));
    let mut files: Vec<(Kind, InputFile)> = rego.chain(manifests).collect();
    files.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let formatted: Vec<Formatted> =
        files.par_iter().map(|(kind, file)| of_file(*kind, file, args.version(), &limits)).collect();

    let mut out = report::stdout(how == How::Diff);
    let (mut modules, mut changed, mut changed_files) = (0, 0, 0);
    for ((_, file), formatted) in files.iter().zip(formatted) {
        let Formatted { texts, modules: all, changed: some, problems: found } = formatted;
        problems.extend(found);
        modules += all;
        let Some((source, new)) = texts else { continue };
        let old = source.text();
        match how {
            How::Write => {
                if let Err(why) = write(&file.path, &args.paths, old, &new) {
                    let message = format!("the file is not formatted: {why}");
                    let error = Error::new(ErrorKind::Unreadable, message);
                    problems.push(error.at(Location::new(source.clone(), 0..0)));
                    continue;
                }
                writeln!(out, "{}", escape::line(&file.name))?;
            }
            How::List => writeln!(out, "{}", escape::line(&file.name))?,
            How::Diff => report::mutate::write_text_diff(&file.name, old, &new, &mut *out)?,
        }
        changed_files += 1;
        changed += some;
    }
    out.flush()?;
    let is_broken = problems.iter().any(|problem| problem.severity() == Severity::Error);
    // Who names files may name such as have none: editors and hooks do. A folder was meant to have some.
    if modules == 0 && !is_broken && args.paths.iter().any(|path| path.is_dir()) {
        let error = Error::new(ErrorKind::NoInput, "no Rego was found");
        problems
            .push(error.hint("Rego is in .rego files, and in ConstraintTemplates in .yaml and .yml files"));
    }
    problems.sort();
    problems.dedup();
    tell(&problems)?;
    if let Some(line) = ignores.line() {
        note(&format!("{line} (`--ignore-files`)"));
    }
    if !args.quiet && modules > 0 {
        summarize(how, modules, changed, changed_files);
    }
    let is_broken = problems.iter().any(|problem| problem.severity() == Severity::Error);
    Ok(match (is_broken, args.check && changed_files > 0) {
        (true, _) => ExitStatus::Error,
        (false, true) => ExitStatus::Violations,
        (false, false) => ExitStatus::Success,
    })
}

/// Writes a file; of a link, what it leads to, unless that is out of what was named.
fn write(path: &Path, given: &[PathBuf], old: &str, new: &str) -> Result<(), String> {
    let real = path.canonicalize().map_err(|error| read::reason(&error))?;
    in_place::may_be_written(&real, given.iter())?;
    in_place::write(&real, old, new).map_err(|error| read::reason(&error))
}

/// One by one: each module has its place, also if many are broken in the same way.
fn tell(problems: &[Error]) -> anyhow::Result<()> {
    let mut stderr = anstream::stderr().lock();
    for problem in Problem::all(problems) {
        report::human::write_problems(std::slice::from_ref(&problem), &mut stderr)?;
    }
    Ok(())
}

/// On standard error: standard output is for scripts.
fn summarize(how: How, modules: usize, changed: usize, changed_files: usize) {
    let all = count(modules, "module", "modules");
    let files = count(changed_files, "file", "files");
    let line = match (how, changed_files) {
        (_, 0) => format!("{all} of Rego: nothing to format"),
        (How::Write, _) => format!("{all} of Rego: {changed} formatted, in {files}"),
        (How::List | How::Diff, _) => {
            format!("{all} of Rego: {changed} not formatted, in {files}; `portcullis fmt` does it")
        }
    };
    // Only a courtesy.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Standard input to standard output; nothing of it if something in it is broken.
fn stdin(args: &FmtArgs) -> anyhow::Result<ExitStatus> {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let name = args.stdin_filename.as_deref().unwrap_or(read::STDIN_NAME);
    let source = read::read_stdin(&limits).and_then(|bytes| text(name, bytes));
    let source = match source {
        Ok(text) => Source::new(name, text),
        Err(error) => {
            tell(&[error])?;
            return Ok(ExitStatus::Error);
        }
    };
    let kind = match args.stdin_filename.as_deref().map(Path::new) {
        Some(name) if name.extension().is_some_and(|end| end.eq_ignore_ascii_case("rego")) => Kind::Rego,
        None if begins_like_rego(source.text()) => Kind::Rego,
        Some(_) | None => Kind::Manifests,
    };
    let layout = layout(kind, &source, args.version(), &limits);
    tell(layout.problems())?;
    if layout.problems().iter().any(|problem| problem.severity() == Severity::Error) {
        return Ok(ExitStatus::Error);
    }
    let mut out = report::stdout(args.diff);
    match (layout.text(), args.diff, args.check || args.list) {
        (Some(new), true, _) => report::mutate::write_text_diff(name, source.text(), new, &mut *out)?,
        (Some(_), false, true) => writeln!(out, "{}", escape::line(name))?,
        (None, true, _) | (None, _, true) => {}
        (new, false, false) => out.write_all(new.unwrap_or(source.text()).as_bytes())?,
    }
    out.flush()?;
    let is_different = args.check && layout.text().is_some();
    Ok(if is_different { ExitStatus::Violations } else { ExitStatus::Success })
}

/// Whether the first line that is no comment is that of a package.
fn begins_like_rego(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| line.split_whitespace().next() == Some("package"))
}

fn of_file(kind: Kind, file: &InputFile, version: Option<RegoVersion>, limits: &Limits) -> Formatted {
    let failed = |error| Formatted { problems: vec![error], ..Formatted::default() };
    let bytes = match read::read_bytes(file, limits) {
        Ok(bytes) => bytes,
        Err(error) => return failed(error),
    };
    // Most manifests have no Rego, whatever they are.
    if kind == Kind::Manifests && !RegoLayout::may_be_in(&bytes) {
        return Formatted::default();
    }
    let source = match text(&file.name, bytes) {
        Ok(text) => Source::new(file.name.as_str(), text),
        Err(error) => return failed(error),
    };
    let layout = layout(kind, &source, version, limits);
    Formatted {
        modules: layout.modules(),
        changed: layout.changed(),
        problems: layout.problems().to_vec(),
        texts: layout.text().map(|new| (source.clone(), new.to_owned())),
    }
}

fn layout(kind: Kind, source: &Arc<Source>, version: Option<RegoVersion>, limits: &Limits) -> RegoLayout {
    match kind {
        Kind::Rego => RegoLayout::of_file(source, version),
        Kind::Manifests => RegoLayout::of_manifests(source, limits),
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| {
        let error = Error::new(ErrorKind::Encoding, "this file is not UTF-8: it is not formatted");
        error.at(Location::new(Source::new(name, ""), 0..0))
    })
}

fn ignores(globs: &[String]) -> anyhow::Result<Ignores> {
    if globs.is_empty() {
        return Ok(Ignores::default());
    }
    match Globs::new(Path::new(""), globs.iter().map(String::as_str)) {
        Ok(globs) => Ok(Ignores::new(Some(globs), Vec::<PathBuf>::new())),
        Err(wrong) => {
            let why = wrong.first().map(|(_, why)| why.as_str()).unwrap_or_default();
            anyhow::bail!("`--ignore-files`: {why}")
        }
    }
}
