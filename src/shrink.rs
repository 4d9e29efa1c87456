//! `schism shrink`: the few ops of an invalid history that contradict each other, as a history of their own.
//!
//! The checker found the core; here it is written down, read back and judged again by the same checkers, and nothing
//! is written that is not invalid by itself. Ops whose reply was not needed are kept as possibly-happened (`info`).
//! Not here: finding the core (`checkers`).

mod alone;
mod notation;
#[cfg(test)]
mod tests;

use crate::check::{self, Judged};
use crate::cli::{Failure, ShrinkArgs};
use crate::convert;
use crate::exit;
use crate::judge::{self, Judgement};
use alone::Kept;
use checkers::linearizable::Object;
use checkers::{Budget, Counterexample, Findings, Verdict};
use history::formats::{Format, Jsonl};
use history::jsonl::{self, ReadOptions};
use history::{Builder, Error, Event, History, Outcome, Process};
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
    let test = args.as_test.then(|| notation::as_test(&core, checker_of(judgement)));
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
    /// What it was judged as; `None`: by the checkers of a workload.
    object: Option<Object>,
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
    let object = check::object(object_word(&judged.spec));
    Ok(Core { bytes, history, judgement, object, spec, kept })
}

/// What `--spec` calls that which a workload named.
fn object_word(spec: &str) -> &str {
    if spec == "append" { "list" } else { spec }
}

/// Whether `check` needs `--spec` for a core in which calls may be missing that said what the object is. To be refuted
/// as another object proves nothing.
fn needed_spec(core: &History, spec: &str) -> Result<Option<String>, String> {
    let wanted = object_word(spec);
    let invalid = |spec: &str| {
        check::checkers_for(core, spec).is_ok_and(|(found, checkers)| {
            let object = check::object(&found).filter(|_| check::object(wanted).is_some());
            (object.is_none() || same(object, check::object(wanted)))
                && judge::judge(core, &checkers, &Budget::default()).verdict.is_invalid()
        })
    };
    match () {
        () if invalid("auto") => Ok(None),
        () if check::known_spec(wanted).is_ok() && invalid(wanted) => Ok(Some(wanted.into())),
        () => Err(format!(
            "without the header of the run no spec of `check` refutes it (it was judged as {spec})"
        )),
    }
}

/// Registers with and without cas are one object.
fn same(a: Option<Object>, b: Option<Object>) -> bool {
    let plain = |o: Option<Object>| if o == Some(Object::CasRegister) { Some(Object::Register) } else { o };
    plain(a) == plain(b)
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
