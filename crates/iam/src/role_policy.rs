//! The permissions of an account's own roles, and the refusals on everybody else's.

use crate::attachment::Holder;
use crate::command::*;
use crate::error::{Entity, Error, Quota};
use crate::output::*;
use crate::role::{find, own_mut, store};
use crate::rows::*;
use crate::text::*;
use crate::tx::Tx;
use crate::{attachment, limits, listing, managed_policy};

/// Runs the operations on a role's permissions.
pub fn run(tx: &mut Tx<'_>, account: &AccountId, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::PutRolePolicy { role, name, document } => {
            let mut row = (*find(tx, account, role)?).clone();
            let inline = &mut own_mut(&mut row)?.grants.inline;
            inline.insert(name.clone(), document.clone());
            let size: usize = inline.values().map(|p| p.document().size()).sum();
            if size > limits::ROLE_INLINE_SIZE {
                return Err(Error::QuotaExceeded(Quota::RoleInlineSize, limits::ROLE_INLINE_SIZE));
            }
            store(tx, row);
            Ok(Output::Done)
        }
        C::GetRolePolicy { role, name } => {
            let row = find(tx, account, role)?;
            let found = match &row.kind {
                RoleKind::Own(own) => own.grants.inline.get_key_value(name),
                RoleKind::Linked(_) => None,
            };
            let (name, document) =
                found.ok_or_else(|| Error::NoSuchEntity(Entity::RolePolicy(name.to_string())))?;
            Ok(Output::Inline {
                owner: row.name.to_string(),
                name: name.clone(),
                document: document.text().to_owned(),
            })
        }
        C::ListRolePolicies { role, paging } => {
            let row = find(tx, account, role)?;
            let names = match &row.kind {
                RoleKind::Own(own) => own.grants.inline.keys().cloned().collect(),
                RoleKind::Linked(_) => Vec::new(),
            };
            let place = ["ListRolePolicies", row.id.as_str()];
            let key = |name: &PolicyName| name.to_string();
            let page =
                listing::cut(tx, account, &place, paging, names.into_iter(), key, |name| name)?;
            Ok(Output::Names(page))
        }
        C::DeleteRolePolicy { role, name } => {
            let mut row = (*find(tx, account, role)?).clone();
            let gone = own_mut(&mut row)?.grants.inline.remove(name);
            gone.ok_or_else(|| Error::NoSuchEntity(Entity::RolePolicy(name.to_string())))?;
            store(tx, row);
            Ok(Output::Done)
        }
        C::AttachRolePolicy { role, policy } => {
            let mut row = (*find(tx, account, role)?).clone();
            let grants = &mut own_mut(&mut row)?.grants;
            attachment::attach(tx, account, Holder::Role, grants, policy)?;
            store(tx, row);
            Ok(Output::Done)
        }
        C::DetachRolePolicy { role, policy } => {
            let mut row = (*find(tx, account, role)?).clone();
            let grants = &mut own_mut(&mut row)?.grants;
            attachment::detach(tx, account, Holder::Role, grants, policy)?;
            store(tx, row);
            Ok(Output::Done)
        }
        C::ListAttachedRolePolicies { role, prefix, paging } => {
            let row = find(tx, account, role)?;
            let attached = match &row.kind {
                RoleKind::Own(own) => attachment::shown(tx, account, &own.grants),
                RoleKind::Linked(linked) => attachment::shown_of_linked(tx, &row, &linked.template),
            };
            let place = ["ListAttachedRolePolicies", row.id.as_str(), prefix.as_str()];
            attachment::page(tx, account, &place, paging, prefix, attached)
        }
        C::PutRolePermissionsBoundary { role, policy } => {
            let mut row = (*find(tx, account, role)?).clone();
            own_mut(&mut row)?;
            let found = managed_policy::find_boundary(tx, account, policy)?;
            own_mut(&mut row)?.grants.boundary = Some(found);
            store(tx, row);
            Ok(Output::Done)
        }
        C::DeleteRolePermissionsBoundary { role } => {
            let mut row = (*find(tx, account, role)?).clone();
            let gone = own_mut(&mut row)?.grants.boundary.take();
            gone.ok_or_else(|| Error::NoSuchEntity(Entity::Boundary(role.to_string())))?;
            store(tx, row);
            Ok(Output::Done)
        }
        _ => Err(Error::Internal("not an operation on a role's permissions")),
    }
}
