//! The page of a run in a real browser: no requests, no script errors, the counterexample there, keys and dark mode.
//!
//! `SCHISM_BIN` names the binary under test; without it, or without Chromium, the tests say that they were skipped.

use browser_tests::{Browser, chromium};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Bench {
    browser: Browser,
    directory: tempfile::TempDir,
}

impl Bench {
    /// A browser, and a simulated run's page: `bug` off or on.
    fn new() -> Option<(Bench, String)> {
        let Some(program) = chromium() else {
            let _ = writeln!(std::io::stderr(), "skipped: no chromium on this machine");
            return None;
        };
        let Ok(binary) = std::env::var("SCHISM_BIN") else {
            let _ = writeln!(std::io::stderr(), "skipped: SCHISM_BIN names no binary");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        Some((Bench { browser: Browser::start(program), directory }, binary))
    }

    fn run(&self, binary: &str, name: &str, more: &[&str], code: i32) -> PathBuf {
        let results = self.directory.path().join(name);
        let status = Command::new(binary)
            .args([
                "sim",
                "--nemesis",
                "isolate-leader",
                "--seed",
                "1",
                "--time-limit",
                "14",
                "--interval",
                "3",
                "--concurrency",
                "10n",
            ])
            .args(more)
            .arg("--results")
            .arg(&results)
            .status()
            .expect("the binary runs");
        assert_eq!(status.code(), Some(code));
        results.join("latest/report.html")
    }
}

const READY: &str = "document.documentElement.dataset.ready === '1'";

fn clean(browser: &Browser, page: &Path) {
    assert!(browser.problems().is_empty(), "script errors: {:?}", browser.problems());
    let own = format!("file://{}", page.display());
    let foreign: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|u| *u != own && !u.starts_with("data:") && !u.starts_with("blob:"))
        .collect();
    assert!(foreign.is_empty(), "the page asks for {foreign:?}");
}

#[test]
fn an_invalid_run_shows_its_counterexample() {
    let Some((mut bench, binary)) = Bench::new() else { return };
    let page = bench.run(&binary, "bug", &["--bug", "leader-local-read"], 1);
    let browser = &mut bench.browser;
    browser.open(&page, READY);
    assert_eq!(browser.eval("document.querySelector('#verdict').dataset.verdict"), json!("invalid"));
    let visible = "(() => { const r = document.querySelector('#counterexample').getBoundingClientRect(); return r.width > 200 && r.height > 100 })()";
    assert_eq!(browser.eval(visible), json!(true), "the counterexample takes no room");
    assert!(browser.eval("document.querySelectorAll('#counterexample .opb').length").as_u64() >= Some(2));
    assert!(browser.eval("document.querySelector('#diagnosis').innerText.length").as_u64() > Some(40));
    // Keys: a step in the counterexample, then the next anomaly, which moves the timeline and its permalink.
    let step = browser.eval("document.querySelector('#stepn').innerText");
    browser.eval("document.querySelector('#cefig').focus()");
    browser.key("ArrowLeft");
    assert_ne!(browser.eval("document.querySelector('#stepn').innerText"), step, "the arrow did not step");
    browser.eval("document.activeElement.blur()");
    browser.key("n");
    browser.wait("location.hash.includes('t=')");
    // A permalink opens the same view.
    let hash = browser.eval("location.hash");
    let shown = browser.eval("document.querySelector('#tl').dataset.shown");
    browser.eval("location.reload()");
    browser.wait(READY);
    browser.wait("document.querySelector('#tl').dataset.shown !== undefined");
    assert_eq!(browser.eval("location.hash"), hash);
    assert_eq!(browser.eval("document.querySelector('#tl').dataset.shown"), shown);
    clean(browser, &page);
}

/// Jepsen's `history.txt` has no times: the timeline goes by the order of the events.
#[test]
fn a_record_without_times_has_a_timeline_of_its_order() {
    let Some((mut bench, binary)) = Bench::new() else { return };
    let file = bench.directory.path().join("history.txt");
    let ops = [("write", "1", "1"), ("write", "2", "2"), ("read", "nil", "1")];
    let rows = ops.map(|(f, asked, got)| format!("0\t:invoke\t:{f}\t{asked}\n0\t:ok\t:{f}\t{got}\n"));
    std::fs::write(&file, rows.concat()).expect("a file");
    let status =
        Command::new(&binary).args(["check", "--report"]).arg(&file).status().expect("the binary runs");
    assert_eq!(status.code(), Some(1));
    let page = file.with_file_name("history.report.html");
    let browser = &mut bench.browser;
    browser.open(&page, READY);
    browser.wait("document.querySelectorAll('#tw tr[data-i]').length === 3");
    let cells = browser.eval("[...document.querySelectorAll('#tw tr[data-i]')].map(r => [r.cells[1], r.cells[7]].map(c => c.innerText).join(' to ')).join(', ')");
    assert_eq!(cells, json!("0 to 1, 2 to 3, 4 to 5"));
    let says = browser.eval("document.querySelector('#tlst').innerText");
    assert!(says.as_str().is_some_and(|s| s.starts_with("events 0 to 6 in their order")), "{says}");
    assert!(browser.eval("document.querySelectorAll('#counterexample .opb').length").as_u64() >= Some(3));
    clean(browser, &page);
}

#[test]
fn dark_mode_changes_the_ground_and_nothing_breaks() {
    let Some((mut bench, binary)) = Bench::new() else { return };
    let page = bench.run(&binary, "good", &[], 0);
    let browser = &mut bench.browser;
    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut seen = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", features);
        browser.open(&page, READY);
        seen.push(browser.eval(ground));
    }
    assert_ne!(seen[0], seen[1], "dark mode looks like light mode");
    assert_eq!(browser.eval("document.querySelector('#verdict').dataset.verdict"), json!("valid"));
    // On a phone the page itself never scrolls sideways.
    let phone = json!({"width": 420, "height": 800, "deviceScaleFactor": 1, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.open(&page, READY);
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth <= 420"),
        json!(true),
        "it scrolls sideways"
    );
    clean(browser, &page);
}

#[test]
fn without_javascript_the_verdict_and_the_counterexample_stand() {
    let Some((mut bench, binary)) = Bench::new() else { return };
    let page = bench.run(&binary, "bug", &["--bug", "leader-local-read"], 1);
    let browser = &mut bench.browser;
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&page, "document.readyState === 'complete'");
    assert_eq!(browser.eval("document.documentElement.dataset.ready === undefined"), json!(true));
    assert!(browser.eval("document.body.innerText.includes('Invalid')").as_bool() == Some(true));
    assert!(browser.eval("document.querySelectorAll('#counterexample svg').length").as_u64() >= Some(1));
    assert!(browser.eval("document.querySelectorAll('#plots svg').length").as_u64() >= Some(3));
    clean(browser, &page);
}
