//! Random histories of every object as JSON lines, from objects that serve their clients one by one.

use history::rng::Rng;
use serde_json::{Value as Json, json};

/// Each object as `--spec` names it.
pub const SPECS: [&str; 19] = [
    "cas-register",
    "set",
    "counter",
    "list",
    "queue",
    "stack",
    "priority-queue",
    "lock",
    "multi-register",
    "multi-register:0",
    "max-register",
    "reentrant-lock",
    "reentrant-lock:2",
    "fenced-lock",
    "semaphore:2",
    "versioned-kv",
    "unique-ids",
    "kv",
    "register",
];

/// What a client asks: the function and its argument. `n` is new each time.
fn ask(spec: &str, rng: &mut Rng, n: u64) -> (&'static str, Json) {
    let first = rng.below(2) == 0;
    let few = rng.below(4);
    match spec.split(':').next().unwrap_or_default() {
        "register" if first => ("write", json!(n)),
        "cas-register" if few == 0 => ("cas", json!([rng.below(3), rng.below(3)])),
        "cas-register" if first => ("write", json!(rng.below(3))),
        "counter" if first => ("add", json!(few as i64 - 1)),
        "list" if first => ("append", json!(n)),
        "queue" if first => ("enqueue", json!(n)),
        "queue" => ("dequeue", Json::Null),
        "stack" if first => ("push", json!(n)),
        "stack" => ("pop", Json::Null),
        "priority-queue" if first => ("add", json!((n * 7) % 11)),
        "priority-queue" => ("poll", Json::Null),
        "set" if few == 3 => ("contains", json!(rng.below(3))),
        "set" if first => ("remove", json!(rng.below(3))),
        "set" => ("add", json!(rng.below(3))),
        "multi-register" => {
            let step = |rng: &mut Rng| match rng.below(2) {
                0 => json!(["r", rng.below(3), null]),
                _ => json!(["w", rng.below(3), rng.below(4)]),
            };
            ("txn", (0..rng.range(1, 4)).map(|_| step(rng)).collect())
        }
        "max-register" if first => ("write", json!(n % 9)),
        "lock" | "reentrant-lock" | "fenced-lock" | "semaphore" if first => ("acquire", Json::Null),
        "lock" | "reentrant-lock" | "fenced-lock" | "semaphore" => ("release", Json::Null),
        "versioned-kv" if few == 0 => ("delete", if first { Json::Null } else { json!(rng.below(9)) }),
        "versioned-kv" if few == 1 => ("cas", json!([rng.below(9), format!("v{n}")])),
        "versioned-kv" if few == 2 => (if first { "put" } else { "write" }, json!(format!("v{n}"))),
        "unique-ids" => ("generate", Json::Null),
        "kv" if few == 0 => ("write", json!(format!("<{n}>"))),
        "kv" if first => ("append", json!(format!("({n})"))),
        _ => ("read", Json::Null),
    }
}

/// Serves a call, the `n`th: the answer, `None` for a refusal.
fn serve(spec: &str, state: &mut Vec<Json>, me: u64, f: &str, value: &Json, n: u64) -> Option<Json> {
    let at = |state: &Vec<Json>, i: usize| state.get(i).cloned().unwrap_or_default();
    let number = |value: &Json| value.as_u64().unwrap_or(0);
    let done = Some(value.clone());
    match (spec.split(':').next().unwrap_or_default(), f) {
        ("register" | "cas-register", "read") => Some(at(state, 0)),
        ("register" | "cas-register", "write") => {
            *state = vec![value.clone()];
            done
        }
        ("cas-register", _) => {
            let fits = at(state, 0) == value[0];
            fits.then(|| *state = vec![value[1].clone()]).and(done)
        }
        ("counter", "read") => Some(json!(state.iter().map(|x| x.as_i64().unwrap_or(0)).sum::<i64>())),
        ("list", "read") => Some(json!(state)),
        ("queue", "dequeue") if state.is_empty() => Some(Json::Null),
        ("queue", "dequeue") => Some(state.remove(0)),
        ("stack", "pop") => Some(state.pop().unwrap_or_default()),
        ("priority-queue", "poll") => {
            state.sort_by_key(number);
            Some(state.pop().unwrap_or_default())
        }
        ("set", _) => {
            let was = state.contains(value);
            if f != "contains" {
                state.retain(|e| e != value);
            }
            if f == "add" {
                state.push(value.clone());
            }
            // Half of the services say whether it was there.
            Some(if f == "contains" || n.is_multiple_of(2) { json!(was) } else { value.clone() })
        }
        ("multi-register", _) => {
            state.resize(3, if spec.ends_with(":0") { json!(0) } else { Json::Null });
            let steps = value.as_array()?.iter().map(|step| {
                let register = number(&step[1]) as usize;
                if step[0] == "w" {
                    state[register] = step[2].clone();
                }
                json!([step[0], register, state[register]])
            });
            Some(steps.collect())
        }
        ("max-register", "read") => Some(state.iter().max_by_key(|x| number(x)).cloned().unwrap_or_default()),
        ("semaphore", "acquire") if state.len() < 2 => {
            state.push(json!(me));
            done
        }
        ("semaphore", "release") => state.pop().and(done),
        ("lock" | "fenced-lock", "acquire") if !state.is_empty() => None,
        ("reentrant-lock", "acquire") if spec.ends_with(":2") && state.len() == 2 => None,
        ("lock" | "fenced-lock" | "reentrant-lock", "acquire") if state.iter().all(|p| *p == me) => {
            state.push(json!(me));
            Some(if spec == "fenced-lock" && !n.is_multiple_of(3) { json!(n) } else { Json::Null })
        }
        ("lock" | "fenced-lock" | "reentrant-lock", "release") if at(state, 0) == me => state.pop().and(done),
        ("lock" | "fenced-lock" | "reentrant-lock" | "semaphore", _) => None,
        ("versioned-kv", "read") if at(state, 0).is_null() => Some(Json::Null),
        ("versioned-kv", "read") => Some(json!([at(state, 0), at(state, 1)])),
        ("versioned-kv", _) => {
            let (expected, new) = match f {
                "cas" => (Some(number(&value[0])), value[1].clone()),
                "delete" => (value.as_u64(), Json::Null),
                _ => (None, value.clone()),
            };
            let is = if at(state, 0).is_null() { 0 } else { number(&at(state, 1)) };
            if expected.is_some_and(|expected| expected != is) {
                return (f == "delete").then_some(json!(false));
            }
            let revision = number(&at(state, 1)) + 1 + n % 2;
            *state = vec![new, json!(revision)];
            Some(if f == "put" && n.is_multiple_of(2) { json!(revision) } else { value.clone() })
        }
        ("unique-ids", _) => Some(json!(format!("id {n}"))),
        ("kv", "read") => Some(json!(state.iter().filter_map(Json::as_str).collect::<String>())),
        ("kv", "write") => {
            *state = vec![value.clone()];
            done
        }
        _ => {
            state.push(value.clone());
            done
        }
    }
}

/// A client's call, its key, whether it was served, and the answer.
type Open = (Json, usize, bool, Option<Json>);

/// Clients of a few objects, as JSON lines. Some calls are never answered; of those some took effect.
pub fn history(spec: &str, rng: &mut Rng) -> Vec<u8> {
    let keys: &[Option<&str>] = match spec.split(':').next() {
        Some("unique-ids" | "multi-register") => &[None],
        _ => &[Some("x"), Some("y")],
    };
    let mut held: Vec<Vec<Json>> = vec![Vec::new(); keys.len()];
    let mut open: Vec<Option<Open>> = vec![None; 4];
    let mut names = [0, 1, 2, 3];
    let (mut lines, mut asked, mut served, mut next) = (Vec::new(), 0, 0, 4);
    let wanted = rng.range(4, 24);
    while asked < wanted || open.iter().any(Option::is_some) {
        let c = rng.below(4) as usize;
        match open[c].take() {
            None if asked < wanted => {
                asked += 1;
                let key = rng.below(keys.len() as u64) as usize;
                let (f, value) = ask(spec, rng, asked);
                let mut call = json!({"process": names[c], "type": "invoke", "f": f, "value": value});
                if let Some(key) = keys[key] {
                    call["key"] = json!(key);
                }
                lines.push(call.clone());
                open[c] = Some((call, key, false, None));
            }
            None => {}
            // Its client gives up before it took effect: it never does.
            Some((mut call, _, false, _)) if rng.below(16) == 0 => {
                call["type"] = json!("info");
                lines.push(call);
                names[c] = next;
                next += 1;
            }
            Some((call, key, false, _)) => {
                served += 1;
                let (f, value) = (call["f"].as_str().unwrap_or_default().to_string(), call["value"].clone());
                let answer = serve(spec, &mut held[key], names[c], &f, &value, served);
                open[c] = Some((call, key, true, answer));
            }
            Some((mut call, _, true, answer)) => {
                let lost = rng.below(8) == 0;
                call["type"] = json!(match answer {
                    _ if lost => "info",
                    Some(_) => "ok",
                    None => "fail",
                });
                match answer {
                    Some(answer) if !lost => call["value"] = answer,
                    None if call["f"] == "cas" && !lost => call["error"] = json!("mismatch"),
                    _ => {}
                }
                lines.push(call);
                if lost {
                    names[c] = next;
                    next += 1;
                }
            }
        }
    }
    lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect()
}
