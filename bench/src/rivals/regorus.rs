//! regorus: a rule body per statement and way to fit it, compiled for its virtual machine.
//!
//! Statements are grouped by service, so that a request tries those of its own service only; without the
//! groups every body would be tried.

use std::collections::BTreeMap;
use std::fmt::Write;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine as Rego, Value};

use crate::engine::Engine;
use crate::work::{Ask, Effect, Policy, Statement};

/// The engine.
pub struct Regorus;

/// The rule that is asked for.
const ENTRY: &str = "data.bench.allow";

impl Engine for Regorus {
    const NAME: &'static str = "regorus 0.14";
    const FLEET: Result<usize, &'static str> = Ok(crate::workloads::PRINCIPALS);
    type Source = String;
    type World = ();
    type Loaded = RegoVM;
    type Request = Value;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<String, String> {
        let mut groups: BTreeMap<(bool, String), String> = BTreeMap::new();
        for statement in policies.iter().flat_map(|policy| &policy.statements) {
            let deny = statement.effect == Effect::Deny;
            let mut services: Vec<&str> =
                statement.actions.iter().map(|a| a.split(':').next().unwrap_or_default()).collect();
            services.sort_unstable();
            services.dedup();
            for service in services {
                let rule = rule(deny, service);
                let text = groups.entry((deny, service.to_owned())).or_default();
                for body in bodies(statement, service) {
                    writeln!(text, "{rule} if {{ {body} }}").map_err(|error| error.to_string())?;
                }
            }
        }
        let mut text = "package bench\nimport rego.v1\ndefault allow := false\n".to_owned();
        text.push_str(
            "allow if { permit; not deny }\ndefault permit := false\ndefault deny := false\n",
        );
        for ((deny, service), bodies) in &groups {
            let head = if *deny { "deny" } else { "permit" };
            let rule = rule(*deny, service);
            text.push_str(&format!(
                "{head} if {{ input.service == {service:?}; {rule} }}\n{bodies}"
            ));
        }
        Ok(text)
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &String) -> RegoVM {
        let mut rego = Rego::new();
        rego.add_policy("bench.rego".to_owned(), source.clone()).expect("written here");
        let compiled = rego.compile_with_entrypoint(&ENTRY.into()).expect("written here");
        let program = Compiler::compile_from_policy(&compiled, &[ENTRY]).expect("written here");
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_max_instructions(usize::MAX);
        machine
    }

    fn request(ask: &Ask) -> Value {
        let context: serde_json::Map<String, serde_json::Value> =
            ask.context.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let input = serde_json::json!({
            "action": ask.action,
            "service": ask.action.split(':').next(),
            "resource": ask.resource,
            "context": context,
        });
        Value::from_json_str(&input.to_string()).expect("written here")
    }

    fn allowed((): &(), loaded: &mut RegoVM, request: &Value) -> bool {
        loaded.set_input(request.clone());
        loaded.execute().is_ok_and(|answer| answer == Value::Bool(true))
    }
}

fn rule(deny: bool, service: &str) -> String {
    format!("{}_{service}", if deny { "deny" } else { "permit" })
}

/// The bodies of a statement: the language has no `or`, so every way to fit is a body of its own.
fn bodies(statement: &Statement, service: &str) -> Vec<String> {
    let prefix = format!("{service}:");
    let actions: Vec<String> =
        statement.actions.iter().filter(|a| a.starts_with(&prefix)).cloned().collect();
    let mut tests = Vec::new();
    if !actions.iter().any(|action| *action == format!("{prefix}*")) {
        tests.push(ways("input.action", &actions, true));
    }
    if !statement.resources.iter().any(|pattern| pattern == "*") {
        tests.push(ways("input.resource", &statement.resources, true));
    }
    for condition in &statement.conditions {
        let subject = format!("input.context[{:?}]", condition.key);
        tests.push(ways(&subject, &condition.values, condition.like));
    }
    let mut bodies = vec![String::new()];
    for ways in tests {
        let joined = |body: &String, way: &String| {
            if body.is_empty() { way.clone() } else { format!("{body}; {way}") }
        };
        bodies = bodies.iter().flat_map(|b| ways.iter().map(move |w| joined(b, w))).collect();
    }
    for body in &mut bodies {
        if body.is_empty() {
            body.push_str("true");
        }
    }
    bodies
}

/// The ways in which a text can fit one of some patterns, each by the cheapest builtin that says so.
fn ways(subject: &str, patterns: &[String], like: bool) -> Vec<String> {
    let is_prefix = |p: &&String| p.find('*') == Some(p.len() - 1);
    let (exact, wild): (Vec<&String>, Vec<&String>) =
        patterns.iter().partition(|pattern| !like || !pattern.contains('*'));
    let (prefixes, inner): (Vec<&String>, Vec<&String>) = wild.into_iter().partition(is_prefix);
    let mut ways = Vec::new();
    match exact.as_slice() {
        [] => {}
        [only] => ways.push(format!("{subject} == {only:?}")),
        many => ways.push(format!("{subject} in {{{}}}", quoted(many))),
    }
    let heads: Vec<String> = prefixes.iter().map(|p| p.trim_end_matches('*').to_owned()).collect();
    match heads.as_slice() {
        [] => {}
        [only] => ways.push(format!("startswith({subject}, {only:?})")),
        many => {
            let many: Vec<&String> = many.iter().collect();
            ways.push(format!("strings.any_prefix_match({subject}, [{}])", quoted(&many)));
        }
    }
    for pattern in inner {
        ways.push(format!("regex.match({:?}, {subject})", expression(pattern)));
    }
    ways
}

fn expression(pattern: &str) -> String {
    format!("^{}$", pattern.replace('.', "[.]").replace('*', ".*"))
}

fn quoted(texts: &[&String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    texts.join(", ")
}
