//! Invariant 2: no transaction before the start position is invisible to a read that begins after it.

use binlog_operator::model::Key;
use binlog_operator::source::Visibility;
use e2e::{MysqlOptions, MysqlServer};

use super::stall::Stall;
use super::{read, source_of};

const QUERY: &str = "SELECT id, v FROM start.t WHERE id IN (:ids)";

async fn server(gtid: bool) -> MysqlServer {
    let server = MysqlServer::start(MysqlOptions { gtid, ..MysqlOptions::default() }).await;
    server
        .run(&[
            "CREATE DATABASE start",
            "CREATE TABLE start.t (id INT PRIMARY KEY, v INT)",
            "INSERT INTO start.t VALUES (1, 1)",
            "CREATE USER sync IDENTIFIED BY 'sync-pw'",
            "GRANT SELECT ON start.* TO sync",
            "GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO sync",
        ])
        .await;
    server
}

const CHANGE: &str = "UPDATE start.t SET v = 2 WHERE id = 1";

#[tokio::test]
async fn with_gtids_the_commit_in_flight_is_after_the_position() {
    let server = server(true).await;
    let source = source_of(&server, "sync", "sync-pw");
    let visible = source.start_position().await.unwrap();
    assert!(visible.wait_until.is_none());
    let stall = Stall::begin(&server, CHANGE).await;
    let start = source.start_position().await.unwrap();
    let gtids = start.position.gtids.clone().unwrap();
    assert_eq!(gtids, visible.position.gtids.unwrap(), "the commit in flight must come through the stream");
    assert!(start.position.binlog.offset > 4);
    stall.end().await;
    assert_eq!(source.executed().await.unwrap().gtids.unwrap().minus(&gtids).len(), 1);
    assert_eq!(source.purged().await.unwrap().unwrap().len(), 0);
}

#[tokio::test]
async fn without_gtids_log_status_waits_for_the_commit_in_flight() {
    let server = server(false).await;
    server
        .run(&["GRANT BACKUP_ADMIN ON *.* TO sync", "GRANT SELECT ON performance_schema.log_status TO sync"])
        .await;
    let source = source_of(&server, "sync", "sync-pw");
    let mut reader = source.reader().await.unwrap();
    let stall = Stall::begin(&server, CHANGE).await;
    let start = stall.until_asked("performance_schema.log_status", source.start_position()).await.unwrap();
    let rows = read(&mut reader, QUERY, &[Key::int(1)], &Visibility::Nothing).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"v":2}"#, "before the position, so visible");
    assert_eq!((start.position.gtids, start.wait_until), (None, None));
    assert_eq!(start.position.binlog, source.executed().await.unwrap().binlog);
}

#[tokio::test]
async fn without_grants_it_is_the_head_of_the_file_and_what_to_wait_for() {
    let server = server(false).await;
    let source = source_of(&server, "sync", "sync-pw");
    server.flush_logs().await;
    let stall = Stall::begin(&server, CHANGE).await;
    let (file, offset, _) = server.position().await;
    let start = source.start_position().await.unwrap();
    assert_eq!((start.position.binlog.file.as_str(), start.position.binlog.offset), (file.as_str(), 4));
    let until = start.wait_until.unwrap();
    assert_eq!((until.file, until.offset), (file, offset), "the commit in flight lies before it");
    stall.end().await;
    let files = source.binlogs().await.unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.size > 0) && source.purged().await.unwrap().is_none());
}
