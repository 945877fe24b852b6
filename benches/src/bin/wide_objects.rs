//! Judges single objects with ever more containers, of which each has a finding that quotes it, and one
//! finding that quotes the whole object, and prints a table: for each form of report of `test` and `audit`
//! the milliseconds by number of containers, and how large the report is of the largest. Placing findings and
//! writing them should take time with the size of the object, not with its square.
//!
//! `wide_objects PROGRAM [CONTAINERS]…`, where PROGRAM is `portcullis` as released.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: ownimages}
spec:
  crd: {spec: {names: {kind: OwnImages}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package ownimages
      violation[{"msg": msg}] {
        c := input.review.object.spec.containers[_]
        not startswith(c.image, "images.example/")
        msg := sprintf("%v runs %v, which is not ours", [c.name, c.image])
      }
      violation[{"msg": msg}] { msg := sprintf("all of it: %v", [input.review.object]) }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: OwnImages
metadata: {name: own-images}
"#;

const TEST_FORMS: &[&str] = &["human", "json", "yaml", "junit", "sarif", "github"];
const AUDIT_FORMS: &[&str] =
    &["human", "json", "yaml", "ndjson", "junit", "sarif", "html", "policy-report", "openreports"];

/// Milliseconds, and bytes of the report.
fn measured(program: &Path, folder: &Path, args: &[&str]) -> io::Result<(u128, u64)> {
    let out = fs::File::create(folder.join("out"))?;
    let began = Instant::now();
    let limits = ["--max-steps", "100000000", "--max-policy-memory", "1GiB", "--timeout", "60"];
    let status = Command::new(program)
        .args(args)
        .args(limits)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::null())
        .status()?;
    let took = began.elapsed().as_millis();
    if status.code() != Some(1) {
        return Err(io::Error::other(format!("{args:?} ended with {status}, not with findings")));
    }
    Ok((took, fs::metadata(folder.join("out"))?.len()))
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(program) = args.next() else {
        eprintln!("usage: wide_objects PROGRAM [CONTAINERS]…");
        std::process::exit(2);
    };
    // It runs in another directory.
    let program = fs::canonicalize(program)?;
    let mut sizes: Vec<usize> = args.filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 5_000, 10_000, 20_000];
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    fs::write(path.join("policies.yaml"), POLICIES)?;
    print!("{:<22}", "containers");
    for size in &sizes {
        let containers = (0..*size).map(|number| serde_json::json!({"name": format!("c{number}"), "image": format!("other.example/i{number}")}));
        let pod = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide", "namespace": "shop"},
            "spec": {"containers": containers.collect::<Vec<_>>()},
        });
        fs::write(path.join(format!("{size}.json")), pod.to_string())?;
        print!("{size:>9}");
    }
    println!("{:>12}", "KiB");
    let ways =
        TEST_FORMS.iter().map(|form| ("test", form)).chain(AUDIT_FORMS.iter().map(|form| ("audit", form)));
    for (command, form) in ways {
        print!("{:<22}", format!("{command} {form}"));
        let mut bytes = 0;
        for size in &sizes {
            let object = format!("{size}.json");
            let args = [command, "-p", "policies.yaml", &object, "-o", form];
            let (took, length) = measured(&program, path, &args)?;
            bytes = length;
            print!("{took:>9}");
        }
        println!("{:>12}", bytes >> 10);
    }
    println!("milliseconds of the whole process");
    Ok(())
}
