//! A search server of a test's own.

use crate::process::Process;
use crate::scratch::{Port, Scratch, is_free, project};
use crate::search::Search;
use crate::wait::{poll, wait_until};
use rustix::process::Signal;
use std::path::Path;
use std::time::Duration;

const START: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Elasticsearch 9.
    Elasticsearch9,
    /// Elasticsearch 7.17.
    Elasticsearch7,
    /// OpenSearch 3.
    OpenSearch3,
}

impl Engine {
    fn script_name(self) -> &'static str {
        match self {
            Self::Elasticsearch9 => "es9",
            Self::Elasticsearch7 => "es7",
            Self::OpenSearch3 => "opensearch",
        }
    }
}

/// A running search server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct ElasticServer {
    process: Option<Process>,
    engine: Engine,
    settings: Vec<String>,
    port: Port,
    scratch: Scratch,
}

impl ElasticServer {
    /// Starts a server without data and waits until it is healthy.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// The same with settings of the node (`name=value`).
    pub async fn start_with(engine: Engine, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let scratch = Scratch::new(engine.script_name());
        let mut server = Self { process: None, engine, settings, port: Port::claim(), scratch };
        server.boot().await;
        server
    }

    /// Starts a stopped or killed server on the same data and port.
    pub async fn boot(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let port = self.port.number();
        wait_until("the port is free", STOP, async || is_free(port).then_some(()).ok_or("taken".into()))
            .await;
        let mut args = vec![project("scripts/elasticsearch.sh").display().to_string(), "run".to_owned()];
        args.extend([self.engine.script_name().to_owned(), self.dir().display().to_string()]);
        args.push(port.to_string());
        args.extend(self.settings.iter().cloned());
        // Benches run in release and get the compiler of long-lived servers; a test's server lives for seconds.
        let quick = cfg!(debug_assertions) && std::env::var_os("ES_JAVA_OPTS").is_none();
        let java = ("ES_JAVA_OPTS".to_owned(), "-XX:+UseSerialGC -XX:TieredStopAtLevel=1".to_owned());
        let env: Vec<_> = quick.then_some(java).into_iter().collect();
        let mut process = Process::spawn("bash", &args, &env, &self.dir().join("server.log"));
        let search = self.search();
        let up = poll(START, async || {
            if process.ended().is_some() {
                return Ok(false);
            }
            // Yellow: the primaries of all indices are back, so nothing answers 503 any more.
            let path = "/_cluster/health?wait_for_status=yellow&timeout=1s";
            let answer = search.call("GET", path, None).await?;
            if answer.status == 200 { Ok(true) } else { Err(answer.body) }
        });
        let up = up.await;
        assert_eq!(up, Ok(true), "{:?} did not come up; log:\n{}", self.engine, process.log_tail(20));
        self.process = Some(process);
    }

    /// Clean shutdown.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await;
        }
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Freezes the server (SIGSTOP).
    pub fn freeze(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Its folder: `data`, `logs`, `server.log`.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// A client. It belongs to the runtime of the test that asked for it.
    pub fn search(&self) -> Search {
        Search::new(&self.url())
    }
}
