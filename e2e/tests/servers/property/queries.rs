//! Random queries. Every shape is either mapped rightly or refused.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::schema::{COLUMNS, Schema};

/// A name in FROM with its columns.
#[derive(Clone, Debug)]
struct Source {
    alias: String,
    columns: Vec<String>,
}

struct Writer<'w> {
    db: &'w str,
    rng: &'w mut StdRng,
    sources: Vec<Source>,
    with: Vec<String>,
    filters: Vec<String>,
}

/// A query of the schema, keyed by the result column `id`.
pub fn random(schema: &Schema, rng: &mut StdRng) -> String {
    let main = Source { alias: "m".into(), columns: columns("id") };
    let mut writer = Writer { db: &schema.db, rng, sources: vec![main], with: vec![], filters: vec![] };
    writer.query()
}

fn columns(first: &str) -> Vec<String> {
    std::iter::once(first).chain(COLUMNS.iter().copied()).map(str::to_owned).collect()
}

impl Writer<'_> {
    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn pick<'p>(&mut self, of: &[&'p str]) -> &'p str {
        of.choose(self.rng).unwrap()
    }

    fn query(&mut self) -> String {
        let mut from = format!("{}.m", self.db);
        for number in 1..=self.rng.random_range(0..=3) {
            from = self.join(&from, number);
        }
        if self.chance(0.4) {
            let filter = self.filter();
            self.filters.push(filter);
        }
        let grouped = self.chance(0.15);
        let mut outputs = vec!["m.id".to_owned()];
        for number in 0..self.rng.random_range(1..=4) {
            let output = self.output(grouped);
            outputs.push(format!("{output} AS c{number}"));
        }
        let with =
            if self.with.is_empty() { String::new() } else { format!("WITH {} ", self.with.join(", ")) };
        let filters: String = self.filters.iter().map(|filter| format!(" AND {filter}")).collect();
        let group = if grouped { " GROUP BY m.id" } else { "" };
        let distinct = if !grouped && self.chance(0.05) { "DISTINCT " } else { "" };
        format!(
            "{with}SELECT {distinct}{} FROM {from} WHERE m.id IN (:ids){filters}{group}",
            outputs.join(", ")
        )
    }

    /// A column of any source so far.
    fn column(&mut self) -> String {
        let source = self.sources.choose(self.rng).unwrap();
        let column = source.columns.choose(self.rng).unwrap();
        format!("{}.{column}", source.alias)
    }

    fn join(&mut self, from: &str, number: usize) -> String {
        let table = self.rng.random_range(1..=3);
        let alias = format!("j{number}");
        let (text, source) = match self.rng.random_range(0..10) {
            0 => self.derived(table, &alias),
            1 => self.cte(table, &alias),
            2 => {
                let own = Source { alias: alias.clone(), columns: columns("id") };
                (format!("{}.m {alias}", self.db), own)
            }
            _ => {
                let mut all = columns("id");
                all.push("m_id".to_owned());
                (format!("{}.t{table} {alias}", self.db), Source { alias: alias.clone(), columns: all })
            }
        };
        let on = self.condition(&source);
        self.sources.push(source);
        match self.rng.random_range(0..10) {
            0..=4 => format!("{from} LEFT JOIN {text} ON {on}"),
            5..=7 => format!("{from} JOIN {text} ON {on}"),
            8 => {
                self.filters.push(format!("({on})"));
                format!("{from} CROSS JOIN {text}")
            }
            _ if self.chance(0.5) && number == 1 => format!("{text} RIGHT JOIN {from} ON {on}"),
            _ if self.chance(0.3) && text.contains(".t") && !text.contains('(') => {
                format!("{from} LEFT JOIN {text} USING ({})", self.pick(&["a", "b", "s", "id"]))
            }
            _ => {
                self.filters.push(on);
                format!("{from} STRAIGHT_JOIN {text}")
            }
        }
    }

    fn derived(&mut self, table: u32, alias: &str) -> (String, Source) {
        let (select, columns) = self.block(table);
        (format!("({select}) {alias}"), Source { alias: alias.to_owned(), columns })
    }

    fn cte(&mut self, table: u32, alias: &str) -> (String, Source) {
        let (select, columns) = self.block(table);
        self.with.push(format!("c{alias} AS ({select})"));
        (format!("c{alias} {alias}"), Source { alias: alias.to_owned(), columns })
    }

    /// A block with columns m_id, a, v and perhaps n.
    fn block(&mut self, table: u32) -> (String, Vec<String>) {
        let db = self.db;
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        match self.rng.random_range(0..9) {
            0 => (
                format!(
                    "SELECT m_id, MAX(a) AS a, SUM(v) AS v, COUNT(*) AS n FROM {db}.t{table} GROUP BY m_id"
                ),
                names(&["m_id", "a", "v", "n"]),
            ),
            1 => (
                format!("SELECT a, MIN(m_id) AS m_id, SUM(v) AS v FROM {db}.t{table} GROUP BY a"),
                names(&["m_id", "a", "v"]),
            ),
            2 => (
                format!("SELECT m_id, a, v FROM {db}.t{table} ORDER BY id LIMIT 3"),
                names(&["m_id", "a", "v"]),
            ),
            3 => (
                format!(
                    "SELECT m_id, a, v, ROW_NUMBER() OVER (PARTITION BY m_id ORDER BY id) AS n FROM {db}.t{table}"
                ),
                names(&["m_id", "a", "v", "n"]),
            ),
            4 => (
                format!("SELECT m_id, a, v, ROW_NUMBER() OVER (ORDER BY id) AS n FROM {db}.t{table}"),
                names(&["m_id", "a", "v", "n"]),
            ),
            5 => {
                let other = self.rng.random_range(1..=3);
                let all = self.pick(&["ALL", ""]);
                (
                    format!(
                        "SELECT m_id, a, v FROM {db}.t{table} UNION {all} SELECT m_id, b, v FROM {db}.t{other}"
                    ),
                    names(&["m_id", "a", "v"]),
                )
            }
            6 => (format!("SELECT DISTINCT m_id, a, v FROM {db}.t{table}"), names(&["m_id", "a", "v"])),
            7 => {
                let other = self.rng.random_range(1..=3);
                (
                    format!(
                        "SELECT x.m_id, y.a, y.v FROM {db}.t{table} x LEFT JOIN {db}.t{other} y ON y.a = x.b"
                    ),
                    names(&["m_id", "a", "v"]),
                )
            }
            _ => (format!("SELECT m_id, a, v FROM {db}.t{table} WHERE v > 2"), names(&["m_id", "a", "v"])),
        }
    }

    /// A condition between a new source and those before it.
    fn condition(&mut self, new: &Source) -> String {
        let base = self.equality(new);
        match self.rng.random_range(0..16) {
            0 => format!("{base} AND {}.v > {}", new.alias, self.rng.random_range(0..5)),
            1 => format!("({base} OR {})", self.equality(new)),
            2 => format!("{base} AND {}", self.equality(new)),
            // equalities of the preserved side only
            3 => format!("{base} AND m.a = {}", self.rng.random_range(1..4)),
            4 => {
                let (one, other) = (self.column(), self.column());
                format!("{base} AND {one} = {other}")
            }
            5 => format!("({base}) IS TRUE"),
            6 => format!("{base} AND ({}.v = 3 OR {})", new.alias, self.equality(new)),
            _ => base,
        }
    }

    fn equality(&mut self, new: &Source) -> String {
        let to_key = ["m_id", "id"].into_iter().find(|name| new.columns.iter().any(|column| column == name));
        let own = |column: &str| format!("{}.{column}", new.alias);
        if let Some(column) = to_key.filter(|_| self.chance(0.6)) {
            let other = if self.chance(0.9) { "m.id".to_owned() } else { self.column() };
            let operator = if self.chance(0.05) { "<=>" } else { "=" };
            return format!("{} {operator} {other}", own(column));
        }
        let column = new.columns.choose(self.rng).unwrap().clone();
        let like: &[&str] = match column.as_str() {
            "s" => &["s", "s", "u"],
            "u" => &["u", "u", "a", "s"],
            "d" => &["d", "d", "d", "ts"],
            "ts" => &["ts", "d"],
            _ => &["a", "b", "a", "b", "a", "b", "v", "u"],
        };
        let wanted = self.pick(like);
        let source = self.sources.choose(self.rng).unwrap().clone();
        let other = source.columns.iter().find(|c| *c == wanted).or_else(|| source.columns.first()).unwrap();
        let (left, right) = (own(&column), format!("{}.{other}", source.alias));
        match self.rng.random_range(0..22) {
            0 => format!("{left} <=> {right}"),
            1 => format!("{left} = {right} + 0"),
            2 => format!("{left} IN ({right}, {})", self.column()),
            3 => format!("{right} = {left}"),
            4 => format!("COALESCE({left}, 1) = {right}"),
            _ => format!("{left} = {right}"),
        }
    }

    /// A column of the joined tables, and one of any source that mostly has its type.
    fn correlated(&mut self, inner: &[&'static str]) -> (&'static str, String) {
        let inner = self.pick(inner);
        if self.chance(0.1) {
            return (inner, self.column());
        }
        let wanted: &[&str] = match inner {
            "m_id" => return (inner, "m.id".to_owned()),
            "s" => &["s"],
            "d" => &["d", "d", "ts"],
            _ => &["a", "b", "v"],
        };
        let source = self.sources.choose(self.rng).unwrap().clone();
        let wanted = self.pick(wanted);
        let alias = if source.columns.iter().any(|c| c == wanted) { source.alias.as_str() } else { "m" };
        (inner, format!("{alias}.{wanted}"))
    }

    fn filter(&mut self) -> String {
        let (db, table) = (self.db, self.rng.random_range(1..=3));
        let v = self.rng.random_range(0..6);
        let (inner, outer) = self.correlated(&["a", "b", "m_id", "s"]);
        match self.rng.random_range(0..11) {
            0 => format!("EXISTS (SELECT 1 FROM {db}.t{table} x WHERE x.m_id = m.id AND x.v > {v})"),
            1 => format!("NOT EXISTS (SELECT * FROM {db}.t{table} x WHERE x.{inner} = {outer})"),
            2 => format!("m.id IN (SELECT x.m_id FROM {db}.t{table} x WHERE x.v > {v})"),
            3 => format!("m.id NOT IN (SELECT x.m_id FROM {db}.t{table} x WHERE x.v > {v})"),
            4 => format!("{outer} IN (SELECT x.{inner} FROM {db}.t{table} x)"),
            5 => format!("m.v >= ALL (SELECT x.v FROM {db}.t{table} x WHERE x.m_id = m.id)"),
            6 => format!("(m.v > {v} OR m.a IN (SELECT x.a FROM {db}.t{table} x))"),
            7 => format!("(m.a, m.b) IN (SELECT x.a, x.b FROM {db}.t{table} x)"),
            8 => format!("{outer} = {}", self.column()),
            9 => format!("m.v > (SELECT COUNT(*) FROM {db}.t{table} x WHERE x.{inner} = {outer})"),
            _ => format!("{outer} IS NOT NULL"),
        }
    }

    fn output(&mut self, grouped: bool) -> String {
        let (db, table) = (self.db, self.rng.random_range(1..=3));
        let (inner, outer) = self.correlated(&["a", "b", "m_id", "m_id", "s", "d"]);
        if grouped {
            let outer = self.column();
            let function = self.pick(&["COUNT", "MAX", "MIN", "COUNT"]);
            return format!("{function}({outer})");
        }
        match self.rng.random_range(0..14) {
            0 => format!("(SELECT MAX(x.v) FROM {db}.t{table} x WHERE x.m_id = m.id)"),
            1 => format!(
                "(SELECT GROUP_CONCAT(x.v ORDER BY x.id) FROM {db}.t{table} x WHERE x.{inner} = {outer})"
            ),
            2 => format!(
                "(SELECT COUNT(*) FROM {db}.t{table} x JOIN {db}.t1 y ON y.a = x.b WHERE x.m_id = m.id)"
            ),
            3 if self.chance(0.3) => format!("(SELECT MAX(x.v) FROM {db}.t{table} x)"),
            4 => format!("EXISTS (SELECT 1 FROM {db}.t{table} x WHERE x.m_id = m.id)"),
            5 => format!("m.id IN (SELECT x.m_id FROM {db}.t{table} x)"),
            6 => format!("(SELECT x.v FROM {db}.t{table} x WHERE x.m_id = m.id ORDER BY x.id DESC LIMIT 1)"),
            7 => format!("{outer} IN (SELECT x.{inner} FROM {db}.t{table} x WHERE x.m_id = m.id)"),
            8 => format!("IF({} IS NULL, 0, 1)", self.column()),
            9 => "COUNT(*) OVER (PARTITION BY m.id)".to_owned(),
            10 => format!(
                "(SELECT SUM(d.v) FROM (SELECT x.m_id, x.v FROM {db}.t{table} x WHERE x.v > 1) d WHERE d.m_id = m.id)"
            ),
            _ => self.column(),
        }
    }
}
