//! Packets: three bytes of length, one of sequence, the payload. One of 16 MiB goes on in the next.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::WireError;

/// The length that says: goes on in the next.
const FULL: usize = 0xff_ffff;

/// Bytes that are asked for at once: a record of TLS. Larger events are read past it, and an operator holds two of them
/// for each task.
pub(super) const BUFFER: usize = 16 << 10;

/// The largest packet while signing in.
const SMALL: usize = 64 << 10;

/// The largest event that the protocol lets through.
const LARGEST: usize = 1 << 30;

/// The first byte of an ERR packet.
const ERR: u8 = 0xff;

/// TCP, or TLS over it.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// A packet's payload. Its first byte says what it is, so that an event comes without another copy.
#[derive(Debug)]
pub(in super::super) struct Packet {
    /// The first byte.
    pub(in super::super) kind: u8,
    /// The others.
    pub(in super::super) body: Vec<u8>,
}

impl Packet {
    /// Itself, unless it is an error of the server.
    pub(in super::super) fn checked(self) -> Result<Self, WireError> {
        if self.kind == ERR { Err(WireError::server(&self.body)) } else { Ok(self) }
    }
}

/// A connection as packets. What has arrived of the next is kept here, so any future may be dropped.
pub(in super::super) struct Packets {
    pub(super) line: Box<dyn Line>,
    buffer: BytesMut,
    /// Sequence number of the next packet, either way.
    sequence: u8,
    limit: usize,
    kind: Option<u8>,
    body: Vec<u8>,
    /// Whether the packet's first length has been read.
    begun: bool,
    /// Bytes left of the present length, and whether another one follows.
    left: usize,
    goes_on: bool,
}

impl Packets {
    pub(super) fn new(line: Box<dyn Line>) -> Self {
        Self {
            line,
            buffer: BytesMut::new(),
            sequence: 0,
            limit: SMALL,
            kind: None,
            body: Vec::new(),
            begun: false,
            left: 0,
            goes_on: false,
        }
    }

    /// From now on packets are events.
    pub(super) fn expect_events(&mut self) {
        self.limit = LARGEST;
    }

    /// Whether bytes have arrived that nobody has read yet.
    pub(super) fn has_unread(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next packet that has arrived as a whole.
    pub(in super::super) fn take(&mut self) -> Result<Option<Packet>, WireError> {
        while !self.begun || self.left > 0 || self.goes_on {
            let more = if self.left == 0 { self.begin()? } else { self.append() };
            if !more {
                return Ok(None);
            }
        }
        self.begun = false;
        let body = std::mem::take(&mut self.body);
        match self.kind.take() {
            Some(kind) => Ok(Some(Packet { kind, body })),
            None => Err(WireError::Unexpected("an empty packet".into())),
        }
    }

    /// Reads a length; false where it has not arrived.
    fn begin(&mut self) -> Result<bool, WireError> {
        let Some(&[a, b, c, sequence]) = self.buffer.first_chunk() else { return Ok(false) };
        self.buffer.advance(4);
        if sequence != self.sequence {
            let found = format!("packet number {sequence} where {} was due", self.sequence);
            return Err(WireError::Unexpected(found));
        }
        self.sequence = sequence.wrapping_add(1);
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if self.body.len() + length > self.limit {
            return Err(WireError::Unexpected(format!("a packet of more than {} bytes", self.limit)));
        }
        (self.begun, self.left, self.goes_on) = (true, length, length == FULL);
        if self.kind.is_some() {
            self.body.reserve(length);
        }
        Ok(true)
    }

    /// Takes from the buffer; false where it is empty.
    fn append(&mut self) -> bool {
        if self.kind.is_none() {
            let Some(first) = self.buffer.first().copied() else { return false };
            self.buffer.advance(1);
            self.left -= 1;
            self.kind = Some(first);
            self.body.reserve_exact(self.left);
        }
        let length = self.left.min(self.buffer.len());
        self.body.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
        self.buffer.advance(length);
        self.left -= length;
        length > 0 || self.left == 0
    }

    /// Waits until something arrives. A large packet's bytes go to their place at once.
    pub(in super::super) async fn fill(&mut self) -> Result<(), WireError> {
        let read = if self.buffer.is_empty() && self.kind.is_some() && self.left >= BUFFER {
            let read = self.line.read_buf(&mut (&mut self.body).limit(self.left)).await?;
            self.left -= read;
            read
        } else {
            self.buffer.reserve(BUFFER);
            self.line.read_buf(&mut self.buffer).await?
        };
        if read == 0 {
            let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection");
            return Err(closed.into());
        }
        Ok(())
    }

    /// The next packet, unless it is an error of the server.
    pub(super) async fn read(&mut self) -> Result<Packet, WireError> {
        loop {
            if let Some(packet) = self.take()? {
                return packet.checked();
            }
            self.fill().await?;
        }
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let (mut out, mut rest) = (Vec::with_capacity(payload.len() + 4), payload);
        loop {
            let (part, later) = rest.split_at_checked(FULL).unwrap_or((rest, &[]));
            out.put_uint_le(part.len() as u64, 3);
            out.put_u8(self.sequence);
            out.put_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            rest = later;
            if part.len() < FULL {
                break;
            }
        }
        self.line.write_all(&out).await?;
        Ok(self.line.flush().await?)
    }

    /// Sends the packet that begins a command.
    pub(super) async fn command(&mut self, payload: &[u8]) -> Result<(), WireError> {
        self.sequence = 0;
        self.send(payload).await
    }

    /// Sends a command that is answered by OK.
    pub(super) async fn execute(&mut self, payload: &[u8]) -> Result<(), WireError> {
        self.command(payload).await?;
        let answer = self.read().await?;
        if answer.kind == 0 { Ok(()) } else { Err(WireError::packet(&answer)) }
    }
}
