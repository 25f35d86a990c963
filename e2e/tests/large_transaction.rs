//! Memory does not follow the size of a transaction. A test binary of its own: peaks belong to a process.
#![allow(clippy::unwrap_used, clippy::panic)]

use binlog_operator::binlog::{BinlogError, Body, Decoder, Stream, StreamOptions, StreamStart};
use binlog_operator::model::GtidSet;
use e2e::{MysqlOptions, MysqlServer};

/// The process's peak of resident memory in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_compressed_transaction_of_300_mb_takes_a_few() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&[
            "CREATE DATABASE d",
            // keeps nothing, logs everything
            "CREATE TABLE d.big (id INT PRIMARY KEY, v LONGBLOB) ENGINE = BLACKHOLE",
            "SET SESSION binlog_transaction_compression = ON",
            "INSERT INTO d.big WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 300)
               SELECT i, REPEAT(CONCAT('row ', i, ' '), 1000000 / (5 + LENGTH(i))) FROM n",
        ])
        .await;
    let mut options = StreamOptions::new(0x8000_0001);
    options.end_at_eof = true;
    let start = StreamStart::Gtids(GtidSet::default());
    let mut stream = Stream::open(&server.login(), &start, options).await.unwrap();
    let before = peak();
    let (mut rows, mut size, mut decoder) = (0, 0, Decoder::new());
    loop {
        match stream.next_raw().await {
            Ok(raw) => decoder.push(raw),
            Err(BinlogError::Ended { .. }) => break,
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = decoder.next().unwrap() {
            if let Body::Payload { uncompressed_size } = event.body {
                size += uncompressed_size.unwrap();
            }
            rows += u32::from(matches!(event.body, Body::Rows(_)));
        }
    }
    let grown = (peak() - before) / 1024;
    println!("{rows} rows events in {} MB: {grown} MiB more than before", size / 1_000_000);
    assert!(rows >= 300 && size > 290_000_000, "{rows} rows events, {size} bytes");
    assert!(grown < 40, "{grown} MiB");
}
