//! A reference of policies as one page. It loads nothing and runs no script.

use std::io::{self, Write};

use super::digest;
use super::page::{Hole, Page};
use crate::reference::{Documented, Reference};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--bad:#c62828;--good:#1a7f37}\
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
h1{font-size:1.6rem}h2{font-size:1.25rem;margin:2.5rem 0 .3rem;border-top:1px solid var(--line);padding-top:1rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\
table{border-collapse:collapse;width:100%;font-size:.93rem}td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line)}td:last-child{overflow-wrap:anywhere}th{white-space:nowrap}\
pre,code{font:13px/1.5 ui-monospace,monospace}pre{border:1px solid var(--line);border-radius:4px;padding:.6rem;overflow-x:auto}\
.facts{opacity:.75;font-size:.93rem}.denied{color:var(--bad)}.allowed{color:var(--good)}nav ul{columns:2;padding-left:1.2rem}";

/// How much of a text is shown.
const TEXT: usize = 20_000;

/// Writes a reference as one page of HTML that loads nothing and runs no script.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(reference: &Reference, title: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.put(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>",
        &[Hole::Text(&digest(STYLE)), Hole::Text(title)],
    )?;
    page.raw(STYLE);
    page.put("</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n<nav>\n", &[Hole::Text(title)])?;
    let mut number = 0;
    for (category, group) in reference.groups() {
        if let Some(category) = category {
            page.put("<h3>{}</h3>\n", &[Hole::Short(category, TEXT)])?;
        }
        page.raw("<ul>\n");
        for one in group {
            page.put(
                "<li><a href=\"#p{}\">{}</a></li>\n",
                &[Hole::Number(number), Hole::Short(one.heading(), TEXT)],
            )?;
            number += 1;
        }
        page.raw("</ul>\n");
    }
    page.raw("</nav>\n");
    page.flush(out)?;
    for (number, one) in (0..).zip(reference.policies()) {
        section(number, one, &mut page)?;
        page.flush(out)?;
    }
    page.raw("</main>\n</body>\n</html>\n");
    page.flush(out)
}

fn section(number: u64, one: &Documented, page: &mut Page) -> io::Result<()> {
    page.put(
        "<section>\n<h2 id=\"p{}\">{}</h2>\n",
        &[Hole::Number(number), Hole::Short(one.heading(), TEXT)],
    )?;
    page.put("<p class=\"facts\"><code>{}</code>", &[Hole::Short(&one.kind, TEXT)])?;
    if let Some(severity) = one.severity {
        page.put(" · severity {}", &[Hole::Text(severity.as_str())])?;
    }
    if let Some(version) = &one.version {
        page.put(" · version {}", &[Hole::Short(version, TEXT)])?;
    }
    page.put(" · in <code>{}</code>", &[Hole::Short(&one.file, TEXT)])?;
    if let Some(link) = &one.link {
        page.put(" · <a href=\"{}\" rel=\"noreferrer\">more</a>", &[Hole::Text(link)])?;
    }
    page.raw("</p>\n");
    if let Some(description) = &one.description {
        page.put("<p>{}</p>\n", &[Hole::Short(description, TEXT)])?;
    }
    if !one.parameters.is_empty() {
        page.raw(
            "<h3>Parameters</h3>\n<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Type</th>\
             <th scope=\"col\">Default</th><th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n",
        );
        for parameter in &one.parameters {
            page.put(
                "<tr><td><code>{}</code></td><td>{}{}</td><td><code>{}</code></td><td>{}",
                &[
                    Hole::Short(&parameter.path, TEXT),
                    Hole::Short(&parameter.ty, TEXT),
                    Hole::Html(if parameter.is_required { ", required" } else { "" }),
                    Hole::Short(parameter.default.as_deref().unwrap_or_default(), TEXT),
                    Hole::Short(parameter.description.as_deref().unwrap_or_default(), TEXT),
                ],
            )?;
            if !parameter.one_of.is_empty() {
                page.put(" One of <code>{}</code>.", &[Hole::Short(&parameter.one_of.join(", "), TEXT)])?;
            }
            page.raw("</td></tr>\n");
        }
        page.raw("</tbody>\n</table>\n");
        if one.has_more_parameters {
            page.put("<p>{}</p>\n", &[Hole::Text(Documented::MORE)])?;
        }
    }
    if let Some(example) = &one.example {
        page.put("<h3>Example</h3>\n<pre>{}</pre>\n", &[Hole::Short(example.trim_end(), TEXT)])?;
    }
    if !one.cases.is_empty() {
        page.raw(
            "<h3>What its suite shows</h3>\n<table>\n<thead><tr><th scope=\"col\">Case</th><th scope=\"col\">Verdict</th>\
             <th scope=\"col\">Message</th></tr></thead>\n<tbody>\n",
        );
        for case in &one.cases {
            let verdict = if case.is_denied {
                "<td class=\"denied\">denied</td>"
            } else {
                "<td class=\"allowed\">allowed</td>"
            };
            page.put(
                "<tr><td>{}</td>{}<td><code>{}</code></td></tr>\n",
                &[
                    Hole::Short(&case.name, TEXT),
                    Hole::Html(verdict),
                    Hole::Short(&case.messages.join(", "), TEXT),
                ],
            )?;
        }
        page.raw("</tbody>\n</table>\n");
    }
    page.raw("</section>\n");
    Ok(())
}
