//! Walking the main table's keys page by page.

use sqlparser::ast::{Expr, visit_expressions};
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

use super::error::{MappingError, fragment};
use super::keys::{self, Bound};
use super::plan::Plan;
use super::query::Template;
use super::scope::{column_parts, same_column};
use super::syntax;
use super::text::{Lexed, is_keyword, marks};
use crate::model::{Key, KeyPart, quoted};

/// Which main keys a build walks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WalkSelection {
    /// Every key of the main table.
    All,
    /// Keys from `min` (inclusive) to `max` (exclusive).
    Range {
        /// The lowest key; `None`: from the start.
        min: Option<Key>,
        /// The key to stop before; `None`: to the end.
        max: Option<Key>,
    },
    /// Keys of rows that satisfy a condition. It may use the aliases of the query.
    Where(String),
}

/// The pieces of walking SQL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct WalkText {
    /// The main table's alias.
    pub alias: String,
    /// The main table with its alias, in backticks.
    pub main: String,
    /// `WITH ...` before the main SELECT, or nothing.
    pub with: String,
    /// What stands between FROM and WHERE.
    pub from: String,
    /// The WHERE, with TRUE where the placeholder's condition stood.
    pub filter: String,
    /// Names of the main table's columns.
    pub columns: Vec<String>,
    /// Names of the key's.
    pub key: Vec<String>,
    /// Is the key unique, so that DISTINCT is not needed?
    pub unique: bool,
    pub nullable: bool,
    /// Do the columns of the main table stand alone in the FROM?
    pub alone: bool,
}

impl Plan {
    /// A page of main keys in order: at most `limit`, beyond the cursor where there is one. Parameters in order, for
    /// each SELECT of the query: those of `min`, of `max`, of the cursor; see [`Plan::walk_params`]. Where names have
    /// variables, [`Plan::render`] makes it SQL of one shard.
    pub fn walk_sql(
        &self,
        selection: &WalkSelection,
        after_cursor: bool,
        limit: usize,
    ) -> Result<String, MappingError> {
        let walk = |walk| self.walk_of(walk, selection, after_cursor, limit);
        if let [only] = self.walks.as_slice() {
            return walk(only);
        }
        let each = self.walks.iter().map(|one| Ok(format!("({})", walk(one)?)));
        let each = each.collect::<Result<Vec<String>, MappingError>>()?;
        let order: Vec<String> = (1..=self.key.len()).map(|at| at.to_string()).collect();
        Ok(format!("{} ORDER BY {} LIMIT {limit}", each.join(" UNION "), order.join(", ")))
    }

    fn walk_of(
        &self,
        walk: &WalkText,
        selection: &WalkSelection,
        after_cursor: bool,
        limit: usize,
    ) -> Result<String, MappingError> {
        let columns = walk.key_columns();
        let markers = self.markers();
        let mut from = walk.main.clone();
        let mut with = "";
        let mut terms = Vec::new();
        match selection {
            WalkSelection::All => {}
            WalkSelection::Range { min, max } => {
                for (key, side) in [(min, Bound::From), (max, Bound::Before)] {
                    self.check_range(key.as_ref())?;
                    terms.extend(key.iter().map(|_| keys::bound(&columns, &markers, side)));
                }
            }
            WalkSelection::Where(text) => {
                if !walk.only_main(&condition(text)?) {
                    from.clone_from(&walk.from);
                    with = &walk.with;
                    terms.push(format!("({}\n)", walk.filter));
                }
                terms.push(format!("({})", text.trim()));
            }
        }
        if walk.nullable {
            terms.extend(columns.iter().map(|c| format!("{c} IS NOT NULL")));
        }
        if after_cursor {
            terms.push(keys::bound(&columns, &markers, Bound::After));
        }
        let filter = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
        let distinct = if walk.unique && from == walk.main { "" } else { "DISTINCT " };
        let shown = columns.join(", ");
        Ok(format!("{with}SELECT {distinct}{shown} FROM {from}{filter} ORDER BY {shown} LIMIT {limit}"))
    }

    fn check_range(&self, key: Option<&Key>) -> Result<(), MappingError> {
        match key.map(|key| key.parts().len()) {
            Some(parts) if parts != self.key.len() => Err(MappingError::Selection {
                found: format!("range names {parts} values, the key has {} columns", self.key.len()),
                remedy: "give one value per column of query.key".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The parameters of [`Plan::walk_sql`]: for a key of columns (a, b), each bound takes a, a, b.
    pub fn walk_params(&self, selection: &WalkSelection, cursor: Option<&Key>) -> Vec<KeyPart> {
        let bounds = match selection {
            WalkSelection::Range { min, max } => [min.as_ref(), max.as_ref()],
            _ => [None, None],
        };
        let once = || bounds.into_iter().flatten().chain(cursor).flat_map(keys::bound_params);
        self.walks.iter().flat_map(|_| once()).collect()
    }
}

/// Reads a condition: one expression that we understand, without subqueries and placeholders.
fn condition(text: &str) -> Result<Expr, MappingError> {
    let fail = |found: String| MappingError::Selection {
        found: format!("where: {found}"),
        remedy: "write one condition, for example `o.status = 'new' AND o.id > 100`".to_owned(),
    };
    let lexed = Lexed::new("selection.where", text)?;
    syntax::check_tokens(&lexed)?;
    if lexed.comments {
        return Err(fail("a comment".to_owned()));
    }
    if !marks(&lexed).is_empty() {
        return Err(fail("a placeholder".to_owned()));
    }
    let mut parser = Parser::new(&MySqlDialect {}).try_with_sql(text).map_err(|e| fail(e.to_string()))?;
    let expr = parser.parse_expr().map_err(|e| fail(e.to_string()))?;
    if parser.peek_token().token != Token::EOF {
        return Err(fail(format!("{} after the condition", parser.peek_token())));
    }
    let broken = visit_expressions(&expr, |part: &Expr| {
        let subquery = matches!(part, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. });
        let variable = matches!(part, Expr::Identifier(name) if name.value.starts_with('@'));
        if subquery || variable {
            return ControlFlow::Break(fail(format!("{} is not supported here", fragment(part))));
        }
        syntax::children(part).map_or_else(ControlFlow::Break, |_| ControlFlow::Continue(()))
    });
    match broken {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(expr),
    }
}

impl WalkText {
    fn key_columns(&self) -> Vec<String> {
        let alias = quoted(&self.alias);
        self.key.iter().map(|name| format!("{alias}.{}", quoted(name))).collect()
    }

    /// Which keys of a list have a row.
    pub(super) fn present(&self, list: &str) -> String {
        let columns = self.key_columns();
        format!("SELECT {} FROM {} WHERE {} IN ({list})", columns.join(", "), self.main, keys::row(&columns))
    }

    /// Does a condition read the main table only?
    fn only_main(&self, expr: &Expr) -> bool {
        let foreign = visit_expressions(expr, |part: &Expr| {
            let Some(parts) = column_parts(part).filter(|_| !matches!(part, Expr::Nested(_))) else {
                return ControlFlow::Continue(());
            };
            let main = match parts {
                [column] => self.alone && self.columns.iter().any(|c| same_column(c, &column.value)),
                [alias, _] => alias.value == self.alias,
                _ => false,
            };
            if main { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        foreign.is_continue()
    }

    /// Cuts the query's own FROM and WHERE out of its text.
    pub(super) fn cut(&mut self, parsed: &Template) {
        let tokens = &parsed.lexed.tokens;
        let mut depth = 0usize;
        let (mut select, mut from, mut filter, mut end) = (None, None, None, parsed.lexed.text.len());
        for (i, lexeme) in tokens.iter().enumerate() {
            match &lexeme.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                token if depth == 0 => {
                    let is = |keyword| is_keyword(token, keyword);
                    if is(Keyword::SELECT) && select.is_none() {
                        select = Some(lexeme.start);
                    } else if is(Keyword::FROM) && from.is_none() {
                        from = Some(lexeme.end);
                    } else if is(Keyword::WHERE) && filter.is_none() {
                        filter = Some(i);
                    } else if filter.is_some()
                        && [Keyword::GROUP, Keyword::HAVING, Keyword::WINDOW, Keyword::ORDER]
                            .into_iter()
                            .any(is)
                    {
                        end = lexeme.start;
                        break;
                    }
                }
                _ => {}
            }
        }
        let (Some(select), Some(from), Some(filter)) = (select, from, filter.and_then(|i| tokens.get(i)))
        else {
            return;
        };
        self.with = parsed.qualified(0, select);
        // A comment at the end of a line must not swallow what follows.
        self.from = format!("{}\n", parsed.qualified(from, filter.start).trim());
        let (start, stop) = mark_condition(parsed);
        let before = parsed.qualified(filter.end, start.max(filter.end));
        self.filter = format!("{} TRUE {}", before.trim(), parsed.qualified(stop.min(end), end).trim());
    }
}

/// The bytes of `column IN (?)` around the mark.
fn mark_condition(parsed: &Template) -> (usize, usize) {
    let tokens = &parsed.lexed.tokens;
    let at = tokens.iter().position(|l| l.start == parsed.mark).unwrap_or(0);
    let stop = tokens.get(at + 1).map_or(parsed.mark, |l| l.end);
    // Before the mark stand `(`, IN, and then either `)` of a row or the parts of a column's name.
    let mut first = at.saturating_sub(3);
    let token = |i: usize| tokens.get(i).map(|l| &l.token);
    if token(first) == Some(&Token::RParen) {
        let mut depth = 0usize;
        loop {
            match token(first) {
                Some(Token::RParen) => depth += 1,
                Some(Token::LParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 || first == 0 {
                break;
            }
            first -= 1;
        }
    } else {
        while first >= 2 && token(first - 1) == Some(&Token::Period) {
            first -= 2;
        }
    }
    (tokens.get(first).map_or(0, |l| l.start), stop)
}
