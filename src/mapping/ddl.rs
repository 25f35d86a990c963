//! Stand-in until DDL is classified: knows TRUNCATE only.
use crate::model::*;
use std::collections::BTreeMap;
#[allow(missing_docs)]
pub enum DdlEffect {
    None,
    SchemaChanged { tables: Vec<TableName> },
    Gap { reason: String },
}
#[allow(missing_docs)]
pub struct SchemaHistory(BTreeMap<TableName, Vec<Column>>);
#[allow(missing_docs)]
impl SchemaHistory {
    pub fn new(t: impl IntoIterator<Item = (TableName, Vec<Column>)>) -> Self {
        Self(t.into_iter().collect())
    }
    pub fn apply(&mut self, sql: &str, _schema: &str, _plan: &super::Plan) -> DdlEffect {
        if sql.contains("TRUNCATE") { DdlEffect::Gap { reason: "x".into() } } else { DdlEffect::None }
    }
    pub fn columns(&self, t: &TableName) -> Option<&[Column]> {
        self.0.get(t).map(Vec::as_slice)
    }
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &[Column])> {
        self.0.iter().map(|(a, b)| (a, b.as_slice()))
    }
}
