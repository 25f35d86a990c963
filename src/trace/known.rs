//! What is known of tables while events pass, and which of them are asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::TraceError;
use super::names::{Ddl, Names};
use super::predicate::Predicate;
use super::request::{Form, Request};
use super::select::Selection;
use super::sql::{Table, resolve};
use crate::binlog::{At, RowsEvent, RowsKind, TableMap};
use crate::model::{TableName, Value};

/// Tables remembered before all are forgotten.
const MAX_TABLES: usize = 4096;

/// The tables at the place that is being read.
pub(super) struct Known {
    names: Arc<Names>,
    shared: Arc<Shared>,
    later: Option<Later>,
    /// By the address of the event's table, which is kept so that the address stays its own.
    chosen: HashMap<usize, (Arc<TableMap>, Option<Arc<Chosen>>)>,
}

/// The tables are known as they are later than where the reading is.
struct Later {
    /// Of this moment (microseconds since 1970): what was done before it they have in them.
    moment: u64,
    /// Tables of which rows were read by what they are then, with the first such place.
    used: BTreeMap<TableName, At>,
    /// Tables that are not there then: they follow the stream.
    gone: BTreeSet<TableName>,
}

impl Later {
    /// True where a statement, done before the moment, is to be followed: its tables are not there any more.
    fn follows(&mut self, ddl: &Ddl, names: &Names, at: impl Fn() -> At) -> Result<bool, TraceError> {
        let tables = ddl.tables();
        let is_there =
            |table: &TableName| !self.gone.contains(table) && matches!(names.get(table), Ok(Some(_)));
        if !tables.iter().any(is_there) {
            self.gone.extend(tables.iter().cloned());
            return Ok(!tables.is_empty());
        }
        let again = |table: &TableName| match (ddl, names.get(table)) {
            (Ddl::Create { shape, .. }, Ok(Some((known, _)))) => known.columns == shape.columns,
            _ => false,
        };
        let mut redefined = ddl.redefines().into_iter().filter(|table| !again(table));
        let Some((row, table)) = redefined.find_map(|table| Some((self.used.get(&table)?, table))) else {
            return Ok(false);
        };
        Err(TraceError::Names {
            at: row.clone(),
            table,
            reason: format!(
                "--schema-from says what it looks like now, and {} changes it after these rows; give the DDL of before \
                 by --ddl, or unpacked files, which are looked at beforehand",
                at()
            ),
        })
    }
}

/// What the workers share.
#[derive(Default)]
pub(super) struct Shared {
    warnings: Mutex<Vec<String>>,
    /// The schema in which each table without a database was found.
    nameless: Mutex<BTreeMap<String, String>>,
}

impl Shared {
    /// Warnings so far, each once.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Warnings beyond these are not kept: a million DDL statements must not fill memory.
const MAX_WARNINGS: usize = 1000;

/// A table that is asked for.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) table: Table,
    /// What rows must fulfil, all of it.
    wanted: Vec<Wanted>,
}

/// What rows must fulfil.
#[derive(Debug, Default)]
struct Wanted {
    /// An update must have changed one of these columns; empty: any.
    changed: Vec<usize>,
    /// One of these must hold; empty: any row.
    predicates: Vec<Predicate>,
}

impl Chosen {
    /// True where every row is selected.
    pub(super) fn takes_all(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether the row is selected.
    pub(super) fn holds(&self, kind: RowsKind, before: &[Value<'_>], after: &[Value<'_>]) -> bool {
        self.wanted.iter().all(|wanted| wanted.holds(&self.table, kind, before, after))
    }
}

impl Wanted {
    /// What a selection by itself asks of a table's rows.
    fn of(selection: &Selection, table: &Table, at: &At) -> Result<Self, TraceError> {
        let name = &table.name;
        let missing = |column: &str| TraceError::Mismatch {
            at: at.clone(),
            table: name.clone(),
            reason: format!("it has no column {column}, which is asked for"),
        };
        let mut changed = Vec::new();
        for column in selection.changed_of(name) {
            match table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(column)) {
                Some(index) => changed.push(index),
                // `--changed-column name` may be meant for other tables
                None if selection.changed_columns.iter().any(|c| c == column) => {}
                None => return Err(missing(column)),
            }
        }
        let predicates: Vec<_> = selection.predicates.iter().filter(|p| p.is_about(name)).cloned().collect();
        if let Some(column) = predicates.iter().find_map(|p| p.lacks(table)) {
            return Err(missing(column));
        }
        if changed.is_empty() && !selection.changed_columns.is_empty() {
            changed.push(usize::MAX); // no update of this table can
        }
        Ok(Self { changed, predicates })
    }

    fn takes_all(&self) -> bool {
        self.changed.is_empty() && self.predicates.is_empty()
    }

    fn holds(&self, table: &Table, kind: RowsKind, before: &[Value<'_>], after: &[Value<'_>]) -> bool {
        let matches = |p: &Predicate| p.holds(table, before) || p.holds(table, after);
        if !self.predicates.is_empty() && !self.predicates.iter().any(matches) {
            return false;
        }
        self.changed.is_empty()
            || (kind == RowsKind::Update
                && self.changed.iter().any(|column| {
                    let after = after.get(*column);
                    before.get(*column) != after && after.is_some_and(|value| !value.is_absent())
                }))
    }
}

impl Known {
    pub(super) fn new(names: Arc<Names>, shared: Arc<Shared>) -> Self {
        Self { names, shared, later: None, chosen: HashMap::new() }
    }

    /// The same with tables as they are at this moment, for input that cannot be looked at beforehand.
    pub(super) fn known_at(self, moment: Option<u64>) -> Self {
        let later = |moment| Later { moment, used: BTreeMap::new(), gone: BTreeSet::new() };
        Self { later: moment.map(later), ..self }
    }

    /// Says something once.
    pub(super) fn warn(&self, text: String) {
        let mut warnings = self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Follows a statement of the stream, done at `moment` (microseconds since 1970).
    ///
    /// # Errors
    /// Where the tables are known as of a later moment, and rows before this statement were read as it left them.
    pub(super) fn follow(&mut self, ddl: &Ddl, moment: u64, at: impl Fn() -> At) -> Result<(), TraceError> {
        if !ddl.moves() {
            return Ok(());
        }
        self.chosen.clear();
        if let Some(later) = self.later.as_mut().filter(|later| moment <= later.moment)
            && !later.follows(ddl, &self.names, at)?
        {
            return Ok(());
        }
        if let Err((table, why)) = Arc::make_mut(&mut self.names).apply(ddl) {
            // A table that is created anew is known from its statement; another is lost, which its rows will say.
            tracing::debug!(%table, why, "a statement of the binlog does not fit the known schema");
        }
        Ok(())
    }

    /// The table of these rows; `None` where it is not asked for.
    pub(super) fn choose(
        &mut self,
        rows: &RowsEvent<'_>,
        request: &Request,
    ) -> Result<Option<Arc<Chosen>>, TraceError> {
        let address = Arc::as_ptr(&rows.table) as usize;
        if let Some((_, chosen)) = self.chosen.get(&address) {
            return Ok(chosen.clone());
        }
        let chosen = if request.selection.holds_table(&rows.table.name) {
            Some(Arc::new(self.join(rows, request)?))
        } else {
            None
        };
        if self.chosen.len() > MAX_TABLES {
            self.chosen.clear();
        }
        if let Some(later) = self.later.as_mut().filter(|_| chosen.is_some() && !rows.table.has_names) {
            later.used.entry(rows.table.name.clone()).or_insert_with(|| rows.at().clone());
        }
        self.chosen.insert(address, (Arc::clone(&rows.table), chosen.clone()));
        Ok(chosen)
    }

    fn join(&self, rows: &RowsEvent<'_>, request: &Request) -> Result<Chosen, TraceError> {
        let name = &rows.table.name;
        if let Ok(Some((_, true))) = self.names.get(name) {
            self.one_schema(name)?;
        }
        let table = resolve(&rows.table, &self.names, request.allow_trailing, rows.at())?;
        let wanted = request.selection.layers().map(|layer| Wanted::of(layer, &table, rows.at()));
        let mut wanted = wanted.collect::<Result<Vec<_>, _>>()?;
        wanted.retain(|wanted| !wanted.takes_all());
        if !table.has_shape && matches!(request.form, Form::Sql | Form::Rollback) {
            self.warn(format!(
                "{name}: its events name the columns, but nothing says which are generated: a statement that \
                 assigns one fails (error 3105); --ddl or --schema-from tells"
            ));
        }
        if table.triggers && matches!(request.form, Form::Sql | Form::Rollback) {
            self.warn(format!(
                "{name} has triggers: they fire again where SQL is applied; what they did is in the binlog too \
                 and would be there twice (`rollback --exact` fires none)"
            ));
        }
        Ok(Chosen { table, wanted })
    }

    /// A table whose DDL names no database must not stand for two.
    fn one_schema(&self, name: &TableName) -> Result<(), TraceError> {
        let mut seen = self.shared.nameless.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = seen.entry(name.table.clone()).or_insert_with(|| name.schema.clone());
        if *schema == name.schema {
            return Ok(());
        }
        Err(TraceError::Option(format!(
            "the DDL of table {} names no database, and both {schema} and {} have such a table: write --ddl DB=FILE",
            name.table, name.schema
        )))
    }
}
