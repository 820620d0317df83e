//! The way to a new role, in five steps with an address each: trusted service, use case, permissions, name, review.
//!
//! What was chosen travels in the addresses, so that going back is the browser's own, and is checked at each step
//! and once more when the role is made.

use super::desk::Desk;
use super::page::{Frame, Refusal, encoded, page, read, see, set_out};
use super::roles::{link, longest, named, trust};
use askama::Template;
use iam::command::{Command, Paging, PolicyScope, PolicyTarget};
use iam::output::{Output, PolicyView, TrustView};
use iam::rows::{Service, SuffixRule, Template as RoleTemplate, TrustPolicy};
use iam::text::{Description, Path, RoleName, Suffix};
use policy::Dialect;
use std::sync::Arc;
use store::Store;
use wire::http::Response;

/// Policies asked for at a time.
const POLICIES: usize = 1_000;
const STEPS: [&str; 5] = ["service", "use-case", "permissions", "name", "review"];
/// What a step takes, and later ones keep.
const FIELDS: [&str; 7] = ["service", "use", "policy", "boundary", "role", "suffix", "description"];
/// The use cases besides the service's own roles: any policies, and those that the service offers.
const ANY: &str = "any-permissions";
const OFFERED: &str = "offered-permissions";

/// What a role is made of, as far as it is chosen.
enum Kind {
    /// A service's own role, with the permissions that the service says.
    Linked(Box<RoleTemplate>),
    /// The account's role, which the service may assume.
    Own {
        /// Whether only policies that the service offers are to choose from.
        limited: bool,
    },
}

struct Chosen {
    service: Arc<Service>,
    kind: Option<Kind>,
}

/// A service to choose.
struct ServiceChoice {
    name: String,
    display_name: String,
}

/// A use case to choose.
struct UseCase {
    value: String,
    title: String,
    says: String,
    chosen: bool,
}

/// A policy to choose.
struct PolicyChoice {
    arn: String,
    name: String,
    description: String,
    is_system: bool,
    chosen: bool,
}

/// A policy that may be a boundary.
struct Boundary {
    arn: String,
    name: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "console/create.html")]
struct Step {
    frame: Frame,
    step: &'static str,
    number: usize,
    next: &'static str,
    back: String,
    kept: Vec<(String, String)>,
    service: String,
    display_name: String,
    services: Vec<ServiceChoice>,
    uses: Vec<UseCase>,
    is_linked: bool,
    limited: bool,
    policy: String,
    document: String,
    policies: Vec<PolicyChoice>,
    /// Where the account's language has such: roles of RAM have no boundary.
    boundaries: Vec<Boundary>,
    longest: usize,
    chosen_policies: Vec<String>,
    boundary: String,
    role: String,
    role_name: String,
    takes_suffix: bool,
    takes_description: bool,
    suffix: String,
    description: String,
    trust: String,
    command: String,
    terraform: String,
}

/// One step, after those before it hold.
pub async fn step<S: Store>(desk: &Desk<'_, S>, name: &str) -> Result<Response, Refusal> {
    let number = STEPS.iter().position(|known| *known == name).ok_or(Refusal::NotFound)?;
    match filled(desk, number).await {
        Ok(step) => Ok(page(200, &step)),
        Err(Refusal::Invalid(wrong)) => back_to(desk, number, wrong).await,
        Err(other) => Err(other),
    }
}

/// What does not do is said where it was filled in: at the last step that can be shown.
async fn back_to<S: Store>(
    desk: &Desk<'_, S>,
    number: usize,
    wrong: String,
) -> Result<Response, Refusal> {
    let mut wrong = wrong;
    for number in (0..number).rev() {
        match filled(desk, number).await {
            Ok(mut step) => {
                step.frame.wrong = Some(wrong);
                return Ok(page(400, &step));
            }
            Err(Refusal::Invalid(earlier)) => wrong = earlier,
            Err(other) => return Err(other),
        }
    }
    Err(Refusal::Invalid(wrong))
}

/// A step with what it shows.
///
/// Errors: `Invalid` for what a step before it took.
async fn filled<S: Store>(desk: &Desk<'_, S>, number: usize) -> Result<Step, Refusal> {
    let mut step = empty(desk, number).await;
    if number == 0 {
        step.services = services(desk).await?;
        return Ok(step);
    }
    let chosen = chosen(desk, number).await?;
    step.service = chosen.service.name.to_string();
    step.display_name = chosen.service.display_name.clone();
    if number == 1 {
        step.uses = use_cases(desk, &chosen.service);
        return Ok(step);
    }
    let kind = chosen.kind.ok_or_else(|| Refusal::Invalid("Choose a use case.".to_owned()))?;
    match &kind {
        Kind::Linked(template) => linked(desk, template, &mut step, number).await?,
        Kind::Own { limited } => own(desk, &chosen.service, *limited, &mut step, number).await?,
    }
    Ok(step)
}

async fn empty<S: Store>(desk: &Desk<'_, S>, number: usize) -> Step {
    let form = &desk.form;
    let of_step = |at: usize| STEPS.get(at).copied().unwrap_or_default();
    let kept: Vec<(String, String)> = form
        .0
        .iter()
        .filter(|(name, value)| {
            FIELDS.contains(&name.as_str())
                && !value.is_empty()
                && !asked_at(number).contains(&name.as_str())
        })
        .cloned()
        .collect();
    let back = match number {
        0 => String::new(),
        _ => {
            let all = form.0.iter().filter(|(name, _)| FIELDS.contains(&name.as_str()));
            let all: Vec<String> =
                all.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            format!("/console/create-role/{}?{}", of_step(number - 1), all.join("&"))
        }
    };
    Step {
        frame: desk.frame("Create role", "roles").await,
        step: of_step(number),
        number: number + 1,
        next: of_step(number + 1),
        back,
        kept,
        service: form.text("service").to_owned(),
        display_name: String::new(),
        services: Vec::new(),
        uses: Vec::new(),
        is_linked: false,
        limited: false,
        policy: String::new(),
        document: String::new(),
        policies: Vec::new(),
        boundaries: Vec::new(),
        longest: longest(desk.dialect),
        chosen_policies: form.all("policy"),
        boundary: form.text("boundary").to_owned(),
        role: form.text("role").trim().to_owned(),
        role_name: String::new(),
        takes_suffix: false,
        takes_description: true,
        suffix: form.text("suffix").trim().to_owned(),
        description: form.text("description").replace("\r\n", "\n"),
        trust: String::new(),
        command: String::new(),
        terraform: String::new(),
    }
}

/// The fields that a step asks for itself.
fn asked_at(number: usize) -> &'static [&'static str] {
    match number {
        0 => &["service"],
        1 => &["use"],
        2 => &["policy", "boundary"],
        3 => &["role", "suffix", "description"],
        _ => &[],
    }
}

async fn services<S: Store>(desk: &Desk<'_, S>) -> Result<Vec<ServiceChoice>, Refusal> {
    let command = Command::GetServiceLinkedRoleTemplate { principal: None };
    let Output::Templates(all) = desk.ask(command).await? else { return Err(Refusal::NotFound) };
    let mut found: Vec<ServiceChoice> = all
        .iter()
        .map(|(service, _)| ServiceChoice {
            name: service.name.to_string(),
            display_name: service.display_name.clone(),
        })
        .collect();
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

/// What was chosen before a step.
async fn chosen<S: Store>(desk: &Desk<'_, S>, number: usize) -> Result<Chosen, Refusal> {
    let name = desk.form.text("service").trim();
    let unknown =
        || Refusal::Invalid(format!("There is no service `{name}`. Choose one of the list."));
    let found = desk.ask(Command::GetService { service: name.to_owned() }).await;
    let service = match found {
        Ok(Output::Service(service)) => service,
        Ok(_) | Err(Refusal::Told(400 | 404, ..)) => return Err(unknown()),
        Err(other) => return Err(other),
    };
    let kind = match desk.form.text("use") {
        _ if number < 2 => None,
        "" => None,
        ANY => Some(Kind::Own { limited: false }),
        OFFERED => Some(Kind::Own { limited: true }),
        principal => {
            let templates = service.templates.values();
            let found = templates
                .filter(|template| template.is_offered_in(desk.dialect))
                .find(|template| template.principal.as_str() == principal);
            let found = found.ok_or_else(|| Refusal::Invalid("Choose a use case.".to_owned()))?;
            Some(Kind::Linked(Box::new(found.clone())))
        }
    };
    Ok(Chosen { service, kind })
}

fn use_cases<S: Store>(desk: &Desk<'_, S>, service: &Service) -> Vec<UseCase> {
    let picked = desk.form.text("use");
    let mut all: Vec<UseCase> = service
        .templates
        .values()
        .filter(|template| template.is_offered_in(desk.dialect))
        .map(|template| UseCase {
            value: template.principal.to_string(),
            title: template.role_name(desk.dialect),
            says: format!(
                "A service-linked role for {}: the service defines its permissions, and nobody else uses it.",
                template.principal
            ),
            chosen: template.principal.as_str() == picked,
        })
        .collect();
    let offers = service.policies.values().any(|p| p.documents.of(desk.dialect).is_some());
    if offers {
        all.push(UseCase {
            value: OFFERED.to_owned(),
            title: "A role of this account, with policies of the service".to_owned(),
            says: format!(
                "{} may assume it; you choose among the policies that it offers.",
                service.name
            ),
            chosen: picked == OFFERED,
        });
    }
    all.push(UseCase {
        value: ANY.to_owned(),
        title: "A role of this account, with policies of your choice".to_owned(),
        says: format!(
            "{} may assume it; you choose what it may do, and can change or delete it at any time.",
            service.name
        ),
        chosen: picked == ANY,
    });
    all
}

/// The steps to a service-linked role.
async fn linked<S: Store>(
    desk: &Desk<'_, S>,
    template: &RoleTemplate,
    step: &mut Step,
    number: usize,
) -> Result<(), Refusal> {
    step.is_linked = true;
    step.policy = template.policy.to_string();
    let document = template.versions.get(&template.version).and_then(|all| all.of(desk.dialect));
    step.document = document.map_or(String::new(), |document| set_out(document.text()));
    step.takes_suffix = template.suffix == SuffixRule::Optional;
    step.takes_description = desk.dialect == Dialect::Aws || step.takes_suffix;
    step.role_name = template.role_name(desk.dialect);
    if number < 4 {
        return Ok(());
    }
    let suffix: Option<Suffix> = desk.form.optional("suffix", "Suffix")?;
    description(desk.dialect, &step.description)?;
    let command = Command::PreviewServiceLinkedRole {
        principal: template.principal.to_string(),
        suffix: suffix.clone(),
    };
    let view = match desk.ask(command).await {
        Ok(Output::Preview(view)) => view,
        Ok(_) => return Err(Refusal::NotFound),
        Err(Refusal::Told(400, _, message)) => return Err(Refusal::Invalid(message)),
        Err(other) => return Err(other),
    };
    if let Some(suffix) = &suffix {
        step.role_name = format!("{}_{suffix}", step.role_name);
    }
    if view.exists {
        let name = &step.role_name;
        return Err(Refusal::Invalid(format!(
            "There is a role {name} already. Choose another suffix, or use that role."
        )));
    }
    step.trust = set_out(&trust(&TrustView::Linked(template.principal.clone()), desk.dialect));
    (step.command, step.terraform) =
        equivalents(desk.dialect, template.principal.as_str(), suffix.as_ref(), &step.description);
    Ok(())
}

/// The steps to a role of the account's own.
async fn own<S: Store>(
    desk: &Desk<'_, S>,
    service: &Service,
    limited: bool,
    step: &mut Step,
    number: usize,
) -> Result<(), Refusal> {
    step.limited = limited;
    let all = policies(desk).await?;
    let offered = |view: &PolicyView| {
        !limited || (view.is_system && service.policies.contains_key(&view.name))
    };
    let known = |arn: &String| all.iter().any(|view| view.arn == *arn && offered(view));
    if number > 2 && !step.chosen_policies.iter().all(known) {
        return Err(Refusal::Invalid("A chosen policy is not one of the list.".to_owned()));
    }
    if desk.dialect == Dialect::Aws {
        let boundary = |view: &PolicyView| Boundary {
            arn: view.arn.clone(),
            name: view.name.to_string(),
            chosen: view.arn == step.boundary,
        };
        step.boundaries = all.iter().map(boundary).collect();
    }
    if !step.boundary.is_empty() && !step.boundaries.iter().any(|one| one.chosen) {
        let wrong = "The permissions boundary is not one that a role here can have.";
        return Err(Refusal::Invalid(wrong.to_owned()));
    }
    step.policies = all
        .iter()
        .filter(|view| offered(view))
        .map(|view| PolicyChoice {
            arn: view.arn.clone(),
            name: view.name.to_string(),
            description: view.description.as_ref().map_or("", Description::as_str).to_owned(),
            is_system: view.is_system,
            chosen: step.chosen_policies.contains(&view.arn),
        })
        .collect();
    if number < 4 {
        return Ok(());
    }
    let role: RoleName = read(&step.role, "Role name")?;
    if iam::linked::is_reserved_name(&role) {
        return Err(Refusal::Invalid(format!(
            "{role}: names like this are those of service-linked roles."
        )));
    }
    description(desk.dialect, &step.description)?;
    step.role_name = role.to_string();
    let text = trust(&TrustView::Linked(service.name.clone()), desk.dialect);
    (step.command, step.terraform) = own_equivalents(desk.dialect, step, &text);
    step.trust = set_out(&text);
    Ok(())
}

async fn policies<S: Store>(desk: &Desk<'_, S>) -> Result<Vec<PolicyView>, Refusal> {
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let paging = Paging { limit: Some(POLICIES), marker, page: None };
        let command = Command::ListPolicies {
            scope: PolicyScope::All,
            attached_only: false,
            prefix: String::new(),
            with: Vec::new(),
            paging,
        };
        let Output::Policies(found) = desk.ask(command).await? else {
            return Err(Refusal::NotFound);
        };
        all.extend(found.items.into_iter().filter(|view| view.attachable));
        marker = found.next;
        if marker.is_none() {
            return Ok(all);
        }
    }
}

fn description(dialect: Dialect, text: &str) -> Result<Option<Description>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    if dialect == Dialect::Aws && iam::text::LATIN_DESCRIPTION.check(text).is_err() {
        let wrong = "Description: expected at most 1000 characters of Latin script.";
        return Err(Refusal::Invalid(wrong.to_owned()));
    }
    read(text, "Description").map(Some)
}

/// Makes the role.
pub async fn create<S: Store>(desk: &Desk<'_, S>) -> Result<Response, Refusal> {
    let last = STEPS.len() - 1;
    let step = match filled(desk, last).await {
        Ok(step) => step,
        Err(Refusal::Invalid(_)) => return step(desk, "review").await,
        Err(other) => return Err(other),
    };
    let made = match step.is_linked {
        true => make_linked(desk, &step).await,
        false => make_own(desk, &step).await,
    };
    match made {
        Ok(()) => {
            desk.say(format!("The role {} is made.", step.role_name));
            Ok(see(&link(&step.role_name)))
        }
        Err(Refusal::Told(status, code, message)) => {
            let mut step = step;
            step.frame.wrong = Some(format!("{code}: {message}"));
            Ok(page(status, &step))
        }
        Err(other) => Err(other),
    }
}

async fn make_linked<S: Store>(desk: &Desk<'_, S>, step: &Step) -> Result<(), Refusal> {
    let description = match step.takes_description {
        true => description(desk.dialect, &step.description)?,
        false => None,
    };
    let command = Command::CreateServiceLinkedRole {
        principal: desk.form.text("use").to_owned(),
        suffix: desk.form.optional("suffix", "Suffix")?,
        description,
    };
    desk.ask(command).await.map(drop)
}

/// A role with all of its policies, or none.
async fn make_own<S: Store>(desk: &Desk<'_, S>, step: &Step) -> Result<(), Refusal> {
    let role: RoleName = read(&step.role, "Role name")?;
    let all = policies(desk).await?;
    let target = |arn: &str| -> Option<PolicyTarget> {
        let view = all.iter().find(|view| view.arn == arn)?;
        Some(named(&view.arn, view.is_system, view.path.clone(), view.name.clone()))
    };
    let trust = TrustPolicy::parse(&step.trust, desk.dialect)
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
    desk.ask(Command::CreateRole {
        role: role.clone(),
        path: Path::root(),
        trust,
        description: description(desk.dialect, &step.description)?,
        max_session_s: None,
        boundary: target(&step.boundary),
        tags: Vec::new(),
    })
    .await?;
    let mut attached: Vec<PolicyTarget> = Vec::new();
    for policy in step.chosen_policies.iter().filter_map(|arn| target(arn)) {
        let command = Command::AttachRolePolicy { role: role.clone(), policy: policy.clone() };
        let Err(refusal) = desk.ask(command).await else {
            attached.push(policy);
            continue;
        };
        for policy in attached {
            let _ = desk.ask(Command::DetachRolePolicy { role: role.clone(), policy }).await;
        }
        let gone = desk.ask(Command::DeleteRole { role: role.clone() }).await.is_ok();
        return Err(match (refusal, gone) {
            (Refusal::Told(status, code, message), false) => {
                let more =
                    format!("{message} The role {role} is made, without all of its policies.");
                Refusal::Told(status, code, more)
            }
            (refusal, _) => refusal,
        });
    }
    Ok(())
}

/// An argument of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@=,+".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// An option with its value, which may look like an option itself.
fn given(option: &str, text: &str) -> String {
    let between = if text.starts_with('-') { '=' } else { ' ' };
    format!("{option}{between}{}", quoted(text))
}

/// A text of Terraform's language.
fn hcl(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}

/// The same as a command line, and as Terraform writes it.
fn equivalents(
    dialect: Dialect,
    principal: &str,
    suffix: Option<&Suffix>,
    description: &str,
) -> (String, String) {
    let (program, service, custom, about) = match dialect {
        Dialect::Aws => (
            "aws iam create-service-linked-role",
            "--aws-service-name",
            "--custom-suffix",
            "--description",
        ),
        Dialect::Alibaba => (
            "aliyun resourcemanager CreateServiceLinkedRole",
            "--ServiceName",
            "--CustomSuffix",
            "--Description",
        ),
    };
    let mut command = format!("{program} {service} {}", quoted(principal));
    let (kind, name) = match dialect {
        Dialect::Aws => ("aws_iam_service_linked_role", "aws_service_name"),
        Dialect::Alibaba => ("alicloud_resource_manager_service_linked_role", "service_name"),
    };
    let mut terraform = format!("resource \"{kind}\" \"this\" {{\n  {name} = {}\n", hcl(principal));
    let optional = [
        (suffix.map(Suffix::as_str), custom, "custom_suffix"),
        (Some(description).filter(|text| !text.is_empty()), about, "description"),
    ];
    for (text, argument, member) in optional {
        if let Some(text) = text {
            command.push_str(&format!(" {}", given(argument, text)));
            terraform.push_str(&format!("  {member} = {}\n", hcl(text)));
        }
    }
    terraform.push('}');
    (command, terraform)
}

fn own_equivalents(dialect: Dialect, step: &Step, trust: &str) -> (String, String) {
    let (role, attached) = (quoted(&step.role_name), &step.chosen_policies);
    let mut lines = Vec::new();
    let mut terraform;
    match dialect {
        Dialect::Aws => {
            let mut create = format!(
                "aws iam create-role --role-name {role} --assume-role-policy-document {}",
                quoted(trust)
            );
            terraform = format!(
                "resource \"aws_iam_role\" \"this\" {{\n  name               = {}\n  assume_role_policy = {}\n",
                hcl(&step.role_name),
                hcl(trust)
            );
            if !step.description.is_empty() {
                create.push_str(&format!(" {}", given("--description", &step.description)));
                terraform.push_str(&format!("  description        = {}\n", hcl(&step.description)));
            }
            if !step.boundary.is_empty() {
                create.push_str(&format!(" --permissions-boundary {}", quoted(&step.boundary)));
                terraform.push_str(&format!("  permissions_boundary = {}\n", hcl(&step.boundary)));
            }
            terraform.push('}');
            lines.push(create);
            for (number, arn) in attached.iter().enumerate() {
                lines.push(format!(
                    "aws iam attach-role-policy --role-name {role} --policy-arn {}",
                    quoted(arn)
                ));
                terraform.push_str(&format!(
                    "\nresource \"aws_iam_role_policy_attachment\" \"policy{number}\" {{\n  role       = aws_iam_role.this.name\n  policy_arn = {}\n}}",
                    hcl(arn)
                ));
            }
        }
        Dialect::Alibaba => {
            let mut create = format!(
                "aliyun ram CreateRole --RoleName {role} --AssumeRolePolicyDocument {}",
                quoted(trust)
            );
            terraform = format!(
                "resource \"alicloud_ram_role\" \"this\" {{\n  name     = {}\n  document = {}\n",
                hcl(&step.role_name),
                hcl(trust)
            );
            if !step.description.is_empty() {
                create.push_str(&format!(" {}", given("--Description", &step.description)));
                terraform.push_str(&format!("  description = {}\n", hcl(&step.description)));
            }
            terraform.push('}');
            lines.push(create);
            for (number, choice) in step.policies.iter().filter(|p| p.chosen).enumerate() {
                let kind = if choice.is_system { "System" } else { "Custom" };
                lines.push(format!("aliyun ram AttachPolicyToRole --RoleName {role} --PolicyType {kind} --PolicyName {}", quoted(&choice.name)));
                terraform.push_str(&format!(
                    "\nresource \"alicloud_ram_role_policy_attachment\" \"policy{number}\" {{\n  role_name   = alicloud_ram_role.this.name\n  policy_type = \"{kind}\"\n  policy_name = {}\n}}",
                    hcl(&choice.name)
                ));
            }
        }
    }
    (lines.join("\n"), terraform)
}
