//! Linked services: enrolled by the operator, registered once with a manifest, known by a key of
//! their own class.

use crate::access_key;
use crate::callback;
use crate::caller::{Identity, IdentityKind};
use crate::command::*;
use crate::error::{Entity, Error};
use crate::identity;
use crate::limits;
use crate::offered;
use crate::output::*;
use crate::rows::*;
use crate::seal::{self, Secret};
use crate::text::*;
use crate::trigger;
use crate::tx::Tx;
use crate::update;
use crate::widening;
use policy::Dialect;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs the operations on linked services.
pub fn run(tx: &mut Tx<'_>, me: &Identity, command: &Command) -> Result<Output, Error> {
    use Command as C;
    match command {
        C::EnrolService { service, callback } => enrol(tx, service, callback.as_ref()),
        C::RegisterService { token, manifest } => {
            if !matches!(me.kind, IdentityKind::Operator) {
                redeem(tx, manifest, token.as_deref())?;
                check_unseen(manifest)?;
            }
            register(tx, manifest)
        }
        C::ListServices => Ok(Output::Services(tx.state().services().cloned().collect())),
        C::GetService { service } => {
            let missing = || Error::NoSuchEntity(Entity::Service(service.clone()));
            let name = ServiceName::parse(service).map_err(|_| missing())?;
            let found =
                tx.state().service(&name).or_else(|| tx.state().template(&name).map(|t| t.0));
            Ok(Output::Service(found.cloned().ok_or_else(missing)?))
        }
        C::ExportCatalog { after } => Ok(export(tx, after.as_ref())),
        C::StockServices { services } => stock(tx, services),
        C::DiffService { manifest } => update::update(tx, manifest, false),
        C::UpdateService { manifest } => update::update(tx, manifest, true),
        C::ImportServicePolicy(asked) => update::import(tx, asked),
        C::CreateServiceKey { service, revoke } => new_key(tx, service, *revoke),
        C::RemoveService { service } => update::remove(tx, service),
        _ => Err(Error::Internal("not an operation on services")),
    }
}

/// Hands out a one-time token; a later one for the same service replaces it. Where the service may be asked about its
/// roles is the operator's to say: a service that named an address itself could send linkrole anywhere.
fn enrol(
    tx: &mut Tx<'_>,
    service: &ServiceName,
    callback: Option<&String>,
) -> Result<Output, Error> {
    check_free(tx, service)?;
    if let Some(bad) = callback.filter(|url| !callback::is_address(url)) {
        return Err(invalid("callback", not_an_address(bad)));
    }
    let token = Secret::new(tx.random_hex(32));
    let expires_ms = tx.now().saturating_add(limits::ENROLMENT_MS);
    tx.put(Row::Enrolment(Enrolment {
        service: service.clone(),
        token_digest: seal::digest(token.expose()),
        callback: callback.cloned(),
        expires_ms,
    }));
    Ok(Output::Enrolment { service: service.clone(), token, expires_ms })
}

/// Takes the token of an enrolment: it fits once, for its service, for an hour.
fn redeem(tx: &mut Tx<'_>, manifest: &Manifest, token: Option<&str>) -> Result<(), Error> {
    let token = token.ok_or(Error::EnrolmentRefused)?;
    let row = tx.state().enrolment(&manifest.service).cloned().ok_or(Error::EnrolmentRefused)?;
    if row.expires_ms <= tx.now() || !seal::equal(&row.token_digest, &seal::digest(token)) {
        return Err(Error::EnrolmentRefused);
    }
    let asked = manifest.callback.as_ref().map(|callback| &callback.url);
    if asked.is_some() && asked != row.callback.as_ref() {
        let message = format!(
            "expected the address that the operator enrolled, {}; found {}",
            row.callback.as_deref().unwrap_or("which is none"),
            asked.map(String::as_str).unwrap_or_default()
        );
        return Err(invalid("callback", message));
    }
    Ok(())
}

fn not_an_address(found: &str) -> String {
    format!(
        "expected `https://` or `http://`, a host and a path, of at most {} bytes, with `{{region}}` \
         at most once; found `{found}`",
        limits::CALLBACK_URL
    )
}

/// Where a service is asked must be an address, and the answer must be worth a deletion.
fn check_callback(manifest: &Manifest) -> Result<(), Error> {
    let Some(callback) = &manifest.callback else { return Ok(()) };
    let wrong = |message: String| Err(invalid("callback", message));
    if !callback::is_address(&callback.url) {
        return wrong(not_an_address(&callback.url));
    }
    if callback.url.contains("{region}") && manifest.regions.is_empty() {
        return wrong("an address with `{region}` needs regions in `regions`".to_owned());
    }
    let racy = callback.contract != Contract::Fenced && manifest.usage == UsageSource::Sessions;
    if racy && !callback.allow_racy_delete {
        return wrong(
            "an answer alone cannot exclude that a use begins at that moment: choose the contract \
             `fenced`, or `usage = \"registry\"` beside it, or say `allow_racy_delete = true`"
                .to_owned(),
        );
    }
    are_pins("callback", &callback.certificates)
}

/// Checks fingerprints of certificates that a member of a manifest pins.
pub(crate) fn are_pins(member: &'static str, pins: &BTreeSet<String>) -> Result<(), Error> {
    let pin = |text: &String| {
        text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    if pins.len() <= limits::CERTIFICATE_PINS && pins.iter().all(pin) {
        return Ok(());
    }
    let message = format!(
        "`certificates`: expected at most {} SHA-256 fingerprints of 64 lower-case hexadecimal digits",
        limits::CERTIFICATE_PINS
    );
    Err(invalid(member, message))
}

/// A service that registers itself does not give itself what an operator has to see.
fn check_unseen(manifest: &Manifest) -> Result<(), Error> {
    if manifest.identity.is_some() {
        let message = "what proves a service is the operator's to say; register without it, then `service update`";
        return Err(invalid("identity", message.to_owned()));
    }
    match manifest.roles.iter().find(|template| template.allow_iam_writes) {
        Some(template) => Err(invalid(
            "allow_iam_writes",
            format!(
                "role `{}` may change identities, so only the operator registers it; expected `service register`",
                template.principal
            ),
        )),
        None => Ok(()),
    }
}

/// Stores a service and makes its key.
///
/// Errors: `Taken` for a service, principal, role or policy name that another service has;
/// `Invalid` for a manifest that breaks a rule.
fn register(tx: &mut Tx<'_>, manifest: &Manifest) -> Result<Output, Error> {
    check_free(tx, &manifest.service)?;
    let service = checked(tx, manifest)?;
    tx.put(Row::Service(service.clone()));
    if tx.state().enrolment(&manifest.service).is_some() {
        tx.delete(Key::Enrolment(manifest.service.clone()));
    }
    let (key, secret) = access_key::make(tx, KeyOwner::Service(manifest.service.clone()))?;
    Ok(Output::Registered { service: Arc::new(service), key, secret })
}

/// The service that a manifest describes, if it breaks no rule and takes nothing of another's.
pub fn checked(tx: &Tx<'_>, manifest: &Manifest) -> Result<Service, Error> {
    check(manifest)?;
    check_callback(manifest)?;
    if let Some(found) = &manifest.identity {
        identity::check(tx, &manifest.service, found)?;
    }
    check_signing_names(tx, manifest)?;
    let mut names = tx.state().names().clone();
    if let Some(old) = tx.state().service(&manifest.service) {
        names.remove(old);
    }
    for template in &manifest.roles {
        check_template(manifest, template)?;
        names.take(&manifest.service, template)?;
    }
    let policies = offered::checked(tx, &mut names, &manifest.service, &manifest.policies)?;
    let templates = manifest.roles.iter().map(|t| (t.principal.clone(), t.clone())).collect();
    Ok(Service {
        name: manifest.service.clone(),
        display_name: manifest.display_name.clone(),
        signing_names: manifest.signing_names.clone(),
        hosts: manifest.hosts.clone(),
        regions: manifest.regions.clone(),
        templates,
        policies,
        forward: manifest.forward.clone(),
        usage: manifest.usage,
        callback: manifest.callback.clone(),
        identity: manifest.identity.clone(),
        created_ms: tx.now(),
    })
}

/// Makes a service another key, where its own is lost or to be replaced. With `revoke` the others go at once; without,
/// the newest of them stays, so that the service can change over.
///
/// Errors: `NoSuchEntity`; `Invalid` for a service that is known from facts and runs nowhere.
fn new_key(tx: &mut Tx<'_>, name: &ServiceName, revoke: bool) -> Result<Output, Error> {
    let missing = || Error::NoSuchEntity(Entity::Service(name.to_string()));
    let service = tx.state().service(name).cloned().ok_or_else(missing)?;
    let owner = KeyOwner::Service(name.clone());
    let mut old: Vec<(i64, KeyId)> =
        tx.state().keys_of(&owner).map(|key| (key.created_ms, key.id.clone())).collect();
    if old.is_empty() {
        let message = format!("`{name}` is known from facts and runs nowhere; it has no keys");
        return Err(invalid("service", message));
    }
    old.sort();
    if !revoke {
        old.pop();
    }
    for (_, key) in old {
        access_key::remove(tx, &key);
    }
    let (key, secret) = access_key::make(tx, owner)?;
    Ok(Output::Registered { service, key, secret })
}

/// All services in order of their names, after one of them, as many as make a page.
fn export(tx: &Tx<'_>, after: Option<&ServiceName>) -> Output {
    let mut entries: Vec<CatalogEntry> = Vec::new();
    let mut size = 0;
    for service in tx.state().services().filter(|s| after.is_none_or(|after| s.name > *after)) {
        if size > limits::CATALOG_PAGE {
            let next = entries.last().map(|entry| entry.service.name.clone());
            return Output::Catalog { entries, next };
        }
        let documents = service.templates.values().filter_map(|t| t.versions.get(&t.version));
        let texts = documents.flat_map(|d| [&d.aws, &d.alibaba]).flatten();
        size += texts.map(|text| text.text().len()).sum::<usize>();
        let runs_here = runs_here(tx, &service.name);
        entries.push(CatalogEntry { service: service.clone(), runs_here });
    }
    Output::Catalog { entries, next: None }
}

/// Whether somebody can speak for a service, by a key or by what proves it; for one that is known from facts nobody
/// can.
pub fn runs_here(tx: &Tx<'_>, service: &ServiceName) -> bool {
    tx.state().service(service).is_some_and(|row| row.identity.is_some())
        || tx.state().keys_of(&KeyOwner::Service(service.clone())).next().is_some()
}

/// Adds services that are known from facts and run nowhere: without keys, so that nobody can speak for them.
/// What is there already, under a principal or a name of theirs, stays as it is.
fn stock(tx: &mut Tx<'_>, services: &[Service]) -> Result<Output, Error> {
    let mut added = 0u32;
    for service in services {
        let is_new = check_free(tx, &service.name).is_ok();
        let is_free = |template: &Template| tx.state().names().check(template).is_ok();
        if is_new && service.templates.values().all(is_free) {
            tx.put(Row::Service(Service { created_ms: tx.now(), ..service.clone() }));
            added += 1;
        }
    }
    tx.note("added", added.to_string());
    Ok(Output::Done)
}

fn check_free(tx: &Tx<'_>, service: &ServiceName) -> Result<(), Error> {
    if tx.state().names().service(service).is_some() {
        return Err(Error::Taken { what: "service", name: service.to_string() });
    }
    Ok(())
}

fn check(manifest: &Manifest) -> Result<(), Error> {
    let shape = |text: &String| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // Our own signing names stay ours: a request to linkrole cannot be presented as one to a service.
    // The prefixes of the global condition keys too: a service vouches for the keys of its own names.
    let reserved = ["iam", "sts", "cloudtrail", "linkrole", "ram", "aws", "acs"];
    if let Some(bad) =
        manifest.signing_names.iter().find(|name| !shape(name) || reserved.contains(&name.as_str()))
    {
        let message = format!(
            "expected lower-case letters, digits and dashes, and none of {}; found `{bad}`",
            reserved.join(", ")
        );
        return Err(invalid("signing_names", message));
    }
    let host = |text: &String| {
        !text.is_empty()
            && text.len() <= 255
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b))
    };
    if let Some(bad) = manifest.hosts.iter().find(|text| !host(text)) {
        return Err(invalid(
            "hosts",
            format!("expected a host with or without a port; found `{bad}`"),
        ));
    }
    if manifest.roles.len() > limits::TEMPLATES_PER_SERVICE {
        let message = format!("expected at most {} roles", limits::TEMPLATES_PER_SERVICE);
        return Err(invalid("roles", message));
    }
    if manifest.regions.len() > limits::REGIONS_PER_SERVICE {
        let message = format!("expected at most {} regions", limits::REGIONS_PER_SERVICE);
        return Err(invalid("regions", message));
    }
    if manifest.usage == UsageSource::Registry && manifest.regions.is_empty() {
        let message = "a service that registers uses names at least one region".to_owned();
        return Err(invalid("regions", message));
    }
    Ok(())
}

/// A signing name says whose the requests, actions and condition keys under it are.
fn check_signing_names(tx: &Tx<'_>, manifest: &Manifest) -> Result<(), Error> {
    let others = tx.state().services().filter(|s| s.name != manifest.service);
    let mut others = others.flat_map(|s| &s.signing_names);
    match others.find(|name| manifest.signing_names.contains(*name)) {
        Some(name) => Err(taken("signing name", name)),
        None => Ok(()),
    }
}

fn check_template(manifest: &Manifest, template: &Template) -> Result<(), Error> {
    // A principal of a service is the service or a name under it: none can speak for another.
    let own = template.principal == manifest.service
        || template.principal.as_str().ends_with(&format!(".{}", manifest.service));
    if !own {
        let message = format!(
            "expected `{0}` or a name that ends in `.{0}`; found `{1}`",
            manifest.service, template.principal
        );
        return Err(invalid("principal", message));
    }
    for dialect in [Dialect::Aws, Dialect::Alibaba] {
        let name = template.role_name(dialect);
        RoleName::parse(&name).map_err(|_| {
            invalid("role", format!("`{name}` is no role name of at most 64 characters"))
        })?;
    }
    // An underscore begins the suffix; in a base it would let one service's role pass for another's.
    if template.role.is_empty() || template.role.contains('_') {
        return Err(invalid(
            "role",
            format!("expected a name without `_`; found `{}`", template.role),
        ));
    }
    let session = limits::SESSION_MIN_S..=limits::SESSION_MAX_S;
    if !session.contains(&template.max_session_s) {
        let (least, most) = (session.start(), session.end());
        let found = template.max_session_s;
        return Err(invalid(
            "max_session_duration",
            format!("expected {least} to {most} seconds; found {found}"),
        ));
    }
    trigger::check(manifest, template)?;
    let widening = template.versions.values().flat_map(widening::actions).collect::<Vec<_>>();
    if !template.allow_iam_writes && !widening.is_empty() {
        let message = format!(
            "role `{}` could change identities or mint credentials by {}; expected narrower actions, or `allow_iam_writes = true`",
            template.principal,
            update::named(&widening)
        );
        return Err(invalid("policy", message));
    }
    Ok(())
}

fn taken(what: &'static str, name: &str) -> Error {
    Error::Taken { what, name: name.to_owned() }
}

pub(crate) fn invalid(field: &'static str, message: String) -> Error {
    Error::Invalid { field, message }
}
