//! The streaming judge of registers against the ordinary decider, on thousands of random histories.

use checkers::linearizable::families::Family;
use checkers::linearizable::objects::{Register, RegisterCall as Call, RegisterReply as Reply};
use checkers::linearizable::register;
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::streaming::{Answer, Event, Stream};
use history::rng::Rng;
use history::{Process, Value, ValueId};

#[derive(Clone, Copy, PartialEq)]
enum End {
    Ok,
    Fail,
    Info,
    Never,
}

struct Op {
    call: Call,
    saw: ValueId,
    end: End,
    inv: u32,
    res: u32,
}

/// Up to a dozen ops at random places, values written once, reads of anything.
fn random(rng: &mut Rng) -> Vec<Op> {
    let n = 1 + rng.below(12) as u32;
    let mut places: Vec<u32> = (1..=2 * n).collect();
    let local = rng.chance(0.7);
    if !local {
        rng.shuffle(&mut places);
    }
    for _ in 0..n {
        let at = rng.below(2 * n as u64 - 1) as usize;
        places.swap(at, at + 1);
    }
    (0..n)
        .map(|i| {
            let (a, b) = (places[2 * i as usize], places[2 * i as usize + 1]);
            let write = rng.chance(0.5);
            let end = match rng.below(10) {
                0 => End::Fail,
                1 => End::Info,
                2 => End::Never,
                _ => End::Ok,
            };
            let near =
                if local { (i + rng.below(4) as u32).saturating_sub(2) } else { rng.below(n as u64) as u32 };
            let saw = ValueId(near);
            let saw = if saw.0 == 0 { ValueId::NULL } else { saw };
            let call = if write { Call::Write(ValueId(i + 1)) } else { Call::Read };
            Op { call, saw, end, inv: a.min(b), res: a.max(b) }
        })
        .collect()
}

fn timed(ops: &[Op]) -> Vec<Timed<Register>> {
    let mut ops: Vec<Timed<Register>> = ops
        .iter()
        .filter(|op| op.end != End::Fail)
        .map(|op| {
            let reply = if op.call == Call::Read { Reply::Value(op.saw) } else { Reply::Done };
            let ok = op.end == End::Ok;
            Timed {
                call: op.call,
                reply: ok.then_some(reply),
                inv: op.inv,
                res: if ok { op.res } else { OPEN },
            }
        })
        .collect();
    ops.sort_by_key(|op| op.inv);
    ops
}

/// Values as small integers, large ones or texts: each has another place to be kept.
fn name(v: ValueId, style: u64) -> Value {
    match (v, style) {
        (ValueId::NULL, _) => Value::Null,
        (v, 0) => Value::Int(v.0 as i64),
        (v, 1) => Value::Int(v.0 as i64 * 1_000_003 - 5_000_000),
        (v, 2) if v.0 % 2 == 0 => Value::Int(v.0 as i64),
        (v, _) => Value::text(&format!("v{}", v.0)),
    }
}

fn events(ops: &[Op], key: &Value, style: u64, first: u32) -> Vec<(u32, Event)> {
    let mut all = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let process = Process(first + i as u32);
        all.push((
            op.inv,
            match op.call {
                Call::Write(v) => Event::Write(process, key.clone(), name(v, style)),
                _ => Event::Read(process, key.clone()),
            },
        ));
        let end = match op.end {
            End::Ok if op.call == Call::Read => Event::Ok(process, Some(name(op.saw, style))),
            End::Ok => Event::Ok(process, None),
            End::Fail => Event::Fail(process),
            End::Info => Event::Info(process),
            End::Never => continue,
        };
        all.push((op.res, end));
    }
    all.sort_by_key(|e| e.0);
    all
}

fn judge(events: Vec<(u32, Event)>) -> Answer {
    let mut stream = Stream::default();
    for (line, event) in events {
        stream.push(line, event).expect("it is within the domain");
    }
    stream.finish()
}

fn valid(ops: &[Timed<Register>]) -> bool {
    register::decide(&Register::default(), ops).expect("values are unique").is_ok()
}

#[test]
fn it_decides_as_the_ordinary_decider_does() {
    let mut rng = Rng::new(1, "streaming");
    let mut seen = [0u32; 2];
    for round in 0..40_000 {
        let ops = random(&mut rng);
        let expected = valid(&timed(&ops));
        seen[expected as usize] += 1;
        let answer = judge(events(&ops, &Value::text("x"), round % 4, 0));
        assert_eq!(answer == Answer::Valid, expected, "{:?}\n{answer:?}", timed(&ops));
        if let Answer::Invalid(says, lines) = answer {
            assert!(!says.is_empty() && lines.len() >= 2 && lines.is_sorted(), "{says} {lines:?}");
        }
    }
    assert!(seen[0] > 4_000 && seen[1] > 4_000, "{seen:?}");
}

#[test]
fn keys_are_apart() {
    let mut rng = Rng::new(2, "streaming");
    for _ in 0..5_000 {
        let (a, b) = (random(&mut rng), random(&mut rng));
        let expected = valid(&timed(&a)) && valid(&timed(&b));
        let mut all = events(&a, &Value::text("x"), 0, 0);
        all.extend(events(&b, &Value::Int(7), 0, 100));
        all.sort_by_key(|e| e.0);
        let all = all.into_iter().enumerate().map(|(i, e)| (i as u32 + 1, e.1)).collect();
        assert_eq!(judge(all) == Answer::Valid, expected);
    }
}

#[test]
fn long_families_are_as_their_names_say() {
    for name in
        ["register:unique:c20:m50:n20k", "register:unique:c20:m50:n20k:stale", "register:unique:c5:n2k:stale"]
    {
        let ops: Vec<Op> = Family::parse(name)
            .unwrap()
            .ops(3)
            .unwrap()
            .into_iter()
            .map(|op| Op {
                call: op.call,
                saw: match op.reply {
                    Some(Reply::Value(v)) => v,
                    _ => ValueId::NULL,
                },
                end: if op.is_ok() { End::Ok } else { End::Never },
                inv: op.inv + 1,
                res: op.res.saturating_add(1),
            })
            .collect();
        let answer = judge(events(&ops, &Value::Null, 0, 0));
        assert_eq!(answer == Answer::Valid, !name.ends_with("stale"), "{name}: {answer:?}");
    }
}

#[test]
fn what_it_cannot_judge_it_refuses() {
    let (p, q, x) = (Process(0), Process(1), Value::text("x"));
    let write = |p, v: i64| Event::Write(p, Value::text("x"), Value::Int(v));
    let refused = |events: Vec<Event>| {
        let mut stream = Stream::default();
        let mut pushed = events.into_iter().zip(1..).map(|(e, line)| stream.push(line, e));
        pushed.find_map(Result::err).map(|r| r.0).unwrap_or_default()
    };
    let twice = refused(vec![write(p, 1), Event::Ok(p, None), write(p, 1)]);
    assert!(twice.contains("line 3 writes 1 for the second time"), "{twice}");
    let nil = refused(vec![Event::Write(p, x.clone(), Value::Null)]);
    assert!(nil.contains("the initial value"), "{nil}");
    assert!(refused(vec![write(p, 1), write(p, 2)]).contains("two calls"));
    assert!(refused(vec![Event::Ok(q, None)]).contains("not made"));
    assert!(refused(vec![write(p, 1), Event::Info(p), write(p, 2)]).contains("after an info"));
    assert!(refused(vec![Event::Read(p, x), Event::Ok(p, None)]).contains("another call"));
    // What certainly failed may be tried again.
    assert_eq!(refused(vec![write(p, 1), Event::Fail(p), write(p, 1), Event::Ok(p, None)]), "");
}
