//! Every number that bounds something, with its unit. Not here: limits of the wire itself
//! (body sizes, parameters), which live with the listener and the dialects.

use policy::Dialect;

/// Roles an account may hold before an ordinary role is refused (service-linked roles count, and
/// are never refused by it). [src: aws quotas]
pub const ROLES_PER_ACCOUNT: u32 = 1_000;
/// Users of an account.
pub const USERS_PER_ACCOUNT: u32 = 5_000;
/// Groups of an account.
pub const GROUPS_PER_ACCOUNT: usize = 300;
/// Groups that one user is in.
pub const GROUPS_PER_USER: usize = 10;
/// Characters of all inline policies of a group, white space not counted.
pub const GROUP_INLINE_SIZE: usize = 5_120;
/// Providers of identities by OpenID Connect of an account. [src: aws quotas]
pub const OIDC_PROVIDERS_PER_ACCOUNT: usize = 100;
/// Clients of one provider.
pub const CLIENT_IDS_PER_PROVIDER: usize = 50;
/// Pinned certificates of one provider. [src: aws quotas]
pub const FINGERPRINTS_PER_PROVIDER: usize = 5;
/// Customer policies of an account.
pub const POLICIES_PER_ACCOUNT: u32 = 1_500;
/// Versions of one customer policy.
pub const VERSIONS_PER_POLICY: usize = 5;
/// Managed policies attached to one user or role: in the AWS dialect all together, in Alibaba's
/// linkrole's own and the account's own apart. [src: aws quotas; ALIBABA.md 12]
pub fn attached_policies(dialect: Dialect, is_system: bool) -> usize {
    if dialect == Dialect::Alibaba && is_system { 20 } else { 10 }
}
/// Tags of one resource. [src: aws quotas; ALIBABA.md 12]
pub fn tags(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Aws => 50,
        Dialect::Alibaba => 20,
    }
}
/// Access keys of one user, or of an account's root.
pub const ACCESS_KEYS: usize = 2;
/// Characters of a managed policy, white space not counted.
pub const MANAGED_POLICY_SIZE: usize = 6_144;
/// Characters of all inline policies of a role, white space not counted.
pub const ROLE_INLINE_SIZE: usize = 10_240;
/// Characters of all inline policies of a user, white space not counted.
pub const USER_INLINE_SIZE: usize = 2_048;
/// Characters of a trust policy, white space not counted.
pub const TRUST_POLICY_SIZE: usize = 4_096;
/// Characters of a session policy, white space counted.
pub const SESSION_POLICY_SIZE: usize = 2_048;
/// Managed policies named as session policies.
pub const SESSION_POLICY_ARNS: usize = 10;
/// Service-linked roles of one service in one account: the bound on suffixes.
pub const LINKED_ROLES_PER_SERVICE: usize = 200;
/// Open deletion tasks of one account.
pub const OPEN_TASKS_PER_ACCOUNT: usize = 50;
/// Ended deletion tasks of one account; the oldest give way.
pub const ENDED_TASKS_PER_ACCOUNT: usize = 1_000;
/// Usage records of one service-linked role.
pub const USAGES_PER_ROLE: usize = 10_000;
/// Resources named in one failed deletion task; the rest is counted, not named.
pub const USAGES_SHOWN: usize = 100;
/// Roles that one linked service may define.
pub const TEMPLATES_PER_SERVICE: usize = 20;
/// Triggers of one role of a manifest.
pub const TRIGGERS_PER_ROLE: usize = 50;
/// Actions of one trigger.
pub const ACTIONS_PER_TRIGGER: usize = 50;
/// Versions of the permissions of a template that are kept beside those that roles still have.
pub const VERSIONS_PER_TEMPLATE: u32 = 5;
/// Policies that one linked service may offer to its customers.
pub const POLICIES_PER_SERVICE: usize = 20;
/// Roles named where a service cannot be removed for them, and holders where a policy cannot.
pub const ROLES_NAMED: usize = 20;
/// Ceilings of one account.
pub const CEILINGS_PER_ACCOUNT: usize = 100;
/// Regions that one linked service may declare.
pub const REGIONS_PER_SERVICE: usize = 100;

/// How long it is remembered what a principal used, in milliseconds (400 days). [src: the vendor's access advisor]
pub const ACCESS_KEPT_MS: i64 = 400 * 86_400_000;
/// How long a report of the access advisor can be read, in milliseconds (7 days).
pub const REPORT_KEPT_MS: i64 = 7 * 86_400_000;
/// Services of which it is remembered that one principal used them; the one not used for longest gives way.
pub const ACCESS_SERVICES: usize = 200;
/// Actions of one service of which it is remembered that one principal used them.
pub const ACCESS_ACTIONS: usize = 200;
/// Keys and principals whose uses wait in memory to be stored; uses beyond that in one interval are not noted.
pub const ACCESS_NOTED: usize = 100_000;

/// Requests of clients with nonces that are remembered at one time, of all accounts together.
pub const NONCES: usize = 1_000_000;

/// Longest and default life of a role session by default, in seconds.
pub const SESSION_DEFAULT_S: u32 = 3_600;
/// Shortest life of a role session, in seconds.
pub const SESSION_MIN_S: u32 = 900;
/// Longest life a role may grant its sessions, in seconds.
pub const SESSION_MAX_S: u32 = 43_200;
/// Longest life of a session obtained with a session, in seconds.
pub const CHAINED_SESSION_MAX_S: u32 = 3_600;
/// Longest time since the first sign-in of a chain of sessions, in seconds.
pub const CHAIN_AGE_MAX_S: i64 = 43_200;
/// Life of a session with which a service calls onward in its caller's name, in milliseconds.
pub const FORWARD_ACCESS_MS: i64 = 300_000;
/// Default life of a user's session token, in seconds.
pub const SESSION_TOKEN_DEFAULT_S: u32 = 43_200;
/// Longest life of a user's session token, in seconds.
pub const SESSION_TOKEN_MAX_S: u32 = 129_600;
/// Longest life of root's session token, in seconds.
pub const ROOT_SESSION_TOKEN_S: u32 = 3_600;
/// Longest sealed session token, in bytes of its text.
pub const TOKEN_SIZE: usize = 4_096;

/// Time a deletion task has before it must be final, in milliseconds.
pub const TASK_DEADLINE_MS: i64 = 600_000;
/// Time a worker owns a task between two renewals, in milliseconds.
pub const TASK_LEASE_MS: i64 = 30_000;
/// Longest time a role stays fenced, in milliseconds.
pub const FENCE_MS: i64 = 30_000;
/// Fences one task may set.
pub const FENCES_PER_TASK: u32 = 3;
/// Time for which a service is told how a deletion ended, in milliseconds (one day).
pub const NOTICE_MS: i64 = 86_400_000;
/// Bytes of a callback's address.
pub const CALLBACK_URL: usize = 512;
/// Pinned certificates of one address in a manifest.
pub const CERTIFICATE_PINS: usize = 5;
/// Time a final task stays readable, in milliseconds (30 days).
pub const TASK_KEPT_MS: i64 = 30 * 86_400_000;
/// Life of an enrolment token, in milliseconds (one hour).
pub const ENROLMENT_MS: i64 = 3_600_000;
/// Bytes of a subject, audience or name by which a linked service is known. [src: SPIFFE ID, section 2.3]
pub const IDENTITY_NAME: usize = 2_048;
/// Longest session of a linked service that proved itself, in milliseconds.
pub const SERVICE_SESSION_MS: i64 = 3_600_000;
/// The session ledger moves in steps of this many milliseconds, so that it is written about once
/// in that time per role.
pub const LEDGER_STEP_MS: i64 = 60_000;
/// Texts on one page of the exported catalogue, in bytes; the last service of a page may go beyond.
pub const CATALOG_PAGE: usize = 1 << 20;
