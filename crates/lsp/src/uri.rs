//! Addresses of files, as editors have them: `file:///home/a%20b/c.yaml`.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr as _;

use lsp_types::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What may not stand in a path of an address as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The file of an address; none if it is of something else, such as a text that was never saved.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    // A host of its own is another machine.
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = percent_decode_str(path).decode_utf8().ok()?;
    // `/C:/a` is what addresses have for `C:/a`.
    let drive = path.strip_prefix('/').filter(|rest| rest.get(1..2) == Some(":"));
    let path = Path::new(if cfg!(windows) { drive.unwrap_or(&path) } else { &path });
    path.is_absolute().then(|| without_detours(path))
}

/// The address of a file with an absolute path; none of others.
pub fn uri_of(path: &Path) -> Option<Uri> {
    let text = path.to_str().filter(|_| path.is_absolute())?.replace('\\', "/");
    let text = if text.starts_with('/') { text } else { format!("/{text}") };
    Uri::from_str(&format!("file://{}", utf8_percent_encode(&text, ESCAPED))).ok()
}

/// A path without `.` and `..`, by its text.
pub fn without_detours(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => _ = clean.pop(),
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn paths_have_addresses_and_addresses_paths() {
        for path in ["/a/b.yaml", "/a b/ä#%41?.yaml", "/[x]/{y}^`|.yaml", "/c:/d.yaml"] {
            assert_eq!(
                path_of(&uri_of(Path::new(path)).unwrap()).as_deref(),
                Some(Path::new(path)),
                "{path}"
            );
        }
        let of = |text: &str| path_of(&Uri::from_str(text).unwrap());
        assert_eq!(of("file:///a%20b/../c.yaml"), Some("/c.yaml".into()));
        assert_eq!(of("file://localhost/a.yaml"), Some("/a.yaml".into()));
        for other in
            ["untitled:Untitled-1", "https://example.com/a.yaml", "file://host/a.yaml", "file:///%ff"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(uri_of(Path::new("a.yaml")), None);
    }
}
