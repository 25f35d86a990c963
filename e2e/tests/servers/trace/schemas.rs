//! Where names come from, and that no name is ever guessed.

use std::path::{Path, PathBuf};

use e2e::{MysqlOptions, MysqlServer, Scratch};

use super::rig::{apply, differences, dump, fingerprint, trace};

/// A table that was there before the binlog, and changes its shape in the middle of it.
const BEFORE: &str = "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b VARCHAR(10))";
const STREAM: &[&str] = &[
    "INSERT INTO d.t VALUES (1, 10, 'one')",
    "ALTER TABLE d.t ADD COLUMN m INT AFTER id",
    "INSERT INTO d.t VALUES (2, 7, 20, 'two')",
    "ALTER TABLE d.t RENAME COLUMN a TO aa, DROP COLUMN m",
    "INSERT INTO d.t VALUES (3, 30, 'three')",
    "RENAME TABLE d.t TO d.u",
    "UPDATE d.u SET aa = 31 WHERE id = 3",
];

struct Ground {
    server: MysqlServer,
    _scratch: Scratch,
    dump_before: PathBuf,
    dump_after: PathBuf,
    binlog: PathBuf,
}

async fn ground(full_metadata: bool) -> Ground {
    let server = MysqlServer::start(MysqlOptions { full_metadata, ..MysqlOptions::default() }).await;
    let scratch = Scratch::new("trace-schemas");
    server.run(&["CREATE DATABASE d", "CREATE DATABASE e", BEFORE]).await;
    let dump_before = dump(&server, "d", &scratch);
    let kept = scratch.path().join("before.sql");
    std::fs::rename(dump_before, &kept).unwrap();
    server.flush_logs().await;
    server.run(STREAM).await;
    let binlog = server.binlogs().await.pop().unwrap();
    server.flush_logs().await;
    let dump_after = dump(&server, "d", &scratch);
    Ground { server, _scratch: scratch, dump_before: kept, dump_after, binlog }
}

fn statements(out: &str) -> Vec<&str> {
    out.lines().filter(|line| line.starts_with("INSERT") || line.starts_with("UPDATE")).collect()
}

const RIGHT: [&str; 4] = [
    "INSERT INTO `d`.`t` (`id`,`a`,`b`) VALUES (1,10,'one');",
    "INSERT INTO `d`.`t` (`id`,`m`,`a`,`b`) VALUES (2,7,20,'two');",
    "INSERT INTO `d`.`t` (`id`,`aa`,`b`) VALUES (3,30,'three');",
    "UPDATE `d`.`u` SET `aa`=31 WHERE `id`=3 LIMIT 1;",
];

#[tokio::test]
async fn ddl_in_the_stream_moves_the_schema() {
    let ground = ground(false).await;
    let binlog = ground.binlog.to_str().unwrap();
    let before = ground.dump_before.to_str().unwrap();
    assert_eq!(statements(&trace(&["sql", "--ddl", before, binlog]).ok()), RIGHT);
    let qualified = format!("d={before}");
    assert_eq!(statements(&trace(&["sql", "--ddl", &qualified, binlog]).ok()), RIGHT);
    let back = trace(&["rollback", "--ddl", before, binlog]).ok();
    assert!(back.contains("UPDATE `d`.`u` SET `aa`=30 WHERE `id`=3 LIMIT 1;"), "{back}");
    assert!(back.contains("DELETE FROM `d`.`t` WHERE `id`=1 LIMIT 1;"), "{back}");
}

/// A schema from after the stream: what it proves comes out right, what it does not is an error, never a wrong name.
#[tokio::test]
async fn a_later_schema_gives_no_wrong_names() {
    let ground = ground(false).await;
    let binlog = ground.binlog.to_str().unwrap();
    let url = format!("mysql://root@127.0.0.1:{}/", ground.server.port());
    for names in [["--ddl", ground.dump_after.to_str().unwrap()], ["--schema-from", &url]] {
        let ran = trace(&["sql", names[0], names[1], binlog]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains("drops column m, whose place before is not known"), "{}", ran.err);
        assert!(ran.err.contains("d.t"), "{}", ran.err);
    }
    // Statistics are counted while the statements are still looked for, and anew where those move what was known.
    let hot = |names: [&str; 2]| {
        let json = trace(&["stats", "--format", "json", names[0], names[1], binlog]).ok();
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["hotRows"].clone()
    };
    let after = hot(["--ddl", ground.dump_after.to_str().unwrap()]);
    let one = |table| serde_json::json!({"database": "d", "table": table, "key": "id=3", "changes": 1});
    let rows = after.as_array().unwrap();
    assert!(rows.len() == 2 && rows.contains(&one("t")) && rows.contains(&one("u")), "{after}");
    assert_eq!(after, hot(["--schema-from", &url]));
    let before = hot(["--ddl", ground.dump_before.to_str().unwrap()]);
    assert_eq!(before.as_array().unwrap().len(), 4, "{before}");
    // Only what lies after the column was dropped.
    let events = trace(&["events", "--event", "ddl", binlog]).ok();
    let drop_line = events.lines().find(|line| line.contains("DROP COLUMN")).unwrap();
    let drop: serde_json::Value = serde_json::from_str(drop_line).unwrap();
    let from = drop["end"].as_u64().unwrap().to_string();
    let ran = trace(&["sql", "--schema-from", &url, "--start-position", &from, binlog]);
    assert_eq!(statements(&ran.ok()), RIGHT[2..]);
}

/// The statement that shows that the schema is from after it may lie where nobody can read any more.
#[tokio::test]
async fn statistics_of_a_damaged_file_have_no_wrong_names() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let scratch = Scratch::new("trace-damaged");
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.w (a INT PRIMARY KEY, b INT)"]).await;
    server.run(&["CREATE TABLE d.much (x LONGTEXT)"]).await;
    server.flush_logs().await;
    server.run(&["INSERT INTO d.w VALUES (1, 50)", "INSERT INTO d.w VALUES (2, 60)"]).await;
    let damage = server.binlogs().await.pop().unwrap();
    let at = std::fs::metadata(&damage).unwrap().len() as usize - 40; // the rows of the second, before its XID
    server.run(&["INSERT INTO d.much VALUES (REPEAT('x', 2500000))"; 12]).await; // farther than it is looked ahead
    server.run(&["ALTER TABLE d.w MODIFY a INT NOT NULL AFTER b"]).await;
    server.flush_logs().await;
    let mut bytes = std::fs::read(&damage).unwrap();
    bytes[at] ^= 1;
    let damaged = scratch.path().join(damage.file_name().unwrap());
    std::fs::write(&damaged, bytes).unwrap();
    let after = dump(&server, "d", &scratch);
    let args = |ddl| ["stats", "--format", "json", "--ddl", ddl, damaged.to_str().unwrap()];
    let ran = trace(&args(after.to_str().unwrap()));
    assert!(ran.code != 0 && ran.err.contains("checksum"), "{}", ran.err);
    let counted: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(counted["total"]["inserted"], 1, "{counted}");
    assert_eq!(counted["hotRows"], serde_json::json!([]), "b is no a");
    let before = scratch.path().join("before.sql");
    std::fs::write(&before, "CREATE TABLE d.w (a INT PRIMARY KEY, b INT)").unwrap();
    let counted: serde_json::Value =
        serde_json::from_str(&trace(&args(before.to_str().unwrap())).out).unwrap();
    assert_eq!(counted["hotRows"][0]["key"], "a=1", "{counted}");
}

#[tokio::test]
async fn names_of_full_metadata_come_first() {
    let ground = ground(true).await;
    let binlog = ground.binlog.to_str().unwrap();
    let ran = trace(&["sql", binlog]);
    assert!(ran.err.contains("nothing says which are generated"), "{}", ran.err);
    assert_eq!(statements(&ran.ok()), RIGHT);
    let after = ground.dump_after.to_str().unwrap();
    assert_eq!(statements(&trace(&["sql", "--ddl", after, binlog]).ok()), RIGHT);
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_that_names_the_table() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let scratch = Scratch::new("trace-misfit");
    server
        .run(&[
            "CREATE DATABASE d",
            "CREATE DATABASE e",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b INT)",
            "CREATE TABLE e.t LIKE d.t",
        ])
        .await;
    server.flush_logs().await;
    server.run(&["INSERT INTO d.t VALUES (1, 2, 3)"]).await;
    let binlog = server.binlogs().await.pop().unwrap();
    server.flush_logs().await;
    let file = |name: &str, ddl: &str| -> PathBuf {
        let path = scratch.path().join(name);
        std::fs::write(&path, ddl).unwrap();
        path
    };
    let run = |ddl: &Path, more: &[&str]| {
        trace(&[&["sql", "--ddl", ddl.to_str().unwrap()], more, &[binlog.to_str().unwrap()]].concat())
    };
    let none = trace(&["sql", binlog.to_str().unwrap()]);
    assert!(
        none.code == 1
            && none.err.contains("the column names of d.t are not known")
            && none.err.contains("--ddl"),
        "{}",
        none.err
    );
    let fewer = file("fewer", "CREATE TABLE t (id INT PRIMARY KEY, a INT)");
    let ran = run(&fewer, &[]);
    assert!(
        ran.code == 1
            && ran.err.contains("rows have 3 columns, the schema has 2")
            && ran.err.contains("--allow-trailing"),
        "{}",
        ran.err
    );
    assert_eq!(
        statements(&run(&fewer, &["--allow-trailing"]).ok()),
        ["INSERT INTO `d`.`t` (`id`,`a`) VALUES (1,2);"]
    );
    let more = file("more", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT)");
    assert_eq!(run(&more, &[]).code, 1);
    assert_eq!(
        statements(&run(&more, &["--allow-trailing"]).ok()),
        ["INSERT INTO `d`.`t` (`id`,`a`,`b`) VALUES (1,2,3);"]
    );
    let other = file("other", "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), b INT)");
    let ran = run(&other, &["--allow-trailing"]);
    assert!(ran.code == 1 && ran.err.contains("column 2 (a) is VARCHAR in the schema"), "{}", ran.err);
    // A file that names no database stands for one.
    server.run(&["INSERT INTO e.t VALUES (1, 2, 3)", "INSERT INTO d.t VALUES (2, 2, 3)"]).await;
    let binlog = server.binlogs().await.pop().unwrap();
    let plain = file("plain", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)");
    let ran = trace(&["sql", "--ddl", plain.to_str().unwrap(), binlog.to_str().unwrap()]);
    assert!(ran.code == 1 && ran.err.contains("both e and d have such a table"), "{}", ran.err);
    let (d, e) = (format!("d={}", plain.display()), format!("e={}", plain.display()));
    let ran = trace(&["sql", "--ddl", &d, "--ddl", &e, binlog.to_str().unwrap()]);
    assert_eq!(statements(&ran.ok()).len(), 2);
    assert_eq!(
        statements(&trace(&["sql", "--ddl", &d, "--database", "d", binlog.to_str().unwrap()]).ok()).len(),
        1
    );
}

/// Every peer stopped or lost rows at a table that is gone now.
#[tokio::test]
async fn a_dropped_table_keeps_its_names() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.gone (id INT PRIMARY KEY, v INT)",
            "INSERT INTO d.gone VALUES (1, 2)",
            "DROP TABLE d.gone",
            "CREATE TABLE d.gone (x TEXT)",
            "INSERT INTO d.gone VALUES ('again')",
        ])
        .await;
    let binlog = server.binlogs().await.pop().unwrap();
    let out = trace(&["sql", binlog.to_str().unwrap()]).ok();
    assert_eq!(
        statements(&out),
        ["INSERT INTO `d`.`gone` (`id`,`v`) VALUES (1,2);", "INSERT INTO `d`.`gone` (`x`) VALUES ('again');"]
    );
    let url = format!("mysql://root@127.0.0.1:{}/", server.port());
    let out = trace(&["sql", "--schema-from", &url, binlog.to_str().unwrap()]).ok();
    assert_eq!(statements(&out).len(), 2);
}

/// DDL of every kind comes through: a binlog from its beginning makes the same databases on an empty server.
#[tokio::test]
async fn a_whole_binlog_is_replayed_on_an_empty_server() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    server
        .run(&[
            "CREATE DATABASE `od``d`",
            "USE `od``d`",
            "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10), n INT)",
            "INSERT INTO a (v) VALUES ('x'), ('y'), ('z')",
            "CREATE TABLE b AS SELECT id, v FROM a WHERE id > 1",
            "CREATE TABLE c LIKE a",
            "ALTER TABLE c ADD COLUMN w INT FIRST, ADD g INT AS (n + 1) STORED",
            "INSERT INTO c (id, w) VALUES (5, 6)",
            "CREATE VIEW vw AS SELECT 'é;' AS x FROM a",
            "CREATE TABLE log (what TEXT)",
            "CREATE TABLE parent (id INT PRIMARY KEY)",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
            "INSERT INTO parent VALUES (1), (2)",
            "INSERT INTO child VALUES (1, 1), (2, 2)",
            "CREATE TRIGGER tr BEFORE DELETE ON c FOR EACH ROW BEGIN SET @x = ';'; SET @y = 1; END",
            "CREATE PROCEDURE p() BEGIN INSERT INTO log VALUES ('it''s; it'); DELETE FROM log WHERE FALSE; END",
            "CALL p()",
            "TRUNCATE TABLE b",
            "INSERT INTO b VALUES (9, 'after')",
            "RENAME TABLE b TO bb",
            "CREATE INDEX i ON a (v)",
            "DROP INDEX i ON a",
            "DROP TABLE IF EXISTS nothing",
            "SET SESSION sql_mode = 'ANSI_QUOTES'",
            "CREATE TABLE \"q\" (\"x y\" INT)",
            "INSERT INTO q VALUES (1)",
            "SET SESSION sql_mode = DEFAULT",
            "CREATE USER u IDENTIFIED BY 'p;w'",
            "SET SESSION binlog_format = STATEMENT",
            "INSERT INTO a (v) VALUES ('text')",
            "SET @ab = 'ü', @b = 7, @c = -1.5e0, @d = NULL, @n = 18446744073709551615",
            "/* of an app */ INSERT INTO a (v, n) VALUES (CONCAT(@ab, @b, @c), @d), (LEFT(@n, 9), RAND() * 1000)",
            "INSERT INTO log VALUES (CONCAT('at ', NOW(6)))",
            "INSERT INTO log SELECT CONCAT('last ', LAST_INSERT_ID())",
            "SET SESSION auto_increment_increment = 5, auto_increment_offset = 3",
            "INSERT INTO a (v) VALUES ('five'), ('apart')",
            "DELETE FROM parent WHERE id = 1",
            "SET SESSION binlog_format = ROW",
            "SET SESSION collation_server = latin1_swedish_ci",
            "CREATE DATABASE swedish",
            "CREATE TABLE swedish.t (v VARCHAR(10))",
            "INSERT INTO swedish.t VALUES ('ä')",
        ])
        .await;
    let files: Vec<String> = server.binlogs().await.iter().map(|file| file.display().to_string()).collect();
    let mut args = vec!["sql"];
    args.extend(files.iter().map(String::as_str));
    let out = trace(&args).ok();
    let (other, scratch) = (MysqlServer::start(MysqlOptions::default()).await, Scratch::new("trace-replay"));
    apply(&other, &scratch, "replay.sql", &out);
    for (database, tables) in [("od`d", 7), ("swedish", 1)] {
        let expected = fingerprint(&mut server.conn().await, database).await;
        assert_eq!(expected.len(), tables, "{:?}", expected.keys());
        let wrong = differences(&expected, &fingerprint(&mut other.conn().await, database).await, &[]);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
    // A change logged as text cannot be taken back, and says so.
    args[0] = "rollback";
    let ran = trace(&args);
    assert!(ran.code == 1 && ran.err.contains("logged as text") && ran.err.contains("'text'"), "{}", ran.err);
}
