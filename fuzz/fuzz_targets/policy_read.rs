//! Any text as a policy of any kind: reading ends, and what is accepted is kept, compiled and asked without trouble.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::engine::Compiled;
use policy::{Dialect, Document, Named, PolicyKind, PolicySet};
use worlds::{Dice, World, compare, requests};

fuzz_target!(|text: &str| {
    let kinds = [PolicyKind::Identity, PolicyKind::Resource, PolicyKind::Trust, PolicyKind::Scp];
    for dialect in [Dialect::Aws, Dialect::Alibaba] {
        for kind in kinds {
            let _ = policy::check(text, kind);
            let Ok(document) = Document::read(text, kind, dialect) else { continue };
            assert_eq!(document.text(), text);
            let policies = PolicySet {
                identity: vec![Named { name: "p", document: &document }],
                ..PolicySet::default()
            };
            let compiled = Compiled::new(&policies);
            let mut dice = Dice::seeded(text.len() as u64);
            let world = World::draw(&mut dice);
            requests(&world, &mut dice, (4, 2), |request| {
                if let Err(difference) = compare(request, &policies, &compiled) {
                    panic!("{difference}\n{request:#?}\n{text}");
                }
            });
        }
    }
});
