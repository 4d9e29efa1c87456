//! `schism shrink`: the few ops of an invalid history that contradict each other, as a history of their own.
//!
//! The checker found the core; here it is written down, read back and judged again by the same checkers, and nothing
//! is written that is not invalid by itself. Ops whose reply was not needed are kept as possibly-happened (`info`).
//! Not here: finding the core (`checkers`).

mod alone;

use crate::check::{self, Judged};
use crate::cli::{Failure, ShrinkArgs};
use crate::convert;
use crate::exit;
use crate::judge::{self, Judgement};
use alone::Kept;
use checkers::{Budget, Counterexample, Findings, Verdict};
use history::formats::{Format, Jsonl};
use history::jsonl::{self, ReadOptions};
use history::{Builder, Call, Error, Event, History, Outcome, Process, Reply, Value};
use std::path::{Path, PathBuf};

pub fn main(args: &ShrinkArgs) -> Result<i32, Failure> {
    let out = args.out.clone().unwrap_or_else(|| core_path(&args.file));
    if args.out.is_some() {
        convert::may_write(&out, args.force)?;
    }
    let judged = check::judged(&args.file, &args.read, &args.spec)?;
    let (path, judgement) = (judged.input.path.display(), &judged.judgement);
    let Verdict::Invalid(found) = &judgement.verdict else {
        println!(
            "{path}: {}, so there is nothing to shrink. {}",
            judgement.headline(),
            judgement.diagnosis()
        );
        return Ok(judgement.exit_code());
    };
    // A run's directory was named: the core lies beside the history in it.
    let out = if args.out.is_some() { out } else { core_path(&judged.input.path) };
    let core = prove(&judged, found).map_err(|says| Failure {
        code: exit::UNKNOWN,
        says: format!("{path}: {}, but no core is written: {says}", judgement.headline()),
    })?;
    let test = args.as_test.then(|| as_test(&core, checker_of(judgement)));
    convert::put(&out, &core.bytes)?;
    let text = summary(&judged, found, &core, &out);
    match test {
        None => print!("{text}"),
        Some(test) => {
            eprint!("{text}");
            print!(
                "{}",
                test.map_err(|says| Failure {
                    code: exit::UNKNOWN,
                    says: format!("no test is printed: {says}")
                })?
            );
        }
    }
    Ok(judgement.exit_code())
}

/// `x/history.jsonl.zst` → `x/history.core.jsonl`.
fn core_path(file: &Path) -> PathBuf {
    let packed = file.extension().is_some_and(|e| e == "gz" || e == "zst");
    let plain = if packed { file.with_extension("") } else { file.to_path_buf() };
    plain.with_extension("core.jsonl")
}

/// A core that was judged again.
struct Core {
    bytes: Vec<u8>,
    history: History,
    judgement: Judgement,
    /// What `check` must be told to come to the same verdict; nothing where it finds out by itself.
    spec: Option<String>,
    kept: Kept,
}

/// Writes the core in memory, reads it back and judges it by the same checkers.
fn prove(judged: &Judged, found: &Counterexample) -> Result<Core, String> {
    if found.core.is_empty() {
        return Err("what contradicts the model is not in its calls".into());
    }
    let whole = &judged.input.history;
    let again = |kept: &Kept| {
        let core = core_history(whole, kept).ok()?;
        Some(judge::judge(&core, &judged.checkers, &Budget::default()))
    };
    let model = judged.judgement.model;
    let same = |kept: &Kept| match again(kept) {
        Some(Judgement { verdict: Verdict::Invalid(c), model: m, .. }) => {
            c.pattern == found.pattern && m == model
        }
        _ => false,
    };
    let invalid = |kept: &Kept| again(kept).is_some_and(|j| j.verdict.is_invalid() && j.model == model);
    let kept = alone::alone(whole, found, &same, &invalid).ok_or(
        "no part of it that can be cut out is refuted alone: the rest of the history is needed to see it",
    )?;
    let mut bytes = Vec::new();
    match Jsonl.write(&core_history(whole, &kept)?, &mut bytes) {
        Some(result) => result.map_err(|e| e.to_string())?,
        None => return Err("this history cannot be written as JSON lines".into()),
    }
    let history = jsonl::read(bytes.as_slice(), &ReadOptions::default()).map_err(|e| e.to_string())?;
    let judgement = judge::judge(&history, &judged.checkers, &Budget::default());
    if !judgement.verdict.is_invalid() {
        return Err(format!(
            "read back from JSON lines it is {}: {}",
            judgement.headline(),
            judgement.diagnosis()
        ));
    }
    let spec = needed_spec(&history, &judged.spec)?;
    Ok(Core { bytes, history, judgement, spec, kept })
}

/// Whether `check` needs `--spec` for a core in which calls may be missing that said what the object is.
fn needed_spec(core: &History, spec: &str) -> Result<Option<String>, String> {
    let invalid = |spec: &str| {
        check::checkers_for(core, spec)
            .is_ok_and(|(_, checkers)| judge::judge(core, &checkers, &Budget::default()).verdict.is_invalid())
    };
    let object = if spec == "append" { "list" } else { spec };
    match () {
        () if invalid("auto") => Ok(None),
        () if check::known_spec(object).is_ok() && invalid(object) => Ok(Some(object.into())),
        () => Err(format!(
            "without the header of the run no spec of `check` refutes it (it was judged as {spec})"
        )),
    }
}

/// These ops in their order; the weak ones never answered.
fn core_history(history: &History, kept: &Kept) -> Result<History, String> {
    let mut fresh = history.ops().map(|op| op.process().0).max().unwrap_or(0);
    // Position decides; abandoned calls have none and stand where their time says, after all else of that time.
    let mut events: Vec<((u64, u32), Event)> = Vec::new();
    for (id, weak) in kept {
        let op = history.op(*id);
        let (weak, mut process, call) = (*weak && op.is_ok(), op.process(), op.call());
        if weak {
            // An info retires its process, which may have gone on.
            fresh = fresh.checked_add(1).ok_or("there is no free process number")?;
            process = Process(fresh);
        }
        let (time, node, last) = (op.invoked(), op.node(), op.is_last());
        events.push(((time, op.inv()), Event::Invoke { time, process, node, call: call.clone(), last }));
        if let Some(time) = op.gave_up() {
            let outcome = match weak {
                true => Outcome::Info(Error::new("demoted: its reply is not part of the contradiction")),
                false => op.outcome(),
            };
            events.push((
                (time, op.res()),
                Event::Complete { time, process, call, outcome, server: op.server() },
            ));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let mut builder = Builder::new();
    for name in history.nodes() {
        builder.node(name).map_err(|e| e.to_string())?;
    }
    for (line, (_, event)) in events.iter().enumerate() {
        builder.push(event, line as u64 + 1).map_err(|e| e.to_string())?;
    }
    Ok(builder.finish())
}

fn summary(judged: &Judged, found: &Counterexample, core: &Core, out: &Path) -> String {
    let spec = core.spec.as_ref().map(|s| format!(" --spec {s}")).unwrap_or_default();
    let more = match core.kept.len() - found.core.len().min(core.kept.len()) {
        0 => String::new(),
        n => format!(", with {n} more that made what they saw"),
    };
    let weak = match core.kept.values().filter(|weak| **weak).count() {
        0 => String::new(),
        n => format!("; {n} of them only as possibly-happened"),
    };
    let mut text = format!(
        "{}: {}\n  {} of {} ops contradict each other{more}{weak}; alone they are still {}\n  {}\n",
        judged.input.path.display(),
        judged.judgement.headline(),
        found.core.len(),
        judged.input.history.len(),
        core.judgement.headline(),
        core.judgement.diagnosis()
    );
    core.history.ops().for_each(|op| text += &format!("    {}\n", check::describe(&core.history, op.id)));
    text + &format!("  written {}\n  repeat  schism check{spec} {}\n", out.display(), out.display())
}

/// The checker whose verdict the judgement is.
fn checker_of(judgement: &Judgement) -> &str {
    let is_it = |f: &&Findings| f.per_model.iter().any(|(_, v)| *v == judgement.verdict);
    judgement.findings.iter().find(is_it).map_or("linearizable", |f| &f.checker)
}

/// A Rust test in the notation of `history::text`, proven to fail the checker it names.
fn as_test(core: &Core, checker: &str) -> Result<String, String> {
    let lines = notation(&core.history)?;
    let text = lines.join("\n");
    let parsed = history::text::parse(&text)?;
    let judge = checkers::ALL.iter().find(|c| c.name() == checker);
    let judge = judge.ok_or_else(|| format!("{checker} is a checker of one workload only"))?;
    if !judge.check(&parsed, &Budget::default()).worst().is_some_and(Verdict::is_invalid) {
        return Err(format!("in the notation of history::text the checker {checker} does not refute it"));
    }
    let pattern = match &core.judgement.verdict {
        Verdict::Invalid(c) if !c.pattern.is_empty() => c.pattern.as_str(),
        _ => checker,
    };
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = pattern.chars().map(letter).collect();
    Ok(format!(
        "/// {}\n#[test]\nfn {name}() {{\n    let history = history::text::parse(\n        r\"\n{text}\n\",\n    )\n    .unwrap();\n    \
         let checker = checkers::ALL.iter().find(|c| c.name() == \"{checker}\").unwrap();\n    \
         let findings = checker.check(&history, &checkers::Budget::default());\n    \
         assert_eq!(findings.worst().map(|v| v.word()), Some(\"invalid\"));\n}}\n",
        core.judgement.diagnosis()
    ))
}

/// Columns from one event to the next, so that every bar shows its order against every other.
const STEP: usize = 2;

/// One line an op: call, reply, and a bar in which each event has a column of its own.
fn notation(history: &History) -> Result<Vec<String>, String> {
    let mut edges: Vec<u32> = history.ops().flat_map(|op| [op.inv(), op.res()]).collect();
    edges.sort_unstable();
    edges.dedup();
    let column = |position: u32| edges.iter().take_while(|e| **e < position).count() * STEP;
    let words: Vec<String> = history.ops().map(|op| op_words(&op)).collect::<Result<_, _>>()?;
    let width = words.iter().map(String::len).max().unwrap_or(0) + 2;
    let lines = history.ops().zip(words).map(|(op, words)| {
        let (from, to) = (column(op.inv()), column(op.res()));
        let end = match op.outcome() {
            Outcome::Ok(_) => '|',
            Outcome::Fail(_) => 'x',
            Outcome::Info(_) => '?',
        };
        format!("{words:width$}{:from$}|{}{end}", "", "-".repeat((to - from).saturating_sub(1)))
    });
    Ok(lines.collect())
}

fn op_words(op: &history::Op<'_>) -> Result<String, String> {
    let call = op.call();
    let refused = matches!(op.outcome(), Outcome::Ok(Reply::Mismatch));
    let key = if call.key().is_null() { "-".into() } else { word(call.key())? };
    let value = match (&call, op.outcome()) {
        (Call::Txn(_) | Call::Other { .. }, _) => {
            return Err(format!("the notation of history::text has no {call}"));
        }
        (Call::Cas(_, old, new), _) => format!(" {} {}", word(old)?, word(new)?),
        (Call::Acquire(_) | Call::Release(_), _) => String::new(),
        (Call::Read(_) | Call::Dequeue(_) | Call::Generate, Outcome::Ok(Reply::Read(v))) => {
            format!(" {}", word(&v)?)
        }
        (Call::Read(_) | Call::Dequeue(_) | Call::Generate, _) => String::new(),
        (other, _) => format!(" {}", word(&other.value())?),
    };
    Ok(format!("p{} {}{} {key}{value}", op.process().0, call.f(), if refused { "!" } else { "" }))
}

/// A value as the notation reads it back.
fn word(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok("nil".into()),
        Value::Int(i) => Ok(i.to_string()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(word).collect::<Result<_, _>>()?;
            Ok(format!("[{}]", items.join(" ")))
        }
        Value::Text(t) => {
            let plain = t.chars().all(|c| c.is_ascii_alphanumeric() || "_.:".contains(c));
            let bare =
                plain && t.starts_with(|c: char| c.is_ascii_alphabetic()) && **t != *"nil" && **t != *"empty";
            if bare {
                Ok(t.to_string())
            } else {
                Err(format!("the notation of history::text cannot hold {value}"))
            }
        }
        other => Err(format!("the notation of history::text cannot hold {other}")),
    }
}
