//! The protocol as a model once more, with what the first one leaves out: a service in two regions that answer for
//! themselves, and a second node that knows the role from a cache whose lease runs out.

use crate::design::{I1, I5, Role, explore};
use stateright::*;
use std::collections::BTreeSet;

/// Fences one run may set.
const TRIES: u8 = 2;
/// Uses, of either kind, that one run may begin.
const USES: u8 = 2;

/// What a worker remembers: which regions it has good answers of, and under which epoch it asked.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Worker {
    Idle,
    Asked { epoch: u8, north: bool, south: bool },
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Prepare { site: usize, epoch: u8 },
    Answer { site: usize, epoch: u8, unused: bool },
    Cancel { site: usize, epoch: u8 },
}

/// A region of the service.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
struct Site {
    fence: u8,
    cancelled: u8,
    resource: bool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct World {
    role: Role,
    workers: [Worker; 2],
    sites: [Site; 2],
    /// The second node takes the role to be there.
    cached: bool,
    /// Some session lives.
    session: bool,
    /// A session lives that its issuer has written of.
    written: bool,
    /// The ledger's bound is not past.
    ledger: bool,
    /// Readers see that the deletion succeeded.
    succeeded: bool,
    tries: u8,
    uses: u8,
    network: BTreeSet<Message>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Action {
    Start(usize),
    Abort,
    Receive { worker: usize, site: usize, unused: bool },
    Commit(usize),
    Crash(usize),
    Deliver(Message),
    Resync(usize),
    Create(usize),
    Remove(usize),
    Assume,
    AssumeFromCache,
    Expire,
    LeaseEnds,
    Finish,
}

/// Which parts of the protocol a design has.
#[derive(Clone, Copy)]
struct Design {
    /// The commit waits for every region's answer.
    all_regions: bool,
    /// Answers carry the epoch they are for.
    epoch: bool,
    /// Success is shown only when no cache knows the role any more.
    drains: bool,
    /// The commit looks at the bound on all sessions, not at those that were written of.
    ledger: bool,
}

fn abort(next: &mut World, epoch: u8) {
    next.role = Role::Active(epoch);
    next.network.extend([0, 1].map(|site| Message::Cancel { site, epoch }));
}

impl Design {
    fn commit(&self, old: &World, next: &mut World, worker: usize) -> Option<()> {
        let Worker::Asked { epoch, north, south } = *old.workers.get(worker)? else { return None };
        let answered = if self.all_regions { north && south } else { north || south };
        if !answered {
            return None;
        }
        *next.workers.get_mut(worker)? = Worker::Idle;
        let live = if self.ledger { old.ledger } else { old.written };
        if old.role != Role::Deleting(epoch) {
            return Some(());
        }
        if live {
            abort(next, epoch);
        } else {
            next.role = Role::Gone;
        }
        Some(())
    }

    fn receive(
        &self,
        old: &World,
        next: &mut World,
        worker: usize,
        site: usize,
        unused: bool,
    ) -> Option<()> {
        let Worker::Asked { epoch, .. } = *old.workers.get(worker)? else { return None };
        let slot = next.workers.get_mut(worker)?;
        match (slot, unused) {
            (Worker::Asked { north, .. }, true) if site == 0 => *north = true,
            (Worker::Asked { south, .. }, true) => *south = true,
            (slot, _) => {
                *slot = Worker::Idle;
                if old.role == Role::Deleting(epoch) {
                    abort(next, epoch);
                }
            }
        }
        Some(())
    }

    fn deliver(&self, next: &mut World, message: Message) -> Option<()> {
        match message {
            Message::Prepare { site, epoch } => {
                let held = next.sites.get_mut(site)?;
                if epoch <= held.cancelled {
                    return None;
                }
                held.fence = held.fence.max(epoch);
                let unused = !held.resource;
                next.network.insert(Message::Answer { site, epoch, unused });
            }
            Message::Cancel { site, epoch } => {
                let held = next.sites.get_mut(site)?;
                held.cancelled = held.cancelled.max(epoch);
                if held.fence <= epoch {
                    held.fence = 0;
                }
            }
            Message::Answer { .. } => return None,
        }
        Some(())
    }

    fn act(&self, old: &World, action: Action) -> Option<World> {
        let mut next = old.clone();
        match action {
            Action::Start(worker) => {
                let Role::Active(epoch) = old.role else { return None };
                let epoch = epoch + 1;
                next.role = Role::Deleting(epoch);
                *next.workers.get_mut(worker)? =
                    Worker::Asked { epoch, north: false, south: false };
                next.tries += 1;
                next.network.extend([0, 1].map(|site| Message::Prepare { site, epoch }));
            }
            Action::Abort => {
                let Role::Deleting(epoch) = old.role else { return None };
                abort(&mut next, epoch);
            }
            Action::Receive { worker, site, unused } => {
                self.receive(old, &mut next, worker, site, unused)?;
            }
            Action::Commit(worker) => self.commit(old, &mut next, worker)?,
            Action::Crash(worker) => *next.workers.get_mut(worker)? = Worker::Idle,
            Action::Deliver(message) => self.deliver(&mut next, message)?,
            Action::Resync(site) => {
                let Role::Active(epoch) = old.role else { return None };
                let held = next.sites.get_mut(site)?;
                if held.fence != 0 && held.fence <= epoch {
                    held.fence = 0;
                    held.cancelled = held.cancelled.max(epoch);
                }
            }
            Action::Create(site) => {
                let held = next.sites.get_mut(site)?;
                if held.resource || held.fence != 0 || old.uses >= USES {
                    return None;
                }
                held.resource = true;
                next.uses += 1;
            }
            Action::Remove(site) => next.sites.get_mut(site)?.resource = false,
            Action::Assume => {
                if old.session || old.uses >= USES {
                    return None;
                }
                match old.role {
                    Role::Gone => return None,
                    Role::Deleting(epoch) => abort(&mut next, epoch),
                    Role::Active(_) => {}
                }
                next.session = true;
                next.written = true;
                next.ledger = true;
                next.uses += 1;
            }
            // Without a write, and so only up to the bound that is written already.
            Action::AssumeFromCache => {
                if old.session || old.uses >= USES || !old.cached || !old.ledger {
                    return None;
                }
                next.session = true;
                next.uses += 1;
            }
            // Time passes: a session that was written of ends by itself, the bound ends last.
            Action::Expire => {
                if old.written {
                    next.written = false;
                    next.session = false;
                } else {
                    next.session = false;
                    next.ledger = false;
                }
            }
            Action::LeaseEnds => next.cached = old.role != Role::Gone,
            Action::Finish => {
                if old.role != Role::Gone || (self.drains && old.cached) {
                    return None;
                }
                next.succeeded = true;
            }
        }
        Some(next)
    }
}

impl Model for Design {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            role: Role::Active(0),
            workers: [Worker::Idle, Worker::Idle],
            sites: [Site::default(); 2],
            cached: true,
            session: false,
            written: false,
            ledger: false,
            succeeded: false,
            tries: 0,
            uses: 0,
            network: BTreeSet::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (i, worker) in world.workers.iter().enumerate() {
            match (worker, world.role) {
                (Worker::Idle, Role::Active(_)) if world.tries < TRIES => {
                    actions.push(Action::Start(i));
                }
                (Worker::Idle, Role::Deleting(_)) => actions.push(Action::Abort),
                (Worker::Idle, _) => {}
                (Worker::Asked { epoch: asked, .. }, _) => {
                    actions.extend([Action::Commit(i), Action::Crash(i)]);
                    for message in &world.network {
                        if let Message::Answer { site, epoch, unused } = *message
                            && (!self.epoch || epoch == *asked)
                        {
                            actions.push(Action::Receive { worker: i, site, unused });
                        }
                    }
                }
            }
        }
        let messages = world.network.iter().filter(|m| !matches!(m, Message::Answer { .. }));
        actions.extend(messages.map(|message| Action::Deliver(*message)));
        for site in [0, 1] {
            actions.extend([Action::Resync(site), Action::Create(site), Action::Remove(site)]);
        }
        actions.extend([
            Action::Assume,
            Action::AssumeFromCache,
            Action::Expire,
            Action::LeaseEnds,
            Action::Finish,
        ]);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.act(world, action).filter(|next| next != world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(I1, |_, w: &World| {
                w.role != Role::Gone || w.sites.iter().all(|site| !site.resource)
            }),
            Property::always(I5, |_, w: &World| !(w.role == Role::Gone && w.session)),
            Property::always(I9, |_, w: &World| !(w.succeeded && w.cached)),
            Property::sometimes(DELETED, |_, w: &World| w.succeeded),
            Property::sometimes(REUSED, |_, w: &World| {
                w.tries > 0
                    && w.sites.iter().all(|site| site.resource)
                    && matches!(w.role, Role::Active(_))
            }),
        ]
    }
}

const I9: &str = "I9: no node takes a session of the role after success was seen";
const DELETED: &str = "a deletion can succeed";
const REUSED: &str = "both regions can use the role after an aborted try";

fn check(name: &str, design: Design, breaks: Option<&'static str>) {
    explore(name, design, &[I1, I5, I9], &[DELETED, REUSED], breaks);
}

pub fn check_all() {
    let sound = Design { all_regions: true, epoch: true, drains: true, ledger: true };
    check("two regions and a cache", sound, None);
    check("bad: one region is enough", Design { all_regions: false, ..sound }, Some(I1));
    check("bad: answers of any epoch", Design { epoch: false, ..sound }, Some(I1));
    check("bad: shown before caches end", Design { drains: false, ..sound }, Some(I9));
    check("bad: only sessions written of", Design { ledger: false, ..sound }, Some(I5));
}
