//! The plan in words.

use std::fmt::Write as _;

use super::plan::{Action, Events, Plan, Rule};
use crate::model::{TableMapping, TableName};

impl Plan {
    /// The plan for people: for each table its rule, the columns that matter, and the lookup's SQL.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        let key: Vec<String> =
            self.key.iter().map(|k| format!("{} ({}, {})", k.output, k.name, k.sql_type)).collect();
        line(&mut out, 0, &format!("main table {}, key {}", self.main, key.join(", ")));
        for plan in self.tables.values() {
            line(&mut out, 0, &plan.table.to_string());
            for rule in &plan.rules {
                line(&mut out, 1, &self.rule(&plan.table, rule));
                if let Action::Lookup(number, _) = rule.action
                    && let Some(lookup) = self.lookups.get(number)
                {
                    line(&mut out, 2, &format!("path: {}", lookup.path));
                    let sql = super::sharding::shown(&lookup.sql(1, false, lookup.page_size.unwrap_or(1000)));
                    line(&mut out, 2, &format!("sql: {sql}"));
                }
                line(&mut out, 2, &format!("matters: {}", matters(rule)));
            }
        }
        for table in &self.ignored {
            line(&mut out, 0, &format!("{table}\n  ignored by mapping.tables"));
        }
        for warning in &self.warnings {
            line(&mut out, 0, &format!("warning: {warning}"));
        }
        out
    }

    /// For each table its rules and the columns that matter.
    pub fn rules_in_words(&self) -> Vec<TableMapping> {
        let of = |table: &TableName, rule: &str, matters: &str| TableMapping {
            table: table.to_string(),
            rule: rule.to_owned(),
            matters: matters.to_owned(),
        };
        let rules = self.tables.values().flat_map(|plan| plan.rules.iter().map(|rule| (&plan.table, rule)));
        let rules = rules.map(|(table, rule)| of(table, &self.rule(table, rule), &matters(rule)));
        rules.chain(self.ignored.iter().map(|table| of(table, "ignored by mapping.tables", ""))).collect()
    }

    fn is_main(&self, origin: &str) -> bool {
        self.walks.iter().any(|walk| super::sharding::shown(&walk.alias) == origin)
    }

    fn rule(&self, table: &TableName, rule: &Rule) -> String {
        let origin = &rule.origin;
        match &rule.action {
            Action::Direct(columns) if *table == self.main && self.is_main(origin) => {
                format!("main ({origin}): its own {}", columns.join(", "))
            }
            Action::Direct(columns) => format!("direct ({origin}): {} is the key", columns.join(", ")),
            Action::Lookup(_, columns) => format!("lookup ({origin}): by {}", columns.join(", ")),
            Action::Rebuild => format!("all ({origin}): any change starts a Full"),
        }
    }
}

fn matters(rule: &Rule) -> String {
    let columns = rule.watched.as_ref().map_or_else(|| "every column".to_owned(), |names| names.join(", "));
    match rule.events {
        Events::All => columns,
        Events::Cascade { on_delete, on_update } => {
            let delete = on_delete.then(|| "DELETE".to_owned());
            let update = on_update.then(|| format!("UPDATE of {columns}"));
            [delete, update].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}{text}", "  ".repeat(depth));
}
