//! What compiled policies take of memory, counted by the allocator.
#![expect(clippy::expect_used, reason = "tests may fail loudly")]

use policy::engine::Set;
use policy::{Dialect, Document, Named, PolicyKind};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
    let ((small_text, small), (large_text, large)) = (compiled(250), compiled(1_000));
    assert!(large_text > 3 * small_text);
    // What is compiled grows with the text, not with the product of the lists.
    assert!(large < 5 * small, "{small} then {large} bytes");
    assert!(large < 20 * large_text, "{large} bytes for {large_text} of text");
}
