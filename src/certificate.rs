//! Certificates: the order behind a valid verdict, written so that `verify` can follow it in the raw file.
//!
//! A header line, then a line for each key with the lines on which its calls were invoked, in an order that explains
//! all replies. The hash is of the file as it was judged, unpacked if it was packed. Nothing is written that the
//! independent verifier does not accept at once. Not here: finding the order, verifying it.

use crate::cli::{CheckArgs, Failure, VerifyCertificateArgs};
use crate::input::{self, Input};
use crate::judge::Judgement;
use crate::verify::question::Question;
use crate::{exit, verify};
use checkers::linearizable::initial::{Init, LinearizableFrom, first_value};
use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Findings, Model, Verdict, Witness};
use history::jsonl::Limits;
use history::{History, Op, OpId, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the certificate of a judged file where one is asked for; says so, or why there is none.
pub fn write(
    args: &CheckArgs,
    input: &Input,
    object: Object,
    init: &Init,
    judgement: &Judgement,
    budget: &Budget,
) -> Result<(), Failure> {
    let Some(to) = &args.certificate else { return Ok(()) };
    let say = |text: String| match args.json {
        true => eprintln!("  {text}"),
        false => println!("  {text}"),
    };
    match certificate(input, object, init, judgement, budget, args.read.cas_fail == "mismatch") {
        Ok(text) => {
            let failed = |e| Failure::could_not_run(format!("cannot write {}: {e}", to.display()));
            std::fs::write(to, text).map_err(failed)?;
            say(format!("certificate {}", to.display()));
        }
        Err(why) => say(format!("no certificate {}: {why}", to.display())),
    }
    Ok(())
}

pub(crate) fn certificate(
    input: &Input,
    object: Object,
    init: &Init,
    judgement: &Judgement,
    budget: &Budget,
    cas_fail: bool,
) -> Result<Vec<u8>, String> {
    if !judgement.verdict.is_valid() {
        return Err(format!("the verdict is {}", judgement.headline()));
    }
    let history = &input.history;
    let object = match object {
        Object::Auto => Object::guess(history).ok_or("what the object is has to be said: --spec")?,
        object => object,
    };
    let mut witness = witness(object, init, &judgement.findings, history, budget)?;
    if matches!(object, Object::MultiRegister(_)) {
        witness.parts = vec![(Value::Null, merged(&witness.parts, history))];
    }
    let raw = input::raw(&input.path, &Limits::default()).map_err(|e| e.says)?;
    let header = header(input, object, init, &witness, cas_fail, &raw)?;
    let convert =
        |why: String| format!("{why}; `schism convert` writes JSON lines, for which there are certificates");
    let calls = verify::calls::ops(&raw, &Question::read(&header)).map_err(convert)?.len();
    if calls != history.len() {
        let why = format!("{} calls were judged, {calls} are on lines of their own", history.len());
        return Err(convert(why));
    }
    let by_element = object == Object::Set && history.ops().all(|op| op.f() != "read");
    let mut text = Vec::new();
    let mut line = |value: Json| writeln!(text, "{value}").map_err(|e| e.to_string());
    line(header)?;
    for (name, order) in &witness.parts {
        // A key of which nothing certain is known needs no order.
        let Some(first) = order.first().map(|id| history.op(*id)) else { continue };
        let at: Option<Vec<u64>> = order.iter().map(|id| history.op(*id).line()).collect();
        let at = at.ok_or_else(|| convert("some calls are on no line".into()))?;
        let mut part = json!({"key": key(object, name, &first, history), "order": at});
        if by_element {
            part["element"] = raw_json(&history.value(first.arg()));
        }
        line(part)?;
    }
    let whole = std::str::from_utf8(&text).map_err(|e| e.to_string())?;
    verify::verify(whole, &raw).map_err(|why| {
        format!("the independent verifier does not follow: {why}. One of them errs, please report it")
    })?;
    Ok(text)
}

/// What the verifier has to be told.
fn header(
    input: &Input,
    object: Object,
    init: &Init,
    witness: &Witness,
    cas_fail: bool,
    raw: &[u8],
) -> Result<Json, String> {
    let history = &input.history;
    let tuples = history.notes().iter().any(|n| {
        n.f.as_ref() == "import" && n.value.as_text().is_some_and(|t| t.contains("[key value] tuples"))
    });
    let by_time = history.ties() > 0 && history.ties_are_concurrent();
    let (name, parameter) = match object {
        Object::Register | Object::CasRegister => ("register", None),
        Object::Mutex => ("lock", None),
        Object::Semaphore(n) => (object.name(), Some(n)),
        Object::ReentrantLock(n) => (object.name(), n),
        other => (other.name(), None),
    };
    let mut head = json!({
        "certificate": 1, "tool": env!("CARGO_PKG_VERSION"), "file": input.path.display().to_string(),
        "format": input.format, "sha256": hex(&Sha256::digest(raw)), "spec": name, "init": null,
        "tuples": tuples, "refused_cas": cas_fail || input.format == "porcupine-log",
        "order": if by_time { "time" } else { "line" }, "ops": history.len(), "by": witness.by,
    });
    if let Some(parameter) = parameter {
        head["parameter"] = json!(parameter);
    }
    match (object, init) {
        (Object::MultiRegister(first), _) => head["init"] = json!(first),
        (_, Init::Value(first)) => head["init"] = raw_json(first),
        (_, Init::Any) => {
            let found: Vec<(Json, Json)> = inits(witness, history)?;
            let same = found.windows(2).all(|pair| pair[0].1 == pair[1].1);
            match found.first() {
                Some((_, first)) if same => head["init"] = first.clone(),
                _ => head["inits"] = found.into_iter().map(|(key, first)| json!([key, first])).collect(),
            }
        }
    }
    Ok(head)
}

/// A first value of each key from which its order holds, where any was allowed.
fn inits(witness: &Witness, history: &History) -> Result<Vec<(Json, Json)>, String> {
    let ordered = witness.parts.iter().filter_map(|(_, order)| Some((order.first()?, order)));
    let found = ordered.map(|(first, order)| {
        let key = raw_json(&history.value(history.op(*first).key()));
        match first_value(history, order) {
            Some(value) => Ok((key, raw_json(&value))),
            None => Err(format!("no first value of key {key} goes with its order")),
        }
    });
    found.collect()
}

/// One order of several that touch nothing in common: each op at the first moment at which its own order allows it.
fn merged(parts: &[(Value, Vec<OpId>)], history: &History) -> Vec<OpId> {
    let mut all: Vec<(u32, OpId)> = Vec::new();
    for (_, order) in parts {
        let mut now = 0;
        all.extend(order.iter().map(|id| {
            now = now.max(history.op(*id).inv());
            (now, *id)
        }));
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, id)| id).collect()
}

/// The key as the verifier finds it at the calls.
fn key(object: Object, name: &Value, first: &Op<'_>, history: &History) -> Json {
    match object {
        Object::MultiRegister(_) | Object::UniqueIds => Json::Null,
        // A txn of etcd's has its key inside.
        Object::VersionedKv => raw_json(name),
        _ => raw_json(&history.value(first.key())),
    }
}

/// As the verifier reads it: a keyword keeps its colon.
fn raw_json(value: &Value) -> Json {
    match value {
        Value::Keyword(word) => Json::from(word.as_ref()),
        Value::List(items) => items.iter().map(raw_json).collect(),
        other => other.to_json(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The orders that the judges found, else those of a search of their own: not every judge of sets and locks orders.
fn witness(
    object: Object,
    init: &Init,
    findings: &[Findings],
    history: &History,
    budget: &Budget,
) -> Result<Witness, String> {
    let orders = |findings: &Findings| {
        findings.per_model.iter().find_map(|(model, verdict)| match verdict {
            Verdict::Valid(w) if *model == Model::Linearizable && !w.parts.is_empty() => Some(w.clone()),
            _ => None,
        })
    };
    if let Some(found) = findings.iter().find_map(orders) {
        return Ok(found);
    }
    let found = match object {
        Object::Register | Object::CasRegister => {
            LinearizableFrom { init: init.clone() }.check(history, budget)
        }
        object => Linearizable::of(object).check(history, budget),
    };
    orders(&found).ok_or_else(|| match found.worst() {
        Some(Verdict::Invalid(c)) => format!("it is not linearizable ({})", c.pattern),
        Some(Verdict::Unknown(r)) => format!("no order was found: {}", r.says),
        _ => "there is no call to order".into(),
    })
}

/// `schism verify-certificate FILE [HISTORY]`.
pub fn main(args: &VerifyCertificateArgs) -> Result<i32, Failure> {
    let at = |e: &dyn std::fmt::Display| Failure::usage(format!("{}: {e}", args.certificate.display()));
    let text = std::fs::read_to_string(&args.certificate).map_err(|e| at(&e))?;
    let history = match &args.history {
        Some(path) => path.clone(),
        None => beside(&args.certificate, &text).ok_or_else(|| {
            at(&"it names no history that is there; name one: schism verify-certificate FILE HISTORY")
        })?,
    };
    let raw = input::raw(&history, &Limits::default())?;
    match verify::verify(&text, &raw) {
        Ok(says) => {
            println!("{}: verified: {says}", history.display());
            Ok(exit::VALID)
        }
        Err(why) => {
            println!("{}: rejected: {why}", args.certificate.display());
            Ok(exit::INVALID)
        }
    }
}

/// The file that the certificate names, from here or from where the certificate lies.
fn beside(certificate: &Path, text: &str) -> Option<PathBuf> {
    let head: Json = serde_json::from_str(text.lines().next()?).ok()?;
    let named = PathBuf::from(head["file"].as_str()?);
    let near = certificate.parent()?.join(&named);
    [named, near].into_iter().find(|p| p.is_file())
}
