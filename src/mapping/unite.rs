//! The schema under the names that the SQL uses: the tables behind a name with variables must be alike, and stand
//! as one.

use std::collections::BTreeMap;

use super::error::MappingError;
use super::query::ParsedQuery;
use super::scope::{Names, column_of};
use super::sharding::{is_template, shown};
use crate::model::{Catalog, CatalogTable, TableName};

/// A catalog with an entry for each name of the SQL and of the rules.
pub(super) struct United {
    pub catalog: Catalog,
    /// Each physical table behind another name, and that name as the SQL has it.
    pub physical: BTreeMap<TableName, TableName>,
    /// The logical name of each name that the SQL has.
    pub logical: BTreeMap<TableName, TableName>,
}

pub(super) fn unite(parsed: &ParsedQuery, catalog: &Catalog) -> Result<United, MappingError> {
    let mut united = United { catalog: catalog.clone(), physical: BTreeMap::new(), logical: BTreeMap::new() };
    let names = Names::new(catalog);
    for (name, tables) in parsed.templates().filter(|(name, _)| is_template(name)) {
        let Some(first) = tables.first() else { continue };
        let own = TableName::new(shown(&name.schema), shown(&name.table));
        let logical = parsed.rewrites.logical(first).unwrap_or(own);
        let table = alike(&logical, &tables, names)?;
        united.catalog.tables.entry(logical.clone()).or_insert_with(|| table.clone());
        united.catalog.tables.insert(names.canonical(name), table);
        united.physical.extend(tables.into_iter().map(|table| (table, names.canonical(name))));
        united.logical.insert(names.canonical(name), logical);
    }
    for name in parsed.rules.keys().filter(|name| names.table(name).is_none() && !is_template(name)) {
        let mut all = catalog.tables.iter();
        let hit = all.find(|(physical, _)| parsed.rewrites.logical(physical).as_ref() == Some(name));
        if let Some((_, table)) = hit {
            united.catalog.tables.entry(name.clone()).or_insert_with(|| table.clone());
        }
    }
    let parents: BTreeMap<TableName, TableName> = united
        .physical
        .iter()
        .filter_map(|(t, n)| Some((t.clone(), united.logical.get(n)?.clone())))
        .collect();
    for table in united.catalog.tables.values_mut() {
        for key in &mut table.foreign_keys {
            if let Some(logical) = parents.get(&key.parent) {
                key.parent = logical.clone();
            }
        }
    }
    Ok(united)
}

/// One table for all: the columns that each of them has.
fn alike(logical: &TableName, tables: &[TableName], names: Names<'_>) -> Result<CatalogTable, MappingError> {
    let fail = |found: String, remedy: &str| MappingError::Shards {
        table: logical.to_string(),
        found,
        remedy: remedy.to_owned(),
    };
    let mut one: Option<CatalogTable> = None;
    for name in tables {
        let table = names.table(name).ok_or_else(|| {
            fail(format!("{name} is not there"), "create it, grant SELECT on it, or correct mapping.sharding")
        })?;
        let Some(one) = &mut one else {
            one = Some(table.clone());
            continue;
        };
        one.columns.retain(|column| column_of(table, &column.column.name).is_some());
        for column in &one.columns {
            let other = column_of(table, &column.column.name).and_then(|at| table.columns.get(at));
            if let Some(other) = other.filter(|other| {
                (other.column.kind, &other.collation_name, other.column.width)
                    != (column.column.kind, &column.collation_name, column.column.width)
            }) {
                let name_of = &column.column.name;
                let found =
                    format!("{name}.{name_of} is {}, elsewhere it is {}", other.sql_type, column.sql_type);
                return Err(fail(found, "give all of them the same columns"));
            }
        }
        if one.primary_key != table.primary_key {
            return Err(fail(format!("{name} has another primary key"), "give all of them the same"));
        }
        one.indexes.retain(|index| table.indexes.contains(index));
    }
    one.ok_or_else(|| fail("there is none".to_owned(), "correct mapping.sharding"))
}
