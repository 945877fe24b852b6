//! Writes a generated dump of a cluster to standard output, object by object:
//! `dump FORM COUNT [SEED] [KINDS]`.
//!
//! FORM is `ndjson`, `list` (as `kubectl get -o json` prints it) or `yaml`; KINDS is `mixed` (Deployments,
//! Services, Ingresses and Pods in twelve namespaces, some at fault) or `ingresses` (two in twenty of which
//! have one host in common). The same arguments give the same bytes on every machine.

use std::io::{self, BufWriter, Write as _};
use std::{env, process};

use portcullis::Document;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let text = |position: usize, default: &'static str| args.get(position).map_or(default, String::as_str);
    let number = |position: usize, default: u64| text(position, "").parse().unwrap_or(default);
    let (form, count, seed) = (text(0, ""), usize::try_from(number(1, 1000)).unwrap_or(1000), number(2, 7));
    let manifests: Box<dyn Iterator<Item = String>> = match text(3, "mixed") {
        "ingresses" => Box::new(portcullis_benches::each_ingress(count, seed)),
        _ => Box::new(portcullis_benches::each_manifest(count, seed)),
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let json =
        |manifest: &str| Document::read_all("generated.yaml", manifest).0.first().map(Document::to_json);
    match form {
        "yaml" => {
            for manifest in manifests {
                out.write_all(manifest.as_bytes())?;
            }
        }
        "ndjson" => {
            for object in manifests.filter_map(|manifest| json(&manifest)) {
                writeln!(out, "{object}")?;
            }
        }
        "list" => {
            writeln!(out, "{{\n    \"apiVersion\": \"v1\",\n    \"items\": [")?;
            for (index, object) in manifests.filter_map(|manifest| json(&manifest)).enumerate() {
                let comma = if index == 0 { "" } else { ",\n" };
                write!(out, "{comma}{}", serde_json::to_string_pretty(&object)?)?;
            }
            writeln!(
                out,
                "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {{\"resourceVersion\": \"\"}}\n}}"
            )?;
        }
        _ => {
            eprintln!("usage: dump ndjson|list|yaml COUNT [SEED] [mixed|ingresses]");
            process::exit(2);
        }
    }
    out.flush()
}
