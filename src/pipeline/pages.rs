//! Pages of main keys: of walks and lookups, over one table or over all shards.
//!
//! Over shards a page goes through them in order, each in the order of its keys. The cursor is the last key, as
//! everywhere: the key itself tells its shard. A row that stands in another shard than its key says is left out:
//! no read would find it either.

use super::core::{Failure, Outcome, Page, Seen};
use super::shared::{Shared, source_failure, visibility};
use crate::mapping::{Plan, Shard};
use crate::model::{Class, Key, KeyPart};
use crate::source::{Snapshot, SourceError};

/// SQL that gives pages of main keys.
pub(super) struct Pages<'a> {
    pub(super) shared: &'a Shared,
    pub(super) plan: &'a Plan,
    /// The SQL for a page of at most so many keys, with a cursor or without.
    pub(super) sql: &'a (dyn Fn(bool, usize) -> String + Sync),
    /// Its parameters, with a cursor or without.
    pub(super) params: &'a (dyn Fn(Option<&Key>) -> Vec<KeyPart> + Sync),
}

impl Pages<'_> {
    /// The next page after a key. What an error of the server means may be said by `class`.
    pub(super) async fn next(
        &self,
        after: Option<&Key>,
        limit: usize,
        seen: &Seen,
        class: impl Fn(Class) -> Class,
    ) -> Outcome<Page> {
        let failed = |error: SourceError| {
            let failure = source_failure(&error);
            Failure { class: class(failure.class), ..failure }
        };
        let (mut reader, _permit) =
            self.shared.borrow_reader().await.map_err(|error| source_failure(&error))?;
        let shards = self.plan.shards_of(&(self.sql)(false, limit));
        let page = if shards.len() > 1 {
            let mut snapshot = reader.snapshot(&visibility(seen)).await.map_err(failed)?;
            let page = self.over_shards(&mut snapshot, &shards, after, limit).await.map_err(failed)?;
            snapshot.end();
            page
        } else {
            let sql = (self.sql)(after.is_some(), limit);
            let keys = reader.keys(&sql, &(self.params)(after), &visibility(seen)).await.map_err(failed)?;
            let more = keys.len() >= limit;
            Page { keys, more }
        };
        self.shared.give_back(reader);
        Ok(page)
    }

    async fn over_shards(
        &self,
        snapshot: &mut Snapshot<'_>,
        shards: &[Shard],
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, SourceError> {
        let text = (self.sql)(false, limit);
        let begun = after.map(|key| self.plan.shard_of(&text, key));
        let mut keys: Vec<Key> = Vec::new();
        for shard in shards.iter().filter(|shard| begun.as_ref().is_none_or(|begun| *shard >= begun)) {
            let mut cursor = after.filter(|_| begun.as_ref() == Some(shard)).cloned();
            loop {
                let room = limit - keys.len();
                let sql = self.plan.render(&(self.sql)(cursor.is_some(), room), shard);
                let found = snapshot.keys(&sql, &(self.params)(cursor.as_ref())).await?;
                let full = found.len() >= room;
                cursor = found.last().cloned();
                keys.extend(found.into_iter().filter(|key| self.plan.shard_of(&text, key) == *shard));
                if keys.len() >= limit {
                    return Ok(Page { keys, more: true });
                }
                if !full {
                    break;
                }
            }
        }
        Ok(Page { keys, more: false })
    }
}
