//! One query through random changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use binlog_operator::mapping::{Plan, QueryText, parse};
use binlog_operator::model::Key;
use binlog_operator::source::{KeyedQuery, Reader, Source, SourceOptions, Visibility};
use e2e::MysqlServer;
use e2e::stage::PATIENCE;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::schema::Schema;
use super::tail::Tail;
use super::{changes, queries};

/// Queries that are tried on one schema.
const QUERIES: u64 = 6;
/// Queries of one seed until one is accepted.
const TRIES: usize = 6;
/// Rounds of changes for each query.
const ROUNDS: usize = 5;

/// What came of all trials.
#[derive(Debug, Default)]
pub struct Tally {
    /// Queries that the mapping refused.
    pub refused: u64,
    /// Queries that the server refused.
    pub invalid: u64,
    pub accepted: u64,
    /// Documents that changed.
    pub changed: u64,
    /// Ids that were called dirty.
    pub dirty: u64,
    pub failures: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let factor = self.dirty as f64 / self.changed.max(1) as f64;
        write!(
            f,
            "{} queries accepted, {} refused, {} invalid; {} documents changed, {} ids called dirty ({factor:.2} for one)",
            self.accepted, self.refused, self.invalid, self.changed, self.dirty
        )
    }
}

/// A document of an id: its rows in the result. Or the reason why it cannot be read.
type Documents = BTreeMap<Key, Vec<String>>;

/// Server, connections and the schema in use.
pub struct Bench {
    source: Source,
    reader: Reader,
    writer: Conn,
    tail: Tail,
    schema: Option<Schema>,
}

impl Bench {
    pub async fn new(server: &MysqlServer) -> Self {
        let login = server.login();
        let options = SourceOptions { server: login, connect_timeout: PATIENCE, ..SourceOptions::default() };
        let source = Source::new(options).unwrap();
        let reader = source.reader().await.unwrap();
        server
            .run(&[
                "CREATE DATABASE marker",
                "CREATE TABLE marker.mark (id INT PRIMARY KEY, n BIGINT)",
                "INSERT INTO marker.mark VALUES (1, 0)",
            ])
            .await;
        let (writer, tail) = (server.conn().await, Tail::new(server).await);
        Self { source, reader, writer, tail, schema: None }
    }

    /// Tries one query; every [`QUERIES`] seeds on new tables.
    pub async fn run(&mut self, seed: u64, tally: &mut Tally) {
        self.prepare(seed - seed % QUERIES).await;
        let mut rng = StdRng::seed_from_u64(seed);
        let schema = self.schema.take().unwrap();
        let accepted = tally.accepted;
        for _ in 0..TRIES {
            let sql = queries::random(&schema, &mut rng);
            if let Err(failure) = self.trial(&schema, &sql, &mut rng, tally).await {
                tally.failures.push(format!("seed {seed}: {failure}\n  {sql}"));
            }
            if tally.accepted > accepted {
                break;
            }
        }
        self.schema = Some(schema);
    }

    /// The tables of a group of seeds.
    async fn prepare(&mut self, group: u64) {
        let db = format!("p{group}");
        if self.schema.as_ref().is_some_and(|schema| schema.db == db) {
            return;
        }
        let mut rng = StdRng::seed_from_u64(group ^ 0xABCD_EF01);
        if let Some(old) = self.schema.take() {
            self.writer.query_drop(format!("DROP DATABASE {}", old.db)).await.unwrap();
        }
        let schema = Schema::random(db, &mut rng);
        for statement in schema.setup(&mut rng) {
            let done = self.writer.query_drop(&statement).await;
            // a key that the joined column cannot hold
            assert!(done.is_ok() || statement.starts_with("INSERT"), "{statement}: {done:?}");
        }
        self.schema = Some(schema);
    }

    async fn trial(
        &mut self,
        schema: &Schema,
        sql: &str,
        rng: &mut StdRng,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let text = QueryText { sql: sql.to_owned(), key: vec!["id".into()], ..QueryText::default() };
        let keys = self.keys(schema).await;
        let compiled = match parse(&text) {
            Ok(parsed) => {
                let catalog = self.source.catalog(&parsed.tables()).await.map_err(|e| e.to_string())?;
                parsed.compile(&catalog)
            }
            Err(error) => Err(error),
        };
        let plan = match compiled {
            Ok(plan) => plan,
            Err(error) => {
                tally.refused += 1;
                if std::env::var_os("PROPERTY_REFUSALS").is_some() {
                    println!("refused: {error}\n  {sql}");
                }
                return Ok(());
            }
        };
        if self.read(&plan, &keys).await.is_err() {
            tally.invalid += 1;
            return Ok(());
        }
        tally.accepted += 1;
        self.skip().await;
        let mut before = self.alone(&plan, &keys).await;
        for _ in 0..ROUNDS {
            let statements = changes::round(schema, rng);
            for statement in &statements {
                // what cannot be done changes nothing
                let _ = self.writer.query_drop(statement).await;
            }
            let dirty = self.dirty(&plan, &keys).await?;
            let after = self.alone(&plan, &keys).await;
            let changed: Vec<&Key> = keys.iter().filter(|key| before.get(key) != after.get(key)).collect();
            tally.changed += changed.len() as u64;
            tally.dirty += dirty.len() as u64;
            if let Some(missed) = changed.iter().find(|key| !dirty.contains(**key)) {
                return Err(format!(
                    "id {missed} changed and was not called dirty\n  changes: {}\n  before: {:?}\n  after: {:?}\n{}",
                    statements.join("; "),
                    before.get(missed),
                    after.get(missed),
                    plan.explain()
                ));
            }
            self.together(&plan, &keys, &after).await?;
            before = after;
        }
        Ok(())
    }

    /// Every key that the schema may ever have, as the server spells it.
    async fn keys(&mut self, schema: &Schema) -> Vec<Key> {
        let each = schema.key.literals.iter();
        let sql: Vec<String> =
            each.map(|key| format!("SELECT CAST({key} AS {})", cast(schema.key.sql))).collect();
        let sql = sql.join(" UNION ALL ");
        let keys = self.reader.keys(&sql, &[], &Visibility::Nothing).await.unwrap();
        keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn skip(&mut self) {
        let until = self.mark().await;
        self.tail.touched(None, &until).await;
    }

    /// Writes something to arrive at, should nothing else have been changed; the position after it.
    async fn mark(&mut self) -> (String, u64) {
        self.writer.query_drop("UPDATE marker.mark SET n = n + 1").await.unwrap();
        let row: Option<Row> = self.writer.query_first("SHOW BINARY LOG STATUS").await.unwrap();
        let row = row.unwrap();
        (row.get(0).unwrap(), row.get(1).unwrap())
    }

    /// The ids that the changes since the last call make dirty, with those that reading them brings up.
    async fn dirty(&mut self, plan: &Plan, keys: &[Key]) -> Result<BTreeSet<Key>, String> {
        let until = self.mark().await;
        let touched = self.tail.touched(Some(plan), &until).await;
        if touched.rebuild {
            return Ok(keys.iter().cloned().collect());
        }
        let mut dirty: BTreeSet<Key> = touched.keys.into_iter().collect();
        let mut by_rule: BTreeMap<usize, BTreeSet<Key>> = BTreeMap::new();
        for (rule, key) in touched.lookups {
            by_rule.entry(rule).or_default().insert(key);
        }
        for (rule, values) in by_rule {
            let values: Vec<Key> = values.into_iter().collect();
            dirty.extend(self.look_up(plan, rule, &values).await?);
        }
        let asked: Vec<Key> = dirty.iter().cloned().collect();
        if let Ok(rows) = self.read(plan, &asked).await {
            dirty.extend(rows.into_iter().map(|(key, _)| key));
        }
        Ok(dirty)
    }

    async fn look_up(&mut self, plan: &Plan, rule: usize, values: &[Key]) -> Result<Vec<Key>, String> {
        const PAGE: usize = 2;
        let lookup = &plan.lookups()[rule];
        let (mut all, mut cursor): (Vec<Key>, Option<Key>) = (Vec::new(), None);
        loop {
            let sql = lookup.sql(values.len(), cursor.is_some(), PAGE);
            let params = lookup.params(values, cursor.as_ref());
            let page = self.reader.keys(&sql, &params, &Visibility::Nothing).await;
            let page = page.map_err(|error| format!("{error}\n  lookup: {sql}"))?;
            let more = page.len() >= PAGE;
            cursor = page.last().cloned();
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    async fn read(&mut self, plan: &Plan, keys: &[Key]) -> Result<Vec<(Key, String)>, String> {
        let (name, mut rows) = (plan.query_hash(), Vec::new());
        let sql = |size: usize| plan.read_sql(size);
        let query = KeyedQuery { name: &name, sql_for: &sql, key_output: plan.key_output() };
        let mut take = |key: Key, row: Result<&[u8], binlog_operator::source::RecordError>| {
            let row = row.map_or_else(|e| e.to_string(), |json| String::from_utf8_lossy(json).into_owned());
            rows.push((key, row));
        };
        let read = self.reader.read(&query, keys, &Visibility::Nothing, &mut take).await;
        read.map(|_| rows).map_err(|error| error.to_string())
    }

    /// Each key's own rows, read by a statement of its own.
    async fn alone(&mut self, plan: &Plan, keys: &[Key]) -> Documents {
        let mut documents = Documents::new();
        for key in keys {
            let rows = match self.read(plan, std::slice::from_ref(key)).await {
                Ok(rows) => rows.into_iter().filter(|(found, _)| found == key).map(|(_, row)| row).collect(),
                Err(error) => vec![error],
            };
            documents.insert(key.clone(), sorted(rows));
        }
        documents
    }

    /// A batch of all keys gives what each gives alone.
    async fn together(&mut self, plan: &Plan, keys: &[Key], alone: &Documents) -> Result<(), String> {
        let Ok(rows) = self.read(plan, keys).await else { return Ok(()) };
        for key in keys {
            let own = rows.iter().filter(|(found, _)| found == key).map(|(_, row)| row.clone()).collect();
            let own = sorted(own);
            if Some(&own) != alone.get(key) {
                return Err(format!("id {key} in a batch: {own:?}\n  alone: {:?}", alone.get(key)));
            }
        }
        Ok(())
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// The type of a key as CAST writes it.
fn cast(sql: &str) -> &str {
    match sql {
        "INT" => "SIGNED",
        "BIGINT UNSIGNED" => "UNSIGNED",
        text if text.starts_with("VARCHAR") => "CHAR",
        other => other,
    }
}
