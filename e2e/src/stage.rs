//! One task on real servers: a shop, an index, a task file and a state folder; and the questions that tests ask.

use crate::audit::Audit;
use crate::elastic::ElasticServer;
use crate::mysql::MysqlServer;
use crate::operator::Operator;
use crate::scratch::Scratch;
use crate::search::Search;
use crate::shared::name;
use crate::shop::{Shop, Size};
use crate::task_file::TaskFile;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Far more than anything needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A task that can be run.
#[derive(Debug)]
pub struct Stage {
    /// The tables.
    pub shop: Shop,
    /// A client of the search server, past any proxy.
    pub search: Search,
    /// The index.
    pub index: String,
    /// The task file, to be changed before a start.
    pub file: TaskFile,
    /// Where the task's state is kept.
    pub state_dir: PathBuf,
    /// Whether [`Stage::equal`] checks the log of actions too: not where index or server go back in time.
    pub audited: bool,
    scratch: Scratch,
}

impl Stage {
    /// A filled shop, and a task for it that has not been run. The checkpoint is saved each second.
    pub async fn new(mysql: &MysqlServer, elastic: &ElasticServer, prefix: &str, size: Size) -> Self {
        Self::on(mysql.opts(), mysql.port(), elastic, prefix, size).await
    }

    /// The same on any server that speaks MySQL's protocol.
    pub async fn on(opts: Opts, port: u16, elastic: &ElasticServer, prefix: &str, size: Size) -> Self {
        let name = name(prefix);
        let shop = Shop::create(opts, &name, size).await;
        let task = name.replace('_', "-");
        let file = TaskFile::new(&task, port, &elastic.url(), &shop.sql(), &name)
            .set("limits.checkpointInterval", "1s");
        let scratch = Scratch::new("stage");
        let state_dir = scratch.path().join("state");
        Self { shop, search: elastic.search(), index: name, file, state_dir, audited: true, scratch }
    }

    /// Sets a member of the task's `spec`.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.file = self.file.clone().set(path, value);
    }

    /// Writes the task file as it is now.
    pub fn write(&self) -> PathBuf {
        self.file.write(self.scratch.path())
    }

    /// Runs the task; its actions are written down for [`Stage::audit`].
    pub fn start(&self) -> Operator {
        self.start_with(&[])
    }

    /// The same with more arguments.
    pub fn start_with(&self, extra: &[&str]) -> Operator {
        let log = self.write_log().display().to_string();
        let mut args = vec!["--write-log", log.as_str()];
        args.extend(extra);
        Operator::start(&self.write(), &self.state_dir, &args)
    }

    /// Where all runs write their actions down.
    pub fn write_log(&self) -> PathBuf {
        self.scratch.path().join("writes.ndjson")
    }

    /// All actions so far.
    pub fn audit(&self) -> Audit {
        Audit::read(&self.write_log())
    }

    /// The stored checkpoint.
    pub fn checkpoint(&self) -> Option<Value> {
        newest(&self.state_dir, "checkpoint")
    }

    /// A build's record in the stored checkpoint.
    pub fn build(&self, name: &str) -> Option<Value> {
        self.checkpoint()?.get("builds")?.get(name).cloned()
    }

    /// The stored dead letters.
    pub fn dead_letters(&self) -> Vec<Value> {
        let letters = newest(&self.state_dir, "dead-letters");
        letters.and_then(|letters| letters.as_array().cloned()).unwrap_or_default()
    }

    /// Waits until the operator says that it has acknowledged whatever the server has executed by now and
    /// that no build is under way.
    pub async fn settle(&self, operator: &Operator) {
        let end = BinlogEnd::of(self.shop.opts()).await.expect("the server's end");
        operator
            .wait_until("everything acknowledged", PATIENCE, async || {
                let status = Status::of(operator).await?;
                if let Some((name, line)) = status.builds.iter().find(|(_, line)| !line.contains("Complete"))
                {
                    return Err(format!("build {name}: {line}\n{}", status.text));
                }
                if status.is("Repairing") {
                    return Err(status.text);
                }
                let reached = end.reached(self.shop.opts(), &status.position).await?;
                if reached { Ok(()) } else { Err(format!("{end:?} not reached:\n{}", status.text)) }
            })
            .await;
    }

    /// Everything acknowledged, then every document compared at once, without a second chance (invariant 1).
    /// Afterwards the log of actions is checked for fencing. The number of documents.
    pub async fn equal(&self, operator: &Operator) -> usize {
        self.equal_except(operator, &[]).await
    }

    /// The same without these ids.
    pub async fn equal_except(&self, operator: &Operator, ids: &[&str]) -> usize {
        let begin = Instant::now();
        self.settle(operator).await;
        let settled = begin.elapsed();
        let checker = self.shop.checker().except(ids.iter().copied());
        let count = checker.check(self.shop.opts(), &self.search, &self.index).await;
        let count = count.unwrap_or_else(|report| panic!("{report}\nlog:\n{}", operator.log_tail(40)));
        if self.audited {
            self.audit().check(&self.search.docs(&self.index).await.expect("the documents"));
        }
        eprintln!(
            "{}: {count} documents equal; settled in {settled:.1?}, checked by {:.1?}",
            self.index,
            begin.elapsed()
        );
        count
    }
}

/// The file `NAME.EPOCH.json` of the highest epoch.
fn newest(directory: &Path, name: &str) -> Option<Value> {
    let epoch =
        |file: &str| file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".json")?.parse::<u64>().ok();
    // a file that is gone by the time it is read was replaced by a newer one
    for _ in 0..100 {
        let files =
            std::fs::read_dir(directory).ok()?.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let newest = files.filter_map(|file| Some((epoch(&file)?, file))).max()?;
        if let Ok(content) = std::fs::read(directory.join(newest.1)) {
            return Some(serde_json::from_slice(&content).expect("a file of the operator is whole"));
        }
    }
    panic!("{} of {} cannot be read", name, directory.display())
}

/// What `/readyz` says.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// HTTP 200.
    pub ready: bool,
    /// The watermark.
    pub position: String,
    /// By type: `STATUS REASON: MESSAGE`.
    pub conditions: BTreeMap<String, String>,
    /// By name: `PHASE KEYS`.
    pub builds: BTreeMap<String, String>,
    /// All of it.
    pub text: String,
}

impl Status {
    /// Asks an operator.
    pub async fn of(operator: &Operator) -> Result<Self, String> {
        let answer = operator.get("/readyz").await?;
        let mut status = Self { ready: answer.status == 200, ..Self::default() };
        for line in answer.body.lines().skip(1) {
            let (head, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some((name, value)) = head.split_once('=') {
                status.conditions.insert(name.to_owned(), format!("{value} {rest}"));
            } else if head == "build" {
                let (name, state) = rest.split_once(' ').unwrap_or((rest, ""));
                status.builds.insert(name.to_owned(), state.to_owned());
            } else if head == "position" {
                rest.clone_into(&mut status.position);
            }
        }
        status.text = answer.body;
        Ok(status)
    }

    /// `STATUS REASON: MESSAGE` of a condition.
    pub fn condition(&self, name: &str) -> &str {
        self.conditions.get(name).map_or("", String::as_str)
    }

    /// Whether a condition is True.
    pub fn is(&self, condition: &str) -> bool {
        self.condition(condition).starts_with("True")
    }

    /// Keys that a build has walked.
    pub fn keys_done(&self, build: &str) -> u64 {
        let state = self.builds.get(build).map_or("", String::as_str);
        state.split(' ').nth(1).and_then(|keys| keys.parse().ok()).unwrap_or(0)
    }
}

/// Waits until a condition begins with these words (`False SinkUnavailable`), on `/readyz` and on `/metrics`.
pub async fn wait_condition(operator: &Operator, condition: &str, words: &str) -> Status {
    let what = format!("{condition}={words}");
    operator
        .wait_until(&what, PATIENCE, async || {
            let status = Status::of(operator).await?;
            if !status.condition(condition).starts_with(words) {
                return Err(status.text);
            }
            let label = format!("type=\"{condition}\"");
            let metric = operator.metrics().await?.sum("binlog_operator_condition", &[&label]);
            let expected = if words.starts_with("True") { 1.0 } else { 0.0 };
            if metric == Some(expected) { Ok(status) } else { Err(format!("/metrics says {metric:?}")) }
        })
        .await
}

/// The same on `/readyz` alone: before a worker runs nobody counts metrics.
pub async fn wait_said(operator: &Operator, condition: &str, words: &str) -> Status {
    let what = format!("{condition}={words} on /readyz");
    operator
        .wait_until(&what, PATIENCE, async || {
            let status = Status::of(operator).await?;
            if status.condition(condition).starts_with(words) { Ok(status) } else { Err(status.text) }
        })
        .await
}

/// The end of a server's binlog.
#[derive(Clone, Debug)]
pub enum BinlogEnd {
    /// What was executed.
    Gtids(String),
    /// File and offset.
    File(String, u64),
}

impl BinlogEnd {
    /// Asks the server.
    pub async fn of(opts: &Opts) -> Result<Self, String> {
        let text = |error: mysql_async::Error| error.to_string();
        let mut conn = Conn::new(opts.clone()).await.map_err(text)?;
        let row: Option<Row> = match conn.query_first("SHOW BINARY LOG STATUS").await {
            Ok(row) => row,
            // MariaDB knows no other
            Err(_) => conn.query_first("SHOW MASTER STATUS").await.map_err(text)?,
        };
        let gtids = conn.query_first("SELECT @@GLOBAL.gtid_mode, @@GLOBAL.gtid_executed").await;
        let (mode, executed): (String, String) = match gtids {
            Ok(gtids) => gtids.ok_or("no gtid_mode")?,
            Err(mysql_async::Error::Server(error)) if error.code == 1193 => Default::default(),
            Err(error) => return Err(text(error)),
        };
        let _ = conn.disconnect().await;
        if mode == "ON" {
            return Ok(Self::Gtids(executed.replace('\n', "")));
        }
        let row = row.ok_or("the binlog is off")?;
        Ok(Self::File(row.get(0).ok_or("no file")?, row.get(1).ok_or("no offset")?))
    }

    /// Does the operator's position lie at or behind this end? The server itself compares GTIDs.
    pub async fn reached(&self, opts: &Opts, position: &str) -> Result<bool, String> {
        match self {
            Self::Gtids(executed) => {
                let acked = position.split(" (").next().unwrap_or_default();
                let text = |error: mysql_async::Error| error.to_string();
                let mut conn = Conn::new(opts.clone()).await.map_err(text)?;
                let sql = format!("SELECT GTID_SUBSET('{executed}', '{acked}')");
                let subset: Option<u8> = conn.query_first(sql).await.map_err(text)?;
                let _ = conn.disconnect().await;
                Ok(subset == Some(1))
            }
            Self::File(file, offset) => {
                let (found, at) = position.rsplit_once(':').unwrap_or((position, "0"));
                let at: u64 = at.parse().unwrap_or(0);
                Ok(found > file.as_str() || (found == file && at >= *offset))
            }
        }
    }
}
