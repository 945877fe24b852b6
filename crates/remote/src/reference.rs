//! What an artifact is called: `HOST/REPOSITORY[:TAG][@sha256:…]`.

use std::fmt;

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind};

/// The name of an artifact in a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What is fetched if nobody says which.
const LATEST: &str = "latest";
const LONGEST: usize = 512;

impl Reference {
    /// Reads one. The host is never left out: an artifact must not come from a registry that nobody named.
    ///
    /// # Errors
    ///
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong = |what: &str| {
            RemoteError::new(RemoteErrorKind::Reference, format!("`{text}` names no artifact: {what}"))
                .hint("expected `HOST/REPOSITORY[:TAG][@sha256:…]`, such as `ghcr.io/acme/policies:v1`")
        };
        if text.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                let digest = Digest::parse(digest)
                    .ok_or_else(|| wrong("after `@` stands no `sha256:` with 64 digits of 0-9 and a-f"))?;
                (rest, Some(digest))
            }
        };
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("there is no `/` behind a host"))?;
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            return Err(wrong(
                "what stands before the first `/` is no host, which has a `.`, a port or is `localhost`",
            ));
        }
        let (repository, tag) = match path.split_once(':') {
            None => (path, None),
            Some((repository, tag)) => (repository, Some(tag)),
        };
        if !repository.split('/').all(is_component) {
            return Err(wrong("the repository may have a-z, 0-9 and between them `.`, `_`, `-` and `/`"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "a tag may have 128 of A-Z, a-z, 0-9, `_`, `.` and `-`, and begins with none of the last two",
            ));
        }
        Ok(Self { host, repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }

    /// The registry, as it is written: a name or an address, and perhaps a port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it is called there.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag that is asked for, if no digest is.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or(LATEST)
    }

    /// The digest that it has to have, if that was said.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What it is called once its digest is known.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> String {
        let Self { host, repository, tag, digest: pinned } = self;
        match tag {
            Some(tag) => format!("{host}/{repository}:{tag}@{digest}"),
            None if pinned.is_some() => format!("{host}/{repository}@{digest}"),
            None => format!("{host}/{repository}:{LATEST}@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => f.write_str(&self.at(digest)),
            None => write!(f, "{}/{}:{}", self.host, self.repository, self.tag()),
        }
    }
}

/// A host with a dot or a port, or `localhost`: a first part without is a folder of some default registry.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("v6.address", port.strip_prefix(':').or((!port.is_empty()).then_some("x")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let is_name = !name.is_empty()
        && name.bytes().all(is_plain)
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-']);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    is_name && is_port && (name.contains('.') || port.is_some() || name == "localhost")
}

fn is_component(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && text.chars().all(|c| is_letter(c) || matches!(c, '.' | '_' | '-'))
        && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_shown() {
        let digest = Digest::of(b"x");
        for (text, shown) in [
            ("ghcr.io/acme/policies:v1", "ghcr.io/acme/policies:v1".to_owned()),
            ("GHCR.io/acme/policies", "ghcr.io/acme/policies:latest".to_owned()),
            ("localhost/p", "localhost/p:latest".to_owned()),
            ("localhost:5000/a/b_c/d-e.f:1.0-rc", "localhost:5000/a/b_c/d-e.f:1.0-rc".to_owned()),
            ("[::1]:5000/p:v1", "[::1]:5000/p:v1".to_owned()),
            (&format!("reg.io/p@{digest}"), format!("reg.io/p@{digest}")),
            (&format!("reg.io/p:v2@{digest}"), format!("reg.io/p:v2@{digest}")),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_names_no_artifact_is_refused() {
        let long = format!("ghcr.io/{}", "a".repeat(600));
        for wrong in [
            "",
            "policies",
            "policies:v1",
            "acme/policies",
            "ghcr.io/",
            "ghcr.io//x",
            "ghcr.io/../x",
            "ghcr.io/a/./b",
            "ghcr.io/Acme/x",
            "ghcr.io/x:",
            "ghcr.io/x:-v",
            "ghcr.io/x:a/b",
            "ghcr.io/x@sha256:12",
            "ghcr.io/x@sha512:12",
            "user@ghcr.io/x",
            "ghcr.io:0/x",
            "ghcr.io:99999/x",
            "-x.io/a",
            "[::g]:1/x",
            "[::1]x/y",
            "ghcr.io/x y",
            "ghcr.io/x?y",
            "ghcr.io/x#y",
            "ghcr.io/%2e%2e/x",
            &long,
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
