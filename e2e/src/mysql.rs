//! A MySQL server of a test's own: life cycle, binlogs, and the stall that shows the visibility race.

use crate::process::{Process, script};
use crate::scratch::{Port, Scratch, is_free, project};
use crate::wait::{poll, wait_until};
use binlog_operator::model::ServerOptions;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, Row};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

const START: Duration = Duration::from_secs(240);
const STOP: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct MysqlOptions {
    /// `gtid_mode` and `enforce_gtid_consistency`.
    pub gtid: bool,
    /// `binlog_row_metadata`: FULL or (the server's default) MINIMAL.
    pub full_metadata: bool,
    /// More flags of mysqld.
    pub flags: Vec<String>,
    /// Flags that already count when the data folder is made, such as `--lower-case-table-names=1`.
    pub init_flags: Vec<String>,
}

impl Default for MysqlOptions {
    fn default() -> Self {
        Self { gtid: true, full_metadata: false, flags: Vec::new(), init_flags: Vec::new() }
    }
}

impl MysqlOptions {
    /// Adds a flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn arguments(&self) -> Vec<String> {
        let gtid = if self.gtid { "ON" } else { "OFF" };
        let metadata = if self.full_metadata { "FULL" } else { "MINIMAL" };
        let mut all = vec![
            format!("--gtid-mode={gtid}"),
            format!("--enforce-gtid-consistency={gtid}"),
            format!("--binlog-row-metadata={metadata}"),
            // many operators with a connection for each lane share one
            "--max-connections=1000".to_owned(),
        ];
        all.extend(self.flags.iter().cloned());
        all
    }
}

/// A copy of a server's whole state, to go back to.
#[derive(Debug)]
pub struct Snapshot(Scratch);

/// A running MySQL server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct MysqlServer {
    process: Option<Process>,
    options: MysqlOptions,
    port: Port,
    scratch: Scratch,
}

impl MysqlServer {
    /// Starts a server with an empty data folder and waits until it answers.
    pub async fn start(options: MysqlOptions) -> Self {
        let scratch = Scratch::new("mysql");
        let mut server = Self { process: None, options, port: Port::claim(), scratch };
        server.boot().await;
        server
    }

    /// The options for the next [`restart`](Self::restart).
    pub fn options_mut(&mut self) -> &mut MysqlOptions {
        &mut self.options
    }

    /// Starts a stopped or killed server on the same data and port.
    pub async fn boot(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let port = self.port();
        wait_until("the port is free", STOP, async || is_free(port).then_some(()).ok_or("taken".into()))
            .await;
        let mut args = vec![project("scripts/mysql.sh").display().to_string(), "run".to_owned()];
        args.extend([self.dir().display().to_string(), port.to_string()]);
        args.extend(self.options.arguments());
        let env = [("MYSQL_INIT_FLAGS".to_owned(), self.options.init_flags.join(" "))];
        let mut process = Process::spawn("bash", &args, &env, &self.dir().join("mysqld.log"));
        let url = self.url();
        let up = poll(START, async || {
            if process.ended().is_some() {
                return Ok(false);
            }
            let mut conn = Conn::from_url(&url).await.map_err(|error| error.to_string())?;
            conn.query_drop("SELECT 1").await.map(|()| true).map_err(|error| error.to_string())
        });
        let up = up.await;
        assert_eq!(up, Ok(true), "MySQL did not come up; log:\n{}", process.log_tail(20));
        self.process = Some(process);
    }

    /// Clean shutdown.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await;
        }
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Clean shutdown and start on the same data and port.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.boot().await;
    }

    /// Freezes the server (SIGSTOP).
    pub fn freeze(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its folder: `data`, `binlog.*`, `mysqld.log`.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// URL of root by TCP.
    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/", self.port())
    }

    /// Connection options of root.
    pub fn opts(&self) -> Opts {
        OptsBuilder::from_opts(Opts::from_url(&self.url()).unwrap()).prefer_socket(false).into()
    }

    /// How root reaches it, for the code under test.
    pub fn login(&self) -> ServerOptions {
        ServerOptions { port: self.port(), username: "root".into(), ..ServerOptions::default() }
    }

    /// A pool of root's connections. It belongs to the runtime of the test that asked for it.
    pub fn pool(&self) -> Pool {
        Pool::new(self.opts())
    }

    /// One connection of root.
    pub async fn conn(&self) -> Conn {
        Conn::new(self.opts()).await.expect("connect to MySQL")
    }

    /// Runs statements, one after the other, on one connection of root.
    pub async fn run<S: AsRef<str>>(&self, statements: &[S]) {
        let mut conn = self.conn().await;
        for statement in statements {
            let statement = statement.as_ref();
            conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let _ = conn.disconnect().await;
    }

    /// Replicates from another server from its first transaction on. `more`: further options, each after a comma.
    pub async fn replicate(&self, source: &Self, more: &str) {
        let grant = ["CREATE USER repl IDENTIFIED BY 'repl-pw'", "GRANT REPLICATION SLAVE ON *.* TO repl"];
        source.run(&grant).await;
        let change = format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'repl', \
             SOURCE_PASSWORD = 'repl-pw', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1{more}",
            source.port()
        );
        self.run(&[change.as_str(), "START REPLICA"]).await;
    }

    /// Stops the server, copies its whole state and starts it again.
    pub async fn snapshot(&mut self) -> Snapshot {
        self.stop().await;
        let copy = Scratch::new("mysql-snapshot");
        copy_folder(self.dir(), copy.path());
        self.boot().await;
        Snapshot(copy)
    }

    /// Goes back to a snapshot, as a restored backup would: same UUID, GTIDs given out again.
    pub async fn restore(&mut self, snapshot: &Snapshot) {
        self.stop().await;
        for entry in std::fs::read_dir(self.dir()).expect("the server's folder").flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
        copy_folder(snapshot.0.path(), self.dir());
        self.boot().await;
    }

    /// The binlog files, oldest first.
    pub async fn binlogs(&self) -> Vec<PathBuf> {
        let rows: Vec<Row> = self.conn().await.query("SHOW BINARY LOGS").await.expect("SHOW BINARY LOGS");
        rows.iter().map(|row| self.dir().join(row.get::<String, _>(0).unwrap())).collect()
    }

    /// File, position and executed GTID set.
    pub async fn position(&self) -> (String, u64, String) {
        let row: Option<Row> =
            self.conn().await.query_first("SHOW BINARY LOG STATUS").await.expect("SHOW BINARY LOG STATUS");
        let row = row.expect("the binlog is on");
        (row.get(0).unwrap(), row.get(1).unwrap(), row.get(4).unwrap())
    }

    /// The DDL of a database's tables, as mysqldump writes it.
    pub fn dump_ddl(&self, database: &str) -> String {
        let port = format!("-P{}", self.port());
        let login = ["mysqldump", "--no-defaults", "-uroot", "-h127.0.0.1", &port];
        script("mysql.sh", &[&login[..], &["--no-data", "--no-tablespaces", database]].concat())
    }

    /// Begins a new binlog file.
    pub async fn flush_logs(&self) {
        self.run(&["FLUSH BINARY LOGS"]).await;
    }

    /// Begins a new binlog file and removes all older ones.
    pub async fn purge(&self) {
        self.flush_logs().await;
        let (file, ..) = self.position().await;
        self.run(&[format!("PURGE BINARY LOGS TO '{file}'")]).await;
    }

    /// Each commit from now on, up to the first that has waited `timeout`, is sent to binlog clients at once
    /// but stays invisible for `timeout`. Needs no replica. Call it again for the next stall.
    pub async fn arm_stall(&self, timeout: Duration) {
        let mut conn = self.conn().await;
        // Installed already is an error that does not matter.
        let _ = conn.query_drop("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'").await;
        drop(conn);
        self.run(&[
            "SET GLOBAL rpl_semi_sync_source_enabled = 0".to_owned(),
            format!("SET GLOBAL rpl_semi_sync_source_timeout = {}", timeout.as_millis()),
            "SET GLOBAL rpl_semi_sync_source_wait_no_replica = ON".to_owned(),
            "SET GLOBAL rpl_semi_sync_source_enabled = 1".to_owned(),
        ])
        .await;
    }

    /// Ends the stall: waiting commits become visible.
    pub async fn end_stall(&self) {
        self.run(&["SET GLOBAL rpl_semi_sync_source_enabled = 0"]).await;
    }
}

/// Runs the server's own `mysqlbinlog`.
pub fn mysqlbinlog(args: &[&str]) -> String {
    let mut all = vec!["mysqlbinlog"];
    all.extend(args);
    script("mysql.sh", &all)
}

fn copy_folder(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(from.join("."))
        .arg(to)
        .status()
        .expect("cp");
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}
