//! Keys of many types, on servers whose table maps say little (MINIMAL) and all (FULL).

use super::rig::{Plan, Rig, full_metadata, statements};
use e2e::{Kind, MysqlServer, TaskFile, shared};
use serde_json::{Value, json};

/// A main table and a child table that share a key column `k`.
struct Case {
    name: &'static str,
    /// The type of `k`.
    column: &'static str,
    /// Three keys that are there at the start, then two new ones: SQL literals.
    keys: [&'static str; 5],
    /// The `_id` as SQL, of `m.k`.
    id: &'static str,
    /// The key as the document shows it, as SQL.
    shown: &'static str,
    kind: Kind,
}

const UNSIGNED: Case = Case {
    name: "unsigned",
    column: "INT UNSIGNED",
    keys: ["1", "2147483648", "4294967295", "3000000000", "2147483649"],
    id: "CAST(m.k AS CHAR)",
    shown: "m.k",
    kind: Kind::Number,
};

const HUGE: Case = Case {
    name: "huge",
    column: "BIGINT UNSIGNED",
    keys: ["9223372036854775807", "9223372036854775808", "18446744073709551615", "9223372036854775809", "7"],
    id: "CAST(m.k AS CHAR)",
    shown: "m.k",
    kind: Kind::Number,
};

const NEGATIVE: Case = Case {
    name: "mediumint",
    column: "MEDIUMINT",
    keys: ["-8388608", "-1", "8388607", "-2", "0"],
    id: "CAST(m.k AS CHAR)",
    shown: "m.k",
    kind: Kind::Number,
};

const BINARY: Case = Case {
    name: "binary",
    column: "BINARY(16)",
    keys: [
        "X'0102030405060708090a0b0c0d0e0f00'",
        "X'ff020304050607080900000000000000'",
        "X'00000000000000000000000000000000'",
        "X'20202020202020202020202020200000'",
        "X'01020304050607080900000000000020'",
    ],
    id: "LOWER(HEX(m.k))",
    shown: "TO_BASE64(m.k)",
    kind: Kind::Text,
};

const VARBINARY: Case = Case {
    name: "varbinary",
    column: "VARBINARY(40)",
    keys: ["X'0100'", "X'01'", "X'ff'", "X'010000'", "X'20'"],
    id: "LOWER(HEX(m.k))",
    shown: "TO_BASE64(m.k)",
    kind: Kind::Text,
};

const DECIMAL: Case = Case {
    name: "decimals",
    column: "DECIMAL(20,3)",
    keys: ["-1.5", "12345678901234567.125", "0.001", "0", "-12345678901234567.125"],
    id: "CAST(m.k AS CHAR)",
    shown: "m.k",
    kind: Kind::Number,
};

const MOMENT: Case = Case {
    name: "moments",
    column: "DATETIME(3)",
    keys: [
        "'2026-01-02 03:04:05.678'",
        "'1000-01-01 00:00:00'",
        "'9999-12-31 23:59:59.999'",
        "'2026-01-02 03:04:05.670'",
        "'2026-02-28 00:00:00.001'",
    ],
    id: "CAST(m.k AS CHAR)",
    shown: "m.k",
    kind: Kind::DateTime,
};

const BYTEWISE: Case = Case {
    name: "bytewise",
    column: "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    keys: ["'ABC'", "'abc'", "'a|b\\\\c'", "'é'", "'/ %?#\"😀'"],
    id: "m.k",
    shown: "m.k",
    kind: Kind::Text,
};

const CHAR_LATIN: Case = Case {
    name: "latin",
    column: "CHAR(10) CHARACTER SET latin1 COLLATE latin1_german2_ci",
    keys: ["'Ä'", "'x'", "'Straße'", "'y z'", "'€'"],
    id: "m.k",
    shown: "m.k",
    kind: Kind::Text,
};

const JOINED: &str = "m.note, (SELECT JSON_ARRAYAGG(c.qty) FROM {db}.child c WHERE c.k = m.k) AS qtys \
                      FROM {db}.main m";

async fn keys(mysql: &MysqlServer, case: &Case) {
    let [a, b, c, d, e] = case.keys;
    let mut plan = Plan::on(mysql, case.name);
    plan.setup = vec![
        format!("CREATE TABLE {{db}}.main (k {} PRIMARY KEY, note VARCHAR(50))", case.column),
        format!(
            "CREATE TABLE {{db}}.child (id BIGINT AUTO_INCREMENT PRIMARY KEY, qty INT, k {}, KEY (k))",
            case.column
        ),
        format!("INSERT INTO {{db}}.main VALUES ({a}, 'a'), ({b}, 'b'), ({c}, 'c')"),
        format!("INSERT INTO {{db}}.child (qty, k) VALUES (1, {a}), (2, {a}), (3, {b}), (4, {c}), (5, NULL)"),
    ];
    plan.sql = format!("SELECT m.k AS id, {JOINED} WHERE m.k IN (:ids)");
    plan.check = format!("SELECT {}, {} AS id, {JOINED}", case.id, case.shown);
    plan.kinds = vec![case.kind, Kind::Text, Kind::Json];
    let mut rig = Rig::start(plan).await;
    rig.run(&[
        format!("UPDATE {{db}}.main SET note = 'seen' WHERE k IN ({a}, {c})"),
        format!("INSERT INTO {{db}}.main VALUES ({d}, 'd')"),
        format!("INSERT INTO {{db}}.child (qty, k) VALUES (6, {b}), (7, {d})"),
        format!("UPDATE {{db}}.child SET k = {c} WHERE qty = 2"),
    ])
    .await;
    assert_eq!(rig.equal("inserts and updates").await, 4, "{}", case.name);
    rig.stop().await;
    rig.run(&[
        format!("UPDATE {{db}}.main SET k = {e} WHERE k = {c}"),
        format!("UPDATE {{db}}.child SET k = {e} WHERE k = {c}"),
        format!("DELETE FROM {{db}}.child WHERE k = {a}"),
        format!("DELETE FROM {{db}}.main WHERE k = {b}"),
    ])
    .await;
    rig.operator.boot();
    assert_eq!(rig.equal("a key that changed, and deletes").await, 3, "{}", case.name);
    rig.no_gap().await;
}

#[tokio::test]
async fn integers_beyond_the_signed_range() {
    keys(shared::mysql().await, &UNSIGNED).await;
    keys(full_metadata().await, &UNSIGNED).await;
    keys(shared::mysql().await, &NEGATIVE).await;
}

#[tokio::test]
async fn bigint_unsigned_beyond_2_63() {
    keys(shared::mysql().await, &HUGE).await;
    keys(full_metadata().await, &HUGE).await;
}

#[tokio::test]
async fn binary_keys_that_end_in_zero_bytes() {
    keys(shared::mysql().await, &BINARY).await;
    keys(full_metadata().await, &BINARY).await;
    keys(shared::mysql().await, &VARBINARY).await;
}

#[tokio::test]
async fn text_keys_compared_byte_by_byte_and_in_latin1() {
    keys(shared::mysql().await, &BYTEWISE).await;
    keys(full_metadata().await, &CHAR_LATIN).await;
    keys(shared::mysql().await, &CHAR_LATIN).await;
}

#[tokio::test]
async fn decimals_and_moments_as_keys() {
    keys(shared::mysql().await, &DECIMAL).await;
    keys(full_metadata().await, &MOMENT).await;
    keys(shared::mysql().await, &MOMENT).await;
}

/// 'ABC' = 'abc': children spell the key as they like, and an UPDATE may change its spelling only.
async fn case_insensitive(mysql: &MysqlServer, prefix: &'static str, collation: &str) {
    let column = format!("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {collation}");
    let mut plan = Plan::on(mysql, prefix);
    plan.setup = vec![
        format!("CREATE TABLE {{db}}.main (k {column} PRIMARY KEY, note VARCHAR(50))"),
        format!(
            "CREATE TABLE {{db}}.child (id BIGINT AUTO_INCREMENT PRIMARY KEY, qty INT, k {column}, KEY (k))"
        ),
    ];
    plan.setup.extend(statements(&[
        "INSERT INTO {db}.main VALUES ('ABC', 'a'), ('Tür', 'b'), ('x', 'c'), ('Zz', 'd')",
        "INSERT INTO {db}.child (qty, k) VALUES (1, 'abc'), (2, 'Abc'), (3, 'TÜR'), (4, 'X'), (5, 'none')",
    ]));
    plan.sql = format!("SELECT m.k AS id, {JOINED} WHERE m.k IN (:ids)");
    plan.check = format!("SELECT m.k, m.k AS id, {JOINED}");
    plan.kinds = vec![Kind::Text, Kind::Text, Kind::Json];
    let rig = Rig::start(plan).await;
    rig.run(&[
        "INSERT INTO {db}.child (qty, k) VALUES (6, 'aBC'), (7, 'tür')",
        "UPDATE {db}.child SET qty = 40 WHERE k = 'x'",
        "DELETE FROM {db}.child WHERE qty = 2",
    ])
    .await;
    assert_eq!(rig.equal("children in other spellings").await, 4);
    rig.run(&["UPDATE {db}.main SET k = 'abc' WHERE k = 'ABC'"]).await;
    rig.equal("a key spelled otherwise").await;
    rig.run(&[
        "UPDATE {db}.main SET k = 'aBc' WHERE k = 'ABC'",
        "INSERT INTO {db}.child (qty, k) VALUES (8, 'ABC')",
        "UPDATE {db}.child SET k = 'zZ' WHERE k = 'X'",
        "DELETE FROM {db}.main WHERE k = 'X'",
        "INSERT INTO {db}.main VALUES ('X', 'again')",
    ])
    .await;
    assert_eq!(rig.equal("spelled otherwise twice, and deleted and made again").await, 4);
    rig.no_gap().await;
}

#[tokio::test]
async fn keys_of_a_case_insensitive_collation() {
    case_insensitive(shared::mysql().await, "nocase", "utf8mb4_0900_ai_ci").await;
    case_insensitive(full_metadata().await, "nocasefull", "utf8mb4_general_ci").await;
}

/// Trailing blanks do not count under collations that pad.
#[tokio::test]
async fn children_with_trailing_blanks() {
    let mut plan = Plan::on(shared::mysql().await, "padded");
    let column = "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
    plan.setup = vec![
        format!("CREATE TABLE {{db}}.main (k {column} PRIMARY KEY, note VARCHAR(50))"),
        format!(
            "CREATE TABLE {{db}}.child (id BIGINT AUTO_INCREMENT PRIMARY KEY, qty INT, k {column}, KEY (k))"
        ),
        "INSERT INTO {db}.main VALUES ('abc', 'a'), ('b  ', 'b')".to_owned(),
    ];
    plan.sql = format!("SELECT m.k AS id, {JOINED} WHERE m.k IN (:ids)");
    plan.check = format!("SELECT m.k, m.k AS id, {JOINED}");
    plan.kinds = vec![Kind::Text, Kind::Text, Kind::Json];
    let rig = Rig::start(plan).await;
    rig.run(&["INSERT INTO {db}.child (qty, k) VALUES (1, 'ABC  '), (2, 'B')"]).await;
    rig.equal("children with other blanks").await;
    rig.run(&["UPDATE {db}.main SET k = 'b' WHERE k = 'b'", "UPDATE {db}.main SET note = 'x'"]).await;
    rig.equal("a key without its blanks").await;
    rig.no_gap().await;
}

fn composite(file: TaskFile, _: &str) -> TaskFile {
    file.set("query.key", Value::Null).set("query.keys", json!(["a", "b"]))
}

#[tokio::test]
async fn composite_keys() {
    for mysql in [shared::mysql().await, full_metadata().await] {
        let mut plan = Plan::on(mysql, "composite");
        plan.setup = statements(&[
            "CREATE TABLE {db}.main (note VARCHAR(50), a INT UNSIGNED, b VARCHAR(20), PRIMARY KEY (b, a))",
            "CREATE TABLE {db}.child (id BIGINT AUTO_INCREMENT PRIMARY KEY, qty INT, b VARCHAR(20), a INT UNSIGNED, KEY (a, b))",
            "INSERT INTO {db}.main VALUES ('a', 1, 'x'), ('b', 1, 'a|b\\\\c'), ('c', 4294967295, ''), ('d', 2, 'Y')",
            "INSERT INTO {db}.child (qty, a, b) VALUES (1, 1, 'X'), (2, 1, 'a|b\\\\c'), (3, 2, 'y'), (4, NULL, 'x')",
        ]);
        let joined = "m.a, m.b, m.note, (SELECT JSON_ARRAYAGG(c.qty) FROM {db}.child c \
                      WHERE c.a = m.a AND c.b = m.b) AS qtys FROM {db}.main m";
        let id = r"CONCAT(m.a, '|', REPLACE(REPLACE(m.b, '\\', '\\\\'), '|', '\\|'))";
        plan.sql = format!("SELECT {joined} WHERE (m.a, m.b) IN (:ids)");
        plan.check = format!("SELECT {id}, {joined}");
        plan.kinds = vec![Kind::Number, Kind::Text, Kind::Text, Kind::Json];
        plan.edit = composite;
        let mut rig = Rig::start(plan).await;
        rig.run(&[
            "INSERT INTO {db}.child (qty, a, b) VALUES (5, 4294967295, ''), (6, 2, 'Y')",
            "UPDATE {db}.main SET note = 'seen' WHERE a = 1",
            "UPDATE {db}.child SET b = 'x' WHERE qty = 2",
            "INSERT INTO {db}.main VALUES ('e', 3, 'x')",
        ])
        .await;
        assert_eq!(rig.equal("inserts and updates").await, 5);
        rig.operator.kill9();
        rig.run(&[
            "UPDATE {db}.main SET b = 'y' WHERE a = 2",
            "UPDATE {db}.main SET a = 9 WHERE a = 3",
            "DELETE FROM {db}.main WHERE a = 4294967295",
            "UPDATE {db}.child SET a = 9 WHERE a = 1",
        ])
        .await;
        rig.operator.boot();
        assert_eq!(rig.equal("keys that changed, and a delete").await, 4);
        rig.no_gap().await;
    }
}
