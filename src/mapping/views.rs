//! Views: a view is the SELECT that it stands for.

use std::collections::BTreeSet;

use sqlparser::ast::Query;

use super::error::{MappingError, fragment};
use super::query::{ParsedQuery, parse_query};
use super::survey::survey;
use super::syntax;
use super::text::Lexed;
use crate::model::{Catalog, CatalogTable, TableName};

impl ParsedQuery {
    /// Tables that the catalog lacks and the query needs nevertheless: those of its views, and the physical ones
    /// (among `known`) of logical names that only `mapping.tables` knows. Empty once the catalog is complete.
    ///
    /// # Errors
    /// A view whose SELECT cannot be read.
    pub fn more_tables(
        &self,
        catalog: &Catalog,
        known: &[TableName],
    ) -> Result<Vec<TableName>, MappingError> {
        let mut wanted = BTreeSet::new();
        for (name, view) in catalog.tables.iter().filter(|(_, table)| table.is_view) {
            wanted.extend(definition(name, view, self.input.volatile_allowed)?.1);
        }
        let logical = |physical: &&TableName| {
            self.rewrites.logical(physical).is_some_and(|name| self.rules.contains_key(&name))
        };
        wanted.extend(known.iter().filter(logical).cloned());
        let names = super::scope::Names::new(catalog);
        Ok(wanted.into_iter().filter(|name| names.table(name).is_none()).collect())
    }
}

/// The SELECT of a view, and the tables that it names.
pub(super) fn definition(
    name: &TableName,
    view: &CatalogTable,
    volatile_allowed: bool,
) -> Result<(Box<Query>, BTreeSet<TableName>), MappingError> {
    let fail = |found: String, remedy: &str| MappingError::Table {
        table: name.to_string(),
        found,
        remedy: remedy.to_owned(),
    };
    if view.view_text.is_empty() {
        return Err(fail(
            "it is a view whose SELECT the server does not show".to_owned(),
            "GRANT SHOW VIEW on it, or write the view's SELECT in its place",
        ));
    }
    let remedy = "write the view's SELECT in its place";
    let read = || {
        let lexed = Lexed::new("the view", &view.view_text)?;
        syntax::check_tokens(&lexed)?;
        let query = parse_query("the view", &view.view_text)?;
        let survey = survey(&query, Some(&name.schema), volatile_allowed)?;
        Ok((query, survey.tables))
    };
    read().map_err(|error: MappingError| {
        let words = error.to_string().replace("query.sql", "its SELECT");
        fail(format!("it is a view that is not understood ({}): {words}", fragment(&view.view_text)), remedy)
    })
}
