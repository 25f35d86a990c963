//! Statistics as one HTML file that needs nothing else: charts are SVG, no script, no request.

use std::fmt::Write as _;

use super::gather::{Amount, Listed, Stats};
use super::render::{bytes, moment, span};

/// Bars of a chart over time.
const BARS: usize = 240;
/// Width and height of a chart, in units of its own.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 180.0;
/// Height of the longest bar: above it stands its number.
const TALLEST: f64 = HEIGHT - 20.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#66707f;--line:#d9dee6;--paper:#fff;--card:#f6f8fb;\
--insert:#2f9e6e;--update:#3b74d6;--delete:#d1495b}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf1;--soft:#98a2b3;--line:#333b48;--paper:#12161d;--card:#1b212b}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:32px 24px 64px;background:var(--paper);\
color:var(--ink);font:15px/1.5 system-ui,sans-serif}h1{font-size:26px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 10px}\
p{margin:4px 0;color:var(--soft)}.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:20px 0}\
.card{background:var(--card);border-radius:10px;padding:12px 16px}\
.card b{display:block;font-size:22px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}\
th{color:var(--soft);font-weight:500;text-align:left}th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);\
vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}td.k{max-width:44ch;overflow-wrap:break-word}td.k:first-child{min-width:9ch}\
h2::first-letter{text-transform:uppercase}\
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}.i{fill:var(--insert)}\
.u{fill:var(--update)}.d{fill:var(--delete)}.t{fill:var(--soft)}.key i{display:inline-block;width:10px;height:10px;\
border-radius:2px;margin:0 5px 0 14px}\
@media(max-width:900px){.cards{grid-template-columns:repeat(2,1fr)}svg text{font-size:15px}}";

/// Text where markup is read.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `1 234 567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

fn table(title: &str, head: &[&str], left: usize, rows: &[Vec<String>], out: &mut String) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(out, "<h2>{}</h2><div class=wide><table><tr>", escaped(title));
    let class = |at: usize| if at < left { " class=k" } else { " class=n" };
    for (at, name) in head.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(at), escaped(name));
    }
    out.push_str("</tr>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(at), escaped(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
}

/// What a chart shows of an interval, from the bottom up: a class and a height for each part.
type Parts = fn(&Amount) -> Vec<(&'static str, u64)>;

impl Stats {
    /// A page for people.
    pub fn html(&mut self) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
             content=\"width=device-width,initial-scale=1\"><title>Binlog statistics</title><style>{STYLE}</style>\
             <h1>Binlog statistics</h1>"
        );
        let (Some(first), Some(last)) = (self.first, self.last) else {
            out.push_str("<p>No transactions.</p></html>\n");
            return out;
        };
        let _ = write!(out, "<p>{} to {} UTC ({})</p>", moment(first), moment(last), span(last - first));
        self.cards(last - first, &mut out);
        self.readable(BARS);
        let title = format!("Rows by {} s", self.width);
        self.chart(&title, |a| vec![("i", a.inserted), ("u", a.updated), ("d", a.deleted)], &mut out);
        out.push_str(
            "<p class=key><i class=i style=\"background:var(--insert)\"></i>inserted\
             <i style=\"background:var(--update)\"></i>updated<i style=\"background:var(--delete)\"></i>deleted</p>",
        );
        let title = format!("Transactions by {} s", self.width);
        self.chart(&title, |a| vec![("t", a.transactions)], &mut out);
        self.tables_and_rows(&mut out);
        for (title, list, (name, show)) in self.lists() {
            let rows: Vec<_> =
                list.iter().map(|(weight, listed)| listed_row(*weight, listed, show)).collect();
            let head = [name, "transaction", "place", "tables", "committed (UTC)", "thread", "rows", "bytes"];
            table(title, &head, 4, &rows, &mut out);
        }
        self.origins(&mut out);
        out.push_str("</html>\n");
        out
    }

    fn cards(&self, micros: u64, out: &mut String) {
        let total = &self.total;
        let seconds = (micros as f64 / 1e6).max(1.0);
        out.push_str("<div class=cards>");
        for (value, name) in [
            (grouped(total.transactions), "transactions"),
            (format!("{:.1}", total.transactions as f64 / seconds), "transactions per second"),
            (grouped(total.inserted), "rows inserted"),
            (grouped(total.updated), "rows updated"),
            (grouped(total.deleted), "rows deleted"),
            (bytes(total.bytes), "of binlog"),
            (grouped(self.tables.len() as u64), "tables"),
            (grouped(self.statements), "statements as text"),
        ] {
            let _ = write!(out, "<div class=card><b>{value}</b><span>{name}</span></div>");
        }
        out.push_str("</div>");
    }

    fn chart(&self, title: &str, parts: Parts, out: &mut String) {
        let (Some(from), Some(to)) = (self.intervals.keys().next(), self.intervals.keys().next_back()) else {
            return;
        };
        let slots = (to - from) / self.width + 1;
        let most =
            self.intervals.values().map(|a| parts(a).iter().map(|(_, n)| n).sum::<u64>()).max().unwrap_or(0);
        let bar = WIDTH / slots as f64;
        let _ = write!(
            out,
            "<h2>{}</h2><svg viewBox=\"0 0 {WIDTH} {}\" role=img aria-label=\"{}\">",
            escaped(title),
            HEIGHT + 20.0,
            escaped(title),
        );
        for rows in [most, most / 2, 0] {
            let y = HEIGHT - rows as f64 / most.max(1) as f64 * TALLEST;
            let _ =
                write!(out, "<line x1=0 y1=\"{y:.2}\" x2={WIDTH} y2=\"{y:.2}\" stroke=\"var(--line)\" />");
            if rows > 0 {
                let _ = write!(out, "<text x=0 y=\"{:.2}\">{}</text>", y - 5.0, grouped(rows));
            }
        }
        for (second, amount) in &self.intervals {
            let x = ((second - from) / self.width) as f64 * bar;
            let mut y = HEIGHT;
            let tip = format!(
                "{}: {} transactions, {} rows",
                moment(second * 1_000_000),
                amount.transactions,
                amount.rows()
            );
            let _ = write!(out, "<g><title>{}</title>", escaped(&tip));
            for (class, count) in parts(amount) {
                let height = count as f64 / most.max(1) as f64 * TALLEST;
                y -= height;
                let width = (bar - 1.0).max(bar * 0.7).max(0.5);
                let _ = write!(
                    out,
                    "<rect class={class} x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" />"
                );
            }
            out.push_str("</g>");
        }
        let ends = [(0.0, "start", *from), (WIDTH, "end", *to)];
        for (x, anchor, second) in ends {
            let time = moment(second * 1_000_000);
            let time = time.trim_end_matches(".000000");
            let _ = write!(out, "<text x={x} y={} text-anchor={anchor}>{time}</text>", HEIGHT + 16.0);
        }
        out.push_str("</svg>");
    }

    fn tables_and_rows(&self, out: &mut String) {
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.rows()));
        let rows: Vec<Vec<String>> = tables
            .iter()
            .map(|(name, a)| {
                let counts = [a.transactions, a.inserted, a.updated, a.deleted].map(grouped);
                [name.to_string()].into_iter().chain(counts).chain([bytes(a.bytes)]).collect()
            })
            .collect();
        table("Tables", &["table", "transactions", "inserted", "updated", "deleted", "bytes"], 1, &rows, out);
        let hot: Vec<Vec<String>> = self
            .hot
            .heaviest(self.top)
            .into_iter()
            .map(|(_, row)| vec![row.table().to_string(), row.key(), grouped(row.changes)])
            .collect();
        table("Rows that changed most often", &["table", "key", "changes"], 2, &hot, out);
    }

    fn origins(&self, out: &mut String) {
        let amounts =
            |name: String, a: &Amount| vec![name, grouped(a.transactions), grouped(a.rows()), bytes(a.bytes)];
        let threads: Vec<_> =
            self.threads.heaviest(self.top).into_iter().map(|(id, a)| amounts(id.to_string(), a)).collect();
        table("Connections", &["thread", "transactions", "rows", "bytes"], 1, &threads, out);
        let sources: Vec<_> = self.sources.iter().map(|(name, a)| amounts(name.clone(), a)).collect();
        table("GTID sources", &["source", "transactions", "rows", "bytes"], 1, &sources, out);
        let idle: Vec<_> =
            self.idle.all.iter().map(|(length, since)| vec![moment(*since), span(*length)]).collect();
        table("Longest spans without a transaction", &["since (UTC)", "span"], 1, &idle, out);
        let ddl: Vec<_> = self.ddl.iter().map(|(time, sql)| vec![moment(*time), sql.clone()]).collect();
        table("Statements as text", &["at (UTC)", "statement"], 2, &ddl, out);
    }
}

fn listed_row(weight: u64, listed: &Listed, show: fn(u64) -> String) -> Vec<String> {
    let tx = &listed.tx;
    vec![
        show(weight),
        tx.id(),
        format!("{}:{}", tx.file, tx.start),
        listed.tables.clone(),
        moment(tx.time()),
        tx.thread_id.map_or_else(String::new, |thread| thread.to_string()),
        grouped(listed.rows),
        bytes(listed.bytes),
    ]
}
