//! One walk over a query's whole tree: what is not understood is refused, and the tables are named.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Query, Select, Visit, Visitor};

use super::analysis::is_dual;
use super::error::{MappingError, fragment};
use super::{functions, syntax};
use crate::model::TableName;

/// Walks a query's whole tree.
pub(super) fn survey<'q>(
    query: &Query,
    database: Option<&'q str>,
    volatile_allowed: bool,
) -> Result<Survey<'q>, MappingError> {
    let mut survey = Survey { database, volatile_allowed, ..Survey::default() };
    survey.ctes(query);
    match query.visit(&mut survey) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(survey),
    }
}

/// Walks the whole tree once: refuses what is not understood and collects table names.
#[derive(Default)]
pub(super) struct Survey<'q> {
    database: Option<&'q str>,
    volatile_allowed: bool,
    ctes: BTreeSet<String>,
    pub tables: BTreeSet<TableName>,
    pub unqualified: Vec<sqlparser::ast::Ident>,
}

impl Survey<'_> {
    fn ctes(&mut self, query: &Query) {
        struct Names<'n>(&'n mut BTreeSet<String>);
        impl Visitor for Names<'_> {
            type Break = ();
            fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
                let tables = query.with.iter().flat_map(|with| &with.cte_tables);
                self.0.extend(tables.map(|cte| cte.alias.name.value.to_lowercase()));
                ControlFlow::Continue(())
            }
        }
        let _ = query.visit(&mut Names(&mut self.ctes));
    }

    fn relation(&mut self, name: &ObjectName) -> Result<(), MappingError> {
        let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        match parts.as_slice() {
            [_] if is_dual(name) => {}
            [table] if self.ctes.contains(&table.value.to_lowercase()) => {}
            [table] => {
                let database = self.database.ok_or_else(|| MappingError::Table {
                    table: table.value.clone(),
                    found: "it has no schema".to_owned(),
                    remedy: "write schema.table, or set source.database".to_owned(),
                })?;
                self.tables.insert(TableName::new(database, table.value.clone()));
                self.unqualified.push((*table).clone());
            }
            [schema, table] => {
                self.tables.insert(TableName::new(schema.value.clone(), table.value.clone()));
            }
            _ => return Err(MappingError::unsupported(fragment(name), "write schema.table")),
        }
        Ok(())
    }

    fn expression(&self, expr: &Expr) -> Result<(), MappingError> {
        syntax::children(expr)?;
        match expr {
            Expr::Function(function) => syntax::check_call(function, self.volatile_allowed),
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
                Err(syntax::user_variable(expr))
            }
            Expr::Identifier(name)
                if !self.volatile_allowed
                    && name.quote_style.is_none()
                    && functions::is_bare_call(&name.value) =>
            {
                let why = "whose result changes without any change of a row";
                Err(MappingError::Volatile { function: fragment(expr), why })
            }
            Expr::CompoundIdentifier(parts) if parts.iter().any(|p| p.value.starts_with('@')) => {
                Err(syntax::user_variable(expr))
            }
            _ => Ok(()),
        }
    }
}

fn flow(result: Result<(), MappingError>) -> ControlFlow<Box<MappingError>> {
    result.map_or_else(|e| ControlFlow::Break(Box::new(e)), ControlFlow::Continue)
}

impl Visitor for Survey<'_> {
    type Break = Box<MappingError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        flow(syntax::check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        flow(syntax::check_select(select))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        flow(self.relation(relation))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        flow(self.expression(expr))
    }
}
