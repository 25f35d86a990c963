//! The operator's own process: `binlog-operator run` or `operator`, and its one-shot commands.

use crate::cluster::Namespace;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::scratch::{Port, Scratch};
use crate::search::{Answer, Search};
use crate::stage::PATIENCE;
use crate::wait::poll;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary that cargo built beside the tests (`make e2e` builds it first); `BINLOG_OPERATOR_BIN` wins.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BINLOG_OPERATOR_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let path = profile.join("binlog-operator");
    assert!(path.exists(), "{} is not built: cargo build --bin binlog-operator", path.display());
    path
}

/// The binary, killed where it does not end in time, which no test takes for an answer.
pub fn program() -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", &PATIENCE.as_secs().to_string()]).arg(binary());
    command
}

/// Runs it to its end; again where a server was too busy to answer it in time: one-shot commands leave that to whoever
/// asks.
pub fn answered(command: &mut Command) -> Output {
    let begun = Instant::now();
    loop {
        let output = command.output().expect("timeout (coreutils)");
        let busy = [&output.stdout, &output.stderr].into_iter().any(|said| {
            let said = String::from_utf8_lossy(said);
            ["no answer within", "deadline has elapsed"].iter().any(|words| said.contains(words))
        });
        if !busy || begun.elapsed() > PATIENCE {
            return output;
        }
    }
}

/// Runs a command such as `explain -f FILE` or `check -f FILE` to its end.
pub fn command(args: &[&str]) -> Output {
    answered(program().args(args).stdin(Stdio::null()))
}

/// A running `binlog-operator run` or `operator`. Dropping it kills it; its state is kept by `state_dir`'s owner.
#[derive(Debug)]
pub struct Operator {
    process: Option<Process>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    port: Port,
    http: Search,
    scratch: Scratch,
}

impl Operator {
    /// Starts it on a task file and a state folder, with more arguments if wanted.
    pub fn start(file: &Path, state_dir: &Path, extra: &[&str]) -> Self {
        let (file, state_dir) = (file.display().to_string(), state_dir.display().to_string());
        let args = [&["run", "-f", &file, "--state-dir", &state_dir], extra].concat();
        Self::launch(&args, Vec::new())
    }

    /// Starts `operator` for a namespace of a cluster, with its service account's token and nothing else.
    pub fn in_cluster(space: &Namespace<'_>, extra: &[&str]) -> Self {
        let namespace = ["--namespace", &space.name, "--lease-namespace", &space.name];
        let lease = ["--lease-name", Namespace::RELEASE];
        let args = [&["operator"], namespace.as_slice(), &lease, extra].concat();
        let kubeconfig = space.kubeconfig().display().to_string();
        Self::launch(&args, vec![("KUBECONFIG".to_owned(), kubeconfig)])
    }

    fn launch(args: &[&str], mut env: Vec<(String, String)>) -> Self {
        let port = Port::claim();
        let listen = format!("127.0.0.1:{}", port.number());
        let args = [args, &["--listen", &listen]].concat().iter().map(|&arg| arg.to_owned()).collect();
        let http = Search::new(&format!("http://{listen}"));
        let level = std::env::var("E2E_LOG").unwrap_or_else(|_| "info".to_owned());
        env.extend([("RUST_LOG".to_owned(), level), ("RUST_BACKTRACE".to_owned(), "1".to_owned())]);
        let scratch = Scratch::new("operator");
        let mut operator = Self { process: None, args, env, port, http, scratch };
        operator.boot();
        operator
    }

    /// Starts it again after it has ended, with the same arguments.
    pub fn boot(&mut self) {
        assert!(self.process.is_none(), "the operator runs already");
        self.process = Some(Process::spawn(binary(), &self.args, &self.env, &self.log_path()));
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// SIGTERM; the exit code once it has ended.
    pub async fn terminate(&mut self, timeout: Duration) -> Option<i32> {
        match self.process.take() {
            Some(mut process) => process.terminate(timeout).await.code(),
            None => None,
        }
    }

    /// Waits for its end by itself; the exit code.
    pub async fn exit(&mut self, timeout: Duration) -> Option<i32> {
        let mut process = self.process.take().expect("the operator runs");
        let ended = process.wait(timeout).await;
        ended.unwrap_or_else(|| panic!("no end within {timeout:?}; log:\n{}", process.log_tail(40))).code()
    }

    /// Freezes it (SIGSTOP).
    pub fn freeze(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the operator runs")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.running().resident_kib()
    }

    /// Processor time used so far.
    pub fn processor_time(&self) -> Duration {
        self.running().processor_time()
    }

    /// The port of `--listen`.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("operator.log")
    }

    /// Everything it has printed, over all its lives.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// The last lines that it printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// GET of `/healthz`, `/readyz`, `/metrics`; `Err` when nobody answers.
    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.http.call("GET", path, None).await
    }

    /// `/metrics`, read.
    pub async fn metrics(&self) -> Result<Metrics, String> {
        Ok(Metrics::parse(&self.get("/metrics").await?.body))
    }

    /// `Ok` when `/readyz` says 200, else its text.
    pub async fn ready(&self) -> Result<(), String> {
        let answer = self.get("/readyz").await?;
        if answer.status == 200 { Ok(()) } else { Err(format!("HTTP {}: {}", answer.status, answer.body)) }
    }

    /// Waits for a condition; a failure shows the end of the log.
    pub async fn wait_until<T>(
        &self,
        what: &str,
        timeout: Duration,
        condition: impl AsyncFnMut() -> Result<T, String>,
    ) -> T {
        match poll(timeout, condition).await {
            Ok(value) => value,
            Err(last) => panic!(
                "waited {timeout:?} in vain for: {what}\nlast answer: {last}\nlog:\n{}",
                self.log_tail(60)
            ),
        }
    }

    /// Waits until `/readyz` says 200.
    pub async fn wait_ready(&self, timeout: Duration) {
        self.wait_until("ready", timeout, async || self.ready().await).await;
    }
}
