//! Whether one pattern, or one statement, covers all that another does.
//!
//! The answer for patterns is exact: both become automata, and every pair of states that some text can reach
//! is looked at. Where that would be too many, or a variable makes the answer depend on a request, it is no.

use std::collections::{BTreeSet, HashSet};

use crate::document::{Actions, PolicyKind, PrincipalEntry, Principals, Resources, Statement};
use crate::pattern::{Part, Pattern, Template};

/// The most pairs of states that are looked at; beyond, the answer is that nothing is known.
const PAIRS_MAX: usize = 20_000;

/// One step of an automaton.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// This character.
    Char(char),
    /// Any character, or any but a colon.
    One { colon: bool },
    /// Any run of such characters, also none.
    Star { colon: bool },
}

/// A pattern as a row of steps; the state after the last one accepts.
struct Automaton {
    steps: Vec<Step>,
    /// Whether a colon and any text may follow.
    open: bool,
}

impl Automaton {
    fn states(&self) -> usize {
        self.steps.len() + 1 + usize::from(self.open)
    }

    fn accepts(&self, state: usize) -> bool {
        state >= self.steps.len()
    }

    /// Adds a state and those that are reached from it without a character.
    fn enter(&self, state: usize, set: &mut BTreeSet<usize>) {
        set.insert(state);
        let mut state = state;
        while let Some(Step::Star { .. }) = self.steps.get(state) {
            state += 1;
            set.insert(state);
        }
    }

    fn start(&self) -> BTreeSet<usize> {
        let mut set = BTreeSet::new();
        self.enter(0, &mut set);
        set
    }

    /// The states that a character leads to from a state.
    fn follow(&self, state: usize, c: char, set: &mut BTreeSet<usize>) {
        let fits = |colon: bool| colon || c != ':';
        match self.steps.get(state) {
            Some(Step::Char(wanted)) if *wanted == c => self.enter(state + 1, set),
            Some(Step::One { colon }) if fits(*colon) => self.enter(state + 1, set),
            Some(Step::Star { colon }) if fits(*colon) => self.enter(state, set),
            Some(_) => {}
            None if self.open && (state > self.steps.len() || c == ':') => {
                set.insert(self.steps.len() + 1);
            }
            None => {}
        }
    }

    fn characters(&self) -> impl Iterator<Item = char> {
        self.steps.iter().filter_map(|step| match step {
            Step::Char(c) => Some(*c),
            Step::One { .. } | Step::Star { .. } => None,
        })
    }
}

/// The characters that make a difference to two automata, and one that stands for all others.
fn alphabet(left: &Automaton, right: &Automaton) -> Vec<char> {
    let mut all: BTreeSet<char> = left.characters().chain(right.characters()).collect();
    all.insert(':');
    let other = ('\u{e000}'..).find(|c| !all.contains(c));
    all.extend(other);
    all.into_iter().collect()
}

/// Whether `over` accepts every text that `under` accepts; `None` if there are too many states.
fn includes(over: &Automaton, under: &Automaton) -> Option<bool> {
    let alphabet = alphabet(over, under);
    let mut seen: HashSet<(usize, BTreeSet<usize>)> = HashSet::new();
    let start = over.start();
    let mut open: Vec<(usize, BTreeSet<usize>)> =
        under.start().into_iter().map(|state| (state, start.clone())).collect();
    while let Some((state, set)) = open.pop() {
        if under.accepts(state) && !set.iter().any(|s| over.accepts(*s)) {
            return Some(false);
        }
        if !seen.insert((state, set.clone())) {
            continue;
        }
        if seen.len() > PAIRS_MAX {
            return None;
        }
        for c in &alphabet {
            let mut next = BTreeSet::new();
            under.follow(state, *c, &mut next);
            if next.is_empty() {
                continue;
            }
            let mut after = BTreeSet::new();
            for s in &set {
                over.follow(*s, *c, &mut after);
            }
            open.extend(next.into_iter().map(|state| (state, after.clone())));
        }
    }
    Some(true)
}

/// Whether some text is accepted by both.
fn meets(left: &Automaton, right: &Automaton) -> bool {
    let alphabet = alphabet(left, right);
    let mut seen: HashSet<(usize, usize)> = HashSet::with_capacity(left.states());
    let pairs = |from: BTreeSet<usize>, to: &BTreeSet<usize>| {
        let to = to.clone();
        from.into_iter().flat_map(move |a| to.clone().into_iter().map(move |b| (a, b)))
    };
    let mut open: Vec<(usize, usize)> = pairs(left.start(), &right.start()).collect();
    while let Some((a, b)) = open.pop() {
        if left.accepts(a) && right.accepts(b) {
            return true;
        }
        if !seen.insert((a, b)) {
            continue;
        }
        for c in &alphabet {
            let (mut next_left, mut next_right) = (BTreeSet::new(), BTreeSet::new());
            left.follow(a, *c, &mut next_left);
            right.follow(b, *c, &mut next_right);
            open.extend(pairs(next_left, &next_right));
        }
    }
    false
}

fn plain(text: &str) -> Automaton {
    let steps = text.chars().map(|c| match c {
        '*' => Step::Star { colon: true },
        '?' => Step::One { colon: true },
        c => Step::Char(c),
    });
    Automaton { steps: steps.collect(), open: false }
}

/// Whether every text that fits the pattern `under` fits `over`, case counting.
pub fn covers(over: &str, under: &str) -> bool {
    includes(&plain(over), &plain(under)) == Some(true)
}

/// Whether every action that fits `under` fits `over`.
pub fn covers_action(over: &Pattern, under: &Pattern) -> bool {
    let (over, under) = (over.text().to_ascii_lowercase(), under.text().to_ascii_lowercase());
    if over == "*" || over == under {
        return true;
    }
    let under = if under == "*" { "*:*".to_owned() } else { under };
    match (over.split_once(':'), under.split_once(':')) {
        // A pattern without a colon fits nothing.
        (_, None) => true,
        (None, Some(_)) => false,
        (Some((service, name)), Some((under_service, under_name))) => {
            covers(service, under_service) && covers(name, under_name)
        }
    }
}

/// Whether policies of a kind take an incomplete resource name for a longer one.
fn fills(kind: PolicyKind) -> bool {
    matches!(
        kind,
        PolicyKind::Identity | PolicyKind::Managed | PolicyKind::Boundary | PolicyKind::Session
    )
}

/// A resource pattern, a variable standing for any text that may stand in its place.
fn resource(template: &Template, kind: PolicyKind) -> Automaton {
    if template.is_everything() {
        return Automaton { steps: vec![Step::Star { colon: true }], open: false };
    }
    let segments: Vec<&[Part]> = template.parts().splitn(6, |part| *part == Part::Colon).collect();
    let complete = segments.len() == 6;
    let mut steps = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        if number > 0 {
            steps.push(Step::Char(':'));
        }
        let free = number == 5;
        for (at, part) in segment.iter().enumerate() {
            let last = at + 1 == segment.len();
            match part {
                Part::Text(text) => steps.extend(text.chars().map(Step::Char)),
                Part::Colon => steps.push(Step::Char(':')),
                Part::One => steps.push(Step::One { colon: free }),
                // A star that ends a part may run over colons.
                Part::Star => steps.push(Step::Star { colon: free || last }),
                Part::Variable(_) => steps.push(Step::Star { colon: free }),
            }
        }
    }
    Automaton { steps, open: !complete && fills(kind) }
}

fn has_variables(template: &Template) -> bool {
    template.parts().iter().any(|part| matches!(part, Part::Variable(_)))
}

/// Whether every resource that fits `under` fits `over`, in a policy of this kind.
pub fn covers_resource(over: &Template, under: &Template, kind: PolicyKind) -> bool {
    if over == under || over.is_everything() {
        return true;
    }
    !has_variables(over) && includes(&resource(over, kind), &resource(under, kind)) == Some(true)
}

/// The names of a type of resources: no wildcard of the first five parts runs over a colon.
fn names(type_name: &str) -> Automaton {
    let mut colons = 0;
    let mut steps = Vec::new();
    for c in type_name.chars() {
        let free = colons >= 5;
        colons += usize::from(c == ':');
        steps.push(match c {
            '*' => Step::Star { colon: free },
            '?' => Step::One { colon: free },
            c => Step::Char(c),
        });
    }
    Automaton { steps, open: false }
}

/// Whether some resource fits a pattern of a policy of this kind and belongs to a type of resources.
///
/// The type is named as `arn:*:iam::*:role/*` is: part by part, so that `*` stands for one part.
pub fn meets_resource(template: &Template, type_name: &str, kind: PolicyKind) -> bool {
    meets(&resource(template, kind), &names(type_name))
}

/// Whether a statement matches every request that another one matches; effects are not compared.
pub(crate) fn covers_statement(over: &Statement, under: &Statement, kind: PolicyKind) -> bool {
    let same_effect = over.effect == under.effect;
    covers_principals(&over.principals, &under.principals, same_effect)
        && covers_actions(&over.actions, &under.actions)
        && covers_resources(&over.resources, &under.resources, kind, same_effect)
        && over.conditions.iter().all(|c| same_effect && under.conditions.contains(c))
}

fn covers_principals(over: &Principals, under: &Principals, same_effect: bool) -> bool {
    let everyone = |list: &[PrincipalEntry]| list.contains(&PrincipalEntry::Everyone);
    match (over, under) {
        (Principals::Attached, Principals::Attached) => true,
        (Principals::Only(over), _) if everyone(over) => true,
        (Principals::Only(over), Principals::Only(under)) => {
            under.iter().all(|entry| over.iter().any(|o| same_entry(o, entry)))
        }
        // What "all but" comes to depends on the effect.
        (Principals::AllBut(over), Principals::AllBut(under)) => {
            let same = over.iter().zip(under).all(|(o, u)| same_entry(o, u));
            same_effect && over.len() == under.len() && same
        }
        _ => false,
    }
}

/// Whether two entries name the same; where they stand in the text does not matter.
fn same_entry(left: &PrincipalEntry, right: &PrincipalEntry) -> bool {
    match (left, right) {
        (PrincipalEntry::Aws { text: left, .. }, PrincipalEntry::Aws { text: right, .. }) => {
            left == right
        }
        _ => left == right,
    }
}

fn covers_actions(over: &Actions, under: &Actions) -> bool {
    let each = |under: &[Pattern], over: &[Pattern]| {
        under.iter().all(|u| over.iter().any(|o| covers_action(o, u)))
    };
    match (over, under) {
        (Actions::Only(over), Actions::Only(under)) => each(under, over),
        (Actions::Only(over), Actions::AllBut(_)) => over.iter().any(|p| p.text() == "*"),
        (Actions::AllBut(over), Actions::AllBut(under)) => each(over, under),
        (Actions::AllBut(over), Actions::Only(_)) => over.is_empty(),
    }
}

fn covers_resources(
    over: &Resources,
    under: &Resources,
    kind: PolicyKind,
    same_effect: bool,
) -> bool {
    match (over, under) {
        (Resources::Attached, _) => true,
        (Resources::Only(over), _) if over.iter().any(Template::is_everything) => true,
        (Resources::Only(over), Resources::Only(under)) => {
            under.iter().all(|u| over.iter().any(|o| covers_resource(o, u, kind)))
        }
        // Names that cannot be read fail to the safe side of each effect, so only the same list is sure.
        (Resources::AllBut(_), Resources::AllBut(_)) => same_effect && over == under,
        _ => false,
    }
}
