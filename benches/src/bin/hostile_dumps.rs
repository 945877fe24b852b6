//! Audits dumps that are made to take memory, each in a process of its own with the least ceiling, and prints
//! a table: what it is, how the process ended, how long it took, and the most memory that it ever had. Ends
//! with 1 if one took more than it may, or passed.
//!
//! `hostile_dumps PROGRAM [NAME]`, where PROGRAM is `portcullis` as released, and NAME a part of the dumps'
//! names.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What `--max-memory` is set to, and what the process may have with the program itself.
const CEILING: &str = "64MiB";
const MAX_KIB: u64 = 96 << 10;
/// What is dense and small is judged as a whole, and nothing is wrong with it.
const FITS: &[&str] = &["dense-small.ndjson.gz"];

const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nopriv}
spec:
  crd: {spec: {names: {kind: NoPriv}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nopriv
      violation[{"msg": msg, "details": {"pod": input.review.object.metadata}}] {
        c := input.review.object.spec.containers[_]
        c.securityContext.privileged
        msg := sprintf("container %v of %v is privileged", [c.name, input.review.object.metadata.name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoPriv
metadata: {name: nopriv}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package uniquehost
      violation[{"msg": msg}] {
        host := input.review.object.spec.rules[_].host
        other := data.inventory.namespace[ns][_].Ingress[name]
        other.spec.rules[_].host == host
        [ns, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
        msg := sprintf("host %v is that of %v/%v too", [host, ns, name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: unique-host}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: repeats}
spec:
  crd: {spec: {names: {kind: Repeats}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package repeats
      violation[{"msg": msg, "details": {"name": input.review.object.metadata.name, "texts": texts}}] {
        texts := [text | numbers.range(1, 1000)[_]; text := input.review.object.data.text]
        msg := sprintf("%v: %v", [input.review.object.metadata.name, concat("", texts)])
        print(msg)
      }
"#;

/// Constraints of the template that says much, for objects wherever they are, and for those of a namespace.
fn constraints() -> String {
    let constraint = |number: usize| {
        let namespaces = if number.is_multiple_of(2) { "" } else { ", namespaces: [prod]" };
        format!(
            "---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Repeats\nmetadata: {{name: repeats-{number}}}\nspec:\n  match: {{kinds: [{{apiGroups: [\"\"], kinds: [ConfigMap]}}]{namespaces}}}\n"
        )
    };
    (0..20).map(constraint).collect()
}

/// ConfigMaps with a text that policies repeat a thousand times; then something that is not an object.
fn maps(out: &mut dyn Write, count: usize, bytes: usize, namespace: &str) -> io::Result<()> {
    lines(out, count, |number| {
        let text = "t".repeat(bytes);
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m-{number}"{namespace}}},"data":{{"text":"{text}"}}}}"#
        )
    })?;
    out.write_all(b"x")
}

/// A dump: its file, and what writes it.
struct Dump {
    name: &'static str,
    write: fn(&mut dyn Write) -> io::Result<()>,
}

fn repeat(out: &mut dyn Write, text: &str, bytes: usize) -> io::Result<()> {
    let block = text.repeat((1 << 16) / text.len() + 1);
    for _ in 0..=bytes / block.len() {
        out.write_all(block.as_bytes())?;
    }
    Ok(())
}

fn lines(out: &mut dyn Write, count: usize, line: impl Fn(usize) -> String) -> io::Result<()> {
    (0..count).try_for_each(|number| writeln!(out, "{}", line(number)))
}

/// A Pod that has something of some bytes in its `spec`.
fn dense(out: &mut dyn Write, count: usize, bytes: usize, around: [&str; 2], part: &str) -> io::Result<()> {
    lines(out, count, |number| {
        let name = format!(r#""metadata":{{"name":"p-{number}","namespace":"a"}}"#);
        let parts = part.repeat(bytes / part.len());
        let parts = parts.trim_end_matches(',');
        format!(r#"{{"apiVersion":"v1","kind":"Pod",{name},"spec":{}{parts}{}}}"#, around[0], around[1])
    })
}

fn frame(exponent: u8, mebibytes: u32, byte: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3];
    for block in 0..mebibytes * 8 {
        let head = u32::from(block + 1 == mebibytes * 8) | 1 << 1 | (128 << 10) << 3;
        frame.extend(head.to_le_bytes().iter().take(3));
        frame.push(byte);
    }
    frame
}

const MIB: usize = 1 << 20;

/// Names that end in `.gz` are packed when they are written.
const DUMPS: &[Dump] = &[
    Dump {
        name: "nesting.json.gz",
        write: |out| {
            out.write_all(b"{\"a\":")?;
            repeat(out, "[", 512 * MIB)
        },
    },
    Dump { name: "nesting-objects.json.gz", write: |out| repeat(out, "{\"a\":", 512 * MIB) },
    Dump {
        name: "nesting-in-list.json.gz",
        write: |out| {
            out.write_all(b"{\"kind\":\"List\",\"items\":[")?;
            repeat(out, "[", 256 * MIB)
        },
    },
    Dump {
        name: "nesting-yaml.yaml.gz",
        write: |out| {
            out.write_all(b"a: ")?;
            repeat(out, "[", 256 * MIB)
        },
    },
    Dump { name: "window-128MiB.zst", write: |out| out.write_all(&frame(17, 600, b'[')) },
    Dump { name: "window-2GiB.zst", write: |out| out.write_all(&frame(21, 600, b' ')) },
    Dump { name: "window-2TiB.zst", write: |out| out.write_all(&frame(31, 1, b'[')) },
    Dump { name: "window-8MiB.zst", write: |out| out.write_all(&frame(13, 1024, b'[')) },
    Dump {
        name: "one-text.json.gz",
        write: |out| {
            out.write_all(b"{\"a\":\"")?;
            repeat(out, "x", 512 * MIB)
        },
    },
    Dump { name: "one-line.yaml.gz", write: |out| repeat(out, "x", 512 * MIB) },
    Dump {
        name: "one-key.yaml.gz",
        write: |out| {
            out.write_all(b"apiVersion: v1\nitems:\n- a: 1\nx: ")?;
            repeat(out, "x", 512 * MIB)
        },
    },
    Dump {
        name: "one-separator.yaml.gz",
        write: |out| {
            repeat(out, "a: 1\n", MIB)?;
            out.write_all(b"---")?;
            repeat(out, " ", 256 * MIB)
        },
    },
    Dump {
        name: "white-space.gz",
        write: |out| {
            repeat(out, "\n", 128 * MIB)?;
            out.write_all(b"x")
        },
    },
    Dump {
        name: "separators.yaml.gz",
        write: |out| {
            repeat(out, "---\n", 64 * MIB)?;
            out.write_all(b"x")
        },
    },
    Dump {
        name: "junk-lines.json.gz",
        write: |out| {
            repeat(out, "{}\n", MIB)?;
            repeat(out, "x\n", 2 * MIB)
        },
    },
    Dump {
        name: "junk-items.json.gz",
        write: |out| {
            out.write_all(b"{\"kind\":\"List\",\"items\":[")?;
            repeat(out, "1,", 4 * MIB)
        },
    },
    Dump { name: "junk-documents.yaml.gz", write: |out| repeat(out, "---\n{\n", 2 * MIB) },
    Dump { name: "tiny-objects.json.gz", write: |out| repeat(out, "{}", 4 * MIB) },
    Dump {
        name: "many-items-keys.json.gz",
        write: |out| {
            out.write_all(b"{\"kind\":\"List\",")?;
            repeat(out, "\"items\":[],", 16 * MIB)
        },
    },
    Dump { name: "dense-numbers.ndjson.gz", write: |out| dense(out, 60, MIB - 300, ["[", "]"], "0,") },
    Dump { name: "dense-lists.ndjson.gz", write: |out| dense(out, 60, MIB - 300, ["[", "]"], "[],") },
    Dump { name: "dense-objects.ndjson.gz", write: |out| dense(out, 60, MIB - 300, ["[", "]"], "{\"\":0},") },
    Dump { name: "dense-below.ndjson.gz", write: |out| dense(out, 400, 80_000 * 7, ["[", "]"], "{\"\":0},") },
    Dump { name: "dense-small.ndjson.gz", write: |out| dense(out, 4000, 7000, ["[", "]"], "{\"\":0},") },
    Dump {
        name: "dense-yaml.yaml.gz",
        write: |out| {
            for _ in 0..40 {
                out.write_all(b"---\napiVersion: v1\nkind: Pod\nspec: [")?;
                repeat(out, "{a},", 900 << 10)?;
                out.write_all(b"]\n")?;
            }
            Ok(())
        },
    },
    Dump {
        name: "dense-list.yaml.gz",
        write: |out| {
            out.write_all(b"apiVersion: v1\nkind: List\nitems:\n")?;
            for _ in 0..40 {
                out.write_all(b"- {apiVersion: v1, kind: Pod, spec: [")?;
                repeat(out, "{a},", 900 << 10)?;
                out.write_all(b"]}\n")?;
            }
            Ok(())
        },
    },
    Dump {
        name: "aliases.yaml.gz",
        write: |out| {
            for _ in 0..200 {
                out.write_all(b"---\napiVersion: v1\nkind: Pod\nx: &x {")?;
                for key in 0..999 {
                    write!(out, "k{key}: 1, ")?;
                }
                out.write_all(b"}\ny:\n")?;
                repeat(out, "- {<<: *x}\n", 120_000)?;
            }
            Ok(())
        },
    },
    Dump {
        name: "kinds.ndjson.gz",
        write: |out| {
            lines(out, 1_000_000, |number| {
                format!(
                    r#"{{"apiVersion":"g{number}.example.com/v1","kind":"K{number}","metadata":{{"name":"a"}}}}"#
                )
            })
        },
    },
    Dump {
        name: "namespaces.ndjson.gz",
        write: |out| {
            lines(out, 400_000, |number| {
                format!(
                    r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"a","namespace":"n-{number}"}},"spec":{{"containers":[{{"name":"c","securityContext":{{"privileged":true}}}}]}}}}"#
                )
            })
        },
    },
    Dump {
        name: "same-names.ndjson.gz",
        write: |out| {
            lines(out, 200_000, |number| {
                format!(
                    r#"{{"apiVersion":"g{}/v1","kind":"K","metadata":{{"name":"a","namespace":"n"}}}}"#,
                    number % 7000
                )
            })?;
            out.write_all(b"x")
        },
    },
    Dump {
        name: "long-names.ndjson.gz",
        write: |out| {
            lines(out, 200, |number| {
                format!(
                    r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}{number}","namespace":"{}"}},"spec":{{"containers":[{{"name":"c","securityContext":{{"privileged":true}}}}]}}}}"#,
                    "n".repeat(300_000),
                    "s".repeat(300_000)
                )
            })
        },
    },
    Dump {
        name: "long-labels.ndjson.gz",
        write: |out| {
            lines(out, 40, |number| {
                let containers = r#"{"name":"c","securityContext":{"privileged":true}},"#.repeat(1000);
                format!(
                    r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p-{number}","namespace":"a","labels":{{"l":"{}"}}}},"spec":{{"containers":[{}]}}}}"#,
                    "x".repeat(500_000),
                    containers.trim_end_matches(',')
                )
            })
        },
    },
    Dump {
        name: "many-findings.ndjson.gz",
        write: |out| {
            lines(out, 200, |number| {
                let container =
                    |number| format!(r#"{{"name":"c{number}","securityContext":{{"privileged":true}}}},"#);
                let containers = (0..8000).map(container).collect::<Vec<_>>().concat();
                format!(
                    r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p-{number}","namespace":"a"}},"spec":{{"containers":[{}]}}}}"#,
                    containers.trim_end_matches(',')
                )
            })
        },
    },
    Dump {
        name: "inventory.ndjson.gz",
        write: |out| {
            lines(out, 100_000, |number| {
                format!(
                    r#"{{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{{"name":"i-{number}","namespace":"a"}},"spec":{{"rules":[{{"host":"{}-{number}.example.com"}}]}}}}"#,
                    "h".repeat(1000)
                )
            })
        },
    },
    Dump {
        name: "duplicate-keys.ndjson.gz",
        write: |out| {
            lines(out, 200, |number| {
                format!(
                    r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p-{number}","namespace":"a"}},"spec":{{{}"a":1}}}}"#,
                    r#""a":0,"#.repeat(60_000)
                )
            })?;
            out.write_all(b"x")
        },
    },
    Dump {
        name: "members.gz",
        write: |out| {
            for _ in 0..200_000 {
                GzEncoder::new(&mut *out, Compression::fast()).finish()?;
            }
            out.write_all(b"x")
        },
    },
    // Much is found in each of many small objects; of some by each of many constraints.
    Dump { name: "messages-1MiB.ndjson.gz", write: |out| maps(out, 60, 1000, r#","namespace":"a""#) },
    Dump { name: "messages-100KiB.ndjson.gz", write: |out| maps(out, 200, 100, r#","namespace":"a""#) },
    Dump { name: "messages-10KiB.ndjson.gz", write: |out| maps(out, 1000, 10, r#","namespace":"a""#) },
    Dump { name: "elsewhere-1MiB.ndjson.gz", write: |out| maps(out, 60, 1000, "") },
    Dump { name: "elsewhere-10KiB.ndjson.gz", write: |out| maps(out, 1000, 10, "") },
    Dump { name: "documents.json", write: |out| out.write_all("{}".repeat((64 << 10) / 2).as_bytes()) },
    Dump {
        name: "documents.yaml",
        write: |out| out.write_all("{}\n---\n".repeat((64 << 10) / 7).as_bytes()),
    },
    Dump {
        name: "far-to-the-right.yaml.gz",
        write: |out| {
            for _ in 0..300 {
                repeat(out, " ", 900 << 10)?;
                out.write_all(b"a: 1\n---\n")?;
            }
            Ok(())
        },
    },
    Dump {
        name: "definitions.ndjson.gz",
        write: |out| {
            lines(out, 400_000, |number| {
                format!(
                    r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"k{number}.g"}},"spec":{{"group":"g{number}.example.com","scope":"Cluster","names":{{"kind":"K{number}"}}}}}}"#
                )
            })
        },
    },
    Dump {
        name: "own-namespaces.ndjson.gz",
        write: |out| {
            lines(out, 400_000, |number| {
                format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"n{number}"}}}}"#)
            })
        },
    },
    Dump {
        name: "tiny-inventory.ndjson.gz",
        write: |out| {
            lines(out, 400_000, |number| {
                format!(
                    r#"{{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{{"name":"{number}","namespace":"{number}"}}}}"#
                )
            })
        },
    },
    Dump {
        name: "garbage-behind.gz",
        write: |out| {
            let mut packed = GzEncoder::new(&mut *out, Compression::fast());
            repeat(&mut packed, "{}\n", MIB)?;
            packed.finish()?;
            repeat(out, "\0", 64 * MIB)?;
            out.write_all(b"evil")
        },
    },
    Dump {
        name: "skippable-4GiB.zst",
        write: |out| {
            out.write_all(&frame(13, 1, b'\n'))?;
            out.write_all(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff])?;
            repeat(out, "\0", 64 * MIB)
        },
    },
    Dump {
        name: "dictionary.zst",
        // A frame that needs a dictionary which nobody has.
        write: |out| out.write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x18, 7, 0x01, 0x00, 0x00]),
    },
];

struct Ended {
    code: Option<i32>,
    seconds: f64,
    kib: u64,
    says: String,
}

/// Runs the program to its end, looking at its memory all the time.
fn measured(program: &str, folder: &Path, dump: &Path) -> io::Result<Ended> {
    let out = folder.join("out.json");
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg("audit")
        .args(["--max-memory", CEILING, "-q", "-p"])
        .arg(folder.join("policies.yaml"))
        .arg("--json")
        .arg(&out)
        .arg("--html")
        .arg(folder.join("out.html"))
        .arg("--policy-report")
        .arg(folder.join("out.report"))
        .arg(dump)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut kib = 0;
    let ended = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib = kib.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let says = fs::read(&out).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let says = says.map(|report| {
        let word = |key: &str| report.get(key).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
        format!("{} {}", word("standing"), word("completion"))
    });
    let _ = fs::remove_file(&out);
    Ok(Ended {
        code: ended.code(),
        seconds: began.elapsed().as_secs_f64(),
        kib,
        says: says.unwrap_or_default(),
    })
}

fn write(dump: &Dump, path: &PathBuf) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    // Those pack themselves.
    if matches!(dump.name, "members.gz" | "garbage-behind.gz") || !is_packed {
        (dump.write)(&mut file)?;
    } else {
        let mut packed = GzEncoder::new(&mut file, Compression::fast());
        (dump.write)(&mut packed)?;
        packed.finish()?;
    }
    file.flush()
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(program) = args.first() else {
        eprintln!("usage: hostile_dumps PROGRAM [NAME]");
        std::process::exit(2);
    };
    let wanted = args.get(1).map_or("", String::as_str);
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("policies.yaml"), format!("{POLICIES}{}", constraints()))?;
    let mut failed = 0;
    println!("{:<28} {:>4} {:>9} {:>8}  says", "dump", "exit", "MiB", "seconds");
    for dump in DUMPS.iter().filter(|dump| dump.name.contains(wanted)) {
        let path = folder.path().join(dump.name);
        write(dump, &path)?;
        let Ended { code, seconds, kib, says } = measured(program, folder.path(), &path)?;
        fs::remove_file(&path)?;
        let (wanted, standing) = if FITS.contains(&dump.name) { (0, "clean") } else { (2, "incomplete") };
        let fine = code == Some(wanted) && kib < MAX_KIB && says.starts_with(standing);
        failed += i32::from(!fine);
        let mark = if fine { "" } else { "  <-- FAILED" };
        println!(
            "{:<28} {:>4} {:>9.1} {seconds:>8.1}  {says}{mark}",
            dump.name,
            code.unwrap_or(-1),
            f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
        );
    }
    println!("{failed} failed");
    std::process::exit(i32::from(failed > 0));
}
