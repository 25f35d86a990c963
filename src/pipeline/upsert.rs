//! `write: Upsert`: documents as the index has them, into which a task puts its own fields.
//!
//! They are looked at after the batch's version is taken and before its rows are read. What is written then holds
//! only for that state of the document: where it changed meanwhile the id is read again.

use std::collections::HashMap;
use std::sync::Arc;

use super::addresses::Addresses;
use super::misplaced::Elsewhere;
use crate::document::{OwnFields, Remaining};
use crate::model::Key;
use crate::sink::{BulkBody, Current, DocumentRef, Fence, Sink, SinkError};

/// Documents asked for in one request.
const AT_ONCE: usize = 100;

/// An `_id` and its routing.
type Address = (String, Option<String>);

/// The documents of a batch as the index has them.
pub(super) struct Documents {
    found: HashMap<String, Current>,
    /// Where sweeps found others of the same `_id`.
    elsewhere: Vec<Elsewhere>,
    /// Those of them that are there, by `_id`.
    others: HashMap<String, Vec<Current>>,
    own: Arc<OwnFields>,
}

impl Documents {
    /// Looks at the documents of these keys, and at those that a sweep found in other shards.
    pub(super) async fn look(
        sink: &Sink,
        addresses: &Addresses,
        own: Arc<OwnFields>,
        keys: &[Key],
        elsewhere: Vec<Elsewhere>,
    ) -> Result<Self, SinkError> {
        let mut others: HashMap<String, Vec<Current>> = HashMap::new();
        // one of each `_id` in a request: its answers are told apart by it
        for round in 0..elsewhere.iter().map(|e| e.routings.len()).max().unwrap_or(0) {
            let of_round =
                |e: &Elsewhere| Some((addresses.ids.id_of(keys.get(e.at)?), e.routings.get(round)?.clone()));
            let wanted: Vec<Address> = elsewhere.iter().filter_map(of_round).collect();
            for (id, other) in ask(sink, &wanted).await? {
                others.entry(id).or_default().push(other);
            }
        }
        let wanted = keys.iter().map(|key| (addresses.ids.id_of(key), addresses.routing_of(key)));
        let found = ask(sink, &wanted.collect::<Vec<_>>()).await?;
        // Two routings can lead to one shard, and it has one document of an `_id`. What is written after the first
        // look is not taken for another: its number has changed.
        for (id, others) in &mut others {
            let mut known: Vec<_> =
                found.get(id).map(|current| current.routing.clone()).into_iter().collect();
            others.retain(|other| {
                let is_new = !known.contains(&other.routing);
                known.push(other.routing.clone());
                is_new
            });
        }
        Ok(Self { found, elsewhere, others, own })
    }

    /// Where sweeps found other documents of these keys.
    pub(super) fn elsewhere(&self) -> &[Elsewhere] {
        &self.elsewhere
    }

    /// Puts the task's fields of a document into the body. False where the index has them already.
    ///
    /// # Errors
    /// Why that document cannot have them.
    pub(super) fn write(
        &self,
        body: &mut BulkBody,
        id: &str,
        routing: Option<&str>,
        own: &[u8],
    ) -> Result<bool, String> {
        let Some(current) = self.found.get(id) else {
            body.push_index(DocumentRef { id, routing, fence: Fence::Absent }, own);
            return Ok(true);
        };
        let mut document =
            body.begin_index(DocumentRef { id, routing, fence: Fence::Unchanged(current.seq_no) });
        let merged = self.own.merge(&current.source, own, document.buffer())?;
        // the shard of another routing may be the same
        let changed = merged || current.routing.as_deref() != routing;
        if changed {
            document.finish();
        }
        Ok(changed)
    }

    /// Takes the task's fields out of a document; with its last field it goes. False where it has none of them.
    pub(super) fn remove(&self, body: &mut BulkBody, id: &str, routing: Option<&str>) -> bool {
        self.found.get(id).is_some_and(|current| self.take_out(body, id, routing, current))
    }

    /// Takes the task's fields out of the documents of this `_id` in other shards; the number of actions.
    pub(super) fn remove_elsewhere(&self, body: &mut BulkBody, id: &str) -> usize {
        let others = self.others.get(id).into_iter().flatten();
        others.filter(|other| self.take_out(body, id, other.routing.as_deref(), other)).count()
    }

    fn take_out(&self, body: &mut BulkBody, id: &str, routing: Option<&str>, current: &Current) -> bool {
        let target = DocumentRef { id, routing, fence: Fence::Unchanged(current.seq_no) };
        match self.own.without(&current.source) {
            Remaining::Unchanged => return false,
            Remaining::Document(json) => body.push_index(target, &json),
            Remaining::Nothing => body.push_delete(target),
        }
        true
    }
}

async fn ask(sink: &Sink, wanted: &[Address]) -> Result<HashMap<String, Current>, SinkError> {
    let mut found = HashMap::with_capacity(wanted.len());
    for wanted in wanted.chunks(AT_ONCE) {
        found.extend(sink.current(wanted).await?);
    }
    Ok(found)
}
