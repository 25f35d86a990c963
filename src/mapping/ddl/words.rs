//! A statement as words: tolerant, because the parser does not know every statement of every server.

use sqlparser::dialect::MySqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::model::TableName;

/// A word of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// Unquoted: a keyword or a name.
    Bare(String),
    /// A quoted name. Double quotes hold a name under ANSI_QUOTES, else a string.
    Name(String),
    /// A string or a number.
    Literal(String),
    /// Anything else: `(`, `)`, `,`, `.`, `=`.
    Sign(String),
}

/// The words of a statement, and how far it was read.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    all: Vec<Word>,
    at: usize,
}

impl Words {
    /// Splits a statement; version comments are opened. `None` where it cannot be split.
    pub(crate) fn new(sql: &str) -> Option<Self> {
        let tokens = Tokenizer::new(&MySqlDialect {}, sql).tokenize().ok()?;
        let all = tokens.into_iter().filter_map(|token| {
            Some(match token {
                Token::Whitespace(_) | Token::EOF | Token::SemiColon => return None,
                Token::Word(word) if word.quote_style.is_none() => Word::Bare(word.value),
                Token::Word(word) => Word::Name(word.value),
                Token::DoubleQuotedString(text) => Word::Name(text),
                Token::Number(text, _) | Token::SingleQuotedString(text) => Word::Literal(text),
                other => Word::Sign(other.to_string()),
            })
        });
        Some(Self { all: all.collect(), at: 0 })
    }

    /// The rest as a list of its parts between commas outside parentheses.
    pub(crate) fn split(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut depth = 0usize;
        for word in self.rest() {
            match word {
                Word::Sign(sign) if sign == "(" => depth += 1,
                Word::Sign(sign) if sign == ")" => depth = depth.saturating_sub(1),
                Word::Sign(sign) if sign == "," && depth == 0 => {
                    parts.push(Self { all: std::mem::take(&mut part), at: 0 });
                    continue;
                }
                _ => {}
            }
            part.push(word.clone());
        }
        parts.push(Self { all: part, at: 0 });
        parts
    }

    /// What stands between the parenthesis that comes next and its end.
    pub(crate) fn parenthesised(&self) -> Option<Self> {
        let rest = self.rest();
        let inner = rest.split_first().filter(|(first, _)| **first == Word::Sign("(".into()))?.1;
        let mut depth = 1usize;
        for (i, word) in inner.iter().enumerate() {
            match word {
                Word::Sign(sign) if sign == "(" => depth += 1,
                Word::Sign(sign) if sign == ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(Self { all: inner.get(..i)?.to_vec(), at: 0 });
            }
        }
        None
    }

    fn rest(&self) -> &[Word] {
        self.all.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// Is the next word this keyword?
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self.rest().first(), Some(Word::Bare(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Steps over the keyword, if it comes next.
    pub(crate) fn skip(&mut self, keyword: &str) -> bool {
        let hit = self.is(keyword);
        self.at += usize::from(hit);
        hit
    }

    /// Steps over the two keywords, if both come next.
    pub(crate) fn skip_both(&mut self, first: &str, second: &str) -> bool {
        let start = self.at;
        let hit = self.skip(first) && self.skip(second);
        if !hit {
            self.at = start;
        }
        hit
    }

    /// Steps over these keywords in any order.
    pub(crate) fn skip_all(&mut self, keywords: &[&str]) {
        while keywords.iter().any(|keyword| self.skip(keyword)) {}
    }

    /// Steps over `IF [NOT] EXISTS`.
    pub(crate) fn skip_if_exists(&mut self) -> bool {
        let start = self.at;
        let hit = self.skip("IF") && (self.skip("NOT") || self.is("EXISTS")) && self.skip("EXISTS");
        if !hit {
            self.at = start;
        }
        hit
    }

    pub(crate) fn skip_sign(&mut self, sign: &str) -> bool {
        let hit = matches!(self.rest().first(), Some(Word::Sign(next)) if next == sign);
        self.at += usize::from(hit);
        hit
    }

    /// The next word in upper case, where it is unquoted.
    pub(crate) fn keyword(&mut self) -> Option<String> {
        let Some(Word::Bare(word)) = self.rest().first() else { return None };
        let upper = word.to_ascii_uppercase();
        self.at += 1;
        Some(upper)
    }

    /// The next unquoted word outside parentheses, wherever it stands.
    pub(crate) fn next_keyword(&mut self) -> Option<String> {
        let mut depth = 0usize;
        while let Some(word) = self.rest().first() {
            match word {
                Word::Sign(sign) if sign == "(" => depth += 1,
                Word::Sign(sign) if sign == ")" => depth = depth.saturating_sub(1),
                Word::Bare(_) if depth == 0 => return self.keyword(),
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// A name, quoted or not.
    pub(crate) fn name(&mut self) -> Option<String> {
        let name = match self.rest().first()? {
            Word::Bare(name) | Word::Name(name) => name.clone(),
            // A name may begin with digits.
            Word::Literal(text) => text.clone(),
            Word::Sign(_) => return None,
        };
        self.at += 1;
        Some(name)
    }

    /// A table's name, with the default schema where it has none.
    pub(crate) fn table(&mut self, default_schema: &str) -> Option<TableName> {
        let first = self.name()?;
        if self.skip_sign(".") {
            return Some(TableName::new(first, self.name()?));
        }
        Some(TableName::new(default_schema, first))
    }

    /// Does any word of the statement, also one read before, equal the name?
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let wanted = name.to_lowercase();
        self.all.iter().any(|word| match word {
            Word::Bare(text) | Word::Name(text) | Word::Literal(text) => text.to_lowercase() == wanted,
            Word::Sign(_) => false,
        })
    }

    /// Does one of the keywords stand in the rest?
    pub(crate) fn any_of(&self, keywords: &[&str]) -> bool {
        self.rest().iter().any(
            |word| matches!(word, Word::Bare(text) if keywords.iter().any(|k| text.eq_ignore_ascii_case(k))),
        )
    }

    /// What stands before the first parenthesis, ON or AS: the kind of object that a CREATE is about.
    pub(crate) fn head(&self) -> Self {
        let ends = |word: &Word| match word {
            Word::Sign(sign) => sign == "(",
            Word::Bare(text) => text.eq_ignore_ascii_case("ON") || text.eq_ignore_ascii_case("AS"),
            _ => false,
        };
        Self { all: self.rest().iter().take_while(|word| !ends(word)).cloned().collect(), at: 0 }
    }

    /// The rest beginning at this keyword outside parentheses, after it.
    pub(crate) fn after(&self, keyword: &str) -> Option<Self> {
        let mut words = self.clone();
        while let Some(word) = words.next_keyword() {
            if word == keyword {
                return Some(words);
            }
        }
        None
    }

    /// The number in the parenthesis that comes next: a type's width.
    pub(crate) fn width(&self) -> u32 {
        let number = self.parenthesised().and_then(|mut inner| inner.name());
        number.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}
