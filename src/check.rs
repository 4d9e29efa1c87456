//! `schism check`: recorded histories judged offline, our own and everybody else's, by the code that judges runs.
//!
//! A history of ours says in its header which workload it is of; of a foreign one the calls say what the object is,
//! unless `--spec` does. Not here: reading (`input`), deciding (`checkers`).

use crate::artifacts::{self, Stamp};
use crate::certificate;
use crate::cli::{CheckArgs, Failure, ReadArgs};
use crate::input::{self, Input};
use crate::judge::{self, Judgement};
use crate::report::Meta;
use crate::terminal::{Progress, paint};
use checkers::linearizable::Object;
use checkers::linearizable::initial::{Init, LinearizableFrom};
use checkers::models::{Models, frontier};
use checkers::{Budget, Checker, Model, Verdict, linearizable};
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
    let question = Question::new(args)?;
    let budget = Budget { steps: args.budget_steps, bytes: bytes(&args.memory)?, watch: None };
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(args.threads).build().map_err(Failure::internal)?;
    let progress = Progress::new();
    let (mut codes, mut documents) = (Vec::new(), Vec::new());
    for path in &args.files {
        progress.now(|| format!("reading {}", path.display()));
        // One unreadable file must not cost the verdicts of the others.
        let mut input = match input::open(path, Some(&args.read.format), &options) {
            Ok(input) => input,
            Err(failure) => {
                codes.push(failure.report());
                continue;
            }
        };
        progress.now(|| format!("judging {} ops of {}", input.history.len(), path.display()));
        if let Init::Value(value) = &question.init {
            input.history.know(value);
        }
        let found = checkers_for(&input.history, &args.spec)
            .and_then(|(spec, found)| question.put(&input.history, &args.spec, spec, found));
        let (spec, object, checkers) = match found {
            Ok(found) => found,
            Err(says) => {
                codes.push(Failure::usage(format!("{}: {says}", input.path.display())).report());
                continue;
            }
        };
        let judgement = pool.install(|| judge::judge_watched(&input.history, &checkers, &budget, &progress));
        codes.push(judgement.exit_code());
        let first = question.first(object);
        tell(args, &input, &spec, &first, &judgement);
        certificate::write(
            args,
            &input,
            object.unwrap_or(Object::Auto),
            &question.init,
            &judgement,
            &budget,
        )?;
        let mut document =
            artifacts::document(&input.history, &judgement, &meta(args, &input, &spec, &first));
        document["file"] = serde_json::json!(input.path.display().to_string());
        document["format"] = serde_json::json!(input.format);
        document["spec"] = serde_json::json!(spec);
        if let Some((strongest, weakest)) = models(&judgement) {
            let names = |models: Vec<Model>| models.into_iter().map(Model::name).collect::<Vec<_>>();
            document["strongest"] = serde_json::json!(names(strongest));
            document["weakest_refuted"] = serde_json::json!(names(weakest));
        }
        if object.is_some_and(register) {
            document["init"] = serde_json::json!(question.init.to_string());
        }
        documents.push(document);
        if args.report {
            write_report(args, &input, &spec, &first, judgement, &progress)?;
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

/// What is asked of each history beyond the usual: models, and the first value of registers.
struct Question {
    /// None: as usual. `all` keeps what fits the object.
    models: Option<Vec<Model>>,
    all: bool,
    init: Init,
}

/// The word for the object, the object, and its judges.
type Put = (String, Option<Object>, Vec<Box<dyn Checker>>);

fn register(object: Object) -> bool {
    matches!(object, Object::Register | Object::CasRegister)
}

impl Question {
    fn new(args: &CheckArgs) -> Result<Question, Failure> {
        if args.certificate.is_some() && args.files.len() > 1 {
            let says = format!("--certificate is for one history, not for {}", args.files.len());
            return Err(Failure::usage(says));
        }
        let init = match args.init.as_str() {
            "any" => Init::Any,
            "nil" => Init::default(),
            text => match serde_json::from_str(text) {
                Ok(json) => Init::Value(Value::from_json(&json)),
                Err(_) => {
                    let says = format!("--init takes a JSON value (3, \"a\", null) or any, not {text:?}");
                    return Err(Failure::usage(says));
                }
            },
        };
        let all = args.model.as_deref() == Some("all");
        let one = |name: &str| match name {
            "1-atomic" => Ok(Model::Linearizable),
            name => Model::AROUND.into_iter().find(|m| m.name() == name).ok_or_else(|| {
                let names = Model::AROUND.iter().map(|m| m.name()).chain(["all"]);
                crate::campaign::unknown("model", name, names)
            }),
        };
        let models = match args.model.as_deref() {
            None => None,
            Some("all") => Some(Model::AROUND.to_vec()),
            Some(list) => Some(list.split(',').map(|name| one(name.trim())).collect::<Result<Vec<_>, _>>()?),
        };
        Ok(Question { models, all, init })
    }

    /// The judges that answer it, in place of the usual ones for linearizability and regularity.
    fn put(
        &self,
        history: &History,
        flag: &str,
        spec: String,
        mut found: Vec<Box<dyn Checker>>,
    ) -> Result<Put, String> {
        let named = if flag == "auto" { detect(history).ok() } else { Some(flag) };
        let object = named.and_then(object);
        let registers = object.is_some_and(register);
        if self.init != Init::default() && !registers {
            return Err(format!("--init is for registers, and this is a {spec}"));
        }
        let Some(models) = &self.models else {
            if self.init != Init::default() {
                found.retain(|c| !["linearizable", "regular"].contains(&c.name()));
                found.insert(0, Box::new(LinearizableFrom { init: self.init.clone() }));
            }
            return Ok((spec, object, found));
        };
        let Some(known) = object else {
            return Err(format!("--model does not apply to a {spec}"));
        };
        let fit = Models::of(known);
        let mut models = models.clone();
        if self.all {
            models.retain(|m| fit.contains(m));
        }
        if let Some(odd) = models.iter().find(|m| !fit.contains(m)) {
            let names: Vec<&str> = fit.iter().map(|m| m.name()).collect();
            return Err(format!(
                "--model {odd} is for registers; for a {spec} there are {}",
                names.join(", ")
            ));
        }
        found.retain(|c| !["linearizable", "regular"].contains(&c.name()));
        found.insert(0, Box::new(Models { models, object: known, init: self.init.clone() }));
        Ok((spec, object, found))
    }

    /// `, initially nil`, for registers.
    fn first(&self, object: Option<Object>) -> String {
        match object {
            Some(o) if register(o) => format!(", initially {}", self.init),
            _ => String::new(),
        }
    }
}

/// The object that a spec's word stands for.
pub fn object(spec: &str) -> Option<Object> {
    match spec {
        "lock" => Some(Object::Mutex),
        name => Object::named(name).ok().filter(|o| *o != Object::Auto),
    }
}

/// The strongest models that hold and the weakest refuted, where several were asked for.
fn models(judgement: &Judgement) -> Option<(Vec<Model>, Vec<Model>)> {
    let found = judgement.findings.iter().find(|f| f.checker == "models")?;
    Some(frontier(&found.per_model))
}

/// A line for each model with its evidence, then the two that matter.
fn table(judgement: &Judgement) -> String {
    let Some(found) = judgement.findings.iter().find(|f| f.checker == "models") else { return String::new() };
    let mut text = String::new();
    let mut told: Vec<Model> = Vec::new();
    for (model, verdict) in &found.per_model {
        if told.contains(model) {
            continue;
        }
        told.push(*model);
        let says = match verdict {
            Verdict::Valid(w) => w.says.clone(),
            Verdict::Unknown(r) => r.says.clone(),
            Verdict::Invalid(c) => {
                let core: Vec<String> = c.core.iter().take(8).map(|id| format!("#{}", id.0)).collect();
                let core = if core.is_empty() { String::new() } else { format!(" [{}]", core.join(" ")) };
                format!("{}{core}", c.words.first().cloned().unwrap_or_else(|| c.pattern.clone()))
            }
        };
        text += &format!("  {:13} {:8} {says}\n", model.name(), verdict.word());
    }
    for anomaly in found.anomalies.iter().take(3) {
        text += &format!("  {}: {}\n", anomaly.kind, anomaly.says);
    }
    let (strongest, weakest) = frontier(&found.per_model);
    let names = |models: Vec<Model>| match models.is_empty() {
        true => "none".to_string(),
        false => models.into_iter().map(Model::name).collect::<Vec<_>>().join(", "),
    };
    text + &format!("  strongest that hold: {}; weakest refuted: {}\n", names(strongest), names(weakest))
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
    bytes_of("--memory", text)
}

/// As [`bytes`], for another flag.
pub fn bytes_of(flag: &str, text: &str) -> Result<u64, Failure> {
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
        None => Err(Failure::usage(format!("{flag} takes bytes such as 512MiB or 2GiB, not {text:?}"))),
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
    known_calls(history, spec)?;
    let mut found: Vec<Box<dyn Checker>> = object_checkers(spec, history);
    found.push(Box::new(checkers::stats::Stats));
    Ok((spec.to_string(), found))
}

/// Somebody was told whether an element was inside.
fn tells_of_elements(history: &History) -> bool {
    history.ops().any(|op| match op.f() {
        "contains" | "has" => true,
        "add" | "remove" => op.read().is_some_and(|v| matches!(history.value(v), Value::Bool(_))),
        _ => false,
    })
}

fn object_checkers(spec: &str, history: &History) -> Vec<Box<dyn Checker>> {
    use linearizable::{Linearizable, Object};
    let linearizable = |object| -> Box<dyn Checker> { Box::new(Linearizable::of(object)) };
    match spec {
        "register" => vec![linearizable(Object::Register)],
        "cas-register" => vec![linearizable(Object::CasRegister)],
        // Asked for one by one, elements are judged each as an object; read whole, by what is found again.
        "set" if !history.ops().any(|op| op.f() == "read") => vec![linearizable(Object::Set)],
        // What single answers say is judged with the order of the calls: nothing else looks at it.
        "set" if tells_of_elements(history) => {
            vec![Box::new(checkers::set::Set), linearizable(Object::Set)]
        }
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

/// A call that the object does not have would be judged by nothing; one that failed did not happen.
fn known_calls(history: &History, spec: &str) -> Result<(), String> {
    let known = object(spec).map(linearizable::Object::calls).unwrap_or_default();
    let foreign =
        history.ops().find(|op| op.kind() != history::OutcomeKind::Fail && !known.contains(&op.f()));
    match foreign.filter(|_| !known.is_empty()) {
        None => Ok(()),
        Some(op) => Err(format!(
            "{}a {spec} has no call {:?} (op #{}: {}); it has: {}. Name another object with --spec ({}), or leave such ops out",
            op.line().map(|line| format!("line {line}: ")).unwrap_or_default(),
            op.f(),
            op.id.0,
            op.call(),
            known.join(", "),
            SPECS.join(", ")
        )),
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

fn tell(args: &CheckArgs, input: &Input, spec: &str, first: &str, judgement: &Judgement) {
    let [ok, fail, info] = artifacts::op_counts(&input.history);
    let mut text = format!(
        "{}: {}\n  {}\n  {spec}{first}, {}: {ok} ok, {fail} fail, {info} info, {} keys\n",
        input.path.display(),
        paint(&judgement.headline(), judgement.verdict.rank()),
        judgement.diagnosis(),
        input.format,
        input.history.by_key().len()
    );
    if let Verdict::Invalid(c) = &judgement.verdict {
        for words in c.words.iter().skip(1).take(6) {
            text += &format!("  {words}\n");
        }
        for id in c.core.iter().take(12) {
            text += &format!("    {}\n", describe(&input.history, *id));
        }
    }
    text += &table(judgement);
    if let Verdict::Unknown(reason) = &judgement.verdict
        && let Some(advice) = advice(args, reason)
    {
        text += &format!("  {advice}\n");
    }
    text += &reservations(&input.history, judgement);
    match args.json {
        true => eprint!("{text}"),
        false => print!("{text}"),
    }
}

/// A budget worth trying, where the part that is settled says something about the rest.
fn advice(args: &CheckArgs, reason: &checkers::Reason) -> Option<String> {
    let times = |spent: u64| {
        let wanted = spent as f64 * reason.of as f64 / reason.settled as f64;
        // One, two or five and zeros: more would look like knowledge.
        let unit = 10f64.powf(wanted.log10().floor());
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * unit).find(|n| *n >= wanted)
    };
    // From less than a thousandth nothing follows.
    let known = reason.settled > 0 && reason.of / reason.settled < 1000 && reason.settled < reason.of;
    let flag = match reason.why {
        checkers::Why::Steps if known => format!("--budget-steps {}", times(args.budget_steps)? as u64),
        checkers::Why::Bytes if known => {
            format!("--memory {}GiB", (times(bytes(&args.memory).ok()?)? / (1u64 << 30) as f64).ceil())
        }
        checkers::Why::Steps => return Some("How many steps it would take cannot be estimated.".into()),
        _ => return None,
    };
    Some(format!("If the rest is like the part that is settled, {flag} would do."))
}

/// What a reader has to know about the record before the verdict is worth anything, and why it took long.
fn reservations(history: &History, judgement: &Judgement) -> String {
    let mut text = String::new();
    if history.ties() > 0 && history.ties_are_concurrent() {
        let ties = history.ties();
        text += &format!("  {ties} events share a time stamp with the one before: taken as concurrent\n");
    }
    for note in history.notes().iter().filter(|n| &*n.f == "import") {
        text += &format!("  as read: {}\n", note.value.to_plain());
    }
    if let n @ 1.. = history.altered().len() {
        text += &format!("  {n} completions repeat another argument than was asked: what was asked counts\n");
    }
    for (_, why) in
        judgement.findings.iter().flat_map(|f| &f.measured).filter(|(name, _)| name.as_str() == "why_search")
    {
        for why in why.as_array().into_iter().flatten() {
            text += &format!("  searched {} keys: {}\n", why["keys"], why["why"].as_str().unwrap_or(""));
        }
    }
    text
}

/// One op on one line: `#12 p3 on n2 write x 4  ok  [1.203–1.207 s]`, without times where the record has none.
pub fn describe(history: &History, id: history::OpId) -> String {
    let op = history.op(id);
    let node = op.node().map(|n| format!(" on {}", history.node_name(n))).unwrap_or_default();
    let seconds = |t: u64| format!("{:.3}", t as f64 / 1e9);
    let until = op.completed().map_or("open".into(), seconds);
    let when = match history.end() {
        0 => String::new(),
        _ => format!("  [{}–{until} s]", seconds(op.invoked())),
    };
    let answer = match op.outcome() {
        history::Outcome::Ok(history::Reply::Read(v)) => format!("→ {v}"),
        history::Outcome::Ok(history::Reply::Mismatch) => "refused".into(),
        history::Outcome::Ok(_) => "ok".into(),
        history::Outcome::Fail(e) => format!("fail: {e}"),
        history::Outcome::Info(e) => format!("info: {e}"),
    };
    format!("#{} p{}{node} {}  {answer}{when}", id.0, op.process().0, op.call())
}

fn meta(args: &CheckArgs, input: &Input, spec: &str, first: &str) -> Meta {
    let name = input.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let run = input.history.header_text("run").unwrap_or(&name).to_string();
    let memory = if args.memory == "2GiB" { String::new() } else { format!(" --memory {}", args.memory) };
    let mut asked = args.model.as_ref().map(|m| format!(" --model {m}")).unwrap_or_default();
    if args.init != "null" {
        asked += &format!(" --init '{}'", args.init);
    }
    Meta {
        run,
        title: format!("{name} as {spec}{first}"),
        command: format!("schism check --spec {spec}{asked}{memory} {}", input.path.display()),
        host: vec![
            ("schism".into(), env!("CARGO_PKG_VERSION").into()),
            ("format".into(), input.format.into()),
        ],
        promise: String::new(),
        started: Stamp::now().pretty(),
        file: name,
        ..Meta::default()
    }
}

fn write_report(
    args: &CheckArgs,
    input: &Input,
    spec: &str,
    first: &str,
    judgement: Judgement,
    progress: &Progress,
) -> Result<(), Failure> {
    let meta = meta(args, input, spec, first);
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
        let empty = history::Builder::new().finish();
        for spec in SPECS {
            assert!(known_spec(spec).is_ok() && !object_checkers(spec, &empty).is_empty(), "{spec}");
        }
        assert!(known_spec("semaphore:3").is_ok() && !object_checkers("semaphore:3", &empty).is_empty());
        for bad in ["semaphore:0", "lock:2", "register:1", "nosuch:1"] {
            assert!(known_spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn advice_follows_from_what_is_settled() {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            check: CheckArgs,
        }
        let args = <Only as clap::Parser>::parse_from(["check", "h.jsonl"]).check;
        let says = |why: checkers::Why, settled: u32, of: u32| {
            let reason = checkers::Reason { settled, of, ..checkers::Reason::new(why, "") };
            advice(&args, &reason)
        };
        use checkers::Why::{Bytes, Steps, Vacuous};
        let would =
            |flag: &str| Some(format!("If the rest is like the part that is settled, {flag} would do."));
        assert_eq!(says(Steps, 500, 1_000), would("--budget-steps 500000000"));
        assert_eq!(says(Steps, 999, 1_000), would("--budget-steps 500000000"));
        assert_eq!(says(Steps, 10, 1_000), would("--budget-steps 20000000000"));
        assert_eq!(says(Bytes, 500, 1_000), would("--memory 5GiB"));
        assert_eq!(says(Steps, 0, 1_000), Some("How many steps it would take cannot be estimated.".into()));
        assert_eq!(says(Vacuous, 0, 0), None);
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
