//! What providers said, for a while: by provider and key, within a number of bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::{ProviderAnswer, ProviderItem};
use portcullis_value::Value;

/// What an entry takes beside its texts.
const OVERHEAD: usize = 256;

/// Answers that are kept.
#[derive(Debug)]
pub(crate) struct Cache {
    ttl: Duration,
    most: usize,
    bytes: usize,
    entries: HashMap<Arc<str>, HashMap<Arc<str>, Entry>>,
    /// In the order in which they end, which is that in which they came.
    order: BTreeMap<u64, (Arc<str>, Arc<str>)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    answer: ProviderAnswer,
    until: Instant,
    bytes: usize,
    number: u64,
}

impl Cache {
    pub(crate) fn new(ttl: Duration, most: usize) -> Self {
        Self { ttl, most, bytes: 0, entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn get(&self, provider: &str, key: &str, now: Instant) -> Option<&ProviderAnswer> {
        let entry = self.entries.get(provider)?.get(key)?;
        (now < entry.until).then_some(&entry.answer)
    }

    /// Keeps an answer. The oldest make room; one that is larger than all of the room is not kept.
    pub(crate) fn keep(&mut self, provider: &Arc<str>, key: &Arc<str>, answer: ProviderAnswer, now: Instant) {
        let bytes = OVERHEAD + provider.len() + 2 * key.len() + weight(&answer);
        if self.ttl.is_zero() || bytes > self.most {
            return;
        }
        self.remove(provider, key);
        while self.bytes.saturating_add(bytes) > self.most {
            let Some((_, (provider, key))) = self.order.pop_first() else { break };
            self.remove(&provider, &key);
        }
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.order.insert(number, (provider.clone(), key.clone()));
        let entry = Entry { answer, until: now + self.ttl, bytes, number };
        self.entries.entry(provider.clone()).or_default().insert(key.clone(), entry);
        self.expire(now);
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, (provider, key))) = self.order.first_key_value() {
            let entry = self.entries.get(provider).and_then(|entries| entries.get(key));
            if entry.is_some_and(|entry| now < entry.until) {
                return;
            }
            let (provider, key) = (provider.clone(), key.clone());
            self.order.pop_first();
            self.remove(&provider, &key);
        }
    }

    fn remove(&mut self, provider: &str, key: &str) {
        let Some(entries) = self.entries.get_mut(provider) else { return };
        if let Some(entry) = entries.remove(key) {
            self.bytes -= entry.bytes;
            self.order.remove(&entry.number);
        }
        if entries.is_empty() {
            self.entries.remove(provider);
        }
    }

    /// Forgets what a provider said: it is another one now.
    pub(crate) fn forget(&mut self, provider: &str) {
        let Some(entries) = self.entries.remove(provider) else { return };
        for entry in entries.into_values() {
            self.bytes -= entry.bytes;
            self.order.remove(&entry.number);
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What an answer takes, about.
pub(crate) fn weight(answer: &ProviderAnswer) -> usize {
    match answer {
        ProviderAnswer::Failure { system_error, .. } => system_error.len(),
        ProviderAnswer::Reply { items, system_error, .. } => {
            let of_item = |item: &ProviderItem| match item {
                ProviderItem::Value(value) => weight_of(value),
                ProviderItem::Error(why) => why.len(),
                ProviderItem::Silent => 0,
            };
            items.iter().map(|item| 32 + of_item(item)).sum::<usize>() + system_error.len()
        }
    }
}

fn weight_of(value: &Value) -> usize {
    // Replies are as deep as values may be, and no deeper.
    use portcullis_value::View;
    const PART: usize = 48;
    match value.view() {
        View::String(text) => PART + text.len(),
        View::Array(items) => PART + items.iter().map(weight_of).sum::<usize>(),
        View::Set(items) => PART + items.iter().map(weight_of).sum::<usize>(),
        View::Object(object) => {
            PART + object.iter().map(|(key, value)| weight_of(key) + weight_of(value)).sum::<usize>()
        }
        View::Number(_) | View::Bool(_) | View::Null | View::Undefined => PART,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> ProviderAnswer {
        let items = [ProviderItem::Value(text.into())];
        ProviderAnswer::Reply {
            items: items.into(),
            status_code: 200,
            system_error: "".into(),
            is_idempotent: true,
        }
    }

    #[test]
    fn it_ends_in_time_and_in_bytes() {
        let start = Instant::now();
        let mut cache = Cache::new(Duration::from_secs(10), 4000);
        let provider: Arc<str> = "p".into();
        for number in 0..100 {
            cache.keep(&provider, &number.to_string().into(), answer("v"), start);
            assert!(cache.bytes() <= 4000);
        }
        assert!(cache.get("p", "99", start).is_some() && cache.get("p", "1", start).is_none());
        cache.keep(&provider, &"large".into(), answer(&"x".repeat(5000)), start);
        assert!(cache.get("p", "large", start).is_none() && cache.get("p", "99", start).is_some());
        let later = start + Duration::from_secs(10);
        assert!(cache.get("p", "99", later).is_none());
        cache.keep(&provider, &"new".into(), answer("v"), later);
        assert!(cache.bytes() < 500, "what ended is gone: {}", cache.bytes());
        cache.keep(&provider, &"new".into(), answer("w"), later);
        assert_eq!(cache.get("p", "new", later), Some(&answer("w")));
        cache.forget("p");
        assert_eq!((cache.bytes(), cache.order.len()), (0, 0));
    }
}
