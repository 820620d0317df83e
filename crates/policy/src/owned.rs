//! Policies by layer that own their documents, for callers that read them from files or change them.
//!
//! A [`PolicySet`] only borrows documents, as a server keeps them elsewhere. This is the same by value.

use crate::document::Document;
use crate::request::{Named, PolicySet, ResourceKind, ResourcePolicy};

/// A document and the name it goes by in reasons.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnedPolicy {
    /// The name.
    pub name: String,
    /// The document.
    pub document: Document,
}

/// All policies that bear on a request, by layer, as in [`PolicySet`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnedPolicies {
    /// The policies of the principal.
    pub identity: Vec<OwnedPolicy>,
    /// The policies that count only for the asked resource's group.
    pub group: Vec<OwnedPolicy>,
    /// The permissions boundary.
    pub boundary: Option<Vec<OwnedPolicy>>,
    /// The session policies.
    pub session: Option<Vec<OwnedPolicy>>,
    /// The policies of the private endpoint.
    pub endpoint: Option<Vec<OwnedPolicy>>,
    /// The policy of the resource, and how it works together with identity policies.
    pub resource: Option<(OwnedPolicy, ResourceKind)>,
    /// Service control policies by level, the root first.
    pub scp: Option<Vec<Vec<OwnedPolicy>>>,
    /// Resource control policies by level, the root first.
    pub rcp: Option<Vec<Vec<OwnedPolicy>>>,
}

impl OwnedPolicies {
    /// Copies the policies of a set.
    pub fn of(set: &PolicySet<'_>) -> OwnedPolicies {
        let levels = |levels: &Vec<Vec<Named<'_>>>| levels.iter().map(|l| copies(l)).collect();
        OwnedPolicies {
            identity: copies(&set.identity),
            group: copies(&set.group),
            boundary: set.boundary.as_deref().map(copies),
            session: set.session.as_deref().map(copies),
            endpoint: set.endpoint.as_deref().map(copies),
            resource: set.resource.map(|r| (copy(&r.policy), r.kind)),
            scp: set.scp.as_ref().map(levels),
            rcp: set.rcp.as_ref().map(levels),
        }
    }

    /// The same policies, borrowed, as evaluators take them.
    pub fn as_set(&self) -> PolicySet<'_> {
        let mut set = PolicySet::default();
        self.fill(&mut set);
        set
    }

    fn fill<'a>(&'a self, set: &mut PolicySet<'a>) {
        set.identity = borrowed(&self.identity);
        set.group = borrowed(&self.group);
        set.boundary = self.boundary.as_deref().map(borrowed);
        set.session = self.session.as_deref().map(borrowed);
        set.endpoint = self.endpoint.as_deref().map(borrowed);
        set.resource = self
            .resource
            .as_ref()
            .map(|(policy, kind)| ResourcePolicy { policy: policy.named(), kind: *kind });
        set.scp = self.scp.as_deref().map(borrowed_levels);
        set.rcp = self.rcp.as_deref().map(borrowed_levels);
    }
}

impl OwnedPolicy {
    /// The policy, borrowed.
    pub fn named(&self) -> Named<'_> {
        Named { name: &self.name, document: &self.document }
    }
}

fn copy(policy: &Named<'_>) -> OwnedPolicy {
    OwnedPolicy { name: policy.name.to_owned(), document: policy.document.clone() }
}

fn copies(list: &[Named<'_>]) -> Vec<OwnedPolicy> {
    list.iter().map(copy).collect()
}

fn borrowed(list: &[OwnedPolicy]) -> Vec<Named<'_>> {
    list.iter().map(OwnedPolicy::named).collect()
}

fn borrowed_levels(levels: &[Vec<OwnedPolicy>]) -> Vec<Vec<Named<'_>>> {
    levels.iter().map(|level| borrowed(level)).collect()
}
