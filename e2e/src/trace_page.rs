//! `binlog-operator trace serve`, running.

use crate::operator::binary;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::stage::PATIENCE;
use crate::wait::wait_until;
use std::path::Path;

/// A page over binlogs. Dropping it kills it.
#[derive(Debug)]
pub struct TracePage {
    process: Process,
    url: String,
    client: reqwest::Client,
    scratch: Scratch,
}

impl TracePage {
    /// Starts it on a free port and waits for its address.
    pub async fn start(args: &[&str]) -> Self {
        let scratch = Scratch::new("trace-page");
        let args: Vec<String> = ["trace", "serve", "--listen", "127.0.0.1:0"]
            .iter()
            .chain(args)
            .map(|&arg| arg.to_owned())
            .collect();
        let log: &Path = &scratch.path().join("log");
        let copies = [("TMPDIR".to_owned(), scratch.path().display().to_string())];
        let mut process = Process::spawn(binary(), &args, &copies, log);
        let url = wait_until("the page's address", PATIENCE, async || {
            let said = process.log();
            assert!(process.ended().is_none(), "trace serve ended: {said}");
            let url = said.lines().find(|line| line.starts_with("http://")).map(str::to_owned);
            url.ok_or(said)
        })
        .await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { process, url, client, scratch }
    }

    /// `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client without a proxy.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Folders of binlogs that it has copied.
    pub fn copies(&self) -> usize {
        let entries = std::fs::read_dir(self.scratch.path()).expect("its folder");
        entries.flatten().filter(|entry| entry.path().is_dir()).count()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The answer to a question (`api/...`): its status and its text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.expect("the page answers");
        (answer.status().as_u16(), answer.text().await.unwrap_or_else(|error| error.to_string()))
    }

    /// Ends it by SIGTERM and gives its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.process.terminate(PATIENCE).await.code()
    }
}
