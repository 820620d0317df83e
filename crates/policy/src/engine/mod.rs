//! The fast evaluator: policies compiled once, decisions without allocating.
//!
//! [`Set`] is what one layer's policies become, [`Layers`] all that bears on a request. [`Layers::verdict`] stops
//! as soon as the outcome is certain and names the statement that made it so; [`Layers::answer`] looks at
//! everything, as an explanation needs it. What decisions mean stands in `spec`; both are compared by the
//! corpus and by generated cases without end.

mod asked;
mod compiled;
mod condition;
mod forms;
mod glob;
mod index;
mod literal;
mod pattern;
mod set;
mod tree;
mod view;

use std::sync::Arc;

use view::{Base, CAPS, GUARDS, ORDER, View, bit};

pub use compiled::{Compiled, Engine};
pub use set::Set;

use crate::decision::{Effect, Layer};
use crate::document::StatementEffect;
use crate::request::{Request, ResourceKind};

/// The compiled policies that bear on a request, by layer.
///
/// For the optional layers `None` means that the layer is not in play, an empty list that it allows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layers<'a> {
    /// The policies of the principal, of its groups, or of the session's role.
    pub identity: &'a [Arc<Set>],
    /// Policies that count only for the asked resource's resource group, when `identity` is silent; Alibaba only.
    pub group: &'a [Arc<Set>],
    /// The permissions boundary.
    pub boundary: Option<&'a [Arc<Set>]>,
    /// The session policies.
    pub session: Option<&'a [Arc<Set>]>,
    /// The policies of the private endpoint the request came through.
    pub endpoint: Option<&'a [Arc<Set>]>,
    /// The policy of the resource.
    pub resource: Option<&'a [Arc<Set>]>,
    /// How the resource's policy works together with identity policies.
    pub kind: ResourceKind,
    /// Service control policies, one set for each level, the root first.
    pub scp: Option<&'a [Arc<Set>]>,
    /// Resource control policies, one set for each level, the root first.
    pub rcp: Option<&'a [Arc<Set>]>,
}

/// Which statement made a decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reason {
    /// The layer.
    pub layer: Layer,
    /// Which set of the layer, from 0; those of `group` come after those of `identity`.
    pub set: u32,
    /// Which policy of the set, from 0.
    pub policy: u32,
    /// Which statement of the policy, from 0.
    pub statement: u32,
    /// What it says.
    pub effect: StatementEffect,
}

/// An outcome with the statement that made it certain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The outcome.
    pub effect: Effect,
    /// The layer that decided: that granted, denied, or first failed to allow.
    pub layer: Layer,
    /// The statement that granted or denied; none for an implicit deny, and for a root user's own rights.
    pub reason: Option<Reason>,
}

impl Verdict {
    /// Whether the request is allowed.
    pub fn allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    fn implicit(layer: Layer) -> Verdict {
        Verdict { effect: Effect::ImplicitDeny, layer, reason: None }
    }
}

/// An outcome with everything that had a part in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The outcome.
    pub effect: Effect,
    /// The layer that decided.
    pub layer: Layer,
    /// Sorted: the layers that turn an allow of identity or resource policies into a deny.
    pub blocked_by: Vec<Layer>,
    /// Every statement that matched, in order of layers and policies.
    pub matched: Vec<Reason>,
}

impl Layers<'_> {
    /// Decides, stopping as soon as the outcome is certain.
    pub fn verdict(&self, request: &Request) -> Verdict {
        if let Some(request) = view::canonical(request) {
            return self.verdict(&request);
        }
        let view = View::new(self, request);
        let mut looks = view.unasked();
        // An explicit deny anywhere wins before any allow is looked at.
        if let Some((layer, place)) = view.first_deny(&mut looks) {
            let reason = view.reason(layer, place);
            return Verdict { effect: Effect::ExplicitDeny, layer, reason };
        }
        if let Some(layer) = looks.first_silent(&GUARDS) {
            return Verdict::implicit(layer);
        }
        let (layer, place) = match view.base(&looks) {
            Base::Lacking(layer) => return Verdict::implicit(layer),
            Base::Final(layer, place) => (layer, place),
            Base::Capped(layer, place) => match looks.first_silent(&CAPS) {
                Some(cap) => return Verdict::implicit(cap),
                None => (layer, place),
            },
        };
        let reason = place.and_then(|place| view.reason(layer, place));
        Verdict { effect: Effect::Allow, layer, reason }
    }

    /// Decides, looking at every statement of every layer.
    pub fn answer(&self, request: &Request) -> Answer {
        if let Some(request) = view::canonical(request) {
            return self.answer(&request);
        }
        let view = View::new(self, request);
        let mut looks = view.unasked();
        let mut matched = Vec::new();
        for layer in ORDER {
            if view.is_in_play(layer) {
                view.look_at_all(layer, &mut looks, &mut matched);
            }
        }
        let denied = matched
            .iter()
            .filter(|reason| reason.effect == StatementEffect::Deny)
            .fold(0, |layers, reason| layers | bit(reason.layer));
        let base = view.base(&looks);
        let silent = |layer: Layer| match (layer, &base) {
            (Layer::Rcp | Layer::Scp | Layer::Endpoint, _) => !looks.allow(layer),
            (Layer::Boundary | Layer::Session, Base::Capped(..)) => !looks.allow(layer),
            (_, Base::Lacking(lacking)) => *lacking == layer,
            _ => false,
        };
        let denies = |layer: &Layer| denied & bit(*layer) != 0;
        let explicit = ORDER.into_iter().find(denies);
        let implicit = ORDER.into_iter().find(|layer| silent(*layer));
        let (effect, layer) = match (explicit, implicit, &base) {
            (Some(layer), _, _) => (Effect::ExplicitDeny, layer),
            (None, Some(layer), _) => (Effect::ImplicitDeny, layer),
            (None, None, Base::Final(layer, _) | Base::Capped(layer, _)) => (Effect::Allow, *layer),
            (None, None, Base::Lacking(layer)) => (Effect::ImplicitDeny, *layer),
        };
        let mut blocked_by = Vec::new();
        if !matches!(base, Base::Lacking(_)) {
            blocked_by.extend(ORDER.into_iter().filter(|l| denies(l) || silent(*l)));
            blocked_by.sort();
        }
        Answer { effect, layer, blocked_by, matched }
    }
}
