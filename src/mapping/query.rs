//! The query and its rules as the user wrote them, read as far as no schema is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, Query, Select, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::analysis::is_dual;
use super::error::{MappingError, fragment};
use super::text::{Lexed, the_mark};
use super::{functions, syntax};
use crate::model::{Catalog, TableName, quoted};

/// A query with what belongs to its meaning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueryText {
    /// `query.sql`: one SELECT with one placeholder `IN (:ids)`.
    pub sql: String,
    /// `query.key`: names of result columns, in the order of the document id.
    pub key: Vec<String>,
    /// `source.database`: the schema of unqualified table names.
    pub database: Option<String>,
    /// `mapping.tables`: what the derivation is told.
    pub rules: Vec<TableRule>,
    /// `query.volatile: Allow`: volatile and stored functions are the user's business.
    pub volatile_allowed: bool,
}

/// An entry of `mapping.tables`. An empty schema is `source.database`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableRule {
    /// The table.
    pub table: TableName,
    /// What its changes mean.
    pub action: TableAction,
}

/// What the changes of a table mean where the user says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableAction {
    /// These columns of the table hold the main key, in the order of `query.key`.
    Column(Vec<String>),
    /// SQL that finds the main keys.
    Lookup(LookupRule),
    /// No document follows its changes.
    Ignore,
    /// Any change of it starts a low-priority Full.
    All,
}

/// A lookup written by the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupRule {
    /// A SELECT of the main key's columns (in the order of `query.key`) with one placeholder `IN (:keys)`.
    pub sql: String,
    /// The changed table's column whose values (of both images) are bound to the placeholder.
    pub key: String,
}

/// A query that was read, before any schema is known.
#[derive(Clone, Debug)]
pub struct ParsedQuery {
    pub(super) input: QueryText,
    pub(super) query: Box<Query>,
    pub(super) text: Template,
    pub(super) rules: BTreeMap<TableName, TableAction>,
    tables: Vec<TableName>,
}

/// Reads a query: finds its placeholder, parses the SQL, and refuses what needs no schema to be refused.
pub fn parse(query: &QueryText) -> Result<ParsedQuery, MappingError> {
    if query.key.is_empty() || query.key.iter().any(String::is_empty) {
        return Err(MappingError::Key {
            key: query.key.join(", "),
            found: "no column is named".to_owned(),
            remedy: "name the result column that the placeholder filters".to_owned(),
        });
    }
    let database = query.database.as_deref();
    let (text, parsed, mut tables) =
        Template::read("query.sql", &query.sql, database, query.volatile_allowed)?;
    main_select(&parsed)?;
    let rules = rules(query)?;
    let extra = rules.iter().filter(|(_, action)| **action != TableAction::Ignore).map(|(table, _)| table);
    tables.extend(extra.cloned());
    let tables = tables.into_iter().collect();
    Ok(ParsedQuery { input: query.clone(), query: parsed, text, rules, tables })
}

impl ParsedQuery {
    /// The tables whose schema [`ParsedQuery::compile`] needs: those of the query, and those of its rules.
    pub fn tables(&self) -> Vec<TableName> {
        self.tables.clone()
    }

    /// Derives which change of which table touches which ids.
    pub fn compile(&self, catalog: &Catalog) -> Result<super::Plan, MappingError> {
        super::compile::compile(self, catalog)
    }
}

/// SQL with one mark, ready to be written out for any number of keys.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The text that the query was parsed from: the mark stands as `?`.
    pub lexed: Lexed,
    /// Byte offset of the mark.
    pub mark: usize,
    /// Byte offsets of table names that the schema must be put before, ascending.
    unqualified: Vec<usize>,
    /// The schema in backticks.
    schema: String,
}

impl Template {
    /// Reads SQL: finds the mark, parses, refuses what is not understood; also says which tables it names.
    pub(super) fn read(
        place: &'static str,
        sql: &str,
        database: Option<&str>,
        volatile_allowed: bool,
    ) -> Result<(Self, Box<Query>, BTreeSet<TableName>), MappingError> {
        let (lexed, mark) = with_plain_mark(place, sql)?;
        let parsed = parse_query(place, &lexed.text)?;
        let mut survey = Survey { database, volatile_allowed, ..Survey::default() };
        survey.ctes(&parsed);
        if let ControlFlow::Break(error) = parsed.visit(&mut survey) {
            return Err(*error);
        }
        let mut unqualified: Vec<usize> =
            survey.unqualified.iter().map(|name| lexed.ident_start(name)).collect();
        unqualified.sort_unstable();
        let schema = database.map(quoted).unwrap_or_default();
        Ok((Self { lexed, mark, unqualified, schema }, parsed, survey.tables))
    }

    /// The text around the mark.
    pub(super) fn around_mark(&self) -> (String, String) {
        (self.qualified(0, self.mark), self.qualified(self.mark + 1, self.lexed.text.len()))
    }

    /// A part of the text, with the schema put before unqualified tables.
    pub(super) fn qualified(&self, start: usize, end: usize) -> String {
        let mut out = String::new();
        let mut from = start;
        for cut in self.unqualified.iter().copied().filter(|at| (start..end).contains(at)) {
            out.push_str(self.lexed.slice(from, cut));
            out.extend([&self.schema, "."]);
            from = cut;
        }
        out.push_str(self.lexed.slice(from, end));
        out
    }
}

/// The text with its mark as `?`, and the mark's byte offset.
fn with_plain_mark(place: &'static str, sql: &str) -> Result<(Lexed, usize), MappingError> {
    let lexed = Lexed::new(place, sql)?;
    syntax::check_tokens(&lexed)?;
    let mark = the_mark(&lexed)?;
    let end = lexed.tokens.iter().rev().find(|l| l.token != Token::SemiColon).map_or(0, |l| l.end);
    let plain = format!("{}?{}", lexed.slice(0, mark.start), lexed.slice(mark.end, end));
    Ok((Lexed::new(place, &plain)?, mark.start))
}

/// Parses one SELECT statement.
pub(super) fn parse_query(place: &'static str, sql: &str) -> Result<Box<Query>, MappingError> {
    let statements = Parser::parse_sql(&MySqlDialect {}, sql)
        .map_err(|e| MappingError::Syntax { place, found: e.to_string() })?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => Ok(query),
        Ok([other]) => {
            Err(MappingError::Syntax { place, found: format!("{} is no SELECT", fragment(&other)) })
        }
        Err(many) => Err(MappingError::Syntax { place, found: format!("{} statements", many.len()) }),
    }
}

/// The one SELECT of the main query.
pub(super) fn main_select(query: &Query) -> Result<&Select, MappingError> {
    if query.limit_clause.is_some() {
        return Err(MappingError::not_separable(
            "LIMIT in the main query counts rows of several ids",
            "take LIMIT out",
        ));
    }
    match &*query.body {
        SetExpr::Select(select) => Ok(select),
        SetExpr::SetOperation { op, .. } => {
            Err(MappingError::unsupported(format!("{op} as the main query"), "make one task per SELECT"))
        }
        _ => Err(MappingError::unsupported(fragment(query), "write the main query as a plain SELECT")),
    }
}

fn rules(query: &QueryText) -> Result<BTreeMap<TableName, TableAction>, MappingError> {
    let mut found = BTreeMap::new();
    for rule in &query.rules {
        let fail = |found: &str, remedy: &str| MappingError::Rule {
            table: rule.table.clone(),
            found: found.to_owned(),
            remedy: remedy.to_owned(),
        };
        let mut table = rule.table.clone();
        if table.schema.is_empty() {
            let database = query.database.clone();
            table.schema = database.ok_or_else(|| fail("no schema", "write schema.table"))?;
        }
        if found.insert(table, rule.action.clone()).is_some() {
            return Err(fail("stands twice", "keep one entry per table"));
        }
    }
    Ok(found)
}

/// Walks the whole tree once: refuses what is not understood and collects table names.
#[derive(Default)]
struct Survey<'q> {
    database: Option<&'q str>,
    volatile_allowed: bool,
    ctes: BTreeSet<String>,
    tables: BTreeSet<TableName>,
    unqualified: Vec<sqlparser::ast::Ident>,
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
            Expr::Identifier(name) if name.quote_style.is_none() && functions::is_bare_call(&name.value) => {
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
