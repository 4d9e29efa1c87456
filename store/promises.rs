//! What each mode promises, as data: for an object and a class of faults, the model that it claims to keep.
//! What is not in the table is not promised, though it may work.

/// Classes of faults that a promise can cover.
pub const FAULTS: &[&str] = &["none", "kill", "pause", "partition"];

/// One row of [`PROMISES`]: under every fault of `faults`, alone or together, `object` keeps `model` in `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub mode: &'static str,
    /// The name of the workload that uses the object.
    pub workload: &'static str,
    pub faults: &'static [&'static str],
    pub model: &'static str,
}

const fn promise(mode: &'static str, workload: &'static str) -> Promise {
    Promise { mode, workload, faults: FAULTS, model: "linearizable" }
}

/// Every promise. Quorum mode's holds for w + r > n with write-back only.
pub const PROMISES: &[Promise] = &[
    promise("raft", "register"),
    promise("raft", "cas-register"),
    promise("raft", "set"),
    promise("raft", "append"),
    promise("raft", "counter"),
    promise("single", "register"),
    promise("single", "cas-register"),
    promise("single", "set"),
    promise("single", "append"),
    promise("single", "counter"),
    promise("quorum", "register"),
];

/// The model that `mode` claims for `workload` under `fault`, if any.
pub fn promised(mode: &str, workload: &str, fault: &str) -> Option<&'static str> {
    let row = PROMISES.iter().find(|row| row.mode == mode && row.workload == workload)?;
    row.faults.contains(&fault).then_some(row.model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_promise_registers_only_and_the_others_all_objects() {
        for workload in ["register", "cas-register", "set", "append", "counter"] {
            for mode in ["raft", "single", "quorum"] {
                let expected = (mode != "quorum" || workload == "register").then_some("linearizable");
                assert_eq!(promised(mode, workload, "partition"), expected, "{mode} {workload}");
            }
        }
        assert_eq!(promised("raft", "register", "clock"), None);
    }
}
