//! Every type as JSON, token by token, through the full build and through the stream.

use super::rig::{PATIENCE, Plan, Rig, full_metadata};
use e2e::{Kind, MysqlServer, shared};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Column name and type, a value as SQL, the JSON token that it must become.
const VALUES: &[(&str, &str, &str, &str)] = &[
    ("c_tiny", "TINYINT", "-128", "-128"),
    ("c_bool", "BOOLEAN", "TRUE", "1"),
    ("c_utiny", "TINYINT UNSIGNED", "255", "255"),
    ("c_small", "SMALLINT", "-32768", "-32768"),
    ("c_umedium", "MEDIUMINT UNSIGNED", "16777215", "16777215"),
    ("c_int", "INT", "-2147483648", "-2147483648"),
    ("c_zerofill", "INT(8) ZEROFILL", "42", "42"),
    ("c_big", "BIGINT", "9007199254740993", "9007199254740993"),
    ("c_bigmin", "BIGINT", "-9223372036854775808", "-9223372036854775808"),
    ("c_ubig", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    (
        "c_decimal",
        "DECIMAL(40,10)",
        "123456789012345678901234567890.0123456789",
        "123456789012345678901234567890.0123456789",
    ),
    ("c_money", "DECIMAL(12,2)", "-0.5", "-0.50"),
    ("c_whole", "DECIMAL(20,0)", "98765432109876543210", "98765432109876543210"),
    ("c_zerodec", "DECIMAL(10,2) UNSIGNED ZEROFILL", "3.1", "3.10"),
    ("c_float", "FLOAT", "0.1", "0.1"),
    ("c_double", "DOUBLE", "0.30000000000000004", "0.30000000000000004"),
    ("c_tinydouble", "DOUBLE", "5e-324", "5e-324"),
    ("c_date", "DATE", "'2026-02-28'", "\"2026-02-28\""),
    ("c_zerodate", "DATE", "'0000-00-00'", "null"),
    ("c_partdate", "DATE", "'2026-00-10'", "null"),
    ("c_datetime", "DATETIME", "'2026-02-28 23:59:59'", "\"2026-02-28T23:59:59\""),
    ("c_datetime3", "DATETIME(3)", "'2026-02-28 23:59:59.07'", "\"2026-02-28T23:59:59.070\""),
    ("c_datetime6", "DATETIME(6)", "'1000-01-01 00:00:00.000001'", "\"1000-01-01T00:00:00.000001\""),
    ("c_zerodatetime", "DATETIME(2)", "'0000-00-00 00:00:00'", "null"),
    ("c_timestamp", "TIMESTAMP NULL", "'2026-07-01 12:00:00'", "\"2026-07-01T07:00:00Z\""),
    ("c_timestamp4", "TIMESTAMP(4) NULL", "'2026-07-01 02:00:00.1234'", "\"2026-06-30T21:00:00.1234Z\""),
    ("c_zerostamp", "TIMESTAMP NULL", "0", "null"),
    ("c_time", "TIME", "'-838:59:59'", "\"-838:59:59\""),
    ("c_time2", "TIME(2)", "'01:02:03.4'", "\"01:02:03.40\""),
    ("c_year", "YEAR", "2155", "2155"),
    ("c_bit1", "BIT(1)", "b'1'", "1"),
    ("c_bit64", "BIT(64)", "0xFFFFFFFFFFFFFFFF", "18446744073709551615"),
    ("c_enum", "ENUM('new', 'pa\"id')", "'pa\"id'", "\"pa\\\"id\""),
    ("c_set", "SET('x', 'y', 'z')", "'x,z'", "\"x,z\""),
    ("c_emptyset", "SET('x', 'y')", "''", "\"\""),
    ("c_char", "CHAR(5)", "'ab '", "\"ab\""),
    ("c_varchar", "VARCHAR(50)", "'😀 \\\\ \\t\\n\\r \\0 ü'", "\"😀 \\\\ \\t\\n\\r \\u0000 ü\""),
    ("c_latin1", "VARCHAR(50) CHARACTER SET latin1", "'é€'", "\"é€\""),
    ("c_utf16", "VARCHAR(50) CHARACTER SET utf16", "'é😀'", "\"é😀\""),
    ("c_gbk", "VARCHAR(50) CHARACTER SET gbk", "'中文'", "\"中文\""),
    ("c_sjis", "TEXT CHARACTER SET sjis", "'日本'", "\"日本\""),
    ("c_text", "LONGTEXT", "REPEAT('ab', 3)", "\"ababab\""),
    ("c_binary", "BINARY(4)", "X'01'", "\"AQAAAA==\""),
    ("c_varbinary", "VARBINARY(10)", "X'00ff'", "\"AP8=\""),
    ("c_blob", "BLOB", "X'fffe'", "\"//4=\""),
    ("c_emptyblob", "BLOB", "''", "\"\""),
    (
        "c_json",
        "JSON",
        "'{\"b\": [1, 2.50, \"x\\\\ny\"], \"a\": null}'",
        "{\"a\": null, \"b\": [1, 2.5, \"x\\ny\"]}",
    ),
    (
        "c_bigjson",
        "JSON",
        "'[9007199254740993, 18446744073709551615]'",
        "[9007199254740993, 18446744073709551615]",
    ),
    ("c_jsonnull", "JSON", "'null'", "null"),
    ("c_jsontext", "JSON", "'\"é\"'", "\"é\""),
    ("c_vector", "VECTOR(3)", "TO_VECTOR('[1.5,-0.1,0]')", "[1.5,-0.1,0.0]"),
    ("c_jsondate", "JSON", "CAST(TIMESTAMP'2026-01-02 03:04:05' AS JSON)", "\"2026-01-02 03:04:05.000000\""),
    ("c_jsontime", "JSON", "CAST(CAST('-10:11:12.5' AS TIME(1)) AS JSON)", "\"-10:11:12.500000\""),
    (
        "c_jsondecimal",
        "JSON",
        "CAST(CAST('12345678901234567890.50' AS DECIMAL(30,2)) AS JSON)",
        "12345678901234567890.50",
    ),
    ("c_jsonopaque", "JSON", "CAST(X'00ff' AS JSON)", "\"base64:type15:AP8=\""),
    ("c_jsontrue", "JSON", "'true'", "true"),
    ("c_time6", "TIME(6)", "'-00:00:00.000001'", "\"-00:00:00.000001\""),
    ("c_minyear", "YEAR", "1901", "1901"),
    ("c_latin2", "VARCHAR(9) CHARACTER SET latin2", "'ł'", "\"ł\""),
    ("c_utf32", "VARCHAR(9) CHARACTER SET utf32", "'😀'", "\"😀\""),
    ("c_ucs2", "VARCHAR(9) CHARACTER SET ucs2", "'中'", "\"中\""),
    ("c_invalid", "VARCHAR(9) CHARACTER SET gbk", "CONVERT(X'61FF' USING gbk)", "\"a\""),
    ("c_point", "POINT", "ST_GeomFromText('POINT(1 2)')", "{\"type\":\"Point\",\"coordinates\":[1,2]}"),
    (
        "c_geographic",
        "POINT SRID 4326",
        "ST_GeomFromText('POINT(52.5 13.4)', 4326)",
        "{\"type\":\"Point\",\"coordinates\":[13.4,52.5]}",
    ),
    (
        "c_line",
        "GEOMETRY",
        "ST_GeomFromText('LINESTRING(0 0,1.5 -2)')",
        "{\"type\":\"LineString\",\"coordinates\":[[0,0],[1.5,-2]]}",
    ),
    (
        "c_polygon",
        "POLYGON",
        "ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 0),(4 1,5 1,5 2,4 1))')",
        "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[9,0],[9,9],[0,0]],[[4,1],[5,1],[5,2],[4,1]]]}",
    ),
    (
        "c_collection",
        "GEOMETRYCOLLECTION",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),MULTIPOINT(2 2,3 3))')",
        "{\"type\":\"GeometryCollection\",\"geometries\":[{\"type\":\"Point\",\"coordinates\":[1,1]},{\"type\":\"MultiPoint\",\"coordinates\":[[2,2],[3,3]]}]}",
    ),
];

/// What expressions give, beside columns.
const EXPRESSIONS: &[(&str, &str, &str)] = &[
    ("e_sum", "t.c_big + 1", "9007199254740994"),
    ("e_avg", "(SELECT AVG(s.c_money) FROM {db}.types s WHERE s.id = t.id)", "-0.500000"),
    ("e_text", "CONCAT(t.c_char, t.c_latin1)", "\"abé€\""),
    ("e_flag", "t.c_tiny < 0", "1"),
    (
        "e_object",
        "JSON_OBJECT('big', t.c_ubig, 'at', t.c_date)",
        "{\"at\": \"2026-02-28\", \"big\": 18446744073709551615}",
    ),
    ("e_none", "NULL", "null"),
];

fn insert(id: u32) -> String {
    let values: Vec<&str> = VALUES.iter().map(|(_, _, value, _)| *value).collect();
    format!("INSERT INTO {{db}}.types VALUES ({id}, {})", values.join(", "))
}

/// Statements in a zone that differs from UTC, where zero dates may be written.
fn session<const N: usize>(statements: [String; N]) -> Vec<String> {
    let settings = ["SET time_zone = '+05:00'", "SET sql_mode = ''", "SET NAMES utf8mb4"];
    settings.iter().map(|&set| set.to_owned()).chain(statements).collect()
}

fn plan(mysql: &MysqlServer, name: &'static str) -> Plan {
    let mut table = "CREATE TABLE {db}.types (id INT PRIMARY KEY".to_owned();
    let mut columns = String::new();
    for (name, column, ..) in VALUES {
        let _ = write!(table, ", {name} {column}");
        let _ = write!(columns, ", t.{name}");
    }
    for (name, expression, _) in EXPRESSIONS {
        let _ = write!(columns, ", {expression} AS {name}");
    }
    Plan {
        setup: session([table + ") CHARACTER SET utf8mb4", insert(3)]),
        sql: format!("SELECT t.id{columns} FROM {{db}}.types t WHERE t.id IN (:ids)"),
        // this test compares the tokens itself
        check: "SELECT CAST(id AS CHAR), id FROM {db}.types".to_owned(),
        kinds: vec![Kind::Number],
        ..Plan::on(mysql, name)
    }
}

type Tokens = BTreeMap<String, Box<RawValue>>;

fn differences(source: &str, nulls: bool) -> Vec<String> {
    let tokens: Tokens = serde_json::from_str(source).unwrap();
    let columns = VALUES.iter().map(|(name, _, _, token)| (*name, if nulls { "null" } else { *token }));
    let expressions = EXPRESSIONS.iter().map(|(name, _, token)| (*name, *token));
    let all = columns.chain(expressions.filter(|(name, _)| !nulls || *name == "e_none"));
    let found = |name: &str| tokens.get(name).map_or("missing", |token| token.get());
    all.filter(|(name, token)| found(name) != *token)
        .map(|(name, token)| format!("{name}: expected {token}, found {}", found(name)))
        .collect()
}

async fn types(mysql: &MysqlServer, name: &'static str) {
    let rig = Rig::launch(plan(mysql, name)).await;
    let document = async |id: &str, nulls: bool| {
        let what = format!("document {id}");
        rig.operator
            .wait_until(&what, PATIENCE, async || {
                let doc = rig.search.doc(&rig.index, id).await.ok_or("none yet")?;
                let different = differences(&doc.source, nulls);
                if different.is_empty() { Ok(()) } else { Err(different.join("\n  ")) }
            })
            .await;
    };
    document("3", false).await;
    rig.run(&session([insert(1)])).await;
    document("1", false).await;
    let columns: Vec<String> = VALUES.iter().map(|(name, ..)| format!("{name} = NULL")).collect();
    rig.run(&session([format!("UPDATE {{db}}.types SET {} WHERE id = 1", columns.join(", "))])).await;
    document("1", true).await;
    rig.run(&session([insert(2)])).await;
    document("2", false).await;
    rig.no_gap().await;
    assert_eq!(rig.metric_now("dead_letters").await, 0);
}

#[tokio::test]
async fn every_type_through_build_and_stream() {
    types(shared::mysql().await, "types").await;
    types(full_metadata().await, "typesfull").await;
}
