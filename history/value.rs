//! Values as clients see them, and the interner that turns each into four bytes.
//!
//! Not a data model of any format: readers map what they find onto these few shapes and keep the distinctions
//! (keyword and string, list and set, big integers) that a checker or a round trip needs.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// A value in a call or a reply. Equality is structural; floats compare by their bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Value {
    /// nil, null: also the value of a register never written.
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// IEEE-754 bits.
    Float(u64),
    /// A number that fits neither: big integer, decimal or ratio, in its canonical spelling.
    Big(Box<str>),
    Text(Box<str>),
    /// An EDN keyword or symbol, with its colon if it had one.
    Keyword(Box<str>),
    List(Vec<Value>),
    /// Elements in source order; duplicates are kept (a multiset prints so).
    Set(Vec<Value>),
    /// Pairs in source order.
    Map(Vec<(Value, Value)>),
    /// An EDN tagged element.
    Tagged(Box<str>, Box<Value>),
}

impl Value {
    pub fn text(s: &str) -> Value {
        Value::Text(s.into())
    }

    pub fn float(x: f64) -> Value {
        Value::Float(x.to_bits())
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(s) | Value::Keyword(s) | Value::Big(s) => Some(s),
            _ => None,
        }
    }

    /// The elements of a list or a set.
    pub fn elements(&self) -> Option<&[Value]> {
        match self {
            Value::List(v) | Value::Set(v) => Some(v),
            _ => None,
        }
    }

    pub fn get(&self, field: &str) -> Option<&Value> {
        match self {
            Value::Map(pairs) => pairs.iter().find(|(k, _)| k.as_text() == Some(field)).map(|(_, v)| v),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// From parsed JSON, in which integers beyond 64 bits are floats already: files are read by
    /// [`crate::formats::edn`], which keeps them exact.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as J;
        match json {
            J::Null => Value::Null,
            J::Bool(b) => Value::Bool(*b),
            J::Number(n) => match n.as_i64() {
                Some(i) => Value::Int(i),
                None if n.is_u64() => Value::Big(n.to_string().into()),
                None => Value::float(n.as_f64().unwrap_or(f64::NAN)),
            },
            J::String(s) => Value::text(s),
            J::Array(a) => Value::List(a.iter().map(Value::from_json).collect()),
            J::Object(o) => {
                Value::Map(o.iter().map(|(k, v)| (Value::text(k), Value::from_json(v))).collect())
            }
        }
    }

    /// To JSON. Keywords lose their colon, sets become arrays, map keys become strings: JSON has no others.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Int(i) => J::from(*i),
            Value::Float(bits) => J::from(f64::from_bits(*bits)),
            Value::Big(s) => match s.parse::<u64>() {
                Ok(n) => J::from(n),
                Err(_) => J::from(s.as_ref()),
            },
            Value::Text(s) => J::from(s.as_ref()),
            Value::Keyword(s) => J::from(s.trim_start_matches(':')),
            Value::List(v) | Value::Set(v) => J::Array(v.iter().map(Value::to_json).collect()),
            Value::Map(pairs) => J::Object(pairs.iter().map(|(k, v)| (k.to_plain(), v.to_json())).collect()),
            Value::Tagged(_, v) => v.to_json(),
        }
    }

    /// The value as a bare word: strings without quotes, everything else as [`fmt::Display`] prints it.
    pub fn to_plain(&self) -> String {
        match self {
            Value::Text(s) => s.to_string(),
            Value::Keyword(s) => s.trim_start_matches(':').to_string(),
            other => other.to_string(),
        }
    }

    /// Writes JSON without building a tree: the journal's hot path.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Int(i) => write_int(*i, out),
            // Exact at any size, as it is read.
            Value::Big(s) if is_json_integer(s) => out.extend_from_slice(s.as_bytes()),
            Value::List(v) => {
                out.push(b'[');
                for (i, x) in v.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    x.write_json(out);
                }
                out.push(b']');
            }
            other => out.extend_from_slice(other.to_json().to_string().as_bytes()),
        }
    }
}

fn is_json_integer(s: &str) -> bool {
    let digits = s.strip_prefix('-').unwrap_or(s);
    digits.bytes().all(|b| b.is_ascii_digit()) && matches!(digits.as_bytes(), [b'1'..=b'9', ..])
}

/// Decimal digits without going through `fmt`, which costs several times as much.
pub(crate) fn write_int(i: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut n = i.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    if i < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

impl From<i64> for Value {
    fn from(i: i64) -> Value {
        Value::Int(i)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::text(s)
    }
}

fn sequence<'a>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    v: impl Iterator<Item = &'a Value>,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (i, x) in v.enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{x}")?;
    }
    f.write_str(close)
}

/// As a person reads it: `nil`, `3`, `"a"`, `[1 2]`, `#{1 2}`, `{a 1}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("nil"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Value::Big(s) | Value::Keyword(s) => f.write_str(s),
            Value::Text(s) => write!(f, "{s:?}"),
            Value::List(v) => sequence(f, "[", v.iter(), "]"),
            Value::Set(v) => sequence(f, "#{", v.iter(), "}"),
            Value::Map(pairs) => sequence(f, "{", pairs.iter().flat_map(|(k, v)| [k, v]), "}"),
            Value::Tagged(tag, v) => write!(f, "#{tag} {v}"),
        }
    }
}

/// A value in four bytes: small non-negative integers inline, everything else an index into an [`Interner`].
/// Two ids of one interner are equal exactly when their values are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

const INLINE: u32 = 1 << 31;

/// The id of a value that needs no table.
fn inline(value: &Value) -> Option<ValueId> {
    match value {
        Value::Null => Some(ValueId::NULL),
        Value::Int(i) if (0..INLINE as i64).contains(i) => Some(ValueId(*i as u32 | INLINE)),
        _ => None,
    }
}

impl ValueId {
    pub const NULL: ValueId = ValueId(0);
    /// Acknowledged without a value. Never the id of a value.
    pub(crate) const DONE: ValueId = ValueId(INLINE - 1);
    /// A compare-and-set that was refused.
    pub(crate) const MISMATCH: ValueId = ValueId(INLINE - 2);
    /// No reply: the call never came back.
    pub(crate) const ABSENT: ValueId = ValueId(INLINE - 3);

    pub fn is_null(self) -> bool {
        self == ValueId::NULL
    }
}

impl fmt::Debug for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 & INLINE {
            0 => write!(f, "#{}", self.0),
            _ => write!(f, "{}", self.0 ^ INLINE),
        }
    }
}

/// Hashes that are already hashes.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ *b as u64);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Values by id. About 60 bytes for each distinct value that is not a small integer; nothing for those.
/// Each value is held once: the index knows it by its keyed hash, so that no file can make values collide.
#[derive(Clone, Debug)]
pub struct Interner {
    values: Vec<Value>,
    /// For each value the one before it of the same hash; 0 for none.
    before: Vec<u32>,
    newest: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    keys: RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        Interner {
            values: vec![Value::Null],
            before: vec![0],
            newest: HashMap::default(),
            keys: RandomState::new(),
        }
    }
}

impl Interner {
    pub fn id(&mut self, value: &Value) -> ValueId {
        if let Some(id) = inline(value) {
            return id;
        }
        let hash = self.keys.hash_one(value);
        if let Some(id) = self.at(hash, value) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.before.push(self.newest.insert(hash, id).unwrap_or(0));
        ValueId(id)
    }

    fn at(&self, hash: u64, value: &Value) -> Option<ValueId> {
        let mut id = *self.newest.get(&hash)?;
        while id != 0 {
            if self.values[id as usize] == *value {
                return Some(ValueId(id));
            }
            id = self.before[id as usize];
        }
        None
    }

    /// The id of a value already met, if any.
    pub fn find(&self, value: &Value) -> Option<ValueId> {
        inline(value).or_else(|| self.at(self.keys.hash_one(value), value))
    }

    /// Whether that is the id of this value: without hashing it.
    pub fn is(&self, id: ValueId, value: &Value) -> bool {
        match self.table(id) {
            Some(held) => held == value,
            None => inline(value) == Some(id),
        }
    }

    pub fn value(&self, id: ValueId) -> Value {
        match id.0 & INLINE {
            0 => self.values.get(id.0 as usize).cloned().unwrap_or_default(),
            _ => Value::Int((id.0 ^ INLINE) as i64),
        }
    }

    /// A reference, for values that live in the table (lists, strings). `None` for inline integers.
    pub fn table(&self, id: ValueId) -> Option<&Value> {
        match id.0 & INLINE {
            0 => self.values.get(id.0 as usize),
            _ => None,
        }
    }

    pub fn int(&self, id: ValueId) -> Option<i64> {
        match id.0 & INLINE {
            0 => self.values.get(id.0 as usize).and_then(Value::as_int),
            _ => Some((id.0 ^ INLINE) as i64),
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.len() <= 1
    }
}
