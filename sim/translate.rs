//! Between the harness's words and the bundled store's: a call becomes a request, a response an outcome.
//!
//! The one place where it is decided which of the store's answers are definite; the simulator and the clients of
//! real nodes both use it. No sending and no waiting here.

use history::{Call, Error, MicroOp, Outcome, Reply, Value};
use store::{Command, MicroOp as StoreOp, MicroReply, Reply as StoreReply, Request, Response};
use workloads::Object;

/// The request that asks for `call` on an object of this kind. `session` and `seq` let the store drop repeats: a
/// session is one process, whose calls have increasing numbers.
///
/// # Errors
/// Says what the store has no operation for; nothing was sent then.
pub fn request(object: Object, call: &Call, id: String, session: u64, seq: u64) -> Result<Request, String> {
    Ok(Request { id, session, seq, command: command(object, call)? })
}

fn command(object: Object, call: &Call) -> Result<Command, String> {
    use Object::{CasRegister, Counter, List, Register, Set};
    let key = call.key().to_plain();
    Ok(match (object, call) {
        (_, Call::Txn(ops)) => {
            let ops = ops.iter().map(|op| micro_op(object, op)).collect::<Result<_, _>>()?;
            Command::Txn { ops }
        }
        (Register | CasRegister, Call::Read(_)) => Command::Read { key },
        (Register | CasRegister, Call::Write(_, value)) => Command::Write { key, value: integer(value)? },
        (Register | CasRegister, Call::Cas(_, expected, value)) => {
            let expected = if expected.is_null() { None } else { Some(integer(expected)?) };
            Command::Cas { key, expected, value: integer(value)? }
        }
        (Set, Call::Read(_)) => Command::Members { key },
        (Set, Call::Add(_, value)) => Command::Add { key, value: integer(value)? },
        (List, Call::Read(_)) => Command::List { key },
        (List, Call::Append(_, value)) => Command::Append { key, value: integer(value)? },
        (Counter, Call::Read(_)) => Command::Count { key },
        (Counter, Call::Add(_, value)) => Command::Increment { key, value: integer(value)? },
        _ => return Err(format!("the store has no {} on a {object:?}", call.f())),
    })
}

fn micro_op(object: Object, op: &MicroOp) -> Result<StoreOp, String> {
    Ok(match op {
        MicroOp::Read(key, _) if object == Object::List => StoreOp::List { key: key.to_plain() },
        MicroOp::Read(key, _) => StoreOp::Read { key: key.to_plain() },
        MicroOp::Write(key, value) => StoreOp::Write { key: key.to_plain(), value: integer(value)? },
        MicroOp::Append(key, value) => StoreOp::Append { key: key.to_plain(), value: integer(value)? },
    })
}

fn integer(value: &Value) -> Result<i64, String> {
    value.as_int().ok_or_else(|| format!("the store keeps integers, not {value}"))
}

/// What `response` tells the client that made `call`, and the name of the server that gave it.
///
/// A reply is `Ok`; an error that the store's own table calls definite is `Fail`; anything else, a reply of the
/// wrong shape included, is `Info`.
pub fn outcome<'r>(object: Object, call: &Call, response: &'r Response) -> (Outcome, &'r str) {
    let outcome = match &response.result {
        Ok(reply) => match said(object, call, reply) {
            Some(reply) => Outcome::Ok(reply),
            None => Outcome::Info(Error::new(format!("malformed: {} was answered with {reply:?}", call.f()))),
        },
        Err(failure) => {
            let info = failure.code.info();
            let text = if failure.text.is_empty() { info.about } else { &failure.text };
            let error = Error::new(format!("{}: {text}", info.name));
            if info.definite { Outcome::Fail(error) } else { Outcome::Info(error) }
        }
    };
    (outcome, &response.server)
}

fn said(object: Object, call: &Call, reply: &StoreReply) -> Option<Reply> {
    match (call, reply) {
        (Call::Read(_), StoreReply::Value(value)) if !matches!(object, Object::Set | Object::List) => {
            Some(Reply::Read(nullable(*value)))
        }
        (Call::Read(_), StoreReply::Values(values)) if matches!(object, Object::Set | Object::List) => {
            Some(Reply::Read(list(values)))
        }
        (Call::Write(..) | Call::Add(..) | Call::Append(..), StoreReply::Done) => Some(Reply::Done),
        (Call::Cas(..), StoreReply::Applied(true)) => Some(Reply::Done),
        (Call::Cas(..), StoreReply::Applied(false)) => Some(Reply::Mismatch),
        (Call::Txn(ops), StoreReply::Txn(results)) if ops.len() == results.len() => {
            let seen = ops.iter().zip(results).map(|(op, result)| seen(op, result));
            seen.collect::<Option<_>>().map(Reply::Txn)
        }
        _ => None,
    }
}

/// A micro-op with what it saw.
fn seen(op: &MicroOp, result: &MicroReply) -> Option<MicroOp> {
    match (op, result) {
        (MicroOp::Read(key, _), MicroReply::Read { value, .. }) => {
            Some(MicroOp::Read(key.clone(), nullable(*value)))
        }
        (MicroOp::Read(key, _), MicroReply::List { values, .. }) => {
            Some(MicroOp::Read(key.clone(), list(values)))
        }
        (MicroOp::Write(..), MicroReply::Write { .. }) | (MicroOp::Append(..), MicroReply::Append { .. }) => {
            Some(op.clone())
        }
        _ => None,
    }
}

fn nullable(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Int)
}

fn list(values: &[i64]) -> Value {
    Value::List(values.iter().map(|value| Value::Int(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Code, Role};

    fn response(result: Result<StoreReply, store::Failure>) -> Response {
        Response { id: "1".into(), server: "n2".into(), role: Role::Leader, term: 1, result }
    }

    fn key() -> Value {
        Value::text("x")
    }

    #[test]
    fn each_object_has_its_own_reads_and_updates() {
        let read = |object| command(object, &Call::Read(key())).map(|command| command.name());
        assert_eq!(read(Object::Register), Ok("read"));
        assert_eq!(read(Object::Set), Ok("members"));
        assert_eq!(read(Object::List), Ok("list"));
        assert_eq!(read(Object::Counter), Ok("count"));
        let add = Call::Add(key(), Value::Int(3));
        assert_eq!(command(Object::Set, &add), Ok(Command::Add { key: "x".into(), value: 3 }));
        assert_eq!(command(Object::Counter, &add), Ok(Command::Increment { key: "x".into(), value: 3 }));
        assert!(command(Object::Register, &add).is_err());
        assert!(command(Object::Register, &Call::Write(key(), Value::text("a"))).is_err());
    }

    #[test]
    fn a_register_never_written_is_null_both_ways() {
        let cas = Call::Cas(key(), Value::Null, Value::Int(1));
        let expected = Command::Cas { key: "x".into(), expected: None, value: 1 };
        assert_eq!(command(Object::Register, &cas), Ok(expected));
        let response = response(Ok(StoreReply::Value(None)));
        let (outcome, server) = outcome(Object::Register, &Call::Read(key()), &response);
        assert_eq!((outcome, server), (Outcome::Ok(Reply::Read(Value::Null)), "n2"));
    }

    #[test]
    fn a_refused_compare_and_set_is_a_reply() {
        let cas = Call::Cas(key(), Value::Int(0), Value::Int(1));
        let said = |applied| outcome(Object::Register, &cas, &response(Ok(StoreReply::Applied(applied)))).0;
        assert_eq!(said(true), Outcome::Ok(Reply::Done));
        assert_eq!(said(false), Outcome::Ok(Reply::Mismatch));
    }

    #[test]
    fn definite_errors_fail_and_all_others_stay_open() {
        for row in store::protocol::CODES {
            let (outcome, _) = outcome(Object::Set, &Call::Read(key()), &response(Err(row.code.into())));
            assert_eq!(outcome.kind(), if row.definite { "fail" } else { "info" }, "{}", row.name);
        }
        assert!(!Code::Timeout.info().definite && Code::NotReady.info().definite);
    }

    #[test]
    fn a_reply_of_the_wrong_shape_proves_nothing() {
        let (outcome, _) = outcome(Object::Set, &Call::Read(key()), &response(Ok(StoreReply::Done)));
        assert_eq!(outcome.kind(), "info");
    }

    #[test]
    fn a_transaction_keeps_its_keys_and_gains_what_it_saw() {
        let call = Call::Txn(vec![
            MicroOp::Read(Value::Int(7), Value::Null),
            MicroOp::Append(Value::Int(7), Value::Int(1)),
        ]);
        let expected = Command::Txn {
            ops: vec![StoreOp::List { key: "7".into() }, StoreOp::Append { key: "7".into(), value: 1 }],
        };
        assert_eq!(command(Object::List, &call), Ok(expected));
        let results = vec![
            MicroReply::List { key: "7".into(), values: vec![4] },
            MicroReply::Append { key: "7".into(), value: 1 },
        ];
        let (outcome, _) = outcome(Object::List, &call, &response(Ok(StoreReply::Txn(results))));
        let seen = vec![
            MicroOp::Read(Value::Int(7), Value::List(vec![Value::Int(4)])),
            MicroOp::Append(Value::Int(7), Value::Int(1)),
        ];
        assert_eq!(outcome, Outcome::Ok(Reply::Txn(seen)));
    }
}
