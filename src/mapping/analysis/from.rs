//! FROM: tables, derived tables, CTEs and joins become relations; joins leave edges.

use std::collections::BTreeSet;
use std::ops::Range;

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, JsonTableColumn, ObjectName, Query, TableAlias, TableFactor,
    TableWithJoins,
};

use super::super::error::{MappingError, fragment};
use super::super::scope::{Ctes, Found, Occurrence, OutCol, Relation, RelationKind, Scope};
use super::super::views;
use super::condition::Place;
use super::expression::Cx;
use super::{Analysis, Env, MOST_OCCURRENCES, Stars};
use crate::model::{CatalogTable, TableName};

/// Which side of a join is filled with NULLs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    None,
    Left,
    Right,
}

/// The relations of one join: `low..mid` on its left, `mid..high` on its right.
struct Span {
    low: usize,
    mid: usize,
    high: usize,
}

impl Analysis<'_> {
    /// One comma item of FROM.
    pub(super) fn joins<'e>(
        &mut self,
        tree: &TableWithJoins,
        scope: &mut Scope<'e>,
        env: Env<'e>,
    ) -> Result<(), MappingError> {
        let low = scope.relations.len();
        self.factor(&tree.relation, scope, env)?;
        for join in &tree.joins {
            let mid = scope.relations.len();
            self.factor(&join.relation, scope, env)?;
            let span = Span { low, mid, high: scope.relations.len() };
            self.join(join, &span, scope, env)?;
        }
        Ok(())
    }

    fn join<'e>(
        &mut self,
        join: &Join,
        span: &Span,
        scope: &mut Scope<'e>,
        env: Env<'e>,
    ) -> Result<(), MappingError> {
        let (outer, constraint) = kind(join)?;
        let inner: Option<Range<usize>> = match outer {
            Side::None => None,
            Side::Right => Some(span.mid..span.high),
            Side::Left => Some(span.low..span.mid),
        };
        for at in inner.clone().unwrap_or_default() {
            if let Some(relation) = scope.relations.get_mut(at) {
                relation.null_extended = true;
            }
        }
        let place = Place { inner };
        match constraint {
            JoinConstraint::None => conditionless(join),
            JoinConstraint::On(on) => {
                let cx = Cx { scope, ctes: env.ctes, aliases: &[] };
                let edges = self.condition(on, cx, &place, true)?;
                self.edges.extend(edges);
                Ok(())
            }
            JoinConstraint::Using(columns) => {
                for column in columns {
                    self.using(column, span, outer == Side::Left, &place, scope)?;
                }
                Ok(())
            }
            JoinConstraint::Natural => Err(MappingError::unsupported(
                format!("{} (which joins by other columns with every new one)", fragment(join)),
                "name the columns by USING (...) or ON",
            )),
        }
    }

    fn using(
        &mut self,
        column: &ObjectName,
        span: &Span,
        right_outer: bool,
        place: &Place,
        scope: &mut Scope<'_>,
    ) -> Result<(), MappingError> {
        let name = column.0.last().and_then(|p| p.as_ident()).map_or("", |i| i.value.as_str());
        let left = self.using_side(name, span.low..span.mid, scope)?;
        let right = self.using_side(name, span.mid..span.high, scope)?;
        for found in [&left, &right] {
            self.mark(found);
        }
        let edges = Self::directed(&left, &right, scope.level, place);
        self.edges.extend(edges);
        let stands = if right_outer { right.local.0 } else { left.local.0 };
        scope.merged.push((name.to_owned(), stands));
        Ok(())
    }

    fn using_side(&self, name: &str, side: Range<usize>, scope: &Scope<'_>) -> Result<Found, MappingError> {
        let relations = scope.relations.iter().enumerate().filter(|(i, _)| side.contains(i));
        let mut hits: Vec<Found> =
            relations.filter_map(|(i, r)| self.resolver().column_in(r, i, name, scope.level)).collect();
        if hits.len() > 1 {
            let merged = scope.merged.iter().rev();
            let stands =
                merged.filter(|(n, _)| n.eq_ignore_ascii_case(name)).find(|(_, at)| side.contains(at));
            if let Some((_, at)) = stands {
                hits.retain(|hit| hit.local.0 == *at);
            }
        }
        let found = match hits.len() {
            0 => "of USING is in no table on one side of the join",
            1 => return hits.pop().ok_or_else(|| MappingError::column(name, "vanished", "report it")),
            _ => "of USING is in several tables on one side of the join",
        };
        Err(MappingError::column(name, found, "join by ON with aliases"))
    }

    fn factor<'e>(
        &mut self,
        factor: &TableFactor,
        scope: &mut Scope<'e>,
        env: Env<'e>,
    ) -> Result<(), MappingError> {
        let refuse =
            |remedy: &str| Err(MappingError::unsupported(format!("{} in FROM", fragment(factor)), remedy));
        match factor {
            TableFactor::Table { name, alias, args: None, with_hints, version: None, partitions, .. } => {
                if !partitions.is_empty() {
                    return refuse("take PARTITION (...) out and filter by a column");
                }
                if !with_hints.is_empty() {
                    return refuse("name a table of MySQL");
                }
                self.table(name, alias.as_ref(), scope, env)
            }
            TableFactor::Derived { lateral, subquery, alias: Some(alias), sample: None } => {
                let around = if *lateral { Some(&*scope) } else { env.scope };
                let inner = Env { scope: around, ctes: env.ctes };
                let relation = self.derived(subquery, alias, inner)?;
                scope.relations.push(relation);
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joins(table_with_joins, scope, env)
            }
            TableFactor::JsonTable { json_expr, columns, alias: Some(alias), .. } => {
                self.walk(json_expr, Cx { scope, ctes: env.ctes, aliases: &[] })?;
                let kind = RelationKind::Opaque(json_columns(columns));
                let alias = alias.name.value.clone();
                scope.relations.push(Relation { alias, schema: None, kind, null_extended: false });
                Ok(())
            }
            _ => refuse("name a table, or write a derived table with an alias"),
        }
    }

    fn derived(&mut self, query: &Query, alias: &TableAlias, env: Env<'_>) -> Result<Relation, MappingError> {
        let mut columns = self.query(query, env, Stars::Expand)?;
        rename(&mut columns, alias);
        let kind = RelationKind::Derived(columns);
        Ok(Relation { alias: alias.name.value.clone(), schema: None, kind, null_extended: false })
    }

    fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
        env: Env<'_>,
    ) -> Result<(), MappingError> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|p| p.as_ident()).collect();
        if is_dual(name) {
            return Ok(());
        }
        if let ([one], Some(ctes)) = (parts.as_slice(), env.ctes)
            && let Some((cte, sees)) = ctes.find(&one.value)
        {
            let relation = self.cte(cte, alias, &sees)?;
            scope.relations.push(relation);
            return Ok(());
        }
        let (schema, table) = match parts.as_slice() {
            [table] => (self.database.clone(), *table),
            [schema, table] => (Some(schema.value.clone()), *table),
            _ => (None, parts.first().copied().ok_or_else(|| no_table(name, "it has no name"))?),
        };
        let schema = schema.ok_or_else(|| no_table(name, "it has no schema"))?;
        let full = TableName::new(schema.clone(), table.value.clone());
        if let Some(view) = self.names.table(&full).filter(|table| table.is_view) {
            let name = alias.map_or_else(|| table.value.clone(), |a| a.name.value.clone());
            let mut relation = self.view(&full, view, name)?;
            relation.schema = alias.is_none().then_some(schema);
            scope.relations.push(relation);
            return Ok(());
        }
        let occurrence = self.occurrence(&full, alias)?;
        scope.relations.push(Relation {
            alias: alias.map_or_else(|| table.value.clone(), |a| a.name.value.clone()),
            schema: alias.is_none().then_some(schema),
            kind: RelationKind::Base(occurrence),
            null_extended: false,
        });
        Ok(())
    }

    fn cte(
        &mut self,
        cte: &sqlparser::ast::Cte,
        alias: Option<&TableAlias>,
        sees: &Ctes<'_>,
    ) -> Result<Relation, MappingError> {
        let mut relation =
            self.derived(&cte.query, &cte.alias, Env { scope: sees.scope, ctes: Some(sees) })?;
        if let (Some(alias), RelationKind::Derived(columns)) = (alias, &mut relation.kind) {
            rename(columns, alias);
            relation.alias.clone_from(&alias.name.value);
        }
        Ok(relation)
    }

    /// A view is a derived table whose columns have the view's names.
    fn view(
        &mut self,
        name: &TableName,
        view: &CatalogTable,
        alias: String,
    ) -> Result<Relation, MappingError> {
        let (query, _) = views::definition(name, view, self.volatile_allowed)?;
        let around = self.database.replace(name.schema.clone());
        let columns = self.query(&query, Env { scope: None, ctes: None }, Stars::Expand);
        self.database = around;
        let mut columns = columns?;
        for (column, named) in columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(&named.column.name);
        }
        let kind = RelationKind::Derived(columns);
        Ok(Relation { alias, schema: None, kind, null_extended: false })
    }

    fn occurrence(&mut self, name: &TableName, alias: Option<&TableAlias>) -> Result<usize, MappingError> {
        let fail = |found: &str, remedy: &str| MappingError::Table {
            table: name.to_string(),
            found: found.to_owned(),
            remedy: remedy.to_owned(),
        };
        let missing = || fail("the server has no such table", "correct the name, or grant SELECT on it");
        let catalog = self.names.table(name).ok_or_else(missing)?;
        let schema = name.schema.to_lowercase();
        let system = matches!(schema.as_str(), "mysql" | "sys" | "information_schema" | "performance_schema");
        if system || catalog.engine.eq_ignore_ascii_case("FEDERATED") {
            return Err(fail(
                "its changes are not in the binlog",
                "copy what you need to a table of your own",
            ));
        }
        if self.occurrences.len() >= MOST_OCCURRENCES {
            return Err(fail("the query uses tables more than 256 times", "write a smaller query"));
        }
        let alias = alias.map_or_else(|| name.table.clone(), |a| a.name.value.clone());
        let table = self.names.canonical(name);
        let columns = BTreeSet::new();
        self.occurrences.push(Occurrence {
            table,
            alias,
            catalog,
            columns,
            all_columns: false,
            ordered: false,
        });
        Ok(self.occurrences.len() - 1)
    }
}

/// DUAL, which is no table.
pub(crate) fn is_dual(name: &ObjectName) -> bool {
    let mut parts = name.0.iter().filter_map(|p| p.as_ident());
    let dual = parts.next().is_some_and(|p| p.quote_style.is_none() && p.value.eq_ignore_ascii_case("DUAL"));
    dual && parts.next().is_none()
}

fn no_table(name: &ObjectName, found: &str) -> MappingError {
    MappingError::Table {
        table: name.to_string(),
        found: found.to_owned(),
        remedy: "write schema.table, or set source.database".to_owned(),
    }
}

fn rename(columns: &mut [OutCol], alias: &TableAlias) {
    for (column, name) in columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(&name.name.value);
    }
}

/// `a JOIN b RIGHT JOIN c ON ...`: the parser reads a JOIN (b RIGHT JOIN c), the server (a JOIN b) RIGHT JOIN c.
fn conditionless(join: &Join) -> Result<(), MappingError> {
    if let TableFactor::NestedJoin { table_with_joins, .. } = &join.relation {
        for inner in &table_with_joins.joins {
            if kind(inner)?.0 == Side::Left {
                let remedy = "write it as LEFT JOIN, or give the first JOIN a condition";
                return Err(MappingError::unsupported("RIGHT JOIN after a JOIN without ON", remedy));
            }
        }
    }
    Ok(())
}

fn kind(join: &Join) -> Result<(Side, &JoinConstraint), MappingError> {
    use JoinOperator as J;
    match &join.join_operator {
        J::Join(c) | J::Inner(c) | J::CrossJoin(c) | J::StraightJoin(c) if !join.global => {
            Ok((Side::None, c))
        }
        J::Left(c) | J::LeftOuter(c) if !join.global => Ok((Side::Right, c)),
        J::Right(c) | J::RightOuter(c) if !join.global => Ok((Side::Left, c)),
        _ => Err(MappingError::unsupported(fragment(join), "write JOIN, LEFT JOIN or RIGHT JOIN")),
    }
}

fn json_columns(columns: &[JsonTableColumn]) -> Vec<String> {
    let mut names = Vec::new();
    for column in columns {
        match column {
            JsonTableColumn::Named(column) => names.push(column.name.value.clone()),
            JsonTableColumn::ForOrdinality(name) => names.push(name.value.clone()),
            JsonTableColumn::Nested(nested) => names.extend(json_columns(&nested.columns)),
        }
    }
    names
}
