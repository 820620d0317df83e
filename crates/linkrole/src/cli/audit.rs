//! `linkrole audit`: the trail, of one's own account by access key, of all as the operator.

use super::output::{self, Output};
use super::remote::Remote;
use super::{Endpoint, Operator, evidence};
use crate::evidence::Ask;
use clap::{Args, Subcommand, ValueEnum};
use iam::audit::Event;
use iam::text::AccountId;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use wire::alibaba::actiontrail;
use wire::aws::cloudtrail;
use wire::clock::{iso_seconds, parse_seconds};
use wire::trail::is_upkeep;

/// Which entries are wanted.
#[derive(Args)]
pub struct Filter {
    /// Only what this user, role or service did
    #[arg(long)]
    operator: Option<String>,
    /// Only this operation
    #[arg(long)]
    operation: Option<String>,
    /// Only what was about this resource: its name or its ARN
    #[arg(long)]
    resource: Option<String>,
    /// Only what was done with this access key
    #[arg(long)]
    key: Option<String>,
    /// Only calls to this service: the prefix of its actions, like `iam`
    #[arg(long)]
    service: Option<String>,
    /// Only the event with this id
    #[arg(long)]
    id: Option<String>,
    /// Not before this time, like 2026-09-11T15:16:47Z
    #[arg(long, value_parser = time)]
    since: Option<i64>,
    /// Not after this time
    #[arg(long, value_parser = time)]
    until: Option<i64>,
    /// Entries of reads too, as far as they are kept; refused ones are always shown
    #[arg(long)]
    reads: bool,
}

/// The form of an exported entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// linkrole's own, with all that is known
    Events,
    /// CloudEvents 1.0, with linkrole's own as their data
    Cloudevents,
    /// Records of CloudTrail
    Cloudtrail,
    /// Events of ActionTrail
    Actiontrail,
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print the newest entries, oldest of them first
    #[command(
        after_help = "Example:\n  linkrole audit tail --operator AWSServiceRoleForExampleBackup --follow"
    )]
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// At most so many entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on with what comes
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        socket: Operator,
    },
    /// Find entries in the whole trail, newest first
    #[command(
        after_help = "Example:\n  linkrole audit lookup --resource AWSServiceRoleForExampleBackup --since 2026-09-01T00:00:00Z"
    )]
    Lookup {
        #[command(flatten)]
        filter: Filter,
        /// At most so many entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        socket: Operator,
    },
    /// Print entries as JSON lines, oldest first
    #[command(
        after_help = "Examples:\n  linkrole audit export --format cloudevents --follow | send-on\n  linkrole audit export --format cloudtrail --since 2026-09-01T00:00:00Z > september.jsonl"
    )]
    Export {
        #[command(flatten)]
        filter: Filter,
        /// The form of an entry
        #[arg(long, value_enum, default_value_t = Format::Events)]
        format: Format,
        /// Only entries after this position, as the last line of an export before tells it: its `position`, of a CloudEvent
        /// that of its data
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Go on with what comes
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        socket: Operator,
    },
    /// Check that no entry of a stopped server's trail was changed, dropped, moved or added behind its checkpoints
    #[command(
        after_help = "Examples:\n  linkrole audit verify --data-dir /var/lib/linkrole --checkpoints /mnt/elsewhere/checkpoints\n  linkrole audit verify --proof proof.json --public-key audit-key.pub"
    )]
    Verify {
        /// Where the installation is kept
        #[arg(long, required_unless_present = "proof")]
        data_dir: Option<PathBuf>,
        /// Checkpoints that were put away outside
        #[arg(long, requires = "data_dir")]
        checkpoints: Option<PathBuf>,
        /// The folder with the archives of entries that are no longer in the store
        #[arg(long, requires = "data_dir", value_name = "FOLDER")]
        archive: Option<PathBuf>,
        /// Begin behind the checkpoint at the end of this file, like a copy that was verified before; what it vouches for is believed
        #[arg(long, requires = "data_dir", value_name = "FILE")]
        since: Option<PathBuf>,
        /// The public key; that of the data directory unless given
        #[arg(long)]
        public_key: Option<PathBuf>,
        /// Check what `audit prove` printed instead; needs nothing but the public key
        #[arg(long, conflicts_with = "data_dir", requires = "public_key")]
        proof: Option<PathBuf>,
    },
    /// Prove that an entry is in a stopped server's trail, for somebody who has only the public key
    Prove {
        /// The entry's position, as the trail shows it
        position: u64,
        /// Where the installation is kept
        #[arg(long)]
        data_dir: PathBuf,
        /// The folder with the archives of entries that are no longer in the store
        #[arg(long, value_name = "FOLDER")]
        archive: Option<PathBuf>,
    },
}

/// A time in milliseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    let wrong = || format!("expected a time like 2026-09-11T15:16:47Z; found `{text}`");
    parse_seconds(text).map(|seconds| seconds.saturating_mul(1_000)).ok_or_else(wrong)
}

/// Carries out a command.
pub fn run(command: AuditCommand, output: Output) -> Result<(), String> {
    match command {
        AuditCommand::Tail { filter, limit, follow, endpoint, socket } => {
            let trail = Trail::open(filter, &endpoint, &socket)?;
            let mut newest = trail.newest(limit)?;
            newest.reverse();
            print(output, &newest)?;
            let last = newest.last().map_or(0, position);
            // One line an entry; the headings were there.
            let form = if output == Output::Table { Output::Text } else { output };
            let each = |entry: &Value| print(form, std::slice::from_ref(entry));
            if follow { trail.forwards(last, true, each) } else { Ok(()) }
        }
        AuditCommand::Lookup { filter, limit, endpoint, socket } => {
            print(output, &Trail::open(filter, &endpoint, &socket)?.newest(limit)?)
        }
        AuditCommand::Export { filter, format, after, follow, endpoint, socket } => {
            let trail = Trail::open(filter, &endpoint, &socket)?;
            trail.forwards(after, follow, |entry| {
                let account = trail.account.borrow();
                let forms = exported(entry, format, account.as_deref())?;
                forms.iter().try_for_each(output::json_line)
            })
        }
        AuditCommand::Verify {
            data_dir: Some(directory),
            checkpoints,
            archive,
            since,
            public_key,
            ..
        } => {
            let ask = Ask {
                directory: &directory,
                outside: checkpoints.as_deref(),
                archives: archive.as_deref(),
                public_key: public_key.as_deref(),
                since: since.as_deref(),
            };
            evidence::verify(&ask, output)
        }
        AuditCommand::Verify { proof, public_key, .. } => {
            evidence::verify_proof(proof.as_deref(), public_key.as_deref(), output)
        }
        AuditCommand::Prove { position, data_dir, archive } => {
            evidence::prove(&data_dir, archive.as_deref(), position)
        }
    }
}

/// Entries that one call answers at most.
const PAGE: usize = 1_000;
/// Requests of one's own that are remembered: an entry of one is there when the next is answered, or the one after.
const OWN: usize = 16;
/// How long to wait for what comes, in milliseconds.
const PAUSE_MS: u64 = 500;

/// The trail of a running server, as far as it is wanted.
struct Trail {
    remote: Remote,
    path: &'static str,
    wanted: Map<String, Value>,
    /// Whose trail it is, once that was told; that of all has none.
    account: RefCell<Option<String>>,
    /// The last requests made here. Where reads are kept, each would be the next entry to come.
    own: RefCell<VecDeque<String>>,
}

impl Trail {
    fn open(filter: Filter, endpoint: &Endpoint, socket: &Operator) -> Result<Self, String> {
        let (remote, is_operator) = Remote::signed_or_operator(&endpoint.endpoint, socket)?;
        let path = if is_operator { "/v1/operator/trail" } else { "/v1/trail" };
        let mut wanted = Map::new();
        for (name, value) in [
            ("operator", filter.operator),
            ("operation", filter.operation),
            ("resource", filter.resource),
            ("key", filter.key),
            ("service", filter.service),
            ("id", filter.id),
        ] {
            wanted.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        wanted.extend(filter.since.map(|at| ("since".to_owned(), json!(at))));
        // A second is over when the next begins.
        wanted.extend(filter.until.map(|at| ("until".to_owned(), json!(at + 999))));
        wanted.insert("reads".to_owned(), json!(filter.reads));
        let (account, own) = Default::default();
        Ok(Self { remote, path, wanted, account, own })
    }

    /// One page, and where the next one begins.
    fn page(&self, more: [(&str, Value); 2]) -> Result<(Vec<Value>, Option<u64>), String> {
        let mut body = self.wanted.clone();
        body.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let page = self.remote.post(self.path, &Value::Object(body))?;
        let text = |path: &str| page.pointer(path).and_then(Value::as_str).map(str::to_owned);
        *self.account.borrow_mut() = text("/account");
        let mut own = self.own.borrow_mut();
        own.extend(text("/request_id"));
        while own.len() > OWN {
            own.pop_front();
        }
        let entries = page.pointer("/entries").and_then(Value::as_array).cloned();
        Ok((entries.unwrap_or_default(), page.pointer("/next").and_then(Value::as_u64)))
    }

    /// The newest entries, newest first.
    fn newest(&self, limit: usize) -> Result<Vec<Value>, String> {
        let (mut found, mut before) = (Vec::new(), Value::Null);
        while found.len() < limit {
            let asked = json!((limit - found.len()).min(PAGE));
            let (entries, next) = self.page([("before", before), ("limit", asked)])?;
            found.extend(entries);
            let Some(next) = next else { break };
            before = json!(next);
        }
        Ok(found)
    }

    /// Hands every entry after a position to `each`, oldest first; then, if it is to follow, those
    /// that come.
    fn forwards(
        &self,
        after: u64,
        follow: bool,
        each: impl Fn(&Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut after = after;
        loop {
            let (entries, next) = self.page([("after", json!(after)), ("limit", json!(PAGE))])?;
            for entry in entries.iter().filter(|entry| !(follow && self.is_own(entry))) {
                each(entry)?;
            }
            after = next.or_else(|| entries.last().map(position)).unwrap_or(after);
            match (next, follow) {
                (Some(_), _) => {}
                (None, true) => self.remote.pause(PAUSE_MS),
                (None, false) => return Ok(()),
            }
        }
    }
}

impl Trail {
    /// Whether an entry is of a request that was made here: who follows the trail is no news to himself, every time
    /// he asks for news.
    fn is_own(&self, entry: &Value) -> bool {
        let id = entry.pointer("/request_id").and_then(Value::as_str);
        id.is_some_and(|id| self.own.borrow().iter().any(|own| own == id))
    }
}

fn position(entry: &Value) -> u64 {
    entry.pointer("/position").and_then(Value::as_u64).unwrap_or(0)
}

/// An entry in a form, for the account whose trail it is; of that of all, in a vendor's form, for each account that
/// it belongs to, as each would find it in its own. Nothing of what the form does not show.
fn exported(entry: &Value, format: Format, account: Option<&str>) -> Result<Vec<Value>, String> {
    if format == Format::Events {
        return Ok(vec![entry.clone()]);
    }
    let event: Event = serde_json::from_value(entry.clone())
        .map_err(|e| format!("entry {} does not read: {e}", position(entry)))?;
    if format == Format::Cloudevents {
        return Ok(vec![cloudevent(&event, entry)]);
    }
    let is_looking = |of: &&AccountId| account.is_none_or(|account| of.as_str() == account);
    let form = |of: &AccountId| {
        let mut form = match format {
            Format::Cloudtrail => cloudtrail::record(of, &event),
            _ => actiontrail::event(of, &event),
        };
        if let Value::Object(members) = &mut form {
            // The vendors have none; whoever goes on later needs it.
            members.insert("position".to_owned(), json!(position(entry)));
        }
        form
    };
    let accounts = event.accounts.iter().filter(|_| !is_upkeep(&event));
    Ok(accounts.filter(is_looking).map(form).collect())
}

/// [src: CloudEvents 1.0.2, JSON event format]
fn cloudevent(event: &Event, entry: &Value) -> Value {
    let mut all = json!({
        "specversion": "1.0",
        "id": event.id,
        "source": event.accounts.first().map_or("/linkrole".to_owned(), |a| format!("/linkrole/accounts/{a}")),
        "type": format!("linkrole.{}.{}", event.service, event.operation),
        "time": iso_seconds(event.at_ms),
        "datacontenttype": "application/json",
        "data": entry,
    });
    if let (Some(about), Value::Object(members)) = (event.resources.first(), &mut all) {
        members.insert("subject".to_owned(), json!(about.resource));
    }
    all
}

fn print(output: Output, entries: &[Value]) -> Result<(), String> {
    let headings = ["TIME", "WHO", "FOR", "OPERATION", "OUTCOME", "ON"];
    output::print(output, &json!({ "entries": entries }), &headings, |_| {
        entries.iter().map(row).collect()
    })
}

/// An entry as a line: who, through which service, did what, with which outcome, on what.
pub fn row(entry: &Value) -> Vec<String> {
    let text = |name: &str| output::text(entry, name);
    let error = text("/error");
    let outcome = if error.is_empty() { "done".to_owned() } else { error };
    let on = text("/resources/0/resource");
    let on = if on.is_empty() { text("/params/resource") } else { on };
    vec![
        text("/time"),
        text("/actor/name"),
        if text("/asked_by").is_empty() { text("/actor/invoked_by") } else { text("/asked_by") },
        text("/operation"),
        outcome,
        on,
    ]
}
