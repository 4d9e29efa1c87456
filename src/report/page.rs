//! From a [`Page`](super::Page) to the values that the templates print.
//!
//! Chooses words and puts parts together; drawings come from the sibling modules, layout is in `assets/`.

use super::bands::{self, Band};
use super::words::{cut, linked, outcome, plain, thousands, timed};
use super::{IndexRow, Meta, Page, columns, lanes, orders, plots};
use checkers::{Counterexample, Findings, Model, Verdict, Why, Witness};
use history::{History, Nanos, OpId, OutcomeKind};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

const RUN: &str = include_str!("assets/run.html");
const INDEX: &str = include_str!("assets/index.html");
const CSS: &str = include_str!("assets/page.css");
const RUN_CSS: &str = include_str!("assets/run.css");
const INDEX_CSS: &str = include_str!("assets/index.css");
const COMMON_JS: &str = include_str!("assets/common.js");
const RUN_JS: &str = include_str!("assets/run.js");
const INDEX_JS: &str = include_str!("assets/index.js");

fn fill(name: &'static str, source: &str, values: Json) -> Result<String, String> {
    let error = |e: tera::Error| format!("{e:?}");
    let mut tera = tera::Tera::new();
    tera.add_raw_template(name, source).map_err(error)?;
    let context = tera::Context::from_serialize(&values).map_err(error)?;
    tera.render(name, &context).map_err(error)
}

/// The page of a run.
pub fn html(page: &Page<'_>) -> Result<String, String> {
    fill("run.html", RUN, values(page)?)
}

/// The page of all runs, newest first.
pub fn index(rows: &[IndexRow]) -> Result<String, String> {
    let mut rows: Vec<&IndexRow> = rows.iter().collect();
    rows.sort_by(|a, b| (&b.started, &b.run).cmp(&(&a.started, &a.run)));
    let count = |v: &str| rows.iter().filter(|r| r.verdict == v).count();
    let shown: Vec<Json> = rows.iter().map(|r| index_row(r)).collect();
    let values = json!({
        "css": (CSS.to_string() + INDEX_CSS), "js": (COMMON_JS.to_string() + INDEX_JS), "rows": shown, "count": rows.len(),
        "invalid": count("invalid"), "valid": count("valid"), "unknown": count("unknown"),
        "version": env!("CARGO_PKG_VERSION"),
    });
    fill("index.html", INDEX, values)
}

fn index_row(r: &IndexRow) -> Json {
    let search =
        [&r.run, &r.campaign, &r.target, &r.bug, &r.workload, &r.nemesis, &r.verdict, &r.why, &r.diagnosis];
    let search = search.map(|s| s.to_lowercase()).join(" ");
    json!({
        "run": plain(&r.run), "campaign": plain(&r.campaign), "href": plain(&r.href), "started": plain(&r.started),
        "verdict": r.verdict, "why": plain(&r.why), "diagnosis": plain(&cut(&r.diagnosis, 300)),
        "target": plain(&r.target), "bug": plain(&r.bug), "workload": plain(&r.workload), "nemesis": plain(&r.nemesis),
        "seed": r.seed, "ops": thousands(r.ops), "ops_n": r.ops, "strikes": r.strikes, "effective": r.effective,
        "search": plain(&format!("{search} seed:{}", r.seed)),
        "rank": match r.verdict.as_str() { "invalid" => 0, "unknown" => 1, _ => 2 },
    })
}

fn values(page: &Page<'_>) -> Result<Json, String> {
    let h = page.history;
    let bands = bands::bands(h);
    let marks = marks(page);
    let times: Vec<Nanos> = marks.keys().map(|id| h.op(OpId(*id)).invoked()).collect();
    let mut v = Map::new();
    let mut put = |name: &str, value: Json| v.insert(name.into(), value);
    put("css", json!([CSS, RUN_CSS].concat()));
    put("js", json!([COMMON_JS, RUN_JS].concat()));
    put("version", json!(env!("CARGO_PKG_VERSION")));
    put("meta", meta(page));
    put("verdict", verdict(page));
    put("facts", json!(facts(page)));
    put("timed", json!(timed(h)));
    put("strip", json!(if timed(h) { bands::strip(h, &bands, &times) } else { String::new() }));
    put("marks", json!(thousands(marks.len() as u64)));
    put("took", json!(bands::summary(h, &bands, true)));
    put("missed", json!(bands::summary(h, &bands, false)));
    put("gates", json!(gates(page.findings)));
    put("plots", draw_plots(h, &bands, &times));
    put("asked", json!(bands.len()));
    put("strikes", json!(h.strikes().iter().map(|s| bands::row(h, s)).collect::<Vec<_>>()));
    put("around", json!(bands.iter().map(|b| around(h, b)).collect::<Vec<_>>()));
    put("functions", json!(functions(h)));
    put("checkers", json!(page.findings.iter().map(|f| checker(page, f)).collect::<Vec<_>>()));
    put("anomalies", json!(anomalies(page)));
    put("roles", json!(bands::roles(h, &bands)));
    put("nodes", json!(nodes(h)));
    put("columns", json!(timeline(page, &bands, &marks)?));
    Ok(Json::Object(v))
}

fn meta(page: &Page<'_>) -> Json {
    let m = page.meta;
    let pairs = |list: &[(String, String)]| -> Vec<Json> {
        list.iter().map(|(a, b)| json!([plain(a), plain(b)])).collect()
    };
    let title = if m.title.is_empty() { m.run.clone() } else { m.title.clone() };
    // Only what cannot leave the page's own folder tree becomes a link.
    let siblings: Vec<Json> = m
        .siblings
        .iter()
        .filter(|(_, href)| !href.contains(':') && !href.starts_with("//"))
        .map(|(label, href)| json!([plain(label), plain(href)]))
        .collect();
    json!({
        "run": plain(&m.run), "title": plain(&title), "command": plain(&m.command), "promise": plain(&m.promise),
        "started": plain(&m.started), "host": pairs(&m.host), "not_injected": pairs(&m.not_injected),
        "logs": pairs(&m.logs.iter().map(|(n, t)| (n.clone(), tail(t))).collect::<Vec<_>>()), "siblings": siblings,
        "header": header(page.history), "file": plain(file_of(m)), "file_href": address(file_of(m)), "offline": !m.file.is_empty(),
    })
}

/// The history beside the page.
fn file_of(meta: &Meta) -> &str {
    if meta.file.is_empty() { "history.jsonl" } else { &meta.file }
}

/// A file's name as a relative address: nothing in it begins a scheme, a query or a fragment.
fn address(name: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let each = name.bytes().map(|b| if safe(b) { (b as char).to_string() } else { format!("%{b:02X}") });
    each.fold("./".to_string(), |all, one| all + &one)
}

/// The last lines of a log, so that five of them stay a small part of the page.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(60);
    lines[from..].iter().map(|l| cut(l, 400)).collect::<Vec<_>>().join("\n")
}

fn header(h: &History) -> Vec<Json> {
    let Some(fields) = h.header.as_object() else { return Vec::new() };
    let shown = |v: &Json| match v {
        Json::String(s) => plain(s),
        Json::Array(a) if a.iter().all(Json::is_string) => {
            plain(&a.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "))
        }
        other => plain(&cut(&other.to_string(), 200)),
    };
    let known = ["command", "schism"];
    fields
        .iter()
        .filter(|(k, _)| !known.contains(&k.as_str()))
        .map(|(k, v)| json!([plain(k), shown(v)]))
        .collect()
}

/// The model whose verdict is the page's, if a finding carries it.
fn model(page: &Page<'_>) -> Option<Model> {
    let all = page.findings.iter().flat_map(|f| &f.per_model);
    all.clone()
        .find(|(_, v)| v == page.verdict)
        .or_else(|| all.clone().find(|(_, v)| v.rank() == page.verdict.rank()))
        .map(|(m, _)| *m)
}

fn verdict(page: &Page<'_>) -> Json {
    let name = model(page).map_or("consistent", Model::name);
    let mut v = json!({
        "word": page.verdict.word(), "title": title_case(page.verdict.word()), "why": "", "sub": "", "say": "",
        "command": plain(&page.meta.command), "settle": "",
        "vacuous": false, "says": [], "figure": Json::Null,
    });
    match page.verdict {
        Verdict::Invalid(c) => {
            v["sub"] = json!(invalid_line(page, c, name));
            v["say"] = json!(linked(&diagnosis(page, c), page.history.len()));
            v["figure"] = counterexample(page, c);
        }
        Verdict::Unknown(r) => {
            v["why"] = json!(r.why.word());
            v["vacuous"] = json!(r.why == Why::Vacuous);
            v["sub"] = json!(unknown_line(&r.why, name));
            v["settle"] = json!(settle(page, &r.why));
            let mut say = r.says.clone();
            if r.of > 0 && r.settled > 0 {
                say += &format!(
                    " Settled up to event {} of {}.",
                    thousands(r.settled as u64),
                    thousands(r.of as u64)
                );
            }
            if let Some(key) = &r.key {
                say += &format!(" Key: {}.", key.to_plain());
            }
            v["say"] = json!(linked(&say, page.history.len()));
        }
        Verdict::Valid(w) => {
            v["sub"] = json!(valid_line(page, name));
            v["say"] = json!(linked(&valid_sentence(page, w), page.history.len()));
            v["figure"] = witness(page, w);
        }
    }
    v
}

fn title_case(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

fn invalid_line(page: &Page<'_>, c: &Counterexample, model: &str) -> String {
    let key = c
        .key
        .as_ref()
        .filter(|k| !k.is_null())
        .map_or(String::new(), |k| format!(" Key {}.", plain(&k.to_plain())));
    let pattern =
        if c.pattern.is_empty() { String::new() } else { format!(" {}.", title_case(&plain(&c.pattern))) };
    let also: Vec<&str> = page
        .findings
        .iter()
        .flat_map(|f| &f.per_model)
        .filter(|(_, v)| v.is_invalid())
        .map(|(m, _)| m.name())
        .filter(|m| *m != model)
        .collect();
    let also = if also.is_empty() { String::new() } else { format!(" Also not: {}.", also.join(", ")) };
    format!("Not {model}.{pattern}{key}{also}")
}

fn diagnosis(page: &Page<'_>, c: &Counterexample) -> String {
    match c.words.first() {
        Some(words) => words.clone(),
        None => format!(
            "No order of these {} ops explains every reply, out of {} ops.",
            c.core.len(),
            thousands(page.history.len() as u64)
        ),
    }
}

fn unknown_line(why: &Why, model: &str) -> String {
    match why {
        Why::Vacuous => "Nothing contradicts the model, but too little could have. Exit code 2.".into(),
        Why::Truncated => "The record ends before the run did. Exit code 2.".into(),
        Why::NoEffect => "A fault that was asked for never took effect. Exit code 2.".into(),
        Why::NodeDied => "A node died that nobody had struck. Exit code 2.".into(),
        _ => format!("Not shown to be {model}, not shown to be otherwise. Exit code 2."),
    }
}

fn valid_line(page: &Page<'_>, model: &str) -> String {
    let n = page.history.strikes().iter().filter(|s| s.measured().is_some()).count();
    match n {
        0 => format!("{}, with no fault injected.", title_case(model)),
        _ => format!("{}, under the faults named below.", title_case(model)),
    }
}

fn valid_sentence(page: &Page<'_>, w: &Witness) -> String {
    let (h, parts) = (page.history, w.parts.len());
    let during = h
        .ops()
        .filter(|o| {
            h.strikes()
                .iter()
                .filter_map(|s| s.measured())
                .any(|(a, b)| o.invoked() >= a && b.is_none_or(|b| o.invoked() < b))
        })
        .count();
    let mut s = match (w.says.as_str(), parts) {
        ("", 0) => "Nothing in this history contradicts the model.".to_string(),
        ("", 1) => "One order of the ops explains every reply.".to_string(),
        ("", n) => format!("Each of the {n} keys has an order of its ops that explains every reply."),
        (says, _) => says.to_string(),
    };
    if !s.ends_with(['.', '!']) {
        s.push('.');
    }
    s + &format!(
        " {} ops were asked, {} of them while a strike was on.",
        thousands(h.len() as u64),
        thousands(during as u64)
    )
}

/// The command that would settle an unknown verdict.
fn settle(page: &Page<'_>, why: &Why) -> String {
    let (again, file) = (plain(&page.meta.command), plain(file_of(page.meta)));
    match why {
        Why::Steps => format!("schism check {file} --budget-steps 2000000000"),
        Why::Bytes => format!("schism check {file} --memory 8GiB"),
        Why::Window => format!("schism check {file} --model all"),
        Why::NoEffect => "schism doctor".into(),
        Why::Vacuous => longer(&again),
        Why::Unsupported(_) | Why::Disagreement | Why::Panic(_) => format!("schism lint {file}"),
        _ => again,
    }
}

/// The same command with four times the time.
fn longer(command: &str) -> String {
    let mut words: Vec<String> = command.split(' ').map(str::to_string).collect();
    let at = words.iter().position(|w| w == "--time-limit").map(|i| i + 1);
    match at.and_then(|i| words.get_mut(i)).map(|w| (w.parse::<u64>(), w)) {
        Some((Ok(seconds), word)) => *word = (seconds * 4).to_string(),
        _ if command.is_empty() => return String::new(),
        _ => words.push("--time-limit 120".into()),
    }
    words.join(" ")
}

fn counterexample(page: &Page<'_>, c: &Counterexample) -> Json {
    let h = page.history;
    let known = |id: &OpId| (id.0 as usize) < h.len();
    let best = orders::best(&c.reached);
    let order: Vec<OpId> = best.map_or(Vec::new(), |p| p.order.clone());
    let mut bad: BTreeSet<OpId> = c.first_bad.into_iter().filter(|b| !order.contains(b)).collect();
    if bad.is_empty() {
        bad.extend(best.into_iter().flat_map(|p| &p.stuck).map(|s| s.op));
    }
    if bad.is_empty() && order.is_empty() {
        bad.extend(c.core.last());
    }
    let mut ops: Vec<OpId> = c.core.iter().chain(&c.demoted).copied().filter(known).collect();
    ops.sort();
    ops.dedup();
    let hidden = ops.len().saturating_sub(40);
    // The end of a long story: where it breaks.
    ops.drain(..hidden);
    let title = format!("{} contradicting ops as lanes over time", c.core.len());
    let figure = lanes::Figure {
        history: h,
        ops: ops.clone(),
        order: &order,
        bad: bad.clone(),
        edges: &c.edges,
        bands: &bands::bands(h),
        title,
    };
    let (tree, tree_note) = orders::tree(h, &c.reached);
    let link = |s: &String| linked(s, h.len());
    let edge = |e: &checkers::Edge| json!({"from": e.from.0, "to": e.to.0, "kind": if e.real_time { "real time" } else { "value" }, "says": link(&e.says)});
    json!({
        "kind": "counterexample", "placed": !order.is_empty(), "wide": figure.wide(), "narrow": figure.narrow(), "hidden": hidden,
        "lead": lead(c), "tree": tree, "tree_note": tree_note, "orders": c.reached.len(),
        "steps": orders::steps(h, &c.reached), "story": c.words.iter().skip(1).map(link).collect::<Vec<_>>(),
        "groups": c.groups.iter().map(link).collect::<Vec<_>>(),
        "edges": c.edges.iter().take(40).map(edge).collect::<Vec<_>>(), "more_edges": c.edges.len().saturating_sub(40),
        "rows": ops.iter().map(|id| op_row(h, *id, &order, &bad)).collect::<Vec<_>>(),
        "object": c.key.as_ref().filter(|k| !k.is_null()).map_or("state".into(), |k| plain(&cut(&k.to_plain(), 24))),
        "by": plain(&c.by),
    })
}

fn lead(c: &Counterexample) -> String {
    let n = c.core.len();
    let optional = match c.demoted.len() {
        0 => String::new(),
        d => format!(" {d} more may have happened, and their replies are not needed."),
    };
    match n {
        0 => "Which ops contradict each other?".into(),
        1 => format!("Which ops contradict each other? One is enough.{optional}"),
        _ => format!("Which ops contradict each other? {n} are enough.{optional}"),
    }
}

fn exact(t: Nanos) -> String {
    format!("{:.6}", t as f64 / 1e9)
}

/// The mark of an op without a place.
fn lost(bad: bool) -> String {
    if bad { "✕".into() } else { "·".into() }
}

fn op_row(h: &History, id: OpId, order: &[OpId], bad: &BTreeSet<OpId>) -> Json {
    let op = h.op(id);
    let place = order.iter().position(|o| *o == id).map(|p| (p + 1).to_string());
    json!({
        "op": id.0, "place": place.unwrap_or_else(|| lost(bad.contains(&id))), "bad": bad.contains(&id), "process": op.process().0,
        "node": op.node().map_or(String::new(), |n| plain(h.node_name(n))), "call": cut(&super::words::call(&op), 80),
        "reply": cut(&super::words::reply(&op, |v| h.value(v)), 80), "outcome": outcome(&op),
        "from": if timed(h) { exact(op.invoked()) } else { op.inv().to_string() },
        "to": match op.completed() {
            Some(t) if timed(h) => exact(t),
            Some(_) => op.res().to_string(),
            None => "never".into(),
        },
    })
}

/// Four neighbours of a witness with the most freedom between them: where order was chosen, not forced.
fn witness(page: &Page<'_>, w: &Witness) -> Json {
    let h = page.history;
    let mut best: Option<(usize, Nanos, &history::Value, &[OpId])> = None;
    let windows =
        w.parts.iter().flat_map(|(k, order)| order.windows(order.len().clamp(1, 4)).map(move |o| (k, o)));
    for (key, ops) in windows.take(200_000) {
        if ops.len() < 2 || ops.iter().any(|o| o.0 as usize >= h.len() || h.op(*o).kind() != OutcomeKind::Ok)
        {
            continue;
        }
        let free = ops
            .iter()
            .enumerate()
            .flat_map(|(i, a)| ops[i + 1..].iter().map(move |b| (*a, *b)))
            .filter(|(a, b)| h.op(*a).inv() < h.op(*b).res() && h.op(*b).inv() < h.op(*a).res())
            .count();
        let from = ops.iter().map(|o| h.op(*o).invoked()).min().unwrap_or(0);
        let to = ops.iter().filter_map(|o| h.op(*o).completed()).max().unwrap_or(0);
        let span = to.saturating_sub(from);
        if best.is_none_or(|(f, s, _, _)| (free, std::cmp::Reverse(span)) > (f, std::cmp::Reverse(s))) {
            best = Some((free, span, key, ops));
        }
    }
    let Some((free, _, key, ops)) = best else { return Json::Null };
    let title = format!("{} neighbours of the witness", ops.len());
    let figure = lanes::Figure {
        history: h,
        ops: ops.to_vec(),
        order: ops,
        bad: BTreeSet::new(),
        edges: &[],
        bands: &bands::bands(h),
        title,
    };
    let what =
        if key.is_null() { String::new() } else { format!(" on key {}", plain(&cut(&key.to_plain(), 30))) };
    let lead = format!(
        "The order at its narrowest{what}: {} ops side by side, {free} {} of them overlapping.",
        ops.len(),
        if free == 1 { "pair" } else { "pairs" }
    );
    json!({"kind": "witness", "placed": true, "wide": figure.wide(), "narrow": figure.narrow(), "lead": lead, "steps": [], "story": [], "groups": [], "edges": [],
        "more_edges": 0, "tree": "", "tree_note": "", "orders": 0, "hidden": 0, "by": plain(&w.by), "object": "",
        "rows": ops.iter().map(|id| op_row(h, *id, ops, &BTreeSet::new())).collect::<Vec<_>>()})
}

fn facts(page: &Page<'_>) -> Vec<(String, String)> {
    let h = page.history;
    let mut facts = vec![("Exit code".to_string(), [0, 2, 1][page.verdict.rank() as usize].to_string())];
    let mut add = |k: &str, v: String| {
        if !v.is_empty() {
            facts.push((k.into(), plain(&cut(&v, 60))));
        }
    };
    let text = |field: &str| match &h.header[field] {
        Json::String(s) => s.clone(),
        Json::Array(a) => a.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
        Json::Number(n) => n.to_string(),
        _ => String::new(),
    };
    add("Target", text("target"));
    add("Planted bug", text("bug"));
    let keys = h.by_key().len();
    add(
        "Workload",
        match text("workload") {
            w if w.is_empty() || keys < 2 => w,
            w => format!("{w}, {keys} keys"),
        },
    );
    add("Model", model(page).map_or(String::new(), |m| m.name().into()));
    add("Nemesis", text("nemesis"));
    add("Ops", thousands(h.len() as u64));
    let count = |k: &str| h.ops().filter(|o| outcome(o) == k).count() as u64;
    add(
        "ok / fail / info",
        format!("{} / {} / {}", thousands(count("ok")), thousands(count("fail")), thousands(count("info"))),
    );
    let processes: BTreeSet<u32> = h.ops().map(|o| o.process().0).collect();
    let retired = h.ops().filter(|o| o.kind() == OutcomeKind::Info).count();
    add("Processes", format!("{}, {retired} retired", processes.len()));
    add(
        "Strikes",
        match h.strikes().len() {
            0 => "none".into(),
            n => format!(
                "{} of {n} took effect",
                h.strikes().iter().filter(|s| s.measured().is_some()).count()
            ),
        },
    );
    add("Seed", text("seed"));
    add(
        "Took",
        if timed(h) { format!("{} s", bands::number(h.end() as f64 / 1e9)) } else { "no times".into() },
    );
    facts
}

/// Ops that deserve the eye, with what is wrong about each.
fn marks(page: &Page<'_>) -> BTreeMap<u32, String> {
    let mut marks = BTreeMap::new();
    let invalid = page.findings.iter().flat_map(|f| &f.per_model).map(|(_, v)| v).chain([page.verdict]);
    for c in invalid.filter_map(|v| match v {
        Verdict::Invalid(c) => Some(c),
        _ => None,
    }) {
        let stuck = orders::best(&c.reached).into_iter().flat_map(|p| &p.stuck).map(|s| s.op);
        for id in c.first_bad.into_iter().chain(stuck) {
            marks.entry(id.0).or_insert_with(|| plain(&c.pattern));
        }
    }
    for a in page.findings.iter().flat_map(|f| &f.anomalies) {
        // The last op is the one at which it shows.
        if let Some(id) = a.ops.last() {
            marks.entry(id.0).or_insert_with(|| plain(&a.kind));
        }
    }
    marks.retain(|id, _| (*id as usize) < page.history.len());
    marks
}

/// The first few in sight, up to sixty behind a fold, the rest counted.
fn anomalies(page: &Page<'_>) -> Json {
    let all: Vec<_> = page.findings.iter().flat_map(|f| f.anomalies.iter().map(move |a| (f, a))).collect();
    let row = |(f, a): &(&Findings, &checkers::Anomaly)| {
        let key = a.key.as_ref().map_or(String::new(), |k| plain(&cut(&k.to_plain(), 40)));
        // Ops that the sentence names are linked there.
        let unnamed = |o: &&OpId| !a.says.contains(&format!("#{}", o.0));
        let ops: Vec<u32> = a.ops.iter().filter(unnamed).take(6).map(|o| o.0).collect();
        json!({"checker": plain(&f.checker), "kind": plain(&a.kind), "key": key, "ops": ops,
            "says": linked(&cut(&a.says, 400), page.history.len())})
    };
    let rows: Vec<Json> = all.iter().take(60).map(row).collect();
    let shown = rows.len().min(8);
    let lists = [json!({"fold": false, "rows": rows[..shown]}), json!({"fold": true, "rows": rows[shown..]})];
    json!({"any": !rows.is_empty(), "lists": lists, "more": all.len() - rows.len()})
}

/// Gates, unmet first; each with where its mark sits on a logarithmic scale centred on the need.
fn gates(findings: &[Findings]) -> Vec<Json> {
    let lists = findings
        .iter()
        .filter_map(|f| f.measured.get("gates").or_else(|| f.measured.get("coverage"))?.as_array());
    let mut gates: Vec<Json> = lists.flatten().filter_map(gate).collect();
    gates.sort_by_key(|g| g["met"].as_bool());
    gates
}

fn gate(g: &Json) -> Option<Json> {
    let first = |names: &[&str]| names.iter().map(|n| &g[*n]).find(|v| !v.is_null()).cloned();
    let name = first(&["gate", "name", "what"])?;
    let needs = first(&["needs", "need", "minimum", "at_least"]).unwrap_or(Json::Null);
    let measured = first(&["measured", "found", "got", "value", "have"]).unwrap_or(Json::Null);
    let number = |v: &Json| v.as_f64().or_else(|| v.as_bool().map(|b| b as u8 as f64));
    let (n, m) = (number(&needs).unwrap_or(1.0), number(&measured).unwrap_or(0.0));
    let met = first(&["met", "ok"]).and_then(|v| v.as_bool()).unwrap_or(m >= n);
    // Each factor of ten is a quarter of the scale; nothing at all sits at its left end.
    let share = if m <= 0.0 { 4.0 } else { (50.0 + 25.0 * (m / n.max(1e-9)).log10() * 0.8).clamp(4.0, 97.0) };
    let text = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_string);
    let name = match g["at"].as_str().filter(|_| !met) {
        Some(at) => format!("{}, at {at}", text(&name)),
        None => text(&name),
    };
    Some(
        json!({"name": plain(&name), "needs": plain(&text(&needs)), "measured": plain(&text(&measured)), "met": met,
        "at": format!("{share:.1}"), "from": format!("{:.1}", share.min(50.0)), "width": format!("{:.1}", (share - 50.0).abs())}),
    )
}

fn draw_plots(h: &History, bands: &[Band], marks: &[Nanos]) -> Json {
    let series = plots::Series::new(h);
    let each = |f: &dyn Fn(plots::Frame) -> Result<String, Box<dyn std::error::Error>>| -> String {
        let one = |frame| {
            f(frame).unwrap_or_else(|e| {
                format!(
                    "<p class=\"dim\">This plot could not be drawn: {}.</p>",
                    super::words::esc(&e.to_string())
                )
            })
        };
        plots::FRAMES.into_iter().map(one).collect()
    };
    if h.is_empty() {
        return json!({"empty": "No op was recorded."});
    }
    if !timed(h) {
        return json!({"empty": "The record has no times: there is nothing to plot over."});
    }
    json!({
        "empty": "", "quantiles": series.quantiles(),
        "latency": each(&|f| series.latency(f, bands, marks)), "rate": each(&|f| series.rate(f, bands)),
        "availability": each(&|f| series.availability(f, bands)), "table": series.table(),
    })
}

/// Ops by outcome in the second before a strike, during it and in the second after.
fn around(h: &History, b: &Band) -> Json {
    let at = |t: Nanos| {
        let (mut low, mut high) = (0, h.len() as u32);
        while low < high {
            let mid = (low + high) / 2;
            if h.op(OpId(mid)).invoked() < t { low = mid + 1 } else { high = mid }
        }
        low
    };
    let count = |from: Nanos, to: Nanos| {
        let mut n = [0u64; 3];
        for i in at(from)..at(to) {
            n[match outcome(&h.op(OpId(i))) {
                "ok" => 0,
                "info" => 1,
                _ => 2,
            }] += 1;
        }
        n
    };
    let second = 1_000_000_000;
    json!({"id": b.id, "family": b.family, "took": b.took, "before": count(b.from.saturating_sub(second), b.from),
        "during": count(b.from, b.to), "after": count(b.to, b.to.saturating_add(second))})
}

/// Ops by function and outcome, with the median and p99 latency of the ok ones.
fn functions(h: &History) -> Vec<Json> {
    let mut all: BTreeMap<&str, ([u64; 3], Vec<Nanos>)> = BTreeMap::new();
    for op in h.ops() {
        let entry = all.entry(op.f()).or_default();
        entry.0[match outcome(&op) {
            "ok" => 0,
            "info" => 1,
            _ => 2,
        }] += 1;
        if let (true, Some(t)) = (op.is_ok() && timed(h), op.completed()) {
            entry.1.push(t - op.invoked());
        }
    }
    let row = |(f, (n, took)): (&str, ([u64; 3], Vec<Nanos>))| {
        let mut took = took;
        took.sort();
        let at = |p: usize| {
            took.get((took.len() * p / 100).min(took.len().saturating_sub(1)))
                .map_or("none".into(), |t| super::words::length(*t))
        };
        json!({"f": plain(f), "ok": thousands(n[0]), "info": n[1], "fail": n[2], "p50": at(50), "p99": at(99)})
    };
    all.into_iter().map(row).collect()
}

fn checker(page: &Page<'_>, f: &Findings) -> Json {
    let about = page.about.iter().find(|(name, _, _)| *name == f.checker);
    let ops = page.history.len();
    let model = |(m, v): &(Model, Verdict)| {
        let (says, by, steps) = match v {
            Verdict::Valid(w) => (w.says.clone(), w.by.clone(), Some(w.steps)),
            Verdict::Unknown(r) => (format!("{}: {}", r.why.word(), r.says), String::new(), None),
            Verdict::Invalid(c) => {
                (c.words.first().cloned().unwrap_or_else(|| c.pattern.clone()), c.by.clone(), None)
            }
        };
        json!({"model": m.name(), "verdict": v.word(), "says": linked(&cut(&says, 400), ops), "by": plain(&by), "steps": steps.filter(|s| *s > 0).map(thousands)})
    };
    let steps =
        ["steps", "cost", "configurations"].iter().find_map(|k| f.measured.get(*k)?.as_u64()).map(thousands);
    let measured: Vec<Json> = f
        .measured
        .iter()
        .filter(|(k, _)| *k != "gates")
        .map(|(k, v)| {
            let text = v.as_str().map_or_else(|| v.to_string(), str::to_string);
            json!([plain(&k.replace('_', " ")), plain(&cut(&text, 600))])
        })
        .collect();
    json!({
        "name": plain(&f.checker), "about": about.map_or(String::new(), |a| plain(&a.1)), "blind": about.map_or(String::new(), |a| plain(&a.2)),
        "models": f.per_model.iter().map(model).collect::<Vec<_>>(), "steps": steps, "anomalies": f.anomalies.len(), "measured": measured,
    })
}

/// What each node last said of itself, and how often a strike touched it.
fn nodes(h: &History) -> Vec<Json> {
    let row = |(n, name): (usize, &String)| {
        let last = h.roles().iter().rev().find(|r| r.node.0 as usize == n);
        let hit: Vec<String> = bands::bands(h)
            .iter()
            .filter(|b| b.took && b.touched.iter().any(|t| t.0 as usize == n))
            .map(|b| format!("{} {}", b.id, b.family))
            .collect();
        let ops = h.ops().filter(|o| o.node().is_some_and(|x| x.0 as usize == n)).count();
        json!({"name": plain(name), "role": last.map_or("not asked".into(), |r| plain(&format!("{}, term {}", r.role, r.term))),
            "strikes": if hit.is_empty() { "none".into() } else { cut(&hit.join(", "), 80) }, "ops": thousands(ops as u64)})
    };
    h.nodes().iter().enumerate().map(row).collect()
}

fn timeline(page: &Page<'_>, bands: &[Band], marks: &BTreeMap<u32, String>) -> Result<String, String> {
    let h = page.history;
    let s = |t: Nanos| t as f64 / 1e9;
    let mut keep: BTreeSet<u32> = marks.keys().copied().collect();
    let mut core = Map::new();
    let end = columns::end(h);
    let mut view = (0.0, end);
    if let Verdict::Invalid(c) = page.verdict {
        let order = orders::best(&c.reached).map_or(&[][..], |p| &p.order);
        let ids: Vec<OpId> = c.core.iter().copied().filter(|o| (o.0 as usize) < h.len()).collect();
        for id in &ids {
            keep.insert(id.0);
            let place = order
                .iter()
                .position(|o| o == id)
                .map_or_else(|| lost(!order.is_empty() || c.first_bad == Some(*id)), |p| (p + 1).to_string());
            core.insert(id.0.to_string(), json!(place));
        }
        let spans = ids.iter().map(|o| columns::span(h, &h.op(*o)));
        if let Some((a, b)) = spans.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))) {
            let pad = (b - a) * 0.25 + if timed(h) { 0.02 } else { 4.0 };
            view = ((a - pad).max(0.0), (b + pad).min(end));
        }
    }
    let concurrency = h.header["concurrency"].as_u64().unwrap_or(0);
    let strikes: Vec<Json> = bands
        .iter()
        .map(|b| {
            json!({"id": b.id, "kind": b.family, "a": s(b.from), "b": s(b.to), "took": b.took,
        "touched": b.touched.iter().map(|n| n.0).collect::<Vec<_>>(), "to": b.target})
        })
        .collect();
    let roles: Vec<Json> =
        h.roles().iter().map(|r| json!([r.node.0, s(r.time), plain(&r.role), r.term])).collect();
    let more = json!({"strikes": strikes, "roles": roles, "marks": marks, "core": core, "view": [view.0, view.1], "concurrency": concurrency});
    columns::encode(h, &keep, &more).map_err(|e| e.to_string())
}
