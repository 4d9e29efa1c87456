//! A run as one self-contained page, and all runs as one index.
//!
//! The page makes no request and needs no JavaScript for its verdict, counterexample, plots and tables; the
//! timeline is the only part that does. Text from outside is escaped by the template or by `words::esc`; ops are
//! never templated one by one but shipped as compressed columns. Here: the entry points and their inputs. Not here:
//! judging, and anything that reads a file.

mod bands;
mod columns;
mod lanes;
mod orders;
mod page;
mod plots;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod words;

use checkers::{Findings, Verdict};
use history::History;
#[cfg(test)]
use history::OpId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything a page is made of. Borrowed: the page owns nothing and decides nothing.
pub struct Page<'a> {
    pub history: &'a History,
    /// The worst of all findings: the word at the top.
    pub verdict: &'a Verdict,
    /// In the order in which they are listed. A finding may carry `measured["gates"]`, an array of
    /// `{"gate": text, "needs": number, "measured": number, "met": bool}`, which the coverage section draws.
    pub findings: &'a [Findings],
    /// Checker, what it proves, what it cannot see.
    pub about: &'a [(String, String, String)],
    pub meta: &'a Meta,
}

/// What is known of a run beside its history.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    pub run: String,
    pub title: String,
    /// Reproduces the run: the same plan, not the same interleaving.
    pub command: String,
    /// Facts of the machine and the tool, label and value.
    pub host: Vec<(String, String)>,
    /// What was not injected, and why.
    pub not_injected: Vec<(String, String)>,
    /// Node and the tail of its log.
    pub logs: Vec<(String, String)>,
    /// Pages of the same campaign: label and relative address.
    pub siblings: Vec<(String, String)>,
    /// What the target promises under these faults, or `outside its promise`.
    pub promise: String,
    /// UTC, as it is to be printed.
    pub started: String,
    /// The name of a history that was judged as a file, beside which the page stands; empty for a run, whose history is
    /// `history.jsonl`.
    pub file: String,
}

/// A page could not be made; [`render_plain`] still can.
#[derive(Debug)]
pub struct RenderError(pub String);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the report could not be rendered: {}", self.0)
    }
}

impl std::error::Error for RenderError {}

/// One run in the index; read from its `results.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexRow {
    pub run: String,
    pub campaign: String,
    /// Relative address of its page.
    pub href: String,
    pub started: String,
    /// `valid`, `unknown` or `invalid`.
    pub verdict: String,
    pub why: String,
    pub diagnosis: String,
    pub target: String,
    pub bug: String,
    pub workload: String,
    pub nemesis: String,
    pub seed: u64,
    pub ops: u64,
    pub strikes: u64,
    pub effective: u64,
}

impl IndexRow {
    /// From a run's `results.json`, whatever of it is there.
    pub fn from_results(results: &serde_json::Value, campaign: &str, run: &str) -> IndexRow {
        let text = |field: &str| match &results[field] {
            serde_json::Value::String(s) => s.clone(),
            serde_json::Value::Array(a) => a.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        };
        let number = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
        let ops = &results["ops"];
        let verdict = text("verdict");
        IndexRow {
            run: run.to_string(),
            campaign: campaign.to_string(),
            href: match campaign {
                "" => format!("run/{run}/"),
                campaign => format!("run/{campaign}/{run}/"),
            },
            started: text("started"),
            // Anything that is not one of the three words is not a verdict.
            verdict: if ["valid", "invalid"].contains(&verdict.as_str()) {
                verdict
            } else {
                "unknown".into()
            },
            why: text("why"),
            diagnosis: text("diagnosis"),
            target: text("target"),
            bug: text("bug"),
            workload: text("workload"),
            nemesis: text("nemesis"),
            seed: number(&results["seed"]),
            ops: number(&ops["ok"]) + number(&ops["fail"]) + number(&ops["info"]),
            strikes: number(&results["strikes"]["requested"]),
            effective: number(&results["strikes"]["effective"]),
        }
    }
}

/// The whole page as one HTML file, below 1 MB. A panic in a drawing is an error here, not a crash.
pub fn render(page: &Page<'_>) -> Result<String, RenderError> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| page::html(page)));
    match caught {
        Ok(result) => result.map_err(RenderError),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
            Err(RenderError(format!("panicked: {}", said.unwrap_or_default())))
        }
    }
}

/// Verdict and counterexample in the barest HTML: what is written when [`render`] fails.
pub fn render_plain(page: &Page<'_>) -> String {
    use words::esc;
    let mut s = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{word}: {title}</title><body><h1>{word}</h1><p>{run}</p><pre>{command}</pre>",
        word = esc(page.verdict.word()),
        title = esc(&page.meta.title),
        run = esc(&page.meta.run),
        command = esc(&page.meta.command)
    );
    let say = |s: &mut String, text: &str| *s += &format!("<p>{}</p>", esc(text));
    match page.verdict {
        Verdict::Valid(w) => say(&mut s, &w.says),
        Verdict::Unknown(r) => say(&mut s, &format!("{}: {}", r.why.word(), r.says)),
        Verdict::Invalid(c) => {
            c.words.iter().chain(&c.groups).for_each(|w| say(&mut s, w));
            s += "<ol>";
            for id in c.core.iter().filter(|id| (id.0 as usize) < page.history.len()) {
                s += &format!("<li>{}</li>", esc(&format!("{:?}", page.history.op(*id))));
            }
            s += "</ol>";
        }
    }
    s + "<p>The full page could not be drawn. The history is beside this file.</p></body></html>"
}

/// The index of runs, newest first. Works without JavaScript; sorting and filtering need it.
pub fn render_index(rows: &[IndexRow]) -> Result<String, RenderError> {
    page::index(rows).map_err(RenderError)
}
