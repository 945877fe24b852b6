//! Which packages are asked.

/// Which packages of some files are asked. A name is one as Rego has it (`k8s.pods`); `*`, `?` and `[…]` in it
/// stand for any text, a character, and one of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packages {
    /// Those of these names.
    Named(Vec<String>),
    /// All of them.
    All,
}

impl Default for Packages {
    /// `main`, as conftest has it.
    fn default() -> Self {
        Self::Named(vec!["main".to_owned()])
    }
}

impl Packages {
    /// Whether a package is among them.
    #[must_use]
    pub fn contain(&self, package: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| matches(name, package)),
        }
    }
}

/// Whether a pattern stands for a name. Time is the product of their lengths: of several stars only the last
/// one that was passed is gone back to.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = name.get(here) {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, here));
                at += 1;
                continue;
            }
            Some('?') => Some(at + 1),
            Some('[') => class(&pattern, at, *character),
            Some(other) if other == character => Some(at + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => {
                at = next;
                here += 1;
            }
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                at = after;
                here = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

/// Where the pattern goes on behind `[…]`, if a character is one of it. A bracket that does not end stands for
/// itself.
fn class(pattern: &[char], at: usize, character: char) -> Option<usize> {
    let rest = pattern.get(at + 1..)?;
    let Some(length) = rest.iter().position(|end| *end == ']').filter(|length| *length > 0) else {
        return (character == '[').then_some(at + 1);
    };
    let (is_negated, members) = match rest.get(..length)? {
        ['^' | '!', members @ ..] => (true, members),
        members => (false, members),
    };
    let mut found = false;
    let mut rest = members;
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        match others {
            ['-', last, after @ ..] => {
                found |= (*first..=*last).contains(&character);
                rest = after;
            }
            _ => found |= *first == character,
        }
    }
    (found != is_negated).then_some(at + length + 2)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_those_of_conftest() {
        for (pattern, name, expected) in [
            ("main", "main", true),
            ("main", "main.gke", false),
            ("main.*", "main.gke", true),
            ("*", "a.b.c", true),
            ("k8s.?", "k8s.a", true),
            ("k8s.?", "k8s.ab", false),
            ("*.simple.*", "k8s.simple.deployment", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[x", "[x", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_999)));
    }
}
