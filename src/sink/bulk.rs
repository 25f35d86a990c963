//! The body of a `_bulk` request, built in place: action lines and documents go straight into one buffer,
//! which is sent without another copy.

use std::ops::Range;

use bytes::Bytes;

/// Elasticsearch and OpenSearch take no longer `_id`.
pub const MAX_ID_BYTES: usize = 512;

/// What an action does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionKind {
    /// Writes a document.
    Index,
    /// Deletes a document.
    Delete,
}

/// Why an `_id` is not sent: the server would refuse the whole request for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IdFault {
    Empty,
    TooLong(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) kind: ActionKind,
    pub(super) fault: Option<IdFault>,
    range: Range<usize>,
}

/// Builds a [`Bulk`].
#[derive(Debug, Default)]
pub struct BulkBody {
    buffer: Vec<u8>,
    actions: Vec<Action>,
}

impl BulkBody {
    /// Adds an index action whose document is at hand.
    pub fn push_index(&mut self, id: &str, version: u64, json: &[u8]) {
        let mut document = self.begin_index(id, version);
        document.buffer().extend_from_slice(json);
        document.finish();
    }

    /// Begins an index action; the document's JSON is written to [`Document::buffer`]. Without
    /// [`Document::finish`] the action is taken back.
    pub fn begin_index(&mut self, id: &str, version: u64) -> Document<'_> {
        let start = self.buffer.len();
        let fault = self.action_line(ActionKind::Index, id, version);
        Document { start, json: self.buffer.len(), fault, body: self }
    }

    /// Adds a delete action.
    pub fn push_delete(&mut self, id: &str, version: u64) {
        let start = self.buffer.len();
        let fault = self.action_line(ActionKind::Delete, id, version);
        self.close(ActionKind::Delete, start, fault);
    }

    /// Actions so far.
    pub fn actions(&self) -> usize {
        self.actions.len()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// True without actions.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Ready to send.
    pub fn seal(self) -> Bulk {
        Bulk { bytes: Bytes::from(self.buffer), actions: self.actions }
    }

    fn action_line(&mut self, kind: ActionKind, id: &str, version: u64) -> Option<IdFault> {
        let head: &[u8] = match kind {
            ActionKind::Index => br#"{"index":{"_id":"#,
            ActionKind::Delete => br#"{"delete":{"_id":"#,
        };
        self.buffer.extend_from_slice(head);
        push_json_string(&mut self.buffer, id);
        self.buffer.extend_from_slice(br#","version":"#);
        self.buffer.extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
        self.buffer.extend_from_slice(b",\"version_type\":\"external_gte\"}}\n");
        match id.len() {
            0 => Some(IdFault::Empty),
            1..=MAX_ID_BYTES => None,
            length => Some(IdFault::TooLong(length)),
        }
    }

    fn close(&mut self, kind: ActionKind, start: usize, fault: Option<IdFault>) {
        if fault.is_some() {
            self.buffer.truncate(start);
        }
        self.actions.push(Action { kind, fault, range: start..self.buffer.len() });
    }
}

/// An index action whose document is being written.
#[derive(Debug)]
pub struct Document<'a> {
    body: &'a mut BulkBody,
    start: usize,
    json: usize,
    fault: Option<IdFault>,
}

impl Document<'_> {
    /// Where the document's JSON goes: append only.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.body.buffer
    }

    /// Ends the action.
    pub fn finish(self) {
        let mut document = std::mem::ManuallyDrop::new(self);
        let (start, json, fault) = (document.start, document.json, document.fault);
        flatten_lines(document.body.buffer.get_mut(json..).unwrap_or_default());
        document.body.buffer.push(b'\n');
        document.body.close(ActionKind::Index, start, fault);
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        self.body.buffer.truncate(self.start);
    }
}

/// In JSON a raw line break can only be white space between tokens; in a bulk it would end the document.
fn flatten_lines(json: &mut [u8]) {
    for breaking in [b'\n', b'\r'] {
        let mut from = 0;
        while let Some(at) = json.get(from..).and_then(|rest| memchr::memchr(breaking, rest)) {
            if let Some(byte) = json.get_mut(from + at) {
                *byte = b' ';
            }
            from += at + 1;
        }
    }
}

fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A `_bulk` request ready to send; cloning and splitting share its bytes.
#[derive(Clone, Debug)]
pub struct Bulk {
    bytes: Bytes,
    actions: Vec<Action>,
}

impl Bulk {
    /// Actions in it, also those that are judged without being sent.
    pub fn actions(&self) -> usize {
        self.actions.len()
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Two halves of about the same size, in order; `None` with fewer than two actions.
    pub fn split(&self) -> Option<(Self, Self)> {
        if self.actions.len() < 2 {
            return None;
        }
        let middle = self.bytes.len() / 2;
        let at = self.actions.partition_point(|a| a.range.end <= middle).clamp(1, self.actions.len() - 1);
        let (left, right) = self.actions.split_at_checked(at)?;
        let cut = left.last()?.range.end;
        let shift = |a: &Action| Action { range: a.range.start - cut..a.range.end - cut, ..a.clone() };
        Some((
            Self { bytes: self.bytes.slice(..cut), actions: left.to_vec() },
            Self { bytes: self.bytes.slice(cut..), actions: right.iter().map(shift).collect() },
        ))
    }

    /// The actions at these positions only, in this order.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        let mut body = BulkBody::default();
        for action in positions.iter().filter_map(|at| self.actions.get(*at)) {
            let start = body.buffer.len();
            body.buffer.extend_from_slice(self.bytes.get(action.range.clone()).unwrap_or_default());
            body.close(action.kind, start, action.fault);
        }
        body.seal()
    }

    /// Gives the buffer back for the next batch where nobody else holds it.
    pub fn recycle(self) -> BulkBody {
        let mut actions = self.actions;
        actions.clear();
        let mut buffer = if self.bytes.is_unique() { Vec::from(self.bytes) } else { Vec::new() };
        buffer.clear();
        BulkBody { buffer, actions }
    }

    pub(super) fn payload(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(super) fn list(&self) -> &[Action] {
        &self.actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bulk: &Bulk) -> &str {
        std::str::from_utf8(&bulk.bytes).unwrap()
    }

    fn sample() -> BulkBody {
        let mut body = BulkBody::default();
        body.push_index("1", 7, b"{\"n\":1}");
        body.push_delete("a\"\\\u{1}", 8);
        body
    }

    #[test]
    fn lines_carry_version_and_escaped_id() {
        let bulk = sample().seal();
        assert_eq!(
            text(&bulk),
            "{\"index\":{\"_id\":\"1\",\"version\":7,\"version_type\":\"external_gte\"}}\n{\"n\":1}\n\
             {\"delete\":{\"_id\":\"a\\\"\\\\\\u0001\",\"version\":8,\"version_type\":\"external_gte\"}}\n"
        );
        assert_eq!(bulk.actions(), 2);
    }

    #[test]
    fn line_breaks_between_tokens_do_not_break_the_frame() {
        let mut body = BulkBody::default();
        body.push_index("1", 1, b"{\n\"n\":\r\n1}\n");
        assert!(text(&body.seal()).ends_with("{ \"n\":  1} \n"));
    }

    #[test]
    fn unsendable_ids_leave_no_bytes_but_keep_their_place() {
        let mut body = sample();
        body.push_index(&"x".repeat(513), 1, b"{}");
        body.push_delete("", 1);
        body.push_delete(&"x".repeat(512), 1);
        let bulk = body.seal();
        let faults: Vec<_> = bulk.list().iter().map(|a| a.fault).collect();
        assert_eq!(faults, [None, None, Some(IdFault::TooLong(513)), Some(IdFault::Empty), None]);
        assert_eq!(text(&bulk).lines().count(), 4);
    }

    #[test]
    fn an_unfinished_document_is_taken_back() {
        let mut body = sample();
        let (bytes, actions) = (body.bytes(), body.actions());
        body.begin_index("2", 9).buffer().extend_from_slice(b"{\"half");
        assert_eq!((body.bytes(), body.actions()), (bytes, actions));
    }

    #[test]
    fn split_and_select_keep_whole_actions() {
        let mut body = sample();
        body.push_index("3", 9, &[b'1'; 200]);
        body.push_index("4", 9, b"{}");
        let bulk = body.seal();
        let (left, right) = bulk.split().unwrap();
        assert_eq!(format!("{}{}", text(&left), text(&right)), text(&bulk));
        assert_eq!(left.actions() + right.actions(), 4);
        assert_eq!(text(&right.select(&[0])), text(&bulk.select(&[left.actions()])));
        assert_eq!(text(&bulk.select(&[0, 1])), text(&sample().seal()));
        assert!(bulk.select(&[1]).split().is_none());
    }

    #[test]
    fn the_buffer_is_used_again() {
        let bulk = sample().seal();
        let room = bulk.bytes();
        let body = bulk.recycle();
        assert!(body.is_empty() && body.bytes() == 0 && body.buffer.capacity() >= room);
    }
}
