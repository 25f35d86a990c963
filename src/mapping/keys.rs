//! Key columns in SQL: markers, `IN` lists and cursor conditions.

use super::compat;
use crate::model::{CatalogColumn, ColumnKind, Key, KeyPart};

/// One column of the main key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyColumn {
    /// Its name in the main table.
    pub name: String,
    /// Its name in the query's result.
    pub output: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// UNSIGNED.
    pub unsigned: bool,
    /// The collation's id, for text.
    pub collation: Option<u16>,
    /// Bytes of BINARY(n), fractional digits of temporal kinds.
    pub width: u32,
    /// The column's type as the server writes it.
    pub sql_type: String,
}

impl KeyColumn {
    pub(super) fn new(column: &CatalogColumn, output: &str) -> Self {
        Self {
            name: column.column.name.clone(),
            output: output.to_owned(),
            kind: column.column.kind,
            unsigned: column.column.unsigned,
            collation: column.column.collation,
            width: column.column.width,
            sql_type: column.sql_type.clone(),
        }
    }
}

/// What stands for a value of the column in SQL. Decimals are bound as text, which MySQL would compare as
/// floating point.
pub(super) fn marker(kind: ColumnKind, sql_type: &str) -> String {
    if kind != ColumnKind::Decimal {
        return "?".to_owned();
    }
    let digits =
        sql_type.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(digits, _)| digits);
    let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit() || b == b',')).unwrap_or("65,30");
    format!("CAST(? AS DECIMAL({digits}))")
}

/// The list within `IN ( )` for this many keys.
pub(super) fn in_list(markers: &[String], keys: usize) -> String {
    let one = match markers {
        [single] => single.clone(),
        many => format!("({})", many.join(", ")),
    };
    vec![one.as_str(); keys.max(1)].join(", ")
}

/// `column` or `(a, b)`.
pub(super) fn row(expressions: &[String]) -> String {
    match expressions {
        [single] => single.clone(),
        many => format!("({})", many.join(", ")),
    }
}

/// Which side of a key.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// Above the key.
    After,
    /// The key or above it.
    From,
    /// Below the key.
    Before,
}

/// The condition that a row's key lies on that side of a key, written out so that an index serves it. Its
/// parameters are [`bound_params`].
pub(super) fn bound(expressions: &[String], markers: &[String], side: Bound) -> String {
    let (strict, last) = match side {
        Bound::After => (">", ">"),
        Bound::From => (">", ">="),
        Bound::Before => ("<", "<"),
    };
    let columns: Vec<(&String, &String)> = expressions.iter().zip(markers).collect();
    let mut branches = Vec::new();
    for (i, (column, mark)) in columns.iter().enumerate() {
        let operator = if i + 1 == columns.len() { last } else { strict };
        let mut terms: Vec<String> = columns.iter().take(i).map(|(c, m)| format!("{c} = {m}")).collect();
        terms.push(format!("{column} {operator} {mark}"));
        branches.push(terms.join(" AND "));
    }
    match branches.as_slice() {
        [single] => single.clone(),
        many => format!("({})", many.iter().map(|b| format!("({b})")).collect::<Vec<_>>().join(" OR ")),
    }
}

/// The parameters of [`bound`]: for a key (a, b, c) they are a, a b, a b c.
pub(super) fn bound_params(key: &Key) -> Vec<KeyPart> {
    let parts = key.parts();
    (1..=parts.len()).flat_map(|n| parts.iter().take(n).cloned()).collect()
}

/// True where a value of this column can be a key of its own; see [`compat::keyable`].
pub(super) fn check(column: &CatalogColumn) -> Result<(), String> {
    compat::keyable(column)
}
