//! Whether this server can serve this task: every finding with its remedy.

use std::collections::BTreeSet;

use mysql_async::Row;

use crate::model::TableName;

use super::grants;
use super::server::{Flavor, LOG_STATUS, REPLICA_STATUS, ServerInfo};
use super::session::{Session, literal, text, text_at};
use super::{Result, Source};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// It works, but something will be worse.
    Warning,
    /// It would not work, or not be right: the task does not start.
    Error,
}

/// Something that preflight found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The server's variable, the grant or the table.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    pub(super) fn error(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (subject, found, remedy) = (subject.into(), found.into(), remedy.into());
        Self { severity: Severity::Error, subject, found, remedy }
    }

    pub(super) fn warning(
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(subject, found, remedy) }
    }
}

const DAY: u64 = 86_400;

impl Source {
    /// Every reason why this server cannot serve a task that reads `tables`, and what would make it worse
    /// than it could be. Empty means fine.
    ///
    /// # Errors
    /// Only where the questions themselves could not be asked (connection, wrong password).
    pub async fn preflight(&self, tables: &[TableName]) -> Result<Vec<Finding>> {
        let server = self.server().await?;
        let mut findings = settings(&server);
        let mut session = self.session().await;
        findings.extend(grants::select(&mut session, tables).await?);
        findings.extend(engines(&mut session, tables).await?);
        match session.rows_of_either("asking for binlog filters", &LOG_STATUS).await {
            Ok(rows) => findings.extend(rows.iter().flat_map(|row| binlog_filters(row, tables))),
            Err(error) if error.code().is_some() => findings.push(grants::replication_client(&error)),
            Err(error) => return Err(error),
        }
        if let Ok(rows) = session.rows_of_either("asking for replication filters", &REPLICA_STATUS).await {
            findings.extend(rows.iter().flat_map(|row| replica_filters(row, tables)));
        }
        if !server.gtid && server.flavor == Flavor::MySql {
            findings.extend(grants::log_status(&mut session).await?);
        }
        drop(session);
        if server.log_bin {
            findings.extend(self.replication_slave().await?);
        }
        Ok(findings)
    }
}

/// What the server's variables say. A variable that is not there has no other value any more.
fn settings(server: &ServerInfo) -> Vec<Finding> {
    let is = |value: &str, wanted: &str| value.is_empty() || value.eq_ignore_ascii_case(wanted);
    let format = is(&server.binlog_format, "ROW");
    let image = is(&server.row_image, "FULL");
    let expiry = server.binlog_expire_seconds.filter(|seconds| *seconds < DAY);
    let findings = [
        (!server.log_bin).then(|| {
            Finding::error("log_bin", "OFF", "set log_bin in the server's configuration and restart it")
        }),
        (!format).then(|| {
            let remedy = "SET PERSIST binlog_format = ROW, then reconnect the applications";
            Finding::error("binlog_format", &server.binlog_format, remedy)
        }),
        (server.server_id == 0)
            .then(|| Finding::error("server_id", "0", "set a server_id: with 0 the server sends no binlog")),
        replica_updates(server),
        (!image).then(|| {
            let remedy =
                "SET PERSIST binlog_row_image = FULL: a thin image that lacks a join column costs a repair";
            Finding::warning("binlog_row_image", &server.row_image, remedy)
        }),
        expiry.map(|seconds| {
            let remedy =
                "keep binlogs for a day at least: a task that is away longer has to build its index anew";
            Finding::warning("binlog_expire_logs_seconds", format!("{seconds} s"), remedy)
        }),
        (!server.gtid && !server.binlog_order_commits).then(|| {
            let remedy =
                "SET PERSIST binlog_order_commits = ON, or gtid_mode = ON: a position says nothing otherwise";
            Finding::error("binlog_order_commits", "OFF without GTIDs", remedy)
        }),
    ];
    findings.into_iter().flatten().collect()
}

/// A replica has to log what it applies.
fn replica_updates(server: &ServerInfo) -> Option<Finding> {
    let remedy = "set log_replica_updates (log_slave_updates) and restart it, or read from the primary";
    match server.is_replica {
        _ if server.log_replica_updates => None,
        Some(false) => None,
        Some(true) => Some(Finding::error("log_replica_updates", "OFF on a replica", remedy)),
        None => {
            let found = "OFF, and the account may not ask whether it is a replica";
            Some(Finding::warning("log_replica_updates", found, remedy))
        }
    }
}

/// Tables that are not there, or not InnoDB.
async fn engines(session: &mut Session<'_>, tables: &[TableName]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            literal(&table.schema),
            literal(&table.table)
        );
        let rows = session.rows("asking for the table's engine", &sql).await?;
        let engine = rows.first().and_then(|row| text_at(row, 0)).unwrap_or_default();
        if !engine.is_empty() && !engine.eq_ignore_ascii_case("InnoDB") {
            findings.push(Finding::warning(
                table.to_string(),
                format!("engine {engine}"),
                "ALTER TABLE ... ENGINE = InnoDB: other engines have no snapshot, a read may mix two moments",
            ));
        }
    }
    Ok(findings)
}

/// Schemas that binlog_do_db or binlog_ignore_db keep out of the binlog.
fn binlog_filters(row: &Row, tables: &[TableName]) -> Vec<Finding> {
    let remedy = "take the filter out of the server's configuration: changes of this schema are not logged";
    by_schema(row, tables, "Binlog_Do_DB", "Binlog_Ignore_DB", remedy)
}

/// Tables that a replica does not apply.
fn replica_filters(row: &Row, tables: &[TableName]) -> Vec<Finding> {
    let remedy =
        "take the replication filter away, or read from the primary: the replica lacks these changes";
    let mut findings = by_schema(row, tables, "Replicate_Do_DB", "Replicate_Ignore_DB", remedy);
    for table in tables {
        let name = table.to_string();
        let mut hidden = |field: &str, wanted: bool, fits: &dyn Fn(&str, &str) -> bool| {
            let list = text(row, field).unwrap_or_default();
            if !list.is_empty() && list.split(',').any(|pattern| fits(pattern.trim(), &name)) != wanted {
                findings.push(Finding::error(name.clone(), format!("{field} = {list}"), remedy));
            }
        };
        let same = |pattern: &str, name: &str| pattern == name;
        hidden("Replicate_Ignore_Table", false, &same);
        hidden("Replicate_Wild_Ignore_Table", false, &like);
        if text(row, "Replicate_Wild_Do_Table").unwrap_or_default().is_empty() {
            hidden("Replicate_Do_Table", true, &same);
        } else if text(row, "Replicate_Do_Table").unwrap_or_default().is_empty() {
            hidden("Replicate_Wild_Do_Table", true, &like);
        }
    }
    findings
}

fn by_schema(row: &Row, tables: &[TableName], only: &str, never: &str, remedy: &str) -> Vec<Finding> {
    let list = |field: &str| -> Vec<String> {
        let text = text(row, field).unwrap_or_default();
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let (only_list, never_list) = (list(only), list(never));
    let schemas: BTreeSet<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let mut findings = Vec::new();
    for schema in schemas {
        if !only_list.is_empty() && !only_list.iter().any(|name| name == schema) {
            let found = format!("{only} = {}", only_list.join(","));
            findings.push(Finding::error(format!("schema {schema}"), found, remedy));
        }
        if never_list.iter().any(|name| name == schema) {
            let found = format!("{never} = {}", never_list.join(","));
            findings.push(Finding::error(format!("schema {schema}"), found, remedy));
        }
    }
    findings
}

/// SQL LIKE, as replication's wild filters use it.
fn like(pattern: &str, text: &str) -> bool {
    fn step(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('%', rest)), _) => {
                step(rest, text) || text.split_first().is_some_and(|(_, t)| step(pattern, t))
            }
            (Some(('\\', rest)), Some((c, t))) => {
                rest.split_first().is_some_and(|(p, rest)| p == c && step(rest, t))
            }
            (Some((p, rest)), Some((c, t))) => (*p == '_' || p == c) && step(rest, t),
            _ => false,
        }
    }
    step(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_filters_match_like_like() {
        assert!(like("shop.%", "shop.orders") && like("s_op.o\\_x", "shop.o_x") && like("%", ""));
        assert!(!like("s_op.o\\_x", "shop.oax") && !like("shop.%", "shops.orders"));
    }
}
