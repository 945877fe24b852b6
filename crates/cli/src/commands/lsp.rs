//! `portcullis lsp`: serves an editor. What is wrong, and how it is fixed, is said by the code of `lint`, `test` and
//! `verify`.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use portcullis::{
    CustomKind, Document, EnforcementAction, Error, ErrorKind, FixDecision, Limits, Severity, Unsupported,
};
use portcullis_lsp::{CaseRun, CaseStatus, Checks, Level, Note, Offer, Policies};
use portcullis_report::verify::{Failure, Status};
use portcullis_report::{self as report, ExitStatus, Finding, Problem, TestReport};
use portcullis_sources::{self as read, Bounds, Input, InputFile, measure, show_size};

use crate::args::{Args, Command, LspArgs};
use crate::commands::{lint, test, verify};
use crate::config_file::{self, Refused};
use crate::lint_args::LintArgs;
use crate::test_args::TestArgs;
use crate::verify_args::Selection;

/// Serves one editor on standard input and output.
pub fn run(args: &LspArgs) -> anyhow::Result<ExitStatus> {
    // It belongs to the editor, and is nothing to judge.
    read::take_stdin();
    let threads = |number| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(number).stack_size(super::STACK_BYTES).build();
        pool.context("the threads to work with could not be started")
    };
    let (pool, typing) = (threads(0)?, threads(1)?);
    let bounds = Bounds {
        entries: args.max_files.saturating_mul(10),
        files: args.max_files,
        bytes: args.max_total as u64,
        file_bytes: u64::MAX,
    };
    let state =
        Mutex::new(State { folder: PathBuf::new(), lint: Arc::new(lint_args(&[])?), roots: Vec::new() });
    let commands = Arc::new(Commands { pool, typing, bounds, state });
    let code = portcullis_lsp::serve(BufReader::new(std::io::stdin()), std::io::stdout(), commands)
        .context("the editor does not read what it is told")?;
    Ok(if code == 0 { ExitStatus::Success } else { ExitStatus::Error })
}

struct Commands {
    pool: rayon::ThreadPool,
    /// For what a keystroke waits for: it does not stand behind what takes longer.
    typing: rayon::ThreadPool,
    bounds: Bounds,
    state: Mutex<State>,
}

/// What is known since all policies were read last.
struct State {
    /// Where relative paths start from.
    folder: PathBuf,
    lint: Arc<LintArgs>,
    /// Where policies are.
    roots: Vec<PathBuf>,
}

/// Arguments as if somebody had given them in the folder, with what its configuration file says.
fn parsed(command: &str, flags: &[&str], paths: &[PathBuf]) -> Result<Args, Vec<Error>> {
    let words = ["portcullis", command].into_iter().chain(flags.iter().copied()).map(OsString::from);
    let paths = paths.iter().map(|path| path.as_os_str().to_owned());
    let words: Vec<OsString> = words.chain([OsString::from("--")]).chain(paths).collect();
    config_file::parse(words).map_err(|refused| match refused {
        Refused::Config(errors) => errors,
        Refused::Usage(usage) => {
            let text = usage.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            vec![Error::new(ErrorKind::InvalidValue, first)]
        }
    })
}

fn lint_args(paths: &[PathBuf]) -> anyhow::Result<LintArgs> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    match parsed("lint", &["--no-config"], paths).map(|args| args.command) {
        Ok(Command::Lint(args)) => Ok(args),
        Ok(_) => anyhow::bail!("`lint` is not what was parsed"),
        Err(errors) => anyhow::bail!("{}", sentence(&errors)),
    }
}

fn sentence(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Commands {
    /// A path as messages have it: from the folder that was entered, by the name that the editor has for that.
    fn short(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.state().folder) {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
            Ok(below) => below.to_owned(),
            Err(_) => path.to_owned(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folders that hold no more than is read, and the open files of the others.
    fn roots(&self, folders: &[PathBuf], open: &[PathBuf], args: &LintArgs) -> (Vec<PathBuf>, Vec<String>) {
        let (mut roots, mut cut, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for folder in folders {
            let bounds = Bounds { file_bytes: args.max_size as u64, ..self.bounds };
            let measured = measure(folder, &args.files.in_force.ignores, bounds);
            if measured.is_cut {
                cut.push(format!(
                    "`{}` holds more than {} files or {} of manifests: only what is open is looked at; open a smaller folder, or raise `--max-files` and `--max-total`",
                    folder.display(),
                    self.bounds.files,
                    show_size(self.bounds.bytes)
                ));
            } else {
                roots.push(self.short(folder));
                whole.push(folder);
            }
        }
        let is_apart =
            |path: &&PathBuf| path.is_file() && !whole.iter().any(|folder| path.starts_with(folder));
        roots.extend(open.iter().filter(is_apart).map(|path| self.short(path)));
        (roots, cut)
    }

    /// Judges manifests by the policies that there are.
    fn judged(&self, manifests: &[PathBuf], fixes: bool) -> Result<TestReport, String> {
        let paths: Vec<PathBuf> = manifests.iter().map(|path| self.short(path)).collect();
        let flags: &[&str] = if fixes { &["--fixes"] } else { &[] };
        let mut args: TestArgs = match parsed("test", flags, &paths).map(|args| args.command) {
            Ok(Command::Test(args)) => *args,
            Ok(_) => return Err("`test` is not what was parsed".to_owned()),
            Err(errors) => return Err(sentence(&errors)),
        };
        if args.policies.is_empty() && args.filenames.is_empty() {
            args.policies.clone_from(&self.state().roots);
        }
        // Nobody asked for it: a folder that is opened is looked at, and no one else is asked.
        args.write_baseline = false;
        args.providers.live_providers = false;
        args.providers.record_provider_answers = None;
        #[cfg(feature = "kube")]
        {
            args.cluster.kube = false;
        }
        self.pool.install(|| test::report_of(&args)).map_err(|error| format!("{error:#}"))
    }
}

/// A finding as editors show it. Its code names the constraint.
fn note_of(report: &TestReport, finding: &Finding) -> Option<Note> {
    let policy = report.policies.get(finding.policy)?;
    let level = match finding.action().0 {
        EnforcementAction::Deny => Level::Error,
        EnforcementAction::Warn => Level::Warning,
        EnforcementAction::Dryrun => Level::Information,
    };
    let level = if finding.verdict == report::Verdict::Unknown { Level::Error } else { level };
    Some(Note {
        location: finding.text.as_ref()?.location.clone(),
        level,
        code: policy.key.to_string(),
        message: finding.says().into_owned(),
    })
}

fn note_of_problem(problem: &Problem) -> Option<Note> {
    let level = match problem.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
    };
    let message = match &problem.help {
        Some(help) => format!("{}\n{help}", problem.message),
        None => problem.message.clone(),
    };
    let location = problem.location.clone().filter(|location| !location.source().text().is_empty())?;
    Some(Note { location, level, code: problem.kind.code().to_owned(), message })
}

fn notes_of(failures: &[Failure]) -> Vec<Note> {
    let each = failures.iter().map(|failure| {
        let mut message = failure.message.clone();
        for detail in &failure.details {
            message.push_str("\n- ");
            message.push_str(detail);
        }
        let code = failure.status.as_str().to_owned();
        Note { location: failure.location.clone(), level: Level::Error, code, message }
    });
    each.collect()
}

const fn status_of(status: Status) -> CaseStatus {
    match status {
        Status::Skipped => CaseStatus::Skipped,
        Status::Passed => CaseStatus::Passed,
        Status::Failed => CaseStatus::Failed,
        Status::Broken => CaseStatus::Broken,
    }
}

impl Checks for Commands {
    fn enter(&self, folder: Option<&Path>) -> Result<PathBuf, String> {
        let folder = match folder {
            Some(folder) => {
                std::env::set_current_dir(folder).map_err(|error| read::reason(&error))?;
                folder.to_owned()
            }
            None => std::env::current_dir().map_err(|error| read::reason(&error))?,
        };
        self.state().folder.clone_from(&folder);
        Ok(folder)
    }

    fn policies(&self, folders: &[PathBuf], open: &[PathBuf]) -> Policies {
        let (mut configuration, mut cut) = (Vec::new(), Vec::new());
        // The paths are known when it is known what is left out.
        let args = match parsed("lint", &[], &[PathBuf::from(".")]).map(|args| args.command) {
            Ok(Command::Lint(args)) => Some(args),
            Ok(_) => None,
            Err(found) => {
                // Without a place nothing shows it.
                let told = found.iter().filter(|error| error.location().is_none());
                cut.extend(told.map(|error| format!("the configuration is not used: {error}")));
                configuration = found;
                None
            }
        };
        let Some(mut args) = args.or_else(|| lint_args(&[]).ok()) else { return Policies::default() };
        let (roots, found) = self.roots(folders, open, &args);
        cut.extend(found);
        args.policies.clear();
        args.paths.clone_from(&roots);
        let args = Arc::new(args);
        {
            let mut state = self.state();
            state.lint = args.clone();
            state.roots = roots;
        }
        if args.paths.is_empty() {
            return Policies { configuration, cut, ..Policies::default() };
        }
        let (documents, found) = self.pool.install(|| {
            let loaded = lint::load(&args);
            let documents = loaded.documents.clone();
            (documents, lint::judge(loaded, &args, lint::Breadth::All).problems)
        });
        let mut errors = Unsupported::allowed(args.allow_unsupported).judge(found);
        errors.sort();
        errors.dedup();
        Policies { documents, errors, configuration, cut }
    }

    fn part(&self, documents: Vec<Document>, problems: Vec<Error>, kinds: &[CustomKind]) -> Vec<Error> {
        let args = self.state().lint.clone();
        let found = self.typing.install(|| {
            let mut loaded = lint::Loaded::default();
            loaded.custom_kinds.extend_from_slice(kinds);
            loaded.add(Input { documents, problems, ..Input::default() });
            lint::judge(loaded, &args, lint::Breadth::Quick).problems
        });
        let mut errors = Unsupported::allowed(args.allow_unsupported).judge(found);
        errors.sort();
        errors.dedup();
        errors
    }

    fn judge(&self, _folders: &[PathBuf], manifests: &[PathBuf]) -> Result<Vec<Note>, String> {
        let report = self.judged(manifests, false)?;
        let mut notes: Vec<Note> =
            report.findings.iter().filter_map(|finding| note_of(&report, finding)).collect();
        notes.extend(report.problems.iter().filter_map(note_of_problem));
        Ok(notes)
    }

    fn fixes(&self, _folders: &[PathBuf], manifest: &Path) -> Result<Vec<Offer>, String> {
        let report = self.judged(std::slice::from_ref(&manifest.to_owned()), true)?;
        let mut offers = Vec::new();
        for fixed in &report.fixes {
            for (policy, one) in &fixed.each {
                let Some(fix) = &one.fix else { continue };
                let is_it = |finding: &&Finding| {
                    (finding.ordinal, finding.policy, finding.implied.is_none())
                        == (fixed.ordinal, *policy, true)
                        && finding.message == one.message
                };
                let note = report.findings.iter().find(is_it).and_then(|finding| note_of(&report, finding));
                let edit = report::fixes::replacement(&fixed.object, fix);
                let source = fixed.object.document().map(|document| document.source().clone());
                let (Some(note), Some(edit), Some(source)) = (note, edit, source) else { continue };
                let is_decided = fix.decision == FixDecision::Policy;
                let edits: Vec<String> = fix.edits.iter().map(ToString::to_string).collect();
                let more = if is_decided { "" } else { " - the value is yours to decide" };
                let title = format!("{}{more}", edits.join(", "));
                offers.push(Offer {
                    location: note.location,
                    message: note.message,
                    title,
                    is_decided,
                    source,
                    range: edit.range,
                    new: edit.new,
                });
            }
        }
        Ok(offers)
    }

    fn run(&self, suite: &Path, test: &str, case: Option<&str>) -> Result<Vec<CaseRun>, String> {
        let exactly = |name: &str| {
            regex::Regex::new(&format!("^{}$", regex::escape(name))).map_err(|error| error.to_string())
        };
        let any = regex::Regex::new("").map_err(|error| error.to_string())?;
        let selection = Selection::Both(exactly(test)?, case.map(exactly).transpose()?.unwrap_or(any));
        let path = self.short(suite);
        let args = match parsed("verify", &[], std::slice::from_ref(&path)).map(|args| args.command) {
            Ok(Command::Verify(args)) => args,
            Ok(_) => return Err("`verify` is not what was parsed".to_owned()),
            Err(errors) => return Err(sentence(&errors)),
        };
        let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
        let found = self.pool.install(|| verify::selected(&InputFile::new(&path), &selection, &args, limits));
        let suite = found.ok_or_else(|| format!("there is no suite in `{}`", path.display()))?;
        if let Some(problem) = suite.problems.iter().find(|problem| problem.is_error()) {
            return Err(problem.to_string());
        }
        let mut runs = Vec::new();
        for ran in suite.parts.iter().filter(|ran| ran.name == test) {
            if !ran.failures.is_empty() || ran.parts.is_empty() {
                let (name, status) = (ran.name.clone(), status_of(ran.status));
                runs.push(CaseRun { name, status, notes: notes_of(&ran.failures) });
                continue;
            }
            for one in ran.parts.iter().filter(|one| case.is_none_or(|case| one.name == case)) {
                let (name, status) = (one.name.clone(), status_of(one.status));
                runs.push(CaseRun { name, status, notes: notes_of(&one.failures) });
            }
        }
        Ok(runs)
    }
}
