//! Signatures as cosign keeps them in a registry: under the tag `sha256-….sig`, a manifest whose layers are texts that
//! name the digest of what is signed, with the signature of each text beside it.
//!
//! Nobody else is asked: a key signed it, or it did not.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::manifest::SIGNED;
use crate::registry::Repository;

/// What stands before the point of a key on the curve P-256 that is not compressed, and before a key of Ed25519, in
/// their encoding as a public key. Both are always the same, so that nothing has to be read.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P256_POINT: usize = 65;
const ED: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED_POINT: usize = 32;

/// Most signatures that are looked at, and bytes of the text of one.
const SIGNATURES: usize = 100;
const TEXT: u64 = 64 << 10;

/// Where cosign keeps the signature of a text.
pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
pub(crate) const KIND: &str = "cosign container image signature";

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    /// Reads a file with a public key in PEM.
    ///
    /// # Errors
    ///
    /// If there is none, or one of another kind.
    pub fn read(file: &Path) -> Result<Self, RemoteError> {
        let shown = file.display();
        let pem = fs::read(file).map_err(|error| local(&format!("`{shown}` cannot be read"), &error))?;
        Self::of_pem(&pem).map_err(|error| error.of(&format!("`{shown}`")))
    }

    /// Reads a public key in PEM.
    ///
    /// # Errors
    ///
    /// If there is none, or one of another kind.
    pub fn of_pem(pem: &[u8]) -> Result<Self, RemoteError> {
        let wrong = |message: &str| {
            RemoteError::new(RemoteErrorKind::Local, message)
                .hint("expected `-----BEGIN PUBLIC KEY-----`, such as the `cosign.pub` of `cosign generate-key-pair`")
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| wrong("there is no public key in PEM"))?;
        let point =
            |prefix: &[u8], length: usize| der.strip_prefix(prefix).filter(|rest| rest.len() == length);
        if let Some(point) = point(P256, P256_POINT) {
            Ok(Self::p256(point))
        } else if let Some(point) = point(ED, ED_POINT) {
            Ok(Self::ed25519(point))
        } else {
            Err(wrong(
                "this public key is neither of ECDSA with P-256 nor of Ed25519: others are not supported",
            ))
        }
    }

    /// A point of the curve P-256.
    pub(crate) fn p256(point: &[u8]) -> Self {
        Self(Kind::P256(point.to_vec()))
    }

    /// A point of Ed25519's.
    pub(crate) fn ed25519(point: &[u8]) -> Self {
        Self(Kind::Ed25519(point.to_vec()))
    }

    fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(text, signature).is_ok()
            }
            Kind::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(text, signature).is_ok(),
        }
    }
}

/// The tag of the signatures of an artifact.
pub(crate) fn tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

#[derive(Deserialize)]
struct Text {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Looks whether one of the keys signed an artifact.
pub(crate) fn verify(repository: &Repository, digest: &Digest, keys: &[Key]) -> Result<(), RemoteError> {
    let unsigned = |message: String| Err(RemoteError::new(RemoteErrorKind::Signature, message));
    let found = match repository.manifest_by(&tag(digest), None) {
        Ok(found) => found,
        Err(error) if error.kind() == RemoteErrorKind::NotFound => {
            let missing = RemoteError::new(
                RemoteErrorKind::Signature,
                format!("{digest} is not signed: nothing of it is used"),
            );
            return Err(missing.hint("what is looked for is a signature under the tag `sha256-….sig`; bundles of keyless signing are not supported"));
        }
        Err(error) => return Err(error.of(&format!("the signatures of {digest}"))),
    };
    let (mut others, mut count) = (Vec::new(), 0_usize);
    for layer in found.manifest.layers.iter().filter(|layer| layer.media_type == SIGNED) {
        count += 1;
        if count > SIGNATURES {
            break;
        }
        let Some(signature) = layer.annotation(SIGNATURE).and_then(|text| STANDARD.decode(text.trim()).ok())
        else {
            continue;
        };
        let text = repository.blob(layer, TEXT)?;
        if !keys.iter().any(|key| key.signed(&text, &signature)) {
            continue;
        }
        // Only what the key signed is read.
        let Ok(Text { critical }) = serde_json::from_slice::<Text>(&text) else { continue };
        if critical.kind == KIND && critical.image.digest == digest.as_str() {
            return Ok(());
        }
        others.push(critical.image.digest);
    }
    match others.first() {
        Some(other) => unsigned(format!(
            "{digest} is not signed: the signature that is kept for it is of {other}, and nothing of it is used"
        )),
        None => unsigned(format!(
            "{digest} is not signed by the key: of {count} signatures none is right, and nothing of it is used"
        )),
    }
}
