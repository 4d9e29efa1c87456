//! Files made to exhaust the reader: each ends in an error that names the limit, or in a verdict, in little memory.
//!
//! Generated here, never committed. Memory is the kernel's own high-water mark of the process, looked at until it
//! ends; time is not asserted.
//! The ones that take seconds are `#[ignore]`d as slow.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Resident bytes that no bomb may reach.
const MOST: u64 = 300 << 20;

struct Bomb {
    name: &'static str,
    make: fn(&mut dyn Write),
    /// Length of the file, the rest being zeros that take no space.
    sparse: u64,
    code: i32,
    says: &'static str,
}

fn bomb(name: &'static str, code: i32, says: &'static str, make: fn(&mut dyn Write)) -> Bomb {
    Bomb { name, make, sparse: 0, code, says }
}

fn set_off(bombs: &[Bomb]) {
    let directory = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for bomb in bombs {
        let path = directory.path().join(bomb.name);
        let mut out = BufWriter::new(File::create(&path).unwrap());
        (bomb.make)(&mut out);
        out.flush().unwrap();
        if bomb.sparse > 0 {
            out.get_ref().set_len(bomb.sparse).unwrap();
        }
        drop(out);
        let (code, text, peak) = check(&["--threads", "1", bomb.name], directory.path());
        let _ = writeln!(std::io::stderr(), "{}: exit {code}, {} MiB", bomb.name, peak >> 20);
        if code != bomb.code || !text.contains(bomb.says) || peak >= MOST || text.contains("panicked") {
            let text: String = text.chars().take(600).collect();
            wrong.push(format!("{}: exit {code}, {} MiB: {text}", bomb.name, peak >> 20));
        }
        fs::remove_file(&path).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The exit code, all that was said, and the most memory that was resident.
fn check(args: &[&str], directory: &Path) -> (i32, String, u64) {
    let said = directory.join("said");
    let out = File::create(&said).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_schism"))
        .arg("check")
        .args(args)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .stdout(Stdio::from(out.try_clone().unwrap()))
        .stderr(Stdio::from(out))
        .spawn()
        .expect("the binary runs");
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(&child).unwrap_or(0));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let text = fs::read(&said).unwrap();
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned(), peak)
}

/// Bytes that were resident at most so far; nothing once the process has ended.
fn high_water(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

fn put(out: &mut dyn Write, text: impl AsRef<[u8]>) {
    out.write_all(text.as_ref()).expect("the disk takes it");
}

fn line(out: &mut dyn Write, process: u64, time: u64, kind: &str, f: &str, key: u64, value: &str) {
    let text = format!(
        "{{\"process\":{process},\"time\":{time},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{value}}}\n"
    );
    put(out, text);
}

/// A write of one value and a read that sees it.
fn written_and_read(out: &mut dyn Write, value: &str) {
    line(out, 0, 1, "invoke", "write", 1, value);
    line(out, 0, 2, "ok", "write", 1, value);
    line(out, 0, 3, "invoke", "read", 1, "null");
    line(out, 0, 4, "ok", "read", 1, value);
}

/// `times` packed pieces one after the other are what unpacks to as many times the piece.
fn packed(out: &mut dyn Write, piece: &[u8], times: usize, gzip: bool) {
    let member = match gzip {
        true => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(piece).unwrap();
            encoder.finish().unwrap()
        }
        false => zstd::encode_all(piece, 19).unwrap(),
    };
    (0..times).for_each(|_| put(out, &member));
}

const PIECE: usize = 16 << 20;

fn lines_of_a_piece() -> Vec<u8> {
    let mut piece = Vec::new();
    while piece.len() < PIECE {
        line(&mut piece, 0, 1, "invoke", "read", 1, "null");
        line(&mut piece, 0, 1, "ok", "read", 1, "null");
    }
    piece
}

#[test]
fn small_bombs_end_in_an_error_that_names_the_limit_or_in_a_verdict() {
    set_off(&[
        bomb("deep.edn", 254, "limit reached: nested deeper than 64 levels", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value ");
            put(out, "[".repeat(1_000_000));
        }),
        bomb("deep-tags.edn", 254, "limit reached: nested deeper than 64 levels", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value ");
            put(out, "#a ".repeat(1_000_000));
        }),
        bomb("deep.json", 254, "limit reached: nested deeper than 64 levels", |out| {
            put(out, "[{\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"value\":");
            put(out, "{\"a\":".repeat(1_000_000));
        }),
        bomb("deep.jsonl", 254, "limit reached: ", |out| {
            line(out, 0, 1, "invoke", "write", 1, &format!("{}{}", "[".repeat(400_000), "]".repeat(400_000)));
        }),
        bomb("deep.txt", 254, "limit reached: nested deeper than 64 levels", |out| {
            put(out, "0\t:invoke\t:write\t");
            put(out, "[".repeat(1_000_000));
            put(out, "\n");
        }),
        bomb("a-million-digits.jsonl", 0, "valid", |out| written_and_read(out, &"7".repeat(1_000_000))),
        bomb("ten-million-digits.jsonl", 254, "limit reached: a value of over 1048576 bytes", |out| {
            written_and_read(out, &"7".repeat(10_000_000));
        }),
        bomb("a-million-digits.edn", 254, "limit reached: a value of over 1048576 bytes", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value ");
            put(out, "7".repeat(2_000_000));
            put(out, "}\n");
        }),
        bomb("hex-of-a-million-digits.edn", 254, "1:47: ", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value 0x");
            put(out, "f".repeat(1_000_000));
            put(out, "}\n");
        }),
        bomb("eight-million-numbers.jsonl", 254, "limit reached: a value of over 1048576 bytes", |out| {
            line(out, 0, 1, "invoke", "write", 1, &format!("[0{}]", ",0".repeat(8_000_000)));
        }),
        bomb("eight-million-lists.edn", 254, "limit reached: a value of over 1048576 bytes", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value [");
            put(out, "[]".repeat(8_000_000));
            put(out, "]}\n");
        }),
        bomb("a-string-of-10-to-the-8.jsonl", 254, "limit reached: a line of over 16777216 bytes", |out| {
            put(out, "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":\"");
            (0..100).for_each(|_| put(out, "a".repeat(1_000_000)));
            put(out, "\"}\n");
        }),
        bomb("times-near-2-to-the-64.jsonl", 254, "18446744073709551615", |out| {
            line(out, 0, u64::MAX, "invoke", "read", 1, "null");
        }),
        bomb("times-near-2-to-the-63.jsonl", 0, "valid", |out| {
            let end = i64::MAX as u64;
            line(out, 0, 0, "invoke", "write", 1, "7");
            line(out, 0, end - 2, "ok", "write", 1, "7");
            line(out, 0, end - 1, "invoke", "read", 1, "null");
            line(out, 0, end, "ok", "read", 1, "7");
        }),
        bomb("a-run-until-2-to-the-63.jsonl", 2, "unknown: vacuous", |out| {
            put(
                out,
                "{\"schism\":1,\"tool\":\"t\",\"run\":\"r\",\"seed\":7,\"clock\":\"m\",\"nodes\":[],\"workload\":\"register\"}\n",
            );
            let end = i64::MAX as u64;
            line(out, 0, 0, "invoke", "write", 1, "7");
            line(out, 0, end - 2, "ok", "write", 1, "7");
            line(out, 0, end - 1, "invoke", "read", 1, "null");
            line(out, 0, end, "ok", "read", 1, "7");
        }),
        bomb("a-million-nodes.jsonl", 254, "limit reached: more than 254 nodes", |out| {
            put(
                out,
                "{\"schism\":1,\"tool\":\"t\",\"run\":\"r\",\"seed\":7,\"clock\":\"m\",\"nodes\":[\"n\"",
            );
            (0..1_000_000).for_each(|i| put(out, format!(",\"n{i}\"")));
            put(out, "]}\n");
        }),
        bomb("a-million-functions.jsonl", 254, "limit reached: more than 243 different functions", |out| {
            (0..1000).for_each(|i| line(out, i, i, "invoke", &format!("f{i}"), 1, "null"));
        }),
        bomb("header-fields.jsonl", 254, "duplicate field", |out| {
            put(out, "{\"schism\":1");
            (0..1_000_000).for_each(|_| put(out, ",\"seed\":1"));
            put(out, "}\n");
        }),
    ]);
}

#[test]
#[ignore = "slow: gigabytes that are not there"]
fn large_bombs_end_in_an_error_that_names_the_limit_or_in_a_verdict() {
    let sparse = |bomb: Bomb| Bomb { sparse: 4 << 30, ..bomb };
    set_off(&[
        sparse(bomb("a-line-of-4-gib.jsonl", 254, "limit reached: a line of over 16777216 bytes", |out| {
            put(out, "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":\"");
        })),
        sparse(bomb("a-string-of-4-gib.edn", 254, "limit reached: a form of over 16777216 bytes", |out| {
            put(out, "{:type :invoke, :process 0, :f :write, :value \"");
        })),
        sparse(bomb("a-comment-of-4-gib.edn", 254, "limit reached: a form of over 16777216 bytes", |out| {
            put(out, "{:type :invoke, :process 0, :f :read}\n; ");
        })),
        sparse(bomb("a-column-of-4-gib.txt", 254, "limit reached: a form of over 16777216 bytes", |out| {
            put(out, "0\t:invoke\t:write\t\"");
        })),
        sparse(bomb("a-log-line-of-4-gib.log", 254, "limit reached: a form of over 16777216 bytes", |out| {
            put(out, "INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO ");
        })),
        bomb("10-gib-of-zeros.jsonl.gz", 254, "binary", |out| packed(out, &vec![0; PIECE], 640, true)),
        bomb("10-gib-of-zeros.edn.zst", 254, "binary", |out| packed(out, &vec![0; PIECE], 640, false)),
        bomb("10-gib-of-blanks.edn.gz", 254, "limit reached: it unpacks to over", |out| {
            put(out, "");
            let mut first = b"{:type :invoke, :process 0, :f :read}".to_vec();
            first.resize(PIECE, b' ');
            packed(out, &first, 1, true);
            packed(out, &vec![b' '; PIECE], 639, true);
        }),
        bomb("10-gib-of-lines.jsonl.zst", 254, "limit reached: it unpacks to over", |out| {
            packed(out, &lines_of_a_piece(), 640, false);
        }),
        bomb("10-gib-of-lines.jsonl.gz", 254, "limit reached: it unpacks to over", |out| {
            packed(out, &lines_of_a_piece(), 640, true);
        }),
        bomb("a-million-open-calls.jsonl", 2, "unknown: vacuous", |out| {
            (0..1 << 20).for_each(|p| line(out, p, p, "invoke", "write", 1, "7"));
        }),
        bomb(
            "more-than-a-million-open-calls.edn",
            254,
            "limit reached: more than 1048576 calls open",
            |out| {
                (0..=1 << 20).for_each(|p| put(out, format!("{{:type :invoke :process {p} :f :read}}\n")));
            },
        ),
        bomb("one-call-open-over-all.jsonl", 0, "valid", |out| {
            line(out, 1, 0, "invoke", "write", 1, "-7");
            for i in 0..100_000 {
                line(out, 0, 4 * i, "invoke", "write", 1, &i.to_string());
                line(out, 0, 4 * i + 1, "ok", "write", 1, &i.to_string());
                line(out, 0, 4 * i + 2, "invoke", "read", 1, "null");
                line(out, 0, 4 * i + 3, "ok", "read", 1, &i.to_string());
            }
            line(out, 1, 400_000, "ok", "write", 1, "-7");
        }),
        bomb("200-thousand-keys.jsonl", 0, "valid", |out| {
            for i in 0..200_000 {
                line(out, 0, 2 * i, "invoke", "read", i, "null");
                line(out, 0, 2 * i + 1, "ok", "read", i, "null");
            }
        }),
    ]);
}

/// Calls that are all open at once, and then complete: functions, arguments and answers.
fn at_once(out: &mut dyn Write, calls: &[(&str, String, String)]) {
    for (kind, time) in [("invoke", 0), ("ok", calls.len())] {
        for (p, (f, asked, said)) in calls.iter().enumerate() {
            let value = if kind == "ok" { said } else { asked };
            line(out, p as u64, (time + p) as u64, kind, f, 1, value);
        }
    }
}

/// A sum that no choice of amounts comes to, though no bound tells: all choices have to be looked at.
fn a_sum_that_cannot_be(out: &mut dyn Write) {
    let mut calls: Vec<(&str, String, String)> =
        (0..26).map(|i| 2 * 3u64.pow(i)).map(|x| ("add", x.to_string(), x.to_string())).collect();
    calls.push(("read", "null".into(), "1000001".into()));
    at_once(out, &calls);
}

#[test]
#[ignore = "slow: fills its memory"]
fn a_search_stays_within_its_memory_and_a_fifth() {
    const BUDGET: u64 = 256 << 20;
    let directory = tempfile::tempdir().unwrap();
    let mut out = BufWriter::new(File::create(directory.path().join("h.jsonl")).unwrap());
    a_sum_that_cannot_be(&mut out);
    drop(out);
    for threads in ["1", "2"] {
        let limits = ["--memory", "256MiB", "--budget-steps", "60000000"];
        let args = [&["--spec", "counter", "--threads", threads, "h.jsonl"], &limits[..]].concat();
        let (code, text, peak) = check(&args, directory.path());
        let _ = writeln!(std::io::stderr(), "on {threads}: exit {code}, {} MiB", peak >> 20);
        assert!(code == 2 && text.contains("unknown"), "exit {code}: {text}");
        assert!(peak < BUDGET + BUDGET / 5, "{} MiB", peak >> 20);
        // Otherwise it is no test of memory.
        assert!(peak > BUDGET / 4, "only {} MiB", peak >> 20);
    }
}
