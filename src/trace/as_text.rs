//! Statements that the binlog has as text: DDL, and changes of rows of sessions that log them so.

use std::fmt::Write as _;

use super::TraceError;
use super::context::{Context, settings};
use super::names::Ddl;
use super::sql;
use crate::binlog::{At, EventType, QueryEvent};
use crate::mapping::Words;

/// Why a rollback refuses a change as text.
pub(super) const NOT_UNDOABLE: &str = "a change logged as text (binlog_format is not ROW) cannot be undone";

/// A statement logged as text.
pub(super) struct Statement<'q> {
    pub(super) query: &'q QueryEvent<'q>,
    /// What it does to the schema.
    pub(super) ddl: Ddl,
    /// It changes rows, and no row events say which.
    pub(super) changes_rows: bool,
    /// The current schema is none of its business (LOG_EVENT_SUPPRESS_USE_F): it may not be there, as before CREATE
    /// DATABASE.
    pub(super) needs_no_schema: bool,
    /// INSERT_ID and the like that came before it.
    pub(super) context: Context,
    /// Seconds since 1970 when it began.
    pub(super) timestamp: u32,
    pub(super) at: At,
}

impl Statement<'_> {
    /// The error that names it.
    pub(super) fn refused(&self, reason: &'static str) -> TraceError {
        TraceError::Statement { at: self.at.to_string(), reason, statement: head(&self.query.sql) }
    }

    /// What no rollback of rows takes back: ALTER, DROP, TRUNCATE and the like.
    pub(super) fn is_about_tables(&self) -> bool {
        self.ddl.moves() || matches!(self.ddl, Ddl::About(_))
    }

    /// Why it cannot be carried out again.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        let loads = self.at.event == EventType::EXECUTE_LOAD_QUERY;
        if loads { Some("it loads a file, which is not part of the output") } else { self.context.lacks }
    }

    /// It with what it depends on, to be carried out again.
    pub(super) fn text(&self) -> String {
        let query = self.query;
        let sql = query.sql.trim_end().trim_end_matches(" START TRANSACTION");
        let mut text = String::new();
        if !query.schema.is_empty() && !self.needs_no_schema {
            let mut schema = Vec::new();
            sql::identifier(&query.schema, &mut schema);
            let _ = writeln!(text, "USE {};", String::from_utf8_lossy(&schema));
        }
        let session = &query.session;
        if let Some(mode) = session.sql_mode {
            let _ = writeln!(text, "SET SESSION sql_mode = {mode};");
        }
        if let Some(zone) = session.time_zone {
            let _ = writeln!(text, "SET SESSION time_zone = '{}';", zone.replace(['\'', '\\'], ""));
        }
        text.push_str(self.context.before());
        let (before, after) = if self.changes_rows { settings(session) } else { self.schema_default() };
        text.push_str(&before);
        // what it calls now is then: of rows, and of new columns' defaults
        let micros = session.microseconds.unwrap_or(0);
        let _ = writeln!(text, "SET TIMESTAMP = {}.{micros:06};", self.timestamp);
        if sql.contains(';') {
            let _ = writeln!(text, "DELIMITER ;;\n{sql}\n;;\nDELIMITER ;");
        } else {
            let _ = writeln!(text, "{sql}\n;");
        }
        text.push_str("SET TIMESTAMP = DEFAULT;\n");
        text.push_str(&after);
        text.push_str("SET SESSION sql_mode = @binlog_operator_strict, time_zone = '+00:00';\n");
        text
    }

    /// A database that is created without a character set has the server's of then.
    fn schema_default(&self) -> (String, String) {
        let mut words = Words::new(&self.query.sql);
        let is_schema = words
            .as_mut()
            .is_some_and(|words| words.skip("CREATE") && (words.skip("DATABASE") || words.skip("SCHEMA")));
        match self.query.session.charsets {
            Some([_, _, server]) if is_schema => (
                format!("SET SESSION collation_server = {server};\n"),
                "SET SESSION collation_server = DEFAULT;\n".to_owned(),
            ),
            _ => <(String, String)>::default(),
        }
    }
}

/// The beginning of a statement, in one line.
pub(super) fn head(sql: &str) -> String {
    let mut text: String = sql.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if sql.chars().nth(100).is_some() {
        text.push_str(" ...");
    }
    text
}

/// True for statements that change no rows, or (TRUNCATE, CREATE ... SELECT) are about a table.
fn changes_none(verb: &str) -> bool {
    let verb = verb.to_ascii_uppercase();
    let of_tables =
        ["ALTER", "ANALYZE", "CHECK", "CREATE", "DROP", "IMPORT", "OPTIMIZE", "RENAME", "REPAIR", "TRUNCATE"];
    let of_servers = [
        "BINLOG",
        "CACHE",
        "CHANGE",
        "FLUSH",
        "INSTALL",
        "KILL",
        "PURGE",
        "RESET",
        "SET",
        "UNINSTALL",
        "USE",
        "XA",
    ];
    let of_accounts_and_locks = ["GRANT", "LOCK", "REVOKE", "UNLOCK"];
    of_tables.iter().chain(&of_servers).chain(&of_accounts_and_locks).any(|known| *known == verb)
}

/// A statement that changes rows without row events: any that is not known to change none.
pub(super) fn changes_rows(sql: &str) -> bool {
    let first: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    if !first.is_empty() && !first.eq_ignore_ascii_case("SET") {
        return !changes_none(&first);
    }
    // a comment comes first, or MariaDB's SET STATEMENT ... FOR
    let Some(mut words) = Words::new(sql) else { return true };
    if words.is_empty() {
        return false;
    }
    if words.skip_both("SET", "STATEMENT") {
        return words
            .after("FOR")
            .and_then(|mut rest| rest.keyword())
            .is_none_or(|verb| !changes_none(&verb));
    }
    words.keyword().is_none_or(|verb| !changes_none(&verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_rows_is_told_behind_comments() {
        for sql in [
            "UPDATE t SET a = 1",
            "  insert into t values (1)",
            "/* app:web */ UPDATE t SET a = 1",
            "-- of a client\nDELETE FROM t",
            "# of another\nDELETE FROM t",
            "/*!50000 UPDATE t SET a = 1 */",
            "SET STATEMENT max_statement_time=1 FOR UPDATE t SET a = 1",
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "(SELECT 1)",
            "NOVEL t",
        ] {
            assert!(changes_rows(sql), "{sql}");
        }
        for sql in [
            "/* app */ ALTER TABLE t ADD a INT",
            "CREATE TABLE t (a INT)",
            "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a = 1*/",
            "SET PASSWORD FOR 'a'@'b' = 'x'",
            "SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE t ADD a INT",
            "/* nothing */",
            "",
        ] {
            assert!(!changes_rows(sql), "{sql}");
        }
    }
}
