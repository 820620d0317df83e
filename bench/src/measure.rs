//! Timing: processor time of this process, the best of five runs.
//!
//! The best run is the one that neighbours disturbed least; a mean would measure them.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ProcessTime;

/// How many runs there are.
const RUNS: usize = 5;

/// How long a run lasts at least.
const RUN: Duration = Duration::from_millis(300);

/// Nanoseconds of each call of `f`, the best of five runs.
pub fn nanoseconds(mut f: impl FnMut()) -> f64 {
    let mut repeats: u64 = 1;
    // Doubles until a run lasts long enough; this warms caches and lazily built indexes too.
    loop {
        let took = timed(&mut f, repeats);
        if took >= RUN {
            break;
        }
        let factor = RUN.as_secs_f64() * 1.1 / took.as_secs_f64().max(1e-6);
        repeats = (repeats as f64 * factor.clamp(1.1, 10.0)).ceil() as u64;
    }
    let best = (0..RUNS).map(|_| timed(&mut f, repeats)).min().unwrap_or_default();
    best.as_secs_f64() * 1e9 / repeats as f64
}

fn timed(f: &mut impl FnMut(), repeats: u64) -> Duration {
    let start = ProcessTime::now();
    for _ in 0..repeats {
        f();
    }
    start.elapsed()
}

/// Nanoseconds of each call of `f`, without those of dropping what it returns.
pub fn building<T>(per_batch: usize, mut f: impl FnMut() -> T) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let (mut took, mut batches) = (Duration::ZERO, 0);
        // A run of loading is shorter: a single load of some rivals lasts longer than a run.
        while took < RUN / 4 {
            let mut built = Vec::with_capacity(per_batch);
            let start = ProcessTime::now();
            for _ in 0..per_batch {
                built.push(black_box(f()));
            }
            took += start.elapsed();
            batches += 1;
            drop(built);
        }
        best = best.min(took / batches);
    }
    best.as_secs_f64() * 1e9 / per_batch as f64
}

/// Processor time of one call, for what is too long to repeat.
pub fn once<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = ProcessTime::now();
    let done = f();
    (done, start.elapsed())
}
