//! Several statements from one snapshot, on one connection.

use std::time::Instant;

use tokio::time::timeout;

use super::Result;
use super::execute::open;
use super::reader::{Held, KeyedQuery, MAX_KEYS, ReadStats, Reader, RowSink};
use super::visibility::Visibility;
use crate::model::{Key, KeyPart};

/// A transaction in which everything asked for is visible. All its statements see one state of the data.
pub struct Snapshot<'r> {
    reader: &'r mut Reader,
    held: Held,
}

impl Reader {
    /// Waits until all of `visible` is, and opens a transaction. The snapshot itself is taken by its first statement.
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub async fn snapshot(&mut self, visible: &Visibility) -> Result<Snapshot<'_>> {
        let reused = self.is_linked();
        let held = match self.open_snapshot(visible).await {
            // An idle connection may have been closed by the server long ago.
            Err(error) if reused && error.is_connection() => self.open_snapshot(visible).await?,
            done => done?,
        };
        Ok(Snapshot { reader: self, held })
    }

    async fn open_snapshot(&mut self, visible: &Visibility) -> Result<Held> {
        let mut held = self.begin(visible).await?;
        if !held.open {
            held.open = true;
            let limit = self.connect_timeout();
            let done = timeout(limit, open(held.conn()?, "START TRANSACTION READ ONLY")).await;
            self.settle(&mut held, done, "opening a transaction", limit).await?;
        }
        Ok(held)
    }
}

impl Snapshot<'_> {
    /// Reads the rows of these keys; of each row the columns at `shown`, or all. After an error the snapshot is
    /// over.
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub async fn rows(
        &mut self,
        query: &KeyedQuery<'_>,
        keys: &[Key],
        shown: Option<&[usize]>,
        sink: &mut RowSink<'_>,
    ) -> Result<ReadStats> {
        let (begun, mut stats) = (Instant::now(), ReadStats::default());
        let limit = self.reader.query_timeout();
        for keys in keys.chunks(MAX_KEYS) {
            let read = self.reader.read_chunk(self.held.conn()?, query, keys, shown, sink, &mut stats);
            let done = timeout(limit, read).await;
            self.reader.settle(&mut self.held, done, "reading documents", limit).await?;
        }
        stats.took = begun.elapsed();
        Ok(stats)
    }

    /// The keys that a statement returns, as [`Reader::keys`].
    ///
    /// # Errors
    /// As for [`Reader::keys`].
    pub async fn keys(&mut self, sql: &str, params: &[KeyPart]) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let limit = self.reader.query_timeout();
        let done = timeout(limit, self.reader.read_keys(self.held.conn()?, sql, params, &mut keys)).await;
        self.reader.settle(&mut self.held, done, "looking keys up", limit).await?;
        Ok(keys)
    }

    /// Ends the transaction.
    pub fn end(mut self) {
        self.reader.put_back(&mut self.held);
    }
}
