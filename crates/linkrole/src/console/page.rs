//! What every page has: its frame, its headers, how it says no; and forms as they come back.

use super::assets::{SCRIPT, STYLE};
use askama::Template;
use iam::error::Error;
use iam::text::{Text, Violation};
use policy::Dialect;
use wire::http::Response;

/// Nothing but what this server sends; no frame around it, no script in it.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What surrounds a page's own part.
pub struct Frame {
    /// What it is, for the window's title.
    pub title: String,
    /// The part of the console that it belongs to.
    pub part: &'static str,
    /// Who is signed in.
    pub who: String,
    /// In which account.
    pub account: String,
    /// Of which dialect.
    pub dialect: Dialect,
    /// What forms repeat.
    pub forgery: String,
    /// What is to be said once.
    pub notice: Option<String>,
    /// What is wrong with what was filled in.
    pub wrong: Option<String>,
    /// The deletions that were asked for here.
    pub tasks: Vec<TaskLine>,
}

/// A deletion in short.
pub struct TaskLine {
    /// The role.
    pub role: String,
    /// The task's handle.
    pub handle: String,
    /// How it stands, in the vendor's words.
    pub status: &'static str,
    /// The same for people.
    pub says: String,
    /// Whether there is more to come.
    pub is_open: bool,
}

impl Frame {
    /// Where the style sheet is.
    pub fn style(&self) -> &'static str {
        &STYLE.path
    }
    /// Where the script is.
    pub fn script(&self) -> &'static str {
        &SCRIPT.path
    }
    /// Whether something is still on its way.
    pub fn is_waiting(&self) -> bool {
        self.tasks.iter().any(|task| task.is_open)
    }
    /// Whose words the account speaks.
    pub fn vendor(&self) -> &'static str {
        match self.dialect {
            Dialect::Aws => "AWS",
            Dialect::Alibaba => "Alibaba Cloud",
        }
    }
}

/// Why there is no such page.
#[derive(Debug)]
pub enum Refusal {
    /// Nobody is signed in any more.
    SignedOut,
    /// There is nothing.
    NotFound,
    /// A call was refused: its status, code and text in the words of the account's dialect.
    Told(u16, String, String),
    /// What was filled in does not do.
    Invalid(String),
}

/// The refusal of a call, in the words that its caller knows.
pub fn refused(error: &Error, code: String, message: String) -> Refusal {
    match error {
        Error::InvalidCredentials | Error::InactiveKey | Error::SessionExpired => {
            Refusal::SignedOut
        }
        Error::NoSuchEntity(_) => Refusal::Told(404, code, message),
        Error::Internal(_) => Refusal::Told(500, code, message),
        error if error.is_denial() => Refusal::Told(403, code, message),
        _ => Refusal::Told(400, code, message),
    }
}

/// The headers of everything that the console answers.
pub fn headers() -> Vec<(&'static str, String)> {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", CONTENT_POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// A page.
pub fn page(status: u16, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Response { status, headers: headers(), body: text.into_bytes() },
        Err(error) => {
            tracing::error!(%error, "a page was not made");
            Response { status: 500, headers: headers(), body: b"the page was not made\n".to_vec() }
        }
    }
}

/// Sends the browser on; what was posted is not posted again when the page is loaded again.
pub fn see(place: &str) -> Response {
    let mut headers = headers();
    headers.push(("location", place.to_owned()));
    Response { status: 303, headers, body: Vec::new() }
}

/// The fields of a form, or of an address.
#[derive(Clone, Debug, Default)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    /// A field; empty if it was not filled in.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A field that was filled in.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }

    /// A field that has to be something if it was filled in.
    pub fn optional<T: Text>(&self, name: &str, label: &str) -> Result<Option<T>, Refusal> {
        self.filled(name).map(|text| read(text, label)).transpose()
    }
}

/// A text that has to be something.
pub fn read<T: Text>(text: &str, label: &str) -> Result<T, Refusal> {
    T::read(text).map_err(|violation| {
        Refusal::Invalid(match violation {
            Violation::Shorter(min) => format!("{label}: expected at least {min} characters."),
            Violation::Longer(max) => format!("{label}: expected at most {max} characters."),
            Violation::Pattern(pattern) => format!("{label}: expected text like {pattern}."),
        })
    })
}

/// A path or query part.
pub fn encoded(text: &str) -> String {
    wire::http::percent_encode(text)
}

/// A document set out for reading, its members in their order.
pub fn set_out(text: &str) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(|c| c.is_whitespace()) {
                    chars.next();
                }
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_set_out_and_say_the_same() {
        let text = r#"{"b":[1,{"c":"x: {,}\"[\\"}],"a":{},"d":[ ]}"#;
        let wanted = "{\n  \"b\": [\n    1,\n    {\n      \"c\": \"x: {,}\\\"[\\\\\"\n    }\n  ],\n  \"a\": {},\n  \"d\": []\n}";
        assert_eq!(set_out(text), wanted);
        assert_eq!(set_out(wanted), wanted, "and stay as they are");
        let same: Result<serde_json::Value, _> = serde_json::from_str(&set_out(text));
        assert_eq!(same.ok(), serde_json::from_str(text).ok());
    }
}
