//! `schism check --stream`: histories of registers with unique values judged in one pass, however long they are.
//!
//! Not here: the rule (`checkers::streaming`) and the lines (`history::jsonl`). What cannot be judged this way is
//! refused by name, never answered.

use crate::cli::{CheckArgs, Failure};
use crate::exit;
use checkers::streaming::{Answer, Event as Seen, Refused, Stream};
use history::jsonl::{Limits, ReadOptions};
use history::{Call, Completeness, Event, Outcome, Reply};
use serde_json::json;
use std::path::Path;

pub fn main(args: &CheckArgs, options: &ReadOptions) -> Result<i32, Failure> {
    if !["auto", "register", "cas-register"].contains(&args.spec.as_str()) {
        return Err(Failure::usage(format!(
            "--stream judges registers; run without --stream for {}",
            args.spec
        )));
    }
    let (mut codes, mut documents) = (Vec::new(), Vec::new());
    for path in &args.files {
        let judged = judge(path, options)?;
        let text = format!("{}: {}\n  {}", path.display(), judged.verdict, judged.says);
        match args.json {
            true => eprintln!("{text}"),
            false => println!("{text}"),
        }
        documents.push(json!({"file": path.display().to_string(), "verdict": judged.verdict,
            "diagnosis": judged.says, "lines": judged.lines, "calls": judged.calls, "answered": judged.answered}));
        codes.push(match judged.verdict {
            "valid" => exit::VALID,
            "invalid" => exit::INVALID,
            _ => exit::UNKNOWN,
        });
    }
    if args.json {
        crate::artifacts::print_json(&documents);
    }
    Ok(crate::judge::worst_exit(codes))
}

/// What one file came to.
pub struct Judged {
    pub verdict: &'static str,
    pub says: String,
    /// Those that contradict each other.
    pub lines: Vec<u32>,
    pub calls: u64,
    pub answered: u64,
}

/// Reads and judges a file of any size: the limits on bytes and ops are for what is kept.
pub fn judge(path: &Path, options: &ReadOptions) -> Result<Judged, Failure> {
    let (reader, file) = crate::input::reader(path, &options.limits)?;
    let mut stream = Stream::default();
    let mut defect = None;
    let limits = Limits { bytes: u64::MAX, ..options.limits };
    let mut sink = |event: Event, line: u64| {
        let line = u32::try_from(line).map_err(|_| refused("there are over 2^32 lines"))?;
        if let Event::Note { f, .. } = &event
            && matches!(f.as_ref(), "node-died" | "interrupted" | "run-failed")
        {
            defect.get_or_insert_with(|| format!("The run was not sound: {f} at line {line}."));
        }
        match seen(event)? {
            Some(event) => stream.push(line, event).map_err(|Refused(why)| refused(&why)),
            None => Ok(()),
        }
    };
    let record = history::jsonl::stream(reader, &ReadOptions { limits, ..*options }, &mut sink)
        .map_err(|e| Failure::usage(format!("{}:{e}", file.display())))?;
    if let Some(workload) = record.header_text("workload").filter(|w| !w.contains("register")) {
        return Err(Failure::usage(format!(
            "{}: {}",
            file.display(),
            refused(&format!("it is a {workload}"))
        )));
    }
    if let Completeness::Truncated { lines } = record.completeness {
        defect.get_or_insert(format!("The record breaks off after line {lines}, without its footer."));
    }
    let (calls, answered) = stream.counts();
    if answered == 0 {
        defect.get_or_insert(format!("Not one of {calls} calls was answered."));
    }
    let (verdict, says, lines) = match (stream.finish(), defect) {
        (Answer::Invalid(says, lines), _) => ("invalid", format!("Not linearizable: {says}."), lines),
        (Answer::Valid, Some(says)) => ("unknown", says, Vec::new()),
        (Answer::Valid, None) => {
            ("valid", format!("{calls} calls, {answered} answered: linearizable."), Vec::new())
        }
    };
    Ok(Judged { verdict, says, lines, calls, answered })
}

fn refused(why: &str) -> String {
    format!("not to be judged in one pass ({why}); run without --stream")
}

/// `Ok(None)`: not a call of a client.
fn seen(event: Event) -> Result<Option<Seen>, String> {
    let call = |call: &Call| match call {
        Call::Read(_) | Call::Write(..) => Ok(()),
        other => Err(refused(&format!("it has a call {:?}", other.f()))),
    };
    Ok(Some(match event {
        Event::Invoke { process, call: Call::Write(key, value), .. } => Seen::Write(process, key, value),
        Event::Invoke { process, call: Call::Read(key), .. } => Seen::Read(process, key),
        Event::Invoke { call: other, .. } => return call(&other).map(|()| None),
        Event::Complete { process, call: of, outcome, .. } => {
            call(&of)?;
            match outcome {
                Outcome::Ok(Reply::Read(value)) => Seen::Ok(process, Some(value)),
                Outcome::Ok(Reply::Done) => Seen::Ok(process, None),
                Outcome::Ok(_) => return Err(refused("an answer is neither of a read nor of a write")),
                Outcome::Fail(_) => Seen::Fail(process),
                Outcome::Info(_) => Seen::Info(process),
            }
        }
        _ => return Ok(None),
    }))
}
