//! What the views of the trail share: what an entry is found by, and what a search wants.
//!
//! Each view (CloudTrail's, ActionTrail's, linkrole's own) says by which facets it lets an event be
//! found. The index is made of the facets of all, so that no view can want what the index does not
//! have; what is found is held against the view's own facets again. Not here: the look-up itself.

use crate::alibaba::actiontrail;
use crate::aws::cloudtrail;
use crate::native::TrailQuery;
use iam::audit::{Event, Told};
use iam::caller::Call;
use iam::error::Error;
use iam::operations::{Family, Operation};
use policy::Dialect;
use policy::name::{self, Entity};

/// What an event is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// An account to whose trail it belongs.
    Account,
    /// Its id.
    Id,
    /// Its name.
    Name,
    /// Whether it read only: `true` or `false`.
    ReadOnly,
    /// Who called: a user, a role, a session, a service.
    User,
    /// A kind of resource that it was about.
    ResourceType,
    /// A resource that it was about.
    ResourceName,
    /// The service that was called.
    Source,
    /// The access key that was used.
    Key,
    /// That it changed something, handed something out or was refused: `true`.
    Notable,
}

impl Attribute {
    /// Its name in the index; what has one, keeps it. Values are there in small letters.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Id => "id",
            Self::Name => "name",
            Self::ReadOnly => "read-only",
            Self::User => "user",
            Self::ResourceType => "type",
            Self::ResourceName => "resource",
            Self::Source => "source",
            Self::Key => "key",
            Self::Notable => "notable",
        }
    }
}

/// An attribute with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet(pub Attribute, pub String);

impl Facet {
    /// Whether an event's attribute is this; names of users and resources in letters of either case.
    fn is(&self, attribute: Attribute, value: &str) -> bool {
        self.0 == attribute
            && match attribute {
                Attribute::User | Attribute::ResourceName => self.1.eq_ignore_ascii_case(value),
                _ => self.1 == value,
            }
    }
}

/// Where a view says its facets, one after the other: nothing is allocated for the index.
pub type Put<'a> = &'a mut dyn FnMut(Attribute, &str);

/// What a look-up wants, whichever view asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Not before, in milliseconds since 1970.
    pub start_ms: i64,
    /// Not after, in milliseconds since 1970.
    pub end_ms: i64,
    /// What all hold.
    pub facets: Vec<Facet>,
    /// Entries in the answer at most.
    pub limit: usize,
    /// Whether the oldest come first.
    pub is_forward: bool,
}

impl Search {
    /// Whether an event is wanted, with the facets that a view says of it.
    pub fn wants(&self, event: &Event, view: impl Fn(&Event, Put<'_>)) -> bool {
        if !(self.start_ms..=self.end_ms).contains(&event.at_ms) {
            return false;
        }
        let mut held = vec![false; self.facets.len()];
        view(event, &mut |attribute, value| {
            for (held, wanted) in held.iter_mut().zip(&self.facets) {
                *held |= wanted.is(attribute, value);
            }
        });
        held.iter().all(|held| *held)
    }
}

/// All that an event can be found by, in any view; some of it more than once.
pub fn facets(event: &Event, put: Put<'_>) {
    if is_noise(event) {
        return;
    }
    for account in &event.accounts {
        put(Attribute::Account, account.as_str());
    }
    native_facets(event, put);
    let is_vendors = !is_upkeep(event);
    if is_vendors && event.dialect != Some(Dialect::Alibaba) {
        cloudtrail::facets(event, put);
    }
    if is_vendors && event.dialect != Some(Dialect::Aws) {
        actiontrail::facets(event, put);
    }
}

/// Upkeep that changes nothing for anybody; no view shows it.
pub fn is_noise(event: &Event) -> bool {
    is_one_of(event, &[Operation::RecordUse, Operation::Sweep])
}

/// Work of the server itself, which no view of a vendor shows.
pub fn is_upkeep(event: &Event) -> bool {
    is_noise(event) || is_one_of(event, &[Operation::StepDeletion, Operation::SettleNotice])
}

fn is_one_of(event: &Event, operations: &[Operation]) -> bool {
    operations.iter().any(|operation| operation.facts().name == event.operation)
}

/// What linkrole's own view finds an event by.
pub fn native_facets(event: &Event, put: Put<'_>) {
    let actor = &event.actor;
    put(Attribute::User, &actor.name);
    for user in [&actor.user_name, &actor.invoked_by, &event.asked_by].into_iter().flatten() {
        put(Attribute::User, user);
    }
    put(Attribute::Id, &event.id);
    put(Attribute::Name, &event.operation);
    put(Attribute::Source, &event.service);
    put(Attribute::ReadOnly, yes_or_no(event.read_only));
    actor.key.iter().for_each(|key| put(Attribute::Key, key));
    if !event.read_only || event.denied {
        put(Attribute::Notable, yes_or_no(true));
    }
    let asked = event.params.get("resource").filter(|_| event.asked_by.is_some());
    for resource in event.resources.iter().map(|touched| &touched.resource).chain(asked) {
        put(Attribute::ResourceName, resource);
        if let Some(entity) = name::parse_entity(resource) {
            put(Attribute::ResourceName, own_name(&entity));
        }
    }
    if let Some((_, operation)) = asked_action(event) {
        put(Attribute::Name, operation);
    }
}

/// As the index and the vendors write it.
pub(crate) fn yes_or_no(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

/// The name of an entity without its account and path.
pub fn own_name(entity: &Entity) -> &str {
    match entity {
        Entity::User { name, .. }
        | Entity::Role { name, .. }
        | Entity::Policy { name, .. }
        | Entity::Group { name, .. }
        | Entity::OidcProvider { name, .. } => name,
        Entity::Root { account } => account,
        Entity::AssumedRole { session, .. } => session,
    }
}

/// What was called at a linked service that asked whether its caller may: the prefix of the action
/// and the operation.
pub fn asked_action(event: &Event) -> Option<(&str, &str)> {
    event.asked_by.as_ref()?;
    event.params.get("action")?.split_once(':')
}

/// Whether a call left everything as it was. Of a call at a linked service only the name tells.
pub fn is_read(event: &Event) -> bool {
    const READS: [&str; 8] =
        ["Describe", "Get", "List", "Lookup", "Query", "Head", "Check", "BatchGet"];
    match asked_action(event) {
        Some((_, operation)) => READS.iter().any(|verb| operation.starts_with(verb)),
        None => event.read_only,
    }
}

/// What a call is named that came on no interface of the vendor's. A linked service makes and
/// deletes roles by calls of linkrole's own; to their account these are the vendor's two events.
pub(crate) fn vendors_name(event: &Event) -> Option<Operation> {
    let operation = Operation::named(&event.operation)?;
    let made = event.response.contains_key("roleId") || event.error.is_some();
    let began = event.response.contains_key("deletionTaskId");
    Some(match operation {
        Operation::EnsureServiceLinkedRole if made => Operation::CreateServiceLinkedRole,
        Operation::IntroduceServiceLinkedRole if made => Operation::CreateServiceLinkedRole,
        Operation::RetireServiceLinkedRole => Operation::DeleteServiceLinkedRole,
        Operation::DeregisterUsage | Operation::ReconcileUsage if began => {
            Operation::DeleteServiceLinkedRole
        }
        other => other,
    })
}

/// An error in the words of a dialect: of the wire that was called, or of the caller's account.
pub fn told(call: &Call, home: Option<Dialect>, error: &Error) -> Told {
    let operation = call.command.operation();
    let of = |code: &str, message: String| Told { code: code.to_owned(), message };
    if call.source.api.is_some() || home == Some(Dialect::Alibaba) {
        let fault = crate::alibaba::fault::fault(operation, error);
        return of(&fault.code, fault.message);
    }
    let fault = match operation.facts().family {
        Family::Sts => crate::aws::fault::sts_fault(error),
        _ => crate::aws::fault::fault(error),
    };
    of(fault.code, fault.message)
}

/// What linkrole's own view wants, as a search.
pub fn native_search(wanted: &TrailQuery, limit: usize) -> Search {
    let texts = [
        (Attribute::Name, &wanted.operation),
        (Attribute::User, &wanted.operator),
        (Attribute::ResourceName, &wanted.resource),
        (Attribute::Key, &wanted.key),
        (Attribute::Source, &wanted.service),
        (Attribute::Id, &wanted.id),
    ];
    let mut facets: Vec<Facet> = texts
        .into_iter()
        .filter_map(|(attribute, text)| Some(Facet(attribute, text.clone()?)))
        .collect();
    if !wanted.reads {
        facets.push(Facet(Attribute::Notable, yes_or_no(true).to_owned()));
    }
    Search {
        start_ms: wanted.since.unwrap_or(i64::MIN),
        end_ms: wanted.until.unwrap_or(i64::MAX),
        facets,
        limit,
        is_forward: wanted.after.is_some(),
    }
}
