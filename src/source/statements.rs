//! Prepared statements of one connection, the least recently used closed first.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Driver, Statement};

/// Statements kept prepared on one connection.
const CAPACITY: usize = 64;

/// A statement's name, and the number of keys it takes.
type Name = (Arc<str>, usize);

#[derive(Default)]
pub(super) struct Statements {
    kept: HashMap<Name, (Statement, u64)>,
    clock: u64,
}

impl Statements {
    /// The statement of that name, prepared from `sql` where it is not yet.
    pub(super) async fn get(
        &mut self,
        conn: &mut Conn,
        name: &str,
        keys: usize,
        sql: impl FnOnce() -> String,
    ) -> Result<Statement, Driver> {
        self.clock += 1;
        let name: Name = (name.into(), keys);
        if let Some((statement, used)) = self.kept.get_mut(&name) {
            *used = self.clock;
            return Ok(statement.clone());
        }
        if self.kept.len() >= CAPACITY {
            self.close_oldest(conn).await?;
        }
        let statement = conn.prep(sql()).await?;
        self.kept.insert(name, (statement.clone(), self.clock));
        Ok(statement)
    }

    /// Forgets all, after the connection is gone.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    async fn close_oldest(&mut self, conn: &mut Conn) -> Result<(), Driver> {
        let oldest = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
        if let Some((statement, _)) = oldest.and_then(|name| self.kept.remove(&name)) {
            conn.close(statement).await?;
        }
        Ok(())
    }
}
