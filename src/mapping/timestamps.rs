//! Columns of type TIMESTAMP whose values leave the binlog for a statement: their text depends on the session's zone.

use super::plan::{Action, Plan};
use crate::model::{ColumnKind, TableName};

impl Plan {
    /// Every TIMESTAMP by whose value documents are found, in its table.
    pub fn bound_timestamps(&self) -> Vec<(TableName, String)> {
        let mut found = Vec::new();
        for plan in self.tables.values() {
            for rule in &plan.rules {
                let (Action::Direct(columns) | Action::Lookup(_, columns)) = &rule.action else { continue };
                let is = |name: &&String| {
                    let column = plan.columns.iter().find(|c| c.column.name == **name);
                    column.is_some_and(|c| c.column.kind == ColumnKind::Timestamp)
                };
                found.extend(columns.iter().filter(is).map(|name| (plan.table.clone(), name.clone())));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}
