//! What holds for every schema and value.

use portcullis_value::pattern::Pattern;
use proptest::prelude::*;

use super::{random, value_of};
use crate::error::ErrorKind;
use crate::path::Segment;
use crate::schema::PathCheck;
use crate::schema::constraint::ConstraintSchema;
use crate::schema::node::At;
use crate::schema::{Schema, default, lookup, structural, unknown, validate};

proptest! {
    /// Nodes are made of every schema, usable or not, so that nothing hides behind an early error.
    #[test]
    fn nothing_panics(schema in random::wild_schema(), value in random::value(), legacy: bool) {
        let (schema, value) = (value_of(schema), value_of(value));
        let (node, _) = structural::compile(&schema, legacy);
        let defaulted = default::fill(&node, &value);
        let mut problems = validate::problems(&node, &defaulted, &At::Root);
        unknown::find(Some(&node), &defaulted, &At::Root, &mut problems);
        lookup::check(&node, &[Some("a"), None, Some("b")]);
        if let (Some(schema), _) = Schema::compile(Some(&schema), legacy) {
            let constraint = ConstraintSchema::new(&schema);
            constraint.validate(&constraint.apply_defaults(&value));
        }
    }

    #[test]
    fn defaulting_is_idempotent(schema in random::structural_schema(), value in random::value()) {
        let (node, _) = structural::compile(&value_of(schema), false);
        let once = default::fill(&node, &value_of(value));
        prop_assert_eq!(default::fill(&node, &once), once);
    }

    /// Defaults of a usable schema never make a valid value invalid.
    #[test]
    fn defaulting_keeps_values_valid(schema in random::structural_schema(), value in random::value()) {
        let value = value_of(value);
        if let (Some(schema), _) = Schema::compile(Some(&value_of(schema)), false)
            && schema.validate(&value).is_empty()
        {
            prop_assert_eq!(schema.validate(&schema.apply_defaults(&value)), vec![]);
        }
    }

    #[test]
    fn legacy_schemas_have_no_unknown_fields(schema in random::plain_schema(), value in random::value()) {
        let (node, _) = structural::compile(&value_of(schema), true);
        let mut problems = Vec::new();
        unknown::find(Some(&node), &value_of(value), &At::Root, &mut problems);
        // What is below `additionalProperties: true` is undescribed even then.
        problems.retain(|problem| !problem.hint.as_deref().is_some_and(|hint| hint.contains("describe")));
        prop_assert_eq!(problems, vec![]);
    }

    /// The two ways to find unknown fields agree: a path is allowed exactly if no field on it is unknown.
    #[test]
    fn lookups_agree_with_values(schema in random::structural_schema(), value in random::value()) {
        let (Some(schema), _) = Schema::compile(Some(&value_of(schema)), false) else { return Ok(()) };
        for problem in schema.validate(&value_of(value)) {
            if problem.kind != ErrorKind::UnknownField {
                continue;
            }
            let steps: Vec<Option<&str>> = (problem.path.segments().iter())
                .map(|segment| match segment {
                    Segment::Key(key) => Some(&**key),
                    Segment::Index(_) => None,
                })
                .collect();
            let at_last = matches!(schema.allows(&steps), PathCheck::Unknown { at, .. } if at + 1 == steps.len());
            prop_assert!(at_last, "{}", problem.path);
        }
    }

    /// The crate accepts whatever the translation makes of a pattern that Go accepts; here it may only not
    /// panic.
    #[test]
    fn patterns_never_panic(pattern in "[\\\\a-cpPxQEdDsSzAB{}0-9,?*+()\\[\\]^$|:&<=!-]{0,16}") {
        if let Ok(pattern) = Pattern::compile(&pattern) {
            pattern.is_match("abc");
        }
    }

    #[test]
    fn quoted_text_is_matched_literally(text in "[^\\\\]{0,8}") {
        let pattern = Pattern::compile(&format!("^\\Q{text}\\E$"));
        prop_assert!(pattern.is_ok_and(|pattern| pattern.is_match(&text)));
    }
}
