//! Signatures that openssl makes, under the tag where cosign keeps them, and those that we make.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_remote::{Artifact, Bundle, Digest, Key, RemoteErrorKind, SigningKey};

use crate::servers::{Layer, Registry};
use crate::{options, reference};

fn openssl(folder: &Path, args: &[&str]) {
    let status = Command::new("openssl")
        .current_dir(folder)
        .args(args)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "openssl {args:?}");
}

/// A private key, PKCS#8, and its public key.
fn pair(folder: &Path, name: &str, algorithm: &[&str]) -> (PathBuf, PathBuf) {
    let (private, public) = (format!("{name}.key"), format!("{name}.pub"));
    openssl(folder, &[&["genpkey"], algorithm, &["-out", &private]].concat());
    openssl(folder, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    (folder.join(private), folder.join(public))
}

const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const ED25519: &[&str] = &["-algorithm", "ED25519"];

fn text(digest: &str) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"localhost/p"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

/// A layer as `cosign sign --key` makes one.
fn signature(folder: &Path, key: &Path, text: &str) -> Layer {
    fs::write(folder.join("text"), text).unwrap();
    openssl(folder, &["dgst", "-sha256", "-sign", key.to_str().unwrap(), "-out", "signature", "text"]);
    let signature = STANDARD.encode(fs::read(folder.join("signature")).unwrap());
    Layer {
        media_type: "application/vnd.dev.cosign.simplesigning.v1+json",
        annotations: vec![("dev.cosignproject.cosign/signature", signature)],
        bytes: text.as_bytes().to_vec(),
    }
}

fn tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

#[test]
fn only_what_the_key_signed_is_used() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (private, public) = pair(folder, "right", P256);
    let (wrong, other) = pair(folder, "wrong", P256);
    let (key, other) = (Key::read(&public).unwrap(), Key::read(&other).unwrap());
    let mut bundle = Bundle::default();
    bundle.add("a.yaml", b"kind: A\n".to_vec(), &options()).unwrap();
    let name = reference(&format!("{}/p:v1", registry.host));
    let digest = bundle.push(&name, None, &options()).unwrap();
    let verify = |keys: &[Key]| {
        Artifact::find(&name, &options()).unwrap().verify(keys).map_err(|error| {
            assert_eq!(error.kind(), RemoteErrorKind::Signature, "{error}");
            error.to_string()
        })
    };
    assert!(verify(std::slice::from_ref(&key)).unwrap_err().contains("is not signed"));
    let right = text(digest.as_str());
    let put = |layers: &[Layer]| _ = registry.put("p", &tag(&digest), layers);
    // By another key; with a signature of another text; of another artifact; of another kind of text; none at all.
    put(&[signature(folder, &wrong, &right)]);
    assert!(verify(std::slice::from_ref(&key)).unwrap_err().contains("of 1 signatures none is right"));
    let mut moved = signature(folder, &private, &text(Digest::of(b"old").as_str()));
    moved.bytes = right.clone().into_bytes();
    put(&[moved]);
    assert!(verify(std::slice::from_ref(&key)).unwrap_err().contains("none is right"));
    put(&[signature(folder, &private, &text(Digest::of(b"old").as_str()))]);
    assert!(verify(std::slice::from_ref(&key)).unwrap_err().contains(Digest::of(b"old").as_str()));
    put(&[signature(folder, &private, &right.replace("cosign container", "another"))]);
    verify(std::slice::from_ref(&key)).unwrap_err();
    put(&[signature(folder, &private, "{}")]);
    verify(std::slice::from_ref(&key)).unwrap_err();
    let twice = right.replace(
        "\"docker-manifest-digest\":",
        &format!("\"docker-manifest-digest\":\"{}\",\"docker-manifest-digest\":", Digest::of(b"old")),
    );
    put(&[signature(folder, &private, &twice)]);
    verify(std::slice::from_ref(&key)).unwrap_err();
    let mut unread = signature(folder, &private, &right);
    unread.annotations = vec![("dev.cosignproject.cosign/signature", "%%".to_owned())];
    put(&[unread]);
    verify(std::slice::from_ref(&key)).unwrap_err();
    let mut plain = signature(folder, &private, &right);
    plain.media_type = "application/json";
    put(&[plain]);
    verify(std::slice::from_ref(&key)).unwrap_err();
    // The right one counts, wherever it stands, and for its own key only.
    put(&[signature(folder, &wrong, "{}"), signature(folder, &private, &right)]);
    verify(std::slice::from_ref(&key)).unwrap();
    verify(&[other.clone(), key]).unwrap();
    verify(&[other]).unwrap_err();
}

#[test]
fn what_we_sign_others_verify() {
    let Some(registry) = Registry::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut bundle = Bundle::default();
    bundle.add("a.yaml", b"kind: A\n".to_vec(), &options()).unwrap();
    let name = reference(&format!("{}/p:v1", registry.host));
    for (number, (kind, algorithm)) in [("p256", P256), ("ed25519", ED25519)].into_iter().enumerate() {
        let (private, public) = pair(folder, kind, algorithm);
        let signing = SigningKey::read(&private).unwrap();
        for _ in 0..2 {
            let digest = bundle.push(&name, Some(&signing), &options()).unwrap();
            Artifact::find(&name, &options()).unwrap().verify(&[Key::read(&public).unwrap()]).unwrap();
            // Signatures of others stay, and none is made twice.
            let manifest = registry.get_manifest("p", &tag(&digest));
            assert_eq!(manifest["layers"].as_array().unwrap().len(), number + 1);
            let layer = &manifest["layers"][number];
            let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
            fs::write(folder.join("signature"), STANDARD.decode(signature).unwrap()).unwrap();
            fs::write(
                folder.join("text"),
                text(digest.as_str()).replace("localhost/p", &format!("{}/p", registry.host)),
            )
            .unwrap();
            let public = public.to_str().unwrap();
            if kind == "p256" {
                openssl(folder, &["dgst", "-sha256", "-verify", public, "-signature", "signature", "text"]);
            } else {
                openssl(
                    folder,
                    &[
                        "pkeyutl",
                        "-verify",
                        "-pubin",
                        "-inkey",
                        public,
                        "-rawin",
                        "-in",
                        "text",
                        "-sigfile",
                        "signature",
                    ],
                );
            }
        }
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for algorithm in
        [&["-algorithm", "RSA"][..], &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]]
    {
        let (private, public) = pair(folder, "x", algorithm);
        assert_eq!(Key::read(&public).unwrap_err().kind(), RemoteErrorKind::Local);
        assert!(SigningKey::read(&private).is_err());
        assert!(Key::read(&private).is_err());
    }
    let (private, public) = pair(folder, "y", P256);
    assert!(SigningKey::read(&public).is_err());
    openssl(
        folder,
        &[
            "pkcs8",
            "-topk8",
            "-in",
            private.to_str().unwrap(),
            "-passout",
            "pass:secret",
            "-out",
            "encrypted.key",
        ],
    );
    let error = SigningKey::read(&folder.join("encrypted.key")).err().unwrap();
    assert!(error.to_string().contains("is encrypted"), "{error}");
    assert!(Key::of_pem(b"").is_err());
    assert!(Key::read(&folder.join("missing")).is_err());
}
