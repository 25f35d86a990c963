//! Names in reach of a query block, and what a column name stands for.

use sqlparser::ast::{Cte, Expr, Ident};

use super::error::{MappingError, fragment};
use crate::model::{Catalog, CatalogColumn, CatalogTable, TableName};

/// A column of one occurrence of a table in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ColRef {
    /// Number of the occurrence.
    pub occurrence: usize,
    /// Number of the column in the catalog's table.
    pub column: usize,
}

/// The catalog, with names compared as its server compares them.
#[derive(Clone, Copy)]
pub(super) struct Names<'c> {
    catalog: &'c Catalog,
}

impl<'c> Names<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        Self { catalog }
    }

    /// Do table names and aliases compare without case?
    pub(super) fn fold(self) -> bool {
        self.catalog.lower_case_table_names > 0
    }

    /// The name as it is compared.
    pub(super) fn canonical(self, name: &TableName) -> TableName {
        canonical(name, self.fold())
    }

    /// The table of a name.
    pub(super) fn table(self, name: &TableName) -> Option<&'c CatalogTable> {
        self.catalog.tables.get(name).or_else(|| {
            let wanted = self.canonical(name);
            let mut all = self.catalog.tables.iter();
            all.find(|(known, _)| self.canonical(known) == wanted).map(|(_, table)| table)
        })
    }

    fn same(self, a: &str, b: &str) -> bool {
        a == b || (self.fold() && a.to_lowercase() == b.to_lowercase())
    }
}

/// The name as a server with `lower_case_table_names` above 0 (`fold`) compares it.
pub(super) fn canonical(name: &TableName, fold: bool) -> TableName {
    if fold { TableName::new(name.schema.to_lowercase(), name.table.to_lowercase()) } else { name.clone() }
}

/// Column names compare without case.
pub(super) fn same_column(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// The number of a table's column.
pub(super) fn column_of(table: &CatalogTable, name: &str) -> Option<usize> {
    table.columns.iter().position(|c| same_column(&c.column.name, name))
}

/// One result column of a block.
#[derive(Debug, Clone, Default)]
pub(super) struct OutCol {
    pub name: String,
    /// Base columns from which an equality on this column leads out of the block.
    pub outward: Vec<ColRef>,
    /// The base column to which an equality on this column leads into the block.
    pub inward: Vec<ColRef>,
    /// Surely never NULL.
    pub not_null: bool,
    /// One value may stand for several that its collation calls equal (GROUP BY, DISTINCT, windows).
    pub merged: bool,
    /// Which relation's column of the block itself it is.
    pub local: Option<(usize, String)>,
}

impl OutCol {
    /// The same column where no filter on it can be pushed into the block.
    pub(super) fn opaque(self) -> Self {
        Self { outward: vec![], inward: vec![], not_null: false, ..self }
    }
}

/// One item of FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub alias: String,
    /// The schema, where columns may be written `schema.table.column`.
    pub schema: Option<String>,
    pub kind: RelationKind,
    /// On the inner side of an outer join.
    pub null_extended: bool,
}

#[derive(Debug, Clone)]
pub(super) enum RelationKind {
    /// An occurrence of a base table.
    Base(usize),
    /// A derived table or CTE.
    Derived(Vec<OutCol>),
    /// Columns that no equality passes (JSON_TABLE).
    Opaque(Vec<String>),
}

/// The relations of a block, and those of the blocks around it.
#[derive(Debug, Clone)]
pub(super) struct Scope<'s> {
    pub relations: Vec<Relation>,
    /// Columns joined by USING, and the relation that an unqualified use stands for.
    pub merged: Vec<(String, usize)>,
    pub parent: Option<&'s Scope<'s>>,
    pub level: usize,
}

impl<'s> Scope<'s> {
    pub(super) fn new(parent: Option<&'s Scope<'s>>) -> Self {
        Self { relations: vec![], merged: vec![], parent, level: parent.map_or(0, |p| p.level + 1) }
    }
}

/// What a column name stands for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Level of the block it belongs to.
    pub level: usize,
    /// Number of the relation in its block, and the column's name in lower case.
    pub local: (usize, String),
    pub outward: Vec<ColRef>,
    pub inward: Vec<ColRef>,
    pub not_null: bool,
    /// See [`OutCol::merged`].
    pub merged: bool,
    /// The base column itself, where the relation is a table.
    pub base: Option<ColRef>,
}

/// The name parts of an expression that is nothing but a column.
pub(super) fn column_parts(expr: &Expr) -> Option<&[Ident]> {
    match expr {
        Expr::Identifier(name) => Some(std::slice::from_ref(name)),
        Expr::CompoundIdentifier(parts) => Some(parts),
        Expr::Nested(inner) => column_parts(inner),
        _ => None,
    }
}

/// How relations of a scope find their columns.
pub(super) struct Resolver<'c, 'o> {
    pub names: Names<'c>,
    pub occurrences: &'o [Occurrence<'c>],
}

/// One use of a table in the query; a self-join has several.
#[derive(Debug, Clone)]
pub(super) struct Occurrence<'c> {
    pub table: TableName,
    pub alias: String,
    pub catalog: &'c CatalogTable,
    /// Numbers of the columns that the query refers to.
    pub columns: std::collections::BTreeSet<usize>,
    /// Read by `*`.
    pub all_columns: bool,
    /// The result depends on the order in which its rows come.
    pub ordered: bool,
}

impl<'c> Occurrence<'c> {
    pub(super) fn column(&self, at: usize) -> Option<&'c CatalogColumn> {
        self.catalog.columns.get(at)
    }
}

impl Resolver<'_, '_> {
    /// What the column stands for, in this scope or the nearest around it that has it.
    pub(super) fn resolve(&self, parts: &[Ident], scope: &Scope<'_>) -> Result<Option<Found>, MappingError> {
        let Some((column, qualifier)) = parts.split_last() else { return Ok(None) };
        let mut at = Some(scope);
        while let Some(scope) = at {
            let mut hits = Vec::new();
            for (i, relation) in scope.relations.iter().enumerate() {
                if self.matches(relation, qualifier) {
                    hits.extend(self.column_in(relation, i, &column.value, scope.level));
                }
            }
            let merged = scope.merged.iter().rev().find(|(name, _)| same_column(name, &column.value));
            if let (true, true, Some((_, relation))) = (hits.len() > 1, qualifier.is_empty(), merged) {
                hits.retain(|hit| hit.local.0 == *relation);
            }
            match hits.len() {
                0 => at = scope.parent,
                1 => return Ok(hits.pop()),
                _ => return Err(ambiguous(parts)),
            }
        }
        Ok(None)
    }

    fn matches(&self, relation: &Relation, qualifier: &[Ident]) -> bool {
        match qualifier {
            [] => true,
            [alias] => self.names.same(&relation.alias, &alias.value),
            [schema, table] => {
                let same_schema = relation.schema.as_ref().is_some_and(|s| self.names.same(s, &schema.value));
                same_schema && self.names.same(&relation.alias, &table.value)
            }
            _ => false,
        }
    }

    /// The relation's column of that name.
    pub(super) fn column_in(
        &self,
        relation: &Relation,
        at: usize,
        name: &str,
        level: usize,
    ) -> Option<Found> {
        let local = (at, name.to_lowercase());
        match &relation.kind {
            RelationKind::Base(occurrence) => {
                let table = self.occurrences.get(*occurrence)?;
                let column = column_of(table.catalog, name)?;
                let base = ColRef { occurrence: *occurrence, column };
                let not_null = table.column(column).is_some_and(|c| !c.nullable) && !relation.null_extended;
                let (outward, inward) = (vec![base], vec![base]);
                Some(Found { level, local, outward, inward, not_null, merged: false, base: Some(base) })
            }
            RelationKind::Derived(columns) => {
                let column = columns.iter().find(|c| same_column(&c.name, name))?;
                let (outward, inward) = (column.outward.clone(), column.inward.clone());
                let not_null = column.not_null && !relation.null_extended;
                Some(Found { level, local, outward, inward, not_null, merged: column.merged, base: None })
            }
            RelationKind::Opaque(columns) => {
                columns.iter().find(|c| same_column(c, name))?;
                let (outward, inward) = (vec![], vec![]);
                Some(Found { level, local, outward, inward, not_null: false, merged: false, base: None })
            }
        }
    }
}

fn ambiguous(parts: &[Ident]) -> MappingError {
    let name: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
    MappingError::column(name.join("."), "stands in more than one table", "put the alias before it")
}

/// The refusal of a name that nothing in reach has.
pub(super) fn unknown_column(expr: &Expr) -> MappingError {
    MappingError::column(
        fragment(expr),
        "is in no table of the query",
        "correct the name, or put the alias before it",
    )
}

/// CTEs in reach. A CTE sees those before it in its own list, and those around it.
#[derive(Clone, Copy)]
pub(super) struct Ctes<'e> {
    pub list: &'e [Cte],
    pub visible: usize,
    pub scope: Option<&'e Scope<'e>>,
    pub parent: Option<&'e Ctes<'e>>,
}

impl<'e> Ctes<'e> {
    /// The CTE of a name, and what it sees itself.
    pub(super) fn find(&self, name: &str) -> Option<(&'e Cte, Self)> {
        let wanted = name.to_lowercase();
        let visible = self.list.get(..self.visible).unwrap_or_default();
        let hit = visible.iter().rposition(|cte| cte.alias.name.value.to_lowercase() == wanted);
        match hit.and_then(|i| visible.get(i).map(|cte| (i, cte))) {
            Some((i, cte)) => Some((cte, Self { visible: i, ..*self })),
            None => self.parent?.find(name),
        }
    }
}
