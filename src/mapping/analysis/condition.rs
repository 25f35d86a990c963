//! Conditions: which equalities of WHERE, ON and IN must hold.

use std::ops::Range;

use sqlparser::ast::{BinaryOperator, Expr, Query};

use super::super::error::MappingError;
use super::super::scope::{Found, column_parts};
use super::expression::Cx;
use super::{Analysis, Edge, Env, Stars};

/// Where a condition stands: at a filter (`inner` is `None`), or at an outer join, whose ON says nothing of
/// rows outside its inner side.
pub(super) struct Place {
    pub inner: Option<Range<usize>>,
}

impl Place {
    fn binds(&self, relation: usize) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.contains(&relation))
    }
}

impl Analysis<'_> {
    /// Walks a condition and returns the edges that hold wherever it is true. `top`: it must be true itself,
    /// so that an OR in it is a choice between its branches.
    pub(super) fn condition(
        &mut self,
        expr: &Expr,
        cx: Cx<'_>,
        place: &Place,
        top: bool,
    ) -> Result<Vec<Edge>, MappingError> {
        match expr {
            Expr::Nested(inner) => self.condition(inner, cx, place, top),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let mut edges = self.condition(left, cx, place, top)?;
                edges.extend(self.condition(right, cx, place, top)?);
                Ok(edges)
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
                let mut branches = Vec::new();
                for branch in branches_of(expr) {
                    branches.push(self.condition(branch, cx, place, false)?);
                }
                self.choose(branches, top);
                Ok(vec![])
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                self.walk(expr, cx)?;
                self.pair(left, right, cx, place)
            }
            Expr::InList { expr: one, list, negated: false } => {
                self.walk(expr, cx)?;
                let branches: Result<Vec<_>, _> =
                    list.iter().map(|item| self.pair(one, item, cx, place)).collect();
                let mut branches = branches?;
                if branches.len() == 1 {
                    return Ok(branches.pop().unwrap_or_default());
                }
                self.choose(branches, top);
                Ok(vec![])
            }
            Expr::InSubquery { expr: one, subquery, negated: false } => {
                self.in_subquery(one, subquery, cx, true)?;
                Ok(vec![])
            }
            _ => self.walk(expr, cx).map(|()| vec![]),
        }
    }

    fn choose(&mut self, branches: Vec<Vec<Edge>>, top: bool) {
        if top && branches.iter().all(|edges| !edges.is_empty()) {
            self.choices.push(branches);
        }
    }

    /// The edges of `left = right`, where both are columns or rows of columns.
    fn pair(&self, left: &Expr, right: &Expr, cx: Cx<'_>, place: &Place) -> Result<Vec<Edge>, MappingError> {
        match (plain(left), plain(right)) {
            (Expr::Tuple(a), Expr::Tuple(b)) if a.len() == b.len() => {
                let each: Result<Vec<_>, _> =
                    a.iter().zip(b).map(|(a, b)| self.pair(a, b, cx, place)).collect();
                Ok(each?.concat())
            }
            (a, b) => match (self.column(a, cx)?, self.column(b, cx)?) {
                (Some(a), Some(b)) => Ok(Self::directed(&a, &b, cx.scope.level, place)),
                _ => Ok(vec![]),
            },
        }
    }

    /// The column that an expression is, if it is nothing else.
    pub(super) fn column(&self, expr: &Expr, cx: Cx<'_>) -> Result<Option<Found>, MappingError> {
        column_parts(expr).map_or(Ok(None), |parts| self.resolver().resolve(parts, cx.scope))
    }

    /// The edges of an equality, each way that its place allows. Nothing leads out of a block that is not
    /// the condition's own: a condition does not filter the blocks around it.
    pub(super) fn directed(a: &Found, b: &Found, level: usize, place: &Place) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (one, other) in [(a, b), (b, a)] {
            if one.level != level || !place.binds(one.local.0) {
                continue;
            }
            for &from in &one.outward {
                let targets = other.inward.iter().filter(|to| to.occurrence != from.occurrence);
                let merged = one.merged || other.merged;
                edges.extend(targets.map(|&to| Edge { from, to, merged }));
            }
        }
        edges
    }

    /// `x IN (SELECT y ...)`: a row matters only where y equals x. As a value (under NOT, in a select list) that
    /// is so only where neither can be NULL, because one NULL turns every FALSE into NULL.
    pub(super) fn in_subquery(
        &mut self,
        one: &Expr,
        query: &Query,
        cx: Cx<'_>,
        filters: bool,
    ) -> Result<(), MappingError> {
        self.walk(one, cx)?;
        let outputs = self.query(query, Env { scope: Some(cx.scope), ctes: cx.ctes }, Stars::Expand)?;
        let left = match plain(one) {
            Expr::Tuple(items) => items.iter().collect(),
            single => vec![single],
        };
        if left.len() != outputs.len() {
            return Ok(());
        }
        let mut pairs = Vec::new();
        let mut never_null = true;
        for (expr, output) in left.into_iter().zip(outputs) {
            let found = self.column(plain(expr), cx)?;
            never_null &= output.not_null && found.as_ref().is_some_and(|f| f.not_null);
            pairs.extend(found.map(|f| (f, output)));
        }
        if filters || never_null {
            for (found, output) in pairs {
                let merged = output.merged || found.merged;
                for &from in &output.outward {
                    self.edges.extend(found.inward.iter().map(|&to| Edge { from, to, merged }));
                }
            }
        }
        Ok(())
    }
}

fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => plain(inner),
        other => other,
    }
}

fn branches_of(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Nested(inner) => branches_of(inner),
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            let mut branches = branches_of(left);
            branches.extend(branches_of(right));
            branches
        }
        other => vec![other],
    }
}
