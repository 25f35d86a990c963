//! MySQL collation ids and how their bytes become UTF-8.

use std::borrow::Cow;

/// The character sets that text of a row image can be read in without asking the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charset {
    /// utf8mb3, utf8mb4, ascii.
    Utf8,
    /// latin1, which in MySQL is cp1252.
    Latin1,
    /// utf16, big endian; also ucs2.
    Utf16,
    /// No characters: bytes.
    Binary,
    /// Any other; such text is compared and bound through SQL only.
    Other,
}

impl Charset {
    /// The character set of a collation id (information_schema.COLLATIONS.ID).
    pub fn of_collation(id: u16) -> Self {
        match id {
            11 | 33 | 45 | 46 | 65 | 76 | 83 | 192..=247 | 255..=323 => Self::Utf8,
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Self::Latin1,
            35 | 54 | 55 | 90 | 101..=124 | 128..=151 | 159 => Self::Utf16,
            63 => Self::Binary,
            _ => Self::Other,
        }
    }
}

/// Text in UTF-8, or `None` where the bytes are not text of that character set.
pub fn decode_text(charset: Charset, bytes: &[u8]) -> Option<Cow<'_, str>> {
    match charset {
        Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Charset::Latin1 => Some(Cow::Owned(bytes.iter().map(|b| cp1252(*b)).collect())),
        Charset::Utf16 => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
        }
        Charset::Binary | Charset::Other => None,
    }
}

/// MySQL's latin1: cp1252, with the five holes of cp1252 as C1 controls.
fn cp1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    byte.checked_sub(0x80).and_then(|i| HIGH.get(usize::from(i)).copied()).unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_is_cp1252() {
        assert_eq!(decode_text(Charset::Latin1, b"\x80\xe9A").unwrap(), "€éA");
        assert_eq!(decode_text(Charset::Utf8, b"\xff"), None);
        assert_eq!(decode_text(Charset::Utf16, &[0x20, 0xac]).unwrap(), "€");
    }
}
