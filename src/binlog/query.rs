//! QUERY events: statements as text, with the session's settings that they depend on.
//! Source: libs/mysql/binlog/event/statement_events.h, `Query_event`.

use std::borrow::Cow;
use std::fmt;

use super::cursor::Cursor;
use super::error::Malformed;
use super::event::text;
use super::header::EventType;
use crate::model::{Charset, decode_text};

/// A statement as text.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryEvent<'a> {
    /// The session's current schema, in UTF-8; empty where it has none.
    pub schema: Cow<'a, str>,
    /// The statement. Where `lossy` is set, characters were replaced.
    pub sql: Cow<'a, str>,
    /// True where the text is not valid in the session's character set, or that set is not known here.
    pub lossy: bool,
    /// The statement's bytes as they came.
    pub sql_bytes: &'a [u8],
    /// The connection that ran it.
    pub thread_id: u32,
    /// Seconds it ran.
    pub execution_time: u32,
    /// The server's error number, 0 for success; a statement can be logged with an error after it changed rows.
    pub error_code: u16,
    /// The session's settings.
    pub session: Session<'a>,
    /// What the statement is.
    pub kind: QueryKind,
}

/// The status variables of a QUERY event; `None` where the event does not carry them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Session<'a> {
    /// OPTION_AUTO_IS_NULL, OPTION_NO_FOREIGN_KEY_CHECKS and the like, as bits.
    pub flags2: Option<u32>,
    /// `@@sql_mode` as bits.
    pub sql_mode: Option<u64>,
    /// Collation ids of `character_set_client`, `collation_connection`, `collation_server`.
    pub charsets: Option<[u16; 3]>,
    /// `@@time_zone`.
    pub time_zone: Option<&'a str>,
    /// Auto-increment's increment and offset.
    pub auto_increment: Option<(u16, u16)>,
    /// Microseconds of the statement's start.
    pub microseconds: Option<u32>,
    /// The transaction number of an atomic DDL.
    pub ddl_xid: Option<u64>,
}

/// What a statement is, as far as transactions go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryKind {
    /// BEGIN.
    Begin,
    /// COMMIT.
    Commit,
    /// ROLLBACK: what came since BEGIN did not happen (engines without transactions excepted).
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// ROLLBACK TO a savepoint.
    RollbackToSavepoint,
    /// XA START.
    XaStart(Xid),
    /// XA END.
    XaEnd(Xid),
    /// XA COMMIT of a prepared transaction.
    XaCommit(Xid),
    /// XA ROLLBACK of a prepared transaction.
    XaRollback(Xid),
    /// Anything else: DDL, or a change of rows logged as text.
    Other,
}

/// An XA transaction's identifier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Xid {
    /// The format's number, 1 mostly.
    pub format_id: u32,
    /// The global part.
    pub gtrid: Box<[u8]>,
    /// The branch.
    pub bqual: Box<[u8]>,
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            f.write_str("X'")?;
            bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
            f.write_str("'")
        };
        hex(f, &self.gtrid)?;
        f.write_str(",")?;
        hex(f, &self.bqual)?;
        write!(f, ",{}", self.format_id)
    }
}

impl<'a> QueryEvent<'a> {
    pub(super) fn read(event_type: EventType, c: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let (thread_id, execution_time) = (c.u32()?, c.u32()?);
        let schema_len = usize::from(c.u8()?);
        let error_code = c.u16()?;
        let session_len = usize::from(c.u16()?);
        if event_type == EventType::EXECUTE_LOAD_QUERY {
            c.skip(13)?; // file id, two offsets into the text, duplicate handling
        }
        let session = Session::read(c.bytes(session_len)?);
        let schema = text(c.bytes(schema_len)?);
        c.skip(1)?;
        let sql_bytes = c.take_rest();
        let charset = session.charsets.map_or(Charset::Utf8, |[client, ..]| Charset::of_collation(client));
        let decoded = decode_text(charset, sql_bytes);
        let lossy = decoded.is_none();
        let sql = decoded.unwrap_or_else(|| text(sql_bytes));
        let kind = QueryKind::of(&sql);
        Ok(Self { schema, sql, lossy, sql_bytes, thread_id, execution_time, error_code, session, kind })
    }
}

impl<'a> Session<'a> {
    /// Reads what is known; as the server does, stops at the first code that is not.
    fn read(bytes: &'a [u8]) -> Self {
        let mut session = Self::default();
        let mut c = Cursor::new(bytes);
        while let Ok(code) = c.u8() {
            if session.read_variable(code, &mut c).is_none() {
                break;
            }
        }
        session
    }

    fn read_variable(&mut self, code: u8, c: &mut Cursor<'a>) -> Option<()> {
        let short = |c: &mut Cursor<'a>| c.u8().and_then(|len| c.bytes(usize::from(len)));
        match code {
            0 => self.flags2 = Some(c.u32().ok()?),
            1 => self.sql_mode = Some(c.u64().ok()?),
            2 => c.u8().and_then(|len| c.skip(usize::from(len) + 1)).ok()?,
            3 => self.auto_increment = Some((c.u16().ok()?, c.u16().ok()?)),
            4 => self.charsets = Some([c.u16().ok()?, c.u16().ok()?, c.u16().ok()?]),
            5 => self.time_zone = std::str::from_utf8(short(c).ok()?).ok(),
            6 => drop(short(c).ok()?),
            7 | 8 | 18 => c.skip(2).ok()?,
            9 => c.skip(8).ok()?,
            17 => self.ddl_xid = Some(c.u64().ok()?),
            10 => c.skip(4).ok()?,
            11 => drop((short(c).ok()?, short(c).ok()?)),
            12 => skip_schemas(c).ok()?,
            13 => self.microseconds = Some(c.u24().ok()?),
            16 | 19 | 20 => c.skip(1).ok()?,
            _ => return None,
        }
        Some(())
    }
}

/// Q_UPDATED_DB_NAMES: a count (254: too many to list) and names that end with 0.
fn skip_schemas(c: &mut Cursor<'_>) -> Result<(), Malformed> {
    let count = c.u8()?;
    if count < 254 {
        for _ in 0..count {
            while c.u8()? != 0 {}
        }
    }
    Ok(())
}

impl QueryKind {
    /// Judges a statement as the server writes it.
    fn of(sql: &str) -> Self {
        let sql = sql.trim();
        let starts = |word: &str| {
            sql.split_at_checked(word.len())
                .filter(|(head, _)| head.eq_ignore_ascii_case(word))
                .map(|(_, t)| t)
        };
        let xid = |words: &[&str], kind: fn(Xid) -> Self| {
            words.iter().find_map(|word| starts(word)).and_then(parse_xid).map(kind)
        };
        match sql {
            _ if sql.eq_ignore_ascii_case("BEGIN") => Self::Begin,
            _ if sql.eq_ignore_ascii_case("COMMIT") => Self::Commit,
            _ if sql.eq_ignore_ascii_case("ROLLBACK") => Self::Rollback,
            _ if starts("SAVEPOINT ").is_some() => Self::Savepoint,
            _ if starts("ROLLBACK TO ").is_some() => Self::RollbackToSavepoint,
            _ if starts("XA ").is_some() => xid(&["XA START ", "XA BEGIN "], Self::XaStart)
                .or_else(|| xid(&["XA END "], Self::XaEnd))
                .or_else(|| xid(&["XA COMMIT "], Self::XaCommit))
                .or_else(|| xid(&["XA ROLLBACK "], Self::XaRollback))
                .unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }
}

/// Reads `X'61',X'',1`, the server's own spelling in the binlog.
fn parse_xid(text: &str) -> Option<Xid> {
    let mut parts = text.trim().split(',');
    let mut hex = || parts.next()?.trim().strip_prefix("X'")?.strip_suffix('\'').and_then(unhex);
    let (gtrid, bqual) = (hex()?, hex()?);
    let format_id = parts.next()?.split_whitespace().next()?.parse().ok()?;
    Some(Xid { format_id, gtrid, bqual })
}

fn unhex(digits: &str) -> Option<Box<[u8]>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((nibble(*high)? * 16 + nibble(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xid(gtrid: &[u8], bqual: &[u8]) -> Xid {
        Xid { format_id: 1, gtrid: gtrid.into(), bqual: bqual.into() }
    }

    #[test]
    fn kinds() {
        assert_eq!(QueryKind::of("BEGIN"), QueryKind::Begin);
        assert_eq!(QueryKind::of("XA START X'6162',X'',1"), QueryKind::XaStart(xid(b"ab", b"")));
        assert_eq!(QueryKind::of("XA COMMIT X'61',X'62',1"), QueryKind::XaCommit(xid(b"a", b"b")));
        assert_eq!(QueryKind::of("xa rollback X'61',X'62',1"), QueryKind::XaRollback(xid(b"a", b"b")));
        assert_eq!(QueryKind::of("SAVEPOINT `a`"), QueryKind::Savepoint);
        assert_eq!(QueryKind::of("ROLLBACK TO `a`"), QueryKind::RollbackToSavepoint);
        assert_eq!(QueryKind::of("XÄ"), QueryKind::Other);
        assert_eq!(QueryKind::of("BEGINNING"), QueryKind::Other);
        assert_eq!(xid(b"ab", b"\xff").to_string(), "X'6162',X'ff',1");
    }

    #[test]
    fn the_clients_character_set_reads_the_text() {
        let mut bytes = vec![0; 8];
        bytes.extend([1, 0, 0, 7, 0, 4, 8, 0, 8, 0, 8, 0]);
        bytes.extend(b"d\0DROP TABLE `\xe9`");
        let query = QueryEvent::read(EventType::QUERY, &mut Cursor::new(&bytes)).unwrap();
        assert_eq!((&*query.schema, &*query.sql, query.lossy), ("d", "DROP TABLE `é`", false));
    }
}
