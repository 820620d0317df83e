//! Single questions about policies: explained, or simulated for many actions and resources.
//!
//! A question is made into a case, so that it is read and decided exactly as those of case files are.

use super::output::{self, Output};
use super::policy::read;
use ::policy::cases::{self, EvaluateCase, Task};
use ::policy::{
    Arn, Decision, Dialect, Evaluate, Explanation, Failing, OwnedPolicies, ResourceKind, Spec,
    Suggestion, denial_text, explain, name,
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Who asks, with which condition keys, and under which policies.
#[derive(Args)]
pub struct Situation {
    /// Who asks: an ARN, an account number for its root, a service's name, or `*` for anybody
    #[arg(long)]
    principal: Option<String>,
    /// A condition key as KEY=VALUE; a key given several times, or as KEY[]=VALUE, is multi-valued
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// A policy of the principal
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// The permissions boundary
    #[arg(long, value_name = "FILE")]
    boundary: Vec<PathBuf>,
    /// A session policy
    #[arg(long, value_name = "FILE")]
    session: Vec<PathBuf>,
    /// A service control policy; each option is a level, the root first, files of one level with commas
    #[arg(long, value_name = "FILE[,FILE]")]
    scp: Vec<String>,
    /// A resource control policy, in levels as with `--scp`
    #[arg(long, value_name = "FILE[,FILE]")]
    rcp: Vec<String>,
    /// The policy of the resource
    #[arg(long, value_name = "FILE")]
    resource_policy: Option<PathBuf>,
    /// The trust policy of the role that is the resource
    #[arg(long, value_name = "FILE", conflicts_with = "resource_policy")]
    trust: Option<PathBuf>,
}

#[derive(Args)]
pub struct ExplainArgs {
    /// A case file that holds the question
    #[arg(requires = "id", conflicts_with_all = ["action", "principal"])]
    file: Option<PathBuf>,
    /// The case's id
    #[arg(long, requires = "file")]
    id: Option<String>,
    /// The action
    #[arg(long, required_unless_present = "file", requires = "principal")]
    action: Option<String>,
    /// The resource; `*` for actions that know none
    #[arg(long, default_value = "*")]
    resource: String,
    #[command(flatten)]
    situation: Situation,
}

#[derive(Args)]
pub struct SimulateArgs {
    /// An action; may be given several times
    #[arg(long, required = true, requires = "principal")]
    action: Vec<String>,
    /// A resource; may be given several times. `*` for actions that know none
    #[arg(long, default_value = "*")]
    resource: Vec<String>,
    #[command(flatten)]
    situation: Situation,
}

impl Situation {
    /// A question in the form of a case.
    fn case(&self, action: &str, resource: &str) -> Result<Box<EvaluateCase>, String> {
        let principal = self.principal.as_deref().unwrap_or_default();
        let principal = principal_value(principal)?;
        let request = json!({
            "action": action,
            "resource": resource,
            "wildcardOnly": resource == "*",
            "context": self.context(&principal)?,
            "principal": principal,
        });
        let case = json!({
            "id": "question", "kind": "evaluate", "request": request, "policies": self.policies()?,
        });
        let file = json!({"format": cases::FORMAT, "cases": [case]});
        let mut read = cases::read(&file.to_string()).map_err(|error| error.to_string())?;
        match read.pop().map(|case| case.task) {
            Some(Task::Evaluate(task)) => Ok(task),
            _ => Err("the question is no question".to_owned()),
        }
    }

    /// The condition keys that are given, and those that follow from the principal.
    fn context(&self, principal: &Value) -> Result<Value, String> {
        let mut keys = Map::new();
        let text = |name: &str| principal.get(name).and_then(Value::as_str);
        if let Some(arn) = text("arn") {
            keys.insert("aws:PrincipalArn".to_owned(), json!(arn));
            if text("type") == Some("User") {
                let name = arn.rsplit('/').next().unwrap_or_default();
                keys.insert("aws:username".to_owned(), json!(name));
            }
        }
        if let Some(account) = text("account") {
            keys.insert("aws:PrincipalAccount".to_owned(), json!(account));
        }
        let mut given: Map<String, Value> = Map::new();
        for pair in &self.context {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("`--context {pair}` has no `=`; write it as KEY=VALUE"))?;
            let (key, list) = match key.strip_suffix("[]") {
                Some(key) => (key, true),
                None => (key, false),
            };
            let together = match given.remove(key) {
                None if list => json!([value]),
                None => json!(value),
                Some(Value::Array(mut values)) => {
                    values.push(json!(value));
                    Value::Array(values)
                }
                Some(one) => json!([one, value]),
            };
            given.insert(key.to_owned(), together);
        }
        keys.retain(|key, _| !given.keys().any(|k| k.eq_ignore_ascii_case(key)));
        keys.extend(given);
        Ok(Value::Object(keys))
    }

    /// The policies as a case has them; a layer for which no file is given is not in play.
    fn policies(&self) -> Result<Value, String> {
        let mut layers = Map::new();
        layers.insert("identity".to_owned(), policies(&self.identity)?);
        for (name, files) in [("boundary", &self.boundary), ("session", &self.session)] {
            if !files.is_empty() {
                layers.insert(name.to_owned(), policies(files)?);
            }
        }
        for (name, levels) in [("scp", &self.scp), ("rcp", &self.rcp)] {
            let mut list = Vec::new();
            for (number, level) in levels.iter().enumerate() {
                let files: Vec<PathBuf> = level.split(',').map(PathBuf::from).collect();
                let target = format!("level {number}");
                list.push(json!({"target": target, "policies": policies(&files)?}));
            }
            if !list.is_empty() {
                layers.insert(name.to_owned(), Value::Array(list));
            }
        }
        let resource = [(&self.resource_policy, None), (&self.trust, Some("trust"))];
        for (file, kind) in resource {
            let Some(file) = file else { continue };
            let mut policy = policy(file)?;
            if let (Some(kind), Some(members)) = (kind, policy.as_object_mut()) {
                members.insert("kind".to_owned(), json!(kind));
            }
            layers.insert("resource".to_owned(), policy);
        }
        Ok(Value::Object(layers))
    }
}

fn policy(file: &Path) -> Result<Value, String> {
    Ok(json!({"name": file.display().to_string(), "text": read(file)?}))
}

fn policies(files: &[PathBuf]) -> Result<Value, String> {
    files.iter().map(|file| policy(file)).collect()
}

/// Who is meant by a principal on the command line, as a case has it.
fn principal_value(text: &str) -> Result<Value, String> {
    if text == "*" {
        return Ok(json!({"type": "Anonymous"}));
    }
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        let arn = name::root(Dialect::Aws, text);
        return Ok(json!({"type": "Root", "arn": arn, "account": text}));
    }
    let Some(arn) = Arn::parse(text) else {
        if text.contains('.') && !text.contains([':', '/']) {
            return Ok(json!({"type": "Service", "service": text}));
        }
        return Err(format!(
            "`{text}` is no principal; give an ARN, an account number, a service's name or `*`"
        ));
    };
    let kind = match arn.resource.split('/').next().unwrap_or_default() {
        "user" => "User",
        "role" => "Role",
        "assumed-role" => "AssumedRole",
        "federated-user" => "FederatedUser",
        "root" => "Root",
        other => {
            return Err(format!(
                "`{other}` in `{text}` is no kind of principal; a user, role, assumed-role, \
                 federated-user or root can ask"
            ));
        }
    };
    Ok(json!({"type": kind, "arn": text, "account": arn.account}))
}

/// Decides one question and says why.
pub fn explain_one(args: &ExplainArgs, output: Output) -> Result<bool, String> {
    let task = match &args.file {
        Some(file) => case_of(file, args.id.as_deref().unwrap_or_default())?,
        None => args.situation.case(args.action.as_deref().unwrap_or_default(), &args.resource)?,
    };
    let told = Told::of(&task)?;
    if output == Output::Json {
        let text = serde_json::to_string_pretty(&told.value()).map_err(|e| e.to_string())?;
        output::line(&text)?;
    } else {
        output::line(&told.text())?;
    }
    Ok(true)
}

/// The case of this id in a file.
fn case_of(file: &Path, id: &str) -> Result<Box<EvaluateCase>, String> {
    let at = file.display();
    let cases = cases::read(&read(file)?).map_err(|error| format!("{at}: {error}"))?;
    let case = cases
        .into_iter()
        .find(|case| case.id == id)
        .ok_or_else(|| format!("{at} has no case with the id `{id}`"))?;
    match case.task {
        Task::Evaluate(task) => Ok(task),
        Task::Parse(_) => Err(format!("the case `{id}` asks about no request")),
    }
}

/// A decision with its explanation.
pub struct Told {
    decision: Decision,
    explanation: Explanation,
    /// The error that the caller would see; none for an allow.
    denial: Option<String>,
}

impl Told {
    /// Decides and explains a case; the error names the policy that is refused.
    pub fn of(task: &EvaluateCase) -> Result<Told, String> {
        let policies = task.policies()?;
        let set = policies.as_set();
        let decision = Spec.decide(&task.request, &set);
        let explanation = explain(&task.request, &set, &decision);
        let denial = (!decision.allowed()).then(|| denial(task, &policies, &decision));
        Ok(Told { decision, explanation, denial })
    }

    fn value(&self) -> Value {
        let suggestion = |s: &Suggestion| json!({"text": s.text(), "changes": s.changes});
        let suggestions: Vec<Value> = self.explanation.suggestions.iter().map(suggestion).collect();
        json!({
            "decision": self.decision.effect,
            "layer": self.decision.layer,
            "blockedBy": self.decision.blocked_by,
            "matched": self.decision.matched,
            "denial": self.denial,
            "decidedBy": self.explanation.decided_by,
            "closest": self.explanation.closest,
            "suggestions": suggestions,
        })
    }

    /// The explanation for people, in several lines.
    pub fn text(&self) -> String {
        let layer = serde_json::to_value(self.decision.layer).unwrap_or_default();
        let layer = layer.as_str().unwrap_or_default();
        let mut lines = vec![format!("{:?}, decided by layer {layer}", self.decision.effect)];
        lines.extend(self.denial.clone());
        for site in &self.explanation.decided_by {
            lines.push(format!("{:?}: {}", site.effect, site.text()));
        }
        if let Some(closest) = &self.explanation.closest {
            lines.push(format!("closest to allowing: {}", closest.site.text()));
            lines.extend(closest.failing.iter().map(|f: &Failing| format!("  {}", f.text())));
        }
        if !self.explanation.suggestions.is_empty() {
            lines.push("this would have changed it, each by itself:".to_owned());
            let suggestions = self.explanation.suggestions.iter();
            lines.extend(suggestions.map(|s| format!("  {}", s.text())));
        }
        lines.join("\n")
    }
}

fn denial(task: &EvaluateCase, policies: &OwnedPolicies, decision: &Decision) -> String {
    let request = &task.request;
    let principal = &request.principal;
    let names = [&principal.arn, &principal.service, &principal.provider];
    let name = names.into_iter().flatten().next().map_or("anonymous", String::as_str);
    let resource = (!request.wildcard_only).then_some(request.resource.as_str());
    let trust = matches!(policies.resource, Some((_, ResourceKind::Trust)));
    denial_text(decision, name, &request.action, resource, trust)
}

/// Decides every action on every resource; `false` if one of them is denied.
pub fn simulate(args: &SimulateArgs, output: Output) -> Result<bool, String> {
    let (mut rows, mut all) = (Vec::new(), true);
    for action in &args.action {
        for resource in &args.resource {
            let task = args.situation.case(action, resource)?;
            let Told { decision, explanation, .. } = Told::of(&task)?;
            all &= decision.allowed();
            let statement = match (explanation.decided_by.first(), explanation.closest) {
                (Some(site), _) => site.text(),
                (None, Some(closest)) => format!("closest: {}", closest.site.text()),
                (None, None) => String::new(),
            };
            rows.push(json!({
                "action": action,
                "resource": resource,
                "decision": decision.effect,
                "layer": decision.layer,
                "blockedBy": decision.blocked_by,
                "matched": decision.matched,
                "statement": statement,
            }));
        }
    }
    let headings = ["ACTION", "RESOURCE", "DECISION", "LAYER", "STATEMENT"];
    let members = ["/action", "/resource", "/decision", "/layer", "/statement"];
    output::print(output, &json!({ "decisions": rows }), &headings, |value| {
        output::rows(value, "/decisions", &members)
    })?;
    Ok(all)
}
