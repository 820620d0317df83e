//! Patterns for actions and resources, compiled: what of them is literal, and the whole test where that is not all.

use super::asked::{Asked, after};
use super::glob::{Fit, Glob, Reach};
use super::literal::{LENGTH_MAX, Shape};
use crate::document::{Actions, Document, Resources, StatementEffect};
use crate::name::{self, Dialect};
use crate::pattern::{Incomplete, Pattern, Template, Wildcards};
use crate::spec;

/// A compiled pattern for actions.
#[derive(Clone, Debug)]
pub(super) enum ActionTest {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    Glob(Box<Glob>),
    AllBut(Box<[ActionTest]>),
}

/// A compiled pattern for resources.
#[derive(Clone, Debug)]
pub(super) enum ResourceTest {
    /// A star, or nothing named at all; fits actions without resources too.
    Everything,
    Exact(Box<str>),
    Prefix(Box<str>),
    /// And how it is matched as written: as a resource name, or as plain text.
    Glob(Box<Glob>, Option<Incomplete>),
    /// A pattern in small letters, for the names of RAM roles only.
    Role(Box<Glob>),
    AllBut(Box<[ResourceTest]>),
}

impl ActionTest {
    fn new(pattern: &Pattern) -> Option<ActionTest> {
        let folded = pattern.text().to_ascii_lowercase();
        if folded == "*" {
            return Some(ActionTest::Any);
        }
        // Without a colon nothing but the star fits anything.
        let colon = folded.find(':')?;
        Some(match folded.find(['*', '?']) {
            None => ActionTest::Exact(folded.into()),
            Some(at) if at > colon && at + 1 == folded.len() && folded.ends_with('*') => {
                ActionTest::Prefix(folded.get(..at).unwrap_or_default().into())
            }
            Some(_) => ActionTest::Glob(Box::new(Glob::action(&folded))),
        })
    }

    /// Whether an action in any case fits.
    pub(super) fn fits(&self, action: &[u8]) -> bool {
        match self {
            ActionTest::Any => true,
            ActionTest::Exact(text) => action.eq_ignore_ascii_case(text.as_bytes()),
            ActionTest::Prefix(text) => after::<true>(action, text.as_bytes()).is_some(),
            ActionTest::Glob(glob) => glob.fits_action(action),
            ActionTest::AllBut(list) => !list.iter().any(|test| test.fits(action)),
        }
    }

    /// The text every fitting action begins with.
    pub(super) fn prefix(&self) -> &str {
        match self {
            ActionTest::Exact(text) | ActionTest::Prefix(text) => text,
            ActionTest::Glob(glob) => glob.prefix(),
            ActionTest::Any | ActionTest::AllBut(_) => "",
        }
    }

    /// What of the test is literal, and how it is to be taken.
    pub(super) fn shape(&self) -> Shape {
        match self {
            _ if self.prefix().len() > LENGTH_MAX => Shape::Test,
            ActionTest::Exact(_) => Shape::Exact,
            ActionTest::Any | ActionTest::Prefix(_) => Shape::Prefix,
            ActionTest::Glob(_) | ActionTest::AllBut(_) => Shape::Test,
        }
    }

    /// The tests of a statement, any of which must fit.
    pub(super) fn list(actions: &Actions) -> Vec<ActionTest> {
        match actions {
            Actions::Only(list) => list.iter().filter_map(ActionTest::new).collect(),
            Actions::AllBut(list) => {
                vec![ActionTest::AllBut(list.iter().filter_map(ActionTest::new).collect())]
            }
        }
    }
}

impl ResourceTest {
    fn new(template: &Template, document: &Document) -> ResourceTest {
        if template.is_everything() {
            return ResourceTest::Everything;
        }
        let incomplete = spec::incomplete(document.kind());
        let (reach, written) = match document.dialect() {
            Dialect::Aws => {
                let filled = incomplete == Incomplete::Filled;
                (Reach::Resource { filled }, Some(incomplete))
            }
            Dialect::Alibaba => (Reach::All, None),
        };
        let glob = Glob::new(template, reach);
        if let Some(text) = glob.literal() {
            return ResourceTest::Exact(text.into());
        }
        if let Some(text) = glob.starred() {
            return ResourceTest::Prefix(text.into());
        }
        ResourceTest::Glob(Box::new(glob), written)
    }

    /// What a pattern with capital letters is for the names of RAM roles, if it can fit any.
    fn role(template: &Template, document: &Document) -> Option<ResourceTest> {
        let text = template.text();
        if document.dialect() == Dialect::Aws || !text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let folded = Template::new(&text.to_ascii_lowercase(), Wildcards::Active, false);
        let glob = Glob::new(&folded, Reach::All);
        name::begins_ram_role(glob.prefix()).then(|| ResourceTest::Role(Box::new(glob)))
    }

    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        let text = asked.name;
        match self {
            ResourceTest::Everything => true,
            ResourceTest::AllBut(list) => !list.iter().any(|test| test.fits(asked)),
            _ if asked.wildcard_only => false,
            ResourceTest::Role(glob) => {
                asked.is_ram_role && glob.fit(text, asked.context, |_| None) == Fit::Yes
            }
            ResourceTest::Exact(listed) => text == &**listed,
            ResourceTest::Prefix(listed) => text.starts_with(&**listed),
            ResourceTest::Glob(glob, incomplete) => {
                let context = asked.context;
                let long = |template: &Template| match incomplete {
                    Some(incomplete) => template.matches_resource(text, context, *incomplete),
                    None => template.matches_text(text, context),
                };
                // A variable without a value makes the pattern match nothing.
                glob.fit(text, context, long) == Fit::Yes
            }
        }
    }

    /// The text every fitting resource ends with.
    pub(super) fn suffix(&self) -> &str {
        match self {
            ResourceTest::Exact(text) => text,
            ResourceTest::Glob(glob, _) | ResourceTest::Role(glob) => glob.suffix(),
            _ => "",
        }
    }

    /// The text every fitting resource begins with.
    pub(super) fn prefix(&self) -> &str {
        match self {
            ResourceTest::Exact(text) | ResourceTest::Prefix(text) => text,
            ResourceTest::Glob(glob, _) | ResourceTest::Role(glob) => glob.prefix(),
            _ => "",
        }
    }

    /// What of the test is literal, and how it is to be taken.
    pub(super) fn shape(&self) -> Shape {
        match self {
            _ if self.prefix().len() > LENGTH_MAX => Shape::Test,
            ResourceTest::Exact(_) => Shape::Exact,
            ResourceTest::Everything | ResourceTest::Prefix(_) => Shape::Prefix,
            ResourceTest::Glob(..) | ResourceTest::Role(_) | ResourceTest::AllBut(_) => Shape::Test,
        }
    }

    /// The tests of a statement, any of which must fit.
    pub(super) fn list(
        resources: &Resources,
        document: &Document,
        effect: StatementEffect,
    ) -> Vec<ResourceTest> {
        let tests = |list: &[Template]| {
            let plain = list.iter().map(|template| ResourceTest::new(template, document));
            let roles = list.iter().filter_map(|template| ResourceTest::role(template, document));
            plain.chain(roles).collect::<Vec<_>>()
        };
        match resources {
            Resources::Attached => vec![ResourceTest::Everything],
            Resources::Only(list) => tests(list),
            // An incomplete name that matches nothing must not make "all but" match.
            Resources::AllBut(list) if list.iter().any(|t| spec::is_broken(t, document)) => {
                match effect {
                    StatementEffect::Allow => Vec::new(),
                    StatementEffect::Deny => vec![ResourceTest::Everything],
                }
            }
            Resources::AllBut(list) => {
                vec![ResourceTest::AllBut(tests(list).into())]
            }
        }
    }
}
