//! What every story of `linkrole demo` is made of: the server and services as processes of their own,
//! a folder that goes with them, and the telling. Not here: what is told.

use crate::cli::{output, serve};
use sdk::{Client, Credentials, Secret};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server on disk and the services that were started beside it; all end with it.
pub struct Stage {
    /// Where everything keeps its data; the operator may look.
    pub here: PathBuf,
    /// The server's address.
    pub address: String,
    /// The server, without credentials.
    pub server: Client,
    /// The server's operator.
    pub operator: Client,
    processes: Vec<Process>,
    _scratch: Scratch,
}

impl Stage {
    /// Starts a server on a new folder; `more` are arguments of its own.
    pub async fn start(more: &[&str]) -> Result<Self, String> {
        let scratch = scratch()?;
        let here = scratch.0.clone();
        let data = here.join("linkrole");
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let made = Command::new(&me).arg("init").arg("--data-dir").arg(&data).output();
        let made = made.map_err(|e| format!("cannot run {}: {e}", me.display()))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let mut serve = Command::new(&me);
        serve.arg("serve").arg("--data-dir").arg(&data).args(["--listen", "127.0.0.1:0"]);
        serve.args(more);
        let (process, address) = spawn(serve, &here.join("linkrole.log"))?;
        let server = client(&address)?;
        let operator = Client::socket(&data.join(serve::SOCKET));
        Ok(Self { here, address, server, operator, processes: vec![process], _scratch: scratch })
    }

    /// The key of the first account's root.
    pub fn root(&self) -> Result<Credentials, String> {
        root_credentials(&self.here.join("linkrole/root-credentials"))
    }

    /// Enrols a service and starts it with its one-time token; its address. `more` are arguments
    /// of its own.
    pub async fn service(
        &mut self,
        name: &str,
        principal: &str,
        mut command: Command,
        more: &[&str],
    ) -> Result<String, String> {
        let enrolled =
            post(&self.operator, "/v1/services/enrol", json!({ "service": principal })).await?;
        let token = self.here.join(format!("{name}.token"));
        crate::keys::write_private(&token, output::text(&enrolled, "/token").as_bytes())?;
        command.args(["--listen", "127.0.0.1:0", "--linkrole", &self.address]);
        command.arg("--data").arg(self.here.join(name)).arg("--token-file").arg(token);
        command.args(more);
        let (process, address) = spawn(command, &self.here.join(format!("{name}.log")))?;
        self.processes.push(process);
        Ok(address)
    }
}

/// A process of the demo; it ends with the demo.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that goes with the demo.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The telling: each step says what to notice and whether it held.
#[derive(Default)]
pub struct Story {
    step: usize,
    held: usize,
    broken: usize,
}

impl Story {
    /// Opens a step.
    pub fn say(&mut self, title: &str) -> Result<(), String> {
        self.step += 1;
        output::line(&format!("\n{}. {title}", self.step))
    }

    /// Tells what was to be seen, whether it was, and what was there.
    pub fn check(&mut self, held: bool, what: &str, seen: &str) -> Result<(), String> {
        let (mark, colour) = if held { ("ok", "32") } else { ("BROKEN", "31") };
        let mark = match output::colours() {
            true => format!("\u{1b}[{colour}m{mark}\u{1b}[0m"),
            false => mark.to_owned(),
        };
        *(if held { &mut self.held } else { &mut self.broken }) += 1;
        output::line(&format!("   {mark}  {what}"))?;
        match seen {
            "" => Ok(()),
            seen => output::line(&format!("       {}", seen.trim())),
        }
    }

    /// The end: an error unless everything held.
    pub fn end(self) -> Result<(), String> {
        output::line("")?;
        match self.broken {
            0 => output::line(&format!("All {} steps held.", self.held)),
            n => Err(format!("{n} of {} steps did not hold", self.held + n)),
        }
    }
}

/// Calls the native API.
pub async fn post(client: &Client, path: &str, body: Value) -> Result<Value, String> {
    client.post(path, &body).await.map_err(|e| e.to_string())
}

/// A server without credentials.
pub fn client(address: &str) -> Result<Client, String> {
    Client::tcp(address, None).map_err(|e| e.to_string())
}

/// The access key in an answer of the native API.
pub fn credentials(made: &Value) -> Credentials {
    Credentials {
        access_key_id: output::text(made, "/access_key_id"),
        secret_access_key: Secret::new(output::text(made, "/secret_access_key")),
        session_token: None,
    }
}

fn root_credentials(file: &Path) -> Result<Credentials, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once('='))
            .map(|(_, v)| v.trim().to_owned())
            .unwrap_or_default()
    };
    Ok(Credentials {
        access_key_id: value("aws_access_key_id"),
        secret_access_key: Secret::new(value("aws_secret_access_key")),
        session_token: None,
    })
}

/// Starts a program that says `ready ADDRESS` once it serves.
fn spawn(mut command: Command, log: &Path) -> Result<(Process, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let log_file = std::fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).spawn();
    let mut process = Process(child.map_err(|e| format!("cannot run {name}: {e}"))?);
    let out = process.0.stdout.take().ok_or("no output to read")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).map_err(|e| format!("{name}: {e}"))?;
    match line.trim().strip_prefix("ready ") {
        Some(address) => Ok((process, address.to_owned())),
        None => {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            Err(format!("{name} did not start: {line}{said}"))
        }
    }
}

/// An example's program: beside this program, or built with it from a checkout.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let file = me.with_file_name(format!("example-{name}"));
    let from_checkout = std::env::var_os("CARGO_MANIFEST_DIR").is_some();
    if file.exists() && !from_checkout {
        return Ok(file);
    }
    if !from_checkout {
        return Err(format!(
            "the demo needs {} beside this program; from a checkout run `cargo run --release -- demo`",
            file.display()
        ));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", &format!("example-{name}")]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    match build.status() {
        Ok(done) if done.success() && file.exists() => Ok(file),
        Ok(done) => Err(format!("building the {name} example ended with {done}")),
        Err(error) => Err(format!("cannot run cargo to build the {name} example: {error}")),
    }
}

fn scratch() -> Result<Scratch, String> {
    let name = format!("linkrole-demo-{}", crate::clock::uuid());
    let directory = std::env::temp_dir().join(name);
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|e| format!("cannot make {}: {e}", directory.display()))?;
    Ok(Scratch(directory))
}
