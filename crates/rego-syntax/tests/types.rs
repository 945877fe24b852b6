//! What is refused because of types, and what is not. The recorded verdicts of OPA are run by the testkit's
//! `oracle`; here are the shapes that it has not.

use portcullis_rego_syntax::{Version, line_col, parse, resolve, types};

/// The first words of all findings, with their lines.
fn findings(texts: &[&str], version: Version) -> Vec<String> {
    let parsed: Vec<_> = texts.iter().map(|text| parse(text, version)).collect();
    for (parsed, text) in parsed.iter().zip(texts) {
        assert!(parsed.diagnostics.is_empty(), "{:?} in {text}", parsed.diagnostics);
    }
    let names: Vec<_> = parsed.iter().map(|parsed| resolve(&parsed.module)).collect();
    for (names, text) in names.iter().zip(texts) {
        assert!(names.diagnostics.is_empty(), "{:?} in {text}", names.diagnostics);
    }
    let modules: Vec<_> = parsed.iter().zip(&names).map(|(parsed, names)| (&parsed.module, names)).collect();
    let checked = types::check(&modules);
    assert!(checked.is_complete);
    checked
        .findings
        .iter()
        .map(|(module, finding)| {
            let (line, _) = line_col(texts.get(*module).copied().unwrap_or_default(), finding.span.start);
            format!("{line}: {}", finding.message)
        })
        .collect()
}

fn refused(rules: &str, expected: &str) {
    let text = format!("package p\nimport future.keywords\n{rules}\n");
    let found = findings(&[&text], Version::V0);
    assert!(found.first().is_some_and(|first| first.contains(expected)), "{rules}\n{found:#?}");
}

fn taken(rules: &str) {
    let text = format!("package p\nimport future.keywords\n{rules}\n");
    assert_eq!(findings(&[&text], Version::V0), [""; 0], "{rules}");
}

#[test]
fn calls_take_what_they_declare() {
    refused(
        "a { input.x + \"a\" > 1 }",
        "3: plus: invalid argument(s): have (any, string, ???), want (x: number,",
    );
    refused(
        "a { sprintf(\"%v\", input.x.y, 1) }",
        "sprintf: invalid argument(s): have (string, any, number)",
    );
    refused("a { startswith(\"a\", \"b\", true, 1) }", "startswith: arity mismatch");
    refused("a { x := count(1); x }", "count: invalid argument(s): have (number, ???)");
    refused(
        "a { x := [y | y := 1]; startswith(x[_], \"a\") }",
        "startswith: invalid argument(s): have (number, string)",
    );
    taken("a { x := input.x; startswith(x, \"a\"); x == \"ab\" }");
    // What a variable is said to be first, it is.
    refused("a { x = input.x; y = x; z = lower(w); w = 1 }", "lower: invalid argument(s)");
    taken("a { walk(input, [path, value]); path[0] == \"x\"; value == 1 }");
    refused(
        "a { walk(input, [path, value]); path == \"x\"; value == 1 }",
        "match error: left is array[any], right is string",
    );
    taken("a { print(1 + \"a\") }");
    refused("a { x := print(1); x }", "print used as value");
}

#[test]
fn equations_have_two_sides_that_can_be_equal() {
    refused(
        "a { [1, \"a\"] == [\"a\", 1] }",
        "match error: left is array<number, string>, right is array<string, number>",
    );
    refused("a { x := 1; y := 2; [x, y] = [1, 2, 3] }", "match error");
    refused("a { {\"k\": 1} == {\"l\": 1} }", "match error");
    refused("a { [x, y] = [input.x, 1]; y == \"a\"; x }", "match error: left is number, right is string");
    taken("a { {\"k\": x} = {\"k\": input.x}; x == 1 }");
    taken("a { x := {y | y := input.z[_]}; x == {1} }");
    taken("a { {} == {\"a\": 1} }");
    taken("a { x := [1, \"a\"][_]; x == \"a\" }");
    refused("a { x := [1, \"a\"][_]; x == null }", "match error: left is any<number, string>, right is null");
    // Inequations may have sides of different types.
    taken("a { 1 != \"a\" }");
    taken("a { not 1 > \"a\" }");
}

#[test]
fn references_lead_somewhere() {
    refused("a { x := \"a\"; x.y }", "undefined ref: x.y: have x of type string");
    refused("a { x := {\"a\": 1}; x.b == 1 }", "undefined ref: x.b: have \"b\", want one of [\"a\"]");
    refused("a { x := {\"a\": 1}; x[y] == 1; y == 2 }", "match error");
    refused("r = \"a\"\na { r.x }", "undefined ref: data.p.r.x");
    refused("s[x] { x := \"a\" }\na { s[1] }", "undefined ref: data.p.s[1]");
    refused("f(x) = x { true }\na { y := f; y }", "undefined ref: data.p.f");
    taken("o[k] = v { k := \"a\"; v := input.x }\na { o.b == 1 }");
    taken("a { data.inventory.x[y].z == y }");
    taken("a { input[\"x\"][0][_] == 1 }");
    taken("r = \"a\" { input.x }\nr = {\"b\": 1} { input.y }\na { r.b == 1 }");
    refused("a { {1, 2}[\"a\"] }", "undefined ref");
    refused("a { [1, 2][\"a\"] == 1 }", "undefined ref");
}

#[test]
fn rules_have_the_types_of_all_their_bodies() {
    refused("r = 1 { input.x }\nr = 2 { input.y }\na { r == \"a\" }", "match error: left is number");
    taken("r = 1 { input.x }\nr = \"b\" { input.y }\na { r == \"a\" }");
    taken("r = 1 { input.x } else = \"b\" { input.y }\na { r == \"a\" }");
    taken("default r = \"a\"\nr = 1 { input.x }\na { r == \"a\" }");
    refused(
        "default r = false\nr { input.x }\na { r == \"a\" }",
        "match error: left is boolean, right is string",
    );
    refused(
        "f(x) = 1 { x == 2 }\na { f(\"a\") == 1 }",
        "data.p.f: invalid argument(s): have (string, ???), want (number, number)",
    );
    taken("f(x) = 1 { x == 2 }\nf(x) = 2 { x == \"a\" }\na { f(\"a\") == 1 }");
    refused("f(x) = 1 { x == 2 }\na { f(1, 2, 3) }", "function data.p.f has arity 1, got 3 arguments");
    refused("r = 1\na { r(1) }", "undefined function data.p.r");
    // The order of rules in the text does not matter.
    refused("a { b == \"a\" }\nb = c { true }\nc = 1", "3: match error");
    // What follows from a rule that is wrong is not said.
    assert_eq!(findings(&["package p\nb = x { x := 1 + \"a\" }\na { b == \"a\" }\n"], Version::V0).len(), 1);
    taken("a.b.c = 1\na.b.d = \"x\"\nr { a.b.d == \"x\" }");
    refused("a.b.c = 1\na.b.d = \"x\"\nr { a.b.d == 1 }", "match error");
    taken("a[k] = v { some k, v in input }\nr { a.x.y == 1 }");
}

#[test]
fn comprehensions_are_checked_where_they_stand() {
    refused("a { x := [y | y := 1 + \"a\"]; x }", "plus: invalid argument(s)");
    refused(
        "a { count({x | x := input.x[_]; x.y == 1; lower(1) == \"a\"}) > 1 }",
        "lower: invalid argument(s)",
    );
    assert_eq!(
        findings(&["package p\na { x := [y | y := [z | z := lower(1)]]; x }\n"], Version::V0).len(),
        1
    );
    taken("a { x := {k: v | v := input.x[k]}; x.y == 1 }");
    refused(
        "a { x := {k: v | k := \"a\"; v := 1}; x.y == \"a\" }",
        "match error: left is number, right is string",
    );
}

#[test]
fn replacing_needs_something_that_can_be_replaced() {
    taken("a { input.x with input as {\"x\": 1} }");
    taken("f(x) = 1 { x }\na { count(input.x) == 1 with count as f }");
    refused("f(x, y) = 1 { x == y }\na { count(input.x) == 1 with count as f }", "count: arity mismatch");
    refused("o = {\"a\": 1}\na { o.a == 1 with data.p.o.a as 2 }", "with keyword cannot partially replace");
    refused(
        "a { walk(input, x) with walk as 1; x }",
        "with keyword cannot replace the built-in function walk",
    );
    refused("r = 1\na { r == 1 with input.x as data.p.s.y }\ns = \"a\"", "undefined ref: data.p.s.y");
}

#[test]
fn modules_are_checked_together() {
    let library = "package lib.x\nf(y) = z { z := lower(y) }\nt[\"a\"] = 1\n";
    let found = findings(
        &["package p\nimport data.lib.x as l\na { l.f(1) == \"a\" }\nb { l.t.a == \"x\" }\n", library],
        Version::V0,
    );
    assert_eq!(
        found,
        [
            "3: data.lib.x.f: invalid argument(s): have (number, ???), want (string, string)",
            "4: match error: left is number, right is string"
        ]
    );
}

#[test]
fn the_second_version_is_checked_as_the_first() {
    let found = findings(&["package p\na contains x if { some x in [1, 2]; x == \"a\" }\n"], Version::V1);
    assert_eq!(found, ["2: match error: left is number, right is string"]);
    let found = findings(&["package p\na := $\"{count(1)} {input.y}\"\n"], Version::V1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        findings(&["package p\na if { every k, v in input.x { k == v + 1 } }\n"], Version::V1),
        [""; 0]
    );
}

fn repeated(numbers: impl Iterator<Item = usize>, each: impl Fn(usize) -> String) -> String {
    numbers.map(each).collect::<Vec<_>>().concat()
}

#[test]
fn a_hostile_program_ends_soon_and_loudly() {
    let check = |rules: &str| {
        let parsed = parse(&format!("package p\n{rules}\n"), Version::V0);
        let names = resolve(&parsed.module);
        types::check(&[(&parsed.module, &names)])
    };
    // Types that double with every statement are anything in the end.
    let doubling: String = repeated(1..200, |n| format!("x{n} := [x{0}, x{0}, {{x{0}}}]; ", n - 1));
    let checked = check(&format!("a {{ x0 := 1; {doubling} x199 == input.z }}"));
    assert!(checked.is_complete && checked.findings.is_empty(), "{:?}", checked.findings);
    // Comprehensions within comprehensions are checked once for each around them.
    let nested = (0..60).fold("x".to_owned(), |inner, n| format!("[y{n} | x := input.z; y{n} := {inner}]"));
    let checked = check(&format!("a {{ y := {nested}; y }}"));
    assert!(!checked.is_complete);
    // Unions that grow with every element.
    let growing: String = repeated(0..3000, |n| format!("{{\"k{n}\": {n}}}, "));
    let checked =
        check(&format!("a {{ x := [{growing} 1][_]; y := [{growing} 2][_]; x == y; x == input.z }}"));
    assert!(checked.findings.is_empty());
    // Rules that need each other in a circle come in some order.
    let checked = check("a.b { a.c }\na.c { a.b }");
    assert!(checked.is_complete && checked.findings.is_empty());
    // Statements in the order in which each is found ready last.
    let reversed: String = repeated((1..3000).rev(), |n| format!("x{n} = x{0} + 1\n", n - 1));
    check(&format!("a {{ {reversed} x0 = input.z\n x2999 > 1 }}"));
}
