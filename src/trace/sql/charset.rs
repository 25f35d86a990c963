//! How text of each character set is written so that a server reads the same bytes back.

use super::literal::{quote, write_hex};
use crate::model::{Charset, decode_text};

/// A character set, as far as literals differ by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Text {
    /// utf8mb4, utf8mb3, ascii: bytes are UTF-8.
    Utf8,
    /// latin1 (cp1252).
    Latin1,
    /// utf16 and ucs2, with the name for literals that are not valid text.
    Utf16(&'static str),
    /// Another one: its name; true where ASCII bytes mean ASCII characters.
    Named(&'static str, bool),
    /// Not known: bytes go as they are.
    Unknown,
}

/// Names and the collation ids that are theirs (information_schema.COLLATIONS), but for those of
/// [`Charset::of_collation`].
const NAMED: &[(&str, &[u16])] = &[
    ("big5", &[1, 84]),
    ("latin2", &[2, 9, 21, 27, 77]),
    ("dec8", &[3, 69]),
    ("cp850", &[4, 80]),
    ("hp8", &[6, 72]),
    ("koi8r", &[7, 74]),
    ("swe7", &[10, 82]),
    ("ujis", &[12, 91]),
    ("sjis", &[13, 88]),
    ("cp1251", &[14, 23, 50, 51, 52]),
    ("hebrew", &[16, 71]),
    ("tis620", &[18, 89]),
    ("euckr", &[19, 85]),
    ("latin7", &[20, 41, 42, 79]),
    ("koi8u", &[22, 75]),
    ("gb2312", &[24, 86]),
    ("greek", &[25, 70]),
    ("cp1250", &[26, 34, 44, 66, 99]),
    ("gbk", &[28, 87]),
    ("cp1257", &[29, 58, 59]),
    ("latin5", &[30, 78]),
    ("armscii8", &[32, 64]),
    ("cp866", &[36, 68]),
    ("keybcs2", &[37, 73]),
    ("macce", &[38, 43]),
    ("macroman", &[39, 53]),
    ("cp852", &[40, 81]),
    ("utf16le", &[56, 62]),
    ("cp1256", &[57, 67]),
    ("utf32", &[60, 61]),
    ("geostd8", &[92, 93]),
    ("cp932", &[95, 96]),
    ("eucjpms", &[97, 98]),
    ("gb18030", &[248, 249, 250]),
];

impl Text {
    /// By a collation's id. MariaDB's ids above 1024 are NO PAD forms of those below, above 2048 UCA 14.0.0.
    pub(crate) fn of_collation(id: u16) -> Self {
        let id = if (1025..2048).contains(&id) { id - 1024 } else { id };
        match id {
            576 | 577 | 608 | 609 | 2048..=2559 => return Self::Utf8,
            640 | 641 | 2560..=2815 => return Self::Utf16("ucs2"),
            672 | 673 | 2816..=3071 => return Self::Utf16("utf16"),
            736 | 737 | 160..=183 | 3072..=3327 => return Self::Named("utf32", false),
            _ => {}
        }
        match Charset::of_collation(id) {
            Charset::Utf8 => Self::Utf8,
            Charset::Latin1 => Self::Latin1,
            Charset::Utf16 => {
                Self::Utf16(if matches!(id, 35 | 90 | 128..=151 | 159) { "ucs2" } else { "utf16" })
            }
            Charset::Binary | Charset::Other => NAMED
                .iter()
                .find(|(_, ids)| ids.contains(&id))
                .map_or(Self::Unknown, |(name, _)| Self::named(name)),
        }
    }

    /// By the name of a character set or collation, in lower case.
    pub(crate) fn of_name(name: &str) -> Self {
        let charset = name.split('_').next().unwrap_or_default();
        match charset {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" | "uca1400" => Self::Utf8,
            "latin1" => Self::Latin1,
            "utf16" => Self::Utf16("utf16"),
            "ucs2" => Self::Utf16("ucs2"),
            "utf32" => Self::Named("utf32", false),
            _ => {
                let known = NAMED.iter().find(|(name, _)| *name == charset);
                known.map_or(Self::Unknown, |(name, _)| Self::named(name))
            }
        }
    }

    fn named(name: &'static str) -> Self {
        Self::Named(name, !matches!(name, "utf32" | "utf16le" | "swe7"))
    }

    /// Appends a literal of these bytes.
    pub(crate) fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(_) => quote(bytes, out),
                Err(_) => introduced("utf8mb4", bytes, out),
            },
            Self::Latin1 | Self::Named(_, true) | Self::Unknown if bytes.is_ascii() => quote(bytes, out),
            Self::Latin1 => decoded(Charset::Latin1, "latin1", bytes, out),
            Self::Utf16(name) => decoded(Charset::Utf16, name, bytes, out),
            Self::Named(name, _) => introduced(name, bytes, out),
            Self::Unknown => write_hex(bytes, out),
        }
    }

    /// Appends a literal that equals the column's own bytes, `CAST(column AS BINARY)`.
    pub(crate) fn write_binary(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Utf8 if std::str::from_utf8(bytes).is_ok() => quote(bytes, out),
            _ if bytes.is_ascii() => quote(bytes, out),
            _ => write_hex(bytes, out),
        }
    }

    /// The text in UTF-8, for people; bytes that are none as U+FFFD.
    pub(crate) fn display(self, bytes: &[u8]) -> std::borrow::Cow<'_, str> {
        let charset = match self {
            Self::Latin1 => Charset::Latin1,
            Self::Utf16(_) => Charset::Utf16,
            _ => Charset::Utf8,
        };
        decode_text(charset, bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes))
    }
}

fn decoded(charset: Charset, name: &str, bytes: &[u8], out: &mut Vec<u8>) {
    match decode_text(charset, bytes) {
        Some(text) => quote(text.as_bytes(), out),
        None => introduced(name, bytes, out),
    }
}

fn introduced(name: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'_');
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    write_hex(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_its_form() {
        for (text, bytes, expected) in [
            (Text::of_collation(255), &b"it's \\\n\0"[..], &b"'it\\'s \\\\\\n\\0'"[..]),
            (Text::of_collation(8), b"\x80\xe9", "'€é'".as_bytes()),
            (Text::of_collation(28), b"ab", b"'ab'"),
            (Text::of_collation(28), b"\xc4\xe3", b"_gbk X'C4E3'"),
            (Text::of_collation(54), &[0x20, 0xac], "'€'".as_bytes()),
            (Text::of_collation(54), &[0xd8, 0x00], b"_utf16 X'D800'"),
            (Text::of_collation(60), &[0, 0, 0, 0x41], b"_utf32 X'00000041'"),
            (Text::of_name("sjis_bin"), &[0x82, 0xa0], b"_sjis X'82A0'"),
            (Text::Unknown, &[0xff], b"X'FF'"),
            (Text::Utf8, b"", b"''"),
        ] {
            let mut out = Vec::new();
            text.write(bytes, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected), "{text:?}");
        }
    }
}
