//! The compiled plan: the SQL of reads, and a rule for every table that matters.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::bound::BoundTable;
use super::error::MappingError;
use super::keys::{self, KeyColumn};
use super::lookup::Lookup;
use super::query::{ParsedQuery, QueryText, TableAction};
use super::scope::canonical;
use super::walk::WalkText;
use crate::model::{Catalog, CatalogColumn, Column, Key, KeyPart, TableName};

/// A query compiled against the live schema.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) main: TableName,
    pub(super) key: Vec<KeyColumn>,
    pub(super) key_output: Vec<usize>,
    pub(super) head: String,
    pub(super) tail: String,
    pub(super) walk: WalkText,
    pub(super) lookups: Vec<Lookup>,
    pub(super) tables: BTreeMap<TableName, TablePlan>,
    pub(super) ignored: Vec<TableName>,
    pub(super) warnings: Vec<String>,
    pub(super) fold: bool,
    pub(super) hash: String,
    /// What it was compiled from.
    pub(super) parsed: ParsedQuery,
    pub(super) catalog: Catalog,
}

/// What the changes of one table mean.
#[derive(Clone, Debug)]
pub struct TablePlan {
    pub(super) table: TableName,
    pub(super) rules: Vec<Rule>,
    /// The live schema's columns; empty where the table is not read by the query and not in the catalog.
    pub(super) columns: Vec<CatalogColumn>,
    pub(super) primary_key: Vec<String>,
}

/// One way in which rows of a table matter. A self-joined table has several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    /// The alias in the query, or where else the rule comes from.
    pub origin: String,
    /// Columns whose change matters; `None`: all of them.
    pub watched: Option<Vec<String>>,
    /// Where an UPDATE that changes none of `watched` still matters not, an INSERT does not either.
    pub events: Events,
    pub action: Action,
}

/// Which row events a rule answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Events {
    /// All of them.
    All,
    /// Rows that disappear or change: a parent's, by foreign keys whose own changes are not in the binlog.
    Cascade {
        /// DELETE acts on the children.
        on_delete: bool,
        /// UPDATE of the watched columns acts on the children.
        on_update: bool,
    },
}

/// How a row's columns become ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// These columns are the main key.
    Direct(Vec<String>),
    /// These columns are bound to the lookup of that number.
    Lookup(usize, Vec<String>),
    /// Everything is built anew.
    Rebuild,
}

impl Action {
    pub(super) fn columns(&self) -> &[String] {
        match self {
            Self::Direct(columns) | Self::Lookup(_, columns) => columns,
            Self::Rebuild => &[],
        }
    }
}

impl Plan {
    /// The main table.
    pub fn main(&self) -> &TableName {
        &self.main
    }

    /// The main key's columns, in the order of `query.key`.
    pub fn key_columns(&self) -> &[KeyColumn] {
        &self.key
    }

    /// The positions of the key's columns in the rows of [`Plan::read_sql`].
    pub fn key_output(&self) -> &[usize] {
        &self.key_output
    }

    /// The main query for this many keys. Parameters: the columns of each key in turn; see [`Plan::read_params`].
    pub fn read_sql(&self, keys: usize) -> String {
        format!("{}{}{}", self.head, keys::in_list(&self.markers(), keys), self.tail)
    }

    /// The parameters of [`Plan::read_sql`].
    pub fn read_params(&self, keys: &[Key]) -> Vec<KeyPart> {
        keys.iter().flat_map(|key| key.parts().iter().cloned()).collect()
    }

    pub(super) fn markers(&self) -> Vec<String> {
        self.key.iter().map(|k| keys::marker(k.kind, &k.sql_type)).collect()
    }

    /// The lookups, by the numbers that [`super::Touched::lookups`] and continuations hold.
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// What changes of a table mean; `None` where they mean nothing.
    pub fn table(&self, name: &TableName) -> Option<&TablePlan> {
        if self.fold { self.tables.get(&canonical(name, true)) } else { self.tables.get(name) }
    }

    /// Every table whose changes matter, with its plan.
    pub fn tables(&self) -> impl Iterator<Item = &TablePlan> {
        self.tables.values()
    }

    /// What the user should know: documents that can go stale, lookups without an index.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A hash of what decides the documents' content: the query and its rules.
    pub fn query_hash(&self) -> String {
        self.hash.clone()
    }
}

impl TablePlan {
    /// The table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// The columns whose change matters; `None`: all of them.
    pub fn watched(&self) -> Option<Vec<&str>> {
        let mut all = std::collections::BTreeSet::new();
        for rule in &self.rules {
            all.extend(rule.watched.as_ref()?.iter().chain(rule.action.columns()).map(String::as_str));
        }
        Some(all.into_iter().collect())
    }

    /// Fits the plan to the columns of an event's table map, whose names come from its metadata or from the
    /// schema history.
    pub fn bind(&self, columns: &[Column]) -> Result<BoundTable, MappingError> {
        BoundTable::new(self, columns)
    }
}

/// A hash over the query and its rules, each part with its length before it.
pub(super) fn hash(input: &QueryText) -> String {
    let mut parts = vec!["binlog-operator query 1".to_owned(), input.sql.trim().to_owned()];
    parts.push(input.database.clone().unwrap_or_default());
    parts.push(format!("{} {}", input.volatile_allowed, input.key.len()));
    parts.extend(input.key.iter().cloned());
    let mut rules: Vec<_> = input.rules.iter().collect();
    rules.sort_by(|a, b| a.table.cmp(&b.table));
    for rule in rules {
        parts.extend([rule.table.schema.clone(), rule.table.table.clone()]);
        match &rule.action {
            TableAction::Column(columns) => parts.push(format!("column {columns:?}")),
            TableAction::Lookup(lookup) => parts.extend([lookup.sql.clone(), lookup.key.clone()]),
            TableAction::Ignore => parts.push("ignore".to_owned()),
            TableAction::All => parts.push("all".to_owned()),
        }
    }
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    KeyPart::Binary(digest.as_slice().into()).to_string()
}
