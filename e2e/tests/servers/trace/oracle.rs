//! State A, a workload, state B: rollback takes B back to A, SQL takes A to B, on a server in its strict defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use e2e::{MysqlOptions, MysqlServer, Scratch};
use mysql_async::prelude::Queryable;

use super::rig::{apply, differences, dump, fingerprint, trace};
use super::tables::{TABLES, Table};

type State = BTreeMap<String, Vec<String>>;

/// A server on which the workload ran, and the binlog of it.
struct Ground {
    server: MysqlServer,
    scratch: Scratch,
    ddl: PathBuf,
    binlog: PathBuf,
    before: State,
    after: State,
    tables: Vec<&'static Table>,
}

impl Ground {
    /// Makes state A, then state B with the session's settings in `settings`.
    async fn prepare(options: MysqlOptions, settings: &[&str], tables: Vec<&'static Table>) -> Self {
        let server = MysqlServer::start(options).await;
        let scratch = Scratch::new("trace");
        let mut conn = server.conn().await;
        let mut run = async |sql: &str| {
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        };
        run("CREATE DATABASE t").await;
        run("USE t").await;
        run("SET SESSION sql_log_bin = 0, time_zone = '+03:00'").await;
        for table in &tables {
            for sql in table.create {
                run(sql).await;
            }
        }
        for table in &tables {
            for sql in table.fill {
                run(sql).await;
            }
            run("SET SESSION sql_mode = DEFAULT").await;
        }
        let ddl = dump(&server, "t", &scratch);
        let mut reader = server.conn().await;
        let before = fingerprint(&mut reader, "t").await;
        run("SET SESSION sql_log_bin = 1").await;
        server.flush_logs().await;
        for sql in settings {
            run(sql).await;
        }
        for table in &tables {
            for sql in table.work {
                run(sql).await;
            }
            run("SET SESSION sql_mode = DEFAULT").await;
        }
        let binlog = server.binlogs().await.pop().unwrap();
        server.flush_logs().await;
        let after = fingerprint(&mut reader, "t").await;
        Self { server, scratch, ddl, binlog, before, after, tables }
    }

    async fn is(&self, expected: &State, what: &str, except: &[&str]) {
        let mut conn = self.server.conn().await;
        let wrong = differences(expected, &fingerprint(&mut conn, "t").await, except);
        assert!(wrong.is_empty(), "{what}: {} tables differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// SQL of a trace of the binlog, applied.
    fn run(&self, name: &str, args: &[&str]) {
        let mut all = args.to_vec();
        let (ddl, binlog) = (self.ddl.to_str().unwrap(), self.binlog.to_str().unwrap());
        if !args.contains(&"--exact") {
            all.extend(["--ddl", ddl]);
        }
        all.push(binlog);
        let ran = trace(&all);
        assert_eq!(ran.code, 0, "{name}: {}", ran.err);
        println!("{name}: {}", ran.err.lines().last().unwrap_or_default());
        apply(&self.server, &self.scratch, &format!("{name}.sql"), &ran.out);
    }

    /// There and back in every form.
    async fn round(&self) {
        let triggered: Vec<&str> = self.tables.iter().filter(|t| t.from_triggers).map(|t| t.name).collect();
        // exact: no table is excepted
        self.run("exact", &["rollback", "--exact"]);
        self.is(&self.before, "exact rollback", &[]).await;
        self.without_trigger_log("forward", &["sql"]);
        self.is(&self.after, "sql", &triggered).await;
        self.without_trigger_log("rollback", &["rollback", "--guard", "--with-original"]);
        self.is(&self.before, "rollback", &triggered).await;
        self.without_trigger_log("full-set", &["sql", "--full-set"]);
        self.is(&self.after, "sql with full SET lists", &triggered).await;
        self.without_trigger_log("exact again", &["rollback", "--exact", "--with-original"]);
        self.is(&self.before, "exact rollback after all", &triggered).await;
    }

    /// Triggers fire where SQL is applied: what they did is not to be done by the trace as well.
    fn without_trigger_log(&self, name: &str, args: &[&str]) {
        self.run(name, &[args, &["--exclude-table", "t.trigger_log"]].concat());
    }
}

fn quick() -> Vec<&'static Table> {
    TABLES.iter().filter(|table| table.quick).collect()
}

#[tokio::test]
async fn sql_and_rollback_take_eight_tables_there_and_back() {
    assert!(quick().len() >= 8);
    Ground::prepare(MysqlOptions::default(), &[], quick()).await.round().await;
}

/// MINIMAL and NOBLOB images: SQL does the changes, and what cannot be taken back is refused by name.
#[tokio::test]
async fn thin_images_are_right_or_refused() {
    for image in ["MINIMAL", "NOBLOB"] {
        let setting = format!("SET SESSION binlog_row_image = {image}");
        let ground = Ground::prepare(MysqlOptions::default(), &[&setting], quick()).await;
        let (ddl, binlog) = (ground.ddl.to_str().unwrap(), ground.binlog.to_str().unwrap());
        for args in [&["rollback", "--ddl", ddl][..], &["rollback", "--exact"]] {
            let ran = trace(&[args, &[binlog]].concat());
            assert_eq!(ran.code, 1, "{image} {args:?}");
            assert!(
                ran.err.contains("cannot be undone") && ran.err.contains("binlog_row_image"),
                "{}",
                ran.err
            );
        }
        // back to A by other means: the tables are made anew
        ground.refill().await;
        ground.is(&ground.before, "made anew", &[]).await;
        ground.without_trigger_log("forward", &["sql"]);
        ground.is(&ground.after, &format!("sql of {image}"), &[]).await;
    }
}

impl Ground {
    async fn refill(&self) {
        let mut statements = vec!["USE t".to_owned(), "SET SESSION time_zone = '+03:00'".to_owned()];
        for table in &self.tables {
            statements.push(format!("DELETE FROM `{}`", table.name.replace('`', "``")));
            statements.extend(table.fill.iter().map(|sql| (*sql).to_owned()));
            statements.push("SET SESSION sql_mode = DEFAULT".to_owned());
        }
        self.server.run(&statements).await;
    }
}

#[cfg(feature = "long")]
mod all {
    use super::*;

    fn every() -> Vec<&'static Table> {
        assert!(TABLES.len() >= 35, "{}", TABLES.len());
        TABLES.iter().collect()
    }

    #[tokio::test]
    async fn every_table_with_minimal_metadata() {
        Ground::prepare(MysqlOptions::default(), &[], every()).await.round().await;
    }

    #[tokio::test]
    async fn every_table_with_full_metadata() {
        let options = MysqlOptions { full_metadata: true, ..MysqlOptions::default() };
        Ground::prepare(options, &[], every()).await.round().await;
    }

    #[tokio::test]
    async fn every_table_in_compressed_transactions() {
        let settings = ["SET SESSION binlog_transaction_compression = ON"];
        Ground::prepare(MysqlOptions::default(), &settings, every()).await.round().await;
    }

    #[tokio::test]
    async fn every_table_with_partial_json() {
        let settings = ["SET SESSION binlog_row_value_options = PARTIAL_JSON"];
        Ground::prepare(MysqlOptions::default(), &settings, every()).await.round().await;
    }

    #[tokio::test]
    async fn every_table_without_gtids_and_checksums() {
        let options = MysqlOptions { gtid: false, ..MysqlOptions::default() }.flag("--binlog-checksum=NONE");
        Ground::prepare(options, &[], every()).await.round().await;
    }
}
