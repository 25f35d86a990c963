//! The tables, and the query over them: a main row joined with its parent, and its children.

use std::collections::{BTreeMap, BTreeSet};

use binlog_operator::model::Key;

/// Added to a main row's number where its key is spelled in the other way, which the collation holds equal.
pub(crate) const OTHER_SPELLING: i64 = 1_000;

/// Looks main keys up by their parent.
pub(crate) const BY_PARENT: usize = 0;
/// Looks main keys up by the reference of a child.
pub(crate) const BY_CHILD: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Main,
    Child,
    Parent,
}

/// A row's table and primary key.
pub(crate) type Pk = (Table, i64);

/// What becomes of a main row's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    /// The index refuses it.
    Poison,
    /// The reader cannot make a document of it.
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Main { other: bool, value: u64, parent: i64, quality: Quality },
    Child { main: i64, other: bool, value: u64 },
    Parent { name: u64 },
}

/// A row before and after.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) pk: Pk,
    pub(crate) before: Option<Row>,
    pub(crate) after: Option<Row>,
}

/// The query's answer for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) content: u64,
    pub(crate) quality: Quality,
}

/// What SELECT sees at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) rows: BTreeMap<Pk, Row>,
}

pub(crate) fn spelled(number: i64, other: bool) -> i64 {
    number + if other { OTHER_SPELLING } else { 0 }
}

pub(crate) fn number(key: i64) -> i64 {
    key % OTHER_SPELLING
}

/// The number in a key of one integer.
pub(crate) fn of_key(key: &Key) -> i64 {
    key.document_id().parse().unwrap_or(-1)
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x0100_0000_01B3).rotate_left(23)
}

impl Tables {
    pub(crate) fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match &change.after {
                Some(row) => self.rows.insert(change.pk, row.clone()),
                None => self.rows.remove(&change.pk),
            };
        }
    }

    /// The document of this key, in exactly this spelling.
    pub(crate) fn document(&self, key: i64) -> Option<Document> {
        let main = number(key);
        let Some(Row::Main { other, value, parent, quality }) = self.rows.get(&(Table::Main, main)) else {
            return None;
        };
        let Some(Row::Parent { name }) = self.rows.get(&(Table::Parent, *parent)) else { return None };
        if spelled(main, *other) != key {
            return None;
        }
        let mut content = mix(mix(mix(17, *value), *parent as u64), *name);
        for (pk, row) in self.rows.range((Table::Child, i64::MIN)..=(Table::Child, i64::MAX)) {
            if let Row::Child { main: of, value, .. } = row
                && *of == main
            {
                content = mix(mix(content, pk.1 as u64), *value);
            }
        }
        Some(Document { content, quality: *quality })
    }

    /// Main keys in their own spelling, in the order of the collation, after this one.
    pub(crate) fn keys_after(&self, after: Option<i64>) -> impl Iterator<Item = i64> {
        let from = after.map_or(i64::MIN, |key| number(key) + 1);
        let rows = self.rows.range((Table::Main, from)..=(Table::Main, i64::MAX));
        rows.filter_map(|(pk, row)| match row {
            Row::Main { other, .. } => Some(spelled(pk.1, *other)),
            _ => None,
        })
    }

    /// The key of a main row in the spelling of the table, if it has a document.
    pub(crate) fn own_spelling(&self, key: i64) -> Option<i64> {
        let main = number(key);
        let Some(Row::Main { other, .. }) = self.rows.get(&(Table::Main, main)) else { return None };
        let own = spelled(main, *other);
        self.document(own).map(|_| own)
    }

    /// The main keys that a rule finds for these values.
    pub(crate) fn look_up(&self, rule: usize, values: &[i64], after: Option<i64>) -> Vec<i64> {
        let found = self.keys_after(after).filter(|key| {
            let main = number(*key);
            match self.rows.get(&(Table::Main, main)) {
                Some(Row::Main { parent, .. }) if rule == BY_PARENT => values.contains(parent),
                _ => values.contains(&main),
            }
        });
        found.collect()
    }

    /// Keys whose documents these changes may touch, looked at in this state.
    pub(crate) fn touched(&self, changes: &[Change]) -> BTreeSet<i64> {
        let mut keys = BTreeSet::new();
        for change in changes {
            for row in [&change.before, &change.after].into_iter().flatten() {
                match row {
                    Row::Main { .. } => both_spellings(&mut keys, change.pk.1),
                    Row::Child { main, .. } => both_spellings(&mut keys, *main),
                    Row::Parent { .. } => keys.extend(self.look_up(BY_PARENT, &[change.pk.1], None)),
                }
            }
        }
        keys
    }
}

fn both_spellings(keys: &mut BTreeSet<i64>, main: i64) {
    keys.extend([spelled(main, false), spelled(main, true)]);
}
