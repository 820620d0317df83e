//! `linkrole catalog`: the clouds' own services, and their policies brought in by the operator.
//!
//! The vendors' texts are not shipped. What an operator has of them is read here as the vendors' own tools write it,
//! and handed to the server document by document; the server checks each, and refuses it whole or takes it whole.

use super::output::{self, Output};
use super::remote::Remote;
use super::{DialectArg, Operator};
use clap::{Subcommand, ValueEnum};
use policy::Dialect;
use sdk::xml_text;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// Pages of a listing at most, so that a server that never ends does not keep this from ending.
const PAGES_MAX: usize = 1_000;
/// Where the policies of service-linked roles stand. [src: AWS.md 2.1]
const PATH_PREFIX: &str = "/aws-service-role/";

#[derive(Subcommand)]
pub enum CatalogCommand {
    /// List the services whose roles can be made
    List {
        #[command(flatten)]
        operator: Operator,
    },
    /// Bring in the vendor's policies of known roles; the same ones again change nothing
    #[command(
        after_help = "Examples:\n  aws iam get-account-authorization-details --filter AWSManagedPolicy > details.json\n  linkrole catalog import aws --from account details.json\n  linkrole catalog import aws --from endpoint http://127.0.0.1:5000"
    )]
    Import {
        /// Whose policies they are
        dialect: DialectArg,
        /// What the source is
        #[arg(long, value_enum)]
        from: From,
        /// A file or folder, or the address of a server
        source: String,
        /// Where it comes from, for whoever looks later; the source itself unless given
        #[arg(long)]
        source_note: Option<String>,
        /// Only tell what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        operator: Operator,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Answers of `aws iam get-policy-version` or `aliyun ram GetPolicy`, a file each, named for the policy
    File,
    /// The answer of `aws iam get-account-authorization-details`
    Account,
    /// A server that speaks the wire of AWS, asked with the access key of the environment
    Endpoint,
}

/// A policy as it was found.
struct Found {
    name: String,
    document: String,
}

/// Carries out a command.
pub fn run(command: CatalogCommand, output: Output) -> Result<(), String> {
    match command {
        CatalogCommand::List { operator } => list(&operator, output),
        CatalogCommand::Import { dialect, from, source, source_note, dry_run, operator } => {
            let found = match (from, Dialect::from(dialect)) {
                (From::File, _) => files(Path::new(&source))?,
                (From::Account, Dialect::Aws) => account(&read(Path::new(&source))?)?,
                (From::Endpoint, Dialect::Aws) => endpoint(&source)?,
                (_, Dialect::Alibaba) => {
                    return Err("of Alibaba Cloud only files can be read: `--from file`".into());
                }
            };
            let note = source_note.unwrap_or_else(|| source.clone());
            import(&operator, output, dialect.into(), found, &note, dry_run)
        }
    }
}

fn list(operator: &Operator, output: Output) -> Result<(), String> {
    let all = Remote::operator(operator)?.post("/v1/services/list", &json!({}))?;
    output::print(output, &all, &["PRINCIPAL", "ROLE", "POLICY", "SUFFIX"], |v| {
        let services = v.pointer("/services").and_then(Value::as_array);
        let members = ["/principal", "/name", "/policy_name", "/suffix"];
        services.into_iter().flatten().flat_map(|s| output::rows(s, "/role", &members)).collect()
    })
}

/// Hands the documents over; tells what each led to.
fn import(
    operator: &Operator,
    output: Output,
    dialect: Dialect,
    found: Vec<Found>,
    note: &str,
    dry_run: bool,
) -> Result<(), String> {
    let remote = Remote::operator(operator)?;
    let (mut changed, mut unchanged, mut unknown) = (Vec::new(), 0u32, Vec::new());
    let mut rejected = Vec::new();
    for Found { name, document } in found {
        let body = json!({
            "dialect": dialect, "policy": name, "document": document, "source": note,
            "dry_run": dry_run,
        });
        match remote.post("/v1/services/import-policy", &body) {
            Ok(told) if told.pointer("/changed") == Some(&Value::Bool(true)) => changed.push(name),
            Ok(_) => unchanged += 1,
            Err(error) if error.contains("NoSuchEntity") => unknown.push(name),
            Err(error) => rejected.push(format!("{name}: {error}")),
        }
    }
    let summary = json!({
        "dry_run": dry_run, "changed": changed, "unchanged": unchanged, "unknown": unknown,
        "rejected": rejected,
    });
    output::print(
        output,
        &summary,
        &["CHANGED", "UNCHANGED", "NO KNOWN ROLE", "REJECTED"],
        |_| {
            let counts = [changed.len(), unchanged as usize, unknown.len(), rejected.len()];
            vec![counts.iter().map(ToString::to_string).collect()]
        },
    )?;
    match rejected.first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("{} documents were rejected; the first is {first}", rejected.len()))
        }
    }
}

fn read(file: &Path) -> Result<Value, String> {
    let at = file.display();
    let size = std::fs::metadata(file).map_err(|e| format!("{at}: {e}"))?.len();
    if size > FILE_MAX {
        return Err(format!("{at}: expected at most {FILE_MAX} bytes; found {size}"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{at}: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("{at} does not read: {e}"))
}

/// One file, or all `.json` files of a folder.
fn files(source: &Path) -> Result<Vec<Found>, String> {
    let at = source.display();
    let paths: Vec<PathBuf> = if source.is_dir() {
        let entries = std::fs::read_dir(source).map_err(|e| format!("{at}: {e}"))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        paths
    } else {
        vec![source.to_owned()]
    };
    paths.iter().map(|path| file(path, &read(path)?)).collect()
}

/// The policy that a file holds: the whole answer of the vendor's tool, or the document alone.
fn file(path: &Path, value: &Value) -> Result<Found, String> {
    let at = path.display();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let named = value.pointer("/Policy/PolicyName").and_then(Value::as_str);
    let places = [
        "/PolicyVersion/Document",
        "/DefaultPolicyVersion/PolicyDocument",
        "/Policy/PolicyDocument",
    ];
    let inner = places.iter().find_map(|place| value.pointer(place));
    let is_document = value.get("Statement").is_some();
    let found = inner.or(is_document.then_some(value));
    let found = found.ok_or_else(|| {
        format!("{at}: expected a document, or the answer of `get-policy-version` or `GetPolicy`")
    })?;
    Ok(Found { name: named.unwrap_or(stem).to_owned(), document: text(found, &at.to_string())? })
}

/// The policies of service-linked roles in the answer of `get-account-authorization-details`.
fn account(value: &Value) -> Result<Vec<Found>, String> {
    let policies = value.get("Policies").and_then(Value::as_array);
    let policies = policies.ok_or("expected a member `Policies`, a list; found none")?;
    let mut all = Vec::new();
    for policy in policies {
        let member = |name: &str| policy.get(name).and_then(Value::as_str).unwrap_or_default();
        if member("Path") != PATH_PREFIX {
            continue;
        }
        let (name, version) = (member("PolicyName"), member("DefaultVersionId"));
        let versions = policy.get("PolicyVersionList").and_then(Value::as_array);
        let in_force = versions
            .into_iter()
            .flatten()
            .find(|found| found.get("VersionId").and_then(Value::as_str) == Some(version));
        let document = in_force.and_then(|found| found.get("Document"));
        let document = document.ok_or_else(|| format!("{name}: it has no version {version}"))?;
        all.push(Found { name: name.to_owned(), document: text(document, name)? });
    }
    Ok(all)
}

/// A document as a text: from JSON as it is, from a text with or without its URL encoding.
fn text(document: &Value, of: &str) -> Result<String, String> {
    match document {
        Value::String(text) if text.trim_start().starts_with('{') => Ok(text.clone()),
        Value::String(text) => sdk::sign::percent_decode(text)
            .ok_or_else(|| format!("{of}: the document is neither JSON nor URL-encoded")),
        other => Ok(other.to_string()),
    }
}

/// Asks a server for all policies of service-linked roles, page by page.
fn endpoint(address: &str) -> Result<Vec<Found>, String> {
    let remote = Remote::signed(address)?;
    let mut names: Vec<(String, String, String)> = Vec::new();
    let mut marker = None;
    for _ in 0..PAGES_MAX {
        let mut params =
            vec![("Action", "ListPolicies"), ("Scope", "AWS"), ("PathPrefix", PATH_PREFIX)];
        params.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = remote.query("iam", &params)?;
        for member in page.split("<member>").skip(1) {
            let part = |name: &str| xml_text(member, name);
            if let (Some(arn), Some(name), Some(version)) =
                (part("Arn"), part("PolicyName"), part("DefaultVersionId"))
            {
                names.push((arn, name, version));
            }
        }
        marker = xml_text(&page, "Marker").filter(|_| page.contains("<IsTruncated>true"));
        if marker.is_none() {
            break;
        }
    }
    let mut all = Vec::new();
    for (arn, name, version) in names {
        let params =
            [("Action", "GetPolicyVersion"), ("PolicyArn", &*arn), ("VersionId", &*version)];
        let answer = remote.query("iam", &params)?;
        let document = xml_text(&answer, "Document");
        let document = document.ok_or_else(|| format!("{arn}: the answer has no document"))?;
        all.push(Found { document: text(&Value::String(document), &name)?, name });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn documents_are_found_where_the_vendors_tools_put_them() {
        let document = json!({"Version": "2012-10-17", "Statement": []});
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
        for (value, name) in [
            (json!({ "PolicyVersion": { "Document": document } }), "stem"),
            (json!({ "PolicyVersion": { "Document": encoded } }), "stem"),
            (document.clone(), "stem"),
            (
                json!({ "Policy": { "PolicyName": "Own" },
                        "DefaultPolicyVersion": { "PolicyDocument": document.to_string() } }),
                "Own",
            ),
        ] {
            let found = file(Path::new("folder/stem.json"), &value).unwrap();
            assert_eq!(found.name, name);
            assert_eq!(serde_json::from_str::<Value>(&found.document).unwrap(), document);
        }
        assert!(file(Path::new("x.json"), &json!({})).is_err());
        assert!(text(&json!("%7"), "x").is_err());
        let details = |version: &str| {
            json!({ "Policies": [
                { "Path": "/", "PolicyName": "Other", "DefaultVersionId": "v1" },
                { "Path": "/aws-service-role/", "PolicyName": "P", "DefaultVersionId": "v2",
                  "PolicyVersionList": [{ "VersionId": version, "Document": document }] } ] })
        };
        let found = account(&details("v2")).unwrap();
        assert_eq!(found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["P"]);
        assert!(account(&details("v1")).is_err());
        assert!(account(&json!({})).is_err());
    }
}
