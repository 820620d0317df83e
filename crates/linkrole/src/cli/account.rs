//! `linkrole account`: accounts, made and listed by the operator.

use super::output::{self, Output};
use super::remote::Remote;
use super::{DialectArg, Operator};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub enum AccountCommand {
    /// Make an account; prints its root's access key, once
    #[command(after_help = "Example:\n  linkrole account create --account 210987654321")]
    Create {
        /// The account's id; random unless given
        #[arg(long)]
        account: Option<String>,
        /// Its home dialect
        #[arg(long, value_enum, default_value_t = DialectArg::Aws)]
        dialect: DialectArg,
        /// Roles after which an ordinary role is refused
        #[arg(long)]
        role_quota: Option<u32>,
        #[command(flatten)]
        operator: Operator,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        operator: Operator,
    },
}

/// Carries out a command.
pub fn run(command: AccountCommand, output: Output) -> Result<(), String> {
    match command {
        AccountCommand::Create { account, dialect, role_quota, operator } => {
            let mut body = json!({ "dialect": policy::Dialect::from(dialect) });
            if let (Some(account), Some(object)) = (account, body.as_object_mut()) {
                object.insert("id".into(), json!(account));
            }
            if let (Some(quota), Some(object)) = (role_quota, body.as_object_mut()) {
                object.insert("role_quota".into(), json!(quota));
            }
            let made = Remote::operator(&operator)?.post("/v1/accounts/create", &body)?;
            let headings = ["ACCOUNT", "ACCESS KEY", "SECRET"];
            output::print(output, &made, &headings, |v| {
                let text = |name: &str| output::text(v, name);
                vec![vec![text("/account"), text("/access_key_id"), text("/secret_access_key")]]
            })
        }
        AccountCommand::List { operator } => {
            let all = Remote::operator(&operator)?.post("/v1/accounts/list", &json!({}))?;
            let headings = ["ACCOUNT", "DIALECT", "CREATED", "ROLE QUOTA"];
            output::print(output, &all, &headings, |v| {
                output::rows(v, "/accounts", &["/account", "/dialect", "/created", "/role_quota"])
            })
        }
    }
}
