//! Renders folders by the programs that do: `kustomize` (or `kubectl kustomize`) and `helm`, as they are on the
//! PATH. Nothing is rendered unless somebody asks for it: a chart and a kustomization may read other places.
//!
//! What a kustomization makes is placed in the files that it was made of, by kustomize's own annotations
//! (`originAnnotations`), which are taken out again, and in the patches that kustomizations name as files. What a chart makes is placed in the rendered text, by the
//! template that Helm names (`# Source:`): a template has no lines of the manifest.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use portcullis::{Document, Error, ErrorKind, Limits};
use serde_json::Value;

use super::folders::{Folder, FolderKind, kustomization};
use super::reading::{InputFile, read_file, read_limited};
use super::unreadable;

/// How folders are rendered.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RenderArgs {
    /// Render kustomizations and Helm charts by the `kustomize` (or `kubectl`) and `helm` on the PATH, and judge
    /// what comes out. Without it such folders are not judged, which is an error.
    #[arg(long)]
    pub render: bool,
    /// Values for charts that are rendered, as `helm --values`; may be repeated.
    #[arg(long, value_name = "FILE", requires = "render", value_hint = clap::ValueHint::FilePath)]
    pub values: Vec<PathBuf>,
}

/// How long a program may take for one folder.
const PATIENCE: Duration = Duration::from_mins(2);

/// How much of what a program complains about is kept.
const COMPLAINT: u64 = 8 << 10;

/// The annotation in which kustomize says where an object comes from.
const ORIGIN: &str = "config.kubernetes.io/origin";

/// The documents of a folder, or why there are none.
pub(crate) fn render(folder: &Folder, args: &RenderArgs, limits: &Limits) -> (Vec<Document>, Vec<Error>) {
    let rendered = match folder.kind {
        FolderKind::Kustomization => kustomize(folder, limits),
        FolderKind::Chart => helm(folder, args, limits),
    };
    rendered.unwrap_or_else(|error| (Vec::new(), vec![error]))
}

fn failed(folder: &Folder, why: &str) -> Error {
    unreadable(&folder.name, ErrorKind::NotJudged, format!("this folder could not be rendered: {why}"))
}

/// Renders a kustomization by one of our own that has it as its only resource, and asks for origins.
fn kustomize(folder: &Folder, limits: &Limits) -> Result<(Vec<Document>, Vec<Error>), Error> {
    let io = |error: io::Error| failed(folder, &super::reason(&error));
    let real = fs::canonicalize(&folder.path).map_err(io)?;
    let outer = Scratch::new().map_err(io)?;
    let up: PathBuf =
        outer.0.components().filter(|part| matches!(part, Component::Normal(_))).map(|_| "..").collect();
    let below: PathBuf = real.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let resource = up.join(below).to_string_lossy().into_owned();
    let text = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [resource], "buildMetadata": ["originAnnotations"],
    });
    fs::write(outer.0.join("kustomization.yaml"), text.to_string()).map_err(io)?;
    let commands: [(&str, &[&str]); 2] = [("kustomize", &["build"]), ("kubectl", &["kustomize"])];
    let mut bytes = None;
    for (program, args) in commands {
        let args = args.iter().map(OsString::from).chain([outer.0.clone().into_os_string()]);
        if let Some(output) = run(folder, program, args.collect(), limits)? {
            bytes = Some(output);
            break;
        }
    }
    let bytes =
        bytes.ok_or_else(|| failed(folder, "there is neither `kustomize` nor `kubectl` on the PATH"))?;
    let name = format!("{} (rendered)", folder.name);
    let (documents, problems) = Document::read_bytes(&name, bytes, limits);
    let patches = Patches::of(&folder.path, limits);
    let placed = documents.into_iter().map(|document| placed(document, &outer.0, &patches, limits));
    Ok((placed.collect(), problems))
}

/// The document in the text that it was made of, if that is known, and without the annotation that says so.
fn placed(rendered: Document, outer: &Path, patches: &Patches, limits: &Limits) -> Document {
    let json = rendered.to_json();
    let annotation =
        json.pointer("/metadata/annotations").and_then(|all| all.get(ORIGIN)).and_then(Value::as_str);
    let Some(origin) = annotation.map(str::to_owned) else { return rendered };
    let rendered = rendered.without_annotation(ORIGIN);
    let origin_of = |text: &str| {
        let (documents, _) = Document::read_all("origin", text);
        documents.first()?.to_json().get("path")?.as_str().map(str::to_owned)
    };
    let Some(path) = origin_of(&origin) else { return rendered };
    let file = fs::canonicalize(outer.join(path)).ok().map(|file| short(&file));
    let Some(file) = file else { return rendered };
    let (written, _) = read_file(&InputFile::new(&file), limits);
    match source_of(&json, &written) {
        Some(document) => document.clone().with_value_of(&rendered, patches.about(&json)),
        None => rendered,
    }
}

/// The patches that a kustomization puts upon what it makes, in the order in which they are put, as far as they are files.
struct Patches(Vec<Document>);

impl Patches {
    /// Kustomizations that are looked into, and files of patches that are read, at most.
    const MOST: usize = 256;
    /// Patches that are looked through for one object, at most.
    const OF_ONE: usize = 32;

    fn of(folder: &Path, limits: &Limits) -> Self {
        let mut found = Self(Vec::new());
        found.add(folder, limits, &mut BTreeSet::new());
        found.0.truncate(Self::MOST);
        found
    }

    /// Those of what a kustomization is made of come first.
    fn add(&mut self, folder: &Path, limits: &Limits, seen: &mut BTreeSet<PathBuf>) {
        let Some(file) = kustomization(folder) else { return };
        if seen.len() >= Self::MOST || !fs::canonicalize(&file).is_ok_and(|file| seen.insert(file)) {
            return;
        }
        let (documents, _) = read_file(&InputFile::new(&file), limits);
        let Some(fields) = documents.first().map(Document::to_json) else { return };
        let texts = |key: &str| fields.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        for key in ["resources", "bases", "components"] {
            for below in texts(key).iter().filter_map(Value::as_str) {
                let below = folder.join(below);
                if below.is_dir() {
                    self.add(&below, limits, seen);
                }
            }
        }
        let of_patches = texts("patches");
        let named = of_patches.iter().filter_map(|patch| patch.get("path")?.as_str());
        let merged = texts("patchesStrategicMerge");
        for name in merged.iter().filter_map(Value::as_str).chain(named) {
            let file = folder.join(name);
            if self.0.len() < Self::MOST && file.is_file() {
                self.0.extend(read_file(&InputFile::new(&short_of(&file)), limits).0);
            }
        }
    }

    /// Those that may be about an object: of its kind, with a name that is a part of its own.
    fn about(&self, rendered: &Value) -> Vec<Document> {
        let text = |value: &Value, pointer: &str| value.pointer(pointer)?.as_str().map(str::to_owned);
        let (kind, name) = (text(rendered, "/kind"), text(rendered, "/metadata/name").unwrap_or_default());
        let is_about = |patch: &&Document| {
            let patch = patch.to_json();
            text(&patch, "/kind") == kind
                && text(&patch, "/metadata/name").is_none_or(|own| name.contains(own.as_str()))
        };
        self.0.iter().filter(is_about).take(Self::OF_ONE).cloned().collect()
    }
}

/// A path without `..`, if it can be had.
fn short_of(path: &Path) -> PathBuf {
    fs::canonicalize(path).map_or_else(|_| path.to_owned(), |real| short(&real))
}

/// The document of a file that an object was made of: the only one of its kind, or else the one with the longest
/// name that is a part of the object's.
fn source_of<'d>(rendered: &Value, written: &'d [Document]) -> Option<&'d Document> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer)?.as_str().map(str::to_owned);
    let kind = text(rendered, "/kind")?;
    let name = text(rendered, "/metadata/name")?;
    let of_kind: Vec<(&Document, String)> = written
        .iter()
        .filter_map(|document| {
            let json = document.to_json();
            let is_one = text(&json, "/kind").as_deref() == Some(&kind);
            is_one.then(|| (document, text(&json, "/metadata/name").unwrap_or_default()))
        })
        .collect();
    match of_kind.as_slice() {
        [(only, _)] => Some(only),
        several => {
            let part = |(document, own): &(&'d Document, String)| {
                (!own.is_empty() && name.contains(own.as_str())).then_some((own.len(), *document))
            };
            let mut parts: Vec<_> = several.iter().filter_map(part).collect();
            parts.sort_by_key(|(length, _)| *length);
            match parts.as_slice() {
                [.., (before, _), (last, document)] if before < last => Some(document),
                [(_, document)] => Some(document),
                _ => None,
            }
        }
    }
}

/// Relative to the working directory if it is below.
fn short(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(fs::canonicalize);
    here.ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned))
        .unwrap_or_else(|| path.to_owned())
}

fn helm(folder: &Folder, args: &RenderArgs, limits: &Limits) -> Result<(Vec<Document>, Vec<Error>), Error> {
    let mut words: Vec<OsString> = vec!["template".into(), folder.path.clone().into()];
    for values in &args.values {
        words.extend(["--values".into(), values.clone().into()]);
    }
    let bytes = run(folder, "helm", words, limits)?;
    let bytes = bytes.ok_or_else(|| failed(folder, "there is no `helm` on the PATH"))?;
    let text = String::from_utf8(bytes).map_err(|_| failed(folder, "`helm` wrote what is no UTF-8"))?;
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for (template, text) in by_template(&text) {
        // Helm begins with the name of the chart, which need not be that of the folder.
        let below = template.split_once('/').map_or("", |(_, below)| below);
        let name = match below {
            "" => format!("{} (rendered)", folder.name),
            below => format!("{}/{below} (rendered)", folder.name),
        };
        let (found, errors) = Document::read_bytes(&name, text.into_bytes(), limits);
        documents.extend(found);
        problems.extend(errors);
    }
    Ok((documents, problems))
}

/// What Helm wrote, cut by the templates that it names, in its order. What stands before the first has no name.
fn by_template(text: &str) -> Vec<(String, String)> {
    const SOURCE: &str = "# Source: ";
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let named = match lines.peek() {
            Some(next) if line.trim_end() == "---" => {
                next.strip_prefix(SOURCE).map(|name| name.trim_end().to_owned())
            }
            _ => None,
        };
        match (named, parts.last_mut()) {
            (Some(name), Some((last, text))) if *last == name => text.push_str(line),
            (Some(name), _) => parts.push((name, line.to_owned())),
            (None, Some((_, text))) => text.push_str(line),
            (None, None) => parts.push((String::new(), line.to_owned())),
        }
    }
    parts.retain(|(_, text)| !text.trim().is_empty());
    parts
}

/// Runs a program and gives what it writes; `None` if there is no such program.
fn run(
    folder: &Folder,
    program: &str,
    args: Vec<OsString>,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, Error> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(failed(folder, &format!("`{program}` cannot be run: {}", super::reason(&error))));
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (send, output) = mpsc::channel();
    let limits = limits.clone();
    let name = folder.name.clone();
    thread::spawn(move || {
        let read = stdout.map_or(Ok(Vec::new()), |stdout| read_limited(stdout, &name, &limits));
        // Nobody listens any more if it took too long.
        let _ = send.send(read);
    });
    let (send, complaint) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            // What was read until an error is all there is; what is more is read and forgotten.
            let _ = stderr.by_ref().take(COMPLAINT).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        let _ = send.send(String::from_utf8_lossy(&text).into_owned());
    });
    let result = output.recv_timeout(PATIENCE);
    let Ok(read) = result else {
        end(&mut child);
        let seconds = PATIENCE.as_secs();
        return Err(failed(folder, &format!("`{program}` was not done after {seconds} seconds")));
    };
    let bytes = read.inspect_err(|_| end(&mut child))?;
    let Some(status) = wait(&mut child) else {
        end(&mut child);
        return Err(failed(folder, &format!("`{program}` closed its output, and did not end")));
    };
    if !status.success() {
        let said = complaint.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
        return Err(failed(folder, &format!("`{program}` ended with {status}: {}", said.join(" "))));
    }
    Ok(Some(bytes))
}

/// Waits for the end of a program that has closed its output.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
    None
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// A directory that goes when it is not needed any more.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let parent = fs::canonicalize(std::env::temp_dir())?;
        for number in 0..1000_u32 {
            let path = parent.join(format!("portcullis-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no directory for temporary files could be made"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is small.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_writes_is_cut_by_template() {
        let text = "---\n# Source: c/templates/a.yaml\nkind: A\n---\n# Source: c/templates/a.yaml\nkind: B\n---\n# Source: c/charts/d/templates/x.yaml\nkind: C\n---\nkind: D\n";
        let parts = by_template(text);
        let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["c/templates/a.yaml", "c/charts/d/templates/x.yaml"]);
        assert_eq!(parts.iter().map(|(_, text)| text.as_str()).collect::<String>(), text);
    }
}
