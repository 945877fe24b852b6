//! `caBundle` of webhook configurations: how API servers know a certificate that we made ourselves.

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::resource::ApiResource;
use crate::write::{Written, at};

/// CAs that a bundle keeps. Each pod that makes certificates for itself has its own; the oldest go.
const KEPT: usize = 8;

/// Adds a CA, as PEM, to every webhook of a ValidatingWebhookConfiguration, beside those of the other pods.
///
/// # Errors
///
/// If it cannot be written.
pub async fn add_ca_bundle(
    cluster: &Cluster,
    configuration: &str,
    ca: &str,
) -> Result<Written, ClusterError> {
    const TRIES: u32 = 5;
    let resource = ApiResource::new(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    );
    let path = resource.path(None, Some(configuration));
    let mut conflicts = 0;
    loop {
        let live = match cluster.get_json(&path).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return Ok(Written::Missing),
            Err(error) => return Err(error),
        };
        let webhooks = at(&live, &["webhooks"]).as_array().map(Vec::as_slice).unwrap_or_default();
        let mut operations = vec![
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": at(&live, &["metadata", "resourceVersion"])}),
        ];
        for (index, webhook) in webhooks.iter().enumerate() {
            let old = at(webhook, &["clientConfig", "caBundle"]).as_str().unwrap_or_default();
            let new = with_ca(old, ca);
            if new != old {
                let path = format!("/webhooks/{index}/clientConfig/caBundle");
                operations.push(json!({"op": "add", "path": path, "value": new}));
            }
        }
        if operations.len() == 1 {
            return Ok(Written::Unchanged);
        }
        match cluster.json_patch(&path, &Value::Array(operations)).await {
            Ok(_) => return Ok(Written::Changed),
            // 422 is a test that failed: somebody else was faster.
            Err(error) if matches!(error.code(), Some(409 | 422)) && conflicts + 1 < TRIES => {
                sleep(cluster.backoff().wait(conflicts, None)).await;
                conflicts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A bundle with one more CA, both in base64 as the API has them. A bundle that cannot be read is replaced: API servers refuse it too.
fn with_ca(bundle: &str, ca: &str) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let text = decode(bundle).unwrap_or_default();
    let certificates = |text: &str| -> Vec<String> {
        text.split(BEGIN).skip(1).map(|part| format!("{BEGIN}{}\n", part.trim_end())).collect()
    };
    let mut all = certificates(&text);
    for own in certificates(ca) {
        if !all.contains(&own) {
            all.push(own);
        }
    }
    let first = all.len().saturating_sub(KEPT);
    encode(all.get(first..).unwrap_or_default().concat().as_bytes())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let letter = |bits: u32| char::from(ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'A'));
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(letter(bits >> 18));
        text.push(letter(bits >> 12));
        text.push(if chunk.len() > 1 { letter(bits >> 6) } else { '=' });
        text.push(if chunk.len() > 2 { letter(bits) } else { '=' });
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.bytes().filter(|byte| !byte.is_ascii_whitespace()).take_while(|&byte| byte != b'=') {
        let value = ALPHABET.iter().position(|&known| known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(number: usize) -> String {
        format!("-----BEGIN CERTIFICATE-----\nAAAA{number}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn base64_goes_there_and_back() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar", "é–\n"] {
            assert_eq!(decode(&encode(text.as_bytes())).as_deref(), Some(text));
        }
        assert_eq!(encode(b"foobar"), "Zm9vYmFy");
        assert_eq!(encode(b"fo"), "Zm8=");
        assert_eq!(decode("!"), None);
    }

    #[test]
    fn a_bundle_keeps_the_newest() {
        let mut bundle = String::new();
        for number in 0..10 {
            bundle = with_ca(&bundle, &certificate(number));
            assert_eq!(with_ca(&bundle, &certificate(number)), bundle);
        }
        let text = decode(&bundle).expect("a text");
        assert_eq!(text.matches("BEGIN").count(), 8);
        assert!(!text.contains("AAAA1\n") && text.contains("AAAA9\n"));
        // What is no bundle is none.
        assert_eq!(decode(&with_ca("Cg==", &certificate(1))).expect("a text"), certificate(1));
    }
}
