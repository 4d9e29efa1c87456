//! The orders that got furthest: as a tree that shows where each dies, and as steps to walk through.
//!
//! Orders with a common beginning share it; above twelve the rest are counted. No judging here: the checker says
//! which orders it reached and why nothing could come next.

use super::words::{call, cut, esc, label, linked, plain};
use checkers::{Partial, Stuck};
use history::{History, OpId};
use serde_json::{Value as Json, json};
use std::fmt::Write;

const LEAVES: usize = 12;
/// Ops shown of an order: its last ones.
const DEPTH: usize = 9;

/// The longest of the reached orders (the first of equals).
pub fn best(reached: &[Partial]) -> Option<&Partial> {
    reached.iter().rev().max_by_key(|p| p.order.len())
}

/// Reached orders, best first, at most twelve; and how many were left out.
fn shown(reached: &[Partial]) -> (Vec<&Partial>, usize) {
    let mut all: Vec<&Partial> = reached.iter().collect();
    all.sort_by_key(|p| std::cmp::Reverse(p.order.len()));
    all.dedup_by(|a, b| a.order == b.order);
    let hidden = all.len().saturating_sub(LEAVES);
    all.truncate(LEAVES);
    (all, hidden)
}

/// How many leading ops all of them share and the drawing leaves out.
fn skipped(shown: &[&Partial]) -> usize {
    let Some(first) = shown.first() else { return 0 };
    let common = (0..first.order.len())
        .take_while(|i| shown.iter().all(|p| p.order.get(*i) == first.order.get(*i)))
        .count();
    let deep = first.order.len().saturating_sub(DEPTH);
    if shown.len() == 1 { deep } else { common.saturating_sub(1).min(deep) }
}

/// Sentences for what cannot come next: `Op 4482, read → 26: needs 26, state is 29`, linked.
fn stuck(history: &History, s: &Stuck) -> String {
    let op = history.op(s.op);
    let text = format!("Op {}, {}: {}", s.op.0, cut(&label(&op, |v| history.value(v)), 40), s.says);
    linked(&text, history.len())
}

struct Tree<'a> {
    history: &'a History,
    skip: usize,
    svg: String,
    rows: usize,
    width: f64,
}

/// The tree as SVG, and a sentence on what it leaves out. Empty without orders.
pub fn tree(history: &History, reached: &[Partial]) -> (String, String) {
    let (orders, hidden) = shown(reached);
    if orders.is_empty() {
        return (String::new(), String::new());
    }
    let skip = skipped(&orders);
    let mut tree = Tree { history, skip, svg: String::new(), rows: 0, width: 300.0 };
    let start = match skip {
        0 => "start".to_string(),
        n => state(orders[0], n - 1),
    };
    tree.node(0, 0, &start, true);
    tree.branch(&orders, 0, 0, true);
    let height = (tree.rows + 1) * 31 + 8;
    let svg = format!(
        "<svg class=\"tree\" viewBox=\"0 0 {0:.0} {height}\" width=\"{0:.0}\" height=\"{height}\" role=\"img\" aria-label=\"The orders that were reached, and the op at which each dies\">{1}</svg>",
        tree.width, tree.svg
    );
    let mut note = String::new();
    if skip > 0 {
        let _ = write!(note, "{skip} earlier ops stand before the first circle. ");
    }
    if hidden > 0 {
        let _ = write!(note, "{hidden} more orders, none longer, are not drawn.");
    }
    (svg, note)
}

/// The state after the op at `i`, short.
fn state(p: &Partial, i: usize) -> String {
    p.states.get(i).map_or(String::new(), |s| plain(s))
}

fn x(depth: usize) -> f64 {
    4.0 + depth as f64 * 116.0
}

impl Tree<'_> {
    fn branch(&mut self, orders: &[&Partial], depth: usize, row: usize, on_best: bool) {
        let at = self.skip + depth;
        let mut groups: Vec<(Option<OpId>, Vec<&Partial>)> = Vec::new();
        for p in orders {
            let next = p.order.get(at).copied();
            match groups.iter_mut().find(|(id, _)| *id == next) {
                Some((_, list)) => list.push(p),
                None => groups.push((next, vec![p])),
            }
        }
        for (i, (next, list)) in groups.iter().enumerate() {
            let best = on_best && i == 0;
            let y = if i == 0 {
                row
            } else {
                self.rows += 1;
                self.rows
            };
            match next {
                Some(id) => {
                    self.edge(depth, row, y, &cut(&call(&self.history.op(*id)), 13), best, id.0);
                    self.node(depth + 1, y, &state(list[0], at), best);
                    self.branch(list, depth + 1, y, best);
                }
                None => self.dead(depth, row, y, list[0], best),
            }
        }
    }

    fn edge(&mut self, depth: usize, from: usize, to: usize, text: &str, best: bool, op: u32) {
        let class = if best { format!("best n{}", depth + 1) } else { String::new() };
        let (x1, x2, y1, y2) = (x(depth) + 52.0, x(depth + 1), 24 + from * 31, 24 + to * 31);
        let path = match from == to {
            true => format!("M{x1:.0} {y1}H{x2:.0}"),
            false => {
                format!("M{:.0} {}V{}Q{0:.0} {y2} {:.0} {y2}H{x2:.0}", x1 - 26.0, y1 + 11, y2 - 7, x1 - 19.0)
            }
        };
        let _ = write!(
            self.svg,
            "<path d=\"{path}\" class=\"te {class}\"/><text x=\"{:.0}\" y=\"{}\" class=\"tl {class}\" text-anchor=\"middle\"><title>op {op}</title>{}</text>",
            (x1 + x2) / 2.0,
            y2 - 6,
            esc(text)
        );
    }

    fn node(&mut self, depth: usize, row: usize, text: &str, best: bool) {
        let class = if best { format!("best n{depth}") } else { String::new() };
        let (x, y) = (x(depth), 24 + row * 31);
        let _ = write!(
            self.svg,
            "<g class=\"tn {class}\"><title>{}</title><rect x=\"{x:.0}\" y=\"{}\" width=\"52\" height=\"22\" rx=\"11\"/><text x=\"{:.0}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>",
            esc(&cut(text, 200)),
            y - 11,
            x + 26.0,
            y + 4,
            esc(&cut(text, 7))
        );
        self.width = self.width.max(x + 80.0);
    }

    fn dead(&mut self, depth: usize, from: usize, row: usize, p: &Partial, best: bool) {
        let class = if best { format!("best n{}", depth + 1) } else { String::new() };
        let (x1, y1, y) = (x(depth) + 52.0, 24 + from * 31, 24 + row * 31);
        let path = match from == row {
            true => format!("M{x1:.0} {y}h22"),
            false => format!(
                "M{:.0} {}V{}Q{0:.0} {y} {:.0} {y}H{:.0}",
                x1 - 26.0,
                y1 + 11,
                y - 7,
                x1 - 19.0,
                x1 + 22.0
            ),
        };
        let text = match p.stuck.as_slice() {
            [] => "nothing left fits".to_string(),
            [one] => format!("op {}: {}", one.op.0, one.says),
            [one, rest @ ..] => format!("op {}: {}; and {} more", one.op.0, one.says, rest.len()),
        };
        let text = cut(&plain(&text), 64);
        let _ = write!(
            self.svg,
            "<path d=\"{path}\" class=\"te dead {class}\"/><g class=\"td {class}\"><path d=\"M{:.1} {}l9 9m0-9l-9 9\"/><text x=\"{:.0}\" y=\"{}\">{}</text></g>",
            x1 + 25.0,
            y - 4,
            x1 + 42.0,
            y + 4,
            esc(&text)
        );
        self.width = self.width.max(x1 + 52.0 + 6.6 * text.chars().count() as f64);
    }
}

/// The best order, one step an op, then the dead end: what the state is, and what else could have come.
pub fn steps(history: &History, reached: &[Partial]) -> Vec<Json> {
    let (orders, _) = shown(reached);
    let Some(best) = orders.first() else { return Vec::new() };
    let skip = skipped(&orders);
    let mut steps = Vec::new();
    for i in skip..best.order.len() {
        let op = history.op(best.order[i]);
        let node = op.node().map_or(String::new(), |n| format!(" at {}", history.node_name(n)));
        let text = format!(
            "Op {}, by p{}{node}: {}.",
            op.id.0,
            op.process().0,
            cut(&label(&op, |v| history.value(v)), 60)
        );
        let others: Vec<String> = orders
            .iter()
            .skip(1)
            .filter(|p| p.order.len() >= i && p.order[..i] == best.order[..i])
            .filter_map(|p| {
                p.order.get(i).filter(|o| **o != best.order[i]).map(|o| alternative(history, p, *o))
            })
            .take(3)
            .collect();
        steps.push(json!({"place": i + 1, "op": op.id.0.to_string(), "long": state(best, i).chars().count() > 6, "state": cut(&state(best, i), 60), "says": linked(&text, history.len()), "other": others}));
    }
    let says: Vec<String> = best.stuck.iter().take(6).map(|s| stuck(history, s)).collect();
    let last = best.order.len().checked_sub(1).map_or("start".into(), |i| state(best, i));
    steps.push(json!({"place": "✕", "op": "", "long": last.chars().count() > 6, "state": cut(&last, 60), "says": dead_end(&says, best.stuck.len()), "other": Vec::<String>::new()}));
    steps
}

fn dead_end(says: &[String], all: usize) -> String {
    match (says, all) {
        ([], _) => "Dead end: nothing that is left can come next.".into(),
        ([one], 1) => format!("Dead end. {one}."),
        _ => format!(
            "Dead end; none of these can come next. {}.{}",
            says.join(". "),
            if all > says.len() { format!(" And {} more.", all - says.len()) } else { String::new() }
        ),
    }
}

fn alternative(history: &History, p: &Partial, op: OpId) -> String {
    let what = cut(&label(&history.op(op), |v| history.value(v)), 30);
    let why =
        p.stuck.first().map_or("nothing left fits".to_string(), |s| format!("op {} {}", s.op.0, s.says));
    linked(
        &format!(
            "op {}, {what}: then {} of {} fit, and {why}.",
            op.0,
            p.order.len(),
            p.order.len() + p.stuck.len()
        ),
        history.len(),
    )
}
