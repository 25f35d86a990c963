//! Where the binlog says less than it seems to: right, or refused by name, never a guess.

use std::path::PathBuf;

use e2e::{MysqlOptions, MysqlServer, Scratch};
use mysql_async::prelude::Queryable;

use super::rig::{apply, dump, packed, trace};

/// The binlog of these statements, in a database `d` that is there before.
async fn binlog_of(server: &MysqlServer, before: &[&str], statements: &[&str]) -> PathBuf {
    server.run(&["CREATE DATABASE d"]).await;
    server.run(before).await;
    server.flush_logs().await;
    server.run(statements).await;
    let binlog = server.binlogs().await.pop().unwrap();
    server.flush_logs().await;
    binlog
}

fn lines<'o>(out: &'o str, of: &str) -> Vec<&'o str> {
    out.lines().filter(|line| line.starts_with(of)).collect()
}

/// Without a key a row is found by all its columns: an image that lacks some finds another row as well.
#[tokio::test]
async fn rows_without_a_key_are_not_found_by_thin_images() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let scratch = Scratch::new("trace-thin");
    let binlog = binlog_of(
        &server,
        &["CREATE TABLE d.t (a INT, b INT)", "INSERT INTO d.t VALUES (1, 5), (2, 0)"],
        &["SET SESSION binlog_row_image = MINIMAL", "UPDATE d.t SET b = 5 WHERE a = 2"],
    )
    .await;
    let (ddl, binlog) = (dump(&server, "d", &scratch), binlog.display().to_string());
    for args in
        [&["rollback", "--ddl", ddl.to_str().unwrap(), &binlog][..], &["rollback", "--exact", &binlog]]
    {
        let ran = trace(args);
        assert!(
            ran.code == 1 && ran.err.contains("d.t") && ran.err.contains("binlog_row_image"),
            "{}",
            ran.err
        );
    }
    // a thin image before proves that there is a key, whoever knows it
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let binlog = binlog_of(
        &server,
        &["CREATE TABLE d.t (a INT PRIMARY KEY, b INT, c TEXT)", "INSERT INTO d.t VALUES (1, 5, 'x')"],
        &["SET SESSION binlog_row_image = NOBLOB", "UPDATE d.t SET b = 6 WHERE a = 1"],
    )
    .await;
    let (ddl, binlog) = (dump(&server, "d", &scratch), binlog.display().to_string());
    let out = trace(&["rollback", "--exact", &binlog]).ok();
    assert_eq!(lines(&out, "BINLOG").len(), 2, "{out}");
    let out = trace(&["rollback", "--ddl", ddl.to_str().unwrap(), &binlog]).ok();
    assert_eq!(lines(&out, "UPDATE"), ["UPDATE `d`.`t` SET `b`=5 WHERE `a`=1 LIMIT 1;"]);
}

#[tokio::test]
async fn text_behind_a_comment_cannot_be_taken_back() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let change = "/* app:web */ UPDATE d.t SET a = a + 1";
    let before = ["CREATE TABLE d.t (a INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"];
    let binlog = binlog_of(&server, &before, &["SET SESSION binlog_format = STATEMENT", change]).await;
    let binlog = binlog.display().to_string();
    for args in [&["rollback", &binlog][..], &["rollback", "--exact", &binlog]] {
        let ran = trace(args);
        assert!(
            ran.code == 1 && ran.err.contains("logged as text") && ran.err.contains("app:web"),
            "{}",
            ran.err
        );
    }
}

/// The rows of an XA transaction are where it was prepared, and they change when it is committed.
#[tokio::test]
async fn an_xa_commit_without_its_rows_is_named() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&["CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)"])
        .await;
    let scratch = Scratch::new("trace-xa");
    let ddl = dump(&server, "d", &scratch);
    server.flush_logs().await;
    server.run(&["XA START 'x'", "UPDATE d.t SET a = 2", "XA END 'x'", "XA PREPARE 'x'"]).await;
    server.flush_logs().await;
    server.run(&["XA COMMIT 'x'"]).await;
    server.flush_logs().await;
    let files = server.binlogs().await;
    let [.., prepared, committed, _] = files.as_slice() else { panic!("{files:?}") };
    let (ddl, prepared, committed) =
        (ddl.to_str().unwrap(), prepared.to_str().unwrap(), committed.to_str().unwrap());
    for form in [&["sql"][..], &["rollback"], &["rollback", "--exact"]] {
        let ran = trace(&[form, &["--ddl", ddl, committed]].concat());
        assert!(
            ran.err.contains("XA COMMIT") && ran.err.contains("prepared before"),
            "{form:?}: {}",
            ran.err
        );
    }
    let both = trace(&["rollback", "--ddl", ddl, prepared, committed]);
    assert!(!both.err.contains("prepared before"), "{}", both.err);
    assert_eq!(lines(&both.ok(), "UPDATE"), ["UPDATE `d`.`t` SET `a`=1 WHERE `a`=2 LIMIT 1;"]);
}

/// A schema from after a statement that moves columns fits it all the same.
#[tokio::test]
async fn a_schema_from_after_a_move_gives_no_wrong_names() {
    let stream = [
        "INSERT INTO d.t VALUES (1, -10, 20)",
        "ALTER TABLE d.t MODIFY b INT AFTER id, MODIFY a INT NULL",
        "INSERT INTO d.t VALUES (2, 21, -11)",
        "DELETE FROM d.t",
        "ALTER TABLE d.t MODIFY a INT UNSIGNED",
    ];
    let before = ["CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b INT)"];
    let scratch = Scratch::new("trace-moved");
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let binlog = binlog_of(&server, &before, &stream).await;
    let (after, file) = (dump(&server, "d", &scratch), binlog.display().to_string());
    let packed = packed(&["gzip", "-c"], &binlog, ".gz");
    let (packed, url) = (packed.display().to_string(), format!("mysql://root@127.0.0.1:{}/", server.port()));
    for (names, input) in [("--ddl", &file), ("--schema-from", &file), ("--schema-from", &packed)] {
        let source = if names == "--ddl" { after.to_str().unwrap() } else { &url };
        let ran = trace(&["sql", names, source, input]);
        assert!(ran.code == 1 && ran.err.contains("d.t"), "{names} {input}: {} {}", ran.code, ran.err);
    }

    let options = MysqlOptions { full_metadata: true, ..MysqlOptions::default() };
    let server = MysqlServer::start(options).await;
    let binlog = binlog_of(&server, &before, &stream).await;
    let after = dump(&server, "d", &scratch);
    let out = trace(&["sql", "--ddl", after.to_str().unwrap(), binlog.to_str().unwrap()]).ok();
    assert_eq!(
        lines(&out, "INSERT"),
        [
            "INSERT INTO `d`.`t` (`id`,`a`,`b`) VALUES (1,-10,20);",
            "INSERT INTO `d`.`t` (`id`,`b`,`a`) VALUES (2,21,-11);"
        ],
        "events that name their columns are believed"
    );
}

/// A stream by the server's own schema: what changes no rows stands in nobody's way, and tables that are gone are known
/// from their own statements.
#[tokio::test]
async fn a_stream_by_the_schema_of_now_knows_tables_that_are_gone() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let binlog = binlog_of(
        &server,
        &["CREATE TABLE d.t (id INT PRIMARY KEY, a INT)"],
        &[
            "INSERT INTO d.t VALUES (1, 2)",
            "CREATE TABLE IF NOT EXISTS d.t (id INT PRIMARY KEY, a INT)",
            "ALTER TABLE d.t ADD INDEX by_a (a)",
            "CREATE TABLE d.stage (x INT PRIMARY KEY, y INT)",
            "INSERT INTO d.stage VALUES (3, 4)",
            "ALTER TABLE d.stage ADD COLUMN z INT FIRST",
            "INSERT INTO d.stage VALUES (5, 6, 7)",
            "DROP TABLE d.stage",
            "DROP TABLE d.t",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT)",
            "ALTER TABLE d.t ADD INDEX by_a (a)",
            "INSERT INTO d.t VALUES (8, 9)",
        ],
    )
    .await;
    let packed = packed(&["gzip", "-c"], &binlog, ".gz");
    let url = format!("mysql://root@127.0.0.1:{}/", server.port());
    let out = trace(&["sql", "--schema-from", &url, packed.to_str().unwrap()]).ok();
    assert_eq!(
        lines(&out, "INSERT"),
        [
            "INSERT INTO `d`.`t` (`id`,`a`) VALUES (1,2);",
            "INSERT INTO `d`.`stage` (`x`,`y`) VALUES (3,4);",
            "INSERT INTO `d`.`stage` (`z`,`x`,`y`) VALUES (5,6,7);",
            "INSERT INTO `d`.`t` (`id`,`a`) VALUES (8,9);",
        ]
    );
}

/// What DDL fills in depends on when it ran.
#[tokio::test]
async fn new_columns_have_the_time_of_their_statement() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let statements = [
        "CREATE TABLE d.t (a INT PRIMARY KEY)",
        "INSERT INTO d.t VALUES (1)",
        "SET TIMESTAMP = 1600000000.123456",
        "ALTER TABLE d.t ADD COLUMN at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
    ];
    let binlog = binlog_of(&server, &[], &statements).await;
    let other = MysqlServer::start(MysqlOptions::default()).await;
    other.run(&["CREATE DATABASE d"]).await;
    let scratch = Scratch::new("trace-now");
    let out = trace(&["sql", binlog.to_str().unwrap()]).ok();
    apply(&other, &scratch, "now.sql", &out);
    let at = "SELECT CAST(at AS CHAR) FROM d.t";
    let at: Option<String> = other.conn().await.query_first(at).await.unwrap();
    assert_eq!(at.as_deref(), Some("2020-09-13 12:26:40.123456"));
}
