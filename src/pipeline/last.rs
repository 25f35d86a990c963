//! The last transaction before a place, by which a server that was restored is told from the one that was
//! synced: read from the server's binlog when the place is taken (DESIGN, invariant 2).

use std::collections::BTreeMap;
use std::time::Duration;

use super::shared::Shared;
use crate::binlog::{Body, Decoder, Event, GtidEvent, Stream, StreamOptions, StreamStart, derive_server_id};
use crate::model::{BinlogPosition, Gtid, GtidSet, LastTransaction, StreamPosition};

/// So long is looked at most. What was found by then serves as well: it is only further back.
const LIMIT: Duration = Duration::from_secs(10);

/// Binlog files looked into: the newest may hold no transaction yet.
const FILES: usize = 3;

/// The offset of a file's first event.
const HEAD: u64 = 4;

/// When a transaction was committed first, in microseconds: what tells two of the same place apart. MariaDB tells whole
/// seconds: the transaction's number in its domain stands in their fraction.
pub(super) fn moment(begin: &GtidEvent) -> u64 {
    let fraction = begin.maria.as_ref().map_or(0, |maria| maria.gtid.sequence % 1_000_000);
    begin.original_commit_timestamp + fraction
}

/// The newest transaction before the position that the binlogs still hold; `None` where there is none, or
/// where the server does not show it.
pub(super) async fn last_transaction(shared: &Shared, at: &StreamPosition) -> Option<LastTransaction> {
    let mut found = None;
    let _ = tokio::time::timeout(LIMIT, look(shared, at, &mut found)).await;
    found
}

async fn look(shared: &Shared, at: &StreamPosition, found: &mut Option<LastTransaction>) -> Option<()> {
    let files = shared.source.binlogs().await.ok()?;
    let heads = files.into_iter().rev().map(|file| BinlogPosition { file: file.name, offset: HEAD });
    for head in heads.filter(|head| *head <= at.binlog).take(FILES) {
        let start = match &at.gtids {
            None => StreamStart::File(head),
            Some(gtids) => match without_newest(gtids, &earlier(shared, head).await?) {
                Some(rest) => StreamStart::Gtids(rest),
                None => continue,
            },
        };
        each(shared, start, |event| see(event, at, found)).await;
        if found.is_some() {
            break;
        }
    }
    Some(())
}

/// The GTIDs of all files before this one.
async fn earlier(shared: &Shared, head: BinlogPosition) -> Option<GtidSet> {
    let mut earlier = None;
    each(shared, StreamStart::File(head), |event| {
        if let Body::PreviousGtids(set) = &event.body {
            earlier = Some(set.clone());
        }
        earlier.is_none() && !matches!(event.body, Body::Gtid(_))
    })
    .await;
    earlier
}

/// The set without the newest transaction of each source that is not in `earlier`: a stream that begins there
/// shows these once more. `None` where all are.
fn without_newest(gtids: &GtidSet, earlier: &GtidSet) -> Option<GtidSet> {
    let inside = gtids.minus(earlier);
    let newest: BTreeMap<_, _> =
        inside.ranges().map(|(uuid, tag, _, end)| ((uuid, tag.clone()), end - 1)).collect();
    let mut rest = gtids.clone();
    for ((uuid, tag), number) in newest {
        rest.remove(&Gtid { uuid, tag, number });
    }
    (rest != *gtids).then_some(rest)
}

/// Keeps a transaction that is before the position. False once the stream is beyond it.
fn see(event: &Event<'_>, at: &StreamPosition, found: &mut Option<LastTransaction>) -> bool {
    let start = BinlogPosition { file: event.position.file.to_string(), offset: event.position.start };
    if let Body::Gtid(begin) = &event.body {
        let before = match (&at.gtids, &begin.gtid) {
            (Some(gtids), Some(gtid)) => gtids.contains(gtid),
            (None, _) => start < at.binlog,
            (Some(_), None) => false,
        };
        if before {
            *found = Some(LastTransaction {
                gtid: begin.gtid.clone(),
                start: start.clone(),
                original_commit_timestamp: moment(begin),
            });
        }
    }
    // a server whose transactions begin without such an event need not be read to the end
    let nameless = found.is_none() && matches!(event.body, Body::Query(_) | Body::TableMap(_));
    at.gtids.is_some() || (start < at.binlog && !nameless)
}

/// Shows the events up to the end of the binlog, or as long as `see` wants more.
async fn each(shared: &Shared, start: StreamStart, mut see: impl FnMut(&Event<'_>) -> bool) -> Option<()> {
    let options = &shared.options;
    // an id of its own, so that the stream that follows does not meet this one
    let id = options.server_id.unwrap_or_else(|| derive_server_id(&options.uid, u32::MAX));
    let stream_options = StreamOptions { end_at_eof: true, ..StreamOptions::new(id) };
    let mut stream = Stream::open(&shared.source.options().server, &start, stream_options).await.ok()?;
    let mut decoder = Decoder::new();
    if let StreamStart::File(at) = &start {
        decoder.set_file(&at.file);
    }
    // whatever ends the stream, its end most of all: what was seen was seen
    while let Ok(raw) = stream.next_raw().await {
        decoder.push(raw);
        while let Some(event) = decoder.next().ok()? {
            if !see(&event) {
                return Some(());
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_transaction_of_each_source_in_the_file_is_asked_for_again() {
        let all = set(&format!("{A}:1-10:tag:1-4,{B}:1-7"));
        let rest = without_newest(&all, &set(&format!("{A}:1-6:tag:1-3,{B}:1-7"))).unwrap();
        assert_eq!(rest, set(&format!("{A}:1-9:tag:1-3,{B}:1-7")));
        let holes = without_newest(&set(&format!("{A}:1-6:8-10")), &set(&format!("{A}:1-5"))).unwrap();
        assert_eq!(holes, set(&format!("{A}:1-6:8-9")), "only the highest");
        assert_eq!(without_newest(&all, &all), None);
        assert_eq!(without_newest(&GtidSet::default(), &GtidSet::default()), None);
    }
}
