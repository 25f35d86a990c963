//! Is the index equal to the query? Asked through other code than the operator's: MySQL's text protocol,
//! our own reading of types, every document scrolled.

use crate::compare::difference;
use crate::search::{Doc, Search};
use mysql_async::prelude::Queryable;
use mysql_async::{Opts, Row};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const SHOWN: usize = 10;

/// How a column's text becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number token exactly as MySQL prints it: integers, DECIMAL, DOUBLE.
    Number,
    /// A string.
    Text,
    /// `2026-01-02 03:04:05.678` becomes `2026-01-02T03:04:05.678`.
    DateTime,
    /// The same in UTC, with `Z`.
    Timestamp,
    /// Read as JSON.
    Json,
}

/// Documents that the index must hold, by id.
pub type Expected = BTreeMap<String, Map<String, Value>>;

/// Compares an index with a query.
#[derive(Clone, Debug)]
pub struct Checker {
    sql: String,
    kinds: Vec<Kind>,
    except: BTreeSet<String>,
}

impl Checker {
    /// `sql` gives all rows; its first column is the `_id` (text), the others are the document, one kind each.
    pub fn new(sql: impl Into<String>, kinds: &[Kind]) -> Self {
        Self { sql: sql.into(), kinds: kinds.to_vec(), except: BTreeSet::new() }
    }

    /// Leaves ids out (those listed as dead letters).
    #[must_use]
    pub fn except<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.except.extend(ids.into_iter().map(Into::into));
        self
    }

    /// What the query says now.
    pub async fn expected(&self, mysql: &Opts) -> Result<Expected, String> {
        let text = |error: mysql_async::Error| error.to_string();
        let mut conn = mysql_async::Conn::new(mysql.clone()).await.map_err(text)?;
        conn.query_drop("SET time_zone = '+00:00'").await.map_err(text)?;
        let mut expected = Expected::new();
        let rows: Vec<Row> = conn.query(&self.sql).await.map_err(text)?;
        for row in rows {
            let (id, document) = self.document(&row);
            assert!(expected.insert(id.clone(), document).is_none(), "the query gives id {id} twice");
        }
        let _ = conn.disconnect().await;
        Ok(expected)
    }

    fn document(&self, row: &Row) -> (String, Map<String, Value>) {
        assert_eq!(row.len(), self.kinds.len() + 1, "one kind for each column after the first");
        let columns = row.columns_ref().iter().enumerate().skip(1);
        let members = columns
            .zip(&self.kinds)
            .map(|((place, column), kind)| (column.name_str().into_owned(), value(row, place, *kind)));
        (field(row, 0).expect("an id"), members.collect())
    }

    /// `Ok(number of documents)` when the index equals the query, else a report of the first differences.
    pub async fn check(&self, mysql: &Opts, search: &Search, index: &str) -> Result<usize, String> {
        let expected = self.expected(mysql).await?;
        let found = search.docs(index).await?;
        self.compare(&expected, &found)
    }

    /// Compares both sides.
    pub fn compare(&self, expected: &Expected, found: &BTreeMap<String, Doc>) -> Result<usize, String> {
        let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let all: Vec<String> = ids
            .into_iter()
            .filter(|id| !self.except.contains(*id))
            .filter_map(|id| verdict(id, expected.get(id), found.get(id)))
            .collect();
        if all.is_empty() {
            return Ok(expected.len());
        }
        let shown: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
        let counts = format!("{} rows, {} documents", expected.len(), found.len());
        Err(format!("{counts}, {} differ; the first:\n  {}", all.len(), shown.join("\n  ")))
    }
}

fn verdict(id: &str, expected: Option<&Map<String, Value>>, found: Option<&Doc>) -> Option<String> {
    match (expected, found) {
        (Some(expected), Some(doc)) => {
            let found = serde_json::from_str(&doc.source).unwrap_or(Value::Null);
            let text = difference(expected, &found);
            (!text.is_empty()).then(|| format!("id {id} (version {}): {text}", doc.version))
        }
        (Some(_), None) => Some(format!("id {id}: missing in the index")),
        (None, Some(doc)) => {
            Some(format!("id {id} (version {}): in the index, not in the query: {}", doc.version, doc.source))
        }
        (None, None) => None,
    }
}

fn field(row: &Row, place: usize) -> Option<String> {
    match row.as_ref(place)? {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8(bytes.clone()).expect("UTF-8")),
        other => panic!("the text protocol gave {other:?}"),
    }
}

fn value(row: &Row, place: usize, kind: Kind) -> Value {
    let Some(text) = field(row, place) else { return Value::Null };
    match kind {
        Kind::Number | Kind::Json => serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}")),
        Kind::Text => Value::String(text),
        Kind::DateTime => Value::String(text.replacen(' ', "T", 1)),
        Kind::Timestamp => Value::String(text.replacen(' ', "T", 1) + "Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(source: &str) -> Doc {
        Doc { version: 1, source: source.to_owned() }
    }

    #[test]
    fn missing_ghost_and_different_documents_are_found() {
        let member = |n: i64| Map::from_iter([("n".to_owned(), Value::from(n))]);
        let expected: Expected = (1..4).map(|n| (n.to_string(), member(n))).collect();
        let found: BTreeMap<String, Doc> =
            [("1", r#"{"n":1}"#), ("2", r#"{"n":9}"#), ("7", "{}")].map(|(i, s)| (i.into(), doc(s))).into();
        let checker = Checker::new("", &[]);
        let report = checker.compare(&expected, &found).unwrap_err();
        assert!(report.contains("3 differ"), "{report}");
        assert!(report.contains("id 2 (version 1): n: index has 9e0, MySQL has 2e0"), "{report}");
        assert!(
            report.contains("id 3: missing") && report.contains("id 7 (version 1): in the index"),
            "{report}"
        );
        assert_eq!(checker.except(["2", "3", "7"]).compare(&expected, &found), Ok(3));
    }
}
