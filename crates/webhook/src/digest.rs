//! Digests that tell one request, or one set of policies, from another.

use std::collections::BTreeMap;

use portcullis::Document;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `sha256:` and the digest of some bytes in hexadecimal digits.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    format(&Sha256::digest(bytes))
}

/// A number for a text, spread evenly: the first eight bytes of its SHA-256. What policies do at random depends on it, so that one
/// request has the same answer whenever it is asked.
#[must_use]
pub fn seed(text: &str) -> u64 {
    Sha256::digest(text.as_bytes()).iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// The digest of a set of objects: the same for the same objects, whatever files they come from and in which order, and whether or not
/// a cluster has added to their metadata and status, on which no verdict rests. Cost: their JSON form, once.
#[must_use]
pub fn of_documents<'a>(documents: impl IntoIterator<Item = &'a Document>) -> String {
    let mut texts: Vec<String> =
        documents.into_iter().map(|document| essence(document.to_json()).to_string()).collect();
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for text in texts {
        // Texts that are cut elsewhere are others.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    format(&hash.finalize())
}

fn essence(object: Value) -> Value {
    let Value::Object(mut object) = object else { return object };
    let metadata = object.remove("metadata").unwrap_or_default();
    object.remove("status");
    let kept: BTreeMap<&str, &Value> = ["name", "namespace", "labels", "annotations"]
        .into_iter()
        .filter_map(|key| Some((key, metadata.get(key)?)))
        .collect();
    object.insert("metadata".to_owned(), json!(kept));
    Value::Object(object)
}

fn format(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Document> {
        Document::read_all("a.yaml", text).0
    }

    #[test]
    fn a_digest_is_of_what_objects_say() {
        assert_eq!(of_bytes(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let one =
            read("{kind: A, metadata: {name: a}, spec: {x: 1, y: 2}}\n---\n{kind: B, metadata: {name: b}}");
        let same = read(
            "kind: B\nmetadata: {name: b, uid: u}\nstatus: {byPod: []}\n---\n# said\nkind: A\nspec: {y: 2, x: 1}\nmetadata: {name: a}",
        );
        let other =
            read("{kind: A, metadata: {name: a}, spec: {x: 1, y: 3}}\n---\n{kind: B, metadata: {name: b}}");
        assert_eq!(of_documents(&one), of_documents(&same));
        assert_ne!(of_documents(&one), of_documents(&other));
        assert_ne!(of_documents(&one), of_documents(&one[..1]));
    }

    #[test]
    fn seeds_are_fixed_and_differ() {
        // As `sha256sum` says.
        assert_eq!(seed("u-1"), seed("u-1"));
        assert_eq!(seed(""), 0xe3b0_c442_98fc_1c14);
        assert_ne!(seed("u-1"), seed("u-2"));
    }
}
