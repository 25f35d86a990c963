//! Asking for the binlog: session settings, COM_REGISTER_SLAVE, COM_BINLOG_DUMP or COM_BINLOG_DUMP_GTID.

use mysql_common::packets::{
    BinlogDumpFlags, ComBinlogDump, ComBinlogDumpGtid, ComRegisterSlave, GnoInterval, Sid, Tag as WireTag,
};
use mysql_common::proto::MySerialize;

use super::{Packets, WireError};
use crate::binlog::far_start::FarStart;
use crate::binlog::stream::{StreamOptions, StreamStart};
use crate::model::{GtidSet, Tag, Uuid};

const COM_QUERY: u8 = 3;
/// What MariaDB calls the flag 2 (its page "COM_BINLOG_DUMP").
const SEND_ANNOTATE_ROWS: BinlogDumpFlags = BinlogDumpFlags::BINLOG_THROUGH_POSITION;

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
    packets.command(&request(start, options)).await?;
    packets.expect_events();
    Ok(())
}

fn bytes_of(command: &impl MySerialize) -> Vec<u8> {
    let mut out = Vec::new();
    command.serialize(&mut out);
    out
}

fn request(start: &StreamStart, options: &StreamOptions) -> Vec<u8> {
    let mut flags = BinlogDumpFlags::empty();
    flags.set(BinlogDumpFlags::BINLOG_DUMP_NON_BLOCK, options.end_at_eof);
    match start {
        StreamStart::Gtids(set) => {
            let request = ComBinlogDumpGtid::new(options.server_id).with_pos(4_u64).with_sids(sids(set));
            bytes_of(&request.with_flags(flags))
        }
        StreamStart::File(at) => {
            flags.set(SEND_ANNOTATE_ROWS, options.annotations);
            // what is further than 32 bits the plan passes over
            let offset = FarStart::plan(at.offset).0 as u32;
            let request = ComBinlogDump::new(options.server_id).with_pos(offset);
            bytes_of(&request.with_filename(at.file.as_bytes()).with_flags(flags))
        }
    }
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
