//! Reads and writes of registers: the smallest thing that can be stale, lost or torn.

use crate::generator::keyed::{Ask, Fresh, Keyed};
use crate::generator::phases::Stream;
use crate::{Evidence, Object, Params, Workload};
use checkers::Checker;
use checkers::coverage::Coverage;
use checkers::linearizable::Linearizable;
use history::rng::Rng;
use history::{Call, Value};

/// Half reads, half writes of values that are unique within their key.
pub struct Register;

struct Asks;

impl Ask for Asks {
    type State = ();

    fn ask(&mut self, key: &Value, fresh: &mut Fresh, (): &mut (), rng: &mut Rng) -> Call {
        match rng.chance(0.5) {
            true => Call::Read(key.clone()),
            false => Call::Write(key.clone(), fresh.value()),
        }
    }
}

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn about(&self) -> &'static str {
        "Clients read and write registers, every value unique within its key."
    }

    fn invariant(&self) -> &'static str {
        "For each key there is one order of all acknowledged ops and some of the open writes that respects real \
         time and in which every read returns the last write."
    }

    fn object(&self) -> Object {
        Object::Register
    }

    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream> {
        Box::new(Keyed::new(Asks, "r", 200, params, rng))
    }

    fn checkers(&self) -> Vec<Box<dyn Checker>> {
        vec![
            Box::new(Linearizable::of(checkers::linearizable::Object::Register)),
            Box::new(Coverage { minimum: self.minimum() }),
        ]
    }

    fn minimum(&self) -> Evidence {
        Evidence { distinct_observed: 5, ..Evidence::USUAL }
    }
}
