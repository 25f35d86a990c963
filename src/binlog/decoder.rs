//! From raw events to what they say. The same for streams and files.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::{At, BinlogError};
use super::event::{Body, Event, EventPosition};
use super::format::FormatDescription;
use super::header::{EventType, Header, RawEvent};
use super::mariadb;
use super::payload::Payload;
use super::state::{Frame, State};

/// Decodes raw events one at a time. The events within a compressed transaction come out one by one, so
/// that memory holds one of them at a time beside the compressed bytes.
#[derive(Default)]
pub struct Decoder {
    state: State,
    raw: RawEvent,
    fresh: bool,
    payload: Option<Payload>,
    inner: Vec<u8>,
}

impl Decoder {
    /// A decoder at the start of a file or stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether checksums are compared (the default) or passed over.
    pub fn verify_checksums(&mut self, verify: bool) {
        self.state.verify = verify;
    }

    /// Names the file that the next events belong to. On a stream, ROTATE events do it.
    pub fn set_file(&mut self, file: &str) {
        self.state.file = file.into();
        self.state.offset = 4;
    }

    /// Offset after the last event of the current file.
    pub fn offset(&self) -> u64 {
        self.state.offset
    }

    /// The current file.
    pub fn file(&self) -> &Arc<str> {
        &self.state.file
    }

    /// How the current events are laid out, by the last FORMAT_DESCRIPTION.
    pub fn format(&self) -> &FormatDescription {
        &self.state.format
    }

    /// How many events were of an unknown type and flagged ignorable.
    pub fn ignored(&self) -> u64 {
        self.state.ignored
    }

    /// Takes the next raw event; what was left of the one before is dropped.
    pub fn push(&mut self, raw: RawEvent) {
        self.raw = raw;
        self.fresh = true;
        self.payload = None;
    }

    /// The buffer of the last raw event, to be filled again.
    pub fn spare(&mut self) -> RawEvent {
        self.fresh = false;
        std::mem::take(&mut self.raw)
    }

    /// The next event of what was pushed, `None` when it is used up. After an error nothing of the pushed
    /// event is left.
    #[allow(clippy::should_implement_trait)] // lends the event
    pub fn next(&mut self) -> Result<Option<Event<'_>>, BinlogError> {
        if self.payload.is_some() {
            return self.next_inner();
        }
        if !std::mem::take(&mut self.fresh) {
            return Ok(None);
        }
        let Frame { header, position, body } = self.state.frame(&self.raw)?;
        if header.event_type == EventType::TRANSACTION_PAYLOAD {
            return self.open_payload(header, position, body).map(Some);
        }
        let body = self.raw.bytes.get(body).unwrap_or_default();
        if let Some(plain) = mariadb::plain_type(header.event_type) {
            mariadb::decompress(plain, self.state.format.table_id_len, body, &mut self.inner)
                .map_err(|e| e.at(&At::new(&header, &position)))?;
            let header = Header { event_type: plain, ..header };
            return self.state.decode(header, position, false, &self.inner).map(Some);
        }
        self.state.decode(header, position, false, body).map(Some)
    }

    fn open_payload(
        &mut self,
        header: Header,
        position: EventPosition,
        body: Range<usize>,
    ) -> Result<Event<'_>, BinlogError> {
        let bytes = Bytes::from(std::mem::take(&mut self.raw.bytes));
        let body = bytes.slice_ref(bytes.get(body).unwrap_or_default());
        let payload =
            Payload::open(&body, header, position.clone()).map_err(|e| e.at(&At::new(&header, &position)))?;
        let body = Body::Payload { uncompressed_size: payload.uncompressed_size };
        self.payload = Some(payload);
        Ok(Event { header, position, compressed: false, body })
    }

    fn next_inner(&mut self) -> Result<Option<Event<'_>>, BinlogError> {
        let Some(mut payload) = self.payload.take() else { return Ok(None) };
        let at = At::new(&payload.header, &payload.position);
        if !payload.read_event(&mut self.inner).map_err(|e| e.at(&at))? {
            return Ok(None);
        }
        let mut c = Cursor::new(&self.inner);
        let header = Header::read(&mut c).map_err(|e| e.at(&at))?;
        let event = self.state.decode(header, payload.position.clone(), true, c.rest())?;
        self.payload = Some(payload);
        Ok(Some(event))
    }
}
