//! What the input can be: several files, packed, piped, cut, broken, encrypted, of a relay, of other servers.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

#[cfg(feature = "long")]
use e2e::mariadb::MariaDb;
use e2e::{MysqlOptions, MysqlServer, Scratch};

use super::rig::{Ran, packed, trace, trace_from};

/// Three binlog files with numbered inserts, one transaction each; copies outside the server's folder.
pub(crate) async fn three_files(options: MysqlOptions) -> (MysqlServer, Scratch, Vec<PathBuf>) {
    let server = MysqlServer::start(options).await;
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))"]).await;
    for file in 0..3 {
        for row in 0..5 {
            server.run(&[format!("INSERT INTO d.t VALUES ({}, 'row')", file * 5 + row)]).await;
        }
        server.flush_logs().await;
    }
    let scratch = Scratch::new("trace-inputs");
    let mut files = server.binlogs().await;
    files.pop();
    let copies = files.iter().map(|file| {
        let copy = scratch.path().join(file.file_name().unwrap());
        std::fs::copy(file, &copy).unwrap();
        copy
    });
    let copies = copies.collect();
    (server, scratch, copies)
}

pub(crate) fn with<'a>(args: &[&'a str], files: &'a [PathBuf]) -> Vec<&'a str> {
    args.iter().copied().chain(files.iter().map(|file| file.to_str().unwrap())).collect()
}

/// The ids that a trace's statements insert or delete, in order.
pub(crate) fn ids(ran: &Ran) -> Vec<u32> {
    let number = |line: &str| -> Option<u32> {
        let rest = line.split_once("VALUES (").or_else(|| line.split_once("WHERE `id`="))?.1;
        rest.split([',', ' ', ')']).next()?.parse().ok()
    };
    ran.out.lines().filter_map(number).collect()
}

#[tokio::test]
async fn files_in_order_packed_and_piped() {
    let (_server, _scratch, files) = three_files(MysqlOptions::default()).await;
    let all: Vec<u32> = (0..15).collect();
    let back: Vec<u32> = (0..15).rev().collect();
    let forward = trace(&with(&["sql"], &files));
    assert_eq!((forward.code, ids(&forward)), (0, all.clone()), "{}", forward.err);
    let rollback = trace(&with(&["rollback"], &files));
    assert_eq!((rollback.code, ids(&rollback)), (0, back.clone()), "{}", rollback.err);

    let gz = packed(&["gzip", "-c"], &files[0], ".gz");
    let zst = PathBuf::from(format!("{}.zst", files[1].display()));
    let bytes = std::fs::read(&files[1]).unwrap();
    std::fs::write(&zst, raw_zstd(&bytes)).unwrap();
    let mixed = [gz.clone(), zst, files[2].clone()];
    let forward = trace(&with(&["sql"], &mixed));
    assert_eq!((forward.code, ids(&forward)), (0, all), "{}", forward.err);
    let rollback = trace(&with(&["rollback"], &mixed));
    assert_eq!((rollback.code, ids(&rollback)), (0, back), "{}", rollback.err);

    let piped = trace_from(&["sql", "-"], Stdio::from(File::open(&gz).unwrap()));
    assert_eq!((piped.code, ids(&piped)), (0, (0..5).collect()), "{}", piped.err);
    let piped = trace_from(&["rollback", "-"], Stdio::from(File::open(&files[0]).unwrap()));
    assert_eq!((piped.code, ids(&piped)), (0, (0..5).rev().collect()), "{}", piped.err);
}

/// A zstd frame of raw blocks (RFC 8878): packing is not what is tested.
fn raw_zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]; // no checksum, no size, a window of 2 MiB
    let chunks: Vec<&[u8]> = bytes.chunks(100_000).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        let last = u32::from(index + 1 == chunks.len());
        let head = last | (chunk.len() as u32) << 3;
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.extend_from_slice(chunk);
    }
    out
}

#[tokio::test]
async fn a_missing_file_is_named() {
    for gtid in [true, false] {
        let (_server, _scratch, files) = three_files(MysqlOptions { gtid, ..MysqlOptions::default() }).await;
        let gap = [files[0].clone(), files[2].clone()];
        for verb in ["sql", "rollback", "stats"] {
            let ran = trace(&with(&[verb], &gap));
            assert_eq!(ran.code, 1, "{}", ran.err);
            assert!(ran.err.contains("binlog.000003 does not follow binlog.000001"), "{}", ran.err);
            assert!(!ran.out.contains("transactions"), "{}", ran.out);
        }
        let ran = trace(&with(&["events"], &gap));
        assert!(ran.code == 1 && ran.err.contains("does not follow binlog.000001"), "{}", ran.err);
        let ran = trace(&with(&["stats", "--allow-gaps"], &gap));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let swapped = [files[1].clone(), files[0].clone()];
        assert_eq!(trace(&with(&["sql"], &swapped)).code, 1);
    }
}

/// Whatever the cut: whole transactions come out, the open one does not, and the exit code says so.
#[tokio::test]
async fn a_cut_file_gives_its_whole_transactions() {
    let (_server, scratch, files) = three_files(MysqlOptions::default()).await;
    let whole = std::fs::read(&files[1]).unwrap();
    let events = trace(&with(&["events"], &files[1..2])).ok();
    let ends: Vec<usize> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["type"] == "XID")
        .map(|event| usize::try_from(event["end"].as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(ends.len(), 5);
    let cut = scratch.path().join("cut");
    for at in [5, 30, ends[0] - 1, ends[0] + 1, ends[0] + 20, ends[2] - 40, ends[4] - 31, whole.len() - 1] {
        std::fs::write(&cut, &whole[..at]).unwrap();
        let expected: Vec<u32> = (5..5 + ends.iter().filter(|end| **end <= at).count() as u32).collect();
        for verb in ["sql", "rollback"] {
            let ran = trace(&[verb, "--ddl", "/dev/null", cut.to_str().unwrap()]);
            assert_eq!(ran.code, 1, "an empty DDL file is refused: {}", ran.err);
            let found = trace(&with(&[verb], &[files[0].clone(), cut_named(&cut, &files[1], &scratch)]));
            let mut all: Vec<u32> = (0..5).chain(expected.iter().copied()).collect();
            if verb == "rollback" {
                all.reverse();
            }
            assert_eq!((found.code, ids(&found)), (3, all), "{verb} cut at {at}: {}", found.err);
            assert!(found.err.contains("binlog.000002"), "{}", found.err);
        }
    }
}

/// The cut file under the name of the whole one, in a folder of its own.
fn cut_named(cut: &Path, like: &Path, scratch: &Scratch) -> PathBuf {
    let folder = scratch.path().join("cut-folder");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(like.file_name().unwrap());
    std::fs::copy(cut, &path).unwrap();
    path
}

#[tokio::test]
async fn a_broken_event_ends_the_output_before_its_transaction() {
    let (_server, scratch, files) = three_files(MysqlOptions::default()).await;
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let middle = bytes.windows(3).enumerate().filter(|(_, w)| *w == b"row").map(|(at, _)| at).nth(2).unwrap();
    bytes[middle] ^= 1;
    let broken = scratch.path().join("broken");
    std::fs::write(&broken, &bytes).unwrap();
    let ran = trace(&["sql", broken.to_str().unwrap()]);
    assert_eq!((ran.code, ids(&ran)), (3, vec![0, 1]), "{}", ran.err);
    assert!(ran.err.contains("checksum mismatch in WRITE_ROWS_EVENT at broken:"), "{}", ran.err);
    let back = trace(&["rollback", broken.to_str().unwrap()]);
    assert_eq!(
        (back.code, ids(&back)),
        (3, vec![]),
        "newest first, nothing lies before the error in its part"
    );
    let unchecked = trace(&["sql", "--no-checksums", broken.to_str().unwrap()]);
    assert_eq!((unchecked.code, ids(&unchecked)), (0, (0..5).collect()));
}

#[tokio::test]
async fn what_is_no_binlog_is_said_to_be_none() {
    let scratch = Scratch::new("trace-none");
    let file = scratch.path().join("x");
    for (bytes, expected) in [
        (&b"\xfdbin\x01\x00\x00\x00"[..], "is an encrypted binlog: read it through the server"),
        (b"hello", "is not a binlog file"),
        (b"", "is not a binlog file"),
    ] {
        File::create(&file).unwrap().write_all(bytes).unwrap();
        let ran = trace(&["sql", file.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
    let ran = trace(&["sql", "/nonexistent/binlog.1"]);
    assert!(ran.code == 1 && ran.err.contains("/nonexistent/binlog.1"), "{}", ran.err);
}

/// MariaDB's own files: GTIDs, annotated rows, compressed events.
#[cfg(feature = "long")]
#[tokio::test]
async fn files_of_mariadb() {
    for compressed in [false, true] {
        let scratch = Scratch::new("trace-mariadb");
        let log = scratch.path().join("m");
        let mut flags = vec![format!("--log-bin={}", log.display()), "--binlog-format=ROW".to_owned()];
        if compressed {
            flags.extend(["--log-bin-compress=ON".to_owned(), "--log-bin-compress-min-len=10".to_owned()]);
        }
        let server = MariaDb::start(&flags).await;
        server
            .run(&[
                "CREATE DATABASE d",
                "CREATE TABLE d.t (id INT UNSIGNED PRIMARY KEY, v VARCHAR(500) CHARACTER SET latin1, b BINARY(3))",
                "INSERT INTO d.t VALUES (4294967295, 'é', X'0100'), (2, REPEAT('x', 400), NULL)",
                "UPDATE d.t SET v = 'new' WHERE id = 2",
                "DELETE FROM d.t WHERE id = 4294967295",
                "FLUSH BINARY LOGS",
            ])
            .await;
        let file = scratch.path().join("m.000001");
        let sql = trace(&["sql", file.to_str().unwrap()]);
        assert_eq!(sql.code, 0, "{}", sql.err);
        assert!(sql.out.contains("VALUES (4294967295,'é',X'010000');"), "{}", sql.out);
        assert!(sql.out.contains("UPDATE `d`.`t` SET `v`='new' WHERE `id`=2 LIMIT 1;"), "{}", sql.out);
        let back = trace(&["rollback", file.to_str().unwrap()]).ok();
        assert!(back.find("INSERT").unwrap() < back.find("UPDATE").unwrap(), "{back}");
        let events = trace(&["events", file.to_str().unwrap()]).ok();
        assert!(!events.contains("COMPRESSED"), "{events}");
        assert!(events.contains("\"gtid\":\"0-1-"), "{events}");
    }
}

/// Serves one file over HTTP with Range and breaks every connection after so many bytes.
fn breaking_server(bytes: Vec<u8>, most: usize) -> (u16, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{BufRead as _, BufReader};
    use std::sync::atomic::Ordering;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&requests);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut from = None;
            for line in BufReader::new(socket.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse::<usize>().ok();
                }
                if line.is_empty() {
                    break;
                }
            }
            let start = from.unwrap_or(0);
            let status = match from {
                Some(start) => format!(
                    "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
                    bytes.len() - 1,
                    bytes.len()
                ),
                None => "200 OK".to_owned(),
            };
            let left = &bytes[start..];
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"v1\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                left.len()
            );
            let _ = socket.write_all(head.as_bytes());
            // in pieces that end anywhere within events and their headers
            for piece in left[..left.len().min(most)].chunks(7) {
                let _ = socket.write_all(piece);
            }
        }
    });
    (port, requests)
}

#[tokio::test]
async fn urls_are_gone_on_with_where_they_break() {
    let (_server, _scratch, files) = three_files(MysqlOptions::default()).await;
    let bytes = std::fs::read(&files[1]).unwrap();
    let (port, requests) = breaking_server(bytes.clone(), 300);
    let url = format!("http://127.0.0.1:{port}/some/binlog.000002?signature=hunter2");
    for (verb, expected) in [("sql", (5..10).collect::<Vec<u32>>()), ("rollback", (5..10).rev().collect())] {
        let ran = trace(&[verb, "--ddl", "/proc/self/mounts", &url]);
        assert_eq!(ran.code, 1, "a file without CREATE TABLE is refused");
        let dump = format!("{}/t.sql", files[0].parent().unwrap().display());
        std::fs::write(&dump, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))").unwrap();
        let ran = trace(&[verb, "--ddl", &dump, &url]);
        assert_eq!((ran.code, ids(&ran)), (0, expected), "{}", ran.err);
        assert!(!(ran.err + &ran.out).contains("hunter2"));
    }
    assert!(
        requests.load(std::sync::atomic::Ordering::Relaxed) > 2 * bytes.len() / 300,
        "it was broken off often"
    );
    let ran = trace(&["sql", &format!("http://127.0.0.1:{}/none", e2e::scratch::Port::claim().number())]);
    assert!(ran.code == 1 && ran.err.contains("GET http://127.0.0.1"), "{}", ran.err);
}
