//! Generated policies and requests that come near to each other: worlds in which slips of an evaluator show.
//!
//! A [`World`] is a set of policies, drawn from a small vocabulary; its requests are made from its own patterns,
//! filled in and sometimes spoilt by one character, so that most decisions hang on a detail. [`compare`] asks
//! both evaluators. Nothing here is shipped.

mod asks;
mod dice;
mod texts;
mod words;

pub use asks::requests;
pub use dice::Dice;
pub use texts::{Layer, World};

use policy::engine::Compiled;
use policy::{Decision, Evaluate, PolicySet, Request, Spec};

/// What both evaluators say of a request, or how they differ.
pub fn compare(
    request: &Request,
    policies: &PolicySet<'_>,
    compiled: &Compiled,
) -> Result<Decision, String> {
    let decision = Spec.decide(request, policies);
    let layers = compiled.layers();
    let answer = layers.answer(request);
    let verdict = layers.verdict(request);
    let same_matches = answer.matched.len() == decision.matched.len()
        && answer.matched.iter().zip(&decision.matched).all(|(reason, matched)| {
            (reason.layer, reason.statement as usize, reason.effect)
                == (matched.layer, matched.statement, matched.effect)
        });
    let same = (answer.effect, answer.layer, &answer.blocked_by)
        == (decision.effect, decision.layer, &decision.blocked_by);
    if !same || !same_matches {
        return Err(format!("the specification says {decision:?}\nthe engine says {answer:?}"));
    }
    // The quick way must end where the thorough one does, and give a reason that holds.
    let grounded = verdict.reason.is_none_or(|reason| answer.matched.contains(&reason));
    if (verdict.effect, verdict.layer) != (decision.effect, decision.layer) || !grounded {
        return Err(format!("the specification says {decision:?}\nthe verdict is {verdict:?}"));
    }
    Ok(decision)
}

/// Both evaluators at once.
///
/// # Panics
///
/// If they differ; this is for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agreed;

impl Evaluate for Agreed {
    #[expect(clippy::panic, reason = "a test that finds a difference fails loudly")]
    fn decide(&self, request: &Request, policies: &PolicySet<'_>) -> Decision {
        match compare(request, policies, &Compiled::new(policies)) {
            Ok(decision) => decision,
            Err(difference) => panic!("{difference}\nfor {request:?}"),
        }
    }
}
