//! A table as statements need it: the event's own description, and what is known of it beyond.

use std::sync::Arc;

use super::charset::Text;
use super::literal::identifier;
use crate::binlog::{At, TableMap};
use crate::model::{self, ColumnKind, TableName, Value};
use crate::trace::TraceError;
use crate::trace::names::{Names, Shape, ShapeColumn};

/// A table whose rows become statements.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    /// `` `schema`.`table` ``.
    pub(crate) quoted: String,
    pub(crate) columns: Vec<Column>,
    /// Columns that tell rows apart: the primary key, else a unique key without NULL; empty where there is none.
    pub(crate) key: Vec<usize>,
    /// The event's description, with what it leaves open filled in.
    pub(crate) map: Arc<TableMap>,
    pub(crate) triggers: bool,
    /// True where DDL was known beside the event.
    pub(crate) has_shape: bool,
    /// `` INSERT INTO `t` (`a`,`b`) VALUES ( `` for whole rows.
    pub(super) insert_head: Vec<u8>,
}

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `` `name` ``.
    pub(crate) quoted: String,
    pub(crate) kind: Kind,
    /// Digits after the second.
    pub(crate) digits: u8,
    /// False for what is computed, and for columns that are not in the table any more.
    pub(crate) assignable: bool,
    /// An UPDATE that does not name it may change it.
    pub(crate) auto_update: bool,
    /// Labels of an ENUM or SET, where the event or the schema has them.
    pub(crate) labels: Vec<String>,
}

impl Column {
    /// The label of an ENUM's number, or those of a SET's bits separated by commas; `None` where they are not known.
    pub(crate) fn labels_of(&self, value: &Value<'_>) -> Option<String> {
        match value {
            Value::Enum(number) => self.labels.get(usize::from(*number).checked_sub(1)?).cloned(),
            Value::Set(bits) if bits.checked_shr(self.labels.len() as u32).unwrap_or(0) == 0 => {
                let all = self.labels.iter().enumerate();
                let set = all.filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, label)| label.as_str());
                (!self.labels.is_empty()).then(|| set.collect::<Vec<_>>().join(","))
            }
            _ => None,
        }
    }
}

/// How bytes of a column are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Values say by themselves what they are.
    Plain,
    Text(Text),
    Binary,
    /// GEOMETRY and VECTOR, which do not compare with binary strings.
    Spatial,
}

/// Joins a table's event with the known names. `allow_trailing`: columns may have come or gone at the end.
pub(crate) fn resolve(
    map: &Arc<TableMap>,
    names: &Names,
    allow_trailing: bool,
    at: &At,
) -> Result<Table, TraceError> {
    let shape = match names.get(&map.name) {
        Ok(found) => found.map(|(shape, _)| shape),
        Err(_) if map.has_names => None,
        Err(why) => return Err(nameless(map, at, why)),
    };
    let shape = match (shape, map.has_names) {
        (None, false) => {
            return Err(nameless(map, at, "its events carry no names (binlog_row_metadata is not FULL)"));
        }
        (Some(shape), false) => {
            fits(map, shape, allow_trailing, at)?;
            Some(shape)
        }
        (shape, true) => shape,
    };
    let of = |index: usize| shape_column(map, shape, index);
    if let Some(unsure) = unsure(map, shape) {
        let why = format!("the type of column {unsure} before an ALTER TABLE in the binlog is not known");
        return Err(nameless(map, at, &why));
    }
    let map = match shape {
        Some(shape) if !map.has_signedness || !map.has_collations => completed(map, shape),
        _ => Arc::clone(map),
    };
    let columns: Vec<Column> = (0..map.columns.len())
        .filter_map(|index| column(&map, index, of(index), shape.map(AsRef::as_ref)))
        .collect();
    let mut quoted = Vec::new();
    identifier(&map.name.schema, &mut quoted);
    quoted.push(b'.');
    identifier(&map.name.table, &mut quoted);
    let mut table = Table {
        name: map.name.clone(),
        quoted: String::from_utf8_lossy(&quoted).into_owned(),
        key: key(&map, &columns, shape.map(AsRef::as_ref)),
        columns,
        triggers: shape.is_some_and(|shape| shape.triggers),
        has_shape: shape.is_some(),
        map,
        insert_head: Vec::new(),
    };
    table.insert_head = table.insert_head(|_| true);
    Ok(table)
}

fn nameless(map: &TableMap, at: &At, reason: &str) -> TraceError {
    TraceError::Names { at: at.clone(), table: map.name.clone(), reason: reason.into() }
}

/// A column that the event leaves open, and of which what is known is from after its type changed.
fn unsure<'s>(map: &TableMap, shape: Option<&'s Arc<Shape>>) -> Option<&'s str> {
    let leaves_open = |column: &model::Column| {
        let may_be_signed = matches!(column.kind, ColumnKind::Int | ColumnKind::Decimal);
        (!map.has_signedness && may_be_signed) || (!map.has_collations && may_be_text(column.kind))
    };
    let mut columns = map.columns.iter().enumerate().filter(|(_, column)| leaves_open(column));
    columns.find_map(|(index, _)| {
        shape_column(map, shape, index).filter(|known| known.unsure).map(|known| known.column.name.as_str())
    })
}

fn shape_column<'s>(map: &TableMap, shape: Option<&'s Arc<Shape>>, index: usize) -> Option<&'s ShapeColumn> {
    let shape = shape?;
    if map.has_names { shape.named(&map.columns.get(index)?.name) } else { shape.columns.get(index) }
}

/// An error where the columns of DDL are not those of the event.
fn fits(map: &TableMap, shape: &Shape, allow_trailing: bool, at: &At) -> Result<(), TraceError> {
    let (found, known) = (map.columns.len(), shape.columns.len());
    let misfit = |reason| Err(TraceError::Mismatch { at: at.clone(), table: map.name.clone(), reason });
    for (index, (detail, column)) in map.details.iter().zip(&shape.columns).enumerate() {
        let codes = column.sql_type.codes;
        if !codes.is_empty() && !codes.contains(&detail.type_code) {
            return misfit(format!(
                "column {} ({}) is {} in the schema, but its values are of type code {}",
                index + 1,
                column.column.name,
                column.sql_type.spelling,
                detail.type_code
            ));
        }
    }
    if found != known && !allow_trailing {
        return misfit(format!(
            "rows have {found} columns, the schema has {known}; if the columns were added or dropped at the \
             table's end only, --allow-trailing accepts that"
        ));
    }
    Ok(())
}

/// What events of old servers leave open, from the DDL. What an event says itself holds: its server has no list of
/// signs or character sets where no column has one.
fn completed(map: &Arc<TableMap>, shape: &Arc<Shape>) -> Arc<TableMap> {
    let complete = |(index, column): (usize, &model::Column)| {
        let mut column = column.clone();
        let Some(ShapeColumn { column: known, .. }) = shape_column(map, Some(shape), index) else {
            return column;
        };
        if !map.has_names {
            column.name.clone_from(&known.name);
        }
        if !map.has_signedness {
            column.unsigned = known.unsigned;
        }
        if !map.has_collations && may_be_text(column.kind) {
            column.kind = known.kind;
        }
        if column.width == 0 {
            column.width = known.width;
        }
        column
    };
    let columns: Vec<model::Column> = map.columns.iter().enumerate().map(complete).collect();
    map.with_columns(&columns).map_or_else(|| Arc::clone(map), Arc::new)
}

/// Text and bytes share their type codes.
fn may_be_text(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Text | ColumnKind::Binary | ColumnKind::FixedBinary)
}

fn column(
    map: &TableMap,
    index: usize,
    known: Option<&ShapeColumn>,
    shape: Option<&Shape>,
) -> Option<Column> {
    let column = map.columns.get(index)?;
    let detail = map.details.get(index)?;
    let name = match (map.has_names, known) {
        (true, _) => column.name.clone(),
        (false, Some(known)) => known.column.name.clone(),
        (false, None) => format!("@{}", index + 1),
    };
    let mut quoted = Vec::new();
    identifier(&name, &mut quoted);
    let kind = match column.kind {
        ColumnKind::Text => Kind::Text(match column.collation {
            Some(id) => Text::of_collation(id),
            None => known
                .and_then(|known| known.charset.as_deref())
                .or_else(|| shape?.charset.as_deref())
                .map_or(Text::Unknown, Text::of_name),
        }),
        ColumnKind::Binary | ColumnKind::FixedBinary => Kind::Binary,
        ColumnKind::Geometry | ColumnKind::Vector => Kind::Spatial,
        _ => Kind::Plain,
    };
    let moment = matches!(column.kind, ColumnKind::DateTime | ColumnKind::Timestamp);
    let temporal = moment || column.kind == ColumnKind::Time;
    Some(Column {
        quoted: String::from_utf8_lossy(&quoted).into_owned(),
        kind,
        digits: if temporal { column.width.min(6) as u8 } else { 0 },
        assignable: known.map_or(map.has_names, |known| !known.generated),
        // Without DDL nobody knows which have ON UPDATE CURRENT_TIMESTAMP.
        auto_update: known.map_or(moment, |known| known.auto_update),
        labels: if detail.labels.is_empty() {
            known.map(|known| known.labels.clone()).unwrap_or_default()
        } else {
            detail.labels.iter().map(|label| String::from_utf8_lossy(label).into_owned()).collect()
        },
        name,
    })
}

fn key(map: &TableMap, columns: &[Column], shape: Option<&Shape>) -> Vec<usize> {
    if !map.primary_key.is_empty() {
        return map.primary_key.clone();
    }
    let Some(shape) = shape else { return Vec::new() };
    let indexes = |names: &[String]| -> Option<Vec<usize>> {
        let place = |name: &String| columns.iter().position(|c| c.name.to_lowercase() == name.to_lowercase());
        names.iter().map(place).collect()
    };
    let whole = |names: &[String]| indexes(names).filter(|key| !key.is_empty());
    if let Some(primary) = whole(&shape.primary) {
        return primary;
    }
    let mut unique = shape.unique.iter().filter(|(_, names)| {
        names.iter().all(|name| shape.named(name).is_some_and(|column| !column.nullable))
    });
    unique.find_map(|(_, names)| whole(names)).unwrap_or_default()
}

impl Table {
    /// The beginning of an INSERT of the columns that are present.
    pub(super) fn insert_head(&self, present: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut out = format!("INSERT INTO {} (", self.quoted).into_bytes();
        let mut first = true;
        for (index, column) in self.columns.iter().enumerate() {
            if column.assignable && present(index) {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                out.extend_from_slice(column.quoted.as_bytes());
            }
        }
        out.extend_from_slice(b") VALUES (");
        out
    }
}
