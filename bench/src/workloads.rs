//! The workloads (a) to (d), made from the catalogue, the same in every run.
//!
//! Statements are drawn as teams write them. A drawn statement that would bear on the question is thrown away,
//! so that exactly the statements placed on purpose decide; every other one must be found not to matter.

use crate::catalogue::{ACCOUNT, ALL, REGIONS, Service, TEAMS};
use crate::work::{Ask, Condition, Effect, Policy, Random, Single, Statement, allows, count};

/// How many principals workload (d) has.
pub const PRINCIPALS: usize = 10_000;

/// How many different questions the principals of workload (d) ask.
const ASKS: usize = 64;

fn text(s: &str) -> String {
    s.to_owned()
}

fn equals(key: &str, values: &[&str]) -> Condition {
    Condition { like: false, key: text(key), values: values.iter().map(|v| text(v)).collect() }
}

fn statement(
    effect: Effect,
    actions: &[&str],
    resources: &[&str],
    conditions: Vec<Condition>,
) -> Statement {
    Statement {
        effect,
        actions: actions.iter().map(|a| text(a)).collect(),
        resources: resources.iter().map(|r| text(r)).collect(),
        conditions,
    }
}

/// The context of a request of a team.
fn context(team: &str, region: &str) -> Vec<(String, String)> {
    vec![
        (text("aws:RequestedRegion"), text(region)),
        (text("aws:PrincipalTag/team"), text(team)),
        (text("aws:PrincipalTag/project"), format!("acme-{team}-core")),
        (text("aws:ResourceTag/env"), text("prod")),
        (text("aws:SourceIp"), text("198.51.100.27")),
    ]
}

/// The question of workloads (a) to (c).
fn read_report() -> Ask {
    Ask {
        action: text("s3:GetObject"),
        resource: text("arn:aws:s3:::acme-data-eu/reports/2026/part-0042.parquet"),
        context: context("data-eu", "eu-west-1"),
    }
}

fn fill(template: &str, team: &str, number: usize) -> String {
    template.replace('%', team).replace('#', &number.to_string())
}

/// A pattern for resources of a service.
fn resource(random: &mut Random, service: &Service) -> String {
    let team = *random.pick(&TEAMS);
    let full = fill(service.resource, team, 10 + random.below(90));
    match random.below(20) {
        0..=3 => text("*"),
        4..=10 => full,
        11..=17 => {
            // A prefix that ends behind the team or before the first number.
            let cut = if random.percent(40) { '%' } else { '#' };
            let head = service.resource.split(cut).next().unwrap_or_default();
            let head = fill(head, team, 0);
            if cut == '%' { format!("{head}{team}*") } else { format!("{head}*") }
        }
        _ => fill(&service.resource.replace('%', "*"), team, 10 + random.below(90)),
    }
}

/// A pattern for actions of a service.
fn action(random: &mut Random, service: &Service) -> String {
    let name = *random.pick(&service.actions);
    let is_inner = |(at, c): &(usize, char)| *at > 0 && c.is_ascii_uppercase();
    let first_word = name.char_indices().find(is_inner).map_or(name.len(), |(at, _)| at);
    let last_word = name.char_indices().rfind(is_inner).map_or(0, |(at, _)| at);
    match random.below(20) {
        0..=9 => format!("{}:{name}", service.prefix),
        10..=14 => format!("{}:{}*", service.prefix, &name[..first_word]),
        15..=16 => format!("{}:*", service.prefix),
        17 => format!("{}:{name}*", service.prefix),
        _ => format!("{}:*{}", service.prefix, &name[last_word..]),
    }
}

fn condition(random: &mut Random, service: &Service) -> Condition {
    let team = *random.pick(&TEAMS);
    match random.below(10) {
        0..=3 => {
            let (one, other) = (*random.pick(&REGIONS), *random.pick(&REGIONS));
            let values = if one == other { vec![one] } else { vec![one, other] };
            equals("aws:RequestedRegion", &values)
        }
        4..=6 => equals("aws:PrincipalTag/team", &[team]),
        7 => equals("aws:ResourceTag/env", &[*random.pick(&["dev", "test", "prod"])]),
        8 if service.prefix == "s3" => Condition {
            like: true,
            key: text("s3:prefix"),
            values: vec![format!("{team}/*"), format!("shared/{team}/*")],
        },
        _ => Condition {
            like: true,
            key: text("aws:PrincipalTag/project"),
            values: vec![format!("acme-{team}-*")],
        },
    }
}

/// A statement as a team might write it, about one service.
fn drawn(random: &mut Random, service: &Service) -> Statement {
    let effect = if random.percent(12) { Effect::Deny } else { Effect::Allow };
    let mut actions: Vec<String> = Vec::new();
    for _ in 0..1 + random.below(4) {
        let pattern = action(random, service);
        if !actions.contains(&pattern) {
            actions.push(pattern);
        }
    }
    let mut resources = vec![resource(random, service)];
    if random.percent(25) && resources[0] != "*" {
        let second = resource(random, service);
        if second != "*" && second != resources[0] {
            resources.push(second);
        }
    }
    let mut conditions: Vec<Condition> = Vec::new();
    for percent in [35, 20] {
        if random.percent(percent) {
            let another = condition(random, service);
            if conditions.iter().all(|c| c.key != another.key) {
                conditions.push(another);
            }
        }
    }
    Statement { effect, actions, resources, conditions }
}

/// A drawn statement that bears on none of the questions.
fn idle(random: &mut Random, service: Option<&Service>, asks: &[Ask]) -> Statement {
    loop {
        let any = &ALL[random.below(ALL.len())];
        let drawn = drawn(random, service.unwrap_or(any));
        if !asks.iter().any(|ask| drawn.applies(ask)) {
            return drawn;
        }
    }
}

fn into_policies(statements: Vec<Statement>, per_policy: usize) -> Vec<Policy> {
    let chunks = statements.chunks(per_policy).enumerate();
    chunks
        .map(|(number, chunk)| Policy {
            name: format!("arn:aws:iam::{ACCOUNT}:policy/{}-{number}", TEAMS[number % TEAMS.len()]),
            statements: chunk.to_vec(),
        })
        .collect()
}

/// (a) One policy with three statements, of which the last allows.
pub fn a() -> Single {
    let region = equals("aws:RequestedRegion", &["eu-west-1", "eu-central-1"]);
    let team = equals("aws:PrincipalTag/team", &["data-eu"]);
    let queue = "arn:aws:sqs:eu-west-1:210987654321:data-eu-jobs";
    let statements = vec![
        statement(Effect::Allow, &["sqs:SendMessage", "sqs:ReceiveMessage"], &[queue], vec![]),
        statement(Effect::Allow, &["s3:ListBucket"], &["arn:aws:s3:::acme-data-eu"], vec![region]),
        statement(
            Effect::Allow,
            &["s3:Get*"],
            &["arn:aws:s3:::acme-data-eu/reports/*"],
            vec![team],
        ),
    ];
    Single {
        name: "a",
        about: "1 policy, 3 statements, allowed by the last",
        policies: into_policies(statements, 3),
        ask: read_report(),
        allowed: true,
    }
}

/// (b) Ten policies with ten statements each, of which the very last allows.
pub fn b() -> Single {
    let ask = read_report();
    let mut random = Random(0xb);
    let mut statements: Vec<Statement> = Vec::new();
    while statements.len() < 99 {
        // A fifth is about the asked service, as policies of a data team would be.
        let service = (statements.len() % 5 == 2).then_some(&ALL[0]);
        statements.push(idle(&mut random, service, std::slice::from_ref(&ask)));
    }
    statements.push(statement(
        Effect::Allow,
        &["s3:GetObject*", "s3:List*"],
        &["arn:aws:s3:::acme-data-eu/reports/*", "arn:aws:s3:::acme-data-eu"],
        vec![equals("aws:PrincipalTag/team", &["data-eu", "archive"])],
    ));
    Single {
        name: "b",
        about: "10 policies, 100 statements, allowed by the last",
        policies: into_policies(statements, 10),
        ask,
        allowed: true,
    }
}

/// (c) A hundred policies with twenty statements each; one allows early, the 1,140th denies.
pub fn c() -> Single {
    let ask = read_report();
    let mut random = Random(0xc);
    let asked = ["s3:GetObject", "s3:Get*", "s3:*", "s3:GetObject*", "s3:*Object"];
    let mut statements: Vec<Statement> = Vec::new();
    while statements.len() < 2_000 {
        let number = statements.len();
        let service = (number % 10 == 4).then_some(&ALL[0]);
        let mut next = idle(&mut random, service, std::slice::from_ref(&ask));
        // Every thirtieth names the asked action, on something else or under another condition.
        if number % 30 == 14 {
            next.effect = if number % 120 == 14 { Effect::Deny } else { Effect::Allow };
            next.actions = vec![text(asked[random.below(asked.len())])];
            if number % 90 == 14 {
                next.resources = vec![text("arn:aws:s3:::acme-data-eu/*")];
                next.conditions = vec![equals("aws:PrincipalTag/team", &["ledger", "risk"])];
            } else {
                loop {
                    next.resources = vec![resource(&mut random, &ALL[0])];
                    if !next.applies(&ask) {
                        break;
                    }
                }
            }
        }
        statements.push(next);
    }
    statements[36] = statement(
        Effect::Allow,
        &["s3:GetObject", "s3:ListBucket"],
        &["arn:aws:s3:::acme-data-eu/*", "arn:aws:s3:::acme-data-eu"],
        vec![equals("aws:RequestedRegion", &["eu-west-1", "eu-central-1"])],
    );
    statements[1_139] = statement(
        Effect::Deny,
        &["s3:Get*", "s3:Put*"],
        &["arn:aws:s3:::acme-*/reports/2026/*"],
        vec![equals("aws:ResourceTag/env", &["prod"])],
    );
    Single {
        name: "c",
        about: "100 policies, 2,000 statements, denied by the 1,140th",
        policies: into_policies(statements, 20),
        ask,
        allowed: false,
    }
}

/// A workload of many principals that ask in random order.
pub struct Fleet {
    /// The questions that are asked.
    pub asks: Vec<Ask>,
    /// How many principals there are.
    pub principals: usize,
    /// How many different sets of policies there are; principals take turns with them.
    pub distinct: usize,
}

impl Fleet {
    /// (d), or the same shape with another number of principals and of different sets of policies.
    pub fn new(principals: usize, distinct: usize) -> Fleet {
        let mut random = Random(0xd);
        let mut asks = Vec::new();
        while asks.len() < ASKS {
            let service = &ALL[asks.len() % ALL.len()];
            let team = TEAMS[asks.len() % TEAMS.len()];
            let name = *random.pick(&service.actions);
            let resource = fill(service.resource, team, 1_000 + asks.len());
            asks.push(Ask {
                action: format!("{}:{name}", service.prefix),
                resource,
                context: context(team, REGIONS[asks.len() % REGIONS.len()]),
            });
        }
        Fleet { asks, principals, distinct }
    }

    /// The ARN of a principal.
    pub fn principal(&self, number: usize) -> String {
        let team = TEAMS[number % TEAMS.len()];
        format!("arn:aws:iam::{ACCOUNT}:user/{team}/worker-{:07}", number * 7 % 9_999_991)
    }

    /// The question that a principal may ask.
    pub fn own_ask(&self, number: usize) -> usize {
        number % self.distinct * 31 % self.asks.len()
    }

    /// The five policies of a principal with three statements each; one statement allows its own question.
    pub fn policies(&self, number: usize) -> Vec<Policy> {
        let number = number % self.distinct;
        let mut random = Random(0xd000_0000 + number as u64);
        random.draw();
        let ask = &self.asks[self.own_ask(number)];
        let mut statements = Vec::new();
        while statements.len() < 15 {
            let service = &ALL[random.below(ALL.len())];
            let mut next = drawn(&mut random, service);
            // What is allowed everywhere is left to administrators; and nobody is denied his own question.
            if next.resources[0] == "*"
                && next.effect == Effect::Allow
                && next.conditions.is_empty()
            {
                next.conditions.push(equals("aws:PrincipalTag/team", &[TEAMS[number % 12]]));
            }
            if !next.applies(ask) {
                statements.push(next);
            }
        }
        let cut = ask.resource.len() - 4;
        let service = ask.action.split(':').next().unwrap_or_default();
        let actions = if random.percent(50) {
            vec![ask.action.clone()]
        } else {
            vec![format!("{service}:List*"), format!("{}*", &ask.action[..ask.action.len() - 2])]
        };
        let conditions = if random.percent(35) { vec![ask.context[0].clone()] } else { vec![] };
        let conditions =
            conditions.iter().map(|(key, value)| equals(key, &[value, "us-gov-west-1"])).collect();
        let resources = vec![format!("{}*", &ask.resource[..cut])];
        let place = random.below(15);
        statements[place] = Statement { effect: Effect::Allow, actions, resources, conditions };
        into_policies(statements, 3)
    }

    /// Who asks what, in random order, and whether it is to be allowed; half of it is.
    pub fn schedule(&self, length: usize) -> Schedule {
        let mut random = Random(0x5eed);
        let mut schedule = Schedule::default();
        let mut allowed = 0;
        while schedule.turns.len() < length {
            let number = random.below(self.principals);
            let wanted = allowed * 2 <= schedule.turns.len();
            let own = self.own_ask(number);
            let ask = if wanted {
                own
            } else if random.percent(50) {
                random.below(self.asks.len())
            } else {
                // About the same service, so that the refusal is not found by the service alone.
                if own + ALL.len() < ASKS { own + ALL.len() } else { own - ALL.len() }
            };
            if allows(&self.policies(number), &self.asks[ask]) != wanted {
                continue;
            }
            allowed += usize::from(wanted);
            let start = schedule.texts.len() as u32;
            schedule.texts.push_str(&self.principal(number));
            schedule.turns.push(Turn {
                start,
                end: schedule.texts.len() as u32,
                ask: ask as u32,
                allowed: wanted,
            });
        }
        schedule
    }
}

/// One question of one principal.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    start: u32,
    end: u32,
    /// The number of the question.
    pub ask: u32,
    /// Whether it is to be allowed.
    pub allowed: bool,
}

/// Who asks what. The ARNs lie in the order in which they are needed, as texts that have just been received.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    texts: String,
    /// The questions in their order.
    pub turns: Vec<Turn>,
}

impl Schedule {
    /// The ARN of the principal who asks.
    #[inline]
    pub fn principal(&self, turn: &Turn) -> &str {
        &self.texts[turn.start as usize..turn.end as usize]
    }
}

/// What a workload is like, to be printed beside its figures.
pub fn profile(single: &Single) -> String {
    let statements = || single.policies.iter().flat_map(|policy| &policy.statements);
    let service = single.ask.action.split(':').next().unwrap_or_default();
    let shares = statements().filter(|s| s.actions.iter().any(|a| a.starts_with(service))).count();
    let fits = statements().filter(|s| s.fits_action(&single.ask)).count();
    let conditions = statements().filter(|s| !s.conditions.is_empty()).count();
    let total = count(&single.policies);
    format!(
        "{total} statements, {shares} about the asked service, {fits} whose action fits, {conditions} with conditions"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workloads_are_what_they_are_said_to_be() {
        for single in [a(), b(), c()] {
            assert_eq!(allows(&single.policies, &single.ask), single.allowed, "{}", single.name);
        }
        assert_eq!((a().statements(), b().statements(), c().statements()), (3, 100, 2_000));
        let c = c();
        let statements: Vec<&Statement> = c.policies.iter().flat_map(|p| &p.statements).collect();
        let applying: Vec<usize> = (0..2_000).filter(|n| statements[*n].applies(&c.ask)).collect();
        assert_eq!(applying, [36, 1_139]);
        let about = |s: &&&Statement| s.actions.iter().any(|a| a.starts_with("s3:"));
        assert!(statements.iter().filter(about).count() >= 150);
        assert!(statements.iter().filter(|s| s.fits_action(&c.ask)).count() >= 40);
    }

    #[test]
    fn every_principal_may_ask_its_own_question() {
        let fleet = Fleet::new(500, 500);
        for number in 0..500 {
            let policies = fleet.policies(number);
            assert_eq!(count(&policies), 15);
            assert!(allows(&policies, &fleet.asks[fleet.own_ask(number)]), "{number}");
        }
    }
}
