//! Speed of the decoder on one core (by processor time: the machine may be shared), beside `mysqlbinlog -v` on the same file: `make bench`, or
//! `cargo bench -p e2e --bench decoder`. `BINLOG=FILE` measures a file that is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binlog_operator::binlog::{BinlogFile, Body, Decoder, RowVisitor};
use binlog_operator::model::Value;
use e2e::scratch::project;
use e2e::{MysqlOptions, MysqlServer};

const BYTES: u64 = 300_000_000;

/// Rows of a shop: numbers, a decimal, times, text.
const SCHEMA: &[&str] = &[
    "CREATE DATABASE d",
    "CREATE TABLE d.orders (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, user_id INT UNSIGNED NOT NULL,
       status ENUM('new','paid','shipped') NOT NULL, total DECIMAL(12,2) NOT NULL, note VARCHAR(200),
       address VARCHAR(300) NOT NULL, weight DOUBLE, flags TINYINT, token BINARY(16), day DATE,
       created_at DATETIME(6) NOT NULL, updated_at TIMESTAMP(3) NULL, body TEXT)",
    "SET SESSION cte_max_recursion_depth = 10000000",
    "INSERT INTO d.orders (user_id, status, total, note, address, weight, flags, token, day, created_at,
       updated_at, body)
     WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
     SELECT i * 7, 1 + i % 3, i * 1.37, IF(i % 5, NULL, CONCAT('note ', i)), REPEAT(CONCAT('street ', i), 5),
       i / 3e0, i % 100, UNHEX(LPAD(HEX(i), 32, 'a')), '2026-11-21', '2026-11-21 12:00:00.123456',
       '2026-11-21 12:00:00.5', REPEAT('text ', 20) FROM n",
];

#[derive(Default)]
struct Sum {
    rows: u64,
    values: u64,
    check: u64,
}

impl RowVisitor for Sum {
    fn image(&mut self, _after: bool) {
        self.rows += 1;
    }

    #[inline]
    fn value(&mut self, _column: usize, value: &Value<'_>) {
        self.values += 1;
        self.check = self.check.wrapping_add(match value {
            Value::Int(v) => *v as u64,
            Value::UInt(v) | Value::Set(v) | Value::Bit(v) => *v,
            Value::Double(v) => v.to_bits(),
            Value::Decimal(v) => v.len() as u64,
            Value::Bytes(v) => v.len() as u64,
            Value::DateTime { micros, second, .. } => u64::from(*micros + u32::from(*second)),
            Value::Timestamp { seconds, .. } => u64::from(*seconds),
            Value::Date { day, .. } => u64::from(*day),
            _ => 1,
        });
    }
}

#[derive(Clone, Copy)]
enum Work {
    Frames,
    Checked,
    Columns,
    Visit,
    Collect,
}

fn run(path: &Path, work: Work) -> (f64, Sum) {
    let begun = own_seconds();
    let mut file = BinlogFile::open(path).unwrap();
    let mut decoder = Decoder::new();
    decoder.set_file(file.name());
    let mut sum = Sum::default();
    let mut raw = decoder.spare();
    while file.read_raw(&mut raw).unwrap() {
        if matches!(work, Work::Frames) {
            sum.check += raw.bytes.len() as u64;
            continue;
        }
        decoder.push(raw);
        while let Some(event) = decoder.next().unwrap() {
            let Body::Rows(rows) = &event.body else { continue };
            match work {
                Work::Frames | Work::Checked => {}
                Work::Visit => rows.visit(&mut sum).unwrap(),
                Work::Columns | Work::Collect => {
                    let wanted = if rows.table.columns.len() > 1 { &[0, 1][..] } else { &[0] };
                    let mut rest = rows.rows();
                    let mut out = Vec::new();
                    while let Some(row) = rest.next().unwrap() {
                        for image in [row.before, row.after].into_iter().flatten() {
                            sum.rows += 1;
                            out.clear();
                            match work {
                                Work::Columns => image.read(wanted, &mut out).unwrap(),
                                _ => image.read_all(&mut out).unwrap(),
                            }
                            sum.values += out.len() as u64;
                        }
                    }
                }
            }
        }
        raw = decoder.spare();
    }
    (own_seconds() - begun, sum)
}

/// Processor time of this thread.
fn own_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Processor time of child processes that have ended.
fn children_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // cutime and cstime, in hundredths.
    fields.iter().skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Grows a binlog on a real server: inserts, then updates (two images each) and deletes.
async fn generate(server: &MysqlServer) -> PathBuf {
    server.run(SCHEMA).await;
    loop {
        let (file, offset, _) = server.position().await;
        if offset >= BYTES {
            server.flush_logs().await;
            return server.dir().join(file);
        }
        server.run(&["UPDATE d.orders SET total = total + 1, flags = NULL, updated_at = NOW(3)"]).await;
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let given = std::env::var_os("BINLOG").map(PathBuf::from);
    let server = given
        .is_none()
        .then(|| runtime.block_on(MysqlServer::start(MysqlOptions::default().flag("--max-binlog-size=1G"))));
    let path = given.unwrap_or_else(|| runtime.block_on(generate(server.as_ref().unwrap())));
    let megabytes = path.metadata().unwrap().len() as f64 / 1e6;
    println!("{}: {megabytes:.1} MB", path.display());
    let report = |name: &str, seconds: f64, sum: &Sum| {
        println!("{name:36} {:8.0} MB/s   {} images, {} values", megabytes / seconds, sum.rows, sum.values);
    };
    let works = [
        ("framing", Work::Frames),
        ("framing, checksums, events", Work::Checked),
        ("two columns of all rows", Work::Columns),
        ("all columns of all rows, collected", Work::Collect),
        ("all columns of all rows, visited", Work::Visit),
    ];
    let mut ours = f64::MAX;
    for (name, work) in works {
        let (seconds, sum) = (0..3).map(|_| run(&path, work)).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        report(name, seconds, &sum);
        ours = seconds;
    }
    let begun = children_seconds();
    let mysqlbinlog = Command::new("bash")
        .arg(project("scripts/mysql.sh"))
        .args(["mysqlbinlog", "--no-defaults", "-v", "--base64-output=DECODE-ROWS"])
        .arg(&path)
        .stdout(Stdio::null())
        .status();
    assert!(mysqlbinlog.unwrap().success());
    let theirs = children_seconds() - begun;
    println!("{:36} {:8.0} MB/s", "mysqlbinlog -v", megabytes / theirs);
    println!("ratio {:.1}", theirs / ours);
}
