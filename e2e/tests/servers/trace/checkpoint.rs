//! `--checkpoint`: a trace that is killed and started again writes what one run would have written.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use e2e::operator::binary;
use e2e::process::Process;
use e2e::{Answer, FileServer, MysqlOptions, MysqlServer, Scratch, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use super::inputs::{three_files, with};
use super::rig::trace;

const PATIENCE: Duration = Duration::from_secs(120);

fn start(args: &[&str], scratch: &Scratch) -> Process {
    let args: Vec<String> = ["trace"].iter().chain(args).map(|&arg| arg.to_owned()).collect();
    Process::spawn(binary(), &args, &[], &scratch.path().join("log"))
}

/// The checkpoint's content, once there is one.
fn saved(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Runs to the end, or until the output would be longer than `limit`: there the kernel kills it, in the middle of a
/// write, however fast the machine is. The signal, if it was killed.
async fn run_to(limit: usize, args: &[&str], scratch: &Scratch) -> Option<i32> {
    let limited = format!("ulimit -c 0 && ulimit -f {} && exec \"$@\"", limit.div_ceil(512)); // POSIX: in 512 bytes
    let binary = binary();
    let own = ["-c", &limited, "sh", binary.to_str().unwrap(), "trace"];
    let args: Vec<String> = own.iter().chain(args).map(|&arg| arg.to_owned()).collect();
    let mut run = Process::spawn("sh", &args, &[], &scratch.path().join("log"));
    let status = run.wait(PATIENCE).await.expect("it ends");
    assert!(status.success() || status.signal().is_some(), "{}", run.log_tail(20));
    status.signal()
}

/// Waits until the checkpoint is as wanted, then kills the run.
async fn kill_when(run: &mut Process, path: &Path, wanted: impl Fn(&Value) -> bool) {
    wait_until("the checkpoint", PATIENCE, async || {
        assert!(run.ended().is_none(), "it ended by itself: {}", run.log_tail(20));
        match saved(path) {
            Some(found) if wanted(&found) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    run.kill9();
}

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    std::fs::File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

struct Ground {
    scratch: Scratch,
    out: PathBuf,
    checkpoint: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let scratch = Scratch::new("trace-checkpoint");
        let (out, checkpoint) = (scratch.path().join("out"), scratch.path().join("checkpoint"));
        Self { scratch, out, checkpoint }
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let own = ["--out", self.out.to_str().unwrap(), "--checkpoint", self.checkpoint.to_str().unwrap()];
        [args, &own].concat()
    }

    /// Marks what is written already: who begins anew writes over it.
    fn mark(&self) {
        use std::os::unix::fs::FileExt as _;
        std::fs::File::options().write(true).open(&self.out).unwrap().write_all_at(b"#", 0).unwrap();
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }
}

#[tokio::test]
async fn urls_are_gone_on_with_after_a_kill() {
    let (_server, _scratch, files) = three_files(MysqlOptions::default()).await;
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    // the third file stops within its first event, and its rest is not answered before it may be
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = Arc::clone(&gate);
    let served = contents.clone();
    let http = FileServer::start(move |asked| {
        let index: usize = asked.path.rsplit('.').next().unwrap().parse().unwrap();
        let bytes = &served[index - 1];
        if index < 3 {
            return Answer::file(bytes, asked);
        }
        if !asked.headers.contains_key("range") && !*gate.0.lock().unwrap() {
            return Answer::file(bytes, asked).broken_after(20);
        }
        let _open = gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap();
        Answer::file(bytes, asked)
    });
    let urls: Vec<String> = (1..=3).map(|index| format!("{}/binlog.00000{index}", http.url())).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let whole = trace(&with(&["sql"], &files)).ok();

    let ground = Ground::new();
    let args = ground.args(&[&["sql"], &urls[..]].concat());
    let mut run = start(&args, &ground.scratch);
    kill_when(&mut run, &ground.checkpoint, |found| found["place"]["input"] == 1).await;
    append(&ground.out, b"INSERT INTO torn VAL");
    *opened.0.lock().unwrap() = true;
    opened.1.notify_all();
    let before = http.asked().len();
    let ran = trace(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ground.output(), whole);
    let asked = &http.asked()[before..];
    assert!(
        asked.iter().all(|asked| !asked.path.ends_with('1')),
        "the first file is not read again: {asked:?}"
    );
    let again = asked.iter().find(|asked| asked.path.ends_with('2')).unwrap();
    assert!(again.headers.contains_key("range"), "of the second no more than its head and its rest");

    let done = trace(&args);
    assert!(done.code == 0 && done.err.contains("nothing is left to do"), "{}", done.err);
    assert_eq!(ground.output(), whole);
    let other = trace(&ground.args(&[&["sql", "--database", "d"], &urls[..]].concat()));
    assert!(other.code == 1 && other.err.contains("with other options"), "{}", other.err);
    assert_eq!(ground.output(), whole, "a refusal leaves the output alone");
}

/// Transactions of some megabytes in all, with DDL between them.
async fn large(server: &MysqlServer) {
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)"]).await;
    let rows = "INSERT INTO d.t (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
                SELECT REPEAT('x', 1000) FROM n";
    for round in 0..12 {
        server.run(&[rows, rows, &format!("ALTER TABLE d.t ADD COLUMN c{round} INT")]).await;
        if round % 4 == 3 {
            server.flush_logs().await;
        }
    }
}

#[tokio::test]
async fn files_are_gone_on_with_after_every_kill() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    large(&server).await;
    let mut files = server.binlogs().await;
    files.pop();
    let packed: Vec<PathBuf> = files
        .iter()
        .map(|file| {
            let status = std::process::Command::new("gzip").arg("-k").arg(file).status().unwrap();
            assert!(status.success());
            PathBuf::from(format!("{}.gz", file.display()))
        })
        .collect();
    for (verb, files) in [("sql", &files), ("events", &files), ("sql", &packed)] {
        let whole = trace(&with(&[verb, "--threads", "2"], files)).ok();
        let ground = Ground::new();
        let args = ground.args(&with(&[verb, "--threads", "2"], files));
        let mut marked = false;
        for eighth in 1..8 {
            if !marked && saved(&ground.checkpoint).is_some_and(|saved| saved["output"].as_u64() > Some(0)) {
                ground.mark();
                marked = true;
            }
            let signal = run_to(eighth * whole.len() / 8, &args, &ground.scratch).await;
            assert_eq!(signal, Some(Signal::XFSZ.as_raw()), "{verb}, {eighth} eighths of its output");
        }
        assert!(marked, "{verb} kept no place");
        assert_eq!(run_to(whole.len(), &args, &ground.scratch).await, None, "{verb} comes to its end");
        let output = ground.output();
        assert!(output.starts_with('#'), "{verb} began anew");
        assert!(output[1..] == whole[1..], "{verb} goes on with what is there");
    }
}

#[tokio::test]
async fn a_followed_server_is_gone_on_with() {
    let server = MysqlServer::start(MysqlOptions { full_metadata: true, ..MysqlOptions::default() }).await;
    server
        .run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"])
        .await;
    let url = format!("mysql://root@127.0.0.1:{}/", server.port());
    let ground = Ground::new();
    let args = ground.args(&["sql", "--from", &url, "--follow"]);
    for id in 2..5 {
        let mut run = start(&args, &ground.scratch);
        server.run(&[format!("INSERT INTO d.t VALUES ({id})")]).await;
        wait_until("the row", PATIENCE, async || {
            assert!(run.ended().is_none(), "{}", run.log_tail(20));
            let row = format!("VALUES ({id});");
            if ground.output().contains(&row) { Ok(()) } else { Err(ground.output()) }
        })
        .await;
        run.kill9();
        ground.mark();
        if id == 3 {
            server.flush_logs().await;
        }
    }
    let inserts: Vec<String> =
        ground.output().lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect();
    let expected: Vec<String> =
        (1..5).map(|id| format!("INSERT INTO `d`.`t` (`id`) VALUES ({id});")).collect();
    assert_eq!(inserts, expected, "each once");
    assert!(ground.output().starts_with('#'), "it began anew");

    let other = MysqlServer::start(MysqlOptions::default()).await;
    let url = format!("mysql://root@127.0.0.1:{}/", other.port());
    let ran = trace(&ground.args(&["sql", "--from", &url, "--follow"]));
    assert!(ran.code == 1 && ran.err.contains("it is of other input: of server"), "{}", ran.err);
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_is_refused() {
    let (_server, _scratch, files) = three_files(MysqlOptions::default()).await;
    let ground = Ground::new();
    for verb in ["rollback", "stats"] {
        let ran = trace(&ground.args(&with(&[verb], &files)));
        assert!(ran.code == 1 && ran.err.contains("only sql and events can go on"), "{verb}: {}", ran.err);
    }
    let ran = trace(&with(&["sql", "--checkpoint", "x"], &files));
    assert!(ran.code == 2 && ran.err.contains("--out"), "{}", ran.err);

    // a cut input leaves a checkpoint; the same name with another content is not gone on with, the whole file is
    let copy = ground.scratch.path().join(files[0].file_name().unwrap());
    let (first, second) = (std::fs::read(&files[0]).unwrap(), std::fs::read(&files[1]).unwrap());
    std::fs::write(&copy, &first[..first.len() - 400]).unwrap();
    let args = ground.args(&["sql", copy.to_str().unwrap()]);
    assert_eq!(trace(&args).code, 3);
    std::fs::write(&copy, &second).unwrap();
    let ran = trace(&args);
    assert!(ran.code == 1 && ran.err.contains("another file now"), "{}", ran.err);
    std::fs::write(&copy, &first).unwrap();
    assert_eq!(trace(&args).code, 0);
    assert_eq!(ground.output(), trace(&["sql", files[0].to_str().unwrap()]).ok());
}
