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
    /// Its name in the index; what has one, keeps it.
    fn kind(self) -> &'static str {
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
    /// Kind and value as the index has them: letters of either case are one there.
    pub fn term(&self) -> (&'static str, String) {
        (self.0.kind(), self.1.to_ascii_lowercase())
    }

    /// Whether another says the same; names of users and resources in letters of either case.
    fn is(&self, other: &Self) -> bool {
        self.0 == other.0
            && match self.0 {
                Attribute::User | Attribute::ResourceName => self.1.eq_ignore_ascii_case(&other.1),
                _ => self.1 == other.1,
            }
    }
}

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
    /// Whether an event with these facets, at this time, is wanted.
    pub fn wants(&self, event: &Event, facets: &[Facet]) -> bool {
        (self.start_ms..=self.end_ms).contains(&event.at_ms)
            && self.facets.iter().all(|wanted| facets.iter().any(|facet| facet.is(wanted)))
    }
}

/// All that an event can be found by, in any view.
pub fn facets(event: &Event) -> Vec<Facet> {
    if is_noise(event) {
        return Vec::new();
    }
    let mut all: Vec<Facet> =
        event.accounts.iter().map(|a| Facet(Attribute::Account, a.to_string())).collect();
    all.extend(native_facets(event));
    let is_vendors = !is_upkeep(event);
    if is_vendors && event.dialect != Some(Dialect::Alibaba) {
        all.extend(cloudtrail::facets(event));
    }
    if is_vendors && event.dialect != Some(Dialect::Aws) {
        all.extend(actiontrail::facets(event));
    }
    all
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
pub fn native_facets(event: &Event) -> Vec<Facet> {
    let actor = &event.actor;
    let users = [actor.user_name.as_ref(), Some(&actor.name), actor.invoked_by.as_ref()];
    let users = users.into_iter().flatten().chain(&event.asked_by);
    let mut all: Vec<Facet> = users.map(|u| Facet(Attribute::User, u.clone())).collect();
    all.push(Facet(Attribute::Id, event.id.clone()));
    all.push(Facet(Attribute::Name, event.operation.clone()));
    all.push(Facet(Attribute::Source, event.service.clone()));
    all.push(Facet(Attribute::ReadOnly, event.read_only.to_string()));
    all.extend(actor.key.iter().map(|key| Facet(Attribute::Key, key.clone())));
    if !event.read_only || event.denied {
        all.push(Facet(Attribute::Notable, true.to_string()));
    }
    let asked = event.params.get("resource").filter(|_| event.asked_by.is_some());
    for resource in event.resources.iter().map(|touched| &touched.resource).chain(asked) {
        all.push(Facet(Attribute::ResourceName, resource.clone()));
        let entity = name::parse_entity(resource);
        all.extend(entity.map(|entity| Facet(Attribute::ResourceName, own_name(&entity).into())));
    }
    if let Some((_, operation)) = asked_action(event) {
        all.push(Facet(Attribute::Name, operation.to_owned()));
    }
    all
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
        facets.push(Facet(Attribute::Notable, true.to_string()));
    }
    Search {
        start_ms: wanted.since.unwrap_or(i64::MIN),
        end_ms: wanted.until.unwrap_or(i64::MAX),
        facets,
        limit,
        is_forward: wanted.after.is_some(),
    }
}
