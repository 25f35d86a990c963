//! TABLE_MAP: which table the rows that follow belong to, and how their columns lie.
//! Source: `Table_map_event`, libs/mysql/binlog/event/rows_event.h.

use super::cursor::{Cursor, bit};
use super::error::Malformed;
use super::field::{Declared, Field, code};
use super::metadata::{Metadata, Share, Shares};
use crate::model::{Column, ColumnKind, TableName};

/// The collation `binary`.
const BINARY: u16 = 63;

/// A table as the rows that follow see it. The decoder gives the same `Arc` as long as the event's bytes are
/// the same, so whatever is derived from it can be kept by pointer.
#[derive(Clone, PartialEq, Debug)]
pub struct TableMap {
    /// The number that rows events name it by.
    pub table_id: u64,
    /// Schema and table.
    pub name: TableName,
    /// The columns in the order of row images; `name` is empty without FULL metadata.
    pub columns: Vec<Column>,
    /// More about each column.
    pub details: Vec<ColumnDetail>,
    /// True where the columns have names (`binlog_row_metadata=FULL`).
    pub has_names: bool,
    /// True where the event says which integers are unsigned (MySQL 8.0.1+); else all count as signed.
    pub has_signedness: bool,
    /// True where the event says the collations (MySQL 8.0.1+); else BINARY(n) cannot be told from CHAR.
    pub has_collations: bool,
    /// The primary key's columns in key order, with FULL metadata.
    pub primary_key: Vec<usize>,
    /// Bytes of a key column's prefix, beside `primary_key`; 0 for a whole column.
    pub primary_key_prefixes: Vec<u32>,
    pub(super) fields: Vec<Field>,
    pub(super) json_columns: usize,
    /// The event's body as it came.
    pub(super) bytes: Box<[u8]>,
}

/// What a TABLE_MAP event says of a column beyond [`Column`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnDetail {
    /// May hold NULL.
    pub nullable: bool,
    /// False for an INVISIBLE column.
    pub visible: bool,
    /// The labels of an ENUM or SET in the column's character set, with FULL metadata.
    pub labels: Vec<Box<[u8]>>,
    /// The kind of a GEOMETRY column: 0 any, 1 point, 2 line ... 7 collection, with FULL metadata.
    pub geometry_type: Option<u8>,
    /// Dimensions of a VECTOR column.
    pub dimensions: Option<u32>,
    /// MySQL's type code (enum_field_types; ENUM and SET as themselves).
    pub type_code: u8,
    /// The type's metadata as the event has it: lengths, digits or bits, by type.
    pub type_meta: u16,
}

impl TableMap {
    pub(super) fn read(table_id_len: usize, c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let whole = c.rest();
        let table_id = c.uint_le(table_id_len)?;
        c.skip(2)?;
        let schema = name(c)?;
        let table = name(c)?;
        let count = c.packed_len()?;
        let codes = c.bytes(count)?;
        let mut meta = Cursor::new(c.packed_bytes()?);
        let nulls = c.bytes(count.div_ceil(8))?;
        let metadata = Metadata::read(c)?;
        let mut shares = Shares::new(&metadata);
        let mut this = Self {
            table_id,
            name: TableName::new(schema, table),
            columns: Vec::with_capacity(count),
            details: Vec::with_capacity(count),
            has_names: !metadata.names.is_empty(),
            has_signedness: metadata.has_signedness(),
            has_collations: metadata.has_charsets(),
            primary_key: metadata.primary_key.iter().map(|(column, _)| *column).collect(),
            primary_key_prefixes: metadata.primary_key.iter().map(|(_, bytes)| *bytes as u32).collect(),
            fields: Vec::with_capacity(count),
            json_columns: 0,
            bytes: whole.into(),
        };
        for (index, code) in codes.iter().enumerate() {
            let declared = Declared::read(*code, &mut meta)?;
            let share = shares.next(declared);
            this.push(declared, &share, bit(nulls, index))?;
        }
        if this.primary_key.iter().any(|column| *column >= count) {
            return Err(Malformed("its primary key names a column that is not there"));
        }
        Ok(this)
    }

    fn push(&mut self, declared: Declared, share: &Share<'_>, nullable: bool) -> Result<(), Malformed> {
        let kind = kind(declared, share.collation);
        let binary = kind == ColumnKind::FixedBinary;
        self.fields.push(Field::new(declared, share.unsigned, binary)?);
        self.json_columns += usize::from(declared.code == code::JSON);
        self.columns.push(Column {
            name: text(share.name)?,
            kind,
            unsigned: share.unsigned,
            collation: share.collation,
            width: width(declared, kind),
        });
        self.details.push(ColumnDetail {
            nullable,
            visible: share.visible,
            labels: share.labels.iter().map(|label| (*label).into()).collect(),
            geometry_type: share.geometry_type,
            dimensions: share.dimensions,
            type_code: declared.code,
            type_meta: declared.meta,
        });
        Ok(())
    }

    /// The body of the event that announced the table.
    pub fn event_body(&self) -> &[u8] {
        &self.bytes
    }

    /// The same table with columns known from elsewhere (an older server's schema), for events that do not
    /// say what is unsigned or binary; `None` where the number of columns differs.
    pub fn with_columns(&self, columns: &[Column]) -> Option<Self> {
        if columns.len() != self.columns.len() {
            return None;
        }
        let mut this = self.clone();
        this.columns = columns.to_vec();
        for ((field, detail), column) in this.fields.iter_mut().zip(&this.details).zip(columns) {
            let declared = Declared { code: detail.type_code, meta: detail.type_meta };
            *field = Field::new(declared, column.unsigned, column.kind == ColumnKind::FixedBinary).ok()?;
        }
        Some(this)
    }
}

/// A name: its length, the text, a zero.
fn name(c: &mut Cursor<'_>) -> Result<String, Malformed> {
    let bytes = c.packed_bytes()?;
    c.skip(1)?;
    text(bytes)
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed("a name in it is not UTF-8"))
}

fn kind(declared: Declared, collation: Option<u16>) -> ColumnKind {
    let binary = collation == Some(BINARY);
    match declared.code {
        code::NEWDECIMAL => ColumnKind::Decimal,
        code::FLOAT => ColumnKind::Float,
        code::DOUBLE => ColumnKind::Double,
        code::BIT => ColumnKind::Bit,
        code::YEAR => ColumnKind::Year,
        code::DATE | code::NEWDATE => ColumnKind::Date,
        code::TIME | code::TIME2 => ColumnKind::Time,
        code::DATETIME | code::DATETIME2 => ColumnKind::DateTime,
        code::TIMESTAMP | code::TIMESTAMP2 => ColumnKind::Timestamp,
        code::STRING if binary => ColumnKind::FixedBinary,
        code::ENUM => ColumnKind::Enum,
        code::SET => ColumnKind::Set,
        code::JSON | code::TYPED_ARRAY => ColumnKind::Json,
        code::GEOMETRY => ColumnKind::Geometry,
        code::VECTOR => ColumnKind::Vector,
        _ if declared.is_int() => ColumnKind::Int,
        _ if binary => ColumnKind::Binary,
        _ => ColumnKind::Text,
    }
}

fn width(declared: Declared, kind: ColumnKind) -> u32 {
    match (kind, declared.code) {
        (ColumnKind::FixedBinary, _) | (_, code::TIME2 | code::DATETIME2 | code::TIMESTAMP2) => {
            u32::from(declared.meta)
        }
        (_, code::BIT) => {
            let [bits, bytes] = declared.meta.to_le_bytes();
            u32::from(bytes) * 8 + u32::from(bits)
        }
        _ => 0,
    }
}
