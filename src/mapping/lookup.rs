//! Lookups: SQL that finds the main keys of a changed row without needing that row.

use super::analysis::Analysis;
use super::compat::Operand;
use super::keys::{self, Bound};
use super::paths::{Link, Route, Tree};
use super::scope::ColRef;
use crate::model::{Key, KeyPart, TableName, quoted};

/// Finds the main keys that a change of `table` touches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// The changed table.
    pub table: TableName,
    /// Its columns whose values (of both images) are bound.
    pub columns: Vec<String>,
    /// The path in words, for example `users.id = orders.user_id`.
    pub path: String,
    /// Main keys in one page, where the user says so.
    pub page_size: Option<usize>,
    /// Pages after which the rest gives way to all other work.
    pub max_pages: usize,
    pub(super) source: Source,
}

/// Where the SQL comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// Derived from the query.
    Path(PathSql),
    /// Written by the user: the text around the mark.
    Text { head: String, tail: String, key: Vec<String>, markers: Vec<String> },
}

/// The pieces of a derived lookup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PathSql {
    from: String,
    operands: Vec<String>,
    operand_markers: Vec<String>,
    key: Vec<String>,
    key_markers: Vec<String>,
    key_nullable: bool,
    /// The neighbour and its constrained columns, to say whether an index serves.
    pub neighbour: (TableName, Vec<String>),
}

impl Lookup {
    /// The SQL for this many values, beyond a cursor or from the start. Parameters in order: each value's
    /// columns, then those of the cursor; see [`Lookup::params`]. It yields the main key's columns in order. Where names
    /// have variables, [`super::Plan::render`] makes it SQL of one shard.
    pub fn sql(&self, keys: usize, after_cursor: bool, limit: usize) -> String {
        match &self.source {
            Source::Path(path) => path.sql(keys, after_cursor, limit),
            Source::Text { head, tail, key, markers } => {
                let list = keys::in_list(&["?".to_owned()], keys);
                let columns: Vec<String> = key.iter().map(|k| format!("`l`.{}", quoted(k))).collect();
                let cursor = if after_cursor {
                    format!(" AND {}", keys::bound(&columns, markers, Bound::After))
                } else {
                    String::new()
                };
                let shown = columns.join(", ");
                let present: Vec<String> = columns.iter().map(|c| format!("{c} IS NOT NULL")).collect();
                format!(
                    "SELECT DISTINCT {shown} FROM ({head}{list}{tail}\n) AS `l` WHERE {}{cursor} ORDER BY {shown} LIMIT {limit}",
                    present.join(" AND ")
                )
            }
        }
    }

    /// The parameters of [`Lookup::sql`].
    pub fn params(&self, keys: &[Key], cursor: Option<&Key>) -> Vec<KeyPart> {
        let mut params: Vec<KeyPart> = keys.iter().flat_map(|key| key.parts().iter().cloned()).collect();
        params.extend(cursor.into_iter().flat_map(keys::bound_params));
        params
    }
}

impl PathSql {
    fn sql(&self, keys: usize, after_cursor: bool, limit: usize) -> String {
        let columns = self.key.join(", ");
        let operands = keys::row(&self.operands);
        let list = keys::in_list(&self.operand_markers, keys);
        let mut sql = format!("SELECT DISTINCT {columns} FROM {} WHERE {operands} IN ({list})", self.from);
        if self.key_nullable {
            for column in &self.key {
                sql.extend([" AND ", column, " IS NOT NULL"]);
            }
        }
        if after_cursor {
            sql.push_str(" AND ");
            sql.push_str(&keys::bound(&self.key, &self.key_markers, Bound::After));
        }
        format!("{sql} ORDER BY {columns} LIMIT {limit}")
    }
}

/// Writes the lookup of an occurrence whose route in this tree is by way of others.
pub(super) fn derive(
    analysis: &Analysis<'_>,
    tree: &Tree,
    occurrence: usize,
    links: &[Link],
    key: &[ColRef],
) -> Option<Lookup> {
    let main = key.first()?.occurrence;
    let chain: Vec<usize> = tree.chain(occurrence, main).into_iter().skip(1).collect();
    let sql = Sql { analysis, aliases: aliases(analysis, &chain) };
    let changed = analysis.occurrences.get(occurrence)?;
    let neighbour = analysis.occurrences.get(*chain.first()?)?;
    let name = |at: ColRef| sql.catalog(at).map(|c| c.column.name.clone());
    let columns: Option<Vec<String>> = links.iter().map(|link| name(link.from)).collect();
    let constrained: Option<Vec<String>> = links.iter().map(|link| name(link.to)).collect();
    let operands: Option<Vec<String>> = links.iter().map(|link| sql.operand(link)).collect();
    let path = PathSql {
        from: sql.from(tree, &chain, key)?,
        operands: operands?,
        operand_markers: links.iter().map(|link| sql.marker(link.from)).collect(),
        key: key.iter().map(|at| sql.column(*at)).collect::<Option<_>>()?,
        key_markers: key.iter().map(|at| sql.marker(*at)).collect(),
        key_nullable: key.iter().any(|at| sql.catalog(*at).is_some_and(|c| c.nullable)),
        neighbour: (neighbour.table.clone(), constrained?),
    };
    let words = sql.words(tree, occurrence, &chain, key)?;
    Some(Lookup {
        table: changed.table.clone(),
        columns: columns?,
        path: super::sharding::shown(&words),
        page_size: None,
        max_pages: 1,
        source: Source::Path(path),
    })
}

/// An alias for each occurrence on a path: its own, numbered where two blocks use the same.
fn aliases(analysis: &Analysis<'_>, chain: &[usize]) -> Vec<(usize, String)> {
    let mut taken: Vec<(usize, String)> = Vec::new();
    for &at in chain {
        let own = analysis.occurrences.get(at).map_or("t", |o| o.alias.as_str());
        let mut alias = own.to_owned();
        let mut number = 2;
        while taken.iter().any(|(_, other)| other.to_lowercase() == alias.to_lowercase()) {
            alias = format!("{own}_{number}");
            number += 1;
        }
        taken.push((at, alias));
    }
    taken
}

struct Sql<'a, 'c> {
    analysis: &'a Analysis<'c>,
    aliases: Vec<(usize, String)>,
}

impl<'c> Sql<'_, 'c> {
    fn catalog(&self, at: ColRef) -> Option<&'c crate::model::CatalogColumn> {
        self.analysis.occurrences.get(at.occurrence)?.column(at.column)
    }

    fn alias(&self, occurrence: usize) -> Option<String> {
        self.aliases.iter().find(|(at, _)| *at == occurrence).map(|(_, alias)| quoted(alias))
    }

    fn column(&self, at: ColRef) -> Option<String> {
        Some(format!("{}.{}", self.alias(at.occurrence)?, quoted(&self.catalog(at)?.column.name)))
    }

    fn marker(&self, at: ColRef) -> String {
        self.catalog(at).map_or_else(|| "?".to_owned(), |c| keys::marker(c.column.kind, &c.sql_type))
    }

    fn operand(&self, link: &Link) -> Option<String> {
        let column = self.column(link.to)?;
        Some(match &link.operand {
            Operand::Plain => column,
            Operand::Collate(collation) => format!("{column} COLLATE {collation}"),
            Operand::Utf8(collation) => format!("CONVERT({column} USING utf8mb4) COLLATE {collation}"),
        })
    }

    /// The pairs of columns that join an occurrence to the next on its route.
    fn pairs(tree: &Tree, occurrence: usize, key: &[ColRef]) -> Vec<(ColRef, ColRef)> {
        match tree.route(occurrence) {
            Some(Route::Direct(columns)) => columns.iter().copied().zip(key.iter().copied()).collect(),
            Some(Route::Via(links)) => links.iter().map(|link| (link.from, link.to)).collect(),
            None => vec![],
        }
    }

    fn from(&self, tree: &Tree, chain: &[usize], key: &[ColRef]) -> Option<String> {
        let mut sql = String::new();
        for (i, &at) in chain.iter().enumerate() {
            let table =
                format!("{} AS {}", self.analysis.occurrences.get(at)?.table.quoted(), self.alias(at)?);
            let Some(&before) = i.checked_sub(1).and_then(|i| chain.get(i)) else {
                sql.push_str(&table);
                continue;
            };
            let on: Option<Vec<String>> = Self::pairs(tree, before, key)
                .into_iter()
                .map(|(from, to)| Some(format!("{} = {}", self.column(from)?, self.column(to)?)))
                .collect();
            sql.extend([" JOIN ", &table, " ON ", &on?.join(" AND ")]);
        }
        Some(sql)
    }

    fn words(&self, tree: &Tree, occurrence: usize, chain: &[usize], key: &[ColRef]) -> Option<String> {
        let plain = |at: ColRef| {
            let table = self.analysis.occurrences.get(at.occurrence)?;
            Some(format!("{}.{}", table.alias, self.catalog(at)?.column.name))
        };
        let mut words = Vec::new();
        for at in std::iter::once(&occurrence).chain(chain) {
            for (from, to) in Self::pairs(tree, *at, key).into_iter().filter(|(from, to)| from != to) {
                words.push(format!("{} = {}", plain(from)?, plain(to)?));
            }
        }
        Some(words.join(", "))
    }
}
