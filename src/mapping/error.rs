//! What can be wrong with a query, its rules, or an event measured against them.

use crate::model::{Class, TableName};

/// Why a query cannot be compiled, or a change cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The text is not one SELECT of MySQL.
    #[error("{place} cannot be read as MySQL: {found}; correct the SQL")]
    Syntax {
        /// `query.sql`, or another field.
        place: &'static str,
        /// What the parser says.
        found: String,
    },
    /// The mark of the main ids is absent, doubled or misplaced.
    #[error(
        "query.sql: {found}; mark the main ids once, in the WHERE of the main query: `WHERE t.id IN (:ids)`"
    )]
    Placeholder {
        /// What was found.
        found: String,
    },
    /// A row's content could depend on which other ids are read with it, or on nothing the binlog shows.
    #[error("query.sql is not separable by key: {found}; {remedy}")]
    NotSeparable {
        /// What was found.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A function whose result changes without any change of a row.
    #[error("query.sql calls {function}, {why}; take it out, or set query.volatile: Allow")]
    Volatile {
        /// The function as written.
        function: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// SQL whose ids are not surely known.
    #[error("query.sql: {found} is not supported; {remedy}")]
    Unsupported {
        /// The construct, with a fragment of the SQL.
        found: String,
        /// What to write in its place.
        remedy: String,
    },
    /// A table without a schema, or one the server does not have.
    #[error("query.sql reads table {table}: {found}; {remedy}")]
    Table {
        /// The name as written.
        table: String,
        /// What is wrong with it.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A column that no table in reach has, or more than one.
    #[error("query.sql: column {column} {found}; {remedy}")]
    Column {
        /// The column as written.
        column: String,
        /// What is wrong with it.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// `query.key` does not name the column that the placeholder filters.
    #[error("query.key {key}: {found}; {remedy}")]
    Key {
        /// The key's columns.
        key: String,
        /// What is wrong.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// No equality leads from a table to the main key.
    #[error(
        "no path from {table} (alias {alias}) to the main key: {found}; add to mapping.tables for {table} one of \
         `column` (its column that holds the main key), `lookup` (SQL that finds the main keys), `ignore: true`, or \
         `all: true` (any change rebuilds)"
    )]
    NoPath {
        /// The table.
        table: TableName,
        /// Its alias in the query.
        alias: String,
        /// Which equalities were looked at and why they do not serve.
        found: String,
    },
    /// An entry of `mapping.tables` that cannot be right.
    #[error("mapping.tables entry {table}: {found}; {remedy}")]
    Rule {
        /// The entry's table.
        table: TableName,
        /// What is wrong.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A variable of `mapping.sharding` that cannot be right.
    #[error("mapping.sharding {variable}: {found}; {remedy}")]
    Sharding {
        /// The variable.
        variable: String,
        /// What is wrong.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// The tables behind one name are not alike.
    #[error("{table} stands for several tables, but {found}; {remedy}")]
    Shards {
        /// The name, with its variables.
        table: String,
        /// Which table differs, and in what.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// An expression of `mapping.rewrite` that cannot be read.
    #[error("mapping.rewrite: the expression {pattern:?} cannot be read: {found}; correct it")]
    Rewrite {
        /// The expression.
        pattern: String,
        /// What the reader says.
        found: String,
    },
    /// Something is wrong with a query of `query.children`.
    #[error("query.children {field}: {}", .error.to_string().replace("query.sql", "its sql").replace("query.key", "its key"))]
    Child {
        /// The member of the document.
        field: String,
        /// What is wrong.
        error: Box<MappingError>,
    },
    /// A Reindex selection that cannot be walked.
    #[error("selection {found}; {remedy}")]
    Selection {
        /// What is wrong.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// An event's columns lack one that the plan needs.
    #[error(
        "event of {table} has no column {column}: {found}; the table changed, or binlog_row_metadata is not FULL \
         and the schema history is wrong: the documents are rebuilt"
    )]
    MissingColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// What the event has.
        found: String,
    },
    /// A row image does not carry a column that ids are derived from.
    #[error(
        "the {image} image of a row of {table} lacks column {column}, from which ids are derived; \
         set binlog_row_image=FULL, or include the column in the primary key"
    )]
    AbsentColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// `before` or `after`.
        image: &'static str,
    },
    /// A value that cannot be turned into a key without the server's help.
    #[error("{table}.{column}: {found} cannot be a key; {remedy}")]
    Value {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// What the value is.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl MappingError {
    /// What the error means for the task: the definition is wrong, or something changed unseen.
    pub fn class(&self) -> Class {
        match self {
            Self::MissingColumn { .. } | Self::AbsentColumn { .. } | Self::Value { .. } => Class::Gap,
            _ => Class::Config,
        }
    }

    /// The same error of a child's query.
    pub(super) fn of_child(self, field: &str) -> Self {
        Self::Child { field: field.to_owned(), error: Box::new(self) }
    }

    pub(super) fn unsupported(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Unsupported { found: found.into(), remedy: remedy.into() }
    }

    pub(super) fn not_separable(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::NotSeparable { found: found.into(), remedy: remedy.into() }
    }

    pub(super) fn column(
        column: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Column { column: column.into(), found: found.into(), remedy: remedy.into() }
    }

    pub(super) fn placeholder(found: impl Into<String>) -> Self {
        Self::Placeholder { found: found.into() }
    }
}

/// A fragment of SQL short enough for a message.
pub(super) fn fragment(sql: &impl ToString) -> String {
    let text = sql.to_string();
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= 80 {
        return format!("`{flat}`");
    }
    let cut: String = flat.chars().take(77).collect();
    format!("`{cut}...`")
}
