//! JSON opened as far as somebody looks into it: everything else stays text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object, in their order.
pub(super) type Fields<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// Not opened: its JSON text.
    Text(Cow<'a, str>),
    /// An object that was opened or made.
    Object(Fields<'a>),
    /// An array that was opened.
    Array(Vec<Node<'a>>),
}

/// The fields of an object's JSON text; `None` where it is no object.
pub(super) fn parse(json: &str) -> Option<Fields<'_>> {
    let Pairs(pairs) = serde_json::from_str(json).ok()?;
    Some(pairs.into_iter().map(|(name, value)| (name, Node::Text(Cow::Borrowed(value.get())))).collect())
}

/// Writes an object.
pub(super) fn write(fields: &Fields<'_>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, node) in fields {
        out.push(before);
        before = b',';
        out.extend_from_slice(quoted(name).as_bytes());
        out.push(b':');
        node.write(out);
    }
    if fields.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'a> Node<'a> {
    /// A value of this JSON text.
    pub(super) fn json(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// Its JSON text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            other => {
                let mut out = Vec::new();
                other.write(&mut out);
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
        }
    }

    /// True for null.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Text(text) if text == "null")
    }

    /// Its fields, where it is an object.
    pub(super) fn object(&mut self) -> Option<&mut Fields<'a>> {
        self.open();
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// Calls `each` with the field of this path in every object that has it. A field whose name is the whole path
    /// is meant first; else dots lead into objects, and through arrays into each of their elements.
    pub(super) fn at<E>(
        &mut self,
        path: &str,
        each: &mut dyn FnMut(&mut Fields<'a>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open();
        match self {
            Self::Object(fields) => at(fields, path, each),
            Self::Array(elements) => elements.iter_mut().try_for_each(|element| element.at(path, each)),
            Self::Text(_) => Ok(()),
        }
    }

    fn open(&mut self) {
        let Self::Text(text) = self else { return };
        let opened = match text {
            Cow::Borrowed(text) => open(text),
            Cow::Owned(text) => open(text).map(Node::into_owned),
        };
        if let Some(opened) = opened {
            *self = opened;
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Object(fields) => write(fields, out),
            Self::Array(elements) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
        }
    }

    fn into_owned<'b>(self) -> Node<'b> {
        match self {
            Self::Text(text) => Node::Text(Cow::Owned(text.into_owned())),
            Self::Object(fields) => {
                let owned = |(name, node): (Cow<'_, str>, Node<'_>)| {
                    (Cow::Owned(name.into_owned()), node.into_owned())
                };
                Node::Object(fields.into_iter().map(owned).collect())
            }
            Self::Array(elements) => Node::Array(elements.into_iter().map(Node::into_owned).collect()),
        }
    }
}

/// [`Node::at`] for an object's fields.
pub(super) fn at<'a, E>(
    fields: &mut Fields<'a>,
    path: &str,
    each: &mut dyn FnMut(&mut Fields<'a>, &str) -> Result<(), E>,
) -> Result<(), E> {
    if fields.iter().any(|(name, _)| name == path) {
        return each(fields, path);
    }
    let Some((head, rest)) = path.split_once('.') else { return Ok(()) };
    for (_, node) in fields.iter_mut().filter(|(name, _)| name == head) {
        node.at(rest, each)?;
    }
    Ok(())
}

fn open(text: &str) -> Option<Node<'_>> {
    match text.trim_start().as_bytes().first()? {
        b'{' => parse(text).map(Node::Object),
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Some(Node::Array(
                elements.into_iter().map(|value| Node::Text(Cow::Borrowed(value.get()))).collect(),
            ))
        }
        _ => None,
    }
}

/// An object's members in their order, duplicates included.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_touches_keeps_its_bytes() {
        let row = r#"{"b":1.50,"a":{"x": 18446744073709551616, "y":[1e400]},"a":"\u00e9","c\"d":null}"#;
        let mut out = Vec::new();
        write(&parse(row).unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), row);
        assert!(parse("[1]").is_none() && parse("{").is_none());
        let mut empty = Vec::new();
        write(&parse("{}").unwrap(), &mut empty);
        assert_eq!(empty, b"{}");
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let mut fields = parse(r#"{"a.b":1,"a":{"b":2,"c":[{"d":3},{"e":4},{"d":5}]}}"#).unwrap();
        let mut found = |path: &str| {
            let mut values = Vec::new();
            let done: Result<(), ()> = at(&mut fields, path, &mut |fields, name| {
                let here = fields.iter().filter(|(n, _)| n == name);
                values.extend(here.map(|(_, node)| node.text().into_owned()));
                Ok(())
            });
            assert_eq!(done, Ok(()));
            values
        };
        assert_eq!(found("a.b"), ["1"], "the whole name first");
        assert_eq!(found("a.c.d"), ["3", "5"]);
        assert_eq!(found("a.x"), [""; 0]);
    }
}
