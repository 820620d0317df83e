//! Counts allocations of decisions and the living bytes of loaded policies; prints one figure a line.

use std::alloc::System;

use linkrole_bench::run::{self, Meter};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts.
struct Counter;

impl Counter {
    fn living() -> f64 {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
    }
}

impl Meter for Counter {
    const NAMES: (&'static str, &'static str) = ("allocations", "bytes");

    fn call(&self, mut f: impl FnMut()) -> f64 {
        // The first calls may build what later ones use.
        f();
        f();
        let calls = 4;
        let before = ALLOCATOR.stats();
        for _ in 0..calls {
            f();
        }
        let after = ALLOCATOR.stats();
        let count =
            (after.allocations + after.reallocations) - (before.allocations + before.reallocations);
        count as f64 / f64::from(calls)
    }

    fn building<T>(&self, _: usize, mut f: impl FnMut() -> T) -> f64 {
        self.once(&mut f).1
    }

    fn once<T>(&self, f: impl FnOnce() -> T) -> (T, f64) {
        let before = Counter::living();
        let built = f();
        (built, Counter::living() - before)
    }

    fn round(&self) -> usize {
        2_000
    }
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() {
    for (name, number) in run::all(&Counter).numbers {
        println!("{name}\t{number}");
    }
}
