//! Paths to fields inside a document, as messages print them and as `details.path` of a violation may give
//! them.

use std::fmt;
use std::sync::Arc;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of an object.
    Key(Arc<str>),
    /// A position in a list, from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A path from the root of a document to a field, printed as `spec.containers[0].image`; keys that are not
/// plain words are quoted: `metadata.annotations["a.b/c"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The document itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// This path, one step further.
    #[must_use]
    pub fn child(&self, segment: impl Into<Segment>) -> Self {
        let mut path = self.clone();
        path.0.push(segment.into());
        path
    }

    /// This path, and below it another.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// True for the document itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path without its last step; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }

    /// Reads the printed form back: `spec.containers[0].image`, `metadata.annotations["a/b"]`, with an
    /// optional leading `$.`, `.` or `/`-separated JSON pointer. `None` if the text is not a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(pointer) = text.strip_prefix('/') {
            return Some(Self(pointer.split('/').map(pointer_segment).collect()));
        }
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut segments = Vec::new();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let quote = inside.chars().next().filter(|c| matches!(c, '"' | '\''));
                if let Some(quote) = quote {
                    let inside = inside.get(1..)?;
                    let end = inside.find(quote)?;
                    segments.push(Segment::from(inside.get(..end)?));
                    rest = inside.get(end + 1..)?.strip_prefix(']')?;
                } else {
                    let end = inside.find(']')?;
                    segments.push(Segment::Index(inside.get(..end)?.parse().ok()?));
                    rest = inside.get(end + 1..)?;
                }
                // After a bracket comes another bracket, a dot, or nothing.
                match rest.strip_prefix('.') {
                    Some("") => return None,
                    Some(after) => rest = after,
                    None if rest.is_empty() || rest.starts_with('[') => {}
                    None => return None,
                }
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let key = rest.get(..end)?;
                if key.is_empty() {
                    return None;
                }
                segments.push(Segment::from(key));
                rest = rest.get(end..)?;
                match rest.strip_prefix('.') {
                    Some("") => return None,
                    Some(after) => rest = after,
                    None => {}
                }
            }
        }
        (!segments.is_empty()).then_some(Self(segments))
    }
}

fn pointer_segment(text: &str) -> Segment {
    text.parse()
        .map_or_else(|_| Segment::from(text.replace("~1", "/").replace("~0", "~").as_str()), Segment::Index)
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<T: IntoIterator<Item = Segment>>(segments: T) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if is_plain(key) => {
                    let dot = if position == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                Segment::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trips(text: &str) {
        let path = FieldPath::parse(text).map(|path| path.to_string());
        assert_eq!(path.as_deref(), Some(text));
    }

    #[test]
    fn printed_paths_read_back() {
        round_trips("spec.containers[0].image");
        round_trips("metadata.annotations[\"a.b/c\"]");
        round_trips("metadata.annotations[\"a.b/c\"].x");
        round_trips("a[0][1].b");
    }

    #[test]
    fn pointers_and_jsonpath_prefixes_are_paths() {
        let same = |text: &str| FieldPath::parse(text).map(|path| path.to_string());
        assert_eq!(same("/spec/containers/0/image").as_deref(), Some("spec.containers[0].image"));
        assert_eq!(same("$.spec.hostPID").as_deref(), Some("spec.hostPID"));
        assert_eq!(same(".spec.hostPID").as_deref(), Some("spec.hostPID"));
    }

    #[test]
    fn texts_that_are_not_paths_are_refused() {
        for text in ["", "a..b", "a.", "a[", "a[x]", "a[0]b", "."] {
            assert_eq!(FieldPath::parse(text), None, "{text}");
        }
    }
}
