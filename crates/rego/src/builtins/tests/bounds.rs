//! Whatever the arguments, a builtin answers within the limits.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::{LimitKind, Limits, Value};
use proptest::prelude::*;

use super::super::{BY_NAME, Builtin, Failure};
use super::{call, read};

fn builtins() -> Vec<&'static Builtin> {
    let mut all: Vec<_> = BY_NAME.values().collect();
    all.sort_by_key(|builtin| builtin.row.name);
    all
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-9_i64..70).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i128>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        (-10.0..10.0).prop_map(Value::from),
        prop::sample::select(vec!["1e300", "-1e1000", "1e-300", "1e400", "0.1"])
            .prop_map(|text| Value::from_json(text).unwrap()),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    let words = vec![
        "",
        "/",
        ".",
        "a/b/0",
        "10.0.0.0/8",
        "::/0",
        "1.2.3-rc.1",
        "[a-c]*",
        "(a|b)+?$1",
        "{a,*b}",
        "%v %d %[3]*.2[1]f",
        "2006-01-02",
        "2020-02-30T10:00:00Z",
        "1h2.5m",
        "{\"a\": [1, 2e3]}",
        "a: [1, &x {b: *x}]\n",
        "YWJj",
        "%41+b",
        "add",
        "1Ki",
        "-",
        "0.0.0.0/0",
        "Europe/Paris",
        "RFC3339",
        "Mon Jan _2 15:04:05.000 MST 2006",
        "a\u{301}ßİ\u{1fb3}",
        "1e999999999",
        "<",
        ">",
    ];
    prop_oneof![
        prop::sample::select(words).prop_map(Value::from),
        any::<String>().prop_map(|text| Value::from(text.as_str())),
        "[-+0-9a-e.:{}\\[\\]*?,/%\" \n&|>#]{0,20}".prop_map(|text| Value::from(text.as_str())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let scalar =
        prop_oneof![Just(Value::NULL), any::<bool>().prop_map(Value::from), number(), text(), text()];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let keys = prop_oneof![
            4 => prop::sample::select(vec!["a", "b", "op", "path", "value", "from", "0"]).prop_map(Value::from),
            1 => inner.clone(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| Value::from(items.into_iter().collect::<BTreeSet<_>>())),
            prop::collection::vec((keys, inner), 0..4)
                .prop_map(|entries| Value::from(entries.into_iter().collect::<BTreeMap<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_arguments_have_an_answer(args in prop::collection::vec(value(), 4)) {
        let limits = Limits { steps: 100_000, memory: 1 << 20, ..Limits::default() };
        for builtin in builtins() {
            let args = args.get(..builtin.row.arity).unwrap();
            if let Err(Failure::Undefined(message)) = call(builtin.row.name, args, limits) {
                prop_assert!(message.starts_with(builtin.row.name), "{message}");
                prop_assert!(message.len() < 1000, "{message}");
            }
        }
    }

    #[test]
    fn texts_have_an_answer(args in prop::collection::vec(text(), 4)) {
        for builtin in builtins() {
            let args = args.get(..builtin.row.arity).unwrap();
            let _ = call(builtin.row.name, args, Limits::default());
        }
    }

    #[test]
    fn numbers_have_an_answer(args in prop::collection::vec(number(), 4)) {
        let limits = Limits { steps: 100_000, memory: 1 << 20, ..Limits::default() };
        for builtin in builtins() {
            let args = args.get(..builtin.row.arity).unwrap();
            let _ = call(builtin.row.name, args, limits);
        }
    }

    /// As integers are exact, so are sums of floats to the last digit that is written.
    #[test]
    fn decimals_are_added_as_they_are_written(left in 0_i64..1_000_000, right in 0_i64..1_000_000) {
        let decimal = |number: i64| Value::from_json(&format!("{number}e-4")).unwrap();
        let sum = call("plus", &[decimal(left), decimal(right)], Limits::default()).unwrap();
        prop_assert_eq!(sum, decimal(left + right));
    }

    #[test]
    fn what_is_marshalled_is_read_again(text in prop_oneof![any::<String>(), "[ a:'\"#\n-]{0,300}", "[ a]{0,300}"], number in any::<f64>().prop_filter("not large", |float| float.abs() < 1e15)) {
        let value = Value::from(vec![Value::from(text.as_str()), Value::from(number)]);
        for family in ["json", "yaml"] {
            let marshalled = call(&format!("{family}.marshal"), std::slice::from_ref(&value), Limits::default()).unwrap();
            let read = call(&format!("{family}.unmarshal"), std::slice::from_ref(&marshalled), Limits::default());
            prop_assert_eq!(read, Ok(value.clone()), "{}", marshalled);
        }
    }
}

/// A value of 2^40 values, in the memory of forty.
fn shared() -> Value {
    (0..40).fold(Value::from(1), |value, _| Value::from(vec![value.clone(), value]))
}

#[test]
fn values_that_are_larger_than_their_memory_exceed_a_limit() {
    let value = shared();
    for (name, arity) in
        [("equal", 2), ("sort", 1), ("json.marshal", 1), ("yaml.marshal", 1), ("walk", 1), ("max", 1)]
    {
        let args = vec![value.clone(); arity];
        let found = call(name, &args, Limits::default());
        assert!(matches!(found, Err(Failure::Limit(_))), "{name}");
    }
    let printed = call("sprintf", &[Value::from("%v"), Value::from(vec![value.clone()])], Limits::default());
    assert!(matches!(printed, Err(Failure::Limit(_))));
}

#[test]
fn texts_that_ask_for_too_much_exceed_a_limit() {
    let long = "a".repeat(1 << 20);
    let limits = Limits::default();
    let text = |text: &str| Value::from(text);
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in ('a'..='h').zip('b'..='i') {
        let aliases = vec![format!("*{before}"); 9].join(", ");
        bomb += &["a", &String::from(name), ": &", &String::from(name), " [", &aliases, "]\n"].concat();
    }
    let calls: Vec<(&str, Vec<Value>)> = vec![
        ("replace", vec![text(&long), text("a"), text(&long)]),
        ("regex.replace", vec![text(&long), text("a"), text(&long)]),
        (
            "strings.replace_n",
            vec![read(&format!("{{\"a\": \"{}\"}}", "b".repeat(1000))).unwrap(), text(&long)],
        ),
        ("concat", vec![text(&long), Value::from(vec![text("x"); 1000])]),
        ("numbers.range", vec![Value::from(0), Value::from(i64::MAX)]),
        ("net.cidr_expand", vec![text("::/0")]),
        ("net.cidr_expand", vec![text("10.0.0.0/8")]),
        ("bits.lsh", vec![Value::from(1), Value::from(i64::MAX)]),
        ("json.unmarshal", vec![text("1e1000000000")]),
        ("json.unmarshal", vec![text(&"[".repeat(100_000))]),
        ("yaml.unmarshal", vec![text(&"[".repeat(100_000))]),
        ("yaml.unmarshal", vec![text(&bomb)]),
        ("regex.match", vec![text("((a{1000}){1000}){1000}"), text("a")]),
        ("regex.replace", vec![text(&"a".repeat(50_000)), text(&"(a?)".repeat(10_000)), text("b")]),
        ("glob.match", vec![text(&"?".repeat(100_000)), Value::NULL, text("a")]),
        ("sprintf", vec![text("%999999d%999999d"), Value::from(vec![Value::from(1); 2])]),
        ("product", vec![Value::from(vec![Value::from(i64::MAX); 10_000])]),
    ];
    let small = Limits { memory: 1 << 20, ..limits };
    for (name, args) in calls {
        let found = call(name, &args, if name == "sprintf" { small } else { limits });
        assert!(matches!(found, Err(Failure::Limit(_))), "{name}: {:?}", found.map(|_| ()));
    }
}

#[test]
fn patches_do_not_nest_values_too_deep() {
    let path = vec![Value::from("a"); 600];
    let operation = |path: &[Value]| {
        let fields =
            [("op", Value::from("copy")), ("from", Value::from("")), ("path", Value::from(path.to_vec()))];
        Value::from(
            fields.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<BTreeMap<_, _>>(),
        )
    };
    let operations: Vec<Value> = (1..600).map(|length| operation(path.get(..length).unwrap())).collect();
    let found = call(
        "json.patch",
        &[read("{}").unwrap(), Value::from(operations)],
        Limits { steps: u64::MAX, memory: u64::MAX, ..Limits::default() },
    );
    assert!(matches!(found, Err(Failure::Limit(exceeded)) if exceeded.limit == LimitKind::Depth));
}

#[test]
fn deep_values_are_compared_within_the_stack() {
    let deep = (0..450).fold(Value::from(1), |value, _| Value::from(vec![value]));
    assert_eq!(call("equal", &[deep.clone(), deep.clone()], Limits::default()), Ok(Value::TRUE));
    let deeper = (0..200).fold(deep, |value, _| Value::from(vec![value]));
    assert_eq!(
        call("json.marshal", &[deeper], Limits::default()),
        Err(Failure::Limit(portcullis_value::too_deep()))
    );
}
