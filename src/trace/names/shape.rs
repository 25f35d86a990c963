//! A table as DDL describes it, and how statements change it.

use super::types::SqlType;
use crate::model::{Column, ColumnKind, TableName};

/// A table at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<ShapeColumn>,
    /// The primary key's columns, by name.
    pub(crate) primary: Vec<String>,
    /// Unique keys over whole columns, by name and columns.
    pub(crate) unique: Vec<(String, Vec<String>)>,
    /// The default character set or collation, in lower case.
    pub(crate) charset: Option<String>,
    /// Triggers fire on changes of it.
    pub(crate) triggers: bool,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ShapeColumn {
    pub(crate) column: Column,
    pub(crate) sql_type: SqlType,
    /// Its value is computed: it cannot be assigned.
    pub(crate) generated: bool,
    pub(crate) nullable: bool,
    /// ON UPDATE CURRENT_TIMESTAMP: an UPDATE that does not name it changes it.
    pub(crate) auto_update: bool,
    /// Its own character set or collation, in lower case.
    pub(crate) charset: Option<String>,
    /// The labels of an ENUM or SET, in order.
    pub(crate) labels: Vec<String>,
    /// Its type is that of after a change, and was another one before.
    pub(crate) unsure: bool,
}

/// Where a column is put.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Last,
    First,
    After(String),
}

/// One thing that ALTER TABLE does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Add(ShapeColumn, Place),
    Drop(String),
    /// The old name, the new definition, and a place where it moves.
    Modify(String, ShapeColumn, Option<Place>),
    Rename(String, String),
    Primary(Vec<String>),
    DropPrimary,
    Unique(String, Vec<String>),
    DropKey(String),
    RenameKey(String, String),
    RenameTable(TableName),
    /// Default character set of the table; with true, of its text columns as well.
    Charset(String, bool),
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

impl Shape {
    /// The column of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&ShapeColumn> {
        self.columns.iter().find(|c| same(&c.column.name, name))
    }

    /// The columns' names, in their order.
    pub(crate) fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.column.name.clone()).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| same(&c.column.name, name))
    }

    /// Carries out the changes of one statement; says what does not fit.
    pub(super) fn apply(&mut self, changes: &[Change]) -> Result<(), String> {
        // As in the server: columns go and change by their old names first, then columns are put in place.
        let mut placed = Vec::new();
        for change in changes {
            match change {
                Change::Drop(name) => {
                    let at = self
                        .find(name)
                        .ok_or_else(|| format!("it drops column {name}, which is not there"))?;
                    self.columns.remove(at);
                    self.forget_column(name);
                }
                Change::Modify(old, column, place) => {
                    let at = self
                        .find(old)
                        .ok_or_else(|| format!("it changes column {old}, which is not there"))?;
                    self.rename_in_keys(old, &column.column.name);
                    match place {
                        None => {
                            if let Some(there) = self.columns.get_mut(at) {
                                *there = column.clone();
                            }
                        }
                        Some(place) => {
                            self.columns.remove(at);
                            placed.push((column.clone(), place.clone()));
                        }
                    }
                }
                Change::Rename(old, new) => {
                    let at = self
                        .find(old)
                        .ok_or_else(|| format!("it renames column {old}, which is not there"))?;
                    if let Some(there) = self.columns.get_mut(at) {
                        there.column.name.clone_from(new);
                    }
                    self.rename_in_keys(old, new);
                }
                Change::Add(column, place) => placed.push((column.clone(), place.clone())),
                other => self.apply_to_table(other),
            }
        }
        for (column, place) in placed {
            self.put(column, &place)?;
        }
        Ok(())
    }

    fn apply_to_table(&mut self, change: &Change) {
        match change {
            Change::Primary(columns) => self.primary.clone_from(columns),
            Change::DropPrimary => self.primary.clear(),
            Change::Unique(name, columns) => self.unique.push((name.clone(), columns.clone())),
            Change::DropKey(name) => self.unique.retain(|(key, _)| !same(key, name)),
            Change::RenameKey(old, new) => {
                if let Some((key, _)) = self.unique.iter_mut().find(|(key, _)| same(key, old)) {
                    key.clone_from(new);
                }
            }
            Change::Charset(charset, convert) => {
                self.charset = Some(charset.clone());
                for column in
                    self.columns.iter_mut().filter(|c| *convert && c.column.kind == ColumnKind::Text)
                {
                    column.charset = None;
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, column: ShapeColumn, place: &Place) -> Result<(), String> {
        if self.find(&column.column.name).is_some() {
            return Err(format!("it adds column {}, which is there already", column.column.name));
        }
        let at = match place {
            Place::Last => self.columns.len(),
            Place::First => 0,
            Place::After(name) => {
                1 + self
                    .find(name)
                    .ok_or_else(|| format!("it puts a column after {name}, which is not there"))?
            }
        };
        self.columns.insert(at, column);
        Ok(())
    }

    fn rename_in_keys(&mut self, old: &str, new: &str) {
        let keys = self.unique.iter_mut().map(|(_, columns)| columns).chain([&mut self.primary]);
        for name in keys.flatten().filter(|name| same(name, old)) {
            new.clone_into(name);
        }
    }

    /// A dropped column leaves its keys; what is unique over the rest is not known.
    fn forget_column(&mut self, column: &str) {
        self.unique.retain(|(_, columns)| !columns.iter().any(|c| same(c, column)));
        if self.primary.iter().any(|c| same(c, column)) {
            self.primary.clear();
        }
    }

    /// Undoes the changes of one statement, as far as they say what was before.
    pub(super) fn revert(&mut self, changes: &[Change]) -> Result<(), String> {
        for change in changes.iter().rev() {
            match change {
                Change::Add(column, _) => {
                    let name = &column.column.name;
                    let at = self
                        .find(name)
                        .ok_or_else(|| format!("column {name}, which it adds, is not there"))?;
                    self.columns.remove(at);
                    self.forget_column(name);
                }
                Change::Drop(name) => {
                    return Err(format!("it drops column {name}, whose place before is not known"));
                }
                Change::Modify(old, column, place) => {
                    let new = &column.column.name;
                    let at = self
                        .find(new)
                        .ok_or_else(|| format!("column {new}, which it changes, is not there"))?;
                    if place.is_some() {
                        return Err(format!("it moves column {new}, whose place before is not known"));
                    }
                    if column.generated {
                        return Err(format!(
                            "it changes column {new}, which is computed since then at the latest"
                        ));
                    }
                    if let Some(there) = self.columns.get_mut(at) {
                        there.column.name.clone_from(old);
                        there.sql_type.codes = &[]; // whatever it was
                        there.charset = None;
                        there.auto_update = true;
                        there.labels.clear();
                        there.unsure = true;
                    }
                    self.rename_in_keys(new, old);
                }
                Change::Rename(old, new) => {
                    let at =
                        self.find(new).ok_or_else(|| format!("column {new}, its new name, is not there"))?;
                    if let Some(there) = self.columns.get_mut(at) {
                        there.column.name.clone_from(old);
                    }
                    self.rename_in_keys(new, old);
                }
                // A key that was not there before cannot tell rows apart; one that was is not known.
                Change::Primary(_) => self.primary.clear(),
                Change::Unique(name, _) => self.unique.retain(|(key, _)| !same(key, name)),
                Change::DropPrimary
                | Change::DropKey(_)
                | Change::RenameKey(..)
                | Change::RenameTable(_)
                | Change::Charset(..) => {}
            }
        }
        Ok(())
    }
}
