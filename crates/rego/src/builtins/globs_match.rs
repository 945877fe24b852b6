//! `regex.globs_match`: whether any text matches both of two simple patterns, which know characters, `.`,
//! `[a-z]`, and after each of them `*` or `+`.

use portcullis_value::{Budget, Value};

use super::operand::text;
use super::{Context, Failure, Outcome, undefined};

table!["regex.globs_match" => globs_match];

/// Some characters, once or as often as one likes.
struct Token {
    /// From the first to the last.
    ranges: Vec<(char, char)>,
    is_repeated: bool,
}

impl Token {
    fn meets(&self, other: &Self) -> bool {
        self.ranges.iter().any(|(from, to)| {
            other.ranges.iter().any(|(other_from, other_to)| from <= other_to && other_from <= to)
        })
    }
}

fn globs_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let budget = &mut *context.budget;
    let (left, right) = (tokens(budget, text(args, 1)?)?, tokens(budget, text(args, 2)?)?);
    let width = right.len() + 1;
    budget.make_items((left.len() + 1).saturating_mul(width))?;
    // Which pairs of positions can be come to; one comes from those before.
    let mut reached = vec![false; (left.len() + 1) * width];
    let mark = |reached: &mut Vec<bool>, row: usize, column: usize| {
        if let Some(place) = reached.get_mut(row * width + column) {
            *place = true;
        }
    };
    mark(&mut reached, 0, 0);
    for row in 0..=left.len() {
        for column in 0..=right.len() {
            if reached.get(row * width + column) != Some(&true) {
                continue;
            }
            let (left, right) = (left.get(row), right.get(column));
            if left.is_some_and(|token| token.is_repeated) {
                mark(&mut reached, row + 1, column);
            }
            if right.is_some_and(|token| token.is_repeated) {
                mark(&mut reached, row, column + 1);
            }
            let (Some(left), Some(right)) = (left, right) else { continue };
            budget.step((left.ranges.len() as u64).saturating_mul(right.ranges.len() as u64))?;
            if left.meets(right) {
                mark(
                    &mut reached,
                    row + usize::from(!left.is_repeated),
                    column + usize::from(!right.is_repeated),
                );
            }
        }
    }
    Ok(Value::from(reached.last() == Some(&true)))
}

fn tokens(budget: &mut Budget<'_>, text: &str) -> Result<Vec<Token>, Failure> {
    budget.make_items(text.len().saturating_mul(2))?;
    let mut reader = Reader { text, position: 0, rest: text.chars() };
    let mut tokens = Vec::new();
    while let Some((c, is_escaped)) = reader.next()? {
        let ranges = match c {
            '.' if !is_escaped => vec![('\0', char::MAX)],
            '[' if !is_escaped => reader.set()?,
            ']' if !is_escaped => return Err(reader.error("set-close ']' with no preceding '['")),
            '+' | '*' if !is_escaped => return Err(reader.error("flag must be preceded by a non-flag")),
            c => vec![(c, c)],
        };
        let is_plus = reader.skip('+');
        let is_repeated = is_plus || reader.skip('*');
        if is_plus {
            tokens.push(Token { ranges: ranges.clone(), is_repeated: false });
        }
        tokens.push(Token { ranges, is_repeated });
    }
    Ok(tokens)
}

struct Reader<'t> {
    text: &'t str,
    position: usize,
    rest: std::str::Chars<'t>,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> Failure {
        let shown: String = self.text.chars().take(60).collect();
        undefined(format!("input:{shown}, pos:{}, {what}: the input provided is invalid", self.position))
    }

    fn skip(&mut self, c: char) -> bool {
        let rest = self.rest.as_str().strip_prefix(c);
        if let Some(rest) = rest {
            self.rest = rest.chars();
            self.position += 1;
        }
        rest.is_some()
    }

    /// A character, and whether it has lost its meaning.
    fn next(&mut self) -> Result<Option<(char, bool)>, Failure> {
        self.position += 1;
        match self.rest.next() {
            Some('\\') => {
                self.position += 1;
                let c =
                    self.rest.next().ok_or_else(|| self.error("input ends with a \\ (escape) character"))?;
                Ok(Some((c, true)))
            }
            c => Ok(c.map(|c| (c, false))),
        }
    }

    /// After `[`.
    fn set(&mut self) -> Result<Vec<(char, char)>, Failure> {
        let mut ranges = Vec::new();
        // What a range can begin with.
        let mut before = None;
        loop {
            match self.next()?.ok_or_else(|| self.error("found [ without matching ]"))? {
                (']', false) => return Ok(ranges),
                ('-', false) => {
                    let from = before.take().ok_or_else(|| {
                        self.error("range character '-' must be preceded by a Unicode character")
                    })?;
                    let to = match self.next()? {
                        Some((']' | '-', false)) | None => {
                            return Err(
                                self.error("range character '-' cannot be followed by a special symbol")
                            );
                        }
                        Some((to, _)) => to,
                    };
                    if to < from {
                        return Err(self.error("range is out of order"));
                    }
                    ranges.push((from, to));
                }
                (c, _) => {
                    ranges.push((c, c));
                    before = Some(c);
                }
            }
        }
    }
}
