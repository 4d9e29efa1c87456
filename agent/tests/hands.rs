//! The hands on real processes: whole trees are hit, and what was done is known after a change of hands.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use agent::clock::boottime_ns;
use agent::hands::Hands;
use agent::journal::Journal;
use agent::process;
use agent::protocol::{ErrorKind, StartSpec, TargetState, What, Which};
use tempfile::TempDir;

/// Four processes: a shell, a child, a child in a session of its own, and that one's child.
const FAMILY: &str = "sleep 1000 & setsid sh -c 'sleep 1000 & wait' & wait";

const FOUR: u32 = 4;

fn hands(dir: &Path) -> Hands {
    Hands::adopt(Journal::open(&dir.join("journal")).unwrap()).unwrap()
}

fn spec(dir: &Path, script: &str) -> StartSpec {
    StartSpec {
        name: "family".into(),
        argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
        env: BTreeMap::from([("GREETING".into(), "hello".into())]),
        dir: dir.to_str().unwrap().into(),
        log_path: dir.join("log").to_str().unwrap().into(),
    }
}

fn kill() -> What {
    What::Kill { target: "family".into() }
}

fn pause() -> What {
    What::Pause { target: "family".into() }
}

fn later() -> u64 {
    boottime_ns() + 60_000_000_000
}

/// `(processes, stopped)` of the living target.
fn alive(hands: &mut Hands) -> Option<(u32, u32)> {
    match hands.status("family").unwrap().state {
        TargetState::Alive { processes, stopped, .. } => Some((processes, stopped)),
        _ => None,
    }
}

fn until(what: &str, mut question: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if question() {
            return;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

fn started(dir: &Path) -> Hands {
    let mut hands = hands(dir);
    hands.start(spec(dir, FAMILY)).unwrap();
    until("the family is complete", || alive(&mut hands) == Some((FOUR, 0)));
    hands
}

#[test]
fn a_kill_takes_the_whole_tree_and_its_heal_brings_it_back() {
    let dir = TempDir::new().unwrap();
    let mut hands = started(dir.path());
    let seen = hands.apply(1, kill(), later()).unwrap();
    assert_eq!(seen[0].state, TargetState::Down);
    assert!(hands.gone("family"));
    let refused = hands.start(spec(dir.path(), FAMILY)).unwrap_err();
    assert_eq!(refused.0, ErrorKind::Conflict, "it is held down: {}", refused.1);
    let (count, _) = hands.heal(&Which::All).unwrap();
    assert_eq!(count, 1);
    until("the family is back", || alive(&mut hands) == Some((FOUR, 0)));
    hands.finish_off("family").unwrap();
}

#[test]
fn a_pause_stops_the_whole_tree() {
    let dir = TempDir::new().unwrap();
    let mut hands = started(dir.path());
    hands.apply(1, pause(), later()).unwrap();
    assert_eq!(alive(&mut hands), Some((FOUR, FOUR)));
    hands.heal(&Which::These(vec![1])).unwrap();
    assert_eq!(alive(&mut hands), Some((FOUR, 0)));
    hands.finish_off("family").unwrap();
}

#[test]
fn a_kill_over_a_pause_heals_into_a_paused_target() {
    let dir = TempDir::new().unwrap();
    let mut hands = started(dir.path());
    hands.apply(1, pause(), later()).unwrap();
    hands.apply(2, kill(), later()).unwrap();
    hands.heal(&Which::These(vec![2])).unwrap();
    let (processes, stopped) = alive(&mut hands).unwrap();
    assert_eq!(processes, stopped, "the pause is still in force");
    hands.heal(&Which::All).unwrap();
    until("the family is complete", || alive(&mut hands) == Some((FOUR, 0)));
    hands.finish_off("family").unwrap();
}

#[test]
fn other_hands_heal_what_these_did() {
    let dir = TempDir::new().unwrap();
    let mut first = started(dir.path());
    first.apply(1, pause(), later()).unwrap();
    let mut second = hands(dir.path());
    assert_eq!(alive(&mut second), Some((FOUR, FOUR)));
    assert_eq!(second.heal(&Which::All).unwrap().0, 1);
    assert_eq!(alive(&mut second), Some((FOUR, 0)));
    assert_eq!(hands(dir.path()).heal(&Which::All).unwrap().0, 0, "the journal forgot the fault");
    second.finish_off("family").unwrap();
}

#[test]
fn a_fault_ends_with_its_lease_and_not_before() {
    let dir = TempDir::new().unwrap();
    let mut hands = started(dir.path());
    hands.apply(1, pause(), 1000).unwrap();
    assert_eq!(hands.renew(&Which::All, 2000).unwrap(), 1);
    assert_eq!(hands.expire(1999).unwrap(), 0);
    assert_eq!(alive(&mut hands), Some((FOUR, FOUR)));
    assert_eq!(hands.expire(2000).unwrap(), 1);
    assert_eq!(alive(&mut hands), Some((FOUR, 0)));
    hands.finish_off("family").unwrap();
}

#[test]
fn a_target_that_ended_by_itself_stays_ended() {
    let dir = TempDir::new().unwrap();
    let mut hands = hands(dir.path());
    let pid = hands.start(spec(dir.path(), "echo $GREETING; exit 3")).unwrap();
    until("it ended", || alive(&mut hands).is_none());
    let status = hands.status("family").unwrap();
    assert_eq!(status.state, TargetState::Ended { code: Some(3), signal: None });
    assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), "hello\n");
    assert!(process::stat(pid).is_none(), "no zombie is left");
}

#[test]
fn what_is_not_ours_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut hands = hands(dir.path());
    assert_eq!(hands.apply(1, kill(), later()).unwrap_err().0, ErrorKind::Unknown);
    let cut = What::Cut { edges: Default::default() };
    assert_eq!(hands.apply(1, cut, later()).unwrap_err().0, ErrorKind::Unsupported);
    let mut nowhere = spec(dir.path(), "true");
    nowhere.argv = vec!["/no/such/program".into()];
    assert_eq!(hands.start(nowhere).unwrap_err().0, ErrorKind::System);
    assert!(hands.faults().list(0).is_empty());
}
