//! The stream gives what the files hold, and says what is wrong when it cannot.

use std::collections::BTreeMap;
use std::time::Duration;

use binlog_operator::binlog::{
    BinlogError, BinlogFile, Body, Decoder, RawEvent, Stream, StreamOptions, StreamStart,
};
use binlog_operator::model::{BinlogPosition, Class, Gtid, GtidSet, Secret, ServerOptions, Tag};
use e2e::stage::PATIENCE;
use e2e::{MysqlOptions, MysqlServer};
use tokio::time::timeout;

use super::{server, workload};

fn options(server_id: u32) -> StreamOptions {
    let mut options = StreamOptions::new(0x8000_0000 + server_id);
    options.heartbeat = Duration::from_secs(1);
    options.end_at_eof = true;
    // a busy machine is no dead server
    options.connect_timeout = PATIENCE;
    options.silence = Some(PATIENCE);
    options
}

fn everything() -> StreamStart {
    StreamStart::Gtids(GtidSet::default())
}

/// The next event; `None` at the binlog's end.
async fn up_to_end(stream: &mut Stream) -> Option<RawEvent> {
    match stream.next_raw().await {
        Ok(raw) => Some(raw),
        Err(BinlogError::Ended { .. }) => None,
        Err(e) => panic!("{e}"),
    }
}

/// All raw events up to the binlog's end, by their places; artificial ones left out.
async fn drain(stream: &mut Stream) -> BTreeMap<(String, u64), Vec<u8>> {
    let (mut out, mut decoder) = (BTreeMap::new(), Decoder::new());
    loop {
        let Some(raw) = up_to_end(stream).await else { return out };
        decoder.push(raw.clone());
        while let Some(event) = decoder.next().unwrap() {
            let place = (event.position.file.to_string(), event.position.start);
            if event.position.end > event.position.start {
                out.insert(place, raw.bytes.clone());
            }
        }
    }
}

async fn in_files(server: &MysqlServer) -> BTreeMap<(String, u64), Vec<u8>> {
    let mut out = BTreeMap::new();
    for path in server.binlogs().await {
        let mut file = BinlogFile::open(&path).unwrap();
        while let Some(RawEvent { bytes, start }) = file.next_raw().unwrap() {
            out.insert((file.name().to_owned(), start.unwrap()), bytes);
        }
    }
    out
}

/// The server clears LOG_EVENT_BINLOG_IN_USE_F in what it sends.
fn without_flag(mut events: BTreeMap<(String, u64), Vec<u8>>) -> BTreeMap<(String, u64), Vec<u8>> {
    for bytes in events.values_mut() {
        bytes[17] &= !1;
    }
    events
}

#[tokio::test]
async fn the_stream_gives_what_the_files_hold() {
    for checksum in ["CRC32", "NONE"] {
        let flags = MysqlOptions::default().flag(&format!("--binlog-checksum={checksum}"));
        let parts = [workload::TABLES, workload::ROWS, workload::TRANSACTIONS, workload::TAGGED];
        let server = server(flags, &parts).await;
        let files = without_flag(in_files(&server).await);
        let mut stream = Stream::open(&server.login(), &everything(), options(1)).await.unwrap();
        let streamed = without_flag(drain(&mut stream).await);
        assert_eq!(streamed.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
        assert!(streamed == files, "bytes differ");

        // From the middle of a file.
        let (middle, _) = files.iter().nth(20).unwrap();
        let start = StreamStart::File(BinlogPosition { file: middle.0.clone(), offset: middle.1 });
        let mut stream = Stream::open(&server.login(), &start, options(1)).await.unwrap();
        let rest = without_flag(drain(&mut stream).await);
        let expected: Vec<_> = files.range(middle.clone()..).map(|(place, _)| place.clone()).collect();
        assert_eq!(rest.keys().cloned().collect::<Vec<_>>(), expected);

        // Without one tagged transaction and one other.
        let executed: GtidSet = server.position().await.2.parse().unwrap();
        let mut wanted = executed.clone();
        let tagged = executed.ranges().find(|r| !r.1.as_str().is_empty()).expect("a tagged GTID");
        for (tag, number) in [(tagged.1.clone(), 1), (Tag::default(), 30)] {
            wanted.remove(&Gtid { uuid: tagged.0, tag, number });
        }
        let missing = executed.minus(&wanted);
        let mut stream =
            Stream::open(&server.login(), &StreamStart::Gtids(wanted), options(1)).await.unwrap();
        let mut found = GtidSet::default();
        let mut decoder = Decoder::new();
        while let Some(raw) = up_to_end(&mut stream).await {
            decoder.push(raw);
            while let Some(event) = decoder.next().unwrap() {
                if let Body::Gtid(gtid) = event.body {
                    found.insert(&gtid.gtid.unwrap());
                    assert!(files.contains_key(&(event.position.file.to_string(), event.position.start)));
                }
            }
        }
        assert_eq!(found, missing);
    }
}

#[tokio::test]
async fn events_over_64_mib_come_through() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--max-allowed-packet=1G")).await;
    server
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.big (id INT PRIMARY KEY, v LONGBLOB)",
            "INSERT INTO d.big VALUES (1, REPEAT('a', 17000000))",
            "INSERT INTO d.big VALUES (2, REPEAT('b', 80000000)), (3, 'c')",
        ])
        .await;
    let mut stream = Stream::open(&server.login(), &everything(), options(1)).await.unwrap();
    let (mut sizes, mut decoder) = (Vec::new(), Decoder::new());
    while let Some(raw) = up_to_end(&mut stream).await {
        decoder.push(raw);
        while let Some(event) = decoder.next().unwrap() {
            let Body::Rows(rows) = &event.body else { continue };
            let mut rest = rows.rows();
            while let Some(row) = rest.next().unwrap() {
                let mut values = Vec::new();
                row.after.unwrap().read(&[1], &mut values).unwrap();
                if let binlog_operator::model::Value::Bytes(v) = &values[0] {
                    sizes.push(v.len());
                }
            }
        }
    }
    assert_eq!(sizes, [17_000_000, 80_000_000, 1]);
}

async fn failure(login: ServerOptions, start: StreamStart) -> BinlogError {
    match Stream::open(&login, &start, options(7)).await {
        Err(e) => e,
        Ok(mut stream) => loop {
            if let Err(e) = stream.next_raw().await {
                return e;
            }
        },
    }
}

#[tokio::test]
async fn refusals_and_lost_positions_are_told_apart() {
    let server = server(MysqlOptions::default(), &[workload::TABLES, workload::ROWS]).await;
    server
        .run(&[
            "CREATE USER weak IDENTIFIED BY 'x'",
            "CREATE USER strong IDENTIFIED BY 'right'",
            "GRANT REPLICATION SLAVE ON *.* TO strong",
        ])
        .await;
    let login = |user: &str, pass: &str| {
        let (username, password) = (user.into(), Secret::new(pass));
        ServerOptions { username, password, ..server.login() }
    };
    let wrong = failure(login("strong", "wrong"), everything()).await;
    assert!(matches!(wrong, BinlogError::Refused { .. }) && !wrong.to_string().contains("wrong"), "{wrong}");
    let weak = failure(login("weak", "x"), everything()).await;
    assert!(matches!(weak, BinlogError::Refused { .. }), "{weak:?}");
    let strong = failure(login("strong", "right"), everything()).await;
    assert!(matches!(strong, BinlogError::Ended { .. }), "{strong:?}");

    let at = |file: &str, offset| StreamStart::File(BinlogPosition { file: file.into(), offset });
    for lost in [at("binlog.999999", 4), at("binlog.000001", 99_999_999)] {
        let lost = failure(server.login(), lost).await;
        assert!(matches!(lost, BinlogError::PositionLost { .. }) && lost.class() == Class::Gap, "{lost:?}");
    }
    let foreign = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5".parse().unwrap();
    let foreign = failure(server.login(), StreamStart::Gtids(foreign)).await;
    assert!(matches!(foreign, BinlogError::Ended { .. }), "of another server: {foreign:?}");
    let uuid = server.position().await.2.split(':').next().unwrap().to_owned();
    let ahead = StreamStart::Gtids(format!("{uuid}:1-999999").parse().unwrap());
    let ahead = failure(server.login(), ahead).await;
    assert!(matches!(ahead, BinlogError::PositionLost { .. }) && ahead.class() == Class::Gap, "{ahead:?}");
    server.purge().await;
    let purged = failure(server.login(), everything()).await;
    assert!(matches!(purged, BinlogError::PositionLost { .. }), "{purged:?}");
}

#[tokio::test]
async fn a_server_without_gtids_or_binlog_refuses() {
    let server = MysqlServer::start(MysqlOptions { gtid: false, ..MysqlOptions::default() }).await;
    let refused = failure(server.login(), everything()).await;
    assert!(matches!(refused, BinlogError::Refused { .. }), "{refused:?}");
    drop(server);
    let server = MysqlServer::start(MysqlOptions::default().flag("--skip-log-bin")).await;
    let start = StreamStart::File(BinlogPosition { file: "binlog.000001".into(), offset: 4 });
    let refused = failure(server.login(), start).await;
    assert!(matches!(refused, BinlogError::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn heartbeats_come_and_a_frozen_server_is_found() {
    let server = server(MysqlOptions::default(), &[workload::TABLES]).await;
    let mut options = options(3);
    options.end_at_eof = false;
    options.silence = None;
    let mut stream = Stream::open(&server.login(), &everything(), options.clone()).await.unwrap();
    let (mut heartbeats, mut decoder) = (0, Decoder::new());
    while heartbeats < 3 {
        match timeout(PATIENCE, stream.next_raw()).await.unwrap() {
            Ok(raw) => decoder.push(raw),
            // nobody ran for three seconds: three in a row are wanted
            Err(BinlogError::Silent { .. }) => {
                stream = Stream::open(&server.login(), &everything(), options.clone()).await.unwrap();
                (heartbeats, decoder) = (0, Decoder::new());
                continue;
            }
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = decoder.next().unwrap() {
            if let Body::Heartbeat { file, offset } = &event.body {
                assert_eq!((&**file, *offset), (&**decoder_file(&event), event.position.end));
                heartbeats += 1;
            }
        }
    }
    // Holding back for longer than the limit is no silence.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stream.next_raw().await.unwrap();
    server.freeze();
    let silent = async {
        loop {
            if let Err(e) = stream.next_raw().await {
                break e;
            }
        }
    };
    // a frozen server's socket stays open: only its silence tells
    let silent = timeout(PATIENCE, silent).await.unwrap();
    assert!(matches!(silent, BinlogError::Silent { .. }) && silent.class() == Class::Retry, "{silent:?}");
    server.resume();
}

fn decoder_file<'a>(event: &'a binlog_operator::binlog::Event<'_>) -> &'a std::sync::Arc<str> {
    &event.position.file
}

#[tokio::test]
async fn the_older_of_two_streams_with_one_id_is_told() {
    let server = server(MysqlOptions::default(), &[workload::TABLES]).await;
    let mut follow = options(9);
    follow.end_at_eof = false;
    let mut first = Stream::open(&server.login(), &everything(), follow.clone()).await.unwrap();
    first.next_raw().await.unwrap();
    let mut second = Stream::open(&server.login(), &everything(), follow).await.unwrap();
    second.next_raw().await.unwrap();
    let taken = loop {
        if let Err(e) = timeout(PATIENCE, first.next_raw()).await.unwrap() {
            break e;
        }
    };
    assert!(matches!(taken, BinlogError::ServerIdTaken { .. }), "{taken:?}");
    second.next_raw().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_holds_back_keeps_its_stream() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--net-write-timeout=2")).await;
    server
        .run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)"])
        .await;
    let mut follow = options(11);
    follow.end_at_eof = false;
    let mut stream = Stream::open(&server.login(), &everything(), follow).await.unwrap();
    stream.next_raw().await.unwrap();
    // More than the sockets' buffers hold.
    for _ in 0..12 {
        server.run(&["INSERT INTO d.t (v) VALUES (REPEAT('x', 4000000))"]).await;
    }
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (mut rows, mut decoder) = (0, Decoder::new());
    while rows < 12 {
        decoder.push(timeout(PATIENCE, stream.next_raw()).await.unwrap().unwrap());
        while let Some(event) = decoder.next().unwrap() {
            rows += usize::from(matches!(event.body, Body::Rows(_)));
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_a_retry() {
    let mut server = server(MysqlOptions::default(), &[workload::TABLES]).await;
    let mut follow = options(13);
    follow.end_at_eof = false;
    for clean in [true, false] {
        let mut stream = Stream::open(&server.login(), &everything(), follow.clone()).await.unwrap();
        stream.next_raw().await.unwrap();
        if clean {
            server.stop().await;
        } else {
            server.kill9();
        }
        let gone = loop {
            if let Err(e) = stream.next_raw().await {
                break e;
            }
        };
        assert_eq!(gone.class(), Class::Retry, "{gone:?}");
        let refused = failure(server.login(), everything()).await;
        assert_eq!(refused.class(), Class::Retry, "{refused:?}");
        server.boot().await;
    }
}
