//! Modules and inputs that nobody writes by hand: each wants more time, memory or stack than a policy may
//! have.
//!
//! Each is either answered rightly or ends in a clear error, soon. `crates/rego/tests/hostile.rs` holds the
//! outcome; `cargo run --release -p portcullis-benches --bin hostile` shows time and memory, each case in a
//! process of its own.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use portcullis_rego::{Environment, EvalErrorKind, Program, Query, Unit};
use portcullis_rego_syntax::{Version, parse, resolve};
use portcullis_value::{Value, View};

/// What a case should end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An answer, as JSON.
    Answer(&'static str),
    /// An error that names a limit.
    Limit,
    /// The module is refused.
    Refused,
    /// No answer, nor an error: a builtin that is not defined for this.
    Undefined,
    /// Any of them: what is asked is that it ends.
    End,
    /// An answer, as JSON, or an error that names a limit.
    AnswerOrLimit(&'static str),
    /// A refusal or an error that names a limit.
    RefusedOrLimit,
}

/// A case.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// What it tries.
    pub name: &'static str,
    /// Makes the module, without its package, and the input.
    build: fn() -> (String, Value),
    /// How it should end. The question is always `answer`.
    pub wanted: Wanted,
}

/// How a case ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// With an answer.
    Answer(Value),
    /// With an error that names a limit.
    Limit(String),
    /// With another error.
    Error(String),
    /// The module was refused.
    Refused(String),
}

/// A case, built: what is timed begins here.
#[derive(Debug)]
pub struct Built {
    text: String,
    input: Value,
}

impl Hostile {
    /// Makes the module and the input.
    pub fn build(&self) -> Built {
        let (rules, input) = (self.build)();
        Built { text: format!("package hostile\n{rules}\n"), input }
    }

    /// Whether an outcome is the one that is wanted.
    pub fn is_as_wanted(&self, outcome: &Outcome) -> bool {
        let is = |answer: &Value, json: &str| Value::from_json(json).is_ok_and(|wanted| *answer == wanted);
        match (&self.wanted, outcome) {
            (_, Outcome::Error(_)) => false,
            (Wanted::End, _)
            | (Wanted::Limit | Wanted::AnswerOrLimit(_) | Wanted::RefusedOrLimit, Outcome::Limit(_))
            | (Wanted::Refused | Wanted::RefusedOrLimit, Outcome::Refused(_)) => true,
            (Wanted::Undefined, Outcome::Answer(answer)) => answer.is_undefined(),
            (Wanted::Answer(json) | Wanted::AnswerOrLimit(json), Outcome::Answer(answer)) => is(answer, json),
            _ => false,
        }
    }
}

impl Built {
    /// Parses, compiles and evaluates within the limits that there are by default.
    pub fn run(self) -> (Outcome, Duration) {
        let started = Instant::now();
        let outcome = self.outcome();
        (outcome, started.elapsed())
    }

    fn outcome(self) -> Outcome {
        let parsed = parse(&self.text, Version::V1);
        let names = resolve(&parsed.module);
        if let Some(finding) = parsed.diagnostics.iter().chain(&names.diagnostics).next() {
            return Outcome::Refused(finding.to_string());
        }
        let unit = Unit { module: &parsed.module, names: &names };
        let program = match Program::compile(&[unit], &Query::Path(&["hostile", "answer"])) {
            Ok(program) => program,
            Err(errors) => {
                let first = errors.into_iter().next().map(|error| error.message);
                return Outcome::Refused(first.unwrap_or_default());
            }
        };
        let environment = Environment {
            input: self.input.into(),
            now_ns: Some(1_750_000_000_000_000_000),
            seed: 7,
            ..Environment::default()
        };
        match program.evaluate(&environment).result {
            Ok(value) => Outcome::Answer(value),
            Err(error) if matches!(error.kind, EvalErrorKind::Limit(_)) => Outcome::Limit(error.message),
            Err(error) => Outcome::Error(error.message),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer(value) if value.is_undefined() => f.write_str("undefined"),
            Self::Answer(value) => {
                let text = match value.view() {
                    View::String(text) if text.len() > 60 => format!("a text of {} bytes", text.len()),
                    View::Array(items) if items.len() > 20 => format!("an array of {}", items.len()),
                    _ => value.to_string(),
                };
                write!(f, "answer {}", text.chars().take(60).collect::<String>())
            }
            Self::Limit(message) => write!(f, "error: {message}"),
            Self::Error(message) => write!(f, "other error: {message}"),
            Self::Refused(message) => write!(f, "refused: {}", message.chars().take(90).collect::<String>()),
        }
    }
}

fn none(rules: &str) -> (String, Value) {
    (rules.to_owned(), Value::new_object())
}

fn text(rules: &str, text: String) -> (String, Value) {
    (rules.to_owned(), Value::from([(Value::from("s"), Value::from(text))].into_iter().collect::<Map>()))
}

fn numbers(rules: &str, count: u64) -> (String, Value) {
    let xs: Vec<Value> = (0..count).map(Value::from).collect();
    (rules.to_owned(), Value::from([(Value::from("xs"), Value::from(xs))].into_iter().collect::<Map>()))
}

type Map = std::collections::BTreeMap<Value, Value>;

/// Arrays and objects in each other.
fn deep(levels: usize) -> Value {
    let mut value = Value::from(1u64);
    for level in 0..levels {
        value = if level % 2 == 0 {
            Value::from(vec![value])
        } else {
            Value::from([(Value::from("a"), value)].into_iter().collect::<Map>())
        };
    }
    value
}

/// Lines made of numbers from `from` up to, not including, `to`.
fn lines(from: usize, to: usize, line: impl Fn(usize) -> String) -> String {
    (from..to).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", line(number));
        text
    })
}

/// `before` and `after` about a text, so many times.
fn nested(before: &str, middle: &str, after: &str, times: usize) -> String {
    format!("{}{middle}{}", before.repeat(times), after.repeat(times))
}

/// Forty rules, each twice what the one before is. `{}` is the one before.
fn doubling(first: &str, twice: &str, answer: &str) -> (String, Value) {
    let rules =
        lines(1, 41, |number| format!("x{number} := {}", twice.replace("{}", &format!("x{}", number - 1))));
    none(&format!("x0 := {first}\n{rules}answer := {}", answer.replace("{}", "x40")))
}

/// Two towers that are equal but not the same.
fn towers(answer: &str) -> (String, Value) {
    let tower = |name: &str, leaf: &str| {
        let floors = lines(1, 41, |number| {
            format!("{name}{number} := {{\"a\": {name}{before}, \"b\": {name}{before}}}", before = number - 1)
        });
        format!("{name}0 := {leaf}\n{floors}")
    };
    none(&format!("{}{}answer := {answer}", tower("u", "[1]"), tower("v", "array.concat([1], [])")))
}

/// An object of one field.
fn one(name: &str, value: Value) -> Value {
    Value::from([(Value::from(name), value)].into_iter().collect::<Map>())
}

fn numbers_by_key(rules: &str, count: u64) -> (String, Value) {
    let fields = (0..count).map(|number| (Value::from(format!("k{number}")), Value::from(number)));
    (rules.to_owned(), Value::from(fields.collect::<Map>()))
}

/// Two texts that are equal but not the same.
fn long(c: char, length: usize) -> Map {
    ["s", "t"].map(|name| (Value::from(name), Value::from(c.to_string().repeat(length)))).into()
}

/// A condition as often as there are steps for.
fn again(condition: &str, fields: Map) -> (String, Value) {
    (format!("answer := count([1 | some i in numbers.range(1, 100000); {condition}])"), Value::from(fields))
}

/// An expression of `{}`, an integer of nearly as many bits as there may be, again and again.
fn large(expression: &str) -> (String, Value) {
    let expression = expression.replace("{}", "x");
    let loops = if expression.starts_with("not ") { expression } else { format!("_ = {expression}") };
    none(&format!(
        "x := bits.lsh(1, 65000) - 1\nm := 0 - x\nt := format_int(x, 10)\nanswer := count([1 | some i in numbers.range(1, 100000); {loops}])"
    ))
}

macro_rules! cases {
    ($($name:literal => $wanted:expr, $build:expr;)*) => {
        &[$(Hostile { name: $name, wanted: $wanted, build: || $build }),*]
    };
}

/// All cases.
pub const CASES: &[Hostile] = cases! {
    // Ranges and widths.
    "a range of nine billion" => Wanted::Limit, none("answer := count(numbers.range(1, 9000000000000))");
    "a range of nine billion, backwards" => Wanted::Limit, none("answer := count(numbers.range(9000000000000, 1))");
    "a range of nine billion in steps" => Wanted::Limit, none("answer := count(numbers.range_step(1, 9000000000000, 2))");
    "a range beyond 64 bits" => Wanted::Limit, none("answer := count(numbers.range(1, 99999999999999999999999999))");
    "a width of a hundred billion" => Wanted::End, none(r#"answer := sprintf("%099999999999d", [1])"#);
    "a precision of a hundred billion" => Wanted::End, none(r#"answer := sprintf("%.99999999999f", [1.5])"#);
    "a width from an argument" => Wanted::End, none(r#"answer := sprintf("%*d", [999999999999, 1])"#);
    "a thousand widths of a million" => Wanted::Limit,
        text("answer := count(sprintf(input.s, numbers.range(1, 1000)))", "%999999d".repeat(1000));
    "a precision of a million, again and again" => Wanted::Limit,
        none(r#"answer := count([x | some i in numbers.range(1, 1000); x := sprintf("%.999999f", [i / 3])])"#);

    // Too many of something.
    "an exponential comprehension" => Wanted::Limit,
        numbers("answer := count([1 | some a, b, c, d, e; input.xs[a]; input.xs[b] >= 0; input.xs[c] >= 0; input.xs[d] >= 0; input.xs[e] >= 0])", 100);
    "thirty variables with two values each" => Wanted::Limit, {
        let pick = lines(0, 30, |number| format!("some v{number} in [0, 1]"));
        none(&format!("answer if {{\n{pick}\nv0 + v1 > 5\n}}"))
    };
    "a product of sets" => Wanted::Limit,
        numbers("answer := count({[a, b, c] | some a in input.xs; some b in input.xs; some c in input.xs})", 500);
    "a product of objects" => Wanted::Limit,
        numbers("answer := count({[a, b]: c | some a in input.xs; some b in input.xs; c := [a, b]})", 3000);
    "every in every" => Wanted::Limit,
        numbers("answer if {\n\tevery a in input.xs {\n\t\tevery b in input.xs { a + b >= 0 }\n\t}\n}", 100_000);
    "a hundred thousand elements under nested loops" => Wanted::Limit,
        numbers("answer := count([1 | some x in input.xs; some y in input.xs; x == y])", 100_000);
    "membership of a hundred thousand in themselves" => Wanted::Limit,
        numbers("answer := count([1 | some x in input.xs; x in input.xs])", 100_000);
    "a set rule of a hundred thousand squared" => Wanted::Limit,
        numbers("p contains [x, y] if { some x in input.xs; some y in input.xs }\nanswer := count(p)", 100_000);
    "a sum of a hundred thousand" => Wanted::Answer("4999950000"), numbers("answer := sum(input.xs)", 100_000);
    "a hundred thousand sorted" => Wanted::Answer("0"), numbers("answer := sort(input.xs)[0]", 100_000);
    "a function called for each pair" => Wanted::Limit,
        numbers("f(x, y) := x + y\nanswer := count([1 | some x in input.xs; some y in input.xs; f(x, y) < 0])", 100_000);
    "slices of a long array" => Wanted::Limit,
        numbers("answer := count([x | some i in input.xs; x := array.slice(input.xs, i, 100000)])", 100_000);
    "reachable paths of a dense graph" => Wanted::Limit,
        none("nodes := numbers.range(1, 30)\ng := {format_int(n, 10): [format_int(m, 10) | some m in nodes; m != n] | some n in nodes}\nanswer := count(graph.reachable_paths(g, [\"1\"]))");
    "reachable nodes of a dense graph" => Wanted::End,
        none("nodes := numbers.range(1, 1000)\ng := {n: nodes | some n in nodes}\nanswer := count(graph.reachable(g, [1]))");
    "a subset of long arrays" => Wanted::End,
        numbers("answer := object.subset(array.concat(input.xs, [0]), array.concat(input.xs, [1]))", 30_000);
    "ten thousand patches of an array" => Wanted::End,
        numbers("answer := count(json.patch(input.xs, [{\"op\": \"add\", \"path\": \"/0\", \"value\": x} | some x in input.xs]))", 10_000);
    "a wide document walked" => Wanted::AnswerOrLimit("100002"), numbers("answer := count([1 | walk(input, [_, _])])", 100_000);

    // Texts.
    "a text built by appending" => Wanted::Limit,
        numbers("answer := count([s | some i in input.xs; s := concat(\"\", [\"x\" | some j in array.slice(input.xs, 0, i)])])", 20_000);
    "a text doubled forty times" => Wanted::Limit, doubling("\"x\"", "concat(\"\", [{}, {}])", "count({})");
    "a text doubled by sprintf" => Wanted::Limit, doubling("\"x\"", "sprintf(\"%s%s\", [{}, {}])", "count({})");
    "a text doubled in a template string" => Wanted::Limit, doubling("\"x\"", "$\"{{}}{{}}\"", "count({})");
    "an array doubled forty times" => Wanted::Limit, doubling("[1]", "array.concat({}, {})", "count({})");
    "replacing by more" => Wanted::Limit, {
        let rules = lines(1, 8, |number| format!("x{number} := replace(x{}, \"a\", \"{}\")", number - 1, "a".repeat(50)));
        none(&format!("x0 := \"aaaa\"\n{rules}answer := count(x7)"))
    };
    "replacing nothing by more" => Wanted::Limit, text("answer := count(replace(input.s, \"\", input.s))", "a".repeat(50_000));
    "replacing many by more" => Wanted::Limit,
        text("answer := count(strings.replace_n({\"a\": input.s}, input.s))", "a".repeat(50_000));
    "replacing matches by more" => Wanted::Limit,
        text("answer := count(regex.replace(input.s, \"(a)\", input.s))", "a".repeat(50_000));
    "a text of 5 MB counted" => Wanted::AnswerOrLimit("5000000"), text("answer := count(input.s)", "x".repeat(5_000_000));
    "a text of 5 MB in capitals" => Wanted::AnswerOrLimit("true"),
        text("answer := startswith(upper(input.s), \"XX\")", "x".repeat(5_000_000));
    "a text of 5 MB searched" => Wanted::Answer("-1"), text("answer := indexof(input.s, \"xxxxxxxxxy\")", "x".repeat(5_000_000));
    "a text of 5 MB split" => Wanted::Limit, text("answer := count(split(input.s, \"\"))", "x".repeat(5_000_000));
    "a text of 5 MB split from its end again and again" => Wanted::Limit,
        text("answer := count([1 | some i in numbers.range(1, 100000); strings.split_n(input.s, \"\", -1)])", "x".repeat(5_000_000));
    "a text of 5 MB split again and again" => Wanted::Limit,
        text("answer := count([1 | some i in numbers.range(1, 1000); contains(input.s, format_int(i, 10))])", "x".repeat(5_000_000));
    "a text of 5 MB joined with itself" => Wanted::Limit,
        text("answer := count(concat(\",\", [input.s | some _ in numbers.range(1, 20)]))", "x".repeat(5_000_000));
    "a text of 5 MB as the answer" => Wanted::Limit, text("answer := input.s", "x".repeat(5_000_000));
    "a text of 5 MB in a message" => Wanted::Limit, text("answer := sprintf(\"%v%v%v%v%v%v%v\", [input, input, input, input, input, input, input])", "x".repeat(5_000_000));
    "all places in a text" => Wanted::Limit, text("answer := count(indexof_n(input.s, \"x\"))", "x".repeat(5_000_000));
    "a flood of printed lines" => Wanted::Limit,
        text("answer := count([1 | some i in numbers.range(1, 100000); print(input.s, i)])", "x".repeat(1000));

    // Depth.
    "deep data compared" => Wanted::AnswerOrLimit("true"),
        ("answer := input[0] == input[1]".to_owned(), Value::from(vec![deep(1000), deep(1000)]));
    "deep data walked" => Wanted::End, ("answer := count([p | walk(input, [p, _])])".to_owned(), deep(1000));
    "deep data written as JSON" => Wanted::End, ("answer := count(json.marshal(input)) > 0".to_owned(), deep(1000));
    "deep data written as YAML" => Wanted::End, ("answer := count(yaml.marshal(input)) > 0".to_owned(), deep(1000));
    "deep data in a message" => Wanted::End, ("answer := count(sprintf(\"%v\", [input])) > 0".to_owned(), deep(1000));
    "deep data in a set" => Wanted::End, ("answer := count({x | some x in input})".to_owned(), Value::from(vec![deep(1000), deep(1000)]));
    "deep data merged" => Wanted::End, ("answer := count(object.union({\"x\": input}, {\"x\": input}))".to_owned(), deep(1000));
    "deep data as the answer" => Wanted::End, ("answer := input".to_owned(), deep(1000));
    "deep text read as JSON" => Wanted::End, text("answer := count(json.unmarshal(input.s))", nested("[", "", "]", 100_000));
    "deep text read as YAML" => Wanted::End, text("answer := count(yaml.unmarshal(input.s))", nested("[", "", "]", 100_000));
    "deep text checked as JSON" => Wanted::End, text("answer := json.is_valid(input.s)", nested("[", "", "]", 100_000));
    "a YAML bomb" => Wanted::End, {
        let bomb = lines(1, 10, |number| format!("a{number}: &a{number} [{}]", vec![format!("*a{}", number - 1); 9].join(", ")));
        text("answer := count(json.marshal(yaml.unmarshal(input.s)))", format!("a0: &a0 [lol]\n{bomb}"))
    };
    "a tower as the answer" => Wanted::Limit, towers("u40");
    "a tower written as JSON" => Wanted::Limit, towers("count(json.marshal(u40))");
    "a tower in a message" => Wanted::Limit, towers("count(sprintf(\"%v\", [u40]))");
    "a tower walked" => Wanted::Limit, towers("count([1 | walk(u40, [_, _])])");
    "equal towers compared" => Wanted::AnswerOrLimit("true"), towers("u40 == v40");
    "equal towers in a set" => Wanted::AnswerOrLimit("1"), towers("count({u40, v40})");
    "equal towers as keys" => Wanted::AnswerOrLimit("2"), towers("{u40: 1}[v40] + 1");
    "equal towers merged" => Wanted::End, towers("count(object.union(u40, v40))");
    "equal towers, one a subset" => Wanted::AnswerOrLimit("true"), towers("object.subset(u40, v40)");
    "equal towers sorted" => Wanted::AnswerOrLimit("2"), towers("count(sort([u40, v40]))");
    "a tower of unions" => Wanted::End, {
        let rules = lines(1, 41, |number| {
            format!("x{number} := object.union(x{before}, {{\"k{number}\": x{before}}})", before = number - 1)
        });
        none(&format!("x0 := {{\"a\": 1}}\n{rules}answer := count(json.marshal(object.union(x40, x39)))"))
    };

    "a tower of patches" => Wanted::RefusedOrLimit, {
        let rules = lines(1, 100, |number| {
            format!("x{number} := json.patch(x{before}, [{{\"op\": \"add\", \"path\": input.path, \"value\": x{before}}}])", before = number - 1)
        });
        let levels = 400;
        let input = Value::from([
            (Value::from("text"), Value::from(nested("[", "", "]", levels))),
            (Value::from("path"), Value::from("/0".repeat(levels - 1) + "/-")),
        ].into_iter().collect::<Map>());
        (format!("x0 := json.unmarshal(input.text)\n{rules}answer := count(x99)"), input)
    };
    "texts built in a long row" => Wanted::Answer("61"), {
        let rules = lines(1, 60, |number| format!("x{number} := sprintf(\"%sx\", [x{}])", number - 1));
        none(&format!("x0 := \"xx\"\n{rules}answer := count(x59)"))
    };

    // Patterns.
    "a catastrophic regular expression" => Wanted::Answer("false"),
        text("answer := regex.match(\"^(a+)+$\", input.s)", format!("{}!", "a".repeat(5_000)));
    "nested repetitions" => Wanted::End, none(r#"answer := regex.match("((x{900}){900}){900}", "x")"#);
    "a regular expression of 60 kB" => Wanted::End, {
        let words: Vec<String> = (0..10_000).map(|number| format!("w{number}")).collect();
        text("answer := regex.match(input.s, \"w9999\")", words.join("|"))
    };
    "a regular expression deep in brackets" => Wanted::End, text("answer := regex.match(input.s, \"a\")", nested("(", "a", ")", 20_000));
    "thousands of regular expressions" => Wanted::End,
        none("answer := count([1 | some i in numbers.range(1, 20000); regex.match(sprintf(\"(a|b){%d}[[:alpha:]]+%d\", [i % 900, i]), \"a\")])");
    "unicode classes again and again" => Wanted::End,
        none("answer := count([1 | some i in numbers.range(1, 1000); regex.match(sprintf(`(\\pL\\pN\\pS){50}%d`, [i]), \"a\")])");
    "all submatches" => Wanted::End,
        text("answer := count(regex.find_all_string_submatch_n(\"(a)(a)?(a)?\", input.s, -1))", "a".repeat(1_000_000));
    "overlapping globs" => Wanted::End,
        text("answer := regex.globs_match(input.s, input.s)", "[a-z]*.*".repeat(40));
    "a glob with many stars" => Wanted::AnswerOrLimit("false"),
        text("answer := glob.match(concat(\"\", [\"*a\" | some _ in numbers.range(1, 100)]), [], input.s)", format!("{}b", "a".repeat(5_000)));
    "a glob of many braces" => Wanted::End, text("answer := glob.match(input.s, [], \"a\")", nested("{a,", "b", "}", 5_000));
    "a version of 1 MB" => Wanted::End, text("answer := semver.compare(input.s, input.s)", format!("1.0.0-{}", "1.".repeat(500_000)));

    // Numbers.
    "a number beyond floating point" => Wanted::End, none("answer := (1e308 * 1e308) > 1");
    "a number with a huge exponent" => Wanted::End, none("answer := 1e999999999 > 1");
    "a text with a huge exponent" => Wanted::End, none("answer := to_number(\"1e999999999\") > 1");
    "a number squared forty times" => Wanted::End, doubling("12345678987654321", "{} * {}", "{} > 1");
    "a shift by a trillion" => Wanted::End, none("answer := bits.lsh(1, 1000000000000) > 1");
    "a shift of a shift" => Wanted::End, doubling("3", "bits.lsh({}, 1000000)", "{} > 1");
    "a huge number as text" => Wanted::End, none("answer := count(format_int(1e999999, 2))");
    "a quantity with a huge exponent" => Wanted::End, none("answer := units.parse(\"1e999999999\") > 1");
    "a remainder of huge numbers" => Wanted::End, none("answer := floor(1e300) % 7 >= 0");
    "dates beyond time" => Wanted::End, none("answer := time.add_date(0, 999999999999, 999999999999, 999999999999)");
    "a duration beyond time" => Wanted::End, none("answer := time.parse_duration_ns(\"99999999999999999999h\")");
    "a time with a long layout" => Wanted::End, text("answer := time.parse_ns(input.s, input.s)", "2006".repeat(100_000));

    // Networks.
    "all addresses" => Wanted::Limit, none("answer := count(net.cidr_expand(\"0.0.0.0/0\"))");
    "all addresses of version 6" => Wanted::Limit, none("answer := count(net.cidr_expand(\"::/0\"))");
    "thousands of networks against themselves" => Wanted::End,
        none("xs := [sprintf(\"10.%d.%d.0/24\", [i, j]) | some i in numbers.range(0, 40); some j in numbers.range(0, 100)]\nanswer := count(net.cidr_contains_matches(xs, xs))");
    "thousands of networks merged" => Wanted::End,
        none("xs := [sprintf(\"10.%d.%d.0/24\", [i, j]) | some i in numbers.range(0, 100); some j in numbers.range(0, 100)]\nanswer := count(net.cidr_merge(xs))");

    // Long arguments, again and again.
    "a text of 5 MB compared again and again" => Wanted::Limit,
        again("input.s == input.t", long('x', 5_000_000));
    "a text of 5 MB in a set again and again" => Wanted::Limit,
        again("{input.s, input.t}", long('x', 5_000_000));
    "a text of 5 MB as a key again and again" => Wanted::Limit,
        again("not {input.t: 1}[input.s] == 2", long('x', 5_000_000));
    "a text of 5 MB looked for in arrays" => Wanted::Limit,
        again("input.s in [input.t]", long('x', 5_000_000));
    "a text of 5 MB in an array compared" => Wanted::Limit,
        again("[input.s] == [input.t]", long('x', 5_000_000));
    "a text of 5 MB that starts with another" => Wanted::Limit,
        again("startswith(input.s, input.t)", long('x', 5_000_000));
    "a text of 5 MB that ends with another" => Wanted::Limit,
        again("endswith(input.s, input.t)", long('x', 5_000_000));
    "a text of 5 MB with a prefix of others" => Wanted::Limit,
        again("strings.any_prefix_match(input.s, input.t)", long('x', 5_000_000));
    "a text of 5 MB read as a number" => Wanted::Limit,
        again("not to_number(input.s)", long('x', 5_000_000));
    "a text of 5 MB of digits read as a number" => Wanted::Limit,
        again("not to_number(input.s)", long('7', 5_000_000));
    "a text of 5 MB read as a quantity" => Wanted::Limit,
        again("not units.parse(input.s)", long('0', 5_000_000));
    "a text of 5 MB read as bytes" => Wanted::Limit,
        again("not units.parse_bytes(input.s)", long('7', 5_000_000));
    "a text of 5 MB of spaces trimmed" => Wanted::Limit,
        again("trim_space(input.s) == \"\"", long(' ', 5_000_000));
    "a text of 5 MB trimmed of a thousand characters" => Wanted::Limit,
        again("trim(input.s, input.cut) == \"\"", {
            let mut fields = long('\u{4e00}', 1_500_000);
            fields.insert(Value::from("cut"), Value::from(('\u{4e00}'..'\u{51e8}').collect::<String>()));
            fields
        });
    "a text of 5 MB read as a network" => Wanted::Limit,
        again("not net.cidr_is_valid(input.s)", long('1', 5_000_000));
    "a text of 5 MB in a network" => Wanted::Limit,
        again("not net.cidr_contains(\"10.0.0.0/8\", input.s)", long('1', 5_000_000));
    "a text of 5 MB read as a version" => Wanted::Limit,
        again("not semver.is_valid(input.s)", long('1', 5_000_000));
    "a text of 5 MB read as a UUID" => Wanted::End,
        again("not uuid.parse(input.s)", long('1', 5_000_000));
    "a text of 5 MB as the seed of a UUID" => Wanted::Limit,
        again("uuid.rfc4122(input.s)", long('1', 5_000_000));
    "a text of 5 MB read as a time" => Wanted::Limit,
        again("not time.parse_ns(\"2006\", input.s)", long('1', 5_000_000));
    "a text of 5 MB read as a duration" => Wanted::Limit,
        again("not time.parse_duration_ns(input.s)", long('1', 5_000_000));
    "a text of 5 MB as a time zone" => Wanted::End,
        again("not time.clock([1, input.s])", long('1', 5_000_000));
    "a text of 5 MB as a layout" => Wanted::Limit,
        again("time.format([1, \"UTC\", input.s])", long('2', 5_000_000));
    "a text of 5 MB read as YAML" => Wanted::Limit,
        again("yaml.unmarshal(input.s)", long('x', 5_000_000));
    "a text of 400 kB read as YAML" => Wanted::End,
        text("answer := count(yaml.unmarshal(input.s))", "- a\n".repeat(100_000));
    "a text of 400 kB of keys read as YAML" => Wanted::End,
        text("answer := count(yaml.unmarshal(input.s))", lines(0, 40_000, |number| format!("k{number}: a")));
    "a line of 400 kB read as YAML" => Wanted::End,
        text("answer := yaml.unmarshal(input.s)", format!("[{}]", "a: {b},".repeat(60_000)));
    "quotes of 400 kB read as YAML" => Wanted::End,
        text("answer := count(yaml.unmarshal(input.s))", format!("\"{}\"", "\\u0041 ".repeat(60_000)));
    "folds of 400 kB read as YAML" => Wanted::End,
        text("answer := count(yaml.unmarshal(input.s))", format!("a: >\n{}", "  b\n\n".repeat(80_000)));
    "merges read as YAML" => Wanted::End,
        text("answer := count(yaml.unmarshal(input.s))", format!("a: &a {{x: 1}}\n{}", lines(0, 5_000, |number| format!("b{number}: &b{number} {{<<: [*a, *a, *a, *a], k{number}: 1}}"))));
    "a text of 5 MB hashed" => Wanted::Limit, again("crypto.hmac.sha512(input.s, input.t)", long('x', 5_000_000));
    "a text of 5 MB hashed by MD5" => Wanted::Limit, again("crypto.md5(input.s)", long('x', 5_000_000));
    "a text of 5 MB reversed" => Wanted::Limit, again("strings.reverse(input.s)", long('x', 5_000_000));
    "a text of 5 MB with commas split" => Wanted::Limit, again("split(input.s, \",\")", long(',', 5_000_000));
    "a text of 5 MB counted in" => Wanted::Limit, again("strings.count(input.s, \"x\")", long('x', 5_000_000));
    "a text of 5 MB cut" => Wanted::Limit, again("substring(input.s, 4999999, -1)", long('x', 5_000_000));
    "a text of 5 MB with a long part" => Wanted::Limit,
        again("not contains(input.s, input.part)", {
            let mut fields = long('a', 5_000_000);
            fields.insert(Value::from("part"), Value::from(format!("{}b{}", "a".repeat(50_000), "a".repeat(50_000))));
            fields
        });
    "all places of a long part" => Wanted::Limit,
        again("not count(indexof_n(input.s, input.part)) > 0", {
            let mut fields = long('a', 1_000_000);
            fields.insert(Value::from("part"), Value::from(format!("{}b", "a".repeat(100_000))));
            fields
        });
    "a text of 5 MB in hexadecimal digits" => Wanted::Limit, again("hex.encode(input.s)", long('x', 5_000_000));
    "a text of 5 MB of hexadecimal digits" => Wanted::Limit, again("hex.decode(input.s)", long('a', 5_000_000));
    "a text of 5 MB in base 64" => Wanted::Limit, again("base64.decode(input.s)", long('a', 400_000));
    "a text of 5 MB in a query" => Wanted::Limit, again("urlquery.encode(input.s)", long('/', 5_000_000));
    "a query of 5 MB" => Wanted::Limit, again("urlquery.decode_object(input.s)", long('&', 5_000_000));
    "a text of 5 MB checked as JSON" => Wanted::Limit, again("json.is_valid(input.s)", long('1', 5_000_000));
    "a text of 5 MB of spaces checked as JSON" => Wanted::Limit, again("not json.is_valid(input.s)", long(' ', 5_000_000));
    "a token of 5 MB" => Wanted::Limit, again("not io.jwt.decode(input.s)", long('.', 5_000_000));
    "a text of 5 MB as a glob" => Wanted::End, again("not glob.match(input.s, [], \"a\")", long('*', 5_000_000));
    "a text of 5 MB as simple patterns" => Wanted::Limit, again("regex.globs_match(input.s, input.s)", long('a', 200_000));
    "a text of 5 MB for a simple glob" => Wanted::Limit, again("not glob.match(\"*b\", [], input.s)", long('a', 5_000_000));
    "a text of 5 MB for a template" => Wanted::Limit, again("not regex.template_match(\"a{b}\", input.s, \"{\", \"}\")", long('a', 5_000_000));
    "long texts replaced in a long text" => Wanted::Limit,
        text("p := {sprintf(\"%sb%d\", [substring(input.s, 0, 5000), i]): \"\" | some i in numbers.range(1, 100)}\nanswer := count(strings.replace_n(p, input.s))", "a".repeat(20_000));
    "many texts replaced in a long text" => Wanted::End,
        text("p := {sprintf(\"b%d\", [i]): \"\" | some i in numbers.range(1, 20000)}\nanswer := count(strings.replace_n(p, input.s))", "a".repeat(100_000));
    "long texts sorted" => Wanted::Limit,
        text("xs := [sprintf(\"%s%d\", [input.s, i]) | some i in numbers.range(1, 100)]\nanswer := count([1 | some _ in numbers.range(1, 100000); sort(xs)])", "a".repeat(20_000));
    "long texts in a set rule" => Wanted::Limit,
        text("xs := [sprintf(\"%s%d\", [input.s, i]) | some i in numbers.range(1, 100)]\nanswer := count([1 | some _ in numbers.range(1, 100000); {x | some x in xs}])", "a".repeat(20_000));
    "long keys looked up" => Wanted::Limit,
        text("o := {sprintf(\"%s%d\", [input.s, i]): i | some i in numbers.range(1, 100)}\nanswer := count([1 | some _ in numbers.range(1, 100000); some k, _ in o; o[k] > 0])", "a".repeat(20_000));
    "a layout of 1 MB" => Wanted::End, text("answer := count(time.format([1, \"UTC\", input.s]))", "2006-01-02 Monday MST ".repeat(50_000));
    "a search that begins again at each match" => Wanted::Limit,
        text("answer := count(regex.replace(input.s, \".*b|a\", \"\"))", "a".repeat(500_000));
    "a search that begins again at each part" => Wanted::Limit,
        text("answer := count(regex.split(\".*b|a\", input.s))", "a".repeat(200_000));
    "a pattern of 20 kB on 20 kB" => Wanted::Limit,
        text("answer := count([1 | some _ in numbers.range(1, 1000); regex.match(sprintf(\"(%s)*b\", [input.s]), input.s)])", "a".repeat(20_000));
    "a pattern with many groups" => Wanted::End,
        text("answer := count(regex.replace(input.s, concat(\"\", [\"(a?)\" | some _ in numbers.range(1, 500)]), \"$1$2$3\"))", "a".repeat(100_000));
    "a replacement with a long name" => Wanted::End,
        text("answer := count(regex.replace(input.s, \"a\", sprintf(\"$%s\", [input.s])))", "a".repeat(10_000));

    // Large numbers.
    "large numbers added" => Wanted::Limit, large("{} + i");
    "large numbers multiplied" => Wanted::Limit, large("({} + i) * 1000");
    "large numbers divided" => Wanted::Limit, large("{} / (i + 1)");
    "remainders of large numbers" => Wanted::Limit, large("{} % ({} - i)");
    "bits of large numbers" => Wanted::Limit, large("bits.xor({}, i)");
    "few bits of large numbers" => Wanted::Limit, large("bits.and({}, i)");
    "large numbers shifted" => Wanted::Limit, large("bits.rsh({}, i)");
    "large numbers negated" => Wanted::Limit, large("bits.negate({})");
    "large numbers without their sign" => Wanted::Limit, large("abs(0 - {})");
    "large numbers without their sign, one made" => Wanted::Limit, large("abs(m)");
    "large numbers as texts" => Wanted::Limit, large("format_int({}, 2)");
    "large numbers in decimal digits" => Wanted::Limit, large("format_int({}, 10)");
    "large numbers in messages" => Wanted::Limit, large("sprintf(\"%d\", [{}])");
    "large numbers in values in messages" => Wanted::Limit, large("sprintf(\"%v\", [[{}]])");
    "large numbers as JSON" => Wanted::Limit, large("json.marshal({})");
    "large numbers as YAML" => Wanted::Limit, large("yaml.marshal({})");
    "large numbers from JSON" => Wanted::Limit, large("json.unmarshal(t)");
    "large numbers compared" => Wanted::Limit, large("{} > x - 1");
    "large numbers rounded" => Wanted::End, large("round({})");
    "large numbers in a sum" => Wanted::Limit, large("sum([{}, {}])");
    "large numbers as a range" => Wanted::Limit, large("numbers.range({}, {})");
    "large numbers as random bounds" => Wanted::End, large("not rand.intn(\"a\", {})");
    "large numbers in a set" => Wanted::Limit, large("{ {}, {} + 1 }");
    "large numbers as an index" => Wanted::End, large("not [1][{}]");
    "large floats" => Wanted::Limit, none("answer := count([1 | some i in numbers.range(1, 100000); (i + 0.5) * 1e300 > 1])");
    "large floats divided" => Wanted::Limit, none("answer := count([1 | some i in numbers.range(1, 100000); 1e300 / (i + 0.5) > 1])");
    "small floats divided" => Wanted::Limit, none("answer := count([1 | some i in numbers.range(1, 100000); 1e-300 / (i + 0.5) < 1])");

    // Large collections, again and again.
    "an input replaced again and again" => Wanted::Limit,
        numbers_by_key("p := count(input)\nanswer := count([1 | some i in numbers.range(1, 100000); p > 0 with input.k1 as i])", 50_000);
    "a function replaced among ten thousand rules" => Wanted::Limit, {
        let rules = lines(0, 10_000, |number| format!("r{number} := {number}"));
        none(&format!("{rules}g(x) := x\nf(x) := x\np := count([1 | some i in numbers.range(1, 100000); f(i) == i])\nanswer := x if {{ x := p with f as g }}"))
    };
    "a thousand functions replaced" => Wanted::Limit, {
        let rules = lines(0, 1_000, |number| format!("f{number}(x) := x"));
        let replaced = lines(0, 1_000, |number| format!(" with f{number} as 1")).replace('\n', "");
        none(&format!("{rules}g(x) := x\np := count([1 | some i in numbers.range(1, 300000); g(i)])\nanswer := x if {{ x := p{replaced} }}"))
    };
    "sets of alike large elements scanned" => Wanted::Answer("200000"),
        numbers("s := {array.concat(input.xs, [i]) | some i in [1, 2]}\nanswer := count([1 | some i in numbers.range(1, 100000); some _ in s])", 20_000);
    "sets of alike large elements checked" => Wanted::Limit,
        numbers("s := {array.concat(input.xs, [i]) | some i in [1, 2]}\nanswer := count([1 | some i in numbers.range(1, 100000); every x in s { count(x) > 0 }])", 20_000);
    "sets in sets in sets" => Wanted::End, {
        let floors = lines(1, 16, |number| {
            let before = number - 1;
            format!("u{number} := {{array.concat([], [x]) | some x in [u{before}, v{before}]}}\nv{number} := {{array.concat([], [x]) | some x in [u{before}, v{before}, [{number}]]}}")
        });
        none(&format!("u0 := {{1}}\nv0 := {{2}}\n{floors}answer := u15 < v15"))
    };
    "sets in sets in a message" => Wanted::End, {
        let floors = lines(1, 16, |number| {
            let before = number - 1;
            format!("u{number} := {{array.concat([], [x]) | some x in [u{before}, v{before}]}}\nv{number} := {{array.concat([], [x]) | some x in [u{before}, v{before}, [{number}]]}}")
        });
        none(&format!("u0 := {{1}}\nv0 := {{2}}\n{floors}answer := count(sprintf(\"%v\", [[u14, v14]])) > 1"))
    };
    "a path of 20,000 steps again and again" => Wanted::Limit,
        none(&format!("answer := count([1 | some i in numbers.range(1, 100000); not input{}])", ".a".repeat(20_000)));
    "a pattern of 5,000 parts again and again" => Wanted::Limit, {
        let parts: Vec<String> = (0..5_000).map(|number| format!("v{number}")).collect();
        numbers(&format!("answer := count([1 | some i in numbers.range(1, 100000); [{}] = input.xs])", parts.join(", ")), 5_000)
    };
    "a call of 5,000 arguments again and again" => Wanted::Limit, {
        let params: Vec<String> = (0..5_000).map(|number| format!("v{number}")).collect();
        let args: Vec<String> = (0..5_000).map(|_| "i".to_owned()).collect();
        none(&format!("f({}) := v0\nanswer := count([1 | some i in numbers.range(1, 100000); f({})])", params.join(", "), args.join(", ")))
    };
    "a hundred thousand sorted again and again" => Wanted::Limit, {
        let xs: Vec<Value> = (0..100_000_u64).map(|number| Value::from(number * 7_919 % 100_003)).collect();
        ("answer := count([1 | some i in numbers.range(1, 100); sort(input.xs)])".to_owned(), one("xs", Value::from(xs)))
    };
    "long arrays joined again and again" => Wanted::Limit, numbers("answer := count([1 | some i in numbers.range(1, 100000); array.concat(input.xs, [i])])", 100_000);
    "long arrays reversed again and again" => Wanted::Limit, numbers("answer := count([1 | some i in numbers.range(1, 100000); array.reverse(input.xs)])", 100_000);
    "empty arrays flattened again and again" => Wanted::Limit,
        ("answer := count([1 | some i in numbers.range(1, 100000); array.flatten(input.xs)])".to_owned(), one("xs", Value::from(vec![Value::from(Vec::<Value>::new()); 100_000])));
    "empty sets united again and again" => Wanted::Limit,
        numbers("answer := count([1 | some i in numbers.range(1, 100000); union({{x, -1} | some x in input.xs})])", 10_000);
    "long arrays in parts again and again" => Wanted::Limit, numbers("answer := count([1 | some i in numbers.range(1, 100000); not object.subset(input.xs, [1, 3])])", 100_000);
    "aggregates of long arrays again and again" => Wanted::Limit, numbers("answer := count([1 | some i in numbers.range(1, 100000); max(input.xs) + min(input.xs) + sum(input.xs) > 0])", 100_000);
    "objects merged again and again" => Wanted::Limit, numbers_by_key("answer := count([1 | some i in numbers.range(1, 100000); object.union(input, {\"a\": i})])", 50_000);
    "many objects merged" => Wanted::End, numbers_by_key("answer := count(object.union_n([{sprintf(\"a%d\", [i]): input} | some i in numbers.range(1, 20000)]))", 20_000);
    "objects merged into one" => Wanted::End, numbers_by_key("answer := count(object.union_n([object.union(input, {sprintf(\"a%d\", [i]): i}) | some i in numbers.range(1, 1000)]))", 20_000);
    "keys of objects again and again" => Wanted::Limit, numbers_by_key("answer := count([1 | some i in numbers.range(1, 100000); object.keys(input)])", 50_000);
    "objects without keys again and again" => Wanted::Limit, numbers_by_key("answer := count([1 | some i in numbers.range(1, 100000); object.remove(input, [\"k1\"])])", 50_000);
    "patches of a large object" => Wanted::Limit,
        numbers_by_key("answer := count(json.patch(input, [{\"op\": \"add\", \"path\": sprintf(\"/a%d\", [i]), \"value\": i} | some i in numbers.range(1, 10000)]))", 50_000);
    "tests of a patch" => Wanted::Limit,
        numbers("answer := json.patch(input, [{\"op\": \"test\", \"path\": \"/xs\", \"value\": input.xs} | some i in numbers.range(1, 10000)])", 50_000);
    "patches with long paths" => Wanted::Limit,
        text("answer := json.patch({}, [{\"op\": \"test\", \"path\": input.s, \"value\": i} | some i in numbers.range(1, 10000)])", "a".repeat(5_000_000));
    "paths removed from a large object" => Wanted::Limit, numbers_by_key("answer := count([1 | some i in numbers.range(1, 100000); json.remove(input, [\"k1\"])])", 50_000);
    "paths kept of a large array" => Wanted::Limit, numbers("answer := count([1 | some i in numbers.range(1, 100000); json.filter(input, [\"xs/1\"])])", 50_000);
    "a graph of one long row" => Wanted::End,
        none("g := {i: [i + 1] | some i in numbers.range(1, 20000)}\nanswer := count(graph.reachable_paths(g, {1}))");
    "networks of networks" => Wanted::Limit,
        none("xs := [sprintf(\"10.%d.%d.0/24\", [i, j]) | some i in numbers.range(0, 9); some j in numbers.range(0, 99)]\nanswer := count([1 | some i in numbers.range(1, 1000); net.cidr_contains_matches(xs, [\"11.0.0.0/24\"])])");
    "a tower patched" => Wanted::End, towers("json.patch({\"a\": u40}, [{\"op\": \"test\", \"path\": \"/a\", \"value\": v40}])");
    "a tower as a key of a rule" => Wanted::End, towers("count(m)\nm[u40] := 1\nm[v40] := 1");
    "a tower as an argument" => Wanted::End, towers("f(u40, v40)\nf(x, x) := 1");
    "a tower in a replaced input" => Wanted::End, towers("count(p) with input as u40\np := input");
    "a tower as YAML" => Wanted::Limit, towers("yaml.marshal(u40)");
    "a tower as a template" => Wanted::Limit, towers("$\"{u40}\"");
    "a tower as the name of a UUID" => Wanted::Limit, towers("uuid.rfc4122(u40)");
    "a tower of empty arrays as the answer" => Wanted::Limit, {
        let floors = lines(1, 41, |number| format!("u{number} := [u{before}, u{before}]", before = number - 1));
        none(&format!("u0 := []\n{floors}answer := u40"))
    };

    // Modules.
    "a line of 100,000 columns" => Wanted::Answer("33334"), none(&format!("answer := count([{}1])", "1, ".repeat(33_333)));
    "a text of 100,000 columns" => Wanted::Answer("100000"), none(&format!("answer := count(\"{}\")", "x".repeat(100_000)));
    "a sum of 25,000 terms" => Wanted::End, none(&format!("answer := {}1", "1 + ".repeat(25_000)));
    "a path of 50,000 steps" => Wanted::End, none(&format!("answer := input{}", ".a".repeat(50_000)));
    "ten thousand rules" => Wanted::Answer("9999"),
        none(&format!("{}answer := r9999", lines(0, 10_000, |number| format!("r{number} := {number}"))));
    "ten thousand rules in a chain" => Wanted::RefusedOrLimit,
        none(&format!("{}r10000 := 1\nanswer := r0", lines(0, 10_000, |number| format!("r{number} := r{}", number + 1))));
    "ten thousand functions in a chain" => Wanted::RefusedOrLimit,
        none(&format!("{}f10000(x) := x\nanswer := f0(1)", lines(0, 10_000, |number| format!("f{number}(x) := f{}(x)", number + 1))));
    "ten thousand negations in a chain" => Wanted::RefusedOrLimit,
        none(&format!("{}r10000 := 1\nanswer if r0", lines(0, 10_000, |number| format!("r{number} if not r{}", number + 1))));
    "ten thousand definitions of a rule" => Wanted::Answer("1"),
        none(&lines(0, 10_000, |number| format!("answer := 1 if input.x != {number}\nanswer := 1 if {number} >= 0")));
    "ten thousand definitions of a function" => Wanted::AnswerOrLimit("9999"),
        none(&format!("{}answer := f(9999)", lines(0, 10_000, |number| format!("f({number}) := {number}"))));
    "ten thousand elements of a set rule" => Wanted::Answer("10000"),
        none(&format!("{}answer := count(s)", lines(0, 10_000, |number| format!("s contains {number}"))));
    "ten thousand else" => Wanted::End,
        none(&format!("answer := 0 if input.x == 0{}", lines(0, 10_000, |number| format!(" else := {number} if input.x == {number}")).replace('\n', "")));
    "ten thousand variables" => Wanted::End,
        none(&format!("answer := x9999 if {{\nx0 := 1\n{}}}", lines(1, 10_000, |number| format!("x{number} := x{}", number - 1))));
    "ten thousand variables the wrong way round" => Wanted::End,
        none(&format!("answer := x0 if {{\n{}x5000 = 1\n}}", lines(0, 5_000, |number| format!("x{number} = x{}", number + 1))));
    "brackets in brackets" => Wanted::Refused, none(&format!("answer := {}", nested("[", "1", "]", 10_000)));
    "parentheses in parentheses" => Wanted::Refused, none(&format!("answer := {}", nested("(", "1", ")", 10_000)));
    "comprehensions in comprehensions" => Wanted::Refused, none(&format!("answer := {}", nested("[x | x := ", "1", "]", 5_000)));
    "every in every, a thousand times" => Wanted::Refused,
        none(&format!("answer if {{ {} }}", nested("every x in [1] { ", "true", " }", 1_000)));
    "calls in calls" => Wanted::Refused, none(&format!("answer := {}", nested("abs(", "1", ")", 10_000)));
    "indices in indices" => Wanted::Refused, none(&format!("answer := {}", nested("input[", "0", "]", 10_000)));
    "a statement with a thousand replacements" => Wanted::End, {
        let replacements = lines(0, 1_000, |number| format!(" with input.k{number} as {number}")).replace('\n', "");
        none(&format!("p := count(input)\nanswer := x if {{ x := p{replacements} }}"))
    };
    "replacements in replacements" => Wanted::RefusedOrLimit,
        none(&format!("{}r2000 := count(input)\nanswer := r0", lines(0, 2_000, |number| {
            format!("r{number} := x if x := r{} with input.k{number} as {number}", number + 1)
        })));
    "a rule that asks itself" => Wanted::RefusedOrLimit, none("answer := answer");
    "rules that ask each other" => Wanted::RefusedOrLimit, none("p if q\nq if p\nanswer if p");
    "a function that calls itself" => Wanted::RefusedOrLimit, none("f(x) := f(x + 1)\nanswer := f(1)");
    "a rule that reads all rules" => Wanted::RefusedOrLimit, none("answer := [x | x := data.hostile[_]]");
};
