//! What a statement that was logged as text depends on: the events before it, and the session's settings within it.
//! Source: `Intvar_event`, `Rand_event`, `User_var_event` in libs/mysql/binlog/event/statement_events.h.

use std::fmt::Write as _;

use super::sql;
use crate::binlog::{EventType, Session};

/// OPTION_NO_FOREIGN_KEY_CHECKS of a statement's flags2.
const NO_FOREIGN_KEY_CHECKS: u32 = 1 << 26;

/// What came before a statement as text, as statements that set it.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    before: String,
    /// It needs something that cannot be set.
    pub(super) lacks: Option<&'static str>,
}

impl Context {
    /// Takes an event that says something of the statement that follows.
    pub(super) fn add(&mut self, event_type: EventType, body: &[u8]) {
        let known = match event_type {
            EventType::INTVAR => integer(body).map(|set| self.before.push_str(&set)),
            EventType::RAND => seeds(body).map(|set| self.before.push_str(&set)),
            EventType::USER_VAR => variable(body).map(|set| self.before.push_str(&set)),
            _ => {
                self.lacks = Some("it loads a file, which is not part of the output");
                return;
            }
        };
        if known.is_none() {
            self.lacks = Some("it needs a user variable of a type that is not read");
        }
    }

    /// The statements that set it.
    pub(super) fn before(&self) -> &str {
        &self.before
    }
}

/// The statements that give a session the settings of a statement that changes rows, and those that take that back.
pub(super) fn settings(session: &Session<'_>) -> (String, String) {
    let (mut before, mut after) = <(String, String)>::default();
    if let Some(flags) = session.flags2 {
        let checks = u8::from(flags & NO_FOREIGN_KEY_CHECKS == 0);
        // rows of the same transaction may need them
        before.push_str("SET @binlog_operator_checks = @@SESSION.foreign_key_checks;\n");
        let _ = writeln!(before, "SET SESSION foreign_key_checks = {checks};");
        after.push_str("SET SESSION foreign_key_checks = @binlog_operator_checks;\n");
    }
    if let Some((increment, offset)) = session.auto_increment {
        let _ = writeln!(
            before,
            "SET SESSION auto_increment_increment = {increment}, auto_increment_offset = {offset};"
        );
        after.push_str("SET SESSION auto_increment_increment = DEFAULT, auto_increment_offset = DEFAULT;\n");
    }
    // literals are of this collation; the text itself is UTF-8
    if let Some([_, connection, _]) = session.charsets {
        let _ = writeln!(before, "SET SESSION collation_connection = {connection};");
        after.push_str("SET NAMES utf8mb4;\n");
    }
    (before, after)
}

/// LAST_INSERT_ID (1) or INSERT_ID (2), and eight bytes.
fn integer(body: &[u8]) -> Option<String> {
    let (kind, value) = body.split_first()?;
    let value = u64::from_le_bytes(*value.first_chunk()?);
    let name = match kind {
        1 => "LAST_INSERT_ID",
        2 => "INSERT_ID",
        _ => return None,
    };
    Some(format!("SET {name} = {value};\n"))
}

/// Two seeds of eight bytes.
fn seeds(body: &[u8]) -> Option<String> {
    let (first, rest) = body.split_first_chunk()?;
    let second = rest.first_chunk()?;
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    Some(format!("SET RAND_SEED1 = {first}, RAND_SEED2 = {second};\n"))
}

/// A name with its length, whether it is NULL; then type, collation, length, value, flags.
fn variable(body: &[u8]) -> Option<String> {
    let (length, rest) = body.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let mut quoted = Vec::new();
    sql::identifier(std::str::from_utf8(name).ok()?, &mut quoted);
    let quoted = String::from_utf8(quoted).ok()?;
    let (is_null, rest) = rest.split_first()?;
    if *is_null != 0 {
        return Some(format!("SET @{quoted} = NULL;\n"));
    }
    let (kind, rest) = rest.split_first()?;
    let (collation, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, flags) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let number = || Some(*value.first_chunk()?);
    match kind {
        0 => {
            // of text without a character set CAST makes text of the connection's collation, byte for byte
            let collation = u32::from_le_bytes(*collation);
            let mut bytes = Vec::new();
            sql::write_hex(value, &mut bytes);
            let value = String::from_utf8(bytes).ok()?;
            Some(match collation {
                BINARY => format!("SET @{quoted} = {value};\n"),
                _ => format!(
                    "SET SESSION collation_connection = {collation};\nSET @{quoted} = CAST({value} AS CHAR);\n\
                     SET NAMES utf8mb4;\n"
                ),
            })
        }
        1 => {
            let value = f64::from_le_bytes(number()?);
            value.is_finite().then(|| format!("SET @{quoted} = {value:e};\n"))
        }
        2 if flags.first().is_some_and(|flags| flags & 1 == 1) => {
            Some(format!("SET @{quoted} = {};\n", u64::from_le_bytes(number()?)))
        }
        2 => Some(format!("SET @{quoted} = {};\n", i64::from_le_bytes(number()?))),
        _ => None,
    }
}

/// The collation `binary`.
const BINARY: u32 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_is_set() {
        let mut context = Context::default();
        context.add(EventType::INTVAR, &[&[2][..], &7_u64.to_le_bytes()].concat());
        context.add(EventType::INTVAR, &[&[1][..], &8_u64.to_le_bytes()].concat());
        context.add(EventType::RAND, &[2_u64.to_le_bytes(), 3_u64.to_le_bytes()].concat());
        let named = |rest: &[u8]| [&2_u32.to_le_bytes()[..], b"a`", rest].concat();
        context.add(EventType::USER_VAR, &named(&[1]));
        let value = |kind: u8, value: &[u8], flags: u8| {
            let length = (value.len() as u32).to_le_bytes();
            named(&[&[0, kind][..], &63_u32.to_le_bytes(), &length, value, &[flags]].concat())
        };
        context.add(EventType::USER_VAR, &value(2, &(-1_i64).to_le_bytes(), 0));
        context.add(EventType::USER_VAR, &value(2, &u64::MAX.to_le_bytes(), 1));
        context.add(EventType::USER_VAR, &value(1, &0.1_f64.to_le_bytes(), 0));
        context.add(EventType::USER_VAR, &value(0, b"xy", 0));
        assert_eq!(context.lacks, None);
        assert_eq!(
            context.before,
            "SET INSERT_ID = 7;\nSET LAST_INSERT_ID = 8;\nSET RAND_SEED1 = 2, RAND_SEED2 = 3;\n\
             SET @`a``` = NULL;\nSET @`a``` = -1;\nSET @`a``` = 18446744073709551615;\nSET @`a``` = 1e-1;\n\
             SET @`a``` = X'7879';\n"
        );
        context.add(EventType::USER_VAR, &value(4, b"\x05\x02\x80", 0));
        assert!(context.lacks.is_some(), "a decimal");
    }
}
