//! `spec.mapping`: what the SQL cannot say by itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// What to know of tables beyond what the SQL says.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// Rules for single tables; they win over what is derived from the SQL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["table".to_string()]))]
    pub tables: Vec<TableRule>,
    /// Physical table names to logical ones, by which `tables` and `query.table` name them; the first entry that
    /// matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rewrite: Vec<Rewrite>,
    /// Variables in table and schema names of the SQL (`book_{{shard}}`): one, or a list of them. Each has
    /// `variable`, `strategy` (crc32_ieee_uint32, crc32_ieee_signed_abs or its alias crc32, mod), `shards`,
    /// `suffixWidth` (digits, default 2) and `format` (text around the number, which `{}` stands for).
    #[serde(default, skip_serializing_if = "Sharding::is_empty")]
    pub sharding: Sharding,
}

/// A physical table name's logical one.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// A regular expression, matched against `schema.table`, or against the table alone where it has no dot.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("''.matches(self) == ''.matches(self)").message("must be a regular expression"))]
    pub pattern: String,
    /// What the matched part becomes: `table` or `schema.table`; `$1` is what the first group matched.
    #[schemars(length(min = 1, max = 256))]
    pub table: String,
}

/// The variables of sharded names.
#[derive(Serialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(transparent)]
pub struct Sharding(pub Vec<ShardVariable>);

impl Sharding {
    /// True where nothing is sharded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Sharding {
    /// One variable, or a list of them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let list = if value.is_array() { value } else { serde_json::Value::Array(vec![value]) };
        let read = serde_json::from_value(list).map(Self);
        read.map_err(|error| D::Error::custom(format!("spec.mapping.sharding: {error}")))
    }
}

impl JsonSchema for Sharding {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sharding".into()
    }

    fn inline_schema() -> bool {
        true
    }

    // one or a list: a structural schema has no word for it
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// One variable of sharded names.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardVariable {
    /// What stands between `{{` and `}}`, in any case.
    pub variable: String,
    /// How the document's key decides the number.
    #[serde(default)]
    pub strategy: ShardStrategy,
    /// Numbers run from 0 to this, exclusive.
    pub shards: u32,
    /// Digits that the number is filled up to with zeros.
    #[serde(default = "two")]
    pub suffix_width: u32,
    /// Text around the number, which `{}` stands for.
    #[serde(default = "plain")]
    pub format: String,
}

fn two() -> u32 {
    2
}

fn plain() -> String {
    "{}".to_owned()
}

/// How a key decides its shard.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum ShardStrategy {
    /// CRC-32 of the key's text, unsigned, modulo the shards.
    #[default]
    #[serde(rename = "crc32_ieee_uint32")]
    Crc32Unsigned,
    /// CRC-32 of the key's text as a signed number, its absolute value modulo the shards.
    #[serde(rename = "crc32_ieee_signed_abs", alias = "crc32")]
    Crc32SignedAbs,
    /// The absolute value of an integer key modulo the shards.
    Mod,
}

/// A rule for one table: exactly one of `column`, `lookup`, `ignore` and `all`, or `columns` alone.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.column), has(self.lookup), has(self.ignore), has(self.all)].filter(x, x).size() == 1 || (has(self.columns) && [has(self.column), has(self.lookup), has(self.ignore), has(self.all)].filter(x, x).size() == 0)")
    .message("exactly one of column, lookup, ignore and all must be given, or columns alone"))]
pub struct TableRule {
    /// The table as `schema.table`, or as `table` in `source.database`; of sharded tables the logical name.
    #[schemars(length(min = 1, max = 129))]
    pub table: String,
    /// The column of this table that holds the document's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub column: Option<String>,
    /// SQL that finds the ids of the documents that a change of this table touches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<TableLookup>,
    /// True: changes of this table never touch a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("leave it out instead of false"))]
    pub ignore: Option<bool>,
    /// True: any change of this (small) table starts a build of everything at low priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("leave it out instead of false"))]
    pub all: Option<bool>,
    /// The columns whose change matters; without it those that the query reads. An UPDATE of others costs nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64)))]
    pub columns: Vec<String>,
}

/// A lookup.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableLookup {
    /// A SELECT of the documents' key with one placeholder `IN (:keys)`.
    #[schemars(length(min = 1, max = 65536))]
    pub sql: String,
    /// The changed table's column whose values, before and after the change, are bound to `:keys`.
    #[schemars(length(min = 1, max = 64))]
    pub key: String,
    /// Ids in one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub page_size: Option<i64>,
    /// The selected column by which pages are cut: the documents' key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub order_key: Option<String>,
    /// Pages after which the rest gives way to all other work. Nothing is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_pages: Option<i64>,
}

/// What a [`TableRule`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableAction<'a> {
    /// As derived from the SQL.
    Derived,
    /// This column holds the document's id.
    Column(&'a str),
    /// This SQL finds the documents' ids.
    Lookup(&'a TableLookup),
    /// Its changes touch no document.
    Ignore,
    /// Any change of it starts a Full.
    All,
}

impl TableRule {
    /// What the rule says. Of a rule that the checks refuse, the first one that it gives.
    pub fn action(&self) -> TableAction<'_> {
        match (&self.column, &self.lookup, self.ignore, self.all) {
            (Some(column), ..) => TableAction::Column(column),
            (_, Some(lookup), ..) => TableAction::Lookup(lookup),
            (_, _, Some(true), _) => TableAction::Ignore,
            (.., Some(true)) => TableAction::All,
            _ => TableAction::Derived,
        }
    }

    /// The names of what is given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("column", self.column.is_some()),
            ("lookup", self.lookup.is_some()),
            ("ignore", self.ignore.is_some()),
            ("all", self.all.is_some()),
        ];
        all.into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
    }
}
