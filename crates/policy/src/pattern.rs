//! Patterns: text with `*` and `?`, with variables, and split at the colons of a resource name.
//!
//! The matcher keeps one resume point and never backtracks further than that, so its work is bounded by the
//! product of the lengths and linear in practice. Patterns are not regular expressions; nothing is built.

use std::borrow::Cow;

use crate::key::Key;
use crate::name::Arn;
use crate::request::{Context, Value};

/// The longest text, in characters, that a pattern may grow to when its variables are filled in.
pub const EXPANDED_MAX: usize = 16_384;

/// One element of a pattern whose variables are filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any run of characters, also none.
    Star,
}

/// One element of a pattern as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A run of characters that stand for themselves, none of them a colon.
    Text(Box<str>),
    /// A colon.
    Colon,
    /// Any one character.
    One,
    /// Any run of characters, also none.
    Star,
    /// A variable.
    Variable(Box<Variable>),
}

/// `${key}` or `${key, 'default'}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// The condition key's name as written.
    pub name: Box<str>,
    /// The condition key.
    pub key: Key,
    /// The text to use when the key has no value.
    pub default: Option<Box<str>>,
}

impl Variable {
    /// The text that stands for the variable; `None` without one.
    ///
    /// An empty value counts as none, and a key with several values cannot be a variable. [src: POLICY.md 22, 24]
    pub fn value<'a>(&'a self, context: &'a Context) -> Option<&'a str> {
        match context.value(&self.key) {
            Some(Value::Single(text)) if !text.is_empty() => Some(text),
            Some(Value::List(list)) if !list.is_empty() => None,
            _ => self.default.as_deref(),
        }
    }
}

/// Whether letters compare by case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    /// They do.
    Sensitive,
    /// ASCII letters do not.
    Ignored,
}

/// Whether `*` and `?` are wildcards in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wildcards {
    /// They are.
    Active,
    /// They stand for themselves.
    Literal,
}

/// How a match ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Match,
    /// Failed before the first star.
    FailedEarly,
    /// The part before the first star fitted, the rest did not; a later start cannot fit either.
    FailedAfterStar,
}

/// An action pattern: `*`, or a service and a name with wildcards, compared without regard to case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Box<str>,
}

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Pattern {
        Pattern { text: text.into() }
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an action fits; without a colon only `*` fits anything. [src: POLICY.md 1, 2]
    pub fn matches_action(&self, action: &str) -> bool {
        if &*self.text == "*" {
            return true;
        }
        let (Some((service_pattern, name_pattern)), Some((service, name))) =
            (self.text.split_once(':'), action.split_once(':'))
        else {
            return false;
        };
        let fits = |pattern: &str, text: &str| {
            glob(&tokens(pattern), &chars(text), Case::Ignored, &mut 0) == Outcome::Match
        };
        fits(service_pattern, service) && fits(name_pattern, name)
    }
}

/// Whether a text fits a pattern of `*` and `?`, case counting.
pub fn matches(pattern: &str, text: &str) -> bool {
    matches_counted(pattern, text).0
}

/// As [`matches()`], and how many steps the matcher took, for tests of growth.
pub fn matches_counted(pattern: &str, text: &str) -> (bool, u64) {
    let mut steps = 0;
    let outcome = glob(&tokens(pattern), &chars(text), Case::Sensitive, &mut steps);
    (outcome == Outcome::Match, steps)
}

pub(crate) fn matches_tokens(pattern: &[Token], text: &[char]) -> bool {
    glob(pattern, text, Case::Sensitive, &mut 0) == Outcome::Match
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn token(c: char) -> Token {
    match c {
        '*' => Token::Star,
        '?' => Token::One,
        c => Token::Char(c),
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    pattern.chars().map(token).collect()
}

fn fits(token: Token, c: char, case: Case) -> bool {
    match token {
        Token::One => true,
        Token::Star => false,
        Token::Char(p) => p == c || (case == Case::Ignored && p.eq_ignore_ascii_case(&c)),
    }
}

/// The matcher: two positions and the place to resume from, which is the latest star.
fn glob(pattern: &[Token], text: &[char], case: Case, steps: &mut u64) -> Outcome {
    let (mut p, mut t) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        *steps += 1;
        match pattern.get(p) {
            Some(Token::Star) => {
                p += 1;
                if p == pattern.len() {
                    return Outcome::Match;
                }
                resume = Some((p, t));
            }
            Some(&token) if fits(token, c, case) => {
                p += 1;
                t += 1;
            }
            _ => match resume {
                Some((after_star, from)) => {
                    p = after_star;
                    t = from + 1;
                    resume = Some((after_star, t));
                }
                None => return Outcome::FailedEarly,
            },
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    if rest.iter().all(|token| *token == Token::Star) {
        Outcome::Match
    } else if resume.is_some() {
        Outcome::FailedAfterStar
    } else {
        Outcome::FailedEarly
    }
}

/// What an incomplete resource name in a policy stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incomplete {
    /// The missing parts are `*`: identity policies, boundaries and session policies.
    Filled,
    /// It matches nothing: policies of resources.
    Never,
}

/// A text with wildcards and variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

impl Template {
    /// Reads a text; `variables` says whether `${...}` means a variable in it.
    pub fn new(text: &str, wildcards: Wildcards, variables: bool) -> Template {
        let parts = parts(text, wildcards, variables).into_boxed_slice();
        Template { text: text.into(), parts }
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The elements in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The template with its variables filled in; `None` if one has no value.
    pub fn expand(&self, context: &Context) -> Option<Vec<Token>> {
        expand(&self.parts, context)
    }

    /// The template as plain text, wildcards standing for themselves; `None` if a variable has no value.
    pub fn expand_text(&self, context: &Context) -> Option<String> {
        let text = self.expand(context)?;
        Some(
            text.iter()
                .map(|token| match token {
                    Token::Char(c) => *c,
                    Token::One => '?',
                    Token::Star => '*',
                })
                .collect(),
        )
    }

    /// The template as plain text, if it has no variables and is not longer than a pattern may grow.
    pub fn constant(&self) -> Option<String> {
        let mut text = String::with_capacity(self.text.len());
        for part in &self.parts {
            match part {
                Part::Text(run) => text.push_str(run),
                Part::Colon => text.push(':'),
                Part::One => text.push('?'),
                Part::Star => text.push('*'),
                Part::Variable(_) => return None,
            }
        }
        let short = text.len() <= EXPANDED_MAX || text.chars().count() <= EXPANDED_MAX;
        short.then_some(text)
    }

    /// Whether the template is nothing but stars.
    pub fn is_everything(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|p| *p == Part::Star)
    }

    /// How many parts divided by colons it has; colons inside variables do not count.
    pub fn colon_parts(&self) -> usize {
        split(&self.parts, usize::MAX).len()
    }

    /// Whether a resource name fits.
    ///
    /// The first five parts are matched one by one: a wildcard inside them does not cross a colon, but a star
    /// that ends a part may. The sixth part is free. `None` if a variable has no value. [src: POLICY.md 6]
    pub fn matches_resource(
        &self,
        resource: &str,
        context: &Context,
        incomplete: Incomplete,
    ) -> Option<bool> {
        if self.is_everything() {
            return Some(true);
        }
        let mut segments = Vec::new();
        for segment in split(&self.parts, 6) {
            segments.push(expand(segment, context)?);
        }
        Some(matches_segments(&segments, resource, incomplete))
    }

    /// Whether a text fits as a whole, wildcards crossing everything; `None` if a variable has no value.
    pub fn matches_text(&self, text: &str, context: &Context) -> Option<bool> {
        let tokens = self.expand(context)?;
        Some(matches_tokens(&tokens, &chars(text)))
    }

    /// As [`Template::matches_text`], without regard to the case of ASCII letters.
    pub fn matches_text_in_any_case(&self, text: &str, context: &Context) -> Option<bool> {
        let tokens = self.expand(context)?;
        Some(glob(&tokens, &chars(text), Case::Ignored, &mut 0) == Outcome::Match)
    }

    /// Whether a resource name fits part by part, no wildcard crossing a colon before the sixth part.
    ///
    /// `None` inside if the pattern or the value has fewer than six parts; `None` outside if a variable has no
    /// value. The pattern `*` fits every complete name. [src: POLICY.md 7]
    pub fn matches_arn(&self, value: &str, context: &Context) -> Option<Option<bool>> {
        let values: Vec<Vec<char>> = value.splitn(6, ':').map(chars).collect();
        let complete = Arn::parse(value).is_some();
        let mut segments = Vec::new();
        let written = split(&self.parts, 6);
        if written.len() == 6 {
            for segment in written {
                segments.push(expand(segment, context)?);
            }
        } else {
            let expanded = expand(&self.parts, context)?;
            segments.extend(expanded.splitn(6, |t| *t == Token::Char(':')).map(<[Token]>::to_vec));
        }
        if self.is_everything() && complete {
            return Some(Some(true));
        }
        if !complete || segments.len() != 6 {
            return Some(None);
        }
        Some(Some(segments.iter().zip(&values).all(|(p, v)| matches_tokens(p, v))))
    }
}

/// Splits at colons that are written out.
fn split(parts: &[Part], parts_max: usize) -> Vec<&[Part]> {
    parts.splitn(parts_max, |part| *part == Part::Colon).collect()
}

fn matches_segments(segments: &[Vec<Token>], resource: &str, incomplete: Incomplete) -> bool {
    let text = chars(resource);
    // Starts of the text's parts that the next pattern part may begin at.
    let mut starts = vec![0];
    let mut rest = segments.iter().peekable();
    while let Some(segment) = rest.next() {
        let sixth = segments.len() == 6 && rest.peek().is_none();
        if sixth {
            return matches_rest(segment, &text, &starts);
        }
        let crosses = segment.last() == Some(&Token::Star);
        let mut next = Vec::new();
        for start in starts {
            let tail = text.get(start..).unwrap_or_default();
            let length = tail.iter().position(|c| *c == ':').unwrap_or(tail.len());
            if !matches_tokens(segment, tail.get(..length).unwrap_or_default()) {
                continue;
            }
            if rest.peek().is_none() {
                // An incomplete pattern ends here; it fits if the text does too, or if its end stands for more.
                let open = crosses || incomplete == Incomplete::Filled;
                if open || length == tail.len() {
                    return true;
                }
                continue;
            }
            if crosses {
                let colons = tail.iter().enumerate().filter(|(_, c)| **c == ':');
                next.extend(colons.map(|(offset, _)| start + offset + 1));
                break;
            }
            if length < tail.len() {
                next.push(start + length + 1);
            }
        }
        starts = next;
    }
    false
}

/// Whether the sixth part fits from one of the starts, which ascend.
fn matches_rest(pattern: &[Token], text: &[char], starts: &[usize]) -> bool {
    let fixed_length = (!pattern.contains(&Token::Star)).then_some(pattern.len());
    for start in starts {
        let tail = text.get(*start..).unwrap_or_default();
        if fixed_length.is_some_and(|length| length != tail.len()) {
            continue;
        }
        match glob(pattern, tail, Case::Sensitive, &mut 0) {
            Outcome::Match => return true,
            Outcome::FailedEarly => {}
            Outcome::FailedAfterStar => return false,
        }
    }
    false
}

fn expand(parts: &[Part], context: &Context) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => out.extend(text.chars().map(Token::Char)),
            Part::Colon => out.push(Token::Char(':')),
            Part::One => out.push(Token::One),
            Part::Star => out.push(Token::Star),
            Part::Variable(variable) => {
                out.extend(variable.value(context)?.chars().map(Token::Char));
            }
        }
        if out.len() > EXPANDED_MAX {
            return None;
        }
    }
    Some(out)
}

fn parts(text: &str, wildcards: Wildcards, variables: bool) -> Vec<Part> {
    let special = |c: char| match c {
        ':' => true,
        '*' | '?' => wildcards == Wildcards::Active,
        '$' => variables,
        _ => false,
    };
    let mut out = Vec::new();
    let mut run = Cow::Borrowed("");
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        run += plain;
        let part = match if variables { variable(from) } else { None } {
            Some((Escape::Literal(c), after)) => {
                run.to_mut().push(c);
                rest = after;
                continue;
            }
            Some((Escape::Variable(variable), after)) => {
                rest = after;
                Part::Variable(Box::new(variable))
            }
            None => {
                // Whatever is special is one byte long.
                let (special, after) = from.split_at_checked(1).unwrap_or_default();
                rest = after;
                match special {
                    ":" => Part::Colon,
                    "*" => Part::Star,
                    "?" => Part::One,
                    dollar => {
                        run += dollar;
                        continue;
                    }
                }
            }
        };
        flush(&mut run, &mut out);
        out.push(part);
    }
    run += rest;
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut Cow<'_, str>, out: &mut Vec<Part>) {
    if !run.is_empty() {
        out.push(Part::Text(std::mem::take(run).into()));
    }
}

/// What `${...}` stands for.
enum Escape {
    /// This character, without a special meaning.
    Literal(char),
    /// A condition key.
    Variable(Variable),
}

/// Reads a variable at the start of a text.
fn variable(text: &str) -> Option<(Escape, &str)> {
    let inner = text.strip_prefix("${")?;
    for special in ['*', '?', '$'] {
        if let Some(after) = inner.strip_prefix(special).and_then(|r| r.strip_prefix('}')) {
            return Some((Escape::Literal(special), after));
        }
    }
    let (name, after) = inner.split_once('}')?;
    let of = |name: &str, default: Option<&str>| {
        let (key, default) = (Key::new(name), default.map(Box::from));
        Escape::Variable(Variable { name: name.into(), key, default })
    };
    if let Some((name, _)) = name.split_once(", '") {
        let quoted = inner.get(name.len() + 3..)?;
        let (default, after) = quoted.split_once("'}")?;
        return Some((of(name, Some(default)), after));
    }
    Some((of(name, None), after))
}
