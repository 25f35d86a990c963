//! Is the main query separable by key: does a row's content not depend on which other ids are read with it?

use super::analysis::{Analysis, Main};
use super::compat;
use super::error::MappingError;
use super::scope::{ColRef, same_column};

/// Refuses groups and windows of the main block that can span several keys.
pub(super) fn check(analysis: &Analysis<'_>, main: &Main<'_>, key: &[ColRef]) -> Result<(), MappingError> {
    if main.facts.aggregated && !main.facts.grouped {
        return Err(MappingError::not_separable(
            "an aggregate without GROUP BY makes one row of all ids",
            "aggregate in a subquery that is correlated with the key, group by the key, or set query.batch: One",
        ));
    }
    let covers = Covers { analysis, main, key };
    if main.facts.grouped && !covers.key(&main.facts.group) {
        return Err(MappingError::not_separable(
            "GROUP BY does not contain the key, so a group can span several ids",
            "add the key's column to GROUP BY, or set query.batch: One",
        ));
    }
    if !main.facts.windows.iter().all(|partition| covers.key(partition)) {
        return Err(MappingError::not_separable(
            "a window is not partitioned by the key, so it spans several ids",
            "add the key's column to PARTITION BY, or set query.batch: One",
        ));
    }
    Ok(())
}

/// Where a key's text is not unique, its collation can call several spellings equal, each of which is a document of
/// its own: grouping joins them, and what is asked for by one of them says nothing of the others.
pub(super) fn spellings(analysis: &Analysis<'_>, key: &[ColRef]) -> Result<(), MappingError> {
    let Some(first) = key.first() else { return Ok(()) };
    let Some(table) = analysis.occurrences.get(first.occurrence) else { return Ok(()) };
    let columns: Vec<_> = key.iter().filter_map(|at| table.column(at.column)).collect();
    let held = |index: &Vec<String>| {
        !index.is_empty()
            && index.iter().all(|name| columns.iter().any(|c| same_column(&c.column.name, name)))
    };
    let unique = held(&table.catalog.primary_key) || table.catalog.unique_keys.iter().any(held);
    match columns.iter().find(|c| !compat::exact(c)) {
        Some(text) if !unique => Err(MappingError::not_separable(
            format!(
                "the key's text column {} is not unique, and its collation calls several spellings equal",
                text.column.name
            ),
            "use the primary key as query.key, or give the column a unique index or the collation utf8mb4_0900_bin",
        )),
        _ => Ok(()),
    }
}

struct Covers<'a, 'c> {
    analysis: &'a Analysis<'c>,
    main: &'a Main<'a>,
    key: &'a [ColRef],
}

impl Covers<'_, '_> {
    /// Do these columns hold every key column, or the main table's primary key, which decides them?
    fn key(&self, columns: &[(usize, String)]) -> bool {
        let bases: Vec<ColRef> = columns
            .iter()
            .filter_map(|local| Analysis::base_column(&self.main.scope, local, &self.analysis.occurrences))
            .collect();
        if self.key.iter().all(|at| bases.contains(at)) {
            return true;
        }
        let Some(first) = self.key.first() else { return false };
        let Some(table) = self.analysis.occurrences.get(first.occurrence) else { return false };
        let held = |name: &String| {
            let mut own = bases.iter().filter(|at| at.occurrence == first.occurrence);
            own.any(|at| table.column(at.column).is_some_and(|c| same_column(&c.column.name, name)))
        };
        !table.catalog.primary_key.is_empty() && table.catalog.primary_key.iter().all(held)
    }
}
