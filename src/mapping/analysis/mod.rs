//! Walks a query block by block: which tables it reads, which of their columns, and which equalities must
//! hold between the rows that a changed row can matter for.
//!
//! An [`Edge`] `a -> b` says: a row of `a`'s table can matter only to results that contain a row of `b`'s
//! table in which `b` equals `a`. Edges cross blocks, so that the whole query is one graph.

mod block;
mod condition;
mod expression;
mod from;

use std::collections::BTreeSet;

use sqlparser::ast::{OrderByExpr, OrderByKind, Query, Select, SetExpr, SetOperator, SetQuantifier};
use sqlparser::tokenizer::Location;

use super::compat::same_class;
use super::error::{MappingError, fragment};
use super::scope::{ColRef, Ctes, Names, Occurrence, OutCol, Resolver, Scope};
pub(super) use block::Facts;
pub(super) use from::is_dual;

/// An equality that a path to the main key can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub from: ColRef,
    pub to: ColRef,
    /// A value on the way may stand for several that its collation calls equal: the edge serves only columns of
    /// that same collation.
    pub merged: bool,
}

/// What stands around an expression or a query.
#[derive(Clone, Copy)]
pub(super) struct Env<'e> {
    pub scope: Option<&'e Scope<'e>>,
    pub ctes: Option<&'e Ctes<'e>>,
}

/// What `*` means in a select list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// EXISTS: it reads nothing.
    Ignore,
    /// Every column of the tables.
    Expand,
    /// The same, noted to be written out: what is read must be what was compiled.
    Write,
}

/// The graph of a query.
pub(super) struct Analysis<'c> {
    pub names: Names<'c>,
    pub database: Option<String>,
    pub occurrences: Vec<Occurrence<'c>>,
    pub edges: BTreeSet<Edge>,
    /// Top-level ORs: in each, one of the branches' edge sets holds.
    pub choices: Vec<Vec<Vec<Edge>>>,
    /// Where `*` stands in the text, and the columns that it means.
    pub stars: Vec<(Location, String)>,
    /// Read the view's SELECT also where it calls volatile functions.
    pub volatile_allowed: bool,
    facts: Vec<Facts>,
    /// Levels of the columns seen, in order of the walk.
    levels: Vec<usize>,
}

/// More occurrences than any sane query has; CTEs that use CTEs can multiply.
const MOST_OCCURRENCES: usize = 256;

/// The main block after the walk.
pub(super) struct Main<'s> {
    pub scope: Scope<'s>,
    pub facts: Facts,
    pub outputs: Vec<OutCol>,
}

impl<'c> Analysis<'c> {
    pub(super) fn new(names: Names<'c>, database: Option<&str>) -> Self {
        Self {
            names,
            database: database.map(str::to_owned),
            occurrences: vec![],
            edges: BTreeSet::new(),
            choices: vec![],
            stars: vec![],
            volatile_allowed: false,
            facts: vec![],
            levels: vec![],
        }
    }

    /// Notes that a result depends on the order of the rows of the tables that came since the one of this number.
    pub(super) fn ordered_from(&mut self, first: usize) {
        self.occurrences.iter_mut().skip(first).for_each(|table| table.ordered = true);
    }

    fn resolver(&self) -> Resolver<'c, '_> {
        Resolver { names: self.names, occurrences: &self.occurrences }
    }

    /// The main query: its one block stays open for the checks that follow.
    pub(super) fn main(&mut self, query: &Query, select: &Select) -> Result<Main<'static>, MappingError> {
        let list = query.with.as_ref().map_or(&[][..], |with| &with.cte_tables);
        let ctes = Ctes { list, visible: list.len(), scope: None, parent: None };
        let env = Env { scope: None, ctes: Some(&ctes) };
        let (scope, facts, outputs) = self.block(select, order_by(query)?, env, Stars::Write)?;
        // The main block has no scope around it.
        let scope = Scope { relations: scope.relations, merged: scope.merged, parent: None, level: 0 };
        Ok(Main { scope, facts, outputs })
    }

    /// Any other query: its result columns, as far as equalities pass them.
    fn query(&mut self, query: &Query, env: Env<'_>, stars: Stars) -> Result<Vec<OutCol>, MappingError> {
        let list = query.with.as_ref().map_or(&[][..], |with| &with.cte_tables);
        let ctes = Ctes { list, visible: list.len(), scope: env.scope, parent: env.ctes };
        let env = Env { scope: env.scope, ctes: Some(&ctes) };
        let first = self.occurrences.len();
        let outputs = match &*query.body {
            SetExpr::Select(select) => self.block(select, order_by(query)?, env, stars)?.2,
            SetExpr::Query(inner) => self.query(inner, env, stars)?,
            body @ SetExpr::SetOperation { .. } => self.union(body, env)?,
            other => return Err(MappingError::unsupported(fragment(other), "write it as a SELECT")),
        };
        let plain = matches!(&*query.body, SetExpr::Select(_)) || only_names(order_by(query)?);
        if !plain {
            return Err(MappingError::unsupported(
                "ORDER BY of an expression over a UNION",
                "order by a column",
            ));
        }
        let limited = query.limit_clause.is_some();
        if limited {
            self.ordered_from(first);
        }
        Ok(if limited { outputs.into_iter().map(OutCol::opaque).collect() } else { outputs })
    }

    fn union(&mut self, body: &SetExpr, env: Env<'_>) -> Result<Vec<OutCol>, MappingError> {
        match body {
            SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } => {
                use SetQuantifier as Q;
                if !matches!(set_quantifier, Q::None | Q::All | Q::Distinct) {
                    return Err(MappingError::unsupported("UNION BY NAME", "write plain MySQL"));
                }
                let (left, right) = (self.union(left, env)?, self.union(right, env)?);
                if left.len() != right.len() {
                    let found = "a UNION whose branches differ in their number of columns";
                    return Err(MappingError::unsupported(found, "give each branch the same columns"));
                }
                let distinct = *set_quantifier != Q::All;
                Ok(left.into_iter().zip(right).map(|(l, r)| self.both_branches(l, r, distinct)).collect())
            }
            SetExpr::SetOperation { op, .. } => {
                Err(MappingError::unsupported(op.to_string(), "write it with NOT EXISTS or IN"))
            }
            SetExpr::Select(select) => Ok(self.block(select, &[], env, Stars::Expand)?.2),
            SetExpr::Query(inner) => self.query(inner, env, Stars::Expand),
            other => Err(MappingError::unsupported(fragment(other), "write it as a SELECT")),
        }
    }

    /// A UNION's column leads out of each branch, if each branch passes it and all have one type and collation; it
    /// leads into none, as a row may come from any.
    fn both_branches(&self, left: OutCol, right: OutCol, distinct: bool) -> OutCol {
        let column = |at: &ColRef| self.occurrences.get(at.occurrence)?.column(at.column);
        let same = |a: &ColRef, b: &ColRef| match (column(a), column(b)) {
            (Some(a), Some(b)) => same_class(a, b),
            _ => false,
        };
        let alike = left.outward.iter().all(|a| right.outward.iter().all(|b| same(a, b)));
        let passes = alike && !left.outward.is_empty() && !right.outward.is_empty();
        let outward = if passes { [left.outward, right.outward].concat() } else { vec![] };
        let not_null = left.not_null && right.not_null;
        let merged = distinct || left.merged || right.merged;
        OutCol { name: left.name, outward, inward: vec![], not_null, merged, local: None }
    }
}

fn only_names(order: &[OrderByExpr]) -> bool {
    use sqlparser::ast::Expr;
    order.iter().all(|o| matches!(&o.expr, Expr::Identifier(_) | Expr::Value(_)))
}

fn order_by(query: &Query) -> Result<&[OrderByExpr], MappingError> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(list)) => Ok(list),
        Some(OrderByKind::All(_)) => Err(MappingError::unsupported("ORDER BY ALL", "name the columns")),
    }
}
