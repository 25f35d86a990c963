//! What a session is set to, and the connection for short questions.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Driver, Row, ServerError, Value};
use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::connect::Asked;
use super::options::SourceOptions;
use super::{Result, Source, SourceError};

/// Unknown system variable.
const UNKNOWN_VARIABLE: u16 = 1193;

/// A connection is made anew after so long: the address may lead to another server by then, and the old one still answer.
const LASTS: Duration = Duration::from_secs(60);

/// Makes every setting that a read depends on: the server's defaults decide nothing.
pub(super) async fn prepare(conn: &mut Conn, options: &SourceOptions) -> std::result::Result<(), Driver> {
    let wait = options.visibility_timeout.as_secs().max(1);
    // The client ends a statement first; the server's own limit is for the day when the client is gone.
    let own = &options.session;
    let millis = options.query_timeout.as_millis() as u64 + 2_000;
    let millis = own.max_execution_time.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(millis);
    let zone = own.time_zone.as_deref().unwrap_or("+00:00");
    let longest = own.group_concat_max_len.unwrap_or(64 << 20);
    let common = format!(
        "SET NAMES utf8mb4; SET SESSION autocommit = 1, time_zone = {}, \
         sql_mode = 'ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION', group_concat_max_len = {longest}, \
         net_read_timeout = 60, net_write_timeout = 600, innodb_lock_wait_timeout = {wait}, \
         lock_wait_timeout = {wait}, sql_big_selects = 1, sql_safe_updates = 0, sql_select_limit = DEFAULT; \
         SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; ",
        literal(zone)
    );
    match conn.query_drop(format!("{common}SET SESSION max_execution_time = {millis}")).await {
        Err(Driver::Server(ServerError { code: UNKNOWN_VARIABLE, .. })) => {
            let seconds = millis as f64 / 1_000.0;
            conn.query_drop(format!("{common}SET SESSION max_statement_time = {seconds:.3}")).await
        }
        done => done,
    }
}

/// The shared connection, held for a few questions. It is made anew where it was lost.
pub(super) struct Session<'a> {
    source: &'a Source,
    slot: MutexGuard<'a, Asked>,
}

impl<'a> Session<'a> {
    pub(super) fn new(source: &'a Source, mut slot: MutexGuard<'a, Asked>) -> Self {
        if slot.made.is_some_and(|made| made.elapsed() >= LASTS) {
            slot.conn = None;
        }
        Self { source, slot }
    }

    /// The rows of one statement (text protocol: every value is text or NULL).
    pub(super) async fn rows(&mut self, doing: &str, sql: &str) -> Result<Vec<Row>> {
        if let Some(conn) = self.slot.conn.take() {
            match self.ask(conn, doing, sql).await {
                Err(error) if error.is_connection() => {}
                answer => return answer,
            }
        }
        let conn = self.source.connect().await?;
        self.slot.made = Some(Instant::now());
        self.ask(conn, doing, sql).await
    }

    /// Shows generated invisible primary keys, which row images have. Older servers have no such setting.
    pub(super) async fn show_invisible_keys(&mut self) {
        let sql = "SET SESSION show_gipk_in_create_table_and_information_schema = ON";
        let _ = self.rows("showing invisible keys", sql).await;
    }

    /// The rows of the first statement that the server knows; if it knows none, every refusal.
    pub(super) async fn rows_of_either(&mut self, doing: &str, forms: &[&str]) -> Result<Vec<Row>> {
        let mut refusals: Vec<SourceError> = Vec::new();
        for sql in forms {
            match self.rows(&format!("{doing} ({sql})"), sql).await {
                Err(error) if error.code().is_some() => refusals.push(error),
                answer => return answer,
            }
        }
        let all = refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        // A missing grant says more than a syntax error of the form that this server does not know.
        let telling = refusals.into_iter().min_by_key(|error| error.code() == Some(1064));
        Err(match telling {
            Some(SourceError::Server { doing, code, state, .. }) => {
                SourceError::Server { doing, code, state, message: all }
            }
            _ => SourceError::Unexpected { doing: doing.to_owned(), found: all },
        })
    }

    fn keep(&mut self, conn: Conn) {
        self.slot.conn = Some(conn);
        self.slot.at = Some(Instant::now());
    }

    async fn ask(&mut self, mut conn: Conn, doing: &str, sql: &str) -> Result<Vec<Row>> {
        let limit = self.source.options().query_timeout;
        let id = conn.id();
        let answer = timeout(limit, conn.query::<Row, _>(sql)).await;
        match answer {
            Ok(Ok(rows)) => {
                self.keep(conn);
                Ok(rows)
            }
            Ok(Err(error)) => {
                if matches!(error, Driver::Server(_)) {
                    self.keep(conn);
                }
                Err(self.source.error(doing, error))
            }
            Err(_) => {
                self.source.kill_query(id).await;
                Err(SourceError::Timeout { doing: doing.to_owned(), after: limit })
            }
        }
    }
}

/// A column's text, by its name in any case; `None` where it is NULL or not there.
pub(super) fn text(row: &Row, name: &str) -> Option<String> {
    let at = row.columns_ref().iter().position(|c| c.name_str().eq_ignore_ascii_case(name))?;
    text_at(row, at)
}

/// A column's text, by its place.
pub(super) fn text_at(row: &Row, at: usize) -> Option<String> {
    match row.as_ref(at)? {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(v) => Some(v.to_string()),
        Value::UInt(v) => Some(v.to_string()),
        Value::Float(v) => Some(v.to_string()),
        Value::Double(v) => Some(v.to_string()),
        Value::NULL | Value::Date(..) | Value::Time(..) => None,
    }
}

/// Text as a literal that needs no escaping in any sql_mode.
pub(super) fn literal(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("_utf8mb4 x'");
    for byte in text.bytes() {
        let _ = write!(out, "{byte:02x}");
    }
    out.push('\'');
    out
}
