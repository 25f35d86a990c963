//! Foreign keys that act on children without a trace in the binlog: a parent's change is taken as the children's.
//!
//! The rows that a cascade removed cannot be asked any more, so ids are derived only where the child's rule needs
//! nothing but the referencing columns, whose values are the parent's. Elsewhere a warning says what can go stale.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::table_plan;
use super::plan::{Action, Events, Rule, TablePlan};
use super::scope::{Names, same_column};
use crate::model::{ForeignKey, TableName};

/// Adds the rules of parents; returns warnings for what cannot be derived.
pub(super) fn add(tables: &mut BTreeMap<TableName, TablePlan>, names: Names<'_>) -> Vec<String> {
    let mut warnings = BTreeSet::new();
    let mut todo: Vec<(TableName, Rule)> = tables
        .iter()
        .flat_map(|(name, plan)| plan.rules.iter().map(|rule| (name.clone(), rule.clone())))
        .collect();
    while let Some((child, rule)) = todo.pop() {
        let Some(catalog) = names.table(&child) else {
            warnings.insert(format!(
                "foreign keys of {child} are unknown: rows that a cascade from it removes may go unseen"
            ));
            continue;
        };
        for key in catalog.foreign_keys.iter().filter(|key| concerns(&rule, key)) {
            match parent_rule(&child, &rule, key) {
                Some(added) => {
                    let parent = names.canonical(&key.parent);
                    let plan = table_plan(tables, &parent, names);
                    if !plan.rules.contains(&added) {
                        plan.rules.push(added.clone());
                        todo.push((parent, added));
                    }
                }
                None => {
                    warnings.insert(warning(&child, &rule, key));
                }
            }
        }
    }
    warnings.into_iter().collect()
}

/// Can this foreign key change rows of the child in a way that the rule must answer?
fn concerns(rule: &Rule, key: &ForeignKey) -> bool {
    let watches = |name: &String| match &rule.watched {
        None => true,
        Some(watched) => {
            watched.iter().chain(rule.action.columns()).any(|watched| same_column(watched, name))
        }
    };
    let answers_update = matches!(rule.events, Events::All | Events::Cascade { on_update: true, .. });
    // SET NULL counts as a delete here: it changes the referencing columns, a CASCADE the whole row.
    key.acts_on_delete || (key.acts_on_update && answers_update && key.columns.iter().any(watches))
}

fn parent_rule(child: &TableName, rule: &Rule, key: &ForeignKey) -> Option<Rule> {
    let parent_of = |name: &String| {
        let at = key.columns.iter().position(|column| same_column(column, name))?;
        key.parent_columns.get(at).cloned()
    };
    let columns: Vec<String> = rule.action.columns().iter().map(parent_of).collect::<Option<_>>()?;
    let action = match &rule.action {
        Action::Direct(_) => Action::Direct(columns),
        Action::Lookup(number, _) => Action::Lookup(*number, columns),
        Action::Rebuild => Action::Rebuild,
    };
    Some(Rule {
        origin: format!("foreign key of {child}"),
        watched: Some(key.parent_columns.clone()),
        events: Events::Cascade { on_delete: key.acts_on_delete, on_update: key.acts_on_update },
        action,
    })
}

fn warning(child: &TableName, rule: &Rule, key: &ForeignKey) -> String {
    format!(
        "changes that a foreign key makes in {child} are not in this server's binlog: when a row of {} is deleted \
         or its key is changed, documents found by {child} ({}) can go stale; delete the children first, or give {} \
         a `lookup` or `all: true` in mapping.tables",
        key.parent,
        rule.action.columns().join(", "),
        key.parent
    )
}
