//! The language, case by case: what parses and to which shape, what does not and why.

use portcullis_rego_syntax::analysis::{Usage, refs};
use portcullis_rego_syntax::ast::{Expr, ExprKind, RuleKind, Statement, StatementKind, TemplatePart};
use portcullis_rego_syntax::{DiagnosticCode, Module, Version, line_col, parse, resolve};

use Version::{V0, V1};

/// Everything wrong with a module, one `line: finding` per entry.
fn findings(text: &str, version: Version) -> Vec<String> {
    let parsed = parse(text, version);
    let names = resolve(&parsed.module);
    let all = parsed.diagnostics.iter().chain(&names.diagnostics);
    all.map(|d| format!("{}: {d}", line_col(text, d.span.start).0)).collect()
}

fn module(text: &str, version: Version) -> Module {
    let parsed = parse(text, version);
    assert!(parsed.diagnostics.is_empty(), "{text}\n{:#?}", parsed.diagnostics);
    parsed.module
}

/// The tree of an expression, fully bracketed.
fn shape(expr: &Expr) -> String {
    let list = |items: &[Expr]| items.iter().map(shape).collect::<Vec<_>>().join(", ");
    match &expr.kind {
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Number(text) => text.clone(),
        ExprKind::String(text) => format!("{text:?}"),
        ExprKind::Template(template) => {
            let part = |part: &TemplatePart| match part {
                TemplatePart::Text(name) => format!("{:?}", name.text),
                TemplatePart::Expr(statement) => statement_shape(statement),
            };
            format!("$[{}]", template.parts.iter().map(part).collect::<Vec<_>>().join(", "))
        }
        ExprKind::Var(name) => name.clone(),
        ExprKind::Ref(reference) => {
            let mut out = shape(&reference.head);
            for arg in &reference.args {
                out += &arg.bracket().map_or_else(
                    || format!(".{}", arg.as_str().unwrap_or_default()),
                    |bracket| format!("[{}]", shape(bracket)),
                );
            }
            out
        }
        ExprKind::Call(call) => format!("{}({})", shape(&call.callee), list(&call.args)),
        ExprKind::Array(items) => format!("[{}]", list(items)),
        ExprKind::Set(items) => format!("set({})", list(items)),
        ExprKind::Object(entries) => {
            let entry =
                |e: &portcullis_rego_syntax::ast::Entry| format!("{}: {}", shape(&e.key), shape(&e.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        ExprKind::Comprehension(c) => {
            use portcullis_rego_syntax::ast::ComprehensionHead::{Array, Object, Set};
            let head = match &c.head {
                Array(term) => format!("array {}", shape(term)),
                Set(term) => format!("set {}", shape(term)),
                Object(entry) => format!("object {}: {}", shape(&entry.key), shape(&entry.value)),
            };
            format!("<{head} | {}>", body_shape(&c.body.statements))
        }
        ExprKind::Binary(b) => format!("({} {} {})", shape(&b.lhs), b.op, shape(&b.rhs)),
        ExprKind::Membership(m) => {
            let key = m.key.as_ref().map(|key| format!("{}, ", shape(key))).unwrap_or_default();
            format!("({key}{} in {})", shape(&m.value), shape(&m.collection))
        }
        ExprKind::Paren(inner) => format!("({})", shape(inner)),
    }
}

fn body_shape(statements: &[Statement]) -> String {
    statements.iter().map(statement_shape).collect::<Vec<_>>().join("; ")
}

fn statement_shape(statement: &Statement) -> String {
    let mut out = match &statement.kind {
        StatementKind::Expr(expr) => shape(expr),
        StatementKind::Not(expr) => format!("not {}", shape(expr)),
        StatementKind::Some(names) => {
            format!("some {}", names.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(", "))
        }
        StatementKind::SomeIn(some) => {
            let key = some.key.as_ref().map(|key| format!("{}, ", shape(key))).unwrap_or_default();
            format!("some {key}{} in {}", shape(&some.value), shape(&some.collection))
        }
        StatementKind::Every(every) => {
            let key = every.key.as_ref().map(|key| format!("{}, ", key.text)).unwrap_or_default();
            let (value, body) = (&every.value.text, body_shape(&every.body.statements));
            format!("every {key}{value} in {} {{ {body} }}", shape(&every.collection))
        }
    };
    for with in &statement.with {
        out += &[" with ", &shape(&with.target), " as ", &shape(&with.value)].concat();
    }
    out
}

#[test]
fn statements_have_the_shape_opa_gives_them() {
    let cases: &[(&str, &str)] = &[
        // Precedence and association.
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a & b | c & d", "((a & b) | (c & d))"),
        ("a | b == c & d", "((a | b) == (c & d))"),
        ("a + b & c", "((a + b) & c)"),
        ("a == b in c", "((a == b) in c)"),
        ("a in b == c", "(a in (b == c))"),
        ("k, v in obj", "(k, v in obj)"),
        ("x := a in b", "(x := (a in b))"),
        ("x = y - 1", "(x = (y - 1))"),
        ("x == -1", "(x == -1)"),
        ("x-1", "(x - 1)"),
        ("x == .5", "(x == 0.5)"),
        ("x == 1e3", "(x == 1e3)"),
        ("a < b < c", "((a < b) < c)"),
        ("(a; b)", "!"),
        // Operators carry on over line breaks, brackets do not.
        ("a ==\n b", "(a == b)"),
        ("a\n == b", "(a == b)"),
        ("x := f\n (a)", "(x := f); (a)"),
        ("x := y\n [a]", "(x := y); [a]"),
        ("f (a)", "!"),
        ("a; b; c", "a; b; c"),
        ("a b", "!"),
        // References and calls.
        ("input.if", "input.if"),
        ("data.contains[\"x\"].in", "data.contains[\"x\"].in"),
        ("contains(a, b)", "contains(a, b)"),
        ("f(a)[0].b(c)", "!"),
        ("f(a)[0].b", "f(a)[0].b"),
        ("io.jwt.decode(a)", "io.jwt.decode(a)"),
        ("[1, 2][i]", "[1, 2][i]"),
        ("{\"a\": 1}.a", "{\"a\": 1}.a"),
        ("x[a in b]", "x[(a in b)]"),
        ("\"a\".b", "!"),
        ("if.x == in.y", "(if.x == in.y)"),
        ("not not.x", "not not.x"),
        // Collections.
        ("[]", "[]"),
        ("{}", "{}"),
        ("set()", "set()"),
        ("{1, 2,}", "set(1, 2)"),
        ("{\"a\": 1,}", "{\"a\": 1}"),
        ("[1,\n2\n,]", "[1, 2]"),
        ("[, 1]", "[1]"),
        ("[1,,2]", "!"),
        ("f(a, b,)", "f(a, b)"),
        ("f(k in b)", "f((k in b))"),
        ("[k, v in b]", "[k, (v in b)]"),
        // Comprehension or union: the comprehension, unless a comma rules it out.
        ("{a | b}", "<set a | b>"),
        ("[a | b]", "<array a | b>"),
        ("{a | b, c}", "set((a | b), c)"),
        ("{a | b, c in d}", "<set a | (b, c in d)>"),
        ("{a | some b, c; d}", "<set a | some b, c; d>"),
        ("{a | some b, c in d}", "<set a | some b, c in d>"),
        ("{a: b | c}", "<object a: b | c>"),
        ("{\"a\": b | c, \"d\": e}", "{\"a\": (b | c), \"d\": e}"),
        ("{f(x, y) | b := [1, 2]; c}", "<set f(x, y) | (b := [1, 2]); c>"),
        ("{a + b | c}", "set(((a + b) | c))"),
        ("{(a | b)}", "set(((a | b)))"),
        ("[x | x := a\n x > 1]", "<array x | (x := a); (x > 1)>"),
        ("{{a | b} | c}", "<set <set a | b> | c>"),
        // Declarations and modifiers.
        ("some x, y", "some x, y"),
        ("some x in xs", "some x in xs"),
        ("some k, v in xs", "some k, v in xs"),
        ("some [a, {\"b\": c}] in xs with input as 1", "some [a, {\"b\": c}] in xs with input as 1"),
        ("every x in xs { x > 1; y }", "every x in xs { (x > 1); y }"),
        ("every k, v in {1 | a} { k }", "every k, v in <set 1 | a> { k }"),
        ("not a with input.x as b with data.y as c", "not a with input.x as b with data.y as c"),
        ("a\n with input as b\n c", "a with input as b; c"),
        ("not some x", "!"),
        ("some 1", "!"),
        // Strings.
        (r#"x == "\u00e9\n\"\ud83d\ude00""#, "(x == \"é\\n\\\"😀\")"),
        ("x == `a\\n\n\"`", "(x == \"a\\\\n\\n\\\"\")"),
        (r#"x == "\q""#, "!"),
        ("x == \"a", "!"),
        (r#"x == $"a {b} c{d.e}""#, "(x == $[\"a \", b, \" c\", d.e])"),
        (r#"x == $"\{a {{1, 2}} {{"a": $"{b}"}}""#, "(x == $[\"{a \", set(1, 2), \" \", {\"a\": $[b]}])"),
        ("x == $`a\n{b}\\{c`", "(x == $[\"a\\n\", b, \"{c\"])"),
        (r#"x == $"{a := 1}""#, "!"),
        (r#"x == $"{}""#, "!"),
        ("x == 01", "!"),
        ("x == 1a", "!"),
        ("x == -y", "!"),
        ("x ! y", "!"),
        ("{", "!"),
        ("[a", "!"),
    ];
    for (statements, expected) in cases {
        let text = format!("package p\nq if {{\n true\n {statements}\n}}\n");
        let parsed = parse(&text, V1);
        let actual = match parsed.module.rules.first().and_then(|rule| rule.clauses.first()) {
            Some(clause) if parsed.diagnostics.is_empty() => body_shape(&clause.body.statements[1..]),
            _ => "!".to_owned(),
        };
        assert_eq!(actual, *expected, "{statements}\n{:?}", parsed.diagnostics);
    }
}

#[test]
fn rules_have_the_kind_opa_gives_them() {
    use RuleKind::{Complete, Function, PartialObject, PartialSet};
    let cases = [
        (V0, "a { true }", Complete),
        (V0, "a = 1 { true }", Complete),
        (V0, "a := 1", Complete),
        (V0, "a[x] { x := 1 }", PartialSet),
        (V0, "a[{\"msg\": m}] { m := 1 }", PartialSet),
        (V0, "a.x { true }", PartialSet),
        (V0, "a[\"x\"]", PartialSet),
        (V0, "a [x] { x := 1 }", PartialSet),
        (V0, "a[x] = y { y := 1; x := 2 }", PartialObject),
        (V0, "a.b[x] { x := 1 }", PartialObject),
        (V0, "a.b = 1", Complete),
        (V0, "f(x) { x }", Function),
        (V0, "f(x) = y { y := x }", Function),
        (V0, "f(x) := x", Function),
        (V0, "contains(x) { x }", Function),
        (V0, "a { true } { false }", Complete),
        (V0, "a = 1 { true } else = 2 { false } else := 3", Complete),
        (V0, "default a = false", Complete),
        (V0, "import future.keywords\na contains x if { x := 1 }", PartialSet),
        (V0, "import future.keywords.if\na if true", Complete),
        (V0, "import rego.v1\na contains 1", PartialSet),
        (V1, "a contains 1", PartialSet),
        (V1, "a contains x if x := 1", PartialSet),
        (V1, "a contains x if some x in [1]", PartialSet),
        (V1, "a.b contains 1", PartialSet),
        (V1, "a[x] if x := 1", PartialObject),
        (V1, "a[x] := 1 if { x := 1 }", PartialObject),
        (V1, "a.b.c := 1", Complete),
        (V1, "a[\"b\"] := 1", Complete),
        (V1, "a if { true }", Complete),
        (V1, "a if {1, 2} == {2, 1}", Complete),
        (V1, "a if {x | x := 1}", Complete),
        (V1, "a if {\"k\": 1}", Complete),
        (V1, "a := {x | x := 1} if { true }", Complete),
        (V1, "a if not input.x", Complete),
        (V1, "a := 1 if { true } else := 2 if false else := 3", Complete),
        (V1, "a.b(x) := x", Function),
        (V1, "default f(_) := 1", Function),
        (V1, "if.x := 1", Complete),
    ];
    for (version, rule, kind) in cases {
        let text = format!("package p\n{rule}\n");
        assert_eq!(module(&text, version).rules[0].kind(), kind, "{rule}");
        assert!(findings(&text, version).is_empty(), "{rule}: {:?}", findings(&text, version));
    }
}

#[test]
fn bodies_after_if_are_told_from_terms() {
    for (rule, braces) in [
        ("a if { true }", true),
        ("a if { x | true }", false),
        ("a if { input.x\n input.y }", true),
        ("a if { input.x == {1 | true} }", true),
        ("a if { input.x }\nb if { input.y }", true),
        ("a if { not input.x }", true),
        ("a if {}", false),
        ("a if { 1 } & input.x", false),
        ("a if { \"x\": 1 }", false),
        ("a if { input.x in input.y }\nin.z := 1", true),
    ] {
        let module = module(&format!("package p\n{rule}"), V1);
        assert_eq!(module.rules[0].clauses[0].body.has_braces, braces, "{rule}");
    }
}

#[test]
fn findings_are_in_opas_words() {
    let cases: &[(Version, &str, &[&str])] = &[
        (V1, "", &["1: rego_parse_error: empty module"]),
        (V1, "a := 1", &["1: rego_parse_error: package expected"]),
        (V1, "package p\npackage q", &["2: rego_parse_error: unexpected package"]),
        (
            V1,
            "package p\na { true }",
            &[
                "2: rego_parse_error: `if` keyword is required before rule body (hint: write `if {` instead of `{`)",
            ],
        ),
        (
            V1,
            "package p\na[x] { x := 1 }",
            &[
                "2: rego_parse_error: `contains` keyword is required for partial set rules (hint: write `a contains <VALUE> if { ... }`)",
                "2: rego_parse_error: `if` keyword is required before rule body (hint: write `if {` instead of `{`)",
            ],
        ),
        (
            V0,
            "package p\na { some x in [1]; x }",
            &[
                "2: rego_parse_error: unexpected identifier token: expected \\n or ; or } (hint: `import future.keywords.in` for `x in xs` expressions)",
            ],
        ),
        (
            V0,
            "package p\na contains 1",
            &[
                "2: rego_parse_error: unexpected identifier token: expected rule value or body (hint: `import future.keywords.contains` for `x contains y` rules)",
            ],
        ),
        (
            V0,
            "package p\na if { true }",
            &[
                "2: rego_parse_error: unexpected identifier token: expected rule body (hint: `import future.keywords.if` for `if` before rule bodies)",
            ],
        ),
        (V0, "package p\na { }", &["2: rego_parse_error: found empty body"]),
        (V0, "package p\na", &["2: rego_parse_error: var cannot be used for rule name"]),
        (
            V0,
            "package p\nimport foo.bar",
            &[
                "2: rego_parse_error: unexpected import path, must begin with one of: {data, future, input, rego}, got: foo",
            ],
        ),
        (
            V0,
            "package p\ndefault a = input.x",
            &["2: rego_parse_error: illegal default rule (value cannot contain ref)"],
        ),
        (V0, "package p\na { b == }\nc { true }", &["2: rego_parse_error: unexpected } token"]),
        (
            V0,
            "package p\na {\n x := input.y y\n z := imput.constraint\n input.z z\n}",
            &[
                "3: rego_parse_error: unexpected identifier token: expected \\n or ; or }",
                "5: rego_parse_error: unexpected identifier token: expected \\n or ; or }",
                "4: rego_unsafe_var_error: var imput is unsafe (hint: did you mean `input`?)",
            ],
        ),
        (
            V0,
            "package p\na {\n x := 1\n\nb {\n true\n}",
            &["5: rego_parse_error: unexpected identifier token: expected \\n or ; or }"],
        ),
        (V0, "package p\na { not x }", &["2: rego_unsafe_var_error: var x is unsafe"]),
        // Of a variable that comprehensions alone mention, each has its own.
        (V0, "package p\na { some i; x := [n | n := input[i]]; x }", &[]),
        (
            V0,
            "package p\na { some i; x := [n | n := 1]; x }",
            &["2: rego_compile_error: declared var i unused (hint: leave it out)"],
        ),
        (
            V0,
            "package p\na { some i; x := [n | some i; n := input[i]]; x }",
            &["2: rego_compile_error: declared var i unused (hint: leave it out)"],
        ),
        (
            V0,
            "package p\na { some i; x := [n | n := input[i]]; i := x }",
            &["2: rego_compile_error: var i declared above"],
        ),
        (V0, "package p\na[x] { input.y }", &["2: rego_unsafe_var_error: var x is unsafe"]),
        (
            V0,
            "package p\na { x = y; y = x }",
            &["2: rego_unsafe_var_error: var x is unsafe", "2: rego_unsafe_var_error: var y is unsafe"],
        ),
        (V0, "package p\na { count(x) > 1 }", &["2: rego_unsafe_var_error: var x is unsafe"]),
        (
            V0,
            "package p\na { [y | z > y] }",
            &["2: rego_unsafe_var_error: var y is unsafe", "2: rego_unsafe_var_error: var z is unsafe"],
        ),
        (
            V0,
            "package p\na { cuont(input.x) }",
            &["2: rego_type_error: undefined function cuont (hint: did you mean `count`?)"],
        ),
        (V0, "package p\na { x := 1; x := 2 }", &["2: rego_compile_error: var x assigned above"]),
        (
            V0,
            "package p\na { some x; input.y }",
            &["2: rego_compile_error: declared var x unused (hint: leave it out)"],
        ),
        (
            V1,
            "package p\na if {\n  every k, v in input.x {\n    v == 1\n  }\n}",
            &[
                "3: rego_compile_error: declared var k unused (hint: write `_` in its place, or leave the key out)",
            ],
        ),
        (V1, "package p\na if every _, v in input.x { [y | y := v] == [1] }", &[]),
        (
            V0,
            "package p\na { [x, 1] := input.y; x }",
            &[
                "2: rego_compile_error: cannot assign to number (hint: `:=` declares what is on its left: compare with `==`)",
            ],
        ),
        (V0, "package p\na { {\"k\": [x, (y)]} := input.y; x == y }", &[]),
        (
            V0,
            "package p\na { count(x) > 1; x := input.y }",
            &["2: rego_compile_error: var x referenced above"],
        ),
        (V0, "package p\na { any([true]) }", &[]),
        (
            V1,
            "package p\na if { any([true]) }",
            &["2: rego_type_error: deprecated built-in function calls in expression: any"],
        ),
        (
            V1,
            "package p\na if { input := 1 }",
            &["2: rego_compile_error: variables must not shadow input (use a different variable name)"],
        ),
        // Order does not matter, and each of these binds.
        (V0, "package p\na { x > 1; x = input.y }", &[]),
        (V0, "package p\na { input.y[i] == i + 1 }", &[]),
        (V0, "package p\na { [x, {\"k\": y}] = [input.a, {\"k\": input.b}]; x == y }", &[]),
        (V0, "package p\na { count(input.x, n); n > 1 }", &[]),
        (V0, "package p\na { walk(input, [path, value]); path == value }", &[]),
        (V0, "package p\nf(x, y) = x + y { true }\na { f(1, 2, n); n > 1 }", &[]),
        (V0, "package p\na { xs := {x | x := input.y[_]}; y := [z | z := xs[_]; z > 1]; y }", &[]),
        (V0, "package p\nimport data.lib.f as g\na { g.h(input.x, n); n }", &[]),
        (V0, "package p\na { input.x with input as {\"x\": 1} with count as b }\nb(x) = 1 { x }", &[]),
        (V1, "package p\na if { every k, v in input.x { k != v; v == input.y } }", &[]),
        (V1, "package p\na[k].b contains v if some k, v in input.x", &[]),
        (V1, "package p\na := $\"{input.x} {count(input.y)}\"", &[]),
    ];
    for (version, text, expected) in cases {
        assert_eq!(findings(text, *version), *expected, "{text}");
    }
}

#[test]
fn one_faulty_rule_leaves_the_others() {
    let text = "package p\n\na[x] { x := ) }\n\nb := ]\n\n  c { {{{ }\n\nd { true }\n";
    let parsed = parse(text, V0);
    let names: Vec<&str> = parsed.module.rules.iter().map(portcullis_rego_syntax::ast::Rule::name).collect();
    assert!(names.contains(&"d"), "{names:?}");
    assert!(parsed.diagnostics.len() >= 2);
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in
        [("[", "]"), ("{", "}"), ("(", ")"), ("f(", ")"), ("{x | ", "}"), ("$\"{", "}\""), ("x[", "]")]
    {
        let deep = format!("package p\na := {}1{}\nb := 2\n", open.repeat(5000), close.repeat(5000));
        let parsed = parse(&deep, V1);
        assert!(parsed.diagnostics.iter().any(|d| d.code == DiagnosticCode::TooDeep), "{open}");
        assert!(parsed.module.rules.iter().any(|rule| rule.name() == "b"), "{open}");
        resolve(&parsed.module);
        // As deep as can be is deep enough to overflow a stack, if anything does.
        let (count, tail) = (60, "\n");
        let fine = format!("package p\na := {}1{}{tail}", open.repeat(count), close.repeat(count));
        let parsed = parse(&fine, V1);
        assert!(parsed.diagnostics.iter().all(|d| d.code != DiagnosticCode::TooDeep), "{open}");
        resolve(&parsed.module);
    }
    let chain = format!("package p\na := 1{}\n", " + 1".repeat(100_000));
    assert!(parse(&chain, V1).diagnostics.iter().any(|d| d.code == DiagnosticCode::TooDeep));
    let chain = format!("package p\na := 1{}\n", " + 1".repeat(400));
    assert!(findings(&chain, V1).is_empty());
}

#[test]
fn references_are_patterns_without_locals() {
    let text = r#"package k
import data.lib.helpers as h
violation[{"msg": msg}] {
  other := data.inventory.namespace[ns][_]["Ingress"][name]
  input := {"review": 1}
  input.review
  h.same(other, x[0]) with data.foo as 1
  msg := rules[ns]
}
rules[x] = 1 { x := input["review"].object.metadata.name }
"#;
    let module = module(text, V0);
    let names = resolve(&module);
    let found: Vec<(String, Usage)> = refs(&module, &names)
        .map(|r| (r.path.iter().map(|s| s.unwrap_or("*")).collect::<Vec<_>>().join("."), r.usage))
        .collect();
    let expected = [
        ("data.inventory.namespace.*.*.Ingress.*", Usage::Read),
        ("data.lib.helpers.same", Usage::Call),
        ("data.foo", Usage::WithTarget),
        ("rules.*", Usage::Read),
        ("input.review.object.metadata.name", Usage::Read),
    ];
    assert_eq!(found, expected.map(|(path, usage)| (path.to_owned(), usage)));
    let first = refs(&module, &names).next().expect("there are references");
    assert_eq!(first.first_dynamic(), Some(3));
    assert_eq!(
        first.static_prefix.iter().map(|(s, _)| *s).collect::<Vec<_>>(),
        ["data", "inventory", "namespace"]
    );
    assert_eq!(first.rule, "violation");
}
