//! The live schema of the tables that a query reads, as `source` finds it and `mapping` uses it.

use std::collections::BTreeMap;

use super::{Column, TableName};

/// What is known of the tables a query reads.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Catalog {
    /// The tables by name.
    pub tables: BTreeMap<TableName, CatalogTable>,
    /// `@@lower_case_table_names`: above 0, names compare without case.
    pub lower_case_table_names: u8,
    /// True where changes made by foreign-key cascades are in the binlog (MySQL 9.6+ with
    /// `innodb_native_foreign_keys` off); false on older servers and on MariaDB.
    pub cascades_logged: bool,
}

/// One table, or view.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CatalogTable {
    /// Its columns in table order.
    pub columns: Vec<CatalogColumn>,
    /// The primary key's columns in key order; empty where there is none.
    pub primary_key: Vec<String>,
    /// The columns of every unique index that holds no NULL, besides the primary key.
    pub unique_keys: Vec<Vec<String>>,
    /// Every index's columns in index order, the primary key's first.
    pub indexes: Vec<Vec<String>>,
    /// Foreign keys of this table, also those from tables that the query does not read.
    pub foreign_keys: Vec<ForeignKey>,
    /// The storage engine, for example `InnoDB`; empty for a view.
    pub engine: String,
    /// True for a view.
    pub is_view: bool,
    /// The SELECT that a view stands for; empty for a table, and where the account may not see it.
    pub view_text: String,
}

/// One column with what equality and reading need to know.
#[derive(Clone, PartialEq, Debug)]
pub struct CatalogColumn {
    /// Name, kind and width as row images have them.
    pub column: Column,
    /// COLUMN_TYPE, for example `bigint unsigned` or `varchar(64)`.
    pub sql_type: String,
    /// COLLATION_NAME of text columns.
    pub collation_name: Option<String>,
    /// May hold NULL.
    pub nullable: bool,
    /// The columns a generated column is computed from; empty for others.
    pub generated_from: Vec<String>,
    /// `*` does not mean it.
    pub invisible: bool,
}

/// A foreign key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignKey {
    /// The referencing columns.
    pub columns: Vec<String>,
    /// The referenced table.
    pub parent: TableName,
    /// The referenced columns.
    pub parent_columns: Vec<String>,
    /// ON DELETE CASCADE or SET NULL (SET DEFAULT).
    pub acts_on_delete: bool,
    /// ON UPDATE CASCADE or SET NULL.
    pub acts_on_update: bool,
}
