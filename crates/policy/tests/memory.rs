//! What compiled policies take of memory, counted by the allocator.
#![expect(clippy::expect_used, reason = "tests may fail loudly")]

use std::sync::{Arc, Mutex};

use policy::engine::{Layers, Set};
use policy::{Context, Dialect, Document, Named, PolicyKind, Principal, PrincipalKind, Request};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The allocator counts for the whole process, so one test counts at a time.
static COUNTING: Mutex<()> = Mutex::new(());

/// The length of a document of one statement, and the bytes that live once it is compiled.
fn compiled(count: usize) -> (usize, usize) {
    let list = |make: &dyn Fn(usize) -> String| -> String {
        (0..count).map(|n| format!("\"{}\"", make(n))).collect::<Vec<_>>().join(",")
    };
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{}],"Resource":[{}]}}]}}"#,
        list(&|n| format!("s3:*{n}*a")),
        list(&|n| format!("arn:aws:s3:::*{n}*b"))
    );
    let document = Document::parse(&text, PolicyKind::Identity, Dialect::Aws).expect("a document");
    let region = Region::new(ALLOCATOR);
    let set = Set::new(&[Named { name: "p", document: &document }]);
    let change = region.change();
    drop(set);
    let living = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    (text.len(), living)
}

#[test]
fn atk_b11_the_largest_policies_stay_small_when_compiled() {
    let _alone = COUNTING.lock();
    let ((small_text, small), (large_text, large)) = (compiled(250), compiled(1_000));
    assert!(large_text > 3 * small_text);
    // What is compiled grows with the text, not with the product of the lists.
    assert!(large < 5 * small, "{small} then {large} bytes");
    assert!(large < 20 * large_text, "{large} bytes for {large_text} of text");
}

/// A set of 300 statements about every action of a service, and the length of their text.
fn wide() -> (usize, Arc<Set>) {
    let statement = |n: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::{n}-a","arn:aws:s3:::{n}-b/*"]}}"#
        )
    };
    let list: Vec<String> = (0..300).map(statement).collect();
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, list.join(","));
    let document = Document::read(&text, PolicyKind::Identity, Dialect::Aws).expect("a document");
    (text.len(), Arc::new(Set::new(&[Named { name: "p", document: &document }])))
}

#[test]
fn atk_b11_asking_for_ever_other_actions_takes_no_memory_without_end() {
    let _alone = COUNTING.lock();
    let (length, set) = wide();
    let identity = [set];
    let layers = Layers { identity: &identity, ..Layers::default() };
    let mut request = Request {
        dialect: Dialect::Aws,
        action: String::new(),
        resource: "arn:aws:s3:::299-b/key".to_owned(),
        wildcard_only: false,
        resource_account: None,
        principal: Principal {
            account: Some("111122223333".to_owned()),
            ..Principal::new(PrincipalKind::User)
        },
        context: Context::new(),
    };
    let mut ask = |action: String| {
        request.action = action;
        layers.verdict(&request).reason.map(|reason| reason.statement)
    };
    let region = Region::new(ALLOCATOR);
    for number in 0..5_000 {
        assert_eq!(ask(format!("s3:Get{number}")), Some(299), "{number}");
        assert_eq!(ask(format!("ec2:Get{number}")), None, "{number}");
    }
    let change = region.change();
    let living = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    assert!(living > 0, "what is asked for is kept");
    assert!(living < 20 * length, "{living} bytes for {length} of text");
    // What is known is not worked out again, and what finds no room takes none.
    let region = Region::new(ALLOCATOR);
    for action in ["s3:Get0", "s3:Get4999"] {
        let own = action.len();
        assert_eq!(ask(action.to_owned()), Some(299));
        assert!(region.change().bytes_allocated < 10 * own, "{action}");
    }
}
