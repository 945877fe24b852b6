//! The answer is that of the plain algorithm: look for every text of the object in every message.

use proptest::prelude::*;

use super::*;

/// What the message quotes, by looking everywhere.
struct Model<'a> {
    message: &'a str,
    items: Vec<FieldPath>,
    scalars: Vec<FieldPath>,
}

impl Model<'_> {
    fn from_message(object: &Value, message: &str, reads: &[ObjectRead]) -> Option<FieldPath> {
        let mut model = Model { message, items: Vec::new(), scalars: Vec::new() };
        for (key, value) in value::entries(object) {
            match key {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => {
                    for part in ["labels", "annotations"] {
                        if let Some(value) = value::get(value, part) {
                            model.walk(value, &FieldPath::root().child("metadata").child(part), 0);
                        }
                    }
                }
                _ => model.walk(value, &FieldPath::root().child(key), 0),
            }
        }
        let item = only(&model.items);
        let is_below = |path: &FieldPath, parent: &FieldPath| {
            path.segments().len() > parent.segments().len() && path.segments().starts_with(parent.segments())
        };
        let telling: Vec<FieldPath> = model
            .scalars
            .iter()
            .filter(|path| item.is_none_or(|item| is_below(path, item) && **path != item.child("name")))
            .cloned()
            .collect();
        if let Some(path) = only(&telling).filter(|path| !is_only_the_name(object, path, path, reads)) {
            return Some(path.clone());
        }
        let item = item?;
        if is_only_the_name(object, &item.child("name"), item, reads) {
            return None;
        }
        let field = field_read_in(object, item, reads, &mut Work::for_message(message));
        Some(field.unwrap_or_else(|| item.clone()))
    }

    fn walk(&mut self, value: &Value, path: &FieldPath, depth: usize) {
        if depth > 32 {
            return;
        }
        match value.view() {
            View::Object(_) => {
                for (key, value) in value::entries(value) {
                    self.walk(value, &path.child(key), depth + 1);
                }
            }
            View::Array(_) => {
                for (index, item) in value::items(value).enumerate() {
                    let path = path.child(index);
                    if value::str_at(item, &["name"]).is_some_and(|name| has_word(self.message, name)) {
                        self.items.push(path.clone());
                    }
                    self.walk(item, &path, depth + 1);
                }
            }
            View::String(text) if text.chars().count() >= 3 && has_word(self.message, text) => {
                self.scalars.push(path.clone());
            }
            View::Number(_) => {
                let text = value.to_string();
                if text.len() >= 3 && has_word(self.message, &text) {
                    self.scalars.push(path.clone());
                }
            }
            _ => {}
        }
    }
}

/// Whether `word` stands anywhere in `text` with nothing around it that could belong to it.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/'));
    let continues = |rest: &str| {
        let mut chars = rest.chars();
        match chars.next() {
            Some('.' | ':') => chars.next().is_some_and(char::is_alphanumeric),
            next => joins(next),
        }
    };
    let at = |at: usize| {
        let (before, rest) = text.split_at(at);
        let after = rest.strip_prefix(word);
        let starts = !joins(before.chars().last()) && !before.ends_with('.');
        starts && after.is_some_and(|after| !continues(after))
    };
    !word.is_empty() && text.char_indices().any(|(place, _)| at(place))
}

/// Few texts, that begin with each other and are parts of each other, so that they clash.
fn text() -> impl Strategy<Value = String> {
    let word = "(a|ab|abc|abc-d|nginx|nginx:1|quay.io/nginx|443|8443|é€x| )";
    proptest::collection::vec(word, 0..4).prop_map(|words| words.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        4 => text().prop_map(|text| Value::from(text.as_str())),
        1 => prop_oneof![Just(443_i64), Just(8443), Just(7)].prop_map(Value::from),
        1 => Just(Value::TRUE),
    ];
    scalar.prop_recursive(5, 40, 4, |inner| {
        let fields = proptest::collection::btree_map("name|image|port|abc|x", inner.clone(), 0..4);
        prop_oneof![
            2 => proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            3 => fields.prop_map(value::object),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    let keys = "spec|data|status|kind|name";
    let body = proptest::collection::btree_map(keys, value(), 0..4);
    let metadata = proptest::collection::btree_map("labels|annotations|name", value(), 0..3);
    (body, metadata).prop_map(|(mut body, metadata)| {
        body.insert("metadata".to_owned(), value::object(metadata));
        value::object(body)
    })
}

fn message() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => text(),
        2 => "( |<|>|\"|, |\\.|: |\\. | is |-)",
    ];
    proptest::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

fn reads() -> impl Strategy<Value = Vec<ObjectRead>> {
    let step = proptest::option::weighted(0.7, "spec|name|image|port|0|1");
    let read = proptest::collection::vec(step.prop_map(|step| step.map(Into::into)), 0..5);
    proptest::collection::vec(read, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_placed_as_by_looking_for_every_text(
        object in object(),
        messages in proptest::collection::vec(message(), 1..4),
        reads in reads(),
    ) {
        let quotes = Quotes::of(&object).expect("few texts");
        for message in messages {
            let expected = Model::from_message(&object, &message, &reads);
            prop_assert_eq!(from_message(&object, &quotes, &message, &reads), expected, "{:?}", message);
        }
    }
}

/// A pod whose containers have names and images of their own.
fn pod(containers: usize) -> Value {
    let container = |number: usize| {
        value::object([
            ("name", Value::from(format!("c{number}"))),
            ("image", Value::from(format!("evil/i{number}"))),
        ])
    };
    let containers: Vec<Value> = (0..containers).map(container).collect();
    value::object([("spec", value::object([("containers", Value::from(containers))]))])
}

#[test]
fn a_message_that_quotes_all_of_a_large_object_is_gone_through_to_its_end() {
    let object = pod(20_000);
    let quotes = Quotes::of(&object).expect("few texts");
    let message = object.to_string();
    assert!(message.len() > 500_000);
    assert_eq!(from_message(&object, &quotes, &message, &[]), None, "all of them are quoted");
    let message = "container <c19999> has an invalid image repo <evil/i19999>";
    let found = from_message(&object, &quotes, message, &[]);
    assert_eq!(found.map(|path| path.to_string()).as_deref(), Some("spec.containers[19999].image"));
}

#[test]
fn texts_that_are_too_many_or_too_much_alike_tell_nothing() {
    let numbers: Vec<Value> = (0..300_000_i64).map(|number| Value::from(100_000 + number)).collect();
    assert!(Quotes::of(&value::object([("spec", Value::from(numbers))])).is_none());
    // Each place of the message is compared with all of a long text.
    let long = "a ".repeat(100_000);
    let alike: Vec<Value> = (0..9).map(|number| Value::from(format!("{long}{number}"))).collect();
    let object = value::object([("spec", Value::from(alike))]);
    let quotes = Quotes::of(&object).expect("few texts");
    assert!(quotes.quoted(&long, &mut Work::for_message(&long)).is_none());
}

#[test]
fn paths_end_before_a_key_that_is_as_long_as_a_text() {
    let path: FieldPath =
        ["spec", "a", &"k".repeat(100_000), "image"].into_iter().map(Segment::from).collect();
    assert_eq!(shown(path).to_string(), "spec.a");
    let path = FieldPath::parse("spec.containers[1].image").expect("a path");
    assert_eq!(shown(path.clone()), path);
}
