//! The objects, their history, and what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::faults::{Fault, Verb, What};
use super::rights::Rights;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `GET`, `PATCH` …
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
    /// The header `Content-Type`.
    pub content_type: String,
    /// The body as JSON; null if there was none.
    pub body: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) name: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
    objects: BTreeMap<Key, Arc<Value>>,
    /// What happened, in order.
    pub(super) log: Vec<Happening>,
}

type Key = (String, String);

#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) version: u64,
    pub(super) what: &'static str,
    pub(super) object: Arc<Value>,
}

impl Kind {
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// API servers leave kind and version out of the items of built-in kinds.
    pub(super) fn is_built_in(&self) -> bool {
        !self.group.contains("gatekeeper.sh")
    }
}

/// A list of one state that is being read in pages.
type Snapshot = Vec<(Key, Arc<Value>)>;

/// A page of a list.
pub(super) struct Part {
    pub(super) objects: Vec<Arc<Value>>,
    pub(super) version: u64,
    pub(super) next: Option<String>,
    pub(super) left: usize,
}

#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    /// Older versions are forgotten.
    pub(super) oldest: u64,
    kinds: BTreeMap<String, Kind>,
    snapshots: BTreeMap<(String, String, u64), Arc<Snapshot>>,
    pub(super) faults: Vec<Fault>,
    pub(super) recorded: Vec<Recorded>,
    pub(super) broken_groups: BTreeSet<String>,
    /// Kinds that may not be read.
    pub(super) denied: BTreeSet<String>,
    /// Who may do what with which resource, as SubjectAccessReviews say it.
    pub(super) permitted: BTreeSet<[String; 3]>,
    /// How long the kind of a new CRD is not served, and then initializing.
    pub(super) establishing: Option<(Duration, Duration)>,
    /// Kinds that are being established: when they are served, and when they answer.
    young: BTreeMap<String, (Instant, Instant)>,
    pub(super) aggregated: bool,
    pub(super) bookmarks: u64,
    pub(super) watch_epoch: u64,
    /// Everything is allowed if there are none.
    pub(super) rights: Option<Rights>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            version: 100,
            oldest: 0,
            kinds: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            faults: Vec::new(),
            recorded: Vec::new(),
            broken_groups: BTreeSet::new(),
            denied: BTreeSet::new(),
            permitted: BTreeSet::new(),
            establishing: None,
            young: BTreeMap::new(),
            aggregated: true,
            bookmarks: 0,
            watch_epoch: 0,
            rights: None,
        }
    }
}

/// Why a kind that is new does not answer.
pub(super) enum Youth {
    Absent,
    Initializing,
}

/// Why a request is refused: code, reason, message.
pub(super) type Refusal = (u16, &'static str, String);

impl Store {
    /// A SubjectAccessReview with what it comes to.
    pub(super) fn access_review(&self, mut review: Value) -> Value {
        let text = |path: &str| review.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let attributes = "/spec/resourceAttributes";
        let asked = [
            text("/spec/user"),
            text(&format!("{attributes}/verb")),
            text(&format!("{attributes}/resource")),
        ];
        review["status"] = json!({"allowed": self.permitted.contains(&asked)});
        review
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn register(&mut self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.broken_groups.remove(api_version);
        self.kinds.entry(plural.to_owned()).or_insert_with(|| Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            name: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            objects: BTreeMap::new(),
            log: Vec::new(),
        });
    }

    pub(super) fn unregister(&mut self, plural: &str) {
        self.kinds.remove(plural);
        self.watch_epoch += 1;
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }

    pub(super) fn kind(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        self.kinds.get(plural).filter(|kind| kind.group == group && kind.version == version)
    }

    pub(super) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = self.kinds.get(plural)?;
        Some((**kind.objects.get(&(namespace.to_owned(), name.to_owned()))?).clone())
    }

    pub(super) fn count(&self, plural: &str) -> usize {
        self.kinds.get(plural).map_or(0, |kind| kind.objects.len())
    }

    pub(super) fn put(&mut self, object: Value) -> u64 {
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let plural =
            self.kinds.values().find(|known| known.name == kind && known.api_version() == api_version);
        let plural =
            plural.unwrap_or_else(|| panic!("{api_version} {kind} is not registered")).plural.clone();
        self.write(&plural, object)
    }

    /// Stores an object with a new version.
    fn write(&mut self, plural: &str, mut object: Value) -> u64 {
        let key = key(&object);
        let version = self.version + 1;
        let Some(kind) = self.kinds.get_mut(plural) else { return self.version };
        let old = kind.objects.get(&key).cloned();
        let uid = old
            .as_ref()
            .map_or_else(|| json!(format!("uid-{version}")), |old| old["metadata"]["uid"].clone());
        let generation = old.as_ref().map_or(1, |old| {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or(1);
            if old["spec"] == object["spec"] { generation } else { generation + 1 }
        });
        let metadata = &mut object["metadata"];
        metadata["uid"] = uid;
        metadata["generation"] = json!(generation);
        metadata["resourceVersion"] = match &old {
            Some(old) => old["metadata"]["resourceVersion"].clone(),
            None => Value::Null,
        };
        if old.as_deref() == Some(&object) {
            // A write that changes nothing is none.
            return self.version;
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.name);
        let object = Arc::new(object);
        let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
        kind.objects.insert(key, object.clone());
        kind.log.push(Happening { version, what, object: object.clone() });
        self.version = version;
        self.establish(&object);
        version
    }

    /// A CRD brings its kind.
    fn establish(&mut self, object: &Value) {
        if object["kind"] != "CustomResourceDefinition" {
            return;
        }
        let (spec, names) = (&object["spec"], &object["spec"]["names"]);
        let version = spec["versions"].as_array().and_then(|list| list.iter().find(|v| v["storage"] == true));
        let version = version.map(|version| text(&version["name"])).unwrap_or_default();
        let api_version = format!("{}/{version}", text(&spec["group"]));
        let (kind, plural) = (text(&names["kind"]), text(&names["plural"]));
        if let (Some((absent, initializing)), false) = (self.establishing, self.kinds.contains_key(&plural)) {
            let served = Instant::now() + absent;
            self.young.insert(plural.clone(), (served, served + initializing));
        }
        self.register(&api_version, &kind, &plural, spec["scope"] == "Namespaced");
    }

    /// Why a kind does not answer yet, if it is new.
    pub(super) fn youth(&self, plural: &str) -> Option<Youth> {
        let (served, answers) = self.young.get(plural)?;
        match Instant::now() {
            now if now < *served => Some(Youth::Absent),
            now if now < *answers => Some(Youth::Initializing),
            _ => None,
        }
    }

    /// Says in a CRD that it is established, as its controller does once that is so. Returns whether there is
    /// one to say it in.
    pub(super) fn tell_established(&mut self) -> bool {
        let now = Instant::now();
        let is_ready = |(served, _): &(Instant, Instant)| *served <= now;
        let ready: Vec<String> =
            self.young.iter().filter(|(_, when)| is_ready(when)).map(|(plural, _)| plural.clone()).collect();
        let mut any = false;
        for plural in ready {
            let Some(kind) = self.kinds.get(&plural) else { continue };
            let name = format!("{plural}.{}", kind.group);
            let Some(mut crd) = self.get("customresourcedefinitions", "", &name) else { continue };
            let established = json!([{"type": "Established", "status": "True"}]);
            if crd["status"]["conditions"] == established {
                continue;
            }
            crd["status"]["conditions"] = established;
            self.write("customresourcedefinitions", crd);
            any = true;
        }
        any
    }

    /// Marks an object as being deleted.
    pub(super) fn terminate(&mut self, plural: &str, namespace: &str, name: &str) {
        if let Some(mut object) = self.get(plural, namespace, name) {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-31T12:00:00Z");
            self.write(plural, object);
        }
    }

    pub(super) fn delete(&mut self, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let version = self.version + 1;
        let kind = self.kinds.get_mut(plural)?;
        let object = kind.objects.remove(&(namespace.to_owned(), name.to_owned()))?;
        let mut last = (*object).clone();
        last["metadata"]["resourceVersion"] = json!(version.to_string());
        let last = Arc::new(last);
        kind.log.push(Happening { version, what: "DELETED", object: last.clone() });
        self.version = version;
        if last["kind"] == "CustomResourceDefinition" {
            // Its kind goes with it, and the objects.
            self.unregister(&text(&last["spec"]["names"]["plural"]));
        }
        Some(last)
    }

    pub(super) fn compact(&mut self) {
        self.oldest = self.version;
        self.snapshots.clear();
    }

    /// What goes wrong with a request, if something does.
    pub(super) fn take_fault(&mut self, verb: Verb, plural: &str) -> Option<What> {
        self.faults.iter_mut().find_map(|fault| fault.takes(verb, plural).then(|| fault.what.clone()))
    }

    /// A page, from a token on.
    pub(super) fn list(
        &mut self,
        plural: &str,
        namespace: &str,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Part, Refusal> {
        let (version, start) = match token {
            None => (self.version, None),
            Some(token) => parse_token(token).ok_or((400, "BadRequest", "no such token".to_owned()))?,
        };
        if token.is_some() && version < self.oldest {
            return Err((410, "Expired", "The provided continue parameter is too old".to_owned()));
        }
        let id = (plural.to_owned(), namespace.to_owned(), version);
        let snapshot = match self.snapshots.get(&id) {
            Some(snapshot) => snapshot.clone(),
            None if token.is_some() && version != self.version => {
                return Err((410, "Expired", "The provided continue parameter is too old".to_owned()));
            }
            None => {
                let kind = self.kinds.get(plural).ok_or((404, "NotFound", "no such kind".to_owned()))?;
                let inside = |key: &Key| namespace.is_empty() || key.0 == namespace;
                let objects = kind.objects.iter().filter(|(key, _)| inside(key));
                let snapshot: Snapshot = objects.map(|(key, object)| (key.clone(), object.clone())).collect();
                Arc::new(snapshot)
            }
        };
        let from = start.as_ref().map_or(0, |start| snapshot.partition_point(|(key, _)| key <= start));
        let limit = if limit == 0 { usize::MAX } else { limit };
        let page: Vec<_> = snapshot.iter().skip(from).take(limit).collect();
        let left = snapshot.len() - from - page.len();
        let next = page.last().filter(|_| left > 0).map(|(key, _)| make_token(version, key));
        let objects = page.into_iter().map(|(_, object)| object.clone()).collect();
        if left > 0 {
            self.snapshots.insert(id, snapshot);
        } else {
            self.snapshots.remove(&id);
        }
        Ok(Part { objects, version, next, left })
    }

    /// The token that goes on where another was, at the present state.
    pub(super) fn renewed_token(&self, token: Option<&str>) -> Option<String> {
        let (_, key) = parse_token(token?)?;
        Some(make_token(self.version, &key?))
    }

    pub(super) fn create(
        &mut self,
        plural: &str,
        namespace: &str,
        mut object: Value,
    ) -> Result<Value, Refusal> {
        let kind = self.kinds.get(plural).ok_or((404, "NotFound", "no such kind".to_owned()))?;
        if kind.namespaced {
            object["metadata"]["namespace"] = json!(namespace);
        }
        if text(&object["metadata"]["name"]).is_empty() {
            let prefix = text(&object["metadata"]["generateName"]);
            if prefix.is_empty() {
                return Err((422, "Invalid", "metadata.name: Required value".to_owned()));
            }
            object["metadata"]["name"] = json!(format!("{prefix}{}", self.version));
        }
        let key = key(&object);
        if kind.objects.contains_key(&key) {
            return Err((409, "AlreadyExists", format!("{plural} {} already exists", key.1)));
        }
        self.write(plural, object);
        Ok(self.get(plural, &key.0, &key.1).unwrap_or_default())
    }

    /// Replaces an object, or its status only.
    pub(super) fn update(
        &mut self,
        plural: &str,
        (namespace, name): (&str, &str),
        is_status: bool,
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let missing = || (404, "NotFound", format!("{plural} \"{name}\" not found"));
        let old = self.get(plural, namespace, name).ok_or_else(missing)?;
        let mut new = old.clone();
        change(&mut new)?;
        let asked = &new["metadata"]["resourceVersion"];
        if !asked.is_null() && *asked != old["metadata"]["resourceVersion"] {
            let message =
                format!("Operation cannot be fulfilled on {plural} \"{name}\": the object has been modified");
            return Err((409, "Conflict", message));
        }
        let mut merged = if is_status { old.clone() } else { new.clone() };
        merged["status"] = if is_status { new["status"].clone() } else { old["status"].clone() };
        if merged["status"].is_null()
            && let Some(fields) = merged.as_object_mut()
        {
            fields.remove("status");
        }
        self.write(plural, merged);
        self.get(plural, namespace, name).ok_or_else(missing)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn key(object: &Value) -> Key {
    (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

fn make_token(version: u64, key: &Key) -> String {
    format!("{version}|{}|{}=", key.0, key.1)
}

fn parse_token(token: &str) -> Option<(u64, Option<Key>)> {
    let mut parts = token.strip_suffix('=')?.splitn(3, '|');
    let version = parts.next()?.parse().ok()?;
    Some((version, Some((parts.next()?.to_owned(), parts.next()?.to_owned()))))
}
