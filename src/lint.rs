//! `schism lint`: what in a history weakens or breaks a checker's assumptions, said before anything is judged.
//!
//! The rules are `history::lint`'s; here they are printed, each with where it first shows and what follows from
//! it. Not a verdict: a history with findings may be valid or invalid.

use crate::cli::{Failure, LintArgs};
use crate::input::{self, Input};
use crate::{artifacts, check, exit};
use history::lint::{Lint, lint};
use history::{History, OpId};
use serde_json::{Value as Json, json};

/// Ops printed for each finding; `--json` has all that the rule names.
const SHOWN: usize = 5;

pub fn main(args: &LintArgs) -> Result<i32, Failure> {
    let options = args.read.options()?;
    let (mut code, mut documents) = (exit::VALID, Vec::new());
    for path in &args.files {
        // One unreadable file must not cost the findings about the others.
        let input = match input::open(path, Some(&args.read.format), &options) {
            Ok(input) => input,
            Err(failure) => {
                code = failure.report();
                continue;
            }
        };
        let found = lint(&input.history);
        match args.json {
            true => documents.push(document(&input, &found)),
            false => print!("{}", text(&input, &found)),
        }
    }
    if args.json {
        let document = json!({"schema": 1, "files": documents});
        println!("{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    }
    Ok(code)
}

fn text(input: &Input, found: &[Lint]) -> String {
    let [ok, fail, info] = artifacts::op_counts(&input.history);
    let headline = match found.len() {
        0 => "nothing in it weakens a verdict".to_string(),
        1 => "one thing weakens what a verdict on it is worth".to_string(),
        n => format!("{n} things weaken what a verdict on it is worth"),
    };
    let keys = input.history.by_key().len();
    let mut text = format!(
        "{}: {headline}\n  {}: {ok} ok, {fail} fail, {info} info, {keys} keys\n",
        input.path.display(),
        input.format
    );
    for finding in found {
        text += &format!("\n  {} ×{}: {}\n", finding.name, finding.count, finding.what);
        text += &format!("    so: {}\n", finding.consequence);
        for id in finding.ops.iter().take(SHOWN) {
            text += &format!("    {:10}  {}\n", place(input, *id), check::describe(&input.history, *id));
        }
        let more = finding.count as usize - finding.ops.len().min(SHOWN).min(finding.count as usize);
        if more > 0 && !finding.ops.is_empty() {
            text += &format!("    and {more} more\n");
        }
    }
    text
}

/// Where an op begins.
fn place(input: &Input, id: OpId) -> String {
    match line(input, id) {
        Some(line) => format!("line {line}"),
        None => format!("event {}", input.history.op(id).inv() + 1),
    }
}

fn line(input: &Input, id: OpId) -> Option<u64> {
    input.history.op(id).line()
}

fn document(input: &Input, found: &[Lint]) -> Json {
    let [ok, fail, info] = artifacts::op_counts(&input.history);
    json!({
        "file": input.path.display().to_string(),
        "format": input.format,
        "ops": {"ok": ok, "fail": fail, "info": info},
        "findings": found.iter().map(|f| finding(input, &input.history, f)).collect::<Vec<_>>(),
    })
}

fn finding(input: &Input, history: &History, f: &Lint) -> Json {
    let op = |id: &OpId| {
        let event = history.op(*id).inv() + 1;
        json!({"op": id.0, "line": line(input, *id), "event": event, "says": check::describe(history, *id)})
    };
    json!({
        "name": f.name,
        "count": f.count,
        "what": f.what,
        "consequence": f.consequence,
        "ops": f.ops.iter().map(op).collect::<Vec<_>>(),
    })
}
