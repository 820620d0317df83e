//! wami: the vendor's JSON, but with resource names of its own form and few condition keys.
//!
//! Resource names are translated one to one. Its request cannot carry the keys of these workloads; so every
//! condition stands as one text comparison on a key it has, true exactly where the original is true.

use serde_json::{Value, json};
use wami::arn::WamiArn;
use wami::context::WamiContext;
use wami::service::auth::PolicySource;
use wami::service::auth::policy_evaluator::{
    PolicyEffect, evaluate_policy_document, parse_policy_doc,
};
use wami::types::PolicyDocument;

use crate::engine::Engine;
use crate::work::{Ask, Effect, Policy};

/// The engine.
pub struct Wami;

/// A request.
pub struct Request {
    action: String,
    resource: WamiArn,
    context: WamiContext,
}

impl Engine for Wami {
    const NAME: &'static str = "wami 0.18";
    const FLEET: Result<usize, &'static str> =
        Err("its requests carry no context keys but its own");
    type Source = Vec<String>;
    type World = ();
    type Loaded = Vec<(PolicySource, PolicyDocument)>;
    type Request = Request;

    fn render(policies: &[Policy], asks: &[Ask]) -> Result<Vec<String>, String> {
        let [ask] = asks else {
            return Err("conditions are translated for one question".to_owned());
        };
        Ok(policies.iter().map(|policy| document(policy, ask)).collect())
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &Vec<String>) -> Vec<(PolicySource, PolicyDocument)> {
        let documents = source.iter().map(|text| {
            let name = PolicySource::UserInline { name: "bench".to_owned() };
            let document = parse_policy_doc(text, &name).expect("written here");
            (name, document)
        });
        documents.collect()
    }

    fn request(ask: &Ask) -> Request {
        let caller = WamiArn::builder().service_str("iam").tenant(1).wami_instance("7");
        let caller = caller.resource("user", "worker").build().expect("complete");
        let (service, rest) = parts(&ask.resource);
        let resource = WamiArn::builder().service_str(service).tenant(1).wami_instance("7");
        Request {
            action: ask.action.clone(),
            resource: resource.resource("res", rest).build().expect("complete"),
            context: WamiContext::builder().caller_arn(caller).build().expect("complete"),
        }
    }

    fn allowed(
        (): &(),
        loaded: &mut Vec<(PolicySource, PolicyDocument)>,
        request: &Request,
    ) -> bool {
        let mut allowed = false;
        for (name, document) in loaded {
            let Request { action, resource, context } = request;
            match evaluate_policy_document(document, action, resource, context, name) {
                Ok(Some(hit)) if hit.effect == PolicyEffect::Allow => allowed = true,
                Ok(None) => {}
                _ => return false,
            }
        }
        allowed
    }
}

/// The service of an ARN, and all behind it as one path.
fn parts(arn: &str) -> (&str, String) {
    let mut parts = arn.splitn(6, ':').skip(2);
    let mut next = || parts.next().unwrap_or_default();
    let (service, region, account, rest) = (next(), next(), next(), next());
    (service, format!("{region}/{account}/{rest}"))
}

/// A pattern; one star stops at slashes there, two do not.
fn pattern(arn: &str) -> String {
    if arn == "*" {
        return arn.to_owned();
    }
    let (service, rest) = parts(arn);
    format!("arn:wami:{service}:1:wami:7:res/{}", rest.replace('*', "**"))
}

fn document(policy: &Policy, ask: &Ask) -> String {
    let statements: Vec<Value> = policy
        .statements
        .iter()
        .map(|statement| {
            let resources: Vec<String> = statement.resources.iter().map(|r| pattern(r)).collect();
            let mut object = json!({
                "Effect": if statement.effect == Effect::Allow { "Allow" } else { "Deny" },
                "Action": statement.actions,
                "Resource": resources,
            });
            if !statement.conditions.is_empty() {
                let holds = statement.conditions.iter().all(|condition| condition.holds(ask));
                let kind = if holds { "user" } else { "group" };
                object["Condition"] = json!({"StringEquals": {"aws:PrincipalType": kind}});
            }
            object
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}
