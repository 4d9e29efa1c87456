//! The client protocol: requests, replies and errors, as values and as one JSON object a line.
//!
//! A request is `{"id":"c7","session":3,"seq":12,"op":"cas","key":"x","expected":1,"value":2}`; a response is
//! `{"id":"c7","ok":{"applied":true},"server":"n1","role":"leader","term":4}` or the same with
//! `"error":{"code":"timeout","definite":false,"text":"…"}` in place of `ok`.
//! The shapes between servers are not here: see `core.rs`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// One client request. `id` is opaque, comes back in the response and is written to the server's log.
///
/// `session` and `seq` deduplicate writes: a session issues one write at a time with increasing `seq`, and a
/// repeated pair gets its first reply again. Session 0 means none, and then a repeat is a second write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: String,
    pub session: u64,
    pub seq: u64,
    pub command: Command,
}

/// What is asked. Registers, sets, lists and counters are separate name spaces, so one key may name one of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Read { key: String },
    Write { key: String, value: i64 },
    Cas { key: String, expected: Option<i64>, value: i64 },
    Add { key: String, value: i64 },
    Members { key: String },
    Append { key: String, value: i64 },
    List { key: String },
    Increment { key: String, value: i64 },
    Count { key: String },
    Txn { ops: Vec<MicroOp> },
    Status,
}

/// One step of a transaction; on the wire `["read","x"]`, `["write","x",1]`, `["append","l",2]`, `["list","l"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MicroOp {
    Read { key: String },
    Write { key: String, value: i64 },
    Append { key: String, value: i64 },
    List { key: String },
}

/// The reply of one micro-op: on the wire the micro-op with what it saw, `["read","x",1]`, `["list","l",[2,3]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MicroReply {
    Read { key: String, value: Option<i64> },
    Write { key: String, value: i64 },
    Append { key: String, value: i64 },
    List { key: String, values: Vec<i64> },
}

/// A reply that says the request was carried out. A refused compare-and-set is one too: `Applied(false)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// `{}`
    Done,
    /// `{"value": 1}`, null for a register never written.
    Value(Option<i64>),
    /// `{"applied": true}`
    Applied(bool),
    /// `{"values": [1,2]}`; a set in increasing order, a list in its own.
    Values(Vec<i64>),
    /// `{"results": [["read","x",1]]}`
    Txn(Vec<MicroReply>),
    /// `{"status": {…}}`
    Status(Box<Report>),
}

/// What `status` answers: the server's own view, with the state hash of what it has applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub server: String,
    pub mode: String,
    pub role: String,
    pub term: u64,
    pub leader: Option<String>,
    pub commit: u64,
    pub applied: u64,
    pub last: u64,
    /// Hash of the applied state, 16 hexadecimal digits (JSON numbers lose precision above 2^53).
    pub hash: String,
    /// How often each enabled switch has acted, by name.
    pub activations: BTreeMap<String, u64>,
    /// Syncs of the log since the server started; filled in by the host that does them.
    #[serde(default)]
    pub syncs: u64,
}

/// Why a request was not (known to be) carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    Malformed,
    Unsupported,
    NotReady,
    NotLeader,
    ShuttingDown,
    NotWritten,
    Stale,
    Timeout,
    ForwardLost,
    LeadershipLost,
}

/// One row of [`CODES`].
pub struct CodeInfo {
    pub code: Code,
    /// Spelling on the wire.
    pub name: &'static str,
    /// True: the request certainly had and will have no effect. False: it may have, or may yet.
    pub definite: bool,
    pub about: &'static str,
}

/// Every error code and whether it is definite: the one table, in the order of [`Code`].
pub const CODES: &[CodeInfo] = &[
    row(Code::Malformed, "malformed", true, "the line is not a request of this protocol"),
    row(Code::Unsupported, "unsupported", true, "this mode does not offer the operation"),
    row(Code::NotReady, "not-ready", true, "no leader is known; the request was not accepted"),
    row(
        Code::NotLeader,
        "not-leader",
        true,
        "the server it was forwarded to does not lead and did not accept it",
    ),
    row(Code::ShuttingDown, "shutting-down", true, "the server is stopping and accepts nothing"),
    row(Code::NotWritten, "not-written", true, "too few replicas answered; nothing was written"),
    row(
        Code::Stale,
        "stale",
        false,
        "a later request of the session was applied before; this one may have been earlier",
    ),
    row(Code::Timeout, "timeout", false, "no decision within the server's request timeout"),
    row(Code::ForwardLost, "forward-lost", false, "the leader it was forwarded to did not answer in time"),
    row(
        Code::LeadershipLost,
        "leadership-lost",
        false,
        "the server stopped leading after it proposed the request",
    ),
];

const fn row(code: Code, name: &'static str, definite: bool, about: &'static str) -> CodeInfo {
    CodeInfo { code, name, definite, about }
}

impl Code {
    /// The row of [`CODES`] for this code.
    pub fn info(self) -> &'static CodeInfo {
        &CODES[self as usize]
    }

    /// The code spelled `name` on the wire.
    pub fn from_name(name: &str) -> Option<Code> {
        CODES.iter().find(|row| row.name == name).map(|row| row.code)
    }
}

/// An error reply; an empty `text` stands for the code's own sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: Code,
    pub text: String,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Failure {
        Failure { code, text: String::new() }
    }
}

/// What a server says about itself in every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    /// Quorum mode: every server is one.
    Replica,
    /// Single mode: the server that holds the data.
    Primary,
    /// Single mode: any other server.
    Proxy,
}

impl Role {
    /// Spelling on the wire and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Replica => "replica",
            Role::Primary => "primary",
            Role::Proxy => "proxy",
        }
    }

    /// The role spelled `name`.
    pub fn from_name(name: &str) -> Option<Role> {
        use Role::*;
        [Leader, Follower, Candidate, Replica, Primary, Proxy].into_iter().find(|role| role.name() == name)
    }
}

/// The answer to one request, by the server that the client is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub id: String,
    pub server: String,
    pub role: Role,
    pub term: u64,
    pub result: Result<Reply, Failure>,
}

impl Command {
    /// The `op` field.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Read { .. } => "read",
            Command::Write { .. } => "write",
            Command::Cas { .. } => "cas",
            Command::Add { .. } => "add",
            Command::Members { .. } => "members",
            Command::Append { .. } => "append",
            Command::List { .. } => "list",
            Command::Increment { .. } => "increment",
            Command::Count { .. } => "count",
            Command::Txn { .. } => "txn",
            Command::Status => "status",
        }
    }

    /// Whether the command leaves the state as it is. Transactions go through the log even if they only read.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Command::Read { .. } | Command::Members { .. } | Command::List { .. } | Command::Count { .. }
        )
    }
}

impl Request {
    /// Parses one line. Cost: one pass into a JSON tree.
    ///
    /// # Errors
    /// A `malformed` failure with the reason, and the request's id when one could be read.
    pub fn from_json(line: &str) -> Result<Request, (String, Failure)> {
        let json: Json =
            serde_json::from_str(line).map_err(|error| (String::new(), malformed(&error.to_string())))?;
        let Json::Object(fields) = json else {
            return Err((String::new(), malformed("a request is a JSON object")));
        };
        let id = match fields.get("id") {
            Some(Json::String(id)) => id.clone(),
            Some(Json::Number(id)) => id.to_string(),
            None => String::new(),
            Some(_) => return Err((String::new(), malformed("`id` must be a string"))),
        };
        let parsed = command_of(&fields)
            .and_then(|command| Ok((command, unsigned(&fields, "session")?, unsigned(&fields, "seq")?)));
        match parsed {
            Ok((command, session, seq)) => Ok(Request { id, session, seq, command }),
            Err(text) => Err((id, malformed(&text))),
        }
    }

    /// One line without its newline.
    pub fn to_json(&self) -> String {
        let mut fields = Map::new();
        fields.insert("id".into(), json!(self.id));
        fields.insert("session".into(), json!(self.session));
        fields.insert("seq".into(), json!(self.seq));
        fields.insert("op".into(), json!(self.command.name()));
        match &self.command {
            Command::Read { key }
            | Command::Members { key }
            | Command::List { key }
            | Command::Count { key } => {
                fields.insert("key".into(), json!(key));
            }
            Command::Write { key, value }
            | Command::Add { key, value }
            | Command::Append { key, value }
            | Command::Increment { key, value } => {
                fields.insert("key".into(), json!(key));
                fields.insert("value".into(), json!(value));
            }
            Command::Cas { key, expected, value } => {
                fields.insert("key".into(), json!(key));
                fields.insert("expected".into(), json!(expected));
                fields.insert("value".into(), json!(value));
            }
            Command::Txn { ops } => {
                fields.insert("value".into(), ops.iter().map(MicroOp::to_json).collect());
            }
            Command::Status => {}
        }
        Json::Object(fields).to_string()
    }
}

impl MicroOp {
    fn to_json(&self) -> Json {
        match self {
            MicroOp::Read { key } => json!(["read", key]),
            MicroOp::Write { key, value } => json!(["write", key, value]),
            MicroOp::Append { key, value } => json!(["append", key, value]),
            MicroOp::List { key } => json!(["list", key]),
        }
    }

    fn from_json(json: &Json) -> Result<MicroOp, String> {
        let parts = json.as_array().ok_or("a micro-op is an array")?;
        let key = parts.get(1).and_then(text_of).ok_or("a micro-op needs a key")?;
        let value = || parts.get(2).and_then(Json::as_i64).ok_or("a micro-op that writes needs an integer");
        match parts.first().and_then(Json::as_str) {
            Some("read" | "r") => Ok(MicroOp::Read { key }),
            Some("write" | "w") => Ok(MicroOp::Write { key, value: value()? }),
            Some("append") => Ok(MicroOp::Append { key, value: value()? }),
            Some("list") => Ok(MicroOp::List { key }),
            _ => Err("a micro-op is read, write, append or list".into()),
        }
    }
}

impl MicroReply {
    fn to_json(&self) -> Json {
        match self {
            MicroReply::Read { key, value } => json!(["read", key, value]),
            MicroReply::Write { key, value } => json!(["write", key, value]),
            MicroReply::Append { key, value } => json!(["append", key, value]),
            MicroReply::List { key, values } => json!(["list", key, values]),
        }
    }

    fn from_json(json: &Json) -> Option<MicroReply> {
        let parts = json.as_array()?;
        let key = parts.get(1).and_then(text_of)?;
        let third = parts.get(2)?;
        Some(match parts.first()?.as_str()? {
            "read" => MicroReply::Read { key, value: third.as_i64() },
            "write" => MicroReply::Write { key, value: third.as_i64()? },
            "append" => MicroReply::Append { key, value: third.as_i64()? },
            "list" => MicroReply::List { key, values: integers(third)? },
            _ => return None,
        })
    }
}

impl Reply {
    fn to_json(&self) -> Json {
        match self {
            Reply::Done => json!({}),
            Reply::Value(value) => json!({ "value": value }),
            Reply::Applied(applied) => json!({ "applied": applied }),
            Reply::Values(values) => json!({ "values": values }),
            Reply::Txn(results) => {
                json!({ "results": results.iter().map(MicroReply::to_json).collect::<Json>() })
            }
            Reply::Status(report) => json!({ "status": report }),
        }
    }

    fn from_json(json: &Json) -> Option<Reply> {
        let fields = json.as_object()?;
        let Some((name, value)) = fields.iter().next() else { return Some(Reply::Done) };
        Some(match name.as_str() {
            "value" => Reply::Value(value.as_i64()),
            "applied" => Reply::Applied(value.as_bool()?),
            "values" => Reply::Values(integers(value)?),
            "results" => {
                Reply::Txn(value.as_array()?.iter().map(MicroReply::from_json).collect::<Option<_>>()?)
            }
            "status" => Reply::Status(Box::new(serde_json::from_value(value.clone()).ok()?)),
            _ => return None,
        })
    }
}

impl Response {
    /// One line without its newline.
    pub fn to_json(&self) -> String {
        let mut fields = Map::new();
        fields.insert("id".into(), json!(self.id));
        match &self.result {
            Ok(reply) => fields.insert("ok".into(), reply.to_json()),
            Err(failure) => fields.insert("error".into(), failure.to_json()),
        };
        fields.insert("server".into(), json!(self.server));
        fields.insert("role".into(), json!(self.role.name()));
        fields.insert("term".into(), json!(self.term));
        Json::Object(fields).to_string()
    }

    /// Parses one line; `None` if it is not a response of this protocol. An unknown error code reads as `timeout`,
    /// since only a known code may be taken for definite.
    pub fn from_json(line: &str) -> Option<Response> {
        let json: Json = serde_json::from_str(line).ok()?;
        let result = match (json.get("ok"), json.get("error")) {
            (Some(ok), None) => Ok(Reply::from_json(ok)?),
            (None, Some(error)) => {
                let code = Code::from_name(error.get("code")?.as_str()?).unwrap_or(Code::Timeout);
                let text = error.get("text").and_then(Json::as_str).unwrap_or_default().to_string();
                Err(Failure { code, text })
            }
            _ => return None,
        };
        Some(Response {
            id: json.get("id")?.as_str()?.to_string(),
            server: json.get("server")?.as_str()?.to_string(),
            role: Role::from_name(json.get("role")?.as_str()?)?,
            term: json.get("term")?.as_u64()?,
            result,
        })
    }
}

impl Failure {
    fn to_json(&self) -> Json {
        let info = self.code.info();
        let text = if self.text.is_empty() { info.about } else { &self.text };
        json!({ "code": info.name, "definite": info.definite, "text": text })
    }
}

fn malformed(text: &str) -> Failure {
    Failure { code: Code::Malformed, text: text.to_string() }
}

fn command_of(fields: &Map<String, Json>) -> Result<Command, String> {
    let op = fields.get("op").and_then(Json::as_str).ok_or("`op` is missing")?;
    let key = || fields.get("key").and_then(text_of).ok_or("`key` must be a string");
    let value = || fields.get("value").and_then(Json::as_i64).ok_or("`value` must be an integer of 64 bits");
    Ok(match op {
        "read" => Command::Read { key: key()? },
        "write" => Command::Write { key: key()?, value: value()? },
        "cas" => Command::Cas { key: key()?, expected: expected_of(fields)?, value: value()? },
        "add" => Command::Add { key: key()?, value: value()? },
        "members" => Command::Members { key: key()? },
        "append" => Command::Append { key: key()?, value: value()? },
        "list" => Command::List { key: key()? },
        "increment" => Command::Increment { key: key()?, value: value()? },
        "count" => Command::Count { key: key()? },
        "txn" => {
            let ops = fields
                .get("value")
                .and_then(Json::as_array)
                .ok_or("`value` must be an array of micro-ops")?;
            Command::Txn { ops: ops.iter().map(MicroOp::from_json).collect::<Result<_, _>>()? }
        }
        "status" => Command::Status,
        other => return Err(format!("`{other}` is not an operation")),
    })
}

fn expected_of(fields: &Map<String, Json>) -> Result<Option<i64>, String> {
    match fields.get("expected") {
        Some(Json::Null) => Ok(None),
        Some(other) => other.as_i64().map(Some).ok_or_else(|| "`expected` must be an integer or null".into()),
        None => Err("`expected` is missing".into()),
    }
}

fn unsigned(fields: &Map<String, Json>, name: &str) -> Result<u64, String> {
    match fields.get(name) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| format!("`{name}` must be an unsigned integer")),
    }
}

/// Keys may be written as numbers; they are text to the store.
fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn integers(json: &Json) -> Option<Vec<i64>> {
    json.as_array()?.iter().map(Json::as_i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_sits_at_its_own_row() {
        for (index, row) in CODES.iter().enumerate() {
            assert_eq!(row.code as usize, index);
            assert_eq!(Code::from_name(row.name), Some(row.code));
        }
    }

    #[test]
    fn requests_survive_the_wire() {
        let key = || "x".to_string();
        let txn = vec![
            MicroOp::Read { key: key() },
            MicroOp::Write { key: key(), value: i64::MIN },
            MicroOp::Append { key: key(), value: 3 },
            MicroOp::List { key: key() },
        ];
        let commands = [
            Command::Read { key: key() },
            Command::Write { key: key(), value: i64::MAX },
            Command::Cas { key: key(), expected: None, value: 2 },
            Command::Cas { key: key(), expected: Some(1), value: 2 },
            Command::Add { key: key(), value: 1 },
            Command::Members { key: key() },
            Command::Append { key: key(), value: 1 },
            Command::List { key: key() },
            Command::Increment { key: key(), value: 1 },
            Command::Count { key: key() },
            Command::Txn { ops: txn },
            Command::Status,
        ];
        for command in commands {
            let request = Request { id: "a\"b".into(), session: u64::MAX, seq: 7, command };
            assert_eq!(Request::from_json(&request.to_json()), Ok(request));
        }
    }

    #[test]
    fn responses_survive_the_wire() {
        let results = [
            Ok(Reply::Done),
            Ok(Reply::Value(None)),
            Ok(Reply::Value(Some(-1))),
            Ok(Reply::Applied(false)),
            Ok(Reply::Values(vec![1, 2])),
            Ok(Reply::Txn(vec![MicroReply::List { key: "l".into(), values: vec![1] }])),
            Err(Failure { code: Code::Timeout, text: "late".into() }),
        ];
        for result in results {
            let response =
                Response { id: "1".into(), server: "n2".into(), role: Role::Leader, term: 3, result };
            assert_eq!(Response::from_json(&response.to_json()), Some(response));
        }
    }

    #[test]
    fn bad_lines_are_malformed_and_keep_their_id() {
        let (id, failure) =
            Request::from_json(r#"{"id":"9","op":"write","key":"x","value":1.5}"#).unwrap_err();
        assert_eq!((id.as_str(), failure.code), ("9", Code::Malformed));
        assert!(Request::from_json("[]").is_err());
        assert!(Request::from_json(r#"{"op":"cas","key":"x","value":1}"#).is_err());
        assert!(Request::from_json(r#"{"op":"fly","key":"x"}"#).is_err());
    }
}
