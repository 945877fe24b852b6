//! Enforcement actions and points: what a violation of a constraint leads to, and where.
//!
//! The rules are Gatekeeper's: `enforcementAction` is `deny` (default), `warn`, `dryrun`, or `scoped` with a
//! list of actions per enforcement point. At a point, a constraint has the union of the actions of all
//! entries that name the point or `*`; with none it is not evaluated there at all.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::node::Node;

/// Where policies are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnforcementPoint {
    /// The validating webhook, `validation.gatekeeper.sh`.
    Webhook,
    /// The audit of existing objects, `audit.gatekeeper.sh`.
    Audit,
    /// The command line, `gator.gatekeeper.sh`.
    CommandLine,
    /// The API server's own admission policies, `vap.k8s.io`.
    AdmissionPolicy,
}

impl EnforcementPoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Audit, Self::CommandLine, Self::AdmissionPolicy];

    /// The name that constraints use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "validation.gatekeeper.sh",
            Self::Audit => "audit.gatekeeper.sh",
            Self::CommandLine => "gator.gatekeeper.sh",
            Self::AdmissionPolicy => "vap.k8s.io",
        }
    }
}

impl fmt::Display for EnforcementPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a violation leads to. Ordered by severity, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnforcementAction {
    /// The request does not pass.
    Deny,
    /// The request passes with a warning to its sender.
    Warn,
    /// The violation is only recorded.
    Dryrun,
}

impl EnforcementAction {
    /// The word that constraints use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Dryrun => "dryrun",
        }
    }
}

impl fmt::Display for EnforcementAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of actions that apply together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actions {
    deny: bool,
    warn: bool,
    dryrun: bool,
}

impl Actions {
    fn insert(&mut self, action: EnforcementAction) {
        match action {
            EnforcementAction::Deny => self.deny = true,
            EnforcementAction::Warn => self.warn = true,
            EnforcementAction::Dryrun => self.dryrun = true,
        }
    }

    /// Whether an action is among them.
    #[must_use]
    pub const fn contains(self, action: EnforcementAction) -> bool {
        match action {
            EnforcementAction::Deny => self.deny,
            EnforcementAction::Warn => self.warn,
            EnforcementAction::Dryrun => self.dryrun,
        }
    }

    /// The actions, the gravest first.
    pub fn iter(self) -> impl Iterator<Item = EnforcementAction> {
        [EnforcementAction::Deny, EnforcementAction::Warn, EnforcementAction::Dryrun]
            .into_iter()
            .filter(move |action| self.contains(*action))
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.deny && !self.warn && !self.dryrun
    }

    /// The gravest of them.
    #[must_use]
    pub fn gravest(self) -> Option<EnforcementAction> {
        self.iter().next()
    }
}

impl FromIterator<EnforcementAction> for Actions {
    fn from_iter<T: IntoIterator<Item = EnforcementAction>>(actions: T) -> Self {
        let mut set = Self::default();
        actions.into_iter().for_each(|action| set.insert(action));
        set
    }
}

/// What a constraint's violations lead to at every enforcement point, worked out when the constraint is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// `enforcementAction: deny | warn | dryrun`: the same everywhere.
    Everywhere(EnforcementAction),
    /// `enforcementAction: scoped`: the actions per point, in the order of [`EnforcementPoint::ALL`].
    Scoped([Actions; 4]),
}

impl Default for Enforcement {
    fn default() -> Self {
        Self::Everywhere(EnforcementAction::Deny)
    }
}

impl Enforcement {
    /// The word in `spec.enforcementAction`, as results repeat it.
    #[must_use]
    pub const fn declared(&self) -> &'static str {
        match self {
            Self::Everywhere(action) => action.as_str(),
            Self::Scoped(_) => "scoped",
        }
    }

    /// The actions at a point; empty if the constraint is not evaluated there.
    #[must_use]
    pub fn actions(&self, point: EnforcementPoint) -> Actions {
        match self {
            Self::Everywhere(action) => Actions::from_iter([*action]),
            Self::Scoped(points) => EnforcementPoint::ALL
                .iter()
                .zip(points)
                .find(|(candidate, _)| **candidate == point)
                .map(|(_, actions)| *actions)
                .unwrap_or_default(),
        }
    }

    pub(crate) fn read(spec: &Node<'_>, errors: &mut Vec<Error>) -> Option<Self> {
        const WORDS: &[(&str, Option<EnforcementAction>)] = &[
            ("deny", Some(EnforcementAction::Deny)),
            ("warn", Some(EnforcementAction::Warn)),
            ("dryrun", Some(EnforcementAction::Dryrun)),
            ("scoped", None),
        ];
        let Some(field) = spec.field("enforcementAction") else { return Some(Self::default()) };
        match field.one_of(WORDS, errors)? {
            Some(action) => Some(Self::Everywhere(action)),
            None => read_scoped(spec, errors),
        }
    }
}

fn read_scoped(spec: &Node<'_>, errors: &mut Vec<Error>) -> Option<Enforcement> {
    const ACTIONS: &[(&str, EnforcementAction)] = &[
        ("deny", EnforcementAction::Deny),
        ("warn", EnforcementAction::Warn),
        ("dryrun", EnforcementAction::Dryrun),
    ];
    const POINTS: &[(&str, Option<EnforcementPoint>)] = &[
        ("*", None),
        ("validation.gatekeeper.sh", Some(EnforcementPoint::Webhook)),
        ("audit.gatekeeper.sh", Some(EnforcementPoint::Audit)),
        ("gator.gatekeeper.sh", Some(EnforcementPoint::CommandLine)),
        ("vap.k8s.io", Some(EnforcementPoint::AdmissionPolicy)),
    ];
    let Some(list) = spec.field("scopedEnforcementActions") else {
        errors.push(spec.error(
            ErrorKind::MissingField,
            "`enforcementAction: scoped` needs `spec.scopedEnforcementActions`",
        ));
        return None;
    };
    let mut points = [Actions::default(); 4];
    for entry in list.items(errors) {
        let action = entry.required("action", errors).and_then(|action| action.one_of(ACTIONS, errors));
        let named = entry.list("enforcementPoints", errors);
        if named.is_empty() {
            errors.push(
                entry.error(ErrorKind::MissingField, "an entry needs at least one of `enforcementPoints`"),
            );
        }
        for name in &named {
            let point = name.required("name", errors).and_then(|name| name.one_of(POINTS, errors));
            let (Some(action), Some(point)) = (action, point) else { continue };
            for (candidate, actions) in EnforcementPoint::ALL.iter().zip(points.iter_mut()) {
                if point.is_none_or(|point| point == *candidate) {
                    actions.insert(action);
                }
            }
        }
    }
    Some(Enforcement::Scoped(points))
}
