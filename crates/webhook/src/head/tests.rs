use std::fmt as formatting;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::*;

fn uid(text: &str) -> Option<String> {
    BodyHead::of(text.as_bytes()).uid().map(str::to_owned)
}

#[test]
fn the_uid_is_found_wherever_it_stands() {
    for (text, expected) in [
        (r#"{"kind":"AdmissionReview","request":{"uid":"0b-1f","#, Some("0b-1f")),
        (
            r#"{"request":{"object":{"uid":"x","a":[{"uid":"y"}]},"uid":"u","oldObject":{"uid":"z"}}}"#,
            Some("u"),
        ),
        (r#" { "request" : { "\u0075id" : "a\u002db\n\"" } }"#, Some("a-b\n\"")),
        (r#"{"re\u0071uest":{"uid":"u"}}"#, Some("u")),
        // The last counts, `null` changes nothing, and a request that is taken back is none.
        (r#"{"request":{"uid":"a","uid":"b"}}"#, Some("b")),
        (r#"{"request":{"uid":"a","uid":null,"uid":5}}"#, Some("a")),
        (r#"{"request":{"uid":"a"},"request":{"name":"x"}}"#, Some("a")),
        (r#"{"request":{"uid":"a"},"request":{"uid":"b"}}"#, Some("b")),
        (r#"{"request":{"uid":"a"},"request":null}"#, None),
        // Neither another place nor another spelling.
        (r#"{"uid":"a","request":{"options":{"uid":"b"}},"object":{"request":{"uid":"c"}}}"#, None),
        (r#"{"Request":{"uid":"a"},"request":{"UID":"b"}}"#, None),
        (r#"{"request":[{"uid":"a"}]}"#, None),
        (r#"[{"request":{"uid":"a"}}]"#, None),
        (r#"{"x":"{\"request\":{\"uid\":\"a\"}}"}"#, None),
        (r#"{"request":{"uid":"op"#, None),
        (r#""request":{"uid":"a"}"#, None),
        // Only the first of several reviews.
        (r#"{"request":{"uid":"a"}}{"request":{"uid":"b"}}"#, Some("a")),
        ("\u{feff}{\"request\":{\"uid\":\"a\"}}", Some("a")),
        (r#"{"request": !!str {"uid": !!str "a"}}"#, None),
        ("", None),
        ("null", None),
    ] {
        assert_eq!(uid(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn halves_of_characters_are_what_go_makes_of_them() {
    for (text, expected) in [
        (r"\ud83d\ude00", "\u{1f600}"),
        (r"\ud83dx", "\u{fffd}x"),
        (r"\ude00x", "\u{fffd}x"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d", "\u{fffd}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
    ] {
        assert_eq!(uid(&format!(r#"{{"request":{{"uid":"{text}"}}}}"#)).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_uid_that_is_too_long_is_none() {
    let long = |length| BodyHead::of(format!(r#"{{"request":{{"uid":"{}""#, "x".repeat(length)).as_bytes());
    assert_eq!(long(UID_BYTES).uid().map(str::len), Some(UID_BYTES));
    let head = long(UID_BYTES + 1);
    assert_eq!((head.uid(), head.is_uid_too_long()), (None, true));
    // What is kept of it does not grow.
    assert!(long(10 << 20).text.bytes.capacity() <= 2 * UID_BYTES);
}

#[test]
fn depth_costs_nothing() {
    let deep = format!(r#"{{"request":{{"object":{}"#, "[{\"a\":".repeat(1 << 20));
    let closed = format!(r#"{deep}0{}, "uid":"u"}}}}"#, "}]".repeat(1 << 20));
    assert_eq!(uid(&closed).as_deref(), Some("u"));
    assert_eq!(uid(&"]}".repeat(1 << 20)), None);
}

#[test]
fn versions_are_those_that_are_known() {
    for (text, version) in [
        (r#"{"apiVersion":"admission.k8s.io/v1beta1""#, "v1beta1"),
        (r#"{"apiVersion":"admission.k8s.io/v1""#, "v1"),
        (r#"{"apiVersion":"admission.k8s.io/v9""#, "v1"),
        ("", "v1"),
    ] {
        assert_eq!(BodyHead::of(text.as_bytes()).version(), Some(version), "{text}");
    }
}

#[test]
fn what_there_is_is_counted() {
    let text = r#"{"a":[0,0,{}, []],"b\"":"x,:{","c":{"d":null},"e":-1.5e3}"#;
    let size = BodyHead::of(text.as_bytes()).size();
    assert_eq!(size, Size { bytes: text.len(), containers: 5, texts: 6, words: 4 });
}

/// The naive reader: keys in the order in which they come, as Go's reader takes them.
struct Naive(Option<String>);

impl<'de> Deserialize<'de> for Naive {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Review;
        impl<'de> Visitor<'de> for Review {
            type Value = Naive;
            fn expecting(&self, f: &mut formatting::Formatter<'_>) -> formatting::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Naive, A::Error> {
                let mut uid = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "request" {
                        match map.next_value::<Value>()? {
                            Value::Null => uid = None,
                            Value::Fields(fields) => {
                                for (key, value) in fields {
                                    if let (true, Value::Text(text)) = (key == "uid", value) {
                                        uid = Some(text);
                                    }
                                }
                            }
                            Value::Text(_) | Value::Other => {}
                        }
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Naive(uid))
            }
        }
        deserializer.deserialize_map(Review)
    }
}

/// A value with all of its keys, also those that come twice.
enum Value {
    Null,
    Text(String),
    Fields(Vec<(String, Value)>),
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut formatting::Formatter<'_>) -> formatting::Result {
                f.write_str("anything")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Value::Fields(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A JSON string with some characters escaped.
fn string(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, any::<u16>()).prop_map(|(text, escaped)| {
        let mut out = String::from("\"");
        for (index, char) in text.chars().enumerate() {
            if escaped >> (index % 16) & 1 == 1 || matches!(char, '"' | '\\' | '\0'..='\x1f') {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            } else {
                out.push(char);
            }
        }
        out + "\""
    })
}

fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &["request", "uid", "apiVersion", "Uid", "object", "a", ""];
    string(prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => ".{0,4}"])
}

fn space() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["", "", "", " ", "\n", "\t \r"][..])
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.5e3".to_owned()),
        Just("true".to_owned()),
        string(".{0,8}".prop_map(String::from)),
        string("[{}:,\"\\\\]{0,6}".prop_map(String::from)),
    ];
    leaf.prop_recursive(5, 48, 5, |inner| {
        let list = (proptest::collection::vec(inner.clone(), 0..4), space())
            .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},"))));
        let object =
            (proptest::collection::vec((key(), inner), 0..5), space()).prop_map(|(fields, space)| {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("{key}{space}:{space}{value}")).collect();
                format!("{{{}{space}}}", fields.join(&format!("{space},{space}")))
            });
        prop_oneof![1 => list, 3 => object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_uid_is_the_one_that_a_reader_finds_however_the_bytes_are_cut(
        text in (proptest::collection::vec((key(), json()), 0..4), space()).prop_map(|(fields, space)| {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}:{space}{value}")).collect();
            format!("{space}{{{}}}", fields.join(","))
        }),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let expected = serde_json::from_str::<Naive>(&text).unwrap().0;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut head = BodyHead::default();
        let mut start = 0;
        for end in cuts.into_iter().chain([text.len()]) {
            head.push(&text.as_bytes()[start..end]);
            start = end;
        }
        prop_assert_eq!(head.uid(), expected.as_deref());
        prop_assert_eq!(head.size(), BodyHead::of(text.as_bytes()).size());
    }

    #[test]
    fn nothing_that_comes_breaks_it(bytes in proptest::collection::vec(
        prop_oneof![3 => proptest::sample::select(b"{}[]:,\"\\u0nullrequstid \xff".as_slice()), 1 => any::<u8>()], 0..200,
    )) {
        let whole = BodyHead::of(&bytes);
        let mut pieces = BodyHead::default();
        for byte in &bytes {
            pieces.push(&[*byte]);
        }
        prop_assert_eq!(whole.uid(), pieces.uid());
        prop_assert_eq!(whole.size(), pieces.size());
    }
}
