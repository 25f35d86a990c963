//! The decoder against the real server's binlogs, with `mysqlbinlog`, `mysql_common` and the server's own
//! SELECT as oracles.

#[cfg(feature = "long")]
mod mariadb;
mod printer;
mod sign_in;
mod streaming;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;

use binlog_operator::binlog::{BinlogFile, Body, Decoder, Event, EventType, RowsEvent, json};
use binlog_operator::model::Value;
use e2e::mysql::mysqlbinlog;
use e2e::{MysqlOptions, MysqlServer};
use mysql_async::prelude::Queryable;

/// Shows every event of a file to `see`.
fn each_event(path: &Path, mut see: impl FnMut(&Event<'_>)) {
    let mut file = BinlogFile::open(path).unwrap();
    let mut decoder = Decoder::new();
    decoder.set_file(file.name());
    while let Some(raw) = file.next_raw().unwrap() {
        decoder.push(raw);
        while let Some(event) = decoder.next().unwrap() {
            see(&event);
        }
    }
}

async fn server(options: MysqlOptions, parts: &[&[&str]]) -> MysqlServer {
    let server = MysqlServer::start(options).await;
    server.run(&parts.concat()).await;
    server.flush_logs().await;
    server
}

/// Every value and every event's offset as `mysqlbinlog -v` prints them.
async fn compare_with_mysqlbinlog(server: &MysqlServer) -> (usize, BTreeMap<String, usize>) {
    let (mut values, mut types) = (0, BTreeMap::new());
    for path in server.binlogs().await {
        let (mut lines, mut starts) = (Vec::new(), Vec::new());
        each_event(&path, |event| {
            *types.entry(event.header.event_type.to_string()).or_default() += 1;
            starts.push(event.position.start);
            if let Body::Rows(rows) = &event.body {
                printer::print(rows, &mut lines);
            }
        });
        starts.dedup();
        let printed =
            mysqlbinlog(&["--no-defaults", "-v", "--base64-output=DECODE-ROWS", path.to_str().unwrap()]);
        values += printer::compare(&lines, &printed);
        let mut theirs: Vec<u64> =
            printed.lines().filter_map(|line| line.strip_prefix("# at ")?.trim().parse().ok()).collect();
        theirs.dedup();
        assert_eq!(starts, theirs, "offsets in {}", path.display());
    }
    (values, types)
}

#[tokio::test]
async fn every_value_is_what_mysqlbinlog_prints() {
    for full_metadata in [true, false] {
        let options = MysqlOptions { full_metadata, ..MysqlOptions::default() };
        let parts = [workload::TABLES, workload::ROWS, workload::TRANSACTIONS, workload::TAGGED];
        let server = server(options, &parts).await;
        let (values, types) = compare_with_mysqlbinlog(&server).await;
        println!("{values} values, {types:?}");
        assert!(values > 600, "{values} values");
        for expected in
            ["PARTIAL_UPDATE_ROWS", "TRANSACTION_PAYLOAD", "GTID_TAGGED", "XA_PREPARE", "ROWS_QUERY"]
        {
            assert!(types.contains_key(&format!("{expected}_EVENT")), "{expected}: {types:?}");
        }
    }
}

#[tokio::test]
async fn no_checksums_no_gtids() {
    let options = MysqlOptions { gtid: false, ..MysqlOptions::default() }.flag("--binlog-checksum=NONE");
    let parts = [workload::TABLES, workload::ROWS, workload::TRANSACTIONS];
    let server = server(options, &parts).await;
    let (values, types) = compare_with_mysqlbinlog(&server).await;
    assert!(values > 600 && types.contains_key("ANONYMOUS_GTID_EVENT"), "{values} values, {types:?}");
}

/// Text by id and column; `None` for NULL. What only a difference of an unknown document would tell is absent.
type Documents = BTreeMap<(i64, usize), Option<String>>;

/// Applies the rows of one event; the number of differences.
fn follow_documents(rows: &RowsEvent<'_>, documents: &mut Documents) -> usize {
    let (mut rest, mut diffs) = (rows.rows(), 0);
    while let Some(row) = rest.next().unwrap() {
        let (mut key, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        row.before.or(row.after).unwrap().read(&[0], &mut key).unwrap();
        let Value::Int(id) = key[0] else { panic!("{key:?}") };
        if let Some(image) = row.before {
            image.read(&[1, 2], &mut before).unwrap();
        }
        row.after.unwrap().read(&[1, 2], &mut after).unwrap();
        for (column, value) in after.iter().enumerate() {
            let text = match (value, before.get(column)) {
                (Value::Absent, _) => continue,
                (Value::Null, _) => None,
                (Value::Json(bytes), _) => Some(json::to_text(bytes).unwrap()),
                (Value::JsonDiff(bytes), before) => {
                    diffs += 1;
                    let Some(Value::Json(before)) = before else {
                        documents.remove(&(id, column));
                        continue;
                    };
                    Some(json::apply_diffs(before, bytes).unwrap())
                }
                other => panic!("{other:?}"),
            };
            documents.insert((id, column), text);
        }
    }
    diffs
}

/// The text of JSON columns, differences applied, is the server's own.
#[tokio::test]
async fn json_is_what_the_server_selects() {
    let parts = [workload::TABLES, workload::ROWS, workload::TRANSACTIONS];
    let server = server(MysqlOptions::default(), &parts).await;
    let mut conn = server.conn().await;
    conn.query_drop("SET sql_mode = ''").await.unwrap();
    for (i, value) in workload::JSON.iter().enumerate() {
        conn.query_drop(format!("INSERT INTO d.js VALUES ({}, {value}, NULL, 0)", 100 + i)).await.unwrap();
    }
    conn.query_drop(
        "INSERT INTO d.js WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
           SELECT 1000 + i, JSON_ARRAY(RAND(i) * POW(10, i % 40 - 20), SQRT(i) * POW(10, 306 - i % 600), i / 8e0),
             NULL, 0 FROM n",
    )
    .await
    .unwrap();
    server.flush_logs().await;

    let (mut documents, mut diffs) = (Documents::new(), 0);
    for path in server.binlogs().await {
        each_event(&path, |event| {
            if let Body::Rows(rows) = &event.body
                && rows.table.name.table == "js"
            {
                diffs += follow_documents(rows, &mut documents);
            }
        });
    }
    assert!(diffs >= 6, "{diffs} differences");
    let rows: Vec<(i64, Option<String>, Option<String>)> =
        conn.query("SELECT id, CAST(j AS CHAR), CAST(k AS CHAR) FROM d.js").await.unwrap();
    let mut compared = 0;
    for (id, j, k) in rows {
        for (column, expected) in [j, k].into_iter().enumerate() {
            if let Some(found) = documents.get(&(id, column)) {
                assert_eq!(*found, expected, "id {id} column {column}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1800, "{compared} documents");
}

#[tokio::test]
async fn metadata_says_names_keys_labels_collations() {
    let options = MysqlOptions { full_metadata: true, ..MysqlOptions::default() };
    let server = server(options, &[workload::TABLES, workload::ROWS]).await;
    server
        .run(&[
            "CREATE TABLE d.geo (id INT PRIMARY KEY, g GEOMETRY, p POINT, v VECTOR(3))",
            "INSERT INTO d.geo VALUES (1, ST_GeomFromText('LINESTRING(0 0,1 1)'), POINT(1,2), TO_VECTOR('[1,2,3.5]'))",
        ])
        .await;
    let mut tables = BTreeMap::new();
    let mut geometry = Vec::new();
    for path in server.binlogs().await {
        each_event(&path, |event| {
            if let Body::TableMap(table) = &event.body {
                tables.insert(table.name.table.clone(), std::sync::Arc::clone(table));
            }
            if let Body::Rows(rows) = &event.body
                && rows.table.name.table == "geo"
            {
                let mut values = Vec::new();
                rows.rows().next().unwrap().unwrap().after.unwrap().read(&[1, 2, 3], &mut values).unwrap();
                geometry = values
                    .into_iter()
                    .map(|v| if let Value::Bytes(b) = v { b.into_owned() } else { vec![] })
                    .collect();
            }
        });
    }
    let mut conn = server.conn().await;
    let expected: (Vec<u8>, Vec<u8>, Vec<u8>) =
        conn.query_first("SELECT g, p, v FROM d.geo").await.unwrap().unwrap();
    assert_eq!(geometry, vec![expected.0, expected.1, expected.2]);
    assert_eq!(tables["geo"].details[3].dimensions, Some(3));
    assert_eq!(
        (tables["geo"].details[1].geometry_type, tables["geo"].details[2].geometry_type),
        (Some(0), Some(1))
    );
    assert_eq!(tables["Mixed`Case"].columns[0].name, "Ké y");
    let prefixes = &tables["prefixes"];
    assert_eq!(
        (&prefixes.primary_key[..], &prefixes.primary_key_prefixes[..]),
        (&[1, 0, 2][..], &[0, 10, 5][..])
    );
    let sets = &tables["sets"];
    assert_eq!(sets.details[1].labels[2][..], *"ü".as_bytes());
    assert_eq!(sets.details[5].labels.len(), 64);
    assert_eq!(sets.columns[2].collation, Some(8)); // latin1_swedish_ci
    assert!(!tables["gen"].details.iter().all(|d| d.visible));
    let named: Vec<&str> = tables["gen"].columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(named, ["id", "a", "v", "st", "inv"]);
    let rows: Vec<(String, String, String, Option<u16>)> = conn
        .query(
            "SELECT table_name, column_name, column_type, (SELECT id FROM information_schema.collations x
               WHERE x.collation_name = c.collation_name) FROM information_schema.columns c
             WHERE table_schema = 'd' AND table_name NOT IN ('defaults') ORDER BY table_name, ordinal_position",
        )
        .await
        .unwrap();
    for (table, name, sql_type, collation) in rows {
        let map = &tables[&table];
        let column = map.columns.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{table}.{name}"));
        assert_eq!(column.unsigned, sql_type.contains("unsigned"), "{table}.{name} {sql_type}");
        if collation.is_some() {
            assert_eq!(column.collation, collation, "{table}.{name} {sql_type}");
        }
        let width = sql_type.split(['(', ')']).nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        let has_width =
            ["binary(", "bit(", "time(", "datetime(", "timestamp("].iter().any(|t| sql_type.starts_with(t));
        assert_eq!(column.width, if has_width { width } else { 0 }, "{table}.{name} {sql_type}");
    }
}

#[tokio::test]
async fn truncated_and_corrupt_files_end_at_the_offset() {
    let server = server(MysqlOptions::default(), &[workload::TABLES, workload::ROWS]).await;
    let path = server.binlogs().await.into_iter().find(|p| p.metadata().unwrap().len() > 10_000).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    each_event(&path, |event| {
        starts.push(event.position.start);
        ends.push((event.position.end, event.header.event_type));
    });
    assert_eq!(ends.last().unwrap().1, EventType::ROTATE);
    let read = |bytes: Vec<u8>| {
        let mut file = BinlogFile::from_reader("b.1", Box::new(std::io::Cursor::new(bytes)))?;
        let mut decoder = Decoder::new();
        let mut seen = 0;
        loop {
            match file.next_raw() {
                Ok(None) => return Ok((seen, None)),
                Err(e) => return Ok((seen, Some(e.to_string()))),
                Ok(Some(raw)) => decoder.push(raw),
            }
            loop {
                match decoder.next() {
                    Ok(Some(_)) => seen += 1,
                    Ok(None) => break,
                    Err(e) => {
                        return Ok::<_, binlog_operator::binlog::BinlogError>((seen, Some(e.to_string())));
                    }
                }
            }
        }
    };
    for (n, start) in starts.iter().enumerate().skip(1) {
        let cut = usize::try_from(*start).unwrap() + 7;
        let (seen, error) = read(bytes[..cut].to_vec()).unwrap();
        assert_eq!((seen, error.unwrap().contains(&start.to_string())), (n, true));
        let mut flipped = bytes.clone();
        flipped[cut + 14] ^= 1;
        let (seen, error) = read(flipped).unwrap();
        assert_eq!((seen, error.unwrap().contains(&format!(":{start}"))), (n, true));
    }
    assert_eq!(read(bytes[..usize::try_from(starts[3]).unwrap()].to_vec()).unwrap(), (3, None));
    assert!(read(b"\xfdbin0000".to_vec()).unwrap_err().to_string().contains("encrypted"));
    assert!(read(b"\xfeb".to_vec()).unwrap_err().to_string().contains("not a binlog"));
}
