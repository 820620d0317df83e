//! The names that services have taken: whose a principal, a role's name or a policy's name is.
//!
//! An index that [`crate::state::State`] keeps over its services, so that every question costs the same however many
//! services there are. Not here: which names a manifest may ask for at all ([`crate::service`]).

use crate::catalog;
use crate::error::Error;
use crate::offered::OfferedPolicy;
use crate::service_rows::{Documents, Service, SuffixRule, Template};
use crate::text::{Folded, PolicyName, ServiceName};
use imbl::OrdMap;
use policy::Dialect;

/// All dialects.
pub const DIALECTS: [Dialect; 2] = [Dialect::Aws, Dialect::Alibaba];

/// A policy's service, and of the permissions of a role its principal; an offered policy has none.
type Of = (ServiceName, Option<ServiceName>);

/// What is taken. Roles and policies have names per dialect, which are compared ignoring case.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Names {
    /// The principals of all templates and the names of all services, with the service that each belongs to.
    principals: OrdMap<ServiceName, ServiceName>,
    /// The names of roles behind the dialect's prefix, with what may follow them.
    roles: OrdMap<(Dialect, Folded), SuffixRule>,
    /// The names of the roles' policies, and of those that services offer.
    policies: OrdMap<(Dialect, Folded), Of>,
}

impl Names {
    /// The service that a principal belongs to, byte for byte.
    pub fn service(&self, principal: &ServiceName) -> Option<&ServiceName> {
        self.principals.get(principal)
    }

    /// The service of the policy of this name, and the principal of the role that it belongs to, if it does.
    pub fn policy(&self, dialect: Dialect, name: &Folded) -> Option<&Of> {
        self.policies.get(&(dialect, name.clone()))
    }

    /// Takes the names of a template for a service, if all are free.
    ///
    /// Errors: `Taken`.
    pub fn take(&mut self, service: &ServiceName, template: &Template) -> Result<(), Error> {
        self.check(template)?;
        self.add_template(service, template);
        Ok(())
    }

    /// Takes the name of a policy that a service offers, if it is free.
    ///
    /// Errors: `Taken`.
    pub fn take_policy(
        &mut self,
        service: &ServiceName,
        policy: &OfferedPolicy,
    ) -> Result<(), Error> {
        for dialect in offered_in(&policy.documents) {
            self.check_policy(dialect, &policy.name)?;
        }
        self.add_policy(service, policy);
        Ok(())
    }

    /// Policies have one room of names in a dialect, with linkrole's own: where names have no paths, a name alone
    /// says which is meant.
    fn check_policy(&self, dialect: Dialect, name: &PolicyName) -> Result<(), Error> {
        let is_own = catalog::system_policy(dialect, name).is_some();
        if is_own || self.policy(dialect, &name.folded()).is_some() {
            return Err(Error::Taken { what: "policy", name: name.to_string() });
        }
        Ok(())
    }

    /// Whether the names of a template are free in every dialect in which it is offered.
    ///
    /// Errors: `Taken`, with the first that is not.
    pub fn check(&self, template: &Template) -> Result<(), Error> {
        let taken = |what, name: &str| Err(Error::Taken { what, name: name.to_owned() });
        if self.service(&template.principal).is_some() {
            return taken("principal", template.principal.as_str());
        }
        for dialect in offered(template) {
            if self.has_role(dialect, template) {
                return taken("role", &template.role);
            }
            self.check_policy(dialect, &template.policy)?;
        }
        Ok(())
    }

    /// Whether there is a role of the same name, one whose suffix would make this name, or one whose name a suffix
    /// of this one would make.
    fn has_role(&self, dialect: Dialect, template: &Template) -> bool {
        let name = template.role.to_ascii_lowercase();
        let rule = |name: &str| {
            tests::count();
            self.roles.get(&(dialect, Folded::of(name)))
        };
        let bases = name.match_indices('_').filter_map(|(at, _)| name.get(..at));
        rule(&name).is_some()
            || bases.into_iter().any(|base| rule(base) == Some(&SuffixRule::Optional))
            || (template.suffix == SuffixRule::Optional
                && self.has_role_behind(dialect, &format!("{name}_")))
    }

    fn has_role_behind(&self, dialect: Dialect, prefix: &str) -> bool {
        tests::count();
        let first = self.roles.range((dialect, Folded::of(prefix))..).next();
        first.is_some_and(|((of, name), _)| *of == dialect && name.as_str().starts_with(prefix))
    }

    /// Notes the names of a stored service.
    pub fn add(&mut self, service: &Service) {
        self.principals.insert(service.name.clone(), service.name.clone());
        for template in service.templates.values() {
            self.add_template(&service.name, template);
        }
        for policy in service.policies.values() {
            self.add_policy(&service.name, policy);
        }
    }

    fn add_policy(&mut self, service: &ServiceName, policy: &OfferedPolicy) {
        for dialect in offered_in(&policy.documents) {
            self.policies.insert((dialect, policy.name.folded()), (service.clone(), None));
        }
    }

    fn add_template(&mut self, service: &ServiceName, template: &Template) {
        let of = (service.clone(), Some(template.principal.clone()));
        self.principals.insert(template.principal.clone(), service.clone());
        for dialect in offered(template) {
            self.roles.insert((dialect, Folded::of(&template.role)), template.suffix);
            self.policies.insert((dialect, template.policy.folded()), of.clone());
        }
    }

    /// Lets go of the names of a stored service.
    pub fn remove(&mut self, service: &Service) {
        self.principals.remove(&service.name);
        for template in service.templates.values() {
            self.principals.remove(&template.principal);
            for dialect in offered(template) {
                self.roles.remove(&(dialect, Folded::of(&template.role)));
                self.policies.remove(&(dialect, template.policy.folded()));
            }
        }
        for policy in service.policies.values() {
            for dialect in offered_in(&policy.documents) {
                self.policies.remove(&(dialect, policy.name.folded()));
            }
        }
    }
}

/// The dialects in whose accounts a template's role can be.
fn offered(template: &Template) -> impl Iterator<Item = Dialect> {
    DIALECTS.into_iter().filter(|dialect| template.is_offered_in(*dialect))
}

/// The dialects in whose language there is a document.
fn offered_in(documents: &Documents) -> impl Iterator<Item = Dialect> {
    DIALECTS.into_iter().filter(|dialect| documents.of(*dialect).is_some())
}

#[cfg(not(test))]
mod tests {
    /// Looks at names are counted in tests only.
    pub fn count() {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use crate::rows::{DeletionRule, PermissionsPolicy};
    use std::cell::Cell;
    use std::collections::BTreeMap;

    thread_local! { static LOOKS: Cell<usize> = const { Cell::new(0) }; }

    pub fn count() {
        LOOKS.set(LOOKS.get() + 1);
    }

    fn template(number: usize, role: &str, suffix: SuffixRule, dialects: &[Dialect]) -> Template {
        let document = |dialect: Dialect, version: &str| {
            let text = format!(
                r#"{{"Version":"{version}","Statement":[{{"Effect":"Deny","Action":"*","Resource":"*"}}]}}"#
            );
            dialects.contains(&dialect).then(|| PermissionsPolicy::parse(&text, dialect).unwrap())
        };
        let documents = Documents {
            aws: document(Dialect::Aws, "2012-10-17"),
            alibaba: document(Dialect::Alibaba, "1"),
        };
        Template {
            principal: ServiceName::parse(&format!("s{number}.example.com")).unwrap(),
            role: role.to_owned(),
            policy: PolicyName::parse(&format!("{role}Policy{}", number % 7)).unwrap(),
            suffix,
            deletion: DeletionRule::Manual,
            allow_iam_writes: false,
            max_session_s: crate::limits::SESSION_DEFAULT_S,
            triggers: Vec::new(),
            description: None,
            versions: BTreeMap::from([(1, documents)]),
            version: 1,
            sources: BTreeMap::new(),
        }
    }

    /// Whether two templates have something in common that no two may have, from one look at both.
    fn clash(one: &Template, other: &Template) -> bool {
        let begins = |base: &Template, name: &Template| {
            let (base_name, name) =
                (base.role.to_ascii_lowercase(), name.role.to_ascii_lowercase());
            name == base_name
                || (base.suffix == SuffixRule::Optional
                    && name.starts_with(&format!("{base_name}_")))
        };
        DIALECTS.iter().any(|d| one.is_offered_in(*d) && other.is_offered_in(*d))
            && (begins(one, other)
                || begins(other, one)
                || one.policy.folded() == other.policy.folded())
    }

    /// Every name of up to three parts out of few letters, with each rule and each choice of dialects.
    fn small_world() -> Vec<Template> {
        let parts = ["a", "A", "b", "aa", "a_b", "a_B_a", "b_a", "aa_b", "a-b", "a_"];
        let choices: [&[Dialect]; 3] = [&[Dialect::Aws], &[Dialect::Alibaba], &DIALECTS];
        let mut all = Vec::new();
        for role in parts {
            for suffix in [SuffixRule::Refused, SuffixRule::Optional] {
                for dialects in choices {
                    all.push(template(all.len(), role, suffix, dialects));
                }
            }
        }
        all
    }

    #[test]
    fn names_clash_exactly_where_two_templates_do() {
        let all = small_world();
        let mut taken = 0;
        for (at, one) in all.iter().enumerate() {
            for (from, other) in all.iter().enumerate() {
                let mut names = Names::default();
                names.take(&one.principal, one).unwrap();
                let free = names.check(other).is_ok();
                assert_eq!(free, at != from && !clash(one, other), "{one:?} {other:?}");
                taken += usize::from(!free);
            }
        }
        assert!(taken > all.len() && taken < all.len() * all.len(), "{taken}");
        // Many at once are what two at a time are, and who goes leaves nothing.
        let mut names = Names::default();
        let mut held: Vec<&Template> = Vec::new();
        for one in &all {
            let free = !held.iter().any(|other| clash(one, other));
            assert_eq!(names.take(&one.principal, one).is_ok(), free);
            held.extend(free.then_some(one));
        }
        assert!(held.len() > 5, "{}", held.len());
    }

    /// The looks that `count` services cost which come one after another.
    fn looks(count: usize) -> usize {
        LOOKS.set(0);
        let mut names = Names::default();
        for number in 0..count {
            let suffix = if number % 3 == 0 { SuffixRule::Optional } else { SuffixRule::Refused };
            let one = template(number, &format!("Role{number}X_Part"), suffix, &DIALECTS);
            names.take(&one.principal, &one).unwrap();
        }
        LOOKS.get()
    }

    #[test]
    fn a_name_costs_the_same_however_many_there_are() {
        assert_eq!(looks(1_200), looks(300) * 4);
        // In each dialect the name, its one base, and of every third those behind it.
        assert_eq!(looks(300), 300 * 2 * 2 + 100 * 2);
    }
}
