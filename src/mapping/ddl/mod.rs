//! DDL of the stream: keeps the column names of mapped tables, and says what a statement means for the documents.
//!
//! Statements are read by their words only, so that none is an error: what is known to be harmless is none of
//! our business, and what names a mapped table without being understood is a gap.

mod alter;
mod words;

use std::collections::BTreeMap;

use super::meaning::meaning;
use super::plan::Plan;
use super::scope::canonical;
use crate::model::{Column, TableColumns, TableName};
pub(crate) use words::Words;

/// What a DDL statement means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DdlEffect {
    /// Nothing.
    None,
    /// Columns of these tables came, went or moved, or their keys changed; no column that the query refers to
    /// did, and it refers to the same ones as before. The history has moved.
    SchemaChanged {
        /// The tables.
        tables: Vec<TableName>,
    },
    /// Documents may have changed without any row event.
    Gap {
        /// What happened, with the statement's beginning.
        reason: String,
    },
}

/// The columns of mapped tables as of a position in the stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SchemaHistory {
    tables: BTreeMap<TableName, Vec<Column>>,
}

impl SchemaHistory {
    /// A history that begins with these columns.
    pub fn new(tables: impl IntoIterator<Item = TableColumns>) -> Self {
        Self { tables: tables.into_iter().map(|t| (t.table, t.columns)).collect() }
    }

    /// Sets the columns of a table.
    pub fn insert(&mut self, table: TableName, columns: Vec<Column>) {
        self.tables.insert(table, columns);
    }

    /// The columns of a table.
    pub fn columns(&self, table: &TableName) -> Option<&[Column]> {
        self.tables.get(table).map(Vec::as_slice)
    }

    /// Everything, as a checkpoint keeps it.
    pub fn to_tables(&self) -> Vec<TableColumns> {
        let each = self.tables.iter();
        each.map(|(table, columns)| TableColumns { table: table.clone(), columns: columns.clone() }).collect()
    }

    /// Follows a statement of the stream. `default_schema` is the schema of its unqualified names.
    pub fn apply(&mut self, sql: &str, default_schema: &str, plan: &Plan) -> DdlEffect {
        let Some(words) = Words::new(sql) else {
            let lower = sql.to_lowercase();
            let named = plan.names().find(|name| lower.contains(&name.table.to_lowercase()));
            return match named {
                Some(table) => gap(sql, &format!("cannot be read and names {table}")),
                None => DdlEffect::None,
            };
        };
        let mut statement = Statement { sql, default_schema, plan, history: self };
        statement.effect(words)
    }

    /// The table's columns under whatever spelling the plan compares names by.
    fn entry(&mut self, table: &TableName, fold: bool) -> Option<&mut Vec<Column>> {
        let wanted = canonical(table, fold);
        let mut all = self.tables.iter_mut();
        all.find(|(name, _)| canonical(name, fold) == wanted).map(|(_, columns)| columns)
    }
}

pub(super) fn gap(sql: &str, why: &str) -> DdlEffect {
    DdlEffect::Gap { reason: format!("{} {why}", super::error::fragment(&sql)) }
}

/// One statement under examination.
struct Statement<'s> {
    sql: &'s str,
    default_schema: &'s str,
    plan: &'s Plan,
    history: &'s mut SchemaHistory,
}

impl Statement<'_> {
    fn effect(&mut self, mut words: Words) -> DdlEffect {
        let Some(verb) = words.keyword() else { return self.unknown(&words) };
        if matches!(verb.as_str(), "CREATE" | "ALTER" | "DROP")
            && words.head().any_of(&["VIEW"])
            && let Some(view) = self.plan.views().find(|view| words.mentions(&view.table))
        {
            return gap(self.sql, &format!("changes {view}, a view that the query reads"));
        }
        match verb.as_str() {
            "LOAD" if words.is("INDEX") => DdlEffect::None,
            "LOAD" | "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "CALL" | "DO" | "SELECT" | "WITH"
            | "VALUES" | "MERGE" => self.text(),
            "TRUNCATE" => {
                words.skip("TABLE");
                self.tables(&mut words, "empties a mapped table without row events")
            }
            "CREATE" => self.create(words),
            "DROP" => self.drop(words),
            "RENAME" => self.rename(words),
            "ALTER" => self.alter(words),
            "REPAIR" => {
                words.skip_all(&["NO_WRITE_TO_BINLOG", "LOCAL", "TABLE", "TABLES"]);
                self.tables(&mut words, "may drop rows of a mapped table without row events")
            }
            "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "START" | "XA" | "SET" | "USE"
            | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "CHECK" | "CHECKSUM" | "GRANT" | "REVOKE" | "INSTALL"
            | "UNINSTALL" | "LOCK" | "UNLOCK" | "RESET" | "PURGE" | "SHOW" | "CACHE" | "KILL" | "END"
            | "CHANGE" => DdlEffect::None,
            _ => self.unknown(&words),
        }
    }

    fn text(&self) -> DdlEffect {
        gap(self.sql, "is a change of data logged as text (binlog_format is not ROW for its session)")
    }

    /// A statement that is not understood: a gap where any of its words is a mapped table's name.
    fn unknown(&self, words: &Words) -> DdlEffect {
        match self.plan.names().find(|name| words.mentions(&name.table)) {
            Some(table) => gap(self.sql, &format!("is not understood and names {table}")),
            None => DdlEffect::None,
        }
    }

    fn mapped(&self, name: &TableName) -> bool {
        self.plan.table(name).is_some() || self.plan.is_view(name)
    }

    /// A list of tables, of which none may be mapped.
    fn tables(&self, words: &mut Words, why: &str) -> DdlEffect {
        loop {
            let Some(table) = words.table(self.default_schema) else { return self.unknown(words) };
            if self.mapped(&table) {
                return gap(self.sql, why);
            }
            if !words.skip_sign(",") {
                return DdlEffect::None;
            }
        }
    }

    fn create(&mut self, mut words: Words) -> DdlEffect {
        let replace = words.skip_both("OR", "REPLACE");
        let temporary = words.skip("TEMPORARY");
        if words.skip("TABLE") {
            if temporary {
                return DdlEffect::None;
            }
            let unless_there = words.skip_if_exists();
            let Some(table) = words.table(self.default_schema) else { return self.unknown(&words) };
            let fold = self.plan.fold;
            let there = unless_there && !replace && self.history.entry(&table, fold).is_some();
            if self.mapped(&table) && !there {
                return gap(self.sql, "creates a mapped table anew");
            }
            return DdlEffect::None;
        }
        if words.skip("DATABASE") || words.skip("SCHEMA") {
            return if replace { self.schema(&mut words) } else { DdlEffect::None };
        }
        // Kinds of objects whose creation changes no row.
        let harmless = [
            "INDEX",
            "VIEW",
            "TRIGGER",
            "PROCEDURE",
            "FUNCTION",
            "EVENT",
            "USER",
            "ROLE",
            "SERVER",
            "TABLESPACE",
            "LOGFILE",
            "RESOURCE",
            "SPATIAL",
            "SEQUENCE",
            "PACKAGE",
            "LIBRARY",
        ];
        if words.head().any_of(&harmless) { DdlEffect::None } else { self.unknown(&words) }
    }

    fn drop(&mut self, mut words: Words) -> DdlEffect {
        if words.skip("TEMPORARY") {
            return DdlEffect::None;
        }
        if words.skip("TABLE") || words.skip("TABLES") {
            words.skip_if_exists();
            return self.tables(&mut words, "drops a mapped table");
        }
        if words.skip("DATABASE") || words.skip("SCHEMA") {
            return self.schema(&mut words);
        }
        // Indexes, views, routines, users: no rows.
        DdlEffect::None
    }

    /// A schema that goes: a gap where a mapped table is in it.
    fn schema(&self, words: &mut Words) -> DdlEffect {
        words.skip_if_exists();
        let Some(schema) = words.name() else { return self.unknown(words) };
        let fold = self.plan.fold;
        let same = |name: &TableName| {
            canonical(&TableName::new(name.schema.clone(), ""), fold)
                == canonical(&TableName::new(schema.clone(), ""), fold)
        };
        match self.plan.names().find(|name| same(name)) {
            Some(table) => gap(self.sql, &format!("drops the schema of {table}")),
            None => DdlEffect::None,
        }
    }

    fn rename(&self, mut words: Words) -> DdlEffect {
        if words.skip("USER") {
            return DdlEffect::None;
        }
        if !words.skip("TABLE") && !words.skip("TABLES") {
            return self.unknown(&words);
        }
        words.skip_if_exists();
        loop {
            let from = words.table(self.default_schema);
            if !words.skip("NOWAIT") && words.skip("WAIT") {
                words.name();
            }
            let to = if words.skip("TO") { words.table(self.default_schema) } else { None };
            let (Some(from), Some(to)) = (from, to) else { return self.unknown(&words) };
            if self.mapped(&from) || self.mapped(&to) {
                return gap(self.sql, "puts another table in the place of a mapped one");
            }
            if !words.skip_sign(",") {
                return DdlEffect::None;
            }
        }
    }

    fn alter(&mut self, mut words: Words) -> DdlEffect {
        words.skip_all(&["ONLINE", "OFFLINE"]);
        let ignore = words.skip("IGNORE");
        if !words.skip("TABLE") {
            // Databases, views, routines, users, tablespaces: no rows of ours.
            return DdlEffect::None;
        }
        words.skip_if_exists();
        let Some(table) = words.table(self.default_schema) else { return self.unknown(&words) };
        let Some(mapped) = self.plan.table(&table) else {
            return self.renamed_to_mapped(words);
        };
        if ignore {
            return gap(self.sql, "may drop rows of a mapped table without row events");
        }
        if words.skip("WAIT") {
            words.name();
        }
        words.skip("NOWAIT");
        let before = self.history.tables.clone();
        let columns = self.history.entry(&table, self.plan.fold);
        match alter::apply(&words, mapped, columns, self.plan.catalog.cascades_logged) {
            alter::Outcome::Nothing => DdlEffect::None,
            alter::Outcome::Changed => match self.means_something_else(&before, &table) {
                Some(why) => gap(self.sql, &why),
                None => DdlEffect::SchemaChanged { tables: vec![mapped.table().clone()] },
            },
            alter::Outcome::Gap(why) => gap(self.sql, &why),
        }
    }

    /// A column that came may capture a name that the query writes without a table.
    fn means_something_else(
        &self,
        before: &BTreeMap<TableName, Vec<Column>>,
        changed: &TableName,
    ) -> Option<String> {
        if *before == self.history.tables {
            return None;
        }
        let after = meaning(self.plan, &self.history.tables, changed);
        match (meaning(self.plan, before, changed), after) {
            (before, after) if before == after => None,
            (_, Err(error)) => Some(format!("leaves the query without a meaning: {error}")),
            (_, Ok(_)) => Some("lets the query refer to other columns".to_owned()),
        }
    }

    /// `ALTER TABLE other RENAME TO mapped`, and a partition that is exchanged with a mapped table.
    fn renamed_to_mapped(&self, mut words: Words) -> DdlEffect {
        while let Some(keyword) = words.next_keyword() {
            let names_table = match keyword.as_str() {
                "RENAME" => {
                    let other = ["COLUMN", "INDEX", "KEY"].iter().any(|word| words.is(word));
                    words.skip("TO");
                    words.skip("AS");
                    words.skip_sign("=");
                    !other
                }
                "TABLE" => true,
                _ => false,
            };
            if names_table && words.table(self.default_schema).is_some_and(|table| self.mapped(&table)) {
                return gap(self.sql, "puts other rows in the place of a mapped table's");
            }
        }
        DdlEffect::None
    }
}

#[cfg(test)]
mod tests;
