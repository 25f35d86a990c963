//! TRANSACTION_PAYLOAD (WL#3549): a whole transaction as one event, mostly compressed by zstd. Its events
//! are decompressed one by one.

use std::io::{self, BufReader, Read};

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::Malformed;
use super::event::EventPosition;
use super::frame::{FrameError, read_frame};
use super::header::Header;

/// Decompressed bytes kept ahead.
const BUFFER: usize = 1 << 16;

/// A payload whose events are being read.
pub(super) struct Payload {
    reader: BufReader<Box<dyn Read + Send>>,
    given: u64,
    /// What the event says of its decompressed size.
    pub(super) uncompressed_size: Option<u64>,
    /// Where the event lies.
    pub(super) position: EventPosition,
    /// Its header.
    pub(super) header: Header,
}

/// The fields before the payload.
#[derive(Default)]
struct Fields {
    size: Option<usize>,
    algorithm: Option<u64>,
    uncompressed_size: Option<u64>,
}

impl Payload {
    /// `body` is the event after its header and without checksum.
    pub(super) fn open(body: &Bytes, header: Header, position: EventPosition) -> Result<Self, Malformed> {
        let mut c = Cursor::new(body);
        let fields = Fields::read(&mut c)?;
        let size = fields.size.unwrap_or(c.remaining());
        let payload = body.slice_ref(c.bytes(size)?);
        let bytes = io::Cursor::new(payload);
        let reader: Box<dyn Read + Send> = match fields.algorithm {
            Some(0) => Box::new(
                zstd::stream::read::Decoder::with_buffer(bytes)
                    .map_err(|_| Malformed("zstd did not start"))?,
            ),
            Some(255) | None => Box::new(bytes),
            Some(_) => return Err(Malformed("its compression is unknown")),
        };
        let reader = BufReader::with_capacity(BUFFER, reader);
        Ok(Self { reader, given: 0, uncompressed_size: fields.uncompressed_size, position, header })
    }

    /// Reads the next event into `out`; false after the last.
    pub(super) fn read_event(&mut self, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        match read_frame(&mut self.reader, out) {
            Ok(Some(header)) => {
                self.given += u64::from(header.length);
                Ok(true)
            }
            Ok(None) if self.uncompressed_size.is_some_and(|size| size != self.given) => {
                Err(Malformed("its payload has another size than it says"))
            }
            Ok(None) => Ok(false),
            Err(FrameError::Io(_)) => Err(Malformed("its payload does not decompress")),
            Err(FrameError::Cut) => Err(Malformed("its payload ends within an event")),
            Err(FrameError::Length(_)) => Err(Malformed("an event in its payload is shorter than a header")),
        }
    }
}

impl Fields {
    /// Type, length, value, up to type 0.
    fn read(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut this = Self::default();
        loop {
            let kind = c.packed()?;
            if kind == 0 {
                return Ok(this);
            }
            let mut value = Cursor::new(c.packed_bytes()?);
            match kind {
                1 => this.size = Some(value.packed_len()?),
                2 => this.algorithm = Some(value.packed()?),
                3 => this.uncompressed_size = Some(value.packed()?),
                _ => {}
            }
        }
    }
}
