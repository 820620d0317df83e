//! The layers as they bear on one request, and how what they say comes together.

use std::sync::Arc;

use super::asked::Asked;
use super::set::{Hit, Look, Set};
use super::{Layers, Reason};
use crate::decision::Layer;
use crate::document::StatementEffect;
use crate::name::{self, Dialect};
use crate::principal::{Grant, has_account};
use crate::request::{PrincipalKind, Request, ResourceKind};

/// The order in which layers are looked at, and named in answers. [src: AWS.md section 7]
pub(super) const ORDER: [Layer; 7] = [
    Layer::Rcp,
    Layer::Scp,
    Layer::Endpoint,
    Layer::Resource,
    Layer::Identity,
    Layer::Boundary,
    Layer::Session,
];

/// Layers that must allow whatever else does.
pub(super) const GUARDS: [Layer; 3] = [Layer::Rcp, Layer::Scp, Layer::Endpoint];

/// Layers that limit what identity policies, and some grants of resources, allow.
pub(super) const CAPS: [Layer; 2] = [Layer::Boundary, Layer::Session];

/// A layer as a member of a set of layers.
#[inline]
pub(super) fn bit(layer: Layer) -> u16 {
    1 << layer as u8
}

/// The request with the name of a RAM role in small letters, where it is not; patterns are compiled for that.
#[inline]
pub(super) fn canonical(request: &Request) -> Option<Request> {
    let is_other = request.dialect == Dialect::Alibaba
        && name::is_ram_role(&request.resource)
        && request.resource.bytes().any(|byte| byte.is_ascii_uppercase());
    let resource = || request.resource.to_ascii_lowercase();
    is_other.then(|| Request { resource: resource(), ..request.clone() })
}

/// What the layers said so far, denies aside.
pub(super) struct Looks {
    /// The layers that allow.
    allowing: u16,
    /// How directly the resource's policy names the one who asks, if it allows.
    grant: Grant,
    resource: Option<Place>,
    identity: Option<Place>,
}

/// A statement that matched, in one of the sets of a layer.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Which set of the layer; those of `group` come after the others.
    set: u32,
    hit: Hit,
}

impl Place {
    #[inline]
    fn new(set: usize, hit: Hit) -> Place {
        Place { set: u32::try_from(set).unwrap_or(u32::MAX), hit }
    }
}

impl Looks {
    /// Whether a layer allows.
    #[inline]
    pub(super) fn allow(&self, layer: Layer) -> bool {
        self.allowing & bit(layer) != 0
    }

    /// The first of some layers that does not allow.
    #[inline]
    pub(super) fn first_silent(&self, layers: &[Layer]) -> Option<Layer> {
        let all = layers.iter().fold(0, |all, layer| all | bit(*layer));
        if self.allowing & all == all {
            return None;
        }
        layers.iter().copied().find(|layer| !self.allow(*layer))
    }

    #[inline]
    fn note(&mut self, layer: Layer, set: usize, hit: Hit) {
        self.allowing |= bit(layer);
        match layer {
            Layer::Resource => {
                self.grant = hit.grant;
                self.resource = Some(Place::new(set, hit));
            }
            Layer::Identity => self.identity = Some(Place::new(set, hit)),
            _ => {}
        }
    }
}

/// What follows from what identity and resource policies allow.
pub(super) enum Base {
    /// Nothing more is asked for.
    Final(Layer, Option<Place>),
    /// Boundary and session policy must allow too.
    Capped(Layer, Option<Place>),
    /// Not granted; the first layer that should have allowed.
    Lacking(Layer),
}

/// The layers as they bear on one request.
pub(super) struct View<'a> {
    layers: &'a Layers<'a>,
    request: &'a Request,
    asked: Asked<'a>,
    kind: PrincipalKind,
    is_ram: bool,
    is_same_account: bool,
    in_play: u16,
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn new(layers: &'a Layers<'a>, request: &'a Request) -> View<'a> {
        let mut view = View {
            layers,
            request,
            asked: Asked::new(request, layers.boundary.is_some()),
            kind: request.principal.kind,
            is_ram: request.dialect == Dialect::Alibaba,
            // An unknown owner counts as the caller's own account.
            is_same_account: match (&request.principal.account, &request.resource_account) {
                (Some(principal), Some(resource)) => principal == resource,
                _ => true,
            },
            in_play: 0,
        };
        if !view.is_unbound() {
            view.in_play = view.layers_in_play();
        }
        view
    }

    /// No policy applies to the owner of an Alibaba account in it.
    #[inline]
    fn is_unbound(&self) -> bool {
        self.is_ram && self.kind == PrincipalKind::Root && self.is_same_account
    }

    #[inline]
    fn layers_in_play(&self) -> u16 {
        let Layers { boundary, session, endpoint, resource, scp, rcp, .. } = self.layers;
        let principal = &self.request.principal;
        let is_root = self.kind == PrincipalKind::Root;
        let has_policies = has_account(self.kind) && !is_root;
        let mut layers = 0;
        let mut add = |layer: Layer, holds: bool| layers |= if holds { bit(layer) } else { 0 };
        add(Layer::Identity, has_policies);
        add(Layer::Endpoint, endpoint.is_some());
        add(Layer::Resource, resource.is_some());
        add(Layer::Boundary, boundary.is_some() && has_policies && !self.is_ram);
        // RAM knows session policies of role sessions only.
        let is_session = self.kind == PrincipalKind::AssumedRole;
        add(Layer::Session, session.is_some() && has_policies && (!self.is_ram || is_session));
        if scp.is_some() || rcp.is_some() {
            let linked = principal.service_linked;
            let manages = principal.management_account;
            let exempt = linked || manages || (self.is_ram && is_root);
            add(Layer::Scp, scp.is_some() && has_account(self.kind) && !exempt);
            add(Layer::Rcp, rcp.is_some() && !linked && !(manages && self.is_same_account));
        }
        layers
    }

    /// Whether a layer has a say in this request.
    #[inline]
    pub(super) fn is_in_play(&self, layer: Layer) -> bool {
        self.in_play & bit(layer) != 0
    }

    /// What the layers that are not in play come to.
    #[inline]
    pub(super) fn unasked(&self) -> Looks {
        let mut allowing = !self.in_play & !bit(Layer::Resource) & !bit(Layer::Identity);
        // The root user has every right that no organization or resource takes away.
        if self.kind == PrincipalKind::Root {
            allowing |= bit(Layer::Identity);
        }
        // A federated user without a session policy has no permissions of his own.
        if self.kind == PrincipalKind::FederatedUser && self.layers.session.is_none() {
            allowing &= !bit(Layer::Session);
        }
        if self.is_unbound() {
            allowing |= bit(Layer::Resource);
        }
        Looks { allowing, grant: Grant::Direct, resource: None, identity: None }
    }

    /// The sets of a layer.
    #[inline]
    fn sets(&self, layer: Layer) -> &'a [Arc<Set>] {
        let layers = self.layers;
        match layer {
            Layer::Identity => layers.identity,
            Layer::Resource => layers.resource.unwrap_or_default(),
            Layer::Boundary => layers.boundary.unwrap_or_default(),
            Layer::Session => layers.session.unwrap_or_default(),
            Layer::Endpoint => layers.endpoint.unwrap_or_default(),
            Layer::Scp => layers.scp.unwrap_or_default(),
            Layer::Rcp => layers.rcp.unwrap_or_default(),
            Layer::Service | Layer::Ceiling => &[],
        }
    }

    /// The policies for the resource's group, which speak when the principal's others are silent.
    #[inline]
    fn group(&self, layer: Layer) -> &'a [Arc<Set>] {
        if self.is_ram && layer == Layer::Identity { self.layers.group } else { &[] }
    }

    /// The first deny of all layers in their order; without one, how each layer allows is noted.
    #[inline]
    pub(super) fn first_deny(&self, looks: &mut Looks) -> Option<(Layer, Place)> {
        let only = |layer: Layer, place: Option<Place>| place.map(|place| (layer, place));
        if self.in_play == bit(Layer::Identity) {
            return only(Layer::Identity, self.look(Layer::Identity, looks));
        }
        let mut in_play = ORDER.into_iter().filter(|layer| self.is_in_play(*layer));
        in_play.find_map(|layer| only(layer, self.look(layer, looks)))
    }

    /// The statement at a place, by policy and number.
    pub(super) fn reason(&self, layer: Layer, place: Place) -> Option<Reason> {
        let (sets, number) = (self.sets(layer), place.set as usize);
        let set = match number.checked_sub(sets.len()) {
            None => sets.get(number)?,
            Some(number) => self.group(layer).get(number)?,
        };
        let (policy, statement) = set.origin(place.hit);
        let denies = set.denies(place.hit);
        let effect = if denies { StatementEffect::Deny } else { StatementEffect::Allow };
        Some(Reason { layer, set: place.set, policy, statement, effect })
    }

    /// Looks at a layer until it denies; notes whether and how it allows.
    #[inline]
    pub(super) fn look(&self, layer: Layer, looks: &mut Looks) -> Option<Place> {
        let sets = self.sets(layer);
        let mut allowing = 0;
        for (number, set) in sets.iter().enumerate() {
            let Look { deny, allow } = set.look(&self.asked);
            if let Some(hit) = deny {
                return Some(Place::new(number, hit));
            }
            if let Some(hit) = allow {
                allowing += 1;
                looks.note(layer, number, hit);
            }
        }
        if is_divided(layer) && (allowing < sets.len() || sets.is_empty()) {
            looks.allowing &= !bit(layer);
        }
        if allowing == 0 {
            for (number, set) in self.group(layer).iter().enumerate() {
                let Look { deny, allow } = set.look(&self.asked);
                if let Some(hit) = deny {
                    return Some(Place::new(sets.len() + number, hit));
                }
                if let Some(hit) = allow {
                    looks.note(layer, sets.len() + number, hit);
                }
            }
        }
        None
    }

    /// Looks at every statement of a layer.
    pub(super) fn look_at_all(&self, layer: Layer, looks: &mut Looks, matched: &mut Vec<Reason>) {
        let before = matched.len();
        let mut allowing = 0;
        let mut take = |sets: &[Arc<Set>], first: usize, matched: &mut Vec<Reason>| {
            for (set, number) in sets.iter().zip(first..) {
                let hits = set.all(&self.asked);
                let allows = hits.iter().filter(|hit| !set.denies(**hit));
                if let Some(hit) = allows.max_by_key(|hit| hit.grant) {
                    allowing += 1;
                    looks.note(layer, number, *hit);
                }
                let reasons = hits.iter().map(|hit| self.reason(layer, Place::new(number, *hit)));
                let from = matched.len();
                matched.extend(reasons.flatten());
                // As they are written, whatever they say.
                if let Some(new) = matched.get_mut(from..) {
                    new.sort_unstable();
                }
            }
        };
        let sets = self.sets(layer);
        take(sets, 0, matched);
        if matched.len() == before {
            take(self.group(layer), sets.len(), matched);
        }
        if is_divided(layer) && (allowing < sets.len() || sets.is_empty()) {
            looks.allowing &= !bit(layer);
        }
    }

    /// What identity and resource policies come to, denies and guard rails aside.
    #[inline]
    pub(super) fn base(&self, looks: &Looks) -> Base {
        let guarded = self.layers.resource.is_some() && self.layers.kind != ResourceKind::Generic;
        if self.is_ram && self.kind == PrincipalKind::Root && guarded {
            return Base::Lacking(Layer::Resource);
        }
        let granted = looks.allow(Layer::Resource).then_some(looks.grant);
        if !has_account(self.kind) {
            // Nobody known never reaches roles, whatever their trust policy says; a key neither.
            let shut_out = self.kind == PrincipalKind::Anonymous && guarded;
            return match granted {
                Some(_) if !shut_out => Base::Final(Layer::Resource, looks.resource),
                _ => Base::Lacking(Layer::Resource),
            };
        }
        let by_identity = || match looks.allow(Layer::Identity) {
            true => Base::Capped(Layer::Identity, looks.identity),
            false => Base::Lacking(Layer::Identity),
        };
        let both = !self.is_same_account || (self.is_ram && guarded);
        match granted {
            None if both || guarded => Base::Lacking(Layer::Resource),
            None => by_identity(),
            Some(_) if both => by_identity(),
            Some(_) if self.is_ram && looks.allow(Layer::Identity) => by_identity(),
            Some(grant) if self.is_ram && grant > Grant::Account => {
                Base::Capped(Layer::Resource, looks.resource)
            }
            Some(_) if self.is_ram => by_identity(),
            Some(Grant::Direct) => Base::Final(Layer::Resource, looks.resource),
            Some(Grant::Parent) => Base::Capped(Layer::Resource, looks.resource),
            Some(Grant::Account) => by_identity(),
        }
    }
}

/// Whether every level of a layer must allow.
#[inline]
fn is_divided(layer: Layer) -> bool {
    matches!(layer, Layer::Scp | Layer::Rcp)
}
