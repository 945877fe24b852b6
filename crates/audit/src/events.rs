//! What comes of an audit, one after the other: what a batch says, and what a shard writes down for those that put shards together.

use std::sync::Arc;

use portcullis::{ErrorKind, Gvk, Severity};
use portcullis_report::{Action, Finding, ObjectName, Objects, Place, Problem, Tally};
use serde::{Deserialize, Serialize};

/// One step through a batch.
#[derive(Debug)]
pub enum Step {
    /// The next item of the feed begins; of a cluster, with where it is in the lists.
    Item(Option<Listed>),
    /// The next object of the item begins, whoever judges it.
    Object,
    /// How the object is called; with its place if it is judged here.
    Name(ObjectName, Option<Place>),
    /// Something came of it.
    Event(Box<Event>),
}

/// Where in an audit something was: in this order one audit says it. All shards of an audit number the same things alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// Before the first item.
    Begin,
    /// In files: the item of the feed, from 1, and the object in it, from 1; 0 is the item as a whole.
    Item(u64, u64),
    /// In a cluster, where lists of several moments have no numbers in common.
    Listed(Listed),
    /// Behind the last item.
    End,
    /// What all of it comes to.
    Sums,
}

/// Where an object is in the lists of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listed {
    kind: KindName,
    /// Whether it is behind all objects of the kind.
    end: bool,
    /// As the API server keeps them: `namespace/name`.
    key: String,
}

impl Listed {
    /// What is said of a kind without an object.
    #[cfg_attr(not(feature = "kube"), expect(dead_code, reason = "only clusters have lists"))]
    pub fn begin(gvk: &Gvk) -> Self {
        Self { kind: gvk.into(), end: false, key: String::new() }
    }

    /// An object.
    #[cfg_attr(not(feature = "kube"), expect(dead_code, reason = "only clusters have lists"))]
    pub fn object(gvk: &Gvk, name: &ObjectName) -> Self {
        let slash = if name.namespace.is_empty() { "" } else { "/" };
        Self { kind: gvk.into(), end: false, key: format!("{}{slash}{}", name.namespace, name.name) }
    }

    /// Behind the last object of a kind.
    pub fn end(gvk: &Gvk) -> Self {
        Self { kind: gvk.into(), end: true, key: String::new() }
    }
}

/// Something that an audit says, beside passes, which are only counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// What only the first pass may have met: it counts if the second does not meet it.
    Expected(#[serde(with = "problem")] Problem),
    /// The same, of a kind.
    ExpectedKind(KindName, String),
    /// Something that could not be read or judged.
    Unread(#[serde(with = "problem")] Problem),
    /// So many more, which are not listed.
    Unlisted(u64),
    /// Something else that is wrong.
    Problem(#[serde(with = "problem")] Problem),
    /// A kind that could not be listed to its end, and why.
    FailedKind(KindName, String),
    /// A violation, or what could not be evaluated.
    Finding(Finding),
    /// What became of the objects of a kind.
    Kind(KindName, Objects),
    /// What came out in a namespace.
    Namespace(Arc<str>, Tally),
    /// What came out altogether.
    Totals(Sums),
}

/// The totals that are not by namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sums {
    /// All of them.
    pub all: Tally,
    /// By the index of the constraint.
    pub by_policy: Vec<Tally>,
    /// By action.
    pub by_action: Vec<(Action, Tally)>,
    /// By the index of the constraint and the action of the expansion template.
    pub overridden: Vec<(usize, Action, u64)>,
}

/// Group, version and kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KindName(Arc<str>, Arc<str>, Arc<str>);

impl From<&Gvk> for KindName {
    fn from(gvk: &Gvk) -> Self {
        Self(gvk.group.clone(), gvk.version.clone(), gvk.kind.clone())
    }
}

impl From<KindName> for Gvk {
    fn from(KindName(group, version, kind): KindName) -> Self {
        Self { group, version, kind }
    }
}

/// Problems as they are kept, with nothing left out: reports leave some of it out.
pub mod problem {
    use super::{Deserialize, ErrorKind, ObjectName, Place, Problem, Serialize, Severity};
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        error: bool,
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<ObjectName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Where>,
    }

    /// Reports write a place in the cluster as they write that there is none.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Where {
        Cluster,
        File(Place),
    }

    /// Writes a problem that is [`Problem::kept`].
    pub fn serialize<S: Serializer>(problem: &Problem, serializer: S) -> Result<S::Ok, S::Error> {
        let place = problem.place.clone().map(|place| match place {
            Place::Cluster => Where::Cluster,
            file @ Place::File { .. } => Where::File(file),
        });
        Written {
            error: problem.is_error(),
            code: problem.kind.code().to_owned(),
            message: problem.message.clone(),
            help: problem.help.clone(),
            object: problem.object.clone(),
            place,
        }
        .serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Problem, D::Error> {
        let Written { error, code, message, help, object, place } = Written::deserialize(deserializer)?;
        let kind = ErrorKind::ALL.iter().find(|kind| kind.code() == code);
        let kind = *kind.ok_or_else(|| D::Error::custom(format!("there is no code `{code}`")))?;
        let severity = if error { Severity::Error } else { Severity::Warning };
        let place = place.map(|place| match place {
            Where::Cluster => Place::Cluster,
            Where::File(place) => place,
        });
        Ok(Problem { severity, help, object, place, ..Problem::error(kind, message) })
    }
}
