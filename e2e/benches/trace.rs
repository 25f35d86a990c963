//! Speed of `trace` on one large file, beside `mysqlbinlog -v`. Figures are binlog megabytes per wall second; the
//! file is made on a real server and kept in the cache. `make bench` runs it; `BENCH_MB` says how large (default 300).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::mysql::mysqlbinlog;
use e2e::operator::binary;
use e2e::scratch::project;
use e2e::{MysqlOptions, MysqlServer};

const TABLE: &str = "(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, user_id INT NOT NULL, state ENUM('new','paid','sent') \
    NOT NULL, total DECIMAL(12,2), note VARCHAR(200), ref BINARY(16), score DOUBLE, at DATETIME(6), changed TIMESTAMP NULL)";
/// Rows of a transaction.
const ROWS: usize = 45;

fn main() {
    let megabytes: u64 = std::env::var("BENCH_MB").ok().and_then(|mb| mb.parse().ok()).unwrap_or(300);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (binlog, ddl) = runtime.block_on(generated(megabytes));
    let size = std::fs::metadata(&binlog).unwrap().len() as f64 / 1e6;
    println!("binlog of {size:.0} MB, {} cores", std::thread::available_parallelism().map_or(1, usize::from));
    warm(&binlog);
    let (binlog, ddl) = (binlog.to_str().unwrap(), ddl.to_str().unwrap());
    let peer = measured("mysqlbinlog -v", size, || peer(binlog));
    let mut one = Vec::new();
    for threads in ["1", "2"] {
        for (name, args) in [
            ("stats", &["stats"][..]),
            ("sql", &["sql", "--ddl", ddl]),
            ("rollback", &["rollback", "--ddl", ddl]),
            ("rollback --exact", &["rollback", "--exact"]),
        ] {
            let all = [args, &["--threads", threads, binlog]].concat();
            let took = measured(&format!("trace {name}, {threads} thread(s)"), size, || trace(&all));
            let beside = if threads == "1" {
                one.push(took);
                format!("{:.1} times mysqlbinlog -v", peer / took)
            } else {
                format!("{:.2} times one thread", one.remove(0) / took)
            };
            println!("    {beside}");
        }
    }
}

/// Seconds of the best of three runs.
fn measured(name: &str, megabytes: f64, mut run: impl FnMut() -> u64) -> f64 {
    let mut best = f64::MAX;
    let mut memory = 0;
    for _ in 0..3 {
        let started = Instant::now();
        memory = memory.max(run());
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!("{name}: {:.0} MB/s ({best:.2} s), {memory} MiB at most", megabytes / best);
    best
}

/// Runs the release build; its largest resident size in MiB.
fn trace(args: &[&str]) -> u64 {
    let mut child = Command::new(binary())
        .arg("trace")
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the release build");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "trace {args:?}: {ended}");
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn peer(binlog: &str) -> u64 {
    let status = Command::new("bash")
        .arg(project("scripts/mysql.sh"))
        .args(["mysqlbinlog", "--no-defaults", "-v", "--base64-output=DECODE-ROWS", binlog])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    0
}

fn warm(path: &Path) {
    std::io::copy(&mut File::open(path).unwrap(), &mut std::io::sink()).unwrap();
}

/// A binlog of so many megabytes, and its tables' DDL.
async fn generated(megabytes: u64) -> (PathBuf, PathBuf) {
    let cache = std::env::var_os("BINLOG_OPERATOR_CACHE").map_or_else(
        || PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/binlog-operator"),
        PathBuf::from,
    );
    let folder = cache.join(format!("trace-bench-{megabytes}"));
    let (binlog, ddl) = (folder.join("binlog.000001"), folder.join("bench.sql"));
    if binlog.exists() && ddl.exists() {
        return (binlog, ddl);
    }
    let flags =
        MysqlOptions::default().flag("--max-binlog-size=1073741824").flag("--binlog-row-event-max-size=8192");
    let server = MysqlServer::start(flags).await;
    let tables: Vec<String> = (0..4).map(|n| format!("bench.t{n}")).collect();
    let mut setup = vec!["CREATE DATABASE bench".to_owned(), "SET SESSION sql_log_bin = 0".to_owned()];
    setup.extend(tables.iter().map(|table| format!("CREATE TABLE {table} {TABLE}")));
    server.run(&setup).await;
    let file = server.binlogs().await.pop().unwrap();
    let note = "n".repeat(60);
    let mut round = 0_usize;
    while std::fs::metadata(&file).unwrap().len() < megabytes * 1_000_000 {
        let table = &tables[round % tables.len()];
        let mut batch = Vec::new();
        for _ in 0..50 {
            let rows: Vec<String> = (0..ROWS)
                .map(|n| {
                    format!("({n},'paid',{n}.25,'{note}',UNHEX(REPLACE(UUID(),'-','')),RAND(),NOW(6),NOW())")
                })
                .collect();
            batch.push(format!(
                "INSERT INTO {table} (user_id,state,total,note,ref,score,at,changed) VALUES {}",
                rows.join(",")
            ));
            batch.push(format!(
                "UPDATE {table} SET state = 'sent', total = total + 1 ORDER BY id DESC LIMIT {ROWS}"
            ));
            batch.push(format!("DELETE FROM {table} ORDER BY id DESC LIMIT 5"));
        }
        server.run(&batch).await;
        round += 1;
    }
    server.flush_logs().await;
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&ddl, server.dump_ddl("bench")).unwrap();
    let part = folder.join("part");
    std::fs::copy(&file, &part).unwrap();
    std::fs::rename(part, &binlog).unwrap();
    assert!(!mysqlbinlog(&["--no-defaults", "--version"]).is_empty());
    (binlog, ddl)
}
