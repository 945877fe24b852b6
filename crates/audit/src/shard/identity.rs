//! Which object a text is, without reading it: so that a shard spends no time on the objects of others.
//!
//! Only JSON of one object says so. What is written in another way, or oddly, is read by all shards, and each judges of its objects those
//! that it has to.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis::{Form, Gvk, Places, Scope};
use portcullis_report::ObjectName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::source::{Role, Text};

/// What of an object says which it is. A key that comes twice is an error of each.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "apiVersion")]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Metadata<'a>,
    /// A list is several objects.
    items: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The object of a text, where it lives, if that can be told. Cost: a look at each byte.
pub fn of_text(text: &Text, places: &Places) -> Option<ObjectName> {
    if text.is_cut {
        return None;
    }
    let list = match &text.role {
        Role::Source | Role::Document(Form::Json) => None,
        Role::Item(Form::Json, identity) => identity.as_deref(),
        Role::Document(Form::Yaml) | Role::Item(Form::Yaml, _) | Role::Frame(..) => return None,
    };
    let head: Head<'_> = serde_json::from_slice(&text.bytes).ok()?;
    let gvk = match (&head.api_version, &head.kind, list) {
        (Some(api_version), Some(kind), _) => Gvk::new(api_version, kind),
        (None, None, Some((api_version, kind))) => Gvk::new(api_version, kind),
        _ => return None,
    };
    head.named(&gvk, places)
}

/// The same of an item of an API server's list.
#[cfg(feature = "kube")]
pub fn of_listed(text: &str, gvk: &Gvk, places: &Places) -> Option<ObjectName> {
    let head: Head<'_> = serde_json::from_str(text).ok()?;
    let is = |own: &Option<Cow<'_, str>>, of_list: &str| own.as_ref().is_none_or(|own| *own == of_list);
    let is_of_list = is(&head.api_version, &gvk.api_version()) && is(&head.kind, &gvk.kind);
    if is_of_list { head.named(gvk, places) } else { None }
}

impl Head<'_> {
    fn named(&self, gvk: &Gvk, places: &Places) -> Option<ObjectName> {
        if self.items.is_some() || self.metadata.name.is_empty() {
            return None;
        }
        let written: Arc<str> = self.metadata.namespace.as_deref().unwrap_or_default().into();
        Some(ObjectName {
            group: gvk.group.clone(),
            version: gvk.version.clone(),
            kind: gvk.kind.clone(),
            namespace: namespace(places, gvk, &written),
            name: (&*self.metadata.name).into(),
        })
    }
}

/// The namespace that an object of a kind lives in, which is written in `written`: as [`Places::settle`] has it.
pub fn namespace(places: &Places, gvk: &Gvk, written: &Arc<str>) -> Arc<str> {
    match places.scopes().of(&gvk.group, &gvk.kind) {
        Scope::Cluster => Arc::default(),
        Scope::Namespaced if written.is_empty() => places.namespace().into(),
        Scope::Namespaced | Scope::ByObject => Arc::clone(written),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use portcullis::{Limits, Object};

    use super::*;
    use crate::source::{Start, documents};

    fn text(bytes: &str, role: Role) -> Text {
        Text { bytes: bytes.into(), start: Start { line: 1, column: 1 }, role, is_cut: false }
    }

    /// Whatever can be told of a text is what its reader says.
    #[test]
    fn what_is_told_is_what_is_read() {
        let places = Places::default();
        let known = [
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"},"spec":{"x":[1,{}]}}"#,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#,
            r#"  {"kind":"Namespace","apiVersion":"v1","metadata":{"name":"a","namespace":"odd"}}  "#,
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"é","namespace":null}}"#,
            r#"{"apiVersion":"e.com/v1","kind":"Widget","metadata":{"name":"a","labels":{"name":"b"}}}"#,
            r#"{"apiVersion":"v1","\u006bind":"Pod","metadata":{"\u006eame":"a\nb"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"items":null}"#,
        ];
        for bytes in known {
            for role in [Role::Source, Role::Document(Form::Json)] {
                let told = of_text(&text(bytes, role.clone()), &places).unwrap();
                let (found, problems) = documents(&"f.json".into(), text(bytes, role), &Limits::default());
                assert!(problems.is_empty(), "{bytes}: {problems:?}");
                let [document] = <[_; 1]>::try_from(found).unwrap();
                let object = Object::from_document(document).unwrap();
                assert_eq!(told, ObjectName::of(&places.settle(object).object), "{bytes}");
            }
        }
    }

    #[test]
    fn what_is_odd_is_read_by_all() {
        let odd = [
            "",
            "null",
            "[]",
            "{}",
            "kind: Pod",
            r#"{"apiVersion":"v1","kind":"Pod"}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":""}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":1}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","name":"b"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","kind":"Pod","metadata":{"name":"a"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"metadata":{"name":"a"}}"#,
            r#"{"apiVersion":"v1","kind":"PodList","metadata":{"name":"a"},"items":[]}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}} {"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\ud800"}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"x":NaN}"#,
            r#"{"kind":"Pod","metadata":{"name":"a"}}"#,
        ];
        for bytes in odd {
            let found = of_text(&text(bytes, Role::Source), &Places::default());
            assert_eq!(found, None, "{bytes}");
        }
        let good = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#;
        assert_eq!(of_text(&text(good, Role::Document(Form::Yaml)), &Places::default()), None);
        let cut = Text { is_cut: true, ..text(good, Role::Source) };
        assert_eq!(of_text(&cut, &Places::default()), None);
    }

    #[test]
    fn items_are_what_their_list_says() {
        let identity = Some(Arc::new(("v1".to_owned(), "Pod".to_owned())));
        let told = |bytes: &str| {
            let text = text(bytes, Role::Item(Form::Json, identity.clone()));
            of_text(&text, &Places::default()).map(|name| name.to_string())
        };
        assert_eq!(told(r#"{"metadata":{"name":"a"}}"#).as_deref(), Some("Pod default/a"));
        assert_eq!(
            told(r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}"#).as_deref(),
            Some("Node a")
        );
        assert_eq!(told(r#"{"kind":"Node","metadata":{"name":"a"}}"#), None);
    }
}
