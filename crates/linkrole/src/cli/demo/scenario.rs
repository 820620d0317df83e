//! A scenario file: read, and told step by step. What its members mean stands in
//! `corpus/scenario/README.md`. Not here: who sends a call (`cloud`).

use super::cloud::{Cloud, Said};
use super::story::Story;
use crate::cli::output;
use policy::Dialect;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The scenarios, by the name under which they are told.
pub const FILES: [(&str, &str); 6] = [
    ("aws", include_str!("../../../../../corpus/scenario/aws.toml")),
    ("config", include_str!("../../../../../corpus/scenario/config.toml")),
    ("kms", include_str!("../../../../../corpus/scenario/kms.toml")),
    ("mss", include_str!("../../../../../corpus/scenario/mss.toml")),
    ("resource", include_str!("../../../../../corpus/scenario/resource.toml")),
    ("tag", include_str!("../../../../../corpus/scenario/tag.toml")),
];

/// Says which stories there are beside linkrole's own.
pub fn name_all() -> Result<(), String> {
    output::line("\nThe vendors' pages are told in the same way:")?;
    for (name, text) in FILES {
        let scenario: Scenario = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
        output::line(&format!("   linkrole demo {name:<8}  {}", scenario.title))?;
    }
    Ok(())
}

/// The pause before a call is made again.
const PAUSE: Duration = Duration::from_millis(50);

/// A scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    title: String,
    intro: String,
    /// Whose account it plays in.
    #[serde(default = "alibaba")]
    pub dialect: Dialect,
    /// Whether the trail keeps reads that were allowed: what a role only read is not in it otherwise.
    #[serde(default)]
    pub records_reads: bool,
    /// The services that run, in the order in which they start.
    pub services: Vec<String>,
    /// The users that are there from the start.
    #[serde(default, rename = "user")]
    pub users: Vec<User>,
    #[serde(rename = "step")]
    steps: Vec<Step>,
}

fn alibaba() -> Dialect {
    Dialect::Alibaba
}

/// A user of the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Her name.
    pub name: String,
    /// The statements of a policy of her own; `Effect` is Allow unless a statement says otherwise.
    #[serde(default)]
    pub allow: Vec<Map<String, Value>>,
    /// The system policies attached to her.
    #[serde(default)]
    pub policies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    page: Option<String>,
    shows: String,
    r#as: String,
    at: String,
    r#do: String,
    #[serde(default)]
    with: Map<String, Value>,
    error: Option<String>,
    #[serde(default)]
    expect: BTreeMap<String, Value>,
    #[serde(default)]
    holds: BTreeMap<String, Texts>,
    #[serde(default)]
    lacks: BTreeMap<String, Texts>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
    identity: Option<String>,
    #[serde(default)]
    within_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Tells a scenario.
pub async fn tell(name: &str, text: &str) -> Result<(), String> {
    let scenario: Scenario = toml::from_str(text).map_err(|e| format!("scenario {name}: {e}"))?;
    let mut cloud = Cloud::start(&scenario).await?;
    let mut story = Story::default();
    output::line(&format!("{}\n\n{}", scenario.title, scenario.intro.trim()))?;
    let mut kept = BTreeMap::from([("account".to_owned(), cloud.account.clone())]);
    for step in &scenario.steps {
        if let Some(page) = &step.page {
            story.say(page)?;
        }
        let done = run(step, &mut cloud, &mut kept).await;
        let (held, seen) = match &done {
            Ok(seen) => (true, seen),
            Err(why) => (false, why),
        };
        let call = format!("{} {}:{}  {seen}", step.r#as, step.at, step.r#do);
        story.check(held, &step.shows, &call)?;
    }
    story.end()
}

/// Makes a step's call, again and again while it has time; what to show of the answer, or what did
/// not hold.
async fn run(
    step: &Step,
    cloud: &mut Cloud,
    kept: &mut BTreeMap<String, String>,
) -> Result<String, String> {
    let with = filled(&Value::Object(step.with.clone()), kept)?;
    let until = tokio::time::Instant::now().checked_add(Duration::from_secs(step.within_s));
    loop {
        let said = cloud.call(&step.r#as, &step.at, &step.r#do, &with).await?;
        match hold(step, &said, kept) {
            Ok(()) => {
                for (name, place) in &step.keep {
                    let value = at(&said.body, &fill(place, kept)?);
                    let value = value.ok_or_else(|| format!("nothing at {place} to keep"))?;
                    kept.insert(name.clone(), plain(&value));
                }
                if let Some(name) = &step.identity {
                    cloud.identify(name, &said.body)?;
                }
                return Ok(said.error.map_or_else(String::new, |code| {
                    format!("{code}: {}", output::text(&said.body, "/Message"))
                }));
            }
            Err(why) if until.is_none_or(|until| tokio::time::Instant::now() >= until) => {
                return Err(format!("{why}; the answer was {}", said.body));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether an answer is as a step says; the first thing that is not.
fn hold(step: &Step, said: &Said, kept: &BTreeMap<String, String>) -> Result<(), String> {
    if said.error != step.error {
        let name = |code: &Option<String>| code.clone().unwrap_or_else(|| "success".to_owned());
        return Err(format!("expected {}; found {}", name(&step.error), name(&said.error)));
    }
    for (place, value) in &step.expect {
        let (place, value) = (fill(place, kept)?, filled(value, kept)?);
        let found = at(&said.body, &place).unwrap_or_default();
        if found != value {
            return Err(format!("expected {value} at {place}; found {found}"));
        }
    }
    for (texts, wanted) in [(&step.holds, true), (&step.lacks, false)] {
        for (place, texts) in texts {
            let place = fill(place, kept)?;
            let found = at(&said.body, &place).as_ref().map(plain).unwrap_or_default();
            for text in texts.all() {
                let text = fill(text, kept)?;
                if found.contains(&text) != wanted {
                    let not = if wanted { "" } else { "no " };
                    return Err(format!("expected {not}`{text}` at {place}"));
                }
            }
        }
    }
    Ok(())
}

/// What stands at a place of an answer.
fn at(answer: &Value, place: &str) -> Option<Value> {
    let mut here = answer.clone();
    for part in place.split('.').filter(|part| !part.is_empty()) {
        if let Value::String(text) = &here {
            here = serde_json::from_str(text).ok()?;
        }
        let (member, wanted) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            Some((member, wanted)) => (member, wanted.split_once('=')),
            None => (part, None),
        };
        here = match (member, &here) {
            ("", _) => here,
            ("#", Value::Array(list)) => Value::from(list.len()),
            (member, Value::Array(list)) => list.get(member.parse::<usize>().ok()?)?.clone(),
            (member, other) => other.get(member)?.clone(),
        };
        if let Some((name, text)) = wanted {
            let list = here.as_array()?;
            let has = |item: &&Value| item.get(name).map(plain).as_deref() == Some(text);
            here = list.iter().find(has)?.clone();
        }
    }
    Some(here)
}

/// A value as text: a text as it is, all else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value with every `{{name}}` in its texts replaced.
fn filled(value: &Value, kept: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(fill(text, kept)?),
        Value::Array(list) => {
            Value::Array(list.iter().map(|item| filled(item, kept)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let one = |(name, value): (&String, &Value)| Ok((name.clone(), filled(value, kept)?));
            Value::Object(members.iter().map(one).collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn fill(text: &str, kept: &BTreeMap<String, String>) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) =
            after.split_once("}}").ok_or_else(|| format!("a name without end in `{text}`"))?;
        done.push_str(before);
        let value = kept.get(name).ok_or_else(|| format!("no step has kept `{name}`"))?;
        done.push_str(value);
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_scenario_reads() {
        for (name, text) in FILES {
            let scenario: Scenario = toml::from_str(text).unwrap();
            assert!(scenario.steps.len() > 5, "{name}");
        }
    }

    #[test]
    fn places_are_found() {
        let answer = json!({"Events": [{"name": "a", "on": {"id": 1}}, {"name": "b"}]});
        let found = |place: &str| at(&answer, place);
        assert_eq!(found("Events.0.name"), Some(json!("a")));
        assert_eq!(found("Events.#"), Some(json!(2)));
        assert_eq!(found("Events[name=a].on.id"), Some(json!(1)));
        assert_eq!(found("Events[name=c]"), None);
        assert_eq!(found("Events.2"), None);
        let text = json!({"Document": "{\"a\": {\"b\": 1}}"});
        assert_eq!(at(&text, "Document.a.b"), Some(json!(1)));
        assert_eq!(at(&json!({"Document": "plain"}), "Document.a"), None);
        assert_eq!(found(""), Some(answer.clone()));
    }

    #[test]
    fn names_are_replaced_and_must_be_known() {
        let kept = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(filled(&json!({"x": ["{{a}}-{{a}}", 2]}), &kept), Ok(json!({"x": ["1-1", 2]})));
        assert!(fill("{{b}}", &kept).is_err());
        assert!(fill("{{a", &kept).is_err());
    }

    #[test]
    fn a_step_that_does_not_hold_says_so() {
        let step = |text: &str| -> Step {
            toml::from_str(&format!("shows = ''\nas = 'a'\nat = 'b'\ndo = 'c'\n{text}")).unwrap()
        };
        let said = |error: Option<&str>| Said {
            error: error.map(str::to_owned),
            body: json!({"Code": "X", "n": 1, "list": ["a"]}),
        };
        let kept = BTreeMap::new();
        assert!(hold(&step("error = 'X'"), &said(Some("X")), &kept).is_ok());
        assert!(hold(&step("error = 'X'"), &said(Some("Y")), &kept).is_err());
        assert!(hold(&step("error = 'X'"), &said(None), &kept).is_err());
        assert!(hold(&step(""), &said(Some("X")), &kept).is_err());
        assert!(hold(&step("expect = { n = 1 }"), &said(None), &kept).is_ok());
        assert!(hold(&step("expect = { n = 2 }"), &said(None), &kept).is_err());
        assert!(hold(&step("expect = { m = 1 }"), &said(None), &kept).is_err());
        assert!(hold(&step("holds = { list = 'a' }"), &said(None), &kept).is_ok());
        assert!(hold(&step("holds = { list = ['a', 'b'] }"), &said(None), &kept).is_err());
        assert!(hold(&step("lacks = { list = 'b' }"), &said(None), &kept).is_ok());
        assert!(hold(&step("lacks = { list = 'a' }"), &said(None), &kept).is_err());
    }
}
