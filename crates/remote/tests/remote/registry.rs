//! With a registry that does what it should.

use portcullis_remote::{Artifact, Bounds, Bundle, Digest, Options, RemoteErrorKind};

use crate::servers::{Layer, Registry, TITLE, UNPACK, digest, gzip, tar};
use crate::{files, options, pulled, reference, refused, texts};

const FILES: &[(&str, &str)] = &[
    ("a/one.yaml", "kind: One\n"),
    ("a/two.rego", "package main\n"),
    ("b.json", "{}"),
    ("same.json", "{}"),
    ("empty.yaml", ""),
];

fn bundle(files: &[(&str, &str)]) -> Bundle {
    let mut bundle = Bundle::default();
    for (path, text) in files {
        bundle.add(path, text.as_bytes().to_vec(), &options()).unwrap();
    }
    bundle
}

#[test]
fn what_is_pushed_is_pulled() {
    let Some(registry) = Registry::start() else { return };
    let name = format!("{}/acme/policies:v1", registry.host);
    let bundle = bundle(FILES);
    let digest = bundle.push(&reference(&name), None, &options()).unwrap();
    assert_eq!(digest, bundle.digest().unwrap());
    assert_eq!(pulled(&name, &options()).unwrap(), texts(FILES));
    assert_eq!(
        pulled(&format!("{}/acme/policies@{digest}", registry.host), &options()).unwrap(),
        texts(FILES)
    );
    // Again, where all is there already.
    assert_eq!(bundle.push(&reference(&name), None, &options()).unwrap(), digest);
    let manifest = registry.get_manifest("acme/policies", "v1");
    let titles: Vec<&str> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["annotations"][TITLE].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["a/one.yaml", "a/two.rego", "b.json", "empty.yaml", "same.json"]);
    assert_eq!(
        manifest["layers"][1]["mediaType"],
        "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego"
    );
}

#[test]
fn artifacts_of_other_tools_are_read() {
    let Some(registry) = Registry::start() else { return };
    let host = &registry.host;
    // conftest: a layer for each file, whose titles are the paths that were named.
    registry.put(
        "conftest",
        "v1",
        &[
            Layer::titled(
                "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego",
                "policy/deny.rego",
                "package main\n",
            ),
            Layer::titled(
                "application/vnd.cncf.openpolicyagent.data.layer.v1+json",
                "policy/data.json",
                "{\"a\": 1}",
            ),
        ],
    );
    assert_eq!(
        pulled(&format!("{host}/conftest:v1"), &options()).unwrap(),
        texts(&[("policy/deny.rego", "package main\n"), ("policy/data.json", "{\"a\": 1}")])
    );
    // oras, with which gator's manual pushes: archives of folders, and files, all of types of archives.
    registry.put(
        "gator",
        "latest",
        &[
            Layer::folder(
                "constraints",
                &[
                    ("constraints/", ""),
                    ("constraints/a.yaml", "kind: A\n"),
                    ("constraints/deep/b.yaml", "kind: B\n"),
                ],
            ),
            Layer::folder("library", &[("library/c.yaml", "kind: C\n")]),
            Layer::titled("application/vnd.oci.image.layer.v1.tar", "single.yaml", "kind: D\n"),
        ],
    );
    assert_eq!(
        pulled(&format!("{host}/gator"), &options()).unwrap(),
        texts(&[
            ("constraints/a.yaml", "kind: A\n"),
            ("constraints/deep/b.yaml", "kind: B\n"),
            ("library/c.yaml", "kind: C\n"),
            ("single.yaml", "kind: D\n")
        ])
    );
    // An image, as `FROM scratch` and `COPY` make it.
    let layer = |bytes: Vec<u8>| Layer {
        media_type: "application/vnd.docker.image.rootfs.diff.tar.gzip",
        annotations: Vec::new(),
        bytes,
    };
    registry.put(
        "image",
        "v1",
        &[
            layer(gzip(&tar(&[("./", ""), ("./x.yaml", "kind: X\n")]))),
            layer(tar(&[("y.yaml", "kind: Y\n")])),
        ],
    );
    assert_eq!(
        pulled(&format!("{host}/image:v1"), &options()).unwrap(),
        texts(&[("x.yaml", "kind: X\n"), ("y.yaml", "kind: Y\n")])
    );
}

#[test]
fn what_leads_out_or_cannot_be_read_is_refused_as_a_whole() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.host.clone();
    let good = || Layer::titled("application/yaml", "good.yaml", "kind: Good\n");
    let archive = |bytes: Vec<u8>| Layer {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
        annotations: Vec::new(),
        bytes,
    };
    let linked = |kind: tar::EntryType| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path("link.yaml").unwrap();
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
        gzip(&builder.into_inner().unwrap())
    };
    let mut behind = tar(&[("a.yaml", "")]);
    behind.extend(tar(&[("hidden.yaml", "kind: Hidden\n")]));
    let mut cut = tar(&[("a.yaml", &"x".repeat(2000))]);
    cut.truncate(1000);
    let untitled = Layer { media_type: "application/yaml", annotations: Vec::new(), bytes: b"a: 1".to_vec() };
    let packed = Layer {
        media_type: "application/vnd.oci.image.layer.v1.tar+zstd",
        annotations: Vec::new(),
        bytes: b"x".to_vec(),
    };
    let nested = Layer {
        media_type: "application/x",
        annotations: vec![(TITLE, "bundle.tar.gz".to_owned())],
        bytes: gzip(&tar(&[("a.yaml", "")])),
    };
    let elsewhere = Layer {
        media_type: "application/x",
        annotations: vec![(TITLE, "folder".to_owned()), (UNPACK, "true".to_owned())],
        bytes: gzip(&tar(&[("other/a.yaml", "")])),
    };
    for (number, (layer, expected)) in [
        (Layer::titled("application/yaml", "../out.yaml", "kind: X"), "leads out"),
        (Layer::titled("application/yaml", "/etc/out.yaml", "kind: X"), "leads out"),
        (Layer::titled("application/yaml", "a/../../out.yaml", "kind: X"), "leads out"),
        (Layer::titled("application/yaml", "a\\..\\..\\out.yaml", "kind: X"), "has `\\`"),
        (Layer::titled("application/yaml", "a\u{1b}[2J.yaml", "kind: X"), "cannot be shown"),
        (Layer::titled("application/yaml", "good.yaml", "kind: X"), "two files of the path `good.yaml`"),
        (Layer::titled("application/yaml", "good.yaml/x", "kind: X"), "a file and a folder"),
        (Layer::titled("application/yaml", ".", "kind: X"), "without a name"),
        (archive(gzip(&tar(&[("../out.yaml", "kind: X")]))), "leads out"),
        (archive(gzip(&tar(&[("/out.yaml", "kind: X")]))), "leads out"),
        (archive(gzip(&tar(&[("a/.wh.b.yaml", "")]))), "takes away a file"),
        (archive(linked(tar::EntryType::Symlink)), "is a link"),
        (archive(linked(tar::EntryType::Link)), "is a link"),
        (archive(linked(tar::EntryType::Fifo)), "is a pipe"),
        (archive(linked(tar::EntryType::Block)), "is a device"),
        (archive(gzip(&behind)), "behind the end"),
        (archive(gzip(&cut)), "the archive ends within `a.yaml`"),
        (archive(b"\x1f\x8bnonsense".to_vec()), "cannot be read"),
        (archive(gzip(b"")), "the archive is empty"),
        (untitled, "has no title"),
        (packed, "has no title and is no archive"),
        (nested, "an archive inside of the artifact"),
        (elsewhere, "not below the folder that it is of"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("bad{number}");
        registry.put(&name, "v1", &[good(), layer]);
        let (kind, message) = refused(&format!("{host}/{name}:v1"), &options());
        assert_eq!(kind, RemoteErrorKind::Unusable, "{number}: {message}");
        assert!(message.contains(expected), "{number}: {message}");
        assert!(!message.contains('\u{1b}'), "{message}");
    }
    registry.put("none", "v1", &[]);
    assert!(refused(&format!("{host}/none:v1"), &options()).1.contains("no files"));
    assert_eq!(refused(&format!("{host}/missing:v1"), &options()).0, RemoteErrorKind::NotFound);
    assert_eq!(refused(&format!("{host}/bad0@{}", digest(b"x")), &options()).0, RemoteErrorKind::NotFound);
}

/// An archive as GNU tar and Go's library make it of long paths.
fn long_names(kind: tar::EntryType, about: &[u8], name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, path, bytes) in [(kind, "about", about), (tar::EntryType::Regular, name, b"kind: A\n")] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path(path).unwrap();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn long_paths_are_read_and_looked_at() {
    let Some(registry) = Registry::start() else { return };
    let long = format!("{}/a.yaml", "folder".repeat(30));
    let record = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        // The length counts itself.
        let length =
            (rest.len()..1000).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
        format!("{length}{rest}").into_bytes()
    };
    let mtime = record("mtime", "1.5");
    let cases = [
        (tar::EntryType::GNULongName, format!("{long}\0").into_bytes(), Ok(&*long)),
        (tar::EntryType::XHeader, [mtime.clone(), record("path", &long)].concat(), Ok(&long)),
        (tar::EntryType::XHeader, mtime.clone(), Ok("short.yaml")),
        (tar::EntryType::XGlobalHeader, record("comment", "0123"), Ok("short.yaml")),
        (tar::EntryType::GNULongName, b"../../out.yaml\0".to_vec(), Err("leads out")),
        (tar::EntryType::XHeader, record("path", "/out.yaml"), Err("leads out")),
        (tar::EntryType::XHeader, record("size", "0"), Err("of a size that its headers do not have")),
        (tar::EntryType::XGlobalHeader, record("path", "all.yaml"), Err("one path for all")),
        (tar::EntryType::XHeader, b"nonsense".to_vec(), Err("cannot be read")),
        (tar::EntryType::XHeader, vec![b'x'; 100_000], Err("a header that is too long")),
        (tar::EntryType::GNULongLink, b"/etc/passwd\0".to_vec(), Err("is a link")),
    ];
    for (number, (kind, about, expected)) in cases.into_iter().enumerate() {
        let bytes = gzip(&long_names(kind, &about, "short.yaml"));
        let layer = Layer {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
            annotations: Vec::new(),
            bytes,
        };
        let name = format!("long{number}");
        registry.put(&name, "v1", &[layer]);
        let found = pulled(&format!("{}/{name}:v1", registry.host), &options());
        match expected {
            Ok(path) => assert_eq!(found.unwrap(), texts(&[(path, "kind: A\n")]), "{number}"),
            Err(expected) => {
                let message = found.unwrap_err().to_string();
                assert!(message.contains(expected), "{number}: {message}");
            }
        }
    }
}

#[test]
fn everything_has_a_bound() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.host.clone();
    let archive = |bytes: Vec<u8>| Layer {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
        annotations: Vec::new(),
        bytes,
    };
    let with = |bounds: Bounds| Options { bounds, ..options() };
    let usual = Bounds::default();
    let many: Vec<(String, String)> =
        (0..50).map(|number| (format!("d{number}/f.yaml"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (&**path, &**text)).collect();
    registry.put("many", "v1", &[archive(gzip(&tar(&many)))]);
    assert_eq!(pulled(&format!("{host}/many:v1"), &options()).unwrap().len(), 50);
    let (kind, message) = refused(&format!("{host}/many:v1"), &with(Bounds { files: 60, ..usual }));
    assert_eq!((kind, message.contains("more than 60 files")), (RemoteErrorKind::Limit, true), "{message}");
    // A few kilobytes that become many megabytes.
    let bomb = "0".repeat(8 << 20);
    registry.put("bomb", "v1", &[archive(gzip(&tar(&[("a.yaml", &bomb)])))]);
    let (kind, message) = refused(&format!("{host}/bomb:v1"), &with(Bounds { unpacked: 1 << 20, ..usual }));
    assert_eq!((kind, message.contains("when it is unpacked")), (RemoteErrorKind::Limit, true), "{message}");
    // The same in what is no file: a long header, and what comes behind the end.
    let mut long = Vec::new();
    {
        let mut builder = tar::Builder::new(&mut long);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(bomb.len() as u64);
        header.set_cksum();
        builder.append(&header, bomb.as_bytes()).unwrap();
        builder.finish().unwrap();
    }
    let mut zeros = tar(&[("a.yaml", "")]);
    zeros.extend(vec![0; 8 << 20]);
    for (name, bytes) in [("long", long), ("zeros", zeros)] {
        registry.put(name, "v1", &[archive(gzip(&bytes))]);
        let bounds = Bounds { unpacked: 1 << 20, files: 100, ..usual };
        let (kind, message) = refused(&format!("{host}/{name}:v1"), &with(bounds));
        assert_eq!(kind, RemoteErrorKind::Limit, "{name}: {message}");
    }
    let files: Vec<Layer> = (0..5)
        .map(|number| Layer::titled("application/yaml", &format!("{number}.yaml"), &"x".repeat(100)))
        .collect();
    registry.put("five", "v1", &files);
    for (bounds, expected) in [
        (Bounds { layers: 4, ..usual }, "5 layers"),
        (Bounds { packed: 499, ..usual }, "500 bytes"),
        (Bounds { unpacked: 499, ..usual }, "unpacked"),
        (Bounds { manifest: 100, ..usual }, "the manifest has more than 100 bytes"),
        (Bounds { files: 4, ..usual }, "more than 4 files"),
    ] {
        let (kind, message) = refused(&format!("{host}/five:v1"), &with(bounds));
        assert_eq!(kind, RemoteErrorKind::Limit, "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let mut bundle = Bundle::default();
    let small = with(Bounds { packed: 10, ..usual });
    bundle.add("a.yaml", b"123456".to_vec(), &small).unwrap();
    assert_eq!(bundle.add("b.yaml", b"123456".to_vec(), &small).unwrap_err().kind(), RemoteErrorKind::Limit);
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    let Some(registry) = Registry::start() else { return };
    let name = format!("{}/p:v1", registry.host);
    bundle(FILES).push(&reference(&name), None, &options()).unwrap();
    let artifact = Artifact::find(&reference(&name), &options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (full, empty) = (folder.path().join("full"), folder.path().join("empty"));
    std::fs::create_dir(&full).unwrap();
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(full.join("mine.yaml"), "kind: Mine\n").unwrap();
    let error = artifact.pull_to(&full).unwrap_err();
    assert!(error.to_string().contains("there already"), "{error}");
    assert_eq!(files(&full), texts(&[("mine.yaml", "kind: Mine\n")]));
    artifact.pull_to(&empty).unwrap();
    assert_eq!(files(&empty), texts(FILES));
    artifact.pull_to(&folder.path().join("new/deep")).unwrap();
}

#[test]
fn an_index_says_what_is_in_it() {
    let Some(registry) = Registry::start() else { return };
    let one = registry.put("multi", "one", &[Layer::titled("application/yaml", "a.yaml", "kind: A\n")]);
    let size = crate::servers::manifest(&[Layer::titled("application/yaml", "a.yaml", "kind: A\n")]).len();
    let kind = "application/vnd.oci.image.index.v1+json";
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{{"mediaType":"{}","digest":"{one}","size":{size}}}]}}"#,
        crate::servers::MANIFEST
    );
    let (status, _, body) = crate::servers::request(
        &registry.host,
        "PUT",
        "/v2/multi/manifests/all",
        &[("content-type", kind)],
        text.as_bytes(),
    );
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    let error = pulled(&format!("{}/multi:all", registry.host), &options()).unwrap_err();
    assert!(error.to_string().contains("an index of 1 artifacts"), "{error}");
    assert!(error.what_to_do().unwrap().contains(&one), "{error:?}");
    assert_eq!(pulled(&format!("{}/multi@{one}", registry.host), &options()).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_pushed_is_not() {
    let digest = Digest::of(b"x");
    let error =
        bundle(FILES).push(&reference(&format!("localhost:1/p@{digest}")), None, &options()).unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Reference);
    assert!(Bundle::default().push(&reference("localhost:1/p"), None, &options()).is_err());
    let error = bundle(FILES).push(&reference("localhost:1/p"), None, &options()).unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Unreachable);
}

#[test]
fn tls_is_trusted_by_its_ca_only() {
    let Some((registry, ca)) = Registry::start_with_tls() else { return };
    let name = format!("{}/p:v1", registry.host);
    let trusting = |file: &std::path::Path| Options { ca_file: Some(file.to_owned()), ..options() };
    bundle(FILES).push(&reference(&name), None, &trusting(&ca)).unwrap();
    assert_eq!(pulled(&name, &trusting(&ca)).unwrap(), texts(FILES));
    // No certificate, that of somebody else, and no TLS where it is spoken.
    let (kind, message) = refused(&name, &trusting(&ca.with_file_name("ca.key")));
    assert_eq!(
        (kind, message.contains("no certificates in PEM")),
        (RemoteErrorKind::Local, true),
        "{message}"
    );
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch -subj /CN=other -keyout other.key -out other.pem";
    let made = std::process::Command::new("openssl")
        .current_dir(ca.parent().unwrap())
        .args(make.split(' '))
        .output();
    assert!(made.unwrap().status.success());
    let error = pulled(&name, &trusting(&ca.with_file_name("other.pem"))).unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Unreachable, "{error}");
    assert!(error.what_to_do().is_some_and(|hint| hint.contains("--ca-file")), "{error:?}");
    assert!(pulled(&name, &options()).is_err());
    let Some(plain) = Registry::start() else { return };
    let error = pulled(&format!("{}/p:v1", plain.host), &trusting(&ca)).unwrap_err();
    assert!(error.what_to_do().is_some_and(|hint| hint.contains("--plain-http")), "{error:?}");
    std::fs::remove_dir_all(ca.parent().unwrap()).unwrap();
}
