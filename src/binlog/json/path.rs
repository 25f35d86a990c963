//! JSON paths as the server writes them into differences: `$.a[0]."x y"`, no wildcards.

use crate::binlog::error::Malformed;

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Leg {
    /// A member of an object.
    Member(String),
    /// An element of an array.
    Cell(usize),
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Result<Vec<Leg>, Malformed> {
    const BROKEN: Malformed = Malformed("a JSON path cannot be read");
    let mut rest = path.strip_prefix('$').ok_or(BROKEN)?;
    let mut legs = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, more) = after.split_once(']').ok_or(BROKEN)?;
            legs.push(Leg::Cell(index.trim().parse().map_err(|_| BROKEN)?));
            rest = more;
        } else {
            let after = rest.strip_prefix('.').ok_or(BROKEN)?;
            let (name, more) = if after.starts_with('"') {
                let end = quoted_len(after).ok_or(BROKEN)?;
                let (quoted, more) = after.split_at_checked(end).ok_or(BROKEN)?;
                (serde_json::from_str(quoted).map_err(|_| BROKEN)?, more)
            } else {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, more) = after.split_at_checked(end).ok_or(BROKEN)?;
                (name.to_owned(), more)
            };
            legs.push(Leg::Member(name));
            rest = more;
        }
    }
    Ok(legs)
}

/// Bytes of the quoted string at the start, both quotes counted.
fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|b| {
        let end = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        end
    })?;
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let member = |name: &str| Leg::Member(name.into());
        assert_eq!(parse("$"), Ok(vec![]));
        assert_eq!(parse("$.a[2].c"), Ok(vec![member("a"), Leg::Cell(2), member("c")]));
        assert_eq!(parse(r#"$."x \"y].".é"#), Ok(vec![member("x \"y]."), member("é")]));
        for bad in ["", "a", "$a", "$[x]", "$[1", "$.\"a", "$[last]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
