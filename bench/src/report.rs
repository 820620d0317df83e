//! The report: tables of figures, ratios between them, and whether the targets are met.
//!
//! Ratios are taken between figures of the same run only. Nothing here fails: targets are reported.

use std::fmt::Write;

use crate::run::{Figures, SCALE};

/// The engines with a column of their own, in order.
const ENGINES: [&str; 6] =
    ["linkrole", "cedar-policy 4.14", "regorus 0.14", "casbin 2.20", "iam-rs 0.8", "wami 0.18"];

/// Those of them that read the vendor's JSON.
const JSON: [&str; 2] = ["iam-rs 0.8", "wami 0.18"];

const OWN: &str = ENGINES[0];
const CEDAR: &str = ENGINES[1];
const WORKLOADS: [&str; 4] = ["a", "b", "c", "d"];

/// Policies and statements of a principal in workload (d).
const POLICIES: f64 = 5.0;

/// The report as Markdown.
pub fn markdown(figures: &Figures) -> String {
    let mut text = String::new();
    text.push_str("### One decision\n\nProcessor time; in brackets the allocations.\n\n");
    decisions(&mut text, figures);
    text.push_str("\n### Ratios\n\n");
    ratios(&mut text, figures);
    text.push_str("\n### Targets\n\n");
    targets(&mut text, figures);
    text.push_str(
        "\n### Loading\n\nFrom text, for each statement; and living bytes for each policy.\n\n",
    );
    loading(&mut text, figures);
    text.push_str("\n### linkrole: layers, tempting patterns, reasons\n\n");
    own(&mut text, figures);
    text.push_str("\n### linkrole: numbers of principals\n\n");
    scale(&mut text, figures);
    if !figures.reasons.is_empty() {
        text.push_str("\n### Gaps\n\n");
        for (place, reason) in &figures.reasons {
            let (engine, workload) = place.split_once('/').unwrap_or((place, ""));
            line(&mut text, &format!("- {engine}, ({workload}): {reason}."));
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn row(text: &mut String, cells: &[String]) {
    line(text, &format!("| {} |", cells.join(" | ")));
}

fn head(text: &mut String, cells: &[&str]) {
    row(text, &cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<String>>());
    row(text, &vec!["---".to_owned(); cells.len()]);
}

/// A time in the unit in which it is easiest to read.
fn time(nanoseconds: Option<f64>) -> String {
    let Some(n) = nanoseconds else { return "-".to_owned() };
    let (number, unit) = match n {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "us"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{} {unit}", three(number))
}

/// About three digits, with separators.
fn three(number: f64) -> String {
    if number < 10.0 {
        return format!("{number:.2}");
    }
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(number: Option<f64>) -> String {
    match number {
        Some(n) if n.fract() == 0.0 && n < 1e3 => format!("{n:.0}"),
        Some(n) => three(n),
        None => "-".to_owned(),
    }
}

fn ratio(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    Some(over? / under?)
}

fn decisions(text: &mut String, figures: &Figures) {
    head(text, &["engine", "a", "b", "c", "d"]);
    let floor = WORKLOADS.map(|w| time(figures.get("ns", "floor", w)));
    row(text, &[&["floor".to_owned()], floor.as_slice()].concat());
    for engine in ENGINES {
        let cell = |w: &str| match figures.get("ns", engine, w) {
            None => "-".to_owned(),
            ns => format!("{} ({})", time(ns), number(figures.get("allocations", engine, w))),
        };
        row(text, &[&[engine.to_owned()], WORKLOADS.map(cell).as_slice()].concat());
    }
}

fn ratios(text: &mut String, figures: &Figures) {
    head(text, &["linkrole against", "a", "b", "c", "d"]);
    let own = |w: &str| figures.get("ns", OWN, w);
    let slower = WORKLOADS.map(|w| match ratio(own(w), figures.get("ns", "floor", w)) {
        Some(times) => format!("{} times as long", three(times)),
        None => "-".to_owned(),
    });
    row(text, &[&["the floor".to_owned()], slower.as_slice()].concat());
    for engine in &ENGINES[1..] {
        let faster = WORKLOADS.map(|w| match ratio(figures.get("ns", engine, w), own(w)) {
            Some(times) => format!("{} times as fast", three(times)),
            None => "-".to_owned(),
        });
        row(text, &[&[(*engine).to_owned()], faster.as_slice()].concat());
    }
}

/// The fastest time of the rivals that read the vendor's JSON.
fn fastest_reader(figures: &Figures, workload: &str) -> Option<f64> {
    JSON.iter().filter_map(|engine| figures.get("ns", engine, workload)).reduce(f64::min)
}

fn targets(text: &mut String, figures: &Figures) {
    head(text, &["target", "wanted", "measured", "met"]);
    let mut target = |name: String, wanted: f64, most: bool, measured: Option<f64>| {
        let sign = if most { "at most" } else { "at least" };
        let met = match measured {
            Some(m) if (m <= wanted) == most || m == wanted => "yes",
            Some(_) => "**no**",
            None => "-",
        };
        row(
            text,
            &[name, format!("{sign} {}", number(Some(wanted))), number(measured), met.into()],
        );
    };
    let ns = |engine: &str, w: &str| figures.get("ns", engine, w);
    let bounds = [3.0, 3.5, 5.5, 6.0].into_iter().zip([50.0, 1_000.0, 10_000.0, 80.0]);
    let bounds = bounds.zip([20.0, 200.0, 1_500.0, 30.0]);
    for (w, ((floor, cedar), reader)) in WORKLOADS.into_iter().zip(bounds) {
        let own = ns(OWN, w);
        target(format!("({w}) over the floor"), floor, true, ratio(own, ns("floor", w)));
        target(format!("({w}) faster than cedar-policy"), cedar, false, ratio(ns(CEDAR, w), own));
        let measured = ratio(fastest_reader(figures, w), own);
        target(
            format!("({w}) faster than the fastest reader of the same JSON"),
            reader,
            false,
            measured,
        );
    }
    for w in WORKLOADS {
        let measured = figures.get("allocations", OWN, w);
        target(format!("({w}) allocations of a decision"), 0.0, true, measured);
    }
    target("(c) over (a)".to_owned(), 2.0, true, ratio(ns(OWN, "c"), ns(OWN, "a")));
    for w in ["a", "b", "c"] {
        let measured = ratio(ns("linkrole with reason", w), ns(OWN, w));
        target(format!("({w}) with the reason over without"), 1.3, true, measured);
    }
    for w in WORKLOADS {
        let measured = figures.get("load", OWN, w).map(|ns| ns / 1e3);
        target(format!("({w}) loading a statement, us"), 1.0, true, measured);
    }
    let layers = ns(OWN, "e");
    target("(e) all layers, ns".to_owned(), 300.0, true, layers);
    target(
        "(f) twice the size over once".to_owned(),
        2.5,
        true,
        ratio(ns(OWN, "f 2 KiB"), ns(OWN, "f 1 KiB")),
    );
}

fn loading(text: &mut String, figures: &Figures) {
    head(text, &["engine", "a", "b", "c", "d"]);
    for engine in ENGINES {
        let cell = |w: &str| match figures.get("load", engine, w) {
            None => "-".to_owned(),
            load => format!("{}; {} B", time(load), number(figures.get("bytes", engine, w))),
        };
        row(text, &[&[engine.to_owned()], WORKLOADS.map(cell).as_slice()].concat());
    }
}

fn own(text: &mut String, figures: &Figures) {
    head(text, &["workload", "time", "allocations"]);
    let rows = [
        (
            OWN,
            "e",
            "(e) identity policies of (b), boundary, session policy, 3 levels of SCP, bucket policy",
        ),
        (OWN, "f 1 KiB", "(f) `a*a*…b` against `aaa…`, 1 KiB each"),
        (OWN, "f 2 KiB", "(f) the same, 2 KiB each"),
        ("linkrole with reason", "a", "(a) with the statement that decided"),
        ("linkrole with reason", "b", "(b) with the statement that decided"),
        ("linkrole with reason", "c", "(c) with the statement that decided"),
        ("linkrole with all reasons", "a", "(a) with every statement that matched"),
        ("linkrole with all reasons", "b", "(b) with every statement that matched"),
        ("linkrole with all reasons", "c", "(c) with every statement that matched"),
    ];
    for (engine, workload, about) in rows {
        let allocations = number(figures.get("allocations", engine, workload));
        row(text, &[about.to_owned(), time(figures.get("ns", engine, workload)), allocations]);
    }
}

fn scale(text: &mut String, figures: &Figures) {
    head(
        text,
        &[
            "principals",
            "policies",
            "one decision",
            "loading all policies",
            "bytes of policies each",
            "bytes of the table of names each",
        ],
    );
    for (at, (principals, distinct)) in SCALE.into_iter().enumerate() {
        let kind = if at < SCALE.len() / 2 { "equal" } else { "different" };
        let workload = format!("{principals} {kind}");
        let share = distinct as f64 / principals as f64;
        // Three statements make a policy.
        let statements = POLICIES * 3.0 * distinct as f64;
        let load = figures.get("load", OWN, &workload).map(|ns| ns * statements);
        let bytes = figures.get("bytes", OWN, &workload).map(|bytes| bytes * POLICIES * share);
        let table = figures.get("bytes", "table of names", &workload);
        row(
            text,
            &[
                number(Some(principals as f64)),
                kind.to_owned(),
                time(figures.get("ns", OWN, &workload)),
                time(load),
                number(bytes),
                number(table),
            ],
        );
    }
    if let Some((most, _)) = SCALE.iter().filter(|(p, d)| p == d).max() {
        let _ = write!(
            text,
            "\nA million principals with different policies are not built; the bytes of each are those of {} principals.\n",
            three(*most as f64)
        );
    }
}
