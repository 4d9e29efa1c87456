//! Lists that are only appended to: one read shows the whole order of what was written.

use crate::generator::keyed::{Ask, Fresh, Keyed};
use crate::generator::phases::Stream;
use crate::{Evidence, Object, Params, Workload};
use checkers::Checker;
use checkers::coverage::Coverage;
use checkers::linearizable::Linearizable;
use history::rng::Rng;
use history::{Call, Value};

/// Four appends of unique elements for each read; a list has at most 300 of them by default.
pub struct Append;

struct Asks;

impl Ask for Asks {
    type State = ();

    fn ask(&mut self, key: &Value, fresh: &mut Fresh, (): &mut (), rng: &mut Rng) -> Call {
        match rng.chance(0.2) {
            true => Call::Read(key.clone()),
            false => Call::Append(key.clone(), fresh.value()),
        }
    }

    fn counts(&self, call: &Call) -> bool {
        matches!(call, Call::Append(..))
    }
}

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn about(&self) -> &'static str {
        "Clients append unique elements to lists and read them: a read reveals the order of all writes before it."
    }

    fn invariant(&self) -> &'static str {
        "All reads of a list are prefixes of one list, which holds every acknowledged element exactly once, in an \
         order that respects real time."
    }

    fn object(&self) -> Object {
        Object::List
    }

    fn stream(&self, params: &Params, rng: Rng) -> Box<dyn Stream> {
        Box::new(Keyed::new(Asks, "l", 300, params, rng))
    }

    fn checkers(&self) -> Vec<Box<dyn Checker>> {
        vec![
            Box::new(Linearizable::of(checkers::linearizable::Object::List)),
            Box::new(checkers::list::List),
            Box::new(Coverage { minimum: self.minimum() }),
        ]
    }

    fn minimum(&self) -> Evidence {
        Evidence { distinct_observed: 5, final_reads_from_all_nodes: true, ..Evidence::USUAL }
    }
}
