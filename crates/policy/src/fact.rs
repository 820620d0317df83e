//! What a server knows of a request, and the condition key under which each dialect's policies ask for it.
//!
//! Rules that hold in every dialect speak of facts; only here do they get the names of keys. A fact for which
//! a dialect has no key is not told to its policies. [src: AWS condition key references; ALIBABA.md 10]

use crate::name::Dialect;

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident: $aws:expr, $alibaba:expr;)*) => {
        /// Something that a server knows of a request.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Fact {
            $($(#[$doc])* $fact),*
        }

        impl Fact {
            /// All facts.
            pub const ALL: &'static [Fact] = &[$(Fact::$fact),*];

            /// The condition key of a fact, if the dialect has one.
            pub fn key(self, dialect: Dialect) -> Option<&'static str> {
                let (aws, alibaba): (Option<&str>, Option<&str>) = match self {
                    $(Fact::$fact => ($aws, $alibaba)),*
                };
                match dialect {
                    Dialect::Aws => aws,
                    Dialect::Alibaba => alibaba,
                }
            }
        }
    };
}

facts! {
    /// The time, in seconds since 1970.
    CurrentTime: Some("aws:CurrentTime"), Some("acs:CurrentTime");
    /// The same under its other name.
    EpochTime: Some("aws:EpochTime"), None;
    /// Whether the connection is encrypted.
    SecureTransport: Some("aws:SecureTransport"), Some("acs:SecureTransport");
    /// The caller's address.
    SourceIp: Some("aws:SourceIp"), Some("acs:SourceIp");
    /// What the client says it is.
    UserAgent: Some("aws:UserAgent"), None;
    /// The region that the request was signed for.
    RequestedRegion: Some("aws:RequestedRegion"), None;
    /// Whether a service calls in its own name.
    PrincipalIsService: Some("aws:PrincipalIsAWSService"), None;
    /// Whether a service calls for somebody else.
    ViaService: Some("aws:ViaAWSService"), None;
    /// The services through which the call came.
    CalledVia: Some("aws:CalledVia"), None;
    /// The service that calls.
    PrincipalServiceName: Some("aws:PrincipalServiceName"), None;
    /// The account for which a service says that it calls.
    SourceAccount: Some("aws:SourceAccount"), None;
    /// The resource for which a service says that it calls.
    SourceArn: Some("aws:SourceArn"), None;
    /// The caller's account.
    PrincipalAccount: Some("aws:PrincipalAccount"), None;
    /// The caller's unique id.
    UserId: Some("aws:userid"), None;
    /// The caller's name; of a session, its role's.
    PrincipalArn: Some("aws:PrincipalArn"), Some("acs:PrincipalArn");
    /// The caller's class.
    PrincipalType: Some("aws:PrincipalType"), None;
    /// The name of the user who calls.
    UserName: Some("aws:username"), None;
    /// When the caller's session was issued.
    TokenIssueTime: Some("aws:TokenIssueTime"), None;
    /// Whether the caller's session began with a second factor.
    MfaPresent: Some("aws:MultiFactorAuthPresent"), Some("acs:MFAPresent");
    /// The identity kept along the caller's chain of sessions.
    SourceIdentity: Some("aws:SourceIdentity"), None;
    /// The keys of the tags that the request brings.
    TagKeys: Some("aws:TagKeys"), None;
    /// The service whose role the request is about.
    LinkedService: Some("iam:AWSServiceName"), Some("ram:ServiceName");
    /// The service that a role is handed to.
    PassedToService: Some("iam:PassedToService"), Some("acs:Service");
    /// The managed policy that is attached or detached.
    PolicyArn: Some("iam:PolicyARN"), None;
    /// The boundary that is set, or that the principal has.
    Boundary: Some("iam:PermissionsBoundary"), None;
    /// The name of the session that is asked for.
    SessionName: Some("sts:RoleSessionName"), Some("sts:RoleSessionName");
    /// The third party's secret word.
    ExternalId: Some("sts:ExternalId"), Some("sts:ExternalId");
    /// The source identity that is set.
    SetSourceIdentity: Some("sts:SourceIdentity"), Some("sts:SourceIdentity");
    /// Who issued the token that a role is assumed with. AWS names this key and the next two after the issuer.
    TokenIssuer: None, Some("oidc:iss");
    /// Whom that token speaks of.
    TokenSubject: None, Some("oidc:sub");
    /// For whom that token is.
    TokenAudience: None, Some("oidc:aud");
    /// The keys of the tags that go on along the chain.
    TransitiveTagKeys: Some("sts:TransitiveTagKeys"), None;
}

/// Whose tags a condition key tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagOf {
    /// Those that the request brings.
    Request,
    /// Those of the resource.
    Resource,
    /// Those of the caller.
    Principal,
}

impl TagOf {
    /// What the condition keys of such tags begin with, up to and with the slash.
    pub fn prefixes(self, dialect: Dialect) -> &'static [&'static str] {
        match (dialect, self) {
            (Dialect::Aws, TagOf::Request) => &["aws:RequestTag/"],
            (Dialect::Aws, TagOf::Resource) => &["aws:ResourceTag/", "iam:ResourceTag/"],
            (Dialect::Aws, TagOf::Principal) => &["aws:PrincipalTag/"],
            (Dialect::Alibaba, TagOf::Request) => &["acs:RequestTag/"],
            (Dialect::Alibaba, TagOf::Resource) => &["acs:ResourceTag/"],
            (Dialect::Alibaba, TagOf::Principal) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_key_somewhere_and_no_key_tells_two_facts() {
        for dialect in [Dialect::Aws, Dialect::Alibaba] {
            let keys: Vec<&str> = Fact::ALL.iter().filter_map(|fact| fact.key(dialect)).collect();
            let distinct: std::collections::BTreeSet<&str> = keys.iter().copied().collect();
            assert_eq!(distinct.len(), keys.len(), "{dialect:?}");
        }
        let known =
            |fact: &&Fact| fact.key(Dialect::Aws).is_some() || fact.key(Dialect::Alibaba).is_some();
        assert_eq!(Fact::ALL.iter().filter(known).count(), Fact::ALL.len());
        assert_eq!(Fact::LinkedService.key(Dialect::Alibaba), Some("ram:ServiceName"));
        assert_eq!(Fact::EpochTime.key(Dialect::Alibaba), None);
        assert_eq!(TagOf::Resource.prefixes(Dialect::Alibaba), ["acs:ResourceTag/"]);
    }
}
