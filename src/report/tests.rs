//! The page as a whole: every verdict, hostile text, size, and the sentences that matter.

use super::sample::{self, Names};
use super::*;
use checkers::{Anomaly, Model, Why};

fn page_of(h: &History, verdict: &Verdict) -> String {
    let (findings, meta) = (sample::findings(h, verdict), sample::meta());
    let about = vec![("linearizable".into(), "every reply is explained".into(), "keys that interact".into())];
    render(&Page { history: h, verdict, findings: &findings, about: &about, meta: &meta })
        .expect("it renders")
}

/// The page without what was written by us for every page.
fn body(page: &str) -> &str {
    let from = page.find("<main>").expect("main");
    &page[from..page.find("<script type=\"application/octet-stream\"").expect("columns")]
}

#[test]
fn an_invalid_run_says_what_contradicts_what() {
    let h = sample::history(600, &Names::default());
    let page = page_of(&h, &sample::invalid(&h));
    let text = body(&page);
    let stale = sample::story(&h)[5].0;
    for expected in [
        "data-verdict=\"invalid\"",
        "Not linearizable. Stale read. Key k8.",
        &format!(
            "<a class=\"op\" href=\"#op={stale}\" data-op=\"{stale}\">Op {stale}</a> read 26, although 29"
        ),
        "schism test --target store:raft --bug leader-local-read",
        "id=\"counterexample\"",
        "Which ops contradict each other? 5 are enough.",
        "needs 26, state is 29",
        "answered 266 ms before it was asked",
        "All 83 earlier writes of this key completed before.",
        "What the target promises here:",
        "This verdict says nothing about them.",
        "12 of 12 edges cut, by UDP echo in 3.1 ms",
        "n1 n2 | n3 n4 n5",
        "strike 3",
        "Counted as not injected everywhere on this page.",
        "measures only",
        "keys that interact",
        "not met",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing");
    }
    assert_eq!(text.matches("class=\"ce-h\"").count(), 1);
    assert_eq!(text.matches("class=\"ce-v\"").count(), 1);
}

#[test]
fn a_valid_run_is_never_called_correct() {
    let h = sample::history(600, &Names::default());
    let page = page_of(&h, &sample::valid(&h));
    let text = body(&page);
    assert!(text.contains("Linearizable, under the faults named below."));
    assert!(text.contains("One order of the ops explains every reply. 606 ops were asked,"));
    assert!(text.contains("id=\"witness\"") && text.contains("The order at its narrowest on key k"));
    assert!(text.contains("id=\"not-injected\"") && !text.contains("id=\"counterexample\""));
    assert!(!text.to_lowercase().contains("correct ") && !text.to_lowercase().contains("correct."));
}

#[test]
fn a_valid_run_without_an_order_or_a_fault_says_so() {
    let h = history::text::parse("p0 write x 1 |--|\np1 read x 1     |--|").unwrap();
    let verdict = Verdict::valid("set", "all 12 acknowledged elements were found again");
    let page = page_of(&h, &verdict);
    assert!(
        body(&page).contains("all 12 acknowledged elements were found again. 2 ops were asked, 0 of them")
    );
    assert!(body(&page).contains("with no fault injected"));
    assert!(body(&page).contains("this run says nothing about faults"));
}

#[test]
fn an_unknown_run_begins_with_what_would_settle_it() {
    let h = sample::history(300, &Names::default());
    for (why, expected) in [
        (Why::Steps, "schism check history.jsonl --budget-steps"),
        (Why::Bytes, "schism check history.jsonl --memory 8GiB"),
        (Why::NoEffect, "schism doctor"),
        (Why::Vacuous, "--time-limit 80"),
        (Why::Truncated, "schism test --target"),
        (Why::NodeDied, "A node died that nobody had struck."),
        (Why::Window, "schism check"),
        (Why::Disagreement, "schism lint"),
        (Why::Unsupported("txn".into()), "schism lint"),
        (Why::Panic("index out of bounds".into()), "schism lint"),
    ] {
        let page = page_of(&h, &sample::unknown(why.clone()));
        assert!(
            body(&page).contains("data-verdict=\"unknown\"") && body(&page).contains(expected),
            "{why:?}"
        );
    }
}

#[test]
fn a_vacuous_run_shows_its_unmet_gates_first() {
    let h = sample::history(300, &Names::default());
    let page = page_of(&h, &sample::unknown(Why::Vacuous));
    let text = body(&page);
    let at = |s: &str| text.find(s).unwrap_or_else(|| panic!("{s:?} is missing"));
    assert!(at("too little could have") < at("Which evidence is missing?"));
    assert!(at("strikes with effect, each kind") < at("ok reads, thinnest key"));
    assert!(at("Which evidence is missing?") < at("id=\"timeline\""));
    assert_eq!(text.matches("id=\"gates\"").count(), 1);
}

#[test]
fn an_empty_history_has_a_page_too() {
    let h = history::Builder::new().finish();
    let page = page_of(&h, &Verdict::unknown(Why::Vacuous, "Nothing was asked."));
    assert!(body(&page).contains("No op was recorded."));
}

const HOSTILE: &str =
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}{%raw%}<!--\u{202e}\u{0}";

#[test]
fn text_from_outside_stays_text() {
    let names = Names {
        nodes: (0..5).map(|n| format!("{HOSTILE}{n}")).collect(),
        key: HOSTILE.into(),
        error: HOSTILE.into(),
        text: HOSTILE.into(),
    };
    let mut h = sample::history(400, &names);
    h.header["target"] = HOSTILE.into();
    h.header["nemesis"] = serde_json::json!([HOSTILE]);
    h.header[HOSTILE] = HOSTILE.into();
    let pair = || (HOSTILE.to_string(), HOSTILE.to_string());
    let meta = Meta {
        run: HOSTILE.into(),
        title: HOSTILE.into(),
        command: HOSTILE.into(),
        host: vec![pair()],
        not_injected: vec![pair()],
        logs: vec![pair()],
        siblings: vec![
            pair(),
            ("x".into(), "javascript:alert(1)".into()),
            ("y".into(), "//evil.example/".into()),
        ],
        promise: HOSTILE.into(),
        started: HOSTILE.into(),
        file: HOSTILE.into(),
    };
    let mut bad = sample::invalid(&h);
    if let Verdict::Invalid(c) = &mut bad {
        c.pattern = HOSTILE.into();
        c.words = vec![HOSTILE.into(), HOSTILE.into()];
        c.groups = vec![HOSTILE.into()];
        c.reached[0].states = vec![HOSTILE.into(); 4];
        c.reached[0].stuck[0].says = HOSTILE.into();
        c.edges[0].says = HOSTILE.into();
    }
    for verdict in
        [bad, Verdict::valid(HOSTILE, HOSTILE), Verdict::unknown(Why::Panic(HOSTILE.into()), HOSTILE)]
    {
        let mut findings = sample::findings(&h, &verdict);
        findings[0].checker = HOSTILE.into();
        findings[0].per_model.push((Model::Set, Verdict::unknown(Why::Steps, HOSTILE)));
        findings[0].measure(HOSTILE, HOSTILE);
        findings[0].anomalies.push(Anomaly {
            kind: HOSTILE.into(),
            key: Some(HOSTILE.into()),
            ops: vec![OpId(0)],
            says: HOSTILE.into(),
        });
        findings[1].measure(
            "gates",
            serde_json::json!([{"name": HOSTILE, "needs": HOSTILE, "got": 0, "met": false}]),
        );
        let about = vec![(HOSTILE.to_string(), HOSTILE.to_string(), HOSTILE.to_string())];
        let page = Page { history: &h, verdict: &verdict, findings: &findings, about: &about, meta: &meta };
        for html in [render(&page).expect("it renders"), render_plain(&page)] {
            assert!(!html.contains("<script>alert") && !html.contains("<img src=x"), "markup got through");
            assert!(!html.contains('\u{202e}') && !html.contains('\u{0}'), "a hidden character got through");
            assert!(!html.contains("javascript:") && !html.contains("href=\"//"), "an address got through");
            assert!(!html.contains(">49<"), "a template was run");
        }
    }
    let row = IndexRow {
        run: HOSTILE.into(),
        diagnosis: HOSTILE.into(),
        target: HOSTILE.into(),
        why: HOSTILE.into(),
        verdict: "invalid".into(),
        ..IndexRow::default()
    };
    assert!(!render_index(&[row]).unwrap().contains("<script>alert"));
}

#[test]
fn a_long_run_stays_below_a_megabyte() {
    let h = sample::history(100_000, &Names::default());
    assert!(h.len() > 100_000);
    let page = page_of(&h, &sample::invalid(&h));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    let short = sample::history(10_000, &Names::default());
    let page = page_of(&short, &sample::invalid(&short));
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn a_drawing_that_fails_never_hides_the_verdict() {
    let h = sample::history(50, &Names::default());
    let mut verdict = sample::invalid(&h);
    if let Verdict::Invalid(c) = &mut verdict {
        c.core.push(OpId(9_999_999));
        c.reached[0].order.push(OpId(9_999_999));
    }
    let (findings, meta) = (sample::findings(&h, &verdict), sample::meta());
    let page = Page { history: &h, verdict: &verdict, findings: &findings, about: &[], meta: &meta };
    assert!(render(&page).is_err(), "an op that does not exist cannot be drawn");
    let plain = render_plain(&page);
    assert!(plain.contains("<h1>invalid</h1>") && plain.contains("although 29 had been acknowledged"));
}

#[test]
fn the_index_works_without_scripts() {
    let row = |run: &str, verdict: &str| IndexRow {
        run: run.into(),
        campaign: "c".into(),
        href: format!("run/c/{run}/"),
        started: run.into(),
        verdict: verdict.into(),
        ops: 12_345,
        ..IndexRow::default()
    };
    let html = render_index(&[row("1", "valid"), row("2", "invalid")]).unwrap();
    assert!(html.find("run/c/2/") < html.find("run/c/1/"), "newest first");
    assert!(html.contains("1 invalid") && html.contains("12\u{202f}345"));
    assert!(render_index(&[]).unwrap().contains("No run yet."));
}

#[test]
fn results_of_a_run_become_its_row() {
    let results = serde_json::json!({"verdict": "great", "why": null, "nemesis": ["kill", "pause"], "seed": 7, "ops": {"ok": 5, "fail": 1, "info": 1}, "strikes": {"requested": 3, "effective": 2}});
    let row = IndexRow::from_results(&results, "c", "r");
    assert_eq!(
        (row.verdict.as_str(), row.nemesis.as_str(), row.ops, row.effective),
        ("unknown", "kill, pause", 7, 2)
    );
    assert_eq!(row.href, "run/c/r/");
}
