//! A text that a pattern may match, for who has to think of one.

/// Longest sample, and deepest groups.
const LONGEST: usize = 64;
const DEEPEST: usize = 8;

/// A short text by a pattern: classes by their first character, each part as rarely as it may be. What is not
/// understood ends it; whether the text matches is for the policy to say.
pub(super) fn of_pattern(pattern: &str) -> Option<String> {
    let is_pattern = pattern.contains(['[', '(', '\\', '+', '*', '^', '$']);
    let chars: Vec<char> = pattern.chars().take(LONGEST * 8).collect();
    let mut reader = Reader { chars: &chars, at: 0 };
    let text = reader.alternatives(0)?;
    (is_pattern && reader.at == chars.len() && !text.is_empty() && text.len() <= LONGEST).then_some(text)
}

struct Reader<'c> {
    chars: &'c [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    /// The first alternative, after all were read.
    fn alternatives(&mut self, depth: usize) -> Option<String> {
        let first = self.row(depth)?;
        while self.take('|') {
            self.row(depth)?;
        }
        Some(first)
    }

    fn row(&mut self, depth: usize) -> Option<String> {
        let mut text = String::new();
        while let Some(next) = self.peek().filter(|next| !matches!(next, '|' | ')')) {
            self.at += 1;
            let part = match next {
                '^' | '$' => continue,
                '.' => "x".to_owned(),
                '[' => self.class()?.to_string(),
                '(' => self.group(depth)?,
                '\\' => escaped(self.next()?)?.to_string(),
                '+' | '*' | '?' | '{' => return None,
                plain => plain.to_string(),
            };
            let times = self.times()?;
            if part.len().saturating_mul(times) + text.len() > LONGEST {
                return None;
            }
            text.push_str(&part.repeat(times));
        }
        Some(text)
    }

    fn group(&mut self, depth: usize) -> Option<String> {
        if depth >= DEEPEST {
            return None;
        }
        if self.take('?') && !self.take(':') {
            return None;
        }
        let text = self.alternatives(depth + 1)?;
        self.take(')').then_some(text)
    }

    fn class(&mut self) -> Option<char> {
        let is_negated = self.take('^');
        let (mut first, mut all) = (None, Vec::new());
        loop {
            let next = match self.next()? {
                ']' if !all.is_empty() => break,
                '\\' => escaped(self.next()?)?,
                plain => plain,
            };
            first = first.or(Some(next));
            all.push(next);
        }
        if is_negated { ['x', 'a', '0', '-'].into_iter().find(|c| !all.contains(c)) } else { first }
    }

    /// How often the part before is there at least.
    fn times(&mut self) -> Option<usize> {
        let times = match self.peek() {
            Some('+') => 1,
            Some('*' | '?') => 0,
            Some('{') => {
                let digits: String =
                    self.chars.iter().skip(self.at + 1).take_while(|c| c.is_ascii_digit()).collect();
                while self.next()? != '}' {}
                self.take('?');
                return digits.parse().ok();
            }
            _ => return Some(1),
        };
        self.at += 1;
        self.take('?');
        Some(times)
    }
}

fn escaped(c: char) -> Option<char> {
    Some(match c {
        'd' => '0',
        'w' => 'a',
        's' => ' ',
        'S' | 'D' => 'x',
        c if c.is_ascii_alphanumeric() => return None,
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::of_pattern;

    #[test]
    fn samples_are_as_patterns_want_them() {
        for (pattern, sample) in [
            ("^[a-zA-Z]+.agilebank.demo$", "axagilebankxdemo"),
            ("[a-z]+-[0-9]+", "a-0"),
            ("^(?:https?://)?[^@ ]+@example[.]com$", "x@example.com"),
            (r"^\d{3}(a|b)$", "000a"),
        ] {
            assert_eq!(of_pattern(pattern).as_deref(), Some(sample), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_has_none() {
        for pattern in
            ["", "plain", "[", "[a", "(a", "a)", "+", "a{", r"\", r"\pL", "(?i)a", "a{999}b+", "x*"]
        {
            assert_eq!(of_pattern(pattern), None, "{pattern}");
        }
    }
}
