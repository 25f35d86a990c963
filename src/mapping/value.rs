//! Values of row images as parts of keys, in the spelling that the main query's result has too.

use super::error::MappingError;
use crate::model::{Charset, Column, ColumnKind, KeyPart, TableName, Value, decode_text};

/// A column whose values become part of a key.
#[derive(Clone, Debug)]
pub(super) struct Part {
    name: String,
    at: usize,
    /// Positions of the columns that a generated column is computed from.
    bases: Vec<usize>,
    kind: ColumnKind,
    charset: Charset,
    width: u32,
}

impl Part {
    /// The column `event` at position `at`; `known` is the same column in the schema that the plan was compiled for.
    pub(super) fn new(
        table: &TableName,
        event: &Column,
        known: Option<&Column>,
        at: usize,
        bases: Vec<usize>,
    ) -> Result<Self, MappingError> {
        use ColumnKind as K;
        let fail = |found: String| MappingError::MissingColumn {
            table: table.clone(),
            column: event.name.clone(),
            found,
        };
        let binary = |kind| matches!(kind, K::Binary | K::FixedBinary);
        if let Some(known) = known.filter(|k| k.kind != event.kind && !(binary(k.kind) && binary(event.kind)))
        {
            let found = format!("there it is {:?}, the query was compiled for {:?}", event.kind, known.kind);
            return Err(fail(found));
        }
        let collation = event.collation.or_else(|| known.and_then(|k| k.collation));
        let charset = collation.map_or(Charset::Other, Charset::of_collation);
        Ok(Self { name: event.name.clone(), at, bases, kind: event.kind, charset, width: event.width })
    }

    /// Where its value stands: in the event before [`Part::move_to`], among the decoded values after it.
    pub(super) fn slot(&self) -> usize {
        self.at
    }

    pub(super) fn bases(&self) -> &[usize] {
        &self.bases
    }

    /// Every position that it needs.
    pub(super) fn positions(&self) -> Vec<usize> {
        std::iter::once(self.at).chain(self.bases.iter().copied()).collect()
    }

    pub(super) fn move_to(&mut self, slot: impl Fn(&mut usize)) {
        slot(&mut self.at);
        self.bases.iter_mut().for_each(slot);
    }

    pub(super) fn absent(&self, table: &TableName, image: &'static str) -> MappingError {
        MappingError::AbsentColumn { table: table.clone(), column: self.name.clone(), image }
    }

    /// The value as part of a key; `None` for NULL.
    pub(super) fn convert(
        &self,
        table: &TableName,
        value: &Value<'_>,
    ) -> Result<Option<KeyPart>, MappingError> {
        let fail = |found: String| MappingError::Value {
            table: table.clone(),
            column: self.name.clone(),
            found,
            remedy: "correct the row; its documents are rebuilt",
        };
        let text = |text: String| Some(KeyPart::Text(text.into()));
        Ok(match value {
            Value::Null => None,
            Value::Absent => return Err(self.absent(table, "before")),
            Value::Int(number) => Some(KeyPart::Int(*number)),
            Value::UInt(number) => Some(KeyPart::from_u64(*number)),
            Value::Decimal(decimal) => text(decimal.to_string()),
            Value::Bytes(bytes) => Some(self.bytes(bytes).ok_or_else(|| {
                let shown = KeyPart::Binary(bytes.iter().take(24).copied().collect());
                fail(format!("the bytes {shown} (not text of {:?})", self.charset))
            })?),
            Value::Date { year, month, day } => text(format!("{year:04}-{month:02}-{day:02}")),
            Value::DateTime { year, month, day, hour, minute, second, micros } => text(format!(
                "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{}",
                self.fraction(*micros)
            )),
            Value::Time { negative, hours, minute, second, micros } => text(format!(
                "{}{hours:02}:{minute:02}:{second:02}{}",
                if *negative { "-" } else { "" },
                self.fraction(*micros)
            )),
            other => return Err(fail(format!("a value of {:?} ({other:?})", self.kind))),
        })
    }

    fn bytes(&self, bytes: &[u8]) -> Option<KeyPart> {
        match self.kind {
            ColumnKind::Text => decode_text(self.charset, bytes).map(|text| KeyPart::Text(text.into())),
            ColumnKind::FixedBinary => {
                let mut padded = bytes.to_vec();
                padded.resize(padded.len().max(self.width as usize), 0);
                Some(KeyPart::Binary(padded.into()))
            }
            ColumnKind::Binary => Some(KeyPart::Binary(bytes.into())),
            _ => None,
        }
    }

    /// The fraction of a second with the declared digits.
    fn fraction(&self, micros: u32) -> String {
        match self.width.min(6) {
            0 => String::new(),
            digits => format!(".{:0width$}", micros / 10u32.pow(6 - digits), width = digits as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: ColumnKind, width: u32, collation: Option<u16>) -> Part {
        let column = Column { name: "c".into(), kind, unsigned: false, collation, width };
        Part::new(&TableName::new("s", "t"), &column, None, 0, vec![]).unwrap()
    }

    fn spelled(part: &Part, value: &Value<'_>) -> String {
        match part.convert(&TableName::new("s", "t"), value) {
            Ok(Some(key)) => key.to_string(),
            Ok(None) => "NULL".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn spelled_as_the_server_spells_them() {
        use ColumnKind as K;
        let day =
            |micros| Value::DateTime { year: 2026, month: 1, day: 2, hour: 3, minute: 4, second: 5, micros };
        let time = Value::Time { negative: true, hours: 123, minute: 4, second: 5, micros: 60_000 };
        for (part, value, want) in [
            (part(K::Int, 0, None), Value::Int(-1), "-1"),
            (part(K::Int, 0, None), Value::UInt(u64::MAX), "18446744073709551615"),
            (part(K::Text, 0, Some(8)), Value::Bytes(b"\xe9".into()), "é"),
            (part(K::FixedBinary, 4, Some(63)), Value::Bytes(b"\x01\x02".into()), "01020000"),
            (part(K::Binary, 0, Some(63)), Value::Bytes(b"\x01".into()), "01"),
            (part(K::Decimal, 0, None), Value::Decimal("1.50".into()), "1.50"),
            (part(K::DateTime, 0, None), day(0), "2026-01-02 03:04:05"),
            (part(K::DateTime, 3, None), day(70_000), "2026-01-02 03:04:05.070"),
            (part(K::Time, 2, None), time, "-123:04:05.06"),
            (part(K::Date, 0, None), Value::Date { year: 0, month: 0, day: 0 }, "0000-00-00"),
            (part(K::Int, 0, None), Value::Null, "NULL"),
        ] {
            assert_eq!(spelled(&part, &value), want);
        }
        let bad = spelled(&part(K::Text, 0, Some(45)), &Value::Bytes(b"\xff".into()));
        assert!(bad.contains("s.t.c: the bytes ff"), "{bad}");
    }
}
