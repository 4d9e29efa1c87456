//! What a search costs: steps, bytes and how far it came, at several budgets, for each engine on fixed histories.
//!
//! Budgets decide between an answer and *unknown*, so an engine that became dearer, counts otherwise or stops elsewhere
//! is a change that somebody has to see: it shows in `costs.txt`. Everything there is a function of the input, on any
//! machine and any number of threads; times are in the benchmarks. `SCHISM_GOLDEN=write` writes the file anew.
//! Not here: whether the answers are right, but for one thing: no budget turns a yes into a no.

mod common;

use checkers::Why;
use checkers::linearizable::dfs::{self, Answer, Limits, Report};
use checkers::linearizable::engine::{self, Decide};
use checkers::linearizable::families::Family;
use checkers::linearizable::objects::{Register, RegisterCall, RegisterReply};
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::{families_collections, families_kv, frontier};
use common::golden::{compare, digest};
use common::{asked, atomic};
use history::ValueId;
use history::rng::Rng;

const WRITTEN: &str = include_str!("costs.txt");

/// What an engine came to, whoever it was.
struct Cost {
    answer: Answer,
    /// Who decided, where several could have.
    by: &'static str,
    steps: u64,
    bytes: u64,
    settled: u32,
}

type Engine<S> = fn(&S, &[Timed<S>], &Limits) -> Option<Cost>;

fn of(report: Report) -> Option<Cost> {
    let Report { answer, steps, bytes, settled, .. } = report;
    Some(Cost { answer, by: "", steps, bytes, settled })
}

fn of_all<S: Decide>(decided: engine::Decided<S>) -> Option<Cost> {
    let answer = match decided.answer {
        engine::Answer::Yes(order) => Answer::Yes(order),
        engine::Answer::No(_) => Answer::No,
        engine::Answer::Unknown(why) => Answer::Spent(why),
    };
    Some(Cost {
        answer,
        by: decided.by,
        steps: decided.steps,
        bytes: decided.bytes,
        settled: decided.settled,
    })
}

fn engines<S: Decide>() -> [(&'static str, Engine<S>); 11] {
    [
        ("dfs", |s, o, l| of(dfs::search(s, o, l))),
        ("own", |s, o, l| s.own_search(o, l).and_then(of)),
        ("relaxed", |s, o, l| of(frontier::relaxed(s, o, l, None).1)),
        ("beam 2", |s, o, l| of(frontier::beam(s, o, 2, 1, l))),
        ("beam 8", |s, o, l| of(frontier::beam(s, o, 8, 3, l))),
        ("cegar", |s, o, l| of(frontier::cegar(s, o, l))),
        ("whole", |s, o, l| of_all(engine::in_parts(s, o, l, o.len()))),
        ("parts", |s, o, l| of_all(engine::in_parts(s, o, l, 4))),
        ("halves", |s, o, l| of_all(engine::in_parts(s, o, l, o.len() / 2))),
        ("no halves", |s, o, l| of_all(engine::in_parts(s, o, l, o.len() / 2 + 1))),
        ("needed", |s, o, l| of_all(engine::decide_needed(s, o, l))),
    ]
}

fn word(cost: &Cost) -> String {
    let answer = match &cost.answer {
        Answer::Yes(order) => format!("yes {}", digest(order)),
        Answer::No => "no".into(),
        Answer::Spent(Why::Steps) => "steps".into(),
        Answer::Spent(Why::Bytes) => "bytes".into(),
        Answer::Spent(why) => panic!("{why:?}"),
    };
    let by = if cost.by.is_empty() { String::new() } else { format!(" by {}", cost.by) };
    format!("{answer}{by} {}s {}b @{}", cost.steps, cost.bytes, cost.settled)
}

const STEPS: [u64; 4] = [1, 10, 1_000, 50_000];
const BYTES: [u64; 2] = [3_000, 30_000];

fn line<S: Decide>(spec: &S, ops: &[Timed<S>], name: &str, run: Engine<S>) -> Option<String> {
    let free = Limits { steps: STEPS[3], ..Limits::default() };
    let full = run(spec, ops, &free)?;
    let mut limits: Vec<Limits> = STEPS.iter().map(|steps| Limits { steps: *steps, ..free }).collect();
    limits.extend(BYTES.map(|bytes| Limits { bytes, ..free }));
    // What it took, and one less.
    limits.extend([0, 1].map(|less| Limits { steps: full.steps.saturating_sub(less), ..free }));
    limits.extend([0, 1].map(|less| Limits { bytes: full.bytes.saturating_sub(less), ..free }));
    let mut words = Vec::new();
    for limits in &limits {
        let cost = run(spec, ops, limits)?;
        match (&full.answer, &cost.answer) {
            (Answer::Yes(_), Answer::No) | (Answer::No, Answer::Yes(_)) => panic!("{name}: {limits:?}"),
            _ => words.push(word(&cost)),
        }
    }
    words.dedup();
    Some(words.join(" | "))
}

fn costs<S: Decide>(lines: &mut Vec<String>, spec: &S, name: &str, ops: &[Timed<S>]) {
    lines.push(format!("{name}, {} ops", ops.len()));
    let mut whole = String::new();
    for (name, run) in engines() {
        let Some(costs) = line(spec, ops, name, run) else { continue };
        // Where nothing can be cut or left out, the parts are the whole.
        lines.push(format!("{name}: {}", if costs == whole { "as whole" } else { &costs }));
        if name == "whole" {
            whole = costs;
        }
    }
}

/// By a clock so coarse that ends and beginnings touch.
fn coarse<S: Decide>(mut ops: Vec<Timed<S>>) -> Vec<Timed<S>> {
    for op in &mut ops {
        op.inv /= 3;
        op.res = if op.is_ok() { op.res / 3 } else { OPEN };
    }
    ops
}

fn registers(names: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for name in names {
        let (family, touching) = name.strip_suffix(" coarse").map_or((*name, false), |f| (f, true));
        // Not every run has a read that can be made stale.
        let family = Family::parse(family).unwrap();
        let ops = (1..100).find_map(|seed| family.ops(seed)).unwrap();
        let ops = if touching { coarse(ops) } else { ops };
        costs(&mut lines, &Register::default(), name, &ops);
    }
    lines
}

#[test]
fn of_registers() {
    let names = ["register:3:c4:n40", "register:3:c6:n60:stale", "register:2:c6:n40 coarse"];
    compare("costs.txt", WRITTEN, "registers", &registers(&names));
}

#[test]
fn of_registers_with_infos() {
    let names = ["register:3:c4:m8:n40", "register:2:c5:m12:n60:stale", "register:3:c4:m6:n40 coarse"];
    compare("costs.txt", WRITTEN, "registers with infos", &registers(&names));
}

#[test]
fn of_cas() {
    let names = ["cas:3:c4:n40", "cas:3:refused:c5:n40:stale", "cas:3:refused:c4:n30 coarse"];
    compare("costs.txt", WRITTEN, "cas", &registers(&names));
}

#[test]
fn of_cas_with_infos() {
    let names = ["cas:3:c4:m8:n40", "cas:3:refused:c4:m10:n40:stale", "cas:2:c4:m6:n30 coarse"];
    compare("costs.txt", WRITTEN, "cas with infos", &registers(&names));
}

#[test]
fn of_wide_registers() {
    let names = ["register:2:c40:n80", "register:2:c140:n145"];
    compare("costs.txt", WRITTEN, "wide registers", &registers(&names));
}

#[test]
fn of_wide_cas() {
    compare("costs.txt", WRITTEN, "wide cas", &registers(&["cas:4:c135:n140"]));
}

#[test]
fn of_very_many_classes() {
    let ops = Family::parse("register:unique:c3:n1200").unwrap().ops(1).unwrap();
    let limits = [(1_000, 1 << 30), (50_000, 1 << 30)];
    let mut lines = at(&limits, &ops, |s, o, l| of(dfs::search(s, o, l)));
    lines.extend(at(&limits, &ops, |s, o, l| of(frontier::beam(s, o, 8, 3, l))));
    compare("costs.txt", WRITTEN, "very many classes", &lines);
}

#[test]
fn of_many_classes() {
    compare(
        "costs.txt",
        WRITTEN,
        "many classes",
        &registers(&["register:unique:c3:n600", "register:unique:c4:m9:n600:stale"]),
    );
}

fn shape(ops: usize, values: u32, info: u64, lies: usize) -> atomic::Shape {
    atomic::Shape { ops, clients: 4, values, info, lies }
}

fn objects<S: Decide>(lines: &mut Vec<String>, world: &atomic::World<S>) {
    let mut rng = Rng::new(1, world.name);
    for (values, info, lies) in [(2, 0, 0), (2, 20, 0), (3, 15, 3), (0, 20, 2)] {
        let ops = atomic::run(world, &mut rng, shape(24, values, info, lies));
        costs(lines, &world.spec, world.name, &ops);
    }
    let ops = coarse(atomic::run(world, &mut rng, shape(20, 2, 15, 0)));
    costs(lines, &world.spec, world.name, &ops);
}

#[test]
fn of_queues_and_stacks() {
    let mut lines = Vec::new();
    objects(&mut lines, &atomic::queue());
    objects(&mut lines, &atomic::stack());
    compare("costs.txt", WRITTEN, "queues and stacks", &lines);
}

fn asked<S: Decide>(lines: &mut Vec<String>, name: &str, world: &asked::World<S>) {
    let mut rng = Rng::new(2, name);
    for (info, lies) in [(0, 0), (20, 0), (20, 2)] {
        let ops = asked::random(world, &mut rng, 16, info, lies);
        costs(lines, &world.spec, name, &ops);
    }
}

#[test]
fn of_other_objects() {
    let mut lines = Vec::new();
    asked(&mut lines, "priority queue", &asked::priority_queue());
    asked(&mut lines, "amounts", &asked::amounts());
    asked(&mut lines, "max-register", &asked::max_register());
    asked(&mut lines, "element", &asked::element());
    asked(&mut lines, "whole set", &asked::whole_set());
    asked(&mut lines, "semaphore", &asked::semaphore());
    asked(&mut lines, "multi-register", &asked::multi_register());
    asked(&mut lines, "versioned", &asked::versioned());
    compare("costs.txt", WRITTEN, "other objects", &lines);
}

#[test]
fn of_texts() {
    let family = families_collections::Family { ops: 120, clients: 4, infos: 6, swapped: true, seed: 1 };
    let mut lines = Vec::new();
    for ops in families_kv::kv(&family, 3).unwrap() {
        costs(&mut lines, &checkers::linearizable::text_kv::Text, "texts", &ops);
    }
    compare("costs.txt", WRITTEN, "texts", &lines);
}

/// Runs one after the other, each led by a write on its own, so that the key can be cut before each.
fn chained(names: &[&str]) -> Vec<Timed<Register>> {
    let mut all: Vec<Timed<Register>> = Vec::new();
    for name in names {
        let from = all.iter().map(|o| if o.is_ok() { o.res } else { o.inv } + 2).max().unwrap_or(0);
        let nil = RegisterCall::Write(ValueId::NULL);
        all.push(Timed { call: nil, reply: Some(RegisterReply::Done), inv: from, res: from + 1 });
        all.extend(
            (1..100).find_map(|seed| Family::parse(name).unwrap().ops(seed)).unwrap().into_iter().map(|o| {
                Timed { inv: o.inv + from + 3, res: if o.is_ok() { o.res + from + 3 } else { OPEN }, ..o }
            }),
        );
    }
    all
}

/// A part that needs more than its share gets what the others left; the last one may hold infos.
#[test]
fn of_parts() {
    let (easy, hard) = ("register:3:c2:n20", "cas:3:refused:c9:n40");
    let (long, hopeless) = ("register:3:c2:n200", "cas:20:refused:c20:n60:stale");
    let mut lines = Vec::new();
    for (name, names) in [
        ("easy", vec![easy; 10]),
        ("one hard", vec![easy, easy, hard, easy]),
        ("two hard", vec![hard, easy, hard, easy, easy]),
        ("two hard, much left", vec![hopeless, long, hopeless, easy]),
        ("last stale", vec![easy, hard, "cas:3:c5:n30:stale"]),
        ("with infos", vec![easy, hard, "cas:2:c4:m6:n30"]),
    ] {
        costs(&mut lines, &Register::default(), name, &chained(&names));
    }
    compare("costs.txt", WRITTEN, "parts", &lines);
}

/// Valid but for its end, where a write that may have happened once is seen twice: only counting refutes it.
fn needs_an_info_twice(family: &str, seed: u64) -> Vec<Timed<Register>> {
    let mut ops = Family::parse(family).unwrap().ops(seed).unwrap();
    let from = ops.iter().map(|o| if o.is_ok() { o.res } else { o.inv } + 1).max().unwrap_or(0);
    let (a, b) = (ValueId(1_000), ValueId(1_001));
    ops.push(Timed { call: RegisterCall::Write(a), reply: None, inv: from, res: OPEN });
    let saw = (RegisterCall::Read, RegisterReply::Value(a));
    for (i, (call, reply)) in (0..).zip([saw, (RegisterCall::Write(b), RegisterReply::Done), saw]) {
        ops.push(Timed { call, reply: Some(reply), inv: from + 1 + 2 * i, res: from + 2 + 2 * i });
    }
    ops
}

fn at(limits: &[(u64, u64)], ops: &[Timed<Register>], run: Engine<Register>) -> Vec<String> {
    let limits = limits.iter().map(|(steps, bytes)| Limits { steps: *steps, bytes: *bytes, furthest: false });
    limits.filter_map(|l| Some(word(&run(&Register::default(), ops, &l)?))).collect()
}

/// At their limit of bytes searches forget, and what they forget they search again: in a narrow window and a wide one.
#[test]
fn of_forgetting() {
    let narrow = needs_an_info_twice("cas:5:c4:m16:n80", 1);
    let wide = Family::parse("cas:20:refused:c45:m4:n90:stale").unwrap();
    let wide = (1..100).find_map(|seed| wide.ops(seed)).unwrap();
    let mut lines = Vec::new();
    for ops in [&narrow, &wide] {
        let limits = [(60_000, 1 << 30), (60_000, 140_000), (60_000, 70_000)];
        lines.extend(at(&limits, ops, |s, o, l| of(dfs::search(s, o, l))));
    }
    let whole: Engine<Register> = |s, o, l| of_all(engine::in_parts(s, o, l, o.len()));
    lines.extend(at(&[(45_000, 60_000), (120_000, 60_000), (120_000, 140_000)], &narrow, whole));
    lines.extend(at(&[(60_000, 1 << 30)], &narrow, |s, o, l| of(frontier::cegar(s, o, l))));
    compare("costs.txt", WRITTEN, "forgetting", &lines);
}

/// One engine's budget grows from round to round.
#[test]
fn of_rounds() {
    let ops = needs_an_info_twice("cas:5:c4:m16:n80", 2);
    let limits = [(700_000, 1 << 30), (1_200_000, 1 << 30)];
    let lines = at(&limits, &ops, |s, o, l| of_all(engine::in_parts(s, o, l, o.len())));
    compare("costs.txt", WRITTEN, "rounds", &lines);
}

/// Where depth first is lost and the relaxed frontier is dear, and where the narrow frontier is.
#[test]
fn of_a_long_relaxed_look() {
    let ops = Family::parse("cas:20:refused:c25:m4:n60:stale").unwrap().ops(3).unwrap();
    let lines = at(&[(1_300_000, 1 << 30)], &ops, |s, o, l| of_all(engine::in_parts(s, o, l, o.len())));
    compare("costs.txt", WRITTEN, "a long relaxed look", &lines);
}

#[test]
fn of_a_long_narrow_look() {
    let ops = needs_an_info_twice("cas:5:c5:m20:n100", 1);
    let lines = at(&[(1_200_000, 1 << 30)], &ops, |s, o, l| of_all(engine::in_parts(s, o, l, o.len())));
    compare("costs.txt", WRITTEN, "a long narrow look", &lines);
}

/// Only a long key is cut, into parts of some length.
#[test]
fn of_a_long_key() {
    let ops = Family::parse("register:3:c1:n4200").unwrap().ops(1).unwrap();
    let shorter = &ops[..3_900];
    let mut lines = at(&[(1 << 20, 1 << 30)], &ops, |s, o, l| of_all(engine::decide(s, o, l)));
    lines.extend(at(&[(1 << 20, 1 << 30)], shorter, |s, o, l| of_all(engine::decide(s, o, l))));
    compare("costs.txt", WRITTEN, "a long key", &lines);
}
