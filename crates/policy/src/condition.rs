//! Conditions: operators, quantifiers, and their truth for the context of a request.
//!
//! Truth has three values. An absent key and a variable without a value have a documented meaning and are
//! never an error; a value that cannot be read as its operator needs is one, and what that means is decided
//! by the statement: an allow does not match, a deny does.

use crate::name::Dialect;
use crate::pattern::Template;
use crate::request::{Context, Value};
use crate::value::{self, Address, AddressRange, Decimal};

/// The outcome of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A value could not be read; an allow must take it as false, a deny as true.
    Unreadable,
}

impl Truth {
    fn of(holds: bool) -> Truth {
        if holds { Truth::True } else { Truth::False }
    }

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unreadable => Truth::Unreadable,
        }
    }

    /// True if any is true, else unreadable if any is.
    fn any(truths: impl Iterator<Item = Truth>) -> Truth {
        let mut result = Truth::False;
        for truth in truths {
            match truth {
                Truth::True => return Truth::True,
                Truth::Unreadable => result = Truth::Unreadable,
                Truth::False => {}
            }
        }
        result
    }

    /// False if any is false, else unreadable if any is.
    fn all(truths: impl Iterator<Item = Truth>) -> Truth {
        Truth::any(truths.map(Truth::not)).not()
    }
}

/// Which comparison an operator makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the variants carry the operators' own names")]
pub enum OperatorClass {
    StringEquals,
    StringNotEquals,
    StringEqualsIgnoreCase,
    StringNotEqualsIgnoreCase,
    StringLike,
    StringNotLike,
    NumericEquals,
    NumericNotEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals,
    DateNotEquals,
    DateLessThan,
    DateLessThanEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    Bool,
    BinaryEquals,
    IpAddress,
    NotIpAddress,
    ArnEquals,
    ArnNotEquals,
    ArnLike,
    ArnNotLike,
    Null,
}

use OperatorClass as Class;

impl OperatorClass {
    /// Every class with the name it has in a policy.
    pub const ALL: [(&'static str, OperatorClass); 27] = [
        ("StringEquals", Class::StringEquals),
        ("StringNotEquals", Class::StringNotEquals),
        ("StringEqualsIgnoreCase", Class::StringEqualsIgnoreCase),
        ("StringNotEqualsIgnoreCase", Class::StringNotEqualsIgnoreCase),
        ("StringLike", Class::StringLike),
        ("StringNotLike", Class::StringNotLike),
        ("NumericEquals", Class::NumericEquals),
        ("NumericNotEquals", Class::NumericNotEquals),
        ("NumericLessThan", Class::NumericLessThan),
        ("NumericLessThanEquals", Class::NumericLessThanEquals),
        ("NumericGreaterThan", Class::NumericGreaterThan),
        ("NumericGreaterThanEquals", Class::NumericGreaterThanEquals),
        ("DateEquals", Class::DateEquals),
        ("DateNotEquals", Class::DateNotEquals),
        ("DateLessThan", Class::DateLessThan),
        ("DateLessThanEquals", Class::DateLessThanEquals),
        ("DateGreaterThan", Class::DateGreaterThan),
        ("DateGreaterThanEquals", Class::DateGreaterThanEquals),
        ("Bool", Class::Bool),
        ("BinaryEquals", Class::BinaryEquals),
        ("IpAddress", Class::IpAddress),
        ("NotIpAddress", Class::NotIpAddress),
        ("ArnEquals", Class::ArnEquals),
        ("ArnNotEquals", Class::ArnNotEquals),
        ("ArnLike", Class::ArnLike),
        ("ArnNotLike", Class::ArnNotLike),
        ("Null", Class::Null),
    ];

    /// Whether it holds when no listed value fits.
    pub fn is_negated(self) -> bool {
        matches!(
            self,
            Class::StringNotEquals
                | Class::StringNotEqualsIgnoreCase
                | Class::StringNotLike
                | Class::NumericNotEquals
                | Class::DateNotEquals
                | Class::NotIpAddress
                | Class::ArnNotEquals
                | Class::ArnNotLike
        )
    }

    /// Whether RAM has it.
    fn is_ram(self) -> bool {
        !matches!(
            self,
            Class::BinaryEquals
                | Class::ArnEquals
                | Class::ArnNotEquals
                | Class::ArnLike
                | Class::ArnNotLike
                | Class::Null
        )
    }

    /// Whether `*` and `?` are wildcards in its values.
    pub fn has_wildcards(self) -> bool {
        matches!(
            self,
            Class::StringLike
                | Class::StringNotLike
                | Class::ArnEquals
                | Class::ArnNotEquals
                | Class::ArnLike
                | Class::ArnNotLike
        )
    }
}

/// How an operator treats the values of a multi-valued key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Quantifier {
    /// `ForAllValues`: every value of the request must fit; holds without any.
    AllValues,
    /// `ForAnyValue`: some value of the request must fit.
    AnyValue,
}

/// A condition operator taken apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Operator {
    /// The comparison.
    pub class: OperatorClass,
    /// The quantifier, if any.
    pub quantifier: Option<Quantifier>,
    /// Whether an absent key satisfies it (`IfExists`).
    pub if_exists: bool,
}

impl Operator {
    /// Reads an operator's name in any case; `None` if the dialect has no such operator.
    ///
    /// `Null` has neither an `IfExists` form nor quantifiers; RAM has none of the three at all, and no operators
    /// for ARNs and bytes. [src: POLICY.md 3.6]
    pub fn parse(name: &str, dialect: Dialect) -> Option<Operator> {
        let lower = name.to_ascii_lowercase();
        let (quantifier, rest) = if let Some(rest) = lower.strip_prefix("forallvalues:") {
            (Some(Quantifier::AllValues), rest)
        } else if let Some(rest) = lower.strip_prefix("foranyvalue:") {
            (Some(Quantifier::AnyValue), rest)
        } else {
            (None, lower.as_str())
        };
        let (base, if_exists) = match rest.strip_suffix("ifexists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let found = Class::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(base));
        let (_, class) = *found?;
        let plain = !if_exists && quantifier.is_none();
        if class == Class::Null && !plain {
            return None;
        }
        if dialect == Dialect::Alibaba && !(plain && class.is_ram()) {
            return None;
        }
        Some(Operator { class, quantifier, if_exists })
    }
}

/// One key of one operator of a statement's condition block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The operator as written.
    pub operator_text: Box<str>,
    /// The operator; `None` if there is no such operator, and then the condition never holds.
    pub operator: Option<Operator>,
    /// The condition key as written.
    pub key: Box<str>,
    /// The listed values.
    pub values: Vec<Template>,
}

impl Condition {
    /// The truth of the condition for a context.
    pub fn evaluate(&self, context: &Context) -> Truth {
        let Some(operator) = self.operator else { return Truth::False };
        let present = match context.get(&self.key) {
            // A key without any value counts as absent.
            Some(Value::List(list)) if list.is_empty() => None,
            other => other,
        };
        if operator.class == Class::Null {
            return self.null(present.is_none(), context);
        }
        let Some(present) = present else {
            let holds = operator.if_exists
                || match operator.quantifier {
                    Some(Quantifier::AllValues) => true,
                    Some(Quantifier::AnyValue) => false,
                    None => operator.class.is_negated(),
                };
            return Truth::of(holds);
        };
        let one = |value: &String| self.compare(operator.class, value, context);
        match (operator.quantifier, present) {
            (None, Value::Single(value)) => one(value),
            // A multi-valued key needs a quantifier.
            (None, Value::List(_)) => Truth::False,
            (Some(_), Value::Single(value)) => one(value),
            (Some(Quantifier::AllValues), Value::List(list)) => Truth::all(list.iter().map(one)),
            (Some(Quantifier::AnyValue), Value::List(list)) => Truth::any(list.iter().map(one)),
        }
    }

    fn null(&self, absent: bool, context: &Context) -> Truth {
        Truth::any(self.values.iter().map(|template| match template.expand_text(context) {
            None => Truth::False,
            Some(text) => match value::boolean(&text) {
                Some(wanted) => Truth::of(wanted == absent),
                None => Truth::Unreadable,
            },
        }))
    }

    /// One value of the request against all listed values.
    fn compare(&self, class: Class, value: &str, context: &Context) -> Truth {
        let results = self.values.iter().map(|template| positive(class, template, value, context));
        if !class.is_negated() {
            return Truth::any(results.map(|r| r.unwrap_or(Truth::False)));
        }
        let results: Option<Vec<Truth>> = results.collect();
        match results {
            Some(results) => Truth::any(results.into_iter()).not(),
            // A variable without a value is neither equal nor unequal to anything.
            None => Truth::False,
        }
    }
}

/// Whether a value of the request fits one listed value, negation aside; `None` without the variable's value.
pub(crate) fn positive(
    class: Class,
    template: &Template,
    value: &str,
    context: &Context,
) -> Option<Truth> {
    if matches!(class, Class::ArnEquals | Class::ArnNotEquals | Class::ArnLike | Class::ArnNotLike)
    {
        let matched = template.matches_arn(value, context)?;
        return Some(matched.map_or(Truth::Unreadable, Truth::of));
    }
    if matches!(class, Class::StringLike | Class::StringNotLike) {
        return Some(Truth::of(template.matches_text(value, context)?));
    }
    let listed = template.expand_text(context)?;
    let known = match class {
        Class::StringEqualsIgnoreCase | Class::StringNotEqualsIgnoreCase => {
            Some(lower(&listed) == lower(value))
        }
        Class::NumericEquals
        | Class::NumericNotEquals
        | Class::NumericLessThan
        | Class::NumericLessThanEquals
        | Class::NumericGreaterThan
        | Class::NumericGreaterThanEquals => {
            ordered(class, Decimal::parse(value), Decimal::parse(&listed))
        }
        Class::DateEquals
        | Class::DateNotEquals
        | Class::DateLessThan
        | Class::DateLessThanEquals
        | Class::DateGreaterThan
        | Class::DateGreaterThanEquals => {
            ordered(class, value::instant(value), value::instant(&listed))
        }
        Class::Bool => same(value::boolean(value), value::boolean(&listed)),
        Class::BinaryEquals => same(value::bytes(value), value::bytes(&listed)),
        Class::IpAddress | Class::NotIpAddress => {
            match (AddressRange::parse(&listed), Address::parse(value)) {
                (Some(range), Some(address)) => Some(range.contains(address)),
                _ => None,
            }
        }
        _ => Some(listed == value),
    };
    Some(known.map_or(Truth::Unreadable, Truth::of))
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn same<T: PartialEq>(left: Option<T>, right: Option<T>) -> Option<bool> {
    Some(left? == right?)
}

/// The comparison of an ordering operator; for its negated form the equality that is negated later.
fn ordered<T: Ord>(class: Class, value: Option<T>, listed: Option<T>) -> Option<bool> {
    let order = value?.cmp(&listed?);
    Some(match class {
        Class::NumericLessThan | Class::DateLessThan => order.is_lt(),
        Class::NumericLessThanEquals | Class::DateLessThanEquals => order.is_le(),
        Class::NumericGreaterThan | Class::DateGreaterThan => order.is_gt(),
        Class::NumericGreaterThanEquals | Class::DateGreaterThanEquals => order.is_ge(),
        _ => order.is_eq(),
    })
}

impl OperatorClass {
    /// Whether a listed value without variables is one that the operator can read.
    pub fn can_read(self, text: &str) -> bool {
        match self {
            Class::NumericEquals
            | Class::NumericNotEquals
            | Class::NumericLessThan
            | Class::NumericLessThanEquals
            | Class::NumericGreaterThan
            | Class::NumericGreaterThanEquals => Decimal::parse(text).is_some(),
            Class::DateEquals
            | Class::DateNotEquals
            | Class::DateLessThan
            | Class::DateLessThanEquals
            | Class::DateGreaterThan
            | Class::DateGreaterThanEquals => value::instant(text).is_some(),
            Class::Bool | Class::Null => value::boolean(text).is_some(),
            Class::BinaryEquals => value::bytes(text).is_some(),
            Class::IpAddress | Class::NotIpAddress => AddressRange::parse(text).is_some(),
            _ => true,
        }
    }
}
