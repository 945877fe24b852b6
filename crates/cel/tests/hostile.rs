//! Expressions that want to take time, memory or the stack: each ends soon, with an error that names a limit, or
//! with a value. On a small stack, and measured.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_cel::{
    Allowance, CelValue, Desk, Environment, EvalErrorKind, PER_CALL_LIMIT, Program, Stop, Type, Variables,
};
use portcullis_value::{Budget, LimitKind, Limits, Value};

/// What a thread of a server has at least.
const STACK: usize = 2 << 20;

/// A hundred milliseconds where the code is optimised.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 100 });

/// How an expression ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Refused(String),
    Failed(EvalErrorKind, String),
    Value,
}

impl End {
    /// Whether it names what was exceeded.
    fn names_a_limit(&self) -> bool {
        match self {
            Self::Refused(message) => ["nested", "characters", "parts", "recursion", "size", "limit `"]
                .iter()
                .any(|word| message.contains(word)),
            Self::Failed(EvalErrorKind::Cost, message) => message.contains("cost limit"),
            Self::Failed(EvalErrorKind::Limit(limit), message) => message.contains(&limit.to_string()),
            _ => false,
        }
    }
}

/// A hundred thousand numbers.
fn long() -> Value {
    static LONG: OnceLock<Value> = OnceLock::new();
    let long = LONG.get_or_init(|| {
        let items = (0..100_000).map(|item: i64| item.to_string()).collect::<Vec<_>>().join(",");
        Value::from_json(&format!("[{items}]")).unwrap()
    });
    long.clone()
}

/// What the thread has worked, whatever else the machine has to do; what has gone by, where that is not known.
fn worked(started: Instant) -> Duration {
    let known = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = known.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn run(text: &str) -> End {
    let environment = Environment::default()
        .with_variable("object", Type::Dyn)
        .with_variable("long", Type::list(Type::Int))
        .with_variable("text", Type::String);
    let program = match Program::compile(text, &environment) {
        Ok(program) => program,
        Err(wrong) => {
            assert!(wrong.iter().all(|wrong| text.is_char_boundary(wrong.at as usize)));
            let mut wrong = wrong.into_iter();
            return End::Refused(wrong.next().unwrap().message);
        }
    };
    let object = Value::from_json(r#"{"a": {"b": [1, 2, 3]}}"#).unwrap();
    let variables = Variables::default()
        .with("long", long().into())
        .with("object", object.into())
        .with("text", CelValue::from("a".repeat(100_000)));
    let mut budget = Budget::new(Limits::default(), None);
    let end = match program.evaluate(&variables, &mut budget).result {
        Ok(_) => End::Value,
        Err(error) => End::Failed(error.kind, error.message),
    };
    // Without counting as well: sure of nothing else, and as soon.
    let desk = Desk::default();
    let limits = Limits::default();
    let allowance = Allowance::within(&desk, PER_CALL_LIMIT, limits.steps, limits.memory);
    let is_right = match program.evaluate_briefly(&&variables, &allowance) {
        Ok(_) => end == End::Value,
        Err(Stop::NoValue) => matches!(end, End::Failed(EvalErrorKind::Evaluation, _)),
        Err(Stop::Unsure) => true,
    };
    assert!(is_right, "{end:?}");
    end
}

/// The most memory that the process had at once, in kB. Not known everywhere.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default()
}

/// How it ends on a small stack, and whether that was soon.
fn judge(text: &str) -> End {
    let owned = text.to_owned();
    long();
    let timed = move || {
        let started = Instant::now();
        (run(&owned), worked(started))
    };
    let (end, took) = thread::Builder::new().stack_size(STACK).spawn(timed).unwrap().join().unwrap();
    let start: String = text.chars().take(60).collect();
    assert!(took < TIME, "{took:?} for {start} ({} bytes): {end:?}", text.len());
    end
}

fn ends_at_a_limit(text: &str) {
    let end = judge(text);
    let start: String = text.chars().take(60).collect();
    assert!(end.names_a_limit(), "{start} ({} bytes): {end:?}", text.len());
}

fn has_a_value(text: &str) {
    let end = judge(text);
    let start: String = text.chars().take(60).collect();
    assert_eq!(end, End::Value, "{start}");
}

/// `open` and `close` around `core`, so many times.
fn nested(times: usize, open: &str, core: &str, close: &str) -> String {
    format!("{}{core}{}", open.repeat(times), close.repeat(times))
}

#[test]
fn nesting_is_refused_or_has_a_value() {
    let forms = [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{1: ", "1", "}"),
        ("-(", "1", ")"),
        ("!(", "true", ")"),
        ("dyn(", "1", ")"),
        ("size([", "1", "])"),
        ("[1].map(x, ", "1", ")"),
        ("[1].all(x, ", "true", ")"),
        ("object[", "1", "]"),
        ("object[?", "1", "]"),
        ("true ? 1 : (", "1", ")"),
        ("true ? 1 : ", "1", ""),
        ("(false ? 1 : ", "1", ")"),
        ("optional.of(", "1", ")"),
        ("a{b: ", "1", "}"),
        ("[?", "object", "]"),
        ("optional.of(1).optMap(x, ", "x", ")"),
        ("optional.of(1).optFlatMap(x, ", "optional.of(x)", ")"),
        ("[1].sortBy(x, ", "x", ")"),
        ("[1].transformList(i, v, ", "v", ")"),
        ("\"\" + (", "''", ")"),
        ("type(", "1", ")"),
    ];
    for (open, core, close) in forms {
        ends_at_a_limit(&nested(3_000, open, core, close));
        ends_at_a_limit(&nested(30_000, open, core, close));
        for times in [1, 10, 20, 40, 60, 80, 100, 120, 150, 200, 240, 249, 250, 251, 260, 300] {
            judge(&nested(times, open, core, close));
        }
    }
    // Signs in a row are one of them, or none.
    has_a_value(&nested(30_001, "!", "false", ""));
    // Halves of them.
    for open in [
        "(",
        "[",
        "{",
        "-(",
        "a.b(",
        "[1].map(x, ",
        "true ? ",
        "a{b: ",
        "'",
        "'''",
        "r\"",
        "b'",
        "`",
        "//",
        "1 + ",
        "a.",
    ] {
        for times in [1, 100, 3_000, 20_000] {
            assert!(matches!(judge(&open.repeat(times)), End::Refused(_)), "{open}");
        }
    }
}

#[test]
fn chains_are_refused_or_have_a_value() {
    let chains = ["1", "object", "object.a.b", "[1]", "'a'"];
    for operator in [" + ", " && ", " || ", " == ", " < ", " in ", " ? 1 : ", " - ", " * ", "."] {
        for operand in chains {
            for times in [10, 200, 240, 400, 499, 510, 1_000, 5_000, 20_000] {
                judge(&vec![operand; times].join(operator));
            }
        }
    }
    // Thousands of terms are an expression like others: what is balanced is not deep.
    has_a_value(&vec!["true"; 5_000].join(" && "));
    has_a_value(&vec!["object.a.b[0] == 2"; 2_000].join(" || "));
    ends_at_a_limit(&vec!["1"; 20_000].join(" + "));
    ends_at_a_limit(&format!("object{}", ".a".repeat(20_000)));
    ends_at_a_limit(&format!("object{}", "[0]".repeat(20_000)));
    ends_at_a_limit(&format!("object{}", ".?a".repeat(20_000)));
    ends_at_a_limit(&format!("object{}", ".a()".repeat(20_000)));
    has_a_value(&format!("[{}]", vec!["1"; 20_000].join(", ")));
    ends_at_a_limit(&format!("'{}'", "a".repeat(1 << 20)));
    judge(&format!("[{}]", ["[1]", "['a']", "{}", "1u", "null"].repeat(2_000).join(", ")));
    let distinct: Vec<String> = (0..5_000).map(|key| format!("{key}: {key}")).collect();
    has_a_value(&format!("{{{}}}", distinct.join(", ")));
    let unknown: Vec<String> = (0..5_000).map(|name| format!("x{name}")).collect();
    assert!(matches!(judge(&unknown.join(" && ")), End::Refused(_)));
}

/// Each selection of a choice is one of each of its branches.
#[test]
fn selections_of_choices_are_bounded() {
    let mut choice = "object".to_owned();
    for _ in 0..13 {
        choice = format!("(b?{choice}:{choice})");
    }
    let text = format!("[true].map(b, {choice}{})", ".x".repeat(230));
    assert!(text.len() < 100_000, "{}", text.len());
    let before = most_memory();
    ends_at_a_limit(&text);
    let grown = (most_memory() - before) / 1024;
    assert!(grown < 256, "{grown} MB more");
}

#[test]
fn macros_that_double_are_refused() {
    // Each of these is there twice or more once it is expanded.
    for (open, close) in [(".optMap(x, optional.of(x)", ")"), (".map(x, [x]", ")"), (".sortBy(x, [x]", ")")] {
        let mut text = "optional.of([1])".to_owned();
        for _ in 0..200 {
            let _ = write!(text, "{open}{close}");
        }
        judge(&text);
    }
    // What is asked whether it has a value is there twice.
    let mut text = "optional.of(1)".to_owned();
    for _ in 0..100 {
        text = format!("({text}).optMap(x, x)");
    }
    ends_at_a_limit(&text);
}

#[test]
fn iterations_end_at_the_cost() {
    ends_at_a_limit("long.all(a, long.all(b, a + b >= 0))");
    ends_at_a_limit("long.map(a, long.map(b, long.map(c, a + b + c)))");
    ends_at_a_limit("long.map(a, long)");
    ends_at_a_limit("long.exists_one(a, long.exists_one(b, a == b && a < 0))");
    ends_at_a_limit("long.filter(a, a in long)");
    ends_at_a_limit("long.all(a, long == long)");
    ends_at_a_limit("long.all(a, [long, long, long] == [long, long, long])");
    ends_at_a_limit("long.all(a, size(long + long) > 0)");
    ends_at_a_limit("long.transformMap(i, v, long.transformMap(j, w, v + w))");
    ends_at_a_limit("long.sortBy(a, long.sum())");
    ends_at_a_limit("long.map(a, sets.contains(long, long))");
    ends_at_a_limit("sets.equivalent(long, long.map(x, -x))");
    ends_at_a_limit("sets.intersects(long, long.map(x, -x - 1))");
    ends_at_a_limit("long.map(x, long.map(y, y).distinct())");
    ends_at_a_limit("long.map(a, long.indexOf(-1))");
    ends_at_a_limit("lists.range(1000000000).size() > 0");
    ends_at_a_limit("lists.range(9223372036854775807).size() > 0");
    ends_at_a_limit("long.map(a, lists.range(1000))");
    ends_at_a_limit("long.map(a, long.slice(1, 99999))");
    ends_at_a_limit("long.map(a, long.reverse())");
    ends_at_a_limit("long.map(a, [[long]].flatten())");
}

#[test]
fn texts_that_grow_end_at_a_limit() {
    let double = |start: &str, times: usize, grow: &str| {
        let mut text = start.to_owned();
        for level in (0..times).rev() {
            let grown = grow.replace('$', &format!("x{level}"));
            text = format!("[{grown}].map(x{}, {text})[0]", level + 1);
        }
        format!("[text].map(x0, {text})[0]")
    };
    for grow in [
        "$ + $",
        "$.replace('', $)",
        "$.replace('a', $)",
        "[$, $].join('')",
        "[$, $].join($)",
        "'%s%s'.format([$, $])",
        "string([$, $].join())",
        "strings.quote($ + $)",
        "$ + $.upperAscii()",
        "string(bytes($) + bytes($))",
    ] {
        for times in [10, 20, 35] {
            let text = double(&format!("size(x{times}) > 0"), times, grow);
            if times > 10 {
                ends_at_a_limit(&text);
            } else {
                judge(&text);
            }
        }
    }
    for grow in ["$.split('')", "$.findAll('a')", "$.findAll('')", "[$].map(x, x.split(''))"] {
        judge(&format!("size({}) > 0", grow.replace('$', "text")));
        ends_at_a_limit(&format!("long.map(a, {})", grow.replace('$', "text")));
    }
    for grow in ["[$, $]", "{1: $, 2: $}", "[$] + [$]", "{'a': $}.map(k, $)"] {
        for times in [10, 20, 35] {
            judge(&double(&format!("x{times} == x{times}"), times, grow));
            judge(&double(&format!("x{times} in [x{times}]"), times, grow));
            judge(&double(&format!("'%s'.format([x{times}])"), times, grow));
        }
    }
    ends_at_a_limit("long.map(a, text)");
    ends_at_a_limit("long.map(a, text + text)");
    ends_at_a_limit("long.map(a, text.replace('a', 'bbbbbbbbbb'))");
    ends_at_a_limit("long.map(a, text.contains('ab'))");
    ends_at_a_limit("long.map(a, text.lastIndexOf('ba'))");
    ends_at_a_limit("text.replace('a', text).size() > 0");
    judge("'%.1000000000f'.format([1.0])");
    judge("'%.2147483647e'.format([1.0])");
    judge("'%99999999999999999999f'.format([1.0])");
    has_a_value("'%.99999f'.format([1.0])");
    has_a_value("'%.99999e'.format([1.0])");
}

#[test]
fn patterns_end_at_a_limit() {
    ends_at_a_limit("long.all(a, text.matches('(a*)*b') || true)");
    for pattern in [
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        "(((((a*)*)*)*)*)*b",
        "(a|aa)+$",
        "(x+x+)+y",
        "[a-z]{1000}",
        "\\\\pL{1000}",
        "(\\\\p{L}{500}){2}",
        "a?".repeat(500).as_str(),
        "(".repeat(1_000).as_str(),
        nested(1_000, "(", "a", ")").as_str(),
        "[".repeat(1_000).as_str(),
        "\\\\w".repeat(5_000).as_str(),
        ".*".repeat(5_000).as_str(),
    ] {
        judge(&format!("text.matches('{pattern}')"));
        judge(&format!("text.find('{pattern}') == ''"));
        judge(&format!("size(text.findAll('{pattern}')) == 0"));
        judge(&format!("long.all(a, text.matches('{pattern}' + string(a)))"));
        judge(&format!("long.all(a, 'a'.matches('{pattern}'))"));
    }
}

#[test]
fn numbers_of_the_libraries_end_soon() {
    let digits = "9".repeat(50_000);
    for text in [
        format!("quantity('{digits}')"),
        format!("quantity('{digits}').compareTo(quantity('1{digits}')) == 0"),
        format!("quantity('{digits}').add(quantity('{digits}')).asApproximateFloat() > 0.0"),
        "quantity('1e2147483647').compareTo(quantity('1e-2147483648')) == 0".to_owned(),
        "quantity('1e2147483647').add(quantity('1e-2147483648')).isInteger()".to_owned(),
        "quantity('1e2147483647').add(1).isInteger()".to_owned(),
        "quantity('1e9000').asApproximateFloat() > 0.0".to_owned(),
        "long.map(a, quantity('1e9000').add(quantity('1e9001')))".to_owned(),
        "long.map(a, quantity('1e9000').compareTo(quantity('1e9000')))".to_owned(),
        format!("semver('{digits}.0.0')"),
        format!("isSemver('1.0.0-{}')", "a.".repeat(20_000)),
        format!("url('http://a/?{}').getQuery()", "a=b&".repeat(20_000)),
        format!("url('http://a/{}').getEscapedPath()", "%20".repeat(20_000)),
        format!("ip('{}')", ":".repeat(50_000)),
        format!("cidr('1.2.3.4/{digits}')"),
        format!("timestamp('{digits}')"),
        format!("duration('{digits}h')"),
        format!("duration('{}')", "1h".repeat(30_000)),
        format!("double('{digits}')"),
        format!("double('0.{digits}')"),
        format!("int('{digits}')"),
        format!("format.dns1123Subdomain().value().validate('{digits}')"),
        format!("base64.decode('{digits}')"),
        format!("long.map(a, base64.encode(bytes('{digits}')))"),
        format!("long.map(a, timestamp('2020-01-01T00:00:00Z').getFullYear('{digits}'))"),
        format!("'{}'.format([1])", "%d".repeat(30_000)),
        format!("math.greatest([{}])", vec!["1"; 20_000].join(", ")),
        format!("math.greatest({})", vec!["1"; 20_000].join(", ")),
    ] {
        judge(&text);
    }
}

/// What types cost that are there twice in types that are there twice.
#[test]
fn large_types_are_refused() {
    let mut text = "x0".to_owned();
    for level in (0..40).rev() {
        text = format!("[{{'a': [x{level}], 'b': [x{level}]}}].map(x{}, {text})[0]", level + 1);
    }
    judge(&format!("[[1]].map(x0, {text})[0]"));
    let mut text = "x40 == x39".to_owned();
    for level in (0..40).rev() {
        text = format!("[[x{level}, x{level}]].map(x{}, {text})[0]", level + 1);
    }
    judge(&format!("[1].map(x0, {text})[0]"));
    judge(&format!("{} == {}", nested(200, "[", "", "]"), nested(200, "[", "1", "]")));
    judge(&format!("{} + {} + 'a'", nested(200, "[", "", "]"), nested(200, "[", "1", "]")));
}

/// A variable that is made of another, which is made of another.
#[test]
fn values_of_values_of_values_end_at_the_depth() {
    let nest = || {
        let environment = Environment::default().with_variable("x", Type::Dyn);
        let program = Program::compile(&nested(100, "[", "x", "]"), &environment).unwrap();
        let compared =
            Program::compile("[x] == [x] && x in [x] && '%s'.format([x]) != ''", &environment).unwrap();
        let mut value = CelValue::Int(1);
        for times in 1.. {
            let variables = Variables::default().with("x", value.clone());
            let mut budget = Budget::new(Limits::default(), None);
            assert!(compared.evaluate(&variables, &mut budget).result.is_ok());
            match program.evaluate(&variables, &mut budget).result {
                Ok(nested) => value = nested,
                Err(error) => {
                    assert_eq!(error.kind, EvalErrorKind::Limit(LimitKind::Depth));
                    return times;
                }
            }
        }
        0
    };
    let times = thread::Builder::new().stack_size(STACK).spawn(nest).unwrap().join().unwrap();
    assert_eq!(times, 3);
}

/// The most memory that the process had at once grows by no more than 64 MB for any of them. Alone in a process
/// under `cargo nextest`; elsewhere beside the other tests, which end as soon.
#[test]
fn memory_is_bounded() {
    let before = most_memory();
    for text in [
        "long.map(a, long.map(b, [a, b]))",
        "long.map(a, text + text)",
        "lists.range(1000000000)",
        "text.split('').map(x, text)",
        "long.map(a, {a: [a, a, a, a]})",
        "text.findAll('').map(x, x + x)",
        "long.transformMap(i, v, string(v))",
    ] {
        judge(text);
    }
    // Other tests may run meanwhile.
    let grown = (most_memory() - before) / 1024;
    assert!(grown < 256, "{grown} MB more");
}

/// A choice that is indexed by a choice that is indexed by a choice: each is planned once, and not twice as often at each
/// level.
#[test]
fn choices_in_each_other_are_planned_once() {
    let mut text = "0".to_owned();
    for _ in 0..80 {
        text = format!("(object.b ? object.xs : object.ys)[{text}]");
    }
    let started = Instant::now();
    let end = run(&text);
    assert!(matches!(end, End::Failed(EvalErrorKind::Evaluation, _)), "{end:?}");
    assert!(worked(started) < TIME, "{:?}", started.elapsed());
}
