//! Reading the parameters of a request: one fault at a time, with the vendor's code for it.

use super::fault::Fault;
use crate::sign_acs::Parameters;
use iam::command::{Paging, PolicyOwner, PolicyTarget, RoleTarget};
use iam::rows::{PermissionsPolicy, TrustPolicy};
use iam::text::*;
use policy::Dialect;
use policy::name::{self, Entity};

/// What a name may hold, beyond letters and digits. [src: ALIBABA.md 9]
#[derive(Clone, Copy)]
pub struct Class {
    /// Longest text, in characters.
    pub max: usize,
    /// Characters beside letters and digits.
    pub marks: &'static str,
}

/// Tags in one request. [src: the vendor's model]
const TAGS: usize = 20;

/// The name of a role that is to be made.
pub const NEW_ROLE: Class = Class { max: 64, marks: ".-" };
/// The name of a role that is looked for; those of services with suffixes have an underscore.
pub const ROLE: Class = Class { max: 64, marks: ".-_" };
/// The name of a user.
pub const USER: Class = Class { max: 64, marks: "._-" };
/// The name of a group.
pub const GROUP: Class = Class { max: 64, marks: "-" };
/// The alias of an account.
pub const ALIAS: Class = Class { max: 32, marks: "-" };
/// The name of a policy.
pub const POLICY: Class = Class { max: 128, marks: "-" };
/// The name of a role session.
pub const SESSION: Class = Class { max: 64, marks: ".@-_" };
/// What follows the name of a service-linked role.
pub const SUFFIX: Class = Class { max: 64, marks: ".-" };

/// The parameters of one request.
#[derive(Clone, Copy)]
pub struct Params<'a>(pub &'a Parameters);

impl<'a> Params<'a> {
    /// A parameter as it is; one that is empty is not there.
    pub fn raw(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that must be there.
    pub fn required(self, name: &str) -> Result<&'a str, Fault> {
        self.raw(name).ok_or_else(|| Fault::missing(name))
    }

    /// A name of a class that must be there.
    pub fn name<T: Text>(self, parameter: &str, class: Class) -> Result<T, Fault> {
        read_name(parameter, self.required(parameter)?, class)
    }

    /// A name of a class that may be there.
    pub fn optional_name<T: Text>(self, parameter: &str, class: Class) -> Result<Option<T>, Fault> {
        self.raw(parameter).map(|text| read_name(parameter, text, class)).transpose()
    }

    /// A text of a type, out of a parameter.
    pub fn read<T: Text>(self, name: &str, text: &str) -> Result<T, Fault> {
        read(name, text)
    }

    /// A text of a type that may be there.
    pub fn text<T: Text>(self, name: &str) -> Result<Option<T>, Fault> {
        self.raw(name).map(|text| read(name, text)).transpose()
    }

    /// A text of a type that must be there.
    pub fn required_text<T: Text>(self, name: &str) -> Result<T, Fault> {
        read(name, self.required(name)?)
    }

    /// A whole number in a range that may be there.
    pub fn number(self, name: &str, min: u32, max: u32) -> Result<Option<u32>, Fault> {
        let Some(text) = self.raw(name) else { return Ok(None) };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && (min..=max).contains(n));
        number.map(Some).ok_or_else(|| Fault::incorrect(name))
    }

    /// A truth value; false unless given.
    pub fn flag(self, name: &str) -> Result<bool, Fault> {
        match self.raw(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(Fault::incorrect(name)),
        }
    }

    /// A page of a listing, by marker.
    pub fn marked(self) -> Result<Paging, Fault> {
        let limit = self.number("MaxItems", 1, 1_000)?.and_then(|n| usize::try_from(n).ok());
        Ok(Paging { marker: self.raw("Marker").map(str::to_owned), limit, page: None })
    }

    /// A page of a listing, by number.
    pub fn numbered(self) -> Result<Paging, Fault> {
        let size = self.number("PageSize", 1, 100)?.unwrap_or(10);
        let page = self.number("PageNumber", 1, u32::MAX)?.unwrap_or(1);
        Ok(Paging {
            marker: None,
            limit: usize::try_from(size).ok(),
            page: usize::try_from(page).ok(),
        })
    }

    /// A page of a listing, by token.
    pub fn tokened(self) -> Result<Paging, Fault> {
        let limit = self.number("PageSize", 1, 100)?.or(self.number("MaxResults", 1, 100)?);
        let limit = limit.and_then(|n| usize::try_from(n).ok());
        Ok(Paging { marker: self.raw("NextToken").map(str::to_owned), limit, page: None })
    }

    /// The texts of a list, written as JSON under its plural or numbered under its singular.
    pub fn names(self, plural: &str, singular: &str) -> Result<Vec<String>, Fault> {
        let listed = match self.raw(plural) {
            Some(text) => {
                serde_json::from_str::<Vec<String>>(text).map_err(|_| Fault::format(plural))?
            }
            None => self.numbered_texts(singular),
        };
        // [src: the vendor's model: up to 50 names]
        if listed.len() > 50 { Err(Fault::length(plural)) } else { Ok(listed) }
    }

    /// `Name.1`, `Name.2`, … up to the first that is not there.
    fn numbered_texts(self, name: &str) -> Vec<String> {
        (1_u32..).map_while(|n| self.raw(&format!("{name}.{n}")).map(str::to_owned)).collect()
    }

    /// Names of a class out of a list.
    pub fn typed<T: Text>(
        self,
        parameter: &str,
        names: &[String],
        class: Class,
    ) -> Result<Vec<T>, Fault> {
        names.iter().map(|text| read_name(parameter, text, class)).collect()
    }

    /// Tags to set, as a JSON list or numbered.
    pub fn tags(self) -> Result<Vec<(TagKey, TagValue)>, Fault> {
        let tags = self.tag_texts()?.into_iter().map(|(key, value)| {
            let value = value.unwrap_or_default();
            Ok((tag_key(&key)?, read("Tag", &value)?))
        });
        tags.collect()
    }

    /// Tags to look for; without a value, any will do.
    pub fn tag_filters(self) -> Result<Vec<(TagKey, Option<TagValue>)>, Fault> {
        let tags = self.tag_texts()?.into_iter().map(|(key, value)| {
            let value = value.map(|value| read("Tag", &value)).transpose()?;
            Ok((tag_key(&key)?, value))
        });
        tags.collect()
    }

    /// Keys of tags to remove.
    pub fn tag_keys(self) -> Result<Vec<TagKey>, Fault> {
        let keys = self.names("TagKeys", "TagKey")?;
        if keys.len() > TAGS {
            return Err(Fault::length("TagKeys"));
        }
        keys.iter().map(|key| tag_key(key)).collect()
    }

    fn tag_texts(self) -> Result<Vec<(String, Option<String>)>, Fault> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Tag {
            key: String,
            value: Option<String>,
        }
        let tags: Vec<(String, Option<String>)> = match self.raw("Tag") {
            Some(text) => {
                let list: Vec<Tag> =
                    serde_json::from_str(text).map_err(|_| Fault::format("Tag"))?;
                list.into_iter().map(|tag| (tag.key, tag.value)).collect()
            }
            None => (1_u32..)
                .map_while(|n| {
                    let key = self.raw(&format!("Tag.{n}.Key"))?.to_owned();
                    Some((key, self.raw(&format!("Tag.{n}.Value")).map(str::to_owned)))
                })
                .collect(),
        };
        if tags.len() > TAGS { Err(Fault::length("Tag")) } else { Ok(tags) }
    }

    /// A permissions policy that must be there.
    pub fn permissions(self, name: &str) -> Result<PermissionsPolicy, Fault> {
        let text = self.required(name)?;
        PermissionsPolicy::parse(text, Dialect::Alibaba).map_err(malformed)
    }

    /// A trust policy that may be there.
    pub fn trust(self, name: &str) -> Result<Option<TrustPolicy>, Fault> {
        let parse = |text| TrustPolicy::parse(text, Dialect::Alibaba).map_err(malformed);
        self.raw(name).map(parse).transpose()
    }

    /// A managed policy, by its name and type; one without a type is the account's.
    pub fn policy(self) -> Result<PolicyTarget, Fault> {
        let owner = match self.raw("PolicyType") {
            None | Some("Custom") => PolicyOwner::Own,
            Some("System") => PolicyOwner::System,
            Some(_) => return Err(Fault::incorrect("PolicyType")),
        };
        self.policy_of(owner)
    }

    /// As [`Params::policy`], where the type must be there.
    pub fn typed_policy(self) -> Result<PolicyTarget, Fault> {
        self.required("PolicyType")?;
        self.policy()
    }

    /// A managed policy of the account, by its name.
    pub fn custom_policy(self) -> Result<PolicyTarget, Fault> {
        self.policy_of(PolicyOwner::Own)
    }

    fn policy_of(self, owner: PolicyOwner) -> Result<PolicyTarget, Fault> {
        named_policy(owner, self.name("PolicyName", POLICY)?)
    }

    /// A managed policy of the account, by a name out of a list.
    pub fn own_policy(self, parameter: &str, text: &str) -> Result<PolicyTarget, Fault> {
        named_policy(PolicyOwner::Own, read_name(parameter, text, POLICY)?)
    }

    /// The number of a policy's version.
    pub fn version(self) -> Result<u32, Fault> {
        let text = self.required("VersionId")?;
        let number = text.strip_prefix('v').and_then(|digits| digits.parse().ok());
        number.filter(|n| format!("v{n}") == text).ok_or_else(|| Fault::format("VersionId"))
    }

    /// A role by its name in full.
    pub fn role_target(self) -> Result<RoleTarget, Fault> {
        let text = self.required("RoleArn")?;
        let wrong = || {
            let message = "The parameter RoleArn is wrongly formed.";
            Fault::new("InvalidParameter.RoleArn", 400, message)
        };
        // Names of roles compare without regard to case: the stored spelling is the only one.
        let stored = name::ram_spelling(text);
        let (text, account, role) = match name::parse_entity(&stored) {
            Some(Entity::Role { account, name, .. }) => (stored, account, name),
            _ => return Err(wrong()),
        };
        let account = AccountId::parse(&account).map_err(|_| wrong())?;
        Ok(RoleTarget { text, account, name: RoleName::parse(&role).map_err(|_| wrong())? })
    }
}

fn read<T: Text>(name: &str, text: &str) -> Result<T, Fault> {
    T::read(text).map_err(|violation| match violation {
        Violation::Shorter(_) | Violation::Longer(_) => Fault::length(name),
        Violation::Pattern(_) => Fault::characters(name),
    })
}

fn read_name<T: Text>(parameter: &str, text: &str, class: Class) -> Result<T, Fault> {
    if text.chars().count() > class.max {
        return Err(Fault::length(parameter));
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || class.marks.contains(c)) {
        return Err(Fault::characters(parameter));
    }
    read(parameter, text)
}

fn named_policy(owner: PolicyOwner, policy: PolicyName) -> Result<PolicyTarget, Fault> {
    let path = Path::parse("/").map_err(|_| Fault::internal())?;
    Ok(PolicyTarget { text: policy.to_string(), owner, path, name: policy })
}

/// [src: the vendor's model: what keys may not be]
fn tag_key(text: &str) -> Result<TagKey, Fault> {
    let reserved = ["aliyun", "acs:"].iter().any(|start| text.starts_with(start));
    if reserved || text.contains("http://") || text.contains("https://") {
        return Err(Fault::format("Tag"));
    }
    read("Tag", text)
}

fn malformed(error: policy::ParseError) -> Fault {
    Fault::new("MalformedPolicyDocument", 400, error.message)
}
