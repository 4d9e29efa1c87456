//! Locks and semaphores, once more and by themselves, for certificates. Who holds one is the process.

use super::calls::Op;

/// How often it may be held, by whom it is held and how often, and the largest token so far.
pub struct Lock {
    most: u64,
    /// Only its holder may take it again or give it back.
    owned: bool,
    tokens: bool,
    holder: Option<u64>,
    held: u64,
    last: i64,
}

impl Lock {
    /// A free one; `None`: there is none of that name.
    pub fn first(spec: &str, parameter: Option<u64>) -> Option<Lock> {
        let most = match spec {
            "lock" | "fenced-lock" => 1,
            "reentrant-lock" => parameter.unwrap_or(u64::MAX),
            "semaphore" => parameter?,
            _ => return None,
        };
        let (owned, tokens) = (spec != "semaphore", spec == "fenced-lock");
        Some(Lock { most, owned, tokens, holder: None, held: 0, last: i64::MIN })
    }

    pub fn step(&mut self, op: &Op) -> bool {
        let mine = !self.owned || self.holder.is_none_or(|holder| holder == op.call.process);
        match op.call.f.as_str() {
            "acquire" if mine && self.held < self.most => {
                (self.holder, self.held) = (Some(op.call.process), self.held + 1);
                !self.tokens || self.grant(op)
            }
            "release" if mine && self.held > 0 => {
                self.held -= 1;
                self.holder = self.holder.filter(|_| self.held > 0);
                true
            }
            _ => false,
        }
    }

    /// A token must be larger than all before; one that was not told may have been as small as possible.
    fn grant(&mut self, op: &Op) -> bool {
        let token = match op.reply.as_ref().filter(|token| !token.is_null()) {
            None => self.last.checked_add(1),
            Some(told) => told.as_i64().filter(|token| *token > self.last),
        };
        self.last = token.unwrap_or(self.last);
        token.is_some()
    }
}
