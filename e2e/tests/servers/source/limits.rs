//! Timeouts, refusals, lost connections, the cost of statements.

use std::time::Duration;

use binlog_operator::model::{Class, Key};
use binlog_operator::source::{Source, SourceError, SourceOptions, Visibility};
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer, TcpMode, TcpProxy, shared, wait_until};
use mysql_async::prelude::Queryable;

use super::{options, read, read_at_last, source, source_of};

const NOTHING: Visibility = Visibility::Nothing;

async fn sleepers(server: &MysqlServer, mark: &str) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) FROM performance_schema.processlist WHERE INFO LIKE '%{mark}%' AND INFO LIKE '%SLEEP%' \
         AND INFO NOT LIKE '%processlist%'"
    );
    server.conn().await.query_first(sql).await.unwrap().unwrap()
}

/// The server itself would let a query run for longer than these tests wait: only KILL ends it.
fn unlimited(server: &MysqlServer) -> SourceOptions {
    let mut options = options(server);
    options.session.max_execution_time = Some(600_000);
    options
}

/// KILL is answered when the server has noted it; the query ends at its next look. Well before its SLEEP does.
async fn ended(server: &MysqlServer, mark: &str) {
    wait_until("the query has ended", Duration::from_secs(40), async || {
        let n = sleepers(server, mark).await;
        if n == 0 { Ok(()) } else { Err(format!("{n} run")) }
    })
    .await;
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_killed_on_the_server() {
    let server = shared::mysql().await;
    let options = SourceOptions { query_timeout: Duration::from_millis(500), ..unlimited(server) };
    let mut reader = Source::new(options).unwrap().reader().await.unwrap();
    let sql = "SELECT 1 AS id, SLEEP(60) AS too_long_by_far FROM DUAL WHERE 1 IN (:ids)";
    let error = read(&mut reader, sql, &[Key::int(1)], &NOTHING).await.unwrap_err();
    assert!(matches!(error, SourceError::Timeout { .. }) && error.class() == Class::Retry, "{error}");
    ended(server, "too_long_by_far").await;
    let sql = "SELECT 1 AS id FROM DUAL WHERE 1 IN (:ids)";
    let rows = read_at_last(&mut reader, sql, &[Key::int(1)], &NOTHING).await;
    assert_eq!(rows.len(), 1, "the reader goes on with a new connection");
}

#[tokio::test]
async fn a_dropped_read_is_killed_on_the_server() {
    let server = shared::mysql().await;
    let mut reader = Source::new(unlimited(server)).unwrap().reader().await.unwrap();
    let sql = "SELECT 1 AS id, SLEEP(60) AS dropped_half_way FROM DUAL WHERE 1 IN (:ids)";
    let keys = [Key::int(1)];
    let runs = wait_until("the query runs", PATIENCE, async || {
        let n = sleepers(server, "dropped_half_way").await;
        if n > 0 { Ok(()) } else { Err("not yet".to_owned()) }
    });
    tokio::select! {
        rows = read(&mut reader, sql, &keys, &NOTHING) => panic!("it ended: {rows:?}"),
        () = runs => {}
    }
    ended(server, "dropped_half_way").await;
    let sql = "SELECT 1 AS id FROM DUAL WHERE 1 IN (:ids)";
    assert_eq!(read(&mut reader, sql, &[Key::int(1)], &NOTHING).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_halts_and_is_not_printed() {
    let server = shared::mysql().await;
    server.run(&["CREATE USER IF NOT EXISTS guarded IDENTIFIED BY 'right'"]).await;
    let source = source_of(server, "guarded", "wr0ng-secret");
    let error = source.reader().await.err().unwrap();
    assert_eq!(error.class(), Class::Halt, "{error}");
    assert!(!format!("{error} {error:?} {source:?}").contains("wr0ng-secret"));
    let mut nobody = options(server);
    nobody.server.port = 1;
    let error = Source::new(nobody).unwrap().reader().await.err().unwrap();
    assert!(error.class() == Class::Retry && error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_told_apart() {
    let server = shared::mysql().await;
    let db = shared::name("wrong");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!("CREATE TABLE {db}.t (id INT PRIMARY KEY, txt TEXT, n BIGINT UNSIGNED)"),
            format!("INSERT INTO {db}.t VALUES (1, '1', 1), (2, 'x', 1)"),
        ])
        .await;
    let mut reader = source(server).reader().await.unwrap();
    let cases = [
        ("SELECT id FROM {db}.gone WHERE id IN (:ids)", Class::Config),
        ("SELECT id, nope FROM {db}.t WHERE id IN (:ids)", Class::Config),
        ("SELEC id FROM {db}.t WHERE id IN (:ids)", Class::Config),
        ("SELECT id FROM {db}.t WHERE id IN (:ids) AND id IN (:ids, ?)", Class::Config),
        ("SELECT n AS id, CAST(txt AS JSON) FROM {db}.t WHERE id IN (:ids)", Class::Record),
        ("SELECT id, n - 5 FROM {db}.t WHERE id IN (:ids)", Class::Record),
        ("SELECT NULLIF(id, 1) FROM {db}.t WHERE id IN (:ids)", Class::Config),
        ("SELECT id * 1.5e0 FROM {db}.t WHERE id IN (:ids)", Class::Config),
    ];
    for (sql, class) in cases {
        let sql = sql.replace("{db}", &db);
        let error = read(&mut reader, &sql, &[Key::int(1), Key::int(2)], &NOTHING).await.unwrap_err();
        assert_eq!(error.class(), class, "{sql}: {error}");
    }
    let sql = format!("SELECT id, CAST(txt AS JSON) AS j FROM {db}.t WHERE id IN (:ids)");
    let rows = read(&mut reader, &sql, &[Key::int(1)], &NOTHING).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"j":1}"#, "the good row alone can be read");
}

#[tokio::test]
async fn nothing_is_cut_in_silence() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--max-allowed-packet=2M")).await;
    server
        .run(&[
            "CREATE DATABASE cut",
            "CREATE TABLE cut.t (id INT PRIMARY KEY, pad MEDIUMTEXT)",
            "INSERT INTO cut.t VALUES (1, REPEAT('x', 900000)), (2, REPEAT('x', 900000)), (3, REPEAT('x', 900000))",
        ])
        .await;
    let mut reader = source(&server).reader().await.unwrap();
    let keys = [Key::int(1), Key::int(2), Key::int(3)];
    for sql in [
        "SELECT 1 AS id, (SELECT JSON_ARRAYAGG(pad) FROM cut.t) AS p FROM cut.t WHERE id IN (:ids) LIMIT 1",
        "SELECT 1 AS id, REPEAT(pad, 3) AS p FROM cut.t WHERE id IN (:ids) LIMIT 1",
    ] {
        match read(&mut reader, sql, &keys, &NOTHING).await {
            Err(error) => assert_eq!(error.class(), Class::Record, "{sql}: {error}"),
            Ok(rows) => panic!("{sql}: {} bytes", rows[0].1.len()),
        }
    }
    let sql = "SELECT 1 AS id, GROUP_CONCAT(pad) AS p FROM cut.t WHERE id IN (:ids)";
    let rows = read(&mut reader, sql, &keys, &NOTHING).await.unwrap();
    assert_eq!(rows[0].1.len(), 2_700_017, "beyond the server's default, and its max_allowed_packet");
}

#[tokio::test]
async fn a_statement_is_prepared_once_per_padded_size() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&[
            "CREATE DATABASE p",
            "CREATE TABLE p.t (id INT PRIMARY KEY)",
            "INSERT INTO p.t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n",
        ])
        .await;
    let mut reader = source(&server).reader().await.unwrap();
    let set = Visibility::Gtids(server.position().await.2.into());
    let count = async || {
        let row: (String, u64) = server
            .conn()
            .await
            .query_first("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")
            .await
            .unwrap()
            .unwrap();
        row.1
    };
    let before = count().await;
    let all: Vec<Key> = (1..=2500).map(Key::int).collect();
    let sql = "SELECT id FROM p.t WHERE id IN (:ids)";
    for _ in 0..3 {
        for n in [1, 3, 4, 500, 512, 513, 900, 2500] {
            let rows = read(&mut reader, sql, &all[..n], &set).await.unwrap();
            assert_eq!(rows.len(), n.min(900), "padding must not repeat rows");
        }
    }
    assert_eq!(count().await - before, 4, "sizes 1, 4, 512, 1000");
    for n in 0..200 {
        let sql = format!("SELECT id FROM p.t WHERE id = ? AND {n} = {n}");
        assert_eq!(reader.keys(&sql, all[0].parts(), &set).await.unwrap(), [Key::int(1)]);
    }
    let open: (String, u64) = server
        .conn()
        .await
        .query_first("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
        .await
        .unwrap()
        .unwrap();
    assert!(open.1 <= 64, "{} are kept", open.1);
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_and_no_snapshot_is_held() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let proxy = TcpProxy::start(server.port()).await;
    // three times so long is waited for who never answers
    let mut options = SourceOptions { connect_timeout: Duration::from_secs(4), ..options(&server) };
    options.server.port = proxy.port();
    let source = Source::new(options).unwrap();
    let mut reader = source.reader().await.unwrap();
    let sql = "SELECT 1 AS id FROM DUAL WHERE 1 IN (:ids)";
    let set = Visibility::Gtids(server.position().await.2.into());
    read(&mut reader, sql, &[Key::int(1)], &set).await.unwrap();
    for visible in [&NOTHING, &set] {
        let mut conn = server.conn().await;
        let found = wait_until("the reader's connection rests", PATIENCE, async || {
            let sql = "SELECT ID, COMMAND FROM performance_schema.processlist \
                       WHERE ID <> CONNECTION_ID() AND USER = 'root'";
            let found: Vec<(u64, String)> = conn.query(sql).await.unwrap();
            let rests = !found.is_empty() && found.iter().all(|(_, command)| command == "Sleep");
            if rests { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .await;
        for (id, _) in found {
            let _ = conn.query_drop(format!("KILL {id}")).await;
        }
        let before = proxy.connections();
        assert_eq!(read(&mut reader, sql, &[Key::int(1)], visible).await.unwrap().len(), 1);
        assert!(proxy.connections() > before, "by another connection");
    }
    server.run(&["CREATE DATABASE held", "CREATE TABLE held.t (id INT PRIMARY KEY)"]).await;
    let sql = "SELECT id FROM held.t WHERE id IN (:ids)";
    let set = Visibility::Gtids(server.position().await.2.into());
    read(&mut reader, sql, &[Key::int(1)], &set).await.unwrap();
    let open = async |want: u64| {
        wait_until("transactions open", PATIENCE, async || {
            let sql = "SELECT COUNT(*) FROM performance_schema.events_transactions_current \
                       JOIN performance_schema.threads USING (THREAD_ID) \
                       WHERE STATE = 'ACTIVE' AND PROCESSLIST_ID <> CONNECTION_ID()";
            let n: Option<u64> = server.conn().await.query_first(sql).await.unwrap();
            if n == Some(want) { Ok(()) } else { Err(format!("{n:?}, not {want}")) }
        })
        .await;
    };
    open(0).await;
    let alter = [
        "SET lock_wait_timeout = 1",
        "ALTER TABLE held.t ADD COLUMN `n``\"` INT DEFAULT 7 FIRST, ADD v BLOB",
    ];
    let all = "SELECT id, t.* FROM held.t WHERE id IN (:ids)";
    server.run(&["INSERT INTO held.t VALUES (1)"]).await;
    assert_eq!(read(&mut reader, all, &[Key::int(1)], &set).await.unwrap()[0].1, r#"{"id":1,"id":1}"#);
    wait_until("no metadata lock stays behind", PATIENCE, async || {
        let mut conn = server.conn().await;
        for sql in alter {
            conn.query_drop(sql).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
    .await;
    let rows = read(&mut reader, all, &[Key::int(1)], &set).await.unwrap();
    assert_eq!(rows[0].1, r#"{"id":1,"n`\"":7,"id":1,"v":null}"#, "a prepared statement follows the table");
    proxy.set(TcpMode::BlackHole);
    let error = read(&mut reader, sql, &[Key::int(1)], &set).await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
}
