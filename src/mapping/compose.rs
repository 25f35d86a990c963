//! From a parsed query and a schema to a plan: the SELECTs of the query are walked one by one, and their rules
//! put together.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade;
use super::compat::same_class;
use super::compile::{self, Analyzed, Build, Reads, Rules, analyze};
use super::error::MappingError;
use super::lookup::{self, Lookup};
use super::paths::{self, Route};
use super::plan::{Child, Plan, hash};
use super::query::{ChildText, ParsedQuery};
use super::scope::{Names, same_column};
use super::sharding::{Shards, is_template, shown};
use super::unite::{self, United};
use crate::model::{Catalog, ColumnKind, TableName};

pub(super) fn compose(parsed: &ParsedQuery, catalog: &Catalog) -> Result<Plan, MappingError> {
    let united = unite::unite(parsed, catalog)?;
    let names = Names::new(&united.catalog);
    let reads = if parsed.input.one_by_one { Reads::One } else { Reads::Many };
    let branches: Result<Vec<_>, _> =
        parsed.branches.iter().map(|part| analyze(parsed, part, names, reads)).collect();
    let branches = branches?;
    let texts = parsed.input.children.iter();
    let children = texts.zip(&parsed.children).map(|(text, part)| {
        analyze(parsed, part, names, Reads::Objects).map_err(|error| error.of_child(&text.field))
    });
    let children = children.collect::<Result<Vec<_>, _>>()?;
    let first = branches.first().ok_or_else(|| MappingError::placeholder("no placeholder was found"))?;
    let logical = logical_names(parsed, &united, first)?;
    alike(parsed, first, &branches, &children)?;
    let mut rules = Rules::default();
    let mut claims = Claims::new(parsed, &logical, branches.iter().chain(&children));
    for (i, analyzed) in branches.iter().chain(&children).enumerate() {
        let child = i.checked_sub(branches.len()).and_then(|at| parsed.input.children.get(at));
        let field = child.map_or("", |child| child.field.as_str());
        let (analysis, key, entries) = (&analyzed.analysis, &analyzed.key, claims.of(analyzed, i == 0));
        let mut build = Build { parsed, analysis, key, child: field, logical: &logical, rules: &mut rules };
        let built = compile::build(&mut build, &entries);
        built.map_err(|error| if field.is_empty() { error } else { error.of_child(field) })?;
    }
    let mut warnings = index_warnings(&rules.lookups, names, &logical);
    for analyzed in branches.iter().chain(&children) {
        for warning in read_warnings(analyzed, &logical) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    if !catalog.cascades_logged {
        warnings.extend(cascade::add(&mut rules.tables, names));
    }
    finish(parsed, catalog, Walked { branches, children, logical, names, united: &united, rules, warnings })
}

/// Everything that a plan is made of.
struct Walked<'w, 'c> {
    branches: Vec<Analyzed<'c>>,
    children: Vec<Analyzed<'c>>,
    logical: BTreeMap<TableName, TableName>,
    names: Names<'c>,
    united: &'w United,
    rules: Rules,
    warnings: Vec<String>,
}

fn finish(parsed: &ParsedQuery, catalog: &Catalog, walked: Walked<'_, '_>) -> Result<Plan, MappingError> {
    let Walked { branches, children, logical, names, united, rules, warnings } = walked;
    let first = branches.first().ok_or_else(|| MappingError::placeholder("no placeholder was found"))?;
    let written = first.main().map(|o| o.table.clone()).unwrap_or_default();
    let integer = first.columns.iter().all(|column| column.kind == ColumnKind::Int);
    parsed.shards.check_key(first.columns.len(), integer)?;
    let texts = parsed.input.children.iter().zip(&children);
    let children = texts.map(|(text, analyzed)| child(text, analyzed)).collect::<Result<Vec<_>, _>>()?;
    let known = |name: &TableName| logical.get(name).unwrap_or(name).clone();
    let physical = united.physical.iter().map(|(table, name)| (names.canonical(table), known(name)));
    let physical = physical.collect();
    let views = catalog.tables.iter().filter(|(_, table)| table.is_view).map(|(name, _)| name.clone());
    Ok(Plan {
        main: known(&written),
        main_tables: branches
            .iter()
            .filter_map(Analyzed::main)
            .flat_map(|o| parsed.shards.tables(&o.table))
            .collect(),
        segments: segments(&branches),
        walks: branches.iter().map(|b| b.walk.clone()).collect(),
        key: first.columns.clone(),
        key_output: first.key_output.clone(),
        outputs: first.outputs.clone(),
        children,
        lookups: rules.lookups,
        tables: rules.tables,
        ignored: rules.ignored,
        physical,
        shards: parsed.shards.clone(),
        rewrites: parsed.rewrites.clone(),
        views: views.collect(),
        warnings,
        fold: names.fold(),
        hash: hash(&parsed.input),
        parsed: parsed.clone(),
        catalog: catalog.clone(),
    })
}

/// The text between the marks.
fn segments(branches: &[Analyzed<'_>]) -> Vec<String> {
    let mut segments = vec![String::new()];
    for (i, branch) in branches.iter().enumerate() {
        let (head, tail) = branch.text.around_mark();
        if let Some(last) = segments.last_mut() {
            if i > 0 {
                last.push_str("\nUNION ALL");
            }
            last.push_str(&head);
        }
        segments.push(tail);
    }
    segments
}

fn child(text: &ChildText, analyzed: &Analyzed<'_>) -> Result<Child, MappingError> {
    let position = |name: &String| {
        let at = analyzed.outputs.iter().position(|output| same_column(output, name));
        at.ok_or_else(|| {
            let found = format!("fields names {name}, which is no result column");
            MappingError::unsupported(found, "correct the name").of_child(&text.field)
        })
    };
    let shown = if text.fields.is_empty() {
        (0..analyzed.outputs.len()).filter(|at| !analyzed.key_output.contains(at)).collect()
    } else {
        text.fields.iter().map(position).collect::<Result<_, _>>()?
    };
    let (head, tail) = analyzed.text.around_mark();
    let key_output = analyzed.key_output.clone();
    Ok(Child { field: text.field.clone(), key: analyzed.columns.clone(), head, tail, key_output, shown })
}

/// The names by which tables of the SQL are known outside: logical ones where names hold variables.
fn logical_names(
    parsed: &ParsedQuery,
    united: &United,
    first: &Analyzed<'_>,
) -> Result<BTreeMap<TableName, TableName>, MappingError> {
    let mut logical = united.logical.clone();
    let (Some(main), Some(wanted)) = (first.main(), &parsed.input.table) else { return Ok(logical) };
    let mut wanted = wanted.clone();
    if wanted.schema.is_empty() {
        wanted.schema = parsed.input.database.clone().unwrap_or_default();
    }
    let known = logical.get(&main.table).unwrap_or(&main.table).clone();
    let (names, written) = (first.analysis.names, shown(&known.to_string()));
    if names.canonical(&wanted) == names.canonical(&known) {
        return Ok(logical);
    }
    if is_template(&main.table) && parsed.rewrites.is_empty() {
        logical.insert(main.table.clone(), wanted);
        return Ok(logical);
    }
    Err(MappingError::Table {
        table: written,
        found: format!("query.table says {wanted}, but the placeholder filters this one's key"),
        remedy: "correct query.table or mapping.rewrite, or leave query.table out".to_owned(),
    })
}

/// Refuses branches and children whose keys could be spelled otherwise than the document's.
fn alike(
    parsed: &ParsedQuery,
    first: &Analyzed<'_>,
    branches: &[Analyzed<'_>],
    children: &[Analyzed<'_>],
) -> Result<(), MappingError> {
    let differs = |other: &Analyzed<'_>| {
        if other.key.len() != first.key.len() {
            return Some(format!(
                "its key has {} columns, the document's {}",
                other.key.len(),
                first.key.len()
            ));
        }
        let mut pairs = first.key_columns().zip(other.key_columns());
        let (of, found) = pairs.find(|(a, b)| !same_class(a, b))?;
        let (name, kind) = (&found.column.name, &found.sql_type);
        let collation = |c: &crate::model::CatalogColumn| c.collation_name.clone().unwrap_or_default();
        Some(format!(
            "its key {name} is {kind} {}, the document's is {} {}",
            collation(found),
            of.sql_type,
            collation(of)
        ))
    };
    let remedy = "give both columns one type and collation";
    for branch in branches.iter().skip(1) {
        if let Some(found) = differs(branch) {
            return Err(MappingError::unsupported(
                format!("a UNION ALL of which one branch differs ({found})"),
                remedy,
            ));
        }
        if branch.outputs.len() != first.outputs.len() || branch.key_output != first.key_output {
            let remedy = "select the same columns in the same order in each branch";
            return Err(MappingError::unsupported("a UNION ALL with the key in different places", remedy));
        }
    }
    for (text, child) in parsed.input.children.iter().zip(children) {
        if let Some(found) = differs(child) {
            return Err(MappingError::unsupported(found, remedy).of_child(&text.field));
        }
        if first.outputs.contains(&text.field) {
            let found = format!("the member {}, which is a result column of query.sql too,", text.field);
            return Err(MappingError::unsupported(found, "choose another field").of_child(&text.field));
        }
    }
    Ok(())
}

/// Which SELECT says which entries of `mapping.tables`: those of its own tables; the first also those that no
/// SELECT reads.
struct Claims<'p> {
    parsed: &'p ParsedQuery,
    logical: &'p BTreeMap<TableName, TableName>,
    read: BTreeSet<TableName>,
}

impl<'p> Claims<'p> {
    fn new<'c: 'x, 'x>(
        parsed: &'p ParsedQuery,
        logical: &'p BTreeMap<TableName, TableName>,
        all: impl Iterator<Item = &'x Analyzed<'c>>,
    ) -> Self {
        let mut claims = Self { parsed, logical, read: BTreeSet::new() };
        for analyzed in all {
            let read = claims.tables(analyzed);
            claims.read.extend(read);
        }
        claims
    }

    /// The tables that a SELECT reads, under each of their names.
    fn tables(&self, analyzed: &Analyzed<'_>) -> BTreeSet<TableName> {
        let names = analyzed.analysis.names;
        let occurrences = analyzed.analysis.occurrences.iter();
        let both = occurrences.flat_map(|o| {
            let logical = self.logical.get(&o.table).unwrap_or(&o.table);
            [o.table.clone(), names.canonical(logical)]
        });
        both.collect()
    }

    fn of(&mut self, analyzed: &Analyzed<'_>, first: bool) -> BTreeSet<TableName> {
        let own = self.tables(analyzed);
        let names = analyzed.analysis.names;
        let entries = self.parsed.rules.iter().filter(|(name, _)| {
            let name = names.canonical(name);
            own.contains(&name) || (first && !self.read.contains(&name))
        });
        entries.map(|(name, _)| name.clone()).collect()
    }
}

fn index_warnings(
    lookups: &[Lookup],
    names: Names<'_>,
    logical: &BTreeMap<TableName, TableName>,
) -> Vec<String> {
    let mut found = BTreeSet::new();
    for lookup in lookups {
        let lookup::Source::Path(path) = &lookup.source else { continue };
        let (table, columns) = &path.neighbour;
        let Some(catalog) = names.table(table) else { continue };
        let leads = |index: &Vec<String>| {
            index.first().is_some_and(|first| columns.iter().any(|c| same_column(c, first)))
        };
        if !catalog.indexes.iter().any(leads) {
            let list = columns.join(", ");
            let table = logical.get(table).unwrap_or(table);
            found.insert(format!(
                "a change of {} reads {table} without an index: CREATE INDEX ... ON {table} ({list})",
                lookup.table
            ));
        }
    }
    found.into_iter().collect()
}

/// Tables that each read of a document looks through from end to end: no index leads with a column by which their
/// rows belong to it.
fn read_warnings(analyzed: &Analyzed<'_>, logical: &BTreeMap<TableName, TableName>) -> Vec<String> {
    let routes = paths::routes(&analyzed.analysis, &analyzed.key);
    let tables = analyzed.analysis.occurrences.iter().enumerate();
    let scanned = tables.filter_map(|(i, table)| {
        let at = match routes.trees(i).first()?.route(i)? {
            Route::Direct(columns) => columns.clone(),
            Route::Via(links) => links.iter().map(|link| link.from).collect(),
        };
        let columns: Vec<&str> =
            at.iter().filter_map(|at| Some(table.column(at.column)?.column.name.as_str())).collect();
        let leads = |index: &Vec<String>| {
            index.first().is_some_and(|first| columns.iter().any(|column| same_column(column, first)))
        };
        let name = logical.get(&table.table).unwrap_or(&table.table);
        let list = columns.join(", ");
        (!table.catalog.indexes.iter().any(leads)).then(|| {
            format!("each read of a document goes through all of {name}: CREATE INDEX ... ON {name} ({list})")
        })
    });
    scanned.collect()
}

/// Does any text of these differ from shard to shard?
pub(super) fn sharded<'t>(mut texts: impl Iterator<Item = &'t String>) -> bool {
    texts.any(|text| Shards::within(text))
}
