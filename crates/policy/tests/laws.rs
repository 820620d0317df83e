//! Laws that hold for all policies and requests, over generated worlds and both evaluators at once.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use policy::{Dialect, Effect, Evaluate, PolicySet, PrincipalKind, Request, ResourceKind};
use worlds::{Agreed, Dice, Layer, World, requests};

/// How many worlds each law is tried in, and how many requests each of them gets.
const WORLDS: u64 = 300;
const SHAPE: (usize, usize) = (6, 4);

/// What a law says of one request: the decisions before and after, and whether that is in order.
fn each(seed: u64, mut check: impl FnMut(&World, &mut Dice<'_>, &Request) -> Option<bool>) {
    let mut tried = 0;
    for number in 0..WORLDS {
        let mut dice = Dice::seeded(seed + number);
        let world = World::draw(&mut dice);
        let mut asked = Vec::new();
        requests(&world, &mut dice.clone(), SHAPE, |request| asked.push(request.clone()));
        for request in &asked {
            let Some(holds) = check(&world, &mut dice, request) else { continue };
            assert!(holds, "seed {}: {request:#?}\n{}", seed + number, world.texts());
            tried += 1;
        }
    }
    assert!(tried > WORLDS, "the law was tried on {tried} requests only");
}

fn effect(request: &Request, policies: &PolicySet<'_>) -> Effect {
    Agreed.decide(request, policies).effect
}

fn allowed(request: &Request, world: &World) -> bool {
    effect(request, &world.policies()) == Effect::Allow
}

/// Policies of RAM for a resource group speak only when others are silent, so that one more deny elsewhere can
/// silence them; the laws of single statements are those of layers that always speak.
fn is_plain(world: &World) -> bool {
    world.policies().group.is_empty()
}

#[test]
fn atk_d15_one_more_deny_never_grants() {
    each(1_000_000, |world, dice, request| {
        let more = world.with_statement(dice, "Deny");
        is_plain(world).then(|| allowed(request, world) || !allowed(request, &more))
    });
}

#[test]
fn atk_d15_one_more_allow_never_refuses() {
    each(2_000_000, |world, dice, request| {
        let more = world.with_statement(dice, "Allow");
        is_plain(world).then(|| !allowed(request, world) || allowed(request, &more))
    });
}

#[test]
fn atk_d15_one_more_layer_never_grants() {
    let layers = [Layer::Boundary, Layer::Session, Layer::Scp];
    each(3_000_000, |world, dice, request| {
        // A federated user needs a session policy to have any rights, so that one more may well grant.
        if request.principal.kind == PrincipalKind::FederatedUser {
            return None;
        }
        let layer = *dice.place(&layers)?;
        // A boundary takes away the exceptions of a deny with NotPrincipal, and so it only denies more.
        let more = world.with_layer(dice, layer)?;
        Some(allowed(request, world) || !allowed(request, &more))
    });
}

#[test]
fn atk_d15_one_policy_less_without_denies_never_grants() {
    each(4_000_000, |world, dice, request| {
        let (less, gone) = world.without_policy(dice);
        let gone = gone?;
        let denies = gone.statements().iter().any(|s| s.effect == policy::StatementEffect::Deny);
        (!denies && is_plain(world)).then(|| allowed(request, world) || !allowed(request, &less))
    });
}

#[test]
fn atk_d01_every_allow_rests_on_a_statement_that_allows_or_on_a_root_users_own_rights() {
    each(5_000_000, |world, _, request| {
        let decision = Agreed.decide(request, &world.policies());
        let root = request.principal.kind == PrincipalKind::Root;
        let stated = decision
            .matched
            .iter()
            .any(|m| m.effect == policy::StatementEffect::Allow && m.layer == decision.layer);
        (decision.effect == Effect::Allow).then_some(stated || root)
    });
}

#[test]
fn atk_d15_a_session_has_no_more_rights_than_its_role() {
    each(6_000_000, |world, _, request| {
        let policies = world.policies();
        let generic = world.kind == ResourceKind::Generic || policies.resource.is_none();
        if request.principal.kind != PrincipalKind::AssumedRole || !generic {
            return None;
        }
        // What a resource grants to the session itself is no right of the role; so without resources.
        let with = PolicySet { resource: None, ..policies.clone() };
        let without = PolicySet { session: None, ..with.clone() };
        let grants = effect(request, &with) == Effect::Allow;
        Some(!grants || effect(request, &without) == Effect::Allow)
    });
}

#[test]
fn the_order_of_policies_and_the_case_of_actions_do_not_matter() {
    each(7_000_000, |world, _, request| {
        let policies = world.policies();
        let mut turned = policies.clone();
        turned.identity.reverse();
        let mut shouted = request.clone();
        shouted.action = request.action.to_ascii_uppercase();
        let before = effect(request, &policies);
        Some(before == effect(request, &turned) && before == effect(&shouted, &policies))
    });
}

#[test]
fn the_worlds_hold_all_answers_and_both_dialects() {
    let mut seen = std::collections::BTreeMap::new();
    each(8_000_000, |world, _, request| {
        let decision = Agreed.decide(request, &world.policies());
        *seen.entry((world.dialect, decision.effect)).or_insert(0) += 1;
        Some(true)
    });
    for dialect in [Dialect::Aws, Dialect::Alibaba] {
        for effect in [Effect::Allow, Effect::ExplicitDeny, Effect::ImplicitDeny] {
            assert!(*seen.get(&(dialect, effect)).unwrap() > 15, "{seen:?}");
        }
    }
}
