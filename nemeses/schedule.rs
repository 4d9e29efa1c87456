//! Scripted plans: one strike a line, in the words in which strikes are printed everywhere.
//!
//! ```text
//! # comment
//! at 5s for 3s isolate leader
//! at 10s for 2s kill n1,n3
//! at 12s for 1s cut n1 -> n2
//! at 15s for 2s partition minority
//! at 20s for 500ms pause one pick 42
//! ```
//!
//! Faults: `kill WHO`, `pause WHO`, `isolate WHO`, `partition WHO`, `partition bridge`, `partition ring`,
//! `cut WHO -> WHO`. WHO: `one`, `minority`, `majority`, `leader`, `leader+minority`, `followers`, `all`,
//! `not(WHO)` or nodes, `n1,n3`. `pick` fixes every random choice of the line; without it the seed does.

use history::rng::Rng;
use history::{Cut, Fault, Nanos, NodeId, Strike, Who};
use std::fmt;

/// The name that scripted strikes carry.
pub const NAME: &str = "schedule";

const FAULT: &str = "a fault: kill, pause, isolate, partition or cut";
const WHO: &str =
    "one, minority, majority, leader, leader+minority, followers, all, not(…) or nodes such as n1,n3";
const DURATION: &str = "a duration such as 500ms, 3s or 2m";

/// Where a line could not be read, 1-based, and what would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub line: usize,
    pub column: usize,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found =
            if self.found.is_empty() { "the end of the line".into() } else { format!("{:?}", self.found) };
        write!(f, "{}:{}: expected {}, found {found}", self.line, self.column, self.expected)
    }
}

impl std::error::Error for Unreadable {}

/// Reads a schedule for a cluster of `nodes`; strikes come back in order of time.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str, nodes: usize, seed: u64) -> Result<Vec<Strike>, Unreadable> {
    let mut rng = Rng::new(seed, "schedule");
    let mut strikes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or("");
        // Drawn for blank lines too: a strike that is commented out changes nothing for the others.
        let pick = rng.u64() >> 11;
        if code.trim().is_empty() {
            continue;
        }
        let mut words = Words { code, at: 0, line: number + 1, nodes };
        strikes.push(words.strike(pick)?);
    }
    strikes.sort_by_key(|s| s.at);
    Ok(strikes)
}

/// The line that [`parse`] reads back as this strike, all but the nemesis's name.
pub fn line(strike: &Strike) -> String {
    let (at, lasts) = (duration(strike.at), duration(strike.lasts));
    format!("at {at} for {lasts} {} pick {}", strike.fault, strike.pick)
}

/// A whole plan, one line a strike.
pub fn text(strikes: &[Strike]) -> String {
    strikes.iter().map(|s| line(s) + "\n").collect()
}

const UNITS: [(&str, Nanos); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];

/// `3s`, `1500ms`: whole numbers of the largest unit up to seconds that gives one.
pub fn duration(time: Nanos) -> String {
    let fits = |unit: &&(&str, Nanos)| unit.0 != "m" && time.is_multiple_of(unit.1);
    let (name, size) = UNITS.iter().rev().find(fits).copied().unwrap_or(("ns", 1));
    format!("{}{name}", time / size)
}

/// `500ms`, `1.5s`, `2m`.
pub fn parse_duration(word: &str) -> Option<Nanos> {
    let (name, size) = UNITS.iter().find(|(name, _)| word.ends_with(name))?;
    let number = word.strip_suffix(name)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() || !(whole.to_string() + part).bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let whole: Nanos = whole.parse().ok()?;
    let digits: Nanos = part.get(..part.len().min(9))?.parse().ok()?;
    let part = digits as u128 * *size as u128 / 10u128.pow(part.len().min(9) as u32);
    whole.checked_mul(*size)?.checked_add(part as Nanos)
}

/// The words of one line, with their places.
struct Words<'a> {
    code: &'a str,
    at: usize,
    line: usize,
    nodes: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> &'a str {
        self.code[self.at..].split_whitespace().next().unwrap_or("")
    }

    fn take(&mut self) -> &'a str {
        let word = self.peek();
        self.skip_space();
        self.at += word.len();
        word
    }

    fn skip_space(&mut self) {
        let rest = &self.code[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn fail<T>(&mut self, expected: &str) -> Result<T, Unreadable> {
        self.skip_space();
        let column = self.code[..self.at].chars().count() + 1;
        Err(Unreadable { line: self.line, column, expected: expected.into(), found: self.peek().into() })
    }

    fn word(&mut self, word: &str) -> Result<(), Unreadable> {
        if self.peek() != word {
            return self.fail(word);
        }
        self.take();
        Ok(())
    }

    /// Takes these words if they all come next.
    fn maybe(&mut self, words: &[&str]) {
        let here = self.at;
        for word in words {
            if self.peek() != *word {
                self.at = here;
                return;
            }
            self.take();
        }
    }

    fn duration(&mut self) -> Result<Nanos, Unreadable> {
        match parse_duration(self.peek()) {
            Some(time) => {
                self.take();
                Ok(time)
            }
            None => self.fail(DURATION),
        }
    }

    fn strike(&mut self, pick: u64) -> Result<Strike, Unreadable> {
        self.word("at")?;
        let at = self.duration()?;
        self.word("for")?;
        let lasts = self.duration()?;
        let fault = self.fault()?;
        let pick = if self.peek() == "pick" { self.pick()? } else { pick };
        if !self.peek().is_empty() {
            return self.fail("pick or the end of the line");
        }
        Ok(Strike { at, lasts, fault, pick, nemesis: NAME.into() })
    }

    fn pick(&mut self) -> Result<u64, Unreadable> {
        self.take();
        match self.peek().parse() {
            Ok(pick) => {
                self.take();
                Ok(pick)
            }
            Err(_) => self.fail("a whole number"),
        }
    }

    fn fault(&mut self) -> Result<Fault, Unreadable> {
        let kind = self.peek();
        if !["kill", "pause", "isolate", "partition", "cut"].contains(&kind) {
            return self.fail(FAULT);
        }
        self.take();
        Ok(match kind {
            "kill" => Fault::Kill(self.who()?),
            "pause" => Fault::Pause(self.who()?),
            "isolate" => Fault::Partition(Cut::Isolate(self.who()?)),
            "cut" => Fault::Partition(self.one_way()?),
            _ => Fault::Partition(self.partition()?),
        })
    }

    fn partition(&mut self) -> Result<Cut, Unreadable> {
        match self.peek() {
            "bridge" => {
                self.take();
                Ok(Cut::Bridge)
            }
            "ring" => {
                self.take();
                self.maybe(&["of", "majorities"]);
                Ok(Cut::Ring)
            }
            _ => {
                let who = self.who()?;
                self.maybe(&["from", "the", "rest"]);
                Ok(Cut::Split(who))
            }
        }
    }

    fn one_way(&mut self) -> Result<Cut, Unreadable> {
        let from = self.who()?;
        if !["->", "to"].contains(&self.peek()) {
            return self.fail("->");
        }
        self.take();
        let to = self.who()?;
        self.maybe(&["one", "way"]);
        Ok(Cut::OneWay(from, to))
    }

    fn who(&mut self) -> Result<Who, Unreadable> {
        match self.parse_who(self.peek()) {
            Some(who) => {
                self.take();
                Ok(who)
            }
            None => self.fail(WHO),
        }
    }

    fn parse_who(&self, word: &str) -> Option<Who> {
        Some(match word {
            "one" => Who::One,
            "minority" => Who::Minority,
            "majority" => Who::Majority,
            "leader" => Who::Leader,
            "leader+minority" => Who::LeaderMinority,
            "followers" => Who::Followers,
            "all" => Who::All,
            _ => match word.strip_prefix("not(").and_then(|w| w.strip_suffix(')')) {
                Some(inner) => Who::Not(Box::new(self.parse_who(inner)?)),
                None => Who::Nodes(word.split(',').map(|n| self.node(n)).collect::<Option<_>>()?),
            },
        })
    }

    /// `n1` is the first node.
    fn node(&self, name: &str) -> Option<NodeId> {
        let number: usize = name.strip_prefix('n')?.parse().ok()?;
        (1..=self.nodes).contains(&number).then(|| NodeId(number as u8 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_schedule_is_read() {
        let text = "# two strikes\nat 10s for 2s kill n1,n3\n\n  at 5s for 1.5s isolate leader # first\n\
                    at 12s for 1s cut n1 -> n2 pick 9\nat 1m for 20ms partition ring\n";
        let strikes = parse(text, 3, 1).unwrap();
        let times: Vec<_> = strikes.iter().map(|s| (s.at / SECOND, s.lasts)).collect();
        assert_eq!(times, [(5, 1_500_000_000), (10, 2 * SECOND), (12, SECOND), (60, 20_000_000)]);
        let faults: Vec<String> = strikes.iter().map(|s| s.fault.to_string()).collect();
        assert_eq!(
            faults,
            ["isolate leader", "kill n1,n3", "cut n1 to n2 one way", "partition ring of majorities"]
        );
        assert_eq!((strikes[2].pick, strikes[0].nemesis.as_str()), (9, "schedule"));
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let mut plan: Vec<Strike> = Vec::new();
        for nemesis in crate::ALL {
            let options = crate::PlanOptions { majority: true, ..Default::default() };
            let topology = crate::Topology { nodes: 5 };
            plan.extend(crate::plan_all(&[*nemesis], &topology, 60 * SECOND, &options, Rng::new(3, "plan")));
        }
        for who in ["not(leader)", "not(n1,n2)", "followers"] {
            plan.extend(parse(&format!("at 123456789ns for 7us partition {who}"), 5, 1).unwrap());
        }
        plan.sort_by_key(|s| s.at);
        plan.iter_mut().for_each(|s| s.nemesis = NAME.into());
        assert!(plan.len() > 80);
        assert_eq!(parse(&text(&plan), 5, 0).unwrap(), plan);
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let said = |text: &str| parse(text, 3, 1).unwrap_err().to_string();
        assert_eq!(
            said("# x\nat 5s for 3x kill one"),
            "2:11: expected a duration such as 500ms, 3s or 2m, found \"3x\""
        );
        assert_eq!(said("in 5s"), "1:1: expected at, found \"in\"");
        assert_eq!(
            said("at 5s for 3s burn one"),
            "1:14: expected a fault: kill, pause, isolate, partition or cut, found \"burn\""
        );
        assert_eq!(said("at 1s for 1s cut n1 n2"), "1:21: expected ->, found \"n2\"");
        assert!(said("at 1s for 1s kill n4").contains("1:19: expected one, minority"), "only three nodes");
        assert!(said("at 1s for 1s kill").ends_with("found the end of the line"));
        assert!(said("at 1s for 1s kill one two").contains("1:23: expected pick or the end of the line"));
        assert!(said("at 1s for 1s kill one pick x").contains("a whole number"));
        assert!(said("at 99999999999999m for 1s kill one").contains("a duration"));
        assert!(said("at ☃ for").contains("1:4:"));
    }

    #[test]
    fn durations_are_printed_as_they_are_read() {
        for (time, word) in
            [(0, "0s"), (SECOND, "1s"), (1_500_000_000, "1500ms"), (60 * SECOND, "60s"), (7, "7ns")]
        {
            assert_eq!(duration(time), word);
            assert_eq!(parse_duration(word), Some(time));
        }
        assert_eq!(parse_duration("1.5s"), Some(1_500_000_000));
        assert_eq!(parse_duration("0.25us"), Some(250));
        for bad in ["", "s", "1", ".5s", "1.s", "-1s", "1.-5s", "1 s", "+1s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
