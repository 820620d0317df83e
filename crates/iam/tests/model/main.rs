//! The deletion of a service-linked role, checked twice: as a small model of the protocol, over
//! every order of its steps, and as the code itself, over random orders of the same steps.
//!
//! `LINKROLE_TRACES` sets the number of random traces of a run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests may fail loudly and tell what they counted"
)]

mod asked;
mod code;
#[path = "../common/asked.rs"]
mod common_asked;
mod design;
use code::common;
mod persisted;
mod regions;

/// The number of traces to run: what the environment says, else this.
fn traces(default: u64) -> u64 {
    let told = std::env::var("LINKROLE_TRACES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(default)
}

/// Runs both halves of some work at the same time.
fn halves<T: Send>(run: impl Fn(u64) -> T + Sync) -> [T; 2] {
    std::thread::scope(|scope| {
        [0, 1]
            .map(|half| {
                scope.spawn({
                    let run = &run;
                    move || run(half)
                })
            })
            .map(|t| t.join().unwrap())
    })
}

#[test]
fn atk_f20_the_sound_designs_hold_and_the_bad_ones_are_refuted() {
    design::check_all();
}

#[test]
fn atk_f20_atk_f32_the_sound_design_with_two_regions_holds_and_its_mistakes_are_refuted() {
    regions::check_all();
}

#[test]
fn atk_f20_atk_f22_atk_f23_the_code_holds_the_invariants_in_random_orders() {
    let tally = code::run_traces(traces(20_000));
    println!("the code, in memory: {tally}");
    tally.check();
}

#[test]
fn the_code_holds_the_invariants_across_power_losses() {
    let (tally, losses) = persisted::run_traces(traces(500));
    println!("the code, on a disk: {tally}; {losses}");
    tally.check();
    losses.check();
}

#[test]
fn atk_f20_atk_f21_the_code_holds_the_invariants_when_the_service_is_asked() {
    let tally = asked::run_traces(traces(6_000));
    println!("the code, asking: {tally}");
    tally.check();
}
