//! Writes what the webhook is measured with: `webhook_inputs LIBRARY RECORDINGS DIRECTORY`.
//!
//! `LIBRARY` is the folder `library` of gatekeeper-library: its templates and each of its sample constraints
//! once become `DIRECTORY/policies`. `RECORDINGS` holds an AdmissionReview per line: they become
//! `DIRECTORY/requests.lua`, which has `wrk` post one after the other and counts answers that are no
//! AdmissionReview. README.md says how both are used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use portcullis::{Document, Object};

const SCRIPT: &str = r#"
-- Every connection begins elsewhere, so that not all of them ask the same at the same time.
local threads = 0
function setup(thread)
  thread:set("first", threads * 17)
  threads = threads + 1
end
local requests = {}
function init(args)
  for i, body in ipairs(bodies) do
    requests[i] = wrk.format("POST", "/v1/admit?timeout=10s", { ["content-type"] = "application/json" }, body)
  end
  next_request = first
end
function request()
  next_request = next_request + 1
  return requests[next_request % #requests + 1]
end
wrong = 0
function response(status, headers, body)
  if status ~= 200 or not body:find('"uid":"', 1, true) then wrong = wrong + 1 end
end
function done(summary, latency)
  print(string.format("p50 %.2f ms, p99 %.2f ms, max %.2f ms", latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
"#;

fn main() -> io::Result<()> {
    let args: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [library, recordings, directory] = args.as_slice() else {
        return Err(io::Error::other("usage: webhook_inputs LIBRARY RECORDINGS DIRECTORY"));
    };
    let policies = directory.join("policies");
    fs::create_dir_all(&policies)?;
    let (mut templates, mut constraints) = (0, BTreeSet::new());
    for folder in folders(library)?.iter().flat_map(|area| folders(area).unwrap_or_default()) {
        let Ok(template) = fs::read_to_string(folder.join("template.yaml")) else { continue };
        fs::write(policies.join(format!("template-{templates:03}.yaml")), template)?;
        templates += 1;
        for sample in folders(&folder.join("samples")).unwrap_or_default() {
            let Ok(text) = fs::read_to_string(sample.join("constraint.yaml")) else { continue };
            let (documents, _) = Document::read_all("constraint.yaml", &text);
            let objects = documents.into_iter().filter_map(|document| Object::from_document(document).ok());
            let names: Vec<String> = objects.map(|object| object.to_string()).collect();
            let number = constraints.len();
            if constraints.insert(names) {
                fs::write(policies.join(format!("constraint-{number:03}.yaml")), text)?;
            }
        }
    }
    let text = fs::read_to_string(recordings)?;
    let bodies: Vec<String> = text.lines().map(lua).collect();
    let script = format!("bodies = {{\n{}\n}}\n{SCRIPT}", bodies.join(",\n"));
    fs::write(directory.join("requests.lua"), script)?;
    println!("{templates} templates, {} constraints, {} requests", constraints.len(), bodies.len());
    Ok(())
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// A long string of Lua, closed by what is not in the text.
fn lua(text: &str) -> String {
    let mut level = String::new();
    while text.contains(&format!("]{level}]")) {
        level.push('=');
    }
    format!("[{level}[{text}]{level}]")
}
