//! Every lint is raised by a history made for it, and a sound history raises none.

use history::jsonl::ReadOptions;
use history::lint::{Lint, lint};
use history::*;

fn of(text: &str) -> Vec<Lint> {
    lint(&text::parse(text).unwrap())
}

fn of_edn(text: &str) -> Vec<Lint> {
    lint(&formats::read(text.as_bytes(), "history.edn", None, &ReadOptions::default()).unwrap().0)
}

/// Without ties: columns of the notation coincide easily.
fn untied(text: &str) -> Vec<Lint> {
    of(text).into_iter().filter(|l| l.name != "ties").collect()
}

fn names(lints: &[Lint]) -> Vec<&'static str> {
    lints.iter().map(|l| l.name).collect()
}

const SOUND: &str = "
    p0 read x nil   |----|
    p1 write x 1      |----|
    p2 read x 1               |----|
    p3 cas x 1 2                |-----|
";

#[test]
fn a_sound_history_has_none() {
    assert_eq!(names(&of(SOUND)), Vec::<&str>::new());
}

#[test]
fn one_line_more_raises_the_lint_made_for_it_and_names_the_op() {
    // What is added to the sound history, the lint, the op it shows.
    let cases = [
        ("p4 write x 9                       |---?", "many-infos", 4),
        ("p4 cas x 5 6                       |---x", "failed-cas", 4),
        ("p4 read x 7                        |---|", "unwritten-reads", 4),
        ("p4 write x 1                       |---|", "duplicate-writes", 4),
        ("p4 frob x 1                        |---|", "unknown-calls", 4),
    ];
    for (line, name, op) in cases {
        let lints = untied(&format!("{SOUND}{line}"));
        assert_eq!(names(&lints), [name], "{line}");
        assert_eq!((&lints[0].ops[..], lints[0].count), (&[OpId(op)][..], 1), "{line}");
        assert!(!lints[0].consequence.is_empty() && lints[0].what.starts_with(char::is_numeric), "{lints:?}");
    }
}

#[test]
fn what_is_missing_from_a_history_is_said() {
    let cases: [(&str, &[&str]); 5] = [
        ("p0 write x 1 |--x\np1 read x 1 |--?", &["nothing-ok", "many-infos", "initial-unread"]),
        ("p0 write x 1 |---|\np1 write x 2  |---|", &["no-ok-reads", "initial-unread"]),
        ("p0 write x 1 |---|\np1 read x nil  |---|", &["reads-only-nil"]),
        ("p0 write x 1 |---|\np1 read x 1  |---|", &["initial-unread"]),
        ("p0 read x nil |-|\np0 write x 1      |-|\np0 read x 1             |-|", &["sequential"]),
    ];
    for (text, expected) in cases {
        assert_eq!(names(&untied(text)), expected, "{text}");
    }
}

#[test]
fn a_failed_write_that_timed_out_is_doubtful() {
    let rows = |error: &str| {
        format!(
            "{{:time 1 :type :invoke :process 0 :f :read}}\n{{:time 2 :type :invoke :process 1 :f :write :value 1}}\n\
             {{:time 3 :type :fail :process 1 :f :write :error {error}}}\n{{:time 4 :type :ok :process 0 :f :read :value nil}}\n"
        )
    };
    assert!(names(&of_edn(&rows("[:socket \"Read Timed Out\"]"))).contains(&"doubtful-fails"));
    assert!(!names(&of_edn(&rows(":no-leader"))).contains(&"doubtful-fails"));
}

#[test]
fn stamps_that_are_missing_coarse_or_bent_are_said() {
    let rows = |times: [&str; 4]| {
        let [a, b, c, d] = times;
        format!(
            "{{:time {a} :type :invoke :process 0 :f :read}}\n{{:time {b} :type :invoke :process 1 :f :read}}\n\
             {{:time {c} :type :ok :process 0 :f :read}}\n{{:time {d} :type :ok :process 1 :f :read}}\n"
        )
    };
    assert_eq!(names(&of_edn(&rows(["1", "2", "3", "4"]))), Vec::<&str>::new());
    assert_eq!(names(&of_edn(&rows(["nil"; 4]))), ["no-times"]);
    assert_eq!(names(&of_edn(&rows(["1", "1", "2", "3"]))), ["ties"]);
    // Raising a time to the one before makes a tie, and the note about it is one more.
    let bent = of_edn(&rows(["1", "3", "2", "4"]));
    assert_eq!(names(&bent), ["non-monotonic-times", "ties"]);
    assert!(bent[0].what.starts_with("1 times went backwards"));
    let cut = rows(["1", "2", "3", "4"]) + "{:time 5";
    assert_eq!(names(&of_edn(&cut)), ["truncated"]);
}

#[test]
fn more_than_64_open_calls_of_one_key_are_wide() {
    let text = |clients: usize| -> String {
        let row = |kind: &str, p: usize, time: usize| {
            format!("{{:time {time} :type :{kind} :process {p} :f :read}}\n")
        };
        let invoke = (0..clients).map(|p| row("invoke", p, p));
        invoke.chain((0..clients).map(|p| row("ok", p, clients + p))).collect()
    };
    assert_eq!(names(&of_edn(&text(64))), Vec::<&str>::new());
    assert_eq!(names(&of_edn(&text(65))), ["wide"]);
}

#[test]
fn what_the_lines_themselves_lack_is_said() {
    let gap = "{:index 4 :type :invoke :process 0 :f :read}\n{:index 9 :type :ok :process 0 :f :read}\n\
               {:index 2 :type :invoke :process 1 :f :read}\n{:type :ok :process 1 :f :read}\n";
    assert_eq!(names(&of_edn(gap)), ["index-gaps", "no-times", "sequential"]);
    let other = "{:time 1 :type :invoke :process 0 :f :write :value 1}\n{:time 2 :type :invoke :process 1 :f :read}\n\
                 {:time 3 :type :ok :process 0 :f :write :value 2}\n{:time 4 :type :ok :process 1 :f :read :value nil}\n";
    assert_eq!(names(&of_edn(other)), ["altered-values", "reads-only-nil"]);
    let open = other.replace(":value 2", ":value 1") + "{:time 5 :type :invoke :process 2 :f :read}\n";
    let found = of_edn(&open);
    assert!(names(&found).contains(&"unfinished"), "{found:?}");
}
