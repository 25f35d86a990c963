//! What the statements of a plan cost on the live server, for `explain`.

use std::fmt::Write as _;

use super::TaskOptions;
use crate::mapping::{Plan, Shard};
use crate::model::{ColumnKind, Key, KeyPart};
use crate::source::{Source, SourceError};

/// Each read of the plan with the server's own EXPLAIN, as text.
///
/// # Errors
/// What the server says; connection.
pub async fn access(options: &TaskOptions, plan: &Plan) -> Result<String, SourceError> {
    let source = Source::new(options.source.clone())?;
    let shard = |sql: &str| plan.shards_of(sql).into_iter().next().unwrap_or_default();
    let ask = async |title: String, sql: String, params: Vec<KeyPart>, shard: Shard| {
        let lines = source.access(&plan.render(&sql, &shard), &params).await?;
        let shards = plan.shards_of(&sql).len();
        let times = if shards > 1 { format!(" (in each of {shards} shards)") } else { String::new() };
        let mut text = format!("  {title}{times}\n");
        if lines.is_empty() {
            text += "    no row has the value that was asked for, so the server plans nothing\n";
        }
        for line in lines {
            let index = line.index.unwrap_or_else(|| "no index".to_owned());
            // Writing to a String does not fail.
            let _ = writeln!(text, "    {}: {}, {index}, about {} row(s)", line.table, line.kind, line.rows);
        }
        Ok::<_, SourceError>(text)
    };
    let key = Key::new(plan.key_columns().iter().map(|c| example(c.kind)).collect::<Vec<_>>());
    let mut out = String::from("on this server\n");
    let sql = plan.read_sql(1);
    let first = shard(&sql);
    out += &ask("reading a document".to_owned(), sql, plan.read_params(std::slice::from_ref(&key)), first)
        .await?;
    for child in plan.children() {
        let (sql, params) = (child.read_sql(1), key.parts().to_vec());
        let first = shard(&sql);
        out += &ask(format!("reading its {}", child.field()), sql, params, first).await?;
    }
    for lookup in plan.lookups() {
        let kinds = lookup.columns.iter().map(|name| plan.column_kind(&lookup.table, name));
        let value = Key::new(kinds.map(|kind| example(kind.unwrap_or(ColumnKind::Int))).collect::<Vec<_>>());
        let sql = lookup.sql(1, false, lookup.page_size.unwrap_or(1_000));
        let first = shard(&sql);
        let title = format!("a change of {}: looking up its {}", lookup.table, lookup.columns.join(", "));
        out += &ask(title, sql, lookup.params(std::slice::from_ref(&value), None), first).await?;
    }
    Ok(out)
}

/// A value of the kind, which need not be there.
fn example(kind: ColumnKind) -> KeyPart {
    match kind {
        ColumnKind::Int | ColumnKind::Year | ColumnKind::Bit => KeyPart::Int(1),
        ColumnKind::FixedBinary | ColumnKind::Binary => KeyPart::Binary([1].into()),
        ColumnKind::Date | ColumnKind::DateTime => KeyPart::Text("2026-01-01".into()),
        _ => KeyPart::Text("1".into()),
    }
}
