//! The schema of everything that a query reads: of its views' tables too, and of what stands behind logical names.

use super::prepare::Obstacle;
use crate::mapping::ParsedQuery;
use crate::model::Catalog;
use crate::source::Source;

/// Asks until no table names another one that is not known yet.
pub(super) async fn catalog(source: &Source, parsed: &ParsedQuery) -> Result<Catalog, Obstacle> {
    let mut wanted = parsed.tables();
    let known = source.tables_of(&parsed.rewritten_schemas()).await?;
    loop {
        let catalog = source.catalog(&wanted).await?;
        let mut more = parsed.more_tables(&catalog, &known)?;
        // what was asked for and is not there is said when the query is compiled
        more.retain(|table| !wanted.contains(table));
        if more.is_empty() {
            return Ok(catalog);
        }
        wanted.extend(more);
    }
}
