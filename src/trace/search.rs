//! Search by time: which of several binlogs lie before the time that is asked for, without reading them.
//!
//! A file's first transaction was committed after all of the files before it. So when that is early enough, those are
//! left out, and a binary search finds where. Of each file that is tried its first bytes are read, no more.

use tokio::runtime::Handle;

use super::TraceError;
use super::input::Input;
use super::live::{End, Live};
use super::request::Request;
use super::transaction::Transaction;
use crate::binlog::{BinlogError, BinlogFile, Body, Decoder, Event, StreamStart};
use crate::model::{BinlogPosition, ServerOptions};

/// Read of a file at first: its format, its GTIDs so far and its first transaction's beginning take a few hundred bytes.
const LEAST: u64 = 4096;
/// And at most, where its list of GTIDs is long.
const MOST: u64 = 4 << 20;
/// Microseconds by which the clock of a server may have gone back.
const STEP: u64 = 5_000_000;
/// The same where the binlog has no commits' times: then a transaction's time is that of its statement's beginning.
const STATEMENT: u64 = 3_600_000_000;

/// How many of the inputs lie before the time asked for.
pub(super) fn before(request: &Request, inputs: &[Input]) -> usize {
    let selection = &request.selection;
    let Some(start) =
        selection.start_time.filter(|_| !request.read_all && selection.start_position.is_none())
    else {
        return 0;
    };
    if !inputs.iter().all(Input::can_be_tried) {
        return 0;
    }
    last_early(inputs.len(), start, |index| inputs.get(index).map_or(First::Unknown, first_of_input))
}

/// Which of a server's binlogs to begin with. Blocks: never on a thread of the runtime.
pub fn live_start(server: &ServerOptions, files: &[String], start: u64, runtime: &Handle) -> usize {
    last_early(files.len(), start, |index| {
        let Some(file) = files.get(index) else { return First::Unknown };
        let position = StreamStart::File(BinlogPosition { file: file.clone(), offset: 4 });
        let opened = runtime.block_on(Box::pin(Live::open(server, &position, End::InFile(None), runtime)));
        let tried = opened.and_then(|live| first_of_live(live, file));
        tried.unwrap_or(First::Unknown)
    })
}

/// Takes the first inputs away, and gives what is said of them.
pub(super) fn leave_out(inputs: &mut Vec<Input>, count: usize) -> Option<String> {
    let out: Vec<Input> = inputs.drain(..count.min(inputs.len())).collect();
    Some(left_out(out.first()?.name(), out.last()?.name()))
}

/// What is said of files that are left out.
pub fn left_out(first: &str, last: &str) -> String {
    format!(
        "{first} to {last} lie before --start-time and are not read, nor is the DDL in them: names of tables count as they \
         are at --start-time (--read-all reads everything)"
    )
}

/// When a file's first transaction was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum First {
    /// Every transaction of the files before was at this time (microseconds since 1970) or earlier.
    At(u64),
    /// It has no transaction.
    None,
    /// It cannot be read: whoever reads on will say why.
    Unknown,
}

impl First {
    fn of(event: &Event<'_>) -> Option<Self> {
        let mut tx = Transaction::begin(event);
        match &event.body {
            Body::Gtid(gtid) => tx.set_gtid(gtid),
            Body::Query(_) => {}
            _ => return None,
        }
        let margin = if tx.committed > 0 { STEP } else { STATEMENT };
        Some(Self::At(tx.time().saturating_add(margin)))
    }
}

/// The last index up to whose file's beginning all is before `start`; 0 where there is none.
fn last_early(count: usize, start: u64, mut first: impl FnMut(usize) -> First) -> usize {
    // a file without transactions is as early as the next that has some
    let mut is_early = |index: usize| {
        let found = (index..count).map(&mut first).find(|found| *found != First::None);
        matches!(found, Some(First::At(time)) if time <= start)
    };
    let (mut early, mut late) = (0, count);
    while early + 1 < late {
        let middle = usize::midpoint(early, late);
        if is_early(middle) {
            early = middle;
        } else {
            late = middle;
        }
    }
    early
}

fn first_of_input(input: &Input) -> First {
    let mut len = LEAST;
    loop {
        let tried = input.first_bytes(len).and_then(|bytes| {
            let mut file = BinlogFile::from_reader(input.name(), bytes)?;
            let mut decoder = Decoder::new();
            decoder.verify_checksums(false);
            decoder.set_file(input.name());
            while let Some(raw) = file.next_raw()? {
                decoder.push(raw);
                while let Some(event) = decoder.next()? {
                    if let Some(first) = First::of(&event) {
                        return Ok(first);
                    }
                }
            }
            Ok(First::None)
        });
        match tried {
            // cut by ourselves, perhaps between two events
            Ok(First::None)
            | Err(TraceError::Binlog(BinlogError::Truncated { .. } | BinlogError::Io { .. }))
                if input.size().is_none_or(|size| size > len) && len < MOST => {}
            Ok(found) => return found,
            Err(_) => return First::Unknown,
        }
        len *= 32;
    }
}

fn first_of_live(mut live: Live, file: &str) -> Result<First, TraceError> {
    let mut decoder = Decoder::new();
    decoder.verify_checksums(false);
    while let Some(raw) = live.next_raw()? {
        decoder.push(raw);
        while let Some(event) = decoder.next()? {
            // the stream's first event, a ROTATE, says which file follows
            if !matches!(event.body, Body::Rotate { .. }) && *event.position.file != *file {
                return Ok(First::None);
            }
            if let Some(first) = First::of(&event) {
                return Ok(first);
            }
        }
    }
    Ok(First::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by the time of their first transaction; `None` has none, 0 cannot be read.
    fn found(files: &[Option<u64>], start: u64) -> (usize, usize) {
        let mut tries = 0;
        let index = last_early(files.len(), start, |index| {
            tries += 1;
            match files[index] {
                Some(0) => First::Unknown,
                Some(time) => First::At(time),
                None => First::None,
            }
        });
        (index, tries)
    }

    #[test]
    fn the_last_file_that_begins_early_enough_is_the_first_to_be_read() {
        for count in 1..40_u64 {
            let files: Vec<Option<u64>> = (1..=count).map(|n| Some(n * 10)).collect();
            for start in 0..=(count + 1) * 10 {
                let expected = files.iter().rposition(|time| time.unwrap() <= start).unwrap_or(0);
                let (index, tries) = found(&files, start);
                assert_eq!(index, expected, "{count} {start}");
                assert!(tries <= 6, "{tries} tries for {count} files");
            }
        }
    }

    #[test]
    fn what_is_empty_or_unreadable_leaves_nothing_out_that_may_count() {
        assert_eq!(found(&[Some(10), None, None, Some(40), None], 45).0, 3);
        assert_eq!(found(&[Some(10), None, None, Some(40), None], 39).0, 0);
        assert_eq!(found(&[None, None], 99).0, 0);
        assert_eq!(found(&[], 99).0, 0);
        assert_eq!(found(&[Some(10), Some(0), Some(0)], 99).0, 0);
    }
}
