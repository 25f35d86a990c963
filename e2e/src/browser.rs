//! A real Chromium without a window, driven by WebDriver.

use crate::process::{Process, script};
use crate::scratch::{Port, Scratch, project};
use crate::stage::PATIENCE;
use crate::wait::wait_until;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// What Debian's Chromium needs here. By the pipe it sees the end of its driver, however that comes.
const ARGUMENTS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
];

/// One window. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    client: reqwest::Client,
    session: String,
    port: Port,
    scratch: Scratch,
    _driver: Process,
}

impl Browser {
    /// Starts a browser, 1280 pixels wide.
    pub async fn start() -> Self {
        let (scratch, port) = (Scratch::new("browser"), Port::claim());
        let args = [
            project("scripts/chromium.sh").display().to_string(),
            "driver".to_owned(),
            format!("--port={}", port.number()),
        ];
        let env = [("HOME".to_owned(), scratch.path().display().to_string())];
        let cache = std::env::var("BINLOG_OPERATOR_CACHE");
        let cache = cache.unwrap_or_else(|_| script("chromium.sh", &["cache"]).trim().to_owned());
        let env = [&env[..], &[("BINLOG_OPERATOR_CACHE".to_owned(), cache)]].concat();
        let driver = Process::spawn("bash", &args, &env, &scratch.path().join("log"));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let base = format!("http://127.0.0.1:{}", port.number());
        wait_until("chromedriver answers", PATIENCE, async || {
            let answer = client.get(format!("{base}/status")).send().await.map_err(|e| e.to_string())?;
            let said: Value = answer.json().await.map_err(|e| e.to_string())?;
            if said["value"]["ready"] == true { Ok(()) } else { Err(said.to_string()) }
        })
        .await;
        let profile = format!("--user-data-dir={}", scratch.path().join("profile").display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": script("chromium.sh", &["path"]).trim(), "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 240_000, "pageLoad": 240_000},
        }}});
        let answer = client.post(format!("{base}/session")).body(wanted.to_string()).send().await;
        let said: Value = answer.expect("a session").json().await.expect("JSON");
        let id = said["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {said}"));
        let session = format!("{base}/session/{id}");
        let browser = Self { client, session, port, scratch, _driver: driver };
        browser.look(1280, 900, false).await;
        browser
    }

    async fn ask(&self, path: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}/{path}", self.session)).body(body.to_string()).send().await;
        let said: Value = answer.expect("chromedriver answers").json().await.expect("JSON");
        assert!(said["value"]["error"].is_null(), "{path} {body}: {said}");
        said["value"].clone()
    }

    async fn devtools(&self, command: &str, params: Value) -> Value {
        self.ask("goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// The page's size in pixels, and whether its user likes it dark.
    pub async fn look(&self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.ask("url", json!({"url": url})).await;
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is true in the page.
    pub async fn wait(&self, expression: &str) {
        let script = format!(
            "try {{ return Boolean({expression}) || document.body.innerText.slice(0, 3000); }} \
             catch (error) {{ return String(error); }}"
        );
        wait_until(expression, PATIENCE, async || match self.run(&script).await {
            Value::Bool(true) => Ok(()),
            other => Err(other.as_str().unwrap_or_default().to_owned()),
        })
        .await;
    }

    async fn element(&self, selector: &str) -> String {
        let found = self.ask("element", json!({"using": "css selector", "value": selector})).await;
        let id = found.as_object().and_then(|members| members.values().next());
        id.and_then(Value::as_str).expect("an element has an id").to_owned()
    }

    /// Clicks the first element of a selector, as a mouse does.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.ask(&format!("element/{element}/click"), json!({})).await;
    }

    /// Types into a field, in place of what it holds. `\u{e007}` is Enter.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.ask(&format!("element/{element}/clear"), json!({})).await;
        self.ask(&format!("element/{element}/value"), json!({"text": text})).await;
    }

    /// Drags the mouse over an element, from one point of it to another.
    pub async fn drag(&self, selector: &str, from: (i64, i64), to: (i64, i64)) {
        let script = format!(
            "const box = document.querySelector({selector:?}).getBoundingClientRect(); return [box.x, box.y];"
        );
        let corner = self.run(&script).await;
        let at = |(x, y): (i64, i64)| {
            let place = |side: usize, offset: i64| corner[side].as_f64().unwrap_or_default() as i64 + offset;
            json!({"type": "pointerMove", "duration": 50, "x": place(0, x), "y": place(1, y)})
        };
        let actions = [
            at(from),
            json!({"type": "pointerDown", "button": 0}),
            at(to),
            json!({"type": "pointerUp", "button": 0}),
        ];
        let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.ask("actions", json!({"actions": [mouse]})).await;
    }

    /// Downloads go into this folder.
    pub async fn download_to(&self, folder: &Path) {
        let folder = json!({"behavior": "allow", "downloadPath": folder});
        self.devtools("Browser.setDownloadBehavior", folder).await;
    }

    /// What the console has said since the last look: errors of scripts, of loading, of the content security policy.
    pub async fn console(&self) -> Vec<String> {
        let said = self.ask("se/log", json!({"type": "browser"})).await;
        said.as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    /// A picture of the whole page.
    pub async fn picture(&self, file: &Path) {
        let shot = self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        let bytes = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(file, bytes).expect("write the picture");
    }

    /// Where it keeps its profile and its log.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // a blocking request: the browser is gone before its folder is
        let path = self.session.splitn(4, '/').nth(3).unwrap_or_default();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port.number())) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = write!(stream, "DELETE /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}
