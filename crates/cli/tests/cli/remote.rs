//! Policies from registries and git, by every command that takes them.

#[path = "../../../remote/tests/remote/servers.rs"]
#[allow(dead_code, missing_docs, reason = "the tests of the crate that fetches use all of it")]
mod servers;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::servers::{Layer, MANIFEST, Registry, Reply, Server, digest, manifest};
use super::Run;

const TEMPLATE: &str = "\
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: owners}
spec:
  crd: {spec: {names: {kind: Owners}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package owners
        violation[{\"msg\": \"nobody owns it\"}] { not input.review.object.metadata.labels.owner }
";
const CONSTRAINT: &str = "\
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Owners
metadata: {name: all}
";
const SUITE: &str = "\
apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
tests:
  - name: owners
    template: template.yaml
    constraint: constraint.yaml
    cases:
      - name: denied
        object: samples/denied.yaml
        assertions: [{violations: yes}]
";
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n";
const MUTATOR: &str = "\
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: owner}
spec:
  match: {scope: Namespaced}
  location: metadata.labels.owner
  parameters: {assign: {value: shop}}
";
const POLICIES: &[(&str, &str)] = &[
    ("owners/template.yaml", TEMPLATE),
    ("owners/constraint.yaml", CONSTRAINT),
    ("owners/suite.yaml", SUITE),
    ("owners/samples/denied.yaml", POD),
];
const REGO: &str = "package main\nimport rego.v1\ndeny contains \"no pods\" if input.kind == \"Pod\"\n";

/// A folder in which the program runs, with a configuration of docker of its own.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(files);
        place.write(&[("pod.yaml", POD), ("docker/config.json", "{}")]);
        place
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .current_dir(self.path())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let path = std::env::join_paths(
            [self.path().join("bin")]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        command
            .env("DOCKER_CONFIG", self.path().join("docker"))
            .env("TMPDIR", self.temp())
            .env("PATH", path.unwrap());
        command.envs(variables.iter().copied());
        let run = Run::of(command.output().unwrap());
        // Whatever came of it, nothing is left.
        assert_eq!(fs::read_dir(self.temp()).unwrap().count(), 0, "{}", run.shown());
        run
    }

    fn temp(&self) -> std::path::PathBuf {
        let temp = self.path().join("temp");
        fs::create_dir_all(&temp).unwrap();
        temp
    }
}

/// A registry with the policies under `acme/policies:v1`, and their digest.
fn pushed(place: &Place) -> Option<(Registry, String)> {
    let registry = Registry::start()?;
    let name = format!("{}/acme/policies:v1", registry.host);
    let digest = place.run(&["push", &name, "policies"]).exits_with(0).stdout.trim().to_owned();
    Some((registry, digest))
}

fn place() -> Place {
    let place = Place::new(&[]);
    for (path, text) in POLICIES {
        place.write(&[(&format!("policies/{path}"), text)]);
    }
    place
}

#[test]
fn what_is_pushed_is_used_by_every_command() {
    let place = place();
    let Some((registry, digest)) = pushed(&place) else { return };
    let name = format!("{}/acme/policies:v1", registry.host);
    assert_eq!(place.run(&["push", &name, "policies", "--dry-run"]).exits_with(0).stdout.trim(), digest);
    let path = format!("oci://{name}");
    for args in [
        &["test", "-p", &path, "pod.yaml"][..],
        &["test", "-i", &name, "pod.yaml"],
        &["test", "--image", &path, "-f", "pod.yaml"],
    ] {
        let run = place.run(args).exits_with(1);
        assert!(run.stdout.contains("nobody owns it") && run.stdout.contains("pod.yaml"), "{}", run.shown());
    }
    // As for gator, an image is judged as well: its samples are objects.
    assert!(place.run(&["test", "-i", &name]).exits_with(1).stdout.contains("nobody owns it"));
    assert!(place.run(&["test", "-p", &path]).exits_with(2).stderr.contains("no objects were given"));
    for args in [&["verify", &path][..], &["verify", "-i", &name], &["verify", "-p", &path]] {
        let run = place.run(args).exits_with(0);
        assert!(run.stdout.contains("1 test"), "{}", run.shown());
    }
    let run = place.run(&["lint", "-i", &name, "-v"]).exits_with(0);
    assert!(run.stdout.contains(&format!("{name}@{digest}/owners/template.yaml")), "{}", run.shown());
    for args in [&["audit", "-p", &path, "pod.yaml"][..], &["audit", "-i", &name, "pod.yaml"]] {
        assert!(place.run(args).exits_with(1).stdout.contains("nobody owns it"));
    }
    for args in [
        &["bench", "-i", &name, "-f", "pod.yaml", "-n", "1", "--warmup", "0"][..],
        &["exceptions", "-p", &path, "pod.yaml"],
        &["expand", "-i", &name, "-n", "pod.yaml"],
    ] {
        place.run(args).exits_with(0);
    }
    registry.put("mutators", "v1", &[Layer::titled("application/yaml", "owner.yaml", MUTATOR)]);
    let mutators = format!("oci://{}/mutators:v1", registry.host);
    for args in [&["mutate", "-m", &mutators, "pod.yaml"][..], &["mutate", "-i", &mutators, "-f", "pod.yaml"]]
    {
        assert!(place.run(args).exits_with(0).stdout.contains("owner: shop"));
    }
    // Where there is something already, nothing is touched.
    assert!(place.run(&["pull", &name]).exits_with(2).stderr.contains("is there already"));
    fs::rename(place.path().join("policies"), place.path().join("mine")).unwrap();
    assert_eq!(place.run(&["pull", &name]).exits_with(0).stdout.trim(), digest);
    assert_eq!(place.run(&["pull", &name, "-o", "again"]).exits_with(0).stdout.trim(), digest);
    for (path, text) in POLICIES {
        assert_eq!(&fs::read_to_string(place.path().join("again").join(path)).unwrap(), text);
    }
    // What comes back is pushed as the same.
    assert_eq!(place.run(&["push", &name, "again"]).exits_with(0).stdout.trim(), digest);
}

#[test]
fn findings_point_into_the_artifact() {
    let place = place();
    let Some((registry, _)) = pushed(&place) else { return };
    let broken = TEMPLATE.replace("not input", "not inputt");
    let made = registry.put(
        "broken",
        "v2",
        &[
            Layer::titled("application/yaml", "a/template.yaml", &broken),
            Layer::titled(
                "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego",
                "policy/deny.rego",
                "package main\nimport rego.v1\ndeny contains x if y\n",
            ),
        ],
    );
    let name = format!("{}/broken:v2", registry.host);
    let run = place.run(&["lint", "-i", &name]).exits_with(1);
    assert!(run.stdout.contains(&format!("{name}@{made}/a/template.yaml:10:")), "{}", run.shown());
    let run = place.run(&["test", "-p", &format!("oci://{name}"), "pod.yaml"]).exits_with(2);
    assert!(run.stderr.contains(&format!("{name}@{made}/a/template.yaml:10:")), "{}", run.shown());
    assert!(run.stderr.contains(&format!("{name}@{made}/policy/deny.rego:3:")), "{}", run.shown());
    assert!(!run.shown().contains(place.path().to_str().unwrap()), "{}", run.shown());
    // By its digest, too, and then there is no tag.
    let pinned = format!("{}/broken@{made}", registry.host);
    let run = place.run(&["lint", &format!("oci://{pinned}"), "-o", "json"]).exits_with(1);
    assert!(run.stdout.contains(&format!("\"{pinned}/a/template.yaml\"")), "{}", run.shown());
}

#[test]
fn files_of_rego_and_their_data_come_from_conftest_s_artifacts() {
    let Some(registry) = Registry::start() else { return };
    let place = Place::new(&[]);
    let rego =
        "package main\nimport rego.v1\ndeny contains data.policy.words.text if input.kind == \"Pod\"\n";
    registry.put(
        "conftest",
        "latest",
        &[
            Layer::titled(
                "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego",
                "policy/deny.rego",
                rego,
            ),
            Layer::titled(
                "application/vnd.cncf.openpolicyagent.data.layer.v1+json",
                "policy/words/data.json",
                "{\"text\": \"no pods here\"}",
            ),
        ],
    );
    let path = format!("oci://{}/conftest", registry.host);
    let run = place.run(&["test", "-p", &path, "--data", &path, "pod.yaml"]).exits_with(1);
    assert!(run.stdout.contains("no pods here"), "{}", run.shown());
    // gator's layout: an archive of a folder, as `oras push` makes it.
    let files: Vec<(String, &str)> =
        POLICIES.iter().map(|(path, text)| (format!("bundle/{path}"), *text)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, *text)).collect();
    registry.put("gator", "v1", &[Layer::folder("bundle", &files)]);
    let run =
        place.run(&["test", "-i", &format!("{}/gator:v1", registry.host), "-f", "pod.yaml"]).exits_with(1);
    assert!(run.stdout.contains("nobody owns it"), "{}", run.shown());
}

#[test]
fn what_cannot_be_fetched_stops_nothing_else_and_passes_nothing() {
    let place = place();
    place.write(&[("policy/deny.rego", REGO)]);
    let missing = "oci://127.0.0.1:1/missing:v1";
    let run = place
        .run(&[
            "test",
            "-p",
            "policies",
            "-p",
            missing,
            "-p",
            "git+file:///missing/x",
            "-p",
            "https://a.example/x",
            "pod.yaml",
        ])
        .exits_with(2);
    assert!(run.stdout.contains("nobody owns it"), "{}", run.shown());
    for expected in [missing, "git+file:///missing/x", "cannot be reached", "nothing that is fetched"] {
        assert!(run.stderr.contains(expected), "{expected}\n{}", run.shown());
    }
    for args in [
        &["lint", missing][..],
        &["lint", "policies", missing],
        &["verify", missing],
        &["audit", "-p", missing, "pod.yaml"],
        &["test", "-i", "127.0.0.1:1/x", "pod.yaml"],
        &["test", "-p", missing, "-p", "policy", "pod.yaml"],
    ] {
        let run = place.run(args).exits_with(2);
        assert!(run.shown().contains("cannot be reached"), "{args:?}\n{}", run.shown());
    }
    let run = place.run(&["test", "-i", "policies", "pod.yaml"]).exits_with(2);
    assert!(run.stderr.contains("there is no `/` behind a host"), "{}", run.shown());
    // A command that fetches nothing says so.
    let run = place.run(&["build", "oci://ghcr.io/acme/policies"]).exits_with(2);
    assert!(run.stderr.contains("nothing is fetched here"), "{}", run.shown());
    // Flags about what is fetched, without anything to fetch: a configuration file may say them for all commands.
    let local = |flag: &[&str]| place.run(&[&["test", "-p", "policies", "pod.yaml"], flag].concat());
    assert!(local(&["--update-lock"]).exits_with(2).stderr.contains("there is none: name one"));
    assert!(local(&["--verify-key", "x"]).exits_with(1).stderr.contains("`--verify-key` verifies nothing"));
    local(&["--locked"]).exits_with(1);
}

#[test]
fn what_is_fetched_names_no_file_of_this_machine() {
    let Some(registry) = Registry::start() else { return };
    let place = Place::new(&[("secret.yaml", "token: hidden\n")]);
    let secret = place.path().join("secret.yaml").display().to_string();
    let mut upwards = "../".repeat(30);
    upwards.push_str(secret.trim_start_matches('/'));
    for (number, named) in [&secret, &upwards].into_iter().enumerate() {
        let templates = SUITE.replace("template.yaml", named);
        let samples = SUITE.replace("samples/denied.yaml", named);
        let name = format!("{}/evil{number}:v1", registry.host);
        registry.put(
            &format!("evil{number}"),
            "v1",
            &[
                Layer::titled("application/yaml", "a/suite.yaml", &templates),
                Layer::titled("application/yaml", "b/suite.yaml", &samples),
                Layer::titled("application/yaml", "b/template.yaml", TEMPLATE),
                Layer::titled("application/yaml", "b/constraint.yaml", CONSTRAINT),
            ],
        );
        for args in [["verify", "-i", &name], ["lint", "-i", &name]] {
            let run = place.run(&args).exits_with(2);
            assert!(run.shown().contains("outside of what was fetched"), "{}", run.shown());
            assert!(!run.shown().contains("hidden"), "{}", run.shown());
        }
        let run = place.run(&["verify", "-i", &name]).exits_with(2);
        assert_eq!(run.shown().matches("outside of what was fetched").count(), 2, "{}", run.shown());
    }
    // Where objects come from an artifact, policies are told so, and not where it lies meanwhile.
    let rego =
        "package main\nimport rego.v1\ndeny contains data.conftest.file.dir if input.kind == \"Pod\"\n";
    place.write(&[("policy/deny.rego", rego)]);
    let made = registry.put("objects", "v1", &[Layer::titled("application/yaml", "x/pod.yaml", POD)]);
    let name = format!("{}/objects:v1", registry.host);
    let run = place.run(&["test", "-p", "policy", "-i", &name]).exits_with(1);
    assert!(run.stdout.contains(&format!("{name}@{made}/x")), "{}", run.shown());
}

#[test]
fn a_tag_that_moved_is_an_error() {
    let place = place();
    let Some((registry, digest)) = pushed(&place) else { return };
    let path = format!("oci://{}/acme/policies:v1", registry.host);
    let test = |more: &[&str]| place.run(&[&["test", "-p", &path, "pod.yaml"], more].concat());
    assert!(test(&["--locked"]).exits_with(2).stderr.contains("there is no lock file"));
    test(&["--update-lock"]).exits_with(1);
    let lock = fs::read_to_string(place.path().join("portcullis.lock")).unwrap();
    assert!(lock.contains(&format!("- source: {path}\n  digest: {digest}\n")), "{lock}");
    test(&["--locked"]).exits_with(1);
    registry.put("other", "v1", &[Layer::titled("application/yaml", "a.yaml", CONSTRAINT)]);
    let other = format!("oci://{}/other:v1", registry.host);
    let run = place.run(&["test", "-p", &path, "-p", &other, "pod.yaml", "--locked"]).exits_with(2);
    assert!(run.stderr.contains("is not in `portcullis.lock`"), "{}", run.shown());
    let run = place.run(&["test", "-p", &path, "-p", &other, "pod.yaml"]).exits_with(1);
    assert!(run.stderr.contains(&format!("note: `{other}` is not in the lock file")), "{}", run.shown());
    // Somebody moves the tag to what lets everything pass.
    registry.put(
        "acme/policies",
        "v1",
        &[Layer::titled("application/yaml", "a.yaml", &TEMPLATE.replace("not input", "not not_input"))],
    );
    for more in [&["--locked"][..], &["--lock", "portcullis.lock"], &[]] {
        let run = test(more).exits_with(2);
        assert!(run.stderr.contains("is now sha256:") && run.stderr.contains(&digest), "{}", run.shown());
        assert!(!run.stdout.contains("a.yaml"), "{}", run.shown());
    }
    assert_eq!(fs::read_to_string(place.path().join("portcullis.lock")).unwrap(), lock);
    // What was locked can still be named.
    let pinned = format!("oci://{}/acme/policies@{digest}", registry.host);
    place.run(&["test", "-p", &pinned, "pod.yaml", "--locked"]).exits_with(1);
    // A source that fails leaves the lock file as it was.
    place.run(&["test", "-p", &path, "-p", "oci://127.0.0.1:1/x", "pod.yaml", "--update-lock"]).exits_with(2);
    assert_eq!(fs::read_to_string(place.path().join("portcullis.lock")).unwrap(), lock);
    place.run(&["lint", &path, "--update-lock"]);
    assert_ne!(fs::read_to_string(place.path().join("portcullis.lock")).unwrap(), lock);
    place.write(&[("portcullis.lock", "nonsense")]);
    assert!(test(&[]).exits_with(2).stderr.contains("is no lock file"));
}

#[test]
fn nothing_unsigned_is_used() {
    let place = place();
    let Some((registry, _)) = pushed(&place) else { return };
    let name = format!("{}/acme/policies:v1", registry.host);
    let path = format!("oci://{name}");
    for (private, public) in [("a.key", "a.pub"), ("b.key", "b.pub")] {
        let openssl = |args: &[&str]| {
            assert!(
                Command::new("openssl")
                    .current_dir(place.path())
                    .args(args)
                    .stderr(Stdio::null())
                    .status()
                    .unwrap()
                    .success()
            );
        };
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private]);
        openssl(&["pkey", "-in", private, "-pubout", "-out", public]);
    }
    let unsigned = |run: Run| {
        let run = run.exits_with(2);
        assert!(run.shown().contains("is not signed"), "{}", run.shown());
        assert!(!run.shown().contains("nobody owns it"), "{}", run.shown());
    };
    unsigned(place.run(&["test", "-p", &path, "pod.yaml", "--verify-key", "a.pub"]));
    unsigned(place.run(&["pull", &name, "-o", "out", "--verify-key", "a.pub"]));
    place.run(&["push", &name, "policies", "--sign-key", "a.key"]).exits_with(0);
    place.run(&["test", "-p", &path, "pod.yaml", "--verify-key", "a.pub"]).exits_with(1);
    place.run(&["verify", &path, "--verify-key", "b.pub", "--verify-key", "a.pub"]).exits_with(0);
    unsigned(place.run(&["test", "-p", &path, "pod.yaml", "--verify-key", "b.pub"]));
    unsigned(place.run(&["pull", &name, "-o", "out", "--verify-key", "b.pub"]));
    assert!(!place.path().join("out").exists());
    place.run(&["pull", &name, "-o", "out", "--verify-key", "a.pub"]).exits_with(0);
    // A tag that was moved to something that nobody signed.
    registry.put("acme/policies", "v1", &[Layer::titled("application/yaml", "a.yaml", TEMPLATE)]);
    unsigned(place.run(&["test", "-p", &path, "pod.yaml", "--verify-key", "a.pub"]));
    let run = place
        .run(&["test", "-p", &path, "-p", "git+file:///x/y", "pod.yaml", "--verify-key", "a.pub"])
        .exits_with(2);
    assert!(run.stderr.contains("cannot be verified"), "{}", run.shown());
    let run = place.run(&["test", "-p", &path, "pod.yaml", "--verify-key", "pod.yaml"]).exits_with(2);
    assert!(run.stderr.contains("no public key in PEM"), "{}", run.shown());
}

#[test]
fn folders_of_git_repositories_are_policies() {
    let place = place();
    let repo = place.path().join("repo");
    fs::create_dir(&repo).unwrap();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .current_dir(&repo)
            .args([
                "-c",
                "user.name=test",
                "-c",
                "user.email=test@example.invalid",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    fs::rename(place.path().join("policies"), repo.join("policies")).unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "x"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let path = "git+file://./repo//policies?ref=main";
    place.run(&["test", "-p", path, "pod.yaml", "--update-lock"]).exits_with(1);
    let lock = fs::read_to_string(place.path().join("portcullis.lock")).unwrap();
    assert!(lock.contains(&format!("- source: {path}\n  commit: {commit}\n")), "{lock}");
    place.run(&["verify", path, "--locked"]).exits_with(0);
    let run = place.run(&["lint", path, "-v"]).exits_with(0);
    assert!(
        run.stdout.contains(&format!("git+file://./repo@{commit}/policies/owners/template.yaml")),
        "{}",
        run.shown()
    );
    // Whoever calls us from a hook or with settings of its own has told git nothing about this repository.
    let foreign = [
        ("GIT_DIR", "/missing"),
        ("GIT_INDEX_FILE", "/missing"),
        ("GIT_OBJECT_DIRECTORY", "/missing"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "url.file:///missing.insteadOf"),
        ("GIT_CONFIG_VALUE_0", "file://"),
    ];
    place.run_with(&["verify", path, "--locked"], &foreign).exits_with(0);
    git(&["commit", "--quiet", "--allow-empty", "--message", "y"]);
    assert!(place.run(&["verify", path, "--locked"]).exits_with(2).stderr.contains("is now commit"));
}

#[test]
fn a_server_that_keeps_git_waiting_is_left() {
    let place = place();
    place.write(&[(
        "bin/ssh",
        "#!/bin/sh\necho \"$@\" > \"$TMPDIR/../args\"\necho $$ > \"$TMPDIR/../pid\"\nsleep 300\n",
    )]);
    Command::new("chmod").arg("+x").arg(place.path().join("bin/ssh")).status().unwrap();
    let started = std::time::Instant::now();
    let path = "git+ssh://git@host.invalid/acme/policies//x?ref=v1";
    let run =
        place.run(&["test", "-p", path, "-p", "policies", "pod.yaml", "--fetch-timeout", "2"]).exits_with(2);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    assert!(
        run.stderr.contains("within 2 seconds") && run.stdout.contains("nobody owns it"),
        "{}",
        run.shown()
    );
    let args = fs::read_to_string(place.path().join("args")).unwrap();
    assert!(args.contains("BatchMode=yes") && args.contains("git@host.invalid git-upload-pack"), "{args}");
    // What git started has ended with it.
    let pid = fs::read_to_string(place.path().join("pid")).unwrap();
    let is_gone =
        || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| stat.contains(") Z"));
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !is_gone() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(is_gone(), "{pid}");
}

/// The manifest and the blob of one file.
fn honest(request: &servers::Request) -> Reply {
    let layer = Layer::titled("application/yaml", "t.yaml", TEMPLATE);
    if request.path.contains("/manifests/") {
        return Reply::of(200, &[("content-type", MANIFEST)], manifest(&[layer]));
    }
    if request.path.ends_with(&digest(&layer.bytes)) {
        Reply::of(200, &[], layer.bytes)
    } else {
        Reply::of(404, &[], "")
    }
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn docker(place: &Place, text: &str) {
    place.write(&[("docker/config.json", text)]);
}

#[test]
fn credentials_are_for_their_registry_only() {
    let place = Place::new(&[]);
    // The storage takes nothing from strangers, and may not be told who we are.
    let storage = Server::start(honest);
    let host = storage.host.clone();
    let registry = Server::start(move |request| {
        if request.headers.get("authorization") != Some(&basic("me:pass:word")) {
            return Reply::of(401, &[("www-authenticate", "Basic realm=\"x\"")], "");
        }
        if request.path.contains("/blobs/") {
            return Reply::of(307, &[("location", &*format!("http://{host}{}", request.path))], "");
        }
        honest(request)
    });
    let name = format!("{}/p:v1", registry.host);
    let run = place.run(&["pull", &name, "-o", "no"]).exits_with(2);
    assert!(
        run.stderr.contains("does not let us in") && run.stderr.contains("docker login"),
        "{}",
        run.shown()
    );
    docker(
        &place,
        &format!(
            r#"{{"auths": {{"other.example": {{"auth": "{0}"}}, "http://{1}/": {{"auth": "{0}"}}}}}}"#,
            STANDARD.encode("me:pass:word"),
            registry.host
        ),
    );
    place.run(&["pull", &name, "-o", "yes"]).exits_with(0);
    let asked = storage.requests();
    assert!(
        !asked.is_empty() && asked.iter().all(|request| !request.headers.contains_key("authorization")),
        "{asked:?}"
    );
    // Wrong ones are not sent again and again, and never shown.
    docker(
        &place,
        &format!(r#"{{"auths": {{"{}": {{"username": "me", "password": "hidden"}}}}}}"#, registry.host),
    );
    let before = registry.requests().len();
    let run = place.run(&["pull", &name, "-o", "no"]).exits_with(2);
    assert!(!run.shown().contains("hidden") && registry.requests().len() == before + 2, "{}", run.shown());
    for broken in [
        "{",
        r#"{"auths": {"HOST": {"auth": "%%"}}}"#,
        r#"{"auths": {"HOST": {"auth": "aGlkZGVu"}}}"#,
        r#"{"credsStore": "../x"}"#,
        r#"{"credsStore": "missing"}"#,
    ] {
        docker(&place, &broken.replace("HOST", &registry.host));
        let run = place.run(&["pull", &name, "-o", "no"]).exits_with(2);
        assert!(
            !run.shown().contains("hidden") && run.stderr.contains("docker"),
            "{broken}\n{}",
            run.shown()
        );
    }
}

#[test]
fn tokens_are_asked_for_and_programs_that_keep_credentials() {
    let place = Place::new(&[]);
    let tokens = Server::start(|request| {
        let is_ours = request.path.contains("service=registry%20of%20tests")
            && request.path.contains("scope=repository%3Aa%2Fp%3Apull");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let is_refreshed = body.contains("refresh_token=a%20token")
            && body.contains("grant_type=refresh_token")
            && body.contains("scope=repository%3Aa%2Fp%3Apull");
        let is_known = request.headers.get("authorization") == Some(&basic("me:secret"));
        if (is_ours && is_known) || is_refreshed {
            Reply::of(200, &[], r#"{"token": "let-in"}"#)
        } else {
            Reply::of(401, &[], "")
        }
    });
    let realm = format!("http://{}/token", tokens.host);
    let registry = Server::start(move |request| {
        if request.headers.get("authorization").map(String::as_str) == Some("Bearer let-in") {
            return honest(request);
        }
        Reply::of(
            401,
            &[("www-authenticate", &*format!("Bearer realm=\"{realm}\",service=\"registry of tests\""))],
            "",
        )
    });
    let name = format!("{}/a/p:v1", registry.host);
    let run = place.run(&["pull", &name, "-o", "no"]).exits_with(2);
    assert!(run.stderr.contains("gives no token"), "{}", run.shown());
    let auth = STANDARD.encode("me:secret");
    let host = &registry.host;
    let helper = |text: &str| {
        place.write(&[("bin/docker-credential-test", text)]);
        Command::new("chmod")
            .arg("+x")
            .arg(place.path().join("bin/docker-credential-test"))
            .status()
            .unwrap();
    };
    docker(&place, &format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#));
    place.run(&["pull", &name, "-o", "one"]).exits_with(0);
    // The password goes to who gives out tokens, and to nobody else.
    assert!(
        registry
            .requests()
            .iter()
            .all(|request| request.headers.get("authorization") != Some(&basic("me:secret")))
    );
    docker(&place, &format!(r#"{{"auths": {{"{host}": {{"identitytoken": "a token"}}}}}}"#));
    place.run(&["pull", &name, "-o", "two"]).exits_with(0);
    docker(&place, &format!(r#"{{"credHelpers": {{"{host}": "test"}}}}"#));
    helper(&format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {host}' ] && echo '{{\"ServerURL\": \"x\", \"Username\": \"me\", \"Secret\": \"secret\"}}'\n"
    ));
    place.run(&["pull", &name, "-o", "three"]).exits_with(0);
    docker(&place, r#"{"credsStore": "test"}"#);
    helper("#!/bin/sh\necho '{\"Username\": \"<token>\", \"Secret\": \"a token\"}'\n");
    place.run(&["pull", &name, "-o", "four"]).exits_with(0);
    // Of a program that knows nothing, what stands in the file counts; of one that fails, nothing.
    docker(&place, &format!(r#"{{"credsStore": "test", "auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#));
    helper("#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n");
    place.run(&["pull", &name, "-o", "five"]).exits_with(0);
    for (text, expected) in [
        ("#!/bin/sh\nexit 1\n", "failed"),
        ("#!/bin/sh\necho nonsense\n", "something else than credentials"),
        ("#!/bin/sh\nsleep 60\n", "within 10 seconds"),
    ] {
        helper(text);
        let run = place.run(&["pull", &name, "-o", "no"]).exits_with(2);
        assert!(run.stderr.contains(expected), "{}", run.shown());
    }
}

#[test]
fn a_registry_that_asks_for_a_password_gets_it() {
    let place = place();
    let Some(registry) = Registry::start_with_password() else { return };
    let name = format!("{}/p:v1", registry.host);
    place.run(&["push", &name, "policies"]).exits_with(2);
    docker(
        &place,
        &format!(
            r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#,
            registry.host,
            STANDARD.encode("somebody:secret")
        ),
    );
    place.run(&["push", &name, "policies"]).exits_with(0);
    place.run(&["test", "-i", &name, "pod.yaml"]).exits_with(1);
}

#[test]
fn what_is_pushed_is_what_is_meant() {
    let place = place();
    place.write(&[
        ("policies/README.md", "x"),
        ("policies/.git/config.yaml", "x"),
        ("more/owners/template.yaml", TEMPLATE),
        ("secret.yaml", "kind: Secret\n"),
    ]);
    let push = |folders: &[&str]| place.run(&[&["push", "localhost:1/p", "--dry-run"], folders].concat());
    assert!(push(&["policies"]).exits_with(0).stderr.contains("4 files"));
    let run = push(&["policies", "more"]).exits_with(2);
    assert!(run.stderr.contains("two files of the path `owners/template.yaml`"), "{}", run.shown());
    assert!(push(&["missing"]).exits_with(2).stderr.contains("no such file"));
    fs::create_dir(place.path().join("empty")).unwrap();
    assert!(push(&["empty"]).exits_with(2).stderr.contains("no files to push"));
    assert!(push(&["pod.yaml"]).exits_with(0).stderr.contains("1 file would be pushed"));
    assert!(push(&["missing", "policies"]).exits_with(2).stdout.is_empty());
    std::os::unix::fs::symlink("../secret.yaml", place.path().join("policies/linked.yaml")).unwrap();
    let run = push(&["policies"]).exits_with(2);
    assert!(run.stderr.contains("leads out of the directory"), "{}", run.shown());
    let run = place.run(&["push", "localhost:1/p@sha256:1", "policies"]).exits_with(2);
    assert!(run.stderr.contains("names no artifact"), "{}", run.shown());
}
