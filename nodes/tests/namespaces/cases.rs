//! A cluster that lives: commands, files, packets, cuts, and faults on processes.

use std::time::Duration;

use agent::fabric::{Edge, Edges, between};
use agent::protocol::{Reply, Request, TargetState, What, Which};
use nodes::From;

use crate::Case;
use crate::support::*;

pub const ALL: &[Case] = &[
    ("five_nodes_answer_over_ssh", five_nodes_answer_over_ssh),
    ("commands_and_files", commands_and_files),
    ("the_host_sees_nothing", the_host_sees_nothing),
    ("every_node_reaches_every_node", every_node_reaches_every_node),
    ("twenty_nodes_are_a_network_too", twenty_nodes_are_a_network_too),
    ("a_cut_of_one_direction_is_one_way", a_cut_of_one_direction_is_one_way),
    ("a_partition_cuts_clients_inside_and_spares_the_outside", a_partition_cuts_clients),
    ("overlapping_cuts_heal_one_by_one", overlapping_cuts_heal_one_by_one),
    ("a_cut_ends_with_its_lease", a_cut_ends_with_its_lease),
    ("kill_holds_down_and_heals_by_a_start", kill_holds_down_and_heals_by_a_start),
    ("pause_stands_still_and_goes_on", pause_stands_still_and_goes_on),
    ("terminate_and_start_again", terminate_and_start_again),
    ("process_faults_end_with_their_lease", process_faults_end_with_their_lease),
];

fn five_nodes_answer_over_ssh() {
    with_cluster(5, async |cluster| {
        for (index, node) in cluster.nodes().iter().enumerate() {
            let command = "cat /proc/sys/kernel/hostname; echo $$ > pid; cat /proc/1/cmdline | tr '\\0' ' '";
            let here = format!("cd {} && {command}", node.data.display());
            let text = cluster.remote(index).exec(&here, PATIENCE).await.unwrap().text().unwrap();
            assert_eq!(text, format!("{}\nschism node", node.name));
            assert!(node.data.join("pid").exists(), "the node writes to the host's disk");
            assert!(cluster.remote(index).capabilities().unwrap().watchdog);
        }
        cluster
    });
}

fn commands_and_files() {
    with_cluster(1, async |cluster| {
        let node = cluster.remote(0);
        let output = node.exec("echo out; echo err >&2; exit 7", PATIENCE).await.unwrap();
        assert_eq!(output.status, Some(7));
        assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(node.exec("kill -9 $$", PATIENCE).await.unwrap().status, Some(137));

        let path = cluster.nodes()[0].data.join("it's a file");
        let path = path.to_str().unwrap();
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        node.upload(path, &bytes, 0o755, PATIENCE).await.unwrap();
        assert_eq!(node.download(path, 0, PATIENCE).await.unwrap(), bytes);
        assert_eq!(node.download(path, 2_999_000, PATIENCE).await.unwrap(), &bytes[2_999_000..]);
        let request = Request::ReadFile { path: path.into(), offset: 10, max: 5 };
        let expected = Reply::File { bytes: bytes[10..15].to_vec(), size: 3_000_000 };
        assert_eq!(node.ask(request, PATIENCE).await.unwrap(), expected);

        let late = node.exec("sleep 1000", Duration::from_millis(50)).await.unwrap_err();
        assert!(format!("{late:#}").contains("not done within"), "{late:#}");
        let gone = "! grep -qs sleep /proc/[0-9]*/comm";
        until("the late command is gone", || async {
            node.exec(gone, PATIENCE).await.unwrap().status == Some(0)
        })
        .await;
        drop(node.ask(Request::Status { name: "nobody".into() }, PATIENCE).await.unwrap_err());
        cluster
    });
}

fn the_host_sees_nothing() {
    with_cluster(2, async |cluster| {
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert!(!read("/proc/self/mountinfo").contains(cluster.nodes()[0].data.to_str().unwrap()));
        assert!(!read("/proc/net/dev").contains("port0:"));
        assert!(!read("/etc/hosts").contains("outside"));
        let other = cluster.dial(From::Inside(0), 1, 22).await;
        assert!(other.is_err(), "the SSH server listens on the node's own loopback only");
        cluster
    });
}

fn every_node_reaches_every_node() {
    with_cluster(5, async |cluster| {
        let matrix = cluster.fabric().connectivity().await.unwrap();
        assert_eq!(matrix.silent(), Edges::new());
        start_echo(&*cluster, 4).await;
        for from in [From::Inside(0), From::Inside(3), From::Inside(4), From::Outside] {
            assert!(echoes(&*cluster, from, 4).await, "{from:?}");
        }
        let names = cluster.remote(0).exec("cat /etc/hosts", PATIENCE).await.unwrap().text().unwrap();
        assert!(names.contains("10.77.0.5 n5"), "{names}");
        let refused = cluster.dial(From::Inside(0), 1, 9).await.err().unwrap();
        assert!(format!("{refused:#}").contains("refused"), "{refused:#}");
        cluster
    });
}

fn twenty_nodes_are_a_network_too() {
    with_cluster(20, async |cluster| {
        assert_eq!(cluster.fabric().connectivity().await.unwrap().silent(), Edges::new());
        let edges = between(&[0, 19], &(1..19).collect::<Vec<_>>());
        cluster.fabric().cut(1, edges.clone(), LEASE).await.unwrap();
        assert_eq!(cluster.fabric().connectivity().await.unwrap().silent(), edges);
        cluster
    });
}

fn a_cut_of_one_direction_is_one_way() {
    with_cluster(3, async |cluster| {
        let fabric = cluster.fabric();
        let edges: Edges = [Edge::new(0, 1)].into();
        fabric.cut(1, edges.clone(), LEASE).await.unwrap();
        let matrix = fabric.connectivity().await.unwrap();
        assert_eq!(matrix.silent(), edges);
        assert!(matrix.reaches(1, 0));
        let counts = fabric.counts().await.unwrap();
        let dropped: Vec<Edge> = counts.iter().filter(|c| c.dropped > 0).map(|c| c.edge).collect();
        assert_eq!(dropped, [Edge::new(0, 1)]);
        assert_eq!(fabric.heal(Which::These(vec![1])).await.unwrap(), 1);
        assert_eq!(fabric.connectivity().await.unwrap().silent(), Edges::new());
        cluster
    });
}

fn a_partition_cuts_clients() {
    with_cluster(5, async |cluster| {
        start_echo(&*cluster, 4).await;
        let edges = between(&[0, 1], &[2, 3, 4]);
        cluster.fabric().cut(7, edges.clone(), LEASE).await.unwrap();
        assert_eq!(cluster.fabric().connectivity().await.unwrap().silent(), edges);
        assert!(!echoes(&*cluster, From::Inside(0), 4).await, "a client of the minority is cut off with it");
        assert!(echoes(&*cluster, From::Inside(2), 4).await);
        assert!(echoes(&*cluster, From::Outside, 4).await);
        cluster.remote(0).exec("true", PATIENCE).await.unwrap();
        cluster.fabric().heal(Which::All).await.unwrap();
        assert!(echoes(&*cluster, From::Inside(0), 4).await);
        cluster
    });
}

fn overlapping_cuts_heal_one_by_one() {
    with_cluster(3, async |cluster| {
        let fabric = cluster.fabric();
        fabric.cut(1, between(&[0], &[1, 2]), LEASE).await.unwrap();
        fabric.cut(2, between(&[0, 2], &[1]), LEASE).await.unwrap();
        assert!(fabric.cut(2, between(&[0], &[1]), LEASE).await.is_err(), "an id means one damage");
        fabric.heal(Which::These(vec![1, 99])).await.unwrap();
        assert_eq!(fabric.connectivity().await.unwrap().silent(), between(&[0, 2], &[1]));
        assert_eq!(fabric.active().await.unwrap().len(), 1);
        assert!(fabric.cut(3, [Edge::new(0, 9)].into(), LEASE).await.is_err(), "no such link");
        cluster
    });
}

fn a_cut_ends_with_its_lease() {
    with_cluster(2, async |cluster| {
        let fabric = cluster.fabric();
        fabric.cut(1, between(&[0], &[1]), Duration::from_millis(1500)).await.unwrap();
        assert_eq!(fabric.connectivity().await.unwrap().silent(), between(&[0], &[1]));
        until("the lease heals it", || async { fabric.connectivity().await.unwrap().silent().is_empty() })
            .await;
        assert_eq!(fabric.active().await.unwrap(), []);
        cluster
    });
}

fn kill() -> What {
    What::Kill { target: "echo".into() }
}

fn pause() -> What {
    What::Pause { target: "echo".into() }
}

fn apply(fault: u64, what: What) -> Request {
    Request::Apply { fault, what, lease_ms: 60_000 }
}

fn heal(fault: u64) -> Request {
    Request::Heal { faults: Which::These(vec![fault]) }
}

fn kill_holds_down_and_heals_by_a_start() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let before = pid(&*cluster, 0).await;
        ask(&*cluster, 0, apply(1, kill())).await;
        assert_eq!(letter(&*cluster, 0, before).await, "");
        assert_eq!(status(&*cluster, 0).await.state, TargetState::Down);
        assert!(!echoes(&*cluster, From::Outside, 0).await);
        ask(&*cluster, 0, heal(1)).await;
        let after = pid(&*cluster, 0).await;
        assert_ne!(before, after);
        assert_eq!(status(&*cluster, 0).await.starts, 2);
        until("it echoes again", || echoes(&*cluster, From::Outside, 0)).await;
        cluster
    });
}

fn pause_stands_still_and_goes_on() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let pid = pid(&*cluster, 0).await;
        ask(&*cluster, 0, apply(1, pause())).await;
        ask(&*cluster, 0, apply(2, pause())).await;
        assert_eq!(letter(&*cluster, 0, pid).await, "T");
        ask(&*cluster, 0, heal(1)).await;
        assert_eq!(letter(&*cluster, 0, pid).await, "T", "the other pause holds");
        let Reply::Healed { faults: 1, seen } = ask(&*cluster, 0, heal(2)).await else { panic!() };
        assert_eq!(seen[0].state, TargetState::Alive { pid, processes: 1, stopped: 0 });
        assert!(echoes(&*cluster, From::Outside, 0).await);
        cluster
    });
}

fn terminate_and_start_again() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let request = Request::Terminate { name: "echo".into(), grace_ms: 5000 };
        let Reply::Status(ended) = ask(&*cluster, 0, request.clone()).await else { panic!() };
        assert_eq!(ended.state, TargetState::Ended { code: None, signal: Some(15) });
        start_echo(&*cluster, 0).await;
        // A target that stands still cannot answer a SIGTERM, so it is killed after the grace.
        ask(&*cluster, 0, apply(1, pause())).await;
        let short = Request::Terminate { name: "echo".into(), grace_ms: 20 };
        let Reply::Status(ended) = ask(&*cluster, 0, short).await else { panic!() };
        assert_eq!(ended.state, TargetState::Ended { code: None, signal: Some(9) });
        cluster
    });
}

fn process_faults_end_with_their_lease() {
    with_cluster(1, async |cluster| {
        start_echo(&*cluster, 0).await;
        let request = Request::Apply { fault: 1, what: kill(), lease_ms: 200 };
        ask(&*cluster, 0, request).await;
        until("it was started again", || async { status(&*cluster, 0).await.starts == 2 }).await;
        let request = Request::Apply { fault: 2, what: pause(), lease_ms: 200 };
        ask(&*cluster, 0, request).await;
        let pid = pid(&*cluster, 0).await;
        until("it goes on", || goes_on(&*cluster, 0, pid)).await;
        assert_eq!(ask(&*cluster, 0, Request::Active).await, Reply::Active(vec![]));
        cluster
    });
}
