//! What goes wrong in clusters, one after the other under one webhook: what is expected of it, and after how long it was so.
//! `cargo test --test webhook troubles -- --nocapture` shows the table.

use std::time::{Duration, Instant};

use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::{Value, json};

use crate::kube::{ask, cluster, constraint, namespace, service, start_in, template};
use crate::program::Program;

const UNIQUE: &str = "package p
violation[{\"msg\": msg}] {
  other := data.inventory.namespace[ns][_][\"Service\"][name]
  other.metadata.labels.app == input.review.object.metadata.labels.app
  msg := sprintf(\"%v/%v has it\", [ns, name])
}
";
const NEVER: &str = "package p\nviolation[{\"msg\": \"never\"}] { true }";

struct Table<'a> {
    server: &'a ApiServer,
    program: Program,
}

impl Table<'_> {
    /// Lets something go wrong, and waits until what is expected is so, but not for ever. How long it took is shown, not judged.
    fn row(
        &mut self,
        fault: &str,
        expected: &str,
        trouble: impl FnOnce(&ApiServer),
        is_so: impl Fn(&mut Self) -> bool,
    ) {
        trouble(self.server);
        let start = Instant::now();
        while !is_so(self) {
            let verbose = || self.server.requests().len();
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "{fault}: not {expected}; {} requests",
                verbose()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("| {fault} | {expected} | {:.2} s |", start.elapsed().as_secs_f64());
    }

    fn says(&mut self, expected: &str) -> bool {
        ask(&mut self.program, &service("shop", "a")).1 == expected
    }

    fn says_error(&mut self) -> bool {
        let (code, message) = ask(&mut self.program, &service("shop", "a"));
        code == 403 && message.starts_with("[never] never\n[uniqueapp] the policy reads `Service` objects")
    }

    fn metric(&mut self, sample: &str) -> bool {
        self.program.get("/metrics").1.contains(&format!("\n{sample}\n"))
    }
}

fn crd(kind: &str) -> Value {
    let plural = kind.to_lowercase();
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.constraints.gatekeeper.sh")},
        "spec": {"group": "constraints.gatekeeper.sh", "scope": "Cluster", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1beta1", "storage": true, "served": true}]}})
}

#[test]
fn each_trouble_is_said_and_got_over() {
    let cluster = cluster();
    let server = &cluster.server;
    let _runtime = cluster.runtime.enter();
    for kind in ["UniqueApp", "Never"] {
        server.register("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false);
    }
    server.put(namespace("shop", "prod"));
    server.put(template("UniqueApp", UNIQUE));
    server.put(constraint("UniqueApp", &json!({})));
    server.put(template("Never", NEVER));
    server.put(constraint("Never", &json!({})));
    let mut old = service("shop", "a");
    old["metadata"]["name"] = json!("old");
    server.put(old.clone());
    server.deny("services");
    let program = start_in(server, "portcullis-system", &["--apply-crds"]);
    let mut table = Table { server, program };
    let both = "[never] never\n[uniqueapp] shop/old has it";
    eprintln!("| trouble | expected | after |\n|---|---|---|");

    table.row(
        "403 on one kind at the start",
        "ready; its constraint is an error, the others are in force",
        |_| (),
        |table| table.program.get("/readyz").0 == 200 && table.says_error(),
    );
    table.row("rights are granted", "judged", |server| server.grant("services"), |table| table.says(both));
    table.row(
        "rights are withdrawn, and the watch ends",
        "an error after a bounded time",
        |server| {
            server.deny("services");
            server.end_watches();
        },
        |table| table.says_error() && table.metric("portcullis_kinds_unreadable 1"),
    );
    table.row(
        "they are granted again",
        "judged",
        |server| server.grant("services"),
        |table| table.says(both),
    );
    table.row(
        "503 on everything, watches end",
        "failing watches are counted, what was known is judged by",
        |server| {
            server.fault(Fault::on(Verb::Any, "").always().status(503, "ServiceUnavailable"));
            server.end_watches();
        },
        |table| !table.metric("portcullis_watches_failing 0") && table.says(both),
    );
    table.row(
        "it works again, something was deleted meanwhile",
        "the change is seen",
        |server| {
            server.delete("services", "shop", "old");
            server.heal();
        },
        |table| table.says("[never] never") && table.metric("portcullis_watches_failing 0"),
    );
    table.row(
        "versions are compacted while watches are away",
        "listed anew, the change is seen",
        |server| {
            server.fault(Fault::on(Verb::Watch, "services").times(2).status(500, "InternalError"));
            server.end_watches();
            server.put(old.clone());
            server.compact();
        },
        |table| table.says(both),
    );
    table.row(
        "a bookmark, then the watch ends",
        "nothing changes",
        |server| {
            server.bookmark();
            server.end_watches();
        },
        |table| table.says(both),
    );
    table.row(
        "a group does not answer, and a new policy may read it",
        "an error, the others go on",
        |server| {
            server.break_group("broken.example.com/v1");
            server.put(template("Odd", &UNIQUE.replace("Service", "Oddity")));
            server.register("constraints.gatekeeper.sh/v1beta1", "Odd", "odd", false);
            server.put(constraint("Odd", &json!({})));
            std::thread::sleep(Duration::from_millis(500));
            // What is asked for only now and then is asked for when a CRD comes.
            server.put(crd("Other"));
        },
        |table| {
            let message = ask(&mut table.program, &service("shop", "a")).1;
            message.contains("\n[odd] the policy reads `Oddity` objects") && message.starts_with(both)
        },
    );
    table.row(
        "its template is deleted",
        "its constraint is gone",
        |server| {
            server.delete("constrainttemplates", "", "odd");
            server.register("broken.example.com/v1", "Oddity", "oddities", true);
        },
        |table| table.says(both),
    );
    table.row(
        "a kind comes 2 s after its template, and is 429 for 1 s",
        "enforced when it is served",
        |server| {
            server.establish_late(Duration::from_secs(2), Duration::from_secs(1));
            server.put(template("Late", &NEVER.replace("never", "late")));
            server.put(crd("Late"));
            server.put(constraint("Late", &json!({})));
        },
        |table| table.says(&format!("[late] late\n{both}")),
    );
    table.row(
        "its CRD is deleted, by and by",
        "made again when it is gone",
        |server| {
            let name = "late.constraints.gatekeeper.sh";
            server.terminate("customresourcedefinitions", "", name);
            std::thread::sleep(Duration::from_millis(300));
            server.delete("customresourcedefinitions", "", name);
        },
        |table| {
            let crd = table.server.get("customresourcedefinitions", "", "late.constraints.gatekeeper.sh");
            crd.is_some_and(|crd| crd["metadata"]["deletionTimestamp"].is_null()) && table.says(both)
        },
    );
    table.row(
        "a Config in a namespace of somebody's",
        "ignored, and said",
        |server| {
            server.put(json!({"apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
            "metadata": {"namespace": "shop", "name": "config"},
            "spec": {"match": [{"excludedNamespaces": ["*"], "processes": ["*"]}]}}));
        },
        |table| table.program.get("/readyz?verbose").1.contains("this Config is ignored") && table.says(both),
    );
    table.row(
        "an object that cannot be read",
        "what reads its kind is an error",
        |server| {
            let mut deep = json!(1);
            for _ in 0..200 {
                deep = json!({"a": deep});
            }
            let mut object = old.clone();
            (object["metadata"]["name"], object["spec"]) = (json!("deep"), deep);
            server.put(object);
        },
        Table::says_error,
    );
    table.row(
        "it is deleted",
        "judged",
        |server| server.delete("services", "shop", "deep"),
        |table| table.says(both),
    );
    table.program.stop();
}

#[test]
fn two_hundred_templates_that_come_at_once_are_all_in_force() {
    const MANY: usize = 200;
    let cluster = cluster();
    let server = &cluster.server;
    let _runtime = cluster.runtime.enter();
    server.establish_late(Duration::from_millis(300), Duration::from_millis(300));
    server.put(namespace("shop", "prod"));
    let mut program = start_in(server, "portcullis-system", &["--apply-crds"]);
    let start = Instant::now();
    for index in 0..MANY {
        server.put(template(&format!("Many{index:03}"), &NEVER.replace("never", &format!("m{index:03}"))));
    }
    let mut left: Vec<usize> = (0..MANY).collect();
    // Each constraint as soon as there is a CRD for it.
    while !left.is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1), "{} CRDs are missing", left.len());
        left.retain(|index| {
            let name = format!("many{index:03}.constraints.gatekeeper.sh");
            let is_there = server.get("customresourcedefinitions", "", &name).is_some();
            if is_there {
                server.put(constraint(&format!("Many{index:03}"), &json!({})));
            }
            !is_there
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = |program: &mut Program| ask(program, &service("shop", "a")).1.lines().count();
    while said(&mut program) < MANY {
        assert!(start.elapsed() < Duration::from_mins(1), "{} are in force", said(&mut program));
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("{MANY} templates and constraints in force after {:.2} s", start.elapsed().as_secs_f64());
    program.stop();
}
