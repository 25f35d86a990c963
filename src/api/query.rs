//! `spec.query` and `spec.mapping`: what a document is, and what the SQL cannot say by itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The query whose rows are the documents.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.key) != has(self.keys)")
    .message("exactly one of key and keys must be given"))]
pub struct Query {
    /// The SELECT. It must filter the main table's key by `IN (:ids)`.
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = Rule::new("self.matches('(?i)\\\\bin\\\\s*\\\\(\\\\s*([?]|:[a-z_][a-z0-9_]*)\\\\s*\\\\)')")
        .message("the main table's key must be filtered by IN (:ids)"))]
    pub sql: String,
    /// The output column that is the document's id: the column that `IN (:ids)` filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub key: Option<String>,
    /// The output columns of a composite key, in the order of `(a, b) IN (:ids)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub keys: Option<Vec<String>>,
    /// What to do with functions whose answer changes without a change of data (NOW, RAND, stored functions).
    #[serde(default)]
    pub volatile: Volatile,
}

impl Query {
    /// The key's output columns.
    pub fn key_columns(&self) -> Vec<&str> {
        self.key.iter().chain(self.keys.iter().flatten()).map(String::as_str).collect()
    }
}

/// What volatile functions in the query mean.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Volatile {
    /// They are refused.
    #[default]
    Refuse,
    /// They are accepted; documents hold what they gave at the last read.
    Allow,
}

/// What to know of tables beyond what the SQL says.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// Rules for single tables; they win over what is derived from the SQL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["table".to_string()]))]
    pub tables: Vec<TableRule>,
}

/// A rule for one table: exactly one of `column`, `ignore` and `all`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.column), has(self.ignore), has(self.all)].filter(x, x).size() == 1")
    .message("exactly one of column, ignore and all must be given"))]
pub struct TableRule {
    /// The table as `schema.table`, or as `table` in `source.database`.
    #[schemars(length(min = 1, max = 129))]
    pub table: String,
    /// The column of this table that holds the document's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub column: Option<String>,
    /// True: changes of this table never touch a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("leave it out instead of false"))]
    pub ignore: Option<bool>,
    /// True: any change of this (small) table starts a build of everything at low priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("leave it out instead of false"))]
    pub all: Option<bool>,
}

/// What a [`TableRule`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableAction<'a> {
    /// This column holds the document's id.
    Column(&'a str),
    /// Its changes touch no document.
    Ignore,
    /// Any change of it starts a Full.
    All,
}

impl TableRule {
    /// What the rule says. Of a rule that the checks refuse, the first one that it gives.
    pub fn action(&self) -> TableAction<'_> {
        match (&self.column, self.ignore) {
            (Some(column), _) => TableAction::Column(column),
            (None, Some(true)) => TableAction::Ignore,
            _ => TableAction::All,
        }
    }
}
