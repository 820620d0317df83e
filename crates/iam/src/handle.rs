//! The product as one pure function: a state and a call in, an answer, changes and an event out.
//!
//! Every operation of every dialect goes through [`handle`], so nothing can skip authorization or
//! the trail. No I/O, no clock, no randomness but what [`Env`] brings.

use crate::audit::Event;
use crate::authorize;
use crate::caller::{Call, Identity, IdentityKind, MadeFor, Source, resolve};
use crate::command::Command as C;
use crate::error::Error;
use crate::output::Output;
use crate::rows::Change;
use crate::state::State;
use crate::tx::{Env, Tx};
use crate::{
    access, access_key, access_report, account, attachment, callback, deletion, group, identity,
    linked, managed_policy, provider, role, role_policy, service, session, tagging, terms, trigger,
    usage, user,
};

/// What a call leads to.
pub struct Handled {
    /// The answer.
    pub outcome: Result<Output, Error>,
    /// The changes to store, none of them when the call failed.
    pub changes: Vec<Change>,
    /// What the trail keeps of it.
    pub event: Event,
    /// What the trail keeps beside it, one for each account that it concerns and that learns nothing of the others.
    pub notices: Vec<Event>,
    /// The state after it; the state before it when the call failed.
    pub next: State,
}

/// Runs one call on a state.
///
/// The caller is resolved again on this very state: its key active, its session alive, its role
/// still there. A call that fails changes nothing but that its request was taken.
pub fn handle(state: &State, call: &Call, env: &mut Env<'_>) -> Handled {
    let mut tx = Tx::begin(state, env);
    let now_ms = tx.now();
    let id = tx.uuid();
    let taken = call.nonce.as_ref().map_or(Ok(()), |once| tx.take_once(once));
    let me = resolve(tx.state(), &call.caller, now_ms);
    let outcome = match (&me, taken, &call.refusal) {
        (Err(error), ..) => Err(error.clone()),
        (Ok(_), Err(error), _) => Err(error),
        (Ok(_), Ok(()), Some(refusal)) => Err(Error::Refused(Box::new(refusal.clone()))),
        (Ok(me), Ok(()), None) => run(&mut tx, me, call),
    };
    let mut finished = tx.finish();
    let taken = std::mem::take(&mut finished.taken);
    let concerned = std::mem::take(&mut finished.concerned);
    let event = Event::of(id, now_ms, state, call, me.ok().as_ref(), &outcome, &finished);
    let notices = match outcome {
        Ok(_) => concerned.into_iter().map(|to| event.notice(to, &finished.state)).collect(),
        Err(_) => Vec::new(),
    };
    // A request that was taken is taken, whatever came of it.
    match outcome {
        Ok(_) => {
            let changes = taken.into_iter().chain(finished.changes).collect();
            Handled { outcome, changes, event, notices, next: finished.state }
        }
        Err(_) => {
            let mut next = state.clone();
            taken.iter().for_each(|change| next.apply(change));
            Handled { outcome, changes: taken, event, notices, next }
        }
    }
}

fn run(tx: &mut Tx<'_>, me: &Identity, call: &Call) -> Result<Output, Error> {
    if let C::Unread(_) = call.command {
        return Err(Error::Internal("a request that does not read was to be run"));
    }
    authorize::check(tx, me, call)?;
    match &call.command {
        C::GetCallerIdentity => Ok(Output::Caller(me.view())),
        C::ConsoleLogin => Ok(Output::Caller(me.view())),
        C::GetAccessKeyInfo { key } => access_key::account_of(tx, key),
        C::AssumeRole(ask) => session::assume_role(tx, me, &call.source, ask),
        C::GetSessionToken { duration_s } => session::session_token(tx, me, *duration_s),
        C::LookupEvents => Ok(Output::Trail { account: Some(me.home()?) }),
        C::ReadTrail => Ok(Output::Trail { account: None }),
        C::CreateAccount { id, dialect, role_quota } => {
            account::create(tx, id.as_ref(), *dialect, *role_quota)
        }
        C::ListAccounts => Ok(Output::Accounts(tx.state().accounts().cloned().collect())),
        C::ForceDeleteServiceLinkedRole { account, role, confirm } => {
            deletion::force(tx, account, role, confirm.as_deref())
        }
        C::StepDeletion(step) => deletion::step(tx, step),
        C::SettleNotice(notice) => callback::settle(tx, notice).map(|()| Output::Done),
        C::Sweep => deletion::sweep(tx),
        C::RecordUse { noted, .. } => access::record(tx, noted),
        C::CreateServiceSession { service } => identity::open(tx, me, service),
        C::EnrolService { .. }
        | C::RegisterService { .. }
        | C::StockServices { .. }
        | C::DiffService { .. }
        | C::UpdateService { .. }
        | C::ImportServicePolicy(_)
        | C::RemoveService { .. }
        | C::CreateServiceKey { .. }
        | C::ExportCatalog { .. }
        | C::ListServices
        | C::GetService { .. } => service::run(tx, me, &call.command),
        C::EnsureServiceLinkedRole { .. }
        | C::IntroduceServiceLinkedRole { .. }
        | C::ForwardAccess
        | C::AuthorizeRequest(_)
        | C::RegisterUsage { .. }
        | C::DeregisterUsage { .. }
        | C::ReconcileUsage { .. }
        | C::ListUsage { .. }
        | C::ReleaseSessions { .. }
        | C::RetireServiceLinkedRole { .. } => run_for_service(tx, me, call),
        _ => run_in_account(tx, me, &call.command),
    }
}

/// What a linked service may do with what is its own.
fn run_for_service(tx: &mut Tx<'_>, me: &Identity, call: &Call) -> Result<Output, Error> {
    let IdentityKind::Service(service) = &me.kind else {
        return Err(authorize::refuse(
            me,
            call.command.operation().action(tx.dialect_of(me)),
            None,
            None,
        ));
    };
    match &call.command {
        C::EnsureServiceLinkedRole { principal, suffix } => {
            let on_behalf = on_behalf(tx, call)?;
            let source = caller_source(&call.source);
            linked::ensure(tx, service, &on_behalf, &source, principal, suffix.as_ref())
        }
        C::IntroduceServiceLinkedRole { account, principal } => {
            linked::introduce(tx, service, account, principal)
        }
        C::ForwardAccess => {
            let on_behalf = on_behalf(tx, call)?;
            session::forward(tx, service, &on_behalf)
        }
        C::AuthorizeRequest(question) => {
            let on_behalf = on_behalf(tx, call)?;
            let source = caller_source(&call.source);
            let (decision, message) =
                authorize::answer(tx, &on_behalf, &source, service, question)?;
            let account_dialect = on_behalf.dialect(tx.state());
            let missing =
                on_behalf.account.as_ref().filter(|_| decision.allowed()).map(|account| {
                    trigger::missing(
                        tx.state(),
                        service,
                        account,
                        account_dialect,
                        &question.action,
                    )
                });
            Ok(Output::Authorized {
                decision,
                message,
                ensure: missing.unwrap_or_default(),
                account_dialect,
                caller: on_behalf.view(),
            })
        }
        command => usage::run(tx, service, command),
    }
}

/// What is known of where a caller is whose request a service presents: of address and program
/// only what the service tells; they are not those of the service.
fn caller_source(source: &Source) -> Source {
    let made_for = MadeFor::default();
    Source { ip: String::new(), user_agent: String::new(), made_for, ..source.clone() }
}

/// The living caller whose signed request the service presents.
fn on_behalf(tx: &Tx<'_>, call: &Call) -> Result<Identity, Error> {
    let caller = call.on_behalf.as_ref().ok_or(Error::Invalid {
        field: "forwarded",
        message: "expected the signed parts of the caller's request; found none".into(),
    })?;
    resolve(tx.state(), caller, tx.now())
}

/// What an account's own principals do with what is the account's.
fn run_in_account(tx: &mut Tx<'_>, me: &Identity, command: &C) -> Result<Output, Error> {
    let account = me.home()?;
    match command {
        C::CreateServiceLinkedRole { principal, suffix, description } => {
            linked::create(tx, &account, principal, suffix.as_ref(), description.as_ref())
        }
        C::GetServiceLinkedRoleTemplate { principal } => {
            linked::templates(tx, &account, principal.as_deref())
        }
        C::PreviewServiceLinkedRole { principal, suffix } => {
            linked::preview(tx, &account, principal, suffix.as_ref())
        }
        C::GetServiceTerms
        | C::UpdateServiceTerms(_)
        | C::PutServiceCeiling { .. }
        | C::DeleteServiceCeiling { .. }
        | C::AcceptServiceUpdate { .. } => terms::run(tx, &account, command),
        C::DeleteServiceLinkedRole { role } => deletion::submit(tx, &account, role),
        C::PlanServiceLinkedRoleDeletion { role } => deletion::plan(tx, &account, role),
        C::GetServiceLinkedRoleDeletionStatus { task, principal, role } => {
            deletion::status(tx, &account, task, principal, role)
        }
        C::CreateRole { .. }
        | C::GetRole { .. }
        | C::ListRoles { .. }
        | C::UpdateRole { .. }
        | C::UpdateRoleDescription { .. }
        | C::UpdateAssumeRolePolicy { .. }
        | C::DeleteRole { .. }
        | C::ListInstanceProfilesForRole { .. }
        | C::AddRoleToInstanceProfile { .. }
        | C::RemoveRoleFromInstanceProfile { .. } => role::run(tx, &account, command),
        C::DecodeDiagnosticMessage { message } => {
            let place = authorize::diagnosis_place(&account);
            let opened = tx.keyring().open_marker(message, &place);
            opened.map(Output::Diagnosis).map_err(|_| Error::Invalid {
                field: "EncodedDiagnosticMessage",
                message: "The EncodedDiagnosticMessage is none of this account's.".into(),
            })
        }
        C::CreateAccountAlias { alias } => account::set_alias(tx, &account, alias),
        C::DeleteAccountAlias { alias } => account::clear_alias(tx, &account, alias.as_ref()),
        C::ListAccountAliases => Ok(Output::Alias(account::find(tx, &account)?.alias.clone())),
        C::CreateOpenIDConnectProvider(_)
        | C::GetOpenIDConnectProvider { .. }
        | C::ListOpenIDConnectProviders { .. }
        | C::UpdateOIDCProvider { .. }
        | C::DeleteOpenIDConnectProvider { .. }
        | C::AddClientIDToOpenIDConnectProvider { .. }
        | C::RemoveClientIDFromOpenIDConnectProvider { .. }
        | C::AddFingerprintToOIDCProvider { .. }
        | C::RemoveFingerprintFromOIDCProvider { .. } => provider::run(tx, &account, command),
        C::Tag { on, tags } => tagging::tag(tx, &account, on, tags),
        C::Untag { on, keys, all } => tagging::untag(tx, &account, on, keys, *all),
        C::ListTags { on, with, paging } => tagging::list(tx, &account, on, with, paging),
        C::PutRolePolicy { .. }
        | C::GetRolePolicy { .. }
        | C::ListRolePolicies { .. }
        | C::DeleteRolePolicy { .. }
        | C::AttachRolePolicy { .. }
        | C::DetachRolePolicy { .. }
        | C::ListAttachedRolePolicies { .. }
        | C::PutRolePermissionsBoundary { .. }
        | C::DeleteRolePermissionsBoundary { .. } => role_policy::run(tx, &account, command),
        C::CreateGroup { .. }
        | C::GetGroup { .. }
        | C::ListUsersForGroup { .. }
        | C::ListGroups { .. }
        | C::UpdateGroup { .. }
        | C::DeleteGroup { .. }
        | C::AddUserToGroup { .. }
        | C::RemoveUserFromGroup { .. }
        | C::ListGroupsForUser { .. }
        | C::AttachGroupPolicy { .. }
        | C::DetachGroupPolicy { .. }
        | C::ListAttachedGroupPolicies { .. }
        | C::PutGroupPolicy { .. }
        | C::GetGroupPolicy { .. }
        | C::ListGroupPolicies { .. }
        | C::DeleteGroupPolicy { .. } => group::run(tx, &account, command),
        C::CreateAccessKey { .. }
        | C::ListAccessKeys { .. }
        | C::UpdateAccessKey { .. }
        | C::DeleteAccessKey { .. }
        | C::GetAccessKeyLastUsed { .. } => access_key::run(tx, me, &account, command),
        C::GenerateServiceLastAccessedDetails { .. }
        | C::GetServiceLastAccessedDetails { .. }
        | C::GetServiceLastAccessedDetailsWithEntities { .. }
        | C::ListPoliciesGrantingServiceAccess { .. }
        | C::GetAccess { .. } => access_report::run(tx, me, &account, command),
        C::ListPolicyAttachments { wanted, paging } => {
            attachment::list(tx, &account, wanted, paging)
        }
        C::CreatePolicy { .. }
        | C::GetPolicy { .. }
        | C::GetPolicyVersion { .. }
        | C::ListPolicies { .. }
        | C::ListPolicyVersions { .. }
        | C::CreatePolicyVersion { .. }
        | C::SetDefaultPolicyVersion { .. }
        | C::DeletePolicyVersion { .. }
        | C::DeletePolicy { .. }
        | C::UpdatePolicyDescription { .. }
        | C::ListEntitiesForPolicy { .. } => managed_policy::run(tx, &account, command),
        other => user::run(tx, me, &account, other),
    }
}
