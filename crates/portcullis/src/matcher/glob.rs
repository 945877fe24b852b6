//! Names with `*` at either end. A `*` anywhere else is an ordinary character.

use std::fmt;
use std::sync::Arc;

use crate::object::Object;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    Exactly(Arc<str>),
    Prefix(Arc<str>),
    Suffix(Arc<str>),
    Contains(Arc<str>),
}

impl Glob {
    pub(crate) fn compile(text: &str) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            // A lone `*` strips at either end; what is left between the two is nothing, which everything
            // contains.
            (Some(rest), Some(_)) => Self::Contains(rest.strip_suffix('*').unwrap_or(rest).into()),
            (Some(suffix), None) => Self::Suffix(suffix.into()),
            (None, Some(prefix)) => Self::Prefix(prefix.into()),
            (None, None) => Self::Exactly(text.into()),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(name) => **name == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Contains(part) => text.contains(&**part),
        }
    }

    /// Whether every text matches.
    pub(crate) fn is_universal(&self) -> bool {
        match self {
            Self::Exactly(_) => false,
            Self::Prefix(part) | Self::Suffix(part) | Self::Contains(part) => part.is_empty(),
        }
    }

    /// A text that matches, with another text in it where there may be any.
    pub(super) fn example(&self, filling: &str) -> String {
        match self {
            Self::Exactly(name) => name.to_string(),
            Self::Prefix(prefix) => format!("{prefix}{filling}"),
            Self::Suffix(suffix) => format!("{filling}{suffix}"),
            Self::Contains(part) => format!("{filling}{part}{filling}"),
        }
    }

    /// `match.name`: the name, or for patterns that end in `*` also the prefix that a name will be generated
    /// from.
    pub(super) fn matches_name_of(&self, object: &Object) -> bool {
        let generated = object.generate_name();
        let open_ended = matches!(self, Self::Prefix(_) | Self::Contains(_));
        self.matches(object.name()) || (open_ended && !generated.is_empty() && self.matches(generated))
    }
}

/// As it was written.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Contains(part) if part.is_empty() => f.write_str("*"),
            Self::Contains(part) => write!(f, "*{part}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text_at_the_ends_only() {
        let hits = |glob: &str, text: &str| Glob::compile(glob).matches(text);
        assert!(hits("kube-*", "kube-system") && !hits("kube-*", "my-kube-system"));
        assert!(hits("*-system", "kube-system") && !hits("*-system", "kube-systems"));
        assert!(hits("*be-s*", "kube-system") && hits("*", "anything") && hits("**", ""));
        assert!(hits("a", "a") && !hits("a", "ab") && !hits("a*b", "aXb") && hits("a*b", "a*b"));
    }
}
