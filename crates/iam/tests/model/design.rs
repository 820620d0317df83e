//! The protocol as a model: two workers, a network that loses, repeats and reorders, one resource,
//! sessions. Designs that are sound are checked to the end; designs with one natural mistake each
//! must be refuted. What the model leaves out: the look before the fence, releases, untruthful
//! services.

use stateright::*;
use std::collections::BTreeSet;

/// Fences one run may set.
const TRIES: u8 = 3;
/// Uses, of either kind, that one run may begin.
const USES: u8 = 2;

/// The role; the number is its epoch.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Role {
    Active(u8),
    Deleting(u8),
    Gone,
}

/// What a worker remembers: nothing, that it asked, that it may commit.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Worker {
    Idle,
    Asked(u8),
    Ready(u8),
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Prepare(u8),
    Answer { epoch: u8, unused: bool },
    Cancel(u8),
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct World {
    role: Role,
    workers: [Worker; 2],
    /// The epoch under which the service refuses new uses; 0 for none.
    fence: u8,
    /// The highest epoch that the service saw cancelled.
    cancelled: u8,
    /// The service has seen the role, and may act on what it saw.
    looked: bool,
    /// The token service has seen the role, and may act on what it saw.
    issuer_looked: bool,
    registered: bool,
    resource: bool,
    session: bool,
    tries: u8,
    uses: u8,
    network: BTreeSet<Message>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Action {
    Start(usize),
    Abort,
    Receive(usize, bool),
    Commit(usize),
    Crash(usize),
    DeliverPrepare(u8),
    DeliverCancel(u8),
    Resync,
    Look,
    Register,
    Create,
    Remove,
    Deregister,
    IssuerLook,
    Assume,
    Expire,
}

/// Which parts of the protocol a design has.
#[derive(Clone, Copy)]
struct Design {
    /// The service refuses new uses under a fence of its own.
    service_fence: bool,
    /// Answers carry the epoch they are for.
    epoch: bool,
    /// The commit requires the fence of its own epoch.
    compare_and_swap: bool,
    /// Uses are registered, and the commit looks at the registry.
    registry: bool,
    /// The service creates before it registers.
    early_create: bool,
    /// AssumeRole checks and issues in one transaction, and ends a fence.
    one_transaction: bool,
}

fn abort(next: &mut World, epoch: u8) {
    next.role = Role::Active(epoch);
    next.network.insert(Message::Cancel(epoch));
}

impl Design {
    fn commit(&self, old: &World, next: &mut World, worker: usize) -> Option<()> {
        let Worker::Ready(epoch) = *old.workers.get(worker)? else { return None };
        *next.workers.get_mut(worker)? = Worker::Idle;
        let fenced = old.role == Role::Deleting(epoch);
        let may = fenced || !self.compare_and_swap;
        let used = old.session || (self.registry && old.registered);
        if may && !used {
            next.role = Role::Gone;
        } else if fenced {
            abort(next, epoch);
        }
        Some(())
    }

    fn create(&self, old: &World, next: &mut World) -> Option<()> {
        if old.resource || old.uses >= USES {
            return None;
        }
        let may = match (self.registry, self.service_fence) {
            (true, _) => old.registered || self.early_create && old.looked,
            (false, true) => old.fence == 0,
            (false, false) => old.looked,
        };
        may.then(|| {
            next.resource = true;
            next.uses += 1;
            next.looked = false;
        })
    }

    fn assume(&self, old: &World, next: &mut World) -> Option<()> {
        if old.session || old.uses >= USES {
            return None;
        }
        if self.one_transaction {
            match old.role {
                Role::Gone => return None,
                Role::Deleting(epoch) => abort(next, epoch),
                Role::Active(_) => {}
            }
        } else if !old.issuer_looked {
            return None;
        }
        next.session = true;
        next.uses += 1;
        next.issuer_looked = false;
        Some(())
    }

    fn receive(&self, old: &World, next: &mut World, worker: usize, unused: bool) -> Option<()> {
        let Worker::Asked(epoch) = *old.workers.get(worker)? else { return None };
        let slot = next.workers.get_mut(worker)?;
        *slot = if unused { Worker::Ready(epoch) } else { Worker::Idle };
        if !unused && old.role == Role::Deleting(epoch) {
            abort(next, epoch);
        }
        Some(())
    }

    fn act(&self, old: &World, action: Action) -> Option<World> {
        let mut next = old.clone();
        match action {
            Action::Start(worker) => {
                let Role::Active(epoch) = old.role else { return None };
                next.role = Role::Deleting(epoch + 1);
                *next.workers.get_mut(worker)? = Worker::Asked(epoch + 1);
                next.tries += 1;
                next.network.insert(Message::Prepare(epoch + 1));
            }
            Action::Abort => {
                let Role::Deleting(epoch) = old.role else { return None };
                abort(&mut next, epoch);
            }
            Action::Receive(worker, unused) => self.receive(old, &mut next, worker, unused)?,
            Action::Commit(worker) => self.commit(old, &mut next, worker)?,
            Action::Crash(worker) => *next.workers.get_mut(worker)? = Worker::Idle,
            Action::DeliverPrepare(epoch) => {
                if self.service_fence && epoch <= old.cancelled {
                    return None;
                }
                if self.service_fence {
                    next.fence = next.fence.max(epoch);
                }
                next.network.insert(Message::Answer { epoch, unused: !old.resource });
            }
            Action::DeliverCancel(epoch) => {
                next.cancelled = next.cancelled.max(epoch);
                if old.fence <= epoch {
                    next.fence = 0;
                }
            }
            Action::Resync => {
                let Role::Active(epoch) = old.role else { return None };
                if old.fence != 0 && old.fence <= epoch {
                    next.fence = 0;
                    next.cancelled = next.cancelled.max(epoch);
                }
            }
            Action::Look => next.looked = matches!(old.role, Role::Active(_)),
            Action::Register => {
                if !self.registry || !matches!(old.role, Role::Active(_)) {
                    return None;
                }
                next.registered = true;
            }
            Action::Create => self.create(old, &mut next)?,
            Action::Remove => next.resource = false,
            Action::Deregister => {
                if old.resource {
                    return None;
                }
                next.registered = false;
            }
            Action::IssuerLook => next.issuer_looked = old.role != Role::Gone,
            Action::Assume => self.assume(old, &mut next)?,
            Action::Expire => next.session = false,
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
            fence: 0,
            cancelled: 0,
            looked: false,
            issuer_looked: false,
            registered: false,
            resource: false,
            session: false,
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
                // The lease ran out: a worker without a memory lifts the fence.
                (Worker::Idle, Role::Deleting(_)) => actions.push(Action::Abort),
                (Worker::Idle, _) => {}
                (Worker::Ready(_), _) => actions.extend([Action::Commit(i), Action::Crash(i)]),
                (Worker::Asked(asked), _) => {
                    actions.push(Action::Crash(i));
                    for message in &world.network {
                        if let Message::Answer { epoch, unused } = message
                            && (!self.epoch || epoch == asked)
                        {
                            actions.push(Action::Receive(i, *unused));
                        }
                    }
                }
            }
        }
        for message in &world.network {
            match message {
                Message::Prepare(epoch) => actions.push(Action::DeliverPrepare(*epoch)),
                Message::Cancel(epoch) => actions.push(Action::DeliverCancel(*epoch)),
                Message::Answer { .. } => {}
            }
        }
        actions.extend([
            Action::Resync,
            Action::Look,
            Action::Register,
            Action::Create,
            Action::Remove,
            Action::Deregister,
            Action::IssuerLook,
            Action::Assume,
            Action::Expire,
        ]);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.act(world, action).filter(|next| next != world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(I1, |_, w: &World| !(w.role == Role::Gone && w.resource)),
            Property::always(I5, |_, w: &World| !(w.role == Role::Gone && w.session)),
            Property::sometimes(DELETED, |_, w: &World| w.role == Role::Gone),
            Property::sometimes(REUSED, |_, w: &World| {
                w.tries > 0 && w.resource && matches!(w.role, Role::Active(_))
            }),
        ]
    }
}

pub const I1: &str = "I1: no resource outlives its role";
pub const I5: &str = "I5: no session outlives the commit";
const DELETED: &str = "a deletion can succeed";
const REUSED: &str = "the role can be used after an aborted try";

/// Checks one design; `breaks` names the invariant that must be refuted, if one must. What is `reached` must be possible in a
/// sound design, so that none passes by doing nothing.
pub fn explore<M>(
    name: &str,
    design: M,
    invariants: &[&'static str],
    reached: &[&'static str],
    breaks: Option<&'static str>,
) where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    // A refuted design is refuted by one order of steps; a sound one is checked to the end.
    let until = match breaks {
        Some(_) => HasDiscoveries::AnyFailures,
        None => HasDiscoveries::All,
    };
    let run = design.checker().threads(2).finish_when(until).spawn_bfs().join();
    let found = run.discoveries();
    let violated: Vec<(&str, usize)> = invariants
        .iter()
        .filter_map(|p| found.get(p).map(|path| (*p, path.clone().into_actions().len())))
        .collect();
    println!(
        "{name}: {} distinct states of {}; refuted (in steps): {violated:?}",
        run.unique_state_count(),
        run.state_count(),
    );
    let names: Vec<&str> = violated.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, breaks.into_iter().collect::<Vec<_>>(), "{name}");
    if breaks.is_none() {
        for possible in reached {
            assert!(found.contains_key(possible), "{name}: never {possible}");
        }
        assert!(run.is_done() && run.unique_state_count() > 100_000, "{name}: not exhaustive");
    }
}

fn check(name: &str, design: Design, breaks: Option<&'static str>) {
    explore(name, design, &[I1, I5], &[DELETED, REUSED], breaks);
}

pub fn check_all() {
    let sound = Design {
        service_fence: true,
        epoch: true,
        compare_and_swap: true,
        registry: false,
        early_create: false,
        one_transaction: true,
    };
    let registry = Design { service_fence: false, registry: true, ..sound };
    check("fence at the service", sound, None);
    check("registry", registry, None);
    check("both", Design { registry: true, ..sound }, None);
    check("bad: ask only", Design { service_fence: false, ..sound }, Some(I1));
    check("bad: answers without epoch", Design { epoch: false, ..sound }, Some(I1));
    check("bad: no compare-and-swap", Design { compare_and_swap: false, ..sound }, Some(I1));
    check("bad: create before register", Design { early_create: true, ..registry }, Some(I1));
    check("bad: two transactions", Design { one_transaction: false, ..sound }, Some(I5));
}
