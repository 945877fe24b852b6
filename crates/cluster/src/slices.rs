//! JSON text, cut into its parts without being read: the objects of a page, the object of an event.
//!
//! Objects go to the core as the bytes that came. Reading them into another dynamic value first would change numbers, and would give
//! some keys a meaning of their own. The text has been checked to be JSON before; on anything else the parts are nonsense or none.

use std::ops::Range;

/// The fields of the object at the start of a text: key as written between its quotes, and the range of the value.
pub(crate) fn fields(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut scan = Scan { text, at: 0 };
    let mut fields = Vec::new();
    if !scan.take(b'{') {
        return fields;
    }
    while scan.peek() == Some(b'"') {
        let key = scan.value();
        if !scan.take(b':') {
            break;
        }
        scan.skip_space();
        let value = scan.value();
        fields.push((text.get(key.start + 1..key.end.saturating_sub(1)).unwrap_or_default(), value));
        if !scan.take(b',') {
            break;
        }
        scan.skip_space();
    }
    fields
}

/// The text of one field.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, range) = fields(text).into_iter().find(|(name, _)| *name == key)?;
    text.get(range)
}

/// A field that is a string without escapes, as names, versions and tokens of Kubernetes are.
pub(crate) fn plain_string<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let inner = field(text, key)?.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// The ranges of the elements of the list at a range of the text.
pub(crate) fn elements(text: &str, list: &Range<usize>) -> Vec<Range<usize>> {
    let mut scan = Scan { text, at: list.start };
    let mut elements = Vec::new();
    if !scan.take(b'[') {
        return elements;
    }
    while scan.peek().is_some_and(|byte| byte != b']') && scan.at < list.end {
        elements.push(scan.value());
        if !scan.take(b',') {
            break;
        }
        scan.skip_space();
    }
    elements
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.byte()
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += 1;
            self.skip_space();
        }
        found
    }

    /// Goes past the value that starts here.
    fn value(&mut self) -> Range<usize> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.string();
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        break;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        start..self.at
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
        self.at = self.at.min(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,6}", r#"[\\"{}\[\],: é\n]{0,5}"#];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_parts_are_those_that_a_parser_finds(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let parse = |range: Range<usize>| serde_json::from_str::<Value>(text.get(range).expect("a part")).expect("JSON");
            let found: Vec<(String, Value)> = fields(&text)
                .into_iter()
                .map(|(key, range)| (serde_json::from_str(&format!("\"{key}\"")).expect("a string"), parse(range)))
                .collect();
            let expected: Vec<(String, Value)> = value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(found, expected);
            let found: Vec<Value> = elements(&text, &(0..text.len())).into_iter().map(parse).collect();
            prop_assert_eq!(found, value.as_array().cloned().unwrap_or_default());
        }

        #[test]
        fn what_is_no_json_ends_nothing(text in ".{0,40}") {
            let _ = fields(&text);
            let _ = elements(&text, &(0..text.len()));
        }
    }

    #[test]
    fn texts_with_escapes_are_no_plain_strings() {
        let text = r#"{ "a" : "x" , "b":"\u0041", "c": 1 }"#;
        assert_eq!(plain_string(text, "a"), Some("x"));
        assert_eq!(plain_string(text, "b"), None);
        assert_eq!(plain_string(text, "c"), None);
    }
}
