//! `linkrole demo`: stories told step by step, by processes of their own on loopback.
//!
//! `backup` is a story in Rust; all others are scenario files (`corpus/scenario`), which the tests run
//! with the vendor's clients. A story ends well only if every step held.

mod aws;
mod backup;
mod cloud;
mod scenario;
mod story;

const TOUR: &str = "backup";

#[derive(clap::Args)]
pub struct DemoArgs {
    /// Which story: `backup`, or a vendor's service as its pages tell it
    #[arg(default_value = TOUR, value_parser = names())]
    name: String,
}

fn names() -> clap::builder::PossibleValuesParser {
    let all = [TOUR].into_iter().chain(scenario::FILES.iter().map(|(name, _)| *name));
    all.collect::<Vec<_>>().into()
}

/// Runs a story.
pub fn demo(args: &DemoArgs) -> Result<(), String> {
    let runtime = super::runtime()?;
    let file = scenario::FILES.iter().find(|(name, _)| *name == args.name);
    runtime.block_on(async {
        match file {
            Some((name, text)) => scenario::tell(name, text).await,
            None => {
                backup::tell().await?;
                scenario::name_all()
            }
        }
    })
}
