//! Registers with compare-and-set: a refused one is evidence about the state.

use crate::generator::keyed::{Ask, Fresh, Keyed};
use crate::generator::phases::Stream;
use crate::{Evidence, Object, Params, Workload};
use checkers::Checker;
use checkers::coverage::Coverage;
use checkers::linearizable::Linearizable;
use history::rng::Rng;
use history::{Call, Outcome, Reply, Value};

/// Reads, writes and compare-and-sets. The expected value is mostly the last one that any client of the key
/// learned of, so that about half of them succeed; the new value is unique within its key.
pub struct CasRegister;

struct Asks;

/// The last two different values that were seen in the key.
#[derive(Default)]
struct Seen {
    last: Value,
    before: Value,
}

impl Ask for Asks {
    type State = Seen;

    fn ask(&mut self, key: &Value, fresh: &mut Fresh, seen: &mut Seen, rng: &mut Rng) -> Call {
        match rng.weighted(&[4, 2, 4]) {
            0 => Call::Read(key.clone()),
            2 if !seen.last.is_null() => {
                let stale = rng.chance(0.2) && !seen.before.is_null();
                let expected = if stale { &seen.before } else { &seen.last };
                Call::Cas(key.clone(), expected.clone(), fresh.value())
            }
            _ => Call::Write(key.clone(), fresh.value()),
        }
    }

    fn learn(&mut self, seen: &mut Seen, call: &Call, outcome: &Outcome) {
        let value = match (call, outcome) {
            (Call::Read(_), Outcome::Ok(Reply::Read(value))) => value,
            (Call::Write(_, value) | Call::Cas(_, _, value), Outcome::Ok(Reply::Done)) => value,
            _ => return,
        };
        if !value.is_null() && *value != seen.last {
            seen.before = std::mem::replace(&mut seen.last, value.clone());
        }
    }
}

impl Workload for CasRegister {
    fn name(&self) -> &'static str {
        "cas-register"
    }

    fn about(&self) -> &'static str {
        "Clients read, write and compare-and-set registers; a refused compare-and-set counts as a read."
    }

    fn invariant(&self) -> &'static str {
        "For each key there is one order of all acknowledged ops and some of the open ones that respects real time \
         and in which every read returns the last value and every compare-and-set succeeds exactly when it must."
    }

    fn object(&self) -> Object {
        Object::CasRegister
    }

    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream> {
        Box::new(Keyed::new(Asks, "r", 200, params, rng))
    }

    fn checkers(&self) -> Vec<Box<dyn Checker>> {
        vec![
            Box::new(Linearizable::of(checkers::linearizable::Object::CasRegister)),
            Box::new(Coverage { minimum: self.minimum() }),
        ]
    }

    fn minimum(&self) -> Evidence {
        Evidence { distinct_observed: 5, ..Evidence::USUAL }
    }
}
