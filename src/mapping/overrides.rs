//! Entries of `mapping.tables`: what the user says goes before what is derived.

use std::collections::BTreeSet;

use super::compat;
use super::compile::{Build, watched};
use super::error::MappingError;
use super::keys;
use super::lookup::{Lookup, Source};
use super::plan::{Action, Events, Rule};
use super::query::{LookupRule, TableAction, Template, main_select};
use super::scope::{Occurrence, column_of, same_column};
use super::sharding::shown;
use crate::model::{CatalogColumn, TableName};

/// Adds a rule for each of these entries that says more than which columns matter.
pub(super) fn apply(build: &mut Build<'_, '_>, entries: &BTreeSet<TableName>) -> Result<(), MappingError> {
    let parsed = build.parsed;
    for (written, entry) in parsed.rules.iter().filter(|(name, _)| entries.contains(*name)) {
        let table = build.analysis.names.canonical(written);
        for name in &entry.columns {
            known(build, &table, name)?;
        }
        let action = match &entry.action {
            TableAction::Derived => continue,
            TableAction::Ignore => {
                let table = TableName::new(shown(&table.schema), shown(&table.table));
                if !build.rules.ignored.contains(&table) {
                    build.rules.ignored.push(table);
                }
                continue;
            }
            TableAction::All => Action::Rebuild,
            TableAction::Column(columns) => {
                check_columns(build, &table, columns)?;
                Action::Direct(columns.clone())
            }
            TableAction::Lookup(rule) => {
                let lookup = lookup(build, &table, rule)?;
                Action::Lookup(build.rules.lookup(lookup), vec![rule.key.clone()])
            }
        };
        let watched = watched_by(build, &table, action.columns());
        build.add(&table, Rule { origin: "mapping.tables".to_owned(), watched, events: Events::All, action });
    }
    Ok(())
}

fn fail(table: &TableName, found: String, remedy: &str) -> MappingError {
    MappingError::Rule { table: table.clone(), found, remedy: remedy.to_owned() }
}

/// The columns that the query reads of the table, with those of the rule; all where the query does not read it.
fn watched_by(build: &Build<'_, '_>, table: &TableName, columns: &[String]) -> Option<Vec<String>> {
    let mut all: Vec<String> = columns.to_vec();
    let is_it = |o: &&Occurrence<'_>| o.table == *table || build.logical(&o.table) == *table;
    let mut used = build.analysis.occurrences.iter().filter(is_it).peekable();
    used.peek()?;
    for occurrence in used {
        all.extend(watched(occurrence)?);
    }
    all.sort();
    all.dedup();
    Some(all)
}

fn known<'c>(
    build: &Build<'_, 'c>,
    table: &TableName,
    name: &str,
) -> Result<&'c CatalogColumn, MappingError> {
    let missing = |found: &str| fail(table, found.to_owned(), "correct the name, or grant SELECT on it");
    let catalog = build.analysis.names.table(table).ok_or_else(|| missing("the server has no such table"))?;
    let at = column_of(catalog, name).and_then(|at| catalog.columns.get(at));
    at.ok_or_else(|| missing(&format!("the table has no column {name}")))
}

fn check_columns(build: &Build<'_, '_>, table: &TableName, columns: &[String]) -> Result<(), MappingError> {
    if columns.len() != build.key.len() {
        let found = format!("column names {} columns, the key has {}", columns.len(), build.key.len());
        return Err(fail(table, found, "name one column per column of query.key"));
    }
    for (name, at) in columns.iter().zip(build.key) {
        let column = known(build, table, name)?;
        let key = build.analysis.occurrences.get(at.occurrence).and_then(|o| o.column(at.column));
        if let Some(key) = key.filter(|key| !compat::same_family(column, key)) {
            let found = format!("column {name} is {}, the main key is {}", column.sql_type, key.sql_type);
            return Err(fail(table, found, "name a column that holds the main key, or write `all: true`"));
        }
    }
    Ok(())
}

fn lookup(build: &Build<'_, '_>, table: &TableName, rule: &LookupRule) -> Result<Lookup, MappingError> {
    let fail = |found: String| {
        fail(
            table,
            found,
            "write a SELECT of the main key's columns with one `IN (:keys)` on the table's column",
        )
    };
    let column = known(build, table, &rule.key)?;
    compat::keyable(column).map_err(|why| fail(format!("its column {} cannot be bound: {why}", rule.key)))?;
    let place = "mapping.tables[].lookup.sql";
    let database = build.parsed.input.database.as_deref();
    let marked = build.parsed.shards.mark(place, &rule.sql)?;
    let (text, query, _) =
        Template::read(place, &marked, database, true).map_err(|e| fail(format!("lookup: {e}")))?;
    let select = main_select(&query, false).map_err(|e| fail(format!("lookup: {e}")))?;
    let names: Option<Vec<String>> = select.projection.iter().map(output_name).collect();
    let names = names.filter(|names| names.len() == build.key.len());
    let key =
        names.ok_or_else(|| fail("lookup does not select one named column per key column".to_owned()))?;
    if let (Some(order), Some(first)) = (&rule.order_key, key.first())
        && !same_column(order, first)
    {
        return Err(fail(format!("lookup.orderKey is {order}, but pages are cut by the main key, {first}")));
    }
    let markers = build.key.iter().filter_map(|at| {
        let column = build.analysis.occurrences.get(at.occurrence)?.column(at.column)?;
        Some(keys::marker(column.column.kind, &column.sql_type))
    });
    let (head, tail) = text.around_mark();
    Ok(Lookup {
        table: table.clone(),
        columns: vec![rule.key.clone()],
        path: "mapping.tables".to_owned(),
        page_size: rule.page_size,
        max_pages: rule.max_pages.unwrap_or(1),
        source: Source::Text { head, tail, key, markers: markers.collect() },
    })
}

fn output_name(item: &sqlparser::ast::SelectItem) -> Option<String> {
    use super::scope::column_parts;
    use sqlparser::ast::SelectItem as S;
    match item {
        S::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        S::UnnamedExpr(expr) => column_parts(expr)?.last().map(|ident| ident.value.clone()),
        _ => None,
    }
}
