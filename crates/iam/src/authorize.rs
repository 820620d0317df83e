//! Who may: every command is checked here, on the state it runs on, before it does anything.
//!
//! [`check`] reads the guard of the operation's row in the table; there is no way to run a command
//! without it ([`crate::handle`] is the only caller of the resource files). Not here: how policies
//! are evaluated (`policy`), and what a command does.

use crate::caller::{Call, Identity, IdentityKind, Source};
use crate::command::*;
use crate::error::{Denial, Error};
use crate::operations::{Access, Guard};
use crate::rows::*;
use crate::state::State;
use crate::target;
use crate::text::*;
use crate::tx::Tx;
use policy::decision::Matched;
use policy::engine::{self, Set};
use policy::{
    Context, Decision, Dialect, Effect, Fact, Layer, Named, Request, ResourceKind, TagOf, Value,
    name,
};
use std::sync::Arc;

/// One question to the policies.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The language in which it is asked: that of the account that owns the resource.
    pub dialect: Dialect,
    /// The action, with its prefix.
    pub action: String,
    /// The resource; `None` for an action that has none.
    pub resource: Option<String>,
    /// Who owns the resource.
    pub account: Option<AccountId>,
    /// The keys that only this action has.
    pub context: Context,
}

impl Ask {
    /// A question without keys of its own.
    pub fn new(
        dialect: Dialect,
        action: &str,
        resource: Option<String>,
        account: Option<AccountId>,
    ) -> Self {
        Self { dialect, action: action.to_owned(), resource, account, context: Context::new() }
    }

    /// Tells a fact with one value.
    pub fn set(&mut self, fact: Fact, value: &str) {
        self.tell(fact, Value::Single(value.to_owned()));
    }

    /// Tells a fact with a list of values.
    pub fn set_list(&mut self, fact: Fact, values: Vec<String>) {
        self.tell(fact, Value::List(values));
    }

    fn tell(&mut self, fact: Fact, value: Value) {
        if let Some(key) = fact.key(self.dialect) {
            self.context.set(key, value);
        }
    }

    /// Whether a fact is told.
    pub fn tells(&self, fact: Fact) -> bool {
        fact.key(self.dialect).is_some_and(|key| self.context.get(key).is_some())
    }

    /// Tells one tag.
    pub fn set_tag(&mut self, of: TagOf, key: &TagKey, value: &TagValue) {
        for prefix in of.prefixes(self.dialect) {
            self.context.set(&format!("{prefix}{key}"), Value::Single(value.to_string()));
        }
    }

    /// Tells the tags of a request.
    pub fn set_tags(&mut self, tags: &[(TagKey, TagValue)]) {
        for (key, value) in tags {
            self.set_tag(TagOf::Request, key, value);
        }
        self.set_list(Fact::TagKeys, tags.iter().map(|(k, _)| k.to_string()).collect());
    }
}

/// Checks that this caller may run this command, and names what it is about.
///
/// Errors: `AccessDenied`; the errors of a target that cannot be named at all.
pub fn check(tx: &mut Tx<'_>, me: &Identity, call: &Call) -> Result<(), Error> {
    let operation = call.command.operation();
    // What proves a service opens a session of it, and nothing else.
    if matches!(me.kind, IdentityKind::Workload(_)) && operation.facts().guard != Guard::Workload {
        return Err(refuse(me, operation.action(tx.dialect_of(me)), None, None));
    }
    // What a service may do in its caller's name ends with that name: nothing to keep comes of it.
    if me.via().is_some() && operation.facts().access == Access::Mint {
        return Err(refuse(me, operation.action(tx.dialect_of(me)), None, None));
    }
    let allowed = match operation.facts().guard {
        Guard::Trust => return Ok(()), // decided with the role in hand, in `session`
        Guard::Authenticated => {
            !matches!(me.kind, IdentityKind::Anonymous | IdentityKind::Federated(_))
        }
        Guard::Member => me.account.is_some() && !me.principal.service_linked,
        Guard::Operator => matches!(me.kind, IdentityKind::Operator),
        Guard::Enrolment => {
            matches!(me.kind, IdentityKind::Operator | IdentityKind::Anonymous)
        }
        Guard::System => matches!(me.kind, IdentityKind::System),
        Guard::OwnService => me.service().is_some(),
        Guard::Workload => matches!(me.kind, IdentityKind::Workload(_)),
        Guard::Policy => return check_policies(tx, me, call),
    };
    if allowed { Ok(()) } else { Err(refuse(me, operation.action(tx.dialect_of(me)), None, None)) }
}

fn check_policies(tx: &mut Tx<'_>, me: &Identity, call: &Call) -> Result<(), Error> {
    let action = call.command.operation().action(tx.dialect_of(me));
    if matches!(
        me.kind,
        IdentityKind::Service(_)
            | IdentityKind::Anonymous
            | IdentityKind::Federated(_)
            | IdentityKind::Workload(_)
            | IdentityKind::Operator
            | IdentityKind::System
    ) {
        return Err(refuse(me, action, None, None));
    }
    for ask in target::questions(tx, me, &call.command)? {
        if let (Some(resource), Some(account)) = (&ask.resource, &ask.account) {
            tx.touch(account, resource.clone());
        }
        let decision = decide(tx.state(), me, &call.source, tx.now(), &ask, None);
        if !decision.allowed() {
            return Err(refuse(me, ask.action, ask.resource, Some(decision)));
        }
    }
    Ok(())
}

/// Checks that a caller may have a service-linked role made in its name by the service.
pub fn check_creation(
    tx: &Tx<'_>,
    on_behalf: &Identity,
    source: &Source,
    principal: &str,
    role_arn: &str,
    via: &Service,
) -> Result<(), Error> {
    let mut ask = target::creation(tx, principal, role_arn.to_owned(), on_behalf.home()?);
    ask.set(Fact::ViaService, "true");
    ask.set_list(Fact::CalledVia, vec![via.name.to_string()]);
    let decision = decide(tx.state(), on_behalf, source, tx.now(), &ask, None);
    if decision.allowed() {
        Ok(())
    } else {
        Err(refuse(on_behalf, ask.action, ask.resource, Some(decision)))
    }
}

/// Answers a linked service's question about a caller whose request it received.
pub fn answer(
    tx: &Tx<'_>,
    on_behalf: &Identity,
    source: &Source,
    service: &Service,
    question: &Question,
) -> Result<(Decision, Option<String>), Error> {
    let prefix = question.action.split(':').next().unwrap_or_default();
    let account = owner(question)?.or_else(|| on_behalf.account.clone());
    let dialect = account
        .as_ref()
        .and_then(|account| crate::caller::dialect(tx.state(), account))
        .unwrap_or_else(|| tx.dialect_of(on_behalf));
    let passes = question.action == pass_role(dialect);
    // INVARIANT(own-actions): a service asks about its own actions; about nobody else's.
    if !service.signing_names.contains(prefix) && !passes {
        return Err(Error::Invalid {
            field: "action",
            message: format!(
                "`{}` is no action of `{}`; expected one of its signing names ({}) before the colon",
                question.action,
                service.name,
                service.signing_names.iter().cloned().collect::<Vec<_>>().join(", "),
            ),
        });
    }
    let mut ask = Ask::new(dialect, &question.action, question.resource.clone(), account);
    for (key, values) in &question.context {
        if !may_vouch(key, service, dialect) {
            return Err(Error::Invalid {
                field: "context",
                message: format!(
                    "`{key}` is known to linkrole itself and cannot be told; leave it out"
                ),
            });
        }
        check_source(on_behalf, key, values)?;
        let passed = Fact::PassedToService.key(dialect);
        if passed.is_some_and(|passed| key.eq_ignore_ascii_case(passed))
            && values.iter().any(|value| value != service.name.as_str())
        {
            return Err(Error::Invalid {
                field: "context",
                message: format!("`{key}` can only be the asking service, `{}`", service.name),
            });
        }
        let value = match values.as_slice() {
            [one] => Value::Single(one.clone()),
            many => Value::List(many.to_vec()),
        };
        ask.context.set(key, value);
    }
    if passes {
        passed_role(tx, &mut ask)?;
        ask.set(Fact::PassedToService, service.name.as_str());
    }
    if passes && is_linked_role(tx.state(), question.resource.as_deref()) {
        // A service-linked role cannot be passed, whatever a policy says.
        let decision = Decision {
            effect: Effect::ExplicitDeny,
            layer: Layer::Service,
            blocked_by: vec![Layer::Service],
            matched: Vec::new(),
        };
        let text = policy::denial_text(
            &decision,
            &on_behalf.name(),
            &ask.action,
            ask.resource.as_deref(),
            false,
        );
        return Ok((decision, Some(text)));
    }
    let decision = decide(tx.state(), on_behalf, source, tx.now(), &ask, None);
    let text = (!decision.allowed()).then(|| {
        policy::denial_text(
            &decision,
            &on_behalf.name(),
            &ask.action,
            ask.resource.as_deref(),
            false,
        )
    });
    Ok((decision, text))
}

/// Whose the resource of a question is: what the question says, and its name must not say otherwise.
fn owner(question: &Question) -> Result<Option<AccountId>, Error> {
    let named = question.resource.as_deref().and_then(name::account_of);
    let Some(named) = named.and_then(|id| AccountId::parse(id).ok()) else {
        return Ok(question.account.clone());
    };
    match &question.account {
        Some(account) if *account != named => Err(Error::Invalid {
            field: "account",
            message: format!(
                "the resource is one of account {named}, but the question is about account \
                 {account}; leave `account` out or give the one that the resource names"
            ),
        }),
        _ => Ok(Some(named)),
    }
}

/// The action of handing a role to a service.
fn pass_role(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Aws => "iam:PassRole",
        Dialect::Alibaba => "ram:PassRole",
    }
}

/// The keys that a service knows better than linkrole: its own, its resources', its connection's.
fn may_vouch(key: &str, service: &Service, dialect: Dialect) -> bool {
    let facts = [
        Fact::SourceIp,
        Fact::SecureTransport,
        Fact::UserAgent,
        Fact::TagKeys,
        Fact::PassedToService,
    ];
    let told = facts.iter().filter_map(|fact| fact.key(dialect));
    let key = key.to_ascii_lowercase();
    let of_requests = ["aws:referer", "aws:sourcearn", "aws:sourceaccount"];
    let tags = [TagOf::Request, TagOf::Resource].into_iter().flat_map(|of| of.prefixes(dialect));
    told.into_iter().any(|name| key.eq_ignore_ascii_case(name))
        || of_requests.contains(&key.as_str())
        || tags.into_iter().any(|prefix| {
            // Tags of what is linkrole's own are known here.
            !prefix.starts_with("iam:") && key.starts_with(&prefix.to_ascii_lowercase())
        })
        || key.split(':').next().is_some_and(|prefix| service.signing_names.contains(prefix))
}

/// For whom a call is made is what its signature tells: the account of whoever signed. A service that is told
/// another tenant's account or resource, and tells it on, is not believed.
fn check_source(caller: &Identity, key: &str, values: &[String]) -> Result<(), Error> {
    let account = |value: &String| match key.to_ascii_lowercase().as_str() {
        "aws:sourceaccount" => Some(value.clone()),
        "aws:sourcearn" => Some(value.split(':').nth(4).unwrap_or_default().to_owned()),
        _ => None,
    };
    let own = caller.account.as_ref().map(AccountId::as_str);
    match values.iter().filter_map(account).find(|told| Some(told.as_str()) != own) {
        None => Ok(()),
        Some(told) => Err(Error::Invalid {
            field: "context",
            message: format!(
                "`{key}` says account `{told}`; expected that of the caller, {}",
                own.unwrap_or("which has none")
            ),
        }),
    }
}

/// Asks about the role that a name to be passed really names: in the account that the name tells,
/// and under its stored name, whatever the spelling.
fn passed_role(tx: &Tx<'_>, ask: &mut Ask) -> Result<(), Error> {
    let none = || Error::Invalid {
        field: "resource",
        message: "expected the complete name of a role, as what is handed on is a role".into(),
    };
    let named = ask.resource.as_deref().and_then(name::parse_entity);
    let Some(name::Entity::Role { account, name, .. }) = named else { return Err(none()) };
    let account = AccountId::parse(&account).map_err(|_| none())?;
    if let Some(role) = tx.state().role(&account, &Folded::of(&name)) {
        ask.resource = Some(tx.role_arn(role));
    }
    ask.account = Some(account);
    Ok(())
}

fn is_linked_role(state: &State, arn: Option<&str>) -> bool {
    let Some(name::Entity::Role { account, name, .. }) = arn.and_then(name::parse_entity) else {
        return false;
    };
    AccountId::parse(&account)
        .ok()
        .and_then(|account| state.role(&account, &Folded::of(&name)).cloned())
        .is_some_and(|role| matches!(role.kind, RoleKind::Linked(_)))
}

/// Asks a role's trust policy and the caller's own policies together.
pub fn ask_role_trust(
    tx: &Tx<'_>,
    me: &Identity,
    source: &Source,
    role: &Arc<Role>,
    ask: Ask,
) -> Decision {
    let RoleKind::Own(own) = &role.kind else { return nobody() };
    let trust = live_trust(tx.state(), own);
    decide(tx.state(), me, source, tx.now(), &ask, Some(trust))
}

/// The trust policy with deleted principals replaced by the ids they had: a principal made again
/// under the name is another one.
fn live_trust(state: &State, own: &OwnRole) -> Arc<Set> {
    let gone = |text: &str| {
        let id = own.pins.get(text)?;
        (principal_id(state, text).as_ref() != Some(id)).then(|| id.clone())
    };
    let document = own.trust.document();
    if document.aws_principals().all(|text| gone(text).is_none()) {
        return own.trust.set().clone();
    }
    let document = document.map_aws_principals(&gone);
    Arc::new(Set::new(&[Named { name: TRUST, document: &document }]))
}

/// The name that a trust policy goes by in reasons.
const TRUST: &str = "trust";

/// The unique id of the user or role that an ARN names now; of a role's session, the role's.
pub fn principal_id(state: &State, arn: &str) -> Option<String> {
    let entity = name::parse_entity(arn)?;
    let (name::Entity::User { account, .. }
    | name::Entity::Role { account, .. }
    | name::Entity::AssumedRole { account, .. }) = &entity
    else {
        return None;
    };
    let account = AccountId::parse(account).ok()?;
    let dialect = crate::caller::dialect(state, &account)?;
    let owner = account.as_str();
    // The stored thing's own ARN must be this text: a name found ignoring case proves nothing.
    let (stored, id) = match &entity {
        name::Entity::User { name, .. } => {
            let user = state.user(&account, &Folded::of(name))?;
            let stored = name::user(dialect, owner, user.path.as_str(), user.name.as_str());
            (stored, user.id.to_string())
        }
        name::Entity::Role { name, .. } => {
            let role = state.role(&account, &Folded::of(name))?;
            let stored = name::role(dialect, owner, role.path.as_str(), role.name.as_str());
            (stored, role.id.to_string())
        }
        name::Entity::AssumedRole { role, session, .. } => {
            let role = state.role(&account, &Folded::of(role))?;
            let stored = name::assumed_role(dialect, owner, role.name.as_str(), session);
            (stored, role.id.to_string())
        }
        _ => return None,
    };
    (stored == arn).then_some(id)
}

/// Evaluates all layers for one question.
pub fn decide(
    state: &State,
    me: &Identity,
    source: &Source,
    now_ms: i64,
    ask: &Ask,
    trust: Option<Arc<Set>>,
) -> Decision {
    if matches!(me.kind, IdentityKind::Builtin) && ask.account == me.account && trust.is_none() {
        return Decision {
            effect: Effect::Allow,
            layer: Layer::Identity,
            blocked_by: Vec::new(),
            matched: Vec::new(),
        };
    }
    let owner = ask.account.as_ref().or(me.account.as_ref());
    let request = Request {
        dialect: ask.dialect,
        action: ask.action.clone(),
        resource: ask.resource.clone().unwrap_or_else(|| "*".to_owned()),
        wildcard_only: ask.resource.is_none(),
        resource_account: owner.map(ToString::to_string),
        principal: me.principal.clone(),
        context: context(me, source, now_ms, ask),
    };
    let policies = Policies::of(state, me);
    let trust = trust.map(|set| vec![set]);
    let sets = policies.sets();
    let layers =
        engine::Layers { resource: trust.as_deref(), kind: ResourceKind::Trust, ..sets.layers() };
    let verdict = layers.verdict(&request);
    // Only what is refused needs all reasons.
    if let (Effect::Allow, Some(reason)) = (verdict.effect, verdict.reason) {
        let (effect, layer) = (verdict.effect, verdict.layer);
        let matched = policies.matched(&reason).into_iter().collect();
        return Decision { effect, layer, blocked_by: Vec::new(), matched };
    }
    let engine::Answer { effect, layer, blocked_by, matched } = layers.answer(&request);
    let matched = matched.iter().filter_map(|reason| policies.matched(reason)).collect();
    let blocked_by = blocked_by.into_iter().map(|layer| policies.named(layer)).collect();
    Decision { effect, layer: policies.named(layer), blocked_by, matched }
}

/// The global condition keys, from typed facts of the server and from nothing a client sends.
fn context(me: &Identity, source: &Source, now_ms: i64, ask: &Ask) -> Context {
    let now = now_ms.div_euclid(1_000).to_string();
    let mut all = Ask { context: Context::new(), ..ask.clone() };
    all.set(Fact::EpochTime, &now);
    all.set(Fact::CurrentTime, &now);
    all.set(Fact::SecureTransport, if source.tls { "true" } else { "false" });
    for (fact, text) in [
        (Fact::SourceIp, &source.ip),
        (Fact::UserAgent, &source.user_agent),
        (Fact::RequestedRegion, &source.region),
    ] {
        if !text.is_empty() {
            all.set(fact, text);
        }
    }
    all.set(Fact::PrincipalIsService, if me.service().is_some() { "true" } else { "false" });
    all.set(Fact::ViaService, if me.via().is_some() { "true" } else { "false" });
    if let Some(via) = me.via() {
        all.set_list(Fact::CalledVia, vec![via.to_string()]);
    }
    if let Some(service) = me.service() {
        all.set(Fact::PrincipalServiceName, service.name.as_str());
        let told = &source.made_for;
        for (fact, text) in [(Fact::SourceAccount, &told.account), (Fact::SourceArn, &told.arn)] {
            if let Some(text) = text {
                all.set(fact, text);
            }
        }
    }
    if let Some(account) = &me.account {
        all.set(Fact::PrincipalAccount, account.as_str());
    }
    if let Some(id) = &me.principal.id {
        all.set(Fact::UserId, id);
    }
    if let Some(arn) = me.principal.role_arn.as_ref().or(me.principal.arn.as_ref()) {
        all.set(Fact::PrincipalArn, arn);
    }
    let kind = match &me.kind {
        IdentityKind::Root => Some("Account"),
        IdentityKind::User(_) | IdentityKind::Builtin => Some("User"),
        IdentityKind::Role(_) => Some("AssumedRole"),
        IdentityKind::Service(_) => Some("Service"),
        IdentityKind::Anonymous => Some("Anonymous"),
        IdentityKind::Operator
        | IdentityKind::System
        | IdentityKind::Federated(_)
        | IdentityKind::Workload(_) => None,
    };
    if let Some(kind) = kind {
        all.set(Fact::PrincipalType, kind);
    }
    if let IdentityKind::Federated(token) = &me.kind {
        all.set(Fact::TokenIssuer, &token.issuer);
        all.set(Fact::TokenSubject, &token.subject);
        all.set(Fact::TokenAudience, &token.client);
    }
    if let IdentityKind::User(user) = &me.kind {
        all.set(Fact::UserName, user.name.as_str());
    }
    if let Some(session) = &me.session {
        all.set(Fact::TokenIssueTime, &session.issued_ms.div_euclid(1_000).to_string());
        all.set(Fact::MfaPresent, "false");
        if let Some(identity) = &session.source_identity {
            all.set(Fact::SourceIdentity, identity.as_str());
        }
    }
    let tags = match (&me.kind, &me.session) {
        (IdentityKind::User(user), _) => vec![&user.tags],
        (IdentityKind::Role(role), Some(session)) => vec![&role.tags, &session.tags],
        _ => Vec::new(),
    };
    for (key, value) in tags.into_iter().flat_map(Tags::iter) {
        all.set_tag(TagOf::Principal, key, value);
    }
    for (key, value) in ask.context.iter() {
        all.context.set(key, value.clone());
    }
    all.context
}

/// The policies that bind a caller, by layer.
struct Policies {
    identity: NamedPolicies,
    /// What the account lets a linked service's role do at most, or what a service may call onward in the
    /// caller's name; nothing goes round it.
    ceiling: Option<NamedPolicies>,
    /// Whether it is the latter.
    is_forwarded: bool,
    boundary: Option<NamedPolicies>,
    session: Option<NamedPolicies>,
}

/// The same as they are evaluated.
struct Sets {
    identity: Vec<Arc<Set>>,
    ceiling: Option<Vec<Arc<Set>>>,
    boundary: Option<Vec<Arc<Set>>>,
    session: Option<Vec<Arc<Set>>>,
}

impl Sets {
    fn layers(&self) -> engine::Layers<'_> {
        engine::Layers {
            identity: &self.identity,
            // The layer that must allow whatever else does, and that binds linked roles too.
            endpoint: self.ceiling.as_deref(),
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
            ..engine::Layers::default()
        }
    }
}

impl Policies {
    fn of(state: &State, me: &Identity) -> Self {
        let dialect = me.dialect(state);
        let (identity, boundary) = match &me.kind {
            IdentityKind::User(user) => {
                let (mut identity, boundary) = granted(state, dialect, &user.grants);
                // Those of groups count like the user's own; a boundary binds both.
                for group in state.groups_of(&user.id) {
                    identity.extend(granted(state, dialect, &group.grants).0);
                }
                (identity, boundary)
            }
            IdentityKind::Role(role) => match &role.kind {
                RoleKind::Own(own) => granted(state, dialect, &own.grants),
                RoleKind::Linked(linked) => (template(state, dialect, role, linked), None),
            },
            IdentityKind::Builtin => {
                (crate::catalog::administrator(dialect).into_iter().collect(), None)
            }
            _ => (Vec::new(), None),
        };
        let session = me.session.as_ref().filter(|s| s.is_restricted()).map(|claims| {
            let inline = claims.policy.iter().map(|p| ("session".to_owned(), p.clone()));
            // A managed session policy is read live; one that is gone allows nothing.
            let managed = claims.policies.iter().filter_map(|p| managed(state, dialect, p));
            inline.chain(managed).collect()
        });
        let is_forwarded = me.via().is_some();
        let ceiling = if is_forwarded { onward(state, me) } else { ceiling(state, me) };
        Self { identity, ceiling, is_forwarded, boundary, session }
    }

    fn sets(&self) -> Sets {
        fn sets(list: &NamedPolicies) -> Vec<Arc<Set>> {
            list.iter().map(|(_, policy)| policy.set().clone()).collect()
        }
        Sets {
            identity: sets(&self.identity),
            ceiling: self.ceiling.as_ref().map(sets),
            boundary: self.boundary.as_ref().map(sets),
            session: self.session.as_ref().map(sets),
        }
    }

    /// A layer as it is named here: ceilings are evaluated where private endpoints would be.
    fn named(&self, layer: Layer) -> Layer {
        match (layer, self.is_forwarded) {
            (Layer::Endpoint, false) => Layer::Ceiling,
            (Layer::Endpoint, true) => Layer::Service,
            (other, _) => other,
        }
    }

    /// A statement that had a part in a decision, by the name of its policy.
    fn matched(&self, reason: &engine::Reason) -> Option<Matched> {
        let statement = reason.statement as usize;
        let (policy, sid) = match reason.layer {
            Layer::Resource => (TRUST.to_owned(), None),
            layer => {
                let list = match layer {
                    Layer::Boundary => self.boundary.as_ref()?,
                    Layer::Endpoint => self.ceiling.as_ref()?,
                    Layer::Session => self.session.as_ref()?,
                    _ => &self.identity,
                };
                let (name, policy) = list.get(reason.set as usize)?;
                let found = policy.document().statements().get(statement)?;
                (name.clone(), found.sid.clone())
            }
        };
        Some(Matched {
            policy,
            statement,
            sid,
            layer: self.named(reason.layer),
            effect: reason.effect,
        })
    }
}

/// Policies with the names they go by in reasons, each a set of its own.
type NamedPolicies = Vec<(String, PermissionsPolicy)>;

fn granted(
    state: &State,
    dialect: Dialect,
    grants: &Grants,
) -> (NamedPolicies, Option<NamedPolicies>) {
    let attached = grants.attached.keys().filter_map(|policy| managed(state, dialect, policy));
    let inline = grants.inline.iter().map(|(name, policy)| (name.to_string(), policy.clone()));
    // A boundary that is gone allows nothing.
    let bound = |policy: &PolicyRef| managed(state, dialect, policy).into_iter().collect();
    let boundary = grants.boundary.as_ref().map(bound);
    (attached.chain(inline).collect(), boundary)
}

pub(crate) fn managed(
    state: &State,
    dialect: Dialect,
    policy: &PolicyRef,
) -> Option<(String, PermissionsPolicy)> {
    match policy {
        PolicyRef::Customer(id) => {
            let row = state.policy_by_id(id)?;
            let version = row.versions.get(&row.default_version)?;
            Some((row.name.to_string(), version.document.clone()))
        }
        PolicyRef::System { path, name } => {
            let ours = crate::offered::system_policy(state, dialect, path, name)?;
            Some((name.to_string(), ours.document.clone()))
        }
    }
}

/// What the service that calls onward declares in its manifest; of one that is gone, nothing.
fn onward(state: &State, me: &Identity) -> Option<NamedPolicies> {
    let via = me.via()?;
    let document = state.service(via).and_then(|service| service.forward.of(me.dialect(state)));
    Some(document.map(|d| (format!("onward calls of {via}"), d.clone())).into_iter().collect())
}

/// The bound that an account sets for the role of a linked service.
fn ceiling(state: &State, me: &Identity) -> Option<NamedPolicies> {
    let IdentityKind::Role(role) = &me.kind else { return None };
    let RoleKind::Linked(found) = &role.kind else { return None };
    let terms = &state.account(&role.account)?.terms;
    let ceiling = terms.ceilings.get(&found.template.principal)?;
    Some(vec![(format!("ceiling for {}", found.template.principal), ceiling.clone())])
}

pub(crate) fn template(
    state: &State,
    dialect: Dialect,
    role: &Role,
    linked: &LinkedRole,
) -> NamedPolicies {
    let version = crate::linked::version_in_force(state, &role.account, &linked.template);
    let found = state.template(&linked.template.principal).and_then(|(_, found)| {
        let document = found.versions.get(&version)?.of(dialect)?;
        Some((found.policy.to_string(), document.clone()))
    });
    found.into_iter().collect()
}

/// A refusal without a policy in sight.
pub fn refuse(
    me: &Identity,
    action: String,
    resource: Option<String>,
    decision: Option<Decision>,
) -> Error {
    Error::AccessDenied(Box::new(Denial { principal: me.name(), action, resource, decision }))
}

/// What a sealed diagnosis of a refusal is bound to: its account, and nothing else opens it.
pub fn diagnosis_place(account: &AccountId) -> [&str; 2] {
    ["a refusal's diagnosis", account.as_str()]
}

fn nobody() -> Decision {
    Decision {
        effect: Effect::ImplicitDeny,
        layer: Layer::Resource,
        blocked_by: Vec::new(),
        matched: Vec::new(),
    }
}
