//! Asking for the binlog: session settings, COM_REGISTER_SLAVE, COM_BINLOG_DUMP or COM_BINLOG_DUMP_GTID.

use mysql_common::packets::binlog_request::BinlogRequest;
use mysql_common::packets::{BinlogDumpFlags, ComRegisterSlave, GnoInterval, Sid, Tag as WireTag};
use mysql_common::proto::MySerialize;

use super::{Packets, WireError};
use crate::binlog::far_start::FarStart;
use crate::binlog::stream::{StreamOptions, StreamStart};
use crate::model::{GtidSet, Tag, Uuid};

const COM_QUERY: u8 = 3;

/// From here on packets are events.
pub(in super::super) async fn ask(
    packets: &mut Packets,
    start: &StreamStart,
    options: &StreamOptions,
) -> Result<(), WireError> {
    let mut query = vec![COM_QUERY];
    query.extend_from_slice(session_settings(options).as_bytes());
    packets.execute(&query).await?;
    packets.execute(&bytes_of(&ComRegisterSlave::new(options.server_id))).await?;
    packets.command(&bytes_of(&request(start, options).as_cmd())).await?;
    packets.expect_events();
    Ok(())
}

fn bytes_of(command: &impl MySerialize) -> Vec<u8> {
    let mut out = Vec::new();
    command.serialize(&mut out);
    out
}

fn request<'a>(start: &'a StreamStart, options: &StreamOptions) -> BinlogRequest<'a> {
    let request = BinlogRequest::new(options.server_id);
    let request = match start {
        StreamStart::Gtids(set) => request.with_use_gtid(true).with_pos(4_u64).with_sids(sids(set)),
        StreamStart::File(at) => {
            request.with_filename(at.file.as_bytes()).with_pos(FarStart::plan(at.offset).0)
        }
    };
    if options.end_at_eof { request.with_flags(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK) } else { request }
}

/// What the dump thread reads from the session. Old and new names: servers know one or the other.
fn session_settings(options: &StreamOptions) -> String {
    let nanos = options.heartbeat.as_nanos();
    let uuid = format!("b1b10600-0000-4000-8000-0000{:08x}", options.server_id);
    let patience = options.net_write_timeout.as_secs();
    format!(
        "SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32', \
         @source_heartbeat_period = {nanos}, @master_heartbeat_period = {nanos}, \
         @replica_uuid = '{uuid}', @slave_uuid = '{uuid}', @mariadb_slave_capability = 4, SESSION net_write_timeout = {patience}"
    )
}

fn sids(set: &GtidSet) -> Vec<Sid<'static>> {
    let mut sids: Vec<((Uuid, Tag), Vec<GnoInterval>)> = Vec::new();
    for (uuid, tag, start, end) in set.ranges() {
        let interval = GnoInterval::new(start, end);
        match sids.last_mut() {
            Some((last, intervals)) if last.0 == uuid && last.1 == *tag => intervals.push(interval),
            _ => sids.push(((uuid, tag.clone()), vec![interval])),
        }
    }
    let sid = |((uuid, tag), intervals): ((Uuid, Tag), _)| {
        let sid = Sid::new(uuid.0).with_intervals(intervals);
        match WireTag::new(tag.as_str().to_owned()) {
            Ok(tag) => sid.with_tag(tag),
            Err(_) => sid, // an empty tag is none
        }
    };
    sids.into_iter().map(sid).collect()
}
