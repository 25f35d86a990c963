//! Names with separators into objects.

use std::borrow::Cow;

use super::fields::{Fields, Node};

/// Puts every field whose name has separators into the objects that its name leads through. An error names
/// the field, and what stands in its way.
pub(super) fn nest<'a>(fields: Fields<'a>, sep: &str) -> Result<Fields<'a>, (String, String)> {
    let mut nested = Fields::with_capacity(fields.len());
    for (name, node) in fields {
        let parts: Vec<String> = name.split(sep).map(str::to_owned).collect();
        if parts.len() > 1 && parts.iter().any(String::is_empty) {
            return Err((name.into_owned(), "a part of its name is empty".to_owned()));
        }
        match parts.split_last() {
            Some((last, path)) if !path.is_empty() => {
                insert(&mut nested, path, last, node).map_err(|why| (name.into_owned(), why))?;
            }
            _ => nested.push((name, node)),
        }
    }
    Ok(nested)
}

fn insert<'a>(fields: &mut Fields<'a>, path: &[String], last: &str, node: Node<'a>) -> Result<(), String> {
    let Some((head, rest)) = path.split_first() else {
        if fields.iter().any(|(name, _)| name == last) {
            return Err(format!("there is a field {last:?} in that object already"));
        }
        fields.push((Cow::Owned(last.to_owned()), node));
        return Ok(());
    };
    let at = fields.iter().position(|(name, _)| name == head);
    if at.is_none() {
        fields.push((Cow::Owned(head.clone()), Node::Object(Fields::new())));
    }
    let at = at.unwrap_or(fields.len() - 1);
    let object = fields.get_mut(at).and_then(|(_, node)| node.object());
    match object {
        Some(object) => insert(object, rest, last, node),
        None => Err(format!("the field {head:?} is there and is no object")),
    }
}
