//! Is the main query separable by key: does a row's content not depend on which other ids are read with it?

use super::analysis::{Analysis, Main};
use super::error::MappingError;
use super::scope::{ColRef, same_column};
use crate::model::ColumnKind;

/// Refuses groups and windows of the main block that can span several keys.
pub(super) fn check(analysis: &Analysis<'_>, main: &Main<'_>, key: &[ColRef]) -> Result<(), MappingError> {
    if main.facts.aggregated && !main.facts.grouped {
        return Err(MappingError::not_separable(
            "an aggregate without GROUP BY makes one row of all ids",
            "aggregate in a subquery that is correlated with the key, or group by the key",
        ));
    }
    let covers = Covers { analysis, main, key };
    if main.facts.grouped && !covers.key(&main.facts.group) {
        return Err(MappingError::not_separable(
            "GROUP BY does not contain the key, so a group can span several ids",
            "add the key's column to GROUP BY",
        ));
    }
    if !main.facts.windows.iter().all(|partition| covers.key(partition)) {
        return Err(MappingError::not_separable(
            "a window is not partitioned by the key, so it spans several ids",
            "add the key's column to PARTITION BY",
        ));
    }
    spellings(&covers)
}

/// Where a key's text is not unique, its collation can put rows of several spellings into one group, each of which
/// is a document of its own.
fn spellings(covers: &Covers<'_, '_>) -> Result<(), MappingError> {
    let Some(first) = covers.key.first() else { return Ok(()) };
    let Some(table) = covers.analysis.occurrences.get(first.occurrence) else { return Ok(()) };
    let columns: Vec<_> = covers.key.iter().filter_map(|at| table.column(at.column)).collect();
    let primary = &table.catalog.primary_key;
    let held = |name: &String| columns.iter().any(|c| same_column(&c.column.name, name));
    let unique = !primary.is_empty() && primary.iter().all(held);
    match columns.iter().find(|c| c.column.kind == ColumnKind::Text) {
        Some(text) if !unique && covers.main.facts.merges() => Err(MappingError::not_separable(
            format!(
                "the key's text column {} is not unique, so GROUP BY, DISTINCT or a window can join several spellings",
                text.column.name
            ),
            "use the primary key as query.key, or take the grouping out",
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
