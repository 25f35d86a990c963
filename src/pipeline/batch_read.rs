//! Reading the documents of a batch where one statement is not enough: arrays of children, shards, ids that must be
//! read alone, rows that may be missing.
//!
//! Main rows and children of a document come from one snapshot. The shards of a batch are read side by side, each
//! by one connection.

use std::collections::HashMap;

use futures_util::future::try_join_all;

use super::shared::Shared;
use crate::mapping::{Child, Plan, Shard};
use crate::model::{Class, Key, KeyPart};
use crate::source::{KeyedQuery, Reader, RecordError, RowSink, Snapshot, SourceError, Visibility};

/// Bytes of children that one batch may hold; beyond, its ids are read one by one.
const MOST_BYTES: usize = 64 << 20;

/// What was read of a batch.
#[derive(Default)]
pub(super) struct Found {
    /// Each row's key and document, or why there is none.
    pub(super) rows: Vec<(Key, Result<Vec<u8>, RecordError>)>,
    /// Keys without a row in the result whose main row is there.
    pub(super) kept: Vec<Key>,
}

/// How a batch is read.
pub(super) struct BatchRead<'a> {
    pub(super) shared: &'a Shared,
    pub(super) plan: &'a Plan,
    pub(super) visible: &'a Visibility,
}

/// The keys of one shard.
type Group = (Shard, Vec<Key>);

impl BatchRead<'_> {
    /// True where one statement gives all there is to know.
    pub(super) fn is_plain(shared: &Shared, plan: &Plan) -> bool {
        plan.children().is_empty()
            && !shared.options.keep_missing
            && !plan.one_by_one()
            && plan.shards_of(&plan.read_sql(1)).len() == 1
    }

    /// Reads these keys, and where one of them fails all of them one by one.
    pub(super) async fn read(&self, reader: &mut Reader, keys: &[Key]) -> Result<Found, SourceError> {
        match self.groups(reader, self.plan.by_shard(keys)).await {
            Err(error) if error.class() == Class::Record => {}
            done => return done,
        }
        let mut all = Found::default();
        for key in keys {
            match self.share(reader, &self.plan.by_shard(std::slice::from_ref(key))).await {
                Ok(found) => {
                    all.rows.extend(found.rows);
                    all.kept.extend(found.kept);
                }
                Err(error) if error.class() == Class::Record => {
                    let (column, reason) = (self.plan.key_columns().first(), error.to_string());
                    let column = column.map_or_else(String::new, |column| column.output.clone());
                    all.rows.push((key.clone(), Err(RecordError { column, reason })));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Deals the shards out to connections.
    async fn groups(&self, reader: &mut Reader, groups: Vec<Group>) -> Result<Found, SourceError> {
        let most = self.shared.options.connections.clamp(1, groups.len().max(1));
        let permits = self.shared.free_permits(most - 1);
        let connections = permits.len() + 1;
        let mut shares: Vec<Vec<Group>> = vec![Vec::new(); connections];
        for (i, group) in groups.into_iter().enumerate() {
            if let Some(share) = shares.get_mut(i % connections) {
                share.push(group);
            }
        }
        let own = shares.pop().unwrap_or_default();
        let others = try_join_all(shares.iter().map(|share| self.borrowed(share)));
        let (own, others) = futures_util::future::try_join(self.share(reader, &own), others).await?;
        let mut all = own;
        for found in others {
            all.rows.extend(found.rows);
            all.kept.extend(found.kept);
        }
        Ok(all)
    }

    async fn borrowed(&self, groups: &[Group]) -> Result<Found, SourceError> {
        let mut reader = self.shared.connected().await?;
        let found = self.share(&mut reader, groups).await?;
        self.shared.give_back(reader);
        Ok(found)
    }

    /// Reads some shards by one connection.
    async fn share(&self, reader: &mut Reader, groups: &[Group]) -> Result<Found, SourceError> {
        let mut snapshot = reader.snapshot(self.visible).await?;
        let mut found = Found::default();
        for (shard, keys) in groups {
            self.group(&mut snapshot, shard, keys, &mut found).await?;
        }
        snapshot.end();
        Ok(found)
    }

    async fn group(
        &self,
        snapshot: &mut Snapshot<'_>,
        shard: &Shard,
        keys: &[Key],
        found: &mut Found,
    ) -> Result<(), SourceError> {
        let from = found.rows.len();
        let sql = |size: usize| self.plan.render(&self.plan.read_sql(size), shard);
        let query = KeyedQuery { name: &sql(1), sql_for: &sql, key_output: self.plan.key_output() };
        let at_once = if self.plan.one_by_one() { 1 } else { keys.len().max(1) };
        for keys in keys.chunks(at_once) {
            let rows = &mut found.rows;
            let mut take = |key: Key, row: Result<&[u8], RecordError>| {
                rows.push((key, row.map(<[u8]>::to_vec)));
            };
            snapshot.rows(&query, keys, None, &mut take).await?;
        }
        let rows = found.rows.get_mut(from..).unwrap_or_default();
        for child in self.plan.children() {
            let name = self.plan.render(&child.read_sql(1), shard);
            let nested = Nested { read: self, child, name, shard };
            nested.add(snapshot, keys, rows).await?;
        }
        if self.shared.options.keep_missing {
            let absent: Vec<Key> =
                keys.iter().filter(|key| !rows.iter().any(|(found, _)| found == *key)).cloned().collect();
            found.kept.extend(self.present(snapshot, shard, &absent).await?);
        }
        Ok(())
    }

    /// Those of the keys whose main row is there.
    async fn present(
        &self,
        snapshot: &mut Snapshot<'_>,
        shard: &Shard,
        keys: &[Key],
    ) -> Result<Vec<Key>, SourceError> {
        let mut present = Vec::new();
        for keys in keys.chunks(100) {
            let sql = self.plan.render(&self.plan.present_sql(keys.len()), shard);
            let params: Vec<KeyPart> = self.plan.read_params(keys);
            present.extend(snapshot.keys(&sql, &params).await?);
        }
        present.retain(|key| keys.contains(key));
        Ok(present)
    }
}

/// One array of the documents of a shard.
struct Nested<'n> {
    read: &'n BatchRead<'n>,
    child: &'n Child,
    name: String,
    shard: &'n Shard,
}

impl Nested<'_> {
    /// Puts the child's array into each row.
    async fn add(
        &self,
        snapshot: &mut Snapshot<'_>,
        keys: &[Key],
        rows: &mut [(Key, Result<Vec<u8>, RecordError>)],
    ) -> Result<(), SourceError> {
        let mut arrays: HashMap<Key, Array> = HashMap::new();
        let folded: Option<Vec<Key>> = keys.iter().map(folded).collect();
        let distinct = folded.as_ref().is_some_and(|all| {
            let set: std::collections::HashSet<&Key> = all.iter().collect();
            set.len() == all.len()
        });
        let together = distinct && self.together(snapshot, keys, &mut arrays).await?;
        if !together {
            // which of these keys a collation calls equal to a row's is known to the server only
            arrays.clear();
            for key in keys {
                let mut array = Array::default();
                self.rows(snapshot, std::slice::from_ref(key), &mut |_, row| array.push(row)).await?;
                arrays.insert(key.clone(), array);
            }
        }
        for (key, row) in rows {
            let array = if together { folded_get(&arrays, key) } else { arrays.get(key) };
            insert(row, self.child.field(), array);
        }
        Ok(())
    }

    /// Reads all keys by one statement. False where a row's key cannot be told apart by its letters.
    async fn together(
        &self,
        snapshot: &mut Snapshot<'_>,
        keys: &[Key],
        arrays: &mut HashMap<Key, Array>,
    ) -> Result<bool, SourceError> {
        let mut plain = true;
        let mut take = |key: Key, row: Result<&[u8], RecordError>| match folded(&key) {
            Some(key) => arrays.entry(key).or_default().push(row),
            None => plain = false,
        };
        self.rows(snapshot, keys, &mut take).await?;
        let bytes: usize = arrays.values().map(|array| array.json.len()).sum();
        if bytes > MOST_BYTES && keys.len() > 1 {
            return Err(SourceError::TooMuch { bytes: MOST_BYTES });
        }
        Ok(plain)
    }

    async fn rows(
        &self,
        snapshot: &mut Snapshot<'_>,
        keys: &[Key],
        take: &mut RowSink<'_>,
    ) -> Result<(), SourceError> {
        let sql = |size: usize| self.read.plan.render(&self.child.read_sql(size), self.shard);
        let query = KeyedQuery { name: &self.name, sql_for: &sql, key_output: self.child.key_output() };
        snapshot.rows(&query, keys, Some(self.child.shown()), take).await.map(drop)
    }
}

/// The objects of one array, and what is wrong with one of them.
#[derive(Default)]
struct Array {
    json: Vec<u8>,
    wrong: Option<RecordError>,
}

impl Array {
    fn push(&mut self, row: Result<&[u8], RecordError>) {
        match row {
            Ok(json) => {
                if !self.json.is_empty() {
                    self.json.push(b',');
                }
                self.json.extend_from_slice(json);
            }
            Err(error) => self.wrong = Some(error),
        }
    }
}

/// The key under which it is found whatever collation compares it: letters without case. `None` for text of which
/// only the server knows what it equals.
fn folded(key: &Key) -> Option<Key> {
    let part = |part: &KeyPart| match part {
        KeyPart::Text(text) if text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) => {
            Some(KeyPart::Text(text.to_ascii_lowercase().into()))
        }
        KeyPart::Text(_) => None,
        other => Some(other.clone()),
    };
    key.parts().iter().map(part).collect::<Option<Vec<_>>>().map(Key::new)
}

fn folded_get<'a>(arrays: &'a HashMap<Key, Array>, key: &Key) -> Option<&'a Array> {
    arrays.get(&folded(key)?)
}

/// Puts a member at the end of a JSON object.
fn insert(row: &mut Result<Vec<u8>, RecordError>, field: &str, array: Option<&Array>) {
    if let Some(error) = array.and_then(|array| array.wrong.as_ref()) {
        let column = format!("{field}.{}", error.column);
        *row = Err(RecordError { column, reason: error.reason.clone() });
    }
    let Ok(json) = row else { return };
    json.pop();
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
    json.extend_from_slice(serde_json::Value::from(field).to_string().as_bytes());
    json.extend_from_slice(b":[");
    json.extend_from_slice(array.map_or(&[][..], |array| &array.json));
    json.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_put_at_the_end() {
        let mut array = Array::default();
        array.push(Ok(b"{\"a\":1}"));
        array.push(Ok(b"{\"a\":2}"));
        let mut row = Ok(b"{\"id\":1}".to_vec());
        insert(&mut row, "lo\"ans", Some(&array));
        insert(&mut row, "none", None);
        let text = String::from_utf8(row.unwrap()).unwrap();
        assert_eq!(text, r#"{"id":1,"lo\"ans":[{"a":1},{"a":2}],"none":[]}"#);
        array.push(Err(RecordError { column: "a".into(), reason: "bad".into() }));
        let mut row = Ok(b"{}".to_vec());
        insert(&mut row, "x", Some(&array));
        assert_eq!(row.unwrap_err().column, "x.a");
    }

    #[test]
    fn letters_are_found_without_case_and_the_rest_by_the_server() {
        let text = |text: &str| Key::new([KeyPart::Text(text.into())]);
        assert_eq!(folded(&text("Ab-1")), Some(text("ab-1")));
        assert_eq!(folded(&text("straße")), None);
        assert_eq!(folded(&text("a b")), None);
        assert_eq!(folded(&Key::int(5)), Some(Key::int(5)));
    }
}
