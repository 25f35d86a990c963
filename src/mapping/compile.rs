//! From one parsed SELECT and a schema to its key and the rules of its tables.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{BinaryOperator, Expr, Select, Value};

use super::analysis::{Analysis, Main};
use super::error::{MappingError, fragment};
use super::keys::{self, KeyColumn};
use super::lookup::{self, Lookup};
use super::overrides;
use super::paths::{self, Route, Routes};
use super::plan::{Action, Events, Rule, TablePlan};
use super::query::{ParsedQuery, Part, TableAction, TableRule, Template, main_select};
use super::scope::{ColRef, Found, Names, Occurrence, Resolver, column_of, column_parts, same_column};
use super::separable;
use super::walk::WalkText;
use crate::model::{CatalogColumn, CatalogTable, TableName};

/// One SELECT after its walk.
pub(super) struct Analyzed<'c> {
    pub analysis: Analysis<'c>,
    pub key: Vec<ColRef>,
    /// The key's columns, as results have them.
    pub columns: Vec<KeyColumn>,
    /// Where they stand in results.
    pub key_output: Vec<usize>,
    /// The names of all result columns.
    pub outputs: Vec<String>,
    pub walk: WalkText,
    /// The text, with columns in place of `*`.
    pub text: Template,
}

/// How many documents' rows a SELECT reads at once, and what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Documents of many ids.
    Many,
    /// The document of one id.
    One,
    /// Objects within documents of many ids.
    Objects,
}

/// Walks a SELECT and finds its key.
pub(super) fn analyze<'c>(
    parsed: &ParsedQuery,
    part: &Part,
    names: Names<'c>,
    reads: Reads,
) -> Result<Analyzed<'c>, MappingError> {
    let select = main_select(&part.query, true)?;
    let mut analysis = Analysis::new(names, parsed.input.database.as_deref());
    analysis.volatile_allowed = parsed.input.volatile_allowed;
    let main = analysis.main(&part.query, select)?;
    if reads != Reads::Many {
        analysis.ordered_from(0);
    }
    let key = key_columns(&analysis, &main, select)?;
    let key_output = key_outputs(&part.key, &analysis, &main, &key)?;
    if reads != Reads::One {
        separable::check(&analysis, &main, &key)?;
    }
    if reads != Reads::Objects {
        separable::spellings(&analysis, &key)?;
    }
    let outputs: Vec<String> = main.outputs.iter().map(|o| o.name.clone()).collect();
    for (i, name) in outputs.iter().enumerate() {
        if outputs.iter().take(i).any(|other| other == name) {
            let remedy = "give one of them an alias: a document has each member once";
            return Err(MappingError::unsupported(format!("two result columns of the name {name}"), remedy));
        }
    }
    let mut text = part.text.clone();
    for (at, columns) in &analysis.stars {
        text.replace(text.lexed.byte(*at), columns.clone());
    }
    let columns = described(part, &analysis, &key);
    let walk = walk_text(&text, &analysis, &main, &key);
    Ok(Analyzed { analysis, key, columns, key_output, outputs, walk, text })
}

impl<'c> Analyzed<'c> {
    /// The table whose key is filtered.
    pub(super) fn main(&self) -> Option<&Occurrence<'c>> {
        self.analysis.occurrences.get(self.key.first()?.occurrence)
    }

    /// The columns of its key.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &'c CatalogColumn> {
        self.key.iter().filter_map(|at| column(&self.analysis, *at))
    }
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
    names: &[String],
    analysis: &Analysis<'_>,
    main: &Main<'_>,
    key: &[ColRef],
) -> Result<Vec<usize>, MappingError> {
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

fn described(part: &Part, analysis: &Analysis<'_>, key: &[ColRef]) -> Vec<KeyColumn> {
    let columns = key.iter().filter_map(|at| column(analysis, *at));
    columns.zip(&part.key).map(|(column, output)| KeyColumn::new(column, output)).collect()
}

fn walk_text(template: &Template, analysis: &Analysis<'_>, main: &Main<'_>, key: &[ColRef]) -> WalkText {
    let Some(table) = occurrence(analysis, key) else { return WalkText::default() };
    let columns: Vec<&CatalogColumn> = key.iter().filter_map(|at| column(analysis, *at)).collect();
    let primary = &table.catalog.primary_key;
    let in_key = |name: &String| columns.iter().any(|c| same_column(&c.column.name, name));
    let mut text = WalkText {
        alias: table.alias.clone(),
        main: format!("{} AS {}", table.table.quoted(), crate::model::quoted(&table.alias)),
        columns: table.catalog.columns.iter().map(|c| c.column.name.clone()).collect(),
        key: columns.iter().map(|c| c.column.name.clone()).collect(),
        unique: !primary.is_empty() && primary.iter().all(in_key),
        nullable: columns.iter().any(|c| c.nullable),
        alone: main.scope.relations.len() == 1,
        ..WalkText::default()
    };
    text.cut(template);
    text
}

/// What all SELECTs of a plan give together.
#[derive(Default)]
pub(super) struct Rules {
    pub lookups: Vec<Lookup>,
    pub tables: BTreeMap<TableName, TablePlan>,
    pub ignored: Vec<TableName>,
}

impl Rules {
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
}

/// The rules of one SELECT under way.
pub(super) struct Build<'b, 'c> {
    pub parsed: &'b ParsedQuery,
    pub analysis: &'b Analysis<'c>,
    pub key: &'b [ColRef],
    /// The child's member; empty for the main query.
    pub child: &'b str,
    /// Logical names of tables whose names are otherwise in the SQL.
    pub logical: &'b BTreeMap<TableName, TableName>,
    pub rules: &'b mut Rules,
}

impl Build<'_, '_> {
    /// The name by which a table of the SQL is known outside.
    pub(super) fn logical(&self, table: &TableName) -> TableName {
        self.logical.get(table).unwrap_or(table).clone()
    }

    /// The entry that the user gave for a table of the SQL, or for its logical name.
    pub(super) fn entry(&self, table: &TableName) -> Option<&TableRule> {
        let names = &self.analysis.names;
        let logical = names.canonical(&self.logical(table));
        let mut rules = self.parsed.rules.iter();
        let found = rules.find(|(name, _)| {
            let name = names.canonical(name);
            name == *table || name == logical
        });
        found.map(|(_, rule)| rule)
    }

    /// Adds the rules that the SQL itself gives.
    pub(super) fn derive(&mut self) -> Result<(), MappingError> {
        let analysis = self.analysis;
        let routes = paths::routes(analysis, self.key);
        for (i, table) in analysis.occurrences.iter().enumerate() {
            if self.entry(&table.table).is_none_or(|rule| rule.action == TableAction::Derived) {
                self.occurrence(i, table, &routes)?;
            }
        }
        Ok(())
    }

    fn occurrence(&mut self, i: usize, table: &Occurrence<'_>, routes: &Routes) -> Result<(), MappingError> {
        let logical = self.logical(&table.table);
        let trees = routes.trees(i);
        if trees.is_empty() {
            return Err(MappingError::NoPath {
                table: logical,
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
                            format!("the path from {logical}"),
                            "report it, and give the table `all: true` meanwhile",
                        )
                    })?;
                    let columns = derived.columns.clone();
                    Action::Lookup(self.rules.lookup(Lookup { table: logical.clone(), ..derived }), columns)
                }
                None => continue,
            };
            let alias = super::sharding::shown(&table.alias);
            let origin = if self.child.is_empty() { alias } else { format!("{}: {alias}", self.child) };
            self.add(&table.table, Rule { origin, watched: watched(table), events: Events::All, action });
        }
        Ok(())
    }

    pub(super) fn add(&mut self, table: &TableName, mut rule: Rule) {
        if let Some(entry) = self.entry(table).filter(|entry| !entry.columns.is_empty()) {
            // a row that moves from one document to another matters to both
            let all: BTreeSet<String> = entry.columns.iter().chain(rule.action.columns()).cloned().collect();
            rule.watched = Some(all.into_iter().collect());
        }
        let logical = self.logical(table);
        let plan = table_plan(&mut self.rules.tables, &logical, self.analysis.names);
        if !plan.rules.contains(&rule) {
            plan.rules.push(rule);
        }
    }
}

/// Adds the entries of `mapping.tables` and the derived rules of one SELECT.
pub(super) fn build(build: &mut Build<'_, '_>, entries: &BTreeSet<TableName>) -> Result<(), MappingError> {
    overrides::apply(build, entries)?;
    build.derive()
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

/// The columns of an occurrence whose change matters: those that the query refers to, what generated ones are
/// computed from, and those by which its rows are in order.
pub(super) fn watched(table: &Occurrence<'_>) -> Option<Vec<String>> {
    if table.all_columns {
        return None;
    }
    let mut todo: Vec<usize> = table.columns.iter().copied().chain(ordering(table)).collect();
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

/// The columns whose change can put the rows of an occurrence in another order: those of the primary key (of values
/// that a collation calls equal, MIN gives the first), and where order shows, those of each index that may be read.
fn ordering(table: &Occurrence<'_>) -> impl Iterator<Item = usize> {
    let at = |name: &String| column_of(table.catalog, name);
    let read = |name: &String| at(name).is_some_and(|at| table.columns.contains(&at));
    let may_serve = |index: &&Vec<String>| {
        let covers = || table.columns.iter().all(|column| index.iter().any(|name| at(name) == Some(*column)));
        table.ordered && (index.first().is_some_and(read) || covers())
    };
    let indexes = table.catalog.indexes.iter().filter(may_serve).flatten();
    table.catalog.primary_key.iter().chain(indexes).filter_map(at).collect::<Vec<_>>().into_iter()
}
