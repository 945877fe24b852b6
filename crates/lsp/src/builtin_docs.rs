//! What builtins of Rego do, in a sentence each: one line of `builtin_docs.txt` for each row of the table of builtins.

use std::fmt::Write as _;

use portcullis_rego_syntax::builtins::{self, Answered, Builtin};

const TABLE: &str = include_str!("builtin_docs.txt");

/// The sentence about a builtin.
pub fn sentence(name: &str) -> Option<&'static str> {
    let lines = TABLE.lines().filter_map(|line| line.split_once('|'));
    lines.into_iter().find(|(known, _)| *known == name).map(|(_, sentence)| sentence)
}

/// All that is known of a builtin, in Markdown.
pub fn described(name: &str) -> Option<String> {
    if name == "print" {
        return Some("Shows its arguments to who evaluates, and is true.".to_owned());
    }
    let builtin = builtins::find(name)?;
    let mut text = format!("```rego\n{}\n```", signature(builtin));
    if let Some(sentence) = sentence(name) {
        text.push_str("\n\n");
        text.push_str(sentence);
    }
    if let Some(replacement) = builtin.replacement {
        let _ = write!(text, "\n\nRego v1 does not have it: write {replacement}.");
    }
    if let Answered::Missing(why) = builtin.answered {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let _ = write!(text, "\n\nA policy that calls it is refused{why}.");
    }
    Some(text)
}

/// How it is called: `count(collection: …) -> n: number`.
pub fn signature(builtin: &Builtin) -> String {
    match builtin.signature.split_once("->") {
        Some((args, result)) => format!("{}({}) -> {}", builtin.name, args.trim(), result.trim()),
        None => format!("{}({})", builtin.name, builtin.signature.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_builtin_has_a_sentence_and_each_sentence_a_builtin() {
        let named: Vec<&str> =
            TABLE.lines().filter_map(|line| line.split_once('|')).map(|(name, _)| name).collect();
        let known: Vec<&str> = builtins::all().map(|builtin| builtin.name).collect();
        assert_eq!(named, known);
        assert!(TABLE.lines().all(|line| line.ends_with('.') || line.ends_with('`') || line.ends_with(')')));
    }

    #[test]
    fn a_builtin_is_told_with_its_types() {
        let text = described("startswith").unwrap();
        assert!(text.contains("startswith(search: string, base: string) -> result: boolean"), "{text}");
        assert!(described("http.send").unwrap().contains("refused"));
        assert_eq!(described("nope"), None);
    }
}
