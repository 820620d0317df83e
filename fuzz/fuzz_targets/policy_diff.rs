//! Worlds from the fuzzer's bytes: both evaluators must say the same of every request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::engine::Compiled;
use worlds::{Dice, World, compare, requests};

fuzz_target!(|bytes: &[u8]| {
    let mut dice = Dice::from_bytes(bytes);
    let world = World::draw(&mut dice);
    let policies = world.policies();
    let compiled = Compiled::new(&policies);
    requests(&world, &mut dice, (4, 4), |request| {
        if let Err(difference) = compare(request, &policies, &compiled) {
            panic!("{difference}\n{request:#?}\n{}", world.texts());
        }
    });
});
