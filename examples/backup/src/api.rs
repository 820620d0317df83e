//! The API: which request is which action on which vault. Every request is shown to linkrole
//! first; what is then done is in `work`.

use crate::work::{self, Work};
use sdk::http::{Request, Response};
use sdk::{Context, Error};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Characters of a vault's name.
const NAME_MAX: usize = 64;

/// The service behind its listener.
pub struct Api {
    work: Work,
    /// One at a time per account, so that no vault comes or goes under another's steps.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    List,
    Create(String),
    Delete(String),
    Run(String),
    Prune(String),
}

impl Route {
    fn of(request: &Request) -> Result<Self, Response> {
        let parts: Vec<&str> = request.path.split('/').skip(1).collect();
        let method = request.method.as_str();
        match (parts.as_slice(), method) {
            (["vaults"], "GET") => Ok(Self::List),
            (["vaults"], _) => Err(no_method("GET", method)),
            (["vaults", vault], "POST") => Ok(Self::Create(name(vault)?)),
            (["vaults", vault], "DELETE") => Ok(Self::Delete(name(vault)?)),
            (["vaults", _], _) => Err(no_method("POST or DELETE", method)),
            (["vaults", vault, "run"], "POST") => Ok(Self::Run(name(vault)?)),
            (["vaults", vault, "prune"], "POST") => Ok(Self::Prune(name(vault)?)),
            (["vaults", _, "run" | "prune"], _) => Err(no_method("POST", method)),
            _ => {
                let text = "expected /vaults, /vaults/NAME, /vaults/NAME/run or \
                    /vaults/NAME/prune; found another path";
                Err(Response::error(404, "NotFound", text))
            }
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::List => "backup:ListVaults",
            Self::Create(_) => "backup:CreateVault",
            Self::Delete(_) => "backup:DeleteVault",
            Self::Run(_) => "backup:StartBackup",
            Self::Prune(_) => "backup:Prune",
        }
    }

    /// The name in the resource that the action is on.
    fn vault(&self) -> &str {
        match self {
            Self::List => "*",
            Self::Create(vault) | Self::Delete(vault) | Self::Run(vault) | Self::Prune(vault) => {
                vault
            }
        }
    }
}

/// Reads a vault's name: a letter or digit, then letters, digits and `-_.`, 64 at most.
fn name(text: &str) -> Result<String, Response> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if plain && begins && text.len() <= NAME_MAX {
        return Ok(text.to_owned());
    }
    let text = "expected a name of 1 to 64 letters, digits and -_. that begins with a letter or \
        digit; found another";
    Err(Response::error(400, "InvalidName", text))
}

fn no_method(expected: &str, found: &str) -> Response {
    Response::error(405, "MethodNotAllowed", &format!("expected {expected}; found {found}"))
}

impl Api {
    /// An API that has this done.
    pub fn new(work: Work) -> Self {
        Self { work, turns: Mutex::default() }
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Request) -> Response {
        let route = match Route::of(request) {
            Ok(route) => route,
            Err(refusal) => return refusal,
        };
        self.run(&route, request).await.unwrap_or_else(|error| {
            let response = Response::of(&error);
            if response.status >= 500 {
                work::log(&format!("{}: {error}", route.action()));
            }
            response
        })
    }

    async fn run(&self, route: &Route, request: &Request) -> Result<Response, Error> {
        let caller = request.forwarded()?;
        let resource = |account: &str| self.work.arn(account, route.vault());
        let context = Context::new();
        let asked = self.work.service.authorize_own(&caller, route.action(), resource, &context);
        let (decision, account) = asked.await?;
        if !decision.allowed {
            return Ok(Response::denied(&decision));
        }
        let turn = self.turn(&account);
        let _turn = turn.lock().await;
        match route {
            Route::List => self.work.list(&account).await,
            Route::Create(vault) => self.work.create(&caller, &account, vault).await,
            Route::Delete(vault) => self.work.delete(&account, vault).await,
            Route::Run(vault) => self.work.run(&account, vault).await,
            Route::Prune(vault) => self.work.prune(&account, vault).await,
        }
    }

    fn turn(&self, account: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(account.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Result<Route, u16> {
        let request =
            Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
        Route::of(&request).map_err(|response| response.status)
    }

    #[test]
    fn requests_are_routed() {
        let daily = || "daily".to_owned();
        assert_eq!(route("GET", "/vaults"), Ok(Route::List));
        assert_eq!(route("POST", "/vaults/daily"), Ok(Route::Create(daily())));
        assert_eq!(route("DELETE", "/vaults/daily"), Ok(Route::Delete(daily())));
        assert_eq!(route("POST", "/vaults/daily/run"), Ok(Route::Run(daily())));
        assert_eq!(route("POST", "/vaults/daily/prune"), Ok(Route::Prune(daily())));
        assert_eq!(route("POST", "/vaults"), Err(405));
        assert_eq!(route("GET", "/vaults/daily"), Err(405));
        assert_eq!(route("GET", "/vaults/daily/run"), Err(405));
        assert_eq!(route("POST", "/vaults/daily/else"), Err(404));
        assert_eq!(route("POST", "/vaults/daily/run/"), Err(404));
        assert_eq!(route("GET", "/"), Err(404));
        for bad in ["", "..", ".a", "a*", "a%2Fb", &"a".repeat(65)] {
            assert_eq!(route("POST", &format!("/vaults/{bad}")), Err(400), "{bad}");
        }
    }

    #[test]
    fn each_route_is_its_own_action() {
        let routes = [
            Route::List,
            Route::Create("a".to_owned()),
            Route::Delete("a".to_owned()),
            Route::Run("a".to_owned()),
            Route::Prune("a".to_owned()),
        ];
        let actions: std::collections::BTreeSet<&str> = routes.iter().map(Route::action).collect();
        assert_eq!(actions.len(), routes.len());
        assert!(actions.iter().all(|action| action.starts_with("backup:")));
    }
}
