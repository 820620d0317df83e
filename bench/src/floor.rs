//! The floor: what any decision must do at least, whatever the policies are.
//!
//! The asked action is folded, hashed and looked up among the known ones, and one literal ARN prefix is compared.
//! With many principals, the principal is looked up by its ARN too.

use std::hint::black_box;

use crate::catalogue;
use crate::names::Names;
use crate::workloads::{Fleet, Schedule};

/// The tables of the floor.
pub struct Floor {
    actions: Names<true>,
    principals: Names<false>,
    prefix: [u8; 18],
}

impl Floor {
    /// Builds the tables.
    pub fn new(fleet: &Fleet) -> Floor {
        let actions = catalogue::actions();
        let texts: Vec<String> = (0..fleet.principals).map(|n| fleet.principal(n)).collect();
        Floor {
            actions: Names::new(actions.iter().map(String::as_str)),
            principals: Names::new(texts.iter().map(String::as_str)),
            prefix: *b"arn:aws:s3:::acme-",
        }
    }

    /// The floor of (a) to (c).
    #[inline]
    pub fn single(&self, action: &str, resource: &str) -> bool {
        let known = self.actions.find(action);
        let fits = resource.as_bytes().first_chunk::<18>() == Some(black_box(&self.prefix));
        black_box(known).is_some() && fits
    }

    /// The floor of (d), over a whole schedule; returns how many look-ups succeeded.
    pub fn many(&self, fleet: &Fleet, schedule: &Schedule) -> usize {
        let mut found = 0;
        for turn in &schedule.turns {
            let ask = &fleet.asks[turn.ask as usize];
            let principal = self.principals.find(schedule.principal(turn));
            let fits = self.single(&ask.action, &ask.resource);
            found += usize::from(black_box(principal).is_some() | black_box(fits));
        }
        found
    }
}
