//! Starting a stream beyond 4 GiB of a file. COM_BINLOG_DUMP has 32 bits for the offset, and a file grows
//! beyond them by one transaction: it is asked for from its beginning, and what lies before is passed over.

use super::header::{EventType, Header};

/// The first offset of a file's events.
const FIRST: u64 = 4;

/// Passes over events up to an offset.
#[derive(Debug)]
pub(super) struct FarStart {
    reached: u64,
    wanted: u64,
}

/// What to do with an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passing {
    /// Give it as it is.
    Give,
    /// It begins at the wanted offset.
    Arrived(u64),
    /// Pass over it.
    Drop,
    /// The wanted offset is within the event before.
    Missed,
}

impl FarStart {
    /// The offset to ask the server for, and what to pass over then.
    pub(super) fn plan(offset: u64) -> (u64, Option<Self>) {
        if u32::try_from(offset).is_ok() {
            return (offset, None);
        }
        (FIRST, Some(Self { reached: FIRST, wanted: offset }))
    }

    /// Judges the next event.
    pub(super) fn pass(&mut self, header: &Header) -> Passing {
        if header.is_heartbeat() || header.is_artificial() || header.next_position == 0 {
            return Passing::Give;
        }
        if self.reached == self.wanted {
            return Passing::Arrived(self.wanted);
        }
        if self.reached > self.wanted {
            return Passing::Missed;
        }
        self.reached += u64::from(header.length);
        // What follows cannot be read without the layout.
        if header.event_type == EventType::FORMAT_DESCRIPTION { Passing::Give } else { Passing::Drop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(event_type: EventType, length: u32, next_position: u32) -> Header {
        Header { timestamp: 0, event_type, server_id: 1, length, next_position, flags: 0 }
    }

    #[test]
    fn near_starts_are_asked_for_directly() {
        assert!(matches!(FarStart::plan(u64::from(u32::MAX)), (0xffff_ffff, None)));
    }

    #[test]
    fn events_before_a_far_start_are_passed_over() {
        let gib = 1_u32 << 30;
        let (ask, far) = FarStart::plan(4 + 122 + 4 * u64::from(gib));
        let mut far = far.unwrap();
        assert_eq!(ask, 4);
        assert_eq!(far.pass(&header(EventType::ROTATE, 40, 0)), Passing::Give);
        assert_eq!(far.pass(&header(EventType::FORMAT_DESCRIPTION, 122, 126)), Passing::Give);
        for n in 1..=4_u32 {
            assert_eq!(far.pass(&header(EventType::HEARTBEAT, 40, 126)), Passing::Give);
            let next = gib.wrapping_mul(n).wrapping_add(126);
            assert_eq!(far.pass(&header(EventType::WRITE_ROWS, gib, next)), Passing::Drop);
        }
        let first = far.pass(&header(EventType::GTID, 80, 206));
        assert_eq!(first, Passing::Arrived(0x1_0000_007e));
    }

    #[test]
    fn a_start_within_an_event_is_missed() {
        let (_, far) = FarStart::plan(1 << 32);
        let mut far = far.unwrap();
        assert_eq!(far.pass(&header(EventType::WRITE_ROWS, u32::MAX, 3)), Passing::Drop);
        assert_eq!(far.pass(&header(EventType::GTID, 80, 206)), Passing::Missed);
    }
}
