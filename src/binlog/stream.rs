//! A server's binlog as it grows: connection, handshake and TLS are mysql_async's.
//! Source: "Replication Protocol" (COM_BINLOG_DUMP_GTID), sql/rpl_binlog_sender.cc.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::binlog::BinlogVersion;
use mysql_async::binlog::events::Event as DriverEvent;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, GnoInterval, Opts, OptsBuilder, Sid};
use mysql_common::packets::Tag as DriverTag;
use tokio::time::timeout;

use super::cursor::Cursor;
use super::error::BinlogError;
use super::far_start::{FarStart, Passing};
use super::header::{Header, RawEvent};
use super::server_error::{Place, from_driver};
use crate::model::{BinlogPosition, GtidSet};

/// The largest event that the protocol lets through.
const MAX_PACKET: usize = 1 << 30;

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
    /// The connection counts as broken after so long without any event or heartbeat while somebody waits;
    /// `None`: three heartbeats. A very large event over a slow line takes its time too, and its parts are
    /// not seen here: who meets [`BinlogError::Silent`] twice at one position waits longer the next time.
    pub silence: Option<Duration>,
    /// How long the server waits for us to read on, when we hold back.
    pub net_write_timeout: Duration,
    /// Limit for connecting and asking.
    pub connect_timeout: Duration,
    /// Ends with [`BinlogError::Ended`] at the end of the binlog instead of waiting for more.
    pub end_at_eof: bool,
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
        }
    }
}

/// A server's binlog from a position on, for ever.
pub struct Stream {
    events: BinlogStream,
    place: Place,
    silence: Duration,
    far: Option<FarStart>,
}

impl Stream {
    /// Connects and asks for the binlog.
    pub async fn open(opts: Opts, start: &StreamStart, options: StreamOptions) -> Result<Self, BinlogError> {
        let place = Place::new(start, options.server_id);
        let opened = timeout(options.connect_timeout, Box::pin(connect(opts, start, &options))).await;
        let events = match opened {
            Ok(opened) => opened.map_err(|e| from_driver("open the binlog stream", e, &place))?,
            Err(late) => return Err(BinlogError::Io { what: "connect".into(), source: late.into() }),
        };
        let silence = options.silence.unwrap_or(options.heartbeat * 3);
        let far = match start {
            StreamStart::Gtids(_) => None,
            StreamStart::File(at) => FarStart::plan(at.offset).1,
        };
        Ok(Self { events, place, silence, far })
    }

    /// The next event as it came. Dropping the future loses nothing. The time between calls does not count
    /// as silence: whoever holds back finds the connection as it was.
    pub async fn next_raw(&mut self) -> Result<RawEvent, BinlogError> {
        loop {
            let event = match timeout(self.silence, self.events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(e))) => return Err(from_driver("read the binlog stream", e, &self.place)),
                Ok(None) => return Err(self.place.ended("end of the binlog")),
                Err(_) => {
                    return Err(BinlogError::Silent {
                        file: Arc::clone(&self.place.file),
                        offset: self.place.offset,
                        seconds: self.silence.as_secs(),
                    });
                }
            };
            // The driver gives a compressed transaction's events once more by themselves, and only for
            // those turns its checksums off.
            if !event.footer().get_checksum_enabled() {
                continue;
            }
            let bytes = bytes_of(&event);
            self.place.follow(&bytes);
            if let Some(raw) = self.admit(bytes)? {
                return Ok(raw);
            }
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

    /// Ends the stream in good order.
    pub async fn close(self) -> Result<(), BinlogError> {
        self.events.close().await.map_err(|e| from_driver("close the binlog stream", e, &self.place))
    }
}

async fn connect(
    opts: Opts,
    start: &StreamStart,
    options: &StreamOptions,
) -> mysql_async::Result<BinlogStream> {
    let opts = OptsBuilder::from_opts(opts).max_allowed_packet(Some(MAX_PACKET));
    let mut conn = Conn::new(opts).await?;
    for setting in session_settings(options) {
        conn.query_drop(setting).await?;
    }
    let file = match start {
        StreamStart::Gtids(_) => "",
        StreamStart::File(at) => &at.file,
    };
    let mut request = BinlogStreamRequest::new(options.server_id).with_filename(file.as_bytes());
    request = match start {
        StreamStart::Gtids(set) => request.with_gtid().with_pos(4_u64).with_gtid_set(sids(set)),
        StreamStart::File(at) => request.with_pos(FarStart::plan(at.offset).0),
    };
    if options.end_at_eof {
        request = request.with_non_blocking();
    }
    conn.get_binlog_stream(request).await
}

/// What the dump thread reads from the session. Old and new names: servers know one or the other.
fn session_settings(options: &StreamOptions) -> [String; 4] {
    let nanos = options.heartbeat.as_nanos();
    let uuid = format!("b1b10600-0000-4000-8000-0000{:08x}", options.server_id);
    [
        "SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'".into(),
        format!("SET @source_heartbeat_period = {nanos}, @master_heartbeat_period = {nanos}"),
        format!("SET @replica_uuid = '{uuid}', @slave_uuid = '{uuid}'"),
        format!("SET SESSION net_write_timeout = {}", options.net_write_timeout.as_secs()),
    ]
}

fn sids(set: &GtidSet) -> Vec<Sid<'static>> {
    let mut sids: Vec<((crate::model::Uuid, String), Vec<GnoInterval>)> = Vec::new();
    for (uuid, tag, start, end) in set.ranges() {
        let interval = GnoInterval::new(start, end);
        match sids.last_mut() {
            Some(((last, last_tag), intervals)) if *last == uuid && last_tag == tag.as_str() => {
                intervals.push(interval);
            }
            _ => sids.push(((uuid, tag.as_str().to_owned()), vec![interval])),
        }
    }
    let sid = |((uuid, tag), intervals): ((crate::model::Uuid, String), _)| {
        let sid = Sid::new(uuid.0).with_intervals(intervals);
        match DriverTag::new(tag) {
            Ok(tag) => sid.with_tag(tag),
            Err(_) => sid, // an empty tag is none
        }
    };
    sids.into_iter().map(sid).collect()
}

/// The event's own bytes: the driver computes a new checksum on writing, so the one that came is put back.
fn bytes_of(event: &DriverEvent) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(event.header().event_size() as usize);
    // Writing into a Vec cannot fail; a short result is found by the decoder.
    let _ = event.write(BinlogVersion::Version4, &mut bytes);
    if let (Some(sum), Some(tail)) = (event.checksum(), bytes.last_chunk_mut::<4>()) {
        *tail = sum;
    }
    bytes
}
