//! One task of a test: its database, its index, its operator, its checker.

use e2e::shared::name;
use e2e::shop::grant_sync;
use e2e::{Checker, Kind, MysqlOptions, MysqlServer, Operator, Scratch, Search, Shop, TaskFile, shared};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// For everything that is waited for: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(180);

static FULL: OnceCell<MysqlServer> = OnceCell::const_new();

/// A shared server with `binlog_row_metadata=FULL`; the one of [`shared::mysql`] has MINIMAL.
pub async fn full_metadata() -> &'static MysqlServer {
    FULL.get_or_init(|| MysqlServer::start(MysqlOptions { full_metadata: true, ..Default::default() })).await
}

/// What a [`Rig`] is made of. `{db}` in its texts stands for the database.
pub struct Plan {
    /// Where the database is made.
    pub opts: Opts,
    /// The server's port, as the task's file names it.
    pub port: u16,
    /// Begins the names of database, task and index.
    pub name: &'static str,
    /// Makes tables and rows; runs before the operator starts.
    pub setup: Vec<String>,
    /// The task's query.
    pub sql: String,
    /// The same for all rows: `_id` first, then the document's columns.
    pub check: String,
    /// The kinds of the document's columns.
    pub kinds: Vec<Kind>,
    /// Changes to the task's file, given the database.
    pub edit: fn(TaskFile, &str) -> TaskFile,
    /// Shards of the index.
    pub shards: u8,
    /// Lines for `_bulk` of documents that the index has before the operator starts.
    pub documents: fn(&str) -> String,
}

impl Plan {
    /// A plan on a server, with nothing in it yet.
    pub fn on(mysql: &MysqlServer, name: &'static str) -> Self {
        Self::at(mysql.opts(), mysql.port(), name)
    }

    /// The same on any server.
    pub fn at(opts: Opts, port: u16, name: &'static str) -> Self {
        Self {
            opts,
            port,
            name,
            setup: Vec::new(),
            sql: String::new(),
            check: String::new(),
            kinds: Vec::new(),
            edit: |file, _| file,
            shards: 1,
            documents: |_| String::new(),
        }
    }
}

/// A task that runs.
pub struct Rig {
    /// The database.
    pub db: String,
    /// The index.
    pub index: String,
    /// Its server.
    pub search: Search,
    /// The process.
    pub operator: Operator,
    opts: Opts,
    checker: Checker,
    _scratch: Scratch,
}

impl Rig {
    /// Makes database and index, starts the operator and waits until the index is equal.
    pub async fn start(plan: Plan) -> Self {
        let rig = Self::launch(plan).await;
        rig.equal("the full build").await;
        rig
    }

    /// The same without waiting.
    pub async fn launch(plan: Plan) -> Self {
        let db = name(plan.name);
        run(&plan.opts, &[format!("CREATE DATABASE `{db}`")], &db).await;
        run(&plan.opts, &plan.setup, &db).await;
        grant_sync(&plan.opts, &db).await;
        let sql = plan.sql.replace("{db}", &db);
        let checker = Checker::new(plan.check.replace("{db}", &db), &plan.kinds);
        let index = new_index(&db, plan.shards).await;
        let lines = (plan.documents)(&index);
        if !lines.is_empty() {
            let _ = shared::elastic().await.search().bulk(lines).await.ok();
        }
        Self::operate(plan.opts, plan.port, (db, index), &sql, checker, plan.edit).await
    }

    /// The same with the three tables of a shop.
    pub async fn shop(mysql: &MysqlServer, shop: &Shop) -> Self {
        let (db, sql, checker) = (shop.database.clone(), shop.sql(), shop.checker());
        let index = new_index(&db, 1).await;
        let rig = Self::operate(mysql.opts(), mysql.port(), (db, index), &sql, checker, |file, _| file).await;
        rig.equal("the full build").await;
        rig
    }

    async fn operate(
        opts: Opts,
        port: u16,
        (db, index): (String, String),
        sql: &str,
        checker: Checker,
        edit: fn(TaskFile, &str) -> TaskFile,
    ) -> Self {
        let elastic = shared::elastic().await;
        let search = elastic.search();
        let scratch = Scratch::new("shape");
        let task = db.to_lowercase().replace('_', "-");
        let file = TaskFile::new(&task, port, &elastic.url(), sql, &index);
        let file = edit(file, &db).write(scratch.path());
        let operator = Operator::start(&file, &scratch.path().join("state"), &[]);
        Self { db, index, search, operator, opts, checker, _scratch: scratch }
    }

    /// Runs statements on one connection.
    pub async fn run<S: AsRef<str>>(&self, statements: &[S]) {
        run(&self.opts, statements, &self.db).await;
    }

    /// A connection of root.
    pub async fn conn(&self) -> Conn {
        Conn::new(self.opts.clone()).await.unwrap()
    }

    /// One statement on an open connection.
    pub async fn on(&self, conn: &mut Conn, statement: &str) {
        let statement = statement.replace("{db}", &self.db);
        conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Waits until the task has caught up and every document equals the query; the number of documents.
    pub async fn equal(&self, after: &str) -> usize {
        let what = format!("{}: equal after {after}", self.db);
        let condition = async || {
            let found = self.checker.check(&self.opts, &self.search, &self.index).await;
            let page = self.operator.get("/readyz").await?;
            let lines = || page.body.lines();
            let settled = page.status == 200
                && lines().any(|line| line.starts_with("CaughtUp=True"))
                && lines().any(|line| line.starts_with("Repairing=False"));
            match found {
                Ok(count) if settled => Ok(count),
                found => Err(format!("{found:?}\n{}", page.body)),
            }
        };
        let count = self.operator.wait_until(&what, PATIENCE, condition).await;
        // Whatever came late would show now that nothing is pending.
        let again = self.checker.check(&self.opts, &self.search, &self.index).await;
        assert_eq!(again, Ok(count), "{what}: it did not stay equal\n{}", self.operator.log_tail(40));
        // told a moment after the documents were there
        let refused = async || match self.metric("dead_letters").await {
            0 => Ok(()),
            letters => Err(format!("{letters} dead letters")),
        };
        self.operator.wait_until(&format!("{what}, none refused"), PATIENCE, refused).await;
        count
    }

    /// The same once everything committed before now is counted.
    pub async fn metric_now(&self, name: &str) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let what = format!("figures of all that was committed up to {now}");
        let counted = async || match self.metric("watermark_timestamp_seconds").await {
            until if until > now => Ok(()),
            until => Err(format!("they are of {until}")),
        };
        self.operator.wait_until(&what, PATIENCE, counted).await;
        self.metric(name).await
    }

    /// A metric's sum over its labels, as it was told last: up to a second ago.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.operator.metrics().await.unwrap();
        metrics.sum(&format!("binlog_operator_{name}"), &[]).unwrap_or(0.0) as u64
    }

    /// Nothing was repaired by a new build since this process started.
    pub async fn no_gap(&self) {
        assert_eq!(self.metric("gaps_total").await, 0, "a gap: {}", self.operator.log_tail(60));
    }

    /// Ends the operator by SIGTERM.
    pub async fn stop(&mut self) {
        let code = self.operator.terminate(PATIENCE).await;
        assert_eq!(code, Some(0), "{}", self.operator.log_tail(40));
    }
}

/// Makes the index of a database.
pub async fn new_index(db: &str, shards: u8) -> String {
    let index = db.to_lowercase();
    // Numbers beyond 2^63 are no `long`: what the index makes of members is not what is tested here.
    let body = serde_json::json!({
        "mappings": {"dynamic": false},
        "settings": {"index.gc_deletes": "1h", "number_of_shards": shards, "number_of_replicas": 0},
    });
    let _ = shared::elastic().await.search().put(&format!("/{index}"), &body).await.ok();
    index
}

/// Statements on one connection; `{db}` stands for the database.
pub async fn run<S: AsRef<str>>(opts: &Opts, statements: &[S], db: &str) {
    let mut conn = Conn::new(opts.clone()).await.unwrap();
    for statement in statements {
        let statement = statement.as_ref().replace("{db}", db);
        conn.query_drop(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.disconnect().await.unwrap();
}

/// Owned statements of literals.
pub fn statements(all: &[&str]) -> Vec<String> {
    all.iter().map(|&statement| statement.to_owned()).collect()
}
