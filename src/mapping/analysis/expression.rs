//! Expressions: which columns they refer to, which subqueries they hold, where they aggregate.

use sqlparser::ast::{Expr, Function, Ident, WindowType};

use super::super::error::{MappingError, fragment};
use super::super::functions::{self, Kind};
use super::super::scope::{ColRef, Ctes, Found, Scope, column_parts, same_column, unknown_column};
use super::super::syntax::{self, Child};
use super::{Analysis, Env, Stars};

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Cx<'e> {
    pub scope: &'e Scope<'e>,
    pub ctes: Option<&'e Ctes<'e>>,
    /// Names of the select list, in reach of GROUP BY, HAVING and ORDER BY.
    pub aliases: &'e [String],
}

impl Analysis<'_> {
    /// Notes every column, subquery and aggregate of an expression.
    pub(super) fn walk(&mut self, expr: &Expr, cx: Cx<'_>) -> Result<(), MappingError> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.reference(expr, cx),
            Expr::InSubquery { expr: one, subquery, .. } => self.in_subquery(one, subquery, cx, false),
            Expr::Exists { subquery, .. } => self.subquery(subquery, cx, Stars::Ignore),
            Expr::Function(function) => self.call(expr, function, cx),
            _ => self.walk_children(expr, cx),
        }
    }

    fn walk_children(&mut self, expr: &Expr, cx: Cx<'_>) -> Result<(), MappingError> {
        for child in syntax::children(expr)? {
            match child {
                Child::Expr(inner) => self.walk(inner, cx)?,
                Child::Query(query) => self.subquery(query, cx, Stars::Expand)?,
            }
        }
        Ok(())
    }

    fn subquery(
        &mut self,
        query: &sqlparser::ast::Query,
        cx: Cx<'_>,
        stars: Stars,
    ) -> Result<(), MappingError> {
        self.query(query, Env { scope: Some(cx.scope), ctes: cx.ctes }, stars).map(drop)
    }

    fn reference(&mut self, expr: &Expr, cx: Cx<'_>) -> Result<(), MappingError> {
        let parts: &[Ident] = column_parts(expr).unwrap_or_default();
        let found = self.resolver().resolve(parts, cx.scope);
        let is_alias = matches!(parts, [one] if cx.aliases.iter().any(|a| same_column(a, &one.value)));
        match found {
            Ok(Some(found)) => self.mark(&found),
            // What an alias of the select list reads was noted there.
            Ok(None) | Err(_) if is_alias => {}
            // CURRENT_DATE and the like, let through by query.volatile
            Ok(None) if matches!(parts, [one] if one.quote_style.is_none() && functions::is_bare_call(&one.value)) =>
                {}
            Ok(None) => return Err(unknown_column(expr)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Notes that a column is read.
    pub(super) fn mark(&mut self, found: &Found) {
        self.levels.push(found.level);
        if let Some(ColRef { occurrence, column }) = found.base
            && let Some(table) = self.occurrences.get_mut(occurrence)
        {
            table.columns.insert(column);
        }
    }

    fn call(&mut self, expr: &Expr, function: &Function, cx: Cx<'_>) -> Result<(), MappingError> {
        let from = self.levels.len();
        self.walk_children(expr, cx)?;
        let name = function.name.to_string();
        match &function.over {
            Some(WindowType::WindowSpec(spec)) if spec.window_name.is_none() => {
                self.window(&spec.partition_by, cx)
            }
            None if functions::kind(name.trim_matches('`'), 1, false) == Kind::Aggregate => {
                self.aggregate(expr, from, cx)?;
                if functions::depends_on_order(name.trim_matches('`'))
                    && let Some(facts) = self.facts.last_mut()
                {
                    facts.ordered = true;
                }
                Ok(())
            }
            // A named window was noted with its definition.
            _ => Ok(()),
        }
    }

    /// Notes an aggregate whose arguments read the columns noted from `from` on.
    fn aggregate(&mut self, expr: &Expr, from: usize, cx: Cx<'_>) -> Result<(), MappingError> {
        let read = self.levels.get(from..).unwrap_or_default();
        if !read.is_empty() && read.iter().all(|level| *level < cx.scope.level) {
            return Err(MappingError::unsupported(
                format!("{}, an aggregate over columns of an outer query block,", fragment(expr)),
                "aggregate in the block that the columns belong to",
            ));
        }
        if let Some(facts) = self.facts.last_mut() {
            facts.aggregated = true;
        }
        Ok(())
    }

    /// Notes the columns that a window is partitioned by.
    pub(super) fn window(&mut self, partition_by: &[Expr], cx: Cx<'_>) -> Result<(), MappingError> {
        let mut columns = Vec::new();
        for expr in partition_by {
            let found = self.column(expr, cx)?.filter(|found| found.level == cx.scope.level);
            columns.extend(found.map(|found| found.local));
        }
        if let Some(facts) = self.facts.last_mut() {
            facts.windows.push(columns);
        }
        Ok(())
    }
}
