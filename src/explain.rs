//! `schism explain FILE`: a verdict and its counterexample in the terminal, as text that can be pasted anywhere.
//!
//! Lanes, orders and edges are the checker's; here they are only drawn. A name of the registries goes to `list`.

use crate::check::{self, Judged};
use crate::cli::{ExplainArgs, Failure};
use crate::{artifacts, list};
use checkers::{Counterexample, Edge, Partial, Verdict};
use history::{History, Nanos, Op, OpId, Outcome, Reply, StrikeRecord};
use std::path::Path;

/// Columns of the drawing of time, more only where there are more events.
const WIDTH: usize = 60;
/// Orders printed, and the last ops of each.
const ORDERS: usize = 3;
const STEPS: usize = 12;
/// Characters of a call or of a value.
const LONG: usize = 40;

pub fn main(args: &ExplainArgs) -> Result<i32, Failure> {
    let path = Path::new(&args.what);
    let known = list::registered(&args.what);
    // A directory that is called like a workload is not meant unless it holds a history.
    let holds = path.is_dir() && (!known || path.join("history.jsonl").is_file());
    if !path.is_file() && !holds {
        return match known || !args.what.contains(['/', '.']) {
            true => list::explain(&args.what),
            false => Err(Failure::usage(format!("{}: there is no such file or directory", args.what))),
        };
    }
    let judged = check::judged(path, &args.read, &args.spec)?;
    print!("{}", text(&judged));
    Ok(judged.judgement.exit_code())
}

fn text(judged: &Judged) -> String {
    let (history, judgement) = (&judged.input.history, &judged.judgement);
    let [ok, fail, info] = artifacts::op_counts(history);
    let mut text = format!(
        "{}: {}\n{}, {}: {ok} ok, {fail} fail, {info} info, {} keys\n\n",
        judged.input.path.display(),
        judgement.headline(),
        judged.spec,
        judged.input.format,
        history.by_key().len()
    );
    match &judgement.verdict {
        Verdict::Invalid(found) => {
            let words =
                if found.words.is_empty() { vec![judgement.diagnosis()] } else { found.words.clone() };
            text += &format!("{}\n", wrapped(&words.join(" "), ""));
            text += &counterexample(history, found);
            text += &others(judged, found);
        }
        Verdict::Unknown(reason) => {
            text += &format!("{}\n", wrapped(&judgement.diagnosis(), ""));
            if reason.of > 0 {
                text += &format!("Known to be fine up to event {} of {}.\n", reason.settled, reason.of);
            }
        }
        Verdict::Valid(_) => {
            text += &format!("{}\n", wrapped(&judgement.diagnosis(), ""));
            for (model, verdict) in judgement.findings.iter().flat_map(|f| &f.per_model) {
                if let Verdict::Valid(witness) = verdict {
                    text += &wrapped(&format!("{model}: {}", witness.says), "  ");
                    text.push('\n');
                }
            }
        }
    }
    text
}

fn counterexample(history: &History, found: &Counterexample) -> String {
    let mut text = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            text += &format!("\n{title}\n{}\n", lines.join("\n"));
        }
    };
    let mut drawn = lanes(history, found);
    drawn.extend(found.groups.iter().map(|g| format!("  {g}")));
    section("The ops that contradict each other", drawn);
    section("Orders of these ops that got furthest", orders(history, &found.reached));
    let edge = |real_time: bool| {
        let edges = found.edges.iter().filter(|e| e.real_time == real_time);
        // Without times a gap of 0 ns is nothing that was measured.
        let says = |e: &Edge| match real_time && history.end() == 0 {
            true => String::new(),
            false => format!("  {}", e.says),
        };
        edges.map(|e| format!("  #{} → #{}{}", e.from.0, e.to.0, says(e))).collect::<Vec<_>>()
    };
    section("Real time: the first had completed before the second was invoked", edge(true));
    section("Values: the second saw what the first made", edge(false));
    section("Strikes that were on", strikes(history, &found.core));
    text
}

/// The same kind of evidence about other keys, by name only.
fn others(judged: &Judged, found: &Counterexample) -> String {
    let all = judged.judgement.findings.iter().flat_map(|f| &f.per_model);
    let more: Vec<String> = all
        .filter_map(|(model, verdict)| match verdict {
            Verdict::Invalid(c) if **c != *found => {
                let key = c.key.as_ref().map(|k| format!(" of key {}", k.to_plain())).unwrap_or_default();
                Some(format!("{} ({model}){key}", c.pattern))
            }
            _ => None,
        })
        .collect();
    match more.is_empty() {
        true => String::new(),
        false => wrapped(&format!("\nAlso refuted: {}.", more.join(", ")), "") + "\n",
    }
}

/// Begin and end of a bar; no end where the op was never answered.
type Bar = (usize, Option<usize>);

/// One line an op: who, on which node, what, what came back, and when against the others.
fn lanes(history: &History, found: &Counterexample) -> Vec<String> {
    let ops: Vec<Op<'_>> = found.core.iter().map(|id| history.op(*id)).collect();
    let bars = bars(&ops);
    let who: Vec<String> = ops.iter().map(|op| who(history, op)).collect();
    let what: Vec<String> = ops.iter().map(answered).collect();
    let longest = |texts: &[String]| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0);
    let (w1, w2) = (longest(&who), longest(&what));
    let mut lines: Vec<String> = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let demoted = found.demoted.contains(&op.id);
        let mut line = format!("  {:w1$}  {:w2$}   {}", who[i], what[i], bar(bars[i], demoted, op));
        if Some(op.id) == found.first_bad {
            line += "   ← here no order is left";
        } else if demoted {
            line += "   (perhaps; its reply is not needed)";
        }
        lines.push(line);
    }
    if let (Some(from), Some(to)) =
        (ops.iter().map(Op::invoked).min(), ops.iter().filter_map(Op::completed).max())
    {
        let span = match to {
            0 => "the record has no times; the order is exact".to_string(),
            _ => {
                format!("{} to {}; order is exact, long stretches are shortened", seconds(from), seconds(to))
            }
        };
        lines.push(format!("  {:w1$}  {:w2$}   {span}", "", ""));
    }
    lines
}

fn who(history: &History, op: &Op<'_>) -> String {
    let node = op.node().or(op.server()).map(|n| format!(" on {}", history.node_name(n))).unwrap_or_default();
    format!("#{} p{}{node}", op.id.0, op.process().0)
}

fn answered(op: &Op<'_>) -> String {
    let reply = match op.outcome() {
        Outcome::Ok(Reply::Read(v)) => format!(" → {}", short(&v.to_string())),
        Outcome::Ok(Reply::Mismatch) => " refused".into(),
        Outcome::Ok(_) => String::new(),
        Outcome::Fail(_) => " failed".into(),
        Outcome::Info(_) => " ?".into(),
    };
    format!("{}{reply}", short(&op.call().to_string()))
}

/// The beginning and the end of what is too long for a line.
fn short(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONG {
        return text.to_string();
    }
    let half = LONG / 2 - 2;
    let end: String = text.chars().skip(length - half).collect();
    format!("{} … {end}", text.chars().take(half).collect::<String>())
}

/// A column for every event, in order of the record; gaps grow with the logarithm of the time in them.
fn bars(ops: &[Op<'_>]) -> Vec<Bar> {
    let mut events: Vec<(u32, Nanos)> = Vec::new();
    for op in ops {
        events.push((op.inv(), op.invoked()));
        events.extend(op.completed().map(|time| (op.res(), time)));
    }
    events.sort_unstable();
    let shortest = events.windows(2).map(|w| w[1].1 - w[0].1).filter(|gap| *gap > 0).min().unwrap_or(1);
    // Without times every gap is the same.
    let weight = |gap: Nanos| (1.0 + (gap as f64 / shortest as f64)).log2();
    let timed = events.windows(2).any(|w| w[1].1 > w[0].1);
    let weights: Vec<f64> =
        events.windows(2).map(|w| if timed { weight(w[1].1 - w[0].1) } else { 1.0 }).collect();
    let whole: f64 = weights.iter().sum();
    // What is left of the width when every event has a column of its own.
    let spare = WIDTH.min(events.len() * 10).saturating_sub(events.len()) as f64;
    let (mut columns, mut so_far) = (vec![0], 0.0);
    for (i, weight) in weights.iter().enumerate() {
        so_far += weight;
        let stretch = if whole > 0.0 { (so_far / whole * spare).round() as usize } else { 0 };
        columns.push(i + 1 + stretch);
    }
    let column = |position: u32| {
        let at = events.partition_point(|(p, _)| *p < position);
        columns.get(at).copied().unwrap_or(0)
    };
    ops.iter().map(|op| (column(op.inv()), op.completed().map(|_| column(op.res())))).collect()
}

/// `|-----|`, `|-----→` where it is open for ever, `|-----x` where it certainly did not happen, `|~~~→` demoted.
fn bar((from, to): Bar, demoted: bool, op: &Op<'_>) -> String {
    let (fill, end) = match (demoted, to, op.outcome()) {
        (true, ..) => ("~", "→"),
        (_, None, _) => ("-", "→"),
        (_, _, Outcome::Fail(_)) => ("-", "x"),
        _ => ("-", "|"),
    };
    let to = to.filter(|_| !demoted).unwrap_or(WIDTH.max(from + 2));
    format!("{:from$}|{}{end}", "", fill.repeat(to.saturating_sub(from + 1)))
}

/// Each order with the state after every op, and why nothing could come next.
fn orders(history: &History, reached: &[Partial]) -> Vec<String> {
    let mut best: Vec<&Partial> = reached.iter().collect();
    best.sort_by_key(|p| std::cmp::Reverse(p.order.len()));
    let mut lines = Vec::new();
    for (number, partial) in best.iter().take(ORDERS).enumerate() {
        let skipped = partial.order.len().saturating_sub(STEPS);
        if skipped > 0 {
            lines.push(format!("  {}. after {skipped} earlier ops", number + 1));
        }
        let steps: Vec<String> =
            partial.order.iter().map(|id| format!("#{} {}", id.0, answered(&history.op(*id)))).collect();
        let width = steps.iter().map(|s| s.chars().count()).max().unwrap_or(0);
        if steps.is_empty() {
            lines.push(format!("  {}. nothing can come first", number + 1));
        }
        for (i, step) in steps.iter().enumerate().skip(skipped) {
            let mark = if i == 0 { format!("{}.", number + 1) } else { String::new() };
            let state = partial.states.get(i).map_or(String::new(), |s| short(s));
            lines.push(format!("  {mark:3}{step:width$}   state {state}"));
        }
        for stuck in &partial.stuck {
            let op = history.op(stuck.op);
            lines.push(format!("     then #{} {} cannot follow: {}", stuck.op.0, answered(&op), stuck.says));
        }
        if partial.stuck.is_empty() {
            lines.push("     then nothing that had to come by now can follow".into());
        }
    }
    if best.len() > ORDERS {
        lines.push(format!("  and {} more orders, none longer", best.len() - ORDERS));
    }
    lines
}

/// Strikes that began before the last of the ops had ended and were not healed before the first began.
fn strikes(history: &History, core: &[OpId]) -> Vec<String> {
    let ops = || core.iter().map(|id| history.op(*id));
    let (Some(from), Some(to)) =
        (ops().map(|op| op.invoked()).min(), ops().map(|op| op.completed().unwrap_or(op.invoked())).max())
    else {
        return Vec::new();
    };
    let on = |s: &&StrikeRecord| s.begun <= to && s.healed.as_ref().is_none_or(|(at, _)| *at >= from);
    history.strikes().iter().filter(on).map(|s| strike(history, s)).collect()
}

fn strike(history: &History, s: &StrikeRecord) -> String {
    let until =
        s.healed.as_ref().map_or("never healed".into(), |(at, _)| format!("healed at {}", seconds(*at)));
    let (nodes, measured) = match &s.confirmed {
        Some((_, resolved, effect)) => {
            let touched = resolved.touched(history.nodes().len());
            let names: Vec<&str> = touched.iter().map(|n| history.node_name(*n)).collect();
            let nodes = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
            let took = if effect.took { "" } else { "no effect: " };
            (nodes, format!("; {took}{}", effect.measured))
        }
        None => (String::new(), "; never confirmed".into()),
    };
    format!("  {}{nodes}: from {}, {until}{measured}", s.strike.fault, seconds(s.begun))
}

fn seconds(time: Nanos) -> String {
    format!("{:.3} s", time as f64 / 1e9)
}

/// Broken at blanks, at most a hundred columns.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::from(indent);
    let mut column = indent.len();
    for (i, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if i > 0 && column + 1 + length > 100 {
            lines += &format!("\n{indent}");
            column = indent.len();
        } else if i > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += length;
    }
    lines
}
