//! Drives deletion tasks: reads the state, takes each open task's next step, and again.
//!
//! It takes no input and keeps no memory, so the happy case, a restart and a task that somebody
//! else began are one path. What a step may do is decided in `iam::deletion`.

use crate::engine::Engine;
use iam::command::Command;
use iam::deletion::next_step;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// The longest pause between two looks when nothing wakes it.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two sweeps of what has ended.
const SWEEP: Duration = Duration::from_secs(3_600);

/// Works until the process ends.
pub async fn run<S: Store>(engine: Arc<Engine<S>>) {
    let mut since_sweep = SWEEP;
    loop {
        while pass(&engine).await {}
        engine.flush_uses().await;
        if since_sweep >= SWEEP {
            since_sweep = Duration::ZERO;
            let _ = engine.system(Command::Sweep).await;
        }
        // A pause that ends early wakes for a change; it is counted whole, which only sweeps sooner.
        let _ = tokio::time::timeout(PAUSE, engine.changed.notified()).await;
        since_sweep += PAUSE;
    }
}

/// Takes the next step of every open task; answers whether anything moved.
pub async fn pass<S: Store>(engine: &Arc<Engine<S>>) -> bool {
    if !engine.is_sound() {
        return false;
    }
    let state = engine.state();
    let now_ms = engine.now_ms().max(state.clock_ms());
    let steps: Vec<_> = state.open_tasks().filter_map(|task| next_step(task, now_ms)).collect();
    let mut moved = false;
    for step in steps {
        let task = step.task.to_string();
        match engine.system(Command::StepDeletion(step)).await {
            Ok(_) => moved = true,
            Err(error) => tracing::debug!(task, ?error, "a step was not taken"),
        }
    }
    moved
}
