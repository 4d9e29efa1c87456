//! Twenty thousand bent inputs for every reader, from the seeds of the fuzz targets: no panic, no endless read, and the
//! same answer however the bytes arrive. The fuzz targets in `fuzz/` look further; this runs everywhere.

#![allow(clippy::disallowed_methods, reason = "tests read seeds from disk")]

use history::jsonl::{Limits, ReadOptions};
use history::rng::Rng;
use history::{formats, text};
use std::io::BufReader;
use std::path::Path;

const INPUTS: u64 = 20_000;

/// Every file below `fuzz/seeds`, in the order of names.
fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let mut files: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Pieces that readers care about.
const WORDS: [&[u8]; 28] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"#{",
    b"#_",
    b"^",
    b":",
    b"\n",
    b"\t",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"nil",
    b"-1",
    b"9223372036854775808",
    b":invoke",
    b":ok",
    b"\"info\"",
    b"|--?",
    b"\\ud800",
    b"1e999",
    b"#object[",
];

fn bend(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len() as u64 + 1) as usize;
    let end = (at + rng.below(12) as usize).min(bytes.len());
    match rng.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            let to = rng.below(bytes.len() as u64 + 1) as usize;
            bytes.splice(to..to, piece);
        }
        3 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        4 if at < bytes.len() => bytes[at] = rng.below(256) as u8,
        _ => {
            let word = rng.pick(&WORDS).copied().unwrap_or_default();
            bytes.splice(at..at, word.iter().copied());
        }
    }
}

#[test]
fn no_bent_input_makes_a_reader_panic_or_read_otherwise_in_pieces() {
    let (seeds, mut rng) = (seeds(), Rng::new(1, "mutated"));
    assert!(seeds.len() > 10);
    let limits = Limits { line: 1 << 14, value: 1 << 12, ops: 100, ..Limits::default() };
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let (mut read, mut refused) = (0u64, 0u64);
    for _ in 0..INPUTS {
        let mut bytes = rng.pick(&seeds).cloned().unwrap_or_default();
        (0..=rng.below(6)).for_each(|_| bend(&mut bytes, &mut rng));
        for format in formats::ALL {
            let said = |read: Result<history::History, history::jsonl::ReadError>| match read {
                Ok(history) => {
                    history::lint::lint(&history);
                    Ok(history.ops().map(|op| format!("{op:?}")).collect::<Vec<_>>())
                }
                Err(e) => Err(e.to_string()),
            };
            let whole = said(format.read(&mut &bytes[..], &options));
            match whole.is_ok() {
                true => read += 1,
                false => refused += 1,
            }
            let pieces = said(format.read(&mut BufReader::with_capacity(5, &bytes[..]), &options));
            assert_eq!(whole, pieces, "{}: {:?}", format.name(), String::from_utf8_lossy(&bytes));
        }
        let _ = formats::read(&bytes[..], "history.edn", None, &options);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (text::parse(&text), text::litmus(&text));
    }
    assert!(read > INPUTS / 2 && refused > INPUTS / 2, "{read} read, {refused} refused");
}

#[test]
fn brackets_a_million_deep_are_refused_by_the_notation_too() {
    let deep = format!("p0 write x {} |--|", "[".repeat(1_000_000));
    assert_eq!(text::parse(&deep).unwrap_err(), "line 1: limit reached: nested deeper than 64 levels");
    let wide = format!("p0 write x {} |--|", "[]".repeat(100_000));
    assert!(text::parse(&wide).is_ok());
}
