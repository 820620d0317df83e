//! `linkrole catalog verify`: whether what a server holds is whole, is what the built-in facts say, and is what a file
//! says.
//!
//! Everything is worked out here, from the texts; the server's word is not taken for a digest.

use super::output::{self, Output};
use ::policy::{
    Context, Dialect, Engine, Evaluate, Named, PolicySet, Principal, PrincipalKind, Request, Spec,
};
use iam::linked::{ALIBABA_PREFIX, AWS_PREFIX};
use iam::rows::PermissionsPolicy;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong, with the principal that it is about.
type Finding = (String, String);

/// Checks all entries of a server's catalogue; fails with what it found.
pub fn run(output: Output, held: &[Value], file: Option<&Value>) -> Result<(), String> {
    let mut findings = Vec::new();
    for entry in held {
        documents(entry, &mut findings);
    }
    facts(held, &mut findings)?;
    if let Some(file) = file {
        same(held, &output::list(file, "/entries"), &mut findings);
    }
    let count = |is: &dyn Fn(&Value) -> bool| held.iter().filter(|entry| is(entry)).count();
    let imported = count(&|entry| entry.pointer("/source").is_some_and(Value::is_object));
    let known = count(&|entry| !runs_here(entry));
    let list = findings.iter().map(|(of, text)| json!({ "principal": of, "finding": text }));
    let shown = json!({
        "roles": held.len(), "from_facts": known, "imported": imported,
        "findings": list.collect::<Vec<_>>(),
    });
    if output == Output::Json {
        output::json(&shown)?;
    } else if findings.is_empty() {
        output::line(&format!(
            "{} roles, {known} from facts, {imported} with an imported policy: all is as it should be",
            held.len()
        ))?;
    } else {
        output::print(output, &shown, &["PRINCIPAL", "FINDING"], |v| {
            output::rows(v, "/findings", &["/principal", "/finding"])
        })?;
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{count} things are not as they should be")),
    }
}

fn runs_here(entry: &Value) -> bool {
    entry.pointer("/runs_here") == Some(&Value::Bool(true))
}

fn principal(entry: &Value) -> String {
    output::text(entry, "/principal")
}

/// Whether the documents of an entry read, decide, and have the digest that was kept with them.
fn documents(entry: &Value, findings: &mut Vec<Finding>) {
    let mut wrong = |text: String| findings.push((principal(entry), text));
    let digest = output::text(entry, "/source/sha256");
    let mut digests = Vec::new();
    for (dialect, at) in
        [(Dialect::Aws, "/documents/aws"), (Dialect::Alibaba, "/documents/alibaba")]
    {
        let Some(text) = entry.pointer(at).and_then(Value::as_str) else { continue };
        digests.push(sdk::sign::sha256_hex(text.as_bytes()));
        match PermissionsPolicy::read(text, dialect) {
            Err(error) => wrong(format!("its policy does not read: {error}")),
            Ok(read) => {
                if let Some(question) = undecided(&read, dialect) {
                    wrong(format!("the evaluators differ about `{question}` under its policy"));
                }
            }
        }
    }
    if digests.is_empty() {
        wrong("it has no policy".to_owned());
    }
    if !digest.is_empty() && !digests.contains(&digest) {
        wrong(format!("its policy was imported with the digest {digest}; found {digests:?}"));
    }
}

/// An action that the document names, about which the two evaluators differ.
fn undecided(read: &PermissionsPolicy, dialect: Dialect) -> Option<String> {
    let document: Value = serde_json::from_str(read.text()).ok()?;
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let first = |statement: &Value, name: &str| match statement.get(name) {
        Some(Value::Array(list)) => list.first().and_then(Value::as_str).map(str::to_owned),
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let plain = |text: String| text.replace(['*', '?'], "x");
    let policies = PolicySet {
        identity: vec![Named { name: "policy", document: read.document() }],
        ..PolicySet::default()
    };
    let mut asked = BTreeSet::from([("nobody:Does".to_owned(), "*".to_owned())]);
    asked.extend(statements.iter().filter_map(|statement| {
        let action = first(statement, "Action").or_else(|| first(statement, "NotAction"))?;
        let resource = first(statement, "Resource").unwrap_or_else(|| "*".to_owned());
        Some((plain(action), plain(resource)))
    }));
    let mut asked = asked.into_iter();
    let differs = |(action, resource): &(String, String)| {
        let request = Request {
            dialect,
            action: action.clone(),
            resource: resource.clone(),
            wildcard_only: false,
            resource_account: None,
            principal: Principal {
                account: Some("111122223333".to_owned()),
                ..Principal::new(PrincipalKind::User)
            },
            context: Context::new(),
        };
        Spec.decide(&request, &policies) != Engine.decide(&request, &policies)
    };
    asked.find(differs).map(|(action, _)| action)
}

/// What a fact says of a role: the service's name for people, the role's and the policy's name, the suffix rule.
type Fact = (String, String, String, String);

/// Compares what a server knows from facts with the facts that are built in. A server that knows none is in order: it
/// was not told to know them.
fn facts(held: &[Value], findings: &mut Vec<Finding>) -> Result<(), String> {
    let mut built_in: BTreeMap<String, Fact> = BTreeMap::new();
    for service in crate::vendors::services()? {
        for t in service.templates.values() {
            let suffix = serde_json::to_value(t.suffix).unwrap_or_default();
            let suffix = suffix.as_str().unwrap_or_default().to_owned();
            let fact = (service.display_name.clone(), t.role.clone(), t.policy.to_string(), suffix);
            built_in.insert(t.principal.to_string(), fact);
        }
    }
    let (running, known): (Vec<&Value>, Vec<&Value>) = held.iter().partition(|e| runs_here(e));
    for entry in &known {
        match built_in.get(&principal(entry)) {
            None => findings.push((principal(entry), "no built-in fact is about it".to_owned())),
            Some(fact) if *fact != fact_of(entry) => {
                let text = format!("the built-in fact is {fact:?}; found {:?}", fact_of(entry));
                findings.push((principal(entry), text));
            }
            Some(_) => {}
        }
    }
    let here: BTreeSet<String> = held.iter().map(principal).collect();
    // A service that runs here may have taken the names of one that is known from facts only.
    let names = |fact: &Fact| [fact.1.to_ascii_lowercase(), fact.2.to_ascii_lowercase()];
    let taken: BTreeSet<String> = running.iter().flat_map(|e| names(&fact_of(e))).collect();
    let missing = built_in.iter().filter(|(principal, fact)| {
        !here.contains(*principal) && !names(fact).iter().any(|name| taken.contains(name))
    });
    if !known.is_empty() {
        findings.extend(missing.map(|(principal, _)| {
            (principal.clone(), "there is a built-in fact about it, and no entry".to_owned())
        }));
    }
    Ok(())
}

fn fact_of(entry: &Value) -> Fact {
    let text = |at: &str| output::text(entry, at);
    let (aws, alibaba) = (text("/roles/aws"), text("/roles/alibaba"));
    let role = aws.strip_prefix(AWS_PREFIX).or_else(|| alibaba.strip_prefix(ALIBABA_PREFIX));
    let role = role.unwrap_or_default().to_owned();
    (text("/display_name"), role, text("/policy_name"), text("/suffix"))
}

/// Compares what a server holds with what a file says. When something was imported, and as which version, is each
/// server's own.
fn same(held: &[Value], file: &[Value], findings: &mut Vec<Finding>) {
    let comparable = |list: &[Value]| -> BTreeMap<String, Value> {
        let one = |entry: &Value| {
            let mut entry = entry.clone();
            if let Some(members) = entry.as_object_mut() {
                members.remove("version");
            }
            if let Some(source) = entry.pointer_mut("/source").and_then(Value::as_object_mut) {
                source.remove("at");
            }
            (principal(&entry), entry)
        };
        list.iter().map(one).collect()
    };
    let (held, file) = (comparable(held), comparable(file));
    for principal in held.keys().chain(file.keys()).collect::<BTreeSet<_>>() {
        let text = match (held.get(principal), file.get(principal)) {
            (Some(_), None) => "the server has it, the file does not".to_owned(),
            (None, Some(_)) => "the file has it, the server does not".to_owned(),
            (Some(here), Some(there)) if here != there => {
                format!("server and file differ in {}", differing(here, there))
            }
            _ => continue,
        };
        findings.push((principal.clone(), text));
    }
}

/// The members in which two entries differ.
fn differing(one: &Value, other: &Value) -> String {
    let names = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (one, other) = (names(one), names(other));
    let all: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing = all.into_iter().filter(|name| one.get(*name) != other.get(*name));
    differing.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]
    use super::*;

    const TEXT: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}"#;

    /// What a server with all facts shows of them, one of them with an imported policy.
    fn catalogue() -> Vec<Value> {
        let services = crate::vendors::services().unwrap();
        let mut all: Vec<Value> = services
            .iter()
            .flat_map(|service| service.templates.values().map(move |t| (service, t)))
            .map(|(service, t)| {
                let (name, dialect) = match t.is_offered_in(Dialect::Aws) {
                    true => ("aws", Dialect::Aws),
                    false => ("alibaba", Dialect::Alibaba),
                };
                let text = t.versions[&1].of(dialect).unwrap().text();
                json!({
                    "service": service.name, "display_name": service.display_name,
                    "runs_here": false, "principal": t.principal, "version": 1,
                    "roles": { name: t.role_name(dialect) }, "policy_name": t.policy,
                    "suffix": t.suffix, "deletion": t.deletion,
                    "documents": { name: text }, "source": null,
                })
            })
            .collect();
        let imported = all.iter_mut().find(|e| principal(e) == "rds.amazonaws.com").unwrap();
        imported["documents"]["aws"] = json!(TEXT);
        imported["source"] =
            json!({ "note": "n", "at": "t", "sha256": sdk::sign::sha256_hex(TEXT.as_bytes()) });
        all
    }

    fn found(held: &[Value], file: Option<&[Value]>) -> Vec<Finding> {
        let mut findings = Vec::new();
        held.iter().for_each(|entry| documents(entry, &mut findings));
        facts(held, &mut findings).unwrap();
        if let Some(file) = file {
            same(held, file, &mut findings);
        }
        findings
    }

    #[test]
    fn what_is_whole_has_no_findings_and_every_change_has_one() {
        let whole = catalogue();
        assert_eq!(found(&whole, Some(&whole)), []);
        assert_eq!(found(&[], None), []);
        let at = whole.iter().position(|e| principal(e) == "rds.amazonaws.com").unwrap();
        let changes: [(&str, Value); 7] = [
            ("/documents/aws", json!(TEXT.replace("Get", "Put"))),
            ("/documents/aws", json!("{}")),
            ("/documents", json!({})),
            ("/source/sha256", json!("00")),
            ("/policy_name", json!("Another")),
            ("/suffix", json!("optional")),
            ("/roles/aws", json!("AWSServiceRoleForAnother")),
        ];
        for (place, value) in changes {
            let mut changed = whole.clone();
            *changed[at].pointer_mut(place).unwrap() = value;
            let findings = found(&changed, None);
            assert!(!findings.is_empty(), "{place}");
            assert!(findings.iter().all(|(of, _)| of == "rds.amazonaws.com"), "{findings:?}");
            assert!(found(&changed, Some(&whole)).len() > findings.len(), "{place}");
        }
        // Another time and another number are each server's own.
        let mut later = whole.clone();
        later[at]["version"] = json!(7);
        later[at]["source"]["at"] = json!("later");
        assert_eq!(found(&later, Some(&whole)), []);
        // What is missing, and what nobody knows.
        let mut fewer = whole.clone();
        fewer.remove(at);
        assert_eq!(found(&fewer, None).len(), 1);
        assert_eq!(found(&fewer, Some(&whole)).len(), 2);
        let mut more = whole.clone();
        more.push(json!({ "principal": "new.example.com", "documents": { "aws": TEXT } }));
        assert_eq!(found(&more, Some(&whole)).len(), 2);
        // A service that runs here and has the names of a fact stands in its place.
        fewer.push(json!({
            "principal": "rds.example.com", "runs_here": true, "roles": whole[at]["roles"],
            "policy_name": "P", "documents": { "aws": TEXT },
        }));
        assert_eq!(found(&fewer, None), []);
    }
}
