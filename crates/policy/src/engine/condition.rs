//! Compiled conditions: keys by number, listed values read once, nothing allocated for a comparison.
//!
//! A listed value with a variable is a compiled pattern where that is possible; where its meaning depends on
//! what the variable brings, a number for example, it is handed to `condition` as it was written.

use core::cmp::Ordering;

use super::glob::{Fit, Glob, Reach};
use super::literal::{LENGTH_MAX, Shape};
use crate::condition::{self, Operator, OperatorClass as Class, Quantifier, Truth};
use crate::key::Key;
use crate::name::Arn;
use crate::pattern::{Part, Template};
use crate::request::{Context, Value};
use crate::value::{self, Address, AddressRange, Decimal};

/// One condition of a statement.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Condition {
    key: Key,
    test: Test,
}

/// What is asked of the key's value.
#[derive(Clone, PartialEq, Debug)]
enum Test {
    /// There is no such operator: it never holds.
    Never,
    /// `Null`; the listed values.
    Null(Box<[Operand]>),
    /// Any other comparison.
    Compare { operator: Operator, listed: Box<[Operand]> },
}

/// One listed value.
#[derive(Clone, PartialEq, Debug)]
enum Operand {
    Text(Box<str>),
    /// In lower case.
    Folded(Box<str>),
    Glob(Box<Glob>),
    /// A pattern for names of six parts.
    Arn(Box<Glob>),
    /// Stars only, as a pattern for names.
    AnyArn,
    Decimal(Box<str>),
    Instant(Box<i128>),
    Bool(bool),
    Bytes(Box<[u8]>),
    Range(Box<AddressRange>),
    /// A value that its operator cannot read.
    Unreadable,
    /// A value that has to be read anew for every request.
    Varying(Box<Template>),
}

impl Condition {
    pub(super) fn new(source: &condition::Condition) -> Condition {
        Condition { key: Key::new(&source.key), test: Test::new(source) }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The literals one of which the key's single value must fit, if that is all the condition asks.
    pub(super) fn literals(&self) -> Option<Vec<(&str, Shape)>> {
        let plain = |operator: &Operator| operator.quantifier.is_none() && !operator.if_exists;
        match &self.test {
            Test::Compare { operator, listed }
                if plain(operator)
                    && matches!(operator.class, Class::StringEquals | Class::StringLike) =>
            {
                listed.iter().map(Operand::literal).collect()
            }
            _ => None,
        }
    }

    /// The truth of the condition for a context.
    pub(super) fn truth(&self, context: &Context) -> Truth {
        let present = match context.value(&self.key) {
            Some(Value::List(list)) if list.is_empty() => None,
            other => other,
        };
        match &self.test {
            Test::Never => Truth::False,
            Test::Null(listed) => null(listed, present.is_none(), context),
            Test::Compare { operator, listed } => match present {
                None => truth(holds_without(*operator)),
                Some(value) => quantified(*operator, listed, value, context),
            },
        }
    }
}

impl Test {
    fn new(source: &condition::Condition) -> Test {
        let Some(operator) = source.operator else { return Test::Never };
        let operands = source.values.iter().map(|template| operand(operator.class, template));
        let listed: Box<[Operand]> = operands.collect();
        match operator.class {
            Class::Null => Test::Null(listed),
            _ => Test::Compare { operator, listed },
        }
    }
}

/// Reads a listed value as its operator needs it.
fn operand(class: Class, template: &Template) -> Operand {
    let varying = || Operand::Varying(Box::new(template.clone()));
    let has_variable = template.parts().iter().any(|p| matches!(p, Part::Variable(_)));
    match class {
        Class::ArnEquals | Class::ArnNotEquals | Class::ArnLike | Class::ArnNotLike => {
            if template.is_everything() {
                return Operand::AnyArn;
            }
            if template.colon_parts() < 6 {
                return if has_variable { varying() } else { Operand::Unreadable };
            }
            Operand::Arn(Box::new(Glob::new(template, Reach::Arn)))
        }
        Class::StringLike | Class::StringNotLike => {
            Operand::Glob(Box::new(Glob::new(template, Reach::All)))
        }
        Class::StringEquals | Class::StringNotEquals if has_variable => {
            Operand::Glob(Box::new(Glob::new(template, Reach::All)))
        }
        _ if has_variable => varying(),
        // More than a pattern may grow to fits nothing, as if a variable had no value.
        _ => template.constant().map_or_else(varying, |text| fixed(class, text)),
    }
}

/// Reads a listed value without variables and without wildcards.
fn fixed(class: Class, written: String) -> Operand {
    let text = written.as_str();
    let read = match class {
        Class::StringEqualsIgnoreCase | Class::StringNotEqualsIgnoreCase => {
            Some(Operand::Folded(text.chars().flat_map(char::to_lowercase).collect()))
        }
        Class::NumericEquals
        | Class::NumericNotEquals
        | Class::NumericLessThan
        | Class::NumericLessThanEquals
        | Class::NumericGreaterThan
        | Class::NumericGreaterThanEquals => {
            Decimal::parse(text).map(|_| Operand::Decimal(text.into()))
        }
        Class::DateEquals
        | Class::DateNotEquals
        | Class::DateLessThan
        | Class::DateLessThanEquals
        | Class::DateGreaterThan
        | Class::DateGreaterThanEquals => {
            value::instant(text).map(|at| Operand::Instant(Box::new(at)))
        }
        Class::Bool | Class::Null => value::boolean(text).map(Operand::Bool),
        Class::BinaryEquals => value::bytes(text).map(|bytes| Operand::Bytes(bytes.into())),
        Class::IpAddress | Class::NotIpAddress => {
            AddressRange::parse(text).map(|range| Operand::Range(Box::new(range)))
        }
        _ => Some(Operand::Text(written.into())),
    };
    read.unwrap_or(Operand::Unreadable)
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::True } else { Truth::False }
}

/// Whether the condition holds for a request without the key.
fn holds_without(operator: Operator) -> bool {
    operator.if_exists
        || match operator.quantifier {
            Some(Quantifier::AllValues) => true,
            Some(Quantifier::AnyValue) => false,
            None => operator.class.is_negated(),
        }
}

fn quantified(operator: Operator, listed: &[Operand], value: &Value, context: &Context) -> Truth {
    let list = match (value, operator.quantifier) {
        (Value::Single(value), _) => return compare(operator.class, listed, value, context),
        // A key with several values needs a quantifier.
        (Value::List(_), None) => return Truth::False,
        (Value::List(list), Some(_)) => list,
    };
    let decisive = match operator.quantifier {
        Some(Quantifier::AllValues) => Truth::False,
        _ => Truth::True,
    };
    let mut unreadable = false;
    for value in list {
        match compare(operator.class, listed, value, context) {
            found if found == decisive => return found,
            found => unreadable |= found == Truth::Unreadable,
        }
    }
    if unreadable { Truth::Unreadable } else { truth(decisive == Truth::False) }
}

/// One value of the request against all listed values.
fn compare(class: Class, listed: &[Operand], value: &str, context: &Context) -> Truth {
    let negated = class.is_negated();
    let mut unreadable = false;
    for operand in listed {
        match operand.fits(class, value, context) {
            Some(Truth::True) => return truth(!negated),
            Some(Truth::False) => {}
            Some(Truth::Unreadable) => unreadable = true,
            // A variable without a value is neither equal nor unequal to anything.
            None if negated => return Truth::False,
            None => {}
        }
    }
    if unreadable { Truth::Unreadable } else { truth(negated) }
}

fn null(listed: &[Operand], absent: bool, context: &Context) -> Truth {
    let mut unreadable = false;
    for operand in listed {
        let wanted = match operand {
            Operand::Bool(wanted) => Some(*wanted),
            Operand::Varying(template) => match template.expand_text(context) {
                None => continue,
                Some(text) => value::boolean(&text),
            },
            _ => None,
        };
        match wanted {
            Some(wanted) if wanted == absent => return Truth::True,
            Some(_) => {}
            None => unreadable = true,
        }
    }
    if unreadable { Truth::Unreadable } else { Truth::False }
}

impl Operand {
    /// The literal that says all of it.
    fn literal(&self) -> Option<(&str, Shape)> {
        let found = match self {
            Operand::Text(text) => (&**text, Shape::Exact),
            Operand::Glob(glob) => match (glob.literal(), glob.starred()) {
                (Some(text), _) => (text, Shape::Exact),
                (None, Some(text)) => (text, Shape::Prefix),
                (None, None) => return None,
            },
            _ => return None,
        };
        (found.0.len() <= LENGTH_MAX).then_some(found)
    }

    /// Whether a value of the request fits, negation aside; `None` without a variable's value.
    fn fits(&self, class: Class, text: &str, context: &Context) -> Option<Truth> {
        let found = match self {
            Operand::Text(listed) => Some(text == &**listed),
            Operand::Folded(listed) => {
                Some(text.chars().flat_map(char::to_lowercase).eq(listed.chars()))
            }
            Operand::Glob(glob) => match glob.fit(text, context, |t| t.matches_text(text, context))
            {
                Fit::Yes => Some(true),
                Fit::No => Some(false),
                Fit::NoValue => return None,
            },
            Operand::Arn(glob) => return arn(glob, text, context),
            Operand::AnyArn => Arn::is_complete(text).then_some(true),
            Operand::Decimal(listed) => {
                order(class, || Some(Decimal::parse(text)?.cmp(&Decimal::parse(listed)?)))
            }
            Operand::Instant(listed) => order(class, || Some(value::instant(text)?.cmp(listed))),
            Operand::Bool(listed) => value::boolean(text).map(|found| found == *listed),
            Operand::Bytes(listed) => value::bytes(text).map(|found| *found == **listed),
            Operand::Range(range) => Address::parse(text).map(|found| range.contains(found)),
            Operand::Unreadable => None,
            Operand::Varying(template) => {
                return condition::positive(class, template, text, context);
            }
        };
        Some(found.map_or(Truth::Unreadable, truth))
    }
}

fn arn(glob: &Glob, text: &str, context: &Context) -> Option<Truth> {
    let fit = glob.fit(text, context, |t| Some(t.matches_arn(text, context)? == Some(true)));
    match fit {
        Fit::NoValue => None,
        _ if !Arn::is_complete(text) => Some(Truth::Unreadable),
        fit => Some(truth(fit == Fit::Yes)),
    }
}

/// The outcome of an operator that orders; for its negated form the equality that is negated later.
fn order(class: Class, compared: impl FnOnce() -> Option<Ordering>) -> Option<bool> {
    let order = compared()?;
    Some(match class {
        Class::NumericLessThan | Class::DateLessThan => order.is_lt(),
        Class::NumericLessThanEquals | Class::DateLessThanEquals => order.is_le(),
        Class::NumericGreaterThan | Class::DateGreaterThan => order.is_gt(),
        Class::NumericGreaterThanEquals | Class::DateGreaterThanEquals => order.is_ge(),
        _ => order.is_eq(),
    })
}
