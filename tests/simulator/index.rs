//! The index: documents under external versions, and tombstones that expire.

use std::collections::{BTreeMap, BTreeSet};

use binlog_operator::pipeline::core::Verdict;

use crate::tables::{Document, Quality};

/// One action of a bulk request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action {
    pub(crate) key: i64,
    /// `None` deletes.
    pub(crate) document: Option<Document>,
    pub(crate) version: u64,
    /// How many commits were visible to the read behind it.
    pub(crate) snapshot: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) exists: bool,
    generation: u64,
    pub(crate) documents: BTreeMap<i64, (u64, Document)>,
    tombstones: BTreeMap<i64, (u64, u64)>,
    /// For the checks only: which read the id's present state comes from. It never expires.
    pub(crate) reads: BTreeMap<i64, u64>,
    /// Ids that a foreign writer wrote last.
    pub(crate) foreign: BTreeSet<i64>,
    pub(crate) gc_deletes: u64,
    /// The index says in its mapping that the task was in sync once.
    pub(crate) synced: bool,
}

impl Index {
    pub(crate) fn new(gc_deletes: u64) -> Self {
        let mut index = Self { gc_deletes, ..Self::default() };
        index.create();
        index
    }

    pub(crate) fn uuid(&self) -> String {
        format!("index-{}", self.generation)
    }

    pub(crate) fn create(&mut self) {
        if !self.exists {
            let (generation, gc_deletes) = (self.generation + 1, self.gc_deletes);
            *self = Self { exists: true, generation, gc_deletes, ..Self::default() };
        }
    }

    pub(crate) fn delete(&mut self) {
        let (generation, gc_deletes) = (self.generation, self.gc_deletes);
        *self = Self { generation, gc_deletes, ..Self::default() };
    }

    /// One action with `version_type=external_gte`.
    pub(crate) fn apply(&mut self, action: &Action, now: u64) -> Verdict {
        if !self.exists {
            return Verdict::IndexMissing("index_not_found_exception".into());
        }
        if action.document.is_some_and(|document| document.quality == Quality::Poison) {
            return Verdict::Rejected("mapper_parsing_exception".into());
        }
        let buried = self.tombstones.get(&action.key).filter(|(_, at)| now - at <= self.gc_deletes);
        let current = self.documents.get(&action.key).map(|(version, _)| *version);
        let current = current.or(buried.map(|(version, _)| *version));
        if current.is_some_and(|current| current > action.version) {
            return Verdict::Superseded(current);
        }
        self.reads.insert(action.key, action.snapshot);
        self.foreign.remove(&action.key);
        self.tombstones.remove(&action.key);
        if let Some(document) = action.document {
            self.documents.insert(action.key, (action.version, document));
        } else {
            self.documents.remove(&action.key);
            self.tombstones.insert(action.key, (action.version, now));
        }
        Verdict::Done
    }

    pub(crate) fn below(&self, version: u64) -> Vec<i64> {
        self.documents.iter().filter(|(_, held)| held.0 < version).map(|(key, _)| *key).collect()
    }
}
