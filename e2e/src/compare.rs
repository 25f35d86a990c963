//! One spelling per JSON value, so that equal documents compare equal whatever order or notation they came in.

use serde_json::{Map, Value};

/// The canonical text: sorted members, sorted arrays (SQL promises no order in an aggregate), exact numbers
/// without needless zeros.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => canonical_number(&number.to_string()),
        Value::Array(items) => {
            let mut items: Vec<String> = items.iter().map(canonical).collect();
            items.sort();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<String> =
                members.iter().map(|(key, value)| format!("{key:?}:{}", canonical(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// `1.50`, `15e-1` and `1.5` are one number; no digit is ever rounded.
fn canonical_number(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().expect("an exponent");
    let negative = mantissa.starts_with('-');
    let (whole, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let trimmed = significant.trim_end_matches('0');
    if trimmed.is_empty() {
        return "0".into();
    }
    let exponent = exponent - fraction.len() as i64 + (significant.len() - trimmed.len()) as i64;
    format!("{}{trimmed}e{exponent}", if negative { "-" } else { "" })
}

/// What differs between an expected document and the one in the index, member by member; empty when equal.
pub fn difference(expected: &Map<String, Value>, found: &Value) -> String {
    let none = Map::new();
    let found = found.as_object().unwrap_or(&none);
    let mut out = Vec::new();
    for (name, want) in expected {
        let text = canonical(want);
        match found.get(name) {
            None => out.push(format!("{name}: missing, MySQL has {text}")),
            Some(have) if canonical(have) != text => {
                out.push(format!("{name}: index has {}, MySQL has {text}", canonical(have)));
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        out.push(format!("{name}: unexpected"));
    }
    out.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        let read = |text| canonical(&serde_json::from_str(text).unwrap());
        read(left) == read(right)
    }

    #[test]
    fn notation_and_order_do_not_matter() {
        assert!(same("1.50", "15e-1"));
        assert!(same("0.00", "0"));
        assert!(same("-100", "-1e2"));
        assert!(same(r#"[{"a":1,"b":2},3]"#, r#"[3,{"b":2,"a":1}]"#));
    }

    #[test]
    fn no_digit_is_lost() {
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("0.1000000000000000000000001", "0.1"));
        assert!(!same("1", "\"1\""));
    }

    #[test]
    fn a_difference_names_the_member() {
        let expected = serde_json::json!({"a": 1, "b": 2});
        let found = serde_json::json!({"a": 1, "b": 3, "c": 4});
        let text = difference(expected.as_object().unwrap(), &found);
        assert_eq!(text, "b: index has 3e0, MySQL has 2e0; c: unexpected");
        assert_eq!(difference(expected.as_object().unwrap(), &expected), "");
    }
}
