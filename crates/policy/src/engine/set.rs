//! The compiled policies of one layer: everything a decision usually needs in one block of words.
//!
//! In the block stand, one after the other: for each statement four bytes that all its actions begin with, the
//! statements themselves (denies first), the literals of patterns and of condition values, the conditions, and
//! the texts of literals. A small set is looked through from its start; over a large one there is an index.
//! Whatever is more than a comparison of literals stands beside the block.

use super::asked::{Asked, SLOTS, Slots};
use super::condition::Condition;
use super::index::{Draft, Ending, Index, Plan, Rest, Rule};
use super::literal::{Literal, Shape};
use super::pattern::{ActionTest, ResourceTest};
use crate::condition::Truth;
use crate::document::{Document, Principals, Statement, StatementEffect};
use crate::key::Key;
use crate::principal::Grant;
use crate::request::Named;
use core::ops::Range;

/// More statements than this are worth an index; fewer are faster looked at one by one.
const UNINDEXED_MAX: usize = 20;

/// For each literal of a set so many rules may be kept in its index, so that it is never many times the set's size.
const KEPT: usize = 4;

/// How many words a statement takes.
const STATEMENT: usize = 5;

/// The slot of a condition that is no comparison with literals.
const NO_SLOT: u64 = 0xff;

/// The policies of one layer, compiled.
///
/// It is made once when a policy changes, never altered, and shared by all principals whose documents are the
/// same. Its size and the time to make it grow with the documents' text, whatever the text holds.
#[derive(Debug)]
pub struct Set {
    block: Box<[u64]>,
    /// Where in the block the statements, the literals, the conditions and the texts begin.
    places: [u32; 4],
    denies: u32,
    keys: Box<[Key]>,
    actions: Box<[ActionTest]>,
    resources: Box<[ResourceTest]>,
    conditions: Box<[Condition]>,
    principals: Box<[Principals]>,
    index: Option<Box<Index>>,
}

/// A statement that matched, and how directly it names the one who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    /// Its place in the set.
    pub(super) statement: u32,
    pub(super) grant: Grant,
}

/// What a set says of a question: a deny, or else the allow that names the asking principal most directly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Look {
    pub(super) deny: Option<Hit>,
    pub(super) allow: Option<Hit>,
}

impl Look {
    /// Whether no other allow can be of interest.
    #[inline]
    fn is_settled(&self) -> bool {
        matches!(self.allow, Some(Hit { grant: Grant::Direct, .. }))
    }
}

/// A statement as it stands in the block; ranges are of literals, literals and conditions.
struct Record {
    actions: Range<usize>,
    resources: Range<usize>,
    conditions: Range<usize>,
    /// Which entry of `principals`, from 1; 0 for a policy of a principal.
    principals: u32,
}

impl Set {
    /// Compiles the policies of one layer; reasons name them by their place in the list.
    pub fn new(policies: &[Named<'_>]) -> Set {
        let mut builder = Builder::default();
        for effect in [StatementEffect::Deny, StatementEffect::Allow] {
            for (policy, named) in policies.iter().enumerate() {
                let statements = named.document.statements().iter().enumerate();
                for (number, statement) in statements.filter(|(_, s)| s.effect == effect) {
                    builder.statement(policy, number, statement, named.document);
                }
            }
        }
        builder.finish()
    }

    /// What the set says of a question.
    #[inline]
    pub(super) fn look(&self, asked: &Asked<'_>) -> Look {
        let mut slots = Slots::new(asked.context);
        let mut look = Look::default();
        let index = self.index.as_ref();
        match index.and_then(|index| index.plan(asked, || self.drafts(asked))) {
            Some(plan) => self.look_up(plan, asked, &mut slots, &mut look),
            None => self.look_through(asked, &mut slots, &mut look),
        }
        look
    }

    /// Looks at the statements one by one, denies first, until nothing of interest is left.
    #[inline]
    fn look_through<'a>(&self, asked: &Asked<'a>, slots: &mut Slots<'a>, look: &mut Look) {
        let head = asked.action.head();
        let heads = self.block.get(..self.statements()).unwrap_or_default();
        for (statement, word) in heads.iter().enumerate() {
            let (text, mask) = (*word as u32, (*word >> 32) as u32);
            if head & mask != text {
                continue;
            }
            let Some(record) = self.record(statement) else { return };
            if self.any_action(&record, asked)
                && self.any_resource(&record, asked)
                && self.settles(statement, &record, asked, slots, look)
            {
                return;
            }
        }
    }

    /// Looks at what the index has for the asked action: at denies, and without one at allows.
    #[inline]
    fn look_up<'a>(&self, plan: &Plan, asked: &Asked<'a>, slots: &mut Slots<'a>, look: &mut Look) {
        let mut settles = |rule: &Rule, look: &mut Look| {
            let fits = match rule.rest {
                Rest::Nothing => true,
                Rest::Length(length) => asked.resource.bytes().len() == length as usize,
                Rest::Literal(number) => self.resource_fits(number as usize, asked),
            };
            let statement = rule.statement as usize;
            let record = if fits { self.record(statement) } else { None };
            record.is_some_and(|record| self.settles(statement, &record, asked, slots, look))
        };
        plan.denies(asked, &mut |rule| settles(rule, look));
        if look.deny.is_none() {
            plan.allows(asked, &mut |rule| settles(rule, look));
        }
    }

    /// The resources of every statement whose actions fit, for the index.
    #[cold]
    fn drafts(&self, asked: &Asked<'_>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for statement in 0..self.statements() {
            let Some(record) = self.record(statement) else { break };
            if self.any_action(&record, asked) {
                let denies = statement < self.denies as usize;
                let resources = record.resources.filter_map(|number| self.rule(statement, number));
                drafts.extend(resources.map(|(prefix, rule)| Draft { prefix, denies, rule }));
            }
        }
        drafts
    }

    /// A statement with one of its resources, and what every fitting name begins with.
    fn rule(&self, statement: usize, number: usize) -> Option<(Vec<u8>, Rule)> {
        let literal = self.literal(number)?;
        let shape = literal.shape();
        let (prefix, ending) = match shape {
            Shape::Test => {
                let test = self.resources.get(literal.test())?;
                (test.prefix().as_bytes().to_vec(), Ending::new(test.suffix().as_bytes()))
            }
            Shape::Exact => {
                let text = literal.bytes(self.text());
                let ending = Ending::new(&text);
                (text, ending)
            }
            Shape::Prefix => (literal.bytes(self.text()), Ending::new(b"")),
        };
        let rest = Rest::new(shape, prefix.len(), number);
        Some((prefix, Rule { statement: u32::try_from(statement).ok()?, rest, ending }))
    }

    /// How many statements there are.
    #[inline]
    fn statements(&self) -> usize {
        self.places[0] as usize
    }

    /// Notes a statement whose patterns fit, and tells whether nothing else of its effect can be of interest.
    #[inline]
    fn settles<'a>(
        &self,
        statement: usize,
        record: &Record,
        asked: &Asked<'a>,
        slots: &mut Slots<'a>,
        look: &mut Look,
    ) -> bool {
        let denies = statement < self.denies as usize;
        let Some(grant) = self.holds(record, denies, asked, slots) else { return false };
        if denies {
            look.deny = Some(Hit { statement: number(statement), grant });
            return true;
        }
        if look.allow.is_none_or(|best| best.grant < grant) {
            look.allow = Some(Hit { statement: number(statement), grant });
        }
        look.is_settled()
    }

    /// Every statement that matches, denies first, each in written order.
    pub(super) fn all(&self, asked: &Asked<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut slots = Slots::new(asked.context);
        for statement in 0..self.statements() {
            let Some(record) = self.record(statement) else { break };
            if self.any_action(&record, asked) && self.any_resource(&record, asked) {
                let denies = statement < self.denies as usize;
                if let Some(grant) = self.holds(&record, denies, asked, &mut slots) {
                    hits.push(Hit { statement: number(statement), grant });
                }
            }
        }
        hits
    }

    #[inline]
    fn record(&self, statement: usize) -> Option<Record> {
        let at = self.places[0] as usize + STATEMENT * statement;
        let words: &[u64; STATEMENT] = self.block.get(at..)?.first_chunk()?;
        let range = |word: u64| (word as u32) as usize..(word >> 32) as usize;
        let [actions, resources, conditions, principals, _] = words;
        Some(Record {
            actions: range(*actions),
            resources: range(*resources),
            conditions: range(*conditions),
            principals: *principals as u32,
        })
    }

    /// Whether a statement denies.
    pub(super) fn denies(&self, hit: Hit) -> bool {
        hit.statement < self.denies
    }

    /// Which policy a statement stands in, and which of its statements it is.
    pub(super) fn origin(&self, hit: Hit) -> (u32, u32) {
        let at = self.places[0] as usize + STATEMENT * hit.statement as usize + STATEMENT - 1;
        let origin = self.block.get(at).copied().unwrap_or_default();
        (origin as u32, (origin >> 32) as u32)
    }

    #[inline]
    fn literal(&self, number: usize) -> Option<Literal> {
        let at = self.places[1] as usize + 2 * number;
        self.block.get(at..)?.first_chunk().map(|words| Literal::from_words(*words))
    }

    #[inline]
    fn text(&self) -> &[u64] {
        self.block.get(self.places[3] as usize..).unwrap_or_default()
    }

    #[inline]
    fn any_action(&self, record: &Record, asked: &Asked<'_>) -> bool {
        record.actions.clone().any(|number| self.action_fits(number, asked))
    }

    #[inline]
    fn action_fits(&self, number: usize, asked: &Asked<'_>) -> bool {
        let test = |place: usize| {
            self.actions.get(place).is_some_and(|test| test.fits(asked.action.bytes()))
        };
        self.literal(number).is_some_and(|l| l.fits(&asked.action, self.text(), test))
    }

    #[inline]
    fn any_resource(&self, record: &Record, asked: &Asked<'_>) -> bool {
        record.resources.clone().any(|number| self.resource_fits(number, asked))
    }

    #[inline]
    fn resource_fits(&self, number: usize, asked: &Asked<'_>) -> bool {
        let test = |place: usize| self.resources.get(place).is_some_and(|test| test.fits(asked));
        self.literal(number).is_some_and(|l| l.fits(&asked.resource, self.text(), test))
    }

    /// Whether a statement's principals and conditions hold, and how directly it names the principal.
    #[inline]
    fn holds<'a>(
        &self,
        record: &Record,
        denies: bool,
        asked: &Asked<'a>,
        slots: &mut Slots<'a>,
    ) -> Option<Grant> {
        let grant = match record.principals {
            0 => Grant::Direct,
            place => {
                let effect = if denies { StatementEffect::Deny } else { StatementEffect::Allow };
                asked.grant(self.principals.get(place as usize - 1)?, effect)?
            }
        };
        let base = self.places[2] as usize;
        let (from, to) = (base + record.conditions.start, base + record.conditions.end);
        for word in self.block.get(from..to)? {
            match self.condition(*word, asked, slots) {
                Truth::True => {}
                // What cannot be read neither grants nor lets a deny pass.
                Truth::Unreadable if denies => {}
                Truth::False | Truth::Unreadable => return None,
            }
        }
        Some(grant)
    }

    #[inline]
    fn condition<'a>(&self, word: u64, asked: &Asked<'a>, slots: &mut Slots<'a>) -> Truth {
        let (from, count, slot) =
            ((word as u32) as usize, (word >> 32 & 0xffff) as usize, word >> 48);
        if slot == NO_SLOT {
            let condition = self.conditions.get(from);
            return condition.map_or(Truth::Unreadable, |c| c.truth(asked.context));
        }
        let slot = slot as usize;
        let value = self.keys.get(slot).and_then(|key| slots.single(slot, key));
        let Some(value) = value else { return Truth::False };
        let fits = |number: usize| {
            self.literal(number).is_some_and(|l| l.fits(&value, self.text(), |_| false))
        };
        if (from..from + count).any(fits) { Truth::True } else { Truth::False }
    }
}

#[derive(Default)]
struct Builder {
    heads: Vec<u64>,
    statements: Vec<[u64; STATEMENT]>,
    literals: Vec<Literal>,
    condition_words: Vec<u64>,
    text: Vec<u64>,
    denies: u32,
    keys: Vec<Key>,
    actions: Vec<ActionTest>,
    resources: Vec<ResourceTest>,
    conditions: Vec<Condition>,
    principals: Vec<Principals>,
}

impl Builder {
    fn statement(&mut self, policy: usize, place: usize, source: &Statement, document: &Document) {
        let actions = ActionTest::list(&source.actions);
        let resources = ResourceTest::list(&source.resources, document, source.effect);
        let first_action = self.literals.len();
        for test in &actions {
            let shape = test.shape();
            self.literal(test.prefix(), shape, self.actions.len());
            if shape == Shape::Test {
                self.actions.push(test.clone());
            }
        }
        let first_resource = self.literals.len();
        for test in &resources {
            let shape = test.shape();
            self.literal(test.prefix(), shape, self.resources.len());
            if shape == Shape::Test {
                self.resources.push(test.clone());
            }
        }
        let after = self.literals.len();
        let first_condition = self.condition_words.len();
        for condition in &source.conditions {
            let word = self.condition(Condition::new(condition));
            self.condition_words.push(word);
        }
        let principals = match &source.principals {
            Principals::Attached => 0,
            principals => {
                self.principals.push(principals.clone());
                self.principals.len()
            }
        };
        self.denies += u32::from(source.effect == StatementEffect::Deny);
        self.heads.push(head(&actions));
        self.statements.push([
            pair(first_action, first_resource),
            pair(first_resource, after),
            pair(first_condition, self.condition_words.len()),
            pair(principals, 0),
            pair(policy, place),
        ]);
    }

    fn literal(&mut self, text: &str, shape: Shape, test: usize) {
        self.literals.push(Literal::new(text.as_bytes(), shape, test, &mut self.text));
    }

    /// The word of a condition: a slot with literals where it is one, else which of those beside the block.
    fn condition(&mut self, condition: Condition) -> u64 {
        let literals = condition.literals();
        let slot = literals.as_ref().and_then(|_| self.slot(condition.key()));
        if let (Some(literals), Some(slot)) = (literals, slot) {
            let from = self.literals.len();
            for (text, shape) in &literals {
                self.literal(text, *shape, 0);
            }
            return from as u64 | (literals.len() as u64) << 32 | (slot as u64) << 48;
        }
        self.conditions.push(condition);
        (self.conditions.len() - 1) as u64 | NO_SLOT << 48
    }

    /// The slot of a key; `None` when all are taken by others.
    fn slot(&mut self, key: &Key) -> Option<usize> {
        if let Some(slot) = self.keys.iter().position(|known| known == key) {
            return Some(slot);
        }
        if self.keys.len() == SLOTS {
            return None;
        }
        self.keys.push(key.clone());
        Some(self.keys.len() - 1)
    }

    fn finish(self) -> Set {
        let room = KEPT * self.literals.len();
        let index = (self.statements.len() > UNINDEXED_MAX).then(|| Box::new(Index::new(room)));
        let mut block = self.heads;
        let mut places = [0; 4];
        let [statements, literals, conditions, text] = &mut places;
        *statements = number(block.len());
        block.extend(self.statements.iter().flatten());
        *literals = number(block.len());
        block.extend(self.literals.iter().flat_map(|literal| literal.words()));
        *conditions = number(block.len());
        block.extend(self.condition_words);
        *text = number(block.len());
        block.extend(self.text);
        Set {
            block: block.into(),
            places,
            denies: self.denies,
            keys: self.keys.into(),
            actions: self.actions.into(),
            resources: self.resources.into(),
            conditions: self.conditions.into(),
            principals: self.principals.into(),
            index,
        }
    }
}

/// The bytes, at most four, that all of a statement's actions begin with, and which bits they are.
fn head(actions: &[ActionTest]) -> u64 {
    let Some(first) = actions.first() else {
        // Nothing fits: no action begins with a zero byte, and none is without bytes.
        return u64::from(u32::MAX) << 32;
    };
    let first = first.prefix().as_bytes();
    let shared = |other: &ActionTest| {
        first.iter().zip(other.prefix().as_bytes()).take_while(|(a, b)| a == b).count()
    };
    let length = actions.iter().map(shared).min().unwrap_or_default().min(4);
    let bytes = first.iter().take(length).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes | ((1u64 << (8 * length)) - 1) << 32
}

fn pair(low: usize, high: usize) -> u64 {
    u64::from(number(low)) | u64::from(number(high)) << 32
}

fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_what_all_actions_begin_with() {
        let test = |text: &str| ActionTest::Prefix(text.into());
        let of = |texts: &[&str]| head(&texts.iter().map(|text| test(text)).collect::<Vec<_>>());
        let bytes = |text: &[u8; 4]| u64::from(u32::from_le_bytes(*text));
        assert_eq!(of(&["s3:getobject", "s3:get"]), bytes(b"s3:g") | 0xffff_ffff << 32);
        assert_eq!(of(&["s3:getobject", "s3x"]), bytes(b"s3\0\0") | 0xffff << 32);
        assert_eq!(of(&["s3:getobject", "ec2:run"]), 0);
        assert_eq!(of(&["s"]), bytes(b"s\0\0\0") | 0xff << 32);
        assert_eq!(of(&[]), 0xffff_ffff << 32);
    }
}
