//! Grants, found out by trying: roles, wildcards and partial revokes make reading them a guess.

use futures_util::StreamExt as _;
use mysql_async::BinlogStreamRequest;
use tokio::time::timeout;

use crate::model::TableName;

use super::preflight::Finding;
use super::session::Session;
use super::{Result, Source, SourceError};

/// Server ids of tries lie here: a replica with the same id would be disconnected.
const TRY_SERVER_IDS: std::ops::Range<u32> = 3_000_000_000..4_000_000_000;

/// SELECT on each table, by selecting nothing from it.
pub(super) async fn select(session: &mut Session<'_>, tables: &[TableName]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for table in tables {
        let sql = format!("SELECT 1 FROM {} LIMIT 0", table.quoted());
        match session.rows("trying to read", &sql).await {
            Ok(_) => {}
            Err(SourceError::Server { code, message, .. }) => findings.push(unreadable(table, code, message)),
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

fn unreadable(table: &TableName, code: u16, message: String) -> Finding {
    let remedy = match code {
        1146 | 1049 => "create the table, or correct its name in the query and source.database".to_owned(),
        1044 | 1142 | 1143 => format!("GRANT SELECT ON {} TO the account", table.quoted()),
        1356 => "repair the view: it reads something that is gone or not granted".to_owned(),
        _ => "make `SELECT` on it work for the account".to_owned(),
    };
    Finding::error(table.to_string(), message, remedy)
}

pub(super) fn replication_client(error: &SourceError) -> Finding {
    Finding::error(
        "REPLICATION CLIENT",
        error.to_string(),
        "GRANT REPLICATION CLIENT ON *.* TO the account (MariaDB: BINLOG MONITOR)",
    )
}

/// Without GTIDs the exact start position is in performance_schema.log_status.
pub(super) async fn log_status(session: &mut Session<'_>) -> Result<Option<Finding>> {
    let sql = "SELECT 1 FROM performance_schema.log_status";
    match session.rows("trying performance_schema.log_status", sql).await {
        Ok(_) => Ok(None),
        Err(error) if error.code().is_some() => Ok(Some(Finding::warning(
            "performance_schema.log_status",
            error.to_string(),
            "GRANT BACKUP_ADMIN ON *.* and SELECT ON performance_schema.log_status, or gtid_mode = ON; \
             otherwise a build begins at the head of the current binlog file and waits for what is in it",
        ))),
        Err(error) => Err(error),
    }
}

impl Source {
    /// REPLICATION SLAVE, by asking for the binlog and leaving at its first event.
    pub(super) async fn replication_slave(&self) -> Result<Option<Finding>> {
        let conn = self.connect_bare().await?;
        let request = BinlogStreamRequest::new(rand::random_range(TRY_SERVER_IDS)).with_non_blocking();
        let limit = self.options().query_timeout;
        let first = timeout(limit, async {
            let mut stream = conn.get_binlog_stream(request).await?;
            stream.next().await.transpose()
        });
        match first.await {
            Ok(Ok(_)) => Ok(None),
            Ok(Err(mysql_async::Error::Server(error))) => {
                let found = format!("error {}: {}", error.code, error.message);
                let (subject, remedy) = match error.code {
                    1044 | 1045 | 1227 => {
                        ("REPLICATION SLAVE", "GRANT REPLICATION SLAVE ON *.* TO the account")
                    }
                    _ => ("binlog", "make `mysqlbinlog --read-from-remote-server` work for the account"),
                };
                Ok(Some(Finding::error(subject, found, remedy)))
            }
            Ok(Err(error)) => Err(self.error("trying to read the binlog", error)),
            Err(_) => Err(SourceError::Timeout { doing: "trying to read the binlog".into(), after: limit }),
        }
    }
}
