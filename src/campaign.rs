//! From flags to runs: every name resolved and every conflict reported before anything starts.
//!
//! A [`RunSpec`] is all that a run depends on; with the same spec and seed the plan is the same. Not here: doing.

use crate::cli::{Failure, RunArgs};
use history::rng::Rng;
use history::{Nanos, Strike};
use nemeses::{Nemesis, PlanOptions, Topology};
use serde_json::json;
use std::path::{Path, PathBuf};
use targets::Target;
use workloads::{Params, Workload};

pub const SECOND: Nanos = 1_000_000_000;

/// One run, everything resolved.
#[derive(Clone)]
pub struct RunSpec {
    pub target: &'static dyn Target,
    pub mode: &'static str,
    pub bug: Option<&'static store::switches::BugInfo>,
    pub workload: &'static dyn Workload,
    pub nemeses: Vec<&'static dyn Nemesis>,
    /// Strikes from a file, instead of the nemeses' own.
    pub schedule: Option<(PathBuf, Vec<Strike>)>,
    pub nodes: usize,
    pub rate: u64,
    pub concurrency: usize,
    pub load: Nanos,
    pub interval: Nanos,
    pub seed: u64,
}

/// Resolves names; the first that does not exist is an error with the nearest one that does.
pub fn resolve(args: &RunArgs) -> Result<RunSpec, Failure> {
    let (target, mode) = targets::find(&args.target)
        .ok_or_else(|| unknown("target", &args.target, targets::names().iter().map(String::as_str)))?;
    let workload = workloads::find(&args.workload)
        .map_err(|_| unknown("workload", &args.workload, workloads::ALL.iter().map(|w| w.name())))?;
    let bug = match &args.bug {
        None => None,
        Some(name) => Some(find_bug(name, mode)?),
    };
    let schedule = match &args.schedule {
        None => None,
        Some(path) => Some((path.clone(), read_schedule(path, args.nodes as usize, args.seed)?)),
    };
    let nemeses = match schedule {
        Some(_) => Vec::new(),
        None => find_nemeses(&args.nemesis)?,
    };
    let nodes = args.nodes as usize;
    let concurrency = concurrency(&args.concurrency, nodes)?;
    let positive = |flag: &str, seconds: f64| match seconds.is_finite() && seconds > 0.0 && seconds < 1e6 {
        true => Ok((seconds * 1e9) as Nanos),
        false => Err(Failure::usage(format!("{flag} takes seconds above 0, not {seconds}"))),
    };
    Ok(RunSpec {
        target,
        mode,
        bug,
        workload,
        nemeses,
        schedule,
        nodes,
        rate: args.rate,
        concurrency,
        load: positive("--time-limit", args.time_limit)?,
        interval: positive("--interval", args.interval)?,
        seed: args.seed,
    })
}

/// `unknown X "foo": did you mean "food"?`
pub fn unknown<'a>(kind: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Failure {
    let names: Vec<&str> = names.collect();
    let hint = match workloads::nearest(name, &names) {
        Some(near) => format!("did you mean {near:?}? There are: {}", names.join(", ")),
        None => format!("there are: {}", names.join(", ")),
    };
    Failure::usage(format!("unknown {kind} {name:?}: {hint}"))
}

fn find_bug(name: &str, mode: &str) -> Result<&'static store::switches::BugInfo, Failure> {
    let bugs = store::switches::BUGS;
    let info =
        store::switches::find(name).ok_or_else(|| unknown("bug", name, bugs.iter().map(|b| b.name)))?;
    if info.mode != mode {
        let fitting: Vec<&str> = bugs.iter().filter(|b| b.mode == mode).map(|b| b.name).collect();
        return Err(Failure::usage(format!(
            "--bug {} is planted in store:{}, not in store:{mode}, which has: {}",
            info.name,
            info.mode,
            if fitting.is_empty() { "none".into() } else { fitting.join(", ") }
        )));
    }
    Ok(info)
}

fn find_nemeses(list: &str) -> Result<Vec<&'static dyn Nemesis>, Failure> {
    let mut found = Vec::new();
    for name in list.split(',').map(str::trim).filter(|n| !n.is_empty() && *n != "none") {
        let nemesis = nemeses::find(name)
            .ok_or_else(|| unknown("nemesis", name, nemeses::ALL.iter().map(|n| n.name())))?;
        found.push(nemesis);
    }
    Ok(found)
}

fn read_schedule(path: &Path, nodes: usize, seed: u64) -> Result<Vec<Strike>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(format!("--schedule {}: {e}", path.display())))?;
    nemeses::schedule::parse(&text, nodes, seed)
        .map_err(|e| Failure::usage(format!("--schedule {}:{e}", path.display())))
}

fn concurrency(text: &str, nodes: usize) -> Result<usize, Failure> {
    let bad = || Failure::usage(format!("--concurrency takes a number or `2n`, not {text:?}"));
    let clients = match text.strip_suffix('n') {
        Some("") => nodes,
        Some(times) => times.parse::<usize>().map_err(|_| bad())? * nodes,
        None => text.parse().map_err(|_| bad())?,
    };
    match clients {
        1..=10_000 => Ok(clients),
        _ => Err(bad()),
    }
}

impl RunSpec {
    pub fn target_name(&self) -> String {
        format!("{}:{}", self.target.name(), self.mode)
    }

    pub fn nemesis_names(&self) -> String {
        match (&self.schedule, self.nemeses.is_empty()) {
            (Some(_), _) => "schedule".into(),
            (None, true) => "none".into(),
            (None, false) => self.nemeses.iter().map(|n| n.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// The strikes: a function of the spec alone.
    pub fn strikes(&self) -> Vec<Strike> {
        if let Some((_, strikes)) = &self.schedule {
            return strikes.clone();
        }
        let topology = Topology { nodes: self.nodes };
        // Below two seconds an election may outlast the strike, and nothing is revealed.
        let options =
            PlanOptions { interval: self.interval, min_length: 2 * SECOND, ..PlanOptions::default() };
        nemeses::plan_all(&self.nemeses, &topology, self.load, &options, Rng::new(self.seed, "plan"))
    }

    pub fn params(&self) -> Params {
        Params {
            nodes: self.nodes,
            concurrency: self.concurrency,
            rate: self.rate as f64,
            load: self.load,
            seed: self.seed,
            ..Params::default()
        }
    }

    /// What the header of the history says of the run, beyond seed and nodes.
    pub fn header(&self, provider: &str) -> serde_json::Map<String, serde_json::Value> {
        let fields = json!({
            "target": self.target_name(),
            "bug": self.bug.map(|b| b.name),
            "workload": self.workload.name(),
            "nemesis": self.nemesis_names(),
            "provider": provider,
            "concurrency": self.concurrency,
            "rate": self.rate,
            "load_s": self.load as f64 / SECOND as f64,
            "interval_s": self.interval as f64 / SECOND as f64,
        });
        match fields {
            serde_json::Value::Object(map) => map,
            _ => serde_json::Map::new(),
        }
    }

    /// The command that repeats the run.
    pub fn command(&self, verb: &str) -> String {
        let mut words = vec![format!(
            "schism {verb} --target {} --workload {}",
            self.target_name(),
            self.workload.name()
        )];
        if let Some(bug) = self.bug {
            words.push(format!("--bug {}", bug.name));
        }
        match &self.schedule {
            Some((path, _)) => words.push(format!("--schedule {}", path.display())),
            None => words.push(format!("--nemesis {}", self.nemesis_names())),
        }
        words.push(format!("--nodes {} --rate {} --concurrency {}", self.nodes, self.rate, self.concurrency));
        let seconds = |n: Nanos| n as f64 / SECOND as f64;
        words.push(format!(
            "--time-limit {} --interval {} --seed {}",
            seconds(self.load),
            seconds(self.interval),
            self.seed
        ));
        words.join(" ")
    }

    /// What the target claims here, in words for the report: per family of faults asked for.
    pub fn promise(&self) -> String {
        let mut families: Vec<&'static str> = self.strikes().iter().map(|s| s.fault.family()).collect();
        families.sort();
        families.dedup();
        if families.is_empty() {
            families.push("none");
        }
        let outside: Vec<&str> = families
            .iter()
            .copied()
            .filter(|f| self.target.promise(self.mode, self.workload.name(), f).is_none())
            .collect();
        match outside.is_empty() {
            true => {
                let model = self
                    .target
                    .promise(self.mode, self.workload.name(), families[0])
                    .unwrap_or("linearizable");
                format!(
                    "{} promises {model} for {} under {}.",
                    self.target_name(),
                    self.workload.name(),
                    families.join(", ")
                )
            }
            false => format!(
                "Outside its promise: {} promises nothing for {} under {}.",
                self.target_name(),
                self.workload.name(),
                outside.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_per_node() {
        assert_eq!(concurrency("2n", 5).ok(), Some(10));
        assert_eq!(concurrency("n", 3).ok(), Some(3));
        assert_eq!(concurrency("7", 3).ok(), Some(7));
        for bad in ["", "x", "-1", "0", "2m"] {
            assert!(concurrency(bad, 5).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        let failure = unknown("workload", "regster", ["set", "register"].into_iter());
        assert_eq!(failure.code, crate::exit::USAGE);
        assert!(failure.says.contains("did you mean \"register\""));
    }
}
