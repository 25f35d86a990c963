//! A server's binlog as it grows.
//! Source: "Replication Protocol" (COM_BINLOG_DUMP_GTID), sql/rpl_binlog_sender.cc.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::cursor::Cursor;
use super::error::BinlogError;
use super::far_start::{FarStart, Passing};
use super::header::{Header, RawEvent};
use super::server_error::{Place, from_wire};
use super::wire::{self, Packet, Packets, WireError};
use crate::model::{BinlogPosition, GtidSet, ServerOptions};

/// The first bytes of packets in a binlog stream.
const EVENT: u8 = 0x00;
const EOF: u8 = 0xfe;

/// Where a stream begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamStart {
    /// With the transactions that are not in this set.
    Gtids(GtidSet),
    /// At an offset of a file, which must be an event's first byte.
    File(BinlogPosition),
}

/// How a stream behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamOptions {
    /// Our id among the server's replicas, see `derive_server_id`.
    pub server_id: u32,
    /// An idle server sends a sign of life this often.
    pub heartbeat: Duration,
    /// The connection counts as broken after so long without anything received while somebody waits; `None`:
    /// three heartbeats. A part of an event is something, too (with TLS, a record of up to 16 KiB).
    pub silence: Option<Duration>,
    /// How long the server waits for us to read on, when we hold back.
    pub net_write_timeout: Duration,
    /// Limit for connecting and asking.
    pub connect_timeout: Duration,
    /// Ends with [`BinlogError::Ended`] at the end of the binlog instead of waiting for more.
    pub end_at_eof: bool,
    /// MariaDB sends its ANNOTATE_ROWS events as well (BINLOG_SEND_ANNOTATE_ROWS_EVENT). MySQL, which has none, does not
    /// look at the flag.
    pub annotations: bool,
}

impl StreamOptions {
    /// The defaults with this id.
    pub fn new(server_id: u32) -> Self {
        Self {
            server_id,
            heartbeat: Duration::from_secs(5),
            silence: None,
            net_write_timeout: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(10),
            end_at_eof: false,
            annotations: false,
        }
    }
}

/// A server's binlog from a position on, for ever.
pub struct Stream {
    packets: Packets,
    place: Place,
    silence: Duration,
    far: Option<FarStart>,
}

impl Stream {
    /// Connects and asks for the binlog.
    pub async fn open(
        server: &ServerOptions,
        start: &StreamStart,
        options: StreamOptions,
    ) -> Result<Self, BinlogError> {
        let place = Place::new(start, options.server_id);
        let opened = timeout(options.connect_timeout, Box::pin(connect(server, start, &options))).await;
        let packets = match opened {
            Ok(opened) => opened.map_err(|e| from_wire("open the binlog stream", e, &place))?,
            Err(late) => return Err(BinlogError::Io { what: "connect".into(), source: late.into() }),
        };
        let silence = options.silence.unwrap_or(options.heartbeat * 3);
        let far = match start {
            StreamStart::Gtids(_) => None,
            StreamStart::File(at) => FarStart::plan(at.offset).1,
        };
        Ok(Self { packets, place, silence, far })
    }

    /// The next event as it came. Dropping the future loses nothing. The time between calls does not count
    /// as silence: whoever holds back finds the connection as it was.
    pub async fn next_raw(&mut self) -> Result<RawEvent, BinlogError> {
        loop {
            let bytes = self.next_bytes().await?;
            self.place.follow(&bytes);
            if let Some(raw) = self.admit(bytes)? {
                return Ok(raw);
            }
        }
    }

    async fn next_bytes(&mut self) -> Result<Vec<u8>, BinlogError> {
        loop {
            let arrived = self.packets.take().and_then(|packet| packet.map(Packet::checked).transpose());
            match arrived.map_err(|e| self.failed(e))? {
                Some(Packet { kind: EVENT, body }) => return Ok(body),
                Some(Packet { kind: EOF, body }) if body.len() < 8 => {
                    return Err(self.place.ended());
                }
                Some(other) => return Err(self.failed(WireError::packet(&other))),
                None => {}
            }
            match timeout(self.silence, self.packets.fill()).await {
                Ok(filled) => filled.map_err(|e| self.failed(e))?,
                Err(_) => return Err(self.silent()),
            }
        }
    }

    fn failed(&self, error: WireError) -> BinlogError {
        from_wire("read the binlog stream", error, &self.place)
    }

    fn silent(&self) -> BinlogError {
        BinlogError::Silent {
            file: Arc::clone(&self.place.file),
            offset: self.place.offset,
            seconds: self.silence.as_secs(),
        }
    }

    /// Leaves out what lies before a far start.
    fn admit(&mut self, bytes: Vec<u8>) -> Result<Option<RawEvent>, BinlogError> {
        let passing = match (&mut self.far, Header::read(&mut Cursor::new(&bytes))) {
            (Some(far), Ok(header)) => far.pass(&header),
            _ => Passing::Give,
        };
        match passing {
            Passing::Give => Ok(Some(RawEvent { bytes, start: None })),
            Passing::Drop => Ok(None),
            Passing::Arrived(offset) => {
                self.far = None;
                Ok(Some(RawEvent { bytes, start: Some(offset) }))
            }
            Passing::Missed => {
                let message = format!("no event of {} begins at the offset asked for", self.place.file);
                Err(BinlogError::PositionLost { message })
            }
        }
    }
}

async fn connect(
    server: &ServerOptions,
    start: &StreamStart,
    options: &StreamOptions,
) -> Result<Packets, WireError> {
    let mut packets = wire::log_in(server).await?;
    wire::ask(&mut packets, start, options).await?;
    Ok(packets)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
