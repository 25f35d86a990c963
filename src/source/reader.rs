//! Causal reads: wait and read on one connection.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Driver};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::model::{Key, KeyPart};

use super::connect::Source;
use super::execute::{Done, bound, execute, open, parameters};
use super::statements::Statements;
use super::visibility::{self, Visibility};
use super::{RecordError, Result, SourceError};

/// Most keys of one statement; more are read by several, from one snapshot where there was something to
/// wait for.
pub const MAX_KEYS: usize = 1000;

/// How long the client waits beyond the server's own limit.
const GRACE: Duration = Duration::from_secs(1);

/// A query for the documents of some keys.
#[derive(Clone, Copy)]
pub struct KeyedQuery<'a> {
    /// Names the query on this reader: the same name always means the same SQL. Where the SQL depends on the
    /// tables' columns (a key is cast to their type) so must the name: the SQL for one key is a good one.
    pub name: &'a str,
    /// The SQL for so many keys, as `padded_size` gives them: a `?` for each column of each key, and that
    /// once or several times over.
    pub sql_for: &'a (dyn Fn(usize) -> String + Sync),
    /// The result columns that are the key, counted from 0.
    pub key_output: &'a [usize],
}

/// Takes the rows of a read as they come: key, and the document on one line or why there is none.
pub type RowSink<'a> = dyn FnMut(Key, std::result::Result<&[u8], RecordError>) + Send + 'a;

/// What a read took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadStats {
    /// Rows that came, refused ones too.
    pub rows: usize,
    /// Bytes of their JSON.
    pub bytes: u64,
    /// Time until everything was visible and the transaction open.
    pub waited: Duration,
    /// Time in all.
    pub took: Duration,
}

/// How many keys the statement for `keys` keys takes: 1, 2, 4, ... 512, 1000. The rest repeats the last key.
pub fn padded_size(keys: usize) -> usize {
    if keys > 512 { MAX_KEYS } else { keys.max(1).next_power_of_two() }
}

/// One connection on which waits and reads go together. Each lane holds one of its own. After an error, and
/// when a read is dropped half-way, it makes a new connection by itself.
pub struct Reader {
    source: Source,
    link: Link,
    /// See [`Source::bind_to`].
    binding: u64,
    statements: Statements,
    json: Vec<u8>,
}

/// Where the reader's connection is between two reads.
enum Link {
    None,
    Idle(Conn),
    /// Its transaction is being ended meanwhile, so that neither a snapshot nor a metadata lock outlives the
    /// read, and nobody waits for that round trip.
    Ending(JoinHandle<Option<Conn>>),
}

impl Reader {
    pub(super) fn new(source: Source, conn: Conn, binding: u64) -> Self {
        Self { source, link: Link::Idle(conn), binding, statements: Statements::default(), json: Vec::new() }
    }

    /// Reads the documents of `keys`, in any number, as the server returns them: in no order, without the
    /// keys that have none, possibly with keys that were not asked for.
    ///
    /// Nothing has been read when `visible` could not be had. After any other error some rows may have gone
    /// to `sink`.
    ///
    /// # Errors
    /// [`SourceError::NotVisible`], timeouts and lost connections are for a retry. `class()` is `Record` where
    /// one row fails the whole statement: read the keys in halves until it stands alone.
    pub async fn read(
        &mut self,
        query: &KeyedQuery<'_>,
        keys: &[Key],
        visible: &Visibility,
        sink: &mut RowSink<'_>,
    ) -> Result<ReadStats> {
        let mut stats = ReadStats::default();
        if keys.is_empty() {
            return Ok(stats);
        }
        let reused = self.is_linked();
        match self.try_read(query, keys, visible, sink, &mut stats).await {
            // An idle connection may have been closed by the server long ago.
            Err(error) if reused && error.is_connection() && stats.rows == 0 => {
                self.try_read(query, keys, visible, sink, &mut stats).await?;
            }
            done => done?,
        }
        Ok(stats)
    }

    /// The keys that a statement returns: lookups and walks. All result columns are the key; rows with a
    /// NULL in it are left out, since no document has such a key.
    pub async fn keys(&mut self, sql: &str, params: &[KeyPart], visible: &Visibility) -> Result<Vec<Key>> {
        let reused = self.is_linked();
        match self.try_keys(sql, params, visible).await {
            Err(error) if reused && error.is_connection() => self.try_keys(sql, params, visible).await,
            done => done,
        }
    }

    /// Is a connection of before at hand?
    pub(super) fn is_linked(&self) -> bool {
        !matches!(self.link, Link::None)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.source.options().connect_timeout
    }

    pub(super) fn query_timeout(&self) -> Duration {
        self.source.options().query_timeout
    }

    async fn try_read(
        &mut self,
        query: &KeyedQuery<'_>,
        keys: &[Key],
        visible: &Visibility,
        sink: &mut RowSink<'_>,
        stats: &mut ReadStats,
    ) -> Result<()> {
        let begun = Instant::now();
        let mut held = self.begin(visible).await?;
        stats.waited = begun.elapsed();
        for keys in keys.chunks(MAX_KEYS) {
            let limit = self.source.options().query_timeout;
            let done = timeout(limit, self.read_chunk(held.conn()?, query, keys, None, sink, stats)).await;
            self.settle(&mut held, done, "reading documents", limit).await?;
        }
        stats.took = begun.elapsed();
        self.put_back(&mut held);
        Ok(())
    }

    /// Reads up to [`MAX_KEYS`] keys; of each row the columns at `shown`, or all.
    pub(super) async fn read_chunk(
        &mut self,
        conn: &mut Conn,
        query: &KeyedQuery<'_>,
        keys: &[Key],
        shown: Option<&[usize]>,
        sink: &mut RowSink<'_>,
        stats: &mut ReadStats,
    ) -> Done<()> {
        let size = padded_size(keys.len());
        tracing::debug!(target: "binlog_operator::sql", keys = keys.len(), sql = %(query.sql_for)(1), "reading");
        tracing::trace!(target: "binlog_operator::sql", keys = ?keys, "parameters");
        let statement = self.statements.get(conn, query.name, size, || (query.sql_for)(size)).await?;
        let params = match parameters(keys, size, usize::from(statement.num_params())) {
            Ok(params) => params,
            Err(error) => return Ok(Err(error)),
        };
        let json = &mut self.json;
        let source = self.source.clone();
        execute(conn, &statement, params, (query.key_output, source.style()), |encoder, row| {
            let Some(key) = encoder.key(row)? else {
                let (column, reason) = (encoder.key_name(), "it is NULL in a row of the result".into());
                return Err(SourceError::Key { column, reason });
            };
            json.clear();
            let written = match shown {
                None => encoder.write(row, json),
                Some(shown) => encoder.write_some(row, shown, json),
            };
            stats.rows += 1;
            stats.bytes += json.len() as u64;
            sink(key, written.map(|()| json.as_slice()));
            Ok(())
        })
        .await
    }

    async fn try_keys(&mut self, sql: &str, params: &[KeyPart], visible: &Visibility) -> Result<Vec<Key>> {
        let mut held = self.begin(visible).await?;
        let limit = self.source.options().query_timeout;
        let mut keys = Vec::new();
        let done = timeout(limit, self.read_keys(held.conn()?, sql, params, &mut keys)).await;
        self.settle(&mut held, done, "looking keys up", limit).await?;
        self.put_back(&mut held);
        Ok(keys)
    }

    pub(super) async fn read_keys(
        &mut self,
        conn: &mut Conn,
        sql: &str,
        params: &[KeyPart],
        keys: &mut Vec<Key>,
    ) -> Done<()> {
        tracing::debug!(target: "binlog_operator::sql", values = params.len(), sql, "looking keys up");
        tracing::trace!(target: "binlog_operator::sql", ?params, "parameters");
        let statement = self.statements.get(conn, sql, params.len(), || sql.to_owned()).await?;
        let takes = usize::from(statement.num_params());
        if takes != params.len() {
            return Ok(Err(SourceError::Parameters { takes, given: params.len() }));
        }
        let all: Vec<usize> = (0..usize::from(statement.num_columns())).collect();
        let params = params.iter().map(bound).collect();
        let source = self.source.clone();
        execute(conn, &statement, params, (&all, source.style()), |encoder, row| {
            keys.extend(encoder.key(row)?);
            Ok(())
        })
        .await
    }

    /// A connection on which all of `visible` is, and where it had to be waited for, a transaction without
    /// a snapshot yet.
    pub(super) async fn begin(&mut self, visible: &Visibility) -> Result<Held> {
        let linked = match std::mem::replace(&mut self.link, Link::None) {
            Link::None => None,
            Link::Idle(conn) => Some(conn),
            Link::Ending(end) => end.await.ok().flatten(),
        };
        let binding = self.source.binding();
        let conn = if let Some(conn) = linked.filter(|_| self.binding == binding) {
            conn
        } else {
            self.statements.clear();
            self.binding = binding;
            self.source.connect_bound().await?
        };
        let mut held = Held { source: self.source.clone(), conn: Some(conn), open: false };
        let limit = self.source.options().visibility_timeout;
        let Some(sql) = visibility::opening(visible, limit)? else { return Ok(held) };
        held.open = true;
        let done = match timeout(limit + GRACE, open(held.conn()?, &sql)).await {
            Err(_) => {
                held.kill().await;
                return Err(SourceError::NotVisible { after: limit });
            }
            done => done,
        };
        let answer = self.settle(&mut held, done, "waiting for visibility", limit).await?;
        let failure = match (visible, answer.as_deref()) {
            (Visibility::Nothing | Visibility::Locks(_), _) | (Visibility::Gtids(_), Some("0")) => {
                return Ok(held);
            }
            (_, Some("1")) => SourceError::NotVisible { after: limit },
            (_, other) => SourceError::Unexpected {
                doing: "WAIT_FOR_EXECUTED_GTID_SET".into(),
                found: format!("{other:?}"),
            },
        };
        self.put_back(&mut held);
        Err(failure)
    }

    /// Keeps the connection for the next read, and ends its transaction meanwhile.
    pub(super) fn put_back(&mut self, held: &mut Held) {
        self.link = match held.conn.take() {
            None => Link::None,
            Some(conn) if held.open => Link::Ending(tokio::spawn(commit(conn, self.source.clone()))),
            Some(conn) => Link::Idle(conn),
        };
    }

    /// Turns what came of a statement into a result, and the connection into what can be used again.
    pub(super) async fn settle<T>(
        &mut self,
        held: &mut Held,
        done: std::result::Result<Done<T>, tokio::time::error::Elapsed>,
        doing: &str,
        limit: Duration,
    ) -> Result<T> {
        match done {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => {
                self.put_back(held);
                Err(error)
            }
            Ok(Err(error)) => {
                if matches!(error, Driver::Server(_)) {
                    self.put_back(held);
                }
                held.conn = None;
                Err(self.source.error(doing, error))
            }
            Err(_) => {
                held.kill().await;
                Err(SourceError::Timeout { doing: doing.to_owned(), after: limit })
            }
        }
    }
}

/// A connection in use. If its user is dropped half-way, what it runs on the server is ended.
pub(super) struct Held {
    source: Source,
    conn: Option<Conn>,
    /// A transaction is open.
    pub(super) open: bool,
}

/// Ends a transaction that only read. A connection that cannot even do that is given up.
async fn commit(mut conn: Conn, source: Source) -> Option<Conn> {
    let done = timeout(source.options().connect_timeout, conn.query_drop("COMMIT")).await;
    matches!(done, Ok(Ok(()))).then_some(conn)
}

impl Held {
    pub(super) fn conn(&mut self) -> Result<&mut Conn> {
        let gone =
            || SourceError::Unexpected { doing: "reading".into(), found: "a connection in use twice".into() };
        self.conn.as_mut().ok_or_else(gone)
    }

    async fn kill(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.source.kill_query(conn.id()).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(conn), Ok(runtime)) = (self.conn.take(), tokio::runtime::Handle::try_current()) {
            let source = self.source.clone();
            runtime.spawn(async move { source.kill_query(conn.id()).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_few() {
        let sizes: Vec<usize> = [0, 1, 2, 3, 500, 512, 513, 1000].map(padded_size).to_vec();
        assert_eq!(sizes, [1, 1, 2, 4, 512, 512, 1000, 1000]);
    }
}
