//! casbin: one line per pair of action and resource pattern, patterns and conditions by native functions.
//!
//! Its own `keyMatch` knows trailing wildcards only, and its `globMatch` compiles a pattern at each use, so a
//! native matcher is registered instead, which is kinder.

use std::fmt::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::{Dynamic, ImmutableString};
use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};

use crate::engine::Engine;
use crate::work::{Ask, Effect, Policy, fits};

/// The engine.
pub struct Casbin;

const MODEL: &str = "
[request_definition]
r = act, res, ctx

[policy_definition]
p = act, res, cond, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = fits(p.act, r.act) && fits(p.res, r.res) && (p.cond == \"\" || holds(p.cond, r.ctx))
";

impl Engine for Casbin {
    const NAME: &'static str = "casbin 2.20";
    const FLEET: Result<usize, &'static str> = Ok(crate::workloads::PRINCIPALS);
    type Source = String;
    type World = ();
    type Loaded = Enforcer;
    type Request = Vec<Dynamic>;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<String, String> {
        let mut text = String::new();
        for statement in policies.iter().flat_map(|policy| &policy.statements) {
            let effect = match statement.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
            };
            let mut conditions = String::new();
            for condition in &statement.conditions {
                write!(conditions, "{}={};", condition.key, condition.values.join("|"))
                    .map_err(|error| error.to_string())?;
            }
            for action in &statement.actions {
                for resource in &statement.resources {
                    writeln!(text, "p, {action}, {resource}, \"{conditions}\", {effect}")
                        .map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(text)
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &String) -> Enforcer {
        block_on(async {
            let model = DefaultModel::from_str(MODEL).await.expect("written here");
            let adapter = StringAdapter::new(source);
            let mut enforcer = Enforcer::new(model, adapter).await.expect("written here");
            enforcer.add_function("fits", OperatorFunction::Arg2(native_fits));
            enforcer.add_function("holds", OperatorFunction::Arg2(native_holds));
            enforcer
        })
    }

    fn request(ask: &Ask) -> Vec<Dynamic> {
        let pairs: Vec<String> = ask.context.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let texts = [ask.action.clone(), ask.resource.clone(), pairs.join(";")];
        texts.into_iter().map(Dynamic::from).collect()
    }

    fn allowed((): &(), loaded: &mut Enforcer, request: &Vec<Dynamic>) -> bool {
        loaded.enforce(Values(request)).unwrap_or(false)
    }
}

/// The values of a request; a copy of them only raises counts.
struct Values<'a>(&'a [Dynamic]);

impl casbin::EnforceArgs for Values<'_> {
    fn try_into_vec(self) -> casbin::Result<Vec<Dynamic>> {
        Ok(self.0.to_vec())
    }

    fn cache_key(&self) -> u64 {
        0
    }
}

fn with_texts(a: &Dynamic, b: &Dynamic, f: impl FnOnce(&str, &str) -> bool) -> Dynamic {
    let direct = (a.read_lock::<ImmutableString>(), b.read_lock::<ImmutableString>());
    match direct {
        (Some(a), Some(b)) => f(&a, &b).into(),
        _ => f(&dynamic_to_str(a), &dynamic_to_str(b)).into(),
    }
}

fn native_fits(pattern: Dynamic, text: Dynamic) -> Dynamic {
    with_texts(&pattern, &text, fits)
}

fn native_holds(conditions: Dynamic, context: Dynamic) -> Dynamic {
    with_texts(&conditions, &context, |conditions, context| {
        conditions.split_terminator(';').all(|condition| {
            let Some((key, values)) = condition.split_once('=') else { return false };
            let mut pairs = context.split(';').filter_map(|pair| pair.split_once('='));
            let actual = pairs.find(|(name, _)| *name == key);
            actual.is_some_and(|(_, actual)| values.split('|').any(|value| fits(value, actual)))
        })
    })
}

/// Runs a future that never waits for anything outside.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}
