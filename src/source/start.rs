//! Where a stream may begin so that no change is missed (DESIGN, invariant 2).

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use crate::model::{BinlogPosition, StreamPosition};

use super::server::{binlog_end, gtid_executed};
use super::session::{Session, text, text_at};
use super::{Result, Source, SourceError};

/// A position to begin at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartPosition {
    /// Every transaction before it is visible to a read that begins now (but see `wait_until`).
    pub position: StreamPosition,
    /// `Some` where the server could not say what is visible, and the position is the head of its current
    /// file: changes found from there to this offset may be invisible still and have to be waited for
    /// (by locks) before the first read.
    pub wait_until: Option<BinlogPosition>,
}

/// The offset of a binlog file's first event.
const HEAD: u64 = 4;

impl Source {
    /// A position from which no change is missed by reads that begin after it was taken.
    ///
    /// With GTIDs it is `@@gtid_executed`, never SHOW's, which runs ahead of what is visible. Without:
    /// `performance_schema.log_status`, which answers once no commit is in flight; on MariaDB that of a
    /// consistent snapshot; else the head of the current file, see [`StartPosition::wait_until`].
    ///
    /// # Errors
    /// Connection; binlog off; without GTIDs also lacking REPLICATION CLIENT.
    pub async fn start_position(&self) -> Result<StartPosition> {
        let exact = |position| StartPosition { position, wait_until: None };
        let mut session = self.session().await;
        // Before the set, so that a file and offset that people look at are never ahead of it.
        let end = binlog_end(&mut session).await;
        if let Some(gtids) = gtid_executed(&mut session).await? {
            return Ok(exact(StreamPosition { gtids: Some(gtids), binlog: end.unwrap_or_default() }));
        }
        let plain = |binlog| StreamPosition { gtids: None, binlog };
        if let Some(binlog) = log_status(&mut session).await? {
            return Ok(exact(plain(binlog)));
        }
        drop(session);
        if let Some(binlog) = self.snapshot_position().await? {
            return Ok(exact(plain(binlog)));
        }
        let end = end?;
        let head = BinlogPosition { file: end.file.clone(), offset: HEAD };
        Ok(StartPosition { position: plain(head), wait_until: Some(end) })
    }

    /// MariaDB: the position that belongs to a consistent snapshot; `None` on others.
    async fn snapshot_position(&self) -> Result<Option<BinlogPosition>> {
        let doing = "taking a consistent snapshot's position";
        let mut conn = self.connect().await?;
        let batch =
            "START TRANSACTION WITH CONSISTENT SNAPSHOT; SHOW STATUS LIKE 'binlog_snapshot_%'; COMMIT";
        let asked = async {
            let mut result = conn.query_iter(batch).await?;
            let mut rows: Vec<Row> = Vec::new();
            while !result.is_empty() {
                rows.extend(result.collect::<Row>().await?);
            }
            result.drop_result().await?;
            Ok(rows)
        };
        let limit = self.options().query_timeout;
        let rows = match tokio::time::timeout(limit, asked).await {
            Ok(rows) => rows.map_err(|error| self.error(doing, error))?,
            Err(_) => return Err(SourceError::Timeout { doing: doing.into(), after: limit }),
        };
        let _ = conn.disconnect().await;
        let find = |name: &str| {
            let row =
                rows.iter().find(|row| text_at(row, 0).is_some_and(|n| n.eq_ignore_ascii_case(name)))?;
            text_at(row, 1).filter(|value| !value.is_empty())
        };
        let offset = find("binlog_snapshot_position").and_then(|offset| offset.parse().ok());
        let found = find("binlog_snapshot_file").zip(offset);
        Ok(found.map(|(file, offset)| BinlogPosition { file, offset }))
    }
}

/// MySQL 8: file and offset while no commit is in flight; `None` where it is not there or not granted.
async fn log_status(session: &mut Session<'_>) -> Result<Option<BinlogPosition>> {
    let sql = "SELECT JSON_UNQUOTE(JSON_EXTRACT(LOCAL, '$.binary_log_file')) AS file, \
               JSON_EXTRACT(LOCAL, '$.binary_log_position') AS position FROM performance_schema.log_status";
    match session.rows("reading performance_schema.log_status", sql).await {
        Ok(rows) => {
            let row = rows.first();
            let offset = row.and_then(|row| text(row, "position")).and_then(|offset| offset.parse().ok());
            let found = row.and_then(|row| text(row, "file")).zip(offset);
            Ok(found.map(|(file, offset)| BinlogPosition { file, offset }))
        }
        Err(error) if error.code().is_some_and(|code| code != 3024) => Ok(None),
        Err(error) => Err(error),
    }
}
