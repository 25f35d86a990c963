//! Keys: which document, and which rows a lookup asks for.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// One column of a key, in the one spelling that compares byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum KeyPart {
    /// Any integer that fits, signed or not, so that an INT and a BIGINT UNSIGNED column compare.
    Int(i64),
    /// Integers above 2^63 - 1. Make integer parts with [`KeyPart::from_u64`].
    UInt(u64),
    /// Text as UTF-8; also dates, times and decimals in the server's own notation.
    Text(Box<str>),
    /// Binary kinds.
    Binary(Box<[u8]>),
    /// An `_id` found in the index that is no key of the query: the only part of its key, and fits no column.
    DocumentId(Box<str>),
}

impl KeyPart {
    /// The part for an unsigned integer, in its canonical variant.
    pub fn from_u64(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => v.fmt(f),
            Self::UInt(v) => v.fmt(f),
            Self::Text(v) | Self::DocumentId(v) => f.write_str(v),
            Self::Binary(v) => v.iter().try_for_each(|b| write!(f, "{b:02x}")),
        }
    }
}

/// A key of one or several columns. NULL never is a key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Box<[KeyPart]>);

impl Key {
    /// A key of these columns, in the order that `query.key` names them.
    pub fn new(parts: impl Into<Box<[KeyPart]>>) -> Self {
        Self(parts.into())
    }

    /// A key of one integer column.
    pub fn int(value: i64) -> Self {
        Self(Box::new([KeyPart::Int(value)]))
    }

    /// Its columns.
    pub fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// The document's `_id` where no `idTemplate` says otherwise: integers as digits, text as it is, binary as
    /// lower-case hex; several columns joined by `|`, where `|` and `\` within a column get a `\` before them.
    pub fn document_id(&self) -> String {
        match &*self.0 {
            [one] => one.to_string(),
            many => {
                let mut id = String::new();
                for (i, part) in many.iter().enumerate() {
                    if i > 0 {
                        id.push('|');
                    }
                    for c in part.to_string().chars() {
                        if matches!(c, '|' | '\\') {
                            id.push('\\');
                        }
                        id.push(c);
                    }
                }
                id
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('|')?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_kind() {
        let id = |parts: Vec<KeyPart>| Key::new(parts).document_id();
        assert_eq!(id(vec![KeyPart::from_u64(7)]), "7");
        assert_eq!(id(vec![KeyPart::from_u64(u64::MAX)]), "18446744073709551615");
        assert_eq!(id(vec![KeyPart::Text("a|b".into())]), "a|b");
        assert_eq!(id(vec![KeyPart::Binary(vec![0, 0xAB].into())]), "00ab");
        assert_eq!(id(vec![KeyPart::Text("a|b\\".into()), KeyPart::Int(-1)]), "a\\|b\\\\|-1");
        assert_eq!(KeyPart::from_u64(5), KeyPart::Int(5));
    }
}
