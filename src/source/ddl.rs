//! Tables as a server would create them again.

use super::session::{Session, literal, text_at};
use super::{Result, Source, SourceError};
use crate::model::{TableName, quoted};

/// Schemas that hold no user's tables.
const SYSTEM: &str = "'mysql','sys','information_schema','performance_schema'";

impl Source {
    /// The server's clock, microseconds since 1970.
    pub async fn now(&self) -> Result<u64> {
        let sql = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED)";
        let rows = self.session().await.rows("asking the time", sql).await?;
        let now = rows.first().and_then(|row| text_at(row, 0)).and_then(|text| text.parse().ok());
        now.ok_or_else(|| SourceError::Options("UNIX_TIMESTAMP is no number".into()))
    }

    /// The DDL of every table outside the system's schemas (of these schemas, if any are named), and of the
    /// triggers on them: a schema with statements that end with `;`.
    pub async fn table_ddl(&self, schemas: &[String]) -> Result<Vec<(String, String)>> {
        let mut session = self.session().await;
        session.show_invisible_keys().await;
        let named: Vec<String> = schemas.iter().map(|schema| literal(schema)).collect();
        let among = if named.is_empty() {
            format!("TABLE_SCHEMA NOT IN ({SYSTEM})")
        } else {
            format!("TABLE_SCHEMA IN ({})", named.join(","))
        };
        let sql = format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {among} ORDER BY 1, 2"
        );
        let tables = session.rows("listing tables", &sql).await?;
        let mut all: Vec<(String, String)> = Vec::new();
        for row in &tables {
            let (Some(schema), Some(table)) = (text_at(row, 0), text_at(row, 1)) else { continue };
            let table = TableName::new(schema, table);
            let ddl = create_table(&mut session, &table).await?;
            push(&mut all, &table.schema, &ddl);
        }
        let sql = format!(
            "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS \
             WHERE {}",
            among.replace("TABLE_SCHEMA", "TRIGGER_SCHEMA")
        );
        for row in session.rows("listing triggers", &sql).await? {
            let part = |at| text_at(&row, at).unwrap_or_default();
            let ddl = format!(
                "CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW BEGIN END",
                quoted(&part(1)),
                quoted(&part(2))
            );
            push(&mut all, &part(0), &ddl);
        }
        Ok(all)
    }
}

async fn create_table(session: &mut Session<'_>, table: &TableName) -> Result<String> {
    let sql = format!("SHOW CREATE TABLE {}", table.quoted());
    let rows = session.rows("reading a table's DDL", &sql).await?;
    Ok(rows.first().and_then(|row| text_at(row, 1)).unwrap_or_default())
}

fn push(all: &mut Vec<(String, String)>, schema: &str, ddl: &str) {
    match all.iter_mut().find(|(name, _)| name == schema) {
        Some((_, text)) => text.extend([ddl, ";\n"]),
        None => all.push((schema.to_owned(), format!("{ddl};\n"))),
    }
}
