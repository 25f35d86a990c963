//! `spec.query`: what a document is.

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
    /// The main table's logical name (`schema.table`), where the SQL names it otherwise: sharded tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129))]
    pub table: Option<String>,
    /// Arrays of objects within the documents: one-to-many without a join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["field".to_string()]))]
    pub children: Vec<Child>,
    /// Many: one statement reads many ids, so a row must not depend on which others are read. One: each id is
    /// read by a statement of its own, which may have LIMIT, aggregates and windows over all of it.
    #[serde(default)]
    pub batch: Batch,
    /// What several rows for one id are.
    #[serde(default)]
    pub rows: Rows,
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

/// An array of objects within the documents.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.key) != has(self.keys)")
    .message("exactly one of key and keys must be given"))]
pub struct Child {
    /// The document's member that holds the array.
    #[schemars(length(min = 1, max = 255))]
    pub field: String,
    /// A SELECT of the objects' columns and the document's key, which it filters by `IN (:ids)`.
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = Rule::new("self.matches('(?i)\\\\bin\\\\s*\\\\(\\\\s*([?]|:[a-z_][a-z0-9_]*)\\\\s*\\\\)')")
        .message("the column of the document's key must be filtered by IN (:ids)"))]
    pub sql: String,
    /// The output column that is the document's key: the one that `IN (:ids)` filters. The objects do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub key: Option<String>,
    /// The same for a composite key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub keys: Option<Vec<String>>,
    /// The order of the objects, as after ORDER BY; or write it into the SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub order_by: Option<String>,
    /// The columns that the objects have; without it all but the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64)))]
    pub fields: Vec<String>,
}

impl Child {
    /// The key's output columns.
    pub fn key_columns(&self) -> Vec<&str> {
        self.key.iter().chain(self.keys.iter().flatten()).map(String::as_str).collect()
    }
}

/// How many ids one statement reads.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Batch {
    /// Many.
    #[default]
    Many,
    /// One.
    One,
}

/// What several rows for one id are.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Rows {
    /// An error of that document.
    #[default]
    One,
    /// The first counts: give the query an ORDER BY.
    First,
    /// One document, in which each column but the key is an array with a value of each row.
    Array,
}

/// What becomes of the document where the query returns nothing for its id.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum OnMissing {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays as it is, as long as the main table has the row.
    Keep,
}
