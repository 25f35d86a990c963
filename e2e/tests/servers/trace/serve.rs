//! `trace serve`: its answers are the commands', and it answers only who may ask.

use std::path::Path;

use e2e::{MysqlOptions, MysqlServer, TracePage};
use serde_json::Value;

use super::rig::trace;

const STREAM: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.orders (id INT PRIMARY KEY, state VARCHAR(10), total DECIMAL(10,2), note TEXT)",
    "CREATE TABLE shop.users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(10))",
    "INSERT INTO shop.orders VALUES (1, 'new', 10.50, NULL), (2, 'new', 20, ''), (3, 'it''s', 30, REPEAT('é', 5000))",
    "INSERT INTO shop.users VALUES (18446744073709551615, 'ann')",
    "UPDATE shop.orders SET state = 'paid' WHERE id = 1",
    "BEGIN",
    "UPDATE shop.users SET name = 'bob'",
    "UPDATE shop.orders SET state = 'done'",
    "DELETE FROM shop.orders WHERE id = 3",
    "COMMIT",
    "ALTER TABLE shop.orders ADD extra INT",
];

/// The page's parameters and the commands' flags of the same selections.
const SELECTIONS: &[(&str, &[&str])] = &[
    ("", &[]),
    ("table=shop.orders", &["--table", "shop.orders"]),
    ("where=shop.orders.id+%3D+1&event=update", &["--where", "shop.orders.id = 1", "--event", "update"]),
    ("changed-column=state", &["--changed-column", "state"]),
    ("database=shop&exclude-table=shop.users", &["--database", "shop", "--exclude-table", "shop.users"]),
    (
        "start-time=2020-01-01&stop-time=2021-01-01",
        &["--start-time", "2020-01-01", "--stop-time", "2021-01-01"],
    ),
];

async fn binlogs(server: &MysqlServer) -> Vec<String> {
    server.run(&STREAM[..5]).await;
    server.flush_logs().await;
    server.run(&STREAM[5..]).await;
    server.flush_logs().await;
    let files = server.binlogs().await;
    files[..files.len() - 1].iter().map(|file| file.display().to_string()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// All changes, by pages of `limit`.
async fn pages(page: &TracePage, query: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let (status, text) = page.get(&format!("api/changes?{query}&limit={limit}&after={after}")).await;
        assert_eq!(status, 200, "{text}");
        let found = json(&text);
        let changes = found["changes"].as_array().unwrap();
        assert!(changes.len() <= limit);
        all.extend(changes.iter().cloned());
        match found["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return all,
        }
    }
}

/// A change as `trace sql --format json` has it, but with values as text.
fn record(change: &Value) -> Value {
    let image = |side: &str| -> Option<Value> {
        let columns = change["columns"].as_array()?;
        let members =
            columns.iter().filter_map(|c| Some((c["name"].as_str()?.to_owned(), c.get(side)?.clone())));
        let members: serde_json::Map<_, _> = members.collect();
        (!members.is_empty()).then(|| members.into())
    };
    let mut record = change.clone();
    let members = record.as_object_mut().unwrap();
    members.remove("row");
    members.remove("columns");
    for side in ["before", "after"] {
        image(side).map(|image| members.insert(side.to_owned(), image));
    }
    record
}

/// Values as a page has them: as text, long ones cut.
fn as_shown(mut record: Value) -> Value {
    for side in ["before", "after"] {
        for value in
            record.get_mut(side).and_then(Value::as_object_mut).into_iter().flatten().map(|(_, value)| value)
        {
            if !value.is_null() {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let cut: String =
                    text.chars().take(if text.len() > 4096 { 2048 } else { usize::MAX }).collect();
                *value = cut.into();
            }
        }
    }
    record
}

#[tokio::test]
async fn answers_are_the_commands() {
    let server = MysqlServer::start(MysqlOptions::default().flag("--binlog-row-metadata=FULL")).await;
    let files = binlogs(&server).await;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let page = TracePage::start(&files).await;
    let said = |verb: &[&str], flags: &[&str]| trace(&[verb, flags, &files].concat()).ok();
    for (query, flags) in SELECTIONS {
        assert_eq!(page.get(&format!("api/sql?{query}")).await, (200, said(&["sql"], flags)), "{query}");
        for (asked, verb) in
            [("guard=true", ["rollback", "--guard"]), ("exact=true", ["rollback", "--exact"])]
        {
            let (status, text) = page.get(&format!("api/rollback?{query}&{asked}")).await;
            assert_eq!((status, without_warnings(&text)), (200, said(&verb, flags)), "{query}");
        }
        let (_, stats) = page.get(&format!("api/overview?{query}")).await;
        assert_eq!(json(&stats), json(&said(&["stats", "--format", "json"], flags)), "{query}");
        let records = said(&["sql", "--format", "json"], flags);
        let mut records: Vec<Value> = records.lines().map(|line| as_shown(json(line))).collect();
        for limit in [1, 2, 3, 1000] {
            let oldest = pages(&page, &format!("{query}&order=oldest"), limit).await;
            let found: Vec<Value> = oldest.iter().map(record).collect();
            assert_eq!(found, records, "{query} by {limit}");
        }
        records.reverse();
        let newest: Vec<Value> = pages(&page, query, 2).await.iter().map(record).collect();
        assert_eq!(newest, records, "{query}");
    }
    one_by_one(&page).await;
}

/// An answer has at its end what a command says on standard error.
fn without_warnings(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("-- warning: ")).map(|line| format!("{line}\n")).collect()
}

/// SQL and rollback of single transactions and rows.
async fn one_by_one(page: &TracePage) {
    let changes = pages(page, "order=oldest&table=shop.orders", 1000).await;
    let first = changes.iter().find(|change| change["event"] == "insert").unwrap();
    let columns = first["columns"].as_array().unwrap();
    assert_eq!(columns[0], serde_json::json!({"name": "id", "key": true, "after": "1"}));
    assert_eq!(columns[2]["after"], "10.50");
    let long = changes
        .iter()
        .filter_map(|change| change["columns"][3].as_object())
        .find(|c| c.contains_key("afterLength"));
    assert_eq!(long.unwrap()["afterLength"], 10_000, "{long:?}");
    let place = |change: &Value| {
        format!(
            "file={}&position={}&row={}",
            change["file"].as_str().unwrap(),
            change["position"],
            change["row"].as_str().unwrap()
        )
    };
    let statements = async |path: &str| -> Vec<String> {
        let (status, text) = page.get(path).await;
        assert_eq!(status, 200, "{text}");
        let verbs = ["INSERT", "UPDATE", "DELETE"];
        text.lines().filter(|l| verbs.iter().any(|verb| l.starts_with(verb))).map(str::to_owned).collect()
    };
    let paid = changes.iter().find(|change| change["columns"][1]["after"] == "paid").unwrap();
    let back = statements(&format!("api/rollback?{}", place(paid))).await;
    assert_eq!(back, ["UPDATE `shop`.`orders` SET `state`='new' WHERE `id`=1 LIMIT 1;"]);
    let deleted = changes.iter().find(|change| change["event"] == "delete").unwrap();
    let again = statements(&format!("api/sql?{}", place(deleted))).await;
    assert_eq!(again, ["DELETE FROM `shop`.`orders` WHERE `id`=3 LIMIT 1;"]);
    let transaction = place(deleted).split("&row").next().unwrap().to_owned();
    assert_eq!(statements(&format!("api/sql?{transaction}")).await.len(), 5);
    assert_eq!(statements(&format!("api/sql?{transaction}&table=shop.users")).await.len(), 1);
    // every change by itself, and one that is not there
    for change in &changes {
        if change["row"].is_string() {
            assert_eq!(statements(&format!("api/sql?{}", place(change))).await.len(), 1, "{change}");
        }
    }
    assert!(statements(&format!("api/sql?{transaction}&row=9.9")).await.is_empty());
}

#[tokio::test]
async fn only_who_may_ask_is_answered() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let files = binlogs(&server).await;
    let mut page = TracePage::start(&[&files[0], "--exclude-table", "shop.users"]).await;
    let client = page.client().clone();
    let asked = async |path: &str, name: &str, value: &str| {
        let answer = client.get(format!("{}{path}", page.url())).header(name, value).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!(asked("", "host", "evil.example:8223").await, 403);
    assert_eq!(asked("api/overview", "host", "evil.example").await, 403);
    assert_eq!(asked("api/overview", "host", "localhost:1").await, 200);
    assert_eq!(asked("api/overview", "sec-fetch-site", "cross-site").await, 403);
    assert_eq!(asked("api/overview", "sec-fetch-site", "same-origin").await, 200);
    let answer = client.get(page.url()).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    let text = answer.text().await.unwrap();
    assert!(!text.contains("https://") && !text.contains("/*SCRIPT*/") && !text.contains("/*STYLE*/"));

    // MINIMAL metadata and no DDL: what is not known is said where it stands, and what to do
    let (status, stats) = page.get("api/overview").await;
    let tables = json(&stats)["tables"].clone();
    assert_eq!((status, tables.as_array().unwrap().len()), (200, 1), "{tables}");
    // the CREATE TABLE in the binlog names the columns: only a file without it lacks them
    let (status, text) = page.get("api/changes?order=oldest").await;
    assert_eq!(status, 200);
    assert!(json(&text)["changes"][0]["statement"].as_str().unwrap().starts_with("CREATE TABLE"), "{text}");
    for (path, expected) in [
        ("api/changes?where=id+=+4", "--where"),
        ("api/changes?after=x", "next"),
        ("api/changes?after=x:4:0", "no file x"),
        ("api/changes?limit=5000", "--limit"),
        ("api/overview?start-time=noon", "--start-time"),
        ("api/sql?where=shop.orders.nothing+=+4", "no column nothing"),
        ("api/sql?exact=true", "exact"),
        ("api/sql?nothing=1", "--nothing"),
    ] {
        let (status, text) = page.get(path).await;
        assert!(status == 422 && json(&text)["error"].as_str().unwrap().contains(expected), "{path}: {text}");
    }
    assert_eq!(page.get("nothing").await.0, 404);
    assert_eq!(page.terminate().await, Some(0));
}

#[tokio::test]
async fn unknown_columns_are_said_where_they_stand() {
    let server = MysqlServer::start(MysqlOptions::default()).await;
    let files = binlogs(&server).await;
    let page = TracePage::start(&[&files[1]]).await;
    let changes = pages(&page, "order=oldest", 100).await;
    let unknown: Vec<&Value> = changes.iter().filter(|change| change["error"].is_string()).collect();
    let rows: u64 = unknown.iter().map(|change| change["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 6, "{changes:?}");
    assert!(unknown[0]["error"].as_str().unwrap().contains("--schema-from"));
    assert_eq!((unknown[1]["table"].as_str(), unknown[1]["event"].as_str()), (Some("users"), Some("update")));
    let (status, text) = page.get("api/rollback").await;
    assert!(status == 422 && text.contains("--ddl FILE"), "{text}");
    let (status, text) = page.get("api/rollback?exact=true").await;
    assert!(status == 200 && text.contains("BINLOG '"), "{text}");

    // with a server's schema, from files and from the server itself; packed files are unpacked
    let url = format!("mysql://root@127.0.0.1:{}/", server.port());
    let packed = Path::new(&files[1]).with_extension("gz");
    let file = std::fs::File::create(&packed).unwrap();
    assert!(
        std::process::Command::new("gzip").args(["-c", &files[1]]).stdout(file).status().unwrap().success()
    );
    let mut named = TracePage::start(&["--schema-from", &url, packed.to_str().unwrap()]).await;
    let live = TracePage::start(&["--schema-from", &url, "--from", &url, "--start-time", "2020-01-01"]).await;
    let (_, rollback) = named.get("api/rollback?table=shop.orders").await;
    assert!(rollback.contains("SET `state`='new'"), "{rollback}");
    let (_, streamed) = live.get("api/rollback?table=shop.orders&start-position=0").await;
    let undone = |text: &str| text.lines().filter(|line| line.starts_with("-- undo")).count();
    assert_eq!((undone(&rollback), undone(&streamed)), (2, 3), "{streamed}");
    let (_, held) = live.get("api/holdings").await;
    let held = json(&held);
    for (copy, file) in held["files"].as_array().unwrap().iter().zip(server.binlogs().await) {
        assert_eq!(copy["name"].as_str(), file.file_name().and_then(|name| name.to_str()));
        assert_eq!(copy["bytes"].as_u64(), Some(file.metadata().unwrap().len()), "{held}");
    }
    // what was copied goes with the process
    assert_eq!((named.copies(), named.terminate().await, named.copies()), (1, Some(0), 0));
}

#[tokio::test]
async fn what_a_page_cannot_do_is_refused() {
    for (args, expected) in [
        (&["--from", "mysql://root@127.0.0.1:1/", "--follow"][..], "--follow"),
        (&["--from", "mysql://root@127.0.0.1:1/", "--executed-gtids", "x:1"], "--start-file"),
        (&["--out", "x", "binlog.000001"], "downloads"),
        (&["--listen", "0.0.0.0:0", "binlog.000001"], "--allow-host"),
        (&["no/such/file"], "no/such/file"),
    ] {
        let ran = trace(&[&["serve"], args].concat());
        assert!(ran.code == 1 && ran.err.contains(expected), "{args:?}: {} {}", ran.code, ran.err);
    }
}
