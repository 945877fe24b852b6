//! Signing what is pushed, as cosign does with a key: see `signature.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::manifest::{Manifest, OCI_MANIFEST, SIGNED, descriptor, written};
use crate::registry::Repository;
use crate::signature::{KIND, Key, SIGNATURE, tag, verify};

/// A private key.
pub struct SigningKey(Kind);

enum Kind {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a private key in PEM, PKCS#8, that is not encrypted.
    ///
    /// # Errors
    ///
    /// If there is none, or one of another kind.
    pub fn read(file: &Path) -> Result<Self, RemoteError> {
        let shown = file.display();
        let pem = fs::read(file).map_err(|error| local(&format!("`{shown}` cannot be read"), &error))?;
        let wrong = |what: &str| {
            RemoteError::new(RemoteErrorKind::Local, format!("`{shown}` {what}"))
                .hint("expected `-----BEGIN PRIVATE KEY-----` of ECDSA with P-256 or Ed25519, such as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`")
        };
        if pem.windows(9).any(|window| window == b"ENCRYPTED") {
            return Err(wrong("is encrypted, which is not supported: sign with `cosign sign --key`"));
        }
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| wrong("has no private key in PKCS#8"))?;
        let der = der.secret_pkcs8_der();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &SystemRandom::new())
        {
            return Ok(Self(Kind::P256(pair)));
        }
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => Ok(Self(Kind::Ed25519(pair))),
            Err(_) => Err(wrong("is a key neither of ECDSA with P-256 nor of Ed25519")),
        }
    }

    fn public(&self) -> Key {
        match &self.0 {
            Kind::P256(pair) => Key::p256(pair.public_key().as_ref()),
            Kind::Ed25519(pair) => Key::ed25519(pair.public_key().as_ref()),
        }
    }

    /// Signs an artifact that is there. Signatures of others stay.
    pub(crate) fn sign(
        &self,
        repository: &Repository,
        digest: &Digest,
        name: &str,
    ) -> Result<(), RemoteError> {
        if verify(repository, digest, &[self.public()]).is_ok() {
            return Ok(());
        }
        let mut layers = match repository.manifest_by(&tag(digest), None) {
            Ok(found) => found.manifest.layers,
            Err(error) if error.kind() == RemoteErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let text = json!({
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": digest.as_str()},
                "type": KIND,
            },
            "optional": null,
        });
        let text = text.to_string().into_bytes();
        let unsigned = || RemoteError::new(RemoteErrorKind::Local, "the key does not sign");
        let signature = match &self.0 {
            Kind::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), &text).map_err(|_| unsigned())?;
                STANDARD.encode(signature)
            }
            Kind::Ed25519(pair) => STANDARD.encode(pair.sign(&text)),
        };
        let mut layer = descriptor(SIGNED, &text);
        layer.annotations = Some(BTreeMap::from([(SIGNATURE.to_owned(), signature)]));
        repository.push_blob(&Digest::of(&text), &text)?;
        layers.push(layer);
        // What tools of images expect of one.
        let parts: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({
            "architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": parts},
        });
        let config = config.to_string().into_bytes();
        repository.push_blob(&Digest::of(&config), &config)?;
        let manifest = written(&Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config: descriptor("application/vnd.oci.image.config.v1+json", &config),
            layers,
        })?;
        repository.push_manifest(&tag(digest), &manifest)?;
        Ok(())
    }
}
