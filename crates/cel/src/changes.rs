//! Small changes of an expression, each of which means something else: what a test suite should notice.

use std::ops::Range;

use crate::lex::{Token, words};

/// A part of a text, and what could stand there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which part, in bytes.
    pub range: Range<usize>,
    /// What is put there.
    pub by: String,
    /// Whether it changes a constant, and no operator.
    pub is_constant: bool,
}

/// Other operators and other constants, one at a time, in the order of the text. Not all of them compile.
///
/// ```
/// let changes = portcullis_cel::changes("a.size() > 1");
/// let texts: Vec<&str> = changes.iter().map(|change| change.by.as_str()).collect();
/// assert_eq!(texts, [">=", "<=", "2"]);
/// ```
#[must_use]
pub fn changes(text: &str) -> Vec<Change> {
    let mut found = Vec::new();
    for word in words(text).0 {
        let range = word.start..word.end;
        let written = text.get(range.clone()).unwrap_or_default();
        let operators: &[&str] = match word.token {
            Token::Sign("==") => &["!="],
            Token::Sign("!=") => &["=="],
            Token::Sign("<") => &["<=", ">="],
            Token::Sign("<=") => &["<", ">"],
            Token::Sign(">") => &[">=", "<="],
            Token::Sign(">=") => &[">", "<"],
            Token::Sign("&&") => &["||"],
            Token::Sign("||") => &["&&"],
            Token::Sign("!") => &[""],
            Token::Ident if written == "all" => &["exists"],
            Token::Ident if written == "exists" => &["all"],
            _ => &[],
        };
        let operators = operators.iter().map(|by| ((*by).to_owned(), false));
        let constant = match word.token {
            Token::True => Some("false".to_owned()),
            Token::False => Some("true".to_owned()),
            Token::Int => {
                written.parse::<i64>().ok().and_then(|number| Some(number.checked_add(1)?.to_string()))
            }
            // A quotation mark begins a text, and a prefix is a word of its own to nobody.
            Token::String if written.len() > 1 => {
                let end = written.len() - 1;
                Some(format!(
                    "{}_mutant{}",
                    written.get(..end).unwrap_or_default(),
                    written.get(end..).unwrap_or_default()
                ))
            }
            _ => None,
        };
        let all = operators.chain(constant.map(|by| (by, true)));
        found.extend(all.map(|(by, is_constant)| Change { range: range.clone(), by, is_constant }));
    }
    found
}
