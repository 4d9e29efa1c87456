//! Drives Debian's Chromium over its DevTools protocol: just what the report's tests need.
//!
//! Not a general driver: one page, a file URL, blocking calls.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

const DEADLINE: Duration = Duration::from_secs(30);

/// The program, if this machine has one.
pub fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    })
}

/// A browser with one tab. Dropped, it is gone with its profile.
pub struct Browser {
    process: Child,
    socket: WebSocket<TcpStream>,
    next: u64,
    /// Every event since the last navigation: `(method, params)`.
    pub events: Vec<(String, Value)>,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start(program: &str) -> Browser {
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let process = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts");
        let port = port(profile.path());
        let page = page_socket(port);
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the DevTools port answers");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket takes a timeout");
        let (socket, _) = tungstenite::client(page.as_str(), stream).expect("the websocket opens");
        let mut browser = Browser { process, socket, next: 0, events: Vec::new(), _profile: profile };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its result; events met on the way are kept.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let text = json!({"id": id, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(text)).expect("chromium listens");
        loop {
            let message = self.receive();
            if message["id"] == json!(id) {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }

    fn receive(&mut self) -> Value {
        let text = match self.socket.read().expect("chromium answers") {
            Message::Text(text) => text.to_string(),
            _ => return Value::Null,
        };
        let message: Value = serde_json::from_str(&text).expect("DevTools speaks JSON");
        if let Some(method) = message["method"].as_str() {
            self.events.push((method.to_string(), message["params"].clone()));
        }
        message
    }

    /// Opens a file and waits until the expression is true.
    pub fn open(&mut self, file: &Path, until: &str) {
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        self.wait(until);
    }

    /// Polls the expression until it is true; fails the test after half a minute.
    pub fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.eval(expression) != json!(true) {
            assert!(begun.elapsed() < DEADLINE, "never came true: {expression}\n{:?}", self.problems());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The value of a JavaScript expression.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call("Runtime.evaluate", params)["result"]["value"].clone()
    }

    pub fn key(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Script errors and console errors since the page was opened.
    pub fn problems(&self) -> Vec<String> {
        let bad = |(method, params): &&(String, Value)| match method.as_str() {
            "Runtime.exceptionThrown" => true,
            "Log.entryAdded" => params["entry"]["level"] == "error",
            "Runtime.consoleAPICalled" => params["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(bad).map(|(m, p)| format!("{m}: {p}")).collect()
    }

    /// URLs asked for since the page was opened.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.events.iter().filter(|(m, _)| m == "Network.requestWillBeSent");
        asked.filter_map(|(_, p)| p["request"]["url"].as_str().map(str::to_string)).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Chromium writes the port it chose into its profile.
fn port(profile: &Path) -> u16 {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let Some(port) = text.lines().next().and_then(|l| l.parse().ok()) {
            return port;
        }
        assert!(begun.elapsed() < DEADLINE, "chromium never opened its DevTools port");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The websocket of the first tab, from the list that the port serves.
fn page_socket(port: u16) -> String {
    let begun = Instant::now();
    loop {
        let list: Value = serde_json::from_str(&http(port, "/json/list")).unwrap_or_default();
        let page = list.as_array().and_then(|l| l.iter().find(|t| t["type"] == "page").cloned());
        if let Some(url) = page.as_ref().and_then(|p| p["webSocketDebuggerUrl"].as_str()) {
            return url.to_string();
        }
        assert!(begun.elapsed() < DEADLINE, "chromium has no tab: {list}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn http(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
    }
    answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_string())
}
