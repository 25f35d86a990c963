//! The compiled plan: the SQL of reads, and a rule for every table that matters.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::bound::BoundTable;
use super::compose::sharded;
use super::error::MappingError;
use super::keys::{self, KeyColumn};
use super::lookup::Lookup;
use super::query::{ParsedQuery, QueryText, TableAction};
use super::rewrite::Rewrites;
use super::scope::{canonical, same_column};
use super::sharding::{Shard, Shards};
use super::walk::WalkText;
use crate::model::{Catalog, CatalogColumn, Column, ColumnKind, Key, KeyPart, TableName};

/// A query compiled against the live schema.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) main: TableName,
    /// The physical tables that hold the main key.
    pub(super) main_tables: Vec<TableName>,
    /// The text between the marks of the main ids.
    pub(super) segments: Vec<String>,
    /// How the keys of each SELECT are walked.
    pub(super) walks: Vec<WalkText>,
    pub(super) key: Vec<KeyColumn>,
    pub(super) key_output: Vec<usize>,
    pub(super) outputs: Vec<String>,
    pub(super) children: Vec<Child>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) tables: BTreeMap<TableName, TablePlan>,
    pub(super) ignored: Vec<TableName>,
    /// Physical tables that are known under another name in `tables`.
    pub(super) physical: BTreeMap<TableName, TableName>,
    pub(super) shards: Shards,
    pub(super) rewrites: Rewrites,
    pub(super) views: BTreeSet<TableName>,
    pub(super) warnings: Vec<String>,
    pub(super) fold: bool,
    pub(super) hash: String,
    /// What it was compiled from.
    pub(super) parsed: ParsedQuery,
    pub(super) catalog: Catalog,
}

/// Rows that a document holds as an array of objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    pub(super) field: String,
    pub(super) key: Vec<KeyColumn>,
    pub(super) head: String,
    pub(super) tail: String,
    pub(super) key_output: Vec<usize>,
    pub(super) shown: Vec<usize>,
}

impl Child {
    /// The document's member.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The SQL for this many keys; parameters as for [`Plan::read_sql`].
    pub fn read_sql(&self, keys: usize) -> String {
        format!("{}{}{}", self.head, keys::in_list(&markers(&self.key), keys), self.tail)
    }

    /// The positions of the document's key in its rows.
    pub fn key_output(&self) -> &[usize] {
        &self.key_output
    }

    /// The positions of the columns that the objects have.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }
}

fn markers(key: &[KeyColumn]) -> Vec<String> {
    key.iter().map(|k| keys::marker(k.kind, &k.sql_type)).collect()
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

    /// The main query for this many keys. Parameters: the columns of each key in turn, and all that once for each
    /// SELECT; see [`Plan::read_params`]. Where names have variables, [`Plan::render`] makes it SQL of one shard.
    pub fn read_sql(&self, keys: usize) -> String {
        self.segments.join(&keys::in_list(&self.markers(), keys))
    }

    /// The parameters of [`Plan::read_sql`].
    pub fn read_params(&self, keys: &[Key]) -> Vec<KeyPart> {
        let once = || keys.iter().flat_map(|key| key.parts().iter().cloned());
        (1..self.segments.len()).flat_map(|_| once()).collect()
    }

    /// SQL that gives those of the keys that have a row in the main table, whatever else the query asks of it.
    pub fn present_sql(&self, keys: usize) -> String {
        let list = keys::in_list(&self.markers(), keys);
        let each: Vec<String> = self.walks.iter().map(|walk| walk.present(&list)).collect();
        each.join(" UNION ALL ")
    }

    /// Arrays within the documents.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Names of the result columns.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// `query.batch: One`: each id is read by a statement of its own.
    pub fn one_by_one(&self) -> bool {
        self.parsed.input.one_by_one
    }

    /// The physical tables that hold the main key.
    pub fn main_tables(&self) -> &[TableName] {
        &self.main_tables
    }

    pub(super) fn markers(&self) -> Vec<String> {
        markers(&self.key)
    }

    /// Where keys must be read: the shards of the main query, each with its keys; one where nothing is sharded.
    pub fn by_shard(&self, keys: &[Key]) -> Vec<(Shard, Vec<Key>)> {
        let texts = self.segments.iter().chain(self.children.iter().flat_map(|c| [&c.head, &c.tail]));
        if !sharded(texts.clone()) {
            return vec![(Shard::default(), keys.to_vec())];
        }
        let text: String = texts.map(String::as_str).collect();
        let mut groups: BTreeMap<Shard, Vec<Key>> = BTreeMap::new();
        for key in keys {
            groups.entry(self.shards.of(&text, key)).or_default().push(key.clone());
        }
        groups.into_iter().collect()
    }

    /// The shards for which SQL of a walk or a lookup must run, in order; one where nothing is sharded.
    pub fn shards_of(&self, sql: &str) -> Vec<Shard> {
        self.shards.all(sql)
    }

    /// The shard in which SQL of a walk or a lookup finds this main key.
    pub fn shard_of(&self, sql: &str, key: &Key) -> Shard {
        self.shards.of(sql, key)
    }

    /// SQL for one shard.
    pub fn render(&self, sql: &str, shard: &Shard) -> String {
        self.shards.render(sql, shard)
    }

    /// What a column of a mapped table holds.
    pub fn column_kind(&self, table: &TableName, column: &str) -> Option<ColumnKind> {
        let columns = &self.table(table)?.columns;
        columns.iter().find(|c| same_column(&c.column.name, column)).map(|c| c.column.kind)
    }

    /// The lookups, by the numbers that [`super::Touched::lookups`] and continuations hold.
    pub fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// What changes of a physical table mean; `None` where they mean nothing.
    pub fn table(&self, name: &TableName) -> Option<&TablePlan> {
        let name = canonical(name, self.fold);
        let under = |name: &TableName| self.tables.get(name);
        under(&name)
            .or_else(|| under(self.physical.get(&name)?))
            .or_else(|| under(&canonical(&self.rewrites.logical(&name)?, self.fold)))
    }

    /// The names of tables that statements of the stream may name: those of the plan, and what stands behind them.
    pub(super) fn names(&self) -> impl Iterator<Item = &TableName> {
        self.tables.keys().chain(self.physical.keys()).chain(&self.views)
    }

    /// The views that the query reads.
    pub(super) fn views(&self) -> impl Iterator<Item = &TableName> {
        self.views.iter()
    }

    pub(super) fn is_view(&self, name: &TableName) -> bool {
        self.views.contains(&canonical(name, self.fold))
    }

    /// The physical tables behind the same name as this one, with itself.
    pub(super) fn siblings(&self, table: &TableName) -> BTreeSet<TableName> {
        let table = canonical(table, self.fold);
        let name = self.physical.get(&table);
        let all = self.physical.iter().filter(|(_, other)| name.is_some_and(|name| name == *other));
        all.map(|(table, _)| table.clone()).chain([table.clone()]).collect()
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
            TableAction::Derived => parts.push("derived".to_owned()),
            TableAction::Ignore => parts.push("ignore".to_owned()),
            TableAction::All => parts.push("all".to_owned()),
        }
        parts.extend(rule.columns.iter().cloned());
    }
    parts.extend(input.children.iter().map(|child| format!("{child:?}")));
    parts.extend(input.sharding.iter().map(|variable| format!("{variable:?}")));
    parts.extend(input.rewrites.iter().map(|rule| format!("{rule:?}")));
    parts.extend(input.one_by_one.then(|| "one by one".to_owned()));
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    KeyPart::Binary(digest.as_slice().into()).to_string()
}
