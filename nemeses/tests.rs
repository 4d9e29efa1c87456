//! What holds of every nemesis: golden plans, folder = list, calm gaps, the budget.

use super::*;
use std::collections::BTreeSet;

const FIVE: Topology = Topology { nodes: 5 };

fn plan(names: &[&str], span: Nanos, options: &PlanOptions, seed: u64) -> Vec<Strike> {
    let nemeses: Vec<&dyn Nemesis> = names.iter().map(|n| find(n).unwrap()).collect();
    plan_all(&nemeses, &FIVE, span, options, Rng::new(seed, "plan"))
}

/// A change here changes what every recorded seed means.
#[test]
fn the_plans_at_seed_1_are_golden() {
    let mut seen = String::new();
    for nemesis in ALL {
        seen += &format!("# {}\n", nemesis.name());
        seen +=
            &schedule::text(&nemesis.plan(&FIVE, 20 * SECOND, &PlanOptions::default(), Rng::new(1, "plan")));
    }
    assert_eq!(seen, include_str!("golden.txt"), "\n{seen}");
}

#[test]
fn the_folder_and_the_list_agree() {
    let mut files: Vec<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(|n| n.replace('_', "-")))
        .filter(|name| !["lib", "tests", "plan", "resolve", "schedule"].contains(&name.as_str()))
        .collect();
    let mut names: Vec<&str> = ALL.iter().map(|n| n.name()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn what_a_nemesis_needs_is_what_it_uses() {
    for nemesis in ALL {
        let used: BTreeSet<&str> = (0..20)
            .flat_map(|seed| plan(&[nemesis.name()], 60 * SECOND, &PlanOptions::default(), seed))
            .map(|s| s.fault.family())
            .collect();
        assert_eq!(used, nemesis.needs().iter().copied().collect(), "{}", nemesis.name());
    }
}

#[test]
fn strikes_come_one_at_a_time_with_calm_around_them_and_end_within_the_span() {
    let options = PlanOptions::default();
    for seed in 0..50 {
        let strikes = plan(&["kill", "pause", "partition"], 40 * SECOND, &options, seed);
        assert!(strikes.len() >= 4, "{} strikes", strikes.len());
        let mut calm_since = 0;
        for s in &strikes {
            assert!(s.at >= calm_since + options.calm - 10_000_000, "{}", schedule::text(&strikes));
            assert!((options.min_length - 10_000_000..=options.max_length).contains(&s.lasts));
            calm_since = s.at + s.lasts;
        }
        assert!(calm_since + options.calm <= 40 * SECOND);
    }
}

#[test]
fn every_nemesis_gets_its_turn_even_in_a_short_run() {
    for span in [3 * SECOND, 10 * SECOND, 60 * SECOND] {
        for seed in 0..20 {
            let strikes = plan(&["kill", "pause", "ring"], span, &PlanOptions::default(), seed);
            let names: BTreeSet<&str> = strikes[..3].iter().map(|s| s.nemesis.as_str()).collect();
            assert_eq!(names.len(), 3, "{}", schedule::text(&strikes));
            let mut free = 0;
            assert!(strikes.iter().all(|s| s.at >= std::mem::replace(&mut free, s.at + s.lasts)));
            assert!(free <= span);
        }
    }
}

/// Nodes that are killed or paused at `time`, at most.
fn down(strikes: &[Strike], time: Nanos) -> usize {
    let now = strikes.iter().filter(|s| s.at <= time && time < s.at + s.lasts);
    now.map(|s| match &s.fault {
        Fault::Kill(who) | Fault::Pause(who) => plan::most(who, FIVE.nodes),
        Fault::Partition(_) => 0,
    })
    .sum()
}

#[test]
fn never_is_more_than_a_minority_down_unless_asked_for() {
    let mut overlapped = 0;
    for seed in 0..200 {
        for overlap in [false, true] {
            let options = PlanOptions { overlap, interval: SECOND, ..PlanOptions::default() };
            let strikes = plan(&["kill", "pause", "mix", "partition"], 60 * SECOND, &options, seed);
            for s in &strikes {
                assert!(down(&strikes, s.at) <= 2, "{}", schedule::text(&strikes));
                overlapped += strikes.iter().any(|o| o.at < s.at && s.at < o.at + o.lasts) as u32;
            }
        }
        let asked = PlanOptions { majority: true, ..PlanOptions::default() };
        assert!(
            plan(&["kill"], 600 * SECOND, &asked, seed).iter().any(|s| s.fault == Fault::Kill(Who::Majority))
        );
        assert!(
            plan(&["kill-all"], 60 * SECOND, &PlanOptions::default(), seed)
                .iter()
                .all(|s| down(std::slice::from_ref(s), s.at) == 5)
        );
    }
    assert!(overlapped > 1000, "families do overlap when asked to: {overlapped}");
}

#[test]
fn seeds_differ_and_repeat() {
    let plan = |seed| plan(&["mix"], 60 * SECOND, &PlanOptions::default(), seed);
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
}
