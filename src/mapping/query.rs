//! The query and its rules as the user wrote them, read as far as no schema is needed.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Query, Select, SetExpr, Statement};
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::error::{MappingError, fragment};
use super::rewrite::{RewriteRule, Rewrites};
use super::sharding::{ShardVariable, Shards};
use super::survey::survey;
use super::syntax;
use super::text::{Lexed, is_keyword, the_mark};
use crate::model::{Catalog, TableName, quoted};

/// A query with what belongs to its meaning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueryText {
    /// `query.sql`: one SELECT with one placeholder `IN (:ids)`, or several joined by UNION ALL with one each.
    pub sql: String,
    /// `query.key`: names of result columns, in the order of the document id.
    pub key: Vec<String>,
    /// `query.table`: the logical main table, where the user says which it is.
    pub table: Option<TableName>,
    /// `query.children`: arrays of objects within the documents.
    pub children: Vec<ChildText>,
    /// `source.database`: the schema of unqualified table names.
    pub database: Option<String>,
    /// `mapping.tables`: what the derivation is told.
    pub rules: Vec<TableRule>,
    /// `mapping.sharding`: variables in names.
    pub sharding: Vec<ShardVariable>,
    /// `mapping.rewrite`: physical names to logical ones.
    pub rewrites: Vec<RewriteRule>,
    /// `query.volatile: Allow`: volatile and stored functions are the user's business.
    pub volatile_allowed: bool,
    /// `query.batch: One`: each id is read by a statement of its own, so that rows may depend on all of it.
    pub one_by_one: bool,
}

/// An entry of `query.children`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChildText {
    /// The document's member that holds the array.
    pub field: String,
    /// One SELECT with one placeholder `IN (:ids)`.
    pub sql: String,
    /// Names of its result columns that are the document's key, in the order of `query.key`.
    pub key: Vec<String>,
    /// What follows ORDER BY, where the SQL has none.
    pub order_by: Option<String>,
    /// The result columns that the objects have; empty: all but the key.
    pub fields: Vec<String>,
}

/// An entry of `mapping.tables`. An empty schema is `source.database`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableRule {
    /// The table.
    pub table: TableName,
    /// What its changes mean.
    pub action: TableAction,
    /// The columns whose change matters; empty: those that the query reads.
    pub columns: Vec<String>,
}

/// What the changes of a table mean where the user says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableAction {
    /// As derived: the entry only says which columns matter.
    Derived,
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LookupRule {
    /// A SELECT of the main key's columns (in the order of `query.key`) with one placeholder `IN (:keys)`.
    pub sql: String,
    /// The changed table's column whose values (of both images) are bound to the placeholder.
    pub key: String,
    /// Main keys in one page; `None`: as many as the task's default.
    pub page_size: Option<usize>,
    /// The result column by which pages are cut, which is the main key's.
    pub order_key: Option<String>,
    /// Pages after which the rest gives way to all other work; `None`: one.
    pub max_pages: Option<usize>,
}

/// A query that was read, before any schema is known.
#[derive(Clone, Debug)]
pub struct ParsedQuery {
    pub(super) input: QueryText,
    /// The SELECTs of the main query.
    pub(super) branches: Vec<Part>,
    /// The SELECTs of the children, in the order of `input.children`.
    pub(super) children: Vec<Part>,
    pub(super) rules: BTreeMap<TableName, TableRule>,
    pub(super) shards: Shards,
    pub(super) rewrites: Rewrites,
    tables: BTreeSet<TableName>,
    /// Those of them that the SQL names.
    read: BTreeSet<TableName>,
}

/// One SELECT with one mark.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub query: Box<Query>,
    pub text: Template,
    /// Names of the result columns that are the key.
    pub key: Vec<String>,
}

/// Reads a query: finds its placeholders, parses the SQL, and refuses what needs no schema to be refused.
pub fn parse(query: &QueryText) -> Result<ParsedQuery, MappingError> {
    check_key(&query.key)?;
    let (shards, rewrites) = (Shards::new(&query.sharding)?, Rewrites::new(&query.rewrites)?);
    let mut tables = BTreeSet::new();
    let branches = branches(query, &shards, &mut tables)?;
    let children = query.children.iter().map(|child| {
        let part = child_part(query, child, &shards, &mut tables);
        part.map_err(|error| error.of_child(&child.field))
    });
    let children = children.collect::<Result<Vec<_>, _>>()?;
    let read = tables.clone();
    let rules = rules(query, &shards)?;
    let extra = rules.iter().filter(|(_, rule)| rule.action != TableAction::Ignore).map(|(table, _)| table);
    tables.extend(extra.cloned());
    Ok(ParsedQuery { input: query.clone(), branches, children, rules, shards, rewrites, tables, read })
}

fn check_key(key: &[String]) -> Result<(), MappingError> {
    if key.is_empty() || key.iter().any(String::is_empty) {
        return Err(MappingError::Key {
            key: key.join(", "),
            found: "no column is named".to_owned(),
            remedy: "name the result column that the placeholder filters".to_owned(),
        });
    }
    Ok(())
}

/// The SELECTs of the main query.
fn branches(
    query: &QueryText,
    shards: &Shards,
    tables: &mut BTreeSet<TableName>,
) -> Result<Vec<Part>, MappingError> {
    let marked = shards.mark("query.sql", &query.sql)?;
    let pieces = split_union("query.sql", &marked)?;
    let many = pieces.texts.len() > 1;
    let mut parts = Vec::new();
    for (i, text) in pieces.texts.iter().enumerate() {
        let prefix = if i == 0 { "" } else { pieces.with.as_str() };
        let mut part = part("query.sql", &format!("{prefix}{text}"), &query.key, query, tables)?;
        main_select(&part.query, query.one_by_one)?;
        part.text.skip = prefix.len();
        if many && part.query.order_by.is_some() {
            let remedy = "take it out: documents have no order";
            return Err(MappingError::unsupported("ORDER BY of a UNION ALL", remedy));
        }
        parts.push(part);
    }
    Ok(parts)
}

fn child_part(
    query: &QueryText,
    child: &ChildText,
    shards: &Shards,
    tables: &mut BTreeSet<TableName>,
) -> Result<Part, MappingError> {
    check_key(&child.key)?;
    let mut sql = child.sql.trim_end().trim_end_matches(';').to_owned();
    if let Some(order) = &child.order_by {
        // on a line of its own, should the SQL end with a comment
        sql.extend(["\nORDER BY ", order]);
    }
    let part =
        part("query.children[].sql", &shards.mark("query.children[].sql", &sql)?, &child.key, query, tables)?;
    main_select(&part.query, true)?;
    if part.query.limit_clause.is_some() {
        let remedy = "take it out: `fields`, WHERE or a window partitioned by the key can choose rows";
        return Err(MappingError::not_separable("LIMIT counts rows of several ids", remedy));
    }
    Ok(part)
}

fn part(
    place: &'static str,
    sql: &str,
    key: &[String],
    query: &QueryText,
    tables: &mut BTreeSet<TableName>,
) -> Result<Part, MappingError> {
    let (text, parsed, named) =
        Template::read(place, sql, query.database.as_deref(), query.volatile_allowed)?;
    tables.extend(named);
    Ok(Part { query: parsed, text, key: key.to_vec() })
}

/// The SELECTs that UNION ALL joins at the top.
struct Pieces {
    texts: Vec<String>,
    /// `WITH ...`, which all of them see.
    with: String,
}

fn split_union(place: &'static str, sql: &str) -> Result<Pieces, MappingError> {
    let lexed = Lexed::new(place, sql)?;
    let (mut depth, mut from, mut first_select) = (0usize, 0, None);
    let mut texts = Vec::new();
    for (i, lexeme) in lexed.tokens.iter().enumerate() {
        match &lexeme.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            token if depth == 0 && is_keyword(token, Keyword::SELECT) => {
                first_select = first_select.or(Some(lexeme.start));
            }
            token if depth == 0 && is_keyword(token, Keyword::UNION) => {
                let all = lexed.tokens.get(i + 1).filter(|next| is_keyword(&next.token, Keyword::ALL));
                let Some(all) = all else {
                    let remedy = "write UNION ALL, or make one task per SELECT";
                    return Err(MappingError::unsupported("UNION as the main query", remedy));
                };
                texts.push(lexed.slice(from, lexeme.start).to_owned());
                from = all.end;
            }
            _ => {}
        }
    }
    texts.push(lexed.slice(from, lexed.text.len()).to_owned());
    let with = lexed.slice(0, first_select.unwrap_or(0)).to_owned();
    Ok(Pieces { texts, with })
}

impl ParsedQuery {
    /// The tables whose schema [`ParsedQuery::compile`] needs: those of the query, those of its rules, and all
    /// that stand behind names with variables. Views name others: see [`ParsedQuery::more_tables`].
    pub fn tables(&self) -> Vec<TableName> {
        self.physical(&self.tables)
    }

    /// Those of them that the query itself names.
    pub fn read_tables(&self) -> Vec<TableName> {
        self.physical(&self.read)
    }

    fn physical(&self, names: &BTreeSet<TableName>) -> Vec<TableName> {
        let all: BTreeSet<TableName> = names.iter().flat_map(|name| self.shards.tables(name)).collect();
        all.into_iter().collect()
    }

    /// The names of [`ParsedQuery::tables`] as the user wrote them, each with what stands behind it.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&TableName, Vec<TableName>)> {
        self.tables.iter().map(|name| (name, self.shards.tables(name)))
    }

    /// Schemas in which physical tables of a logical name may be, for [`ParsedQuery::more_tables`]; empty where
    /// nothing is rewritten.
    pub fn rewritten_schemas(&self) -> BTreeSet<String> {
        if self.rewrites.is_empty() {
            return BTreeSet::new();
        }
        self.tables().into_iter().map(|table| table.schema).collect()
    }

    /// Derives which change of which table touches which ids.
    pub fn compile(&self, catalog: &Catalog) -> Result<super::Plan, MappingError> {
        super::compose::compose(self, catalog)
    }
}

/// SQL with one mark, ready to be written out for any number of keys.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The text that the query was parsed from: the mark stands as `?`.
    pub lexed: Lexed,
    /// Byte offset of the mark.
    pub mark: usize,
    /// Bytes that are written otherwise, ascending: schemas before unqualified tables, columns in place of `*`.
    edits: Vec<(usize, usize, String)>,
    /// Where the text itself begins, after a `WITH` that belongs to another one.
    pub skip: usize,
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
        let survey = survey(&parsed, database, volatile_allowed)?;
        let schema = format!("{}.", database.map(quoted).unwrap_or_default());
        let starts = survey.unqualified.iter().map(|name| lexed.ident_start(name));
        let edits = starts.map(|at| (at, at, schema.clone())).collect();
        let mut template = Self { lexed, mark, edits, skip: 0 };
        template.edits.sort();
        Ok((template, parsed, survey.tables))
    }

    /// Writes something else in the place of a `*`.
    pub(super) fn replace(&mut self, star: usize, columns: String) {
        self.edits.push((star, star + 1, columns));
        self.edits.sort();
    }

    /// The text around the mark.
    pub(super) fn around_mark(&self) -> (String, String) {
        (self.qualified(self.skip, self.mark), self.qualified(self.mark + 1, self.lexed.text.len()))
    }

    /// A part of the text, with its edits.
    pub(super) fn qualified(&self, start: usize, end: usize) -> String {
        let mut out = String::new();
        let mut from = start;
        for (at, to, text) in self.edits.iter().filter(|(at, _, _)| (start..end).contains(at)) {
            out.push_str(self.lexed.slice(from, *at));
            out.push_str(text);
            from = *to;
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

/// The one SELECT of the main query. `one_by_one`: each id is read alone.
pub(super) fn main_select(query: &Query, one_by_one: bool) -> Result<&Select, MappingError> {
    if query.limit_clause.is_some() && !one_by_one {
        return Err(MappingError::not_separable(
            "LIMIT in the main query counts rows of several ids",
            "take LIMIT out, or set query.batch: One",
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

fn rules(query: &QueryText, shards: &Shards) -> Result<BTreeMap<TableName, TableRule>, MappingError> {
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
        let place = "mapping.tables[].table";
        table = TableName::new(shards.mark(place, &table.schema)?, shards.mark(place, &table.table)?);
        if found.insert(table, rule.clone()).is_some() {
            return Err(fail("stands twice", "keep one entry per table"));
        }
    }
    Ok(found)
}
