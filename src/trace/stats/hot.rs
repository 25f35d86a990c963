//! Rows that changed often.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;

use foldhash::fast::{FixedState, FoldHasher};

use super::top::Weight;
use crate::model::{TableName, Value};
use crate::trace::known::Chosen;
use crate::trace::sql;

/// A row that changed often. Most rows are seen once and forgotten: no text is made for them.
#[derive(Clone, Debug)]
pub(super) struct HotRow {
    pub(super) changes: u64,
    chosen: Arc<Chosen>,
    key: HotKey,
}

#[derive(Clone, Debug)]
enum HotKey {
    Int(i64),
    UInt(u64),
    /// Of several columns, or of another kind.
    Text(String),
}

impl HotRow {
    pub(super) fn new(chosen: &Arc<Chosen>, key: &[usize], values: &[Value<'_>]) -> Self {
        let key = match values {
            [Value::Int(number)] => HotKey::Int(*number),
            [Value::UInt(number)] => HotKey::UInt(*number),
            _ => HotKey::Text(key_text(chosen, key, values)),
        };
        Self { changes: 0, chosen: Arc::clone(chosen), key }
    }

    pub(super) fn table(&self) -> &TableName {
        &self.chosen.table.name
    }

    /// `id=42`.
    pub(super) fn key(&self) -> String {
        match &self.key {
            HotKey::Int(number) => key_text(&self.chosen, &self.chosen.table.key, &[Value::Int(*number)]),
            HotKey::UInt(number) => key_text(&self.chosen, &self.chosen.table.key, &[Value::UInt(*number)]),
            HotKey::Text(text) => text.clone(),
        }
    }
}

fn key_text(chosen: &Chosen, key: &[usize], values: &[Value<'_>]) -> String {
    let mut text = Vec::new();
    let columns = key.iter().filter_map(|index| chosen.table.columns.get(*index));
    for (column, value) in columns.zip(values) {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(column.name.as_bytes());
        text.push(b'=');
        let _ = sql::write_json_value(column, value, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

impl Weight for HotRow {
    fn weight(&self) -> u64 {
        self.changes
    }
    fn join(&mut self, other: Self) {
        self.changes += other.changes;
    }
}

/// Short names for the rows of one table: two rows have the same one with a chance of 1 in 2^64.
pub(super) struct RowNames {
    /// Has taken the table's name.
    table: FoldHasher<'static>,
}

impl RowNames {
    pub(super) fn of(chosen: &Chosen) -> Self {
        let mut table = FixedState::default().build_hasher();
        chosen.table.name.hash(&mut table);
        Self { table }
    }

    pub(super) fn of_row(&self, key: &[Value<'_>]) -> u64 {
        let mut hasher = self.table.clone();
        for value in key {
            hash_value(value, &mut hasher);
        }
        hasher.finish()
    }
}

fn hash_value(value: &Value<'_>, hasher: &mut FoldHasher<'_>) {
    match value {
        Value::Int(number) => number.hash(hasher),
        Value::UInt(number) | Value::Bit(number) | Value::Set(number) => number.hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        other => format!("{other:?}").hash(hasher),
    }
}
