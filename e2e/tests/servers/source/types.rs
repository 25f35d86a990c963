//! Types to JSON, keys of every kind.

use binlog_operator::model::{Key, KeyPart};
use binlog_operator::source::{KeyedQuery, RecordError, Visibility};
use e2e::shared;
use mysql_async::prelude::Queryable;
use serde_json::Value;

use super::{read, source};

const NOTHING: Visibility = Visibility::Nothing;

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one table of all types")]
async fn every_type_becomes_json_without_loss() {
    let server = shared::mysql().await;
    let db = shared::name("types");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!(
                "CREATE TABLE {db}.t (id INT PRIMARY KEY, big BIGINT UNSIGNED, small TINYINT, flag BOOLEAN, \
                 filled INT(6) ZEROFILL, price DECIMAL(30,10), dfill DECIMAL(10,2) ZEROFILL, f FLOAT, d DOUBLE, \
                 bits BIT(13), y YEAR, day DATE, at DATETIME(3), at0 DATETIME, ts TIMESTAMP(6) NULL, t0 TIME, t6 TIME(6), \
                 name VARCHAR(50), latin VARCHAR(50) CHARACTER SET latin1, body LONGTEXT, bin BINARY(4), \
                 vb VARBINARY(10), blb BLOB, e ENUM('a','ß'), s SET('x','y','z'), doc JSON, geo POINT, \
                 vec VECTOR(3), tz TIMESTAMP NULL, blank VARCHAR(5), `a\"b` INT)"
            ),
        ])
        .await;
    let mut conn = server.conn().await;
    conn.query_drop("SET time_zone = '+05:00', sql_mode = ''").await.unwrap();
    conn.query_drop(format!(
        "INSERT INTO {db}.t VALUES (1, 18446744073709551615, -128, TRUE, 42, -12345678901234567890.0123456789, 7.5, \
         0.1, 0.1e0 + 0.2e0, b'1000000000001', 2026, '2026-11-21', '2026-11-21 12:00:00.123', '2026-11-21 12:00:00', \
         '2026-11-21 12:00:00.000001', '-838:59:59', '01:02:03.000004', 'a\"\\\\\\n\\u{{1}}é😀', 'é€', 'x', x'AB00', \
         x'00FF', x'FFFE', 'ß', 'x,z', '{{\"n\": 12345678901234567890.5, \"s\": \"a\\\\nb\"}}', POINT(1, 2), \
         TO_VECTOR('[1.5,-0.1,3]'), '2026-11-21 12:00:00', '', 5)"
    ))
    .await
    .unwrap();
    conn.query_drop(format!(
        "INSERT INTO {db}.t (id, day, at, ts, y) VALUES (2, '0000-00-00', '2026-11-00', 0, 0)"
    ))
    .await
    .unwrap();
    let mut reader = source(server).reader().await.unwrap();
    let sql = format!(
        "SELECT t.*, id + 0.5 AS half, (SELECT JSON_ARRAYAGG(id) FROM {db}.t AS o WHERE o.id = t.id) AS ids, \
         GROUP_CONCAT(name) AS names, COUNT(*) AS n, MAX(at) AS last_at, CONCAT(name, '!') AS shout \
         FROM {db}.t AS t WHERE id IN (:ids) GROUP BY id"
    );
    let rows = read(&mut reader, &sql, &[Key::int(1), Key::int(2)], &NOTHING).await.unwrap();
    let find = |id: i64| &rows.iter().find(|(key, _)| *key == Key::int(id)).unwrap().1;
    let one: serde_json::Map<String, Value> = serde_json::from_str(find(1)).unwrap();
    let got: Vec<String> = one.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let want = [
        "id=1",
        "big=18446744073709551615",
        "small=-128",
        "flag=1",
        "filled=42",
        "price=-12345678901234567890.0123456789",
        "dfill=7.50",
        "f=0.1",
        "d=0.30000000000000004",
        "bits=4097",
        "y=2026",
        r#"day="2026-11-21""#,
        r#"at="2026-11-21T12:00:00.123""#,
        r#"at0="2026-11-21T12:00:00""#,
        r#"ts="2026-11-21T07:00:00.000001Z""#,
        r#"t0="-838:59:59""#,
        r#"t6="01:02:03.000004""#,
        r#"name="a\"\\\nu{1}é😀""#,
        r#"latin="é€""#,
        r#"body="x""#,
        r#"bin="qwAAAA==""#,
        r#"vb="AP8=""#,
        r#"blb="//4=""#,
        r#"e="ß""#,
        r#"s="x,z""#,
        r#"doc={"n":1.2345678901234567e+19,"s":"a\nb"}"#,
        r#"geo={"coordinates":[1,2],"type":"Point"}"#,
        "vec=[1.5,-0.1,3.0]",
        r#"tz="2026-11-21T07:00:00Z""#,
        r#"blank="""#,
        "a\"b=5",
        "half=1.5",
        "ids=[1]",
        r#"names="a\"\\\nu{1}é😀""#,
        "n=1",
        r#"last_at="2026-11-21T12:00:00.123""#,
        r#"shout="a\"\\\nu{1}é😀!""#,
    ];
    for want in want {
        let name = want.split('=').next().unwrap();
        let row = got.iter().find(|row| row.starts_with(&format!("{name}=")));
        assert!(row.is_some_and(|row| row == want), "want {want}, got {row:?}");
    }
    assert_eq!(got.len(), want.len());
    let two: serde_json::Map<String, Value> = serde_json::from_str(find(2)).unwrap();
    for name in ["day", "at", "ts", "name", "price", "doc", "bits", "vec"] {
        assert_eq!(two[name], Value::Null, "{name}");
    }
    assert_eq!(two["y"].to_string(), "0");
}

#[tokio::test]
async fn keys_of_every_kind_find_their_rows() {
    let server = shared::mysql().await;
    let db = shared::name("keys");
    server.run(&[format!("CREATE DATABASE {db}")]).await;
    let text = |t: &str| KeyPart::Text(t.into());
    let bytes = |b: &[u8]| KeyPart::Binary(b.into());
    let table = [
        ("INT UNSIGNED", "4294967295", KeyPart::Int(4_294_967_295)),
        ("BIGINT UNSIGNED", "18446744073709551615", KeyPart::UInt(u64::MAX)),
        ("BIGINT", "-5", KeyPart::Int(-5)),
        ("VARCHAR(20)", "'ABC'", text("ABC")),
        ("VARCHAR(20) CHARACTER SET latin1", "'é'", text("é")),
        ("CHAR(4) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'a😀'", text("a😀")),
        (
            "BINARY(16)",
            "x'FF80000102030405060708090a0b0c00'",
            bytes(&[0xFF, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0]),
        ),
        ("VARBINARY(8)", "x'C328FF'", bytes(&[0xC3, 0x28, 0xFF])),
        ("DATE", "'2026-11-21'", text("2026-11-21")),
        ("DATETIME(2)", "'2026-11-21 01:02:03.04'", text("2026-11-21 01:02:03.04")),
        ("TIMESTAMP", "'2026-11-21 01:02:03+00:00'", text("2026-11-21 01:02:03")),
        ("TIME", "'-10:00:01'", text("-10:00:01")),
        ("DECIMAL(30,2)", "12345678901234567890123456.78", text("12345678901234567890123456.78")),
        ("YEAR", "2026", KeyPart::Int(2026)),
        ("BIT(40)", "b'1111111111111111111111111111111111111111'", KeyPart::Int((1 << 40) - 1)),
        ("ENUM('a','b')", "'b'", text("b")),
    ];
    let mut reader = source(server).reader().await.unwrap();
    for (at, (kind, literal, part)) in table.into_iter().enumerate() {
        server
            .run(&[
                format!("CREATE TABLE {db}.t{at} (k {kind} PRIMARY KEY, v INT)"),
                format!("INSERT INTO {db}.t{at} VALUES ({literal}, 7)"),
            ])
            .await;
        let key = Key::new([part]);
        let sql = format!("SELECT k, v FROM {db}.t{at} WHERE k IN (:ids)");
        let rows = read(&mut reader, &sql, &[key.clone(), key.clone(), key.clone()], &NOTHING).await.unwrap();
        assert_eq!(rows.iter().map(|row| &row.0).collect::<Vec<_>>(), [&key], "{kind}");
        let found =
            reader.keys(&format!("SELECT k FROM {db}.t{at} WHERE k >= ?"), key.parts(), &NOTHING).await;
        assert_eq!(found.unwrap(), [key], "{kind}");
    }
    // 'ABC' = 'abc' where the collation says so; the key comes back as the row spells it
    let sql = format!("SELECT k, v FROM {db}.t3 WHERE k IN (:ids)");
    let rows = read(&mut reader, &sql, &[Key::new([text("abc")])], &NOTHING).await.unwrap();
    assert_eq!(rows[0].0, Key::new([text("ABC")]));
}

#[tokio::test]
async fn composite_keys_in_any_place_of_the_result() {
    let server = shared::mysql().await;
    let db = shared::name("composite");
    server
        .run(&[
            format!("CREATE DATABASE {db}"),
            format!("CREATE TABLE {db}.t (a INT, b VARCHAR(9), v BLOB, PRIMARY KEY (a, b))"),
            format!("INSERT INTO {db}.t VALUES (1, 'x', 'good'), (1, 'y', x'61FF'), (2, 'x', 'other')"),
        ])
        .await;
    let mut reader = source(server).reader().await.unwrap();
    let key = |a: i64, b: &str| Key::new([KeyPart::Int(a), KeyPart::Text(b.into())]);
    // both branches have their own placeholders
    let sql_for = |n: usize| {
        let pairs = vec!["(?, ?)"; n].join(",");
        format!(
            "SELECT v, a, b FROM {db}.t WHERE (a, b) IN ({pairs}) AND a = 1 \
             UNION ALL SELECT v, a, b FROM {db}.t WHERE (a, b) IN ({pairs}) AND a = 2"
        )
    };
    let query = KeyedQuery { name: "pairs", sql_for: &sql_for, key_output: &[1, 2] };
    let mut rows = Vec::new();
    let mut sink = |key: Key, json: Result<&[u8], RecordError>| rows.push((key, json.map(<[u8]>::to_vec)));
    let keys = [key(1, "x"), key(2, "x"), key(9, "x")];
    let stats = reader.read(&query, &keys, &NOTHING, &mut sink).await.unwrap();
    assert_eq!(stats.rows, 2);
    assert_eq!(stats.bytes as usize, rows.iter().map(|row| row.1.as_ref().unwrap().len()).sum::<usize>());
    assert_eq!((&rows[0].0, &rows[1].0), (&keys[0], &keys[1]));
    assert_eq!(rows[0].1.as_deref().unwrap(), br#"{"v":"Z29vZA==","a":1,"b":"x"}"#);
    let after = "SELECT a, b FROM {db}.t WHERE (a, b) > (?, ?) ORDER BY a, b LIMIT 1000".replace("{db}", &db);
    let walked = reader.keys(&after, key(1, "x").parts(), &NOTHING).await.unwrap();
    assert_eq!(walked, [key(1, "y"), key(2, "x")]);
}
