//! Whoever dies, nothing stays broken and nothing stays behind.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use agent::protocol::{Request, What};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use nodes::{ClusterSpec, Provider, namespaces::Namespaces};
use tempfile::TempDir;

use crate::Case;
use crate::support::*;

pub const ALL: &[Case] = &[
    ("the_watchdog_heals_when_the_agent_is_killed", the_watchdog_heals_when_the_agent_is_killed),
    ("a_killed_agent_is_followed_by_one_that_knows", a_killed_agent_is_followed_by_one_that_knows),
    ("a_hanging_agent_cannot_keep_a_fault_alive", a_hanging_agent_cannot_keep_a_fault_alive),
    ("the_next_agent_sweeps_after_agent_and_watchdog", the_next_agent_sweeps_after_agent_and_watchdog),
    ("a_stopped_controller_cannot_keep_a_fault_alive", a_stopped_controller_cannot_keep_a_fault_alive),
    ("a_killed_controller_takes_everything_with_it", a_killed_controller_takes_everything_with_it),
    ("going_down_leaves_nothing", going_down_leaves_nothing),
];

/// Sub-command that brings a cluster up, says so, and waits for the end of its input to take it down.
pub const CONTROLLER: &str = "controller";

/// Set in the environment of everything that a controller starts, and so found in `/proc`.
const MARK: &str = "SCHISM_TEST_MARK";

fn the_watchdog_heals_when_the_agent_is_killed() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let target = pid(&*cluster, 0).await;
        let pause = What::Pause { target: "echo".into() };
        ask(&*cluster, 0, Request::Apply { fault: 1, what: pause, lease_ms: 60_000 }).await;
        let agent = cluster.remote(0).capabilities().unwrap().pid;
        assert_eq!(letter(&*cluster, 0, target).await, "T");
        cluster.remote(0).exec(&format!("kill -9 {agent}"), PATIENCE).await.unwrap().text().unwrap();
        // Looked at by commands only: a new agent would heal by itself.
        until("it goes on", || goes_on(&*cluster, 0, target)).await;
        cluster
    });
}

fn a_killed_agent_is_followed_by_one_that_knows() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let kill = What::Kill { target: "echo".into() };
        ask(&*cluster, 0, Request::Apply { fault: 1, what: kill, lease_ms: 60_000 }).await;
        let client = cluster.remote(0).agent().await.unwrap();
        let agent = cluster.remote(0).capabilities().unwrap().pid;
        cluster.remote(0).exec(&format!("kill -9 {agent}"), PATIENCE).await.unwrap().text().unwrap();
        until("its client notices", || async { client.is_closed() }).await;
        assert_eq!(status(&*cluster, 0).await.starts, 2);
        assert!(pid(&*cluster, 0).await > 0, "the new agent knows the target that it did not start");
        assert_ne!(cluster.remote(0).capabilities().unwrap().pid, agent);
        cluster
    });
}

fn a_hanging_agent_cannot_keep_a_fault_alive() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let target = pid(&*cluster, 0).await;
        let pause = What::Pause { target: "echo".into() };
        ask(&*cluster, 0, Request::Apply { fault: 1, what: pause, lease_ms: 500 }).await;
        let agent = cluster.remote(0).capabilities().unwrap().pid;
        cluster.remote(0).exec(&format!("kill -STOP {agent}"), PATIENCE).await.unwrap().text().unwrap();
        until("it goes on", || goes_on(&*cluster, 0, target)).await;
        cluster
    });
}

fn the_next_agent_sweeps_after_agent_and_watchdog() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let target = pid(&*cluster, 0).await;
        let pause = What::Pause { target: "echo".into() };
        ask(&*cluster, 0, Request::Apply { fault: 1, what: pause, lease_ms: 60_000 }).await;
        let client = cluster.remote(0).agent().await.unwrap();
        let agent = cluster.remote(0).capabilities().unwrap().pid;
        let children = format!("cat /proc/{agent}/task/{agent}/children");
        let children = cluster.remote(0).exec(&children, PATIENCE).await.unwrap().text().unwrap();
        let watchdog = children.split(' ').find(|pid| *pid != target.to_string()).unwrap();
        let both = format!("kill -9 {watchdog} {agent}");
        cluster.remote(0).exec(&both, PATIENCE).await.unwrap().text().unwrap();
        until("its client notices", || async { client.is_closed() }).await;
        assert_eq!(letter(&*cluster, 0, target).await, "T", "nobody is left to heal");
        // The next agent sweeps before it serves.
        assert_eq!(pid(&*cluster, 0).await, target);
        assert_eq!(cluster.remote(0).capabilities().unwrap().swept, 1);
        assert!(goes_on(&*cluster, 0, target).await);
        cluster
    });
}

fn a_stopped_controller_cannot_keep_a_fault_alive() {
    let folder = TempDir::new().unwrap();
    let mark = folder.path().to_str().unwrap();
    let (mut child, _output) = start_controller(folder.path(), &["paused"]);
    let controller = Pid::from_raw(child.id() as i32);
    kill(controller, Signal::SIGSTOP).unwrap();
    let is_echo = |pid: &String| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(11).any(|w| w == b"echo-server"))
    };
    let target = marked(mark, child.id()).into_iter().find(is_echo).unwrap();
    let state = |pid: &str| agent::process::stat(pid.parse().unwrap()).unwrap().state;
    wait_until("the target goes on", || matches!(state(&target), b'S' | b'R'));
    assert_eq!(state(&controller.to_string()), b'T', "the controller had no part in it");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_nobody(mark, 0);
}

/// Every process whose environment carries the mark, but for one.
fn marked(mark: &str, but: u32) -> Vec<String> {
    let needle = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid.parse::<u32>().is_ok_and(|pid| pid != but))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == needle.as_bytes())
        })
        .collect()
}

fn start_controller(folder: &Path, mode: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(CONTROLLER)
        .arg(folder)
        .args(mode)
        .env(MARK, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(line(&mut output), "up");
    (child, output)
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

pub fn controller(folder: &str, paused: bool) {
    run(async {
        let spec = ClusterSpec { run: "child".into(), nodes: 5, data_root: folder.into() };
        let cluster = Namespaces.up(&spec).await.unwrap();
        start_echo(&*cluster, 2).await;
        if paused {
            let what = What::Pause { target: "echo".into() };
            ask(&*cluster, 2, Request::Apply { fault: 1, what, lease_ms: 1000 }).await;
        }
        println!("up");
        std::io::stdin().lines().next();
        cluster.down().await.unwrap();
        println!("down");
        std::io::stdin().lines().next();
    });
}

fn a_killed_controller_takes_everything_with_it() {
    let folder = TempDir::new().unwrap();
    let mark = folder.path().to_str().unwrap();
    let (mut child, _output) = start_controller(folder.path(), &[]);
    // Hub and its parent, and for each node process 1, server, agent and watchdog; and one target.
    let everyone = marked(mark, child.id());
    assert_eq!(everyone.len(), 2 + 5 * 4 + 1);
    let group = |pid: i32| getpgid(Some(Pid::from_raw(pid))).unwrap();
    let interrupted = |pid: &String| group(pid.parse().unwrap()) == group(child.id() as i32);
    assert!(!everyone.iter().any(interrupted), "an interrupt at the terminal reaches the controller alone");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_nobody(mark, 0);
}

fn going_down_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mark = folder.path().to_str().unwrap();
    let (mut child, mut output) = start_controller(folder.path(), &[]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"\n").unwrap();
    assert_eq!(line(&mut output), "down");
    wait_for_nobody(mark, child.id());
    drop(input);
    assert!(child.wait().unwrap().success());
}

fn wait_for_nobody(mark: &str, but: u32) {
    wait_until("everyone is gone", || marked(mark, but).is_empty());
}

fn wait_until(what: &str, mut question: impl FnMut() -> bool) {
    let patience = 2000;
    for _ in 0..patience {
        if question() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}
