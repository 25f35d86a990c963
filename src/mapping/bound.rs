//! A table's plan fitted to an event's columns: which to decode, and which ids a row touches.

use super::error::MappingError;
use super::plan::{Action, Events, TablePlan};
use super::scope::same_column;
use super::value::Part;
use crate::model::{Column, Key, TableName, Value};

/// What the rows of a transaction touch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touched {
    /// Main keys.
    pub keys: Vec<Key>,
    /// Values to look up: the lookup's number in [`super::Plan::lookups`], and its parameters.
    pub lookups: Vec<(usize, Key)>,
    /// A table with `all: true` changed: everything is built anew.
    pub rebuild: bool,
    /// Rows that needed nothing: UPDATEs that changed no column of the query.
    pub pruned: u64,
}

/// A table's plan with the positions of its columns in row images.
#[derive(Clone, Debug)]
pub struct BoundTable {
    table: TableName,
    wanted: Vec<usize>,
    rules: Vec<BoundRule>,
    row_key: Vec<Part>,
    row_key_columns: Vec<String>,
}

#[derive(Clone, Debug)]
struct BoundRule {
    /// Slots (numbers in `wanted`) whose change matters.
    watched: Vec<usize>,
    events: Events,
    action: BoundAction,
}

#[derive(Clone, Debug)]
enum BoundAction {
    Direct(Vec<Part>),
    Lookup(usize, Vec<Part>),
    Rebuild,
}

/// Finds columns of an event by name, and collects those that are wanted.
struct Binder<'a> {
    plan: &'a TablePlan,
    columns: &'a [Column],
    wanted: Vec<usize>,
}

impl Binder<'_> {
    fn position(&self, name: &str) -> Result<usize, MappingError> {
        let found = self.columns.iter().position(|c| same_column(&c.name, name));
        found.ok_or_else(|| MappingError::MissingColumn {
            table: self.plan.table.clone(),
            column: name.to_owned(),
            found: if self.columns.iter().any(|c| c.name.is_empty()) {
                format!("its {} columns carry no names", self.columns.len())
            } else {
                let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
                format!("it has ({})", names.join(", "))
            },
        })
    }

    fn watched(&self, names: Option<&[String]>) -> Result<Vec<usize>, MappingError> {
        match names {
            None => Ok((0..self.columns.len()).collect()),
            Some(names) => names.iter().map(|name| self.position(name)).collect(),
        }
    }

    /// The columns as parts of a key, at their positions in the event.
    fn parts(&self, names: &[String]) -> Result<Vec<Part>, MappingError> {
        names.iter().map(|name| self.part(name)).collect()
    }

    fn part(&self, name: &str) -> Result<Part, MappingError> {
        let at = self.position(name)?;
        let known = self.plan.columns.iter().find(|c| same_column(&c.column.name, name));
        let bases: Result<Vec<usize>, _> =
            known.iter().flat_map(|c| &c.generated_from).map(|base| self.position(base)).collect();
        let event = self.columns.get(at).ok_or_else(|| MappingError::MissingColumn {
            table: self.plan.table.clone(),
            column: name.to_owned(),
            found: "fewer columns".to_owned(),
        })?;
        Part::new(&self.plan.table, event, known.map(|c| &c.column), at, bases?)
    }
}

impl BoundTable {
    pub(super) fn new(plan: &TablePlan, columns: &[Column]) -> Result<Self, MappingError> {
        let mut binder = Binder { plan, columns, wanted: vec![] };
        let mut rules = Vec::new();
        for rule in &plan.rules {
            let action = match &rule.action {
                Action::Direct(names) => BoundAction::Direct(binder.parts(names)?),
                Action::Lookup(number, names) => BoundAction::Lookup(*number, binder.parts(names)?),
                Action::Rebuild => BoundAction::Rebuild,
            };
            let watched = binder.watched(rule.watched.as_deref())?;
            rules.push(BoundRule { watched, events: rule.events, action });
        }
        let row_key = binder.parts(&plan.primary_key).unwrap_or_default();
        let row_key_columns = if row_key.is_empty() { vec![] } else { plan.primary_key.clone() };
        let parts = rules.iter().flat_map(|rule| rule.action.parts()).chain(&row_key);
        let mut wanted: Vec<usize> = parts.flat_map(Part::positions).collect();
        wanted.extend(rules.iter().flat_map(|rule| rule.watched.iter().copied()));
        wanted.sort_unstable();
        wanted.dedup();
        binder.wanted = wanted;
        let mut bound =
            Self { table: plan.table.clone(), wanted: binder.wanted, rules, row_key, row_key_columns };
        bound.use_slots();
        Ok(bound)
    }

    /// Turns positions in the event into positions among the decoded values.
    fn use_slots(&mut self) {
        let wanted = &self.wanted;
        let slot = |at: &mut usize| *at = wanted.binary_search(at).unwrap_or(usize::MAX);
        for rule in &mut self.rules {
            rule.watched.iter_mut().for_each(slot);
            rule.action.parts_mut().iter_mut().for_each(|part| part.move_to(slot));
        }
        self.row_key.iter_mut().for_each(|part| part.move_to(slot));
    }

    /// The table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// The columns to decode, ascending positions in the event's images. Images are passed to the other functions as
    /// the values of these columns, in this order.
    pub fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Adds what a row's change touches: INSERT has `after` only, DELETE `before` only.
    pub fn touch(
        &self,
        before: Option<&[Value<'_>]>,
        after: Option<&[Value<'_>]>,
        out: &mut Touched,
    ) -> Result<(), MappingError> {
        let row = Row { table: &self.table, before, after };
        let mut touched = false;
        for rule in &self.rules {
            if rule.concerns(&row) {
                touched = true;
                rule.answer(&row, out)?;
            }
        }
        out.pruned += u64::from(!touched);
        Ok(())
    }

    /// The row's own primary key, for a locking read of it; `None` where the image does not tell it.
    pub fn row_key(&self, values: &[Value<'_>]) -> Option<Key> {
        let parts: Option<Vec<_>> = self
            .row_key
            .iter()
            .map(|part| values.get(part.slot()).and_then(|value| part.convert(&self.table, value).ok()?))
            .collect();
        parts.filter(|parts| !parts.is_empty()).map(Key::new)
    }

    /// The columns of [`BoundTable::row_key`]; empty where the table has no primary key that can be bound.
    pub fn row_key_columns(&self) -> &[String] {
        &self.row_key_columns
    }
}

impl BoundAction {
    fn parts(&self) -> &[Part] {
        match self {
            Self::Direct(parts) | Self::Lookup(_, parts) => parts,
            Self::Rebuild => &[],
        }
    }

    fn parts_mut(&mut self) -> &mut [Part] {
        match self {
            Self::Direct(parts) | Self::Lookup(_, parts) => parts,
            Self::Rebuild => &mut [],
        }
    }
}

/// One row's change.
struct Row<'r, 'v> {
    table: &'r TableName,
    before: Option<&'r [Value<'v>]>,
    after: Option<&'r [Value<'v>]>,
}

impl Row<'_, '_> {
    /// Did an UPDATE change the column? What the after image does not carry did not change; what only the after
    /// image carries may have.
    fn changed(&self, slot: usize) -> bool {
        let value =
            |image: Option<&[Value<'_>]>| image.and_then(|v| v.get(slot)).is_some_and(|v| !v.is_absent());
        if !value(self.after) {
            return false;
        }
        !value(self.before) || self.before.and_then(|v| v.get(slot)) != self.after.and_then(|v| v.get(slot))
    }

    /// The key that these columns hold in an image; `None` where one is NULL.
    fn key(&self, parts: &[Part], is_after: bool) -> Result<Option<Key>, MappingError> {
        let mut key = Vec::with_capacity(parts.len());
        for part in parts {
            let value = if is_after { self.after_value(part)? } else { self.before_value(part, "before")? };
            match part.convert(self.table, value)? {
                Some(converted) => key.push(converted),
                None => return Ok(None),
            }
        }
        Ok(Some(Key::new(key)))
    }

    fn before_value(&self, part: &Part, image: &'static str) -> Result<&Value<'_>, MappingError> {
        let value = self.before.and_then(|values| values.get(part.slot())).filter(|v| !v.is_absent());
        value.ok_or_else(|| part.absent(self.table, image))
    }

    fn after_value(&self, part: &Part) -> Result<&Value<'_>, MappingError> {
        if let Some(value) = self.after.and_then(|v| v.get(part.slot())).filter(|v| !v.is_absent()) {
            return Ok(value);
        }
        // An absent generated column may have changed with the columns that it is computed from.
        if part.bases().iter().any(|base| self.changed(*base)) {
            return Err(part.absent(self.table, "after"));
        }
        self.before_value(part, "after")
    }
}

impl BoundRule {
    fn concerns(&self, row: &Row<'_, '_>) -> bool {
        let update = row.before.is_some() && row.after.is_some();
        let changed = || self.watched.iter().any(|slot| row.changed(*slot));
        match self.events {
            Events::All => !update || changed(),
            Events::Cascade { on_update, .. } if update => on_update && changed(),
            Events::Cascade { on_delete, .. } => on_delete && row.after.is_none(),
        }
    }

    fn answer(&self, row: &Row<'_, '_>, out: &mut Touched) -> Result<(), MappingError> {
        let parts = self.action.parts();
        if parts.is_empty() {
            out.rebuild = true;
            return Ok(());
        }
        let before = if row.before.is_some() { row.key(parts, false)? } else { None };
        let after = if row.after.is_some() { row.key(parts, true)? } else { None };
        let after = after.filter(|key| before.as_ref() != Some(key));
        for key in before.into_iter().chain(after) {
            match &self.action {
                BoundAction::Direct(_) => out.keys.push(key),
                BoundAction::Lookup(number, _) => out.lookups.push((*number, key)),
                BoundAction::Rebuild => {}
            }
        }
        Ok(())
    }
}
