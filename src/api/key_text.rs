//! Keys as people write them into a Reindex.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One key, or one bound of a range: a number or a text.
///
/// A composite key is written as the document's `_id` is: the columns joined by `|`, where `|` and `\`
/// within a column have a `\` before them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyText {
    /// A number. Above 2^63 - 1 it is a [`KeyText::Text`] of digits.
    Number(i64),
    /// A text; also digits in quotes.
    Text(String),
}

impl KeyText {
    /// The key's columns as text, `count` of them; `None` where the text has another number of columns.
    /// The text of a key of one column is taken as it is, `|` and `\` included.
    pub fn columns(&self, count: usize) -> Option<Vec<String>> {
        let text = self.to_string();
        if count == 1 {
            return Some(vec![text]);
        }
        let (mut columns, mut column, mut escaped) = (Vec::new(), String::new(), false);
        for c in text.chars() {
            match c {
                _ if escaped => {
                    column.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '|' => columns.push(std::mem::take(&mut column)),
                _ => column.push(c),
            }
        }
        columns.push(column);
        (columns.len() == count && !escaped).then_some(columns)
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => n.fmt(f),
            Self::Text(t) => f.write_str(t),
        }
    }
}

impl From<i64> for KeyText {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for KeyText {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(n) => serializer.serialize_i64(*n),
            Self::Text(t) => serializer.serialize_str(t),
        }
    }
}

impl<'de> Deserialize<'de> for KeyText {
    /// By way of a JSON value: with exact numbers on, serde_json shows other visitors a number as a map.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self::Text(text)),
            serde_json::Value::Number(n) if n.is_i64() => Ok(Self::Number(n.as_i64().unwrap_or_default())),
            serde_json::Value::Number(n) if n.is_u64() => Ok(Self::Text(n.to_string())),
            other => Err(D::Error::custom(format!("expected an integer or a text, found {other}"))),
        }
    }
}

impl schemars::JsonSchema for KeyText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"x-kubernetes-int-or-string": true})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_of_every_size_and_texts() {
        let read = |json: &str| serde_json::from_str::<KeyText>(json);
        assert_eq!(read("-5").unwrap(), KeyText::Number(-5));
        assert_eq!(read("18446744073709551615").unwrap(), KeyText::from("18446744073709551615"));
        assert_eq!(read("\"007\"").unwrap(), KeyText::from("007"));
        assert!(read("1.5").is_err() && read("true").is_err() && read("[1]").is_err());
    }

    #[test]
    fn columns_undo_document_id() {
        use crate::model::{Key, KeyPart};
        let key = Key::new(vec![KeyPart::Text("a|b\\".into()), KeyPart::Int(-1)]);
        let text = KeyText::Text(key.document_id());
        assert_eq!(text.columns(2), Some(vec!["a|b\\".to_owned(), "-1".to_owned()]));
        assert_eq!(text.columns(3), None);
        assert_eq!(KeyText::from("a|b\\").columns(1), Some(vec!["a|b\\".to_owned()]));
        assert_eq!(KeyText::from("a|b\\").columns(2), None);
    }
}
