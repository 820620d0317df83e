//! Case files of the format `linkrole-cases/1`: questions with the answers they must get.
//!
//! A file is read completely before anything is run, and whatever is not understood is an error that names
//! the case. Time comes only from a case's context, so a case has the same answer for ever.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::case_form::{
    DecisionForm, ExpectForm, File, Form, KindForm, MatchedForm, PoliciesForm, Unique,
};
use crate::decision::{Decision, Effect, Evaluate, Layer};
use crate::document::{Document, PolicyKind, StatementEffect};
use crate::engine::Engine;
use crate::name::Dialect;
use crate::owned::OwnedPolicies;
use crate::parse::ParseError;
use crate::request::Request;
use crate::spec::Spec;

/// The name of the format, which every file must give.
pub const FORMAT: &str = "linkrole-cases/1";

/// Every evaluator there is; all must give the expected answers.
pub const EVALUATORS: &[(&str, &dyn Evaluate)] = &[("spec", &Spec), ("engine", &Engine)];

/// The code of every refusal of a policy document.
pub const MALFORMED: &str = "MalformedPolicyDocument";

/// Why a case file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CaseError {
    /// The text as a whole is not a case file.
    #[error("not a case file: {0}")]
    File(String),
    /// One case is not understood.
    #[error("case {case}, at `{place}`: {problem}")]
    Case {
        /// The case's id, or its number in the file if it has none.
        case: String,
        /// The member at fault, `request.principal.type` for example.
        place: String,
        /// What was found and what was expected.
        problem: String,
    },
}

/// One case.
pub struct Case {
    /// Its id, unique within the file.
    pub id: String,
    /// Whose language its policies are written in.
    pub dialect: Dialect,
    /// Words to choose cases by.
    pub tags: Vec<String>,
    /// Remarks for readers.
    pub note: String,
    /// What is asked, and which answer is expected.
    pub task: Task,
}

/// What a case asks.
pub enum Task {
    /// Whether a request is allowed.
    Evaluate(Box<EvaluateCase>),
    /// Whether a policy document may be stored.
    Parse(ParseCase),
}

/// A request, the policies that bear on it, and the expected decision.
pub struct EvaluateCase {
    /// The request.
    pub request: Request,
    policies: PoliciesForm,
    expect: ExpectForm,
}

/// A policy text, and whether it is expected to be accepted.
pub struct ParseCase {
    /// What the text is read as.
    pub kind: PolicyKind,
    /// Whose language it is read in.
    pub dialect: Dialect,
    /// The text.
    pub text: String,
    expect: ExpectForm,
}

/// How a case ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every answer was the expected one.
    Passed,
    /// An answer differed; the text says how.
    Failed(String),
    /// It was not run; the text says why.
    Skipped(String),
}

/// Reads a case file.
pub fn read(text: &str) -> Result<Vec<Case>, CaseError> {
    let file: File = serde_json::from_str(text).map_err(|e| CaseError::File(e.to_string()))?;
    if file.format != FORMAT {
        let problem = format!("`format` is `{}`, and only `{FORMAT}` is known", file.format);
        return Err(CaseError::File(problem));
    }
    let mut ids = BTreeSet::new();
    let mut cases = Vec::with_capacity(file.cases.len());
    for (number, Unique(mut json)) in file.cases.into_iter().enumerate() {
        if let Some(Unique(defaults)) = &file.defaults {
            merge(&mut json, defaults);
        }
        let case = case(json, number)?;
        if !ids.insert(case.id.clone()) {
            let problem = "another case of this file has the same id; give it one of its own";
            return Err(wrong(&case.id, "id", problem));
        }
        cases.push(case);
    }
    Ok(cases)
}

/// Adds the members of `under` that `over` lacks, at every depth.
fn merge(over: &mut Json, under: &Json) {
    let (Json::Object(over), Json::Object(under)) = (over, under) else { return };
    for (key, value) in under {
        match over.get_mut(key) {
            Some(existing) => merge(existing, value),
            None => {
                over.insert(key.clone(), value.clone());
            }
        }
    }
}

fn wrong(case: &str, place: &str, problem: impl Into<String>) -> CaseError {
    CaseError::Case { case: case.to_owned(), place: place.to_owned(), problem: problem.into() }
}

fn case(json: Json, number: usize) -> Result<Case, CaseError> {
    let shown = match json.get("id").and_then(Json::as_str) {
        Some(id) => format!("`{id}`"),
        None => format!("number {number} (from 0)"),
    };
    let form: Form = serde_path_to_error::deserialize(json)
        .map_err(|error| wrong(&shown, &error.path().to_string(), error.inner().to_string()))?;
    let Form { id, kind, dialect, tags, note, request, policies, policy_kind, text, expect } = form;
    let lacks = |member: &str, kind: &str| {
        wrong(&shown, member, format!("a case of kind `{kind}` needs this member"))
    };
    let foreign = |member: &str, kind: &str| {
        wrong(&shown, member, format!("a case of kind `{kind}` has no such member; remove it"))
    };
    let expected = expectation_problem(&expect, kind);
    if let Some((member, problem)) = expected {
        return Err(wrong(&shown, member, problem));
    }
    let task = match kind {
        KindForm::Evaluate if policy_kind.is_some() => {
            return Err(foreign("policyKind", "evaluate"));
        }
        KindForm::Evaluate if text.is_some() => return Err(foreign("text", "evaluate")),
        KindForm::Parse if request.is_some() => return Err(foreign("request", "parse")),
        KindForm::Parse if policies.is_some() => return Err(foreign("policies", "parse")),
        KindForm::Evaluate => {
            let request = request.ok_or_else(|| lacks("request", "evaluate"))?.request(dialect);
            let policies = policies.unwrap_or_default();
            if let Some(problem) = policies.problem() {
                return Err(wrong(&shown, "policies", problem));
            }
            Task::Evaluate(Box::new(EvaluateCase { request, policies, expect }))
        }
        KindForm::Parse => {
            let kind = policy_kind.ok_or_else(|| lacks("policyKind", "parse"))?.into();
            let text = text.ok_or_else(|| lacks("text", "parse"))?;
            Task::Parse(ParseCase { kind, dialect, text, expect })
        }
    };
    Ok(Case { id, dialect, tags, note, task })
}

/// The first member of an expectation that its kind of case cannot have.
fn expectation_problem(expect: &ExpectForm, kind: KindForm) -> Option<(&'static str, String)> {
    let evaluate = [
        ("expect.decision", expect.decision.is_some()),
        ("expect.allowed", expect.allowed.is_some()),
        ("expect.layer", expect.layer.is_some()),
        ("expect.blockedBy", expect.blocked_by.is_some()),
        ("expect.matched", expect.matched.is_some()),
    ];
    let parse = [
        ("expect.valid", expect.valid.is_some()),
        ("expect.code", expect.code.is_some()),
        ("expect.message", expect.message.is_some()),
    ];
    let foreign: &[(&str, bool)] = if kind == KindForm::Evaluate { &parse } else { &evaluate };
    let (member, _) = foreign.iter().find(|(_, given)| *given)?;
    Some((member, "a case of this kind is not answered with such a member".to_owned()))
}

impl Case {
    /// Runs the case through every evaluator, each by the name it goes by in differences.
    pub fn run(&self, evaluators: &[(&str, &dyn Evaluate)]) -> Verdict {
        match &self.task {
            Task::Evaluate(case) => case.run(evaluators),
            Task::Parse(case) => case.run(),
        }
    }
}

impl EvaluateCase {
    /// Reads the policies of the case; the error names the policy that is refused.
    pub fn policies(&self) -> Result<OwnedPolicies, String> {
        self.policies.policies(&self.request.resource, self.request.dialect)
    }

    /// Decides the case with one evaluator; the error says which policy is refused.
    pub fn decide(&self, evaluator: &dyn Evaluate) -> Result<Decision, String> {
        let policies = self.policies()?;
        Ok(evaluator.decide(&self.request, &policies.as_set()))
    }

    fn run(&self, evaluators: &[(&str, &dyn Evaluate)]) -> Verdict {
        if self.expect.decision.is_none() && self.expect.allowed.is_none() {
            let why = "it expects neither `decision` nor `allowed`";
            return Verdict::Skipped(why.to_owned());
        }
        let refusal_expected = self.expect.decision == Some(DecisionForm::Error);
        let policies = match self.policies() {
            Err(_) if refusal_expected => return Verdict::Passed,
            Err(error) => return Verdict::Failed(format!("the policies are refused: {error}")),
            Ok(_) if refusal_expected => {
                let why = "expected that a policy is refused, and all are accepted";
                return Verdict::Failed(why.to_owned());
            }
            Ok(policies) => policies,
        };
        let set = policies.as_set();
        let mut differences = Vec::new();
        for (name, evaluator) in evaluators {
            let decision = evaluator.decide(&self.request, &set);
            if let Some(difference) = self.difference(&decision) {
                differences.push(format!("{name}: {difference}"));
            }
        }
        if differences.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Failed(differences.join("\n"))
        }
    }

    /// The first way in which a decision is not the expected one, the outcome before its reasons.
    pub fn difference(&self, decision: &Decision) -> Option<String> {
        let expect = &self.expect;
        if let Some(wanted) = expect.decision.and_then(DecisionForm::effect)
            && wanted != decision.effect
        {
            return Some(format!("expected {wanted:?}, found {}", told(decision)));
        }
        if expect.allowed.is_some_and(|wanted| wanted != decision.allowed()) {
            let wanted = if decision.allowed() { "denied" } else { "allowed" };
            return Some(format!("expected {wanted}, found {}", told(decision)));
        }
        if let Some(wanted) = expect.layer
            && wanted != decision.layer
            && !denies(decision, wanted)
        {
            return Some(format!("expected layer {wanted:?}, found {}", told(decision)));
        }
        if let Some(wanted) = &expect.blocked_by
            && *wanted != decision.blocked_by
        {
            return Some(format!("expected to be blocked by {wanted:?}, found {}", told(decision)));
        }
        let wanted: BTreeSet<&MatchedForm> = expect.matched.as_ref()?.iter().collect();
        let found: Vec<MatchedForm> = decision
            .matched
            .iter()
            .map(|m| MatchedForm {
                policy: m.policy.clone(),
                statement: m.statement,
                effect: m.effect,
            })
            .collect();
        let found: BTreeSet<&MatchedForm> = found.iter().collect();
        (wanted != found).then(|| format!("expected {wanted:?} to match, found {found:?}"))
    }
}

/// Whether a layer is one of several that deny explicitly; any of them may be expected.
fn denies(decision: &Decision, layer: Layer) -> bool {
    decision.effect == Effect::ExplicitDeny
        && decision.matched.iter().any(|m| m.layer == layer && m.effect == StatementEffect::Deny)
}

/// A decision in a line.
fn told(decision: &Decision) -> String {
    let matched: Vec<String> = decision
        .matched
        .iter()
        .map(|m| format!("{:?} by statement {} of {}", m.effect, m.statement, m.policy))
        .collect();
    let matched =
        if matched.is_empty() { "no statement matched".to_owned() } else { matched.join(", ") };
    format!(
        "{:?} in layer {:?}, blocked by {:?} ({matched})",
        decision.effect, decision.layer, decision.blocked_by
    )
}

impl ParseCase {
    /// Reads the text as if it were to be stored.
    pub fn parse(&self) -> Result<Document, ParseError> {
        Document::parse(&self.text, self.kind, self.dialect)
    }

    fn run(&self) -> Verdict {
        let Some(valid) = self.expect.valid else {
            return Verdict::Skipped("it does not expect `valid`".to_owned());
        };
        let failed = |text: String| Verdict::Failed(text);
        match self.parse() {
            Ok(document) if valid && document.text() == self.text => Verdict::Passed,
            Ok(_) if valid => {
                failed("the document keeps another text than it was given".to_owned())
            }
            Ok(_) => failed("expected a refusal, and the text is accepted".to_owned()),
            Err(error) if valid => failed(format!("expected to be accepted, found {error}")),
            Err(error) => {
                if self.expect.code.as_deref().is_some_and(|code| code != MALFORMED) {
                    let wanted = self.expect.code.as_deref().unwrap_or_default();
                    return failed(format!("expected the code {wanted}, found {MALFORMED}"));
                }
                match &self.expect.message {
                    Some(wanted) if *wanted != error.message => {
                        failed(format!("expected the message `{wanted}`, found `{error}`"))
                    }
                    _ => Verdict::Passed,
                }
            }
        }
    }
}
