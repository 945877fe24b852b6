//! `caBundle` of webhook configurations: how API servers know a certificate that we made ourselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
    STANDARD.encode(all.get(first..).unwrap_or_default().concat())
}

fn decode(bundle: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(bundle).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(number: usize) -> String {
        format!("-----BEGIN CERTIFICATE-----\nAAAA{number}\n-----END CERTIFICATE-----\n")
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
        // What is no bundle is none: no certificate, no base64, no text.
        for other in ["", "Cg==", "!", "gA=="] {
            assert_eq!(decode(&with_ca(other, &certificate(1))), Some(certificate(1)), "{other}");
        }
    }
}
