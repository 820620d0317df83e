//! Requests that come near to the policies of a world.

use policy::{Context, Dialect, Principal, PrincipalKind, Request, Value};

use crate::dice::Dice;
use crate::texts::World;
use crate::words;

/// Draws requests that are about what the world's policies are about, nearly: every one of `asks` questions in
/// every one of `contexts` contexts, shown one after the other.
///
/// Crossing them makes many requests for the price of few.
pub fn requests(
    world: &World,
    dice: &mut Dice<'_>,
    (asks, contexts): (usize, usize),
    mut show: impl FnMut(&Request),
) {
    let sample = context(world, dice);
    let mut requests: Vec<Request> = (0..asks).map(|_| ask(world, dice, &sample)).collect();
    let mut current = sample;
    for number in 0..contexts {
        if number > 0 {
            current = context(world, dice);
        }
        for request in &mut requests {
            std::mem::swap(&mut request.context, &mut current);
            show(request);
            std::mem::swap(&mut request.context, &mut current);
        }
    }
}

/// Draws a question without its context.
fn ask(world: &World, dice: &mut Dice<'_>, context: &Context) -> Request {
    let aim = dice.place(&world.used.statements).cloned().unwrap_or_default();
    let action = near(dice, &aim.0, words::ACTIONS, context);
    let wildcard_only = dice.percent(5);
    let resource = match world.dialect {
        _ if wildcard_only => "*".to_owned(),
        Dialect::Aws => near(dice, &aim.1, words::RESOURCES, context),
        Dialect::Alibaba => near(dice, &aim.1, words::RAM_RESOURCES, context),
    };
    let principal = principal(world.dialect, dice);
    let own = principal.account.clone();
    let resource_account = match dice.below(8) {
        0 => Some("444455556666".to_owned()),
        1 => None,
        _ => own,
    };
    let (dialect, context) = (world.dialect, Context::new());
    Request { dialect, action, resource, wildcard_only, resource_account, principal, context }
}

/// A pattern of the world filled in, and now and then spoilt.
fn near(dice: &mut Dice<'_>, used: &[String], all: &[&str], context: &Context) -> String {
    let pattern = match dice.place(used) {
        Some(pattern) if dice.percent(90) => pattern.clone(),
        _ => dice.pick(all).to_owned(),
    };
    let mut text = filled(dice, &pattern, context);
    if dice.percent(12) {
        text = spoilt(dice, &text);
    }
    text
}

/// A pattern with its wildcards and variables replaced by text.
fn filled(dice: &mut Dice<'_>, pattern: &str, context: &Context) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some((key, after)) = rest.strip_prefix("${").and_then(|r| r.split_once('}')) {
            let name = key.split(',').next().unwrap_or_default();
            match context.get(name) {
                Some(Value::Single(value)) => out.push_str(value),
                _ => out.push_str(dice.pick(&["nobody", "*", "x", ""])),
            }
            rest = after;
            continue;
        }
        match c {
            '*' => out.push_str(dice.pick(&["", "x", "a/b", ":", "a:b", "Get", "jobs", "\u{e9}"])),
            '?' => out.push_str(dice.pick(&["a", "e", "/", ":", "\u{e9}", ""])),
            c => out.push(c),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// A text with one character changed, dropped or added, or in another case.
fn spoilt(dice: &mut Dice<'_>, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = dice.below(chars.len() + 1);
    match dice.below(5) {
        0 if at < chars.len() => {
            chars.remove(at);
        }
        1 => chars.insert(at, *dice.place(&['a', ':', '/', '*', '\u{e9}']).unwrap_or(&'a')),
        2 => chars.truncate(at),
        3 => return text.to_uppercase(),
        _ => {
            if let Some(c) = chars.get_mut(at) {
                *c = if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            }
        }
    }
    chars.into_iter().collect()
}

fn context(world: &World, dice: &mut Dice<'_>) -> Context {
    let mut context = Context::new();
    // All of them in a small world, some of them in a large one.
    let chance = if world.used.conditions.len() > 12 { 30 } else { 80 };
    for (key, listed) in &world.used.conditions {
        if dice.percent(chance) {
            let value = value(dice, listed);
            context.set(key, value);
        }
    }
    for key in ["aws:username", "aws:PrincipalTag/team", "aws:RequestedRegion", "x:a"] {
        if dice.percent(50) && context.get(key).is_none() {
            context.set(key, dice.pick(&["alice", "a", "vault", "eu-west-1", "*", "a:b", ""]));
        }
    }
    context
}

fn value(dice: &mut Dice<'_>, listed: &str) -> Value {
    let one = |dice: &mut Dice<'_>| match dice.below(4) {
        0 => dice.pick(words::VALUES).to_owned(),
        1 => spoilt(dice, listed),
        _ => filled(dice, listed, &Context::new()),
    };
    if dice.percent(75) {
        return Value::Single(one(dice));
    }
    let count = dice.below(4);
    Value::List((0..count).map(|_| one(dice)).collect())
}

fn principal(dialect: Dialect, dice: &mut Dice<'_>) -> Principal {
    let text = |text: &str| Some(text.to_owned());
    let (account, prefix) = match dialect {
        Dialect::Aws => ("111122223333", "arn:aws:iam::111122223333"),
        Dialect::Alibaba => ("1234567890123456", "acs:ram::1234567890123456"),
    };
    let of = |kind: PrincipalKind, arn: String, id: &str| Principal {
        arn: Some(arn),
        id: text(id),
        account: text(account),
        ..Principal::new(kind)
    };
    let session = match dialect {
        Dialect::Aws => "arn:aws:sts::111122223333:assumed-role/Worker/job".to_owned(),
        Dialect::Alibaba => format!("{prefix}:role/Worker/job"),
    };
    let mut principal = match dice.below(16) {
        0 => of(PrincipalKind::Root, format!("{prefix}:root"), account),
        1 => of(PrincipalKind::Role, format!("{prefix}:role/Worker"), "AROAEXAMPLEWORKER001"),
        2..6 => of(PrincipalKind::AssumedRole, session, "AROAEXAMPLEWORKER001:job"),
        6 => {
            let arn = "arn:aws:sts::111122223333:federated-user/fay".to_owned();
            let mut fay = of(PrincipalKind::FederatedUser, arn, "111122223333:fay");
            fay.role_arn = Some(format!("{prefix}:user/alice"));
            fay
        }
        7 => Principal {
            service: text(dice.pick(&["backup.example.com", "Backup.example.com"])),
            ..Principal::new(PrincipalKind::Service)
        },
        8 => Principal {
            provider: text("idp.example.com"),
            ..Principal::new(
                *dice
                    .place(&[PrincipalKind::WebIdentity, PrincipalKind::Saml])
                    .unwrap_or(&PrincipalKind::Saml),
            )
        },
        9 => Principal {
            canonical_user: text("c0ffee"),
            ..Principal::new(PrincipalKind::CanonicalUser)
        },
        10 => Principal::new(PrincipalKind::Anonymous),
        11 => Principal {
            arn: text("arn:aws:iam::444455556666:user/bob"),
            account: text("444455556666"),
            ..Principal::new(PrincipalKind::User)
        },
        _ => of(PrincipalKind::User, format!("{prefix}:user/alice"), "AIDAEXAMPLEALICE0001"),
    };
    if principal.kind == PrincipalKind::AssumedRole && dice.percent(50) {
        let path = if dice.percent(30) { "role/team/Worker" } else { "role/Worker" };
        principal.role_arn = Some(format!("{prefix}:{path}"));
    }
    if dice.percent(5) {
        principal.canonical_user = text("c0ffee");
    }
    principal.service_linked = dice.percent(10);
    principal.management_account = dice.percent(10);
    principal
}
