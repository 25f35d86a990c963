//! From a parsed query and a schema to a plan.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{BinaryOperator, Expr, Select, Value};

use super::analysis::{Analysis, Main};
use super::error::{MappingError, fragment};
use super::keys::{self, KeyColumn};
use super::lookup::{self, Lookup};
use super::paths::{self, Route, Routes};
use super::plan::{Action, Events, Plan, Rule, TablePlan, hash};
use super::query::{ParsedQuery, TableAction, main_select};
use super::scope::{ColRef, Found, Names, Occurrence, Resolver, column_of, column_parts, same_column};
use super::walk::WalkText;
use super::{cascade, overrides, separable};
use crate::model::{Catalog, CatalogColumn, CatalogTable, TableName};

pub(super) fn compile(parsed: &ParsedQuery, catalog: &Catalog) -> Result<Plan, MappingError> {
    let names = Names::new(catalog);
    let select = main_select(&parsed.query)?;
    let mut analysis = Analysis::new(names, parsed.input.database.as_deref());
    let main = analysis.main(&parsed.query, select)?;
    let key = key_columns(&analysis, &main, select)?;
    let outputs = key_outputs(parsed, &analysis, &main, &key)?;
    separable::check(&analysis, &main, &key)?;
    let routes = paths::routes(&analysis, &key);
    let mut build = Build {
        parsed,
        analysis: &analysis,
        key: &key,
        routes: &routes,
        lookups: vec![],
        tables: BTreeMap::new(),
        ignored: vec![],
    };
    overrides::apply(&mut build)?;
    build.derive()?;
    let mut warnings = build.index_warnings();
    if !catalog.cascades_logged {
        warnings.extend(cascade::add(&mut build.tables, names));
    }
    let (head, tail) = parsed.text.around_mark();
    let Build { lookups, tables, ignored, .. } = build;
    Ok(Plan {
        main: occurrence(&analysis, &key).map(|o| o.table.clone()).unwrap_or_default(),
        key: described(parsed, &analysis, &key),
        key_output: outputs,
        head,
        tail,
        walk: walk_text(parsed, &analysis, &main, &key),
        lookups,
        tables,
        ignored,
        warnings,
        fold: names.fold(),
        hash: hash(&parsed.input),
        parsed: parsed.clone(),
        catalog: catalog.clone(),
    })
}

fn occurrence<'a, 'c>(analysis: &'a Analysis<'c>, key: &[ColRef]) -> Option<&'a Occurrence<'c>> {
    analysis.occurrences.get(key.first()?.occurrence)
}

/// The columns before `IN (?)`, which must stand as a condition of its own in the main WHERE.
fn key_columns(
    analysis: &Analysis<'_>,
    main: &Main<'_>,
    select: &Select,
) -> Result<Vec<ColRef>, MappingError> {
    let filtered = select.selection.as_ref().and_then(marked);
    let expr = filtered.ok_or_else(|| {
        MappingError::placeholder(
            "the placeholder's condition is not joined by AND in the WHERE of the main query",
        )
    })?;
    let items: Vec<&Expr> = match unnested(expr) {
        Expr::Tuple(items) => items.iter().collect(),
        single => vec![single],
    };
    let resolver = Resolver { names: analysis.names, occurrences: &analysis.occurrences };
    let mut key: Vec<ColRef> = Vec::new();
    for item in items {
        let no_column = || {
            MappingError::placeholder(format!("{} before IN is no column of a table of FROM", fragment(item)))
        };
        let parts = column_parts(item).ok_or_else(no_column)?;
        let found: Found = resolver.resolve(parts, &main.scope)?.ok_or_else(no_column)?;
        let base = found.base.ok_or_else(no_column)?;
        let relation = main.scope.relations.get(found.local.0).ok_or_else(no_column)?;
        if relation.null_extended {
            return Err(MappingError::placeholder(format!(
                "{} belongs to the inner side of an outer join, so the join is none",
                fragment(item)
            )));
        }
        if key.first().is_some_and(|first| first.occurrence != base.occurrence) || key.contains(&base) {
            let found = format!("{} mixes tables or repeats a column", fragment(expr));
            return Err(MappingError::placeholder(found));
        }
        key.push(base);
    }
    Ok(key)
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

fn marked(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Nested(inner) => marked(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => marked(left).or_else(|| marked(right)),
        Expr::InList { expr, list, negated: false } => match list.as_slice() {
            [Expr::Value(value)] if matches!(value.value, Value::Placeholder(_)) => Some(expr),
            _ => None,
        },
        _ => None,
    }
}

/// The positions of `query.key` in the result, each of which must be the column of the placeholder itself.
fn key_outputs(
    parsed: &ParsedQuery,
    analysis: &Analysis<'_>,
    main: &Main<'_>,
    key: &[ColRef],
) -> Result<Vec<usize>, MappingError> {
    let names = &parsed.input.key;
    let fail = |found: String, remedy: String| MappingError::Key { key: names.join(", "), found, remedy };
    let filtered: Vec<String> =
        key.iter().filter_map(|at| column(analysis, *at)).map(|c| c.column.name.clone()).collect();
    if names.len() != key.len() {
        let found =
            format!("it names {} columns, the placeholder filters {}", names.len(), filtered.join(", "));
        return Err(fail(
            found,
            "name the result columns of the columns before IN, in their order".to_owned(),
        ));
    }
    let mut positions = Vec::new();
    for ((name, at), filtered) in names.iter().zip(key).zip(&filtered) {
        let mut hits = main.outputs.iter().enumerate().filter(|(_, o)| same_column(&o.name, name));
        let (Some((position, output)), None) = (hits.next(), hits.next()) else {
            let count = main.outputs.iter().filter(|o| same_column(&o.name, name)).count();
            let found = format!("{count} result columns have the name {name}");
            return Err(fail(found, format!("select {filtered} once under that name")));
        };
        let base = output
            .local
            .as_ref()
            .and_then(|local| Analysis::base_column(&main.scope, local, &analysis.occurrences));
        if base != Some(*at) {
            let found = format!(
                "the result column {name} is not {filtered}, the column that the placeholder filters"
            );
            return Err(fail(
                found,
                "select that very column, or filter by the one that is selected".to_owned(),
            ));
        }
        if let Some(Err(why)) = column(analysis, *at).map(keys::check) {
            return Err(fail(
                format!("column {filtered} cannot be a key: {why}"),
                "use another column".to_owned(),
            ));
        }
        positions.push(position);
    }
    Ok(positions)
}

fn column<'c>(analysis: &Analysis<'c>, at: ColRef) -> Option<&'c CatalogColumn> {
    analysis.occurrences.get(at.occurrence)?.column(at.column)
}

fn described(parsed: &ParsedQuery, analysis: &Analysis<'_>, key: &[ColRef]) -> Vec<KeyColumn> {
    let columns = key.iter().filter_map(|at| column(analysis, *at));
    columns.zip(&parsed.input.key).map(|(column, output)| KeyColumn::new(column, output)).collect()
}

fn walk_text(parsed: &ParsedQuery, analysis: &Analysis<'_>, main: &Main<'_>, key: &[ColRef]) -> WalkText {
    let Some(table) = occurrence(analysis, key) else { return WalkText::default() };
    let columns: Vec<&CatalogColumn> = key.iter().filter_map(|at| column(analysis, *at)).collect();
    let primary = &table.catalog.primary_key;
    let in_key = |name: &String| columns.iter().any(|c| same_column(&c.column.name, name));
    let mut text = WalkText {
        alias: table.alias.clone(),
        main: format!("{} AS {}", table.table.quoted(), crate::model::quoted(&table.alias)),
        columns: table.catalog.columns.iter().map(|c| c.column.name.clone()).collect(),
        unique: !primary.is_empty() && primary.iter().all(in_key),
        nullable: columns.iter().any(|c| c.nullable),
        alone: main.scope.relations.len() == 1,
        ..WalkText::default()
    };
    text.cut(&parsed.text);
    text
}

/// A plan under way.
pub(super) struct Build<'b, 'c> {
    pub parsed: &'b ParsedQuery,
    pub analysis: &'b Analysis<'c>,
    pub key: &'b [ColRef],
    routes: &'b Routes,
    pub lookups: Vec<Lookup>,
    pub tables: BTreeMap<TableName, TablePlan>,
    pub ignored: Vec<TableName>,
}

impl Build<'_, '_> {
    /// The rule that the user gave for a table.
    pub(super) fn action_of(&self, table: &TableName) -> Option<&TableAction> {
        let names = &self.analysis.names;
        let mut rules = self.parsed.rules.iter();
        rules.find(|(name, _)| names.canonical(name) == *table).map(|(_, action)| action)
    }

    fn derive(&mut self) -> Result<(), MappingError> {
        for (i, table) in self.analysis.occurrences.iter().enumerate() {
            if self.action_of(&table.table).is_some() {
                continue;
            }
            let watched = watched(table);
            let trees = self.routes.trees(i);
            if trees.is_empty() {
                return Err(MappingError::NoPath {
                    table: table.table.clone(),
                    alias: table.alias.clone(),
                    found: paths::explain_missing(self.analysis, i),
                });
            }
            for tree in trees {
                let action = match tree.route(i) {
                    Some(Route::Direct(columns)) => Action::Direct(names(table, columns)),
                    Some(Route::Via(links)) => {
                        let derived = lookup::derive(self.analysis, tree, i, links, self.key);
                        let derived = derived.ok_or_else(|| {
                            MappingError::unsupported(
                                format!("the path from {}", table.table),
                                "report it, and give the table `all: true` meanwhile",
                            )
                        })?;
                        let columns = derived.columns.clone();
                        Action::Lookup(self.lookup(derived), columns)
                    }
                    None => continue,
                };
                let origin = table.alias.clone();
                self.add(
                    &table.table,
                    Rule { origin, watched: watched.clone(), events: Events::All, action },
                );
            }
        }
        Ok(())
    }

    /// The number of a lookup; two occurrences can share one.
    pub(super) fn lookup(&mut self, lookup: Lookup) -> usize {
        let known = self.lookups.iter().position(|l| {
            l.source == lookup.source && l.table == lookup.table && l.columns == lookup.columns
        });
        known.unwrap_or_else(|| {
            self.lookups.push(lookup);
            self.lookups.len() - 1
        })
    }

    pub(super) fn add(&mut self, table: &TableName, rule: Rule) {
        let plan = table_plan(&mut self.tables, table, self.analysis.names);
        if !plan.rules.contains(&rule) {
            plan.rules.push(rule);
        }
    }

    fn index_warnings(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for lookup in &self.lookups {
            let lookup::Source::Path(path) = &lookup.source else { continue };
            let (table, columns) = &path.neighbour;
            let Some(catalog) = self.analysis.names.table(table) else { continue };
            let leads = |index: &Vec<String>| {
                index.first().is_some_and(|first| columns.iter().any(|c| same_column(c, first)))
            };
            if !catalog.indexes.iter().any(leads) {
                let list = columns.join(", ");
                found.insert(format!(
                    "a change of {} reads {table} without an index: CREATE INDEX ... ON {table} ({list})",
                    lookup.table
                ));
            }
        }
        found.into_iter().collect()
    }
}

/// The plan of a table, made where it is new.
pub(super) fn table_plan<'t>(
    tables: &'t mut BTreeMap<TableName, TablePlan>,
    table: &TableName,
    names: Names<'_>,
) -> &'t mut TablePlan {
    tables.entry(table.clone()).or_insert_with(|| {
        let catalog = names.table(table);
        TablePlan {
            table: table.clone(),
            rules: vec![],
            columns: catalog.map(|c| c.columns.clone()).unwrap_or_default(),
            primary_key: catalog.map(bindable_key).unwrap_or_default(),
        }
    })
}

/// The primary key, where each of its columns can be bound from a row image.
fn bindable_key(table: &CatalogTable) -> Vec<String> {
    let column = |name: &String| column_of(table, name).and_then(|at| table.columns.get(at));
    let bindable = |name: &String| column(name).is_some_and(|c| keys::check(c).is_ok());
    if table.primary_key.iter().all(bindable) { table.primary_key.clone() } else { vec![] }
}

fn names(table: &Occurrence<'_>, columns: &[ColRef]) -> Vec<String> {
    columns.iter().filter_map(|at| table.column(at.column)).map(|c| c.column.name.clone()).collect()
}

/// The columns of an occurrence whose change matters: those that the query refers to, and what generated ones are
/// computed from.
pub(super) fn watched(table: &Occurrence<'_>) -> Option<Vec<String>> {
    if table.all_columns {
        return None;
    }
    let mut todo: Vec<usize> = table.columns.iter().copied().collect();
    let mut all = BTreeSet::new();
    while let Some(at) = todo.pop() {
        if !all.insert(at) {
            continue;
        }
        let bases = table.column(at).map_or(&[][..], |c| &c.generated_from);
        todo.extend(bases.iter().filter_map(|base| column_of(table.catalog, base)));
    }
    Some(all.into_iter().filter_map(|at| table.column(at)).map(|c| c.column.name.clone()).collect())
}
