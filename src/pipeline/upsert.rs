//! `write: Upsert`: documents as the index has them, into which a task puts its own fields.
//!
//! They are looked at after the batch's version is taken and before its rows are read. What is written then holds
//! only for that state of the document: where it changed meanwhile the id is read again.

use std::collections::HashMap;
use std::sync::Arc;

use super::addresses::Addresses;
use crate::document::{OwnFields, Remaining};
use crate::model::Key;
use crate::sink::{BulkBody, Current, DocumentRef, Fence, Sink, SinkError};

/// Documents asked for in one request.
const AT_ONCE: usize = 100;

/// The documents of a batch as the index has them.
pub(super) struct Documents {
    found: HashMap<String, Current>,
    own: Arc<OwnFields>,
}

impl Documents {
    /// Looks at the documents of these keys.
    pub(super) async fn look(
        sink: &Sink,
        addresses: &Addresses,
        own: Arc<OwnFields>,
        keys: &[Key],
    ) -> Result<Self, SinkError> {
        let mut found = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let ids: Vec<(String, Option<String>)> =
                keys.iter().map(|key| (addresses.ids.id_of(key), addresses.routing_of(key))).collect();
            found.extend(sink.current(&ids).await?);
        }
        Ok(Self { found, own })
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
        let changed = self.own.merge(&current.source, own, document.buffer())?;
        if changed {
            document.finish();
        }
        Ok(changed)
    }

    /// Takes the task's fields out of a document; with its last field it goes. False where it has none of them.
    pub(super) fn remove(&self, body: &mut BulkBody, id: &str, routing: Option<&str>) -> bool {
        let Some(current) = self.found.get(id) else { return false };
        let target = DocumentRef { id, routing, fence: Fence::Unchanged(current.seq_no) };
        match self.own.without(&current.source) {
            Remaining::Unchanged => return false,
            Remaining::Document(json) => body.push_index(target, &json),
            Remaining::Nothing => body.push_delete(target),
        }
        true
    }
}
