//! The second line: texts that repeat a secret though the policy that made them reads none.

use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::REDACTED;
use super::hide::Texts;

/// Shorter values stand in texts by chance.
const SHORT: usize = 4;
/// A line or a part of a longer value that says something by itself.
const PART: usize = 6;
/// Bytes of all that is searched for; of more than that nothing is.
const MOST: usize = 256 << 10;

/// Finds secrets, in some of the forms that they may have.
#[derive(Debug, Default)]
pub(super) struct Search(Option<AhoCorasick>);

impl Search {
    pub(super) fn of(texts: &Texts) -> Self {
        let mut forms = Vec::new();
        for text in &texts.list {
            add_forms(&mut forms, text);
            // The data of Secrets, which policies may decode.
            let decoded = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(decoded) = decoded {
                add_forms(&mut forms, &decoded);
            }
        }
        forms.sort_unstable();
        forms.dedup();
        if forms.is_empty() || forms.iter().map(String::len).sum::<usize>() > MOST {
            return Self(None);
        }
        let mut builder = AhoCorasick::builder();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest);
        Self(builder.build(forms).ok())
    }

    /// A text without what is secret.
    pub(super) fn mask(&self, text: &str) -> String {
        let Some(search) = &self.0 else { return text.to_owned() };
        let mut masked = String::with_capacity(text.len());
        let mut last = 0;
        for found in search.find_iter(text) {
            masked.push_str(text.get(last..found.start()).unwrap_or_default());
            masked.push_str(REDACTED);
            last = found.end();
        }
        masked.push_str(text.get(last..).unwrap_or_default());
        masked
    }

    /// A value without what is secret, in keys and values. It is no deeper than readers of JSON let it be.
    pub(super) fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, field)| (self.mask(key), self.mask_value(field))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.mask_value(item)).collect(),
            Value::String(text) => self.mask(text).into(),
            other => other.clone(),
        }
    }
}

fn add_forms(forms: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if text.len() < SHORT {
        return;
    }
    let lines = text.lines().map(str::trim);
    let parts = text.split(|c: char| c.is_whitespace() || ":;,=@/|&?\"'".contains(c));
    forms.extend(lines.chain(parts).filter(|part| part.len() >= PART).map(str::to_owned));
    let (mut hex, mut url) = (String::new(), String::new());
    for byte in text.bytes() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        let _ = if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            write!(url, "{}", char::from(byte))
        } else {
            write!(url, "%{byte:02X}")
        };
    }
    let printed = Value::from(text).to_string();
    let printed = printed.get(1..printed.len() - 1).unwrap_or_default().to_owned();
    let encoded = [BASE64_STANDARD_NO_PAD.encode(text), BASE64_URL_SAFE_NO_PAD.encode(text)];
    let reversed = text.chars().rev().collect();
    forms.extend([text.to_owned(), hex, url.replace("%20", "+"), url, printed, reversed]);
    forms.extend(encoded);
}
