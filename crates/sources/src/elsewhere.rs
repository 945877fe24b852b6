//! What was named as a path and is none on this machine: folders that were fetched, and what could not be.
//!
//! Known to the whole process, as file systems are: names are made wherever files are found, and all of them have to say
//! where a file really comes from. What stands here is only added, before anything is read.

use std::path::{Component, Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use portcullis::{Error, ErrorKind};

use super::unreadable;

/// Something from elsewhere.
#[derive(Clone, Debug)]
enum Elsewhere {
    /// It is here now, and was called otherwise.
    Fetched { path: PathBuf, name: String },
    /// It is not.
    Missing { path: PathBuf, problem: Error },
}

static KNOWN: RwLock<Vec<Elsewhere>> = RwLock::new(Vec::new());

/// How addresses of elsewhere begin, for programs that fetch nothing.
const ADDRESSES: [&str; 3] = ["oci://", "git+", "https://"];

fn add(one: Elsewhere) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).push(one);
}

/// From now on, messages call what is at a path by a name, and what is below it by names below that.
pub fn call(path: &Path, name: &str) {
    add(Elsewhere::Fetched { path: path.to_owned(), name: name.to_owned() });
}

/// From now on, who reads a path gets an error.
pub fn refuse(path: &Path, message: &str, hint: Option<&str>) {
    let name = path.display().to_string();
    let problem = unreadable(&name, ErrorKind::Unreadable, message);
    let problem = match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    };
    add(Elsewhere::Missing { path: path.to_owned(), problem });
}

/// What messages call a path, if it comes from elsewhere.
pub fn name_of(path: &Path) -> Option<String> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter().find_map(|one| match one {
        Elsewhere::Fetched { path: root, name } => {
            let below = path.strip_prefix(root).ok()?;
            if below.as_os_str().is_empty() {
                return Some(name.clone());
            }
            Some(format!("{name}/{}", below.display()))
        }
        Elsewhere::Missing { .. } => None,
    })
}

/// The path of what messages call so: mostly the same.
pub fn path_of(name: &str) -> PathBuf {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find_map(|one| match one {
        Elsewhere::Fetched { path, name: root } => {
            let below = name.strip_prefix(&**root)?;
            match below.strip_prefix('/') {
                Some(below) => Some(path.join(below)),
                None => below.is_empty().then(|| path.clone()),
            }
        }
        Elsewhere::Missing { .. } => None,
    });
    found.unwrap_or_else(|| PathBuf::from(name))
}

/// Whether a path leads out of what was fetched, where a folder of that names it: files of others must not have those
/// of this machine read, and quoted in messages.
pub fn leads_out(folder: &Path, path: &Path) -> bool {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut roots = known.iter().filter_map(|one| match one {
        // Of a single file, all that lies beside it is nothing else.
        Elsewhere::Fetched { path, .. } if path.is_file() => path.parent(),
        Elsewhere::Fetched { path, .. } => Some(path.as_path()),
        Elsewhere::Missing { .. } => None,
    });
    // There are no links in what was fetched, so that its texts tell where a path leads.
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = straight.pop(),
            other => straight.push(other),
        }
    }
    roots.find(|root| folder.starts_with(root)).is_some_and(|root| !straight.starts_with(root))
}

/// Why there is nothing at a path that leads elsewhere.
pub(crate) fn problem_of(path: &Path) -> Option<Error> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let found = known.iter().find_map(|one| match one {
        Elsewhere::Missing { path: missing, problem } => (missing == path).then(|| problem.clone()),
        Elsewhere::Fetched { .. } => None,
    });
    if found.is_some() {
        return found;
    }
    let text = path.to_str()?;
    ADDRESSES.iter().any(|start| text.starts_with(start)).then(|| {
        unreadable(text, ErrorKind::Unreadable, "nothing is fetched here: expected a file or a directory")
            .hint("`portcullis pull` makes a directory of an artifact")
    })
}
