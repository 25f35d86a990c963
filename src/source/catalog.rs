//! The live schema of tables, from information_schema.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Row;

use crate::model::{Catalog, CatalogColumn, CatalogTable, Column, ColumnKind, TableName};

use super::session::{Session, literal, text, text_at};
use super::{Result, Source, SourceError, catalog_keys};

/// Tables in one question to information_schema.
const PAGE: usize = 200;

impl Source {
    /// What is known of these tables, and of those whose cascades reach them. Tables that are not there
    /// are left out. Names are folded where the server folds them (`lower_case_table_names` above 0).
    pub async fn catalog(&self, tables: &[TableName]) -> Result<Catalog> {
        let server = self.server().await?;
        let folds = server.lower_case_table_names > 0;
        let mut session = self.session().await;
        session.show_invisible_keys().await;
        let collations = collations(&mut session).await?;
        let mut catalog = Catalog {
            lower_case_table_names: server.lower_case_table_names,
            cascades_logged: server.cascades_logged,
            ..Catalog::default()
        };
        let mut wanted: BTreeSet<TableName> = tables.iter().map(|table| fold(table, folds)).collect();
        while !wanted.is_empty() {
            let asked: Vec<TableName> = wanted.iter().cloned().collect();
            for page in asked.chunks(PAGE) {
                let mut found = read_tables(&mut session, page, &collations, folds).await?;
                if server.hides_foreign_keys() {
                    catalog_keys::read_hidden_foreign_keys(&mut session, folds, &mut found).await?;
                } else {
                    catalog_keys::read_foreign_keys(&mut session, page, folds, &mut found).await?;
                }
                catalog.tables.extend(found);
            }
            wanted = cascading_parents(&catalog).filter(|parent| !asked.contains(parent)).collect();
        }
        Ok(catalog)
    }
}

impl Source {
    /// Every table of these schemas.
    pub async fn tables_of(&self, schemas: &BTreeSet<String>) -> Result<Vec<TableName>> {
        if schemas.is_empty() {
            return Ok(Vec::new());
        }
        let folds = self.server().await?.lower_case_table_names > 0;
        let list = schemas.iter().map(|schema| literal(schema)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN ({list})"
        );
        let mut session = self.session().await;
        let rows = session.rows("listing tables", &sql).await?;
        Ok(rows.iter().map(|row| name_at(row, 0, folds)).collect())
    }
}

/// Parents outside the catalog from which a cascade reaches a table in it.
fn cascading_parents(catalog: &Catalog) -> impl Iterator<Item = TableName> + '_ {
    let keys = catalog.tables.values().flat_map(|table| &table.foreign_keys);
    keys.filter(|key| key.acts_on_delete || key.acts_on_update)
        .filter(|key| !catalog.tables.contains_key(&key.parent))
        .map(|key| key.parent.clone())
}

pub(super) fn fold(table: &TableName, folds: bool) -> TableName {
    if folds {
        TableName::new(table.schema.to_lowercase(), table.table.to_lowercase())
    } else {
        table.clone()
    }
}

async fn read_tables(
    session: &mut Session<'_>,
    tables: &[TableName],
    collations: &BTreeMap<String, u16>,
    folds: bool,
) -> Result<BTreeMap<TableName, CatalogTable>> {
    let here = among(tables, "TABLE_SCHEMA", "TABLE_NAME");
    let doing = "reading information_schema.TABLES";
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES WHERE {here}"
    );
    let mut found = BTreeMap::new();
    for row in session.rows(doing, &sql).await? {
        let table = CatalogTable {
            engine: text_at(&row, 2).unwrap_or_default(),
            is_view: text_at(&row, 3).is_some_and(|kind| kind.contains("VIEW")),
            ..CatalogTable::default()
        };
        found.insert(name_at(&row, 0, folds), table);
    }
    let sql = format!("SELECT * FROM information_schema.COLUMNS WHERE {here} ORDER BY ORDINAL_POSITION");
    for row in session.rows("reading information_schema.COLUMNS", &sql).await? {
        let name = TableName::new(
            text(&row, "TABLE_SCHEMA").unwrap_or_default(),
            text(&row, "TABLE_NAME").unwrap_or_default(),
        );
        if let Some(table) = found.get_mut(&fold(&name, folds)) {
            table.columns.push(column(&row, collations)?);
        }
    }
    for table in found.values_mut() {
        resolve_generated(&mut table.columns);
    }
    if found.values().any(|table| table.is_view) {
        read_views(session, &here, folds, &mut found).await?;
    }
    catalog_keys::read_indexes(session, &here, folds, &mut found).await?;
    Ok(found)
}

async fn read_views(
    session: &mut Session<'_>,
    here: &str,
    folds: bool,
    found: &mut BTreeMap<TableName, CatalogTable>,
) -> Result<()> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE {here}"
    );
    for row in session.rows("reading information_schema.VIEWS", &sql).await? {
        if let Some(view) = found.get_mut(&name_at(&row, 0, folds)) {
            view.view_text = text_at(&row, 2).unwrap_or_default();
        }
    }
    Ok(())
}

/// `(schema, name) IN (...)`, with literals.
pub(super) fn among(tables: &[TableName], schema: &str, name: &str) -> String {
    let pairs = tables.iter().map(|t| format!("({}, {})", literal(&t.schema), literal(&t.table)));
    format!("({schema}, {name}) IN ({})", pairs.collect::<Vec<_>>().join(", "))
}

/// The table named by two columns of a row.
pub(super) fn name_at(row: &Row, at: usize, folds: bool) -> TableName {
    let part = |at| text_at(row, at).unwrap_or_default();
    fold(&TableName::new(part(at), part(at + 1)), folds)
}

async fn collations(session: &mut Session<'_>) -> Result<BTreeMap<String, u16>> {
    let sql = "SELECT COLLATION_NAME, ID FROM information_schema.COLLATIONS";
    let rows = session.rows("reading information_schema.COLLATIONS", sql).await?;
    let pair = |row| Some((text_at(row, 0)?, text_at(row, 1)?.parse().ok()?));
    Ok(rows.iter().filter_map(pair).collect())
}

fn column(row: &Row, collations: &BTreeMap<String, u16>) -> Result<CatalogColumn> {
    let get = |name: &str| text(row, name).unwrap_or_default();
    let number = |name: &str| text(row, name).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let (name, data_type, sql_type) = (get("COLUMN_NAME"), get("DATA_TYPE"), get("COLUMN_TYPE"));
    let kind = kind_of(&data_type.to_ascii_lowercase()).ok_or_else(|| {
        let table = format!("{}.{}", get("TABLE_SCHEMA"), get("TABLE_NAME"));
        SourceError::Unsupported(format!(
            "column {table}.{name} has type {sql_type}, which is not known here"
        ))
    })?;
    let width = match kind {
        ColumnKind::FixedBinary if data_type.eq_ignore_ascii_case("binary") => {
            number("CHARACTER_OCTET_LENGTH")
        }
        ColumnKind::FixedBinary if data_type.eq_ignore_ascii_case("inet4") => 4,
        ColumnKind::FixedBinary => 16,
        ColumnKind::Bit => number("NUMERIC_PRECISION"),
        ColumnKind::Time | ColumnKind::DateTime | ColumnKind::Timestamp => number("DATETIME_PRECISION"),
        _ => 0,
    };
    let collation_name = text(row, "COLLATION_NAME").filter(|name| !name.is_empty());
    let texts = matches!(kind, ColumnKind::Text | ColumnKind::Enum | ColumnKind::Set);
    let collation = collation_name.as_ref().filter(|_| texts).and_then(|name| collations.get(name).copied());
    let unsigned = sql_type.to_ascii_lowercase().contains(" unsigned");
    let expression = get("GENERATION_EXPRESSION");
    Ok(CatalogColumn {
        column: Column { name, kind, unsigned, collation, width },
        sql_type,
        collation_name,
        nullable: get("IS_NULLABLE").eq_ignore_ascii_case("YES"),
        // the expression, until the whole table is known
        generated_from: if expression.is_empty() { Vec::new() } else { vec![expression] },
        invisible: get("EXTRA").to_ascii_uppercase().contains("INVISIBLE"),
    })
}

/// Puts the columns that a generated column reads, through other generated ones, in place of its expression.
fn resolve_generated(columns: &mut [CatalogColumn]) {
    let names: Vec<String> = columns.iter().map(|c| c.column.name.clone()).collect();
    let direct: BTreeMap<String, Vec<String>> = columns
        .iter()
        .filter_map(|c| Some((c.column.name.to_lowercase(), mentioned(c.generated_from.first()?, &names))))
        .collect();
    for column in columns.iter_mut().filter(|c| !c.generated_from.is_empty()) {
        let mut bases: Vec<String> = Vec::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut todo = vec![column.column.name.clone()];
        while let Some(name) = todo.pop() {
            if !seen.insert(name.to_lowercase()) {
                continue;
            }
            match direct.get(&name.to_lowercase()) {
                Some(reads) => todo.extend(reads.iter().cloned()),
                None => bases.push(name),
            }
        }
        bases.sort();
        column.generated_from = bases;
    }
}

/// The columns that an expression names in backticks, as the server prints them.
fn mentioned(expression: &str, names: &[String]) -> Vec<String> {
    let lower = expression.to_lowercase();
    let quoted = |name: &&String| lower.contains(&format!("`{}`", name.to_lowercase().replace('`', "``")));
    names.iter().filter(quoted).cloned().collect()
}

/// The kind of a DATA_TYPE in lower case.
fn kind_of(data_type: &str) -> Option<ColumnKind> {
    Some(match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => ColumnKind::Int,
        "decimal" | "numeric" => ColumnKind::Decimal,
        "float" => ColumnKind::Float,
        "double" | "real" => ColumnKind::Double,
        "bit" => ColumnKind::Bit,
        "year" => ColumnKind::Year,
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time,
        "datetime" => ColumnKind::DateTime,
        "timestamp" => ColumnKind::Timestamp,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => ColumnKind::Text,
        // MariaDB's are stored and logged as so many bytes
        "binary" | "uuid" | "inet6" | "inet4" => ColumnKind::FixedBinary,
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnKind::Binary,
        "enum" => ColumnKind::Enum,
        "set" => ColumnKind::Set,
        "json" => ColumnKind::Json,
        "vector" => ColumnKind::Vector,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geomcollection" | "geometrycollection" => ColumnKind::Geometry,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(name: &str, expression: &str) -> CatalogColumn {
        CatalogColumn {
            column: Column {
                name: name.into(),
                kind: ColumnKind::Int,
                unsigned: false,
                collation: None,
                width: 0,
            },
            sql_type: "int".into(),
            collation_name: None,
            nullable: true,
            generated_from: if expression.is_empty() { Vec::new() } else { vec![expression.into()] },
            invisible: false,
        }
    }

    #[test]
    fn generated_columns_reach_their_bases() {
        let mut columns = vec![
            generated("a", ""),
            generated("B`x", ""),
            generated("g", "(`a` + `b``x`)"),
            generated("h", "(`g` * `a`)"),
            generated("constant", "(1 + 1)"),
        ];
        resolve_generated(&mut columns);
        assert_eq!(columns[3].generated_from, ["B`x", "a"]);
        assert_eq!(columns[2].generated_from, ["B`x", "a"]);
        assert!(columns[0].generated_from.is_empty() && columns[4].generated_from.is_empty());
    }
}
