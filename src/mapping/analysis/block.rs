//! One SELECT: its clauses in the order in which names come into reach, and what its result columns pass on.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, NamedWindowExpr, OrderByExpr, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Value,
};

use super::super::error::{MappingError, fragment};
use super::super::scope::{ColRef, OutCol, RelationKind, Scope, column_parts, same_column};
use super::super::syntax::{self, Child};
use super::condition::Place;
use super::expression::Cx;
use super::{Analysis, Env, Stars};
use crate::model::quoted;

/// What decides whether rows of a block stand for themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// An aggregate function is called in it.
    pub aggregated: bool,
    /// It has GROUP BY.
    pub grouped: bool,
    /// Columns (relation, name) of GROUP BY.
    pub group: Vec<(usize, String)>,
    /// SELECT DISTINCT.
    pub distinct: bool,
    /// Its result depends on the order in which rows come.
    pub ordered: bool,
    /// For each window, the columns of PARTITION BY.
    pub windows: Vec<Vec<(usize, String)>>,
}

impl Facts {
    /// Can one row stand for several whose values a collation calls equal?
    pub(crate) fn merges(&self) -> bool {
        self.grouped || self.distinct || !self.windows.is_empty()
    }

    /// Can a filter on this column be pushed below grouping and windows?
    fn passes(&self, column: &(usize, String)) -> bool {
        let grouped = if self.grouped { self.group.contains(column) } else { !self.aggregated };
        grouped && self.windows.iter().all(|partition| partition.contains(column))
    }
}

/// A relation of a block and one of its columns.
type Local = (usize, String);
type Block<'e> = (Scope<'e>, Facts, Vec<OutCol>);

impl Analysis<'_> {
    pub(super) fn block<'e>(
        &mut self,
        select: &Select,
        order: &[OrderByExpr],
        env: Env<'e>,
        stars: Stars,
    ) -> Result<Block<'e>, MappingError> {
        self.facts.push(Facts::default());
        let first = self.occurrences.len();
        let mut scope = Scope::new(env.scope);
        for tree in &select.from {
            self.joins(tree, &mut scope, env)?;
        }
        let cx = Cx { scope: &scope, ctes: env.ctes, aliases: &[] };
        if let Some(filter) = &select.selection {
            let edges = self.condition(filter, cx, &Place { inner: None }, true)?;
            self.edges.extend(edges);
        }
        let mut outputs = self.projection(select, cx, stars)?;
        let aliases: Vec<String> = outputs.iter().map(|o| o.name.clone()).collect();
        self.tail(select, order, &outputs, Cx { aliases: &aliases, ..cx })?;
        let mut facts = self.facts.pop().unwrap_or_default();
        facts.distinct = select.distinct.is_some();
        if facts.ordered || !facts.windows.is_empty() {
            self.ordered_from(first);
        }
        for output in &mut outputs {
            output.merged |= facts.merges();
            if !output.local.as_ref().is_some_and(|local| facts.passes(local)) {
                *output = std::mem::take(output).opaque();
            }
        }
        Ok((scope, facts, outputs))
    }

    fn tail(
        &mut self,
        select: &Select,
        order: &[OrderByExpr],
        outputs: &[OutCol],
        cx: Cx<'_>,
    ) -> Result<(), MappingError> {
        if let Some(Distinct::On(_)) = &select.distinct {
            return Err(MappingError::unsupported("DISTINCT ON", "write plain MySQL"));
        }
        self.group_by(&select.group_by, outputs, cx)?;
        if let Some(having) = &select.having {
            self.walk(having, cx)?;
        }
        for definition in &select.named_window {
            let NamedWindowExpr::WindowSpec(spec) = &definition.1 else {
                return Err(MappingError::unsupported(fragment(definition), "write the window out"));
            };
            for child in syntax::window(spec) {
                if let Child::Expr(expr) = child {
                    self.walk(expr, cx)?;
                }
            }
            if spec.window_name.is_none() {
                self.window(&spec.partition_by, cx)?;
            }
        }
        order.iter().try_for_each(|o| self.walk(&o.expr, cx))
    }

    fn group_by(&mut self, group: &GroupByExpr, outputs: &[OutCol], cx: Cx<'_>) -> Result<(), MappingError> {
        let GroupByExpr::Expressions(list, modifiers) = group else {
            return Err(MappingError::unsupported("GROUP BY ALL", "name the columns"));
        };
        if !modifiers.is_empty() {
            let remedy = "aggregate in a subquery per level";
            return Err(MappingError::unsupported(fragment(group), remedy));
        }
        let mut columns = Vec::new();
        for expr in list {
            self.walk(expr, cx)?;
            columns.extend(self.grouped_column(expr, outputs, cx));
        }
        if let Some(facts) = self.facts.last_mut() {
            facts.grouped = !list.is_empty();
            facts.group = columns;
        }
        Ok(())
    }

    /// The column that an item of GROUP BY is: by its name, by an alias, or by its number.
    fn grouped_column(&self, expr: &Expr, outputs: &[OutCol], cx: Cx<'_>) -> Option<Local> {
        if let Expr::Value(value) = expr
            && let Value::Number(number, _) = &value.value
        {
            let at = number.parse::<usize>().ok()?.checked_sub(1)?;
            return outputs.get(at)?.local.clone();
        }
        let parts = column_parts(expr)?;
        // A name that is ambiguous in FROM was let through by the walk as an alias: it proves nothing here.
        match self.column(expr, cx).ok()? {
            Some(found) => Some(found).filter(|found| found.level == cx.scope.level).map(|found| found.local),
            None => match parts {
                [alias] => outputs.iter().find(|o| same_column(&o.name, &alias.value))?.local.clone(),
                _ => None,
            },
        }
    }

    fn projection(&mut self, select: &Select, cx: Cx<'_>, stars: Stars) -> Result<Vec<OutCol>, MappingError> {
        let mut outputs = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = column_parts(expr).and_then(<[_]>::last);
                    let name = name.map_or_else(|| expr.to_string(), |ident| ident.value.clone());
                    outputs.push(self.output(name, expr, cx)?);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.push(self.output(alias.value.clone(), expr, cx)?);
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) if stars == Stars::Ignore => {}
                SelectItem::Wildcard(star) => {
                    let columns = self.star(None, cx)?;
                    if stars == Stars::Write {
                        let at = star.wildcard_token.0.span.start;
                        self.stars.push((at, written(&columns, None, cx.scope)));
                    }
                    outputs.extend(columns);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), star) => {
                    let alias = name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone());
                    let columns = self.star(alias.as_deref(), cx)?;
                    if stars == Stars::Write {
                        let at = star.wildcard_token.0.span.start;
                        self.stars.push((at, written(&columns, Some(&name.to_string()), cx.scope)));
                    }
                    outputs.extend(columns);
                }
                other => {
                    return Err(MappingError::unsupported(fragment(other), "name the columns"));
                }
            }
        }
        Ok(outputs)
    }

    fn output(&mut self, name: String, expr: &Expr, cx: Cx<'_>) -> Result<OutCol, MappingError> {
        self.walk(expr, cx)?;
        let found = self.column(expr, cx)?.filter(|found| found.level == cx.scope.level);
        Ok(match found {
            Some(found) => OutCol {
                name,
                outward: found.outward,
                inward: found.inward,
                not_null: found.not_null,
                merged: found.merged,
                local: Some(found.local),
            },
            None => OutCol { name, ..OutCol::default() },
        })
    }

    /// `*` or `alias.*`: every column of the relations, which then all matter.
    fn star(&mut self, alias: Option<&str>, cx: Cx<'_>) -> Result<Vec<OutCol>, MappingError> {
        let mut outputs = Vec::new();
        let mut seen = false;
        for (at, relation) in cx.scope.relations.iter().enumerate() {
            if alias.is_some_and(|alias| !same_column(alias, &relation.alias)) {
                continue;
            }
            seen = true;
            let names: Vec<String> = match &relation.kind {
                RelationKind::Base(occurrence) => {
                    self.mark_all(*occurrence);
                    let table = self.occurrences.get(*occurrence).map(|o| o.catalog);
                    let seen = table.iter().flat_map(|t| &t.columns).filter(|c| !c.invisible);
                    seen.map(|c| c.column.name.clone()).collect()
                }
                RelationKind::Derived(columns) => columns.iter().map(|c| c.name.clone()).collect(),
                RelationKind::Opaque(columns) => columns.clone(),
            };
            for name in names {
                let elsewhere =
                    cx.scope.merged.iter().any(|(n, stands)| same_column(n, &name) && *stands != at);
                let found = self.resolver().column_in(relation, at, &name, cx.scope.level);
                if let (Some(found), false) = (found, elsewhere && alias.is_none()) {
                    let (outward, inward, not_null) = (found.outward, found.inward, found.not_null);
                    let merged = found.merged;
                    outputs.push(OutCol {
                        name,
                        outward,
                        inward,
                        not_null,
                        merged,
                        local: Some(found.local),
                    });
                }
            }
        }
        if seen {
            Ok(outputs)
        } else {
            Err(MappingError::unsupported("`*` without a table", "name the columns"))
        }
    }

    fn mark_all(&mut self, occurrence: usize) {
        if let Some(table) = self.occurrences.get_mut(occurrence) {
            table.all_columns = true;
            table.columns.extend(0..table.catalog.columns.len());
        }
    }

    /// The base column behind one column of the main block.
    pub(crate) fn base_column(
        scope: &Scope<'_>,
        local: &(usize, String),
        tables: &[super::Occurrence<'_>],
    ) -> Option<ColRef> {
        let RelationKind::Base(occurrence) = scope.relations.get(local.0)?.kind else { return None };
        let column = super::super::scope::column_of(tables.get(occurrence)?.catalog, &local.1)?;
        Some(ColRef { occurrence, column })
    }
}

/// What stands in place of `*`: the first column without the qualifier, which stands in the text already.
fn written(columns: &[OutCol], qualifier: Option<&str>, scope: &Scope<'_>) -> String {
    let each = columns.iter().enumerate().map(|(i, column)| {
        let name = quoted(&column.name);
        match (qualifier, i) {
            (Some(_), 0) => name,
            (Some(qualifier), _) => format!("{qualifier}.{name}"),
            (None, _) => {
                let relation = column.local.as_ref().and_then(|(at, _)| scope.relations.get(*at));
                let schema = relation.and_then(|r| r.schema.as_ref());
                let schema = schema.map_or_else(String::new, |schema| format!("{}.", quoted(schema)));
                relation.map_or_else(|| name.clone(), |r| format!("{schema}{}.{name}", quoted(&r.alias)))
            }
        }
    });
    each.collect::<Vec<_>>().join(", ")
}
