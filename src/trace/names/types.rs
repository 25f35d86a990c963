//! The types of DDL: their kinds, and the type codes by which TABLE_MAP events show them.

use crate::mapping::Words;
use crate::model::{Column, ColumnKind};

/// A type that `CREATE TABLE` spells out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SqlType {
    pub(crate) kind: ColumnKind,
    /// MySQL's type codes that may stand for it in a TABLE_MAP event; empty: any.
    pub(crate) codes: &'static [u8],
    /// As it was written, for messages.
    pub(crate) spelling: String,
}

/// Reads a type's name; what follows in parentheses stays.
pub(super) fn read(words: &mut Words) -> Option<SqlType> {
    let mut spelling = words.keyword()?;
    // SQL's spellings of more than one word
    match spelling.as_str() {
        "DOUBLE" => drop(words.skip("PRECISION")),
        "LONG" if words.skip("VARBINARY") => spelling = "MEDIUMBLOB".into(),
        "LONG" => {
            words.skip("VARCHAR");
            spelling = "MEDIUMTEXT".into();
        }
        "NATIONAL" => {
            let next = words.keyword()?;
            spelling = if next == "VARCHAR" || words.skip("VARYING") { "VARCHAR" } else { "CHAR" }.into();
        }
        "CHAR" | "CHARACTER" if words.skip("VARYING") => spelling = "VARCHAR".into(),
        "CHAR" if words.skip("BYTE") => spelling = "BINARY".into(),
        _ => {}
    }
    let (kind, codes) = kind_and_codes(&spelling);
    Some(SqlType { kind, codes, spelling })
}

fn kind_and_codes(word: &str) -> (ColumnKind, &'static [u8]) {
    use ColumnKind as K;
    match word {
        "TINYINT" | "BOOL" | "BOOLEAN" | "INT1" => (K::Int, &[1]),
        "SMALLINT" | "INT2" => (K::Int, &[2]),
        "MEDIUMINT" | "INT3" | "MIDDLEINT" => (K::Int, &[9]),
        "INT" | "INTEGER" | "INT4" => (K::Int, &[3]),
        "BIGINT" | "INT8" | "SERIAL" => (K::Int, &[8]),
        "DECIMAL" | "NUMERIC" | "DEC" | "FIXED" => (K::Decimal, &[246]),
        "FLOAT" | "FLOAT4" => (K::Float, &[4, 5]),
        "DOUBLE" | "REAL" | "FLOAT8" => (K::Double, &[5, 4]),
        "BIT" => (K::Bit, &[16]),
        "YEAR" => (K::Year, &[13]),
        "DATE" => (K::Date, &[10, 14]),
        "TIME" => (K::Time, &[11, 19]),
        "DATETIME" => (K::DateTime, &[12, 18]),
        "TIMESTAMP" => (K::Timestamp, &[7, 17]),
        "CHAR" | "CHARACTER" | "NCHAR" => (K::Text, &[254]),
        "BINARY" => (K::FixedBinary, &[254]),
        "VARCHAR" | "VARCHARACTER" | "NVARCHAR" => (K::Text, &[15, 253]),
        "VARBINARY" => (K::Binary, &[15, 253]),
        "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" => (K::Text, &[252]),
        "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => (K::Binary, &[252]),
        "ENUM" => (K::Enum, &[247]),
        "SET" => (K::Set, &[248]),
        "JSON" => (K::Json, &[245, 252]), // MariaDB: LONGTEXT
        "VECTOR" => (K::Vector, &[242, 15]),
        "GEOMETRY" | "POINT" | "LINESTRING" | "POLYGON" | "MULTIPOINT" | "MULTILINESTRING"
        | "MULTIPOLYGON" | "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => (K::Geometry, &[255]),
        _ => (K::Text, &[]),
    }
}

/// The column as row images have it: what a TABLE_MAP event without metadata leaves open.
pub(super) fn column(name: String, sql_type: &SqlType, unsigned: bool, width: u32) -> Column {
    Column { name, kind: sql_type.kind, unsigned, collation: None, width }
}
