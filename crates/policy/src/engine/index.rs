//! The index of a large set: a tree over the literal texts of actions, and for each of those one of resources.
//!
//! The asked action's name leads past every rule whose action it may be, the resource's name from there past
//! every rule whose resource it may be, and either past few others. Names are compared, never hashed, so no
//! choice of names makes an index slow.

use core::ops::Range;

use super::asked::{Asked, Subject};
use super::literal::Shape;
use super::pattern::{ActionTest, ResourceTest};
use super::set::Draft;
use super::tree::Trees;

/// One action of a statement with one of its resources.
///
/// It is found where the names asked for begin with the literal texts of both, so that only what is more than
/// these is left to be tested.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) statement: u32,
    pub(super) action: Rest,
    pub(super) resource: Rest,
    /// How a fitting action ends.
    action_end: Ending,
    /// How a fitting resource ends.
    resource_end: Ending,
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
    /// Any of the statement's literals.
    All,
}

impl Rest {
    fn new(shape: Shape, text: &str, literal: u32) -> Rest {
        match shape {
            Shape::Prefix => Rest::Nothing,
            Shape::Exact => Rest::Length(u32::try_from(text.len()).unwrap_or(u32::MAX)),
            Shape::Test => Rest::Literal(literal),
        }
    }
}

/// Up to four bytes that a text must end with, in the upper bytes; what tells most rules of a node apart.
#[derive(Clone, Copy, Debug, Default)]
struct Ending {
    bytes: u32,
    mask: u32,
}

impl Ending {
    fn new(text: &str) -> Ending {
        let length = text.len().min(4);
        let mask = if length == 0 { 0 } else { u32::MAX << (32 - 8 * length) };
        let end = Subject::<false>::new(text.as_bytes()).end();
        Ending { bytes: end & mask, mask }
    }

    #[inline]
    fn fits(self, end: u32) -> bool {
        end & self.mask == self.bytes
    }
}

/// The index over the statements of a set.
#[derive(Debug)]
pub(super) struct Index {
    trees: Trees,
    actions: Option<u32>,
    /// For each different literal text of actions the tree of the resources.
    resources: Box<[u32]>,
    rules: Box<[Rule]>,
}

/// A rule with the literal texts it is found by.
type Found<'a> = (&'a [u8], &'a [u8], Rule);

impl Index {
    pub(super) fn new(statements: &[Draft]) -> Index {
        let mut found: Vec<Found<'_>> = Vec::new();
        for (statement, draft) in statements.iter().enumerate() {
            rules(u32::try_from(statement).unwrap_or(u32::MAX), draft, &mut found);
        }
        // Denies have the lower numbers, so that within a node they come first.
        found.sort_by(|a, b| (a.0, a.1, a.2.statement).cmp(&(b.0, b.1, b.2.statement)));
        let mut trees = Trees::default();
        let (mut texts, mut resources) = (Vec::new(), Vec::new());
        let mut base = 0;
        for group in found.chunk_by(|a, b| a.0 == b.0) {
            let names: Vec<&[u8]> = group.iter().map(|(_, resource, _)| *resource).collect();
            resources.push(trees.add(&names, base));
            texts.extend(group.first().map(|(action, _, _)| *action));
            base += group.len();
        }
        let actions = (!texts.is_empty()).then(|| trees.add(&texts, 0));
        trees.shrink();
        let rules = found.into_iter().map(|(_, _, rule)| rule).collect();
        Index { trees, actions, resources: resources.into(), rules }
    }

    /// Shows every rule that may fit with its number, until `seen` says enough.
    #[inline]
    pub(super) fn visit(&self, asked: &Asked<'_>, seen: &mut impl FnMut(u32, &Rule) -> bool) {
        let Some(root) = self.actions else { return };
        let name = asked.resource.bytes();
        let (action_end, resource_end) = (asked.action.end(), asked.resource.end());
        let rules = &mut |range: Range<usize>| {
            let first = range.start as u32;
            let rules = self.rules.get(range).unwrap_or_default();
            rules.iter().zip(first..).any(|(rule, number)| {
                rule.action_end.fits(action_end)
                    && rule.resource_end.fits(resource_end)
                    && seen(number, rule)
            })
        };
        self.trees.walk::<true>(root, asked.action.bytes(), &mut |range| {
            let roots = self.resources.get(range).unwrap_or_default();
            roots.iter().any(|root| self.trees.walk::<false>(*root, name, rules))
        });
    }

    /// A rule by its number.
    #[inline]
    pub(super) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }
}

/// The rules of a statement: every action with every resource, unless that is far more than both lists.
///
/// Then there is one rule for each plain action, and one for all that have wildcards, with the whole list of
/// resources; so an index is never more than a few times as large as what it is made from.
fn rules<'a>(statement: u32, draft: &'a Draft, out: &mut Vec<Found<'a>>) {
    let (actions, resources) = (&draft.actions, &draft.resources);
    let action_text = |test: &'a ActionTest| test.prefix().as_bytes();
    let resource_text = |test: &'a ResourceTest| test.prefix().as_bytes();
    if actions.len() * resources.len() <= 4 * (actions.len() + resources.len()) {
        for (action_test, action) in actions.iter().zip(draft.first_action..) {
            for (resource_test, resource) in resources.iter().zip(draft.first_resource..) {
                let rule = Rule {
                    statement,
                    action: Rest::new(action_test.shape(), action_test.prefix(), action),
                    resource: Rest::new(resource_test.shape(), resource_test.prefix(), resource),
                    action_end: Ending::new(action_test.suffix()),
                    resource_end: Ending::new(resource_test.suffix()),
                };
                out.push((action_text(action_test), resource_text(resource_test), rule));
            }
        }
        return;
    }
    let rule = |action: Rest, end: &str| Rule {
        statement,
        action,
        resource: Rest::All,
        action_end: Ending::new(end),
        resource_end: Ending::default(),
    };
    for (test, literal) in actions.iter().zip(draft.first_action..) {
        if let ActionTest::Exact(text) = test {
            let action = Rest::new(test.shape(), text, literal);
            out.push((text.as_bytes(), b"", rule(action, text)));
        }
    }
    if actions.iter().any(|test| !matches!(test, ActionTest::Exact(_))) {
        out.push((b"", b"", rule(Rest::All, "")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of a statement of so many plain actions, so many with wildcards, and so many resources.
    fn count(plain: usize, open: usize, resources: usize) -> usize {
        let exact = (0..plain).map(|n| ActionTest::Exact(format!("a:{n}").into()));
        let prefix = (0..open).map(|n| ActionTest::Prefix(format!("b:{n}").into()));
        let draft = Draft {
            actions: exact.chain(prefix).collect(),
            first_action: 0,
            resources: vec![ResourceTest::Everything; resources],
            first_resource: 0,
        };
        let mut found = Vec::new();
        rules(0, &draft, &mut found);
        found.len()
    }

    #[test]
    fn an_index_has_pairs_of_short_lists_and_lists_of_long_ones() {
        assert_eq!(count(1, 0, 1), 1);
        assert_eq!(count(8, 0, 8), 64);
        assert_eq!(count(4, 4, 8), 64);
        assert_eq!(count(9, 0, 9), 9);
        assert_eq!(count(6, 3, 9), 7);
        assert_eq!(count(0, 9, 9), 1);
        assert_eq!(count(2, 0, 300), 600);
    }
}
