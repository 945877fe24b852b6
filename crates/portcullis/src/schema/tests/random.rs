//! Random values and schemas, small and with few names and numbers, so that they often fit together.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const NAMES: [&str; 4] = ["a", "b", "ab", "é"];

pub(super) fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

/// Numbers that meet each other's bounds.
pub(super) fn number() -> impl Strategy<Value = Json> {
    prop_oneof![
        (-3_i64..4).prop_map(Json::from),
        (-6_i32..7).prop_map(|half| json!(f64::from(half) / 2.0)),
        Just(json!(0.1)),
        Just(json!(0.3)),
        Just(json!(i64::MAX)),
    ]
}

pub(super) fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        number(),
        name().prop_map(Json::from),
        Just(json!("")),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec((name(), inner), 0..4).prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// Schemas of keywords that mean the same in Kubernetes and in JSON Schema. Not structural: types may be
/// missing.
pub(super) fn plain_schema() -> impl Strategy<Value = Json> {
    let types = ["array", "boolean", "integer", "number", "object", "string"];
    let leaf = vec(
        prop_oneof![
            proptest::sample::select(types.to_vec()).prop_map(|kind| ("type", json!(kind))),
            vec(value(), 1..4).prop_map(|values| ("enum", Json::from(values))),
            number().prop_map(|number| ("minimum", number)),
            number().prop_map(|number| ("maximum", number)),
            proptest::sample::select(vec![json!(1), json!(2), json!(0.1), json!(0.5)])
                .prop_map(|number| ("multipleOf", number)),
            count("minLength"),
            count("maxLength"),
            count("minItems"),
            count("maxItems"),
            count("minProperties"),
            count("maxProperties"),
            proptest::sample::select(vec!["^a", "b$", "é"]).prop_map(|pattern| ("pattern", json!(pattern))),
            vec(name(), 1..3).prop_map(|mut names| {
                names.sort();
                names.dedup();
                ("required", json!(names))
            }),
        ],
        0..3,
    )
    .prop_map(object);
    leaf.prop_recursive(3, 16, 3, |inner| {
        let schemas = vec(inner.clone(), 1..3).prop_map(Json::from);
        let properties = vec((name(), inner.clone()), 1..3)
            .prop_map(|fields| ("properties", Json::Object(fields.into_iter().collect())));
        let keyword = prop_oneof![
            schemas.clone().prop_map(|schemas| ("allOf", schemas)),
            schemas.clone().prop_map(|schemas| ("anyOf", schemas)),
            schemas.prop_map(|schemas| ("oneOf", schemas)),
            inner.clone().prop_map(|schema| ("not", schema)),
            inner.clone().prop_map(|schema| ("items", schema)),
            prop_oneof![inner.clone(), any::<bool>().prop_map(Json::from)]
                .prop_map(|schema| ("additionalProperties", schema)),
            properties,
        ];
        (vec(keyword, 1..3), inner).prop_map(|(keywords, rest)| {
            let mut schema = object(keywords);
            if let (Json::Object(schema), Json::Object(rest)) = (&mut schema, rest) {
                for (keyword, argument) in rest {
                    schema.entry(keyword).or_insert(argument);
                }
            }
            schema
        })
    })
}

/// Structural schemas with defaults, which need not fit.
pub(super) fn structural_schema() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer", "nullable": true})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"x-kubernetes-preserve-unknown-fields": true})),
    ];
    let tree = leaf.prop_recursive(3, 16, 3, |inner| {
        let properties =
            vec((name(), inner.clone()), 0..4).prop_map(|fields| Json::Object(fields.into_iter().collect()));
        prop_oneof![
            (properties, any::<bool>()).prop_map(|(properties, keep)| if keep {
                json!({"type": "object", "properties": properties, "x-kubernetes-preserve-unknown-fields": true})
            } else {
                json!({"type": "object", "properties": properties})
            }),
            inner.clone().prop_map(|schema| json!({"type": "object", "additionalProperties": schema})),
            inner.prop_map(|schema| json!({"type": "array", "items": schema})),
        ]
    });
    (tree, vec((any::<proptest::sample::Index>(), value()), 0..4)).prop_map(|(mut schema, defaults)| {
        for (index, default) in defaults {
            let mut nodes = Vec::new();
            pointers(&schema, String::new(), &mut nodes);
            let pointer = index.get(&nodes).clone();
            if let Some(Json::Object(node)) = schema.pointer_mut(&pointer) {
                node.insert("default".to_owned(), default);
            }
        }
        schema
    })
}

/// JSON pointers to every schema in a schema made above.
fn pointers(schema: &Json, here: String, found: &mut Vec<String>) {
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(keyword) {
            pointers(inner, format!("{here}/{keyword}"), found);
        }
    }
    for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        pointers(property, format!("{here}/properties/{name}"), found);
    }
    found.push(here);
}

/// Anything with the look of a schema, for what must not panic.
pub(super) fn wild_schema() -> impl Strategy<Value = Json> {
    let keywords = [
        "type",
        "properties",
        "items",
        "additionalProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "enum",
        "default",
        "required",
        "minimum",
        "exclusiveMinimum",
        "multipleOf",
        "maxLength",
        "pattern",
        "format",
        "nullable",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-int-or-string",
        "propertys",
        "$ref",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];
    let words = prop_oneof![
        proptest::sample::select(vec![
            "object", "array", "string", "integer", "map", "set", "date", "[a", "int32"
        ])
        .prop_map(Json::from),
        value(),
        "[\\\\a-c{}0-9,?*+()\\[\\]^$|:&-]{0,12}".prop_map(Json::from),
    ];
    words.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            vec((proptest::sample::select(keywords.to_vec()), inner.clone()), 0..5).prop_map(object),
            vec((name(), inner.clone()), 0..3).prop_map(|fields| Json::Object(fields.into_iter().collect())),
            vec(inner, 0..3).prop_map(Json::from),
        ]
    })
}

fn count(keyword: &'static str) -> impl Strategy<Value = (&'static str, Json)> {
    (0_u32..3).prop_map(move |count| (keyword, json!(count)))
}

fn object(entries: Vec<(&'static str, Json)>) -> Json {
    Json::Object(entries.into_iter().map(|(keyword, argument)| (keyword.to_owned(), argument)).collect())
}
