//! The clouds' own services that have service-linked roles, as facts: names, principals, suffix rules.
//!
//! The vendors' policy texts are not here. The policy of each role is one of ours that grants nothing and says
//! so, until an operator imports the real one. Which facts there are stands in `catalog/*.tsv`.

use iam::linked::{ALIBABA_PREFIX, AWS_PREFIX};
use iam::rows::{
    DeletionRule, Documents, PermissionsPolicy, Service, SuffixRule, Template, UsageSource,
};
use iam::text::{PolicyName, ServiceName};
use policy::Dialect;
use std::collections::{BTreeMap, BTreeSet};

/// The facts by dialect; a line of headings, then a line for each service.
const FACTS: [(Dialect, &str); 2] = [
    (Dialect::Aws, include_str!("../../../catalog/aws.tsv")),
    (Dialect::Alibaba, include_str!("../../../catalog/alibaba.tsv")),
];

/// What a role may do whose policy is not known: nothing.
const NOTHING: [(Dialect, &str); 2] = [
    (
        Dialect::Aws,
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"GrantsNothingUntilTheVendorsPolicyIsImported","Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    ),
    (
        Dialect::Alibaba,
        r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#,
    ),
];

/// The services of both clouds, without keys.
///
/// Errors: a line of the facts that does not read.
pub fn services() -> Result<Vec<Service>, String> {
    let mut all = Vec::new();
    for (dialect, text) in FACTS {
        let nothing = NOTHING.iter().find(|(of, _)| *of == dialect).map(|(_, text)| *text);
        let nothing = PermissionsPolicy::parse(nothing.unwrap_or_default(), dialect)
            .map_err(|error| error.to_string())?;
        for line in text.lines().skip(1) {
            let read = service(dialect, line, &nothing);
            all.push(read.ok_or_else(|| format!("the fact does not read: {line}"))?);
        }
    }
    Ok(all)
}

fn service(dialect: Dialect, line: &str, nothing: &PermissionsPolicy) -> Option<Service> {
    let mut fields = line.split('\t');
    let (display_name, principal, role, policy, suffix) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let principal = ServiceName::parse(principal).ok()?;
    let (prefix, documents) = match dialect {
        Dialect::Aws => (AWS_PREFIX, Documents { aws: Some(nothing.clone()), alibaba: None }),
        Dialect::Alibaba => {
            (ALIBABA_PREFIX, Documents { aws: None, alibaba: Some(nothing.clone()) })
        }
    };
    let template = Template {
        principal: principal.clone(),
        role: role.strip_prefix(prefix)?.to_owned(),
        policy: PolicyName::parse(policy).ok()?,
        suffix: match suffix {
            "optional" => SuffixRule::Optional,
            "refused" => SuffixRule::Refused,
            _ => return None,
        },
        deletion: DeletionRule::Manual,
        allow_iam_writes: false,
        max_session_s: iam::limits::SESSION_DEFAULT_S,
        triggers: Vec::new(),
        description: None,
        versions: BTreeMap::from([(1, documents)]),
        version: 1,
        sources: BTreeMap::new(),
    };
    Some(Service {
        name: principal.clone(),
        display_name: display_name.to_owned(),
        signing_names: BTreeSet::new(),
        hosts: BTreeSet::new(),
        regions: BTreeSet::new(),
        templates: BTreeMap::from([(principal, template)]),
        policies: BTreeMap::new(),
        forward: Documents::default(),
        usage: UsageSource::Sessions,
        callback: None,
        identity: None,
        created_ms: 0,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn every_fact_reads_and_no_two_are_about_one_name() {
        let all = services().unwrap();
        let lines: usize = FACTS.iter().map(|(_, text)| text.lines().count() - 1).sum();
        assert_eq!(all.len(), lines);
        for dialect in [Dialect::Aws, Dialect::Alibaba] {
            let templates = || all.iter().flat_map(|s| s.templates.values());
            let own = || templates().filter(|t| t.is_offered_in(dialect));
            let count = own().count();
            assert!(count > 200, "{count}");
            let distinct = |name: &dyn Fn(&Template) -> String| {
                own().map(|t| name(t).to_ascii_lowercase()).collect::<BTreeSet<_>>().len()
            };
            assert_eq!(distinct(&|t| t.role_name(dialect)), count);
            assert_eq!(distinct(&|t| t.policy.to_string()), count);
            // No suffix makes one service's role pass for another's.
            for template in own().filter(|t| t.suffix == SuffixRule::Optional) {
                let begins = format!("{}_", template.role).to_ascii_lowercase();
                assert!(!own().any(|t| t.role.to_ascii_lowercase().starts_with(&begins)));
            }
        }
    }
}
