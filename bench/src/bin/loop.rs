//! `loop a|b|c|d|load SECONDS`: linkrole alone on one workload, for a profiler to look at.
#![expect(clippy::print_stdout, reason = "a command-line tool talks on its standard output")]

use std::hint::black_box;

use linkrole_bench::engine::{Engine, Many};
use linkrole_bench::linkrole::Linkrole;
use linkrole_bench::measure;
use linkrole_bench::workloads::{self, Fleet, PRINCIPALS};

fn main() {
    let workload = std::env::args().nth(1).unwrap_or_default();
    let single = match workload.as_str() {
        "a" => workloads::a(),
        "c" | "load" => workloads::c(),
        _ => workloads::b(),
    };
    let number = match workload.as_str() {
        "d" => {
            let fleet = Fleet::new(PRINCIPALS, PRINCIPALS);
            let load = |number| {
                let policies = fleet.policies(number);
                Linkrole::load(&Linkrole::render(&policies, &fleet.asks).unwrap_or_default())
            };
            let mut many = Many::<Linkrole>::new(&fleet, (0..PRINCIPALS).map(load).collect());
            let schedule = fleet.schedule(20_000);
            let round = || {
                for turn in &schedule.turns {
                    black_box(many.allowed(schedule.principal(turn), turn.ask));
                }
            };
            measure::nanoseconds(round) / schedule.turns.len() as f64
        }
        "load" => {
            let source = Linkrole::render(&single.policies, &[]).unwrap_or_default();
            measure::building(10, || Linkrole::load(&source)) / single.statements() as f64
        }
        _ => {
            let source = Linkrole::render(&single.policies, &[]).unwrap_or_default();
            let mut set = Linkrole::load(&source);
            let request = Linkrole::request(&single.ask);
            measure::nanoseconds(|| {
                black_box(Linkrole::allowed(&(), &mut set, black_box(&request)));
            })
        }
    };
    println!("{workload}: {number:.1} ns");
}
