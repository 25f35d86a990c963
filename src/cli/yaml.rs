//! YAML documents as JSON values that remember the line of each field.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// Its content.
    pub(super) value: Value,
    lines: BTreeMap<String, u64>,
}

impl Document {
    /// The line of a field like `spec.source.host` or `spec.sink.elasticsearch.addresses[0]`; of a field that is
    /// not there, the line of the nearest one around it.
    pub(super) fn line(&self, field: &str) -> u64 {
        let mut field = field;
        loop {
            if let Some(line) = self.lines.get(field) {
                return *line;
            }
            match field.rfind(['.', '[']).and_then(|at| field.split_at_checked(at)) {
                Some((around, _)) => field = around,
                None => return self.lines.get("").copied().unwrap_or_default(),
            }
        }
    }
}

/// A text that is no YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The line, 0 where unknown.
    pub(super) line: u64,
    /// What the parser says.
    pub(super) message: String,
}

/// The documents of a text, empty ones left out. Messages quote nothing of the text: it holds Secrets.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Broken> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
    };
    let roots: Result<Vec<Spanned<Node>>, _> = serde_saphyr::from_multiple_with_options(text, options);
    Ok(roots.map_err(|error| broken(&error))?.into_iter().map(document).collect())
}

/// The parser's own words quote nothing but a key that is there twice.
fn broken(error: &serde_saphyr::Error) -> Broken {
    let message = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } if is_field_name(key) => {
            format!("{key:?} is there twice")
        }
        serde_saphyr::Error::DuplicateMappingKey { .. } => "a key is there twice".to_owned(),
        serde_saphyr::Error::NonFiniteFloat { .. } => {
            "a number that is none; put it in quotes if it is meant as a text".to_owned()
        }
        error => error.to_string(),
    };
    Broken { line: error.location().map_or(0, |l| l.line()), message }
}

/// Whether a key may be shown: what is none may be a password whose colon was forgotten.
pub(super) fn is_field_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn document(root: Spanned<Node>) -> Document {
    let mut lines = BTreeMap::from([(String::new(), root.referenced.line())]);
    let value = plain(root.value, "", &mut lines);
    Document { value, lines }
}

fn plain(node: Node, path: &str, lines: &mut BTreeMap<String, u64>) -> Value {
    match node {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let item = |(i, item): (usize, Spanned<Node>)| {
                let path = format!("{path}[{i}]");
                lines.insert(path.clone(), item.referenced.line());
                plain(item.value, &path, lines)
            };
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        Node::Map(fields) => {
            let field = |(name, node): (Spanned<String>, Node)| {
                let path =
                    if path.is_empty() { name.value.clone() } else { format!("{path}.{}", name.value) };
                lines.insert(path.clone(), name.referenced.line());
                (name.value, plain(node, &path, lines))
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
    }
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Node, E> {
        Ok(Node::Scalar(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Node, E> {
        Ok(Node::Scalar(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Node, E> {
        Ok(Node::Scalar(v.into()))
    }

    fn visit_i128<E>(self, v: i128) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_i128(v).map_or(Value::Null, Value::Number)))
    }

    fn visit_u128<E>(self, v: u128) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_u128(v).map_or(Value::Null, Value::Number)))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(v).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Node, E> {
        Ok(Node::Scalar(v.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_lines() {
        let text =
            "a: 1\nb:\n  - x: true\n    y: ~\n  - 'z'\n---\n---\n# second\nc: 18446744073709551615\nd: 1.5\n";
        let documents = documents(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].value, serde_json::json!({"a": 1, "b": [{"x": true, "y": null}, "z"]}));
        let line = |field| documents[0].line(field);
        assert_eq!((line("a"), line("b[0].y"), line("b[1]"), line("b[0].gone[3].x")), (1, 4, 5, 3));
        assert_eq!(documents[1].value.to_string(), "{\"c\":18446744073709551615,\"d\":1.5}");
        let texts = super::documents("[no, y, 2026-11-21]").unwrap();
        assert_eq!(texts[0].value, serde_json::json!(["no", "y", "2026-11-21"]));
        assert_eq!((documents[1].line("d"), documents[1].line("")), (10, 9));
    }

    #[test]
    fn what_is_no_yaml_is_named_by_line_and_not_quoted() {
        for text in ["a: 1\npassword: planted: x\n", "a: [planted\n", "a: 1\na: planted\n", "a: \"planted\n"]
        {
            let broken = documents(text).unwrap_err();
            assert!(broken.line > 0 && !broken.message.contains("planted"), "{broken:?}");
            assert!(!broken.message.contains("1e999"), "{broken:?}");
        }
    }
}
