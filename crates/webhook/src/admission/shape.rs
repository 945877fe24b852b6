//! Whether a request has what its operation is about. API servers send nothing else; what came otherwise would be judged by another
//! object than the one that is being stored, or by none.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What stands at `object` or `oldObject`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Nothing, or `null`.
    #[default]
    Absent,
    /// An object, with its `apiVersion` and `kind`.
    Object(String, String),
    /// Something else.
    Other,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let (mut api_version, mut kind) = (String::new(), String::new());
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::ApiVersion => api_version = map.next_value::<Word>()?.0,
                Key::Kind => kind = map.next_value::<Word>()?.0,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Part::Object(api_version, kind))
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    ApiVersion,
    Kind,
    #[serde(other)]
    Other,
}

/// A text, or anything else as none: what else is wrong with the object is said by who reads it.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(match Any::deserialize(deserializer)? {
            Any::Text(text) => Self(text),
            Any::Other(_) => Self(String::new()),
        })
    }
}

/// The parts of a request that have to fit together.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// What is done.
    pub operation: &'a str,
    /// Group, version and kind of what the request is about; all empty if it does not say.
    pub kind: [&'a str; 3],
    /// The object after it.
    pub object: &'a Part,
    /// The object before it.
    pub old_object: &'a Part,
}

impl Shape<'_> {
    /// Whether a request of this shape can be judged.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let operation = self.operation;
        let needed: &[(&str, &Part)] = match operation {
            "" => return Err("`request.operation` is missing; it says which object is judged".to_owned()),
            "CREATE" | "CONNECT" => &[("object", self.object)],
            "UPDATE" => &[("object", self.object), ("oldObject", self.old_object)],
            "DELETE" => &[("oldObject", self.old_object)],
            // Who reads the request says what is wrong with it.
            _ => return Ok(()),
        };
        if self.kind == [""; 3] {
            return Err("`request.kind` is missing; it says what the object is".to_owned());
        }
        for (name, part) in needed {
            if **part == Part::Absent {
                return Err(format!("`{name}` cannot be absent for {operation} operations"));
            }
        }
        for (name, part) in [("object", self.object), ("oldObject", self.old_object)] {
            match part {
                Part::Absent => {}
                Part::Other => return Err(format!("expected `{name}` to be an object or null")),
                Part::Object(api_version, kind) => self.check_kind(name, api_version, kind)?,
            }
        }
        Ok(())
    }

    /// Constraints are chosen by the kind of the object, so it has to be what the API server takes it for. Of the groups that have a
    /// name, the object's own is believed, as Gatekeeper does; the core group has none, and nothing else may stand for it.
    fn check_kind(&self, name: &str, api_version: &str, kind: &str) -> Result<(), String> {
        let [wanted_group, wanted_version, wanted_kind] = self.kind;
        let is_same = match (wanted_group, api_version.split_once('/')) {
            ("", _) => api_version == wanted_version,
            (_, Some((group, version))) => !group.is_empty() && !version.is_empty() && !version.contains('/'),
            (_, None) => false,
        };
        if is_same && kind == wanted_kind {
            return Ok(());
        }
        let wanted = match wanted_group {
            "" => wanted_version.to_owned(),
            group => format!("{group}/{wanted_version}"),
        };
        Err(format!(
            "`{name}` is a `{api_version}` `{kind}`, though `request.kind` says `{wanted}` `{wanted_kind}`; they have to be the same"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let part = |text: &str| serde_json::from_str::<Part>(text).unwrap();
        assert_eq!(part("null"), Part::Absent);
        for other in ["5", "-5", "1.5", "true", "\"x\"", "[]", "[{\"kind\":\"Pod\"}]"] {
            assert_eq!(part(other), Part::Other, "{other}");
        }
        let object = |version: &str, kind: &str| Part::Object(version.to_owned(), kind.to_owned());
        assert_eq!(part("{}"), object("", ""));
        assert_eq!(
            part(r#"{"a":{"kind":"x"},"kind":"Pod","apiVersion":"v1","metadata":{}}"#),
            object("v1", "Pod")
        );
        assert_eq!(part(r#"{"kind":["Pod"],"apiVersion":1}"#), object("", ""));
    }

    #[test]
    fn every_operation_needs_its_objects() {
        let pod = Part::Object("v1".to_owned(), "Pod".to_owned());
        let parts = [Part::Absent, Part::Other, pod.clone()];
        for operation in ["CREATE", "UPDATE", "DELETE", "CONNECT", ""] {
            for object in &parts {
                for old_object in &parts {
                    let shape = Shape { operation, kind: ["", "v1", "Pod"], object, old_object };
                    let fits = match operation {
                        "CREATE" | "CONNECT" => *object == pod && *old_object != Part::Other,
                        "UPDATE" => *object == pod && *old_object == pod,
                        "DELETE" => *old_object == pod && *object != Part::Other,
                        _ => false,
                    };
                    assert_eq!(shape.check().is_ok(), fits, "{operation} {object:?} {old_object:?}");
                }
            }
        }
    }

    #[test]
    fn the_object_is_of_the_kind_that_the_request_is_about() {
        let check = |kind, api_version: &str, object_kind: &str| {
            let object = &Part::Object(api_version.to_owned(), object_kind.to_owned());
            Shape { operation: "CREATE", kind, object, old_object: &Part::Absent }.check().is_ok()
        };
        assert!(check(["", "v1", "Pod"], "v1", "Pod"));
        assert!(check(["apps", "v1", "Deployment"], "apps/v1", "Deployment"));
        assert!(!check(["", "", ""], "v1", "Pod"));
        assert!(!check(["", "", ""], "", ""));
        for (api_version, kind) in [
            ("v1", "pod"),
            ("v1", "List"),
            ("V1", "Pod"),
            ("/v1", "Pod"),
            ("core/v1", "Pod"),
            ("v1/", "Pod"),
            ("", ""),
            ("a/b/v1", "Pod"),
        ] {
            assert!(!check(["", "v1", "Pod"], api_version, kind), "{api_version} {kind}");
        }
        assert!(check(["apps", "v1", "Deployment"], "extensions/v1beta1", "Deployment"));
        for (api_version, kind) in [("v1", "Deployment"), ("apps/", "Deployment"), ("apps/v1", "deployment")]
        {
            assert!(!check(["apps", "v1", "Deployment"], api_version, kind), "{api_version} {kind}");
        }
    }
}
