//! Foreign keys as SHOW CREATE TABLE prints them.
//!
//! MariaDB, and MySQL before 8.0, show foreign keys in information_schema only to an account that may do more than
//! read the table; SHOW CREATE TABLE asks for SELECT alone.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::model::{ForeignKey, TableName};

/// A piece of the statement.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// A quoted name.
    Name(String),
    /// A keyword, or a name that the server did not quote.
    Word(String),
    /// Any other sign.
    Sign(char),
}

/// The foreign keys of the statement. `schema` is the one of the table, which parents without a schema share.
/// Strings are stepped over: a comment may say anything.
pub(super) fn foreign_keys(statement: &str, schema: &str) -> Vec<ForeignKey> {
    let mut pieces = pieces(statement).into_iter().peekable();
    let mut found = Vec::new();
    while let Some(piece) = pieces.next() {
        if is(&piece, "FOREIGN") && next_is(&mut pieces, "KEY") {
            found.extend(foreign_key(&mut pieces, schema));
        }
    }
    found
}

type Pieces = Peekable<IntoIter<Piece>>;

fn foreign_key(pieces: &mut Pieces, schema: &str) -> Option<ForeignKey> {
    // an index name may come first in other tools' output
    let _ = name(pieces);
    let columns = names(pieces)?;
    next_is(pieces, "REFERENCES").then_some(())?;
    let first = name(pieces)?;
    let parent = if pieces.next_if_eq(&Piece::Sign('.')).is_some() {
        TableName::new(first, name(pieces)?)
    } else {
        TableName::new(schema, first)
    };
    let parent_columns = names(pieces)?;
    let mut key =
        ForeignKey { columns, parent, parent_columns, acts_on_delete: false, acts_on_update: false };
    while next_is(pieces, "ON") {
        let on_delete = next_is(pieces, "DELETE");
        if !on_delete && !next_is(pieces, "UPDATE") {
            break;
        }
        // CASCADE, SET NULL and SET DEFAULT act; RESTRICT and NO ACTION do not
        let acts = pieces.peek().is_some_and(|piece| is(piece, "CASCADE") || is(piece, "SET"));
        let two = pieces.peek().is_some_and(|piece| is(piece, "SET") || is(piece, "NO"));
        let slot = if on_delete { &mut key.acts_on_delete } else { &mut key.acts_on_update };
        *slot = acts;
        pieces.nth(usize::from(two));
    }
    Some(key)
}

fn is(piece: &Piece, keyword: &str) -> bool {
    matches!(piece, Piece::Word(word) if word.eq_ignore_ascii_case(keyword))
}

fn next_is(pieces: &mut Pieces, keyword: &str) -> bool {
    pieces.next_if(|piece| is(piece, keyword)).is_some()
}

fn name(pieces: &mut Pieces) -> Option<String> {
    match pieces.next_if(|piece| !matches!(piece, Piece::Sign(_)))? {
        Piece::Name(name) | Piece::Word(name) => Some(name),
        Piece::Sign(_) => None,
    }
}

/// `(a, b)`.
fn names(pieces: &mut Pieces) -> Option<Vec<String>> {
    pieces.next_if_eq(&Piece::Sign('('))?;
    let mut all = vec![name(pieces)?];
    while pieces.next_if_eq(&Piece::Sign(',')).is_some() {
        all.push(name(pieces)?);
    }
    pieces.next_if_eq(&Piece::Sign(')'))?;
    Some(all)
}

fn pieces(statement: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut chars = statement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '`' | '"' => out.push(Piece::Name(quoted(&mut chars, c))),
            '\'' => drop(quoted(&mut chars, c)),
            c if is_of_name(c) => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| is_of_name(*c)) {
                    word.push(c);
                }
                out.push(Piece::Word(word));
            }
            c if c.is_whitespace() => {}
            c => out.push(Piece::Sign(c)),
        }
    }
    out
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The text up to the quote that ends it; a doubled one belongs to it, and in strings one after a backslash.
fn quoted(chars: &mut Peekable<std::str::Chars<'_>>, quote: char) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c == quote && chars.next_if_eq(&quote).is_none() {
            break;
        }
        text.push(c);
        if c == '\\' && quote == '\'' {
            text.extend(chars.next());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_texts_are_not() {
        let statement = "CREATE TABLE `it``ems` (\n  `id` int(11) NOT NULL COMMENT 'it''s \\' FOREIGN KEY (`x`) REFERENCES `y` (`z`)',\n\
             \x20 `FOREIGN` int(11) DEFAULT NULL,\n  `a,b` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  KEY `k` (`FOREIGN`,`a,b`),\n\
             \x20 CONSTRAINT `c1` FOREIGN KEY (`FOREIGN`, `a,b`) REFERENCES `or)ders` (`id`, `b`) ON DELETE SET NULL ON UPDATE CASCADE,\n\
             \x20 CONSTRAINT `c2` FOREIGN KEY (`id`) REFERENCES `other`.`slots` (`id`) ON UPDATE NO ACTION ON DELETE CASCADE,\n\
             \x20 CONSTRAINT `c3` FOREIGN KEY (`id`) REFERENCES `plain` (`id`)\n) ENGINE=InnoDB COMMENT='FOREIGN KEY'";
        let key = |columns: &[&str], parent: (&str, &str), of: &[&str], on_delete, on_update| ForeignKey {
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            parent: TableName::new(parent.0, parent.1),
            parent_columns: of.iter().map(|c| (*c).to_owned()).collect(),
            acts_on_delete: on_delete,
            acts_on_update: on_update,
        };
        assert_eq!(
            foreign_keys(statement, "shop"),
            [
                key(&["FOREIGN", "a,b"], ("shop", "or)ders"), &["id", "b"], true, true),
                key(&["id"], ("other", "slots"), &["id"], true, false),
                key(&["id"], ("shop", "plain"), &["id"], false, false),
            ]
        );
    }

    #[test]
    fn what_breaks_off_is_no_key() {
        for statement in [
            "FOREIGN KEY (",
            "FOREIGN KEY (`a`) REFERENCES",
            "FOREIGN KEY (`a`) REFERENCES `b` (`c`",
            "`a",
            "'",
        ] {
            assert_eq!(foreign_keys(statement, "s"), [], "{statement}");
        }
        assert_eq!(foreign_keys("FOREIGN KEY (a) REFERENCES b (c) ON", "s").len(), 1);
    }
}
