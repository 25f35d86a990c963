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
    /// Writes a document where there is none.
    Create,
    /// Deletes a document.
    Delete,
}

impl ActionKind {
    /// Its name in requests and answers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

/// What keeps an action from undoing a later one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fence {
    /// Carried out unless the index holds a higher version (`version_type=external_gte`).
    Version(u64),
    /// Carried out only if the document is still the one that was looked at.
    Unchanged(SeqNo),
    /// Carried out only if there still is no document.
    Absent,
}

/// Which state of a document was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeqNo {
    /// `_seq_no`.
    pub number: u64,
    /// `_primary_term`.
    pub term: u64,
}

/// Which document an action is for, and under which condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentRef<'a> {
    /// Its `_id`.
    pub id: &'a str,
    /// Its `routing`; without it the server takes the `_id`.
    pub routing: Option<&'a str>,
    /// The condition.
    pub fence: Fence,
}

impl<'a> DocumentRef<'a> {
    /// A document without routing, fenced by version.
    pub fn new(id: &'a str, version: u64) -> Self {
        Self { id, routing: None, fence: Fence::Version(version) }
    }
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
    /// Fenced by version, not by what was looked at.
    pub(super) versioned: bool,
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
    /// Adds an action that writes the document at hand.
    pub fn push_index(&mut self, target: DocumentRef<'_>, json: &[u8]) {
        let mut document = self.begin_index(target);
        document.buffer().extend_from_slice(json);
        document.finish();
    }

    /// Begins an action that writes a document; its JSON is written to [`Document::buffer`]. Without
    /// [`Document::finish`] the action is taken back.
    pub fn begin_index(&mut self, target: DocumentRef<'_>) -> Document<'_> {
        let kind = if target.fence == Fence::Absent { ActionKind::Create } else { ActionKind::Index };
        let begun = self.action_line(kind, target);
        Document { json: self.buffer.len(), begun, body: self }
    }

    /// Adds a delete action.
    pub fn push_delete(&mut self, target: DocumentRef<'_>) {
        let begun = self.action_line(ActionKind::Delete, target);
        self.close(begun);
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

    fn action_line(&mut self, kind: ActionKind, target: DocumentRef<'_>) -> Begun {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(b"{\"");
        self.buffer.extend_from_slice(kind.name().as_bytes());
        self.buffer.extend_from_slice(b"\":{\"_id\":");
        push_json_string(&mut self.buffer, target.id);
        if let Some(routing) = target.routing {
            self.buffer.extend_from_slice(b",\"routing\":");
            push_json_string(&mut self.buffer, routing);
        }
        let mut digits = itoa::Buffer::new();
        match target.fence {
            Fence::Version(version) => {
                self.buffer.extend_from_slice(b",\"version\":");
                self.buffer.extend_from_slice(digits.format(version).as_bytes());
                self.buffer.extend_from_slice(b",\"version_type\":\"external_gte\"");
            }
            Fence::Unchanged(seq_no) => {
                self.buffer.extend_from_slice(b",\"if_seq_no\":");
                self.buffer.extend_from_slice(digits.format(seq_no.number).as_bytes());
                self.buffer.extend_from_slice(b",\"if_primary_term\":");
                self.buffer.extend_from_slice(digits.format(seq_no.term).as_bytes());
            }
            Fence::Absent => {}
        }
        self.buffer.extend_from_slice(b"}}\n");
        let fault = match target.id.len() {
            0 => Some(IdFault::Empty),
            1..=MAX_ID_BYTES => None,
            length => Some(IdFault::TooLong(length)),
        };
        Begun { kind, versioned: matches!(target.fence, Fence::Version(_)), start, fault }
    }

    fn close(&mut self, begun: Begun) {
        let Begun { kind, versioned, start, fault } = begun;
        if fault.is_some() {
            self.buffer.truncate(start);
        }
        self.actions.push(Action { kind, versioned, fault, range: start..self.buffer.len() });
    }
}

/// An action whose line stands in the buffer.
#[derive(Clone, Copy, Debug)]
struct Begun {
    kind: ActionKind,
    versioned: bool,
    start: usize,
    fault: Option<IdFault>,
}

/// An index action whose document is being written.
#[derive(Debug)]
pub struct Document<'a> {
    body: &'a mut BulkBody,
    begun: Begun,
    json: usize,
}

impl Document<'_> {
    /// Where the document's JSON goes: append only.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.body.buffer
    }

    /// Ends the action.
    pub fn finish(self) {
        let mut document = std::mem::ManuallyDrop::new(self);
        let (begun, json) = (document.begun, document.json);
        flatten_lines(document.body.buffer.get_mut(json..).unwrap_or_default());
        document.body.buffer.push(b'\n');
        document.body.close(begun);
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        self.body.buffer.truncate(self.begun.start);
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
            let Action { kind, versioned, fault, .. } = *action;
            body.close(Begun { kind, versioned, start, fault });
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
        body.push_index(DocumentRef::new("1", 7), b"{\"n\":1}");
        body.push_delete(DocumentRef::new("a\"\\\u{1}", 8));
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
    fn lines_carry_routing_and_what_was_looked_at() {
        let mut body = BulkBody::default();
        let seq_no = Fence::Unchanged(SeqNo { number: 4, term: 2 });
        body.push_index(DocumentRef { id: "1", routing: Some("a\"b"), fence: seq_no }, b"{}");
        body.push_index(DocumentRef { id: "2", routing: None, fence: Fence::Absent }, b"{}");
        body.push_delete(DocumentRef { id: "3", routing: Some("c"), fence: Fence::Version(9) });
        assert_eq!(
            text(&body.seal()),
            "{\"index\":{\"_id\":\"1\",\"routing\":\"a\\\"b\",\"if_seq_no\":4,\"if_primary_term\":2}}\n{}\n\
             {\"create\":{\"_id\":\"2\"}}\n{}\n\
             {\"delete\":{\"_id\":\"3\",\"routing\":\"c\",\"version\":9,\"version_type\":\"external_gte\"}}\n"
        );
    }

    #[test]
    fn line_breaks_between_tokens_do_not_break_the_frame() {
        let mut body = BulkBody::default();
        body.push_index(DocumentRef::new("1", 1), b"{\n\"n\":\r\n1}\n");
        assert!(text(&body.seal()).ends_with("{ \"n\":  1} \n"));
    }

    #[test]
    fn unsendable_ids_leave_no_bytes_but_keep_their_place() {
        let mut body = sample();
        body.push_index(DocumentRef::new(&"x".repeat(513), 1), b"{}");
        body.push_delete(DocumentRef::new("", 1));
        body.push_delete(DocumentRef::new(&"x".repeat(512), 1));
        let bulk = body.seal();
        let faults: Vec<_> = bulk.list().iter().map(|a| a.fault).collect();
        assert_eq!(faults, [None, None, Some(IdFault::TooLong(513)), Some(IdFault::Empty), None]);
        assert_eq!(text(&bulk).lines().count(), 4);
    }

    #[test]
    fn an_unfinished_document_is_taken_back() {
        let mut body = sample();
        let (bytes, actions) = (body.bytes(), body.actions());
        body.begin_index(DocumentRef::new("2", 9)).buffer().extend_from_slice(b"{\"half");
        assert_eq!((body.bytes(), body.actions()), (bytes, actions));
    }

    #[test]
    fn split_and_select_keep_whole_actions() {
        let mut body = sample();
        body.push_index(DocumentRef::new("3", 9), &[b'1'; 200]);
        body.push_index(DocumentRef::new("4", 9), b"{}");
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
