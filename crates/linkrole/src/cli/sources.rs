//! Where `catalog` finds the vendors' policies: files of the vendors' tools, a server that has them, or what
//! `catalog export` wrote.

use super::DialectArg;
use super::output;
use super::ram::Ram;
use super::remote::Remote;
use ::policy::Dialect;
use clap::{Args, ValueEnum};
use sdk::xml_text;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What an export calls itself.
pub const FORMAT: &str = "linkrole-catalog/1";
/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// Pages of a listing at most, so that a server that never ends does not keep this from ending.
pub const PAGES_MAX: usize = 1_000;
/// Where the policies of service-linked roles stand. [src: AWS.md 2.1]
const PATH_PREFIX: &str = "/aws-service-role/";
/// What the names of such policies begin with in RAM, where they have no paths. [src: ALIBABA.md 3]
const NAME_PREFIX: &str = "AliyunServiceRolePolicyFor";

/// Policies to be looked at.
#[derive(Args)]
pub struct Source {
    /// Whose policies they are
    dialect: DialectArg,
    /// What the source is
    #[arg(long, value_enum)]
    from: From,
    /// A file or folder, or the address of a server
    source: String,
    /// Where it comes from, for whoever looks later; the source itself unless given, of an export what that says
    #[arg(long)]
    source_note: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Answers of `aws iam get-policy-version` or `aliyun ram GetPolicy`: a folder of them, or a file with one or,
    /// of those that name their policy, several
    File,
    /// The answer of `aws iam get-account-authorization-details`, or its pages one after another
    Account,
    /// A server that speaks the wire of the vendor, asked with the access key of the environment
    Endpoint,
    /// What `catalog export` wrote
    Export,
}

/// A policy as it was found.
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its text.
    pub document: String,
    /// Where it comes from.
    pub note: String,
}

impl Source {
    /// Whose policies they are.
    pub fn dialect(&self) -> Dialect {
        self.dialect.into()
    }

    /// All policies of the source.
    ///
    /// Errors: a sentence about what does not read.
    pub fn read(&self) -> Result<Vec<Found>, String> {
        let path = Path::new(&self.source);
        let found = match (self.from, self.dialect()) {
            (From::File, _) => files(path)?,
            (From::Export, dialect) => return self.exported(&export(path)?, dialect),
            (From::Account, Dialect::Aws) => account(&read(path)?)?,
            (From::Endpoint, Dialect::Aws) => endpoint(&self.source)?,
            (From::Endpoint, Dialect::Alibaba) => ram_endpoint(&self.source)?,
            (From::Account, Dialect::Alibaba) => {
                return Err("Alibaba Cloud has no such answer; expected `--from file`, the answers of `GetPolicy`".into());
            }
        };
        let note = self.source_note.as_ref().unwrap_or(&self.source);
        let noted = |(name, document)| Found { name, document, note: note.clone() };
        Ok(found.into_iter().map(noted).collect())
    }

    /// The imported policies of an export; those of services that run somewhere come with their manifests.
    fn exported(&self, export: &Value, dialect: Dialect) -> Result<Vec<Found>, String> {
        let member = match dialect {
            Dialect::Aws => "/documents/aws",
            Dialect::Alibaba => "/documents/alibaba",
        };
        let entries = output::list(export, "/entries");
        let imported = entries.iter().filter(|entry| {
            entry.pointer("/source").is_some_and(Value::is_object)
                && entry.pointer(member).is_some()
        });
        let found = imported.map(|entry| {
            let note = output::text(entry, "/source/note");
            Found {
                name: output::text(entry, "/policy_name"),
                document: output::text(entry, member),
                note: self.source_note.clone().unwrap_or(note),
            }
        });
        Ok(found.collect())
    }
}

/// What `catalog export` wrote.
///
/// Errors: a sentence, for every other file.
pub fn export(path: &Path) -> Result<Value, String> {
    let at = path.display();
    let [one] = <[Value; 1]>::try_from(read(path)?)
        .map_err(|_| format!("{at}: expected one JSON document"))?;
    if output::text(&one, "/format") != FORMAT {
        return Err(format!("{at}: expected what `catalog export` writes, `{FORMAT}`"));
    }
    Ok(one)
}

/// A named document.
type Named = (String, String);

/// The JSON documents of a file; most hold one.
fn read(file: &Path) -> Result<Vec<Value>, String> {
    let at = file.display();
    let size = std::fs::metadata(file).map_err(|e| format!("{at}: {e}"))?.len();
    if size > FILE_MAX {
        return Err(format!("{at}: expected at most {FILE_MAX} bytes; found {size}"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{at}: {e}"))?;
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    documents.collect::<Result<_, _>>().map_err(|e| format!("{at} does not read: {e}"))
}

/// One file, or all `.json` files of a folder.
fn files(source: &Path) -> Result<Vec<Named>, String> {
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
    let mut all = Vec::new();
    for path in &paths {
        let documents = read(path)?;
        // A file is named for its one policy; of several each must say its name itself.
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.filter(|_| documents.len() == 1);
        for document in &documents {
            all.push(file(path, stem, document)?);
        }
    }
    Ok(all)
}

/// The policy that a file holds: the whole answer of the vendor's tool, or the document alone.
fn file(path: &Path, stem: Option<&str>, value: &Value) -> Result<Named, String> {
    let at = path.display();
    let named = value.pointer("/Policy/PolicyName").and_then(Value::as_str).or(stem);
    let named = named.ok_or_else(|| {
        format!("{at}: expected the name of each of its policies; found an answer without, which needs its own file")
    })?;
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
    Ok((named.to_owned(), text(found, &at.to_string())?))
}

/// The policies of service-linked roles in the answer of `get-account-authorization-details`.
fn account(pages: &[Value]) -> Result<Vec<Named>, String> {
    let of_page = |page: &Value| page.get("Policies").and_then(Value::as_array).cloned();
    let policies: Option<Vec<Vec<Value>>> = pages.iter().map(of_page).collect();
    let policies = policies.ok_or("expected a member `Policies`, a list; found none")?;
    let mut all = Vec::new();
    for policy in policies.iter().flatten() {
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
        all.push((name.to_owned(), text(document, name)?));
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
fn endpoint(address: &str) -> Result<Vec<Named>, String> {
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
        all.push((name.clone(), text(&Value::String(document), &name)?));
    }
    Ok(all)
}

/// Asks a server in RAM's API, page by page.
fn ram_endpoint(address: &str) -> Result<Vec<Named>, String> {
    let ram = Ram::signed(address)?;
    let (mut names, mut marker) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let mut params = vec![("PolicyType", "System"), ("MaxItems", "100")];
        params.extend(Some(("Marker", &*marker)).filter(|(_, marker)| !marker.is_empty()));
        let page = ram.ask("ListPolicies", &params)?;
        let listed = output::rows(&page, "/Policies/Policy", &["/PolicyName"]).concat();
        names.extend(listed.into_iter().filter(|name| name.starts_with(NAME_PREFIX)));
        marker = output::text(&page, "/Marker");
        if page.pointer("/IsTruncated") != Some(&Value::Bool(true)) || marker.is_empty() {
            break;
        }
    }
    let document = |name: String| {
        let params = [("PolicyType", "System"), ("PolicyName", &*name)];
        file(Path::new(address), Some(&name), &ram.ask("GetPolicy", &params)?)
    };
    names.into_iter().map(document).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use serde_json::json;

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
            let path = Path::new("folder/stem.json");
            let found = file(path, Some("stem"), &value).unwrap();
            assert_eq!(found.0, name);
            assert_eq!(serde_json::from_str::<Value>(&found.1).unwrap(), document);
            assert_eq!(file(path, None, &value).is_ok(), name == "Own");
        }
        assert!(file(Path::new("x.json"), Some("x"), &json!({})).is_err());
        assert!(text(&json!("%7"), "x").is_err());
        let details = |version: &str| {
            json!({ "Policies": [
                { "Path": "/", "PolicyName": "Other", "DefaultVersionId": "v1" },
                { "Path": "/aws-service-role/", "PolicyName": "P", "DefaultVersionId": "v2",
                  "PolicyVersionList": [{ "VersionId": version, "Document": document }] } ] })
        };
        let found = account(&[details("v2"), details("v2")]).unwrap();
        assert_eq!(found.iter().map(|f| f.0.as_str()).collect::<Vec<_>>(), ["P", "P"]);
        assert!(account(&[details("v1")]).is_err());
        assert!(account(&[json!({})]).is_err());
    }
}
