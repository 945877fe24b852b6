//! What holds of all expressions: texts that are written by rules, and any text.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::cell::Cell;
use std::sync::Arc;

use portcullis_cel::{
    AccessUser, Activation, Allowance, BYTES_OF_UNIT, COST_OF_UNIT, CelValue, Desk, Diagnostic,
    DiagnosticKind, Environment, EvalError, EvalErrorKind, Evaluation, Program, Rights, STEPS_OF_UNIT, Stop,
    Type, Variables,
};
use portcullis_value::{Budget, LimitKind, Limits, Value, Watch};
use proptest::prelude::*;

/// What the API server's library ends with a defect of its own, as recorded of it: functions that count the elements of
/// what is no list, and `distinct` of what cannot be hashed.
const DEFECTS: [&str; 2] =
    ["internal error: interface conversion: ", "internal error: runtime error: hash of unhashable type "];

fn environment() -> Environment {
    Environment::default()
        .with_variable("object", Type::Dyn)
        .with_variable("i", Type::Int)
        .with_variable("s", Type::String)
        .with_variable("b", Type::Bool)
        .with_variable("l", Type::list(Type::Int))
}

fn variables() -> Variables {
    let object = Value::from_json(r#"{"a": {"b": [1, 2.5, "x", null, {"c": true}]}}"#).unwrap();
    Variables::default()
        .with("object", object.into())
        .with("i", CelValue::Int(7))
        .with("s", CelValue::from("text"))
        .with("b", CelValue::from(true))
        .with("l", CelValue::list(vec![CelValue::Int(3), CelValue::Int(1)]))
}

fn evaluate(text: &str, limit: u64) -> Result<Evaluation, Vec<Diagnostic>> {
    let program = Program::compile(text, &environment())?;
    let mut budget = Budget::new(Limits::default(), None);
    Ok(program.evaluate_within(&variables(), &mut budget, limit))
}

/// Expressions by rules, most of them of the right types.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i8>().prop_map(|number| number.to_string()),
        any::<u8>().prop_map(|number| format!("{number}u")),
        Just("1.5".to_owned()),
        "[a-z ]{0,4}".prop_map(|text| format!("'{text}'")),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("i".to_owned()),
        Just("s".to_owned()),
        Just("b".to_owned()),
        Just("l".to_owned()),
        Just("object".to_owned()),
        Just("object.a.b".to_owned()),
        Just("object.?a.?z".to_owned()),
        Just("missing".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let operators = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        let functions = prop::sample::select(vec![
            "size($)",
            "string($)",
            "int($)",
            "double($)",
            "dyn($)",
            "type($)",
            "-$",
            "!$",
            "[$]",
            "[$, $]",
            "{'k': $}",
            "{$: 1}",
            "$[0]",
            "$.k",
            "has($.k)",
            "$[?0]",
            "optional.of($)",
            "$.orValue($)",
            "$ ? $ : $",
            "[1, 2].map(x, $)",
            "[1, 2].all(x, $)",
            "[1, 2].exists(x, x == $)",
            "$.filter(x, $)",
            "$.transformList(i, v, $)",
            "$.contains($)",
            "$.split($)",
            "$.matches($)",
            "'%s'.format([$])",
            "quantity($)",
            "$.sum()",
            "sets.contains($, $)",
            "$.sortBy(x, x)",
        ]);
        prop_oneof![
            (inner.clone(), operators, inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (functions, prop::collection::vec(inner, 3)).prop_map(|(form, parts)| {
                let mut parts = parts.into_iter();
                let mut text = String::new();
                for c in form.chars() {
                    if c == '$' { text.push_str(&parts.next().unwrap_or_default()) } else { text.push(c) }
                }
                text
            }),
        ]
    })
}

/// A value by what it says: a list is the same wherever it lies.
fn shown(value: &CelValue) -> String {
    match value {
        CelValue::List(list) => {
            format!("[{}]", list.iter().map(|item| shown(&item)).collect::<Vec<_>>().join(", "))
        }
        CelValue::Map(map) => {
            let entries = map.entries().into_iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", shown(&key), shown(&value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// Whether a brief evaluation is sure, and then right: about the value, about an error, and about what counting would have
/// come to.
fn is_sure(text: &str) -> Result<bool, TestCaseError> {
    let Ok(program) = Program::compile(text, &environment()) else { return Ok(false) };
    let variables = variables();
    let mut budget = Budget::new(Limits::default(), None);
    let evaluation = program.evaluate(&variables, &mut budget);
    let desk = Desk::default();
    let allowance = Allowance::within(&desk, u64::MAX, u64::MAX, u64::MAX);
    let all = allowance.left();
    let brief = program.evaluate_briefly(&&variables, &allowance);
    match (&brief, &evaluation.result) {
        (Err(Stop::Unsure), _) => return Ok(false),
        (Ok(brief), Ok(value)) => {
            prop_assert_eq!(shown(&brief.to_value()), shown(value), "{}", text);
            prop_assert_eq!(brief.as_bool(), value.as_bool());
            prop_assert_eq!(brief.as_str(), value.as_str());
        }
        (Err(Stop::NoValue), Err(error)) => {
            prop_assert_eq!(error.kind, EvalErrorKind::Evaluation, "{}", text);
        }
        (brief, result) => prop_assert!(false, "{}: briefly {:?}, and {:?}", text, brief, result),
    }
    let units = all - allowance.left();
    let bounds =
        [(evaluation.cost, COST_OF_UNIT), (budget.steps(), STEPS_OF_UNIT), (budget.memory(), BYTES_OF_UNIT)];
    for (taken, of_unit) in bounds {
        prop_assert!(taken <= units * of_unit, "{}: {} with {} units of {}", text, taken, units, of_unit);
    }
    Ok(true)
}

#[test]
fn most_expressions_are_evaluated_briefly() {
    let sure = [
        "object.a.b[0] == 1 && has(object.a.b) && !has(object.a.z)",
        "object.a.z == 1",
        "object.a.z == 1 || true",
        "object.a.b.filter(x, x == 1).map(x, x + 1).size() == 1",
        "object.a.b.exists(x, x.c == true)",
        "object.a.b.all(x, x.c == true)",
        "object.a.b.map(x, x.c)",
        "object.a.transformList(k, v, k + ': ' + string(size(v))).join(', ') + '.'",
        "l + [i] + l == [3, 1, 7, 3, 1]",
        "i in l || s in ['text', 'other'] || i in [7, 8]",
        "{'a': dyn(i), 'b': dyn([s])}.b[0].startsWith('te')",
        "s.startsWith(object.a.b[2]) ? s + '!' + s : ['x', s].join()",
        "s.matches('^t.*t$') && s.lowerAscii().contains('ex')",
        "[[1, 2], [3]].map(x, x.map(y, y + size(l)))",
        "l.sum() + i + int('1')",
        "string(object)",
        "s.find(object.a.z)",
    ];
    for text in sure {
        assert!(is_sure(text).unwrap(), "{text}");
    }
    // What fails costs as much.
    for function in ["semver", "quantity", "url", "ip", "cidr", "int", "duration"] {
        let text = format!("{function}('{}')", "u".repeat(2000));
        // A long text that is quoted is left to who counts.
        assert!(is_sure(&text).unwrap() || function != "semver", "{text}");
    }
    for text in [
        "optional.of(i)",
        "object.?a.?z",
        "l.exists_one(x, x == 3)",
        "object.a.b[?0]",
        "has((b ? object : object.a).a)",
    ] {
        assert!(!is_sure(text).unwrap(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_evaluated_briefly_is_so(text in expression()) {
        is_sure(&text)?;
    }

    /// Twice the same answer at the same cost; never more than the limit.
    #[test]
    fn answers_are_the_same_every_time(text in expression()) {
        match (evaluate(&text, 10_000), evaluate(&text, 10_000)) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(format!("{:?}", &first.result), format!("{:?}", &second.result));
                prop_assert_eq!(first.cost, second.cost);
                match &first.result {
                    Ok(_) => prop_assert!(first.cost <= 10_000),
                    Err(error) => {
                        prop_assert!(text.is_char_boundary(error.at as usize));
                        let defect = DEFECTS.iter().any(|known| error.message.starts_with(known));
                        prop_assert_eq!(error.kind == EvalErrorKind::Internal, defect, "{}", error);
                    }
                }
            }
            (Err(first), Err(second)) => prop_assert_eq!(first, second),
            _ => prop_assert!(false, "{} compiles now and then", text),
        }
    }

    /// What costs as much as it may has a value; with one unit less it has none.
    #[test]
    fn the_cost_is_the_least_limit(text in expression()) {
        let Ok(Evaluation { result: Ok(_), cost }) = evaluate(&text, 10_000) else { return Ok(()) };
        prop_assert!(evaluate(&text, cost).unwrap().result.is_ok());
        if let Some(less) = cost.checked_sub(1) {
            let error = evaluate(&text, less).unwrap().result.unwrap_err();
            prop_assert_eq!(error.kind, EvalErrorKind::Cost);
        }
    }

    /// Spaces, comments and parentheses are no part of what is meant.
    #[test]
    fn spaces_change_nothing(text in expression()) {
        let spaced = format!("  // What it is\n\t({text}\n)  ");
        match (evaluate(&text, 10_000), evaluate(&spaced, 10_000)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.cost, b.cost);
                prop_assert_eq!(a.result.ok().map(|v| v.to_string()), b.result.ok().map(|v| v.to_string()));
            }
            (Err(a), Err(b)) => {
                let messages = |all: Vec<Diagnostic>| all.into_iter().map(|one| one.message).collect::<Vec<_>>();
                prop_assert_eq!(messages(a), messages(b));
            }
            _ => prop_assert!(false, "{} compiles with or without spaces", text),
        }
    }

    /// Any text: no panic, and places are in it.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Err(wrong) = Program::compile(&text, &environment()) {
            prop_assert!(!wrong.is_empty());
            for wrong in wrong {
                prop_assert!(text.is_char_boundary(wrong.at as usize), "{:?}", wrong);
            }
        }
    }

    /// A text literal is what it says, in all four forms.
    #[test]
    fn texts_are_kept(text in "\\PC{0,20}") {
        let quoted = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<Vec<_>>().concat();
        for form in [format!("'{quoted}'"), format!("\"{quoted}\""), format!("'''{quoted}'''"), format!("\"\"\"{quoted}\"\"\"")] {
            let value = evaluate(&form, 10).unwrap().result.unwrap();
            prop_assert_eq!(value.as_str(), Some(text.as_str()));
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_with_their_places() {
    let text = "objct.x == 1 &&\n  sise(s) > 2 && 'a' + 1 == s";
    let wrong = Program::compile(text, &environment()).unwrap_err();
    let places: Vec<&str> = wrong.iter().map(|wrong| text.get(wrong.at as usize..).unwrap()).collect();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(places[0].starts_with("objct"));
    assert!(places[1].starts_with("(s)"), "{places:?}");
    assert!(places[2].starts_with("+ 1"));
}

#[test]
fn conditions_are_booleans() {
    let wrong = Program::compile_to("i + 1", &environment(), &[Type::Bool]).unwrap_err();
    assert_eq!(wrong[0].kind, DiagnosticKind::Result);
    assert_eq!(wrong[0].message, "must evaluate to bool but is of type int");
    assert!(Program::compile_to("object.a", &environment(), &[Type::Bool]).is_ok());
}

#[test]
fn the_authorizer_needs_a_cluster() {
    let environment = Environment::default()
        .with_variable("authorizer", Type::object("kubernetes.authorization.Authorizer"));
    let text = "authorizer.group('').resource('pods').check('get').allowed()";
    let program = Program::compile(text, &environment).unwrap();
    let alice = Arc::new(AccessUser { name: "alice".into(), ..AccessUser::default() });
    let variables =
        Variables::default().with("authorizer", CelValue::Rights(Arc::new(Rights::Authorizer(alice))));
    let mut budget = Budget::new(Limits::default(), None);
    let error = program.evaluate(&variables, &mut budget).result.unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::NeedsCluster, "{error}");
}

/// An error that is known is not the end of it, where what a cluster says would decide.
#[test]
fn what_a_cluster_could_decide_is_missing_whatever_else_has_no_value() {
    let environment =
        environment().with_variable("authorizer", Type::object("kubernetes.authorization.Authorizer"));
    let alice = Arc::new(AccessUser { name: "alice".into(), ..AccessUser::default() });
    let variables = variables().with("authorizer", CelValue::Rights(Arc::new(Rights::Authorizer(alice))));
    let unknown = "authorizer.path('/').check('get').allowed()";
    for (text, kind) in [
        ("object.z || X", EvalErrorKind::NeedsCluster),
        ("X || object.z", EvalErrorKind::NeedsCluster),
        ("object.z && X", EvalErrorKind::NeedsCluster),
        ("1 / (i - 7) == 1 || (object.z && X) || object.y", EvalErrorKind::NeedsCluster),
        ("[1, 2].exists(x, x == 1 ? object.z : X)", EvalErrorKind::NeedsCluster),
        ("[1, 2].all(x, x == 1 ? X : object.z)", EvalErrorKind::NeedsCluster),
        ("[1, 2].exists_one(x, x == 1 ? object.z : X)", EvalErrorKind::NeedsCluster),
        ("(object.z || X) ? true : object.y", EvalErrorKind::NeedsCluster),
        // The first error is what comes of these, whatever the other is worth.
        ("object.z == X", EvalErrorKind::Evaluation),
        ("[object.z, dyn(X)] == []", EvalErrorKind::Evaluation),
        ("object.z ? X : X", EvalErrorKind::Evaluation),
    ] {
        let text = text.replace('X', unknown);
        let program = Program::compile(&text, &environment).unwrap();
        let error =
            program.evaluate(&variables, &mut Budget::new(Limits::default(), None)).result.unwrap_err();
        assert_eq!(error.kind, kind, "{text}: {error}");
    }
    let decided = Program::compile(&format!("object.z || {unknown} || true"), &environment).unwrap();
    let evaluation = decided.evaluate(&variables, &mut Budget::new(Limits::default(), None));
    assert_eq!(evaluation.result.unwrap().as_bool(), Some(true));
}

#[test]
fn a_watch_ends_an_evaluation() {
    struct Over;
    impl Watch for Over {
        fn is_over(&self) -> bool {
            true
        }
    }
    let program = Program::compile("lists.range(10000).all(x, x >= 0)", &environment()).unwrap();
    let mut budget = Budget::new(Limits::default(), Some(&Over));
    let error = program.evaluate(&variables(), &mut budget).result.unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::Limit(LimitKind::Time));
}

/// Variables that are expressions: evaluated when they are read, and only then.
#[test]
fn fields_of_objects_are_made_when_they_are_read() {
    struct Lazy(Cell<u32>, [CelValue; 2]);
    impl Activation for Lazy {
        fn variable(&self, name: &str) -> Option<&CelValue> {
            (name == "variables").then_some(&self.1[0])
        }

        fn field(&self, object: &str, field: &str, _: Option<u32>) -> Result<Option<&CelValue>, EvalError> {
            assert_eq!(object, "variables");
            self.0.set(self.0.get() + 1);
            if field == "broken" {
                return Err(EvalError {
                    kind: EvalErrorKind::Evaluation,
                    message: "no such key: x".to_owned(),
                    at: 0,
                });
            }
            Ok(Some(&self.1[1]))
        }
    }
    let fields = [("five", Type::Int), ("broken", Type::Dyn)];
    let environment = Environment::default()
        .with_object("variables", fields)
        .with_variable("variables", Type::object("variables"));
    let run = |text: &str| {
        let lazy = Lazy(Cell::new(0), [CelValue::Object("variables".into()), CelValue::Int(5)]);
        let program = Program::compile(text, &environment).unwrap();
        let mut budget = Budget::new(Limits::default(), None);
        let result = program.evaluate(&lazy, &mut budget).result;
        (result.map(|value| value.to_string()).map_err(|error| error.message), lazy.0.get())
    };
    assert_eq!(run("false && variables.five == 5"), (Ok("false".to_owned()), 0));
    assert_eq!(run("variables.five + 1"), (Ok("6".to_owned()), 1));
    assert_eq!(run("variables.broken == 1"), (Err("no such key: x".to_owned()), 1));
    assert_eq!(run("variables.broken == 1 || variables.five == 5"), (Ok("true".to_owned()), 2));
    let wrong =
        Program::compile("variables.missing == 1 && variables.five == 'a'", &environment).unwrap_err();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn what_is_read_is_known() {
    let reads = |text: &str| -> Vec<String> {
        let program = Program::compile(text, &environment()).unwrap();
        program.reads().iter().map(ToString::to_string).collect()
    };
    assert_eq!(reads("1 + 1"), Vec::<String>::new());
    assert_eq!(reads("object.a.b[0] == i"), ["i", "object.a.b[0]"]);
    assert_eq!(reads("has(object.a.b) && object['a'][s].c"), ["object.a", "object.a.b", "s"]);
    assert_eq!(reads("(b ? object.a : object.z).c"), ["b", "object.a.c", "object.z.c"]);
    assert_eq!(reads("object.a.b.map(x, x > i, x + object.c)"), ["i", "object.a.b", "object.c"]);
    assert_eq!(
        reads("[l.map(y, object[y])[0], dyn({s: object.?a[?0].orValue(i)})]"),
        ["i", "l", "object", "object.a[0]", "s"]
    );
    assert_eq!(reads("object.a.b in [1, 2] || size(object.d) > 0"), ["object.a.b", "object.d"]);
}

#[test]
fn what_is_wrong_within_a_macro_is_told_where_it_is() {
    let told = |text: &str| -> Vec<(u32, String)> {
        let wrong = Program::compile(text, &Environment::default()).unwrap_err();
        wrong.into_iter().map(|diagnostic| (diagnostic.at, diagnostic.message)).collect()
    };
    let not_a_name = || (16, "argument is not an identifier".to_owned());
    assert_eq!(told("[1].map([2].map(1, 2), 3)"), [not_a_name(), not_a_name()]);
}

#[test]
fn the_type_of_optional_values_is_of_nothing_in_particular() {
    let program = Program::compile("optional_type", &Environment::default()).unwrap();
    assert_eq!(program.result().to_string(), "type(optional_type)");
    let program = Program::compile("type(optional.of(1)) == optional_type", &Environment::default()).unwrap();
    let evaluation = program.evaluate(&Variables::default(), &mut Budget::new(Limits::default(), None));
    assert_eq!(evaluation.result.unwrap().as_bool(), Some(true));
}

#[test]
fn a_fold_that_fails_where_a_list_is_wanted_ends_as_in_the_api_server() {
    let message = "internal error: interface conversion: *types.Err is not traits.Lister: missing method Add";
    let lists =
        ["[3, 1].filter(x, object).sortBy(x, x)", "[3, 1].filter(x, object).sortBy(x, x) == [] || true"];
    for text in lists {
        let Evaluation { result, cost } = evaluate(text, 10_000).unwrap();
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str(), cost),
            (EvalErrorKind::Internal, message, 5),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_selected_by_is_named_as_the_api_server_finds_it() {
    for (text, given) in [
        ("object[object.a] == 1", "map[string]interface {}"),
        ("object[object.a.b] == 1", "[]interface {}"),
        ("object[object.a.b[3]] == 1", "<nil>"),
        ("[object.a].exists(x, object[x] == 1)", "*types.baseMap"),
        ("[object.a].exists(x, object[x.b] == 1)", "*types.baseList"),
        ("object.a.exists(k, v, object[v] == 1)", "*types.baseList"),
        ("object.a.b.exists(x, x == null && object[x] == 1)", "types.Null"),
        ("object[b ? object.a : object.a.b] == 1", "map[string]interface {}"),
    ] {
        let error = evaluate(text, 10_000).unwrap().result.unwrap_err();
        assert_eq!(error.message, format!("invalid qualifier type: {given}"), "{text}");
    }
}
