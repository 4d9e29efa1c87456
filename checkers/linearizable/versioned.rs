//! A key-value store that counts the revisions of its entries, as etcd does.
//!
//! | f | value | reply |
//! | --- | --- | --- |
//! | `read` | nil | `[value revision]`; nil or `[nil 0]` where there is no such key; or the value alone |
//! | `put` | the value | the revision that the entry now has; or done |
//! | `write` | the value; nil deletes | done |
//! | `cas` | `[revision new]`: put if the entry has this revision (0: if there is none) | done, or refused |
//! | `delete` | nil, or the revision that the entry must have | done, true, or false: it had another |
//! | `etcd-txn` | etcd's own: at most one condition on the revision of one key, one put or delete of it, else at most one read of it | etcd's own |
//!
//! `put` and `delete` are calls under a name of their own; a `put` whose reply equals its value counts as done. One
//! entry a key. The revision of an entry is a whole number above 0 that grows with every put; between two puts of one
//! key others may have used any number of them, so only growth is asked for. A put that does not say its revision
//! leaves it unknown but larger than the one before, until a read shows it; a refusal rules one out. An entry put again
//! after a delete goes on from there; stores whose versions start over (ZooKeeper) are refused. Decided by search.
//! Not here, and answered with *unknown*: reads of several keys or of old revisions, leases, txns with more
//! conditions or operations; and that revisions of *different* keys follow one clock.

use super::bind::{Bind, Taken, unknown};
use super::engine::Decide;
use super::spec::{Spec, Timed};
use history::{Call, History, Op, Outcome, OutcomeKind, Reply, Value};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default)]
pub struct VersionedKv;

/// What is known of the revision of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Revision {
    Is(i64),
    /// The least and the greatest that it may be.
    Within(i64, i64),
}

/// An entry: a value, nil if there is none, and the revision of the last change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    pub value: Value,
    pub revision: Revision,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryCall {
    Read,
    /// Of nil: a delete.
    Put(Value),
    /// Put if the entry has this revision (0: if there is none).
    PutIf(i64, Value),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryReply {
    Done,
    /// The revision of what was put.
    At(i64),
    Value(Value),
    /// Value and revision; nil and 0: no such key.
    Found(Value, i64),
    /// The entry has another revision.
    Refused,
    /// The same, and what the entry is.
    RefusedFor(Value, i64),
}

impl Entry {
    /// The same entry, known to have this revision (0: not to be there). `None`: it cannot.
    fn at(&self, revision: i64) -> Option<Entry> {
        let fits = match self.revision {
            _ if self.value.is_null() || revision <= 0 => self.value.is_null() && revision == 0,
            Revision::Is(r) => r == revision,
            Revision::Within(least, most) => (least..=most).contains(&revision),
        };
        let revision = if self.value.is_null() { self.revision } else { Revision::Is(revision) };
        fits.then(|| Entry { value: self.value.clone(), revision })
    }

    /// What it may be if its revision is another than this: of a range, what is below and what is above.
    fn other_than(&self, revision: i64) -> Vec<Entry> {
        let with = |revision| Entry { value: self.value.clone(), revision };
        match self.revision {
            _ if self.at(revision).is_none() => vec![self.clone()],
            Revision::Within(least, most) if !self.value.is_null() => {
                let below = (least < revision).then(|| range(least, revision - 1));
                let above = (revision < most).then(|| range(revision + 1, most));
                below.into_iter().chain(above).map(with).collect()
            }
            _ => Vec::new(),
        }
    }

    /// After a change: by the reply to a later revision, or to an unknown one.
    fn changed(&self, value: &Value, told: Option<i64>) -> Option<Entry> {
        // Whether a delete uses up a revision is the store's affair: what is put next is later anyway.
        if value.is_null() && told.is_none() {
            return Some(Entry { value: Value::Null, revision: self.revision });
        }
        let (Revision::Is(last) | Revision::Within(last, _)) = self.revision;
        let revision = match told {
            Some(r) if r > last => Revision::Is(r),
            Some(_) => return None,
            None => range(last.checked_add(1)?, i64::MAX),
        };
        Some(Entry { value: value.clone(), revision })
    }

    /// What the entry may be after a call.
    fn after(&self, call: &EntryCall, reply: Option<&EntryReply>) -> Vec<Entry> {
        let told = match reply {
            Some(EntryReply::At(r)) => Some(*r),
            _ => None,
        };
        let put = matches!(reply, None | Some(EntryReply::Done | EntryReply::At(_)));
        let same = |fits: bool| fits.then(|| self.clone());
        let found = |value: &Value, r: i64| self.at(r).filter(|_| self.value == *value);
        let next = match (call, reply) {
            (EntryCall::Read, None) => same(true),
            (EntryCall::Read, Some(EntryReply::Value(v))) => same(self.value == *v),
            (EntryCall::Read, Some(EntryReply::Found(v, r))) => found(v, *r),
            (EntryCall::Put(v), _) if put => self.changed(v, told),
            (EntryCall::PutIf(r, v), _) if put => {
                let done = self.at(*r).and_then(|e| e.changed(v, told));
                let refused = if reply.is_none() { self.other_than(*r) } else { Vec::new() };
                return done.into_iter().chain(refused).collect();
            }
            (EntryCall::PutIf(r, _), Some(EntryReply::Refused)) => return self.other_than(*r),
            (EntryCall::PutIf(r, _), Some(EntryReply::RefusedFor(v, is))) if is != r => found(v, *is),
            _ => None,
        };
        next.into_iter().collect()
    }
}

fn range(least: i64, most: i64) -> Revision {
    if least == most { Revision::Is(least) } else { Revision::Within(least, most) }
}

impl Spec for VersionedKv {
    type Call = EntryCall;
    type Reply = EntryReply;
    /// All that the entry may be, sorted: whether a call without an answer found the revision it asked for can be
    /// open.
    type State = Vec<Entry>;

    fn init(&self) -> Vec<Entry> {
        vec![Entry { value: Value::Null, revision: Revision::Is(0) }]
    }

    fn weight(&self, s: &Vec<Entry>) -> usize {
        s.len() * (size_of::<Entry>() + 16)
    }

    /// A reply may teach more of the revision than was known, so forgetting it leads to a state that allows all that
    /// the one with it does: the law of [`Spec`] up to what may follow.
    fn step(&self, s: &Vec<Entry>, call: &EntryCall, reply: Option<&EntryReply>) -> Option<Vec<Entry>> {
        let mut next: Vec<Entry> = s.iter().flat_map(|e| e.after(call, reply)).collect();
        next.sort_unstable();
        next.dedup();
        (!next.is_empty()).then_some(next)
    }

    /// A read without an answer leaves every state as it is.
    fn wants(&self, _: &Timed<Self>, info: &EntryCall) -> bool {
        *info != EntryCall::Read
    }
}

impl Decide for VersionedKv {}

/// The entries of a history by number.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Value>,
    numbers: BTreeMap<Value, u32>,
    of: Vec<u32>,
}

impl Keys {
    pub fn of(history: &History) -> Keys {
        let mut all = Keys::default();
        for op in history.ops() {
            let key = key(&op);
            let fresh = all.keys.len() as u32;
            let number = *all.numbers.entry(key.clone()).or_insert(fresh);
            if number == fresh {
                all.keys.push(key);
            }
            all.of.push(number);
        }
        all
    }

    pub fn number(&self, op: &Op<'_>) -> u32 {
        self.of[op.id.0 as usize]
    }

    pub fn name(&self, number: u32) -> Value {
        self.keys[number as usize].clone()
    }
}

/// The key that an op is about: its own, or that of the one condition or operation of etcd's txn.
fn key(op: &Op<'_>) -> Value {
    match (op.f(), op.call()) {
        ("etcd-txn", Call::Other { value, .. }) => {
            EtcdTxn::read(&value).map_or(Value::Null, |txn| txn.key.clone())
        }
        (_, call) => call.key().clone(),
    }
}

/// A txn of etcd's robustness tests that is about one key.
struct EtcdTxn<'v> {
    key: &'v Value,
    call: EntryCall,
}

impl<'v> EtcdTxn<'v> {
    fn read(input: &'v Value) -> Option<EtcdTxn<'v>> {
        let txn = input.get("Txn")?;
        let list = |field: &str| txn.get(field).and_then(Value::elements).unwrap_or_default();
        let (conditions, success, failure) =
            (list("Conditions"), list("OperationsOnSuccess"), list("OperationsOnFailure"));
        let ([condition], [change]) = (conditions, success) else { return None };
        let key = condition.get("Key")?;
        let zero = |v: Option<&Value>| v.is_none_or(|v| matches!(v, Value::Null | Value::Int(0)));
        // Newer versions can ask for the version of the entry, which is not kept here.
        if !zero(condition.get("ExpectedVersion")) {
            return None;
        }
        let revision = condition.get("ExpectedRevision").and_then(Value::as_int)?;
        let (about, value) = match change.get("Type").and_then(Value::as_text)? {
            "put-operation" => {
                let put = change.get("Put").filter(|put| zero(put.get("LeaseID")))?;
                (put.get("Key")?, content(put.get("Value")))
            }
            "delete-operation" => (change.get("Delete")?.get("Key")?, Value::Null),
            _ => return None,
        };
        let looks = match failure {
            [] => true,
            [look] => {
                let range = look.get("Range")?;
                let empty = |v: Option<&Value>| v.and_then(Value::as_text).is_none_or(str::is_empty);
                look.get("Type").and_then(Value::as_text) == Some("range-operation")
                    && range.get("Start") == Some(key)
                    && empty(range.get("End"))
            }
            _ => false,
        };
        (about == key && looks).then_some(EtcdTxn { key, call: EntryCall::PutIf(revision, value) })
    }

    /// A success tells the revision of the store, which is that of the entry; a failure may tell the entry.
    fn reply(&self, output: &Value) -> Option<EntryReply> {
        let txn = output.get("Txn")?;
        if txn.get("Failure") != Some(&Value::Bool(true)) {
            // A delete of nothing changes no revision.
            return Some(match (&self.call, output.get("Revision").and_then(Value::as_int)) {
                (EntryCall::PutIf(_, value), Some(revision)) if !value.is_null() => EntryReply::At(revision),
                _ => EntryReply::Done,
            });
        }
        let result = txn.get("Results").and_then(Value::elements).and_then(|r| r.first());
        let Some(found) = result.and_then(|r| r.get("KVs")) else { return Some(EntryReply::Refused) };
        Some(match found.elements().and_then(|kvs| kvs.first()) {
            Some(kv) => EntryReply::RefusedFor(content(kv.get("Value")), kv.get("ModRevision")?.as_int()?),
            None => EntryReply::RefusedFor(Value::Null, 0),
        })
    }
}

/// A stored value, or its hash if it was long: spelt as the reader of these files spells those of plain reads.
fn content(value: Option<&Value>) -> Value {
    let hash = value.and_then(|v| v.get("Hash")).filter(|h| !matches!(h, Value::Null | Value::Int(0)));
    match (hash, value.and_then(|v| v.get("Value"))) {
        (Some(hash), _) => Value::Tagged("fnv32a".into(), Box::new(hash.clone())),
        (None, text) => text.cloned().unwrap_or_else(|| Value::text("")),
    }
}

/// What an ok op was answered.
fn replied(op: &Op<'_>, call: &EntryCall) -> Result<EntryReply, String> {
    let value = match op.outcome() {
        Outcome::Ok(Reply::Read(value)) => value,
        Outcome::Ok(Reply::Mismatch) => return Ok(EntryReply::Refused),
        _ => return Ok(EntryReply::Done),
    };
    Ok(match (call, value) {
        (EntryCall::Read, Value::Null) => EntryReply::Value(Value::Null),
        (EntryCall::Read, value) => match value.elements() {
            Some([Value::Null, _]) => EntryReply::Found(Value::Null, 0),
            Some([value, Value::Int(revision)]) => EntryReply::Found(value.clone(), *revision),
            _ => EntryReply::Value(value),
        },
        (_, Value::Bool(true)) => EntryReply::Done,
        (EntryCall::PutIf(..), Value::Bool(false)) => EntryReply::Refused,
        (_, Value::Int(revision)) => EntryReply::At(revision),
        (_, other) => return Err(format!("op #{}: {other} is no revision", op.id.0)),
    })
}

impl Bind for VersionedKv {
    const NOUN: &'static str = "versioned entry";

    fn take(&self, op: &Op<'_>, _: &History) -> Result<Option<Taken<Self>>, String> {
        if op.kind() == OutcomeKind::Fail {
            return Ok(None);
        }
        let revision =
            |v: &Value| v.as_int().ok_or_else(|| format!("op #{}: {v} is no revision to expect", op.id.0));
        let call = match (op.f(), op.call()) {
            ("read", _) => EntryCall::Read,
            ("write", Call::Write(_, value)) => EntryCall::Put(value),
            ("cas", Call::Cas(_, expected, new)) => EntryCall::PutIf(revision(&expected)?, new),
            ("put", Call::Other { value: Value::Null, .. }) => {
                return Err(format!("op #{}: a put without a value", op.id.0));
            }
            ("put", Call::Other { value, .. }) => EntryCall::Put(value),
            ("delete", Call::Other { value: Value::Null, .. }) => EntryCall::Put(Value::Null),
            ("delete", Call::Other { value, .. }) => EntryCall::PutIf(revision(&value)?, Value::Null),
            ("etcd-txn", Call::Other { value, .. }) => {
                let txn = EtcdTxn::read(&value)
                    .ok_or_else(|| format!("op #{}: a txn of more than one key and condition", op.id.0))?;
                let reply = match op.outcome() {
                    Outcome::Ok(Reply::Read(output)) => Some(
                        txn.reply(&output)
                            .ok_or_else(|| format!("op #{}: a txn without a response", op.id.0))?,
                    ),
                    Outcome::Ok(_) => return Err(format!("op #{}: a txn without a response", op.id.0)),
                    _ => None,
                };
                return Ok(Some((txn.call, reply)));
            }
            _ => return unknown(op, Self::NOUN),
        };
        let reply = if op.is_ok() { Some(replied(op, &call)?) } else { None };
        Ok(Some((call, reply)))
    }

    fn show(&self, state: &Vec<Entry>, _: &History) -> String {
        let one = |e: &Entry| match (&e.value, e.revision) {
            (Value::Null, _) => "no entry".to_string(),
            (value, Revision::Is(r)) => format!("{value} at revision {r}"),
            (value, Revision::Within(r, i64::MAX)) => format!("{value} at revision {r} or later"),
            (value, Revision::Within(least, most)) => format!("{value} at a revision from {least} to {most}"),
        };
        state.iter().map(one).collect::<Vec<_>>().join(", or ")
    }

    fn refusal(&self, state: &Vec<Entry>, op: &Timed<Self>, history: &History) -> String {
        let is = self.show(state, history);
        match (&op.call, &op.reply) {
            (_, Some(EntryReply::Value(v))) => format!("needs {v}, it is {is}"),
            (_, Some(EntryReply::Found(v, r) | EntryReply::RefusedFor(v, r))) => {
                format!("needs {v} at revision {r}, it is {is}")
            }
            (EntryCall::PutIf(r, _), Some(EntryReply::Refused)) => {
                format!("was refused, which needs another revision than {r}, it is {is}")
            }
            (EntryCall::PutIf(r, _), Some(EntryReply::At(at))) => {
                format!("needs revision {r} and makes it {at}, it is {is}")
            }
            (EntryCall::PutIf(r, _), _) => format!("needs revision {r}, it is {is}"),
            (_, Some(EntryReply::At(at))) => format!("needs a revision below {at}, it is {is}"),
            _ => format!("does not fit, it is {is}"),
        }
    }
}
