//! All tables in memory, as one immutable value that is cheap to clone.
//!
//! [`State::apply`] is the only function that alters it: live writes, start-up and replicas go
//! through it. Indexes are derived here from the rows and nowhere else. Not here: rules.

use crate::names::Names;
use crate::offered::OfferedPolicy;
use crate::rows::*;
use crate::text::*;
use crate::tx::Class;
use imbl::{OrdMap, OrdSet};
use policy::Dialect;
use std::sync::Arc;

mod problems;
pub use problems::problems;

/// Who a managed policy is attached to, or bounds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityRef {
    /// A user.
    User(AccountId, Folded),
    /// A group.
    Group(AccountId, Folded),
    /// A role.
    Role(AccountId, Folded),
}

/// How a managed policy is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// As a permissions policy.
    Attached,
    /// As a permissions boundary.
    Boundary,
}

/// Texts before every other of their type, for ranges that begin at the first.
const FIRST_ACCOUNT: &str = "000000000000";
const FIRST_ID: &str = "000000000000000000000";

type Named<T> = OrdMap<(AccountId, Folded), Arc<T>>;

/// Every table and the indexes over them.
#[derive(Clone, Default)]
pub struct State {
    accounts: OrdMap<AccountId, Arc<Account>>,
    users: Named<User>,
    groups: Named<Group>,
    aliases: OrdMap<AccountAlias, AccountId>,
    oidc_providers: Named<OidcProvider>,
    group_ids: OrdMap<GroupId, (AccountId, Folded)>,
    memberships: OrdSet<(UserId, AccountId, Folded)>,
    user_names: OrdMap<UserId, (AccountId, Folded)>,
    keys: OrdMap<KeyId, Arc<AccessKey>>,
    keys_of: OrdSet<(KeyOwner, KeyId)>,
    roles: Named<Role>,
    role_names: OrdMap<RoleId, (AccountId, Folded)>,
    role_counts: OrdMap<AccountId, u32>,
    linked: OrdSet<(ServiceName, AccountId, RoleId)>,
    policies: Named<ManagedPolicy>,
    policy_names: OrdMap<PolicyId, (AccountId, Folded)>,
    links: OrdSet<(PolicyRef, EntityRef, Link)>,
    services: OrdMap<ServiceName, Arc<Service>>,
    names: Names,
    enrolments: OrdMap<ServiceName, Arc<Enrolment>>,
    usages: OrdMap<(RoleId, Region, ResourceName), Arc<Usage>>,
    usage_counts: OrdMap<RoleId, usize>,
    guards: OrdMap<(RoleId, Region), u64>,
    ledgers: OrdMap<RoleId, i64>,
    tombstones: OrdMap<RoleId, Arc<Tombstone>>,
    tasks: OrdMap<TaskId, Arc<DeletionTask>>,
    open_tasks: OrdMap<RoleId, TaskId>,
    ended_tasks: OrdMap<AccountId, OrdSet<(i64, TaskId)>>,
    uses: OrdMap<Used, Arc<LastUse>>,
    accesses: OrdMap<(PrincipalId, Namespace), Arc<Access>>,
    sessions: OrdMap<PrincipalId, Arc<Sessions>>,
    notices: OrdMap<RoleId, Arc<Notice>>,
    nonces: OrdMap<NonceDigest, i64>,
    nonce_ends: OrdSet<(i64, NonceDigest)>,
    clock_ms: i64,
    installation: Option<Arc<Installation>>,
}

impl State {
    /// Alters the tables by one change. The only function that does.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(row) => {
                self.forget(&row.key());
                self.put(row.clone());
            }
            Change::Delete(key) => self.forget(key),
        }
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Account(r) => {
                if let Some(old) = self.accounts.get(&r.id).and_then(|old| old.alias.clone()) {
                    self.aliases.remove(&old);
                }
                if let Some(alias) = &r.alias {
                    self.aliases.insert(alias.clone(), r.id.clone());
                }
                self.accounts.insert(r.id.clone(), Arc::new(r));
            }
            Row::User(r) => {
                let at = (r.account.clone(), r.name.folded());
                self.link(&EntityRef::User(at.0.clone(), at.1.clone()), &r.grants);
                self.user_names.insert(r.id.clone(), at.clone());
                self.users.insert(at, Arc::new(r));
            }
            Row::AccessKey(r) => {
                self.keys_of.insert((r.owner.clone(), r.id.clone()));
                self.keys.insert(r.id.clone(), Arc::new(r));
            }
            Row::Role(r) => self.put_role(r),
            Row::Policy(r) => {
                let at = (r.account.clone(), r.name.folded());
                self.policy_names.insert(r.id.clone(), at.clone());
                self.policies.insert(at, Arc::new(r));
            }
            Row::Service(r) => {
                self.names.add(&r);
                self.services.insert(r.name.clone(), Arc::new(r));
            }
            Row::Enrolment(r) => drop(self.enrolments.insert(r.service.clone(), Arc::new(r))),
            Row::Usage(r) => {
                *self.usage_counts.entry(r.role.clone()).or_insert(0) += 1;
                let at = (r.role.clone(), r.region.clone(), r.resource.clone());
                self.usages.insert(at, Arc::new(r));
            }
            Row::UsageGuard(r) => drop(self.guards.insert((r.role, r.region), r.version)),
            Row::Ledger(r) => drop(self.ledgers.insert(r.role, r.last_expiry_ms)),
            Row::Tombstone(r) => drop(self.tombstones.insert(r.role.clone(), Arc::new(r))),
            Row::Task(r) => {
                if r.is_open() {
                    self.open_tasks.insert(r.role.clone(), r.id.clone());
                }
                if let Some(at) = r.ended_ms {
                    let of_account = self.ended_tasks.entry(r.account.clone()).or_default();
                    of_account.insert((at, r.id.clone()));
                }
                self.tasks.insert(r.id.clone(), Arc::new(r));
            }
            Row::Clock(r) => self.clock_ms = r.at_ms,
            Row::Use(r) => drop(self.uses.insert(r.used, Arc::new(r.last))),
            Row::Access(r) => {
                self.accesses.insert((r.principal.clone(), r.service.clone()), Arc::new(r));
            }
            Row::Sessions(r) => drop(self.sessions.insert(r.principal.clone(), Arc::new(r))),
            Row::Installation(r) => self.installation = Some(Arc::new(r)),
            Row::Group(r) => {
                let at = (r.account.clone(), r.name.folded());
                self.link(&EntityRef::Group(at.0.clone(), at.1.clone()), &r.grants);
                for user in r.members.keys() {
                    self.memberships.insert((user.clone(), at.0.clone(), at.1.clone()));
                }
                self.group_ids.insert(r.id.clone(), at.clone());
                self.groups.insert(at, Arc::new(r));
            }
            Row::Notice(r) => drop(self.notices.insert(r.role.clone(), Arc::new(r))),
            Row::OidcProvider(r) => {
                self.oidc_providers.insert((r.account.clone(), r.name.folded()), Arc::new(r));
            }
            Row::Nonce(r) => {
                self.nonce_ends.insert((r.until_ms, r.digest.clone()));
                self.nonces.insert(r.digest, r.until_ms);
            }
        }
    }

    fn put_role(&mut self, r: Role) {
        let at = (r.account.clone(), r.name.folded());
        match &r.kind {
            RoleKind::Own(own) => {
                self.link(&EntityRef::Role(at.0.clone(), at.1.clone()), &own.grants);
            }
            RoleKind::Linked(linked) => {
                let service = linked.template.service.clone();
                self.linked.insert((service, r.account.clone(), r.id.clone()));
            }
        }
        *self.role_counts.entry(r.account.clone()).or_insert(0) += 1;
        self.role_names.insert(r.id.clone(), at.clone());
        self.roles.insert(at, Arc::new(r));
    }

    fn forget(&mut self, key: &Key) {
        match key {
            Key::Account(id) => {
                if let Some(alias) = self.accounts.remove(id).and_then(|r| r.alias.clone()) {
                    self.aliases.remove(&alias);
                }
            }
            Key::User(account, name) => {
                if let Some(r) = self.users.remove(&(account.clone(), name.clone())) {
                    self.unlink(&EntityRef::User(account.clone(), name.clone()), &r.grants);
                    self.user_names.remove(&r.id);
                }
            }
            Key::AccessKey(id) => {
                if let Some(r) = self.keys.remove(id) {
                    self.keys_of.remove(&(r.owner.clone(), id.clone()));
                }
            }
            Key::Role(account, name) => self.forget_role(account, name),
            Key::Policy(account, name) => {
                if let Some(r) = self.policies.remove(&(account.clone(), name.clone())) {
                    self.policy_names.remove(&r.id);
                }
            }
            Key::Service(name) => {
                if let Some(r) = self.services.remove(name) {
                    self.names.remove(&r);
                }
            }
            Key::Enrolment(name) => drop(self.enrolments.remove(name)),
            Key::Usage(_, role, region, resource) => {
                let at = (role.clone(), region.clone(), resource.clone());
                if self.usages.remove(&at).is_some() {
                    match self.usage_counts.get_mut(role) {
                        Some(count) if *count > 1 => *count -= 1,
                        _ => drop(self.usage_counts.remove(role)),
                    }
                }
            }
            Key::UsageGuard(_, role, region) => {
                self.guards.remove(&(role.clone(), region.clone()));
            }
            Key::Ledger(_, role) => drop(self.ledgers.remove(role)),
            Key::Tombstone(_, role) => drop(self.tombstones.remove(role)),
            Key::Task(_, id) => {
                if let Some(r) = self.tasks.remove(id) {
                    if self.open_tasks.get(&r.role) == Some(id) {
                        self.open_tasks.remove(&r.role);
                    }
                    if let Some(at) = r.ended_ms
                        && let Some(of_account) = self.ended_tasks.get_mut(&r.account)
                    {
                        of_account.remove(&(at, id.clone()));
                    }
                }
            }
            Key::Clock() | Key::Installation() => {}
            Key::Access(_, principal, service) => {
                self.accesses.remove(&(principal.clone(), service.clone()));
            }
            Key::Sessions(_, principal) => drop(self.sessions.remove(principal)),
            Key::Notice(_, role) => drop(self.notices.remove(role)),
            Key::OidcProvider(account, name) => {
                self.oidc_providers.remove(&(account.clone(), name.clone()));
            }
            Key::Group(account, name) => {
                let at = (account.clone(), name.clone());
                if let Some(r) = self.groups.remove(&at) {
                    self.unlink(&EntityRef::Group(account.clone(), name.clone()), &r.grants);
                    for user in r.members.keys() {
                        self.memberships.remove(&(user.clone(), at.0.clone(), at.1.clone()));
                    }
                    self.group_ids.remove(&r.id);
                }
            }
            Key::Nonce(digest) => {
                if let Some(until_ms) = self.nonces.remove(digest) {
                    self.nonce_ends.remove(&(until_ms, digest.clone()));
                }
            }
            Key::Use(class, id) => {
                // Ids are in capitals, so the folded form loses nothing.
                let id = id.as_str().to_ascii_uppercase();
                let used = match *class {
                    "key" => KeyId::parse(&id).map(Used::Key),
                    _ => RoleId::parse(&id).map(Used::Role),
                };
                if let Ok(used) = used {
                    self.uses.remove(&used);
                }
            }
        }
    }

    fn forget_role(&mut self, account: &AccountId, name: &Folded) {
        let Some(r) = self.roles.remove(&(account.clone(), name.clone())) else { return };
        match &r.kind {
            RoleKind::Own(own) => {
                self.unlink(&EntityRef::Role(account.clone(), name.clone()), &own.grants);
            }
            RoleKind::Linked(linked) => {
                let service = linked.template.service.clone();
                self.linked.remove(&(service, account.clone(), r.id.clone()));
            }
        }
        self.role_names.remove(&r.id);
        match self.role_counts.get_mut(account) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.role_counts.remove(account)),
        }
    }

    fn link(&mut self, entity: &EntityRef, grants: &Grants) {
        for policy in grants.attached.keys() {
            self.links.insert((policy.clone(), entity.clone(), Link::Attached));
        }
        if let Some(policy) = &grants.boundary {
            self.links.insert((policy.clone(), entity.clone(), Link::Boundary));
        }
    }

    fn unlink(&mut self, entity: &EntityRef, grants: &Grants) {
        for policy in grants.attached.keys() {
            self.links.remove(&(policy.clone(), entity.clone(), Link::Attached));
        }
        if let Some(policy) = &grants.boundary {
            self.links.remove(&(policy.clone(), entity.clone(), Link::Boundary));
        }
    }
}

/// Looking things up.
impl State {
    /// An account.
    pub fn account(&self, id: &AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(id)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// A user by name, ignoring case.
    pub fn user(&self, account: &AccountId, name: &Folded) -> Option<&Arc<User>> {
        self.users.get(&(account.clone(), name.clone()))
    }

    /// A user by unique id.
    pub fn user_by_id(&self, id: &UserId) -> Option<&Arc<User>> {
        self.users.get(self.user_names.get(id)?)
    }

    /// The users of an account whose folded name comes after `after`, in order.
    pub fn users_of<'a>(
        &'a self,
        account: &AccountId,
        after: Option<&Folded>,
    ) -> impl Iterator<Item = &'a Arc<User>> + use<'a> {
        page(&self.users, account, after)
    }

    /// A group by name, ignoring case.
    pub fn group(&self, account: &AccountId, name: &Folded) -> Option<&Arc<Group>> {
        self.groups.get(&(account.clone(), name.clone()))
    }

    /// A group by unique id.
    pub fn group_by_id(&self, id: &GroupId) -> Option<&Arc<Group>> {
        self.groups.get(self.group_ids.get(id)?)
    }

    /// The groups of an account whose folded name comes after `after`, in order.
    pub fn groups_of_account<'a>(
        &'a self,
        account: &AccountId,
        after: Option<&Folded>,
    ) -> impl Iterator<Item = &'a Arc<Group>> + use<'a> {
        page(&self.groups, account, after)
    }

    /// The groups that a user is in, by name.
    pub fn groups_of<'a>(
        &'a self,
        user: &UserId,
    ) -> impl Iterator<Item = &'a Arc<Group>> + use<'a> {
        let user = user.clone();
        let from =
            AccountId::parse(FIRST_ACCOUNT).map(|first| (user.clone(), first, Folded::of("")));
        from.into_iter()
            .flat_map(|from| self.memberships.range(from..))
            .take_while(move |(member, _, _)| *member == user)
            .filter_map(|(_, account, name)| self.group(account, name))
    }

    /// The account that goes by an alias.
    pub fn account_of_alias(&self, alias: &AccountAlias) -> Option<&AccountId> {
        self.aliases.get(alias)
    }

    /// A provider of identities by its folded name.
    pub fn oidc_provider(&self, account: &AccountId, name: &Folded) -> Option<&Arc<OidcProvider>> {
        self.oidc_providers.get(&(account.clone(), name.clone()))
    }

    /// The providers of an account in order of names, after one of them.
    pub fn oidc_providers_of<'a>(
        &'a self,
        account: &AccountId,
        after: Option<&Folded>,
    ) -> impl Iterator<Item = &'a Arc<OidcProvider>> + use<'a> {
        page(&self.oidc_providers, account, after)
    }

    /// An access key.
    pub fn key(&self, id: &KeyId) -> Option<&Arc<AccessKey>> {
        self.keys.get(id)
    }

    /// The keys of one owner.
    pub fn keys_of<'a>(
        &'a self,
        owner: &'a KeyOwner,
    ) -> impl Iterator<Item = &'a Arc<AccessKey>> + use<'a> {
        let from = KeyId::parse("0000000000000000").map(|first| (owner.clone(), first));
        from.into_iter()
            .flat_map(|from| self.keys_of.range(from..))
            .take_while(move |(o, _)| o == owner)
            .filter_map(|(_, id)| self.keys.get(id))
    }

    /// A role by name, ignoring case.
    pub fn role(&self, account: &AccountId, name: &Folded) -> Option<&Arc<Role>> {
        self.roles.get(&(account.clone(), name.clone()))
    }

    /// A role by unique id.
    pub fn role_by_id(&self, id: &RoleId) -> Option<&Arc<Role>> {
        self.roles.get(self.role_names.get(id)?)
    }

    /// The roles of an account whose folded name comes after `after`, in order.
    pub fn roles_of<'a>(
        &'a self,
        account: &AccountId,
        after: Option<&Folded>,
    ) -> impl Iterator<Item = &'a Arc<Role>> + use<'a> {
        page(&self.roles, account, after)
    }

    /// Number of roles of an account, service-linked ones included.
    pub fn role_count(&self, account: &AccountId) -> u32 {
        self.role_counts.get(account).copied().unwrap_or(0)
    }

    /// The roles linked to a service, in one account or in all.
    pub fn linked_roles<'a>(
        &'a self,
        service: &'a ServiceName,
        account: Option<&'a AccountId>,
    ) -> impl Iterator<Item = &'a Arc<Role>> + use<'a> {
        let account_from = account.cloned().or_else(|| AccountId::parse(FIRST_ACCOUNT).ok());
        let from = account_from.zip(RoleId::parse(FIRST_ID).ok());
        from.into_iter()
            .flat_map(|(account, id)| self.linked.range((service.clone(), account, id)..))
            .take_while(move |(s, a, _)| s == service && account.is_none_or(|account| a == account))
            .filter_map(|(_, _, id)| self.role_by_id(id))
    }

    /// A customer policy by name, ignoring case.
    pub fn policy(&self, account: &AccountId, name: &Folded) -> Option<&Arc<ManagedPolicy>> {
        self.policies.get(&(account.clone(), name.clone()))
    }

    /// Whether a unique id is somebody's; of roles also whether it ever was, if a service owned it.
    pub fn knows_id(&self, class: Class, text: &str) -> bool {
        match class {
            Class::User => UserId::parse(text).is_ok_and(|id| self.user_by_id(&id).is_some()),
            Class::Group => GroupId::parse(text).is_ok_and(|id| self.group_ids.contains_key(&id)),
            Class::Policy => PolicyId::parse(text).is_ok_and(|id| self.policy_by_id(&id).is_some()),
            Class::Role => RoleId::parse(text).is_ok_and(|id| {
                self.role_by_id(&id).is_some() || self.tombstones.contains_key(&id)
            }),
        }
    }

    /// A customer policy by unique id.
    pub fn policy_by_id(&self, id: &PolicyId) -> Option<&Arc<ManagedPolicy>> {
        self.policies.get(self.policy_names.get(id)?)
    }

    /// The customer policies of an account whose folded name comes after `after`, in order.
    pub fn policies_of<'a>(
        &'a self,
        account: &AccountId,
        after: Option<&Folded>,
    ) -> impl Iterator<Item = &'a Arc<ManagedPolicy>> + use<'a> {
        page(&self.policies, account, after)
    }

    /// What refers to a managed policy, and how.
    pub fn links_of<'a>(
        &'a self,
        policy: &'a PolicyRef,
    ) -> impl Iterator<Item = (&'a EntityRef, Link)> + use<'a> {
        // Users come before all others in the order of what a policy is attached to.
        let first =
            AccountId::parse(FIRST_ACCOUNT).map(|account| EntityRef::User(account, Folded::of("")));
        first
            .into_iter()
            .flat_map(|first| self.links.range((policy.clone(), first, Link::Attached)..))
            .take_while(move |(p, _, _)| p == policy)
            .map(|(_, entity, link)| (entity, *link))
    }

    /// A linked service by its name.
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// All linked services.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// The names that services have taken.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The service and template behind a principal, byte for byte.
    pub fn template(&self, principal: &ServiceName) -> Option<(&Arc<Service>, &Template)> {
        let service = self.services.get(self.names.service(principal)?)?;
        Some((service, service.templates.get(principal)?))
    }

    /// The service and template behind the name of a role's policy.
    pub fn template_of_policy(
        &self,
        dialect: Dialect,
        name: &Folded,
    ) -> Option<(&Arc<Service>, &Template)> {
        let (service, principal) = self.names.policy(dialect, name)?;
        let service = self.services.get(service)?;
        Some((service, service.templates.get(principal.as_ref()?)?))
    }

    /// The policy of a name that a service offers to its customers.
    pub fn offered_policy(&self, dialect: Dialect, name: &Folded) -> Option<&OfferedPolicy> {
        let (service, _) = self.names.policy(dialect, name)?;
        self.services.get(service)?.policies.values().find(|policy| policy.name.folded() == *name)
    }

    /// An enrolment.
    pub fn enrolment(&self, service: &ServiceName) -> Option<&Arc<Enrolment>> {
        self.enrolments.get(service)
    }

    /// All enrolments.
    pub fn enrolments(&self) -> impl Iterator<Item = &Arc<Enrolment>> {
        self.enrolments.values()
    }

    /// The regions in which a role's uses were ever told.
    pub fn usage_regions(&self, role: &RoleId) -> Vec<Region> {
        let Ok(first) = Region::parse("-") else { return Vec::new() };
        let of_role = self.guards.range((role.clone(), first)..);
        of_role.take_while(|((r, _), _)| r == role).map(|((_, region), _)| region.clone()).collect()
    }

    /// Whether a use is registered.
    pub fn usage(&self, role: &RoleId, region: &Region, resource: &ResourceName) -> bool {
        self.usages.contains_key(&(role.clone(), region.clone(), resource.clone()))
    }

    /// The registered uses of a role, by region and resource.
    pub fn usages_of<'a>(
        &'a self,
        role: &RoleId,
    ) -> impl Iterator<Item = &'a Arc<Usage>> + use<'a> {
        let role = role.clone();
        let from = Region::parse("-").ok().zip(ResourceName::parse("!").ok());
        from.into_iter()
            .flat_map({
                let role = role.clone();
                move |(region, name)| self.usages.range((role.clone(), region, name)..)
            })
            .take_while(move |((r, _, _), _)| *r == role)
            .map(|(_, usage)| usage)
    }

    /// Number of registered uses of a role.
    pub fn usage_count(&self, role: &RoleId) -> usize {
        self.usage_counts.get(role).copied().unwrap_or(0)
    }

    /// The version of a usage set; 0 before the first change.
    pub fn usage_version(&self, role: &RoleId, region: &Region) -> u64 {
        self.guards.get(&(role.clone(), region.clone())).copied().unwrap_or(0)
    }

    /// The end of the last honoured session of a role; 0 when there never was one.
    pub fn ledger_ms(&self, role: &RoleId) -> i64 {
        self.ledgers.get(role).copied().unwrap_or(0)
    }

    /// The mark of a removed service-linked role.
    pub fn tombstone(&self, role: &RoleId) -> Option<&Arc<Tombstone>> {
        self.tombstones.get(role)
    }

    /// A deletion task.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<DeletionTask>> {
        self.tasks.get(id)
    }

    /// All deletion tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<DeletionTask>> {
        self.tasks.values()
    }

    /// The open deletion task of a role.
    pub fn open_task(&self, role: &RoleId) -> Option<&Arc<DeletionTask>> {
        self.tasks.get(self.open_tasks.get(role)?)
    }

    /// All open deletion tasks.
    pub fn open_tasks(&self) -> impl Iterator<Item = &Arc<DeletionTask>> {
        self.open_tasks.values().filter_map(|id| self.tasks.get(id))
    }

    /// The newest deletion task of a role, open or ended.
    pub fn last_task(&self, role: &Role) -> Option<&Arc<DeletionTask>> {
        let ended = self.ended_tasks.get(&role.account).into_iter().flat_map(OrdSet::iter).rev();
        let of_role = |id: &TaskId| self.tasks.get(id).filter(|task| task.role == role.id);
        self.open_task(&role.id).or_else(|| ended.into_iter().find_map(|(_, id)| of_role(id)))
    }

    /// The ended deletion tasks of an account, the oldest first.
    pub fn ended_tasks(&self, account: &AccountId) -> Option<&OrdSet<(i64, TaskId)>> {
        self.ended_tasks.get(account)
    }

    /// When something was last used.
    pub fn last_use(&self, used: &Used) -> Option<&Arc<LastUse>> {
        self.uses.get(used)
    }

    /// What a principal last tried at a service.
    pub fn access(&self, of: &PrincipalId, service: &Namespace) -> Option<&Arc<Access>> {
        self.accesses.get(&(of.clone(), service.clone()))
    }

    /// What a principal last tried at each service, in order.
    pub fn accesses_of<'a>(
        &'a self,
        of: &'a PrincipalId,
    ) -> impl Iterator<Item = &'a Arc<Access>> + use<'a> {
        let from = Namespace::parse("-").map(|first| (of.clone(), first));
        from.into_iter()
            .flat_map(|from| self.accesses.range(from..))
            .take_while(move |((principal, _), _)| principal == of)
            .map(|(_, row)| row)
    }

    /// How many sessions a principal has had.
    pub fn sessions(&self, of: &PrincipalId) -> Option<&Arc<Sessions>> {
        self.sessions.get(of)
    }

    /// What a role's service is still to be told.
    pub fn notice(&self, role: &RoleId) -> Option<&Arc<Notice>> {
        self.notices.get(role)
    }

    /// What all services are still to be told.
    pub fn notices(&self) -> impl Iterator<Item = &Arc<Notice>> {
        self.notices.values()
    }

    /// Whether a request was taken before, and is remembered.
    pub fn knows_nonce(&self, digest: &NonceDigest) -> bool {
        self.nonces.contains_key(digest)
    }

    /// Number of requests that are remembered.
    pub fn nonce_count(&self) -> usize {
        self.nonces.len()
    }

    /// Remembered requests that can be forgotten at a time, those that end first.
    pub fn ended_nonces(&self, now_ms: i64) -> impl Iterator<Item = &NonceDigest> {
        let ended = self.nonce_ends.iter().take_while(move |(until_ms, _)| *until_ms < now_ms);
        ended.map(|(_, digest)| digest)
    }

    /// The last time seen, in milliseconds since 1970.
    pub fn clock_ms(&self) -> i64 {
        self.clock_ms
    }

    /// What the installation fixed when it was made.
    pub fn installation(&self) -> Option<&Arc<Installation>> {
        self.installation.as_ref()
    }

    /// Every row, for comparing a loaded state with a live one.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        rows.extend(self.accounts.values().map(|r| Row::Account((**r).clone())));
        rows.extend(self.users.values().map(|r| Row::User((**r).clone())));
        rows.extend(self.oidc_providers.values().map(|r| Row::OidcProvider((**r).clone())));
        rows.extend(self.groups.values().map(|r| Row::Group((**r).clone())));
        rows.extend(self.keys.values().map(|r| Row::AccessKey((**r).clone())));
        rows.extend(self.roles.values().map(|r| Row::Role((**r).clone())));
        rows.extend(self.policies.values().map(|r| Row::Policy((**r).clone())));
        rows.extend(self.services.values().map(|r| Row::Service((**r).clone())));
        rows.extend(self.enrolments.values().map(|r| Row::Enrolment((**r).clone())));
        rows.extend(self.usages.values().map(|r| Row::Usage((**r).clone())));
        rows.extend(self.tombstones.values().map(|r| Row::Tombstone((**r).clone())));
        rows.extend(self.tasks.values().map(|r| Row::Task((**r).clone())));
        rows.extend(
            self.uses.iter().map(|(used, last)| {
                Row::Use(UseRow { used: used.clone(), last: (**last).clone() })
            }),
        );
        rows.extend(self.accesses.values().map(|r| Row::Access((**r).clone())));
        rows.extend(self.sessions.values().map(|r| Row::Sessions((**r).clone())));
        rows.extend(self.notices.values().map(|r| Row::Notice((**r).clone())));
        let nonces = self.nonces.iter();
        rows.extend(nonces.map(|(digest, until_ms)| {
            Row::Nonce(Nonce { digest: digest.clone(), until_ms: *until_ms })
        }));
        rows.push(Row::Clock(Clock { at_ms: self.clock_ms }));
        rows.extend(self.installation.iter().map(|r| Row::Installation((**r).clone())));
        let account_of = |role: &RoleId| {
            let live = self.role_by_id(role).map(|r| r.account.clone());
            live.or_else(|| self.tombstone(role).map(|t| t.account.clone()))
        };
        rows.extend(self.guards.iter().filter_map(|((role, region), version)| {
            Some(Row::UsageGuard(UsageGuard {
                account: account_of(role)?,
                role: role.clone(),
                region: region.clone(),
                version: *version,
            }))
        }));
        rows.extend(self.ledgers.iter().filter_map(|(role, at)| {
            Some(Row::Ledger(Ledger {
                account: account_of(role)?,
                role: role.clone(),
                last_expiry_ms: *at,
            }))
        }));
        rows
    }
}

fn page<'a, T>(
    table: &'a Named<T>,
    account: &AccountId,
    after: Option<&Folded>,
) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
    use std::ops::Bound;
    let account = account.clone();
    let start = match after {
        Some(name) => Bound::Excluded((account.clone(), name.clone())),
        None => Bound::Included((account.clone(), Folded::of(""))),
    };
    table
        .range((start, Bound::Unbounded))
        .take_while(move |((a, _), _)| *a == account)
        .map(|(_, row)| row)
}
