//! Child processes that die with the test process, and signals to them.

use crate::wait::poll;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel's parent-death signal follows the *thread* that made the child, and a test's thread ends
/// before the process does: one thread that never ends makes all children.
fn spawner() -> &'static Mutex<mpsc::Sender<Request>> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Request>>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    })
}

/// A running child process whose output goes to a log file. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its output is appended to `log`.
    pub fn spawn(program: impl AsRef<Path>, args: &[String], env: &[(String, String)], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("log file");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref()).args(args);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("log file")).stderr(out);
        let (answer, child) = mpsc::channel();
        spawner().lock().unwrap().send((command, answer)).expect("the spawner never ends");
        let child = child.recv().expect("the spawner answers").expect("setpriv (util-linux) is needed");
        Self { child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; a process that is already gone is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for the child")
    }

    /// Waits for its end; `None` when it still runs after `timeout`.
    pub async fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        poll(timeout, async || self.ended().ok_or_else(String::new)).await.ok()
    }

    /// SIGTERM, then its end; killed (and the test failed) when it does not end in time.
    pub async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        if let Some(status) = self.wait(timeout).await {
            return status;
        }
        self.kill9();
        panic!("no end within {timeout:?} after SIGTERM; log:\n{}", self.log_tail(30));
    }

    /// The whole log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Processor time used so far: `utime` and `stime` of proc(5), in its hundredths of a second.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // the second member, the program's name, may hold blanks; the 14th and the 15th are the times
        let (_, members) = stat.rsplit_once(')').unwrap_or_default();
        let ticks = members.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Runs a script of the project to its end and returns what it printed; fails the test when it fails.
pub fn script(name: &str, args: &[&str]) -> String {
    let output = Command::new("bash")
        .arg(crate::scratch::project("scripts").join(name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
