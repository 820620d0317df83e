//! The OpenAPI document of the native API says what the decoder does: the same paths, operations and members, no
//! more and no fewer. What is answered is held against it with real requests, in `clients/test_openapi.py`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use iam::operations::{Family, Guard};
use policy::Dialect;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use wire::description::DOCUMENTS;
use wire::http::Request;
use wire::native;

type Names = BTreeSet<String>;

fn document(at: usize) -> Value {
    serde_json::from_str(DOCUMENTS[at].1).unwrap()
}

/// Both documents, and how references lead through them.
struct Api {
    openapi: Value,
    manifest: Value,
}

impl Api {
    fn read() -> Self {
        Self { openapi: document(0), manifest: document(1) }
    }

    /// A schema without a reference at its top; what stands beside a reference wins.
    fn resolve(&self, schema: &Value) -> Map<String, Value> {
        let mut found = schema.as_object().unwrap().clone();
        while let Some(reference) = found.remove("$ref") {
            let target = match reference.as_str().unwrap().split_once('#') {
                None => Some(&self.manifest),
                Some((_, inside)) if inside.starts_with("/$defs") => self.manifest.pointer(inside),
                Some((_, inside)) => self.openapi.pointer(inside),
            };
            let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
            for (key, value) in target.as_object().unwrap() {
                found.entry(key).or_insert_with(|| value.clone());
            }
        }
        found
    }

    /// A value of a schema: its example, with all members or only those it must have.
    fn sample(&self, schema: &Value, all: bool) -> Value {
        let schema = self.resolve(schema);
        if let Some(example) = schema.get("examples").or_else(|| schema.get("enum")) {
            return example[0].clone();
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("boolean") => json!(true),
            Some("array") => json!([self.sample(&schema["items"], all)]),
            Some("object") => {
                let needed = required(&schema);
                let members = schema["properties"].as_object().unwrap().iter();
                let members = members.filter(|(name, _)| all || needed.contains(*name));
                Value::Object(members.map(|(n, s)| (n.clone(), self.sample(s, all))).collect())
            }
            _ => panic!("a member without an example: {schema:?}"),
        }
    }

    /// The objects of a value whose members are all known: where they are, and their schemas.
    fn closed(&self, schema: &Value, at: &str, found: &mut Vec<(String, Map<String, Value>)>) {
        let schema = self.resolve(schema);
        if let Some(items) = schema.get("items") {
            self.closed(items, &format!("{at}/0"), found);
        }
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            for (name, member) in members {
                self.closed(member, &format!("{at}/{name}"), found);
            }
        }
        if schema.get("type") == Some(&json!("object")) && schema.contains_key("properties") {
            assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{schema:?}");
            found.push((at.to_owned(), schema));
        }
    }
}

/// What an object must have; of alternatives, the first.
fn required(schema: &Map<String, Value>) -> Names {
    let first = schema.get("anyOf").map(|choices| &choices[0]["required"]);
    let lists = schema.get("required").into_iter().chain(first);
    lists.flat_map(|list| list.as_array().unwrap()).map(|n| n.as_str().unwrap().into()).collect()
}

fn names(of: &Value) -> Names {
    of.as_object().unwrap().keys().cloned().collect()
}

fn decode(path: &str, body: &Value) -> Result<native::Native, String> {
    let request = Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        body: body.to_string().into_bytes(),
        ..Request::default()
    };
    native::decode(&request).map_err(|fault| fault.message)
}

/// The members that the decoder knows, from its refusal of another.
fn known(refusal: &str) -> Names {
    assert!(refusal.contains("unknown field `undocumented`"), "{refusal}");
    refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Each path with its one operation.
fn operations<'a>(api: &'a Api, method: &str) -> Vec<(&'a str, &'a Value)> {
    let paths = api.openapi["paths"].as_object().unwrap().iter();
    let mut all = Vec::new();
    for (path, item) in paths {
        assert_eq!(item.as_object().unwrap().len(), 1, "{path} has one method");
        all.extend(item.get(method).map(|operation| (path.as_str(), operation)));
    }
    all
}

#[test]
fn the_paths_are_those_that_are_read() {
    let api = Api::read();
    let described =
        |method| operations(&api, method).iter().map(|(p, _)| *p).collect::<BTreeSet<_>>();
    assert_eq!(described("post"), native::paths().collect());
    assert_eq!(described("get"), DOCUMENTS.iter().map(|(path, _)| *path).collect());
}

#[test]
fn each_operation_has_its_name_and_those_who_may_call_it() {
    let api = Api::read();
    let mut seen = BTreeSet::new();
    for (path, described) in operations(&api, "post") {
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let command = decode(path, &api.sample(schema, true)).unwrap().command;
        let facts = command.operation().facts();
        assert_eq!(described["operationId"], facts.name, "{path}");
        assert!(seen.insert(facts.name), "{path}: two paths of one operation");
        let tag = match facts.guard {
            Guard::Policy => "account",
            Guard::OwnService => "service",
            Guard::Operator => "operator",
            Guard::Enrolment => "enrolment",
            Guard::Workload => "workload",
            Guard::Authenticated => "authenticated",
            Guard::Trust | Guard::Member | Guard::System => panic!("{path} is not to be called"),
        };
        assert_eq!(described["tags"], json!([tag]), "{path}");
        let action = format!("{}:{}", Family::prefix(facts.family, Dialect::Aws), facts.name);
        let action = (facts.guard == Guard::Policy).then_some(json!(action));
        assert_eq!(described.get("x-linkrole-action"), action.as_ref(), "{path}");
        let unsigned = matches!(facts.guard, Guard::Operator | Guard::Enrolment | Guard::Workload);
        assert_eq!(described.get("security"), unsigned.then_some(&json!([])), "{path}");
    }
}

#[test]
fn each_request_has_the_members_that_are_read_and_no_other() {
    let api = Api::read();
    for (path, described) in operations(&api, "post") {
        let body = &described["requestBody"];
        let schema = &body["content"]["application/json"]["schema"];
        let (full, least) = (api.sample(schema, true), api.sample(schema, false));
        for taken in [&full, &least] {
            decode(path, taken).unwrap_or_else(|error| panic!("{path}: {taken}: {error}"));
        }
        assert_eq!(body["required"], json!(least != json!({})), "{path}");
        let mut places = Vec::new();
        api.closed(schema, "", &mut places);
        for (place, schema) in &places {
            let around = |change: &dyn Fn(&mut Map<String, Value>)| {
                let mut body = full.clone();
                change(body.pointer_mut(place).unwrap().as_object_mut().unwrap());
                decode(path, &body).map(|_| ())
            };
            let refusal = around(&|o| drop(o.insert("undocumented".into(), json!(1)))).unwrap_err();
            assert_eq!(known(&refusal), names(&schema["properties"]), "{path}{place}");
            let needed: Names = match schema.get("required") {
                Some(list) => serde_json::from_value(list.clone()).unwrap(),
                None => Names::new(),
            };
            for (name, member) in schema["properties"].as_object().unwrap() {
                let left_out = around(&|o| drop(o.remove(name)));
                assert_eq!(left_out.is_err(), needed.contains(name), "{path}{place}/{name}");
                let member = api.resolve(member);
                let is_text = member.get("type") == Some(&json!("string"));
                let wrong = if is_text { json!(7) } else { json!("wrong") };
                let wrong = around(&|o| drop(o.insert(name.clone(), wrong.clone())));
                assert!(wrong.is_err(), "{path}{place}/{name}: takes another type");
                if member.contains_key("enum") {
                    let other = around(&|o| drop(o.insert(name.clone(), json!("other"))));
                    assert!(other.is_err(), "{path}{place}/{name}: takes another value");
                }
                for value in member.get("enum").and_then(Value::as_array).into_iter().flatten() {
                    let value = around(&|o| drop(o.insert(name.clone(), value.clone())));
                    // Read, though what stands beside it may not go with it.
                    let unread = value.is_err_and(|error| error.contains("unknown variant"));
                    assert!(!unread, "{path}{place}/{name}");
                }
            }
        }
    }
}

#[test]
fn the_codes_of_refusals_are_those_of_the_fault_tables() {
    let sources = ["aws/fault.rs", "native.rs", "native_services.rs", "description.rs"];
    let signatures = ["sign_v4.rs", "sign_acs.rs"];
    let mut codes = Names::from(["Throttling".to_owned()]);
    for file in sources.iter().chain(&signatures) {
        let path = format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        for before in ["Fault::new(", "Self::new(", "Fault::missing(", "code: "] {
            for after in text.split(before).skip(1) {
                if let Some(literal) = after.trim_start().strip_prefix('"') {
                    codes.insert(literal.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
    let described: Names =
        serde_json::from_value(document(0)["components"]["schemas"]["ErrorCode"]["enum"].clone())
            .unwrap();
    assert_eq!(described, codes);
}

#[test]
fn only_get_reads_the_documents() {
    for (path, text) in DOCUMENTS {
        let ask = |method: &str, path: &str| {
            let (method, path) = (method.to_owned(), path.to_owned());
            wire::description::answer(&Request { method, path, ..Request::default() }, "id")
        };
        let answer = ask("GET", path).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, text.as_bytes()));
        assert_eq!(ask("POST", path).unwrap().status, 405);
        assert_eq!(ask("GET", &format!("{path}/")), None);
    }
}

/// Where the trail, its checkpoints and its archives go is said by who starts the server. No request of any
/// interface has a member for a place on the machine; addresses stand only where an operator enrols them.
#[test]
fn atk_h11_no_request_says_where_the_trail_goes() {
    const PLACES: [&str; 11] = [
        "file",
        "folder",
        "directory",
        "archive",
        "checkpoint",
        "sink",
        "bucket",
        "destination",
        "socket",
        "device",
        "webhook",
    ];
    let api = Api::read();
    let mut members = Names::new();
    let mut addresses = Names::new();
    for (path, described) in operations(&api, "post") {
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let mut places = Vec::new();
        api.closed(schema, "", &mut places);
        for (place, schema) in &places {
            for name in names(&schema["properties"]) {
                if ["url", "callback", "endpoint", "address"].contains(&name.as_str()) {
                    addresses.insert(format!("{path}{place}/{name}"));
                }
                members.insert(name);
            }
        }
    }
    let named = |member: &String| PLACES.iter().any(|place| member.contains(place));
    let suspects: Vec<&String> = members.iter().filter(|member| named(member)).collect();
    assert_eq!(suspects, Vec::<&String>::new());
    assert!(members.contains("operation") && members.contains("forwarded"), "the control");
    // A service repeats what the operator enrolled; another address is refused (test_callbacks.py).
    let of_services = |place: &String| place.starts_with("/v1/services/");
    assert!(addresses.iter().all(of_services), "{addresses:?}");
    assert!(addresses.contains("/v1/services/enrol/callback"), "the control: {addresses:?}");
    // The vendors' operations that would: of CloudTrail everything but the look-up.
    let ask = |operation: &str| {
        let target = format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}");
        let headers = vec![("x-amz-target".to_owned(), target)];
        wire::aws::cloudtrail::command(&Request { headers, ..Request::default() }).is_ok()
    };
    let taken: Vec<&&str> = wire::aws::known::CLOUDTRAIL.iter().filter(|o| ask(o)).collect();
    assert_eq!(taken, [&"LookupEvents"]);
    for operation in ["CreateTrail", "UpdateTrail", "StartLogging", "PutEventSelectors"] {
        let query = format!("Action={operation}&Version=2020-07-06");
        let request =
            Request { method: "GET".into(), path: "/".into(), query, ..Request::default() };
        assert!(wire::alibaba::Asked::of(&request).is_err(), "{operation}");
    }
    let query = "Action=LookupEvents&Version=2020-07-06".to_owned();
    let request = Request { method: "GET".into(), path: "/".into(), query, ..Request::default() };
    assert!(wire::alibaba::Asked::of(&request).is_ok(), "the control");
}
