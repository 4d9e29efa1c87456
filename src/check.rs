//! `schism check`: recorded histories judged offline, our own and everybody else's, by the code that judges runs.
//!
//! A history of ours says in its header which workload it is of; of a foreign one the calls say what the object is,
//! unless `--spec` does. Not here: reading (`input`), deciding (`checkers`).

use crate::artifacts::{self, Stamp};
use crate::cli::{CheckArgs, Failure, ReadArgs};
use crate::input::{self, Input};
use crate::judge::{self, Judgement};
use crate::report::Meta;
use crate::terminal::{Progress, paint};
use checkers::{Budget, Checker, linearizable};
use history::{History, Value};
use std::collections::BTreeSet;
use std::path::Path;

/// What `--spec` takes, and the object each is judged as.
pub const SPECS: [&str; 17] = [
    "register",
    "cas-register",
    "set",
    "counter",
    "list",
    "queue",
    "stack",
    "priority-queue",
    "lock",
    "multi-register",
    "max-register",
    "reentrant-lock",
    "fenced-lock",
    "semaphore",
    "versioned-kv",
    "unique-ids",
    "kv",
];

pub fn main(args: &CheckArgs) -> Result<i32, Failure> {
    known_spec(&args.spec)?;
    let options = args.read.options()?;
    if args.stream {
        return crate::stream::main(args, &options);
    }
    let budget = Budget { steps: args.budget_steps, bytes: bytes(&args.memory)?, watch: None };
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(args.threads).build().map_err(Failure::internal)?;
    let progress = Progress::new();
    let (mut codes, mut documents) = (Vec::new(), Vec::new());
    for path in &args.files {
        progress.now(|| format!("reading {}", path.display()));
        // One unreadable file must not cost the verdicts of the others.
        let input = match input::open(path, Some(&args.read.format), &options) {
            Ok(input) => input,
            Err(failure) => {
                codes.push(failure.report());
                continue;
            }
        };
        progress.now(|| format!("judging {} ops of {}", input.history.len(), path.display()));
        let (spec, checkers) = match checkers_for(&input.history, &args.spec) {
            Ok(found) => found,
            Err(says) => {
                codes.push(Failure::usage(format!("{}: {says}", input.path.display())).report());
                continue;
            }
        };
        let judgement = pool.install(|| judge::judge_watched(&input.history, &checkers, &budget, &progress));
        codes.push(judgement.exit_code());
        tell(args, &input, &spec, &judgement);
        let mut document = artifacts::document(&input.history, &judgement, &meta(args, &input, &spec));
        document["file"] = serde_json::json!(input.path.display().to_string());
        document["format"] = serde_json::json!(input.format);
        document["spec"] = serde_json::json!(spec);
        documents.push(document);
        if args.report {
            write_report(args, &input, &spec, judgement, &progress)?;
        }
    }
    if args.json {
        artifacts::print_json(&documents);
    }
    Ok(match codes.contains(&crate::exit::USAGE) {
        // A proven violation still outranks a file that could not be read.
        true if !codes.contains(&crate::exit::INVALID) => crate::exit::USAGE,
        _ => judge::worst_exit(codes.into_iter().filter(|c| *c != crate::exit::USAGE)),
    })
}

/// `auto` or one of [`SPECS`], with its parameter if it takes one.
pub fn known_spec(spec: &str) -> Result<(), Failure> {
    let name = spec.split(':').next().unwrap_or(spec);
    match spec == "auto" || SPECS.contains(&name) {
        true if name != spec => linearizable::Object::named(spec).map(drop).map_err(Failure::usage),
        true => Ok(()),
        false => Err(crate::campaign::unknown("spec", spec, SPECS.into_iter().chain(["auto"]))),
    }
}

/// One file judged: what `shrink` and `explain` start from.
pub struct Judged {
    pub input: Input,
    /// The word for its object.
    pub spec: String,
    pub checkers: Vec<Box<dyn Checker>>,
    pub judgement: Judgement,
}

/// Judges a file as `check` does with its usual budget.
pub fn judged(path: &Path, read: &ReadArgs, spec: &str) -> Result<Judged, Failure> {
    known_spec(spec)?;
    let input = input::open(path, Some(&read.format), &read.options()?)?;
    let (spec, checkers) = checkers_for(&input.history, spec)
        .map_err(|says| Failure::usage(format!("{}: {says}", input.path.display())))?;
    let judgement = judge::judge(&input.history, &checkers, &Budget::default());
    Ok(Judged { input, spec, checkers, judgement })
}

/// `512MiB`, `2GiB`, `100000`.
pub fn bytes(text: &str) -> Result<u64, Failure> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1u64 << 30,
        _ => 0,
    };
    match text[..split].parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n > 0) {
        Some(n) => Ok(n),
        None => Err(Failure::usage(format!("--memory takes bytes such as 512MiB or 2GiB, not {text:?}"))),
    }
}

/// The judges of this history, and the word for its object.
pub fn checkers_for(history: &History, spec: &str) -> Result<(String, Vec<Box<dyn Checker>>), String> {
    if spec == "auto"
        && let Some(name) = history.header_text("workload")
    {
        let workload = workloads::find(name)?;
        return Ok((name.to_string(), judge::of_workload(workload)));
    }
    let spec = if spec == "auto" { detect(history)? } else { spec };
    let mut found: Vec<Box<dyn Checker>> = object_checkers(spec);
    found.push(Box::new(checkers::stats::Stats));
    Ok((spec.to_string(), found))
}

fn object_checkers(spec: &str) -> Vec<Box<dyn Checker>> {
    use linearizable::{Linearizable, Object};
    let linearizable = |object| -> Box<dyn Checker> { Box::new(Linearizable::of(object)) };
    match spec {
        "register" => vec![linearizable(Object::Register)],
        "cas-register" => vec![linearizable(Object::CasRegister)],
        "set" => vec![Box::new(checkers::set::Set)],
        "counter" => vec![linearizable(Object::Counter), Box::new(checkers::counter::Counter)],
        "list" => vec![linearizable(Object::List), Box::new(checkers::list::List)],
        "queue" => vec![linearizable(Object::Queue)],
        "stack" => vec![linearizable(Object::Stack)],
        "priority-queue" => vec![linearizable(Object::PriorityQueue)],
        "lock" => vec![Box::new(checkers::lock::Lock)],
        // Named as the object is; `known_spec` has seen to the rest.
        other => Object::named(other).map(linearizable).into_iter().collect(),
    }
}

/// What the object must be, by the calls and by what reads return.
pub fn detect(history: &History) -> Result<&'static str, String> {
    let calls: BTreeSet<&str> = history.ops().map(|op| op.f()).collect();
    let lists = history
        .ops()
        .filter_map(|op| op.read())
        .any(|v| matches!(history.value(v), Value::List(_) | Value::Set(_)));
    let has = |f: &str| calls.contains(f);
    if calls.is_empty() {
        return Ok("register");
    }
    if has("txn") {
        return Err("transactions cannot be judged yet: this version knows single-object calls only".into());
    }
    let spec = match () {
        () if has("acquire") || has("release") => "lock",
        () if has("enqueue") || has("dequeue") => "queue",
        () if has("push") || has("pop") => "stack",
        () if has("poll") => "priority-queue",
        () if has("generate") => "unique-ids",
        () if has("append") && texts(history) => "kv",
        () if has("append") => "list",
        () if has("add") && (lists || has("remove")) => "set",
        () if has("add") => "counter",
        () if has("cas") => "cas-register",
        () if has("read") || has("write") => "register",
        () => {
            let found: Vec<&str> = calls.into_iter().collect();
            return Err(format!(
                "no spec fits its calls ({}): name one with --spec ({})",
                found.join(", "),
                SPECS.join(", ")
            ));
        }
    };
    Ok(spec)
}

/// Reads return texts, not lists.
fn texts(history: &History) -> bool {
    history.ops().filter_map(|op| op.read()).any(|v| matches!(history.value(v), Value::Text(_)))
}

fn tell(args: &CheckArgs, input: &Input, spec: &str, judgement: &Judgement) {
    let [ok, fail, info] = artifacts::op_counts(&input.history);
    let mut text = format!(
        "{}: {}\n  {}\n  {spec}, {}: {ok} ok, {fail} fail, {info} info, {} keys\n",
        input.path.display(),
        paint(&judgement.headline(), judgement.verdict.rank()),
        judgement.diagnosis(),
        input.format,
        input.history.by_key().len()
    );
    if let checkers::Verdict::Invalid(c) = &judgement.verdict {
        for words in c.words.iter().skip(1).take(6) {
            text += &format!("  {words}\n");
        }
        for id in c.core.iter().take(12) {
            text += &format!("    {}\n", describe(&input.history, *id));
        }
    }
    if input.history.ties() > 0 && input.format != "jsonl" {
        text += &format!(
            "  {} events share a time stamp with the one before: taken as concurrent\n",
            input.history.ties()
        );
    }
    match args.json {
        true => eprint!("{text}"),
        false => print!("{text}"),
    }
}

/// One op on one line: `#12 p3 on n2 write x 4  1.203–1.207 s  ok`.
pub fn describe(history: &History, id: history::OpId) -> String {
    let op = history.op(id);
    let node = op.node().map(|n| format!(" on {}", history.node_name(n))).unwrap_or_default();
    let seconds = |t: u64| format!("{:.3}", t as f64 / 1e9);
    let until = op.completed().map_or("open".into(), seconds);
    let answer = match op.outcome() {
        history::Outcome::Ok(history::Reply::Read(v)) => format!("→ {v}"),
        history::Outcome::Ok(history::Reply::Mismatch) => "refused".into(),
        history::Outcome::Ok(_) => "ok".into(),
        history::Outcome::Fail(e) => format!("fail: {e}"),
        history::Outcome::Info(e) => format!("info: {e}"),
    };
    format!(
        "#{} p{}{node} {}  {answer}  [{}–{until} s]",
        id.0,
        op.process().0,
        op.call(),
        seconds(op.invoked())
    )
}

fn meta(args: &CheckArgs, input: &Input, spec: &str) -> Meta {
    let name = input.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let run = input.history.header_text("run").unwrap_or(&name).to_string();
    let memory = if args.memory == "2GiB" { String::new() } else { format!(" --memory {}", args.memory) };
    Meta {
        run,
        title: format!("{name} as {spec}"),
        command: format!("schism check --spec {spec}{memory} {}", input.path.display()),
        host: vec![
            ("schism".into(), env!("CARGO_PKG_VERSION").into()),
            ("format".into(), input.format.into()),
        ],
        promise: String::new(),
        started: Stamp::now().pretty(),
        ..Meta::default()
    }
}

fn write_report(
    args: &CheckArgs,
    input: &Input,
    spec: &str,
    judgement: Judgement,
    progress: &Progress,
) -> Result<(), Failure> {
    let meta = meta(args, input, spec);
    let path = report_path(&input.path);
    let html = artifacts::page(&input.history, &judgement, &meta, progress);
    std::fs::write(&path, html)
        .map_err(|e| Failure::could_not_run(format!("cannot write {}: {e}", path.display())))?;
    progress.say(format!("  report {}", path.display()));
    Ok(())
}

/// `x/history.jsonl` → `x/report.html`; `y.edn` → `y.report.html`.
fn report_path(file: &Path) -> std::path::PathBuf {
    match file.file_name().is_some_and(|n| n == "history.jsonl") {
        true => file.with_file_name("report.html"),
        false => file.with_extension("report.html"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("2GiB").ok(), Some(2 << 30));
        assert_eq!(bytes("512MiB").ok(), Some(512 << 20));
        assert_eq!(bytes("7").ok(), Some(7));
        for bad in ["", "GiB", "0", "3x", "-1", "99999999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_spec_has_a_judge() {
        for spec in SPECS {
            assert!(known_spec(spec).is_ok() && !object_checkers(spec).is_empty(), "{spec}");
        }
        assert!(known_spec("semaphore:3").is_ok() && !object_checkers("semaphore:3").is_empty());
        for bad in ["semaphore:0", "lock:2", "register:1", "nosuch:1"] {
            assert!(known_spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_calls_say_what_the_object_is() {
        let spec = |text: &str| detect(&history::text::parse(text).unwrap());
        assert_eq!(spec("p0 write x 1 |-|"), Ok("register"));
        assert_eq!(spec("p0 cas x 1 2 |-|"), Ok("cas-register"));
        assert_eq!(spec("p0 add s 1 |-|\np1 read s [1] |-|"), Ok("set"));
        assert_eq!(spec("p0 add c 1 |-|\np1 read c 1 |-|"), Ok("counter"));
        assert_eq!(spec("p0 append l 1 |-|"), Ok("list"));
        assert_eq!(spec("p0 acquire m |-|"), Ok("lock"));
        assert_eq!(spec("p0 generate - 1 |-|"), Ok("unique-ids"));
        assert_eq!(spec("p0 append k a |-|\np1 read k a |-|"), Ok("kv"));
        assert!(spec("p0 frobnicate m 1 |-|").unwrap_err().contains("--spec"));
    }
}
