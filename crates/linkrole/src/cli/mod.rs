//! The command line: what is asked for, and where it is carried out.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use. Results go to standard output, words about them to
//! standard error.

mod account;
mod agent;
mod audit;
mod bench;
mod cases;
mod catalog;
mod checks;
mod demo;
mod dev;
mod evidence;
mod explain;
mod facts;
mod output;
mod policy;
mod ram;
mod remote;
mod serve;
mod service;
mod slr;
mod sources;
mod verify;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use output::Output;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "linkrole",
    version,
    about = "Identity and access management with service-linked roles",
    after_help = "Begin with:\n  linkrole dev              a server in memory, with keys to use it\n  linkrole demo             the life of a service-linked role, told step by step"
)]
struct Cli {
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server in memory, on loopback, with an account and keys to use it
    #[command(
        after_help = "Example:\n  linkrole dev &\n  eval \"$(linkrole env)\"\n  aws iam create-service-linked-role --aws-service-name backup.example.com"
    )]
    Dev(dev::DevArgs),
    /// Print the export lines for a running `dev`
    #[command(after_help = "Example:\n  eval \"$(linkrole env)\"")]
    Env(dev::EnvArgs),
    /// Make an installation: store, master key, first account
    #[command(after_help = "Example:\n  linkrole init --data-dir /var/lib/linkrole")]
    Init(serve::InitArgs),
    /// Run the server on an installation
    #[command(
        after_help = "Example:\n  linkrole serve --data-dir /var/lib/linkrole --listen 127.0.0.1:4680"
    )]
    Serve(serve::ServeArgs),
    /// Run the whole story against real processes and tell each step
    #[command(after_help = "Example:\n  linkrole demo")]
    Demo(demo::DemoArgs),
    /// Hand out a role's credentials on loopback, to programs that know nothing of linkrole
    #[command(
        after_help = "Example:\n  linkrole agent --role \"$ROLE_ARN\" --token-file /run/agent.token"
    )]
    Agent(agent::AgentArgs),
    /// Linked services
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// The clouds' own services, known from facts
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Accounts
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Service-linked roles
    #[command(subcommand)]
    Slr(slr::SlrCommand),
    /// The trail
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Policy documents
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Check the store of a stopped server
    #[command(after_help = "Example:\n  linkrole fsck --data-dir /var/lib/linkrole")]
    Fsck(checks::FsckArgs),
    /// Ask a server whether it is ready
    #[command(after_help = "Example:\n  linkrole health --endpoint http://127.0.0.1:4680")]
    Health(checks::HealthArgs),
    /// Measure what the server does on this machine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print the completions of a shell
    #[command(
        after_help = "Example:\n  linkrole completions bash > /etc/bash_completion.d/linkrole"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Where the operator's socket is.
#[derive(Args, Clone, Debug)]
struct Operator {
    /// The operator's socket: `operator.sock` in the data directory; that of a running `dev` unless given
    #[arg(long, env = "LINKROLE_SOCKET")]
    socket: Option<PathBuf>,
}

/// Where a server is, and with which keys it is spoken to.
#[derive(Args, Clone, Debug)]
struct Endpoint {
    /// The server's address
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4680")]
    endpoint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DialectArg {
    Aws,
    Alibaba,
}

impl From<DialectArg> for ::policy::Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::Aws => Self::Aws,
            DialectArg::Alibaba => Self::Alibaba,
        }
    }
}

/// Carries out what the arguments ask for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Dev(args) => dev::dev(args),
        Command::Env(args) => dev::env(&args),
        Command::Init(args) => serve::init(&args),
        Command::Serve(args) => serve::serve(args),
        Command::Demo(args) => demo::demo(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Service(command) => service::run(command, cli.output),
        Command::Catalog(command) => catalog::run(command, cli.output),
        Command::Account(command) => account::run(command, cli.output),
        Command::Slr(command) => slr::run(command, cli.output),
        Command::Audit(command) => audit::run(command, cli.output),
        // Its exit codes tell an answer that is no from input that cannot be read.
        Command::Policy(command) => return policy::run(&command, cli.output),
        Command::Fsck(args) => checks::fsck(&args, cli.output),
        Command::Health(args) => checks::health(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "linkrole", &mut text);
            output::bytes(&text)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// A runtime for commands that wait for something.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))
}

/// Structured logs on standard error; `LINKROLE_LOG` says how much.
fn log(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LINKROLE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let _ = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
