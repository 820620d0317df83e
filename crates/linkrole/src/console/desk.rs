//! Where a page gets what it shows: commands that run as whoever is signed in.

use super::page::{Form, Frame, Refusal, TaskLine, refused};
use super::sessions::{Visitor, Watched};
use crate::server::{Peer, Server};
use iam::command::Command;
use iam::error::Error;
use iam::output::{CallerView, Output, TaskView};
use iam::rows::TaskStatus;
use iam::text::{AccountId, TaskId};
use policy::Dialect;
use store::Store;
use wire::http::Request;

/// One visit of one page.
pub struct Desk<'a, S> {
    /// The server.
    pub server: &'a Server<S>,
    /// Who is signed in.
    pub visitor: Visitor,
    /// The same, as linkrole knows it.
    pub who: CallerView,
    /// The account that is looked at.
    pub account: AccountId,
    /// The account's dialect.
    pub dialect: Dialect,
    /// The fields of the form, or of the address.
    pub form: Form,
    /// The request.
    pub request: &'a Request,
    /// Where it came in.
    pub peer: &'a Peer,
    id: &'a str,
}

impl<'a, S: Store> Desk<'a, S> {
    /// Finds out who is signed in.
    ///
    /// Errors: nobody any more.
    pub fn open(
        server: &'a Server<S>,
        visitor: Visitor,
        request: &'a Request,
        peer: &'a Peer,
        id: &'a str,
        form: Form,
    ) -> Result<Self, Refusal> {
        let state = server.engine.state();
        let now_ms = server.engine.now_ms().max(state.clock_ms());
        let Ok(me) = iam::caller::resolve(&state, &visitor.caller, now_ms) else {
            server.sessions.end(&visitor);
            return Err(Refusal::SignedOut);
        };
        let who = me.view();
        let account = who.account.clone().ok_or(Refusal::SignedOut)?;
        let dialect = iam::caller::dialect(&state, &account).ok_or(Refusal::SignedOut)?;
        Ok(Self { server, visitor, who, account, dialect, form, request, peer, id })
    }

    /// Runs a command as whoever is signed in.
    pub async fn ask(&self, command: Command) -> Result<Output, Refusal> {
        let (server, caller) = (self.server, self.visitor.caller.clone());
        let mut call = server.call(caller, command, self.request, self.peer, self.id);
        call.source.console = true;
        let asked = call.clone();
        server.run(call).await.map_err(|error: Error| {
            server.log(self.id, &error);
            let told = wire::trail::told(&asked, Some(self.dialect), &error);
            refused(&error, told.code, told.message)
        })
    }

    /// Has something said on the next page.
    pub fn say(&self, notice: String) {
        self.server.sessions.say(&self.visitor, notice);
    }

    /// Keeps an eye on a deletion.
    pub fn watch(&self, task: Watched) {
        self.server.sessions.watch(&self.visitor, task);
    }

    /// Ends the session.
    pub fn end(&self) {
        self.server.sessions.end(&self.visitor);
    }

    /// What surrounds a page.
    pub async fn frame(&self, title: &str, part: &'static str) -> Frame {
        Frame {
            title: title.to_owned(),
            part,
            who: self.who.arn.clone(),
            account: self.account.to_string(),
            dialect: self.dialect,
            forgery: self.visitor.forgery.clone(),
            notice: self.visitor.notice.clone(),
            wrong: None,
            tasks: self.tasks().await,
        }
    }

    /// How the deletions stand that were asked for here.
    pub async fn tasks(&self) -> Vec<TaskLine> {
        let mut all = Vec::new();
        for watched in &self.visitor.tasks {
            let Watched { role, handle, ended } = watched.clone();
            if let Some((status, says)) = ended {
                all.push(TaskLine { role, handle, status, says, is_open: false });
                continue;
            }
            let Some(command) = status_of(&handle) else { continue };
            let (status, says, is_open) = match self.ask(command).await {
                Ok(Output::Task(view)) => in_short(&view),
                Err(Refusal::Told(_, code, message)) => {
                    ("UNKNOWN", format!("{code}: {message}"), false)
                }
                _ => ("UNKNOWN", "It is not known how it stands.".to_owned(), false),
            };
            if !is_open {
                self.server.sessions.settle(&self.visitor, &handle, status, &says);
            }
            all.push(TaskLine { role, handle, status, says, is_open });
        }
        all
    }
}

/// The question how a deletion stands.
pub fn status_of(handle: &str) -> Option<Command> {
    let parts: Vec<&str> = handle.split('/').collect();
    let ["task", "aws-service-role", principal, role, task] = parts.as_slice() else { return None };
    Some(Command::GetServiceLinkedRoleDeletionStatus {
        task: TaskId::parse(task).ok()?,
        principal: (*principal).to_owned(),
        role: (*role).to_owned(),
    })
}

/// A deletion's state: in the vendor's words, for people, and whether more is to come.
fn in_short(view: &TaskView) -> (&'static str, String, bool) {
    let status = status_word(view.task.status);
    let says = match view.task.status {
        TaskStatus::NotStarted => "waits to be looked at".to_owned(),
        TaskStatus::InProgress => "it is looked whether something uses the role".to_owned(),
        TaskStatus::Succeeded => "the role is deleted".to_owned(),
        TaskStatus::Failed => "the role stays".to_owned(),
    };
    (status, says, view.task.is_open())
}

/// A deletion's state in the vendor's words.
pub fn status_word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::NotStarted => "NOT_STARTED",
        TaskStatus::InProgress => "IN_PROGRESS",
        TaskStatus::Succeeded => "SUCCEEDED",
        TaskStatus::Failed => "FAILED",
    }
}
