//! The webhook configuration: that of `deploy/`, with the rules that policies need.

use portcullis::AdmissionRules;
use serde_json::Value;

use crate::{Broken, Options, documents};

const FILE: &str = "webhook-configuration.yaml";
const TEXT: &str = include_str!("../deploy/webhook-configuration.yaml");

pub(crate) fn webhook(rules: &AdmissionRules, options: &Options) -> Result<Vec<Value>, Broken> {
    let mut documents = documents(FILE, TEXT, options)?;
    let asks = |webhook: &Value| {
        webhook.pointer("/clientConfig/service/path").and_then(Value::as_str) == Some("/v1/admit")
    };
    let webhooks = documents.iter_mut().filter_map(|document| document.get_mut("webhooks")?.as_array_mut());
    let mut admitting = webhooks.flatten().filter(|webhook| asks(webhook)).filter_map(Value::as_object_mut);
    let Some(webhook) = admitting.next() else {
        return Err(Broken { file: FILE, reason: "no webhook asks `/v1/admit`".to_owned() });
    };
    webhook.insert("rules".to_owned(), rules.to_json());
    Ok(documents)
}
