//! Parameters of a Query request, read into the types of `iam` with the vendor's texts for what
//! does not fit. All that is wrong with a request is told at once.

use super::fault::Fault;
use crate::http::Request;
use iam::command::{Paging, PolicyOwner, PolicyTarget, ReportOf, ReportTarget};
use iam::rows::{PermissionsPolicy, TrustPolicy};
use iam::text::*;
use policy::name::{self, Entity};
use policy::{Dialect, Document, PolicyKind};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The parameters of one request, as they came.
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the parameters of a request: the form of a POST, the query of a GET.
    ///
    /// Errors: 400 for a form that does not decode and for a name given twice.
    pub fn of(request: &Request) -> Result<Self, Fault> {
        let list = request
            .parameters()
            .map_err(|e| Fault::new("MalformedQueryString", 400, e.to_string()))?;
        let mut values = BTreeMap::new();
        for (name, value) in list {
            if values.contains_key(&name) {
                let text = format!("The parameter {name} is given twice; expected it once.");
                return Err(Fault::new("InvalidQueryParameter", 400, text));
            }
            values.insert(name, value);
        }
        Ok(Self(values))
    }

    /// A parameter as it is.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A form being read, and what was wrong with it so far.
pub struct Params<'a> {
    values: &'a BTreeMap<String, String>,
    violations: RefCell<Vec<String>>,
    fault: RefCell<Option<Fault>>,
}

impl<'a> Params<'a> {
    /// Begins to read a form.
    pub fn new(form: &'a Form) -> Self {
        Self { values: &form.0, violations: RefCell::default(), fault: RefCell::default() }
    }

    /// A parameter as it is.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a parameter or a list of this name is there.
    pub fn has(&self, name: &str) -> bool {
        let list = format!("{name}.");
        self.values.keys().any(|key| key == name || key.starts_with(&list))
    }

    /// The first fault of what was read: the violations together, else the first other one.
    pub fn check(&self) -> Result<(), Fault> {
        let violations = self.violations.borrow();
        if let Some(fault) = self.fault.borrow().as_ref().filter(|f| f.code == "MalformedInput") {
            return Err(fault.clone());
        }
        match violations.len() {
            0 => {}
            1 => {
                let text = format!("1 validation error detected: {}", violations.join("; "));
                return Err(Fault::new("ValidationError", 400, text));
            }
            n => {
                let text = format!("{n} validation errors detected: {}", violations.join("; "));
                return Err(Fault::new("ValidationError", 400, text));
            }
        }
        match self.fault.borrow().as_ref() {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    fn violate(&self, name: &str, value: Option<&str>, constraint: &str) {
        let at = camel(name);
        let text = match value {
            Some(value) => {
                format!("Value '{value}' at '{at}' failed to satisfy constraint: {constraint}")
            }
            None => format!("Value null at '{at}' failed to satisfy constraint: {constraint}"),
        };
        self.violations.borrow_mut().push(text);
    }

    /// Notes that a text does not have a pattern.
    pub fn violate_pattern(&self, name: &str, value: &str, pattern: &'static str) {
        self.violate(name, Some(value), &constraint(Violation::Pattern(pattern)));
    }

    fn refuse(&self, fault: Fault) {
        self.fault.borrow_mut().get_or_insert(fault);
    }

    /// A text that must be there. `None` means that a violation was noted.
    pub fn required<T: Text>(&self, name: &str) -> Option<T> {
        match self.raw(name) {
            Some(text) => self.parse(name, text),
            None => {
                self.violate(name, None, "Member must not be null");
                None
            }
        }
    }

    /// A text that may be there. The outer `None` means that a violation was noted.
    pub fn optional<T: Text>(&self, name: &str) -> Option<Option<T>> {
        match self.raw(name) {
            Some(text) => self.parse(name, text).map(Some),
            None => Some(None),
        }
    }

    fn parse<T: Text>(&self, name: &str, text: &str) -> Option<T> {
        match T::read(text) {
            Ok(value) => Some(value),
            Err(violation) => {
                self.violate(name, Some(text), &constraint(violation));
                None
            }
        }
    }

    /// A description that may be there.
    pub fn description(&self, name: &str) -> Option<Option<Description>> {
        match self.raw(name) {
            Some(_) => self.required_description(name).map(Some),
            None => Some(None),
        }
    }

    /// A description that must be there.
    pub fn required_description(&self, name: &str) -> Option<Description> {
        if let Some(text) = self.raw(name)
            && let Err(violation) = LATIN_DESCRIPTION.check(text)
        {
            self.violate(name, Some(text), &constraint(violation));
            return None;
        }
        self.required(name)
    }

    /// Any text within lengths that must be there.
    pub fn required_text(&self, name: &str, min: usize, max: usize) -> Option<String> {
        let Some(text) = self.raw(name) else {
            self.violate(name, None, "Member must not be null");
            return None;
        };
        let length = text.chars().count();
        if length < min {
            self.violate(name, Some(text), &constraint(Violation::Shorter(min)));
            None
        } else if length > max {
            self.violate(name, Some(text), &constraint(Violation::Longer(max)));
            None
        } else {
            Some(text.to_owned())
        }
    }

    /// A whole number in a range. [src: AWS.md 5]
    pub fn number(&self, name: &str, min: u32, max: u32) -> Option<Option<u32>> {
        let Some(text) = self.raw(name) else { return Some(None) };
        if text.is_empty() {
            let message = "missing value for decimal type".to_owned();
            self.refuse(Fault::new("MalformedInput", 400, message));
            return None;
        }
        let Ok(number) = text.parse::<i32>() else {
            self.refuse(Fault::new("MalformedInput", 400, String::new()));
            return None;
        };
        match u32::try_from(number) {
            Ok(n) if n > max => {
                let c = format!("Member must have value less than or equal to {max}");
                self.violate(name, Some(text), &c);
                None
            }
            Ok(n) if n >= min => Some(Some(n)),
            _ => {
                let c = format!("Member must have value greater than or equal to {min}");
                self.violate(name, Some(text), &c);
                None
            }
        }
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.raw(name) {
            None => Some(false),
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                self.refuse(Fault::new("MalformedInput", 400, String::new()));
                None
            }
        }
    }

    /// One of a closed set of words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<Option<T>> {
        let Some(text) = self.raw(name) else { return Some(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(Some(*value));
        }
        let set: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let c = format!("Member must satisfy enum value set: [{}]", set.join(", "));
        self.violate(name, Some(text), &c);
        None
    }

    /// A permissions policy.
    pub fn permissions(&self, name: &str) -> Option<PermissionsPolicy> {
        let text = self.required_text(name, 1, 131_072)?;
        self.document(PermissionsPolicy::parse(&text, Dialect::Aws))
    }

    /// The document of a managed policy, which must be of the present version of the language.
    pub fn managed(&self, name: &str) -> Option<PermissionsPolicy> {
        let text = self.required_text(name, 1, 131_072)?;
        self.document(Document::parse(&text, PolicyKind::Managed, Dialect::Aws))?;
        self.document(PermissionsPolicy::parse(&text, Dialect::Aws))
    }

    /// A permissions policy that may be there, of at most so many characters.
    pub fn session_policy(&self, name: &str, max: usize) -> Option<Option<PermissionsPolicy>> {
        if self.raw(name).is_none() {
            return Some(None);
        }
        let text = self.required_text(name, 1, max)?;
        self.document(PermissionsPolicy::parse(&text, Dialect::Aws)).map(Some)
    }

    /// A trust policy.
    pub fn trust(&self, name: &str) -> Option<TrustPolicy> {
        let text = self.required_text(name, 1, 131_072)?;
        self.document(TrustPolicy::parse(&text, Dialect::Aws))
    }

    fn document<T>(&self, parsed: Result<T, policy::ParseError>) -> Option<T> {
        match parsed {
            Ok(document) => Some(document),
            Err(e) => {
                self.refuse(Fault::new("MalformedPolicyDocument", 400, e.message));
                None
            }
        }
    }

    /// A managed policy's ARN.
    pub fn policy(&self, name: &str) -> Option<PolicyTarget> {
        let text = self.required_text(name, 20, 2_048)?;
        self.policy_text(&text)
    }

    /// A managed policy's ARN that may be there.
    pub fn optional_policy(&self, name: &str) -> Option<Option<PolicyTarget>> {
        match self.raw(name) {
            Some(_) => self.policy(name).map(Some),
            None => Some(None),
        }
    }

    fn policy_text(&self, text: &str) -> Option<PolicyTarget> {
        let parsed = parse_policy(text);
        if parsed.is_none() {
            let message = "Invalid ARN:  Could not be parsed!".to_owned();
            self.refuse(Fault::new("ValidationError", 400, message));
        }
        parsed
    }

    /// What a report of the access advisor is to be about, by its ARN.
    pub fn reported(&self, name: &str) -> Option<ReportTarget> {
        let text = self.required_text(name, 20, 2_048)?;
        let found = parse_reported(&text);
        if found.is_none() {
            let message = format!("Invalid Entity Arn: {text} is not supported.");
            self.refuse(Fault::new("InvalidInput", 400, message));
        }
        found
    }

    /// A page of a listing.
    pub fn paging(&self) -> Option<Paging> {
        let marker = match self.raw("Marker") {
            Some(_) => Some(self.required_text("Marker", 1, 4_096)?),
            None => None,
        };
        let limit = self.number("MaxItems", 1, 1_000)?;
        let limit = limit.and_then(|n| usize::try_from(n).ok());
        Some(Paging { marker, limit, page: None })
    }

    /// A path prefix; everything unless given.
    pub fn prefix(&self, name: &str) -> Option<String> {
        let Some(text) = self.raw(name) else { return Some("/".to_owned()) };
        let fits = text.starts_with('/') && text.bytes().all(|b| (0x21..=0x7f).contains(&b));
        if fits && text.len() <= 512 {
            return Some(text.to_owned());
        }
        self.violate(
            name,
            Some(text),
            &constraint(Violation::Pattern("\\u002F[\\u0021-\\u007F]*")),
        );
        None
    }

    /// A list of tags.
    pub fn tags(&self, name: &str) -> Option<Vec<(TagKey, TagValue)>> {
        let mut tags = Vec::new();
        for at in self.indices(name)? {
            let key = self.required(&format!("{at}.Key"));
            let value = self.required(&format!("{at}.Value"));
            tags.push((key?, value?));
        }
        Some(tags)
    }

    /// A list of texts.
    pub fn texts<T: Text>(&self, name: &str) -> Option<Vec<T>> {
        self.indices(name)?.iter().map(|at| self.required(at)).collect()
    }

    /// A list of managed policies, each in a structure of its own.
    pub fn policies(&self, name: &str) -> Option<Vec<PolicyTarget>> {
        let all = self.indices(name)?;
        all.iter().map(|at| self.policy(&format!("{at}.arn"))).collect()
    }

    /// The names `name.member.N` of a list's members, in order. [src: AWS.md 5]
    fn indices(&self, name: &str) -> Option<Vec<String>> {
        let start = format!("{name}.member.");
        let mut numbers = std::collections::BTreeSet::new();
        for key in self.values.keys() {
            let Some(rest) = key.strip_prefix(&start) else { continue };
            let index = rest.split('.').next().unwrap_or_default();
            let malformed = |text: String| self.refuse(Fault::new("MalformedInput", 400, text));
            if index.starts_with('-') {
                malformed(format!("Key {index} may not have a leading '-'"));
                return None;
            }
            let plain = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
            let Some(number) = plain.then(|| index.parse::<u32>().ok()).flatten() else {
                malformed("Start of list found where not expected".to_owned());
                return None;
            };
            if number == 0 {
                malformed("0 is not a valid index".to_owned());
                return None;
            }
            numbers.insert((number, index.to_owned()));
        }
        let mut expected = 1u32;
        let mut names = Vec::new();
        for (number, index) in numbers {
            if number < expected {
                // `1` and `01` are one member told twice.
                let text = format!("The list element {number} is given twice; expected it once.");
                self.refuse(Fault::new("MalformedInput", 400, text));
                return None;
            }
            let skipped = number.saturating_sub(expected);
            if skipped > 10 {
                let text = format!("Excessively sparse input would skip {skipped} list elements");
                self.refuse(Fault::new("MalformedInput", 400, text));
                return None;
            }
            for missing in expected..number {
                let at = format!("{name}.{missing}.member");
                self.violate(&at, None, "Member must not be null");
            }
            names.push(format!("{start}{index}"));
            expected = number.saturating_add(1);
        }
        Some(names)
    }
}

/// A managed policy out of its ARN.
pub fn parse_policy(text: &str) -> Option<PolicyTarget> {
    let Some(Entity::Policy { account, path, name: policy }) = name::parse_entity(text) else {
        return None;
    };
    let owner = match account.as_str() {
        owner if owner == name::system_owner(Dialect::Aws) => PolicyOwner::System,
        id => PolicyOwner::Account(AccountId::parse(id).ok()?),
    };
    Some(PolicyTarget {
        text: text.to_owned(),
        owner,
        path: Path::parse(&path).ok()?,
        name: PolicyName::parse(&policy).ok()?,
    })
}

fn parse_reported(text: &str) -> Option<ReportTarget> {
    let (account, of) = match name::parse_entity(text)? {
        Entity::User { account, name, .. } => {
            (account, ReportOf::User(UserName::parse(&name).ok()?))
        }
        Entity::Group { account, name, .. } => {
            (account, ReportOf::Group(GroupName::parse(&name).ok()?))
        }
        Entity::Role { account, name, .. } => {
            (account, ReportOf::Role(RoleName::parse(&name).ok()?))
        }
        Entity::Policy { .. } => {
            let policy = parse_policy(text)?;
            let account = match &policy.owner {
                PolicyOwner::Account(owner) => owner.to_string(),
                _ => "000000000000".to_owned(),
            };
            (account, ReportOf::Policy(policy))
        }
        _ => return None,
    };
    Some(ReportTarget { text: text.to_owned(), account: AccountId::parse(&account).ok()?, of })
}

fn constraint(violation: Violation) -> String {
    match violation {
        Violation::Shorter(n) => format!("Member must have length greater than or equal to {n}"),
        Violation::Longer(n) => format!("Member must have length less than or equal to {n}"),
        Violation::Pattern(p) => format!("Member must satisfy regular expression pattern: {p}"),
    }
}

/// `RoleName` as `roleName`; of a list's member `Tags.member.1.Key` as `tags.1.member.key`.
fn camel(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let lower = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    match parts.as_slice() {
        [list, "member", index, rest @ ..] => {
            let mut all = vec![lower(list), (*index).to_owned(), "member".to_owned()];
            all.extend(rest.iter().map(|p| lower(p)));
            all.join(".")
        }
        parts => parts.iter().map(|p| lower(p)).collect::<Vec<_>>().join("."),
    }
}
