//! The language server as editors run it: a process, messages on its standard input and output.

#![allow(clippy::panic, clippy::string_slice, reason = "a test panics when it fails")]

mod editor;
mod keystrokes;

use std::fs;
use std::time::{Duration, Instant};

use editor::{Editor, edited, edits_of, names};
use serde_json::{Value, json};

/// How long an answer may take: far more than it does.
const PATIENCE: Duration = Duration::from_mins(1);

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: k8spinned
spec:
  crd:
    spec:
      names:
        kind: K8sPinned
      validation:
        openAPIV3Schema:
          type: object
          required: [registries]
          properties:
            registries:
              description: Where images may come from.
              type: array
              items:
                type: string
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package k8spinned

      import data.lib.images

      # An image from somewhere else.
      violation[{"msg": msg}] {
        container := input.review.object.spec.containers[_]
        not images.is_from(container.image, input.parameters.registries)
        msg := sprintf("😀 image %v comes from elsewhere", [container.image])
      }

      violation[{"msg": "the host's processes are shared"}] {
        input.review.object.spec.hostPID
      }
    libs:
    - |
      package lib.images

      # Whether an image comes from one of some registries.
      is_from(image, registries) {
        startswith(image, registries[_])
      }
"#;

const CONSTRAINT: &str = "apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sPinned
metadata:
  name: pinned
spec:
  match:
    kinds:
    - apiGroups: [\"\"]
      kinds: [Pod]
  parameters:
    registries: [registry.example/]
";

const SUITE: &str = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
tests:
- name: pinned
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - name: allowed
    object: samples/allowed.yaml
    assertions:
    - violations: no
  - name: wrong
    object: samples/allowed.yaml
    assertions:
    - violations: yes
";

const ALLOWED: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  containers:
  - name: web
    image: registry.example/web:1
";

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
spec:
  hostPID: true # why?
  containers:
  - name: web
    image: registry.example/web:1
";

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, description: How large it is.}
              parts: {type: array, items: {type: object, properties: {image: {type: string}}}}
              open: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

#[test]
fn a_session_from_the_first_message_to_the_last() {
    let mut editor = Editor::start();
    let template = "policy/template.yaml";
    let answer = editor.initialize(&["utf-16"]);
    assert_eq!(answer["capabilities"]["positionEncoding"], "utf-16");
    assert_eq!(answer["capabilities"]["documentFormattingProvider"], true);

    // Open one that is right, and break it: a name that there is not.
    let text = editor.read(template);
    editor.open(template, &text);
    editor.diagnostics(template, <[_]>::is_empty);
    let line = text.lines().position(|line| line.contains("msg := sprintf")).unwrap();
    let column = text.lines().nth(line).unwrap().find("container.image").unwrap() - "😀".len() + 2;
    let of_word = |start: usize, end: usize| json!({"start": {"line": line, "character": start}, "end": {"line": line, "character": end}});
    editor.change(template, json!([{"range": of_word(column, column + 9), "text": "contaner"}]));
    let found = editor.diagnostics(template, |found| !found.is_empty());
    assert!(found[0].0.contains("contaner") && found[0].1 == line as u64, "{found:?}");
    // And mended.
    editor.change(template, json!([{"range": of_word(column, column + 8), "text": "container"}]));
    editor.diagnostics(template, <[_]>::is_empty);

    // Completion, in the middle of a word: of the schema, of the kinds that are matched, of a library, of builtins.
    for (needle, wanted, other) in [
        ("input.parameters.", "registries", "image"),
        ("input.review.object.spec.", "hostPID", "registries"),
        ("container.", "imagePullPolicy", "hostPID"),
        ("images.", "is_from", "violation"),
    ] {
        let at = editor.at(template, &text, needle, needle.len());
        let items = editor.completed(&at);
        assert!(names(&items).contains(&wanted) && !names(&items).contains(&other), "{needle}: {items}");
    }
    let at = editor.at(template, &text, "sprintf", 3);
    let items = editor.ask("textDocument/completion", at).unwrap();
    assert!(names(&items).contains(&"sprintf") && names(&items).contains(&"time.now_ns"), "{items}");

    // Hover: a builtin, a parameter, a function of a library, values of samples.
    for (needle, wanted) in [
        ("startswith(image", "startswith(search: string, base: string)"),
        ("registries)\n        msg", "Where images may come from."),
        ("is_from(container", "Whether an image comes from one of some registries."),
        ("image, input.parameters", "registry.example/web:1"),
        ("image, input.parameters", "text (of Pod)"),
        ("container := input", "input.review.object.spec.containers[_]"),
    ] {
        let at = editor.at(template, &text, needle, 1);
        let told = editor.ask("textDocument/hover", at).unwrap();
        assert!(told["contents"]["value"].as_str().unwrap_or_default().contains(wanted), "{needle}: {told}");
    }

    // Definition and references, across a library and the constraint.
    let at = editor.at(template, &text, "is_from(container", 1);
    let there = editor.ask("textDocument/definition", at).unwrap();
    let definition = text.lines().position(|line| line.contains("is_from(image, registries) {")).unwrap();
    assert_eq!(there[0]["range"]["start"]["line"], definition, "{there}");
    let mut at = editor.at(template, &text, "parameters.registries", 12);
    at["context"] = json!({"includeDeclaration": true});
    let places = editor.ask("textDocument/references", at).unwrap();
    let files: Vec<&str> =
        places.as_array().unwrap().iter().map(|place| place["uri"].as_str().unwrap()).collect();
    assert_eq!(files.iter().filter(|uri| uri.ends_with("constraint.yaml")).count(), 1, "{places}");
    assert_eq!(files.iter().filter(|uri| uri.ends_with("template.yaml")).count(), 2, "{places}");

    // Rename: a parameter everywhere; and what would clash is refused.
    let mut at = editor.at(template, &text, "parameters.registries", 12);
    at["newName"] = json!("allowed");
    let edit = editor.ask("textDocument/rename", at).unwrap();
    let new = edited(&text, edits_of(&edit, &editor.uri(template)));
    assert_eq!(new.matches("input.parameters.allowed").count(), 1, "{new}");
    assert!(new.contains("required: [allowed]") && new.contains("            allowed:\n"), "{new}");
    assert!(new.contains("is_from(image, registries)"), "a local variable has its own name: {new}");
    let of_constraint = edited(CONSTRAINT, edits_of(&edit, &editor.uri("policy/constraint.yaml")));
    assert!(of_constraint.contains("    allowed: [registry.example/]"), "{of_constraint}");
    let mut at = editor.at(template, &text, "container := input", 1);
    at["newName"] = json!("msg");
    let refused = editor.ask("textDocument/rename", at).unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("change what the policy means"), "{refused}");
    let mut at = editor.at(template, &text, "is_from(container", 1);
    at["newName"] = json!("comes_from");
    let edit = editor.ask("textDocument/rename", at).unwrap();
    let new = edited(&text, edits_of(&edit, &editor.uri(template)));
    assert_eq!((new.matches("comes_from").count(), new.matches("is_from").count()), (2, 0), "{new}");

    // Formatting: the Rego only, in one edit; the rest of the file stays.
    let wide = text.replace("container := input", "container   :=   input");
    editor.change(template, json!([{"text": wide}]));
    let formatted = |editor: &mut Editor| {
        let options = json!({"tabSize": 2, "insertSpaces": true});
        editor.ask(
            "textDocument/formatting",
            json!({"textDocument": {"uri": editor.uri(template)}, "options": options}),
        )
    };
    let edits = formatted(&mut editor).unwrap();
    let new = edited(&wide, &edits);
    assert!(new.contains("container := input") && new.contains("\tcontainer := input"), "{new}");
    assert_eq!(
        new.lines().take_while(|line| !line.contains("package")).count(),
        text.lines().take_while(|line| !line.contains("package")).count()
    );
    editor.change(template, json!([{"text": text.replace("container := input", "container := := input")}]));
    assert!(formatted(&mut editor).is_err());
    editor.change(template, json!([{"text": text}]));

    // A manifest: what policies find, and the fix that was tried.
    let pod = "manifests/pod.yaml";
    let text = editor.read(pod);
    editor.open(pod, &text);
    let found = editor.diagnostics(pod, |found| !found.is_empty());
    assert_eq!(found, [("K8sPinned/pinned the host's processes are shared".to_owned(), 6)]);
    let range = json!({"start": {"line": 6, "character": 4}, "end": {"line": 6, "character": 4}});
    let about = json!({"diagnostics": []});
    let at = json!({"textDocument": {"uri": editor.uri(pod)}, "range": range, "context": about});
    let actions = editor.ask("textDocument/codeAction", at.clone()).unwrap();
    assert_eq!(actions[0]["isPreferred"], true, "{actions}");
    let new = edited(&text, edits_of(&actions[0]["edit"], &editor.uri(pod)));
    assert!(new.contains("hostPID: false # why?"), "{new}");
    editor.change(pod, json!([{"text": new}]));
    editor.diagnostics(pod, <[_]>::is_empty);
    assert_eq!(editor.ask("textDocument/codeAction", at).unwrap(), json!([]));

    // A suite: its lenses, and a case that is run.
    let suite = "policy/suite.yaml";
    editor.open(suite, SUITE);
    let lenses =
        editor.ask("textDocument/codeLens", json!({"textDocument": {"uri": editor.uri(suite)}})).unwrap();
    let cases: Vec<&Value> = lenses
        .as_array()
        .unwrap()
        .iter()
        .map(|lens| &lens["command"])
        .filter(|command| command["title"] == "run this case")
        .collect();
    assert_eq!(cases.len(), 2, "{lenses}");
    for (command, status) in cases.iter().zip(["passed", "failed"]) {
        let asked = json!({"command": command["command"], "arguments": command["arguments"]});
        let ran = editor.ask("workspace/executeCommand", asked).unwrap();
        assert_eq!(ran["cases"][0]["status"], status, "{ran}");
    }
    let found = editor.diagnostics(suite, |found| !found.is_empty());
    assert!(found[0].0.contains("expected at least one violation"), "{found:?}");
    assert!(editor.shown.iter().any(|text| text == "pinned / allowed: passed"), "{:?}", editor.shown);

    assert_eq!(editor.end(), 0);
}

#[test]
fn what_is_open_counts_and_not_what_is_on_the_disk() {
    let mut editor = Editor::start();
    editor.initialize(&["utf-8", "utf-16"]);
    let (constraint, template, pod) =
        ("policy/constraint.yaml", "policy/template.yaml", "manifests/pod.yaml");
    editor.open(pod, POD);
    editor.diagnostics(pod, |found| !found.is_empty());
    // The policy no longer asks for it, in the editor.
    let without = TEMPLATE.replace("input.review.object.spec.hostPID", "input.review.object.spec.hostIPC");
    editor.open(template, &without);
    editor.diagnostics(pod, <[_]>::is_empty);
    // A constraint is looked at with its template, as that is in the editor; a parameter is proposed.
    let wrong = CONSTRAINT.replace("registries:", "registers:");
    editor.open(constraint, &wrong);
    let found = editor.diagnostics(constraint, |found| !found.is_empty());
    assert!(found.iter().any(|(text, _)| text.contains("registers")), "{found:?}");
    let at = editor.at(constraint, &wrong, "registers", 4);
    let items = editor.ask("textDocument/completion", at).unwrap();
    assert_eq!(names(&items), ["registries"]);
    let at = editor.at(constraint, &wrong, "K8sPinned", 1);
    let there = editor.ask("textDocument/definition", at).unwrap();
    assert_eq!(there[0]["uri"], editor.uri(template), "{there}");
    let document = json!({"textDocument": {"uri": editor.uri(constraint)}});
    editor.notify("textDocument/didClose", document);
    editor.diagnostics(constraint, <[_]>::is_empty);
    let document = json!({"textDocument": {"uri": editor.uri(template)}});
    editor.notify("textDocument/didClose", document);
    editor.diagnostics(pod, |found| !found.is_empty());
    assert_eq!(editor.end(), 0);
}

#[test]
fn positions_are_those_of_the_encoding_that_was_agreed_on() {
    for (encodings, character) in [(&["utf-16"][..], 23), (&["utf-32", "utf-8"], 25)] {
        let mut editor = Editor::start();
        editor.initialize(encodings);
        let text = TEMPLATE.replace("sprintf(\"😀", "sprintf(\"😀\", x) + sprintf(\"");
        editor.open("policy/template.yaml", &text);
        let uri = editor.uri("policy/template.yaml");
        editor.diagnostics("policy/template.yaml", |found| found.iter().any(|(text, _)| text.contains('x')));
        let all = editor.published[&uri]["diagnostics"].clone();
        let of_x =
            all.as_array().unwrap().iter().find(|one| one["message"].as_str().unwrap().contains("var x"));
        let of_x = of_x.unwrap_or_else(|| panic!("{all}"));
        assert_eq!(of_x["range"]["start"]["character"], character + 6, "{of_x}");
        assert_eq!(editor.end(), 0);
    }
}

#[test]
fn what_makes_no_sense_is_answered_and_not_the_end() {
    let mut editor = Editor::start();
    // Before anything was agreed on.
    assert_eq!(editor.ask("textDocument/hover", json!({})).unwrap_err()["code"], -32002);
    editor.initialize(&[]);
    assert_eq!(editor.ask("initialize", json!({"capabilities": {}})).unwrap_err()["code"], -32600);
    assert_eq!(editor.ask("textDocument/formatting", json!({})).unwrap_err()["code"], -32602);
    assert_eq!(editor.ask("textDocument/rangeFormatting", json!({})).unwrap_err()["code"], -32601);
    assert_eq!(editor.ask("textDocument/hover", json!({"position": "nowhere"})).unwrap_err()["code"], -32602);
    assert_eq!(editor.ask("workspace/executeCommand", json!({"command": "rm"})).unwrap_err()["code"], -32602);
    let at = json!({"textDocument": {"uri": editor.uri("not-open.yaml")}, "position": {"line": 0, "character": 0}});
    assert_eq!(editor.ask("textDocument/hover", at).unwrap_err()["code"], -32602);
    editor.notify("$/whatever", json!([1]));
    editor.notify("textDocument/didChange", json!({"textDocument": 3}));
    editor.raw(b"Content-Length: 7\r\n\r\nno json");

    // Places that there are not.
    let template = "policy/template.yaml";
    editor.open(template, TEMPLATE);
    let far =
        json!({"start": {"line": 4_000_000, "character": 9}, "end": {"line": 4_000_001, "character": 0}});
    editor.change(template, json!([{"range": far, "text": "# at the end\n"}]));
    let line = TEMPLATE.lines().position(|line| line.contains('😀')).unwrap();
    let column = TEMPLATE.lines().nth(line).unwrap().find('😀').unwrap() + 1;
    let torn =
        json!({"start": {"line": line, "character": column}, "end": {"line": line, "character": column}});
    editor.change(template, json!([{"range": torn, "text": "x"}]));
    editor.diagnostics(template, <[_]>::is_empty);
    let at = json!({"textDocument": {"uri": editor.uri(template)}, "position": {"line": 4_000_000_000_u64, "character": 1}});
    editor.ask("textDocument/hover", at).unwrap();
    // A change that goes backwards: what the editor has is not known any more, until it says so.
    let back = json!({"start": {"line": 3, "character": 0}, "end": {"line": 1, "character": 0}});
    editor.change(template, json!([{"range": back, "text": ""}]));
    editor
        .diagnostics(template, |found| found.iter().any(|(text, _)| text.contains("ends before it begins")));
    editor.change(template, json!([{"text": TEMPLATE}]));
    editor.diagnostics(template, <[_]>::is_empty);

    // Deep, and large.
    let deep = format!("apiVersion: v1\nkind: Pod\na: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    editor.open("deep.yaml", &deep);
    editor.diagnostics("deep.yaml", |found| !found.is_empty());
    let nested = TEMPLATE.replace("input.review.object.spec.hostPID", &"(".repeat(50_000));
    editor.change(template, json!([{"text": nested}]));
    editor.diagnostics(template, |found| !found.is_empty());
    let large = format!("apiVersion: v1\nkind: Pod\na: {}\n", "x".repeat(20 << 20));
    editor.open("large.yaml", &large);
    editor.diagnostics("large.yaml", |found| found.iter().any(|(text, _)| text.contains("more than 4 MiB")));
    // One that nobody keeps: it is passed over, and what follows is read.
    let length = 100 << 20;
    editor.raw(format!("Content-Length: {length}\r\n\r\n").as_bytes());
    editor.raw(&vec![b' '; length]);
    editor.ask("textDocument/codeLens", json!({"textDocument": {"uri": editor.uri("a.yaml")}})).unwrap();
    assert!(editor.shown.iter().any(|text| text.contains("was not read")), "{:?}", editor.shown);

    editor.ask("shutdown", Value::Null).unwrap();
    assert_eq!(editor.ask("textDocument/hover", json!({})).unwrap_err()["code"], -32600);
    editor.notify("exit", Value::Null);
    assert_eq!(editor.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_header_that_says_nothing_is_the_end() {
    for header in
        ["Content-Length: lots\r\n\r\n", "Content-Length: 18446744073709551615\r\n\r\n{}", "hello\r\n"]
    {
        let mut editor = Editor::start();
        editor.initialize(&[]);
        editor.raw(header.as_bytes());
        editor.to = None;
        assert_eq!(editor.child.wait().unwrap().code(), Some(2), "{header}");
    }
    // Nor is it an end to go away without a word.
    let mut editor = Editor::start();
    editor.initialize(&[]);
    editor.notify("exit", Value::Null);
    assert_eq!(editor.child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_folder_that_holds_too_much_is_said_and_what_is_open_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..30 {
        fs::write(folder.path().join(format!("{number}.yaml")), ALLOWED).unwrap();
    }
    let mut editor = Editor::start_in(folder, &["--max-files", "20"]);
    editor.initialize(&[]);
    editor.open("template.yaml", &TEMPLATE.replace("container.image", "contaner.image"));
    editor.diagnostics("template.yaml", |found| !found.is_empty());
    let until = Instant::now() + PATIENCE;
    while !editor.shown.iter().any(|text| text.contains("more than 20 files")) {
        assert!(editor.next(until).is_some(), "{:?}", editor.shown);
    }
    assert_eq!(editor.end(), 0);
}

#[test]
fn a_configuration_file_counts_if_there_is_one() {
    let mut editor = Editor::start();
    let at = editor.folder.path().to_owned();
    let broken = TEMPLATE.replace("container.image", "contaner.image");
    fs::create_dir(at.join("old")).unwrap();
    fs::write(at.join("old/template.yaml"), broken.replace("pinned", "old").replace("Pinned", "Old"))
        .unwrap();
    fs::write(at.join("portcullis.yaml"), "common:\n  ignore: [old/]\n").unwrap();
    editor.initialize(&[]);
    editor.open("manifests/pod.yaml", POD);
    editor.diagnostics("manifests/pod.yaml", |found| !found.is_empty());
    assert!(!editor.published.keys().any(|uri| uri.contains("/old/")), "{:?}", editor.published);
    fs::write(at.join("portcullis.yaml"), "nonsense: true\n").unwrap();
    editor.notify("textDocument/didSave", json!({"textDocument": {"uri": editor.uri("portcullis.yaml")}}));
    let found = editor.diagnostics("portcullis.yaml", |found| !found.is_empty());
    assert!(found[0].0.contains("nonsense"), "{found:?}");
    assert_eq!(editor.end(), 0);
}

#[test]
#[cfg(unix)]
fn a_folder_behind_a_link_is_called_as_the_editor_calls_it() {
    let mut editor = Editor::start();
    let link = editor.folder.path().join("link");
    fs::create_dir(editor.folder.path().join("real")).unwrap();
    for name in ["policy", "manifests"] {
        fs::rename(editor.folder.path().join(name), editor.folder.path().join("real").join(name)).unwrap();
    }
    std::os::unix::fs::symlink(editor.folder.path().join("real"), &link).unwrap();
    let root = format!("{}/link", editor.uri(""));
    let params = json!({"capabilities": {}, "workspaceFolders": [{"uri": root, "name": "work"}]});
    editor.ask("initialize", params).unwrap();
    editor.open("link/manifests/pod.yaml", POD);
    let found = editor.diagnostics("link/manifests/pod.yaml", |found| !found.is_empty());
    assert!(found[0].0.contains("the host's processes are shared"), "{found:?}");
    assert_eq!(editor.end(), 0);
}

/// Without a folder, only what is open counts: a policy and a manifest, wherever they are.
#[test]
fn files_without_a_folder_are_looked_at_together() {
    let mut editor = Editor::start();
    editor.ask("initialize", json!({"capabilities": {}})).unwrap();
    let (template, pod) = ("policy/template.yaml", "manifests/pod.yaml");
    editor.open(pod, POD);
    editor.open(template, TEMPLATE);
    editor.diagnostics(pod, <[_]>::is_empty);
    editor.open("policy/constraint.yaml", CONSTRAINT);
    let found = editor.diagnostics(pod, |found| !found.is_empty());
    assert_eq!(found[0], ("K8sPinned/pinned the host's processes are shared".to_owned(), 6));
    editor.change(template, json!([{"text": TEMPLATE.replace("container.image", "contaner.image")}]));
    editor.diagnostics(template, |found| found.iter().any(|(text, _)| text.contains("contaner")));
    assert_eq!(editor.end(), 0);
}

#[test]
fn files_of_rego_say_where_they_cannot_be_read() {
    let mut editor = Editor::start();
    editor.ask("initialize", json!({"capabilities": {}})).unwrap();
    let (path, text) =
        ("policy/main.rego", "package main\n\ndeny contains msg if {\n\tinput.a == 1\n\tmsg := helper\n}\n");
    // A name may be of another file.
    editor.open(path, text);
    editor.diagnostics(path, <[_]>::is_empty);
    editor.change(path, json!([{"text": text.replace("== 1", "== )")}]));
    let found = editor.diagnostics(path, |found| !found.is_empty());
    assert_eq!(found[0].1, 3, "{found:?}");
    editor.change(path, json!([{"text": text}]));
    editor.diagnostics(path, <[_]>::is_empty);
    assert_eq!(editor.end(), 0);
}

/// As a policy library has it: the constraint lies among the samples of the suite.
#[test]
fn constraints_among_samples_are_known() {
    let mut editor = Editor::start();
    let at = editor.folder.path().join("policy");
    fs::rename(at.join("constraint.yaml"), at.join("samples/constraint.yaml")).unwrap();
    let suite = SUITE.replace("constraint: constraint.yaml", "constraint: samples/constraint.yaml");
    fs::write(at.join("suite.yaml"), suite).unwrap();
    editor.initialize(&[]);
    let template = "policy/template.yaml";
    editor.open(template, TEMPLATE);
    let place = editor.at(template, TEMPLATE, "object.spec.hostPID", 12);
    assert!(names(&editor.completed(&place)).contains(&"hostPID"));
    let mut place = editor.at(template, TEMPLATE, "parameters.registries", 12);
    place["newName"] = json!("allowed");
    let edit = editor.ask("textDocument/rename", place).unwrap();
    let new = edited(CONSTRAINT, edits_of(&edit, &editor.uri("policy/samples/constraint.yaml")));
    assert!(new.contains("    allowed: [registry.example/]"), "{new}");
    assert_eq!(editor.end(), 0);
}

/// By the definition in a file of the folder that is not open, and then by what it is in the editor.
#[test]
fn fields_of_custom_kinds_are_known_by_the_definitions_of_the_folder() {
    let mut editor = Editor::start();
    let at = editor.folder.path().to_owned();
    let (template, definition) = ("policy/template.yaml", "crds/widget.yaml");
    fs::create_dir(at.join("crds")).unwrap();
    fs::write(at.join(definition), DEFINITION).unwrap();
    let matched =
        CONSTRAINT.replace("apiGroups: [\"\"]", "apiGroups: [example.com]").replace("[Pod]", "[Widget]");
    fs::write(at.join("policy/constraint.yaml"), &matched).unwrap();
    editor.initialize(&["utf-16"]);
    let text =
        TEMPLATE.replace("spec.containers[_]", "spec.parts[_]").replace("spec.hostPID", "spec.size > 3");
    editor.open(template, &text);
    editor.diagnostics(template, <[_]>::is_empty);
    let place = editor.at(template, &text, "object.spec.size", 12);
    let items = editor.completed(&place);
    assert_eq!(names(&items), ["open", "parts", "size"]);
    let place = editor.at(template, &text, "object.spec.size", 13);
    let told = editor.ask("textDocument/hover", place).unwrap().to_string();
    assert!(told.contains("number (of Widget)") && told.contains("How large it is."), "{told}");
    let place = editor.at(template, &text, "container.image", 10);
    assert_eq!(names(&editor.ask("textDocument/completion", place).unwrap()), ["image"]);

    editor.change(template, json!([{"text": text.replace("spec.size", "spec.sise")}]));
    let found = editor.diagnostics(template, |found| !found.is_empty());
    assert!(
        found[0].0.contains("a field `spec.sise`") && found[0].0.contains("did you mean `size`?"),
        "{found:?}"
    );
    // Nobody touches the template: what was said of it goes when the definition is another one.
    editor.open(definition, &DEFINITION.replace("size:", "sise:"));
    editor.diagnostics(template, <[_]>::is_empty);
    editor.change(definition, json!([{"text": DEFINITION}]));
    editor.diagnostics(template, |found| found.iter().any(|(text, _)| text.contains("spec.sise")));
    assert_eq!(editor.end(), 0);
}

#[test]
fn what_several_constraints_find_goes_by_one_fix() {
    let mut editor = Editor::start();
    let second = CONSTRAINT
        .replace("name: pinned", "name: pinned-too")
        .replace("spec:\n", "spec:\n  enforcementAction: warn\n");
    fs::write(editor.folder.path().join("policy/second.yaml"), second).unwrap();
    editor.initialize(&["utf-16"]);
    let pod = "manifests/pod.yaml";
    editor.open(pod, POD);
    editor.diagnostics(pod, |found| found.len() == 2);
    let place = json!({"line": 6, "character": 4});
    let asked = json!({
        "textDocument": {"uri": editor.uri(pod)},
        "range": {"start": place, "end": place},
        "context": {"diagnostics": []},
    });
    let actions = editor.ask("textDocument/codeAction", asked).unwrap();
    assert_eq!(actions.as_array().unwrap().len(), 1, "{actions}");
    let about: Vec<&str> = actions[0]["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(about, ["K8sPinned/pinned", "K8sPinned/pinned-too"]);
    assert_eq!(editor.end(), 0);
}

/// Texts that come and go leave nothing behind, and what is asked then is answered.
#[test]
fn texts_that_are_opened_and_closed_in_a_row_leave_nothing_behind() {
    let mut editor = Editor::start();
    editor.initialize(&["utf-16"]);
    let started = Instant::now();
    for number in 0..3000 {
        let name = format!("manifests/{}.yaml", number % 1500);
        editor.open(&name, POD);
        editor.notify("textDocument/didClose", json!({"textDocument": {"uri": editor.uri(&name)}}));
    }
    // It is not on the disk, and judged all the same.
    editor.open("manifests/last.yaml", &POD.replace("name: web\n  namespace", "name: last\n  namespace"));
    let found = editor.diagnostics("manifests/last.yaml", |found| !found.is_empty());
    assert!(found[0].0.contains("the host's processes are shared"), "{found:?}");
    println!("3000 texts: {:?}", started.elapsed());
    let shown = editor.published.iter().filter(|(_, params)| params["diagnostics"] != json!([]));
    let shown: Vec<&String> = shown.map(|(uri, _)| uri).filter(|uri| uri.contains("/manifests/")).collect();
    assert_eq!(shown, [&editor.uri("manifests/last.yaml")]);
    assert_eq!(editor.end(), 0);
}

/// A folder that holds itself, and a file that nobody could read: the policies count all the same.
#[test]
#[cfg(unix)]
fn a_folder_that_holds_itself_and_a_huge_file_is_read() {
    let mut editor = Editor::start();
    let at = editor.folder.path().to_owned();
    std::os::unix::fs::symlink(&at, at.join("policy/loop")).unwrap();
    std::os::unix::fs::symlink("b", at.join("a")).unwrap();
    std::os::unix::fs::symlink("a", at.join("b")).unwrap();
    fs::File::create(at.join("huge.yaml")).unwrap().set_len(2 << 30).unwrap();
    editor.initialize(&["utf-16"]);
    editor.open("manifests/pod.yaml", POD);
    let found = editor.diagnostics("manifests/pod.yaml", |found| !found.is_empty());
    assert!(found[0].0.contains("the host's processes are shared"), "{found:?}");
    assert!(editor.shown.iter().any(|text| text.contains("huge.yaml")), "{:?}", editor.shown);
    assert_eq!(editor.end(), 0);
}
