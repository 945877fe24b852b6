//! Where policies come from, as command lines have it.

use std::fmt;

use crate::error::{RemoteError, RemoteErrorKind};
use crate::folder::Inside;
use crate::reference::Reference;

/// A place that is not on this machine, or not in a folder of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `oci://HOST/REPOSITORY[:TAG][@sha256:…]`.
    Artifact(Reference),
    /// `git+https://HOST/REPOSITORY[//FOLDER][?ref=REF]`, and the same of `git+ssh` and `git+file`.
    Git(GitSource),
}

/// A folder of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitSource {
    /// What git is given: begins with a scheme.
    pub(crate) url: String,
    /// All of it, if none.
    pub(crate) folder: Option<Inside>,
    /// A branch, a tag or a commit; if none, what the repository shows first.
    pub(crate) reference: Option<String>,
}

const OCI: &str = "oci://";
const GIT: &str = "git+";

impl Source {
    /// Reads what may be the path of a folder on this machine; `None` if it is.
    ///
    /// # Errors
    ///
    /// If it is meant for something else and names nothing that can be fetched.
    pub fn parse(text: &str) -> Result<Option<Self>, RemoteError> {
        if let Some(reference) = text.strip_prefix(OCI) {
            return Reference::parse(reference).map(|reference| Some(Self::Artifact(reference)));
        }
        if let Some(address) = text.strip_prefix(GIT) {
            return GitSource::parse(address).map(|git| Some(Self::Git(git)));
        }
        // What other tools fetch from.
        let known = [
            "https://",
            "http://",
            "ssh://",
            "git://",
            "git::",
            "s3::",
            "gcs::",
            "hg::",
            "docker://",
            "git@",
        ];
        if known.iter().any(|start| text.starts_with(start)) {
            let message = format!("`{}` is no file, and nothing that is fetched", without_secrets(text));
            return Err(RemoteError::new(RemoteErrorKind::Reference, message).hint(
                "policies are fetched from `oci://HOST/REPOSITORY:TAG` and `git+https://HOST/REPOSITORY//FOLDER?ref=REF` (also `git+ssh`, `git+file`)",
            ));
        }
        Ok(None)
    }

    /// Whether what it names is always the same.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Artifact(reference) => reference.digest().is_some(),
            Self::Git(git) => git.commit().is_some(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(reference) => write!(f, "{OCI}{reference}"),
            Self::Git(git) => {
                write!(f, "{GIT}{}", git.url)?;
                if let Some(folder) = &git.folder {
                    write!(f, "//{}", folder.as_str())?;
                }
                git.reference.as_ref().map_or(Ok(()), |reference| write!(f, "?ref={reference}"))
            }
        }
    }
}

impl GitSource {
    fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |what: &str| {
            let message = format!("`{GIT}{}` names no git repository: {what}", without_secrets(text));
            RemoteError::new(RemoteErrorKind::Reference, message).hint(
                "expected `git+https://HOST/REPOSITORY[//FOLDER][?ref=REF]`, or `git+ssh://git@HOST/…`, or `git+file:///PATH`",
            )
        };
        if text.len() > 2048 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong("it is too long, or has white space in it"));
        }
        let (address, query) =
            text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
        let (scheme, rest) = address.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        // After the first sign, which may be the root of a path.
        let at = rest
            .char_indices()
            .skip(1)
            .find(|(at, _)| rest.get(*at..).is_some_and(|rest| rest.starts_with("//")));
        let (place, folder) = match at.and_then(|(at, _)| rest.split_at_checked(at)) {
            Some((place, folder)) => (
                place,
                Inside::parse(folder.trim_start_matches('/')).map_err(|error| wrong(error.message()))?,
            ),
            None => (rest, None),
        };
        let (authority, path) =
            place.split_once('/').ok_or_else(|| wrong("there is no path of a repository"))?;
        if path.trim_matches('/').is_empty() {
            return Err(wrong("there is no path of a repository"));
        }
        match scheme {
            "https" if authority.contains('@') => {
                return Err(wrong(
                    "a user and a password have no place in it; git asks its credential helpers for them",
                ));
            }
            "ssh" if authority.split_once('@').is_some_and(|(user, _)| user.contains(':')) => {
                return Err(wrong("a password has no place in it"));
            }
            "https" | "ssh" => {
                let is_plain = |byte: u8| {
                    byte.is_ascii_alphanumeric()
                        || matches!(byte, b'.' | b'-' | b'_' | b':' | b'@' | b'[' | b']')
                };
                let parts_begin_well =
                    authority.split('@').all(|part| !part.is_empty() && !part.starts_with('-'));
                if !authority.bytes().all(is_plain) || !parts_begin_well || authority.matches('@').count() > 1
                {
                    return Err(wrong("this is no host"));
                }
            }
            "file" if !matches!(authority, "" | "." | "..") => {
                return Err(wrong("the path of a repository begins with `/`, `./` or `../`"));
            }
            "file" => {}
            _ => return Err(wrong("its scheme is neither `https` nor `ssh` nor `file`")),
        }
        let reference = match query {
            None => None,
            Some(query) => {
                let reference = query
                    .strip_prefix("ref=")
                    .ok_or_else(|| wrong("after `?` stands `ref=`, and nothing else"))?;
                if !is_ref(reference) {
                    return Err(wrong("this is no name of a branch, a tag or a commit"));
                }
                Some(reference.to_owned())
            }
        };
        Ok(Self { url: format!("{scheme}://{place}"), folder, reference })
    }

    /// The commit that is asked for, if it is one.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.reference.as_deref().filter(|reference| is_commit(reference))
    }

    /// What it is called once its commit is known.
    pub(crate) fn at(&self, commit: &str) -> String {
        let folder = self.folder.as_ref().map(|folder| format!("/{}", folder.as_str())).unwrap_or_default();
        format!("{GIT}{}@{commit}{folder}", self.url)
    }
}

/// Whether something is the whole name of a commit.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether something can be the name of a reference, and nothing else: no option, no pattern, no second one.
fn is_ref(text: &str) -> bool {
    let is_plain = |c: char| {
        c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '#' | '=' | '@' | '%' | ',')
    };
    !text.is_empty()
        && text.len() <= 255
        && text.chars().all(is_plain)
        && !text.starts_with(['-', '/', '.', '+'])
        && !text.ends_with(['/', '.'])
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains("//")
        && text != "@"
}

/// An address without what stands before an `@`, which may be a password.
fn without_secrets(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            let is_hidden = host.len() < authority.len();
            format!("{scheme}://{}{host}{path}", if is_hidden { "…@" } else { "" })
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_shown() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (text, url, folder, reference) in [
            ("git+https://a.example/x/y", "https://a.example/x/y", None, None),
            (
                "git+https://a.example/x.git//p/q?ref=v1.0",
                "https://a.example/x.git",
                Some("p/q"),
                Some("v1.0"),
            ),
            (
                "git+ssh://git@a.example:22/x//p?ref=feature/b",
                "ssh://git@a.example:22/x",
                Some("p"),
                Some("feature/b"),
            ),
            ("git+file:///srv/x//p", "file:///srv/x", Some("p"), None),
            ("git+file://./x", "file://./x", None, None),
            (&format!("git+file://../x?ref={commit}"), "file://../x", None, Some(commit)),
        ] {
            let source = Source::parse(text).unwrap().unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(source.is_pinned(), reference == Some(commit));
            let Source::Git(git) = source else { panic!("{text}") };
            assert_eq!(
                (&*git.url, git.folder.as_ref().map(Inside::as_str), git.reference.as_deref()),
                (url, folder, reference)
            );
        }
        for path in ["policies/", "a:b", "git/x", "oci/x", "./oci://x", "ociregistry"] {
            assert_eq!(Source::parse(path), Ok(None), "{path}");
        }
        assert_eq!(
            Source::parse("oci://a.example/x").unwrap().unwrap().to_string(),
            "oci://a.example/x:latest"
        );
    }

    #[test]
    fn what_could_be_an_order_for_git_is_refused() {
        for wrong in [
            "git+ext::sh -c x",
            "git+ext://x/y",
            "git+http://a.example/x",
            "git+https://user:secret@a.example/x",
            "git+https://a.example",
            "git+https://a.example/",
            "git+ssh://-oProxyCommand=x/y",
            "git+ssh://git@-x/y",
            "git+ssh://a:secret@b/x",
            "git+file://host/x",
            "git+file:x",
            "git+https://a.example/x?ref=-x",
            "git+https://a.example/x?ref=",
            "git+https://a.example/x?ref=a..b",
            "git+https://a.example/x?ref=a:b",
            "git+https://a.example/x?ref=a^",
            "git+https://a.example/x?ref=a*",
            "git+https://a.example/x?depth=1",
            "git+https://a.example/x?ref=@",
            "git+https://a.example/x?ref=+a",
            "git+https://a.example/x//../y",
            "git+https://a.example/x?ref=a b",
            "git+https://a b/x",
            "https://a.example/x",
            "git::https://a.example/x",
            "git@a.example:x",
            "oci://policies",
            "oci://a.example/../x",
        ] {
            let error = Source::parse(wrong).expect_err(wrong);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.what_to_do().is_some(), "{wrong}");
        }
    }
}
