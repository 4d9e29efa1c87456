//! Certificates, models and first values as a user meets them.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn run_in(args: &[&str], directory: &Path) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_schism"))
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn with_files(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The notation of tests as JSON lines.
fn jsonl(notation: &str) -> String {
    let mut bytes = Vec::new();
    let history = history::text::parse(notation).unwrap();
    history::formats::named("jsonl").unwrap().write(&history, &mut bytes).unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

const GOOD: &str = "p0 write x 1 |--|
p1 read x 1       |--|
p2 write y 7   |--|
p1 cas! x 2 3          |--|";

const STALE: &str = "p0 write x 1 |--|
p0 write x 2      |--|
p1 read x 1            |--|";

#[test]
fn a_certificate_is_written_and_followed() {
    let directory = with_files(&[("h.jsonl", &jsonl(GOOD))]);
    let (code, stdout, stderr) = run_in(&["check", "h.jsonl", "--certificate", "h.cert"], directory.path());
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(
        stdout,
        "h.jsonl: valid\n  No violation of: linearizable.\n  \
         cas-register, initially nil, jsonl: 4 ok, 0 fail, 0 info, 2 keys\n  certificate h.cert\n"
    );
    let certificate = fs::read_to_string(directory.path().join("h.cert")).unwrap();
    let lines: Vec<Value> = certificate.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{certificate}");
    assert_eq!((&lines[0]["certificate"], &lines[0]["spec"]), (&Value::from(1), &Value::from("register")));
    let (code, stdout, stderr) = run_in(&["verify-certificate", "h.cert"], directory.path());
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(stdout, "h.jsonl: verified: 4 calls in 2 orders replay as a register, initially null\n");
}

#[test]
fn a_spoilt_certificate_or_history_is_rejected() {
    let raw = jsonl(GOOD);
    let directory = with_files(&[("h.jsonl", &raw)]);
    run_in(&["check", "h.jsonl", "--certificate", "h.cert"], directory.path());
    let good = fs::read_to_string(directory.path().join("h.cert")).unwrap();
    // The order of x: the lines of its three calls.
    let order = good.lines().find(|l| l.contains("\"x\"")).unwrap();
    let numbers = order.split(['[', ']']).nth(1).unwrap();
    let calls: Vec<&str> = numbers.split(',').collect();
    assert_eq!(calls.len(), 3, "{order}");
    let with = |list: String| good.replace(&format!("[{numbers}]"), &format!("[{list}]"));
    let cases = [
        (with(format!("{},{}", calls[0], calls[1])), "was answered and is in no order"),
        (with(format!("{numbers},{}", calls[2])), "is in the order twice"),
        (
            with(format!("{},{},{}", calls[1], calls[0], calls[2])),
            "could not be answered so by a register there",
        ),
        (
            with(format!("{},{},{}", calls[0], calls[2], calls[1])),
            "had ended before one that stands before it began",
        ),
        (with(format!("{numbers},99")), "the call of line 99 does not exist"),
        (good.replace("\"x\"", "\"z\""), "is of another key"),
        (
            good.replace("\"spec\":\"register\"", "\"spec\":\"queue\""),
            "could not be answered so by a queue there",
        ),
        (format!("{good}{order}\n"), "key \"x\" null has two orders"),
        ("nonsense\n".into(), "line 1 of the certificate is no JSON"),
        ("{\"schism\":1}\n".into(), "its first line is not that of a certificate"),
    ];
    for (text, why) in cases {
        fs::write(directory.path().join("bad.cert"), &text).unwrap();
        let (code, stdout, stderr) = run_in(&["verify-certificate", "bad.cert", "h.jsonl"], directory.path());
        assert_eq!(code, 1, "{why}: {stdout}{stderr}\n{text}");
        assert!(stdout.starts_with("bad.cert: rejected: ") && stdout.contains(why), "{why}: {stdout}");
    }
    let line = raw.lines().find(|l| l.contains("\"ok\"") && l.contains("read")).unwrap();
    let tampered = raw.replace(line, &line.replace("\"value\":1", "\"value\":2"));
    assert_ne!(tampered, raw);
    fs::write(directory.path().join("other.jsonl"), tampered).unwrap();
    let (code, stdout, _) = run_in(&["verify-certificate", "h.cert", "other.jsonl"], directory.path());
    assert!(code == 1 && stdout.contains("the history is another one: its sha256 is "), "{stdout}");
}

#[test]
fn without_a_valid_verdict_there_is_no_certificate() {
    let directory = with_files(&[("bad.jsonl", &jsonl(STALE)), ("h.jsonl", &jsonl(GOOD))]);
    let (code, stdout, _) = run_in(&["check", "bad.jsonl", "--certificate", "c"], directory.path());
    assert_eq!(code, 1);
    assert!(stdout.contains("no certificate c: the verdict is invalid: stale read"), "{stdout}");
    assert!(!directory.path().join("c").exists());
    let cases: [(&[&str], &str); 4] = [
        (
            &["check", "h.jsonl", "bad.jsonl", "--certificate", "c"],
            "--certificate is for one history, not for 2",
        ),
        (&["verify-certificate", "nowhere"], "nowhere: "),
        (&["verify-certificate", "h.jsonl"], "it names no history that is there"),
        (&["verify-certificate", "h.jsonl", "nowhere"], "nowhere: "),
    ];
    for (args, expected) in cases {
        let (code, _, stderr) = run_in(args, directory.path());
        assert!(code == 254 && stderr.contains(expected), "{args:?}: {code} {stderr}");
    }
    let multi =
        "{:process 0, :type :invoke,\n :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n";
    fs::write(directory.path().join("m.edn"), multi).unwrap();
    let (code, stdout, _) = run_in(&["check", "m.edn", "--certificate", "c"], directory.path());
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("line 1 of the history is no single event (jepsen-edn)"), "{stdout}");
    assert!(stdout.contains("`schism convert` writes JSON lines"), "{stdout}");
    assert!(!directory.path().join("c").exists());
}

/// For each object: calls that have an order, what the verifier says of the object, and what it says of that order
/// backwards.
const OBJECTS: [(&str, &str, &str, &str); 19] = [
    (
        "register",
        "p0 write x 1 |--|\np1 read x 1  |--|",
        "a register, initially null",
        "could not be answered so by a register",
    ),
    (
        "cas-register",
        "p0 write x 1 |--|\np1 cas x 1 2 |--|",
        "a register, initially null",
        "could not be answered so by a register",
    ),
    ("set", "p0 add s 1      |--|\np1 remove s 1 true |--|", "a set", "could not be answered so by a set"),
    ("set", "p0 add s 1      |--|\np1 read s [1]   |--|", "a set", "could not be answered so by a set"),
    (
        "counter",
        "p0 add c 2      |--|\np1 read c 2     |--|",
        "a counter",
        "could not be answered so by a counter",
    ),
    (
        "list",
        "p0 append l 1      |--|\np1 read l [1]     |--|",
        "a list",
        "could not be answered so by a list",
    ),
    (
        "queue",
        "p0 enqueue q 1    |--|\np1 dequeue q 1    |--|",
        "a queue",
        "could not be answered so by a queue",
    ),
    (
        "stack",
        "p0 push s 1      |--|\np1 pop s 1       |--|",
        "a stack",
        "could not be answered so by a stack",
    ),
    (
        "priority-queue",
        "p0 add q 1      |--|\np1 add q 2      |--|\np2 poll q 2     |--|\np3 poll q 1     |--|",
        "a priority-queue",
        "could not be answered so by a priority-queue",
    ),
    (
        "lock",
        "p0 acquire m |---|\np0 release m      |-----|\np1 acquire m   |---------|",
        "a lock",
        "could not be answered so by a lock",
    ),
    (
        "multi-register:0",
        "p0 txn - [r x 0] [w y 1] |---|\np1 txn - [r y 1] [w x 2]  |---|\np2 txn - [w z 1]           |---|",
        "a multi-register, initially 0",
        "could not be answered so by a multi-register",
    ),
    (
        "max-register",
        "p0 write x 5 |--|\np1 read x 5  |--|",
        "a max-register",
        "could not be answered so by a max-register",
    ),
    (
        "reentrant-lock:2",
        "p0 acquire m |--|\np0 acquire m     |--|\np0 release m         |--|",
        "a reentrant-lock:2",
        "could not be answered so by a reentrant-lock",
    ),
    (
        "fenced-lock",
        "p0 acquire m 3 |---|\np0 release m        |-----|\np1 acquire m 4   |---------|",
        "a fenced-lock",
        "could not be answered so by a fenced-lock",
    ),
    (
        "semaphore:2",
        "p0 acquire m |--|\np1 acquire m |--|\np2 release m |--|",
        "a semaphore:2",
        "could not be answered so by a semaphore",
    ),
    (
        "versioned-kv",
        "p0 put k a 3    |-------|\np1 cas k 3 b    |-------|\np2 delete k 3 false |---|",
        "a versioned-kv",
        "could not be answered so by a versioned-kv",
    ),
    (
        "unique-ids",
        "p0 generate - 1 |--|\np1 generate - 2   |--|\np1 generate - 3       |--|",
        "a unique-ids",
        "had ended before one",
    ),
    (
        "kv",
        "p0 write k a   |--|\np1 append k b  |--|\np2 read k ab   |--|",
        "a kv",
        "could not be answered so by a kv",
    ),
    (
        "register",
        "p0 read x nil |-----|\np1 write x 1    |--|",
        "a register, initially null",
        "could not be answered so by a register",
    ),
];

#[test]
fn every_object_has_certificates_and_spoilt_ones_are_rejected() {
    let (_, listed, _) = run_in(&["list", "specs"], Path::new("."));
    let names: Vec<&str> = listed.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() > 16, "{listed}");
    for name in names {
        assert!(OBJECTS.iter().any(|o| o.0.split(':').next() == Some(name)), "{name} is not tried");
    }
    for (spec, notation, says, backwards) in OBJECTS {
        let raw = jsonl(notation);
        let directory = with_files(&[("h.jsonl", &raw), ("other.jsonl", &format!("{raw}\n"))]);
        let verified = |text: &str, history: &str| {
            fs::write(directory.path().join("c"), text).unwrap();
            run_in(&["verify-certificate", "c", history], directory.path())
        };
        let (code, stdout, stderr) =
            run_in(&["check", "h.jsonl", "--spec", spec, "--certificate", "c"], directory.path());
        assert!(code == 0 && stdout.ends_with("  certificate c\n"), "{spec}: {stdout}{stderr}");
        let good = fs::read_to_string(directory.path().join("c")).unwrap();
        let (code, stdout, _) = verified(&good, "h.jsonl");
        assert_eq!(code, 0, "{spec}: {stdout}");
        let calls = notation.lines().count();
        assert_eq!(stdout, format!("h.jsonl: verified: {calls} calls in 1 orders replay as {says}\n"));
        // The last list of numbers is the order.
        let (head, tail) = good.rsplit_once('[').unwrap();
        let (order, tail) = tail.split_once(']').unwrap();
        let lines: Vec<&str> = order.split(',').collect();
        let with = |lines: Vec<&str>| format!("{head}[{}]{tail}", lines.join(","));
        let cases = [
            (with(lines.iter().rev().copied().collect()), "h.jsonl", backwards),
            (with(lines[..calls - 1].to_vec()), "h.jsonl", "was answered and is in no order"),
            (with([&lines[..], &lines[..1]].concat()), "h.jsonl", "is in the order twice"),
            (good.clone(), "other.jsonl", "the history is another one: its sha256 is "),
            (
                good.replace("\"spec\":\"", "\"spec\":\"no-"),
                "h.jsonl",
                "its header names an object that is not known here: no-",
            ),
        ];
        for (text, history, why) in cases {
            let (code, stdout, _) = verified(&text, history);
            assert!(code == 1 && stdout.starts_with("c: rejected: "), "{spec}: {why}: {stdout}");
            assert!(stdout.contains(why), "{spec}: {why}: {stdout}");
        }
    }
}

/// Another parameter is another question, and the answer to it is no.
#[test]
fn the_parameter_of_an_object_is_in_its_certificate() {
    let cases = [
        ("semaphore:2", "\"parameter\":2", "\"parameter\":1", "semaphore"),
        ("reentrant-lock:2", "\"parameter\":2", "\"parameter\":1", "reentrant-lock"),
        ("multi-register:0", "\"init\":0", "\"init\":null", "multi-register"),
    ];
    for (spec, from, to, noun) in cases {
        let (_, notation, ..) = OBJECTS.iter().find(|o| o.0 == spec).unwrap();
        let directory = with_files(&[("h.jsonl", &jsonl(notation))]);
        run_in(&["check", "h.jsonl", "--spec", spec, "--certificate", "c"], directory.path());
        let good = fs::read_to_string(directory.path().join("c")).unwrap();
        assert!(good.contains(from), "{good}");
        fs::write(directory.path().join("c"), good.replace(from, to)).unwrap();
        let (code, stdout, _) = run_in(&["verify-certificate", "c"], directory.path());
        assert!(
            code == 1 && stdout.contains(&format!("could not be answered so by a {noun} there")),
            "{stdout}"
        );
    }
}

#[test]
fn a_first_value_that_was_found_is_named() {
    let cases = [
        ("p0 read x 4 |--|\np1 cas x 4 5     |--|", "initially 4"),
        ("p0 cas! x nil 1 |--|\np1 write x 2         |--|", "initially \"unmentioned 0\""),
        ("p0 cas x 7 8 |--?\np1 read x 8       |--|\np2 cas! x 7 9         |--|", "initially 7"),
        ("p0 cas x 7 8 |--?\np1 read x 7       |--|\np2 read x 8         |--|", "initially 7"),
        ("p0 write x 1 |--|\np1 read x 1       |--|", "initially null"),
        (
            "p0 read x 4 |--|\np1 read y 5 |--|\np2 read z nil |--|",
            "initially null, but 4 in key \"x\", 5 in key \"y\", null in key \"z\"",
        ),
    ];
    for (notation, says) in cases {
        let directory = with_files(&[("h.jsonl", &jsonl(notation))]);
        let (code, stdout, stderr) =
            run_in(&["check", "h.jsonl", "--init", "any", "--certificate", "c"], directory.path());
        assert!(code == 0 && stdout.ends_with("  certificate c\n"), "{notation}: {stdout}{stderr}");
        let (code, stdout, _) = run_in(&["verify-certificate", "c"], directory.path());
        assert!(code == 0 && stdout.ends_with(&format!("as a register, {says}\n")), "{notation}: {stdout}");
        // From another first value the calls that saw it have no order.
        if says.starts_with("initially 4") {
            let good = fs::read_to_string(directory.path().join("c")).unwrap();
            fs::write(directory.path().join("c"), good.replace("\"init\":4", "\"init\":5")).unwrap();
            let (code, stdout, _) = run_in(&["verify-certificate", "c"], directory.path());
            assert!(code == 1 && stdout.contains("could not be answered so by a register"), "{stdout}");
        }
    }
}

/// What has several calls on a line, or a call on several, has none, and the message says what to do.
#[test]
fn whole_file_formats_are_sent_to_convert() {
    let event = |kind: &str| format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"write\",\"value\":1}}");
    let whole = format!("[{},{}]\n", event("invoke"), event("ok"));
    let directory = with_files(&[("h.json", &whole)]);
    let (code, stdout, _) = run_in(&["check", "h.json", "--certificate", "c"], directory.path());
    assert_eq!(code, 0, "{stdout}");
    let says = "no certificate c: line 1 of the history is no single event (elle-json); `schism convert` writes JSON lines";
    assert!(stdout.contains(says), "{stdout}");
    run_in(&["convert", "h.json", "h.jsonl"], directory.path());
    let (_, stdout, _) = run_in(&["check", "h.jsonl", "--certificate", "c"], directory.path());
    assert!(stdout.contains("  certificate c\n"), "{stdout}");
    let text = "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}\n{:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0 0 y\"}\n\
                {:process 0, :type :invoke, :f :get, :key \"0\", :value nil}\n{:process 0, :type :ok, :f :get, :key \"0\", :value \"x 0 0 y\"}\n";
    fs::write(directory.path().join("p.txt"), text).unwrap();
    run_in(&["check", "p.txt", "--certificate", "c"], directory.path());
    let (code, stdout, _) = run_in(&["verify-certificate", "c"], directory.path());
    assert!(code == 0 && stdout.contains("p.txt: verified: 2 calls in 1 orders replay as a kv"), "{stdout}");
}

#[test]
fn all_models_are_a_table() {
    let directory = with_files(&[("h.jsonl", &jsonl(STALE))]);
    let (code, stdout, stderr) = run_in(&["check", "h.jsonl", "--model", "all"], directory.path());
    assert_eq!(code, 1, "{stdout}{stderr}");
    let table: Vec<&str> = stdout.lines().filter(|l| l.contains("valid  ") || l.contains("valid ")).collect();
    let verdicts: Vec<(&str, &str)> =
        ["linearizable", "sequential", "2-atomic", "delta-atomic", "regular", "safe"]
            .into_iter()
            .map(|model| {
                let row = table
                    .iter()
                    .find(|l| l.trim_start().starts_with(model))
                    .unwrap_or_else(|| panic!("{stdout}"));
                (model, row.split_whitespace().nth(1).unwrap())
            })
            .collect();
    assert_eq!(
        verdicts,
        [
            ("linearizable", "invalid"),
            ("sequential", "valid"),
            ("2-atomic", "valid"),
            ("delta-atomic", "valid"),
            ("regular", "invalid"),
            ("safe", "invalid")
        ]
    );
    assert!(stdout.contains("no read was more than 2.0 µs stale (Δ = 2000 ns, key x"), "{stdout}");
    assert!(
        stdout.ends_with("strongest that hold: sequential, 2-atomic, delta-atomic; weakest refuted: safe\n"),
        "{stdout}"
    );
    let (code, stdout, _) =
        run_in(&["check", "h.jsonl", "--model", "sequential,2-atomic", "--json"], directory.path());
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let run = &document["runs"][0];
    assert_eq!((code, &run["verdict"]), (0, &Value::from("valid")));
    assert_eq!(run["strongest"], serde_json::json!(["sequential", "2-atomic"]));
    assert_eq!(run["init"], "nil");
    let queue = jsonl("p0 enqueue q 1 |--|\np1 dequeue q 1     |--|");
    fs::write(directory.path().join("q.jsonl"), queue).unwrap();
    let (code, stdout, _) = run_in(&["check", "q.jsonl", "--model", "all"], directory.path());
    assert_eq!(code, 0);
    assert!(stdout.contains("strongest that hold: linearizable; weakest refuted: none"), "{stdout}");
    let cases = [
        (
            ["--model", "regular"],
            "q.jsonl: --model regular is for registers; for a queue there are linearizable, sequential",
        ),
        (["--model", "linearisable"], "did you mean \"linearizable\""),
        (["--init", "4"], "q.jsonl: --init is for registers, and this is a queue"),
        (["--init", "[4"], "--init takes a JSON value (3, \"a\", null) or any, not \"[4\""),
    ];
    for (flags, expected) in cases {
        let (code, _, stderr) = run_in(&[&["check", "q.jsonl"], &flags[..]].concat(), directory.path());
        assert!(code == 254 && stderr.contains(expected), "{flags:?}: {stderr}");
    }
}

#[test]
fn the_first_value_is_asked_for_and_printed() {
    let early = jsonl("p0 read x 4 |--|\np1 cas x 4 5     |--|\np0 read x 5           |--|");
    let text = jsonl("p0 read x a |--|");
    let directory = with_files(&[("h.jsonl", &early), ("t.jsonl", &text)]);
    let cases: [(&[&str], i32, &str); 7] = [
        (&["h.jsonl"], 1, "cas-register, initially nil, jsonl"),
        (&["h.jsonl", "--init", "4"], 0, "cas-register, initially 4, jsonl"),
        (&["h.jsonl", "--init", "5"], 1, "cas-register, initially 5, jsonl"),
        (&["h.jsonl", "--init", "any"], 0, "cas-register, initially any value, jsonl"),
        (&["h.jsonl", "--init", "4", "--model", "all"], 0, "strongest that hold: linearizable"),
        (&["t.jsonl", "--init", "\"a\""], 0, "register, initially \"a\", jsonl"),
        (&["t.jsonl", "--init", "\"b\""], 1, "register, initially \"b\", jsonl"),
    ];
    for (args, expected, says) in cases {
        let (code, stdout, stderr) = run_in(&[&["check"], args].concat(), directory.path());
        assert_eq!(code, expected, "{args:?}: {stdout}{stderr}");
        assert!(stdout.contains(says), "{args:?}: {stdout}");
    }
    let (_, stdout, _) = run_in(&["check", "h.jsonl", "--init", "4", "--certificate", "c"], directory.path());
    assert!(stdout.contains("certificate c"), "{stdout}");
    let (code, stdout, _) = run_in(&["verify-certificate", "c"], directory.path());
    assert!(code == 0 && stdout.contains("initially 4"), "{stdout}");
}
