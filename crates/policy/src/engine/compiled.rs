//! Whole sets of policies compiled as they are, and the engine behind the same door as `spec`.

use std::sync::Arc;

use super::{Layers, Reason, Set};
use crate::decision::{Decision, Evaluate, Layer, Matched};
use crate::request::{Named, PolicySet, Request, ResourceKind};

/// A set of policies compiled as it is, layer by layer.
#[derive(Debug, Default)]
pub struct Compiled {
    identity: Vec<Arc<Set>>,
    group: Vec<Arc<Set>>,
    boundary: Option<Vec<Arc<Set>>>,
    session: Option<Vec<Arc<Set>>>,
    endpoint: Option<Vec<Arc<Set>>>,
    resource: Option<Vec<Arc<Set>>>,
    kind: ResourceKind,
    scp: Option<Vec<Arc<Set>>>,
    rcp: Option<Vec<Arc<Set>>>,
}

impl Compiled {
    /// Compiles every layer.
    pub fn new(policies: &PolicySet<'_>) -> Compiled {
        let one = |list: &Vec<Named<'_>>| vec![Arc::new(Set::new(list))];
        let levels = |list: &Vec<Vec<Named<'_>>>| list.iter().flat_map(one).collect();
        Compiled {
            identity: one(&policies.identity),
            group: one(&policies.group),
            boundary: policies.boundary.as_ref().map(one),
            session: policies.session.as_ref().map(one),
            endpoint: policies.endpoint.as_ref().map(one),
            resource: policies.resource.map(|resource| one(&vec![resource.policy])),
            kind: policies.resource.map(|resource| resource.kind).unwrap_or_default(),
            scp: policies.scp.as_ref().map(levels),
            rcp: policies.rcp.as_ref().map(levels),
        }
    }

    /// The layers, to ask them.
    pub fn layers(&self) -> Layers<'_> {
        Layers {
            identity: &self.identity,
            group: &self.group,
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
            endpoint: self.endpoint.as_deref(),
            resource: self.resource.as_deref(),
            kind: self.kind,
            scp: self.scp.as_deref(),
            rcp: self.rcp.as_deref(),
        }
    }
}

/// The fast evaluator behind the same door as `spec`; whoever asks more than once compiles once instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine;

impl Evaluate for Engine {
    fn decide(&self, request: &Request, policies: &PolicySet<'_>) -> Decision {
        let answer = Compiled::new(policies).layers().answer(request);
        let matched = answer.matched.iter().filter_map(|reason| matched(reason, policies));
        Decision {
            effect: answer.effect,
            layer: answer.layer,
            blocked_by: answer.blocked_by,
            matched: matched.collect(),
        }
    }
}

/// A reason with the names that its policies go by.
fn matched(reason: &Reason, policies: &PolicySet<'_>) -> Option<Matched> {
    let level = |levels: &'_ Option<Vec<Vec<Named<'_>>>>| -> Option<(String, Option<String>)> {
        named(levels.as_ref()?.get(reason.set as usize)?, reason)
    };
    let flat = |list: &Option<Vec<Named<'_>>>| named(list.as_ref()?, reason);
    let (policy, sid) = match reason.layer {
        Layer::Identity if reason.set == 0 => named(&policies.identity, reason),
        Layer::Identity => named(&policies.group, reason),
        Layer::Boundary => flat(&policies.boundary),
        Layer::Session => flat(&policies.session),
        Layer::Endpoint => flat(&policies.endpoint),
        Layer::Resource => named(&[policies.resource?.policy], reason),
        Layer::Scp => level(&policies.scp),
        Layer::Rcp => level(&policies.rcp),
        Layer::Service | Layer::Ceiling => None,
    }?;
    let (statement, layer, effect) = (reason.statement as usize, reason.layer, reason.effect);
    Some(Matched { policy, statement, sid, layer, effect })
}

fn named(list: &[Named<'_>], reason: &Reason) -> Option<(String, Option<String>)> {
    let named = list.get(reason.policy as usize)?;
    let statement = named.document.statements().get(reason.statement as usize)?;
    Some((named.name.to_owned(), statement.sid.clone()))
}
