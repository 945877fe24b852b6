//! The reference as Markdown. Texts of policies are hostile: nothing of them is markup.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Documented, Reference};
use crate::escape;
use crate::markdown::plain;

pub(super) fn write(reference: &Reference, title: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = writeln!(text, "# {}\n", plain(title));
    for (category, group) in reference.groups() {
        if let Some(category) = category {
            let _ = writeln!(text, "**{}**\n", plain(category));
        }
        for one in group {
            let _ =
                writeln!(text, "- [{}](#{}): {}", plain(&one.kind), anchor(&one.kind), plain(one.heading()));
        }
        text.push('\n');
    }
    for (_, group) in reference.groups() {
        for one in group {
            section(one, &mut text);
        }
    }
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")
}

fn section(one: &Documented, text: &mut String) {
    let _ = writeln!(text, "## {}\n", plain(&one.kind));
    if one.title.is_some() {
        let _ = writeln!(text, "**{}**\n", plain(one.heading()));
    }
    if let Some(description) = &one.description {
        let _ = writeln!(text, "{}\n", plain(description));
    }
    let mut facts = Vec::new();
    facts.extend(one.severity.map(|severity| format!("severity {}", severity.as_str())));
    facts.extend(one.version.as_ref().map(|version| format!("version {}", plain(version))));
    facts.push(format!("in {}", code(&one.file)));
    // An address has no character that ends it but these.
    let address = |link: &String| link.replace(['<', '>', ' ', '\n', '\\'], "");
    facts.extend(one.link.as_ref().map(|link| format!("more: <{}>", address(link))));
    let _ = writeln!(text, "{}\n", facts.join("; "));
    if !one.parameters.is_empty() {
        text.push_str("### Parameters\n\n| name | type | default | meaning |\n|---|---|---|---|\n");
        for parameter in &one.parameters {
            let required = if parameter.is_required { ", required" } else { "" };
            let default = parameter.default.as_deref().map(code).unwrap_or_default();
            let mut meaning = parameter.description.as_deref().map(plain).unwrap_or_default();
            if !parameter.one_of.is_empty() {
                let values: Vec<String> = parameter.one_of.iter().map(|value| code(value)).collect();
                let _ = write!(meaning, " One of {}.", values.join(", "));
            }
            let _ = writeln!(
                text,
                "| {} | {}{required} | {default} | {} |",
                code(&parameter.path),
                plain(&parameter.ty),
                meaning.trim()
            );
        }
        text.push('\n');
        if one.has_more_parameters {
            let _ = writeln!(text, "{}\n", Documented::MORE);
        }
    }
    if let Some(example) = &one.example {
        // A fence that the example does not have.
        let longest = example.split(|char| char != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ =
            writeln!(text, "### Example\n\n{fence}yaml\n{}\n{fence}\n", escape::lines(example).trim_end());
    }
    if !one.cases.is_empty() {
        text.push_str("### What its suite shows\n\n| case | | message |\n|---|---|---|\n");
        for case in &one.cases {
            let verdict = if case.is_denied { "denied" } else { "allowed" };
            let messages: Vec<String> = case.messages.iter().map(|message| code(message)).collect();
            let _ = writeln!(text, "| {} | {verdict} | {} |", plain(&case.name), messages.join(", "));
        }
        text.push('\n');
    }
}

/// A text as code, also in tables.
fn code(text: &str) -> String {
    let text = escape::line(text).replace('|', "\\|");
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// How sites that show Markdown call a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-');
    kept.collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a`b|c"), "``a`b\\|c``");
        assert_eq!(code("`"), "`` ` ``");
    }
}
