//! Policies as they are stored: the text as it was given, parsed, and compiled for evaluation.

use policy::engine::Set;
use policy::{Dialect, Document, Named, PolicyKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

macro_rules! policy_text {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<(Document, Arc<Set>)>);

        impl $name {
            /// Parses the text of a document in a dialect's language, refusing what its vendor refuses.
            pub fn parse(text: &str, dialect: Dialect) -> Result<Self, policy::ParseError> {
                Document::parse(text, $kind, dialect).map(Self::of)
            }
            /// Reads the text of a document that a vendor wrote itself: some of those break the rules that
            /// customers' documents have to keep.
            pub fn read(text: &str, dialect: Dialect) -> Result<Self, policy::ParseError> {
                Document::read(text, $kind, dialect).map(Self::of)
            }
            fn of(document: Document) -> Self {
                let set = Set::new(&[Named { name: "", document: &document }]);
                Self(Arc::new((document, Arc::new(set))))
            }
            /// The parsed document.
            pub fn document(&self) -> &Document {
                &self.0.0
            }
            /// The document as it is evaluated; compiled once, when it was parsed.
            pub fn set(&self) -> &Arc<Set> {
                &self.0.1
            }
            /// The text as it was given.
            pub fn text(&self) -> &str {
                self.0.0.text()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            /// A stored text tells its language by its version: no text is of both.
            fn try_from(text: String) -> Result<Self, String> {
                // What is stored was checked when it came.
                let aws = Self::read(&text, Dialect::Aws);
                aws.or_else(|e| Self::read(&text, Dialect::Alibaba).map_err(|_| e.to_string()))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.text().to_owned()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.text() == other.text()
            }
        }
    };
}

policy_text! {
    /// A permissions policy: identity, boundary or template.
    PermissionsPolicy, PolicyKind::Identity
}
policy_text! {
    /// A role's trust policy.
    TrustPolicy, PolicyKind::Trust
}
