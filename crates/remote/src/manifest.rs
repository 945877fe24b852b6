//! The wire types of artifacts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What we push is, as a whole.
pub(crate) const POLICIES: &str = "application/vnd.portcullis.policies.v1";
/// The config of an artifact that has none, by OCI's specification.
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// What a layer of conftest's is.
pub(crate) const REGO: &str = "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego";
/// What cosign signs.
pub(crate) const SIGNED: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The path of a layer that is one file, or of the folder that it was made of.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
/// Whether a layer is the archive of a folder, as `oras push` makes it.
pub(crate) const UNPACK: &str = "io.deis.oras.content.unpack";

/// A manifest. Its fields are written in this order, so that equal files have equal digests.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

/// What something is, and by which digest it is known.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The descriptor of some bytes.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    let (digest, size) = (Digest::of(bytes).to_string(), bytes.len() as u64);
    Descriptor { media_type: media_type.to_owned(), digest, size, annotations: None }
}

/// The bytes of a manifest.
pub(crate) fn written(manifest: &Manifest) -> Result<Vec<u8>, RemoteError> {
    serde_json::to_vec(manifest).map_err(|error| {
        RemoteError::new(RemoteErrorKind::Local, format!("a manifest cannot be written: {error}"))
    })
}
