//! Strikes as the reader sees them: bands on a time axis, rows of the table, roles over time.
//!
//! A strike counts as injected only where its effect was measured; one without effect is hollow and dashed in
//! every drawing. Not here: the counterexample and the plots, which draw these bands in their own geometry.

use super::words::{cut, esc, length, plain, seconds};
use history::{History, Nanos, NodeId, StrikeRecord};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A strike with its stretch on the time axis.
#[derive(Clone, Debug)]
pub struct Band {
    pub id: u32,
    pub family: &'static str,
    pub from: Nanos,
    pub to: Nanos,
    /// Whether its effect was measured.
    pub took: bool,
    /// Nodes that it touches; of a cut, those on the smaller side.
    pub touched: Vec<NodeId>,
    /// Whom it resolved to, in a few words.
    pub target: String,
}

/// All strikes, in order of their beginning.
pub fn bands(history: &History) -> Vec<Band> {
    history.strikes().iter().map(|s| band(history, s)).collect()
}

fn band(history: &History, s: &StrikeRecord) -> Band {
    let confirmed = s.confirmed.as_ref();
    let from = confirmed.map_or(s.begun, |(at, _, _)| *at);
    let planned = s.begun.saturating_add(s.strike.lasts).min(history.end());
    // A heal shows when it is confirmed; until then the damage may still be there.
    let to = s.healed.as_ref().map(|(at, _)| *at).or(s.heal_begun).unwrap_or(planned).max(from);
    Band {
        id: s.id,
        family: s.strike.fault.family(),
        from,
        to,
        took: confirmed.is_some_and(|(_, _, effect)| effect.took),
        touched: confirmed.map_or(Vec::new(), |(_, r, _)| r.touched(history.nodes().len())),
        target: resolved(history, s),
    }
}

fn names(history: &History, nodes: &[NodeId]) -> String {
    nodes.iter().map(|n| plain(history.node_name(*n))).collect::<Vec<_>>().join(" ")
}

/// `n1 n2 | n3 n4 n5`, `n4`, or what was asked for where nothing was resolved.
fn resolved(history: &History, s: &StrikeRecord) -> String {
    let Some((_, r, _)) = s.confirmed.as_ref().filter(|(_, r, _)| !r.is_empty()) else {
        return "nobody".into();
    };
    if r.cut.is_empty() {
        let mut nodes: Vec<NodeId> = r.killed.iter().chain(&r.paused).copied().collect();
        nodes.sort();
        return names(history, &nodes);
    }
    sides(history, &r.cut).unwrap_or_else(|| format!("{} directed edges cut", r.cut.len()))
}

/// The two sides of a cut that is a split in two: every edge between them cut both ways, none inside.
fn sides(history: &History, cut: &[(NodeId, NodeId)]) -> Option<String> {
    let count = history.nodes().len();
    let all: Vec<NodeId> = (0..count).map(|n| NodeId(n as u8)).collect();
    let is_cut = |a: NodeId, b: NodeId| cut.contains(&(a, b));
    let first = *all.first()?;
    let (near, far): (Vec<NodeId>, Vec<NodeId>) = all.iter().partition(|n| !is_cut(first, **n));
    let across = near.iter().all(|a| far.iter().all(|b| is_cut(*a, *b) && is_cut(*b, *a)));
    let whole = across && cut.len() == 2 * near.len() * far.len() && !far.is_empty();
    let (small, large) = if near.len() <= far.len() { (near, far) } else { (far, near) };
    whole.then(|| format!("{} | {}", names(history, &small), names(history, &large)))
}

/// Texture of a family, as a paint: `url(#tx-kill)`.
pub fn paint(family: &str) -> String {
    match family {
        "partition" | "pause" | "kill" | "clock" => format!("url(#tx-{family})"),
        _ => "url(#tx-other)".into(),
    }
}

/// A small swatch of a family's texture; hollow for a strike without effect.
pub fn swatch(family: &str, took: bool) -> String {
    match took {
        true => format!("<svg class=\"sw\" aria-hidden=\"true\"><rect fill=\"{}\"/></svg>", paint(family)),
        false => "<svg class=\"sw\" aria-hidden=\"true\"><rect class=\"hollow\" x=\".5\" y=\".5\" style=\"width:21px;height:10px\"/></svg>".into(),
    }
}

/// The run in one line: bands above, marks of anomalies below. `marks`: times, thinned to one a half per cent.
pub fn strip(history: &History, bands: &[Band], marks: &[Nanos]) -> String {
    let end = history.end().max(1) as f64;
    let x = |t: Nanos| t as f64 / end * 100.0;
    let mut s = String::from(
        "<svg class=\"strip\" width=\"100%\" height=\"54\" role=\"img\" aria-label=\"The run in one line\"><rect x=\"0\" y=\"12\" width=\"100%\" height=\"10\" class=\"base\"/>",
    );
    let mut free = -1.0;
    for b in bands {
        let (left, width) = (x(b.from), (x(b.to) - x(b.from)).max(0.15));
        let shape = match b.took {
            true => format!("y=\"12\" height=\"10\" fill=\"{}\" class=\"tex\"", paint(b.family)),
            false => "y=\"24\" height=\"6\" class=\"hollow\"".into(),
        };
        let _ = write!(s, "<rect x=\"{left:.2}%\" width=\"{width:.2}%\" {shape}/>");
        if left > free {
            let name = if bands.len() <= 12 {
                format!("<tspan class=\"nm\"> {}</tspan>", b.family)
            } else {
                String::new()
            };
            let _ = write!(s, "<text x=\"{left:.2}%\" y=\"8\" class=\"f\">{}{name}</text>", b.id);
            free = left + if bands.len() <= 12 { 7.0 } else { 2.5 };
        }
    }
    let mut last = -1.0;
    for t in marks {
        if x(*t) - last >= 0.25 {
            last = x(*t);
            let _ = write!(s, "<rect x=\"{last:.2}%\" y=\"24\" width=\"1.5\" height=\"8\" class=\"anm\"/>");
        }
    }
    let step = nice_step(end / 1e9 / 5.0);
    let mut t = 0.0;
    while t <= end / 1e9 + 1e-9 {
        let at = t * 1e9 / end * 100.0;
        let anchor = if at < 2.0 {
            "start"
        } else if at > 97.0 {
            "end"
        } else {
            "middle"
        };
        let unit = if t + step > end / 1e9 { " s" } else { "" };
        let _ = write!(
            s,
            "<text x=\"{at:.2}%\" y=\"48\" class=\"tk\" text-anchor=\"{anchor}\">{}{unit}</text>",
            number(t)
        );
        t += step;
    }
    s + "</svg>"
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
pub fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-9).log10().floor());
    let m = rough / power;
    power
        * if m <= 1.0 {
            1.0
        } else if m <= 2.0 {
            2.0
        } else if m <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// A tick label without trailing zeros.
pub fn number(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// One row of the table of strikes: asked for, resolved, measured, healed.
pub fn row(history: &History, s: &StrikeRecord) -> Json {
    let b = band(history, s);
    let (measured, confirmed) = match &s.confirmed {
        Some((at, _, effect)) => {
            (plain(&effect.measured), if effect.took { seconds(*at) } else { "never".into() })
        }
        None => ("never confirmed".into(), "never".into()),
    };
    let (healed, heal) = match &s.healed {
        Some((at, effect)) => {
            (if effect.took { seconds(*at) } else { "not seen".into() }, plain(&effect.measured))
        }
        None => ("not recorded".into(), String::new()),
    };
    let leader = s.confirmed.as_ref().and_then(|(_, r, _)| r.leader).map(|n| plain(history.node_name(n)));
    json!({
        "id": s.id, "family": b.family, "swatch": swatch(b.family, b.took), "took": b.took,
        "asked": plain(&format!("{}, {}", s.strike.fault, length(s.strike.lasts))),
        "nemesis": plain(&s.strike.nemesis), "resolved": b.target, "leader": leader,
        "begun": seconds(s.begun), "confirmed": confirmed, "measured": measured,
        "healed": healed, "heal": heal,
    })
}

/// Families with their strikes, for the summary beside the verdict: those that bit, and those that did not.
pub fn summary(history: &History, bands: &[Band], took: bool) -> Vec<Json> {
    let mut families: BTreeMap<&str, Vec<&Band>> = BTreeMap::new();
    for b in bands.iter().filter(|b| b.took == took) {
        families.entry(b.family).or_default().push(b);
    }
    let leader = |b: &Band| {
        let record = history.strikes().iter().find(|s| s.id == b.id);
        let leader = record.and_then(|s| s.confirmed.as_ref()).and_then(|(_, r, _)| r.leader);
        leader.is_some_and(|l| b.touched.contains(&l))
    };
    let one = |(family, list): (&&str, &Vec<&Band>)| {
        let ids: Vec<String> = list.iter().map(|b| b.id.to_string()).collect();
        let on_leader = list.iter().filter(|b| leader(b)).count();
        let mut says = match (took, list.len()) {
            (true, 1) => format!("1 strike, {}", cut(&list[0].target, 40)),
            (true, n) => format!("{n} strikes"),
            (false, 1) => format!("strike {}", ids[0]),
            (false, _) => format!("strikes {}", cut(&ids.join(", "), 40)),
        };
        if took && on_leader > 0 && list.len() > 1 {
            let _ = write!(says, ", {on_leader} on the leader’s side");
        } else if took && on_leader > 0 {
            says += ", the leader’s side";
        }
        json!({"family": family, "swatch": swatch(family, took), "says": says})
    };
    families.iter().map(one).collect()
}

/// Who said to lead, over time: one lane a node. Empty where nobody was asked.
pub fn roles(history: &History, bands: &[Band]) -> String {
    if history.roles().is_empty() {
        return String::new();
    }
    let (end, count) = (history.end().max(1), history.nodes().len());
    let x = |t: Nanos| t as f64 / end as f64 * 100.0;
    let height = count * 26 + 24;
    let mut s = format!(
        "<svg class=\"roles\" height=\"{height}\" role=\"img\" aria-label=\"Roles of the nodes over time\">"
    );
    for b in bands.iter().filter(|b| b.took) {
        let width = (x(b.to) - x(b.from)).max(0.1);
        for n in &b.touched {
            let y = n.0 as usize * 26;
            let _ = write!(
                s,
                "<rect x=\"{:.2}%\" y=\"{y}\" width=\"{width:.2}%\" height=\"26\" class=\"wash\"/>",
                x(b.from)
            );
            let _ = write!(
                s,
                "<rect x=\"{:.2}%\" y=\"{}\" width=\"{width:.2}%\" height=\"4\" fill=\"{}\"/>",
                x(b.from),
                y + 21,
                paint(b.family)
            );
        }
    }
    for (n, name) in history.nodes().iter().enumerate() {
        let changes: Vec<_> = history.roles().iter().filter(|r| r.node.0 as usize == n).collect();
        let _ = write!(
            s,
            "<text x=\"-12\" y=\"{}\" text-anchor=\"end\" class=\"pl\">{}</text>",
            n * 26 + 17,
            esc(&cut(name, 10))
        );
        let mut at = 0;
        while at < changes.len() {
            let same = |r: &&history::RoleChange| r.role == changes[at].role && r.term == changes[at].term;
            let next = at + changes[at..].iter().take_while(|r| same(r)).count();
            let (from, to) = (x(changes[at].time), changes.get(next).map_or(100.0, |r| x(r.time)));
            s += &role(&changes[at].role, changes[at].term, from, to, n * 26);
            at = next;
        }
    }
    let step = nice_step(end as f64 / 1e9 / 8.0);
    let mut t = 0.0;
    while t <= end as f64 / 1e9 {
        let unit = if t + step > end as f64 / 1e9 { " s" } else { "" };
        let _ = write!(
            s,
            "<text x=\"{:.2}%\" y=\"{}\" class=\"tk\" text-anchor=\"middle\">{}{unit}</text>",
            t * 1e11 / end as f64,
            height - 6,
            number(t)
        );
        t += step;
    }
    s + "</svg>"
}

fn role(role: &str, term: u64, from: f64, to: f64, y: usize) -> String {
    let width = (to - from).max(0.15);
    let at = format!("x=\"{from:.2}%\" width=\"{width:.2}%\"");
    let title = format!("<title>{} of term {term}</title>", esc(role));
    match role {
        "leader" | "primary" | "master" => {
            let label = if width > 9.0 { format!("{} t{term}", esc(role)) } else { format!("t{term}") };
            let text = if width > 3.0 {
                format!(
                    "<svg {at} y=\"{}\" height=\"18\"><text x=\"7\" y=\"13\" class=\"lt\">{label}</text></svg>",
                    y + 4
                )
            } else {
                String::new()
            };
            format!("<rect {at} y=\"{}\" height=\"18\" rx=\"2\" class=\"le\">{title}</rect>{text}", y + 4)
        }
        "candidate" => format!("<rect {at} y=\"{}\" height=\"10\" class=\"ca\">{title}</rect>", y + 8),
        "down" | "dead" | "unreachable" => String::new(),
        _ => format!("<rect {at} y=\"{}\" height=\"1.5\" class=\"fo\">{title}</rect>", y + 12),
    }
}
