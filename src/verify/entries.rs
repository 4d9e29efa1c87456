//! Entries with revisions, as etcd has them, once more and by themselves, for certificates.
//!
//! Each put gives an entry a larger revision than it had; one that was not told lies in a range. A call without an
//! answer may leave several entries possible: an answer fits if it fits one of them.

use super::calls::Op;
use super::etcd::content;
use serde_json::Value as Json;

/// A value (nil: there is none) and the least and the greatest that its revision may be.
#[derive(Clone, Default, PartialEq)]
pub struct Entry {
    value: Json,
    least: i64,
    most: i64,
}

/// A change, on condition of a revision where there is one. No change: a look.
struct Call {
    expected: Option<i64>,
    put: Option<Json>,
}

enum Said {
    Nothing,
    Done,
    /// The revision of what was put.
    At(i64),
    Value(Json),
    Found(Json, i64),
    Refused(Option<(Json, i64)>),
}

impl Entry {
    /// The same, known to have this revision; 0: not to be there.
    fn at(&self, revision: i64) -> Option<Entry> {
        if self.value.is_null() || revision <= 0 {
            return (self.value.is_null() && revision == 0).then(|| self.clone());
        }
        let fits = (self.least..=self.most).contains(&revision);
        fits.then(|| Entry { least: revision, most: revision, ..self.clone() })
    }

    /// What it may be with any other revision.
    fn not_at(&self, revision: i64) -> Vec<Entry> {
        if self.at(revision).is_none() {
            return vec![self.clone()];
        }
        let below = Entry { most: revision - 1, ..self.clone() };
        let above = Entry { least: revision.saturating_add(1), ..self.clone() };
        [below, above].into_iter().filter(|e| !self.value.is_null() && e.least <= e.most).collect()
    }

    /// After a put, or a delete, which need not use up a revision.
    fn put(&self, value: &Json, told: Option<i64>) -> Option<Entry> {
        match told {
            Some(r) => (self.least < r).then(|| Entry { value: value.clone(), least: r, most: r }),
            None if value.is_null() => Some(Entry { value: Json::Null, ..self.clone() }),
            None => Some(Entry { value: value.clone(), least: self.least.checked_add(1)?, most: i64::MAX }),
        }
    }

    fn found(&self, value: &Json, revision: i64) -> Option<Entry> {
        self.at(revision).filter(|e| e.value == *value)
    }

    fn after(&self, call: &Call, said: &Said) -> Vec<Entry> {
        let Some(put) = &call.put else {
            let fits = match said {
                Said::Nothing => Some(self.clone()),
                Said::Value(value) => (self.value == *value).then(|| self.clone()),
                Said::Found(value, revision) => self.found(value, *revision),
                _ => None,
            };
            return fits.into_iter().collect();
        };
        let told = if let Said::At(revision) = said { Some(*revision) } else { None };
        let done = |entry: &Entry| match said {
            Said::Nothing | Said::Done | Said::At(_) => entry.put(put, told),
            _ => None,
        };
        let Some(expected) = call.expected else { return done(self).into_iter().collect() };
        let refused = match said {
            Said::Nothing | Said::Refused(None) => self.not_at(expected),
            Said::Refused(Some((value, is))) if *is != expected => {
                self.found(value, *is).into_iter().collect()
            }
            _ => Vec::new(),
        };
        self.at(expected).and_then(|entry| done(&entry)).into_iter().chain(refused).collect()
    }
}

/// Makes the call on all that the entry may be; whether one of them allows the answer.
pub fn step(all: &mut Vec<Entry>, op: &Op) -> bool {
    let Some((call, said)) = read(op) else { return false };
    let mut next: Vec<Entry> = Vec::new();
    for entry in all.iter().flat_map(|entry| entry.after(&call, &said)) {
        if !next.contains(&entry) {
            next.push(entry);
        }
    }
    *all = next;
    !all.is_empty()
}

fn read(op: &Op) -> Option<(Call, Said)> {
    let arg = &op.call.value;
    let call = match op.call.f.as_str() {
        "read" => Call { expected: None, put: None },
        "write" | "put" => Call { expected: None, put: Some(arg.clone()) },
        "cas" => Call { expected: Some(arg[0].as_i64()?), put: Some(arg.get(1)?.clone()) },
        "delete" if arg.is_null() => Call { expected: None, put: Some(Json::Null) },
        "delete" => Call { expected: Some(arg.as_i64()?), put: Some(Json::Null) },
        "etcd-txn" => return transaction(op),
        _ => return None,
    };
    let said = match (op.call.f.as_str(), &op.reply) {
        (_, None) => Said::Nothing,
        _ if op.refused => Said::Refused(None),
        ("read", Some(Json::Array(pair))) if pair.len() == 2 && (pair[0].is_null() || pair[1].is_i64()) => {
            match pair[0].is_null() {
                true => Said::Found(Json::Null, 0),
                false => Said::Found(pair[0].clone(), pair[1].as_i64()?),
            }
        }
        ("read", Some(value)) => Said::Value(value.clone()),
        ("write" | "cas", _) => Said::Done,
        (_, Some(reply)) if reply == arg || *reply == true => Said::Done,
        (_, Some(Json::Bool(false))) if call.expected.is_some() => Said::Refused(None),
        (_, Some(reply)) => Said::At(reply.as_i64()?),
    };
    Some((call, said))
}

/// The only entry of a list, of etcd's txn.
fn only(list: &Json) -> Option<&Json> {
    list.as_array().filter(|all| all.len() == 1).map(|all| &all[0])
}

/// The key that a txn of etcd's is about.
pub fn key(input: &Json) -> Json {
    input["Txn"]["Conditions"][0]["Key"].clone()
}

/// One condition on the revision of a key, one put or delete of it, else at most one read of it.
fn transaction(op: &Op) -> Option<(Call, Said)> {
    let (txn, key) = (&op.call.value["Txn"], key(&op.call.value));
    let (condition, change) = (only(&txn["Conditions"])?, only(&txn["OperationsOnSuccess"])?);
    let zero = |value: &Json| value.is_null() || *value == 0;
    let (about, put) = match change["Type"].as_str()? {
        "put-operation" if zero(&change["Put"]["LeaseID"]) => {
            (&change["Put"]["Key"], content(&change["Put"]["Value"]))
        }
        "delete-operation" => (&change["Delete"]["Key"], Json::Null),
        _ => return None,
    };
    if *about != key || !zero(&condition["ExpectedVersion"]) {
        return None;
    }
    if let Some(look) = only(&txn["OperationsOnFailure"])
        && (look["Range"]["Start"] != key || look["Range"]["End"].as_str().is_some_and(|end| !end.is_empty()))
    {
        return None;
    }
    let said = match &op.reply {
        None => Said::Nothing,
        Some(output) if output["Txn"]["Failure"] == true => match &output["Txn"]["Results"][0]["KVs"] {
            _ if output["Txn"]["Results"][0].get("KVs").is_none() => Said::Refused(None),
            kvs => Said::Refused(Some(match kvs.get(0) {
                Some(kv) => (content(&kv["Value"]), kv["ModRevision"].as_i64()?),
                None => (Json::Null, 0),
            })),
        },
        // A delete of nothing changes no revision.
        Some(output) => match output["Revision"].as_i64().filter(|_| !put.is_null()) {
            Some(revision) => Said::At(revision),
            None => Said::Done,
        },
    };
    Some((Call { expected: Some(condition["ExpectedRevision"].as_i64()?), put: Some(put) }, said))
}
