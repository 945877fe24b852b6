//! Why something was found, in the pages of tests and of audits: rules with their conditions, and what these looked at.

use std::io;

use portcullis::{RuleKind, WhyRule};

use super::page::{Hole, Page};
use crate::told::{Condition, Explanation, Rule};
use crate::why::{MOST_FACTS, fact_text};

/// How many characters of a text are shown, and of a name.
const TEXT: usize = 1_000;
const NAME: usize = 300;
/// How deep rules are shown that rules ask, and how many of one kind.
const DEEPEST: usize = 6;
const MOST_RULES: usize = 20;

/// Rules of the core.
pub(super) fn rules(all: &[WhyRule], page: &mut Page) -> io::Result<()> {
    let shown: Vec<Rule> = all.iter().take(MOST_RULES).map(Rule::from).collect();
    write_rules(&shown, all.len(), page)
}

/// Why a finding of an audit is there, as far as that is told.
pub(super) fn explanation(explanation: &Explanation, page: &mut Page) -> io::Result<()> {
    let told = match explanation {
        Explanation::Told(told) => told,
        Explanation::Untold(why) => {
            return page
                .put("<small class=\"why\">Not explained: {}.</small>", &[Hole::Text(&why.to_string())]);
        }
    };
    let rules = told.rules()?;
    page.raw("<details class=\"why\"><summary>why</summary>\n");
    write_rules(&rules, rules.len(), page)?;
    if let Some(text) = told.left_out() {
        page.put("<p class=\"quiet\">{}</p>\n", &[Hole::Text(&text)])?;
    }
    page.raw("</details>");
    Ok(())
}

fn write_rules(rules: &[Rule], all: usize, page: &mut Page) -> io::Result<()> {
    for rule in rules.iter().take(MOST_RULES) {
        write_rule(rule, 0, page)?;
    }
    let more = all.saturating_sub(MOST_RULES);
    if more > 0 {
        page.put("<p class=\"quiet\">and {} more</p>\n", &[Hole::Count(more as u64)])?;
    }
    Ok(())
}

fn write_rule(rule: &Rule, depth: usize, page: &mut Page) -> io::Result<()> {
    let place = rule.at.as_ref().map(ToString::to_string).unwrap_or_default();
    page.put(
        "<div class=\"rule\"><p>{} <code>{}</code> <small>{}</small></p>\n<ol>\n",
        &[Hole::Html(rule.kind.as_str()), Hole::Short(&rule.name, NAME), Hole::Short(&place, NAME)],
    )?;
    for condition in &rule.conditions {
        write_condition(condition, rule.kind, depth, page)?;
    }
    page.raw("</ol></div>\n");
    Ok(())
}

fn write_condition(condition: &Condition, of: RuleKind, depth: usize, page: &mut Page) -> io::Result<()> {
    let (class, mark) = match (condition.holds, of) {
        (true, _) => ("yes", ""),
        (false, RuleKind::Rule) => ("no", " does not hold"),
        (false, _) => ("no", " is not true"),
    };
    let line = condition.at.as_ref().map(|at| format!("line {}", at.line)).unwrap_or_default();
    let text = condition.text.split_whitespace().collect::<Vec<_>>().join(" ");
    page.put(
        "<li class=\"{}\"><code>{}</code> <small>{}</small><span class=\"mark\">{}</span>\n",
        &[Hole::Html(class), Hole::Short(&text, TEXT), Hole::Text(&line), Hole::Html(mark)],
    )?;
    if !condition.facts.is_empty() {
        page.raw("<ul class=\"facts\">\n");
        for fact in condition.facts.iter().take(MOST_FACTS) {
            page.put("<li><code>{}</code></li>\n", &[Hole::Short(&fact_text(fact), TEXT)])?;
        }
        let more = condition.facts.len().saturating_sub(MOST_FACTS);
        if more > 0 {
            page.put("<li>and {} more</li>\n", &[Hole::Count(more as u64)])?;
        }
        page.raw("</ul>\n");
    }
    if depth < DEEPEST {
        for rule in condition.rules.iter().take(MOST_RULES) {
            write_rule(rule, depth + 1, page)?;
        }
    }
    page.raw("</li>\n");
    Ok(())
}
