//! Counters that only go up: a retry that counts twice shows, and so does an add that is lost.

use crate::generator::keyed::{Ask, Fresh, Keyed};
use crate::generator::phases::Stream;
use crate::{Evidence, Object, Params, Workload};
use checkers::Checker;
use checkers::coverage::Coverage;
use checkers::linearizable::Linearizable;
use history::rng::Rng;
use history::{Call, Value};

/// Two adds of 1 to 5 for each read. Counters are short-lived, since every unanswered add widens what a read may show.
pub struct Counter;

struct Asks;

impl Ask for Asks {
    type State = ();

    fn ask(&mut self, key: &Value, _: &mut Fresh, (): &mut (), rng: &mut Rng) -> Call {
        match rng.below(3) {
            0 => Call::Read(key.clone()),
            _ => Call::Add(key.clone(), Value::Int(rng.range(1, 6) as i64)),
        }
    }
}

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "Clients add small positive amounts to counters and read them."
    }

    fn invariant(&self) -> &'static str {
        "Every read lies between the sum of what was acknowledged before it began and the sum of what may have been \
         added before it ended."
    }

    fn object(&self) -> Object {
        Object::Counter
    }

    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream> {
        Box::new(Keyed::new(Asks, "c", 100, params, rng))
    }

    fn checkers(&self) -> Vec<Box<dyn Checker>> {
        vec![
            Box::new(Linearizable::of(checkers::linearizable::Object::Counter)),
            Box::new(checkers::counter::Counter),
            Box::new(Coverage { minimum: self.minimum() }),
        ]
    }

    fn minimum(&self) -> Evidence {
        Evidence { distinct_observed: 5, final_reads_from_all_nodes: true, ..Evidence::USUAL }
    }
}
