//! FORMAT_DESCRIPTION: the layout of the events that follow, checksums among it (WL#2540).

use super::cursor::Cursor;
use super::error::Malformed;
use super::event::text;

/// Version, creation time and header length before the array of post-header lengths.
const FIXED_LEN: usize = 2 + 50 + 4 + 1;
/// The byte that names the checksum's algorithm and the checksum itself.
const CHECKSUM_PART: usize = 1 + 4;

/// How events end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// No checksum.
    #[default]
    None,
    /// Four bytes of CRC32.
    Crc32,
}

/// What a FORMAT_DESCRIPTION event says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatDescription {
    /// 4 since MySQL 5.0.
    pub binlog_version: u16,
    /// The server's version.
    pub server_version: String,
    /// When the file was begun, where that was a server's start; else 0.
    pub created: u32,
    /// The checksum of the events that follow.
    pub checksum: Checksum,
    /// Bytes of a table id in TABLE_MAP and rows events: 6, or 4 before MySQL 5.1.4.
    pub(super) table_id_len: usize,
}

impl Default for FormatDescription {
    fn default() -> Self {
        Self {
            binlog_version: 4,
            server_version: String::new(),
            created: 0,
            checksum: Checksum::None,
            table_id_len: 6,
        }
    }
}

impl FormatDescription {
    /// Reads everything after the header, the checksum part included.
    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut c = Cursor::new(body);
        let binlog_version = c.u16()?;
        let version = c.bytes(50)?;
        let server_version = text(version.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
        let created = c.u32()?;
        if binlog_version != 4 || c.u8()? != 19 {
            return Err(Malformed("its binlog version is not 4"));
        }
        let mut checksum = Checksum::None;
        if writes_checksum_part(&server_version) {
            let lengths = body.len().checked_sub(FIXED_LEN + CHECKSUM_PART).ok_or(Malformed::SHORT)?;
            let mut tail = Cursor::new(c.rest());
            tail.skip(lengths)?;
            checksum = match tail.u8()? {
                0 | 255 => Checksum::None,
                1 => Checksum::Crc32,
                _ => return Err(Malformed("its checksum algorithm is unknown")),
            };
        }
        // Post-header lengths by type code - 1; TABLE_MAP is 19.
        let table_map = c.rest().get(18).copied();
        let table_id_len = if table_map == Some(6) { 4 } else { 6 };
        Ok(Self { binlog_version, server_version, created, checksum, table_id_len })
    }

    /// True for MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.server_version.contains("MariaDB")
    }
}

/// MySQL 5.6.1 and MariaDB 5.3 were the first to name the algorithm.
fn writes_checksum_part(server_version: &str) -> bool {
    let mut numbers = server_version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0_u32);
    let version = (next(), next(), next());
    version >= (5, 6, 1) || (version >= (5, 3, 0) && server_version.contains("MariaDB"))
}
