//! The writer: runs calls one after the other on the state that the one before left, and has them stored.
//!
//! Two threads. One runs what waits in the queue and gathers it into a batch; the other stores one
//! batch at a time with one sync, publishes the state after it, and only then answers. While a batch
//! is on its way to the disk the next is gathered, on a state that nobody else sees. So no answer
//! precedes its durability, nobody sees what may yet be lost, and the processor does not wait for the
//! disk. Is a batch not stored, those behind it are not stored either: the store takes nothing more.

use crate::engine::{Engine, Job, entry, of_system, row_changes};
use iam::access::{Noted, Part};
use iam::caller::Call;
use iam::command::Command;
use iam::error::Error;
use iam::handle::Handled;
use iam::output::Output;
use iam::rows::{Change, Row};
use iam::state::State;
use std::sync::Arc;
use std::thread::JoinHandle;
use store::{Entry, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Calls that one commit carries.
const BATCH: usize = 512;
/// Calls that go as soon as there is a place, if no more than as many wait: while the disk has these, the processor has
/// the others. Fewer are not worth a commit of their own where others wait.
const HALF: usize = 24;
/// Rows of uses that one commit carries, or a few more: calls that wait for it are not to notice.
const USES: usize = 500;

type Reply = oneshot::Sender<Result<Output, Error>>;

/// Starts the writer; it ends when it is told to stop, and then what it ran is stored.
pub fn start<S: Store>(
    engine: Arc<Engine<S>>,
    jobs: mpsc::Receiver<Job>,
    revision: store::Revision,
    lost: Noted,
) -> Result<JoinHandle<()>, String> {
    let (out, batches) = mpsc::unbounded_channel();
    let committer = Committer { engine: engine.clone(), batches, revision };
    let committer = thread("committer", move || committer.run())?;
    let state = (*engine.state()).clone();
    let free = Arc::new(Semaphore::new(1));
    let uses = Uses { noted: lost, ..Uses::default() };
    let runner = Runner { engine, jobs, state, uses, batch: Batch::default(), free, out };
    thread("writer", move || {
        runner.run();
        let _ = committer.join();
    })
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    let made = std::thread::Builder::new().name(name.into()).spawn(work);
    made.map_err(|e| format!("cannot start the {name}: {e}"))
}

/// Runs work on the thread that calls, whatever it waits for; answers whether it could.
pub fn on_this_thread(work: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map(|runtime| runtime.block_on(work)).is_ok()
}

/// Calls that were run: what is to be stored, who waits.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    replies: Vec<(Reply, Result<Output, Error>)>,
    recorded: Vec<oneshot::Sender<()>>,
    /// With whether there is more to store.
    uses: Vec<(oneshot::Sender<bool>, bool)>,
    resets: Vec<oneshot::Sender<Result<(), String>>>,
    changes: bool,
    /// The time of the youngest entry.
    youngest_ms: i64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.replies.is_empty()
            && self.recorded.is_empty()
            && self.uses.is_empty()
            && self.resets.is_empty()
    }
}

/// A batch on its way: with the state after it, and the place of the one that is stored.
struct Sent {
    batch: Batch,
    state: State,
    _place: OwnedSemaphorePermit,
}

/// What was used and is not stored yet.
#[derive(Default)]
struct Uses {
    /// Since the round began, as far as the trail tells it.
    noted: Noted,
    /// Before the round began.
    round: Noted,
    /// By reads that the trail does not keep, since the round began.
    seen: Noted,
    /// By such reads before it.
    reads: Noted,
    /// Whether another round is wanted.
    wanted: bool,
}

impl Uses {
    /// The next part to store; nothing when all is stored.
    fn part(&mut self) -> Option<(Noted, Part)> {
        let is_first = self.round.is_empty() && std::mem::take(&mut self.wanted);
        if is_first {
            self.round = std::mem::take(&mut self.noted);
            self.reads.merge(std::mem::take(&mut self.seen));
        }
        let told = self.round.take(USES);
        if told.is_empty() {
            let reads = self.reads.take(USES);
            return (!reads.is_empty()).then_some((reads, Part::Reads));
        }
        let last = || told.last().unwrap_or_default().to_owned();
        let up_to = (!self.round.is_empty()).then(last);
        Some((told, Part::Told { is_first, up_to }))
    }

    fn is_done(&self) -> bool {
        !self.wanted && self.round.is_empty() && self.reads.is_empty()
    }
}

struct Runner<S> {
    engine: Arc<Engine<S>>,
    jobs: mpsc::Receiver<Job>,
    /// After all that was run, stored or not.
    state: State,
    uses: Uses,
    batch: Batch,
    /// The place of the batch that is being stored.
    free: Arc<Semaphore>,
    out: mpsc::UnboundedSender<Sent>,
}

impl<S> Drop for Runner<S> {
    /// A writer that panicked takes the server down with it: nothing could be written any more.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.break_down("the writer panicked");
        }
    }
}

impl<S: Store> Runner<S> {
    fn run(mut self) {
        let engine = self.engine.clone();
        if !on_this_thread(self.work()) {
            engine.break_down("the writer has no runtime");
        }
    }

    /// Works until it is told to stop. What waits is run first, or of much the half; then the batch goes,
    /// as soon as the one before it is stored.
    async fn work(&mut self) {
        loop {
            if self.is_half()
                && let Ok(place) = self.free.clone().try_acquire_owned()
            {
                self.send(place);
            }
            let free = self.free.clone();
            tokio::select! {
                biased;
                job = self.jobs.recv(), if self.has_room() => match job {
                    None | Some(Job::Stop) => break,
                    Some(job) => self.take_job(job),
                },
                Ok(place) = free.acquire_owned(), if !self.batch.is_empty() => {
                    let goes_on = self.take_late_ones();
                    self.send(place);
                    if !goes_on {
                        return;
                    }
                }
            }
        }
        if let Ok(place) = self.free.clone().acquire_owned().await {
            self.send(place);
        }
    }

    fn is_half(&self) -> bool {
        let waiting = self.batch.replies.len() + self.batch.recorded.len();
        waiting >= HALF && waiting >= self.jobs.len()
    }

    fn has_room(&self) -> bool {
        self.batch.entries.len() < BATCH
    }

    /// A moment before a batch goes: who has a call for it and waits for a processor gets this one first. With a free
    /// processor it is no moment at all. False if it was told to stop.
    fn take_late_ones(&mut self) -> bool {
        std::thread::yield_now();
        while self.has_room()
            && let Ok(job) = self.jobs.try_recv()
        {
            if matches!(job, Job::Stop) {
                return false;
            }
            self.take_job(job);
        }
        true
    }

    fn send(&mut self, place: OwnedSemaphorePermit) {
        let batch = std::mem::take(&mut self.batch);
        let sent = Sent { batch, state: self.state.clone(), _place: place };
        if self.out.send(sent).is_err() {
            self.engine.break_down("the committer has ended");
        }
    }

    fn take_job(&mut self, job: Job) {
        match job {
            Job::Call(call, reply) => self.take(&call, reply),
            Job::Record(event, done) => {
                // What was not written is not answered.
                if let Some(entry) = entry(&event, &[]) {
                    self.uses.noted.note(&event);
                    self.batch.entries.push(entry);
                    self.batch.youngest_ms = self.batch.youngest_ms.max(event.at_ms);
                    self.batch.recorded.push(done);
                }
            }
            Job::RecordUses(reads, done) => {
                self.record_uses(reads);
                self.batch.uses.push((done, !self.uses.is_done()));
            }
            Job::Reset(rows, done) => self.reset(rows, done),
            Job::Stop => {}
        }
    }

    /// Runs one call on what the calls before it left. One that panics leaves the batch whole.
    fn take(&mut self, call: &Call, reply: Reply) {
        let batch = &mut self.batch;
        if !self.engine.is_sound() {
            let refusal = Error::Internal("the store is in doubt");
            batch.replies.push((reply, Err(refusal)));
            return;
        }
        let Some(handled) = self.engine.run_caught(&self.state, call) else {
            batch.replies.push((reply, Err(Error::Internal("a call panicked"))));
            return;
        };
        let kept = self.engine.keeps(call, &handled);
        if kept || !handled.changes.is_empty() {
            let Some(mut made) = entries(&handled, kept) else {
                batch.replies.push((reply, Err(Error::Internal("a row was not written"))));
                return;
            };
            batch.entries.append(&mut made);
            batch.youngest_ms = batch.youngest_ms.max(handled.event.at_ms);
        }
        // What the trail tells is read again after a crash; a use that it does not tell is no more than a read.
        match kept {
            true => self.uses.noted.note(&handled.event),
            false => self.uses.seen.note(&handled.event),
        }
        batch.changes |= !handled.changes.is_empty();
        self.state = handled.next;
        batch.replies.push((reply, handled.outcome));
    }

    /// Stores a part of what was used. All that stands before the first part in the trail was noted before it by
    /// this very thread, so the entries of the parts tell what a process had not stored when it ended.
    fn record_uses(&mut self, reads: Option<Box<Noted>>) {
        if let Some(reads) = reads {
            self.uses.wanted = true;
            self.uses.reads.merge(*reads);
        }
        if let Some((noted, part)) = self.uses.part() {
            let (reply, _) = oneshot::channel();
            let command = Command::RecordUse { noted: Box::new(noted), part };
            self.take(&of_system(command), reply);
        }
    }

    /// Takes every row away, and puts these in their place.
    fn reset(&mut self, rows: Vec<Row>, done: oneshot::Sender<Result<(), String>>) {
        let gone = self.state.rows().into_iter().map(|row| Change::Delete(row.key()));
        let changes: Vec<Change> = gone.chain(rows.into_iter().map(Change::Put)).collect();
        let Some(stored) = row_changes(&changes) else {
            let _ = done.send(Err("a row was not written".to_owned()));
            return;
        };
        let mut fresh = State::default();
        for change in &changes {
            if let Change::Put(_) = change {
                fresh.apply(change);
            }
        }
        let entry = Entry { record: b"{}".to_vec(), changes: stored, ..Entry::default() };
        self.batch.entries.push(entry);
        self.batch.changes = true;
        self.batch.resets.push(done);
        self.state = fresh;
        self.uses = Uses::default();
        drop(self.engine.take_seen());
    }
}

/// What is stored of a call: its entry with its changes, and the notices to others whom it concerns.
fn entries(handled: &Handled, kept: bool) -> Option<Vec<Entry>> {
    if !kept {
        let changes = row_changes(&handled.changes)?;
        return Some(vec![Entry { changes, ..Entry::default() }]);
    }
    let own = entry(&handled.event, &handled.changes);
    let notices = handled.notices.iter().map(|event| entry(event, &[]));
    std::iter::once(own).chain(notices).collect()
}

struct Committer<S> {
    engine: Arc<Engine<S>>,
    batches: mpsc::UnboundedReceiver<Sent>,
    revision: store::Revision,
}

impl<S> Drop for Committer<S> {
    /// As of the runner.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.break_down("the committer panicked");
        }
    }
}

impl<S: Store> Committer<S> {
    fn run(mut self) {
        let engine = self.engine.clone();
        let work = async {
            while let Some(sent) = self.batches.recv().await {
                self.commit(sent).await;
            }
        };
        if !on_this_thread(work) {
            engine.break_down("the committer has no runtime");
        }
    }

    /// Stores a batch, publishes the state, answers: in this order.
    async fn commit(&mut self, sent: Sent) {
        let Sent { mut batch, state, _place } = sent;
        match self.store(&batch).await {
            Ok(()) => {
                self.hand_on(&mut batch);
                if batch.changes {
                    self.engine.snapshot.store(Arc::new(state));
                    self.engine.changed.notify_one();
                }
                for (reply, outcome) in batch.replies {
                    let _ = reply.send(outcome);
                }
                for done in batch.recorded {
                    let _ = done.send(());
                }
                for (done, more) in batch.uses {
                    let _ = done.send(more);
                }
                for done in batch.resets {
                    let _ = done.send(Ok(()));
                }
            }
            Err(why) => {
                if self.engine.is_sound() {
                    self.engine.break_down(&why);
                }
                for (reply, _) in batch.replies {
                    let _ = reply.send(Err(Error::Internal("the store failed")));
                }
                for done in batch.resets {
                    let _ = done.send(Err(why.clone()));
                }
            }
        }
    }

    /// Gives entries that are stored to who signs them.
    fn hand_on(&self, batch: &mut Batch) {
        let entries = std::mem::take(&mut batch.entries).into_iter();
        let records = entries.map(|entry| entry.record).filter(|record| !record.is_empty());
        let is_signed = self.engine.pace.get().is_some();
        self.engine.recent.stored(records.collect(), batch.youngest_ms, is_signed);
    }

    async fn store(&mut self, batch: &Batch) -> Result<(), String> {
        if !self.engine.is_sound() {
            // What was run here rests on what was not stored.
            return Err("a batch before was not stored".to_owned());
        }
        if let Some(pace) = self.engine.pace.get()
            && !batch.entries.is_empty()
        {
            pace.wait_for(batch.youngest_ms)?;
        }
        if batch.changes {
            let stored = self.engine.store.commit(self.revision, &batch.entries).await;
            self.revision = stored.map_err(|e| e.to_string())?;
        } else if !batch.entries.is_empty() {
            self.engine.store.record(&batch.entries).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}
