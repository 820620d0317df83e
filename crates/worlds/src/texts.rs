//! The policies of a world, as texts and as documents.

use std::fmt::Write;

use policy::json::quoted;
use policy::{Dialect, Document, Named, PolicyKind, PolicySet, ResourceKind, ResourcePolicy};

use crate::dice::Dice;
use crate::words;

/// A set of generated policies.
#[derive(Clone, Debug)]
pub struct World {
    /// The dialect of all accounts in it.
    pub dialect: Dialect,
    /// How the resource's policy works.
    pub kind: ResourceKind,
    identity: Vec<Document>,
    group: Vec<Document>,
    boundary: Option<Vec<Document>>,
    session: Option<Vec<Document>>,
    endpoint: Option<Vec<Document>>,
    resource: Option<Document>,
    scp: Option<Vec<Vec<Document>>>,
    rcp: Option<Vec<Vec<Document>>>,
    /// The patterns for actions and resources, and the keys and values of conditions, that its policies use.
    pub(crate) used: Used,
}

/// What the policies of a world speak about, for requests to come near to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    /// Of each statement its actions and its resources.
    pub(crate) statements: Vec<(Vec<String>, Vec<String>)>,
    /// Keys and values of conditions.
    pub(crate) conditions: Vec<(String, String)>,
}

/// A layer that can be put into a world or taken from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// The permissions boundary.
    Boundary,
    /// The session policies.
    Session,
    /// Service control policies, one level.
    Scp,
}

impl World {
    /// Draws a world.
    pub fn draw(dice: &mut Dice<'_>) -> World {
        let ram = dice.percent(15);
        let dialect = if ram { Dialect::Alibaba } else { Dialect::Aws };
        let kind = match dice.below(6) {
            0 => ResourceKind::Trust,
            1 => ResourceKind::Kms,
            _ => ResourceKind::Generic,
        };
        // Now and then a layer is large enough to be indexed.
        let size = if dice.percent(8) { 30 } else { 3 };
        let mut maker = Maker { dice, dialect, used: Used::default() };
        let identity = maker.documents(PolicyKind::Identity, size, 3);
        let group = if ram { maker.documents(PolicyKind::Identity, 2, 2) } else { Vec::new() };
        let boundary = maker.maybe(30, |m| m.documents(PolicyKind::Boundary, 3, 2));
        let session = maker.maybe(30, |m| m.documents(PolicyKind::Session, 3, 2));
        let endpoint = maker.maybe(10, |m| m.documents(PolicyKind::Resource, 3, 2));
        let resource_kind = match kind {
            ResourceKind::Trust => PolicyKind::Trust,
            _ => PolicyKind::Resource,
        };
        let resource = maker.maybe(50, |m| m.document(resource_kind, 4)).flatten();
        let scp = maker.maybe(25, |m| m.levels(PolicyKind::Scp));
        let rcp = maker.maybe(15, |m| m.levels(PolicyKind::Rcp));
        let used = maker.used;
        World {
            dialect,
            kind,
            identity,
            group,
            boundary,
            session,
            endpoint,
            resource,
            scp,
            rcp,
            used,
        }
    }

    /// The policies as evaluators take them.
    pub fn policies(&self) -> PolicySet<'_> {
        fn named(list: &[Document]) -> Vec<Named<'_>> {
            list.iter().map(|document| Named { name: "p", document }).collect()
        }
        fn levels(list: &Option<Vec<Vec<Document>>>) -> Option<Vec<Vec<Named<'_>>>> {
            list.as_ref().map(|levels| levels.iter().map(|level| named(level)).collect())
        }
        PolicySet {
            identity: named(&self.identity),
            group: named(&self.group),
            boundary: self.boundary.as_deref().map(named),
            session: self.session.as_deref().map(named),
            endpoint: self.endpoint.as_deref().map(named),
            resource: self.resource.as_ref().map(|document| ResourcePolicy {
                policy: Named { name: "r", document },
                kind: self.kind,
            }),
            scp: levels(&self.scp),
            rcp: levels(&self.rcp),
        }
    }

    /// The same world with one more identity policy, of one statement.
    pub fn with_statement(&self, dice: &mut Dice<'_>, effect: &str) -> World {
        let mut maker = Maker { dice, dialect: self.dialect, used: self.used.clone() };
        let statement = maker.statement(PolicyKind::Identity, Some(effect));
        let document = maker.read(&[statement], PolicyKind::Identity);
        let mut more = self.clone();
        more.used = maker.used;
        more.identity.extend(document);
        more
    }

    /// The same world without one of its identity policies.
    pub fn without_policy(&self, dice: &mut Dice<'_>) -> (World, Option<Document>) {
        let mut less = self.clone();
        if less.identity.is_empty() {
            return (less, None);
        }
        let gone = less.identity.remove(dice.below(less.identity.len()));
        (less, Some(gone))
    }

    /// The same world with a layer that limits it further; `None` if the layer is there already.
    pub fn with_layer(&self, dice: &mut Dice<'_>, layer: Layer) -> Option<World> {
        let mut maker = Maker { dice, dialect: self.dialect, used: self.used.clone() };
        let mut more = self.clone();
        let place = match layer {
            Layer::Boundary => &mut more.boundary,
            Layer::Session => &mut more.session,
            Layer::Scp => {
                let levels = more.scp.get_or_insert_default();
                levels.push(maker.documents(PolicyKind::Scp, 3, 2));
                return Some(more);
            }
        };
        if place.is_some() {
            return None;
        }
        *place = Some(maker.documents(PolicyKind::Boundary, 3, 2));
        Some(more)
    }

    /// The texts of all documents, for a report.
    pub fn texts(&self) -> String {
        let policies = self.policies();
        let mut out = format!("{:?}, {:?}\n", self.dialect, self.kind);
        let mut show = |layer: &str, list: &[Named<'_>]| {
            for named in list {
                let _ = writeln!(out, "{layer}: {}", named.document.text());
            }
        };
        show("identity", &policies.identity);
        show("group", &policies.group);
        show("boundary", policies.boundary.as_deref().unwrap_or_default());
        show("session", policies.session.as_deref().unwrap_or_default());
        show("endpoint", policies.endpoint.as_deref().unwrap_or_default());
        show("resource", policies.resource.map(|r| r.policy).as_slice());
        for level in policies.scp.iter().flatten() {
            show("scp", level);
        }
        for level in policies.rcp.iter().flatten() {
            show("rcp", level);
        }
        out
    }
}

struct Maker<'d, 'b> {
    dice: &'d mut Dice<'b>,
    dialect: Dialect,
    used: Used,
}

impl Maker<'_, '_> {
    fn maybe<T>(&mut self, chance: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.dice.percent(chance).then(|| make(self))
    }

    fn is_ram(&self) -> bool {
        self.dialect == Dialect::Alibaba
    }

    fn documents(&mut self, kind: PolicyKind, size: usize, count: usize) -> Vec<Document> {
        let count = self.dice.below(count + 1);
        (0..count).filter_map(|_| self.document(kind, size)).collect()
    }

    fn levels(&mut self, kind: PolicyKind) -> Vec<Vec<Document>> {
        (0..=self.dice.below(3)).map(|_| self.documents(kind, 3, 2)).collect()
    }

    fn document(&mut self, kind: PolicyKind, size: usize) -> Option<Document> {
        let count = 1 + self.dice.below(size);
        let statements: Vec<String> = (0..count).map(|_| self.statement(kind, None)).collect();
        self.read(&statements, kind)
    }

    /// A text that is not read is no document; the parser has tests of its own.
    fn read(&mut self, statements: &[String], kind: PolicyKind) -> Option<Document> {
        let version = match (self.dialect, self.dice.below(8)) {
            (Dialect::Alibaba, _) => "1",
            (Dialect::Aws, 0) => "2008-10-17",
            (Dialect::Aws, _) => "2012-10-17",
        };
        let list = statements.join(",");
        let text = format!(r#"{{"Version":"{version}","Statement":[{list}]}}"#);
        Document::read(&text, kind, self.dialect).ok()
    }

    fn statement(&mut self, kind: PolicyKind, effect: Option<&str>) -> String {
        let drawn = if self.dice.percent(70) { "Allow" } else { "Deny" };
        let effect = effect.unwrap_or(drawn);
        self.used.statements.push((Vec::new(), Vec::new()));
        let mut out = format!(r#"{{"Effect":"{effect}""#);
        let not = if self.dice.percent(12) { "Not" } else { "" };
        let actions = self.list(3, Maker::action);
        let _ = write!(out, r#","{not}Action":[{actions}]"#);
        if kind != PolicyKind::Trust {
            let not = if !self.is_ram() && self.dice.percent(12) { "Not" } else { "" };
            let resources = self.list(3, Maker::resource);
            let _ = write!(out, r#","{not}Resource":[{resources}]"#);
        }
        if matches!(kind, PolicyKind::Resource | PolicyKind::Trust | PolicyKind::Rcp) {
            let principal = self.principal(kind);
            let _ = write!(out, r#","{principal}"#);
        }
        if self.dice.percent(45) {
            let conditions = self.conditions();
            let _ = write!(out, r#","Condition":{{{conditions}}}"#);
        }
        out + "}"
    }

    fn list(&mut self, most: usize, make: fn(&mut Self) -> String) -> String {
        // Rarely very many, so that statements that are not taken apart are met too.
        let count = if self.dice.percent(2) { 12 } else { 1 + self.dice.below(most) };
        let texts: Vec<String> = (0..count).map(|_| quoted(&make(self))).collect();
        texts.join(",")
    }

    fn action(&mut self) -> String {
        let action = self.dice.pick(words::ACTIONS).to_owned();
        if let Some((actions, _)) = self.used.statements.last_mut() {
            actions.push(action.clone());
        }
        action
    }

    fn resource(&mut self) -> String {
        let list = if self.is_ram() { words::RAM_RESOURCES } else { words::RESOURCES };
        let resource = self.dice.pick(list).to_owned();
        if let Some((_, resources)) = self.used.statements.last_mut() {
            resources.push(resource.clone());
        }
        resource
    }

    fn principal(&mut self, kind: PolicyKind) -> String {
        if kind == PolicyKind::Rcp {
            return r#"Principal":"*""#.to_owned();
        }
        let negated = kind == PolicyKind::Resource && !self.is_ram() && self.dice.percent(15);
        let not = if negated { "Not" } else { "" };
        let (key, names) = match self.dice.below(8) {
            0 => ("Service", self.names(&["backup.example.com", "storage.example.com"])),
            1 => ("Federated", self.names(&["idp.example.com"])),
            2 if !self.is_ram() => ("CanonicalUser", self.names(&["c0ffee", "decade"])),
            _ if self.is_ram() => ("RAM", self.names(words::RAM_PRINCIPALS)),
            _ => ("AWS", self.names(words::PRINCIPALS)),
        };
        format!(r#"{not}Principal":{{"{key}":[{names}]}}"#)
    }

    fn names(&mut self, list: &[&str]) -> String {
        let count = 1 + self.dice.below(3);
        let names: Vec<String> = (0..count).map(|_| quoted(self.dice.pick(list))).collect();
        names.join(",")
    }

    fn conditions(&mut self) -> String {
        let count = 1 + self.dice.below(2);
        let mut out = Vec::new();
        let mut operators = Vec::new();
        for _ in 0..count {
            let operator = self.operator();
            // One document cannot hold the same member twice.
            if operators.contains(&operator) {
                continue;
            }
            let key = self.dice.pick(words::KEYS).to_owned();
            let values: Vec<String> = (0..=self.dice.below(3))
                .map(|_| {
                    let value = self.dice.pick(words::VALUES).to_owned();
                    self.used.conditions.push((key.clone(), value.clone()));
                    quoted(&value)
                })
                .collect();
            out.push(format!(r#""{operator}":{{{}:[{}]}}"#, quoted(&key), values.join(",")));
            operators.push(operator);
        }
        out.join(",")
    }

    fn operator(&mut self) -> String {
        let name = self.dice.pick(words::OPERATORS);
        let quantifier = match self.dice.below(8) {
            0 => "ForAllValues:",
            1 => "ForAnyValue:",
            _ => "",
        };
        let suffix = if self.dice.percent(12) { "IfExists" } else { "" };
        format!("{quantifier}{name}{suffix}")
    }
}
