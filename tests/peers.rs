//! The decoder against two others, event by event and value by value, on a binlog of MySQL 9.7 with every
//! column type. What a peer cannot read is counted: the numbers say how much was compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::too_many_lines,
    reason = "test code: what cannot be has to fail at its place"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use binlog_operator::binlog::{BinlogFile, Body, Decoder, RowsEvent};
use binlog_operator::model::{ColumnKind, Value};
use mysql_async::Value as Theirs;
use mysql_async::binlog::BinlogVersion;
use mysql_async::binlog::events::EventData;
use mysql_async::binlog::value::BinlogValue;
use mysql_cdc::events::binlog_event::BinlogEvent;
use mysql_cdc::events::event_header::EventHeader;
use mysql_cdc::events::event_parser::EventParser;
use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::row_events::row_data::RowData;

const REAL: &[u8] = include_bytes!("data/all-types.binlog");

/// Before and after of each row, all columns.
type Images<'r> = Vec<(Option<Vec<Value<'r>>>, Option<Vec<Value<'r>>>)>;

fn images<'r>(rows: &'r RowsEvent<'_>) -> Images<'r> {
    let (mut rest, mut out) = (rows.rows(), Vec::new());
    let all = |image: binlog_operator::binlog::Image<'r>| {
        let mut values = Vec::new();
        image.read_all(&mut values).unwrap();
        values
    };
    while let Some(row) = rest.next().unwrap() {
        out.push((row.before.map(all), row.after.map(all)));
    }
    out
}

/// A row without columns has no bytes; the peers do not see it, the server's applier does.
fn only_absent(images: &Images<'_>) -> bool {
    images.iter().all(|(before, after)| [before, after].into_iter().flatten().flatten().all(Value::is_absent))
}

#[derive(Default, Debug)]
struct Count {
    events: usize,
    values: usize,
    passed_over: usize,
}

#[test]
fn mysql_common_reads_the_same() {
    let mut peer = mysql_common::binlog::BinlogFile::new(BinlogVersion::Version4, REAL).unwrap();
    let mut file = BinlogFile::from_reader("b.1", Box::new(REAL)).unwrap();
    let (mut decoder, mut count) = (Decoder::new(), Count::default());
    while let Some(raw) = file.next_raw().unwrap() {
        let theirs = peer.next().unwrap().unwrap();
        decoder.push(raw);
        let event = decoder.next().unwrap().unwrap();
        let (ours, header) = (event.header, theirs.header());
        assert_eq!(
            (ours.timestamp, ours.event_type.0, ours.server_id, ours.length, ours.next_position),
            (
                header.timestamp(),
                header.event_type_raw(),
                header.server_id(),
                header.event_size(),
                header.log_pos()
            )
        );
        count.events += 1;
        let data = theirs.read_data();
        match (&event.body, data) {
            (Body::Rows(rows), Ok(Some(EventData::RowsEvent(data)))) => {
                let map = peer.reader().get_tme(data.table_id()).unwrap();
                // The peer panics at TIME values below zero.
                let expected = catch_unwind(AssertUnwindSafe(|| {
                    data.rows(map).map(|row| row.unwrap()).collect::<Vec<_>>()
                }));
                let Ok(expected) = expected else {
                    assert_eq!(rows.table.name.table, "times");
                    count.passed_over += 1;
                    continue;
                };
                let found = images(rows);
                if only_absent(&found) {
                    continue;
                }
                assert_eq!(found.len(), expected.len());
                for ((before, after), (their_before, their_after)) in found.iter().zip(&expected) {
                    for (ours, theirs) in [(before, their_before), (after, their_after)] {
                        assert_eq!(ours.is_some(), theirs.is_some());
                        let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
                        // The peer's rows have no place for absent columns.
                        let present: Vec<_> =
                            ours.iter().zip(&rows.table.columns).filter(|(v, _)| !v.is_absent()).collect();
                        assert_eq!(present.len(), theirs.len());
                        for (i, (value, column)) in present.into_iter().enumerate() {
                            same_as_common(value, column.kind, theirs.as_ref(i).unwrap(), &mut count);
                        }
                    }
                }
            }
            (Body::Gtid(gtid), Ok(Some(EventData::GtidEvent(data)))) => {
                let ours = gtid.gtid.as_ref().unwrap();
                assert_eq!((ours.uuid.0, ours.number), (data.sid(), data.gno()));
                assert_eq!(gtid.immediate_commit_timestamp, data.immediate_commit_timestamp());
                assert_eq!(gtid.original_commit_timestamp, data.original_commit_timestamp());
                assert_eq!(gtid.transaction_length, data.tx_length());
                assert_eq!(gtid.last_committed, data.last_committed() as i64);
                assert_eq!(gtid.sequence_number, data.sequence_number() as i64);
            }
            (Body::Query(query), Ok(Some(EventData::QueryEvent(data)))) => {
                assert_eq!((&*query.sql, &*query.schema), (&*data.query(), &*data.schema()));
                assert_eq!((query.thread_id, query.error_code), (data.thread_id(), data.error_code()));
            }
            (Body::Xid(xid), Ok(Some(EventData::XidEvent(data)))) => assert_eq!(*xid, data.xid),
            (Body::TableMap(table), Ok(Some(EventData::TableMapEvent(data)))) => {
                assert_eq!(
                    (&*table.name.schema, &*table.name.table),
                    (&*data.database_name(), &*data.table_name())
                );
                assert_eq!(table.columns.len() as u64, data.columns_count());
            }
            _ => count.passed_over += 1,
        }
        while decoder.next().unwrap().is_some() {} // the peer gives a compressed transaction's events elsewhere
    }
    assert!(peer.next().is_none());
    assert!(count.events > 190 && count.values > 450 && count.passed_over < 80, "{count:?}");
}

fn same_as_common(ours: &Value<'_>, kind: ColumnKind, theirs: &BinlogValue<'_>, count: &mut Count) {
    let BinlogValue::Value(theirs) = theirs else {
        assert!(matches!(ours, Value::Json(_) | Value::JsonDiff(_)), "{ours:?} {theirs:?}");
        count.passed_over += 1;
        return;
    };
    count.values += 1;
    let same = match (ours, theirs) {
        (Value::Null, Theirs::NULL) => true,
        // The peer loses the sign of MEDIUMINT.
        (Value::Int(a), Theirs::Int(b)) => a == b || (*a < 0 && *a >= -(1 << 23) && *b == *a + (1 << 24)),
        (Value::UInt(a), Theirs::UInt(b)) => a == b,
        (Value::UInt(a), Theirs::Int(b)) => i64::try_from(*a) == Ok(*b),
        // The peer has no zero year.
        (Value::UInt(0), Theirs::Bytes(b)) if kind == ColumnKind::Year => b == b"1900",
        (Value::UInt(a), Theirs::Bytes(b)) => a.to_string().as_bytes() == b,
        (Value::Float(a), Theirs::Float(b)) => a == b,
        (Value::Double(a), Theirs::Double(b)) => a == b,
        (Value::Decimal(a), Theirs::Bytes(b)) => same_number(a, std::str::from_utf8(b).unwrap()),
        (Value::Bit(a), Theirs::Bytes(b)) => *a == b.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
        (Value::Set(a), Theirs::Bytes(b)) => a.to_le_bytes()[..b.len()] == b[..],
        (Value::Enum(a), Theirs::Int(b)) => i64::from(*a) == *b,
        (Value::Bytes(a), Theirs::Bytes(b)) if kind == ColumnKind::FixedBinary => {
            a.starts_with(b) && a[b.len()..].iter().all(|b| *b == 0)
        }
        (Value::Bytes(a), Theirs::Bytes(b)) => **a == **b,
        (Value::Date { year, month, day }, Theirs::Date(y, m, d, 0, 0, 0, 0)) => {
            (year, month, day) == (y, m, d)
        }
        (
            Value::DateTime { year, month, day, hour, minute, second, micros },
            Theirs::Date(y, mo, d, h, mi, s, us),
        ) => (year, month, day, hour, minute, second, micros) == (y, mo, d, h, mi, s, us),
        (Value::Time { negative, hours, minute, second, micros }, Theirs::Time(neg, d, h, m, s, us)) => {
            // Zero has no sign; the peer gives none to times that round to less than a second either.
            let hours_of = d * 24 + u32::from(*h);
            (u32::from(*hours), minute, second, micros) == (hours_of, m, s, us)
                && (negative == neg || (hours_of == 0 && *m == 0 && *s == 0))
        }
        (Value::Timestamp { seconds, micros }, Theirs::Bytes(b)) => {
            let text = if *micros == 0 { seconds.to_string() } else { format!("{seconds}.{micros:06}") };
            text.as_bytes() == b
        }
        _ => false,
    };
    assert!(same, "{kind:?}: {ours:?}, theirs {theirs:?}");
}

/// The same digits, whatever zeros stand around them.
fn same_number(a: &str, b: &str) -> bool {
    let bare = |text: &str| {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() { String::new() } else { format!("{sign}{digits}") }
    };
    bare(a) == bare(b)
}

#[test]
fn mysql_cdc_reads_the_same_where_it_can() {
    let mut parser = EventParser::new();
    let mut file = BinlogFile::from_reader("b.1", Box::new(REAL)).unwrap();
    let (mut decoder, mut count) = (Decoder::new(), Count::default());
    while let Some(raw) = file.next_raw().unwrap() {
        let header = EventHeader::parse(&raw.bytes[..19]).unwrap();
        let body = raw.bytes[19..].to_vec();
        let theirs = catch_unwind(AssertUnwindSafe(|| parser.parse_event(&header, &body)));
        decoder.push(raw);
        let event = decoder.next().unwrap().unwrap();
        assert_eq!(event.header.event_type.0, header.event_type);
        let Ok(Ok(theirs)) = theirs else {
            count.passed_over += 1;
            continue;
        };
        count.events += 1;
        match (&event.body, &theirs) {
            (Body::Rows(rows), theirs) => {
                let expected: Vec<(Option<&RowData>, Option<&RowData>)> = match theirs {
                    BinlogEvent::WriteRowsEvent(e) => e.rows.iter().map(|r| (None, Some(r))).collect(),
                    BinlogEvent::DeleteRowsEvent(e) => e.rows.iter().map(|r| (Some(r), None)).collect(),
                    BinlogEvent::UpdateRowsEvent(e) => {
                        e.rows.iter().map(|r| (Some(&r.before_update), Some(&r.after_update))).collect()
                    }
                    _ => {
                        assert!(rows.partial, "{theirs:?}");
                        count.passed_over += 1;
                        continue;
                    }
                };
                let found = images(rows);
                if only_absent(&found) {
                    continue;
                }
                assert_eq!(found.len(), expected.len());
                for ((before, after), (their_before, their_after)) in found.iter().zip(expected) {
                    for (ours, theirs) in [(before, their_before), (after, their_after)] {
                        for (i, value) in ours.iter().flatten().enumerate() {
                            same_as_cdc(value, theirs.unwrap().cells[i].as_ref(), &mut count);
                        }
                    }
                }
            }
            (Body::Query(ours), BinlogEvent::QueryEvent(theirs)) => {
                assert_eq!(ours.sql, theirs.sql_statement);
            }
            (Body::Xid(ours), BinlogEvent::XidEvent(theirs)) => assert_eq!(*ours, theirs.xid),
            (Body::TableMap(ours), BinlogEvent::TableMapEvent(theirs)) => {
                assert_eq!(
                    (&ours.name.schema, &ours.name.table),
                    (&theirs.database_name, &theirs.table_name)
                );
            }
            _ => {}
        }
    }
    assert!(count.events > 150 && count.values > 200, "{count:?}");
}

fn same_as_cdc(ours: &Value<'_>, theirs: Option<&MySqlValue>, count: &mut Count) {
    let Some(theirs) = theirs else {
        assert!(matches!(ours, Value::Null | Value::Absent), "{ours:?}");
        return;
    };
    let bits = |n: i64, width: u32| (n as u64) << (64 - width) >> (64 - width);
    let number = |v: &Value<'_>, width| match v {
        Value::Int(v) => bits(*v, width),
        Value::UInt(v) | Value::Set(v) => *v,
        Value::Enum(v) => u64::from(*v),
        other => panic!("{other:?}"),
    };
    count.values += 1;
    let same = match theirs {
        MySqlValue::TinyInt(v) => number(ours, 8) == u64::from(*v),
        MySqlValue::SmallInt(v) => number(ours, 16) == u64::from(*v),
        MySqlValue::MediumInt(v) => number(ours, 24) == u64::from(*v),
        MySqlValue::Int(v) => number(ours, 32) == u64::from(*v),
        MySqlValue::BigInt(v) | MySqlValue::Set(v) => number(ours, 64) == *v,
        MySqlValue::Year(v) => {
            matches!(ours, Value::UInt(y) if *y == u64::from(*v) || (*y == 0 && *v == 1900))
        }
        MySqlValue::Enum(v) => number(ours, 64) == u64::from(*v),
        MySqlValue::Float(v) => *ours == Value::Float(*v),
        MySqlValue::Double(v) => *ours == Value::Double(*v),
        MySqlValue::Decimal(v) => matches!(ours, Value::Decimal(d) if same_number(d, v)),
        MySqlValue::String(v) => matches!(ours, Value::Bytes(b) if b.starts_with(v.as_bytes())
            || String::from_utf8_lossy(b) == *v),
        MySqlValue::Blob(v) => match ours {
            Value::Bytes(b) => **b == **v,
            Value::Json(b) => **b == **v,
            _ => false,
        },
        MySqlValue::Date(d) => {
            matches!(ours, Value::Date { year, month, day } if (*year, *month, *day) == (d.year, d.month, d.day))
        }
        // Bits in its own order, times in milliseconds: compared with mysql_common only.
        MySqlValue::Bit(_) | MySqlValue::Time(_) | MySqlValue::DateTime(_) | MySqlValue::Timestamp(_) => {
            count.values -= 1;
            count.passed_over += 1;
            true
        }
    };
    assert!(same, "{ours:?}, theirs {theirs:?}");
}
