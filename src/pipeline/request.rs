//! Builds as users ask for them, and what they become once the key's columns are known.

use sha2::{Digest, Sha256};

use super::addresses::{IdTemplate, fits};
use super::core::{BuildSpec, FULL, Input, Selection};
use super::shared::Shared;
use crate::mapping::{Plan, WalkSelection};
use crate::model::Key;

/// A build that the user asks for. Keys are written as the document's `_id` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Its name, unique in the task.
    pub name: String,
    /// Tells builds of the same name and selection apart; may be empty.
    pub uid: String,
    /// Which documents.
    pub selection: Requested,
    /// Keys per page.
    pub page_size: usize,
}

/// Which documents to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// All, and those that should not be there.
    Full,
    /// Keys from `min` (inclusive) to `max` (exclusive).
    Range {
        /// The lowest.
        min: Option<String>,
        /// The first that is not meant.
        max: Option<String>,
    },
    /// Keys of the rows that satisfy this condition.
    Where(String),
    /// These keys.
    Ids(Vec<String>),
    /// The dead letters at its start.
    DeadLetters,
}

/// What is said of a condition that the server does not take.
pub(super) fn wrong_condition(build: &str, condition: &str, error: &dyn std::fmt::Display) -> String {
    format!(
        "Reindex {build}: spec.selection.where: {condition:?}: {error}; correct the condition on the main table's columns"
    )
}

/// A build that can run.
#[derive(Debug, Clone)]
pub(super) struct Runnable {
    pub(super) spec: BuildSpec,
    pub(super) walk: WalkSelection,
}

impl Runnable {
    /// Leaves the walk, where there is one, where it is found; gives what the core is told.
    pub(super) fn asked(self, shared: &Shared) -> Input {
        if matches!(self.spec.selection, Selection::Full | Selection::Part) {
            shared.set_walk(&self.spec.name, Some(self.walk));
        }
        Input::Build(self.spec)
    }
}

impl BuildRequest {
    /// Reads the keys and the condition.
    ///
    /// # Errors
    /// Words that name the build, the field, what was found and what to do.
    pub(super) fn compile(&self, plan: &Plan) -> Result<Runnable, String> {
        if self.name == FULL {
            return Err(format!(
                "Reindex {FULL}: metadata.name: {FULL:?} is the name of the task's own builds; choose another name"
            ));
        }
        let (selection, walk) = self.walk(plan)?;
        let mut hasher = Sha256::new();
        hasher.update(format!("{:?} {}{}", self.selection, plan.query_hash(), self.uid));
        let selection_hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // a bad condition is found now, not half-way
        plan.walk_sql(&walk, true, 1)
            .map_err(|error| format!("Reindex {}: spec.selection: {error}", self.name))?;
        let spec =
            BuildSpec { name: self.name.clone(), selection, selection_hash, page_size: self.page_size };
        Ok(Runnable { spec, walk })
    }

    fn walk(&self, plan: &Plan) -> Result<(Selection, WalkSelection), String> {
        Ok(match &self.selection {
            Requested::Full => (Selection::Full, WalkSelection::All),
            Requested::DeadLetters => (Selection::DeadLetters, WalkSelection::All),
            Requested::Where(text) => (Selection::Part, WalkSelection::Where(text.clone())),
            Requested::Ids(ids) => {
                let keys: Result<Vec<Key>, String> = ids.iter().map(|id| self.key(plan, "ids", id)).collect();
                (Selection::Keys(keys?), WalkSelection::All)
            }
            Requested::Range { min, max } => {
                let bound = |side: &str, text: &Option<String>| {
                    text.as_ref().map(|text| self.key(plan, side, text)).transpose()
                };
                let (min, max) = (bound("range.min", min)?, bound("range.max", max)?);
                (Selection::Part, WalkSelection::Range { min, max })
            }
        })
    }

    fn key(&self, plan: &Plan, field: &str, text: &str) -> Result<Key, String> {
        let key = IdTemplate::plain(plan.key_columns().len()).key_of(plan.key_columns(), text);
        if fits(plan.key_columns(), &key) {
            return Ok(key);
        }
        let columns: Vec<String> =
            plan.key_columns().iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
        Err(format!(
            "Reindex {}: spec.selection.{field}: {text:?} is no key of {} ({}); write its value, several columns joined by |",
            self.name,
            plan.main(),
            columns.join(", ")
        ))
    }
}
