//! Certificates: the order behind a valid verdict, written so that `verify` can follow it in the raw file.
//!
//! A header line, then a line for each key with the lines on which its calls were invoked, in an order that explains
//! all replies. The hash is of the file as it was judged, unpacked if it was packed. Nothing is written that the
//! independent verifier does not accept at once. Not here: finding the order, verifying it.

use crate::cli::{CheckArgs, Failure, VerifyCertificateArgs};
use crate::input::{self, Input};
use crate::judge::Judgement;
use crate::{exit, verify};
use checkers::linearizable::initial::{Init, LinearizableFrom};
use checkers::linearizable::{Linearizable, Object};
use checkers::{Budget, Checker, Findings, Model, Verdict, Witness};
use history::jsonl::Limits;
use history::{History, OpId, Value};
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
    let Init::Value(first) = init else {
        return Err("it would have to name the first value: --init VALUE".into());
    };
    let history = &input.history;
    let witness = witness(object, init, &judgement.findings, history, budget)?;
    let raw = input::raw(&input.path, &Limits::default()).map_err(|e| e.says)?;
    let tuples = history.notes().iter().any(|n| {
        n.f.as_ref() == "import" && n.value.as_text().is_some_and(|t| t.contains("[key value] tuples"))
    });
    let refused = cas_fail || input.format == "porcupine-log";
    let convert =
        |why: String| format!("{why}; `schism convert` writes JSON lines, for which there are certificates");
    let lines = verify::raw::lines(&raw, input.format, tuples).map_err(convert)?;
    let calls: Vec<usize> = lines.iter().filter(|l| l.kind == "invoke").map(|l| l.number).collect();
    if calls.len() != history.len() {
        let why = format!("{} calls were judged, {} are on lines of their own", history.len(), calls.len());
        return Err(convert(why));
    }
    let name = match object {
        Object::Register | Object::CasRegister | Object::Auto => "register",
        Object::Mutex => "lock",
        other => other.name(),
    };
    let by_element = object == Object::Set && history.ops().all(|op| op.f() != "read");
    let header = json!({
        "certificate": 1, "tool": env!("CARGO_PKG_VERSION"), "file": input.path.display().to_string(),
        "format": input.format, "sha256": hex(&Sha256::digest(&raw)), "spec": name, "init": first.to_json(),
        "tuples": tuples, "refused_cas": refused, "ops": history.len(), "by": witness.by,
    });
    let mut text = Vec::new();
    let mut line = |value: Json| writeln!(text, "{value}").map_err(|e| e.to_string());
    line(header)?;
    for (_, order) in &witness.parts {
        // A key of which nothing certain is known needs no order.
        let Some(first) = order.first().map(|id| history.op(*id)) else { continue };
        let at: Vec<usize> = order.iter().map(|OpId(i)| calls[*i as usize]).collect();
        let mut part = json!({"key": raw_json(&history.value(first.key())), "order": at});
        if by_element {
            part["element"] = raw_json(&history.value(first.arg()));
        }
        line(part)?;
    }
    let whole = std::str::from_utf8(&text).map_err(|e| e.to_string())?;
    verify::verify(whole, &raw)
        .map_err(|why| convert(format!("the independent verifier does not follow: {why}")))?;
    Ok(text)
}

/// As the verifier reads it: a keyword keeps its colon.
fn raw_json(value: &Value) -> Json {
    match value {
        Value::Keyword(word) => Json::from(word.as_ref()),
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
