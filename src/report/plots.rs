//! Latency, rate and availability over the run, as static SVG on one shared time axis.
//!
//! Binned, so that the size does not depend on the number of ops. Drawn by plotters in marker colours that are
//! then replaced by the page's own paints, so that one drawing serves light, dark and print. Three widths, of
//! which the page shows one: text keeps its size. Left gutter 88 px, right 64 px (34 and 8 on the narrow one).

use super::bands::{Band, nice_step, number};
use super::words::{cut, outcome, plain, wilson};
use history::{History, Nanos};
use plotters::prelude::*;
use serde_json::{Value as Json, json};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A drawing's size: width, left gutter, right gutter, bins.
#[derive(Clone, Copy)]
pub struct Frame {
    pub class: &'static str,
    width: u32,
    left: u32,
    right: u32,
    bins: usize,
}

pub const FRAMES: [Frame; 3] = [
    Frame { class: "w1", width: 1152, left: 88, right: 64, bins: 160 },
    Frame { class: "w2", width: 760, left: 88, right: 64, bins: 100 },
    Frame { class: "w3", width: 388, left: 34, right: 8, bins: 60 },
];

/// Marker colours and the paints they stand for.
const PAINTS: [(u8, &str); 13] = [
    (1, "var(--ok)"),
    (2, "var(--info)"),
    (3, "var(--fail)"),
    (4, "var(--ink)"),
    (5, "var(--ink3)"),
    (6, "var(--line)"),
    (7, "var(--rule)"),
    (8, "var(--wash)"),
    (9, "var(--fault)"),
    (10, "url(#tx-kill)"),
    (11, "url(#tx-pause)"),
    (12, "url(#tx-partition)"),
    (13, "url(#tx-other)"),
];

const fn paint(n: u8) -> RGBColor {
    RGBColor(10, 0, n)
}
const OK: RGBColor = paint(1);
const INFO: RGBColor = paint(2);
const FAIL: RGBColor = paint(3);
const INK: RGBColor = paint(4);
const INK3: RGBColor = paint(5);
const LINE: RGBColor = paint(6);
const RULE: RGBColor = paint(7);
const WASH: RGBColor = paint(8);
const FAULT: RGBColor = paint(9);

fn texture(family: &str) -> RGBColor {
    match family {
        "kill" => paint(10),
        "pause" => paint(11),
        "partition" => paint(12),
        _ => paint(13),
    }
}

/// The numbers behind the three plots: one pass over the history.
pub struct Series {
    end: f64,
    /// Invocation and latency in ms of ok ops.
    ok: Vec<(f32, f32)>,
    info: Vec<(f32, f32)>,
    fail: Vec<(f32, f32)>,
    /// Completion times by outcome: ok, info, fail.
    done: [Vec<f32>; 3],
    /// The calls of each node's clients. The last lane holds clients without a node.
    nodes: Vec<(String, Vec<Asked>)>,
}

/// A call as availability sees it: seconds, and whether it was answered.
struct Asked {
    from: f32,
    to: f32,
    ok: bool,
}

impl Series {
    pub fn new(history: &History) -> Series {
        let s = |t: Nanos| (t as f64 / 1e9) as f32;
        let mut names: Vec<String> = history.nodes().iter().map(|n| plain(n)).collect();
        names.push("outside".into());
        let mut series = Series {
            end: (history.end() as f64 / 1e9).max(1e-6),
            ok: Vec::new(),
            info: Vec::new(),
            fail: Vec::new(),
            done: Default::default(),
            nodes: names.into_iter().map(|n| (n, Vec::new())).collect(),
        };
        let outside = series.nodes.len() - 1;
        for op in history.ops() {
            let end = op.gave_up().unwrap_or(history.end());
            let took = (end.saturating_sub(op.invoked()) as f64 / 1e6).max(0.001) as f32;
            let (kind, list) = match outcome(&op) {
                "ok" => (0, &mut series.ok),
                "info" => (1, &mut series.info),
                // A refusal was answered: it is shown with the failures, but the service was there.
                _ => (2, &mut series.fail),
            };
            list.push((s(op.invoked()), took));
            series.done[kind].push(s(end));
            let lane = op.node().map_or(outside, |n| n.0 as usize);
            series.nodes[lane].1.push(Asked { from: s(op.invoked()), to: s(end), ok: op.is_ok() });
        }
        series.nodes.retain(|(_, ops)| !ops.is_empty());
        series
    }

    /// Latency of ok ops (p5 to p95 as area; p50, p95, p99 as lines), info and fail one by one as far as they differ.
    pub fn latency(&self, frame: Frame, bands: &[Band], marks: &[Nanos]) -> Outcome<String> {
        let all = || self.ok.iter().chain(&self.info).chain(&self.fail).map(|p| p.1 as f64);
        let low = 10f64.powf(all().fold(f64::MAX, f64::min).min(1e6).log10().floor());
        let high = (all().fold(0.0, f64::max) * 1.6).max(low * 10.0);
        draw(frame, 172, self.end, |root, frame| {
            let mut chart = ChartBuilder::on(root)
                .set_label_area_size(LabelAreaPosition::Left, frame.left)
                .set_label_area_size(LabelAreaPosition::Bottom, 20)
                .margin_right(frame.right)
                .build_cartesian_2d(0.0..self.end, (low..high).log_scale())?;
            band_washes(root, frame, self.end, 152, bands)?;
            let label = label_style();
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(LINE)
                .axis_style(RULE)
                .x_labels(tick_count(frame))
                .y_labels(5)
                .x_label_formatter(&|x| number(*x))
                .y_label_formatter(&|y| number(*y))
                .label_style(label)
                .draw()?;
            let bins = bin(&self.ok, self.end, frame.bins);
            let at = |i: usize| (i as f64 + 0.5) * self.end / frame.bins as f64;
            for run in runs(&bins) {
                let line =
                    |p: f64| run.clone().map(move |i| (i, p)).map(|(i, p)| (at(i), quantile(&bins[i], p)));
                let fan: Vec<(f64, f64)> =
                    line(0.95).chain(line(0.05).collect::<Vec<_>>().into_iter().rev()).collect();
                chart.draw_series([Polygon::new(fan, OK.mix(0.2).filled())])?;
                for (p, width) in [(0.5, 2), (0.95, 1), (0.99, 1)] {
                    let style =
                        if p > 0.97 { INK3.mix(0.9).stroke_width(width) } else { INK.stroke_width(width) };
                    chart.draw_series([PathElement::new(line(p).collect::<Vec<_>>(), style)])?;
                }
            }
            let sparse = |points: &[(f32, f32)], n: usize| thin(points, self.end, low, high, n);
            let cross = sparse(&self.fail, frame.bins * 2);
            chart.draw_series(cross.iter().map(|p| Cross::new(*p, 3, FAIL.stroke_width(1))))?;
            let open = sparse(&self.info, frame.bins * 2);
            chart.draw_series(open.iter().map(|p| TriangleMarker::new(*p, 4, INFO.filled())))?;
            marks_below(root, frame, self.end, 152, marks)
        })
    }

    /// Completions a second by outcome.
    pub fn rate(&self, frame: Frame, bands: &[Band]) -> Outcome<String> {
        let width = self.end / frame.bins as f64;
        let count = |list: &[f32]| {
            let mut bins = vec![0f64; frame.bins];
            list.iter().for_each(|t| bins[slot(*t, self.end, frame.bins)] += 1.0 / width);
            bins
        };
        let rates: Vec<Vec<f64>> = self.done.iter().map(|d| count(d)).collect();
        let high = rates.iter().flatten().fold(1.0f64, |a, b| a.max(*b)) * 1.12;
        draw(frame, 116, self.end, |root, frame| {
            let mut chart = ChartBuilder::on(root)
                .set_label_area_size(LabelAreaPosition::Left, frame.left)
                .set_label_area_size(LabelAreaPosition::Bottom, 20)
                .margin_right(frame.right)
                .build_cartesian_2d(0.0..self.end, 0.0..high)?;
            band_washes(root, frame, self.end, 96, bands)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(LINE)
                .axis_style(RULE)
                .x_labels(tick_count(frame))
                .y_labels(4)
                .x_label_formatter(&|x| number(*x))
                .y_label_formatter(&|y| number(*y))
                .label_style(label_style())
                .draw()?;
            for (rate, colour) in rates.iter().zip([OK, INFO, FAIL]) {
                if rate.iter().all(|r| *r == 0.0) {
                    continue;
                }
                let step = |(i, r): (usize, &f64)| [(i as f64 * width, *r), ((i + 1) as f64 * width, *r)];
                let points: Vec<(f64, f64)> = rate.iter().enumerate().flat_map(step).collect();
                chart.draw_series(
                    AreaSeries::new(points, 0.0, colour.mix(0.18)).border_style(colour.stroke_width(1)),
                )?;
            }
            Ok(())
        })
    }

    /// For each node, whether the calls of its clients were answered: full, in part, or not at all.
    pub fn availability(&self, frame: Frame, bands: &[Band]) -> Outcome<String> {
        let pitch = 18;
        let height = self.nodes.len() as u32 * pitch + 30;
        draw(frame, height, self.end, |root, frame| {
            band_washes(root, frame, self.end, height as i32 - 20, bands)?;
            time_axis(root, frame, self.end, height as i32 - 20)?;
            for (lane, (name, ops)) in self.nodes.iter().enumerate() {
                let y = 8 + lane as i32 * pitch as i32;
                let style = label_style().pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Right,
                    plotters::style::text_anchor::VPos::Center,
                ));
                let limit = if frame.left < 60 { 5 } else { 13 };
                root.draw(&Text::new(cut(name, limit), (frame.left as i32 - 6, y + 6), style))?;
                let mut bins = vec![(0u32, 0u32); frame.bins];
                for call in ops {
                    // A call without an answer counts for as long as its client waited.
                    let from = slot(call.from, self.end, frame.bins);
                    let to = if call.ok { from } else { slot(call.to, self.end, frame.bins) };
                    bins[from..=to].iter_mut().for_each(|b| *b = (b.0 + call.ok as u32, b.1 + 1));
                }
                let level = |(ok, n): (u32, u32)| match (ok, n) {
                    (_, 0) => 0,
                    (0, _) => 1,
                    (ok, n) if ok * 10 < n * 9 => 2,
                    _ => 3,
                };
                let mut from = 0;
                while from < bins.len() {
                    let l = level(bins[from]);
                    let to = from + bins[from..].iter().take_while(|b| level(**b) == l).count();
                    let x = |i: usize| frame.x(i as f64 / frame.bins as f64);
                    let at = |top: i32, bottom: i32, s: ShapeStyle| {
                        Rectangle::new([(x(from), y + top), (x(to), y + bottom)], s)
                    };
                    match l {
                        1 => root.draw(&at(2, 10, INFO.filled()))?,
                        2 => root.draw(&at(2, 10, OK.mix(0.4).filled()))?,
                        3 => root.draw(&at(2, 10, OK.mix(0.85).filled()))?,
                        _ => {}
                    }
                    from = to;
                }
            }
            Ok(())
        })
    }

    /// Share of answered calls by node, with its 95 % Wilson interval and the longest stretch without an answer.
    pub fn table(&self) -> Vec<Json> {
        let row = |(name, ops): &(String, Vec<Asked>)| {
            let ok = ops.iter().filter(|o| o.ok).count() as u64;
            let (p, low, high) = wilson(ok, ops.len() as u64);
            let (mut last, mut gap) = (ops.first().map_or(0.0, |o| o.from), 0f32);
            for call in ops.iter().filter(|o| o.ok) {
                gap = gap.max(call.from - last);
                last = call.from;
            }
            gap = gap.max(ops.last().map_or(0.0, |o| o.from) - last);
            json!({"node": name, "asked": super::words::thousands(ops.len() as u64), "ok": super::words::thousands(ok),
                "share": format!("{:.1} %", p * 100.0), "interval": format!("{:.1} to {:.1} %", low * 100.0, high * 100.0), "gap": format!("{gap:.2} s")})
        };
        self.nodes.iter().map(row).collect()
    }

    /// Median, p95 and p99 of ok ops in ms, for the caption.
    pub fn quantiles(&self) -> String {
        let mut all: Vec<f32> = self.ok.iter().map(|p| p.1).collect();
        all.sort_by(f32::total_cmp);
        match all.is_empty() {
            true => "no ok op".into(),
            false => format!(
                "ok: p50 {:.1}, p95 {:.1}, p99 {:.1} ms",
                quantile(&all, 0.5),
                quantile(&all, 0.95),
                quantile(&all, 0.99)
            ),
        }
    }
}

impl Frame {
    fn x(&self, share: f64) -> i32 {
        self.left as i32 + ((self.width - self.left - self.right) as f64 * share).round() as i32
    }
}

fn label_style<'a>() -> TextStyle<'a> {
    ("sans-serif", 10.5).into_font().color(&INK3)
}

fn tick_count(frame: Frame) -> usize {
    if frame.width < 500 { 5 } else { 11 }
}

fn slot(t: f32, end: f64, bins: usize) -> usize {
    ((t as f64 / end * bins as f64) as usize).min(bins - 1)
}

fn bin(points: &[(f32, f32)], end: f64, bins: usize) -> Vec<Vec<f32>> {
    let mut out = vec![Vec::new(); bins];
    points.iter().for_each(|(t, v)| out[slot(*t, end, bins)].push(*v));
    out.iter_mut().for_each(|b| b.sort_by(f32::total_cmp));
    out
}

fn quantile(sorted: &[f32], p: f64) -> f64 {
    sorted
        .get(((sorted.len() as f64 * p) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0) as f64
}

/// Stretches of bins that are not empty: a line is not drawn across a gap.
fn runs(bins: &[Vec<f32>]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut from = None;
    for (i, b) in bins.iter().enumerate() {
        match (b.is_empty(), from) {
            (false, None) => from = Some(i),
            (true, Some(f)) => {
                runs.push(f..i);
                from = None;
            }
            _ => {}
        }
    }
    runs.extend(from.map(|f| f..bins.len()));
    runs
}

/// Points as far as they differ on paper, at most `limit`.
fn thin(points: &[(f32, f32)], end: f64, low: f64, high: f64, limit: usize) -> Vec<(f64, f64)> {
    let mut seen = std::collections::BTreeSet::new();
    let cell = |(t, v): &(f32, f32)| {
        ((*t as f64 / end * 200.0) as u32, ((*v as f64 / low).log10() / (high / low).log10() * 24.0) as u32)
    };
    points.iter().filter(|p| seen.insert(cell(p))).take(limit).map(|(t, v)| (*t as f64, *v as f64)).collect()
}

fn draw(
    frame: Frame,
    height: u32,
    end: f64,
    body: impl FnOnce(&Area<'_>, Frame) -> Outcome<()>,
) -> Outcome<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (frame.width, height)).into_drawing_area();
        if end > 0.0 {
            body(&root, frame)?;
        }
        root.present()?;
    }
    let head = format!(
        "<svg class=\"plot {}\" viewBox=\"0 0 {} {height}\" aria-hidden=\"true\">",
        frame.class, frame.width
    );
    let inner = svg.find('>').map_or("", |i| &svg[i + 1..]);
    let mut out = head + inner.trim();
    for (n, paint) in PAINTS.iter().rev() {
        out = out.replace(&format!("#0A00{n:02X}"), paint);
    }
    Ok(out.replace(" stroke=\"none\"", "").replace(" opacity=\"1\"", "").replace(">\n<", "><"))
}

fn band_washes(root: &Area<'_>, frame: Frame, end: f64, height: i32, bands: &[Band]) -> Outcome<()> {
    for b in bands {
        let x = |t: Nanos| frame.x((t as f64 / 1e9 / end).clamp(0.0, 1.0));
        let (x1, x2) = (x(b.from), x(b.to).max(x(b.from) + 1));
        if b.took {
            root.draw(&Rectangle::new([(x1, 0), (x2, height)], WASH.filled()))?;
            root.draw(&Rectangle::new([(x1, 0), (x2, 4)], texture(b.family).filled()))?;
        } else {
            // Hollow and dashed: short strokes instead of a fill.
            for x in (x1..x2).step_by(5) {
                root.draw(&PathElement::new([(x, 2), ((x + 3).min(x2), 2)], FAULT.stroke_width(1)))?;
            }
        }
    }
    Ok(())
}

fn marks_below(root: &Area<'_>, frame: Frame, end: f64, y: i32, marks: &[Nanos]) -> Outcome<()> {
    let mut last = i32::MIN;
    for t in marks {
        let x = frame.x((*t as f64 / 1e9 / end).clamp(0.0, 1.0));
        if x > last + 1 {
            last = x;
            root.draw(&Rectangle::new([(x, y - 8), (x + 1, y)], INK.filled()))?;
        }
    }
    Ok(())
}

fn time_axis(root: &Area<'_>, frame: Frame, end: f64, y: i32) -> Outcome<()> {
    root.draw(&PathElement::new([(frame.x(0.0), y), (frame.x(1.0), y)], RULE.stroke_width(1)))?;
    let step = nice_step(end / (tick_count(frame) as f64 - 1.0));
    let mut t = 0.0;
    while t <= end * 1.0001 {
        let x = frame.x(t / end);
        root.draw(&PathElement::new([(x, y), (x, y + 3)], RULE.stroke_width(1)))?;
        let style = label_style().pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Center,
            plotters::style::text_anchor::VPos::Top,
        ));
        root.draw(&Text::new(number(t), (x, y + 6), style))?;
        t += step;
    }
    Ok(())
}
