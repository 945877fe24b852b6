//! Formatting: what comes out, and that it says the same, comes to rest, and loses no comment, whatever white
//! space and comments a module has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use portcullis_rego_syntax::ast::{
    Clause, Expr, ExprKind, Name, RefArg, RefArgKind, Statement, StatementKind,
};
use portcullis_rego_syntax::format::{FormatError, format, upgrade};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{MAX_NESTING, Version, parse};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    version: String,
    text: String,
    formatted: String,
    /// Why `opa fmt` makes something else of it.
    differs: Option<String>,
}

impl Case {
    fn version(&self) -> Version {
        match self.version.as_str() {
            "v0" => Version::V0,
            "v1" => Version::V1,
            other => panic!("{}: there is no version `{other}`", self.name),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(root().join("testdata/fmt/cases.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// All modules that there are to change: those of the cases, and the policies.
static MODULES: LazyLock<Vec<(Version, String)>> = LazyLock::new(|| {
    let mut modules: Vec<(Version, String)> =
        cases().into_iter().map(|case| (case.version(), case.text)).collect();
    let mut folders =
        vec![root().join("policies"), root().join("testdata/conftest"), root().join("testdata/templates")];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = || fs::read_to_string(&path).unwrap();
            let mut texts = Vec::new();
            match path.extension().and_then(|end| end.to_str()) {
                Some("rego") => texts.push(text()),
                Some("yaml") => {
                    for document in serde_yaml::Deserializer::from_str(&text()) {
                        let document = serde_json::Value::deserialize(document).unwrap();
                        texts_of(&document, &mut texts);
                    }
                }
                _ => {}
            }
            for text in texts {
                let version = [Version::V1, Version::V0]
                    .into_iter()
                    .find(|version| parse(&text, *version).diagnostics.is_empty());
                modules.extend(version.map(|version| (version, text)));
            }
        }
    }
    modules
});

/// All that may be Rego in a document.
fn texts_of(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if text.contains("package ") => texts.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts_of(item, texts)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| texts_of(value, texts)),
        _ => {}
    }
}

#[test]
fn cases_are_formatted_as_they_say() {
    for case in cases() {
        let formatted = format(&case.text, case.version());
        assert_eq!(formatted.as_deref(), Ok(&*case.formatted), "{}", case.name);
        let again = format(&case.formatted, case.version());
        assert_eq!(again.as_deref(), Ok(&*case.formatted), "{}, once more", case.name);
        assert_ne!(case.differs.as_deref(), Some(""), "{}: a difference needs a reason", case.name);
    }
}

#[test]
fn what_does_not_parse_is_refused_with_its_places() {
    let error = format("package a\n\np if {\n  x ==\n}\n", Version::V1).unwrap_err();
    let FormatError::Syntax(diagnostics) = &error else { panic!("{error}") };
    assert_eq!(diagnostics[0].span.start, 25);
    assert_eq!(error.to_string(), "rego_parse_error: unexpected } token");
    assert!(matches!(format("", Version::V1), Err(FormatError::Syntax(_))));
    assert!(matches!(format("package a\np { x }", Version::V1), Err(FormatError::Syntax(_))));
}

#[test]
fn a_byte_order_mark_goes() {
    assert_eq!(format("\u{feff}package a", Version::V1).as_deref(), Ok("package a\n"));
}

/// As deep as the parser goes, with a comment at each level that has no place: parts are written again and again, but
/// not twice as often for each level.
#[test]
fn nested_comments_take_no_time() {
    let depth = MAX_NESTING as usize / 2;
    for (open, close) in [("[ # a\n", "# b\n]"), ("f(1 + # a\n# b\n", ")"), ("{1: # a\n # b\n", "}")] {
        let text = format!("package a\n\np := {}x{}\n", open.repeat(depth), close.repeat(depth));
        let started = std::time::Instant::now();
        let formatted = format(&text, Version::V1).unwrap_or_else(|error| panic!("{open:?}: {error}"));
        assert!(started.elapsed().as_secs() < 5, "{open:?}: {:?}", started.elapsed());
        assert_eq!(comments(&formatted, Version::V1), comments(&text, Version::V1));
    }
}

#[test]
fn long_chains_are_no_deeper_than_can_be_parsed() {
    for count in [30, 100, 400] {
        for body in ["p := ", "p if 1 == ", "p if f("] {
            let end = if body.ends_with('(') { ")" } else { "" };
            let text = format!("package a\n\n{body}{}{end}\n", vec!["x"; count].join(" + "));
            assert!(check(&text, Version::V1), "{count}");
        }
    }
}

/// What a module says, seen in another way than by the formatter itself: names, literals and operators of its bodies, in
/// order.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn say(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn names(&mut self, names: &[Name]) {
        for name in names {
            self.say(&*name.text);
        }
    }
}

impl<'m> Visitor<'m> for Said {
    fn visit_clause(&mut self, clause: &'m Clause) {
        // `{ true }` goes.
        let mut body = Self::default();
        visit::walk_body(&mut body, &clause.body);
        if body.0 != ["true"] {
            self.0.extend(body.0);
        }
    }

    fn visit_head(&mut self, _head: &'m portcullis_rego_syntax::ast::Head) {}

    fn visit_statement(&mut self, statement: &'m Statement) {
        match &statement.kind {
            StatementKind::Expr(_) => {}
            StatementKind::Not(_) => self.say("not"),
            StatementKind::Some(names) => self.names(names),
            StatementKind::SomeIn(_) => self.say("some in"),
            StatementKind::Every(every) => {
                self.say("every");
                self.names(every.key.as_slice());
                self.say(&*every.value.text);
            }
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Null => self.say("null"),
            ExprKind::Bool(value) => self.say(value.to_string()),
            ExprKind::Number(text) | ExprKind::String(text) | ExprKind::Var(text) => self.say(&**text),
            ExprKind::Binary(binary) => self.say(binary.op.symbol()),
            ExprKind::Membership(_) => self.say("in"),
            ExprKind::Call(call) => self.say(format!("call of {}", call.args.len())),
            ExprKind::Array(items) => self.say(format!("array of {}", items.len())),
            ExprKind::Set(items) => self.say(format!("set of {}", items.len())),
            ExprKind::Object(entries) => self.say(format!("object of {}", entries.len())),
            ExprKind::Comprehension(_) => self.say("comprehension"),
            ExprKind::Template(_) | ExprKind::Ref(_) | ExprKind::Paren(_) => {}
        }
        visit::walk_expr(self, expr);
    }

    fn visit_ref_arg(&mut self, arg: &'m RefArg) {
        if let RefArgKind::Dot(name) = &arg.kind {
            self.say(&*name.text);
        }
        visit::walk_ref_arg(self, arg);
    }
}

fn said(text: &str, version: Version) -> Vec<String> {
    let parsed = parse(text, version);
    assert_eq!(parsed.diagnostics, [], "{text}");
    let mut said = Said::default();
    // Clauses and values of `else`; the heads of chained bodies are written once more.
    for rule in &parsed.module.rules {
        let others = rule.elses.iter().filter_map(|other| other.clause.as_ref());
        for clause in rule.clauses.iter().chain(others) {
            said.visit_clause(clause);
        }
    }
    said.0
}

fn comments(text: &str, version: Version) -> Vec<String> {
    let module = parse(text, version).module;
    let mut comments: Vec<String> =
        module.comments.iter().map(|comment| comment.span.text(text).trim_end().to_owned()).collect();
    comments.sort();
    comments
}

/// Whether it could be formatted; fails if that changed anything, or if it could not for another reason than its syntax.
fn check(text: &str, version: Version) -> bool {
    match format(text, version) {
        Ok(formatted) => changed_nothing(text, &formatted, version),
        Err(FormatError::Syntax(_)) => return false,
        Err(error) => panic!("{error}\n{text}"),
    }
    true
}

/// Fails if formatting changed anything. That it gives nothing out is no change: some texts that nobody writes it refuses, such as
/// `x := 1; -1`, whose second statement would go on with the first one on a line of its own.
fn check_if_formatted(text: &str, version: Version) {
    if let Ok(formatted) = format(text, version) {
        changed_nothing(text, &formatted, version);
    }
}

fn changed_nothing(text: &str, formatted: &str, version: Version) {
    assert_eq!(said(text, version), said(formatted, version), "{text}\n=> {formatted}");
    assert_eq!(comments(text, version), comments(formatted, version), "{text}\n=> {formatted}");
    let again = format(formatted, version);
    assert_eq!(again.as_deref(), Ok(formatted), "{text}");
    assert!(formatted.ends_with('\n') && !formatted.ends_with("\n\n"), "{formatted:?}");
}

/// A head with a comment inside stays as it is: with an `if` after it, brackets would be those of a map.
#[test]
fn a_comment_in_the_brackets_of_a_set_keeps_it_a_set() {
    let imports =
        ["", "import future.keywords.contains\n", "import future.keywords.if\n", "import future.keywords\n"];
    for (first, second) in imports.iter().flat_map(|one| imports.map(|other| (one, other))) {
        for rule in [
            "p[\n# c\nx] { x := input.z[_] }",
            "p[\n# c\nx]\n# d\n{ x := input.z[_]; x > 1 }",
            "p[x\n# c\n] { x := input.z[_] }",
            "p[\n# c\n\"a\"] { input.x }",
            "p[\n# c\n\"a\"] = 1 { input.x }",
        ] {
            let second = if first == &second { "" } else { second };
            let text = format!("package a\n\n{first}{second}\n{rule}\n");
            assert!(check(&text, Version::V0), "{text}");
        }
    }
    for rule in ["p contains\n# c\nx if { x := input.z[_] }", "p contains # c\nx if x := input.z[_]"] {
        let text = format!("package a\n\n{rule}\n");
        assert!(check(&text, Version::V1), "{text}");
    }
}

/// Offsets between tokens, where white space and comments may come.
fn gaps(text: &str) -> Vec<usize> {
    let mut gaps = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = |from: usize, stop: &dyn Fn(usize) -> bool| {
            (from..bytes.len()).find(|index| stop(*index)).unwrap_or(bytes.len())
        };
        match byte {
            b'#' => at = end(at, &|index| bytes[index] == b'\n'),
            b'`' => at = end(at + 1, &|index| bytes[index] == b'`') + 1,
            b'"' => {
                at = end(at + 1, &|index| bytes[index] == b'"' && bytes[index - 1] != b'\\') + 1;
            }
            byte if byte.is_ascii_whitespace() => {
                gaps.push(at);
                at += 1;
            }
            b'{' | b'}' | b'(' | b')' | b'[' | b']' | b',' | b'|' | b';' => {
                at += 1;
                gaps.push(at);
            }
            _ => at += 1,
        }
    }
    gaps
}

/// What comes into a gap; `#` stands for a comment of its own.
const INSERTED: &[&str] =
    &["\n", "\n\n\n", " ", "\t", "\r\n", " #\n", "\n#\n", "\n\n  #\n\n", " #\n #\n", ";"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn white_space_and_comments_change_nothing(
        which in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(INSERTED)), 1..40),
    ) {
        let (version, text) = which.get(&MODULES);
        let gaps = gaps(text);
        prop_assume!(!gaps.is_empty());
        let mut edits: Vec<(usize, &str)> = edits.iter().map(|(at, what)| (*at.get(&gaps), *what)).collect();
        edits.sort_unstable();
        let mut changed = text.clone();
        for (number, (at, what)) in edits.into_iter().enumerate().rev() {
            changed.insert_str(at, &what.replace('#', &format!("# c{number}")));
        }
        check_if_formatted(&changed, *version);
    }

    #[test]
    fn any_edit_changes_nothing(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        remove in 0..12_usize,
        insert in "[a-z\\[\\](){}|,;:=+\\-*<\"`#.\n 0-9]{0,6}",
    ) {
        let (version, text) = which.get(&MODULES);
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + remove).min(chars.len());
        chars.splice(at..end, insert.chars());
        check_if_formatted(&chars.into_iter().collect::<String>(), *version);
    }
}

/// So that the properties above are about something.
#[test]
fn all_modules_can_be_formatted() {
    assert!(MODULES.len() > 100, "{}", MODULES.len());
    for (version, text) in MODULES.iter() {
        assert!(check(text, *version), "{text}");
    }
}

#[test]
fn modules_of_v0_become_modules_of_v1() {
    let of =
        |text: &str| upgrade(&format!("package a\n{text}")).map(|new| new.replacen("package a\n\n", "", 1));
    let becomes = |text: &str, wanted: &str| assert_eq!(of(text).as_deref(), Ok(wanted), "{text}");
    becomes("s[x] { x := input.y[_] }", "s contains x if x := input.y[_]\n");
    becomes("s[\"x\"]\np = 1\nq { input.x }", "s contains \"x\"\np := 1\nq if input.x\n");
    becomes("o[k] = v { v := input.o[k]; v }", "o[k] := v if {\n\tv := input.o[k]\n\tv\n}\n");
    becomes("f(1)\nf(x) = 2 { x > 1 } else = 3", "f(1)\nf(x) := 2 if x > 1\n\nelse := 3\n");
    becomes("p { input.x } { input.y }", "p if input.x\n\np if input.y\n");
    becomes(
        "import future.keywords.in # for `in`\nimport data.lib.b\np { 1 in input.x } # why\n",
        "# for `in`\nimport data.lib.b\n\np if 1 in input.x # why\n",
    );
    becomes("import rego.v1\np if input.x", "p if input.x\n");
    becomes(
        "p { net.cidr_overlap(\"a\", re_match(\"b\", \"c\")) }",
        "p if net.cidr_contains(\"a\", regex.match(\"b\", \"c\"))\n",
    );
    let refused = |text: &str, said: &str| match of(text) {
        Err(FormatError::NotInV1(found)) => assert!(found[0].message.contains(said), "{text}: {found:?}"),
        other => panic!("{text}: {other:?}"),
    };
    refused("p { any([input.x]) }", "`any` is not in v1");
    refused("p { if := 1; if == 1 }", "in v1, unexpected");
    refused("p { input := 1; input == 1 }", "in v1, ");
    becomes("test_p { of_another_file }", "test_p if of_another_file\n");
    assert!(matches!(of("p { "), Err(FormatError::Syntax(_))));
    assert!(matches!(of("p if input.x"), Err(FormatError::Syntax(_))));
}

/// All modules of v0 that can be; they say the same.
#[test]
fn upgraded_modules_say_the_same() {
    let mut upgraded = 0;
    for (version, text) in MODULES.iter().filter(|(version, _)| *version == Version::V0) {
        let Ok(new) = upgrade(text) else { continue };
        assert_eq!(said(text, *version), said(&new, Version::V1), "{text}");
        assert_eq!(format(&new, Version::V1).as_deref(), Ok(&*new));
        upgraded += 1;
    }
    assert!(upgraded > 10, "{upgraded}");
}
