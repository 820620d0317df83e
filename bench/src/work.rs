//! What every engine is given: policies and questions as plain data, in no engine's language.
//!
//! The small evaluator here only decides what a generator may add to a workload. It is never measured.

/// What a statement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// A condition on one context key: any of the values.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Whether the values are patterns (`StringLike`) or texts (`StringEquals`).
    pub like: bool,
    /// The context key.
    pub key: String,
    /// The values, one of which must fit.
    pub values: Vec<String>,
}

/// One statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it says.
    pub effect: Effect,
    /// The action patterns.
    pub actions: Vec<String>,
    /// The resource patterns.
    pub resources: Vec<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
}

/// One policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name it goes by in reasons.
    pub name: String,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// One question, without the principal that asks.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The action.
    pub action: String,
    /// The ARN of the resource.
    pub resource: String,
    /// The context keys and their values.
    pub context: Vec<(String, String)>,
}

/// A workload of one principal and one question.
#[derive(Clone, Debug)]
pub struct Single {
    /// The letter it goes by.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The policies of the principal.
    pub policies: Vec<Policy>,
    /// The question.
    pub ask: Ask,
    /// Whether it is to be allowed.
    pub allowed: bool,
}

impl Single {
    /// How many statements there are.
    pub fn statements(&self) -> usize {
        count(&self.policies)
    }
}

/// How many statements some policies have.
pub fn count(policies: &[Policy]) -> usize {
    policies.iter().map(|policy| policy.statements.len()).sum()
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = retry {
            retry = Some((after, from + 1));
            p = after;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// The value of a context key.
pub fn value<'a>(ask: &'a Ask, key: &str) -> Option<&'a str> {
    ask.context.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

impl Condition {
    /// Whether the condition holds for a question.
    pub fn holds(&self, ask: &Ask) -> bool {
        let Some(actual) = value(ask, &self.key) else { return false };
        self.values.iter().any(|v| if self.like { fits(v, actual) } else { v == actual })
    }
}

impl Statement {
    /// Whether one of the action patterns fits the question.
    pub fn fits_action(&self, ask: &Ask) -> bool {
        self.actions.iter().any(|pattern| fits(pattern, &ask.action))
    }

    /// Whether the statement bears on the question.
    pub fn applies(&self, ask: &Ask) -> bool {
        self.fits_action(ask)
            && self.resources.iter().any(|pattern| fits(pattern, &ask.resource))
            && self.conditions.iter().all(|condition| condition.holds(ask))
    }
}

/// Whether some policies allow a question, by the plain rule: a deny wins, and an allow is needed.
pub fn allows(policies: &[Policy], ask: &Ask) -> bool {
    let mut allowed = false;
    for statement in policies.iter().flat_map(|policy| &policy.statements) {
        if statement.applies(ask) {
            if statement.effect == Effect::Deny {
                return false;
            }
            allowed = true;
        }
    }
    allowed
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % bound.max(1) as u64).unwrap_or(0)
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of some things.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
