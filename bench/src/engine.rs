//! What the harness asks of an engine, so that all are measured by the same code.

use crate::names::Names;
use crate::work::{Ask, Policy};
use crate::workloads::{Fleet, Schedule};

/// A policy engine.
pub trait Engine {
    /// The name it goes by in tables.
    const NAME: &'static str;
    /// How many principals workload (d) may have here, or why it has none.
    const FLEET: Result<usize, &'static str>;
    /// The text that policies are loaded from.
    type Source;
    /// What is shared by all policies, and built before anything is timed.
    type World;
    /// Policies that are ready to decide.
    type Loaded;
    /// A request, built before the decision is timed.
    type Request;

    /// Writes policies down in the engine's own language; an error says why it cannot.
    ///
    /// Only an engine that cannot carry the context of a request looks at the question.
    fn render(policies: &[Policy], asks: &[Ask]) -> Result<Self::Source, String>;
    /// Builds what is shared. `patterns` are all action patterns of all policies.
    fn world(patterns: &[String], asks: &[Ask]) -> Self::World;
    /// Reads and compiles policies.
    fn load(source: &Self::Source) -> Self::Loaded;
    /// Builds a request.
    fn request(ask: &Ask) -> Self::Request;
    /// Whether a request is allowed.
    fn allowed(world: &Self::World, loaded: &mut Self::Loaded, request: &Self::Request) -> bool;
}

/// All different action patterns of some policies.
pub fn patterns<'a>(policies: impl Iterator<Item = &'a Policy>) -> Vec<String> {
    let statements = policies.flat_map(|policy| &policy.statements);
    let mut patterns: Vec<String> = statements.flat_map(|s| s.actions.iter().cloned()).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// Many principals with an engine's policies, found by ARN. Those with the same policies share them.
pub struct Many<E: Engine> {
    world: E::World,
    names: Names<false>,
    loaded: Vec<E::Loaded>,
    requests: Vec<E::Request>,
}

impl<E: Engine> Many<E> {
    /// Puts together what was loaded and what it is asked.
    pub fn new(fleet: &Fleet, loaded: Vec<E::Loaded>) -> Many<E> {
        let numbers = 0..fleet.principals;
        let mut all = Vec::new();
        for number in 0..fleet.distinct {
            all.extend(patterns(fleet.policies(number).iter()));
            if all.len() > 100_000 {
                all.sort();
                all.dedup();
            }
        }
        all.sort();
        all.dedup();
        let texts: Vec<String> = numbers.map(|number| fleet.principal(number)).collect();
        Many {
            world: E::world(&all, &fleet.asks),
            names: Names::new(texts.iter().map(String::as_str)),
            loaded,
            requests: fleet.asks.iter().map(E::request).collect(),
        }
    }

    /// Whether a principal, known by its ARN only, may ask one of the questions.
    #[inline]
    pub fn allowed(&mut self, principal: &str, ask: u32) -> bool {
        let Some(number) = self.names.find(principal) else { return false };
        let number = if number < self.loaded.len() { number } else { number % self.loaded.len() };
        E::allowed(&self.world, &mut self.loaded[number], &self.requests[ask as usize])
    }

    /// Asks the first `length` questions and returns how many answers differ from the expected ones.
    pub fn run(&mut self, schedule: &Schedule, length: usize) -> usize {
        let mut wrong = 0;
        for turn in schedule.turns.iter().take(length) {
            let allowed = self.allowed(schedule.principal(turn), turn.ask);
            wrong += usize::from(allowed != turn.allowed);
        }
        wrong
    }
}
