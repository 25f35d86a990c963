//! Indexes and foreign keys of the catalog.

use std::collections::BTreeMap;

use crate::model::{CatalogTable, ForeignKey, TableName};

use super::catalog::{among, fold, name_at};
use super::session::{Session, text, text_at};
use super::{Result, create_table};

/// Reads every index that an equality can use; of an index with an expression, the columns before it.
pub(super) async fn read_indexes(
    session: &mut Session<'_>,
    here: &str,
    folds: bool,
    found: &mut BTreeMap<TableName, CatalogTable>,
) -> Result<()> {
    let sql = format!(
        "SELECT * FROM information_schema.STATISTICS WHERE {here} ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
    );
    // per table: the last index's name, and whether an expression has ended it
    let mut last: BTreeMap<TableName, (String, bool)> = BTreeMap::new();
    let mut unique = Vec::new();
    for row in session.rows("reading information_schema.STATISTICS", &sql).await? {
        let get = |name: &str| text(&row, name).unwrap_or_default();
        let name = fold(&TableName::new(get("TABLE_SCHEMA"), get("TABLE_NAME")), folds);
        let Some(table) = found.get_mut(&name) else { continue };
        let hidden = get("IS_VISIBLE") == "NO" || get("IGNORED") == "YES";
        if hidden || matches!(get("INDEX_TYPE").as_str(), "FULLTEXT" | "SPATIAL" | "VECTOR") {
            continue;
        }
        let index = get("INDEX_NAME");
        if get("NON_UNIQUE") == "0" && index != "PRIMARY" {
            let whole = text(&row, "COLUMN_NAME").is_some()
                && text(&row, "SUB_PART").is_none()
                && get("NULLABLE") != "YES";
            unique.push((name.clone(), index.clone(), get("COLUMN_NAME"), whole));
        }
        let state = last.entry(name).or_default();
        let column = text(&row, "COLUMN_NAME");
        if state.0 != index {
            *state = (index, false);
            table.indexes.extend(column.is_some().then(Vec::new));
        }
        match (column, table.indexes.last_mut()) {
            (Some(column), Some(columns)) if !state.1 => {
                if state.0 == "PRIMARY" {
                    table.primary_key.push(column.clone());
                }
                columns.push(column);
            }
            _ => state.1 = true,
        }
    }
    unique_keys(found, &unique);
    Ok(())
}

/// Those unique indexes whose columns are whole and never NULL.
fn unique_keys(found: &mut BTreeMap<TableName, CatalogTable>, unique: &[(TableName, String, String, bool)]) {
    let mut indexes: BTreeMap<(&TableName, &str), Option<Vec<String>>> = BTreeMap::new();
    for (table, index, column, whole) in unique {
        let columns = indexes.entry((table, index)).or_insert_with(|| Some(Vec::new()));
        match columns {
            Some(columns) if *whole => columns.push(column.clone()),
            _ => *columns = None,
        }
    }
    for ((table, _), columns) in indexes {
        if let (Some(table), Some(columns)) = (found.get_mut(table), columns) {
            table.unique_keys.push(columns);
        }
    }
}

/// Reads the foreign keys of these tables.
pub(super) async fn read_foreign_keys(
    session: &mut Session<'_>,
    tables: &[TableName],
    folds: bool,
    found: &mut BTreeMap<TableName, CatalogTable>,
) -> Result<()> {
    let here = among(tables, "k.TABLE_SCHEMA", "k.TABLE_NAME");
    let sql = format!(
        "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, \
                k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE \
           FROM information_schema.KEY_COLUMN_USAGE k \
           JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA \
                AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME \
          WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND {here} \
          ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"
    );
    let acts = |rule: Option<String>| rule.is_some_and(|rule| !matches!(&*rule, "NO ACTION" | "RESTRICT"));
    let mut last: Option<(TableName, String)> = None;
    for row in session.rows("reading foreign keys", &sql).await? {
        let child = name_at(&row, 0, folds);
        let Some(table) = found.get_mut(&child) else { continue };
        let this = (child, text_at(&row, 4).unwrap_or_default());
        if last.as_ref() != Some(&this) {
            table.foreign_keys.push(ForeignKey {
                columns: Vec::new(),
                parent: name_at(&row, 2, folds),
                parent_columns: Vec::new(),
                acts_on_delete: acts(text_at(&row, 7)),
                acts_on_update: acts(text_at(&row, 8)),
            });
            last = Some(this);
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.extend(text_at(&row, 5));
            key.parent_columns.extend(text_at(&row, 6));
        }
    }
    Ok(())
}

/// Reads the foreign keys of these tables where information_schema may hide them.
///
/// # Errors
/// Also where the account may not see how a table is made: what its cascades change would go by unseen.
pub(super) async fn read_hidden_foreign_keys(
    session: &mut Session<'_>,
    folds: bool,
    found: &mut BTreeMap<TableName, CatalogTable>,
) -> Result<()> {
    for (name, table) in found.iter_mut().filter(|(_, table)| !table.is_view) {
        let sql = format!("SHOW CREATE TABLE {}", name.quoted());
        let rows =
            session.rows(&format!("reading the foreign keys of {name} (SHOW CREATE TABLE)"), &sql).await?;
        let statement = rows.first().and_then(|row| text_at(row, 1)).unwrap_or_default();
        table.foreign_keys = create_table::foreign_keys(&statement, &name.schema);
        for key in &mut table.foreign_keys {
            key.parent = fold(&key.parent, folds);
        }
    }
    Ok(())
}
