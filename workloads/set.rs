//! Sets that only grow: whatever was acknowledged must be found again.

use crate::generator::keyed::{Ask, Fresh, Keyed};
use crate::generator::phases::Stream;
use crate::{Evidence, Object, Params, Workload};
use checkers::Checker;
use checkers::coverage::Coverage;
use checkers::linearizable::Linearizable;
use history::rng::Rng;
use history::{Call, Value};

/// Nine adds of unique elements for each read of the whole set.
pub struct Set;

struct Asks;

impl Ask for Asks {
    type State = ();

    fn ask(&mut self, key: &Value, fresh: &mut Fresh, (): &mut (), rng: &mut Rng) -> Call {
        match rng.chance(0.1) {
            true => Call::Read(key.clone()),
            false => Call::Add(key.clone(), fresh.value()),
        }
    }
}

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "Clients add unique elements to sets and now and then read a whole set; every node is read at the end."
    }

    fn invariant(&self) -> &'static str {
        "Every element that was acknowledged, or seen once, is in every later read, and no read holds an element \
         that nobody added."
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream> {
        Box::new(Keyed::new(Asks, "s", 500, params, rng))
    }

    fn checkers(&self) -> Vec<Box<dyn Checker>> {
        vec![
            Box::new(Linearizable::of(checkers::linearizable::Object::Set)),
            Box::new(checkers::set::Set),
            Box::new(Coverage { minimum: self.minimum() }),
        ]
    }

    fn minimum(&self) -> Evidence {
        Evidence { distinct_observed: 5, final_reads_from_all_nodes: true, ..Evidence::USUAL }
    }
}
