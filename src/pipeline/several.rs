//! Several rows of one id as one document (`query.rows: Array`).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object in their order, with values as text.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// One document of these rows: each member is an array of the rows' values, but for those named in `single`, which
/// are the same in all rows.
///
/// # Errors
/// A row that is no JSON object.
pub(super) fn merged(rows: &[Vec<u8>], single: &[&str]) -> Result<Vec<u8>, String> {
    let rows: Result<Vec<Members>, _> = rows.iter().map(|row| serde_json::from_slice(row)).collect();
    let rows = rows.map_err(|error| format!("a row is no JSON object: {error}"))?;
    let mut out = b"{".to_vec();
    let Some(first) = rows.first() else { return Ok(b"{}".to_vec()) };
    for (at, (name, value)) in first.0.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
        out.push(b':');
        if single.contains(&name.as_str()) {
            out.extend_from_slice(value.get().as_bytes());
            continue;
        }
        let values = rows.iter().map(|row| row.0.get(at).map_or("null", |(_, value)| value.get()));
        out.push(b'[');
        out.extend_from_slice(values.collect::<Vec<_>>().join(",").as_bytes());
        out.push(b']');
    }
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_rows_order() {
        let rows = [br#"{"id":1,"a":"x","n":1.50}"#.to_vec(), br#"{"id":1,"a":null,"n":2}"#.to_vec()];
        let one = merged(&rows, &["id"]).unwrap();
        assert_eq!(String::from_utf8(one).unwrap(), r#"{"id":1,"a":["x",null],"n":[1.50,2]}"#);
        assert!(merged(&[b"[]".to_vec()], &[]).is_err());
    }
}
