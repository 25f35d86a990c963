//! One document of several tasks: each writes its own fields and leaves those of others alone.

use std::borrow::Cow;

use super::Shape;
use super::fields::{self, Fields, Node};

/// The fields that a task writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFields {
    /// Their names.
    names: Vec<String>,
    /// Those of them that only say which document it is: they alone are nothing to keep a document for.
    key: Vec<String>,
}

/// A document without a task's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// It has none of them.
    Unchanged,
    /// This JSON.
    Document(Vec<u8>),
    /// Nothing but the key: nobody writes to it any more.
    Nothing,
}

impl OwnFields {
    /// The fields of rows with these columns once they are documents; `key` names the columns of the key.
    pub fn new(shape: &Shape, columns: &[String], key: &[&str]) -> Self {
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        let constants = shape.names(&[]);
        let mut key = shape.names(&key);
        key.retain(|name| !constants.contains(name));
        Self { names: shape.names(columns), key }
    }

    /// Writes the current document with its own fields replaced by those of `own`. A field is replaced whole, also
    /// where it holds an object. False where that is what the index has already.
    ///
    /// # Errors
    /// Where one of them is no JSON object.
    pub fn merge(&self, current: &str, own: &[u8], out: &mut Vec<u8>) -> Result<bool, String> {
        let own = std::str::from_utf8(own).ok().and_then(fields::parse);
        let (Some(mut merged), Some(own)) = (fields::parse(current), own) else {
            return Err("the document in the index is no JSON object".to_owned());
        };
        let is_own = |name: &str| self.names.iter().any(|n| n == name) || own.iter().any(|(n, _)| n == name);
        merged.retain(|(name, _)| !is_own(name));
        merged.extend(own.iter().cloned());
        let start = out.len();
        fields::write(&merged, out);
        Ok(out.get(start..) != Some(current.as_bytes()))
    }

    /// The current document without its own fields.
    pub fn without(&self, current: &str) -> Remaining {
        let Some(found) = fields::parse(current) else { return Remaining::Unchanged };
        let among = |names: &[String], name: &str| names.iter().any(|n| n == name);
        let (own, others): (Fields<'_>, Fields<'_>) =
            found.into_iter().partition(|(name, _)| among(&self.names, name));
        let of_key = |(name, _): &(Cow<'_, str>, Node<'_>)| among(&self.key, name);
        if (own.is_empty() || !others.is_empty()) && own.iter().all(of_key) {
            return Remaining::Unchanged;
        }
        if others.is_empty() {
            return Remaining::Nothing;
        }
        // the key stays: the tasks whose document it still is write it too
        let kept: Fields<'_> = own.into_iter().filter(of_key).chain(others).collect();
        let mut out = Vec::new();
        fields::write(&kept, &mut out);
        Remaining::Document(out)
    }
}

/// The text of a row's field: of a number its digits. `None` for null.
///
/// # Errors
/// What was found instead.
pub fn text_of<'r>(row: &'r [u8], name: &str) -> Result<Option<Cow<'r, str>>, String> {
    let found = std::str::from_utf8(row).ok().and_then(fields::parse);
    let node = found.and_then(|found| found.into_iter().find(|(field, _)| field == name));
    let Some((_, Node::Text(json))) = node else { return Err("not there".to_owned()) };
    match json.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str(&json).map(|text: String| Some(Cow::Owned(text))).map_err(|e| e.to_string())
        }
        Some(b'{' | b'[') => Err(json.into_owned()),
        _ if json == "null" => Ok(None),
        _ => Ok(Some(json)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> OwnFields {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        OwnFields::new(&Shape::default(), &names(&["id", "a", "b"]), &["id"])
    }

    fn merged(current: &str, own_json: &str) -> (String, bool) {
        let mut out = Vec::new();
        let changed = own().merge(current, own_json.as_bytes(), &mut out).unwrap();
        (String::from_utf8(out).unwrap(), changed)
    }

    #[test]
    fn fields_of_others_stay_byte_for_byte() {
        let (json, changed) =
            merged(r#"{"id":1,"x":1.50,"a":{"old":1},"y":[1e400]}"#, r#"{"id":1,"a":{"new":2}}"#);
        assert_eq!(json, r#"{"x":1.50,"y":[1e400],"id":1,"a":{"new":2}}"#);
        assert!(changed);
        assert_eq!(merged(&json, r#"{"id":1,"a":{"new":2}}"#), (json.clone(), false));
    }

    #[test]
    fn a_field_that_the_row_has_no_more_goes() {
        assert_eq!(merged(r#"{"id":1,"a":1,"b":2,"x":3}"#, r#"{"id":1,"a":1}"#).0, r#"{"x":3,"id":1,"a":1}"#);
    }

    #[test]
    fn without_its_fields_a_document_stays_as_long_as_another_has_some() {
        let without = |json: &str| own().without(json);
        assert_eq!(without(r#"{"id":1,"x":3}"#), Remaining::Unchanged);
        assert_eq!(without(r#"{"id":1,"a":1,"x":3}"#), Remaining::Document(br#"{"id":1,"x":3}"#.to_vec()));
        assert_eq!(without(r#"{"id":1,"a":1,"b":null}"#), Remaining::Nothing);
        assert_eq!(without(r#"{"id":1}"#), Remaining::Nothing);
        assert_eq!(without(r#"{"x":1}"#), Remaining::Unchanged);
        assert_eq!(without("{}"), Remaining::Unchanged);
    }
}
