//! Tables and their columns.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table's full name. Compared as written: on servers with `lower_case_table_names` 1 or 2 the rooms
/// that talk to the server fold it first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct TableName {
    /// The schema (database).
    pub schema: String,
    /// The table within it.
    pub table: String,
}

impl TableName {
    /// Joins the two parts.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// The name as SQL: each part in backticks, backticks in it doubled.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }
}

/// One name as SQL: in backticks, backticks in it doubled.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// What a column holds, as far as keys and documents must tell types apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ColumnKind {
    /// TINYINT to BIGINT; `unsigned` stands beside it.
    Int,
    /// DECIMAL.
    Decimal,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// BIT(n).
    Bit,
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME(fsp).
    Time,
    /// DATETIME(fsp).
    DateTime,
    /// TIMESTAMP(fsp), UTC.
    Timestamp,
    /// CHAR, VARCHAR, TEXT: bytes in the column's character set.
    Text,
    /// BINARY(n), padded with 00 to n.
    FixedBinary,
    /// VARBINARY, BLOB.
    Binary,
    /// ENUM: row images carry the number.
    Enum,
    /// SET: row images carry the bits.
    Set,
    /// JSON.
    Json,
    /// GEOMETRY and its kinds.
    Geometry,
    /// VECTOR.
    Vector,
}

/// One column of a table, from TABLE_MAP metadata, the schema history or information_schema.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// The column's name as the server spells it; empty where the event does not carry names.
    pub name: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// UNSIGNED.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
    /// The collation's id (information_schema.COLLATIONS.ID), for text kinds; `None` where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<u16>,
    /// Declared width: bytes of BINARY(n), fractional digits of temporal kinds, bits of BIT(n); else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub width: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's skip_serializing_if passes a reference
fn is_zero(width: &u32) -> bool {
    *width == 0
}
