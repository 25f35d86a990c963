//! How the server would carry a statement out.

use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row};
use tokio::time::timeout;

use super::execute::bound;
use super::session::text;
use super::{Result, Source, SourceError};
use crate::model::KeyPart;

/// One line of EXPLAIN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// The table's alias in the statement.
    pub table: String,
    /// How its rows are found: `const`, `ref`, `range`, `ALL` (every row) and the like.
    pub kind: String,
    /// The index.
    pub index: Option<String>,
    /// About so many rows are looked at.
    pub rows: u64,
}

impl Source {
    /// EXPLAIN of a statement with these parameters.
    ///
    /// # Errors
    /// What the server says to the statement; connection.
    pub async fn access(&self, sql: &str, params: &[KeyPart]) -> Result<Vec<Access>> {
        let (doing, limit) = ("explaining a statement", self.options().query_timeout);
        let mut conn = self.connect().await?;
        let params = Params::Positional(params.iter().map(bound).collect());
        // named, since a server's default may be another one
        let rows =
            timeout(limit, conn.exec::<Row, _, _>(format!("EXPLAIN FORMAT=TRADITIONAL {sql}"), params)).await;
        let Ok(rows) = rows else {
            return Err(SourceError::Timeout { doing: doing.to_owned(), after: limit });
        };
        let rows = rows.map_err(|error| self.error(doing, error))?;
        let _ = timeout(limit, conn.disconnect()).await;
        let access = |row: &Row| {
            Some(Access {
                table: text(row, "table")?,
                kind: text(row, "type").unwrap_or_default(),
                index: text(row, "key"),
                rows: text(row, "rows").and_then(|rows| rows.parse().ok()).unwrap_or(0),
            })
        };
        Ok(rows.iter().filter_map(access).collect())
    }
}
