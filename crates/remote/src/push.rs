//! Folders as an artifact. Equal files give equal digests: there is no time, no order but that of paths, nothing is packed.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind};
use crate::folder::Inside;
use crate::manifest::{
    Descriptor, EMPTY, Manifest, OCI_MANIFEST, POLICIES, REGO, TITLE, descriptor, written,
};
use crate::many::for_each;
use crate::options::Options;
use crate::reference::Reference;
use crate::registry::{Doing, Repository};
use crate::sign::SigningKey;

/// Files to push, each a layer of its own that gator, conftest and oras put at its path.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    files: BTreeMap<Inside, Vec<u8>>,
    bytes: u64,
}

/// The config of an artifact that has none.
const NOTHING: &[u8] = b"{}";
/// Most files of one artifact: registries take manifests of 4 MiB.
const MOST: usize = 8_000;

impl Inside {
    fn media_type(&self) -> &'static str {
        match self.as_str().rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "rego" => REGO,
            "json" | "jsonl" | "ndjson" => "application/json",
            "toml" => "application/toml",
            _ => "application/yaml",
        }
    }
}

impl Bundle {
    /// Adds a file at a path with slashes.
    ///
    /// # Errors
    ///
    /// If there is one already, if the path leads out of a folder, or if there are too many.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>, options: &Options) -> Result<(), RemoteError> {
        let Some(inside) = Inside::parse(path)? else {
            return Err(RemoteError::new(
                RemoteErrorKind::Unusable,
                format!("`{path}` is no path of a file"),
            ));
        };
        let limit = |message: String| Err(RemoteError::new(RemoteErrorKind::Limit, message));
        if self.files.len() >= MOST {
            return limit(format!("there are more than {MOST} files"));
        }
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > options.bounds.packed {
            return limit(format!("the files have more than {} bytes", options.bounds.packed));
        }
        if self.files.insert(inside, bytes).is_some() {
            let message = format!("there are two files of the path `{path}`");
            return Err(RemoteError::new(RemoteErrorKind::Unusable, message)
                .hint("what is pushed has the path below the folder that is named: name the folder that both are in"));
        }
        Ok(())
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The bytes of the manifest.
    fn manifest(&self) -> Result<Vec<u8>, RemoteError> {
        let layers = self.files.iter().map(|(path, bytes)| Descriptor {
            media_type: path.media_type().to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: Some(BTreeMap::from([(TITLE.to_owned(), path.as_str().to_owned())])),
        });
        written(&Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            artifact_type: Some(POLICIES.to_owned()),
            config: descriptor(EMPTY, NOTHING),
            layers: layers.collect(),
        })
    }

    /// The digest that it has, wherever it is pushed.
    ///
    /// # Errors
    ///
    /// None that is known: manifests are always written.
    pub fn digest(&self) -> Result<Digest, RemoteError> {
        Ok(Digest::of(&self.manifest()?))
    }

    /// Brings it into a registry. The tag is set last, when all else is there, the signature included.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being there as a whole under its tag.
    pub fn push(
        &self,
        to: &Reference,
        key: Option<&SigningKey>,
        options: &Options,
    ) -> Result<Digest, RemoteError> {
        self.bring(to, key, options).map_err(|error| error.of(&format!("`{to}`")))
    }

    fn bring(
        &self,
        to: &Reference,
        key: Option<&SigningKey>,
        options: &Options,
    ) -> Result<Digest, RemoteError> {
        if to.digest().is_some() {
            let message = "what is pushed has the digest of its files, and cannot be given one";
            return Err(RemoteError::new(RemoteErrorKind::Reference, message).hint("leave `@sha256:…` out"));
        }
        if self.is_empty() {
            return Err(RemoteError::new(RemoteErrorKind::Unusable, "there are no files to push"));
        }
        let manifest = self.manifest()?;
        let repository = Repository::new(to, Doing::Push, options)?;
        repository.push_blob(&Digest::of(NOTHING), NOTHING)?;
        // Equal files are one layer.
        let blobs: BTreeMap<Digest, &Vec<u8>> =
            self.files.values().map(|bytes| (Digest::of(bytes), bytes)).collect();
        let blobs: Vec<_> = blobs.into_iter().collect();
        for_each(&blobs, |_, (digest, bytes)| repository.push_blob(digest, bytes))?;
        if let Some(key) = key {
            let digest = Digest::of(&manifest);
            repository.push_manifest(digest.as_str(), &manifest)?;
            let name = format!("{}/{}", to.host(), to.repository());
            key.sign(&repository, &digest, &name)?;
        }
        repository.push_manifest(to.tag(), &manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_have_equal_digests_and_paths_are_unique() {
        let options = Options::default();
        let bundle = |paths: &[&str]| {
            let mut bundle = Bundle::default();
            for path in paths {
                bundle.add(path, path.bytes().collect(), &options).unwrap();
            }
            bundle
        };
        let one = bundle(&["b.yaml", "a/c.rego", "d.json"]);
        assert_eq!(one.manifest().unwrap(), bundle(&["d.json", "a/c.rego", "b.yaml"]).manifest().unwrap());
        // Known to others: a change of it is a change of what everybody pinned.
        assert_eq!(
            one.digest().unwrap().as_str(),
            "sha256:dbc9cc2f9e71406b4d02411d7c8d2a375f1b91630dab3aaa0aab5cf6ee44454b"
        );
        let mut one = one;
        assert!(one.add("./b.yaml", Vec::new(), &options).is_err());
        assert!(one.add("../b.yaml", Vec::new(), &options).is_err());
    }
}
