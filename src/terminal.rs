//! What the terminal shows while something takes time: a live line, or plain lines where nobody watches.
//!
//! Everything goes to stderr, so that stdout stays for results and `--json`. Colours and the live line only on a
//! terminal, and never under `CI` or `NO_COLOR`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub struct Progress {
    bar: ProgressBar,
    live: bool,
    last: Mutex<Option<Instant>>,
}

fn set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|v| !v.is_empty())
}

pub fn colours() -> bool {
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !set("CI")
}

impl Progress {
    pub fn new() -> Progress {
        let live = colours();
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}") {
            bar.set_style(style);
        }
        if live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar, live, last: Mutex::new(None) }
    }

    /// A line that stays: a phase, a strike, a verdict.
    pub fn say(&self, text: impl AsRef<str>) {
        match self.live {
            true => self.bar.println(text.as_ref()),
            false => eprintln!("{}", text.as_ref()),
        }
    }

    /// The state right now: replaces itself on a terminal; elsewhere a plain line, at most every 5 s.
    pub fn now(&self, text: impl FnOnce() -> String) {
        if self.live {
            self.bar.set_message(text());
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if last.is_none_or(|t| t.elapsed() >= Duration::from_secs(5)) {
            *last = Some(Instant::now());
            eprintln!("{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A word in a verdict's colour.
pub fn paint(word: &str, rank: u8) -> String {
    if !colours() {
        return word.to_string();
    }
    let code = ["32", "35", "31"].get(rank as usize).unwrap_or(&"0");
    format!("\x1b[1;{code}m{word}\x1b[0m")
}
