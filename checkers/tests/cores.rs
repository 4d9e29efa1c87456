//! Which contradiction is shown, of many small invalid histories of each object: the ops of its core and its pattern.
//!
//! Any contradiction is as true as another, so no other test would see a decider show a worse one: ten ops where three
//! will do, or one of no name. `SCHISM_GOLDEN=write` writes `cores.txt` anew; read what grew. Whether each is a
//! contradiction is asserted in `objects.rs`, `collections.rs` and `differential.rs`.

mod common;

use checkers::linearizable::Linearizable;
use checkers::linearizable::bind::Bind;
use checkers::linearizable::engine::Decide;
use checkers::linearizable::families::Family;
use checkers::linearizable::objects::*;
use checkers::linearizable::priority_queue::{PriorityQueue, PriorityQueueCall, PriorityQueueReply};
use checkers::linearizable::spec::Timed;
use checkers::linearizable::stack::{Stack, StackCall, StackReply};
use checkers::{Budget, Checker, Verdict};
use common::golden::{compare, digest};
use common::{asked, atomic, v};
use history::Value;
use history::rng::Rng;

const WRITTEN: &str = include_str!("cores.txt");

/// What the closed forms refute it with: the core, what it is reduced to, and who.
fn refuted<S: Decide>(spec: &S, ops: &[Timed<S>]) -> Option<String> {
    let (by, found) = match spec.decide(ops) {
        Some(Ok(_)) => return None,
        Some(Err(found)) => ("", found),
        None => ("sweep: ", spec.screen(ops)?),
    };
    let core: Vec<String> = found.core.iter().map(|i| i.to_string()).collect();
    let reduced = match &found.reduced {
        Some(reduced) => format!(", {} of {}", digest(reduced), reduced.len()),
        None => String::new(),
    };
    Some(format!("{by}{}{reduced}", core.join(" ")))
}

/// As many contradictions as asked for, a few to a line; of what turned out valid the orders that were shown.
fn closed<S: Decide>(spec: &S, most: usize, mut draw: impl FnMut(u32) -> Vec<Timed<S>>) -> Vec<String> {
    let (mut found, mut orders) = (Vec::new(), Vec::new());
    for round in 0..40 * most as u32 {
        let ops = draw(round);
        let needed: Vec<Timed<S>> = spec.needed(&ops).into_iter().map(|i| ops[i].clone()).collect();
        match spec.decide(&needed) {
            Some(Ok(order)) => orders.push(order),
            _ => found.extend(refuted(spec, &needed)),
        }
        if found.len() == most {
            break;
        }
    }
    assert!(found.len() == most, "only {} contradictions", found.len());
    let orders = [format!("{} orders: {}", orders.len(), digest(orders))];
    found.chunks(8).map(|some| some.join(" | ")).chain(orders).collect()
}

/// Positions halved on every third, so that some touch.
fn now_and_then_coarse<S: Decide>(round: u32, mut ops: Vec<Timed<S>>) -> Vec<Timed<S>> {
    if round.is_multiple_of(3) {
        for op in &mut ops {
            op.inv /= 6;
            op.res = if op.is_ok() { op.res / 6 } else { op.res };
        }
    }
    ops
}

fn of_asked<S: Decide>(name: &str, world: &asked::World<S>, most: usize) {
    let mut rng = Rng::new(1, name);
    let lines = closed(&world.spec, most, |round| {
        let (n, info) = ([5, 9, 14, 40][round as usize % 4], [0, 0, 25][round as usize % 3]);
        now_and_then_coarse(round / 2, asked::random(world, &mut rng, n, info, 1 + round % 3))
    });
    compare("cores.txt", WRITTEN, name, &lines);
}

fn of_atomic<S: Bind>(world: &atomic::World<S>, values: [u32; 2], most: usize) {
    let mut rng = Rng::new(1, world.name);
    let mut lines = closed(&world.spec, most, |round| {
        let ops = [6, 10, 16, 40][round as usize % 4];
        let info = [0, 0, 25][round as usize % 3];
        let values = values[round as usize % 2];
        let clients = 2 + round as usize % 5;
        let shape = atomic::Shape { ops, clients, values, info, lies: 1 + round as usize % 3 };
        now_and_then_coarse(round / 2, atomic::run(world, &mut rng, shape))
    });
    lines.extend(explained(world, values, most / 4));
    compare("cores.txt", WRITTEN, world.name, &lines);
}

/// The same as it is recorded and told: pattern, core, and all else by its digest.
fn explained<S: Bind>(world: &atomic::World<S>, values: [u32; 2], most: usize) -> Vec<String> {
    let mut rng = Rng::new(2, world.name);
    let (mut lines, mut round) = (Vec::new(), 0);
    while lines.len() < most {
        round += 1;
        let shape = atomic::Shape {
            ops: [5, 8, 12, 20][round % 4],
            clients: 2 + round % 4,
            values: values[round % 2],
            info: [0, 0, 25][round % 3],
            lies: 1 + round % 3,
        };
        let ops = atomic::run(world, &mut rng, shape);
        let order = atomic::edges(0, &ops);
        let history = atomic::record(world, &[(Value::text("x"), ops)], &order, |_, i| i as u32);
        let findings = Linearizable::of(world.object).check(&history, &Budget::default());
        for (_, verdict) in &findings.per_model {
            let Verdict::Invalid(c) = verdict else { continue };
            let core: Vec<String> = c.core.iter().map(|i| i.0.to_string()).collect();
            lines.push(format!("{}: {}, {}", c.pattern, core.join(" "), digest(c)));
        }
    }
    lines
}

/// Elements put in and taken out at any time: few pairs of them contradict each other, many rings do.
fn at_any_time<S: Decide>(
    rng: &mut Rng,
    n: usize,
    put: fn(u32) -> atomic::Answered<S>,
    take: fn(u32) -> atomic::Answered<S>,
) -> Vec<Timed<S>> {
    let mut positions: Vec<u32> = (0..4 * n as u32).collect();
    rng.shuffle(&mut positions);
    let mut ops = Vec::new();
    for (k, at) in (1..).zip(positions.chunks_mut(4)) {
        at.sort_unstable();
        let op = |(call, reply): atomic::Answered<S>, inv, res| Timed { call, reply: Some(reply), inv, res };
        ops.push(op(put(k), at[0], at[1]));
        if !rng.chance(0.1) {
            ops.push(op(take(k), at[2], at[3]));
        }
    }
    ops
}

fn of_any_time<S: Decide>(
    spec: &S,
    name: &str,
    put: fn(u32) -> atomic::Answered<S>,
    take: fn(u32) -> atomic::Answered<S>,
) {
    let mut rng = Rng::new(1, name);
    let lines = closed(spec, 96, |round| {
        let ops = at_any_time(&mut rng, [3, 4, 5, 7, 12, 30][round as usize % 6], put, take);
        now_and_then_coarse(round / 3, ops)
    });
    compare("cores.txt", WRITTEN, name, &lines);
}

#[test]
fn of_collections_at_any_time() {
    of_any_time(
        &Queue,
        "queues at any time",
        |k| (QueueCall::Enqueue(v(k)), QueueReply::Done),
        |k| (QueueCall::Dequeue, QueueReply::Took(v(k))),
    );
    of_any_time(
        &Stack,
        "stacks at any time",
        |k| (StackCall::Push(v(k)), StackReply::Done),
        |k| (StackCall::Pop, StackReply::Took(v(k))),
    );
    of_any_time(
        &PriorityQueue,
        "priority queues at any time",
        |k| (PriorityQueueCall::Add(k as i64), PriorityQueueReply::Done),
        |k| (PriorityQueueCall::Poll, PriorityQueueReply::Took(k as i64)),
    );
}

/// Stale reads where values repeat, for which the sweep has to choose among many writes.
#[test]
fn of_stale_reads() {
    let family = Family::parse("register:4:c6:n60:stale").unwrap();
    let lines = closed(&Register::default(), 96, |round| {
        now_and_then_coarse(round, family.ops(round as u64).unwrap_or_default())
    });
    compare("cores.txt", WRITTEN, "stale reads", &lines);
}

/// Many calls that may have happened: more than a contradiction of few ops can use.
#[test]
fn of_elements_with_many_infos() {
    let (mut rng, world) = (Rng::new(4, "infos"), asked::element());
    let lines =
        closed(&world.spec, 64, |round| asked::random(&world, &mut rng, 60, [40, 60][round as usize % 2], 2));
    compare("cores.txt", WRITTEN, "elements with many infos", &lines);
}

#[test]
fn of_registers() {
    of_atomic(&atomic::register(), [0, 3], 96);
}

#[test]
fn of_cas_registers() {
    of_atomic(&atomic::cas_register(), [0, 4], 96);
}

#[test]
fn of_queues() {
    of_atomic(&atomic::queue(), [0, 0], 96);
}

#[test]
fn of_stacks() {
    of_atomic(&atomic::stack(), [0, 0], 96);
}

#[test]
fn of_lists() {
    of_atomic(&atomic::list(), [0, 0], 96);
}

#[test]
fn of_counters() {
    of_atomic(&atomic::counter(), [0, 0], 64);
}

#[test]
fn of_elements() {
    of_atomic(&atomic::element(), [0, 0], 64);
    of_asked("elements that are asked for", &asked::element(), 96);
}

#[test]
fn of_increments() {
    of_asked("increments", &asked::increments(), 240);
}

#[test]
fn of_amounts() {
    of_asked("amounts", &asked::amounts(), 64);
}

#[test]
fn of_max_registers() {
    of_asked("max-registers", &asked::max_register(), 96);
}

#[test]
fn of_lists_with_lies_inside() {
    of_asked("lists with lies inside", &asked::list(), 96);
}

#[test]
fn of_whole_sets() {
    of_asked("whole sets", &asked::whole_set(), 96);
}

#[test]
fn of_priority_queues() {
    of_asked("priority queues", &asked::priority_queue(), 64);
}

#[test]
fn of_locks() {
    of_asked("mutexes", &asked::mutex(), 64);
    of_asked("reentrant locks", &asked::reentrant(), 64);
    of_asked("fenced locks", &asked::fenced(), 64);
}

#[test]
fn of_texts() {
    of_asked("texts", &asked::texts(), 64);
}
