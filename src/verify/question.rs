//! What a certificate asks: the part of it that is taken on trust, and printed. Nothing of it is proved.

use super::objects::State;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt;

/// The header of a certificate.
pub struct Question {
    /// How the file is written.
    pub format: String,
    /// The object, and its parameter where it has one: permits, or how often a lock may be held.
    pub spec: String,
    parameter: Option<u64>,
    /// What each key holds at first, and the keys that hold something else.
    init: Json,
    inits: Vec<(Json, Json)>,
    of: HashMap<String, usize>,
    /// Whether values are keys with values.
    pub tuples: bool,
    /// Whether any failed cas was refused.
    pub refused_cas: bool,
    /// Whether time stamps order the events, so that equal ones are concurrent; else lines do.
    pub by_time: bool,
}

impl Question {
    pub fn read(head: &Json) -> Question {
        let text = |field: &str| head[field].as_str().unwrap_or_default().to_string();
        let pairs = head["inits"].as_array().map(Vec::as_slice).unwrap_or_default();
        let inits: Vec<(Json, Json)> = pairs.iter().map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Question {
            format: text("format"),
            spec: text("spec"),
            parameter: head["parameter"].as_u64(),
            init: head["init"].clone(),
            of: inits.iter().enumerate().map(|(i, (key, _))| (key.to_string(), i)).collect(),
            inits,
            tuples: head["tuples"] == true,
            refused_cas: head["refused_cas"] == true,
            by_time: head["order"] == "time",
        }
    }

    /// The state of a key at first.
    pub fn first(&self, key: &Json) -> Result<State, String> {
        let init = self.of.get(&key.to_string()).map_or(&self.init, |i| &self.inits[*i].1);
        State::first(&self.spec, self.parameter, init)
            .ok_or_else(|| format!("its header names an object that is not known here: {self}"))
    }
}

/// `semaphore:3`, `register, initially null; its pairs are keys with values`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)?;
        if let Some(parameter) = self.parameter {
            write!(f, ":{parameter}")?;
        }
        if self.spec.ends_with("register") && self.spec != "max-register" {
            write!(f, ", initially {}", self.init)?;
        }
        // Each of them is trusted, so each is printed.
        for (n, (key, value)) in self.inits.iter().enumerate() {
            write!(f, "{} {value} in key {key}", if n == 0 { ", but" } else { "," })?;
        }
        let said = [
            (self.tuples, "; its pairs are keys with values"),
            (self.refused_cas, "; a failed cas was refused"),
            (self.by_time, "; events of one time stamp are concurrent"),
        ];
        said.iter().filter(|(is, _)| *is).try_for_each(|(_, words)| f.write_str(words))
    }
}
