//! Every format: what is read, what is refused and in which words, what is written back.
//!
//! Recorded histories are read from the directory that `SCHISM_DATA` names; without it those tests say so and pass.

#![allow(clippy::disallowed_methods, reason = "tests read recorded histories from disk")]

use history::formats;
use history::formats::edn::{self, Dialect, Parser};
use history::jsonl::ReadOptions;
use history::*;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn read(format: &str, text: impl AsRef<[u8]>) -> Result<History, String> {
    let options = ReadOptions::default();
    formats::read(text.as_ref(), "", Some(format), &options).map(|(h, _)| h).map_err(|e| e.to_string())
}

fn write(format: &str, history: &History) -> String {
    let mut out = Vec::new();
    formats::named(format).unwrap().write(history, &mut out).unwrap().unwrap();
    String::from_utf8(out).unwrap()
}

fn ops(history: &History) -> Vec<String> {
    history.ops().map(|op| format!("p{} {} -> {:?}", op.process().0, op.call(), op.outcome())).collect()
}

fn imported(history: &History) -> Vec<String> {
    history.notes().iter().filter(|n| &*n.f == "import").map(|n| n.value.to_plain()).collect()
}

// EDN ----------------------------------------------------------------------------------------------------------

fn kw(s: &str) -> Value {
    Value::Keyword(s.into())
}

fn big(s: &str) -> Value {
    Value::Big(s.into())
}

fn tagged(tag: &str, inner: Value) -> Value {
    Value::Tagged(tag.into(), Box::new(inner))
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn map<const N: usize>(pairs: [(Value, Value); N]) -> Value {
    Value::Map(pairs.into())
}

fn char_of(s: &str) -> Value {
    tagged("char", s.into())
}

fn one(text: impl AsRef<[u8]>) -> Value {
    let mut forms =
        edn::parse(text.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", edn::readable(text.as_ref())));
    assert_eq!(forms.len(), 1, "{forms:?}");
    forms.remove(0)
}

#[test]
fn every_corner_of_edn_reads_as_the_value_it_stands_for() {
    let inf = f64::INFINITY;
    let int = Value::Int;
    let cases: Vec<(&str, Value)> = vec![
        // Blanks, comments, discards, metadata.
        ("[1,,2 ,3]", list([int(1), int(2), int(3)])),
        ("; first\n[1 ; one\n 2]", list([int(1), int(2)])),
        ("[1 #_2 3]", list([int(1), int(3)])),
        ("[#_ #_ 1 2 3]", list([int(3)])),
        ("[1 #_{:a [2]}]", list([int(1)])),
        ("^{:a 1} [2]", list([int(2)])),
        ("^:dynamic ^String x", kw("x")),
        (
            "{:f :txn :value [[:r 1 nil]]}",
            map([(kw(":f"), kw(":txn")), (kw(":value"), list([list([kw(":r"), int(1), Value::Null])]))]),
        ),
        // Names.
        ("[:a :a/b ::a :+ :w' :1x :.x]", list([":a", ":a/b", "::a", ":+", ":w'", ":1x", ":.x"].map(kw))),
        ("[nil true false]", list([Value::Null, Value::Bool(true), Value::Bool(false)])),
        (
            "[clojure.core$map <init> java.lang.Foo ... / + - ->x]",
            list(["clojure.core$map", "<init>", "java.lang.Foo", "...", "/", "+", "-", "->x"].map(kw)),
        ),
        ("[#'ns/x @y]", list([kw("#'ns/x"), kw("@y")])),
        // Integers.
        ("[0 -0 5 -5 +5 5N -5N]", list([0, 0, 5, -5, 5, 5, -5].map(int))),
        ("[0x1F -0xff 017 -017 2r101 36rZZ 00]", list([31, -255, 15, -15, 5, 1295, 0].map(int))),
        ("[9223372036854775807 -9223372036854775808]", list([int(i64::MAX), int(i64::MIN)])),
        ("9223372036854775808", big("9223372036854775808")),
        ("-170141183460469231731687303715884105729N", big("-170141183460469231731687303715884105729")),
        ("0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", big("87112285931760246646623899502532662132735")),
        // Decimals, ratios, floats.
        ("[1.5 1. 1e9 1.5e-3 -0.0]", list([1.5, 1.0, 1e9, 1.5e-3, -0.0].map(Value::float))),
        ("[1.5M 1M -1e5M 1.50M]", list(["1.5M", "1M", "-1e5M", "1.50M"].map(big))),
        ("[1/3 -2/4]", list([big("1/3"), big("-1/2")])),
        ("[4/2 0/7]", list([int(2), int(0)])),
        ("[##Inf ##-Inf Infinity -Infinity]", list([inf, -inf, inf, -inf].map(Value::float))),
        ("[##NaN NaN]", list([f64::NAN, f64::NAN].map(Value::float))),
        // Strings and characters.
        (r#""a\n\t\r\b\f\"\\b""#, "a\n\t\r\u{8}\u{c}\"\\b".into()),
        (r#""\u00e9 \ud83d\ude00 \12\101""#, "é 😀 \nA".into()),
        ("\"raw\nline\tand \u{1}\"", "raw\nline\tand \u{1}".into()),
        (r#""\ud83d!""#, "\u{fffd}d83d!".into()),
        ("\"#{1..5 9}\"", "#{1..5 9}".into()),
        (
            r"[\a \newline \space \tab \u00e9 \o12 \\ \( \é]",
            list(["a", "\n", " ", "\t", "é", "\n", "\\", "(", "é"].map(char_of)),
        ),
        // Collections.
        ("(1 (2) [] {} #{})", list([int(1), list([int(2)]), list([]), map([]), Value::Set(vec![])])),
        ("#{1 1 2}", Value::Set([1, 1, 2].map(int).into())),
        (
            "{0 10, \"1\" 2, [3] 4, {5 6} 7}",
            map([
                (int(0), int(10)),
                ("1".into(), int(2)),
                (list([int(3)]), int(4)),
                (map([(int(5), int(6))]), int(7)),
            ]),
        ),
        (
            "#:jepsen{:a 1 :b/c 2 :_/d 3 x 4 \"s\" 5}",
            map([
                (kw(":jepsen/a"), int(1)),
                (kw(":b/c"), int(2)),
                (kw(":d"), int(3)),
                (kw("jepsen/x"), int(4)),
                ("s".into(), int(5)),
            ]),
        ),
        // Tags, also the unreadable ones.
        ("#inst \"2026-01-01T00:00:00Z\"", tagged("inst", "2026-01-01T00:00:00Z".into())),
        ("#uuid \"f81d4fae\"", tagged("uuid", "f81d4fae".into())),
        ("#jepsen.history.Op{:index 1}", tagged("jepsen.history.Op", map([(kw(":index"), int(1))]))),
        ("#a #b 1", tagged("a", tagged("b", int(1)))),
        ("#multiset[1 1]", tagged("multiset", list([int(1), int(1)]))),
        ("#error {:via []}", tagged("error", map([(kw(":via"), list([]))]))),
        (r#"[#object["[J" 0x1f "]"] 1]"#, list([tagged("object", r#""[J" 0x1f "]""#.into()), int(1)])),
        ("#object[a.B 0x2 {:s [1]}]", tagged("object", "a.B 0x2 {:s [1]}".into())),
        ("#<Foo <a> b>", tagged("<>", "Foo <a> b".into())),
        (r#"#"a\"\d+""#, tagged("regex", r#"a\"\d+"#.into())),
    ];
    for (text, expected) in cases {
        assert_eq!(one(text), expected, "{text}");
    }
    assert_eq!(edn::parse(b" 1 #_2 ; end").unwrap(), [Value::Int(1)]);
    assert_eq!(edn::parse(b"#_1").unwrap(), []);
}

#[test]
fn different_bytes_that_are_not_utf8_stay_different_values() {
    let (a, b) = (one(b"\"x\xff\""), one(b"\"x\xfe\""));
    assert_eq!(a, "x\u{fffd}ff".into());
    assert_ne!(a, b);
    let history = read("jepsen-edn", b"{:type :invoke, :process 0, :f :write, :value \"\xff\"}").unwrap();
    assert_eq!(
        imported(&history),
        ["1 strings or names are not Unicode; they are kept as U+FFFD and hex digits"]
    );
}

#[test]
fn nesting_a_million_deep_is_refused_by_name_in_every_reader() {
    for opening in ["[", "(", "{", "{:a ", "#{", "#_", "^", "#a ", "#:a{", "[#_", "{[", "{\"a\":"] {
        let text = opening.repeat(1_000_000);
        let error = edn::parse(text.as_bytes()).unwrap_err().what;
        if opening != "{\"a\":" {
            assert_eq!(error, "limit reached: nested deeper than 64 levels", "{opening}");
        }
        for format in formats::ALL {
            // Those that find no op in it may read an empty, truncated history.
            if let Ok(history) = read(format.name(), &text) {
                assert!(history.is_empty());
            }
        }
    }
    let deep = format!("{{:type :invoke, :process 0, :f :write, :value {}", "[".repeat(1_000_000));
    assert_eq!(read("jepsen-edn", deep).unwrap_err(), "1:111: limit reached: nested deeper than 64 levels");
    let allowed = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    assert!(edn::parse(allowed.as_bytes()).is_ok());
}

/// Found by the fuzz target `edn`, as was the next.
#[test]
fn a_namespace_leaves_names_names() {
    let read = |text: &str| edn::parse(text.as_bytes()).map(|v| v[0].clone()).map_err(|e| e.what);
    assert_eq!(read("#:n{a 1, :b 2}"), read("{n/a 1, :n/b 2}"));
    for text in ["#:\0{a 1}", "#:7{a 1}", "#:-1{a 1}", "#:{a 1}"] {
        assert_eq!(read(text), Err("a namespace must begin like a name".into()), "{text:?}");
    }
}

/// `#object "…"` is a tagged string, and its brackets need not balance.
#[test]
fn a_tagged_string_prints_so_that_it_reads_back() {
    for text in ["#object \":[a\"", "#object \"a]\"", "#regex \"a\\\"\"", "#object[a.B 0x2]", "#\"a\\\"b\""] {
        let value = one(text);
        let mut printed = String::new();
        edn::print(&value, &mut printed);
        assert_eq!(one(&printed), value, "{text} printed as {printed}");
    }
}

/// Half a surrogate pair is no character, but which half it was keeps two strings apart.
#[test]
fn different_halves_of_pairs_stay_different_values() {
    assert_ne!(one(r#""\ud83d""#), one(r#""\ud83e""#));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("one NaN only", |x| !x.is_nan()).prop_map(Value::float),
        "[1-9][0-9]{20,30}".prop_map(|s| big(&s)),
        "[0-9]{1,5}\\.[0-9]{1,5}M".prop_map(|s| big(&s)),
        any::<String>().prop_map(|s| Value::text(&s)),
        "[:]?[a-z*!?<>=$&_][a-z0-9*!?<>=$&_#'.-]{0,8}"
            .prop_filter("reserved", |s| !matches!(s.as_str(), "nil" | "true" | "false"))
            .prop_map(|s| kw(&s)),
        any::<char>().prop_map(|c| char_of(&c.to_string())),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let many = proptest::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            many.clone().prop_map(Value::List),
            many.prop_map(Value::Set),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            ("[a-z]{1,3}(\\.[A-Z]x)?", inner).prop_map(|(t, v)| tagged(&t, v)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back(value in any_value()) {
        let mut text = String::new();
        edn::print(&value, &mut text);
        let back = edn::parse(text.as_bytes()).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        prop_assert_eq!(back, vec![value], "{}", text);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_by_all(&bytes);
    }

    #[test]
    fn no_near_miss_makes_a_reader_panic(
        sample in 0usize..6,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[\\[\\](){}#:\"\\\\0-9a-z;_^',\\t\\n -]"), 1..6),
    ) {
        let mut bytes = samples()[sample].1.as_bytes().to_vec();
        for (at, with) in edits {
            let at = at.index(bytes.len());
            bytes[at] = with.as_bytes()[0];
        }
        read_by_all(&bytes);
    }
}

fn read_by_all(bytes: &[u8]) {
    for format in formats::ALL {
        let _ = format.read(&mut &bytes[..], &ReadOptions::default());
    }
    let _ = formats::read(bytes, "x.edn", None, &ReadOptions::default());
    for dialect in [Dialect::Edn, Dialect::Json] {
        let mut parser = Parser::new(bytes, false, dialect);
        while parser.value().is_ok() {}
    }
}

// Formats ------------------------------------------------------------------------------------------------------

/// One small history in every format: a write, a read that sees it, a refused cas and one that never came back.
fn samples() -> [(&'static str, &'static str); 6] {
    [
        (
            "jepsen-edn",
            r#"{:index 0, :time 10, :type :invoke, :process 0, :f :write, :value 1}
{:index 1, :time 20, :type :invoke, :process 1, :f :read, :value nil}
{:index 2, :time 25, :type :info, :process :nemesis, :f :kill, :value ["n1"]}
{:index 3, :time 30, :type :ok, :process 0, :f :write, :value 1}
{:index 4, :time 40, :type :ok, :process 1, :f :read, :value 1}
{:index 5, :time 50, :type :invoke, :process 1, :f :cas, :value [2 3]}
{:index 6, :time 60, :type :fail, :process 1, :f :cas, :value [2 3], :error :mismatch}
{:index 7, :time 70, :type :invoke, :process 1, :f :cas, :value [1 3]}
{:index 8, :time 80, :type :info, :process 1, :f :cas, :value [1 3], :error [:timeout "5 s"]}
"#,
        ),
        (
            "jepsen-txt",
            "0\t:invoke\t:write\t1\n1\t:invoke\t:read\tnil\n:nemesis\t:info\t:kill\t[\"n1\"]\n0\t:ok\t:write\t1\n\
             1\t:ok\t:read\t1\n1\t:invoke\t:cas\t[2 3]\n1\t:fail\t:cas\t[2 3]\t:mismatch\n1\t:invoke\t:cas\t[1 3]\n\
             1\t:info\t:cas\t[1 3]\ttimeout: 5 s\n",
        ),
        (
            "porcupine-log",
            "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 1   :invoke :read   nil\n\
             INFO  jepsen.core - waiting\nINFO  jepsen.util - 0\t:ok\t:write\t1\nINFO  jepsen.util - 1\t:ok\t:read\t1\n\
             INFO  jepsen.util - 1\t:invoke\t:cas\t[2 3]\nINFO  jepsen.util - 1\t:fail\t:cas\t[2 3]\n\
             INFO  jepsen.util - 1\t:invoke\t:cas\t[1 3]\nINFO  jepsen.util - 1\t:info\t:cas\t:timed-out\n",
        ),
        (
            "elle-json",
            r#"[{"index":0,"time":10,"type":"invoke","process":0,"f":"write","value":1},
{"type":"invoke","process":1,"f":"read","value":null}, {"type":"info","process":"nemesis","f":"kill","value":["n1"]},
{"type":"ok","process":0,"f":"write","value":1}, {"type":"ok","process":1,"f":"read","value":1},
{"type":"invoke","process":1,"f":"cas","value":[2,3]}, {"type":"fail","process":1,"f":"cas","value":[2,3],"error":"mismatch"},
{"type":"invoke","process":1,"f":"cas","value":[1,3]}, {"type":"info","process":1,"f":"cas","value":[1,3],"error":"timeout: 5 s"}]
"#,
        ),
        (
            "porcupine-kv",
            r#"{:process 0, :type :invoke, :f :append, :key "k", :value "x y"}
{:process 1, :type :invoke, :f :get, :key "k", :value nil}
{:process 0, :type :ok, :f :append, :key "k", :value "x y"}
{:process 1, :type :ok, :f :get, :key "k", :value "x y"}
{:process 1, :type :invoke, :f :put, :key "k", :value ""}
"#,
        ),
        (
            "etcd-robustness",
            r#"{"ClientId":1,"Input":{"Type":"txn","Txn":{"Conditions":null,"OperationsOnSuccess":[{"Type":"put-operation","Range":{"Start":"","End":"","Limit":0},"Put":{"Key":"k","Value":{"Value":"7"},"LeaseID":0},"Delete":{"Key":""}}],"OperationsOnFailure":null}},"Call":10,"Output":{"Txn":{"Failure":false,"Results":[{"KVs":null,"Count":0,"Deleted":0}]},"Revision":2,"Error":""},"Return":30}
{"ClientId":2,"Input":{"Type":"range","Range":{"Start":"k","End":"","Limit":0,"Revision":0}},"Call":20,"Output":{"Range":{"KVs":[{"Key":"k","Value":{"Value":"7"},"ModRevision":2}],"Count":1},"Revision":2,"Error":""},"Return":40}
{"ClientId":2,"Input":{"Type":"leaseGrant","LeaseGrant":{"LeaseID":5}},"Call":50,"Output":{"Error":"timeout"},"Return":9223372036854775807}
{"ClientId":2,"Input":{"Type":"range","Range":{"Start":"k","End":"","Limit":0,"Revision":0}},"Call":60,"Output":{"Range":{"KVs":null,"Count":0},"Revision":3,"Error":""},"Return":70}
"#,
        ),
    ]
}

#[test]
fn every_sample_is_recognised_by_its_content_and_reads_as_its_ops() {
    let register = [
        "p0 write 1 -> Ok(Done)",
        "p1 read -> Ok(Read(Int(1)))",
        "p1 cas 2 3 -> Ok(Mismatch)",
        r#"p1 cas 1 3 -> Info(Error("timeout: 5 s"))"#,
    ];
    for (format, text) in samples() {
        let (history, found) = formats::read(text.as_bytes(), "", None, &ReadOptions::default()).unwrap();
        assert_eq!(found, format);
        assert_eq!(history.completeness, Completeness::Foreign);
        match format {
            "porcupine-kv" => assert_eq!(
                ops(&history),
                [
                    r#"p0 append k "x y" -> Ok(Done)"#,
                    r#"p1 read k -> Ok(Read(Text("x y")))"#,
                    r#"p1 write k "" -> Info(Error(""))"#,
                ]
            ),
            "etcd-robustness" => {
                let ops = ops(&history);
                assert_eq!(
                    ops[..2],
                    [r#"p1 write k "7" -> Ok(Done)"#, r#"p2 read k -> Ok(Read(Text("7")))"#]
                );
                assert!(
                    ops[2].starts_with("p2 etcd-leaseGrant {")
                        && ops[2].ends_with(r#"Info(Error("timeout"))"#)
                );
                // The client goes on as a new process.
                assert_eq!(ops[3], "p3 read k -> Ok(Read(Null))");
                assert_eq!(history.op(OpId(2)).gave_up(), Some(60));
            }
            "porcupine-log" => {
                assert_eq!(ops(&history)[..3], register[..3]);
                assert_eq!(ops(&history)[3], r#"p1 cas 1 3 -> Info(Error("timed-out"))"#);
            }
            _ => {
                assert_eq!(ops(&history), register, "{format}");
                assert_eq!(history.notes().len(), 1);
                assert_eq!(&*history.notes()[0].f, "kill");
            }
        }
    }
}

#[test]
fn folder_and_list_of_formats_agree() {
    let helpers = ["edn", "export", "ops", "source"];
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
    let mut files: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|e| Some(e.unwrap().file_name().to_str()?.strip_suffix(".rs")?.replace('_', "-")))
        .filter(|name| !helpers.contains(&name.as_str()))
        .collect();
    let mut names: Vec<String> = formats::ALL.iter().map(|f| f.name().to_string()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn an_unknown_file_is_told_what_it_looks_like() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
        (b"\x1f\x8b\x08\0\0", "this is a gzip file: it must be unpacked first"),
        (b"\x28\xb5\x2f\xfd\x04", "this is a zstd file: it must be unpacked first"),
        (b"JEPSEN\0\0\0\x01", "this is Jepsen's binary test.jepsen: the history.edn beside it can be read"),
        (b"\xff\xfe{\0", "this is UTF-16 text: histories are UTF-8"),
        (b"\x7fELF\0\0", "this is a binary file"),
        (b"<!DOCTYPE html>", "this is HTML or XML"),
        (b"hello world\nx", "no format begins like this: \"hello world\""),
    ];
    let list = "formats that are read: jsonl, jepsen-edn, jepsen-txt, elle-json, porcupine-log, porcupine-kv, etcd-robustness";
    for (bytes, what) in cases {
        let error = formats::read(bytes, "history", None, &ReadOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("1:1: {what}; {list}"));
    }
    let error = formats::read(&b"x"[..], "", Some("xml"), &ReadOptions::default()).unwrap_err();
    assert!(error.what.starts_with("no format is called \"xml\"; there are: jsonl, jepsen-edn"), "{error}");
}

/// Format, input, and the whole error: line, column, words.
const MALFORMED: [(&str, &str, &str); 34] = [
    ("jepsen-edn", "{:process 0, :f :read}", "1:1: an op without a :type: expected invoke, ok, fail or info"),
    ("jepsen-edn", "{:type :done, :process 0}", "1:2: unknown type :done: expected invoke, ok, fail or info"),
    ("jepsen-edn", "{:type :invoke, :process 0}", "1:1: an op without an :f"),
    (
        "jepsen-edn",
        "\n {:type :ok, :process 3, :f :read, :value 1}",
        "2:1: completion without invocation: process 3 has no open call",
    ),
    (
        "jepsen-edn",
        "{:type :invoke :process 0 :f :read}\n{:type :invoke :process 0 :f :read}",
        "2:1: double invoke: process 0 invokes while its call of line 1 is still open",
    ),
    (
        "jepsen-edn",
        "{:type :invoke :process 0 :f :read}\n{:type :info :process 0 :f :read}\n{:type :invoke :process 0 :f :read}",
        "3:1: process reused after info: process 0 ended in info at line 2 and must never appear again",
    ),
    (
        "jepsen-edn",
        "{:type :invoke :process 0 :f :read}\n{:type :ok :process 0 :f :write :value 1}",
        "2:1: completion of another call: the open invocation is \"read\", this completes \"write\"",
    ),
    (
        "jepsen-edn",
        "{:type :invoke, :process -1, :f :read}",
        "1:17: expected a process from 0 to 4294967295, found -1",
    ),
    (
        "jepsen-edn",
        "{:type :invoke, :process \"bob\", :f :read}",
        "1:17: expected a process: a number or :nemesis, found \"bob\"",
    ),
    (
        "jepsen-edn",
        "{:type :invoke, :process 1.5, :f :read}",
        "1:17: expected a process: a number or :nemesis, found 1.5",
    ),
    ("jepsen-edn", "{:time \"now\"}", "1:2: expected an integer as time, found \"now\""),
    (
        "jepsen-edn",
        "{:type :invoke, :process 0, :f :cas, :value 3}",
        "1:1: the value of a cas is [expected new], not 3",
    ),
    ("jepsen-edn", "{:type :invoke, :process 0, :f :write, :value nil}", "1:1: a write without a value"),
    (
        "jepsen-edn",
        "{:type :invoke, :process 0, :f :txn, :value [[:send 1 2]]}",
        "1:1: a micro-op is [r key value], w or append, not [:send 1 2]",
    ),
    (
        "jepsen-edn",
        "{:type :invoke, :process 0, :f :txn, :value 7}",
        "1:1: the value of a txn is a list of [f key value], not 7",
    ),
    ("jepsen-edn", "{:type :invoke, :process}", "1:25: a map with a key that has no value"),
    ("jepsen-edn", "{:type :invoke, :value {1 2 3}}", "1:30: a map with a key that has no value"),
    ("jepsen-edn", "{:type :invoke, :value [1 2)}", "1:28: expected ] here, found )"),
    ("jepsen-edn", "{:type :invoke, :value #_}", "1:26: #_ must be followed by a form, not by }"),
    ("jepsen-edn", "{:type :invoke, :value #inst}", "1:29: a tag must be followed by a form, not by }"),
    ("jepsen-edn", "{:type :invoke, :value ##Foo}", "1:24: expected ##Inf, ##-Inf or ##NaN, found ##Foo"),
    ("jepsen-edn", "{:value 08}", "1:9: not an octal number: 08"),
    ("jepsen-edn", "{:value 1x}", "1:9: not a number: 1x"),
    ("jepsen-edn", "{:value 40r1}", "1:9: the radix of 40r1 is not between 2 and 36"),
    ("jepsen-edn", "{:value 1/0}", "1:9: a ratio over zero: 1/0"),
    ("jepsen-edn", "{:value \"\\q\"}", "1:10: unknown escape \\q"),
    ("jepsen-edn", "{:value \"\\u12g4\"}", "1:10: expected four hex digits after \\u"),
    ("jepsen-edn", "{:value \\foo}", "1:9: unknown character \\foo"),
    ("jepsen-edn", "{:f :read}\n )", "2:2: a ) that closes nothing"),
    ("jepsen-edn", "[] ]", "1:4: a ] that closes nothing"),
    ("jepsen-edn", "42", "1:1: expected an op map, found 42"),
    ("jepsen-txt", "0 read 1\n", "1:1: expected a process, a :type, an :f and a value, separated by tabs"),
    (
        "elle-json",
        "[{\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"value\":[01]}]",
        "1:52: not a number: 01",
    ),
    (
        "etcd-robustness",
        "{\"ClientId\":1,\"Call\":5,\"Input\":{\"Type\":\"range\",\"Range\":{\"Start\":\"k\"}},\"Output\":{\"Range\":{}},\"Return\":4}",
        "1:1: returns at 4 before its call at 5",
    ),
];

#[test]
fn every_malformed_input_is_refused_by_line_column_and_reason() {
    for (format, text, expected) in MALFORMED {
        assert_eq!(read(format, text).map(|h| ops(&h)), Err(expected.to_string()), "{text}");
    }
}

#[test]
fn a_history_cut_at_any_byte_keeps_every_whole_op_before_the_cut() {
    let whole = samples()[0].1;
    for list in [false, true] {
        let text = if list { format!("[{whole}]") } else { whole.to_string() };
        for cut in 0..text.len() {
            let history = match read("jepsen-edn", &text[..cut]) {
                Ok(history) => history,
                Err(e) => panic!("cut at {cut}: {e}"),
            };
            let invokes = text[..cut]
                .split_inclusive('}')
                .filter(|l| l.ends_with('}') && l.contains(":invoke"))
                .count();
            assert_eq!(history.len(), invokes, "cut at {cut}");
            let in_a_form = text[..cut].matches('{').count() > text[..cut].matches('}').count();
            let truncated = matches!(history.completeness, Completeness::Truncated { .. });
            assert_eq!(truncated, in_a_form || (list && cut > 0), "cut at {cut}");
        }
    }
}

#[test]
fn old_and_odd_op_maps_read_as_plain_ones() {
    let text = r#"#jepsen.history.Op{:index 1, :time 5, :type :invoke, :process 0, :f :read, :value nil, :node "n1", :final? true}
^{:m 1} #knossos.op.Op {:type :ok, :process 0, :f :read, :value 3 :exception #object[x 0x1 "y"]}
nil #_{:type :bogus}
#:op{:type :invoke :process 1 :f :add :value 2}
{:type :fail :process 1 :error :foo bar :exception {:via [{:type java.lang.Oops}]}}
{"type" "invoke", "process" "2", "f" "enqueue", "value" 9}
{:type :ok, :process "2", :time -1}
"#;
    let history = read("jepsen-edn", text).unwrap();
    assert_eq!(
        ops(&history),
        ["p0 read -> Ok(Read(Int(3)))", r#"p1 add 2 -> Fail(Error("foo"))"#, "p2 enqueue 9 -> Ok(Done)"]
    );
    assert_eq!((history.nodes(), history.op(OpId(0)).is_last()), (&["n1".to_string()][..], true));
    assert_eq!(imported(&history), ["1 rows have stray words after a value, which were dropped"]);
    let (no_f, _) = formats::read(
        &b"{:index 0 :type :invoke :value [[:append 1 1] [:read :x nil]]}\n{:index 1 :type :ok :value [[:append 1 1] [:read :x [2]]]}"[..],
        "", None, &ReadOptions::default()).unwrap();
    assert_eq!(no_f.op(OpId(0)).micro_ops().unwrap().len(), 2);
    assert_eq!(imported(&no_f), ["1 ops name no process; each was given one of its own"]);
}

#[test]
fn micro_ops_make_a_transaction_under_any_name() {
    let text = "{:type :invoke :process 0 :f :read :value [[:r 1 nil] [:r 2 nil]]}\n\
                {:type :ok :process 0 :f :read :value [[:r 1 5] [:r 2 nil]]}\n\
                {:type :invoke :process 0 :f :write :value [[:w 1 6]]}\n{:type :ok :process 0 :f :read :value nil}";
    assert_eq!(
        read("jepsen-edn", text).unwrap_err(),
        "4:1: completion of another call: the open invocation is \"txn\", this completes \"read\""
    );
    let text = text.rsplit_once('\n').unwrap().0;
    let history = read("jepsen-edn", text).unwrap();
    assert_eq!(history.ops().map(|op| op.f()).collect::<Vec<_>>(), ["txn", "txn"]);
    let seen = history.op(OpId(0)).micro_ops().unwrap();
    assert_eq!(seen[0], MicroOp::Read(1.into(), 5.into()));
}

#[test]
fn a_last_line_of_text_that_may_be_cut_is_dropped() {
    let read = |text: &str| {
        let history = read("jepsen-txt", text).unwrap();
        (ops(&history), history.completeness)
    };
    let begin = "0\t:invoke\t:read\tnil\n0\t:ok\t:read\t";
    let open = vec!["p0 read -> Info(Error(\"\"))".to_string()];
    assert_eq!(read(&format!("{begin}12")), (open.clone(), Completeness::Truncated { lines: 1 }));
    assert_eq!(read(&format!("{begin}[12")), (open, Completeness::Truncated { lines: 1 }));
    let whole = vec!["p0 read -> Ok(Read(List([Int(12)])))".to_string()];
    assert_eq!(read(&format!("{begin}[12]")), (whole, Completeness::Foreign));
}

#[test]
fn forms_may_lie_across_any_stretch_of_the_input() {
    // Over the 256 KiB that are held at once, with forms of many lengths, read seven bytes at a time.
    let mut text = String::from("[");
    for i in 0..6000usize {
        let pad = "é\\n".repeat(i * 7 % 23);
        text += &format!("{{:index {i}, :type :invoke, :process {i}, :f :add, :value \"{i}{pad}\"}} ; {i}\n");
    }
    let input =
        |text: &str| std::io::BufReader::with_capacity(7, std::io::Cursor::new(text.as_bytes().to_vec()));
    let read = |text: &str| formats::read(input(text), "", None, &ReadOptions::default());
    let (history, _) = read(&format!("{text}]")).unwrap();
    assert_eq!(history.len(), 6000);
    for op in history.ops() {
        let i = op.id.0 as usize;
        assert_eq!(op.call().value().to_plain(), format!("{i}{}", "é\n".repeat(i * 7 % 23)));
    }
    let error = read(&format!("{text} {{:type 7}}]")).unwrap_err();
    assert_eq!(error.to_string(), "6001:3: unknown type 7: expected invoke, ok, fail or info");
}

#[test]
fn times_that_go_backwards_are_raised_and_counted() {
    let text = "{:time 9 :type :invoke :process 0 :f :read}\n{:time 4 :type :invoke :process 1 :f :read}\n\
         {:time 5 :type :ok :process 1 :f :read :value 1}";
    let history = read("jepsen-edn", text).unwrap();
    let op = history.op(OpId(1));
    assert_eq!((op.invoked(), op.completed()), (9, Some(9)));
    let said = "2 times went backwards and were raised to the one before: position in the file is the order";
    assert_eq!(imported(&history), [said]);
}

#[test]
fn tuples_are_told_from_pairs_by_what_only_a_tuple_shows() {
    let history = |rows: &[(&str, &str, &str)]| -> History {
        let text: String = rows
            .iter()
            .map(|(kind, f, value)| format!("{{:type :{kind}, :process 0, :f :{f}, :value {value}}}\n"))
            .collect();
        read("jepsen-edn", text).unwrap()
    };
    let keyed = |rows| !history(rows).op(OpId(0)).key().is_null();
    assert!(keyed(&[("invoke", "read", "[5 nil]"), ("ok", "read", "[5 3]"), ("invoke", "cas", "[5 [3 4]]")]));
    assert!(keyed(&[
        ("invoke", "write", "[5 1]"),
        ("ok", "write", "[5 1]"),
        ("invoke", "read", "[5 nil]"),
        ("info", "read", ":timed-out")
    ]));
    // Plain pairs: a cas, values that are pairs, versioned reads, micro-ops.
    assert!(!keyed(&[("invoke", "cas", "[5 6]"), ("fail", "cas", "[5 6]"), ("invoke", "cas", "[5 7]")]));
    assert!(!keyed(&[("invoke", "read", "nil"), ("ok", "read", "[5 3]")]));
    assert!(!keyed(&[("invoke", "add", "[5 3]"), ("ok", "add", "[5 3]"), ("invoke", "add", "[5 4]")]));
    assert!(!keyed(&[("invoke", "txn", "[[:r 5 nil] [:r 6 nil]]"), ("ok", "txn", "[[:r 5 1] [:r 6 1]]")]));
    assert!(!keyed(&[("invoke", "read", "[5 nil]"), ("ok", "read", "[6 3]")]));
    // The options outrank the looks of it.
    let text = "{:type :invoke, :process 0, :f :add, :value [5 3]}";
    let forced = ReadOptions { independent: Some(true), ..ReadOptions::default() };
    let (history, _) = formats::read(text.as_bytes(), "", None, &forced).unwrap();
    assert_eq!(history.op(OpId(0)).call().to_string(), "add 5 3");
}

#[test]
fn json_integers_of_any_size_are_exact() {
    let text = r#"[{"type":"invoke","process":0,"f":"write","value":9007199254740993},
{"type":"ok","process":0},{"type":"invoke","process":0,"f":"write","value":123456789012345678901234567890}]"#;
    let history = read("elle-json", text).unwrap();
    assert_eq!(history.op(OpId(0)).call().value(), Value::Int(9_007_199_254_740_993));
    assert_eq!(history.op(OpId(1)).call().value(), big("123456789012345678901234567890"));
}

#[test]
fn limits_on_hostile_input_are_named() {
    let small = |line, bytes, ops| ReadOptions {
        limits: jsonl::Limits { line, bytes, ops, ..jsonl::Limits::default() },
        ..ReadOptions::default()
    };
    let endless = || std::io::BufReader::new(std::io::Read::chain(&b"{:value \""[..], std::io::repeat(b'a')));
    let error = formats::read(endless(), "", None, &small(1 << 20, 1 << 40, 10)).unwrap_err();
    assert_eq!(error.what, "limit reached: a form of over 1048576 bytes; --limit line=N raises it");
    let error = formats::read(endless(), "", None, &small(1 << 30, 1 << 20, 10)).unwrap_err();
    assert_eq!(error.what, "limit reached: a file of over 1048576 bytes; --limit file=N raises it");
    let text = samples()[0].1;
    let error = formats::read(text.as_bytes(), "", None, &small(1 << 20, 1 << 20, 2)).unwrap_err();
    assert_eq!(error.to_string(), "6:1: limit reached: more than 2 ops; --limit ops=N raises it");
}

// Writing ------------------------------------------------------------------------------------------------------

#[test]
fn what_can_be_written_reads_back_as_the_same_ops() {
    let history = read("jepsen-edn", samples()[0].1).unwrap();
    let mut writable = Vec::new();
    for format in formats::ALL {
        let mut out = Vec::new();
        let Some(written) = format.write(&history, &mut out) else { continue };
        written.unwrap();
        writable.push(format.name());
        let (back, found) = formats::read(&out[..], "", None, &ReadOptions::default()).unwrap();
        assert_eq!(found, format.name());
        assert_eq!(ops(&back), ops(&history));
        assert_eq!(back.completeness, Completeness::Foreign);
        assert_eq!(write(format.name(), &back), String::from_utf8(out).unwrap(), "written twice");
        if format.name() != "jepsen-txt" {
            let times = |h: &History| h.ops().map(|o| (o.invoked(), o.gave_up())).collect::<Vec<_>>();
            assert_eq!(times(&back), times(&history));
        }
    }
    assert_eq!(writable, ["jsonl", "jepsen-edn", "jepsen-txt", "elle-json"]);
}

#[test]
fn a_cut_history_stays_cut_when_it_is_converted() {
    let history = read("jepsen-edn", "{:type :invoke, :process 0, :f :read}\n{:type").unwrap();
    assert_eq!(history.completeness, Completeness::Truncated { lines: 1 });
    let back = read("jsonl", write("jsonl", &history)).unwrap();
    assert_eq!(back.completeness, Completeness::Truncated { lines: 1 });
}

#[test]
fn keys_come_back_as_tuples() {
    let history = text::parse("p0 write x 1 |-|\np1 read x 1    |-|\np1 cas! x 2 3       |-|").unwrap();
    let written = write("jepsen-edn", &history);
    let first = "{:index 0, :time 13000, :type :invoke, :process 0, :f :write, :value [\"x\" 1]}\n";
    assert!(written.starts_with(first), "{written}");
    let back = read("jepsen-edn", &written).unwrap();
    assert_eq!(ops(&back), ops(&history));
    assert_eq!(imported(&back).len(), 1, "that tuples were guessed is said");
}

/// A run of ours with a strike, a role and an abandoned call, as the runner writes it.
fn own_run() -> Vec<u8> {
    let header = jsonl::Header {
        schism: jsonl::SCHEMA,
        tool: "test".into(),
        run: "r1".into(),
        seed: 7,
        clock: "monotonic".into(),
        nodes: vec!["n1".into(), "n2".into()],
        more: serde_json::Map::new(),
    };
    let (process, node) = (Process(3), Some(NodeId(1)));
    let call = Call::Write("x".into(), 1.into());
    let outcome = Outcome::Info(Error::new("timeout: 1 s"));
    let fault = Fault::Partition(Cut::Isolate(Who::Leader));
    let strike = Strike { at: 5, lasts: 10, fault, pick: 0, nemesis: "isolate".into() };
    let effect = Effect { took: true, measured: "1 of 1 edges cut".into() };
    let events = [
        Event::Invoke { time: 1, process, node, call: call.clone(), last: true },
        Event::StrikeBegin { time: 2, id: 0, strike },
        Event::StrikeConfirmed { time: 3, id: 0, resolved: Resolved::default(), effect: effect.clone() },
        Event::Complete { time: 4, process, call, outcome, server: None },
        Event::Role { time: 5, node: NodeId(0), role: "leader".into(), term: 2 },
        Event::HealBegin { time: 6, id: 0 },
        Event::HealConfirmed { time: 7, id: 0, effect },
        Event::Note { time: 8, f: "phase".into(), value: "final".into() },
    ];
    let mut writer = jsonl::Writer::new(Vec::new(), &header).unwrap();
    for event in &events {
        writer.event(event).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_run_of_ours_is_written_back_byte_for_byte_and_its_strikes_become_rows_of_the_nemesis() {
    let bytes = own_run();
    let (history, format) = formats::read(&bytes[..], "", None, &ReadOptions::default()).unwrap();
    assert_eq!((format, &history.completeness), ("jsonl", &Completeness::Whole));
    assert_eq!(write("jsonl", &history), String::from_utf8(bytes).unwrap());
    let lines: Vec<String> = write("jepsen-txt", &history).lines().map(|l| l.to_string()).collect();
    assert_eq!(lines[0], "3\t:invoke\t:write\t[\"x\" 1]");
    assert_eq!(lines[3], "3\t:info\t:write\t[\"x\" 1]\ttimeout: 1 s");
    assert_eq!(lines[4], ":nemesis\t:info\t:role\t[\"n1\" \"leader\" 2]");
    let nemesis: Vec<&str> =
        lines.iter().filter_map(|l| l.strip_prefix(":nemesis\t:info\t:")?.split('\t').next()).collect();
    assert_eq!(nemesis, ["strike", "strike-confirmed", "role", "heal", "heal-confirmed", "phase"]);
    for format in ["jepsen-edn", "jepsen-txt", "elle-json"] {
        assert_eq!(read(format, write(format, &history)).unwrap().notes().len(), 6, "{format}");
    }
}

// Recorded histories ---------------------------------------------------------------------------------------------

fn data() -> Option<PathBuf> {
    let found = std::env::var_os("SCHISM_DATA").map(PathBuf::from);
    if found.is_none() {
        // Not eprintln: the test harness would swallow it.
        let said = b"skipped: SCHISM_DATA names no directory of recorded histories\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), said);
    }
    found
}

/// The files of a folder whose name ends so, by name.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

#[test]
fn every_recorded_history_reads_with_as_many_ops_as_it_has_invocations() {
    let Some(dir) = data() else { return };
    // Folder, ending, format, files, and how an invocation is spelled: counted in the bytes as a check.
    let folders = [
        ("lin/knossos/cas-register/good", ".edn", "jepsen-edn", 56, ":invoke"),
        ("lin/knossos/cas-register/bad", ".edn", "jepsen-edn", 4, ":invoke"),
        ("lin/knossos/multi-register/good", ".edn", "jepsen-edn", 1, ":invoke"),
        ("lin/porcupine/kv", ".txt", "porcupine-kv", 4, ":invoke"),
        ("lin/porcupine/jepsen", ".log", "porcupine-log", 52, ":invoke"),
        ("txn/elle", ".edn", "jepsen-edn", 3, ":invoke"),
        ("txn/small", ".edn", "jepsen-edn", 6, ":invoke"),
        ("real/etcd", ".jsonl", "jsonl", 5, "\"invoke\""),
        ("real/postgres", ".jsonl", "jsonl", 6, "\"invoke\""),
        ("real/mariadb", ".jsonl", "jsonl", 3, "\"invoke\""),
        ("real/redis-sentinel", ".jsonl", "jsonl", 5, "\"invoke\""),
    ];
    for (folder, ending, format, count, invoke) in folders {
        let files = files(&dir.join(folder), ending);
        assert_eq!(files.len(), count, "{folder}");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let name = file.file_name().unwrap().to_string_lossy();
            let (history, found) = formats::read(&bytes[..], &name, None, &ReadOptions::default())
                .unwrap_or_else(|e| panic!("{}:{e}", file.display()));
            let invocations = edn::readable(&bytes).matches(invoke).count();
            assert_eq!((history.len(), found), (invocations, format), "{}", file.display());
            assert_eq!(history.completeness, Completeness::Foreign, "{}", file.display());
            if format == "jepsen-edn" && history.end() > 0 {
                let back = read("jepsen-edn", write("jepsen-edn", &history)).unwrap();
                assert_eq!(ops(&back), ops(&history), "{}", file.display());
            }
        }
    }
}

#[test]
fn a_refused_cas_of_the_etcd_logs_is_evidence_and_their_failed_reads_are_not() {
    let Some(dir) = data() else { return };
    let (mut refused, mut failed, mut open) = (0, 0, 0);
    for file in files(&dir.join("lin/porcupine/jepsen"), ".log") {
        let history = read("porcupine-log", std::fs::read(&file).unwrap()).unwrap();
        for op in history.ops() {
            refused += (op.reply() == ReplyId::Mismatch) as u32;
            failed += (op.kind() == OutcomeKind::Fail) as u32;
            open += (op.kind() == OutcomeKind::Info) as u32;
            assert!(op.kind() != OutcomeKind::Fail || op.f() == "read");
        }
    }
    assert_eq!((refused, failed, open), (900, 12, 653));
}
