//! Cuts a file of statements, as `mysqldump` writes it, into statements.

/// The statements of a text, without the comments before them. Version comments (`/*!80023 ... */`) stay.
pub(super) struct Statements<'t> {
    rest: &'t str,
    delimiter: String,
}

impl<'t> Statements<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.trim_start_matches('\u{feff}'), delimiter: ";".into() }
    }

    /// Steps over white space, comments and DELIMITER lines.
    fn skip_to_statement(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("--") || self.rest.starts_with('#') {
                self.skip_line();
            } else if self.rest.starts_with("/*")
                && !self.rest.starts_with("/*!")
                && !self.rest.starts_with("/*M!")
            {
                self.rest = self.rest.split_once("*/").map_or("", |(_, rest)| rest);
            } else if let Some(after) = strip_keyword(self.rest, "DELIMITER") {
                let line = after.lines().next().unwrap_or_default();
                line.trim().clone_into(&mut self.delimiter);
                self.skip_line();
            } else if !self.delimiter.is_empty() && self.rest.starts_with(&self.delimiter) {
                self.rest = self.rest.split_at_checked(self.delimiter.len()).map_or("", |(_, rest)| rest);
            } else {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }

    /// Where the statement that begins here ends.
    fn end(&self) -> usize {
        let bytes = self.rest.as_bytes();
        let starts =
            |at: usize, text: &str| bytes.get(at..).is_some_and(|rest| rest.starts_with(text.as_bytes()));
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\'' | b'"' | b'`' => at = after_quoted(bytes, at),
                b'-' if starts(at, "-- ") => at = after(bytes, at, b"\n"),
                b'#' => at = after(bytes, at, b"\n"),
                b'/' if starts(at, "/*") && !starts(at, "/*!") && !starts(at, "/*M!") => {
                    at = after(bytes, at, b"*/");
                }
                _ if !self.delimiter.is_empty() && starts(at, &self.delimiter) => return at,
                _ => at += 1,
            }
        }
        bytes.len()
    }
}

impl<'t> Iterator for Statements<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        self.skip_to_statement();
        if self.rest.is_empty() {
            return None;
        }
        let (statement, rest) = self.rest.split_at_checked(self.end()).unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(statement.trim_end())
    }
}

fn strip_keyword<'t>(text: &'t str, keyword: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(keyword.len())?;
    (head.eq_ignore_ascii_case(keyword) && rest.starts_with([' ', '\t'])).then_some(rest)
}

fn after(bytes: &[u8], at: usize, end: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.windows(end.len())
        .position(|window| window == end)
        .map_or(bytes.len(), |found| at + found + end.len())
}

/// Behind the quote that closes the one at `at`. Doubled quotes look like two strings, which is as good.
fn after_quoted(bytes: &[u8], at: usize) -> usize {
    let quote = bytes.get(at);
    let mut next = at + 1;
    while let Some(byte) = bytes.get(next) {
        match byte {
            b'\\' if quote != Some(&b'`') => next += 2,
            byte if Some(byte) == quote => return next + 1,
            _ => next += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_cut_at_its_delimiters() {
        let text = "-- a;b\n/*!40101 SET x */;\nCREATE TABLE `a;b` (c int DEFAULT ';' /* ; */); # ;\n\
                    DELIMITER ;;\nCREATE TRIGGER t BEGIN SET a = 'it''s\\';'; END ;;\nDELIMITER ;\nUSE `x`";
        let all: Vec<_> = Statements::new(text).collect();
        assert_eq!(
            all,
            [
                "/*!40101 SET x */",
                "CREATE TABLE `a;b` (c int DEFAULT ';' /* ; */)",
                "CREATE TRIGGER t BEGIN SET a = 'it''s\\';'; END",
                "USE `x`"
            ]
        );
    }
}
