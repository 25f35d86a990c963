//! Binlogs that lie elsewhere: in a manifest's list, with Aliyun RDS, in an S3-compatible store. The files are a real
//! server's; the clouds' APIs are served here and check signatures by themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::aliyun::{self, AliyunApi, Backup};
use e2e::s3::{self, S3Api};
use e2e::{Answer, FileServer, MysqlOptions, MysqlServer, Scratch, wait_until};
use serde_json::{Value, json};

use super::inputs::ids;
use super::rig::{Ran, trace_with};

/// Binlog files, each with the seconds in which its rows were committed; row N lies in file N.
struct Files {
    scratch: Scratch,
    files: Vec<(String, PathBuf, u64, u64)>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn utc(second: u64) -> String {
    let (days, rest) = (second / 86_400, second % 86_400);
    // civil date of a day since 1970, by Howard Hinnant's algorithm
    let z = days as i64 + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// `pauses`: before these files the clock moves on by three seconds.
async fn files(count: usize, pauses: &[usize]) -> (MysqlServer, Files) {
    let server = MysqlServer::start(MysqlOptions { full_metadata: true, ..MysqlOptions::default() }).await;
    server.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v TEXT)"]).await;
    server.purge().await;
    let mut spans = Vec::new();
    for file in 0..count {
        if pauses.contains(&file) {
            let until = now() + 3;
            let late = async || if now() >= until { Ok(()) } else { Err("not yet".to_owned()) };
            wait_until("the clock", Duration::from_secs(10), late).await;
        }
        let begun = now();
        server
            .run(&[
                format!("INSERT INTO d.t VALUES ({file}, REPEAT('x', 500))"),
                "FLUSH BINARY LOGS".to_owned(),
            ])
            .await;
        spans.push((begun, now()));
    }
    let scratch = Scratch::new("trace-clouds");
    let binlogs = server.binlogs().await;
    let copy = |(file, (begun, ended)): (&PathBuf, &(u64, u64))| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let copy = scratch.path().join(&name);
        std::fs::copy(file, &copy).unwrap();
        (name, copy, *begun, *ended)
    };
    let files = binlogs.iter().zip(&spans).map(copy).collect();
    (server, Files { scratch, files })
}

impl Files {
    fn bytes(&self, index: usize) -> Vec<u8> {
        std::fs::read(&self.files[index].1).unwrap()
    }

    fn manifest(&self, name: &str, entries: &Value) -> String {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, entries.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn no_secret(ran: &Ran, secrets: &[&str]) {
    for secret in secrets {
        assert!(!ran.err.contains(secret) && !ran.out.contains(secret), "{secret}: {}", ran.err);
    }
}

#[tokio::test]
async fn a_manifest_is_sorted_cut_and_fetched() {
    let (_server, files) = files(4, &[1, 2, 3]).await;
    let served: BTreeMap<String, Vec<u8>> =
        (0..4).map(|i| (format!("/x/{}", files.files[i].0), files.bytes(i))).collect();
    let http = FileServer::start(move |asked| match served.get(&asked.path) {
        Some(bytes) if asked.query == "sig=hunter2" => Answer::file(bytes, asked).broken_after(700),
        Some(_) => Answer::new(
            403,
            "application/xml",
            "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>",
        ),
        None => Answer::new(404, "text/plain", "none"),
    });
    let entry = |i: usize, signature: &str| {
        let (name, _, begun, ended) = &files.files[i];
        json!({
            "name": name, "url": format!("{}/x/{name}?sig={signature}", http.url()), "size": files.bytes(i).len(),
            "startTime": utc(*begun), "endTime": utc(*ended),
        })
    };
    let all: Vec<Value> = [2, 0, 3, 1].into_iter().map(|i| entry(i, "hunter2")).collect();
    let manifest = files.manifest("all.json", &json!(all));
    let ran = trace_with(&["sql", "--manifest", &manifest], &[]);
    assert_eq!((ran.code, ids(&ran)), (0, vec![0, 1, 2, 3]), "{}", ran.err);
    no_secret(&ran, &["hunter2"]);
    let back = trace_with(&["rollback", "--manifest", &manifest], &[]);
    assert_eq!((back.code, ids(&back)), (0, vec![3, 2, 1, 0]), "{}", back.err);

    // the same as YAML, and only the files that the time meets are asked for
    let yaml: String = all.iter().map(|entry| format!("- {entry}\n")).collect();
    let path = files.scratch.path().join("all.yaml");
    std::fs::write(&path, yaml).unwrap();
    let before = http.asked().len();
    let (start, stop) = (utc(files.files[1].2), utc(files.files[2].3 + 1));
    let span = ["--start-time", &start, "--stop-time", &stop];
    let ran = trace_with(&[&["sql", "--manifest", path.to_str().unwrap()], &span[..]].concat(), &[]);
    assert_eq!((ran.code, ids(&ran)), (0, vec![1, 2]), "{}", ran.err);
    let asked: Vec<String> = http.asked()[before..].iter().map(|asked| asked.path.clone()).collect();
    for (index, wanted) in [(0, false), (1, true), (2, true), (3, false)] {
        assert_eq!(asked.contains(&format!("/x/{}", files.files[index].0)), wanted, "{index}: {asked:?}");
    }

    let mut wrong_size = all.clone();
    wrong_size[1]["size"] = json!(5);
    let hole = format!("{} does not follow {}: --manifest", files.files[2].0, files.files[0].0);
    for (name, entries, expected) in [
        ("gap", json!([all[0], all[1], all[2]]), hole.as_str()),
        (
            "expired",
            json!([entry(0, "old")]),
            "403 Forbidden (AccessDenied: Request has expired.): the link has expired",
        ),
        ("size", json!(wrong_size), "the list says that it has 5 bytes"),
        ("broken", json!([{"name": "b.1", "url": "hunter2"}]), "entry 1: url: write https://"),
    ] {
        let manifest = files.manifest(name, &entries);
        let ran = trace_with(&["sql", "--manifest", &manifest], &[]);
        assert!(ran.code == 1 && ran.err.contains(expected), "{name}: {} {}", ran.code, ran.err);
        no_secret(&ran, &["hunter2", "sig="]);
    }
}

fn aliyun_env() -> [(&'static str, &'static str); 2] {
    [("ALIBABA_CLOUD_ACCESS_KEY_ID", aliyun::KEY_ID), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", aliyun::KEY_SECRET)]
}

#[tokio::test]
async fn aliyun_lists_by_pages_and_its_links_are_renewed() {
    let count = 105;
    let (_server, files) = files(count, &[100]).await;
    let backup = |i: usize, host: u64| {
        let (name, _, begun, ended) = &files.files[i];
        Backup { name: name.clone(), host, begin: utc(*begun), end: utc(*ended), bytes: files.bytes(i) }
    };
    let all: Vec<Backup> = (0..count).rev().map(|i| backup(i, 7)).collect();
    let api = AliyunApi::start(all.clone(), usize::MAX);
    let from = format!("aliyun://rm-test?region=cn-hangzhou&endpoint={}", api.url());
    let start = utc(files.files[0].2);
    let args = ["sql", "--from", &from, "--start-time", &start];
    let ran = trace_with(&args, &aliyun_env());
    assert_eq!((ran.code, ids(&ran)), (0, (0..count as u32).collect()), "{}", ran.err);
    let pages: Vec<String> = api.calls().iter().map(|call| call["PageNumber"].clone()).collect();
    assert_eq!(pages, ["1", "2"]);
    no_secret(&ran, &[aliyun::KEY_ID, aliyun::KEY_SECRET, "s3cret"]);

    // the last five by time; public links; keys as a mounted Secret; every link is cut off once and renewed
    let api = AliyunApi::start(all, 600);
    let secret = files.scratch.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("accessKeyId"), aliyun::KEY_ID).unwrap();
    std::fs::write(secret.join("accessKeySecret"), format!("{}\n", aliyun::KEY_SECRET)).unwrap();
    let from = format!("aliyun://rm-test?link=public&endpoint={}", api.url());
    let start = utc(files.files[100].2);
    let ran = trace_with(
        &["sql", "--from", &from, "--start-time", &start, "--credentials", secret.to_str().unwrap()],
        &[],
    );
    assert_eq!((ran.code, ids(&ran)), (0, (100..105).collect()), "{}", ran.err);
    let downloads = api.downloads();
    assert!(
        downloads.len() > 5 && downloads.iter().all(|name| files.files[100..].iter().any(|f| f.0 == *name))
    );
    assert!(api.calls().len() > 5, "links were renewed");

    let two_hosts = AliyunApi::start(vec![backup(100, 7), backup(101, 7), backup(0, 8)], usize::MAX);
    let start = utc(files.files[0].2);
    let of = |more: &str| {
        let from = format!("aliyun://rm-test?endpoint={}{more}", two_hosts.url());
        trace_with(&["sql", "--from", &from, "--start-time", &start], &aliyun_env())
    };
    let ran = of("");
    assert!(ran.code == 1 && ran.err.contains("several hosts (HostInstanceID 7, 8)"), "{}", ran.err);
    let ran = of("&host=7");
    assert_eq!((ran.code, ids(&ran)), (0, vec![100, 101]), "{}", ran.err);
    let ran = of("&host=9");
    assert!(ran.code == 1 && ran.err.contains("no binlogs of host 9 (of 7, 8 there are)"), "{}", ran.err);
}

#[tokio::test]
async fn aliyun_refusals_are_told_without_keys() {
    let api = AliyunApi::start(Vec::new(), usize::MAX);
    let from = |instance: &str| format!("aliyun://{instance}?endpoint={}", api.url());
    let id = ("ALIBABA_CLOUD_ACCESS_KEY_ID", aliyun::KEY_ID);
    let time = ["--start-time", "2026-01-01 00:00:00"];
    for (instance, time, env, expected) in [
        ("rm-test", &time[..], vec![], "ALIBABA_CLOUD_ACCESS_KEY_ID is not set"),
        ("rm-test", &time, vec![id], "ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set"),
        ("rm-test", &[], aliyun_env().to_vec(), "give --start-time"),
        (
            "rm-test",
            &time,
            vec![id, ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "wr0ngSecret")],
            "SignatureDoesNotMatch: the access key's secret is not the one of its id",
        ),
        (
            "rm-test",
            &time,
            vec![("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIother"), aliyun_env()[1]],
            "InvalidAccessKeyId.NotFound",
        ),
        ("rm-other", &time, aliyun_env().to_vec(), "InvalidDBInstanceId.NotFound"),
        ("rm-test", &time, aliyun_env().to_vec(), "Aliyun has no binlogs from 2026-01-01T00:00:00Z"),
    ] {
        let from = from(instance);
        // with everything that the log can say
        let args = [&["sql", "--log-level", "trace", "--from", &from], time].concat();
        let ran = trace_with(&args, &env);
        assert!(ran.code == 1 && ran.err.contains(expected), "{expected}: {}", ran.err);
        no_secret(&ran, &[aliyun::KEY_ID, aliyun::KEY_SECRET, "wr0ngSecret", "LTAIother"]);
    }
}

#[tokio::test]
async fn objects_of_an_s3_store_one_by_one_and_by_folder() {
    let (_server, files) = files(4, &[2]).await;
    let mut objects: BTreeMap<String, Vec<u8>> =
        (0..4).map(|i| (format!("a b+ü/{}", files.files[i].0), files.bytes(i))).collect();
    objects.insert("a b+ü/binlog.index".into(), b"binlog.000001\n".to_vec());
    objects.insert("a b+ü/old/binlog.000001".into(), b"x".to_vec());
    let store = S3Api::start(objects, 600);
    let keys = [
        ("AWS_ACCESS_KEY_ID", s3::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", s3::KEY_SECRET),
        ("AWS_SESSION_TOKEN", s3::TOKEN),
    ];
    let endpoint = ("AWS_ENDPOINT_URL", store.url());
    let env = [&keys[..], &[(endpoint.0, endpoint.1.as_str()), ("AWS_REGION", s3::REGION)]].concat();
    let folder = "s3://backups/a b+ü/";
    let ran = trace_with(&["sql", folder], &env);
    assert_eq!((ran.code, ids(&ran)), (0, vec![0, 1, 2, 3]), "{}", ran.err);
    no_secret(&ran, &[s3::KEY_ID, s3::KEY_SECRET, s3::TOKEN]);
    let lists = store.asked().iter().filter(|asked| asked.path == "/backups/").count();
    assert!(lists >= 2, "a list of five keys has pages: {lists}");
    let one = format!("{folder}{}", files.files[1].0);
    let other = format!("{folder}{}", files.files[2].0);
    let flags = ["--s3-endpoint", &endpoint.1, "--s3-region", s3::REGION];
    let ran = trace_with(&[&["rollback", &one, &other], &flags[..]].concat(), &keys);
    assert_eq!((ran.code, ids(&ran)), (0, vec![2, 1]), "{}", ran.err);

    // objects in a manifest; keys from a file
    let entries =
        json!([{"name": files.files[3].0, "url": format!("s3://backups/a b+ü/{}", files.files[3].0)}]);
    let manifest = files.manifest("objects", &entries);
    let credentials = files.scratch.path().join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        s3::KEY_ID,
        s3::KEY_SECRET,
        s3::TOKEN
    );
    std::fs::write(&credentials, text).unwrap();
    let with_file = ["sql", "--manifest", &manifest, "--credentials", credentials.to_str().unwrap()];
    let ran = trace_with(&[&with_file, &flags[..]].concat(), &[]);
    assert_eq!((ran.code, ids(&ran)), (0, vec![3]), "{}", ran.err);

    let wrong = [keys[0], ("AWS_SECRET_ACCESS_KEY", "wr0ngSecret"), keys[2], env[3], env[4]];
    for (url, env, expected) in [
        (folder, &wrong[..], "403 Forbidden (SignatureDoesNotMatch"),
        (one.as_str(), &wrong, "SignatureDoesNotMatch"),
        ("s3://backups/none/", &env, "no object whose name ends with a number"),
        ("s3://other/x/binlog.000001", &env, "404 Not Found (NoSuchBucket"),
        (folder, &[], "AWS_ACCESS_KEY_ID is not set"),
        ("s3:///x", &env, "write s3://bucket/key"),
    ] {
        let ran = trace_with(&["sql", "--log-level", "trace", url], env);
        assert!(ran.code == 1 && ran.err.contains(expected), "{url} {expected}: {}", ran.err);
        no_secret(&ran, &[s3::KEY_ID, s3::KEY_SECRET, s3::TOKEN, "wr0ngSecret"]);
    }
}
