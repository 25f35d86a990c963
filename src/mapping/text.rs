//! SQL text as tokens with byte offsets: where the placeholder stands, and the pieces around it.

use sqlparser::ast::Ident;
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, Tokenizer, Whitespace};

use super::error::MappingError;

/// One token that is neither space nor comment.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

/// Text with its tokens.
#[derive(Debug, Clone)]
pub(super) struct Lexed {
    pub text: String,
    pub tokens: Vec<Lexeme>,
    /// True where a comment was seen.
    pub comments: bool,
    places: Places,
}

impl Lexed {
    /// Splits SQL of `place` into tokens. Version comments (`/*! */`) are refused: what they hold depends on
    /// the server.
    pub(super) fn new(place: &'static str, text: &str) -> Result<Self, MappingError> {
        let dialect = MySqlDialect {};
        let fail = |found: String| MappingError::Syntax { place, found };
        let raw = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|e| fail(e.to_string()))?;
        let places = Places::new(text);
        let (mut tokens, mut comments) = (Vec::with_capacity(raw.len()), false);
        for spanned in raw {
            let start = places.byte(spanned.span.start);
            // The tokenizer opens version comments: their first token begins where the comment does.
            if text.get(start..).is_some_and(|rest| rest.starts_with("/*!") || rest.starts_with("/*M!")) {
                return Err(fail("a version comment /*! ... */".to_owned()));
            }
            if let Token::Whitespace(space) = &spanned.token {
                comments |=
                    matches!(space, Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_));
                continue;
            }
            let end = places.byte(spanned.span.end);
            tokens.push(Lexeme { token: spanned.token, start, end });
        }
        Ok(Self { text: text.to_owned(), tokens, comments, places })
    }

    /// Byte offset of an identifier that was parsed from this very text.
    pub(super) fn ident_start(&self, ident: &Ident) -> usize {
        self.places.byte(ident.span.start)
    }

    /// Byte offset of a place in this very text.
    pub(super) fn byte(&self, at: Location) -> usize {
        self.places.byte(at)
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or("")
    }
}

/// From the tokenizer's lines and columns of characters to bytes.
#[derive(Debug, Clone)]
struct Places {
    /// Byte offset of each character.
    bytes: Vec<usize>,
    /// Number of each line's first character.
    lines: Vec<usize>,
    end: usize,
}

impl Places {
    fn new(text: &str) -> Self {
        let bytes = text.char_indices().map(|(byte, _)| byte).collect();
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1);
        Self { bytes, lines: std::iter::once(0).chain(breaks).collect(), end: text.len() }
    }

    fn byte(&self, at: Location) -> usize {
        let line = self.lines.get((at.line as usize).saturating_sub(1));
        let character = line.map(|first| first + (at.column as usize).saturating_sub(1));
        character.and_then(|at| self.bytes.get(at)).copied().unwrap_or(self.end)
    }
}

/// Is this token the unquoted keyword?
pub(super) fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

/// Where the mark of the main ids stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the first token of the mark.
    pub token: usize,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// Every `?` and `:name` of the text. A colon within a string or a comment is no token of its own.
pub(super) fn marks(lexed: &Lexed) -> Vec<Mark> {
    let next = |i: usize| lexed.tokens.get(i + 1);
    let mut found = Vec::new();
    for (i, lexeme) in lexed.tokens.iter().enumerate() {
        match &lexeme.token {
            Token::Placeholder(_) => found.push(Mark { token: i, start: lexeme.start, end: lexeme.end }),
            Token::Colon => {
                let name = next(i).filter(|n| n.start == lexeme.end && matches!(n.token, Token::Word(_)));
                let end = name.map_or(lexeme.end, |n| n.end);
                found.push(Mark { token: i, start: lexeme.start, end });
            }
            _ => {}
        }
    }
    found
}

/// The one mark, which must stand alone in `IN ( )`.
pub(super) fn the_mark(lexed: &Lexed) -> Result<Mark, MappingError> {
    let all = marks(lexed);
    let [mark] = all.as_slice() else {
        let shown: Vec<&str> = all.iter().map(|m| lexed.slice(m.start, m.end)).collect();
        return Err(MappingError::placeholder(match shown.len() {
            0 => "no placeholder was found".to_owned(),
            n => format!("{n} placeholders were found ({})", shown.join(", ")),
        }));
    };
    let at = |i: Option<usize>| i.and_then(|i| lexed.tokens.get(i)).map(|l| &l.token);
    let after = lexed.tokens.iter().position(|l| l.start >= mark.end);
    let framed = at(mark.token.checked_sub(1)) == Some(&Token::LParen)
        && at(mark.token.checked_sub(2)).is_some_and(|t| is_keyword(t, Keyword::IN))
        && at(after) == Some(&Token::RParen);
    if framed {
        return Ok(*mark);
    }
    let shown = lexed.slice(mark.start, mark.end);
    Err(MappingError::placeholder(format!("the placeholder {shown} does not stand alone in `IN ( )`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark_of(sql: &str) -> Result<String, String> {
        let lexed = Lexed::new("query.sql", sql).map_err(|e| e.to_string())?;
        the_mark(&lexed).map(|m| lexed.slice(m.start, m.end).to_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_of_the_mark() {
        for (sql, want) in [
            ("SELECT 1 WHERE a IN (?)", "?"),
            ("SELECT 1 WHERE a IN (:ids)", ":ids"),
            ("SELECT 1 WHERE a IN( :keys )", ":keys"),
            ("SELECT 1 WHERE a in(:auto_ids)", ":auto_ids"),
            ("SELECT DATE_FORMAT(a, '%H:%i'), \"x:y ?\" -- a :b ?\n /* :c */ WHERE ä IN (\n:ids\n)", ":ids"),
            ("SELECT `a:b` # :x\nWHERE a IN (:ids)", ":ids"),
            ("SELECT 'it''s :x \\' :y' WHERE a IN (:ids)", ":ids"),
        ] {
            assert_eq!(mark_of(sql).as_deref(), Ok(want), "{sql}");
        }
    }

    #[test]
    fn marks_refused() {
        for (sql, want) in [
            ("SELECT 1", "no placeholder"),
            ("SELECT 1 WHERE a IN (:ids) AND b IN (:ids)", "2 placeholders were found (:ids, :ids)"),
            ("SELECT 1 WHERE a IN (:ids, 5)", "does not stand alone"),
            ("SELECT 1 WHERE a = :id", "does not stand alone"),
            ("SELECT /*!80000 1 + */ 1 WHERE a IN (:ids)", "version comment"),
            ("SELECT /*M!100100 1 + */ 1 WHERE a IN (:ids)", "version comment"),
        ] {
            let error = mark_of(sql).unwrap_err();
            assert!(error.contains(want), "{sql}: {error}");
        }
    }
}
