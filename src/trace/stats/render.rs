//! Statistics as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::gather::{Amount, Listed, Stats};
use crate::trace::record;

/// Intervals that a text shows at most.
const TEXT_INTERVALS: usize = 60;
/// Intervals in JSON.
const JSON_INTERVALS: usize = 1440;

/// A moment for people: `2026-11-21 12:00:00.000000`.
pub(super) fn moment(micros: u64) -> String {
    let mut out = Vec::new();
    record::time(micros, &mut out);
    String::from_utf8_lossy(&out).replace('T', " ").trim_end_matches('Z').to_owned()
}

fn iso(micros: u64) -> String {
    let mut out = Vec::new();
    record::time(micros, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn span(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.2} s", micros as f64 / 1e6),
        _ => format!("{} min {} s", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

pub(super) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// A table in text: a title, a head, rows; the first `left` columns are aligned to the left.
fn table(title: &str, head: &[&str], rows: &[Vec<String>], left: usize, out: &mut String) {
    if rows.is_empty() {
        return;
    }
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(head.get(at).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (at, cell) in cells.into_iter().enumerate() {
            let blanks =
                " ".repeat(widths.get(at).copied().unwrap_or(0).saturating_sub(cell.chars().count()));
            text.push_str(if at < left { cell } else { &blanks });
            text.push_str(if at < left { &blanks } else { cell });
            text.push_str("  ");
        }
        format!("  {}\n", text.trim_end())
    };
    let _ = write!(out, "\n{title}\n{}", line(head.to_vec()));
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
}

fn amounts(amount: &Amount) -> Vec<String> {
    let counts = [amount.transactions, amount.inserted, amount.updated, amount.deleted];
    counts.iter().map(ToString::to_string).chain([bytes(amount.bytes)]).collect()
}

const AMOUNTS: [&str; 5] = ["transactions", "inserted", "updated", "deleted", "bytes"];

fn with_amounts<'h>(first: &[&'h str]) -> Vec<&'h str> {
    first.iter().copied().chain(AMOUNTS).collect()
}

/// What a list of transactions is sorted by, and how that is shown.
pub(super) type Measure = (&'static str, fn(u64) -> String);

/// A list of transactions: its title, its rows by weight, what they are sorted by.
pub(super) type List<'s> = (&'static str, &'s [(u64, Listed)], Measure);

impl Stats {
    /// For people.
    pub fn text(&mut self) -> String {
        let mut out = String::new();
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return "no transactions\n".to_owned();
        };
        let total = self.total;
        let _ =
            writeln!(out, "from  {} UTC\nto    {} UTC ({})", moment(first), moment(last), span(last - first));
        let seconds = ((last - first) as f64 / 1e6).max(1.0);
        let _ = writeln!(
            out,
            "{} transactions ({:.1}/s), {} rows ({:.1}/s): {} inserted, {} updated, {} deleted; {}; {} statements",
            total.transactions,
            total.transactions as f64 / seconds,
            total.rows(),
            total.rows() as f64 / seconds,
            total.inserted,
            total.updated,
            total.deleted,
            bytes(total.bytes),
            self.statements,
        );
        self.text_tables(&mut out);
        self.text_intervals(&mut out);
        for (title, list, (name, show)) in self.lists() {
            let rows: Vec<_> =
                list.iter().map(|(weight, listed)| listed_row(*weight, listed, show)).collect();
            let head = [name, "committed (UTC)", "transaction", "place", "thread", "rows", "bytes", "tables"];
            table(title, &head, &rows, 1, &mut out);
        }
        let hot: Vec<_> = self.hot.heaviest(self.top);
        let hot =
            hot.iter().map(|(_, row)| vec![row.table().to_string(), row.key(), row.changes.to_string()]);
        table(
            "rows that changed most often",
            &["table", "key", "changes"],
            &hot.collect::<Vec<_>>(),
            2,
            &mut out,
        );
        self.text_origins(&mut out);
        out
    }

    fn text_tables(&self, out: &mut String) {
        let mut by_database: std::collections::BTreeMap<&str, Amount> = std::collections::BTreeMap::new();
        for (name, amount) in &self.tables {
            let sum = by_database.entry(&name.schema).or_default();
            sum.inserted += amount.inserted;
            sum.updated += amount.updated;
            sum.deleted += amount.deleted;
            sum.bytes += amount.bytes;
            sum.transactions = sum.transactions.max(amount.transactions);
        }
        let rows: Vec<_> = by_database
            .iter()
            .map(|(name, a)| {
                let counts = [a.inserted, a.updated, a.deleted].map(|n| n.to_string());
                [(*name).to_owned()].into_iter().chain(counts).chain([bytes(a.bytes)]).collect()
            })
            .collect();
        table("by database", &["database", "inserted", "updated", "deleted", "bytes"], &rows, 1, out);
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.rows()));
        let rows: Vec<_> = tables
            .iter()
            .map(|(name, amount)| [name.to_string()].into_iter().chain(amounts(amount)).collect())
            .collect();
        table("by table", &with_amounts(&["table"]), &rows, 1, out);
    }

    fn text_intervals(&mut self, out: &mut String) {
        self.readable(TEXT_INTERVALS);
        let rows: Vec<_> = self
            .intervals
            .iter()
            .map(|(second, amount)| {
                let time = moment(second * 1_000_000).trim_end_matches(".000000").to_owned();
                let rate = format!("{:.1}", amount.transactions as f64 / self.width as f64);
                [time].into_iter().chain(amounts(amount)).chain([rate]).collect()
            })
            .collect();
        let mut head = with_amounts(&["from (UTC)"]);
        head.push("tx/s");
        table(&format!("by {} s", self.width), &head, &rows, 1, out);
    }

    fn text_origins(&self, out: &mut String) {
        let threads: Vec<_> = self
            .threads
            .heaviest(self.top)
            .into_iter()
            .map(|(thread, amount)| [thread.to_string()].into_iter().chain(amounts(amount)).collect())
            .collect();
        table("by connection", &with_amounts(&["thread"]), &threads, 1, out);
        let sources: Vec<_> = self
            .sources
            .iter()
            .map(|(source, amount)| [source.clone()].into_iter().chain(amounts(amount)).collect())
            .collect();
        table("by GTID source", &with_amounts(&["source"]), &sources, 1, out);
        let idle: Vec<_> =
            self.idle.all.iter().map(|(length, since)| vec![moment(*since), span(*length)]).collect();
        table("longest spans without a transaction", &["since (UTC)", "span"], &idle, 1, out);
        let holes: Vec<_> = self.holes().into_iter().map(|hole| vec![hole]).collect();
        table("GTIDs missing between the first and the last", &["gtids"], &holes, 1, out);
        let ddl: Vec<_> =
            self.ddl.iter().take(self.top).map(|(time, sql)| vec![moment(*time), sql.clone()]).collect();
        table("statements as text", &["at (UTC)", "statement"], &ddl, 2, out);
    }

    pub(super) fn lists(&self) -> [List<'_>; 4] {
        [
            (
                "longest transactions (first statement's second to commit)",
                &self.longest.all,
                ("duration", span),
            ),
            ("transactions with most rows", &self.most_rows.all, ("rows", |n| n.to_string())),
            ("largest transactions", &self.most_bytes.all, ("bytes", bytes)),
            (
                "latest on this server (after the commit on the first)",
                &self.most_delayed.all,
                ("delay", span),
            ),
        ]
    }

    /// GTIDs that are missing within each source's range.
    fn holes(&self) -> Vec<String> {
        let mut holes = Vec::new();
        let mut before = None;
        for (uuid, tag, start, end) in self.gtids.ranges() {
            let source = (uuid, tag.as_str().to_owned());
            if let Some((known, last)) = before.take()
                && known == source
            {
                let tag = if tag.as_str().is_empty() { String::new() } else { format!("{}:", tag.as_str()) };
                holes.push(format!("{uuid}:{tag}{last}-{}", start - 1));
            }
            before = Some((source, end));
        }
        holes.truncate(self.top.max(100));
        holes
    }

    /// For programs. Times are ISO 8601 in UTC, spans in microseconds.
    pub fn json(&mut self) -> String {
        self.readable(JSON_INTERVALS);
        let amount = |amount: &Amount| {
            json!({
                "transactions": amount.transactions, "inserted": amount.inserted, "updated": amount.updated,
                "deleted": amount.deleted, "bytes": amount.bytes,
            })
        };
        let list = |list: &[(u64, Listed)], measure: &str| -> Vec<Json> {
            list.iter().map(|(weight, listed)| listed_json(*weight, listed, measure)).collect()
        };
        let all = json!({
            "first": self.first.map(iso),
            "last": self.last.map(iso),
            "total": amount(&self.total),
            "statements": self.statements,
            "tables": self.tables.iter().map(|(name, a)| {
                named("table", json!(name.table), named("database", json!(name.schema), amount(a)))
            }).collect::<Vec<_>>(),
            "intervalSeconds": self.width,
            "intervals": self.intervals.iter()
                .map(|(second, a)| named("from", json!(iso(second * 1_000_000)), amount(a))).collect::<Vec<_>>(),
            "longest": list(&self.longest.all, "durationMicros"),
            "mostRows": list(&self.most_rows.all, "rows"),
            "largest": list(&self.most_bytes.all, "bytes"),
            "latest": list(&self.most_delayed.all, "delayMicros"),
            "hotRows": self.hot.heaviest(self.top).into_iter().map(|(_, row)| json!({
                "database": row.table().schema, "table": row.table().table, "key": row.key(), "changes": row.changes,
            })).collect::<Vec<_>>(),
            "connections": self.threads.heaviest(self.top).into_iter()
                .map(|(thread, a)| named("threadId", json!(thread), amount(a))).collect::<Vec<_>>(),
            "sources": self.sources.iter()
                .map(|(source, a)| named("source", json!(source), amount(a))).collect::<Vec<_>>(),
            "idle": self.idle.all.iter()
                .map(|(length, since)| json!({"since": iso(*since), "micros": length})).collect::<Vec<_>>(),
            "missingGtids": self.holes(),
            "ddl": self.ddl.iter().map(|(at, sql)| json!({"at": iso(*at), "statement": sql})).collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    }
}

fn listed_row(weight: u64, listed: &Listed, show: fn(u64) -> String) -> Vec<String> {
    let tx = &listed.tx;
    let id = tx.id();
    vec![
        show(weight),
        moment(tx.time()),
        if id.is_empty() { "anonymous".to_owned() } else { id },
        format!("{}:{}", tx.file, tx.start),
        tx.thread_id.map_or_else(String::new, |thread| thread.to_string()),
        listed.rows.to_string(),
        bytes(listed.bytes),
        listed.tables.clone(),
    ]
}

fn listed_json(weight: u64, listed: &Listed, measure: &str) -> Json {
    let tx = &listed.tx;
    let row = json!({
        "gtid": tx.id(), "file": &*tx.file, "position": tx.start, "committed": iso(tx.time()),
        "threadId": tx.thread_id, "rows": listed.rows, "bytes": listed.bytes, "tables": listed.tables,
    });
    named(measure, json!(weight), row)
}

/// An object with one more member.
fn named(name: &str, value: Json, mut object: Json) -> Json {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}
