//! Folders of git repositories, by the `git` that is installed.
//!
//! Nothing is checked out: no filter, no hook, no attribute and no link of the repository does anything. One commit is fetched
//! into an empty repository of ours, its tree is listed, and its files are read as they are kept.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::folder::{Filling, Inside};
use crate::options::Options;
use crate::pull::temporary;
use crate::source::{GitSource, is_commit};

/// What git is told, whatever somebody has configured.
const SETTINGS: &[&str] = &[
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
];

/// What of our surroundings git gets: how to find programs, the user's own configuration and keys, proxies. Nothing that
/// names another repository or other configuration.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "USERPROFILE",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
    "TMP",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Most bytes of the list of a tree, and of what git says of an error.
const LISTING: u64 = 64 << 20;
const EXPLANATION: u64 = 16 << 10;
/// How a file begins that git keeps elsewhere.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A commit that was fetched.
pub(crate) struct Commit {
    room: tempfile::TempDir,
    source: GitSource,
    /// Its name.
    pub(crate) name: String,
    options: Options,
    end: Instant,
}

/// What was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    Folder,
    File,
}

/// A file of a tree.
struct Entry {
    object: String,
    size: u64,
    path: Inside,
}

impl Commit {
    /// Fetches it.
    pub(crate) fn fetch(source: &GitSource, options: &Options) -> Result<Self, RemoteError> {
        let room = temporary(options.temp_dir.as_deref())?;
        let now = Instant::now();
        let end = now.checked_add(options.timeout).unwrap_or(now);
        let mut commit =
            Self { room, source: source.clone(), name: String::new(), options: options.clone(), end };
        commit.name = commit.bring()?;
        Ok(commit)
    }

    fn bring(&self) -> Result<String, RemoteError> {
        const HERE: &str = "refs/portcullis/source";
        let mut init = self.git(None);
        init.args(["init", "--quiet", "--bare", "--template="]).arg(self.repository());
        self.run(init, "a repository cannot be made")?;
        let wanted = self.source.reference.as_deref().unwrap_or("HEAD");
        let url = self.url()?;
        let scheme = url.split("://").next().unwrap_or_default();
        let mut fetch = self.git(Some(scheme));
        fetch.args([
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
        ]);
        fetch.arg(&url).arg(format!("+{wanted}:{HERE}"));
        self.run(fetch, &format!("`{wanted}` cannot be fetched"))?;
        let mut parse = self.git(None);
        parse.args(["rev-parse", "--verify", "--end-of-options", &format!("{HERE}^{{commit}}")]);
        let name = self.run(parse, &format!("`{wanted}` is no commit"))?;
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        if !is_commit(&name) {
            return Err(RemoteError::new(
                RemoteErrorKind::Local,
                format!("git calls the commit `{name}`, which is no name of one"),
            ));
        }
        if let Some(asked) = self.source.commit().filter(|asked| *asked != name) {
            return Err(RemoteError::new(
                RemoteErrorKind::Untrue,
                format!("`{asked}` is no commit: it leads to {name}"),
            ));
        }
        Ok(name)
    }

    fn repository(&self) -> PathBuf {
        self.room.path().join("repository")
    }

    /// The address for git, which has no paths that are relative.
    fn url(&self) -> Result<String, RemoteError> {
        match self.source.url.strip_prefix("file://") {
            Some(path) if !path.starts_with('/') => {
                let path = std::path::absolute(path).map_err(|error| local(&format!("`{path}`"), &error))?;
                Ok(format!("file://{}", path.display()))
            }
            _ => Ok(self.source.url.clone()),
        }
    }

    /// git, in our repository, with one protocol at most.
    fn git(&self, protocol: Option<&str>) -> Command {
        let mut git = Command::new("git");
        git.env_clear();
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                git.env(name, value);
            }
        }
        git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "");
        git.env("GIT_LITERAL_PATHSPECS", "1").env("GIT_NO_LAZY_FETCH", "1").env("LC_ALL", "C");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            git.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        git.env("GIT_DIR", self.repository()).current_dir(self.room.path());
        for setting in SETTINGS {
            git.args(["-c", setting]);
        }
        if let Some(protocol) = protocol {
            git.args(["-c", &format!("protocol.{protocol}.allow=always")]);
        }
        git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // With all that it starts, so that all of it can be ended.
            git.process_group(0);
        }
        git
    }

    /// Runs git to its end, and looks meanwhile at the clock and at what it has written.
    fn run(&self, mut command: Command, doing: &str) -> Result<Vec<u8>, RemoteError> {
        const LOOKS: Duration = Duration::from_millis(50);
        let mut child = start(&mut command)?;
        let read = |from: Option<Box<dyn Read + Send>>, most: u64| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // What is cut is noticed by who reads it.
                let _ = from.map(|from| from.take(most).read_to_end(&mut bytes));
                bytes
            })
        };
        let stdout =
            read(child.0.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>), LISTING + 1);
        let stderr =
            read(child.0.stderr.take().map(|out| Box::new(out) as Box<dyn Read + Send>), EXPLANATION);
        let status = loop {
            match child.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(local("git cannot be waited for", &error)),
            }
            if Instant::now() >= self.end {
                return Err(self.late());
            }
            self.is_within_bounds()?;
            std::thread::sleep(LOOKS);
        };
        // Something that it left behind may hold its output open: it ends with it.
        child.end();
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        if !status.success() {
            let said = String::from_utf8_lossy(&stderr);
            let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
            // What comes before is of servers that greet.
            let is_reason = |line: &&str| line.starts_with("fatal:") || line.starts_with("error:");
            let first = lines.iter().position(is_reason).unwrap_or_else(|| lines.len().saturating_sub(3));
            let said: Vec<&str> = lines.iter().skip(first).take(3).copied().collect();
            let said = said.join("; ");
            let is_missing = [
                "couldn't find remote ref",
                "not our ref",
                "not found",
                "does not exist",
                "does not appear to be a git repository",
                "unadvertised object",
            ];
            let kind = if is_missing.iter().any(|text| said.contains(text)) {
                RemoteErrorKind::NotFound
            } else {
                RemoteErrorKind::Unreachable
            };
            return Err(RemoteError::new(kind, format!("{doing}: git says: {said}")));
        }
        self.is_within_bounds()?;
        Ok(stdout)
    }

    /// Whether git has not written too much so far.
    fn is_within_bounds(&self) -> Result<(), RemoteError> {
        let most = self.options.bounds.packed;
        if size_of(self.room.path()) <= most {
            return Ok(());
        }
        Err(RemoteError::new(RemoteErrorKind::Limit, format!("git brings more than {most} bytes"))
            .hint("policies in a repository of their own are fetched with less"))
    }

    fn late(&self) -> RemoteError {
        let seconds = self.options.timeout.as_secs();
        RemoteError::new(
            RemoteErrorKind::Limit,
            format!("git did not come to an end within {seconds} seconds"),
        )
        .hint("`--fetch-timeout` gives more time")
    }

    /// Puts the files of the folder into an empty folder of ours. A single file gets its own name.
    pub(crate) fn files_into(&self, folder: &Path) -> Result<Contents, RemoteError> {
        let mut list = self.git(None);
        list.args(["ls-tree", "-r", "-z", "-l", "--full-tree", &self.name]);
        let listing = self.run(list, "the commit cannot be listed")?;
        let (entries, contents) = self.entries(&listing)?;
        let size = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
        let bounds = &self.options.bounds;
        if size > bounds.unpacked || entries.len() > bounds.files {
            let message = format!(
                "there are {} files with {size} bytes, more than {} files or {} bytes",
                entries.len(),
                bounds.files,
                bounds.unpacked
            );
            return Err(
                RemoteError::new(RemoteErrorKind::Limit, message).hint("name a folder of it: `//FOLDER`")
            );
        }
        let mut filling = Filling::new(folder, *bounds);
        let mut command = self.git(None);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = start(&mut command)?;
        let broken = |error: &std::io::Error| local("git does not give its files", error);
        let (Some(mut ask), Some(answers)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Err(RemoteError::new(RemoteErrorKind::Local, "git cannot be spoken to"));
        };
        let mut answers = BufReader::new(answers);
        for Entry { object, size, path } in &entries {
            if Instant::now() >= self.end {
                return Err(self.late());
            }
            writeln!(ask, "{object}").and_then(|()| ask.flush()).map_err(|error| broken(&error))?;
            let mut head = Vec::new();
            answers.by_ref().take(256).read_until(b'\n', &mut head).map_err(|error| broken(&error))?;
            if String::from_utf8_lossy(&head).trim_end() != format!("{object} blob {size}") {
                let message = format!("git does not give `{}` as it was listed", path.as_str());
                return Err(RemoteError::new(RemoteErrorKind::Untrue, message));
            }
            let mut first = Vec::new();
            let beginning = (LFS.len() as u64).min(*size);
            answers.by_ref().take(beginning).read_to_end(&mut first).map_err(|error| broken(&error))?;
            if first == LFS {
                let message = format!("`{}` is kept in Git LFS, which is not fetched", path.as_str());
                return Err(RemoteError::new(RemoteErrorKind::Unusable, message));
            }
            let rest = answers.by_ref().take(size.saturating_sub(beginning));
            let written = filling.write(path, first.chain(rest))?;
            let mut end = [0];
            answers.read_exact(&mut end).map_err(|error| broken(&error))?;
            if written != *size {
                let message = format!("git does not give all of `{}`", path.as_str());
                return Err(RemoteError::new(RemoteErrorKind::Untrue, message));
            }
        }
        Ok(contents)
    }

    /// The files of the folder, by their paths below it.
    fn entries(&self, listing: &[u8]) -> Result<(Vec<Entry>, Contents), RemoteError> {
        let unusable = |message: String| RemoteError::new(RemoteErrorKind::Unusable, message);
        if listing.len() as u64 > LISTING {
            return Err(RemoteError::new(RemoteErrorKind::Limit, "the commit has too many files"));
        }
        let mut entries = Vec::new();
        let mut is_there = false;
        let mut contents = Contents::Folder;
        for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let text = String::from_utf8_lossy(line);
            let (facts, path) = text.split_once('\t').unwrap_or_default();
            let path = match &self.source.folder {
                None => path,
                Some(folder) => {
                    let is_file = path == folder.as_str();
                    let below = path.strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/'));
                    match below {
                        Some(below) => below,
                        None if is_file => {
                            contents = Contents::File;
                            path.rsplit('/').next().unwrap_or(path)
                        }
                        None => continue,
                    }
                }
            };
            is_there = true;
            if std::str::from_utf8(line).is_err() {
                return Err(unusable(format!("the path `{path}` is no UTF-8")));
            }
            let mut facts = facts.split_ascii_whitespace();
            let (mode, _, object, size) = (facts.next(), facts.next(), facts.next(), facts.next());
            match mode {
                Some("100644" | "100755") => {}
                Some("120000") => {
                    return Err(unusable(format!("`{path}` is a link, which is not followed"))
                        .hint("name a folder without links: `//FOLDER`"));
                }
                Some("160000") => {
                    return Err(unusable(format!("`{path}` is a submodule, which is not fetched")).hint(
                        "name a folder without submodules, and the repository of the submodule by itself",
                    ));
                }
                _ => return Err(unusable(format!("`{path}` is neither a file nor a folder"))),
            }
            let (Some(object), Some(size), Some(path)) =
                (object, size.and_then(|size| size.parse().ok()), Inside::parse(path)?)
            else {
                return Err(unusable(format!("git lists `{path}` in a way that is not known here")));
            };
            if !is_commit(object) {
                return Err(unusable(format!(
                    "git lists `{}` in a way that is not known here",
                    path.as_str()
                )));
            }
            entries.push(Entry { object: object.to_owned(), size, path });
        }
        match &self.source.folder {
            Some(folder) if !is_there => {
                let message = format!("there is no folder `{}` in commit {}", folder.as_str(), self.name);
                Err(RemoteError::new(RemoteErrorKind::NotFound, message))
            }
            _ if entries.is_empty() => Err(unusable(format!("there are no files in commit {}", self.name))),
            _ => Ok((entries, contents)),
        }
    }
}

/// A program that ends when nobody waits for it any longer.
struct Running(Child);

impl Running {
    fn end(&mut self) {
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // Of its own group: it began one. That there is nobody left is what is wanted.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(command: &mut Command) -> Result<Running, RemoteError> {
    command.spawn().map(Running).map_err(|error| {
        local("`git` cannot be started", &error).hint("git is needed for `git+…`, and found by `PATH`")
    })
}

/// The bytes of all files below a folder, as far as they can be seen.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).fold(0, u64::saturating_add)
}
