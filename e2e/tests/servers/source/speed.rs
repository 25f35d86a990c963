//! What reading costs beyond the mysql client doing the same. Prints figures; run it alone and in release:
//! `cargo test --release --workspace --features e2e/long --test servers -- --nocapture speed`.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use binlog_operator::model::Key;
use binlog_operator::source::{KeyedQuery, Reader, RecordError, Visibility};
use e2e::{MysqlOptions, MysqlServer, Shop, Size};

use super::{marks, source_of};

const ORDERS: i64 = 100_000;
const PAGE: usize = 500;

/// User and system time of this process (`self`) or of its ended children, in seconds.
fn cpu(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let first = if children { 13 } else { 11 };
    fields[first..first + 2].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

async fn ours(reader: &mut Reader, shop: &Shop, visible: &Visibility) -> (f64, f64, usize) {
    let sql = shop.sql();
    let sql_for = |n: usize| sql.replace(":ids", &marks(n));
    let query = KeyedQuery { name: "orders", sql_for: &sql_for, key_output: &[0] };
    let keys: Vec<Key> = (1..=ORDERS).map(Key::int).collect();
    let mut body: Vec<u8> = Vec::new();
    let mut sink = |_: Key, json: Result<&[u8], RecordError>| {
        body.extend_from_slice(json.unwrap());
        body.push(b'\n');
    };
    let (begun, before) = (Instant::now(), cpu(false));
    let mut rows = 0;
    for page in keys.chunks(PAGE) {
        rows += reader.read(&query, page, visible, &mut sink).await.unwrap().rows;
    }
    assert_eq!(rows, usize::try_from(ORDERS).unwrap());
    (begun.elapsed().as_secs_f64(), cpu(false) - before, body.len())
}

fn client(server: &MysqlServer, shop: &Shop) -> (f64, f64) {
    let sql = shop.sql();
    let keys: Vec<String> = (1..=ORDERS).map(|id| id.to_string()).collect();
    let mut input = String::new();
    for page in keys.chunks(PAGE) {
        let _ = writeln!(input, "{};", sql.replace(":ids", &page.join(",")));
    }
    let file = server.dir().join("pages.sql");
    std::fs::write(&file, input).unwrap();
    let (begun, before) = (Instant::now(), cpu(true));
    let port = format!("-P{}", server.port());
    let done = Command::new("bash")
        .arg(e2e::scratch::project("scripts/mysql.sh"))
        .args(["client", "--no-defaults", "-uroot", "-h127.0.0.1", &port, "-N"])
        .stdin(std::fs::File::open(file).unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success());
    (begun.elapsed().as_secs_f64(), cpu(true) - before)
}

#[tokio::test]
async fn speed_of_reading_in_pages() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let size = Size { users: 5_000, orders: ORDERS.unsigned_abs(), items_per_order: 3 };
    let shop = Shop::create(server.opts(), "shop", size).await;
    let mut reader = source_of(&server, "sync", "sync-pw").reader().await.unwrap();
    let visible = Visibility::Gtids(server.position().await.2.into());
    client(&server, &shop);
    for round in 1..=5 {
        let (raw, raw_cpu) = client(&server, &shop);
        let (time, time_cpu, bytes) = ours(&mut reader, &shop, &visible).await;
        let (bare, bare_cpu, _) = ours(&mut reader, &shop, &Visibility::Nothing).await;
        let rate = |seconds: f64| ORDERS as f64 / seconds / 1000.0;
        println!(
            "round {round}: client {:.1}k rows/s ({raw_cpu:.2} s CPU), reader with wait {:.1}k ({time_cpu:.2} s), \
             without {:.1}k ({bare_cpu:.2} s), ratio {:.2}, {bytes} bytes",
            rate(raw),
            rate(time),
            rate(bare),
            raw / time,
        );
    }
    let one = [Key::int(77)];
    let sql = shop.sql();
    let sql_for = |n: usize| sql.replace(":ids", &marks(n));
    let query = KeyedQuery { name: "orders", sql_for: &sql_for, key_output: &[0] };
    for (name, visible) in [("with wait", &visible), ("without", &Visibility::Nothing)] {
        let mut took: Vec<u128> = Vec::new();
        for _ in 0..2000 {
            let begun = Instant::now();
            reader.read(&query, &one, visible, &mut |_, _| {}).await.unwrap();
            took.push(begun.elapsed().as_micros());
        }
        took.sort_unstable();
        println!("one row {name}: p50 {} µs, p99 {} µs", took[1000], took[1980]);
    }
}
