//! One execution of a statement: what it is given, what comes back.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as Driver, Params, Row, Statement, Value};

use crate::model::{Key, KeyPart};

use super::document::Encoder;
use super::session::text_at;
use super::value::Style;
use super::{Result, SourceError};

/// Warnings that say that a value was cut: GROUP_CONCAT's, and that of everything beyond max_allowed_packet.
const CUT: [&str; 2] = ["1260", "1301"];

/// The driver's errors outside, ours inside.
pub(super) type Done<T> = std::result::Result<Result<T>, Driver>;

/// Runs the opening statements; the last value that came is the wait's answer.
pub(super) async fn open(conn: &mut Conn, sql: &str) -> Done<Option<String>> {
    let mut result = conn.query_iter(sql).await?;
    let mut answer = None;
    while !result.is_empty() {
        for row in result.collect::<Row>().await? {
            answer = text_at(&row, 0);
        }
    }
    // An error of a later statement looks like an empty result until it is asked for.
    result.drop_result().await?;
    Ok(Ok(answer))
}

/// Executes a statement and hands its rows on, one by one.
pub(super) async fn execute(
    conn: &mut Conn,
    statement: &Statement,
    params: Vec<Value>,
    (key, style): (&[usize], &Style),
    mut each: impl FnMut(&Encoder<'_>, &Row) -> Result<()>,
) -> Done<()> {
    let mut result = conn.exec_iter(statement, Params::Positional(params)).await?;
    let encoder = match Encoder::new(&result.columns().unwrap_or_default(), key, style) {
        Ok(encoder) => encoder,
        Err(error) => return Ok(Err(error)),
    };
    let mut failed = Ok(());
    result
        .for_each(|row| {
            if failed.is_ok() {
                failed = each(&encoder, &row);
            }
        })
        .await?;
    let warnings = result.warnings();
    drop(result);
    if warnings > 0 && failed.is_ok() {
        failed = cut_values(conn).await?;
    }
    Ok(failed)
}

/// An error where the statement before warned that it cut a value.
async fn cut_values(conn: &mut Conn) -> Done<()> {
    let warnings: Vec<Row> = conn.query("SHOW WARNINGS").await?;
    let cut = warnings.iter().find(|row| text_at(row, 1).is_some_and(|code| CUT.contains(&code.as_str())));
    Ok(match cut {
        Some(row) => Err(SourceError::Truncated { message: text_at(row, 2).unwrap_or_default() }),
        None => Ok(()),
    })
}

/// The values of the keys, padded, as often as the statement asks for them.
pub(super) fn parameters(keys: &[Key], size: usize, takes: usize) -> Result<Vec<Value>> {
    let padding = keys.last().into_iter().cycle().take(size.saturating_sub(keys.len()));
    let once: Vec<Value> = keys.iter().chain(padding).flat_map(Key::parts).map(bound).collect();
    if once.is_empty() || takes == 0 || !takes.is_multiple_of(once.len()) {
        return Err(SourceError::Parameters { takes, given: once.len() });
    }
    let count = once.len();
    Ok(if takes == count { once } else { once.into_iter().cycle().take(takes).collect() })
}

pub(super) fn bound(part: &KeyPart) -> Value {
    match part {
        KeyPart::Int(v) => Value::Int(*v),
        KeyPart::UInt(v) => Value::UInt(*v),
        KeyPart::Text(text) | KeyPart::DocumentId(text) => Value::Bytes(text.as_bytes().to_vec()),
        KeyPart::Binary(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_padded_and_repeated() {
        let keys = [Key::int(1), Key::int(2), Key::int(3)];
        let three_of_four: Vec<Value> = [1, 2, 3, 3].map(Value::Int).to_vec();
        assert_eq!(parameters(&keys, 4, 4).unwrap(), three_of_four);
        assert_eq!(parameters(&keys, 4, 8).unwrap(), [three_of_four.clone(), three_of_four].concat());
        assert!(parameters(&keys, 4, 6).is_err());
        assert!(parameters(&keys, 4, 0).is_err());
    }
}
