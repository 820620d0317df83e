//! What can go wrong between a service and the server it calls, in one type.

use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A refusal that the other side put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs; empty when the answer had none.
    pub code: String,
    /// The text, for people.
    pub message: String,
    /// The request's id in the server's log.
    pub request_id: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Why a call did not do what was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The other side refused.
    #[error("expected success; the answer was {0}")]
    Refused(Box<Refusal>),
    /// No connection: nothing was sent, so nothing happened.
    #[error("expected a connection to {place}; found: {why}")]
    Unreachable {
        /// Where to.
        place: String,
        /// What the system says.
        why: String,
    },
    /// The connection broke or the time ran out after the request was sent: it may have happened.
    #[error("expected a whole answer from {place}; found: {why}")]
    Broken {
        /// Where from.
        place: String,
        /// What happened.
        why: String,
    },
    /// The answer is a success but not of the expected form.
    #[error("expected {expected} in the answer; found none")]
    Answer {
        /// What is missing.
        expected: String,
    },
    /// An argument of the call cannot be sent.
    #[error("{0}")]
    Argument(String),
    /// The received request carries no signature in its headers, so there is nothing to forward.
    #[error("expected a request with an AWS4-HMAC-SHA256 Authorization header; found {0}")]
    Unsigned(&'static str),
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says, or what is wrong inside.
        why: String,
    },
}

impl Error {
    /// A file and what happened to it.
    pub fn file(path: &Path, why: &dyn fmt::Display) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }

    /// The refusal, if the other side answered one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether it is a refusal with this code.
    pub fn is(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// A refusal from an answer's body, be it JSON, XML or plain text.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let refusal = of_json(status, &text).or_else(|| of_xml(status, &text));
        Self::Refused(Box::new(refusal.unwrap_or_else(|| Refusal {
            status,
            code: String::new(),
            message: text.trim().chars().take(500).collect(),
            request_id: None,
        })))
    }
}

fn of_json(status: u16, text: &str) -> Option<Refusal> {
    let body: Value = serde_json::from_str(text).ok()?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if let Some(kind) = text(body.get("__type")) {
        // As AWS's services say it that answer in JSON; before a `#` stands whose code it is.
        let code = kind.rsplit('#').next().unwrap_or_default().to_owned();
        let message = text(body.get("message").or(body.get("Message"))).unwrap_or_default();
        return Some(Refusal { status, code, message, request_id: None });
    }
    let Some(error) = body.get("error") else {
        // As Alibaba Cloud's services say it.
        return Some(Refusal {
            status,
            code: text(body.get("Code"))?,
            message: text(body.get("Message")).unwrap_or_default(),
            request_id: text(body.get("RequestId")),
        });
    };
    Some(Refusal {
        status,
        code: text(error.get("code"))?,
        message: text(error.get("message")).unwrap_or_default(),
        request_id: text(body.get("request_id")),
    })
}

fn of_xml(status: u16, text: &str) -> Option<Refusal> {
    Some(Refusal {
        status,
        code: crate::xml::text(text, "Code")?,
        message: crate::xml::text(text, "Message").unwrap_or_default(),
        request_id: crate::xml::text(text, "RequestId"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn a_refusal_is_read_from_json_xml_and_plain_text() {
        let json = br#"{"error":{"code":"AccessDenied","message":"no"},"request_id":"r1"}"#;
        let error = Error::refused(403, json);
        assert!(error.is("AccessDenied"));
        assert_eq!(
            error.to_string(),
            "expected success; the answer was 403 AccessDenied: no (request r1)"
        );
        let xml = b"<ErrorResponse xmlns=\"n\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
            <Message>a &amp; b</Message></Error><RequestId>r2</RequestId></ErrorResponse>";
        let error = Error::refused(404, xml);
        let refusal = error.refusal().unwrap();
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("NoSuchEntity", "a & b"));
        assert_eq!(refusal.request_id.as_deref(), Some("r2"));
        let rpc = br#"{"RequestId":"R3","HostId":"h","Code":"NoPermission","Message":"no"}"#;
        assert_eq!(
            Error::refused(403, rpc).to_string(),
            "expected success; the answer was 403 NoPermission: no (request R3)"
        );
        let json = br#"{"__type":"com.example#ResourceNotFoundException","message":"no"}"#;
        assert!(Error::refused(400, json).is("ResourceNotFoundException"));
        let error = Error::refused(413, b"the body is larger than 1 MiB\n");
        assert_eq!(error.refusal().unwrap().message, "the body is larger than 1 MiB");
    }
}
