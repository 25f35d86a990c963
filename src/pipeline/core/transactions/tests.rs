use super::*;

fn at(offset: u64) -> BinlogPosition {
    BinlogPosition { file: "binlog.000001".into(), offset }
}

fn begin(number: u64) -> Begin {
    let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    Begin { gtid: format!("{uuid}:{number}").parse().ok(), start: at(number * 10), commit_timestamp: number }
}

fn acked(t: &Transactions) -> String {
    let text = t.acked.gtids.as_ref().unwrap().to_string();
    text.split_once(':').map(|(_, numbers)| numbers.to_owned()).unwrap_or_default()
}

fn with_gtids() -> Transactions {
    let mut t = Transactions::default();
    let start = StreamPosition { gtids: Some(crate::model::GtidSet::default()), binlog: at(4) };
    t.reset(start, None, Vec::new());
    t
}

#[test]
fn the_watermark_stops_at_the_oldest_waiter() {
    let mut t = with_gtids();
    t.begin(begin(1));
    let first = t.newest();
    t.wait();
    t.end(at(20));
    t.begin(begin(2));
    t.end(at(30));
    assert!(!t.advance(99));
    assert_eq!(acked(&t), "");
    t.release(first);
    assert!(t.advance(99));
    assert_eq!((acked(&t).as_str(), t.acked.binlog.offset), ("1-2", 30));
    assert_eq!(t.last.as_ref().unwrap().start, at(20));
}

/// A failover by GTIDs leads to a server that numbers its files by itself.
#[test]
fn the_watermark_goes_on_in_files_of_lower_numbers() {
    let mut t = with_gtids();
    t.acked.binlog.file = "binlog.000500".into();
    t.begin(begin(1));
    t.schemas_moved(Arc::new(Vec::new()));
    t.end(at(20));
    t.advance(9);
    assert_eq!((acked(&t).as_str(), t.acked.binlog.clone()), ("1", at(20)));
    assert_eq!(t.last.as_ref().unwrap().gtid, begin(1).gtid);
}

#[test]
fn an_open_transaction_is_never_passed() {
    let mut t = with_gtids();
    t.begin(begin(1));
    assert!(!t.advance(99));
    t.abort();
    t.begin(begin(1));
    t.end(at(20));
    t.advance(99);
    assert_eq!(acked(&t), "1");
}

#[test]
fn a_prepared_transaction_is_a_hole_until_its_commit_is_done() {
    let mut t = with_gtids();
    t.begin(begin(1));
    t.xa_start(b"x".to_vec());
    assert!(t.keep_back(Rows { keys: vec![Key::int(7)], ..Rows::default() }).is_none());
    t.end_prepared(at(20));
    t.begin(begin(2));
    t.end(at(30));
    assert!(t.advance(99));
    assert_eq!(acked(&t), "2");
    t.begin(begin(3));
    assert_eq!(t.resolve(b"x").unwrap().keys, [Key::int(7)]);
    // the stream breaks and the commit comes again
    t.abort();
    t.begin(begin(3));
    assert_eq!(t.resolve(b"x").unwrap().keys, [Key::int(7)]);
    let waiter = t.newest();
    t.wait();
    t.end(at(40));
    assert!(t.resolve(b"x").is_none());
    t.advance(99);
    assert_eq!(acked(&t), "2");
    t.release(waiter);
    assert!(t.advance(99));
    assert_eq!((acked(&t).as_str(), t.acked.binlog.offset), ("1-3", 40));
}

#[test]
fn without_gtids_a_prepared_transaction_holds_the_others_to_a_limit() {
    let mut t = Transactions::default();
    t.reset(StreamPosition { gtids: None, binlog: at(4) }, None, Vec::new());
    let begin = |number| Begin { gtid: None, ..begin(number) };
    t.begin(begin(1));
    t.xa_start(b"x".to_vec());
    t.end_prepared(at(20));
    t.begin(begin(2));
    let between = t.newest();
    t.wait();
    t.end(at(30));
    t.begin(begin(3));
    t.resolve(b"x").unwrap();
    t.end(at(40));
    // neither before its commit is done, nor while something in between is not
    assert!(!t.advance(4));
    assert!(t.advance(3));
    assert_eq!(t.acked.binlog.offset, 20);
    t.release(between);
    t.advance(4);
    assert_eq!(t.acked.binlog.offset, 40);
}

#[test]
fn schemas_move_with_the_watermark_not_with_the_stream() {
    let mut t = with_gtids();
    t.begin(begin(1));
    let waiter = t.newest();
    t.wait();
    t.end(at(20));
    t.begin(begin(2));
    let table = crate::model::TableName::new("shop", "orders");
    t.schemas_moved(Arc::new(vec![TableColumns { table, columns: Vec::new() }]));
    t.end(at(30));
    t.advance(99);
    assert!(t.schemas.is_empty() && t.delivered_schemas.len() == 1);
    t.release(waiter);
    t.advance(99);
    assert_eq!(t.schemas.len(), 1);
}
