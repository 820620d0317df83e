//! The AWS dialect: Query requests of IAM and STS in, XML out.
//!
//! One request goes through five short files: here (which operation), `params` (its parameters),
//! `decode` (the command), `encode` (the answer), `fault` (the refusal).

pub mod cloudtrail;
pub mod decode;
pub mod encode;
pub mod fault;
pub mod known;
pub mod params;

use crate::http::{Request, Response};
use crate::xml::Xml;
use fault::Fault;
use iam::command::Command;
use iam::error::Error;
use iam::operations::{Family, Operation};
use iam::output::Output;
use params::{Form, Params};

const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Operations that are done and that this wire does not speak yet.
const NOT_SPOKEN: [Operation; 6] = [
    Operation::CreateOpenIDConnectProvider,
    Operation::GetOpenIDConnectProvider,
    Operation::ListOpenIDConnectProviders,
    Operation::DeleteOpenIDConnectProvider,
    Operation::AddClientIDToOpenIDConnectProvider,
    Operation::RemoveClientIDFromOpenIDConnectProvider,
];
const FAULT_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// A Query request whose operation is known and whose caller is not yet.
pub struct Query {
    operation: Operation,
    form: Form,
}

impl Query {
    /// Finds the operation of a request.
    ///
    /// Errors: `InvalidAction` for an unknown action or version; 501 for a known one that linkrole
    /// does not have; 400 for a form that does not decode.
    pub fn of(request: &Request) -> Result<Self, Fault> {
        let form = Form::of(request)?;
        let Some(action) = form.raw("Action").filter(|a| !a.is_empty()) else {
            let text = "The request has no Action; expected the name of an operation.";
            return Err(Fault::new("MissingAction", 400, text));
        };
        let version = form.raw("Version").unwrap_or("NO_VERSION_SPECIFIED");
        let (known, family) = match version {
            "2010-05-08" => (known::IAM, Family::Iam),
            "2011-06-15" => (known::STS, Family::Sts),
            _ => (&[][..], Family::Linkrole),
        };
        if !known.contains(&action) {
            let text = format!("Could not find operation {action} for version {version}");
            return Err(Fault::new("InvalidAction", 400, text));
        }
        let ours = |o: &Operation| o.facts().family == family && !NOT_SPOKEN.contains(o);
        match Operation::named(action).filter(ours) {
            Some(operation) => Ok(Self { operation, form }),
            None => Err(not_implemented(action)),
        }
    }

    /// The operation.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The name that a signature's scope must carry.
    pub fn signing_name(&self) -> &'static str {
        self.operation.facts().family.prefix(policy::Dialect::Aws)
    }

    /// Whether the operation may be asked with a presigned URL: only the one that proves who
    /// signed it and does nothing else.
    pub fn allows_presigned(&self) -> bool {
        self.operation == Operation::GetCallerIdentity
    }

    /// The command.
    ///
    /// Errors: the vendor's own for parameters that do not fit.
    pub fn command(&self) -> Result<Command, Fault> {
        decode::command(self.operation, &Params::new(&self.form))
    }

    /// Turns an error of this operation into the dialect's own.
    pub fn fault(&self, error: &Error) -> Fault {
        match self.operation.facts().family {
            Family::Sts => fault::sts_fault(error),
            _ => fault::fault(error),
        }
    }

    /// The answer to a request.
    pub fn answer(&self, output: &Output, request_id: &str) -> Response {
        let name = self.operation.facts().name;
        let root = format!("{name}Response");
        let mut x = Xml::root(&root, self.namespace());
        let element = format!("{name}Result");
        let mut inner = Xml::fragment();
        if encode::result(&mut inner, self.operation, output) {
            x.within(&element, |x| x.append(inner));
        }
        x.within("ResponseMetadata", |x| x.text("RequestId", request_id));
        respond(200, x.finish(&root), request_id)
    }

    fn namespace(&self) -> &'static str {
        match self.operation.facts().family {
            Family::Sts => STS_NAMESPACE,
            _ => IAM_NAMESPACE,
        }
    }
}

/// What a known operation that linkrole does not have answers.
pub fn not_implemented(action: &str) -> Fault {
    let text = format!("The operation {action} is not implemented by this server.");
    Fault::new("NotImplemented", 501, text)
}

/// A refusal in the dialect.
pub fn refusal(fault: &Fault, query: Option<&Query>, request_id: &str) -> Response {
    let namespace = query.map_or(FAULT_NAMESPACE, Query::namespace);
    let mut x = Xml::root("ErrorResponse", namespace);
    x.within("Error", |x| {
        x.text("Type", if fault.status < 500 { "Sender" } else { "Receiver" });
        x.text("Code", fault.code);
        // The vendor leaves an empty message out. [src: AWS.md 5]
        x.some("Message", Some(fault.message.as_str()).filter(|text| !text.is_empty()));
    });
    x.text("RequestId", request_id);
    respond(fault.status, x.finish("ErrorResponse"), request_id)
}

fn respond(status: u16, body: Vec<u8>, request_id: &str) -> Response {
    let headers =
        vec![("content-type", "text/xml".to_owned()), ("x-amzn-requestid", request_id.to_owned())];
    Response { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_without_a_text_has_no_message() {
        let body = |text: &str| {
            let fault = Fault::new("MalformedInput", 400, text);
            String::from_utf8_lossy(&refusal(&fault, None, "id").body).into_owned()
        };
        assert!(body("why").contains("<Message>why</Message>"));
        assert!(!body("").contains("Message"));
    }
}
