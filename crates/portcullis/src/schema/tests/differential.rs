//! Our keywords against the `jsonschema` crate, on schemas that mean the same to both.
//!
//! They differ on null by intent: Kubernetes judges null by `type` and `enum` alone.

use jsonschema::Draft;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{random, value_of};
use crate::schema::node::At;
use crate::schema::{structural, validate};

fn without_null(value: Json) -> Json {
    match value {
        Json::Null => json!("a"),
        Json::Array(items) => items.into_iter().map(without_null).collect(),
        Json::Object(fields) => fields.into_iter().map(|(name, field)| (name, without_null(field))).collect(),
        scalar => scalar,
    }
}

fn ours(schema: &Json, value: &Json) -> bool {
    let (node, _) = structural::compile(&value_of(schema.clone()), true);
    validate::problems(&node, &value_of(value.clone()), &At::Root).is_empty()
}

fn theirs(draft: Draft, schema: &Json, value: &Json) -> bool {
    let validator = jsonschema::options().with_draft(draft).build(schema);
    validator.unwrap_or_else(|error| panic!("{schema}: {error}")).is_valid(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn keywords_agree(schema in random::plain_schema(), value in random::value().prop_map(without_null)) {
        prop_assert_eq!(ours(&schema, &value), theirs(Draft::Draft202012, &schema, &value), "{} on {}", schema, value);
    }
}

/// The fourth draft is the last with bounds that are flags.
#[test]
fn exclusive_bounds_agree() {
    for value in [json!(0), json!(1), json!(1.5), json!(2), json!("x")] {
        for exclusive in [true, false] {
            let schema = json!({
                "minimum": 1, "maximum": 2, "exclusiveMinimum": exclusive, "exclusiveMaximum": exclusive,
            });
            assert_eq!(ours(&schema, &value), theirs(Draft::Draft4, &schema, &value), "{schema} on {value}");
        }
    }
}
