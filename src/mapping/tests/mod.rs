//! Tests of the room as a whole: queries over a small shop, and what changes of its tables touch.

mod children;
mod derive;
mod joins;
mod overrides;
mod refuse;
mod rows;
mod shards;
mod sql;
mod wholes;

use super::*;
use crate::model::{
    Catalog, CatalogColumn, CatalogTable, Column, ColumnKind, ForeignKey, Key, TableName, Value,
};

/// The query of issue 3.
pub(super) const SHOP: &str = "SELECT o.id, o.status, o.total, o.created_at, u.name AS customer,
       (SELECT JSON_ARRAYAGG(JSON_OBJECT('sku', i.sku, 'qty', i.qty))
          FROM shop.order_items i WHERE i.order_id = o.id) AS items
  FROM shop.orders o JOIN shop.users u ON u.id = o.user_id
 WHERE o.id IN (:ids)";

/// A column from `name type`, where `*` before the name makes it the primary key, `?` after the type makes it
/// nullable, and `=a+b` after it makes it generated from a and b.
fn column(spec: &str) -> (CatalogColumn, bool) {
    use ColumnKind as K;
    let (name, kind) = spec.trim().split_once(' ').unwrap();
    let (kind, generated) = kind.split_once('=').unwrap_or((kind, ""));
    let nullable = kind.ends_with('?');
    let kind = kind.trim_end_matches('?').trim();
    let (column_kind, unsigned, collation, width, sql_type): (K, bool, Option<(u16, &str)>, u32, &str) =
        match kind {
            "int" => (K::Int, false, None, 0, "int"),
            "ubig" => (K::Int, true, None, 0, "bigint unsigned"),
            "text" => (K::Text, false, Some((255, "utf8mb4_0900_ai_ci")), 0, "varchar(64)"),
            "general" => (K::Text, false, Some((45, "utf8mb4_general_ci")), 0, "varchar(64)"),
            "bin" => (K::Text, false, Some((46, "utf8mb4_bin")), 0, "varchar(64)"),
            "latin1" => (K::Text, false, Some((8, "latin1_swedish_ci")), 0, "varchar(64)"),
            "gbk" => (K::Text, false, Some((28, "gbk_chinese_ci")), 0, "varchar(64)"),
            "b16" => (K::FixedBinary, false, Some((63, "binary")), 16, "binary(16)"),
            "vb" => (K::Binary, false, Some((63, "binary")), 0, "varbinary(16)"),
            "dec" => (K::Decimal, false, None, 0, "decimal(10,2)"),
            "datetime" => (K::DateTime, false, None, 0, "datetime"),
            "timestamp" => (K::Timestamp, false, None, 0, "timestamp"),
            "float" => (K::Float, false, None, 0, "float"),
            "enum" => (K::Enum, false, Some((255, "utf8mb4_0900_ai_ci")), 0, "enum('a')"),
            "json" => (K::Json, false, None, 0, "json"),
            other => panic!("type {other}"),
        };
    let collation_name = collation.map(|(_, name)| name.to_owned()).filter(|n| n != "binary");
    let column = Column {
        name: name.trim_start_matches('*').to_owned(),
        kind: column_kind,
        unsigned,
        collation: collation.map(|(id, _)| id),
        width,
    };
    let generated_from = generated.split('+').filter(|b| !b.is_empty()).map(str::to_owned).collect();
    let column = CatalogColumn {
        column,
        sql_type: sql_type.to_owned(),
        collation_name,
        nullable,
        generated_from,
        invisible: false,
    };
    (column, name.starts_with('*'))
}

/// A table from `name: column, column, ...`.
pub(super) fn table(spec: &str) -> (TableName, CatalogTable) {
    let (name, columns) = spec.split_once(':').unwrap();
    let (schema, name) = name.trim().split_once('.').unwrap();
    let columns: Vec<(CatalogColumn, bool)> = columns.split(',').map(column).collect();
    let primary_key: Vec<String> =
        columns.iter().filter(|(_, key)| *key).map(|(c, _)| c.column.name.clone()).collect();
    let indexes = vec![primary_key.clone()];
    let columns = columns.into_iter().map(|(c, _)| c).collect();
    let table =
        CatalogTable { columns, primary_key, indexes, engine: "InnoDB".into(), ..CatalogTable::default() };
    (TableName::new(schema, name), table)
}

pub(super) fn catalog(extra: &[&str]) -> Catalog {
    let shop = [
        "shop.orders: *id int, user_id int?, status text, total dec, created_at datetime, note text?, ref text",
        "shop.users: *id int, name text, email text?, region_id int",
        "shop.regions: *id int, name text",
        "shop.order_items: *id int, order_id int, sku text, qty int, product_id int, spare text",
        "shop.products: *id int, title text, maker_id int",
        "shop.makers: *id int, name text",
        "shop.tags: order_id int?, tag text",
    ];
    let tables = shop.iter().chain(extra).map(|spec| table(spec)).collect();
    Catalog { tables, lower_case_table_names: 0, cascades_logged: true }
}

pub(super) fn query(sql: &str) -> QueryText {
    QueryText { sql: sql.to_owned(), key: vec!["id".into()], ..QueryText::default() }
}

pub(super) fn try_plan(text: &QueryText, catalog: &Catalog) -> Result<Plan, MappingError> {
    parse(text)?.compile(catalog)
}

pub(super) fn plan(sql: &str) -> Plan {
    try_plan(&query(sql), &catalog(&[])).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The rules of a table as one line each: `direct order_id`, or `lookup id: SELECT ...` without backticks.
pub(super) fn rules(plan: &Plan, table: &str) -> Vec<String> {
    let (schema, name) = table.split_once('.').unwrap();
    let Some(plan_of) = plan.table(&TableName::new(schema, name)) else { return vec![] };
    let rule = |rule: &super::plan::Rule| {
        let columns = rule.action.columns().join(",");
        match &rule.action {
            super::plan::Action::Direct(_) => format!("direct {columns}"),
            super::plan::Action::Lookup(number, _) => {
                let sql = plan.lookups()[*number].sql(1, false, 9).replace('`', "");
                let sql = sql.replace("SELECT DISTINCT ", "").replace(" LIMIT 9", "");
                let sql = sql.split(" ORDER BY ").next().unwrap().to_owned();
                format!("lookup {columns}: {sql}")
            }
            super::plan::Action::Rebuild => "rebuild".to_owned(),
        }
    };
    plan_of.rules.iter().map(rule).collect()
}

/// A table's columns as an event carries them.
pub(super) fn event_columns(catalog: &Catalog, table: &str) -> Vec<Column> {
    let (schema, name) = table.split_once('.').unwrap();
    catalog.tables[&TableName::new(schema, name)].columns.iter().map(|c| c.column.clone()).collect()
}

/// What a change of full rows touches.
pub(super) fn touch(
    plan: &Plan,
    catalog: &Catalog,
    table: &str,
    before: Option<&[Value<'_>]>,
    after: Option<&[Value<'_>]>,
) -> Result<Touched, MappingError> {
    let (schema, name) = table.split_once('.').unwrap();
    let bound = plan.table(&TableName::new(schema, name)).unwrap().bind(&event_columns(catalog, table))?;
    let pick =
        |row: &[Value<'_>]| bound.wanted().iter().map(|i| row[*i].clone()).map(owned).collect::<Vec<_>>();
    let (before, after) = (before.map(pick), after.map(pick));
    let mut out = Touched::default();
    bound.touch(before.as_deref(), after.as_deref(), &mut out)?;
    Ok(out)
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Bytes(bytes) => Value::Bytes(bytes.into_owned().into()),
        Value::Decimal(text) => Value::Decimal(text.into_owned().into()),
        Value::Int(v) => Value::Int(v),
        Value::UInt(v) => Value::UInt(v),
        Value::Null => Value::Null,
        Value::Absent => Value::Absent,
        Value::DateTime { year, month, day, hour, minute, second, micros } => {
            Value::DateTime { year, month, day, hour, minute, second, micros }
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn ints(values: &[i64]) -> Vec<Key> {
    values.iter().map(|v| Key::int(*v)).collect()
}

pub(super) fn foreign_key(columns: &[&str], parent: &str, parent_columns: &[&str]) -> ForeignKey {
    let (schema, name) = parent.split_once('.').unwrap();
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    ForeignKey {
        columns: owned(columns),
        parent: TableName::new(schema, name),
        parent_columns: owned(parent_columns),
        acts_on_delete: true,
        acts_on_update: true,
    }
}
