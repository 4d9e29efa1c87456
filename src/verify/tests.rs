//! Certificates of random histories and of every object, and everything a verifier must refuse.

pub mod drawn;
mod objects;

use super::verify;
use crate::certificate::certificate;
use crate::input::{self, Input};
use crate::judge;
use checkers::Budget;
use checkers::linearizable::bind::Bind;
use checkers::linearizable::initial::Init;
use checkers::linearizable::objects::Register;
use checkers::linearizable::spec::{OPEN, Timed};
use checkers::linearizable::{Linearizable, Object, replay};
use history::rng::Rng;
use history::{OpId, text};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

fn open(raw: &[u8], name: &str) -> Input {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, raw).unwrap();
    let mut input = input::open(&path, None, &Default::default()).unwrap_or_else(|e| panic!("{}", e.says));
    // Kept for the test: the certificate reads the raw file again.
    input.path = directory.keep().join(name);
    input
}

fn certified(input: &Input, object: Object) -> Result<String, String> {
    let judgement = judge::judge(&input.history, &[Box::new(Linearizable::of(object))], &Budget::default());
    let made = certificate(input, object, &Init::default(), &judgement, &Budget::default(), false);
    made.map(|bytes| String::from_utf8(bytes).unwrap())
}

fn clean(path: &Path) {
    let _ = std::fs::remove_dir_all(path.parent().unwrap());
}

fn jsonl(notation: &str) -> Vec<u8> {
    let history = text::parse(notation).unwrap();
    let mut bytes = Vec::new();
    history::formats::named("jsonl").unwrap().write(&history, &mut bytes).unwrap().unwrap();
    bytes
}

/// Clients of a few atomic registers, as JSON lines.
fn run(rng: &mut Rng) -> Vec<u8> {
    let keys = ["x", "y", "z"];
    let mut held: BTreeMap<&str, Json> = BTreeMap::new();
    let mut open: Vec<Option<(Json, bool, Json)>> = vec![None; 4];
    let mut names = [0, 1, 2, 3];
    let (mut lines, mut asked, mut next) = (Vec::new(), 0, 4);
    let wanted = rng.range(4, 16);
    while asked < wanted || open.iter().any(Option::is_some) {
        let c = rng.below(4) as usize;
        match open[c].take() {
            None if asked < wanted => {
                asked += 1;
                let (key, old, new) = (rng.pick(&keys).unwrap(), rng.below(4), rng.below(4));
                let (f, value) = match rng.below(3) {
                    0 => ("read", Json::Null),
                    1 => ("write", json!(new)),
                    _ => ("cas", json!([old, new])),
                };
                let call = json!({"process": names[c], "type": "invoke", "f": f, "key": key, "value": value});
                lines.push(call.clone());
                open[c] = Some((call, false, Json::Null));
            }
            Some((mut call, false, _)) => {
                let key = keys.iter().find(|k| call["key"] == **k).unwrap();
                let state = held.entry(key).or_default();
                let mut answer = json!("ok");
                match call["f"].as_str().unwrap() {
                    "read" => call["value"] = state.clone(),
                    "write" => *state = call["value"].clone(),
                    _ if *state == call["value"][0] => *state = call["value"][1].clone(),
                    _ => answer = json!("refused"),
                }
                open[c] = Some((call, true, answer));
            }
            Some((mut call, true, answer)) => {
                let lost = rng.below(8) == 0;
                call["type"] = match answer.as_str() {
                    _ if lost => json!("info"),
                    Some("ok") => json!("ok"),
                    _ => {
                        call["error"] = json!("mismatch");
                        json!("fail")
                    }
                };
                lines.push(call);
                if lost {
                    names[c] = next;
                    next += 1;
                }
            }
            None => {}
        }
    }
    lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect()
}

/// Whether the certificate's orders are linearizations, by the parser and the replayer of the checker.
fn right(certificate: &str, input: &Input) -> bool {
    let history = &input.history;
    let raw = std::fs::read_to_string(&input.path).unwrap();
    let calls: Vec<usize> =
        (1..).zip(raw.lines()).filter(|l| l.1.contains("\"invoke\"")).map(|l| l.0).collect();
    let mut orders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for line in certificate.lines().skip(1) {
        let part: Json = serde_json::from_str(line).unwrap();
        let order = part["order"].as_array().unwrap().iter().map(|l| l.as_u64().unwrap() as usize);
        if orders.insert(part["key"].to_string(), order.collect()).is_some() {
            return false;
        }
    }
    let spec = Register::default();
    let mut total = 0;
    let whole = history.by_key().into_iter().all(|(key, ids)| {
        let taken = |id: &OpId| {
            let op = history.op(*id);
            let (call, reply) = spec.take(&op, history).ok()??;
            let res = if reply.is_some() { op.res() } else { OPEN };
            Some((Timed::<Register> { call, reply, inv: op.inv(), res }, calls[id.0 as usize]))
        };
        let (ops, lines): (Vec<_>, Vec<usize>) = ids.iter().filter_map(taken).unzip();
        let order = orders.get(&history.value(key).to_json().to_string()).cloned().unwrap_or_default();
        total += order.len();
        let indices: Option<Vec<usize>> = order.iter().map(|l| lines.iter().position(|m| m == l)).collect();
        indices.is_some_and(|order| replay::replay(&spec, &ops, &order).is_ok())
    });
    whole && total == orders.values().map(Vec::len).sum::<usize>()
}

#[test]
fn random_histories_are_certified_and_spoilt_certificates_are_not() {
    let mut rng = Rng::new(21, "certificates");
    let (mut refused, mut still, mut harmless) = (0, 0, 0);
    for _ in 0..400 {
        let raw = run(&mut rng);
        let input = open(&raw, "h.jsonl");
        let made = certified(&input, Object::CasRegister);
        if !input.history.ops().any(|op| op.is_ok()) {
            assert_eq!(made, Err("the verdict is unknown: vacuous".into()));
            continue;
        }
        let good = made.unwrap();
        assert!(verify(&good, &raw).is_ok() && right(&good, &input), "{good}");
        for _ in 0..12 {
            let mut lines: Vec<Json> = good.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            let parts = lines.len() - 1;
            if parts == 0 {
                continue;
            }
            let part = 1 + rng.below(parts as u64) as usize;
            let other = 1 + rng.below(parts as u64) as usize;
            let mut order = lines[part]["order"].as_array().unwrap().clone();
            let (a, b) = (rng.below(order.len() as u64) as usize, rng.below(order.len() as u64) as usize);
            match rng.below(6) {
                0 => order.swap(a, b),
                1 => drop(order.remove(a)),
                2 => order.insert(b, order[a].clone()),
                3 => order[a] = json!(order[a].as_u64().unwrap() + 1),
                4 => {
                    let moved = order.remove(a);
                    lines[part]["order"] = json!(order);
                    let mut to = lines[other]["order"].as_array().unwrap().clone();
                    to.push(moved);
                    lines[other]["order"] = json!(to);
                    order = lines[part]["order"].as_array().unwrap().clone();
                }
                _ => lines[part]["key"] = json!("elsewhere"),
            }
            lines[part]["order"] = json!(order);
            let spoilt: String = lines.iter().map(|l| format!("{l}\n")).collect();
            let verified = verify(&spoilt, &raw);
            match (&verified, right(&spoilt, &input)) {
                (Err(_), false) => refused += 1,
                (Ok(_), true) if spoilt == good => harmless += 1,
                (Ok(_), true) => still += 1,
                (found, truth) => panic!("{found:?}, but {truth}\n{spoilt}{}", String::from_utf8_lossy(&raw)),
            }
        }
        clean(&input.path);
    }
    assert!(refused > 2_000 && still > 50 && harmless > 0, "{refused} refused, {still} still right");
}

/// A spoilt history with the hash made to fit: what is left of the proof is the replay.
#[test]
fn a_history_that_was_tampered_with_is_refused() {
    let mut rng = Rng::new(22, "tampered");
    let (mut refused, mut still) = (0, 0);
    for _ in 0..300 {
        let raw = run(&mut rng);
        let input = open(&raw, "h.jsonl");
        let Ok(good) = certified(&input, Object::CasRegister) else {
            assert!(!input.history.ops().any(|op| op.is_ok()));
            continue;
        };
        clean(&input.path);
        let mut lines: Vec<Json> =
            raw.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
        let reads: Vec<usize> =
            (0..lines.len()).filter(|i| lines[*i]["type"] == "ok" && lines[*i]["f"] == "read").collect();
        let Some(i) = rng.pick(&reads) else { continue };
        lines[*i]["value"] = json!(rng.below(5));
        let bad: Vec<u8> = lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect();
        if bad == raw {
            continue;
        }
        assert!(verify(&good, &bad).unwrap_err().starts_with("the history is another one"));
        let hash =
            |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect() };
        let rehashed = good.replace(&hash(&raw), &hash(&bad));
        let tampered = open(&bad, "h.jsonl");
        let truth = right(&rehashed, &tampered);
        clean(&tampered.path);
        assert_eq!(verify(&rehashed, &bad).is_ok(), truth, "{rehashed}");
        if truth { still += 1 } else { refused += 1 }
    }
    assert!(refused > 80, "{refused} refused, {still} still right");
}

#[test]
fn every_object_has_certificates() {
    let cases = [
        (Object::Register, "p0 write x 1 |--|\n p1 read x 1    |--|\n p1 read y nil        |-|"),
        (Object::CasRegister, "p0 write x 1 |--|\n p1 cas x 1 2      |--|\n p2 cas! x 1 3             |-|"),
        (
            Object::Counter,
            "p0 read c nil |--|\n p1 add c 2      |--|\n p2 add c -1         |-?\n p1 read c 1              |-|",
        ),
        (Object::List, "p0 append l 1 |--|\n p1 append l 2     |--|\n p2 read l [1 2]           |-|"),
        (Object::Queue, "p0 enqueue q 1 |--|\n p1 dequeue q 1     |--|\n p2 dequeue q empty          |-|"),
        (Object::Mutex, "p0 acquire m |--|\n p0 release m       |--|\n p2 acquire m             |-|"),
        (
            Object::Set,
            "p0 add s 1 |--|\n p1 read s [1]     |--|\n p2 remove s 1             |-|\n p2 read s []                  |-|",
        ),
        (Object::Set, "p0 add s 1 |--|\n p1 add s 2 |--|\n p2 remove s 1             |-|"),
    ];
    for (object, notation) in cases {
        let raw = jsonl(notation);
        let input = open(&raw, "h.jsonl");
        let good = certified(&input, object).unwrap_or_else(|e| panic!("{object:?}: {e}"));
        clean(&input.path);
        let says = verify(&good, &raw).unwrap();
        assert!(says.contains("replay as a"), "{says}");
        // Backwards, no order of these holds.
        let backwards: Vec<Json> = good
            .lines()
            .map(|l| {
                let mut line: Json = serde_json::from_str(l).unwrap();
                if let Some(order) = line.get_mut("order").and_then(Json::as_array_mut) {
                    order.reverse();
                }
                line
            })
            .collect();
        let spoilt: String = backwards.iter().map(|l| format!("{l}\n")).collect();
        let single = good.lines().skip(1).all(|l| !l.contains(','));
        assert_eq!(verify(&spoilt, &raw).is_ok(), single && spoilt == good, "{object:?}: {spoilt}");
    }
}

#[test]
fn other_formats_with_one_event_a_line() {
    let edn = "[{:process 7, :type :invoke, :f :write, :value 2, :error \"a \\\"b\"}\n {:process 7, :type :ok, :f :write, :value 2}\n \
               {:process :nemesis, :type :info, :f :start, :value nil}\n {:process 1, :type :invoke, :f :cas, :value [2 4]}\n \
               {:process 1, :type :ok, :f :cas, :value [2 4]}\n {:process 1, :type :invoke, :f :read, :value nil}\n \
               {:process 1, :type :ok, :f :read, :value 4}]\n";
    let tuples = "{:process 0, :type :invoke, :f :write, :value [\"a\" 1]}\n{:process 0, :type :ok, :f :write, :value [\"a\" 1]}\n\
                  {:process 0, :type :invoke, :f :read, :value [\"a\" nil]}\n{:process 0, :type :ok, :f :read, :value [\"a\" 1]}\n\
                  {:process 0, :type :invoke, :f :read, :value [:b nil]}\n{:process 0, :type :ok, :f :read, :value [:b nil]}\n";
    let log = "INFO  jepsen.util - 4\t:invoke\t:read\tnil\nINFO  jepsen.util - 4\t:ok\t:read\tnil\nINFO  something else\n\
               INFO  jepsen.util - 1\t:invoke\t:write\t1\nINFO  jepsen.util - 3\t:invoke\t:cas\t[2 1]\n\
               INFO  jepsen.util - 3\t:fail\t:cas\t[2 1]\nINFO  jepsen.util - 1\t:info\t:write\t:timed-out\n";
    let txt = "0\t:invoke\t:write\t3\n0\t:ok\t:write\t3\n:nemesis\t:info\t:start\tnil\n1\t:invoke\t:read\tnil\n1\t:ok\t:read\t3\n";
    let elle = "[{\"index\":0,\"time\":1,\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"value\":[\"x\",1]},\n\
                {\"index\":1,\"time\":2,\"type\":\"ok\",\"process\":0,\"f\":\"write\",\"value\":[\"x\",1]},\n\
                {\"index\":2,\"time\":3,\"type\":\"invoke\",\"process\":0,\"f\":\"read\",\"value\":[\"x\",null]},\n\
                {\"index\":3,\"time\":4,\"type\":\"ok\",\"process\":0,\"f\":\"read\",\"value\":[\"x\",1]}]\n";
    let records = "; a comment\n#jepsen.history.Op{:index 0, :time 5, :type :invoke, :process 0, :f :write, :value 1}\n\
                   #jepsen.history.Op{:index 1, :time 5, :type :ok, :process 0, :f :write, :value 1}\n";
    let cases = [
        ("h.edn", edn),
        ("t.edn", tuples),
        ("h.log", log),
        ("h.txt", txt),
        ("e.json", elle),
        ("r.edn", records),
    ];
    for (name, raw) in cases {
        let input = open(raw.as_bytes(), name);
        let good = certified(&input, Object::CasRegister).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(verify(&good, raw.as_bytes()).is_ok(), "{name}");
        clean(&input.path);
    }
    let broken =
        "{:process 0, :type :invoke,\n :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n";
    let input = open(broken.as_bytes(), "b.edn");
    let why = certified(&input, Object::CasRegister).unwrap_err();
    assert!(why.contains("line 1") && why.contains("schism convert"), "{why}");
    clean(&input.path);
}

/// A read of the same moment as the end of a write may come before it, whatever their lines.
#[test]
fn equal_time_stamps_are_concurrent_in_files_of_others() {
    let event = |process: u32, kind: &str, f: &str, value: &str, time: &str| {
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}{time}}}\n")
    };
    let file = |at: [&str; 4]| {
        let all = [
            ("write", 0, "invoke", "1"),
            ("write", 0, "ok", "1"),
            ("read", 1, "invoke", "nil"),
            ("read", 1, "ok", "nil"),
        ];
        all.iter()
            .zip(at)
            .map(|((f, process, kind, value), at)| event(*process, kind, f, value, at))
            .collect::<String>()
    };
    let raw = file([", :time 1", ", :time 5", ", :time 5", ", :time 9"]);
    let input = open(raw.as_bytes(), "h.edn");
    let good = certified(&input, Object::Register).unwrap();
    clean(&input.path);
    let says = verify(&good, raw.as_bytes()).unwrap();
    assert!(
        says.ends_with("as a register, initially null; events of one time stamp are concurrent"),
        "{says}"
    );
    let by_line = good.replace("\"order\":\"time\"", "\"order\":\"line\"");
    let why = verify(&by_line, raw.as_bytes()).unwrap_err();
    assert_eq!(why, "the call of line 1 had ended before one that stands before it began");
    let other = file([", :time 1", ", :time 5", "", ", :time 9"]);
    let hash = |bytes: &str| Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let why = verify(&good.replace(&hash(&raw), &hash(&other)), other.as_bytes()).unwrap_err();
    assert_eq!(why, "line 3 of the history has no time stamp to order it by");
}

/// An operation a line, with both its times.
#[test]
fn operations_of_etcd_have_certificates() {
    let line = |client: u32, input: &str, output: &str, at: [u64; 2]| {
        let [call, back] = at;
        format!(r#"{{"ClientId":{client},"Input":{input},"Call":{call},"Output":{output},"Return":{back}}}"#)
            + "\n"
    };
    let put = |value: &str| {
        format!(r#"{{"Type":"put-operation","Put":{{"Key":"k","Value":{{"Value":"{value}"}}}}}}"#)
    };
    let write = |value: &str| {
        format!(
            r#"{{"Type":"txn","Txn":{{"Conditions":null,"OperationsOnSuccess":[{}],"OperationsOnFailure":null}}}}"#,
            put(value)
        )
    };
    let txn = |revision: u32, value: &str| {
        let condition = format!(r#"{{"Key":"k","ExpectedRevision":{revision}}}"#);
        let change = put(value);
        format!(
            r#"{{"Type":"txn","Txn":{{"Conditions":[{condition}],"OperationsOnSuccess":[{change}],"OperationsOnFailure":[]}}}}"#
        )
    };
    let range = r#"{"Type":"range","Range":{"Start":"k","End":"","Revision":0}}"#;
    let is = |value: &str| {
        format!(
            r#"{{"Range":{{"KVs":[{{"Key":"k","Value":{{"Value":"{value}"}},"ModRevision":2}}],"Count":1}}}}"#
        )
    };
    let done = |failure: bool, revision: u32| {
        format!(r#"{{"Txn":{{"Failure":{failure},"Results":[{{}}]}},"Revision":{revision}}}"#)
    };
    let registers = [
        line(1, &write("a"), &done(false, 2), [10, 30]),
        line(2, range, &is("a"), [20, 40]),
        line(2, &write("b"), r#"{"Error":"timeout"}"#, [50, i64::MAX as u64]),
        line(1, range, &is("a"), [51, 60]),
        line(1, range, &is("b"), [60, 70]),
        line(3, &write("c"), r#"{"ClientError":"never sent"}"#, [60, 70]),
    ]
    .concat();
    let entries = [
        line(1, &txn(0, "a"), &done(false, 2), [10, 20]),
        line(2, &txn(0, "b"), &done(true, 2), [30, 40]),
        line(1, &txn(2, "b"), &done(false, 3), [50, 60]),
        line(1, range, &is("b"), [70, 80]),
    ]
    .concat();
    for (object, raw, calls) in [(Object::Register, &registers, 5), (Object::VersionedKv, &entries, 4)] {
        let input = open(raw.as_bytes(), "h.json");
        let good = certified(&input, object).unwrap_or_else(|e| panic!("{e}"));
        clean(&input.path);
        let says = verify(&good, raw.as_bytes()).unwrap();
        assert!(says.starts_with(&format!("{calls} calls in 1 orders")), "{says}");
        let order = good.rsplit_once("\"order\":[").unwrap().1.split(']').next().unwrap();
        let mut lines: Vec<&str> = order.split(',').collect();
        lines.reverse();
        let why = verify(&good.replace(order, &lines.join(",")), raw.as_bytes()).unwrap_err();
        assert!(why.contains("had ended before one") || why.contains("could not be answered so"), "{why}");
    }
}

/// A number that is rounded when it is read may be taken for another.
#[test]
fn numbers_that_are_not_exact_have_no_certificate() {
    let raw = jsonl("p0 write x 1 |--|").iter().map(|b| *b as char).collect::<String>();
    let raw = raw.replace("\"value\":1", "\"value\":123456789012345678901234567890");
    let input = open(raw.as_bytes(), "h.jsonl");
    let why = certified(&input, Object::Register).unwrap_err();
    clean(&input.path);
    assert!(why.contains("has a number that cannot be compared exactly"), "{why}");
}
