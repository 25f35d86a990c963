//! Rows of a result as JSON objects and keys.

use mysql_async::{Column, Row, Value};

use crate::model::{Key, KeyPart};

use super::value::{Codec, Style};
use super::{RecordError, Result, SourceError, json};

/// How the rows of one result are written: made once per execution, since a table may change between two.
pub(super) struct Encoder<'s> {
    style: &'s Style,
    columns: Vec<EncodedColumn>,
    /// Places of the key's columns.
    key: Vec<usize>,
}

struct EncodedColumn {
    /// `{"name":` for the first, `,"name":` for others.
    label: Vec<u8>,
    codec: Codec,
    name: String,
}

impl<'s> Encoder<'s> {
    /// Fails where a key column is not there.
    pub(super) fn new(columns: &[Column], key: &[usize], style: &'s Style) -> Result<Self> {
        let encoded = columns.iter().enumerate().map(|(at, column)| {
            let mut label = vec![if at == 0 { b'{' } else { b',' }];
            json::string(&mut label, column.name_str().as_bytes());
            label.push(b':');
            EncodedColumn { label, codec: Codec::of(column), name: column.name_str().into_owned() }
        });
        if let Some(missing) = key.iter().find(|at| **at >= columns.len()) {
            let reason = format!("the query returns {} columns only", columns.len());
            return Err(SourceError::Key { column: format!("number {}", missing + 1), reason });
        }
        Ok(Self { style, columns: encoded.collect(), key: key.to_vec() })
    }

    /// Appends the row as one JSON object on one line. On an error `out` holds a part of it.
    pub(super) fn write(&self, row: &Row, out: &mut Vec<u8>) -> std::result::Result<(), RecordError> {
        for (at, column) in self.columns.iter().enumerate() {
            out.extend_from_slice(&column.label);
            let value = row.as_ref(at).unwrap_or(&Value::NULL);
            column
                .codec
                .write(value, self.style, out)
                .map_err(|reason| RecordError { column: column.name.clone(), reason })?;
        }
        out.push(b'}');
        Ok(())
    }

    /// The same with the columns at these places only.
    pub(super) fn write_some(
        &self,
        row: &Row,
        shown: &[usize],
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), RecordError> {
        let begin = out.len();
        for at in shown {
            let Some(column) = self.columns.get(*at) else { continue };
            out.push(if out.len() == begin { b'{' } else { b',' });
            out.extend_from_slice(column.label.get(1..).unwrap_or_default());
            let value = row.as_ref(*at).unwrap_or(&Value::NULL);
            column
                .codec
                .write(value, self.style, out)
                .map_err(|reason| RecordError { column: column.name.clone(), reason })?;
        }
        if out.len() == begin {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    /// The row's key; `None` where a column of it is NULL.
    pub(super) fn key(&self, row: &Row) -> Result<Option<Key>> {
        let mut parts: Vec<KeyPart> = Vec::with_capacity(self.key.len());
        for at in &self.key {
            let value = row.as_ref(*at).unwrap_or(&Value::NULL);
            let Some(column) = self.columns.get(*at) else { return Ok(None) };
            match column.codec.key_part(value) {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => return Ok(None),
                Err(reason) => return Err(SourceError::Key { column: column.name.clone(), reason }),
            }
        }
        Ok(Some(Key::new(parts)))
    }

    /// The name of the key's first column, for messages.
    pub(super) fn key_name(&self) -> String {
        let first = self.key.first().and_then(|at| self.columns.get(*at));
        first.map_or_else(String::new, |column| column.name.clone())
    }
}
