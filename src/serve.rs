//! Browsing results over HTTP: an index, each run's page and files. Read-only, on loopback unless told otherwise.
//!
//! Beyond loopback a token is required on every request; on loopback without one, the `Host` must name this
//! machine, so that a page elsewhere cannot read through a rebound name. A path is served only if every part is
//! plain and the resolved file lies below the root. Not here: making pages (`report`).

use crate::report::{self, IndexRow};
use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What to serve, where, and to whom.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// `results/`: runs are folders with a `results.json`, one or two levels down.
    pub root: PathBuf,
    pub bind: SocketAddr,
    pub token: Option<String>,
}

/// Larger files are not sent: they are on this disk already.
const LARGEST: u64 = 512 << 20;
/// Of one `results.json`.
const LARGEST_RESULTS: u64 = 16 << 20;
const COOKIE: &str = "schism_token";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Site {
    root: PathBuf,
    token: Option<String>,
}

/// Serves until interrupted. Fails if the root is no folder, the address is taken, or it is not loopback and there
/// is no token.
pub async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    if !options.bind.ip().is_loopback() && options.token.as_deref().unwrap_or("").is_empty() {
        bail!("{} is reachable from other machines: pass --token, or bind to 127.0.0.1", options.bind);
    }
    let listener = TcpListener::bind(options.bind)
        .await
        .with_context(|| format!("cannot listen on {}", options.bind))?;
    let address = listener.local_addr()?;
    let token = options.token.as_ref().map_or(String::new(), |t| format!("?token={t}"));
    eprintln!("serving {} on http://{address}/{token} (interrupt to stop)", options.root.display());
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router(&options)?).with_graceful_shutdown(stop).await?;
    Ok(())
}

fn router(options: &ServeOptions) -> anyhow::Result<Router> {
    let root =
        options.root.canonicalize().with_context(|| format!("no folder {}", options.root.display()))?;
    let token = options.token.clone().filter(|t| !t.is_empty());
    let site = Arc::new(Site { root, token });
    Ok(Router::new()
        .route("/", get(index))
        .route("/api/runs.json", get(runs_json))
        .route("/latest", get(latest))
        .route("/results/latest", get(latest))
        .route("/run/{*path}", get(file))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such page") })
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site))
}

/// Lets a request through if it may be answered, and sets the headers that every answer carries.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match admit(&site, request.uri(), request.headers()) {
        Admission::Yes => next.run(request).await,
        Admission::Cookie(cookie, to) => {
            (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, to)]).into_response()
        }
        Admission::No(status, why) => problem(status, why),
    };
    let headers = response.headers_mut();
    let mut set = |name, value: &'static str| headers.insert(name, header::HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CACHE_CONTROL, "no-cache");
    response
}

enum Admission {
    Yes,
    /// The token came in the address: it moves into a cookie, and out of the address.
    Cookie(String, String),
    No(StatusCode, &'static str),
}

fn admit(site: &Site, uri: &Uri, headers: &HeaderMap) -> Admission {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(token) = &site.token else {
        return match text(header::HOST).is_some_and(names_this_machine) {
            true => Admission::Yes,
            false => Admission::No(StatusCode::FORBIDDEN, "this server answers to localhost only"),
        };
    };
    let bearer = text(header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer "));
    let cookies = text(header::COOKIE).unwrap_or("");
    let cookie = cookies.split(';').find_map(|c| c.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    if [bearer, cookie].into_iter().flatten().any(|given| same(given, token)) {
        return Admission::Yes;
    }
    let asked = uri.query().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("token="));
    match asked {
        Some(given) if same(given, token) => {
            // Two slashes would be another host's name to the browser.
            let to = format!("/{}", uri.path().trim_start_matches('/'));
            Admission::Cookie(format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"), to)
        }
        _ => {
            Admission::No(StatusCode::UNAUTHORIZED, "a token is needed: ?token=… or Authorization: Bearer …")
        }
    }
}

/// Compares without stopping at the first difference.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn problem(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{why}\n")).into_response()
}

fn redirect(to: &str) -> Response {
    match header::HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Err(_) => problem(StatusCode::NOT_FOUND, "no such page"),
    }
}

fn html(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

/// Runs blocking work off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "failed"))
}

async fn index(State(site): State<Arc<Site>>) -> Response {
    match blocking(move || report::render_index(&rows(&site.root))).await {
        Ok(Ok(page)) => html(page),
        Ok(Err(e)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
        Err(response) => response,
    }
}

async fn runs_json(State(site): State<Arc<Site>>) -> Response {
    match blocking(move || serde_json::json!({"schema": 1, "runs": rows(&site.root)}).to_string()).await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(response) => response,
    }
}

async fn latest(State(site): State<Arc<Site>>) -> Response {
    let found = blocking(move || {
        let target = site.root.join("latest").canonicalize().ok()?;
        let below = target.strip_prefix(&site.root).ok()?;
        target.is_dir().then(|| address(below))?
    });
    match found.await {
        Ok(Some(to)) => redirect(&to),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no latest run"),
        Err(response) => response,
    }
}

/// The address of a run's folder below the root, every part escaped.
fn address(below: &Path) -> Option<String> {
    let parts: Option<Vec<String>> = below.iter().map(|p| p.to_str().map(escape)).collect();
    Some(format!("/run/{}/", parts?.join("/")))
}

fn escape(part: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    part.bytes().map(|b| if keep(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn file(State(site): State<Arc<Site>>, UrlPath(path): UrlPath<String>) -> Response {
    let found = blocking(move || open(&site.root, &path)).await;
    match found {
        Ok(Found::Folder(to)) => redirect(&to),
        Ok(Found::File(name, bytes)) => {
            ([(header::CONTENT_TYPE, kind(&name))], Body::from(bytes)).into_response()
        }
        Ok(Found::Large) => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "larger than 512 MiB: take it from the folder")
        }
        Ok(Found::Nothing) => problem(StatusCode::NOT_FOUND, "no such run or file"),
        Err(response) => response,
    }
}

/// Only the page is HTML; everything else is shown as text or saved.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") if name == "report.html" => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("jsonl" | "zst" | "gz") => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}

enum Found {
    File(String, Vec<u8>),
    /// A run's folder without its closing slash: where it is.
    Folder(String),
    Large,
    Nothing,
}

fn open(root: &Path, path: &str) -> Found {
    let Some(mut target) = resolve(root, path) else { return Found::Nothing };
    if target.is_dir() {
        if !path.ends_with('/') {
            return target.strip_prefix(root).ok().and_then(address).map_or(Found::Nothing, Found::Folder);
        }
        target = match resolve(root, &format!("{path}report.html")) {
            Some(page) => page,
            None => return Found::Nothing,
        };
    }
    let name = target.file_name().and_then(|n| n.to_str()).unwrap_or("").to_string();
    match std::fs::metadata(&target) {
        Ok(m) if m.is_file() && m.len() > LARGEST => Found::Large,
        Ok(m) if m.is_file() => {
            std::fs::read(&target).map_or(Found::Nothing, |bytes| Found::File(name, bytes))
        }
        _ => Found::Nothing,
    }
}

/// The file that a path from the network names, if it names one below the root. Parts that are empty, begin with a
/// dot or hold a separator or control character are refused; symbolic links count by where they lead.
fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let fine = |p: &&str| {
        !p.is_empty() && !p.starts_with('.') && !p.contains(['\\', ':']) && !p.chars().any(char::is_control)
    };
    if parts.len() > 6 || !parts.iter().all(fine) {
        return None;
    }
    let target = root.join(parts.iter().collect::<PathBuf>()).canonicalize().ok()?;
    (target.starts_with(root) && target != root).then_some(target)
}

/// Every run below the root: folders with a `results.json`, one level down or two.
fn rows(root: &Path) -> Vec<IndexRow> {
    let mut rows = Vec::new();
    for first in folders(root) {
        match read_row(root, "", &first) {
            Some(row) => rows.push(row),
            None => {
                rows.extend(folders(&root.join(&first)).iter().filter_map(|run| read_row(root, &first, run)))
            }
        }
    }
    rows
}

/// Names of the folders in a folder, sorted; links are not followed, so `latest` is not a run of its own.
fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let folder = |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
    let mut names: Vec<String> =
        entries.flatten().filter(folder).filter_map(|e| e.file_name().into_string().ok()).collect();
    names.retain(|n| !n.starts_with('.'));
    names.sort();
    names
}

fn read_row(root: &Path, campaign: &str, run: &str) -> Option<IndexRow> {
    let path = root.join(campaign).join(run).join("results.json").canonicalize().ok()?;
    let size = std::fs::metadata(&path).ok()?.len();
    if !path.starts_with(root) || size > LARGEST_RESULTS {
        return None;
    }
    let results = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let mut row = IndexRow::from_results(&results, campaign, run);
    let below: PathBuf = [campaign, run].iter().filter(|p| !p.is_empty()).collect();
    row.href = address(&below)?.trim_start_matches('/').to_string();
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    struct Server {
        address: SocketAddr,
        _root: tempfile::TempDir,
        _runtime: tokio::runtime::Runtime,
    }

    /// A root with one run in a campaign, one beside it, a secret outside and links to it.
    fn server(token: Option<&str>) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("results");
        let results = r#"{"schema":1,"run":"r<1>","started":"2026-11-20 21:04:07 UTC","verdict":"invalid","why":null,"diagnosis":"<script>alert(1)</script>","target":"store:raft","bug":"leader-local-read","workload":"register","nemesis":["kill"],"seed":7,"ops":{"ok":10,"fail":1,"info":2},"strikes":{"requested":2,"effective":1}}"#;
        for run in ["demo/one", "alone"] {
            std::fs::create_dir_all(root.join(run)).unwrap();
            std::fs::write(root.join(run).join("results.json"), results).unwrap();
            std::fs::write(root.join(run).join("report.html"), "<h1>page</h1>").unwrap();
            std::fs::write(root.join(run).join("history.jsonl"), "{}\n").unwrap();
        }
        std::fs::write(dir.path().join("secret"), "top secret").unwrap();
        std::fs::write(root.join(".hidden"), "top secret").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("demo/one/link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("demo/out")).unwrap();
        std::os::unix::fs::symlink("demo/one", root.join("latest")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options =
            ServeOptions { root, bind: ([127, 0, 0, 1], 0).into(), token: token.map(str::to_string) };
        let listener = runtime.block_on(TcpListener::bind(options.bind)).unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(&options).unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Server { address, _root: dir, _runtime: runtime }
    }

    impl Server {
        /// Status line, headers and body as one text; the path goes out exactly as it is.
        fn get(&self, path: &str, more: &str) -> String {
            self.raw(&format!(
                "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{more}\r\n",
                self.address.port()
            ))
        }

        fn raw(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(self.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        }
    }

    #[test]
    fn index_pages_and_files_are_served() {
        let s = server(None);
        let index = s.get("/", "");
        assert!(index.starts_with("HTTP/1.1 200"), "{index}");
        assert!(
            index.contains("run/demo/one/") && index.contains("run/alone/") && index.contains("13"),
            "{index}"
        );
        assert!(!index.contains("<script>alert(1)"), "a diagnosis is text");
        assert!(index.to_lowercase().contains("content-security-policy: default-src 'none'"));
        assert!(s.get("/run/demo/one/", "").contains("<h1>page</h1>"));
        assert!(s.get("/run/demo/one", "").contains("location: /run/demo/one/"));
        assert!(s.get("/run/demo/one/history.jsonl", "").contains("application/octet-stream"));
        assert!(s.get("/results/latest", "").contains("location: /run/demo/one/"));
        let json = s.get("/api/runs.json", "");
        assert!(json.contains(r#""verdict":"invalid""#) && json.contains(r#""ops":13"#), "{json}");
    }

    #[test]
    fn no_path_leads_out_of_the_root() {
        let s = server(None);
        for path in [
            "/run/../secret",
            "/run/demo/../../secret",
            "/run/%2e%2e/secret",
            "/run/demo/%2e%2e/%2e%2e/secret",
            "/run/..%2fsecret",
            "/run/demo%2f..%2f..%2fsecret",
            "/run/demo/one/link",
            "/run/demo/out/secret",
            "/run/demo/out/",
            "/run//etc/passwd",
            "/run/%2fetc%2fpasswd",
            "/run/demo/one/..\\..\\..\\secret",
            "/run/demo/one/%5c..%5csecret",
            "/run/.hidden",
            "/run/demo/./one/../../.hidden",
            "/run/demo/one/report.html%00.txt",
            "/run/demo/one//report.html",
            "/run/latest/../../secret",
            "/run/%252e%252e/secret",
        ] {
            let answer = s.get(path, "");
            assert!(!answer.contains("top secret") && !answer.contains("root:"), "{path}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }

    #[test]
    fn a_token_guards_every_page() {
        let s = server(Some("t0ken"));
        for path in
            ["/", "/api/runs.json", "/run/demo/one/", "/latest", "/?token=wrong", "/?token=", "/nothing"]
        {
            assert!(s.get(path, "").starts_with("HTTP/1.1 401"), "{path}");
        }
        assert!(s.get("/", "Authorization: Bearer t0ken\r\n").starts_with("HTTP/1.1 200"));
        assert!(s.get("/", "Authorization: Bearer t0ke\r\n").starts_with("HTTP/1.1 401"));
        let moved = s.get("/run/demo/one/?token=t0ken", "");
        assert!(
            moved.starts_with("HTTP/1.1 303") && moved.contains("location: /run/demo/one/\r\n"),
            "{moved}"
        );
        assert!(moved.contains("set-cookie: schism_token=t0ken; HttpOnly; SameSite=Strict"));
        assert!(s.get("//evil.example/?token=t0ken", "").contains("location: /evil.example/\r\n"));
        assert!(s.get("/", "Cookie: a=b; schism_token=t0ken\r\n").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn another_name_for_this_machine_is_refused_without_a_token() {
        let s = server(None);
        let with_host =
            |host: &str| s.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert!(with_host("evil.example").starts_with("HTTP/1.1 403"));
        assert!(with_host("127.0.0.1.evil.example:80").starts_with("HTTP/1.1 403"));
        assert!(with_host("127.0.0.1:80").starts_with("HTTP/1.1 200"));
        assert!(with_host("[::1]:80").starts_with("HTTP/1.1 200"));
        assert!(
            s.raw("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .starts_with("HTTP/1.1 405")
        );
    }

    #[test]
    fn an_open_address_needs_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let options = |token: Option<&str>| ServeOptions {
            root: dir.path().into(),
            bind: ([0, 0, 0, 0], 0).into(),
            token: token.map(str::to_string),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let refused = runtime.block_on(serve(options(None))).unwrap_err().to_string();
        assert!(refused.contains("reachable from other machines"), "{refused}");
        assert!(runtime.block_on(serve(options(Some("")))).is_err());
    }
}
