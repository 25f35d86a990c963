//! What a query means with other columns in its tables: does DDL change which columns its names stand for?

use std::collections::BTreeMap;

use super::keys::KeyColumn;
use super::lookup::Lookup;
use super::plan::{Plan, Rule};
use super::scope::{canonical, column_of};
use crate::model::{CatalogColumn, CatalogTable, Column, TableName};

/// Which columns a query refers to and how their changes find documents. It differs wherever a column without
/// its table's name has come to stand for another one, as that is among the watched ones then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Meaning {
    key: Vec<KeyColumn>,
    key_output: Vec<usize>,
    outputs: Vec<String>,
    lookups: Vec<Lookup>,
    rules: BTreeMap<TableName, Vec<Rule>>,
}

/// The meaning of a plan's query where its tables have these columns; in words, why it has none. Of the tables
/// behind a name with variables, `changed` stands for all.
pub(super) fn meaning(
    plan: &Plan,
    columns: &BTreeMap<TableName, Vec<Column>>,
    changed: &TableName,
) -> Result<Meaning, String> {
    let mut catalog = plan.catalog.clone();
    let siblings = plan.siblings(changed);
    for (name, table) in &mut catalog.tables {
        let stands_in = siblings.contains(&canonical(name, plan.fold));
        let wanted = if stands_in { changed } else { name };
        let same = |other: &TableName| canonical(other, plan.fold) == canonical(wanted, plan.fold);
        if let Some((_, columns)) = columns.iter().find(|(other, _)| same(other)) {
            table.columns = columns.iter().map(|column| described(column, table)).collect();
        }
    }
    let plan = plan.parsed.compile(&catalog).map_err(|error| error.to_string())?;
    Ok(Meaning {
        key: plan.key,
        key_output: plan.key_output,
        outputs: plan.outputs,
        lookups: plan.lookups,
        rules: plan.tables.into_iter().map(|(name, table)| (name, table.rules)).collect(),
    })
}

/// The column as the server describes it; one that it does not have (any longer) as far as it is known.
fn described(column: &Column, table: &CatalogTable) -> CatalogColumn {
    let known = column_of(table, &column.name).and_then(|at| table.columns.get(at));
    known.cloned().unwrap_or_else(|| CatalogColumn {
        column: column.clone(),
        sql_type: String::new(),
        collation_name: None,
        nullable: true,
        generated_from: Vec::new(),
        invisible: false,
    })
}
