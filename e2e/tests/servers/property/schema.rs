//! Random tables whose columns tempt the derivation: keys of every kind, collations, text that looks like numbers.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// One kind of main key, with literals of all keys that are ever used.
#[derive(Debug)]
pub struct KeyKind {
    pub sql: &'static str,
    pub literals: &'static [&'static str],
    /// Types of columns that are joined with it.
    pub joined: &'static [&'static str],
}

const KEYS: &[KeyKind] = &[
    KeyKind {
        sql: "INT",
        literals: &["1", "2", "3", "4", "5", "-6", "70", "2147483647"],
        joined: &["INT", "INT", "INT", "BIGINT", "BIGINT", "SMALLINT UNSIGNED", "INT", "VARCHAR(12)"],
    },
    KeyKind {
        sql: "BIGINT UNSIGNED",
        literals: &["0", "1", "2", "3", "9223372036854775808", "18446744073709551615"],
        joined: &["BIGINT UNSIGNED", "INT", "BIGINT"],
    },
    KeyKind {
        sql: "VARCHAR(12) COLLATE utf8mb4_0900_ai_ci",
        literals: &["'a'", "'A'", "'b'", "'ä'", "'B'", "'c d'", "'C'", "''"],
        joined: &[
            "VARCHAR(12) COLLATE utf8mb4_0900_ai_ci",
            "VARCHAR(12) COLLATE utf8mb4_0900_ai_ci",
            "VARCHAR(12) COLLATE utf8mb4_bin",
            "VARCHAR(12) CHARACTER SET latin1",
        ],
    },
    KeyKind {
        sql: "VARCHAR(12) COLLATE utf8mb4_bin",
        literals: &["'a'", "'A'", "'b'", "'b '", "'ä'", "'1'", "'01'"],
        joined: &[
            "VARCHAR(12) COLLATE utf8mb4_bin",
            "VARCHAR(12) COLLATE utf8mb4_bin",
            "VARCHAR(12) COLLATE utf8mb4_bin",
            "VARCHAR(12) COLLATE utf8mb4_0900_ai_ci",
            "VARCHAR(12) COLLATE utf8mb4_0900_ai_ci",
            "INT",
        ],
    },
    KeyKind {
        sql: "VARCHAR(12) COLLATE utf8mb4_0900_bin",
        literals: &["'a'", "'A'", "'a '", "'b'", "'ß'", "'ss'"],
        joined: &["VARCHAR(12) COLLATE utf8mb4_0900_bin", "CHAR(12) COLLATE utf8mb4_0900_bin"],
    },
    KeyKind {
        sql: "BINARY(4)",
        literals: &["x'01000000'", "x'61620000'", "x'00000000'", "x'61626364'", "x'ff00ff00'"],
        joined: &["BINARY(4)", "VARBINARY(8)"],
    },
    KeyKind {
        sql: "DECIMAL(8,2)",
        literals: &["1.00", "1.50", "-2.25", "100000.01", "0.00"],
        joined: &["DECIMAL(8,2)", "DECIMAL(8,2)", "DECIMAL(8,2)", "DECIMAL(8,2)", "DECIMAL(10,3)", "INT"],
    },
];

const TEXTS: &[&str] = &["NULL", "'a'", "'A'", "'b'", "'B'", "'ä'", "'b '", "'1'"];
const NUMERALS: &[&str] = &["NULL", "'1'", "'01'", "'2'", "'x'", "'1.0'", "' 3'"];
const MOMENTS: &[&str] = &["NULL", "'2020-01-01 00:00:00'", "'2020-06-01 12:00:00'", "'2021-03-28 01:30:00'"];
const COLLATIONS: &[&str] =
    &["utf8mb4_0900_ai_ci", "utf8mb4_0900_ai_ci", "utf8mb4_bin", "utf8mb4_0900_bin", "latin1_swedish_ci"];

/// Columns that every table has besides its key.
pub const COLUMNS: &[&str] = &["a", "b", "s", "u", "d", "ts", "v"];

/// The tables of one database: `m`, and `t1` to `t3` with a column `m_id`.
#[derive(Debug)]
pub struct Schema {
    pub db: String,
    pub key: &'static KeyKind,
}

impl Schema {
    pub fn random(db: String, rng: &mut StdRng) -> Self {
        Self { db, key: KEYS.choose(rng).unwrap() }
    }

    /// Statements that make the tables and their first rows.
    pub fn setup(&self, rng: &mut StdRng) -> Vec<String> {
        let db = &self.db;
        let mut all = vec![format!("CREATE DATABASE {db}")];
        let body = |rng: &mut StdRng| {
            let collation = COLLATIONS.choose(rng).unwrap();
            let charset = collation.split('_').next().unwrap();
            let index = ["", ", KEY (a)", ", KEY (a, b)"].choose(rng).unwrap();
            format!(
                "a INT, b INT, s VARCHAR(10) CHARACTER SET {charset} COLLATE {collation}, u VARCHAR(10), \
                 d DATETIME, ts TIMESTAMP NULL, v INT{index}"
            )
        };
        let rest = body(rng);
        all.push(format!("CREATE TABLE {db}.m (id {} NOT NULL PRIMARY KEY, {rest})", self.key.sql));
        for table in 1..=3 {
            let joined = self.key.joined.choose(rng).unwrap();
            let rest = body(rng);
            all.push(format!("CREATE TABLE {db}.t{table} (id INT PRIMARY KEY, m_id {joined}, {rest})"));
        }
        for key in self.key.literals.iter().filter(|_| rng.random_bool(0.8)).collect::<Vec<_>>() {
            all.push(format!("INSERT IGNORE INTO {db}.m VALUES ({key}, {})", values(rng)));
        }
        for table in 1..=3 {
            for id in 1..=6 {
                all.push(self.insert(table, id, rng));
            }
        }
        all
    }

    /// A row for one of the joined tables.
    pub fn insert(&self, table: u32, id: u32, rng: &mut StdRng) -> String {
        let (key, values) = (self.key_or_null(rng), values(rng));
        format!("INSERT IGNORE INTO {}.t{table} VALUES ({id}, {key}, {values})", self.db)
    }

    pub fn key_or_null(&self, rng: &mut StdRng) -> &'static str {
        if rng.random_bool(0.1) { "NULL" } else { self.key.literals.choose(rng).unwrap() }
    }
}

/// Values for [`COLUMNS`].
fn values(rng: &mut StdRng) -> String {
    COLUMNS.iter().map(|column| value(column, rng)).collect::<Vec<_>>().join(", ")
}

/// A literal for one of [`COLUMNS`].
pub fn value(column: &str, rng: &mut StdRng) -> String {
    match column {
        "a" | "b" if rng.random_bool(0.1) => "NULL".to_owned(),
        "a" | "b" => rng.random_range(1..=4).to_string(),
        "s" => (*TEXTS.choose(rng).unwrap()).to_owned(),
        "u" => (*NUMERALS.choose(rng).unwrap()).to_owned(),
        "d" | "ts" => (*MOMENTS.choose(rng).unwrap()).to_owned(),
        _ => rng.random_range(0..=9).to_string(),
    }
}
