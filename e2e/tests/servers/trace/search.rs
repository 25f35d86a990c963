//! With --start-time, files that lie before it are not read: they are found by the first bytes of a few of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{Answer, FileServer, MysqlOptions, MysqlServer, Scratch, wait_until};
use mysql_async::prelude::Queryable as _;
use serde_json::json;

use super::inputs::ids;
use super::rig::{Ran, trace};

const EARLY: usize = 20;
const ALL: usize = 26;

/// Files of one row each. Between the early and the late ones the clock goes on by more than a server's may go back.
struct Ground {
    server: MysqlServer,
    scratch: Scratch,
    files: Vec<PathBuf>,
    /// A time between the two.
    start: String,
}

async fn ground() -> Ground {
    let server = MysqlServer::start(MysqlOptions { full_metadata: true, ..MysqlOptions::default() }).await;
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v TEXT)"]).await;
    server.purge().await;
    let mut start = String::new();
    for file in 0..ALL {
        if file == EARLY {
            let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let until = seconds() + 7;
            let late = async || if seconds() >= until { Ok(()) } else { Err("not yet".to_owned()) };
            wait_until("the clock", Duration::from_secs(20), late).await;
            let now: Option<String> =
                server.conn().await.query_first("SELECT UTC_TIMESTAMP()").await.unwrap();
            start = now.unwrap();
        }
        let row = format!("INSERT INTO d.t VALUES ({file}, REPEAT('x', 9000))");
        server.run(&[row, "FLUSH BINARY LOGS".to_owned()]).await;
    }
    let scratch = Scratch::new("trace-search");
    let mut files = server.binlogs().await;
    files.pop();
    let copy = |file: &PathBuf| {
        let copy = scratch.path().join(file.file_name().unwrap());
        std::fs::copy(file, &copy).unwrap();
        copy
    };
    let files = files.iter().map(copy).collect();
    Ground { server, scratch, files, start }
}

fn late(ran: &Ran) {
    assert_eq!((ran.code, ids(ran)), (0, (EARLY as u32..ALL as u32).collect()), "{}", ran.err);
}

fn events(ran: &Ran) -> u64 {
    let line = ran.err.lines().find_map(|line| line.strip_prefix("read: ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_lies_before_the_time_is_not_read() {
    let ground = ground().await;
    let paths: Vec<&str> = ground.files.iter().map(|file| file.to_str().unwrap()).collect();
    let since = ["--start-time", ground.start.as_str()];
    let all = trace(&[&["sql", "--read-all"], &since[..], &paths].concat());
    late(&all);
    let some = trace(&[&["sql"], &since[..], &paths].concat());
    late(&some);
    assert!(some.err.contains("lie before --start-time and are not read"), "{}", some.err);
    let back = trace(&[&["rollback"], &since[..], &paths].concat());
    assert_eq!((back.code, ids(&back)), (0, (EARLY as u32..ALL as u32).rev().collect()), "{}", back.err);

    // an early file that is cut within its transaction is in nobody's way
    let bytes = std::fs::read(&ground.files[3]).unwrap();
    std::fs::write(&ground.files[3], &bytes[..bytes.len() - 2000]).unwrap();
    late(&trace(&[&["sql"], &since[..], &paths].concat()));
    let cut = trace(&[&["sql", "--read-all"], &since[..], &paths].concat());
    assert_eq!(cut.code, 3, "{}", cut.err);

    let url = format!("mysql://root@127.0.0.1:{}/", ground.server.port());
    let all = trace(&[&["sql", "--read-all", "--from", &url], &since[..]].concat());
    late(&all);
    let some = trace(&[&["sql", "--from", &url], &since[..]].concat());
    late(&some);
    assert!(events(&some) <= events(&all) / 3, "{} of {}", events(&some), events(&all));
}

#[tokio::test]
async fn of_files_that_lie_elsewhere_a_few_are_tried() {
    let ground = ground().await;
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    let served: BTreeMap<String, Vec<u8>> =
        ground.files.iter().map(|file| (format!("/{}", name(file)), std::fs::read(file).unwrap())).collect();
    let http = FileServer::start(move |asked| Answer::file(&served[&asked.path], asked));
    let entries: Vec<_> = ground
        .files
        .iter()
        .map(|file| json!({"name": name(file), "url": format!("{}/{}", http.url(), name(file))}))
        .collect();
    let manifest = ground.scratch.path().join("manifest");
    std::fs::write(&manifest, json!(entries).to_string()).unwrap();
    let ran = trace(&["sql", "--manifest", manifest.to_str().unwrap(), "--start-time", &ground.start]);
    late(&ran);
    let early: Vec<String> =
        ground.files[..EARLY - 1].iter().map(|file| format!("/{}", name(file))).collect();
    let asked = http.asked();
    let tried: Vec<_> = asked.iter().filter(|asked| early.contains(&asked.path)).collect();
    assert!(!tried.is_empty() && tried.len() <= 5, "{tried:?}");
    for asked in tried {
        assert_eq!(asked.headers.get("range").map(String::as_str), Some("bytes=0-4095"), "{asked:?}");
    }
    let whole = asked.iter().filter(|asked| !asked.headers.contains_key("range")).count();
    assert_eq!(whole, ALL - EARLY + 1, "the late files, and the one before them");
}
