//! The index of a large set: for an action that was asked for, the statements that fit it, by their resources.
//!
//! Few actions are asked of a set again and again. What a set says of one of them is worked out when it is first
//! asked for, and kept: a tree over the literal texts of resources for denies, another one for allows. Names are
//! compared, and a hash only tells where to look, so no choice of names makes a decision wrong; too many of them,
//! or too many statements for each, and the set is looked through instead.

use core::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::asked::{Asked, Subject};
use super::literal::Shape;
use super::tree::Trees;

/// How many places for actions there are.
const PLACES: usize = 128;

/// How many places next to each other an action may be in.
const NEAR: usize = 4;

/// Of so many places in the tree of allows the deepest is looked at first.
const DEEP: usize = 16;

/// The actions of a set that were asked for.
#[derive(Debug)]
pub(super) struct Index {
    places: [OnceLock<Box<Plan>>; PLACES],
    /// How many rules may still be kept; at most one plan goes beyond it.
    room: AtomicUsize,
}

impl Index {
    /// An index that keeps about so many rules, whatever is asked for.
    pub(super) fn new(room: usize) -> Index {
        Index { places: [const { OnceLock::new() }; PLACES], room: AtomicUsize::new(room) }
    }

    /// The plan for the asked action, made if it is asked for the first time; `None` if there is no room for it.
    #[inline]
    pub(super) fn plan(&self, asked: &Asked<'_>, draft: impl Fn() -> Vec<Draft>) -> Option<&Plan> {
        let start = asked.action.hash() as usize;
        for near in 0..NEAR {
            let place = self.places.get((start + near) % PLACES)?;
            let plan = match place.get() {
                Some(plan) => plan,
                None if self.room.load(Ordering::Relaxed) == 0 => return None,
                None => place.get_or_init(|| {
                    let plan = Plan::new(asked.action, draft());
                    let less = |room: usize| Some(room.saturating_sub(plan.rules.len() + 1));
                    // The closure always has an answer; what stood there before does not matter.
                    let _ = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                    Box::new(plan)
                }),
            };
            if plan.is_for(asked.action) {
                return Some(plan);
            }
        }
        None
    }
}

/// One resource of a statement whose actions fit.
#[derive(Debug)]
pub(super) struct Draft {
    /// What every fitting resource begins with.
    pub(super) prefix: Vec<u8>,
    pub(super) denies: bool,
    pub(super) rule: Rule,
}

/// A statement with one of its resources, found where the asked name begins with the resource's literal text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) statement: u32,
    /// What is left to be tested of the resource.
    pub(super) rest: Rest,
    /// How a fitting resource ends.
    pub(super) ending: Ending,
}

/// What is left to be tested of a pattern whose literal text fits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// That the name is of this length.
    Length(u32),
    /// The literal of this number.
    Literal(u32),
}

impl Rest {
    pub(super) fn new(shape: Shape, length: usize, literal: usize) -> Rest {
        match shape {
            Shape::Prefix => Rest::Nothing,
            Shape::Exact => Rest::Length(u32::try_from(length).unwrap_or(u32::MAX)),
            Shape::Test => Rest::Literal(u32::try_from(literal).unwrap_or(u32::MAX)),
        }
    }
}

/// Up to four bytes that a text must end with, in the upper bytes; what tells most rules of a node apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    bytes: u32,
    mask: u32,
}

impl Ending {
    pub(super) fn new(text: &[u8]) -> Ending {
        let length = text.len().min(4);
        let mask = if length == 0 { 0 } else { u32::MAX << (32 - 8 * length) };
        Ending { bytes: Subject::<false>::new(text).end() & mask, mask }
    }

    #[inline]
    fn fits(self, end: u32) -> bool {
        end & self.mask == self.bytes
    }
}

/// What a set says of one action.
#[derive(Debug)]
pub(super) struct Plan {
    /// The action in small letters.
    action: Box<[u8]>,
    trees: Trees,
    denies: Option<u32>,
    allows: Option<u32>,
    rules: Box<[Rule]>,
}

impl Plan {
    fn new(action: Subject<'_, true>, mut drafts: Vec<Draft>) -> Plan {
        drafts.sort_by(|a, b| {
            let other = (!b.denies, &b.prefix, b.rule.statement);
            (!a.denies, &a.prefix, a.rule.statement).cmp(&other)
        });
        let denies = drafts.partition_point(|draft| draft.denies);
        let prefixes: Vec<&[u8]> = drafts.iter().map(|draft| draft.prefix.as_slice()).collect();
        let mut trees = Trees::default();
        let mut tree = |names: Option<&[&[u8]]>, base: usize| {
            names.filter(|names| !names.is_empty()).map(|names| trees.add(names, base))
        };
        let (denies, allows) =
            (tree(prefixes.get(..denies), 0), tree(prefixes.get(denies..), denies));
        trees.shrink();
        let rules = drafts.iter().map(|draft| draft.rule).collect();
        let action = action.bytes().to_ascii_lowercase().into();
        Plan { action, trees, denies, allows, rules }
    }

    #[inline]
    fn is_for(&self, action: Subject<'_, true>) -> bool {
        action.is(&self.action)
    }

    /// Shows every deny that may fit, until `seen` says enough.
    #[inline]
    pub(super) fn denies(&self, asked: &Asked<'_>, seen: &mut impl FnMut(&Rule) -> bool) {
        let Some(root) = self.denies else { return };
        let end = asked.resource.end();
        self.trees.walk(root, asked.resource.bytes(), &mut |range| self.show(range, end, seen));
    }

    /// Shows every allow that may fit, until `seen` says enough; those that name most of the resource first.
    #[inline]
    pub(super) fn allows(&self, asked: &Asked<'_>, seen: &mut impl FnMut(&Rule) -> bool) {
        let Some(root) = self.allows else { return };
        let end = asked.resource.end();
        let mut passed = [(0, 0); DEEP];
        let mut count = 0;
        let mut enough = false;
        self.trees.walk(root, asked.resource.bytes(), &mut |range| match passed.get_mut(count) {
            Some(place) => {
                *place = (range.start, range.end);
                count += 1;
                false
            }
            None => {
                enough = self.show(range, end, seen);
                enough
            }
        });
        let passed = passed.iter().take(count).rev();
        let _ = enough || passed.into_iter().any(|(from, to)| self.show(*from..*to, end, seen));
    }

    #[inline]
    fn show(&self, range: Range<usize>, end: u32, seen: &mut impl FnMut(&Rule) -> bool) -> bool {
        let rules = self.rules.get(range).unwrap_or_default();
        rules.iter().any(|rule| rule.ending.fits(end) && seen(rule))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::name::Dialect;
    use crate::request::{Context, Principal, PrincipalKind, Request};

    fn request(action: &str, resource: &str) -> Request {
        Request {
            dialect: Dialect::Aws,
            action: action.to_owned(),
            resource: resource.to_owned(),
            wildcard_only: false,
            resource_account: None,
            principal: Principal::new(PrincipalKind::User),
            context: Context::new(),
        }
    }

    fn draft(prefix: &str, denies: bool, statement: u32, ending: &str) -> Draft {
        let ending = Ending::new(ending.as_bytes());
        let rule = Rule { statement, rest: Rest::Nothing, ending };
        Draft { prefix: prefix.as_bytes().to_vec(), denies, rule }
    }

    /// Whether an action has a plan, and whether that was made for this question.
    fn ask(index: &Index, action: &str, rules: u32) -> (bool, bool) {
        let request = request(action, "r");
        let made = Cell::new(false);
        let plan = index.plan(&Asked::new(&request, false), || {
            made.set(true);
            (0..rules).map(|number| draft("r", false, number, "")).collect()
        });
        let is_its_own = plan.is_none_or(|plan| *plan.action == *action.to_lowercase().as_bytes());
        assert!(is_its_own, "{action}");
        (plan.is_some(), made.get())
    }

    #[test]
    fn a_plan_is_made_once_for_every_spelling_until_there_is_no_room() {
        let index = Index::new(7);
        assert_eq!(ask(&index, "s3:GetObject", 2), (true, true));
        assert_eq!(ask(&index, "S3:getobject", 2), (true, false));
        // Each plan counts as one more than its rules.
        assert_eq!(ask(&index, "s3:PutObject", 3), (true, true));
        assert_eq!(ask(&index, "s3:ListBucket", 0), (false, false));
        assert_eq!(ask(&index, "s3:GetObject", 2), (true, false));
        let wide = Index::new(5);
        assert_eq!(ask(&wide, "s3:GetObject", 90), (true, true));
        assert_eq!(ask(&wide, "s3:PutObject", 0), (false, false));
    }

    #[test]
    fn atk_b09_actions_that_share_a_hash_have_plans_of_their_own_or_none() {
        let index = Index::new(1_000);
        // The hash is of both ends and the length.
        let actions: Vec<String> = (0..9).map(|n| format!("service:{n}rest-of-it")).collect();
        let given: Vec<bool> = actions.iter().map(|action| ask(&index, action, 1).0).collect();
        assert_eq!(given, [true, true, true, true, false, false, false, false, false]);
        for (action, given) in actions.iter().zip(given) {
            assert_eq!(ask(&index, action, 1), (given, false), "{action}");
        }
    }

    #[test]
    fn rules_are_found_by_what_the_name_begins_and_ends_with_the_deepest_allow_first() {
        let name = "abcdefghijklmnopqrstuvwxyz";
        let request = request("s:A", name);
        let asked = Asked::new(&request, false);
        let mut drafts = Vec::new();
        for length in 0..=20u32 {
            let prefix = name.get(..length as usize).unwrap_or_default();
            drafts.push(draft(prefix, true, length, ""));
            drafts.push(draft(prefix, false, 100 + length, ""));
        }
        drafts.push(draft("abd", true, 50, ""));
        drafts.push(draft("abc", true, 51, "xyz"));
        drafts.push(draft("abc", false, 52, "xya"));
        let plan = Plan::new(asked.action, drafts);
        let seen = |denies: bool, enough: usize| {
            let mut seen = Vec::new();
            let note = &mut |rule: &Rule| {
                seen.push(rule.statement);
                seen.len() == enough
            };
            if denies {
                plan.denies(&asked, note)
            } else {
                plan.allows(&asked, note)
            }
            seen
        };
        let denies: Vec<u32> = (0..=3).chain([51]).chain(4..=20).collect();
        assert_eq!(seen(true, 0), denies);
        assert_eq!(seen(true, 5), [0, 1, 2, 3, 51]);
        // What is deeper than the places that are kept is looked at on the way.
        let allows: Vec<u32> = (116..=120).chain((100..=115).rev()).collect();
        assert_eq!(seen(false, 0), allows);
        assert_eq!(seen(false, 3), [116, 117, 118]);
        assert_eq!(seen(false, 6), [116, 117, 118, 119, 120, 115]);
    }
}
