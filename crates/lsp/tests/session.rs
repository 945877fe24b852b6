//! The session without a process: messages in, messages out. What is wrong with policies is said by the core alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test panics when it fails"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lsp_server::{Message, Notification, Request, RequestId};
use portcullis::{CustomKind, Document, Error, Object, PolicySet};
use portcullis_lsp::{CaseRun, Checks, Job, Level, Note, Offer, Policies, Session};
use serde_json::{Value, json};

/// Compiles, and counts how often it was asked to.
#[derive(Default)]
struct Core {
    asked: AtomicUsize,
    /// How often it was asked for fixes.
    fixed: AtomicUsize,
}

/// What makes it break.
const BREAKS: &str = "break-here";

impl Checks for Core {
    fn enter(&self, _folder: Option<&Path>) -> Result<PathBuf, String> {
        Ok(PathBuf::from("/w"))
    }

    fn policies(&self, _folders: &[PathBuf], _open: &[PathBuf]) -> Policies {
        Policies::default()
    }

    fn part(&self, documents: Vec<Document>, problems: Vec<Error>, kinds: &[CustomKind]) -> Vec<Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let text = documents.first().map(|document| document.source().text().clone()).unwrap_or_default();
        assert!(!text.contains(BREAKS), "as it was asked to");
        let objects = documents.iter().filter_map(|one| Object::from_document(one.clone()).ok());
        let own = objects.filter_map(|object| CustomKind::of(&object));
        let kinds: Vec<CustomKind> = kinds.iter().cloned().chain(own).collect();
        let (policies, found) = PolicySet::compile(documents);
        problems.into_iter().chain(found).chain(policies.unknown_object_fields(&kinds)).collect()
    }

    /// Every manifest is wrong.
    fn judge(&self, _folders: &[PathBuf], manifests: &[PathBuf]) -> Result<Vec<Note>, String> {
        let notes = manifests.iter().flat_map(|path| {
            let (documents, _) =
                Document::read_all(&path.display().to_string(), "apiVersion: v1\nkind: Pod\n");
            documents.into_iter().map(|document| Note {
                location: document.location().clone(),
                level: Level::Error,
                code: "K/one".to_owned(),
                message: "wrong".to_owned(),
            })
        });
        Ok(notes.collect())
    }

    fn fixes(&self, _folders: &[PathBuf], _manifest: &Path) -> Result<Vec<Offer>, String> {
        self.fixed.fetch_add(1, Ordering::Relaxed);
        Ok(Vec::new())
    }

    fn run(&self, _suite: &Path, _test: &str, _case: Option<&str>) -> Result<Vec<CaseRun>, String> {
        Err("nobody runs here".to_owned())
    }
}

const REGO: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k}
spec:
  crd:
    spec:
      names: {kind: K}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            max: {type: integer, default: 3}
            names: {type: array, items: {type: string}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package k
      import data.lib.text
      import data.lib.text.clean
      import data.lib.other as alias

      violation[{"msg": msg}] {
        x := input.review.object.metadata.name
        text.is_long(x, input.parameters.max)
        msg := text.clean(x)
      } {
        x := input.review.object.kind
        clean(x) == alias.word
        msg := helper(x)
      }

      helper(x) = y {
        some i
        y := [z | z := x; i == 1][i]
      }
    libs:
    - |
      package lib.text

      is_long(value, most) { count(value) > most }
      clean(value) = lower(value)
    - |
      package lib.other
      word = "x"
"#;

const CEL: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: c}
spec:
  crd:
    spec:
      names: {kind: C}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            max: {type: integer, description: How many there may be.}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source:
        variables:
        - {name: all, expression: "object.spec.containers"}
        validations:
        - expression: 'size(variables.all) <= variables.params.max'
          messageExpression: '"more than " + string(variables.params.max) + " of " + string(size(variables.all))'
"#;

struct Editor {
    session: Session,
    core: Arc<Core>,
    number: i32,
    seen: Vec<Value>,
}

impl Editor {
    fn new() -> Self {
        let core = Arc::new(Core::default());
        let mut editor = Self { session: Session::new(core.clone()), core, number: 0, seen: Vec::new() };
        editor
            .ask("initialize", json!({"capabilities": {"general": {"positionEncodings": ["utf-8"]}}}))
            .unwrap();
        editor
    }

    fn take(&mut self) {
        for message in self.session.take_messages() {
            self.seen.push(serde_json::to_value(message).unwrap());
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.number += 1;
        let id = RequestId::from(self.number);
        self.session.message(Message::Request(Request { id, method: method.to_owned(), params }));
        self.take();
        let answer = self.seen.iter().find(|message| message["id"] == self.number).unwrap();
        answer.get("error").map_or_else(|| Ok(answer["result"].clone()), |error| Err(error.clone()))
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.session.message(Message::Notification(Notification { method: method.to_owned(), params }));
    }

    fn open(&mut self, name: &str, text: &str) {
        let document =
            json!({"uri": format!("file:///w/{name}"), "languageId": "yaml", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
        self.session.settle();
        self.take();
    }

    /// What was said last of a file.
    fn said(&self, name: &str) -> String {
        let uri = format!("file:///w/{name}");
        let of_it = self.seen.iter().rev().find(|message| message["params"]["uri"] == *uri);
        of_it.map(|message| message["params"]["diagnostics"].to_string()).unwrap_or_default()
    }

    /// Asks at a mark in a text.
    fn at(&mut self, method: &str, text: &str, more: Value) -> Result<Value, Value> {
        let offset = text.find('‸').unwrap();
        let clean = text.replacen('‸', "", 1);
        self.open("a.yaml", &clean);
        let before = &clean[..offset];
        let character = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let mut params = json!({
            "textDocument": {"uri": "file:///w/a.yaml"},
            "position": {"line": before.matches('\n').count(), "character": character},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            params[key] = value.clone();
        }
        self.ask(method, params)
    }

    /// The text of `a.yaml` as a rename leaves it.
    fn renamed(&mut self, text: &str, name: &str) -> Result<String, String> {
        let answer = self.at("textDocument/rename", text, json!({"newName": name}));
        let answer = answer.map_err(|error| error["message"].as_str().unwrap().to_owned())?;
        let mut text = text.replacen('‸', "", 1);
        let mut edits: Vec<(usize, usize, String)> = Vec::new();
        for edit in answer["changes"]["file:///w/a.yaml"].as_array().unwrap() {
            let offset = |end: &str| {
                let place = &edit["range"][end];
                let line = usize::try_from(place["line"].as_u64().unwrap()).unwrap();
                let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
                start + usize::try_from(place["character"].as_u64().unwrap()).unwrap()
            };
            edits.push((offset("start"), offset("end"), edit["newText"].as_str().unwrap().to_owned()));
        }
        edits.sort();
        for (start, end, new) in edits.into_iter().rev() {
            text.replace_range(start..end, &new);
        }
        Ok(text)
    }
}

/// Puts a mark behind the first character of a part of a text.
fn marked(text: &str, part: &str) -> String {
    let at = text.find(part).unwrap_or_else(|| panic!("no `{part}`")) + 1;
    format!("{}‸{}", &text[..at], &text[at..])
}

#[track_caller]
fn renames(text: &str, at: &str, name: &str, changes: &[(&str, &str)]) {
    let mut wanted = text.to_owned();
    for (old, new) in changes {
        assert!(wanted.contains(old), "no `{old}`");
        wanted = wanted.replace(old, new);
    }
    assert_eq!(Editor::new().renamed(&marked(text, at), name).unwrap(), wanted, "{at}");
}

#[track_caller]
fn refuses(text: &str, at: &str, name: &str, why: &str) {
    let refused = Editor::new().renamed(&marked(text, at), name).unwrap_err();
    assert!(refused.contains(why), "{at}: {refused}");
}

#[test]
fn names_are_changed_wherever_they_mean_the_same() {
    // A local variable in one body, and one that the head shares with both.
    renames(
        REGO,
        "x, input.parameters.max",
        "name",
        &[
            ("x := input.review.object.metadata", "name := input.review.object.metadata"),
            ("is_long(x, input", "is_long(name, input"),
            ("msg := text.clean(x)", "msg := text.clean(name)"),
        ],
    );
    renames(
        REGO,
        "msg}] {",
        "message",
        &[
            ("\"msg\": msg}", "\"msg\": message}"),
            ("msg := text", "message := text"),
            ("msg := helper", "message := helper"),
        ],
    );
    // Rules, across libraries and imports of rules.
    renames(REGO, "is_long(x", "exceeds", &[("is_long", "exceeds")]);
    renames(REGO, "clean(value)", "small", &[("clean", "small")]);
    renames(REGO, "helper(x) = y", "help", &[("helper", "help")]);
    // Imports: of a package without an alias, and with one.
    renames(
        REGO,
        "text.is_long",
        "t",
        &[
            ("import data.lib.text\n", "import data.lib.text as t\n"),
            ("text.is_long", "t.is_long"),
            ("text.clean(x)", "t.clean(x)"),
        ],
    );
    renames(REGO, "alias.word", "other", &[("as alias", "as other"), ("alias.word", "other.word")]);
    // Parameters, in schema and Rego, and in schema and CEL.
    renames(
        REGO,
        "max)\n",
        "limit",
        &[("max: {type", "limit: {type"), ("parameters.max", "parameters.limit")],
    );
    renames(CEL, "max: {", "limit", &[("max: {", "limit: {"), ("params.max", "params.limit")]);
    renames(
        CEL,
        "all) <=",
        "containers",
        &[("name: all", "name: containers"), ("variables.all", "variables.containers")],
    );
}

#[test]
fn a_name_that_would_mean_something_else_is_refused() {
    refuses(REGO, "x, input.parameters.max", "msg", "change what the policy means");
    refuses(REGO, "x, input.parameters.max", "input", "change what the policy means");
    refuses(REGO, "helper(x) = y", "violation", "change what the policy means");
    refuses(REGO, "helper(x) = y", "count", "there is `count` already");
    refuses(REGO, "x, input.parameters.max", "1x", "expected a name");
    refuses(REGO, "x, input.parameters.max", "with", "change what the policy means");
    refuses(REGO, "violation[", "deny", "not yours");
    refuses(REGO, "lower(value)", "small", "not yours");
    refuses(REGO, "metadata.name", "title", "not yours");
    refuses(REGO, "max)\n", "names", "there is `names` already");
    refuses(REGO, "K}", "Kind", "not yours");
    refuses(CEL, "all) <=", "params", "change what the policy means");
    refuses(REGO, "default: 3", "x", "there is no name");
}

#[test]
fn what_is_known_of_a_name_is_told() {
    for (text, at, wanted) in [
        (CEL, "max'", "How many there may be."),
        (CEL, "size(variables", "size("),
        (CEL, "all) <=", "object.spec.containers"),
        (CEL, "containers\"}", "`object.spec.containers`"),
        (REGO, "max)\n", "default: `3`"),
        (REGO, "lower(value)", "The text in small letters."),
        (REGO, "alias.word", "import data.lib.other"),
        (REGO, "x, input.parameters.max", "`input.review.object.metadata.name`"),
    ] {
        let told = Editor::new().at("textDocument/hover", &marked(text, at), json!({})).unwrap();
        let told = told["contents"]["value"].as_str().unwrap_or_default();
        assert!(told.contains(wanted), "{at}: {told}");
    }
}

#[test]
fn what_may_come_next_is_proposed_where_nothing_is_a_program_yet() {
    for (text, typed, wanted) in [
        (
            REGO.replace("input.parameters.max", "input.parameters."),
            "input.parameters.",
            &["max", "names"][..],
        ),
        (REGO.replace("text.clean(x)", "text."), "msg := text.", &["clean", "is_long"]),
        (REGO.replace("alias.word", "data.lib."), "data.lib.", &["other", "text"]),
        (CEL.replace("variables.params.max'", "variables.params.'"), "<= variables.params.", &["max"]),
        (CEL.replace("size(variables.all) <=", "size(variables.) <="), "size(variables.", &["all", "params"]),
        (REGO.replace("text.clean(x)", "time."), "msg := time.", &["now_ns", "parse_rfc3339_ns"]),
        (REGO.replace("text.clean(x)", "hel"), "msg := hel", &["helper", "x", "startswith"]),
        (REGO.replace("text.clean(x)", "input."), "msg := input.", &["parameters", "review"]),
    ] {
        let at = text.find(typed).unwrap_or_else(|| panic!("no `{typed}`")) + typed.len();
        let marked = format!("{}‸{}", &text[..at], &text[at..]);
        let found = Editor::new().at("textDocument/completion", &marked, json!({})).unwrap();
        let names: Vec<&str> =
            found.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
        assert!(wanted.iter().all(|name| names.contains(name)), "{typed}: {names:?}");
    }
}

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, description: How large it is.}
              parts: {type: array, items: {type: object, properties: {label: {type: string}}}}
              open: {type: object, x-kubernetes-preserve-unknown-fields: true}
              inner: {type: object, x-kubernetes-embedded-resource: true}
  - name: v1beta1
    served: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {old: {type: boolean}}}}}}
  - name: v1alpha1
    served: false
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {gone: {type: boolean}}}}}}
";

fn constraint(kind: &str, matched: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: {kind}\nmetadata: {{name: one}}\nspec: {{match: {{kinds: [{matched}]}}}}\n"
    )
}

const WIDGETS: &str = "{apiGroups: [example.com], kinds: [Widget]}";

/// In Rego and in CEL, of all versions that are served, from a file that is open.
#[test]
fn fields_of_custom_kinds_are_those_of_their_definitions() {
    let rego = |typed: &str| REGO.replace("input.review.object.metadata.name", typed);
    let cel = |typed: &str| CEL.replace("\"object.spec.containers\"", &format!("\"{typed}\""));
    for (text, typed, wanted, other) in [
        (
            rego("input.review.object."),
            "x := input.review.object.",
            &["apiVersion", "metadata", "spec"][..],
            "size",
        ),
        (
            rego("input.review.object.spec."),
            "object.spec.",
            &["size", "parts", "old", "open", "inner"],
            "gone",
        ),
        (rego("input.review.oldObject.spec.parts[_]."), "parts[_].", &["label"], "size"),
        (rego("input.review.object.spec.inner."), "spec.inner.", &["apiVersion", "metadata"], "size"),
        (rego("input.review.object.metadata."), "object.metadata.", &["labels", "name"], "size"),
        (cel("object.spec."), "object.spec.", &["size", "old"], "gone"),
        (cel("oldObject.spec.parts[0]."), "parts[0].", &["label"], "size"),
    ] {
        let mut editor = Editor::new();
        editor.open("crd.yaml", DEFINITION);
        for kind in ["K", "C"] {
            editor.open(&format!("{kind}.yaml"), &constraint(kind, WIDGETS));
        }
        let at = text.find(typed).unwrap_or_else(|| panic!("no `{typed}`")) + typed.len();
        let marked = format!("{}‸{}", &text[..at], &text[at..]);
        let found = editor.at("textDocument/completion", &marked, json!({})).unwrap();
        let names: Vec<&str> =
            found.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
        assert!(wanted.iter().all(|name| names.contains(name)), "{typed}: {names:?}");
        assert!(!names.contains(&other), "{typed}: {names:?}");
        // Without the definition nothing is known of them.
        editor.notify("textDocument/didClose", json!({"textDocument": {"uri": "file:///w/crd.yaml"}}));
        let found = editor.at("textDocument/completion", &marked, json!({})).unwrap();
        assert_eq!(found, json!([]), "{typed}");
    }
    for (text, at) in
        [(rego("input.review.object.spec.size"), "size\n"), (cel("object.spec.size"), "size\"}")]
    {
        let mut editor = Editor::new();
        editor.open("crd.yaml", DEFINITION);
        for kind in ["K", "C"] {
            editor.open(&format!("{kind}.yaml"), &constraint(kind, WIDGETS));
        }
        let told = editor.at("textDocument/hover", &marked(&text, at), json!({})).unwrap();
        let told = told["contents"]["value"].as_str().unwrap_or_default();
        assert!(told.contains("number (of Widget)") && told.contains("How large it is."), "{told}");
    }
}

/// With the keystroke, and by the definition as it is being written.
#[test]
fn fields_that_no_definition_has_are_told_at_once() {
    // Its own would be rejected, and nothing more be said.
    let usable = REGO.replace("some i\n        y := [z | z := x; i == 1][i]", "y := x");
    let reads = |field: &str| {
        usable.replace("input.review.object.metadata.name", &format!("input.review.object.spec.{field}"))
    };
    let mut editor = Editor::new();
    editor.open("K.yaml", &constraint("K", WIDGETS));
    editor.open("a.yaml", &reads("sise"));
    assert!(!editor.said("a.yaml").contains("unknown-object-field"), "{}", editor.said("a.yaml"));
    editor.open("crd.yaml", DEFINITION);
    for (field, is_told) in [
        ("sise", true),
        ("size", false),
        ("old", false),
        ("gone", true),
        ("open.any.thing", false),
        ("inner.spec.x", false),
    ] {
        editor.open("a.yaml", &reads(field));
        assert_eq!(
            editor.said("a.yaml").contains("unknown-object-field"),
            is_told,
            "{field}: {}",
            editor.said("a.yaml")
        );
    }
    editor.open("crd.yaml", &DEFINITION.replace("size:", "sise:"));
    editor.open("a.yaml", &reads("sise"));
    assert!(!editor.said("a.yaml").contains("unknown-object-field"), "{}", editor.said("a.yaml"));
    // A version without a schema may have any field.
    editor.open(
        "crd.yaml",
        &DEFINITION.replace(
            "  - name: v1alpha1\n    served: false",
            "  - name: v1\n  - name: v1alpha1\n    served: false",
        ),
    );
    editor.open("a.yaml", &reads("nonsense"));
    assert!(!editor.said("a.yaml").contains("unknown-object-field"), "{}", editor.said("a.yaml"));
}

/// More fields than an editor shows are cut to those that have what was typed, and it asks again with the next letter.
#[test]
fn very_many_fields_are_proposed_by_what_was_typed() {
    let many: Vec<String> =
        (0..3000).map(|number| format!("              f{number}: {{type: string}}\n")).collect();
    let many = many.concat();
    let definition = DEFINITION.replace("              open:", &format!("{many}              open:"));
    let text = REGO.replace("input.review.object.metadata.name", "input.review.object.spec.F299‸");
    let mut editor = Editor::new();
    editor.open("crd.yaml", &definition);
    editor.open("K.yaml", &constraint("K", WIDGETS));
    let found = editor.at("textDocument/completion", &text, json!({})).unwrap();
    assert_eq!(found["isIncomplete"], true);
    let names: Vec<&str> =
        found["items"].as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    let found = editor.at("textDocument/completion", &text.replace("F299", ""), json!({})).unwrap();
    assert_eq!(found["items"].as_array().unwrap().len(), 1000);
}

#[test]
fn definitions_are_where_things_come_to_be() {
    for (text, at, line) in [
        (REGO, "is_long(x", "is_long(value, most) {"),
        (REGO, "clean(x) == alias", "clean(value) ="),
        (REGO, "alias.word", "package lib.other"),
        (REGO, "word\n        msg", "word = \"x\""),
        (REGO, "max)\n", "max: {type"),
        (REGO, "x, input.parameters.max", "x := input.review.object.metadata.name"),
        (CEL, "all) <=", "{name: all"),
        (CEL, "max'", "max: {type"),
    ] {
        let found = Editor::new().at("textDocument/definition", &marked(text, at), json!({})).unwrap();
        let there = text.lines().position(|one| one.contains(line)).unwrap();
        assert_eq!(found[0]["range"]["start"]["line"], there, "{at}: {found}");
    }
}

#[test]
fn of_many_versions_the_last_one_is_looked_at() {
    let mut editor = Editor::new();
    editor.open("a.yaml", REGO);
    let before = editor.core.asked.load(Ordering::Relaxed);
    for version in 2..100 {
        let document = json!({"uri": "file:///w/a.yaml", "version": version});
        let place = json!({"line": 0, "character": 0});
        let change = json!([{"range": {"start": place, "end": place}, "text": "#\n"}]);
        editor.notify("textDocument/didChange", json!({"textDocument": document, "contentChanges": change}));
    }
    editor.seen.clear();
    editor.session.settle();
    editor.take();
    assert_eq!(editor.core.asked.load(Ordering::Relaxed), before + 1);
    assert_eq!(editor.seen.len(), 1, "{:?}", editor.seen);
    assert_eq!(editor.seen[0]["params"]["version"], 99);
    // All is looked at once, too, and not again while somebody does.
    assert!(editor.session.is_stale());
    let Job::All(_) = editor.session.look() else { panic!("all is to be looked at") };
    assert!(!editor.session.is_stale());
}

#[test]
fn what_is_out_of_date_is_given_up_and_looked_at_again() {
    let mut editor = Editor::new();
    editor.open("a.yaml", REGO);
    let job = editor.session.look();
    editor.open("b.yaml", REGO);
    let report = job.run(editor.core.as_ref());
    assert!(matches!(report, portcullis_lsp::Report::OutOfDate), "{report:?}");
    editor.session.report(report);
    assert!(editor.session.is_stale());
    let report = editor.session.look().run(editor.core.as_ref());
    assert!(matches!(report, portcullis_lsp::Report::All { .. }), "{report:?}");
    editor.session.report(report);
    assert!(!editor.session.is_stale());
}

/// As editors ask wherever the cursor goes: one of them is looked into, the others are answered by what came of it, and
/// those that nobody waits for are not looked into at all.
#[test]
fn of_many_questions_about_one_text_one_is_looked_into() {
    let mut editor = Editor::new();
    editor.open("a.yaml", "apiVersion: v1\nkind: Pod\n");
    let report = editor.session.look().run(editor.core.as_ref());
    editor.session.report(report);
    editor.take();
    assert!(editor.said("a.yaml").contains("K/one"), "{}", editor.said("a.yaml"));
    let place = json!({"line": 0, "character": 1});
    let asked = json!({
        "textDocument": {"uri": "file:///w/a.yaml"},
        "range": {"start": place, "end": place},
        "context": {"diagnostics": []},
    });
    let ask = |editor: &mut Editor, id: i32| {
        let (method, params) = ("textDocument/codeAction".to_owned(), asked.clone());
        editor.session.message(Message::Request(Request { id: id.into(), method, params }));
    };
    let answers = |editor: &mut Editor, ids: std::ops::Range<i32>| {
        editor.take();
        let of = |id: i32| editor.seen.iter().find(|message| message["id"] == id).cloned();
        ids.map(|id| of(id).unwrap_or_else(|| panic!("{id} is not answered"))).collect::<Vec<_>>()
    };
    for id in 1000..1100 {
        ask(&mut editor, id);
        if id % 2 == 1 {
            editor.notify("$/cancelRequest", json!({"id": id}));
        }
    }
    editor.notify("$/cancelRequest", json!({"id": "never asked"}));
    while let Some(job) = editor.session.next_job() {
        let report = job.run(editor.core.as_ref());
        editor.session.report(report);
    }
    assert_eq!(editor.core.fixed.load(Ordering::Relaxed), 1);
    for (number, answer) in answers(&mut editor, 1000..1100).iter().enumerate() {
        let code = if number % 2 == 1 { json!(-32800) } else { Value::Null };
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    // Of a text that was changed before it was its turn, nothing is looked into either.
    editor.open("a.yaml", "apiVersion: v1\nkind: Pod\n");
    let report = editor.session.look().run(editor.core.as_ref());
    editor.session.report(report);
    ask(&mut editor, 1100);
    let document = json!({"uri": "file:///w/a.yaml", "version": 2});
    let change = json!([{"text": "apiVersion: v1\nkind: Pod\n# x\n"}]);
    editor.notify("textDocument/didChange", json!({"textDocument": document, "contentChanges": change}));
    assert!(editor.session.next_job().is_none());
    assert_eq!(answers(&mut editor, 1100..1101)[0]["error"]["code"], -32801);
    assert_eq!(editor.core.fixed.load(Ordering::Relaxed), 1);
}

/// Places of editors count in units of UTF-16, of which a character may have two.
#[test]
fn a_name_behind_characters_of_two_units_is_renamed_where_it_stands() {
    let text = REGO.replace("text.is_long(x, input.parameters.max)", "\"😀😀\" != x; text.is_long(x, 1)");
    let core = Arc::new(Core::default());
    let mut editor = Editor { session: Session::new(core.clone()), core, number: 0, seen: Vec::new() };
    editor.ask("initialize", json!({"capabilities": {}})).unwrap();
    editor.open("a.yaml", &text);
    let line = text.lines().position(|line| line.contains('😀')).unwrap();
    let behind = |needle: &str| {
        let row = text.lines().nth(line).unwrap();
        row[..row.find(needle).unwrap()].encode_utf16().count()
    };
    let place = |character: usize| json!({"textDocument": {"uri": "file:///w/a.yaml"}, "position": {"line": line, "character": character}});
    let mut asked = place(behind("x; text"));
    asked["newName"] = json!("name");
    let edit = editor.ask("textDocument/rename", asked).unwrap();
    let starts: Vec<u64> = edit["changes"]["file:///w/a.yaml"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|edit| edit["range"]["start"]["line"] == line)
        .map(|edit| edit["range"]["start"]["character"].as_u64().unwrap())
        .collect();
    assert_eq!(starts, [behind("x; text") as u64, behind("x, 1") as u64]);
    // Between the two units of one.
    for character in [behind("😀") + 1, behind("😀") + 3, 10_000_000] {
        let mut asked = place(character);
        asked["newName"] = json!("name");
        assert!(editor.ask("textDocument/rename", asked).is_err());
    }
    // Words of the language are no names.
    for word in ["not", "some", "default", "package", "true", "null", "else", "as", "import", "é", "a b", ""]
    {
        let mut asked = place(behind("x; text"));
        asked["newName"] = json!(word);
        assert!(editor.ask("textDocument/rename", asked).is_err(), "{word}");
    }
}

#[test]
fn a_fault_is_answered_and_the_session_goes_on() {
    let mut editor = Editor::new();
    editor.open("b.yaml", &REGO.replace("kind: K}", &format!("kind: K}} # {BREAKS}")));
    let told = editor.seen.iter().any(|message| message.to_string().contains("fault of portcullis"));
    assert!(told, "{:?}", editor.seen);
    editor.open("a.yaml", &REGO.replace("lower(value)", "lowercase(value)"));
    let last = editor.seen.last().unwrap().to_string();
    assert!(last.contains("undefined function lowercase"), "{last}");
}

#[test]
fn a_text_that_was_never_saved_is_looked_at() {
    let mut editor = Editor::new();
    let text = REGO.replace("lower(value)", "lowercase(value)");
    let document = json!({"uri": "untitled:Untitled-1", "languageId": "yaml", "version": 1, "text": text});
    editor.notify("textDocument/didOpen", json!({"textDocument": document}));
    editor.session.settle();
    editor.take();
    let last = editor.seen.last().unwrap();
    assert_eq!(last["params"]["uri"], "untitled:Untitled-1");
    assert!(last.to_string().contains("undefined function lowercase"), "{last}");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let mut editor = Editor::new();
    for text in ["services:\n  web: [", "{{ .Values.x }}\na: 1\n", "apiVersion: v1\nkind: Pod\na: {{ .x }}\n"]
    {
        editor.open("a.yaml", text);
        let last = editor.seen.last().unwrap();
        assert_eq!(last["params"]["diagnostics"], json!([]), "{text}");
    }
    editor.open("a.yaml", "apiVersion: v1\nkind: Pod\nkind: Pod\n");
    let last = editor.seen.last().unwrap().to_string();
    assert!(last.contains("duplicate-key"), "{last}");
}

/// Wherever somebody asks, also where the text ends in the middle of something.
#[test]
fn no_place_of_any_text_is_a_fault() {
    let asked = [
        "textDocument/hover",
        "textDocument/completion",
        "textDocument/definition",
        "textDocument/references",
        "textDocument/prepareRename",
        "textDocument/rename",
    ];
    for text in [REGO, CEL] {
        let mut editor = Editor::new();
        let ends = (0..text.len()).step_by(23).chain([text.len()]);
        for end in ends {
            let part = &text[..end];
            editor.open("a.yaml", part);
            // At the end, and somewhere before it.
            for at in [end, end / 2, end * 2 / 3, end.saturating_sub(9)] {
                let before = &part[..at];
                let line = before.matches('\n').count();
                let character = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
                for method in asked {
                    let _ = editor.ask(
                        method,
                        json!({
                            "textDocument": {"uri": "file:///w/a.yaml"},
                            "position": {"line": line, "character": character},
                            "context": {"includeDeclaration": true},
                            "newName": "other",
                        }),
                    );
                }
            }
            let faults =
                editor.seen.iter().filter(|message| message.to_string().contains("fault of portcullis"));
            assert_eq!(faults.count(), 0, "{part}");
            editor.seen.clear();
        }
    }
}
