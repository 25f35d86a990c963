//! `--where`: rows by the value of their columns, before or after the change.

use std::cmp::Ordering;

use super::TraceError;
use super::sql::{Column, Kind, Table};
use crate::model::{TableName, Value};

/// Conditions on one table's columns that must all hold.
#[derive(Clone, Debug)]
pub struct Predicate {
    table: TableName,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    column: String,
    operator: Operator,
    /// `None` for IS [NOT] NULL.
    value: Option<Literal>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    IsNull,
    IsNotNull,
}

#[derive(Clone, PartialEq, Debug)]
enum Literal {
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
}

/// Words of a condition.
#[derive(Clone, PartialEq, Debug)]
enum Token {
    Name(String),
    Sign(String),
    Literal(Literal),
}

impl Predicate {
    /// Reads `shop.orders.id = 42 AND shop.orders.state <> 'new'`.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let fail = |why: &str| {
            TraceError::Option(format!(
                "--where {text:?}: {why}; write for example 'shop.orders.id = 42' or \
                 \"shop.orders.state = 'new' AND shop.orders.total > 10\""
            ))
        };
        let tokens = tokens(text).ok_or_else(|| fail("cannot be read"))?;
        let mut table: Option<TableName> = None;
        let mut conditions = Vec::new();
        for part in
            tokens.split(|token| matches!(token, Token::Name(name) if name.eq_ignore_ascii_case("and")))
        {
            let (name, condition) =
                condition(part).ok_or_else(|| fail("is not a column, an operator and a value"))?;
            match (&table, name) {
                (None, Some(name)) => table = Some(name),
                (Some(known), Some(name)) if *known != name => return Err(fail("names two tables")),
                (None, None) => return Err(fail("names no table: columns are DB.TABLE.COLUMN")),
                _ => {}
            }
            conditions.push(condition);
        }
        let table = table.ok_or_else(|| fail("is empty"))?;
        Ok(Self { table, conditions })
    }

    /// The columns that it asks for, and of which table.
    pub(super) fn is_about(&self, table: &TableName) -> bool {
        self.table == *table
    }

    /// An error's text where the table lacks a column of the condition.
    pub(super) fn lacks(&self, table: &Table) -> Option<&str> {
        let has = |name: &str| table.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
        self.conditions.iter().map(|c| c.column.as_str()).find(|name| !has(name))
    }

    /// Whether the row's image matches. What the image lacks matches nothing.
    pub(super) fn holds(&self, table: &Table, image: &[Value<'_>]) -> bool {
        self.conditions.iter().all(|condition| {
            let found =
                table.columns.iter().zip(image).find(|(c, _)| c.name.eq_ignore_ascii_case(&condition.column));
            found.is_some_and(|(column, value)| condition.holds(column, value))
        })
    }
}

impl Condition {
    fn holds(&self, column: &Column, value: &Value<'_>) -> bool {
        match self.operator {
            Operator::IsNull => value.is_null(),
            Operator::IsNotNull => !value.is_null() && !value.is_absent(),
            operator => {
                let Some(wanted) = &self.value else { return false };
                compare(column, value, wanted).is_some_and(|order| match operator {
                    Operator::Equal => order == Ordering::Equal,
                    Operator::NotEqual => order != Ordering::Equal,
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                })
            }
        }
    }
}

/// The number of an ENUM's label, the bits of a SET.
fn number_of(value: &Value<'_>) -> i128 {
    match value {
        Value::Enum(number) => i128::from(*number),
        Value::Set(bits) => i128::from(*bits),
        _ => 0,
    }
}

/// How a value stands to a literal; `None` where they do not compare (NULL among it).
fn compare(column: &Column, value: &Value<'_>, wanted: &Literal) -> Option<Ordering> {
    let text = match wanted {
        Literal::Bytes(bytes) => {
            let Value::Bytes(value) = value else { return None };
            return Some(value.as_ref().cmp(bytes.as_slice()));
        }
        Literal::Number(text) | Literal::Text(text) => text.as_str(),
    };
    match value {
        Value::Int(number) => compare_integer(i128::from(*number), text),
        Value::UInt(number) | Value::Bit(number) => compare_integer(i128::from(*number), text),
        Value::Enum(_) | Value::Set(_) => match (column.labels_of(value), wanted) {
            (Some(labels), Literal::Text(text)) => Some(labels.as_str().cmp(text)),
            _ => compare_integer(number_of(value), text),
        },
        Value::Decimal(digits) => match digits.parse::<i128>() {
            Ok(number) => compare_integer(number, text),
            Err(_) => digits.parse::<f64>().ok()?.partial_cmp(&text.parse().ok()?),
        },
        Value::Float(number) => number.partial_cmp(&text.parse::<f32>().ok()?),
        Value::Double(number) => number.partial_cmp(&text.parse::<f64>().ok()?),
        Value::Bytes(bytes) => match column.kind {
            Kind::Text(charset) => Some(charset.display(bytes).as_ref().cmp(text)),
            _ => Some(bytes.as_ref().cmp(text.as_bytes())),
        },
        Value::Json(bytes) => Some(crate::binlog::json::to_text(bytes).ok()?.as_str().cmp(text)),
        Value::Date { .. } | Value::DateTime { .. } | Value::Timestamp { .. } | Value::Time { .. } => {
            let mut written = Vec::new();
            super::sql::write_temporal(value, column.digits, &mut written);
            Some(written.as_slice().cmp(text.as_bytes()))
        }
        Value::Absent | Value::Null | Value::JsonDiff(_) => None,
    }
}

fn compare_integer(number: i128, text: &str) -> Option<Ordering> {
    match text.parse::<i128>() {
        Ok(wanted) => Some(number.cmp(&wanted)),
        Err(_) => (number as f64).partial_cmp(&text.parse().ok()?),
    }
}

fn condition(tokens: &[Token]) -> Option<(Option<TableName>, Condition)> {
    let split = tokens.iter().position(|token| match token {
        Token::Sign(sign) => sign != ".",
        Token::Name(name) => name.eq_ignore_ascii_case("is"),
        Token::Literal(_) => false,
    })?;
    let (left, right) = tokens.split_at(split);
    let names: Vec<&String> = left
        .iter()
        .filter_map(|token| if let Token::Name(name) = token { Some(name) } else { None })
        .collect();
    let (table, column) = match names.as_slice() {
        [schema, table, column] => (Some(TableName::new(*schema, *table)), (*column).clone()),
        [column] => (None, (*column).clone()),
        _ => return None,
    };
    let word =
        |token: &Token, text: &str| matches!(token, Token::Name(name) if name.eq_ignore_ascii_case(text));
    let (operator, value) = match right {
        [is, null] if word(is, "is") && word(null, "null") => (Operator::IsNull, None),
        [is, not, null] if word(is, "is") && word(not, "not") && word(null, "null") => {
            (Operator::IsNotNull, None)
        }
        [Token::Sign(sign), Token::Literal(value)] => {
            let operator = match sign.as_str() {
                "=" => Operator::Equal,
                "!=" | "<>" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                _ => return None,
            };
            (operator, Some(value.clone()))
        }
        _ => return None,
    };
    Some((table, Condition { column, operator, value }))
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => {
                let (text, after) = quoted(rest, first)?;
                (Token::Literal(Literal::Text(text)), after)
            }
            '`' => {
                let (name, after) = quoted(rest, first)?;
                (Token::Name(name), after)
            }
            'x' | 'X' if rest.get(1..2) == Some("'") => {
                let (digits, after) = quoted(rest.get(1..)?, '\'')?;
                (Token::Literal(Literal::Bytes(unhex(&digits)?)), after)
            }
            '=' | '<' | '>' | '!' | '.' => {
                let two = rest.get(..2).filter(|two| ["<=", ">=", "<>", "!="].contains(two));
                let sign = two.unwrap_or_else(|| rest.get(..1).unwrap_or_default());
                (Token::Sign(sign.to_owned()), rest.get(sign.len()..)?)
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                    .unwrap_or(rest.len());
                let (number, after) = rest.split_at_checked(end)?;
                number.parse::<f64>().ok()?;
                (Token::Literal(Literal::Number(number.to_owned())), after)
            }
            _ => {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
                (Token::Name(name.to_owned()), after)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// Text in quotes, which stand doubled within.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (part, after) = rest.split_once(quote)?;
        out.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                out.push(quote);
                rest = more;
            }
            None => return Some((out, after)),
        }
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((nibble(*high)? * 16 + nibble(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let p = Predicate::parse(
            "shop.orders.id = 42 and shop.orders.`st``ate` <> 'it''s' AND total IS NOT NULL",
        )
        .unwrap();
        assert_eq!(p.table, TableName::new("shop", "orders"));
        assert_eq!(p.conditions.len(), 3);
        assert_eq!(p.conditions[1].value, Some(Literal::Text("it's".into())));
        assert_eq!(
            Predicate::parse("a.b.c=X'00ff'").unwrap().conditions[0].value,
            Some(Literal::Bytes(vec![0, 255]))
        );
        for bad in [
            "",
            "id = 4",
            "a.b.c",
            "a.b.c = ",
            "a.b.c = 1 AND x.y.z = 2",
            "a.b.c LIKE 'x'",
            "a.b.c = 'x",
            "a.b.c ~ 1",
        ] {
            assert!(Predicate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_compare_as_numbers() {
        assert_eq!(compare_integer(i128::from(u64::MAX), "18446744073709551615"), Some(Ordering::Equal));
        assert_eq!(compare_integer(3, "2.5"), Some(Ordering::Greater));
        assert_eq!(compare_integer(3, "x"), None);
    }
}
