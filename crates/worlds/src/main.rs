//! `worlds CASES [SEED] [THREADS]`: asks both evaluators generated questions and shows where they differ.
//!
//! The same seed gives the same cases. Ends with 1 at the first difference, with all that is needed to make a
//! case of it.
#![expect(clippy::print_stdout, reason = "a command-line tool talks on its standard output")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use policy::engine::Compiled;
use policy::{Decision, Effect};
use worlds::{Dice, World, compare, requests};

/// How many questions each world gets, and in how many contexts.
const SHAPE: (usize, usize) = (24, 12);

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let Some(cases) = numbers.first() else {
        println!("usage: worlds CASES [SEED] [THREADS]");
        return ExitCode::from(2);
    };
    let seed = numbers.get(1).copied().unwrap_or(1);
    let threads = numbers.get(2).copied().unwrap_or(1).max(1);
    let worlds = cases.div_ceil((SHAPE.0 * SHAPE.1) as u64);
    #[expect(clippy::disallowed_methods, reason = "the report tells how long the run took")]
    let start = Instant::now();
    let stop = AtomicBool::new(false);
    let counts = thread::scope(|scope| {
        let run = |number: u64| {
            let stop = &stop;
            scope.spawn(move || part(seed, number, threads, worlds, stop))
        };
        let parts: Vec<_> = (0..threads).map(run).collect();
        let join = |part: thread::ScopedJoinHandle<'_, Counts>| part.join().unwrap_or_default();
        parts.into_iter().map(join).fold(Counts::default(), Counts::plus)
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} decisions in {} worlds, seeds {seed} to {}, {seconds:.0} s: {} allowed, {} denied by a \
         statement, {} by silence; {} statements matched; {} differences",
        counts.decisions,
        counts.worlds,
        seed + worlds - 1,
        counts.allowed,
        counts.explicit,
        counts.implicit,
        counts.matched,
        counts.differences,
    );
    if counts.differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    worlds: u64,
    decisions: u64,
    allowed: u64,
    explicit: u64,
    implicit: u64,
    matched: u64,
    differences: u64,
}

impl Counts {
    fn add(&mut self, decision: &Decision) {
        self.matched += decision.matched.len() as u64;
        match decision.effect {
            Effect::Allow => self.allowed += 1,
            Effect::ExplicitDeny => self.explicit += 1,
            Effect::ImplicitDeny => self.implicit += 1,
        }
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            worlds: self.worlds + other.worlds,
            decisions: self.decisions + other.decisions,
            allowed: self.allowed + other.allowed,
            explicit: self.explicit + other.explicit,
            implicit: self.implicit + other.implicit,
            matched: self.matched + other.matched,
            differences: self.differences + other.differences,
        }
    }
}

/// Every `step`-th world from the `first`.
fn part(seed: u64, first: u64, step: u64, worlds: u64, stop: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut number = first;
    while number < worlds && !stop.load(Ordering::Relaxed) {
        let mut dice = Dice::seeded(seed + number);
        let world = World::draw(&mut dice);
        let policies = world.policies();
        let compiled = Compiled::new(&policies);
        counts.worlds += 1;
        requests(&world, &mut dice, SHAPE, |request| {
            counts.decisions += 1;
            match compare(request, &policies, &compiled) {
                Ok(decision) => counts.add(&decision),
                Err(difference) => {
                    counts.differences += 1;
                    if !stop.swap(true, Ordering::Relaxed) {
                        let texts = world.texts();
                        println!("seed {}:\n{difference}\n{request:#?}\n{texts}", seed + number);
                    }
                }
            }
        });
        number += step;
    }
    counts
}
