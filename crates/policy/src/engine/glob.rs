//! Compiled patterns: runs of literal text between wildcards, matched on bytes without allocating.
//!
//! There are two stars. One crosses colons, the other stays within its part of a resource name; the matcher
//! keeps one place to resume from for each, so its work is bounded by the product of the two lengths. What
//! patterns mean stands in `pattern`; this is a second way to find it out.

use super::asked::after;
use crate::pattern::{EXPANDED_MAX, Part, Template, Variable};
use crate::request::Context;

/// The most variables of one pattern that are matched here; a pattern with more takes the way of `spec`.
const VARIABLES_MAX: usize = 8;

/// One element of a compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// This text.
    Text(Box<str>),
    /// The value of the variable of this number.
    Variable(u8),
    /// Any one character.
    One,
    /// Any one character but a colon.
    OneInPart,
    /// Any run of characters.
    Star,
    /// Any run of characters without a colon.
    StarInPart,
    /// The text's end, or a colon and anything.
    Open,
}

/// How far the wildcards of a pattern reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Over everything.
    All,
    /// Over colons only at the end of a part, and in the sixth part; as in the resources of a policy.
    Resource {
        /// Whether the parts that an incomplete name lacks may be anything.
        filled: bool,
    },
    /// Never over the colons of the first five parts; as in conditions on names.
    Arn,
}

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Glob {
    pieces: Box<[Piece]>,
    variables: Box<[Placed]>,
    /// How many bytes the literal text has; beyond any limit for a pattern that is matched as written.
    length: usize,
    /// What was compiled, where it may be too long to be matched here.
    written: Option<Box<Template>>,
}

/// A variable and whether its value may hold colons where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Placed {
    variable: Variable,
    colons: bool,
}

/// The outcome of a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    Yes,
    No,
    /// A variable has no value.
    NoValue,
}

impl Glob {
    /// Compiles a pattern.
    pub(super) fn new(template: &Template, reach: Reach) -> Glob {
        let mut compiler = Compiler::new(reach);
        let parts = template.parts();
        for (at, part) in parts.iter().enumerate() {
            compiler.add(part, parts.get(at + 1));
        }
        compiler.flush();
        if compiler.part < 5
            && reach == (Reach::Resource { filled: true })
            && compiler.pieces.last() != Some(&Piece::Star)
        {
            compiler.pieces.push(Piece::Open);
        }
        let length = compiler.pieces.iter().map(Piece::length).sum();
        let long = length > EXPANDED_MAX || compiler.variables.len() > VARIABLES_MAX;
        let length = if long { usize::MAX } else { length };
        let variables: Box<[Placed]> = compiler.variables.into();
        let written = (long || !variables.is_empty()).then(|| Box::new(template.clone()));
        Glob { pieces: compiler.pieces.into(), variables, length, written }
    }

    /// A pattern for actions: no wildcard before the colon reaches over it.
    pub(super) fn action(folded: &str) -> Glob {
        let mut compiler = Compiler::new(Reach::All);
        let mut in_service = true;
        for c in folded.chars() {
            compiler.push(match c {
                '*' if in_service => Piece::StarInPart,
                '?' if in_service => Piece::OneInPart,
                '*' => Piece::Star,
                '?' => Piece::One,
                c => {
                    in_service &= c != ':';
                    compiler.run.push(c);
                    continue;
                }
            });
        }
        compiler.flush();
        let (pieces, variables) = (compiler.pieces.into(), Box::default());
        Glob { pieces, variables, length: folded.len(), written: None }
    }

    /// The literal text before the first wildcard or variable.
    pub(super) fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// The literal text after the last wildcard or variable.
    pub(super) fn suffix(&self) -> &str {
        match self.pieces.last() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether the pattern has no wildcards and no variables.
    pub(super) fn literal(&self) -> Option<&str> {
        if self.length > EXPANDED_MAX {
            return None;
        }
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before a single star at the end that reaches over everything.
    pub(super) fn starred(&self) -> Option<&str> {
        if self.length > EXPANDED_MAX {
            return None;
        }
        match &*self.pieces {
            [Piece::Star] => Some(""),
            [Piece::Text(text), Piece::Star] => Some(text),
            _ => None,
        }
    }

    /// Matches a text; `long` matches the pattern as written when its values are too long for this matcher.
    pub(super) fn fit(
        &self,
        text: &str,
        context: &Context,
        long: impl FnOnce(&Template) -> Option<bool>,
    ) -> Fit {
        if self.variables.is_empty() && self.length <= EXPANDED_MAX {
            return answer(self.constant::<false>(text.as_bytes()));
        }
        let mut values = [""; VARIABLES_MAX];
        let mut length = self.length;
        let mut misplaced = false;
        if length <= EXPANDED_MAX {
            for (placed, place) in self.variables.iter().zip(&mut values) {
                let Some(value) = placed.variable.value(context) else { return Fit::NoValue };
                misplaced |= !placed.colons && value.contains(':');
                length += value.len();
                *place = value;
            }
        }
        if length > EXPANDED_MAX {
            return self.written.as_deref().and_then(long).map_or(Fit::NoValue, answer);
        }
        // Within one of the first five parts no text holds a colon, so such a value fits nothing.
        answer(!misplaced && self.run::<false>(&values, text.as_bytes()))
    }

    /// Matches an action in any case with a pattern for actions.
    pub(super) fn fits_action(&self, action: &[u8]) -> bool {
        self.constant::<true>(action)
    }

    /// Matches with a pattern without variables; its ends are looked at first, as they most often do not fit.
    #[inline]
    fn constant<const FOLD: bool>(&self, text: &[u8]) -> bool {
        let ends = |last: &str| {
            let at = text.len().checked_sub(last.len());
            let end = at.and_then(|at| text.get(at..)).unwrap_or_default();
            after::<FOLD>(end, last.as_bytes()).is_some()
        };
        match &*self.pieces {
            [Piece::Text(first), Piece::Star, Piece::Text(last)] => {
                text.len() >= first.len() + last.len()
                    && ends(last)
                    && after::<FOLD>(text, first.as_bytes()).is_some()
            }
            [.., Piece::Text(last)] if !ends(last) => false,
            _ => self.run::<FOLD>(&[], text),
        }
    }

    /// The next place at which the piece behind a star can begin.
    #[inline]
    fn next_start<const FOLD: bool>(
        &self,
        piece: usize,
        text: &[u8],
        from: usize,
    ) -> Option<usize> {
        match self.pieces.get(piece) {
            Some(Piece::Text(literal)) => {
                let first = literal.as_bytes().first()?;
                let rest = text.get(from..)?;
                let same = |byte: &u8| {
                    if FOLD { byte.to_ascii_lowercase() == *first } else { byte == first }
                };
                Some(from + rest.iter().position(same)?)
            }
            _ => Some(from),
        }
    }

    /// The matcher: two positions, and for each kind of star the place to resume from.
    fn run<const FOLD: bool>(&self, values: &[&str], text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        let mut far: Option<(usize, usize)> = None;
        let mut near: Option<(usize, usize)> = None;
        loop {
            let rest = text.get(t..).unwrap_or_default();
            let step = match self.pieces.get(p) {
                None if rest.is_empty() => return true,
                None => None,
                Some(Piece::Text(literal)) => {
                    after::<FOLD>(rest, literal.as_bytes()).map(|_| literal.len())
                }
                Some(Piece::Variable(number)) => {
                    let value = values.get(usize::from(*number)).copied().unwrap_or_default();
                    rest.starts_with(value.as_bytes()).then_some(value.len())
                }
                Some(Piece::One) => rest.first().map(|b| width(*b)),
                Some(Piece::OneInPart) => rest.first().filter(|b| **b != b':').map(|b| width(*b)),
                Some(Piece::Star) => {
                    if p + 1 == self.pieces.len() {
                        return true;
                    }
                    (far, near) = (Some((p + 1, t)), None);
                    Some(0)
                }
                Some(Piece::StarInPart) => {
                    near = Some((p + 1, t));
                    Some(0)
                }
                Some(Piece::Open) if matches!(rest.first(), None | Some(b':')) => return true,
                Some(Piece::Open) => None,
            };
            if let Some(step) = step {
                p += 1;
                t += step;
                continue;
            }
            let longer = |from: usize| Some(from + width(*text.get(from)?));
            let in_part = |(_, from): &(usize, usize)| text.get(*from) != Some(&b':');
            match near.filter(in_part).and_then(|(behind, from)| Some((behind, longer(from)?))) {
                Some(next) => {
                    near = Some(next);
                    (p, t) = next;
                }
                None => {
                    let Some((behind, from)) = far else { return false };
                    let Some(from) = longer(from) else { return false };
                    let Some(from) = self.next_start::<FOLD>(behind, text, from) else {
                        return false;
                    };
                    (far, near) = (Some((behind, from)), None);
                    (p, t) = (behind, from);
                }
            }
        }
    }
}

fn answer(fits: bool) -> Fit {
    if fits { Fit::Yes } else { Fit::No }
}

/// How many bytes the character has that begins with this one.
fn width(first: u8) -> usize {
    match first {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

impl Piece {
    fn length(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            _ => 1,
        }
    }
}

struct Compiler {
    reach: Reach,
    /// How many colons are behind.
    part: usize,
    /// Literal text that is no piece yet.
    run: String,
    pieces: Vec<Piece>,
    variables: Vec<Placed>,
}

impl Compiler {
    fn new(reach: Reach) -> Compiler {
        let (pieces, variables) = (Vec::new(), Vec::new());
        Compiler { reach, part: 0, run: String::new(), pieces, variables }
    }

    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.run).into_boxed_str()));
        }
    }

    fn push(&mut self, piece: Piece) {
        self.flush();
        self.pieces.push(piece);
    }

    fn add(&mut self, part: &Part, next: Option<&Part>) {
        let free = self.reach == Reach::All || self.part >= 5;
        let ends_part = matches!(next, None | Some(Part::Colon));
        let piece = match part {
            Part::Text(text) => {
                self.run.push_str(text);
                return;
            }
            Part::Colon => {
                self.part += 1;
                self.run.push(':');
                return;
            }
            Part::One if free => Piece::One,
            Part::One => Piece::OneInPart,
            Part::Star if free => Piece::Star,
            Part::Star if ends_part && self.reach != Reach::Arn => Piece::Star,
            Part::Star => Piece::StarInPart,
            Part::Variable(variable) => {
                let number = u8::try_from(self.variables.len()).unwrap_or(u8::MAX);
                self.variables.push(Placed { variable: (**variable).clone(), colons: free });
                Piece::Variable(number)
            }
        };
        self.push(piece);
    }
}
