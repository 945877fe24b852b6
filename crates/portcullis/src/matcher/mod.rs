//! `spec.match`, compiled once and asked for every object.
//!
//! All criteria must hold. They are asked in this order, and the first that does not hold ends it:
//!
//! | criterion | file |
//! |---|---|
//! | `kinds` | [`kinds`] |
//! | `scope`, `namespaces`, `excludedNamespaces` | [`namespaces`] |
//! | `labelSelector`, `namespaceSelector` | [`selectors`] |
//! | `name` | [`glob`] |
//! | `source` | here |
//!
//! Where an object lives is found out before ([`crate::scope`], [`Home`]). What would be if it lived
//! elsewhere is asked in [`elsewhere`].
//!
//! A criterion that cannot be decided is a [`MatchError`]: the review turns it into an error outcome of the
//! constraint, never into "does not match". Since the order is fixed, an error arises only where everything
//! before it held, as in Gatekeeper.

mod elsewhere;
mod glob;
mod kinds;
mod namespaces;
mod selectors;
mod unmet;

use thiserror::Error;

pub(crate) use elsewhere::Elsewhere;
pub(crate) use glob::Glob;
use kinds::KindsMatcher;
pub(crate) use kinds::Names;
use namespaces::NamespacesMatcher;
pub(crate) use selectors::Selector;

use crate::api::matching::{Match, Scope, SourceFilter};
use crate::names::Gvk;
use crate::object::Object;

/// What is matched: an object with what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) object: &'a Object,
    /// Where it lives, as its kind, the request or the caller say. Not asked for Namespaces, which are where
    /// they are by themselves.
    pub(crate) home: Home<'a>,
    pub(crate) source: Source,
}

/// Where an object lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Home<'a> {
    /// In no namespace.
    Cluster,
    /// In a namespace.
    Namespace {
        /// Its name.
        name: &'a str,
        /// The Namespace itself, if it is known.
        object: Option<&'a Object>,
    },
    /// In a namespace, but nobody says in which.
    Unnamed,
}

/// How an object came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Somebody wrote it.
    #[default]
    Original,
    /// An expansion template made it.
    Generated,
}

/// Why it is not known whether a constraint applies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MatchError {
    /// A namespace selector has to look at a Namespace nobody supplied.
    #[error("namespace selector for namespace-scoped object but missing Namespace")]
    MissingNamespace,
    /// A list of namespaces has to be compared with the name of a namespace nobody says.
    #[error("list of namespaces for namespace-scoped object, but it is not said in which namespace it is")]
    UnnamedNamespace,
}

/// The compiled criteria of one constraint.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    kinds: KindsMatcher,
    namespaces: NamespacesMatcher,
    labels: Option<Selector>,
    namespace_labels: Option<Selector>,
    name: Option<Glob>,
    source: SourceFilter,
}

impl Matcher {
    pub(crate) fn compile(wanted: &Match) -> Self {
        // All of them by name, here and below: a new criterion that is not asked would let constraints apply
        // to too much.
        let Match {
            kinds,
            scope,
            namespaces,
            excluded_namespaces,
            label_selector,
            namespace_selector,
            name,
            source,
        } = wanted;
        Self {
            kinds: KindsMatcher::compile(kinds),
            namespaces: NamespacesMatcher::compile(*scope, namespaces, excluded_namespaces),
            labels: label_selector.as_ref().map(Selector::compile),
            namespace_labels: namespace_selector.as_ref().map(Selector::compile),
            name: name.as_deref().map(Glob::compile),
            source: *source,
        }
    }

    /// Whether the constraint applies to the subject.
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> Result<bool, MatchError> {
        let object = subject.object;
        let Self { kinds, namespaces, labels, namespace_labels: _, name, source: _ } = self;
        Ok(kinds.matches(object.gvk())
            && namespaces.matches(subject)?
            && labels.as_ref().is_none_or(|labels| labels.matches(object))
            && self.namespace_selector_matches(subject)?
            && name.as_ref().is_none_or(|name| name.matches_name_of(object))
            && self.source_matches(subject.source))
    }

    /// The kinds it can match at all; `None` if any.
    pub(crate) fn kinds(&self) -> Option<impl Iterator<Item = &str>> {
        self.kinds.named_kinds()
    }

    /// The groups and kinds of each entry of `kinds`, none for any; no entry at all is any kind.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Names<'_>, Names<'_>)> {
        self.kinds.entries()
    }

    /// Whether it can match a kind.
    pub(crate) fn concerns(&self, gvk: &Gvk) -> bool {
        self.kinds.matches(gvk)
    }

    /// Where the objects live that it can match.
    pub(crate) fn scope(&self) -> Scope {
        self.namespaces.scope()
    }

    /// The names of namespaces that it takes, and those that it does not.
    pub(crate) fn namespaces(&self) -> (&[Glob], &[Glob]) {
        (self.namespaces.included(), self.namespaces.excluded())
    }

    /// Whether it can match what somebody wrote.
    pub(crate) fn takes_originals(&self) -> bool {
        self.source_matches(Source::Original)
    }

    /// Whether it can match what is generated.
    pub(crate) fn takes_generated(&self) -> bool {
        self.source_matches(Source::Generated)
    }

    fn namespace_selector_matches(&self, subject: &Subject<'_>) -> Result<bool, MatchError> {
        let Some(selector) = &self.namespace_labels else { return Ok(true) };
        if subject.object.is_namespace() {
            return Ok(selector.matches(subject.object));
        }
        match subject.home {
            Home::Cluster => Ok(true),
            Home::Namespace { object: Some(namespace), .. } => Ok(selector.matches(namespace)),
            Home::Namespace { object: None, .. } | Home::Unnamed => Err(MatchError::MissingNamespace),
        }
    }

    fn source_matches(&self, source: Source) -> bool {
        match self.source {
            SourceFilter::All => true,
            SourceFilter::Original => source == Source::Original,
            SourceFilter::Generated => source == Source::Generated,
        }
    }
}

/// True where `scope` lets the subject through.
fn scope_matches(scope: Scope, subject: &Subject<'_>) -> bool {
    let in_namespace = !subject.object.is_namespace() && !matches!(subject.home, Home::Cluster);
    match scope {
        Scope::Any => true,
        Scope::Cluster => !in_namespace,
        Scope::Namespaced => in_namespace,
    }
}
