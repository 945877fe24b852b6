//! Dumps in every form, and what is wrong with some.

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::{directory, ingress, lines, pod, run, service, without_times};

fn objects() -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        pod("shop", "good", false),
        pod("shop", "bad", true),
        ingress("shop", "a", "x.example.com"),
        ingress("shop", "b", "y.example.com"),
        ingress("blog", "c", "x.example.com"),
        service("fine", &[80]),
        service("unknown", &[80, 81]),
    ]
}

/// The objects, constraints, messages and verdicts of a report.
fn findings(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |finding: &Value| {
        let part = |key: &str| finding[key].as_str().unwrap().to_owned();
        let object = &finding["object"];
        format!(
            "{}/{} {} {}: {}",
            object["namespace"].as_str().unwrap(),
            object["name"].as_str().unwrap(),
            part("constraint"),
            part("verdict"),
            part("message")
        )
    };
    findings.map(text).collect()
}

#[test]
fn every_form_of_dump_says_the_same() {
    let directory = directory();
    let path = directory.path();
    let objects = objects();
    let list =
        json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {"resourceVersion": ""}});
    let pretty = serde_json::to_string_pretty(&list).unwrap();
    let stream: String = objects
        .iter()
        .flat_map(|object| ["---\n".to_owned(), serde_saphyr::to_string(object).unwrap()])
        .collect();
    let yaml = serde_saphyr::to_string(&list).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(pretty.as_bytes()).unwrap();

    let forms: [(&str, Vec<u8>); 7] = [
        ("lines.ndjson", lines(&objects).into_bytes()),
        ("list.json", pretty.clone().into_bytes()),
        ("compact.json", list.to_string().into_bytes()),
        ("list.yaml", yaml.into_bytes()),
        ("stream.yaml", stream.into_bytes()),
        // The bytes of a file show what it is packed with.
        ("list.txt", gzip.finish().unwrap()),
        ("list.dump", zstd::encode_all(pretty.as_bytes(), 1).unwrap()),
    ];
    let expected = [
        "shop/bad NoHostPid/no-host-pid violation: pod bad shares the node's processes",
        "shop/a UniqueHost/unique-host violation: host x.example.com is that of blog/c too",
        "blog/c UniqueHost/unique-host violation: host x.example.com is that of shop/a too",
    ];
    for (name, bytes) in &forms {
        fs::write(path.join(name), bytes).unwrap();
        for (args, stdin) in
            [(vec![*name, "-o", "json"], None), (vec!["-", "-o", "json"], Some(bytes.as_slice()))]
        {
            let report = run(path, &args, stdin).exits_with(2).json();
            let found = findings(&report);
            assert_eq!(found[..3], expected, "{name}");
            assert!(found[3].starts_with("shop/unknown TwoAnswers/two-answers unknown: "), "{}", found[3]);
            assert_eq!(found.len(), 4, "{name}");
            assert_eq!(
                (&report["standing"], &report["completion"]),
                (&json!("incomplete"), &json!("complete"))
            );
            let totals = &report["totals"];
            assert_eq!(
                json!([totals["passes"], totals["violating"], totals["violations"], totals["unknown"]]),
                json!([3, 3, 3, 1])
            );
        }
    }
    // Without the one that cannot be judged it is a matter of what is found.
    fs::write(path.join("known.ndjson"), lines(&objects[..7])).unwrap();
    run(path, &["known.ndjson"], None).exits_with(1);
    let harmless: Vec<_> =
        objects.iter().filter(|object| object["metadata"]["name"] != "bad").take(6).cloned().collect();
    fs::write(path.join("harmless.ndjson"), lines(&harmless)).unwrap();
    let report = run(path, &["harmless.ndjson", "-o", "json"], None).exits_with(0).json();
    assert_eq!(report["standing"], "noted");
}

#[test]
fn what_is_wrong_with_a_dump_is_reported_and_the_rest_audited() {
    let directory = directory();
    let path = directory.path();
    let dump = path.join("dump");
    fs::create_dir(&dump).unwrap();
    fs::write(dump.join("a-broken.yaml"), "a: [\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: after, namespace: shop}\nspec: {hostPID: true}\n").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(lines(&[pod("shop", "packed", true)]).as_bytes()).unwrap();
    gzip.write_all(lines(&vec![pod("shop", "cut-off", true); 2000]).as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    fs::write(dump.join("b-truncated.json.gz"), &packed[..1000]).unwrap();
    fs::write(dump.join("c-twice.ndjson"), lines(&[pod("shop", "twice", true), pod("shop", "twice", false)]))
        .unwrap();
    let mut homeless = pod("", "homeless", true);
    homeless["metadata"].as_object_mut().unwrap().remove("namespace");
    fs::write(dump.join("d-homeless.json"), homeless.to_string()).unwrap();
    let mut huge = pod("shop", "huge", true);
    huge["metadata"]["annotations"] = json!({"fat": "x".repeat(50 << 20)});
    fs::write(
        dump.join("e-huge.ndjson"),
        lines(&[pod("shop", "before", true), huge, pod("shop", "behind", true)]),
    )
    .unwrap();
    let report = run(path, &["dump", "-o", "json"], None).exits_with(2).json();
    assert_eq!((&report["standing"], &report["completion"]), (&json!("incomplete"), &json!("partial")));
    let names: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["object"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(&names[..2], ["after", "packed"]);
    let behind: Vec<_> = names.iter().skip_while(|name| **name != "twice").copied().collect();
    assert_eq!(behind, ["twice", "homeless", "before", "behind"]);
    let problems: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let place = &problem["place"];
            let error = if problem["isError"] == true { "error" } else { "warning" };
            format!(
                "{error} {} {}:{}",
                problem["code"].as_str().unwrap(),
                place["file"].as_str().unwrap(),
                place["line"]
            )
        })
        .collect();
    for expected in [
        "error syntax dump/a-broken.yaml:",
        "error unreadable dump/b-truncated.json.gz:0",
        "error limit dump/e-huge.ndjson:2",
        "warning duplicate-resource dump/c-twice.ndjson:2",
        "warning missing-namespace dump/d-homeless.json:1",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{expected} is missing: {problems:#?}"
        );
    }
    assert!(report["coverage"]["unreadObjects"].as_u64().unwrap() >= 3);
}

#[test]
fn positions_are_those_of_the_whole_dump() {
    let directory = directory();
    let path = directory.path();
    let list = "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: b\n  spec:\n    hostPID: true\nkind: List\n";
    fs::write(path.join("list.yaml"), list).unwrap();
    let report = run(path, &["list.yaml", "-o", "json"], None).json();
    let place = json!({"file": "list.yaml", "line": 11, "column": 5, "endColumn": 18});
    assert_eq!(report["findings"][0]["place"], place);
    assert_eq!(report["findings"][0]["field"], "spec.hostPID");
    let one = lines(&[pod("shop", "a", false), pod("shop", "b", true)]);
    fs::write(
        path.join("list.json"),
        format!(
            "{{\"items\":[{}],\"apiVersion\":\"v1\",\"kind\":\"List\"}}",
            one.trim_end().replace('\n', ",")
        ),
    )
    .unwrap();
    let report = run(path, &["list.json", "-o", "json"], None).json();
    let place = &report["findings"][0]["place"];
    let text = fs::read_to_string(path.join("list.json")).unwrap();
    let column = usize::try_from(place["column"].as_u64().unwrap()).unwrap();
    assert!(text.get(column - 1..).unwrap().starts_with("\"hostPID\":true"), "{place}");
    assert_eq!(place["line"], 1);
}

#[test]
fn threads_change_nothing() {
    let directory = directory();
    let path = directory.path();
    let many: Vec<_> = (0..900)
        .map(|index| match index % 3 {
            0 => pod("shop", &format!("pod-{index}"), index % 2 == 0),
            1 => ingress("shop", &format!("web-{index}"), &format!("host-{}.example.com", index % 50)),
            _ => service(&format!("svc-{index}"), &[80, 80 + index % 2]),
        })
        .collect();
    let mut text = lines(&many);
    text.push_str("{\"broken\":\n");
    fs::write(path.join("dump.ndjson"), text).unwrap();
    let forms = ["json", "ndjson", "yaml", "sarif", "junit", "human", "policy-report", "status"];
    for form in forms {
        let one = run(path, &["dump.ndjson", "-o", form, "-j", "1"], None).exits_with(2);
        assert!(one.stdout.len() > 500, "{form}: {}", one.stdout);
        for jobs in ["2", "5"] {
            let other = run(path, &["dump.ndjson", "-o", form, "-j", jobs], None).exits_with(2);
            assert!(without_times(&one.stdout) == without_times(&other.stdout), "{form} with {jobs} threads");
        }
    }
}

#[test]
fn what_is_wrong_with_many_objects_is_said_once() {
    let directory = directory();
    let path = directory.path();
    let homeless = |index: usize| {
        let kind = if index.is_multiple_of(3) { "Secret" } else { "ServiceAccount" };
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": format!("o-{index:04}")}})
    };
    let mut objects: Vec<_> = (0..1500).map(homeless).collect();
    for namespace in ["a", "b", "a"] {
        objects.extend([pod(namespace, "twice", false), pod(namespace, "twice", false)]);
    }
    objects.push(ingress("shop", "a", "x.example.com"));
    fs::write(path.join("dump.ndjson"), lines(&objects)).unwrap();
    let args = ["dump.ndjson", "--json", "out.json", "--html", "out.html", "--sarif", "out.sarif"];
    let run = |jobs: &str| {
        let args: Vec<_> = args.iter().chain(&["-j", jobs]).copied().collect();
        let text = run(path, &args, None).exits_with(0).stdout;
        text.split_once("\n\n").unwrap().0.to_owned()
    };
    let text = run("1");
    let said = "\
warning[missing-namespace]: no namespace is named, but objects of this kind live in one: taken to be in `default`; name another one with `--namespace`
  1500 objects of 2 kinds, the first:
    Secret o-0000 (dump.ndjson:1:55)
    ServiceAccount o-0001 (dump.ndjson:2:63)
    ServiceAccount o-0002 (dump.ndjson:3:63)
    and 1497 more
warning[duplicate-resource]: defined a second time; both are judged; policies that compare objects see the last one
  4 objects of 1 kind in 2 namespaces, the first:";
    assert!(text.starts_with(said), "{text}");
    assert_eq!(text, run("4"));
    // Machines get them one by one, as many as a report lists, and how many there are.
    let report: Value = serde_json::from_slice(&fs::read(path.join("out.json")).unwrap()).unwrap();
    assert_eq!(report["problemCounts"], json!({"errors": 0, "warnings": 1504}));
    assert_eq!(report["problems"].as_array().unwrap().len(), 1000);
    assert_eq!(report["problems"][2]["object"]["name"], "o-0002");
    let causes: Vec<_> = report["causes"].as_array().unwrap().iter().collect();
    let counts: Vec<_> =
        causes.iter().map(|cause| json!([cause["code"], cause["times"], cause["namespaces"]])).collect();
    assert_eq!(counts, [json!(["missing-namespace", 1500, 0]), json!(["duplicate-resource", 4, 2])]);
    let page = fs::read_to_string(path.join("out.html")).unwrap();
    assert_eq!(page.matches("missing-namespace").count(), 1);
    assert!(page.contains("1500 objects of 2 kinds, the first:") && page.contains("and 1,497 more"));
    let sarif: Value = serde_json::from_slice(&fs::read(path.join("out.sarif")).unwrap()).unwrap();
    let told = sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!(told.len(), 1001);
    assert!(told[0]["message"]["text"].as_str().unwrap().starts_with("Secret o-0000: no namespace"));
    assert!(told[1000]["message"]["text"].as_str().unwrap().starts_with("504 more"));
}

#[test]
fn what_only_follows_from_an_unreadable_input_is_not_said() {
    let directory = directory();
    let path = directory.path();
    let objects = lines(&[ingress("shop", "a", "x.example.com")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(objects.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    fs::write(path.join("cut.json.gz"), &packed[..60]).unwrap();
    fs::write(path.join("broken.yaml"), "apiVersion: v1\nkind: Ingress\n  a: [").unwrap();
    fs::write(path.join("other.ndjson"), lines(&[pod("shop", "a", false)])).unwrap();
    let codes = |args: &[&str], code: i32| {
        let args: Vec<_> = args.iter().chain(&["-o", "json"]).copied().collect();
        let report = run(path, &args, None).exits_with(code).json();
        let problems = report["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&["cut.json.gz"], 2), ["unreadable"]);
    assert_eq!(codes(&["other.ndjson", "cut.json.gz"], 2), ["unreadable"]);
    assert_eq!(codes(&["other.ndjson", "broken.yaml"], 2), ["syntax"]);
    assert_eq!(codes(&["other.ndjson", "missing.json"], 2), ["unreadable"]);
    // Where nothing can have been in what was not read, it is said.
    assert_eq!(codes(&["other.ndjson"], 0), ["missing-inventory"]);
    fs::write(path.join("pod.yaml"), "apiVersion: v1\nkind: Pod\n  a: [").unwrap();
    assert_eq!(codes(&["other.ndjson", "pod.yaml"], 2), ["syntax", "missing-inventory"]);
}

#[test]
fn half_of_a_document_is_not_judged() {
    let directory = directory();
    let path = directory.path();
    let whole =
        "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: whole}\nspec:\n  hostPID: true\n";
    let half = whole.replace("whole", "half");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(format!("{whole}---\n{half}  hostNetwork: true\n").as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    // Without the checksum at the end and the last line.
    fs::write(path.join("cut.yaml.gz"), &packed[..packed.len() - 8 - 20]).unwrap();
    let report = run(path, &["cut.yaml.gz", "-o", "json"], None).exits_with(2).json();
    let names: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|finding| &finding["object"]["name"]).collect();
    assert_eq!(names, ["whole"]);
    assert_eq!(report["problemCounts"], json!({"errors": 1, "warnings": 0}));
}

#[test]
fn an_audit_that_compared_with_half_of_an_inventory_is_incomplete() {
    let directory = directory();
    let path = directory.path();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(lines(&[ingress("blog", "b", "x.example.com")]).as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    fs::write(path.join("whole.json.gz"), &packed).unwrap();
    fs::write(path.join("cut.json.gz"), &packed[..60]).unwrap();
    fs::write(path.join("broken.yaml"), "kind: Ingress\n  a: [").unwrap();
    fs::write(path.join("dump.json"), ingress("shop", "a", "x.example.com").to_string()).unwrap();
    let report =
        run(path, &["dump.json", "--inventory", "whole.json.gz", "-o", "json"], None).exits_with(0).json();
    assert_eq!((&report["standing"], &report["totals"]["violations"]), (&json!("noted"), &json!(1)));
    for inventory in ["cut.json.gz", "broken.yaml", "missing.json"] {
        let args = ["dump.json", "--inventory", inventory, "-o", "json"];
        let report = run(path, &args, None).exits_with(2).json();
        assert_eq!(
            (&report["standing"], &report["completion"], &report["totals"]["violations"]),
            (&json!("incomplete"), &json!("partial"), &json!(0)),
            "{inventory}"
        );
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0]["place"]["file"], inventory);
    }
    // What is audited as well is reported once.
    let report = run(path, &["dump.json", "cut.json.gz", "-o", "json"], None).exits_with(2).json();
    assert_eq!(report["problemCounts"]["errors"], 1);
    assert_eq!(report["coverage"]["unreadObjects"], 1);
}

#[test]
fn nothing_to_audit_is_not_green() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("empty.json"), "").unwrap();
    let other =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "a"}});
    fs::write(path.join("other.json"), other.to_string()).unwrap();
    // The policies that `run` names are left out by naming others, in a directory without them.
    let without = tempfile::tempdir().unwrap();
    fs::write(without.path().join("policies.yaml"), "").unwrap();
    fs::write(without.path().join("other.json"), other.to_string()).unwrap();
    for (path, args, reason) in [
        (path, &["empty.json"][..], "there were no objects to audit"),
        (path, &["-"], "there were no objects to audit"),
        (path, &["other.json"], "no constraint applies to the one object that was seen"),
        (without.path(), &["other.json"], "there are no constraints to audit by"),
    ] {
        let found = run(path, args, None).exits_with(2).stdout;
        let last = found.lines().last().unwrap();
        assert!(last.starts_with(&format!("nothing was judged: {reason}; ")), "{last}");
        assert!(!found.contains("clean"), "{found}");
        let said = |form: &[&str]| {
            let args: Vec<_> = args.iter().chain(form).copied().collect();
            run(path, &args, None).exits_with(2)
        };
        let report = said(&["-o", "json"]).json();
        assert_eq!(
            json!([report["standing"], report["completion"], report["reason"]]),
            json!(["unjudged", "complete", reason])
        );
        assert!(said(&["-q"]).stderr.starts_with(&format!("nothing was judged: {reason}")));
        assert!(said(&["-o", "html"]).stdout.contains("– Nothing was judged"));
        assert!(said(&["-o", "junit"]).stdout.contains("type=\"unjudged\""));
        assert!(said(&["-o", "ndjson"]).stdout.contains("\"standing\":\"unjudged\""));
        assert!(
            said(&["-o", "metrics"]).stdout.contains("portcullis_audit_standing{standing=\"unjudged\"} 1")
        );
        assert!(said(&["-o", "policy-report"]).stdout.contains("\"result\":\"error\""));
        let sarif = said(&["-o", "sarif"]).json();
        assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
    }
    // What could not be read is worse.
    let found = run(path, &["missing.json"], None).exits_with(2);
    assert!(found.stdout.contains("incomplete"), "{}", found.stdout);
}

#[test]
fn an_inventory_that_does_not_fit_ends_the_audit_and_says_so() {
    let directory = directory();
    let path = directory.path();
    let hosts: Vec<_> = (0..400)
        .map(|index| {
            let rules: Vec<_> = (0..400)
                .map(|rule| json!({"host": format!("host-{index}-{rule}.{}.example.com", "x".repeat(200))}))
                .collect();
            let mut one = ingress("shop", &format!("web-{index}"), "");
            one["spec"]["rules"] = rules.into();
            one
        })
        .collect();
    fs::write(path.join("dump.ndjson"), lines(&hosts)).unwrap();
    let report =
        run(path, &["dump.ndjson", "-o", "json", "--max-memory", "64MiB"], None).exits_with(2).json();
    assert_eq!(report["completion"], "unfinished");
    assert!(report["reason"].as_str().unwrap().contains("does not fit"), "{report}");
    // The reason comes out even if no report is asked for.
    let quiet = run(path, &["dump.ndjson", "-q", "--max-memory", "64MiB"], None).exits_with(2);
    assert_eq!(quiet.stdout, "");
    assert!(
        quiet.stderr.contains("error[limit]") && quiet.stderr.contains("incomplete: "),
        "{}",
        quiet.stderr
    );
}
