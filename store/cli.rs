//! The store's own command line, parsed by hand: `serve`, `call`, `bugs`, `promises`.
//! Output goes to standard output, complaints to standard error.

use crate::client::Client;
use crate::core::{Config, MILLI, Mode};
use crate::promises::PROMISES;
use crate::protocol::{Request, Response};
use crate::server::{ServeOptions, serve};
use crate::switches::BUGS;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub const USAGE: &str = "\
store serve --me NAME --members NAME=HOST:PORT,… --client-port PORT --data DIR [options]
  --mode raft|quorum|single   protocol (raft)
  --n N --w N --r N           quorum mode: replicas, write and read quorum (all members, majorities)
  --no-write-back             quorum mode: reads do not store what they return
  --client-host HOST          where to listen for clients (the host of this member)
  --peer-listen HOST:PORT     where to listen for peers (the address of this member)
  --bug NAME                  switch a known mistake on; may be repeated
  --heartbeat-ms, --election-ms LOW-HIGH, --check-quorum-ms, --request-timeout-ms, --snapshot-every, --seed
  --trace                     a log line for each applied request
store call HOST:PORT JSON     send one request line, print the response line
store bugs | store promises   the tables, one JSON object a line";

/// Runs the command line after the program's and sub-command's names; returns the exit code: 0, 1 for a failure,
/// 254 for a usage error.
pub fn run_cli(args: &[String]) -> i32 {
    match args.first().map(String::as_str) {
        Some("serve") => match parse_serve(&args[1..]) {
            Ok(options) => run(async { serve(options).await.map_err(|error| error.to_string()) }),
            Err(text) => usage(&text),
        },
        Some("call") => match &args[1..] {
            [address, line] => run(call(address, line)),
            _ => usage("`call` takes an address and a line"),
        },
        Some("bugs") => print(BUGS.iter().map(bug_json)),
        Some("promises") => print(PROMISES.iter().map(promise_json)),
        Some("help" | "--help" | "-h") => print([USAGE.to_string()].into_iter()),
        _ => usage("serve, call, bugs or promises?"),
    }
}

fn usage(text: &str) -> i32 {
    eprintln!("{text}\n{USAGE}");
    254
}

fn print(lines: impl Iterator<Item = String>) -> i32 {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let mut lines = lines;
    i32::from(!lines.all(|line| writeln!(out, "{line}").is_ok()))
}

fn bug_json(info: &crate::switches::BugInfo) -> String {
    serde_json::json!({
        "id": info.id, "name": info.name, "mode": info.mode, "about": info.about,
        "tier": format!("{:?}", info.tier).to_lowercase(), "exposed_by": info.exposed_by,
        "violates": info.violates, "shape": info.shape,
    })
    .to_string()
}

fn promise_json(row: &crate::promises::Promise) -> String {
    serde_json::json!({
        "mode": row.mode, "workload": row.workload, "faults": row.faults, "model": row.model,
    })
    .to_string()
}

fn run(work: impl Future<Output = Result<(), String>>) -> i32 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => 0,
        Err(text) => {
            eprintln!("{text}");
            1
        }
    }
}

async fn call(address: &str, line: &str) -> Result<(), String> {
    let mut request = Request::from_json(line).map_err(|(_, failure)| failure.text)?;
    if request.id.is_empty() {
        request.id = "call".into();
    }
    let limit = Duration::from_secs(10);
    let dial = tokio::time::timeout(limit, tokio::net::TcpStream::connect(address));
    let stream = dial.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let response = Client::connect(stream).call(&request, limit).await.map_err(|error| error.to_string())?;
    println!("{}", Response::to_json(&response));
    Ok(())
}

/// Turns the arguments of `serve` into options.
///
/// # Errors
/// One sentence on what is wrong.
pub fn parse_serve(args: &[String]) -> Result<ServeOptions, String> {
    let flags = Flags::parse(args)?;
    let members = flags.required("members")?;
    let members: Vec<(&str, &str)> = members
        .split(',')
        .map(|member| member.split_once('=').ok_or(format!("`{member}` is not NAME=HOST:PORT")))
        .collect::<Result<_, _>>()?;
    if members.len() > 64 {
        return Err("at most 64 members".into());
    }
    let name = flags.required("me")?;
    let me = members.iter().position(|member| member.0 == name).ok_or(format!("`{name}` is not a member"))?;
    let names: Vec<String> = members.iter().map(|member| member.0.to_string()).collect();
    let mut config = Config::new(me as u32, names, flags.mode(members.len())?);
    flags.tune(&mut config)?;
    let own = members[me].1;
    let host = own.rsplit_once(':').map_or(own, |(host, _)| host);
    let port = flags.required("client-port")?;
    Ok(ServeOptions {
        config,
        addresses: members.iter().map(|member| member.1.to_string()).collect(),
        peer_listen: flags.last("peer-listen").unwrap_or(own).to_string(),
        client_listen: format!("{}:{port}", flags.last("client-host").unwrap_or(host)),
        data: PathBuf::from(flags.required("data")?),
    })
}

/// `--name value`, `--name=value` and bare `--name`, in order.
struct Flags<'a> {
    given: Vec<(&'a str, &'a str)>,
}

const BARE: &[&str] = &["no-write-back", "trace"];
const VALUED: &[&str] = &[
    "me",
    "members",
    "client-port",
    "client-host",
    "peer-listen",
    "data",
    "mode",
    "n",
    "w",
    "r",
    "bug",
    "heartbeat-ms",
    "election-ms",
    "check-quorum-ms",
    "request-timeout-ms",
    "snapshot-every",
    "seed",
];

impl<'a> Flags<'a> {
    fn parse(args: &'a [String]) -> Result<Flags<'a>, String> {
        let mut given = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let flag = arg.strip_prefix("--").ok_or(format!("`{arg}` is not a flag"))?;
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            if BARE.contains(&name) {
                given.push((name, ""));
            } else if VALUED.contains(&name) {
                let value = inline.or_else(|| args.next().map(String::as_str));
                given.push((name, value.ok_or(format!("`--{name}` needs a value"))?));
            } else {
                return Err(format!("`--{name}` is unknown"));
            }
        }
        Ok(Flags { given })
    }

    fn last(&self, name: &str) -> Option<&'a str> {
        self.given.iter().rev().find(|flag| flag.0 == name).map(|flag| flag.1)
    }

    fn required(&self, name: &str) -> Result<&'a str, String> {
        self.last(name).ok_or(format!("`--{name}` is missing"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &str| text.parse().map_err(|_| format!("`--{name} {text}` is not a number"));
        self.last(name).map(parse).transpose()
    }

    fn mode(&self, members: usize) -> Result<Mode, String> {
        match self.last("mode").unwrap_or("raft") {
            "raft" => Ok(Mode::Raft),
            "single" => Ok(Mode::Single),
            "quorum" => {
                let n = self.number("n")?.map_or(members, |n| n as usize);
                let majority = (n / 2 + 1) as u64;
                let w = self.number("w")?.unwrap_or(majority) as usize;
                let r = self.number("r")?.unwrap_or(majority) as usize;
                if n == 0 || n > members || w == 0 || w > n || r == 0 || r > n {
                    return Err(format!("n={n} w={w} r={r} does not fit {members} members"));
                }
                Ok(Mode::Quorum { n, w, r, write_back: self.last("no-write-back").is_none() })
            }
            other => Err(format!("`{other}` is not a mode")),
        }
    }

    fn tune(&self, config: &mut Config) -> Result<(), String> {
        let millis = |name, value: &mut u64| -> Result<(), String> {
            if let Some(given) = self.number(name)? {
                *value = given.max(1) * MILLI;
            }
            Ok(())
        };
        millis("heartbeat-ms", &mut config.heartbeat)?;
        millis("check-quorum-ms", &mut config.check_quorum)?;
        millis("request-timeout-ms", &mut config.request_timeout)?;
        if let Some(range) = self.last("election-ms") {
            let parts =
                range.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
            let (low, high): (u64, u64) = parts.ok_or(format!("`{range}` is not LOW-HIGH"))?;
            if low == 0 || high <= low {
                return Err(format!("`{range}` is an empty range"));
            }
            config.election = (low * MILLI, high * MILLI);
        }
        config.snapshot_every = self.number("snapshot-every")?.unwrap_or(config.snapshot_every).max(1);
        config.seed = self.number("seed")?.unwrap_or(config.seed);
        config.trace = self.last("trace").is_some();
        for (_, bug) in self.given.iter().filter(|flag| flag.0 == "bug") {
            if !config.switches.enable_named(bug) {
                return Err(format!("`{bug}` is not a bug"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(line: &str) -> Result<ServeOptions, String> {
        parse_serve(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    const BASE: &str = "--me n2 --members n1=h1:1,n2=h2:2,n3=h3:3 --client-port 9 --data d";

    #[test]
    fn defaults_follow_from_the_members() {
        let options = serve(BASE).unwrap_or_else(|text| panic!("{text}"));
        assert_eq!((options.config.me, options.config.mode), (1, Mode::Raft));
        assert_eq!((options.peer_listen.as_str(), options.client_listen.as_str()), ("h2:2", "h2:9"));
        let quorum = serve(&format!("{BASE} --mode=quorum --w 3")).unwrap_or_else(|text| panic!("{text}"));
        assert_eq!(quorum.config.mode, Mode::Quorum { n: 3, w: 3, r: 2, write_back: true });
    }

    #[test]
    fn mistakes_are_named() {
        for (extra, word) in [
            ("--mode chaos", "chaos"),
            ("--bug B999", "B999"),
            ("--bug", "value"),
            ("--speed 3", "speed"),
            ("--mode quorum --w 4", "w=4"),
            ("--election-ms 300-150", "empty"),
        ] {
            let text = serve(&format!("{BASE} {extra}")).err().unwrap_or_default();
            assert!(text.contains(word), "{extra}: {text}");
        }
        assert!(serve("--me n9 --members n1=a:1 --client-port 1 --data d").is_err());
    }

    #[test]
    fn bugs_are_switched_on_by_name_or_number() {
        let options = serve(&format!("{BASE} --bug leader-local-read --bug B014"))
            .unwrap_or_else(|text| panic!("{text}"));
        let names: Vec<_> = options.config.switches.activations().into_keys().collect();
        assert_eq!(names, ["apply-uncommitted", "leader-local-read"]);
    }
}
