//! Inputs for measurements: the project's own policies, and objects from a seeded generator. The same seed
//! gives the same bytes on every machine.

pub mod served;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{Document, Object, PolicySet};

/// The policy library of this repository.
pub fn policies_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// Documents of all templates of the library, and of the first sample constraint of each.
///
/// # Panics
///
/// If the library is not there or cannot be read: a measurement of nothing would be worse.
pub fn library() -> Vec<Document> {
    let mut documents = Vec::new();
    for area in sorted_dirs(&policies_dir()) {
        for policy in sorted_dirs(&area) {
            let template = policy.join("template.yaml");
            if !template.exists() {
                continue;
            }
            documents.extend(read(&template));
            let sample = sorted_dirs(&policy.join("samples")).into_iter().next();
            documents.extend(sample.into_iter().flat_map(|sample| read(&sample.join("constraint.yaml"))));
        }
    }
    assert!(documents.len() > 10, "the policy library is missing");
    documents
}

/// The library, compiled.
///
/// # Panics
///
/// If a policy of the library does not compile.
pub fn compiled_library() -> PolicySet {
    let (policies, errors) = PolicySet::compile(library());
    assert!(errors.iter().all(|error| error.severity() != portcullis::Severity::Error), "{errors:?}");
    policies
}

/// A generator of small numbers: xorshift, seeded.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Numbers from a seed, which must not be 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// A YAML stream of manifests: Deployments, Services, Ingresses and Pods, some of them at fault.
pub fn manifests(count: usize, seed: u64) -> String {
    each_manifest(count, seed).collect()
}

/// The same manifests one by one, each beginning with `---`.
pub fn each_manifest(count: usize, seed: u64) -> impl Iterator<Item = String> {
    let mut numbers = Numbers::new(seed);
    (0..count).map(move |index| {
        let mut text = String::new();
        let namespace = format!("team-{}", numbers.below(12));
        // Writing to a String cannot fail.
        let _ = match numbers.below(4) {
            0 => deployment(&mut text, index, &namespace, &mut numbers),
            1 => service(&mut text, index, &namespace, &mut numbers),
            2 => ingress(&mut text, index, &namespace, &mut numbers),
            _ => pod(&mut text, index, &namespace, &mut numbers),
        };
        text
    })
}

/// Ingresses, two in twenty of which have one host in common.
pub fn each_ingress(count: usize, seed: u64) -> impl Iterator<Item = String> {
    let mut numbers = Numbers::new(seed);
    (0..count).map(move |index| {
        let mut text = String::new();
        let namespace = format!("team-{}", numbers.below(12));
        let host = if index % 20 == 19 { index - 1 } else { index };
        // Writing to a String cannot fail.
        let _ = ingress_of_host(&mut text, index, &namespace, host as u64);
        text
    })
}

fn deployment(text: &mut String, index: usize, namespace: &str, numbers: &mut Numbers) -> std::fmt::Result {
    write!(
        text,
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{index}\n  namespace: {namespace}\n  labels:\n    app: app-{index}\nspec:\n  replicas: {}\n  selector:\n    matchLabels:\n      app: app-{index}\n  template:\n    metadata:\n      labels:\n        app: app-{index}\n    spec:\n{}",
        1 + numbers.below(5),
        indented(&pod_spec(numbers), 6),
    )
}

fn pod(text: &mut String, index: usize, namespace: &str, numbers: &mut Numbers) -> std::fmt::Result {
    write!(
        text,
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod-{index}\n  namespace: {namespace}\n  labels:\n    app: pod-{index}\nspec:\n{}",
        indented(&pod_spec(numbers), 2),
    )
}

fn service(text: &mut String, index: usize, namespace: &str, numbers: &mut Numbers) -> std::fmt::Result {
    let kind = if numbers.below(5) == 0 { "LoadBalancer" } else { "ClusterIP" };
    write!(
        text,
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: svc-{index}\n  namespace: {namespace}\nspec:\n  type: {kind}\n  selector:\n    app: app-{index}\n  ports:\n  - port: 80\n    targetPort: 8080\n",
    )
}

fn ingress(text: &mut String, index: usize, namespace: &str, numbers: &mut Numbers) -> std::fmt::Result {
    // One host in twenty is taken twice.
    let host = if numbers.below(20) == 0 { numbers.below(10) } else { 1000 + index as u64 };
    ingress_of_host(text, index, namespace, host)
}

fn ingress_of_host(text: &mut String, index: usize, namespace: &str, host: u64) -> std::fmt::Result {
    write!(
        text,
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web-{index}\n  namespace: {namespace}\nspec:\n  tls:\n  - hosts: [host-{host}.example.com]\n  rules:\n  - host: host-{host}.example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: svc-{index}\n            port:\n              number: 80\n",
    )
}

/// A YAML stream of Ingresses, spread over a hundred namespaces, each with up to three hosts of its own. One
/// in fifty asks for a host that another has as well.
pub fn ingresses(count: usize, seed: u64) -> String {
    let mut numbers = Numbers::new(seed);
    let mut text = String::new();
    for index in 0..count {
        let namespace = format!("team-{}", numbers.below(100));
        let _ = write!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web-{index}\n  namespace: {namespace}\nspec:\n  rules:\n"
        );
        for number in 0..=numbers.below(3) {
            let owner = if numbers.below(50) == 0 { numbers.below(count as u64) } else { index as u64 };
            let _ = write!(
                text,
                "  - host: h{number}.web-{owner}.example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: svc-{index}\n            port:\n              number: 80\n"
            );
        }
    }
    text
}

fn pod_spec(numbers: &mut Numbers) -> String {
    let mut text = String::from("containers:\n");
    for container in 0..=numbers.below(3) {
        let registry = if numbers.below(6) == 0 { "docker.example.net" } else { "registry.example.com/shop" };
        let _ = write!(
            text,
            "- name: c{container}\n  image: {registry}/app:{}\n  resources:\n    limits:\n      cpu: {}m\n      memory: 256Mi\n  securityContext:\n    privileged: {}\n    allowPrivilegeEscalation: false\n    runAsNonRoot: true\n    readOnlyRootFilesystem: true\n    capabilities:\n      drop: [ALL]\n    seccompProfile:\n      type: RuntimeDefault\n  ports:\n  - containerPort: 8080\n",
            numbers.below(40),
            100 + numbers.below(900),
            numbers.below(10) == 0,
        );
    }
    text
}

fn indented(text: &str, by: usize) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{:by$}{line}", "");
        out
    })
}

/// The generated manifests as objects.
///
/// # Panics
///
/// If the generator wrote something that cannot be read.
pub fn objects(count: usize, seed: u64) -> Vec<Object> {
    let (documents, errors) = Document::read_all("generated.yaml", &manifests(count, seed));
    assert!(errors.is_empty(), "{errors:?}");
    documents.into_iter().filter_map(|document| Object::from_document(document).ok()).collect()
}

fn read(path: &Path) -> Vec<Document> {
    match fs::read_to_string(path) {
        Ok(text) => Document::read_all(&path.display().to_string(), &text).0,
        Err(_) => Vec::new(),
    }
}

fn sorted_dirs(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let mut dirs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs
}
