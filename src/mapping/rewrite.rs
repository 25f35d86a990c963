//! `mapping.rewrite`: physical table names to logical ones by regular expressions.

use regex::Regex;

use super::error::MappingError;
use crate::model::TableName;

/// One entry of `mapping.rewrite`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RewriteRule {
    /// Matched against `schema.table`, or against the table alone where the expression has no dot.
    pub pattern: String,
    /// What the matched part becomes; `$1` is what the first group matched.
    pub table: String,
}

/// The entries in order; the first that matches counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rewrites {
    rules: Vec<(Regex, RewriteRule)>,
}

impl Rewrites {
    pub(super) fn new(rules: &[RewriteRule]) -> Result<Self, MappingError> {
        let compiled = rules.iter().map(|rule| match Regex::new(&rule.pattern) {
            Ok(regex) => Ok((regex, rule.clone())),
            Err(error) => {
                Err(MappingError::Rewrite { pattern: rule.pattern.clone(), found: error.to_string() })
            }
        });
        Ok(Self { rules: compiled.collect::<Result<_, _>>()? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The logical name of a physical table, where a rule matches.
    pub(super) fn logical(&self, physical: &TableName) -> Option<TableName> {
        let whole = physical.to_string();
        self.rules.iter().find_map(|(regex, rule)| {
            let text = if rule.pattern.contains('.') { &whole } else { &physical.table };
            regex.is_match(text).then(|| {
                let name = regex.replace_all(text, rule.table.as_str());
                match name.split_once('.') {
                    Some((schema, table)) => TableName::new(schema, table),
                    None => TableName::new(physical.schema.clone(), name),
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(pattern: &str, table: &str, physical: &str) -> Option<String> {
        let rule = RewriteRule { pattern: pattern.into(), table: table.into() };
        let (schema, name) = physical.split_once('.').unwrap();
        Rewrites::new(&[rule]).unwrap().logical(&TableName::new(schema, name)).map(|t| t.to_string())
    }

    #[test]
    fn tables_and_schemas() {
        let books = "^(book|book_ext)_[0-9]{2}$";
        assert_eq!(logical(books, "$1", "lib.book_ext_07").as_deref(), Some("lib.book_ext"));
        assert_eq!(logical(books, "$1", "lib.book_7"), None);
        let dotted = r"^lib_\d+\.(\w+)_\d+$";
        assert_eq!(logical(dotted, "lib.$1", "lib_3.book_07").as_deref(), Some("lib.book"));
        assert_eq!(logical(dotted, "$1", "lib_3.book_07").as_deref(), Some("lib_3.book"));
    }

    #[test]
    fn a_bad_expression_is_named() {
        let rule = RewriteRule { pattern: "a(".into(), table: "b".into() };
        let error = Rewrites::new(&[rule]).unwrap_err().to_string();
        assert!(error.contains("mapping.rewrite") && error.contains("a("), "{error}");
    }
}
