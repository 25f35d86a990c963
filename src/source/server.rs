//! Facts about the server, and where its binlog stands.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::model::{BinlogPosition, GtidSet, StreamPosition};

use super::session::{Session, text, text_at};
use super::{Result, Source, SourceError};

/// Whose server it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavor {
    /// MySQL, Percona Server, and others that behave so.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// What the server says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a variable of the server
pub struct ServerInfo {
    /// `@@version`.
    pub version: String,
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// `@@server_uuid`; on MariaDB, which has none that stays, `server_id` and its number.
    pub server_uuid: String,
    /// `@@server_id`.
    pub server_id: u32,
    /// `gtid_mode=ON`: every transaction has a MySQL GTID.
    pub gtid: bool,
    /// `@@log_bin`.
    pub log_bin: bool,
    /// `@@binlog_format` as the global default, for example `ROW`.
    pub binlog_format: String,
    /// `@@binlog_row_image`, for example `FULL`.
    pub row_image: String,
    /// `@@binlog_row_metadata`; empty where the server does not have it.
    pub row_metadata: String,
    /// `@@binlog_order_commits`; true where the server does not have it.
    pub binlog_order_commits: bool,
    /// How long binlog files are kept, in seconds; `None` for ever.
    pub binlog_expire_seconds: Option<u64>,
    /// `@@lower_case_table_names`.
    pub lower_case_table_names: u8,
    /// `@@read_only`.
    pub read_only: bool,
    /// Whether it replicates from another server; `None` where the account may not ask.
    pub is_replica: Option<bool>,
    /// `@@log_replica_updates` (`log_slave_updates`).
    pub log_replica_updates: bool,
    /// `@@innodb_native_foreign_keys` is there and off: cascades are in the binlog (MySQL 9.6+).
    pub cascades_logged: bool,
    /// `@@time_zone` of the server.
    pub time_zone: String,
    /// `@@max_allowed_packet`, in bytes.
    pub max_allowed_packet: u64,
}

impl ServerInfo {
    /// The name of the only server that may be read beside its stream (see [`Source::bind_to`]); `None` with GTIDs,
    /// by which any server says what it has.
    pub fn bound_name(&self) -> Option<String> {
        (!self.gtid && !self.server_uuid.is_empty()).then(|| self.server_uuid.clone())
    }

    /// True where information_schema shows foreign keys only to an account that may do more than read: MariaDB, and
    /// MySQL without a data dictionary (before 8.0).
    pub(super) fn hides_foreign_keys(&self) -> bool {
        self.flavor == Flavor::MariaDb || self.version.starts_with("5.")
    }
}

/// A binlog file on the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BinlogFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', 'server_id', \
    'gtid_mode', 'log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata', \
    'binlog_order_commits', 'binlog_expire_logs_seconds', 'expire_logs_days', 'lower_case_table_names', \
    'read_only', 'log_replica_updates', 'log_slave_updates', 'innodb_native_foreign_keys', 'time_zone', \
    'max_allowed_packet', 'binlog_expire_logs_auto_purge')";

/// The forms of SHOW BINARY LOG STATUS: MySQL 8.2+ first, then all others.
pub(super) const LOG_STATUS: [&str; 2] = ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"];
/// The forms of SHOW REPLICA STATUS; MariaDB lists all its channels by the last one.
pub(super) const REPLICA_STATUS: [&str; 3] =
    ["SHOW REPLICA STATUS", "SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"];

impl Source {
    /// What the server says of itself.
    ///
    /// # Errors
    /// Connection and access only: a variable that the server does not have is not an error.
    pub async fn server(&self) -> Result<ServerInfo> {
        let mut session = self.session().await;
        let rows = session.rows("asking for the server's variables", VARIABLES).await?;
        let variables: BTreeMap<String, String> = rows
            .iter()
            .filter_map(|row| Some((text_at(row, 0)?.to_ascii_lowercase(), text_at(row, 1)?)))
            .collect();
        let replica = session.rows_of_either("asking whether it is a replica", &REPLICA_STATUS).await;
        let is_replica = match replica {
            Ok(rows) => Some(!rows.is_empty()),
            Err(error) if error.code().is_some() => None,
            Err(error) => return Err(error),
        };
        Ok(server_info(&variables, is_replica))
    }

    /// What the server has executed: `@@gtid_executed`, or without GTIDs its binlog's end. For checks
    /// whether a task is caught up; not a start position.
    pub async fn executed(&self) -> Result<StreamPosition> {
        let mut session = self.shared_session().await;
        match gtid_executed(&mut session).await? {
            Some(gtids) => Ok(StreamPosition { gtids: Some(gtids), binlog: BinlogPosition::default() }),
            None => Ok(StreamPosition { gtids: None, binlog: binlog_end(&mut session).await? }),
        }
    }

    /// `@@gtid_purged`: transactions that no binlog file holds any more; `None` without GTIDs.
    pub async fn purged(&self) -> Result<Option<GtidSet>> {
        let mut session = self.session().await;
        gtid_variable(&mut session, "gtid_purged").await
    }

    /// The server's binlog files, oldest first. Needs REPLICATION CLIENT.
    pub async fn binlogs(&self) -> Result<Vec<BinlogFile>> {
        let mut session = self.session().await;
        let rows = session.rows("listing binlog files", "SHOW BINARY LOGS").await?;
        let file = |row| Some(BinlogFile { name: text_at(row, 0)?, size: text_at(row, 1)?.parse().ok()? });
        Ok(rows.iter().filter_map(file).collect())
    }
}

/// `@@gtid_executed`, where every transaction has a GTID.
pub(super) async fn gtid_executed(session: &mut Session<'_>) -> Result<Option<GtidSet>> {
    gtid_variable(session, "gtid_executed").await
}

async fn gtid_variable(session: &mut Session<'_>, name: &str) -> Result<Option<GtidSet>> {
    let doing = "asking for GTIDs";
    let answer = session.rows(doing, &format!("SELECT @@GLOBAL.gtid_mode, @@GLOBAL.{name}")).await;
    let rows = match answer {
        // MariaDB has no such variables
        Err(error) if error.code() == Some(1193) => return Ok(None),
        rows => rows?,
    };
    let row = rows.first();
    if row.and_then(|row| text_at(row, 0)).is_none_or(|mode| mode != "ON") {
        return Ok(None);
    }
    let set = row.and_then(|row| text_at(row, 1)).unwrap_or_default();
    set.parse()
        .map(Some)
        .map_err(|_| SourceError::Unexpected { doing: doing.into(), found: format!("{name} = {set:?}") })
}

/// The end of the binlog by SHOW. It runs ahead of what is visible.
pub(super) async fn binlog_end(session: &mut Session<'_>) -> Result<BinlogPosition> {
    let doing = "asking for the end of the binlog";
    let rows = session.rows_of_either(doing, &LOG_STATUS).await?;
    let Some(row) = rows.first() else {
        return Err(SourceError::Unsupported(
            "the server writes no binlog: set log_bin and restart it".into(),
        ));
    };
    let position = text(row, "File")
        .zip(text(row, "Position").and_then(|offset| offset.parse().ok()))
        .map(|(file, offset)| BinlogPosition { file, offset });
    position
        .ok_or_else(|| SourceError::Unexpected { doing: doing.into(), found: "no File and Position".into() })
}

/// What tells a server from others that may take its address. MariaDB's `server_uid` changes with the machine.
fn name_of(uuid: Option<String>, flavor: Flavor, id: &str) -> String {
    match (uuid.filter(|uuid| !uuid.is_empty()), flavor) {
        (Some(uuid), _) => uuid,
        (None, Flavor::MariaDb) => format!("server_id {id}"),
        (None, Flavor::MySql) => String::new(),
    }
}

/// [`ServerInfo::server_uuid`] of the server that a connection leads to.
pub(super) async fn identity(conn: &mut Conn) -> std::result::Result<String, mysql_async::Error> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', 'server_id')";
    let variables: BTreeMap<String, String> = conn.query(sql).await?.into_iter().collect();
    Ok(server_info(&variables, None).server_uuid)
}

fn server_info(variables: &BTreeMap<String, String>, is_replica: Option<bool>) -> ServerInfo {
    let get = |name: &str| variables.get(name).cloned();
    let on = |name: &str| get(name).map(|v| v.eq_ignore_ascii_case("ON") || v == "1");
    let number = |name: &str| get(name).and_then(|v| v.parse::<u64>().ok());
    let version = get("version").unwrap_or_default();
    let flavor = if version.contains("MariaDB") { Flavor::MariaDb } else { Flavor::MySql };
    let seconds = number("binlog_expire_logs_seconds").filter(|s| *s > 0);
    let days = || get("expire_logs_days").and_then(|d| d.parse::<f64>().ok()).filter(|d| *d > 0.0);
    let purges = on("binlog_expire_logs_auto_purge").unwrap_or(true);
    ServerInfo {
        flavor,
        version,
        server_uuid: name_of(get("server_uuid"), flavor, &get("server_id").unwrap_or_default()),
        server_id: number("server_id").unwrap_or(0) as u32,
        gtid: get("gtid_mode").is_some_and(|mode| mode == "ON"),
        log_bin: on("log_bin").unwrap_or(false),
        binlog_format: get("binlog_format").unwrap_or_default(),
        row_image: get("binlog_row_image").unwrap_or_default(),
        row_metadata: get("binlog_row_metadata").unwrap_or_default(),
        binlog_order_commits: on("binlog_order_commits").unwrap_or(true),
        binlog_expire_seconds: seconds.or_else(|| days().map(|d| (d * 86_400.0) as u64)).filter(|_| purges),
        lower_case_table_names: number("lower_case_table_names").unwrap_or(0) as u8,
        read_only: on("read_only").unwrap_or(false),
        is_replica,
        log_replica_updates: on("log_replica_updates").or_else(|| on("log_slave_updates")).unwrap_or(true),
        cascades_logged: on("innodb_native_foreign_keys") == Some(false),
        time_zone: get("time_zone").unwrap_or_default(),
        max_allowed_packet: number("max_allowed_packet").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(pairs: &[(&str, &str)]) -> ServerInfo {
        let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        server_info(&map, None)
    }

    #[test]
    fn old_and_new_names_mean_the_same() {
        let old = info(&[("log_slave_updates", "OFF"), ("expire_logs_days", "2"), ("version", "5.7.44-log")]);
        assert!(!old.log_replica_updates && !old.gtid && !old.cascades_logged);
        assert_eq!((old.binlog_expire_seconds, old.flavor), (Some(172_800), Flavor::MySql));
        assert!(old.hides_foreign_keys());
        let new = info(&[
            ("log_replica_updates", "ON"),
            ("binlog_expire_logs_seconds", "0"),
            ("innodb_native_foreign_keys", "OFF"),
            ("gtid_mode", "ON"),
        ]);
        assert!(new.log_replica_updates && new.gtid && new.cascades_logged);
        assert!(new.binlog_expire_seconds.is_none() && !new.hides_foreign_keys());
        assert!(!info(&[("gtid_mode", "ON_PERMISSIVE")]).gtid);
        let maria = info(&[("version", "10.11.6-MariaDB-1"), ("server_id", "7")]);
        assert_eq!((maria.flavor, maria.server_uuid.as_str()), (Flavor::MariaDb, "server_id 7"));
    }
}
