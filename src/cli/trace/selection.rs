//! From the command line's words to a selection.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use regex::Regex;

use super::args::{EventArg, SelectionArgs};
use crate::model::GtidSet;
use crate::trace::{EventKind, Predicate, Selection, TraceError};

pub(super) fn selection(args: &SelectionArgs) -> Result<Selection, TraceError> {
    let zone = zone(&args.time_zone)?;
    let time =
        |name: &str, text: &Option<String>| text.as_deref().map(|text| moment(name, text, &zone)).transpose();
    let gtids = |name: &str, text: &Option<String>| -> Result<Option<GtidSet>, TraceError> {
        let set = text.as_deref().map(str::parse::<GtidSet>).transpose();
        set.map_err(|e| {
            option(format!("--{name}: {e}; write for example 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"))
        })
    };
    let regex = args.table_regex.as_deref().map(Regex::new).transpose();
    Ok(Selection {
        start_time: time("start-time", &args.start_time)?,
        stop_time: time("stop-time", &args.stop_time)?,
        start_position: args.start_position,
        stop_position: args.stop_position,
        include_gtids: gtids("include-gtids", &args.include_gtids)?,
        exclude_gtids: gtids("exclude-gtids", &args.exclude_gtids)?,
        databases: args.database.clone(),
        tables: args.table.clone(),
        exclude_tables: args.exclude_table.clone(),
        table_regex: regex.map_err(|e| option(format!("--table-regex: {e}")))?,
        events: args
            .event
            .iter()
            .map(|event| match event {
                EventArg::Insert => EventKind::Insert,
                EventArg::Update => EventKind::Update,
                EventArg::Delete => EventKind::Delete,
                EventArg::Ddl => EventKind::Ddl,
            })
            .collect(),
        changed_columns: args.changed_column.clone(),
        predicates: args.predicate.iter().map(|text| Predicate::parse(text)).collect::<Result<_, _>>()?,
        thread_id: args.thread_id,
        server_id: args.server_id,
        min_transaction_rows: args.min_transaction_rows,
        ..Selection::default()
    })
}

fn option(text: String) -> TraceError {
    TraceError::Option(text)
}

/// A zone by its name. UTC is there without the system's files of zones, and without looking through them.
fn zone(name: &str) -> Result<TimeZone, TraceError> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
        .map_err(|_| option(format!("--time-zone {name:?}: write for example UTC or Europe/Berlin")))
}

/// Microseconds since 1970 of `2026-11-21 14:05:00[.5]`, with or without an offset.
fn moment(name: &str, text: &str, zone: &TimeZone) -> Result<u64, TraceError> {
    let own = text.parse::<Zoned>().map(|zoned| zoned.timestamp()).or_else(|_| text.parse::<Timestamp>());
    let time = own.or_else(|_| {
        let civil: DateTime = text.parse()?;
        zone.to_timestamp(civil)
    });
    let time = time.map_err(|_| {
        option(format!("--{name} {text:?}: write 2026-11-21 14:05:00 or 2026-11-21T14:05:00+02:00"))
    })?;
    u64::try_from(time.as_microsecond()).map_err(|_| option(format!("--{name} {text:?} is before 1970")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_zone() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        for (text, expected) in [
            ("2026-11-21 12:00:00", 1_795_258_800_000_000),
            ("2026-11-21T12:00:00.5", 1_795_258_800_500_000),
            ("2026-11-21T12:00:00Z", 1_795_262_400_000_000),
            ("2026-11-21T12:00:00+02:00", 1_795_255_200_000_000),
        ] {
            assert_eq!(moment("start-time", text, &berlin).unwrap(), expected, "{text}");
        }
        assert!(moment("start-time", "noon", &berlin).is_err());
    }
}
