//! What the views of the trail share: what an entry is found by, and what a search wants.
//!
//! Each view (CloudTrail's, ActionTrail's, linkrole's own) says by which facets it lets an event be
//! found. The index has the facets of each under kinds of their own: whether an AssumeRole read only
//! is answered differently by each, and a view that finds what another means would have to throw it
//! away again, entry after entry. What is found is held against the view's own facets once more, since
//! a term in the index is only a digest. Not here: the look-up itself.

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
    /// Whether it read only: `true` or `false`; only the vendors' views ask.
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
    /// That it changed something, here or at a linked service, handed something out or was refused: `true`.
    Notable,
}

impl Attribute {
    /// Its name in the index, for a view; what has one, keeps it. An event's id and the key that was used
    /// are the same to all.
    pub fn kind(self, view: View) -> &'static str {
        match (self, view) {
            (Self::Id, _) => "id",
            (Self::Key, _) => "key",
            (Self::Account, View::Native) => "account",
            (Self::Account, View::CloudTrail) => "ct-account",
            (Self::Account, View::ActionTrail) => "at-account",
            (Self::Name, View::Native) => "name",
            (Self::Name, View::CloudTrail) => "ct-name",
            (Self::Name, View::ActionTrail) => "at-name",
            (Self::ReadOnly, View::Native) => "read-only",
            (Self::ReadOnly, View::CloudTrail) => "ct-read-only",
            (Self::ReadOnly, View::ActionTrail) => "at-read-only",
            (Self::User, View::Native) => "user",
            (Self::User, View::CloudTrail) => "ct-user",
            (Self::User, View::ActionTrail) => "at-user",
            (Self::ResourceType, View::Native) => "type",
            (Self::ResourceType, View::CloudTrail) => "ct-type",
            (Self::ResourceType, View::ActionTrail) => "at-type",
            (Self::ResourceName, View::Native) => "resource",
            (Self::ResourceName, View::CloudTrail) => "ct-resource",
            (Self::ResourceName, View::ActionTrail) => "at-resource",
            (Self::Source, View::Native) => "source",
            (Self::Source, View::CloudTrail) => "ct-source",
            (Self::Source, View::ActionTrail) => "at-source",
            (Self::Notable, _) => "notable",
        }
    }

    /// Whether its values are the same in letters of either case: names of users and resources.
    pub fn ignores_case(self) -> bool {
        matches!(self, Self::User | Self::ResourceName)
    }
}

/// Who looks at the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// linkrole's own reader.
    Native,
    /// A client of CloudTrail.
    CloudTrail,
    /// A client of ActionTrail.
    ActionTrail,
}

impl View {
    /// What this view finds an event by; nothing of what it does not show.
    pub fn facets(self, event: &Event, put: Put<'_>) {
        if !self.shows(event) {
            return;
        }
        for account in &event.accounts {
            put(Attribute::Account, account.as_str());
        }
        match self {
            Self::Native => native_facets(event, put),
            Self::CloudTrail => cloudtrail::facets(event, put),
            Self::ActionTrail => actiontrail::facets(event, put),
        }
    }

    /// Whether it shows an event at all, to whichever account.
    fn shows(self, event: &Event) -> bool {
        let of_vendor = |other: Dialect| {
            !event.accounts.is_empty() && !is_upkeep(event) && event.dialect != Some(other)
        };
        match self {
            Self::Native => !is_noise(event),
            Self::CloudTrail => of_vendor(Dialect::Alibaba),
            Self::ActionTrail => of_vendor(Dialect::Aws),
        }
    }
}

/// An attribute with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet(pub Attribute, pub String);

impl Facet {
    /// Whether an event's attribute is this.
    fn is(&self, attribute: Attribute, value: &str) -> bool {
        self.0 == attribute
            && match attribute.ignores_case() {
                true => self.1.eq_ignore_ascii_case(value),
                false => self.1 == value,
            }
    }
}

/// Where a view says its facets, one after the other: nothing is allocated for the index.
pub type Put<'a> = &'a mut dyn FnMut(Attribute, &str);

/// What a look-up wants, whichever view asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// In whose words.
    pub view: View,
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
    /// Whether an event is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        if !(self.start_ms..=self.end_ms).contains(&event.at_ms) || !self.view.shows(event) {
            return false;
        }
        let mut held = vec![false; self.facets.len()];
        self.view.facets(event, &mut |attribute, value| {
            for (held, wanted) in held.iter_mut().zip(&self.facets) {
                *held |= wanted.is(attribute, value);
            }
        });
        held.iter().all(|held| *held)
    }
}

/// All that an event can be found by, view by view; some of it more than once.
pub fn facets(event: &Event, put: &mut dyn FnMut(View, Attribute, &str)) {
    for view in [View::Native, View::CloudTrail, View::ActionTrail] {
        view.facets(event, &mut |attribute, value| {
            // linkrole's own view, which comes first, has said it for all.
            let is_said =
                view != View::Native && matches!(attribute, Attribute::Id | Attribute::Key);
            if !is_said {
                put(view, attribute, value);
            }
        });
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
fn native_facets(event: &Event, put: Put<'_>) {
    let actor = &event.actor;
    put(Attribute::User, &actor.name);
    for user in [&actor.user_name, &actor.invoked_by, &event.asked_by].into_iter().flatten() {
        put(Attribute::User, user);
    }
    put(Attribute::Id, &event.id);
    put(Attribute::Name, &event.operation);
    put(Attribute::Source, &event.service);
    actor.key.iter().for_each(|key| put(Attribute::Key, key));
    if !is_read(event) || event.denied {
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

/// Arguments that are kept as lists in JSON.
pub(crate) const LISTS: [&str; 4] = ["tags", "tagKeys", "policyArns", "transitiveTagKeys"];

/// A deletion task as clients name it; what the event was about tells service and role.
pub(crate) fn task_handle(event: &Event, task: &str) -> String {
    let resources = event.resources.iter();
    let mut roles = resources.filter_map(|touched| match name::parse_entity(&touched.resource)? {
        Entity::Role { path, name, .. } => {
            let principal = path.strip_prefix(iam::linked::RESERVED_PATH)?.trim_end_matches('/');
            Some(format!("task/aws-service-role/{principal}/{name}/{task}"))
        }
        _ => None,
    });
    roles.next().unwrap_or_else(|| task.to_owned())
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
        view: View::Native,
        start_ms: wanted.since.unwrap_or(i64::MIN),
        end_ms: wanted.until.unwrap_or(i64::MAX),
        facets,
        limit,
        is_forward: wanted.after.is_some(),
    }
}
