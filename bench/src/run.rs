//! Takes every engine through every workload with a meter, and notes the figures.
//!
//! The decision of every engine is checked against the expected one before anything is measured.

use std::collections::BTreeMap;
use std::hint::black_box;

use crate::engine::{Engine, Many, patterns};
use crate::floor::Floor;
use crate::linkrole::{Layered, Linkrole, Tempting, with_all_reasons, with_reason};
use crate::names::Names;
use crate::rivals::{casbin::Casbin, cedar::Cedar, iam_rs::IamRs, regorus::Regorus, wami::Wami};
use crate::work::{Single, count};
use crate::workloads::{self, Fleet, PRINCIPALS};

/// How many questions of workload (d) make one round.
const ROUND: usize = 20_000;

/// The numbers of principals of the comparison of shared with different policies.
///
/// A million principals with different policies would be five million parsed documents; a tenth of it is
/// measured, and the bytes of each principal are the same.
pub const SCALE: [(usize, usize); 6] =
    [(1, 1), (1_000, 1), (1_000_000, 1), (1, 1), (1_000, 1_000), (100_000, 100_000)];

/// Measures calls.
pub trait Meter {
    /// What a call costs, on average or at best.
    fn call(&self, f: impl FnMut()) -> f64;
    /// What building costs, best of several.
    fn building<T>(&self, per_batch: usize, f: impl FnMut() -> T) -> f64;
    /// What building something large costs, once.
    fn once<T>(&self, f: impl FnOnce() -> T) -> (T, f64);
    /// How many questions of a schedule make one call.
    fn round(&self) -> usize {
        ROUND
    }
    /// What a call costs is named this, and what building costs is named that.
    const NAMES: (&'static str, &'static str);
}

/// Figures by name, and the reasons for those that are missing.
#[derive(Debug, Default)]
pub struct Figures {
    /// By `metric/engine/workload`.
    pub numbers: BTreeMap<String, f64>,
    /// By `engine/workload`.
    pub reasons: BTreeMap<String, String>,
}

impl Figures {
    /// Notes a figure, and says so on the error channel.
    pub fn note(&mut self, metric: &str, engine: &str, workload: &str, number: f64) {
        progress(&format!("{metric} / {engine} / {workload}: {number:.1}"));
        self.numbers.insert(format!("{metric}/{engine}/{workload}"), number);
    }

    fn lack(&mut self, engine: &str, workload: &str, reason: &str) {
        progress(&format!("{engine} / {workload}: none: {reason}"));
        self.reasons.insert(format!("{engine}/{workload}"), reason.to_owned());
    }

    /// A figure.
    pub fn get(&self, metric: &str, engine: &str, workload: &str) -> Option<f64> {
        self.numbers.get(&format!("{metric}/{engine}/{workload}")).copied()
    }
}

#[expect(clippy::print_stderr, reason = "the output is the report; progress goes beside it")]
fn progress(text: &str) {
    eprintln!("{text}");
}

/// Everything.
pub fn all(meter: &impl Meter) -> Figures {
    let mut figures = Figures::default();
    floor(meter, &mut figures);
    own(meter, &mut figures);
    engine::<Linkrole>(meter, &mut figures);
    engine::<Cedar>(meter, &mut figures);
    engine::<Regorus>(meter, &mut figures);
    engine::<Casbin>(meter, &mut figures);
    engine::<IamRs>(meter, &mut figures);
    engine::<Wami>(meter, &mut figures);
    figures
}

fn floor<M: Meter>(meter: &M, figures: &mut Figures) {
    let fleet = Fleet::new(PRINCIPALS, PRINCIPALS);
    let floor = Floor::new(&fleet);
    let ask = workloads::a().ask;
    assert!(floor.single(&ask.action, &ask.resource), "the floor knows the asked action");
    let number = meter.call(|| {
        black_box(floor.single(black_box(&ask.action), black_box(&ask.resource)));
    });
    for workload in ["a", "b", "c"] {
        figures.note(M::NAMES.0, "floor", workload, number);
    }
    let schedule = fleet.schedule(meter.round());
    assert_eq!(floor.many(&fleet, &schedule), schedule.turns.len(), "the floor finds all");
    let number = meter.call(|| {
        black_box(floor.many(&fleet, black_box(&schedule)));
    });
    figures.note(M::NAMES.0, "floor", "d", number / schedule.turns.len() as f64);
}

fn engine<E: Engine>(meter: &impl Meter, figures: &mut Figures) {
    for workload in [workloads::a(), workloads::b(), workloads::c()] {
        single::<E, _>(meter, figures, &workload);
    }
    match E::FLEET {
        Err(reason) => figures.lack(E::NAME, "d", reason),
        Ok(principals) => {
            many::<E, _>(meter, figures, &Fleet::new(principals, principals), "d");
        }
    }
}

fn single<E: Engine, M: Meter>(meter: &M, figures: &mut Figures, workload: &Single) {
    let asks = std::slice::from_ref(&workload.ask);
    let source = match E::render(&workload.policies, asks) {
        Ok(source) => source,
        Err(reason) => return figures.lack(E::NAME, workload.name, &reason),
    };
    let world = E::world(&patterns(workload.policies.iter()), asks);
    let mut loaded = E::load(&source);
    let request = E::request(&workload.ask);
    if E::allowed(&world, &mut loaded, &request) != workload.allowed {
        return figures.lack(E::NAME, workload.name, "its decision is not the expected one");
    }
    let number = meter.call(|| {
        black_box(E::allowed(&world, &mut loaded, black_box(&request)));
    });
    figures.note(M::NAMES.0, E::NAME, workload.name, number);
    let statements = workload.statements();
    let number = meter.building(2_000 / statements.max(1), || E::load(&source));
    let divisor = if M::NAMES.1 == "load" { statements } else { workload.policies.len() };
    figures.note(M::NAMES.1, E::NAME, workload.name, number / divisor as f64);
}

fn many<E: Engine, M: Meter>(meter: &M, figures: &mut Figures, fleet: &Fleet, workload: &str) {
    let sources = (0..fleet.distinct).map(|number| {
        let policies = fleet.policies(number);
        E::render(&policies, &fleet.asks)
    });
    let sources: Result<Vec<E::Source>, String> = sources.collect();
    let sources = match sources {
        Ok(sources) => sources,
        Err(reason) => return figures.lack(E::NAME, workload, &reason),
    };
    let (loaded, cost) = meter.once(|| sources.iter().map(E::load).collect::<Vec<E::Loaded>>());
    drop(sources);
    let first = fleet.policies(0);
    let parts = if M::NAMES.1 == "load" { count(&first) } else { first.len() };
    let divisor = (parts * fleet.distinct) as f64;
    let mut many: Many<E> = Many::new(fleet, loaded);
    let schedule = fleet.schedule(meter.round());
    let length = schedule.turns.len();
    let wrong = many.run(&schedule, length);
    if wrong > 0 {
        let reason = format!("{wrong} of {length} decisions are not the expected ones");
        return figures.lack(E::NAME, workload, &reason);
    }
    let number = meter.call(|| {
        black_box(many.run(black_box(&schedule), length));
    });
    figures.note(M::NAMES.0, E::NAME, workload, number / length as f64);
    figures.note(M::NAMES.1, E::NAME, workload, cost / divisor);
}

/// What only linkrole does: layers, the tempting pattern, reasons, and numbers of principals.
fn own<M: Meter>(meter: &M, figures: &mut Figures) {
    let (name, metric) = (Linkrole::NAME, M::NAMES.0);
    let b = workloads::b();
    let layered = Layered::new(&b.policies, &b.ask);
    assert!(layered.allowed(), "workload (e) is allowed");
    let number = meter.call(|| {
        black_box(black_box(&layered).allowed());
    });
    figures.note(metric, name, "e", number);
    for (workload, size) in [("f 1 KiB", 1_024), ("f 2 KiB", 2_048)] {
        let mut tempting = Tempting::new(size);
        assert!(!tempting.allowed(), "workload (f) is denied");
        let number = meter.call(|| {
            black_box(black_box(&mut tempting).allowed());
        });
        figures.note(metric, name, workload, number);
    }
    for workload in [workloads::a(), workloads::b(), workloads::c()] {
        let set = Linkrole::load(&Linkrole::render(&workload.policies, &[]).unwrap_or_default());
        let request = Linkrole::request(&workload.ask);
        assert!(with_reason(&set, &request).is_some(), "a statement decided");
        let number = meter.call(|| {
            black_box(with_reason(&set, black_box(&request)));
        });
        figures.note(metric, "linkrole with reason", workload.name, number);
        assert!(with_all_reasons(&set, &request) > 0, "a statement matched");
        let number = meter.call(|| {
            black_box(with_all_reasons(&set, black_box(&request)));
        });
        figures.note(metric, "linkrole with all reasons", workload.name, number);
    }
    for (at, (principals, distinct)) in SCALE.into_iter().enumerate() {
        let fleet = Fleet::new(principals, distinct);
        let kind = if at < SCALE.len() / 2 { "equal" } else { "different" };
        let workload = format!("{principals} {kind}");
        many::<Linkrole, M>(meter, figures, &fleet, &workload);
        let texts: Vec<String> = (0..principals).map(|number| fleet.principal(number)).collect();
        let (_, cost) = meter.once(|| Names::<false>::new(texts.iter().map(String::as_str)));
        figures.note(M::NAMES.1, "table of names", &workload, cost / principals as f64);
    }
}
