//! Random transactions.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::schema::{COLUMNS, Schema, value};

/// A few statements, each a transaction of its own or several in one. What the server refuses (a key that is there)
/// changes nothing.
pub fn round(schema: &Schema, rng: &mut StdRng) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        let together = rng.random_bool(0.3);
        all.extend(together.then(|| "BEGIN".to_owned()));
        for _ in 0..rng.random_range(1..=3) {
            all.push(statement(schema, rng));
        }
        all.extend(together.then(|| "COMMIT".to_owned()));
    }
    all
}

fn statement(schema: &Schema, rng: &mut StdRng) -> String {
    let db = &schema.db;
    let table = rng.random_range(1..=3);
    let id = rng.random_range(1..=8);
    let key = schema.key.literals.choose(rng).unwrap();
    match rng.random_range(0..12) {
        0 | 1 => schema.insert(table, id, rng),
        2 => format!("DELETE FROM {db}.t{table} WHERE id = {id}"),
        3 => format!("UPDATE {db}.t{table} SET m_id = {} WHERE id = {id}", schema.key_or_null(rng)),
        4 | 5 => format!("UPDATE {db}.t{table} SET {} WHERE id = {id}", sets(rng)),
        6 => format!("UPDATE {db}.t{table} SET {} WHERE a = {}", sets(rng), rng.random_range(1..=4)),
        7 => format!("UPDATE {db}.t{table} SET id = {} WHERE id = {id}", rng.random_range(1..=8)),
        8 => format!("DELETE FROM {db}.m WHERE id = {key}"),
        9 => {
            let values: Vec<String> = COLUMNS.iter().map(|column| value(column, rng)).collect();
            format!("INSERT IGNORE INTO {db}.m VALUES ({key}, {})", values.join(", "))
        }
        10 => format!("UPDATE {db}.m SET {} WHERE id = {key}", sets(rng)),
        _ => format!("UPDATE {db}.m SET id = {} WHERE id = {key}", schema.key.literals.choose(rng).unwrap()),
    }
}

fn sets(rng: &mut StdRng) -> String {
    let count = rng.random_range(1..=2);
    let columns: Vec<&&str> = COLUMNS.choose_multiple(rng, count).collect();
    columns
        .into_iter()
        .map(|column| format!("{column} = {}", value(column, rng)))
        .collect::<Vec<_>>()
        .join(", ")
}
