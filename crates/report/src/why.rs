//! Why policies say what they say of objects: rules and conditions with their places, and what they read.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis::{Applicability, RuleKind, Why, WhyRule};

use crate::test::{Explained, TestReport};
use crate::told::{At, Condition, Explanation, Fact, Rule};
use crate::{clip, escape};

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Most bytes of a line.
const MAX_SHOWN: usize = 1 << 10;
/// Most facts that are shown of a condition, and most bodies that nearly held.
pub(crate) const MOST_FACTS: usize = 12;
pub(crate) const MOST_MISSED: usize = 3;
/// Most expressions that are shown of those that hold.
const MOST_HELD: usize = 20;
/// How deep rules are shown that rules ask.
const DEEPEST: usize = 5;
/// Most bytes of a value for people.
const MAX_VALUE: usize = 120;

/// For people: each rule with its conditions, as they stand in the policy, and below each what it read.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_human(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    for explained in &report.explanations {
        let index = usize::try_from(explained.ordinal).unwrap_or(usize::MAX);
        let Some(reviewed) = report.reviewed.get(index) else { continue };
        write_one(&reviewed.subject.to_string(), &explained.why, out)?;
    }
    Ok(())
}

fn write_one(object: &str, why: &Why, out: &mut dyn Write) -> io::Result<()> {
    let head = format!("explain: {} and {object}", why.constraint);
    writeln!(out, "{}", escape::line(&clip::text(&head, MAX_SHOWN)))?;
    if why.applicability != Applicability::Applies {
        return writeln!(out, "  {}\n", escape::line(&clip::text(&why.applicability.to_string(), MAX_SHOWN)));
    }
    if let Some(error) = &why.error {
        let place = error.location.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
        let text = format!("could not be evaluated: {}{place}", error.message);
        writeln!(out, "  {BAD}{}{BAD:#}", escape::line(&clip::text(&text, MAX_SHOWN)))?;
    }
    for found in &why.found {
        writeln!(out, "  {BAD}denies{BAD:#}: {}", escape::line(&clip::text(&found.message, MAX_SHOWN)))?;
        for way in found.ways.iter().take(MOST_MISSED) {
            write_rule(&Rule::from(way), 1, out)?;
        }
        if found.ways.len() > MOST_MISSED {
            writeln!(out, "  and in {} more ways", found.ways.len() - MOST_MISSED)?;
        }
    }
    if why.found.is_empty() && why.error.is_none() {
        writeln!(out, "  {GOOD}passes{GOOD:#}{}", passes(why))?;
        for rule in why.missed.iter().take(MOST_MISSED) {
            write_rule(&Rule::from(rule), 1, out)?;
        }
        let more = why.missed.len().saturating_sub(MOST_MISSED);
        if more > 0 {
            writeln!(out, "  {DIM}{more} more bodies of rules do not hold{DIM:#}")?;
        }
        for rule in why.held.iter().take(MOST_HELD) {
            write_rule(&Rule::from(rule), 1, out)?;
        }
        let more = why.held.len().saturating_sub(MOST_HELD);
        if more > 0 {
            writeln!(out, "  {DIM}{more} more hold{DIM:#}")?;
        }
    }
    if why.is_cut {
        writeln!(out, "  there is more than is shown: the policy looks at too much")?;
    }
    writeln!(out)
}

/// What is told of an object that passes.
pub(crate) fn passes(why: &Why) -> &'static str {
    let is_unasked = why.missed.iter().any(|rule| rule.kind == RuleKind::MatchCondition);
    match (is_unasked, why.held.is_empty()) {
        (true, _) => "; nothing is asked, by its match conditions:",
        (false, false) => "; all that is asked holds:",
        (false, true) => "; the nearest to a violation:",
    }
}

/// Why a finding of an audit is there, as far as that is told, below it.
pub(crate) fn write_explanation(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let told = match explanation {
        Explanation::Untold(why) => return writeln!(out, "    {DIM}not explained: {why}{DIM:#}"),
        Explanation::Told(told) => told,
    };
    let rules = told.rules()?;
    for rule in rules.iter().take(MOST_MISSED) {
        write_rule(rule, 2, out)?;
    }
    let more = rules.len().saturating_sub(MOST_MISSED);
    if more > 0 {
        writeln!(out, "    {DIM}and in {more} more ways{DIM:#}")?;
    }
    match told.left_out() {
        Some(text) => writeln!(out, "    {DIM}{text}{DIM:#}"),
        None => Ok(()),
    }
}

fn write_rule(rule: &Rule, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = depth * 2;
    let place = rule.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
    writeln!(
        out,
        "{:indent$}{DIM}-->{DIM:#} {}{} `{}`",
        "",
        escape::line(&place),
        rule.kind.as_str(),
        escape::line(&rule.name)
    )?;
    for condition in &rule.conditions {
        write_condition(condition, rule.kind, depth, out)?;
    }
    Ok(())
}

fn write_condition(condition: &Condition, of: RuleKind, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = depth * 2;
    let line = condition.at.as_ref().map(|at| at.line).unwrap_or_default();
    let text = condition.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = escape::line(&clip::text(&text, MAX_SHOWN)).into_owned();
    if condition.holds {
        writeln!(out, "{:indent$}{DIM}{line:>4} |{DIM:#} {text}", "")?;
    } else if matches!(of, RuleKind::MatchCondition | RuleKind::Validation | RuleKind::Variable) {
        // What an expression is worth may be what it should be.
        writeln!(out, "{:indent$}{DIM}{line:>4} |{DIM:#} {text}  {BAD}<-- is not true{BAD:#}", "")?;
    } else {
        writeln!(out, "{:indent$}{DIM}{line:>4} |{DIM:#} {text}  {BAD}<-- does not hold{BAD:#}", "")?;
    }
    for fact in condition.facts.iter().take(MOST_FACTS) {
        let text = fact_text(fact);
        let text = clip::text(&text, MAX_SHOWN);
        writeln!(out, "{:indent$}{DIM}     |   {}{DIM:#}", "", escape::line(&text))?;
    }
    if condition.facts.len() > MOST_FACTS {
        let more = condition.facts.len() - MOST_FACTS;
        writeln!(out, "{:indent$}{DIM}     |   and {more} more{DIM:#}", "")?;
    }
    if depth < DEEPEST {
        for rule in condition.rules.iter().take(MOST_MISSED) {
            write_rule(rule, depth + 2, out)?;
        }
    }
    Ok(())
}

pub(crate) fn fact_text(fact: &Fact) -> String {
    let at = |at: &Option<At>| at.as_ref().map(|at| format!("  ({at})")).unwrap_or_default();
    let is = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "is not there".to_owned(), |value| format!("= {}", short(value)))
    };
    match fact {
        Fact::Field { path, value, at: place } => {
            let path = if path.is_empty() { "the object" } else { path };
            format!("{path} {}{}", is(value), at(place))
        }
        Fact::Parameter { path, value, at: place } => {
            let dot = if path.is_empty() { "" } else { "." };
            format!("parameters{dot}{path} {}{}", is(value), at(place))
        }
        Fact::Input { path, value } => format!("input.{path} {}", is(value)),
        Fact::Compared { operator, left, right, holds } => {
            format!("{} {operator} {} is {holds}", short(left), short(right))
        }
        Fact::Called { name, args, answer } => {
            let answer = answer.as_deref().unwrap_or("not defined");
            let args: Vec<_> = args.iter().map(|arg| short(arg)).collect();
            format!("{name}({}) is {answer}", args.join(", "))
        }
        Fact::Known { name, value } => format!("{name} {}", is(value)),
    }
}

/// The beginning of a value.
fn short(value: &str) -> std::borrow::Cow<'_, str> {
    clip::text(value, MAX_VALUE)
}

/// As JSON, a list: object, constraint, and why.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_json(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let item = |explained: &Explained| {
        let index = usize::try_from(explained.ordinal).ok()?;
        let reviewed = report.reviewed.get(index)?;
        let object = reviewed.subject.to_string();
        Some(serde_json::json!({
            "object": object,
            "constraint": explained.why.constraint.to_string(),
            "explanation": json(&explained.why),
        }))
    };
    let items: Vec<serde_json::Value> = report.explanations.iter().filter_map(item).collect();
    serde_json::to_writer_pretty(&mut *out, &items)?;
    writeln!(out)
}

/// An explanation as JSON.
pub(crate) fn json(why: &Why) -> serde_json::Value {
    if why.applicability != Applicability::Applies {
        return serde_json::json!({ "applies": false, "because": why.applicability.to_string() });
    }
    let found = why
        .found
        .iter()
        .map(|found| serde_json::json!({ "message": found.message, "ways": found.ways_to_json() }));
    let found: Vec<_> = found.collect();
    let missed: Vec<_> = why.missed.iter().map(WhyRule::to_json).collect();
    serde_json::json!({
        "applies": true,
        "found": found,
        "missed": missed,
        "held": why.held.iter().map(WhyRule::to_json).collect::<Vec<_>>(),
        "error": why.error.as_ref().map(|error| error.message.clone()),
        "cut": why.is_cut,
    })
}

/// How a finding came about, as JSON.
pub(crate) fn json_of(why: &Why, message: &str) -> Option<serde_json::Value> {
    let found = why.found.iter().find(|found| found.message == message)?;
    Some(found.ways_to_json())
}
