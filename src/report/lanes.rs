//! A few ops drawn as bars on lanes of processes: the counterexample, and a witness at its narrowest.
//!
//! Order along the axis is exact; gaps are compressed and every time is printed. Twice: with time to the right for
//! wide pages, and downwards for narrow ones, both static SVG. Not here: the orders themselves (`orders`).

use super::bands::{Band, paint};
use super::words::{call, cut, cut_front, esc, label, outcome, reply, seconds, timed};
use checkers::Edge;
use history::{History, Nanos, Op, OpId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What to draw.
pub struct Figure<'a> {
    pub history: &'a History,
    pub ops: Vec<OpId>,
    /// The best order: its places become the numbers on the bars.
    pub order: &'a [OpId],
    /// Ops that fit nowhere: drawn in ink.
    pub bad: BTreeSet<OpId>,
    pub edges: &'a [Edge],
    pub bands: &'a [Band],
    pub title: String,
}

/// Edges drawn at most; the rest are in the list beside the drawing.
const EDGES: usize = 16;
/// Characters of a label.
const LABEL: usize = 28;
const LEFT: f64 = 124.0;
const WIDTH: f64 = 898.0;

struct Bar<'a> {
    op: Op<'a>,
    lane: usize,
    label: String,
    /// Numbers of events; the end is `None` while open.
    start: usize,
    end: Option<usize>,
    place: Option<usize>,
    bad: bool,
}

struct Layout<'a> {
    bars: Vec<Bar<'a>>,
    /// Process and node of each lane.
    lanes: Vec<(u32, Option<String>, bool)>,
    /// Of each event, in the order of the record, which is exact where stamps are equal or absent.
    times: Vec<Nanos>,
    /// The record has times at all.
    timed: bool,
    bands: Vec<&'a Band>,
}

impl Figure<'_> {
    fn layout(&self) -> Layout<'_> {
        let ops: Vec<Op<'_>> = self.ops.iter().map(|id| self.history.op(*id)).collect();
        let ends = ops.iter().filter_map(|o| Some((o.res(), o.completed()?)));
        let events: BTreeMap<u32, Nanos> = ops.iter().map(|o| (o.inv(), o.invoked())).chain(ends).collect();
        let (positions, times): (Vec<u32>, Vec<Nanos>) = events.into_iter().unzip();
        let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        let during = |b: &&Band| b.took && b.from <= last && b.to >= first;
        let bands: Vec<&Band> = self.bands.iter().filter(during).take(4).collect();
        let cut_off = |o: &Op<'_>| bands.iter().any(|b| o.node().is_some_and(|n| b.touched.contains(&n)));
        // Lanes that a strike touches first, so that both sides of a cut stay together.
        let mut lanes: BTreeMap<(bool, Option<u8>, u32), bool> = BTreeMap::new();
        for o in &ops {
            lanes.insert((!cut_off(o), o.node().map(|n| n.0), o.process().0), cut_off(o));
        }
        let at: BTreeMap<u32, usize> = lanes.keys().enumerate().map(|(i, k)| (k.2, i)).collect();
        let index = |position: u32| positions.binary_search(&position).unwrap_or(0);
        let bars = ops.iter().map(|o| Bar {
            op: *o,
            lane: at[&o.process().0],
            label: short(o, self.history),
            start: index(o.inv()),
            end: o.completed().map(|_| index(o.res())),
            place: self.order.iter().position(|x| *x == o.id).map(|p| p + 1),
            bad: self.bad.contains(&o.id),
        });
        let name = |n: u8| self.history.node_name(history::NodeId(n)).to_string();
        Layout {
            bars: bars.collect(),
            lanes: lanes.iter().map(|((_, n, p), cut)| (*p, n.map(name), *cut)).collect(),
            timed: timed(self.history),
            times,
            bands,
        }
    }

    /// Time to the right. At least 898 wide; grows where labels need room.
    pub fn wide(&self) -> String {
        let l = self.layout();
        let xs = positions(&l);
        let right = xs.last().copied().unwrap_or(LEFT) + 40.0;
        let top = 30.0 + 16.0 * l.bands.len() as f64;
        let y = |lane: usize| top + 30.0 + lane as f64 * 48.0;
        let bottom = y(l.lanes.len().saturating_sub(1)) + 34.0;
        let height = bottom + 48.0;
        let mut s = format!(
            "<svg class=\"ce-h\" viewBox=\"0 0 {right:.0} {height:.0}\" width=\"{right:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\"><defs><marker id=\"ah\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M1 1L7 4L1 7\" class=\"hbh\"/></marker></defs>",
            esc(&self.title)
        );
        s += &self.wide_bands(&l, &xs, right, top, bottom);
        for (i, (process, node, _)) in l.lanes.iter().enumerate() {
            let _ = write!(
                s,
                "<path d=\"M{LEFT} {0}H{right:.0}\" class=\"lane\"/><text x=\"0\" y=\"{1}\" class=\"pl\">p{process}</text>",
                y(i),
                y(i) - 2.0
            );
            if let Some(node) = node {
                let _ = write!(
                    s,
                    "<text x=\"0\" y=\"{}\" class=\"pn\">{}</text>",
                    y(i) + 12.0,
                    esc(&cut(node, 18))
                );
            }
        }
        s += &self.arrows(&l, &xs, &y);
        for bar in &l.bars {
            s += &wide_bar(bar, &xs, y(bar.lane), right);
        }
        s += &axis(&l, &xs, bottom);
        s + "</svg>"
    }

    fn wide_bands(&self, l: &Layout<'_>, xs: &[f64], right: f64, top: f64, bottom: f64) -> String {
        let mut s = String::new();
        let touched = |b: &Band, lane: usize| {
            let node = l.bars.iter().find(|x| x.lane == lane).and_then(|x| x.op.node());
            node.is_some_and(|n| b.touched.contains(&n))
        };
        for (i, b) in l.bands.iter().enumerate() {
            let (x1, x2) = (place(b.from, l, xs).max(LEFT - 14.0), place(b.to, l, xs).min(right));
            let y = 12.0 + 16.0 * i as f64;
            let end = if b.to <= *l.times.last().unwrap_or(&0) {
                String::new()
            } else {
                format!("healed at {} s", seconds(b.to))
            };
            let _ = write!(
                s,
                "<g class=\"strike\"><rect x=\"{x1:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"5\" fill=\"{}\" class=\"tex\"/><path d=\"M{x1:.1} {y}V{bottom:.0}\" class=\"cut\"/>",
                y + 4.0,
                (x2 - x1).max(3.0),
                paint(b.family)
            );
            let text = format!("strike {}: {} {}", b.id, b.family, cut(&b.target, 60));
            let _ = write!(s, "<text x=\"{:.1}\" y=\"{y}\" class=\"f\">{}</text>", x1 + 6.0, esc(&text));
            if !end.is_empty() && (x2 - x1) > 6.2 * (text.len() + end.len()) as f64 {
                let _ = write!(
                    s,
                    "<text x=\"{:.1}\" y=\"{y}\" class=\"f\" text-anchor=\"end\">{end}</text>",
                    x2 - 4.0
                );
            }
            let hit: Vec<usize> = (0..l.lanes.len()).filter(|lane| touched(b, *lane)).collect();
            for lane in &hit {
                let _ = write!(
                    s,
                    "<rect x=\"{x1:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"48\" class=\"wash\"/>",
                    top + 6.0 + *lane as f64 * 48.0,
                    (x2 - x1).max(3.0)
                );
            }
            // A wall between the two sides, where the lanes below it are not touched.
            if let Some(lane) = hit.last().filter(|h| b.family == "partition" && **h + 1 < l.lanes.len()) {
                let _ = write!(
                    s,
                    "<rect x=\"{x1:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"6\" fill=\"{}\" class=\"tex\"/>",
                    top + 51.0 + *lane as f64 * 48.0,
                    (x2 - x1).max(3.0),
                    paint(b.family)
                );
            }
            s += "</g>";
        }
        s
    }

    fn arrows(&self, l: &Layout<'_>, xs: &[f64], y: &dyn Fn(usize) -> f64) -> String {
        let mut s = String::new();
        let find = |id: OpId| l.bars.iter().find(|b| b.op.id == id);
        for e in reduced(self.edges).into_iter().take(EDGES) {
            let (Some(a), Some(b)) = (find(e.from), find(e.to)) else { continue };
            let step = a.place.unwrap_or(99).max(b.place.unwrap_or(99));
            let (ya, yb) = (y(a.lane), y(b.lane));
            if e.real_time {
                let (x1, x2) = (a.end.map_or(xs[a.start], |i| xs[i]), xs[b.start]);
                let bend = if ya == yb { x2 } else { x1 + ((x2 - x1) / 2.0).clamp(0.0, 12.0) };
                let _ = write!(
                    s,
                    "<path d=\"M{x1:.1} {ya}H{bend:.1}V{yb}H{:.1}\" class=\"hb s{step}\" marker-end=\"url(#ah)\"><title>{}</title></path>",
                    x2 - 1.0,
                    esc(&e.says)
                );
            } else {
                let (x1, x2) = (xs[a.start] + 14.0, xs[b.start] + 14.0);
                let (from, to) = if ya < yb { (ya + 13.0, yb - 13.0) } else { (ya - 13.0, yb + 13.0) };
                let _ = write!(
                    s,
                    "<path d=\"M{x1:.1} {from}L{x2:.1} {to}\" class=\"ord fail s{step}\" marker-end=\"url(#ah)\"><title>{}</title></path>",
                    esc(&e.says)
                );
            }
        }
        s
    }

    /// Time downwards, one column: bars at the left, words beside them. 388 wide.
    pub fn narrow(&self) -> String {
        let l = self.layout();
        let starts: BTreeSet<usize> = l.bars.iter().map(|b| b.start).collect();
        let mut ys = Vec::new();
        let mut at = 10.0;
        for i in 0..l.times.len() {
            let same = l.bars.iter().filter(|b| b.start == i).count().max(1) as f64;
            ys.push(at);
            at += if starts.contains(&i) { 42.0 * same } else { 16.0 };
        }
        let height = at + 24.0;
        let pitch = (110.0 / l.lanes.len().max(1) as f64).min(20.0);
        let text = 16.0 + pitch * l.lanes.len() as f64;
        let mut s = format!(
            "<svg class=\"ce-v\" viewBox=\"0 0 388 {height:.0}\" width=\"388\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">",
            esc(&self.title)
        );
        let mut used: BTreeMap<usize, f64> = BTreeMap::new();
        for bar in &l.bars {
            let x = 4.0 + pitch * bar.lane as f64;
            let (y1, y2) = (ys[bar.start], bar.end.map_or(height - 14.0, |i| ys[i]).max(ys[bar.start] + 8.0));
            let ty = y1 + *used.entry(bar.start).or_default();
            *used.entry(bar.start).or_default() += 42.0;
            let end = match bar.op.completed() {
                Some(t) if l.timed => format!(", {} to {} s", seconds(bar.op.invoked()), seconds(t)),
                None if l.timed => format!(", {} never answered", seconds(bar.op.invoked())),
                Some(_) => String::new(),
                None => ", never answered".into(),
            };
            let node = bar
                .op
                .node()
                .map_or(String::new(), |n| format!(" at {}", cut(self.history.node_name(n), 14)));
            let step = bar.place.unwrap_or(99);
            let _ = write!(
                s,
                "<g class=\"opb {} {} s{step}\" data-op=\"{}\"><rect x=\"{x:.1}\" y=\"{y1:.0}\" width=\"{:.1}\" height=\"{:.0}\" rx=\"2\" class=\"bar\"/><path d=\"M{:.1} {:.0}H{text:.0}\" class=\"lane\"/>",
                outcome(&bar.op),
                if bar.bad { "bad" } else { "" },
                bar.op.id.0,
                (pitch - 6.0).max(4.0),
                y2 - y1,
                x + pitch - 4.0,
                ty + 4.0
            );
            let mark = mark(bar);
            let _ = write!(
                s,
                "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"9\" style=\"fill:var(--ink)\"/><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" style=\"fill:var(--paper);font-weight:650\">{mark}</text>",
                text + 10.0,
                ty + 6.0,
                text + 10.0,
                ty + 10.0
            );
            let _ = write!(
                s,
                "<text x=\"{0:.0}\" y=\"{1:.0}\" style=\"font-size:13px;font-weight:600;fill:var(--ink)\">{2}</text><text x=\"{0:.0}\" y=\"{3:.0}\" class=\"rp2\">p{4}{5}{6}</text></g>",
                text + 26.0,
                ty + 10.0,
                esc(&bar.label),
                ty + 25.0,
                bar.op.process().0,
                esc(&node),
                end
            );
        }
        s + "</svg>"
    }
}

/// Edges without those that two others imply.
fn reduced(edges: &[Edge]) -> Vec<&Edge> {
    let set: BTreeSet<(OpId, OpId)> = edges.iter().map(|e| (e.from, e.to)).collect();
    let implied =
        |e: &Edge| edges.iter().any(|m| m.from == e.from && m.to != e.to && set.contains(&(m.to, e.to)));
    edges.iter().filter(|e| !e.real_time || !implied(e)).collect()
}

/// An x for every time: exact in order, logarithmic in length, never less than the labels need.
fn positions(l: &Layout<'_>) -> Vec<f64> {
    let mut gaps: Vec<Nanos> = l.times.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 0).collect();
    gaps.sort();
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or(1).max(1) as f64;
    let mut xs: Vec<f64> = Vec::new();
    for (i, t) in l.times.iter().enumerate() {
        let mut x = match i {
            0 => LEFT + 6.0,
            _ => xs[i - 1] + (16.0 + 16.0 * ((t - l.times[i - 1]) as f64 / median).ln_1p()).min(90.0),
        };
        for bar in l.bars.iter().filter(|b| b.end == Some(i)) {
            x = x.max(xs[bar.start] + room(bar));
        }
        xs.push(x);
    }
    let open = l.bars.iter().filter(|b| b.end.is_none()).map(|b| xs[b.start] + room(b));
    let wanted = open.fold(WIDTH - 40.0, f64::max);
    let last = xs.last().copied().unwrap_or(wanted);
    if last < wanted && last > LEFT + 6.0 {
        let stretch = (wanted - LEFT - 6.0) / (last - LEFT - 6.0);
        xs.iter_mut().for_each(|x| *x = LEFT + 6.0 + (*x - LEFT - 6.0) * stretch);
    }
    xs
}

/// Its place in the order; a cross where it fits nowhere, a dot where no order is known.
fn mark(bar: &Bar<'_>) -> String {
    match bar.place {
        Some(place) => place.to_string(),
        None if bar.bad => "✕".into(),
        None => "·".into(),
    }
}

/// What is read grows at its end, so a long reply keeps that.
fn short(op: &Op<'_>, history: &History) -> String {
    match op.read() {
        Some(_) if op.f() != "txn" => {
            let asked = cut(&call(op), 12);
            let left = LABEL.saturating_sub(asked.chars().count() + 3);
            format!("{asked} → {}", cut_front(&reply(op, |v| history.value(v)), left))
        }
        _ => cut(&label(op, |v| history.value(v)), LABEL),
    }
}

fn room(bar: &Bar<'_>) -> f64 {
    44.0 + 7.0 * bar.label.chars().count() as f64
}

/// The x of any time, between the positions of its neighbours.
fn place(t: Nanos, l: &Layout<'_>, xs: &[f64]) -> f64 {
    match l.times.iter().position(|x| *x >= t) {
        Some(0) => LEFT - 14.0,
        Some(i) => {
            let (a, b) = (l.times[i - 1], l.times[i]);
            xs[i - 1] + (xs[i] - xs[i - 1]) * (t - a) as f64 / (b - a).max(1) as f64
        }
        None => xs.last().copied().unwrap_or(0.0) + 40.0,
    }
}

fn wide_bar(bar: &Bar<'_>, xs: &[f64], y: f64, right: f64) -> String {
    let (x1, open) = (xs[bar.start], bar.end.is_none());
    let x2 = bar.end.map_or((x1 + room(bar)).min(right - 34.0), |i| xs[i]);
    let class =
        format!("opb {}{} s{}", outcome(&bar.op), if bar.bad { " bad" } else { "" }, bar.place.unwrap_or(99));
    let h = if matches!(bar.op.f(), "read" | "dequeue") { 22.0 } else { 28.0 };
    let mut s = format!(
        "<g class=\"{class}\" data-op=\"{}\" tabindex=\"-1\"><rect x=\"{x1:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{h}\" rx=\"4\" class=\"bg\"/>",
        bar.op.id.0,
        y - h / 2.0,
        x2 - x1
    );
    if open {
        let (t, b) = (y - h / 2.0, y + h / 2.0);
        let _ = write!(
            s,
            "<path d=\"M{x2:.1} {t}H{:.1}Q{x1:.1} {t} {x1:.1} {}V{}Q{x1:.1} {b} {:.1} {b}H{x2:.1}\" class=\"bar\"/><path d=\"M{x2:.1} {y}H{:.1}\" class=\"tail\"/><path d=\"M{:.1} {}l4 4l-4 4\" class=\"tailh\"/>",
            x1 + 4.0,
            t + 4.0,
            b - 4.0,
            x1 + 4.0,
            right - 8.0,
            right - 12.0,
            y - 4.0
        );
    } else {
        let _ = write!(
            s,
            "<rect x=\"{x1:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{h}\" rx=\"4\" class=\"bar\"/>",
            y - h / 2.0,
            x2 - x1
        );
    }
    let mark = mark(bar);
    let _ = write!(
        s,
        "<circle cx=\"{:.1}\" cy=\"{y}\" r=\"9\" class=\"nc\"/><text x=\"{:.1}\" y=\"{}\" class=\"nt\" text-anchor=\"middle\">{mark}</text>",
        x1 + 14.0,
        x1 + 14.0,
        y + 4.0
    );
    let _ =
        write!(s, "<text x=\"{:.1}\" y=\"{}\" class=\"bl\">{}</text>", x1 + 29.0, y + 4.5, esc(&bar.label));
    if open {
        let from = x2 + 8.0;
        let note = "no answer: may take effect at any later time";
        let shown = if right - from > 6.0 * note.len() as f64 { note } else { "no answer" };
        if right - from > 60.0 {
            let _ = write!(s, "<text x=\"{from:.1}\" y=\"{}\" class=\"note\">{shown}</text>", y - 6.0);
        }
    }
    s + "</g>"
}

/// Every time printed where there is room, in two rows; the ticks are complete.
fn axis(l: &Layout<'_>, xs: &[f64], y: f64) -> String {
    let close = l.times.windows(2).any(|w| w[1] > w[0] && w[1] - w[0] < 1_000_000);
    let (digits, room) = if close { (6, 62.0) } else { (3, 42.0) };
    let says = if l.timed { ["seconds,", "gaps compressed"] } else { ["order only,", "no times"] };
    let mut s = format!(
        "<path d=\"M{LEFT} {y}H{:.1}\" class=\"axis\"/><text x=\"0\" y=\"{}\" class=\"tk\">{}</text><text x=\"0\" y=\"{}\" class=\"tk\">{}</text>",
        xs.last().unwrap_or(&LEFT) + 40.0,
        y + 16.0,
        says[0],
        y + 30.0,
        says[1]
    );
    let (mut free, mut printed) = ([f64::MIN; 2], None);
    for (t, x) in l.times.iter().zip(xs) {
        let _ = write!(s, "<path d=\"M{x:.1} {y}v4\" class=\"axis\"/>");
        if !l.timed || printed == Some(*t) {
            continue;
        }
        if let Some(row) = (0..2).find(|r| free[*r] <= *x) {
            (free[row], printed) = (x + room, Some(*t));
            let text = format!("{:.digits$}", *t as f64 / 1e9);
            let _ = write!(
                s,
                "<text x=\"{x:.1}\" y=\"{}\" class=\"tk\" text-anchor=\"middle\">{text}</text>",
                y + 16.0 + 14.0 * row as f64
            );
        }
    }
    s
}
