//! Document ids back into keys, for the sweep of an index.

use crate::mapping::KeyColumn;
use crate::model::{ColumnKind, Key, KeyPart};

/// The key that has this `_id`. An id that is no key of the query gives one that does not fit
/// ([`fits`]): such a document has no row.
pub(super) fn key_of(columns: &[KeyColumn], id: &str) -> Key {
    let texts = if columns.len() > 1 { split(id) } else { vec![id.to_owned()] };
    let foreign = || Key::new([KeyPart::Text(id.into())]);
    if texts.len() != columns.len() {
        return foreign();
    }
    let parts: Option<Vec<KeyPart>> = columns.iter().zip(&texts).map(|(c, text)| part_of(c.kind, text)).collect();
    let key = parts.map(Key::new).filter(|key| key.document_id() == id);
    key.unwrap_or_else(foreign)
}

/// True where a key has the shape of the query's key.
pub(super) fn fits(columns: &[KeyColumn], key: &Key) -> bool {
    let of_kind = |(column, part): (&KeyColumn, &KeyPart)| match column.kind {
        ColumnKind::Int | ColumnKind::Year | ColumnKind::Bit => matches!(part, KeyPart::Int(_) | KeyPart::UInt(_)),
        ColumnKind::FixedBinary | ColumnKind::Binary => matches!(part, KeyPart::Binary(_)),
        _ => matches!(part, KeyPart::Text(_)),
    };
    key.parts().len() == columns.len() && columns.iter().zip(key.parts()).all(of_kind)
}

fn part_of(kind: ColumnKind, text: &str) -> Option<KeyPart> {
    Some(match kind {
        ColumnKind::Int | ColumnKind::Year | ColumnKind::Bit => match text.parse::<i64>() {
            Ok(value) => KeyPart::Int(value),
            Err(_) => KeyPart::from_u64(text.parse().ok()?),
        },
        ColumnKind::FixedBinary | ColumnKind::Binary => KeyPart::Binary(unhex(text)?.into()),
        _ => KeyPart::Text(text.into()),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high * 16 + low).collect())
}

/// Splits a composite id at its bare `|`.
fn split(id: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut chars = id.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => texts.push(String::new()),
            c => {
                let c = if c == '\\' { chars.next().unwrap_or('\\') } else { c };
                if let Some(last) = texts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    texts
}
