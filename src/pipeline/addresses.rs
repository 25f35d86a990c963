//! Where documents are in the index: keys as `_id`s and back, and the routing of each.

use std::borrow::Cow;

use crate::document::text_of;
use crate::mapping::KeyColumn;
use crate::model::{ColumnKind, Key, KeyPart};

/// How keys and `_id`s belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdTemplate {
    before: String,
    /// The key's columns by number, each with the text that follows it.
    parts: Vec<(usize, String)>,
}

/// Where a document's routing comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Routing {
    /// There is none: the server takes the `_id`.
    None,
    /// A column of the key: it never changes.
    Key(usize),
    /// A column of the query's result: it may change, and where nobody has the row it is not known.
    Column(String),
}

/// Where the documents of a task are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ids: IdTemplate,
    pub(super) routing: Routing,
}

impl IdTemplate {
    /// The key's columns, joined by `|`.
    pub(super) fn plain(columns: usize) -> Self {
        let follows = |at: usize| if at + 1 < columns { "|" } else { "" };
        Self { before: String::new(), parts: (0..columns).map(|at| (at, follows(at).to_owned())).collect() }
    }

    /// Reads a template: each column of the key once, in braces.
    ///
    /// # Errors
    /// What was found and what to do.
    pub(super) fn parse(text: &str, columns: &[KeyColumn]) -> Result<Self, String> {
        let names = || columns.iter().map(|c| format!("{{{}}}", c.output)).collect::<Vec<_>>().join(" and ");
        let wrong =
            |what: String| format!("{text:?}: {what}; write {} once each, with text between", names());
        if text.contains('\\') {
            return Err(wrong("\\ is what separators within a key are escaped by".to_owned()));
        }
        let mut pieces = text.split('{');
        let before = pieces.next().unwrap_or_default().to_owned();
        let mut parts: Vec<(usize, String)> = Vec::new();
        for piece in pieces {
            let (name, follows) = piece.split_once('}').ok_or_else(|| wrong("a { without a }".to_owned()))?;
            let column = columns.iter().position(|c| c.output == name);
            let column = column.ok_or_else(|| wrong(format!("{{{name}}} is no column of query.key")))?;
            if parts.iter().any(|(known, _)| *known == column) {
                return Err(wrong(format!("{{{name}}} stands twice")));
            }
            if parts.last().is_some_and(|(_, text)| text.is_empty()) {
                return Err(wrong(format!("nothing stands before {{{name}}}")));
            }
            parts.push((column, follows.to_owned()));
        }
        if parts.len() < columns.len() {
            return Err(wrong("a column of the key is missing".to_owned()));
        }
        Ok(Self { before, parts })
    }

    /// The document's `_id`. With several columns, `\` and what a text between them begins with get a `\` before
    /// them, so that no two keys have the same.
    pub(super) fn id_of(&self, key: &Key) -> String {
        if let [KeyPart::DocumentId(id)] = key.parts() {
            return id.to_string();
        }
        let mut id = self.before.clone();
        for (column, follows) in &self.parts {
            let text = key.parts().get(*column).map(ToString::to_string).unwrap_or_default();
            if self.parts.len() == 1 {
                id.push_str(&text);
            } else {
                for c in text.chars() {
                    if c == '\\' || self.begins(c) {
                        id.push('\\');
                    }
                    id.push(c);
                }
            }
            id.push_str(follows);
        }
        id
    }

    /// The key that has this `_id`; for an id that is no key of the query one that does not fit ([`fits`]): such
    /// a document has no row.
    pub(super) fn key_of(&self, columns: &[KeyColumn], id: &str) -> Key {
        let key = self.texts(id).and_then(|texts| {
            let parts: Option<Vec<KeyPart>> =
                columns.iter().zip(&texts).map(|(c, text)| part_of(c.kind, text)).collect();
            parts.filter(|parts| parts.len() == texts.len()).map(Key::new)
        });
        let key = key.filter(|key| self.id_of(key) == id);
        key.unwrap_or_else(|| Key::new([KeyPart::DocumentId(id.into())]))
    }

    /// True for the first character of a text between two columns.
    fn begins(&self, c: char) -> bool {
        let between = self.parts.iter().take(self.parts.len().saturating_sub(1));
        between.clone().any(|(_, follows)| follows.starts_with(c))
    }

    /// The texts of the key's columns, in the key's order.
    fn texts(&self, id: &str) -> Option<Vec<String>> {
        let (_, end) = self.parts.last()?;
        let mut rest = id.strip_prefix(self.before.as_str())?.strip_suffix(end.as_str())?;
        let mut texts = vec![String::new(); self.parts.len()];
        if let ([_], [text]) = (self.parts.as_slice(), texts.as_mut_slice()) {
            rest.clone_into(text);
            return Some(texts);
        }
        for (number, (column, follows)) in self.parts.iter().enumerate() {
            let text = texts.get_mut(*column)?;
            let last = number + 1 == self.parts.len();
            loop {
                if !last && let Some(after) = rest.strip_prefix(follows.as_str()) {
                    rest = after;
                    break;
                }
                let mut chars = rest.chars();
                match chars.next() {
                    Some('\\') => text.push(chars.next()?),
                    Some(c) => text.push(c),
                    None if last => break,
                    None => return None,
                }
                rest = chars.as_str();
            }
        }
        Some(texts)
    }
}

impl Routing {
    /// Where the routing comes from, if the task has one.
    pub(super) fn of(column: Option<&str>, key: &[KeyColumn]) -> Self {
        let Some(column) = column else { return Self::None };
        let in_key = key.iter().position(|c| c.output == column);
        in_key.map_or_else(|| Self::Column(column.to_owned()), Self::Key)
    }
}

impl Addresses {
    /// The routing of a key, as far as the key tells.
    pub(super) fn routing_of(&self, key: &Key) -> Option<String> {
        match self.routing {
            // a document that no key of the query has
            _ if matches!(key.parts(), [KeyPart::DocumentId(_)]) => None,
            Routing::Key(at) => key.parts().get(at).map(ToString::to_string),
            Routing::None | Routing::Column(_) => None,
        }
    }

    /// The routing of a row.
    ///
    /// # Errors
    /// Where its column has nothing that can be one: why.
    pub(super) fn routing_of_row<'r>(
        &self,
        key: &Key,
        row: &'r [u8],
    ) -> Result<Option<Cow<'r, str>>, String> {
        let Routing::Column(name) = &self.routing else { return Ok(self.routing_of(key).map(Cow::Owned)) };
        let wrong = |what: &str| {
            Err(format!(
                "sink.elasticsearch.routing: column {name:?} is {what}; \
            give it a number or a text in every row"
            ))
        };
        match text_of(row, name) {
            Ok(Some(text)) if text.is_empty() => wrong("empty"),
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) => wrong("NULL"),
            Err(found) => wrong(&found),
        }
    }

    /// True where a document with this routing is not where this task writes the key's.
    pub(super) fn is_elsewhere(&self, key: &Key, routing: Option<&str>) -> bool {
        match self.routing {
            Routing::Column(_) => false,
            _ => self.routing_of(key).as_deref() != routing,
        }
    }
}

/// True where a key has the shape of the query's key.
pub(super) fn fits(columns: &[KeyColumn], key: &Key) -> bool {
    let of_kind = |(column, part): (&KeyColumn, &KeyPart)| match column.kind {
        ColumnKind::Int | ColumnKind::Year | ColumnKind::Bit => {
            matches!(part, KeyPart::Int(_) | KeyPart::UInt(_))
        }
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

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
