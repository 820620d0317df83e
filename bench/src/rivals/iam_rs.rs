//! iam-rs: reads the vendor's JSON as it is.

use iam_rs::{
    Arn, Context, ContextValue, Decision, EvaluationOptions, IAMPolicy, IAMRequest,
    PolicyEvaluator, Principal, PrincipalId,
};

use crate::engine::Engine;
use crate::render;
use crate::work::{Ask, Policy};

/// The engine.
pub struct IamRs;

impl Engine for IamRs {
    const NAME: &'static str = "iam-rs 0.8";
    const FLEET: Result<usize, &'static str> = Ok(crate::workloads::PRINCIPALS);
    type Source = Vec<String>;
    type World = ();
    type Loaded = PolicyEvaluator;
    type Request = IAMRequest;

    fn render(policies: &[Policy], _: &[Ask]) -> Result<Vec<String>, String> {
        Ok(policies.iter().map(render::document).collect())
    }

    fn world(_: &[String], _: &[Ask]) {}

    fn load(source: &Vec<String>) -> PolicyEvaluator {
        let policies = source.iter().map(|text| IAMPolicy::from_json(text).expect("written here"));
        PolicyEvaluator::with_policies(policies.collect()).with_options(EvaluationOptions {
            // The preset refuses more than a thousand.
            max_statements: usize::MAX,
            ..EvaluationOptions::default()
        })
    }

    fn request(ask: &Ask) -> IAMRequest {
        let pairs = ask.context.iter();
        let pairs = pairs.map(|(key, value)| (key.clone(), ContextValue::String(value.clone())));
        let principal = "arn:aws:iam::210987654321:user/worker".to_owned();
        IAMRequest::new_with_context(
            Principal::Aws(PrincipalId::String(principal)),
            ask.action.clone(),
            Arn::parse(&ask.resource).expect("an ARN"),
            Context::with_data(pairs.collect()),
        )
    }

    fn allowed((): &(), loaded: &mut PolicyEvaluator, request: &IAMRequest) -> bool {
        loaded.evaluate(request).is_ok_and(|result| result.decision == Decision::Allow)
    }
}
