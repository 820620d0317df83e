//! Condition keys: the global ones by number, all others by their folded name.
//!
//! The keys that every request may have are known here, so that looking one up costs an array access; keys of
//! tags and of single services are found by name. Names of keys compare without regard to case.

/// Every key that requests of any service may have, folded and sorted.
///
/// Left out are families with a name after a slash, as `aws:PrincipalTag/` has them. [src: AWS global
/// condition context keys; POLICY.md 3.6]
const GLOBAL: [&str; 60] = [
    "acs:currenttime",
    "acs:mfapresent",
    "acs:principalarn",
    "acs:principalrdid",
    "acs:principalrdpath",
    "acs:securetransport",
    "acs:service",
    "acs:sourceip",
    "acs:sourcevpc",
    "aws:assumedroot",
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:chatbotsourcearn",
    "aws:currenttime",
    "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:ismcpserviceaction",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceidentity",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tagkeys",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:userid",
    "aws:username",
    "aws:viaawsmcpservice",
    "aws:viaawsservice",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "aws:vpcsourceip",
    "iam:awsservicename",
    "iam:passedtoservice",
    "ram:servicename",
];

/// How many keys have a number.
pub(crate) const GLOBAL_COUNT: usize = GLOBAL.len();

/// A condition key, ready to be looked up in a context.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Key {
    /// One of the keys known here, by its number.
    Global(u8),
    /// Any other key, by its folded name.
    Named(Name),
}

/// The folded name of a key that has no number, with a hash of it.
///
/// The hash only tells names apart quickly; that names are the same is always seen from their texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Name {
    folded: Box<str>,
    hash: u64,
}

impl Name {
    fn new(folded: String) -> Name {
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = folded.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        Name { folded: folded.into_boxed_str(), hash }
    }

    /// A name with a hash that it does not have, to see what collisions do.
    #[cfg(test)]
    pub(crate) fn colliding(folded: &str, hash: u64) -> Name {
        Name { folded: folded.into(), hash }
    }

    /// The hash of the name.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl Key {
    /// The key of a name in any case.
    pub fn new(name: &str) -> Key {
        let folded = name.to_lowercase();
        match GLOBAL.binary_search(&folded.as_str()) {
            Ok(number) => Key::Global(u8::try_from(number).unwrap_or_default()),
            Err(_) => Key::Named(Name::new(folded)),
        }
    }

    /// The folded name.
    pub fn folded(&self) -> &str {
        match self {
            Key::Global(number) => GLOBAL.get(usize::from(*number)).copied().unwrap_or_default(),
            Key::Named(name) => &name.folded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_folded_and_small_enough_for_its_numbers() {
        assert!(GLOBAL.is_sorted_by(|a, b| a < b));
        assert!(GLOBAL.iter().all(|name| name.to_lowercase() == *name));
        assert!(u8::try_from(GLOBAL_COUNT).is_ok_and(|count| count < u8::MAX));
    }

    #[test]
    fn names_differ_in_their_hashes() {
        let hashes: std::collections::BTreeSet<u64> =
            GLOBAL.iter().map(|name| Name::new((*name).to_owned()).hash()).collect();
        assert_eq!(hashes.len(), GLOBAL.len());
    }

    #[test]
    fn every_spelling_of_a_key_is_one_key() {
        assert_eq!(Key::new("aws:SourceIp"), Key::new("AWS:sourceIP"));
        assert_eq!(Key::new("aws:SourceIp").folded(), "aws:sourceip");
        assert_eq!(
            Key::new("aws:PrincipalTag/Team"),
            Key::Named(Name::new("aws:principaltag/team".to_owned()))
        );
    }
}
