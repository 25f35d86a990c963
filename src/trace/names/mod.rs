//! What tables look like at each place of the binlog: from DDL files or a server, moved by the DDL in the stream.

mod dump;
mod parse;
mod shape;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::TableName;
use dump::Statements;
pub(crate) use parse::Ddl;
pub(crate) use shape::{Shape, ShapeColumn};

/// The known tables at one place. A table whose database nobody named has the schema `""` and stands for that
/// table in any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Names {
    tables: BTreeMap<TableName, Arc<Shape>>,
    /// Tables that are not known at this place any more, and why.
    lost: BTreeMap<TableName, Lost>,
}

/// A table that is not known at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Lost {
    why: String,
    /// The statement from which on it is known again, and as what.
    until: Option<(Ddl, Arc<Shape>)>,
}

/// Why a statement does not fit what is known.
type Misfit = (TableName, String);

impl Names {
    /// Adds the tables of a file of DDL statements. Without `schema` and without USE in the file, tables go
    /// without a database. Gives what could not be read.
    pub(crate) fn add_dump(&mut self, text: &str, schema: Option<&str>) -> Vec<String> {
        let mut current = schema.unwrap_or_default().to_owned();
        let mut troubles = Vec::new();
        for sql in Statements::new(text) {
            match parse::statement(sql, &current) {
                Ok(Ddl::Use(database)) if schema.is_none() => current = database,
                Ok(Ddl::Use(_) | Ddl::DropSchema(_) | Ddl::Drop(_)) => {}
                Ok(ddl) => drop(self.apply(&ddl)),
                Err(why) => {
                    let head: String = sql.chars().take(60).collect();
                    troubles.push(format!("{} ... {why}", head.replace('\n', " ")));
                }
            }
        }
        troubles
    }

    /// How many tables are known.
    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// A table, with true where nobody named its database.
    pub(crate) fn get(&self, table: &TableName) -> Result<Option<(&Arc<Shape>, bool)>, &str> {
        if let Some(shape) = self.tables.get(table) {
            return Ok(Some((shape, false)));
        }
        if let Some(lost) = self.lost.get(table) {
            return Err(&lost.why);
        }
        Ok(self.tables.get(&nameless(table)).map(|shape| (shape, true)))
    }

    /// The table to change; one without a database gets this one.
    fn entry(&mut self, table: &TableName) -> Option<&mut Shape> {
        if !self.tables.contains_key(table) {
            let shape = Arc::clone(self.tables.get(&nameless(table))?);
            self.tables.insert(table.clone(), shape);
        }
        self.tables.get_mut(table).map(Arc::make_mut)
    }

    fn lose(&mut self, table: &TableName, why: String) {
        self.tables.remove(table);
        self.lost.insert(table.clone(), Lost { why, until: None });
    }

    /// Gives back what is known from this statement on.
    fn regain(&mut self, ddl: &Ddl) -> bool {
        let waits = |lost: &Lost| lost.until.as_ref().is_some_and(|(until, _)| until == ddl);
        let Some(table) = self.lost.iter().find(|(_, lost)| waits(lost)).map(|(table, _)| table.clone())
        else {
            return false;
        };
        if let Some(Lost { until: Some((_, shape)), .. }) = self.lost.remove(&table) {
            self.tables.insert(table, shape);
        }
        true
    }

    fn set(&mut self, table: TableName, shape: Shape) {
        self.lost.remove(&table);
        self.tables.insert(table, Arc::new(shape));
    }

    /// Follows a statement. What does not fit is said, and the table then counts as unknown.
    pub(crate) fn apply(&mut self, ddl: &Ddl) -> Result<(), Misfit> {
        if self.regain(ddl) {
            return Ok(());
        }
        match ddl {
            Ddl::Create { table, shape, unless_there } => {
                let there = self.tables.contains_key(table);
                if !(there && *unless_there) {
                    self.set(table.clone(), shape.clone());
                }
                if there && !unless_there {
                    return Err((table.clone(), "it creates a table that is there".into()));
                }
            }
            Ddl::CreateLike { table, like, unless_there } => {
                if !(self.tables.contains_key(table) && *unless_there) {
                    match self.entry(like).cloned() {
                        Some(shape) => self.set(table.clone(), Shape { triggers: false, ..shape }),
                        None => self.lose(table, format!("it was created like {like}, which is not known")),
                    }
                }
            }
            Ddl::Alter { table, changes } => {
                let Some(shape) = self.entry(table) else { return Ok(()) };
                let applied = shape.apply(changes);
                if let Err(why) = applied {
                    self.lose(table, format!("an ALTER TABLE in the binlog does not fit: {why}"));
                    return Err((table.clone(), why));
                }
                for change in changes {
                    if let shape::Change::RenameTable(to) = change {
                        self.rename(table, to);
                    }
                }
            }
            Ddl::Drop(tables) => {
                for table in tables {
                    self.lose(table, "it was dropped".into());
                }
            }
            Ddl::DropSchema(schema) => self.tables.retain(|name, _| name.schema != *schema),
            Ddl::Rename(pairs) => {
                for (from, to) in pairs {
                    let misfit = self.entry(from).is_none() && self.entry(to).is_some();
                    self.rename(from, to);
                    if misfit {
                        return Err((
                            to.clone(),
                            format!("it renames {from}, which is not there, to what is"),
                        ));
                    }
                }
            }
            Ddl::Trigger(table) => {
                if let Some(shape) = self.entry(table) {
                    shape.triggers = true;
                }
            }
            Ddl::Use(_) | Ddl::About(_) | Ddl::Other => {}
        }
        Ok(())
    }

    /// The table of an ALTER TABLE.
    fn redefined(&self, ddl: &Ddl) -> Option<(TableName, Arc<Shape>)> {
        let Ddl::Alter { table, .. } = ddl else { return None };
        let (shape, _) = self.get(table).ok()??;
        Some((table.clone(), Arc::clone(shape)))
    }

    fn column_names(&self, table: &TableName) -> Option<Vec<String>> {
        self.get(table).ok()?.map(|(shape, _)| shape.column_names())
    }

    fn rename(&mut self, from: &TableName, to: &TableName) {
        if self.entry(from).is_some()
            && let Some(shape) = self.tables.remove(from)
        {
            let why = format!("it was renamed to {to}");
            self.lost.insert(from.clone(), Lost { why, until: None });
            self.lost.remove(to);
            self.tables.insert(to.clone(), shape);
        }
    }

    /// Goes back behind a statement.
    fn revert(&mut self, ddl: &Ddl) {
        match ddl {
            Ddl::Create { table, unless_there, .. } | Ddl::CreateLike { table, unless_there, .. } => {
                if !unless_there {
                    self.lose(table, "the binlog creates it only later".into());
                }
            }
            Ddl::Alter { table, changes } => {
                for change in changes {
                    if let shape::Change::RenameTable(to) = change {
                        self.rename(to, table);
                        self.lost.remove(table);
                    }
                }
                if let Some(shape) = self.entry(table) {
                    let after = shape.clone();
                    if let Err(why) = shape.revert(changes) {
                        let why =
                            format!("the known schema is from after an ALTER TABLE in the binlog, and {why}");
                        let until = Some((ddl.clone(), Arc::new(after)));
                        self.tables.remove(table);
                        self.lost.insert(table.clone(), Lost { why, until });
                    }
                }
            }
            Ddl::Drop(tables) => {
                for table in tables {
                    self.lose(table, "the binlog drops it, and the known schema is from after that".into());
                }
            }
            Ddl::Rename(pairs) => {
                for (from, to) in pairs.iter().rev() {
                    self.rename(to, from);
                    self.lost.remove(from);
                }
            }
            Ddl::DropSchema(_) | Ddl::Trigger(_) | Ddl::Use(_) | Ddl::About(_) | Ddl::Other => {}
        }
    }

    /// The tables at the beginning of a binlog with these statements. What a file of DDL says holds at the
    /// beginning; where the statements contradict that (or always, with `from_end`) it holds at the end, and
    /// they are taken back. `None` where all of it holds at the beginning.
    pub(crate) fn at_beginning<'d>(
        &self,
        statements: impl DoubleEndedIterator<Item = &'d Ddl> + Clone,
        from_end: bool,
    ) -> Option<Self> {
        let mut later: BTreeSet<TableName> = BTreeSet::new();
        if from_end {
            later.extend(self.tables.keys().cloned());
            later.extend(statements.clone().flat_map(Ddl::tables));
        } else {
            let (mut forward, mut doubtful) = (self.clone(), BTreeSet::new());
            for ddl in statements.clone() {
                let before = forward.redefined(ddl);
                if let Err((table, _)) = forward.apply(ddl) {
                    later.insert(table);
                } else if let (Some((table, before)), Some((_, after))) = (before, forward.redefined(ddl))
                    && is_as_before(ddl, &before, &after)
                {
                    doubtful.insert(table);
                }
            }
            // what has other columns in the end is surely from before
            doubtful.retain(|table| self.column_names(table) == forward.column_names(table));
            later.extend(doubtful);
        }
        if later.is_empty() {
            return None;
        }
        for (from, to) in statements.clone().rev().flat_map(Ddl::renames) {
            if later.contains(from) || later.contains(to) {
                later.extend([from.clone(), to.clone()]);
            }
        }
        let mut before = self.clone();
        statements.rev().for_each(|ddl| before.revert(ddl));
        let mut this = self.clone();
        this.tables.retain(|name, _| !later.contains(name));
        this.tables.extend(before.tables.into_iter().filter(|(name, _)| later.contains(name)));
        this.lost.extend(before.lost.into_iter().filter(|(name, _)| later.contains(name)));
        Some(this)
    }
}

impl Ddl {
    /// Reads a statement of the stream. One that is not understood counts as [`Ddl::Other`] unless it is about
    /// a table: then its reason is given.
    pub(crate) fn read(sql: &str, schema: &str) -> Result<Self, String> {
        parse::statement(sql, schema)
    }

    /// The tables that it is about.
    pub(crate) fn tables(&self) -> Vec<TableName> {
        match self {
            Self::Create { table, .. }
            | Self::CreateLike { table, .. }
            | Self::Alter { table, .. }
            | Self::Trigger(table)
            | Self::About(table) => vec![table.clone()],
            Self::Drop(tables) => tables.clone(),
            Self::Rename(pairs) => pairs.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect(),
            Self::DropSchema(_) | Self::Use(_) | Self::Other => Vec::new(),
        }
    }

    /// The tables whose rows it makes look otherwise, or be found by another key, where they are there before it.
    pub(crate) fn redefines(&self) -> Vec<TableName> {
        use shape::Change;
        let of_no_rows = |change: &Change| {
            matches!(change, Change::DropKey(_) | Change::RenameKey(..) | Change::Charset(_, false))
        };
        match self {
            Self::Create { unless_there: true, .. } | Self::CreateLike { unless_there: true, .. } => {
                Vec::new()
            }
            Self::Alter { changes, .. } if changes.iter().all(of_no_rows) => Vec::new(),
            Self::Drop(_) | Self::Trigger(_) => Vec::new(),
            ddl => ddl.tables(),
        }
    }

    fn renames(&self) -> Vec<(&TableName, &TableName)> {
        match self {
            Self::Rename(pairs) => pairs.iter().map(|(from, to)| (from, to)).collect(),
            Self::Alter { table, changes } => changes
                .iter()
                .filter_map(|change| match change {
                    shape::Change::RenameTable(to) => Some((table, to)),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// True where it changes what tables look like.
    pub(crate) fn moves(&self) -> bool {
        !matches!(self, Self::Use(_) | Self::About(_) | Self::Other)
    }
}

/// True where an ALTER TABLE moves columns and leaves all names where they were, or changes a column to what it was:
/// what is known may be from after it.
fn is_as_before(ddl: &Ddl, before: &Shape, after: &Shape) -> bool {
    let Ddl::Alter { changes, .. } = ddl else { return false };
    let has = |wanted: fn(&shape::Change) -> bool| changes.iter().any(wanted);
    let moves = has(|change| {
        matches!(
            change,
            shape::Change::Add(..) | shape::Change::Drop(_) | shape::Change::Modify(_, _, Some(_))
        )
    });
    (moves && before.column_names() == after.column_names())
        || (before == after && has(|change| matches!(change, shape::Change::Modify(..))))
}

fn nameless(table: &TableName) -> TableName {
    TableName::new("", table.table.clone())
}
