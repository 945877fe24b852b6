//! An editor: starts the server, sends messages and waits for answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ALLOWED, CONSTRAINT, PATIENCE, POD, SUITE, TEMPLATE};

/// An editor, with the server that it started.
pub(super) struct Editor {
    pub(super) child: Child,
    pub(super) to: Option<ChildStdin>,
    pub(super) from: Receiver<Value>,
    pub(super) asked: i32,
    /// What was published last, by address.
    pub(super) published: BTreeMap<String, Value>,
    pub(super) shown: Vec<String>,
    pub(super) versions: BTreeMap<String, i32>,
    pub(super) folder: tempfile::TempDir,
}

impl Editor {
    /// In a folder with a policy, without any configuration file.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::create_dir_all(at.join("policy/samples")).unwrap();
        fs::create_dir_all(at.join("manifests")).unwrap();
        for (name, text) in [
            ("policy/template.yaml", TEMPLATE),
            ("policy/constraint.yaml", CONSTRAINT),
            ("policy/suite.yaml", SUITE),
            ("policy/samples/allowed.yaml", ALLOWED),
            ("manifests/pod.yaml", POD),
        ] {
            fs::write(at.join(name), text).unwrap();
        }
        Self::start_in(folder, &[])
    }

    pub(super) fn start_in(folder: tempfile::TempDir, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["lsp", "--stdio"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, out) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, from) = channel();
        thread::spawn(move || {
            let mut out = BufReader::new(out);
            loop {
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if out.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = number.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                out.read_exact(&mut body).unwrap();
                if send.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            to,
            from,
            asked: 0,
            published: BTreeMap::new(),
            shown: Vec::new(),
            versions: BTreeMap::new(),
            folder,
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let to = self.to.as_mut().unwrap();
        to.write_all(bytes).unwrap();
        to.flush().unwrap();
    }

    pub(super) fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    pub(super) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Takes the next message, if one comes in time.
    pub(super) fn next(&mut self, until: Instant) -> Option<Value> {
        let message = self.from.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
        match message["method"].as_str() {
            Some("textDocument/publishDiagnostics") => {
                let uri = message["params"]["uri"].as_str().unwrap().to_owned();
                self.published.insert(uri, message["params"].clone());
            }
            Some("window/showMessage" | "window/logMessage") => {
                self.shown.push(message["params"]["message"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
        Some(message)
    }

    pub(super) fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let until = Instant::now() + PATIENCE;
        while let Some(message) = self.next(until) {
            if message["id"] == id && message.get("method").is_none() {
                return match message.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(message["result"].clone()),
                };
            }
        }
        panic!("`{method}` was not answered");
    }

    /// What is proposed, as soon as something is: at first policies are still read.
    pub(super) fn completed(&mut self, at: &Value) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let items = self.ask("textDocument/completion", at.clone()).unwrap();
            if items != json!([]) || Instant::now() > until {
                return items;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn initialize(&mut self, encodings: &[&str]) -> Value {
        let root = self.uri("");
        let answer = self.ask(
            "initialize",
            json!({
                "processId": null,
                "rootUri": root,
                "workspaceFolders": [{"uri": root, "name": "work"}],
                "capabilities": {
                    "general": {"positionEncodings": encodings},
                    "workspace": {"workspaceEdit": {"documentChanges": true}},
                },
            }),
        );
        self.notify("initialized", json!({}));
        answer.unwrap()
    }

    pub(super) fn uri(&self, name: &str) -> String {
        let path = self.folder.path().canonicalize().unwrap().join(name);
        format!("file://{}", path.display()).trim_end_matches('/').to_owned()
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    pub(super) fn open(&mut self, name: &str, text: &str) {
        let uri = self.uri(name);
        self.versions.insert(name.to_owned(), 1);
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document}));
    }

    pub(super) fn change(&mut self, name: &str, changes: Value) {
        let version = self.versions.entry(name.to_owned()).or_default();
        *version += 1;
        let (uri, version) = (self.uri(name), self.versions[name]);
        let document = json!({"uri": uri, "version": version});
        self.notify("textDocument/didChange", json!({"textDocument": document, "contentChanges": changes}));
    }

    /// What is published of a file, as soon as it is as it should be: `code message` and the line from 0.
    pub(super) fn diagnostics(
        &mut self,
        name: &str,
        wanted: impl Fn(&[(String, u64)]) -> bool,
    ) -> Vec<(String, u64)> {
        let (uri, until) = (self.uri(name), Instant::now() + PATIENCE);
        loop {
            let found: Vec<(String, u64)> = self.published.get(&uri).map(listed).unwrap_or_default();
            if self.published.contains_key(&uri) && wanted(&found) {
                return found;
            }
            assert!(self.next(until).is_some(), "{name}: {found:?}");
        }
    }

    pub(super) fn at(&self, name: &str, text: &str, needle: &str, behind: usize) -> Value {
        let offset = text.find(needle).unwrap_or_else(|| panic!("no `{needle}`")) + behind;
        let before = &text[..offset];
        let line = before.matches('\n').count();
        let column: usize = before.rsplit('\n').next().unwrap().encode_utf16().count();
        json!({"textDocument": {"uri": self.uri(name)}, "position": {"line": line, "character": column}})
    }

    pub(super) fn end(mut self) -> i32 {
        self.ask("shutdown", Value::Null).unwrap();
        self.notify("exit", Value::Null);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.to = None;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && self.child.try_wait().is_ok_and(|code| code.is_none()) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn listed(params: &Value) -> Vec<(String, u64)> {
    let each = params["diagnostics"].as_array().unwrap().iter().map(|diagnostic| {
        let text =
            format!("{} {}", diagnostic["code"].as_str().unwrap(), diagnostic["message"].as_str().unwrap());
        (text, diagnostic["range"]["start"]["line"].as_u64().unwrap())
    });
    each.collect()
}

/// A text with edits of the protocol, as editors make them.
pub(super) fn edited(text: &str, edits: &Value) -> String {
    let offset = |position: &Value| {
        let line = usize::try_from(position["line"].as_u64().unwrap()).unwrap();
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let wanted = usize::try_from(position["character"].as_u64().unwrap()).unwrap();
        let mut units = 0;
        let inside = text[start..].char_indices().find(|(_, c)| {
            let is_it = units >= wanted;
            units += c.len_utf16();
            is_it
        });
        start + inside.map_or(text.len() - start, |(at, _)| at)
    };
    let mut edits: Vec<(usize, usize, &str)> = edits
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| {
            let range = &edit["range"];
            (offset(&range["start"]), offset(&range["end"]), edit["newText"].as_str().unwrap())
        })
        .collect();
    edits.sort_unstable();
    edits
        .iter()
        .rev()
        .fold(text.to_owned(), |text, (start, end, new)| format!("{}{new}{}", &text[..*start], &text[*end..]))
}

/// The edits of a file in an edit of several.
pub(super) fn edits_of<'v>(edit: &'v Value, uri: &str) -> &'v Value {
    let all = edit["documentChanges"].as_array().unwrap();
    let of = all.iter().find(|one| one["textDocument"]["uri"] == uri);
    &of.unwrap_or_else(|| panic!("{uri}: {edit}"))["edits"]
}

pub(super) fn names(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect()
}
