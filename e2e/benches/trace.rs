//! Speed of `trace` on one large file, beside `mysqlbinlog -v` in the same round: binlog megabytes per second of the
//! wall clock on one core, and of processor time (the machine may be shared), how many times as fast two cores are, and the
//! largest resident size. The file is made on a real server and kept in the cache. `make bench` runs it; `BENCH_MB` says how
//! large (default 300), `ROUNDS` how often (default 5), `ONLY=sql` which works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use binlog_operator::binlog::{BinlogFile, EventType};
use e2e::mysql::mysqlbinlog;
use e2e::operator::binary;
use e2e::scratch::project;
use e2e::{MysqlOptions, MysqlServer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const TABLE: &str = "(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, user_id INT NOT NULL, state ENUM('new','paid','sent') \
    NOT NULL, total DECIMAL(12,2), note VARCHAR(200), ref BINARY(16), score DOUBLE, at DATETIME(6), changed TIMESTAMP NULL)";
/// Rows of a transaction.
const ROWS: usize = 45;
/// Megabytes that a server writes into one binlog.
const LONGEST: u64 = 1000;
/// How often a running process is asked for its size. Its largest so far is what it says, so the last answer counts.
const SAMPLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// One run of one work.
#[derive(Clone, Copy)]
struct Run {
    wall: f64,
    cpu: f64,
    /// In MiB.
    memory: u64,
}

fn main() {
    let megabytes = number("BENCH_MB", 300);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (binlog, ddl) = runtime.block_on(generated(megabytes));
    let size = std::fs::metadata(&binlog).unwrap().len() as f64 / 1e6;
    let rounds = number("ROUNDS", 5);
    println!(
        "binlog of {size:.0} MB, {} cores, medians of {rounds} rounds",
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    warm(&binlog);
    let works = works(binlog.to_str().unwrap(), ddl.to_str().unwrap());
    let mut runs: Vec<Vec<[Run; 2]>> = vec![Vec::new(); works.len()];
    let mut peers = Vec::new();
    for _ in 0..rounds {
        peers.push(peer(binlog.to_str().unwrap()));
        for ((_, args), runs) in works.iter().zip(&mut runs) {
            runs.push([1, 2].map(|cores| trace(args, cores)));
        }
    }
    println!(
        "| work | MB/s of wall time | MB/s of processor time | times `mysqlbinlog -v` | two cores | MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let of = |figure: &dyn Fn(usize) -> f64| median((0..peers.len()).map(figure).collect());
    let peer = |n: usize| peers[n];
    println!(
        "| `mysqlbinlog -v` | {:.0} | {:.0} | | | |",
        size / of(&|n| peer(n).wall),
        size / of(&|n| peer(n).cpu)
    );
    for ((name, _), runs) in works.iter().zip(&runs) {
        println!(
            "| {name} | {:.0} | {:.0} | {:.1} | {:.2} | {} |",
            size / of(&|n| runs[n][0].wall),
            size / of(&|n| runs[n][0].cpu),
            of(&|n| peer(n).cpu / runs[n][0].cpu),
            of(&|n| runs[n][0].wall / runs[n][1].wall),
            runs.iter().flatten().map(|run| run.memory).max().unwrap_or(0),
        );
    }
}

/// What is measured, with the arguments of `trace`.
fn works(binlog: &str, ddl: &str) -> Vec<(&'static str, Vec<String>)> {
    let only = std::env::var("ONLY").unwrap_or_default();
    [
        ("`stats`", &["stats"][..]),
        ("`stats --ddl`, which counts hot rows", &["stats", "--ddl", ddl]),
        ("`sql`", &["sql", "--ddl", ddl]),
        ("`rollback`", &["rollback", "--ddl", ddl]),
        ("`rollback --exact`", &["rollback", "--exact"]),
        ("`events`", &["events"]),
    ]
    .into_iter()
    .filter(|(name, _)| name.contains(&only))
    .map(|(name, args)| (name, args.iter().chain(&[binlog]).map(ToString::to_string).collect()))
    .collect()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A run of the release build on so many cores, with as many threads that decode: without being bound to one core a single
/// one would have another for what is written.
fn trace(args: &[String], cores: usize) -> Run {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &own_cores()[..cores].join(",")]).arg(binary());
    command.arg("trace").args(args).args(["--threads", &cores.to_string()]);
    run(command)
}

/// The numbers of the cores that this process may use.
fn own_cores() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    };
    list.split(',').flat_map(range).map(|core| core.to_string()).collect()
}

fn peer(binlog: &str) -> Run {
    let mut command = Command::new("bash");
    command
        .arg(project("scripts/mysql.sh"))
        .args(["mysqlbinlog", "--no-defaults", "-v", "--base64-output=DECODE-ROWS"])
        .arg(binlog);
    run(command)
}

fn run(mut command: Command) -> Run {
    let started = Instant::now();
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the release build, bash");
    let memory = largest_until_end(&child);
    let wall = started.elapsed().as_secs_f64();
    let cpu = seconds(&child);
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{command:?}: {ended}");
    Run { wall, cpu, memory }
}

/// Waits for the end of a process, without collecting it; its largest resident size in MiB.
fn largest_until_end(child: &Child) -> u64 {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut largest = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        largest = largest.max(kib.unwrap_or(0) / 1024);
        let mut ended = [PollFd::new(&handle, PollFlags::IN)];
        if poll(&mut ended, Some(&SAMPLE)).unwrap() > 0 {
            return largest;
        }
    }
}

/// Processor time of a process that has ended and was not collected, and of its children.
fn seconds(child: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime, stime, cutime and cstime, in hundredths
    fields[11..15].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn warm(path: &Path) {
    std::io::copy(&mut File::open(path).unwrap(), &mut std::io::sink()).unwrap();
}

/// A binlog of so many megabytes, and its tables' DDL. Where it is longer than a server lets one become, it is
/// a shorter one whose transactions come again and again.
async fn generated(megabytes: u64) -> (PathBuf, PathBuf) {
    if megabytes <= LONGEST {
        return written(megabytes).await;
    }
    let (short, ddl) = written(300).await;
    let long = short.with_file_name(format!("binlog-of-{megabytes}"));
    if !long.exists() {
        let part = short.with_file_name("part");
        repeated(&short, &part, megabytes);
        std::fs::rename(part, &long).unwrap();
    }
    (long, ddl)
}

fn repeated(short: &Path, long: &Path, megabytes: u64) {
    let mut out = BufWriter::new(File::create(long).unwrap());
    out.write_all(b"\xfebin").unwrap();
    let mut written = 0;
    while written < megabytes * 1_000_000 {
        let mut file = BinlogFile::open(short).unwrap();
        let mut begun = written == 0;
        while let Some(raw) = file.next_raw().unwrap() {
            let event_type = EventType(raw.bytes[4]);
            begun |= event_type == EventType::GTID;
            if begun && event_type != EventType::ROTATE {
                out.write_all(&raw.bytes).unwrap();
                written += raw.bytes.len() as u64;
            }
        }
    }
    out.flush().unwrap();
}

async fn written(megabytes: u64) -> (PathBuf, PathBuf) {
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
